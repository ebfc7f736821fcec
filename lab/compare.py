"""Two running services, compared by the same method with only HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import httpx

from lab.analysis.condition import Condition
from lab.analysis.result import ExperimentResult, LabResult, SentResult
from lab.core.address import Address
from lab.core.errors import LabError
from lab.core.snapshot import Snapshot
from lab.experiments import Experiment
from lab.load.latencies import Latencies
from lab.measure.rounds import Progress
from lab.run import Comparison, Job, RunOptions, StartedArms, run
from lab.workload.secrets import redacted
from lab.workload.workload import Workload

COMPARISON: Final = "comparison"
"""Name of the only experiment in the result."""
MAX_NAMED: Final = 5
"""Kinds of requests in the name of the traffic."""


@dataclass(frozen=True, kw_only=True)
class RemoteService:
    """A service that the lab did not start."""

    name: str
    url: str
    metrics_url: str = ""
    """Empty: without metrics."""
    token: str = ""
    ca: str = ""
    """File with the certificate authorities to trust; empty: those of the system."""

    def check(self) -> None:
        """Do nothing: the lab has no process to check; a service that is down shows as failed requests."""

    async def snapshot(self) -> Snapshot:
        """Read the metrics, if any; raise `LabError` if they cannot be read."""
        if not self.metrics_url:
            return Snapshot({})
        tls = Address.of(self.metrics_url, ca=self.ca).tls() or True
        try:
            async with httpx.AsyncClient(timeout=5.0, verify=tls) as client:
                page = (await client.get(self.metrics_url)).raise_for_status().text
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LabError(f"no metrics at {self.metrics_url}: {error!r}") from error
        try:
            return Snapshot.parse(page)
        except ValueError as error:
            raise LabError(f"no metrics at {self.metrics_url}: not in the Prometheus text format") from error


async def compare(
    first: RemoteService,
    second: RemoteService,
    workload: Workload,
    options: RunOptions,
    progress: Progress,
    *,
    conditions: Sequence[Condition] = (),
) -> LabResult:
    """Return how the second service differs from the first; effects above 1 mean that the second is better.

    The metric of the first condition is the headline: rounds are added until its interval is narrow.
    """
    for service in (first, second):
        Address.of(service.url, ca=service.ca).tls()
        await service.snapshot()
    experiment = Experiment(
        name=COMPARISON,
        techniques=frozenset(),
        question=f"Is {second.url} better than {first.url}?",
        mix=_named([redacted(kind) for kind in workload.kinds]),
        headline=conditions[0].metric if conditions else "typical_s",
        costs=("cpu_per_request_s", "memory_bytes"),
        expects_statuses=True,
    )
    sides = {service.name: frozenset[str]() for service in (first, second)}
    job = Job(
        label=COMPARISON,
        status=f"comparing {second.url} with {first.url}",
        plan=replace(options.plan, workload=workload.encode(), ca=first.ca),
        comparisons=[Comparison(experiment=experiment, sides=sides)],
        start=partial(_running, first, second),
    )
    result = await run([job], options, progress)
    for found in result.techniques.values():
        found.sent = _sent(workload, found)
        found.conditions = [condition.judged(found.metrics.get(condition.metric)) for condition in conditions]
    return result


@asynccontextmanager
async def _running(*services: RemoteService) -> AsyncIterator[StartedArms]:
    yield StartedArms(arms=services)


def _named(kinds: Sequence[str]) -> str:
    more = len(kinds) - MAX_NAMED
    return ", ".join(kinds[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _sent(workload: Workload, found: ExperimentResult) -> list[SentResult]:
    whole = sum(request.weight for request in workload.requests)
    sent = []
    for kind in workload.kinds:
        templates = [request for request in workload.requests if request.kind == kind]
        first = templates[0]
        written = redacted(f"{first.method} {first.path}")
        body = f", body: {first.body_forms[0]}" if first.body_forms else ""
        more = f" and {len(templates) - 1} more of this kind" if len(templates) > 1 else ""
        off, on = (
            len(Latencies.decode(arm.latencies[kind])) if kind in arm.latencies else 0 for arm in (found.off, found.on)
        )
        unexpected_off, unexpected_on = (
            {
                status: count
                for key, count in arm.unexpected.items()
                for of_kind, _, status in [key.rpartition(": ")]
                if of_kind == kind
            }
            for arm in (found.off, found.on)
        )
        sent.append(
            SentResult(
                kind=kind,
                request=f"{written}{body}{more}",
                share=sum(request.weight for request in templates) / whole,
                expect=sorted({str(status) for request in templates for status in request.expect}),
                off=off,
                on=on,
                unexpected_off=unexpected_off,
                unexpected_on=unexpected_on,
            )
        )
    return sent
