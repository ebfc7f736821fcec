"""Every attribute that is emitted is one of the semantic conventions or declared in our registry."""

import asyncio
import logging
import re
import shutil
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import opentelemetry.semconv
import pytest
import structlog
from fastapi import FastAPI, Request, WebSocket
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from docsgen.metrics_page import package_metrics
from docsgen.semconv_page import REGISTRY, attributes, groups
from examples import bookshop
from observability import TelemetrySettings, instrument
from observability.core import semconv
from observability.logs.logs import restore_logging
from service.app import create_app
from tests.servers.arm import arm_settings
from tests.servers.asgi import serving
from tests.servers.http import Recorded, recording

pytestmark = pytest.mark.usefixtures("detection_of_blocks")

ACCESS_RECORDS = "observability.access"


def official() -> set[str]:
    """Return the attributes of the semantic conventions that are not deprecated."""
    (package,) = opentelemetry.semconv.__path__
    files = (*Path(package).glob("attributes/*.py"), *Path(package).glob("_incubating/attributes/*.py"))
    constant = re.compile(r'^[A-Z0-9_]+: Final = "([^"]+)"\n"""\n(?!Deprecated)', re.MULTILINE)
    return {name for file in files for name in constant.findall(file.read_text("utf-8"))}


def failing_app() -> FastAPI:
    """Return an application with what the others lack: failures, a blocked loop, logs of every kind, a WebSocket."""
    app = FastAPI(title="failing")

    @app.get("/fail")
    async def fail() -> None:
        structlog.get_logger("shop").error("failing", stack_info=True)
        logging.getLogger("shop").error("x" * 300_000)
        raise TimeoutError

    @app.get("/block")
    async def block() -> None:
        time.sleep(0.5)  # noqa: ASYNC251 blocks on purpose

    @app.get("/wait")
    async def wait() -> None:
        try:
            1 / 0  # noqa: B018 raises
        except ZeroDivisionError:
            logging.getLogger("shop").exception("not a number")
        await asyncio.sleep(0.5)

    @app.get("/leave")
    async def leave(request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        raise ClientDisconnect

    @app.websocket("/talk")
    async def talk(websocket: WebSocket) -> None:
        raise ValueError(websocket.url.path)

    return app


def request(base: str, path: str, *, hang_up: bool = False) -> None:
    if not hang_up:
        httpx.get(f"{base}{path}", headers={"x-request-id": "order-7"})
        return
    with socket.create_connection(("127.0.0.1", int(base.rpartition(":")[2]))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(0.2)


def handshake(base: str) -> None:
    upgrade = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    httpx.get(f"{base}/talk", headers=upgrade)


@pytest.fixture(scope="module")
def collector(few_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    data_dir = Path(shutil.copytree(few_flights, tmp_path_factory.mktemp("flights") / "data"))
    with recording() as collector, pytest.MonkeyPatch.context() as environment:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "LOG_FORMAT": "json",
            "OBSERVABILITY_SLOW_REQUEST_S": "0.4",
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        for app, paths in applications(data_dir, tmp_path_factory.mktemp("shop") / "shop.db"):
            with serving(app) as base:
                for path in paths:
                    request(base, path)
                if "/wait" in paths:
                    request(base, "/wait", hang_up=True)
                    request(base, "/leave", hang_up=True)
                    handshake(base)
            restore_logging()
        yield collector


def applications(data_dir: Path, shop: Path) -> Iterator[tuple[ASGIApp, list[str]]]:
    flights = ["/flights", "/flights?limit=0", "/airports", "/airports/JFK/departures?date=2013-07-01", "/missing"]
    for arm in ("none", "all"):
        yield create_app(arm_settings(arm, data_dir)), [*flights, *flights]
    yield bookshop.create_app(f"sqlite:///{shop}"), ["/authors", "/books/1", "/books/999"]
    for settings in ({}, {"traces_sampler": "always_off"}):
        app = failing_app()
        instrument(app, settings=TelemetrySettings.from_environ().model_copy(update=settings))
        yield app, ["/fail", "/block", "/wait", "/missing"]


@pytest.fixture(scope="module")
def emitted(collector: Recorded) -> dict[str, set[str]]:
    """Return where each attribute was emitted: resource, span, span event or log record."""
    found: dict[str, set[str]] = defaultdict(set)
    for body in collector.bodies("/v1/traces"):
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            found["resource"] |= {pair.key for pair in group.resource.attributes}
            for span in (span for scope in group.scope_spans for span in scope.spans):
                found["span"] |= {pair.key for pair in span.attributes}
                found["event"] |= {pair.key for event in span.events for pair in event.attributes}
                found["event name"] |= {event.name for event in span.events}
    for body in collector.bodies("/v1/logs"):
        for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
            for record in (record for scope in logs.scope_logs for record in scope.log_records):
                found["log record"] |= {pair.key for pair in record.attributes}
    return found


@pytest.mark.parametrize("where", ["resource", "span", "event", "log record"])
def test_every_attribute_is_official_or_declared(where: str, emitted: dict[str, set[str]]) -> None:
    declared = {attribute["id"] for attribute in attributes()}
    assert emitted[where]
    assert emitted[where] - official() - declared == set()


def test_every_event_is_declared_and_every_kind_was_emitted(emitted: dict[str, set[str]]) -> None:
    declared = {group["name"] for group in groups("event")}
    assert emitted["event name"] == declared | {"exception"}
    elsewhere = {"celery.task_name"}  # needs a broker
    everything = set().union(*emitted.values())
    assert {attribute["id"] for attribute in attributes()} - elsewhere <= everything


def test_attributes_of_the_access_log_have_the_types_of_the_conventions(collector: Recorded) -> None:
    statuses, errors = set(), set()
    for body in collector.bodies("/v1/logs"):
        for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in logs.scope_logs:
                if scope.scope.name != ACCESS_RECORDS:
                    continue
                for record in scope.log_records:
                    pairs = {pair.key: pair.value for pair in record.attributes}
                    if "http.response.status_code" in pairs:
                        assert pairs["http.response.status_code"].WhichOneof("value") == "int_value"
                        statuses.add(pairs["http.response.status_code"].int_value)
                    else:
                        errors.add(pairs["error.type"].string_value)
                    is_missing = pairs["url.path"].string_value == "/missing"
                    assert ("http.route" in pairs) != is_missing
    assert statuses >= {200, 404, 500}
    assert errors == {"client_disconnected"}


def test_spans_of_clients_that_left_have_no_invented_status_and_exceptions_their_module(collector: Recorded) -> None:
    types = set()
    for body in collector.bodies("/v1/traces"):
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in (span for scope in group.scope_spans for span in scope.spans):
                pairs = {pair.key: pair.value for pair in span.attributes}
                if "error.type" in pairs:
                    types.add(pairs["error.type"].string_value)
                if pairs.get("url.path", AnyValue()).string_value == "/leave":
                    assert pairs["error.type"].string_value == "client_disconnected"
                    assert "http.response.status_code" not in pairs
    assert types >= {"client_disconnected", "TimeoutError", "ValueError"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError(), "ValueError"),
        (httpx.ConnectTimeout(""), "httpx.ConnectTimeout"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
    ],
)
def test_the_type_of_an_exception_has_its_module(error: BaseException, expected: str) -> None:
    assert semconv.exception_type(error) == expected


def test_the_registry_has_every_name_in_the_code() -> None:
    names = {value for value in vars(semconv).values() if isinstance(value, str) and value.startswith("flightdeck.")}
    declared = {attribute["id"] for attribute in attributes()} | {group["name"] for group in groups("event")}
    others = {"celery.task_name", "fastapi.validation.error_count", "fastapi.validation.failed"}
    assert declared == names | {"flightdeck.arm"} | others


def test_the_registry_has_every_metric() -> None:
    instruments = {"info": "gauge", "summary": "histogram"}
    exposed = {one.name: (instruments.get(one.kind, one.kind), one.help) for one in package_metrics()}
    assert {one["metric_name"]: (one["instrument"], one["brief"]) for one in groups("metric")} == exposed


def test_the_registry_is_package_data() -> None:
    assert {file.name for file in REGISTRY.iterdir()} == {
        "attributes.yaml",
        "events.yaml",
        "metrics.yaml",
        "registry_manifest.yaml",
    }
