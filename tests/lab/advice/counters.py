"""Metrics of made-up traffic."""

from collections.abc import Mapping

from lab.advice.window import Sample, Series, Window

HANDLER = "/books/{book}"
SECONDS = 10.0
TTLS = {"response": ("10", "60", "300", "3600"), "statement": ("10", "60", "300", "3600"), "client": ("unlimited",)}


def series(text: str) -> Series:
    """Return the series of `name{label=value,…}`."""
    name, _, inside = text.partition("{")
    pairs = (pair.partition("=") for pair in inside.removesuffix("}").split(",") if pair)
    return name, frozenset((label, value) for label, _, value in pairs)


def window(*slices: Mapping[str, float], repeat: int = 10) -> Window:
    """Return a window of these increases, repeatedly."""
    rows = [{series(text): value for text, value in one.items()} for one in slices] * repeat
    return Window.of_increases(rows, seconds=[SECONDS] * len(rows))


def sample(counters: Mapping[str, float]) -> Sample:
    return window(counters, repeat=1).whole()


def of_route(name: str, labels: str = "", handler: str = HANDLER) -> str:
    return f"{name}{{handler={handler}{',' if labels else ''}{labels}}}"


def traffic(requests: float = 1000.0, *, mean_s: float = 0.1) -> dict[str, float]:
    return {of_route("whatif_requests_total"): requests, of_route("whatif_request_seconds_total"): requests * mean_s}


def cache(
    name: str, *, hits: float, of: float = 1000.0, seconds: float, size_bytes: float = 0.0, queries: float = 0.0
) -> dict[str, float]:
    """Return the counters of a simulated cache; every lookup has these amounts."""
    amounts = {"seconds": seconds, "bytes": size_bytes, "queries": queries}
    labels = f"cache={name}"
    counters = {
        of_route("whatif_cache_lookups_total", labels): of,
        of_route("whatif_cache_sampled_lookups_total", labels): of,
    }
    for amount, value in amounts.items():
        for kind in ("lookup", "sampled"):
            counters[of_route(f"whatif_cache_{kind}_{amount}_total", labels)] = value * of
        for ttl in TTLS[name]:
            counters[of_route(f"whatif_cache_miss_{amount}_total", f"{labels},ttl={ttl}")] = value * (of - hits)
    return counters | {of_route("whatif_cache_misses_total", f"{labels},ttl={ttl}"): of - hits for ttl in TTLS[name]}
