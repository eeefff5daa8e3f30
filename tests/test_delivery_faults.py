"""A small delivery that keeps the contract, and every fault an agency has been seen to make, planted in it one at a time and many together."""

import contextlib
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path

import duckdb
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluation.errors import SchemaError
from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.files import STATISTICS
from evaluation.registers.findings import Findings, load_rules
from evaluation.registers.reading import TYPES
from evaluation.registers.site import Site
from evaluation.registers.sources import open_delivery
from evaluation.registers.store import Registers
from evaluation.registers.validation import read_registers, validate

FAKE_ID = "19800101-1234"  # looks like a personal identity number; no message may hold it
BARE_ID = "198112189876"  # the same without a separator: Skatteverket's own example, with its right check digit
ONE_THREAD = Site(threads=1)

# Ten people: nine in phase 1 or 2, one (P10) with a dated code from long ago. P07 is dead, P08 comes from sickness benefit without a registration.
CLEAN = {
    "leverans": """\
myndighet,datauttag,komplett_t_o_m,schemaversion,syntetisk
Arbetsförmedlingen,2023-03-15,2022-12,1.0.0,true
SCB,2023-03-01,2022-12,1.0.0,true
Finsam Malmö,2023-03-15,2022-12,1.0.0,true
Skatteverket,2023-03-15,2022-12,1.0.0,true
Försäkringskassan,2023-03-15,2022-12,1.0.0,true
""",
    "individ": """\
lopnr,kon,fodelsear,fodelselandgrupp,utlsvbakg,mor_fodelselandgrupp,far_fodelselandgrupp,invandringsar,kommun,dod_datum,utvandring_datum,skyddad
P01,2,1975,07,11,07,07,2008,1280,,,false
P02,1,1980,00,22,00,00,,1280,,,false
P03,2,1990,04,11,04,04,2015,1280,,,false
P04,1,1968,00,21,07,00,,1280,,,false
P05,2,1985,00,12,02,02,,1280,,,false
P06,1,1972,09,11,09,09,1994,1280,,2022-05-01,false
P07,1,1959,00,22,00,00,,1280,2021-06-10,,false
P08,2,1978,00,22,00,00,,1280,,,false
P09,2,1982,03,11,03,03,2001,1280,,,false
P10,1,1964,00,22,00,00,,1280,,,false
""",
    "inskrivning": """\
lopnr,inskr_id,inskriven_datum,avaktualiserad_datum,avaktualiseringsorsak,kontor
P01,1,2017-01-09,2019-05-06,1,Malmö city
P02,1,2016-04-11,,,Malmö city
P03,1,2018-02-05,2020-09-01,8,Rosengård
P04,1,2015-10-01,2019-12-02,5,Fosie
P05,1,2019-01-21,,,Fosie
P06,1,2017-08-14,2022-05-01,5,Rosengård
P07,1,2014-03-03,2021-07-20,7,Fosie
P09,1,2020-02-17,2022-06-01,2,Malmö city
P10,1,2009-01-12,2010-08-16,1,Fosie
""",
    "sokandekategori": """\
lopnr,inskr_id,period_nr,start,slut,skat
P01,1,1,2017-01-09,2018-02-01,11
P01,1,2,2018-02-01,2019-05-06,70
P02,1,1,2016-04-11,,70
P03,1,1,2018-02-05,2019-03-01,11
P03,1,2,2019-03-01,2020-09-01,51
P07,1,1,2014-03-03,2021-07-20,70
P10,1,1,2009-01-12,2010-08-16,11
""",
    "program_beslut": """\
lopnr,beslut_id,programkod,start,slut,slutorsak,retroaktiv
P01,B01,JUG,2018-02-01,2019-05-06,arbete,false
P02,B02,JUG,2017-06-01,,,false
P03,B03,JUG,2018-06-04,2019-02-28,arbete_med_stod,true
P07,B07,JUG,2015-05-04,2021-07-20,avliden,false
""",
    "projekt_deltagande": """\
lopnr,fas,erbjuden_datum,start_datum,slut_datum,team,malgrupp,projekt_resultat,resultat_datum
P01,1,2018-02-20,2018-03-05,2019-05-06,1,JUG,arbete,2019-05-06
P02,1,2018-09-03,,,2,JUG,,
P03,1,2018-09-03,2018-10-01,2019-02-28,10,JUG,arbete,2019-03-01
P08,2.0,2020-01-20,2020-02-03,2021-01-29,FK,sjukpenning,ater_kommun,2021-01-29
P09,2.0,2020-03-02,2020-03-16,2022-06-01,3,ek_bistand_12m,arbete,2022-06-01
""",
    "manadslon": """\
lopnr,manad,arbetsgivare_lopnr,kontant_ersattning
P01,2019-06,A1,26500
P01,2019-07,A1,26500
P09,2022-06,A2,24000
""",
    "arsinkomst": """\
lopnr,ar,loneink_hkr,akassa_dagar,aktivitetsstod_dagar,sjukpenning_dagar,syssstat,sun_niva,sun_inriktning,familjetyp,barn0_6
P01,2018,0,0,250,0,5,3,34a,ensam_barn,1
P02,2018,120,30,180,0,1,2,,par,0
""",
    "ersattning_fk": """\
lopnr,formanskod,fran,till,omfattning,bruttodagar,nettodagar
P08,sjukpenning,2018-01-01,2019-12-31,100,730,730
P05,sjukpenning,2020-01-07,2020-01-17,50,11,5.5
""",
}
Fault = Callable[[Path], object]
Told = tuple[str, str, str]  # table, column, rule
Frames = dict[str, pd.DataFrame]


@cache
def contract_of(*names: str) -> Contract:
    """Give the contract with only these tables and their code lists, so that each fault is quickly looked for."""
    whole = load_contract()
    lists = {entry.codelist for name in names for entry in whole.tables[name].fields}
    return Contract(
        whole.version, {name: whole.tables[name] for name in names}, {name: codes for name, codes in whole.codes.items() if name in lists}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in CLEAN.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def findings(folder: Path, contract: Contract | None = None, site: Site = ONE_THREAD) -> Findings:
    return validate(open_delivery(folder, site, contract)).findings


def told(found: Findings) -> set[Told]:
    return {(item.table, item.column, item.key) for item in found.items if item.key != "codes_unverified"}


# Ways of planting


def change(table: str, old: str, new: str) -> Fault:
    def plant(folder: Path) -> None:
        file = folder / f"{table}.csv"
        text = file.read_text(encoding="utf-8")
        assert old in text, "the fault must find its place"
        file.write_text(text.replace(old, new), encoding="utf-8")

    return plant


def change_column(table: str, column: str, new: Callable[[str], str]) -> Fault:
    def plant(folder: Path) -> None:
        file = folder / f"{table}.csv"
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        frame[column] = [new(value) if value else "" for value in frame[column]]
        frame.to_csv(file, index=False)

    return plant


def rewrite(table: str, encoding: str = "utf-8", separator: str = ",") -> Fault:
    def plant(folder: Path) -> None:
        file = folder / f"{table}.csv"
        file.write_text(file.read_text(encoding="utf-8").replace(",", separator), encoding=encoding)

    return plant


def replace_file(name: str, content: bytes, instead_of: str | None = None) -> Fault:
    def plant(folder: Path) -> None:
        if instead_of:
            (folder / instead_of).unlink()
        (folder / name).write_bytes(content)

    return plant


def workbook(table: str, *sheets: str) -> Fault:
    def plant(folder: Path) -> None:
        file = folder / f"{table}.csv"
        frame = pd.read_csv(file, dtype=str)
        with pd.ExcelWriter(folder / f"{table}.xlsx") as book:
            for sheet in sheets:
                frame.to_excel(book, sheet_name=sheet, index=False)
        file.unlink()

    return plant


def add_column(table: str, name: str, value: str) -> Fault:
    def plant(folder: Path) -> None:
        file = folder / f"{table}.csv"
        pd.read_csv(file, dtype=str).assign(**{name: value}).to_csv(file, index=False)

    return plant


def rows(table: str, *lines: str) -> Fault:
    def plant(folder: Path) -> None:
        with (folder / f"{table}.csv").open("a", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)

    return plant


def without_column(table: str, name: str) -> Fault:
    def plant(folder: Path) -> None:
        file = folder / f"{table}.csv"
        pd.read_csv(file, dtype=str).drop(columns=name).to_csv(file, index=False)

    return plant


def swap_dates(pattern: str) -> Callable[[str], str]:
    return lambda day: pd.Timestamp(day).strftime(pattern)


def serial(day: str) -> str:
    return str((pd.Timestamp(day) - pd.Timestamp("1899-12-30")).days)


# What is planted, what it is planted in, and what must be told of it beyond what is told of the clean tables
FAULTS: dict[str, tuple[Fault, set[Told]]] = {
    # files
    "semicolons": (rewrite("ersattning_fk", separator=";"), {("ersattning_fk", "", "separator")}),
    "tabs": (rewrite("arsinkomst", separator="\t"), {("arsinkomst", "", "separator")}),
    "Latin-1": (rewrite("inskrivning", encoding="latin-1"), {("inskrivning", "", "encoding")}),
    "UTF-16": (rewrite("inskrivning", encoding="utf-16"), {("inskrivning", "", "encoding")}),
    "the mark that spreadsheets put first": (rewrite("inskrivning", encoding="utf-8-sig"), set()),
    "a missing table": (lambda folder: (folder / "sokandekategori.csv").unlink(), {("sokandekategori", "", "table_missing")}),
    "an empty file": (replace_file("sokandekategori.csv", b""), {("sokandekategori", "", "file_empty")}),
    "only a header": (
        replace_file("sokandekategori.csv", b"lopnr,inskr_id,period_nr,start,slut,skat\n"),
        {("sokandekategori", "", "table_empty")},
    ),
    "only a header in a table that need not come": (
        replace_file("manadslon.csv", b"lopnr,manad,arbetsgivare_lopnr,kontant_ersattning\n"),
        {("manadslon", "", "table_empty_optional")},
    ),
    "no header": (change("manadslon", "lopnr,manad,arbetsgivare_lopnr,kontant_ersattning\n", ""), {("manadslon", "", "header_missing")}),
    "cut off inside a row": (change("ersattning_fk", ",50,11,5.5\n", ",50"), {("ersattning_fk", "", "rows_ragged")}),
    "cut off inside the last value": (change("manadslon", "24000\n", "24"), {("manadslon", "", "file_unended")}),
    "a field too many": (change("arsinkomst", "par,0", f"par,0,{FAKE_ID}"), {("arsinkomst", "", "rows_ragged")}),
    "a quote that is never closed": (change("ersattning_fk", ",5.5", f',"5.5 {FAKE_ID}'), {("ersattning_fk", "", "file_unreadable")}),
    "bytes of no text": (replace_file("arsinkomst.csv", b"lopnr\0" + FAKE_ID.encode()), {("arsinkomst", "", "file_unreadable")}),
    "garbage called Parquet": (
        replace_file("manadslon.parquet", b"PK\x03\x04" + FAKE_ID.encode() * 9, "manadslon.csv"),
        {("manadslon", "", "file_unreadable")},
    ),
    "garbage called Excel": (
        replace_file("ersattning_fk.xlsx", FAKE_ID.encode() * 9, "ersattning_fk.csv"),
        {("ersattning_fk", "", "file_unreadable")},
    ),
    "garbage called SAS": (replace_file("arsinkomst.sas7bdat", FAKE_ID.encode() * 9, "arsinkomst.csv"), {("arsinkomst", "", "file_unreadable")}),
    "a workbook with two sheets": (workbook("ersattning_fk", "Blad1", "Blad2"), {("ersattning_fk", "", "sheets")}),
    "a workbook with the sheet of its name": (workbook("inskrivning", "Blad1", "Inskrivning"), set()),
    "two files for a table": (replace_file("arsinkomst.txt", b"lopnr\n"), {("arsinkomst", "", "file_twice")}),
    "a file that belongs to no table": (replace_file("following-letter.pdf", b"%PDF"), {("following-letter.pdf", "", "file_unknown")}),
    "a file named by an identity number": (replace_file(f"{FAKE_ID}.csv", b"a\n"), {("***", "", "file_named_by_identity")}),
    "a title above the header row": (
        change("arsinkomst", "lopnr,ar,", "Uttag 2023-03-01\nlopnr,ar,"),
        {("arsinkomst", "", "title_row")},
    ),
    # columns
    "a column beside those of the schema": (
        add_column("projekt_deltagande", "handledare", "x"),
        {("projekt_deltagande", "handledare", "column_extra")},
    ),
    "a required column less": (without_column("ersattning_fk", "omfattning"), {("ersattning_fk", "omfattning", "column_missing")}),
    "a required column misspelt": (change("program_beslut", "programkod", "programkd"), {("program_beslut", "programkod", "column_misspelt")}),
    "another column misspelt": (
        change("individ", "dod_datum", "doddatum"),
        {("individ", "doddatum", "column_resembles"), ("individ", "", "columns_absent")},
    ),
    "a column twice": (
        change("program_beslut", "slut,slutorsak", "slut,slut"),
        {("program_beslut", "slut", "column_twice"), ("program_beslut", "", "columns_absent")},
    ),
    # values
    "a missing value": (change("sokandekategori", "P02,1,1,2016-04-11,,70", "P02,1,1,2016-04-11,,"), {("sokandekategori", "skat", "missing")}),
    "days with slashes": (change_column("program_beslut", "start", swap_dates("%d/%m/%Y")), {("program_beslut", "start", "date_format")}),
    "days without hyphens": (change_column("ersattning_fk", "fran", swap_dates("%Y%m%d")), {("ersattning_fk", "fran", "date_format")}),
    "days with points": (
        change_column("projekt_deltagande", "resultat_datum", swap_dates("%d.%m.%Y")),
        {("projekt_deltagande", "resultat_datum", "date_format")},
    ),
    "days as Excel counts them": (change_column("program_beslut", "start", serial), {("program_beslut", "start", "date_serial")}),
    "a day that does not exist": (change("projekt_deltagande", "2019-02-28", "2019-02-29"), {("projekt_deltagande", "slut_datum", "not_date")}),
    "a date far ahead for one to come": (
        change("inskrivning", "2016-04-11,,", "2016-04-11,9999-12-31,"),
        {("inskrivning", "avaktualiserad_datum", "date_far")},
    ),
    "a word for no date": (
        change("projekt_deltagande", "2018-09-03,,,", "2018-09-03,,NULL,"),
        {("projekt_deltagande", "slut_datum", "nothing_written")},
    ),
    "months without a hyphen": (change_column("manadslon", "manad", lambda month: month.replace("-", "")), {("manadslon", "manad", "month_format")}),
    "a month that does not exist": (change("manadslon", "2022-06", "2022-13"), {("manadslon", "manad", "not_month")}),
    "a decimal comma": (change("ersattning_fk", "5.5", '"5,5"'), {("ersattning_fk", "nettodagar", "decimal_comma")}),
    "a word for a number": (change("arsinkomst", "0,0,250,0", "noll,0,250,0"), {("arsinkomst", "loneink_hkr", "not_number")}),
    "half a day where days are whole": (change("ersattning_fk", ",11,", ",10.5,"), {("ersattning_fk", "bruttodagar", "not_whole")}),
    "a negative amount": (change("arsinkomst", "120,30", "-120,30"), {("arsinkomst", "loneink_hkr", "below")}),
    "more days than a year has": (change("arsinkomst", "0,0,250,0", "0,0,450,0"), {("arsinkomst", "aktivitetsstod_dagar", "above")}),
    "ja and nej": (change_column("individ", "skyddad", lambda _: "nej"), {("individ", "skyddad", "not_boolean")}),
    "a value that is no level": (change("individ", "P01,2,1975", "P01,3,1975"), {("individ", "kon", "level")}),
    "a value off its pattern": (change("projekt_deltagande", ",FK,", ",12,"), {("projekt_deltagande", "team", "pattern")}),
    "an unknown code": (change("sokandekategori", "2019-05-06,70", "2019-05-06,99"), {("sokandekategori", "skat", "code_unknown")}),
    "a zero that a spreadsheet has dropped": (change("individ", "1975,07,", "1975,7,"), {("individ", "fodelselandgrupp", "zero_lost")}),
    "a code not yet in use": (change("sokandekategori", "2010-08-16,11", "2010-08-16,51"), {("sokandekategori", "skat", "code_not_valid")}),
    # identity numbers
    "an identity number in a text": (change("inskrivning", "Rosengård", f"se {FAKE_ID}"), {("inskrivning", "kontor", "identity")}),
    "an identity number as the id": (
        change("manadslon", "P09", BARE_ID),
        {("manadslon", "lopnr", "identity"), ("manadslon", "lopnr", "person_unknown")},
    ),
    "an identity number as an amount": (change("manadslon", "24000", BARE_ID), {("manadslon", "kontant_ersattning", "identity")}),
    "an identity number in a column nobody asked for": (
        add_column("program_beslut", "anteckning", FAKE_ID),
        {("program_beslut", "anteckning", "column_extra"), ("program_beslut", "anteckning", "identity")},
    ),
    "an identity number as a column's name": (add_column("projekt_deltagande", FAKE_ID, "x"), {("projekt_deltagande", "", "identity_in_name")}),
    "an identity number where there is no header": (
        replace_file("manadslon.csv", f"P01,2019-06,A1,{FAKE_ID}\nP09,2022-06,A2,{FAKE_ID}\n".encode()),
        {("manadslon", "", "header_missing"), ("manadslon", "", "identity_in_name"), ("manadslon", "", "identity")},
    ),
    # records
    "a person twice": (rows("individ", "P01,1,1975,07,11,07,07,2008,1280,,,false"), {("individ", "lopnr", "key_repeated")}),
    "an agency without a row": (change("leverans", "Skatteverket,2023-03-15,2022-12,1.0.0,true\n", ""), {("leverans", "myndighet", "agency_absent")}),
    "an agency by another name": (
        change("leverans", "Finsam Malmö", "Finsam"),
        {("leverans", "myndighet", "agency_unknown"), ("leverans", "myndighet", "agency_absent")},
    ),
    "invented and real records": (
        change("leverans", "SCB,2023-03-01,2022-12,1.0.0,true", "SCB,2023-03-01,2022-12,1.0.0,false"),
        {("leverans", "syntetisk", "synthetic_mixed")},
    ),
    "an extraction that is still to come": (change("leverans", "SCB,2023-03-01", "SCB,2093-03-01"), {("leverans", "datauttag", "extraction_ahead")}),
    "a month that leaves most registrations out": (
        change("leverans", "SCB,2023-03-01,2022-12", "SCB,2023-03-01,2017-12"),
        {("inskrivning", "inskriven_datum", "start_incomplete"), ("program_beslut", "start", "start_incomplete")},
    ),
    "two rows for an agency": (rows("leverans", "SCB,2023-03-01,2022-11,1.0.0,true"), {("leverans", "myndighet", "key_repeated")}),
    "a decision twice": (
        rows("program_beslut", "P02,B02,JUG,2017-06-01,,,false"),
        {("program_beslut", "beslut_id", "key_repeated")},
    ),
    "an exact copy where the agency never corrects": (
        rows("sokandekategori", "P02,1,1,2016-04-11,,70"),
        {("sokandekategori", "", "row_repeated")},
    ),
    "the last day before the first": (
        change("program_beslut", "2018-02-01,2019-05-06", "2018-02-01,2017-05-06"),
        {("program_beslut", "slut", "start_after_stop")},
    ),
    "a negative spell where the agency never corrects": (
        change("inskrivning", "2009-01-12,2010-08-16", "2009-01-12,2008-08-16"),
        {("inskrivning", "avaktualiserad_datum", "negative_spell")},
    ),
    "deregistered on the first day": (change("inskrivning", "2010-08-16", "2009-01-12"), {("inskrivning", "avaktualiserad_datum", "same_day")}),
    "spells that overlap": (rows("sokandekategori", "P10,1,2,2010-08-01,2010-08-16,14"), {("sokandekategori", "start", "overlap")}),
    "a person of whom nothing is known": (rows("manadslon", "P99,2019-06,A1,26500"), {("manadslon", "lopnr", "person_unknown")}),
    "a start after death": (rows("program_beslut", "P07,B99,AMU,2021-06-14,2021-06-20,,false"), {("program_beslut", "start", "after_death")}),
    "a deregistration long after death": (
        change("inskrivning", "2021-07-20", "2021-08-10"),
        {("inskrivning", "avaktualiserad_datum", "after_death")},
    ),
    "a protected person": (
        change("individ", "P05,2,1985,00,12,02,02,,1280,,,false", "P05,2,1985,00,12,02,02,,1280,,,true"),
        {("individ", "skyddad", "protected")},
    ),
    "a participant without a registration": (
        change("inskrivning", "P09,1,2020-02-17", "P09,1,2020-03-17"),
        {("projekt_deltagande", "start_datum", "unregistered")},
    ),
    "a start before the project": (
        change("projekt_deltagande", "2018-03-05", "2018-02-26"),
        {("projekt_deltagande", "start_datum", "before_project")},
    ),
    "a start before the offer": (
        change("projekt_deltagande", "2018-02-20", "2018-03-20"),
        {("projekt_deltagande", "start_datum", "start_before_offer")},
    ),
    "complete beyond the extraction": (
        change("leverans", "2023-03-01,2022-12", "2023-03-01,2023-03"),
        {("leverans", "komplett_t_o_m", "incomplete")},
    ),
    "a day after the extraction": (change("inskrivning", "2022-06-01", "2023-03-16"), {("inskrivning", "avaktualiserad_datum", "after_extraction")}),
    "another municipality": (
        change("individ", "P09,2,1982,03,11,03,03,2001,1280", "P09,2,1982,03,11,03,03,2001,1281"),
        {("individ", "kommun", "other_municipality")},
    ),
    "no origin": (change("individ", "P09,2,1982,03,11", "P09,2,1982,,11"), {("individ", "fodelselandgrupp", "origin_missing")}),
    "no education": (change("arsinkomst", "5,3,34a", "5,,34a"), {("arsinkomst", "sun_niva", "education_missing")}),
}


ELSEWHERE = {  # where a fault is planted, if not in the table it is told of
    "the mark that spreadsheets put first": "inskrivning",
    "a workbook with the sheet of its name": "inskrivning",
    "a participant without a registration": "inskrivning",
    "a month that leaves most registrations out": "leverans",
}


def deliveries() -> list[list[str]]:
    """Share the faults out on deliveries in which each table has one fault at most, so that every fault can be told apart."""
    shared: list[tuple[list[str], set[str]]] = []
    for name, (_, expected) in FAULTS.items():
        touched = {table for table, _, _ in expected} | ({ELSEWHERE[name]} if name in ELSEWHERE else set())
        names, taken = next((entry for entry in shared if not entry[1] & touched), ([], set()))
        if not names:
            shared.append((names, taken))
        names.append(name)
        taken |= touched
    return [names for names, _ in shared]


@pytest.mark.hand
@pytest.mark.parametrize("names", deliveries(), ids=", ".join)
def test_a_planted_fault_is_found_and_nothing_else(names: list[str], folder: Path) -> None:
    for name in names:
        FAULTS[name][0](folder)
    found = findings(folder, contract_of(*CLEAN))
    assert told(found) == set().union(*(FAULTS[name][1] for name in names))
    assert all(secret not in found.to_frame(language).to_string() for secret in (FAKE_ID, BARE_ID) for language in ("sv", "en"))


def test_there_are_enough_faults_and_every_one_is_planted() -> None:
    assert len(FAULTS) >= 32
    assert sorted(name for names in deliveries() for name in names) == sorted(FAULTS)


def test_the_clean_delivery_has_neither_errors_nor_warnings(folder: Path) -> None:
    validation = validate(open_delivery(folder))
    assert {item.key for item in validation.findings.items} == {"table_absent", "codes_unverified"}
    assert {item.severity for item in validation.findings.items} == {"note"}
    assert validation.registers is not None
    assert validation.registers.names == tuple(CLEAN)


def test_every_rule_has_a_fault_that_breaks_it() -> None:
    """The others need a site file, a database or a flat table, and are tested where those are."""
    broken = {key for _, expected in FAULTS.values() for _, _, key in expected}
    assert set(load_rules()) - broken == {"table_absent", "file_missing", "codes_unverified", "column_unmatched", "repeated"}


TOGETHER = (
    *("Latin-1", "garbage called Parquet", "a required column misspelt", "days as Excel counts them", "a missing value", "an unknown code"),
    *("a decimal comma", "more days than a year has", "ja and nej", "a value off its pattern", "two rows for an agency", "another municipality"),
)


@pytest.mark.hand
def test_every_error_of_every_table_is_told_at_once(folder: Path) -> None:
    for name in TOGETHER:
        FAULTS[name][0](folder)
    with pytest.raises(SchemaError, match=r"the delivery is not as data_schema/ says \(10 problems\)") as caught:
        read_registers(folder, site=ONE_THREAD, contract=contract_of(*CLEAN))
    expected = {item for name in TOGETHER for item in FAULTS[name][1] if load_rules()[item[2]].severity == "error"}
    assert sorted(problem.where for problem in caught.value.problems) == sorted(f"{table}.{column}".rstrip(".") for table, column, _ in expected)


def test_an_identity_number_in_every_column_is_told_everywhere_and_shown_nowhere(
    folder: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for table in CLEAN:
        file = folder / f"{table}.csv"
        frame = pd.read_csv(file, dtype=str)
        frame.iloc[0] = FAKE_ID
        frame.to_csv(file, index=False)
    found = findings(folder)
    columns = {(table, column) for table, text in CLEAN.items() for column in text.partition("\n")[0].split(",")}
    assert {(item.table, item.column) for item in found.items if item.key == "identity"} == columns
    with pytest.raises(SchemaError, match="must not hold what looks like a personal identity number") as caught:
        found.raise_errors()
    shown = [
        str(caught.value),
        repr(found.items),
        caplog.text,
        *capsys.readouterr(),
        *(found.to_frame(language).to_csv() for language in ("sv", "en")),
    ]
    assert not [text for text in shown if FAKE_ID in text]


CELLS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["P01", "2020-01-01", "1", "true", '"', ",", "\n", "1e999", "-0", FAKE_ID]
)
TABLES = st.lists(st.lists(CELLS, min_size=12, max_size=12).map(",".join), max_size=4).map(
    lambda lines: "\n".join([CLEAN["individ"].partition("\n")[0], *lines]).encode()
)


@pytest.mark.property
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16")) | TABLES)
def test_whatever_bytes_are_delivered_nothing_but_the_documented_error_is_raised(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "individ.csv").write_bytes(content)
    with contextlib.suppress(SchemaError):
        read_registers({"individ": tmp_path / "individ.csv"}, site=ONE_THREAD, contract=contract_of("leverans", "individ"))


# The same delivery in every kind of file


def as_parquet(folder: Path, frames: Frames) -> Path:
    with duckdb.connect() as connection:
        for name, frame in frames.items():
            connection.register("frame", frame)
            connection.execute(f"copy frame to '{folder / name}.parquet' (format parquet)")
    return folder


def as_excel(folder: Path, frames: Frames) -> Path:
    for name, frame in frames.items():
        frame.to_excel(folder / f"{name}.xlsx", index=False)
    return folder


def as_numbers_and_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Give what the formats of statistical programs can hold: they know neither booleans nor integers without a value, nor text without one."""
    kept = {}
    for name, column in frame.items():
        number = pd.api.types.is_numeric_dtype(column)
        kept[name] = column.astype("float64") if number else column if pd.api.types.is_datetime64_dtype(column) else column.fillna("").astype(object)
    return pd.DataFrame(kept)


def as_stata(folder: Path, frames: Frames) -> Path:
    for name, frame in frames.items():
        as_numbers_and_text(frame).to_stata(folder / f"{name}.dta", write_index=False, version=118)
    return folder


def as_spss(folder: Path, frames: Frames) -> Path:
    for name, frame in frames.items():
        pyreadstat.write_sav(as_numbers_and_text(frame), str(folder / f"{name}.sav"))
    return folder


def as_stata_by_the_name_of_sas(folder: Path, frames: Frames) -> Path:
    for file in as_stata(folder, frames).iterdir():
        file.rename(file.with_suffix(".sas7bdat"))
    return folder


def as_sqlite(folder: Path, frames: Frames) -> str:
    with contextlib.closing(sqlite3.connect(folder / "register.db")) as connection:
        for name, frame in frames.items():
            frame.to_sql(name, connection, index=False)
    return f"sqlite:///{folder / 'register.db'}"


def as_duckdb(folder: Path, frames: Frames) -> str:
    with duckdb.connect(str(folder / "register.duckdb")) as connection:
        for name, frame in frames.items():
            connection.register("frame", frame)
            connection.execute(f"create table {name} as from frame")
            connection.unregister("frame")
    return f"duckdb:///{folder / 'register.duckdb'}"


OF_EVERY_KIND = ("leverans", "individ", "inskrivning", "manadslon", "ersattning_fk")  # together they have columns of every kind


@pytest.fixture(scope="module")
def registers(tmp_path_factory: pytest.TempPathFactory) -> Registers:
    place = tmp_path_factory.mktemp("clean")
    for name in OF_EVERY_KIND:
        (place / f"{name}.csv").write_text(CLEAN[name], encoding="utf-8")
    return read_registers(place, site=ONE_THREAD, contract=contract_of(*OF_EVERY_KIND))


WRITERS = [as_parquet, as_excel, as_stata, as_spss, as_stata_by_the_name_of_sas, as_sqlite, as_duckdb, lambda _, frames: frames]
NAMES = ["Parquet", "Excel", "Stata", "SPSS", "SAS", "SQLite", "DuckDB", "data frames"]


@pytest.mark.parametrize("write", WRITERS, ids=NAMES)
def test_the_same_delivery_gives_the_same_registers_in_every_kind_of_file(
    write: Callable[[Path, Frames], Path | str | Frames], registers: Registers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No free program writes SAS files, so there Stata's bytes bear the name of SAS's, and its reader stands in: only that it is called is tested."""
    monkeypatch.setitem(STATISTICS, ".sas7bdat", "read_dta")
    assert {entry.kind for name in OF_EVERY_KIND for entry in registers.contract.tables[name].fields} == set(TYPES)
    frames = {name: registers.frame(name) for name in registers.names}
    again = read_registers(write(tmp_path, frames), site=ONE_THREAD, contract=registers.contract)
    assert again.names == registers.names
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(again.frame(name), frame)
