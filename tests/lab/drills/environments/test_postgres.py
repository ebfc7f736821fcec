import asyncio
from pathlib import Path

import pytest

from lab.drills.environments.postgres import completed
from lab.drills.run.errors import ProcessFailed

pytestmark = pytest.mark.anyio


async def test_a_command_that_fails_says_its_last_words() -> None:
    with pytest.raises(ProcessFailed, match=r"(?s)initdb ended with code 3.*no space left"):
        await completed("initdb", ["sh", "-c", "echo no space left >&2; exit 3"], {})


async def test_a_command_sees_the_settings_it_was_given(tmp_path: Path) -> None:
    await completed("load", ["sh", "-c", f'printf %s "$DATABASE_URL" > {tmp_path}/seen'], {"DATABASE_URL": "here"})
    assert (tmp_path / "seen").read_text() == "here"


async def test_a_command_that_is_given_up_ends(tmp_path: Path) -> None:
    mark = tmp_path / "late"
    task = asyncio.create_task(completed("slow", ["sh", "-c", f"sleep 1; touch {mark}"], {}))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(1.2)
    assert not mark.exists()
