"""Where the time of an instrumented request goes: the same ASGI calls with one part more in every variant.

`python -m bench.ablation` prints the figures as JSON. The calls alternate between the variants in one process without a
server; spans and log records are exported to the collector at `BENCH_COLLECTOR` after each round.
"""

import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median
from time import process_time, thread_time
from typing import Any, Final
from unittest.mock import patch

from opentelemetry.sdk.trace import SpanProcessor
from starlette.types import Message, Scope

from bench.arms import small_app
from observability import TelemetrySettings, instrument
from observability.compat.fastapi import disable_native_telemetry
from observability.http import middleware
from observability.http.metrics import HttpMetrics
from observability.tracing import tracing

ROUNDS: Final = 25
REQUESTS: Final = 500
"""Per round."""
HANDLER: Final = "/items/{item_id}"
SCOPE: Final[Scope] = {
    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
    "path": "/items/7", "raw_path": b"/items/7", "root_path": "", "query_string": b"", "server": ("127.0.0.1", 80),
    "client": ("127.0.0.1", 5),
    "headers": [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip")],
}  # fmt: skip

Removal = Callable[[], Any]
"""Makes a context manager in which a part of the instrumentation does nothing."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The instrumentation with some of its parts."""

    title: str
    """The part that the previous variant lacks, or the alternative that was tried."""
    where: str = ""
    """The modules of that part."""
    settings: dict[str, object] | None = field(default_factory=dict)
    """None without any instrumentation."""
    removed: Sequence[Removal] = ()
    processors: Sequence[SpanProcessor] = ()


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one variant took."""

    title: str
    where: str
    request_us: float
    """CPU time of the thread that serves the request, in microseconds."""
    export_us: float
    """CPU time of all other threads, in microseconds per request."""


def _nothing(*_: object, **__: object) -> None:
    return None


_NO_ROUTE: Final = partial(patch.object, middleware, "final_route_template", lambda *_, **__: HANDLER)
_NO_METRICS: Final = partial(patch.object, HttpMetrics, "observe", _nothing)
_NO_IDS: Final = partial(patch.object, tracing.Tracing, "begin", _nothing)
_API_GENERATORS: Final = partial(patch.object, tracing, "OperationTracer", lambda tracer: tracer)

_PLAIN: Final[dict[str, object]] = {"response_headers": "none", "traces_sampler": "always_off"}
_HEADER: Final[dict[str, object]] = {**_PLAIN, "response_headers": "server-timing"}
_ERRORS: Final[dict[str, object]] = {**_HEADER, "errors": True}
_TRACED: Final[dict[str, object]] = {**_ERRORS, "traces_sampler": "always_on"}
_OPERATIONS: Final[dict[str, object]] = {**_TRACED, "operation_spans": True}

PARTS: Final = (
    Variant(title="no instrumentation, FastAPI's own telemetry disabled", settings=None),
    Variant(
        title="the request's record, its messages observed",
        where="http/middleware, http/request_cycle",
        settings=_PLAIN,
        removed=(_NO_ROUTE, _NO_METRICS, _NO_IDS),
    ),
    Variant(
        title="the route template",
        where="request/route_table",
        settings=_PLAIN,
        removed=(_NO_METRICS, _NO_IDS),
    ),
    Variant(
        title="metrics",
        where="http/metrics, metrics/histogram",
        settings=_PLAIN,
        removed=(_NO_IDS,),
    ),
    Variant(title="trace and span ids, the sampling decision, the context", where="tracing/tracing", settings=_PLAIN),
    Variant(title="the `Server-Timing` header", where="request/server_timing", settings=_HEADER),
    Variant(title="error reporting, without an error", where="errors/reporter", settings=_ERRORS),
    Variant(title="the request is sampled: its span and exemplars", where="tracing/fast_path", settings=_TRACED),
    Variant(title="operation spans, on request", where="tracing/operations", settings=_OPERATIONS),
)
"""Each has one part more than the one before."""

ALTERNATIVES: Final = (
    Variant(title="the server span made and encoded by the SDK", settings=_TRACED, processors=(SpanProcessor(),)),
    Variant(
        title="with operation spans started by the API's generators",
        settings=_OPERATIONS,
        removed=(_API_GENERATORS,),
    ),
    Variant(
        title="with operation spans and the server span made and encoded by the SDK",
        settings=_OPERATIONS,
        processors=(SpanProcessor(),),
    ),
)
"""Other ways to trace a sampled request, which those in use replaced."""


class Subject:
    """A variant's application, with what its rounds took in CPU seconds per request."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.request_s: list[float] = []
        self.export_s: list[float] = []
        self._app = small_app()
        with self._removed():
            if variant.settings is not None:
                instrument(self._app, settings=_settings(variant.settings), span_processors=variant.processors)
            else:  # it would find the tracer provider of the other variants
                disable_native_telemetry(self._app)

    async def round(self, requests: int) -> None:
        """Serve that many requests after a warm-up, then export what they queued."""
        gc.collect()
        with self._removed():
            all_threads, this_thread = process_time(), thread_time()
            async with self._app.router.lifespan_context(self._app):
                for _ in range(requests // 4):
                    await self._app({**SCOPE}, _receive, _send)
                started = thread_time()
                for _ in range(requests):
                    await self._app({**SCOPE}, _receive, _send)
                self.request_s.append((thread_time() - started) / requests)
            others = process_time() - all_threads - (thread_time() - this_thread)
            self.export_s.append(others / (requests + requests // 4))

    def part(self) -> Part:
        """Return its figures: the least for the thread of the request, the median for the others."""
        return Part(
            title=self.variant.title,
            where=self.variant.where,
            request_us=min(self.request_s) * 1e6,
            export_us=median(self.export_s) * 1e6,
        )

    def _removed(self) -> ExitStack:
        stack = ExitStack()
        for removal in self.variant.removed:
            stack.enter_context(removal())
        return stack


async def measured(variants: Sequence[Variant], *, rounds: int = ROUNDS, requests: int = REQUESTS) -> list[Part]:
    """Return the figures of the variants, in alternation forwards and backwards."""
    subjects = [Subject(variant) for variant in variants]
    for number in range(rounds):
        for one in subjects if number % 2 == 0 else reversed(subjects):
            await one.round(requests)
    return [one.part() for one in subjects]


def _settings(given: dict[str, object]) -> TelemetrySettings:
    collector = os.environ["BENCH_COLLECTOR"]
    return TelemetrySettings.model_validate(
        {
            "metrics_exporter": "none",
            "log_format": "none",
            "otlp_endpoint": collector,
            "sentry_dsn": f"{collector.replace('://', '://key@')}/1" if given.get("errors") else "",
            "export_queue_size": 100_000,
            "export_batch_size": 100_000,
            "export_delay_ms": 10**7,
            "shutdown_timeout_s": 60,
            **{name: value for name, value in given.items() if name != "errors"},
        }
    )


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"the response has the status {message['status']}")


def recorded(collector: str) -> tuple[list[Part], list[Part]]:
    """Return the figures of the parts and of the alternatives, measured in a process of their own."""
    command = [sys.executable, "-m", "bench.ablation"]
    environ = {**os.environ, "BENCH_COLLECTOR": collector}
    run = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)  # noqa: S603 our own program
    figures = [Part(**one) for one in json.loads(run.stdout)]
    return figures[: len(PARTS)], figures[len(PARTS) :]


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    logging.disable()
    parts = asyncio.run(measured((*PARTS, *ALTERNATIVES)))
    json.dump([asdict(part) for part in parts], sys.stdout)


if __name__ == "__main__":
    main()
