"""Predictions of smaller bodies: compressed, without nulls, in pages."""

from typing import Final

from lab.advice.estimate import Estimate, requests, shares, wire_bytes
from lab.advice.window import Sample

MIN_SAVED_SHARE: Final = 0.02
"""A route whose bodies shrink by less is left as it is."""


def compression(sample: Sample) -> Estimate | None:
    """Return the bytes per request with the best coding that each client accepts."""
    number = requests(sample)
    if not number:
        return None
    tried = sample.by("whatif_trial_bytes_total", "handler")
    saved: dict[str, float] = {}
    cpu_s = 0.0
    for route, whole in tried.items():
        sizes = sample.by("whatif_trial_compressed_bytes_total", "encoding", handler=route)
        seconds = sample.by("whatif_trial_compression_seconds_total", "encoding", handler=route)
        for coding, size_bytes in sample.by("whatif_compressible_bytes_total", "encoding", handler=route).items():
            if coding in sizes:
                saved[route] = saved.get(route, 0.0) + size_bytes * (1 - sizes[coding] / whole)
                cpu_s += size_bytes * seconds.get(coding, 0.0) / whole
    now, less = wire_bytes(sample), sum(saved.values())
    notes = []
    if less:
        link = f"; it pays on links slower than {8 * less / cpu_s / 1e6:,.0f} Mbit/s" if cpu_s else ""
        notes.append(f"{cpu_s / number * 1e3:.2f} ms of CPU per request{link}")
    return Estimate(
        off=now / number,
        on=max(now - less, 0.0) / number,
        basis=sample.total("whatif_trial_bodies_total"),
        routes=shares(saved),
        notes=tuple(notes),
    )


def slim_responses(sample: Sample) -> Estimate | None:
    """Return the bytes per request without null members."""
    kept = sample.by("whatif_trial_without_nulls_bytes_total", "handler")
    return _scaled(sample, kept, basis="whatif_trial_json_bodies_total", notes=())


def pagination(sample: Sample, *, rows: int = 100) -> Estimate | None:
    """Return the bytes per request if no response has more rows than a page."""
    kept = sample.by("whatif_trial_page_bytes_total", "handler", rows=str(rows))
    mean = sample.total("whatif_trial_rows_total") / (sample.total("whatif_trial_json_bodies_total") or 1)
    notes = (f"pages of {rows} rows; a response has {mean:,.0f} rows now", "further pages are requests of their own")
    return _scaled(sample, kept, basis="whatif_trial_json_bodies_total", notes=notes)


def _scaled(sample: Sample, kept: dict[str, float], *, basis: str, notes: tuple[str, ...]) -> Estimate | None:
    number = requests(sample)
    if not number:
        return None
    tried = sample.by("whatif_trial_json_bytes_total", "handler")
    sizes = sample.by("http_response_size_bytes_sum", "handler")
    less = {route: 1 - kept.get(route, whole) / whole for route, whole in tried.items()}
    saved = {route: share * sizes.get(route, 0.0) for route, share in less.items() if share >= MIN_SAVED_SHARE}
    now = wire_bytes(sample)
    return Estimate(
        off=now / number,
        on=max(now - sum(saved.values()), 0.0) / number,
        basis=sample.total(basis),
        routes=shares(saved),
        notes=notes,
    )
