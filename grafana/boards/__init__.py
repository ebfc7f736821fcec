"""Every board, in the order of the menu."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.boards import (
    advice,
    background,
    caching,
    compression,
    database,
    lab,
    monitoring,
    pooling,
    runtime,
    service,
    start,
)
from prometheus.slo import Objectives

BOARDS: Final = (start, caching, pooling, compression, database, background, service, advice, runtime, monitoring, lab)


def every_board(objectives: Objectives) -> list[Dashboard]:
    return [module.dashboard(objectives) for module in BOARDS]
