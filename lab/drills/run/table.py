"""What a drill showed, for a reader: its timeline, what the notification said, and the table of all drills."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from lab.drills.run.drill import Expectation
from lab.drills.run.outcome import Outcome

WIDTH: Final = 160
"""Columns where no terminal says how many there are."""


def show(outcome: Outcome) -> None:
    """Print the timeline of one drill and what a person would have seen."""
    console = _console()
    timeline = Table("seconds", "what happened", title=f"Drill {outcome.drill}", title_justify="left")
    ready = [event for event in outcome.events if event.at_s >= 0]
    for event in ready or outcome.events:
        timeline.add_row(f"{event.at_s:.1f}", f"{event.alert} {event.what}".strip())
    console.print(timeline)
    for alert in outcome.alerts:
        annotations = alert.notification.get("annotations", {})
        for line in ("summary", "description", "runbook_url", "dashboard"):
            if annotations.get(line):
                console.print(f"  {annotations[line]}", highlight=False, soft_wrap=True)
    if outcome.failure:
        console.print(f"[red]failed:[/red] {outcome.failure}", highlight=False, soft_wrap=True)


def show_all(outcomes: Sequence[Outcome]) -> None:
    """Print one row for each alert of each drill."""
    table = Table("drill", "alert", "pending", "firing", "delivered", "resolved", "said so", "also fired")
    for outcome in outcomes:
        for alert in outcome.alerts:
            times = (alert.pending_s, alert.firing_s, alert.delivered_s, alert.resolved_s, alert.delivered_resolved_s)
            shown = [seconds(time) for time in times]
            table.add_row(outcome.drill, alert.alert, *shown, ", ".join(outcome.also_fired))
    _console().print(table)


def show_list(drills: Sequence[Expectation]) -> None:
    """Print what each drill breaks, and which alerts must fire."""
    table = Table("drill", "what is broken", "alerts that must fire")
    for drill in drills:
        table.add_row(drill.name, drill.breaks, ", ".join(drill.alerts))
    _console().print(table)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def seconds(time: float | None) -> str:
    """Return the time as a reader expects it, or a dash for what was not seen."""
    return "-" if time is None else f"{time:.1f} s"


def _with_runbook(alert: str) -> str:
    """Return the alert with a link to its page: of `PoolExhausted` it is `pool-exhausted.md`."""
    page = "".join(f"-{one.lower()}" if one.isupper() else one for one in alert.split(maxsplit=1)[0]).lstrip("-")
    return f"[{alert}](runbooks/{page}.md)"


def report(outcomes: Sequence[Outcome]) -> str:
    """Return the page that keeps what the drills showed, as Markdown."""
    lines = [
        "<!-- Written by `make drills DRILLS='--report docs/drills.md'`. -->\n",
        "# Drills\n",
        "Each fault was caused for real on the embedded stack, with real Prometheus and Alertmanager on the compressed",
        "clock (an hour lasts a minute). Firing and delivered count from the fault, resolved from the repair. While",
        "Alertmanager or the receiver is the one that is away, nothing is delivered. [Every alert](alerts.md) says",
        "when it fires, and which board shows why.\n",
        "| drill | what was broken | alert | firing | delivered | resolved | said so |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        for alert in outcome.alerts:
            times = (alert.firing_s, alert.delivered_s, alert.resolved_s, alert.delivered_resolved_s)
            shown = " | ".join(seconds(time) for time in times)
            lines.append(f"| `{outcome.drill}` | {outcome.breaks} | {_with_runbook(alert.alert)} | {shown} |")
    failed = [f"- `{outcome.drill}`: {outcome.failure.splitlines()[0]}" for outcome in outcomes if outcome.failure]
    return "\n".join([*lines, *(["\nNot seen to its end:\n", *failed] if failed else [])]) + "\n"
