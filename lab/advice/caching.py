"""Predictions of caches: of the service's responses, in the process, and in the clients."""

from collections.abc import Mapping
from typing import Final

from lab.advice.estimate import HEADER_BYTES, HIT_S, Estimate, requests, shares, utilisation, wire_bytes
from lab.advice.window import Sample

MIN_HIT_RATIO: Final = 0.05
"""A route with fewer hits is left uncached."""
NOT_MODIFIED_BYTES: Final = 200


def hit_ratios(sample: Sample, cache: str, ttl: str) -> dict[str, float]:
    """Return the hit ratio by route, that of the sampled keys."""
    misses = sample.by("whatif_cache_misses_total", "handler", cache=cache, ttl=ttl)
    lookups = sample.by("whatif_cache_sampled_lookups_total", "handler", cache=cache)
    return {route: max(1 - misses.get(route, 0.0) / number, 0.0) for route, number in lookups.items()}


def hits(sample: Sample, cache: str, ttl: str) -> dict[str, float]:
    """Return the hits by route."""
    lookups = sample.by("whatif_cache_lookups_total", "handler", cache=cache)
    return {route: ratio * lookups.get(route, 0.0) for route, ratio in hit_ratios(sample, cache, ttl).items()}


def saved_amounts(sample: Sample, amount: str, cache: str, ttl: str) -> dict[str, float]:
    """Return the seconds, queries or bytes of the hits, by route."""
    looked_up = sample.by(f"whatif_cache_lookup_{amount}_total", "handler", cache=cache)
    sampled = sample.by(f"whatif_cache_sampled_{amount}_total", "handler", cache=cache)
    missed = sample.by(f"whatif_cache_miss_{amount}_total", "handler", cache=cache, ttl=ttl)
    return {
        route: looked_up.get(route, 0.0) * max(1 - missed.get(route, 0.0) / whole, 0.0)
        for route, whole in sampled.items()
    }


def response_cache(sample: Sample, *, ttl: str = "60") -> Estimate | None:
    """Return the mean latency with a cache of responses.

    Misses and other requests take as long as now, or less, because the process has less to do: by processor sharing a
    request takes its work divided by the share of the processor that is idle.
    """
    number, now_s = requests(sample), sample.total("whatif_request_seconds_total")
    ratios = hit_ratios(sample, "response", ttl)
    cached = {route for route, ratio in ratios.items() if ratio >= MIN_HIT_RATIO}
    saved = saved_amounts(sample, "seconds", "response", ttl)
    served = hits(sample, "response", ttl)
    net = {route: saved[route] - HIT_S * served[route] for route in cached if route in saved}
    net = {route: seconds for route, seconds in net.items() if seconds > 0}
    if not number or not now_s:
        return None
    taken = sum(saved[route] for route in net)
    hit_s = HIT_S * sum(served[route] for route in net)
    rest = now_s - taken
    used = utilisation(sample)
    with_less_load = rest * (1 - used) / (1 - used * rest / now_s)
    stale = sum(
        sample.total("whatif_cache_stale_hits_total", cache="response", ttl=ttl, handler=route) for route in net
    )
    sampled = sample.total("whatif_cache_sampled_lookups_total", cache="response")
    stale *= sample.total("whatif_cache_lookups_total", cache="response") / sampled if sampled else 1.0
    whole = sum(served[route] for route in net)
    notes = [f"time to live {ttl} s", f"{_share(whole, number)} of the requests are hits"] if net else []
    if whole and stale:
        notes.append(f"{_share(stale, whole)} of the hits are stale")
    return Estimate(
        off=now_s / number,
        on=(hit_s + (rest + with_less_load) / 2) / number,
        optimistic=(hit_s + with_less_load) / number,
        pessimistic=(hit_s + rest) / number,
        basis=sample.total("whatif_cache_lookups_total", cache="response"),
        routes=shares(net),
        notes=tuple(notes),
    )


def local_cache(sample: Sample, *, ttl: str = "300") -> Estimate | None:
    """Return the mean latency with a cache in the process, of what does not change.

    At least the statements are saved; at best whole responses of routes of which none was stale.
    """
    number, now_s = requests(sample), sample.total("whatif_request_seconds_total")
    statements = saved_amounts(sample, "seconds", "statement", ttl)
    if not number or not now_s:
        return None
    stale = sample.by("whatif_cache_stale_hits_total", "handler", cache="response", ttl="3600")
    served = hits(sample, "response", ttl)
    whole = {
        route: seconds - HIT_S * served[route]
        for route, seconds in saved_amounts(sample, "seconds", "response", ttl).items()
        if not stale.get(route) and hit_ratios(sample, "response", ttl).get(route, 0.0) >= MIN_HIT_RATIO
    }
    whole = {route: seconds for route, seconds in whole.items() if seconds > 0}
    best = {route: max(whole.get(route, 0.0), statements.get(route, 0.0)) for route in {*whole, *statements}}
    return Estimate(
        off=now_s / number,
        on=(now_s - sum(best.values())) / number,
        optimistic=(now_s - sum(best.values())) / number,
        pessimistic=(now_s - sum(statements.values())) / number,
        basis=sample.total("whatif_cache_lookups_total", cache="statement"),
        routes=shares(best),
        notes=(f"time to live {ttl} s",),
    )


def http_cache(sample: Sample) -> Estimate | None:
    """Return the bytes per request if no client gets a body again that it has."""
    number = requests(sample)
    if not number:
        return None
    unchanged = hits(sample, "client", "unlimited")
    saved = {
        route: size_bytes - (NOT_MODIFIED_BYTES - HEADER_BYTES) * unchanged.get(route, 0.0)
        for route, size_bytes in saved_amounts(sample, "bytes", "client", "unlimited").items()
    }
    now = wire_bytes(sample)
    return Estimate(
        off=now / number,
        on=max(now - sum(saved.values()), 0.0) / number,
        basis=sample.total("whatif_cache_lookups_total", cache="client"),
        routes=shares(saved),
        notes=(f"{_share(sum(unchanged.values()), number)} of the responses become 304",),
    )


def without_hits(sample: Sample, *, ttl: str = "60") -> Sample:
    """Return what would remain of the work behind a cache of responses."""
    missing = {route: 1 - ratio for route, ratio in hit_ratios(sample, "response", ttl).items()}
    queries = sample.total("db_queries_per_request_sum")
    saved = sum(saved_amounts(sample, "queries", "response", ttl).values())
    share = max(1 - saved / queries, 0.0) if queries else 1.0
    pools = sample.by("db_client_connection_use_time_seconds_count", POOL)
    by_pool = dict.fromkeys(pools, share)
    by_routes = sample.scaled(dict.fromkeys(WORK_OF_ROUTES, missing) | _of_the_loop(sample, ttl), label="handler")
    return by_routes.scaled(dict.fromkeys(WORK_OF_POOLS, by_pool), label=POOL)


def _of_the_loop(sample: Sample, ttl: str) -> dict[str, dict[str, float]]:
    """Return by counter and route what remains of the blocking steps, which are counted by hits and misses.

    Not the hit ratio: a route may block in misses of its own cache only.
    """
    steps = _remaining(
        sample, "whatif_blocking_seconds_total", saved_amounts(sample, "blocking_seconds", "response", ttl)
    )
    saved = saved_amounts(sample, "blocking_square_seconds", "response", ttl)
    squares = _remaining(sample, SQUARES, saved)
    served = hits(sample, "response", ttl)
    spent = saved_amounts(sample, "seconds", "response", ttl)
    net = {route: max(seconds - HIT_S * served.get(route, 0.0), 0.0) for route, seconds in spent.items()}
    lag_s, timers = (sample.total(f"event_loop_lag_seconds_{part}") for part in ("sum", "count"))
    avoided_s = timers * sum(saved.values()) / (2 * sample.seconds) if sample.seconds else 0.0
    return {
        **dict.fromkeys(STEPS, steps),
        SQUARES: squares,
        "whatif_request_seconds_total": _remaining(sample, "whatif_request_seconds_total", net),
        "event_loop_lag_seconds_sum": {"": max(1 - avoided_s / lag_s, 0.0) if lag_s else 1.0},
    }


def _remaining(sample: Sample, name: str, saved: Mapping[str, float]) -> dict[str, float]:
    """Return the share of a counter that is left, by route."""
    whole = sample.by(name, "handler")
    return {route: max(1 - saved.get(route, 0.0) / amount, 0.0) for route, amount in whole.items()}


POOL: Final = "db_client_connection_pool_name"

STEPS: Final = (
    "whatif_blocking_seconds_total",
    "whatif_blocking_measured_seconds_total",
    "whatif_blocking_cpu_seconds_total",
)
SQUARES: Final = "whatif_blocking_square_seconds_total"
WORK_OF_ROUTES: Final = (
    "db_queries_per_request_sum",
    "whatif_repeated_queries_total",
    "whatif_repeated_query_seconds_total",
    "whatif_query_seconds_total",
    "whatif_full_scan_queries_total",
    "whatif_full_scan_seconds_total",
    "whatif_full_scan_saved_seconds_total",
    "whatif_full_scan_read_rows_total",
    "whatif_full_scan_returned_rows_total",
    *STEPS,
    SQUARES,
)
WORK_OF_POOLS: Final = (
    "db_client_connection_create_time_seconds_count",
    "db_client_connection_create_time_seconds_sum",
    "db_client_connection_use_time_seconds_count",
    "db_client_connection_use_time_seconds_sum",
    "whatif_transaction_queries_total",
)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "0 %"
