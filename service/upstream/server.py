"""The upstream as a server, which stops within a second even during a hang."""

from random import Random
from socket import socket

import uvicorn

from service.database import Database
from service.upstream.app import create_upstream
from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections, counting_protocol
from service.upstream.readings import load_readings


async def serve(database: Database, behaviour: Behaviour, *, listener: socket, random: Random) -> None:
    """Serve until interrupted; raise `NotReady` if the database has no weather."""
    readings = await load_readings(database)
    await database.close()
    connections = Connections()
    app = create_upstream(readings, FaultController(behaviour), connections=connections, random=random)
    config = uvicorn.Config(
        app,
        http=counting_protocol(connections),
        access_log=False,
        proxy_headers=False,  # a forwarded address could claim to be loopback
        timeout_keep_alive=60,  # longer than the keep-alive of the clients, so that they close first
        timeout_graceful_shutdown=1,
    )
    await uvicorn.Server(config).serve(sockets=[listener])
