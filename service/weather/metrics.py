"""Metrics of upstream calls: their outcomes, new connections, the circuit breaker."""

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
            "upstream_requests_total", "Upstream calls by outcome.", ("upstream", "outcome"), registry=registry
        )
        self._connects = Counter(
            "upstream_connects_total", "TCP connections opened to the upstream.", ("upstream",), registry=registry
        ).labels(upstream)
        self._stale = Counter(
            "upstream_stale_responses_total",
            "Requests served with a stale upstream response because the upstream call failed.",
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
        self.set_circuit_state("closed")

    def count_request(self, outcome: str) -> None:
        """Count one call by its outcome, one of `OUTCOMES`."""
        self._requests.labels(self._upstream, outcome).inc()

    def count_connect(self, step: str) -> None:
        """Count a TCP connection if this step of httpcore's trace opened one."""
        if step == "connection.connect_tcp.complete":
            self._connects.inc()

    def count_stale_response(self) -> None:
        """Count a request that was served with a stale response."""
        self._stale.inc()

    def set_circuit_state(self, state: str) -> None:
        """Set the circuit's state, one of `CIRCUIT_STATES`."""
        for name in CIRCUIT_STATES:
            self._circuit.labels(self._upstream, name).set(name == state)
