"""Observers of a run, notified at the start and the end of each experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.analysis.result import ExperimentResult, Part


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """One experiment of a run, in one design."""

    experiment: str
    part: Part
    title: str


class RunObserver(Protocol):
    """Handles its own errors; an exception would end the run."""

    async def on_start(self, step: RunStep) -> None: ...

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        """`result` is None if nothing was measured."""


@dataclass(frozen=True)
class CompositeObserver:
    """Notifies its members in order."""

    members: Sequence[RunObserver] = ()

    async def on_start(self, step: RunStep) -> None:
        for member in self.members:
            await member.on_start(step)

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        for member in self.members:
            await member.on_end(step, result)
