"""The Celery application, on the broker that `CELERY_BROKER_URL` names: RabbitMQ, Redis, or a folder of files."""

from typing import Any, Final

from celery import Celery

from service.settings import Settings

EXPORT_TASK: Final = "flightdeck.export"

CONNECT_TIMEOUT_S: Final = 0.5
ANSWER_TIMEOUT_S: Final = 1.0
REDELIVER_AFTER_S: Final = 300
"""When Redis gives a message that nobody acknowledged to another worker; the job's row is quicker."""
POLL_EVERY_S: Final = 0.2


def producer_app(settings: Settings) -> Celery:
    """Return the application as the service uses it: a broker that is down or silent is an error within seconds."""
    app = _app(settings)
    url = settings.celery_broker_url
    app.conf.update(
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        # A pooled connection may be dead since the broker's restart: that is found out, and one new one is tried.
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.0, "interval_step": 0.0, "interval_max": 0.0},
    )
    if url.startswith(("amqp", "pyamqp")):
        app.conf.broker_transport_options |= {"read_timeout": ANSWER_TIMEOUT_S, "write_timeout": ANSWER_TIMEOUT_S}
    elif url.startswith("redis"):
        app.conf.broker_transport_options |= {
            "socket_timeout": ANSWER_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
        }
    return app


def worker_app(settings: Settings) -> Celery:
    """Return the application as a worker uses it: it waits for a broker that is down."""
    app = _app(settings)
    app.conf.update(broker_connection_retry_on_startup=True, broker_connection_max_retries=None)
    return app


def is_folder(settings: Settings) -> bool:
    """Return whether the broker is the embedded one."""
    return settings.celery_broker_url.startswith("filesystem:")


def queue_name(settings: Settings) -> str:
    """Return the queue of the database that the settings choose; its jobs are known to no other."""
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
        worker_send_task_events=not is_folder(settings),
        task_send_sent_event=not is_folder(settings),
        worker_enable_remote_control=not is_folder(settings),
        worker_hijack_root_logger=False,
        accept_content=["json"],
        enable_utc=True,
    )
    if is_folder(settings):
        app.conf.broker_transport = "service.exports.filesystem_transport:Transport"
    return app


def _transport_options(settings: Settings) -> dict[str, Any]:
    if is_folder(settings):
        folder = settings.data_dir / "broker"
        return {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
            "polling_interval": POLL_EVERY_S,
        }
    if settings.celery_broker_url.startswith("redis"):
        return {"visibility_timeout": REDELIVER_AFTER_S}
    return {"confirm_publish": True}
