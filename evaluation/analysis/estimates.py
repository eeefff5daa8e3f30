"""How sure are we: every estimate with its influence function, and the variance that follows from it.

An estimate computed from weighted people has, for each of them, an influence: what it would gain if that person weighed a little more, times
the weight (the infinitesimal jackknife). Influences of a difference are differences of influences, and the variance is that of their sums over
clusters (clusters.py). Weights that were themselves estimated move with everybody who was in their model; that too is influence, and is added before
the sums are taken (estimated_weights.py).

References
----------
Efron (1982). The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import chdtrc, ndtr, ndtri

from evaluation.analysis.clusters import Clusters
from evaluation.design.cohort import Floats
from evaluation.errors import EstimationError

_DEPENDENT = 1e-10  # smallest eigenvalue of a correlation matrix: below it the estimates are sums of each other up to rounding
_WIDEST = 700.0  # on the scale of log(-log): the exponential of more overflows, and the interval already runs from 0 to 1
Unit = Literal["probability", "days", "months", "sek", "log ratio", "count"]
EFFECT_COLUMNS = ("effect", "std_error", "low", "high", "p_value")  # what a table says of an effect, as `effect_cells` gives it


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """A number, how it depends on each person, and so how sure it is.

    Attributes
    ----------
    name : str
    value : float
    influence : ndarray of float, shape (u,)
        Aligned with `Comparison.rows`.
    clusters : Clusters
    unit : {"probability", "days", "months", "sek", "log ratio", "count"}
    n : int
        People the estimate rests on.
    level : float
        Confidence level of `low` and `high`.
    interval : {"plain", "log-log"}
        "log-log" for a probability p of having left: symmetric on the scale of log(-log(1 - p)), so that it stays between 0 and 1.
    """

    name: str
    value: float
    influence: Floats
    clusters: Clusters
    unit: Unit
    n: int
    level: float = 0.95
    interval: Literal["plain", "log-log"] = "plain"

    def __repr__(self) -> str:
        return f"Estimate({self.name}: {self.value:.4g}, {self.level:.0%} interval {self.low:.4g} to {self.high:.4g}, {self.unit}, n={self.n})"

    @cached_property
    def std_error(self) -> float:
        """Standard error."""
        return math.sqrt(self.clusters.variance(self.influence))

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self._ends[1]

    @cached_property
    def p_value(self) -> float:
        """Two-sided Wald p-value of the value being 0; nan for a single group's probability or mean, where 0 is no hypothesis."""
        if self.interval == "log-log" or self.std_error == 0:
            return math.nan
        return float(2 * ndtr(-abs(self.value) / self.std_error))

    @cached_property
    def _ends(self) -> tuple[float, float]:
        reach = float(ndtri(0.5 + self.level / 2)) * self.std_error
        if self.interval == "plain":
            return self.value - reach, self.value + reach
        low, high = log_log_interval(np.array([self.value]), np.array([self.std_error]), self.level)
        return float(low[0]), float(high[0])

    def __add__(self, other: Estimate) -> Estimate:
        """Give the sum, with the dependence between the two in its variance."""
        self._same_people(other)
        name, influence = f"{self.name} plus {other.name}", self.influence + other.influence
        return replace(self, name=name, value=self.value + other.value, influence=influence, n=self._people_with(other))

    def __sub__(self, other: Estimate) -> Estimate:
        """Give the difference, with the dependence between the two in its variance."""
        self._same_people(other)
        name, influence = f"{self.name} minus {other.name}", self.influence - other.influence
        return replace(self, name=name, value=self.value - other.value, influence=influence, n=self._people_with(other), interval="plain")

    def __truediv__(self, other: Estimate) -> Ratio:
        """Give the ratio of two positive estimates, by the delta method on the log scale."""
        self._same_people(other)
        if self.value <= 0 or other.value <= 0:
            raise EstimationError(f"ratio of {self.name} to {other.name}: both must be above 0; give the difference instead")
        influence = self.influence / self.value - other.influence / other.value
        log = replace(
            self,
            name=f"log of {self.name} over {other.name}",
            value=math.log(self.value / other.value),
            influence=influence,
            unit="log ratio",
            n=self._people_with(other),
            interval="plain",
        )
        return Ratio(log)

    def to_frame(self) -> pd.DataFrame:
        """Give one row: name, value, std_error, low, high, p_value (in `unit`), unit, n (people), level."""
        return _one_row(self.name, self, self.unit, self.level)

    def cluster(self, ids: ArrayLike) -> Estimate:
        """Give the same estimate with variance clustered by `ids`, shape (u,), aligned with `Comparison.rows`; factor G / (G - 1).

        Take differences first and cluster the difference: estimates clustered one by one are no longer from the same comparison.

        Raises
        ------
        EstimationError
            If there are fewer than two clusters, or people who are not compared, and so are in none, had a part in the weights.
        """
        return replace(self, clusters=Clusters.few(ids, self.clusters.weights))

    def _same_people(self, other: Estimate) -> None:
        if self.clusters is not other.clusters:
            raise EstimationError(f"{self.name} and {other.name}: only estimates from the same comparison can be combined; compute both in one call")

    def _people_with(self, other: Estimate) -> int:
        """Two separate groups add up; of overlapping ones, such as one arm at two horizons, the larger counts."""
        separate = not ((self.influence != 0) & (other.influence != 0)).any()
        return self.n + other.n if separate else max(self.n, other.n)


@dataclass(frozen=True, eq=False, repr=False)
class Ratio:
    """A ratio; its interval is symmetric on the log scale.

    Attributes
    ----------
    log : Estimate
        The logarithm of the ratio.
    """

    log: Estimate

    def __repr__(self) -> str:
        name = self.log.name.removeprefix("log of ")
        return f"Ratio({name}: {self.value:.4g}, {self.log.level:.0%} interval {self.low:.4g} to {self.high:.4g}, n={self.n})"

    @property
    def value(self) -> float:
        """The ratio."""
        return math.exp(self.log.value)

    @property
    def std_error(self) -> float:
        """Standard error of the ratio, by the delta method; the interval does not use it."""
        return self.value * self.log.std_error

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return math.exp(self.log.low)

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return math.exp(self.log.high)

    @property
    def p_value(self) -> float:
        """Two-sided Wald p-value of the ratio being 1."""
        return self.log.p_value

    @property
    def n(self) -> int:
        """People the ratio rests on."""
        return self.log.n

    def to_frame(self) -> pd.DataFrame:
        """Give one row: name, value, std_error, low, high, p_value (of the ratio being 1), unit ("ratio"), n (people), level."""
        return _one_row(self.log.name.removeprefix("log of "), self, "ratio", self.log.level)


def effect_cells(effect: Estimate | Ratio) -> tuple[float, float, float, float, float]:
    """Give what a table says of an effect: its value, standard error, interval and p-value."""
    return effect.value, effect.std_error, effect.low, effect.high, effect.p_value


def _one_row(name: str, found: Estimate | Ratio, unit: str, level: float) -> pd.DataFrame:
    columns = ["name", "value", *EFFECT_COLUMNS[1:], "unit", "n", "level"]
    return pd.DataFrame([(name, *effect_cells(found), unit, found.n, level)], columns=columns)


@dataclass(frozen=True)
class JointTest:
    """Are several estimates all zero?

    Attributes
    ----------
    chi_square : float
    degrees : int
    p_value : float
    """

    chi_square: float
    degrees: int
    p_value: float


def wald_test(estimates: Sequence[Estimate]) -> JointTest:
    """Test whether all of the estimates are zero at once, from their joint covariance.

    Parameters
    ----------
    estimates : sequence of Estimate, length q

    Returns
    -------
    JointTest
        Chi-square on q degrees of freedom.

    Raises
    ------
    EstimationError
        If they come from different comparisons, or their covariance is singular.
    """
    for other in estimates[1:]:
        estimates[0]._same_people(other)
    values = np.array([estimate.value for estimate in estimates])
    covariance = estimates[0].clusters.covariance(np.column_stack([estimate.influence for estimate in estimates]))
    spread = np.sqrt(np.diag(covariance))
    if (spread == 0).any() or np.linalg.eigvalsh(covariance / np.outer(spread, spread))[0] < _DEPENDENT:
        names = ", ".join(estimate.name for estimate in estimates)
        raise EstimationError(f"joint test of {names}: their covariance is singular; leave out the ones that follow from the others")
    chi_square = float(values @ np.linalg.solve(covariance, values))
    return JointTest(chi_square, len(values), float(chdtrc(len(values), max(chi_square, 0.0))))


def log_log_interval(probability: Floats, std_error: Floats, level: float) -> tuple[Floats, Floats]:
    """Give an interval for probabilities of having left, symmetric on the scale of log(-log(1 - p)); the point itself at 0 and 1.

    Kalbfleisch & Prentice (1980), The Statistical Analysis of Failure Time Data, section 1.3.
    """
    inside = (probability > 0) & (probability < 1) & (std_error > 0)
    remain = np.where(inside, 1 - probability, 0.5)
    spread = np.minimum(ndtri(0.5 + level / 2) * np.where(inside, std_error, 0.0) / np.abs(remain * np.log(remain)), _WIDEST)
    low, high = 1 - remain ** np.exp(-spread), 1 - remain ** np.exp(spread)
    return np.where(inside, low, probability), np.where(inside, high, probability)
