"""The task that workers run: one attempt at an export, and another one later if something passing got in the way."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celery import Celery
from celery.utils.time import get_exponential_backoff_interval

from service.database import Database
from service.exports.broker import EXPORT_TASK
from service.exports.errors import Interrupted
from service.exports.exporter import Exporter
from service.exports.files import ExportFiles
from service.exports.lease import Leases
from service.settings import Settings

if TYPE_CHECKING:
    from celery import Task

LONGEST_PAUSE_S: Final = 60
GRACE_S: Final = 30.0
"""How much later than its retry was due a job is sent again."""


def register_export_task(app: Celery, settings: Settings) -> None:
    """Teach the application to make exports with these settings."""

    @app.task(name=EXPORT_TASK, bind=True, max_retries=None)
    def export(task: "Task[Any, Any]", /, job_id: object = None, *_later: object, **_named: object) -> None:
        # Another version may say more than this one reads. The row of the job decides, and is sent again if need be.
        if not isinstance(job_id, str):
            raise TypeError(f"the message is of another version: the task takes the id of a job, not {job_id!r:.50}")
        pause_s = get_exponential_backoff_interval(1, task.request.retries, LONGEST_PAUSE_S, full_jitter=True)
        try:
            asyncio.run(attempt(settings, job_id, resend_s=pause_s + GRACE_S))
        except Interrupted as interruption:
            raise task.retry(exc=interruption, countdown=pause_s) from interruption


async def attempt(settings: Settings, job_id: str, *, resend_s: float) -> bool:
    """Make an export with connections of its own, closed afterwards; return whether this attempt made the file."""
    database = Database(settings)
    try:
        return await exporter_for(database, settings).make(job_id, resend_s=resend_s)
    finally:
        await database.close()


def exporter_for(database: Database, settings: Settings) -> Exporter:
    """Return what makes the exports of a database."""
    leases = Leases(
        database,
        lease_s=settings.export_lease_s,
        expiry_s=settings.export_expiry_s,
        clock=lambda: datetime.now(UTC),
    )
    return Exporter(database, leases=leases, files=ExportFiles(settings.export_path))
