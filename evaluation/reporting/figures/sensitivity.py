"""How far does the answer move when something is done otherwise, and where would lost contact tip it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.figures.axes import fitting_ticks
from evaluation.reporting.figures.page import (
    DIFFERENCE,
    EDGE,
    GREY,
    GRID,
    INK,
    LEADING,
    LINE,
    MASK,
    RULE,
    STYLE,
    TEXT_WIDTH,
    TINT,
    WIDTH,
    Key,
    Sheet,
    Words,
    flow,
    lines_height,
    text_width,
    wrap,
)

_LABEL = 0.53 * TEXT_WIDTH  # what is left beside it still shows an interval of two points in a range of thirty
_ROW = 15.0
_SQUARE = {"marker": "s", "markersize": 9, "markerfacecolor": TINT["control"], "markeredgecolor": TINT["control"], "linestyle": "none"}


@dataclass(frozen=True)
class ProbeRow:
    """One line: what was done otherwise, and what came of it.

    Attributes
    ----------
    label : str
    value, low, high : float
        In the unit of the axis.
    text : str
        The value in words.
    """

    label: str
    value: float
    low: float
    high: float
    text: str


@rc_context(STYLE)
def draw_sensitivity(baseline: ProbeRow, rows: Sequence[ProbeRow], *, words: Words, ax: Axes | None = None) -> Figure:
    """See the study's answer and every other one beside it: the band is the interval of the study's own.

    Parameters
    ----------
    baseline : ProbeRow
    rows : sequence of ProbeRow
        In the order to show them.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    number = max(text_width(row.text) for row in (baseline, *rows)) + 6
    left, right = EDGE + _LABEL + 8, EDGE + number + 4
    labels = [wrap(row.label, _LABEL, bold=row is baseline) for row in (baseline, *rows)]
    tops = np.cumsum([4.0, *(_ROW + (len(lines) - 1) * (LEADING - 1) + (6 if place == 0 else 0) for place, lines in enumerate(labels))])
    height = float(tops[-1])
    numbers = [value for row in (baseline, *rows) for value in (row.value, row.low, row.high) if math.isfinite(value)]
    low, high = min([0.0, *numbers]), max([0.0, *numbers])
    limits = low - 0.03 * (high - low), high + 0.03 * (high - low)
    sheet = Sheet.of(height + 26 + lines_height(words.difference_axis), ax)
    axes = sheet.panel(0, height, left, right)
    axes.set_ylim(height, 0)
    axes.set_xlim(*limits)
    axes.set_yticks([])
    ticks, texts = fitting_ticks(*limits, WIDTH - left - right, words)
    axes.set_xticks(ticks, texts)
    axes.axvspan(baseline.low, baseline.high, color=TINT["treated"], linewidth=0)
    axes.axvline(0, color=RULE, linewidth=1)
    axes.axvline(baseline.value, color=LINE["treated"], linewidth=1.2, linestyle=(0, (3, 2)))
    sheet.line([EDGE, WIDTH - EDGE], float(tops[1]) - 2, {"color": GRID, "linewidth": 0.8})
    for place, (row, lines, start) in enumerate(zip((baseline, *rows), labels, tops[:-1], strict=True)):
        style = {"weight": "bold"} if place == 0 else {}
        sheet.write(EDGE, float(start) + 11, *lines, style=style)
        sheet.write(WIDTH - EDGE, float(start) + 11, row.text, align="right", style=style)
        color, middle = LINE["treated"] if place == 0 else INK, float(start) + 7.5
        axes.plot([row.low, row.high], [middle, middle], color=color, linewidth=1.6, solid_capstyle="butt")
        axes.plot(row.value, middle, marker="D" if place == 0 else "o", markersize=6.5 if place == 0 else 5, color=color)
    sheet.paragraph(height + 20, words.difference_axis, centre=0)
    return sheet.finished()


@rc_context(STYLE)
def draw_tipping(
    line: pd.DataFrame, *, usual: float, sides: tuple[str, str], names: tuple[str, str, str], words: Words, ax: Axes | None = None
) -> Figure:
    """See for which shares of the lost the difference would be gone: above the line it turns, and between the dashes it is uncertain.

    Parameters
    ----------
    line : DataFrame
        treated_share, control_share, control_low, control_high, as `LostContact.tipping` has them.
    usual : float
        A share both arms may have in common, marked where the diagonal passes it.
    sides : (str, str)
        What the regions below and above the line mean, the latter tinted.
    names : (str, str, str)
        Of the level axis, of the upright one, and of the mark.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    shares = [0, 0.25, 0.5, 0.75, 1]
    left = max(text_width(words.percent(share)) for share in shares) + 8 + EDGE
    side = WIDTH - left - EDGE - 22  # room for half of the last number
    upright = wrap(names[1], TEXT_WIDTH)
    turned = flow([Key(sides[1], _SQUARE)])
    top = len(upright) * LEADING + turned.height + 12
    sheet = Sheet.of(top + side + 24 + lines_height(names[0]), ax)
    turned.draw(sheet, 0)
    sheet.write(EDGE, turned.height + 15, *upright)
    axes = sheet.panel(top, side, left, EDGE + 22)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks(shares, [words.percent(share) for share in shares])
    axes.set_yticks(shares, [words.percent(share) for share in shares])
    axes.grid(visible=True)
    x = line["treated_share"].to_numpy(dtype=np.float64)
    tip, one, other = (line[name].to_numpy(dtype=np.float64) for name in ("control_share", "control_low", "control_high"))
    axes.fill_between(x, np.where(np.isnan(tip), 1.0, tip), 1.0, color=TINT["control"], linewidth=0)
    axes.plot(x, tip, color=DIFFERENCE, linewidth=2)
    for end in (one, other):
        axes.plot(x, end, color=DIFFERENCE, linewidth=1, linestyle=(0, (3, 2)))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    axes.plot(usual, usual, marker="o", markersize=7, color=INK)
    sheet.write(left + usual * side + 7, top + (1 - usual) * side + 15, names[2], style=MASK)
    below = wrap(sides[0], 0.6 * side)
    sheet.write(left + side - 8, top + side - 10 - (len(below) - 1) * LEADING, *below, align="right", style={"color": GREY, **MASK})
    sheet.paragraph(top + side + 18, names[0], centre=left)
    return sheet.finished()
