"""The trace of an export continues in the worker, also when the job is sent again; its wait is measured."""

import json
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from observability import TelemetrySettings
from observability.celery.tracing import instrument_celery, uninstrument_celery
from service.core.models import ExportJob
from service.exports.broker import producer_app
from service.exports.delivery import ByTaskQueue
from tests.servers.arm import arm_settings, running_arm
from tests.servers.export_worker import running_worker
from tests.servers.otlp import collecting
from tests.servers.port import free_port
from tests.service.conftest import thread_pool
from tests.service.exports.conftest import create_export, is_done, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_span_of_the_worker_is_in_the_trace_of_the_request_and_the_wait_is_measured(
    data_dir: Path, tmp_path: Path
) -> None:
    with (
        collecting() as collector,
        running_arm(arm_settings("all", data_dir), telemetry=_traced(collector.endpoint)) as arm,
        running_worker(
            data_dir,
            log=tmp_path / "worker.log",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_PORT=str(free_port()),
            OBSERVABILITY_METRICS_TARGETS_DIR=str(tmp_path / "targets"),
        ),
    ):
        created = create_export(arm, format="csv", carrier="UA")
        wait_until(arm, created.headers["Location"], is_done)
        (run,) = collector.wait_for("run/flightdeck.export", seconds=60)
        metrics = worker_metrics(tmp_path / "targets")
        published = arm.registry.get_sample_value("tasks_published_total", {"task": "flightdeck.export"})

    assert run.trace_id == created.headers["X-Trace-Id"]
    assert published == 1
    assert 'task_queue_wait_seconds_count{task="flightdeck.export"} 1.0' in metrics
    assert 'task_run_seconds_count{task="flightdeck.export"} 1.0' in metrics
    assert 'tasks_total{state="success",task="flightdeck.export"} 1.0' in metrics


def _traced(endpoint: str) -> TelemetrySettings:
    return TelemetrySettings(metrics_exporter="none", access_log=False, otlp_endpoint=endpoint)


def worker_metrics(targets: Path) -> str:
    """Return the metrics of the worker's processes, once one of them has run a task."""
    deadline = monotonic() + 60
    while True:
        addresses = [
            address
            for file in targets.glob("*.json")
            for group in json.loads(file.read_text())
            for address in group["targets"]
        ]
        texts = [httpx.get(f"http://{address}/metrics").text for address in addresses]
        if any("task_run_seconds_count{" in text for text in texts):
            return "\n".join(texts)
        assert monotonic() < deadline, addresses
        sleep(0.1)


async def test_a_job_that_is_sent_again_stays_in_the_trace_of_its_request(tmp_path: Path) -> None:
    job = ExportJob(id="a-job", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", created_at=datetime.now(UTC))
    instrument_celery()
    try:
        await ByTaskQueue(producer_app(arm_settings("all", tmp_path)), thread_pool("publish")).redeliver(job)
    finally:
        uninstrument_celery()
    (message,) = (tmp_path / "broker" / "messages").iterdir()

    headers = json.loads(message.read_text())["headers"]
    assert headers["task"] == "flightdeck.export"
    assert headers["traceparent"].split("-")[1] == TRACE


@pytest.mark.parametrize("fault", ["the disk", "the database"])
def test_an_export_is_retried_until_a_transient_failure_ends(
    data_dir: Path, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.exports.jobs.RESEND_AFTER_S", 5.0)
    obstacle = data_dir / ("exports" if fault == "the disk" else "flightdeck.db")
    hidden = tmp_path / "hidden"
    settings = arm_settings("all", data_dir, export_lease_s=2)
    with running_arm(settings) as arm, running_worker(data_dir, log=tmp_path / "worker.log", EXPORT_LEASE_S="2"):
        if fault == "the disk":
            obstacle.write_text("a file where the directory should be")
            address = create_export(arm, format="csv", carrier="UA").headers["Location"]
            wait_until(arm, address, lambda export: export["attempts"] >= 2)
            obstacle.unlink()
        else:
            address = create_export(arm, format="csv", carrier="UA").headers["Location"]
            obstacle.rename(hidden)
            sleep(1)
            hidden.rename(obstacle)
        done = wait_until(arm, address, is_done, within_s=90)

    assert done["error"] is None
    assert len([file for file in (data_dir / "exports").iterdir() if file.suffix != ".partial"]) == 1
