"""What requests recorded elsewhere have in common: their kinds, and what is left out of them."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lab.core.errors import BadTarget
from lab.workload.workload import RequestTemplate, Workload

MAX_REQUESTS: Final = 2000
"""Different requests; the most frequent ones are sent."""
MAX_KINDS: Final = 20
"""Each kind has its own metrics."""
OTHER: Final = "other"
VARIABLE: Final = re.compile(r"\d+|[0-9a-fA-F]{8,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=.*\d).{16,}")
"""A segment of a path that names one thing of many."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    workload: Workload
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""


def kind_of(method: str, target: str) -> str:
    """Return the method and the path, with `*` for segments that look like identifiers."""
    path = target.partition("?")[0]
    return f"{method} {'/'.join('*' if VARIABLE.fullmatch(part) else part for part in path.split('/'))}"


def imported(requests: Iterable[RequestTemplate], left_out: Counter[str], *, source: str) -> Imported:
    """Return the workload of these requests, equal ones joined; raise `BadTarget` without any."""
    joined: dict[str, RequestTemplate] = {}
    for request in requests:
        key = request.model_dump_json(exclude={"weight"})
        known = joined.get(key)
        joined[key] = request.model_copy(update={"weight": known.weight + request.weight}) if known else request
    if not joined:
        said = "; ".join(f"{count} {why}" for why, count in left_out.most_common())
        raise BadTarget(f"{source} has no request to send{f': left out {said}' if said else ''}")
    ranked = sorted(joined.values(), key=lambda request: -request.weight)
    if len(ranked) > MAX_REQUESTS:
        left_out["less frequent"] += len(ranked) - MAX_REQUESTS
    kept = ranked[:MAX_REQUESTS]
    weights = Counter[str]()
    for request in kept:
        weights[request.kind] += request.weight  # type: ignore[assignment]  # a Counter adds any numbers
    kinds = {kind for kind, _ in weights.most_common(MAX_KINDS)}
    named = [each if each.kind in kinds else each.model_copy(update={"name": OTHER}) for each in kept]
    notes = [f"{source}: left out {count} {why}" for why, count in left_out.items() if count]
    return Imported(workload=Workload(requests=named), notes=notes)
