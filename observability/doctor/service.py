"""A running service from outside: a few requests, and its metrics afterwards."""

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final, Self

import httpx

from observability.doctor.scrape import Scrape, scrape

METRICS_PORT: Final = 9464
"""The default of OpenTelemetry's Prometheus exporter and of `instrument()`."""

SLO_THRESHOLDS_S: Final = (0.25,)
SCRAPES: Final = 8


class Unreachable(ConnectionError):
    def __init__(self, url: str, error: Exception) -> None:
        super().__init__(f"{url} is unreachable: {error}")


class Service:
    """A service at a URL; each property sends its requests once, at its first use."""

    def __init__(
        self, url: str, *, metrics_url: str | None = None, slo_thresholds_s: Sequence[float] = SLO_THRESHOLDS_S
    ) -> None:
        for each in (url, metrics_url or url):
            _check_url(each)
        self.url = url.rstrip("/")
        self.slo_thresholds_s = slo_thresholds_s
        self.token = f"doctor{secrets.token_hex(6)}"
        """Sent in paths, a method and a host name: no metric may contain it."""
        self._metrics_url = metrics_url
        self._client = httpx.Client(timeout=10, headers={"User-Agent": "flightdeck-doctor"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @cached_property
    def responses(self) -> list[httpx.Response]:
        """The responses to the start page, to unknown paths, and to an unknown method and host, traced if possible."""
        # Ratio samplers use the low or the high bits of the id: both kinds are sent, as sampled by the caller.
        ids = [f"{secrets.token_hex(8)}{'0' * 8}{secrets.token_hex(4)}", f"{secrets.token_hex(8)}ffffffff{'0' * 8}"]
        requests = [
            ("GET", self.url, {}),
            ("GET", f"{self.url}/{self.token}/1", {}),
            ("GET", f"{self.url}/{self.token}/2", {}),
            (self.token.upper(), f"{self.url}/", {}),
            ("GET", f"{self.url}/", {"Host": f"{self.token}.invalid"}),
        ]
        responses = []
        for method, url, headers in requests:
            for trace_id in ids:
                traced = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01", **headers}
                try:
                    responses.append(self._client.request(method, url, headers=traced))
                except httpx.ConnectError as error:
                    raise Unreachable(self.url, error) from error
                except httpx.HTTPError:
                    continue  # a server may close the connection on an unknown method
        return responses

    @cached_property
    def public_metrics(self) -> Scrape | None:
        self.responses  # noqa: B018 metrics after the requests
        return scrape(self._client, f"{self.url}/metrics")

    @cached_property
    def metrics(self) -> Scrape | None:
        """The metrics: from the given URL, else from the service's own port, else from the default port."""
        self.responses  # noqa: B018 metrics after the requests
        if self._metrics_url is not None:
            return scrape(self._client, self._metrics_url)
        return self.public_metrics or scrape(self._client, self._default_metrics_url)

    @property
    def tried_metrics_urls(self) -> str:
        return self._metrics_url or f"{self.url}/metrics and {self._default_metrics_url}"

    @property
    def _default_metrics_url(self) -> str:
        return f"http://{httpx.URL(self.url).host}:{METRICS_PORT}/metrics"

    @cached_property
    def repeated_metrics(self) -> list[Scrape]:
        """Concurrent scrapes of the same address, each over its own connection."""
        if self.metrics is None:
            return []
        with ThreadPoolExecutor(SCRAPES) as pool:
            scrapes = list(pool.map(_separate_scrape, [self.metrics.url] * SCRAPES * 2))
        return [one for one in scrapes if one is not None]


def _check_url(url: str) -> None:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unreachable(url, error) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host or (parsed.port or 0) > 65535:
        raise Unreachable(url, ValueError("not a URL such as http://127.0.0.1:8000"))


def _separate_scrape(url: str) -> Scrape | None:
    with httpx.Client(timeout=10) as client:
        return scrape(client, url)
