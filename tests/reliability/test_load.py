"""Load above the capacity of one process, and just below it for a long time."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median
from time import monotonic
from typing import Any, Final

import httpx
import pytest

from prometheus.slo import load
from tests.reliability.clients import LoadGenerator, lists, quantile_s, statuses
from tests.reliability.effort import Effort
from tests.servers.process import ServiceProcess, service_process

FLIGHTS: Final = load().groups["flights"].latency
PROBE_EVERY_S: Final = 0.25


@pytest.fixture
def service(few_flights: Path, tmp_path: Path) -> Iterator[ServiceProcess]:
    data_dir = Path(shutil.copytree(few_flights, tmp_path / "data"))
    with service_process(data_dir, log=tmp_path / "log") as running:
        yield running


async def capacity_per_s(service: ServiceProcess, seconds: float) -> float:
    """Return the throughput of the process under closed-loop load."""
    await LoadGenerator(service.url, lists(0)).closed_loop(8, seconds=1.0)
    seen = await LoadGenerator(service.url, lists(1)).closed_loop(8, seconds=seconds)
    return statuses(seen)[200] / seconds


async def probed(service: ServiceProcess, until: asyncio.Event) -> list[tuple[str, int, float]]:
    """Return the outcomes of probes and scrapes: path, status and latency in seconds."""
    seen = []
    async with httpx.AsyncClient(timeout=60) as client:
        while not until.is_set():
            for url in (f"{service.url}/livez", f"{service.url}/readyz", service.metrics_url):
                began = monotonic()
                response = await client.get(url)
                seen.append((url.rpartition("/")[2], response.status_code, monotonic() - began))
            await asyncio.sleep(PROBE_EVERY_S)
    return seen


@pytest.mark.timeout(600)
async def test_at_three_times_the_capacity_the_excess_is_shed_and_admitted_requests_are_served_in_time(
    service: ServiceProcess, effort: Effort
) -> None:
    seconds = effort.choose(4.0, 30.0)
    capacity = await capacity_per_s(service, effort.choose(2.0, 10.0))
    over = asyncio.Event()
    probes = asyncio.create_task(probed(service, over))
    generator = await LoadGenerator(service.url, lists(2)).open_loop(3 * capacity, seconds=seconds)
    over.set()
    probe_times = await probes
    ended = monotonic()
    recovered_s = None
    while recovered_s is None and monotonic() - ended < effort.choose(60.0, 10.0):
        after = await LoadGenerator(service.url, lists(3)).open_loop(0.5 * capacity, seconds=1.0)
        if statuses(after).keys() == {200} and quantile_s(after, 0.95) < FLIGHTS.threshold_s:
            recovered_s = monotonic() - ended

    found = statuses(generator)
    admitted = [one for one in generator if one.status == 200]
    in_time = sum(one.seconds <= FLIGHTS.threshold_s for one in admitted) / len(admitted)
    rejected = [one for one in generator if one.status == 503]
    assert found.keys() == {200, 503}
    assert len(admitted) > effort.choose(0.1, 0.5) * capacity * seconds, (
        "shedding leaves the capacity to the admitted requests"
    )
    assert {one.retry_after for one in rejected} == {"1"}
    if effort.is_full:  # in a short run other tests use the machine too
        assert in_time >= FLIGHTS.objective, quantile_s(admitted, 0.99)
    assert {status for _, status, _ in probe_times} == {200}
    counted = [service.metric("admission_requests_total", outcome=outcome) for outcome in ("queue_full", "timeout")]
    assert sum(counted) > 0
    assert counted[0] > 0 or not effort.is_full, "a busy machine may send too late to fill the queue"
    assert recovered_s is not None
    assert service.metric("admission_inprogress_requests") == service.metric("admission_queued_requests") == 0
    effort.record(
        "overload",
        "three times the capacity",
        capacity_per_s=round(capacity),
        offered_per_s=round(3 * capacity),
        seconds=seconds,
        admitted=len(admitted),
        rejected=len(rejected),
        without_response=found[0],
        admitted_in_time_percent=round(100 * in_time, 2),
        admitted_p99_ms=round(1000 * quantile_s(admitted, 0.99)),
        rejected_p99_ms=round(1000 * quantile_s(rejected, 0.99)),
        slowest_probe_ms=round(1000 * max(took for _, _, took in probe_times)),
        recovered_s=recovered_s and round(recovered_s, 1),
    )


@pytest.mark.timeout(7200)
async def test_below_the_capacity_no_request_fails_and_no_resource_grows(
    service: ServiceProcess, effort: Effort
) -> None:
    capacity = await capacity_per_s(service, effort.choose(1.5, 10.0))
    rate_per_s = 0.8 * capacity
    samples: list[tuple[int, float]] = []
    over = asyncio.Event()

    async def watched() -> None:
        while not over.is_set():
            used = await asyncio.to_thread(
                service.metric, "db_client_connection_count", db_client_connection_state="used"
            )
            samples.append((service.resident_bytes, used))
            await asyncio.sleep(max(0.25, effort.soak_s / 400))

    watch = asyncio.create_task(watched())
    generator = LoadGenerator(service.url, lists(5))
    totals: dict[int, int] = {}
    failed: list[tuple[float, int]] = []
    """When, in seconds since the beginning, and how."""
    slowest: list[float] = []
    descriptors: list[int] = []
    remaining = effort.soak_s
    while remaining > 0:  # in phases: a long run does not keep all outcomes, and leaks show between them
        phase_s = min(effort.choose(2.0, 30.0), remaining)
        if effort.is_full:
            seen = await generator.open_loop(rate_per_s, seconds=phase_s)
        else:  # other tests use the machine too: as many clients as are below the capacity of any machine
            seen = await generator.closed_loop(4, seconds=phase_s)
        began_s = effort.soak_s - remaining
        remaining -= phase_s
        failed += [(round(began_s + one.due_s, 2), one.status) for one in seen if one.status != 200]
        slowest.append(quantile_s(seen, 0.99))
        for status, count in statuses(seen).items():
            totals[status] = totals.get(status, 0) + count
        await asyncio.sleep(0.3)  # until the process has closed the connections
        descriptors.append(service.descriptors)
    over.set()
    await watch

    quarter = len(samples) // 4  # the caches are full after the first
    early, late = samples[quarter : 2 * quarter], samples[3 * quarter :]
    memory = [median(resident for resident, _ in part) for part in (early, late)]
    pool_used = [mean(used for _, used in part) for part in (early, late)]
    left = service.metric("db_client_connection_count", db_client_connection_state="used")
    figures: dict[str, Any] = {
        "seconds": effort.soak_s,
        "rate_per_s": round(rate_per_s),
        "requests": sum(totals.values()),
        "failures": sum(totals.values()) - totals.get(200, 0),
        "p99_ms": round(1000 * median(slowest)),
        "memory_mb": [round(value / 1e6, 1) for value in memory],
        "descriptors": [descriptors[0], descriptors[-1]],
        "pool_used": [round(value, 1) for value in pool_used],
        "pool_used_afterwards": left,
    }
    assert not failed, (failed, figures)
    assert memory[1] < 1.1 * memory[0] + 5e6, figures
    assert descriptors[-1] <= descriptors[0] + 5, figures
    assert left == 0
    effort.record("soak", "below the capacity", **figures)
