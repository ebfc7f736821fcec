"""Half an hour of a healthy service with real traffic's noise, as the series that promtool reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from prometheus.slo import load

HANDLERS: Final = {
    "/flights": "flights",
    "/airports/{faa}/departures": "boards",
    "/reports/delays": "reports",
    "/weather/{faa}": "upstream",
    "/orders": "rest",
}
"""The group of each route."""
PER_SECOND: Final = 2.0
"""Requests to each route: light traffic is the harder case, because one failure weighs more."""

SECONDS: Final = 1800
RELEASE_AT_S: Final = 900


Steps = npt.NDArray[np.int64] | npt.NDArray[np.floating]


@dataclass(frozen=True)
class Series:
    """A series in promtool's notation."""

    series: str
    values: str


@dataclass
class Service:
    """A service at work; `error_ratio` is what makes it an unhealthy one."""

    random: Generator
    scrape_s: int
    job: str = "service"
    arm: str = "optimized"
    error_ratio: float = 0.0002
    slow_ratio: float = 0.002

    @property
    def _samples(self) -> int:
        return SECONDS // self.scrape_s

    def series(self) -> Iterator[Series]:
        """Yield every series that the rules read, a release with its counter resets included."""
        groups = load().groups
        for handler, group in HANDLERS.items():
            yield from self._requests(handler, groups[group].latency.threshold_s)
        yield from self._database()
        yield from self._caches()
        yield from self._runtime()

    def _requests(self, handler: str, threshold_s: float) -> Iterator[Series]:
        requests = self.random.poisson(PER_SECOND * self.scrape_s, self._samples)
        disconnected = self.random.binomial(requests, 0.01)
        failed = self.random.binomial(requests - disconnected, self.error_ratio)
        slow = self.random.binomial(requests - failed - disconnected, self.slow_ratio)
        at = f'handler="{handler}", method="GET"'
        yield self._counter("http_requests_total", f'{at}, status="2xx", code="200"', requests - failed - disconnected)
        yield self._counter("http_requests_total", f'{at}, status="5xx", code="500"', failed)
        yield self._counter(
            "http_requests_total", f'{at}, status="client_disconnected", code="client_disconnected"', disconnected
        )
        done = requests - disconnected
        for le, within in ((threshold_s / 4, 0.9), (threshold_s, 1.0)):
            fast = self.random.binomial(done - slow, within)
            yield self._counter("http_response_last_byte_seconds_bucket", f'{at}, le="{le}"', fast)
        yield self._counter("http_response_last_byte_seconds_bucket", f'{at}, le="+Inf"', done)
        yield self._counter("http_response_last_byte_seconds_count", at, done)
        yield self._counter("db_queries_per_request_sum", at, done * 3)
        yield self._counter("db_queries_per_request_count", at, done)

    def _database(self) -> Iterator[Series]:
        checkouts = self.random.poisson(20 * self.scrape_s, self._samples)
        waited = self.random.binomial(checkouts, 0.01)
        for le, count in (("0.01", checkouts - waited), ("0.1", checkouts), ("+Inf", checkouts)):
            yield self._counter(
                "db_client_connection_wait_time_seconds_bucket",
                f'db_client_connection_pool_name="primary", le="{le}"',
                count,
            )
        yield self._counter(
            "db_client_connection_timeouts_total", 'db_client_connection_pool_name="primary"', checkouts * 0
        )

    def _caches(self) -> Iterator[Series]:
        for cache, hit_ratio in (("board", 0.95), ("report", 0.8)):
            for level in ("local", "shared"):
                lookups = self.random.poisson(4 * self.scrape_s, self._samples)
                hits = self.random.binomial(lookups, hit_ratio)
                at = f'cache="{cache}", level="{level}"'
                yield self._counter("cache_requests_total", f'{at}, result="hit"', hits)
                yield self._counter("cache_requests_total", f'{at}, result="miss"', lookups - hits)
                coalesced = self.random.binomial(lookups - hits, 0.2)
                yield self._counter("cache_requests_total", f'{at}, result="coalesced"', coalesced)
        bodies = self.random.poisson(2 * self.scrape_s, self._samples)
        yield self._counter("compression_before_bytes_total", 'encoding="zstd"', bodies * 100_000)
        yield self._counter("compression_after_bytes_total", 'encoding="zstd"', bodies * 20_000)
        yield self._counter("compression_duration_seconds_sum", 'encoding="zstd"', bodies * 0.0005)
        calls = self.random.poisson(2 * self.scrape_s, self._samples)
        failed = self.random.binomial(calls, 0.003)
        yield self._counter("upstream_requests_total", 'upstream="weather", outcome="success"', calls - failed)
        yield self._counter("upstream_requests_total", 'upstream="weather", outcome="timeout"', failed)

    def _runtime(self) -> Iterator[Series]:
        stalls = self.random.exponential(0.002 * self.scrape_s, self._samples)
        yield self._counter("event_loop_blocked_seconds_total", 'handler="/reports/delays"', stalls)
        yield self._gauge(
            "thread_limiter_borrowed_threads", 'limiter="default"', lambda _: float(self.random.integers(0, 20))
        )
        yield self._gauge("thread_limiter_limit_threads", 'limiter="default"', lambda _: 40)
        warm = 300 // self.scrape_s  # the caches fill after a start
        yield self._gauge(
            "process_resident_memory_bytes", "", lambda at: 1e8 * (1 + 0.6 * min(1.0, self._since_start(at) / warm))
        )
        yield self._gauge("process_open_fds", "", lambda _: float(self.random.integers(40, 90)))
        yield self._gauge("process_max_fds", "", lambda _: 1024)
        yield self._gauge("process_start_time_seconds", "", lambda at: 1000 + (at >= self._release) * RELEASE_AT_S)
        yield self._gauge("http_requests_inprogress", "", lambda _: float(self.random.integers(0, 5)))
        yield self._gauge("up", "", lambda at: at != self._release)

    @property
    def _release(self) -> int:
        return RELEASE_AT_S // self.scrape_s

    def _since_start(self, at: int) -> int:
        return at - self._release if at >= self._release else at

    def _counter(self, name: str, labels: str, steps: Steps) -> Series:
        before, after = np.cumsum(steps[: self._release]), np.cumsum(steps[self._release :])
        return self._written(name, labels, [*before, *after])

    def _gauge(self, name: str, labels: str, value: Callable[[int], float]) -> Series:
        return self._written(name, labels, [value(at) for at in range(self._samples)])

    def _written(self, name: str, labels: str, values: Sequence[float]) -> Series:
        target = f'job="{self.job}", arm="{self.arm}", instance="{self.arm}:9464"'
        selector = ", ".join(filter(None, (target, labels)))
        return Series(f"{name}{{{selector}}}", " ".join(f"{float(value):.6g}" for value in values))


def monitoring(scrape_s: int) -> Iterator[Series]:
    """Yield what a healthy Prometheus and Alertmanager say about themselves, and a healthy worker."""
    samples = SECONDS // scrape_s
    for job in ("prometheus", "alertmanager", "worker"):
        yield Series(f'up{{job="{job}", instance="{job}:1"}}', f"1x{samples}")
    at = 'job="prometheus", instance="prometheus:1"'
    yield Series(f"prometheus_config_last_reload_successful{{{at}}}", f"1x{samples}")
    yield Series(f'prometheus_rule_evaluation_failures_total{{{at}, rule_group="slo"}}', f"0x{samples}")
    for kind in ("errors", "sent"):
        step = 0 if kind == "errors" else 1
        yield Series(f'prometheus_notifications_{kind}_total{{{at}, alertmanager="a"}}', f"0+{step}x{samples}")
    at = 'job="alertmanager", instance="alertmanager:1"'
    yield Series(f"alertmanager_config_last_reload_successful{{{at}}}", f"1x{samples}")
    yield Series(f'alertmanager_notifications_failed_total{{{at}, integration="webhook"}}', f"0x{samples}")
    yield Series(f'alertmanager_notifications_total{{{at}, integration="webhook"}}', f"0+1x{samples}")
    at = 'job="collector", instance="collector:8888"'
    for kind in ("spans", "log_records", "metric_points"):
        for counter in ("receiver_refused", "exporter_enqueue_failed", "exporter_send_failed"):
            yield Series(f"otelcol_{counter}_{kind}_total{{{at}}}", f"0+0x{samples}")
    yield Series('tasks_published_total{job="service", arm="optimized", task="export"}', f"0+1x{samples}")
    yield Series('tasks_total{job="worker", task="export", state="success"}', f"0+1x{samples}")
