"""One observed request: its body, its steps, and that the application notices nothing."""

import asyncio
import gzip
import time
from collections.abc import Awaitable
from typing import Any

import pytest
from starlette.types import Message

from observability.core.internal_errors import internal_error_count, raise_internal_errors
from observability.whatif.observation import MAX_BODY_BYTES, Observation


async def _send(_: Message) -> None:
    """Take a message."""


def observed(*bodies: bytes) -> Observation:
    observation = Observation(_send, 0, 1)
    observation.digest = 1
    for body in bodies:
        observation.send({"type": "http.response.body", "body": body}).close()  # type: ignore[attr-defined]  # a coroutine
    return observation


def running(work: Awaitable[Any]) -> Observation:
    observation = observed()
    observation.work = work
    return observation


def test_equal_bodies_have_equal_digests() -> None:
    assert observed(b"one").digest == observed(b"one").digest
    assert observed(b"one").digest != observed(b"two").digest


def test_the_time_in_a_gzip_header_is_no_change() -> None:
    first, second = (gzip.compress(b"the same" * 100, mtime=mtime) for mtime in (1, 2))
    assert first != second
    assert observed(first).digest == observed(second).digest


def test_a_body_that_no_digest_can_be_made_of_is_sent() -> None:
    with raise_internal_errors(False):
        before = internal_error_count("whatif")
        observed(bytearray(b"not bytes"))  # type: ignore[arg-type]
        assert internal_error_count("whatif") == before + 1


def test_a_body_that_is_too_large_is_not_kept() -> None:
    observation = observed()
    observation.parts = []
    observation.send({"type": "http.response.body", "body": b"x" * (MAX_BODY_BYTES + 1)}).close()  # type: ignore[attr-defined]  # a coroutine
    assert not observation.parts
    assert observation.size_bytes == MAX_BODY_BYTES + 1


@pytest.mark.anyio
async def test_steps_that_block_are_summed_and_waiting_is_not() -> None:
    async def work() -> None:
        time.sleep(0.02)  # noqa: ASYNC251 what is measured
        await asyncio.sleep(0.05)
        time.sleep(0.01)  # noqa: ASYNC251 the same

    observation = running(work())
    observation.measures_cpu = True
    await observation
    assert observation.blocking_s >= 0.03
    assert observation.blocking_square_s >= 0.02**2 + 0.01**2
    assert observation.blocking_cpu_s < 0.01


@pytest.mark.anyio
async def test_an_exception_and_a_cancellation_reach_the_application_and_the_caller() -> None:
    async def failing() -> None:
        await asyncio.sleep(0)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await running(failing())

    steps: list[str] = []

    async def cancelled() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            steps.append("cancelled")
            await asyncio.sleep(0)
            steps.append("cleaned up")
            raise

    async def awaiting() -> None:
        await running(cancelled())

    task = asyncio.ensure_future(awaiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["cancelled", "cleaned up"]


@pytest.mark.anyio
async def test_an_application_that_returns_another_awaitable_is_awaited() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await running(future)
    assert future.done()
