"""What an answer about flights depends on, and what a status update therefore invalidates."""

from datetime import date

from service.core.models import Flight

FLIGHT_LISTS = "flights"
ANY = "*"


def flight_tag(flight_id: int) -> str:
    """Return the tag of answers about one flight."""
    return f"flight:{flight_id}"


def board_tag(origin: str, day: date) -> str:
    """Return the tag of an airport's departure board on a day."""
    return f"board:{origin}:{day.isoformat()}"


def report_tag(origin: str | None, month: str | None) -> str:
    """Return the tag of reports with these filters; a filter that is not given counts every flight."""
    return f"report:{origin or ANY}:{month or ANY}"


def touched_by(flight: Flight) -> tuple[str, ...]:
    """Return the tags of every answer that a change of the flight's status can change."""
    month = flight.date.isoformat()[:7]
    return (
        flight_tag(flight.id),
        board_tag(flight.origin, flight.date),
        FLIGHT_LISTS,
        *(report_tag(origin, in_month) for origin in (flight.origin, None) for in_month in (month, None)),
    )
