"""The board of one trace queries Tempo and Loki and is written by hand: the rules of the other boards hold for it."""

import json
from typing import Any

import pytest
import yaml

from prometheus.generated import ROOT
from prometheus.slo import load

PROVISIONING = ROOT / "grafana" / "provisioning"
BOARD: dict[str, Any] = json.loads((PROVISIONING / "dashboards" / "trace.json").read_text("utf-8"))
SOURCES: list[dict[str, Any]] = yaml.safe_load((PROVISIONING / "datasources" / "datasources.yaml").read_text("utf-8"))[
    "datasources"
]
TARGET_FIELDS = {"traces": {"query", "queryType"}, "table": {"query", "queryType"}, "logs": {"expr", "queryType"}}
"""Kinds of panels that a Grafana of version 11 draws from these sources, and what their targets must say."""


@pytest.mark.parametrize("panel", BOARD["panels"], ids=lambda panel: panel["type"])
class TestPanel:
    def test_queries_a_provisioned_source(self, panel: dict[str, Any]) -> None:
        known = {(one["type"], one["uid"]) for one in SOURCES}
        for one in (panel, *panel["targets"]):
            assert (one["datasource"]["type"], one["datasource"]["uid"]) in known

    def test_has_complete_targets(self, panel: dict[str, Any]) -> None:
        for target in panel["targets"]:
            assert target.keys() >= {"refId", *TARGET_FIELDS[panel["type"]]}
            assert all(target[field] for field in TARGET_FIELDS[panel["type"]])

    def test_says_how_to_read_it(self, panel: dict[str, Any]) -> None:
        assert panel["description"].endswith(".")


def test_every_panel_has_a_place_of_its_own() -> None:
    grids = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(grid["x"] + grid["w"] <= 24 for grid in grids)
    assert [grid["y"] for grid in grids] == [sum(grid["h"] for grid in grids[:at]) for at in range(len(grids))]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(grids)


def test_the_trace_is_the_one_of_the_address() -> None:
    (variable,) = BOARD["templating"]["list"]
    trace, logs, requests = BOARD["panels"]
    assert trace["targets"][0]["query"] == f"${{{variable['name']}}}"
    assert f'trace_id = "${{{variable["name"]}}}"' in logs["targets"][0]["expr"]
    (link,) = requests["fieldConfig"]["overrides"][0]["properties"][0]["value"]
    assert link["url"] == f"/d/{BOARD['uid']}?var-{variable['name']}=${{__value.raw}}"


def test_a_dot_on_any_board_and_a_line_of_the_log_lead_to_a_trace() -> None:
    sources = {one["type"]: one["jsonData"] for one in SOURCES if "jsonData" in one}
    exemplars = sources["prometheus"]["exemplarTraceIdDestinations"]
    assert ("trace_id", "tempo") in [(one["name"], one.get("datasourceUid")) for one in exemplars]
    assert any(field.get("datasourceUid") == "tempo" for field in sources["loki"]["derivedFields"])


def test_a_slow_request_is_one_that_misses_the_strictest_objective() -> None:
    strictest_s = load().thresholds_s()[0]
    assert f"duration > {strictest_s * 1000:.0f}ms" in BOARD["panels"][2]["targets"][0]["query"]
