"""What looks like a personal identity number?

A personnummer is a date of birth, a separator and four digits; a samordningsnummer has 60 added to the day. With the separator a plausible date is
enough to suspect one, whatever the last digit: a mistyped number still points at somebody. Without it, ten or twelve digits are common in registers,
and only those whose last digit is the right check digit are suspected.

References
----------
Skatteverket (2007), Personnummer, SKV 704, and Samordningsnummer, SKV 707: form, day plus 60, check digit.
Luhn (1960), Computer for verifying numbers, US patent 2950048.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    import duckdb

_DASHES = "-+‐-―−"  # hyphen, plus from the age of 100, and the dashes that word processors put in their place
_BIRTH = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]|6[1-9]|[78][0-9]|9[01])"
_NUMBER = rf"(?:18|19|20)?{_BIRTH}[{_DASHES}]?[0-9]{{4}}"
_EXACT = re.compile(rf"(?<![0-9])(?:18|19|20)?({_BIRTH})([{_DASHES}])?([0-9]{{4}})(?![0-9])")
_CANDIDATE = f"(?:^|[^0-9]){_NUMBER}(?:[^0-9]|$)"  # databases know no look-around
_SHORTEST = 10  # digits of the shortest form: what is shorter need not be searched


def looks_like_identity_number(text: str) -> bool:
    """Tell whether a text is, or holds, what looks like a personnummer or samordningsnummer."""
    return any(dash or _check_digit_holds(birth + last) for birth, dash, last in _EXACT.findall(text))


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
    found = [value for value in text[candidate].unique() if looks_like_identity_number(value)]
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
    return [value for (value,) in candidates if looks_like_identity_number(value)]


def _check_digit_holds(digits: str) -> bool:
    """Tell whether ten digits fulfil Luhn's formula: every other doubled, the digits of all added up, a multiple of ten."""
    return sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(digits)) % 10 == 0
