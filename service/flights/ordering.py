"""The orders of the flight list, and positions in them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from service.core.models import Flight


@dataclass(frozen=True)
class Position:
    """A flight's position in an order: its sort value, as an integer or None, then its id."""

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
        value = getattr(flight, self.column.key)
        return Position(None if value is None else self.to_integer(value), flight.id)

    def rank(self, position: Position) -> tuple[bool, int, int]:
        """Return a key that sorts positions in Python as this order does."""
        sign = -1 if self.is_descending else 1
        return position.value is None, sign * (position.value or 0), sign * position.id

    def directed(self, column: InstrumentedAttribute[Any]) -> UnaryExpression[Any]:
        return column.desc() if self.is_descending else column.asc()

    def after(self, position: Position) -> ColumnElement[bool]:
        """Return the condition for flights after a position, among those with a value if it has one, else without."""
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
"""By the value of the query parameter `sort`."""
