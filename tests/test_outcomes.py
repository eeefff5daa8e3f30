"""Follow-up as read from a table: what is kept, and what is refused with every reason at once."""

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.outcomes import TimeUnit, TimeWeights, followup_from_table
from evaluation.errors import InputError

SECRET = "19800101-1234"  # looks like a person's identity number; no message may hold it

PEOPLE = pd.DataFrame(
    [("a", 3, "work"), ("b", 1, "censored"), ("c", 2, "study"), ("d", 5, "work")],
    columns=["person", "weeks", "exit"],
)


def read(frame, **changes):
    arguments = {"days": "weeks", "event": "exit", "person": "person", "censored": "censored"} | changes
    return followup_from_table(frame, **arguments)


@pytest.mark.hand
@pytest.mark.parametrize(("unit", "length"), [("day", 1), ("week", 7), ("two_weeks", 14), ("month", 365.25 / 12), ("year", 365.25)])
def test_durations_are_kept_in_days_and_remember_their_unit(unit, length):
    follow_up = read(PEOPLE, unit=unit)
    assert follow_up.days.tolist() == [3 * length, 1 * length, 2 * length, 5 * length]
    assert follow_up.horizon == 5 * length
    assert follow_up.unit is TimeUnit.named(unit)


@pytest.mark.hand
def test_states_are_sorted_and_censoring_comes_first():
    follow_up = read(PEOPLE)
    assert follow_up.states == ("study", "work")
    assert follow_up.state.categories.tolist() == ["censored", "study", "work"]
    assert follow_up.state.tolist() == ["work", "censored", "study", "work"]


@pytest.mark.hand
def test_declared_states_keep_their_order_even_where_nobody_left_to_them():
    assert read(PEOPLE, states=["work", "study", "moved"]).states == ("work", "study", "moved")


@pytest.mark.hand
@pytest.mark.parametrize("kind", [int, float, bool, "Int64", "boolean"])
def test_zero_and_one_become_censored_and_event(kind):
    follow_up = read(PEOPLE.assign(exit=pd.Series([1, 0, 1, 1]).astype(kind)), censored=0)
    assert follow_up.states == ("event",)
    assert follow_up.state.tolist() == ["event", "censored", "event", "event"]


@pytest.mark.hand
def test_the_index_is_the_id_where_no_column_is_named():
    follow_up = read(PEOPLE.set_index("person"), person=None)
    assert follow_up.person.tolist() == ["a", "b", "c", "d"]
    assert follow_up.to_frame().columns.tolist() == ["person", "days", "state"]


@pytest.mark.property
def test_reading_leaves_the_table_as_it_was_and_the_days_cannot_be_changed():
    frame = PEOPLE.copy()
    follow_up = read(frame)
    pd.testing.assert_frame_equal(frame, PEOPLE)
    with pytest.raises(ValueError, match="read-only"):
        follow_up.days[0] = 1


@pytest.mark.property
def test_nobody_need_be_censored_where_the_states_are_declared():
    follow_up = read(PEOPLE.assign(exit="work"), states=["work"])
    assert follow_up.state.tolist() == ["work"] * 4


BROKEN = {
    "a missing column": (PEOPLE.rename(columns={"weeks": "months"}), {}, r"weeks: is not a column of the follow-up table; .* has 3 columns"),
    "an empty table": (PEOPLE.head(0), {}, r"the follow-up table: has no rows"),
    "a duration in words": (PEOPLE.assign(weeks=["3", "1", SECRET, "5"]), {}, r"weeks: must be a number; 1 of 4 rows does not, first at row 3"),
    "a missing duration": (PEOPLE.assign(weeks=[3, None, 2, 5]), {}, r"weeks: must not be missing; 1 of 4 rows does not, first at row 2"),
    "an endless duration": (PEOPLE.assign(weeks=[3, 1, 2, np.inf]), {}, r"weeks: must be finite; 1 of 4 rows does not, first at row 4"),
    "a negative duration": (PEOPLE.assign(weeks=[-3, 1, -2, 5]), {}, r"weeks: must not be negative; 2 of 4 rows do not, first at row 1"),
    "a duration of zero": (PEOPLE.assign(weeks=[3, 0, 2, 5]), {}, r"weeks: must be above 0; 1 of 4 rows does not, first at row 2"),
    "a missing event": (PEOPLE.assign(exit=["work", "censored", None, "work"]), {}, r"exit: must not be missing; 1 of 4 rows .* first at row 3"),
    "an undeclared event": (
        PEOPLE.assign(exit=["work", "censored", "study", SECRET]),
        {"states": ["work", "study"]},
        r"exit: must be the censoring label or one of the 2 declared states; 1 of 4 rows does not, first at row 4",
    ),
    "no row with the censoring label": (PEOPLE.replace("censored", "still open"), {"censored": "open"}, r"exit: has no row with the censoring label"),
    "a person twice": (PEOPLE.assign(person=[SECRET, "b", "c", SECRET]), {}, r"person: must be unique, one row per person; 1 of 4 .* row 4"),
    "an index twice": (PEOPLE.set_axis([1, 2, 2, 3]), {"person": None}, r"the table's index: must be unique"),
    "an unknown unit": (PEOPLE, {"unit": "fortnight"}, r"unit: is not a known unit of time; choose among day, week, two_weeks, month, year"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_table_that_breaks_a_rule_is_refused(broken):
    frame, changes, message = BROKEN[broken]
    with pytest.raises(InputError, match=rf"\(1 problem\):\n  1\. {message}") as error:
        read(frame, **changes)
    assert SECRET not in str(error.value)


def test_every_broken_rule_is_listed_and_no_value_is_shown():
    frame = pd.DataFrame(
        {
            "person": [SECRET, "b", SECRET, "d", "e", "f"],
            "weeks": [SECRET, "", "-4", "0", None, "inf"],
            "exit": ["work", None, SECRET, "censored", "work", "work"],
        }
    )
    with pytest.raises(InputError, match=r"\(8 problems\)") as error:
        read(frame, states=["work"])
    assert [(problem.where, problem.count, problem.first_row) for problem in error.value.problems] == [
        ("weeks", 1, 5),  # missing
        ("weeks", 2, 1),  # not a number
        ("weeks", 1, 6),  # not finite
        ("weeks", 1, 3),  # negative
        ("weeks", 1, 4),  # zero
        ("exit", 1, 2),  # missing
        ("exit", 1, 3),  # undeclared
        ("person", 1, 3),  # twice
    ]
    assert SECRET not in str(error.value)


def test_several_missing_columns_are_named_together():
    with pytest.raises(InputError, match=r"\(3 problems\)") as error:
        read(PEOPLE.rename(columns=str.upper))
    assert [problem.where for problem in error.value.problems] == ["weeks", "exit", "person"]


@pytest.mark.parametrize("column", [pd.date_range("2024-01-01", periods=4), pd.to_timedelta([3, 1, 2, 5], unit="D")], ids=["date", "timedelta"])
def test_a_date_or_a_time_span_is_not_taken_for_a_number(column):
    with pytest.raises(InputError, match="weeks: must be a number"):
        read(PEOPLE.assign(weeks=column))


@pytest.mark.property
def test_long_numeric_event_codes_stay_apart():
    follow_up = read(PEOPLE.assign(exit=[1000001, 0, 1000002, 1000001]), censored=0)
    assert len(follow_up.states) == 2


def test_a_numeric_censoring_label_that_never_occurs_is_noticed():
    with pytest.raises(InputError, match="exit: has no row with the censoring label"):
        read(PEOPLE.assign(exit=[1, 0, 1, 1]), censored=9)


@pytest.mark.parametrize("states", [["work", "work", "study"], ["work", "study", "censored"]], ids=["twice", "the censoring label"])
def test_declared_states_must_be_different_states(states):
    with pytest.raises(InputError, match="states"):
        read(PEOPLE, states=states)


@pytest.mark.parametrize("states", [None, ["any", "study"]], ids=["found", "declared"])
def test_a_state_may_not_be_called_any(states):
    """In curves and effects "any" is success of whatever kind; a state of that name would silently take its place."""
    with pytest.raises(InputError, match="any"):
        read(PEOPLE.replace("work", "any"), states=states)


@pytest.mark.property
def test_people_are_found_by_their_id_and_not_by_their_row(four_pairs):
    cohort, comparison, follow_up = four_pairs
    more = pd.DataFrame({"person": ["stranger"], "days": [99.0], "state": ["work"]})
    table = pd.concat([more, follow_up.to_frame().astype({"state": str}).iloc[::-1]])
    elsewhere = followup_from_table(table, days="days", event="state", person="person", censored="censored")
    found, expected = (compared_follow_up(cohort, comparison, one) for one in (elsewhere, follow_up))
    assert found.days.tolist() == expected.days.tolist()
    assert found.exit.tolist() == expected.exit.tolist()


def test_somebody_compared_without_follow_up_is_counted_and_not_named(four_pairs):
    cohort, comparison, follow_up = four_pairs
    rest = followup_from_table(follow_up.to_frame().head(6), days="days", event="state", person="person", censored="censored")
    with pytest.raises(InputError, match=r"follow-up: must exist for everybody who is compared; 2 of 8 rows do not") as error:
        compared_follow_up(cohort, comparison, rest)
    assert not any(person in str(error.value) for person in cohort.person)


def test_a_comparison_of_another_cohort_is_refused(four_pairs, random_study):
    _, comparison, follow_up = four_pairs
    with pytest.raises(InputError, match="comparison: was made of another cohort"):
        compared_follow_up(random_study(1, ties=True).cohort, comparison, follow_up)


@pytest.mark.hand
def test_among_several_codes_one_is_a_code_like_the_others_and_alone_it_is_the_event() -> None:
    people = pd.DataFrame({"weeks": [3, 1, 2, 5], "several": [1, 2, 0, 1], "alone": [1, 1, 0, 1], "text": ["work", "0", "study", "work"]})
    assert followup_from_table(people, days="weeks", event="several").states == ("1", "2")
    assert followup_from_table(people, days="weeks", event="alone").states == ("event",)
    assert followup_from_table(people, days="weeks", event="text").states == ("study", "work")


@pytest.mark.hand
def test_weights_that_change_with_time_are_a_row_per_piece_and_follow_the_rows_that_are_taken():
    weights = TimeWeights(np.array([0, 1, 1]), np.array([0.0, 0.0, 5.0]), np.array([9.0, 5.0, 8.0]), np.array([1.0, 1.0, 1.5]))
    table = weights.to_frame()
    assert table.columns.tolist() == ["row", "start_days", "stop_days", "factor"]
    assert table.to_numpy().tolist() == [[0, 0, 9, 1], [1, 0, 5, 1], [1, 5, 8, 1.5]]
    assert weights.of_rows(np.array([1]), 2).to_frame().to_numpy().tolist() == [[0, 0, 5, 1], [0, 5, 8, 1.5]]
    assert weights.of_rows(np.array([1, 0]), 2).to_frame()["row"].tolist() == [0, 0, 1]
