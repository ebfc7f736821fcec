"""Maintenance sends a job without a worker again, once and ever more rarely, and deletes old files and rows."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.core.models import ExportJob
from service.database import Database
from service.errors import BrokerUnavailable, UnknownExport
from service.exports.delivery import ByTaskQueue
from service.exports.files import ExportFiles
from service.exports.jobs import Jobs
from service.exports.lease import ExportFile, Leases
from service.exports.maintenance import ExportMaintenance
from service.exports.schemas import ExportRequest
from service.settings import Settings
from tests.service.exports.test_lease import OWNER, Clock

DAY_S = 86_400


class Outbox(ByTaskQueue):
    """A task queue that keeps what it is given, or takes nothing."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_down = False

    async def deliver(self, job: ExportJob) -> None:
        if self.is_down:
            raise BrokerUnavailable
        self.sent.append(job.id)


class World:
    """Jobs of a database, their upkeep, and a clock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.clock = Clock()
        self.outbox = Outbox()
        self.files = ExportFiles(folder)
        self.jobs = Jobs(database, clock=self.clock)
        self.leases = Leases(database, lease_s=10, expiry_s=DAY_S, clock=self.clock)
        self.upkeep = ExportMaintenance(database, queue=self.outbox, files=self.files, clock=self.clock)

    async def asked(self) -> ExportJob:
        return (await self.jobs.ask(ExportRequest(carrier="UA"), owners=[OWNER], key=None)).job

    async def state(self, job: ExportJob) -> str:
        return (await self.jobs.of({OWNER}, job.id)).state

    async def done(self) -> tuple[ExportJob, Path]:
        job = await self.asked()
        claim = await self.leases.claim(job.id)
        assert claim is not None
        self.files.partial(claim).write_text("id\r\n")
        made: ExportFile = self.files.complete(claim, rows=0)
        await self.leases.finish(claim, made)
        return job, self.files.path(made.name)


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    database = Database(Settings(data_dir=data_dir))
    yield World(database, data_dir / "exports")
    await database.close()


async def test_a_job_whose_message_is_lost_is_sent_again_and_not_before(world: World) -> None:
    job = await world.asked()
    world.clock.passes(59)
    await world.upkeep.round()
    assert world.outbox.sent == []
    world.clock.passes(2)
    await world.upkeep.round()

    assert world.outbox.sent == [job.id]


async def test_the_job_of_a_worker_that_died_is_sent_again_as_soon_as_its_lease_is_over(world: World) -> None:
    job = await world.asked()
    await world.leases.claim(job.id)
    world.clock.passes(9)
    await world.upkeep.round()
    assert world.outbox.sent == []
    world.clock.passes(2)
    await world.upkeep.round()

    assert world.outbox.sent == [job.id]
    assert await world.state(job) == "queued"


async def test_many_processes_send_a_job_once(world: World) -> None:
    job = await world.asked()
    world.clock.passes(61)

    await asyncio.gather(*(world.upkeep.round() for _ in range(5)))

    assert world.outbox.sent == [job.id]


async def test_a_job_that_nobody_takes_is_sent_ever_more_rarely(world: World) -> None:
    await world.asked()
    for _ in range(DAY_S // 300):
        world.clock.passes(300)
        await world.upkeep.round()

    assert 20 <= len(world.outbox.sent) <= 32


async def test_a_broker_that_is_away_is_tried_again(world: World) -> None:
    job = await world.asked()
    world.outbox.is_down = True
    world.clock.passes(61)
    with pytest.raises(BrokerUnavailable):
        await world.upkeep.round()
    world.outbox.is_down = False
    world.clock.passes(1)
    await world.upkeep.round()

    assert world.outbox.sent == [job.id]


async def test_a_finished_job_is_never_sent_again(world: World) -> None:
    await world.done()
    world.clock.passes(3600)
    await world.upkeep.round()

    assert world.outbox.sent == []


async def test_a_file_is_kept_until_it_expires_and_its_row_for_a_week(world: World) -> None:
    job, file = await world.done()
    world.clock.passes(DAY_S - 1)
    await world.upkeep.round()
    assert file.exists()
    world.clock.passes(2)
    await world.upkeep.round()
    assert not file.exists()
    assert await world.state(job) == "expired"
    world.clock.passes(7 * DAY_S)
    await world.upkeep.round()
    with pytest.raises(UnknownExport):
        await world.state(job)


async def test_files_of_dead_attempts_go_when_nobody_writes_to_them_any_more(world: World) -> None:
    _, kept = await world.done()
    dead, alive = world.folder / "a.csv.partial", world.folder / "b.csv.partial"
    for file in (kept, dead, alive):
        file.touch()
    for file in (kept, dead):
        os.utime(file, (time.time() - 7200, time.time() - 7200))
    await world.upkeep.round()

    assert set(world.folder.iterdir()) == {kept, alive}


async def test_a_process_without_a_task_queue_sends_nothing_and_still_expires(world: World) -> None:
    job, file = await world.done()
    waiting = await world.asked()
    world.clock.passes(DAY_S + 1)
    await ExportMaintenance(world.database, queue=None, files=world.files, clock=world.clock).round()

    assert not file.exists()
    assert await world.state(job) == "expired"
    assert await world.state(waiting) == "queued"


async def test_a_round_without_anything_due_changes_nothing(world: World) -> None:
    await world.asked()
    await world.upkeep.round()

    async with world.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(ExportJob)) == 1
