"""Where the time went: both arms' flame graphs, and the difference by function and by library."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lab.analysis.result import ArmResult, ExperimentResult
from lab.profile.result import (
    FunctionTime,
    ProfileResult,
    TimeDifference,
    by_function,
    by_library,
    differences,
    of_one_arm,
)
from lab.profile.stacks import EVENT_LOOP
from lab.report.flame_graph import flame_graph
from lab.report.formatting import quantity
from lab.report.palette import arm_variable

MINUS: Final = "\N{MINUS SIGN}"
MOST_ROWS: Final = 12
NAMED_SHARE: Final = 0.1
"""A difference of this share is named above the graphs: smaller ones may come from the few requests of a slow arm."""
MOST_OF_ONE_ARM: Final = 8
LEAST_SHARE: Final = 0.01
"""Smaller differences, as a share of the CPU time per request of the arm that has more, are left out."""


@dataclass(frozen=True, kw_only=True)
class DrawnProfile:
    arm: str
    variable: str
    caption: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class DifferenceTable:
    title: str
    head: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, kw_only=True)
class ProfileSection:
    """Why an effect is as large as it is."""

    graphs: list[DrawnProfile]
    sentence: str
    tables: list[DifferenceTable]

    @classmethod
    def of(cls, experiment: ExperimentResult) -> "ProfileSection | None":
        """Return the section; None unless both arms were profiled."""
        off, on = experiment.off.profile, experiment.on.profile
        if off is None or on is None:
            return None
        return cls(
            graphs=[_drawn(experiment.off, off, is_reference=True), _drawn(experiment.on, on, is_reference=False)],
            sentence=_sentence(off, on),
            tables=[
                _technique_table(by_function(off), by_function(on)),
                _table("function", by_function(off), by_function(on), whole_s=_larger(off, on)),
                _table("library", by_library(off), by_library(on), whole_s=_larger(off, on)),
            ],
        )


def _drawn(arm: ArmResult, profile: ProfileResult, *, is_reference: bool) -> DrawnProfile:
    variable = arm_variable(arm.name, is_reference=is_reference)
    whole = quantity(profile.cpu_per_request_s, "s")
    return DrawnProfile(
        arm=arm.name,
        variable=variable,
        caption=f"{whole} of CPU time per request ({profile.samples} samples, {profile.requests} requests)",
        svg=flame_graph(profile, variable=variable, description=f"Flame graph of {arm.name}"),
    )


def _larger(off: ProfileResult, on: ProfileResult) -> float:
    return max(off.cpu_per_request_s, on.cpu_per_request_s)


def _sentence(off: ProfileResult, on: ProfileResult) -> str:
    """Name the function whose own time differs most; not the event loop, where a busy machine's waiting is counted."""
    rows = differences(by_function(off), by_function(on), most=2, least_s=NAMED_SHARE * _larger(off, on))
    row = next((row for row in rows if row.name != EVENT_LOOP), None)
    if row is None:
        return f"No function differs by {NAMED_SHARE * 100:.0f} % of the CPU time."
    times = f"{_time(row.off.own_s)} off, {_time(row.on.own_s)} on"
    return f"The largest difference is in {row.name}: {times}, per request."


def _table(
    kind: str, off: Mapping[str, FunctionTime], on: Mapping[str, FunctionTime], *, whole_s: float
) -> DifferenceTable:
    rows = differences(off, on, most=MOST_ROWS, least_s=LEAST_SHARE * whole_s)
    return DifferenceTable(
        title=f"By {kind}",
        head=[kind, "own time off", "own time on", "difference", "with callees off", "with callees on"],
        rows=[list(_cells(row)) for row in rows],
    )


def _technique_table(off: Mapping[str, FunctionTime], on: Mapping[str, FunctionTime]) -> DifferenceTable:
    rows = of_one_arm(off, on, most=MOST_OF_ONE_ARM)
    return DifferenceTable(
        title="Functions of the service that only one arm ran",
        head=["function", "with callees off", "with callees on"],
        rows=[[row.name, _time(row.off.total_s), _time(row.on.total_s)] for row in rows],
    )


def _cells(row: TimeDifference) -> Iterator[str]:
    yield row.name
    yield _time(row.off.own_s)
    yield _time(row.on.own_s)
    yield f"{'+' if row.own_s > 0 else MINUS}{quantity(abs(row.own_s), 's')}"
    yield _time(row.off.total_s)
    yield _time(row.on.total_s)


def _time(seconds: float) -> str:
    return quantity(seconds, "s") if seconds else "0"
