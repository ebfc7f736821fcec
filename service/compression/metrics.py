"""What compression measures: one observation per body, and under which encoding a request's body was counted."""

from typing import Final, Protocol

from starlette.types import Scope

_COUNTED: Final = "service.compression.counted"


class CompressionMeter(Protocol):
    """Records bodies, as `observability.cache.compression.CompressionMetrics` does."""

    def observe(self, *, encoding: str, before_bytes: int, after_bytes: int, seconds: float) -> None:
        """Record one body; 0.0 seconds when a stored variant was sent."""


def count_as(scope: Scope, encoding: str) -> None:
    """Record that this request's body was counted under the encoding."""
    scope[_COUNTED] = encoding


def counted_encoding(scope: Scope) -> str:
    """Return the encoding that this request's body was counted under, empty if it was not counted."""
    return str(scope.get(_COUNTED, ""))
