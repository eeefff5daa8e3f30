"""Which columns of a table can be used, and as what do they enter the cohort?

Every rule here says what it wants in words of the table: the column, the rule, how many rows break it and what to do. Numbers and booleans enter as
numbers, anything else as a category; a date, an id or a length of time is neither.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import InputError, Problem
from evaluation.registers.identity import holding_identity_numbers

_MISSING_LEVEL = "missing"
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_OWN_VALUE = 0.5  # levels per person above which a category tells single people apart, not kinds of people
_FEW_LEVELS = 20  # so many may each have few people, as in a small study


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


def require_lists(**given: object) -> None:
    """Stop if a list of columns is a lone text, which would be read letter by letter."""
    problems = [
        Problem(name, "must be a list of columns, and is one text", f'write {name}=["..."]')
        for name, names in given.items()
        if isinstance(names, str)
    ]
    if problems:
        raise InputError(problems)


def require_columns(frame: pd.DataFrame, needed: Sequence[str]) -> None:
    """Stop if the table has no rows, or lacks one of the columns or has two of its name."""
    absent = [name for name in dict.fromkeys(needed) if name not in frame.columns]
    problems = [Problem.absent(str(name), frame.columns) for name in absent]
    if frame.empty:
        problems.append(Problem("the table", "has no rows", "check the file and its separator"))
    twice = frame.columns[frame.columns.duplicated()].intersection(list(needed))
    problems += [Problem(name, "is the name of several columns", "give each its own") for name in twice]
    if problems:
        raise InputError(problems)


def treated_problems(column: pd.Series, name: str) -> list[Problem]:
    """Give what is wrong with the column that says who is treated: not 0 and 1, or one side only."""
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


def covariate_problems(column: pd.Series, missing: str) -> list[Problem]:
    """Give what keeps a column from being a covariate; `missing` as in `cohort_from_table`."""
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
        problems += identity_problems(column)
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


def identity_problems(column: pd.Series) -> list[Problem]:
    """Give the rows of a column of words that hold what looks like a personal identity number."""
    if pd.api.types.is_numeric_dtype(column):
        return []
    place, values = pd.factorize(column)  # few are distinct; a missing value has place -1
    secret = np.append(holding_identity_numbers(pd.Series(values)), False)[place]
    rule = "must not hold what looks like a personal identity number"
    return [Problem.in_rows(str(column.name), rule, secret, "deliver pseudonymous data")] if secret.any() else []


def clean_covariate(column: pd.Series) -> dict[str, pd.Series]:
    """Give the columns a covariate becomes, by name: itself without gaps, and where a number had any that tell people apart, which were filled."""
    name = str(column.name)
    if not pd.api.types.is_numeric_dtype(column):
        return {name: as_category(column)}
    values = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 and 0.0 are the same value and must hash alike
    absent = np.isnan(values)
    if not absent.any():
        return {name: pd.Series(values)}
    filled = np.where(absent, np.nanmedian(values), values)
    columns = {name: pd.Series(filled), f"{name}_missing": pd.Series(absent.astype(np.float64))}
    return {key: series for key, series in columns.items() if series.min() < series.max()}


def as_category(column: pd.Series) -> pd.Series:
    """Give a column as categories in an order of their own: as declared, otherwise sorted; who has none gets the level "missing", the last."""
    text = column.astype("object").where(column.notna(), _MISSING_LEVEL)
    levels = sorted(text.unique(), key=lambda level: (level == _MISSING_LEVEL, str(level), type(level).__name__))
    if isinstance(column.dtype, pd.CategoricalDtype):
        declared = [level for level in column.cat.categories if level in set(levels)]
        levels = [*declared, *(level for level in levels if level not in set(declared))]
    return pd.Series(pd.Categorical(text, categories=levels))


def as_dates(column: pd.Series) -> pd.Series:
    """Give a column as dates; what is none is missing."""
    return pd.to_datetime(column, errors="coerce", format="ISO8601").reset_index(drop=True)


def level_columns(column: pd.Series) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Give a number as it is, without a level; of a category each level that somebody has, as a column of 0 and 1."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        yield "", column.to_numpy()
        return
    codes = column.cat.codes.to_numpy()
    for code in np.unique(codes):
        yield str(column.cat.categories[code]), (codes == code).astype(np.float64)
