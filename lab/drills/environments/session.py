"""What a command runs: ended in order by Ctrl-C and by SIGTERM, with what was seen until then."""

import asyncio
import signal
from collections.abc import Callable, Coroutine

from lab.drills.run.observe import Say
from lab.drills.run.outcome import Outcome, Seen

Work = Callable[[Seen], Coroutine[None, None, None]]
"""Runs drills and tells each outcome."""


def collected(work: Work, *, seen: Seen, say: Say) -> dict[str, Outcome]:
    """Return the outcomes by drill, fewer than asked for when somebody stopped the work."""
    outcomes: dict[str, Outcome] = {}

    def keep(outcome: Outcome) -> None:
        outcomes[outcome.drill] = outcome
        seen(outcome)

    async def stoppable() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await work(keep)

    try:
        asyncio.run(stoppable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; what was broken is repaired, and what was started has ended")
    return outcomes
