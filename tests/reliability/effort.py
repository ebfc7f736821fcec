"""How long the reliability tests run, and the results that `make reliability` writes to the docs."""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

RESULTS: Final = Path(__file__).parents[2] / "docs" / "reliability.json"


class Effort:
    """Seconds in an ordinary run, full length with `RELIABILITY=1`."""

    def __init__(self) -> None:
        self.is_full = os.environ.get("RELIABILITY") == "1"
        self.soak_s = float(os.environ.get("SOAK") or (1800 if self.is_full else 6))
        self.cases = int(os.environ.get("CASES") or (28_000 if self.is_full else 400))

    def choose(self, short: float, full: float) -> float:
        """Return the value for this run."""
        return full if self.is_full else short

    def record(self, section: str, name: str, **figures: Any) -> None:
        """Write one row of a section of the page, if this is a full run."""
        if not self.is_full:
            return
        kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        kept.setdefault(section, {})[name] = figures
        text = json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False, sort_keys=True)
        RESULTS.write_text(text + "\n", "utf-8")


@pytest.fixture(scope="session")
def effort() -> Effort:
    """The length of this run, and where its results go."""
    return Effort()
