"""What does a released file hold, to somebody who opens it?

Each kind of file is read for its tables, its texts, its drawings and what it says of who made it; a kind that nobody can look into is not released.
Nothing is run, and nothing is believed of what made the file.
"""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

_PNG_HEAD = 8  # bytes before the first chunk
_MAKERS = ("creator", "lastModifiedBy", "Company", "Manager")  # elements of an Excel file's properties
_PDF_MAKER = re.compile(rb"/(Author|Creator)\s*\(((?:[^()\\]|\\.)*)\)")
_SPOKEN = ("title", "alt", "content", "aria-label")
_VOID = {"meta", "link", "br", "hr", "img", "input", "col", "wbr", "source"}
READ = (".html", ".csv", ".xlsx", ".json", ".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Grid:
    """A table as it is read: where it stands, its header row and its rows, as text."""

    where: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Contents:
    """What a file holds.

    Attributes
    ----------
    grids : list of Grid
    texts : list of str
        Every text outside tables, titles and comments among them.
    numbers : list of (str, int)
        Whole numbers that stand under a name, as in JSON.
    drawings : list of str
        SVG.
    makers : dict of str to str
        What the file says of who made it, where it says anything.
    hidden : list of str
        What is there and not seen at first: sheets, comments, links.
    """

    grids: list[Grid] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    numbers: list[tuple[str, int]] = field(default_factory=list)
    drawings: list[str] = field(default_factory=list)
    makers: dict[str, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)


def read_contents(path: Path) -> Contents:
    """Read a file of one of the kinds in `READ`.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Contents

    Notes
    -----
    A file that is not what its name says ends in the OSError or ValueError of who reads it.
    """
    match path.suffix:
        case ".html":
            return _of_html(path.read_text(encoding="utf-8"))
        case ".csv":
            rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
            return Contents(grids=[_grid(path.name, rows)])
        case ".xlsx":
            return _of_workbook(path)
        case ".json":
            found = Contents()
            _walk(json.loads(path.read_text(encoding="utf-8")), "", found)
            return found
        case ".svg":
            return _of_svg(path.read_text(encoding="utf-8"))
        case ".png":
            return Contents(makers=dict(_png_texts(path.read_bytes())))
        case _:
            made = {key.decode(): value.decode("latin-1") for key, value in _PDF_MAKER.findall(path.read_bytes())}
            return Contents(makers=made)


def _grid(where: str, rows: list[list[str]]) -> Grid:
    return Grid(where, tuple(rows[0]) if rows else (), tuple(tuple(row) for row in rows[1:]))


class _Page(HTMLParser):
    """Gathers a page's tables, texts, comments and authors as it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.found, self.rows, self.open = Contents(), list[list[str]](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "meta" and (given.get("name") or "").lower() in ("author", "creator"):
            self.found.makers["author"] = given.get("content") or ""
        self.found.texts.extend(value for key, value in attrs if value and (key in _SPOKEN or key.startswith("data-")))
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.found.grids.append(_grid(f"table {len(self.found.grids) + 1}", [row for row in self.rows if row]))
            self.rows = []
        while tag in self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = [tag for tag in self.open if tag in ("td", "th")]
        if inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data
        elif data.strip() and not {"style", "script"} & set(self.open):
            self.found.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.found.hidden.append("a comment")
        self.found.texts.append(data)


def _of_html(text: str) -> Contents:
    page = _Page()
    page.feed(text)
    page.close()
    page.found.drawings.extend(re.findall(r"<svg\b.*?</svg>", text, flags=re.DOTALL))
    return page.found


def _of_svg(text: str) -> Contents:
    found = Contents(drawings=[text])
    for element in ElementTree.fromstring(text).iter():
        name = str(element.tag).rpartition("}")[2]
        if name in ("creator", "author", "publisher", "rights") and "".join(element.itertext()).strip():
            found.makers[name] = "".join(element.itertext()).strip()
        found.texts.extend(part for part in (element.text, element.tail) if part and part.strip() and name != "style")
    return found


def _walk(value: Any, name: str, found: Contents) -> None:  # noqa: ANN401 - what JSON may hold
    if isinstance(value, dict):
        for key, inner in value.items():
            found.texts.append(str(key))
            _walk(inner, str(key), found)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, name, found)
    elif isinstance(value, int) and not isinstance(value, bool):
        found.numbers.append((name, value))
        found.texts.append(str(value))
    elif isinstance(value, str):
        found.texts.append(value)
        if name.lower() in ("author", "creator"):
            found.makers[name] = value


def _of_workbook(path: Path) -> Contents:
    found = Contents()
    with zipfile.ZipFile(path) as parts:
        names = parts.namelist()
        for part in (name for name in names if name.startswith("docProps/")):
            properties = parts.read(part).decode("utf-8", errors="replace")
            for maker in _MAKERS:
                said = re.search(rf"<(?:\w+:)?{maker}\b[^>]*>([^<]+)<", properties)
                if said:
                    found.makers[maker] = said.group(1)
            found.texts.append(re.sub(r"<[^>]+>", " ", properties))
        found.hidden.extend(kind for kind in ("comments", "externalLinks", "customXml") if any(kind in name for name in names))
        sheets = "".join(
            parts.read(name).decode("utf-8", errors="replace") for name in names if re.fullmatch(r"xl/(workbook|worksheets/.*)\.xml", name)
        )
        found.hidden.extend(["a sheet"] * ('state="hidden"' in sheets or 'state="veryHidden"' in sheets))
        found.hidden.extend(["rows or columns"] * bool(re.search(r'<(?:row|col)\b[^>]*\bhidden="(?:1|true)"', sheets)))
    for name, sheet in pd.read_excel(path, sheet_name=None, header=None, dtype=str).items():
        found.grids.append(_grid(f"sheet {name}", sheet.fillna("").to_numpy(dtype=str).tolist()))
    return found


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Give what a PNG says in words, by keyword; of a camera's or a program's own block only that it is there."""
    place = _PNG_HEAD
    while place + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        chunk = data[place + 8 : place + 8 + size]
        if kind in (b"tEXt", b"iTXt", b"zTXt"):
            key, _, value = chunk.partition(b"\0")
            yield key.decode("latin-1"), value.strip(b"\0").decode("latin-1")
        elif kind == b"eXIf":
            yield "Author", "a block of a camera's or program's own"
        place += size + 12
