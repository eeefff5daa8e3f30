"""How does the count of exits stand to each version of the goal, and where would it end?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.design.cohort import Floats
from evaluation.reporting.figures.axes import round_ticks
from evaluation.reporting.figures.page import (
    DIFFERENCE,
    EDGE,
    INK,
    LEADING,
    LINE,
    RULE,
    STYLE,
    TEXT,
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

_PANEL = 210.0
_NAMES = 112.0  # points right of the panel for the names of the goals
_GOAL: dict[str, Any] = {"color": DIFFERENCE, "linewidth": 1.4, "linestyle": (0, (1.5, 2))}
_COUNTED: dict[str, Any] = {"color": LINE["treated"], "linewidth": 2.2}
_FORECAST: dict[str, Any] = {"color": INK, "linewidth": 1.4, "linestyle": (0, (5, 2))}


@dataclass(frozen=True, eq=False)
class Fan:
    """A forecast: months since the first, its value, and its interval; shape (m,)."""

    months: Floats
    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class GoalTexts:
    """What the axis, the counted line and the forecast are called."""

    axis: str
    time: str
    counted: str
    forecast: str


@rc_context(STYLE)
def draw_goal(
    months: Sequence[float],
    exits: Sequence[float],
    goals: Sequence[tuple[str, int]],
    *,
    ticks: Sequence[tuple[float, str]],
    texts: GoalTexts,
    words: Words,
    fan: Fan | None = None,
    ax: Axes | None = None,
) -> Figure:
    """See the count grow towards each version of the goal, with a forecast where there is one.

    Parameters
    ----------
    months : sequence of float, length k
        Months since the phase began, rising.
    exits : sequence of float, length k
        Counted by then.
    goals : sequence of (str, int)
        What each version is called, and how many people it is.
    ticks : sequence of (float, str)
        Months to write on the time axis, and what to write.
    texts : GoalTexts
    words : Words
    fan : Fan, optional
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    highest = max([*exits, *(persons for _, persons in goals), *([] if fan is None else fan.high.tolist())])
    counts = round_ticks(0, highest * 1.05 or 1.0, 6)
    written = [words.number(count, 0) for count in counts]
    left, right = max(map(text_width, written)) + 8 + EDGE, (_NAMES + EDGE + 10) if goals else EDGE + 8
    keys = flow([Key(texts.counted, _COUNTED, TEXT["treated"]), *([] if fan is None else [Key(texts.forecast, _FORECAST)])])
    top = lines_height(texts.axis) + keys.height + 8
    sheet = Sheet.of(top + _PANEL + 22 + lines_height(texts.time), ax)
    axes = sheet.panel(top, _PANEL, left, right)
    last = max([*months, *([] if fan is None else fan.months.tolist()), *(place for place, _ in ticks)])
    axes.set_xlim(0, last or 1.0)
    axes.set_ylim(0, highest * 1.05 or 1.0)
    axes.set_yticks(counts, written)
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.grid(axis="y")
    if fan is not None:
        axes.fill_between(fan.months, fan.low, fan.high, color=TINT["treated"], linewidth=0)
        axes.plot(fan.months, fan.value, **_FORECAST)
    axes.plot(months, exits, **_COUNTED)
    _name_goals(sheet, axes, goals, top, highest * 1.05 or 1.0, WIDTH - right)
    sheet.paragraph(0, texts.axis)
    keys.draw(sheet, lines_height(texts.axis))
    sheet.paragraph(top + _PANEL + 20, texts.time, centre=left, right=right)
    return sheet.finished()


def _name_goals(sheet: Sheet, axes: Axes, goals: Sequence[tuple[str, int]], top: float, limit: float, edge: float) -> None:
    """Draw each goal as a line across and its name right of it, names pushed down where they would meet."""
    below = top - LEADING
    for name, persons in sorted(goals, key=lambda goal: -goal[1]):
        axes.axhline(persons, **_GOAL)
        lines = wrap(name, _NAMES)
        level = top + _PANEL * (1 - persons / limit)
        first = max(below + LEADING, level + 4)
        sheet.segment((edge, level), (edge + 6, first - 4), {"color": RULE, "linewidth": 0.8})
        sheet.write(edge + 10, first, *lines, style={"color": DIFFERENCE})
        below = first + (len(lines) - 1) * LEADING
