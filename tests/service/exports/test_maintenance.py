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


class RecordingQueue(ByTaskQueue):
    """A task queue that records the jobs, or is down."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_down = False

    async def deliver(self, job: ExportJob) -> None:
        if self.is_down:
            raise BrokerUnavailable
        self.sent.append(job.id)


class Scenario:
    """The jobs of a database, their maintenance, and a clock."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self.directory = directory
        self.clock = Clock()
        self.queue = RecordingQueue()
        self.files = ExportFiles(directory)
        self.jobs = Jobs(database, clock=self.clock)
        self.leases = Leases(database, lease_s=10, expiry_s=DAY_S, clock=self.clock)
        self.maintenance = ExportMaintenance(database, queue=self.queue, files=self.files, clock=self.clock)

    async def queued_job(self) -> ExportJob:
        return (await self.jobs.create(ExportRequest(carrier="UA"), owners=[OWNER], key=None)).job

    async def state(self, job: ExportJob) -> str:
        return (await self.jobs.get({OWNER}, job.id)).state

    async def done(self) -> tuple[ExportJob, Path]:
        job = await self.queued_job()
        claim = await self.leases.claim(job.id)
        assert claim is not None
        self.files.partial(claim).write_text("id\r\n")
        made: ExportFile = self.files.complete(claim, rows=0)
        await self.leases.finish(claim, made)
        return job, self.files.path(made.name)


@pytest.fixture
async def scenario(data_dir: Path) -> AsyncIterator[Scenario]:
    database = Database(Settings(data_dir=data_dir))
    yield Scenario(database, data_dir / "exports")
    await database.close()


async def test_a_job_whose_message_was_lost_is_sent_again_after_a_minute(scenario: Scenario) -> None:
    job = await scenario.queued_job()
    scenario.clock.passes(59)
    await scenario.maintenance.run_once()
    assert scenario.queue.sent == []
    scenario.clock.passes(2)
    await scenario.maintenance.run_once()

    assert scenario.queue.sent == [job.id]


async def test_the_job_of_a_dead_worker_is_sent_again_when_its_lease_expires(scenario: Scenario) -> None:
    job = await scenario.queued_job()
    await scenario.leases.claim(job.id)
    scenario.clock.passes(9)
    await scenario.maintenance.run_once()
    assert scenario.queue.sent == []
    scenario.clock.passes(2)
    await scenario.maintenance.run_once()

    assert scenario.queue.sent == [job.id]
    assert await scenario.state(job) == "queued"


async def test_of_many_processes_one_sends_the_job_again(scenario: Scenario) -> None:
    job = await scenario.queued_job()
    scenario.clock.passes(61)

    await asyncio.gather(*(scenario.maintenance.run_once() for _ in range(5)))

    assert scenario.queue.sent == [job.id]


async def test_a_job_that_no_worker_claims_is_sent_ever_more_rarely(scenario: Scenario) -> None:
    await scenario.queued_job()
    for _ in range(DAY_S // 300):
        scenario.clock.passes(300)
        await scenario.maintenance.run_once()

    assert 20 <= len(scenario.queue.sent) <= 32


async def test_a_job_that_the_broker_did_not_accept_is_sent_by_the_next_run(scenario: Scenario) -> None:
    job = await scenario.queued_job()
    scenario.queue.is_down = True
    scenario.clock.passes(61)
    with pytest.raises(BrokerUnavailable):
        await scenario.maintenance.run_once()
    scenario.queue.is_down = False
    scenario.clock.passes(1)
    await scenario.maintenance.run_once()

    assert scenario.queue.sent == [job.id]


async def test_a_finished_job_is_never_sent_again(scenario: Scenario) -> None:
    await scenario.done()
    scenario.clock.passes(3600)
    await scenario.maintenance.run_once()

    assert scenario.queue.sent == []


async def test_a_file_is_kept_until_it_expires_and_its_row_for_a_week(scenario: Scenario) -> None:
    job, file = await scenario.done()
    scenario.clock.passes(DAY_S - 1)
    await scenario.maintenance.run_once()
    assert file.exists()
    scenario.clock.passes(2)
    await scenario.maintenance.run_once()
    assert not file.exists()
    assert await scenario.state(job) == "expired"
    scenario.clock.passes(7 * DAY_S)
    await scenario.maintenance.run_once()
    with pytest.raises(UnknownExport):
        await scenario.state(job)


async def test_files_of_dead_attempts_are_deleted_an_hour_after_their_last_write(scenario: Scenario) -> None:
    _, kept = await scenario.done()
    dead, alive = scenario.directory / "a.csv.partial", scenario.directory / "b.csv.partial"
    for file in (kept, dead, alive):
        file.touch()
    for file in (kept, dead):
        os.utime(file, (time.time() - 7200, time.time() - 7200))
    await scenario.maintenance.run_once()

    assert set(scenario.directory.iterdir()) == {kept, alive}


async def test_a_process_without_a_task_queue_sends_nothing_and_still_expires(scenario: Scenario) -> None:
    job, file = await scenario.done()
    queued = await scenario.queued_job()
    scenario.clock.passes(DAY_S + 1)
    await ExportMaintenance(scenario.database, queue=None, files=scenario.files, clock=scenario.clock).run_once()

    assert not file.exists()
    assert await scenario.state(job) == "expired"
    assert await scenario.state(queued) == "queued"


async def test_a_run_with_nothing_due_changes_nothing(scenario: Scenario) -> None:
    await scenario.queued_job()
    await scenario.maintenance.run_once()

    async with scenario.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(ExportJob)) == 1
