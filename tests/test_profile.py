"""Counted by hand and by pandas: rows by period, what is a sudden low and what is not, which codes came and went, what is missing."""

import datetime as dt
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from evaluation.registers import profile
from evaluation.registers.contract import load_contract
from evaluation.registers.profile import Profile, profile_registers
from evaluation.registers.reading import TYPES
from evaluation.registers.store import Registers, open_store

CONTRACT = load_contract()


def delivered(tables: Mapping[str, pd.DataFrame], complete: str = "2022-12-01") -> Registers:
    """Make registers of a few columns; the others hold nulls."""
    delivery = pd.DataFrame({"myndighet": ["SCB"], "datauttag": ["2023-02-01"], "komplett_t_o_m": [complete], "syntetisk": [True]})
    given = {"leverans": delivery, **tables}
    connection = open_store(threads=1)
    connection.execute("create schema register")
    names = tuple(name for name in CONTRACT.tables if name in given)
    for name in names:
        connection.register("given", given[name])
        fields = CONTRACT.tables[name].fields
        columns = [f'cast({f"{field.name}" if field.name in given[name] else "null"} as {TYPES[field.kind]}) as "{field.name}"' for field in fields]
        connection.execute(f'create table register."{name}" as select {", ".join(columns)} from given')
        connection.unregister("given")
    return Registers(connection, CONTRACT, names)


def by_month(counts: list[int], first: str = "2015-01") -> pd.DataFrame:
    """Make categories that start so many a month."""
    months = pd.period_range(first, periods=len(counts), freq="M").to_timestamp()
    return pd.DataFrame({"start": np.repeat(months.strftime("%Y-%m-15").to_numpy(), counts), "skat": "11"})


def lows(found: Profile, table: str = "sokandekategori") -> list[str]:
    low = found.coverage[(found.coverage["table"] == table) & found.coverage["low"]]
    return [f"{year}-{month:02}" for year, month in zip(low["year"], low["month"], strict=True)]


def table(found: Profile, name: str) -> dict[str, object]:
    return found.tables.set_index("table").loc[name].to_dict()


# --- coverage


@pytest.mark.hand
def test_rows_are_counted_by_month_from_the_first_to_the_last_with_the_empty_months_between() -> None:
    starts = pd.DataFrame({"inskriven_datum": ["2020-01-31", "2020-01-01", "2020-04-02", None]})
    found = profile_registers(delivered({"inskrivning": starts}))
    assert found.coverage[["year", "month", "rows"]].to_numpy().tolist() == [[2020, 1, 2], [2020, 2, 0], [2020, 3, 0], [2020, 4, 1]]
    assert table(found, "inskrivning") == {
        "agency": "Arbetsförmedlingen",
        "rows": 4,
        "dated_by": "inskriven_datum",
        "grain": "month",
        "undated": 1,
        "first": "2020-01",
        "last": "2020-04",
    }


@pytest.mark.hand
def test_a_table_by_year_is_counted_by_year() -> None:
    found = profile_registers(delivered({"arsinkomst": pd.DataFrame({"ar": [2019, 2021, 2021]})}))
    assert found.coverage[["year", "month", "rows"]].to_numpy().tolist() == [[2019, 0, 1], [2020, 0, 0], [2021, 0, 2]]
    assert [table(found, "arsinkomst")[key] for key in ("grain", "first", "last")] == ["year", "2019", "2021"]


def test_a_table_whose_rows_have_no_date_is_counted_and_not_covered() -> None:
    found = profile_registers(delivered({"individ": pd.DataFrame({"kon": ["1", "2"], "dod_datum": ["2020-01-01", None]})}))
    assert found.coverage.empty
    assert [table(found, name)["rows"] for name in ("leverans", "individ")] == [1, 2]


def test_an_empty_table_has_no_period_and_lacks_nothing() -> None:
    found = profile_registers(delivered({"studier": pd.DataFrame({"start": pd.Series(dtype=str)})}))
    assert [table(found, "studier")[key] for key in ("rows", "first", "last", "undated")] == [0, "", "", 0]
    assert found.missing.query("table == 'studier'")["rows"].sum() == 0
    assert found.drift.empty


@pytest.mark.property
@settings(max_examples=15, deadline=None)
@given(
    starts=st.lists(st.none() | st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)) | st.dates(dt.date(2019, 1, 1), dt.date(2021, 1, 1)), max_size=40)
)
def test_every_dated_row_is_in_one_period_and_the_order_of_rows_is_nothing(starts: list[dt.date | None]) -> None:
    frame = pd.DataFrame({"registrerad_datum": [None if day is None else day.isoformat() for day in starts]}, dtype=object)
    found, reverse = (profile_registers(delivered({"funktionsnedsattning": rows})) for rows in (frame, frame.iloc[::-1].copy()))
    assert found.coverage["rows"].sum() == sum(day is not None for day in starts)
    counted = {(year, month): rows for year, month, rows in found.coverage[["year", "month", "rows"]].itertuples(index=False) if rows}
    assert counted == pd.Series([(day.year, day.month) for day in starts if day], dtype=object).value_counts().to_dict()
    pd.testing.assert_frame_equal(found.coverage, reverse.coverage)


# --- sudden lows


@pytest.mark.hand
@pytest.mark.parametrize(
    ("rows", "low"),
    [
        ([40] * 12 + [0] + [40] * 12, ["2016-01"]),
        ([40] * 12 + [9] + [40] * 12, ["2016-01"]),
        ([40] * 12 + [10] + [40] * 12, []),
        ([10] * 12 + [0] + [10] * 12, ["2016-01"]),
        ([10] * 12 + [1] + [10] * 12, []),
        ([9] * 12 + [0] + [9] * 12, []),
        ([40] * 12 + [0] * 8 + [40] * 12, [f"2016-{month:02}" for month in range(1, 9)]),
        ([0] + [40] * 12, []),
        ([1] + [40] * 12 + [1], []),
        ([0, 0, 9, 40] * 10, []),
    ],
    ids=[
        *("nothing", "under a quarter", "a quarter", "none of ten", "one of ten", "none of nine"),
        *("a long gap, all of it", "before the first row", "the first and the last month", "a season"),
    ],
)
def test_a_month_is_a_sudden_low_beside_the_months_around_it(rows: list[int], low: list[str]) -> None:
    assert lows(profile_registers(delivered({"sokandekategori": by_month(rows)}))) == low


@pytest.mark.hand
def test_a_month_that_is_low_every_year_is_a_season_and_once_is_not() -> None:
    studies = ([50] * 6 + [2] + [50] * 5) * 5
    assert lows(profile_registers(delivered({"sokandekategori": by_month(studies)}))) == []
    studies[30], studies[33] = 50, 2
    assert lows(profile_registers(delivered({"sokandekategori": by_month(studies)}))) == ["2017-10"]


@pytest.mark.hand
def test_what_comes_after_the_last_complete_month_is_not_judged() -> None:
    rows = by_month([40] * 12 + [0, 40, 0, 40])
    for complete, low in (("2015-12-01", []), ("2016-01-01", ["2016-01"]), ("2016-03-01", ["2016-01", "2016-03"])):
        assert lows(profile_registers(delivered({"sokandekategori": rows}, complete))) == low


@pytest.mark.hand
def test_a_year_is_judged_by_the_years_around_it_once_it_is_complete() -> None:
    rows = pd.DataFrame({"ar": np.repeat(np.arange(2015, 2023), [40, 40, 40, 3, 40, 40, 3, 40])})
    assert lows(profile_registers(delivered({"arsinkomst": rows}, "2021-12-01")), "arsinkomst") == ["2018-00", "2021-00"]
    assert lows(profile_registers(delivered({"arsinkomst": rows}, "2021-11-01")), "arsinkomst") == ["2018-00"]


# --- codes


def coded(years: dict[int, dict[str | None, int]]) -> pd.DataFrame:
    """Make categories with so many rows of each code in each year."""
    rows = [(f"{year}-06-01", code, count) for year, codes in years.items() for code, count in codes.items()]
    return pd.DataFrame([(day, code) for day, code, count in rows for _ in range(count)], columns=["start", "skat"])


def drifted(years: dict[int, dict[str | None, int]]) -> list[tuple[str, int, str, int, int, int, int]]:
    found = profile_registers(delivered({"sokandekategori": coded(years)})).drift
    return [tuple(row) for row in found[["code", "year", "kind", "rows_before", "of_before", "rows", "of"]].itertuples(index=False)]


@pytest.mark.hand
def test_codes_are_counted_by_year_among_the_rows_that_have_one() -> None:
    found = profile_registers(delivered({"sokandekategori": coded({2019: {"11": 3, "14": 1, None: 5}, 2020: {"11": 2}})}))
    assert found.codes[["table", "column", "code", "year", "rows", "of"]].to_numpy().tolist() == [
        ["sokandekategori", "skat", "11", 2019, 3, 4],
        ["sokandekategori", "skat", "11", 2020, 2, 2],
        ["sokandekategori", "skat", "14", 2019, 1, 4],
    ]


@pytest.mark.hand
def test_a_code_that_comes_goes_or_changes_its_share_is_told_once_for_each_year() -> None:
    assert drifted({2018: {"11": 400, "70": 100}, 2019: {"11": 400, "51": 100}, 2020: {"11": 300, "51": 200}}) == [
        ("11", 2020, "changed", 400, 500, 300, 500),
        ("51", 2019, "came", 0, 500, 100, 500),
        ("51", 2020, "changed", 100, 500, 200, 500),
        ("70", 2019, "went", 100, 500, 0, 500),
    ]


@pytest.mark.hand
@pytest.mark.parametrize(
    "years",
    [
        {2018: {"11": 499}, 2019: {"51": 500}},
        {2018: {"11": 500}, 2019: {"11": 499, "51": 9}},
        {2018: {"11": 500, "70": 500}, 2019: {"11": 590, "70": 410}},
        {2017: {"11": 500}, 2019: {"51": 500}},
        {2022: {"11": 500}, 2023: {"51": 500}},
    ],
    ids=["too few rows in a year", "too small a share", "too small a change", "a year between", "a year that is not complete"],
)
def test_no_drift_is_told_where_chance_or_an_unfinished_year_could_make_it(years: dict[int, dict[str, int]]) -> None:
    assert drifted(years) == []


def test_codes_of_several_columns_are_kept_apart() -> None:
    rows = pd.DataFrame({"start": ["2020-01-01", "2020-02-01"], "programkod": ["JUG", "JUG"], "slutorsak": ["arbete", None]})
    found = profile_registers(delivered({"program_beslut": rows})).codes
    assert found[["column", "code", "rows", "of"]].to_numpy().tolist() == [["programkod", "JUG", 2, 2], ["slutorsak", "arbete", 1, 1]]


# --- missing values, and people


@pytest.mark.hand
def test_missing_values_are_counted_by_column() -> None:
    rows = pd.DataFrame({"inskriven_datum": ["2020-01-01", "2020-01-02", None], "kontor": ["a", None, None]})
    found = profile_registers(delivered({"inskrivning": rows})).missing.query("table == 'inskrivning'").set_index("column")
    assert found["rows"].to_dict() == {
        **dict.fromkeys(["lopnr", "inskr_id", "avaktualiserad_datum", "avaktualiseringsorsak"], 3),
        "inskriven_datum": 1,
        "kontor": 2,
    }
    assert set(found["of"]) == {3}


def test_no_value_of_a_person_is_in_the_profile() -> None:
    rows = pd.DataFrame({"lopnr": ["secret"], "inskr_id": ["secret"], "inskriven_datum": ["2020-01-17"], "kontor": ["secret"]})
    found = profile_registers(delivered({"inskrivning": rows, "individ": pd.DataFrame({"lopnr": ["secret"], "fodelsear": [1987]})}))
    told = " ".join(frame.to_csv() for frame in (found.tables, found.coverage, found.codes, found.drift, found.missing))
    assert not [value for value in ("secret", "1987", "2020-01-17") if value in told]


# --- the limits


@pytest.mark.reference
def test_the_limits_are_as_rare_by_chance_as_they_are_said_to_be() -> None:
    assert poisson.cdf(profile.LOW_SHARE * profile.TYPICAL_ROWS - 1, profile.TYPICAL_ROWS) == pytest.approx(1 / 60_000, rel=0.05)
    assert poisson.pmf(0, profile.TYPICAL_ROWS_OF_NONE) == pytest.approx(1 / 20_000, rel=0.1)
    assert binom.pmf(0, profile.YEAR_ROWS, profile.NEW_SHARE) == pytest.approx(1 / 20_000, rel=0.2)
    error = np.sqrt(0.25 / profile.YEAR_ROWS)
    assert error == pytest.approx(0.022, abs=5e-4)
    assert pytest.approx(3, rel=0.06) == profile.CHANGED_SHARE / (np.sqrt(2) * error)
