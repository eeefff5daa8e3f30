"""The contract agrees with itself, and a site's own code lists are held to the form of ours."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from evaluation.errors import SchemaError
from evaluation.registers.contract import ALWAYS, CODE_COLUMNS, Contract, load_contract
from evaluation.registers.schema import Field, Schema

CONTRACT = load_contract()
TABLES = [pytest.param(schema, id=name) for name, schema in CONTRACT.tables.items()]
HEADER = ",".join(CODE_COLUMNS)


def field(schema: Schema, name: str | None) -> Field:
    return next(entry for entry in schema.fields if entry.name == name)


def own(folder: Path, name: str, *lines: str) -> Contract:
    (folder / f"{name}.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return load_contract(folder)


def test_every_file_of_the_package_is_read_and_none_is_left_out() -> None:
    schemas = {entry.name.removesuffix(".json") for entry in files("data_schema").iterdir() if entry.name.endswith(".json")}
    assert {name for name in schemas if not name.startswith("ecdat")} == {*CONTRACT.tables, "datapackage", "rules"}
    assert {entry.name.removesuffix(".csv") for entry in files("data_schema").joinpath("codes").iterdir()} == set(CONTRACT.codes)
    package = json.loads(files("data_schema").joinpath("datapackage.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", CONTRACT.version)
    for entry in package["resources"]:
        if "schema" in entry:
            schema = CONTRACT.tables[entry["name"]]
            assert (entry["x-agency"], entry["x-required"]) == (schema.agency, schema.required)


@pytest.mark.parametrize("schema", TABLES)
def test_a_table_names_only_columns_and_lists_there_are(schema: Schema) -> None:
    names = {entry.name for entry in schema.fields}
    assert schema.key
    assert set(schema.key) <= names
    assert all(field(schema, name).required for name in schema.key)
    assert {entry.codelist for entry in schema.fields if entry.codelist} <= set(CONTRACT.codes)
    assert all(re.compile(entry.pattern) for entry in schema.fields if entry.pattern)
    assert schema.dated_by is None or field(schema, schema.dated_by).kind == "date"
    if schema.spell:
        assert {field(schema, schema.spell.start).role, field(schema, schema.spell.stop).role} == {"start", "stop"}
    assert not schema.of_persons or field(schema, "lopnr").role == "person"


@pytest.mark.hand
def test_a_code_list_tells_its_names_its_status_and_what_has_been_used_again() -> None:
    skat = CONTRACT.codes["skat"]
    assert skat.titles == {"sv": "Sökandekategorier", "en": "Jobseeker categories"}
    assert skat.reused == {"45", "47", "48", "50", "51", "54", "56", "58"}
    assert not skat.verified
    assert "Arbetsförmedlingens kodtabell" in skat.source
    assert CONTRACT.codes["utlsvbakg"].verified


@pytest.mark.parametrize("name", CONTRACT.codes)
def test_a_code_list_has_days_throughout_and_a_meaning_for_each_code(name: str) -> None:
    entries = CONTRACT.codes[name].entries
    assert set(CODE_COLUMNS) <= set(entries.columns)
    assert not (entries[[*CODE_COLUMNS]] == "").to_numpy().any()
    assert (entries["giltig_fran"] <= entries["giltig_till"]).all()


@pytest.mark.hand
def test_a_sites_list_takes_the_place_of_ours_and_leaves_the_others(tmp_path: Path) -> None:
    codes = own(tmp_path, "skat", "11,Öppet arbetslös,Openly unemployed,oppet_arbetslos,,2020-12-31").codes
    assert codes["skat"].entries.to_numpy().tolist() == [["11", "Öppet arbetslös", "Openly unemployed", "oppet_arbetslos", ALWAYS[0], "2020-12-31"]]
    assert codes["utlsvbakg"].entries.equals(CONTRACT.codes["utlsvbakg"].entries)
    assert not codes["skat"].verified


@pytest.mark.hand
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["11,a,a,program,2020-1-1,"], r"skat\.csv: giltig_fran, giltig_till: must be dates or empty; 1 of 1 rows does not"),
        (["11,a,a,program,2020-01-02,2020-01-01"], r"skat\.csv: giltig_till: must not lie before giltig_fran; 1 of 1"),
        (["11,a,a,,,"], r"skat\.csv: kod, klass: must not be empty; 1 of 1"),
        (["11,a,a,program,,", "11,b,b,deltid,2020-01-01,"], r"skat\.csv: kod: must mean one thing on each day; 1 of 2 rows does not, first at row 2"),
        (["11,a,a,x,,2019-12-31", "11,b,b,y,2020-01-01,", "12,a,a,x,,,,"], r"skat\.csv: cannot be read \(ParserError\)"),
        (["11,a,a,program,2020-02-30,"], r"must be dates or empty; 1 of 1"),
        (
            ["11,a,a,arbet,,"],
            r"skat\.csv: klass: must be a class the evaluation knows; 1 of 1 rows does not, first at row 1; choose among arbete_lonebidrag",
        ),
    ],
)
def test_a_sites_list_must_have_the_form_of_ours(lines: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=told):
        own(tmp_path, "skat", *lines)


def test_a_list_of_no_such_name_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="holds no code list; put code lists there as CSV"):
        load_contract(tmp_path)
    with pytest.raises(SchemaError, match=r"codes_folder: has 1 file\(s\) without the name of a code list; choose among tillstand, skat"):
        own(tmp_path, "skatt", "11,a,a,x,,")


def test_a_list_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "skat.csv").write_text("kod,namn\n11,a\n", encoding="utf-8")
    with pytest.raises(SchemaError, match=r"skat\.csv: must have the columns kod, .*; add benamning_sv, label_en, klass, giltig_fran, giltig_till;"):
        load_contract(tmp_path)


def test_a_list_is_read_as_a_spreadsheet_with_swedish_settings_saves_it(tmp_path: Path) -> None:
    content = f"{HEADER}\n11,Öppet arbetslös,Openly unemployed,oppet_arbetslos,,\n".replace(",", ";")
    (tmp_path / "skat.csv").write_bytes(content.encode("cp1252"))
    assert load_contract(tmp_path).codes["skat"].entries["benamning_sv"].tolist() == ["Öppet arbetslös"]


def test_a_state_that_our_list_does_not_use_may_be_a_class_where_ours_are_states(tmp_path: Path) -> None:
    assert own(tmp_path, "skolform", "x,x,x,arbete_osubventionerat,,").codes["skolform"].entries["klass"].tolist() == ["arbete_osubventionerat"]


def test_the_problems_of_all_lists_are_told_at_once(tmp_path: Path) -> None:
    for name in ("skat", "skolform"):
        (tmp_path / f"{name}.csv").write_text(f"{HEADER}\n1,a,a,nothing,2020-13-01,\n", encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        load_contract(tmp_path)
    assert [problem.where.partition(":")[0] for problem in caught.value.problems] == ["skat.csv", "skat.csv", "skolform.csv", "skolform.csv"]
