"""The dashboards of a service without arms: panels that have data there, in its job, without the choice of arms."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from prometheus.parts import Part
from prometheus.presence import Presence, presence
from prometheus.scope import Scope
from prometheus.slo import Objectives

Json = dict[str, Any]

BOARDS: Final[Mapping[str, Part | None]] = {
    "service": None,
    "runtime": None,
    "async": None,
    "pooling": "pool",
    "database": "database",
    "caching": "cache",
    "compression": "compression",
    "advice": "whatif",
    "monitoring": None,
}
"""With the part that a board is about; the other boards compare arms of the flights service."""

_CHOICES: Final = frozenset({"job", "arm"})
"""Variables that a service without arms does not need."""
_OF_FLIGHTS: Final = re.compile(r"handler=~?\"/|level=\"edge\"")
"""A route of the flights service, on a panel that shows what one technique does to it; or its cache at the edge."""
_OF_ARMS: Final = re.compile(
    r"\b(?:arms?|baseline|departures?|(?<!error )reports|flights|board (?:is|of)|Varnish)\b", re.IGNORECASE
)
_ROW: Final = 24


def scoped_boards(boards: Mapping[str, Json], objectives: Objectives) -> dict[str, Json]:
    """Return the boards of the service by their names; each has at least one panel with data."""
    present, scope = presence(objectives), Scope(objectives)
    scoped = {
        name: _board(deepcopy(boards[name]), scope, present)
        for name, part in BOARDS.items()
        if part is None or part in objectives.parts
    }
    return {name: board for name, board in scoped.items() if board["panels"]}


def _board(board: Json, scope: Scope, present: Presence) -> Json:
    prefix = scope.objectives.board_prefix
    board["uid"] = scope.text(board["uid"])
    board["tags"] = [prefix]
    board["panels"] = _laid_out(list(_sections(board["panels"], scope, present)))
    board["links"] = [link | {"tags": [prefix]} for link in board["links"] if link["tags"]]
    variables = [one for one in board["templating"]["list"] if one["name"] not in _CHOICES]
    for one in variables:
        if isinstance(one["query"], dict):
            one["query"]["query"] = f"label_values(http_requests_total{{{scope.objectives.slo_jobs}}}, {one['name']})"
    board["templating"]["list"] = variables
    board["annotations"]["list"] = [
        one | {"expr": f'ALERTS{{alertstate="firing", severity!="none", {scope.own_alerts}}}'}
        for one in board["annotations"]["list"]
        if "expr" in one
    ]
    return board


def _sections(panels: list[Json], scope: Scope, present: Presence) -> Iterator[Json]:
    """Yield the panels that are kept, each row only if a panel follows in it."""
    pending: Json | None = None
    for panel in panels:
        if panel["type"] == "row":
            panel["panels"] = [one for one in panel.get("panels", []) if _keep(one, scope, present)]
            pending = panel
            if panel["panels"]:
                yield panel
                pending = None
        elif _keep(panel, scope, present):
            if pending:
                yield pending
                pending = None
            yield panel


def _keep(panel: Json, scope: Scope, present: Presence) -> bool:
    """Rewrite the panel for the service; return whether any of its queries can have data there."""
    targets = panel.get("targets", [])
    kept = [one for one in targets if not _OF_FLIGHTS.search(one["expr"]) and present.has_data(one["expr"])]
    if not kept:
        return False
    for target in kept:
        target["expr"] = scope.expression(target["expr"])
        if "legendFormat" in target:
            target["legendFormat"] = scope.text(target["legendFormat"])
    panel["targets"] = kept
    panel["title"] = _neutral(panel["title"])
    panel["description"] = _neutral(panel.get("description", ""))
    for one in panel["fieldConfig"]["overrides"]:
        for change in one["properties"]:
            if change["id"] == "links":
                change["value"] = [link | {"url": scope.text(link["url"])} for link in change["value"]]
    for link in panel.get("links", []):
        link["url"] = scope.text(link["url"])
    if panel["type"] == "table":
        _key_without_arms(panel, is_single=len(kept) == 1 < len(targets))
    return True


def _key_without_arms(table: Json, *, is_single: bool) -> None:
    organized = next(one for one in table["transformations"] if one["id"] == "organize")["options"]
    names = organized["renameByName"]
    if names.pop("arm", None):
        organized["excludeByName"] |= {} if "job" in names else {"job": True}
    if is_single:
        names["Value"] = names[f"Value #{table['targets'][0]['refId']}"]


def _neutral(text: str) -> str:
    """Return the text without what it says about arms and about the flights service."""
    text = re.sub(r",? (?:by|on the|of the chosen|over the chosen) arms?(?=[ ,.:)]|$)(?: and)?", _unless_and, text)
    text = text.replace(" (worst arm)", "")
    sentences = re.split(r"(?<=[.!?]) ", text)
    return " ".join(kept for kept in sentences if not _OF_ARMS.search(kept)) or sentences[0]


def _unless_and(found: re.Match[str]) -> str:
    return ", by" if found[0].endswith(" and") else ""


def _laid_out(panels: list[Json]) -> list[Json]:
    """Place the panels from left to right, as rows of the grid."""
    x = y = height = 0
    for number, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if panel["type"] == "row" or x + place["w"] > _ROW:
            x, y, height = 0, y + height, 0
        place |= {"x": x, "y": y}
        x, height = x + place["w"], max(height, place["h"])
        panel["id"] = number
    for number, panel in enumerate((one for row in panels for one in row.get("panels", [])), start=len(panels) + 1):
        panel["id"] = number
    return panels
