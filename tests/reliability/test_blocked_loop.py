"""A handler blocks the event loop: no request is served, but metrics are, and they name the route."""

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from observability import TelemetrySettings, instrument
from tests.reliability.effort import Effort
from tests.servers.asgi import serving

pytestmark = pytest.mark.usefixtures("detection_of_blocks")

SETTINGS: Final = TelemetrySettings(metrics_port=0, traces_exporter="none", log_format="none", access_log=False)
SCRAPE_EVERY_S: Final = 0.25
HANDLER: Final = "/sums/{number}"


def computing(seconds: float) -> FastAPI:
    """Return an application with a handler that computes for so long without yielding to the event loop."""
    app = FastAPI()

    @app.get(HANDLER)
    async def add(number: int) -> int:
        deadline = perf_counter() + seconds
        while perf_counter() < deadline:
            number += sum(range(1000))
        return number

    return app


def samples(metrics_url: str) -> dict[tuple[str, str], float]:
    """Scrape the metrics; return the values by name and handler."""
    text = httpx.get(metrics_url, headers={"Accept": "text/plain"}, timeout=60).raise_for_status().text
    families = text_string_to_metric_families(text)
    return {(one.name, one.labels.get("handler", "")): one.value for family in families for one in family.samples}


@pytest.mark.timeout(600)
def test_metrics_are_served_while_the_loop_is_blocked_and_name_the_blocking_route(effort: Effort) -> None:
    seconds = effort.choose(2.0, 30.0)
    app = computing(seconds)
    telemetry = instrument(app, settings=SETTINGS)
    stalls, times = [], []
    with serving(app) as url, ThreadPoolExecutor(1) as client:
        metrics_url = f"http://127.0.0.1:{telemetry.metrics_port}/metrics"
        response = client.submit(httpx.get, f"{url}/sums/1", timeout=120)
        while not response.done():
            began = perf_counter()
            seen = samples(metrics_url)
            times.append(perf_counter() - began)
            stalls.append(seen["event_loop_stall_seconds", ""])
            sleep(SCRAPE_EVERY_S)
        assert response.result().status_code == 200
        after = samples(metrics_url)

    blocked_s = {
        handler: value for (name, handler), value in after.items() if name == "event_loop_blocked_seconds_total"
    }
    assert len(times) > seconds, "metrics were served all the time"
    assert max(stalls) > 0.7 * seconds
    assert max(blocked_s, key=lambda handler: blocked_s[handler]) == HANDLER
    assert blocked_s[HANDLER] > 0.7 * seconds
    effort.record(
        "blocked event loop",
        "one handler computes",
        seconds=seconds,
        scrapes=len(times),
        slowest_scrape_ms=round(1000 * max(times)),
        longest_stall_seen_s=round(max(stalls), 1),
        attributed_to=HANDLER,
        attributed_s=round(blocked_s[HANDLER], 1),
    )
