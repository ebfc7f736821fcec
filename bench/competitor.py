"""Workers that each serve one variant, measured in alternation, and the cost of their responses."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from bench.load import CONNECTIONS, Client, client


@dataclass
class CompetitorStats:
    """Cost of the responses of one entry by round, with all threads of the worker."""

    title: str
    seconds: list[float] = field(default_factory=list)
    """CPU seconds per request."""
    per_second: list[float] = field(default_factory=list)
    """Requests per second of wall-clock time."""

    def kept(self, reference: "CompetitorStats") -> list[float]:
        """Return the share of the reference's throughput, by round, limited by CPU time."""
        return [theirs / own for theirs, own in zip(reference.seconds, self.seconds, strict=True)]

    @property
    def microseconds(self) -> float:
        """Median CPU time per request."""
        return median(self.seconds) * 1e6


@dataclass
class Competitor:
    """A running worker with its client and its statistics."""

    worker: "subprocess.Popen[str]"
    client: Client
    requests: int
    stats: CompetitorStats

    def round(self) -> None:
        """Measure one round."""
        responses = self.requests + CONNECTIONS
        before, started = self._cpu_s(), perf_counter()
        self.client.send(self.requests)
        self.stats.per_second.append(responses / (perf_counter() - started))
        self.stats.seconds.append((self._cpu_s() - before) / responses)

    def _cpu_s(self) -> float:
        if self.worker.stdin is None or self.worker.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self.worker.stdin.write("\n")
        self.worker.stdin.flush()
        return float(self.worker.stdout.readline())


@dataclass(frozen=True, kw_only=True)
class CompetitorSpec:
    """A competitor, and the requests to it."""

    title: str
    command: Sequence[str]
    """A worker with the protocol of `bench.arms`."""
    path: str
    requests: int
    """Per round."""
    accept_encoding: str = "gzip"
    environ: Mapping[str, str] = field(default_factory=dict)


def measured(specs: Sequence[CompetitorSpec], *, starts: int, rounds: int) -> list[CompetitorStats]:
    """Measure every variant in `rounds` rounds of each of `starts` processes.

    Two starts of one program differ by up to 2 % because of their memory layout; rounds of one process do not show it.
    """
    stats = [CompetitorStats(spec.title) for spec in specs]
    for _ in range(starts):
        with competitors(specs, stats) as running:
            for number in range(rounds):  # forwards and backwards, so that none is always the first
                for one in running if number % 2 == 0 else reversed(running):
                    one.round()
    return stats


@contextmanager
def competitors(specs: Sequence[CompetitorSpec], stats: Sequence[CompetitorStats]) -> Iterator[list[Competitor]]:
    """Start and warm up a worker for each variant; they start and stop concurrently."""
    workers = [
        subprocess.Popen(  # noqa: S603 our own programs
            spec.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **spec.environ},
        )
        for spec in specs
    ]
    try:
        with ExitStack() as connected:
            yield [_warm(connected, *those) for those in zip(specs, workers, stats, strict=True)]
    finally:
        for worker in workers:
            if worker.stdin is not None:
                worker.stdin.close()
        for worker in workers:
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()


def _warm(
    connected: ExitStack, spec: CompetitorSpec, worker: "subprocess.Popen[str]", stats: CompetitorStats
) -> Competitor:
    if worker.stdout is None:
        raise RuntimeError("the worker has no pipes")
    port = int(worker.stdout.readline())
    sending = connected.enter_context(client(port, spec.path, accept_encoding=spec.accept_encoding))
    sending.send(max(spec.requests // 4, CONNECTIONS))
    return Competitor(worker, sending, spec.requests, stats)
