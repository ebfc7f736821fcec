"""The Celery applications of producer and worker; `CELERY_BROKER_URL` is RabbitMQ, Redis or the filesystem."""

import os
from typing import Any, Final

from celery import Celery

from service.settings import Settings

EXPORT_TASK: Final = "flightdeck.export"

CONNECT_TIMEOUT_S: Final = 0.5
RESPONSE_TIMEOUT_S: Final = 1.0
VISIBILITY_TIMEOUT_S: Final = 300
"""After which Redis redelivers an unacknowledged message; maintenance, which reads the job's row, is faster."""
POLL_INTERVAL_S: Final = 0.2


def producer_app(settings: Settings) -> Celery:
    """Return the application of the service: publishing to a broker that is down or hangs fails within seconds."""
    app = _app(settings)
    url = settings.celery_broker_url
    app.conf.update(
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        # A pooled connection may be dead after a restart of the broker; the retry opens a new one.
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.0, "interval_step": 0.0, "interval_max": 0.0},
    )
    if url.startswith(("amqp", "pyamqp")):
        app.conf.broker_transport_options |= {"read_timeout": RESPONSE_TIMEOUT_S, "write_timeout": RESPONSE_TIMEOUT_S}
    elif url.startswith("redis"):
        app.conf.broker_transport_options |= {
            "socket_timeout": RESPONSE_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
        }
    return app


def worker_app(settings: Settings) -> Celery:
    """Return the application of a worker: it waits for a broker that is down."""
    app = _app(settings)
    app.conf.update(broker_connection_retry_on_startup=True, broker_connection_max_retries=None)
    return app


def worker_arguments(settings: Settings, *, concurrency: int) -> list[str]:
    """Return the command line of `celery worker`."""
    # Workers on a filesystem broker cannot exchange events; on the others Flower reads them.
    events = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if uses_filesystem(settings) else []
    return [
        "worker",
        f"--concurrency={concurrency}",
        f"--queues={queue_name(settings)}",
        f"--hostname=exports-{os.getpid()}@%h",
        "--loglevel=INFO",
        *events,
    ]


def uses_filesystem(settings: Settings) -> bool:
    """Return whether the broker is a directory."""
    return settings.celery_broker_url.startswith("filesystem:")


def queue_name(settings: Settings) -> str:
    """Return the name of the queue, one per database: a job is a row of one of them."""
    return "exports" if settings.uses("indexes") else "exports-unindexed"


def _app(settings: Settings) -> Celery:
    app = Celery("flightdeck", set_as_current=False)
    app.conf.update(
        broker_url=settings.celery_broker_url,
        broker_transport_options=_transport_options(settings),
        task_default_queue=queue_name(settings),
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=not uses_filesystem(settings),
        task_send_sent_event=not uses_filesystem(settings),
        worker_enable_remote_control=not uses_filesystem(settings),
        worker_hijack_root_logger=False,
        accept_content=["json"],
        enable_utc=True,
    )
    if uses_filesystem(settings):
        app.conf.broker_transport = "service.exports.filesystem_transport:Transport"
    return app


def _transport_options(settings: Settings) -> dict[str, Any]:
    if uses_filesystem(settings):
        directory = settings.data_dir / "broker"
        return {
            "data_folder_in": str(directory / "messages"),
            "data_folder_out": str(directory / "messages"),
            "control_folder": str(directory / "control"),
            "polling_interval": POLL_INTERVAL_S,
        }
    if settings.celery_broker_url.startswith("redis"):
        return {"visibility_timeout": VISIBILITY_TIMEOUT_S}
    return {"confirm_publish": True}
