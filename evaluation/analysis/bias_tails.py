r"""How likely is what was seen at the most, if the odds within a matched set differ by a factor gamma?

One person of each set is alone on their side, and which one is chance: member j with a probability in proportion to :math:`\Gamma^{u_j}`, with u
between 0 and 1 unseen. Both bounds take the u that are worst: of successes the chances multiply, of scores the tail is normal.

References
----------
Rosenbaum (2002). Observational Studies, 2nd edition, chapter 4.
Gastwirth, Krieger & Rosenbaum (2000). Asymptotic separability in sensitivity analysis. JRSS B 62(3), 545-555.
O'Brien & Fleming (1987). A paired Prentice-Wilcoxon test for censored paired data. Biometrics 43(1), 169-180 (scores of pairs from everybody).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import bdtrc, gammaln, ndtr, xlog1py, xlogy

from evaluation.analysis.cox import RiskSets
from evaluation.design.cohort import Bools, Floats, Rows

LARGEST_EXACT = 10_000  # sets of several sizes whose chances are multiplied out: milliseconds; beyond, a normal tail differs by less than 0.001
_SAME_MEAN = 1e-12  # of a set's largest score: means nearer than this are equal but for rounding

Tail = Callable[[float], float]


def success_tail(success: Bools, lone: Bools, size: Rows) -> tuple[Tail, int]:
    """Give the largest chance of so many successes among those alone in their set, as a function of gamma, and how many sets are informative.

    Parameters
    ----------
    success, lone : ndarray of bool, shape (k,)
        Set after set.
    size : ndarray of int, shape (sets,)

    Notes
    -----
    A sum of binomials, one for each kind of set (n members, c successes); one kind alone, as in pairs, is a binomial tail.
    """
    successes = np.add.reduceat(success.astype(np.intp), np.cumsum(size) - size)
    differ = (successes > 0) & (successes < size)
    observed = int(success[lone][differ].sum())
    kinds, counts = np.unique(np.column_stack([successes, size - successes])[differ], axis=0, return_counts=True)
    informative = int(counts.sum())

    def tail(gamma: float) -> float:
        chances = gamma * kinds[:, 0] / (gamma * kinds[:, 0] + kinds[:, 1])
        if len(counts) == 1:
            return float(bdtrc(observed - 1, informative, chances[0]))
        if informative > LARGEST_EXACT:
            mean, variance = float(counts @ chances), float(counts @ (chances * (1 - chances)))
            return float(ndtr((mean - (observed - 0.5)) / math.sqrt(variance)))
        mass = np.ones(1)
        for count, chance in zip(counts, chances, strict=True):
            mass = np.convolve(mass, _binomial(int(count), float(chance)))
        return float(min(mass[observed:].sum(), 1.0))

    return tail, informative


def _binomial(count: int, chance: float) -> Floats:
    k = np.arange(count + 1)
    ways = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1)
    return np.asarray(np.exp(ways + xlogy(k, chance) + xlog1py(count - k, -chance)), dtype=np.float64)


def log_rank_scores(days: Floats, success: Bools, treated: Bools) -> Floats:
    """Give each person's exit less the cumulative hazard of all at the own day; shape (m,), the sum is 0."""
    sets = RiskSets.of(days, success, treated, np.ones(len(days)))
    hazard = np.append(np.cumsum(sets.leaving / sets.at_risk), 0.0)  # the last place, index -1, is for those gone before the first exit day
    return np.asarray(success - hazard[sets.last], dtype=np.float64)


def score_tail(score: Floats, lone: Bools, size: Rows) -> tuple[Tail, int]:
    """Give the largest chance of so high scores of those alone in their set, as a function of gamma, and how many sets are informative.

    Parameters
    ----------
    score : ndarray of float, shape (k,)
        Set after set.
    lone : ndarray of bool, shape (k,)
    size : ndarray of int, shape (sets,)

    Notes
    -----
    In each set the k highest have u = 1 and the others 0, with the k of the largest mean; a normal tail. Scores are taken from their set's mean,
    so that the differences of near scores keep their digits.
    """
    start = np.cumsum(size) - size
    centred = score - np.repeat(np.add.reduceat(score, start) / size, size)
    observed = float(centred[lone].sum())
    groups = [np.sort(centred[np.repeat(size == n, size)].reshape(-1, n), axis=1)[:, ::-1] for n in np.unique(size)]
    differ = np.maximum.reduceat(score, start) > np.minimum.reduceat(score, start)

    def tail(gamma: float) -> float:
        moments = [_largest_moments(group, gamma) for group in groups]
        mean, variance = sum(one for one, _ in moments), sum(other for _, other in moments)
        return float(ndtr((mean - observed) / math.sqrt(variance))) if differ.any() else 1.0

    return tail, int(differ.sum())


def _largest_moments(scores: Floats, gamma: float) -> tuple[float, float]:
    """Sum over sets of one size, rows of scores that fall, the largest mean of the one alone and the variance that goes with it."""
    size = scores.shape[1]
    high = np.arange(1, size)
    chance = gamma * high + (size - high)
    means, squares = ((part.sum(axis=1, keepdims=True) + (gamma - 1) * np.cumsum(part, axis=1)[:, :-1]) / chance for part in (scores, scores**2))
    variances = squares - means**2
    largest = means.max(axis=1, keepdims=True)
    equal = means >= largest - _SAME_MEAN * np.abs(scores).max(axis=1, keepdims=True)
    return float(largest.sum()), float(np.where(equal, variances, -np.inf).max(axis=1).sum())
