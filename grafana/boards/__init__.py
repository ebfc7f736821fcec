"""Every board, in the order in which the menu should be read."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.boards import caching, start


def every_board() -> list[Dashboard]:
    """Return the boards, built."""
    return [module.dashboard() for module in (start, caching)]
