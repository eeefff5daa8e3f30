r"""Does the answer hold if the covariates enter the outcome too?

A match or weights make the groups alike; a regression of the outcome on the covariates foretells how each would have fared. Used together the answer
is right if either is: what the regression foretells is taken away from both arms, and what is left is compared with the weights. The regression is
fitted on the compared controls with their weights. Who is censored before the horizon is made up for by those still followed: a success counts as one
over the chance of not having been censored by then, which adds up to the Aalen-Johansen share exactly and is 0 or 1 where nobody is censored.

References
----------
Robins, Rotnitzky & Zhao (1994). Estimation of regression coefficients when some regressors are not always observed. JASA 89, 846-866.
Abadie & Imbens (2011). Bias-corrected matching estimators for average treatment effects. JBES 29(1), 1-11.
Moodie, Saarela & Stephens (2018). A doubly robust weighting estimator of the average treatment effect on the treated. Stat 7(1), e205.
Satten & Datta (2001). The Kaplan-Meier estimator as an inverse-probability-of-censoring weighted average. American Statistician 55(3), 207-210.
Scheike, Zhang & Gerds (2008). Predicting cumulative incidence probability by direct binomial regression. Biometrika 95(1), 205-220.
Stefanski & Boos (2002). The calculus of M-estimation. American Statistician 56(1), 29-38.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from evaluation.analysis.compared import Compared, compared_follow_up
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.outcomes import FollowUp
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.design.logistic import maximise_likelihood
from evaluation.design.model_columns import covariate_columns
from evaluation.errors import EstimationError, HorizonError

RIDGE = 0.01  # a hundredth of a person per standardised column: a level whose controls all failed keeps a finite coefficient, others hardly move
FEWEST_OUTCOMES = 5  # controls with and without success for each column: fewer make coefficients unreliable (Vittinghoff & McCulloch 2007)


def augmented_difference(
    cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None, *, horizon_days: float
) -> Estimate:
    r"""Estimate the difference in the share with success by a horizon, with covariates both in the comparison and in the outcome.

    Parameters
    ----------
    cohort : Cohort
        All its covariates enter the regression as they are; a column that is the same for all compared controls tells nothing and stays outside.
    comparison : Comparison, of u rows
    follow_up : FollowUp
        Without weights that change with time.
    spec : EffectSpec, optional
        `success` and `level` are used.
    horizon_days : float
        Days after the index date. Only rows that can be followed so long count, as in `estimate_effects`.

    Returns
    -------
    Estimate
        Treated minus control, over the same people as `Effects.risk_difference`. Its influence, shape (u,), holds what comes through the regression
        and through the chance of censoring; what comes through estimated weights its clusters add. Its standard error is therefore right also where
        the regression, or the model behind the weights, is wrong, as long as not both are.

    Raises
    ------
    HorizonError
        If the horizon lies beyond what was observed in either arm.
    EstimationError
        If `success` names an unknown state, the follow-up has weights that change with time, or too few compared controls have success, or lack
        it, for the columns of the regression.

    Notes
    -----
    With :math:`Y_i = 1\{success\ by\ \tau\} / \hat G(T_i-)`, where :math:`\hat G` is the weighted Kaplan-Meier of censoring in the arm, exits before
    censorings on the same day,

    .. math:: \hat\Delta = \frac{\sum_{treated} w_i (Y_i - \hat m_0(x_i))}{\sum_{treated} w_i}
        - \frac{\sum_{control} w_i (Y_i - \hat m_0(x_i))}{\sum_{control} w_i}, \qquad \hat m_0(x) = \frac{1}{1 + e^{-x'\hat\beta}},

    and :math:`\hat\beta` solves :math:`\sum_{control} w_i x_i (Y_i - \hat m_0(x_i)) = \lambda s^2 \beta` with the weak ridge :math:`\lambda`,
    :math:`s` the standard deviations of the columns among the compared controls, and none on the intercept. The intercept makes the second sum 0:
    the estimate is at once the regression's standardisation to the treated (g-computation), right also where only the weights are. Censoring is
    taken to be independent within each arm, as for the shares themselves. A treated with a level no compared control has is foretold as one of a
    level that stays outside the regression.
    """
    spec = (spec or EffectSpec()).at(horizon_days)
    compared = compared_follow_up(cohort, comparison, follow_up)
    compared.refuse_time_weights("augmented difference")
    plain = _plain_difference(cohort, comparison, follow_up, spec)
    reaching = compared.reaching(horizon_days)
    control = np.flatnonzero(reaching & ~compared.treated)
    success = spec.succeeded(compared) & (compared.days <= horizon_days)
    outcome = _Outcome.of(compared, success, control)
    design = _design(cohort, compared, control)
    known = (compared.days > horizon_days) | (compared.exit >= 0)
    have, lack = (compared.n_people(control[kind[control]]) for kind in (success, known & ~success))
    _refuse_few(have, lack, design.shape[1] - 1)
    beta, information = _fit(design[control], outcome.value, outcome.weight)
    foretold = expit(design @ beta)

    gap, influence, pull = 0.0, np.zeros(len(foretold)), np.zeros(len(beta))  # pull: derivative of the gap by the coefficients
    for sign, side in ((1.0, compared.treated), (-1.0, ~compared.treated)):
        arm = np.flatnonzero(reaching & side)
        share = compared.weight[arm] / compared.weight[arm].sum()
        mean = float(share @ foretold[arm])
        gap += sign * mean
        influence[arm] += sign * share * (foretold[arm] - mean)
        pull += sign * ((share * foretold[arm] * (1 - foretold[arm])) @ design[arm])
    direction = design[control] @ np.linalg.solve(information, pull)
    influence[control] += outcome.weight * direction * (outcome.value - foretold[control]) + outcome.through_censoring(direction)
    name = f"share at {horizon_days:g} days, treated minus control, augmented by a regression"
    return replace(plain, name=name, value=plain.value - gap, influence=plain.influence - influence)


def _plain_difference(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec) -> Estimate:
    (horizon,) = spec.horizons_days
    effects = estimate_effects(cohort, comparison, follow_up, spec)
    if horizon not in effects.risk_difference:
        raise HorizonError(f"augmented difference: {effects.notes[0]}; ask for a shorter horizon, or extend the follow-up")
    return effects.risk_difference[horizon]


def _refuse_few(have: int, lack: int, columns: int) -> None:
    """Refuse a regression with too few controls who are known to have success or to lack it."""
    needed = FEWEST_OUTCOMES * max(columns, 1)
    if min(have, lack) < needed:
        raise EstimationError(
            f"augmented difference: a regression on {columns} columns needs {needed} compared controls with success by the horizon and as many "
            f"without; {have} have it and {lack} do not; give the cohort fewer covariates or merge rare levels, or leave this check out"
        )


def _design(cohort: Cohort, compared: Compared, control: NDArray[np.intp]) -> Floats:
    """Give, shape (u, q), the intercept and the columns that vary among the controls, standardised among them."""
    _, columns = covariate_columns(cohort.covariates.iloc[compared.rows])
    inside = columns[:, control]
    telling = inside.min(axis=1) < inside.max(axis=1)
    mean, scale = inside[telling].mean(axis=1), inside[telling].std(axis=1)
    return np.column_stack([np.ones(columns.shape[1]), ((columns[telling] - mean[:, None]) / scale[:, None]).T])


def _fit(design: Floats, value: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Solve the weighted logistic equations with their ridge; give the coefficients (q,) and minus the equations' derivative (q, q)."""
    ridge = np.append(0.0, np.full(design.shape[1] - 1, RIDGE))

    def derivatives(beta: Floats) -> tuple[float, Floats, Floats]:
        linear = design @ beta
        fitted = expit(linear)
        likelihood = float(weight @ (value * linear - np.logaddexp(0.0, linear)) - 0.5 * ridge @ beta**2)
        gradient = (weight * (value - fitted)) @ design - ridge * beta
        return likelihood, gradient, (design.T * (weight * fitted * (1 - fitted))) @ design + np.diag(ridge)

    start = np.append(logit(weight @ value / weight.sum()), np.zeros(design.shape[1] - 1))
    maximum = maximise_likelihood(derivatives, start)
    if not maximum.converged:
        raise EstimationError("augmented difference: the regression of the controls' outcome has no maximum; give the cohort fewer covariates")
    return maximum.beta, maximum.information


@dataclass(frozen=True, eq=False)
class _Outcome:
    """The controls' outcomes at the horizon, made up for censoring; arrays of shape (c,) unless said otherwise.

    Attributes
    ----------
    value : ndarray of float
        One over the chance of not having been censored before, for a success by the horizon; 0 for everybody else.
    weight : ndarray of float
    last : ndarray of int
        Index of the last censoring day at which each was at risk of being censored; -1 for none.
    censored : ndarray of bool
    share, per_censored : ndarray of float, shape (L,)
        At each censoring day the share h of those at risk that is censored and, R being their weight, 1 / ((1 - h) R): 0 where nobody stays.
    """

    value: Floats
    weight: Floats
    last: NDArray[np.intp]
    censored: Bools
    share: Floats
    per_censored: Floats

    @classmethod
    def of(cls, compared: Compared, success: Bools, control: NDArray[np.intp]) -> _Outcome:
        """Count who is at risk of being censored on each day on which somebody is: who leaves that day has left before."""
        days, weight, censored = compared.days[control], compared.weight[control], compared.exit[control] < 0
        times = np.unique(days[censored])
        last = np.where(censored, np.searchsorted(times, days, side="right"), np.searchsorted(times, days, side="left")) - 1
        count = len(times)
        at_risk = np.cumsum(np.bincount(last + 1, weight, minlength=count + 1)[:0:-1])[::-1]
        share = np.bincount(last[censored], weight[censored], minlength=count) / at_risk
        staying = np.bincount(last + 1, minlength=count + 1)[::-1].cumsum()[::-1][1:] > np.bincount(last[censored], minlength=count)
        chance = np.append(np.cumprod(1 - share), 1.0)  # the last place, index -1, is for those gone before the first censoring day
        value = np.divide(1.0, chance[last], out=np.zeros(len(days)), where=success[control])
        per_censored = np.divide(1.0, (1 - share) * at_risk, out=np.zeros(count), where=staying)
        return cls(value, weight, last, censored, share, per_censored)

    def through_censoring(self, direction: Floats) -> Floats:
        r"""Give the influence on :math:`\sum_j w_j d_j Y_j`, d the `direction`, of each control through the chance of censoring.

        With :math:`K_l` the part of the sum that comes after the censoring day l, it is
        :math:`w_i \sum_l K_l (1\{i\ censored\ at\ l\} - h_l 1\{i\ at\ risk\}) / ((1 - h_l) R_l)`.
        """
        count = len(self.share)
        ahead = np.cumsum(np.bincount(self.last + 1, self.weight * direction * self.value, minlength=count + 1)[:0:-1])[::-1]
        own = np.append(ahead * self.per_censored, 0.0)
        drift = np.append(np.cumsum(ahead * self.per_censored * self.share), 0.0)
        return np.asarray(self.weight * (np.where(self.censored, own[self.last], 0.0) - drift[self.last]), dtype=np.float64)
