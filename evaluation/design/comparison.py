"""Who is compared with whom, and with what weight: the one result of every way to build a comparison.

A match is its sets; weights alone are people each in a set of their own. What comes after, balance, verdict and effects, looks at nothing else.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.design.cohort import Bools, Cohort, Floats, Rows, attrition_after, count_people
from evaluation.errors import UnmatchedWarning
from evaluation.showing import html_of, text_of

if TYPE_CHECKING:
    from evaluation.design.designs import AnyDesign


@dataclass(frozen=True, eq=False)
class WeightModel:
    r"""How the weights hang on coefficients that were estimated from the same people.

    A weight that comes from a model is itself uncertain. With :math:`\eta_i = x_i'\beta` the model's linear predictor, :math:`\hat\beta` moves by
    :math:`V x_i r_i` when row i weighs a little more, and the logarithm of k's weight moves by :math:`a_k x_k` with :math:`\beta`. That is before
    scaling: the treated are scaled to their number, and in every stratum the controls to the treated's sum, so that these sums move too.

    Attributes
    ----------
    rows : ndarray of int, shape (v,)
        The cohort rows that had a part in the weights: first the u compared, as `Comparison.rows` has them, then those left without weight.
    columns : ndarray of float, shape (v, q)
        The model's columns :math:`x`; q is 0 where the scores were given.
    slope : ndarray of float, shape (u,)
        :math:`a`, the derivative of the logarithm of the unscaled weight by the linear predictor; 0 where the weight does not move.
    residual : ndarray of float, shape (v,)
        :math:`r`, each row's residual in the estimating equation :math:`\sum_i x_i r_i = 0`.
    inverse_information : ndarray of float, shape (q, q)
        :math:`V`.
    stratum : ndarray of int, shape (u,)
        The stratum in which the controls are scaled to the treated's sum, numbered from 0.
    """

    rows: Rows
    columns: Floats
    slope: Floats
    residual: Floats
    inverse_information: Floats
    stratum: Rows


@dataclass(frozen=True, eq=False)
class Comparison:
    """Who is compared with whom, and with what weight.

    Attributes
    ----------
    person : Index, shape (n,)
        The cohort's ids.
    person_code : ndarray of int, shape (n,)
        The person of each row, numbered: a person has several rows in a stack of trials.
    treated : ndarray of bool, shape (n,)
    weights : ndarray of float, shape (n,)
        1 for each matched treated, for a control the sum over its sets of 1 / (controls in the set), 0 for everybody else. Over the controls
        they sum to the number of matched treated.
    member_row, member_set : ndarray of int, shape (k,)
        Each membership of a person (cohort row) in a set; sets are numbered from 0 in the order of their treated person's hash.
    member_weight : ndarray of float, shape (k,)
    unmatched : ndarray of bool, shape (n,)
        Treated who found no control.
    caliper : float or None
        Largest distance allowed, on the scale of `spec.distance`.
    spec : MatchingSpec, WeightingSpec, another method's, or None
        None where the sets were made elsewhere.
    rows : ndarray of int, shape (u,)
        Cohort rows with a weight, in the order of their hash: the order of every influence function. They are the compared people, or in a stack the
        compared people-in-trials.
    attrition : DataFrame
        The cohort's steps and this one: step, treated, control.
    weight_model : WeightModel or None
        What the weights were estimated by, where that adds to the variance of every effect.
    """

    person: pd.Index
    person_code: Rows
    treated: Bools
    weights: Floats
    member_row: Rows
    member_set: Rows
    member_weight: Floats
    unmatched: Bools
    caliper: float | None
    spec: AnyDesign | None
    rows: Rows
    attrition: pd.DataFrame
    weight_model: WeightModel | None = None

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def __post_init__(self) -> None:
        for array in (self.weights, self.member_row, self.member_set, self.member_weight, self.unmatched, self.rows):
            array.setflags(write=False)

    @cached_property
    def sets(self) -> pd.DataFrame:
        """One row per membership: person, set, role, weight; sets in order, the treated person first."""
        role = np.where(self.treated[self.member_row], "treated", "control")
        return pd.DataFrame({"person": self.person[self.member_row], "set": self.member_set, "role": role, "weight": self.member_weight})

    @property
    def n_sets(self) -> int:
        """Number of matched sets."""
        return int(self.member_set.max()) + 1

    @property
    def n_treated(self) -> int:
        """Number of treated with a match."""
        return int(self.treated[self.rows].sum())

    @property
    def n_control(self) -> int:
        """Number of different people used as controls."""
        return count_people(self.person_code[self.rows[~self.treated[self.rows]]])

    @property
    def effective_control(self) -> float:
        """Kish's effective number of controls, (sum of weights)^2 / sum of squared weights, a person's weights in all trials taken together."""
        return effective_number(self.person_weights(treated=False))

    @property
    def effective_treated(self) -> float:
        """Kish's effective number of treated: their number, where each weighs the same."""
        return effective_number(self.person_weights(treated=True))

    def person_weights(self, *, treated: bool) -> Floats:
        """Give the weight of each person of an arm, in all trials taken together, in the order of `rows`, which no shuffling moves."""
        arm = self.rows[self.treated[self.rows] == treated]
        return np.asarray(np.bincount(pd.factorize(self.person_code[arm])[0], self.weights[arm]), dtype=np.float64)

    def to_frame(self) -> pd.DataFrame:
        """Give the memberships as a table: person, set, role, weight."""
        return self.sets.copy()


def effective_number(weights: Floats) -> float:
    """Give Kish's effective number: how many equal weights would be as informative as these."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def comparison_of(
    cohort: Cohort,
    row: Rows,
    set_of: Rows,
    given: Floats | None = None,
    spec: AnyDesign | None = None,
    caliper: float | None = None,
    weight_model: WeightModel | None = None,
) -> Comparison:
    """Number the sets by their first person's hash, the treated first, sort the members, weigh them, count who is left out.

    Parameters
    ----------
    cohort : Cohort, n rows
    row, set_of : ndarray of int, shape (k,)
        The cohort row and the set of each membership; sets are any whole numbers from 0 on.
    given : ndarray of float, shape (k,), optional
        Weight of each membership. Without it the treated weigh 1 and the controls of a set share the number of its treated.
    spec, caliper, weight_model
        As `Comparison` has them.

    Returns
    -------
    Comparison
    """
    side = cohort.treated[row]
    by_name = np.argsort(cohort.tiebreak[row], kind="stable")
    first = by_name[np.argsort((2 * set_of + ~side)[by_name], kind="stable")]
    heads = first[np.flatnonzero(np.diff(set_of[first], prepend=-1))]
    number = np.empty(int(set_of.max()) + 1, dtype=np.intp)
    number[set_of[heads[np.argsort(cohort.tiebreak[row[heads]], kind="stable")]]] = np.arange(len(heads))
    code = number[set_of]
    order = first[np.argsort(code[first], kind="stable")]
    row, code, side = row[order], code[order], side[order]
    if given is None:
        treated_in_set, control_in_set = np.bincount(code, side), np.bincount(code, ~side)
        weight = np.where(side, 1.0, treated_in_set[code] / control_in_set[code])
    else:
        weight = given[order]
    weights = np.asarray(np.bincount(row, weight, minlength=len(cohort)), dtype=np.float64)
    rows = np.flatnonzero(weights)
    rows = rows[np.argsort(cohort.tiebreak[rows], kind="stable")]
    unmatched = cohort.treated & (weights == 0)
    return Comparison(
        person=cohort.person,
        person_code=cohort.person_code,
        treated=cohort.treated,
        weights=weights,
        member_row=row,
        member_set=code,
        member_weight=weight,
        unmatched=unmatched,
        caliper=caliper,
        spec=spec,
        rows=rows,
        attrition=attrition_after(cohort, "compared", rows),
        weight_model=weight_model,
    )


def pair_sets(treated: Rows, control: Rows) -> tuple[Rows, Rows]:
    """Give the memberships, row and set, of pairs: a set for each treated, with all its controls."""
    heads = np.flatnonzero(np.bincount(treated))
    return np.concatenate([heads, control]), np.concatenate([heads, treated])


def warn_of_unmatched(comparison: Comparison, cohort: Cohort, advice: str = "Widen the caliper or merge exact strata to keep more") -> None:
    """Say that some treated stand outside the comparison, and what it then is an effect on; to be called by the public function itself."""
    lost = int(comparison.unmatched.sum())
    if lost:
        warnings.warn(
            f"{lost} of {cohort.n_treated} treated found no control; the estimand is the effect on the {cohort.n_treated - lost} who did. "
            f"{advice}; Comparison.unmatched says who they are",
            UnmatchedWarning,
            stacklevel=3,
        )
