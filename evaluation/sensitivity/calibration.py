r"""What is the effect worth, measured by how far off the same road is where the truth is known to be nothing?

A placebo or a negative control has a true effect of zero, so whatever the road finds there beyond chance is its systematic error. Several such nulls
show which way that error leans and how much it varies; the effect that was asked about is moved by the lean, and its interval widened by the
variation. Only errors that the nulls share with the effect are known in this way: nulls that nothing could sort calibrate nothing.

References
----------
Schuemie, Ryan, DuMouchel, Suchard & Madigan (2014). Interpreting observational studies: why empirical calibration is needed to correct p-values.
Statistics in Medicine 33(2), 209-218.
Schuemie, Hripcsak, Ryan, Madigan & Suchard (2018). Empirical confidence interval calibration for population-level effect estimation studies in
observational healthcare data. PNAS 115(11), 2571-2577.
Higgins, Thompson & Spiegelhalter (2009). A re-evaluation of random-effects meta-analysis. JRSS A 172(1), 137-159 (the interval for one more).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import stdtr, stdtrit

from evaluation.analysis.estimates import Estimate
from evaluation.design.cohort import Floats
from evaluation.errors import EstimationError

FEWEST_NULLS = 5  # two numbers are fitted to the nulls; with fewer than three left over, the spread is as good as unknown
_LOOKS = 200  # spreads at which the likelihood is looked at before it is refined: with few nulls it may have more than one hill
_CLOSE = 1e-12  # to which the spread is refined, as a part of the nulls' range


@dataclass(frozen=True, eq=False)
class Calibration:
    """An effect, and what is left of it once the systematic error of the nulls is counted.

    Attributes
    ----------
    estimate : Estimate
        As it was.
    mean, spread : float
        Mean and standard deviation of the systematic error, in the unit of the estimate.
    mean_std_error : float
        How unsure that mean is.
    n_nulls : int
    """

    estimate: Estimate
    mean: float
    spread: float
    mean_std_error: float
    n_nulls: int

    @property
    def value(self) -> float:
        """The effect less the mean systematic error."""
        return self.estimate.value - self.mean

    @property
    def std_error(self) -> float:
        """Standard error with the systematic error in it: chance, spread, and doubt about the mean."""
        return math.hypot(self.estimate.std_error, self.spread, self.mean_std_error)

    @property
    def degrees(self) -> int:
        """Degrees of freedom: the nulls less the two numbers fitted to them."""
        return self.n_nulls - 2

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self._reach

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self._reach

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the effect being 0; nan where nothing varies."""
        return float(2 * stdtr(self.degrees, -abs(self.value) / self.std_error)) if self.std_error > 0 else math.nan

    @property
    def _reach(self) -> float:
        return float(stdtrit(self.degrees, 0.5 + self.estimate.level / 2)) * self.std_error

    def to_frame(self) -> pd.DataFrame:
        """Give one row: n_nulls, mean, spread, effect, low, high, p_value, calibrated, calibrated_low, calibrated_high, calibrated_p_value."""
        before, after = ((one.value, one.low, one.high, one.p_value) for one in (self.estimate, self))
        names = ["effect", "low", "high", "p_value"]
        columns = ["n_nulls", "mean", "spread", *names, "calibrated", *(f"calibrated_{name}" for name in names[1:])]
        return pd.DataFrame([[self.n_nulls, self.mean, self.spread, *before, *after]], columns=columns)


def calibrate(estimate: Estimate, nulls: Sequence[Estimate]) -> Calibration:
    r"""Correct an effect for the systematic error that is seen in effects known to be zero.

    Parameters
    ----------
    estimate : Estimate
        The effect asked about.
    nulls : sequence of Estimate, length k
        Effects of the same unit whose true value is 0: placebos and negative controls, estimated by the same road. They may come from other
        comparisons.

    Returns
    -------
    Calibration

    Raises
    ------
    EstimationError
        If there are fewer than five nulls, if one is of another unit, or if one has no standard error.

    Notes
    -----
    With :math:`y_i` the nulls and :math:`s_i` their standard errors, :math:`y_i \sim N(\mu, \sigma^2 + s_i^2)`; :math:`\mu` and :math:`\sigma` by
    maximum likelihood (Schuemie et al. 2014). The effect becomes :math:`\hat\theta - \hat\mu` with variance
    :math:`s^2 + \hat\sigma^2 + 1 / \sum_i (\hat\sigma^2 + s_i^2)^{-1}`.

    Schuemie et al. have hundreds of nulls, and take :math:`\hat\mu` and :math:`\hat\sigma` as known and the normal distribution. An evaluation has a
    handful: with 5 nulls whose systematic error is as large as chance, such an interval of 95 per cent holds the truth in 86 of 100 simulated cases.
    Here doubt about :math:`\mu` is added and the t distribution of k - 2 degrees taken, as Higgins et al. (2009) do for the effect in one more study.
    That holds it in 94 to 99 of 100, and is no narrower than the effect's own.

    The nulls count as independent; those that rest on the same people vary together, and then tell of less than their number.
    """
    values, errors = _nulls(estimate, nulls)
    spread = _spread(values, errors)
    weight = 1 / (spread**2 + errors**2)
    mean = float(weight @ values / weight.sum())
    return Calibration(estimate, mean, spread, float(weight.sum() ** -0.5), len(values))


def _nulls(estimate: Estimate, nulls: Sequence[Estimate]) -> tuple[Floats, Floats]:
    """Give the values and standard errors of the nulls, or refuse them."""
    if len(nulls) < FEWEST_NULLS:
        raise EstimationError(
            f"calibration: mean and spread of the systematic error are to be fitted to {len(nulls)} effects known to be zero, and {FEWEST_NULLS} are "
            "the fewest that tell of both; show them beside the effect instead, one by one"
        )
    other = [null.name for null in nulls if null.unit != estimate.unit]
    if other:
        raise EstimationError(f"calibration: {', '.join(other)}: not in the unit of {estimate.name} ({estimate.unit}); leave them out")
    still = [null.name for null in nulls if not null.std_error > 0]
    if still:
        raise EstimationError(f"calibration: {', '.join(still)}: without a standard error, as nothing varies there; leave them out")
    found = sorted((null.value, null.std_error) for null in nulls)  # so that the order they are given in moves no last bit
    values, errors = np.array(found).T
    return values, errors


def _spread(values: Floats, errors: Floats) -> float:
    """Give the standard deviation of the systematic error that makes the nulls likeliest."""
    largest = float(np.ptp(values))  # beyond the range of the nulls every one of them is likelier with less
    if largest == 0:
        return 0.0
    looks = np.linspace(0, largest, _LOOKS + 1)
    losses = _loss(looks, values, errors)
    best = int(losses.argmin())
    around = looks[max(best - 1, 0)], looks[min(best + 1, _LOOKS)]
    found = minimize_scalar(
        lambda spread: _loss(np.array([spread]), values, errors)[0], bounds=around, method="bounded", options={"xatol": _CLOSE * largest}
    )
    return float(found.x) if found.fun < losses[best] else float(looks[best])


def _loss(spread: Floats, values: Floats, errors: Floats) -> Floats:
    """Give minus the logarithm of the likelihood at each spread, with the mean that is then likeliest, but for a constant."""
    variance = spread[:, None] ** 2 + errors**2
    mean = (values / variance).sum(axis=1) / (1 / variance).sum(axis=1)
    return np.asarray((np.log(variance) + (values - mean[:, None]) ** 2 / variance).sum(axis=1) / 2, dtype=np.float64)
