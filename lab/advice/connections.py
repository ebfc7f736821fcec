"""Predictions of the work on databases and upstreams: statements, connects, replicas, deadlines."""

from dataclasses import dataclass
from math import ceil, exp, inf
from typing import Final

from lab.advice.estimate import Estimate, requests, shares
from lab.advice.window import Sample

WAIT_S: Final = 0.01
"""A p99 of the wait for a connection that is acceptable."""
MAX_POOL: Final = 200
IN_PLACE: Final = 0.05
"""Connects per use below which connections are reused already."""
BURST: Final = 3
"""A burst opens this many times the connections that random arrivals need, at worst."""


def eager_loading(sample: Sample) -> Estimate | None:
    """Return the queries per request without those that their request had executed before."""
    number = requests(sample)
    queries = sample.total("db_queries_per_request_sum")
    if not number or not queries:
        return None
    repeated = sample.by("whatif_repeated_queries_total", "handler")
    saved_s = sample.total("whatif_repeated_query_seconds_total")
    return Estimate(
        off=queries / number,
        on=max(queries - sum(repeated.values()), 0.0) / number,
        basis=queries,
        routes=shares(repeated),
        notes=(f"the repeated queries take {saved_s / number * 1e3:.2f} ms per request",) if saved_s else (),
    )


def indexes(sample: Sample) -> Estimate | None:
    """Return the mean latency without the full scans that return few rows; None if no statement is explained.

    The planner's costs say how much of a statement is the scan; they may be wrong by half.
    """
    number, now_s = requests(sample), sample.total("whatif_request_seconds_total")
    if not number or not sample.has("whatif_explained_queries_total"):
        return None
    saved = sample.by("whatif_full_scan_saved_seconds_total", "handler")
    whole_s = sample.total("whatif_full_scan_seconds_total")
    read = sample.by("whatif_full_scan_read_rows_total", "table")
    returned = sample.by("whatif_full_scan_returned_rows_total", "table")
    queries = sample.by("whatif_full_scan_queries_total", "table")
    return Estimate(
        off=now_s / number,
        on=max(now_s - sum(saved.values()), 0.0) / number,
        optimistic=max(now_s - whole_s, 0.0) / number,
        pessimistic=max(now_s - sum(saved.values()) / 2, 0.0) / number,
        basis=number,
        routes=shares(saved),
        notes=tuple(
            f"statements read {read[table] / count:,.0f} rows of {table} for {returned.get(table, 0.0) / count:,.0f}"
            for table, count in queries.items()
        ),
    )


def read_replicas(sample: Sample) -> Estimate | None:
    """Return the queries of the primary per request if transactions that only read run on a replica."""
    number = requests(sample)
    read, written = (sample.total("whatif_transaction_queries_total", access=access) for access in ("read", "write"))
    if not number or not read + written:
        return None
    return Estimate(off=(read + written) / number, on=written / number, basis=read + written)


def pooling(sample: Sample) -> Estimate | None:
    """Return the connects per request with a pool that opens each of its connections once in the time observed."""
    number = requests(sample)
    connects = sample.total("db_client_connection_create_time_seconds_count")
    uses = sample.total("db_client_connection_use_time_seconds_count")
    if not number or not uses:
        return None
    if connects < IN_PLACE * uses:
        return Estimate(off=connects / number, on=connects / number, basis=uses)
    held_s = sample.total("db_client_connection_use_time_seconds_sum") / uses
    size = pool_size(uses / sample.seconds, held_s)
    spent_s = sample.total("db_client_connection_create_time_seconds_sum")
    return Estimate(
        off=connects / number,
        on=min(connects, size) / number,
        optimistic=0.0,  # they are open already, and stay so
        pessimistic=min(connects, BURST * size) / number,
        basis=uses,
        notes=(
            f"connects take {spent_s / number * 1e3:.2f} ms per request",
            f"a pool of {size} keeps the p99 wait below {WAIT_S * 1e3:.0f} ms",
        ),
    )


def pool_size(arrivals_per_s: float, held_s: float) -> int:
    """Return the smallest pool whose p99 wait is below `WAIT_S`, by Erlang's C formula for random arrivals."""
    load = arrivals_per_s * held_s
    for size in range(max(1, ceil(load)), MAX_POOL):
        if size > load and waiting_share(size, load) * exp(-(size - load) * WAIT_S / held_s) <= 0.01:
            return size
    return MAX_POOL


def waiting_share(size: int, load: float) -> float:
    """Return Erlang C: the probability that all connections are in use; `load` is their mean number in use."""
    if load >= size:
        return 1.0
    blocked = 1.0  # Erlang B, by its recursion
    for servers in range(1, size + 1):
        blocked = load * blocked / (servers + load * blocked)
    return blocked / (1 - load / size * (1 - blocked))


def connection_reuse(sample: Sample) -> Estimate | None:
    """Return the upstream connects per request with clients that keep their connections, HTTP and Redis apart."""
    number = requests(sample)
    http = _Connections(
        connects=sample.total("http_client_connect_duration_seconds_count"),
        connect_s=sample.total("http_client_connect_duration_seconds_sum"),
        uses=sample.total("http_client_request_duration_seconds_count"),
        used_s=sample.total("http_client_request_duration_seconds_sum"),
    )
    commands = sample.by("whatif_redis_commands_total", "server")
    redis = [
        _Connections(
            connects=sample.total("whatif_redis_connects_total", server=server),
            connect_s=sample.total("whatif_redis_connect_seconds_total", server=server),
            uses=uses,
            used_s=sample.total("whatif_redis_command_seconds_total", server=server),
        )
        for server, uses in commands.items()
    ]
    upstreams = [one for one in (http, *redis) if one.uses]
    if not number or not upstreams:
        return None
    connects = sum(one.connects for one in upstreams)
    of_redis = sum(one.connects for one in redis)
    replaced = [one for one in upstreams if not one.are_reused]
    spent_s = sum(one.connect_s for one in replaced)
    notes = [f"connects take {spent_s / number * 1e3:.2f} ms per request"] if replaced else []
    if of_redis:
        notes.append(f"{of_redis:,.0f} of the {connects:,.0f} connects are to Redis")
    return Estimate(
        off=connects / number,
        on=sum(one.kept(sample.seconds) for one in upstreams) / number,
        optimistic=sum(one.connects for one in upstreams if one.are_reused) / number if replaced else None,  # as above
        basis=sum(one.uses for one in upstreams),
        notes=tuple(notes),
    )


@dataclass(frozen=True, kw_only=True)
class _Connections:
    """To one kind of server: how many were opened, and the calls or commands on them."""

    connects: float
    connect_s: float
    uses: float
    used_s: float

    @property
    def are_reused(self) -> bool:
        return self.connects < IN_PLACE * self.uses

    def kept(self, seconds: float) -> float:
        """Return the connects of a client that keeps twice as many as are in use on average."""
        return self.connects if self.are_reused else min(self.connects, max(1, ceil(2 * self.used_s / seconds)))


def timeouts(sample: Sample, *, deadline_s: float = 1.0) -> Estimate | None:
    """Return the mean latency if no outgoing call takes longer than the deadline."""
    number, now_s = requests(sample), sample.total("whatif_request_seconds_total")
    calls = sample.total("http_client_request_duration_seconds_count")
    if not number or not calls or not now_s:
        return None
    over_s = late = 0.0
    buckets = sorted((float(bound), count) for bound, count in _cumulative(sample).items())
    summed = sample.total("http_client_request_duration_seconds_sum")
    below = 0.0
    before = (0.0, 0.0)
    for bound, count in buckets:
        here = count - before[1]
        if bound <= deadline_s:
            below += here * (before[0] + bound) / 2
        else:
            late += here
        before = (bound, count)
    over_s = max(summed - below - late * deadline_s, 0.0)
    return Estimate(
        off=now_s / number,
        on=max(now_s - over_s, 0.0) / number,
        basis=calls,
        notes=(f"{100 * late / calls:.1f} % of the calls take longer than {deadline_s:g} s",),
    )


def _cumulative(sample: Sample) -> dict[str, float]:
    return {
        bound or str(inf): count
        for bound, count in sample.by("http_client_request_duration_seconds_bucket", "le").items()
    }
