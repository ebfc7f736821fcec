"""The engines of a process: those given by role, those made later, or all."""

from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.compat.sqlalchemy import without_options
from observability.core.attached import AlreadyAttached
from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import BoundedValues
from observability.database.instrument_engine import UNOBSERVED, database_name, sync_engine
from observability.database.pool import PoolMetrics
from observability.database.queries import QueryMetrics

_ENGINE_CONNECT: Final = "engine_connect"


class EngineMetrics:
    """Observes the pools and the statements of engines; keeps none of them alive."""

    def __init__(self, registry: CollectorRegistry, *, queries: QueryMetrics) -> None:
        self._pools = PoolMetrics(registry)
        self._queries = queries
        self._watched: WeakKeyDictionary[Engine, str] = WeakKeyDictionary()
        self._database = BoundedValues()
        self._watches_all = False
        self._further: list[Callable[[str, Engine], None]] = []

    def also_watches(self, watch: Callable[[str, Engine], None]) -> None:
        """Call `watch` with the role and the engine of every engine that is observed from now on."""
        self._further.append(watch)

    def watch(self, role: str, engine: Engine | AsyncEngine) -> None:
        """Observe the engine under its role; engines of one role are added up.

        The second time for the same role does nothing; raise `AlreadyAttached` if the engine has another one.
        """
        engine = sync_engine(engine)
        watched = self._watched.get(engine)
        if watched == role:
            return
        if watched is not None:
            raise AlreadyAttached("engine", role, watched)
        self._watched[engine] = role
        self._pools.attach(role, engine)
        self._queries.attach(role, engine)
        for watch in self._further:
            watch(role, engine)

    def engines(self) -> list[Engine]:
        """Return the engines that are observed."""
        return list(self._watched)

    def watch_all(self) -> None:
        """Observe every engine from its first connection on, under the name of its database."""
        if not self._watches_all:
            self._watches_all = True
            event.listen(Engine, _ENGINE_CONNECT, self._connected)

    def stop_watching_all(self) -> None:
        if self._watches_all:
            self._watches_all = False
            event.remove(Engine, _ENGINE_CONNECT, self._connected)

    def _connected(self, connection: Connection) -> None:
        engine = without_options(connection.engine)
        if engine not in self._watched and UNOBSERVED not in engine.get_execution_options():
            with suppress_internal_errors("engines"):
                self.watch(self._database(database_name(engine)), engine)
