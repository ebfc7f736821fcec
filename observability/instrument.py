"""`instrument()`: the one call that adds telemetry to an application."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Unpack

from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.applications import Starlette
from starlette.types import ASGIApp

from observability.compat.fastapi import disable_native_telemetry
from observability.compat.opentelemetry import is_instrumented_by_fastapi_instrumentor
from observability.compat.prometheus_client import registered_collectors
from observability.core.extras import requires
from observability.core.internal_errors import suppress_internal_errors
from observability.core.settings import TelemetrySettings
from observability.http.custom_metrics import InstrumentationFunction
from observability.request.custom_labels import LabelDeclarations
from observability.request.route_table import build_route_contexts
from observability.telemetry import NO_ENGINES, NO_LABELS, Engines, Telemetry
from observability.tracing.http_options import HttpOptions

if TYPE_CHECKING:
    from celery import Celery

    from observability.clients.httpx import Client


TELEMETRY: Final = "_observability"
"""The attribute of an instrumented application that holds its telemetry."""


class InstrumentationError(RuntimeError):
    """`instrument()` was called where it cannot work."""


def instrument(  # noqa: PLR0913 one argument for each kind of instrumented thing
    app: Starlette,
    *,
    engines: Engines = NO_ENGINES,
    http_clients: "Mapping[str, Client]" = MappingProxyType({}),
    redis: Iterable[Any] = (),
    celery: "Celery | None" = None,
    labels: LabelDeclarations = NO_LABELS,
    registry: CollectorRegistry | None = None,
    settings: TelemetrySettings | None = None,
    span_processors: Sequence[SpanProcessor] = (),
    build_routes: bool = True,
    whatif: bool | None = None,
    explain: bool | None = None,
    metrics: Sequence[InstrumentationFunction | None] = (),
    **http_options: Unpack[HttpOptions],
) -> Telemetry:
    """Instrument a FastAPI or Starlette application; call it once, where the application is created.

    `engines` maps a role (`primary`, `replica`) to its SQLAlchemy engine; `auto` observes every engine of the process,
    and `Telemetry.watch_engine()` one that is made later. `http_clients` maps a name to an httpx client;
    `redis` are redis-py clients, `celery` is the application whose tasks are published here.
    `labels` are further labels of the metrics of requests, with the values that `set_label()` may set, or their number.
    By default there is a new
    `registry`; that of prometheus_client, `REGISTRY`, works too, for one application. By default `settings` are read
    from the environment. `span_processors` receive every span in addition to the exporter. FastAPI builds the routes of
    included routers at the first request, 2 ms each on the event loop; with `build_routes` that is part of the start.
    `whatif` adds the metrics that `flightdeck advise` reads, `explain` also explains slow statements for them; None
    leaves each to its setting.
    `metrics` are functions of prometheus-fastapi-instrumentator; with them the `registry` is by default `REGISTRY`, in
    which they register, and their metrics replace those of the same names. `http_options` are the arguments of
    `FastAPIInstrumentor.instrument_app()`: hooks, excluded URLs, captured headers.
    Raise `InstrumentationError` for an application that is already instrumented or already runs, and for a registry
    with metrics of the same names.
    """
    if getattr(app, TELEMETRY, None) is not None:
        raise InstrumentationError("this application is instrumented already; call instrument() once per application")
    if is_instrumented_by_fastapi_instrumentor(app):
        raise InstrumentationError(
            "FastAPIInstrumentor instruments this application already and every span would be recorded twice; "
            "remove FastAPIInstrumentor.instrument_app(): instrument() replaces it"
        )
    if app.middleware_stack is not None:
        raise InstrumentationError(
            "the application already runs; call instrument() where it is created, not in its lifespan"
        )
    registry = registry or (REGISTRY if metrics else CollectorRegistry(auto_describe=True))
    settings = settings or TelemetrySettings.from_environ()
    given = {"whatif": whatif, "whatif_explain": explain}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    with _registered_in(registry):
        telemetry = Telemetry(
            registry=registry,
            settings=settings,
            title=getattr(app, "title", ""),
            labels=labels,
            span_processors=span_processors,
            functions=metrics,
            http_options=http_options,
        )
        if engines:
            telemetry.watch_engines(engines)
        if http_clients:
            telemetry.instrument_http_clients(http_clients)
        if celery is not None:
            _instrument_publisher(celery, registry)
    telemetry.instrument_redis(redis)
    setattr(app, TELEMETRY, telemetry)
    with suppress_internal_errors("logs_install"):
        telemetry.logs.install()
    if telemetry.settings.enabled:
        disable_native_telemetry(app)
        telemetry.instrument_officially(app)
        _wrap_stack(app, telemetry)
    _wrap_lifespan(app, telemetry, build_routes=build_routes)
    return telemetry


@contextmanager
def _registered_in(registry: CollectorRegistry) -> Iterator[None]:
    """Leave the registry as it was if instrumenting fails; say what to do about metrics of the same names."""
    before = registered_collectors(registry)
    try:
        yield
    except Exception as error:
        for collector in registered_collectors(registry) - before:
            registry.unregister(collector)
        if not str(error).startswith("Duplicated timeseries"):
            raise
        raise InstrumentationError(
            f"the registry has metrics of these names already ({str(error).partition(': ')[2]}): another instrumented "
            "application or instrumentation uses it; give each application a registry of its own, or remove the other "
            "instrumentation"
        ) from error


def _instrument_publisher(app: "Celery", registry: CollectorRegistry) -> None:
    """Count the tasks that this process publishes, and propagate trace context and publishing time."""
    with requires("celery", needed_for="instrument(celery=...)"):
        from observability.celery.metrics import TaskMetrics  # noqa: PLC0415 an extra
        from observability.celery.tracing import instrument_celery  # noqa: PLC0415 the same

    TaskMetrics(registry).attach(app)
    instrument_celery()


def _wrap_stack(app: Starlette, telemetry: Telemetry) -> None:
    """Make the middleware the outermost, outside the one that sends the 500 response too."""
    build = app.build_middleware_stack

    def instrumented() -> ASGIApp:
        return telemetry.middleware(app, build())

    app.build_middleware_stack = instrumented  # type: ignore[method-assign]


def _wrap_lifespan(app: Starlette, telemetry: Telemetry, *, build_routes: bool) -> None:
    """Start and stop telemetry around the application's own lifespan; its state is passed through."""
    own = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: Any) -> AsyncIterator[Any]:
        telemetry.start()
        try:
            async with own(running) as state:
                if build_routes:  # after the own lifespan, which may include routers
                    build_route_contexts(app)
                yield state
        finally:
            telemetry.stop()

    app.router.lifespan_context = lifespan
