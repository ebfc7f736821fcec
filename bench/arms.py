"""The same small application with a different instrumentation per arm, each in its own process.

`python -m bench.arms NAME` serves one arm and prints its port. For every line on its standard input it prints the CPU
seconds it has used so far.
"""

import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from threading import Thread
from time import perf_counter, process_time
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.types import ASGIApp

from observability import TelemetrySettings, instrument


class Item(BaseModel):
    """The response of the small route."""

    item_id: int
    name: str
    price: float


def small_app(*, routes: int = 1) -> FastAPI:
    """Return an application whose last route is the measured one."""
    app = FastAPI()
    for number in range(routes - 1):
        app.get(f"/resource{number}/{{item_id}}/part/{{part_id}}")(_item)
    app.get("/items/{item_id}")(_item)
    return app


async def _item(item_id: int) -> Item:
    return Item(item_id=item_id, name="a small thing", price=9.99)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to instrument the application."""

    name: str
    title: str
    build: Callable[[], ASGIApp]
    access_log: bool = False
    """Whether uvicorn writes its access log."""
    exports: bool = False
    """Whether it exports spans; if the collector receives none, the measurement is not valid."""


def _collector() -> str:
    return os.environ["BENCH_COLLECTOR"]


def _app(*instrumentations: Callable[[FastAPI], None], routes: int = 1, sentry: bool = False) -> Callable[[], ASGIApp]:
    def build() -> ASGIApp:
        if sentry:
            _init_sentry()  # patches the framework, so it comes before the application
        app = small_app(routes=routes)
        for instrumentation in instrumentations:
            instrumentation(app)
        return app

    return build


def _add_instrumentator(app: FastAPI) -> None:
    from prometheus_fastapi_instrumentator import Instrumentator  # noqa: PLC0415 an arm pays only for its own imports

    Instrumentator().instrument(app)


def _add_opentelemetry(app: FastAPI, *, share: float = 1.0, exclude: bool = False) -> None:
    from opentelemetry import trace  # noqa: PLC0415 the same
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(share))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{_collector()}/v1/traces")))
    trace.set_tracer_provider(provider)
    FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"] if exclude else None)


def _init_sentry() -> None:
    import sentry_sdk  # noqa: PLC0415 the same

    sentry_sdk.init(dsn=f"{_collector().replace('://', '://key@')}/1")


def _add_timer(app: FastAPI) -> None:
    @app.middleware("http")
    async def timed(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        started = perf_counter()
        response = await call_next(request)
        response.headers["X-Process-Time"] = str(perf_counter() - started)
        return response


def _ours(*, routes: int = 1, **settings: object) -> Callable[[], ASGIApp]:
    def build() -> ASGIApp:
        app = small_app(routes=routes)
        given = {"metrics_port": 0, "access_log": False, "response_headers": "server-timing", **settings}
        if "traces_sampler_arg" in given:
            given |= {"otlp_endpoint": _collector(), "traces_sampler": "parentbased_traceidratio"}
        if given.pop("errors", False):
            given["sentry_dsn"] = f"{_collector().replace('://', '://key@')}/1"
        instrument(app, settings=TelemetrySettings.model_validate(given))
        return app

    return build


_ALL: dict[str, Any] = {"errors": True, "traces_sampler_arg": 0.1}

ARMS: tuple[Arm, ...] = (
    Arm(name="bare", title="no instrumentation", build=_app()),
    Arm(name="timer", title="BaseHTTPMiddleware timer alone", build=_app(_add_timer)),
    Arm(name="instrumentator", title="Instrumentator alone, its defaults", build=_app(_add_instrumentator)),
    Arm(
        name="opentelemetry",
        title="FastAPIInstrumentor alone, its defaults",
        build=_app(_add_opentelemetry),
        exports=True,
    ),
    Arm(
        name="opentelemetry-10",
        title="FastAPIInstrumentor alone, without send and receive spans, 10 % sampled",
        build=_app(partial(_add_opentelemetry, share=0.1, exclude=True)),
        exports=True,
    ),
    Arm(name="sentry", title="sentry-sdk alone, its defaults", build=_app(sentry=True)),
    Arm(name="access-log", title="uvicorn's access log alone", build=_app(), access_log=True),
    Arm(
        name="naive",
        title="all of these with their defaults",
        build=_app(_add_timer, _add_instrumentator, _add_opentelemetry, sentry=True),
        access_log=True,
        exports=True,
    ),
    Arm(name="ours-metrics", title="ours: metrics alone", build=_ours(response_headers="none")),
    Arm(name="ours-headers", title="ours: metrics and response headers", build=_ours()),
    Arm(
        name="ours-0",
        title="ours: metrics, exemplars, errors, response headers, 0 % traces",
        build=_ours(**_ALL | {"traces_sampler_arg": 0.0}),
    ),
    Arm(
        name="ours-10",
        title="the same with 10 % traces",
        build=_ours(**_ALL),
        exports=True,
    ),
    Arm(
        name="ours-10-log",
        title="the same with 10 % traces and one JSON access record",
        build=_ours(**_ALL, access_log=True),
        exports=True,
    ),
    Arm(
        name="ours-100",
        title="the same with 100 % traces",
        build=_ours(**_ALL | {"traces_sampler_arg": 1.0}),
        exports=True,
    ),
    Arm(name="bare-100-routes", title="no instrumentation, the last of 100 routes", build=_app(routes=100)),
    Arm(
        name="ours-100-routes",
        title="ours with 10 % traces, the last of 100 routes",
        build=_ours(routes=100, **_ALL),
        exports=True,
    ),
)


def serve(arm: Arm) -> None:
    """Serve the arm on a free port until standard input closes, pinned to one processor if possible."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # a client that connects before the application is ready waits
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where uvicorn writes its access log
    level = "info" if arm.access_log else "warning"
    config = uvicorn.Config(arm.build(), log_level=level, access_log=arm.access_log, timeout_keep_alive=3600)
    server = uvicorn.Server(config)

    def print_cpu_time() -> None:
        for _ in sys.stdin:
            output.write(f"{process_time()}\n")
        server.should_exit = True

    Thread(target=print_cpu_time, daemon=True).start()
    output.write(f"{listener.getsockname()[1]}\n")
    server.run(sockets=[listener])


if __name__ == "__main__":
    logging.captureWarnings(capture=True)
    serve(next(arm for arm in ARMS if arm.name == sys.argv[1]))
