"""Everyday traffic on the real clock, played from what `tests.prometheus.record` kept of five arms."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tests.prometheus.normal_traffic import Series

KEPT: Final = Path(__file__).with_name("everyday.json")
SECONDS: Final = 1800
SCRAPE_S: Final = 15
KEPT_STEP_S: Final = 5
COUNTERS: Final = ("_total", "_bucket", "_count", "_sum")

Values = npt.NDArray[np.float64]


def everyday(*, seed: int, seconds: int = SECONDS) -> Iterator[Series]:
    """Yield every series; what happened in a stretch of 15 seconds happened to all of them in the same stretch."""
    recorded: list[tuple[dict[str, str], list[float]]] = json.loads(KEPT.read_text("utf-8"))
    steps = max(len(values) for _, values in recorded)
    width = SCRAPE_S // KEPT_STEP_S
    stretches = np.random.default_rng(seed).integers(0, steps - width, seconds // SCRAPE_S)
    for labels, values in recorded:
        whole = np.array(values * steps if len(values) == 1 else values)
        name = labels["__name__"]
        played = _grown(whole, stretches, width) if name.endswith(COUNTERS) else whole[stretches]
        yield Series(_selector(labels), " ".join(f"{value:.10g}" for value in played))


def _grown(values: Values, stretches: npt.NDArray[np.int64], width: int) -> Values:
    """Return the counter as if the chosen stretches had followed one another."""
    result: Values = values[0] + np.cumsum(values[stretches + width] - values[stretches])
    return result


def _selector(labels: dict[str, str]) -> str:
    target = f'instance="{labels["job"]}-{labels["arm"]}:9464"'
    matchers = [f"{label}={json.dumps(value)}" for label, value in labels.items() if label != "__name__"]
    return f"{labels['__name__']}{{{', '.join([*matchers, target])}}}"


def arms_of(series: Sequence[Series]) -> set[str]:
    """Return the arms that the series speak of."""
    return {one.series.split('arm="')[1].split('"')[0] for one in series}
