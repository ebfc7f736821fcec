"""Translation of database errors into the service's errors."""

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

ErrorTranslation = Callable[[], AbstractContextManager[None]]
"""A context manager that translates database errors in its block."""

NOT_LOADED = "the flights are not loaded; run `flightdeck data load`"

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_UNREACHABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY = {
    "55P03",  # lock not available
    "40P01",  # deadlock
    "40001",  # on a replica: the read conflicted with recovery
}
_QUERY_CANCELED = "57014"
_UNDEFINED_TABLE = "42P01"
_UNREACHABLE = (
    "08",  # connection exceptions
    "28",  # invalid authorization
    "3D",  # no such database
    "53300",  # too many connections
    "57P",  # shutting down, crashed, starting up
    "25006",  # read-only transaction: the server became a standby
)


@contextmanager
def translate_errors(*, pool_size: int, pool_overflow: int, pool_timeout_s: float) -> Iterator[None]:
    """Raise the service's errors instead of those of SQLAlchemy's pool and the driver; others pass."""
    try:
        yield
    except exc.TimeoutError as error:
        holders = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        raise PoolExhausted(size=pool_size, overflow=pool_overflow, waited_s=pool_timeout_s, holders=holders) from error
    except exc.DBAPIError as error:
        known = _known(error)
        if known is None:
            raise
        raise known from error
    except (ConnectionError, TimeoutError) as error:  # of the driver: connection lost, or `command_timeout` passed
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
