"""The export routes."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from service.api.authorisation import WriteToken
from service.api.body import body_documentation, json_body
from service.api.openapi import plain_problem_documentation, problems
from service.api.parameters import NoParameters
from service.api.rate_limit import RateLimit
from service.api.responses import json_response
from service.core.models import ExportJob
from service.errors import (
    BodyTooLarge,
    BodyTooSlow,
    BrokerUnavailable,
    ExportGone,
    ExportNotDone,
    IdempotencyKeyReused,
    MalformedBody,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnknownExport,
    UnsupportedMediaType,
    WritesDisabled,
)
from service.exports.delivery import Delivery
from service.exports.files import ExportFiles
from service.exports.jobs import Jobs
from service.exports.schemas import ExportOut, ExportRequest, Format
from service.exports.state import UNFINISHED, State

MEDIA_TYPES: Final = {Format.CSV: "text/csv; charset=utf-8", Format.PARQUET: "application/vnd.apache.parquet"}

DENIED: Final = (Unauthenticated, WritesDisabled)

ExportId = Annotated[str, Path(description="The id that `POST /exports` answered with.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Names the request: repeated with the same key and body, it begins nothing and answers the same.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Exports:
    """How exports are asked for, made and kept."""

    token: WriteToken
    rate_limit: RateLimit
    jobs: Jobs
    files: ExportFiles
    delivery: Delivery


def exports_router(exports: Exports) -> APIRouter:
    """Return the routes of exports; each is for bearers of the token, and for exports asked for with it."""
    router = APIRouter(prefix="/exports", tags=["exports"], dependencies=[Depends(exports.token)])
    jobs, owners = exports.jobs, exports.token.owners

    @router.post(
        "",
        summary="Export flights",
        status_code=exports.delivery.status,
        response_model=ExportOut,
        dependencies=[Depends(exports.rate_limit)],
        openapi_extra=body_documentation(ExportRequest),
        responses=problems(
            *DENIED,
            MalformedBody,
            BodyTooLarge,
            BodyTooSlow,
            UnsupportedMediaType,
            IdempotencyKeyReused,
            BrokerUnavailable,
            TooManyRequests,
        )
        | {200: {"model": ExportOut, "description": "The export of an earlier request with the same idempotency key."}},
    )
    async def ask(
        request: Request, _: Annotated[NoParameters, Query()], idempotency_key: IdempotencyKey = None
    ) -> Response:
        """The address of the export is in `Location`; it tells the progress, and where the file is.

        With the technique `task_queue` the answer is 202 and a worker makes the file. Without it the request makes the
        file itself and answers 201 when it is there.
        """
        asked = await jobs.ask(await json_body(request, ExportRequest), owners=owners, key=idempotency_key)
        if not asked.is_new:
            return _answer(asked.job)
        try:
            await exports.delivery.deliver(asked.job)
        except Unavailable:
            await jobs.forget(asked.job.id)
            raise
        return _answer(await jobs.of(owners, asked.job.id), status=exports.delivery.status)

    @router.get(
        "/{export_id}", summary="One export", response_model=ExportOut, responses=problems(*DENIED, UnknownExport)
    )
    async def one_export(export_id: ExportId, _: Annotated[NoParameters, Query()]) -> Response:
        return _answer(await jobs.of(owners, export_id))

    @router.delete(
        "/{export_id}", summary="Cancel an export", status_code=204, responses=problems(*DENIED, UnknownExport)
    )
    async def cancel(export_id: ExportId, _: Annotated[NoParameters, Query()]) -> Response:
        """A worker that makes the file stops within seconds; a file that is there is deleted."""
        file_name = await jobs.cancel(owners, export_id)
        if file_name is not None:
            exports.files.remove(file_name)
        return Response(status_code=204)

    @router.get(
        "/{export_id}/file",
        summary="The file of an export",
        response_class=FileResponse,
        responses={
            200: {"content": {media_type: {} for media_type in MEDIA_TYPES.values()}},
            206: {"description": "The part that was asked for."},
            **problems(*DENIED, UnknownExport, ExportNotDone, ExportGone),
            **plain_problem_documentation(HTTPStatus.BAD_REQUEST, "The `Range` can not be read."),
            **plain_problem_documentation(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The file has no such part."),
        },
    )
    async def file(export_id: ExportId, _: Annotated[NoParameters, Query()]) -> Response:
        """The whole file, or the part that `Range` asks for."""
        job = await jobs.of(owners, export_id)
        if job.state in UNFINISHED:
            raise ExportNotDone(job.state)
        path = exports.files.path(job.file_name) if job.file_name is not None else None
        if path is None or not path.is_file():
            raise ExportGone(job.state if job.state != State.DONE else "done, but its file is gone")
        chosen = ExportRequest.model_validate_json(job.request).format
        response = FileResponse(path, media_type=MEDIA_TYPES[chosen], filename=f"flights-{job.id[:8]}.{chosen}")
        response.headers["Cache-Control"] = "private, no-store"
        return response

    return router


def _answer(job: ExportJob, *, status: int = 200) -> Response:
    response = json_response(ExportOut.of(job).model_dump_json().encode(), status=status)
    response.headers["Location"] = f"/exports/{job.id}"
    response.headers["Cache-Control"] = "private, no-store"
    if job.state in UNFINISHED:
        response.headers["Retry-After"] = "1"
    return response
