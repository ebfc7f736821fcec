"""A cache without content: which lookups would have been hits, for several times to live and sizes.

Keys are sampled by a hash, their position (SHARDS: Waldspurger et al., FAST 2015), so that a sampled key has all of its
lookups. The sample begins with every key and halves its rate when it is full, or when it costs too much time: a service
with few keys and requests is simulated exactly. Sizes are simulated by caches scaled down by the rate (Waldspurger et
al., USENIX ATC 2017): exact with every key, coarse with few, because hot keys are not scaled down.

Whether a hot key is in the sample would decide the result: with 1/8 of 12,000 keys of Zipf's popularity the hit ratio
of SHARDS was wrong by up to 35 points, with its correction (SHARDS-adj) by 8. So the keys that are hot when the rate is
halved stay, with the weight that they have, as in cut-off sampling; the error is then below 1 point. The hit ratio is
that of the sample: its misses divided by its lookups.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import islice
from math import inf
from operator import attrgetter
from typing import Final

from observability.whatif.digest import BITS

MAX_KEYS: Final = 2048
"""Sampled keys of a cache, about 600 bytes each."""
MAX_LOOKUPS_PER_S: Final = 500
"""Of sampled keys: their time is 0.2 % of a processor."""


Amounts = tuple[float, ...]
"""Of a lookup, if it is a miss: seconds, queries and bytes; of a response also the seconds for which its steps kept the
event loop, and the sum of their squares."""
AMOUNTS: Final = 3
OF_RESPONSES: Final = 5


class CacheCounts:
    """The misses of one route, with the sums of their amounts."""

    __slots__ = ("bounded_misses", "lookups", "miss_sums", "misses", "stale", "sums")

    def __init__(self, ttls: int, sizes: int, amounts: int) -> None:
        self.lookups = 0.0
        """Of sampled keys, scaled up by the rate, like everything here."""
        self.sums = [0.0] * amounts
        """Amounts of these lookups."""
        self.misses = [0.0] * ttls
        """By time to live, like the next two."""
        self.miss_sums = [[0.0] * amounts for _ in range(ttls)]
        self.stale = [0.0] * ttls
        """Hits with another content than the source had."""
        self.bounded_misses = [0.0] * sizes
        """By size, with the time to live `bounded_ttl_s`."""


class _Entry:
    __slots__ = ("expires", "hot_weight", "lookups", "position", "size_bytes", "stored", "value", "values")

    def __init__(self, ttls_s: Sequence[float], value: int, position: int) -> None:
        self.hot_weight = 0.0
        """Of a hot key; 0: the weight is that of the rate."""
        self.lookups = 0
        self.stored, self.values = [-inf] * len(ttls_s), [value] * len(ttls_s)
        self.position = position
        self.size_bytes = 0.0
        self.value: int | None = value
        """The value for every time to live; None if they differ."""
        self.expires = -inf


class ShadowCache:
    """Simulates a cache for every time to live; with `revalidates`, a changed value is a miss instead of stale."""

    def __init__(  # noqa: PLR0913 bounds that tests lower
        self,
        *,
        ttls_s: Sequence[float],
        sizes: Sequence[int] = (),
        bounded_ttl_s: float = inf,
        max_keys: int = MAX_KEYS,
        max_lookups_per_s: float = MAX_LOOKUPS_PER_S,
        rate: float = 1.0,
        revalidates: bool = False,
        amounts: int = AMOUNTS,
    ) -> None:
        self.ttls_s: Final = tuple(ttls_s)
        self.sizes: Final = tuple(sizes)
        self._bounded_ttl: Final = self.ttls_s.index(bounded_ttl_s) if sizes else 0
        self._max_keys = max_keys
        self._max_lookups_per_s = max_lookups_per_s
        self._recent = 0
        self._recent_since = 0.0
        self._initial_rate = rate
        self._revalidates = revalidates
        self._amounts = amounts
        self._hot: set[int] = set()
        """Positions of hot keys."""
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        """By recency."""
        self._bounded: list[OrderedDict[int, None] | None] = [None] * len(sizes)
        """None while every sampled key fits."""
        self._set_rate(rate)

    @property
    def sampled_keys(self) -> int:
        return len(self._entries)

    def counts(self) -> CacheCounts:
        return CacheCounts(len(self.ttls_s), len(self.sizes), self._amounts)

    def samples(self, position: int) -> bool:
        """Return whether keys with this position, below `2**BITS`, are sampled."""
        return position < self._threshold or position in self._hot

    def look_up(
        self, key: int, value: int, counts: CacheCounts, *, position: int, now: float, amounts: Amounts
    ) -> None:
        """Count the misses of a lookup of a sampled key; `value` identifies the content."""
        self._recent += 1
        if self._recent >= self._max_lookups_per_s:
            self._limit_time(now)
            if not self.samples(position):
                return
        entry = self._entries.get(key)
        if entry is None:
            entry = _Entry(self.ttls_s, value, position)
            self._add(key, entry, now)
        else:
            self._entries.move_to_end(key)
        entry.lookups += 1
        weight, sums = entry.hot_weight or self._weight, counts.sums
        counts.lookups += weight
        for at, amount in enumerate(amounts):
            sums[at] += weight * amount
        if now < entry.expires and value == entry.value and self._unbounded:
            return
        fits = self._fits(key)
        is_hit = self._refresh(entry, value, counts, now, amounts, weight)
        for at, fit in enumerate(fits):
            if not (fit and is_hit):
                counts.bounded_misses[at] += weight

    def live_bytes(self, now: float) -> list[float]:
        """Return, by time to live, the bytes that would be stored now."""
        entries = list(self._entries.values())
        return [
            sum(entry.size_bytes for entry in entries if now - entry.stored[at] < ttl_s) * self._weight
            for at, ttl_s in enumerate(self.ttls_s)
        ]

    @property
    def rate(self) -> float:
        """The share of keys that is sampled."""
        return 1 / self._weight

    def _limit_time(self, now: float) -> None:
        if now - self._recent_since < 1.0:
            self._hot.clear()
            self._halve()
        self._recent, self._recent_since = 0, now

    def expire(self, now: float) -> None:
        """Remove what would have expired; sample more keys again if few are left."""
        longest = max(self.ttls_s)
        if longest < inf:
            self._drop(key for key, entry in self._entries.items() if now - max(entry.stored) >= longest)
        is_quiet = self._recent < (now - self._recent_since) * self._max_lookups_per_s / 8
        if self.rate < self._initial_rate and is_quiet and len(self._entries) < self._max_keys / 8:
            self._set_rate(min(self.rate * 2, self._initial_rate))

    def _set_rate(self, rate: float) -> None:
        self._weight = 1 / rate
        self._threshold = int(rate * 2**BITS)
        self._bounded = [None] * len(self.sizes)
        self._unbounded = True

    def _add(self, key: int, entry: _Entry, now: float) -> None:
        self._entries[key] = entry
        if len(self._entries) <= self._max_keys:
            return
        self.expire(now)
        if len(self._entries) > self._max_keys / 2:
            self._keep_hot()
            self._halve()
            while len(self._entries) > self._max_keys:  # digests that are not uniform
                self._entries.popitem(last=False)

    def _halve(self) -> None:
        self._set_rate(self.rate / 2)
        self._drop(key for key, entry in self._entries.items() if not self.samples(entry.position))

    def _keep_hot(self) -> None:
        """Mark the keys with the most lookups as hot, before the rate is halved."""
        entries = [entry for entry in self._entries.values() if not entry.hot_weight]
        number = min(self._max_keys // 16, self._max_keys // 4 - len(self._hot))
        for entry in nlargest(number, entries, key=attrgetter("lookups")):
            if entry.lookups > 1:
                entry.hot_weight = self._weight
                self._hot.add(entry.position)

    def _drop(self, keys: Iterable[int]) -> None:
        for key in list(keys):
            del self._entries[key]

    def _refresh(
        self, entry: _Entry, value: int, counts: CacheCounts, now: float, amounts: Amounts, weight: float
    ) -> bool:
        """Count the lookup for every time to live; return whether that of the sizes had a hit."""
        entry.size_bytes = amounts[2]
        stored, values = entry.stored, entry.values
        bounded_is_hit = True
        for ttl, ttl_s in enumerate(self.ttls_s):
            is_same = values[ttl] == value
            if now - stored[ttl] < ttl_s and (is_same or not self._revalidates):
                counts.stale[ttl] += 0.0 if is_same else weight
                continue
            counts.misses[ttl] += weight
            sums = counts.miss_sums[ttl]
            for at, amount in enumerate(amounts):
                sums[at] += weight * amount
            stored[ttl], values[ttl] = now, value
            if ttl == self._bounded_ttl:
                bounded_is_hit = False
        entry.value = value if all(one == value for one in values) else None
        entry.expires = min(at + ttl_s for at, ttl_s in zip(stored, self.ttls_s, strict=True))
        return bounded_is_hit

    def _fits(self, key: int) -> list[bool]:
        """Return, by size, whether the key is in a cache of that size; make it the most recent one there."""
        fits = []
        for at, size in enumerate(self.sizes):
            capacity = max(1, round(size / self._weight))
            recent = self._bounded[at]
            if recent is None:
                if len(self._entries) <= capacity:
                    fits.append(True)
                    continue
                recent = self._bounded[at] = OrderedDict.fromkeys(
                    reversed(list(islice(reversed(self._entries), capacity)))
                )
                self._unbounded = False
            fits.append(key in recent)
            recent[key] = None
            recent.move_to_end(key)
            if len(recent) > capacity:
                recent.popitem(last=False)
        return fits
