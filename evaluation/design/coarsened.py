"""Who agrees on every covariate once all of them are coarsened? They form a stratum, and a stratum with both sides is compared.

Numbers are cut into bins, levels of categories may be merged. No score and no model; the bins say beforehand how alike the compared people are, and
what is not known beforehand is how many are left.

References
----------
Iacus, King & Porro (2012). Causal inference without balance checking: coarsened exact matching. Political Analysis 20(1), 1-24.
Sturges (1926). The choice of a class interval. JASA 21(153), 65-66.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from evaluation.design.cohort import Bools, Cohort, Rows, strata_of
from evaluation.design.comparison import Comparison, comparison_of
from evaluation.errors import InputError, NobodyMatchedError, Problem, UnmatchedWarning

_NAMED = 3  # covariates named as the costliest: more is no advice
Bins = Annotated[int, Field(ge=1)] | Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]


class CoarsenedSpec(BaseModel):
    """How the covariates are coarsened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["coarsened"] = "coarsened"
    covariates: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="what people must agree on, coarsened; None: all covariates of the cohort"
    )
    cutpoints: dict[str, Bins] = Field(
        default={},
        description="of a number: how many equally wide bins (1: it is left out), or the cutpoints themselves; else Sturges' number of bins",
    )
    groups: dict[str, tuple[tuple[str, ...], ...]] = Field(
        default={}, description="of a category: the levels that count as one; a level in no group stays as it is"
    )
    exact: tuple[str, ...] = Field(default=(), description="further columns on which people must agree, or covariates to be left uncoarsened")

    @model_validator(mode="after")
    def _consistent(self) -> CoarsenedSpec:
        for name, groups in self.groups.items():
            levels = [level for group in groups for level in group]
            if len(set(levels)) < len(levels):
                raise ValueError(f"groups of {name}: a level may be in one group only")
        uncoarsened = set(self.exact) & {*self.cutpoints, *self.groups}
        if uncoarsened:
            raise ValueError(f"{', '.join(sorted(uncoarsened))}: cannot be both exact and coarsened")
        return self


def match_coarsened(cohort: Cohort, spec: CoarsenedSpec | None = None) -> Comparison:
    r"""Compare the people who agree on every coarsened covariate, stratum by stratum.

    Parameters
    ----------
    cohort : Cohort, n people
        In a stack strata lie within trials; the bins are those of the whole stack.
    spec : CoarsenedSpec, optional

    Returns
    -------
    Comparison
        A set is a stratum. Treated weigh 1 and its controls share the number of its treated.

    Raises
    ------
    NobodyMatchedError
        If no stratum has both sides; says which covariate stands most in the way, and which coarser bins would do.
    InputError
        If the cohort lacks a column or a level, a category is given cutpoints or a number groups.

    Warns
    -----
    UnmatchedWarning
        If some treated share their stratum with no control; says which covariates cost most of them.

    Notes
    -----
    With :math:`m_{1s}` treated and :math:`m_{0s}` controls in stratum s, a control weighs :math:`m_{1s} / m_{0s}`, so that the controls' weights sum
    to the number of matched treated. MatchIt's ``method = "cem"`` multiplies them by (matched controls) / (matched treated).

    References
    ----------
    Iacus, King & Porro (2012). Political Analysis 20(1), 1-24.
    """
    spec = spec or CoarsenedSpec()
    trial = cohort.codes(strata_of(cohort, ()))[0]
    columns = _columns(cohort, spec)
    stratum = _joined([trial, *columns.values()])
    compared = _in_both(stratum, cohort.treated)
    if not compared.any():
        raise NobodyMatchedError(_why_nobody(cohort, spec, trial, columns))
    rows = np.flatnonzero(compared)
    comparison = comparison_of(cohort, rows, stratum[rows], spec=spec)
    if comparison.unmatched.any():
        warnings.warn(_why_unmatched(cohort, comparison, trial, columns), UnmatchedWarning, stacklevel=2)
    return comparison


def find_cutpoints(cohort: Cohort, spec: CoarsenedSpec | None = None) -> dict[str, tuple[float, ...]]:
    r"""Give where each number is cut; a value at a cutpoint lies in the higher bin.

    Parameters
    ----------
    cohort : Cohort, n people
    spec : CoarsenedSpec, optional

    Returns
    -------
    dict
        By covariate, numbers only: the inner cutpoints, ascending, in the covariate's own unit; the outer bins are open.

    Raises
    ------
    InputError
        As `match_coarsened`.

    Notes
    -----
    Without cutpoints of its own a number has :math:`\lceil \log_2 n + 1 \rceil` bins (Sturges 1926), equally wide between the smallest and the
    largest value of all n rows, as in MatchIt.
    """
    spec = spec or CoarsenedSpec()
    _refuse_unusable(cohort, spec)
    return _cutpoints(cohort, spec, None)


def _cutpoints(cohort: Cohort, spec: CoarsenedSpec, most_bins: int | None) -> dict[str, tuple[float, ...]]:
    found = {}
    for name in _coarsened(cohort, spec):
        column = cohort.column(name)
        if isinstance(column.dtype, pd.CategoricalDtype):
            continue
        bins = spec.cutpoints.get(name, _sturges(len(cohort)))
        if isinstance(bins, int):
            count = bins if most_bins is None else min(bins, most_bins)
            found[name] = tuple(np.linspace(column.min(), column.max(), count + 1)[1:-1].tolist())
        else:
            found[name] = tuple(sorted(set(bins)))
    return found


def _sturges(count: int) -> int:
    return (count - 1).bit_length() + 1  # ceil(log2(count)) in whole numbers


def _coarsened(cohort: Cohort, spec: CoarsenedSpec) -> list[str]:
    names = cohort.covariates.columns if spec.covariates is None else spec.covariates
    return [name for name in dict.fromkeys(map(str, names)) if name not in spec.exact]


def _columns(cohort: Cohort, spec: CoarsenedSpec, most_bins: int | None = None) -> dict[str, Rows]:
    """Number each column's bins, groups of levels or values."""
    _refuse_unusable(cohort, spec)
    cuts = _cutpoints(cohort, spec, most_bins)
    columns = {name: cohort.codes([name])[0] for name in spec.exact}
    for name in _coarsened(cohort, spec):
        if name in cuts:
            columns[name] = np.searchsorted(cuts[name], cohort.column(name).to_numpy(), side="right")
        else:
            columns[name] = _merged(cohort.column(name), spec.groups.get(name, ()))
    return columns


def _merged(column: pd.Series, groups: Sequence[Sequence[str]]) -> Rows:
    levels = list(map(str, column.cat.categories))
    number = np.arange(len(levels), dtype=np.intp)
    for group in groups:
        places = [levels.index(level) for level in group]
        number[places] = places[0]
    return number[column.cat.codes.to_numpy()]


def _refuse_unusable(cohort: Cohort, spec: CoarsenedSpec) -> None:
    coarsened = _coarsened(cohort, spec)
    category = {name: isinstance(cohort.column(name).dtype, pd.CategoricalDtype) for name in coarsened}
    problems = [
        Problem.unknown(name, f"has {option}, and is none of the covariates that are coarsened", name, coarsened)
        for option, given in (("cutpoints", spec.cutpoints), ("groups", spec.groups))
        for name in given
        if name not in category
    ]
    problems += [Problem(name, "is a category and has no cutpoints", "merge its levels with groups") for name in spec.cutpoints if category.get(name)]
    for name, groups in spec.groups.items():
        if category.get(name) is False:
            problems.append(Problem(name, "is a number and has no levels to merge", "give its cutpoints"))
        elif name in category:
            levels = set(map(str, cohort.column(name).cat.categories))
            absent = [level for group in groups for level in group if level not in levels]
            rule = f"must have every level in its groups; {', '.join(absent)} is none of its {len(levels)} levels"
            problems += [Problem(name, rule, "check the spelling")] if absent else []
    if problems:
        raise InputError(problems, "the covariates cannot be coarsened")


def _joined(columns: Sequence[Rows]) -> Rows:
    """Number the combinations of several columns of numbers."""
    return list(accumulate(columns, _joined_pair))[-1]


def _joined_pair(one: Rows, other: Rows) -> Rows:
    return np.asarray(pd.factorize(one * (int(other.max()) + 1) + other)[0], dtype=np.intp)


def _in_both(stratum: Rows, treated: Bools) -> Bools:
    """Say who is in a stratum that has both sides."""
    count = int(stratum.max()) + 1
    both = (np.bincount(stratum[treated], minlength=count) > 0) & (np.bincount(stratum[~treated], minlength=count) > 0)
    return np.asarray(both[stratum], dtype=np.bool_)


def _kept_without(trial: Rows, columns: dict[str, Rows], treated: Bools) -> list[tuple[str, int]]:
    """Count for each column the treated with a control if people need not agree on it; the costliest column first."""
    before = list(accumulate(columns.values(), _joined_pair, initial=trial))
    after = list(accumulate(reversed(columns.values()), _joined_pair, initial=np.zeros_like(trial)))[::-1]
    kept = [(name, int(_in_both(_joined_pair(before[place], after[place + 1]), treated)[treated].sum())) for place, name in enumerate(columns)]
    return sorted(kept, key=lambda one: -one[1])


def _why_unmatched(cohort: Cohort, comparison: Comparison, trial: Rows, columns: dict[str, Rows]) -> str:
    lost, kept = int(comparison.unmatched.sum()), comparison.n_treated
    costly = [f"{name} ({without - kept} more)" for name, without in _kept_without(trial, columns, cohort.treated)[:_NAMED] if without > kept]
    reason = f"Most would be kept without {', or without '.join(costly)}" if costly else "No covariate alone stands in their way"
    return (
        f"{lost} of {cohort.n_treated} treated found no control; the estimand is the effect on the {kept} who did. "
        f"{reason}; fewer bins or merged levels keep more, Comparison.unmatched says who they are"
    )


def _why_nobody(cohort: Cohort, spec: CoarsenedSpec, trial: Rows, columns: dict[str, Rows]) -> str:
    start = f"coarsened matching: none of {cohort.n_treated} treated agrees with any control on all of {len(columns)} columns; "
    advice = [f"without {name} {kept} treated would have controls" for name, kept in _kept_without(trial, columns, cohort.treated)[:1] if kept]
    bins, kept = _coarser_bins(cohort, spec, trial)
    if kept:
        advice.append(f"with at most {bins} bin{'s' * (bins > 1)} for every number {kept} would")
    return start + (", ".join(advice) or "nor would any if one column were left out, or every number had a single bin; match on fewer columns")


def _coarser_bins(cohort: Cohort, spec: CoarsenedSpec, trial: Rows) -> tuple[int, int]:
    """Give the largest number of bins that, as a limit for every number, leaves some treated a control; and how many of them."""
    numbers = [spec.cutpoints.get(name, _sturges(len(cohort))) for name in _cutpoints(cohort, spec, None)]
    for bins in range(max((count for count in numbers if isinstance(count, int)), default=1) - 1, 0, -1):
        stratum = _joined([trial, *_columns(cohort, spec, bins).values()])
        kept = int(_in_both(stratum, cohort.treated)[cohort.treated].sum())
        if kept:
            return bins, kept
    return 1, 0
