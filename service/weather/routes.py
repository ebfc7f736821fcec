"""`GET /weather/{faa}`: the weather at an airport of New York City, asked of the upstream."""

import math
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from observability.server_timing import stage
from service.errors import NotFound
from service.parameters import AirportCode, Parameters
from service.weather.reading import Moment, Reading, hour_of
from service.weather.source import Answer, WeatherSource


class NoReading(NotFound):
    """The station reported nothing for this hour, or there is no station."""

    slug = "no-reading"
    title = "No reading"
    meaning = "No weather is known for this airport and hour."

    def __init__(self, faa: str, hour: datetime) -> None:
        super().__init__(
            f"{faa} has no weather reading for {hour.isoformat()}",
            hint="EWR, JFK and LGA have one for nearly every hour of 2013",
        )


class WeatherParameters(Parameters):
    """The moment that is asked about."""

    at: Annotated[Moment, Query(examples=["2013-02-08T20:00Z"], description="A moment; its whole hour is answered.")]


def weather_router(source: WeatherSource) -> APIRouter:
    """Return the weather routes over a source."""
    router = APIRouter(tags=["weather"])

    @router.get("/weather/{faa}", response_model=Reading, summary="The weather at an airport, by the hour")
    async def weather(faa: AirportCode, query: Annotated[WeatherParameters, Query()]) -> Response:
        """The reading of the hour that `at` is in.

        While the upstream does not answer, an earlier answer to the same question is given where there is one. It
        carries `Age` and a `Cache-Status` with a negative `ttl` and the reason.
        """
        hour = hour_of(query.at)
        answer = await source.at(faa, hour)
        if answer is None:
            raise NoReading(faa, hour)
        with stage("serialize"):
            body = answer.reading.model_dump_json()
        return Response(body, media_type="application/json", headers=_provenance(answer))

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
