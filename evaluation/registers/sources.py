"""Where tables come from: a file as it was delivered, read without guessing."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from evaluation.errors import InputError, Problem


def read_table(path: str | Path, *, without: Collection[str] = ()) -> pd.DataFrame:
    """Read a table from a CSV file (UTF-8, commas).

    Parameters
    ----------
    path : str or Path
    without : collection of str
        Columns to leave out, such as outcomes while a design is made; they may be absent.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If the file is absent, empty, of another kind, or not readable as what it claims to be.
    """
    file = Path(path)
    if file.suffix.lower() != ".csv":
        kind = f"is of a kind that is not read here ({file.suffix or 'no ending'})"
        raise InputError([Problem(str(file), kind, "save it as CSV in UTF-8 with commas, ending in .csv")])
    if not file.exists():
        raise InputError([Problem(str(file), "does not exist", "put the table there, or change data.file in the plan")])
    try:
        # read whole and then cut: told which columns to read, pandas no longer notices rows with too many fields
        frame = pd.read_csv(file)
    except pd.errors.EmptyDataError:
        raise InputError([Problem(str(file), "is empty", "deliver it again")]) from None
    except (pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        # the library's own message may quote a row, so only its kind is told
        reason = f"cannot be read ({type(error).__name__})"
        raise InputError([Problem(str(file), reason, "save it as CSV in UTF-8 with commas")]) from None
    if len(frame.columns) == 1 and ";" in str(frame.columns[0]):
        raise InputError([Problem(str(file), "is separated by semicolons", "save it as CSV in UTF-8 with commas, and points in decimals")])
    return frame.drop(columns=list(without), errors="ignore")
