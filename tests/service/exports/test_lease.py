"""One attempt at a time holds the lease of a job, and only its result is accepted; on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from service.core.models import ExportJob
from service.database import Database
from service.exports.jobs import Jobs
from service.exports.lease import Claim, ExportFile, LeaseLost, Leases
from service.exports.schemas import ExportRequest
from service.settings import Settings

OWNER = "0" * 64
FILE = ExportFile(name="flights.csv", size_bytes=7, rows=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(Settings(database_url=database_url))
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(database: Database, clock: Clock) -> Leases:
    return Leases(database, lease_s=10, expiry_s=100, clock=clock)


@pytest.fixture
def jobs(database: Database, clock: Clock) -> Jobs:
    return Jobs(database, clock=clock)


async def queued_job(jobs: Jobs) -> ExportJob:
    return (await jobs.create(ExportRequest(carrier="UA"), owners=[OWNER], key=None)).job


async def claimed(leases: Leases, job: ExportJob) -> Claim:
    claim = await leases.claim(job.id)
    assert claim is not None
    return claim


async def test_one_of_many_concurrent_attempts_claims_the_job(jobs: Jobs, leases: Leases) -> None:
    job = await queued_job(jobs)

    claims = await asyncio.gather(*(leases.claim(job.id) for _ in range(8)))

    assert len([claim for claim in claims if claim is not None]) == 1


async def test_a_renewed_lease_is_kept_and_an_expired_one_can_be_claimed(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    job = await queued_job(jobs)
    first = await claimed(leases, job)
    for _ in range(3):
        clock.passes(9)
        await leases.renew(first, rows_done=1, rows_total=2)
        assert await leases.claim(job.id) is None
    clock.passes(11)
    second = await claimed(leases, job)

    assert second.attempt == 2
    with pytest.raises(LeaseLost):
        await leases.renew(first, rows_done=2, rows_total=2)


async def test_the_result_of_an_attempt_that_lost_its_lease_is_rejected(
    jobs: Jobs, leases: Leases, clock: Clock
) -> None:
    job = await queued_job(jobs)
    slow = await claimed(leases, job)
    clock.passes(11)
    quick = await claimed(leases, job)
    await leases.finish(quick, FILE)

    with pytest.raises(LeaseLost):
        await leases.finish(slow, ExportFile(name="late.csv", size_bytes=1, rows=1))
    with pytest.raises(LeaseLost):
        await leases.fail(slow, "late")
    found = await jobs.get({OWNER}, job.id)
    assert (found.state, found.file_name, found.expires_at) == (
        "done",
        "flights.csv",
        clock.now + timedelta(seconds=100),
    )


async def test_a_finished_job_cannot_be_claimed(jobs: Jobs, leases: Leases, clock: Clock) -> None:
    job = await queued_job(jobs)
    await leases.finish(await claimed(leases, job), FILE)
    clock.passes(3600)

    assert await leases.claim(job.id) is None


async def test_cancelling_a_job_ends_its_lease_and_it_cannot_be_claimed(jobs: Jobs, leases: Leases) -> None:
    job = await queued_job(jobs)
    claim = await claimed(leases, job)
    await jobs.cancel({OWNER}, job.id)

    with pytest.raises(LeaseLost):
        await leases.renew(claim, rows_done=1, rows_total=2)
    assert await leases.claim(job.id) is None


async def test_a_released_job_can_be_claimed_at_once(jobs: Jobs, leases: Leases) -> None:
    job = await queued_job(jobs)
    await leases.release(await claimed(leases, job), due_s=60)

    assert (await claimed(leases, job)).attempt == 2
