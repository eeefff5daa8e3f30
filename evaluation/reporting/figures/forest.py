"""What is the effect overall and in each group, and how do the groups differ?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.figures.axes import row_axes, upright
from evaluation.reporting.figures.page import (
    DIFFERENCE,
    EDGE,
    GREY,
    GRID,
    INK,
    LEADING,
    LINE,
    RULE,
    STYLE,
    TEXT_WIDTH,
    WIDTH,
    Sheet,
    Words,
    lines_height,
    text_width,
    wrap,
)

_NO_RULE, _RULED, _BLOCK = 4.0, 10.0, 16.0  # points above a row of the forest plot


@dataclass(frozen=True)
class ForestRow:
    """One line of the forest plot.

    Attributes
    ----------
    label : str
    value, low, high : float
        In the unit of the axis; not looked at where `kind` is "empty".
    kind : {"overall", "group", "difference", "part", "empty"}
        A part is drawn as a bar from no effect.
    text : str
        The numbers in words, "+4,2 (−1,0 till 9,4)"; where `kind` is "empty", the reason.
    """

    label: str
    value: float
    low: float
    high: float
    kind: Literal["overall", "group", "difference", "part", "empty"]
    text: str = ""


@rc_context(STYLE)
def draw_forest(rows: Sequence[ForestRow], *, words: Words, unit: str = "", reference_line: float = 0.0, ax: Axes | None = None) -> Figure:
    """See the effect overall, in each group, and how the groups differ, each with its interval.

    Parameters
    ----------
    rows : sequence of ForestRow
        In the order to show them; rules close off the overall row, and every run of differences.
    words : Words
    unit : str, optional
        Unit of the axis, written after its name.
    reference_line : float
        Where there is no effect.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    heads = [_forest_head(row) for row in rows]
    gaps = [_gap_above(before, row) for before, row in zip([None, *rows[:-1]], rows, strict=True)]
    tops = np.cumsum([0.0, *(gap + head.height for gap, head in zip(gaps, heads, strict=True))])
    low, high = _forest_range(rows, reference_line)
    name = f"{words.difference_axis} ({unit})" if unit else words.difference_axis
    half = (WIDTH - 2 * EDGE) / 2 - 10
    fewer, more = wrap(f"← {words.fewer}", half), wrap(f"{words.more} →", half)
    words_height = max(len(fewer), len(more)) * LEADING
    height = float(tops[-1]) + 8
    sheet = Sheet.of(height + 26 + words_height + lines_height(name), ax)
    axes = sheet.panel(0, height, EDGE + 8, EDGE + 8)
    row_axes(axes, height, (low, high), words)
    levels = [float(start) + gap + head.height - 12 for gap, head, start in zip(gaps, heads, tops[:-1], strict=True)]
    upright(axes, reference_line, [level for level, row in zip(levels, rows, strict=True) if row.kind != "empty"], 7, {"color": GREY, "linewidth": 1})
    for row, head, gap, start, level in zip(rows, heads, gaps, tops[:-1], levels, strict=True):
        top = float(start) + gap
        if gap > _NO_RULE:
            sheet.line([EDGE, WIDTH - EDGE], float(start) + gap / 2 - 1, {"color": RULE if gap == _BLOCK else GRID, "linewidth": 0.8})
        head.draw(sheet, top, row.kind)
        if row.kind != "empty":
            _draw_interval(axes, row, level, (low, high), reference_line)
    sheet.write(EDGE, height + 32, *fewer, style={"color": GREY})
    sheet.write(WIDTH - EDGE, height + 32, *more, align="right", style={"color": GREY})
    sheet.paragraph(height + 22 + words_height, name, centre=0)
    return sheet.finished()


@dataclass(frozen=True, eq=False)
class _ForestHead:
    """The text above an interval: label from the left, numbers from the right; or label and reason, one under the other."""

    label: list[str]
    text: list[str]
    height: float

    def draw(self, sheet: Sheet, top: float, kind: str) -> None:
        style = {"weight": "bold" if kind == "overall" else "normal", "color": DIFFERENCE if kind == "difference" else INK}
        sheet.write(EDGE, top + 11, *self.label, style=style)
        if kind == "empty":
            sheet.write(EDGE, top + 11 + len(self.label) * LEADING, *self.text, style={**style, "color": GREY})
        elif self.text:
            sheet.write(WIDTH - EDGE, top + 11, *self.text, align="right", style=style)


def _forest_head(row: ForestRow) -> _ForestHead:
    if row.kind == "empty":
        label, text = wrap(row.label, TEXT_WIDTH), wrap(row.text, TEXT_WIDTH)
        return _ForestHead(label, text, (len(label) + len(text)) * LEADING + 4)
    bold = row.kind == "overall"
    text = wrap(row.text, 0.55 * TEXT_WIDTH, bold=bold)
    width = TEXT_WIDTH - 12 - max(text_width(line, bold=bold) for line in text)
    label = wrap(row.label, width, bold=bold)
    return _ForestHead(label, text, max(len(label), len(text)) * LEADING + 20)


def _gap_above(before: ForestRow | None, row: ForestRow) -> float:
    if before is None:
        return 0.0
    if before.kind == "overall" or (before.kind == "difference" and row.kind != "difference"):
        return _BLOCK
    return _RULED if row.kind == "difference" and before.kind != "difference" else _NO_RULE


def _forest_range(rows: Sequence[ForestRow], reference: float) -> tuple[float, float]:
    """Hold every finite number, with room for the words on either side of no effect."""
    numbers = [number for row in rows if row.kind != "empty" for number in (row.value, row.low, row.high) if math.isfinite(number)]
    low, high = min([reference, *numbers]), max([reference, *numbers])
    span = (high - low) or 1.0
    return min(low - 0.04 * span, reference - 0.2 * span), max(high + 0.04 * span, reference + 0.2 * span)


def _draw_interval(axes: Axes, row: ForestRow, level: float, limits: tuple[float, float], reference: float) -> None:
    color = DIFFERENCE if row.kind == "difference" else INK
    if row.kind == "part":
        axes.plot([reference, row.value], [level, level], color=LINE["treated"], linewidth=11, alpha=0.45, solid_capstyle="butt")
    ends = np.clip([row.low, row.high], *limits)
    axes.plot(ends, [level, level], color=color, linewidth=1.8, solid_capstyle="butt")
    for end, bound, marker in zip(ends, (row.low, row.high), "<>", strict=True):
        axes.plot(end, level, marker="|" if math.isfinite(bound) else marker, markersize=7, markeredgewidth=1.6, color=color, clip_on=False)
    shape = {"overall": ("D", 9.0, color), "group": ("s", 7.5, color), "difference": ("o", 8.5, "white"), "part": ("o", 6.0, color)}[row.kind]
    axes.plot(row.value, level, marker=shape[0], markersize=shape[1], markerfacecolor=shape[2], markeredgecolor=color, markeredgewidth=1.6)
