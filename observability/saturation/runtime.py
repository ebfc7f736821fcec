"""The process and the interpreter: CPU, memory, file descriptors, garbage collection."""

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import psutil
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from observability.compat.prometheus_client import registered_collectors
from observability.core.collector import DescribedCollector
from observability.metrics.histogram import BucketCounts, HistogramFamily, LabelValues, exemplar

PAUSE_BUCKETS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_GENERATIONS: Final = ("0", "1", "2")


class RuntimeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        if Path("/proc/self/stat").exists():
            _add(ProcessCollector, registry)
        else:
            with suppress(ValueError):
                registry.register(PsutilProcessCollector())
        _add(PlatformCollector, registry)
        _add(GCCollector, registry)
        self._pauses = GCPauseCollector()
        registry.register(self._pauses)

    def start(self) -> None:
        self._pauses.start()

    def stop(self) -> None:
        self._pauses.stop()


def _add(kind: Any, registry: CollectorRegistry) -> None:
    """Add the collector of the whole process, unless the registry has it, as prometheus_client's own does.

    It does not describe itself: a registry without `auto_describe` neither notices a second one nor knows its names.
    """
    if any(isinstance(collector, kind) for collector in registered_collectors(registry)):
        return
    with suppress(ValueError):
        type(kind.__name__, (kind,), {"describe": kind.collect})(registry=registry)


class GCPauseCollector(DescribedCollector):
    """The duration of garbage collections, during which no Python code of the process runs.

    A collection can begin anywhere, also while this thread holds the lock of a metric, so nothing here acquires a lock:
    collections never overlap, and the counts become samples at a scrape.
    """

    def __init__(self) -> None:
        self._durations: dict[LabelValues, list[BucketCounts]] = {
            (generation,): [BucketCounts(PAUSE_BUCKETS_S)] for generation in _GENERATIONS
        }
        self._view = HistogramFamily(counted_s=PAUSE_BUCKETS_S, bounds_s=PAUSE_BUCKETS_S)
        self._started = 0.0

    def start(self) -> None:
        if self._observe not in gc.callbacks:
            gc.callbacks.append(self._observe)

    def stop(self) -> None:
        if self._observe in gc.callbacks:
            gc.callbacks.remove(self._observe)

    def collect(self) -> Iterator[Metric]:
        text = "Time for which a garbage collection stopped the process, by the oldest generation collected."
        yield self._view.family("python_gc_pause_seconds", text, ("generation",), self._durations)

    def _observe(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._started = perf_counter()
        elif self._started:
            seconds = perf_counter() - self._started
            self._started = 0.0
            counts = self._durations[str(info["generation"]),][0]
            counts.observe(seconds)
            labels = exemplar()
            if labels is not None:
                counts.set_exemplar(seconds, labels)


class PsutilProcessCollector(DescribedCollector):
    """The process metrics of prometheus_client where it has none, because there is no /proc, as on macOS."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def collect(self) -> Iterator[Metric]:
        process = self._process
        with process.oneshot():
            memory, cpu = process.memory_info(), process.cpu_times()
            yield GaugeMetricFamily("process_virtual_memory_bytes", "Virtual memory size in bytes.", memory.vms)
            yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory size in bytes.", memory.rss)
            yield GaugeMetricFamily(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                process.create_time(),
            )
            yield CounterMetricFamily(
                "process_cpu_seconds", "Total user and system CPU time spent in seconds.", cpu.user + cpu.system
            )
        if sys.platform != "win32":
            import resource  # noqa: PLC0415 does not exist on Windows

            yield GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", process.num_fds())
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            yield GaugeMetricFamily("process_max_fds", "Maximum number of open file descriptors.", limit)
