"""Which routes hold the connections of a pool, and for how long."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import Lock
from time import perf_counter
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric

from observability.core.collector import DescribedCollector
from observability.core.labels import POOL_LABEL
from observability.request.record import RequestRecord, current_request
from observability.request.route import handler_of

NAMED: Final = 3
"""Routes that an error and a log record name."""

RECENT_S: Final = 30.0
"""An error names what was held in the last one to two of these."""

LOG_EVERY_S: Final = 10.0
"""Minimum time between two log records of one pool."""

logger: Final = logging.getLogger("observability.database.pool")


class Use(NamedTuple):
    """A checkout: its time by `perf_counter`, and the request that it was for."""

    started: float
    request: RequestRecord | None


def use_of_current_request() -> Use:
    return Use(perf_counter(), current_request.get())


class Holders:
    """The seconds for which each route held connections of the pools of one role."""

    def __init__(self, role: str, in_use: Callable[[], Iterable[Use]]) -> None:
        self._role = role
        self._in_use = in_use
        self._returned: dict[str, float] = {}
        self._recent: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._recent_since = perf_counter()
        self._logged = -LOG_EVERY_S
        self._lock = Lock()

    def returned(self, use: Use) -> tuple[str, float]:
        """Count a connection that was returned, and return which route held it and for how many seconds."""
        handler = handler_of(use.request)
        now = perf_counter()
        seconds = now - use.started
        with self._lock:
            self._drop_old(now)
            for counted in (self._returned, self._recent):
                counted[handler] = counted.get(handler, 0.0) + seconds
        return handler, seconds

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every route, with those of connections that are still checked out."""
        with self._lock:
            return _sum(self._returned, _held(self._in_use()))

    def name_on(self, error: BaseException) -> None:
        """Add a note to the error that names the routes which held most, and log it now and then."""
        now = perf_counter()
        with self._lock:
            self._drop_old(now)
            held = _sum(self._before, self._recent, _held(self._in_use()))
            is_logged = now - self._logged >= LOG_EVERY_S
            if is_logged:
                self._logged = now
        most = sorted(held.items(), key=lambda item: -item[1])[:NAMED]
        if not most:
            return  # the pool has no connection yet, because connecting takes longer than its timeout
        text = "held most by " + ", ".join(f"{handler} ({seconds:.1f} s)" for handler, seconds in most)
        error.add_note(text)
        if is_logged:
            fields = {"pool": self._role, "held_s": {handler: round(seconds, 3) for handler, seconds in most}}
            logger.error("no connection of the pool %s became free: %s", self._role, text, extra=fields)

    def _drop_old(self, now: float) -> None:
        age = now - self._recent_since
        if age >= RECENT_S:
            self._before = self._recent if age < 2 * RECENT_S else {}
            self._recent, self._recent_since = {}, now


class HeldSeconds(DescribedCollector):
    """The counter of the seconds of all roles' routes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._roles: dict[str, Holders] = {}
        registry.register(self)

    def holders(self, role: str, in_use: Callable[[], Iterable[Use]]) -> Holders:
        """Return what counts the connections of a new role; `in_use` returns those that are checked out."""
        holders = self._roles[role] = Holders(role, in_use)
        return holders

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "db_client_connection_held_seconds",
            "Seconds for which a route held connections; their rate is the number that it holds on average.",
            labels=(POOL_LABEL, "handler"),
        )
        for role, holders in self._roles.copy().items():
            for handler, seconds in sorted(holders.seconds().items()):
                family.add_metric((role, handler), seconds)
        yield family


def _held(uses: Iterable[Use]) -> dict[str, float]:
    now = perf_counter()
    held: dict[str, float] = {}
    for use in uses:
        handler = handler_of(use.request)
        held[handler] = held.get(handler, 0.0) + now - use.started
    return held


def _sum(*parts: Mapping[str, float]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for handler, seconds in part.items():
            total[handler] = total.get(handler, 0.0) + seconds
    return total
