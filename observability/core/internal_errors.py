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


class _InternalErrors:
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


_internal_errors: Final = _InternalErrors()


def record_internal_error(where: str, error: Exception) -> None:
    """Count `error` under `where` and log the first one there; inside `raise_internal_errors()` raise it instead."""
    if _internal_errors.raising:
        raise error
    if _internal_errors.count(where):
        logger.error("telemetry failed in %s; later failures there are only counted", where, exc_info=error)


class suppress_internal_errors:  # noqa: N801 reads as a statement: `with suppress_internal_errors("http"):`
    """A block whose exceptions never reach the request: `with suppress_internal_errors("pool"): ...`."""

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
        record_internal_error(self.where, error)
        return True


@contextmanager
def raise_internal_errors(raised: bool = True) -> Iterator[None]:
    """Raise internal errors inside the block, or with `False` record them again: for tests."""
    before = _internal_errors.raising
    _internal_errors.raising = raised
    try:
        yield
    finally:
        _internal_errors.raising = before


def internal_error_count(where: str) -> int:
    """Return how many failures were swallowed under `where` since the process started."""
    return _internal_errors.counts.get(where, 0)


class _InternalErrorCollector(Collector):
    """Gives `observability_errors_total{where}` to a registry."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "observability_errors", "Failures of telemetry code that requests did not notice.", labels=("where",)
        )
        for where, count in sorted(_internal_errors.counts.copy().items()):
            family.add_metric((where,), count)
        yield family


def register_internal_errors(registry: CollectorRegistry) -> None:
    """Add the process's `observability_errors_total{where}` to the registry."""
    registry.register(_InternalErrorCollector())
