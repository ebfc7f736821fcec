"""How much an owner may spend, and what is left of it."""

from dataclasses import dataclass
from typing import Self

from limits import RateLimitItem, parse


@dataclass(frozen=True, kw_only=True)
class Quota:
    """So many requests in a window of so many seconds."""

    policy: str
    """The name in headers and metrics."""
    item: RateLimitItem

    @classmethod
    def parsed(cls, text: str, *, policy: str) -> Self | None:
        """Return the quota that a setting such as `60/minute` gives, None for an empty one; raise `ValueError`."""
        if not text:
            return None
        item = parse(text)
        if item.amount < 1:
            raise ValueError(f"{text!r} allows nothing")
        return cls(policy=policy, item=item)

    @property
    def window_s(self) -> int:
        """The length of the window."""
        return self.item.get_expiry()


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What is left of a quota after a request asked for a part of it."""

    quota: Quota
    is_granted: bool
    remaining: int
    reset_s: int
    """After which something of the quota is free again."""

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers."""
        name = f'"{self.quota.policy}"'
        return {
            "RateLimit-Policy": f"{name};q={self.quota.item.amount};w={self.quota.window_s}",
            "RateLimit": f"{name};r={self.remaining};t={self.reset_s}",
        }
