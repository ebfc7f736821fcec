"""Quotas of rate limits."""

from dataclasses import dataclass
from typing import Self

from limits import RateLimitItem, parse


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A number of requests per time window."""

    policy: str
    """The name in headers and metrics."""
    item: RateLimitItem

    @classmethod
    def parse(cls, text: str, *, policy: str) -> Self | None:
        """Return the quota of a setting such as `60/minute`, None for `none`; raise `ValueError`."""
        if text == "none":
            return None
        item = parse(text)
        if item.amount < 1:
            raise ValueError(f"{text!r} allows no request")
        return cls(policy=policy, item=item)

    @property
    def window_s(self) -> int:
        return self.item.get_expiry()
