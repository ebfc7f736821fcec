"""The recording of a phase of load, and whether it is valid."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final, Self

from lab.load.http1 import NO_RESPONSE
from lab.load.latencies import Latencies

LATE_S: Final = 0.005
"""Less lateness than this is irrelevant."""
LATE_SHARE: Final = 0.2
"""Lateness below this share of the measured latency does not affect it."""
TIMED_OUT: Final = "no response in time"
MIN_BACKLOG: Final = 8
"""Fewer requests in flight at the end are not a queue: at half of the capacity one moment in 256 has as many."""
BACKLOG_SHARE: Final = 0.2
"""If more than this share of all requests is in flight at the end, the queue grew."""

HISTOGRAMS: Final = ("slow_link", "lateness", "hits", "misses")
COUNTERS: Final = ("received_bytes", "responses", "failures", "not_needed", "unexpected")
SUMS: Final = ("duration_s", "busy_s", "connections", "generator_cpu_s")


@dataclass(kw_only=True)
class Recording:
    """One phase of load without its warm-up; latencies count from the intended send time."""

    duration_s: float
    latencies: defaultdict[str, Latencies] = field(default_factory=lambda: defaultdict(Latencies))
    """By kind of request, for clients on ordinary links."""
    slow_link: Latencies = field(default_factory=Latencies)
    """Of clients on slow links, all kinds."""
    lateness: Latencies = field(default_factory=Latencies)
    """Delay of the generator: actual minus intended send time of each request."""
    received_bytes: Counter[str] = field(default_factory=Counter)
    """On the wire, headers included, by kind."""
    responses: Counter[str] = field(default_factory=Counter)
    """By kind."""
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """Requests without a response, by reason."""
    not_needed: Counter[str] = field(default_factory=Counter)
    """Requests that were not sent because the client had the response, by kind."""
    unexpected: Counter[str] = field(default_factory=Counter)
    """Requests whose status is not one that they expect, by kind and status, or reason: `search: 500`."""
    hits: Latencies = field(default_factory=Latencies)
    """Of responses from a cache of the service, by their `Cache-Status` (RFC 9211)."""
    misses: Latencies = field(default_factory=Latencies)
    """Of responses that such a cache did not have."""
    busy_s: float = 0.0
    """Until the last response; at least the duration."""
    backlog: int = 0
    """Requests of clients on ordinary links in flight at the end of the phase."""
    connections: int = 0
    generator_cpu_s: float = 0.0

    @property
    def requests(self) -> int:
        """Requests that were sent, with or without a response."""
        return self.responses.total() + self.failures.total()

    @property
    def needed(self) -> int:
        """What clients needed: requests with a response, and those that they did not have to send."""
        return self.responses.total() + self.not_needed.total()

    @property
    def server_errors(self) -> int:
        """Responses with a 5xx status, plus requests without a response."""
        return self.failures.total() + sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def throughput_per_s(self) -> float:
        seconds = max(self.busy_s, self.duration_s)
        return self.needed / seconds if seconds else 0.0

    @property
    def is_saturated(self) -> bool:
        """Whether requests arrived faster than they were served; latencies then depend on the length of the run."""
        return self.failures[TIMED_OUT] > 0 or self.backlog >= max(MIN_BACKLOG, BACKLOG_SHARE * self.requests)

    def is_late(self, tolerated_s: float = LATE_S) -> bool:
        """Return whether the generator was later than tolerated, and late enough to affect the latencies."""
        late = self.lateness.quantile(0.95) or 0.0
        return late > tolerated_s and late > LATE_SHARE * (self.overall().quantile(0.95) or 0.0)

    def overall(self) -> Latencies:
        merged = Latencies()
        for latencies in self.latencies.values():
            merged.add(latencies)
        return merged

    def count(self, kind: str, *, status: int, received_bytes: int, error: str) -> None:
        if status == NO_RESPONSE:
            self.failures[error] += 1
        else:
            self.responses[kind] += 1
            self.statuses[status] += 1
            self.received_bytes[kind] += received_bytes

    def add(self, other: Self) -> None:
        for kind, latencies in other.latencies.items():
            self.latencies[kind].add(latencies)
        for name in HISTOGRAMS:
            getattr(self, name).add(getattr(other, name))
        for name in COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.statuses += other.statuses
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.backlog = max(self.backlog, other.backlog)

    def to_json(self) -> dict[str, Any]:
        return {
            "latencies": {kind: latencies.encode() for kind, latencies in self.latencies.items()},
            "statuses": {str(status): count for status, count in self.statuses.items()},
            **{name: getattr(self, name).encode() for name in HISTOGRAMS},
            **{name: dict(getattr(self, name)) for name in COUNTERS},
            **{name: getattr(self, name) for name in (*SUMS, "backlog")},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        recording = cls(**{name: data[name] for name in (*SUMS, "backlog")})
        for kind, text in data["latencies"].items():
            recording.latencies[kind] = Latencies.decode(text)
        for name in HISTOGRAMS:
            setattr(recording, name, Latencies.decode(data[name]))
        for name in COUNTERS:
            getattr(recording, name).update(data[name])
        recording.statuses.update({int(status): count for status, count in data["statuses"].items()})
        return recording
