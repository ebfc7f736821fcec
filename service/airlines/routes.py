"""The airline routes."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from starlette.responses import Response

from service.airlines.schemas import AirlineList, AirlineOut
from service.api.openapi import problems
from service.api.parameters import NoParameters
from service.api.responses import Responses
from service.core.models import Airline
from service.database import Database
from service.http.cache_model.policy import CachePolicy
from service.http.cache_model.tags import tag_response

CACHED: Final = {
    "/airlines": CachePolicy(cache="reference", technique="local_cache", ttl_s=3600, stale_s=600, browser_s=60)
}


def airlines_router(database: Database, *, responses: Responses) -> APIRouter:
    router = APIRouter(tags=["airlines"])

    @router.get("/airlines", summary="List airlines", response_model=AirlineList, responses=problems())
    async def airlines(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        tag_response(request, "reference")
        async with database.reading() as session:
            found = (await session.scalars(select(Airline).order_by(Airline.carrier))).all()
        return responses.render(AirlineList(items=[AirlineOut.model_validate(airline) for airline in found]))

    return router
