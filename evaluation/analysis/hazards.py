"""How much faster do they leave: hazard ratio, log-rank, and whether a single ratio describes them at all.

The treatment-only Cox model and the log-rank statistic are ours, with Efron's ties, weights and the influence of every person; the
covariate-adjusted model and the test of proportionality are lifelines'.

References
----------
Cox (1972). Regression models and life-tables. JRSS B 34(2), 187-220.
Efron (1977). The efficiency of Cox's likelihood function for censored data. JASA 72, 557-565 (ties).
Lin & Wei (1989). The robust inference for the Cox proportional hazards model. JASA 84, 1074-1078.
Grambsch & Therneau (1994). Proportional hazards tests and diagnostics based on weighted residuals. Biometrika 81(3), 515-526.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.estimates import Clusters, Estimate, Ratio
from evaluation.analysis.outcomes import FollowUp, compared_follow_up
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError

if TYPE_CHECKING:
    from lifelines import CoxPHFitter

_CONVERGED = 1e-12  # Newton step on the log hazard ratio; quadratic convergence, so the next step is rounding
_MAX_NEWTON_STEPS = 50
PERIODS_DAYS = ((0.0, 91.0), (91.0, 183.0), (183.0, 365.0), (365.0, 730.0))  # days: a programme may lock people in first and gain later
LARGEST_ADJUSTED = 300_000  # rows times columns of the adjusted model: ten times as many take lifelines minutes, for a check
LARGEST_LIFELINES = 10_000  # lifelines' clustered residuals take time with the square of the rows: seconds here, minutes at five times as many


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


@dataclass(frozen=True)
class ProportionalityTest:
    """Is the hazard ratio the same all the way (Grambsch and Therneau, Kaplan-Meier time)?

    Attributes
    ----------
    chi_square, p_value : float
    """

    chi_square: float
    p_value: float


@dataclass(frozen=True)
class AdjustedHazardRatio:
    """A hazard ratio from a model with covariates.

    Attributes
    ----------
    value, low, high, p_value : float
    """

    value: float
    low: float
    high: float
    p_value: float


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
        step = float(np.clip(score / information, -2.0, 2.0))  # far from the maximum a full step may overshoot
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
        drift = np.append(
            np.cumsum(np.bincount(day, weight, minlength=days)), 0.0
        )  # the last place, index -1, is for those gone before the first exit day
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
        several = sets.at_risk > 1
        spread = (
            sets.leaving
            * fraction
            * (1 - fraction)
            * np.divide(sets.at_risk - sets.leaving, sets.at_risk - 1, out=np.zeros_like(fraction), where=several)
        )
        independent = difference.value**2 / float(spread.sum()) if spread.sum() > 0 else math.nan
    return LogRank(observed, expected, difference, chi_square, float(chdtrc(1, chi_square)), independent)


def period_hazard_ratios(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec | None = None,
    periods_days: Sequence[tuple[float, float]] = PERIODS_DAYS,
) -> dict[tuple[float, float], Ratio | None]:
    """Give the hazard ratio of treated to control within each period: who is still there at its start, until its end.

    Each ratio but the first compares those left in either arm, whom the periods before have sorted: it tells when people leave, and is no effect.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
        Without weights that change with time.
    spec : EffectSpec, optional
        `success` and `level` are used.
    periods_days : sequence of (float, float)
        Days since the index date: exits after the first and up to the second.

    Returns
    -------
    dict of (float, float) to Ratio or None
        By period; None where it would be 0 or infinite: in one of the arms nobody leaves while somebody of the other is at risk.

    Raises
    ------
    EstimationError
        If `success` names an unknown state, or the follow-up has weights that change with time.

    Notes
    -----
    Efron's ties, variance clustered by matched set and person. Under a hazard ratio that is constant within periods this is the Cox model with the
    treatment crossed with period, whose likelihood is a product over the periods.
    """
    spec = spec or EffectSpec()
    compared = compared_follow_up(cohort, comparison, follow_up)
    if compared.pieces is not None:
        raise EstimationError("hazard ratio by period: weights that change with time have no place in it; give the follow-up without them")
    success = spec.succeeded(compared)
    found: dict[tuple[float, float], Ratio | None] = {}
    for begin, end in periods_days:
        there = np.flatnonzero(compared.days > begin)
        seen = success[there] & (compared.days[there] <= end)
        sets = RiskSets.of(np.minimum(compared.days[there], end), seen, compared.treated[there], compared.weight[there])
        try:
            value, own = cox_log_ratio(sets)
        except EstimationError:
            found[begin, end] = None
            continue
        influence = np.zeros(len(compared.days))
        influence[there] = own
        name = f"log of hazard ratio from {begin:g} to {end:g} days"
        found[begin, end] = Ratio(Estimate(name, value, influence, compared.clusters, "log ratio", compared.n_people(there), spec.level))
    return found


def adjusted_hazard_ratio(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None) -> AdjustedHazardRatio:
    """Give the hazard ratio of treated to control with all covariates in the model, by lifelines.

    A check on the matched estimate, not a replacement: it answers a conditional question. Its variance is lifelines' sandwich, clustered by
    matched set (by person where people serve in several sets).

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
    spec : EffectSpec, optional
        `success` and `level` are used.

    Returns
    -------
    AdjustedHazardRatio

    Raises
    ------
    EstimationError
        If there are more people than lifelines can cluster in reasonable time, or its fit does not converge.
    """
    spec = spec or EffectSpec()
    frame = _lifelines_frame(cohort, comparison, follow_up, spec)
    covariates = (
        pd.get_dummies(cohort.covariates.iloc[comparison.rows], drop_first=True, dtype=float).reset_index(drop=True).add_prefix("covariate: ")
    )
    varying = covariates.loc[:, covariates.std() > 0]
    if varying.size > LARGEST_ADJUSTED:
        raise EstimationError(
            f"lifelines: {len(varying)} rows with {varying.shape[1]} covariates are more than it can fit in reasonable time; left out"
        )
    fitted = _fit_lifelines(pd.concat([frame, (varying - varying.mean()) / varying.std()], axis=1), spec.level)
    row = fitted.summary.loc["treated"]
    low, high = (float(row[f"exp(coef) {end} {100 * spec.level:g}%"]) for end in ("lower", "upper"))
    return AdjustedHazardRatio(float(row["exp(coef)"]), low, high, float(row["p"]))


def check_proportionality(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None) -> ProportionalityTest:
    """Test whether the hazard ratio stays the same over the follow-up, by lifelines (Kaplan-Meier time).

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
    spec : EffectSpec, optional
        `success` is used.

    Returns
    -------
    ProportionalityTest

    Raises
    ------
    EstimationError
        As `adjusted_hazard_ratio`.
    """
    spec = spec or EffectSpec()
    frame = _lifelines_frame(cohort, comparison, follow_up, spec)
    from lifelines.statistics import proportional_hazard_test  # heavy: a second, and not needed for people too many

    fitted = _fit_lifelines(frame, spec.level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines repeats its remark on weights, which the clustered variance answers
        result = proportional_hazard_test(fitted, frame, time_transform="km")
    return ProportionalityTest(float(np.ravel(result.test_statistic)[0]), float(np.ravel(result.p_value)[0]))


def _lifelines_frame(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec) -> pd.DataFrame:
    if len(comparison.rows) > LARGEST_LIFELINES:
        raise EstimationError(
            f"lifelines: {len(comparison.rows)} people are more than the {LARGEST_LIFELINES} it can cluster in reasonable time; left out"
        )
    compared = compared_follow_up(cohort, comparison, follow_up)
    success = spec.succeeded(compared)
    cox_log_ratio(RiskSets.of(compared.days, success, compared.treated, compared.weight))  # lifelines gives a number even where the ratio is infinite
    cluster = compared.person.copy()
    if compared.clusters.nested:
        here = compared.clusters.member < len(cluster)  # after them come those who only had a part in the weights
        cluster[compared.clusters.member[here]] = compared.clusters.code[here]
    columns = {
        "days": compared.days,
        "event": success,
        "treated": compared.treated.astype(float),
        "weight": compared.weight,
        "cluster": cluster,
    }
    return pd.DataFrame(columns)


def _fit_lifelines(frame: pd.DataFrame, level: float) -> CoxPHFitter:
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights that are not whole numbers: the clustered variance is the answer lifelines asks for
        try:
            return CoxPHFitter(alpha=1 - level).fit(frame, "days", "event", weights_col="weight", cluster_col="cluster", robust=True)
        except ConvergenceError as error:
            raise EstimationError(
                "lifelines: the covariate-adjusted model does not converge; take out covariates that nearly decide the outcome"
            ) from error
