"""Every check, tried until it holds or the time is over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import monotonic, sleep
from typing import Final

import httpx

from lab.stack.addresses import Addresses
from lab.stack.check import Check, Finding, Visit, Wrong
from lab.stack.servers import monitoring_checks, server_checks
from lab.stack.signals import grafana_checks, signal_checks

PAUSE_S: Final = 1.0
ANSWER_WITHIN_S: Final = 10.0


def every_check() -> list[Check]:
    """Return the checks, in the order in which one fault explains the next."""
    return [*server_checks(), *monitoring_checks(), *grafana_checks(), *signal_checks()]


def verify(
    at: Addresses,
    *,
    boards: frozenset[str],
    wait_s: float,
    checks: Sequence[Check] | None = None,
    pause: Callable[[float], None] = sleep,
) -> Iterator[Finding]:
    """Yield what became of each check; together they wait no longer than `wait_s`, and each is tried once at least.

    Two requests are made: one that reads, and one that fails on purpose, both to the baseline arm.
    """
    deadline = monotonic() + wait_s
    with httpx.Client(timeout=ANSWER_WITHIN_S) as client:
        visit = Visit(client=client, at=at, boards=boards)
        for check in every_check() if checks is None else checks:
            if not (check.in_core or at.everything_runs):
                continue
            if not visit.read_trace:
                visit = _with_requests(visit)
            yield _finding(check, visit, deadline=deadline, pause=pause)


def _with_requests(visit: Visit) -> Visit:
    """Return the visit with the traces of two new requests, or as it was while the arm does not answer."""
    arm = visit.at["baseline"]
    try:
        read = visit.client.get(f"{arm}/airports/JFK/departures", params={"date": "2013-07-04"})
        failed = visit.client.post(f"{arm}/error")
    except httpx.HTTPError:
        return visit
    return replace(
        visit,
        read_trace=read.headers.get("x-trace-id", ""),
        failed_trace=failed.headers.get("x-trace-id", ""),
    )


def _finding(check: Check, visit: Visit, *, deadline: float, pause: Callable[[float], None]) -> Finding:
    while True:
        try:
            return Finding(part=check.part, claim=check.claim, ok=True, seen=check.seen(visit), fix="")
        except (Wrong, LookupError, TypeError, ValueError) as error:
            # A server of another version may answer in another form; that is a finding, not a crash.
            seen = str(error) if isinstance(error, Wrong) else f"an answer in another form: {error!r}"
        if monotonic() >= deadline:
            return Finding(part=check.part, claim=check.claim, ok=False, seen=seen, fix=check.fix)
        pause(PAUSE_S)
