"""Which columns of a flight a list reads (technique `deferred_columns`)."""

from typing import Protocol

from sqlalchemy.orm import load_only
from sqlalchemy.orm.interfaces import ORMOption

from service.core.models import Flight
from service.flights.schemas import FIELDS


class Columns(Protocol):
    """Chooses the columns that a query of flights reads."""

    def options(self) -> tuple[ORMOption, ...]:
        """Return the loader options for a `select(Flight)`."""


class AllColumns:
    """The whole row, the wide source record too."""

    def options(self) -> tuple[ORMOption, ...]:
        """Return none: the whole row is what the ORM reads by itself."""
        return ()


class SelectedColumns:
    """The columns that are answered; reading another one later is an error, not a query."""

    def options(self) -> tuple[ORMOption, ...]:
        """Return the option that loads only the answered columns and what relationships join on."""
        return (load_only(*(getattr(Flight, name) for name in FIELDS), raiseload=True),)
