r"""How much does each person count, so that the two groups are alike without anybody being paired?

Weights that follow from the propensity :math:`e`, or, without one, the weights nearest to equal under which the controls have the treated's moments.

=========  ==============================  ============================  ==================================================
method     treated                         control                       effect on
=========  ==============================  ============================  ==================================================
att        :math:`1`                       :math:`e / (1 - e)`           the treated
overlap    :math:`1 - e`                   :math:`e`                     those who could have been on either side
matching   :math:`\min(e, 1 - e) / e`      :math:`\min(e, 1-e)/(1-e)`    those whom a one-to-one match would keep
ate        :math:`1 / e`                   :math:`1 / (1 - e)`           everybody
entropy    :math:`1`                       :math:`\exp(\lambda' z)`      the treated
=========  ==============================  ============================  ==================================================

The treated's weights are scaled to sum to their number, and within each exact stratum the controls' to sum to the treated's.

References
----------
Hainmueller (2012). Entropy balancing for causal effects. Political Analysis 20(1), 25-46.
Hirano, Imbens & Ridder (2003). Efficient estimation of average treatment effects using the estimated propensity score. Econometrica 71(4), 1161-1189.
Li & Greene (2013). A weighting analogue to pair matching in propensity score analysis. International Journal of Biostatistics 9(2), 215-234.
Li, Morgan & Zaslavsky (2018). Balancing covariates via propensity score weighting. JASA 113(521), 390-400.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import expit

from evaluation.design.cohort import Bools, Cohort, Floats, Rows, strata_of
from evaluation.design.comparison import Comparison, WeightModel, comparison_of, effective_number, warn_of_unmatched
from evaluation.design.entropy import balance_moments
from evaluation.design.propensity import PropensityScores, refuse_other_scores
from evaluation.errors import InputError, NobodyMatchedError, Problem

_RANGES = ((0.1, 0.9), (0.05, 0.95), (0.01, 0.99), (0.0, 1.0))  # ranges of scores to propose, from the usual one (Crump et al. 2009) to all
HEAVIEST = 100  # one person in so many: those whose share of the weight is told


class WeightingSpec(BaseModel):
    """How the weights are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["att", "overlap", "matching", "ate", "entropy"] = "att"
    exact: tuple[str, ...] = Field(default=(), description="columns within whose combinations the controls' weights sum to the treated's")
    trim: tuple[float, float] | None = Field(default=None, description="smallest and largest score that is kept; None: everybody")
    cap: float | None = Field(default=None, gt=1, description="largest weight, as a multiple of the mean of its arm (of controls: in their stratum)")
    moments: Literal[1, 2, 3] = Field(default=1, description="of entropy balancing: means only, squares too, cubes too (of numbers)")
    covariates: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="columns that entropy balancing balances; None: all covariates"
    )

    @model_validator(mode="after")
    def _consistent(self) -> WeightingSpec:
        if self.trim is not None and not 0 <= self.trim[0] < self.trim[1] <= 1:
            raise ValueError("trim must be two scores between 0 and 1, the smaller first")
        if self.method == "entropy" and self.cap is not None:
            raise ValueError("cap would undo the balance that method = 'entropy' makes; ask for fewer moments or covariates instead")
        if self.method != "entropy" and (self.moments > 1 or self.covariates is not None):
            raise ValueError("moments and covariates belong to method = 'entropy'; the others balance what the participation model holds")
        return self


def weight_cohort(cohort: Cohort, scores: PropensityScores | None, spec: WeightingSpec | None = None) -> Comparison:
    r"""Weight the two groups so that they are alike, every person a set of their own.

    Parameters
    ----------
    cohort : Cohort, n rows
    scores : PropensityScores, shape (n,), or None
        None for entropy balancing without `trim`.
    spec : WeightingSpec, optional

    Returns
    -------
    Comparison
        Its `weight_model` takes into every standard error that the weights were estimated. Scores from a table or from trees are taken as given,
        and so are who is trimmed and how high the cap is.

    Raises
    ------
    NobodyMatchedError
        If the trimming and the exact strata leave one side empty; says which range of scores would not.
    DesignError
        If no weights give the controls the treated's moments; says which moments stand in the way.
    InputError
        If `exact` or `covariates` name a column the cohort lacks, or scores are needed and absent or of other people.

    Warns
    -----
    UnmatchedWarning
        If treated were trimmed or have no control in their stratum: the estimand is then the effect on the others.

    Notes
    -----
    With :math:`u` the weights of the module's table, :math:`w_i = u_i n_1 / \sum_{treated} u` for the treated, :math:`n_1` their number, and
    :math:`w_j = u_j \sum_{treated\ in\ s} w / \sum_{controls\ in\ s} u` for the controls of stratum s. With trials the trial is always a stratum.
    """
    spec = spec or WeightingSpec()
    _refuse_scores(cohort, scores, spec)
    stratum, _ = cohort.codes(strata_of(cohort, spec.exact))
    kept = _kept(cohort, scores, stratum, spec)
    if spec.method == "entropy" or scores is None:
        balanced = balance_moments(cohort, cohort.order[kept[cohort.order]], stratum, covariates=spec.covariates, moments=spec.moments)
        weights = _scaled(cohort, np.where(cohort.treated, 1.0, balanced.odds), stratum, kept)
        slope, residual = (~cohort.treated).astype(np.float64), np.where(cohort.treated, kept, -weights)
        columns, inverse_information = balanced.columns, balanced.inverse_information
    else:
        unscaled, slope = _from_scores(spec.method, scores.logit, cohort.treated)
        if spec.cap is not None:
            height = _height(unscaled, np.where(cohort.treated, 0, stratum + 1), kept, spec.cap)
            unscaled, slope = np.minimum(unscaled, height), np.where(unscaled < height, slope, 0.0)
        weights = _scaled(cohort, unscaled, stratum, kept)
        if scores.model is None:
            columns, inverse_information, residual = np.empty((len(cohort), 0)), np.empty((0, 0)), np.zeros(len(cohort))
        else:
            columns, inverse_information, residual = scores.model.columns, scores.model.inverse_information, cohort.treated - scores.score
    model = _weight_model(cohort, weights, stratum, columns, slope, residual, inverse_information)
    rows = np.flatnonzero(weights)
    comparison = comparison_of(cohort, rows, np.arange(len(rows), dtype=np.intp), given=weights[rows], spec=spec, weight_model=model)
    warn_of_unmatched(comparison, cohort, "Widen the range of scores or merge exact strata to keep more")
    return comparison


def weight_report(comparison: Comparison) -> pd.DataFrame:
    r"""Say how the weight is spread over the people of either arm.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    DataFrame
        One row per arm: arm, n (people), sum, effective (Kish's number), largest, largest_share (of the arm's weight), variation (coefficient of
        variation, :math:`\sqrt{n / n_{effective} - 1}`), heaviest_share (of the weight, on the heaviest hundredth of the people, at least one).
        In a stack a person's weights in all trials are taken together.
    """
    rows = []
    for arm in ("treated", "control"):
        weight = np.sort(comparison.person_weights(treated=arm == "treated"))[::-1]
        total, effective = float(weight.sum()), effective_number(weight)
        heaviest = float(weight[: -(-len(weight) // HEAVIEST)].sum()) / total
        variation = float(weight.std() / weight.mean())
        rows.append((arm, len(weight), total, effective, float(weight[0]), float(weight[0]) / total, variation, heaviest))
    return pd.DataFrame(rows, columns=["arm", "n", "sum", "effective", "largest", "largest_share", "variation", "heaviest_share"])


def _refuse_scores(cohort: Cohort, scores: PropensityScores | None, spec: WeightingSpec) -> None:
    if scores is not None:
        refuse_other_scores(cohort, scores)
    if scores is None and (spec.method != "entropy" or spec.trim is not None):
        needed = "trim" if spec.method == "entropy" else f"method = '{spec.method}'"
        raise InputError([Problem("scores", f"are needed by {needed}", "estimate them, or ask for method = 'entropy' without trim")])


def _kept(cohort: Cohort, scores: PropensityScores | None, stratum: Rows, spec: WeightingSpec) -> Bools:
    """Say who is inside the range of scores and has somebody of the other side in their stratum; shape (n,)."""

    def within(low: float, high: float) -> Bools:
        inside = np.ones(len(cohort), dtype=bool) if scores is None else (scores.score >= low) & (scores.score <= high)
        count = int(stratum.max()) + 1
        one, other = (np.bincount(stratum[inside & (cohort.treated == side)], minlength=count) > 0 for side in (True, False))
        return np.asarray(inside & (one & other)[stratum], dtype=bool)

    low, high = spec.trim or (0.0, 1.0)
    kept = within(low, high)
    if kept.any():
        return kept
    shared = " in the same exact stratum" if spec.exact or cohort.trial else ""
    for wider in _RANGES:
        others = within(*wider)
        if others.any():
            raise NobodyMatchedError(
                f"weighting: nobody with a score from {low:g} to {high:g} has somebody of the other side{shared}; "
                f"trim = {wider} would keep {int(others[cohort.treated].sum())} treated and {int(others[~cohort.treated].sum())} controls"
            )
    raise NobodyMatchedError(f"weighting: no treated has a control{shared} ({', '.join(spec.exact)}); use fewer or coarser columns in exact")


def _from_scores(method: str, logit: Floats, treated: Bools) -> tuple[Floats, Floats]:
    """Give each row's weight before scaling, and the derivative of its logarithm by the logit; shapes (n,)."""
    score, rest = expit(logit), expit(-logit)
    if method == "overlap":
        return np.where(treated, rest, score), np.where(treated, -score, rest)
    if method == "ate":
        return np.where(treated, 1 / score, 1 / rest), np.where(treated, -rest, score)
    odds = np.exp(logit)
    if method == "att":
        return np.where(treated, 1.0, odds), np.where(treated, 0.0, 1.0)
    return np.minimum(1.0, np.where(treated, 1 / odds, odds)), np.where(treated, -1.0 * (logit > 0), 1.0 * (logit < 0))


def _height(unscaled: Floats, arm: Rows, kept: Bools, cap: float) -> Floats:
    """Give the height at which each arm's weights are cut so that the largest left is `cap` times their mean; shape (n,), infinite for no cut.

    With the k largest of m weights cut and the others summing to S, that height is cap S / (m - cap k); as few are cut as can be.
    """
    rows = np.flatnonzero(kept)
    rows = rows[np.lexsort((unscaled[rows], arm[rows]))]
    weight, code = unscaled[rows], np.unique(arm[rows], return_inverse=True)[1]
    count = np.bincount(code)
    first = np.cumsum(count) - count
    running = np.cumsum(weight)
    upto = running - (running[first] - weight[first])[code]
    room = count[code] - cap * ((first + count)[code] - 1 - np.arange(len(rows)))
    enough = (room > 0) & (weight * room <= cap * upto)
    height = np.full(len(count), np.inf)
    height[code[enough]] = cap * upto[enough] / room[enough]  # the last of an arm's, with the fewest above it, stays
    found = np.full(len(unscaled), np.inf)
    found[rows] = height[code]
    return found


def _scaled(cohort: Cohort, unscaled: Floats, stratum: Rows, kept: Bools) -> Floats:
    """Scale the treated to their number and the controls of each stratum to its treated's sum; 0 for who is not kept."""
    rows = cohort.order[kept[cohort.order]]
    one, other = rows[cohort.treated[rows]], rows[~cohort.treated[rows]]
    weights = np.zeros(len(cohort))
    weights[one] = unscaled[one] * (len(one) / unscaled[one].sum())
    count = int(stratum.max()) + 1
    target, total = np.bincount(stratum[one], weights[one], minlength=count), np.bincount(stratum[other], unscaled[other], minlength=count)
    weights[other] = unscaled[other] * np.divide(target, total, out=np.zeros(count), where=total > 0)[stratum[other]]
    return weights


def _weight_model(
    cohort: Cohort, weights: Floats, stratum: Rows, columns: Floats, slope: Floats, residual: Floats, inverse_information: Floats
) -> WeightModel:
    """Keep what the variance needs of arrays over all n rows: of the compared, and of who moved the model without being compared."""
    by_hash = np.argsort(cohort.tiebreak, kind="stable")
    compared = by_hash[weights[by_hash] > 0]
    rows = np.concatenate([compared, by_hash[(weights[by_hash] == 0) & (residual[by_hash] != 0)]])
    code = np.unique(stratum[compared], return_inverse=True)[1]
    return WeightModel(rows, np.ascontiguousarray(columns[rows]), slope[compared], residual[rows], inverse_information, code)
