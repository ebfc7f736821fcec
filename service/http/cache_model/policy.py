"""Which routes' answers are kept, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Self

from starlette.routing import compile_path
from starlette.types import Scope

LONGEST_S = 86_400.0
"""No entry outlives a day, so the memory of what was invalidated need not be longer."""


@dataclass(frozen=True, kw_only=True)
class CachePolicy:
    """How the answers of one route are kept."""

    cache: str
    """The name in metrics; one of a few that the code knows."""
    technique: str
    """The technique that switches this on: `response_cache` or `local_cache`."""
    ttl_s: float
    """How long an answer is fresh, at most; jitter shortens it."""
    stale_s: float = 0.0
    """How long after that it is still sent while one request refreshes it."""
    negative_ttl_s: float = 0.0
    """How long a 404 is fresh; 0 keeps none."""
    jitter: float = 0.1
    """The share of the time to live by which answers differ, so that they do not expire together."""
    browser_s: float = 0.0
    """How long a client may reuse the answer without asking: no invalidation reaches it."""

    def __post_init__(self) -> None:
        """Refuse what can not be meant."""
        if min(self.ttl_s, self.stale_s, self.negative_ttl_s, self.browser_s) < 0:
            raise ValueError(f"times of the cache {self.cache} must not be negative")
        if self.ttl_s + self.stale_s > LONGEST_S or self.negative_ttl_s > LONGEST_S:
            raise ValueError(f"an entry of the cache {self.cache} would live longer than {LONGEST_S:.0f} s")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"the jitter of the cache {self.cache} must be at least 0 and below 1")

    def lasting(self, ttl_s: float) -> Self:
        """Return the policy with this time to live: staleness in proportion, other times at most as long."""
        return replace(
            self,
            ttl_s=ttl_s,
            stale_s=self.stale_s * ttl_s / self.ttl_s if self.ttl_s else 0.0,
            negative_ttl_s=min(self.negative_ttl_s, ttl_s),
            browser_s=min(self.browser_s, ttl_s),
        )

    def lifetime_s(self, status: int, random: Random) -> tuple[float, float]:
        """Return how long an answer with this status is fresh and how long it is then stale; 0, 0 keeps none."""
        ttl_s, stale_s = {200: (self.ttl_s, self.stale_s), 404: (self.negative_ttl_s, 0.0)}.get(status, (0.0, 0.0))
        return ttl_s * (1 - self.jitter * random.random()), stale_s


class PolicyTable:
    """The policies by path template, found by a request's path before any routing."""

    def __init__(self, policies: Mapping[str, CachePolicy]) -> None:
        self._by_template = dict(policies)
        self._patterns = [(compile_path(template)[0], template) for template in policies]

    def __len__(self) -> int:
        return len(self._by_template)

    def __getitem__(self, template: str) -> CachePolicy:
        return self._by_template[template]

    def get(self, template: str) -> CachePolicy | None:
        """Return the policy of a template, or None."""
        return self._by_template.get(template)

    def match(self, path: str) -> str | None:
        """Return the template that the path belongs to, or None when its answers are not kept."""
        for pattern, template in self._patterns:
            if pattern.match(path):
                return template
        return None


def application_path(scope: Scope) -> str:
    """Return the path as the application's own routes see it, without the prefix it is mounted under."""
    path: str = scope["path"]
    rest = path.removeprefix(scope.get("root_path", ""))
    return rest if rest.startswith("/") else path
