"""Where are the people of either arm, month by month?

References
----------
Okabe & Ito (2008). Color universal design: how to make figures and presentations that are friendly to colorblind people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Floats
from evaluation.reporting.figures.page import EDGE, INK, LEADING, RULE, STYLE, WIDTH, Sheet, Words, lines_height, name_style, text_width, wrap

AREAS = ("#0072B2", "#56B4E9", "#009E73", "#F0E442", "#E69F00", "#D55E00", "#CC79A7", "#BDBDBD")  # the last for whatever is left
_PANEL = 232.0
_NAMES = 128.0  # points right of a panel for the names of its areas
_LEADER = 12.0
_APART = 3.0  # between names, so that one of two lines is not read as two


@rc_context(STYLE)
def draw_shares(
    shares: Mapping[str, Floats], labels: Sequence[str], *, months: Sequence[int], ticks: Sequence[int], words: Words, ax: Axes | None = None
) -> Figure:
    """See how either arm is spread over the states in each month, stacked to the whole, each area named at its end.

    Parameters
    ----------
    shares : mapping of str to ndarray of float, shape (m, g)
        By arm ("treated", "control"), the share in each of g groups of states in each of m months; rows sum to 1.
    labels : sequence of str, length g
        What the groups are called, from the bottom up; at most eight.
    months : sequence of int, length m
    ticks : sequence of int
        Months to write on the time axis.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    names = [wrap(label, _NAMES) for label in labels]
    left = text_width(words.percent(1)) + 8 + EDGE
    right = _NAMES + _LEADER + 8 + EDGE
    panel = max(_PANEL, sum(len(lines) * LEADING + _APART for lines in names) + 4)
    head = lines_height(words.share_axis) + 4
    titles = {arm: wrap(words.arm(arm), WIDTH - left - EDGE, bold=True) for arm in ARMS}
    heights = [len(titles[arm]) * LEADING + 8 + panel + 24 for arm in ARMS]
    sheet = Sheet.of(head + sum(heights) + lines_height(words.time_axis), ax)
    top = head
    for arm, height in zip(ARMS, heights, strict=True):
        sheet.write(left, top + 11, *titles[arm], style=name_style(arm))
        under = top + len(titles[arm]) * LEADING + 8
        axes = sheet.panel(under, panel, left, right)
        _draw_areas(axes, shares[arm], months, ticks, words)
        _name_areas(sheet, names, shares[arm][-1], under, panel, WIDTH - right)
        top += height
    sheet.paragraph(0, words.share_axis)
    sheet.paragraph(top - 2, words.time_axis, centre=left, right=right)
    return sheet.finished()


def _draw_areas(axes: Axes, shares: Floats, months: Sequence[int], ticks: Sequence[int], words: Words) -> None:
    axes.stackplot(list(months), shares.T, colors=AREAS[: shares.shape[1]], edgecolor="white", linewidth=0.8)
    axes.set_xlim(months[0], months[-1])
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], [words.percent(share) for share in (0, 0.25, 0.5, 0.75, 1)])
    axes.set_xticks(list(ticks), [words.number(tick, 0) for tick in ticks])


def _name_areas(sheet: Sheet, names: Sequence[list[str]], ends: Floats, top: float, panel: float, edge: float) -> None:
    """Write each area's name beside its end, moved as little as keeps the names apart, with a line from the area to its name."""
    height = np.array([len(lines) * LEADING + _APART for lines in names])
    middle = panel * (1 - (np.cumsum(ends) - ends / 2))
    place = spread_apart(middle, height, panel)
    for number, (lines, at, wish) in enumerate(zip(names, place, middle, strict=True)):
        sheet.segment((edge, top + wish), (edge + _LEADER - 3, top + at), {"color": RULE, "linewidth": 0.8})
        sheet.box(edge + _LEADER - 3, top + at - 4, 8, 8, {"facecolor": AREAS[number], "edgecolor": INK, "linewidth": 0.5})
        sheet.write(edge + _LEADER + 8, top + at - len(lines) * LEADING / 2 + 10.5, *lines)


def spread_apart(middle: Floats, height: Floats, room: float) -> Floats:
    """Move names, given by their middles from the bottom area up, as little downwards and upwards as keeps them apart within 0 and `room`.

    Parameters
    ----------
    middle : ndarray of float, shape (g,)
        Wished for, measured from the top; falling.
    height : ndarray of float, shape (g,)
        Together at most `room`.
    room : float

    Returns
    -------
    ndarray of float, shape (g,)
    """
    order = np.arange(len(middle))[::-1]  # from the top down
    place, end = np.empty_like(middle), 0.0
    for name in order:
        place[name] = max(middle[name], end + height[name] / 2)
        end = place[name] + height[name] / 2
    limit = room
    for name in order[::-1]:
        place[name] = min(place[name], limit - height[name] / 2)
        limit = place[name] - height[name] / 2
    return place
