"""Error budgets and multi-window, multi-burn-rate alerts, after the Google SRE workbook, chapter 5.

A burn rate of 1 spends exactly the error budget over the objective's window. The long window of an alert keeps it from
firing on a short burst of errors; the short one resolves it soon after the errors end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus import duration
from prometheus.promql import LATENCY, bucket
from prometheus.rule import Alert, Group, Recording, Severity
from prometheus.slo import Objectives, Sli, Slo

BY: Final = "sum by (job, arm)"
SERVED: Final = 'status!="client_disconnected"'
SHORTEST: Final = "5m"


@dataclass(frozen=True)
class Burn:
    """One pair of windows with the burn rate that both must exceed."""

    rate: float
    long: str
    short: str
    severity: Severity
    for_: str


# Share of a 30-day budget: 2 % in an hour, 5 % in six hours, 10 % in a day, 10 % in three days.
BURNS: Final = (
    Burn(14.4, "1h", "5m", "critical", "2m"),
    Burn(6, "6h", "30m", "critical", "15m"),
    Burn(3, "1d", "2h", "warning", "1h"),
    Burn(1, "3d", "6h", "warning", "3h"),
)
WINDOWS: Final = tuple(sorted({window for burn in BURNS for window in (burn.long, burn.short)}, key=duration.seconds))
COUNTED: Final = ("1h", "6h")
"""Windows in which failures are counted, so that an alert needs `min_failures` of them."""


def budget_rules(objectives: Objectives) -> Group:
    rules: list[Recording] = []
    for slo in objectives.slos():
        rules.extend(_counts(objectives, slo))
    rules.extend(
        _error_ratio(window, meaning=f"Share of requests that missed the objective over {window}, weighted by traffic.")
        for window in (*WINDOWS, objectives.window)
    )
    rules.extend(
        Recording(
            record=f"slo:burn_rate:ratio_rate{window}",
            expr=f"slo:errors:ratio_rate{window} / on (slo) group_left () (1 - slo:objective:ratio)",
            meaning=f"Burn rate over {window}; 1 spends exactly the budget over the objective's window.",
        )
        for window in WINDOWS
    )
    rules.append(
        Recording(
            record="slo:error_budget_remaining:ratio",
            expr=f"1 - slo:errors:ratio_rate{objectives.window} / on (slo) group_left () (1 - slo:objective:ratio)",
            meaning="Share of the error budget that is left; negative where the objective is missed.",
        )
    )
    return Group(name="slo", rules=rules)


def _counts(objectives: Objectives, slo: Slo) -> Iterator[Recording]:
    labels = {"slo": slo.name, "sli": slo.sli, "group": slo.group}
    yield Recording(
        record="slo:objective:ratio",
        expr=f"vector({slo.objective:g})",
        labels=labels,
        meaning="The objective: the share of good requests.",
    )
    if slo.threshold_s is not None:
        yield Recording(
            record="slo:threshold_seconds:vector",
            expr=f"vector({slo.threshold_s:g})",
            labels=labels,
            meaning="The latency threshold of the objective.",
        )
    yield Recording(
        record="slo:requests:rate5m",
        expr=_requests(objectives, slo, "rate", "5m"),
        labels=labels,
        meaning="Requests per second that the objective covers.",
    )
    yield Recording(
        record="slo:errors:rate5m",
        expr=_errors(objectives, slo, "rate", "5m"),
        labels=labels,
        meaning="Requests per second that missed the objective.",
    )
    for window in COUNTED:
        yield Recording(
            record=f"slo:errors:increase{window}",
            expr=_errors(objectives, slo, "increase", window),
            labels=labels,
            meaning=f"Requests that missed the objective in {window}.",
        )


def _requests(objectives: Objectives, slo: Slo, function: str, window: str) -> str:
    routes = objectives.selector(slo.group)
    if slo.threshold_s is None:
        return f"{BY} ({function}(http_requests_total{{{routes}, {SERVED}}}[{window}]))"
    return f"{BY} ({function}({LATENCY}_count{{{routes}}}[{window}]))"


def _errors(objectives: Objectives, slo: Slo, function: str, window: str) -> str:
    """Count missed requests; a counter without failures has no series, so the request rate times zero stands in."""
    routes = objectives.selector(slo.group)
    requests = _requests(objectives, slo, function, window)
    if slo.threshold_s is None:
        failed = f'{BY} ({function}(http_requests_total{{{routes}, status="5xx"}}[{window}]))'
        return f"{failed}\nor\n{requests} * 0"
    le = bucket(slo.threshold_s)
    in_time = f"{BY} ({function}({LATENCY}_bucket{{{routes}, {le}}}[{window}]))"
    return f"clamp_min({requests} - {in_time}, 0)"


def _error_ratio(window: str, *, meaning: str) -> Recording:
    """Divide sums of five-minute rates, which is cheap for long windows and weighted by traffic."""
    failed, covered = "slo:errors:rate5m", "slo:requests:rate5m"
    if window != SHORTEST:
        failed, covered = f"sum_over_time({failed}[{window}])", f"sum_over_time({covered}[{window}])"
    return Recording(record=f"slo:errors:ratio_rate{window}", expr=f"{failed} / ({covered} > 0)", meaning=meaning)


def burn_alerts(objectives: Objectives) -> Group:
    """Return the alerts; one rule covers all objectives of a kind."""
    return Group(
        name="error budget",
        rules=[_alert(objectives, sli, burn) for sli in ("availability", "latency") for burn in BURNS],
    )


def _alert(objectives: Objectives, sli: Sli, burn: Burn) -> Alert:
    match = f'{{sli="{sli}", {objectives.slo_jobs}}}'
    counted = burn.long if burn.long in COUNTED else COUNTED[-1]
    verb = "fail" if sli == "availability" else "are too slow"
    return Alert(
        name=f"{sli.capitalize()}BudgetBurn",
        severity=burn.severity,
        owner="service",
        expr=(
            f"slo:burn_rate:ratio_rate{burn.long}{match} > {burn.rate:g}\n"
            f"and slo:burn_rate:ratio_rate{burn.short}{match} > {burn.rate:g}\n"
            f"and slo:errors:increase{counted}{match} >= {objectives.min_failures}"
        ),
        for_=burn.for_,
        labels={"window": burn.long},
        summary=f"Too many {{{{ $labels.group }}}} requests {verb} on {{{{ $labels.arm }}}}",
        description=(
            f"The burn rate of the {sli} budget of {{{{ $labels.group }}}} was "
            f'{{{{ $value | printf "%.0f" }}}} over [{burn.long}] (limit {burn.rate:g}; '
            f"1 spends exactly the budget over [{objectives.window}])."
        ),
        dashboard="flightdeck-service?var-arm={{ $labels.arm }}",
        drill={"availability": "pool-exhausted", "latency": "slow-responses"}[sli] if burn is BURNS[0] else "",
        drill_exemption="" if burn is BURNS[0] else "the same rule with a longer window; a drill would take hours",
    )
