"""What can stand on a report's page: paragraphs, lists, figures and tables, in sections under a heading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from evaluation.plan_sections import Language
from evaluation.reporting import figures
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.scene import Scene
from evaluation.reporting.tables import Table
from evaluation.study import Study


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text, with a class or none."""

    text: str
    mark: str = ""
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True)
class Subheading:
    """A heading within a section."""

    text: str
    kind: Literal["subheading"] = "subheading"


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[str, ...]
    kind: Literal["items"] = "items"


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG, and its caption."""

    svg: str
    caption: str
    kind: Literal["figure"] = "figure"
    drawn: figures.Figure | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Rows:
    """A table."""

    table: Table
    kind: Literal["table"] = "table"


Block = Paragraph | Subheading | Items | Picture | Rows
_NOTHING = ("", "–", HIDDEN)
_NUMBER = re.compile(r"[+−<≤>≥]?\s?[\d∞]")
_LONGEST = 40  # characters of a number with its interval
_DATE = re.compile(r"\d{1,2}\s[^\W\d]+\s\d{4}|\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    id: str
    heading: str
    blocks: tuple[Block, ...]
    mark: str = ""


@dataclass(frozen=True)
class Page:
    """Everything the template shows."""

    language: Language
    version: str
    mark: str
    kind: str
    title: str
    question: str
    skip: str
    other_file: str
    other_language: Language
    other_label: str
    sections: tuple[Section, ...]


def picture(name: str, drawn: figures.Figure, title: str, description: str, caption: str) -> Picture:
    """Set a figure with its name and description, for those who do not see it, and its caption."""
    return Picture(figures.svg_text(drawn, name=name, title=title, description=description), caption, drawn=drawn)


def columns_of_words(table: Table) -> tuple[bool, ...]:
    """Say of each column whether it is read as words, from the left, rather than compared as numbers, from the right.

    Parameters
    ----------
    table : Table

    Returns
    -------
    tuple of bool
        As many as columns; the first is True. A column is one of words where more than half of the cells that say something begin with neither a
        digit nor its sign, are dates, or are longer than any number.
    """
    found = [True]
    for column in list(zip(*table.rows, strict=True))[1:] or [()] * (len(table.head) - 1):
        telling = [str(cell) for cell in column if cell not in _NOTHING]
        found.append(sum(not _NUMBER.match(cell) or len(cell) > _LONGEST or bool(_DATE.fullmatch(cell)) for cell in telling) > len(telling) / 2)
    return tuple(found)


def spoken(table: Table) -> str:
    """Read a table out, for those who do not see the figure beside it."""
    return " ".join(
        f"{row[0]}: {'; '.join(f'{head} {cell}' for head, cell in zip(table.head[1:], row[1:], strict=True) if cell)}." for row in table.rows
    )


def results(name: str, heading: str, blocks: Sequence[Block], study: Study, scene: Scene) -> Section:
    """Set results under a heading, and above those of a design that failed, that it does not support them."""
    if study.design.verdict.passed:
        return Section(name, heading, tuple(blocks))
    return Section(name, heading, (Paragraph(scene.voice("unsupported"), "warning"), *blocks), "unsupported")
