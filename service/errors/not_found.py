"""What a request asks for and nobody has."""

from datetime import datetime

from service.errors.base import ServiceError


class NotFound(ServiceError):
    """Nothing is at this address."""

    status = 404
    slug = "not-found"
    title = "Not found"
    meaning = "Nothing is at this address."


class NoReading(NotFound):
    """No weather is known for this airport and hour."""

    slug = "no-reading"
    title = "No reading"
    meaning = "No weather is known for this airport and hour."

    def __init__(self, faa: str, hour: datetime) -> None:
        super().__init__(
            f"no weather is known for {faa[:40]!r} at {hour.isoformat()}",
            hint="EWR, JFK and LGA have a reading for nearly every hour of 2013",
        )


class UnknownAirport(NotFound):
    """No airport has this code."""

    slug = "unknown-airport"
    title = "Unknown airport"
    meaning = "No airport of the reference table has this code."

    def __init__(self, faa: str) -> None:
        super().__init__(
            f"no airport has the code {faa[:40]!r}",
            hint="codes are three capital letters or digits, such as JFK; GET /airports lists them all",
        )


class UnknownExport(NotFound):
    """No export of this token has this id."""

    slug = "unknown-export"
    title = "Unknown export"
    meaning = "No export that was asked for with this token has this id."

    def __init__(self, export_id: str) -> None:
        super().__init__(
            f"no export of this token has the id {export_id[:40]!r}",
            hint="POST /exports answers with the address of the export; finished ones are forgotten after a week",
        )


class UnknownFlight(NotFound):
    """No flight has this id."""

    slug = "unknown-flight"
    title = "Unknown flight"
    meaning = "No flight has this id."

    def __init__(self, flight_id: int) -> None:
        super().__init__(
            f"no flight has the id {str(flight_id)[:40]}", hint="GET /flights lists flights with their ids"
        )
