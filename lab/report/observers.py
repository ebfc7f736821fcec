"""Whoever wants to know what a run does, experiment by experiment: dashboards, files, nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from lab.analysis.result import ExperimentResult

Part = Literal["techniques", "leave_one_out", "control"]


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """One experiment of a run, in one design."""

    experiment: str
    part: Part
    title: str


class RunObserver(Protocol):
    """Somebody who is told; what they do with it must never end the run."""

    async def on_start(self, step: RunStep) -> None:
        """Note that the experiment on_start now."""

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        """Note that it ended now; None where nothing was measured."""


@dataclass(frozen=True)
class CompositeObserver:
    """An observer of many; without any it is nobody."""

    members: Sequence[RunObserver] = ()

    async def on_start(self, step: RunStep) -> None:
        """Tell each."""
        for member in self.members:
            await member.on_start(step)

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        """Tell each."""
        for member in self.members:
            await member.on_end(step, result)
