"""The outcome of drills, as tables on the terminal and as a Markdown page."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from lab.drills.run.drill import BaseDrill
from lab.drills.run.outcome import Outcome

WIDTH: Final = 160
"""Columns where the output is no terminal."""


def show(outcome: Outcome) -> None:
    """Print the timeline of one drill, and the annotations of its notifications."""
    console = _console()
    timeline = Table("seconds", "event", title=f"Drill {outcome.drill}", title_justify="left")
    since_fault = [event for event in outcome.events if event.at_s >= 0]
    for event in since_fault or outcome.events:
        timeline.add_row(f"{event.at_s:.1f}", str(event))
    console.print(timeline)
    for alert in outcome.alerts:
        annotations = alert.notification.get("annotations", {})
        for line in ("summary", "description", "runbook_url", "dashboard_url"):
            if annotations.get(line):
                console.print(f"  {annotations[line]}", highlight=False, soft_wrap=True)
    if outcome.failure:
        console.print(f"[red]failed:[/red] {outcome.failure}", highlight=False, soft_wrap=True)


def show_all(outcomes: Sequence[Outcome]) -> None:
    """Print one row for each alert of each drill."""
    table = Table("drill", "alert", "pending", "firing", "delivered", "resolved", "resolved notification", "also fired")
    for outcome in outcomes:
        for alert in outcome.alerts:
            times = (
                alert.pending_s,
                alert.firing_s,
                alert.delivered_s,
                alert.resolved_s,
                alert.resolution_delivered_s,
            )
            table.add_row(outcome.drill, alert.alert, *map(_seconds, times), ", ".join(outcome.also_fired))
    _console().print(table)


def show_list(drills: Sequence[BaseDrill]) -> None:
    table = Table("drill", "fault", "alerts that must fire")
    for drill in drills:
        table.add_row(drill.name, drill.description, ", ".join(drill.alerts))
    _console().print(table)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def _seconds(time: float | None) -> str:
    return "-" if time is None else f"{time:.1f} s"


def _runbook_link(alert: str) -> str:
    """Return the alert as a link to its runbook: `pool-exhausted.md` for `PoolExhausted`."""
    page = "".join(f"-{one.lower()}" if one.isupper() else one for one in alert.split(maxsplit=1)[0]).lstrip("-")
    return f"[{alert}](runbooks/{page}.md)"


def report(outcomes: Sequence[Outcome]) -> str:
    """Return docs/drills.md, which keeps the times of one run."""
    lines = [
        "<!-- Written by `make drills DRILLS='--report docs/drills.md'`. -->\n",
        "# Drills\n",
        "Each fault was injected on the embedded stack, with a real Prometheus and Alertmanager on accelerated rules",
        "(an hour lasts a minute). Firing and delivered count from the start of the fault, the others from its end.",
        "While Alertmanager or the receiver is down, nothing is delivered. [The alerts](alerts.md) say when each fires",
        "and which board shows why.\n",
        "| drill | fault | alert | firing | delivered | resolved | resolved notification |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        for alert in outcome.alerts:
            times = (alert.firing_s, alert.delivered_s, alert.resolved_s, alert.resolution_delivered_s)
            shown = " | ".join(map(_seconds, times))
            lines.append(f"| `{outcome.drill}` | {outcome.description} | {_runbook_link(alert.alert)} | {shown} |")
    failed = [f"- `{outcome.drill}`: {outcome.failure.splitlines()[0]}" for outcome in outcomes if outcome.failure]
    return "\n".join([*lines, *(["\nNot completed:\n", *failed] if failed else [])]) + "\n"
