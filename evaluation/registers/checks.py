"""Which rows break a rule?

A check is a rule of data_schema/rules.json with a condition in SQL that is true in the rows that break it. All checks of a table are counted in
one pass; row numbers are looked up in a second one, only where something is broken. The same engine holds flat tables and register tables to their
schema.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import duckdb
import numpy as np
import pandas as pd

from evaluation.registers.findings import FIRST_ROWS, Finding

ROW = '"row number"'  # what a relation calls the number of its row, from 1
_BLANKS = " \t\r\n\u00a0"  # the last is the space that spreadsheets do not break at
_TYPED = {  # what is kept as the database has it; of anything else we keep the text
    *("BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S", "FLOAT", "DOUBLE"),
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
}
_EXACT_WHOLE = 1e15  # below this a double tells every whole number from the next


@dataclass(frozen=True)
class Check:
    """A rule that rows may break.

    Attributes
    ----------
    column : str
        Empty where the whole row is meant.
    key : str
        Which rule, a key of data_schema/rules.json.
    broken : str
        SQL condition, true in the rows that break it; false or null in the others.
    detail : dict of str to str
        What fills the rule's sentence.
    instead : tuple of Check
        Closer looks at the rows that break it, taken only if there are any, and told in its place.
    """

    column: str
    key: str
    broken: str
    detail: dict[str, str] = field(default_factory=dict)
    instead: tuple[Check, ...] = ()


def run_checks(connection: duckdb.DuckDBPyConnection, relation: str, table: str, checks: Sequence[Check]) -> list[Finding]:
    """Count the rows that break each check.

    Parameters
    ----------
    connection : DuckDBPyConnection
    relation : str
        What to select from, in SQL; it numbers its rows in the column `ROW`.
    table : str
        What the findings call it.
    checks : sequence of Check

    Returns
    -------
    list of Finding
        Of the broken ones, in the order of the checks.
    """
    if not checks:
        return []
    held = ", ".join(f'({check.broken}) as "broken {place}"' for place, check in enumerate(checks))
    judged = f"(select {ROW}, {held} from {relation})"
    of, *counts = _row(connection, f"select count(*), {', '.join(_filtered('count(*)', range(len(checks))))} from {judged}")
    broken = [place for place, count in enumerate(counts) if count]
    if not broken:
        return []
    first = _row(connection, f"select {', '.join(_filtered(f'min({ROW}, {FIRST_ROWS})', broken))} from {judged}")
    found = []
    for place, rows in zip(broken, first, strict=True):
        check = checks[place]
        if check.instead:
            found += run_checks(connection, relation, table, check.instead)
        else:
            found.append(Finding(table, check.column, check.key, check.detail, cast(int, counts[place]), cast(int, of), tuple(cast(list[int], rows))))
    return found


def find_repeated(
    connection: duckdb.DuckDBPyConnection, relation: str, table: str, key: str, columns: Sequence[str], every: Sequence[str] = ()
) -> list[Finding]:
    """Count the rows after the first with the same values.

    Parameters
    ----------
    connection : DuckDBPyConnection
    relation, table : str
        As `run_checks` takes them.
    key : str
        The rule that is broken by them.
    columns : sequence of str
        Columns that together should occur once; a row that lacks one of them is left out.
    every : sequence of str
        All columns, where rows that agree in every one of them are exact copies, told apart as row_repeated; left out, nothing is called a copy.

    Returns
    -------
    list of Finding
        In the column where it is only one, else in the table.
    """
    keys = ", ".join(map(identifier, columns))
    present = " and ".join(f"{identifier(name)} is not null" for name in columns)
    copy = f"row_number() over (partition by {', '.join(map(identifier, every))} order by {ROW})" if every else "1"
    later, copied = "copy = 1 and nth > 1", "copy > 1"
    counts = _row(
        connection,
        f"""
        with several as (select {keys} from {relation} where {present} group by {keys} having count(*) > 1),
        copies as (select *, {copy} as copy from {relation} semi join several using ({keys})),
        numbered as (select {ROW}, copy, row_number() over (partition by {keys}, copy = 1 order by {ROW}) as nth from copies)
        select (select count(*) from {relation}), count(*) filter ({later}), min({ROW}, {FIRST_ROWS}) filter ({later}),
            count(*) filter ({copied}), min({ROW}, {FIRST_ROWS}) filter ({copied}) from numbered
        """,
    )
    of, repeated, first, exact, first_exact = cast(tuple[int, int, list[int], int, list[int]], counts)
    column = columns[0] if len(columns) == 1 else ""
    found = [Finding(table, column, key, {"key": ", ".join(columns)}, repeated, of, tuple(first))] if repeated else []
    return [*found, Finding(table, "", "row_repeated", {}, exact, of, tuple(first_exact))] if exact else found


def known_check(column: str, code: str, known: str, key: str, detail: dict[str, str]) -> Check:
    """Give the check that a code is known; of those that are not, the ones that would be with the zero that a program took away are told apart.

    Parameters
    ----------
    column : str
    code, known : str
        In SQL: the code, and the list or query of those it must be among.
    key : str
        The rule that is broken by the others.
    detail : dict of str to str
        What is known, by the one name the rule has for it.
    """
    broken, lost = f"{code} not in ({known})", f"('0' || {code} in ({known}) or {code} || '.0' in ({known}))"
    closer = Check(column, "zero_lost", f"{broken} and {lost}", {"known": ", ".join(detail.values())})
    return Check(column, key, broken, instead=(closer, Check(column, key, f"{broken} and not {lost}", detail)))


def land_frame(connection: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame) -> None:
    """Let SQL select from a data frame as `name`, its columns called c0, c1 and so on, whatever they are called in the frame.

    Numbers, booleans, days and texts keep their types; anything else becomes text, each value as a category list writes it.
    """
    kept = {f"c{place}": _storable(frame.iloc[:, place]) for place in range(frame.shape[1])}
    connection.register(name, pd.DataFrame(kept, index=frame.index))  # a copy: the database takes no view that runs backwards


def stored_types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Give the database's own type of each column of a relation."""
    return {name: str(kind) for name, kind, *_ in connection.execute(f"describe select * from {relation}").fetchall()}


def trimmed_sql(column: str, stored: str) -> str:
    """Give the SQL expression that takes the blanks around a text away and makes an empty one null; a value of another type stays as it is."""
    if stored in _TYPED or stored.startswith("DECIMAL"):
        return column
    return f"nullif(trim(cast({column} as varchar), {literal(_BLANKS)}), '')"


def text_sql(column: str, stored: str) -> str:
    """Give the SQL expression that writes a stored value as a CSV file would hold it: a whole number without decimals, a day without its midnight.

    Parameters
    ----------
    column : str
        SQL expression, trimmed if it is a text.
    stored : str
        The database's own type of it.
    """
    written = f"cast({column} as varchar)"
    match stored.partition("(")[0]:
        case "VARCHAR":
            return column
        case "BOOLEAN":
            return f"cast(cast({column} as integer) as varchar)"
        case "DOUBLE" | "FLOAT" | "DECIMAL":
            whole, is_whole = f"cast(cast({column} as bigint) as varchar)", f"{column} = trunc({column}) and abs({column}) < {_EXACT_WHOLE}"
            return f"case when isnan({column}) then null when {is_whole} then {whole} else {written} end"
        case "TIMESTAMP" | "TIMESTAMP_NS" | "TIMESTAMP_MS" | "TIMESTAMP_S":
            return f"case when {column} = date_trunc('day', {column}) then cast(cast({column} as date) as varchar) else {written} end"
        case _:
            return written


def text(value: object) -> str:
    """Write one value as a category list does: 1.0 and True as 1, a day without its midnight."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:.0f}" if number.is_integer() and abs(number) < _EXACT_WHOLE else repr(number)
    if isinstance(value, dt.datetime) and value.time() == dt.time.min:
        return value.date().isoformat()
    return str(value)


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Quote a text for SQL."""
    return "'" + value.replace("'", "''") + "'"


def _storable(column: pd.Series) -> pd.Series:
    kind = column.dtype
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_dtype(kind):
        return column
    if pd.api.types.infer_dtype(column, skipna=True) not in ("string", "empty"):
        column = column.map(text, na_action="ignore")
    return column.astype("string")


def _filtered(aggregate: str, places: Sequence[int]) -> list[str]:
    return [f'{aggregate} filter ("broken {place}")' for place in places]


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[object, ...]:
    (row,) = connection.execute(query).fetchall()
    return cast(tuple[object, ...], row)
