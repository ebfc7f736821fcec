"""Whoever wants to know what a run does, experiment by experiment: dashboards, files, nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from lab.analysis.result import ExperimentResult

Part = Literal["techniques", "leave_one_out", "elsewhere"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One experiment of a run, in one design."""

    experiment: str
    part: Part
    title: str


class Audience(Protocol):
    """Somebody who is told; what they do with it must never end the run."""

    async def begins(self, turn: Turn) -> None:
        """Note that the experiment begins now."""

    async def ended(self, turn: Turn, result: ExperimentResult | None) -> None:
        """Note that it ended now; None where nothing was measured."""


@dataclass(frozen=True)
class Everyone:
    """An audience of many; without any it is nobody."""

    members: Sequence[Audience] = ()

    async def begins(self, turn: Turn) -> None:
        """Tell each."""
        for member in self.members:
            await member.begins(turn)

    async def ended(self, turn: Turn, result: ExperimentResult | None) -> None:
        """Tell each."""
        for member in self.members:
            await member.ended(turn, result)
