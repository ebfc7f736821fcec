"""Real Celery workers, forked and not, on the brokers that need no server of their own and on Redis."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from observability.celery.metrics import TaskMetrics
from observability.celery.tracing import instrument_celery, uninstrument_celery
from observability.compat.celery_instrumentor import CeleryTracing
from observability.testing.error_server import ErrorServer
from observability.tracing.provider import activate, deactivate
from tests.polling import eventually
from tests.servers.otlp import Collector, collecting
from tests.servers.port import free_port, free_range
from tests.servers.redis import RedisServer

MODULE = "tests.observability.bookshop_tasks"
ROOT = Path(__file__).parents[3]
PROCESSES = 8
"""Of a worker at most; each serves its metrics on the next port."""


@dataclass
class Worker:
    """A worker process, what it exports and where it shows its metrics."""

    app: Celery
    collector: Collector
    errors: ErrorServer
    log: Path
    first_port: int
    process: subprocess.Popen[bytes]

    def logged(self, logger: str) -> list[dict[str, Any]]:
        """Return what this logger wrote as JSON."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [record for record in map(json.loads, lines) if record["logger"] == logger]

    def send(self, task: str, *args: object, **options: Any) -> None:
        self.app.send_task(f"{MODULE}.{task}", args, **options)

    def value(self, name: str, **labels: str) -> float:
        """Return the sum over all processes of the worker."""
        if "task" in labels:
            labels["task"] = f"{MODULE}.{labels['task']}"
        total = 0.0
        for port in range(self.first_port, self.first_port + PROCESSES):
            try:
                text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=1).text
            except httpx.TransportError:
                continue
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name == name and sample.labels.items() >= labels.items():
                        total += sample.value
        return total

    def ended(self, task: str, state: str) -> float:
        return self.value("tasks_total", task=task, state=state)

    def wait_for(self, expected: float, name: str, **labels: str) -> None:
        eventually(lambda: self.value(name, **labels) == expected)

    def stop(self) -> None:
        """Let it finish what it runs, and end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


@contextmanager
def working(broker: str, folder: Path, *, pool: str, **arguments: str) -> Iterator[Worker]:
    with collecting() as collector, ErrorServer() as errors:
        port = free_range(PROCESSES)
        environment = {
            **os.environ,
            "SENTRY_DSN": errors.dsn,
            "LOG_FORMAT": "json",
            "CELERY_BROKER_URL": broker,
            "BROKER_FOLDER": str(folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
            "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that what arrives earlier was flushed
        }
        command = [sys.executable, "-m", "celery", "-A", f"{MODULE}:app", "worker", "--pool", pool, "-l", "warning"]
        options = [f"--{name.replace('_', '-')}={value}" for name, value in {"concurrency": "2", **arguments}.items()]
        log = folder / "worker.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stderr=stderr)
        app = Celery("bookshop", broker=broker, set_as_current=False)
        if broker.startswith("filesystem"):
            names = ("data_folder_in", "data_folder_out", "control_folder")
            app.conf.broker_transport_options = dict.fromkeys(names, str(folder))
        worker = Worker(app, collector, errors, log, port, process)
        try:
            eventually(lambda: worker.value("process_start_time_seconds") > 0, within_s=60)
            yield worker
        finally:
            worker.stop()
            app.close()


@pytest.fixture(scope="module")
def redis(shared_redis: RedisServer) -> str:
    """An unused database of the Redis server."""
    return f"{shared_redis.url[:-1]}11"


@pytest.fixture(scope="module")
def forking(redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker with one child, for tests that take nothing from each other."""
    with working(f"{redis[:-2]}12", tmp_path_factory.mktemp("worker"), pool="prefork", concurrency="1") as worker:
        yield worker


@contextmanager
def publisher_spans() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    activate(provider)
    instrument_celery()
    yield provider, exporter
    uninstrument_celery()
    deactivate(provider)


@pytest.mark.parametrize(("broker", "pool"), [("redis", "prefork"), ("redis", "threads"), ("filesystem", "solo")])
def test_tasks_are_counted_timed_traced_logged_and_reported_on_every_broker_and_in_every_pool(
    broker: str, pool: str, redis: str, tmp_path: Path
) -> None:
    url = redis if broker == "redis" else "filesystem://"
    with publisher_spans() as (provider, exporter), working(url, tmp_path, pool=pool) as worker:
        with provider.get_tracer("test").start_as_current_span("POST /books") as request:
            worker.send("bind_book", 300)
            worker.send("fail")
        for task in ("try_again", "ignore", "reject"):
            worker.send(task)
        worker.wait_for(1, "tasks_total", task="try_again", state="success")
        worker.wait_for(7, "tasks_total")
        ends = {("bind_book", "success"), ("fail", "failure"), ("ignore", "ignored"), ("reject", "rejected")}
        assert {end for end in ends if worker.ended(*end) == 1} == ends
        assert worker.ended("try_again", "retry") == 2
        assert worker.value("task_run_seconds_count") == 7
        assert worker.value("tasks_inprogress") == 0
        assert worker.value("tasks_published_total", task="try_again") == 2, "the worker publishes its retries"
        worker.stop()
        published = next(span for span in exporter.get_finished_spans() if span.name.endswith("bind_book"))
        (run,) = worker.collector.named(f"run/{MODULE}.bind_book")
        (bind,) = worker.collector.named("bind")
        (report,) = worker.errors.events
        (said,) = worker.logged("bookshop")
    trace_id = f"{request.get_span_context().trace_id:032x}"
    assert (said["message"], said["pages"], said["trace_id"]) == ("binding", 300, trace_id)
    assert report["exception"]["values"][-1]["value"] == "the glue is dry"
    assert (report["transaction"], report["contexts"]["trace"]["trace_id"]) == (f"{MODULE}.fail", trace_id)
    assert published.context is not None
    assert {run.trace_id, bind.trace_id, f"{published.context.trace_id:032x}"} == {trace_id}
    assert run.parent_id == f"{published.context.span_id:016x}"
    assert bind.parent_id == run.span_id


def test_a_task_that_runs_is_in_progress_and_the_one_behind_it_waits(forking: Worker, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    TaskMetrics(registry).attach(forking.app)
    done = tmp_path / "done"
    waited, ran = (forking.value(f"task_{name}_seconds_sum") for name in ("queue_wait", "run"))
    bound = forking.ended("bind_book", "success")
    began = monotonic()
    forking.send("wait_for", str(done))
    forking.wait_for(1, "tasks_inprogress")
    forking.send("bind_book", 1)
    sleep(0.6)
    done.touch()
    forking.wait_for(bound + 1, "tasks_total", task="bind_book", state="success")
    assert forking.value("tasks_inprogress") == 0
    took = monotonic() - began
    assert 0.5 < forking.value("task_queue_wait_seconds_sum") - waited < 2 * took, "two tasks"
    assert 0.5 < forking.value("task_run_seconds_sum") - ran < took, "one after the other"
    assert registry.get_sample_value("tasks_published_total", {"task": f"{MODULE}.bind_book"}) == 1


def test_a_task_for_later_does_not_wait_before_it_is_due(forking: Worker) -> None:
    waited = forking.value("task_queue_wait_seconds_sum")
    bound = forking.ended("bind_book", "success")
    began = monotonic()
    forking.send("bind_book", 1, countdown=1.5)
    forking.wait_for(bound + 1, "tasks_total", task="bind_book", state="success")
    after_s = monotonic() - began - 1.5
    assert forking.value("task_queue_wait_seconds_sum") - waited < after_s + 0.1


def test_a_task_that_expired_is_revoked(forking: Worker, tmp_path: Path) -> None:
    done = tmp_path / "done"
    forking.send("wait_for", str(done))
    forking.wait_for(1, "tasks_inprogress")
    forking.send("bind_book", 1, expires=0.1)
    sleep(0.3)
    done.touch()
    forking.wait_for(1, "tasks_total", task="bind_book", state="revoked")


def test_the_main_process_counts_what_a_lost_process_cannot(redis: str, tmp_path: Path) -> None:
    with working(redis, tmp_path, pool="prefork") as worker:
        worker.send("die")
        worker.send("take_too_long")
        worker.wait_for(1, "tasks_total", task="die", state="failure")
        worker.wait_for(1, "tasks_total", task="take_too_long", state="failure")
        worker.send("bind_book", 1)
        worker.wait_for(1, "tasks_total", task="bind_book", state="success")
        assert worker.value("tasks_total") == 3


def test_every_child_exports_its_spans_under_its_own_identity_before_it_is_replaced(redis: str, tmp_path: Path) -> None:
    with working(redis, tmp_path, pool="prefork", concurrency="1", max_tasks_per_child="2") as worker:
        for _ in range(6):
            worker.send("bind_book", 1)
        spans = worker.collector.wait_for("bind", 6, seconds=60)
        assert len({span.resource["service.instance.id"] for span in spans}) == 3
        assert len({span.resource["process.pid"] for span in spans}) == 3
        assert {span.resource["service.name"] for span in spans} == {"bookshop"}


def test_after_publishing_to_a_broker_that_is_down_no_span_is_current() -> None:
    with publisher_spans() as (provider, exporter):
        app = Celery("bookshop", broker=f"redis://127.0.0.1:{free_port()}/0", set_as_current=False)
        app.conf.broker_transport_options = {"max_retries": 0}
        with provider.get_tracer("test").start_as_current_span("POST /books") as request:
            with pytest.raises(OperationalError):
                app.send_task("bind", retry=False)
            with provider.get_tracer("test").start_as_current_span("next"):
                pass
        app.close()
    following = next(span for span in exporter.get_finished_spans() if span.name == "next")
    assert following.parent is not None
    assert following.parent.span_id == request.get_span_context().span_id


def test_an_application_with_its_own_celery_instrumentation_is_unchanged() -> None:
    official = CeleryInstrumentor()  # type: ignore[no-untyped-call]  # its constructor has no types
    official.instrument()
    instrument_celery()
    assert not CeleryTracing().is_instrumented_by_opentelemetry  # type: ignore[no-untyped-call]  # the same
    official.uninstrument()
