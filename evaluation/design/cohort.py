"""Who is in the study, on which side, and what was known about them beforehand.

The flat entrance: a table with one row per person, as an evaluator already has it, or a stack of trials with one row per person and trial. Rows
keep their order. Everything that later sums over them does so in `Cohort.order`, which depends on what the rows say and not on how they are sorted,
so that shuffling the table changes no result, not even in the last bit.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import InputError, Problem
from evaluation.registers.identity import holding_identity_numbers
from evaluation.showing import html_of, text_of

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Hashes = NDArray[np.uint64]

MISSING_LEVEL = "missing"
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_OWN_VALUE = 0.5  # levels per person above which a category tells single people apart, not kinds of people
_FEW_LEVELS = 20  # so many may each have few people, as in a small study
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring values over all 64 bits (Knuth, TAOCP 3, 6.4)


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
            order=ordered(_content_hash(covariates, self.treated[rows]), self.tiebreak[rows]),
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
    _require_lists(covariates=covariates, strata=strata)
    _require_columns(frame, [treated, *covariates, *strata, *(name for name in (person, index_date) if name)])
    ids = pd.Index(frame[person]) if person else frame.index
    problems = person_problems(ids, person or "the table's index")
    if ids.nlevels > 1:
        raise InputError(problems)
    return _cohort(frame, problems, ids, _hash_ids(ids), treated, covariates, strata, index_date, missing, None, None)


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
    _require_lists(covariates=covariates, strata=strata)
    _require_columns(frame, [treated, *covariates, *strata, person, trial, *([index_date] if index_date else [])])
    ids = pd.Index(frame[person])
    problems = [
        Problem.in_rows(name, "must not be missing", frame[name].isna().to_numpy(), "every row needs one")
        for name in (person, trial)
        if frame[name].isna().any()
    ]
    twice = frame.duplicated([person, trial]).to_numpy()
    if not problems and twice.any():
        problems.append(Problem.in_rows(person, f"must be unique within {trial}", twice, "keep one row per person and trial"))
    names = _hash_ids(ids) ^ (_hash_ids(pd.Index(frame[trial].astype(str))) * _MIXER)
    return _cohort(frame, problems, ids, names, treated, covariates, [trial, *strata], index_date, missing, trial, attrition)


def _cohort(
    frame: pd.DataFrame,
    problems: list[Problem],
    ids: pd.Index,
    names: Hashes,
    treated: str,
    covariates: Sequence[str],
    strata: Sequence[str],
    index_date: str | None,
    missing: str,
    trial: str | None,
    attrition: pd.DataFrame | None,
) -> Cohort:
    covariates, strata = list(dict.fromkeys(covariates)), list(dict.fromkeys(strata))
    problems = [*_treated_problems(frame[treated], treated), *problems]
    if missing not in ("error", "category"):
        raise InputError([Problem("missing", "is neither 'error' nor 'category'", "choose one of them")])
    if not covariates:
        problems.append(Problem("covariates", "at least one is needed", "name the columns known before the index date"))
    columns: dict[str, pd.Series] = {}
    taken = {f"{name}_missing" for name in covariates} & {*covariates, *strata} if missing == "category" else set()
    problems += [Problem(name, "is the name kept for an indicator of missing values", "rename the column") for name in sorted(taken)]
    for name in strata:
        problems += _identity_problems(frame[name])
    for name in covariates:
        problems += _covariate_problems(frame[name], missing)
    problems += [
        Problem.in_rows(name, "must not be missing", frame[name].isna().to_numpy(), "fill it in")
        for name in strata
        if missing == "error" and frame[name].isna().any()
    ]
    start = _dates(frame[index_date]) if index_date else None
    if start is not None and start.isna().any():
        problems.append(Problem.in_rows(str(index_date), "must be a date", start.isna().to_numpy(), "write it as YYYY-MM-DD"))
    if problems:
        raise InputError(problems)

    for name in covariates:
        columns |= _clean_covariate(frame[name])
    side = frame[treated].to_numpy(dtype=bool)
    cleaned = pd.DataFrame(columns, copy=False)
    if attrition is None:
        attrition = pd.DataFrame({"step": ["in_table"], "treated": [ids[side].nunique()], "control": [ids[~side].nunique()]})
    return Cohort(
        covariates=cleaned,
        treated=side,
        person=ids,
        strata=pd.DataFrame({name: _as_category(frame[name]) for name in strata if name not in columns}, index=cleaned.index),
        index_date=start,
        tiebreak=names,
        order=ordered(_content_hash(cleaned, side), names),
        attrition=attrition,
        trial=trial,
    )


def require_table(frame: object, where: str) -> None:
    """Stop if what was given is not a table with plain column names.

    Raises
    ------
    InputError
    """
    if not isinstance(frame, pd.DataFrame):
        kind, remedy = type(frame).__name__, "give a pandas DataFrame with one row per person"
        if isinstance(frame, pd.Series):
            remedy += "; one column alone is written table[['column']]"
        raise InputError([Problem(where, f"must be a data frame, and is of type {kind}", remedy)])
    if frame.columns.nlevels > 1:
        rule = f"must have one row of column names, and has {frame.columns.nlevels}"
        raise InputError([Problem(where, rule, "flatten them, for example table.columns = ['_'.join(names) for names in table.columns]")])


def _require_lists(**given: object) -> None:
    """Stop if a list of columns is a lone text, which would be read letter by letter."""
    problems = [
        Problem(name, "must be a list of columns, and is one text", f'write {name}=["..."]')
        for name, names in given.items()
        if isinstance(names, str)
    ]
    if problems:
        raise InputError(problems)


def _require_columns(frame: pd.DataFrame, needed: Sequence[str]) -> None:
    absent = [name for name in dict.fromkeys(needed) if name not in frame.columns]
    problems = [Problem.absent(str(name), frame.columns) for name in absent]
    if frame.empty:
        problems.append(Problem("the table", "has no rows", "check the file and its separator"))
    twice = frame.columns[frame.columns.duplicated()].intersection(list(needed))
    problems += [Problem(name, "is the name of several columns", "give each its own") for name in twice]
    if problems:
        raise InputError(problems)


def _treated_problems(column: pd.Series, name: str) -> list[Problem]:
    allowed = (column == 0).to_numpy(dtype=bool, na_value=False) | (column == 1).to_numpy(dtype=bool, na_value=False)
    if not allowed.all():
        return [Problem.in_rows(name, "must be 0 or 1 (or False/True)", ~allowed, "recode it, for example (frame[column] == 'yes').astype(int)")]
    side = column.to_numpy(dtype=bool)
    if side.all() or not side.any():
        return [Problem(name, f"is {int(side[0])} for everybody", "both participants (1) and a control pool (0) are needed")]
    return []


def person_problems(ids: pd.Index, name: str) -> list[Problem]:
    """Give what is wrong with a table's ids: missing, or not unique."""
    if ids.nlevels > 1:
        return [Problem(name, f"must be one column, and has {ids.nlevels} levels", "name a column of ids as person, or use table.reset_index()")]
    if ids.hasnans:
        return [Problem.in_rows(name, "must not be missing", np.asarray(ids.isna()), "every person needs an id")]
    if not ids.is_unique:
        return [
            Problem.in_rows(name, "must be unique, one row per person", ids.duplicated(), "keep one row per person, or give another column as person")
        ]
    return []


def _covariate_problems(column: pd.Series, missing: str) -> list[Problem]:
    name = str(column.name)
    absent = column.isna().to_numpy()
    if absent.all():
        return [Problem(name, "is the same for everybody, for nobody has a value", "take it out of the covariates, or check how the file was read")]
    problems = []
    if absent.any() and missing == "error":
        problems.append(
            Problem.in_rows(
                name, "must not be missing", absent, 'fill it in, or use missing = "category" to keep these people as a group of their own'
            )
        )
    if pd.api.types.is_datetime64_any_dtype(column):
        return [Problem(name, "is a date", "turn it into a number known before the index date, such as age or days since")]
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(values).any():
            problems.append(Problem.in_rows(name, "must be finite", np.isinf(values), "correct it"))
        present = values if not absent.any() else values[~absent]
        constant = present.min() == present.max()
    else:
        unlike = _not_kinds(column)
        if unlike:
            return [*problems, Problem(name, *unlike)]
        constant = len(column.dropna().unique()) <= 1
        problems += _identity_problems(column)
    if constant and (missing == "error" or not absent.any()):
        problems.append(Problem(name, "is the same for everybody", "take it out of the covariates: it cannot tell people apart"))
    return problems


def _not_kinds(column: pd.Series) -> tuple[str, str] | None:
    """Say why a column that is no number is not kinds of people either, and what to do; None where it is."""
    if pd.api.types.is_timedelta64_dtype(column):
        return "is a length of time", "turn it into a number, for example with .dt.days"
    try:
        levels = column.dropna().unique()
    except TypeError:
        return "holds lists or tables, not single values", "make one column of each thing that is known"
    if all(isinstance(level, dt.date) or (isinstance(level, str) and _ISO_DATE.fullmatch(level)) for level in levels):
        return "is a date, though not stored as one", "turn it into a number known before the index date, such as age or days since"
    if len(levels) <= max(_FEW_LEVELS, _OWN_VALUE * len(column)):
        return None
    rule = f"has {len(levels)} levels among {len(column)} rows, so that hardly two people are alike"
    if pd.to_numeric(pd.Series(levels).astype("object"), errors="coerce").notna().all():
        return f"{rule}: its numbers are not stored as numbers", "read them as numbers, for example with pd.to_numeric"
    return rule, "group its levels, or take it out: an id or a free text is no covariate"


def _identity_problems(column: pd.Series) -> list[Problem]:
    if pd.api.types.is_numeric_dtype(column):
        return []
    place, values = pd.factorize(column)  # few are distinct; a missing value has place -1
    secret = np.append(holding_identity_numbers(pd.Series(values)), False)[place]
    rule = "must not hold what looks like a personal identity number"
    return [Problem.in_rows(str(column.name), rule, secret, "deliver pseudonymous data")] if secret.any() else []


def _clean_covariate(column: pd.Series) -> dict[str, pd.Series]:
    name = str(column.name)
    if not pd.api.types.is_numeric_dtype(column):
        return {name: _as_category(column)}
    values = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 and 0.0 are the same value and must hash alike
    absent = np.isnan(values)
    if not absent.any():
        return {name: pd.Series(values)}
    filled = np.where(absent, np.nanmedian(values), values)
    columns = {name: pd.Series(filled), f"{name}_missing": pd.Series(absent.astype(np.float64))}
    return {key: series for key, series in columns.items() if series.min() < series.max()}


def _as_category(column: pd.Series) -> pd.Series:
    text = column.astype("object").where(column.notna(), MISSING_LEVEL)
    levels = sorted(text.unique(), key=lambda level: (level == MISSING_LEVEL, str(level), type(level).__name__))
    if isinstance(column.dtype, pd.CategoricalDtype):
        declared = [level for level in column.cat.categories if level in set(levels)]
        levels = [*declared, *(level for level in levels if level not in set(declared))]
    return pd.Series(pd.Categorical(text, categories=levels))


def _taken(column: pd.Series, rows: Rows) -> pd.Series:
    """Take rows of a column; levels that none of them has are no longer its levels."""
    taken = column.take(rows).reset_index(drop=True)
    return taken.cat.remove_unused_categories() if isinstance(taken.dtype, pd.CategoricalDtype) else taken


def _dates(column: pd.Series) -> pd.Series:
    return pd.to_datetime(column, errors="coerce", format="ISO8601").reset_index(drop=True)


def strata_of(cohort: Cohort, exact: Sequence[str]) -> list[str]:
    """Name the columns on which those who are compared must agree, the trial among them."""
    return list(dict.fromkeys([*([cohort.trial] if cohort.trial else []), *exact]))


def level_columns(column: pd.Series) -> Iterator[tuple[str, Floats]]:
    """Give a number as it is, without a level; of a category each level that somebody has, as a column of 0 and 1."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        yield "", column.to_numpy()
        return
    codes = column.cat.codes.to_numpy()
    for code in np.unique(codes):
        yield str(column.cat.categories[code]), (codes == code).astype(np.float64)


def count_people(code: Rows) -> int:
    """Count the different people among the person codes of some rows; numpy's own `unique` takes seconds for millions."""
    return int(np.count_nonzero(np.bincount(code)))


def ordered(first: NDArray[Any], then: Hashes) -> Rows:
    """Give the order of `first`, its ties in the order of `then`; the two-key sort only where `first` ties."""
    order = np.argsort(first)
    value = first[order]
    same = value[1:] == value[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        order[tied] = order[tied][np.lexsort((then[order[tied]], value[tied]))]
    return order


def _hash_ids(ids: pd.Index) -> Hashes:
    values = ids.to_numpy()
    if values.dtype == object:
        values = values.astype(str).astype(object)
    return pd.util.hash_array(values, categorize=False)


def _content_hash(covariates: pd.DataFrame, treated: Bools) -> Hashes:
    mixed = treated.astype(np.uint64)
    for _, column in covariates.items():
        values = column.cat.codes.to_numpy(dtype=np.float64) if isinstance(column.dtype, pd.CategoricalDtype) else column.to_numpy(dtype=np.float64)
        mixed = (mixed ^ values.view(np.uint64)) * _MIXER
        mixed ^= mixed >> np.uint64(29)
    return mixed
