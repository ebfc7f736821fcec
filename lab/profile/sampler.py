"""py-spy, which samples the stacks of running processes from outside."""

import asyncio
import re
import signal
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from lab.core.errors import NotProfiled
from lab.profile.stacks import Sample, samples_of

RATE_PER_S: Final = 200
"""Of each thread. A sample stops the process for some tenths of a millisecond."""
GRACE_S: Final = 30.0
"""For the start of py-spy, which reads the symbols of the process, and for its output."""
STOP_S: Final = 2.0
INSTALL: Final = "py-spy is not installed (pip install py-spy)"
PERMIT: Final = (
    "py-spy is not permitted to read other processes; run the lab as root, set kernel.yama.ptrace_scope to 0, or give "
    "its container the capability SYS_PTRACE"
)
_DENIED: Final = re.compile(
    r"permission denied|operation not permitted|os error (?:1|13)\b|requires root", re.IGNORECASE
)


async def sampled(pids: Sequence[int], *, seconds: float) -> Counter[Sample]:
    """Sample these processes and their children; raise `NotProfiled` with the reason if that is not possible."""
    program = _program()
    with tempfile.TemporaryDirectory(prefix="lab-profile-") as directory:
        ended = await asyncio.gather(
            *(_recorded(program, pid, Path(directory, str(pid)), seconds) for pid in pids), return_exceptions=True
        )
    samples = Counter[Sample]()
    for each in ended:
        if isinstance(each, BaseException):
            raise each
        samples.update(each)
    if not samples:
        raise NotProfiled("py-spy found no thread at work")
    return samples


def _program() -> Path:
    """Return py-spy of this environment."""
    program = Path(sysconfig.get_path("scripts"), "py-spy")
    if not program.exists():
        raise NotProfiled(INSTALL)
    return program


class CpuTimes:
    """CPU time of processes and of their threads since this object was made, in seconds."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._processes_s, self._threads_s = self._now()

    def since(self) -> tuple[dict[int, float], float]:
        """Return the CPU time of each thread, and that of all threads that have ended."""
        processes_s, threads_s = self._now()
        spent_s = {thread: now_s - self._threads_s.get(thread, 0.0) for thread, now_s in threads_s.items()}
        all_s = sum(now_s - self._processes_s.get(process, 0.0) for process, now_s in processes_s.items())
        return spent_s, max(0.0, all_s - sum(spent_s.values()))

    def _now(self) -> tuple[dict[int, float], dict[int, float]]:
        processes_s: dict[int, float] = {}
        threads_s: dict[int, float] = {}
        for process in _with_children(self._pids):
            with suppress(psutil.Error):
                times = process.cpu_times()
                processes_s[process.pid] = times.user + times.system
                threads_s |= {thread.id: thread.user_time + thread.system_time for thread in process.threads()}
        return processes_s, threads_s


def _with_children(pids: Sequence[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)


async def _recorded(program: Path, pid: int, output: Path, seconds: float) -> Counter[Sample]:
    process = await asyncio.create_subprocess_exec(
        *(program, "record", "--pid", str(pid), "--subprocesses", "--threads", "--function", "--full-filenames"),
        *("--format", "raw", "--output", str(output)),
        *("--duration", str(max(1, round(seconds))), "--rate", str(RATE_PER_S)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only the lab, which stops its children in order
    )
    try:
        async with asyncio.timeout(seconds + GRACE_S):
            _, log = await process.communicate()
    except TimeoutError:
        raise NotProfiled(f"py-spy did not end within {seconds + GRACE_S:.0f} s") from None
    finally:
        await _stopped(process)
    return _samples(output, code=process.returncode, log=log.decode(errors="replace"))


async def _stopped(process: asyncio.subprocess.Process) -> None:
    """End py-spy by the signal that lets it detach from the process; kill it if it does not end."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()


def _samples(output: Path, *, code: int | None, log: str) -> Counter[Sample]:
    if code or not output.exists():
        raise NotProfiled(_reason(log))
    return samples_of(output.read_text(encoding="utf-8", errors="replace"))


def _reason(log: str) -> str:
    if _DENIED.search(log):
        return PERMIT
    said = next((line for line in log.splitlines() if line.strip()), "it wrote nothing")
    return f"py-spy failed: {said.removeprefix('Error: ').strip()}"
