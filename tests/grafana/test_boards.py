import math
import re
from pathlib import Path

import promql_parser

from docsgen.metrics_page import package_metrics, service_metrics, whatif_metrics
from grafana.boards.lab import DECIDING
from grafana.build import FILES
from grafana.query import MAX_SERIES
from lab.experiments import BY_NAME
from prometheus.build import rule_files
from prometheus.catalogue import every_alert
from prometheus.expression import series_in
from prometheus.rule import Recording
from prometheus.slo import load
from service.techniques import ARMS
from tests.each import each
from tests.grafana.exporters import OF_EXPORTERS, OF_MONITORING
from tests.grafana.panel import Place, boards, expressions, panels
from tests.prometheus.exposition import SUFFIXES

OBJECTIVES = load()
RECORDED = {
    rule.record
    for groups in rule_files(OBJECTIVES).values()
    for group in groups
    for rule in group.rules
    if isinstance(rule, Recording)
}
MEASURED = {
    one.name.removesuffix(suffix if one.kind == "counter" else "") + suffix
    for one in (*package_metrics(), *service_metrics(), *whatif_metrics())
    for suffix in SUFFIXES.get(one.kind, ("",))
}
OF_PROMETHEUS = {"up", "ALERTS", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"}
VALUES = {
    "arm": len(ARMS),
    "level": 3,
    "result": 5,
    "encoding": 5,
    "state": 2,
    "db_client_connection_pool_name": 2,
    "role": 2,
    "limiter": 3,
    "reason": 5,
    "signal": 3,
    "generation": 3,
    "alertstate": 2,
    "severity": 3,
    "before": 1,
    "after": 1,
    "effect": 1,
}
"""How many values the labels of legends have at most; any other label can have more than a panel has room for."""

UNITLESS = {"text", "row"}


def series(place: Place) -> float:
    """Return how many series a panel shows at most, going by its legends."""
    total = 0.0
    for target in place.targets:
        if chosen := re.search(r"topk\((\d+)", target["expr"]):
            total += int(chosen[1])
        else:
            labels = re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", ""))
            total += math.prod(VALUES.get(label, math.inf) for label in labels)
    return total


@each("place", panels, ids=lambda place: place.name)
class TestPanel:
    def test_says_how_to_read_it(self, place: Place) -> None:
        assert len(place.panel["description"]) > 40
        assert place.panel["description"].endswith((".", ")"))

    def test_has_a_unit(self, place: Place) -> None:
        assert place.panel["type"] in UNITLESS or place.panel["fieldConfig"]["defaults"]["unit"]

    def test_shows_no_more_series_than_can_be_distinguished(self, place: Place) -> None:
        assert place.panel["type"] in {"table", "heatmap"} or series(place) <= MAX_SERIES

    def test_reads_the_data_source_that_is_chosen(self, place: Place) -> None:
        for one in [place.panel, *place.targets] if place.targets else []:
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}

    def test_requests_exemplars_of_histograms(self, place: Place) -> None:
        for target in place.targets:
            if target.get("range") and "_bucket" in target["expr"]:
                assert target["exemplar"]

    def test_lies_inside_the_grid(self, place: Place) -> None:
        grid = place.panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24


@each("query", lambda: list(expressions()), ids=lambda query: query[0])
class TestQuery:
    def test_is_promql(self, query: tuple[str, str]) -> None:
        promql_parser.parse(query[1])

    def test_reads_only_what_exists(self, query: tuple[str, str]) -> None:
        unknown = series_in(query[1]) - RECORDED - MEASURED - OF_PROMETHEUS - OF_EXPORTERS
        assert {name for name in unknown if not name.startswith(OF_MONITORING)} == set()


@each("uid", boards)
class TestBoard:
    def test_describes_itself_by_a_question(self, uid: str) -> None:
        assert boards()[uid]["description"].endswith("?")

    def test_has_the_same_variables_as_every_other(self, uid: str) -> None:
        names = [one["name"] for one in boards()[uid]["templating"]["list"]]
        assert names == [one for one in ("datasource", "job", "arm", "handler", "window") if one in names]
        assert names[0] == "datasource"

    def test_uses_every_variable_that_it_offers(self, uid: str) -> None:
        names = {one["name"] for one in boards()[uid]["templating"]["list"]} - {"datasource"}
        text = str([place.panel for place in panels() if place.board == uid])
        assert {name for name in names if f"${name}" not in text and f"${{{name}" not in text} == set()

    def test_offers_every_variable_that_it_uses(self, uid: str) -> None:
        names = {one["name"] for one in boards()[uid]["templating"]["list"]}
        text = str([place.panel for place in panels() if place.board == uid])
        assert set(re.findall(r"\$\{?([a-z]\w*)", text)) <= names

    def test_numbers_its_panels_once(self, uid: str) -> None:
        numbers = [place.panel["id"] for place in panels() if place.board == uid]
        assert len(numbers) == len(set(numbers))

    def test_has_no_two_panels_in_one_place(self, uid: str) -> None:
        cells: set[tuple[int, int]] = set()
        for panel in boards()[uid]["panels"]:
            grid = panel["gridPos"]
            own = {
                (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
            }
            assert not cells & own, panel["title"]
            cells |= own


def test_the_committed_dashboards_are_current() -> None:
    assert FILES.outdated() == [], "run `make dashboards`"


def test_a_dashboard_that_no_board_makes_is_found(tmp_path: Path) -> None:
    (tmp_path / "grafana/dashboards").mkdir(parents=True)
    (tmp_path / "grafana/dashboards/leftover.json").touch()
    assert FILES.leftovers(tmp_path, set()) == ["grafana/dashboards/leftover.json"]


def test_every_board_that_an_alert_leads_to_exists() -> None:
    linked = {alert.dashboard.split("?", maxsplit=1)[0] for alert in every_alert(OBJECTIVES)}
    assert linked <= set(boards())


def test_every_variable_that_an_alert_sets_exists_on_its_board() -> None:
    for alert in every_alert(OBJECTIVES):
        uid, _, choice = alert.dashboard.partition("?")
        offered = {one["name"] for one in boards()[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", choice)) <= offered, alert.name


def test_every_link_leads_to_a_board() -> None:
    text = str(boards())
    assert set(re.findall(r"/d/([\w-]+)", text)) <= set(boards())


def test_every_deciding_metric_is_in_one_panel_of_the_lab_board() -> None:
    shown = {
        one.headline: [title for title, (matchers, _) in DECIDING.items() if matches(matchers, one.headline)]
        for one in BY_NAME.values()
    }
    assert {headline: titles for headline, titles in shown.items() if len(titles) != 1} == {}


def matches(matchers: str, metric: str) -> bool:
    """Return whether a series with this label `metric` is selected."""
    each_matcher = re.findall(r'metric(=~|!~)"([^"]*)"', matchers)
    return all((re.fullmatch(regex, metric) is not None) == (operator == "=~") for operator, regex in each_matcher)
