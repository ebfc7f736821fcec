"""Failures of py-spy become reasons, and a real profile of a busy process names its function."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.arms.process import SupervisedProcess
from lab.core.errors import NotProfiled
from lab.profile import sampler
from lab.profile.sampler import INSTALL, PERMIT, CpuTimes, sampled
from lab.profile.stacks import cpu_by_stack
from tests.servers.program import missing

Stub = Callable[[str], None]
BUSY = """
print("busy", flush=True)
def squares(): return sum(number * number for number in range(10_000))
while True: squares()
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Return what installs a py-spy with this shell script; `$output` is the file it should write."""

    def put(script: str) -> None:
        program = tmp_path / "py-spy"
        program.write_text(
            f'#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\noutput=$2\n{script}\n', encoding="utf-8"
        )
        program.chmod(0o755)
        monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))

    return put


def reason(pids: tuple[int, ...] = (1,)) -> str:
    with pytest.raises(NotProfiled) as raised:
        asyncio.run(sampled(pids, seconds=1.0))
    return str(raised.value)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'Permission Denied: Try running again with elevated permissions' >&2; exit 1", PERMIT),
        ("echo 'Error: Operation not permitted (os error 1)' >&2; exit 1", PERMIT),
        ("echo 'This program requires root on OSX.' >&2; exit 1", PERMIT),
        ("echo >&2; echo 'Error: Failed to find a python interpreter' >&2; exit 1", "Failed to find a python inter"),
        ("exit 3", "it wrote nothing"),
        ("exit 0", "it wrote nothing"),
        (": > $output", "no thread at work"),
    ],
    ids=["denied", "not permitted", "macOS", "other", "silent", "without output", "without samples"],
)
def test_a_failure_is_a_reason(stub: Stub, script: str, expected: str) -> None:
    stub(script)
    assert expected in reason((1, 2))


def test_a_missing_profiler_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert reason() == INSTALL


def test_a_profiler_that_hangs_is_ended(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "GRACE_S", -1.0)
    monkeypatch.setattr(sampler, "STOP_S", 0.0)
    stub("exec sleep 600")
    assert "did not end within 0 s" in reason()


def test_the_samples_of_all_processes_are_added(stub: Stub) -> None:
    stub("echo 'thread (5): main;f (a.py:1) 2' > $output")
    assert asyncio.run(sampled([1, 2], seconds=1.0)) == {(5, ("f (a.py:1)",)): 4}


async def test_a_busy_function_is_found_in_a_running_process() -> None:
    process = SupervisedProcess("busy")
    try:
        await process.start([sys.executable, "-c", BUSY], environment=os.environ)
        while "busy" not in process.log() or process.own is None:
            process.check()
            await asyncio.sleep(0.01)
        pids = [process.own.pid]
        cpu = CpuTimes(pids)
        samples = await sampled(pids, seconds=1.0)
        threads_s, ended_s = cpu.since()
    except NotProfiled as error:
        missing(str(error))
    finally:
        await process.stop()
    assert any(frame.startswith("squares (") for _, stack in samples for frame in stack)
    stacks = cpu_by_stack(samples, threads_s, ended_cpu_s=ended_s)
    assert set(stacks) <= {("python: <module>",)}
    assert sum(stacks.values()) == pytest.approx(threads_s[pids[0]])
