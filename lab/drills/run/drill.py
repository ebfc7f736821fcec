"""A drill: the fault, and the alerts that it must fire."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Literal

from lab.drills.run.context import DrillContext
from service.techniques import NAMES

SLO_ARM: Final = "optimized"
"""The arm of the compose stack that most alerts are about."""


def without(*names: str) -> str:
    """Return the setting TECHNIQUES with all techniques but these."""
    return ",".join(name for name in NAMES if name not in names)


@dataclass(frozen=True, kw_only=True)
class BaseDrill:
    name: str
    description: str
    """The fault, in a few words."""
    alerts: tuple[str, ...]
    """Alert names, with the window where an alert has several: `AvailabilityBudgetBurn 1h`."""
    notification_names: str = ""
    """What the description of the first alert must contain, such as the route that causes it."""
    is_delivered: bool = True
    """Whether the alerts can be delivered: not while Alertmanager or the receiver is down."""
    warmup_s: float = 8.0
    """Normal traffic before the fault."""
    fires_within_s: float = 120.0
    resolves_within_s: float = 150.0
    """Bounds for a busy machine; a drill continues as soon as the alert is in the expected state."""


Fault = Callable[[DrillContext], AbstractAsyncContextManager[object]]
"""Injects the fault on entry, and ends it on exit, also after an error."""

Resource = Literal["cpu", "tasks", "prometheus"]
"""What only one drill at a time can use: the CPU, alerts without a label `arm`, the configuration of Prometheus."""


@dataclass(frozen=True, kw_only=True)
class Drill(BaseDrill):
    """A fault of a service that the drill starts itself."""

    fault: Fault
    settings: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[DrillContext], Awaitable[None]] | None = None
    """Starts what the service depends on, such as a cache or an upstream, before the service."""
    writes: bool = False
    """Whether it changes data: then it gets a copy."""
    exclusive: frozenset[Resource] = frozenset()
    """Drills that need the same resource run one after the other."""
    runs_alone: bool = False
    """Whether the fault hides the other drills' alerts: then no other one runs."""


ContainerFault = Literal["stop", "pause"]


@dataclass(frozen=True, kw_only=True)
class ComposeDrill(BaseDrill):
    """A service of the compose stack whose containers are stopped or paused."""

    service: str
    fault: ContainerFault = "stop"
    arm: str = SLO_ARM
    """The label `arm` of the alerts that have one."""
    require_arm: bool = False
    """Ignore alerts without the label: they are about another part of the stack."""
