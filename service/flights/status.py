"""The states of a flight."""

from enum import StrEnum


class Status(StrEnum):
    """Where a flight is in its life. Any state may follow any other: feeds correct themselves."""

    SCHEDULED = "scheduled"
    BOARDING = "boarding"
    DEPARTED = "departed"
    ARRIVED = "arrived"
    DIVERTED = "diverted"
    CANCELLED = "cancelled"
    """Never left: a cancelled flight has no departure delay."""
