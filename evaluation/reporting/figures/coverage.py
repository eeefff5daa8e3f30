"""How many rows does each table have in each period, and where are there suddenly few?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evaluation.reporting.disclosure import Gate
from evaluation.reporting.figures.page import EDGE, GREY, GRID, LEADING, LINE, MASK, STYLE, TINT, WIDTH, Key, Sheet, flow, text_width, wrap

_BARS = 46.0  # points high: tall enough for a dip to a quarter to show, low enough for a dozen tables on a page
_GAP = 12.0
_LOW = TINT["control"]
_TRIANGLE: dict[str, Any] = {
    "marker": "v",
    "markersize": 6,
    "markerfacecolor": LINE["control"],
    "markeredgecolor": LINE["control"],
    "linestyle": "none",
}
_COMPLETE: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (3, 2))}
_SIDE = EDGE + 14  # half a year's name reaches beyond the axis
_YEAR = 36.0  # points a year's name needs


@dataclass(frozen=True, eq=False)
class Coverage:
    """One table's rows by period.

    Attributes
    ----------
    name, scale : str
        What to call the table, and how high its bars reach, in words.
    start : ndarray of float, shape (p,)
        When each period begins, in years: 2019.5 is 1 July 2019.
    length : float
        Of a period, in years.
    rows : ndarray of int, shape (p,)
    low : ndarray of bool, shape (p,)
        Whether the period is a sudden low.
    gate : Gate
        Periods with too few rows are drawn alike, as high as the threshold and light.
    """

    name: str
    scale: str
    start: NDArray[np.float64]
    length: float
    rows: NDArray[np.int64]
    low: NDArray[np.bool_]
    gate: Gate


@dataclass(frozen=True)
class CoverageWords:
    """The words of the figure, in one language.

    Attributes
    ----------
    low, few, complete : str
        Keys: a sudden low, a period with too few rows to show how many, the end of the last complete month.
    """

    low: str
    few: str
    complete: str


@rc_context(STYLE)
def draw_coverage(tables: Sequence[Coverage], *, years: tuple[float, float], complete: float, words: CoverageWords, ax: Axes | None = None) -> Figure:
    """See how many rows each table has in each period, one below the other on the same years, with sudden lows marked.

    Parameters
    ----------
    tables : sequence of Coverage
        At least one, in the order to show them; each has its own scale.
    years : tuple of float
        First and last of the axis; what lies outside is not drawn.
    complete : float
        When the records cease to be complete, in years; a line is drawn there.
    words : CoverageWords
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    hidden = any(table.gate.hides(count) for table in tables for count in table.rows)
    keys = [Key(words.low, _TRIANGLE)] if any(table.low.any() for table in tables) else []
    keys += [Key(words.few, _square())] if hidden else []
    laid = flow([*keys, Key(words.complete, _COMPLETE)])
    heads = [_head(table) for table in tables]
    heights = [len(lines) * LEADING + _BARS + _GAP for lines, _ in heads]
    top = laid.height + 6
    sheet = Sheet.of(top + sum(heights) + 10, ax)
    for table, (lines, scale), height in zip(tables, heads, heights, strict=True):
        axes = sheet.panel(top + len(lines) * LEADING + 3, _BARS, _SIDE, _SIDE)
        _draw_table(axes, table, years, complete)
        sheet.write(EDGE, top + 11, *lines, style={"weight": "bold"})
        sheet.write(WIDTH - EDGE, top + 11, scale, align="right", style={"color": GREY, **MASK})
        top += height
    axes.set_xticks(_ticks(years), [str(year) for year in _ticks(years)])
    laid.draw(sheet, 0)
    return sheet.finished()


def _head(table: Coverage) -> tuple[list[str], str]:
    """Give the lines of a table's name, beside its scale."""
    return wrap(table.name, WIDTH - 3 * EDGE - 8 - text_width(table.scale), bold=True), table.scale


def _draw_table(axes: Axes, table: Coverage, years: tuple[float, float], complete: float) -> None:
    shown = (table.start + table.length > years[0]) & (table.start < years[1])
    start, rows, low = table.start[shown], table.rows[shown], table.low[shown]
    few = np.array([table.gate.hides(count) for count in rows], dtype=bool)
    top = max(float(rows.max(initial=1)), float(table.gate.threshold) if few.any() else 1.0)
    axes.set_xlim(*years)
    axes.set_ylim(0, 1.16 * top)  # room for the triangles
    axes.set_yticks([])
    axes.set_xticks(_ticks(years), [])
    axes.grid(axis="x", color=GRID)
    for begin in start[low]:
        axes.axvspan(begin, begin + table.length, color=_LOW, linewidth=0)
    edges = np.append(start, start[-1:] + table.length)
    axes.stairs(np.where(few, 0, rows), edges, fill=True, color=LINE["treated"], linewidth=0)
    axes.stairs(np.where(few, table.gate.threshold, 0), edges, fill=True, facecolor=TINT["treated"], edgecolor=LINE["treated"], linewidth=0.6)
    axes.plot(start[low] + table.length / 2, np.full(low.sum(), 1.08 * top), **_TRIANGLE)
    axes.axvline(complete, **_COMPLETE)


def _ticks(years: tuple[float, float]) -> list[int]:
    """Give whole years, as many as have room for their names."""
    first, last = math.ceil(years[0]), math.floor(years[1])
    step = math.ceil((years[1] - years[0]) * _YEAR / (WIDTH - 2 * _SIDE))
    return list(range(first, last + 1, step))


def _square() -> dict[str, Any]:
    return {
        "marker": "s",
        "markersize": 7,
        "markerfacecolor": "white",
        "markeredgecolor": LINE["treated"],
        "markeredgewidth": 0.8,
        "linestyle": "none",
    }
