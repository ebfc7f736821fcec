"""PromQL that several rules share."""

from typing import Final

LATENCY: Final = "http_response_last_byte_seconds"
"""The time a client waits: background tasks and requests whose client disconnected are not in it."""


def bucket(threshold_s: float) -> str:
    """Return the matcher of a histogram's bucket; Prometheus 3 writes 1.0 where 2 wrote 1."""
    return f'le=~"{threshold_s:g}([.]0)?"' if threshold_s == int(threshold_s) else f'le="{threshold_s:g}"'


def increase_with_new_series(metric: str, matchers: str, window: str) -> str:
    """Return the increase of each counter within the window; a series that is new in it increased by its value.

    `increase()` alone misses the first event of a series that did not exist before it.
    """
    series = f"{metric}{{{matchers}}}" if matchers else metric
    return f"((increase({series}[{window}]) > 0) or ({series} unless {series} offset {window}))"
