"""Calls in `async def` functions that block the event loop, found in their source."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Final, get_type_hints

from observability.doctor.check import CouldNotLook

_VERBS: Final = ("get", "post", "put", "patch", "delete", "head", "options", "request")
BLOCKING_FUNCTIONS: Final = frozenset(
    {"time.sleep", "posix.system", "urllib.request.urlopen", "socket.create_connection", "sqlite3.connect"}
    | {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output", "getoutput")}
    | {f"{module}.{verb}" for module in ("httpx", "requests.api") for verb in _VERBS}
    | {"_sqlite3.connect", "psycopg.connect", "psycopg2.connect", "pymysql.connect"}
)
"""Functions that block the thread, by module and name; they need not be installed."""

BLOCKING_CLIENTS: Final = frozenset(
    {"httpx.Client", "requests.sessions.Session", "redis.client.Redis", "pymongo.synchronous.mongo_client.MongoClient"}
    | {"sqlalchemy.orm.session.Session", "sqlalchemy.engine.base.Engine", "sqlalchemy.engine.base.Connection"}
    | {"sqlalchemy.orm.session.sessionmaker"}
)
"""Classes with an asynchronous counterpart: creating one in `async def`, or calling its methods, blocks."""


def blocking_calls(function: Callable[..., Any]) -> Iterator[str]:
    """Yield a message for every call in an `async def` function that blocks the event loop.

    Raise `CouldNotLook` for a function without source.
    """
    function = inspect.unwrap(function)
    if not inspect.iscoroutinefunction(function):
        return
    for name, hint in _hints(function).items():
        if isinstance(hint, type) and _is_blocking_client(hint):
            yield f"{_place(function)} takes a blocking {hint.__name__} as {name!r}"
    try:
        lines, first_line = inspect.getsourcelines(function)
        definition = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, SyntaxError, TypeError) as error:
        raise CouldNotLook(f"{_place(function)} has no source to read") from error
    for call in _calls(definition):
        called, owner = _resolve(call.func, function)
        name, line = ast.unparse(call.func), first_line + call.lineno - 1
        if _qualified(called) in BLOCKING_FUNCTIONS:
            yield f"{_place(function)} calls {name}() in line {line}"
        elif isinstance(called, type) and _is_blocking_client(called):
            yield f"{_place(function)} creates a blocking {called.__name__} in line {line}"
        elif called is not None and (_is_blocking_client(type(called)) or _is_blocking_client(type(owner))):
            yield f"{_place(function)} calls {name}() of a blocking client in line {line}"


def _qualified(thing: object) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def _is_blocking_client(kind: type) -> bool:
    return any(_qualified(base) in BLOCKING_CLIENTS for base in kind.__mro__)


def _calls(definition: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of the function itself, not those in functions that it defines."""
    for child in ast.iter_child_nodes(definition):
        if isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls(child)


def _resolve(node: ast.expr, function: Callable[..., Any]) -> tuple[object, object]:
    """Return the object of a dotted name in the function, and the object that has it as an attribute, or None."""
    if isinstance(node, ast.Name):
        scopes = (inspect.getclosurevars(function).nonlocals, function.__globals__, vars(builtins))
        return next((scope[node.id] for scope in scopes if node.id in scope), None), None
    if isinstance(node, ast.Attribute):
        owner, _ = _resolve(node.value, function)
        # Looked up without running properties or `__getattr__`.
        return (None, owner) if owner is None else (inspect.getattr_static(owner, node.attr, None), owner)
    return None, None


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return {name: hint for name, hint in get_type_hints(function).items() if name != "return"}
    except (NameError, TypeError):
        return {}


def _place(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
