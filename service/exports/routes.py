"""The export routes."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from service.api.authorisation import TOKEN_PROBLEMS, WriteToken
from service.api.body import BODY_PROBLEMS, body_documentation, json_body
from service.api.openapi import plain_problem_documentation, problems
from service.api.parameters import NoParameters
from service.api.rate_limit import RateLimit
from service.api.responses import json_response
from service.core.models import ExportJob
from service.errors import (
    BrokerUnavailable,
    ExportGone,
    ExportNotDone,
    IdempotencyKeyReused,
    TooManyRequests,
    Unavailable,
    UnknownExport,
)
from service.exports.delivery import Delivery
from service.exports.files import ExportFiles
from service.exports.jobs import Jobs
from service.exports.schemas import UNFINISHED, ExportOut, ExportRequest, Format, State
from service.http.byte_ranges import RangesFileResponse

MEDIA_TYPES: Final = {Format.CSV: "text/csv; charset=utf-8", Format.PARQUET: "application/vnd.apache.parquet"}

ExportId = Annotated[str, Path(description="Id of the export, as returned by `POST /exports`.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="A repeated request with the same key and body returns the export of the first one.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Exports:
    """The parts of exports."""

    token: WriteToken
    rate_limit: RateLimit
    jobs: Jobs
    files: ExportFiles
    delivery: Delivery


def exports_router(exports: Exports) -> APIRouter:
    """Return the routes of exports; they need the token, and serve only exports that were created with it."""
    router = APIRouter(prefix="/exports", tags=["exports"], dependencies=[Depends(exports.token)])
    jobs, owners = exports.jobs, exports.token.owners

    @router.post(
        "",
        summary="Export flights",
        status_code=exports.delivery.status,
        response_model=ExportOut,
        dependencies=[Depends(exports.rate_limit)],
        openapi_extra=body_documentation(ExportRequest),
        responses=problems(*TOKEN_PROBLEMS, *BODY_PROBLEMS, IdempotencyKeyReused, BrokerUnavailable, TooManyRequests)
        | {200: {"model": ExportOut, "description": "The export of an earlier request with the same idempotency key."}},
    )
    async def create_export(
        request: Request, _: Annotated[NoParameters, Query()], idempotency_key: IdempotencyKey = None
    ) -> Response:
        """Create an export. `Location` is its URL, which returns its progress and the URL of its file.

        With the technique `task_queue` the status is 202, and a worker writes the file. Without it the request writes
        the file, and the status is 201.
        """
        requested = await jobs.create(await json_body(request, ExportRequest), owners=owners, key=idempotency_key)
        if not requested.is_new:
            return _respond(requested.job)
        try:
            await exports.delivery.deliver(requested.job)
        except Unavailable:
            await jobs.discard(requested.job.id)
            raise
        return _respond(await jobs.get(owners, requested.job.id), status=exports.delivery.status)

    @router.get(
        "/{export_id}",
        summary="Get one export",
        response_model=ExportOut,
        responses=problems(*TOKEN_PROBLEMS, UnknownExport),
    )
    async def one_export(export_id: ExportId, _: Annotated[NoParameters, Query()]) -> Response:
        return _respond(await jobs.get(owners, export_id))

    @router.delete(
        "/{export_id}", summary="Cancel an export", status_code=204, responses=problems(*TOKEN_PROBLEMS, UnknownExport)
    )
    async def cancel(export_id: ExportId, _: Annotated[NoParameters, Query()]) -> Response:
        """Delete the file, if it exists; a worker that is writing it stops within seconds."""
        file_name = await jobs.cancel(owners, export_id)
        if file_name is not None:
            exports.files.remove(file_name)
        return Response(status_code=204)

    @router.get(
        "/{export_id}/file",
        summary="Download the file of an export",
        response_class=FileResponse,
        responses={
            200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}},
            206: {"description": "The requested range."},
            **problems(*TOKEN_PROBLEMS, UnknownExport, ExportNotDone, ExportGone),
            **plain_problem_documentation(HTTPStatus.BAD_REQUEST, "The `Range` header is malformed."),
            **plain_problem_documentation(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The file has no such range."),
        },
    )
    async def file(export_id: ExportId, _: Annotated[NoParameters, Query()]) -> Response:
        """Return the file, or the part that `Range` selects."""
        job = await jobs.get(owners, export_id)
        if job.state in UNFINISHED:
            raise ExportNotDone(job.state)
        path = exports.files.path(job.file_name) if job.file_name is not None else None
        if path is None or not path.is_file():
            raise ExportGone(job.state if job.state != State.DONE else "done, but its file was deleted")
        chosen = ExportRequest.model_validate_json(job.request).format
        response = RangesFileResponse(
            path,
            media_type=MEDIA_TYPES[chosen],
            filename=f"flights-{job.id[:8]}.{chosen}",
            stat_result=path.stat(),
        )
        response.headers["Cache-Control"] = "private, no-store"
        return response

    return router


def _respond(job: ExportJob, *, status: int = 200) -> Response:
    response = json_response(ExportOut.of(job).model_dump_json().encode(), status=status)
    response.headers["Location"] = f"/exports/{job.id}"
    response.headers["Cache-Control"] = "private, no-store"
    if job.state in UNFINISHED:
        response.headers["Retry-After"] = "1"
    return response
