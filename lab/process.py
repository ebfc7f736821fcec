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

from lab.errors import ArmFailed

FLIGHTDECK: Final = (sys.executable, "-m", "flightdeck")
STOP_S: Final = 5.0
LOG_BYTES: Final = 8192
"""Read of the log of a process that failed."""


class TetheredProcess:
    """A command that runs until `stop`, or until this process ends in whatever way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._log_file = tempfile.TemporaryFile()  # noqa: SIM115 closed by `stop`
        self._process: asyncio.subprocess.Process | None = None

    async def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], remove: Path | None = None
    ) -> None:
        """Start the command; `remove` is a directory that must not outlive this process."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lab.tether", *(("--remove", str(remove)) if remove else ()), "--", *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._log_file,
            stderr=self._log_file,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the lab, which ends its children in order
        )

    def check(self) -> None:
        """Raise `ArmFailed` if the command has ended."""
        if self._process is not None and self._process.returncode is not None:
            raise self.failure(f"ended with code {self._process.returncode}")

    def failure(self, what: str) -> ArmFailed:
        """Return what went wrong, with the end of the log."""
        size = os.fstat(self._log_file.fileno()).st_size
        log = os.pread(self._log_file.fileno(), LOG_BYTES, max(0, size - LOG_BYTES))
        return ArmFailed(self.name, what, log.decode(errors="replace"))

    async def stop(self) -> None:
        """End the command; nothing to do where it never started."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()  # the tether
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        self._log_file.close()


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
