"""How exports are created and written, by the technique `task_queue`."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from observability.celery.metrics import TaskMetrics
from observability.celery.tracing import instrument_celery
from observability.saturation.threads import ThreadMetrics
from service.api.authorisation import WriteToken
from service.api.rate_limit import RateLimit, RateLimiter
from service.core.quota import Quota
from service.database import Database
from service.exports.broker import producer_app
from service.exports.delivery import ByTaskQueue, Delivery, InRequest, publisher_threads
from service.exports.files import ExportFiles
from service.exports.jobs import Jobs
from service.exports.maintenance import ExportMaintenance
from service.exports.routes import Exports
from service.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


def exports_for(
    settings: Settings,
    database: Database,
    *,
    limiter: RateLimiter,
    registry: CollectorRegistry,
    threads: ThreadMetrics,
) -> tuple[Exports, ExportMaintenance]:
    """Return the exports of a database and their maintenance."""
    files = ExportFiles(settings.export_path)
    queue = _task_queue(settings, registry, threads) if settings.uses("task_queue") else None
    delivery: Delivery = queue or _in_request(settings, database)
    exports = Exports(
        token=WriteToken(settings.write_token, previous=settings.write_token_previous),
        rate_limit=RateLimit(limiter, Quota.parse(settings.export_rate_limit, policy="exports")),
        jobs=Jobs(database, clock=_now),
        files=files,
        delivery=delivery,
    )
    return exports, ExportMaintenance(database, queue=queue, files=files, clock=_now)


def _task_queue(settings: Settings, registry: CollectorRegistry, threads: ThreadMetrics) -> ByTaskQueue:
    app = producer_app(settings)
    instrument_celery()
    TaskMetrics(registry).attach(app)
    return ByTaskQueue(app, publisher_threads(threads))


def _in_request(settings: Settings, database: Database) -> InRequest:
    from service.exports.task import exporter_for  # noqa: PLC0415 pyarrow takes 50 MB: imported only where files are written

    return InRequest(exporter_for(database, settings))
