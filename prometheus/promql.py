"""Expressions that several alerts need."""


def growth(metric: str, matchers: str, window: str) -> str:
    """Return how much each counter grew within the window; one that appeared in it grew by all that it has.

    `increase()` alone misses the first event of a series that did not exist before it.
    """
    series = f"{metric}{{{matchers}}}" if matchers else metric
    return f"((increase({series}[{window}]) > 0) or ({series} unless {series} offset {window}))"
