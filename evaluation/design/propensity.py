"""How likely was each person to start, given what was known beforehand; and do the two groups overlap.

Logistic regression, plain or with a ridge (logistic.py), or boosted trees (boosting.py), on the covariates as they are or as a formula bends and
crosses them. Sums are taken in the cohort's content order, so row order moves no score by a single bit.

References
----------
Rosenbaum & Rubin (1983). The central role of the propensity score in observational studies for causal effects. Biometrika 70(1), 41-55.
Walker et al. (2013). A tool for assessing the feasibility of comparative effectiveness research. Comparative Effectiveness Research 3, 11-20
(preference score and equipoise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import expit, logit

from evaluation.design.boosting import boosted_logits
from evaluation.design.cohort import Bools, Cohort, Floats, Rows
from evaluation.design.logistic import coefficient_table, fit_logistic, no_coefficients
from evaluation.design.model_columns import model_columns
from evaluation.errors import InputError, Problem

EQUIPOISE_RANGE = (0.3, 0.7)  # Walker et al. 2013: preference scores where either side was a real possibility


class PropensitySpec(BaseModel):
    """What is asked of the participation model.

    `formula` is the right-hand side in formulaic's grammar, such as ``"bs(age, df=5) + I(income**2) + sex:race"``, with ``poly``, ``C`` and the
    splines ``bs``, and ``cr`` and ``cc`` with ``constraints='center'``; without it every covariate enters as it is. Knots are quantiles of
    everybody's values, treated or not. With method "boosting" the trees split on the same columns; its scores have no coefficients, and their
    uncertainty adds nothing to the variance of an effect.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["logistic", "boosting"] = "logistic"
    formula: str | None = None
    penalty: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="ridge on standardised columns, scikit-learn's 1 / C; 0: none")
    level: float = Field(default=0.95, gt=0, lt=1, description="confidence level of the odds ratios")
    folds: int = Field(default=5, ge=2, description="parts the people are dealt into; the trees that score a part have not seen it")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the deal into folds")
    trees: int = Field(default=200, ge=1)
    depth: int = Field(default=3, ge=1, description="splits on the way to a leaf, at most; as many covariates may act together")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="share of each tree's answer that is believed")

    @model_validator(mode="after")
    def _consistent(self) -> PropensitySpec:
        foreign = ("penalty", "level") if self.method == "boosting" else ("folds", "seed", "trees", "depth", "learning_rate")
        idle = [name for name in foreign if getattr(self, name) != type(self).model_fields[name].default]
        if idle:
            raise ValueError(f"{', '.join(idle)} {'says' if len(idle) == 1 else 'say'} nothing to method = '{self.method}'; take out")
        return self


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
class PropensityModel:
    """The participation model: what whoever weighs by the scores must know to say how uncertain the weights are.

    Attributes
    ----------
    terms : tuple of str, length q
        The intercept first.
    columns : ndarray of float, shape (n, q)
        Each person's value of each term, rows in the cohort's order.
    coefficients : ndarray of float, shape (q,)
    inverse_information : ndarray of float, shape (q, q)
        Covariance of the coefficients; with a ridge the inverse of the information with the ridge's own in it.
    """

    terms: tuple[str, ...]
    columns: Floats
    coefficients: Floats
    inverse_information: Floats

    def __post_init__(self) -> None:
        for array in (self.columns, self.coefficients, self.inverse_information):
            array.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per term: term, coefficient (log odds), std_error."""
        error = np.sqrt(np.diag(self.inverse_information))
        return pd.DataFrame({"term": self.terms, "coefficient": self.coefficients, "std_error": error})


@dataclass(frozen=True, eq=False)
class PropensityScores:
    """How likely each was to start.

    Attributes
    ----------
    score, logit : ndarray of float, shape (n,)
        Aligned with the cohort's rows.
    coefficients : DataFrame
        term, coefficient, std_error, odds_ratio, low, high, p_value; empty where the model has none. With a ridge the intervals are the coefficients'
        plus and minus their posterior spread, had they a normal prior of variance 1 / penalty around 0: they say how far the data and the ridge pin a
        coefficient down, and do not cover the true odds ratio as often as their level says, for the ridge draws it towards 1.
    auc : float
        Probability that a treated person scores above a control, ties counted half.
    overlap : Overlap
    sd_score, sd_logit : float
        Standard deviations over the whole cohort (n - 1), the unit of calipers.
    model : PropensityModel or None
        None where the scores come from a table or from trees.
    """

    score: Floats
    logit: Floats
    coefficients: pd.DataFrame
    auc: float
    overlap: Overlap
    sd_score: float
    sd_logit: float
    model: PropensityModel | None = None

    def __post_init__(self) -> None:
        for array in (self.score, self.logit):
            array.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """Give score and logit as a table, in the cohort's row order."""
        return pd.DataFrame({"score": self.score, "logit": self.logit})

    def take(self, rows: Rows, cohort: Cohort) -> PropensityScores:
        """Give the scores of some rows, which `cohort` is made of (`Cohort.take`).

        AUC, overlap and standard deviations are those of the new cohort. The model stays behind: it was fitted on people who are no longer there.
        """
        return _summarise(cohort, self.logit[rows], self.coefficients, score=self.score[rows])


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
        If a column, or a combination of columns, decides participation alone; each such column is named. Not with a penalty, nor with trees.
    DesignError
        If columns are linear combinations of each other; not with a penalty, nor with trees. If the trees' folds cannot all have both sides.
    InputError
        If the formula cannot be read.

    Notes
    -----
    Maximises :math:`\sum_i t_i \eta_i - \log(1 + e^{\eta_i}) - \tfrac\lambda2 \sum_k (s_k \beta_k)^2` with :math:`\eta = X\beta`, the penalty
    :math:`\lambda` and :math:`s_k` the standard deviation of column k; standard errors from the inverse information, the penalty's in it.
    """
    spec = spec or PropensitySpec()
    terms, columns = model_columns(cohort, spec.formula)
    if spec.method == "boosting":
        grown = boosted_logits(
            cohort, columns[1:], folds=spec.folds, seed=spec.seed, trees=spec.trees, depth=spec.depth, learning_rate=spec.learning_rate
        )
        return _summarise(cohort, grown, no_coefficients())
    beta, inverse_information = fit_logistic(terms, columns, cohort.treated, cohort.order, spec.penalty)
    linear = np.full(len(cohort), beta[0])
    for values, coefficient in zip(columns[1:], beta[1:], strict=True):  # by column: rows with the same values get the same bits wherever they stand
        linear += values * coefficient
    model = PropensityModel(("Intercept", *terms), columns.T, beta, inverse_information)
    return _summarise(cohort, linear, coefficient_table(terms, beta, inverse_information, spec.level), model=model)


def refuse_other_scores(cohort: Cohort, scores: PropensityScores) -> None:
    """Refuse scores that are not of this cohort's rows, by their number.

    Raises
    ------
    InputError
    """
    if len(scores.logit) != len(cohort):
        raise InputError([Problem("scores", f"are of {len(scores.logit)} people, the cohort has {len(cohort)}", "estimate them on this cohort")])


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


def preference_scores(logits: Floats, treated: Bools) -> Floats:
    r"""Take out of propensities how common treatment is: one half is where treatment is as likely as it is on average.

    Parameters
    ----------
    logits : ndarray of float, shape (n,)
        Of the propensities.
    treated : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of float, shape (n,)
        Between 0 and 1.

    Notes
    -----
    :math:`\operatorname{logit} f_i = \operatorname{logit} e_i - \operatorname{logit} \bar t` (Walker et al. 2013).
    """
    return np.asarray(expit(logits - logit(treated.mean())), dtype=np.float64)


def _summarise(
    cohort: Cohort, linear: Floats, coefficients: pd.DataFrame, *, score: Floats | None = None, model: PropensityModel | None = None
) -> PropensityScores:
    probability = expit(linear) if score is None else score
    control = np.sort(linear[~cohort.treated])
    treated = np.sort(linear[cohort.treated])
    everybody = linear[cohort.order]
    below, upto = np.searchsorted(control, treated, side="left"), np.searchsorted(control, treated, side="right")
    preference = preference_scores(everybody, cohort.treated[cohort.order])
    inside = (preference >= EQUIPOISE_RANGE[0]) & (preference <= EQUIPOISE_RANGE[1])
    return PropensityScores(
        score=probability,
        logit=linear,
        coefficients=coefficients,
        auc=float((below + upto).sum() / (2 * len(control) * len(treated))),
        overlap=Overlap(equipoise=float(inside.mean()), treated_outside=int(((treated > control[-1]) | (treated < control[0])).sum())),
        sd_score=float(expit(everybody).std(ddof=1)),
        sd_logit=float(everybody.std(ddof=1)),
        model=model,
    )
