"""Why a query has no data, by what Prometheus declares and has; which boards Grafana does not have."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.kit.build import Extras, kit_files, write
from lab.kit.check import Server, _without_data, without_data
from lab.kit.discovery import discovered
from lab.kit.queries import Query, queries
from lab.kit.slo_file import slo_text
from prometheus.duration import ACCELERATED
from tests.lab.kit.services import ORDERS, described
from tests.servers.asgi import serving

ORDERS_SERVICE = described(ORDERS, "orders")


def server(*, declared: set[str], with_data: set[str]) -> Server:
    def respond(request: httpx.Request) -> httpx.Response:
        data: object = {"result": [{}] if request.url.params.get("query") in with_data else []}
        if request.url.path.endswith(("metadata", "values")):
            data = sorted(declared)
        return httpx.Response(200, json={"status": "success", "data": data})

    return Server(httpx.Client(base_url="http://prometheus", transport=httpx.MockTransport(respond)))


@pytest.mark.parametrize(
    ("expression", "is_alert", "expected"),
    [
        ("here", False, None),
        ("quiet_total", False, ("no data", "nothing has been counted in quiet_total yet")),
        ("here > 5", False, ("no data", "its condition holds for no series now")),
        ("here > 5", True, None),
        ("gone", False, ("problem", "no target exposes gone")),
        ("gone > 5", True, ("problem", "no target exposes gone")),
        ("db_client_connection_max", False, ("problem", "remove pool from parts")),
        ("cache_size_bytes", False, ("no data", "the service has no cache")),
        ("otelcol_late_total", False, ("no data", "nothing has been counted in otelcol_late_total yet")),
        ("otelcol_late_total > 0", True, None),
    ],
)
def test_a_query_without_data_has_a_reason(expression: str, is_alert: bool, expected: tuple[str, str] | None) -> None:
    query = Query(where="somewhere", expression=expression, is_alert=is_alert)
    prometheus = server(declared={"here", "quiet", "otelcol_here"}, with_data={"here"})
    finding = _without_data(query, ORDERS_SERVICE, prometheus)
    if expected is None:
        assert finding is None
    else:
        assert finding is not None
        assert finding.kind == expected[0]
        assert expected[1] in finding.text


def test_without_the_program_no_target_exposes_what_it_declares_late() -> None:
    with_collector = ORDERS_SERVICE.model_copy(update={"parts": (*ORDERS_SERVICE.parts, "collector")})
    query = Query(where="somewhere", expression="otelcol_late_total")
    finding = _without_data(query, with_collector, server(declared={"here"}, with_data={"here"}))
    assert finding is not None
    assert finding.kind == "problem"
    assert finding.text.startswith("no target exposes otelcol_late_total; remove collector from parts")


def test_a_panel_is_empty_if_none_of_its_queries_has_data() -> None:
    both = server(declared={"here", "quiet"}, with_data={"here"})
    every = [
        Query(where=f"board B, panel {panel}", expression=expression, is_of_panel=True)
        for panel, expression in [
            ("empty", "quiet_total"),
            ("empty", "here > 5"),
            ("half", "here"),
            ("half", "quiet_total"),
            ("broken", "quiet_total"),
            ("broken", "gone"),
        ]
    ]
    found = [(one.kind, one.where.removeprefix("board B, panel ")) for one in without_data(every, ORDERS_SERVICE, both)]
    assert found == [("empty panel", "empty"), ("no data", "half"), ("no data", "broken"), ("problem", "broken")]


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A folder with a `slo.toml`, and its kit with everything that can be added, in `monitoring`."""
    (tmp_path / "slo.toml").write_text(slo_text(discovered(ORDERS), job="orders", targets=["127.0.0.1:9464"]), "utf-8")
    extras = Extras(kubernetes=True, compose=True, openslo=True)
    write(kit_files(ORDERS_SERVICE, ACCELERATED, extras), tmp_path / "monitoring")
    return tmp_path


@pytest.fixture
def servers(kit: Path) -> Iterator[str]:
    """The URL of a Prometheus in which every rule is healthy and every query has data, and of a Grafana.

    Grafana has every board with the tag of the service but the one about the pool.
    """
    names = [query.where.removeprefix("rule ") for query in rules(kit)]

    async def prometheus(request: Request) -> Response:
        data: object = {"result": [{}]}
        if request.path_params["path"] == "rules":
            data = {"groups": [{"rules": [{"name": name, "health": "ok"} for name in names]}]}
        elif request.path_params["path"] != "query":
            data = ["up"]
        return JSONResponse({"status": "success", "data": data})

    async def grafana(request: Request) -> Response:
        boards = [
            json.loads(path.read_text("utf-8")) for path in (kit / "monitoring/grafana/dashboards").glob("*.json")
        ]
        found = [one for one in boards if request.query_params["tag"] in one["tags"] and one["uid"] != "orders-pooling"]
        return JSONResponse([{"uid": one["uid"]} for one in found])

    routes = [Route("/api/v1/{path:path}", prometheus), Route("/api/search", grafana)]
    with serving(Starlette(routes=routes)) as url:
        yield url


def rules(kit: Path) -> list[Query]:
    folder = kit / "monitoring"
    files = {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*.yml")}
    return [one for one in queries(files) if one.where.startswith("rule ")]


def test_boards_that_grafana_lacks_and_edited_files_are_problems(kit: Path, servers: str) -> None:
    edited = kit / "monitoring/prometheus/rules/slo.yml"
    edited.write_text(edited.read_text("utf-8") + "# mine\n", "utf-8")
    options = ["--slo", kit / "slo.toml", "--out", kit / "monitoring", "--prometheus", servers, "--grafana", servers]
    done = CliRunner().invoke(app, ["kit", "check", *map(str, options), "--json"])
    findings = json.loads(done.stdout)["findings"]
    assert [(one["kind"], one["where"]) for one in findings] == [
        ("problem", "prometheus/rules/slo.yml"),
        ("problem", "orders-pooling"),
    ]
    assert done.exit_code == 1


def test_a_grafana_that_does_not_respond_is_an_error(kit: Path, servers: str) -> None:
    options = ["--slo", kit / "slo.toml", "--out", kit / "monitoring", "--prometheus", servers]
    done = CliRunner().invoke(app, ["kit", "check", *map(str, options), "--grafana", "http://127.0.0.1:1"])
    assert (done.exit_code, "http://127.0.0.1:1 does not respond like Grafana" in done.stderr) == (2, True)
