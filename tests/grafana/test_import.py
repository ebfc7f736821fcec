"""The committed files work in any Grafana: they refer to nothing of this installation."""

import json
import re
from collections.abc import Iterator
from typing import Any

from grafana.build import FOLDER
from prometheus.generated import ROOT
from tests.each import each
from tests.grafana.committed import committed, panels_of

SCHEMA = 41
"""Of Grafana 11.6, which the library is made for; newer ones migrate it when they load it."""

CORE_PANELS = {
    "bargauge",
    "barchart",
    "gauge",
    "heatmap",
    "piechart",
    "row",
    "stat",
    "state-timeline",
    "status-history",
    "table",
    "text",
    "timeseries",
}
"""What every Grafana draws without a plugin."""

BUILT_IN = {"-- Grafana --", "-- Dashboard --", "grafana"}


def datasources(node: object) -> Iterator[dict[str, Any]]:
    """Yield every reference to a data source, however deep."""
    if isinstance(node, dict):
        if isinstance(node.get("datasource"), dict):
            yield node["datasource"]
        for value in node.values():
            yield from datasources(value)
    elif isinstance(node, list):
        for value in node:
            yield from datasources(value)


@each("board", lambda: committed().values(), ids=lambda board: board["uid"])
class TestBoard:
    def test_belongs_to_no_installation(self, board: dict[str, Any]) -> None:
        assert board.get("id") is None
        assert not {"__inputs", "__requires", "iteration"} & board.keys()
        assert re.fullmatch(r"[a-z][a-z0-9-]{1,39}", board["uid"])

    def test_has_a_schema_that_its_grafana_knows(self, board: dict[str, Any]) -> None:
        assert board["schemaVersion"] <= SCHEMA

    def test_offers_the_choice_of_a_prometheus(self, board: dict[str, Any]) -> None:
        variable = next(one for one in board["templating"]["list"] if one["name"] == "datasource")
        assert (variable["type"], variable["query"]) == ("datasource", "prometheus")

    def test_reads_from_what_is_chosen_and_from_nothing_else(self, board: dict[str, Any]) -> None:
        used = {one["uid"] for one in datasources(board)} - BUILT_IN
        assert used <= {"${datasource}"}

    def test_needs_no_plugin(self, board: dict[str, Any]) -> None:
        assert {panel["type"] for panel in board["panels"]} | {
            panel["type"] for panel in panels_of(board)
        } <= CORE_PANELS

    def test_reads_its_variables_from_the_chosen_prometheus(self, board: dict[str, Any]) -> None:
        queried = [one for one in board["templating"]["list"] if one["type"] == "query"]
        assert [one["name"] for one in queried if one["datasource"]["uid"] != "${datasource}"] == []

    def test_names_no_address(self, board: dict[str, Any]) -> None:
        assert re.findall(r"https?://[^\s\"]+", json.dumps(board)) == []


def test_a_file_has_the_name_of_its_board() -> None:
    names = {path.stem: json.loads(path.read_text("utf-8"))["uid"] for path in (ROOT / FOLDER).glob("*.json")}
    assert {uid.removeprefix("flightdeck-") for uid in names.values()} == names.keys()
