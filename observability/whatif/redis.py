"""Connects and commands of redis-py clients, synchronous or not: their pools open connections of a subclass.

Commands are counted where their responses are read, because pipelines do not execute them one by one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from threading import Lock
from time import perf_counter
from typing import Any, Final


@dataclass
class RedisCounts:
    """Of one client. A command takes from its sending, or the response before it, to its response."""

    connects: int = 0
    connect_s: float = 0.0
    commands: int = 0
    command_s: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add_connect(self, seconds: float) -> None:
        with self._lock:
            self.connects += 1
            self.connect_s += seconds

    def add_command(self, seconds: float) -> None:
        with self._lock:
            self.commands += 1
            self.command_s += seconds


def watch(client: Any, counts: RedisCounts) -> bool:
    """Count what the client's pool opens from now on; return whether it has a pool, which a cluster has not."""
    pool = getattr(client, "connection_pool", None)
    connection_class = getattr(pool, "connection_class", None)
    if pool is None or connection_class is None:
        return False
    observed = getattr(connection_class, _INNER, connection_class)  # the latest application observes it
    pool.connection_class = _counted(observed, counts)
    return True


def address(client: Any) -> str:
    """Return the server's address and database, or the path of its socket."""
    pool = getattr(client, "connection_pool", None)
    known = getattr(pool, "connection_kwargs", {})
    if path := known.get("path"):
        return str(path)
    host = known.get("host") or getattr(pool, "service_name", "localhost")
    return f"{host}:{known.get('port') or 6379}/{known.get('db') or 0}"


_INNER: Final = "whatif_inner"


class _State:
    """Of one connection, which one thread or task uses at a time."""

    is_open = False
    is_opening = False
    """The commands of the handshake are no commands of the application."""
    since = 0.0
    """When the last command was sent, or the last response was read."""


def _counted(inner: Any, counts: RedisCounts) -> type:
    make = _asynchronous if iscoroutinefunction(inner.connect) else _synchronous
    names = [name for name in ("connect", "connect_check_health") if hasattr(inner, name)]  # the first calls the second

    def disconnect(self: Any, *arguments: Any, **options: Any) -> Any:
        _state(self).is_open = False
        return inner.disconnect(self, *arguments, **options)

    def send_packed_command(self: Any, *arguments: Any, **options: Any) -> Any:
        _state(self).since = perf_counter()
        return inner.send_packed_command(self, *arguments, **options)

    of_both = {"disconnect": disconnect, "send_packed_command": send_packed_command}  # what they return is awaited
    return type(inner.__name__, (inner,), {_INNER: inner, **of_both, **make(inner, names, counts)})


def _state(connection: Any) -> _State:
    state: _State | None = connection.__dict__.get("whatif_state")
    if state is None:
        state = connection.whatif_state = _State()
    return state


@contextmanager
def _opening(state: _State, counts: RedisCounts) -> Iterator[None]:
    if state.is_open or state.is_opening:
        yield
        return
    state.is_opening, started = True, perf_counter()
    try:
        yield
    finally:
        state.is_opening = False
    state.is_open, state.since = True, perf_counter()
    counts.add_connect(state.since - started)


def _responded(state: _State, counts: RedisCounts) -> None:
    if not state.is_opening:
        now = perf_counter()
        counts.add_command(now - state.since)
        state.since = now


def _synchronous(inner: Any, connecting: list[str], counts: RedisCounts) -> dict[str, Callable[..., Any]]:
    def opening(method: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: Any, *arguments: Any, **options: Any) -> Any:
            with _opening(_state(self), counts):
                return method(self, *arguments, **options)

        return connect

    def read_response(self: Any, *arguments: Any, **options: Any) -> Any:
        response = inner.read_response(self, *arguments, **options)
        _responded(_state(self), counts)
        return response

    return {name: opening(getattr(inner, name)) for name in connecting} | {"read_response": read_response}


def _asynchronous(inner: Any, connecting: list[str], counts: RedisCounts) -> dict[str, Callable[..., Any]]:
    def opening(method: Callable[..., Any]) -> Callable[..., Any]:
        async def connect(self: Any, *arguments: Any, **options: Any) -> Any:
            with _opening(_state(self), counts):
                return await method(self, *arguments, **options)

        return connect

    async def read_response(self: Any, *arguments: Any, **options: Any) -> Any:
        response = await inner.read_response(self, *arguments, **options)
        _responded(_state(self), counts)
        return response

    return {name: opening(getattr(inner, name)) for name in connecting} | {"read_response": read_response}
