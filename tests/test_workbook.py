"""The page's tables as a workbook and as CSVs: the same numbers, to be calculated with, and nothing about who made them or when."""

import csv
import io
import re
import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.analysis.outcomes import TimeUnit
from evaluation.release.contents import read_contents
from evaluation.reporting.blocks import Page, Paragraph, Picture, Rows, Section
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import Voice
from evaluation.reporting.workbook import FIRST_MOMENT, Amount, csv_text, page_tables, read_cell, sheet_titles, workbook_bytes

SHORTEST_NAME = 10  # characters that a mark leaves at least

PEOPLE = Table(
    "Antal personer",
    ("Grupp", "Deltagare, antal", "Skillnad", "Andel", "Intervall"),
    (
        ("2018", "1\u202f240", "−3,2", "45\u202f%", "−7,1 till +0,7"),
        ("=1+1", "<10", "+1,0", "··", "–"),
        ("alla", "35", "0,0", "7,5\u202f%", ""),
    ),
)


def page(mark: str = "", *more: Table) -> Page:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="curves-title curves-desc"></svg>'
    first = Section("who", "Vilka", (Paragraph("text"), Rows(PEOPLE)))
    second = Section("results", "Vad som hände", (Picture(svg, "bild"), Rows(PEOPLE), Paragraph("text"), *map(Rows, (PEOPLE, *more))))
    return Page("sv", "1", mark, "Rapport", "Titel & annat", "Fråga?", "", "", "en", "", (first, second))


def opened(content: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


# --- what is a number


@pytest.mark.hand
@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("1\u202f240", "sv", "1240"),
        ("12\u202f345\u202f678,90", "sv", "12345678.90"),
        ("−3,2", "sv", "-3.2"),
        ("+0,7", "sv", "0.7"),
        ("45\u202f%", "sv", "0.45"),
        ("7,5\u202f%", "sv", "0.075"),
        ("1,240", "en", "1240"),
        ("1,240", "sv", "1.240"),
        ("−3.2", "en", "-3.2"),
        ("45%", "en", "0.45"),
        ("2018", "en", "2018"),
        ("0", "sv", "0"),
    ],
)
def test_a_number_is_read_in_its_language(text: str, language: str, value: str) -> None:
    found = read_cell(text, language)
    assert isinstance(found, Amount)
    assert found.value == Decimal(value)


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "··",
        "<10",
        "–",
        "∞",
        "0–4",
        "−7,1 till +0,7",
        "50,0 (33,3 till 66,7)",
        "0180",
        "2018-03",
        "1 240",
        "12,,5",
        "1.2.3",
        "< 0,001",
        "-3,2 pp",
        "+",
    ],
)
def test_what_is_no_single_number_stays_text(text: str, language: str) -> None:
    assert read_cell(text, language) == text


@pytest.mark.property
@pytest.mark.parametrize("language", ["sv", "en"])
@settings(deadline=None)
@given(thousandths=st.integers(-(10**10), 10**10), decimals=st.integers(0, 3), signed=st.booleans())
def test_every_number_the_page_can_write_is_read_back(language: str, thousandths: int, decimals: int, signed: bool) -> None:
    voice, value = Voice(language, TimeUnit.MONTH), thousandths / 1000
    found = read_cell((voice.signed if signed else voice.number)(value, decimals), language)
    assert isinstance(found, Amount)
    assert found.value == Decimal(repr(round(value, decimals)))


@pytest.mark.property
@pytest.mark.parametrize("language", ["sv", "en"])
@settings(deadline=None)
@given(thousandths=st.integers(0, 1000))
def test_every_percentage_the_page_can_write_is_read_as_a_share(language: str, thousandths: int) -> None:
    found = read_cell(Voice(language, TimeUnit.MONTH).percent_sign(thousandths / 1000, 1), language)
    assert isinstance(found, Amount)
    assert found.value == Decimal(thousandths) / 1000


# --- which tables


def test_a_table_is_called_as_its_figure_or_by_its_place_in_its_section() -> None:
    assert [(table.name, table.heading) for table in page_tables(page())] == [
        ("who-1", "Vilka"),
        ("curves", "Vad som hände"),
        ("results-2", "Vad som hände"),
    ]


# --- the workbook, read by the program it is for and by pandas


def test_every_table_is_a_sheet_with_one_header_row_and_numbers() -> None:
    sheet = opened(workbook_bytes(page()))["curves"]
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[0] == PEOPLE.head
    assert rows[1:] == [
        ("2018", 1240, -3.2, 0.45, "−7,1 till +0,7"),  # what names a row is a name
        ("=1+1", "<10", 1, "··", "–"),
        ("alla", 35, 0, 0.075, None),
    ]
    frame = pd.read_excel(io.BytesIO(workbook_bytes(page())), sheet_name="curves")
    assert frame["Skillnad"].tolist() == [-3.2, 1.0, 0.0]


def test_a_sheet_shows_numbers_as_the_page_does() -> None:
    sheet = opened(workbook_bytes(page()))["curves"]
    assert sheet["B2"].number_format == '#,##0;"−"#,##0;#,##0'
    assert sheet["C2"].number_format == '#,##0.0;"−"#,##0.0;#,##0.0'
    assert sheet["C3"].number_format == '+#,##0.0;"−"#,##0.0;#,##0.0'
    assert sheet["D4"].number_format == '#,##0.0 %;"−"#,##0.0 %;#,##0.0 %'


def test_a_label_like_a_formula_is_text() -> None:
    assert opened(workbook_bytes(page()))["curves"]["A3"].data_type == "s"


def test_the_cover_says_what_it_is_and_leads_to_every_sheet() -> None:
    book = opened(workbook_bytes(page("SYNTETISKA DATA"), notes=("Antal är avrundade.",)))
    cover = book.worksheets[0]
    said = [str(cell) for row in cover.iter_rows(values_only=True) for cell in row if cell]
    assert {"Titel & annat", "Fråga?", "SYNTETISKA DATA", "Antal är avrundade.", "Antal personer"} <= set(said)
    places = [cell.hyperlink.location for (cell, *_) in cover.iter_rows() if cell.hyperlink]
    assert [re.fullmatch("'(.*)'!A1", place).group(1) for place in places] == book.sheetnames[1:]


def test_invented_people_are_called_so_on_every_sheet() -> None:
    marked, plain = (opened(workbook_bytes(page(mark))) for mark in ("SYNTETISKA DATA", ""))
    assert all(name.endswith(" SYNTETISK") for name in marked.sheetnames)
    assert all(sheet.oddHeader.left.text.startswith("SYNTETISKA DATA – ") for sheet in marked.worksheets)
    assert marked.properties.title.startswith("SYNTETISKA DATA")
    assert not any("SYNTETISK" in name for name in plain.sheetnames)


def test_a_workbook_says_neither_who_made_it_nor_when(tmp_path: Path) -> None:
    content = workbook_bytes(page())
    (tmp_path / "tables.xlsx").write_bytes(content)
    found = read_contents(tmp_path / "tables.xlsx")
    assert found.makers == {"creator": "malmokraften-evaluation"}
    assert found.hidden == []
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert {part.date_time for part in parts.infolist()} == {FIRST_MOMENT}
        assert set(re.findall(r"\d{4}-\d\d-\d\dT", parts.read("docProps/core.xml").decode())) == {"2000-01-01T"}


def test_the_same_page_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = workbook_bytes(page())
    monkeypatch.setattr("zipfile.time.localtime", lambda *_: (2031, 5, 6, 7, 8, 9, 1, 126, 0))
    assert workbook_bytes(page()) == before
    assert workbook_bytes(page("", PEOPLE)) != before


@pytest.mark.property
@settings(deadline=None)
@given(names=st.lists(st.text("abc-", min_size=1, max_size=40), max_size=30), mark=st.sampled_from(["", "SYNTETISK"]))
def test_sheets_have_names_of_their_own_that_excel_allows(names: list[str], mark: str) -> None:
    titles = sheet_titles(names, mark)
    assert len({title.lower() for title in titles}) == len(names)
    assert all(len(title) <= 31 and title.endswith(mark) for title in titles)
    assert all(title[:SHORTEST_NAME] == name or title.startswith(name[:SHORTEST_NAME]) for title, name in zip(titles, names, strict=True))


# --- a CSV each


def test_a_csv_has_one_header_row_and_numbers_every_program_reads() -> None:
    rows = list(csv.reader(io.StringIO(csv_text(PEOPLE, "sv"))))
    assert rows[0] == list(PEOPLE.head)
    assert rows[1:] == [
        ["2018", "1240", "-3.2", "0.45", "−7,1 till +0,7"],
        ["=1+1", "<10", "1.0", "··", "–"],
        ["alla", "35", "0.0", "0.075", ""],
    ]


def test_sheet_and_csv_say_the_same() -> None:
    sheet = pd.read_excel(io.BytesIO(workbook_bytes(page())), sheet_name="who-1", dtype={"Grupp": str})
    text = pd.read_csv(io.StringIO(csv_text(PEOPLE, "sv")), dtype={"Grupp": str})
    pd.testing.assert_frame_equal(sheet.astype(str), text.astype(str))
