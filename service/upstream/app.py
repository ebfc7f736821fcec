"""The application of the weather API, whose faults are injected over HTTP."""

import asyncio
from ipaddress import ip_address
from random import Random

from fastapi import Depends, FastAPI, HTTPException, Request

from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections
from service.upstream.readings import Readings
from service.weather.reading import Moment, Reading


def create_upstream(
    readings: Readings, faults: FaultController, *, connections: Connections, random: Random
) -> FastAPI:
    """Return the weather API; `/admin` changes its behaviour and counts its connections, for loopback only."""
    app = FastAPI(title="Weather upstream")

    @app.get("/weather/{origin}")
    async def weather(origin: str, at: Moment) -> Reading:
        behaviour = faults.current
        await asyncio.sleep(faults.next_hang_s() + behaviour.latency_s(random))
        if behaviour.fails(random):
            raise HTTPException(503, "an injected failure: failure_rate is above 0")
        reading = readings.at(origin, at)
        if reading is None:
            raise HTTPException(404, f"no reading for {origin} at {at.isoformat()}")
        return reading

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    admin = [Depends(_from_loopback)]

    @app.get("/admin/behaviour", dependencies=admin)
    async def behaviour_now() -> Behaviour:
        return faults.current

    @app.put("/admin/behaviour", dependencies=admin)
    async def change_behaviour(behaviour: Behaviour) -> Behaviour:
        return faults.set(behaviour)

    @app.delete("/admin/behaviour", dependencies=admin)
    async def reset() -> Behaviour:
        return faults.set(faults.initial)

    @app.get("/admin/connections", dependencies=admin)
    async def connections_now() -> Connections:
        return connections

    return app


def _from_loopback(request: Request) -> None:
    """Reject administration from another machine."""
    client = request.client
    if client is None or not ip_address(client.host).is_loopback:
        raise HTTPException(403, "administration is for loopback clients only")
