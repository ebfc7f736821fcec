"""One attempt at an export: claim the job, write its file in batches, store the file as the result."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import closing, suppress
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import Flight
from service.database import Database
from service.errors import ServiceError, Unavailable
from service.exports.files import ExportFiles
from service.exports.lease import MAX_ATTEMPTS, Claim, ExportFile, Interrupted, LeaseLost, Leases
from service.exports.writers import WRITERS, Row
from service.flights.queries import matching
from service.flights.schemas import FIELDS, FlightFilter

logger = logging.getLogger("flightdeck.exports")

TRANSIENT: Final = (Unavailable, OSError)
"""May succeed later: the database restarts or is busy, the disk is full."""
BATCH_ROWS: Final = 5_000


class Exporter:
    """Runs attempts at exports, for a request or for a worker."""

    def __init__(self, database: Database, *, leases: Leases, files: ExportFiles) -> None:
        self._database = database
        self._leases = leases
        self._files = files

    async def run(self, job_id: str, *, resend_s: float) -> bool:
        """Return whether this attempt wrote the job's file; False if there was nothing to do or the lease was lost.

        Raise `Interrupted` if another attempt may succeed; the job is sent again if none has started `resend_s` seconds
        later. Any other error is raised after the job is marked as failed.
        """
        claim = await self._leases.claim(job_id)
        if claim is None:
            return False
        try:
            if claim.attempt > MAX_ATTEMPTS:
                await self._leases.fail(claim, f"gave up after {MAX_ATTEMPTS} attempts that did not finish")
                return False
            file = await self._write_file(claim)
            await self._leases.finish(claim, file)
        except LeaseLost:
            logger.info("export %s: attempt %d has lost its lease", job_id, claim.attempt)
            self._files.discard(claim)
            return False
        except TRANSIENT as error:
            self._files.discard(claim)
            with suppress(LeaseLost, ServiceError):  # then the lease expires
                await self._leases.release(claim, due_s=resend_s)
            raise Interrupted(f"{type(error).__name__}: {error}") from error
        except BaseException as error:
            self._files.discard(claim)
            with suppress(LeaseLost, ServiceError):
                await self._leases.fail(claim, type(error).__name__)
            raise
        return True

    async def _write_file(self, claim: Claim) -> ExportFile:
        async with self._database.snapshot() as session:
            rows_total = await count(session, claim.request)
            rows_done = 0
            await self._leases.renew(claim, rows_done=rows_done, rows_total=rows_total)
            with closing(WRITERS[claim.request.format](self._files.partial(claim))) as writer:
                async for batch in batches(session, claim.request):
                    writer.write(batch)
                    rows_done += len(batch)
                    await self._leases.renew(claim, rows_done=rows_done, rows_total=rows_total)
        return self._files.complete(claim, rows=rows_done)


async def count(session: AsyncSession, filters: FlightFilter) -> int:
    """Return how many flights match."""
    return await session.scalar(select(func.count()).select_from(matching(filters).subquery())) or 0


async def batches(session: AsyncSession, filters: FlightFilter) -> AsyncIterator[Sequence[Row]]:
    """Yield the matching flights by departure, in batches that fit in memory; a row has the values of `FIELDS`."""
    columns = [getattr(Flight, name) for name in FIELDS]
    ordered = matching(filters).with_only_columns(*columns).order_by(Flight.scheduled_departure, Flight.id)
    rows = await session.stream(ordered.execution_options(yield_per=BATCH_ROWS))
    async for batch in rows.partitions():
        yield batch
