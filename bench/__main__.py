"""`python -m bench [NAME...]`: run the named measurements, or all; exit with 1 if one misses its goals."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import cache, compression

MEASUREMENTS: Final[dict[str, Callable[[Path], bool]]] = {
    "cache": cache.main,
    "compression": compression.main,
}

DATA_DIR: Final = Path(".flightdeck")


def main(names: list[str]) -> int:
    """Run the measurements; return the exit code."""
    unknown = set(names) - set(MEASUREMENTS)
    if unknown:
        sys.stderr.write(f"no measurement {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}\n")
        return 2
    flightdeck = str(Path(sys.executable).with_name("flightdeck"))
    subprocess.run([flightdeck, "data", "load", "--data-dir", str(DATA_DIR)], check=True)  # noqa: S603 our own program
    results = [MEASUREMENTS[name](DATA_DIR) for name in names or MEASUREMENTS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
