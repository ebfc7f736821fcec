"""Evidence that metrics are those of a service: they counted the requests that it just got."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from observability.doctor.scrape import NoMetrics, Page, Scrape

STATUS_LABELS: Final = ("status", "status_code", "code", "http_status", "http_status_code", "http_response_status_code")

_Counts = dict[str, Counter[str]]


def counted(before: Scrape | NoMetrics | None, after: Scrape, responses: Sequence[Page]) -> bool:
    """Whether a counter rose by the responses; one with a status label, by those of each status."""
    earlier = _counts(before) if isinstance(before, Scrape) else {}
    return any(_covers(now - earlier.get(name, Counter()), responses) for name, now in _counts(after).items())


def _counts(scrape: Scrape) -> _Counts:
    """Return the values of counters of requests by their name and status."""
    counts: _Counts = {}
    for family in scrape.families:
        if not any(word in family.name for word in ("http", "request", "response", "latency", "duration")):
            continue
        for sample in family.samples:
            if sample.name.endswith(("_total", "_count")):
                status = next((sample.labels[label] for label in STATUS_LABELS if label in sample.labels), "")
                counts.setdefault(sample.name, Counter())[status] += int(sample.value)
    return counts


def _covers(rise: Counter[str], responses: Sequence[Page]) -> bool:
    if "" in rise:
        return rise[""] >= len(responses)
    exact = Counter(str(response.status_code) for response in responses)
    classes = Counter(f"{status[0]}xx" for status in exact.elements())
    return rise >= exact or Counter({status.lower(): value for status, value in rise.items()}) >= classes
