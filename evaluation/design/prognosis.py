"""Would the compared people have fared alike anyway: are they balanced on what the covariates foretell?

A covariate matters as far as it foretells the outcome. Outcomes stay closed in the design, but a past outcome, such as earnings in the year before
the index date, hangs on the covariates in much the same way. It is modelled among people of the pool who stand outside the match, and the balance
is that of the predictions.

References
----------
Hansen (2008). The prognostic analogue of the propensity score. Biometrika 95(2), 481-488.
Stuart, Lee & Leacy (2013). Prognostic score-based balance measures can be a useful diagnostic for propensity score methods in comparative
effectiveness research. Journal of Clinical Epidemiology 66(8), S84-S90.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit

from evaluation.design.balance import Balance, assess_balance
from evaluation.design.cohort import Bools, Cohort, Floats, count_people
from evaluation.design.comparison import Comparison
from evaluation.design.logistic import fit_logistic
from evaluation.design.model_columns import covariate_columns
from evaluation.errors import DesignError, InputError, Problem

SCORE = "prognostic score"
_BLOCK_ROWS = 8192  # rows per pass: a block of a dozen columns stays in the processor's cache


class PrognosisSpec(BaseModel):
    """What is asked of the model of the past outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    covariates: tuple[str, ...] = Field(default=(), description="the model's covariates; without any, all of the cohort but the past outcome")
    penalty: float = Field(default=1.0, gt=0, description="ridge on coefficients per standard deviation: so much as one person more tells of each")


@dataclass(frozen=True, eq=False)
class PrognosisBalance:
    """How alike the compared people are in what was to be expected of them.

    Attributes
    ----------
    past_outcome : str
    model : {"linear", "logistic"}
        Logistic for a past outcome of 0 and 1.
    n_fitted : int
        People of the pool outside the match, whom the model was fitted on.
    score : ndarray of float, shape (n,)
        The past outcome expected of everybody, in its own unit or as a probability; rows of the cohort.
    correlation : float
        Of the score with the past outcome among the compared controls, who were not fitted on: how much the covariates foretell. nan where either
        does not vary.
    balance : Balance
        Of the score, as if it were the only covariate.
    """

    past_outcome: str
    model: Literal["linear", "logistic"]
    n_fitted: int
    score: Floats
    correlation: float
    balance: Balance

    def __post_init__(self) -> None:
        self.score.setflags(write=False)

    @property
    def smd_before(self) -> float:
        """Standardised difference of the score before matching."""
        return float(self.balance.table["smd_before"].iloc[0])

    @property
    def smd_after(self) -> float:
        """Standardised difference of the score after matching."""
        return float(self.balance.table["smd_after"].iloc[0])

    def to_frame(self) -> pd.DataFrame:
        """Give one row: past_outcome, model, n_fitted, correlation, smd_before, smd_after."""
        names = ["past_outcome", "model", "n_fitted", "correlation", "smd_before", "smd_after"]
        return pd.DataFrame([[getattr(self, name) for name in names]], columns=names)


def assess_prognosis(cohort: Cohort, comparison: Comparison, past_outcome: str, spec: PrognosisSpec | None = None) -> PrognosisBalance:
    r"""Compare treated and controls in what the covariates foretell, before and after matching.

    Parameters
    ----------
    cohort : Cohort, n people
    comparison : Comparison
    past_outcome : str
        A covariate or stratum of the cohort that is an outcome of the time before the index date: a number, or 0 and 1. That it lies before is for
        whoever names it to know; a later one would open the outcomes.
    spec : PrognosisSpec, optional

    Returns
    -------
    PrognosisBalance

    Raises
    ------
    InputError
        If the cohort lacks a column, the past outcome is no number or has missing values, or it is among the covariates of its own model.
    DesignError
        If nobody of the pool stands outside the match, or the past outcome or every covariate is the same for all who do.

    Notes
    -----
    The score is :math:`x'\hat\beta` for a number, with :math:`\hat\beta` minimising
    :math:`\sum_i (y_i - x_i'\beta)^2 / s_y^2 + \lambda \sum_k (s_k \beta_k / s_y)^2`, and :math:`1 / (1 + e^{-x'\hat\beta})` for 0 and 1, with
    :math:`\hat\beta` maximising :math:`\sum_i y_i x_i'\beta - \log(1 + e^{x_i'\beta}) - \tfrac\lambda2 \sum_k (s_k \beta_k)^2`, where :math:`s` are
    standard deviations among those fitted on and the intercept has no penalty. The weak ridge gives a coefficient to levels that few outside the
    match have. Standardised as every covariate: by the score's standard deviation among all treated.
    """
    spec = spec or PrognosisSpec()
    outcome, known = _past_outcome(cohort, past_outcome)
    terms, columns = covariate_columns(_predictors(cohort, past_outcome, spec.covariates))
    fitted = _outside(cohort, comparison) & known
    rows = cohort.order[fitted[cohort.order]]
    _refuse_empty(cohort, comparison, past_outcome, outcome[rows])
    inside = columns[:, rows]
    telling = inside.min(axis=1) < inside.max(axis=1)
    if not telling.any():
        raise DesignError(f"prognosis: every covariate is the same for all {len(rows)} outside the match; nothing foretells {past_outcome}")
    terms = [term for term, tells in zip(terms, telling, strict=True) if tells]
    columns, inside, values = columns[telling], inside[telling], outcome[rows]
    binary = bool(np.isin(outcome[known], (0.0, 1.0)).all())
    beta = _logistic(terms, inside, values, spec.penalty) if binary else _linear(inside, values, spec.penalty)
    linear = np.full(len(cohort), beta[0])
    for column, slope in zip(columns, beta[1:], strict=True):  # column by column: rows with the same values get the same bits wherever they stand
        linear += column * slope
    score = expit(linear) if binary else linear
    compared = comparison.rows[~cohort.treated[comparison.rows] & known[comparison.rows]]
    return PrognosisBalance(
        past_outcome=past_outcome,
        model="logistic" if binary else "linear",
        n_fitted=count_people(cohort.person_code[rows]),
        score=score,
        correlation=_correlation(score[compared], outcome[compared], comparison.weights[compared]),
        balance=assess_balance(replace(cohort, covariates=pd.DataFrame({SCORE: score})), comparison),
    )


def _past_outcome(cohort: Cohort, name: str) -> tuple[Floats, Bools]:
    """Give the past outcome as numbers, and whose was known: the cohort fills in what is missing, with a companion column that says so."""
    column = cohort.column(name)
    values = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    broken = ~np.isfinite(values)
    if broken.any():
        remedy = "name a column of numbers, or of 0 and 1, that is known of everybody"
        raise InputError([Problem.in_rows(name, "must be a number, to be modelled", broken, remedy)], "the prognosis cannot be modelled")
    companion = cohort.covariates.get(f"{name}_missing")
    return values, np.ones(len(cohort), dtype=bool) if companion is None else np.asarray(companion == 0)


def _predictors(cohort: Cohort, past_outcome: str, names: tuple[str, ...]) -> pd.DataFrame:
    own = {past_outcome, f"{past_outcome}_missing"}
    there = [str(name) for name in cohort.covariates.columns]
    chosen = list(dict.fromkeys(names or [name for name in there if name not in own]))
    problems = [Problem.unknown("prognosis covariates", f"has {name}, which is no covariate", name, there) for name in chosen if name not in there]
    if own & set(chosen):
        problems.append(Problem(past_outcome, "is among the covariates of its own model", "take it out of the prognosis covariates"))
    if not chosen:
        problems.append(Problem(past_outcome, "is the only covariate, so that nothing is left to foretell it", "name another past outcome"))
    if problems:
        raise InputError(problems, "the prognosis cannot be modelled")
    return cohort.covariates[chosen]


def _outside(cohort: Cohort, comparison: Comparison) -> Bools:
    """Say which rows are of the pool and of people who are not compared, in any trial."""
    compared = np.zeros(int(cohort.person_code.max()) + 1, dtype=bool)
    compared[cohort.person_code[comparison.rows]] = True
    return ~cohort.treated & ~compared[cohort.person_code]


def _refuse_empty(cohort: Cohort, comparison: Comparison, past_outcome: str, values: Floats) -> None:
    if not len(values):
        raise DesignError(
            f"prognosis: the model is fitted on people of the pool outside the match, and there is none with a known {past_outcome}: "
            f"{comparison.n_control} different people are compared as controls, in {cohort.n_control} rows of the pool; "
            "assess it for a match that leaves some out (a smaller ratio, a caliper), or on a larger pool"
        )
    if values.min() == values.max():
        raise DesignError(f"prognosis: {past_outcome} is the same for all {len(values)} outside the match; name a past outcome that varies")


def _logistic(terms: list[str], columns: Floats, values: Floats, penalty: float) -> Floats:
    design = np.vstack([np.ones(len(values)), columns])
    return fit_logistic(terms, design, values == 1, np.arange(len(values)), penalty)[0]


def _linear(columns: Floats, values: Floats, penalty: float) -> Floats:
    """Fit least squares with a ridge; give the intercept and the slopes."""
    mean, scale = columns.mean(axis=1), columns.std(axis=1)
    moments, products = np.zeros(len(columns)), penalty * np.eye(len(columns))
    centred = (values - values.mean()) / values.std()
    for start in range(0, len(values), _BLOCK_ROWS):
        block = (columns[:, start : start + _BLOCK_ROWS] - mean[:, None]) / scale[:, None]
        moments += block @ centred[start : start + _BLOCK_ROWS]
        products += block @ block.T
    slope = np.linalg.solve(products, moments) * values.std() / scale
    return np.append(values.mean() - slope @ mean, slope)


def _correlation(one: Floats, other: Floats, weight: Floats) -> float:
    one, other = (values - weight @ values / weight.sum() for values in (one, other)) if len(weight) else (one, other)
    spread = (weight @ one**2) * (weight @ other**2)
    return float(weight @ (one * other) / np.sqrt(spread)) if spread > 0 else float("nan")
