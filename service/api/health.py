"""Liveness and readiness."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from service.api.openapi import problems
from service.api.parameters import NoParameters
from service.api.responses import json_response
from service.errors import NotReady

Check = Callable[[], Awaitable[None]]
"""Raises `NotReady` while a dependency is missing."""


class Alive(BaseModel):
    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"


def health_router(checks: Sequence[Check]) -> APIRouter:
    """Return the probes; readiness runs every check."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="Is the process alive?", response_model=Alive, responses=problems())
    async def livez(_: Annotated[NoParameters, Query()]) -> Response:
        return _uncached(Alive())

    @router.get(
        "/readyz", summary="Is the process ready for traffic?", response_model=Ready, responses=problems(NotReady)
    )
    async def readyz(_: Annotated[NoParameters, Query()]) -> Response:
        missing: dict[str, str] = {}
        for check in checks:
            try:
                await check()
            except NotReady as error:
                missing |= {violation.name: violation.message for violation in error.violations}
        if missing:
            raise NotReady(missing)
        return _uncached(Ready())

    return router


def _uncached(state: BaseModel) -> Response:
    response = json_response(state.model_dump_json().encode())
    response.headers["Cache-Control"] = "no-store"
    return response
