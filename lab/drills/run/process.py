"""A server of a drill: a process that can be killed, suspended and restarted on the same ports."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import psutil

from lab.arms.process import SupervisedProcess
from lab.drills.run.errors import ProcessFailed

START_S: Final = 90.0
"""A start's time limit, generous for a busy machine."""
POLL_S: Final = 0.05


class Process:
    """A command with its environment; it is ready when `ready_url` responds with success.

    `cleanup` is a directory to delete if this program dies without stopping the process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready_url: str = "",
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        cleanup: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment or {})
        self._directory = directory
        self._cleanup = cleanup
        self._ready_url = ready_url
        self._supervised: SupervisedProcess | None = None

    @property
    def running(self) -> bool:
        return self._supervised is not None and self._supervised.running

    @property
    def own(self) -> psutil.Process:
        """The command's process; raise `ProcessFailed` if it has exited."""
        own = self._supervised.own if self._supervised is not None else None
        if own is None:
            raise ProcessFailed(self.name, "has exited", self.log())
        return own

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        await self.stop()
        self._supervised = SupervisedProcess(self.name)
        environment = {**os.environ, **self.environment}
        await self._supervised.start(
            self.command, environment=environment, remove=self._cleanup, directory=self._directory
        )
        if self._ready_url:
            await self._wait_until_ready()

    async def kill(self) -> None:
        """Kill it with SIGKILL, like a crash."""
        if self._supervised is not None:
            await self._supervised.kill()

    @asynccontextmanager
    async def killed(self) -> AsyncIterator[None]:
        """Kill it, and start it again at the end of the block."""
        await self.kill()
        try:
            yield
        finally:
            await self.start()

    async def stop(self) -> None:
        """Stop it gracefully; does nothing if it was never started."""
        supervised, self._supervised = self._supervised, None
        if supervised is not None:
            await supervised.stop()

    def log(self) -> str:
        """Return the end of its output."""
        return self._supervised.log() if self._supervised is not None else ""

    async def _wait_until_ready(self) -> None:
        last = "no response"
        async with httpx.AsyncClient(timeout=2.0) as client:
            try:
                async with asyncio.timeout(START_S):
                    while True:
                        if not self.running:
                            raise ProcessFailed(self.name, "exited during its start", self.log())
                        try:
                            response = await client.get(self._ready_url)
                        except httpx.TransportError as error:
                            last = f"{type(error).__name__}: {error}"
                        else:
                            if response.is_success:
                                return
                            last = f"{response.status_code} {response.text}"
                        await asyncio.sleep(POLL_S)
            except TimeoutError:
                what = f"was not ready after {START_S:.0f} s ({self._ready_url}: {last})"
                raise ProcessFailed(self.name, what, self.log()) from None
