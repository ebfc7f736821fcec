"""Runtime and dependencies: the processes, what they call, and what the servers beside them say about themselves."""

from typing import Final

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import units
from grafana.board import Board, Section
from grafana.boards import postgres
from grafana.boards.infrastructure import edge, host, redis
from grafana.boards.upstream_calls import calls
from grafana.panels.legend import with_legend_table
from grafana.panels.table import Column, table
from grafana.panels.timeseries import time_series
from grafana.query import ARM, arm_or_job, query, rows, top, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import load

PROCESS: Final = f'job=~"$job", {ARM}'
EACH: Final = "{{arm}} {{instance}}"
LIMITS: Final = load().limits


def dashboard() -> Dashboard:
    """Return the board about processes and what they depend on."""
    return Board(
        uid="flightdeck-runtime",
        title="Runtime and dependencies",
        question="Are the processes healthy, and is one of the things that they depend on the reason if not?",
        sections=[
            Section(title="", panels=[_processes()]),
            Section(title="Process", panels=[_cpu(), _memory(), _pauses(), _descriptors(), _under_way(), _restarts()]),
            Section(title="What the service calls", panels=calls()),
            Section(title="PostgreSQL", panels=postgres.server(), collapsed=True),
            Section(title="Redis", panels=redis(), collapsed=True),
            Section(title="Edge (Varnish)", panels=edge(), collapsed=True),
            Section(title="Host", panels=host(), collapsed=True),
        ],
        variables=("datasource", "jobs", "arm", "window"),
    ).build()


def _processes() -> Table:
    by = "by (job, arm, instance)"

    def of_each(expr: str) -> str:
        return f"max {by} ({expr})"

    descriptors = f"process_open_fds{{{PROCESS}}} / process_max_fds{{{PROCESS}}}"
    return table(
        "Processes",
        "One row for each Python process that is scraped. A young process beside old ones restarts; a full core is all "
        "that one process can use; memory that only grows is a leak.",
        Column(
            title="Started",
            query=rows(of_each(f"process_start_time_seconds{{{PROCESS}}}") + " * 1000"),
            unit=units.WHEN,
        ),
        Column(
            title="Processor",
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
            title="Descriptors",
            query=rows(of_each(descriptors)),
            unit=units.SHARE,
            decimals=2,
            thresholds=above_is_bad(LIMITS.descriptor_ratio),
        ),
        Column(title="Requests under way", query=rows(of_each(f"http_requests_inprogress{{{PROCESS}}}")), unit="short"),
        Column(
            title="Paused by GC",
            query=rows(f"sum {by} (rate(python_gc_pause_seconds_sum{{{PROCESS}}}[$window]))"),
            unit=units.SHARE,
            decimals=2,
        ),
        key={"job": "Job", "arm": "Arm", "instance": "Process"},
    ).height(9)


def _of_each_process(title: str, description: str, expression: str, *, unit: str) -> TimeSeries:
    """Return a line for each process, called by its arm and address, with their names beside the lines."""
    return with_legend_table(time_series(title, description, query(arm_or_job(expression), EACH), unit=unit))


def _cpu() -> TimeSeries:
    return _of_each_process(
        "Processor",
        "Share of one core that each process uses, the twelve busiest. Python runs on one core at a time: near "
        "100% requests wait, and another process is what helps.",
        top_expr(f"rate(process_cpu_seconds_total{{{PROCESS}}}[$window])"),
        unit=units.SHARE,
    )


def _memory() -> TimeSeries:
    return _of_each_process(
        "Memory",
        "Resident memory, the twelve largest processes. It rises while caches fill and then stays; what rises for "
        f"hours is a leak, and an alert fires at {LIMITS.memory_growth_ratio:g} times of six hours before.",
        top(f"process_resident_memory_bytes{{{PROCESS}}}"),
        unit=units.BYTES,
    )


def _pauses() -> TimeSeries:
    return _of_each_process(
        "Garbage collection",
        "Share of the time in which the garbage collector stopped the process, the twelve worst. Good is below 1%; "
        "more means many long-lived objects, often whole result sets.",
        top_expr(f"sum by (job, arm, instance) (rate(python_gc_pause_seconds_sum{{{PROCESS}}}[$window]))"),
        unit=units.SHARE,
    )


def _descriptors() -> TimeSeries:
    return _of_each_process(
        "Open descriptors",
        "Files and sockets that each process holds, the twelve largest. They follow connections; what never falls "
        "again is a connection that nobody closes.",
        top(f"process_open_fds{{{PROCESS}}}"),
        unit=units.COUNT,
    )


def _under_way() -> TimeSeries:
    return _of_each_process(
        "Requests under way",
        "Requests that each process is answering, the twelve busiest. Rate times duration: it grows when either does.",
        top(f"http_requests_inprogress{{{PROCESS}}}"),
        unit=units.COUNT,
    )


def _restarts() -> TimeSeries:
    return _of_each_process(
        "Restarts in half an hour",
        f"How often a process began anew. A release is one; from {LIMITS.restarts} on an alert fires, because "
        "something kills it again and again.",
        top_expr(f"changes(process_start_time_seconds{{{PROCESS}}}[30m])"),
        unit=units.COUNT,
    ).axis_soft_max(LIMITS.restarts)
