import asyncio
import threading
import time

from service.itineraries.offload import CpuWork, OnTheEventLoop
from tests.service.conftest import thread_pool


async def ticks_while(work: CpuWork, *, seconds: float) -> int:
    """Return how many iterations the event loop made while a function computed; it ends early after ten."""
    ticks = 0
    enough = threading.Event()

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1
            if ticks == 10:
                enough.set()

    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await work.run(lambda: enough.wait(seconds))
    ticker.cancel()
    return ticks


async def test_on_the_event_loop_all_other_work_waits() -> None:
    assert await ticks_while(OnTheEventLoop(), seconds=0.2) == 0


async def test_on_worker_threads_other_work_continues() -> None:
    assert await ticks_while(thread_pool("offload", threads=1), seconds=60) >= 10


async def test_concurrent_functions_are_limited_to_the_number_of_threads() -> None:
    work = thread_pool("offload", threads=2)
    lock, running, most = threading.Lock(), 0, 0

    def compute() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    await asyncio.gather(*(work.run(compute) for _ in range(8)))

    assert most == 2


async def test_an_error_in_the_function_reaches_the_caller() -> None:
    for work in (OnTheEventLoop(), thread_pool("offload", threads=1)):
        try:
            await work.run(lambda: 1 // 0)
        except ZeroDivisionError:
            continue
        raise AssertionError("the error was lost")
