"""Objectives as OpenSLO, in both directions, and what has no place in the other format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.kit.discovery import discovered
from lab.kit.openslo import OpenSloError, imported, openslo_text
from lab.kit.slo_file import slo_text
from prometheus.promql import LATENCY
from prometheus.slo import Objectives, load, parse
from tests.lab.kit.services import GATEWAY, ORDERS, described, exposition
from tests.servers.asgi import serving

FLIGHTS = load()
ODD = described(exposition({("GET", '/a.b/{c}|d"e'): (200, 0.01), ("GET", "/a b\\c"): (200, 0.01)}, frozenset()), "odd")
SERVICES = {"flights": FLIGHTS, "orders": described(ORDERS, "orders"), "gateway": described(GATEWAY, "g"), "odd": ODD}
Document = dict[str, Any]
DOCUMENTS: list[Document] = list(yaml.safe_load_all(openslo_text(SERVICES["gateway"])))


@pytest.mark.parametrize("objectives", SERVICES.values(), ids=SERVICES)
def test_objectives_survive_the_round_trip(objectives: Objectives) -> None:
    read = imported(openslo_text(objectives))
    assert dict(read.groups) == objectives.groups
    assert (read.jobs, read.window, read.excluded) == (objectives.jobs, objectives.window, objectives.excluded)
    again = parse(slo_text(discovered(ORDERS), job="other", targets=["a:1"], agreed=read), name="slo.toml")
    for entry in ("groups", "jobs", "window", "excluded"):
        assert getattr(again, entry) == getattr(objectives, entry)


def test_a_service_is_one_object_and_each_group_two() -> None:
    kinds = [one["kind"] for one in yaml.safe_load_all(openslo_text(FLIGHTS))]
    assert kinds == ["Service"] + ["SLO"] * 2 * len(FLIGHTS.groups)
    assert {one["apiVersion"] for one in DOCUMENTS} == {"openslo/v1"}


ROUTES = 'handler="/"'


def ratio(good: str, total: str, routes: str = ROUTES) -> str:
    """Return a file with this objective of availability, and one of latency of the same routes."""

    def slo(name: str, good: str, total: str) -> Document:
        sources = {
            side: {"metricSource": {"spec": {"query": query}}} for side, query in (("good", good), ("total", total))
        }
        return {
            "apiVersion": "openslo/v1",
            "kind": "SLO",
            "metadata": {"name": name},
            "spec": {
                "service": "s",
                "indicator": {"metadata": {"name": "i"}, "spec": {"ratioMetric": sources}},
                "timeWindow": [{"duration": "4w", "isRolling": True}],
                "budgetingMethod": "Occurrences",
                "objectives": [{"targetPercent": 99.9}],
            },
        }

    fast = slo("fast", f'sum({LATENCY}_bucket{{{routes}, le="0.5"}})', f"sum({LATENCY}_count{{{routes}}})")
    return yaml.safe_dump_all([slo("s-reads-availability", good, total), fast])


@pytest.mark.parametrize(
    ("good", "total"),
    [
        ('status!~"5.."', ""),
        ('code!~"5.."', ""),
        ('status=~"2xx|3xx|4xx"', 'status=~".xx"'),
        ('status!="5xx"', 'status!="client_disconnected"'),
    ],
)
def test_queries_of_other_authors_are_read_by_their_meaning(good: str, total: str) -> None:
    routes = 'handler=~"/a|/b/[{]id[}]"'
    text = ratio(
        f"sum(rate(http_requests_total{{{routes}, {good}}}[5m]))",
        f"sum(rate(http_requests_total{{{', '.join(filter(None, (routes, total)))}}}[5m]))",
        routes,
    )
    read = imported(text)
    assert (read.window, read.jobs, list(read.groups)) == ("4w", (), ["reads"])
    group = read.groups["reads"]
    assert (group.handlers, group.availability.objective, group.latency.threshold_s) == (("/a", "/b/{id}"), 0.999, 0.5)


def change(change: Callable[[Document], object]) -> str:
    documents = json.loads(json.dumps(DOCUMENTS))
    change(documents[1])
    return yaml.safe_dump_all(documents)


def source(slo: Document, side: str) -> Document:
    found: Document = slo["spec"]["indicator"]["spec"]["ratioMetric"][side]["metricSource"]["spec"]
    return found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not YAML"),
        ("", "there is no SLO in it"),
        ("{}", "not as the specification of OpenSLO v1 says"),
        (
            change(lambda one: one.update(apiVersion="openslo/v1alpha")),
            "g-reads-availability has the version openslo/v1al",
        ),
        (change(lambda one: one.update(kind="AlertPolicy")), "AlertPolicy g-reads-availability has no place"),
        (change(lambda one: one["spec"].update(alertPolicies=[{}])), "g-reads-availability has alert policies"),
        (change(lambda one: one["spec"].update(budgetingMethod="Timeslices")), "budgeting method Timeslices"),
        (change(lambda one: one["spec"]["objectives"].append({"target": 0.5})), "has 2 objectives"),
        (change(lambda one: one["spec"].update(indicator=None, indicatorRef="i")), "refers to the SLI i"),
        (change(lambda one: one["spec"]["indicator"].update(spec={"thresholdMetric": {}})), "no ratioMetric"),
        (change(lambda one: one["spec"].update(timeWindow=[{"duration": "1M", "calendar": {}}])), "no rolling time"),
        (change(lambda one: one["spec"].update(timeWindow=[{"duration": "7d", "isRolling": True}])), "windows 30d, 7d"),
        (change(lambda one: one["spec"].update(service="other")), "are about g, other"),
        (change(lambda one: source(one, "good").update(query="sum(")), "good: 'sum\\(' is not a query"),
        (change(lambda one: source(one, "good").update(query="a + b")), "good: a \\+ b reads 2 series"),
        (change(lambda one: source(one, "total").update(query='a{region="x"}')), "selects by region"),
        (change(lambda one: source(one, "total").update(query="http_requests_total")), "other routes or jobs"),
        (ratio('a{handler="/"}', 'b{handler="/"}'), "divides a by b; the kit counts http_requests_total"),
        (ratio(*['http_requests_total{handler=~"/x.*"}'] * 2), "by the pattern /x\\.\\*; slo.toml lists them"),
        (ratio(*['http_requests_total{handler="/"}'] * 2), "other requests as good than those without a server error"),
        (
            ratio('http_requests_total{handler="/", status="2xx"}', 'http_requests_total{handler="/", status="2xx"}'),
            "leaves responses out of the total",
        ),
        (
            yaml.safe_dump_all(DOCUMENTS[:2]),
            "reads-availability: routes need one objective of availability and one of la",
        ),
    ],
)
def test_what_has_no_place_in_slo_toml_is_an_error_that_names_it(text: str, message: str) -> None:
    with pytest.raises(OpenSloError, match=message):
        imported(text)


def test_a_window_that_openslo_has_no_unit_for_is_an_error() -> None:
    with pytest.raises(OpenSloError, match="the window 90s is no whole number of minutes"):
        openslo_text(FLIGHTS.model_copy(update={"window": "90s"}))


@pytest.mark.parametrize("version", ["openslo/v1", "openslo/v2alpha"])
def test_init_takes_the_objectives_of_a_file_and_the_parts_of_the_service(version: str, tmp_path: Path) -> None:
    agreed, slo = tmp_path / "openslo.yaml", tmp_path / "slo.toml"
    agreed.write_text(openslo_text(SERVICES["gateway"]).replace("openslo/v1", version), "utf-8")
    with serving(Starlette(routes=[Route("/metrics", lambda _: PlainTextResponse(ORDERS))])) as url:
        options = ["--from", f"{url}/metrics", "--from-openslo", agreed, "--target", "shop:9464", "--out", slo]
        done = CliRunner().invoke(app, ["kit", "init", *map(str, options)])
    if version != "openslo/v1":
        assert (done.exit_code, "openslo/v1 is read" in done.stderr, slo.exists()) == (2, True, False)
        return
    written = load(slo)
    assert written.groups == SERVICES["gateway"].groups
    assert (written.targets, "pool" in written.parts) == ({"g": ("shop:9464",)}, True)
