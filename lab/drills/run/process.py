"""A server of a drill: a process that can be killed, frozen and started again on the same ports."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import psutil

from lab.arms.process import SupervisedProcess
from lab.drills.run.errors import ProcessFailed

START_S: Final = 90.0
"""How long it may take on a busy machine."""
POLL_S: Final = 0.05


class Process:
    """A command with its environment and the URL at which it answers when it is ready."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready_url: str = "",
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment or {})
        self._directory = directory
        self._ready_url = ready_url
        self._tethered: SupervisedProcess | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._tethered is not None and self._tethered.running

    @property
    def own(self) -> psutil.Process:
        """The command's own process; raise `ProcessFailed` when it has ended."""
        own = self._tethered.own if self._tethered is not None else None
        if own is None:
            raise ProcessFailed(self.name, "has ended", self.log())
        return own

    async def start(self, *, remove: Path | None = None) -> None:
        """Start it and wait until it answers; the tether removes the directory when the starter is gone."""
        await self.stop()
        self._tethered = SupervisedProcess(self.name)
        environment = {**os.environ, **self.environment}
        await self._tethered.start(self.command, environment=environment, remove=remove, directory=self._directory)
        if self._ready_url:
            await self._wait_until_ready()

    async def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._tethered is not None:
            await self._tethered.kill()

    async def stop(self) -> None:
        """End it in order; nothing to do where it never started."""
        tethered, self._tethered = self._tethered, None
        if tethered is not None:
            await tethered.stop()

    def log(self) -> str:
        """Return the end of what it wrote."""
        return self._tethered.log() if self._tethered is not None else ""

    async def _wait_until_ready(self) -> None:
        async with httpx.AsyncClient(timeout=2.0) as client:
            try:
                async with asyncio.timeout(START_S):
                    while True:
                        if not self.running:
                            raise ProcessFailed(self.name, "ended at its start", self.log())
                        with suppress(httpx.TransportError):
                            if (await client.get(self._ready_url)).is_success:
                                return
                        await asyncio.sleep(POLL_S)
            except TimeoutError:
                raise ProcessFailed(self.name, f"was not ready after {START_S:.0f} s", self.log()) from None
