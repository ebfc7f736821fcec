"""The databases of a PostgreSQL server: each filled in one transaction, so complete or as it was."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import URL

from service.dataset.errors import DamagedDatabase, KeptChanges
from service.dataset.postgres import ServerDatabase, exists, make, opened, refusals
from service.dataset.progress import Progress
from service.dataset.rows import MAPPINGS
from service.dataset.source import Source, records
from service.dataset.state import State
from service.migrations import INDEXES, TABLES

CHUNK_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class OnServer:
    """The database with secondary indexes and its twin without them."""

    indexed: URL
    unindexed: URL

    @property
    def _databases(self) -> tuple[tuple[URL, tuple[str, ...]], ...]:
        return (self.indexed, (TABLES, INDEXES)), (self.unindexed, (TABLES,))

    def load(self, source: Source, progress: Progress, *, force: bool = False) -> bool:
        """Make both complete; return False if they already were, after verifying them.

        A load that is killed leaves both as they were, or the twin complete and the other as it was.
        """
        with refusals(self.indexed):
            return asyncio.run(self._load(source, progress, force=force))

    def states(self) -> list[State]:
        """Return what both databases hold, the one with indexes first."""
        with refusals(self.indexed):
            return asyncio.run(self._states())

    def migrate(self) -> None:
        """Bring the tables of both to this version; rows stay. Databases that do not exist are made."""
        with refusals(self.indexed):
            asyncio.run(self._migrate())

    async def _migrate(self) -> None:
        for url, branches in self._databases:
            if not await exists(url):
                await make(url)
            async with opened(url, branches) as database:
                await database.migrate()

    async def _load(self, source: Source, progress: Progress, *, force: bool) -> bool:
        for url, _branches in self._databases:
            if not await exists(url):
                await make(url)
        # The transaction that was opened last is committed first: no database without its twin.
        async with opened(self.indexed, (TABLES, INDEXES)) as indexed, opened(self.unindexed, (TABLES,)) as unindexed:
            databases = (unindexed, indexed)
            for database in databases:
                await database.lock(progress)
            wanted = [database for database in databases if force or not await _is_complete(database, source, progress)]
            if wanted:
                await _fill(wanted, source, progress)
            return bool(wanted)

    async def _states(self) -> list[State]:
        states = []
        for url, branches in self._databases:
            if await exists(url):
                async with opened(url, branches) as database:
                    states.append(await database.state())
            else:
                states.append(State(name=str(url)))
        return states


async def _is_complete(database: ServerDatabase, source: Source, progress: Progress) -> bool:
    """Return whether the database holds this data set; bring its schema to this version if it does."""
    state = await database.state()
    if state.digest != source.manifest.digest:
        if state.status_changes:
            raise KeptChanges(state.name, state.status_changes)
        if state.digest:
            progress.say(f"{state.name} was made by another version: making it again")
        return False
    if not state.schema_is_current:
        progress.say(f"{state.name}: migrating its tables to this version")
        await database.migrate()
    differences = await database.differences(source.manifest, fresh=False)
    if differences:
        raise DamagedDatabase(state.name, "; ".join(differences))
    return True


async def _fill(databases: Sequence[ServerDatabase], source: Source, progress: Progress) -> None:
    contents = source.contents()
    for database in databases:
        await database.empty()
    for mapping in MAPPINGS:
        progress.step(mapping.table.name, source.manifest.files[mapping.file].rows)
        lines = enumerate(records(contents.pop(mapping.file)), start=1)
        rows = (mapping.row(record, number) for number, record in lines)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            await asyncio.gather(*(database.copy(mapping.table, chunk) for database in databases))
            progress.advance(len(chunk))
    progress.step("indexes", len(databases))
    for database in databases:
        await database.finish(source.manifest)
        progress.advance(1)
