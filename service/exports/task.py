"""The Celery task of exports: one attempt, which Celery retries after a transient failure."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celery import Celery
from celery.utils.time import get_exponential_backoff_interval

from service.database import Database
from service.exports.broker import EXPORT_TASK
from service.exports.exporter import Exporter
from service.exports.files import ExportFiles
from service.exports.lease import Interrupted, Leases
from service.settings import Settings

if TYPE_CHECKING:
    from celery import Task

MAX_PAUSE_S: Final = 60
GRACE_S: Final = 30.0
"""How long after its retry was due a job is sent again."""


def register_export_task(app: Celery, settings: Settings) -> None:
    @app.task(name=EXPORT_TASK, bind=True, max_retries=None)
    def export(task: "Task[Any, Any]", /, job_id: object = None, *_later: object, **_named: object) -> None:
        # Another version may send more arguments. A message is only a hint: the job's row has the request.
        if not isinstance(job_id, str):
            raise TypeError(f"message of another version: the task takes the id of a job, not {job_id!r:.50}")
        pause_s = get_exponential_backoff_interval(1, task.request.retries, MAX_PAUSE_S, full_jitter=True)
        try:
            asyncio.run(attempt(settings, job_id, resend_s=pause_s + GRACE_S))
        except Interrupted as interruption:
            raise task.retry(exc=interruption, countdown=pause_s) from interruption


async def attempt(settings: Settings, job_id: str, *, resend_s: float) -> bool:
    """Run one attempt with its own database connections; return whether it wrote the file."""
    database = Database(settings)
    try:
        return await exporter_for(database, settings).run(job_id, resend_s=resend_s)
    finally:
        await database.close()


def exporter_for(database: Database, settings: Settings) -> Exporter:
    leases = Leases(
        database,
        lease_s=settings.export_lease_s,
        expiry_s=settings.export_expiry_s,
        clock=lambda: datetime.now(UTC),
    )
    return Exporter(database, leases=leases, files=ExportFiles(settings.export_path))
