"""How does a display look: as HTML in a notebook, light or dark, and as text on a terminal?

The colours are those of whatever shows it, and nothing is said by colour alone.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.reporting.tables import Table

COLUMNS = 120  # of a terminal: a wider table is written in pieces, each beginning with the names of the rows

_LINE = "1px solid rgba(128, 128, 128, 0.45)"  # grey in between stands out from a light page and from a dark one
_CELL = "padding: 0.2em 0.7em; vertical-align: top"


@dataclass(frozen=True)
class Shown:
    """What a result shows of itself: as HTML where a notebook asks for it, as text everywhere else.

    Attributes
    ----------
    title : str
    facts : tuple of (str, str)
        What is said of it, and what it is.
    tables : tuple of Table
    notes : tuple of str
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.facts), default=0)
        blocks = ["\n".join([self.title, *(f"  {name:<{width}}  {value}" for name, value in self.facts)])]
        blocks += ["\n".join(_lines(table)) for table in self.tables]
        return "\n\n".join([*blocks, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = "".join(
            f'<tr><th scope="row" style="{_CELL}; text-align: left; font-weight: normal; white-space: nowrap; opacity: 0.75">{html.escape(name)}</th>'
            f'<td style="{_CELL}; text-align: left">{html.escape(value)}</td></tr>'
            for name, value in self.facts
        )
        parts = [f"<p><strong>{html.escape(self.title)}</strong></p>", f"<table><tbody>{facts}</tbody></table>" if facts else ""]
        parts += [_html_table(table) for table in self.tables]
        parts += [f'<p style="opacity: 0.75">{html.escape(note)}</p>' for note in self.notes]
        return "\n".join(part for part in parts if part)


def _lines(table: Table) -> Iterator[str]:
    """Write a table for a terminal: the first column from the left, the others from the right."""
    every = [table.head, *table.rows]
    widths = [max(len(row[place]) for row in every) for place in range(len(table.head))]
    yield table.caption
    for piece in _pieces(widths):
        for number, row in enumerate(every):
            cells = [f"{row[place]:>{widths[place]}}" if place else f"{row[place]:<{widths[place]}}" for place in piece]
            yield f"  {'  '.join(cells)}".rstrip()
            if number == 0:
                yield f"  {'─' * (sum(widths[place] for place in piece) + 2 * len(piece) - 2)}"


def _pieces(widths: list[int]) -> Iterator[list[int]]:
    """Part the columns into pieces that fit, the first column in each."""
    piece = [0]
    for place in range(1, len(widths)):
        if len(piece) > 1 and sum(widths[one] + 2 for one in [*piece, place]) > COLUMNS:
            yield piece
            piece = [0]
        piece.append(place)
    yield piece


def _html_table(table: Table) -> str:
    """Write a table whose colours are inherited."""

    def cell(kind: str, text: str, place: int, style: str) -> str:
        scope = ' scope="col"' if style else ' scope="row"' if kind == "th" else ""
        align = "right" if place else "left"
        weight = "" if style else "; font-weight: inherit"  # a row's name is as heavy as its row, whatever the notebook does with names
        return f'<{kind}{scope} style="{_CELL}; text-align: {align}{style}{weight}">{html.escape(text)}</{kind}>'

    head = "".join(cell("th", text, place, f"; border-bottom: {_LINE}") for place, text in enumerate(table.head))
    body = ""
    for mark, row in table.marked():
        heavy = " style='font-weight: bold'" if mark in ("bad", "strong") else " style='font-style: italic'" if mark == "difference" else ""
        body += f"<tr{heavy}>{''.join(cell('td' if place else 'th', text, place, '') for place, text in enumerate(row))}</tr>"
    caption = f'<caption style="text-align: left; caption-side: top; color: inherit">{html.escape(table.caption)}</caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
