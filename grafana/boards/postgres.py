"""PostgreSQL, from the metrics of its exporter; empty on the embedded database."""

from typing import Final

from grafana_foundation_sdk.builders.timeseries import Panel

from grafana import units
from grafana.panels.timeseries import stacked, time_series, with_threshold_line
from grafana.query import ARM, query, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import Limits

BY_TABLE: Final = "sum by (relname)"
TABLES: Final = 8
OWN: Final = 'datname!~"template.*|postgres"'
"""Excludes the databases that every server has."""


def indexes() -> list[Panel]:
    scans = {
        kind: f"{BY_TABLE} (rate(pg_stat_user_tables_{kind}[$window]))"
        for kind in ("seq_tup_read", "idx_tup_fetch", "seq_scan", "idx_scan")
    }
    by_index = f"{scans['idx_scan']} / ({scans['idx_scan']} + {scans['seq_scan']} > 0)"
    return [
        time_series(
            "Rows read without an index",
            "Rows that PostgreSQL read in scans of whole tables. A large table here lacks an index, or its "
            "statements cannot use it; small tables are cheaper to scan.",
            query(top_expr(scans["seq_tup_read"], number=TABLES), "{{relname}}"),
            unit=units.OPERATIONS_PER_SECOND,
        ).span(12),
        time_series(
            "Reads by index",
            "Share of the scans of a table that used an index. Good is near 100% for every large table.",
            query(top_expr(by_index, number=TABLES), "{{relname}}"),
            unit=units.SHARE,
        )
        .max(1)
        .span(12),
    ]


def replica(limits: Limits) -> list[Panel]:
    limit_s = limits.replica_lag_s
    return [
        with_threshold_line(
            time_series(
                "Replica lag",
                "Age of the data that readers of the replica see. Good is below a second; from the dashed line on "
                f"({limit_s:g} s) the alert ReplicaLag fires, and long before that the service reads from the "
                "primary.",
                query(f"max by (arm) (db_replication_lag_seconds{{{ARM}}})", "{{arm}}"),
                unit=units.SECONDS,
            ),
            above_is_bad(limit_s),
        ).span(8),
        stacked(
            time_series(
                "Reads by server and reason",
                "Reads by the server that ran them. On the replica they are fresh; on the primary because the "
                "replica is down or lagging, because a client reads its own writes, or to retry a read that failed "
                "on the replica.",
                query(f"sum by (role, reason) (rate(db_reads_total{{{ARM}}}[$window]))", "{{role}} {{reason}}"),
                unit=units.OPERATIONS_PER_SECOND,
            )
        ).span(8),
        time_series(
            "Replica up",
            "1 while the replica responds, 0 while it does not; then every read goes to the primary.",
            query(f"min by (arm) (db_replica_up{{{ARM}}})", "{{arm}}"),
            unit=units.COUNT,
        )
        .max(1)
        .span(8),
    ]


def server() -> list[Panel]:
    hits = f"sum by (datname) (rate(pg_stat_database_blks_hit{{{OWN}}}[$window]))"
    reads = f"sum by (datname) (rate(pg_stat_database_blks_read{{{OWN}}}[$window]))"
    used = "sum by (job, instance) (pg_stat_activity_count)"
    return [
        time_series(
            "PostgreSQL connections used",
            "Open connections as a share of max_connections. The pools of all arms count; near 100% PostgreSQL "
            "rejects new ones.",
            query(f"topk(4, {used} / on (job, instance) pg_settings_max_connections)", "{{job}} {{instance}}"),
            unit=units.SHARE,
        ),
        time_series(
            "Transactions",
            "Commits and rollbacks per second. Rollbacks are failed requests, or readers that never commit.",
            query(f"sum(rate(pg_stat_database_xact_commit{{{OWN}}}[$window]))", "committed"),
            query(f"sum(rate(pg_stat_database_xact_rollback{{{OWN}}}[$window]))", "rolled back"),
            unit=units.OPERATIONS_PER_SECOND,
        ),
        time_series(
            "Buffer cache hit ratio",
            "Share of blocks that were in PostgreSQL's buffer cache. Good is above 99%; below, the disk decides how "
            "long statements take.",
            query(f"topk(4, {hits} / ({hits} + {reads} > 0))", "{{datname}}"),
            unit=units.SHARE,
        ).max(1),
        time_series(
            "Locks and deadlocks",
            "Locks that are held, by mode, and deadlocks that the server ended. A growing number of locks is a "
            "transaction that was left open.",
            query("topk(8, sum by (mode) (pg_locks_count))", "{{mode}}"),
            query("sum(rate(pg_stat_database_deadlocks[$window]))", "deadlocks per second"),
            unit=units.COUNT,
        ),
    ]
