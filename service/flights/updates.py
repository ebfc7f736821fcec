"""Status updates of flights, with optimistic concurrency control."""

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
from service.flights.etag import flight_etag, is_expected
from service.flights.outbox import record_change
from service.flights.queries import flight_by_id
from service.flights.schemas import FlightDetail, Status, StatusUpdate
from service.flights.subscribers import StatusChanged
from service.flights.tags import tags_changed_by

ATTEMPTS: Final = 5


@dataclass(frozen=True)
class UpdatedFlight:
    """A flight after its update, and the change."""

    flight: FlightDetail
    change: StatusChanged
    change_id: int
    """Id of its audit record."""


class StatusUpdates:
    """Write the next version of a flight if its version has not changed since it was read."""

    def __init__(self, database: Database, *, cache: Invalidator) -> None:
        self._database = database
        self._cache = cache

    async def apply(
        self, flight_id: int, change: StatusUpdate, *, if_match: Sequence[str] | None = None
    ) -> UpdatedFlight:
        """Return the committed flight once every cache is invalidated.

        Raise `UnknownFlight`, `VersionMismatch` if `if_match` does not match the flight, or `ConcurrentUpdate` if
        other writers changed the flight during each of the attempts.
        """
        for _ in range(ATTEMPTS):
            written = await self._try(flight_id, change, if_match)
            if written is not None:
                updated, tags = written
                await self._cache.invalidate(tags)
                # Another process may have cached a response since, from a replica without this write.
                self._database.once_replicated(partial(self._cache.invalidate, tags))
                return updated
        raise ConcurrentUpdate(flight_id, attempts=ATTEMPTS)

    async def _try(
        self, flight_id: int, change: StatusUpdate, if_match: Sequence[str] | None
    ) -> tuple[UpdatedFlight, tuple[str, ...]] | None:
        """Return the update and the cache tags it invalidates, None if another writer changed the flight first."""
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
            updated = UpdatedFlight(FlightDetail.model_validate(flight), changed, change_id)
            tags = tags_changed_by(flight)
        return updated, tags
