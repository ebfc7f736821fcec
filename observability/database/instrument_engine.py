"""Event listeners and span attributes of an engine."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.util.types import AttributeValue
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.core.semconv import DB_NAMESPACE, DB_SYSTEM_NAME, POOL_NAME

UNOBSERVED: Final = "observability_unobserved"
"""The execution option of an engine that is not observed where all are."""

_SYSTEM_NAMES: Final = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}


Listeners = Mapping[str, Callable[..., Any]]
"""Functions by event name."""

_listening: Final[WeakKeyDictionary[Engine, dict[str, Listeners]]] = WeakKeyDictionary()


def replace_listeners(engine: Engine, purpose: str, listeners: Listeners) -> None:
    """Listen to the engine's events, instead of earlier listeners for this purpose.

    An engine often lives as long as its module while tests instrument many applications: only the latest one listens,
    or each test would slow down the next.
    """
    purposes = _listening.setdefault(engine, {})
    for identifier, listener in purposes.get(purpose, {}).items():
        event.remove(engine, identifier, listener)
    purposes[purpose] = listeners
    for identifier, listener in listeners.items():
        event.listen(engine, identifier, listener)


def is_instrumented(engine: Engine) -> bool:
    """Return whether the engine's statements and its pool are observed."""
    return {"pool", "statements"} <= _listening.get(engine, {}).keys()


def sync_engine(engine: Engine | AsyncEngine) -> Engine:
    """Return the engine that has the events, which an asynchronous one wraps."""
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def database_name(engine: Engine) -> str:
    """Return the name of the database, of a file without its path; that of the dialect if the URL has none."""
    name, dialect = engine.url.database, engine.dialect.name
    if not name:
        return dialect
    return PurePath(name).name if dialect == "sqlite" else name


def span_attributes(pool: str, engine: Engine) -> dict[str, AttributeValue]:
    """Return the attributes of every span of this engine: system, database without its path, server, pool name."""
    url = engine.url
    dialect = engine.dialect.name
    system = _SYSTEM_NAMES.get(dialect, dialect)
    attributes: dict[str, AttributeValue] = {DB_SYSTEM_NAME: system, POOL_NAME: pool}
    if url.database:
        attributes[DB_NAMESPACE] = database_name(engine)
    if url.host:
        attributes[SERVER_ADDRESS] = url.host
    if url.port:
        attributes[SERVER_PORT] = url.port
    return attributes
