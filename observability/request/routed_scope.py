"""The scope in which a router finds its route.

Middleware may pass on a copy of the scope, as the ASGI specification requires, or one with another path. What a router
puts into it is then missing in the scope that the server made. So the innermost part of every router puts the scope it
routes in into the request's record, which copies of the scope share.
"""

from collections.abc import Awaitable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from observability.request.record import RECORD, RequestRecord

_MAX_DEPTH: Final = 20


class _RoutedScope:
    def __init__(self, route: ASGIApp) -> None:
        self._route = route

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Record the scope and route; not a coroutine function, which would create an object for every request."""
        record: RequestRecord | None = scope.get(RECORD)
        if record is not None:
            if record.routed is None and scope is not record.scope:
                record.root_path = scope.get("root_path", "")
            record.routed = scope
        return self._route(scope, receive, send)


def record_routed_scope(app: object) -> None:
    """Let the router of an application, or of one inside middleware, record the scope that it routes in."""
    holder: Any = _router(app)
    if holder is None:
        return
    name = "middleware_stack"
    for _ in range(_MAX_DEPTH):
        inner = getattr(holder, name)
        if isinstance(inner, _RoutedScope):
            return
        if getattr(inner, "app", None) is None:
            setattr(holder, name, _RoutedScope(inner))
            return
        holder, name = inner, "app"


def _router(app: Any) -> Router | None:
    for _ in range(_MAX_DEPTH):
        if isinstance(app, Router):
            return app
        app = app.router if isinstance(app, Starlette) else getattr(app, "app", None)
    return None
