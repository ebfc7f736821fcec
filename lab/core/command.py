"""Commands of child processes, which find our packages wherever this process found them."""

import sys
from typing import Final

FLIGHTDECK: Final = (sys.executable, "-m", "flightdeck")

MODULE: Final = (sys.executable, "-m", "flightdeck.module")
"""Runs the module whose name follows; `python -m lab.…` finds it in a checkout only."""
