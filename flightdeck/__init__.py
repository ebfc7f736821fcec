"""The command line of Flightdeck.

In the wheel the packages `service`, `observability`, `lab`, `prometheus` and `grafana` are inside this one, because
names so common in `site-packages` would collide with those of an application. In a checkout they are beside it.
"""

import sys
from pathlib import Path
from typing import Final

_IN_THE_WHEEL: Final = Path(__file__).parent / "_packages"

ROOT: Final = _IN_THE_WHEEL if _IN_THE_WHEEL.is_dir() else Path(__file__).parents[1]
"""The directory of the other packages, of `slo.toml` and of `docs/runbooks`."""

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
