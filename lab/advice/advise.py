"""Predictions with intervals, from a window of metrics."""

from math import inf, isfinite
from typing import Final

import numpy as np

from lab.advice.estimate import Estimate, requests
from lab.advice.methods import METHODS, Method
from lab.advice.result import Advice, Confidence, Prediction, Verdict
from lab.advice.window import Sample, Window
from lab.analysis.statistics import PRACTICAL
from service.techniques import CATALOGUE

RESAMPLES: Final = 200
TAIL: Final = 0.025
LEAST_REQUESTS: Final = 100
"""Requests below which nothing is predicted."""
LARGEST: Final = 1e6
"""An effect above this is shown as open."""
NONE_SEEN: Final = 3.0
"""The 95 % upper limit of a count that was 0, the rule of three (Hanley and Lippman-Hand, JAMA 1983)."""

_TITLES: Final = {technique.name: technique for technique in CATALOGUE}
_NEEDS: Final = "instrument(app, whatif=True)"


def advise(window: Window, *, source: str, seed: int = 1) -> Advice:
    """Return the predictions for every technique, those that help first, by their effect."""
    whole = window.whole()
    random = np.random.default_rng(seed)
    samples = [window.resampled(random) for _ in range(RESAMPLES)] if len(window.matrix) > 1 else []
    predictions = [_prediction(method, whole, samples) for method in METHODS]
    order: list[Verdict] = ["helps", "hurts", "no difference", "too little traffic", "not observed", "not observable"]
    predictions.sort(
        key=lambda one: (order.index(one.verdict), -(one.effect or (inf if one.verdict == "helps" else 0)))
    )
    return Advice(
        source=source,
        seconds=whole.seconds,
        slices=len(window.matrix),
        requests=requests(whole),
        predictions=predictions,
    )


def observed_share(advice: Advice, prediction: Prediction) -> float:
    """Return the share of the observations that this prediction needs, where there is too little traffic for it."""
    least = next(method.least for method in METHODS if method.technique == prediction.technique)
    return min(advice.requests / LEAST_REQUESTS, prediction.basis / least)


def blank(method: Method) -> Prediction:
    """Return the prediction of a technique that is not observable from outside of the code."""
    catalogued = _TITLES[method.technique]
    return Prediction(
        technique=method.technique,
        title=catalogued.title,
        verdict="not observable",
        metric=method.metric,
        unit=method.unit,
        cost=catalogued.cost,
        basis_unit=method.basis_unit,
        how_to=method.how_to,
        service=method.service,
    )


def _prediction(method: Method, whole: Sample, samples: list[Sample]) -> Prediction:
    unpredicted = blank(method)
    if method.estimate is None:
        return unpredicted
    found = method.estimate(whole)
    number = requests(whole)
    if not number:
        note = f"no what-if metrics: {_NEEDS}"
        return unpredicted.model_copy(update={"verdict": "not observed", "notes": [note]})
    if number < LEAST_REQUESTS or (found is not None and found.basis < method.least):
        basis = found.basis if found is not None else number
        return unpredicted.model_copy(update={"verdict": "too little traffic", "basis": basis})
    if found is None:
        return unpredicted.model_copy(
            update={"verdict": "not observed", "notes": [method.needs or "nothing of its kind was observed"]}
        )
    effect, interval = _effect(found), _interval(method, found, samples)
    verdict = _verdict(effect, interval)
    remaining = method.after_caching(whole) if method.after_caching is not None else None
    notes = [*found.notes, method.unknown_after_caching] if method.unknown_after_caching else list(found.notes)
    return unpredicted.model_copy(
        update={
            "verdict": verdict,
            "off": found.off,
            "on": found.on,
            "effect": effect if isfinite(effect) else None,
            "interval": interval,
            "after_caching": _finite(_effect(remaining)) if remaining is not None and verdict == "helps" else None,
            "routes": dict(found.routes) if verdict == "helps" else {},
            "basis": found.basis,
            "confidence": _confidence(effect, interval, found.basis),
            "notes": notes if verdict != "no difference" else [],
        }
    )


def _effect(estimate: Estimate, on: float | None = None) -> float:
    on = estimate.on if on is None else on
    if on <= 0:
        return inf if estimate.off > 0 else 1.0
    return min(estimate.off / on, LARGEST)


def _finite(effect: float) -> float | None:
    return effect if isfinite(effect) else None


def _interval(method: Method, found: Estimate, samples: list[Sample]) -> tuple[float, float | None] | None:
    """Return the hull of the assumptions' effects, each end with the noise of the time slices."""
    if method.estimate is None or not samples:
        return None
    lows, highs = [], []
    for sample in samples:
        estimate = method.estimate(sample)
        if estimate is not None:
            lows.append(_effect(estimate, estimate.pessimistic))
            highs.append(_effect(estimate, estimate.optimistic))
    if len(lows) < len(samples) / 2:
        return None
    finite = [LARGEST if effect == inf else effect for effect in highs]
    low = float(np.quantile([LARGEST if effect == inf else effect for effect in lows], TAIL))
    high = float(np.quantile(finite, 1 - TAIL))
    effect = _effect(found)
    if low == LARGEST:  # in no sample anything is left
        low = max(found.basis / NONE_SEEN, 1.0)
    return min(low, effect), None if max(high, effect) >= LARGEST else max(high, effect)


def _verdict(effect: float, interval: tuple[float, float | None] | None) -> Verdict:
    if interval is None:
        return "too little traffic"
    low, high = interval
    if low > 1 and effect >= PRACTICAL:
        return "helps"
    if high is not None and high < 1 and effect <= 1 / PRACTICAL:
        return "hurts"
    return "no difference"


def _confidence(effect: float, interval: tuple[float, float | None] | None, basis: float) -> Confidence:
    """Return how narrow the interval is, and how much it rests on."""
    if interval is None:
        return "none"
    low, high = interval
    if high is None or not isfinite(effect) or low <= 0:
        return "medium" if basis >= 1000 else "low"
    width = high / low
    return "high" if width <= 1.5 and basis >= 1000 else "medium" if width <= 3 else "low"
