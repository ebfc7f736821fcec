"""What an estimator returns, and what several of them share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lab.advice.window import Sample

HIT_S: Final = 0.001
"""Time of a request that a cache in the service serves."""
HEADER_BYTES: Final = 250
"""Of a response, beside its body."""
MAX_UTILISATION: Final = 0.9


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The headline metric as it is and as it would be; lower is better."""

    off: float
    on: float
    optimistic: float | None = None
    """The same as `on` with the assumption that is best for the technique; None: there is only one."""
    pessimistic: float | None = None
    basis: float
    """How many observations it rests on: requests, statements or trials."""
    routes: Mapping[str, float] = field(default_factory=dict)
    """By route, the share of the saving."""
    notes: tuple[str, ...] = ()


def requests(sample: Sample) -> float:
    """Return the observed requests."""
    return sample.total("whatif_requests_total")


def shares(savings: Mapping[str, float]) -> dict[str, float]:
    """Return each route's share of the saving, the largest first, without those below 1 %."""
    positive = {route: saving for route, saving in savings.items() if saving > 0}
    whole = sum(positive.values())
    ranked = sorted(positive.items(), key=lambda item: -item[1])
    return {route: saving / whole for route, saving in ranked if saving >= 0.01 * whole}


def utilisation(sample: Sample) -> float:
    """Return the share of one processor that the process used, at most `MAX_UTILISATION`."""
    return min(sample.total("process_cpu_seconds_total") / sample.seconds, MAX_UTILISATION) if sample.seconds else 0.0


def wire_bytes(sample: Sample) -> float:
    """Return the bytes of all responses, headers included."""
    return sample.total("http_response_size_bytes_sum") + HEADER_BYTES * requests(sample)
