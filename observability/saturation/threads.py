"""Occupancy and waits of thread limiters.

Every `def` endpoint and dependency shares anyio's default limiter of 40 threads. Its waits are timed, as are those of
`InstrumentedThreadPool`; of every limiter the number of waiting tasks is integrated over time.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Final, ParamSpec, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter, run_sync
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import BoundedValues
from observability.metrics.histogram import exemplar

DEFAULT: Final = "default"
"""The limiter of `def` endpoints, `run_in_threadpool` and file responses."""

_ORIGINAL: Final = "observability_original"
"""Where a limiter's class keeps the one that it replaced, for the next start."""

SAMPLE_EVERY_S: Final = 0.1
WAIT_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class ThreadMetrics:
    """Metrics of thread limiters: the default one, and those that are added."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._name = BoundedValues()
        self._limiters: dict[str, CapacityLimiter] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sampled_at = 0.0
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self._used = gauge("thread_limiter_borrowed_threads", "Threads in use.", ("limiter",))  # codespell:ignore
        self._limit = gauge("thread_limiter_limit_threads", "Limit of threads that work at a time.", ("limiter",))
        self._waiting = gauge("thread_limiter_waiting_tasks", "Tasks that are waiting for a thread.", ("limiter",))
        self._queue = counter(
            "thread_limiter_queue_seconds_total",
            "Time that all tasks waited for a thread, sampled; its rate is the average length of the queue.",
            ("limiter",),
        )
        self.wait = histogram(
            "thread_limiter_wait_seconds",
            "Time from the request for a thread until it started, or until the task was cancelled.",
            ("limiter",),
            buckets=WAIT_BUCKETS_S,
        )

    def add(self, name: str, limiter: CapacityLimiter) -> None:
        """Measure the limiter under this name; a later one of the same name replaces it."""
        name = self._name(name)
        self._limiters[name] = limiter
        self._used.labels(name).set_function(lambda: limiter.borrowed_tokens)  # codespell:ignore
        self._limit.labels(name).set_function(lambda: limiter.total_tokens)
        self._waiting.labels(name).set_function(lambda: limiter.statistics().tasks_waiting)

    def thread_pool(self, name: str, *, threads: int, abandon_on_cancel: bool = False) -> "InstrumentedThreadPool":
        """Return a thread pool with its own limiter, measured under this name.

        With `abandon_on_cancel` a cancelled task does not wait for its thread, as in `anyio.to_thread.run_sync()`.
        """
        limiter = CapacityLimiter(threads)
        self.add(name, limiter)
        return InstrumentedThreadPool(limiter, self.wait.labels(self._name(name)), abandon_on_cancel=abandon_on_cancel)

    def start(self) -> None:
        """Add the running loop's default limiter and sample all queues until `stop()`."""
        self.stop()
        limiter = current_default_thread_limiter()
        self.add(DEFAULT, limiter)
        self._time_waits(limiter)
        self._sampled_at = perf_counter()
        self._sample(asyncio.get_running_loop())

    def _time_waits(self, limiter: Any) -> None:
        """Time each acquisition of the default limiter, by another class of this one object."""
        original: Any = getattr(type(limiter), _ORIGINAL, type(limiter))
        acquire, wait = original.acquire_on_behalf_of, self.wait.labels(DEFAULT)

        async def timed(limiter: Any, borrower: object) -> None:
            requested_at = perf_counter()
            try:
                await acquire(limiter, borrower)
            finally:
                with suppress_internal_errors("threads"):
                    wait.observe(perf_counter() - requested_at, exemplar())

        with suppress_internal_errors("threads"):
            names = {"__slots__": (), _ORIGINAL: original, "acquire_on_behalf_of": timed}
            limiter.__class__ = type("TimedLimiter", (original,), names)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _sample(self, loop: asyncio.AbstractEventLoop) -> None:
        now = perf_counter()
        with suppress_internal_errors("threads"):
            for name, limiter in self._limiters.items():
                self._queue.labels(name).inc(limiter.statistics().tasks_waiting * (now - self._sampled_at))
        self._sampled_at = now
        self._timer = loop.call_later(SAMPLE_EVERY_S, self._sample, loop)


class InstrumentedThreadPool:
    """Threads for one kind of work, which then blocks neither the event loop nor other work in threads."""

    def __init__(self, limiter: CapacityLimiter, wait: Histogram, *, abandon_on_cancel: bool) -> None:
        self._limiter = limiter
        self._wait = wait
        self._abandon_on_cancel = abandon_on_cancel

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Call the function in a thread, with the caller's context variables."""
        requested_at = perf_counter()
        started = False

        def timed() -> Result:
            nonlocal started
            started = True
            self._waited(perf_counter() - requested_at)
            return function(*args, **kwargs)

        try:
            return await run_sync(timed, limiter=self._limiter, abandon_on_cancel=self._abandon_on_cancel)
        finally:
            if not started:
                self._waited(perf_counter() - requested_at)

    def _waited(self, seconds: float) -> None:
        with suppress_internal_errors("threads"):
            self._wait.observe(seconds, exemplar())
