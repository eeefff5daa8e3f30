"""Each rule of a Table Schema, broken by hand; its labels in both languages."""

import datetime as dt
import json
import re
from importlib.resources import files
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.errors import SchemaError
from evaluation.registers.reading import Kind
from evaluation.registers.schema import Field, Schema, load_schema

FAKE_ID = "19800101-1234"
NO_SCHEMAS = ("datapackage", "rules")
COMMITTED = sorted({entry.name.removesuffix(".json") for entry in files("data_schema").iterdir() if entry.name.endswith(".json")} - set(NO_SCHEMAS))
SEX = {
    "name": "sex",
    "type": "string",
    "title": "Kön",
    "title@en": "Sex",
    "categories": [{"value": "f", "label": "kvinna", "label@en": "woman"}, {"value": "m", "label": "man", "label@en": "man"}],
}
ENDED = {"name": "ended", "type": "integer", "categories": [{"value": 0, "label": "nej", "label@en": "no"}, {"value": 1, "label": "ja"}]}


MONTHS = [
    "must be a month written YYYY-MM, and looks like YYYY-MM-DD",
    "must be a month written YYYY-MM, and looks like MM/YYYY",
    "must be a month that exists, written YYYY-MM",
]


def field(kind: str, **constraints: Any) -> dict[str, Any]:
    return {"name": "x", "type": kind, "constraints": constraints}


def told(descriptor: dict[str, Any], values: list[Any]) -> list[str]:
    """Give the sentence of every rule the values break."""
    return told_of(descriptor, pd.Series(values, dtype=object))


def told_of(descriptor: dict[str, Any], column: pd.Series) -> list[str]:
    one = Field.from_json(descriptor)
    try:
        Schema("one", (one,)).check(pd.DataFrame({one.name: column}), [one.name])
    except SchemaError as error:
        return [str(problem) for problem in error.problems]
    return []


def rules_of(descriptor: dict[str, Any], values: list[Any]) -> list[str]:
    """Give what must hold of every rule the values break, without rows and remedy."""
    return [sentence.removeprefix("x: ").partition(";")[0] for sentence in told(descriptor, values)]


@pytest.mark.hand
@pytest.mark.parametrize(
    ("descriptor", "values", "sentence"),
    [
        (field("string", required=True), ["a", None, None], "x: must not be missing; 2 of 3 rows do not, first at row 2; deliver the missing values"),
        (field("number"), [1, "two", 3.5], "x: must be a number; 1 of 3 rows does not, first at row 2; correct the values that are text"),
        (field("integer"), [1, 2.5, 0.5], "x: must be a whole number; 2 of 3 rows do not, first at row 2; correct the decimals"),
        (field("integer", minimum=16), [16, 15], "x: must be at least 16; 1 of 2 rows does not, first at row 2; correct it, or widen the schema"),
        (field("number", maximum=0.5), [0.6, 0.5], "x: must be at most 0.5; 1 of 2 rows does not, first at row 1; correct it, or widen the schema"),
        (SEX, ["f", "x", "m"], "sex: must be one of f, m; 1 of 3 rows does not, first at row 2; write it as one of these"),
        (ENDED, [0, 1, 2], "ended: must be one of 0, 1; 1 of 3 rows does not, first at row 3; write it as one of these"),
    ],
)
def test_a_broken_rule_is_told_with_its_rows_and_remedy(descriptor: dict[str, Any], values: list[Any], sentence: str) -> None:
    assert told(descriptor, values) == [sentence]


@pytest.mark.hand
@pytest.mark.parametrize(
    ("descriptor", "values"),
    [
        (field("string"), ["a", None]),
        (field("number", minimum=0, maximum=1), [0, 1, 0.5, None]),
        (field("integer", minimum=0), [0, 1.0, "2", None]),
        (field("boolean"), [True, False, None]),
        (SEX, ["f", "m", None]),
        (ENDED, [0, 1.0, True, None]),
        (field("date"), ["2020-02-29", "2020-02-28 00:00:00", "2020-02-28T00:00:00.000", pd.Timestamp("2020-01-01"), dt.date(2020, 1, 1), "", None]),
        (field("yearmonth"), ["2020-02", "2020-02-01", dt.date(2020, 1, 1), None]),
        (field("string", pattern="[0-9]{4}"), ["1280", 1280, 1280.0, " 1280 ", None]),
        (field("number"), ["1", "-1.5", ".5", "2.", "1e3", "+7"]),
        (field("boolean"), ["true", "False", "0", 1.0, " TRUE ", ""]),
    ],
)
def test_a_column_that_keeps_its_rules_has_no_problem(descriptor: dict[str, Any], values: list[Any]) -> None:
    assert told(descriptor, values) == []


@pytest.mark.hand
@pytest.mark.parametrize(
    ("descriptor", "values", "rules"),
    [
        (field("integer", unique=True), [1, 2, 2, None, None], ["must be unique"]),
        (field("string", required=True), ["a", " ", ""], ["must not be missing"]),
        (field("string", pattern="[0-9]{4}"), ["1280", "128", "12800"], ["must match the pattern [0-9]{4}"]),
        (field("boolean"), [True, "maybe", "ja", 2], ["must be true or false"]),
        (field("number"), ["1,5", "1.5"], ["must be written with a decimal point"]),
        (field("number"), ["1,5", "1 500", "1_500", "nan", "0x1F", "1,500.5"], ["must be written with a decimal point", "must be a number"]),
        (field("integer"), ["2", "2.0", "2.5", "1e400"], ["must be a whole number"]),
        (field("date"), ["2020-02-30", "20-01-01", "yesterday"], ["must be a date that exists, written YYYY-MM-DD"]),
        (field("date"), ["31/12/2020"], ["must be a date written YYYY-MM-DD, and looks like DD/MM/YYYY"]),
        (field("date"), ["12/31/2020"], ["must be a date written YYYY-MM-DD, and looks like MM/DD/YYYY"]),
        (field("date"), ["31.12.2020"], ["must be a date written YYYY-MM-DD, and looks like DD.MM.YYYY"]),
        (field("date"), ["31-12-2020"], ["must be a date written YYYY-MM-DD, and looks like DD-MM-YYYY"]),
        (field("date"), ["2020/12/31"], ["must be a date written YYYY-MM-DD, and looks like YYYY/MM/DD"]),
        (field("date"), [20201231, "20201231"], ["must be a date written YYYY-MM-DD, and looks like YYYYMMDD"]),
        (field("date"), ["201231"], ["must be a date written YYYY-MM-DD, and looks like YYMMDD"]),
        (field("date"), [44196, 44196.0], ["must be a date written YYYY-MM-DD, and looks like Excel's serial number of a day"]),
        (field("date"), ["2020-12-31 14:30:00"], ["must be a date written YYYY-MM-DD, and looks like YYYY-MM-DD hh:mm:ss"]),
        (field("date"), ["9999-12-31", "2100-01-01", dt.date(2100, 1, 1)], ["must be empty while it lasts, not a date far ahead"]),
        (field("yearmonth"), ["9999-12", "2099-12"], ["must be empty while it lasts, not a date far ahead"]),
        (field("date"), ["NULL", "nan", "NaN", "-", "2099-12-31"], ["must be left empty where there is no date"]),
        (
            field("string") | {"categories": [{"value": "1"}, {"value": "2.0"}, {"value": "07"}]},
            ["2", 7, "7", "1"],
            ["must be written with all its zeros, as in 1, 2.0, 07"],
        ),
        (
            field("string") | {"categories": [{"value": "1"}, {"value": "07"}]},
            ["7", "2"],
            ["must be written with all its zeros, as in 1, 07", "must be one of 1, 07"],
        ),
        (field("yearmonth"), [202012], ["must be a month written YYYY-MM, and looks like YYYYMM"]),
        (field("yearmonth"), ["2020-12-31", "12/2020", "2020-13"], MONTHS),
    ],
)
def test_a_value_that_cannot_be_read_is_told_by_what_it_looks_like(descriptor: dict[str, Any], values: list[Any], rules: list[str]) -> None:
    assert rules_of(descriptor, values) == rules


@pytest.mark.parametrize("kind", ["int8", "int64", "Int64", "float32", "Float64", "boolean", "bool", "string", "object", "category"])
def test_a_column_may_be_stored_in_any_way(kind: str) -> None:
    column = pd.Series([1, 0, 1]).astype(kind)
    assert told_of(field("integer", required=True, minimum=0, maximum=1), column) == []
    assert len(told_of(field("integer", minimum=1), column)) == 1


def test_a_text_may_be_delivered_as_numbers() -> None:
    assert told_of(field("string", pattern="[0-9]{4}"), pd.Series([1280, 180])) != []
    assert told_of(field("string", pattern="[0-9]{3,4}"), pd.Series([1280.0, 180.0])) == []


def test_a_schema_that_knows_none_of_the_columns_asks_only_that_they_are_there() -> None:
    Schema("", ()).check(pd.DataFrame({"a": [1]}), ["a"])
    with pytest.raises(SchemaError, match="the table cannot be used as it is"):
        Schema("", ()).check(pd.DataFrame({"a": [1]}), ["b"])


def test_a_day_beyond_the_years_of_four_digits_is_none() -> None:
    column = pd.Series(np.array(["2020-01-01", "0999-12-31", "12020-01-01"], dtype="datetime64[s]"))
    (sentence,) = told_of(field("date"), column)
    assert "must be a date that exists, written YYYY-MM-DD; 2 of 3 rows do not, first at row 2" in sentence


def test_a_time_of_day_makes_no_date() -> None:
    assert len(told_of(field("date"), pd.Series(pd.to_datetime(["2020-01-01 00:00", "2020-01-01 12:00"])))) == 1


def test_the_first_of_several_columns_of_a_name_is_held_to_the_schema() -> None:
    table = pd.DataFrame([["f", "garbage"]], columns=["sex", "sex"])
    Schema("one", (Field.from_json(SEX),)).check(table, ["sex"])


@pytest.mark.parametrize("name", NO_SCHEMAS)
def test_what_else_lies_beside_the_schemas_is_none(name: str) -> None:
    with pytest.raises(SchemaError, match=f"{name}: is not a schema in data_schema/"):
        load_schema(name)


@pytest.mark.hand
@pytest.mark.parametrize(("value", "swedish", "english"), [(1, "ja", "ja"), (1.0, "ja", "ja"), (True, "ja", "ja"), (0, "nej", "no"), (7, "7", "7")])
def test_a_level_has_a_label_in_either_language_or_is_itself(value: object, swedish: str, english: str) -> None:
    schema = Schema("one", (Field.from_json(ENDED),))
    assert (schema.level("ended", value, "sv"), schema.level("ended", value, "en")) == (swedish, english)


def test_a_column_has_a_title_in_either_language_or_is_its_name() -> None:
    schema = Schema("two", (Field.from_json(SEX), Field.from_json(ENDED)))
    assert [schema.title("sex", language) for language in ("sv", "en")] == ["Kön", "Sex"]
    assert [schema.title("ended", language) for language in ("sv", "en")] == ["ended", "ended"]
    assert schema.title("else", "sv") == "else"
    assert schema.level("else", "v", "sv") == "v"


def test_every_problem_of_a_table_is_told_at_once_and_no_value() -> None:
    table = pd.DataFrame({"sex": ["f", FAKE_ID], "ended": [FAKE_ID, 1]})
    with pytest.raises(SchemaError, match=r"the table is not as data_schema/two\.json says \(4 problems\)") as caught:
        Schema("two", (Field.from_json(SEX), Field.from_json(ENDED))).check(table, ["sex", "ended", "ended", "age"])
    assert [problem.where for problem in caught.value.problems] == ["sex", "ended", "ended", "age"]
    assert FAKE_ID not in str(caught.value)


def test_only_the_columns_asked_for_are_held_to_the_schema() -> None:
    Schema("one", (Field.from_json(SEX), Field.from_json(ENDED))).check(pd.DataFrame({"sex": ["f"], "ended": ["garbage"]}), ["sex"])


def test_an_unknown_schema_is_refused_with_those_there_are() -> None:
    with pytest.raises(SchemaError, match=rf"nothing: is not a schema in data_schema/; choose among {', '.join(COMMITTED)}"):
        load_schema("nothing")


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_schema_says_everything_in_both_languages(name: str) -> None:
    descriptor = json.loads(files("data_schema").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    assert {"title", "title@en"} <= set(descriptor)
    assert all({"title", "title@en"} <= set(entry) for entry in descriptor["fields"])
    assert all({"value", "label", "label@en"} == set(level) for entry in descriptor["fields"] for level in entry.get("categories", []))


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_schema_names_each_column_and_level_once(name: str) -> None:
    descriptor = json.loads(files("data_schema").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    lists = [[entry["name"] for entry in descriptor["fields"]]]
    lists += [[level[key] for level in entry.get("categories", [])] for entry in descriptor["fields"] for key in ("value", "label", "label@en")]
    assert all(len(set(names)) == len(names) for names in lists)
    assert {entry["type"] for entry in descriptor["fields"]} <= set(get_args(Kind))


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_schema_demands_nothing_but_the_rules_tested_here(name: str) -> None:
    descriptor = json.loads(files("data_schema").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    assert {rule for entry in descriptor["fields"] for rule in entry.get("constraints", {})} <= {
        "required",
        "minimum",
        "maximum",
        "unique",
        "pattern",
    }


NUMBER = re.compile(r"[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]+)?")
CELLS = st.text("0123456789.,-+eE xa", max_size=7) | st.from_regex(r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]", fullmatch=True) | st.none()


def is_day(value: str) -> bool:
    try:
        return len(value) == 10 and bool(dt.date.fromisoformat(value))
    except ValueError:
        return False


@pytest.mark.property
@settings(max_examples=15, deadline=None)
@given(cells=st.lists(CELLS, min_size=1, max_size=30))
def test_numbers_and_days_are_read_as_python_reads_them(cells: list[str | None]) -> None:
    present = [cell.strip() for cell in cells if cell is not None and cell.strip()]
    numbers = [cell for cell in present if NUMBER.fullmatch(cell)]
    unlike_days = [cell for cell in present if not is_day(cell)]
    table = pd.DataFrame({"n": cells, "w": cells, "d": cells}, dtype=object)
    schema = Schema("one", tuple(Field.from_json(field(kind) | {"name": name}) for name, kind in (("n", "number"), ("w", "integer"), ("d", "date"))))
    try:
        schema.check(table, ["n", "w", "d"])
        counted = {}
    except SchemaError as error:
        counted = {name: sum(problem.count or 0 for problem in error.problems if problem.where == name) for name in "nwd"}
    whole = [number for number in numbers if float(number).is_integer() and abs(float(number)) < 2**63]  # the widest the database has
    assert counted.get("n", 0) == len(present) - len(numbers)
    assert counted.get("w", 0) == len(present) - len(whole)
    assert counted.get("d", 0) == len(unlike_days)
