"""How sure are we: every estimate with its influence function, and the variance that follows from it.

An estimate computed from weighted people has, for each of them, an influence: what it would gain if that person weighed a little more, times
the weight (the infinitesimal jackknife). Influences of a difference are differences of influences, and the variance under any dependence is
the sum over clusters of the squared cluster sums. People matched together form a set; a person may serve in several sets. The two-way variance
adds both ways of clustering and takes away what is counted twice. Weights that were themselves estimated move with everybody who was in their model;
that too is influence, and is added before the sums are taken.

References
----------
Efron (1982). The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6.
Cameron, Gelbach & Miller (2011). Robust inference with multiway clustering. JBES 29(2), 238-249.
Austin & Cafri (2020). Variance estimation when using propensity-score matching with replacement with survival or time-to-event outcomes.
Statistics in Medicine 39(11), 1623-1640.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import chdtrc, ndtr, ndtri

from evaluation.analysis.estimated_weights import EstimatedWeights
from evaluation.design.cohort import Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError

Codes = NDArray[np.intp]
_DEPENDENT = 1e-10  # smallest eigenvalue of a correlation matrix: below it the estimates are sums of each other up to rounding
_WIDEST = 700.0  # on the scale of log(-log): the exponential of more overflows, and the interval already runs from 0 to 1
Unit = Literal["probability", "days", "months", "sek", "log ratio", "count"]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which people vary together.

    Attributes
    ----------
    member : ndarray of int, shape (k,)
        Position of each membership's person among the u compared people, followed by those who only had a part in the weights.
    code : ndarray of int, shape (k,)
        The set of each membership, sorted, numbered from 0.
    share : ndarray of float, shape (k,)
        Part of the weight that lies in this membership; 1 for who is in one set.
    person : ndarray of int, shape (u,), or None
        The person of each such row of a stack of trials, numbered from 0; None where each has one row.
    factor : float
        Small-sample factor; 1 for sets and persons, G / (G - 1) where clusters are few.
    weights : EstimatedWeights or None
        None where the weights count as given.
    """

    member: Codes
    code: Codes
    share: Floats
    person: Codes | None = None
    factor: float = 1.0
    weights: EstimatedWeights | None = None

    @classmethod
    def of(cls, comparison: Comparison) -> Clusters:
        """Take the sets and persons of a comparison; who only had a part in the weights is a set of their own."""
        rows, model = comparison.rows, comparison.weight_model
        position = np.zeros(len(comparison.weights), dtype=np.intp)
        position[rows] = np.arange(len(rows))
        member, code, weights = position[comparison.member_row], comparison.member_set, None
        share = comparison.member_weight / comparison.weights[comparison.member_row]
        if model is not None:
            weights = EstimatedWeights(model, comparison.weights[rows], comparison.treated[rows])
            others = np.arange(len(rows), len(model.rows))
            member, share = np.append(member, others), np.append(share, np.ones(len(others)))
            code, rows = np.append(code, comparison.n_sets + others - len(rows)), model.rows
        person = pd.factorize(comparison.person_code[rows])[
            0
        ]  # in the order of the hash: a sum over persons must not depend on the order of the table
        repeated = len(person) > 0 and int(person.max()) + 1 < len(person)
        return cls(member, code, share, person if repeated else None, weights=weights)

    @classmethod
    def few(cls, ids: ArrayLike, weights: EstimatedWeights | None = None) -> Clusters:
        """Cluster the compared people by a coarse id such as a team; fewer than two clusters have no variance."""
        others = 0 if weights is None else len(weights.model.rows) - len(weights.weight)
        if others:
            raise EstimationError(
                f"clusters: {others} people who are not compared had a part in the weights and have no cluster; "
                "take them out of the cohort and estimate the scores of the others anew"
            )
        code = np.unique(np.asarray(ids), return_inverse=True)[1]
        count = int(code.max()) + 1
        if count < 2:
            raise EstimationError("clusters: at least two are needed to see how they vary; give ids that differ")
        order = np.argsort(code, kind="stable")
        return cls(order, code[order], np.ones(len(order)), factor=count / (count - 1), weights=weights)

    @cached_property
    def nested(self) -> bool:
        """Whether every person is in one cluster only, so that clustering by set already covers the person."""
        return self.person is None and bool((self.share == 1).all())

    @cached_property
    def _by_person(self) -> tuple[Codes, Codes]:
        """Give the compared rows in the order of their person, and where each person begins."""
        assert self.person is not None
        order = np.argsort(self.person, kind="stable")
        return order, np.flatnonzero(np.append(True, np.diff(self.person[order]) > 0))

    def _of_persons(self, influence: Floats) -> Floats:
        """Sum the influence over each person's rows."""
        if self.person is None:
            return influence
        order, starts = self._by_person
        return np.asarray(np.add.reduceat(influence[order], starts, axis=0), dtype=np.float64)

    @cached_property
    def _starts(self) -> Codes:
        return np.flatnonzero(np.append(True, self.code[1:] != self.code[:-1]))

    def spread(self, columns: csr_array) -> csr_array:
        """Give what columns of shape (v, k) are multiplied by from the left, as influences, to give their covariances; shape (v, k)."""
        people = np.arange(columns.shape[0])
        sets = csr_array((self.share, (self.code, self.member)), shape=(int(self.code.max()) + 1, len(people)))
        total = sets.T @ (sets @ columns)
        if not self.nested:
            persons = csr_array((np.ones(len(people)), (people if self.person is None else self.person, people)))
            each = csr_array((self.share, (np.arange(len(self.member)), self.member)), shape=(len(self.member), len(people)))
            total = total + persons.T @ (persons @ columns) - each.T @ (each @ columns)
        return csr_array(total * self.factor)

    def covariance(self, influence: Floats) -> Floats:
        """Give the covariance of several estimates.

        Parameters
        ----------
        influence : ndarray of float, shape (u, q)

        Returns
        -------
        ndarray of float, shape (q, q)
        """
        influence = influence if self.weights is None else self.weights.carried(influence)
        part = influence[self.member] * self.share[:, None]
        by_set = np.add.reduceat(part, self._starts, axis=0)
        total = by_set.T @ by_set
        if not self.nested:
            whole = self._of_persons(influence)
            total = total + whole.T @ whole - part.T @ part
        return np.asarray(total * self.factor, dtype=np.float64)

    def variance(self, influence: Floats) -> float:
        """Give the variance of one estimate, influence of shape (u,)."""
        influence = influence if self.weights is None else self.weights.carried(influence)
        part = influence[self.member] * self.share
        by_set = np.add.reduceat(part, self._starts)
        total = float(by_set @ by_set)
        if not self.nested:
            whole = self._of_persons(influence)
            total += float(whole @ whole - part @ part)
        return max(total, 0.0) * self.factor  # below 0 only where people treated now were controls before and nearly all cancels


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
