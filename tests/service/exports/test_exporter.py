"""An attempt writes the file of its job, on every database."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.models import ExportJob
from service.database import Database
from service.exports.exporter import count
from service.exports.jobs import Jobs
from service.exports.lease import Interrupted
from service.exports.schemas import ExportRequest, Format
from service.exports.task import attempt
from service.flights.schemas import FIELDS, FlightFilter
from service.settings import Settings
from tests.servers.databases import opened
from tests.service.exports.test_lease import OWNER


def now() -> datetime:
    return datetime.now(UTC)


def settings_of(database_url: str, directory: Path) -> Settings:
    return Settings(database_url=database_url, export_dir=directory)


async def queued_job(database: Database, chosen: Format) -> ExportJob:
    return (await Jobs(database, clock=now).create(ExportRequest(format=chosen), owners=[OWNER], key=None)).job


@pytest.mark.parametrize("chosen", list(Format))
async def test_every_flight_is_in_the_file_once_and_in_order(database_url: str, tmp_path: Path, chosen: Format) -> None:
    directory = tmp_path / "files"
    async with opened(database_url) as database:
        job = await queued_job(database, chosen)
        is_written = await attempt(settings_of(database_url, directory), job.id, resend_s=0)
        found = await Jobs(database, clock=now).get({OWNER}, job.id)
        async with database.reading() as session:
            flights = await count(session, FlightFilter())

    assert is_written
    (file,) = directory.iterdir()
    assert (found.file_name, found.size_bytes, found.rows_total) == (file.name, file.stat().st_size, flights)
    if chosen is Format.CSV:
        rows = list(csv.DictReader(file.read_text().splitlines()))
        order = [(row["scheduled_departure"], int(row["id"])) for row in rows]
        assert tuple(rows[0]) == FIELDS
        assert order == sorted(set(order))
        assert len(order) == flights > 3_000


async def test_a_second_attempt_at_a_finished_job_does_nothing(database_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "files"
    async with opened(database_url) as database:
        job = await queued_job(database, Format.CSV)
        settings = settings_of(database_url, directory)
        outcomes = [await attempt(settings, job.id, resend_s=0) for _ in range(2)]

    assert outcomes == [True, False]
    assert len(list(directory.iterdir())) == 1


async def test_a_disk_error_leaves_the_job_to_the_next_attempt(database_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "files"
    directory.write_text("not a directory")
    async with opened(database_url) as database:
        job = await queued_job(database, Format.CSV)
        with pytest.raises(Interrupted):
            await attempt(settings_of(database_url, directory), job.id, resend_s=0)
        state = (await Jobs(database, clock=now).get({OWNER}, job.id)).state

    assert state == "queued"
