"""The requests to the stack: every kind that a panel, rule or runbook has a query for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.servers.arm import BEARER

DAYS: Final = ("2013-01-01", "2013-01-02", "2013-02-01", "2013-07-01")
"""The days of the small data set."""

ENCODINGS: Final = ("zstd", "br", "gzip", "identity")


@dataclass(frozen=True, kw_only=True)
class PlannedRequest:
    """A request, sent by `concurrency` clients at the same time."""

    path: str
    method: str = "GET"
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 1


def reads(number: int) -> list[PlannedRequest]:
    """Return the reads of a round; rounds differ in day, route and content coding."""
    day, origin = DAYS[number % len(DAYS)], ("JFK", "EWR", "LGA")[number % 3]
    report = f"/reports/delays?by=carrier&origin={origin}&month={day[:7]}"
    wanted = {"Accept-Encoding": ENCODINGS[number % len(ENCODINGS)]}
    paths = (
        f"/airports/{origin}/departures?date={day}",
        f"/flights?origin={origin}&date_from={day}&date_to={day}&limit=100",
        "/airlines",
        f"/airports/{origin}",
        f"/airports/{origin}/nearest?limit=5",
        report,
        f"/reports/routes?origin={origin}&month={day[:7]}",
        f"/weather/{origin}?at={day}T{number % 24:02}:00Z",
        f"/itineraries?origin={origin}&destination=LAX&date={day}",
        "/",
        "/nowhere",
        "/flights?limit=0",
    )
    load_spike = PlannedRequest(path=f"/reports/delays?by=hour&origin={origin}&month={day[:7]}", concurrency=8)
    return [*(PlannedRequest(path=path, headers=wanted) for path in paths), load_spike]


def update(flight_id: int, number: int) -> PlannedRequest:
    """Return a write that invalidates cached responses."""
    body = {"status": "departed", "departure_delay_min": number % 60}
    return PlannedRequest(path=f"/flights/{flight_id}/status", method="PATCH", body=body, headers=BEARER)


EXPORT: Final = PlannedRequest(
    path="/exports",
    method="POST",
    body={"format": "csv", "origin": "JFK", "date_from": "2013-07-01", "date_to": "2013-07-01"},
    headers=BEARER,
)

BOOKSHOP_REQUESTS: Final = (
    PlannedRequest(path="/authors"),
    PlannedRequest(path="/authors?eager=true"),
    PlannedRequest(path="/books/1"),
    PlannedRequest(path="/books/2/orders", method="POST"),
    PlannedRequest(path="/books/999"),
    PlannedRequest(path=f"/books/{2**63}"),  # above the maximum of the driver: a counted error and a 500
)
"""The requests to the third-party application."""
