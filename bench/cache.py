"""A cached departure board against a bare route that sends the same bytes, and against fastapi-cache2.

One worker each, the same client, rounds in turn; what is compared is the worker's CPU time per request, of which
throughput is the inverse as long as the worker is what limits it. Every ratio is a median over rounds.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.cached_board import PATH, QUERY
from bench.load import CONNECTIONS, Client, client

ROUNDS: Final = 9
REQUESTS: Final = 600
FEW_REQUESTS: Final = 16
"""Of the way that takes hundreds of times as long."""

OF_BARE: Final = 0.85
TIMES_USUAL: Final = 3.0


@dataclass
class Contestant:
    """One worker, asked in one way, and the CPU seconds that each round's requests took."""

    title: str
    worker: "subprocess.Popen[str]"
    client: Client
    requests: int
    seconds: list[float] = field(default_factory=list)

    def round(self) -> None:
        """Send the requests of one round."""
        before = self._cpu_s()
        self.client.send(self.requests)
        self.seconds.append((self._cpu_s() - before) / (self.requests + CONNECTIONS))

    def _cpu_s(self) -> float:
        if self.worker.stdin is None or self.worker.stdout is None:
            raise RuntimeError("the worker has no pipes")
        self.worker.stdin.write("\n")
        self.worker.stdin.flush()
        return float(self.worker.stdout.readline())


@contextmanager
def contestant(way: str, title: str, *, accept_encoding: str, data_dir: Path) -> Iterator[Contestant]:
    """Give a running worker that answers in that way, warm."""
    command = [sys.executable, "-m", "bench.cached_board", way, str(data_dir)]
    worker = subprocess.Popen(  # noqa: S603 our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        if worker.stdout is None:
            raise RuntimeError("the worker has no pipes")
        port = int(worker.stdout.readline())
        requests = FEW_REQUESTS if way == "fastapi-cache2" else REQUESTS
        with client(port, f"{PATH}?{QUERY}", accept_encoding=accept_encoding) as sending:
            sending.send(requests // 4)
            yield Contestant(title, worker, sending, requests)
    finally:
        worker.communicate()


def main(data_dir: Path) -> bool:
    """Print the table; return whether the goals are met."""
    with ExitStack() as running:

        def enter(way: str, title: str, coding: str) -> Contestant:
            entered = contestant(way, title, accept_encoding=coding, data_dir=data_dir)
            return running.enter_context(entered)

        bare = {coding: enter(f"bare-{coding}", "bare Starlette route", coding) for coding in ("identity", "zstd")}
        ours = {coding: enter("ours", "cached board, all instrumentation", coding) for coding in bare}
        uninstrumented = {
            coding: enter("ours-uninstrumented", "the same without instrumentation", coding) for coding in bare
        }
        usual = enter("fastapi-cache2", "fastapi-cache2 in memory, uninstrumented", "identity")
        everybody = [*bare.values(), *uninstrumented.values(), *ours.values(), usual]
        for number in range(ROUNDS):
            for one in everybody if number % 2 == 0 else reversed(everybody):
                one.round()

    table = Table(title="A departure board from the cache of the process")
    for column in ("answered by", "coding", "CPU per request", "throughput of the bare route kept"):
        table.add_column(column, justify="left" if column in {"answered by", "coding"} else "right")
    for coding, reference in bare.items():
        others = [uninstrumented[coding], ours[coding], *([usual] if coding == "identity" else [])]
        for one in (reference, *others):
            microseconds = f"{median(one.seconds) * 1e6:,.0f} µs"
            table.add_row(one.title, coding, microseconds, f"{_ratio(reference, one):.3f}")
    console = Console()
    console.print(table)
    met = []
    for coding, reference in bare.items():
        share = _ratio(reference, ours[coding])
        met.append(share >= OF_BARE)
        console.print(f"{share:.2f} of the bare route's throughput, {coding}; goal {OF_BARE:.2f}: {_verdict(met[-1])}")
    times = _ratio(usual, ours["identity"])
    met.append(times >= TIMES_USUAL)
    console.print(f"{times:,.0f} times fastapi-cache2's throughput; goal {TIMES_USUAL:.0f}: {_verdict(met[-1])}")
    return all(met)


def _ratio(one: Contestant, other: Contestant) -> float:
    """Return how many times as long the first takes as the second."""
    return median(first / second for first, second in zip(one.seconds, other.seconds, strict=True))


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"
