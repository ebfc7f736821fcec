"""The metrics server: its format, a taken port, and scrapes while the event loop is blocked."""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from observability import TelemetrySettings, instrument
from observability.core.internal_errors import internal_error_count, raise_internal_errors
from observability.core.resource import build_resource
from observability.metrics.file_sd import FileSdTarget
from observability.metrics.server import PORTS_TRIED, NoFreePort
from observability.telemetry import Telemetry
from tests.servers.asgi import serving

pytestmark = pytest.mark.usefixtures("detection_of_blocks")

BLOCKED_S = 2.0


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def blocking(_: Request) -> PlainTextResponse:
    time.sleep(BLOCKED_S)  # noqa: ASYNC251 what the test is about
    return PlainTextResponse("sorry")


def instrumented(**settings: Any) -> tuple[Starlette, Telemetry]:
    app = Starlette(routes=[Route("/hello", hello), Route("/block", blocking)])
    given = {"metrics_port": 0, "log_format": "none", "access_log": False}
    return app, instrument(app, registry=CollectorRegistry(), settings=TelemetrySettings(**given | settings))


def test_readers_of_openmetrics_get_it_and_others_get_text() -> None:
    app, telemetry = instrumented()
    with serving(app) as url:
        httpx.get(f"{url}/hello")
        metrics = f"http://127.0.0.1:{telemetry.metrics_port}/metrics"
        opened = httpx.get(metrics, headers={"accept": "application/openmetrics-text;version=1.0.0"})
        plain = httpx.get(metrics)
        assert httpx.get(f"{url}/metrics").status_code == 404, "not on the public port"
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    names = {family.name for family in text_string_to_metric_families(opened.text)}  # type: ignore[no-untyped-call]
    assert {"http_requests", "http_request_duration_seconds", "http_requests_inprogress"} <= names
    assert plain.headers["content-type"].startswith("text/plain")


def test_metrics_are_read_while_the_event_loop_is_blocked() -> None:
    app, telemetry = instrumented()
    with serving(app) as url:
        httpx.get(f"{url}/hello")
        victim = Thread(target=httpx.get, args=(f"{url}/block",), kwargs={"timeout": 30})
        victim.start()
        reads = 0
        while victim.is_alive():
            started = time.perf_counter()
            text = httpx.get(f"http://127.0.0.1:{telemetry.metrics_port}/metrics").text
            assert time.perf_counter() - started < BLOCKED_S / 2
            reads += "http_requests_inprogress 1.0" in text
        victim.join()
        final = httpx.get(f"http://127.0.0.1:{telemetry.metrics_port}/metrics").text
    assert reads >= 2
    assert 'event_loop_blocked_seconds_total{handler="/block"}' in final


def test_if_a_port_is_taken_the_next_one_is_used(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, caplog.at_level(logging.INFO, "observability"):
        port = taken.getsockname()[1]
        app, telemetry = instrumented(metrics_port=port)
        with serving(app) as url:
            assert telemetry.metrics_port in range(port + 1, port + PORTS_TRIED)
            assert httpx.get(f"{url}/hello").text == "hello"
    assert f"metrics port {port} is taken" in caplog.text


def test_without_a_free_port_the_application_runs_and_logs_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("observability.metrics.server.PORTS_TRIED", 1)
    before = internal_error_count("metrics_server")
    with socket.create_server(("127.0.0.1", 0)) as taken, raise_internal_errors(False):
        app, telemetry = instrumented(metrics_port=taken.getsockname()[1])
        with serving(app) as url:
            assert httpx.get(f"{url}/hello").text == "hello"
            assert telemetry.metrics_port is None
    assert internal_error_count("metrics_server") == before + 1
    assert before or "OTEL_EXPORTER_PROMETHEUS_PORT" in caplog.text


def test_the_message_names_ports_and_setting() -> None:
    message = str(NoFreePort("127.0.0.1", range(9464, 9528)))
    assert "9464 to 9527" in message
    assert "OTEL_EXPORTER_PROMETHEUS_PORT" in message


def test_a_process_announces_itself_while_it_serves(tmp_path: Path) -> None:
    app, telemetry = instrumented(metrics_targets_dir=str(tmp_path / "targets"), service_name="the shop")
    with serving(app):
        (path,) = (tmp_path / "targets").glob("*.json")
        (group,) = json.loads(path.read_text())
        assert group["targets"] == [f"127.0.0.1:{telemetry.metrics_port}"]
        assert group["labels"]["service"] == "the shop"
        assert len(group["labels"]["worker"]) == 36
    assert list((tmp_path / "targets").iterdir()) == []


def test_files_of_dead_processes_are_removed_and_others_stay(tmp_path: Path) -> None:
    host = socket.gethostname()
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead, alive = tmp_path / f"shop-{host}-{gone.pid}.json", tmp_path / f"shop-{host}-{os.getppid()}.json"
    elsewhere = tmp_path / f"shop-other-host-{gone.pid}.json"
    for path in (dead, alive, elsewhere):
        path.write_text("[]")
    target = FileSdTarget(tmp_path, service="shop")
    own = target.write(host="0.0.0.0", port=1, labels={})  # noqa: S104 the address of the test
    assert set(tmp_path.iterdir()) == {alive, elsewhere, own}
    assert json.loads(own.read_text())[0]["targets"] == [f"{host}:1"]


def test_a_directory_that_cannot_be_written_does_not_stop_the_metrics(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with raise_internal_errors(False):
        app, telemetry = instrumented(metrics_targets_dir=str(tmp_path / "file" / "targets"))
        with serving(app):
            assert httpx.get(f"http://127.0.0.1:{telemetry.metrics_port}/metrics").status_code == 200


def test_each_process_has_an_identity_of_its_own() -> None:
    settings = TelemetrySettings(service_name="shop", resource_attributes={"service.name": "other", "team": "blue"})
    one, two = build_resource(settings, title="x"), build_resource(settings, title="x")
    assert one.attributes["service.instance.id"] != two.attributes["service.instance.id"]
    assert one.attributes["service.name"] == "shop"
    assert one.attributes["team"] == "blue"
    assert build_resource(TelemetrySettings(), title="x").attributes["service.name"] == "x"
    assert build_resource(TelemetrySettings(), title="").attributes["service.name"] == "unknown_service:python"
