"""The weather route, asked of the upstream."""

import math
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from service.api.openapi import problems
from service.api.parameters import Parameters
from service.api.responses import Responses
from service.errors import NoReading, UpstreamUnavailable
from service.weather.reading import STATIONS, Moment, Reading, hour_of
from service.weather.source import Answer, WeatherSource

StationCode = Annotated[str, Path(description="EWR, JFK or LGA.", examples=["JFK"])]


class WeatherQuery(Parameters):
    """The moment that is asked about."""

    at: Moment = Field(
        description="A moment with its time zone; its whole hour is answered.", examples=["2013-02-08T20:00Z"]
    )


def weather_router(source: WeatherSource, *, responses: Responses) -> APIRouter:
    """Return the weather route over a source."""
    router = APIRouter(tags=["weather"])

    @router.get(
        "/weather/{faa}",
        summary="The weather at an airport in an hour",
        response_model=Reading,
        responses=problems(NoReading, UpstreamUnavailable),
    )
    async def weather(faa: StationCode, query: Annotated[WeatherQuery, Query()]) -> Response:
        """The reading of the hour that `at` is in.

        While the upstream does not answer, an earlier answer to the same question stands in where there is one. It
        carries `Age` and a `Cache-Status` with a negative `ttl` and the reason.
        """
        hour = hour_of(query.at)
        answer = await source.at(faa, hour) if faa in STATIONS else None
        if answer is None:
            raise NoReading(faa, hour)
        response = responses.render(answer.reading)
        response.headers.update(_provenance(answer))
        return response

    return router


def _provenance(answer: Answer) -> dict[str, str]:
    """Return the headers that mark an answer kept from before (RFC 9211: a negative ttl is staleness)."""
    if answer.stale_because is None:
        return {}
    age_s = max(1, math.ceil(answer.age_s))
    return {
        "Age": str(age_s),
        "Cache-Control": "no-store",
        "Cache-Status": f'Flightdeck-Upstream; hit; ttl=-{age_s}; detail="{answer.stale_because}"',
    }
