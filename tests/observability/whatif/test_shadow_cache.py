"""The simulated caches against exact simulations, and their bounds."""

import tracemalloc
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from math import inf

import numpy as np
import pytest

from observability.whatif.digest import BITS
from observability.whatif.shadow_cache import CacheCounts, ShadowCache

TTLS_S = (10.0, 60.0, 300.0, 3600.0)
ONE = (1.0, 2.0, 100.0)

Lookup = tuple[float, int, int]
"""Time, key, content."""


def replay(shadow: ShadowCache, lookups: Iterator[Lookup] | list[Lookup]) -> CacheCounts:
    counts = shadow.counts()
    for now, key, value in lookups:
        if shadow.samples(key):
            shadow.look_up(key, value, counts, position=key, now=now, amounts=ONE)
    return counts


def miss_ratios(counts: CacheCounts) -> list[float]:
    """Return the miss ratio by time to live, as the advisor computes it."""
    return [misses / counts.lookups for misses in counts.misses]


@cache
def trace(*, keys: int = 12_000, lookups: int = 60_000, seconds: float = 3600.0, skew: float = 0.9) -> list[Lookup]:
    """Return lookups at random times of keys with Zipf's popularity, whose content changes now and then."""
    random = np.random.default_rng(7)
    shares = 1 / np.arange(1, keys + 1) ** skew
    drawn = random.choice(keys, lookups, p=shares / shares.sum())
    times = np.sort(random.uniform(0, seconds, lookups))
    digests = random.integers(0, 2**BITS, keys, dtype=np.uint64)
    return [
        (float(now), int(digests[key]), int(now // (200 + key % 400)) + 1)
        for now, key in zip(times, drawn, strict=True)
    ]


def exact_misses(lookups: list[Lookup], ttl_s: float) -> int:
    stored: dict[int, float] = {}
    misses = 0
    for now, key, _ in lookups:
        if now - stored.get(key, -inf) >= ttl_s:
            misses += 1
            stored[key] = now
    return misses


def test_misses_seconds_and_stale_hits_of_a_known_trace() -> None:
    lookups = [(0.0, 1, 7), (5.0, 1, 7), (12.0, 1, 8), (13.0, 2, 7), (70.0, 1, 8)]
    counts = replay(ShadowCache(ttls_s=TTLS_S), lookups)
    assert counts.misses == [4, 3, 2, 2]
    assert counts.stale == [0, 1, 2, 2]
    assert counts.miss_sums[1] == [3.0, 6.0, 300.0]


def test_a_client_gets_an_unchanged_response_once() -> None:
    lookups = [(0.0, 1, 7), (5.0, 1, 7), (12.0, 1, 8), (13.0, 1, 8), (14.0, 1, 7)]
    counts = replay(ShadowCache(ttls_s=(inf,), revalidates=True), lookups)
    assert counts.misses == [3]
    assert counts.stale == [0]


@pytest.mark.parametrize(("max_keys", "rate", "within"), [(20_000, 1.0, 0.0), (2048, 1 / 8, 0.02)])
@pytest.mark.parametrize("skew", [0.7, 0.9, 1.2])
def test_the_hit_ratio_is_that_of_an_exact_simulation(skew: float, max_keys: int, rate: float, within: float) -> None:
    lookups = trace(skew=skew)
    shadow = ShadowCache(ttls_s=TTLS_S, max_keys=max_keys, max_lookups_per_s=inf)
    ratios = miss_ratios(replay(shadow, lookups))
    assert shadow.rate <= rate * (2 if skew > 1 else 1)
    for ttl_s, ratio in zip(TTLS_S, ratios, strict=True):
        assert ratio == pytest.approx(exact_misses(lookups, ttl_s) / len(lookups), abs=within)


@pytest.mark.parametrize("size", [100, 1000])
def test_the_misses_of_a_bounded_cache_are_those_of_an_exact_one(size: int) -> None:
    lookups = [(now, key, 1) for now, key, _ in trace()]
    shadow = ShadowCache(ttls_s=(inf,), sizes=(size,), bounded_ttl_s=inf, max_keys=20_000, max_lookups_per_s=inf)
    counts = replay(shadow, lookups)
    recent: OrderedDict[int, None] = OrderedDict()
    exact = 0
    for _, key, _ in lookups:
        exact += key not in recent
        recent[key] = None
        recent.move_to_end(key)
        if len(recent) > size:
            recent.popitem(last=False)
    assert counts.bounded_misses[0] == pytest.approx(exact, rel=0.001)


def test_any_number_of_keys_takes_bounded_memory() -> None:
    random = np.random.default_rng(1)
    caches = [ShadowCache(ttls_s=TTLS_S, sizes=(100, 1000, 10_000), bounded_ttl_s=60.0) for _ in range(3)]
    tracemalloc.start()
    try:
        for cache in caches:
            counts = cache.counts()
            for number, key in enumerate(random.integers(0, 2**BITS, 60_000, dtype=np.uint64)):
                cache_key = int(key)
                if cache.samples(cache_key):
                    cache.look_up(cache_key, cache_key, counts, position=cache_key, now=number / 100, amounts=ONE)
            assert cache.sampled_keys <= 2048
            assert counts.misses[0] == pytest.approx(60_000, rel=0.1)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8_000_000


def test_digests_that_are_not_uniform_are_bounded_too() -> None:
    shadow = ShadowCache(ttls_s=TTLS_S, max_keys=64, max_lookups_per_s=inf)
    replay(shadow, ((0.0, key, 1) for key in range(10_000)))
    assert shadow.sampled_keys <= 64


def test_too_many_lookups_per_second_lower_the_rate_and_quiet_times_raise_it() -> None:
    shadow = ShadowCache(ttls_s=TTLS_S, max_lookups_per_s=50)
    key = 2**BITS - 1
    counts = replay(shadow, [(number / 1000, key, 1) for number in range(200)])
    assert shadow.rate == 1 / 2
    assert not shadow.samples(key)
    assert sum(counts.misses) == len(TTLS_S)
    shadow.expire(10_000.0)
    assert shadow.rate == 1
    assert shadow.sampled_keys == 0


def test_stored_bytes_are_those_of_entries_that_have_not_expired() -> None:
    shadow = ShadowCache(ttls_s=TTLS_S)
    replay(shadow, [(0.0, 1, 1), (100.0, 2, 1)])
    assert shadow.live_bytes(105.0) == [100.0, 100.0, 200.0, 200.0]
