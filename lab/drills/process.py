"""One process of a drill: tethered to it, so that nothing outlives a drill that is killed."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import httpx
import psutil

from lab.drills.errors import MissingProgram, ProcessFailed

START_S: Final = 30.0
STOP_S: Final = 6.0
POLL_S: Final = 0.05
LOG_BYTES: Final = 4000
PLACES: Final = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")


def program(name: str, *, package: str) -> str:
    """Return the path of an installed program; raise `MissingProgram` naming its Debian package."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))
    if found is None:
        raise MissingProgram(name, package)
    return found


class Process:
    """A command that can be started, frozen, killed and started again, on the same ports."""

    def __init__(
        self, name: str, command: Sequence[str], *, ready_url: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment or {})
        self._ready_url = ready_url
        self._tether: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._tether is not None and self._tether.returncode is None

    @property
    def own(self) -> psutil.Process:
        """The command's own process; raise `ProcessFailed` when it has ended."""
        children = psutil.Process(self._tether.pid).children() if self._tether is not None and self.running else []
        if not children:
            raise ProcessFailed(self.name, "has ended", self.log())
        return children[0]

    async def start(self, *, remove: Path | None = None) -> None:
        """Start it and wait until it answers; the tether removes the directory when the starter is gone."""
        self._log = self._log or tempfile.TemporaryFile()  # noqa: SIM115 closed by `stop`
        self._tether = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lab.tether", *(("--remove", str(remove)) if remove else ()), "--", *self.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **self.environment},
            start_new_session=True,  # Ctrl-C is for the drill, which ends its processes in order
        )
        if self._ready_url:
            await self._wait_until_ready()

    async def kill(self) -> None:
        """End it at once, as a crash does."""
        with suppress(ProcessFailed, psutil.NoSuchProcess):
            self.own.kill()
        await self._ended()

    async def stop(self) -> None:
        """End it in order; nothing to do where it never started."""
        tether = self._tether
        if tether is not None:
            with suppress(ProcessFailed, psutil.NoSuchProcess):
                self.own.resume()  # a frozen process hears no signal to end
            if tether.stdin is not None:
                tether.stdin.close()
            await self._ended()
        if self._log is not None:
            self._log.close()
            self._log = None

    def log(self) -> str:
        """Return the end of what it wrote."""
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), LOG_BYTES, max(0, size - LOG_BYTES)).decode(errors="replace")

    async def _ended(self) -> None:
        tether, self._tether = self._tether, None
        if tether is None:
            return
        try:
            async with asyncio.timeout(STOP_S):
                await tether.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(tether.pid, signal.SIGKILL)
            await tether.wait()

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
