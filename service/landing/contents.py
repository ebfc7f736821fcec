"""What the landing page says: the requests worth trying, the headers worth reading, the places worth visiting."""

from dataclasses import dataclass
from typing import Final

from service.settings import Settings


@dataclass(frozen=True)
class Try:
    """A request that shows something."""

    path: str
    what: str


TRIES: Final = (
    Try("/airports/JFK/departures?date=2013-07-04", "Departure board: flights with airline, aircraft and destination"),
    Try("/reports/delays?by=carrier", "Delays by carrier, over the whole year"),
    Try("/reports/delays?by=hour&origin=LGA&month=2013-12", "Delays by hour at LaGuardia, before Christmas"),
    Try("/reports/routes?month=2013-07&limit=10", "The ten most punctual routes of July"),
    Try("/flights?origin=EWR&date_from=2013-02-08&date_to=2013-02-09", "Two days of a blizzard at Newark"),
    Try("/flights?min_delay_min=600&sort=-departure_delay_min", "More than ten hours late, the worst first"),
    Try(
        "/flights?destination=HNL&limit=20&fields=id,date,carrier,departure_delay_min", "Four fields of twenty flights"
    ),
    Try("/flights/1", "One flight, with the record as it was published"),
    Try(
        "/itineraries?origin=BOS&destination=LAX&date=2013-07-05", "From Boston to Los Angeles: a search that costs CPU"
    ),
    Try(
        "/weather/JFK?at=2013-02-08T20:00Z",
        "The blizzard's weather, from the upstream that `flightdeck upstream` serves",
    ),
    Try("/airports/JFK/nearest?limit=5", "Five airports around JFK"),
    Try("/airports/JFK", "One airport"),
    Try("/airports", "Every airport of the reference table"),
    Try("/airlines", "Every airline"),
    Try("/flights?limit=5000", "A request that is refused: a problem document says what is allowed"),
)


@dataclass(frozen=True)
class Header:
    """A response header and what it tells."""

    name: str
    tells: str
    technique: str | None = None
    """The technique that sends it; without one every process does."""


HEADERS: Final = (
    Header("X-Process-Time", "Seconds until the first byte of the answer"),
    Header(
        "Server-Timing", "Where they went: db, cache, upstream, serialize, compress; the browser's network tab draws it"
    ),
    Header("X-Trace-Id", "Finds this request in traces, logs and errors"),
    Header("Cache-Status", "Whether a cache answered, and for how long it still may", "response_cache"),
    Header("ETag", "Send it back as If-None-Match, and an unchanged answer is a 304 without a body", "http_cache"),
    Header("Content-Encoding", "How the body was compressed: zstd, br or gzip, as the client likes it", "compression"),
)


@dataclass(frozen=True)
class Place:
    """A page to go to."""

    name: str
    url: str
    what: str


def places(settings: Settings, *, metrics_url: str | None) -> list[Place]:
    """Return the pages that exist for this process."""
    # A Prometheus that is linked has the metrics; their port may be one that only Prometheus can reach.
    metrics = "" if settings.prometheus_url else metrics_url or ""
    candidates = (
        Place("API documentation", "/docs", "Every route, with examples"),
        Place("OpenAPI", "/openapi.json", "The same for programs"),
        Place("Readiness", "/readyz", "What is missing, if anything is"),
        Place("Events of flight 1", "/flights/1/events", "Its status updates as they happen: a stream that stays open"),
        Place("Metrics", metrics, "What Prometheus scrapes from this process"),
        Place("Grafana", settings.grafana_url, "The dashboards"),
        Place("Prometheus", settings.prometheus_url, "Queries and alerts"),
        Place("Traces", settings.traces_url, "One request, step by step"),
        Place("Errors", settings.errors_url, "What went wrong, by trace id"),
        Place("Alerts", settings.alerts_url, "What was delivered, with its runbook"),
    )
    return [place for place in candidates if place.url]
