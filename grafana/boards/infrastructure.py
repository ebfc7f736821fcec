"""What Redis, Varnish and the host say about themselves, through their exporters."""

from grafana_foundation_sdk.builders.timeseries import Panel

from grafana import units
from grafana.panels.timeseries import stacked, time_series
from grafana.query import query


def redis() -> list[Panel]:
    """Return what to look at first when the shared cache is slow or forgets."""
    hits = "sum by (job, instance) (rate(redis_keyspace_hits_total[$window]))"
    misses = "sum by (job, instance) (rate(redis_keyspace_misses_total[$window]))"
    return [
        time_series(
            "Memory of Redis",
            "What Redis holds, and the limit from which on it forgets entries. Near the limit, hits fall.",
            query("sum(redis_memory_used_bytes)", "used"),
            query("sum(redis_memory_max_bytes) > 0", "limit"),
            unit=units.BYTES,
        ).span(6),
        time_series(
            "Keys found in Redis",
            "Share of reads that found their key. It is lower than the hit ratio of the service, whose processes "
            "answer the most popular entries themselves.",
            query(f"topk(4, {hits} / ({hits} + {misses} > 0))", "{{job}} {{instance}}"),
            unit=units.SHARE,
        )
        .max(1)
        .span(6),
        time_series(
            "Keys that Redis forgets",
            "Keys that expired as they should, and keys that were evicted for lack of memory. Good is no eviction.",
            query("sum(rate(redis_expired_keys_total[$window]))", "expired"),
            query("sum(rate(redis_evicted_keys_total[$window]))", "evicted"),
            unit=units.EVENTS_PER_SECOND,
        ).span(6),
        time_series(
            "Clients of Redis",
            "Open connections, and clients that wait in a blocking command. Each process of the service keeps a few.",
            query("sum(redis_connected_clients)", "connected"),
            query("sum(redis_blocked_clients)", "blocked"),
            unit=units.COUNT,
        ).span(6),
    ]


def edge() -> list[Panel]:
    """Return how many requests the edge answers itself, and what it holds."""
    hits, misses = (f"sum(rate(varnish_main_cache_{one}[$window]))" for one in ("hit", "miss"))
    return [
        time_series(
            "Found at the edge",
            "Share of lookups that Varnish answered without asking the service. Every one of them costs the service "
            "nothing.",
            query(f"{hits} / ({hits} + {misses} > 0)", "hit ratio"),
            unit=units.SHARE,
        )
        .max(1)
        .span(8),
        time_series(
            "Requests at the edge and behind it",
            "What clients ask the edge, and what the edge asks the service. The gap between the lines is what it "
            "spares.",
            query("sum(rate(varnish_main_client_req[$window]))", "from clients"),
            query("sum(rate(varnish_main_backend_req[$window]))", "to the service"),
            unit=units.REQUESTS_PER_SECOND,
        ).span(8),
        time_series(
            "Objects and evictions at the edge",
            "What Varnish holds, and what it had to drop for lack of room. Good is no eviction; what writes make "
            "stale is dropped in any case.",
            query("sum(varnish_main_n_object)", "objects"),
            query("sum(rate(varnish_main_n_lru_nuked[$window]))", "evicted per second"),
            unit=units.COUNT,
        ).span(8),
    ]


def host() -> list[Panel]:
    """Return how full the machine is that everything runs on."""
    return [
        stacked(
            time_series(
                "Processor of the host",
                "Share of all cores by what they do. Above 80% every measurement here is about the machine rather than "
                "about the arms; iowait is a disk that is too slow.",
                query(
                    'topk(6, sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[$window]))'
                    ' / on () group_left () count(node_cpu_seconds_total{mode="idle"}))',
                    "{{mode}}",
                ),
                unit=units.SHARE,
            )
        ).span(8),
        time_series(
            "Memory of the host",
            "Memory in use, and all there is. When they meet, the kernel kills a process.",
            query("sum(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)", "used"),
            query("sum(node_memory_MemTotal_bytes)", "all"),
            unit=units.BYTES,
        ).span(8),
        time_series(
            "Load and network",
            "Processes that run or wait for a core, and traffic of all interfaces in MB per second. Load above the "
            "number of cores means that work waits.",
            query("sum(node_load1)", "load"),
            query('sum(rate(node_network_receive_bytes_total{device!="lo"}[$window])) / 1e6', "received"),
            query('sum(rate(node_network_transmit_bytes_total{device!="lo"}[$window])) / 1e6', "sent"),
            unit=units.COUNT,
        ).span(8),
    ]
