"""SLOs: how much of each error budget is left, and how fast it burns."""

from typing import Final

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from grafana import units
from grafana.panels.table import Column, table
from grafana.panels.timeseries import time_series, with_legend_table, with_threshold_line
from grafana.query import JOB, arm_or_job, query, rows, top
from grafana.thresholds import above_is_bad, below_is_bad
from prometheus.burn_rate import BURNS
from prometheus.slo import Objectives

PAGE: Final = max(burn.rate for burn in BURNS)
PAGE_SLOWLY: Final = min(burn.rate for burn in BURNS if burn.severity == "critical")
TICKET: Final = min(burn.rate for burn in BURNS)


def slos(objectives: Objectives) -> list[Table | TimeSeries]:
    return [_objectives(objectives), _burn("1h", PAGE), _burn("6h", PAGE_SLOWLY)]


def _objectives(objectives: Objectives) -> Table:
    def of_each(series: str) -> Dataquery:
        return rows(f"max by (group, sli) ({series}{{{JOB}}})")

    burning = above_is_bad(PAGE_SLOWLY, warning=TICKET)
    objective = "max by (group, sli) (slo:objective:ratio) and on (group, sli) slo:requests:rate5m"
    within = 'max by (group, sli) (slo:threshold_seconds:vector) and on (group, sli) slo:requests:rate5m{sli="latency"'
    panel = table(
        "SLOs",
        f"One row for each objective of slo.toml. Budget left is the share that remains over {objectives.window}; a "
        f"burn rate of 1 spends exactly the budget over that window, {PAGE:g} over an hour pages. Routes that no group "
        "lists are in the group rest.",
        Column(title="Objective", query=rows(f"{objective}{{{JOB}}}"), unit=units.SHARE, decimals=1),
        Column(title="Threshold", query=rows(f"{within}, {JOB}}}"), unit=units.SECONDS),
        Column(
            title="Budget left",
            query=of_each("slo:error_budget_remaining:ratio"),
            unit=units.SHARE,
            decimals=1,
            thresholds=below_is_bad(0, good=objectives.display_thresholds.budget_left_ratio),
        ),
        *(
            Column(
                title=f"Burn {window[:-1]} {window[-1]}",
                query=of_each(f"slo:burn_rate:ratio_rate{window}"),
                unit=units.FACTOR,
                decimals=1,
                thresholds=burning,
            )
            for window in ("5m", "1h", "6h", "3d")
        ),
        Column(title="Requests", query=of_each("slo:requests:rate5m"), unit=units.REQUESTS_PER_SECOND),
        key={"group": "Routes", "sli": "SLI"},
    )
    return panel.height(11).sort_by([TableSortByFieldState().display_name("Budget left")])


def _burn(window: str, limit: float) -> TimeSeries:
    panel = with_threshold_line(
        time_series(
            f"Burn rate over {window}",
            "Rate at which the error budget is spent, the twelve highest; 1 spends exactly the budget over the "
            f"window of the objective. Above the dashed line ({limit:g}), when the short window is above it too, an "
            "alert pages.",
            query(arm_or_job(top(f"slo:burn_rate:ratio_rate{window}{{{JOB}}}")), "{{slo}} {{arm}}"),
            unit=units.FACTOR,
        ),
        above_is_bad(limit),
    )
    return with_legend_table(panel).axis_soft_max(limit)
