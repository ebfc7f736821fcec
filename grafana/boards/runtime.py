"""Runtime and dependencies: processes, upstream calls, and the servers that they use."""

from typing import Final

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import units
from grafana.board import Board, Section
from grafana.boards import postgres
from grafana.boards.infrastructure import edge, host, redis
from grafana.boards.upstream_calls import calls
from grafana.panels.table import Column, table
from grafana.panels.timeseries import time_series, with_legend_table
from grafana.query import ARM, arm_or_job, query, rows, top, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import Limits, Objectives

PROCESS: Final = f'job=~"$job", {ARM}'
EACH: Final = "{{arm}} {{instance}}"


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-runtime",
        title="Runtime and dependencies",
        question="Are the processes healthy, and if not, is a dependency the cause?",
        sections=[
            Section(title="", panels=[_processes(objectives.limits)]),
            Section(title="Process", panels=_process_series(objectives.limits)),
            Section(title="Upstream calls", panels=calls(objectives.limits)),
            Section(title="PostgreSQL", panels=postgres.server(), collapsed=True),
            Section(title="Redis", panels=redis(), collapsed=True),
            Section(title="Edge (Varnish)", panels=edge(), collapsed=True),
            Section(title="Host", panels=host(), collapsed=True),
        ],
        variables=("datasource", "jobs", "arm", "window"),
    ).build(objectives)


def _processes(limits: Limits) -> Table:
    by = "by (job, arm, instance)"

    def of_each(expr: str) -> str:
        return f"max {by} ({expr})"

    descriptors = f"process_open_fds{{{PROCESS}}} / process_max_fds{{{PROCESS}}}"
    return table(
        "Processes",
        "One row for each Python process. One process that is much younger than the others has restarted; 100% CPU "
        "of one core is the maximum a Python process can use; memory that only grows is a leak.",
        Column(
            title="Started",
            query=rows(of_each(f"process_start_time_seconds{{{PROCESS}}}") + " * 1000"),
            unit=units.WHEN,
        ),
        Column(
            title="CPU",
            query=rows(of_each(f"rate(process_cpu_seconds_total{{{PROCESS}}}[$window])")),
            unit=units.SHARE,
            decimals=1,
            bar=True,
        ),
        Column(
            title="Memory",
            query=rows(of_each(f"process_resident_memory_bytes{{{PROCESS}}}")),
            unit="decbytes",
            bar=True,
        ),
        Column(
            title="File descriptors",
            query=rows(of_each(descriptors)),
            unit=units.SHARE,
            decimals=2,
            thresholds=above_is_bad(limits.descriptor_ratio),
        ),
        Column(title="In flight", query=rows(of_each(f"http_requests_inprogress{{{PROCESS}}}")), unit="short"),
        Column(
            title="GC pauses",
            query=rows(f"sum {by} (rate(python_gc_pause_seconds_sum{{{PROCESS}}}[$window]))"),
            unit=units.SHARE,
            decimals=2,
        ),
        key={"job": "Job", "arm": "Arm", "instance": "Process"},
    ).height(9)


def _of_each_process(title: str, description: str, expression: str, *, unit: str) -> TimeSeries:
    """Return a line for each process, named by its arm and address."""
    return with_legend_table(time_series(title, description, query(arm_or_job(expression), EACH), unit=unit))


def _process_series(limits: Limits) -> list[TimeSeries]:
    return [
        _of_each_process(
            "CPU",
            "Share of one core that each process uses, the twelve highest. Python runs on one core at a time: near "
            "100% requests wait, and another process helps.",
            top_expr(f"rate(process_cpu_seconds_total{{{PROCESS}}}[$window])"),
            unit=units.SHARE,
        ),
        _of_each_process(
            "Memory",
            "Resident memory, the twelve largest processes. It rises while caches fill and then levels out; growth "
            f"over hours is a leak, and the alert MemoryGrowth fires at {limits.memory_growth_ratio:g} times the "
            "memory of six hours ago.",
            top(f"process_resident_memory_bytes{{{PROCESS}}}"),
            unit=units.BYTES,
        ),
        _of_each_process(
            "Garbage collection",
            "Share of the time in which garbage collection paused the process, the twelve highest. Good is below 1%; "
            "more means many long-lived objects, often whole result sets.",
            top_expr(f"sum by (job, arm, instance) (rate(python_gc_pause_seconds_sum{{{PROCESS}}}[$window]))"),
            unit=units.SHARE,
        ),
        _of_each_process(
            "Open file descriptors",
            "Files and sockets that each process has open, the twelve highest. The number follows connections; one "
            "that never falls is a leak of connections.",
            top(f"process_open_fds{{{PROCESS}}}"),
            unit=units.COUNT,
        ),
        _of_each_process(
            "Requests in flight",
            "Requests in progress in each process, the twelve highest. It is rate times duration, and grows with "
            "either.",
            top(f"http_requests_inprogress{{{PROCESS}}}"),
            unit=units.COUNT,
        ),
        _of_each_process(
            "Restarts in half an hour",
            f"Restarts of each process. A release is one; from {limits.restarts} on the alert RestartLoop fires.",
            top_expr(f"changes(process_start_time_seconds{{{PROCESS}}}[30m])"),
            unit=units.COUNT,
        ).axis_soft_max(limits.restarts),
    ]
