"""How are the two groups spread over the propensity? The bins and shares that the figure and the table beside it both show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Floats
from evaluation.release.rules import ReleaseRules, round_count, round_share
from evaluation.reporting.disclosure import Gate

_BINS_PER_UNIT = (100, 50, 20, 10)  # of 1, 2, 5 or 10 per cent


@dataclass(frozen=True, eq=False)
class OverlapBins:
    """Each group's shares in bins of the propensity, NaN where the people in a bin are too few to be shown.

    Attributes
    ----------
    edges : ndarray of float, shape (b + 1,)
        From the first bin with a share to show to the last.
    everybody, compared : dict of ndarray of float, shape (b,)
        By arm: the share of everybody in the group, and the weighted share of those who are compared.
    """

    edges: Floats
    everybody: dict[str, Floats]
    compared: dict[str, Floats]


def bin_overlap(
    score_treated: Floats, score_control: Floats, weight_treated: Floats, weight_control: Floats, *, gate: Gate, rules: ReleaseRules | None = None
) -> OverlapBins:
    """Give each group's shares in bins as fine as the smaller group allows.

    Parameters
    ----------
    score_treated, score_control : ndarray of float, shape (t,) and (c,)
        Propensity scores of everybody.
    weight_treated, weight_control : ndarray of float, shape (t,) and (c,)
        Weights in the comparison; 0 for people who are not compared.
    gate : Gate
        Bins of too few people are hidden.
    rules : ReleaseRules, optional
        Shares are rounded as its counts are; left out, they are not.

    Returns
    -------
    OverlapBins
    """
    edges = _edges(score_treated, score_control, gate.threshold)
    people = dict(zip(ARMS, ((score_treated, weight_treated), (score_control, weight_control)), strict=True))
    everybody = {arm: _shares(score, np.ones(len(score)), edges, gate, rules) for arm, (score, _) in people.items()}
    compared = {arm: _shares(score, weight, edges, gate, rules) for arm, (score, weight) in people.items()}
    shown = np.flatnonzero(np.nansum([*everybody.values(), *compared.values()], axis=0))
    first, last = (int(shown[0]), int(shown[-1]) + 1) if len(shown) else (0, len(edges) - 1)
    kept = slice(first, last)
    return OverlapBins(
        edges[first : last + 1],
        {arm: shares[kept] for arm, shares in everybody.items()},
        {arm: shares[kept] for arm, shares in compared.items()},
    )


def _edges(score_treated: Floats, score_control: Floats, threshold: int) -> Floats:
    """Give the finest bins that still hold, on average, twice the threshold of the smaller group."""
    both = np.concatenate([score_treated, score_control])
    most = min(max(min(len(score_treated), len(score_control)) // max(2 * threshold, 1), 5), 20)
    per_unit = next((count for count in _BINS_PER_UNIT if np.ptp(both) * count <= most), _BINS_PER_UNIT[-1])
    lowest = math.floor(both.min() * per_unit)
    return np.arange(lowest, max(math.ceil(both.max() * per_unit), lowest + 1) + 1) / per_unit


def _shares(score: Floats, weight: Floats, edges: Floats, gate: Gate, rules: ReleaseRules | None) -> Floats:
    people = np.histogram(score[weight > 0], edges)[0]
    total = np.histogram(score, edges, weights=weight)[0]
    everybody = int(people.sum())
    shares = total / max(weight.sum(), 1e-300)
    if rules is not None and everybody:
        among = int(round_count(everybody, rules))
        shares = np.array([round_share(share, among, rules) if among else share for share in shares])
    return np.where(gate.hides_parts(people.reshape(-1, 1) / max(everybody, 1), [everybody]), np.nan, shares)
