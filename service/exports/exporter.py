"""Making an export: claim the job, write its file batch by batch, make the file the job's result."""

import logging
from contextlib import suppress
from typing import Final

from service.database import Database
from service.errors import ServiceError, Unavailable
from service.exports.errors import Interrupted, LeaseLost
from service.exports.files import ExportFiles
from service.exports.lease import MAX_ATTEMPTS, Claim, ExportFile, Leases
from service.exports.rows import batches, count
from service.exports.writers import WRITERS

logger = logging.getLogger("flightdeck.exports")

TRANSIENT: Final = (Unavailable, OSError)
"""What may work a moment later: a database that restarts or is busy, a disk that is full or slow."""


class Exporter:
    """Makes exports, for a request or for a worker."""

    def __init__(self, database: Database, *, leases: Leases, files: ExportFiles) -> None:
        self._database = database
        self._leases = leases
        self._files = files

    async def make(self, job_id: str, *, resend_s: float) -> bool:
        """Return whether this call made the job's file; False if it is finished, gone, or somebody else's.

        Raise `Interrupted` when another attempt may succeed; the job is sent again after `resend_s` seconds if none
        has begun by then. Raise what else went wrong after the job is marked as failed.
        """
        claim = await self._leases.claim(job_id)
        if claim is None:
            return False
        try:
            if claim.attempt > MAX_ATTEMPTS:
                await self._leases.fail(claim, f"given up after {MAX_ATTEMPTS} attempts that never ended")
                return False
            made = await self._written(claim)
            await self._leases.finish(claim, made)
        except LeaseLost:
            logger.info("export %s: attempt %d ends, the job is cancelled or somebody else's", job_id, claim.attempt)
            self._files.discard(claim)
            return False
        except TRANSIENT as error:
            self._files.discard(claim)
            with suppress(LeaseLost, ServiceError):  # else the lease runs out
                await self._leases.release(claim, due_s=resend_s)
            raise Interrupted(f"{type(error).__name__}: {error}") from error
        except BaseException as error:
            self._files.discard(claim)
            with suppress(LeaseLost, ServiceError):
                await self._leases.fail(claim, type(error).__name__)
            raise
        return True

    async def _written(self, claim: Claim) -> ExportFile:
        async with self._database.snapshot() as session:
            rows_total = await count(session, claim.request)
            rows_done = 0
            await self._leases.renew(claim, rows_done=rows_done, rows_total=rows_total)
            with WRITERS[claim.request.format](self._files.partial(claim)) as writer:
                async for batch in batches(session, claim.request):
                    writer.write(batch)
                    rows_done += len(batch)
                    await self._leases.renew(claim, rows_done=rows_done, rows_total=rows_total)
        return self._files.complete(claim, rows=rows_done)
