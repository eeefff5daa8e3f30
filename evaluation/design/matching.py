"""Who stands for whom: each participant beside the most similar people of the control pool.

Greedy nearest neighbour on the logit of the propensity score (nearest.py), or a match made elsewhere; either way one result, with the weights that
make the controls stand for the treated.

References
----------
Austin (2011). Optimal caliper widths for propensity-score matching. Pharmaceutical Statistics 10(2), 150-161.
Stuart (2010). Matching methods for causal inference. Statistical Science 25(1), 1-21 (weights).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluation.design.cohort import Bools, Cohort, Floats, Rows
from evaluation.design.nearest import Order, nearest_pairs
from evaluation.design.propensity import PropensityScores
from evaluation.errors import InputError, NobodyMatchedError, Problem, UnmatchedWarning


class MatchingSpec(BaseModel):
    """How participants and controls are brought together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["nearest"] = "nearest"
    distance: Literal["logit", "score"] = Field(default="logit", description="the scale on which people are near")
    ratio: int = Field(default=1, ge=1, description="controls sought per treated; everyone gets a first before anyone gets a second")
    caliper_sd: float | None = Field(default=0.2, gt=0, description="largest distance, in standard deviations of the scale over the whole cohort")
    exact: tuple[str, ...] = Field(default=(), description="columns on which a match must agree")
    order: Order = "closest"
    replace: bool = Field(default=False, description="a control may stand for several treated")
    max_reuse: int | None = Field(
        default=None,
        ge=1,
        description="how many treated one control may stand for (in a stack: within a trial), where replace is true; None: no limit",
    )
    max_trials: int | None = Field(
        default=None, ge=1, description="in how many trials of a stack one person may be a control; trials choose in their order; None: no limit"
    )
    seed: int | None = Field(default=None, description="needed by order = 'random'")

    @model_validator(mode="after")
    def _consistent(self) -> MatchingSpec:
        if self.order == "random" and self.seed is None:
            raise ValueError("order = 'random' needs a seed, so that the match can be made again")
        if self.max_reuse is not None and not self.replace:
            raise ValueError("max_reuse needs replace = true")
        return self


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
    spec : MatchingSpec or None
        None where the sets were made elsewhere.
    rows : ndarray of int, shape (u,)
        Cohort rows with a weight, in the order of their hash: the order of every influence function. They are the compared people, or in a stack the
        compared people-in-trials.
    attrition : DataFrame
        The cohort's steps and this one: step, treated, control.
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
    spec: MatchingSpec | None
    rows: Rows
    attrition: pd.DataFrame

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
        return len(np.unique(self.person_code[self.rows[~self.treated[self.rows]]]))

    @property
    def effective_control(self) -> float:
        """Kish's effective number of controls, (sum of weights)^2 / sum of squared weights, a person's weights in all trials taken together."""
        control = self.rows[~self.treated[self.rows]]
        weights = np.bincount(pd.factorize(self.person_code[control])[0], self.weights[control])  # in the order of `rows`, which no shuffling moves
        return float(weights.sum() ** 2 / (weights**2).sum())

    def to_frame(self) -> pd.DataFrame:
        """Give the memberships as a table: person, set, role, weight."""
        return self.sets.copy()


def match_cohort(cohort: Cohort, scores: PropensityScores, spec: MatchingSpec | None = None) -> Comparison:
    """Pair each treated person with the nearest free controls.

    Parameters
    ----------
    cohort : Cohort, n people
    scores : PropensityScores, shape (n,)
    spec : MatchingSpec, optional

    Returns
    -------
    Comparison

    Raises
    ------
    NobodyMatchedError
        If the caliper and the exact strata leave no pair; says how many treated have a control in their stratum.
    InputError
        If `exact` names a column the cohort lacks.

    Warns
    -----
    UnmatchedWarning
        If some treated found no control: the estimand is then the effect on those who did.
    """
    spec = spec or MatchingSpec()
    if len(scores.logit) != len(cohort):
        raise InputError([Problem("scores", f"are of {len(scores.logit)} people, the cohort has {len(cohort)}", "estimate them on this cohort")])
    position = scores.logit if spec.distance == "logit" else scores.score
    spread = scores.sd_logit if spec.distance == "logit" else scores.sd_score
    caliper = None if spec.caliper_sd is None else spec.caliper_sd * spread
    stratum, _ = cohort.codes(list(dict.fromkeys([*([cohort.trial] if cohort.trial else []), *spec.exact])))
    treated_rows, control_rows = _pairs(cohort, position, stratum, spec, caliper)
    if len(treated_rows) == 0:
        raise NobodyMatchedError(_why_nobody(stratum, cohort.treated, spec, caliper))
    matched = np.unique(treated_rows)
    members, sets = np.concatenate([matched, control_rows]), np.concatenate([matched, treated_rows])
    comparison = _comparison(cohort, members, sets, None, spec, caliper)
    _warn_of_unmatched(comparison, cohort)
    return comparison


def _pairs(cohort: Cohort, position: Floats, stratum: Rows, spec: MatchingSpec, caliper: float | None) -> tuple[Rows, Rows]:
    """Match all rows at once, or trial by trial where a trial must know who is used up."""
    found: list[tuple[Rows, Rows]] = []
    times_used = np.zeros(int(cohort.person_code.max()) + 1, dtype=np.intp)
    for rows in _batches(cohort, spec):
        free = rows if spec.max_trials is None else rows[cohort.treated[rows] | (times_used[cohort.person_code[rows]] < spec.max_trials)]
        if cohort.treated[free].all() or not cohort.treated[free].any():
            continue
        capacity = spec.max_reuse if spec.replace else 1
        pairs = nearest_pairs(cohort, free, position, stratum, ratio=spec.ratio, capacity=capacity, caliper=caliper, order=spec.order, seed=spec.seed)
        times_used[cohort.person_code[np.unique(pairs[1])]] += 1
        found.append(pairs)
    nobody = np.zeros(0, dtype=np.intp)
    return np.concatenate([nobody, *(treated for treated, _ in found)]), np.concatenate([nobody, *(control for _, control in found)])


def _batches(cohort: Cohort, spec: MatchingSpec) -> list[Rows]:
    everyone = np.arange(len(cohort), dtype=np.intp)
    if cohort.trial is None or spec.max_trials is None:
        return [everyone]
    code, levels = cohort.codes([cohort.trial])
    order = np.argsort(code, kind="stable")
    return np.split(everyone[order], np.searchsorted(code[order], np.arange(1, len(levels))))


def comparison_from_sets(cohort: Cohort, sets: pd.DataFrame, weights: str | None = None) -> Comparison:
    """Take a match that was made elsewhere, for example in R's MatchIt.

    Parameters
    ----------
    cohort : Cohort, n people
    sets : DataFrame, shape (k, 2 or more)
        Columns `person` and `set`, one row per membership, and in a stack the column that says the trial. A person may be in several sets; a set
        holds at least one treated and one control.
    weights : str, optional
        Column of `sets` with each membership's weight. Without it the treated weigh 1 and the controls of a set share the number of its treated.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        With every problem at once: missing column, unknown person, a person twice in one set, a set without treated or without control,
        weights that are missing or not above 0.
    """
    key = ["person", *([cohort.trial] if cohort.trial else [])]
    absent = [name for name in [*key, "set", *([weights] if weights else [])] if name not in sets.columns]
    if absent or sets.empty:
        problems = [Problem.absent(name, sets.columns, "the table of sets") for name in absent]
        raise InputError(problems or [Problem("the sets", "have no rows", "give one row per person and set")], "the match cannot be used")
    row = _rows_of(cohort, sets[key])
    set_of = pd.factorize(sets["set"])[0]
    known = (row >= 0) & (set_of >= 0)
    one, other = known & cohort.treated[row], known & ~cohort.treated[row]
    count = int(set_of.max()) + 1
    lonely = (np.bincount(set_of[one], minlength=count) == 0) | (np.bincount(set_of[other], minlength=count) == 0)
    given = pd.to_numeric(sets[weights], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan) if weights else None
    rules = [
        ("person", "must be a person of the cohort", row < 0, "compare the ids' type and spelling in the two tables"),
        ("set", "must not be missing", set_of < 0, "leave out people without a set"),
        ("set", "must hold at least one treated and one control", known & np.append(lonely, False)[set_of], "leave out the sets that do not"),
        (
            "person",
            "must be in a set once",
            known & pd.MultiIndex.from_arrays([cohort.person_code[row], set_of]).duplicated(),
            "leave out the repeated rows",
        ),
    ]
    if given is not None:
        rules.append((str(weights), "must be a number above 0", ~((given > 0) & np.isfinite(given)), "leave out people without weight"))
    problems = Problem.broken(rules)
    if problems:
        raise InputError(problems, "the match cannot be used")
    comparison = _comparison(cohort, row, set_of, given, None, None)
    _warn_of_unmatched(comparison, cohort)
    return comparison


def _rows_of(cohort: Cohort, key: pd.DataFrame) -> Rows:
    """Find the cohort rows of people, or of people in trials; -1 for who is not there."""
    if cohort.trial is None:
        return np.asarray(cohort.person.get_indexer(pd.Index(key["person"])), dtype=np.intp)
    known = pd.MultiIndex.from_arrays([cohort.person, cohort.column(cohort.trial).astype(str)])
    return np.asarray(known.get_indexer(pd.MultiIndex.from_arrays([key["person"], key[cohort.trial].astype(str)])), dtype=np.intp)


def _comparison(cohort: Cohort, row: Rows, set_of: Rows, given: Floats | None, spec: MatchingSpec | None, caliper: float | None) -> Comparison:
    """Number the sets by their first treated person's hash, sort the members, weigh them, count who is left out."""
    side = cohort.treated[row]
    first = np.lexsort((cohort.tiebreak[row], ~side, set_of))
    heads = first[np.unique(set_of[first], return_index=True)[1]]
    number = np.empty(int(set_of.max()) + 1, dtype=np.intp)
    number[set_of[heads[np.argsort(cohort.tiebreak[row[heads]], kind="stable")]]] = np.arange(len(heads))
    code = number[set_of]
    order = np.lexsort((cohort.tiebreak[row], ~side, code))
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
    used, person = cohort.treated[rows], cohort.person_code[rows]
    step = pd.DataFrame({"step": ["compared"], "treated": [len(np.unique(person[used]))], "control": [len(np.unique(person[~used]))]})
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
        attrition=pd.concat([cohort.attrition, step.astype(cohort.attrition.dtypes)], ignore_index=True),
    )


def _warn_of_unmatched(comparison: Comparison, cohort: Cohort) -> None:
    lost = int(comparison.unmatched.sum())
    if lost:
        warnings.warn(
            f"{lost} of {cohort.n_treated} treated found no control; the estimand is the effect on the {cohort.n_treated - lost} who did. "
            "Widen the caliper or merge exact strata to keep more; Comparison.unmatched says who they are",
            UnmatchedWarning,
            stacklevel=3,
        )


def _why_nobody(stratum: Rows, treated: Bools, spec: MatchingSpec, caliper: float | None) -> str:
    shared = np.isin(stratum[treated], stratum[~treated])
    if not shared.any():
        return (
            f"matching: no treated person shares a stratum of ({', '.join(spec.exact)}) with any control; match exactly on fewer or coarser columns"
        )
    return (
        f"matching: nobody has a control within the caliper of {spec.caliper_sd} SD ({caliper:.4g} on the {spec.distance} scale); "
        f"{int(shared.sum())} of {int(treated.sum())} treated have controls in their stratum, none so near; widen the caliper or check the overlap"
    )
