"""How are the two groups spread over the propensity? The bins and shares that the figure and the table beside it both show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Bools, Floats, Rows
from evaluation.release.design_numbers import score_reach
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import count_of
from evaluation.release.telling import Telling
from evaluation.reporting.disclosure import Gate
from evaluation.study import Design

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


def released_overlap(design: Design, telling: Telling) -> OverlapBins:
    """Give each group's shares in bins as they may be told, held against what was told of them before.

    Parameters
    ----------
    design : Design
    telling : Telling

    Returns
    -------
    OverlapBins
        A share is a rounded count of rounded people; NaN where the count is hidden, nobody among the few. Bins are as wide as they were before.
    """
    gate, cohort, comparison, score = Gate(telling.rules.threshold), design.cohort, design.comparison, design.scores.score
    sides = dict(zip(ARMS, (cohort.treated, ~cohort.treated), strict=True))
    if telling.rules.exact:
        return bin_overlap(*(values[side] for values in (score, comparison.weights) for side in sides.values()), gate=gate)
    fresh = ReleasedNumber("mean", _per_unit(score[sides["treated"]], score[sides["control"]], gate.threshold), seal=SEAL)
    per_unit = round(telling.number("overlap, bins of a whole", fresh, math.inf).value or _BINS_PER_UNIT[-1])
    edges = np.arange(per_unit + 1) / per_unit  # where nobody is too, for whoever comes there later is held against that
    reach, everybody, compared = score_reach(design, telling.rules), dict[str, Floats](), dict[str, Floats]()
    for arm, side in sides.items():
        within = None
        for of, when, weight in ((everybody, "before", side.astype(np.float64)), (compared, "after", np.where(side, comparison.weights, 0.0))):
            table = _Binned.of(design, weight, edges, reach, gate)
            names = [f"from {edge:.2f}" for edge in edges[:-1]]
            counts = {name: count_of(share, table.people, telling.rules) for name, share in zip(names, table.shares.tolist(), strict=True)}
            withheld = [name for name, hide in zip(names, table.hidden, strict=True) if hide]
            carried = dict(zip(names, table.carried.tolist(), strict=True))
            among, told = telling.counts(f"overlap, {arm}, {when}", table.people, counts, withheld, within=within, carried=carried)
            one_each = cohort.trial is None and np.ptp(comparison.weights[side & (comparison.weights > 0)]) == 0
            within = told if one_each else None  # who is not compared is the difference
            of[arm] = np.array([min(count / among, 1.0) if among and count is not None else np.nan for count in told.values()])
    return _cut(edges, everybody, compared)


class _Binned(NamedTuple):
    """People by bin: how many there are, the share of the weight, whether it must be hidden, and how many rows lie near enough to be moved."""

    people: int
    shares: Floats
    hidden: Bools
    carried: Rows

    @classmethod
    def of(cls, design: Design, weight: Floats, edges: Floats, reach: Floats, gate: Gate) -> _Binned:
        rows, count = np.flatnonzero(weight > 0), len(edges) - 1
        score, person = design.scores.score[rows], np.unique(design.cohort.person_code[rows], return_inverse=True)[1]
        people = int(person.max()) + 1
        bins = np.clip(np.searchsorted(edges, score, "right") - 1, 0, count - 1)
        inside = np.bincount(np.unique(bins * people + person) // people, minlength=count)
        shares = np.bincount(bins, weight[rows], minlength=count) / weight[rows].sum()
        hidden = gate.hides_parts(inside.reshape(-1, 1) / people, [people])
        near = expit(logit(score) - reach[rows]), expit(logit(score) + reach[rows])
        lowest, highest = (np.clip(np.searchsorted(edges, end, "right") - 1, 0, count - 1) for end in near)
        begins, ends = np.bincount(lowest, minlength=count + 1), np.bincount(highest + 1, minlength=count + 1)
        stay = np.bincount(bins[lowest == highest], minlength=count)
        return cls(people, shares, hidden, np.cumsum(begins - ends)[:count] - stay)


def bin_overlap(score_treated: Floats, score_control: Floats, weight_treated: Floats, weight_control: Floats, *, gate: Gate) -> OverlapBins:
    """Give each group's exact shares in bins as fine as the smaller group allows, for who sees them within the house.

    Parameters
    ----------
    score_treated, score_control : ndarray of float, shape (t,) and (c,)
        Propensity scores of everybody.
    weight_treated, weight_control : ndarray of float, shape (t,) and (c,)
        Weights in the comparison; 0 for people who are not compared.
    gate : Gate
        Bins of too few people are hidden.

    Returns
    -------
    OverlapBins
    """
    edges = _edges(np.concatenate([score_treated, score_control]), _per_unit(score_treated, score_control, gate.threshold))
    people = dict(zip(ARMS, ((score_treated, weight_treated), (score_control, weight_control)), strict=True))
    everybody = {arm: _shares(score, np.ones(len(score)), edges, gate) for arm, (score, _) in people.items()}
    compared = {arm: _shares(score, weight, edges, gate) for arm, (score, weight) in people.items()}
    return _cut(edges, everybody, compared)


def _cut(edges: Floats, everybody: dict[str, Floats], compared: dict[str, Floats]) -> OverlapBins:
    """Leave out the bins before the first and after the last with a share to show."""
    shown = np.flatnonzero(np.nansum([*everybody.values(), *compared.values()], axis=0))
    first, last = (int(shown[0]), int(shown[-1]) + 1) if len(shown) else (0, len(edges) - 1)
    kept = slice(first, last)
    return OverlapBins(
        edges[first : last + 1],
        {arm: shares[kept] for arm, shares in everybody.items()},
        {arm: shares[kept] for arm, shares in compared.items()},
    )


def _per_unit(score_treated: Floats, score_control: Floats, threshold: int) -> int:
    """Say into how many bins 0 to 1 is divided: the finest that still hold, on average, twice the threshold of the smaller group."""
    most = min(max(min(len(score_treated), len(score_control)) // max(2 * threshold, 1), 5), 20)
    reach = np.ptp(np.concatenate([score_treated, score_control]))
    return next((count for count in _BINS_PER_UNIT if reach * count <= most), _BINS_PER_UNIT[-1])


def _edges(score: Floats, per_unit: float) -> Floats:
    lowest = math.floor(score.min() * per_unit)
    return np.arange(lowest, max(math.ceil(score.max() * per_unit), lowest + 1) + 1) / per_unit


def _shares(score: Floats, weight: Floats, edges: Floats, gate: Gate) -> Floats:
    people = np.histogram(score[weight > 0], edges)[0]
    total = np.histogram(score, edges, weights=weight)[0]
    everybody = int(people.sum())
    shares = total / max(weight.sum(), 1e-300)
    return np.where(gate.hides_parts(people.reshape(-1, 1) / max(everybody, 1), [everybody]), np.nan, shares)
