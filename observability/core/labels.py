"""Label values from application code, bounded in number."""

from collections.abc import Iterable

OTHER = "other"

POOL_LABEL = "db_client_connection_pool_name"
"""The role of an engine, in every metric of it."""

ROUTE_LABEL = "http_route"
"""The route template, in metrics with labels of the semantic conventions; `handler` in those of the instrumentator."""


class BoundedValues:
    """Pass label values through until there are `limit` different ones; further ones are `other`.

    Cache and task names are chosen by code, which may build them from user input. Each value is a set of time series,
    so the number is bounded.
    """

    def __init__(self, allowed: Iterable[str] = (), *, limit: int = 100) -> None:
        self._seen = dict.fromkeys(allowed)
        self._limit = max(limit, len(self._seen))

    @classmethod
    def closed(cls, allowed: Iterable[str]) -> "BoundedValues":
        return cls(allowed, limit=0)

    def __call__(self, value: str) -> str:
        if value not in self._seen:
            if len(self._seen) >= self._limit:
                return OTHER
            self._seen[value] = None
        return value
