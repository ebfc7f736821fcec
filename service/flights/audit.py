"""The audit trail of status updates."""

from sqlalchemy import select

from service.database import Database
from service.flights.watchers import StatusChanged
from service.models import StatusChange


class AuditTrail:
    """Keeps a row for every accepted status update."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, change: StatusChanged) -> None:
        """Write the change once: repeating a write whose outcome was unknown adds no second row."""
        async with self._database.writing() as session:
            recorded = select(StatusChange.id).where(
                StatusChange.flight_id == change.flight_id, StatusChange.version == change.version
            )
            if await session.scalar(recorded) is None:
                session.add(
                    StatusChange(
                        flight_id=change.flight_id,
                        version=change.version,
                        status_before=change.before.value,
                        status_after=change.after.value,
                        departure_delay_min=change.departure_delay_min,
                        changed_at=change.changed_at,
                        trace_id=change.trace_id,
                    )
                )
