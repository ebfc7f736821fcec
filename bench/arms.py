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
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.types import ASGIApp


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
    requirements: tuple[str, ...] = ()
    """Packages of an environment of its own."""
    exports: bool = False
    """Whether it exports spans; if the collector receives none, the measurement is not valid."""
    compared_with: str = ""
    """The arm of ours with which it is compared: it gives traces and metrics as well."""


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
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415

    trace.set_tracer_provider(_exported_provider(share))
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
        from observability import TelemetrySettings, instrument  # noqa: PLC0415 not in the environments of other arms

        app = small_app(routes=routes)
        given = {"metrics_port": 0, "access_log": False, "response_headers": "server-timing", **settings}
        if "traces_sampler_arg" in given:
            given |= {"otlp_endpoint": _collector(), "traces_sampler": "parentbased_traceidratio"}
        if given.pop("errors", False):
            given["sentry_dsn"] = f"{_collector().replace('://', '://key@')}/1"
        instrument(app, settings=TelemetrySettings.model_validate(given))
        return app

    return build


def _exported_provider(share: float) -> Any:
    """Return a tracer provider that exports to the collector, with its SDK's defaults."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 the same
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(share))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{_collector()}/v1/traces")))
    return provider


def _set_provider(_: FastAPI, *, share: float = 1.0) -> None:
    """Let FastAPI's own telemetry trace: it does so once there are providers."""
    from opentelemetry import metrics, trace  # noqa: PLC0415 the same
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415

    trace.set_tracer_provider(_exported_provider(share))
    metrics.set_meter_provider(MeterProvider([_metric_reader()]))


def _metric_reader() -> Any:
    """Return a reader that exports metrics to the collector, with the SDK's defaults."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 the same
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    return PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{_collector()}/v1/metrics"))


def _add_starlette_exporter(app: FastAPI) -> None:
    from starlette_exporter import PrometheusMiddleware  # type: ignore[import-not-found]  # noqa: PLC0415 the same

    app.add_middleware(PrometheusMiddleware)


def _add_logfire(app: FastAPI, *, share: float = 1.0) -> None:
    import logfire  # type: ignore[import-not-found]  # noqa: PLC0415 the same
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    exporter = OTLPSpanExporter(endpoint=f"{_collector()}/v1/traces")
    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[BatchSpanProcessor(exporter)],
        metrics=logfire.MetricsOptions(additional_readers=[_metric_reader()]),
        sampling=logfire.SamplingOptions(head=share),
    )
    logfire.instrument_fastapi(app)


def _add_lite_bootstrap(app: FastAPI, *, share: float = 1.0) -> None:
    from lite_bootstrap import FastAPIBootstrapper, FastAPIConfig  # type: ignore[import-not-found]  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415 the same

    config = FastAPIConfig(
        application=app,
        service_name="bench",
        opentelemetry_endpoint=f"{_collector()}/v1/traces",
        opentelemetry_exporter_protocol="http",
        opentelemetry_sampler=ParentBasedTraceIdRatio(share),
    )
    FastAPIBootstrapper(config).bootstrap()


_STARLETTE_EXPORTER: Final = ("starlette-exporter==0.24.0",)
_LOGFIRE: Final = ("logfire[fastapi]==5.4.0",)
_LITE_BOOTSTRAP: Final = ("lite-bootstrap[fastapi-all]==1.15.3", "opentelemetry-exporter-otlp-proto-http==1.45.2")

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
    Arm(
        name="fastapi",
        title="FastAPI's own telemetry, its defaults",
        build=_app(_set_provider),
        exports=True,
        compared_with="ours-100",
    ),
    Arm(
        name="fastapi-10",
        title="FastAPI's own telemetry, 10 % sampled",
        build=_app(partial(_set_provider, share=0.1)),
        exports=True,
        compared_with="ours-10",
    ),
    Arm(
        name="starlette-exporter",
        title="starlette_exporter, its defaults: metrics alone",
        build=_app(_add_starlette_exporter),
        requirements=_STARLETTE_EXPORTER,
    ),
    Arm(
        name="logfire",
        title="logfire, its defaults",
        build=_app(_add_logfire),
        requirements=_LOGFIRE,
        exports=True,
        compared_with="ours-100",
    ),
    Arm(
        name="logfire-10",
        title="logfire, 10 % sampled",
        build=_app(partial(_add_logfire, share=0.1)),
        requirements=_LOGFIRE,
        exports=True,
        compared_with="ours-10",
    ),
    Arm(
        name="lite-bootstrap",
        title="lite-bootstrap, its defaults",
        build=_app(_add_lite_bootstrap),
        requirements=_LITE_BOOTSTRAP,
        exports=True,
        compared_with="ours-100",
    ),
    Arm(
        name="lite-bootstrap-10",
        title="lite-bootstrap, 10 % sampled",
        build=_app(partial(_add_lite_bootstrap, share=0.1)),
        requirements=_LITE_BOOTSTRAP,
        exports=True,
        compared_with="ours-10",
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
        name="whatif-10",
        title="ours with 10 % traces and what-if metrics",
        build=_ours(**_ALL, whatif=True),
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
    Arm(
        name="ours-10-operations",
        title="the same with 10 % traces and operation spans",
        build=_ours(**_ALL, operation_spans=True),
        exports=True,
    ),
    Arm(
        name="ours-100-operations",
        title="the same with 100 % traces and operation spans",
        build=_ours(**_ALL | {"traces_sampler_arg": 1.0}, operation_spans=True),
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
