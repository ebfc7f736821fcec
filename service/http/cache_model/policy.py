"""Cache policies: which routes are cached, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Self

from starlette.routing import compile_path
from starlette.types import Scope

MAX_LIFETIME_S = 86_400.0
"""The longest lifetime of an entry, and so the time for which invalidations have to be remembered."""


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """How the responses of one route are cached."""

    cache: str
    """The name in metrics."""
    technique: str
    """The technique that switches this on: `response_cache` or `local_cache`."""
    ttl_s: float
    """Time to live; jitter shortens it."""
    stale_s: float = 0.0
    """How long after that a stale response is served while it is refreshed in the background."""
    negative_ttl_s: float = 0.0
    """Time to live of a 404; 0 caches none."""
    jitter: float = 0.1
    """The largest share taken off a time to live at random, so that entries do not expire together."""
    browser_s: float = 0.0
    """`max-age` of clients, which no invalidation reaches."""

    def __post_init__(self) -> None:
        if min(self.ttl_s, self.stale_s, self.negative_ttl_s, self.browser_s) < 0:
            raise ValueError(f"times of the cache {self.cache} must not be negative")
        if self.ttl_s + self.stale_s > MAX_LIFETIME_S or self.negative_ttl_s > MAX_LIFETIME_S:
            raise ValueError(f"an entry of the cache {self.cache} would live longer than {MAX_LIFETIME_S:.0f} s")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"the jitter of the cache {self.cache} must be at least 0 and below 1")

    def with_ttl(self, ttl_s: float) -> Self:
        """Return the policy with this time to live: staleness scaled in proportion, other times capped."""
        return replace(
            self,
            ttl_s=ttl_s,
            stale_s=self.stale_s * ttl_s / self.ttl_s if self.ttl_s else 0.0,
            negative_ttl_s=min(self.negative_ttl_s, ttl_s),
            browser_s=min(self.browser_s, ttl_s),
        )

    def lifetime_s(self, status: int, random: Random) -> tuple[float, float]:
        """Return the fresh and the stale seconds of a response with this status; 0, 0: it is not cached."""
        ttl_s, stale_s = {200: (self.ttl_s, self.stale_s), 404: (self.negative_ttl_s, 0.0)}.get(status, (0.0, 0.0))
        return ttl_s * (1 - self.jitter * random.random()), stale_s


class PolicyTable:
    """The policies by path template, matched by a request's path before routing."""

    def __init__(self, policies: Mapping[str, CachePolicy]) -> None:
        self._by_template = dict(policies)
        self._patterns = [(compile_path(template)[0], template) for template in policies]

    def __len__(self) -> int:
        return len(self._by_template)

    def __getitem__(self, template: str) -> CachePolicy:
        return self._by_template[template]

    def get(self, template: str) -> CachePolicy | None:
        return self._by_template.get(template)

    def match(self, path: str) -> str | None:
        """Return the template that the path matches, or None if it is not cached."""
        for pattern, template in self._patterns:
            if pattern.match(path):
                return template
        return None


def application_path(scope: Scope) -> str:
    """Return the path without `root_path`, as the application's routes see it."""
    path: str = scope["path"]
    rest = path.removeprefix(scope.get("root_path", ""))
    return rest if rest.startswith("/") else path
