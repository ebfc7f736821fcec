"""The profile of one arm, as a part of the result."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydantic import BaseModel

from lab.profile.stacks import EVENT_LOOP, Stack, is_own, package_of, shortened

LEAST_SHARE: Final = 0.001
"""Of the time of an arm: a function with less was sampled once or twice."""


class ProfileResult(BaseModel):
    """CPU time by stack, of one arm under load after the measured rounds."""

    requests: int
    samples: int
    cpu_s: float
    """CPU time of all stacks together, for all requests."""
    frames: list[str]
    """`function (file)` of the service and of the instrumentation, `library: function` of everything else."""
    stacks: dict[str, int]
    """Microseconds of CPU time for all requests, by the positions in `frames`, the outermost first: `0 4 7`."""

    @classmethod
    def of(cls, stacks: Mapping[Stack, float], *, requests: int, samples: int) -> Self:
        kept = shortened(stacks)
        frames = {name: position for position, name in enumerate(sorted({name for stack in kept for name in stack}))}
        return cls(
            requests=requests,
            samples=samples,
            cpu_s=sum(stacks.values()),
            frames=list(frames),
            stacks={
                " ".join(str(frames[name]) for name in stack): round(spent_s * 1e6)
                for stack, spent_s in sorted(kept.items())
            },
        )

    @property
    def cpu_per_request_s(self) -> float:
        return self.cpu_s / self.requests

    def per_request(self) -> Iterator[tuple[Stack, float]]:
        """Yield every stack with its CPU time per request, in seconds."""
        for positions, spent_us in self.stacks.items():
            yield tuple(self.frames[int(position)] for position in positions.split()), spent_us / 1e6 / self.requests


@dataclass(kw_only=True)
class FunctionTime:
    """CPU time of a function per request, in seconds."""

    own_s: float = 0.0
    """In it and in the libraries that it calls, without other functions of ours."""
    total_s: float = 0.0
    """In it and in everything that it calls."""


@dataclass(frozen=True, kw_only=True)
class TimeDifference:
    name: str
    off: FunctionTime
    on: FunctionTime

    @property
    def own_s(self) -> float:
        return self.on.own_s - self.off.own_s


def by_function(profile: ProfileResult) -> dict[str, FunctionTime]:
    """Return the times of our functions, and of what runs outside of them: libraries in threads, the event loop.

    The own times add up to the CPU time per request.
    """
    times: dict[str, FunctionTime] = {}
    for stack, spent_s in profile.per_request():
        for name in {_owner(stack), *filter(is_own, stack)}:
            times.setdefault(name, FunctionTime()).total_s += spent_s
        times[_owner(stack)].own_s += spent_s
    return times


def by_library(profile: ProfileResult) -> dict[str, FunctionTime]:
    """Return the times of packages: `own_s` in the package itself, `total_s` also in what it calls."""
    times: dict[str, FunctionTime] = {}
    for stack, spent_s in profile.per_request():
        for package in {package_of(name) for name in stack}:
            times.setdefault(package, FunctionTime()).total_s += spent_s
        times[package_of(stack[-1])].own_s += spent_s
    return times


def differences(
    off: Mapping[str, FunctionTime], on: Mapping[str, FunctionTime], *, most: int, least_s: float
) -> list[TimeDifference]:
    """Return what differs most in own time, in descending order, without differences below `least_s`."""
    found = [
        TimeDifference(name=name, off=off.get(name, FunctionTime()), on=on.get(name, FunctionTime()))
        for name in sorted({*off, *on})
    ]
    wide = [difference for difference in found if abs(difference.own_s) >= least_s]
    return sorted(wide, key=lambda difference: -abs(difference.own_s))[:most]


def of_one_arm(off: Mapping[str, FunctionTime], on: Mapping[str, FunctionTime], *, most: int) -> list[TimeDifference]:
    """Return the functions of the service that only one arm ran, at most so many of each, by their total times."""
    found = []
    for times, other in ((off, on), (on, off)):
        only = [name for name in times if name not in other and is_own(name) and package_of(name) == "service"]
        least_s = LEAST_SHARE * sum(time.own_s for time in times.values())
        seen = sorted((name for name in only if times[name].total_s >= least_s), key=lambda name: -times[name].total_s)
        found += [
            TimeDifference(name=name, off=off.get(name, FunctionTime()), on=on.get(name, FunctionTime()))
            for name in seen[:most]
        ]
    return found


def _owner(stack: Stack) -> str:
    """Return our innermost function on a stack; without one, the first function after the event loop."""
    own = [name for name in stack if is_own(name)]
    return own[-1] if own else next((name for name in stack if name != EVENT_LOOP), EVENT_LOOP)
