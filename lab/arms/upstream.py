"""The upstream weather service, for experiments whose requests call it."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lab.arms.ports import free_ports
from lab.arms.process import SupervisedProcess
from lab.core.command import FLIGHTDECK


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
        await process.wait_until_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        await process.stop()
