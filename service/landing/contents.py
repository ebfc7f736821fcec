"""The contents of the landing page: example requests, response headers and links."""

from dataclasses import dataclass
from typing import Final

from service.settings import Settings


@dataclass(frozen=True)
class Example:
    """An example request."""

    path: str
    description: str


EXAMPLES: Final = (
    Example(
        "/airports/JFK/departures?date=2013-07-04", "Departure board: flights with airline, aircraft and destination"
    ),
    Example("/reports/delays?by=carrier", "Delays by carrier in the whole year"),
    Example("/reports/delays?by=hour&origin=LGA&month=2013-12", "Delays by hour at LaGuardia in December"),
    Example("/reports/routes?month=2013-07&limit=10", "The ten most punctual routes of July"),
    Example("/flights?origin=EWR&date_from=2013-02-08&date_to=2013-02-09", "Two days of a blizzard at Newark"),
    Example("/flights?min_delay_min=600&sort=-departure_delay_min", "At least ten hours late, longest delay first"),
    Example(
        "/flights?destination=HNL&limit=20&fields=id,date,carrier,departure_delay_min",
        "Twenty flights, four fields of each",
    ),
    Example("/flights/1", "One flight with its source record"),
    Example(
        "/itineraries?origin=BOS&destination=LAX&date=2013-07-05",
        "Itineraries from Boston to Los Angeles: a CPU-bound search",
    ),
    Example(
        "/weather/JFK?at=2013-02-08T20:00Z",
        "Weather of the blizzard, from the upstream that `flightdeck upstream` starts",
    ),
    Example("/airports/JFK/nearest?limit=5", "The five airports nearest to JFK"),
    Example("/airports/JFK", "One airport"),
    Example("/airports", "All airports"),
    Example("/airlines", "All airlines"),
    Example("/flights?limit=5000", "Invalid, so it is rejected with a problem document that says what is allowed"),
)


@dataclass(frozen=True)
class Header:
    """A response header."""

    name: str
    description: str
    technique: str | None = None
    """The technique that adds it; None if every process sends it."""


HEADERS: Final = (
    Header("X-Process-Time", "Seconds until the first byte of the response"),
    Header(
        "Server-Timing",
        "How that time was spent: db, cache, upstream, serialize, compress",
    ),
    Header("X-Trace-Id", "The trace id of this request in traces, logs and errors"),
    Header("Cache-Status", "Whether the response came from a cache, and how long it stays fresh", "response_cache"),
    Header(
        "ETag",
        "Send it as If-None-Match: an unchanged response is a 304 without a body",
        "http_cache",
    ),
    Header(
        "Content-Encoding",
        "Compression of the body: zstd, br or gzip, as negotiated",
        "compression",
    ),
)


@dataclass(frozen=True)
class Link:
    """A link to a page."""

    name: str
    url: str
    description: str


def links(settings: Settings, *, metrics_url: str | None) -> list[Link]:
    """Return the links to the pages that this process has or knows."""
    # With a Prometheus there is no need to link to the metrics, whose port may be reachable for Prometheus only.
    metrics = "" if settings.prometheus_url else metrics_url or ""
    candidates = (
        Link("API documentation", "/docs", "All routes, with examples"),
        Link("OpenAPI", "/openapi.json", "The same, machine-readable"),
        Link("Readiness", "/readyz", "Whether the service is ready, and if not, why"),
        Link("Events of flight 1", "/flights/1/events", "Its status changes as server-sent events"),
        Link("Metrics", metrics, "The metrics of this process, as Prometheus scrapes them"),
        Link("Grafana", settings.grafana_url, "Dashboards"),
        Link("Prometheus", settings.prometheus_url, "Queries and alerts"),
        Link("Traces", settings.traces_url, "The spans of each request"),
        Link("Errors", settings.errors_url, "Exceptions, with their trace ids"),
        Link("Alerts", settings.alerts_url, "Delivered alerts, with their runbooks"),
    )
    return [link for link in candidates if link.url]
