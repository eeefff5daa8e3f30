r"""Which coefficients make the starts of many person-months likeliest, without a table of person-months times columns?

Pooled logistic regression whose covariates hold for all months of a control, beside an effect for every calendar month and one of time: each kind of
column is stored once, and their sums and products are taken apart. Columns without a finite coefficient of their own are left out, with the reason.

References
----------
D'Agostino et al. (1990). Relation of pooled logistic regression to time dependent Cox regression analysis: the Framingham Heart Study. Statistics in
Medicine 9(12), 1501-1515.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from evaluation.design.cohort import Bools, Floats, Rows
from evaluation.design.logistic import coefficient_table, maximise_likelihood

_COLLINEAR = 1e-9  # share of a column's spread, beyond the columns before it, that is rounding
_STILL_MOVING = 0.5  # share of the longest part of the last step that makes a column part of what has no maximum


@dataclass(frozen=True, eq=False)
class PooledDesign:
    """The columns of the model: those that hold for all months of a control, those of the calendar, and time.

    A row's covariates are stored once, so that memory and time grow with rows x columns and with person-months, not with their product.

    Attributes
    ----------
    terms : list of str, length p
        Intercept, covariates, calendar, time.
    fixed : ndarray of float, shape (f, n)
        Intercept and standardised covariates.
    mean, scale : ndarray of float, shape (p,)
    row, block : ndarray of int, shape (N,)
        Control and calendar months of each person-month.
    time : ndarray of float, shape (N,)
        Standardised logarithm of months since the index date.
    """

    terms: list[str]
    fixed: Floats
    mean: Floats
    scale: Floats
    row: Rows
    block: Rows
    time: Floats

    @classmethod
    def of(cls, terms: list[str], columns: Floats, calendar: list[str], row: Rows, block: Rows, time: Floats) -> PooledDesign:
        """Standardise; the first of the calendar's names is the one the others are held against."""
        blocks = [f"month[T.{name}]" for name in calendar[1:]]
        mean = np.concatenate([[0.0], columns.mean(axis=1), np.zeros(len(blocks)), [time.mean()]])
        spread = np.concatenate([[1.0], columns.std(axis=1), np.ones(len(blocks)), [time.std()]])
        scale = np.where(spread > _COLLINEAR * np.maximum(np.abs(mean), 1.0), spread, 1.0)
        fixed = np.ones((len(terms) + 1, columns.shape[1]))
        fixed[1:] = (columns - mean[1 : len(fixed), None]) / scale[1 : len(fixed), None]
        names = ["Intercept", *terms, *blocks, "log(1 + months since index date)"]
        return cls(names, fixed, mean, scale, row, block, (time - mean[-1]) / scale[-1])

    def linear(self, beta: Floats) -> Floats:
        """Give the linear predictor of each person-month."""
        known = len(self.fixed)
        return np.asarray((beta[:known] @ self.fixed)[self.row] + np.append(0.0, beta[known:-1])[self.block] + beta[-1] * self.time)

    def sums(self, values: Floats) -> Floats:
        """Sum the columns times `values`; shape (p,)."""
        calendar = np.bincount(self.block, values, minlength=len(self.terms) - len(self.fixed))[1:]
        return np.concatenate([self.fixed @ self._rows(values), calendar, [values @ self.time]])

    def by_row(self, values: Floats) -> Floats:
        """Sum, over each control's months, the columns times `values`; shape (p, n)."""
        sums = [self.fixed * self._rows(values), self._cells(values)[:, 1:].T, self._rows(values * self.time)[None]]
        return np.concatenate(sums)

    def gram(self, values: Floats) -> Floats:
        """Sum the products of all pairs of columns times `values`; shape (p, p)."""
        cells, timed = self._cells(values)[:, 1:], self._cells(values * self.time)[:, 1:].sum(axis=0)
        fixed_time = self.fixed @ self._rows(values * self.time)
        fixed_block = self.fixed @ cells
        return np.block(
            [
                [(self.fixed * self._rows(values)) @ self.fixed.T, fixed_block, fixed_time[:, None]],
                [fixed_block.T, np.diag(cells.sum(axis=0)), timed[:, None]],
                [fixed_time[None], timed[None], np.array([[values @ self.time**2]])],
            ]
        )

    def _rows(self, values: Floats) -> Floats:
        return np.asarray(np.bincount(self.row, values, minlength=self.fixed.shape[1]), dtype=np.float64)

    def _cells(self, values: Floats) -> Floats:
        blocks, n = len(self.terms) - len(self.fixed), self.fixed.shape[1]
        cells = np.bincount(self.row * blocks + self.block, values, minlength=n * blocks)
        return np.asarray(cells.reshape(n, blocks), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class PooledFit:
    """Coefficients of standardised columns, 0 where dropped; why each was dropped; and the scores.

    Attributes
    ----------
    beta : ndarray of float, shape (p,)
    reason : list of str, length p
        "" where kept.
    information : ndarray of float, shape (k, k)
        Of the columns kept.
    residual : ndarray of float, shape (N,)
    """

    beta: Floats
    reason: list[str]
    information: Floats
    residual: Floats

    @property
    def kept(self) -> Rows:
        """Positions of the columns in the model."""
        return np.array([place for place, reason in enumerate(self.reason) if not reason], dtype=np.intp)


def fit_pooled(design: PooledDesign, starts: Bools, weight: Floats) -> PooledFit:
    """Fit; columns without a finite coefficient of their own are left out, one after the other."""
    reason = _spare(design.gram(weight))
    for place in _separating(design, starts):
        reason[place] = reason[place] or "separates"
    beta = np.zeros(len(reason))
    beta[0] = np.log(starts.sum() / weight[~starts].sum())

    def whole(part: Floats, kept: list[int]) -> Floats:
        full = np.zeros(len(reason))
        full[kept] = part
        return full

    while True:
        kept = [place for place, why in enumerate(reason) if not why]

        def derivatives(part: Floats, kept: list[int] = kept) -> tuple[float, Floats, Floats]:
            linear = design.linear(whole(part, kept))
            hazard = expit(linear)
            gradient = design.sums(weight * (starts - hazard))
            information = design.gram(weight * hazard * (1 - hazard))
            likelihood = -float(weight @ np.logaddexp(0.0, np.where(starts, -linear, linear)))
            return likelihood, gradient[kept], information[np.ix_(kept, kept)]

        maximum = maximise_likelihood(derivatives, beta[kept])
        if maximum.converged:
            found = whole(maximum.beta, kept)
            return PooledFit(found, reason, maximum.information, weight * (starts - expit(design.linear(found))))
        moving = np.nan_to_num(np.abs(maximum.step[1:]), nan=np.inf)
        for place in np.flatnonzero(moving >= _STILL_MOVING * moving.max()):
            reason[kept[place + 1]] = "separates"


def _spare(gram: Floats) -> list[str]:
    """Say of each column whether it is constant, or the sum of columns before it."""
    varies = np.diag(gram) > 0
    size = np.sqrt(np.where(varies, np.diag(gram), 1.0))
    rest = gram / np.outer(size, size)
    reason = []
    for place in range(len(gram)):
        if rest[place, place] > _COLLINEAR:
            rest = rest - np.outer(rest[:, place], rest[place]) / rest[place, place]
            reason.append("")
        else:
            reason.append("collinear" if varies[place] else "constant")
    return reason


def _separating(design: PooledDesign, starts: Bools) -> Rows:
    """Find covariates that part those who start from all others."""
    inside, outside = (design.fixed[:, np.unique(design.row[which])] for which in (starts, ~starts))
    apart = (inside.max(axis=1) <= outside.min(axis=1)) | (outside.max(axis=1) <= inside.min(axis=1))
    return np.flatnonzero(apart[1:]) + 1


def pooled_coefficients(design: PooledDesign, fit: PooledFit, person: Rows, level: float) -> pd.DataFrame:
    """Put the coefficients on the scale of the columns, their variance clustered by person."""
    kept = fit.kept
    scores = np.stack([np.bincount(person, column) for column in design.by_row(fit.residual)[kept]])
    bread = np.linalg.inv(fit.information)
    back = np.diag(1 / design.scale[kept])
    back[0, 1:] = -(design.mean / design.scale)[kept[1:]]
    covariance = back @ bread @ (scores @ scores.T) @ bread @ back.T
    return coefficient_table([design.terms[place] for place in kept[1:]], back @ fit.beta[kept], covariance, level)
