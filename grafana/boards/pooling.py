"""Connection pooling: connects saved, waits, connections checked out."""

from typing import Final

from grafana_foundation_sdk.builders.common import VizTextDisplayOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.panels.bars import bars
from grafana.panels.stat import stat
from grafana.panels.timeseries import logarithmic, stacked, time_series, with_legend_table, with_threshold_line
from grafana.query import ARM, arm_or_job, instant, query, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import DisplayThresholds, Limits, Objectives

SINGLE_ROWS: Final = 'handler=~"/flights/[{]flight_id[}]|/airports/[{]faa[}]"'
"""Routes that do little else than one query."""


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-pooling",
        title="Connection pooling",
        question="How many connects does pooling save, and does any request wait for a connection?",
        sections=[
            Section(title="", panels=_overview(objectives.limits)),
            Section(title="Waiting for a connection", panels=_waiting(objectives.limits)),
            Section(title="Connections in the pool", panels=_holding()),
            Section(title="Connections in PostgreSQL", panels=_of_the_database(objectives.display_thresholds)),
        ],
        variables=("datasource", "arm", "window"),
    ).build(objectives)


def _by_arm(series: str) -> str:
    """Return the sum over the processes of an arm, or of a job without arms."""
    return f"sum by (arm) ({arm_or_job(f'sum by (job, arm) ({series})')})"


def _quantile(q: float, metric: str) -> str:
    buckets = f"db_client_connection_{metric}_seconds_bucket{{{ARM}}}"
    by_job = arm_or_job(f"sum by (job, arm, le) (rate({buckets}[$window]))")
    return f"histogram_quantile({q:g}, sum by (arm, le) ({by_job}))"


def _overview(limits: Limits) -> list[Builder[Panel]]:
    limit_s = limits.pool_wait_s
    timeouts = f"sum by (arm) (increase(db_client_connection_timeouts_total{{{ARM}}}[$__range]))"
    return [
        time_series(
            "Connects per second",
            "New database connections. Without a pool every session opens one; with a pool the line is at zero after "
            "the first requests. A pool whose line does not stay there is too small, or recycles too often.",
            query(_by_arm(f"rate(db_client_connection_create_time_seconds_count{{{ARM}}}[$window])"), "{{arm}}"),
            unit=units.EVENTS_PER_SECOND,
        )
        .span(10)
        .height(9),
        bars(
            "Connects per 100 requests",
            "New database connections per 100 requests. Good is near zero; 100 or more is a connect for every request.",
            instant(arm_or_job(f"100 * max by (job, arm) (arm:connects_per_request:ratio_rate5m{{{ARM}}})"), "{{arm}}"),
            unit=units.COUNT,
        )
        .decimals(0)
        .span(6)
        .height(9),
        stat(
            "Pool wait, p95 (worst arm)",
            f"Wait for a connection on the arm with the longest wait. Red from {limit_s:g} s on, where the alert "
            "PoolWaitHigh fires: the pool is too small, or connections stay checked out for too long.",
            instant(f"max({_quantile(0.95, 'wait_time')})", "p95 of the wait"),
            unit=units.SECONDS,
        )
        .thresholds(above_is_bad(limit_s, warning=limit_s / 10))
        .text(VizTextDisplayOptions().value_size(40))
        .span(4)
        .height(9),
        stat(
            "Pool timeouts",
            "Checkouts in the time range that got no connection within the pool's timeout; their requests got 503. "
            "Good is zero.",
            instant(f"sum({timeouts})", "timeouts"),
            unit=units.COUNT,
        )
        .thresholds(above_is_bad(1))
        .text(VizTextDisplayOptions().value_size(40))
        .decimals(0)
        .span(4)
        .height(9),
    ]


def _waiting(limits: Limits) -> list[Builder[Panel]]:
    limit_s = limits.pool_wait_s
    return [
        with_threshold_line(
            time_series(
                "Pool wait, p95",
                "Time for which a checkout waited because all connections were in use; connecting is not included. "
                "Only a pool has waits: they are its cost. The dashed line is the threshold of the alert "
                "PoolWaitHigh.",
                query(_quantile(0.95, "wait_time"), "{{arm}}"),
                unit=units.SECONDS,
            ),
            above_is_bad(limit_s),
        ).span(8),
        time_series(
            "Pending checkouts",
            "Most checkouts that waited for a connection at once, within the rate window. A number that does not "
            "return to zero is a pool that is too small, or a leak.",
            query(_by_arm(f"max_over_time(db_client_connection_pending_requests{{{ARM}}}[$window])"), "{{arm}}"),
            unit=units.COUNT,
        )
        .axis_soft_max(1)
        .span(8),
        time_series(
            "Pool timeouts per second",
            "Checkouts that timed out; each is a request that got 503 within the pool's timeout instead of hanging. "
            "Good is zero; anything else fires the alert PoolExhausted.",
            query(_by_arm(f"rate(db_client_connection_timeouts_total{{{ARM}}}[$window])"), "{{arm}}"),
            unit=units.EVENTS_PER_SECOND,
        )
        .axis_soft_max(1)
        .span(8),
        logarithmic(
            "Connect time, p95",
            "Duration of one connect: about a millisecond for a file, several for a server with TLS and a password. "
            "Multiplied by the connects above, it is what a pool saves.",
            query(_quantile(0.95, "create_time"), "{{arm}}"),
            unit=units.SECONDS,
        ).span(8),
        logarithmic(
            "Use time, p95",
            "Time from checkout to return. Other requests wait during long uses: look for slow statements, and for "
            "other work that is done while a connection is checked out.",
            query(_quantile(0.95, "use_time"), "{{arm}}"),
            unit=units.SECONDS,
        ).span(8),
        logarithmic(
            "Single rows: time to the last byte, p50",
            "Requests that do little else than one query, where a connect is a large share of the time. The gap "
            "between baseline and pooling is what the pool saves.",
            query(
                "histogram_quantile(0.5, sum by (arm, le) "
                f"(rate(http_response_last_byte_seconds_bucket{{{ARM}, {SINGLE_ROWS}}}[$window])))",
                "{{arm}}",
            ),
            unit=units.SECONDS,
        ).span(8),
    ]


def _holding() -> list[Builder[Panel]]:
    def most(state: str) -> str:
        return _by_arm(
            f'max_over_time(db_client_connection_count{{{ARM}, db_client_connection_state="{state}"}}[$window])'
        )

    size = _by_arm(f"db_client_connection_max{{{ARM}}} < Inf")
    held = arm_or_job(f"sum by (job, arm, handler) (handler:connections_held:rate5m{{{ARM}}})")
    return [
        with_legend_table(
            time_series(
                "Connections held, by route",
                "Connections that each route holds on average, the twelve highest; their sum against the pool size is "
                "how full the pool is. A route that holds many runs slow statements, or does other work meanwhile.",
                query(top_expr(held), "{{arm}} {{handler}}"),
                unit=units.COUNT,
            )
        ).span(8),
        time_series(
            "Checked out, and pool size",
            "Most connections that were in use at once, and the pool size including overflow (dashed). Good keeps a "
            "distance; an arm without a pool has no limit, and each of its sessions has a connection of its own.",
            query(most("used"), "{{arm}}"),
            query(size, "{{arm}} size"),
            unit=units.COUNT,
        )
        .override_by_regexp("/ size$/", [DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [6, 6]})])
        .span(8),
        time_series(
            "Idle connections",
            "Checked-in connections that wait to be used: the cost of pooling for the database, which keeps a "
            "process or memory for each. Arms without a pool keep none.",
            query(most("idle"), "{{arm}}"),
            unit=units.COUNT,
        ).span(8),
    ]


def _of_the_database(display: DisplayThresholds) -> list[Builder[Panel]]:
    absent = "no PostgreSQL: the embedded database has no server"
    activity = 'pg_stat_activity_count{datname!~"template.*"}'
    return [
        stacked(
            time_series(
                "PostgreSQL connections by state",
                "Connections of the server, over the pools of all processes: active ones run a statement; idle ones "
                "wait in a pool; idle in transaction hold locks and should be rare. Empty on the embedded database.",
                query(f"sum by (state) ({activity})", "{{state}}"),
                unit=units.COUNT,
            )
        ).no_value(absent),
        with_threshold_line(
            time_series(
                "PostgreSQL connections used",
                "Connections of all processes as a share of max_connections. Add size and overflow of the pools of "
                "all processes: the sum must stay below the dashed line, or PostgreSQL rejects new connections.",
                query("sum(pg_stat_activity_count) / max(pg_settings_max_connections)", "in use"),
                unit=units.SHARE,
            ),
            above_is_bad(display.server_connections_ratio),
        )
        .max(1)
        .no_value(absent),
    ]
