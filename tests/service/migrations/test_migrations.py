import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from service.core.models import SECONDARY_INDEXES, Base
from service.migrations import CURRENT, INDEXES, TABLES
from service.migrations.run import downgrade, has_branch, revisions, upgrade

pytestmark = [pytest.mark.anyio, pytest.mark.server("postgresql")]

ROOT = Path(__file__).parents[3]
INDEX_COUNT = text("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'")
FLIGHT_DIGEST = text("SELECT md5(string_agg(f::text, '|' ORDER BY id)) FROM flights f")

AUDIT_DIGEST = text("SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM status_changes c")
A_CHANGE = text(
    "INSERT INTO status_changes (flight_id, version, status_before, status_after, changed_at)"
    " SELECT min(id), 2, 'arrived', 'boarding', now() FROM flights"
)
UNDELIVERED = text("INSERT INTO outbox SELECT id, now() FROM status_changes")


@pytest.fixture
async def connection(postgres_url: URL) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(postgres_url, poolclass=NullPool)
    async with engine.begin() as opened:
        yield opened
    await engine.dispose()


async def test_the_migrated_schema_is_the_one_of_the_models(connection: AsyncConnection) -> None:
    def differences(sync: Connection) -> list[object]:
        context = MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": False})
        return list(compare_metadata(context, Base.metadata))

    assert await connection.run_sync(differences) == []


async def test_every_secondary_index_of_the_models_is_made(connection: AsyncConnection) -> None:
    assert await connection.scalar(INDEX_COUNT) == len(SECONDARY_INDEXES)


async def test_the_indexes_go_and_come_back_and_no_row_is_touched(connection: AsyncConnection) -> None:
    before = await connection.scalar(FLIGHT_DIGEST)
    await connection.run_sync(downgrade, INDEXES)
    assert await connection.scalar(INDEX_COUNT) == 0
    assert await connection.run_sync(revisions) == CURRENT[(TABLES,)]
    assert not await connection.run_sync(has_branch, INDEXES)
    await connection.run_sync(upgrade, (TABLES, INDEXES))
    assert await connection.scalar(INDEX_COUNT) == len(SECONDARY_INDEXES)
    assert await connection.run_sync(revisions) == CURRENT[(TABLES, INDEXES)]
    assert await connection.scalar(FLIGHT_DIGEST) == before


async def test_the_tables_go_with_their_indexes_and_come_back_empty(connection: AsyncConnection) -> None:
    await connection.run_sync(downgrade, TABLES)
    assert await connection.run_sync(revisions) == frozenset()
    assert await connection.scalar(text("SELECT to_regclass('flights')")) is None
    await connection.run_sync(upgrade, (TABLES, INDEXES))
    assert await connection.scalar(text("SELECT count(*) FROM flights")) == 0


async def test_upgrading_twice_changes_nothing(connection: AsyncConnection) -> None:
    before = await connection.scalar(FLIGHT_DIGEST)
    await connection.run_sync(upgrade, (TABLES, INDEXES))
    assert await connection.run_sync(revisions) == CURRENT[(TABLES, INDEXES)]
    assert await connection.scalar(FLIGHT_DIGEST) == before


async def test_every_revision_belongs_to_a_branch_and_can_be_undone() -> None:
    scripts = ScriptDirectory.from_config(Config(ROOT / "alembic.ini", toml_file=ROOT / "pyproject.toml"))
    for script in scripts.walk_revisions():
        assert script.branch_labels & {TABLES, INDEXES}
        assert callable(script.module.downgrade)
        assert script.doc


async def test_the_outbox_goes_and_comes_back_and_the_audit_trail_stays(postgres_url: URL) -> None:
    engine = create_async_engine(postgres_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(A_CHANGE)
        await connection.execute(UNDELIVERED)
        before = await connection.scalar(AUDIT_DIGEST), await connection.scalar(FLIGHT_DIGEST)
        alembic(postgres_url, "downgrade", "tables@0001")
        assert await connection.scalar(text("SELECT to_regclass('outbox')")) is None
        assert (await connection.scalar(AUDIT_DIGEST), await connection.scalar(FLIGHT_DIGEST)) == before
        alembic(postgres_url, "upgrade", "heads")
        assert await connection.scalar(text("SELECT count(*) FROM outbox")) == 0
        assert await connection.run_sync(revisions) == CURRENT[(TABLES, INDEXES)]
        assert (await connection.scalar(AUDIT_DIGEST), await connection.scalar(FLIGHT_DIGEST)) == before
    await engine.dispose()


async def test_undelivered_changes_survive_the_renaming_of_the_outbox(postgres_url: URL) -> None:
    engine = create_async_engine(postgres_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    outbox = text("SELECT change_id, due_at FROM outbox ORDER BY change_id")
    async with engine.connect() as connection:
        await connection.execute(A_CHANGE)
        await connection.execute(UNDELIVERED)
        before = (await connection.execute(outbox)).all()
        assert before
        alembic(postgres_url, "downgrade", "tables@0003")
        assert await connection.scalar(text("SELECT to_regclass('outbox')")) is None
        alembic(postgres_url, "upgrade", "heads")
        assert (await connection.execute(outbox)).all() == before
    await engine.dispose()


async def test_alembics_own_command_line_works_on_the_database_of_the_settings(postgres_url: URL) -> None:
    for command, shown in ((["downgrade", "indexes@base"], ""), (["upgrade", "heads"], ""), (["current"], "0004")):
        assert shown in alembic(postgres_url, *command)


def alembic(url: URL, *command: str) -> str:
    """Return the output of the command line."""
    environment = os.environ | {"DATABASE_URL": url.render_as_string(hide_password=False)}
    line = [sys.executable, "-m", "alembic", *command]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
