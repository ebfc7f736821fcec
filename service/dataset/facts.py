"""What a correctly loaded database shows; the manifest has the numbers, counted from the source."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number that an aggregate over a loaded table gives."""

    name: str
    table: str
    sql: str = "count(*)"
    lasting: bool = True
    """Whether it still holds after status updates."""


FACTS = (
    Fact(name="airlines", table="airlines"),
    Fact(name="airports", table="airports"),
    Fact(name="aircraft", table="aircraft"),
    Fact(name="weather hours", table="weather"),
    Fact(
        name="weather hours without a pressure",
        table="weather",
        sql="count(*) FILTER (WHERE pressure_mbar IS NULL)",
    ),
    Fact(name="flights", table="flights"),
    Fact(
        name="flights without a tail number",
        table="flights",
        sql="count(*) FILTER (WHERE tail_number IS NULL)",
    ),
    Fact(
        name="flights of an unknown aircraft",
        table="flights",
        sql="count(*) FILTER (WHERE tail_number NOT IN (SELECT tail_number FROM aircraft))",
    ),
    Fact(
        name="flights to an unknown airport",
        table="flights",
        sql="count(*) FILTER (WHERE destination NOT IN (SELECT faa FROM airports))",
    ),
    Fact(name="miles scheduled", table="flights", sql="sum(distance_mi)"),
    Fact(name="minutes in the air", table="flights", sql="sum(air_time_min)"),
    Fact(name="minutes late at arrival", table="flights", sql="sum(arrival_delay_min)"),
    Fact(name="minutes late at departure", table="flights", sql="sum(departure_delay_min)", lasting=False),
    Fact(
        name="cancelled flights",
        table="flights",
        sql="count(*) FILTER (WHERE status = 'cancelled')",
        lasting=False,
    ),
    Fact(
        name="diverted flights",
        table="flights",
        sql="count(*) FILTER (WHERE status = 'diverted')",
        lasting=False,
    ),
)


def queries(*, fresh: bool) -> list[tuple[str, list[str]]]:
    """Return one query per table and the names of its columns; all facts of a fresh load, or the lasting ones."""
    chosen = [fact for fact in FACTS if fresh or fact.lasting]
    return [
        (f"SELECT {', '.join(fact.sql for fact in facts)} FROM {table}", [fact.name for fact in facts])  # noqa: S608 constants of this module
        for table, group in groupby(chosen, key=lambda fact: fact.table)
        for facts in [list(group)]
    ]


def differences(found: Mapping[str, int | None], expected: Mapping[str, int]) -> list[str]:
    """Return a line for every fact that is not as expected."""
    return [
        f"{name}: expected {expected[name]:,}, found {number or 0:,}"
        for name, number in found.items()
        if (number or 0) != expected[name]
    ]
