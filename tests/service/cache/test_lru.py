from random import Random

from service.cache.lru import EntryLru
from service.http.cache_model.entry import Entry
from tests.service.conftest import Lookups, entry_with


def test_the_least_recently_used_entries_are_evicted_beyond_max_bytes(lru: EntryLru) -> None:
    for number in range(3):
        lru[b"%d" % number] = entry_with(bytes(30_000))
    assert lru[b"0"]
    lru[b"3"] = entry_with(bytes(30_000))
    assert set(lru) == {b"0", b"2", b"3"}
    assert lru.currsize <= 100_000


def test_an_entry_larger_than_the_cache_is_not_stored(lru: EntryLru) -> None:
    lru[b"a"] = entry_with(b"small")
    lru[b"a"] = entry_with(bytes(200_000))
    assert b"a" not in lru


def test_a_new_variant_counts_and_may_push_others_out(lru: EntryLru, lookups: Lookups) -> None:
    lru[b"old"] = entry_with(bytes(40_000))
    entry = lru[b"new"] = entry_with(bytes(40_000))
    before = lookups.sizes["board", "local"]
    entry.add_variant("gzip", bytes(10_000))
    assert lookups.sizes["board", "local"] == (2, before[1] + 10_000)
    entry.add_variant("zstd", bytes(20_000))
    assert set(lru) == {b"new"}


def test_a_variant_of_an_entry_that_left_does_not_bring_it_back(lru: EntryLru) -> None:
    entry = lru[b"a"] = entry_with()
    del lru[b"a"]
    entry.add_variant("gzip", b"x")
    assert not lru


def test_invalidation_drops_exactly_what_carries_one_of_the_tags(lru: EntryLru, lookups: Lookups) -> None:
    lru[b"a"] = entry_with(tags=("x", "y"))
    lru[b"b"] = entry_with(tags=("y",), cache="report")
    lru[b"c"] = entry_with(tags=("z",))
    lru[b"d"] = entry_with()
    lru.invalidate(frozenset({"x", "y", "unknown"}))
    assert set(lru) == {b"c", b"d"}
    assert lookups.invalidations == {("board", "local"): 1, ("report", "local"): 1}


def test_sizes_and_tags_stay_true_whatever_happens(lru: EntryLru, lookups: Lookups) -> None:
    random = Random(7)
    present: dict[bytes, Entry] = {}
    for _ in range(2_000):
        key = b"%d" % random.randrange(30)
        match random.randrange(5):
            case 0 | 1:
                tags = tuple(random.sample("abcdef", random.randrange(4)))
                lru[key] = present[key] = entry_with(
                    bytes(random.randrange(9_000)), tags=tags, cache=random.choice("xy")
                )
            case 2 if key in lru:
                lru[key].add_variant(random.choice(("gzip", "zstd")), bytes(random.randrange(3_000)))
            case 3 if key in lru:
                del lru[key]
            case 4:
                lru.invalidate(frozenset(random.sample("abcdef", 1)))
        held = {key: present[key] for key in lru}
        for cache in "xy":
            sizes = [entry.size_bytes for entry in held.values() if entry.cache == cache]
            assert lookups.sizes.get((cache, "local"), (0, 0)) == (len(sizes), sum(sizes))
        assert lru.currsize == sum(entry.size_bytes for entry in held.values()) <= 100_000
