"""Connects and commands of redis-py clients, synchronous or not: their pools open connections of a subclass.

Commands are counted where their responses are read, because pipelines do not execute them one by one.
"""

from collections.abc import Callable
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
    return type(inner.__name__, (inner,), {_INNER: inner, **make(inner, names, counts)})


def _state(connection: Any) -> _State:
    state: _State | None = connection.__dict__.get("whatif_state")
    if state is None:
        state = connection.whatif_state = _State()
    return state


def _opened(state: _State, counts: RedisCounts, started: float) -> None:
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
            state = _state(self)
            if state.is_open or state.is_opening:
                return method(self, *arguments, **options)
            state.is_opening, started = True, perf_counter()
            try:
                result = method(self, *arguments, **options)
            finally:
                state.is_opening = False
            _opened(state, counts, started)
            return result

        return connect

    def disconnect(self: Any, *arguments: Any, **options: Any) -> Any:
        _state(self).is_open = False
        return inner.disconnect(self, *arguments, **options)

    def send_packed_command(self: Any, *arguments: Any, **options: Any) -> Any:
        _state(self).since = perf_counter()
        return inner.send_packed_command(self, *arguments, **options)

    def read_response(self: Any, *arguments: Any, **options: Any) -> Any:
        response = inner.read_response(self, *arguments, **options)
        _responded(_state(self), counts)
        return response

    methods = (disconnect, send_packed_command, read_response)
    return {name: opening(getattr(inner, name)) for name in connecting} | {one.__name__: one for one in methods}


def _asynchronous(inner: Any, connecting: list[str], counts: RedisCounts) -> dict[str, Callable[..., Any]]:
    def opening(method: Callable[..., Any]) -> Callable[..., Any]:
        async def connect(self: Any, *arguments: Any, **options: Any) -> Any:
            state = _state(self)
            if state.is_open or state.is_opening:
                return await method(self, *arguments, **options)
            state.is_opening, started = True, perf_counter()
            try:
                result = await method(self, *arguments, **options)
            finally:
                state.is_opening = False
            _opened(state, counts, started)
            return result

        return connect

    async def disconnect(self: Any, *arguments: Any, **options: Any) -> Any:
        _state(self).is_open = False
        return await inner.disconnect(self, *arguments, **options)

    async def send_packed_command(self: Any, *arguments: Any, **options: Any) -> Any:
        _state(self).since = perf_counter()
        return await inner.send_packed_command(self, *arguments, **options)

    async def read_response(self: Any, *arguments: Any, **options: Any) -> Any:
        response = await inner.read_response(self, *arguments, **options)
        _responded(_state(self), counts)
        return response

    methods = (disconnect, send_packed_command, read_response)
    return {name: opening(getattr(inner, name)) for name in connecting} | {one.__name__: one for one in methods}
