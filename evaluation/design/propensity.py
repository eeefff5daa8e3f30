"""How likely was each person to start, given what was known beforehand; and do the two groups overlap.

Logistic regression by Newton's method on standardised columns, or a boosted model fitted on other people than those it scores. Sums are taken
in the cohort's content order, so neither row order nor names move a coefficient by a single bit.

References
----------
Rosenbaum & Rubin (1983). The central role of the propensity score in observational studies for causal effects. Biometrika 70(1), 41-55.
Walker et al. (2013). A tool for assessing the feasibility of comparative effectiveness research. Comparative Effectiveness Research 3, 11-20
(preference score and equipoise).
Albert & Anderson (1984). On the existence of maximum likelihood estimates in logistic regression models. Biometrika 71(1), 1-10 (separation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
_MAX_NEWTON_STEPS = 40  # a fit with an interior maximum needs fewer than 12
_SEPARATED_STEP = 25.0  # a standardised coefficient beyond this means odds of e^25 per standard deviation: it is on its way to infinity
_COLLINEAR = 1e-9  # smallest pivot, relative to the largest, of the correlation matrix
_BLOCK_ROWS = 8192  # rows per pass: a block of a dozen columns stays in the processor's cache


class PropensitySpec(BaseModel):
    """What is asked of the participation model.

    `formula` is the right-hand side in formulaic's grammar, such as ``"age + I(age**2) + sex:race"``; without it every covariate enters as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Literal["logistic", "boosting"] = "logistic"
    formula: str | None = None
    folds: int = Field(default=5, ge=2, description="parts of the cohort for cross-fitting (boosting)")
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
    if spec.model == "boosting":
        return _summarise(cohort, _boosted_logit(cohort, columns, spec.folds), _no_coefficients())
    _refuse_separating(terms, columns, cohort.treated)
    beta, covariance = _fit_logistic(terms, np.take(columns, cohort.order, axis=1), cohort.treated[cohort.order])
    linear = np.full(len(cohort), beta[0])
    for position in range(len(terms)):  # column by column: rows with the same values get the same bits wherever they stand
        linear += columns[position] * beta[position + 1]
    return _summarise(cohort, linear, _coefficient_table(terms, beta, covariance, spec.level))


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
        If the lengths differ or a score is missing, 0 or less, 1 or more.
    """
    if len(frame) != len(cohort):
        raise InputError(
            [Problem(score, f"needs one row per person of the cohort: {len(cohort)}, not {len(frame)}", "give the table the cohort was made from")]
        )
    values = frame[score].to_numpy(dtype=np.float64, na_value=np.nan)
    outside = ~((values > 0) & (values < 1))
    if outside.any():
        raise InputError([Problem.in_rows(score, "must lie strictly between 0 and 1", outside, "give probabilities, not logits or percentages")])
    return _summarise(cohort, logit(values), _no_coefficients(), score=values)


def _model_columns(cohort: Cohort, formula: str | None) -> tuple[list[str], Floats]:
    """Give the terms and, shape (terms, n), their values: one contiguous row per term."""
    if formula is not None:
        return _formula_columns(cohort, formula)
    terms: list[str] = []
    values: list[Floats] = []
    for name, column in cohort.covariates.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            present = np.unique(codes)
            terms += [f"{name}[T.{column.cat.categories[code]}]" for code in present[1:]]
            values += [(codes == code).astype(np.float64) for code in present[1:]]
        else:
            terms.append(str(name))
            values.append(column.to_numpy())
    return terms, np.stack(values)


def _formula_columns(cohort: Cohort, formula: str) -> tuple[list[str], Floats]:
    import formulaic  # heavy, and only where a plan gives a formula

    try:
        matrix = formulaic.model_matrix(f"1 + {formula}", cohort.covariates, na_action="raise")
    except (formulaic.errors.FormulaicError, SyntaxError, NameError, KeyError, TypeError) as error:
        known = ", ".join(map(str, cohort.covariates.columns))
        problem = Problem(
            "propensity formula",
            f"cannot be read ({type(error).__name__})",
            f"write it like 'age + I(age**2) + sex:race' with the covariates {known}",
        )
        raise InputError([problem], "the participation model cannot be built") from error
    terms = [str(term) for term in matrix.columns if term != "Intercept"]
    return terms, np.ascontiguousarray(matrix[terms].to_numpy(dtype=np.float64).T)


def _refuse_separating(terms: list[str], columns: Floats, treated: Bools) -> None:
    remedy = "merge its rare levels, take it out, or leave out the people it sets apart"
    problems = []
    for term, values in zip(terms, columns, strict=True):
        inside, outside = values[treated], values[~treated]
        if inside.max() <= outside.min() or outside.max() <= inside.min():
            constant = inside.max() == inside.min() == outside.max() == outside.min()
            rule = "is the same for everybody" if constant else "separates the groups: from some value on, all are treated or none is"
            problems.append(Problem(term, rule, remedy))
    if problems:
        raise SeparationError(problems, "participation cannot be modelled")


def _fit_logistic(terms: list[str], columns: Floats, treated: Bools) -> tuple[Floats, Floats]:
    """Fit on standardised columns; give intercept and coefficients on the scale of `columns`, and their covariance."""
    mean = columns.mean(axis=1)
    scale = columns.std(axis=1)
    design = np.empty((columns.shape[0] + 1, columns.shape[1]))
    design[0] = 1.0
    np.subtract(columns, mean[:, None], out=design[1:])
    design[1:] /= scale[:, None]
    _refuse_collinear(terms, design[1:])

    beta = np.zeros(len(design))
    beta[0] = logit(treated.mean())
    for _ in range(_MAX_NEWTON_STEPS):
        gradient, information = _logistic_derivatives(design, treated, beta)
        step = np.linalg.solve(information, gradient)
        beta += step
        if np.abs(beta[1:]).max() > _SEPARATED_STEP:
            break
        if np.abs(step).max() < _CONVERGED:
            covariance = np.linalg.inv(information)
            back = np.diag(np.concatenate([[1.0], 1 / scale]))
            back[0, 1:] = -mean / scale
            return back @ beta, back @ covariance @ back.T
    largest = np.argsort(-np.abs(beta[1:]), kind="stable")[:3]
    remedy = "merge their rare levels, take one out, or leave out the people they set apart"
    problems = [Problem(terms[position], "belongs to a combination of columns that decides participation alone", remedy) for position in largest]
    raise SeparationError(problems, "participation cannot be modelled")


def _logistic_derivatives(design: Floats, treated: Bools, beta: Floats) -> tuple[Floats, Floats]:
    gradient = np.zeros(len(beta))
    information = np.zeros((len(beta), len(beta)))
    for start in range(0, design.shape[1], _BLOCK_ROWS):
        block = design[:, start : start + _BLOCK_ROWS]
        fitted = expit(beta @ block)
        gradient += block @ (treated[start : start + _BLOCK_ROWS] - fitted)
        information += (block * (fitted * (1 - fitted))) @ block.T
    return gradient, information


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


def _boosted_logit(cohort: Cohort, columns: Floats, folds: int) -> Floats:
    """Score each fold by a model fitted on the others; people are dealt to folds by the hash of their id."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # heavy, and only where the spec asks for it

    fold = (cohort.tiebreak % np.uint64(folds)).astype(int)
    chance = np.empty(len(cohort))
    for part in range(folds):
        learn = cohort.order[fold[cohort.order] != part]
        model = HistGradientBoostingClassifier(random_state=0, early_stopping=False, max_iter=100, learning_rate=0.05, max_leaf_nodes=8)
        model.fit(columns[:, learn].T, cohort.treated[learn])
        chance[fold == part] = model.predict_proba(columns[:, fold == part].T)[:, 1]
    return np.asarray(logit(chance), dtype=np.float64)


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


def _coefficient_table(terms: list[str], beta: Floats, covariance: NDArray[np.float64], level: float) -> pd.DataFrame:
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


def _no_coefficients() -> pd.DataFrame:
    return pd.DataFrame(columns=["term", "coefficient", "std_error", "odds_ratio", "low", "high", "p_value"])
