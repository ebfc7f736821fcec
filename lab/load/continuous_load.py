"""Continuous open-loop traffic to running services, until its end or an interruption."""

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
MAX_IN_FLIGHT: Final = 100
"""Per arm. Further requests are not sent and count as failed."""


@dataclass(frozen=True, kw_only=True)
class ContinuousLoad:
    """What to send: every arm gets the same requests at the same times."""

    arms: Mapping[str, str]
    """URLs by name."""
    rate_per_s: float
    """Per arm."""
    mix: str
    seed: int = 1
    token: str = ""
    """Bearer token of writes. Without it, no writes are sent."""
    duration_s: float = ENDLESS_S
    every_s: float = 5.0
    """Seconds between progress reports."""

    def requests(self) -> Iterator[Request]:
        """Yield requests without end."""
        return Traffic(self.mix, seed=self.seed, writes=bool(self.token)).requests(1)

    def arrivals(self) -> Iterator[float]:
        """Yield when requests are due, in seconds from the start: a Poisson process."""
        random, due = seeded(self.seed, 3), 0.0
        while (due := due + float(random.exponential(1 / self.rate_per_s))) < self.duration_s:
            yield due


@dataclass(kw_only=True)
class ArmStats:
    interval: Recording = field(default_factory=lambda: Recording(duration_s=0))
    """Since the last report."""
    total: Recording = field(default_factory=lambda: Recording(duration_s=0))
    in_flight: int = 0


async def run(load: ContinuousLoad, *, report: Callable[[float, Mapping[str, ArmStats]], None]) -> dict[str, ArmStats]:
    """Send the traffic; `report` is called periodically with the seconds since the start and the statistics.

    A cancellation ends the load and returns the statistics so far. Raise `BadTarget` for an invalid URL.
    """
    addresses = {name: Address.of(url) for name, url in load.arms.items()}
    phase = Phase(duration_s=load.duration_s)
    drivers = {
        name: Driver(address, load.requests(), phase, ClientState(token=load.token), max_in_flight=MAX_IN_FLIGHT)
        for name, address in addresses.items()
    }
    stats = {name: ArmStats() for name in drivers}
    started = monotonic()
    running = [asyncio.create_task(driver.run_open(load.arrivals())) for driver in drivers.values()]
    try:
        while not all(task.done() for task in running):
            before = monotonic()
            await asyncio.wait(running, timeout=load.every_s)
            _update(drivers, stats, seconds=monotonic() - before)
            report(monotonic() - started, stats)
    except asyncio.CancelledError:
        _update(drivers, stats, seconds=0.0)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*(driver.close() for driver in drivers.values()))
    for arm in stats.values():
        arm.total.duration_s = monotonic() - started
    return stats


def _update(drivers: Mapping[str, Driver], stats: Mapping[str, ArmStats], *, seconds: float) -> None:
    for name, driver in drivers.items():
        arm = stats[name]
        arm.interval = driver.take_recording()
        arm.interval.duration_s = seconds
        arm.total.add(arm.interval)
        arm.in_flight = driver.in_flight
