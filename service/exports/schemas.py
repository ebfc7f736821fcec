"""What the export routes take and answer."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from service.core.models import ExportJob
from service.exports.state import State
from service.flights.schemas import FlightFilter


class Format(StrEnum):
    """How the flights are written."""

    CSV = "csv"
    PARQUET = "parquet"


class ExportRequest(FlightFilter):
    """The flights that are wanted, by the filters of the flight list, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"format": "csv", "date_from": "2013-07-01", "date_to": "2013-07-31"}]}
    )

    format: Format = Format.CSV

    def text(self) -> str:
        """Return the request as JSON; the same request is always the same text."""
        return self.model_dump_json(exclude_none=True)


class Links(BaseModel):
    """Where an export is."""

    self: str
    file: str | None = Field(description="The file, once the export is done.")


class ExportOut(BaseModel):
    """An export and how far it is."""

    id: str
    state: State
    progress_percent: int = Field(ge=0, le=100)
    request: ExportRequest
    rows: int | None = Field(description="Flights in the export; null until they are counted.")
    size_bytes: int | None = Field(description="Size of the file, once the export is done.")
    attempts: int = Field(description="How often a worker began.")
    error: str | None = Field(description="Why the export failed.")
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="When the file is deleted.")
    links: Links

    @classmethod
    def of(cls, job: ExportJob) -> Self:
        """Return the job as its owner sees it."""
        address = f"/exports/{job.id}"
        return cls(
            id=job.id,
            state=State(job.state),
            progress_percent=_progress(job),
            request=ExportRequest.model_validate_json(job.request),
            rows=job.rows_total,
            size_bytes=job.size_bytes,
            attempts=job.attempts,
            error=job.error,
            created_at=job.created_at,
            finished_at=job.finished_at,
            expires_at=job.expires_at,
            links=Links(self=address, file=f"{address}/file" if job.state == State.DONE else None),
        )


def _progress(job: ExportJob) -> int:
    if job.state == State.DONE or not job.rows_total:
        return 100 if job.state == State.DONE else 0
    return min(99, job.rows_done * 100 // job.rows_total)
