"""How likely was each person to start, given what was known beforehand; and do the two groups overlap.

Logistic regression by Newton's method on standardised columns. Sums are taken in the cohort's content order, so neither row order nor names move a
coefficient by a single bit.

References
----------
Rosenbaum & Rubin (1983). The central role of the propensity score in observational studies for causal effects. Biometrika 70(1), 41-55.
Walker et al. (2013). A tool for assessing the feasibility of comparative effectiveness research. Comparative Effectiveness Research 3, 11-20
(preference score and equipoise).
Albert & Anderson (1984). On the existence of maximum likelihood estimates in logistic regression models. Biometrika 71(1), 1-10 (separation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import qr
from scipy.special import expit, logit, ndtr, ndtri

from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.errors import DesignError, InputError, Problem, SeparationError

EQUIPOISE_RANGE = (0.3, 0.7)  # Walker et al. 2013: preference scores where either side was a real possibility
_CONVERGED = 1e-7  # largest Newton step, in standard deviations of a column; steps square, so what is left after it is rounding
_MAX_NEWTON_STEPS = 30  # an interior maximum needs fewer than 12, with wild outliers 20; under separation every step is as long as the one before
_ROUNDING = 1e-9  # relative fall of the log-likelihood that is noise of its sum
_STILL_MOVING = 1e-3  # share of the longest part of the last step that makes a column part of the combination that separates
_COLLINEAR = 1e-9  # smallest pivot, relative to the largest, of the correlation matrix
FEW_PEOPLE = 10  # a level of fewer is not named in errors
_BLOCK_ROWS = 8192  # rows per pass: a block of a dozen columns stays in the processor's cache


class PropensitySpec(BaseModel):
    """What is asked of the participation model.

    `formula` is the right-hand side in formulaic's grammar, such as ``"age + I(age**2) + sex:race"``; without it every covariate enters as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    formula: str | None = None
    level: float = Field(default=0.95, gt=0, lt=1, description="confidence level of the odds ratios")


@dataclass(frozen=True, eq=False)
class Overlap:
    """How far the two groups share the range of propensities.

    Attributes
    ----------
    equipoise : float
        Share of all people whose preference score lies between 0.3 and 0.7.
    treated_outside : int
        Treated with a propensity above every control's or below every control's.
    """

    equipoise: float
    treated_outside: int


@dataclass(frozen=True, eq=False)
class PropensityScores:
    """How likely each was to start.

    Attributes
    ----------
    score, logit : ndarray of float, shape (n,)
        Aligned with the cohort's rows.
    coefficients : DataFrame
        term, coefficient, std_error, odds_ratio, low, high, p_value; empty where the model has none.
    auc : float
        Probability that a treated person scores above a control, ties counted half.
    overlap : Overlap
    sd_score, sd_logit : float
        Standard deviations over the whole cohort (n - 1), the unit of calipers.
    """

    score: Floats
    logit: Floats
    coefficients: pd.DataFrame
    auc: float
    overlap: Overlap
    sd_score: float
    sd_logit: float

    def __post_init__(self) -> None:
        for array in (self.score, self.logit):
            array.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """Give score and logit as a table, in the cohort's row order."""
        return pd.DataFrame({"score": self.score, "logit": self.logit})


def estimate_propensity(cohort: Cohort, spec: PropensitySpec | None = None) -> PropensityScores:
    r"""Estimate each person's probability of being treated from the covariates.

    Parameters
    ----------
    cohort : Cohort, n people
    spec : PropensitySpec, optional

    Returns
    -------
    PropensityScores
        Aligned with the cohort's rows.

    Raises
    ------
    SeparationError
        If a column, or a combination of columns, decides participation alone; each such column is named.
    DesignError
        If columns are linear combinations of each other.
    InputError
        If the formula cannot be read.

    Notes
    -----
    Maximises :math:`\sum_i t_i \eta_i - \log(1 + e^{\eta_i})` with :math:`\eta = X\beta`; standard errors from the inverse information.
    """
    spec = spec or PropensitySpec()
    terms, columns = _model_columns(cohort, spec.formula)
    _refuse_separating(terms, columns, cohort.treated)
    beta, covariance = _fit_logistic(terms, np.take(columns, cohort.order, axis=1), cohort.treated[cohort.order])
    linear = np.full(len(cohort), beta[0])
    for position in range(len(terms)):  # column by column: rows with the same values get the same bits wherever they stand
        linear += columns[position] * beta[position + 1]
    return _summarise(cohort, linear, coefficient_table(terms, beta, covariance, spec.level))


def scores_from_table(cohort: Cohort, frame: pd.DataFrame, *, score: str) -> PropensityScores:
    """Take propensity scores that were estimated elsewhere.

    Parameters
    ----------
    cohort : Cohort, n people
    frame : DataFrame, shape (n, c)
        Rows in the cohort's order.
    score : str
        Column with probabilities strictly between 0 and 1.

    Returns
    -------
    PropensityScores

    Raises
    ------
    InputError
        If the column is absent, the lengths differ, or a score is missing, no number, 0 or less, 1 or more.
    """
    if len(frame) != len(cohort):
        raise InputError(
            [Problem(score, f"needs one row per person of the cohort: {len(cohort)}, not {len(frame)}", "give the table the cohort was made from")]
        )
    if score not in frame.columns:
        raise InputError([Problem.absent(score, frame.columns)])
    values = pd.to_numeric(frame[score], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    outside = ~((values > 0) & (values < 1))
    if outside.any():
        raise InputError([Problem.in_rows(score, "must lie strictly between 0 and 1", outside, "give probabilities, not logits or percentages")])
    return _summarise(cohort, logit(values), no_coefficients(), score=values)


def _model_columns(cohort: Cohort, formula: str | None) -> tuple[list[str], Floats]:
    """Give the terms and, shape (terms, n), their values: one contiguous row per term."""
    return covariate_columns(cohort.covariates) if formula is None else _formula_columns(cohort, formula)


def covariate_columns(covariates: pd.DataFrame) -> tuple[list[str], Floats]:
    """Give the terms of a model with every covariate as it is, and, shape (terms, n), their values; a level nobody has is no term.

    Parameters
    ----------
    covariates : DataFrame, shape (n, p)
        Numbers and categories, as in `Cohort`. The first level present of a category is the one the others are held against.

    Returns
    -------
    terms : list of str
        Such as "age" and "race[T.white]".
    values : ndarray of float, shape (terms, n)
    """
    terms: list[str] = []
    values: list[Floats] = []
    for name, column in covariates.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            present = np.unique(codes)
            terms += [f"{name}[T.{column.cat.categories[code]}]" for code in present[1:]]
            values += [(codes == code).astype(np.float64) for code in present[1:]]
        else:
            terms.append(str(name))
            values.append(column.to_numpy())
    return terms, np.stack(values) if values else np.empty((0, len(covariates)))


def _formula_columns(cohort: Cohort, formula: str) -> tuple[list[str], Floats]:
    import formulaic  # heavy, and only where a plan gives a formula

    try:
        matrix = formulaic.model_matrix(f"1 + {formula}", cohort.covariates, context={}, na_action="ignore")
        terms = [str(term) for term in matrix.columns if term != "Intercept"]
        values = np.ascontiguousarray(matrix[terms].to_numpy(dtype=np.float64).T)
    except Exception as error:  # a formula is a small program: anything may go wrong in it, and the library's own message may quote data
        raise InputError([_formula_problem(f"cannot be read ({type(error).__name__})", cohort)], "the participation model cannot be built") from None
    if not terms:
        raise InputError([_formula_problem("has no terms", cohort)], "the participation model cannot be built")
    wild = ~np.isfinite(values)
    problems = Problem.broken((term, "must be finite", broken, "change the term") for term, broken in zip(terms, wild, strict=True))
    if problems:
        raise InputError(problems, "the participation model cannot be built")
    return terms, values


def _formula_problem(rule: str, cohort: Cohort) -> Problem:
    known = ", ".join(map(str, cohort.covariates.columns))
    return Problem("propensity formula", rule, f"write it like 'age + I(age**2) + sex:race' with the covariates {known}")


def _refuse_separating(terms: list[str], columns: Floats, treated: Bools) -> None:
    problems = []
    for term, values in zip(terms, columns, strict=True):
        inside, outside = values[treated], values[~treated]
        if inside.max() == inside.min() == outside.max() == outside.min():
            problems.append(Problem(term, "is the same for everybody", "take it out"))
        elif inside.max() <= outside.min() or outside.max() <= inside.min():
            rule = "separates the groups: from some value on, all are treated or none is"
            problems.append(Problem(_spoken(term, values), rule, "merge its rare levels, take it out, or leave out the people it sets apart"))
    if problems:
        raise SeparationError(problems, "participation cannot be modelled")


def _spoken(term: str, values: Floats) -> str:
    """Name a term in an error; a level few people have may point at one of them, so it stays unnamed."""
    variable, bracket, _ = term.partition("[T.")
    return f"{variable}: one of its rare levels" if bracket and values.sum() < FEW_PEOPLE else term


def _fit_logistic(terms: list[str], columns: Floats, treated: Bools) -> tuple[Floats, Floats]:
    """Fit on standardised columns; give intercept and coefficients on the scale of `columns`, and their covariance."""
    mean = columns.mean(axis=1)
    scale = columns.std(axis=1)
    design = np.empty((columns.shape[0] + 1, columns.shape[1]))
    design[0] = 1.0
    np.subtract(columns, mean[:, None], out=design[1:])
    design[1:] /= scale[:, None]
    _refuse_collinear(terms, design[1:])

    start = np.append(logit(treated.mean()), np.zeros(len(columns)))
    maximum = maximise_likelihood(lambda beta: _logistic_derivatives(design, treated, beta), start)
    if maximum.converged:
        back = np.diag(np.concatenate([[1.0], 1 / scale]))
        back[0, 1:] = -mean / scale
        return back @ maximum.beta, back @ np.linalg.inv(maximum.information) @ back.T
    moving = np.abs(maximum.step[1:])
    largest = [position for position in np.argsort(-moving, kind="stable")[:3] if moving[position] > _STILL_MOVING * moving.max()]
    remedy = "merge their rare levels, take one out, or leave out the people they set apart"
    problems = [
        Problem(_spoken(terms[position], columns[position]), "belongs to a combination of columns that decides participation alone", remedy)
        for position in largest
    ]
    raise SeparationError(problems, "participation cannot be modelled")


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


def _logistic_derivatives(design: Floats, treated: Bools, beta: Floats) -> tuple[float, Floats, Floats]:
    """Give the log-likelihood, its gradient and the information."""
    likelihood = 0.0
    gradient = np.zeros(len(beta))
    information = np.zeros((len(beta), len(beta)))
    for start in range(0, design.shape[1], _BLOCK_ROWS):
        block, side = design[:, start : start + _BLOCK_ROWS], treated[start : start + _BLOCK_ROWS]
        fitted = expit(beta @ block)
        likelihood += float(np.log(np.maximum(np.where(side, fitted, 1 - fitted), np.finfo(float).tiny)).sum())
        gradient += block @ (side - fitted)
        information += (block * (fitted * (1 - fitted))) @ block.T
    return likelihood, gradient, information


def _refuse_collinear(terms: list[str], design: Floats) -> None:
    correlation = design @ design.T / design.shape[1]
    triangle, pivots = qr(correlation, mode="r", pivoting=True)
    size = np.abs(np.diag(triangle))
    spare = pivots[size < _COLLINEAR * size[0]]
    if len(spare):
        names = ", ".join(terms[position] for position in sorted(spare))
        raise DesignError(
            f"participation model: no column may be a sum of the others; {len(spare)} of {len(terms)} are ({names}); "
            "take them out of the covariates or the formula"
        )


def _summarise(cohort: Cohort, linear: Floats, coefficients: pd.DataFrame, score: Floats | None = None) -> PropensityScores:
    probability = expit(linear) if score is None else score
    control = np.sort(linear[~cohort.treated])
    treated = np.sort(linear[cohort.treated])
    everybody = linear[cohort.order]
    below, upto = np.searchsorted(control, treated, side="left"), np.searchsorted(control, treated, side="right")
    preference = expit(everybody - logit(len(treated) / len(everybody)))
    inside = (preference >= EQUIPOISE_RANGE[0]) & (preference <= EQUIPOISE_RANGE[1])
    return PropensityScores(
        score=probability,
        logit=linear,
        coefficients=coefficients,
        auc=float((below + upto).sum() / (2 * len(control) * len(treated))),
        overlap=Overlap(equipoise=float(inside.mean()), treated_outside=int(((treated > control[-1]) | (treated < control[0])).sum())),
        sd_score=float(expit(everybody).std(ddof=1)),
        sd_logit=float(everybody.std(ddof=1)),
    )


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
