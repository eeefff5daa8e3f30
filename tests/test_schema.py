"""Each rule of a Table Schema, broken by hand; its labels in both languages."""

import json
from importlib.resources import files
from typing import Any

import pandas as pd
import pytest

from evaluation.errors import SchemaError
from evaluation.registers.schema import Field, Schema, load_schema

FAKE_ID = "19800101-1234"
COMMITTED = sorted(entry.name.removesuffix(".json") for entry in files("data_schema").iterdir() if entry.name.endswith(".json"))
SEX = {
    "name": "sex",
    "type": "string",
    "title": "Kön",
    "title@en": "Sex",
    "categories": [{"value": "f", "label": "kvinna", "label@en": "woman"}, {"value": "m", "label": "man", "label@en": "man"}],
}
ENDED = {"name": "ended", "type": "integer", "categories": [{"value": 0, "label": "nej", "label@en": "no"}, {"value": 1, "label": "ja"}]}


def field(kind: str, **constraints: Any) -> dict[str, Any]:
    return {"name": "x", "type": kind, "constraints": constraints}


def told(descriptor: dict[str, Any], values: list[Any]) -> list[str]:
    """Give the sentence of every rule the values break."""
    one = Field.from_json(descriptor)
    return [str(problem) for problem in one.problems(pd.Series(values, name=one.name, dtype=object))]


@pytest.mark.hand
@pytest.mark.parametrize(
    ("descriptor", "values", "sentence"),
    [
        (field("string", required=True), ["a", None, None], "x: must not be missing; 2 of 3 rows do not, first at row 2; deliver the missing values"),
        (field("number"), [1, "two", 3.5], "x: must be a number; 1 of 3 rows does not, first at row 2; correct the values that are text"),
        (field("integer"), [1, 2.5, 0.5], "x: must be a whole number; 2 of 3 rows do not, first at row 2; correct the decimals"),
        (field("integer", minimum=16), [16, 15], "x: must be at least 16; 1 of 2 rows does not, first at row 2; correct it, or widen the schema"),
        (field("number", maximum=0.5), [0.6, 0.5], "x: must be at most 0.5; 1 of 2 rows does not, first at row 1; correct it, or widen the schema"),
        (SEX, ["f", "x", "m"], "sex: must be one of f, m; 1 of 3 rows does not, first at row 2; correct it, or add the level to the schema"),
        (ENDED, [0, 1, 2], "ended: must be one of 0, 1; 1 of 3 rows does not, first at row 3; correct it, or add the level to the schema"),
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
    ],
)
def test_a_column_that_keeps_its_rules_has_no_problem(descriptor: dict[str, Any], values: list[Any]) -> None:
    assert told(descriptor, values) == []


def test_a_value_that_must_be_unique_may_stand_once() -> None:
    assert [sentence.partition(";")[0] for sentence in told(field("integer", unique=True), [1, 2, 2])] == ["x: must be unique"]


def test_a_boolean_is_not_a_text() -> None:
    assert len(told(field("boolean"), [True, "maybe"])) == 1


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
    assert {entry["type"] for entry in descriptor["fields"]} <= {"integer", "number", "string", "boolean"}


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_schema_demands_nothing_but_the_rules_tested_here(name: str) -> None:
    descriptor = json.loads(files("data_schema").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    assert {rule for entry in descriptor["fields"] for rule in entry.get("constraints", {})} <= {"required", "minimum", "maximum", "unique"}
