"""The itinerary route."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.api.openapi import problems
from service.api.responses import Responses
from service.database import Database
from service.errors import UnknownAirport
from service.itineraries.offload import CpuWork
from service.itineraries.queries import flights_around, time_zones
from service.itineraries.schemas import Itineraries, ItineraryOut, ItineraryQuery
from service.itineraries.search import Journey, best_itineraries
from service.itineraries.timetable import ScheduledFlight, timetable
from service.itineraries.zones import local_day_start


def itineraries_router(database: Database, *, work: CpuWork, responses: Responses) -> APIRouter:
    router = APIRouter(tags=["itineraries"])

    @router.get(
        "/itineraries",
        summary="Itineraries between two airports on a day",
        response_model=Itineraries,
        responses=problems(UnknownAirport),
    )
    async def itineraries(query: Annotated[ItineraryQuery, Query()]) -> Response:
        """Return the Pareto-optimal itineraries by departure, arrival and number of legs.

        An itinerary has at most three legs. The minimum connection time is 45 minutes at one airport and 150 to 210
        between two airports of New York. Cancelled flights are left out; flights to New York are inferred (`inferred`).
        """
        async with database.reading() as session:
            zones = await time_zones(session, query.origin, query.destination)
            flights = await flights_around(session, query.date)
        return responses.render(await work.run(partial(search, query, flights, zones)))

    return router


def search(query: ItineraryQuery, flights: Sequence[ScheduledFlight], zones: Mapping[str, str]) -> Itineraries:
    """Return the itineraries among the flights around the day of the query."""
    zone = zones[query.origin]
    journey = Journey(
        origin=query.origin,
        destination=query.destination,
        earliest_min=local_day_start(zone, query.date),
        latest_min=local_day_start(zone, query.date + timedelta(days=1)),
    )
    best = best_itineraries(timetable(flights, zones), journey)
    return Itineraries(
        origin=query.origin,
        destination=query.destination,
        date=query.date,
        items=[ItineraryOut.of(itinerary, zones) for itinerary in best],
    )
