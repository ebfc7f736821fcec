"""The layers of an application: every ASGI callable from the outermost middleware to the router, and in mounts."""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from types import FunctionType, MethodType
from typing import Final

from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import BaseRoute, Router

MAX_LAYERS: Final = 10_000


def layers(app: object) -> list[object]:
    """Return the ASGI callables, the outermost first; a middleware may keep the next one under any name."""
    found: list[object] = []
    seen: set[int] = set()
    pending = [app]
    while pending and len(found) < MAX_LAYERS:
        layer = pending.pop(0)
        if id(layer) in seen or not _is_asgi(layer):
            continue
        seen.add(id(layer))
        found.append(layer)
        pending.extend(_inner(layer))
    return found


def unbuilt_middleware(layer: object) -> list[type]:
    """Return the classes of BaseHTTPMiddleware that a mounted application adds at its first request."""
    if not isinstance(layer, Starlette) or layer.middleware_stack is not None:
        return []
    classes = [middleware.cls for middleware in layer.user_middleware]
    return [one for one in classes if isinstance(one, type) and issubclass(one, BaseHTTPMiddleware)]


def _inner(layer: object) -> Iterator[object]:
    if isinstance(layer, Starlette):
        yield layer.middleware_stack or layer.router
    elif isinstance(layer, Router | BaseRoute):
        yield getattr(layer, "middleware_stack", None)
        yield getattr(layer, "app", None)
        yield from getattr(layer, "routes", None) or ()
    elif isinstance(layer, MethodType):
        yield layer.__self__
    elif isinstance(layer, FunctionType):
        yield getattr(layer, "__wrapped__", None)
        for cell in layer.__closure__ or ():
            with suppress(ValueError):  # an empty cell
                yield cell.cell_contents
    else:
        slots = (getattr(kind, "__slots__", ()) for kind in type(layer).__mro__)
        names = [name for each in slots for name in ([each] if isinstance(each, str) else each)]
        yield from getattr(layer, "__dict__", {}).values()
        yield from (getattr(layer, name, None) for name in names)


def _is_asgi(thing: object) -> bool:
    if isinstance(thing, Router | BaseRoute | Starlette):
        return True
    if isinstance(thing, type) or not callable(thing):
        return False
    try:
        inspect.signature(thing).bind("scope", "receive", "send")
    except (TypeError, ValueError):
        return False
    return True
