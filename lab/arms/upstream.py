"""The upstream weather service, for experiments whose requests call it."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lab.arms.ports import free_ports
from lab.arms.process import SupervisedProcess
from lab.core.command import FLIGHTDECK

START_S: Final = 30.0
POLL_S: Final = 0.05


@asynccontextmanager
async def upstream(options: Sequence[str], *, data_dir: Path) -> AsyncIterator[str]:
    """Run the weather service and yield its URL; raise `ArmFailed` if it does not start."""
    process = SupervisedProcess("upstream")
    (port,) = free_ports(1)
    try:
        await process.start(
            (*FLIGHTDECK, "upstream", "--port", str(port), "--data-dir", str(data_dir), "--seed", "1", *options),
            environment=os.environ,
        )
        await _listening(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        await process.stop()


async def _listening(process: SupervisedProcess, port: int) -> None:
    try:
        async with asyncio.timeout(START_S):
            while True:
                process.check()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(POLL_S)
                else:
                    writer.close()
                    return
    except TimeoutError:
        raise process.failure(f"was not ready after {START_S:.0f} s") from None
