"""A child process that ends with whoever started it, and whose last words are kept."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from lab.core.errors import ArmFailed

FLIGHTDECK: Final = (sys.executable, "-m", "flightdeck")
STOP_S: Final = 6.0
"""Longer than the tether's patience with the command."""
LOG_BYTES: Final = 8192
"""Read of the log of a process that failed."""


class SupervisedProcess:
    """A command that runs until `stop`, or until this process ends in whatever way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._log_file = tempfile.TemporaryFile()  # noqa: SIM115 closed by `stop`
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def own(self) -> psutil.Process | None:
        """The command's own process, below its tether; None where it has ended."""
        if self._process is None or self._process.returncode is not None:
            return None
        with suppress(psutil.NoSuchProcess):
            return next(iter(psutil.Process(self._process.pid).children()), None)
        return None

    async def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        remove: Path | None = None,
        directory: Path | None = None,
    ) -> None:
        """Start the command in the directory; `remove` is one that must not outlive this process."""
        self._process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "lab.arms.process_guard",
                *(("--remove", str(remove)) if remove else ()),
                "--",
                *command,
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._log_file,
            stderr=self._log_file,
            env=environment,
            cwd=directory,
            start_new_session=True,  # Ctrl-C is for the lab, which ends its children in order
        )

    def check(self) -> None:
        """Raise `ArmFailed` if the command has ended."""
        if self._process is not None and self._process.returncode is not None:
            raise self.failure(f"ended with code {self._process.returncode}")

    def failure(self, what: str) -> ArmFailed:
        """Return what went wrong, with the end of the log."""
        return ArmFailed(self.name, what, self.log())

    def log(self) -> str:
        """Return the end of what it wrote; nothing after `stop`."""
        if self._log_file.closed:
            return ""
        size = os.fstat(self._log_file.fileno()).st_size
        log = os.pread(self._log_file.fileno(), LOG_BYTES, max(0, size - LOG_BYTES))
        return log.decode(errors="replace")

    async def kill(self) -> None:
        """End the command at once, as a crash does."""
        if own := self.own:
            with suppress(psutil.NoSuchProcess):
                own.kill()
        await self._ended()

    async def stop(self) -> None:
        """End the command; nothing to do where it never started."""
        if own := self.own:
            with suppress(psutil.NoSuchProcess):
                own.resume()  # a frozen process hears no signal to end
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # the tether
        await self._ended()
        self._log_file.close()

    async def _ended(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def free_ports(count: int) -> list[int]:
    """Return loopback ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
