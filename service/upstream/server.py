"""The upstream as a process: readings from the database, a port, and a stop that does not wait for a hang."""

from random import Random

import uvicorn

from service.database import Database
from service.upstream.app import create_upstream
from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections, counting_protocol
from service.upstream.readings import load_readings


async def serve(database: Database, behaviour: Behaviour, *, host: str, port: int, random: Random) -> None:
    """Serve until interrupted; raise `NotReady` when the database holds no weather."""
    readings = await load_readings(database)
    await database.close()
    connections = Connections()
    app = create_upstream(readings, FaultController(behaviour), connections=connections, random=random)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=counting_protocol(connections),
        access_log=False,
        proxy_headers=False,  # a forwarded address could claim to be loopback
        timeout_keep_alive=60,  # longer than the client keeps idle connections, so that the client closes first
        timeout_graceful_shutdown=1,
    )
    await uvicorn.Server(config).serve()
