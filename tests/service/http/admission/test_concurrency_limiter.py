import asyncio
from time import perf_counter

import pytest
from prometheus_client import CollectorRegistry

from service.errors import Overloaded
from service.http.admission.concurrency_limiter import Bounds, Turnstile
from service.http.admission.meter import AdmissionMetrics

pytestmark = pytest.mark.anyio


class World:
    """A turnstile and what its metrics say."""

    def __init__(self, **bounds: float) -> None:
        self._registry = CollectorRegistry()
        allowed = Bounds(**{"running": 1, "waiting": 10, "wait_s": 5.0} | bounds)  # type: ignore[arg-type]  # by name
        self.turnstile = Turnstile(allowed, AdmissionMetrics(self._registry))

    def value(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(name, labels) or 0.0

    def outcomes(self) -> dict[str, float]:
        names = ("admitted", "queued", "queue_full", "timeout")
        return {name: self.value("admission_requests_total", outcome=name) for name in names}

    async def waiting(self, number: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.turnstile.enter()) for _ in range(number)]
        await asyncio.sleep(0)
        return tasks


async def test_as_many_as_are_allowed_enter_at_once() -> None:
    world = World(running=3, waiting=0)
    for _ in range(3):
        await world.turnstile.enter()
    with pytest.raises(Overloaded):
        await world.turnstile.enter()

    assert world.value("admission_inprogress_requests") == world.value("admission_limit_requests") == 3
    assert world.outcomes() == {"admitted": 3, "queued": 0, "queue_full": 1, "timeout": 0}


async def test_turns_are_given_in_the_order_of_arrival() -> None:
    world = World()
    await world.turnstile.enter()
    tasks = await world.waiting(3)
    begun = []
    for _ in tasks:
        world.turnstile.leave()
        await asyncio.sleep(0)
        begun.append([task.done() for task in tasks])

    assert begun == [[True, False, False], [True, True, False], [True, True, True]]
    assert world.value("admission_inprogress_requests") == 1
    assert world.outcomes()["queued"] == world.value("admission_wait_seconds_count") == 3


async def test_who_waits_too_long_is_refused_and_leaves_the_line() -> None:
    world = World(wait_s=0.02)
    await world.turnstile.enter()
    began = perf_counter()
    with pytest.raises(Overloaded, match=r"0\.02 s"):
        await world.turnstile.enter()

    assert perf_counter() - began < 1
    assert world.value("admission_queued_requests") == 0
    world.turnstile.leave()
    assert world.value("admission_inprogress_requests") == 0


async def test_a_turn_that_comes_late_because_the_loop_was_busy_is_not_begun() -> None:
    world = World(wait_s=0.01)
    await world.turnstile.enter()
    tasks = await world.waiting(1)
    began = perf_counter()
    while perf_counter() - began < 0.03:
        pass  # no timer runs meanwhile
    world.turnstile.leave()

    with pytest.raises(Overloaded):
        await tasks[0]
    assert world.value("admission_inprogress_requests") == 0
    assert world.outcomes()["timeout"] == 1


@pytest.mark.parametrize("when", ["while it waits", "just after its turn came"])
async def test_who_goes_away_loses_nobody_a_turn(when: str) -> None:
    world = World()
    await world.turnstile.enter()
    first, second = await world.waiting(2)
    if when == "while it waits":
        first.cancel()
        await asyncio.sleep(0)
        world.turnstile.leave()
    else:
        world.turnstile.leave()
        first.cancel()
    await asyncio.wait_for(second, 1)
    world.turnstile.leave()

    assert first.cancelled()
    assert world.value("admission_inprogress_requests") == 0
    assert world.value("admission_queued_requests") == 0


async def test_a_crowd_that_comes_and_goes_leaves_every_turn_free() -> None:
    world = World(running=4, waiting=16, wait_s=0.01)
    inside = most = 0

    async def one(number: int) -> None:
        nonlocal inside, most
        try:
            await world.turnstile.enter()
        except Overloaded:
            return
        inside += 1
        most = max(most, inside)
        try:
            await asyncio.sleep(0.001 * (number % 5))
        finally:
            inside -= 1
            world.turnstile.leave()

    tasks = []
    for number in range(400):
        tasks.append(asyncio.create_task(one(number)))
        if number % 7 == 0:
            tasks[number // 2].cancel()
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most == 4
    assert world.value("admission_inprogress_requests") == 0
    assert world.value("admission_queued_requests") == 0
    assert all(world.outcomes().values())


async def test_requests_that_only_wait_are_all_let_in_though_the_limit_began_lower() -> None:
    world = World(running=32, waiting=64)
    tasks = await world.waiting(32)
    await asyncio.wait_for(asyncio.gather(*tasks), 5)

    assert world.value("admission_inprogress_requests") == world.value("admission_limit_requests") == 32


async def test_a_line_that_stands_is_refused_sooner_than_a_burst() -> None:
    world = World(wait_s=0.5)
    await world.turnstile.enter()
    [patient] = await world.waiting(1)
    await asyncio.sleep(0.1)
    world.turnstile.leave()
    await patient  # a burst: a fifth of the deadline is no reason to refuse
    [first] = await world.waiting(1)
    await asyncio.sleep(0.3)
    [second] = await world.waiting(1)
    await asyncio.sleep(0.3)
    world.turnstile.leave()

    for refused in (first, second):
        with pytest.raises(Overloaded):
            await refused
    assert world.value("admission_inprogress_requests") == 0
