"""The requests and responses of the export routes."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from service.core.models import ExportJob
from service.flights.schemas import FlightFilter


class State(StrEnum):
    """The state of an export."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


UNFINISHED = (State.QUEUED, State.RUNNING)


class Format(StrEnum):
    """The format of the file."""

    CSV = "csv"
    PARQUET = "parquet"


class ExportRequest(FlightFilter):
    """Which flights to export, by the filters of the flight list, and the format."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"format": "csv", "date_from": "2013-07-01", "date_to": "2013-07-31"}]}
    )

    format: Format = Format.CSV

    def text(self) -> str:
        """Return the request as canonical JSON: equal requests have equal texts."""
        return self.model_dump_json(exclude_none=True)


class Links(BaseModel):
    """URLs of an export."""

    self: str
    file: str | None = Field(description="Set when the export is done.")


class ExportOut(BaseModel):
    """An export and its progress."""

    id: str
    state: State
    progress_percent: int = Field(ge=0, le=100)
    request: ExportRequest
    rows: int | None = Field(description="Number of flights; null until they are counted.")
    size_bytes: int | None = Field(description="Size of the file; null until the export is done.")
    attempts: int = Field(description="Number of attempts, including the current one.")
    error: str | None = Field(description="Why the export failed; null unless it did.")
    created_at: datetime
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="When the file expires; null until the export is done.")
    links: Links

    @classmethod
    def of(cls, job: ExportJob) -> Self:
        url = f"/exports/{job.id}"
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
            links=Links(self=url, file=f"{url}/file" if job.state == State.DONE else None),
        )


def _progress(job: ExportJob) -> int:
    if job.state == State.DONE or not job.rows_total:
        return 100 if job.state == State.DONE else 0
    return min(99, job.rows_done * 100 // job.rows_total)
