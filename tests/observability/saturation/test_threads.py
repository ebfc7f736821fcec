import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import httpx
import pytest
from anyio import CapacityLimiter, fail_after
from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from observability.saturation.threads import ThreadMetrics
from tests.servers.asgi import serving


class Threads:
    """Thread metrics with a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = ThreadMetrics(self.registry)

    def value(self, name: str, limiter: str) -> float | None:
        return self.registry.get_sample_value(f"thread_limiter_{name}", {"limiter": limiter})


def test_the_hidden_limiter_of_def_endpoints_is_shown_with_its_queue() -> None:
    threads = Threads()
    release = threading.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 the signature is Starlette's
        current_default_thread_limiter().total_tokens = 2
        threads.metrics.start()
        yield
        threads.metrics.stop()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    def slow() -> None:
        release.wait(60)

    with serving(app) as url:
        clients = [threading.Thread(target=httpx.get, args=(url,)) for _ in range(5)]
        for client in clients:
            client.start()
        deadline = time.monotonic() + 60
        while threads.value("waiting_tasks", "default") != 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threads.value("waiting_tasks", "default") == 3
        assert threads.value("borrowed_threads", "default") == 2  # codespell:ignore
        assert threads.value("limit_threads", "default") == 2
        began = time.perf_counter()
        queued = threads.value("queue_seconds_total", "default") or 0.0
        time.sleep(0.5)
        grown = (threads.value("queue_seconds_total", "default") or 0.0) - queued
        assert 1.0 < grown < 3 * (time.perf_counter() - began) + 1, "three wait all the time"
        release.set()
        for client in clients:
            client.join()
        assert threads.value("waiting_tasks", "default") == 0
        assert threads.value("borrowed_threads", "default") == 0  # codespell:ignore


async def test_work_of_its_own_kind_waits_in_its_own_queue_and_the_wait_is_timed() -> None:
    threads = Threads()
    search = threads.metrics.thread_pool("search", threads=1)
    release = threading.Event()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(search.run(release.wait, 30))
        async with asyncio.timeout(60):
            while threads.value("waiting_tasks", "search") != 2:  # noqa: ASYNC110 a gauge wakes nothing
                await asyncio.sleep(0.005)
        assert threads.value("borrowed_threads", "search") == 1  # codespell:ignore
        await asyncio.sleep(0.1)
        release.set()
    assert threads.value("wait_seconds_count", "search") == 3
    waited_s = threads.value("wait_seconds_sum", "search") or 0.0
    assert 0.1 + 0.1 - 0.02 <= waited_s <= 3 * (time.perf_counter() - began)


async def test_the_result_the_arguments_and_the_context_pass_through() -> None:
    language: ContextVar[str] = ContextVar("language")
    language.set("en")

    def describe(left: int, *, right: int) -> str:
        return f"{language.get()} {left + right} {threading.current_thread() is threading.main_thread()}"

    search = Threads().metrics.thread_pool("search", threads=1)
    assert await search.run(describe, 1, right=2) == "en 3 False"


async def test_an_error_in_the_thread_reaches_the_caller_and_frees_the_thread() -> None:
    threads = Threads()
    search = threads.metrics.thread_pool("search", threads=1)
    with pytest.raises(ValueError, match="invalid literal"):
        await search.run(int, "x")
    assert threads.value("borrowed_threads", "search") == 0  # codespell:ignore
    assert threads.value("wait_seconds_count", "search") == 1


async def test_the_wait_of_a_cancelled_task_is_measured_too() -> None:
    threads = Threads()
    search = threads.metrics.thread_pool("search", threads=1)
    release = threading.Event()
    began = time.perf_counter()  # the wait of the holder counts too
    holder = asyncio.create_task(search.run(release.wait, 30))
    await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        with fail_after(0.1):
            await search.run(time.sleep, 0)
    assert threads.value("waiting_tasks", "search") == 0
    assert 0.1 <= (threads.value("wait_seconds_sum", "search") or 0.0) <= time.perf_counter() - began + 0.01
    release.set()
    await holder


async def test_a_limiter_of_the_application_is_measured_too() -> None:
    threads = Threads()
    limiter = CapacityLimiter(3)
    threads.metrics.add("images", limiter)
    async with limiter:
        assert threads.value("borrowed_threads", "images") == 1  # codespell:ignore
    limiter.total_tokens = 4
    assert threads.value("limit_threads", "images") == 4


async def test_waits_link_to_the_trace() -> None:
    threads = Threads()
    search = threads.metrics.thread_pool("search", threads=1)
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        await search.run(time.sleep, 0)
    links = [sample.exemplar for family in threads.registry.collect() for sample in family.samples if sample.exemplar]
    assert [link.labels["trace_id"] for link in links] == [f"{span.get_span_context().trace_id:032x}"]


async def test_the_waits_of_the_default_limiter_are_timed() -> None:
    earlier, threads = Threads(), Threads()
    for one in (earlier, threads):  # the latest only
        one.metrics.start()
    limiter = current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1
    try:
        await asyncio.gather(*(run_sync(time.sleep, 0.05) for _ in range(3)))
    finally:
        limiter.total_tokens = before
        for one in (earlier, threads):
            one.metrics.stop()
    assert threads.value("wait_seconds_count", "default") == 3
    assert (threads.value("wait_seconds_sum", "default") or 0) >= 0.14
    assert not earlier.value("wait_seconds_count", "default")
