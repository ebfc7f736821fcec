"""Two running services, compared by the same method with only HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import httpx

from lab.analysis.result import LabResult
from lab.core.address import Address
from lab.core.errors import BadTarget, LabError
from lab.core.snapshot import Snapshot
from lab.experiments import Experiment
from lab.measure.rounds import Progress
from lab.run import Comparison, Job, RunOptions, StartedArms, run

COMPARISON: Final = "comparison"
"""Name of the only experiment in the result."""


@dataclass(frozen=True, kw_only=True)
class RemoteService:
    """A service that the lab did not start."""

    name: str
    url: str
    metrics_url: str = ""
    """Empty: without metrics."""
    token: str = ""

    def check(self) -> None:
        """Do nothing: the lab has no process to check; a service that is down shows as failed requests."""

    async def snapshot(self) -> Snapshot:
        """Read the metrics, if any; raise `LabError` if they cannot be read."""
        if not self.metrics_url:
            return Snapshot({})
        try:
            async with httpx.AsyncClient(timeout=5.0) as client:
                page = (await client.get(self.metrics_url)).raise_for_status().text
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LabError(f"no metrics at {self.metrics_url}: {error!r}") from error
        try:
            return Snapshot.parse(page)
        except ValueError as error:
            raise LabError(f"no metrics at {self.metrics_url}: not in the Prometheus text format") from error


def parsed_request(text: str) -> tuple[str, str]:
    """Return the method and target of `GET /path` or `/path`; raise `BadTarget` for anything else."""
    method, _, target = text.strip().rpartition(" ")
    method = method.strip().upper() or "GET"
    if method != "GET" or not target.startswith("/") or not (target.isascii() and target.isprintable()):
        raise BadTarget(f"{text!r} cannot be repeated thousands of times; a request looks like 'GET /path?query'")
    return method, target


async def compare(
    first: RemoteService,
    second: RemoteService,
    requests: Sequence[tuple[str, str]],
    options: RunOptions,
    progress: Progress,
) -> LabResult:
    """Return how the second service differs from the first; effects above 1 mean that the second is better."""
    for service in (first, second):
        Address.of(service.url)
        await service.snapshot()
    experiment = Experiment(
        name=COMPARISON,
        techniques=frozenset(),
        question=f"Is {second.url} better than {first.url}?",
        mix=", ".join(f"{method} {target}" for method, target in requests),
        headline="typical_s",
        costs=("cpu_per_request_s", "memory_bytes"),
    )
    sides = {service.name: frozenset[str]() for service in (first, second)}
    job = Job(
        label=COMPARISON,
        status=f"comparing {second.url} with {first.url}",
        plan=replace(options.plan, targets=tuple(requests)),
        comparisons=[Comparison(experiment=experiment, sides=sides)],
        start=partial(_running, first, second),
    )
    return await run([job], options, progress)


@asynccontextmanager
async def _running(*services: RemoteService) -> AsyncIterator[StartedArms]:
    yield StartedArms(arms=services)
