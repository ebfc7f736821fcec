"""The page that says what instrumentation costs, made from a measurement."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from bench.microbench import Step

GOALS: Final = {"ours-10": 0.85, "ours-10-log": 0.80, "ours-100": 0.60}
PACKAGES: Final = (
    "fastapi", "starlette", "uvicorn", "opentelemetry-sdk", "prometheus-client",
    "prometheus-fastapi-instrumentator", "sentry-sdk",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One arm's figures."""

    name: str
    title: str
    microseconds: float
    """CPU time of a request."""
    added: float
    """Microseconds more than without instrumentation."""
    kept: float
    """Share of the bare throughput."""
    quartiles: tuple[float, float]
    """Of the share, over the rounds."""
    per_second: float
    """Requests answered in a second."""


_TEXT: Final = """\
<!-- Made by `make bench-overhead RECORD=1`; edit bench/overhead_page.py instead. -->
# What instrumentation costs

You will see here what each signal takes from a small route's throughput, what the usual set of defaults takes, and what
`instrument()` takes. Repeat it on your machine:

```sh
make bench-overhead
```

You should now see the same table for your machine. The command fails if one of our rows keeps five points less of the
bare throughput than in `bench/overhead.json`, the baseline that was recorded with this page.

## Per signal

A FastAPI route with one path parameter and a model of three fields as its answer, served by one uvicorn worker on a
processor of its own; the client has another one. Every arm is a process that is started {starts} times, because two
starts of one program differ by up to two percent; each time they take turns, {rounds} rounds of {requests} requests on
eight connections, there and back: after a hundred of them a worker's code and data are back in the caches that the
others had used meanwhile. *CPU* is the median of the process's CPU time per request, with all of its threads.
*Kept* is the median over the rounds of the bare arm's CPU time divided by the arm's own: the share of the throughput
that is left, because the worker is what limits it. The range is that of the middle half of the rounds.

{rows}

The last arms are compared with a bare application that has 100 routes, too: its router takes longer, the
instrumentation does not.

{goals}

## Where our microseconds go

Each step alone, in a loop without a server, at its fastest. What the table above has beyond their sum is colder caches,
other programs on the same processors, and the coroutine around it all. A request in ten is sampled in the arms above.

{steps}

What a request does not pay for: no span object unless it is sampled, no SDK span unless something is added to it, no
label is resolved, no line is formatted, no exception is looked at unless there is one. Numbers are counted a
hundred requests at a time, log lines and the collector's bytes are made on threads of their own; those still
take CPU time, and it is in the table.

## Where it was measured

{machine}; {packages}.

## Verify

`make bench-overhead` prints no line below its table and exits with 0.

## Troubleshooting

`… keeps 0.71 of the bare throughput; it was 0.84`: something on the path of every request got slower, or other work
took the processor. Repeat it on a quiet machine; if it stays, `git bisect run make bench-overhead` finds the change.

`not a measurement: … exported nothing`: an arm that should trace did not. Start it by `python -m bench.arms NAME`, with
the collector's address in `BENCH_COLLECTOR`, and read what it says.
"""


def page(rows: Sequence[Row], steps: Sequence[Step], *, starts: int, rounds: int, requests: int) -> str:
    """Return the page in Markdown."""
    return _TEXT.format(
        starts=starts,
        rounds=rounds,
        requests=f"{requests:,}",
        rows=_table(
            ("arm", "CPU per request", "added", "kept", "middle half", "requests per second"),
            (
                (
                    row.title,
                    f"{row.microseconds:,.0f} µs",
                    "" if row.name == "bare" else f"{row.added:,.0f} µs",
                    f"**{row.kept:.2f}**" if row.name.startswith("ours") else f"{row.kept:.2f}",
                    f"{row.quartiles[0]:.2f} to {row.quartiles[1]:.2f}",
                    f"{row.per_second:,.0f}",
                )
                for row in rows
            ),
        ),
        goals="\n".join(_goal(row) for row in rows if row.name in GOALS),
        steps=_table(
            ("step", "module", "takes"),
            ((step.title, step.where, f"{step.microseconds:.1f} µs") for step in steps),
        ),
        machine=(
            f"Python {platform.python_version()} on {platform.system()}, {platform.machine()}, "
            f"{os.cpu_count()} processors, on which {os.getloadavg()[1]:.0f} programs wanted to run at a time"
        ),
        packages=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )


def _goal(row: Row) -> str:
    verdict = "met" if row.kept >= GOALS[row.name] else "missed"
    return f"- {row.title}: {row.kept:.2f}; the goal is {GOALS[row.name]:.2f}: **{verdict}**."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---" if number == 0 else "---:" for number in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
