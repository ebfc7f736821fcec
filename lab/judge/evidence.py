"""Evidence that one version is slower or fails more, valid at every look.

For each boundary of the histogram the requests of a look are two samples of yes or no: slower than the boundary or not.
The likelihood ratio of Turner, Ly and Grünwald ("Generic E-variables for exact sequential k-sample tests that allow for
optional stopping", 2024) has an expectation of at most 1 if both versions have the same share, whatever it is and
however it changes from look to look. A product of such ratios is an e-process, and so is an average of them: over
boundaries, over sizes of the difference, and over the look at which it begins. By Ville's inequality it ever reaches
1/alpha with a probability of at most alpha (Ramdas et al., "Game-theoretic statistics and safe anytime-valid
inference", 2023), so that one may look as often as one likes.

Requests of one look may depend on each other, which likelihoods do not know. The logarithm of the evidence is therefore
divided by the dispersion of the looks, which is at least 1 (a quasi-likelihood; McCullagh and Nelder, "Generalized
Linear Models", 1989, section 4.5). That makes it smaller, and keeps it valid.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, xlogy  # type: ignore[import-untyped]  # scipy ships no types

Floats = NDArray[np.float64]

LOG_ODDS: Final = np.array([0.1, 0.2, 0.35, 0.6, 1.0, 1.8])
"""Sizes of the difference, as logarithms of the odds ratio."""
AT_ONCE: Final = 0.5
"""Prior probability that a difference is there from the first look; the rest is spread over the later ones."""
LARGEST: Final = 300.0
"""Logarithm of the largest evidence: more decides nothing else, and would overflow."""
PRIOR_COUNT: Final = 0.5
PRIOR_LOOKS: Final = 5.0
"""Looks without excess dispersion that are added to the observed ones."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Requests of each look, and those of them beyond each boundary: arrays of looks by boundaries."""

    requests: Floats
    """Looks."""
    beyond: Floats
    """Looks by boundaries."""


def log_evidence(baseline: Samples, candidate: Samples, *, looks: int, begins_at_once: bool = False) -> float:
    """Return the logarithm of the evidence, after the last look, that the candidate's shares are larger.

    `looks` is the planned number; `begins_at_once` is for a difference that is there from the first look or never.
    """
    ratios = _log_ratios(baseline, candidate)
    begin = np.full(len(ratios), 0.0 if begins_at_once else (1 - AT_ONCE) / max(looks - 1, 1))
    begin[:1] = 1.0 if begins_at_once else AT_ONCE
    begin[max(looks, 1) :] = 0.0
    since = ratios[::-1].cumsum(axis=0)[
        ::-1
    ]  # the evidence of a difference that begins at the look, until the last one
    never = max(1 - begin.sum(), 0.0)
    largest = max(float(since.max(initial=0.0)), 0.0)
    begun = (begin[:, None, None] * np.exp(since - largest)).sum(axis=0).mean() + never * np.exp(-largest)
    return min(float(np.log(begun)) + largest, LARGEST) / dispersion(baseline, candidate)


def _log_ratios(baseline: Samples, candidate: Samples) -> Floats:
    """Return the logarithms of the likelihood ratios: looks by boundaries by differences.

    The alternative of a look is made of the looks before it: the odds ratio of the difference around the share so far.
    """
    n_b, n_c = baseline.requests[:, None, None], candidate.requests[:, None, None]
    k_b, k_c = baseline.beyond[:, :, None], candidate.beyond[:, :, None]
    total, beyond = (n_b + n_c).cumsum(axis=0), (k_b + k_c).cumsum(axis=0)
    before = np.zeros_like(beyond)
    before[1:] = (beyond[:-1] + PRIOR_COUNT) / (total[:-1] + 2 * PRIOR_COUNT)
    before[:1] = 0.5  # not used: the first look has no looks before it
    middle = logit(before)
    share_b, share_c = expit(middle - LOG_ODDS / 2), expit(middle + LOG_ODDS / 2)
    both = np.maximum(n_b + n_c, 1.0)
    share = (n_b * share_b + n_c * share_c) / both
    logs = (
        _log_likelihood(n_b, k_b, share_b)
        + _log_likelihood(n_c, k_c, share_c)
        - _log_likelihood(n_b + n_c, k_b + k_c, share)
    )
    logs[:1] = 0.0
    return np.asarray(np.where((n_b > 0) & (n_c > 0), logs, 0.0))


def _log_likelihood(requests: Floats, beyond: Floats, share: Floats) -> Floats:
    return np.asarray(xlogy(beyond, share) + xlogy(requests - beyond, 1 - share))


def dispersion(baseline: Samples, candidate: Samples) -> float:
    """Return how much more the differences vary from look to look than independent requests would; at least 1."""
    n_b, n_c = baseline.requests[:, None], candidate.requests[:, None]
    k_b, k_c = baseline.beyond, candidate.beyond
    seen = ((n_b > 0) & (n_c > 0)).ravel()
    n_b, n_c, k_b, k_c = n_b[seen], n_c[seen], k_b[seen], k_c[seen]
    if len(n_b) < 2:
        return 1.0
    share = (k_b.sum(axis=0) + k_c.sum(axis=0)) / (n_b.sum() + n_c.sum())
    informative = (share > 0) & (share < 1)
    if not informative.any():
        return 1.0
    weight = 1 / (1 / n_b + 1 / n_c)
    difference = k_c / n_c - k_b / n_b
    mean = (weight * difference).sum(axis=0) / weight.sum()
    squares = (weight * (difference - mean) ** 2).sum(axis=0)[informative] / (share * (1 - share))[informative]
    return max(1.0, (float(squares.mean()) + PRIOR_LOOKS) / (len(n_b) - 1 + PRIOR_LOOKS))
