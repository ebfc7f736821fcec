"""What a person sees while the lab measures: a live table on a terminal, plain lines control."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.measure.metric import METRICS, ArmRound
from lab.report.formatting import quantity

SHOWN: Final = (
    "p50_s",
    "p95_s",
    "throughput_per_s",
    "queries_per_request",
    "connects_per_request",
    "bytes_per_response",
    "hit_ratio",
)
REFRESH_PER_S: Final = 4
VERDICT_STYLES: Final = {"helps": "green", "hurts": "red", "no difference seen": "yellow"}


class PlainLines:
    """Follows the measuring with one line for every phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = monotonic()

    def status(self, text: str) -> None:
        """Print what happens now."""
        self._console.print(f"[{monotonic() - self._begun:5.0f} s] {text}", markup=False, highlight=False)

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Print nothing: the phases say enough for a log."""


class LiveTable:
    """Follows the measuring with a table that shows each arm's latest figures."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._begun = monotonic()
        self._status = ""
        self._latest: dict[str, tuple[int, ArmRound]] = {}

    def status(self, text: str) -> None:
        """Show what happens now."""
        self._status = text
        self._live.update(self._drawn())

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Show the arm_round's figures."""
        self._latest[arm] = (round_, arm_round)
        self._live.update(self._drawn())

    def _drawn(self) -> RenderableType:
        now = Text.assemble((f"{monotonic() - self._begun:5.0f} s  ", "dim"), self._status)
        if not self._latest:
            return now
        shown = [metric for metric in METRICS if metric.name in SHOWN]
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("arm", style="bold")
        table.add_column("round", justify="right")
        for metric in shown:
            table.add_column(metric.title.removeprefix("latency, ").removeprefix("database "), justify="right")
        for arm, (round_, arm_round) in self._latest.items():
            table.add_row(arm, str(round_ + 1), *(quantity(metric.of(arm_round), metric.unit) for metric in shown))
        return Group(now, table)


@contextmanager
def live_progress(console: Console) -> Iterator[PlainLines | LiveTable]:
    """Give what follows the measuring on this console."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    with Live(console=console, refresh_per_second=REFRESH_PER_S, transient=True) as live:
        yield LiveTable(live)
