"""Does one hazard ratio describe them: by period, with the covariates in the model, and by the test of proportionality?

The ratio by period is ours (cox.py), with the influence of every person; the covariate-adjusted model and the test are lifelines'.

References
----------
Cox (1972). Regression models and life-tables. JRSS B 34(2), 187-220.
Grambsch & Therneau (1994). Proportional hazards tests and diagnostics based on weighted residuals. Biometrika 81(3), 515-526.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.cox import RiskSets, cox_log_ratio
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.estimates import Estimate, Ratio
from evaluation.analysis.outcomes import FollowUp
from evaluation.design.cohort import Cohort
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError

if TYPE_CHECKING:
    from lifelines import CoxPHFitter

PERIODS_DAYS = ((0.0, 91.0), (91.0, 183.0), (183.0, 365.0), (365.0, 730.0))  # days: a programme may lock people in first and gain later
LARGEST_ADJUSTED = 300_000  # rows times columns of the adjusted model: ten times as many take lifelines minutes, for a check
LARGEST_LIFELINES = 10_000  # lifelines' clustered residuals take time with the square of the rows: seconds here, minutes at five times as many


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
    compared.refuse_time_weights("hazard ratio by period")
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
        name = f"log of hazard ratio from {begin:g} to {end:g} days"
        found[begin, end] = Ratio(
            Estimate(name, value, compared.over_all(own, there), compared.clusters, "log ratio", compared.n_people(there), spec.level)
        )
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
