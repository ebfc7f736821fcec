"""A child process that ends with the process that started it, and whose log is kept."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from lab.core.command import MODULE
from lab.core.errors import ArmFailed

START_S: Final = 30.0
"""Time limit for a server to listen."""
POLL_S: Final = 0.05
STOP_S: Final = 6.0
"""Longer than the grace period of the process guard."""
LOG_BYTES: Final = 8192
"""Of the end of a failed process's log."""


class SupervisedProcess:
    """A command that runs until `stop`, or until this process ends for any reason."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._log_file = tempfile.TemporaryFile()  # noqa: SIM115 closed by `stop`
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def own(self) -> psutil.Process | None:
        """The process of the command itself, below its guard; None if it has ended."""
        if self._process is None or self._process.returncode is not None:
            return None
        with suppress(psutil.NoSuchProcess):
            return next(iter(psutil.Process(self._process.pid).children()), None)
        return None

    def cpu_s(self) -> float | None:
        """Return the CPU time of the command's process so far, in nanosecond resolution; None without such a clock."""
        own = self.own
        if own is None or sys.platform != "linux":
            return None
        with suppress(OSError):
            # The clock id of a process, as clock_getcpuclockid(3) makes it: CPUCLOCK_SCHED is 2.
            return time.clock_gettime((~own.pid << 3) | 2)
        return None

    async def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        remove: Path | None = None,
        directory: Path | None = None,
    ) -> None:
        """Start the command; the guard deletes the directory `remove` after the command has ended."""
        self._process = await asyncio.create_subprocess_exec(
            *(
                *MODULE,
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
            start_new_session=True,  # Ctrl-C reaches only the lab, which stops its children in order
        )

    async def wait_until_listening(self, port: int) -> None:
        """Return when the command accepts connections on this port of 127.0.0.1; raise `ArmFailed` if it does not."""
        try:
            async with asyncio.timeout(START_S):
                while True:
                    self.check()
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                    except OSError:
                        await asyncio.sleep(POLL_S)
                    else:
                        writer.close()
                        return
        except TimeoutError:
            raise self.failure(f"was not ready after {START_S:.0f} s") from None

    def check(self) -> None:
        """Raise `ArmFailed` if the command has ended."""
        if self._process is not None and self._process.returncode is not None:
            raise self.failure(f"ended with code {self._process.returncode}")

    def failure(self, what: str) -> ArmFailed:
        """Return an error with the end of the log."""
        return ArmFailed(self.name, what, self.log())

    def log(self) -> str:
        """Return the end of the log; empty after `stop`."""
        if self._log_file.closed:
            return ""
        size = os.fstat(self._log_file.fileno()).st_size
        log = os.pread(self._log_file.fileno(), LOG_BYTES, max(0, size - LOG_BYTES))
        return log.decode(errors="replace")

    async def kill(self) -> None:
        """Kill the command, as a crash would."""
        if own := self.own:
            with suppress(psutil.NoSuchProcess):
                own.kill()
        await self._ended()

    async def stop(self) -> None:
        """Stop the command, if it was started."""
        if own := self.own:
            with suppress(psutil.NoSuchProcess):
                own.resume()  # a suspended process does not handle SIGTERM
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # the guard then stops the command
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
