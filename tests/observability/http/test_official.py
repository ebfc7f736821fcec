"""Our HTTP telemetry and that of the official libraries are the same, but for the differences in
docs/official-libraries.md: the same requests through both ways, series and spans compared.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, Final, cast

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from websockets.sync.client import connect

from observability.testing import CapturedTelemetry, capture_telemetry
from tests.observability.request.test_route import CASES, application
from tests.servers.asgi import serving

PAGE: Final = Path(__file__).parents[3] / "docs" / "official-libraries.md"

REQUESTS = 300

Request = tuple[str, str, dict[str, str]]

EXTRA: tuple[Request, ...] = (
    ("GET", "/raises", {}),
    ("GET", "/stream", {}),
    ("GET", "/breaks", {}),
    ("GET", "/background", {}),
    ("GET", "/background-fails", {}),
    ("POST", "/items/7", {}),
    ("HEAD", "/v2/items/7", {}),
    ("GET", "/v2/items/7?token=secret&page=2", {}),
    ("GET", "/v2/items/7", {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}),
    ("GET", "/v2/items/7", {"x-tenant": "acme", "x-secret": "s3cret"}),
    ("GET", "/on/host/1", {"host": "special.example"}),
    ("GET", "/health", {}),
)


def shop(tmp_path: Path) -> FastAPI:
    app = application(tmp_path)

    @app.get("/raises")
    async def raises() -> None:
        raise ValueError("no such item")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        return StreamingResponse(parts())

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise ValueError("the second is missing")

        return StreamingResponse(parts())

    def later(fails: bool) -> None:
        if fails:
            raise ValueError("later")

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> None:
        tasks.add_task(later, fails=False)

    @app.get("/background-fails")
    async def background_fails(tasks: BackgroundTasks) -> None:
        tasks.add_task(later, fails=True)

    @app.get("/health")
    async def health() -> None:
        pass

    @app.websocket("/ws/{room}")
    async def room(socket: WebSocket, room: str) -> None:
        await socket.accept()
        await socket.send_text(f"{room} {await socket.receive_text()}")
        await socket.close()

    return app


def the_requests() -> list[Request]:
    """Return every case once, and further ones at random; a header numbers them."""
    known: list[Request] = [(method, path, {}) for method, path, _, _ in CASES.values()] + list(EXTRA)
    chosen = known + Random(7).choices(known, k=REQUESTS - len(known))
    return [
        (method, path, headers | {"x-number": str(number)}) for number, (method, path, headers) in enumerate(chosen)
    ]


Series = dict[tuple[str, str, str], float]
Spans = dict[str, dict[str, Any]]


def measured(way: str, tmp_path: Path) -> tuple[Series, Spans, Counter[str]]:
    """Return the series, the server spans by number of the request, and the names of other spans."""
    app = shop(tmp_path)
    with capture_telemetry(http=way) as captured:
        captured.instrument(app, **OPTIONS)
        try:
            with serving(app) as url:
                send(url)
                wait_for(lambda: captured.value("http_requests_total") == REQUESTS)
        finally:
            FastAPIInstrumentor.uninstrument_app(app)
        servers = [span for span in captured.spans() if span.kind is SpanKind.SERVER]
        others = Counter(span.name for span in captured.spans() if span.kind is not SpanKind.SERVER)
        return series(captured), {_number(span): as_dict(span) for span in servers}, others


def send(url: str) -> None:
    with httpx.Client(base_url=url, limits=httpx.Limits(max_keepalive_connections=0)) as client:
        for method, path, headers in the_requests():
            try:
                client.request(method, path, headers=headers)
            except httpx.TransportError:
                assert path == "/breaks"
    for room in ("a", "b"):
        address = f"{url.replace('http', 'ws')}/ws/{room}"
        with connect(address, additional_headers={"x-number": room}) as socket:
            socket.send("hello")
            assert socket.recv() == f"{room} hello"


def wait_for(is_true: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not is_true():  # a response arrives before the application returns
        assert monotonic() < deadline
        sleep(0.01)


def series(captured: CapturedTelemetry) -> Series:
    """Return the values by metric, handler, and method with class of status."""
    found: Series = {}
    for name in METRICS:
        for sample in captured.samples(name):
            labels = sample.labels
            status = labels["status"][:1] if name == "http_requests_total" else ""  # our durations have it too
            key = (name, labels["handler"], f"{labels.get('method', '')} {status}".strip())
            found[key] = found.get(key, 0) + sample.value
    return found


def as_dict(span: ReadableSpan) -> dict[str, Any]:
    return {
        "name": span.name,
        "status": span.status.status_code.name,
        "parent": span.parent.span_id if span.parent else None,
        "events": [event.name for event in span.events if event.name == "exception"],
        **(span.attributes or {}),
    }


def _number(span: ReadableSpan) -> str:
    (number,) = cast("tuple[str, ...]", (span.attributes or {})["http.request.header.x_number"])
    return number


@dataclass(frozen=True)
class Difference:
    """A documented difference: where it is, and what is then true of both values."""

    where: str
    """An attribute of spans, or a metric."""
    holds: Callable[[Any, Any], bool]
    paths: str = ".*"
    """Regular expression of the request's path, or of the handler."""


_BELOW = r"/(one|two|api/9|outer/a/starlette)/.*"

SPANS = {
    "server.address": Difference("server.address", lambda ours, theirs: theirs.startswith(f"{ours}:")),
    "server.port": Difference("server.port", lambda ours, theirs: ours != theirs),  # another server of the test
    "client.port": Difference("client.port", lambda ours, theirs: ours is None and theirs > 0),
    "url.query": Difference("url.query", lambda ours, _: "REDACTED" in ours, "/v2/items/7"),
    "a route below a mount": Difference(
        "http.route", lambda ours, theirs: ours is not None and ours.startswith(f"{theirs}/"), _BELOW
    ),
    "nothing below a mount": Difference("http.route", lambda ours, _: ours is None, _BELOW),
    "a route behind a host": Difference("http.route", lambda _, theirs: theirs is None, "/on/host/1"),
    "set_route_template()": Difference("http.route", lambda ours, _: ours == "/from/cache", "/v2/items/7"),
    "error.type": Difference("error.type", lambda ours, theirs: ours == "ValueError" and theirs in {"500", None}),
    "a broken stream's events": Difference("events", lambda ours, theirs: theirs == ours * 2, "/breaks"),
    "an exception in the background": Difference(
        "events", lambda ours, theirs: ours == ["exception"] and not theirs, "/background-fails"
    ),
    "the name of a connection": Difference(
        "name", lambda ours, theirs: ours == theirs.replace("HTTP", "WEBSOCKET"), "/ws/.*"
    ),
    "the method of a connection": Difference("http.request.method", lambda _, theirs: theirs is None, "/ws/.*"),
    "the status of a connection": Difference("http.response.status_code", lambda ours, _: ours is None, "/ws/.*"),
}
"""Differences of spans by the name that the page gives them."""

SERIES = {
    "a route below a mount": ("/two/same/{x}", "/two"),
    "a route behind a host": ("/on/host/{x}", "none"),
    "set_route_template()": ("/from/cache", "/v2/items/{item_id}"),
    "unmatched": ("unmatched", "none"),
    "a redirect of a slash": ("unmatched", "/items/7/"),
}
"""Differences of the label `handler`: ours and theirs."""

UNSIZED = ("/raises", "/breaks", "/stream")
"""Handlers whose responses have no `Content-Length` where the instrumentator sees them."""

METRICS = (
    "http_requests_total",
    "http_request_duration_seconds_count",
    "http_request_size_bytes_count",
    "http_request_size_bytes_sum",
    "http_response_size_bytes_count",
    "http_response_size_bytes_sum",
)

OPTIONS: dict[str, Any] = {
    "excluded_urls": "health",
    "http_capture_headers_server_request": ["x-.*"],
    "http_capture_headers_server_response": ["content-type"],
    "http_capture_headers_sanitize_fields": ["x-secret"],
    "exclude_spans": ["send", "receive"],
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    files = tmp_path_factory.mktemp("files")
    return measured("builtin", files), measured("official", files)


def test_the_spans_are_the_same_but_for_documented_differences(both: tuple[Any, Any]) -> None:
    (_, ours, our_others), (_, theirs, their_others) = both
    assert ours.keys() == theirs.keys()
    used, unexplained = set(), []
    for number, span in ours.items():
        other = theirs[number]
        for key in span.keys() | other.keys():
            if span.get(key) == other.get(key):
                continue
            names = [
                name
                for name, difference in SPANS.items()
                if difference.where == key
                and re.fullmatch(difference.paths, span["url.path"])
                and difference.holds(span.get(key), other.get(key))
            ]
            follows = key == "name" and span.get("http.route") != other.get("http.route")
            if not names and not follows:
                unexplained.append((span["url.path"], key, span.get(key), other.get(key)))
            used.update(names)
    assert unexplained == []
    assert used == SPANS.keys(), "a difference that is none any more"
    assert our_others == Counter()
    assert their_others.keys() == {"BackgroundTask later"}


def test_the_series_are_the_same_but_for_documented_differences(both: tuple[Any, Any]) -> None:
    ours, theirs = dict(both[0][0]), dict(both[1][0])
    ours["http_requests_total", "/breaks", "GET 2"] = ours.pop(("http_requests_total", "/breaks", "GET 5"))
    moved = Counter(theirs)
    for our_handler, their_handler in SERIES.values():
        for (metric, handler, rest), value in ours.items():
            taken = min(value, moved.get((metric, their_handler, rest), 0))
            if handler == our_handler and taken:
                moved[metric, their_handler, rest] -= taken
                moved[metric, our_handler, rest] += taken
    differs = {key for key in ours.keys() | moved.keys() if ours.get(key, 0) != moved.get(key, 0)}
    assert {
        (key, ours.get(key), moved.get(key)) for key in differs if not ours.get(key, 0) > moved.get(key, 0)
    } == set()
    assert {key[:2] for key in differs} == {("http_response_size_bytes_sum", path) for path in UNSIZED}


OTHERS = ("a broken stream", "the size of a response without Content-Length", "labels")


@pytest.mark.parametrize("name", [*SPANS, *SERIES, *OTHERS])
def test_every_difference_is_on_the_page(name: str) -> None:
    assert f"| {name} |" in PAGE.read_text().replace("`", "")


def test_the_code_of_the_page_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
