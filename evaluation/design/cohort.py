"""Who is in the study, on which side, and what was known about them beforehand.

The flat entrance: a table with one row per person, as an evaluator already has it, or a stack of trials with one row per person and trial. Rows
keep their order. Everything that later sums over them does so in `Cohort.order`, which depends on what the rows say and not on how they are sorted,
so that shuffling the table changes no result, not even in the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.design.columns import (
    as_category,
    as_dates,
    clean_covariate,
    covariate_problems,
    identity_problems,
    person_problems,
    require_columns,
    require_lists,
    require_table,
    treated_problems,
)
from evaluation.design.order import Hashes, content_hash, name_hash, ordered
from evaluation.errors import InputError, Problem
from evaluation.showing import html_of, text_of

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cohort:
    """The people of the study: one row each, or one for each trial a person is in.

    Attributes
    ----------
    covariates : DataFrame, shape (n, p)
        What was known before the index date. Numbers are float64, everything else categorical with sorted levels; nothing is missing.
    treated : ndarray of bool, shape (n,)
    person : Index, shape (n,)
        Pseudonymous ids; unique, or, in a stack of trials, unique within each.
    strata : DataFrame, shape (n, q)
        Further columns for exact matching and for breaking results down, not in the participation model.
    index_date : Series of datetime, shape (n,), or None
        The day follow-up starts; None where durations come ready-made.
    tiebreak : ndarray of uint64, shape (n,)
        Hash of the person id (and trial): the only thing that decides between exactly tied rows.
    order : ndarray of int, shape (n,)
        Rows sorted by a hash of their contents, equal ones by `tiebreak`: the order in which sums are taken.
    attrition : DataFrame
        One row per step: step, treated, control; people, <NA> where a step does not concern a side.
    trial : str or None
        The stratum that says which trial a row belongs to; None: one row per person.
    """

    covariates: pd.DataFrame
    treated: Bools
    person: pd.Index
    strata: pd.DataFrame
    index_date: pd.Series | None
    tiebreak: Hashes
    order: Rows
    attrition: pd.DataFrame
    trial: str | None = None

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def __post_init__(self) -> None:
        for array in (self.treated, self.tiebreak, self.order):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.treated)

    @property
    def n_treated(self) -> int:
        """Number of treated rows."""
        return int(self.treated.sum())

    @property
    def n_control(self) -> int:
        """Number of rows in the control pool."""
        return len(self) - self.n_treated

    @cached_property
    def person_code(self) -> Rows:
        """Number of each row's person, shape (n,): the row itself where every person has one."""
        return np.arange(len(self), dtype=np.intp) if self.trial is None else pd.factorize(self.person)[0]

    def column(self, name: str) -> pd.Series:
        """Give a covariate or stratum column by name.

        Raises
        ------
        InputError
            If the cohort has no such column.
        """
        for frame in (self.covariates, self.strata):
            if name in frame.columns:
                return frame[name]
        known = ", ".join([*self.covariates.columns, *self.strata.columns])
        raise InputError([Problem(name, "is neither a covariate nor a stratum of the cohort", f"choose among {known}, or add it to strata")])

    def codes(self, names: Sequence[str]) -> tuple[Rows, pd.DataFrame]:
        """Number the combinations of the named columns.

        Returns
        -------
        code : ndarray of int, shape (n,)
        levels : DataFrame
            One row per code, in the order of the sorted levels.
        """
        if not names:
            return np.zeros(len(self), dtype=np.intp), pd.DataFrame(index=[0])
        frame = pd.concat([self.column(name) for name in names], axis=1)
        grouped = frame.groupby(list(names), observed=True, sort=True)
        levels = grouped.size().reset_index()[list(names)]
        return np.asarray(grouped.ngroup(), dtype=np.intp), levels

    def take(self, rows: Rows) -> Cohort:
        """Give the cohort of some of its rows, as if it had been read from them alone; the attrition stays.

        Parameters
        ----------
        rows : ndarray of int, shape (k,)
            In the order the new cohort is to have.
        """
        covariates, strata = (
            pd.DataFrame({name: _taken(column, rows) for name, column in frame.items()}, index=pd.RangeIndex(len(rows)), copy=False)
            for frame in (self.covariates, self.strata)
        )
        return replace(
            self,
            covariates=covariates,
            treated=self.treated[rows],
            person=self.person.take(rows),
            strata=strata,
            index_date=None if self.index_date is None else _taken(self.index_date, rows),
            tiebreak=self.tiebreak[rows],
            order=ordered(content_hash(covariates, self.treated[rows]), self.tiebreak[rows]),
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the cohort as one table: person, treated, covariates, strata."""
        return pd.concat([pd.DataFrame({"person": self.person, "treated": self.treated}), self.covariates, self.strata], axis=1)


def cohort_from_table(
    frame: pd.DataFrame,
    *,
    treated: str,
    covariates: Sequence[str],
    person: str | None = None,
    index_date: str | None = None,
    strata: Sequence[str] = (),
    missing: Literal["error", "category"] = "error",
) -> Cohort:
    """Read a table with one row per person as the cohort of the study.

    Parameters
    ----------
    frame : DataFrame, shape (n, c)
        One row per person. Outcome columns may be present or absent; they are not looked at.
    treated : str
        Column with 1 (or True) for participants and 0 for the control pool.
    covariates : sequence of str, length p
        Columns known before the index date that the participation model uses. Numbers and booleans enter as numbers, anything else as
        categories.
    person : str, optional
        Column with pseudonymous ids; without it the table's index is the id.
    index_date : str, optional
        Column with the day follow-up starts.
    strata : sequence of str, optional
        Columns for exact matching and breakdowns only.
    missing : {"error", "category"}
        What a missing covariate means. "category" keeps the person: a category gets the level "missing", a number gets the median and a
        companion column `<name>_missing` with 1. Nobody is ever dropped for a missing value.

    Returns
    -------
    Cohort
        Rows in the order of `frame`.

    Raises
    ------
    InputError
        With every problem at once: missing column, empty table, `treated` not 0/1 or all one group, duplicate or missing person, missing,
        infinite or constant covariate.
    """
    require_table(frame, "the table")
    require_lists(covariates=covariates, strata=strata)
    require_columns(frame, [treated, *covariates, *strata, *(name for name in (person, index_date) if name)])
    ids = pd.Index(frame[person]) if person else frame.index
    problems = person_problems(ids, person or "the table's index")
    if ids.nlevels > 1:
        raise InputError(problems)
    return _cohort(frame, problems, ids, treated=treated, covariates=covariates, strata=strata, index_date=index_date, missing=missing)


def cohort_from_trials(
    frame: pd.DataFrame,
    *,
    treated: str,
    covariates: Sequence[str],
    person: str,
    trial: str,
    index_date: str | None = None,
    strata: Sequence[str] = (),
    missing: Literal["error", "category"] = "error",
    attrition: pd.DataFrame | None = None,
) -> Cohort:
    """Read a stack of trials, a table with one row per person and trial, as the cohort of the study.

    Parameters
    ----------
    frame : DataFrame, shape (n, c)
        One row per person and trial. A person may be a control in several trials, and treated in a later one.
    treated, covariates
        As in `cohort_from_table`; covariates are those known before the row's own index date.
    person : str
        Column with pseudonymous ids.
    trial : str
        Column that says which trial a row belongs to. It becomes a stratum; people are only ever matched within a trial.
    index_date, strata, missing
        As in `cohort_from_table`.
    attrition : DataFrame, optional
        The steps that led to the table: step, treated, control.

    Returns
    -------
    Cohort
        Rows in the order of `frame`.

    Raises
    ------
    InputError
        As `cohort_from_table`; a person may not be twice in one trial.

    References
    ----------
    Sianesi (2004). An evaluation of the Swedish system of active labor market programs in the 1990s. RESTAT 86(1), 133-155.
    """
    require_table(frame, "the table")
    require_lists(covariates=covariates, strata=strata)
    require_columns(frame, [treated, *covariates, *strata, person, trial, *([index_date] if index_date else [])])
    ids = pd.Index(frame[person])
    problems = [
        Problem.in_rows(name, "must not be missing", frame[name].isna().to_numpy(), "every row needs one")
        for name in (person, trial)
        if frame[name].isna().any()
    ]
    twice = frame.duplicated([person, trial]).to_numpy()
    if not problems and twice.any():
        problems.append(Problem.in_rows(person, f"must be unique within {trial}", twice, "keep one row per person and trial"))
    return _cohort(
        frame,
        problems,
        ids,
        treated=treated,
        covariates=covariates,
        strata=[trial, *strata],
        index_date=index_date,
        missing=missing,
        trial=trial,
        attrition=attrition,
    )


def _cohort(
    frame: pd.DataFrame,
    problems: list[Problem],
    ids: pd.Index,
    *,
    treated: str,
    covariates: Sequence[str],
    strata: Sequence[str],
    index_date: str | None,
    missing: str,
    trial: str | None = None,
    attrition: pd.DataFrame | None = None,
) -> Cohort:
    """Make the cohort of a table that has the columns; `problems` are those already found, of the ids."""
    covariates, strata = list(dict.fromkeys(covariates)), list(dict.fromkeys(strata))
    if missing not in ("error", "category"):
        raise InputError([Problem("missing", "is neither 'error' nor 'category'", "choose one of them")])
    start = as_dates(frame[index_date]) if index_date else None
    problems = [*treated_problems(frame[treated], treated), *problems, *_column_problems(frame, covariates, strata, missing)]
    if start is not None and start.isna().any():
        problems.append(Problem.in_rows(str(index_date), "must be a date", start.isna().to_numpy(), "write it as YYYY-MM-DD"))
    if problems:
        raise InputError(problems)

    columns: dict[str, pd.Series] = {}
    for name in covariates:
        columns |= clean_covariate(frame[name])
    side = frame[treated].to_numpy(dtype=bool)
    cleaned = pd.DataFrame(columns, copy=False)
    if attrition is None:
        attrition = pd.DataFrame({"step": ["in_table"], "treated": [ids[side].nunique()], "control": [ids[~side].nunique()]})
    tiebreak = name_hash(ids, None if trial is None else pd.Index(frame[trial].astype(str)))
    return Cohort(
        covariates=cleaned,
        treated=side,
        person=ids,
        strata=pd.DataFrame({name: as_category(frame[name]) for name in strata if name not in columns}, index=cleaned.index),
        index_date=start,
        tiebreak=tiebreak,
        order=ordered(content_hash(cleaned, side), tiebreak),
        attrition=attrition,
        trial=trial,
    )


def _column_problems(frame: pd.DataFrame, covariates: list[str], strata: list[str], missing: str) -> Iterator[Problem]:
    if not covariates:
        yield Problem("covariates", "at least one is needed", "name the columns known before the index date")
    taken = {f"{name}_missing" for name in covariates} & {*covariates, *strata} if missing == "category" else set()
    for name in sorted(taken):
        yield Problem(name, "is the name kept for an indicator of missing values", "rename the column")
    for name in strata:
        yield from identity_problems(frame[name])
    for name in covariates:
        yield from covariate_problems(frame[name], missing)
    if missing == "error":
        yield from Problem.broken((name, "must not be missing", frame[name].isna().to_numpy(), "fill it in") for name in strata)


def _taken(column: pd.Series, rows: Rows) -> pd.Series:
    """Take rows of a column; levels that none of them has are no longer its levels."""
    taken = column.take(rows).reset_index(drop=True)
    return taken.cat.remove_unused_categories() if isinstance(taken.dtype, pd.CategoricalDtype) else taken


def strata_of(cohort: Cohort, exact: Sequence[str]) -> list[str]:
    """Name the columns on which those who are compared must agree, the trial among them."""
    return list(dict.fromkeys([*([cohort.trial] if cohort.trial else []), *exact]))


def attrition_after(cohort: Cohort, step: str, rows: Rows) -> pd.DataFrame:
    """Give a cohort's attrition with one more step: the people of either side among some of its rows."""
    person, side = cohort.person_code[rows], cohort.treated[rows]
    added = pd.DataFrame({"step": [step], "treated": [count_people(person[side])], "control": [count_people(person[~side])]})
    return pd.concat([cohort.attrition, added.astype(cohort.attrition.dtypes)], ignore_index=True)


def count_people(code: Rows) -> int:
    """Count the different people among the person codes of some rows; numpy's own `unique` takes seconds for millions."""
    return int(np.count_nonzero(np.bincount(code)))
