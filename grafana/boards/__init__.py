"""Every board, in the order in which the menu should be read."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.boards import background, caching, database, monitoring, runtime, service, start

BOARDS: Final = (start, caching, database, background, service, runtime, monitoring)


def every_board() -> list[Dashboard]:
    """Return the boards, built."""
    return [module.dashboard() for module in BOARDS]
