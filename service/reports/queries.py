"""The aggregates of the reports.

The database computes integers, Python computes shares and means, so every database gives the same result to the last
digit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from service.api.parameters import days_of
from service.core.models import Airline, Airport, Flight
from service.flights.schemas import Status
from service.reports.schemas import LONG_DELAY_MIN, MINIMUM_FLIGHTS, ON_TIME_MIN, Grouping, ReportFilters


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The counts of a group of flights."""

    flights: int = 0
    cancelled: int = 0
    diverted: int = 0
    departed: int = 0
    on_time: int = 0
    long_delays: int = 0
    delay_sum_min: int = 0

    @classmethod
    def total(cls, groups: Iterable[Self]) -> Self:
        groups = list(groups)
        return cls(**{field.name: sum(getattr(group, field.name) for group in groups) for field in fields(cls)})

    def columns(self) -> dict[str, Any]:
        """Return the columns of a report's row; share and mean are None without departures."""
        return {
            **{name: count for name, count in asdict(self).items() if name != "delay_sum_min"},
            "on_time_share": round(self.on_time / self.departed, 4) if self.departed else None,
            "mean_delay_min": round(self.delay_sum_min / self.departed, 2) if self.departed else None,
        }


@dataclass(frozen=True)
class Route:
    """A pair of airports and the counts of its flights."""

    origin: str
    destination: str
    counts: Counts

    @property
    def order(self) -> tuple[Fraction, int, str, str]:
        """Sort key: the exact share on time, then the number of flights, both descending."""
        share = Fraction(self.counts.on_time, self.counts.departed or 1)
        return -share, -self.counts.flights, self.origin, self.destination


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


COUNTED: dict[str, ColumnElement[Any]] = {
    "flights": func.count(),
    "cancelled": _count_if(Flight.status == Status.CANCELLED.value),
    "diverted": _count_if(Flight.status == Status.DIVERTED.value),
    "departed": func.count(Flight.departure_delay_min),
    "on_time": _count_if(Flight.departure_delay_min < ON_TIME_MIN),
    "long_delays": _count_if(Flight.departure_delay_min >= LONG_DELAY_MIN),
    "delay_sum_min": func.coalesce(func.sum(Flight.departure_delay_min), 0),
}
"""The expression of each field of `Counts`."""


def _unordered(column: InstrumentedAttribute[str]) -> ColumnElement[str]:
    """Return the column's text as an expression that no index has.

    With an index on the column SQLite reads the whole table in its order, a random page for each flight. That took 60 %
    longer than a sequential scan with everything in memory.
    """
    return column.concat("")


KEYS: dict[Grouping, ColumnElement[Any]] = {
    "carrier": _unordered(Flight.carrier),
    "month": Flight.date.expression,
    "hour": Flight.hour.expression,
    "destination": _unordered(Flight.destination),
}
"""The expression that each report groups by; Python sums days to months, which is portable and costs 365 rows."""

ROUTE: Final = (_unordered(Flight.origin), _unordered(Flight.destination))


def key_text(by: Grouping, key: Any) -> str:
    """Return a group's key as the report shows it."""
    if by == "month":
        return f"{key:%Y-%m}"
    return f"{key:02d}" if by == "hour" else str(key)


def counted(keys: Sequence[ColumnElement[Any]], filters: ReportFilters) -> Select[Any]:
    """Return the query of the keys and of `COUNTED` for the flights that match the filters."""
    conditions: list[ColumnElement[bool]] = []
    if filters.origin is not None:
        conditions.append(Flight.origin == filters.origin)
    if filters.month is not None:
        first, end = days_of(filters.month)
        conditions += [Flight.date >= first, Flight.date < end]
    return select(*keys, *COUNTED.values()).select_from(Flight).where(*conditions).group_by(*keys)


async def delays(session: AsyncSession, by: Grouping, filters: ReportFilters) -> dict[str, Counts]:
    """Return the counts of each group, ordered by key."""
    rows = await session.execute(counted([KEYS[by]], filters))
    groups: dict[str, list[Counts]] = {}
    for key, *counts in rows:
        groups.setdefault(key_text(by, key), []).append(_counts(counts))
    return {key: Counts.total(groups[key]) for key in sorted(groups)}


async def names(session: AsyncSession, by: Grouping) -> dict[str, str]:
    """Return the names of the groups by key; only carriers and destinations have names."""
    named = {
        "carrier": (Airline.carrier.label("key"), Airline.name),
        "destination": (Airport.faa.label("key"), Airport.name),
    }
    if by not in named:
        return {}
    return {row.key: row.name for row in await session.execute(select(*named[by]))}


async def ranked_routes(session: AsyncSession, filters: ReportFilters) -> list[Route]:
    """Return the routes with at least `MINIMUM_FLIGHTS` flights, most punctual first."""
    query = counted(ROUTE, filters)
    rows = await session.execute(query.having(func.count() >= MINIMUM_FLIGHTS))
    routes = (Route(origin, destination, _counts(counts)) for origin, destination, *counts in rows)
    return sorted(routes, key=lambda route: route.order)


def _counts(row: Sequence[int]) -> Counts:
    return Counts(**dict(zip(COUNTED, row, strict=True)))
