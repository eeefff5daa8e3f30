"""What is in a delivered file, as its bytes say it?

Encoding, separator and header row of a text file are found from the whole file, never from its name; workbooks and the files of statistical programs
come as data frames, some rows at a time. A file that cannot be read is refused with the rule it breaks.

References
----------
RFC 4180 (2005), Common format and MIME type for CSV files.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import re
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import pandas as pd

from evaluation.registers.findings import FIRST_ROWS, Finding
from evaluation.registers.site import Encoding, Separator

TEXT = frozenset({".csv", ".txt", ".tsv"})
STATISTICS = {".sas7bdat": "read_sas7bdat", ".dta": "read_dta", ".sav": "read_sav"}  # and the reader of each in pyreadstat
KINDS = frozenset({*TEXT, *STATISTICS, ".parquet", ".xlsx"})
CHUNK = 50_000  # rows in memory at a time where a file does not go straight into the database

_SEPARATORS: tuple[Separator, ...] = (",", ";", "\t", "|")
_BLOCK = 1 << 20  # bytes
_LOOK = 6  # rows in which a title above the header row shows: the title, a date or a blank, the header and some of the table
_PYTHON: dict[Encoding, str] = {"utf-8": "utf-8-sig"}  # where Python's name is another: without the mark that spreadsheets put first


class Refused(Exception):
    """A file cannot be read; holds the rule it breaks as a finding has it, without the table."""

    def __init__(
        self,
        key: str,
        detail: dict[str, str] | None = None,
        column: str = "",
        rows: int | None = None,
        of: int | None = None,
        first: Sequence[int] = (),
    ) -> None:
        super().__init__(key)
        self._found = (column, key, detail or {}, rows, of, tuple(first[:FIRST_ROWS]))

    def in_table(self, table: str) -> Finding:
        """Give the finding."""
        return Finding(table, *self._found)


class Dialect(NamedTuple):
    """How a text file is written, and the names in its header row."""

    encoding: Encoding
    separator: Separator
    header: list[str]


def unreadable(error: Exception) -> Refused:
    """Give the refusal of a file at which a reader failed: what the reader says may quote the file, so only the kind of error is told."""
    name = type(error).__name__
    return Refused("file_unreadable", {"reason": name if name != "Error" else f"{type(error).__module__.strip('_')}.{name}"})


def find_dialect(file: Path, encoding: Encoding | None = None, separator: Separator | None = None) -> Dialect:
    """Find out how a text file is written; refused if it is empty, holds bytes that no text holds or begins with a title.

    Parameters
    ----------
    file : Path
    encoding : {"utf-8", "cp1252", "latin-1", "utf-16"}, optional
        Where it is known; else the file is tried as UTF-8 from end to end, and is Windows' encoding (of which Latin-1 is a part) if that fails.
    separator : {",", ";", tab, "|"}, optional
        Where it is known; else the one that stands most often in the header row, outside quotes.

    Returns
    -------
    Dialect
    """
    encoding = encoding or _find_encoding(file)
    with _opened(file, encoding) as stream:
        lines = list(islice((line for line in stream if line.strip()), _LOOK))
        if not lines:
            raise Refused("file_empty")
        # a title has another separator than the table, or none
        if _is_title([row for row in csv.reader(lines, delimiter=separator or _find_separator("".join(lines))) if row]):
            raise Refused("title_row")
        found = separator or _find_separator(lines[0])
        stream.seek(0)
        header = next(row for row in csv.reader(stream, delimiter=found) if row)
    return Dialect(encoding, found, header)


def is_ended(file: Path) -> bool:
    """Tell whether a text file ends with a line break, as whole files do."""
    with file.open("rb") as stream:
        stream.seek(max(file.stat().st_size - 2, 0))  # in UTF-16 a line break has two bytes
        return bool(set(stream.read()) & set(b"\r\n"))


def text_frames(file: Path, dialect: Dialect) -> Iterator[pd.DataFrame]:
    """Read a text file as data frames of text, some rows at a time; refused at its end if any row had more or fewer fields than the header row."""
    width, of, ragged = len(dialect.header), 0, 0
    first: list[int] = []
    with _opened(file, dialect.encoding) as stream:
        rows = (row for row in csv.reader(stream, delimiter=dialect.separator, strict=True) if row)
        next(rows)
        yield pd.DataFrame(columns=range(width), dtype="string")
        while chunk := list(islice(rows, CHUNK)):
            wrong = [of + place for place, row in enumerate(chunk, start=1) if len(row) != width]
            ragged, of, first = ragged + len(wrong), of + len(chunk), first or wrong
            if not ragged:
                yield pd.DataFrame(chunk, dtype="string")
    if ragged:
        raise Refused("rows_ragged", rows=ragged, of=of, first=first)


def frames(file: Path, table: str) -> Iterator[pd.DataFrame]:
    """Read a workbook or a file of a statistical program as data frames, some rows at a time; the first has the columns even if there is no row.

    Refused if it is not clear which sheet is meant, or if a sheet has a title above its header row or cells beyond it.

    Parameters
    ----------
    file : Path
        Ending in .xlsx, .sas7bdat, .dta or .sav.
    table : str
        Which sheet of several is meant.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader's remarks on styles and formats may quote what they are about
        if file.suffix.lower() == ".xlsx":
            yield _sheet(file, table)
            return
        import pyreadstat

        reader = getattr(pyreadstat, STATISTICS[file.suffix.lower()])
        yield reader(str(file), row_limit=1)[0].iloc[:0]
        for chunk, _ in pyreadstat.read_file_in_chunks(reader, str(file), chunksize=CHUNK):
            yield chunk


def _find_encoding(file: Path) -> Encoding:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as stream:
        start = stream.read(2)
        if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        stream.seek(0)
        encoding: Encoding = "utf-8"
        while block := stream.read(_BLOCK):
            if b"\0" in block:
                raise Refused("file_unreadable", {"reason": "NUL"})
            if encoding == "utf-8":
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    encoding = "cp1252"
    return encoding


def _find_separator(line: str) -> Separator:
    unquoted = re.sub('"[^"]*"', "", line)
    counts = {one: unquoted.count(one) for one in _SEPARATORS}
    return max(counts, key=counts.__getitem__)


def _is_title(rows: Sequence[Sequence[object]]) -> bool:
    """Tell whether the first row has far fewer filled fields than the table below it."""
    first, *below = (sum(cell not in (None, "") for cell in row) for row in rows)
    return 2 * first < max(below, default=0)


def _opened(file: Path, encoding: Encoding) -> TextIO:
    return file.open("r", encoding=_PYTHON.get(encoding, encoding), newline="")


def _sheet(file: Path, table: str) -> pd.DataFrame:
    import openpyxl  # type: ignore[import-untyped]

    with contextlib.closing(openpyxl.load_workbook(file, read_only=True, data_only=True)) as book:
        sheets = {
            sheet.title: [row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row)] for sheet in book.worksheets
        }
    filled = {title: rows for title, rows in sheets.items() if rows}
    named = [title for title in filled if title.strip().casefold() == table.casefold()]
    if not filled:
        raise Refused("file_empty")
    if len(filled) > 1 and len(named) != 1:
        raise Refused("sheets")
    header, *rows = filled[named[0] if named else next(iter(filled))]
    if _is_title([header, *rows[: _LOOK - 1]]):
        raise Refused("title_row")
    width = max(place for place, cell in enumerate(header, start=1) if cell is not None)
    beyond = [place for place, row in enumerate(rows, start=1) if any(cell is not None for cell in row[width:])]
    if beyond:
        raise Refused("rows_ragged", rows=len(beyond), of=len(rows), first=beyond)
    names = ["" if cell is None else str(cell) for cell in header[:width]]
    return pd.DataFrame([row[:width] for row in rows], columns=names)
