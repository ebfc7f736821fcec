"""Progress of a run: a live table on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.analysis.result import ExperimentResult
from lab.measure.metric import METRICS, ArmRound
from lab.report.formatting import Headline, quantity
from lab.report.observers import RunStep

SHOWN: Final = (
    "p50_s",
    "p95_s",
    "throughput_per_s",
    "queries_per_request",
    "connects_per_request",
    "bytes_per_request",
    "hit_ratio",
)
REFRESH_PER_S: Final = 4


class PlainLines:
    """Prints one line per status."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = monotonic()

    def status(self, text: str) -> None:
        self.say(f"[{monotonic() - self._started:5.0f} s] {text}")

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Print nothing: the status lines are enough for a log."""

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveTable:
    """Draws a table with the latest figures of each arm."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._started = monotonic()
        self._status = ""
        self._latest: dict[str, tuple[int, ArmRound]] = {}

    def status(self, text: str) -> None:
        self._status = text
        self._live.update(self._drawn())

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        self._latest[arm] = (round_, arm_round)
        self._live.update(self._drawn())

    def say(self, text: str) -> None:
        """Print above the table."""
        self._live.console.print(text, markup=False, highlight=False)

    def _drawn(self) -> RenderableType:
        now = Text.assemble((f"{monotonic() - self._started:5.0f} s  ", "dim"), self._status)
        if not self._latest:
            return now
        shown = [metric for metric in METRICS if metric.name in SHOWN]
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("arm", style="bold")
        table.add_column("round", justify="right")
        for metric in shown:
            table.add_column(metric.title, justify="right")
        for arm, (round_, arm_round) in self._latest.items():
            table.add_row(arm, str(round_ + 1), *(quantity(metric.of(arm_round), metric.unit) for metric in shown))
        return Group(now, table)


@contextmanager
def live_progress(console: Console) -> Iterator[PlainLines | LiveTable]:
    if not console.is_terminal:
        yield PlainLines(console)
        return
    with Live(console=console, refresh_per_second=REFRESH_PER_S, transient=True) as live:
        yield LiveTable(live)


class HeadlineObserver:
    """Prints the headline of each experiment as soon as it is measured."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    async def on_start(self, step: RunStep) -> None:
        """Print nothing: the status shows the experiment."""

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        if result is not None and result.headline in result.metrics:
            design = "" if step.part == "techniques" else f" [{step.title}]"
            self._say(f"{Headline.of(result)}{design}")
