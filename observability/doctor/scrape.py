"""The response of a metrics endpoint, parsed."""

from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import Final, Self

import httpx
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"
"""As Prometheus sends it."""

MAX_BYTES: Final = 32_000_000
MAX_BODY_S: Final = 10.0


class NoMetrics(LookupError):
    """The message is the URL and the reason."""

    @classmethod
    def of(cls, url: str, reason: str) -> Self:
        return cls(f"{url} ({reason})")


@dataclass(frozen=True)
class Page:
    status_code: int
    headers: httpx.Headers
    body: bytes
    is_complete: bool


@dataclass(frozen=True)
class Scrape:
    url: str
    content_type: str
    text: str

    @property
    def is_openmetrics(self) -> bool:
        return self.content_type.startswith("application/openmetrics-text")

    @cached_property
    def families(self) -> list[Metric]:
        parse = parse_openmetrics if self.is_openmetrics else parse_text
        return list(parse(self.text))

    def histograms(self) -> list[Metric]:
        """Return the histograms that have observations."""
        return [
            family
            for family in self.families
            if family.type == "histogram" and any(s.name.endswith("_count") and s.value for s in family.samples)
        ]

    def value(self, name: str) -> float | None:
        return next((s.value for family in self.families for s in family.samples if s.name == name), None)


def scrape(client: httpx.Client, url: str) -> Scrape:
    """Return the response to Prometheus; raise `NoMetrics` if it is not an exposition of metrics."""
    try:
        page = fetch(client, "GET", url, {"Accept": ACCEPT})
    except (httpx.HTTPError, UnicodeError) as error:
        raise NoMetrics.of(url, description(error)) from error
    if page.status_code != httpx.codes.OK:
        raise NoMetrics.of(url, f"status {page.status_code}")
    content_type = page.headers.get("content-type", "")
    if not content_type.startswith(("text/plain", "application/openmetrics-text")):
        raise NoMetrics.of(url, f"a response of type {content_type or 'unknown'!r}, not of metrics")
    if not page.is_complete:
        raise NoMetrics.of(url, f"its body does not end within {MAX_BYTES / 1e6:.0f} MB and {MAX_BODY_S:.0f} s")
    scraped = Scrape(url, content_type, page.body.decode(errors="replace"))
    try:
        is_empty = "# TYPE " not in scraped.text or not scraped.families
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise NoMetrics.of(url, f"the metrics cannot be parsed: {error}") from error
    if is_empty:
        raise NoMetrics.of(url, "the response has no metrics")
    return scraped


def fetch(client: httpx.Client, method: str, url: str, headers: dict[str, str]) -> Page:
    """Return the response with its body, of which no more is read than the limits allow."""
    body, ends_at = bytearray(), monotonic() + MAX_BODY_S
    with client.stream(method, url, headers=headers) as response:
        is_complete = False
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BYTES or monotonic() > ends_at:
                break
        else:
            is_complete = True
        return Page(response.status_code, response.headers, bytes(body), is_complete=is_complete)


def description(error: Exception) -> str:
    """Return the message of an error, or its type if it has none."""
    return str(error) or type(error).__name__
