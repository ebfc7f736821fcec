"""The dashboards, rules and runbooks against a real Prometheus that has seen real traffic.

One stack serves all tests of this file; all queries are about the range of its traffic.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from grafana.query import MAX_SERIES
from prometheus.expression import series_in
from prometheus.generated import ROOT
from prometheus.slo import load
from tests.grafana.committed import SHOWN_AS_CELLS, committed, opened
from tests.grafana.prometheus_api import PrometheusApi
from tests.grafana.silent import SILENT_FOR_OTHERS, SILENT_METRICS, SILENT_QUERIES
from tests.grafana.template import Range
from tests.prometheus.exposition import exposed_in
from tests.prometheus.test_alerts import RUNBOOKS, queries
from tests.servers.stack import BOOKSHOP_JOB, Stack, running_stack

TRAFFIC_S = 45.0
pytestmark = pytest.mark.timeout(600)  # the first test starts the stack
OF_ANY_SERVICE = ("flightdeck-service", "flightdeck-runtime")
"""Boards that show a third-party application too."""


@pytest.fixture(scope="module")
def stack(few_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir = shutil.copytree(few_flights, tmp_path_factory.mktemp("stack-data") / "data")
    with running_stack(tmp_path_factory.mktemp("stack"), data_dir, seconds=TRAFFIC_S) as stack:
        yield stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[PrometheusApi]:
    moment = Range(begins=stack.begun, ends=stack.ended, step_s=1, scrape_s=1)
    with httpx.Client(base_url=stack.prometheus_url, timeout=60) as client:
        yield PrometheusApi(client, moment)


@dataclass(frozen=True)
class Rule:
    """A recording or alerting rule; those that differ only in labels have the same name."""

    name: str
    expression: str
    is_alert: bool


def rules() -> list[Rule]:
    """Return the committed rules on the real clock; alerts as if every job had objectives."""
    slo_jobs = load().slo_jobs
    files = [path for kind in ("rules", "alerts") for path in sorted((ROOT / "prometheus" / kind).glob("*.yml"))]
    groups = [group for path in files for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return [
        Rule(rule.get("alert") or rule["record"], rule["expr"].replace(slo_jobs, 'job=~".+"'), "alert" in rule)
        for group in groups
        for rule in group["rules"]
    ]


def runbook_queries() -> list[tuple[str, str]]:
    """Return where it is and the PromQL of every query of a runbook."""
    return [
        (f"{page.stem} {number}", query)
        for page in sorted(RUNBOOKS.glob("*.md"))
        for number, query in enumerate(queries(page), start=1)
    ]


def unexcused(where: str, expression: str) -> bool:
    """Whether no reason is listed why this has no data."""
    return where not in SILENT_QUERIES and not series_in(expression) & SILENT_METRICS.keys()


def silent_panels(api: PrometheusApi, uid: str, **chosen: str) -> list[str]:
    board = opened(committed()[uid], api, **chosen)
    every = [*(query for _, found in board.panels() for query in found), *board.annotations()]
    return [query.where for query in every if unexcused(query.where, query.expression) and not query.has_data(api)]


@pytest.mark.parametrize("uid", committed())
class TestBoard:
    def test_every_panel_and_annotation_has_data(self, api: PrometheusApi, uid: str) -> None:
        assert silent_panels(api, uid) == []

    def test_every_variable_offers_something(self, api: PrometheusApi, uid: str) -> None:
        choices = opened(committed()[uid], api).choices
        assert [name for name, choice in choices.items() if not choice.options] == []

    def test_no_panel_shows_more_lines_than_can_be_distinguished(self, api: PrometheusApi, uid: str) -> None:
        shown = {
            panel["title"]: sum(query.shown(api) for query in found)
            for panel, found in opened(committed()[uid], api).panels()
            if panel["type"] not in SHOWN_AS_CELLS
        }
        assert {title: lines for title, lines in shown.items() if lines > MAX_SERIES} == {}


@pytest.mark.parametrize("uid", OF_ANY_SERVICE)
def test_a_board_of_any_service_shows_a_third_party_application(api: PrometheusApi, uid: str) -> None:
    silent = silent_panels(api, uid, job=BOOKSHOP_JOB)
    assert [where for where in silent if where not in SILENT_FOR_OTHERS] == []


def test_the_board_of_a_service_shows_only_its_own_routes(api: PrometheusApi) -> None:
    board = opened(committed()["flightdeck-service"], api, job=BOOKSHOP_JOB)
    (rates,) = (found for panel, found in board.panels() if panel["title"] == "Requests by route")
    shown = {labels["handler"] for labels in api.over_time(rates[0].expression)}
    assert shown == {"/authors", "/books/{number}", "/books/{number}/orders"}


def test_every_recording_rule_records_something(api: PrometheusApi) -> None:
    silent = {one.name for one in rules() if not one.is_alert and not api.over_time(one.expression)}
    assert {name for name in silent if name not in SILENT_QUERIES} == set()


def test_every_alert_has_inputs(api: PrometheusApi) -> None:
    silent = [
        one.name
        for one in rules()
        if one.is_alert and unexcused(one.name, one.expression) and not api.has_inputs(one.expression)
    ]
    assert silent == []


def test_every_query_of_a_runbook_has_something_to_show(api: PrometheusApi) -> None:
    silent = [where for where, query in runbook_queries() if unexcused(where, query) and not api.has_inputs(query)]
    assert silent == []


def test_the_list_of_what_is_silent_is_true(api: PrometheusApi) -> None:
    assert SILENT_METRICS.keys() & api.names() == set()
    has_data = {one.name: api.has_inputs(one.expression) for one in rules()}
    has_data |= {where: api.has_inputs(query) for where, query in runbook_queries()}
    for board in (opened(board, api) for board in committed().values()):
        every = [*(query for _, found in board.panels() for query in found), *board.annotations()]
        has_data |= {query.where: query.has_data(api) for query in every}
    assert {where for where in SILENT_QUERIES if has_data.get(where, True)} == set(), "they have data, or do not exist"


def test_every_metric_that_is_read_is_exposed(stack: Stack, api: PrometheusApi) -> None:
    expressions = [*(one.expression for one in rules()), *(query for _, query in runbook_queries())]
    for board in (opened(board, api) for board in committed().values()):
        expressions += [query.expression for _, found in board.panels() for query in found]
        expressions += [query.expression for query in board.annotations()]
    exposed = api.names().union(*map(exposed_in, stack.expositions))
    read = {name for expression in expressions for name in series_in(expression)}
    assert read - exposed - SILENT_METRICS.keys() == set()


def test_an_exemplar_of_the_heatmap_links_to_an_exported_trace(stack: Stack, api: PrometheusApi) -> None:
    board = opened(committed()["flightdeck-service"], api)
    (heatmap,) = (found for panel, found in board.panels() if panel["type"] == "heatmap")
    trace_ids = {labels["trace_id"] for labels in api.exemplars(heatmap[0].expression)}
    assert trace_ids & stack.trace_ids
