"""`docker compose` of the running stack, as far as a drill needs it: stop, pause, start again.

Compose finds the containers; they are stopped and started individually, because `docker compose start` would also run
what a service depends on, such as the load of the data.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from lab.drills.run.drill import ContainerFault
from lab.drills.run.errors import MissingExecutable, ProcessFailed, StackNotUp

ENDS: Final[dict[ContainerFault, str]] = {"stop": "start", "pause": "unpause"}
"""The command that ends each fault."""
RUNNING: Final = "running"


class Compose:
    """The stack of the compose file in the current directory."""

    def __init__(self) -> None:
        docker = shutil.which("docker")
        if docker is None:
            raise MissingExecutable("docker", "docker.io")
        self._docker = docker

    async def check(self) -> None:
        """Raise `MissingExecutable` if docker has no `compose`."""
        try:
            await self._run("compose", "version")
        except ProcessFailed as error:
            raise MissingExecutable("docker compose", "docker-compose") from error

    async def url(self, service: str, port: int) -> str:
        """Return the URL of a published port; raise `StackNotUp` if it is not published."""
        address = (await self._run("compose", "port", service, str(port))).strip()
        if not address or address.endswith(":0"):
            raise StackNotUp(service, "publishes no port")
        return f"http://{address}"

    async def state(self, service: str) -> str:
        """Return `running`, the state of a container that is not, or `not there`."""
        states = [str(container["State"]) for container in await self._containers(service)]
        return next((state for state in states if state != RUNNING), RUNNING) if states else "not there"

    async def require_running(self, service: str) -> None:
        """Raise `StackNotUp` unless the service is running."""
        state = await self.state(service)
        if state != RUNNING:
            raise StackNotUp(service, f"is {state}")

    @asynccontextmanager
    async def fault(self, service: str, fault: ContainerFault) -> AsyncIterator[None]:
        """Stop or pause a service during the block; it runs again afterwards, also after an error."""
        await self.require_running(service)
        names = [str(container["Name"]) for container in await self._containers(service)]
        try:
            await self._run(fault, *names)
            yield
        finally:
            await self._run(ENDS[fault], *names)

    async def _containers(self, service: str) -> list[dict[str, Any]]:
        """Parse `docker compose ps`: a JSON array in some versions, one line per container in others."""
        text = (await self._run("compose", "ps", "--all", "--format", "json", service)).strip()
        if text.startswith("["):
            containers: list[dict[str, Any]] = json.loads(text)
            return containers
        return [json.loads(line) for line in text.splitlines()]

    async def _run(self, *arguments: str) -> str:
        """Return the standard output of a docker command; raise `ProcessFailed` if it fails."""
        process = await asyncio.create_subprocess_exec(
            self._docker,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the drill, which then ends its fault
        )
        output = asyncio.ensure_future(process.communicate())
        try:
            out, err = await asyncio.shield(output)
        except asyncio.CancelledError:
            await output  # a stop that is still running must not undo the start that follows
            raise
        if process.returncode:
            name = f"docker {' '.join(arguments)}"
            raise ProcessFailed(name, f"exited with code {process.returncode}", err.decode(errors="replace"))
        return out.decode()
