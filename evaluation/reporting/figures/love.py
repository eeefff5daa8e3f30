"""How alike are the groups, before and after matching?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.figures.page import (
    EDGE,
    GREY,
    INK,
    LEADING,
    MASK,
    RULE,
    STYLE,
    TEXT_WIDTH,
    WIDTH,
    Key,
    Sheet,
    Style,
    Words,
    flow,
    lines_height,
    row_axes,
    wrap,
)

_FARTHEST_SMD = 2.0  # beyond this an arrow says "far": a scale that held it would flatten every other row
_HOLLOW = {"marker": "o", "markersize": 7.5, "markerfacecolor": "white", "markeredgecolor": GREY, "markeredgewidth": 1.4, "linestyle": "none"}
_FILLED = {"marker": "o", "markersize": 6, "markerfacecolor": INK, "markeredgecolor": INK, "markeredgewidth": 0.5, "linestyle": "none"}
_LIMIT: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (3, 2))}


@rc_context(STYLE)
def draw_love(table: pd.DataFrame, *, limit: float, words: Words) -> Figure:
    """See how far apart the groups were before matching, and after: one row per covariate level, the farthest first.

    Parameters
    ----------
    table : DataFrame
        Columns label, smd_before and smd_after. Infinite differences, and those beyond 2, become arrows at the edge; missing ones are left out.
    limit : float
        What the plan allows, drawn as a dashed line on either side.
    words : Words

    Returns
    -------
    Figure
    """
    rows = table.iloc[np.argsort(-table["smd_before"].abs().to_numpy(), kind="stable")]
    values = rows[["smd_before", "smd_after"]].to_numpy(dtype=np.float64)
    near = np.abs(values[np.abs(values) <= _FARTHEST_SMD])
    reach = max(float(near.max(initial=0.01)), 1.6 * limit)
    keys = flow([Key(words.before, _HOLLOW), Key(words.after, _FILLED), Key(words.limit, _LIMIT)])
    labels = [wrap(str(label), TEXT_WIDTH) for label in rows["label"]]
    tops = np.cumsum([0.0, *(len(lines) * LEADING + 24 for lines in labels)])
    top = keys.height + 10
    sheet = Sheet.of(top + tops[-1] + 24 + lines_height(words.smd_axis))
    axes = sheet.panel(top, float(tops[-1]), EDGE + 8, EDGE + 8)
    row_axes(axes, float(tops[-1]), (-1.04 * reach, 1.04 * reach), words)
    axes.axvline(0, color=RULE, linewidth=0.8)
    for side in (-limit, limit):
        axes.axvline(side, **_LIMIT)
    for lines, start, end, (before, after) in zip(labels, tops[:-1], tops[1:], values, strict=True):
        level = float(end) - 16
        sheet.write(EDGE, top + float(start) + 11, *lines, style=MASK)
        inside = np.clip([before, after], -reach, reach)
        axes.plot(inside, [level, level], color=RULE, linewidth=1.2)
        _mark(axes, before, level, reach, _HOLLOW, inset=10 if abs(after) > reach else 0)
        _mark(axes, after, level, reach, _FILLED, inset=0)
    keys.draw(sheet, 0)
    sheet.paragraph(top + float(tops[-1]) + 20, words.smd_axis, centre=0)
    return sheet.figure


def _mark(axes: Axes, value: float, level: float, reach: float, style: Style, *, inset: float) -> None:
    """Draw one difference, or an arrow `inset` points inside the edge where it lies beyond it."""
    if math.isnan(value):
        return
    if abs(value) > _FARTHEST_SMD:
        per_point = (axes.get_xlim()[1] - axes.get_xlim()[0]) / (axes.get_position().width * WIDTH)
        axes.plot(np.copysign(reach - inset * per_point, value), level, **{**style, "marker": ">" if value > 0 else "<"}, clip_on=False)
    else:
        axes.plot(value, level, **style, clip_on=False)
