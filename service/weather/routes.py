"""The weather route, which calls the upstream."""

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
from service.weather.source import SourcedReading, WeatherSource

StationCode = Annotated[str, Path(description="FAA code of the airport: EWR, JFK or LGA.", examples=["JFK"])]


class WeatherQuery(Parameters):
    """The hour of the reading."""

    at: Moment = Field(
        description="A time with its time zone; the response is for its hour.",
        examples=["2013-02-08T20:00Z"],
    )


def weather_router(source: WeatherSource, *, responses: Responses) -> APIRouter:
    router = APIRouter(tags=["weather"])

    @router.get(
        "/weather/{faa}",
        summary="Weather at an airport in an hour",
        response_model=Reading,
        responses=problems(NoReading, UpstreamUnavailable),
    )
    async def weather(faa: StationCode, query: Annotated[WeatherQuery, Query()]) -> Response:
        """Return the reading of the hour that contains `at`.

        If the upstream fails, an earlier response to the same request is served stale, if there is one, with `Age` and
        a `Cache-Status` that has a negative `ttl` and the reason.
        """
        hour = hour_of(query.at)
        found = await source.at(faa, hour) if faa in STATIONS else None
        if found is None:
            raise NoReading(faa, hour)
        response = responses.render(found.reading)
        response.headers.update(_staleness(found))
        return response

    return router


def _staleness(found: SourcedReading) -> dict[str, str]:
    """Return the headers of a stale response (RFC 9211: a negative ttl is staleness)."""
    if found.stale_reason is None:
        return {}
    age_s = max(1, math.ceil(found.age_s))
    return {
        "Age": str(age_s),
        "Cache-Control": "no-store",
        "Cache-Status": f'Flightdeck-Upstream; hit; ttl=-{age_s}; detail="{found.stale_reason}"',
    }
