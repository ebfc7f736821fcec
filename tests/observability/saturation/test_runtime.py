import gc
import os
import tempfile
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, ProcessCollector

from observability.metrics.histogram import exemplar_of
from observability.saturation.runtime import PsutilProcessCollector, RuntimeMetrics


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = RuntimeMetrics(registry)
    metrics.start()
    yield registry
    metrics.stop()


def pauses(registry: CollectorRegistry, generation: str) -> float:
    value = registry.get_sample_value("python_gc_pause_seconds_count", {"generation": generation})
    assert value is not None
    return value


def test_a_collection_is_timed_under_its_generation(registry: CollectorRegistry) -> None:
    gc.collect(1)
    before = pauses(registry, "2")
    for _ in range(3):
        gc.collect(2)
    assert pauses(registry, "2") - before == 3
    assert pauses(registry, "1") >= 1
    total = registry.get_sample_value("python_gc_pause_seconds_sum", {"generation": "2"})
    assert total is not None
    assert 0 < total < 10


def test_a_pause_inside_a_sampled_trace_links_to_it(registry: CollectorRegistry) -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        gc.collect()
    links = [sample.exemplar for family in registry.collect() for sample in family.samples if sample.exemplar]
    assert exemplar_of(span) in [link.labels for link in links]


def test_after_stop_there_is_no_callback_of_the_garbage_collector() -> None:
    before = list(gc.callbacks)
    metrics = RuntimeMetrics(CollectorRegistry())
    metrics.start()
    metrics.start()
    assert len(gc.callbacks) == len(before) + 1
    metrics.stop()
    metrics.stop()
    assert gc.callbacks == before


def test_open_files_and_their_limit_are_shown(registry: CollectorRegistry) -> None:
    before = registry.get_sample_value("process_open_fds")
    with tempfile.TemporaryFile(), tempfile.TemporaryFile():
        after = registry.get_sample_value("process_open_fds")
    assert before is not None
    assert after == before + 2
    limit = registry.get_sample_value("process_max_fds")
    assert limit is not None
    assert limit > after


def test_without_proc_the_same_metrics_have_the_same_values() -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    ProcessCollector(registry=theirs)
    ours.register(PsutilProcessCollector())
    names = {sample.name for family in theirs.collect() for sample in family.samples}
    assert names == {sample.name for family in ours.collect() for sample in family.samples}
    for name in names:
        assert ours.get_sample_value(name) == pytest.approx(theirs.get_sample_value(name), rel=0.2, abs=0.5)


def test_cpu_time_grows_with_work(registry: CollectorRegistry) -> None:
    before = registry.get_sample_value("process_cpu_seconds_total")
    assert before is not None
    while os.times().user + os.times().system < before + 0.1:
        sum(range(10_000))
    after = registry.get_sample_value("process_cpu_seconds_total")
    assert after is not None
    assert after - before == pytest.approx(0.1, abs=0.1)
