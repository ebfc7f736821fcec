"""The committed dashboards as Grafana opens them: with values of variables, and queries as they are sent."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from grafana.build import FOLDER
from prometheus.generated import ROOT
from tests.grafana.prometheus_api import PrometheusApi
from tests.grafana.template import Choice, choice, filled

LABEL_VALUES = re.compile(r"label_values\((.*), *(\w+)\)", re.DOTALL)
SHOWN_AS_CELLS = {"table", "heatmap"}
"""Kinds of panels that stay readable with many series."""


@dataclass(frozen=True)
class Query:
    """One query of a panel, a variable or an annotation."""

    where: str
    expression: str
    is_instant: bool = False

    def has_data(self, api: PrometheusApi) -> bool:
        """Whether it brings a number at any time of the range, so that one quiet moment does not matter."""
        return bool(api.over_time(self.expression))

    def shown(self, api: PrometheusApi) -> int:
        """Return how many series it shows."""
        return len(api.now(self.expression) if self.is_instant else api.over_time(self.expression))


@dataclass(frozen=True)
class OpenBoard:
    """A board with what is chosen of its variables."""

    board: Mapping[str, Any]
    choices: Mapping[str, Choice]
    api: PrometheusApi

    def panels(self) -> Iterator[tuple[Mapping[str, Any], list[Query]]]:
        """Yield every panel, also of collapsed rows, with its queries."""
        for panel in panels_of(self.board):
            yield panel, [self._query(panel, target) for target in panel.get("targets", [])]

    def annotations(self) -> Iterator[Query]:
        """Yield the queries of annotations."""
        for one in self.board["annotations"]["list"]:
            if "expr" in one:
                yield Query(f"{self.board['uid']}: annotation {one['name']}", self._sent(one["expr"]))

    def _query(self, panel: Mapping[str, Any], target: Mapping[str, Any]) -> Query:
        where = f"{self.board['uid']}: {panel['title']} {target['refId']}"
        return Query(where, self._sent(target["expr"]), bool(target.get("instant")))

    def _sent(self, expression: str) -> str:
        return filled(expression, self.choices, self.api.range)


@cache
def committed() -> dict[str, dict[str, Any]]:
    """Return the dashboards in the repository by their uid."""
    boards = [json.loads(path.read_text("utf-8")) for path in sorted((ROOT / FOLDER).glob("*.json"))]
    return {board["uid"]: board for board in boards}


def opened(board: Mapping[str, Any], api: PrometheusApi, **chosen: str) -> OpenBoard:
    """Return the board as it shows itself: the saved choices, or others for the variables that are named."""
    choices: dict[str, Choice] = {}
    for variable in board["templating"]["list"]:
        name = variable["name"]
        options = _options(variable, choices, api)
        current = {"value": chosen[name]} if name in chosen else variable.get("current")
        choices[name] = choice(variable | {"current": current}, options)
    return OpenBoard(board, choices, api)


def _options(variable: Mapping[str, Any], choices: Mapping[str, Choice], api: PrometheusApi) -> list[str]:
    match variable["type"]:
        case "query":
            query = variable["query"] if isinstance(variable["query"], str) else variable["query"]["query"]
            found = LABEL_VALUES.fullmatch(filled(query, choices, api.range))
            assert found, f"{query}: only label_values() is known here"
            return api.label_values(found[2], found[1])
        case "datasource":
            return [(variable.get("current") or {}).get("value") or "prometheus"]
        case "custom":
            return [one.strip() for one in variable["query"].split(",")]
    raise AssertionError(f"{variable['name']}: variables of type {variable['type']} are not known here")


def panels_of(board: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the panels of a board or a row, also of collapsed rows; rows themselves are none."""
    for panel in board.get("panels") or []:
        if panel["type"] == "row":
            yield from panels_of(panel)
        else:
            yield panel
