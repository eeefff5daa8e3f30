r"""Which weights nearest to equal give the controls the treated's moments?

Among all weights of the controls under which every moment is the treated's, entropy balancing takes those of least :math:`\sum w \log w`. They are
:math:`w_j \propto \exp(\lambda' z_j)`, and :math:`\lambda` maximises the concave dual

.. math:: \sum_{treated} \lambda' z_i - \sum_s n_s \log \sum_{controls\ in\ s} e^{\lambda' z_j},

:math:`n_s` being the treated of stratum s: within each exact stratum the controls stand for its treated in number, over all strata in their moments.
Where no weights do, a linear programme finds the fewest moments in the way (least sum of absolute gaps).

References
----------
Hainmueller (2012). Entropy balancing for causal effects. Political Analysis 20(1), 25-46.
Zhao & Percival (2017). Entropy balancing is doubly robust. Journal of Causal Inference 5(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import qr
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack, identity, vstack

from evaluation.design.cohort import Cohort, Floats, Rows
from evaluation.design.logistic import Maximum, maximise_likelihood
from evaluation.design.model_columns import covariate_columns
from evaluation.errors import DesignError

BALANCED = 1e-8  # largest gap between the groups' moments, in standard deviations: what Newton's last step leaves is rounding, far below it
_FLAT = 1e-9  # spread, in standard deviations of everybody, of a moment that is the same for all controls of a stratum
_COLLINEAR = 1e-9  # smallest pivot of the moments' correlation matrix: one that follows from the others is balanced with them
_BEYOND = 1e-3  # share by which the treated's moments are moved away from the controls' to see which cannot be met: it takes in the very edge
_GAP = 1e-6  # gap, in standard deviations, that is none: the linear programme's own tolerance is a tenth of it
_POWERS = {1: "", 2: " squared", 3: " cubed"}


@dataclass(frozen=True, eq=False)
class Balanced:
    r"""What entropy balancing found.

    Attributes
    ----------
    odds : ndarray of float, shape (n,)
        :math:`e^{\lambda' z}` up to a factor for each stratum; 0 for rows that were not balanced.
    columns : ndarray of float, shape (n, q)
        The moments less the weighted mean of the stratum's controls; 0 for rows that were not balanced.
    inverse_information : ndarray of float, shape (q, q)
        Of the dual.
    """

    odds: Floats
    columns: Floats
    inverse_information: Floats


@dataclass(frozen=True, eq=False)
class _Dual:
    """The dual, its controls sorted by stratum; `first` is where each stratum begins, `treated` its number of treated, `target` the mean to meet."""

    columns: Floats
    target: Floats
    first: Rows
    treated: Floats

    def weights(self, multiplier: Floats) -> tuple[Floats, float]:
        """Give the controls' weights, which sum to 1 over all strata, and the logarithm of what they were divided by, averaged over the treated."""
        exponent = multiplier @ self.columns
        top = np.maximum.reduceat(exponent, self.first)
        odds = np.exp(exponent - self.spread(top))
        total = np.add.reduceat(odds, self.first)
        share = self.treated / self.treated.sum()
        return odds * self.spread(share / total), float(share @ (top + np.log(total)))

    def spread(self, by_stratum: Floats) -> Floats:
        """Give each control its stratum's value."""
        return np.repeat(by_stratum, np.diff(np.append(self.first, self.columns.shape[1])))

    def derivatives(self, multiplier: Floats) -> tuple[float, Floats, Floats]:
        """Give the dual, per treated, its gradient and minus its second derivative: what the controls' weighted moments vary within strata."""
        weights, logarithm = self.weights(multiplier)
        weighted = self.columns * weights
        by_stratum = np.add.reduceat(weighted, self.first, axis=1)
        information = weighted @ self.columns.T - by_stratum / (self.treated / self.treated.sum()) @ by_stratum.T
        return float(multiplier @ self.target) - logarithm, self.target - by_stratum.sum(axis=1), information


def balance_moments(cohort: Cohort, rows: Rows, stratum: Rows, *, covariates: Sequence[str] | None = None, moments: int = 1) -> Balanced:
    """Find the weights nearest to equal under which the controls' moments are the treated's.

    Parameters
    ----------
    cohort : Cohort, n rows
    rows : ndarray of int, shape (m,)
        Those to balance, in `Cohort.order`; both sides in every stratum among them.
    stratum : ndarray of int, shape (n,)
    covariates : sequence of str, optional
        Columns of the cohort. Left out: all covariates.
    moments : {1, 2, 3}
        Means; squares of numbers too; cubes too.

    Returns
    -------
    Balanced

    Raises
    ------
    DesignError
        If no weights do; names the moments that stand in the way, and what to leave out.
    InputError
        If the cohort has no such column.
    """
    names = list(cohort.covariates.columns) if covariates is None else list(dict.fromkeys(covariates))
    rows = rows[np.argsort(stratum[rows], kind="stable")]
    side = cohort.treated[rows]
    labels, values = _moments(pd.concat([cohort.column(name).iloc[rows] for name in names], axis=1), moments)
    code, first = _strata(stratum[rows])
    controls = np.add.reduceat(~side, first, dtype=np.float64)
    values -= (np.add.reduceat(values * ~side, first, axis=1) / controls)[:, code]
    free = _independent(values[:, ~side])
    scale = np.sqrt((values[free][:, ~side] ** 2).mean(axis=1, keepdims=True))
    columns = values[free] / scale
    dual = _Dual(columns[:, ~side], columns[:, side].mean(axis=1), _strata(code[~side])[1], np.add.reduceat(side, first, dtype=np.float64))
    start = np.zeros(len(free))
    maximum = maximise_likelihood(dual.derivatives, start) if len(free) else Maximum(start, np.empty((0, 0)), start, converged=True)
    weights, _ = dual.weights(maximum.beta)
    gap = np.abs(values[:, ~side] @ weights - values[:, side].mean(axis=1))
    if not maximum.converged or gap.max(initial=0.0) > BALANCED:
        raise DesignError(_what_stands_in_the_way(labels, values[:, ~side], values[:, side].mean(axis=1), dual))
    mean = np.add.reduceat(dual.columns * weights, dual.first, axis=1) / (dual.treated / dual.treated.sum())
    odds, centred = np.zeros(len(cohort)), np.zeros((len(cohort), len(free)))
    odds[rows[~side]] = weights
    centred[rows] = (columns - mean[:, code]).T
    return Balanced(odds, centred, np.linalg.inv(dual.derivatives(maximum.beta)[2]) / dual.treated.sum())


def _strata(stratum: Rows) -> tuple[Rows, Rows]:
    """Number sorted strata from 0, and say where each begins."""
    new = np.append(True, stratum[1:] != stratum[:-1])
    return np.cumsum(new) - 1, np.flatnonzero(new)


def _moments(frame: pd.DataFrame, moments: int) -> tuple[list[tuple[str, int]], Floats]:
    """Give the moments as (column, power), and, shape (moments, m), their values in standard deviations; a 0/1 column is all its powers."""
    labels: list[tuple[str, int]] = []
    found: list[Floats] = []
    for term, column in zip(*covariate_columns(frame), strict=True):
        if column.min() == column.max():
            continue
        number = (column - column.mean()) / column.std()
        several = ((column != column.min()) & (column != column.max())).any()
        for power in range(1, moments + 1 if several else 2):
            value = number**power  # of the standardised number: with the lower powers balanced, the same as of the number itself
            labels.append((term.partition("[T.")[0], power))
            found.append((value - value.mean()) / value.std())
    return labels, np.stack(found) if found else np.empty((0, len(frame)))


def _independent(control: Floats) -> Rows:
    """Give the moments that vary among the controls of a stratum and are no sum of the others."""
    spread = np.sqrt((control**2).mean(axis=1))
    varying = np.flatnonzero(spread > _FLAT)
    if len(varying) == 0:
        return varying
    scaled = control[varying] / spread[varying, None]
    triangle, pivots = qr(scaled @ scaled.T / control.shape[1], mode="r", pivoting=True)
    size = np.abs(np.diag(triangle))
    return np.sort(varying[pivots[size > _COLLINEAR * size[0]]])


def _what_stands_in_the_way(labels: list[tuple[str, int]], control: Floats, target: Floats, dual: _Dual) -> str:
    """Find the fewest moments to give up: those the controls' weights miss when the sum of the gaps is least."""
    several, people = control.shape
    missing = csr_array((len(dual.first), 2 * several))
    stratum = csr_array((np.ones(people), np.arange(people), np.append(dual.first, people)), shape=(len(dual.first), people))
    equal: Any = vstack([hstack([csr_array(control), -identity(several), identity(several)]), hstack([stratum, missing])])
    sums = np.append((1 + _BEYOND) * target, dual.treated / dual.treated.sum())
    found = linprog(np.append(np.zeros(people), np.ones(2 * several)), A_eq=equal, b_eq=sums, method="highs")
    gap = np.zeros(several) if found.x is None else found.x[people : people + several] + found.x[people + several :]
    missed = np.flatnonzero(gap > _GAP) if (gap > _GAP).any() else np.arange(several)
    names = list(dict.fromkeys(labels[place][0] for place in missed))
    spoken = ", ".join(dict.fromkeys(f"{name}{_POWERS[power]}" for name, power in (labels[place] for place in missed)))
    lowest = min(labels[place][1] for place in missed)
    fewer = f"ask for moments = {lowest - 1}, or " if lowest > 1 else ""
    where = " within the exact strata" if len(dual.first) > 1 else ""
    return (
        f"entropy balancing: no weights of the {people} controls{where} have the treated's mean of {spoken}; {fewer}leave {', '.join(names)} out of "
        f"`covariates`, or leave out the people who are alone with a value; the other {several - len(missed)} of {several} moments can be met"
    )
