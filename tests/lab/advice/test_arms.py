"""The service's own arms, distinguished by the advice; in the process, without a port."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lab.advice.advise import advise
from lab.advice.window import Window
from lab.core.snapshot import Snapshot
from observability.core.settings import TelemetrySettings
from observability.testing import lifespan_client
from service.app import create_app
from tests.servers.arm import arm_settings

TELEMETRY = TelemetrySettings(metrics_exporter="none", access_log=False, log_format="none", whatif=True)
BOARD = "/airports/JFK/departures?date=2013-01-0{day}"
SLICES = 4


async def predictions(techniques: str, data_dir: Path) -> dict[str, str]:
    """Return the verdict on each technique of an arm that serves boards and flights."""
    registry = CollectorRegistry()
    app = create_app(arm_settings(techniques, data_dir), registry=registry, telemetry=TELEMETRY)
    async with lifespan_client(app) as client:
        for path in (BOARD.format(day=1), BOARD.format(day=2), "/flights/10"):  # routes, statements and caches
            (await client.get(path)).raise_for_status()
        scrapes = [(0.0, Snapshot.parse(generate_latest(registry).decode()))]
        for at in range(1, SLICES + 1):
            for path in (BOARD.format(day=1), BOARD.format(day=2), *(f"/flights/{flight}" for flight in range(1, 26))):
                (await client.get(path)).raise_for_status()
            scrapes.append((float(at), Snapshot.parse(generate_latest(registry).decode())))
    advice = advise(Window.of(scrapes), source=techniques)
    return {one.technique: one.verdict for one in advice.predictions}


@pytest.mark.anyio
async def test_the_arm_without_techniques_is_advised_what_the_optimized_one_has(few_flights: Path) -> None:
    baseline, optimized = [await predictions(techniques, few_flights) for techniques in ("none", "all")]
    differing = {name for name in baseline if baseline[name] == "helps" and optimized[name] == "no difference"}
    assert differing >= {"eager_loading", "pooling"}
    assert baseline["response_cache"] == "helps"
