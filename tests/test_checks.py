"""Rows that break a rule are counted and numbered, in SQL, for whatever a table holds."""

import datetime as dt
from collections.abc import Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest

from evaluation.registers.checks import Check, find_repeated, identifier, land_frame, literal, run_checks, stored_types, text, text_sql, trimmed_sql

ROWS = '(select i as "row number", i % 3 as a, i % 2 as b, 7 as c from range(1, 8) r(i)) record'


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


@pytest.mark.hand
def test_broken_rows_are_counted_and_the_first_five_numbered(connection: duckdb.DuckDBPyConnection) -> None:
    checks = [
        Check("a", "missing", "record.a > 0"),
        Check("b", "missing", "b > 5"),
        Check("b", "below", "b < 1", {"minimum": "1"}),
        Check("c", "missing", "null"),
    ]
    first, second = run_checks(connection, ROWS, "t", checks)
    assert (first.table, first.column, first.rows, first.of, first.first_rows) == ("t", "a", 5, 7, (1, 2, 4, 5, 7))
    assert (second.key, second.detail, second.rows, second.first_rows) == ("below", {"minimum": "1"}, 3, (2, 4, 6))


@pytest.mark.hand
def test_a_closer_look_is_taken_only_at_what_is_broken(connection: duckdb.DuckDBPyConnection) -> None:
    closer = (Check("a", "not_number", "a = 1"), Check("a", "not_whole", "a = 2"))
    assert [item.key for item in run_checks(connection, ROWS, "t", [Check("a", "missing", "a = 1", instead=closer)])] == ["not_number", "not_whole"]
    unreadable = (Check("a", "missing", "error('is not run')"),)
    assert run_checks(connection, ROWS, "t", [Check("a", "missing", "a = 9", instead=unreadable)]) == []


def test_without_checks_nothing_is_found(connection: duckdb.DuckDBPyConnection) -> None:
    assert run_checks(connection, "nothing", "t", []) == []


@pytest.mark.hand
def test_rows_after_the_first_of_a_key_are_counted_and_copies_apart_from_them(connection: duckdb.DuckDBPyConnection) -> None:
    #       row number, key, key, other
    rows = [(1, 1, "x", "a"), (2, 1, "x", "a"), (3, 1, "x", "b"), (4, 1, "y", "a"), (5, None, "x", "a"), (6, None, "x", "a"), (7, 1, "x", "a")]
    frame = pd.DataFrame(rows, columns=["row number", "k", "l", "m"]).astype({"k": "Int64"})
    connection.register("frame", frame)
    (repeated,) = find_repeated(connection, "frame", "t", "key_repeated", ["k", "l"])
    assert (repeated.key, repeated.column, repeated.detail, repeated.rows, repeated.of, repeated.first_rows) == (
        "key_repeated",
        "",
        {"key": "k, l"},
        3,
        7,
        (2, 3, 7),
    )
    repeated, copies = find_repeated(connection, "frame", "t", "key_repeated", ["k", "l"], ["k", "l", "m"])
    assert (repeated.rows, repeated.first_rows) == (1, (3,))
    assert (copies.key, copies.rows, copies.first_rows) == ("row_repeated", 2, (2, 7))
    assert find_repeated(connection, ROWS, "t", "repeated", ["row number"]) == []


@pytest.mark.hand
@pytest.mark.parametrize(
    ("value", "written"),
    [
        *((1, "1"), (1.0, "1"), (True, "1"), (np.float64(0.1), "0.1"), (1234567.0, "1234567"), (1e300, "1e+300"), (np.bool_(False), "0")),
        *((float("inf"), "inf"), ("a", "a"), (dt.date(2020, 1, 2), "2020-01-02"), (dt.datetime(2020, 1, 2), "2020-01-02")),
        (dt.datetime(2020, 1, 2, 3), "2020-01-02 03:00:00"),
    ],
)
def test_a_value_is_written_as_a_category_list_does(value: object, written: str) -> None:
    assert text(value) == written


@pytest.mark.hand
@pytest.mark.parametrize(
    ("value", "written"),
    [
        *(
            ("' a\t\u00a0'", "a"),
            ("'  '", None),
            ("''", None),
            ("1", "1"),
            ("1.0::double", "1"),
            ("0.1::double", "0.1"),
            ("1.50::decimal(5, 2)", "1.50"),
        ),
        *(("2::decimal(5, 2)", "2"), ("'nan'::double", None), ("1e300::double", "1e+300"), ("true", "1"), ("date '2020-01-02'", "2020-01-02")),
        *(("timestamp '2020-01-02'", "2020-01-02"), ("timestamp '2020-01-02 03:00'", "2020-01-02 03:00:00"), ("'x'::enum('x')", "x")),
        *(("12345678901::hugeint", "12345678901"), ("null", None), ("'1'::blob", "1")),
    ],
)
def test_the_database_writes_a_value_as_a_csv_file_would(value: str, written: str | None, connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"create table t as select {value} as a")
    connection.execute(f"create table trimmed as select {trimmed_sql('a', stored_types(connection, 't')['a'])} as a from t")
    assert connection.execute(f"select {text_sql('a', stored_types(connection, 'trimmed')['a'])} from trimmed").fetchall() == [(written,)]


def test_a_frame_of_anything_can_be_selected_from(connection: duckdb.DuckDBPyConnection) -> None:
    frame = pd.DataFrame([[1, "a", None, dt.date(2020, 1, 1)], [None, 2.5, None, None]], columns=["x", "X", "x", ""], index=[7, 7])
    land_frame(connection, "frame", frame)
    assert connection.execute("from frame").fetchall() == [(1.0, "a", None, "2020-01-01"), (None, "2.5", None, None)]
    assert list(stored_types(connection, "frame")) == ["c0", "c1", "c2", "c3"]


def test_a_frame_may_run_backwards(connection: duckdb.DuckDBPyConnection) -> None:
    land_frame(
        connection, "frame", pd.DataFrame({"number": [1, 2], "day": pd.to_datetime(["2020-01-01", "2020-01-02"]), "name": ["a", "b"]}).iloc[::-1]
    )
    assert connection.execute("select c0, c1::date::varchar, c2 from frame").fetchall() == [(2, "2020-01-02", "b"), (1, "2020-01-01", "a")]


def test_names_and_texts_may_hold_quotes(connection: duckdb.DuckDBPyConnection) -> None:
    name, value = 'a "quoted" name', "it's"
    assert connection.execute(f"select {literal(value)} as {identifier(name)}").df().to_dict("list") == {name: [value]}
