"""What becomes of upstream calls: how they ended, and the connections they opened."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

OUTCOMES: Final = ("success", "not_found", "failed", "timeout", "circuit_open")
"""`not_found`: the upstream has no such reading; `circuit_open`: the circuit was open, so nothing was sent."""

CIRCUIT_STATES: Final = ("closed", "half-opened", "opened")


class UpstreamMetrics:
    """Count the calls to one upstream; `HttpClientMetrics` times them."""

    def __init__(self, registry: CollectorRegistry, *, upstream: str) -> None:
        self._upstream = upstream
        self._requests = Counter(
            "upstream_requests_total", "Upstream calls by how they ended.", ("upstream", "outcome"), registry=registry
        )
        self._connects = Counter(
            "upstream_connects_total", "TCP connections opened to the upstream.", ("upstream",), registry=registry
        ).labels(upstream)
        self._stale = Counter(
            "upstream_stale_responses_total",
            "Requests answered with an earlier answer because the upstream gave none.",
            ("upstream",),
            registry=registry,
        ).labels(upstream)
        self._circuit = Gauge(
            "upstream_circuit_state",
            "1 for the state that the circuit breaker is in, 0 for the others.",
            ("upstream", "state"),
            registry=registry,
        )
        for outcome in OUTCOMES:
            self._requests.labels(upstream, outcome)
        self.circuit("closed")

    def ended(self, outcome: str) -> None:
        """Count one call that ended with one of `OUTCOMES`."""
        self._requests.labels(self._upstream, outcome).inc()

    def connected(self) -> None:
        """Count a TCP connection that was opened."""
        self._connects.inc()

    def answered_stale(self) -> None:
        """Count an answer that was kept from before."""
        self._stale.inc()

    def circuit(self, state: str) -> None:
        """Set the circuit's state, one of `CIRCUIT_STATES`."""
        for name in CIRCUIT_STATES:
            self._circuit.labels(self._upstream, name).set(name == state)
