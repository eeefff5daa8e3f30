"""How much faster do the treated leave: the Cox model of treatment alone, and the log-rank test.

With Efron's ties, weights, and the influence of every person.

References
----------
Cox (1972). Regression models and life-tables. JRSS B 34(2), 187-220.
Efron (1977). The efficiency of Cox's likelihood function for censored data. JASA 72, 557-565 (ties).
Lin & Wei (1989). The robust inference for the Cox proportional hazards model. JASA 84, 1074-1078.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimates import Estimate
from evaluation.design.cohort import Bools, Floats
from evaluation.errors import EstimationError

_CONVERGED = 1e-12  # Newton step on the log hazard ratio; quadratic convergence, so the next step is rounding
_MAX_NEWTON_STEPS = 50
_LONGEST_STEP = 2.0  # far from the maximum a full step may overshoot


@dataclass(frozen=True, eq=False)
class LogRank:
    """Did the treated leave at another rate than expected under equal hazards?

    Attributes
    ----------
    observed, expected : float
        Weighted exits among the treated.
    difference : Estimate
        Observed minus expected, with clustered variance. Its influences sum to its value, not to 0: they are the terms of a score, taken under
        equal hazards.
    chi_square, p_value : float
        From that variance.
    chi_square_independent : float
        With the classical hypergeometric variance, which takes people as independent; nan where weights differ.
    """

    observed: float
    expected: float
    difference: Estimate
    chi_square: float
    p_value: float
    chi_square_independent: float


@dataclass(frozen=True, eq=False)
class RiskSets:
    """Who is at risk and who leaves at each exit day, by arm; arrays of shape (J,) unless said otherwise.

    Attributes
    ----------
    at_risk, at_risk_treated, leaving, leaving_treated : ndarray of float
        Weights.
    leavers : ndarray of int
        People leaving.
    last : ndarray of int, shape (m,)
        Index of the last exit day at which each person was at risk; -1 for none.
    event, treated : ndarray of bool, shape (m,)
    weight : ndarray of float, shape (m,)
    """

    at_risk: Floats
    at_risk_treated: Floats
    leaving: Floats
    leaving_treated: Floats
    leavers: NDArray[np.intp]
    last: NDArray[np.intp]
    event: Bools
    treated: Bools
    weight: Floats

    @classmethod
    def of(cls, days: Floats, event: Bools, treated: Bools, weight: Floats) -> RiskSets:
        """Count; arrays of shape (m,)."""
        order = np.argsort(days, kind="stable")
        ordered = days[order]
        times = np.unique(ordered[event[order]])
        place = np.searchsorted(ordered, times, side="left")
        last = np.searchsorted(times, days, side="right") - 1

        def at_risk(part: Floats) -> Floats:
            total: Floats = np.cumsum(part[order][::-1])[::-1][place]
            return total

        def leaving(part: Floats) -> Floats:
            return np.asarray(np.bincount(last[event], part[event], minlength=len(times)), dtype=np.float64)

        treated_weight = weight * treated
        leavers = np.bincount(last[event], minlength=len(times))
        return cls(at_risk(weight), at_risk(treated_weight), leaving(weight), leaving(treated_weight), leavers, last, event, treated, weight)


def cox_log_ratio(sets: RiskSets) -> tuple[float, Floats]:
    """Give the log hazard ratio of treated to control and its influence, shape (m,).

    Notes
    -----
    Efron: with d people leaving on a day, the r-th of them (r = 0 ... d - 1) faces the risk set less r/d of the leavers, and each carries the
    mean weight of the leavers. The influence is the derivative of that score in the person's weight, times the weight, over the information.
    """
    days = np.arange(len(sets.leavers))
    treated_leave = (sets.leaving_treated > 0) & (days <= sets.last[~sets.treated].max(initial=-1))
    control_leave = (sets.leaving > sets.leaving_treated) & (days <= sets.last[sets.treated].max(initial=-1))
    if not treated_leave.any() or not control_leave.any():
        raise EstimationError(
            "hazard ratio: needs, in either arm, an exit while somebody of the other is at risk; one has none, so the ratio would be 0 or infinite; "
            "compare shares at a horizon instead"
        )
    day = np.repeat(days, sets.leavers)
    first = np.cumsum(sets.leavers) - sets.leavers
    fraction = (np.arange(len(day)) - first[day]) / sets.leavers[day]
    mean_weight = (sets.leaving / sets.leavers)[day]
    treated = sets.at_risk_treated[day] - fraction * sets.leaving_treated[day]
    control = (sets.at_risk - sets.at_risk_treated)[day] - fraction * (sets.leaving - sets.leaving_treated)[day]

    beta, information = 0.0, 0.0
    for _ in range(_MAX_NEWTON_STEPS):
        part = math.exp(beta) * treated
        mean = part / (part + control)
        score = float(sets.leaving_treated.sum() - mean_weight @ mean)
        information = float(mean_weight @ (mean * (1 - mean)))
        if information <= 0:
            break
        step = float(np.clip(score / information, -_LONGEST_STEP, _LONGEST_STEP))
        beta += step
        if abs(step) < _CONVERGED * max(1.0, abs(beta)):
            return beta, _cox_influence(sets, day, fraction, mean_weight, math.exp(beta), treated, control) / information
    raise EstimationError("hazard ratio: the fit does not converge; compare shares at a horizon instead")


def _cox_influence(
    sets: RiskSets, day: NDArray[np.intp], fraction: Floats, mean_weight: Floats, ratio: float, treated: Floats, control: Floats
) -> Floats:
    total = ratio * treated + control
    mean = ratio * treated / total
    days = len(sets.leavers)
    pull = (ratio * (1 - mean) / total * mean_weight, -mean / total * mean_weight)  # of a treated, of a control, at risk
    influence = np.zeros(len(sets.last))
    mean_of_day = np.bincount(day, mean, minlength=days) / sets.leavers
    here = np.maximum(sets.last, 0)
    for side, weight in ((sets.treated, pull[0]), (~sets.treated, pull[1])):
        # the last place, index -1, is for those gone before the first exit day
        drift = np.append(np.cumsum(np.bincount(day, weight, minlength=days)), 0.0)
        spared = np.bincount(day, weight * fraction, minlength=days)  # a leaver is only partly in the later of the tied risk sets
        influence += np.where(side, np.where(sets.event, spared[here], 0.0) - drift[sets.last], 0.0)
    influence += np.where(sets.event, sets.treated - mean_of_day[here], 0.0)
    return np.asarray(sets.weight * influence, dtype=np.float64)


def log_rank(sets: RiskSets, place: NDArray[np.intp], people: int, clusters: Clusters, level: float) -> LogRank:
    """Compare observed with expected exits among the treated.

    Parameters
    ----------
    sets : RiskSets
    place : ndarray of int, shape (m,)
        Positions of the people of `sets` among all compared people.
    people : int
        All compared people.
    clusters : Clusters
    level : float
    """
    fraction = sets.at_risk_treated / sets.at_risk
    observed, expected = float(sets.leaving_treated.sum()), float(sets.leaving @ fraction)
    drift = np.append(np.cumsum(sets.leaving / sets.at_risk), 0.0)
    pulled = np.append(np.cumsum(fraction * sets.leaving / sets.at_risk), 0.0)
    here = np.maximum(sets.last, 0)
    own = np.where(sets.event, sets.treated - fraction[here], 0.0) if len(fraction) else np.zeros(len(sets.last))
    influence = np.zeros(people)
    influence[place] = sets.weight * (own - sets.treated * drift[sets.last] + pulled[sets.last])
    difference = Estimate("observed minus expected exits among the treated", observed - expected, influence, clusters, "count", len(place), level)
    chi_square = (difference.value / difference.std_error) ** 2 if difference.std_error > 0 else math.nan
    independent = math.nan
    if (sets.weight == 1).all():
        finite = np.divide(sets.at_risk - sets.leaving, sets.at_risk - 1, out=np.zeros_like(fraction), where=sets.at_risk > 1)
        spread = sets.leaving * fraction * (1 - fraction) * finite
        independent = difference.value**2 / float(spread.sum()) if spread.sum() > 0 else math.nan
    return LogRank(observed, expected, difference, chi_square, float(chdtrc(1, chi_square)), independent)
