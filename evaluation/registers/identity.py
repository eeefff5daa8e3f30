"""What looks like a personal identity number?

A personnummer is a date of birth, a separator and four digits; a samordningsnummer has 60 added to the day. With a dash a plausible date is enough to
suspect one, whatever the last digit: a mistyped number still points at somebody. Without it, or with a space, such digits are common in registers,
and only those whose last digit is the right check digit are suspected. Every tenth time of day fulfils that by chance, so what may be a day and a
time is suspected only in a column where half of it does. A name of a file or a column has no reason to hold such digits, and is never shown if it
does.

References
----------
Skatteverket (2007), Personnummer, SKV 704, and Samordningsnummer, SKV 707: form, day plus 60, check digit.
Luhn (1960), Computer for verifying numbers, US patent 2950048.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    import duckdb

_DASHES = "-+‐-―−"  # hyphen, plus from the age of 100, and the dashes that word processors put in their place
_SPACES = " \u00a0\u2007\u202f"  # the last three are those at which no line is broken
_BIRTH = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]|6[1-9]|[78][0-9]|9[01])"
_NUMBER = rf"(?:18|19|20)?{_BIRTH}[{_DASHES}{_SPACES}]?[0-9]{{4}}"
_EXACT = re.compile(rf"(?<![0-9])(?:18|19|20)?({_BIRTH})([{_DASHES}{_SPACES}])?([0-9]{{4}})(?![0-9])")
_CANDIDATE = f"(?:^|[^0-9]){_NUMBER}(?:[^0-9]|$)"  # databases know no look-around
_TIME = re.compile("(?:[01][0-9]|2[0-3])[0-5][0-9]")
_MASK = "***"  # what is shown instead of a name
_SHORTEST = 10  # digits of the shortest form: what is shorter need not be searched


def looks_like_identity_number(text: str) -> bool:
    """Tell whether a text is, or holds, what looks like a personnummer or samordningsnummer."""
    return any(_is_suspected(*parts) for parts in _EXACT.findall(text))


def names_a_person(name: str) -> bool:
    """Tell whether the name of a file or a column holds what looks like an identity number; with a space too, whatever the last digit."""
    return looks_like_identity_number(name) or any(separator for _, separator, _ in _EXACT.findall(name))


def masked(name: str) -> str:
    """Give a name as it may be shown: not at all if it holds the digits of an identity number, whatever the last one."""
    return _MASK if _EXACT.search(name) else name


def holding_identity_numbers(column: pd.Series) -> NDArray[np.bool_]:
    """Find the values of a column that are, or hold, what looks like an identity number.

    Parameters
    ----------
    column : Series, shape (n,)
        Of any kind; a missing value holds none.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    text = column.astype("string")
    candidate = text.str.contains(_CANDIDATE, na=False).to_numpy(dtype=bool)
    found = _suspected(text[candidate].unique())
    return candidate & text.isin(found).to_numpy(dtype=bool)


def candidate_sql(text: str) -> str:
    """Give the SQL condition that every text with an identity number fulfils, and few others; quick enough to try on every cell."""
    return f"case when length({text}) >= {_SHORTEST} then regexp_matches({text}, '{_CANDIDATE}') else false end"


def identity_numbers(connection: duckdb.DuckDBPyConnection, relation: str, text: str) -> list[str]:
    """Find the distinct values of a database column that are, or hold, what looks like an identity number.

    Parameters
    ----------
    connection : DuckDBPyConnection
    relation, text : str
        What to select from, and the expression to search, in SQL.

    Returns
    -------
    list of str
        Never to be shown: they serve to count the rows they stand in.
    """
    candidates = connection.execute(f"select distinct {text} from {relation} where {candidate_sql(text)}").fetchall()
    return _suspected(value for (value,) in candidates)


def _suspected(values: Iterable[str]) -> list[str]:
    """Find those of a column's distinct values that hold a number, but not those that are times by the company they keep."""
    held = {value: _EXACT.findall(value) for value in values}
    timed = {value for value, found in held.items() if found and all(_may_be_time(*parts) for parts in found)}
    numbers = {value for value, found in held.items() if any(_is_suspected(*parts) for parts in found)}
    return list(numbers if 2 * len(numbers & timed) >= len(timed) else numbers - timed)


def _is_suspected(birth: str, separator: str, last: str) -> bool:
    return separator not in ("", *_SPACES) or _check_digit_holds(birth + last)


def _may_be_time(_: str, separator: str, last: str) -> bool:
    return separator in (*_SPACES,) and bool(_TIME.fullmatch(last))


def _check_digit_holds(digits: str) -> bool:
    """Tell whether ten digits fulfil Luhn's formula: every other doubled, the digits of all added up, a multiple of ten."""
    return sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(digits)) % 10 == 0
