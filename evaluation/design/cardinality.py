"""Which are the most people whose covariates are as alike as was asked? Balance is demanded, and the size of the comparison is what comes out.

No score and no pairs. An integer programme (integer_programme.py) chooses people so that the means of every covariate lie within a tolerance, shares
of levels within the same or exactly equal, and no feasible choice is larger.

References
----------
Zubizarreta, Paredes & Rosenbaum (2014). Matching for balance, pairing for heterogeneity in an observational study of the effectiveness of for-profit
and not-for-profit high schools in Chile. Annals of Applied Statistics 8(1), 204-231.
Visconti & Zubizarreta (2018). Handling limited overlap in observational studies with cardinality matching. Observational Studies 4(1), 217-249.
Cohn & Zubizarreta (2022). Profile matching for the generalization and personalization of causal inferences. Epidemiology 33(5), 678-688.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from evaluation.design.cohort import Cohort, Floats, Rows, strata_of
from evaluation.design.columns import level_columns
from evaluation.design.comparison import Comparison, comparison_of, warn_of_unmatched
from evaluation.design.distances import standard_deviation
from evaluation.design.integer_programme import Programme, largest_choice, smallest_widening, stacked
from evaluation.errors import DesignError, InputError, NobodyMatchedError, Problem

_STEPS = 1000  # a tolerance or a gap that would do is told in thousandths
_MOST_WIDENINGS = 12  # each doubles what is added to the tolerance that fractions of people would meet
Tolerance = Annotated[float, Field(ge=0)]


class CardinalitySpec(BaseModel):
    """How alike the two groups must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["cardinality"] = "cardinality"
    covariates: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="covariates to be balanced; None: all of the cohort"
    )
    tolerance_sd: Tolerance = Field(
        default=0.05, description="largest difference of means, and of each level's share, in standard deviations among all treated"
    )
    tolerances_sd: dict[str, Tolerance] = Field(default={}, description="by covariate, where it is another")
    ratio: int | None = Field(
        default=None, ge=1, description="controls per treated, both chosen; None: all treated are kept, only controls are chosen"
    )
    exact: tuple[str, ...] = Field(
        default=(), description="columns in whose strata the numbers must agree; without a ratio, in whose strata the means must"
    )
    fine: tuple[str, ...] = Field(
        default=(), description="columns whose levels must be equally common in both groups (in both groups of every exact stratum, without a ratio)"
    )
    gap: float = Field(default=0.001, ge=0, lt=1, description="how far, as a share, the comparison may be from the largest possible")


@dataclass(frozen=True, eq=False)
class _Column:
    """What is balanced: a number or the 0/1 of a level, shape (n,), its spread among all treated and its tolerance in that unit."""

    values: Floats
    spread: float
    tolerance: float


def match_for_balance(cohort: Cohort, spec: CardinalitySpec | None = None) -> Comparison:
    r"""Choose the largest comparison in which every covariate is balanced within its tolerance.

    Parameters
    ----------
    cohort : Cohort, n people
        In a stack the trial is one of the exact columns.
    spec : CardinalitySpec, optional
        Without a ratio all treated are kept, and the largest set of controls is chosen in every exact stratum by itself, with means like those of
        the stratum's treated (in MatchIt, too, an exact stratum is a problem of its own). With ratio k the largest number of treated is chosen, with
        k controls for each in every exact stratum; means agree over all strata together.

    Returns
    -------
    Comparison
        Each person a set of its own. Treated weigh 1, controls (treated) / (controls) of their stratum.

    Raises
    ------
    NobodyMatchedError
        If no choice is balanced; says the smallest tolerance at which one is, and how many it keeps.
    DesignError
        If the solver cannot prove that no choice is larger by more than the gap.
    InputError
        If the cohort lacks a column, or a tolerance is given of none that is balanced.

    Warns
    -----
    UnmatchedWarning
        If a treated person is not chosen, or no control is in its exact stratum.

    Notes
    -----
    With :math:`z_j \in \{0, 1\}`, covariates :math:`x_{jp}`, the treated's means :math:`\bar x_{1p}` and standard deviations :math:`s_p`:
    maximise :math:`\sum_j z_j` over the controls subject to :math:`|\sum_j z_j (x_{jp} - \bar x_{1p})| \le \delta_p s_p \sum_j z_j`. With ratio k:
    maximise :math:`\sum_i t_i` subject to :math:`|k \sum_i t_i x_{ip} - \sum_j z_j x_{jp}| \le \delta_p s_p k \sum_i t_i` and
    :math:`k \sum_{i \in s} t_i = \sum_{j \in s} z_j` in each stratum s. People with one profile are one whole number; who of them is taken is
    decided by the hash of the id. The solver keeps to its constraints within 1e-6 of one person's contribution.
    """
    spec = spec or CardinalitySpec()
    columns = _columns(cohort, spec)
    stratum, levels = cohort.codes(strata_of(cohort, spec.exact))
    both = (np.bincount(stratum[cohort.treated], minlength=len(levels)) > 0) & (np.bincount(stratum[~cohort.treated], minlength=len(levels)) > 0)
    if not both.any():
        raise NobodyMatchedError(
            f"cardinality: no treated person shares a stratum of ({', '.join(levels.columns)}) with any control; use fewer or coarser columns"
        )
    fine = [cohort.codes([name])[0] for name in spec.fine]
    inside = np.flatnonzero(both[stratum])
    parts = [inside] if spec.ratio else _split(inside, stratum)
    rows = np.concatenate(_solved(cohort, spec, columns, stratum, fine, parts))
    side, code = cohort.treated[rows], stratum[rows]
    share = np.bincount(code[side], minlength=len(levels)) / np.maximum(np.bincount(code[~side], minlength=len(levels)), 1)
    comparison = comparison_of(cohort, rows, np.arange(len(rows)), np.where(side, 1.0, share[code]), spec=spec)
    warn_of_unmatched(comparison, cohort, "Widen the tolerance, ask for fewer controls each or merge exact strata to keep more")
    return comparison


def _columns(cohort: Cohort, spec: CardinalitySpec) -> list[_Column]:
    """Give every number and every level of a category that is to be balanced."""
    names = list(map(str, cohort.covariates.columns)) if spec.covariates is None else list(dict.fromkeys(spec.covariates))
    unknown = [Problem.unknown(name, "has a tolerance, and is none of the covariates that are balanced", name, names) for name in spec.tolerances_sd]
    if problems := [problem for problem in unknown if problem.where not in names]:
        raise InputError(problems, "the covariates cannot be balanced")
    treated = cohort.order[cohort.treated[cohort.order]]
    found = []
    for name in names:
        for _, values in level_columns(cohort.column(name)):
            spread = standard_deviation(values[treated], binary=bool(((values == 0) | (values == 1)).all()))
            found.append(_Column(values, 0.0 if math.isnan(spread) else spread, spec.tolerances_sd.get(name, spec.tolerance_sd)))
    return found


def _split(rows: Rows, stratum: Rows) -> list[Rows]:
    order = np.argsort(stratum[rows], kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(stratum[rows[order]])) + 1)


def _solved(cohort: Cohort, spec: CardinalitySpec, columns: list[_Column], stratum: Rows, fine: list[Rows], parts: list[Rows]) -> list[Rows]:
    """Give the rows chosen in each part, or say what would be feasible."""
    programmes, chosen, infeasible = [], [], []
    for rows in parts:
        people, profile, programme = _programme(cohort, spec, columns, stratum, fine, rows)
        programmes.append(programme)
        choice = largest_choice(programme, spec.gap)
        if not choice.proven:
            raise DesignError(_why_unproven(spec, choice.size, choice.bound))
        if choice.counts is None:
            infeasible.append(len(programmes) - 1)
            continue
        rank = np.arange(len(profile)) - np.searchsorted(profile, profile)
        taken = people[rank < choice.counts[profile]]
        chosen.append(taken if spec.ratio else np.concatenate([rows[cohort.treated[rows]], taken]))
    if infeasible:
        strata = f" in {len(infeasible)} of {len(parts)} strata" if len(parts) > 1 else ""
        raise NobodyMatchedError(f"cardinality: no choice is within {_asked(spec)}{strata}; {_what_would_do(programmes, infeasible, spec)}")
    return chosen


def _programme(
    cohort: Cohort, spec: CardinalitySpec, columns: list[_Column], stratum: Rows, fine: list[Rows], rows: Rows
) -> tuple[Rows, Rows, Programme]:
    """Bring people of one profile together; give the people sorted by profile and hash, the number of their profile, and the programme.

    Profiles stand in the order of their contents, so the solver is given the same programme whatever the rows' order and the people's names.
    """
    candidates = rows if spec.ratio else rows[~cohort.treated[rows]]
    keys = [*(column.values[candidates] for column in columns), *(code[candidates] for code in (*fine, stratum, cohort.treated))]
    order = np.lexsort((cohort.tiebreak[candidates], *keys))
    new = np.ones(len(order), dtype=bool)
    new[1:] = np.logical_or.reduce([key[order][1:] != key[order][:-1] for key in keys])
    people = candidates[order]
    profile = np.cumsum(new) - 1
    heads = people[new]
    treated = cohort.order[cohort.treated[cohort.order] & np.isin(cohort.order, rows)]
    side = cohort.treated[heads]
    sign = np.where(side, 1.0, -1 / spec.ratio) if spec.ratio else np.ones(len(heads))
    moved = np.stack([(column.values[heads] - column.values[treated].mean()) * sign for column in columns])
    spread = np.array([column.spread for column in columns])
    fixed = moved[spread == 0]
    equal, step = _equal([stratum, *fine] if spec.ratio else fine, heads, treated, sign, spec.ratio)
    programme = Programme(
        available=np.bincount(profile).astype(np.float64),
        size=side.astype(np.float64) if spec.ratio else np.ones(len(heads)),
        gap=moved[spread > 0] / spread[spread > 0, None],
        tolerance=np.array([column.tolerance for column in columns])[spread > 0],
        equal=stacked([fixed / np.maximum(np.abs(fixed).max(axis=1, initial=0), 1.0)[:, None], *equal]),
        step=step,
    )
    return people, profile, programme


def _equal(codes: list[Rows], heads: Rows, treated: Rows, sign: Floats, ratio: int | None) -> tuple[list[Any], int]:
    """Give the sums over levels that must be zero, and what the size must be a multiple of; in whole numbers."""
    rows: list[Any] = []
    step = 1
    for code in codes:
        levels, place = np.unique(np.concatenate([code[heads], code[treated]]), return_inverse=True)
        has = sparse.csr_array((np.ones(len(heads)), (place[: len(heads)], np.arange(len(heads)))), shape=(len(levels), len(heads)))
        if ratio:
            rows.append(has * np.rint(sign * ratio))
        else:
            count = np.bincount(place[len(heads) :], minlength=len(levels))
            rows.append(has * len(treated) - sparse.csr_array(np.outer(count, np.ones(len(heads)))))
            step = math.lcm(step, len(treated) // math.gcd(len(treated), *count.tolist()))
    return rows, step


def _why_unproven(spec: CardinalitySpec, found: int, bound: int) -> str:
    people = "treated" if spec.ratio else "controls"
    if not found:
        return f"cardinality: the solver found no choice within {_asked(spec)} and no proof that there is none; widen the tolerance or balance less"
    enough = math.ceil(_STEPS * (1 - found / bound)) / _STEPS
    return (
        f"cardinality: {found} {people} were found, and no proof that as many as {bound} are not possible; "
        f"gap = {enough:g} accepts what was found, a wider tolerance or fewer covariates are easier to prove"
    )


def _asked(spec: CardinalitySpec) -> str:
    fine = f", with fine balance of ({', '.join(spec.fine)})" if spec.fine else ""
    return f"{spec.tolerance_sd:g} SD" + (" (other covariates by tolerances_sd)" if spec.tolerances_sd else "") + fine


def _what_would_do(programmes: list[Programme], infeasible: list[int], spec: CardinalitySpec) -> str:
    """Say the smallest tolerance at which every part has a choice, and how many that keeps: of fractions of people first, then of people."""
    needed = [smallest_widening(programmes[number]) for number in infeasible]
    start = max((one for one in needed if one is not None), default=0.0)
    if None not in needed:
        for added in (0.0, *(2.0**power / _STEPS for power in range(_MOST_WIDENINGS))):
            tolerance = math.ceil((spec.tolerance_sd + start + added) * _STEPS) / _STEPS
            kept = _kept_with(programmes, spec, tolerance - spec.tolerance_sd)
            if kept is not None:
                people = (
                    f"{kept} treated with {spec.ratio} control{'s' * (spec.ratio > 1)} each" if spec.ratio else f"all treated and {kept} controls"
                )
                also = ", and every other tolerance as much wider," if spec.tolerances_sd else ""
                return f"tolerance_sd = {tolerance:g}{also} would do, keeping {people}"
    multiple = max(programme.step for programme in programmes)
    fine = f"take columns out of fine, or give a ratio: without one the number of controls is a multiple of {multiple}; " if multiple > 1 else ""
    return f"nor would any be with a far wider one; {fine}match exactly on fewer or coarser columns, or leave out covariates all treated are alike in"


def _kept_with(programmes: list[Programme], spec: CardinalitySpec, wider: float) -> int | None:
    """Give how many are kept with wider tolerances; None where some part has no choice, or none that could be found."""
    kept = 0
    for programme in programmes:
        choice = largest_choice(programme, spec.gap, wider)
        if not choice.proven or choice.counts is None:
            return None
        kept += choice.size
    return kept
