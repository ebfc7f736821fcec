"""Logs have one format, carry the ids of their request, and are restored afterwards."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import structlog
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from observability import TelemetrySettings, instrument
from observability.logs.format import formatter
from observability.logs.logs import restore_logging
from observability.telemetry import Telemetry
from tests.servers.asgi import serving
from tests.servers.http import Recorded, recording

SECRET = "pl4nted-secret"


async def hello(request: Request) -> PlainTextResponse:
    structlog.get_logger("shop").info("looking", item=7)
    logging.getLogger("old").warning("in %s style", "old", extra={"shelf": 3})
    return PlainTextResponse(request.url.path)


async def repeating(request: Request) -> PlainTextResponse:
    logging.getLogger("old").warning("they said %s", request.query_params["said"])
    structlog.get_logger("shop").info("message", said=request.query_params["said"])
    return PlainTextResponse("")


async def failing(request: Request) -> PlainTextResponse:
    value = request.headers["authorization"]
    raise ValueError(f"cannot use {value}")


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def logged(stream: io.StringIO, **settings: Any) -> Iterator[tuple[str, Telemetry]]:
    """Serve an application that logs to the stream, until its log is complete."""
    given = {"metrics_exporter": "none", "log_format": "json"}
    app = Starlette(routes=[Route("/hello", hello), Route("/raise", failing), Route("/repeat", repeating)])
    stderr, sys.stderr = sys.stderr, stream
    try:
        telemetry = instrument(app, settings=TelemetrySettings(**given | settings))
        with serving(app, log_config=None, log_level="info") as url:
            yield url, telemetry
    finally:
        sys.stderr = stderr
        restore_logging()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_all_loggers_write_json_with_the_ids_of_the_request() -> None:
    stream = io.StringIO()
    with logged(stream) as (url, _):
        response = httpx.get(f"{url}/hello", headers={"x-request-id": "order-7"})
    records = {record["message"]: record for record in lines(stream)}
    assert records["looking"].items() >= {"level": "info", "logger": "shop", "item": 7}.items()
    assert records["in old style"].items() >= {"level": "warning", "logger": "old", "shelf": 3}.items()
    assert records["Application startup complete."]["logger"] == "uvicorn.error"
    for message in ("looking", "in old style", "request"):
        assert records[message]["trace_id"] == response.headers["x-trace-id"]
        assert records[message]["request_id"] == response.headers["x-request-id"] == "order-7"
        assert len(records[message]["span_id"]) == 16
        assert list(records[message])[:4] == ["timestamp", "level", "logger", "message"]


def test_each_request_leaves_one_access_record() -> None:
    stream = io.StringIO()
    with logged(stream) as (url, _):
        httpx.get(f"{url}/hello?q={SECRET}")
        httpx.get(f"{url}/nothing")
        httpx.get(f"{url}/raise", headers={"authorization": SECRET})
    access = [record for record in lines(stream) if record["logger"].endswith("access")]
    assert [(a["method"], a["path"], a["handler"], a["status"], a["level"]) for a in access] == [
        ("GET", "/hello", "/hello", 200, "info"),
        ("GET", "/nothing", "unmatched", 404, "info"),
        ("GET", "/raise", "/raise", 500, "error"),
    ]
    assert all(a["duration_ms"] > 0 and a["client"] == "127.0.0.1" for a in access)
    assert access[0]["sent_bytes"] == len("/hello")
    assert SECRET not in stream.getvalue()


def test_an_exception_is_logged_with_the_ids_of_its_request_and_without_its_secrets() -> None:
    stream = io.StringIO()
    with logged(stream) as (url, _):
        response = httpx.get(f"{url}/raise", headers={"authorization": SECRET})
    (record,) = [record for record in lines(stream) if "exception" in record]
    assert record["logger"] == "uvicorn.error"
    assert record["trace_id"] == response.headers["x-trace-id"]
    assert "ValueError: cannot use REDACTED" in record["exception"]


@pytest.mark.parametrize("given", ["a b", "a\tb", "", "x" * 129, 'a"b', "ü"])
def test_a_request_id_that_is_none_is_replaced(given: str) -> None:
    stream = io.StringIO()
    with logged(stream) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        response = raw(
            host, int(port), b"GET /hello HTTP/1.1\r\nhost: x\r\nx-request-id: " + given.encode() + b"\r\n\r\n"
        )
    if b" 200 " in response:
        record = next(record for record in lines(stream) if record["message"] == "request")
        assert record["request_id"] == record["span_id"]
        assert f"x-request-id: {record['span_id']}".encode() in response


def raw(host: str, port: int, request: bytes) -> bytes:
    import socket  # noqa: PLC0415 only this test speaks HTTP by hand

    with socket.create_connection((host, port)) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def test_what_callers_choose_stays_on_one_line() -> None:
    stream = io.StringIO()
    with logged(stream, log_format="console") as (url, _):
        httpx.get(f"{url}/a%0Ab%22c%1b[31m")
        httpx.get(f"{url}/hello")
    text = stream.getvalue()
    assert "\x1b[31m" not in text
    assert r"GET /a\nb\"c" in text


SAID = "\x85a\u2028b\x1b[31mc\x9b2Jd\ne"


def test_what_is_repeated_of_callers_stays_on_one_line_of_json() -> None:
    stream = io.StringIO()
    with logged(stream, access_log=False) as (url, _):
        httpx.get(f"{url}/repeat", params={"said": SAID})
    first, second = (line for line in lines(stream) if line["logger"] in {"old", "shop"})
    assert first["message"] == f"they said {SAID}"
    assert second["said"] == SAID
    assert stream.getvalue().isascii()


def test_text_of_clients_cannot_control_a_terminal() -> None:
    stream = io.StringIO()
    with logged(stream, log_format="console", access_log=False) as (url, _):
        httpx.get(f"{url}/repeat", params={"said": SAID})
    text = stream.getvalue()
    assert not set(text) & set("\x1b\x85\x9b\u2028")
    assert r"a\x2028b\x1b[31mc\x9b2Jd" in text
    assert not [line for line in text.split("\n") if line.startswith("e")]


def test_a_lone_surrogate_is_written() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    for is_json in (True, False):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter(json=is_json, colors=False))
        handler.handle(logging.makeLogRecord({"name": "old", "msg": "a \udc80 b", "levelname": "INFO"}))
    stream.seek(0)
    as_json, for_people = stream.read().splitlines()
    assert json.loads(as_json)["message"] == r"a \udc80 b"
    assert r"a \udc80 b" in for_people


def test_on_a_terminal_people_read_lines() -> None:
    stream = Terminal()
    with logged(stream, log_format="auto") as (url, _):
        httpx.get(f"{url}/hello")
    assert "GET /hello 200" in stream.getvalue()
    assert "looking" in stream.getvalue()


def test_records_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    with logged(stream, log_level="error", access_log=False) as (url, _):
        httpx.get(f"{url}/hello")
    assert stream.getvalue() == ""


def test_logging_is_given_back_as_it_was() -> None:
    root = logging.getLogger()
    kept, replaced = logging.NullHandler(), logging.StreamHandler(stream := io.StringIO())
    root.handlers, before, level = [*root.handlers, kept, replaced], root.handlers.copy(), root.level
    try:
        expected = root.handlers.copy()
        stderr, sys.stderr = sys.stderr, stream
        try:
            with logged(stream) as (url, _):
                httpx.get(f"{url}/hello")
                assert kept in root.handlers
                assert replaced not in root.handlers
                assert structlog.is_configured()
        finally:
            sys.stderr = stderr
        assert root.handlers == expected
        assert root.level == level
        assert not structlog.is_configured()
    finally:
        root.handlers = before


def test_logging_is_unchanged_if_disabled() -> None:
    root = logging.getLogger()
    before = root.handlers.copy()
    stream = io.StringIO()
    with logged(stream, log_format="none", access_log=False) as (url, _):
        httpx.get(f"{url}/hello")
        assert root.handlers == before
    assert stream.getvalue() == ""


def test_a_blocked_stream_does_not_delay_requests() -> None:
    class Stuck(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    with logged(Stuck(), log_format="json") as (url, _):
        assert all(httpx.get(f"{url}/nothing").status_code == 404 for _ in range(3))


@pytest.fixture
def collector() -> Iterator[Recorded]:
    with recording() as recorded:
        yield recorded


def test_records_are_exported_once_and_under_their_trace(collector: Recorded) -> None:
    stream = io.StringIO()
    with logged(stream, logs_exporter="otlp", otlp_endpoint=collector.url, traces_exporter="none") as (url, _):
        response = httpx.get(f"{url}/hello")
    records = [
        record
        for body in collector.bodies("/v1/logs")
        for group in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]
    bodies = [record.body.string_value for record in records]
    for message in ("looking", "in old style", "GET /hello 200"):
        assert bodies.count(message) == 1
        record = records[bodies.index(message)]
        assert record.trace_id.hex() == response.headers["x-trace-id"]
    attributes = {pair.key: pair.value for pair in records[bodies.index("looking")].attributes}
    assert attributes["item"].int_value == 7


def test_records_are_not_exported_by_default(collector: Recorded) -> None:
    with logged(io.StringIO(), otlp_endpoint=collector.url, traces_exporter="none") as (url, _):
        httpx.get(f"{url}/hello")
    assert collector.bodies("/v1/logs") == []
