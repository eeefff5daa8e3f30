"""What looks like an identity number is found, alone or in a text, in pandas and in the database alike; what only looks a little like one is not."""

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.registers.identity import (
    candidate_sql,
    holding_identity_numbers,
    identity_numbers,
    looks_like_identity_number,
    masked,
    names_a_person,
)

# The numbers Skatteverket itself uses as examples, and numbers made up here.
FOUND = [
    "19800101-1234",  # any last digit, where there is a separator
    "800101-1234",
    "200101+1234",  # from the age of 100
    "20000229-0000",
    "811218-9876",
    "8112189876",
    "198112189876",
    "701063-2391",  # samordningsnummer: the day is 3 + 60
    "7010632391",
    "197010632391",
    "640823–3234",  # the dash of a word processor
    "born 640823-3234, moved",
    "x8112189876y",
    "1234567890 and 8112189876",
    "\n811218-9876\n",
    "800101 1231",  # a space for the dash, and the right check digit
    "Anna 19811218\u00a09876",
    "811218\u202f9876",
]
NOT_FOUND = [
    "",
    "P0001",
    "8112189875",  # wrong check digit
    "198112189875",
    "811318-9876",  # no such month
    "811232-9876",  # no such day
    "811260-9876",
    "811292-9876",
    "178112189876",  # no such century
    "81121898761",  # a digit too many
    "18112189876",
    "8112189876123",
    "811218-98761",
    "20200101-20201231",  # a period
    "2020-01-01",
    "2020-12-31 14:30:00",
    "19811218 9875",  # wrong check digit
    "811218  9876",
    "556036-0793",  # a company: its third digit is 2 or more
]


@pytest.mark.hand
@pytest.mark.parametrize("text", FOUND)
def test_an_identity_number_is_found(text: str) -> None:
    assert looks_like_identity_number(text)


@pytest.mark.hand
@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_is_none_is_not(text: str) -> None:
    assert not looks_like_identity_number(text)


def test_a_column_tells_which_of_its_values_hold_one() -> None:
    column = pd.Series([*FOUND, *NOT_FOUND, None, float("nan")], index=range(5, 7 + len(FOUND) + len(NOT_FOUND)))
    assert holding_identity_numbers(column).tolist() == [True] * len(FOUND) + [False] * (len(NOT_FOUND) + 2)


@pytest.mark.parametrize("kind", ["object", "string", "category", "Int64", "int64"])
def test_a_column_may_be_stored_in_any_way(kind: str) -> None:
    assert holding_identity_numbers(pd.Series([8112189876, 8112189875]).astype(kind)).tolist() == [True, False]


@pytest.mark.hand
def test_days_with_a_time_are_no_identity_numbers_though_every_tenth_has_the_check_digit() -> None:
    times = pd.Series([f"202001{day:02} {hour:02}{minute:02}" for day in range(1, 29) for hour in range(0, 24, 5) for minute in range(0, 60, 7)])
    assert sum(map(looks_like_identity_number, times)) > 50
    assert not holding_identity_numbers(times).any()
    among = pd.concat([times, pd.Series(["811218 9876", "8112189876"])], ignore_index=True)
    assert holding_identity_numbers(among).nonzero()[0].tolist() == [len(times), len(times) + 1]
    alone = pd.Series(["19800101 1231", None, "19800101 1231", "800101 1231"])
    assert holding_identity_numbers(alone).tolist() == [True, False, True, True]


@pytest.mark.hand
@pytest.mark.parametrize(
    ("name", "is_person", "shown"),
    [
        ("lopnr", False, "lopnr"),
        ("Anna Hemlig 19800101 1234", True, "***"),  # whatever the last digit
        ("individ.19800101-1234", True, "***"),
        ("8112189876", True, "***"),
        ("uttag_202303151200.csv", False, "***"),  # may be a day and a time, and is not worth the risk
        ("uttag_20230315.csv", False, "uttag_20230315.csv"),
    ],
)
def test_a_name_that_holds_the_digits_is_not_shown(name: str, is_person: bool, shown: str) -> None:
    assert (names_a_person(name), masked(name)) == (is_person, shown)


def test_the_database_finds_the_same() -> None:
    with duckdb.connect() as connection:
        connection.execute("create table t (a varchar)")
        connection.executemany("insert into t values (?)", [(text,) for text in [*FOUND, *NOT_FOUND, *FOUND, None]])
        assert sorted(identity_numbers(connection, "t", "a")) == sorted(FOUND)


PIECES = st.sampled_from(["811218", "9876", "19", "20", "-", "+", "–", "x", " ", "\n", "0", "8112189876", "811218-9876", "701063", "2391"])


@pytest.mark.property
@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.lists(PIECES, max_size=6).map("".join), min_size=5, max_size=40))
def test_nothing_is_lost_between_the_quick_search_and_the_exact_one(texts: list[str]) -> None:
    exact = [looks_like_identity_number(text) for text in texts]
    assert holding_identity_numbers(pd.Series(texts)).tolist() == exact
    values = ", ".join(f"('{text}')" for text in texts)
    with duckdb.connect() as connection:
        candidates = connection.execute(f"select {candidate_sql('a')} from (values {values}) t(a)").fetchall()
    assert all(candidate or not found for (candidate,), found in zip(candidates, exact, strict=True))
