"""The machine and the versions behind a result."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil
from pydantic import BaseModel

from lab.core.servers import Servers

NAMED_PACKAGES: Final = (
    "fastapi",
    "starlette",
    "uvicorn",
    "pydantic",
    "sqlalchemy",
    "aiosqlite",
    "asyncpg",
    "redis",
    "celery",
    "httptools",
    "uvloop",
)


class Environment(BaseModel):
    python: str
    system: str
    processor: str
    cores: int
    memory_bytes: int
    load_average: float | None
    """Over the last minute, at the start of the run; above 0.5 per core other programs were busy."""
    packages: dict[str, str]
    servers: dict[str, str] = {}
    """Kind of server by role: `database`, `replica`, `shared cache`, `task broker`."""


def environment(servers: Servers) -> Environment:
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cores=psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        packages={name: version(name) for name in NAMED_PACKAGES},
        servers=servers.described(),
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"
