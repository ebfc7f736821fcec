import asyncio

import pytest

from service.weather.circuit_breaker import CircuitBreaker, CircuitOpen
from tests.service.weather.conftest import WallClock


class CallFailed(Exception):
    pass


def failing(breaker: CircuitBreaker) -> None:
    with pytest.raises(CallFailed), breaker.attempt((CallFailed,)):
        raise CallFailed


def opened_breaker(*, reset_s: float = 60, changes: list[str] | None = None) -> CircuitBreaker:
    breaker = CircuitBreaker(
        "weather", threshold=3, reset_s=reset_s, on_change=(changes if changes is not None else []).append
    )
    for _ in range(3):
        failing(breaker)
    return breaker


@pytest.mark.usefixtures("wall_clock")
def test_consecutive_failures_open_the_circuit_and_no_call_is_made() -> None:
    breaker = opened_breaker(reset_s=30)

    with pytest.raises(CircuitOpen) as rejection, breaker.attempt((CallFailed,)):
        pytest.fail("the call was made")

    assert 29 <= rejection.value.retry_after_s <= 30


def test_a_success_in_between_keeps_the_circuit_closed() -> None:
    breaker = CircuitBreaker("weather", threshold=3, reset_s=60, on_change=lambda _: None)
    for _ in range(5):
        failing(breaker)
        failing(breaker)
        with breaker.attempt((CallFailed,)):
            pass

    assert breaker.state == "closed"


def test_a_trial_that_succeeds_closes_the_circuit_and_one_that_fails_opens_it_again(wall_clock: WallClock) -> None:
    changes: list[str] = []
    breaker = opened_breaker(reset_s=30, changes=changes)

    wall_clock.now += 31
    failing(breaker)
    assert breaker.state == "opened"
    wall_clock.now += 31
    with breaker.attempt((CallFailed,)):
        pass

    assert breaker.state == "closed"
    assert changes == ["opened", "half-opened", "opened", "half-opened", "closed"]


async def test_only_one_call_at_a_time_is_a_trial(wall_clock: WallClock) -> None:
    breaker = opened_breaker(reset_s=30)
    wall_clock.now += 31
    made = 0

    async def call() -> None:
        nonlocal made
        with breaker.attempt((CallFailed,)):
            made += 1
            await asyncio.sleep(0.02)

    results = await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True)

    assert made == 1
    assert sum(isinstance(result, CircuitOpen) for result in results) == 19


async def test_a_cancelled_call_is_neither_a_failure_nor_a_success(wall_clock: WallClock) -> None:
    breaker = opened_breaker(reset_s=30)
    wall_clock.now += 31

    async def call() -> None:
        with breaker.attempt((CallFailed,)):
            await asyncio.sleep(60)

    trial = asyncio.create_task(call())
    await asyncio.sleep(0)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)

    assert breaker.state == "half-opened"
    with breaker.attempt((CallFailed,)):
        pass
    assert breaker.state == "closed"
