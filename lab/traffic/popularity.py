"""Popularity of origins, destinations and carriers, counted from the flights of 2013."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.random import Generator

Item = TypeVar("Item")


def _counted(text: str) -> dict[str, int]:
    words = text.split()
    return {name: int(count) for name, count in zip(words[::2], words[1::2], strict=True)}


ORIGINS: Final = _counted("EWR 120835 JFK 111279 LGA 104662")
"""Flights by origin."""

DESTINATIONS: Final = _counted(
    "ORD 17283 ATL 17215 LAX 16174 BOS 15508 MCO 14082 CLT 14064 SFO 13331 FLL 12055 MIA 11728 DCA 9705 DTW 9384 "
    "DFW 8738 RDU 8163 TPA 7466 DEN 7266 IAH 7198 MSP 7185 PBI 6554 BNA 6333 LAS 5997 SJU 5819 IAD 5700 BUF 4681 "
    "PHX 4656 CLE 4573 STL 4339 MDW 4113 CVG 3941 SEA 3923 MSY 3799 RSW 3537 CMH 3524 CHS 2884 PIT 2875 MKE 2802 "
    "SAN 2737 JAX 2720 BTV 2589 SLC 2467 RIC 2454"
)
"""Flights by destination, the 40 most frequent."""

CARRIERS: Final = _counted(
    "UA 58665 B6 54635 EV 54173 DL 48110 AA 32729 MQ 26397 US 20536 9E 18460 WN 12275 VX 5162 FL 3260 AS 714 F9 685 "
    "YV 601 HA 342 OO 32"
)
"""Flights by carrier."""

FLIGHTS: Final = 336_776
LAST_DAY: Final = date(2013, 12, 31)
LAST_DAY_WITH_WEATHER: Final = date(2013, 12, 30)
"""The weather data ends a day before the flights."""
DAYS: Final = 365


class Uniform(Protocol):
    """A source of numbers from 0 to 1."""

    def random(self) -> float: ...


class Choice(Generic[Item]):
    def __init__(self, items: Sequence[Item], weights: Sequence[float]) -> None:
        self.items = items
        self.cumulative = np.cumsum(weights) / np.sum(weights)

    def draw(self, random: Uniform) -> Item:
        return self.at(random.random())

    def at(self, share: float) -> Item:
        """Return the item at this cumulative share, 0 to 1."""
        return self.items[int(np.searchsorted(self.cumulative, share, side="right"))]


def zipf(items: Sequence[Item], exponent: float = 1.0) -> Choice[Item]:
    """The n-th item is n**exponent times rarer than the first (Zipf's law)."""
    return Choice(items, [1 / rank**exponent for rank in range(1, len(items) + 1)])


def weighted(counts: dict[str, int]) -> Choice[str]:
    return Choice(list(counts), list(counts.values()))


def recent_days(exponent: float = 1.2) -> Choice[date]:
    """The last day is the most frequent, earlier days are rarer."""
    return zipf([LAST_DAY - timedelta(days=back) for back in range(DAYS)], exponent)


def popular_flights(random: Generator, count: int = 3000) -> Choice[int]:
    """A few flights get most requests."""
    return zipf([int(number) for number in random.choice(FLIGHTS, count, replace=False) + 1], 0.9)
