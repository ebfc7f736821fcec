"""Connection pooling: connects that are spared, waits that appear instead, and who holds connections."""

from typing import Final

from grafana_foundation_sdk.builders.common import VizTextDisplayOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.panels.bars import bars
from grafana.panels.stat import stat
from grafana.panels.timeseries import logarithmic, stacked, time_series, with_threshold_line
from grafana.query import ARM, arm_or_job, instant, query
from grafana.thresholds import above_is_bad
from prometheus.slo import load

SINGLE_ROWS: Final = 'handler=~"/flights/[{]flight_id[}]|/airports/[{]faa[}]"'
"""Routes that do little else than one query: there a connect is a large part of the time."""


def dashboard() -> Dashboard:
    """Return the board about connection pools."""
    return Board(
        uid="flightdeck-pooling",
        title="Connection pooling",
        question="What do kept connections save, and does anybody wait for one?",
        sections=[
            Section(title="", panels=_overview()),
            Section(title="Waiting for a connection", panels=_waiting()),
            Section(title="Holding connections", panels=_holding()),
            Section(title="The database's own view", panels=_of_the_database()),
        ],
        variables=("datasource", "arm", "window"),
    ).build()


def _by_arm(series: str) -> str:
    """Return the sum of an arm's processes; what has no arm goes by its job's name."""
    return f"sum by (arm) ({arm_or_job(f'sum by (job, arm) ({series})')})"


def _quantile(q: float, metric: str) -> str:
    buckets = f"db_client_connection_{metric}_seconds_bucket{{{ARM}}}"
    by_job = arm_or_job(f"sum by (job, arm, le) (rate({buckets}[$window]))")
    return f"histogram_quantile({q:g}, sum by (arm, le) ({by_job}))"


def _overview() -> list[Builder[Panel]]:
    limit_s = load().limits.pool_wait_s
    timeouts = f"sum by (arm) (increase(db_client_connection_timeouts_total{{{ARM}}}[$__range]))"
    return [
        time_series(
            "Connects per second",
            "New database connections. Without a pool every session opens one; with a pool the line lies at zero after "
            "the first requests. A pool whose line does not stay there is too small, or recycles too often.",
            query(_by_arm(f"rate(db_client_connection_create_time_seconds_count{{{ARM}}}[$window])"), "{{arm}}"),
            unit=units.EVENTS_PER_SECOND,
        )
        .span(10)
        .height(9),
        bars(
            "Connects per 100 requests",
            "The same for equal traffic. Good is nearly nothing; around a hundred and more is a connect for every "
            "request.",
            instant(arm_or_job(f"100 * max by (job, arm) (arm:connects_per_request:5m{{{ARM}}})"), "{{arm}}"),
            unit=units.COUNT,
        )
        .decimals(0)
        .span(6)
        .height(9),
        stat(
            "Longest usual wait",
            f"p95 of the wait for a connection, of the arm that waits longest. Red from {limit_s:g} s on, where an "
            "alert fires: a pool that makes people wait is too small, or its connections are held for too long.",
            instant(f"max({_quantile(0.95, 'wait_time')})", "p95 of the wait"),
            unit=units.SECONDS,
        )
        .thresholds(above_is_bad(limit_s, warning=limit_s / 10))
        .text(VizTextDisplayOptions().value_size(40))
        .span(4)
        .height(9),
        stat(
            "Gave up",
            "Checkouts in the range of time that got no connection before the pool's timeout: their requests were "
            "answered 503. Good is zero.",
            instant(f"sum({timeouts})", "timeouts"),
            unit=units.COUNT,
        )
        .thresholds(above_is_bad(1))
        .text(VizTextDisplayOptions().value_size(40))
        .decimals(0)
        .span(4)
        .height(9),
    ]


def _waiting() -> list[Builder[Panel]]:
    limit_s = load().limits.pool_wait_s
    return [
        with_threshold_line(
            time_series(
                "Wait time, p95",
                "How long a checkout waited for a connection that somebody else had; connecting is not in it. Waits "
                "appear only with a pool: they are its price. The dashed line is the limit of the alert PoolWaitHigh.",
                query(_quantile(0.95, "wait_time"), "{{arm}}"),
                unit=units.SECONDS,
            ),
            above_is_bad(limit_s),
        ).span(8),
        time_series(
            "Waiting right now",
            "Checkouts that waited for a connection at their worst moment within the rate window. A queue that does "
            "not go away is a pool that is too small, or a leak.",
            query(_by_arm(f"max_over_time(db_client_connection_pending_requests{{{ARM}}}[$window])"), "{{arm}}"),
            unit=units.COUNT,
        )
        .axis_soft_max(1)
        .span(8),
        time_series(
            "Timeouts",
            "Checkouts per second that gave up; each is a request that was answered 503 within the pool's timeout "
            "instead of hanging. Good is zero; anything else fires the alert PoolExhausted.",
            query(_by_arm(f"rate(db_client_connection_timeouts_total{{{ARM}}}[$window])"), "{{arm}}"),
            unit=units.EVENTS_PER_SECOND,
        )
        .axis_soft_max(1)
        .span(8),
        logarithmic(
            "Connect time, p95",
            "What opening one connection takes: about a millisecond for a file, several for a server with TLS and a "
            "password. Times the connects above, this is what a pool saves.",
            query(_quantile(0.95, "create_time"), "{{arm}}"),
            unit=units.SECONDS,
        ).span(8),
        logarithmic(
            "Use time, p95",
            "How long a connection is kept from the pool to its return. Long uses are what others wait for: look for "
            "slow statements, and for work that is done while a connection is held.",
            query(_quantile(0.95, "use_time"), "{{arm}}"),
            unit=units.SECONDS,
        ).span(8),
        logarithmic(
            "Single rows: time to the last byte, p50",
            "Requests that do little else than one query; here a connect shows most. The gap between baseline and "
            "pooling is what the pool buys.",
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
        return _by_arm(f'max_over_time(db_client_connection_count{{{ARM}, state="{state}"}}[$window])')

    size = _by_arm(f"db_client_connection_max{{{ARM}}} < Inf")
    return [
        time_series(
            "Checked out against size",
            "Most connections that were in use at once, and the size of the pool with its overflow (dashed). Good "
            "keeps a "
            "distance; an arm without a pool has no limit, and every session its own connection.",
            query(most("used"), "{{arm}}"),
            query(size, "{{arm}} size"),
            unit=units.COUNT,
        ).override_by_regexp("/ size$/", [DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [6, 6]})]),
        time_series(
            "Kept idle",
            "Connections that wait in the pool to be used: what pooling costs the database, which keeps a process or "
            "memory for each. Arms without a pool keep none.",
            query(most("idle"), "{{arm}}"),
            unit=units.COUNT,
        ),
    ]


def _of_the_database() -> list[Builder[Panel]]:
    absent = "no PostgreSQL: the embedded database has no server"
    activity = 'pg_stat_activity_count{datname!~"template.*"}'
    return [
        stacked(
            time_series(
                "Connections by state, as PostgreSQL counts them",
                "What the server holds: active ones run a statement; idle ones wait in a pool; idle in transaction "
                "block "
                "others and should be rare. Pools of all processes add up here. On the embedded database it is empty.",
                query(f"sum by (state) ({activity})", "{{state}}"),
                unit=units.COUNT,
            )
        ).no_value(absent),
        with_threshold_line(
            time_series(
                "Room left in PostgreSQL",
                "Connections of all processes as a share of max_connections. Add the size and the overflow of every "
                "process's pool: the sum must stay below the dashed line, or new connections are refused.",
                query("sum(pg_stat_activity_count) / max(pg_settings_max_connections)", "in use"),
                unit=units.SHARE,
            ),
            above_is_bad(load().display_thresholds.server_connections_ratio),
        )
        .max(1)
        .no_value(absent),
    ]
