"""Every limiter of threads is measured: its occupancy, and the waits for a thread."""

import ast
from pathlib import Path
from threading import Event

import pytest
from anyio import fail_after
from prometheus_client import CollectorRegistry

from observability.saturation.threads import ThreadMetrics
from service.app import create_app
from service.compression.compressor import Compressor
from service.exports.delivery import publisher_threads
from tests.servers.arm import QUIET, arm_settings
from tests.service.conftest import Bodies

UNMEASURED = {"ThreadPoolExecutor", "CapacityLimiter", "to_thread", "run_in_executor", "run_in_threadpool"}


@pytest.mark.parametrize(
    ("techniques", "expected"), [("all", {"compress", "offload", "publish"}), ("none", set())], ids=["all", "none"]
)
def test_the_limiters_of_the_enabled_techniques_are_measured(
    techniques: str, expected: set[str], tmp_path: Path
) -> None:
    registry = CollectorRegistry()
    create_app(arm_settings(techniques, tmp_path), registry=registry, telemetry=QUIET)
    (limits,) = (family for family in registry.collect() if family.name == "thread_limiter_limit_threads")
    assert {sample.labels["limiter"] for sample in limits.samples} == expected


def test_no_other_threads_are_used() -> None:
    files = Path("service").rglob("*.py")
    nodes = ((file, node) for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    used = {
        f"{file}: {name}"
        for file, node in nodes
        for name in [getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "name", None)]
        if name in UNMEASURED
    }
    assert not used, "use ThreadMetrics.thread_pool()"


@pytest.mark.anyio
async def test_a_large_body_is_compressed_in_a_measured_thread(bodies: Bodies) -> None:
    registry = CollectorRegistry()
    threads = ThreadMetrics(registry).thread_pool("compress", threads=1)
    body = b'{"flight": "UA 1545"}' * 50_000
    assert len(await Compressor(meter=bodies, threads=threads).compress(body, "gzip")) < len(body)
    assert registry.get_sample_value("thread_limiter_wait_seconds_count", {"limiter": "compress"}) == 1


@pytest.mark.anyio
async def test_a_request_does_not_wait_for_a_thread_that_publishes_after_its_timeout() -> None:
    registry, release = CollectorRegistry(), Event()
    threads = publisher_threads(ThreadMetrics(registry))
    try:
        with pytest.raises(TimeoutError), fail_after(0.05):
            await threads.run(release.wait, 30)
        assert not release.is_set()
    finally:
        release.set()
    assert registry.get_sample_value("thread_limiter_wait_seconds_count", {"limiter": "publish"}) == 1
