"""Mixed load on five arms, each with its own databases: the same requests at the same times."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lab.arms.databases import DATABASES, clone_databases
from lab.core.address import Address
from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.process import Process
from lab.load.client_state import ClientState
from lab.load.load import drive
from lab.load.load_model import OpenLoop, Phase
from lab.traffic.traffic import Traffic
from service.techniques import ARMS
from tests.servers.arm import WRITE_TOKEN
from tests.servers.arms import Arms

RATE_PER_S: Final = 2.0
"""To each arm; four times the rate in the compose stack, whose database server shares the processors."""


@asynccontextmanager
async def arms_on_own_databases(
    monitoring: Monitoring, data_dir: Path, *others: Process, collector: str = ""
) -> AsyncIterator[Arms]:
    """Run the arms, the other processes and the prepared monitoring for the duration of the block."""
    own = monitoring.directory / "arms"
    for arm, techniques in ARMS.items():
        await asyncio.to_thread((own / arm).mkdir, parents=True)
        written = DATABASES[0] if "indexes" in techniques else DATABASES[1]
        await asyncio.to_thread(clone_databases, data_dir, own / arm, written=written)
    arms = Arms(monitoring, data_dir, data_dir_of=own.joinpath, collector=collector)
    try:
        await asyncio.gather(monitoring.start(), arms.start(*others))
        yield arms
    finally:
        await arms.stop()
        await monitoring.stop()


async def send_traffic(arms: Arms, seconds: float) -> None:
    """Send the mixed load to every arm."""
    async with asyncio.TaskGroup() as group:
        for url in arms.urls.values():
            requests = Traffic("whole service", seed=1).requests(0)
            pace, state = OpenLoop(rate_per_s=RATE_PER_S), ClientState(token=WRITE_TOKEN)
            group.create_task(drive(Address.of(url), requests, pace, Phase(duration_s=seconds), state=state))
