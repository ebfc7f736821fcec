"""Metrics of other programs that boards may read, by name: a misspelled one is found without running the program."""

from typing import Final

EXPORTERS: Final = {
    "postgres_exporter 0.17": {
        "pg_locks_count",
        "pg_settings_max_connections",
        "pg_stat_activity_count",
        "pg_stat_database_blks_hit",
        "pg_stat_database_blks_read",
        "pg_stat_database_deadlocks",
        "pg_stat_database_xact_commit",
        "pg_stat_database_xact_rollback",
        "pg_stat_user_tables_idx_scan",
        "pg_stat_user_tables_idx_tup_fetch",
        "pg_stat_user_tables_seq_scan",
        "pg_stat_user_tables_seq_tup_read",
    },
    "redis_exporter 1.74": {
        "redis_blocked_clients",
        "redis_connected_clients",
        "redis_evicted_keys_total",
        "redis_expired_keys_total",
        "redis_keyspace_hits_total",
        "redis_keyspace_misses_total",
        "redis_memory_max_bytes",
        "redis_memory_used_bytes",
    },
    "RabbitMQ's plugin": {
        "rabbitmq_connections",
        "rabbitmq_process_resident_memory_bytes",
        "rabbitmq_queue_consumers",
        "rabbitmq_queue_messages_ready",
        "rabbitmq_queue_messages_unacked",
        "rabbitmq_resident_memory_limit_bytes",
    },
    "varnishstat": {
        "varnish_main_backend_req",
        "varnish_main_cache_hit",
        "varnish_main_cache_miss",
        "varnish_main_client_req",
        "varnish_main_n_lru_nuked",
        "varnish_main_n_object",
    },
    "node_exporter 1.9": {
        "node_cpu_seconds_total",
        "node_load1",
        "node_memory_MemAvailable_bytes",
        "node_memory_MemTotal_bytes",
        "node_network_receive_bytes_total",
        "node_network_transmit_bytes_total",
    },
    "OpenTelemetry collector 0.159": {
        "otelcol_exporter_queue_capacity",
        "otelcol_exporter_queue_size",
        "otelcol_exporter_send_failed_log_records_total",
        "otelcol_exporter_send_failed_spans_total",
        "otelcol_exporter_sent_log_records_total",
        "otelcol_exporter_sent_spans_total",
        "otelcol_receiver_accepted_log_records_total",
        "otelcol_receiver_accepted_spans_total",
        "otelcol_receiver_refused_log_records_total",
        "otelcol_receiver_refused_spans_total",
    },
    "the lab": {
        "lab_arm_value",
        "lab_effect_headline",
        "lab_effect_ratio",
        "lab_effect_ratio_high",
        "lab_effect_ratio_low",
        "lab_effect_verdict",
        "lab_experiment_finished_timestamp_seconds",
        "lab_experiment_rounds",
        "lab_experiment_running",
        "lab_experiment_valid",
    },
}
OF_EXPORTERS: Final = frozenset().union(*EXPORTERS.values())

OF_MONITORING: Final = ("prometheus_", "alertmanager_")
"""What Prometheus and Alertmanager say about themselves; the test with a real stack proves these names."""
