"""FastAPI: its own telemetry, which `FastAPI(telemetry=...)` configures, and the routes of included routers.

Until 0.136 `include_router` copies routes; a route is the whole context of itself then.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

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


__all__ = ["RouteContext", "disable_native_telemetry", "disabling_native_telemetry", "iter_route_contexts"]


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
