"""A leg: one aircraft from one airport to another, at minutes that can be compared."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A flight that can be taken. Times are whole minutes since 1970, UTC."""

    origin: str
    destination: str
    departure_min: int
    arrival_min: int
    carrier: str
    flight_id: int
    """The flight itself; of an inferred return, the flight out."""
    number: int | None
    """The flight number; None for an inferred return, which nobody published."""

    @property
    def is_inferred(self) -> bool:
        """Return whether the leg is a return that must have been flown, rather than a published flight."""
        return self.number is None
