"""Which design keeps whom, and how alike are they: one row per way of building the comparison; and how near to its limits is the one chosen?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.figures.axes import row_axes, upright
from evaluation.reporting.figures.page import (
    EDGE,
    GREY,
    INK,
    LEADING,
    RULE,
    STYLE,
    TEXT_WIDTH,
    WIDTH,
    Key,
    Sheet,
    Words,
    flow,
    lines_height,
    text_width,
    wrap,
)

_BADLY = "#A3001E"
_INSIDE: dict[str, Any] = {
    "marker": "o",
    "markersize": 7.5,
    "markerfacecolor": "white",
    "markeredgecolor": GREY,
    "markeredgewidth": 1.4,
    "linestyle": "none",
}
_ALL: dict[str, Any] = {"marker": "o", "markersize": 6, "markerfacecolor": INK, "markeredgecolor": INK, "linestyle": "none"}
_MET: dict[str, Any] = {"marker": "o", "markersize": 7.5, "markerfacecolor": INK, "markeredgecolor": INK, "linestyle": "none"}
_NOT_MET: dict[str, Any] = {"marker": "X", "markersize": 8.5, "markerfacecolor": _BADLY, "markeredgecolor": _BADLY, "linestyle": "none"}
_LIMIT: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (3, 2))}
_FARTHEST = 3.0  # limits: a difference beyond so many of them stands at the edge, for it would flatten the others


@dataclass(frozen=True)
class DesignRow:
    """One way of building the comparison.

    Attributes
    ----------
    label : str
    text : str
        Whom it keeps, in words; where there is no such comparison, why.
    worst, worst_inside : float
        Largest absolute standardised difference of a characteristic, for everybody and inside any group; nan where there is none.
    """

    label: str
    text: str
    worst: float
    worst_inside: float = math.nan


@dataclass(frozen=True)
class LimitRow:
    """One requirement on the design.

    Attributes
    ----------
    label : str
    text : str
        Its value and its limit, in words.
    room : float
        Value over limit, or limit over value where less is better: 1 at the limit, more where it is met with room to spare.
    met : bool
    """

    label: str
    text: str
    room: float
    met: bool


@rc_context(STYLE)
def draw_designs(rows: Sequence[DesignRow], *, limit: float, keys: tuple[str, str], words: Words, ax: Axes | None = None) -> Figure:
    """See for every design how alike its groups are, and in words whom it keeps.

    Parameters
    ----------
    rows : sequence of DesignRow
        In the order to show them.
    limit : float
        Largest difference the plan allows, drawn as a dashed line.
    keys : (str, str)
        What to call the largest difference for everybody, and inside any group.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    values = np.array([[row.worst, row.worst_inside] for row in rows])
    reach = max(1.3 * limit, min(_FARTHEST * limit, float(np.nanmax(np.where(np.isfinite(values), values, np.nan), initial=0.0))))
    legend = flow([Key(keys[0], _ALL), *([Key(keys[1], _INSIDE)] if np.isfinite(values[:, 1]).any() else []), Key(words.limit, _LIMIT)])
    heads = [[*wrap(row.label, TEXT_WIDTH, bold=True), *wrap(row.text, TEXT_WIDTH)] for row in rows]
    tops = np.cumsum([0.0, *(len(lines) * LEADING + (24 if math.isfinite(row.worst) else 8) for lines, row in zip(heads, rows, strict=True))])
    top, height = legend.height + 10, float(tops[-1])
    sheet = Sheet.of(top + height + 24 + lines_height(words.smd_axis), ax)
    axes = sheet.panel(top, height, EDGE + 8, EDGE + 8)
    row_axes(axes, height, (-0.02 * reach, 1.04 * reach), words)
    levels = [float(end) - 16 for end, row in zip(tops[1:], rows, strict=True) if math.isfinite(row.worst)]
    upright(axes, 0, levels, 7, {"color": RULE, "linewidth": 0.8})
    upright(axes, limit, levels, 7, _LIMIT)
    for row, lines, start, end in zip(rows, heads, tops[:-1], tops[1:], strict=True):
        first = len(wrap(row.label, TEXT_WIDTH, bold=True))
        sheet.write(EDGE, top + float(start) + 11, *lines[:first], style={"weight": "bold"})
        sheet.write(EDGE, top + float(start) + 11 + first * LEADING, *lines[first:], style={"color": GREY})
        for value, style in ((row.worst_inside, _INSIDE), (row.worst, _ALL)):
            if math.isfinite(value):
                axes.plot(min(value, reach), float(end) - 16, **{**style, "marker": style["marker"] if value <= reach else ">"}, clip_on=False)
    legend.draw(sheet, 0)
    sheet.paragraph(top + height + 20, words.smd_axis, centre=0)
    return sheet.finished()


@rc_context(STYLE)
def draw_limits(rows: Sequence[LimitRow], *, sides: tuple[str, str], words: Words, ax: Axes | None = None) -> Figure:
    """See every requirement on its own scale, the limit in the middle: twice as good at the right edge, half as good at the left.

    Parameters
    ----------
    rows : sequence of LimitRow
        In the order to show them.
    sides : (str, str)
        What it means to lie to the left of the limit, and to the right.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    texts = [wrap(row.text, 0.5 * TEXT_WIDTH) for row in rows]
    labels = [wrap(row.label, TEXT_WIDTH - 12 - max(map(text_width, text))) for row, text in zip(rows, texts, strict=True)]
    tops = np.cumsum([0.0, *(max(len(label), len(text)) * LEADING + 24 for label, text in zip(labels, texts, strict=True))])
    height = float(tops[-1])
    left, right = wrap(f"← {sides[0]}", WIDTH / 2 - 16), wrap(f"{sides[1]} →", WIDTH / 2 - 16)
    legend = flow([Key(words.limit, _LIMIT)])
    top = legend.height + 10
    sheet = Sheet.of(top + height + 8 + max(len(left), len(right)) * LEADING, ax)
    axes = sheet.panel(top, height, EDGE + 8, EDGE + 8)
    axes.set_ylim(height, 0)
    axes.set_xlim(-1.06, 1.06)
    axes.set_yticks([])
    axes.set_xticks([])
    upright(axes, 0, [float(end) - 14 for end in tops[1:]], 8, _LIMIT)
    for row, label, text, start, end in zip(rows, labels, texts, tops[:-1], tops[1:], strict=True):
        sheet.write(EDGE, top + float(start) + 11, *label)
        sheet.write(WIDTH - EDGE, top + float(start) + 11, *text, align="right")
        place = float(np.clip(math.log2(row.room), -1, 1)) if row.room > 0 else -1.0
        axes.plot([0, place], [float(end) - 14] * 2, color=RULE, linewidth=1.2)
        axes.plot(place, float(end) - 14, **(_MET if row.met else _NOT_MET), clip_on=False)
    legend.draw(sheet, 0)
    sheet.write(EDGE, top + height + 14, *left, style={"color": GREY})
    sheet.write(WIDTH - EDGE, top + height + 14, *right, align="right", style={"color": GREY})
    return sheet.finished()
