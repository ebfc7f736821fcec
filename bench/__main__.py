"""`python -m bench [--record] [NAME...]`: run the named measurements, or all; exit with 1 if one misses its goals.

With `--record` it also writes `docs/benchmarks.md`, which publishes what all of them printed.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import cache, compression, list_page

MEASUREMENTS: Final[dict[str, Callable[[Path, Console], bool]]] = {
    "cache": cache.main,
    "compression": compression.main,
    "list-page": list_page.main,
}

DATA_DIR: Final = Path(".flightdeck")
PAGE: Final = Path("docs/benchmarks.md")
PACKAGES: Final = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "zstandard", "zlib-ng", "fastapi-cache2")
TEMPLATE: Final = Path(__file__).parent / "templates" / "benchmarks.md"


def main(arguments: list[str]) -> int:
    """Run the measurements; return the exit code."""
    names = [argument for argument in arguments if argument != "--record"]
    unknown = set(names) - set(MEASUREMENTS)
    records = "--record" in arguments
    if unknown or (records and names):
        sys.stderr.write(f"usage: python -m bench [--record | NAME...]; names are {', '.join(MEASUREMENTS)}\n")
        return 2
    flightdeck = str(Path(sys.executable).with_name("flightdeck"))
    subprocess.run([flightdeck, "data", "load", "--data-dir", str(DATA_DIR)], check=True)  # noqa: S603 our own program
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the workers have another one
    printed: dict[str, str] = {}
    results = []
    for name in names or MEASUREMENTS:
        console = Console(record=True, width=110)
        results.append(MEASUREMENTS[name](DATA_DIR, console))
        printed[name] = console.export_text()
    if records:
        PAGE.write_text(_page(printed))
    return 0 if all(results) else 1


def _page(printed: Mapping[str, str]) -> str:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
