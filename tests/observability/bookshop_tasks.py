"""A Celery application for tests: its broker and its telemetry come from the environment."""

import os
import signal
import time
from pathlib import Path

from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.utils.log import get_task_logger
from opentelemetry import trace

from observability.celery.worker import instrument_worker

app = Celery("bookshop", broker=os.environ["CELERY_BROKER_URL"], set_as_current=False)
app.conf.broker_connection_retry_on_startup = True
if app.conf.broker_url.startswith("filesystem:"):
    folder = os.environ["BROKER_FOLDER"]
    app.conf.broker_transport_options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
if not os.environ.get("PUBLISH_ONLY"):
    instrument_worker(app)


@app.task
def bind_book(pages: int) -> int:
    with trace.get_tracer("bookshop").start_as_current_span("bind"):
        get_task_logger("bookshop").warning("binding", extra={"pages": pages})
        return pages * 2


@app.task
def fail() -> None:
    raise ValueError("the glue is dry")


@app.task(bind=True, max_retries=2)
def try_again(self) -> str:  # type: ignore[no-untyped-def]  # bound tasks have no type here
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return "done"


@app.task
def ignore() -> None:
    raise Ignore


@app.task
def reject() -> None:
    raise Reject("no such book", requeue=False)


@app.task
def wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.02)


@app.task
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(time_limit=1)
def take_too_long() -> None:
    time.sleep(60)
