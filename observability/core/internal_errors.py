"""Telemetry that fails: swallowed, counted, logged once; raised while a test asks for it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger("observability")


class _Failures:
    """How often telemetry failed in this process, by place."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.lock = Lock()
        self.raising = False

    def count(self, where: str) -> bool:
        """Count one more failure; return whether it is the first one there."""
        with self.lock:
            before = self.counts.get(where, 0)
            self.counts[where] = before + 1
        return before == 0


_failures: Final = _Failures()


def swallow(where: str, error: Exception) -> None:
    """Count `error` under `where` and log the first one there; inside `failures_raised()` raise it instead."""
    if _failures.raising:
        raise error
    if _failures.count(where):
        logger.error("telemetry failed in %s; later failures there are only counted", where, exc_info=error)


class guarded:  # noqa: N801 reads as a statement: `with guarded("http"):`
    """A block whose exceptions never reach the request: `with guarded("pool"): ...`."""

    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        """Do nothing: a guard costs only when something fails."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Swallow an `Exception`; let `KeyboardInterrupt`, cancellation and the like pass."""
        if not isinstance(error, Exception):
            return False
        swallow(self.where, error)
        return True


@contextmanager
def failures_raised(raised: bool = True) -> Iterator[None]:
    """Raise what telemetry would swallow, or with `False` swallow it again: for tests."""
    before = _failures.raising
    _failures.raising = raised
    try:
        yield
    finally:
        _failures.raising = before


def failure_count(where: str) -> int:
    """Return how many failures were swallowed under `where` since the process started."""
    return _failures.counts.get(where, 0)


class _FailureCollector(Collector):
    """Gives `observability_errors_total{where}` to a registry."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "observability_errors", "Failures of telemetry code that requests did not notice.", labels=("where",)
        )
        for where, count in sorted(_failures.counts.copy().items()):
            family.add_metric((where,), count)
        yield family


def register_failures(registry: CollectorRegistry) -> None:
    """Add the process's `observability_errors_total{where}` to the registry."""
    registry.register(_FailureCollector())
