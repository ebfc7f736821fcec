"""An export is a snapshot: a concurrent write is in all of it or in none of it, on every database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, update

from service.core.models import Flight
from service.database import Database
from service.exports import exporter as exporter_module
from service.exports.exporter import Exporter
from service.exports.files import ExportFiles
from service.exports.jobs import Jobs
from service.exports.lease import Leases
from service.exports.schemas import ExportRequest, Format
from service.settings import Settings

OWNER = "0" * 64


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(Settings(database_url=database_url))
    yield database
    await database.close()


async def test_the_reads_of_a_snapshot_are_consistent_despite_writes_between_them(database: Database) -> None:
    counted = select(func.count()).where(Flight.status == "boarding")
    async with database.snapshot() as session:
        before = await session.scalar(counted)
        async with database.writing() as writer:
            await writer.execute(update(Flight).where(Flight.id <= 50).values(status="boarding"))
        during = await session.scalar(counted)
    async with database.reading() as session:
        after = await session.scalar(counted)

    assert (before, during, after) == (0, 0, 50)


async def test_an_export_is_consistent_despite_concurrent_writes(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_module, "BATCH_ROWS", 100)  # many batches, with a renewal after each
    files = ExportFiles(tmp_path / "exports")
    leases = Leases(database, lease_s=60, expiry_s=60, clock=now)
    jobs = Jobs(database, clock=now)
    exporter = Exporter(database, leases=leases, files=files)
    is_over = asyncio.Event()
    rounds = 0

    async def write() -> None:
        """Change every flight in one transaction, again and again."""
        nonlocal rounds
        while not is_over.is_set():
            rounds += 1
            async with database.writing() as session:
                await session.execute(update(Flight).values(departure_delay_min=rounds, version=rounds))
                await session.execute(
                    update(Flight).where(Flight.id % 7 == rounds % 7).values(departure_delay_min=None)
                )
            await asyncio.sleep(0.05)

    writer = asyncio.create_task(write())
    found = []
    try:
        while rounds < 2:  # noqa: ASYNC110 the writer sets no event
            await asyncio.sleep(0.01)
        for _ in range(2):
            job = (await jobs.create(ExportRequest(format=Format.PARQUET), owners=[OWNER], key=None)).job
            assert await exporter.run(job.id, resend_s=0)
            done = await jobs.get([OWNER], job.id)
            table = await asyncio.to_thread(pq.read_table, files.path(str(done.file_name)))
            found.append((done.rows_total, table))
    finally:
        is_over.set()
        await writer

    assert rounds > 2
    for rows_total, table in found:
        assert rows_total is not None
        assert table.num_rows == rows_total > 3_000
        assert len(set(table["version"].to_pylist())) == 1, "rows of more than one moment"
