import asyncio
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from service.errors import Overloaded
from service.http.admission import concurrency_limiter
from service.http.admission.concurrency_limiter import Bounds, ConcurrencyLimiter
from service.http.admission.limit import AdaptiveLimit
from service.http.admission.metrics import AdmissionMetrics
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Wait without delay: a busy machine would take longer than the timeouts."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the limiter see the loop's time, in which nothing takes the processor."""
    monkeypatch.setattr(concurrency_limiter, "perf_counter", now)
    idle = partial(AdaptiveLimit, clock=now, cpu_clock=lambda: 0.0)
    monkeypatch.setattr(concurrency_limiter, "AdaptiveLimit", idle)


def block(seconds: float) -> None:
    """Let time pass in which the loop runs nothing."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.skip(seconds)


class World:
    """A limiter and its metrics."""

    def __init__(self, **bounds: float) -> None:
        self._registry = CollectorRegistry()
        allowed = Bounds(**{"slots": 1, "queue": 10, "timeout_s": 5.0} | bounds)  # type: ignore[arg-type]  # by name
        self.limiter = ConcurrencyLimiter(allowed, AdmissionMetrics(self._registry))

    def value(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(name, labels) or 0.0

    def outcomes(self) -> dict[str, float]:
        names = ("admitted", "queued", "queue_full", "timeout")
        return {name: self.value("admission_requests_total", outcome=name) for name in names}

    async def queued(self, number: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.limiter.acquire()) for _ in range(number)]
        await asyncio.sleep(0)
        return tasks


async def test_requests_below_the_limit_are_admitted_at_once() -> None:
    world = World(slots=3, queue=0)
    for _ in range(3):
        await world.limiter.acquire()
    with pytest.raises(Overloaded):
        await world.limiter.acquire()

    assert world.value("admission_inprogress_requests") == world.value("admission_limit_requests") == 3
    assert world.outcomes() == {"admitted": 3, "queued": 0, "queue_full": 1, "timeout": 0}


async def test_slots_are_granted_in_order_of_arrival() -> None:
    world = World()
    await world.limiter.acquire()
    tasks = await world.queued(3)
    done = []
    for _ in tasks:
        world.limiter.release()
        await asyncio.sleep(0)
        done.append([task.done() for task in tasks])

    assert done == [[True, False, False], [True, True, False], [True, True, True]]
    assert world.value("admission_inprogress_requests") == 1
    assert world.outcomes()["queued"] == world.value("admission_wait_seconds_count") == 3


async def test_a_request_that_times_out_is_rejected_and_leaves_the_queue() -> None:
    world = World(timeout_s=0.02)
    await world.limiter.acquire()
    began = now()
    with pytest.raises(Overloaded, match=r"0\.02 s"):
        await world.limiter.acquire()

    assert now() - began == pytest.approx(0.02)
    assert world.value("admission_queued_requests") == 0
    world.limiter.release()
    assert world.value("admission_inprogress_requests") == 0


async def test_a_slot_that_is_granted_late_because_the_loop_was_busy_is_not_used() -> None:
    world = World(timeout_s=0.01)
    await world.limiter.acquire()
    tasks = await world.queued(1)
    block(0.03)
    world.limiter.release()

    with pytest.raises(Overloaded):
        await tasks[0]
    assert world.value("admission_inprogress_requests") == 0
    assert world.outcomes()["timeout"] == 1


@pytest.mark.parametrize("when", ["while queued", "just after the slot was granted"])
async def test_a_cancelled_request_loses_no_slot(when: str) -> None:
    world = World()
    await world.limiter.acquire()
    first, second = await world.queued(2)
    if when == "while queued":
        first.cancel()
        await asyncio.sleep(0)
        world.limiter.release()
    else:
        world.limiter.release()
        first.cancel()
    await asyncio.wait_for(second, 1)
    world.limiter.release()

    assert first.cancelled()
    assert world.value("admission_inprogress_requests") == 0
    assert world.value("admission_queued_requests") == 0


async def test_a_load_spike_with_cancellations_leaves_every_slot_free() -> None:
    world = World(slots=4, queue=16, timeout_s=0.008)
    in_progress = most = 0

    async def one(number: int) -> None:
        nonlocal in_progress, most
        try:
            await world.limiter.acquire()
        except Overloaded:
            return
        in_progress += 1
        most = max(most, in_progress)
        try:
            await asyncio.sleep(0.001 * (number % 5))
        finally:
            in_progress -= 1
            world.limiter.release()

    tasks = []
    for number in range(400):
        tasks.append(asyncio.create_task(one(number)))
        if number % 7 == 0:
            tasks[number // 2].cancel()
            await asyncio.sleep(0.001)
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most == 4
    assert world.value("admission_inprogress_requests") == 0
    assert world.value("admission_queued_requests") == 0
    assert all(world.outcomes().values())


async def test_requests_that_wait_for_io_are_all_admitted_though_the_limit_starts_lower() -> None:
    world = World(slots=32, queue=64, timeout_s=60)
    tasks = await world.queued(32)
    await asyncio.gather(*tasks)

    assert world.value("admission_inprogress_requests") == world.value("admission_limit_requests") == 32


async def test_a_standing_queue_times_out_sooner_than_a_burst() -> None:
    world = World(timeout_s=0.5)
    await world.limiter.acquire()
    [burst] = await world.queued(1)
    await asyncio.sleep(0.1)
    world.limiter.release()
    await burst  # waited a fifth of the timeout, which applies to standing queues only
    [first] = await world.queued(1)
    await asyncio.sleep(0.3)
    [second] = await world.queued(1)
    await asyncio.sleep(0.3)
    world.limiter.release()

    for rejected in (first, second):
        with pytest.raises(Overloaded):
            await rejected
    assert world.value("admission_inprogress_requests") == 0
