"""How a worker of exports is started."""

import os

from service.exports.broker import is_folder, queue_name
from service.settings import Settings


def worker_arguments(settings: Settings, *, concurrency: int) -> list[str]:
    """Return what `celery worker` is told on its command line."""
    # Workers on the folder can not tell each other anything; on a real broker they may, and Flower listens.
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if is_folder(settings) else []
    return [
        "worker",
        f"--concurrency={concurrency}",
        f"--queues={queue_name(settings)}",
        f"--hostname=exports-{os.getpid()}@%h",
        "--loglevel=INFO",
        *alone,
    ]
