"""Steady traffic to arms that already run: an open loop for each, side by side, until its end or an interruption."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from lab.core.address import Address
from lab.load.client_state import ClientState
from lab.load.load import Driver
from lab.load.load_model import Phase
from lab.load.recording import Recording
from lab.traffic.traffic import Request, Traffic, seeded

ENDLESS_S: Final = 365 * 24 * 3600.0
MOST_UNDER_WAY: Final = 100
"""An arm that leaves so many requests unanswered gets no further ones until it answers: they are counted as failed."""


@dataclass(frozen=True, kw_only=True)
class ContinuousLoad:
    """What to send: every arm gets the same requests at the same moments."""

    arms: Mapping[str, str]
    """URLs by name."""
    rate_per_s: float
    """Of each arm."""
    mix: str
    seed: int = 1
    token: str = ""
    """The bearer token of writes; without one nobody writes."""
    duration_s: float = ENDLESS_S
    every_s: float = 5.0
    """How often to tell what was seen."""

    def requests(self) -> Iterator[Request]:
        """Return the endless requests."""
        return Traffic(self.mix, seed=self.seed, writes=bool(self.token)).requests(1)

    def arrivals(self) -> Iterator[float]:
        """Return when requests are due, in seconds from the start: a Poisson process."""
        random, due = seeded(self.seed, 3), 0.0
        while (due := due + float(random.exponential(1 / self.rate_per_s))) < self.duration_s:
            yield due


@dataclass(kw_only=True)
class ArmStats:
    """What an arm showed: since the last time, and altogether."""

    now: Recording = field(default_factory=lambda: Recording(duration_s=0))
    whole: Recording = field(default_factory=lambda: Recording(duration_s=0))
    under_way: int = 0


async def run(load: ContinuousLoad, *, shown: Callable[[float, Mapping[str, ArmStats]], None]) -> dict[str, ArmStats]:
    """Return what every arm showed; `shown` gets the seconds since the start and what was seen, again and again.

    A cancellation ends it and keeps what was seen. Raise `BadTarget` for a URL that is none.
    """
    addresses = {name: Address.of(url) for name, url in load.arms.items()}
    phase = Phase(duration_s=load.duration_s)
    drivers = {
        name: Driver(address, load.requests(), phase, ClientState(token=load.token), most_under_way=MOST_UNDER_WAY)
        for name, address in addresses.items()
    }
    seen = {name: ArmStats() for name in drivers}
    begun = monotonic()
    running = [asyncio.create_task(driver.run_open(load.arrivals())) for driver in drivers.values()]
    try:
        while not all(task.done() for task in running):
            before = monotonic()
            await asyncio.wait(running, timeout=load.every_s)
            _take(drivers, seen, seconds=monotonic() - before)
            shown(monotonic() - begun, seen)
    except asyncio.CancelledError:
        _take(drivers, seen, seconds=0.0)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(driver.close() for driver in drivers.values()))
    for each in seen.values():
        each.whole.duration_s = monotonic() - begun
    return seen


def _take(drivers: Mapping[str, Driver], seen: Mapping[str, ArmStats], *, seconds: float) -> None:
    for name, driver in drivers.items():
        each = seen[name]
        each.now = driver.taken()
        each.now.duration_s = seconds
        each.whole.add(each.now)
        each.under_way = driver.under_way
