"""The page that publishes what the benchmarks printed."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "zstandard", "zlib-ng", "fastapi-cache2")

TEMPLATE: Final = Path(__file__).parent / "templates" / "benchmarks.md"


def page(printed: Mapping[str, str]) -> str:
    """Return the page in Markdown."""
    return TEMPLATE.read_text("utf-8").format(
        **{
            name.replace("-", "_"): "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
            for name, text in printed.items()
        },
        python=platform.python_version(),
        system=platform.system(),
        machine=platform.machine(),
        processors=os.cpu_count(),
        packages=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )
