"""The overhead of instrumentation, as `make bench-overhead RECORD=1` recorded it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

RECORDED: Final = Path(__file__).parents[1] / "bench" / "overhead.json"


def overhead_page() -> Mapping[str, Any]:
    recorded = json.loads(RECORDED.read_text("utf-8"))
    arms, parts = recorded["arms"], recorded["parts"]
    return {
        "starts": recorded["starts"],
        "rounds": recorded["rounds"],
        "requests": f"{recorded['requests']:,}",
        "rows": _figures(
            ("arm", "CPU per request", "added", "kept", "middle half", "requests per second"),
            (_row(name, arm) for name, arm in arms.items()),
        ),
        "goals": "\n".join(
            f"- {goal['sentence']}: **{'met' if goal['met'] else 'missed'}**." for goal in recorded["goals"]
        ),
        "parts": _figures(
            ("with", "modules", "request's thread", "this part", "other threads"),
            (_part(previous, part) for previous, part in pairwise([None, *parts])),
        ),
        "alternatives": _figures(
            ("a sampled request", "request's thread", "other threads"),
            (
                (part["title"], *map(_us, (part["request_us"], part["export_us"])))
                for part in (*parts[-2:], *recorded["alternatives"])
            ),
        ),
        "kept": {name: f"{arm['kept']:.2f}" for name, arm in arms.items()},
        "machine": recorded["machine"],
        "packages": ", ".join(f"{name} {version}" for name, version in recorded["packages"].items()),
    }


def _row(name: str, arm: Mapping[str, Any]) -> Sequence[str]:
    kept = f"{arm['kept']:.2f}"
    low, high = arm["quartiles"]
    return (
        arm["title"],
        f"{arm['microseconds']:,.0f} µs",
        "" if name == "bare" else f"{arm['added']:,.0f} µs",
        f"**{kept}**" if name.startswith(("ours", "whatif")) else kept,
        f"{low:.2f} to {high:.2f}",
        f"{arm['per_second']:,.0f}",
    )


def _part(previous: Mapping[str, Any] | None, part: Mapping[str, Any]) -> Sequence[str]:
    added = "" if previous is None else _us(part["request_us"] - previous["request_us"])
    return part["title"], part["where"], _us(part["request_us"]), added, _us(part["export_us"])


def _us(microseconds: float) -> str:
    return f"{microseconds:.1f} µs"


def _figures(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose columns after the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
