"""`docker compose` of the running stack, as far as a drill needs it: stop, pause, start again.

Containers are found by Compose and stopped and started by themselves: `docker compose start` would run again what a
service depends on, such as the loading of the data.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from lab.drills.run.errors import MissingProgram, ProcessFailed, StackNotUp

Break = Literal["stop", "pause"]
REPAIRS: Final[dict[Break, str]] = {"stop": "start", "pause": "unpause"}
RUNNING: Final = "running"


class Compose:
    """The stack of the compose file in this directory, as `docker compose` finds it."""

    def __init__(self) -> None:
        docker = shutil.which("docker")
        if docker is None:
            raise MissingProgram("docker", "docker.io")
        self._docker = docker

    async def check(self) -> None:
        """Raise `MissingProgram` where docker knows no `compose`."""
        try:
            await self._said("compose", "version")
        except ProcessFailed as error:
            raise MissingProgram("docker compose", "docker-compose") from error

    async def url(self, service: str, port: int) -> str:
        """Return where a service's port is published; raise `StackNotUp` where it is not."""
        address = (await self._said("compose", "port", service, str(port))).strip()
        if not address or address.endswith(":0"):
            raise StackNotUp(service, "publishes no port")
        return f"http://{address}"

    async def state(self, service: str) -> str:
        """Return whether a service's containers are `running`; else the state of one that is not, or `not there`."""
        states = [str(container["State"]) for container in await self._containers(service)]
        return next((state for state in states if state != RUNNING), RUNNING) if states else "not there"

    async def need(self, service: str) -> None:
        """Raise `StackNotUp` unless the service runs."""
        state = await self.state(service)
        if state != RUNNING:
            raise StackNotUp(service, f"is {state}")

    @asynccontextmanager
    async def broken(self, service: str, how: Break) -> AsyncIterator[None]:
        """Stop or pause a service for the time of the block; it runs again after it, however the block ends."""
        await self.need(service)
        names = [str(container["Name"]) for container in await self._containers(service)]
        try:
            await self._said(how, *names)
            yield
        finally:
            await self._said(REPAIRS[how], *names)

    async def _containers(self, service: str) -> list[dict[str, Any]]:
        return _listed(await self._said("compose", "ps", "--all", "--format", "json", service))

    async def _said(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            self._docker,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the drill, which repairs what it broke
        )
        ending = asyncio.ensure_future(process.communicate())
        try:
            out, err = await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending  # a stop that is still under way must not undo the start that follows
            raise
        if process.returncode:
            name = f"docker {' '.join(arguments)}"
            raise ProcessFailed(name, f"ended with code {process.returncode}", err.decode(errors="replace"))
        return out.decode()


def _listed(text: str) -> list[dict[str, Any]]:
    """Return what `docker compose ps` lists: an array in one version, a line for each container in another."""
    text = text.strip()
    if text.startswith("["):
        listed: list[dict[str, Any]] = json.loads(text)
        return listed
    return [json.loads(line) for line in text.splitlines()]
