"""Redis, Varnish and the host, from the metrics of their exporters."""

from grafana_foundation_sdk.builders.timeseries import Panel

from grafana import units
from grafana.panels.timeseries import stacked, time_series
from grafana.query import query


def redis() -> list[Panel]:
    hits = "sum by (job, instance) (rate(redis_keyspace_hits_total[$window]))"
    misses = "sum by (job, instance) (rate(redis_keyspace_misses_total[$window]))"
    return [
        time_series(
            "Redis memory",
            "Memory in use, and the limit above which Redis evicts entries. Near the limit, the hit ratio falls.",
            query("sum(redis_memory_used_bytes)", "used"),
            query("sum(redis_memory_max_bytes) > 0", "limit"),
            unit=units.BYTES,
        ).span(6),
        time_series(
            "Redis hit ratio",
            "Share of reads that found their key. It is lower than the hit ratio of the service, whose processes "
            "serve the most popular entries from their own memory.",
            query(f"topk(4, {hits} / ({hits} + {misses} > 0))", "{{job}} {{instance}}"),
            unit=units.SHARE,
        )
        .max(1)
        .span(6),
        time_series(
            "Redis expirations and evictions",
            "Keys that reached their time to live, and keys evicted for lack of memory. Good is no eviction.",
            query("sum(rate(redis_expired_keys_total[$window]))", "expired"),
            query("sum(rate(redis_evicted_keys_total[$window]))", "evicted"),
            unit=units.EVENTS_PER_SECOND,
        ).span(6),
        time_series(
            "Redis clients",
            "Open connections, and clients that wait in a blocking command. Each process of the service keeps a few.",
            query("sum(redis_connected_clients)", "connected"),
            query("sum(redis_blocked_clients)", "blocked"),
            unit=units.COUNT,
        ).span(6),
    ]


def edge() -> list[Panel]:
    hits, misses = (f"sum(rate(varnish_main_cache_{one}[$window]))" for one in ("hit", "miss"))
    return [
        time_series(
            "Edge hit ratio",
            "Share of lookups that Varnish served from its cache. They cost the service nothing.",
            query(f"{hits} / ({hits} + {misses} > 0)", "hit ratio"),
            unit=units.SHARE,
        )
        .max(1)
        .span(8),
        time_series(
            "Requests at the edge and behind it",
            "Requests from clients to the edge, and from the edge to the service. The gap between the lines is what "
            "the edge saves.",
            query("sum(rate(varnish_main_client_req[$window]))", "from clients"),
            query("sum(rate(varnish_main_backend_req[$window]))", "to the service"),
            unit=units.REQUESTS_PER_SECOND,
        ).span(8),
        time_series(
            "Objects and evictions at the edge",
            "Objects that Varnish holds, and objects evicted for lack of memory. Good is no eviction; purges after "
            "writes are not counted.",
            query("sum(varnish_main_n_object)", "objects"),
            query("sum(rate(varnish_main_n_lru_nuked[$window]))", "evicted per second"),
            unit=units.COUNT,
        ).span(8),
    ]


def host() -> list[Panel]:
    return [
        stacked(
            time_series(
                "Host CPU",
                "Share of all cores by mode. Above 80% every measurement here is about the machine rather than about "
                "the arms; iowait is a disk that is too slow.",
                query(
                    'topk(6, sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[$window]))'
                    ' / on () group_left () count(node_cpu_seconds_total{mode="idle"}))',
                    "{{mode}}",
                ),
                unit=units.SHARE,
            )
        ).span(8),
        time_series(
            "Host memory",
            "Memory in use, and total memory. When they meet, the kernel kills a process.",
            query("sum(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)", "used"),
            query("sum(node_memory_MemTotal_bytes)", "total"),
            unit=units.BYTES,
        ).span(8),
        time_series(
            "Host load and network",
            "Processes that run or wait for a core, and traffic of all interfaces in MB per second. A load above the "
            "number of cores means that processes wait.",
            query("sum(node_load1)", "load"),
            query('sum(rate(node_network_receive_bytes_total{device!="lo"}[$window])) / 1e6', "received"),
            query('sum(rate(node_network_transmit_bytes_total{device!="lo"}[$window])) / 1e6', "sent"),
            unit=units.COUNT,
        ).span(8),
    ]
