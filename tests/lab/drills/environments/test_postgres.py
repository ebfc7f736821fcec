import asyncio
from pathlib import Path

import pytest

from lab.drills.environments.postgres import run_command
from lab.drills.run.errors import ProcessFailed

pytestmark = pytest.mark.anyio


async def test_a_command_that_fails_shows_the_end_of_its_output() -> None:
    with pytest.raises(ProcessFailed, match=r"(?s)initdb exited with code 3.*no space left"):
        await run_command("initdb", ["sh", "-c", "echo no space left >&2; exit 3"], {})


async def test_a_command_gets_its_environment(tmp_path: Path) -> None:
    await run_command("load", ["sh", "-c", f'printf %s "$DATABASE_URL" > {tmp_path}/seen'], {"DATABASE_URL": "here"})
    assert (tmp_path / "seen").read_text() == "here"


async def test_a_cancelled_command_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "late"
    task = asyncio.create_task(run_command("slow", ["sh", "-c", f"sleep 1; touch {mark}"], {}))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(1.2)
    assert not mark.exists()
