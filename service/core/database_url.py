"""Database URLs: SQLite or PostgreSQL, and the URL of the twin without secondary indexes."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
"""The driver for each accepted scheme."""

MAX_PORT = 65535


def parsed(text: str) -> URL:
    """Return the URL with the driver of the service; raise `ValueError` with what is allowed."""
    allowed = "allowed: sqlite+aiosqlite:///path/of/a.db or postgresql+asyncpg://user:password@host:5432/database"
    try:
        url = make_url(text)
        (url.host or "").encode("idna")
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"not a database URL; {allowed}") from error
    if url.drivername not in DRIVERS:
        raise ValueError(f"the scheme {url.drivername!r} is not supported; {allowed}")
    url = url.set(drivername=DRIVERS[url.drivername])
    if is_embedded(url) and (url.host or url.database in {None, "", ":memory:"} or url.query):
        raise ValueError(f"the SQLite database is a file, given by its path alone; {allowed}")
    if url.port is not None and not 0 < url.port <= MAX_PORT:
        raise ValueError(f"the port {url.port} is not between 1 and {MAX_PORT}; {allowed}")
    if not is_embedded(url) and not url.database:
        raise ValueError(f"the URL names no database; {allowed}")
    return url


def is_embedded(url: URL) -> bool:
    """Return whether the URL names a SQLite file."""
    return url.get_backend_name() == "sqlite"


def embedded_path(url: URL) -> Path:
    return Path(url.database or "")


def embedded_url(path: Path) -> str:
    return URL.create(DRIVERS["sqlite"], database=str(path)).render_as_string()


def unindexed_twin(url: URL) -> URL:
    """Return the URL of the database without secondary indexes next to this one."""
    if is_embedded(url):
        path = embedded_path(url)
        return url.set(database=str(path.with_name(f"{path.stem}-unindexed{path.suffix}")))
    return url.set(database=f"{url.database}_unindexed")
