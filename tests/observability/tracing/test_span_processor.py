"""Spans on their way to a collector: a real one that works, and real ones that hang, refuse or are not there."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from time import perf_counter
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from observability import TelemetrySettings, instrument
from observability.telemetry import Telemetry
from tests.servers.asgi import serving
from tests.servers.otlp import collecting
from tests.servers.port import free_port

QUEUE = 20


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def instrumented(endpoint: str, **settings: Any) -> tuple[Starlette, Telemetry, CollectorRegistry]:
    app = Starlette(routes=[Route("/hello", hello)])
    registry = CollectorRegistry()
    given: dict[str, Any] = {
        "metrics_exporter": "none",
        "log_format": "none",
        "access_log": False,
        "otlp_endpoint": endpoint,
        "export_delay_ms": 20,
        "shutdown_timeout_s": 0.3,
    }
    return app, instrument(app, registry=registry, settings=TelemetrySettings(**given | settings)), registry


@contextmanager
def hanging() -> Iterator[str]:
    """A collector that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(60)
            for one in held:
                one.close()


@contextmanager
def slow(seconds: float) -> Iterator[str]:
    """A collector that takes everything, but takes its time, or until the block ends."""
    has_ended = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            has_ended.wait(seconds)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            has_ended.set()
            server.shutdown()
            thread.join()


def exports(registry: CollectorRegistry, outcome: str) -> float:
    return registry.get_sample_value("observability_export_total", {"signal": "spans", "outcome": outcome}) or 0.0


def test_later_steps_of_the_shutdown_have_the_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, given_s = 0.0, {}
    monkeypatch.setattr("observability.core.limits.monotonic", lambda: now)
    _, telemetry, _ = instrumented("http://127.0.0.1:1", shutdown_timeout_s=3.5)

    def slow_to_stop(name: str, seconds: float) -> Callable[..., None]:
        def stop(*, timeout_s: float) -> None:
            nonlocal now
            given_s[name] = timeout_s
            now += seconds

        return stop

    for name, seconds in {"errors": 2.0, "tracing": 0.5, "logs": 0.5}.items():
        monkeypatch.setattr(getattr(telemetry, name), "stop", slow_to_stop(name, seconds))
    telemetry.stop()
    assert given_s == {"errors": 3.5, "tracing": 1.5, "logs": 1.0}


def test_the_collector_gets_the_traces_of_the_x_trace_id_headers() -> None:
    with collecting() as collector:
        app, _, registry = instrumented(collector.endpoint, service_name="shop", resource_attributes={"team": "blue"})
        with serving(app) as url:
            trace_ids = {httpx.get(f"{url}/hello").headers["x-trace-id"] for _ in range(5)}
        spans = collector.wait_for("GET /hello", 5)
        assert {span.trace_id for span in spans} == trace_ids
        assert {span.resource["service.name"] for span in spans} == {"shop"}
        assert {span.resource["team"] for span in spans} == {"blue"}
        assert len({span.resource["service.instance.id"] for span in spans}) == 1
        assert exports(registry, "exported") == 5
        assert registry.get_sample_value("observability_export_queue_size", {"signal": "spans"}) == 0


@pytest.mark.parametrize("collector", ["hangs", "is not there", "is slow"])
def test_a_failing_collector_does_not_delay_requests(collector: str) -> None:
    with hanging() as hanging_endpoint, slow(60) as slow_endpoint:
        nowhere = f"http://127.0.0.1:{free_port()}"
        endpoint = {"hangs": hanging_endpoint, "is slow": slow_endpoint}.get(collector, nowhere)
        app, _, registry = instrumented(endpoint, export_queue_size=QUEUE, otlp_timeout_s=60)
        with serving(app) as url, httpx.Client(base_url=url) as client:
            client.get("/hello")
            slowest = 0.0
            for _ in range(3 * QUEUE):
                started = perf_counter()
                assert client.get("/hello").status_code == 200
                slowest = max(slowest, perf_counter() - started)
            stopping = perf_counter()
        assert perf_counter() - stopping < 30, "the shutdown does not wait for the collector"
    assert slowest < 30, "no request waited for the collector's timeout"
    assert collector == "is slow" or exports(registry, "dropped") + exports(registry, "failed") >= 1
    samples = [sample for family in registry.collect() for sample in family.samples]  # at one moment
    spans = [sample.value for sample in samples if sample.labels.get("signal") == "spans"]
    assert sum(spans) == 3 * QUEUE + 1, "every span is accounted for: exported, dropped, failed or queued"


def test_a_full_queue_keeps_the_older_spans() -> None:
    with hanging() as endpoint:
        app, telemetry, registry = instrumented(
            endpoint, export_queue_size=3, export_batch_size=3, otlp_timeout_s=60, export_delay_ms=60_000
        )
        with serving(app) as url:
            for _ in range(10):
                httpx.get(f"{url}/hello")
            assert exports(registry, "dropped") == 7
            assert telemetry.tracing.recording


@pytest.mark.parametrize("setting", [{"traces_exporter": "none"}, {"otlp_endpoint": ""}], ids=["off", "no endpoint"])
def test_without_an_exporter_no_span_is_made(setting: dict[str, Any]) -> None:
    with collecting() as collector:
        app, telemetry, registry = instrumented(collector.endpoint, **setting)
        with serving(app) as url:
            assert httpx.get(f"{url}/hello").headers["x-trace-id"]
            assert not telemetry.tracing.recording
        assert collector.spans == []
    assert exports(registry, "exported") == 0


def test_each_start_is_an_instance_of_its_own() -> None:
    with collecting() as collector:
        app, _, _ = instrumented(collector.endpoint)
        for _ in range(2):
            with serving(app) as url:
                httpx.get(f"{url}/hello")
        spans = collector.wait_for("GET /hello", 2)
    assert len({span.resource["service.instance.id"] for span in spans}) == 2
