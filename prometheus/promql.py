"""PromQL that several rules share."""

from typing import Final

LATENCY: Final = "http_response_last_byte_seconds"
"""The time a client waits: background tasks and requests whose client disconnected are not in it."""


def bucket(threshold_s: float) -> str:
    """Return the matcher of a histogram's bucket; Prometheus 3 writes 1.0 where 2 wrote 1."""
    return f'le=~"{threshold_s:g}([.]0)?"' if threshold_s == int(threshold_s) else f'le="{threshold_s:g}"'


NEW_WITHIN: Final = "1h"
"""A series that was absent this long before the window is new; one of a scrape that failed, or of a restart of
Prometheus, is not."""


def increase_with_new_series(metric: str, matchers: str, window: str) -> str:
    """Return the increase of each counter within the window; a series that is new in it increased by its value.

    `increase()` alone misses what a series counted before its first scrape. That is everything where the first event
    creates the series, and where each restart of a process has another `instance`.
    """
    series = f"{metric}{{{matchers}}}" if matchers else metric
    new = f"last_over_time({series}[{window}]) unless last_over_time({series}[{NEW_WITHIN}] offset {window})"
    return f"(({new}) > 0 or increase({series}[{window}]))"
