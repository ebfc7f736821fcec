"""Figures that the checks find, kept beside the docs: `make reliability` writes them, a short run writes nothing."""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

KEPT_IN: Final = Path(__file__).parents[2] / "docs" / "reliability.json"


class Effort:
    """How long the checks take: seconds in an ordinary run, as long as the promises say with `RELIABILITY=1`."""

    def __init__(self) -> None:
        self.is_full = os.environ.get("RELIABILITY") == "1"
        self.soak_s = float(os.environ.get("SOAK") or (1800 if self.is_full else 6))
        self.cases = int(os.environ.get("CASES") or (28_000 if self.is_full else 400))

    def choose(self, short: float, full: float) -> float:
        """Return the one that fits."""
        return full if self.is_full else short

    def record(self, section: str, name: str, **figures: Any) -> None:
        """Keep the figures of one row of a section of the page, if this is a full run."""
        if not self.is_full:
            return
        kept = json.loads(KEPT_IN.read_text("utf-8")) if KEPT_IN.exists() else {}
        kept.setdefault(section, {})[name] = figures
        text = json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False, sort_keys=True)
        KEPT_IN.write_text(text + "\n", "utf-8")


@pytest.fixture(scope="session")
def effort() -> Effort:
    """How hard the checks try, and where their figures go."""
    return Effort()
