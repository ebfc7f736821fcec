"""The write path of a flight's status."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from sqlalchemy import update

from observability.request.record import current_request
from service.cache.invalidators import Invalidator
from service.core.models import Flight
from service.database import Database
from service.errors import ConcurrentUpdate, VersionMismatch
from service.flights.audit import record_change
from service.flights.etag import flight_etag, is_expected
from service.flights.queries import flight_by_id
from service.flights.schemas import FlightDetail, StatusUpdate
from service.flights.status import Status
from service.flights.subscribers import StatusChanged
from service.flights.tags import touched_by

ATTEMPTS: Final = 5


@dataclass(frozen=True)
class Updated:
    """A flight after its update, and what changed."""

    flight: FlightDetail
    change: StatusChanged
    change_id: int
    """Its row in the audit trail."""


class StatusUpdates:
    """Changes the status of flights, one version after the other."""

    def __init__(self, database: Database, *, cache: Invalidator) -> None:
        self._database = database
        self._cache = cache

    async def apply(self, flight_id: int, change: StatusUpdate, *, if_match: Sequence[str] | None = None) -> Updated:
        """Return the flight as committed, when no cache can answer with the old one any more.

        Raise `UnknownFlight`, `VersionMismatch` when the flight is in none of the versions that `if_match` names, or
        `ConcurrentUpdate` when others kept changing the flight in between.
        """
        for _ in range(ATTEMPTS):
            written = await self._try(flight_id, change, if_match)
            if written is not None:
                updated, tags = written
                await self._cache.invalidate(tags)
                # What another process derived from a replica that lagged behind this write goes too.
                self._database.once_replicated(partial(self._cache.invalidate, tags))
                return updated
        raise ConcurrentUpdate(flight_id, attempts=ATTEMPTS)

    async def _try(
        self, flight_id: int, change: StatusUpdate, if_match: Sequence[str] | None
    ) -> tuple[Updated, tuple[str, ...]] | None:
        """Write the next version of the flight and its audit record; return nothing when another writer was faster."""
        record = current_request.get()
        async with self._database.writing() as session:
            flight = await flight_by_id(session, flight_id)
            before, version = Status(flight.status), flight.version
            etag = flight_etag(flight_id, version)
            if not is_expected(etag, if_match):
                raise VersionMismatch(flight_id, etag=etag)
            written = await session.execute(
                update(Flight)
                .where(Flight.id == flight_id, Flight.version == version)
                .values(
                    status=change.status.value,
                    departure_delay_min=change.delay_after(flight.departure_delay_min),
                    version=version + 1,
                )
                .returning(Flight.id)
                .execution_options(synchronize_session=False)
            )
            if written.one_or_none() is None:
                return None
            await session.refresh(flight)
            changed = StatusChanged(
                flight_id=flight_id,
                version=flight.version,
                before=before,
                after=change.status,
                departure_delay_min=flight.departure_delay_min,
                changed_at=datetime.now(UTC),
                trace_id=(record.trace_id_hex or None) if record is not None else None,
            )
            change_id = await record_change(session, changed)
            updated = Updated(FlightDetail.model_validate(flight), changed, change_id)
            tags = touched_by(flight)
        return updated, tags
