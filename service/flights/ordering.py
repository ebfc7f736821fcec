"""The orders of the flight list: by which column, in which direction, and where a page continues."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from service.core.models import Flight


@dataclass(frozen=True)
class Position:
    """A flight's place in an order: what it is sorted by, as an integer or null, then its id."""

    value: int | None
    id: int


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order of the flight list. Nulls come last in both directions; ids break ties in the order's direction."""

    column: InstrumentedAttribute[Any]
    is_nullable: bool
    is_descending: bool
    to_integer: Callable[[Any], int]
    from_integer: Callable[[int], Any]

    def position(self, flight: Flight) -> Position:
        """Return the flight's place in this order."""
        value = getattr(flight, self.column.key)
        return Position(None if value is None else self.to_integer(value), flight.id)

    def rank(self, position: Position) -> tuple[bool, int, int]:
        """Return what sorts positions, by Python's own order, the way this order does."""
        sign = -1 if self.is_descending else 1
        return position.value is None, sign * (position.value or 0), sign * position.id

    def directed(self, column: InstrumentedAttribute[Any]) -> UnaryExpression[Any]:
        """Return the column in this order's direction."""
        return column.desc() if self.is_descending else column.asc()

    def after(self, position: Position) -> ColumnElement[bool]:
        """Return the condition for flights behind a position, among those that have (or lack) a value as it does."""
        if position.value is None:
            return Flight.id < position.id if self.is_descending else Flight.id > position.id
        here = tuple_(self.column, Flight.id)
        value = literal(self.from_integer(position.value), self.column.type)
        there = tuple_(value, literal(position.id, Flight.id.type))
        return here < there if self.is_descending else here > there


def _from_epoch(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _to_epoch(moment: datetime) -> int:
    return int(moment.timestamp())


ORDERS: dict[str, Order] = {
    f"{sign}{column.key}": Order(
        column=column,
        is_nullable=is_nullable,
        is_descending=sign == "-",
        to_integer=to_integer,
        from_integer=from_integer,
    )
    for sign in ("", "-")
    for column, is_nullable, to_integer, from_integer in (
        (Flight.scheduled_departure, False, _to_epoch, _from_epoch),
        (Flight.departure_delay_min, True, int, int),
    )
}
"""By the value of the parameter `sort`."""
