"""One call makes an application observable."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.types import ASGIApp

from observability.clients.httpx import Client
from observability.core.settings import TelemetrySettings
from observability.telemetry import Telemetry

if TYPE_CHECKING:
    from celery import Celery


class InstrumentationError(RuntimeError):
    """`instrument()` was called where it cannot work."""


def instrument(  # noqa: PLR0913 one argument for each kind of thing that is watched
    app: Starlette,
    *,
    engines: Mapping[str, Engine | AsyncEngine] = {},
    http_clients: Mapping[str, Client] = {},
    redis: Iterable[Any] = (),
    celery: "Celery | None" = None,
    registry: CollectorRegistry | None = None,
    settings: TelemetrySettings | None = None,
    span_processors: Sequence[SpanProcessor] = (),
) -> Telemetry:
    """Instrument a FastAPI or Starlette application; call it once, where the application is put together.

    `engines` maps a role (`primary`, `replica`) to the SQLAlchemy engine that plays it, `http_clients` a name to an
    httpx client; `redis` are redis-py clients, `celery` is the application whose tasks are published here. Without
    `registry` a new one is made; without `settings` they are read from the environment. `span_processors` get every
    span besides the exporter. Raise `InstrumentationError` for an application that is instrumented already, or that
    already runs.
    """
    if getattr(app, "_observability", None) is not None:
        raise InstrumentationError("this application is instrumented already; call instrument() once per application")
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        raise InstrumentationError(
            "FastAPIInstrumentor instruments this application already and every span would come twice; "
            "remove FastAPIInstrumentor.instrument_app(), instrument() does what it does"
        )
    if app.middleware_stack is not None:
        raise InstrumentationError(
            "the application already runs; call instrument() where it is put together, not in its lifespan"
        )
    telemetry = Telemetry(
        registry=registry or CollectorRegistry(),
        settings=settings or TelemetrySettings.from_environ(),
        title=getattr(app, "title", ""),
        span_processors=span_processors,
    )
    app._observability = telemetry  # type: ignore[attr-defined]  # noqa: SLF001 the mark that says it is done
    if engines:
        telemetry.instrument_engines(engines)
    if http_clients:
        telemetry.instrument_http_clients(http_clients)
    if celery is not None:
        telemetry.instrument_tasks(celery)
    telemetry.instrument_redis(redis)
    if telemetry.settings.enabled:
        _disable_fastapi_telemetry(app)
        _wrap_stack(app, telemetry)
    _wrap_lifespan(app, telemetry)
    return telemetry


def _disable_fastapi_telemetry(app: Starlette) -> None:
    """Switch off FastAPI's own telemetry, as `FastAPI(telemetry=...)` can.

    It stands back for the OpenTelemetry middleware in the stack, but finds that out anew for every request, which takes
    as long as all of ours. Where FastAPI keeps its configuration elsewhere, it still stands back.
    """
    configuration = getattr(app, "_telemetry", None)
    if isinstance(configuration, dict):
        configuration.update(tracing=False, metrics=False, logs=False)


def _wrap_stack(app: Starlette, telemetry: Telemetry) -> None:
    """Put the middleware outside of everything, also of the 500 response, as OpenTelemetry's instrumentor does."""
    build = app.build_middleware_stack

    def instrumented() -> ASGIApp:
        return telemetry.middleware(app, build())

    app.build_middleware_stack = instrumented  # type: ignore[method-assign]


def _wrap_lifespan(app: Starlette, telemetry: Telemetry) -> None:
    """Start and stop telemetry around the application's own lifespan, whatever state that yields."""
    own = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: Any) -> AsyncIterator[Any]:
        telemetry.start()
        try:
            async with own(running) as state:
                yield state
        finally:
            telemetry.stop()

    app.router.lifespan_context = lifespan
