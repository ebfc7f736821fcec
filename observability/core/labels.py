"""Label values that come from callers, kept to a bounded number."""

from collections.abc import Iterable

OTHER = "other"


class BoundedValues:
    """Pass label values through until `limit` different ones are seen; the rest is `other`.

    A cache or task name is chosen in somebody's code, but nothing stops that code from building it out of user
    input. Each value costs a set of time series for ever, so the number is bounded here.
    """

    def __init__(self, allowed: Iterable[str] = (), *, limit: int = 100) -> None:
        self._seen = dict.fromkeys(allowed)
        self._limit = max(limit, len(self._seen))

    @classmethod
    def closed(cls, allowed: Iterable[str]) -> "BoundedValues":
        """Return bounded values that accept nothing but `allowed`."""
        return cls(allowed, limit=0)

    def __call__(self, value: str) -> str:
        """Return the value itself, or `other` when it is one too many."""
        if value not in self._seen:
            if len(self._seen) >= self._limit:
                return OTHER
            self._seen[value] = None
        return value
