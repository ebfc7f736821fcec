import os
import sys
from pathlib import Path

import psutil
import pytest

from lab.arms.ports import free_ports
from lab.drills.run.errors import ProcessFailed
from lab.drills.run.process import Process

pytestmark = pytest.mark.anyio


@pytest.fixture
def web(tmp_path: Path) -> Process:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    return Process("web", command, ready_url=f"http://127.0.0.1:{port}/")


async def test_start_returns_when_ready_and_stop_when_the_process_has_exited(web: Process) -> None:
    await web.start()
    own = web.own
    assert own.is_running()
    await web.stop()
    assert not psutil.pid_exists(own.pid)
    assert not web.running


async def test_a_killed_process_starts_again_on_the_same_port(web: Process) -> None:
    try:
        await web.start()
        first = web.own.pid
        await web.kill()
        assert not psutil.pid_exists(first)
        await web.start()
        assert web.own.pid != first
    finally:
        await web.stop()


async def test_a_suspended_process_can_be_stopped(web: Process) -> None:
    await web.start()
    own = web.own
    own.suspend()
    await web.stop()
    assert not psutil.pid_exists(own.pid)


async def test_a_process_that_exits_during_its_start_shows_the_end_of_its_output() -> None:
    (port,) = free_ports(1)
    short = Process(
        "short", [sys.executable, "-c", "raise SystemExit('no thanks')"], ready_url=f"http://127.0.0.1:{port}"
    )
    with pytest.raises(ProcessFailed, match="no thanks"):
        await short.start()
    await short.stop()


async def test_a_process_gets_its_environment(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    write = f"open({str(tmp_path / 'seen')!r}, 'w').write(os.environ['DRILLED'])"
    serve = f"server.test(server.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')"
    script = f"import os; from http import server; {write}; {serve}"
    process = Process(
        "env", [sys.executable, "-c", script], ready_url=f"http://127.0.0.1:{port}/", environment={"DRILLED": "yes"}
    )
    try:
        await process.start()
        assert (tmp_path / "seen").read_text() == "yes"
        assert "DRILLED" not in os.environ
    finally:
        await process.stop()
