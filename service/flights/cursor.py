"""The cursor of a page: opaque, URL-safe and valid for one query only."""

import json
from base64 import b64decode, urlsafe_b64encode
from hashlib import blake2b

from service.errors import BadCursor
from service.flights.ordering import ORDERS, Position
from service.flights.schemas import FlightQuery

PER_PAGE_PARAMETERS = {"limit", "cursor", "fields"}
"""May differ from page to page."""


def encode(query: FlightQuery, position: Position) -> str:
    """Return the cursor of the page that starts after a position."""
    text = json.dumps([fingerprint(query), position.value, position.id], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(query: FlightQuery) -> Position | None:
    """Return the position after which the page starts, None for the first page; raise `BadCursor`."""
    if query.cursor is None:
        return None
    padding = "=" * (-len(query.cursor) % 4)
    try:
        query_digest, value, flight_id = json.loads(b64decode(query.cursor + padding, altchars=b"-_", validate=True))
        position = Position(value, flight_id)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadCursor("this is not a cursor of this service") from error
    if query_digest != fingerprint(query):
        raise BadCursor("this cursor belongs to a query with other filters or another sort")
    if not _is_possible(query, position):
        raise BadCursor("this is not a cursor of this service")
    return position


def fingerprint(query: FlightQuery) -> str:
    """Return a digest of the filters and the order, equal in every process."""
    text = query.model_dump_json(exclude=PER_PAGE_PARAMETERS)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _is_possible(query: FlightQuery, position: Position) -> bool:
    """Return whether the position has the types and ranges of this order, which every database can compare."""
    order = ORDERS[query.sort]
    if type(position.id) is not int or not 0 < position.id < 2**31:
        return False
    if position.value is None:
        return order.is_nullable
    if type(position.value) is not int:
        return False
    return abs(position.value) < 2**15 if order.is_nullable else 0 <= position.value < 2**32
