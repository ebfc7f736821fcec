"""The route templates of an application: `/items/{item_id}`, as it was registered, with every prefix.

Routers put what they matched in the scope: an endpoint, usually the route too. That is not enough for a label: the path
of a route lacks the prefix of `include_router` and of a mount, and a router may be included twice. So the templates are
read from the application's route tree once, and a request costs one dictionary lookup, whatever the number of routes.
Only where an endpoint has several templates the path decides.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from starlette.convertors import CONVERTOR_TYPES
from starlette.routing import PARAM_REGEX, BaseRoute, Host, Mount
from starlette.types import ASGIApp, Scope

from observability.compat.fastapi import RouteContext, iter_route_contexts
from observability.request.routed_scope import record_routed_scope

UNMATCHED: Final = "unmatched"
"""The label of every request that matches no route."""

_BRANCHES: Final = (Mount, Host)
_MAX_DEPTH: Final = 20
_MAX_LEARNED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Template:
    text: str
    pattern: re.Pattern[str]
    methods: frozenset[str] | None


class RouteTable:
    """The templates of an application's routes, by route and by endpoint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._templates: tuple[_Template, ...] = ()
        self._by_owner: dict[int, tuple[_Template, ...]] = {}
        self._owners: list[object] = []  # referenced, so that no id is reused

    def template(self, scope: Scope, *, root_path: str) -> str:
        """Return the template for the route or endpoint in the scope, or `unmatched`."""
        owner = scope.get("route")
        if owner is None or isinstance(owner, _BRANCHES):
            owner = scope.get("endpoint")
            if owner is None:
                return _frontend_template(scope)
        templates = self._by_owner.get(id(owner))
        if templates is None:
            templates = self._learned(owner, scope.get("endpoint"))
        if len(templates) == 1:
            return templates[0].text
        return _first_match(templates or self._templates, scope, root_path)

    def match(self, scope: Scope, *, root_path: str) -> str:
        """Return the template by matching the path, for requests that a middleware responded to before any router."""
        if not self._templates:
            self.read()
        return _first_match(self._templates, scope, root_path)

    def _learned(self, owner: object, endpoint: object) -> tuple[_Template, ...]:
        """Read the route tree again, as routes were added; an owner that is not in it gets those of its endpoint."""
        self.read()
        templates = self._by_owner.get(id(owner))
        if templates is None:
            templates = self._by_owner.get(id(endpoint), ())
            if len(self._owners) < _MAX_LEARNED:
                self._owners.append(owner)
                self._by_owner[id(owner)] = templates
        return templates

    def read(self) -> None:
        """Read the route tree, and let its routers record the scope they route in."""
        record_routed_scope(self._app)
        by_owner: dict[int, dict[str, _Template]] = {}
        owners: list[object] = []
        ordered: dict[tuple[str, frozenset[str] | None], _Template] = {}
        for owner, template in _walk(self._app, "", 0):
            owners.append(owner)
            by_owner.setdefault(id(owner), {})[template.text] = template
            if template.text != UNMATCHED:
                ordered[template.text, template.methods] = template
        self._by_owner = {key: tuple(templates.values()) for key, templates in by_owner.items()}
        self._owners = owners
        self._templates = tuple(ordered.values())


def build_route_contexts(app: object, depth: int = 0) -> None:
    """Let FastAPI build what it would build at the first request, in mounted applications too; it keeps the result."""
    for context in iter_route_contexts(_routes_of(app) or ()):
        if depth < _MAX_DEPTH and isinstance(context.original_route, _BRANCHES):
            build_route_contexts(context.app, depth + 1)


def _walk(app: object, prefix: str, depth: int) -> Iterator[tuple[object, _Template]]:
    """Yield every route and endpoint below the application, with its template."""
    if depth > _MAX_DEPTH:
        return
    for context in iter_route_contexts(_routes_of(app) or ()):
        route = context.original_route
        if isinstance(route, _BRANCHES):
            path = prefix + context.path if isinstance(route, Mount) and context.path else prefix
            record_routed_scope(context.app)
            below = _routes_of(context.app)
            template = _template(path, context, opaque=True) if below is None else _NOTHING_BELOW
            yield route, template
            yield context.app, template
            yield from _walk(context.app, path, depth + 1)
        elif context.path is not None:
            template = _template(prefix + context.path, context)
            yield route, template
            if context.endpoint is not None:
                yield context.endpoint, template


def _routes_of(app: object) -> list[BaseRoute] | None:
    """Return the routes of an application, also through middleware; None if it shows none."""
    for _ in range(_MAX_DEPTH):
        if app is None:
            return None
        routes = getattr(app, "routes", None)
        if isinstance(routes, list):
            return routes
        app = getattr(app, "app", None)
    return None


def _template(path: str, context: RouteContext, *, opaque: bool = False) -> _Template:
    pattern, end = "", 0
    for parameter in PARAM_REGEX.finditer(path):
        convertor = CONVERTOR_TYPES[(parameter[2] or ":str")[1:]]
        pattern += f"{re.escape(path[end : parameter.start()])}(?:{convertor.regex})"
        end = parameter.end()
    pattern += re.escape(path[end:]) + ("(?:/.*)?" if opaque else "")
    methods = None if opaque else context.methods
    return _Template(path or "/", re.compile(pattern + r"\Z"), frozenset(methods) if methods else None)


_NOTHING_BELOW: Final = _Template(UNMATCHED, re.compile(r"(?!)"), None)


def _first_match(templates: tuple[_Template, ...], scope: Scope, root_path: str) -> str:
    path: str = scope["path"]
    if root_path and path.startswith(root_path) and path[len(root_path) :][:1] in {"", "/"}:
        path = path[len(root_path) :]
    method = scope.get("method")
    other_method = UNMATCHED
    for template in templates:
        if template.pattern.match(path):
            if method is None or template.methods is None or method in template.methods:
                return template.text
            if other_method is UNMATCHED:
                other_method = template.text
    return other_method


def _frontend_template(scope: Scope) -> str:
    """Return the template of files that `FastAPI.frontend()` serves without an endpoint."""
    marks = scope.get("fastapi")
    served = marks.get("frontend_path") if isinstance(marks, dict) else None
    if not isinstance(served, str):
        return UNMATCHED
    return str(scope["path"]).removesuffix(served).rstrip("/") + "/{path}"
