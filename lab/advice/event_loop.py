"""Predictions of an event loop that is not blocked, and of requests that do not wait for their work."""

from typing import Final

from lab.advice.caching import without_hits
from lab.advice.estimate import Estimate, requests, shares
from lab.advice.window import Sample

GIL_S: Final = 0.005
"""After which a thread hands the interpreter lock over."""
LONG_S: Final = 0.25
"""A write that takes longer is work for a queue."""
MEAN_BLOCKING_S: Final = 0.002
"""Time per request for which a blocking route keeps the loop in long steps."""
MIN_CPU_SHARE: Final = 0.25
"""Of its blocking steps, in a route that computes."""
ACCEPTED_S: Final = 0.01
"""Time to accept a task."""


def blocking_routes(sample: Sample, *, computing: bool) -> set[str]:
    """Return the routes whose blocking steps mostly compute, or mostly wait.

    On a busy machine a step of any route is sometimes long; a blocking route has many, and they weigh something. A
    thread that computes there has the processor for a part of the time only: about as large as that of other routes.
    """
    number = sample.by("whatif_requests_total", "handler")
    blocking = sample.by("whatif_blocking_seconds_total", "handler")
    squares = sample.by("whatif_blocking_square_seconds_total", "handler")
    measured = sample.by("whatif_blocking_measured_seconds_total", "handler")
    computed = sample.by("whatif_blocking_cpu_seconds_total", "handler")
    heaviest = max(squares.values(), default=0.0)
    cpu_shares = {route: computed.get(route, 0.0) / seconds for route, seconds in measured.items()}
    least = max(MIN_CPU_SHARE, max(cpu_shares.values(), default=0.0) / 2)
    return {
        route
        for route, share in cpu_shares.items()
        if (share >= least) == computing
        and blocking[route] >= MEAN_BLOCKING_S * number.get(route, 0.0)
        and squares[route] >= heaviest / 5
    }


def mean_wait_s(sample: Sample, routes: set[str]) -> float:
    """Return how long a request that arrives at random waits for the steps of these routes.

    The mean residual time of the steps (half the sum of their squares per second), divided by the share of time that
    they leave: Pollaczek and Khinchine's formula.
    """
    squares = sample.by("whatif_blocking_square_seconds_total", "handler")
    sums = sample.by("whatif_blocking_seconds_total", "handler")
    busy = min(sum(sums.get(route, 0.0) for route in routes) / sample.seconds, 0.9)
    return sum(squares.get(route, 0.0) for route in routes) / (2 * sample.seconds) / (1 - busy)


def async_io(sample: Sample) -> Estimate | None:
    """Return the mean latency of other requests if these routes await instead of block."""
    return _awaiting(sample, blocking_routes(sample, computing=False))


def async_io_after_caching(sample: Sample) -> Estimate | None:
    """Return the same behind a cache of responses: steps of misses, and requests that are hits where they can be."""
    return _awaiting(without_hits(sample), blocking_routes(sample, computing=False))


def _awaiting(sample: Sample, routes: set[str]) -> Estimate | None:
    others = {
        route: number for route, number in sample.by("whatif_requests_total", "handler").items() if route not in routes
    }
    number = sum(others.values())
    if not number:
        return None
    seconds = sample.by("whatif_request_seconds_total", "handler")
    served_s = sum(seconds.get(route, 0.0) for route in others) / number
    wait_s = mean_wait_s(sample, routes)
    squares = sample.by("whatif_blocking_square_seconds_total", "handler")
    return Estimate(
        off=served_s + wait_s,
        on=served_s,
        optimistic=max(served_s - wait_s, served_s / 4),
        pessimistic=served_s,
        basis=number,
        routes=shares({route: squares.get(route, 0.0) for route in routes}),
        notes=(f"other requests wait {wait_s * 1e3:.1f} ms on average",),
    )


def offload(sample: Sample) -> Estimate | None:
    """Return the mean lag of the event loop if these routes compute in threads."""
    return _in_threads(sample, blocking_routes(sample, computing=True))


def offload_after_caching(sample: Sample) -> Estimate | None:
    """Return the same behind a cache of responses: the lag without the steps of hits."""
    return _in_threads(without_hits(sample), blocking_routes(sample, computing=True))


def _in_threads(sample: Sample, routes: set[str]) -> Estimate | None:
    blocking = sample.by("whatif_blocking_seconds_total", "handler")
    timers, lag_s = (sample.total(f"event_loop_lag_seconds_{part}") for part in ("count", "sum"))
    if not timers:
        return None
    squares = sample.by("whatif_blocking_square_seconds_total", "handler")
    imposed_s = sum(squares.get(route, 0.0) for route in routes) / (2 * sample.seconds)
    busy = min(sum(blocking.get(route, 0.0) for route in routes) / sample.seconds, 1.0)
    now = lag_s / timers
    best = max(now - imposed_s, now / 100)
    return Estimate(
        off=now,
        on=min(best + busy * GIL_S / 2, now),
        optimistic=best,
        pessimistic=min(best + busy * GIL_S, now),
        basis=requests(sample),
        routes=shares({route: squares.get(route, 0.0) for route in routes}),
        notes=(f"they keep the loop busy {busy * 100:.0f} % of the time",),
    )


def task_queue(sample: Sample) -> Estimate | None:
    """Return the mean latency of long writes if a worker does their work."""
    every = {
        (method, route): (
            number,
            sample.total("http_request_duration_seconds_sum", method=method, handler=route),
        )
        for method in ("POST", "PUT", "PATCH", "DELETE")
        for route, number in sample.by("http_request_duration_seconds_count", "handler", method=method).items()
    }
    long = {key: (number, seconds) for key, (number, seconds) in every.items() if seconds / number >= LONG_S}
    number = sum(count for count, _ in long.values())
    if not number:
        return None
    seconds = sum(spent for _, spent in long.values())
    return Estimate(
        off=seconds / number,
        on=ACCEPTED_S,
        optimistic=ACCEPTED_S / 4,
        pessimistic=ACCEPTED_S * 4,
        basis=number,
        routes=shares({route: spent for (_, route), (_, spent) in long.items()}),
        notes=("the result is there later: time to response only",),
    )
