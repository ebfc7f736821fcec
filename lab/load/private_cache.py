"""The HTTP caches of the simulated clients: freshness, validators and `Vary` (RFC 9111), without bodies."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

MAX_ENTRIES: Final = 2000
"""The oldest are dropped."""
MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d+)", re.IGNORECASE)
NO_STORE: Final = re.compile(r"(?:^|[\s,])no-store(?:$|[\s,])", re.IGNORECASE)
NO_CACHE: Final = re.compile(r"(?:^|[\s,])no-cache(?:$|[\s,])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CachedResponse:
    etag: str
    fresh_until: float
    varied: tuple[tuple[str, str], ...]
    """The request headers that `Vary` names, with their values."""


class PrivateCache:
    """One cache per client: as in a browser, a fresh response is used without a request."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._entries: dict[tuple[int, str], CachedResponse] = {}

    def is_fresh(self, client: int, target: str, sent: Mapping[str, str]) -> bool:
        entry = self._entry(client, target, sent)
        return entry is not None and self._clock() < entry.fresh_until

    def etag(self, client: int, target: str, sent: Mapping[str, str]) -> str:
        """Return the validator of the client's stored response; empty without one."""
        entry = self._entry(client, target, sent)
        return entry.etag if entry is not None else ""

    def store(
        self, client: int, target: str, sent: Mapping[str, str], *, status: int, received: Mapping[str, str]
    ) -> None:
        """Store what a response with status 200 or 304 allows; header names are in lower case."""
        control, vary = received.get("cache-control", ""), received.get("vary", "")
        entry = self._entries.pop((client, target), None)
        if status == 304 and entry is None:
            return
        if NO_STORE.search(control) or "*" in vary:
            return
        age = received.get("age", "").strip()
        lifetime_s = MAX_AGE.search(control)
        fresh_s = float(lifetime_s[1]) if lifetime_s and not NO_CACHE.search(control) else 0.0
        etag = received.get("etag", "") or (entry.etag if entry is not None and status == 304 else "")
        if not etag and not fresh_s:
            return
        names = sorted({name.strip().lower() for name in vary.split(",")} - {""})
        self._entries[client, target] = CachedResponse(
            etag,
            self._clock() + fresh_s - (float(age) if age.isdecimal() else 0.0),
            tuple((name, sent.get(name, "")) for name in names),
        )
        while len(self._entries) > MAX_ENTRIES:
            self._entries.pop(next(iter(self._entries)))

    def _entry(self, client: int, target: str, sent: Mapping[str, str]) -> CachedResponse | None:
        entry = self._entries.get((client, target))
        if entry is None or any(sent.get(name, "") != value for name, value in entry.varied):
            return None
        return entry
