"""What is counted and timed, under a real uvicorn: what a client sees and what an application does after that."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from random import Random
from time import monotonic, sleep

import anyio
import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.metrics.histogram import exemplar_labels
from observability.testing import CapturedTelemetry, capture_telemetry, lifespan_client
from tests.servers.asgi import serving

PAUSE_S = 0.2


class BrokenOff:
    """An application whose response is incomplete."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        raise RuntimeError("in the middle")


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/plain")
    async def plain() -> PlainTextResponse:
        await anyio.sleep(PAUSE_S)
        return PlainTextResponse("x" * 1000)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for part in ("first", "second"):
                yield part
                await anyio.sleep(PAUSE_S)

        return StreamingResponse(parts())

    @app.post("/background")
    async def background(request: Request, tasks: BackgroundTasks) -> PlainTextResponse:
        tasks.add_task(anyio.sleep, PAUSE_S)
        return PlainTextResponse(str(len(await request.body())), background=tasks)

    @app.get("/raise")
    async def failing() -> None:
        raise ValueError("no")

    @app.get("/slow")
    async def slow() -> str:
        await anyio.sleep(0.3)
        return "too late"

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            while True:
                yield "more"
                await anyio.sleep(0.01)

        return StreamingResponse(parts())

    app.mount("/broken", BrokenOff())
    return app


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    with capture_telemetry() as captured:
        yield captured


def eventually(claim: Callable[[], bool]) -> bool:
    """Whether the claim becomes true within five seconds: a client has its response before the application returns."""
    deadline = monotonic() + 60
    while not claim():
        if monotonic() > deadline:
            return False
        sleep(0.002)
    return True


def seconds(captured: CapturedTelemetry, phase: str, handler: str) -> float:
    return captured.value(f"http_{phase}_seconds_sum", handler=handler)


def test_time_to_first_byte_to_last_byte_and_in_the_background_are_apart(captured: CapturedTelemetry) -> None:
    app = shop()
    captured.instrument(app)
    with serving(app) as url:
        httpx.get(f"{url}/plain")
        httpx.get(f"{url}/stream")
        httpx.post(f"{url}/background", content=b"12345")
    plain, stream, background = "/plain", "/stream", "/background"

    assert seconds(captured, "response_first_byte", plain) >= PAUSE_S
    between = seconds(captured, "response_last_byte", stream) - seconds(captured, "response_first_byte", stream)
    after = seconds(captured, "request_duration", background) - seconds(captured, "response_last_byte", background)
    assert between >= PAUSE_S * 0.9, "however busy the machine was before"
    assert after >= PAUSE_S * 0.9
    assert seconds(captured, "background", background) == pytest.approx(after)
    for handler in (plain, stream, background):
        for phase in ("request_duration", "response_first_byte", "response_last_byte"):
            assert captured.value(f"http_{phase}_seconds_count", handler=handler) == 1
    assert captured.samples("http_background_seconds_count", handler=background)[0].value == 1
    assert captured.value("http_background_seconds_count", handler=plain) == 0


def test_bytes_are_those_on_the_wire(captured: CapturedTelemetry) -> None:
    app = shop()
    app.add_middleware(GZipMiddleware, minimum_size=100)
    captured.instrument(app)
    with serving(app) as url, httpx.stream("GET", f"{url}/plain") as response:
        compressed = sum(map(len, response.iter_raw()))
        assert response.headers["content-encoding"] == "gzip"
        assert httpx.post(f"{url}/background", content=b"12345").text == "5"
        assert httpx.get(f"{url}/stream").text == "firstsecond"
    assert 0 < compressed < 1000
    assert captured.value("http_response_size_bytes_sum", handler="/plain") == compressed
    assert captured.value("http_request_size_bytes_sum", handler="/background") == 5
    assert captured.value("http_response_size_bytes_sum", handler="/stream") > 0, "streamed bytes count too"


@pytest.mark.parametrize(
    ("path", "handler", "status"),
    [
        ("/raise", "/raise", "500"),
        ("/broken/off", "/broken", "500"),
        ("/nothing", "unmatched", "404"),
    ],
    ids=["a request that raises", "an incomplete response", "nothing"],
)
def test_the_status_label_says_how_the_request_ended(
    captured: CapturedTelemetry, path: str, handler: str, status: str
) -> None:
    app = shop()
    captured.instrument(app)
    with serving(app, log_level="critical") as url:
        try:
            httpx.get(f"{url}{path}")
        except httpx.RemoteProtocolError:
            assert "broken" in path
        assert eventually(lambda: captured.value("http_requests_total") == 1)
    assert captured.value("http_requests_total", method="GET", handler=handler, code=status) == 1


@pytest.mark.parametrize("path", ["/slow", "/endless"])
def test_a_client_that_disconnects_has_a_separate_status(captured: CapturedTelemetry, path: str) -> None:
    app = shop()
    captured.instrument(app)
    with serving(app) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            if path == "/endless":
                assert connection.recv(10)
            assert eventually(lambda: captured.value("http_requests_inprogress") == 1)
        assert eventually(lambda: captured.value("http_requests_total") == 1)
    assert captured.value("http_requests_total", handler=path, code="client_disconnected") == 1
    assert captured.value("http_requests_inprogress") == 0
    span = captured.span(f"GET {path}")
    assert span.status.status_code is StatusCode.UNSET, "it is not the service's failure"
    assert (span.attributes or {})["error.type"] == "client_disconnected"


OUR_LABELS = {"http_requests": ["code"], "http_request_duration_seconds": ["status"]}
"""Beside those of the instrumentator's default metrics."""


@pytest.mark.anyio
async def test_names_and_labels_are_those_of_the_instrumentator() -> None:
    theirs = CollectorRegistry()
    app = shop()
    Instrumentator(should_instrument_requests_inprogress=False, registry=theirs).instrument(app)
    with capture_telemetry() as captured:
        ours = shop()
        captured.instrument(ours)
        for one in (app, ours):
            async with lifespan_client(one) as client:
                await client.get("/plain")
                await client.post("/background", content=b"12345")
                await client.get("/raise")

        def labels(registry: CollectorRegistry) -> dict[str, set[tuple[tuple[str, str], ...]]]:
            found: dict[str, set[tuple[tuple[str, str], ...]]] = {}
            for family in registry.collect():
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        ignored = {"le", *OUR_LABELS.get(family.name, ())} if registry is captured.registry else {"le"}
                        kept = {name: value for name, value in sample.labels.items() if name not in ignored}
                        found.setdefault(sample.name, set()).add(tuple(sorted(kept.items())))
            return found

        expected, got = labels(theirs), labels(captured.registry)
    assert expected
    assert {name: got.get(name) for name in expected} == expected


@pytest.mark.anyio
async def test_buckets_have_a_bound_at_every_objective_and_never_shrink() -> None:
    with capture_telemetry(slo_thresholds_s=(0.123, 4.2)) as captured:
        app = Starlette(routes=[Route("/", lambda _: PlainTextResponse(""))])
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/")
        for name in ("request_duration", "request_duration_highr", "response_first_byte", "response_last_byte"):
            samples = captured.samples(f"http_{name}_seconds_bucket")
            bounds = [float(sample.labels["le"]) for sample in samples]
            assert {0.123, 4.2, 0.1, 0.25, 0.3, 0.5, 1.0, float("inf")} <= set(bounds)
            assert bounds == sorted(bounds)
            assert all(before.value <= after.value for before, after in pairwise(samples))
            assert samples[-1].value == 1


def test_every_histogram_of_a_sampled_request_links_to_its_trace(captured: CapturedTelemetry) -> None:
    app = shop()
    captured.instrument(app)
    with serving(app) as url:
        httpx.post(f"{url}/background")
        assert eventually(lambda: captured.value("http_requests_total") == 1)
    context = captured.span("POST /background").context
    for name in (
        "http_request_duration_seconds",
        "http_request_duration_highr_seconds",
        "http_response_first_byte_seconds",
        "http_response_last_byte_seconds",
        "http_background_seconds",
    ):
        examples = [sample.exemplar for sample in captured.samples(f"{name}_bucket") if sample.exemplar]
        assert [example.labels for example in examples] == [exemplar_labels(context.trace_id, context.span_id)], name


@pytest.mark.anyio
async def test_an_unsampled_request_has_no_exemplar() -> None:
    with capture_telemetry(traces_sampler="always_off") as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/plain")
        assert captured.value("http_requests_total") == 1
        assert not [sample for sample in captured.samples("http_request_duration_seconds_bucket") if sample.exemplar]


@pytest.mark.anyio
async def test_random_paths_methods_and_headers_add_no_series(captured: CapturedTelemetry) -> None:
    app = shop()
    captured.instrument(app)
    random = Random(7)
    paths = [f"/{random.randbytes(4).hex()}/{random.randbytes(2).hex()}" for _ in range(10_000)]
    methods = [random.randbytes(3).hex().upper() for _ in range(1_000)]
    for path in paths[:200]:
        await request(app, "GET", path)
    for method in methods[:200]:
        await request(app, method, "/plain")
    before = {metric.name: len(metric.samples) for metric in captured.registry.collect()}
    for path in paths[200:]:
        await request(app, "GET", path)
    for method in methods[200:]:
        await request(app, method, "/plain", (f"x-{method}".encode(), b"1"), (b"host", method.encode()))
    assert {metric.name: len(metric.samples) for metric in captured.registry.collect()} == before
    assert captured.value("http_requests_total", handler="unmatched", code="404") == 10_000
    assert captured.value("http_requests_total", handler="/plain", method="other", code="405") == 1_000


async def request(app: ASGIApp, method: str, path: str, *headers: tuple[bytes, bytes]) -> None:
    """Send a request without a client: there are many."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        pass

    await app({"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}, receive, send)


@pytest.mark.anyio
async def test_impossible_status_codes_share_a_label(captured: CapturedTelemetry) -> None:
    async def odd(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 777, "headers": []})
        await send({"type": "http.response.body"})

    app = Starlette()
    app.mount("/odd", odd)
    captured.instrument(app)
    async with lifespan_client(app) as client:
        await client.get("/odd/x")
    assert captured.value("http_requests_total", handler="/odd", code="other") == 1
