"""Every kind of database that the service runs on: tests that use this fixture run once on each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import URL

from service.core.database_url import embedded_url
from service.database import Database
from service.settings import Settings


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server("postgresql"))])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with the flights of four days that the test may change; its twin stands beside it."""
    if request.param == "sqlite":
        data_dir: Path = request.getfixturevalue("data_dir")
        return embedded_url(data_dir / "flightdeck.db")
    url: URL = request.getfixturevalue("postgres_url")
    # A connect that is cancelled during its TLS negotiation leaves asyncpg with a future whose exception is never
    # retrieved, which fails the test.
    return url.update_query_dict({"ssl": "disable"}).render_as_string(hide_password=False)


A_MINUTE: Final = {"pool_timeout_s": 60, "connect_timeout_s": 60, "statement_timeout_s": 60, "lock_timeout_s": 60}
"""Timeouts that a busy machine does not reach, where the product's own of two seconds are not what is tested."""


@asynccontextmanager
async def opened(url: str, **settings: object) -> AsyncIterator[Database]:
    """Yield the database as the service opens it with every technique, or with other settings; it has `A_MINUTE`."""
    database = Database(Settings(**{"techniques": "all", "database_url": url} | A_MINUTE | settings))  # type: ignore[arg-type]  # settings by name
    try:
        yield database
    finally:
        await database.close()


def checked_out(database: Database, role: str = "primary") -> int:
    """Return how many connections of a pool are in use."""
    pool = database.engines[role].sync_engine.pool
    return int(pool.checkedout())  # type: ignore[attr-defined]  # a queue pool has it
