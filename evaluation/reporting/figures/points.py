"""How does the difference grow with time?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.figures.axes import round_ticks
from evaluation.reporting.figures.forest import ForestRow
from evaluation.reporting.figures.page import DIFFERENCE, EDGE, GREY, MASK, STYLE, Sheet, Words, lines_height, text_width

_PANEL = 200.0
_WORDS = 22.0  # points that a line of words takes within the panel


@rc_context(STYLE)
def draw_points(rows: Sequence[ForestRow], times: Sequence[float], *, words: Words, ax: Axes | None = None) -> Figure:
    """See a difference at one time after another, each with its interval, above and below no difference.

    Parameters
    ----------
    rows : sequence of ForestRow
        Label (the time, as written on the axis), value and interval in the unit of the axis; those of kind "empty" are left out.
    times : sequence of float, as many
        Where on the time axis.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    shown = [(time, row) for time, row in zip(times, rows, strict=True) if row.kind != "empty"]
    numbers = [0.0, *(end for _, row in shown for end in (row.low, row.high) if math.isfinite(end))]
    span = (max(numbers) - min(numbers)) or 1.0
    room = span * _WORDS / (_PANEL - 2 * _WORDS)  # above and below every interval, for the words on either side of no difference
    low, high = min(numbers) - room, max(numbers) + room
    ticks = round_ticks(low, high, 6)
    written = [words.number(tick, 0 if all(tick == round(tick) for tick in ticks) else 1) for tick in ticks]
    left, top = max(map(text_width, written)) + 8 + EDGE, lines_height(words.difference_axis) + 8
    sheet = Sheet.of(top + _PANEL + 22 + lines_height(words.time_axis), ax)
    axes = sheet.panel(top, _PANEL, left, EDGE + 16)
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, written)
    axes.set_xlim(0, max(times) * 1.04)
    axes.set_xticks([0, *(time for time, _ in shown)], [words.number(0, 0), *(row.label for _, row in shown)])
    axes.grid(axis="y")
    axes.axhline(0, color=GREY, linewidth=1.2)
    axes.plot([0, *(time for time, _ in shown)], [0, *(row.value for _, row in shown)], color=DIFFERENCE, linewidth=1, linestyle=(0, (2, 2)))
    for time, row in shown:
        axes.plot([time, time], [row.low, row.high], color=DIFFERENCE, linewidth=1.8, solid_capstyle="butt")
        axes.plot([time, time], [row.low, row.high], "_", color=DIFFERENCE, markersize=9, markeredgewidth=1.6)
        axes.plot(time, row.value, "o", markersize=8, markerfacecolor="white", markeredgecolor=DIFFERENCE, markeredgewidth=1.8)
    sheet.paragraph(0, words.difference_axis)
    sheet.write(left + 3, top + 11, f"↑ {words.more}", style={"color": GREY, **MASK})
    sheet.write(left + 3, top + _PANEL - 5, f"↓ {words.fewer}", style={"color": GREY, **MASK})
    sheet.paragraph(top + _PANEL + 20, words.time_axis, centre=left)
    return sheet.finished()
