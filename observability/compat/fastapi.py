"""FastAPI: its own telemetry, which `FastAPI(telemetry=...)` configures, and the routes of included routers.

Until 0.136 `include_router` copies routes; a route is the whole context of itself then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Tracer
from starlette.applications import Starlette
from starlette.routing import Host, Mount
from starlette.types import ASGIApp

if TYPE_CHECKING:
    from fastapi.routing import RouteContext, iter_route_contexts
else:
    try:
        from fastapi.routing import RouteContext, iter_route_contexts
    except ImportError:

        class RouteContext:
            """A route, and what it is without an including router: itself."""

            def __init__(self, route: Any) -> None:
                self.original_route = route

            def __getattr__(self, name: str) -> Any:
                return getattr(self.original_route, name, None)

        def iter_route_contexts(routes: Iterable[Any]) -> Iterator[RouteContext]:
            return map(RouteContext, routes)


try:
    from fastapi.telemetry._api import _REQUEST_TELEMETRY_KEY, _RequestTelemetry
except ImportError:
    HAS_OPERATIONS = False
else:
    HAS_OPERATIONS = True

AddEvent = Callable[[str, dict[str, Any]], None]

__all__ = [
    "RouteContext",
    "disable_native_telemetry",
    "disabling_native_telemetry",
    "iter_route_contexts",
    "operations",
]


class _EventLogger:
    """The logger that FastAPI passes validation failures to; they become events."""

    def __init__(self, add_event: AddEvent) -> None:
        self._add_event = add_event

    def emit(self, *, event_name: str, attributes: dict[str, Any], **_: object) -> None:
        self._add_event(event_name, attributes)


def operations(tracer: Tracer | None, add_event: AddEvent) -> Mapping[str, Any]:
    """Return the values of a context in which FastAPI traces operations and passes on validation failures.

    Without a tracer it traces no operations; before 0.142 it does neither.
    """
    if not HAS_OPERATIONS:
        return {}
    logger: Any = _EventLogger(add_event)
    telemetry = _RequestTelemetry(span=None, span_method="", tracer=tracer, logger=logger, data=None)
    return {_REQUEST_TELEMETRY_KEY: telemetry}


def disable_native_telemetry(app: Starlette) -> None:
    """Disable FastAPI's own telemetry after the application was made.

    It is inactive inside OpenTelemetry's middleware, but searches the stack for that on every request, which takes as
    long as all of our instrumentation. Without `_telemetry` that cost remains.
    """
    configuration = getattr(app, "_telemetry", None)
    if isinstance(configuration, dict):
        configuration.update(tracing=False, metrics=False, logs=False)


def disabling_native_telemetry(app: ASGIApp) -> ASGIApp:
    """Return OpenTelemetry's middleware, which in the stack disables FastAPI's telemetry; it is never called."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415 slow to import
    from opentelemetry.metrics import NoOpMeter  # noqa: PLC0415 the same
    from opentelemetry.trace import NoOpTracer  # noqa: PLC0415 the same

    marker: ASGIApp = OpenTelemetryMiddleware(
        app, tracer=NoOpTracer(), meter=NoOpMeter("observability"), exclude_spans=["receive", "send"]
    )
    return marker


def unbuilt_routes(app: Any, depth: int = 0) -> int:
    """Return how many included routes FastAPI, from 0.137 on, has not built yet; the first request builds them.

    Raise `AttributeError` without `_effective_candidates_version`.
    """
    number = 0
    for route in getattr(app, "routes", ()) if depth < 20 else ():
        if isinstance(route, Mount | Host):
            number += unbuilt_routes(route.app, depth + 1)
        elif hasattr(route, "original_router") and route._effective_candidates_version is None:
            number += routes_below(route.original_router)
    return number


def routes_below(router: Any) -> int:
    """Return the number of routes of a router, with those of the routers that it includes."""
    return sum(
        routes_below(route.original_router) if hasattr(route, "original_router") else 1 for route in router.routes
    )
