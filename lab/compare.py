"""Two services that somebody else runs, compared by the same method with only HTTP."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

import httpx

from lab.analysis.outcome import compared, is_tight
from lab.analysis.result import LabResult
from lab.core.address import Address
from lab.core.errors import BadTarget, LabError
from lab.core.snapshot import Snapshot
from lab.experiments import Experiment
from lab.load.generator import Generator
from lab.measure.rounds import Measurement, Progress, Round, measure
from lab.run import RunOptions, empty_result

COMPARISON: Final = "comparison"
"""The name of the one experiment in the result."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service: where it answers, and where it shows its metrics if it does."""

    name: str
    url: str
    metrics_url: str = ""
    token: str = ""

    def check(self) -> None:
        """Know nothing of its process: a service that is gone shows in its answers."""

    async def snapshot(self) -> Snapshot:
        """Return its metrics now, empty where none were named; raise `LabError` where they cannot be read."""
        if not self.metrics_url:
            return Snapshot({})
        try:
            async with httpx.AsyncClient(timeout=5.0) as client:
                page = (await client.get(self.metrics_url)).raise_for_status().text
        except httpx.HTTPError as error:
            raise LabError(f"no metrics at {self.metrics_url}: {error!r}") from error
        try:
            return Snapshot.parse(page)
        except ValueError as error:
            raise LabError(f"no metrics at {self.metrics_url}: not in the Prometheus text format") from error


def parsed_request(text: str) -> tuple[str, str]:
    """Return the method and target of `GET /path` or `/path`; raise `BadTarget` for what cannot be asked often."""
    method, _, target = text.strip().rpartition(" ")
    method = method.strip().upper() or "GET"
    if method != "GET" or not target.startswith("/"):
        raise BadTarget(f"{text!r} can not be asked thousands of times; a request looks like 'GET /path?query'")
    return method, target


async def compare(
    first: Service, second: Service, requests: Sequence[tuple[str, str]], options: RunOptions, progress: Progress
) -> LabResult:
    """Return how the second service differs from the first: effects above 1 say that the second is better."""
    for service in (first, second):
        Address.of(service.url)
        await service.snapshot()
    begun = monotonic()
    result = empty_result(options)
    experiment = Experiment(
        name=COMPARISON,
        techniques=frozenset(),
        question=f"Is {second.url} better than {first.url}?",
        mix=", ".join(f"{method} {target}" for method, target in requests),
        headline="p95_s",
        costs=("cpu_per_request_s", "memory_bytes"),
    )

    def tight_enough(rounds: Sequence[Round]) -> bool:
        return is_tight(experiment.headline, rounds, off=first.name, on=second.name)

    plan = replace(options.plan, targets=tuple(requests))
    try:
        async with Generator() as generator:
            measured = await measure([first, second], plan, generator, progress=progress, tight_enough=tight_enough)
    except asyncio.CancelledError:
        measured = Measurement(is_interrupted=True)
    result.is_interrupted = measured.is_interrupted
    if measured.rounds:
        sides = {service.name: frozenset[str]() for service in (first, second)}
        result.techniques[experiment.name] = compared(experiment, measured, sides=sides)
    elif not measured.is_interrupted:
        result.skipped[experiment.name] = measured.failure
    result.duration_s = monotonic() - begun
    return result
