"""Each estimator against traffic whose saving is known."""

from collections.abc import Callable

import pytest

from lab.advice import body_size, caching, connections, event_loop
from lab.advice.estimate import HEADER_BYTES, HIT_S, Estimate
from lab.advice.window import Sample
from tests.lab.advice.counters import HANDLER, SECONDS, cache, of_route, sample, traffic


def found(estimate: Callable[[Sample], Estimate | None], counters: dict[str, float]) -> Estimate:
    result = estimate(sample(counters))
    assert result is not None
    return result


def test_a_response_cache_saves_the_seconds_of_the_hits_and_takes_its_own() -> None:
    result = found(caching.response_cache, traffic() | cache("response", hits=900, seconds=0.1))
    assert result.off == pytest.approx(0.1)
    assert result.on == pytest.approx(0.1 * 0.1 + 0.9 * HIT_S)
    assert result.routes == {HANDLER: 1.0}


def test_less_load_makes_the_misses_faster_at_best() -> None:
    busy = traffic() | cache("response", hits=900, seconds=0.1) | {"process_cpu_seconds_total": 5.0}
    result = found(caching.response_cache, busy)
    assert result.optimistic is not None
    assert result.pessimistic is not None
    assert result.pessimistic == pytest.approx(0.1 * 0.1 + 0.9 * HIT_S)
    assert result.optimistic == pytest.approx(0.1 * 0.1 * 0.5 / (1 - 0.5 * 0.1) + 0.9 * HIT_S)
    assert result.on == pytest.approx((result.optimistic + result.pessimistic) / 2)


def test_a_route_that_is_as_fast_as_a_hit_is_left_uncached() -> None:
    fast = traffic(mean_s=HIT_S / 2) | cache("response", hits=900, seconds=HIT_S / 2)
    result = found(caching.response_cache, fast)
    assert result.on == result.off
    assert not result.routes


def test_a_client_that_has_the_body_gets_a_short_response() -> None:
    counters = traffic() | cache("client", hits=500, seconds=0.1, size_bytes=10_000)
    result = found(caching.http_cache, counters | {of_route("http_response_size_bytes_sum"): 1000 * 10_000})
    assert result.off == pytest.approx(10_000 + HEADER_BYTES)
    assert result.on == pytest.approx(5_000 + HEADER_BYTES / 2 + caching.NOT_MODIFIED_BYTES / 2)


def test_a_local_cache_saves_between_the_statements_and_the_whole_requests() -> None:
    counters = traffic() | cache("response", hits=900, seconds=0.1) | cache("statement", hits=900, seconds=0.02)
    result = found(caching.local_cache, counters)
    assert result.pessimistic == pytest.approx(0.1 - 0.9 * 0.02)
    assert result.optimistic == pytest.approx(0.1 - 0.9 * (0.1 - HIT_S))


def test_compression_weighs_each_coding_by_what_clients_accept() -> None:
    counters = traffic() | {
        of_route("http_response_size_bytes_sum"): 1000 * 10_000.0,
        of_route("whatif_compressible_bytes_total", "encoding=zstd"): 600 * 10_000.0,
        of_route("whatif_compressible_bytes_total", "encoding=gzip"): 300 * 10_000.0,
        of_route("whatif_compressible_bytes_total", "encoding=identity"): 100 * 10_000.0,
        of_route("whatif_trial_bodies_total"): 20,
        of_route("whatif_trial_bytes_total"): 200_000,
        of_route("whatif_trial_compressed_bytes_total", "encoding=zstd"): 20_000,
        of_route("whatif_trial_compressed_bytes_total", "encoding=gzip"): 40_000,
        of_route("whatif_trial_compression_seconds_total", "encoding=zstd"): 0.002,
    }
    assert found(body_size.compression, counters).on == pytest.approx(HEADER_BYTES + 600 + 600 + 1000)


@pytest.mark.parametrize(
    ("estimate", "metric"),
    [
        (body_size.slim_responses, of_route("whatif_trial_without_nulls_bytes_total")),
        (body_size.pagination, of_route("whatif_trial_page_bytes_total", "rows=100")),
    ],
)
def test_smaller_bodies_shrink_in_the_proportion_of_the_trials(
    estimate: Callable[[Sample], Estimate | None], metric: str
) -> None:
    counters = traffic() | {
        of_route("http_response_size_bytes_sum"): 1000 * 10_000.0,
        of_route("whatif_trial_json_bodies_total"): 20,
        of_route("whatif_trial_json_bytes_total"): 200_000,
        metric: 50_000,
    }
    assert found(estimate, counters).on == pytest.approx(2_500 + HEADER_BYTES)


def test_eager_loading_leaves_the_first_query_of_each_kind() -> None:
    queries = {of_route("db_queries_per_request_sum"): 301e3, of_route("whatif_repeated_queries_total"): 297e3}
    result = found(connections.eager_loading, traffic() | queries)
    assert (result.off, result.on) == (301, 4)


def test_an_index_saves_the_part_of_the_statements_that_is_a_scan() -> None:
    counters = traffic() | {
        "whatif_explained_queries_total": 0.0,
        of_route("whatif_full_scan_queries_total", "table=parcels"): 500.0,
        of_route("whatif_full_scan_seconds_total", "table=parcels"): 60.0,
        of_route("whatif_full_scan_saved_seconds_total", "table=parcels"): 50.0,
        of_route("whatif_full_scan_read_rows_total", "table=parcels"): 500 * 20_000.0,
        of_route("whatif_full_scan_returned_rows_total", "table=parcels"): 500 * 20.0,
    }
    result = found(connections.indexes, counters)
    assert (result.off, result.on) == pytest.approx((0.1, 0.05))
    assert (result.optimistic, result.pessimistic) == pytest.approx((0.04, 0.075))
    assert result.routes == {HANDLER: 1.0}
    assert result.notes == ("statements read 20,000 rows of parcels for 20",)


def test_without_plans_indexes_are_not_observed() -> None:
    assert connections.indexes(sample(traffic())) is None


def test_a_pool_connects_once_for_each_of_its_connections() -> None:
    counters = traffic() | {
        "db_client_connection_create_time_seconds_count": 1000.0,
        "db_client_connection_create_time_seconds_sum": 1.0,
        "db_client_connection_use_time_seconds_count": 1000.0,
        "db_client_connection_use_time_seconds_sum": 5.0,
    }
    result = found(connections.pooling, counters)
    assert (result.off, result.on) == (1.0, connections.pool_size(1000 / SECONDS, 0.005) / 1000)


@pytest.mark.parametrize(
    ("size", "load", "share"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 3.0, 0.23615), (10, 8.0, 0.40918), (1, 1.0, 1.0)]
)
def test_erlang_c_is_that_of_the_tables(size: int, load: float, share: float) -> None:
    assert connections.waiting_share(size, load) == pytest.approx(share, abs=1e-4)


def test_a_pool_is_larger_than_its_load() -> None:
    assert connections.pool_size(0.001, 0.001) == 1
    assert connections.pool_size(1000, 0.01) > 10
    assert connections.pool_size(1e6, 1.0) == connections.MAX_POOL


def test_the_primary_keeps_the_transactions_that_write() -> None:
    name = "whatif_transaction_queries_total"
    result = found(
        connections.read_replicas, traffic() | {f"{name}{{access=read}}": 900.0, f"{name}{{access=write}}": 100.0}
    )
    assert (result.off, result.on) == (1.0, 0.1)


def test_one_client_connects_as_often_as_calls_overlap() -> None:
    counters = traffic() | {
        "http_client_connect_duration_seconds_count": 1000.0,
        "http_client_request_duration_seconds_count": 1000.0,
        "http_client_request_duration_seconds_sum": 25.0,
    }
    result = found(connections.connection_reuse, counters)
    assert (result.off, result.on) == (1.0, 5 / 1000)


def redis(server: str, *, connects: float) -> dict[str, float]:
    """Return the counters of 1,000 commands that take 25 s together."""
    amounts = {"connects": connects, "connect_seconds": connects / 1000, "commands": 1000.0, "command_seconds": 25.0}
    return {f"whatif_redis_{name}_total{{server={server}}}": value for name, value in amounts.items()}


def test_each_redis_server_and_http_are_counted_apart() -> None:
    http = {
        "http_client_connect_duration_seconds_count": 1.0,
        "http_client_request_duration_seconds_count": 1000.0,
        "http_client_request_duration_seconds_sum": 900.0,
    }
    counters = traffic() | http | redis("a:6379/0", connects=1000.0) | redis("b:6379/0", connects=2.0)
    result = found(connections.connection_reuse, counters)
    assert (result.off, result.on, result.basis) == (1003 / 1000, (1 + 5 + 2) / 1000, 3000.0)
    assert result.optimistic == (1 + 2) / 1000, "what is reused already stays as it is"
    assert "1,002 of the 1,003 connects are to Redis" in result.notes
    in_place = found(connections.connection_reuse, traffic() | redis("b:6379/0", connects=2.0))
    assert in_place.off == in_place.on == 2 / 1000


def test_a_deadline_cuts_what_is_above_it() -> None:
    name = "http_client_request_duration_seconds"
    counters = traffic(mean_s=1.0) | {
        f"{name}_count": 1000.0,
        f"{name}_sum": 990 * 0.05 + 10 * 8.0,
        f"{name}_bucket{{le=0.1}}": 990.0,
        f"{name}_bucket{{le=1.0}}": 990.0,
        f"{name}_bucket{{le=+Inf}}": 1000.0,
    }
    result = found(connections.timeouts, counters)
    assert result.off - result.on == pytest.approx(10 * 7.0 / 1000)


def blocking(*, cpu_share: float) -> dict[str, float]:
    names = {"": 2.0, "_square": 100 * 0.02**2, "_measured": 1.0, "_cpu": cpu_share}
    return (
        traffic()
        | {of_route(f"whatif_blocking{name}_seconds_total", handler="/b"): value for name, value in names.items()}
        | {of_route("whatif_requests_total", handler="/b"): 100.0}
        | {"event_loop_lag_seconds_count": 100.0, "event_loop_lag_seconds_sum": 1.0}
    )


def test_requests_wait_for_half_the_squares_of_blocking_steps() -> None:
    result = found(event_loop.async_io, blocking(cpu_share=0.1))
    assert result.off - result.on == pytest.approx(100 * 0.02**2 / (2 * SECONDS) / (1 - 0.2))
    assert result.routes == {"/b": 1.0}
    assert not found(event_loop.async_io, blocking(cpu_share=0.9)).routes


def test_steps_that_compute_are_work_for_threads() -> None:
    result = found(event_loop.offload, blocking(cpu_share=0.9))
    assert result.routes == {"/b": 1.0}
    assert result.on < result.off == 0.01
    assert not found(event_loop.offload, blocking(cpu_share=0.1)).routes


def half_cached() -> dict[str, float]:
    """Return the counters of a blocking route of which half are hits; its misses have most of the blocking."""
    labels = "cache=response"
    counters = {
        of_route(f"whatif_cache_{kind}_total", labels, "/b"): 100.0 for kind in ("lookups", "sampled_lookups")
    } | {of_route("whatif_cache_misses_total", f"{labels},ttl=60", "/b"): 50.0}
    for amount, whole, missed in (("blocking_seconds", 2.0, 1.6), ("blocking_square_seconds", 0.04, 0.036)):
        for kind in ("lookup", "sampled"):
            counters[of_route(f"whatif_cache_{kind}_{amount}_total", labels, "/b")] = whole
        counters[of_route(f"whatif_cache_miss_{amount}_total", f"{labels},ttl=60", "/b")] = missed
    return counters


def test_behind_a_cache_requests_wait_for_the_steps_of_misses() -> None:
    result = found(event_loop.async_io_after_caching, blocking(cpu_share=0.1) | half_cached())
    assert result.off - result.on == pytest.approx(0.036 / (2 * SECONDS) / (1 - 0.16))
    assert result.routes == {"/b": 1.0}
    whole = found(event_loop.async_io_after_caching, blocking(cpu_share=0.1))
    assert whole == found(event_loop.async_io, blocking(cpu_share=0.1)), "a route without a cache blocks as before"


def test_behind_a_cache_the_lag_is_that_of_misses() -> None:
    result = found(event_loop.offload_after_caching, blocking(cpu_share=0.9) | half_cached())
    assert result.off == pytest.approx(0.01 - (0.04 - 0.036) / (2 * SECONDS))
    assert result.optimistic == pytest.approx(0.01 - 0.04 / (2 * SECONDS))


def test_behind_a_cache_other_requests_are_hits_too() -> None:
    other = cache("response", hits=900, seconds=0.1)
    result = found(event_loop.async_io_after_caching, blocking(cpu_share=0.1) | other)
    assert result.on == pytest.approx((1000 * 0.1 - 900 * (0.1 - HIT_S)) / 1000)


def test_a_long_write_is_work_for_a_queue() -> None:
    name = "http_request_duration_seconds"
    counters = {
        f"{name}_count{{method=POST,handler=/exports}}": 10.0,
        f"{name}_sum{{method=POST,handler=/exports}}": 20.0,
        f"{name}_count{{method=POST,handler=/quick}}": 10.0,
        f"{name}_sum{{method=POST,handler=/quick}}": 0.1,
        f"{name}_count{{method=GET,handler=/slow}}": 10.0,
        f"{name}_sum{{method=GET,handler=/slow}}": 20.0,
    }
    result = found(event_loop.task_queue, counters)
    assert result.off == 2.0
    assert list(result.routes) == ["/exports"]


def test_a_route_whose_steps_are_long_now_and_then_is_not_blocking() -> None:
    noise = {"": 1.0, "_square": 0.01, "_measured": 1.0, "_cpu": 0.1}
    counters = blocking(cpu_share=0.1) | {
        of_route(f"whatif_blocking{name}_seconds_total"): value for name, value in noise.items()
    }
    assert found(event_loop.async_io, counters).routes == {"/b": 1.0}
    assert not found(event_loop.offload, counters).routes
