"""The requests of one version, read from Prometheus: how many since the last look, and how long they took."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

import httpx

from lab.core.errors import BadSetting, LabError

TIMEOUT_S: Final = 10.0
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Names:
    """The names of the series; the defaults are those of the instrumentation."""

    histogram: str = "http_request_duration_seconds"
    requests: str = "http_requests_total"
    failed: str = 'status="5xx"'
    """Matcher of the requests that failed."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Requests since the last look."""

    slower_than: Mapping[float, float] = field(default_factory=dict)
    """By boundary in seconds; the boundary 0 has all requests of the histogram."""
    requests: float = 0.0
    failed: float = 0.0


class Version:
    """The series that a selector such as `{version="2"}` selects."""

    def __init__(self, selector: str, names: Names) -> None:
        matchers = selector.strip()
        if not (matchers.startswith("{") and matchers.endswith("}") and "=" in matchers):
            raise BadSetting("the selector", selector, 'one such as {version="2"}')
        self.selector = matchers
        self._names = names
        inner = matchers[1:-1].strip().rstrip(",")
        self._failed = f"{names.requests}{{{inner}, {names.failed}}}"
        self._values: dict[tuple[str, Labels], float] | None = None

    @property
    def queries(self) -> dict[str, str]:
        return {
            "latency": f"{self._names.histogram}_bucket{self.selector}",
            "requests": f"{self._names.requests}{self.selector}",
            "failed": self._failed,
        }

    def counts(self, found: Mapping[str, Mapping[Labels, float]]) -> Counts:
        """Return what was added to the series since the last call; the first call returns none.

        A series that falls has begun again at 0, and one that is new began at 0.
        """
        values = {(name, labels): value for name, series in found.items() for labels, value in series.items()}
        before, self._values = self._values, (self._values or {}) | values
        if before is None:
            return Counts()
        added = {key: value - was if value >= (was := before.get(key, 0.0)) else value for key, value in values.items()}
        up_to: dict[float, float] = {}
        totals = {"requests": 0.0, "failed": 0.0}
        for (name, labels), value in added.items():
            if name == "latency":
                bound = float(dict(labels)["le"])
                up_to[bound] = up_to.get(bound, 0.0) + value
            else:
                totals[name] += value
        whole = up_to.pop(inf, 0.0)
        slower = {bound: max(whole - count, 0.0) for bound, count in up_to.items()}
        return Counts(slower_than={0.0: whole} | slower, **totals)


class Prometheus:
    """Instant queries; `token` is a bearer token, if the server requires one."""

    def __init__(self, url: str, *, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._client = httpx.Client(timeout=TIMEOUT_S, headers=headers, transport=transport)

    def values(self, query: str, *, at: float) -> dict[Labels, float]:
        """Return the value of every series; raise `LabError` if the server does not give them."""
        try:
            response = self._client.get(self._url, params={"query": query, "time": f"{at:.3f}"})
            body: dict[str, Any] = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LabError(f"no response from Prometheus at {self._url}: {type(error).__name__}") from error
        except ValueError as error:
            raise LabError(f"{self._url} responds with {response.status_code} and no JSON: not a Prometheus") from error
        if body.get("status") != "success":
            raise LabError(f"Prometheus cannot run {query}: {body.get('error', response.status_code)}")
        return {
            frozenset(series["metric"].items()): float(series["value"][1])
            for series in body["data"]["result"]
            if series["value"][1] not in {"NaN", "+Inf", "-Inf"}
        }

    def look(self, versions: tuple[Version, Version], *, at: float) -> tuple[Counts, Counts]:
        """Return what was added to both since the last look; if one cannot be read, nothing of the other is lost."""
        found = [{name: self.values(query, at=at) for name, query in each.queries.items()} for each in versions]
        before, after = (version.counts(series) for version, series in zip(versions, found, strict=True))
        return before, after

    def close(self) -> None:
        self._client.close()
