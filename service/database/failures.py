"""The one place where the database's failures become the service's errors."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import exc

from service.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    NotReady,
    PoolExhausted,
    ServiceError,
    StatementTimeout,
)

Translation = Callable[[], AbstractContextManager[None]]
"""Makes a block whose database failures are the service's errors."""

NOT_LOADED = "the flights are not loaded; run `flightdeck data load`"

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_UNREACHABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY = {
    "55P03",  # lock not available
    "40P01",  # deadlock
    "40001",  # on a replica: the read stood in the way of the primary's writes
}
_QUERY_CANCELED = "57014"
_UNDEFINED_TABLE = "42P01"
_UNREACHABLE = (
    "08",  # connection exceptions
    "28",  # invalid authorization
    "3D",  # no such database
    "53300",  # too many connections
    "57P",  # shutting down, crashed, starting up
    "25006",  # a standby, where a primary was
)


@contextmanager
def translated(*, pool_size: int, pool_overflow: int, pool_timeout_s: float) -> Iterator[None]:
    """Raise the service's errors instead of the pool's and the driver's; others pass."""
    try:
        yield
    except exc.TimeoutError as error:
        raise PoolExhausted(size=pool_size, overflow=pool_overflow, waited_s=pool_timeout_s) from error
    except exc.DBAPIError as error:
        known = _known(error)
        if known is None:
            raise
        raise known from error
    except (
        ConnectionError,
        TimeoutError,
    ) as error:  # the driver's own: lost, or silent for longer than the server waits
        raise DatabaseUnreachable from error


def _known(error: exc.DBAPIError) -> ServiceError | None:
    if error.connection_invalidated:
        return DatabaseUnreachable()
    sqlstate = getattr(error.orig, "sqlstate", None)
    return _postgres(sqlstate) if sqlstate else _sqlite(error)


def _postgres(sqlstate: str) -> ServiceError | None:
    if sqlstate in _BUSY:
        return DatabaseBusy()
    if sqlstate == _QUERY_CANCELED:
        return StatementTimeout()
    if sqlstate == _UNDEFINED_TABLE:
        return NotReady({"database": NOT_LOADED})
    return DatabaseUnreachable() if sqlstate.startswith(_UNREACHABLE) else None


def _sqlite(error: exc.DBAPIError) -> ServiceError | None:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in _SQLITE_BUSY:
        return DatabaseBusy()
    if code in _SQLITE_UNREACHABLE:
        return DatabaseUnreachable()
    if code == sqlite3.SQLITE_ERROR and "no such table" in str(error.orig):
        return NotReady({"database": NOT_LOADED})
    return None
