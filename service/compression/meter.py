"""What compression reports about itself; `observability.cache.compression.CompressionMetrics` records it."""

from typing import Protocol


class CompressionMeter(Protocol):
    """Counts bodies, their bytes before and after, and the time spent."""

    def observe(self, *, encoding: str, before_bytes: int, after_bytes: int, seconds: float) -> None:
        """Count one body; 0.0 seconds when a stored variant was sent."""
