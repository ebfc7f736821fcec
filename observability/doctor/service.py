"""A running service from outside: a few requests, and its metrics afterwards."""

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from time import monotonic, sleep
from typing import Final, Self

import httpx

from observability.doctor.check import CouldNotLook
from observability.doctor.counted import counted
from observability.doctor.scrape import NoMetrics, Page, Scrape, description, fetch, scrape

METRICS_PORT: Final = 9464
"""The default of OpenTelemetry's Prometheus exporter and of `instrument()`."""

SLO_THRESHOLDS_S: Final = (0.25,)
SCRAPES: Final = 8
TIMEOUT_S: Final = 10.0
COUNTED_WITHIN_S: Final = 2.0
"""Some middleware counts a request after its response."""


class Unreachable(ConnectionError):
    def __init__(self, url: str, error: Exception) -> None:
        super().__init__(f"{url} is unreachable: {description(error)}")


class ForeignMetrics(LookupError):
    def __init__(self, url: str, requests: int) -> None:
        super().__init__(
            f"{url} did not count the {requests} requests of the doctor: it has metrics of another application or "
            "worker, or metrics without such requests"
        )


class Service:
    """A service at a URL; each property sends its requests once, at its first use."""

    def __init__(
        self,
        url: str,
        *,
        metrics_url: str | None = None,
        slo_thresholds_s: Sequence[float] = SLO_THRESHOLDS_S,
        is_in_process: bool = False,
    ) -> None:
        for each in (url, metrics_url or url):
            _check_url(each)
        self.url = url.rstrip("/")
        self.slo_thresholds_s = slo_thresholds_s
        self.token = f"doctor{secrets.token_hex(6)}"
        """Sent in paths, a method and a host name: no metric may contain it."""
        # Ratio samplers use the low or the high bits of the id: both kinds are sent, as sampled by the caller.
        self.trace_ids = (
            f"{secrets.token_hex(8)}{'0' * 8}{secrets.token_hex(4)}",
            f"{secrets.token_hex(8)}ffffffff{'0' * 8}",
        )
        self._has_metrics_url = metrics_url is not None
        self._is_in_process = is_in_process
        self._before: Scrape | NoMetrics | None = None
        self.metrics_url = metrics_url or str(
            httpx.URL(self.url).copy_with(scheme="http", port=METRICS_PORT, path="/metrics", query=None)
        )
        self._client = httpx.Client(timeout=TIMEOUT_S, headers={"User-Agent": "flightdeck-doctor"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @cached_property
    def responses(self) -> list[Page]:
        """The responses to the start page, to unknown paths, and to an unknown method and host, traced if possible.

        Raise `Unreachable` if there is none to the start page.
        """
        requests = [
            ("GET", self.url, {}),
            ("GET", f"{self.url}/{self.token}/1", {}),
            ("GET", f"{self.url}/{self.token}/2", {}),
            (self.token.upper(), f"{self.url}/", {}),
            ("GET", f"{self.url}/", {"Host": f"{self.token}.invalid"}),
        ]
        self._before = None if self._is_own(self.metrics_url) else self._scraped(self.metrics_url)
        responses: list[Page] = []
        for method, url, headers in requests:
            for trace_id in self.trace_ids:
                traced = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01", **headers}
                try:
                    responses.append(fetch(self._client, method, url, traced))
                except (httpx.HTTPError, UnicodeError) as error:
                    if not responses:
                        raise Unreachable(self.url, error) from error
                    # a server may close the connection on an unknown method
        return responses

    @cached_property
    def public_metrics(self) -> Scrape | NoMetrics:
        self.responses  # noqa: B018 metrics after the requests
        return self._scraped(f"{self.url}/metrics")

    @cached_property
    def found(self) -> Scrape | NoMetrics | ForeignMetrics:
        """The metrics: from the given URL, else from the service's own port, else from the default port."""
        # Servers reject the unknown method, and some hosts, before the application can count them.
        responses = self.responses[: 3 * len(self.trace_ids)]
        if not self._has_metrics_url and isinstance(self.public_metrics, Scrape):
            return self.public_metrics
        ends_at = monotonic() + COUNTED_WITHIN_S
        while True:
            found = self._scraped(self.metrics_url)
            if isinstance(found, NoMetrics):
                return found if self._has_metrics_url else NoMetrics(f"{self.public_metrics} and {found}")
            if self._is_own(self.metrics_url) or counted(self._before, found, responses):
                return found
            if monotonic() > ends_at:
                return ForeignMetrics(self.metrics_url, len(responses))
            sleep(0.1)

    @property
    def metrics(self) -> Scrape:
        """The service's metrics; raise `CouldNotLook` without."""
        if isinstance(self.found, Scrape):
            return self.found
        raise CouldNotLook(str(self.found) if isinstance(self.found, ForeignMetrics) else "no metrics")

    @cached_property
    def repeated_metrics(self) -> list[Scrape]:
        """Concurrent scrapes of the same address, each over its own connection."""
        with ThreadPoolExecutor(SCRAPES) as pool:
            scrapes = list(pool.map(_separate_scrape, [self.metrics.url] * SCRAPES * 2))
        return [one for one in scrapes if isinstance(one, Scrape)]

    def _scraped(self, url: str) -> Scrape | NoMetrics:
        return _scraped(self._client, url)

    def _is_own(self, url: str) -> bool:
        """Whether the address is that of the service, so that its metrics need no other evidence."""
        first, second = httpx.URL(self.url), httpx.URL(url)
        return self._is_in_process or (first.host, first.port) == (second.host, second.port)


def _check_url(url: str) -> None:
    try:
        parsed = httpx.URL(url)
        (parsed.host or "").encode("idna")  # as the resolver does
    except (httpx.InvalidURL, UnicodeError) as error:
        raise Unreachable(url, error) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65535:
        raise Unreachable(url, ValueError("not a URL such as http://127.0.0.1:8000"))


def _separate_scrape(url: str) -> Scrape | NoMetrics:
    with httpx.Client(timeout=TIMEOUT_S) as client:
        return _scraped(client, url)


def _scraped(client: httpx.Client, url: str) -> Scrape | NoMetrics:
    try:
        return scrape(client, url)
    except NoMetrics as error:
        return error
