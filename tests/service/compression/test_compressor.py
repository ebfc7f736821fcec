import asyncio
import threading

import pytest

from service.compression.codings import BY_NAME
from service.compression.compressor import MAX_LOOP_S, Compressor
from tests.service.conftest import Bodies, entry_with, thread_pool

pytestmark = pytest.mark.anyio

SMALL = b'{"flight": "UA 1545"}' * 100
LARGE = SMALL * (500_000 // len(SMALL))


def thread_of(_: bytes) -> bytes:
    return threading.current_thread().name.encode()


@pytest.mark.parametrize("coding", BY_NAME)
async def test_small_bodies_are_compressed_in_place_and_large_ones_on_threads(bodies: Bodies, coding: str) -> None:
    compressor = Compressor(meter=bodies, threads=thread_pool())
    here = threading.current_thread().name.encode()
    limit_bytes = int(MAX_LOOP_S / BY_NAME[coding].s_per_mb * 1e6)
    assert 50_000 < limit_bytes < 500_000
    small, _ = await compressor.timed(thread_of, bytes(limit_bytes), coding)
    large, _ = await compressor.timed(thread_of, bytes(limit_bytes + 1), coding)
    assert small == here
    assert large != here


async def test_no_more_threads_than_allowed_compress_at_once(bodies: Bodies) -> None:
    compressor = Compressor(meter=bodies, threads=thread_pool(threads=2))
    running = most = 0
    lock = threading.Lock()

    def slowly(data: bytes) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.01)
        with lock:
            running -= 1
        return data

    await asyncio.gather(*(compressor.timed(slowly, LARGE, "zstd") for _ in range(8)))
    assert most == 2


async def test_an_entrys_variant_is_made_once_however_many_requests_need_it(bodies: Bodies) -> None:
    compressor, entry = Compressor(meter=bodies, threads=thread_pool()), entry_with(LARGE)
    variants = await asyncio.gather(*(compressor.variant(entry, "zstd") for _ in range(10)))
    assert all(variant is variants[0] for variant in variants)
    again = await compressor.variant(entry, "zstd")
    assert again is variants[0] is entry.variants["zstd"]
    assert len([seconds for *_, seconds in bodies.seen if seconds > 0]) == 1
    assert bodies.seen[-1] == ("zstd", len(LARGE), len(again), 0.0)


async def test_a_cancelled_request_does_not_cancel_the_compression_for_others(bodies: Bodies) -> None:
    compressor, entry = Compressor(meter=bodies, threads=thread_pool()), entry_with(LARGE)
    first, second = (asyncio.create_task(compressor.variant(entry, "gzip")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert len(await second) < len(LARGE)
    assert entry.pending_variants == {}


async def test_a_body_that_does_not_get_smaller_stays_and_is_not_tried_again(bodies: Bodies) -> None:
    compressor, entry = Compressor(meter=bodies, threads=thread_pool()), entry_with(bytes(range(256)))
    assert await compressor.variant(entry, "gzip") is entry.body
    assert await compressor.variant(entry, "gzip") is entry.body
    assert [(encoding, seconds > 0) for encoding, *_, seconds in bodies.seen] == [
        ("identity", True),
        ("identity", False),
    ]
