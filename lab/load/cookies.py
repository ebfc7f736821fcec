"""The cookies of one client of one service (RFC 6265), without domains: there is only one host."""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from time import time


class Cookies:
    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._values: dict[tuple[str, str], tuple[str, float | None]] = {}
        """By name and path: the value, and when it ends."""

    def store(self, set_cookie: str, *, target: str) -> None:
        """Store the cookie of a `Set-Cookie` header in the response to this target."""
        pair, *attributes = set_cookie.split(";")
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            return
        given = {key.strip().lower(): text.strip() for key, _, text in (each.partition("=") for each in attributes)}
        path = given.get("path", "")
        if not path.startswith("/"):
            path = target.partition("?")[0].rpartition("/")[0] or "/"
        ends = self._ends(given)
        self._values.pop((name.strip(), path), None)
        if ends is None or ends > self._clock():
            self._values[name.strip(), path] = (value.strip(), ends)

    def header(self, target: str) -> str:
        """Return the `Cookie` header of a request to this target; empty without one."""
        if not self._values:
            return ""
        path, now = target.partition("?")[0], self._clock()
        sent = [
            (within, f"{name}={value}")
            for (name, within), (value, ends) in self._values.items()
            if (path == within or path.startswith(within if within.endswith("/") else f"{within}/"))
            and (ends is None or ends > now)
        ]
        return "; ".join(pair for _, pair in sorted(sent, key=lambda each: -len(each[0])))

    def _ends(self, given: dict[str, str]) -> float | None:
        if "max-age" in given:
            try:
                return self._clock() + int(given["max-age"])
            except ValueError:
                return None
        if "expires" in given:
            try:
                moment = parsedate_to_datetime(given["expires"])
            except ValueError:
                return None
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return None
