"""What a built dashboard holds, for tests that walk through every panel and every query."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from grafana.build import outputs
from prometheus.slo import load

PLACEHOLDER = re.compile(r"\$\{?\w+(?::\w+)?\}?")
DURATIONS = re.compile(r"\$\{?(window|__range|__interval|__rate_interval)\}?")


@dataclass(frozen=True)
class Place:
    """One panel with the board that it is on."""

    board: str
    panel: dict[str, Any]

    @property
    def name(self) -> str:
        """Where to look when a test fails."""
        return f"{self.board}: {self.panel['title']}"

    @property
    def targets(self) -> list[dict[str, Any]]:
        """Its queries."""
        return list(self.panel.get("targets", []))


@cache
def boards() -> dict[str, dict[str, Any]]:
    """Return every board as JSON, by uid."""
    return {board["uid"]: board for board in (json.loads(text) for text in outputs(load()).values())}


@cache
def panels() -> list[Place]:
    """Return every panel of every board, also of collapsed rows; rows themselves are none."""
    return [Place(uid, panel) for uid, board in boards().items() for panel in _of(board["panels"])]


def _of(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in found:
        if one["type"] == "row":
            yield from _of(one.get("panels", []))
        else:
            yield one


def expressions() -> Iterator[tuple[str, str]]:
    """Yield where it is and the PromQL of every query, of panels, variables and annotations, placeholders filled in."""
    for place in panels():
        yield from ((place.name, filled(one["expr"])) for one in place.targets)
    for uid, board in boards().items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                name, _ = variable["query"]["query"].removeprefix("label_values(").rsplit(",", 1)
                yield f"{uid}: variable {variable['name']}", filled(name)
        for annotation in board["annotations"]["list"]:
            if "expr" in annotation:
                yield f"{uid}: annotation {annotation['name']}", filled(annotation["expr"])


def filled(expression: str) -> str:
    """Return the expression with a value for every variable."""
    return PLACEHOLDER.sub(".*", DURATIONS.sub("5m", expression))
