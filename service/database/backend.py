"""What differs between the kinds of database that the service runs on."""

from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service.core.database_url import is_embedded, parsed
from service.database.postgres import Postgres
from service.database.sqlite import Sqlite
from service.settings import Settings


class Backend(Protocol):
    """One kind of database, at one address."""

    def engine(self, settings: Settings) -> AsyncEngine:
        """Return an engine that has not connected yet."""

    async def begin_writing(self, session: AsyncSession) -> None:
        """Begin a transaction that writes."""

    async def begin_snapshot(self, session: AsyncSession) -> None:
        """Begin a transaction in which every read sees the same rows, those of its first."""

    async def schema_is_current(self, session: AsyncSession) -> bool:
        """Return whether the tables are those of this version."""

    @property
    def absence(self) -> str:
        """What to say, and to advise, while the database does not answer."""


def backend(url: str, *, indexed: bool) -> Backend:
    """Return the kind of database that the URL names; `indexed` says which of the twins it is."""
    address = parsed(url)
    return Sqlite(address) if is_embedded(address) else Postgres(address, indexed=indexed)
