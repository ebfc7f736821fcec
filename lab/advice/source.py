"""Where the metrics come from: a metrics endpoint, scraped for a while, or a Prometheus."""

import asyncio
import re
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import httpx

from lab.advice.window import Series, Window, increases
from lab.compare import RemoteService
from lab.core.errors import BadTarget, LabError
from lab.core.snapshot import Snapshot

SLICES: Final = 20
NEEDED: Final = (
    "whatif_.+",
    "process_cpu_seconds_total",
    "http_response_size_bytes_sum",
    "http_request_duration_seconds_(sum|count)",
    "http_client_(connect|request)_duration_seconds_(sum|count|bucket)",
    "db_queries_per_request_(sum|count)",
    "db_client_connection_(create|use)_time_seconds_(sum|count)",
    "event_loop_lag_seconds_(sum|count)",
)
"""Patterns of the metrics that predictions are made from."""
TARGET_LABELS: Final = frozenset({"job", "instance", "pod", "container", "namespace", "node"})
"""Added by Prometheus; the processes of a service are added up."""


async def scraped(url: str, *, seconds: float, progress: Callable[[str], None], slices: int = SLICES) -> Window:
    """Return the window of a metrics endpoint from now on."""
    service = RemoteService(name="service", url=url, metrics_url=url)
    started = monotonic()
    scrapes: list[tuple[float, Snapshot]] = [(0.0, _needed(await service.snapshot()))]
    if not any(name.startswith("whatif_") for name, _ in scrapes[0][1].samples):
        raise BadTarget(
            f"{url} has no what-if metrics; turn them on with instrument(app, whatif=True) or OBSERVABILITY_WHATIF=1"
        )
    for number in range(1, slices + 1):
        progress(f"observing: {seconds * (number - 1) / slices:.0f} of {seconds:.0f} s")
        await asyncio.sleep(max(0.0, started + seconds * number / slices - monotonic()))
        scrapes.append((monotonic() - started, _needed(await service.snapshot())))
    return Window.of(scrapes)


async def queried(
    prometheus_url: str, *, seconds: float, job: str, now: float, client: httpx.AsyncClient, slices: int = SLICES
) -> Window:
    """Return the window of a job that a Prometheus scrapes, before `now` in seconds since the epoch."""
    step = seconds / slices
    names = "|".join(NEEDED)
    quoted = job.replace("\\", "\\\\").replace('"', '\\"')
    parameters = {
        "query": f'{{__name__=~"{names}"' + (f', job="{quoted}"' if job else "") + "}",
        "start": f"{now - seconds:.3f}",
        "end": f"{now:.3f}",
        "step": f"{step:.3f}",
    }
    url = f"{prometheus_url.rstrip('/')}/api/v1/query_range"
    try:
        response = await client.get(url, params=parameters)
        document: Any = response.json()
        failure = "" if document["status"] == "success" else document["error"]
        found: list[Any] = [] if failure else document["data"]["result"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise LabError(f"no metrics from Prometheus at {prometheus_url}: {error!r}") from error
    if failure:
        raise LabError(f"Prometheus at {prometheus_url} rejected the query: {failure}")
    if not any(series["metric"]["__name__"].startswith("whatif_") for series in found):
        of_job = f" of the job {job!r}" if job else ""
        raise BadTarget(
            f"Prometheus at {prometheus_url} has no what-if metrics{of_job} in that time; turn them on with "
            "instrument(app, whatif=True) or OBSERVABILITY_WHATIF=1"
        )
    return _window(found, start=now - seconds, step=step, slices=slices)


def _window(found: list[Any], *, start: float, step: float, slices: int) -> Window:
    rows: list[dict[Series, float]] = [{} for _ in range(slices)]
    for series in found:
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        key = (name, frozenset((label, value) for label, value in labels.items() if label not in TARGET_LABELS))
        points = {round((float(at) - start) / step): float(value) for at, value in series["values"]}
        for number, row in enumerate(rows):
            if number in points and number + 1 in points:  # a series that begins in a slice has no increase there
                one = increases({key: points[number]}, {key: points[number + 1]})
                row[key] = row.get(key, 0.0) + one[key]
    return Window.of_increases(rows, seconds=[step] * slices)


def _needed(snapshot: Snapshot) -> Snapshot:
    pattern = re.compile("|".join(NEEDED))
    return Snapshot({key: value for key, value in snapshot.samples.items() if pattern.fullmatch(key[0])})
