"""A drill: what is broken, how, and which alerts must say so."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal

from lab.drills.run.context import Scene
from service.techniques import NAMES


def without(*names: str) -> str:
    """Return every technique but these, as the service's settings spell it."""
    return ",".join(name for name in NAMES if name not in names)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a fault is, and what must be seen of it."""

    name: str
    breaks: str
    """What is done to the system, for the reader of the list."""
    alerts: tuple[str, ...]
    """Alert names, with the window where an alert has several: `AvailabilityBudgetBurn 1h`."""
    is_heard: bool = True
    """Whether the alerts can reach anybody: not while Alertmanager or the receiver is the one that is away."""
    warm_s: float = 8.0
    """Normal traffic before the fault."""
    fires_within_s: float = 120.0
    resolves_within_s: float = 150.0
    """Bounds for a busy machine; a drill goes on as soon as it has seen what it waits for."""


Fault = Callable[[Scene], AbstractAsyncContextManager[None]]
"""A block: the fault is there inside it, and is repaired when the block ends, however it does."""

Shared = Literal["processor", "tasks", "prometheus"]
"""What several drills need for themselves: the processor, alerts that name no arm, Prometheus' configuration."""


@dataclass(frozen=True, kw_only=True)
class Drill(Expectation):
    """A fault of a service that the drill starts itself."""

    fault: Fault
    settings: Mapping[str, str] = field(default_factory=dict)
    prepare: Fault | None = None
    """What the service needs beside it, started before it: a cache, an upstream."""
    writes: bool = False
    """Whether it changes data: then it works on a copy."""
    needs: frozenset[Shared] = frozenset()
    """Drills that need the same thing run one after the other."""
    is_alone: bool = False
    """Whether it takes away what the other drills are seen through: then no other one runs."""
