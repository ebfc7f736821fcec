"""One worker that answers in one way, and what its answers cost it, round by round."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from bench.load import CONNECTIONS, Client, client


@dataclass
class Contestant:
    """A worker, its client, and the CPU seconds that each request of a round took, and all of its threads with it."""

    title: str
    worker: "subprocess.Popen[str]"
    client: Client
    requests: int
    seconds: list[float] = field(default_factory=list)
    """CPU seconds per request, by round."""
    per_second: list[float] = field(default_factory=list)
    """Requests in a second of the clock, by round."""

    def round(self) -> None:
        """Send the requests of one round."""
        answered = self.requests + CONNECTIONS
        before, started = self._cpu_s(), perf_counter()
        self.client.send(self.requests)
        self.per_second.append(answered / (perf_counter() - started))
        self.seconds.append((self._cpu_s() - before) / answered)

    def kept(self, reference: "Contestant") -> list[float]:
        """Return which share of the reference's throughput this one keeps, by round, as CPU time limits it."""
        return [theirs / own for theirs, own in zip(reference.seconds, self.seconds, strict=True)]

    @property
    def microseconds(self) -> float:
        """The median CPU time of a request."""
        return median(self.seconds) * 1e6

    def _cpu_s(self) -> float:
        if self.worker.stdin is None or self.worker.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self.worker.stdin.write("\n")
        self.worker.stdin.flush()
        return float(self.worker.stdout.readline())


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Who is to take part, and how it is asked."""

    title: str
    command: Sequence[str]
    """Serves an arm of `bench.arms`, or something that talks like one."""
    path: str
    requests: int
    """In a round."""
    accept_encoding: str = "gzip"
    environ: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def contestants(entries: Sequence[Entry]) -> Iterator[list[Contestant]]:
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
            yield [_warm(connected, entry, worker) for entry, worker in zip(entries, workers, strict=True)]
    finally:
        for worker in workers:
            if worker.stdin is not None:
                worker.stdin.close()
        for worker in workers:
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()


def _warm(connected: ExitStack, entry: Entry, worker: "subprocess.Popen[str]") -> Contestant:
    if worker.stdout is None:
        raise RuntimeError("the worker has no pipes")
    port = int(worker.stdout.readline())
    sending = connected.enter_context(client(port, entry.path, accept_encoding=entry.accept_encoding))
    sending.send(max(entry.requests // 4, CONNECTIONS))
    return Contestant(entry.title, worker, sending, entry.requests)


def in_turn(contestants: Sequence[Contestant], rounds: int) -> None:
    """Let everybody run so many rounds, there and back again, so that nobody is always the first."""
    for number in range(rounds):
        for one in contestants if number % 2 == 0 else reversed(contestants):
            one.round()
