"""`python -m bench.footprint`: what the package adds to FastAPI and uvicorn, as the table of docs/adopting.md.

Each row is a fresh environment with the newest versions; the import time is the median of several processes.
"""

import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
PACKAGE: Final = REPOSITORY / "observability"
IMPORTS: Final = 9

ROWS: Final[dict[str, tuple[str, str]]] = {
    "FastAPI and uvicorn": ("", "fastapi"),
    "with `flightdeck-observability`": (str(PACKAGE), "fastapi, observability"),
    "with its extras `otlp` and `sqlalchemy`": (f"{PACKAGE}[otlp,sqlalchemy]", "fastapi, observability"),
    "with all of its extras": (
        f"{PACKAGE}[otlp,sentry,sqlalchemy,httpx,meters,redis,celery]",
        "fastapi, observability",
    ),
}

TIMED: Final = "from time import perf_counter; started = perf_counter(); import {}; print(perf_counter() - started)"


def main() -> None:
    print("| environment | packages | MB | `import` in s |\n| --- | --- | --- | --- |")  # noqa: T201 the output
    for row, (requirement, imported) in ROWS.items():
        packages, size_mb, import_s = measured(requirement, imported)
        print(f"| {row} | {packages} | {size_mb:.0f} | {import_s:.2f} |")  # noqa: T201 the output


def measured(requirement: str, imported: str) -> tuple[int, float, float]:
    """Return the number of packages, their size in MB without bytecode, and the seconds of the import."""
    with TemporaryDirectory() as directory:
        uv = [sys.executable, "-m", "uv", "--quiet"]
        requirements = ["fastapi", "uvicorn", *([requirement] if requirement else [])]
        run([*uv, "venv", "--clear", "--python", sys.executable, directory])
        run([*uv, "pip", "install", "--python", directory, *requirements])
        packages = Path(sysconfig.get_path("purelib", vars={"base": directory}))
        size_bytes = sum(
            path.stat().st_size for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc"
        )
        command = [f"{directory}/bin/python", "-c", TIMED.format(imported)]
        seconds = [float(run(command)) for _ in range(IMPORTS + 1)][1:]  # the first one compiles
        return len(list(packages.glob("*.dist-info"))), size_bytes / 1e6, statistics.median(seconds)


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 our own commands


if __name__ == "__main__":
    main()
