"""Results as metrics, scraped over HTTP and read from a file."""

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.analysis.result import LabResult
from lab.core.errors import BadSetting
from lab.report.observers import CompositeObserver, RunStep
from lab.report.prometheus import ResultCollector
from tests.lab.known_result import ROUNDS, result
from tests.servers.port import free_port

STEP = RunStep(experiment="compression", part="techniques", title="Compression, alone")
DOCUMENTED = (Path(__file__).parents[3] / "docs" / "lab.md").read_text()

Samples = dict[tuple[str, str], float]


def samples(text: str) -> Samples:
    """Return the samples of the experiment, by name and metric or side."""
    return {
        (sample.name, "/".join(sample.labels.get(label, "") for label in ("metric", "side")).strip("/")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def record(collector: ResultCollector, of: LabResult) -> None:
    async def run() -> None:
        await collector.on_start(STEP)
        await collector.on_end(STEP, of.techniques["compression"])

    asyncio.run(run())


def test_a_finished_experiment_is_scraped_with_its_interval_and_verdict() -> None:
    port = free_port()
    collector = ResultCollector(clock=lambda: 1234.5)
    record(collector, result())
    with collector.served(port):
        seen = samples(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    ratio = seen["lab_effect_ratio", "bytes_per_request"]
    assert ratio == pytest.approx(10.0, rel=0.01)
    assert seen["lab_effect_ratio_low", "bytes_per_request"] <= ratio
    assert seen["lab_effect_ratio_high", "bytes_per_request"] >= ratio
    assert seen["lab_effect_verdict", "bytes_per_request"] == 1
    assert seen["lab_effect_verdict", "p95_s"] == 0
    assert seen["lab_effect_headline", "bytes_per_request"] == 1
    assert seen["lab_effect_headline", "p95_s"] == 0
    assert seen["lab_arm_value", "bytes_per_request/off"] == pytest.approx(200_000)
    assert seen["lab_experiment_rounds", ""] == ROUNDS
    assert seen["lab_experiment_valid", ""] == 1
    assert seen["lab_experiment_finished_timestamp_seconds", ""] == 1234.5
    assert ("lab_experiment_running", "") not in seen


def test_every_metric_is_documented() -> None:
    collector = ResultCollector.of(result(), finished_at=1.0)
    for family in collector.collect():
        assert f"`{family.name}`" in DOCUMENTED


def test_the_experiment_in_progress_is_exposed() -> None:
    collector = ResultCollector(clock=lambda: 0.0)
    asyncio.run(collector.on_start(STEP))
    running = next(family for family in collector.collect() if family.name == "lab_experiment_running")
    assert [sample.labels for sample in running.samples] == [{"experiment": "compression", "part": "techniques"}]


def test_a_text_file_keeps_the_metrics(tmp_path: Path) -> None:
    path = tmp_path / "lab.prom"
    record(ResultCollector(clock=lambda: 1.0, path=path), result())
    assert ("lab_effect_ratio", "bytes_per_request") in samples(path.read_text())


def test_a_file_that_cannot_be_written_causes_one_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    record(ResultCollector(clock=lambda: 1.0, path=tmp_path / "nowhere" / "lab.prom", say=warnings.append), result())
    assert len(warnings) == 1
    assert warnings[0].startswith("cannot write")


def test_a_port_that_is_taken_is_rejected() -> None:
    port = free_port()
    collector = ResultCollector(clock=lambda: 1.0)
    with (
        collector.served(port),
        pytest.raises(BadSetting, match=rf"port: '{port}' is not free"),
        collector.served(port),
    ):
        pass


def test_a_composite_observer_notifies_its_members() -> None:
    first, second = (ResultCollector(clock=lambda: 1.0) for _ in range(2))
    observer = CompositeObserver([first, second])
    asyncio.run(observer.on_start(STEP))
    asyncio.run(observer.on_end(STEP, result().techniques["compression"]))
    assert all(any(f.name == "lab_effect_ratio" and f.samples for f in each.collect()) for each in (first, second))
