"""Run every check until it passes or the time is over, and print the results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import monotonic, sleep
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.stack.addresses import Addresses
from lab.stack.check import Check, CheckContext, CheckFailed, CheckResult
from lab.stack.servers import monitoring_checks, server_checks
from lab.stack.signals import grafana_checks, signal_checks

RETRY_S: Final = 1.0
REQUEST_TIMEOUT_S: Final = 10.0


def all_checks() -> list[Check]:
    """Return the checks, ordered so that a fault comes before its consequences."""
    return [*server_checks(), *monitoring_checks(), *grafana_checks(), *signal_checks()]


def verify(
    addresses: Addresses,
    *,
    dashboards: frozenset[str],
    wait_s: float,
    checks: Sequence[Check] | None = None,
    pause: Callable[[float], None] = sleep,
) -> Iterator[CheckResult]:
    """Yield the result of each check; each is run at least once, and all retries together end after `wait_s`.

    Sends two requests to the baseline arm: one that reads, and one that fails on purpose.
    """
    deadline = monotonic() + wait_s
    with httpx.Client(timeout=REQUEST_TIMEOUT_S) as client:
        context = CheckContext(client=client, addresses=addresses, dashboards=dashboards)
        for check in all_checks() if checks is None else checks:
            if not (check.in_core or addresses.is_full_stack):
                continue
            if not context.read_trace_id:
                context = _with_requests(context)
            yield _result(check, context, deadline=deadline, pause=pause)


def _with_requests(context: CheckContext) -> CheckContext:
    """Return the context with the trace ids of two new requests, or unchanged while the arm is unreachable."""
    arm = context.addresses["baseline"]
    try:
        read = context.client.get(f"{arm}/airports/JFK/departures", params={"date": "2013-07-04"})
        failed = context.client.post(f"{arm}/error")
    except httpx.HTTPError:
        return context
    return replace(
        context,
        read_trace_id=read.headers.get("x-trace-id", ""),
        failed_trace_id=failed.headers.get("x-trace-id", ""),
    )


def _result(check: Check, context: CheckContext, *, deadline: float, pause: Callable[[float], None]) -> CheckResult:
    def result(*, ok: bool, message: str, fix: str) -> CheckResult:
        return CheckResult(service=check.service, description=check.description, ok=ok, message=message, fix=fix)

    while True:
        try:
            return result(ok=True, message=check.run(context), fix="")
        except CheckFailed as error:
            message = str(error)
        except (LookupError, TypeError, ValueError) as error:
            # Another version of a server may return another format: a failed check, not a crash.
            message = f"a response in an unknown format: {error!r}"
        if monotonic() >= deadline:
            return result(ok=False, message=message, fix=check.fix)
        pause(RETRY_S)


def print_results(results: Sequence[CheckResult], console: Console) -> None:
    """Print each check with what was observed, then the fix of each that failed."""
    table = Table("", "service", "check", "observed", box=None, pad_edge=False)
    for result in results:
        mark = Text("passed", "green") if result.ok else Text("failed", "bold red")
        table.add_row(mark, *map(Text, (result.service, result.description, result.message)))
    console.print(table)
    failed = [result for result in results if not result.ok]
    passed = f"{len(results) - len(failed)} checks passed"
    console.print(f"\n{passed}{f', {len(failed)} failed' if failed else ''}", markup=False)
    if failed and len(failed) == len(results):
        console.print("Is the stack running? `make up` starts it; `docker compose ps` lists it.", markup=False)
        return
    for result in failed:
        console.print(f"{result.service} {result.description} → {result.fix}", markup=False)
