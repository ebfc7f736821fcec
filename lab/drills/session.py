"""Drills one after the other, ended in order by Ctrl-C and by SIGTERM alike."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.drills.drill import Drill
from lab.drills.run import Outcome, run_drill


def run_in_order(
    drills: Sequence[Drill], *, data_dir: Path, seen: Callable[[Outcome], None], say: Callable[[str], None]
) -> list[Outcome]:
    """Run the drills and return what was seen, shorter than asked for when somebody stopped it."""
    outcomes: list[Outcome] = []

    async def session() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        for drill in drills:
            say(f"drill {drill.name}")
            outcome = await run_drill(drill, data_dir=data_dir, say=say)
            outcomes.append(outcome)
            seen(outcome)

    try:
        asyncio.run(session())
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; every process of the drill has ended")
    return outcomes
