"""Errors inside telemetry: suppressed, counted, logged once; raised in tests."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily

from observability.core.collector import DescribedCollector

logger = logging.getLogger("observability")


class _InternalErrors:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.lock = Lock()
        self.raising = False

    def count(self, where: str) -> bool:
        with self.lock:
            before = self.counts.get(where, 0)
            self.counts[where] = before + 1
        return before == 0


_internal_errors: Final = _InternalErrors()


def record_internal_error(where: str, error: Exception) -> None:
    """Count `error` under `where` and log the first one of it; inside `raise_internal_errors()` raise it."""
    if _internal_errors.raising:
        raise error
    if _internal_errors.count(where):
        logger.error("telemetry failed in %s; further errors there are only counted", where, exc_info=error)


class suppress_internal_errors:  # noqa: N801 used as a statement
    """Keep exceptions of a block from the request: `with suppress_internal_errors("pool"): ...`."""

    __slots__ = ("where",)

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        """Do nothing: a block costs only when it fails."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
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
    """Return how many errors were suppressed under `where` since the process started."""
    return _internal_errors.counts.get(where, 0)


class _InternalErrorCollector(DescribedCollector):
    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("observability_errors", "Errors of telemetry code, suppressed.", labels=("where",))
        for where, count in sorted(_internal_errors.counts.copy().items()):
            family.add_metric((where,), count)
        yield family


def register_internal_errors(registry: CollectorRegistry) -> None:
    """Add the process's `observability_errors_total{where}` to the registry, unless it is there."""
    with suppress(ValueError):
        registry.register(_InternalErrorCollector())
