"""How do the page's tables leave it, to be calculated with? As the sheets of one workbook, and as a CSV each.

They are taken from the page, so that nothing leaves that is not on it, and a cell that is a number there is the same number here. A workbook says of
itself neither who made it nor when, so the same page gives the same bytes.

References
----------
ECMA-376, Office Open XML file formats; RFC 4180, Common format for comma-separated values.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING

from evaluation.plan_sections import Language
from evaluation.reporting.blocks import Page, Picture, Rows
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import MINUS, THIN_SPACE

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet  # type: ignore[import-untyped]

NO_DAY = dt.datetime(2000, 1, 1)  # a workbook must say when it was made; what changes with the day would change its bytes
FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can tell
LONGEST_SHEET_NAME = 31  # characters, by Excel's own rule
WIDEST, NARROWEST = 60, 8  # characters of a column: longer texts are broken into lines

_MODIFIED = re.compile(rb"(<dcterms:modified\b[^>]*>)[^<]*")
_NAME = re.compile(r'aria-labelledby="([\w-]+)-title ')
_GROUPS = {"sv": THIN_SPACE, "en": ","}
_POINT = {"sv": ",", "en": "."}
_WORDS: dict[str, dict[Language, str]] = tomllib.loads(files("evaluation.reporting").joinpath("templates/bundle.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class PageTable:
    """A table of the page, and what it is called outside it.

    Attributes
    ----------
    name : str
        Letters, digits and hyphens, unique on the page and the same in both languages: the name of the figure it stands beside, or of its section
        with its number there.
    heading : str
        Of the section it stands in.
    table : Table
    """

    name: str
    heading: str
    table: Table


@dataclass(frozen=True)
class Amount:
    """A cell that is a number.

    Attributes
    ----------
    value : Decimal
        With the decimals it is shown with; of a percentage the share.
    excel_format : str
        How a sheet shows it, so that it looks as on the page.
    """

    value: Decimal
    excel_format: str


def words(key: str, language: Language, **values: object) -> str:
    """Give a sentence about the output, with its values filled in."""
    text = _WORDS[key][language]
    return text.format(**values) if values else text


def picture_name(picture: Picture) -> str:
    """Give the name a figure was drawn under, which is unique on its page."""
    found = _NAME.search(picture.svg)
    assert found, "svg_text names every figure"
    return found.group(1)


def page_tables(page: Page) -> tuple[PageTable, ...]:
    """Give every table of a page, in reading order.

    Parameters
    ----------
    page : Page

    Returns
    -------
    tuple of PageTable
    """
    found = []
    for section in page.sections:
        number, before = 0, None
        for block in section.blocks:
            if isinstance(block, Rows):
                number += 1
                name = picture_name(before) if isinstance(before, Picture) else f"{section.id}-{number}"
                found.append(PageTable(name, section.heading, block.table))
            before = block
    return tuple(found)


def read_cell(text: str, language: Language) -> Amount | str:
    """Give a cell as the number it is, or as its text.

    Parameters
    ----------
    text : str
        As the page shows it.
    language : {"sv", "en"}

    Returns
    -------
    Amount or str
        An amount where the whole text is one number, with or without its sign and a per cent sign; thin spaces and a decimal comma are understood
        in Swedish, commas and a decimal point in English, and a true minus in both.
    """
    group, point = re.escape(_GROUPS[language]), re.escape(_POINT[language])
    number = rf"([+{MINUS}]?)((?:0|[1-9]\d*)|[1-9]\d{{0,2}}(?:{group}\d{{3}})+)(?:{point}(\d+))?({THIN_SPACE}?%)?"
    found = re.fullmatch(number, text)
    if found is None:
        return text
    sign, whole, decimals, percent = found.groups(default="")
    digits = whole.replace(_GROUPS[language], "")
    value = Decimal(f"{'-' if sign == MINUS else ''}{digits}{'.' if decimals else ''}{decimals}")
    shown = "#,##0" + ("." + "0" * len(decimals) if decimals else "")
    if percent:
        value, shown = value.scaleb(-2), f"{shown} %" if language == "sv" else f"{shown}%"
    above = "+" if sign == "+" else ""
    return Amount(value, f'{above}{shown};"{MINUS}"{shown};{shown}')


def csv_text(table: Table, language: Language) -> str:
    """Give a table as CSV that every program reads alike: commas between cells, a point before decimals, and nothing between thousands.

    Parameters
    ----------
    table : Table
    language : {"sv", "en"}
        The one its cells are written in.

    Returns
    -------
    str
        One header row; a percentage is a share.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(table.head)
    for name, *cells in table.rows:
        read = [read_cell(cell, language) for cell in cells]
        writer.writerow([name, *(format(cell.value, "f") if isinstance(cell, Amount) else cell for cell in read)])
    return written.getvalue()


def workbook_bytes(page: Page, notes: Sequence[str] = ()) -> bytes:
    """Give every table of a page as one Excel workbook.

    Parameters
    ----------
    page : Page
    notes : sequence of str
        What else the cover says, such as how numbers were rounded.

    Returns
    -------
    bytes
        A cover with the title, the question, the notes and the list of sheets; then a sheet for each table, with one header row. Where the people
        are invented, every sheet's name and printed page says so. The same page gives the same bytes.
    """
    import openpyxl  # type: ignore[import-untyped]

    language, tables = page.language, page_tables(page)
    mark = words("mark", language) if page.mark else ""
    titles = sheet_titles([table.name for table in tables], mark)
    book = openpyxl.Workbook()
    book.properties.creator, book.properties.title = "malmokraften-evaluation", " – ".join(filter(None, (page.mark, page.title)))
    book.properties.language, book.properties.created = language, NO_DAY
    cover = book.active
    cover.title = " ".join(filter(None, (words("cover", language), mark)))
    _fill_cover(cover, page, tables, titles, notes)
    for table, title in zip(tables, titles, strict=True):
        _fill_sheet(book.create_sheet(title), table.table, page)
    made = io.BytesIO()
    book.save(made)
    return _without_times(made.getvalue())


def sheet_titles(names: Sequence[str], mark: str = "") -> list[str]:
    """Name the sheets as the tables, cut to what Excel allows and still each by a name of its own.

    Parameters
    ----------
    names : sequence of str
    mark : str
        Ends every name, where people are invented.

    Returns
    -------
    list of str
    """
    room, taken, titles = LONGEST_SHEET_NAME - len(mark) - bool(mark), set[str](), []
    for name in names:
        cut, number = name[:room], 1
        while cut.lower() in taken:
            number += 1
            cut = f"{name[: room - len(str(number)) - 1]}-{number}"
        taken.add(cut.lower())
        titles.append(f"{cut} {mark}".rstrip())
    return titles


def _fill_cover(sheet: Worksheet, page: Page, tables: Sequence[PageTable], titles: Sequence[str], notes: Sequence[str]) -> None:
    from openpyxl.styles import Alignment, Font  # type: ignore[import-untyped]
    from openpyxl.worksheet.hyperlink import Hyperlink  # type: ignore[import-untyped]

    language = page.language
    said = [page.question, page.mark, words("note_same", language), words("note_percent", language), *notes]
    lines = [[page.title], *([text] for text in said if text), [], [words(key, language) for key in ("sheet", "section", "table")]]
    head = len(lines)
    lines += [[title, table.heading, table.table.caption] for title, table in zip(titles, tables, strict=True)]
    for row, line in enumerate(lines, start=1):
        for column, text in enumerate(line, start=1):
            _set_text(sheet, row, column, text)
            sheet.cell(row, column).alignment = Alignment(wrap_text=row >= head, vertical="top")
        if row > head:
            sheet.cell(row, 1).hyperlink = Hyperlink(ref=f"A{row}", location=f"'{line[0]}'!A1")
    for row in (1, head):
        for column in range(1, len(lines[row - 1]) + 1):
            sheet.cell(row, column).font = Font(bold=True)
    _set_widths(sheet, lines[head - 1 :])
    _set_print(sheet, page, page.title)


def _fill_sheet(sheet: Worksheet, table: Table, page: Page) -> None:
    from openpyxl.styles import Alignment, Font

    for column, text in enumerate(table.head, start=1):
        _set_text(sheet, 1, column, text)
        sheet.cell(1, column).font = Font(bold=True)
        sheet.cell(1, column).alignment = Alignment(wrap_text=True, vertical="bottom", horizontal="left" if column == 1 else "right")
    for row, cells in enumerate(table.rows, start=2):
        for column, text in enumerate(cells, start=1):
            found = read_cell(text, page.language) if column > 1 else text
            if isinstance(found, Amount):
                cell = sheet.cell(row, column, float(found.value))
                cell.number_format = found.excel_format
            else:
                _set_text(sheet, row, column, text)
                aligned = "left" if column == 1 or len(text) > WIDEST else "right"
                sheet.cell(row, column).alignment = Alignment(wrap_text=True, vertical="top", horizontal=aligned)
    sheet.freeze_panes = "B2"
    sheet.print_title_rows = "1:1"
    _set_widths(sheet, [table.head, *table.rows])
    _set_print(sheet, page, table.caption)


def _set_text(sheet: Worksheet, row: int, column: int, text: str) -> None:
    cell = sheet.cell(row, column, text)
    cell.data_type = "s"  # a label that begins with an equals sign is no formula


def _set_widths(sheet: Worksheet, rows: Sequence[Sequence[str]]) -> None:
    from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]

    for column in range(max(map(len, rows))):
        longest = max(len(row[column]) for row in rows if column < len(row))
        sheet.column_dimensions[get_column_letter(column + 1)].width = min(max(longest + 2, NARROWEST), WIDEST)


def _set_print(sheet: Worksheet, page: Page, caption: str) -> None:
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight, sheet.sheet_properties.pageSetUpPr.fitToPage = 0, True
    said = " – ".join(filter(None, (page.mark, caption)))
    sheet.oddHeader.left.text = said.replace("&", "&&")[:200]  # Excel reads no more than 255 characters, its own codes among them


def _without_times(book: bytes) -> bytes:
    """Pack a workbook again so that it does not say when it was made."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as made, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as again:
        for name in made.namelist():
            content = _MODIFIED.sub(rb"\g<1>" + NO_DAY.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), made.read(name))
            again.writestr(zipfile.ZipInfo(name, FIRST_MOMENT), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
