"""What does the delivery hold: how many rows when, with what gaps, which codes, and what is missing?

Each table is read once, grouped by period and by the codes of each year. A period is a sudden low if it has far fewer rows than the periods around
it and than the same month of the years around; a code drifts if it comes, goes or changes its share from one year to the next. Both are questions to
the agency, not errors: a reform looks the same as a fault in the extract. Only counts leave this room; whoever shows them passes them through the
disclosure gate.

References
----------
Wallgren & Wallgren (2014). Register-based Statistics: Statistical Methods for Administrative Data.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.registers.schema import Schema
from evaluation.registers.store import Registers

Grain = Literal["month", "year", ""]

# periods with rows looked at on either side: a whole year of months, but years change by themselves
AROUND: dict[Grain, int] = {"month": 6, "year": 2}
SEASONS = 3  # years looked at on either side for the same month: studies begin every August, and an empty July is no gap
LOW_SHARE = 0.25  # of what is typical: holidays and reforms may halve a month, an extract that lost weeks or an office leaves less
TYPICAL_ROWS = 20  # a period is judged only where so many are typical: of 20, fewer than 5 come by chance once in 60,000 periods
TYPICAL_ROWS_OF_NONE = 10  # and of 10, none at all once in 20,000
YEAR_ROWS = 500  # a year's codes are judged only with so many rows: a share then has a standard error of at most 2.2 points
NEW_SHARE = 0.02  # a code that comes or goes is told from this share on: ten of 500 rows, and none of ten is chance once in 20,000 years
CHANGED_SHARE = 0.10  # a change is told from ten points on: three standard errors of the difference between two such years
_MONTHS = 12
_COVERAGE = {"year": "int64", "month": "int64", "rows": "int64", "typical": "float64", "low": "bool"}


@dataclass(frozen=True, eq=False)
class Profile:
    """What the delivered tables hold, in counts.

    Attributes
    ----------
    tables : DataFrame
        One row per table: table, agency, rows, dated_by (empty where rows have no date), grain ("month", "year" or ""), undated (rows without
        that date), first, last (periods "2019-03" or "2019", empty where there are none).
    coverage : DataFrame
        One row per table and period from its first to its last: table, year, month (0 where the table is by year), rows, typical (what the
        periods around have), low (whether it is a sudden low).
    codes : DataFrame
        One row per code and year: table, column, code, year, rows, of (rows of that year in which the column is filled in).
    drift : DataFrame
        One row per code that came, went or changed from one year to the next: table, column, code, year (the later one), kind ("came", "went"
        or "changed"), rows_before, of_before, rows, of.
    missing : DataFrame
        One row per column: table, column, rows (without a value), of.
    complete_until : date
        The last day whose records are complete at every agency; no later period is judged.
    """

    tables: pd.DataFrame
    coverage: pd.DataFrame
    codes: pd.DataFrame
    drift: pd.DataFrame
    missing: pd.DataFrame
    complete_until: dt.date


def profile_registers(registers: Registers) -> Profile:
    """Count what the registers hold: rows by period, sudden lows, codes by year, and missing values.

    Parameters
    ----------
    registers : Registers

    Returns
    -------
    Profile
    """
    tables, coverage, codes, missing = [], [], [], []
    for name in registers.names:
        schema = registers.contract.tables[name]
        dated_by, grain = _dating(schema)
        counts = _count(registers, schema, dated_by, grain)
        periods = _cover(counts, grain, registers.complete_until)
        tables.append(_describe(schema, dated_by, grain, counts, periods))
        coverage.append(periods.assign(table=name))
        codes.append(_codes(counts).assign(table=name))
        missing.append(_missing(schema, counts))
    by_code = pd.concat(codes, ignore_index=True)[["table", "column", "code", "year", "rows", "of"]]
    return Profile(
        tables=pd.DataFrame(tables),
        coverage=pd.concat(coverage, ignore_index=True)[["table", "year", "month", "rows", "typical", "low"]],
        codes=by_code,
        drift=_drift(by_code, registers.complete_until.year),
        missing=pd.concat(missing, ignore_index=True),
        complete_until=registers.complete_until,
    )


def _dating(schema: Schema) -> tuple[str, Grain]:
    """Give the column that says when a row is from: its spell's start, its month, its year, or in a table of persons its date."""
    if schema.spell:
        return schema.spell.start, "month"
    roles: dict[str, Grain] = {"month": "month", "year": "year"}
    if schema.of_persons:
        roles["date"] = "month"
    return next(((entry.name, roles[entry.role]) for entry in schema.fields if entry.role in roles), ("", ""))


def _count(registers: Registers, schema: Schema, dated_by: str, grain: Grain) -> pd.DataFrame:
    """Count a table in one pass: its rows and filled-in values ("all"), its rows by period ("period") and by year and code (the column's name)."""
    period = {"month": f'12 * year("{dated_by}") + month("{dated_by}") - 1', "year": f'"{dated_by}"', "": "null::bigint"}[grain]
    year = f"_period // {_MONTHS}" if grain == "month" else "_period"
    coded = [f'"{entry.name}"' for entry in schema.fields if entry.role == "code" and grain]
    whose = "".join(f" when grouping({code}) = 0 then '{code[1:-1]}'" for code in coded)
    sets = "".join(f", (_year, {code})" for code in coded)
    filled = ", ".join(f'count("{entry.name}")' for entry in schema.fields)
    query = f"""
        select case when grouping(_period) = 0 then 'period'{whose} else 'all' end as counted, _period as period, any_value(_year) as year,
               coalesce({", ".join([*coded, "null::varchar"])}) as code, count(*) as rows, [{filled}] as filled
        from (select *, {year} as _year from (select *, {period} as _period from register."{schema.name}"))
        group by grouping sets ((), (_period){sets})"""
    return registers.connection.execute(query).df()


def _cover(counts: pd.DataFrame, grain: Grain, until: dt.date) -> pd.DataFrame:
    """Give every period from the first with rows to the last, and judge those that lie strictly between, whole and complete."""
    having = counts[(counts["counted"] == "period") & counts["period"].notna()].astype({"period": "int64"})
    if having.empty:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COVERAGE.items()})
    period = np.arange(having["period"].min(), having["period"].max() + 1)
    counted = having.set_index("period")["rows"].reindex(period, fill_value=0).to_numpy(dtype=np.float64)
    typical = _typical(counted, AROUND[grain])
    if grain == "month":
        typical = np.fmin(typical, _seasonal(counted))  # which is missing in a table of less than two years
    complete = period < (_MONTHS * until.year + until.month if grain == "month" else (until + dt.timedelta(days=1)).year)
    low = (counted < LOW_SHARE * typical) & (typical >= np.where(counted == 0, TYPICAL_ROWS_OF_NONE, TYPICAL_ROWS)) & complete
    low[[0, -1]] = False  # where a table begins and ends a period may hold a few days only
    year, month = divmod(period, _MONTHS) if grain == "month" else (period, np.full(len(period), -1))
    return pd.DataFrame({"year": year, "month": month + 1, "rows": counted.astype(np.int64), "typical": typical, "low": low})


def _typical(rows: NDArray[np.float64], around: int) -> NDArray[np.float64]:
    """Give the median of the nearest periods that have rows, so many on either side: in a long gap those at its edges."""
    having = np.flatnonzero(rows)
    padded = np.concatenate([np.full(around, np.nan), rows[having], np.full(around, np.nan)])
    before = np.searchsorted(having, np.arange(len(rows)))[:, None] + np.arange(around)
    after = before + around + (rows > 0)[:, None]
    return _medians(padded[np.hstack([before, after])], otherwise=0)


def _seasonal(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the median of the same month in the years around; missing where the table has no other such month."""
    reach = SEASONS * _MONTHS
    padded = np.concatenate([np.full(reach, np.nan), rows, np.full(reach, np.nan)])
    years = np.delete(np.arange(-SEASONS, SEASONS + 1), SEASONS)
    return _medians(padded[np.arange(len(rows))[:, None] + reach + _MONTHS * years], otherwise=np.nan)


def _medians(values: NDArray[np.float64], otherwise: float) -> NDArray[np.float64]:
    """Give the median of what is known in each row."""
    known = ~np.isnan(values).all(axis=1)
    medians = np.full(len(values), otherwise)
    medians[known] = np.nanmedian(values[known], axis=1)
    return medians


def _describe(schema: Schema, dated_by: str, grain: Grain, counts: pd.DataFrame, periods: pd.DataFrame) -> dict[str, object]:
    whole = _whole(counts)
    names = [f"{year}-{month:02}" if month else str(year) for year, month in zip(periods["year"], periods["month"], strict=True)]
    return {
        "table": schema.name,
        "agency": schema.agency,
        "rows": int(whole["rows"]),
        "dated_by": dated_by,
        "grain": grain,
        "undated": int(whole["rows"] - periods["rows"].sum()) if dated_by else 0,
        "first": names[0] if names else "",
        "last": names[-1] if names else "",
    }


def _missing(schema: Schema, counts: pd.DataFrame) -> pd.DataFrame:
    whole = _whole(counts)
    names = [entry.name for entry in schema.fields]
    return pd.DataFrame({"table": schema.name, "column": names, "rows": whole["rows"] - np.array(whole["filled"]), "of": int(whole["rows"])})


def _whole(counts: pd.DataFrame) -> pd.Series:
    return counts[counts["counted"] == "all"].iloc[0]


def _codes(counts: pd.DataFrame) -> pd.DataFrame:
    coded = counts[~counts["counted"].isin(["all", "period"]) & counts["year"].notna() & counts["code"].notna()]
    coded = coded.rename(columns={"counted": "column"}).astype({"year": "int64"}).sort_values(["column", "code", "year"])
    return coded.assign(of=coded.groupby(["column", "year"])["rows"].transform("sum"))


def _drift(codes: pd.DataFrame, last_year: int) -> pd.DataFrame:
    """Hold each code's share against the year before, where both years have rows enough."""
    column, code = ["table", "column", "year"], ["table", "column", "code", "year"]
    years = codes.drop_duplicates(column)[[*column, "of"]]
    years = years[(years["of"] >= YEAR_ROWS) & (years["year"] <= last_year)]
    pairs = years.merge(years.assign(year=years["year"] + 1), on=column, suffixes=("", "_before"))
    rows = codes[[*code, "rows"]]
    both = rows.merge(rows.assign(year=rows["year"] + 1), on=code, how="outer", suffixes=("", "_before")).fillna({"rows": 0, "rows_before": 0})
    both = both.merge(pairs, on=column).astype({"rows": "int64", "rows_before": "int64"})
    share, before = both["rows"] / both["of"], both["rows_before"] / both["of_before"]
    kinds = [
        (both["rows_before"] == 0) & (share >= NEW_SHARE),
        (both["rows"] == 0) & (before >= NEW_SHARE),
        (share - before).abs() >= CHANGED_SHARE,
    ]
    both["kind"] = np.select(kinds, ["came", "went", "changed"], "")
    told = both[both["kind"] != ""].sort_values(code, ignore_index=True)
    return told[[*code, "kind", "rows_before", "of_before", "rows", "of"]]
