"""The judgement of a canary after each look: pass, fail or undecided."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel

from lab.judge.evidence import Samples, log_evidence
from lab.judge.quantile import ROUNDING, bucket, bucket_quantile, slower_than
from lab.judge.series import Counts

Verdict = Literal["pass", "fail", "undecided"]
QUANTILES: Final = {"p50_s": 0.5, "p95_s": 0.95}
PRACTICAL: Final = 1.05
"""A ratio nearer to 1 than this is of no practical importance, as in experiments."""
MOST_SLOWER: Final = 0.9
"""Boundaries that more than this share of the first requests exceed say little about slow ones."""


class Judgement(BaseModel):
    """What the looks so far say; `verdict` is what a program reads."""

    verdict: Verdict
    reason: str
    is_final: bool
    looks: int
    elapsed_s: float
    alpha: float
    """The probability with which a candidate that is neither slower nor fails more is ever judged to."""
    margin: float
    requests: dict[str, float]
    failed: dict[str, float]
    p50_s: dict[str, float | None]
    p95_s: dict[str, float | None]
    p95_times: float | None
    """The candidate's p95 as a multiple of the baseline's, interpolated within buckets."""
    evidence: dict[str, float]
    """E-values: `slower`, `failing`; `within_margin` against the candidate being slower by the margin."""
    threshold: dict[str, float]
    """Where each of them decides."""

    def line(self) -> str:
        """Return the look as one line."""
        (before, after), times = self.requests.values(), self.p95_times
        against = ", ".join(f"{name} {value:.3g} of {self.threshold[name]:g}" for name, value in self.evidence.items())
        return (
            f"{self.elapsed_s:.0f} s: {self.verdict}, {self.reason}; {before:.0f} and {after:.0f} requests, "
            f"p95 {'unknown' if times is None else f'{times:.2f} times'}; evidence: {against}"
        )


@dataclass(kw_only=True)
class Judge:
    """Takes the counts of each look; a failure ends the canary early, a pass needs its whole time."""

    for_s: float
    every_s: float
    alpha: float = 0.05
    margin: float = 1.2
    """A candidate passes if its p95 is certainly less than this many times the baseline's."""
    _looks: list[tuple[Counts, Counts]] = field(default_factory=list)

    @property
    def planned(self) -> int:
        return max(round(self.for_s / self.every_s), 2)

    def add(self, baseline: Counts, candidate: Counts, *, elapsed_s: float) -> Judgement:
        self._looks.append((baseline, candidate))
        bounds = self._bounds()
        arms = [self._samples([look[side] for look in self._looks], bounds) for side in (0, 1)]
        slower = self._slower(arms[0], arms[1])
        failing = self._failing()
        totals = [self._total(side) for side in (0, 1)]
        quantiles = {
            name: [bucket_quantile(total.slower_than, share) for total in totals] for name, share in QUANTILES.items()
        }
        within, too_wide = self._within_margin(arms[1], bounds, p95_s=quantiles["p95_s"][0])
        times = {name: after / before if before and after else None for name, (before, after) in quantiles.items()}
        is_slower_by = max((each for each in times.values() if each is not None), default=0.0)
        has_ended = elapsed_s >= self.for_s - self.every_s / 2
        limit, pass_limit = log(2 / self.alpha), log(1 / self.alpha)
        verdict: Verdict = "undecided"
        reason = "not enough evidence yet" if not has_ended else "not enough requests for a decision"
        if failing >= limit:
            verdict, reason = "fail", "the candidate fails more often than the baseline"
        elif slower >= limit and is_slower_by >= PRACTICAL:
            verdict, reason = "fail", "the candidate is slower than the baseline"
        elif has_ended and within >= pass_limit:
            verdict, reason = "pass", f"the candidate's p95 is less than {self.margin:g} times the baseline's"
        elif not (totals[0].requests or totals[0].slower_than.get(0.0)) or not totals[1].slower_than.get(0.0):
            reason = "no requests to one of the versions"
        elif has_ended and too_wide:
            reason = too_wide
        names = ("baseline", "candidate")
        return Judgement(
            verdict=verdict,
            reason=reason,
            is_final=has_ended or verdict == "fail",
            looks=len(self._looks),
            elapsed_s=elapsed_s,
            alpha=self.alpha,
            margin=self.margin,
            requests={name: total.slower_than.get(0.0, 0.0) for name, total in zip(names, totals, strict=True)},
            failed={name: total.failed for name, total in zip(names, totals, strict=True)},
            p50_s=dict(zip(names, quantiles["p50_s"], strict=True)),
            p95_s=dict(zip(names, quantiles["p95_s"], strict=True)),
            p95_times=times["p95_s"],
            evidence={
                "slower": exp(slower),
                "failing": exp(failing),
                "within_margin": exp(within),
            },
            threshold={"slower": 2 / self.alpha, "failing": 2 / self.alpha, "within_margin": 1 / self.alpha},
        )

    def _bounds(self) -> list[float]:
        """Return the boundaries that both versions have at every look with requests."""
        sets = [set(counts.slower_than) for look in self._looks for counts in look if counts.slower_than.get(0.0)]
        return sorted(set.intersection(*sets) - {0.0}) if sets else []

    @staticmethod
    def _samples(looks: Sequence[Counts], bounds: Sequence[float]) -> Samples:
        return Samples(
            requests=np.array([counts.slower_than.get(0.0, 0.0) for counts in looks]),
            beyond=np.array([[counts.slower_than.get(bound, 0.0) for bound in bounds] for counts in looks]).reshape(
                len(looks), len(bounds)
            ),
        )

    def _total(self, side: int) -> Counts:
        looks = [look[side] for look in self._looks]
        bounds = {bound for counts in looks for bound in counts.slower_than}
        return Counts(
            slower_than={bound: sum(counts.slower_than.get(bound, 0.0) for counts in looks) for bound in bounds},
            requests=sum(counts.requests for counts in looks),
            failed=sum(counts.failed for counts in looks),
        )

    def _slower(self, baseline: Samples, candidate: Samples) -> float:
        """Return the logarithm of the evidence that the candidate is slower, at the boundaries that can show it."""
        if not baseline.beyond.size:
            return 0.0
        first = int(np.argmax((baseline.requests > 0) & (candidate.requests > 0)))
        beyond = baseline.beyond[first] + candidate.beyond[first]
        # Chosen by the first look with requests, which is no part of the evidence.
        kept = (beyond >= 1) & (beyond <= MOST_SLOWER * (baseline.requests[first] + candidate.requests[first]))
        if not kept.any():
            kept = np.ones_like(kept)
        arms = [
            Samples(requests=arm.requests[first:], beyond=arm.beyond[first:, kept]) for arm in (baseline, candidate)
        ]
        return log_evidence(arms[0], arms[1], looks=self.planned)

    def _within_margin(self, candidate: Samples, bounds: Sequence[float], *, p95_s: float | None) -> tuple[float, str]:
        """Return the logarithm of the evidence against the candidate being slower by the margin around the p95.

        A baseline slower by the margin exceeds a boundary as often as the baseline exceeds the boundary divided by it.
        Within a bucket wider than the margin that is unknown: the least possible number counts, so that the candidate
        has to be faster. Both boundaries around the p95 have to show it. The second value says which bucket is too
        wide; it is empty if none is.
        """
        if p95_s is None or not bounds:
            return 0.0, ""
        own, shifted = bucket(bounds, p95_s), bucket(bounds, p95_s * self.margin)
        wide = [each for each in (own, shifted) if not each[0] or each[1] > each[0] * self.margin * ROUNDING]
        too_wide = (
            f"the bucket from {wide[0][0]:g} to {wide[0][1]:g} s, around the p95, is wider than the margin of "
            f"{self.margin:g}: give the histogram boundaries less than {self.margin:g} times apart there"
            if wide
            else ""
        )
        edges = own if own in wide else shifted
        if edges[0] not in bounds or edges[1] not in bounds:
            return 0.0, too_wide
        looks = [look[0].slower_than for look in self._looks]
        requests = np.array([counts.get(0.0, 0.0) for counts in looks])
        evidence = []
        for edge in edges:
            slower = [slower_than(counts, edge / self.margin, widest=self.margin) for counts in looks]
            at_edge = candidate.beyond[:, [bounds.index(edge)]]
            evidence.append(
                log_evidence(
                    Samples(requests=candidate.requests, beyond=at_edge),
                    Samples(requests=requests, beyond=np.array(slower)[:, None]),
                    looks=self.planned,
                    begins_at_once=True,
                )
            )
        return min(evidence), too_wide

    def _failing(self) -> float:
        arms = [
            Samples(
                requests=np.array([look[side].requests for look in self._looks]),
                beyond=np.array([[look[side].failed] for look in self._looks]),
            )
            for side in (0, 1)
        ]
        return log_evidence(arms[0], arms[1], looks=self.planned)
