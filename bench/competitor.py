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
    """CPU seconds per request, by round."""
    per_second: list[float] = field(default_factory=list)
    """Requests in a second of the clock, by round."""

    def kept(self, reference: "CompetitorStats") -> list[float]:
        """Return which share of the reference's throughput this one keeps, by round, as CPU time limits it."""
        return [theirs / own for theirs, own in zip(reference.seconds, self.seconds, strict=True)]

    @property
    def microseconds(self) -> float:
        """The median CPU time of a request."""
        return median(self.seconds) * 1e6


@dataclass
class Competitor:
    """A running worker, its client, and where its figures go."""

    worker: "subprocess.Popen[str]"
    client: Client
    requests: int
    figures: CompetitorStats

    def round(self) -> None:
        """Send the requests of one round."""
        responses = self.requests + CONNECTIONS
        before, started = self._cpu_s(), perf_counter()
        self.client.send(self.requests)
        self.figures.per_second.append(responses / (perf_counter() - started))
        self.figures.seconds.append((self._cpu_s() - before) / responses)

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
    """Serves an arm of `bench.arms`, or something that talks like one."""
    path: str
    requests: int
    """In a round."""
    accept_encoding: str = "gzip"
    environ: Mapping[str, str] = field(default_factory=dict)


def measured(entries: Sequence[CompetitorSpec], *, starts: int, rounds: int) -> list[CompetitorStats]:
    """Return the figures of each entry, over so many starts of its worker and so many rounds of each.

    Two starts of one program differ by what its memory happens to look like, as much as by two percent, and no number
    of rounds in one of them shows it.
    """
    figures = [CompetitorStats(entry.title) for entry in entries]
    for _ in range(starts):
        with competitors(entries, figures) as running:
            for number in range(rounds):  # forwards and backwards, so that none is always the first
                for one in running if number % 2 == 0 else reversed(running):
                    one.round()
    return figures


@contextmanager
def competitors(entries: Sequence[CompetitorSpec], figures: Sequence[CompetitorStats]) -> Iterator[list[Competitor]]:
    """Give a running, warm worker for each entry; they start and stop side by side."""
    workers = [
        subprocess.Popen(  # noqa: S603 our own programs
            entry.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **entry.environ},
        )
        for entry in entries
    ]
    try:
        with ExitStack() as connected:
            yield [_warm(connected, *those) for those in zip(entries, workers, figures, strict=True)]
    finally:
        for worker in workers:
            if worker.stdin is not None:
                worker.stdin.close()
        for worker in workers:
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()


def _warm(
    connected: ExitStack, entry: CompetitorSpec, worker: "subprocess.Popen[str]", figures: CompetitorStats
) -> Competitor:
    if worker.stdout is None:
        raise RuntimeError("the worker has no pipes")
    port = int(worker.stdout.readline())
    sending = connected.enter_context(client(port, entry.path, accept_encoding=entry.accept_encoding))
    sending.send(max(entry.requests // 4, CONNECTIONS))
    return Competitor(worker, sending, entry.requests, figures)
