import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, Counter

from observability import TelemetrySettings, instrument
from observability.saturation.blocking import BlockDetector
from tests.polling import eventually
from tests.servers.asgi import serving

pytestmark = pytest.mark.usefixtures("detection_of_blocks")

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def block(seconds: float) -> None:
    time.sleep(seconds)


def burn(seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        sum(range(1000))


def hold(until: Callable[[], bool], pause: Callable[[float], None] = block) -> None:
    """Block until the condition holds, however late the machine runs the thread that notices the block."""
    deadline = time.monotonic() + 60
    while not until() and time.monotonic() < deadline:
        pause(0.05)


class Site:
    """An application with handlers that block its event loop, and the metrics of that loop."""

    def __init__(self, pause: Callable[[float], None] = block, **settings: Any) -> None:
        self.registry = CollectorRegistry()
        self.app = FastAPI()
        self.exporter = InMemorySpanExporter()
        instrument(
            self.app,
            registry=self.registry,
            settings=TelemetrySettings(metrics_exporter="none", **settings),
            span_processors=[SimpleSpanProcessor(self.exporter)],
        )

        @self.app.get("/slow/{number}")
        async def slow(number: int, seconds: float = 0.4) -> None:  # noqa: ARG001 the path has it
            pause(seconds)

        @self.app.get("/task")
        async def task() -> None:
            async def child() -> None:
                pause(0.4)

            await asyncio.create_task(child())

        @self.app.get("/background")
        async def background(tasks: BackgroundTasks) -> None:
            async def later() -> None:
                pause(0.4)

            tasks.add_task(later)

        @self.app.get("/callback")
        async def callback() -> None:
            asyncio.get_running_loop().call_later(0.01, pause, 0.4)

        @self.app.get("/thread")
        def thread() -> None:
            pause(0.4)

        @self.app.get("/quick")
        async def quick() -> None:
            await asyncio.sleep(0.3)

    def blocked(self, handler: str) -> float:
        return self.registry.get_sample_value("event_loop_blocked_seconds_total", {"handler": handler}) or 0.0

    def hold(self, handler: str, seconds: float = 0.3) -> None:
        """Block until so much more time of the handler is counted, in at least two samples."""
        before = self.blocked(handler)
        hold(lambda: self.blocked(handler) - before > seconds)
        sampled = self.blocked(handler)
        hold(lambda: self.blocked(handler) > sampled)

    def lag_s(self) -> float:
        """Return the sum of all lags; no handler can have blocked the loop for longer."""
        return self.registry.get_sample_value("event_loop_lag_seconds_sum") or 0.0

    def stall(self) -> float:
        value = self.registry.get_sample_value("event_loop_stall_seconds")
        assert value is not None
        return value

    def late_timers(self, more_than: str) -> float:
        below = self.registry.get_sample_value("event_loop_lag_seconds_bucket", {"le": more_than})
        count = self.registry.get_sample_value("event_loop_lag_seconds_count")
        assert below is not None
        assert count is not None
        return count - below


@contextmanager
def requested(url: str) -> Iterator[None]:
    """Have a request in progress during the block."""
    thread = threading.Thread(target=lambda: httpx.get(url, timeout=60))
    thread.start()
    yield
    thread.join()


@LOOPS
@pytest.mark.parametrize("pause", [block, burn])
def test_a_blocked_loop_and_its_handler_are_visible_while_it_is_blocked(
    loop: str, pause: Callable[[float], None]
) -> None:
    is_seen = threading.Event()
    site = Site(lambda _: hold(is_seen.is_set, pause))
    with serving(site.app, loop=loop) as url, requested(f"{url}/slow/7"):
        eventually(lambda: site.blocked("/slow/{number}") > 0.6)
        assert site.stall() > 0.6
        assert site.late_timers("0.5") == 0, "it is still blocked"
        is_seen.set()
        eventually(lambda: site.late_timers("0.5") == 1)
        eventually(lambda: site.stall() < 0.1)
        assert 0.6 < site.blocked("/slow/{number}") <= site.lag_s()


@LOOPS
@pytest.mark.parametrize(
    ("path", "handler"),
    [
        pytest.param("/task", "/task", id="a task that the handler started"),
        pytest.param("/background", "/background", id="a background task"),
        pytest.param("/callback", "none", id="a timer has no request"),
    ],
)
def test_the_time_is_attributed_to_the_blocking_handler(loop: str, path: str, handler: str) -> None:
    site = Site(lambda _: site.hold(handler))
    with serving(site.app, loop=loop) as url:
        httpx.get(f"{url}{path}", timeout=60)
        eventually(lambda: site.late_timers("0.25") >= 1)
        assert 0.3 < site.blocked(handler) <= site.lag_s()


@LOOPS
@pytest.mark.parametrize("path", ["/thread", "/quick"])
def test_waiting_and_work_in_threads_do_not_block(loop: str, path: str) -> None:
    site = Site()
    with serving(site.app, loop=loop) as url:
        httpx.get(f"{url}{path}")
        assert site.late_timers("0.25") == 0
        assert site.blocked(path) < 0.1
        assert site.blocked("none") < 0.1


def test_the_stack_that_blocks_is_on_the_request_s_span_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(lambda _: site.hold("/slow/{number}"))
    with caplog.at_level(logging.WARNING, "observability.saturation.event_loop"), serving(site.app) as url:
        httpx.get(f"{url}/slow/1", timeout=60)
        eventually(lambda: site.late_timers("0.25") >= 1)
    begun, ended = (record for record in caplog.records if "/slow/" in record.getMessage())
    assert re.match(r"event loop blocked by /slow/\{number\} for \d+\.\d\d s so far", begun.getMessage())
    assert "in block\n    time.sleep(seconds)" in str(begun.stack_info)
    assert "in slow\n" in str(begun.stack_info)
    assert re.match(r"event loop was blocked by /slow/\{number\} for about \d+\.\d\d s", ended.getMessage())


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="sampled"),
        pytest.param({"traces_sampler": "always_off", "slow_request_s": 0.2}, id="slow, so traced retroactively"),
    ],
)
def test_the_trace_of_the_request_names_the_stack_that_blocked(settings: dict[str, Any]) -> None:
    site = Site(lambda _: site.hold("/slow/{number}"), **settings)
    with serving(site.app) as url:
        took_s = httpx.get(f"{url}/slow/1", timeout=60).elapsed.total_seconds()
        eventually(lambda: site.late_timers("0.25") >= 1)
    (span,) = site.exporter.get_finished_spans()
    (event,) = span.events
    attributes = dict(event.attributes or {})
    assert (span.name, event.name) == ("GET /slow/{number}", "flightdeck.event_loop.blocked")
    assert "in slow\n    pause(seconds)" in str(attributes["code.stacktrace"])
    assert 0.25 < float(str(attributes["flightdeck.event_loop.blocked_seconds"])) < took_s + 0.1


def test_the_lag_has_the_trace_of_its_cause_as_exemplar() -> None:
    site = Site(lambda _: site.hold("/slow/{number}"))
    with serving(site.app) as url:
        trace_id = httpx.get(f"{url}/slow/1", timeout=60).headers["x-trace-id"]
        eventually(lambda: site.late_timers("0.25") >= 1)
    lag = next(family for family in site.registry.collect() if family.name == "event_loop_lag_seconds")
    assert trace_id in [sample.exemplar.labels["trace_id"] for sample in lag.samples if sample.exemplar]


async def test_a_block_that_ends_before_the_late_timer_runs_is_still_the_exemplar() -> None:
    loop = asyncio.get_running_loop()
    blocked = Counter("blocked_seconds", "Time.", ("handler",), registry=CollectorRegistry())
    late_s = 0.5

    async def started() -> BlockDetector:
        return BlockDetector(loop, threading.get_ident(), late_s=lambda: late_s, blocked=blocked)

    startup = asyncio.create_task(started())
    detector = await startup
    with TracerProvider().get_tracer("test").start_as_current_span("GET /") as span:
        for late_s in (0.5, 0.5, 0.0):  # noqa: B007 the last sample is after the block
            sample = threading.Thread(target=detector._sample, args=(0.1,))
            sample.start()
            sample.join()
    context = span.get_span_context()
    assert detector.take_exemplar() == {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    assert detector.take_exemplar() is None, "the next lag has another cause"


def test_a_handler_that_blocks_again_and_again_is_logged_once_and_counted_every_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site(lambda _: site.hold("/slow/{number}", 0.15))
    with caplog.at_level(logging.WARNING, "observability.saturation.event_loop"), serving(site.app) as url:
        for number in range(4):
            httpx.get(f"{url}/slow/{number}", timeout=60)
        eventually(lambda: site.late_timers("0.1") >= 4)
    assert sum("by /slow/{number} for" in record.getMessage() for record in caplog.records) == 2, "begun and ended"
    assert 0.6 < site.blocked("/slow/{number}") <= site.lag_s()


def test_after_stop_nothing_is_late_and_no_thread_is_left() -> None:
    site = Site()
    with serving(site.app):
        assert any(thread.name == "observability-event-loop" for thread in threading.enumerate())
    assert site.stall() == 0
    assert not any(thread.name == "observability-event-loop" for thread in threading.enumerate())


def test_every_block_of_one_and_a_half_times_the_threshold_is_noticed() -> None:
    site = Site()
    with serving(site.app) as url:
        for number in range(10):
            httpx.get(f"{url}/slow/{number}?seconds=0.15")
            time.sleep(0.013 * number)
        eventually(lambda: site.late_timers("0.05") >= 10)
    assert site.blocked("/slow/{number}") > 10 * 0.05


def test_a_slow_startup_is_not_a_block(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 the signature is Starlette's
        block(0.4)
        yield

    registry = CollectorRegistry()
    app = FastAPI(lifespan=lifespan)
    instrument(app, registry=registry, settings=TelemetrySettings(metrics_exporter="none"))
    with caplog.at_level(logging.WARNING, "observability.saturation.event_loop"), serving(app):
        pass
    assert registry.get_sample_value("event_loop_blocked_seconds_total", {"handler": "none"}) is None
    assert caplog.records == []


def test_the_metrics_port_shows_the_blocking_route_while_the_loop_is_blocked() -> None:
    app = FastAPI()
    is_seen = threading.Event()

    @app.get("/report")
    async def report() -> None:
        is_seen.wait(60)

    telemetry = instrument(app, settings=TelemetrySettings(metrics_port=0))
    with serving(app) as url, requested(f"{url}/report"):
        metrics = f"http://127.0.0.1:{telemetry.metrics_port}/metrics"
        began = time.monotonic()
        while 'event_loop_blocked_seconds_total{handler="/report"}' not in (text := httpx.get(metrics).text):
            assert time.monotonic() - began < 20
        is_seen.set()
        (stall,) = (line for line in text.splitlines() if line.startswith("event_loop_stall_seconds "))
        assert 0 < float(stall.split()[1]) < 30
        (active,) = (line for line in text.splitlines() if line.startswith("http_requests_inprogress "))
        assert float(active.split()[1]) == 1
