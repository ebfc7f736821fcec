"""Concurrent readers and writers: a request after a write never gets the state before it, through any layer.

The layers are all of the stack: a hit in either level, a stale entry being refreshed, a shared computation, a
compressed variant, a 304 to a client with an old validator.
"""

from collections import Counter

import pytest

from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from tests.service.cache.world import World, hammered
from tests.service.conftest import Lookups

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("has_local", [True, False], ids=["both levels", "one level"])
@pytest.mark.parametrize(("ttl_s", "stale_s"), [(10.0, 0.0), (0.005, 10.0)], ids=["long-lived", "always refreshing"])
async def test_no_reader_sees_the_past(*, has_local: bool, ttl_s: float, stale_s: float, lookups: Lookups) -> None:
    def is_enough(counts: Counter[str]) -> bool:
        of_level = {result: lookups.results["board", "shared", result] for result in ("coalesced", "stale")}
        return (
            min(counts["304"], counts["hit"], counts["fwd=uri-miss"]) > 5
            and of_level["coalesced"] > 2
            and (of_level["stale"] > 5 or not stale_s)
        )

    world = World(ttl_s=ttl_s, stale_s=stale_s)
    local = EntryLru(level="local", max_bytes=1_000_000, meter=lookups) if has_local else None
    store = MemoryStore(EntryLru(level="shared", max_bytes=1_000_000, meter=lookups))
    async with LayeredCache(Levels(store, local=local, meter=lookups)) as cache:
        seen = await hammered(world, [cache], seconds=1.0, enough=is_enough)
    assert seen.past_s == 0
    assert world.writes > 5
    assert seen.counts["304"] > 5
    assert seen.counts["hit"] > 5
    assert seen.counts["fwd=uri-miss"] > 5
    assert lookups.results["board", "shared", "coalesced"] > 2
    if stale_s:
        assert lookups.results["board", "shared", "stale"] > 5
