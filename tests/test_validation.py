"""What keeps the contract becomes registers, cast and in order; what does not is told, all at once, and becomes nothing."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError, SchemaError
from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.reading import TYPES
from evaluation.registers.site import Site
from evaluation.registers.sources import Delivery, open_delivery
from evaluation.registers.validation import Validation, read_registers, validate

LEVERANS = "myndighet;datauttag;komplett_t_o_m;syntetisk\nSCB;01/03/2023;2022-12;true\nArbetsförmedlingen;01/03/2023;2022-12;true\n"
INDIVID = (
    "lopnr;kon;fodelsear;fodelselandgrupp;utlsvbakg;kommun;dod_datum;skyddad\n P2 ;2; 1980 ;00;22;1280;02/01/2020;FALSE\nP1;1;1970;00;22;1280;;0\n"
)
STOD = "lopnr;stodtyp;start;slut;omfattning;subventionsgrad\nP1;nystart;01/02/2018;;100;62,5\n"
SITE = Site(date_format="%d/%m/%Y", decimal=",", threads=1)


@cache
def contract() -> Contract:
    """Give the contract of the three tables, so that the others are not missing."""
    whole = load_contract()
    return Contract(whole.version, {name: whole.tables[name] for name in ("leverans", "individ", "stod_beslut", "studier")}, whole.codes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"leverans": LEVERANS, "individ": INDIVID, "stod_beslut": STOD}.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def validated(folder: Path, site: Site = SITE) -> Validation:
    return validate(open_delivery(folder, site, contract()))


@pytest.mark.hand
def test_values_are_cast_trimmed_and_kept_in_order(folder: Path) -> None:
    registers = read_registers(folder, site=SITE, contract=contract())
    rows = registers.connection.execute("select lopnr, kon, fodelsear, invandringsar, dod_datum::varchar, skyddad from register.individ").fetchall()
    assert rows == [("P2", "2", 1980, None, "2020-01-02", False), ("P1", "1", 1970, None, None, False)]
    assert registers.connection.execute("select start::varchar, slut, omfattning, subventionsgrad from register.stod_beslut").fetchall() == [
        ("2018-02-01", None, 100, 62.5)
    ]
    assert str(registers.complete_until) == "2022-12-31"
    assert registers.synthetic
    assert registers.names == ("leverans", "individ", "stod_beslut")


def test_every_table_has_the_columns_of_its_schema_whatever_was_delivered(folder: Path) -> None:
    registers = read_registers(folder, site=SITE, contract=contract())
    for name, schema in contract().tables.items():
        described = registers.connection.execute(f"describe register.{name}").fetchall()
        assert [(column, kind) for column, kind, *_ in described] == [(entry.name, TYPES[entry.kind]) for entry in schema.fields]
    assert registers.connection.execute("select count(*) from register.studier").fetchall() == [(0,)]


def test_code_lists_stand_beside_the_registers_with_their_days(folder: Path) -> None:
    registers = read_registers(folder, site=SITE, contract=contract())
    used = registers.connection.execute("select giltig_fran::varchar, giltig_till::varchar from codes.skat where kod = '37'").fetchall()
    assert used == [("2008-01-01", "2009-01-31")]
    for name, codes in contract().codes.items():
        kinds = {column: kind for column, kind, *_ in registers.connection.execute(f"describe codes.{name}").fetchall()}
        assert kinds == {column: "DATE" if column.startswith("giltig") else "VARCHAR" for column in codes.entries.columns}


def test_what_was_delivered_is_dropped_when_it_has_been_cast(folder: Path) -> None:
    registers = read_registers(folder, site=SITE, contract=contract())
    assert registers.connection.execute("select count(*) from duckdb_tables() where schema_name = 'delivered'").fetchall() == [(0,)]


@pytest.mark.hand
def test_errors_leave_no_registers_and_warnings_do(folder: Path) -> None:
    assert [item.key for item in validated(folder).findings.of("warning")] == []
    (folder / "individ.csv").write_text(INDIVID.replace("1280", "0180"), encoding="utf-8")
    warned = validated(folder)
    assert [(item.key, item.rows) for item in warned.findings.of("warning")] == [("other_municipality", 2)]
    assert warned.registers is not None
    (folder / "individ.csv").write_text(INDIVID.replace(";1;", ";3;"), encoding="utf-8")
    refused = validated(folder)
    assert [(item.column, item.key) for item in refused.findings.of("error")] == [("kon", "level")]
    assert refused.registers is None
    with pytest.raises(SchemaError, match=r"individ\.kon: must be one of 1, 2; 1 of 2 rows does not, first at row 2"):
        read_registers(folder, site=SITE, contract=contract())


def test_what_the_site_says_of_dates_and_decimals_is_what_is_read(folder: Path) -> None:
    told = {(item.table, item.column): (item.key, item.detail.get("looks", "")) for item in validated(folder, Site(threads=1)).findings.of("error")}
    assert told == {
        ("leverans", "datauttag"): ("date_format", "DD/MM/YYYY"),
        ("individ", "dod_datum"): ("date_format", "DD/MM/YYYY"),
        ("stod_beslut", "start"): ("date_format", "DD/MM/YYYY"),
        ("stod_beslut", "subventionsgrad"): ("decimal_comma", ""),
    }
    (folder / "stod_beslut.csv").write_text(STOD.replace("62,5", "62.5").replace("01/02/2018", "2018-02-01"), encoding="utf-8")
    other = {(item.column, item.key, item.detail.get("looks", "")) for item in validated(folder).findings.of("error")}
    assert other == {("subventionsgrad", "not_number", ""), ("start", "date_format", "YYYY-MM-DD")}


def test_unverified_lists_in_use_are_told_and_no_others(folder: Path) -> None:
    notes = {item.table for item in validated(folder).findings.items if item.key == "codes_unverified"}
    assert notes == {"codes/stodtyp.csv"}


def test_without_the_agencies_extraction_nothing_is_after_it(folder: Path) -> None:
    (folder / "leverans.csv").unlink()
    assert [item.key for item in validated(folder).findings.of("error")] == ["table_missing"]


@pytest.mark.hand
def test_columns_are_told_by_name_only_where_there_is_a_header(folder: Path) -> None:
    (folder / "stod_beslut.csv").write_text("Anna;Andersson;Anna\nP1;nystart;x\n", encoding="utf-8")
    found = validated(folder).findings
    assert {(item.column, item.key) for item in found.items if item.table == "stod_beslut"} == {("", "header_missing"), ("", "separator")}
    assert "Anna" not in found.to_frame().to_string()


@pytest.mark.hand
def test_a_misspelt_column_is_told_once_and_an_optional_one_is_asked_about() -> None:
    frame = pd.DataFrame({"lopnr": ["P1"], "stodtp": ["nystart"], "stat": ["2018-02-01"], "omfattnng": [100]})
    found = validate(open_delivery({"stod_beslut": frame}, Site(threads=1), contract())).findings
    told = [(item.column, item.key, *item.detail.values()) for item in found.items if item.table == "stod_beslut" and item.key.startswith("column")]
    assert told == [
        ("stodtyp", "column_misspelt", "stodtp"),
        ("start", "column_misspelt", "stat"),
        ("omfattnng", "column_resembles", "omfattning"),
        ("", "columns_absent", "slut, omfattning, subventionsgrad"),
    ]


def test_there_must_be_a_delivery(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no table of the contract"):
        read_registers(tmp_path)


def test_an_identity_number_is_counted_by_rows_wherever_it_stands() -> None:
    numbers = ["8112189876", "x 811218-9876", "8112189875", None]
    frame = pd.DataFrame({"lopnr": numbers, "omfattning": [8112189876, 1, 2, 3], "extra": [8112189876.0, 0.5, np.nan, 198112189876]})
    frame["stodtyp"] = "8112189875"
    found = validate(open_delivery({"stod_beslut": frame}, Site(threads=1), contract())).findings
    assert {item.column: item.first_rows for item in found.items if item.key == "identity"} == {"lopnr": (1, 2), "omfattning": (1,), "extra": (1, 4)}


def test_what_the_database_says_when_it_gives_up_is_not_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: object) -> None:
        raise duckdb.OutOfMemoryException("could not allocate '811218-9876'")

    monkeypatch.setattr("evaluation.registers.validation.run_checks", give_up)
    with pytest.raises(InputError, match=r"could not be checked \(OutOfMemoryException\); give it more memory") as caught:
        validated(folder)
    assert "811218" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 300 000 rows whose places are in their values, in several row groups."""
    file = tmp_path_factory.mktemp("many") / "stod_beslut.parquet"
    with duckdb.connect() as connection:
        columns = "'P' || i as lopnr, 'nystart' as stodtyp, date '2010-01-01' + (i % 3000)::int as start, i::double as omfattning"
        connection.execute(f"copy (select {columns} from range(300000) r(i)) to '{file}' (row_group_size 20000)")
    return file


@pytest.mark.property
@pytest.mark.parametrize("threads", [1, 4])
def test_rows_of_a_large_file_keep_their_order_and_numbers(threads: int, many: Path) -> None:
    delivery: Delivery = open_delivery({"stod_beslut": many}, Site(threads=threads), contract())
    validation = validate(delivery)
    beyond = next(item for item in validation.findings.items if item.key == "above")
    assert (beyond.rows, beyond.first_rows) == (300_000 - 101, (102, 103, 104, 105, 106))
    disordered = "select count(*) from register.stod_beslut where omfattning <> rowid"
    assert delivery.connection.execute(disordered).fetchall() == [(0,)]


@pytest.mark.property
@pytest.mark.parametrize(
    "shuffle", [lambda frame: frame.iloc[::-1], lambda frame: frame.sample(frac=1, random_state=3)], ids=["reversed", "shuffled"]
)
def test_the_order_of_the_rows_changes_no_count(shuffle: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    rng = np.random.default_rng(5)
    days = pd.to_datetime("2018-01-01") + pd.to_timedelta(rng.integers(0, 60, 200), unit="D")
    frame = pd.DataFrame({"lopnr": rng.choice(["P1", "P2", "P9"], 200), "stodtyp": rng.choice(["nystart", "osa", "x"], 200), "start": days})
    frame["slut"] = frame["start"] + pd.to_timedelta(rng.integers(-3, 9, 200), unit="D")
    people = pd.DataFrame({"lopnr": ["P1", "P2"], "dod_datum": ["2018-02-01", None]})

    def counts(table: pd.DataFrame) -> set[tuple[str, str, int | None]]:
        items = validate(open_delivery({"individ": people, "stod_beslut": table}, Site(threads=1), contract())).findings.items
        return {(item.column, item.key, item.rows) for item in items if item.table == "stod_beslut"}

    assert counts(shuffle(frame)) == counts(frame)
    assert len(counts(frame)) > 5


def test_the_site_says_where_the_delivery_is_and_may_be_a_file(folder: Path) -> None:
    (folder / "site.toml").write_text('data = "."\ndate_format = "%d/%m/%Y"\ndecimal = ","\nthreads = 1', encoding="utf-8")
    for site in (folder / "site.toml", str(folder / "site.toml"), SITE.model_copy(update={"data": str(folder)})):
        assert read_registers(site=site, contract=contract()).names == ("leverans", "individ", "stod_beslut")
    with pytest.raises(InputError, match="the delivery: is not given; give a folder, tables or a database, or a site that says where the data are"):
        read_registers(contract=contract())
    with pytest.raises(InputError, match="site: cannot be read from dict; give a Site, or the path of a site file"):
        read_registers(folder, site={}, contract=contract())


@pytest.mark.hand
@pytest.mark.parametrize(("said", "synthetic"), [("true", True), ("false", False), ("kanske", None)])
def test_whether_the_data_are_synthetic_is_known_although_errors_stop_the_run(said: str, synthetic: bool | None, folder: Path) -> None:
    (folder / "leverans.csv").write_text(LEVERANS.replace("true", said), encoding="utf-8")
    (folder / "individ.csv").unlink()
    validation = validated(folder)
    assert (validation.registers, validation.synthetic) == (None, synthetic)


def test_a_name_in_the_header_is_neither_shown_nor_passed(folder: Path) -> None:
    (folder / "stod_beslut.csv").write_text(STOD.replace("subventionsgrad", "Anna Hemlig 19800101 1234"), encoding="utf-8")
    found = validated(folder).findings
    assert "identity_in_name" in {item.key for item in found.of("error")}
    assert all("Anna" not in text and "1234" not in text for text in (repr(found.items), found.to_frame("sv").to_string()))
