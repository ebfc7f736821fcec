"""The response of a metrics endpoint, parsed."""

from dataclasses import dataclass
from functools import cached_property

import httpx
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"
"""As Prometheus sends it."""


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
        """The metrics; none if the response cannot be parsed."""
        try:
            parse = parse_openmetrics if self.is_openmetrics else parse_text
            return list(parse(self.text))
        except ValueError:
            return []

    def histograms(self) -> list[Metric]:
        """Return the histograms that have observations."""
        return [
            family
            for family in self.families
            if family.type == "histogram" and any(s.name.endswith("_count") and s.value for s in family.samples)
        ]

    def value(self, name: str) -> float | None:
        return next((s.value for family in self.families for s in family.samples if s.name == name), None)


def scrape(client: httpx.Client, url: str) -> Scrape | None:
    """Return the response to Prometheus, or None if it is not an exposition of metrics."""
    try:
        response = client.get(url, headers={"Accept": ACCEPT})
    except httpx.HTTPError:
        return None
    content_type = response.headers.get("content-type", "")
    is_exposition = content_type.startswith(("text/plain", "application/openmetrics-text"))
    if response.status_code != httpx.codes.OK or not is_exposition or "# TYPE " not in response.text:
        return None
    return Scrape(url, content_type, response.text)
