"""The what-if counts of one route."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from observability.whatif.observation import Observation
from observability.whatif.shadow_cache import AMOUNTS, OF_RESPONSES, Amounts, CacheCounts

if TYPE_CHECKING:
    from observability.whatif.plans import FullScan


class Lookups:
    """What a cache could have had, in number and amounts; its hits are these minus its misses."""

    __slots__ = ("number", "sums")

    def __init__(self, amounts: int) -> None:
        self.number = 0
        self.sums = [0.0] * amounts

    def add(self, weight: int, amounts: Amounts) -> None:
        sums = self.sums
        self.number += weight
        for at, amount in enumerate(amounts):
            sums[at] += weight * amount


@dataclass(slots=True)
class ScanCounts:
    """The statements of a route that scan one table for few of its rows."""

    queries: int = 0
    seconds: float = 0.0
    saved_s: float = 0.0
    """Part of the seconds that an index would save, by the planner's costs."""
    read_rows: float = 0.0
    returned_rows: float = 0.0

    def add(self, weight: int, seconds: float, scan: "FullScan") -> None:
        self.queries += weight
        self.seconds += weight * seconds
        self.saved_s += weight * seconds * scan.saved_share
        self.read_rows += weight * scan.read_rows
        self.returned_rows += weight * scan.returned_rows


@dataclass(slots=True)
class RouteCounts:
    caches: dict[str, CacheCounts]
    """By cache: `response`, `client`, `statement`."""
    responses: Lookups = field(default_factory=lambda: Lookups(OF_RESPONSES))
    """Those that a cache could store; what a client could have is the same."""
    statements: Lookups = field(default_factory=lambda: Lookups(AMOUNTS))
    """Those that read."""
    requests: int = 0
    seconds: float = 0.0
    """Until the last byte."""
    statement_s: float = 0.0
    repeated: int = 0
    """Statements that their request had executed before, with other values or the same."""
    repeated_s: float = 0.0
    blocking_s: float = 0.0
    blocking_square_s: float = 0.0
    blocking_measured_s: float = 0.0
    """Part of these seconds whose CPU time was measured."""
    blocking_cpu_s: float = 0.0
    scans: dict[str, ScanCounts] = field(default_factory=dict)
    """By table."""
    compressible_bytes: dict[str, int] = field(default_factory=dict)
    """Of uncompressed bodies that are worth it, by the best coding that the client accepts."""

    def add_blocking(self, observation: Observation) -> None:
        """Add the blocking steps of a request."""
        weight = observation.weight
        self.blocking_s += weight * observation.blocking_s
        self.blocking_square_s += weight * observation.blocking_square_s
        if observation.measures_cpu:
            self.blocking_measured_s += weight * observation.blocking_s
            self.blocking_cpu_s += weight * observation.blocking_cpu_s

    def lookups(self, cache: str) -> Lookups:
        return self.statements if cache == "statement" else self.responses
