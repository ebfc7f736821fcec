"""`python -m bench.footprint`: what the package adds to FastAPI and uvicorn, as the table of docs/adopting.md.

Each row is a fresh environment with the newest versions. The import is timed after that of FastAPI, in CPU time; the
figure is the median of several processes.
"""

import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

PACKAGE: Final = str(Path(__file__).parents[1] / "observability")
ROWS: Final = {
    "FastAPI and uvicorn": "",
    "and `flightdeck-observability`": PACKAGE,
    "and its extras `otlp` and `sqlalchemy`": f"{PACKAGE}[otlp,sqlalchemy]",
    "and all of its extras": f"{PACKAGE}[celery,cli,httpx,meters,otlp,redis,sentry,sqlalchemy]",
}
IMPORTS: Final = 9
TIMED: Final = """
from time import process_time
import fastapi
started = process_time()
import observability
print(process_time() - started)
"""


def main() -> None:
    print("| environment | packages | MB | `import observability` |\n| --- | ---: | ---: | ---: |")  # noqa: T201 the output
    for row, requirement in ROWS.items():
        print(f"| {row} | {' | '.join(measured(requirement))} |")  # noqa: T201 the same


def measured(requirement: str) -> tuple[str, str, str]:
    """Return the number of packages, their size without bytecode, and the CPU time of the import."""
    with TemporaryDirectory() as environment:
        uv = [sys.executable, "-m", "uv", "--quiet"]
        output([*uv, "venv", "--clear", "--python", sys.executable, environment])
        output([*uv, "pip", "install", "--python", environment, *filter(None, ["fastapi", "uvicorn", requirement])])
        packages = Path(sysconfig.get_path("purelib", vars={"base": environment}))
        files = [path for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        size_mb = sum(path.stat().st_size for path in files) / 1e6
        number = len(list(packages.glob("*.dist-info")))
        if not requirement:
            return str(number), f"{size_mb:.0f}", ""
        command = [f"{environment}/bin/python", "-c", TIMED]
        seconds = [float(output(command)) for _ in range(IMPORTS + 1)][1:]  # the first one compiles
        return str(number), f"{size_mb:.0f}", f"{statistics.median(seconds):.2f} s"


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 our own commands


if __name__ == "__main__":
    main()
