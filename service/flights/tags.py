"""Cache tags: what a response about flights depends on, and so what a status update invalidates."""

from datetime import date

from service.core.models import Flight

FLIGHT_LISTS = "flights"
ANY = "*"


def flight_tag(flight_id: int) -> str:
    return f"flight:{flight_id}"


def board_tag(origin: str, day: date) -> str:
    """Return the tag of an airport's departure board of a day."""
    return f"board:{origin}:{day.isoformat()}"


def report_tag(origin: str | None, month: str | None) -> str:
    """Return the tag of reports with these filters; None is no filter."""
    return f"report:{origin or ANY}:{month or ANY}"


def tags_changed_by(flight: Flight) -> tuple[str, ...]:
    """Return the tags of every response that an update of the flight can change."""
    month = flight.date.isoformat()[:7]
    return (
        flight_tag(flight.id),
        board_tag(flight.origin, flight.date),
        FLIGHT_LISTS,
        *(report_tag(origin, in_month) for origin in (flight.origin, None) for in_month in (month, None)),
    )
