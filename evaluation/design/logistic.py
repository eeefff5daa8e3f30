r"""Which coefficients make the participation seen the most likely: logistic regression, plain or held back by a ridge.

Newton's method on standardised columns, whose sums are taken in the cohort's content order. A column that decides participation alone has no
coefficient; it is named, and so is a column that is a sum of others. A ridge gives every column one.

References
----------
Albert & Anderson (1984). On the existence of maximum likelihood estimates in logistic regression models. Biometrika 71(1), 1-10 (separation).
le Cessie & van Houwelingen (1992). Ridge estimators in logistic regression. Applied Statistics 41(1), 191-201.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.special import expit, logit, ndtr, ndtri

from evaluation.design.cohort import Bools, Floats, Rows
from evaluation.errors import DesignError, Problem, SeparationError

_CONVERGED = 1e-7  # largest Newton step, in standard deviations of a column; steps square, so what is left after it is rounding
_MAX_NEWTON_STEPS = 30  # an interior maximum needs fewer than 12, with wild outliers 20; under separation every step is as long as the one before
_ROUNDING = 1e-9  # relative fall of the log-likelihood that is noise of its sum
_STILL_MOVING = 1e-3  # share of the longest part of the last step that makes a column part of the combination that separates
_COLLINEAR = 1e-9  # smallest pivot, relative to the largest, of the correlation matrix
FEW_PEOPLE = 10  # a level of fewer is not named in errors
_BLOCK_ROWS = 8192  # rows per pass: a block of a dozen columns stays in the processor's cache
SPLINE = re.compile(r"\b(bs|cr|cs|cc)\(")  # a term of a formula that has knots
_NATURAL_SPLINE = re.compile(r"\b(cr|cs|cc)\((?!.*constraints)")  # its columns sum to one, as the intercept does


def fit_logistic(terms: list[str], columns: Floats, treated: Bools, order: Rows, penalty: float) -> tuple[Floats, Floats]:
    r"""Fit treatment on columns.

    Parameters
    ----------
    terms : list of str, length q - 1
        What the columns after the intercept are called.
    columns : ndarray of float, shape (q, n)
        The intercept first.
    treated : ndarray of bool, shape (n,)
    order : ndarray of int, shape (n,)
        The order in which sums over people are taken.
    penalty : float
        The ridge; 0 for none.

    Returns
    -------
    beta : ndarray of float, shape (q,)
        On the scale of `columns`.
    inverse_information : ndarray of float, shape (q, q)
        The ridge's own information is in it.

    Raises
    ------
    SeparationError
        If a column is the same for everybody; without a ridge also if a column, or a combination of columns, decides participation alone.
    DesignError
        Without a ridge, if columns are linear combinations of each other; with one too weak to hold the coefficients of columns that separate.

    Notes
    -----
    Maximises :math:`\sum_i t_i \eta_i - \log(1 + e^{\eta_i}) - \tfrac\lambda2 \sum_k (s_k \beta_k)^2` with :math:`\eta = X\beta` and :math:`s_k`
    the standard deviation (n) of column k. The intercept has no penalty.
    """
    _refuse_deciding(terms, columns[1:], treated, penalty)
    design = np.take(columns, order, axis=1)
    mean, scale = design[1:].mean(axis=1), design[1:].std(axis=1)
    design[1:] -= mean[:, None]
    design[1:] /= scale[:, None]
    if not penalty:
        _refuse_collinear(terms, design[1:])

    side = treated[order]
    ridge = np.append(0.0, np.full(len(terms), penalty))
    start = np.append(logit(side.mean()), np.zeros(len(terms)))
    maximum = maximise_likelihood(lambda beta: _logistic_derivatives(design, side, ridge, beta), start)
    if maximum.converged:
        back = np.diag(np.concatenate([[1.0], 1 / scale]))
        back[0, 1:] = -mean / scale
        return back @ maximum.beta, back @ np.linalg.inv(maximum.information) @ back.T
    if penalty:
        raise DesignError(
            f"participation model: a penalty of {penalty:g} is too small to hold coefficients that would grow without end; raise it (1 is a weak one)"
        )
    raise SeparationError(_still_moving(terms, columns[1:], maximum.step[1:]), "participation cannot be modelled")


def _refuse_deciding(terms: list[str], columns: Floats, treated: Bools, penalty: float) -> None:
    """Refuse columns without a coefficient: those that never vary, and without a ridge those that decide participation alone."""
    problems = []
    for term, values in zip(terms, columns, strict=True):
        inside, outside = values[treated], values[~treated]
        if inside.max() == inside.min() == outside.max() == outside.min():
            problems.append(Problem(term, "is the same for everybody", "give the spline fewer knots" if SPLINE.search(term) else "take it out"))
        elif not penalty and (inside.max() <= outside.min() or outside.max() <= inside.min()):
            rule = "separates the groups: from some value on, all are treated or none is"
            problems.append(Problem(_spoken(term, values), rule, "merge its rare levels, take it out, or leave out the people it sets apart"))
    if problems:
        raise SeparationError(problems, "participation cannot be modelled")


def _spoken(term: str, values: Floats) -> str:
    """Name a term in an error; a level few people have may point at one of them, so it stays unnamed."""
    variable, bracket, _ = term.partition("[T.")
    return f"{variable}: one of its rare levels" if bracket and np.count_nonzero(values) < FEW_PEOPLE else term


def _refuse_collinear(terms: list[str], design: Floats) -> None:
    correlation = design @ design.T / design.shape[1]
    triangle, pivots = qr(correlation, mode="r", pivoting=True)
    size = np.abs(np.diag(triangle))
    spare = pivots[size < _COLLINEAR * size[0]]
    if len(spare):
        names = [terms[position] for position in sorted(spare)]
        spline = any(_NATURAL_SPLINE.search(name) for name in names)
        remedy = "give cr, cs and cc constraints='center', or fewer knots" if spline else "take them out of the covariates or the formula"
        raise DesignError(
            f"participation model: no column may be a sum of the others; {len(spare)} of {len(terms)} are ({', '.join(names)}); {remedy}"
        )


def _still_moving(terms: list[str], columns: Floats, step: Floats) -> list[Problem]:
    """Name the columns that still moved in the last step."""
    moving = np.abs(step)
    largest = [position for position in np.argsort(-moving, kind="stable")[:3] if moving[position] > _STILL_MOVING * moving.max()]
    remedy = "merge their rare levels, take one out, or leave out the people they set apart"
    return [
        Problem(_spoken(terms[position], columns[position]), "belongs to a combination of columns that decides participation alone", remedy)
        for position in largest
    ]


def _logistic_derivatives(design: Floats, treated: Bools, ridge: Floats, beta: Floats) -> tuple[float, Floats, Floats]:
    """Give the penalised log-likelihood, its gradient and the information."""
    likelihood = -0.5 * float(ridge @ beta**2)
    gradient = -ridge * beta
    information = np.diag(ridge)
    for start in range(0, design.shape[1], _BLOCK_ROWS):
        block, side = design[:, start : start + _BLOCK_ROWS], treated[start : start + _BLOCK_ROWS]
        fitted = expit(beta @ block)
        likelihood += float(np.log(np.maximum(np.where(side, fitted, 1 - fitted), np.finfo(float).tiny)).sum())
        gradient += block @ (side - fitted)
        information += (block * (fitted * (1 - fitted))) @ block.T
    return likelihood, gradient, information


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where Newton's method ended.

    Attributes
    ----------
    beta : ndarray of float, shape (p,)
    information : ndarray of float, shape (p, p)
        Minus the second derivative.
    step : ndarray of float, shape (p,)
        The last step; where there is no maximum, what still moves.
    converged : bool
    """

    beta: Floats
    information: Floats
    step: Floats
    converged: bool


def maximise_likelihood(derivatives: Callable[[Floats], tuple[float, Floats, Floats]], start: Floats) -> Maximum:
    """Climb to the maximum of a concave log-likelihood by Newton's method, going back half the way after an overshoot.

    Parameters
    ----------
    derivatives : callable
        Gives the log-likelihood, its gradient (p,) and the information (p, p) at coefficients (p,) of columns of spread about 1.
    start : ndarray of float, shape (p,)

    Returns
    -------
    Maximum
    """
    beta = start.astype(np.float64)
    step: Floats = np.zeros(len(beta))
    information: Floats = np.zeros((len(beta), len(beta)))
    best = -np.inf
    for _ in range(_MAX_NEWTON_STEPS):
        likelihood, gradient, information = derivatives(beta)
        if likelihood < best - _ROUNDING * abs(best):  # overshot: go back half the way
            step = np.asarray(step / 2, dtype=np.float64)
            beta -= step
            continue
        best = likelihood
        try:
            step = np.asarray(np.linalg.solve(information, gradient), dtype=np.float64)
        except np.linalg.LinAlgError:
            break  # everybody the columns set apart is fitted exactly
        beta += step
        if np.abs(step).max() < _CONVERGED:
            return Maximum(beta, information, step, True)
    return Maximum(beta, information, step, False)


def coefficient_table(terms: list[str], beta: Floats, covariance: NDArray[np.float64], level: float) -> pd.DataFrame:
    """Set out the coefficients of a logistic model, the intercept first; `beta` has shape (1 + terms,)."""
    error = np.sqrt(np.diag(covariance))
    reach = ndtri(0.5 + level / 2) * error
    return pd.DataFrame(
        {
            "term": ["Intercept", *terms],
            "coefficient": beta,
            "std_error": error,
            "odds_ratio": np.exp(beta),
            "low": np.exp(beta - reach),
            "high": np.exp(beta + reach),
            "p_value": 2 * ndtr(-np.abs(beta / error)),
        }
    )


def no_coefficients() -> pd.DataFrame:
    """Give the table of coefficients of no model at all."""
    return pd.DataFrame(columns=["term", "coefficient", "std_error", "odds_ratio", "low", "high", "p_value"])
