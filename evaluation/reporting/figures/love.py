"""How alike are the groups, before and after matching, among all and inside every subgroup?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.design.cohort import Floats
from evaluation.reporting.figures.axes import fitting_ticks, upright
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
    Style,
    Words,
    flow,
    lines_height,
    wrap,
)

_FARTHEST_SMD = 2.0  # beyond this an arrow says "far": a scale that held it would flatten every other row
_HOLLOW = {"marker": "o", "markersize": 7.5, "markerfacecolor": "white", "markeredgecolor": GREY, "markeredgewidth": 1.4, "linestyle": "none"}
_FILLED = {"marker": "o", "markersize": 6, "markerfacecolor": INK, "markeredgecolor": INK, "markeredgewidth": 0.5, "linestyle": "none"}
_CHANCE: dict[str, Any] = {"marker": "s", "markersize": 9, "markerfacecolor": "#ececec", "markeredgecolor": "#ececec", "linestyle": "none"}
_MOST_ACROSS = 3  # panels beside each other: in a fourth of the page the numbers below a panel would meet
_GAP = 16.0  # between them
_LABEL = 0.5 * TEXT_WIDTH  # of a row, beside its marks
_ROW = 17.0  # points a row of one line takes
_LIMIT: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (3, 2))}


@rc_context(STYLE)
def draw_love(table: pd.DataFrame, *, limit: float, words: Words, ax: Axes | None = None) -> Figure:
    """See how far apart the groups were before matching, and after: one row per covariate level, the farthest first.

    Parameters
    ----------
    table : DataFrame
        Columns label, smd_before and smd_after. Infinite differences, and those beyond 2, become arrows at the edge; missing ones are left out.
    limit : float
        What the plan allows, drawn as a dashed line on either side.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    rows = table.iloc[np.argsort(-table["smd_before"].abs().to_numpy(), kind="stable")]
    values = rows[["smd_before", "smd_after"]].to_numpy(dtype=np.float64)
    reach = _reach(values, limit)
    keys = flow([Key(words.before, _HOLLOW), Key(words.after, _FILLED), Key(words.limit, _LIMIT)])
    labels = [wrap(str(label), _LABEL) for label in rows["label"]]
    tops = np.cumsum([4.0, *(_ROW + (len(lines) - 1) * (LEADING - 1) for lines in labels)])
    top, left, height = keys.height + 6, EDGE + _LABEL + 12, float(tops[-1])
    width = WIDTH - left - EDGE - 8
    sheet = Sheet.of(top + height + 24 + lines_height(words.smd_axis), ax)
    axes = sheet.panel(top, height, left, EDGE + 8)
    axes.set_ylim(height, 0)
    axes.set_xlim(-1.04 * reach, 1.04 * reach)
    axes.set_yticks([])
    axes.set_xticks(*fitting_ticks(-1.04 * reach, 1.04 * reach, width, words))
    axes.axvline(0, color=RULE, linewidth=0.8)
    for side in (-limit, limit):
        axes.axvline(side, **_LIMIT)
    for lines, start in zip(labels, tops[:-1], strict=True):
        sheet.write(EDGE, top + float(start) + 11, *lines)
    _marks(axes, values, tops[:-1] + 7.5, reach, width)
    keys.draw(sheet, 0)
    sheet.paragraph(top + height + 20, words.smd_axis, centre=left, right=EDGE + 8)
    return sheet.finished()


@rc_context(STYLE)
def draw_love_panels(table: pd.DataFrame, *, limit: float, words: Words, chance: str = "", ax: Axes | None = None) -> Figure:
    """See the same inside every group: one panel per group on one scale, the covariates named once, the farthest in any group first.

    Parameters
    ----------
    table : DataFrame
        Columns panel (the group, as the reader calls it), label, smd_before, smd_after and, where `chance` is given, smd_chance; a label once per
        panel. A covariate without a row in a panel has no marks there.
    limit : float
        What the plan allows inside a group, drawn as a dashed line on either side.
    words : Words
    chance : str, optional
        What to call the grey band of differences that chance alone makes in a group of this size; without it there is no band.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    labels = list(dict.fromkeys(table["label"]))
    groups = {str(name): rows.set_index("label").reindex(labels) for name, rows in table.groupby("panel", sort=False)}
    farthest = np.max([rows["smd_before"].abs().fillna(0.0) for rows in groups.values()], axis=0)
    order = np.argsort(-farthest, kind="stable")
    groups = {name: rows.iloc[order] for name, rows in groups.items()}
    reach = _reach(table[["smd_before", "smd_after"]].to_numpy(dtype=np.float64), limit)
    across = math.ceil(len(groups) / math.ceil(len(groups) / _MOST_ACROSS))
    width = (TEXT_WIDTH - 16 - (across - 1) * _GAP) / across
    keys = flow([Key(words.before, _HOLLOW), Key(words.after, _FILLED), Key(words.limit, _LIMIT), *([Key(chance, _CHANCE)] if chance else [])])
    lines = [wrap(str(labels[place]), TEXT_WIDTH) for place in order]
    tops = np.cumsum([0.0, *(len(each) * LEADING + 24 for each in lines)])
    tiers = [list(groups)[start : start + across] for start in range(0, len(groups), across)]
    heads = [max(len(wrap(name, width, bold=True)) for name in tier) * LEADING + 8 for tier in tiers]
    tall = [head + float(tops[-1]) + 34 for head in heads]
    sheet = Sheet.of(keys.height + 10 + sum(tall) + lines_height(words.smd_axis), ax)
    keys.draw(sheet, 0)
    top = keys.height + 10
    for tier, head, height in zip(tiers, heads, tall, strict=True):
        for each, start in zip(lines, tops[:-1], strict=True):
            sheet.write(EDGE, top + head + float(start) + 11, *each)
        for place, name in enumerate(tier):
            left = EDGE + 8 + place * (width + _GAP)
            sheet.write(left, top + 11, *wrap(name, width, bold=True), style={"weight": "bold"})
            axes = sheet.panel(top + head, float(tops[-1]), left, WIDTH - left - width)
            axes.set_ylim(float(tops[-1]), 0)
            axes.set_xlim(-1.04 * reach, 1.04 * reach)
            axes.set_yticks([])
            axes.set_xticks(*fitting_ticks(-1.04 * reach, 1.04 * reach, width, words))
            if chance and groups[name]["smd_chance"].notna().any():
                band = float(groups[name]["smd_chance"].max())
                axes.axvspan(-min(band, 1.04 * reach), min(band, 1.04 * reach), color=_CHANCE["markerfacecolor"], linewidth=0, zorder=0)
            for at, style in ((0.0, {"color": RULE, "linewidth": 0.8}), (-limit, _LIMIT), (limit, _LIMIT)):
                upright(axes, at, tops[1:] - 16, 7, style)
            _marks(axes, groups[name][["smd_before", "smd_after"]].to_numpy(dtype=np.float64), tops[1:] - 16, reach, width)
        top += height
    sheet.paragraph(top - 12, words.smd_axis, centre=0)
    return sheet.finished()


def _reach(values: Floats, limit: float) -> float:
    """Give the end of a scale that holds all but the farthest differences, and the limit with room beside it."""
    near = np.abs(values[np.abs(values) <= _FARTHEST_SMD])
    return max(float(near.max(initial=0.01)), 1.6 * limit)


def _marks(axes: Axes, values: Floats, levels: Floats, reach: float, width: float) -> None:
    """Draw before and after of every row, joined by a line."""
    for level, (before, after) in zip(map(float, levels), values, strict=True):
        axes.plot(np.clip([before, after], -reach, reach), [level, level], color=RULE, linewidth=1.2)
        _mark(axes, before, level, reach, _HOLLOW, inset=10 * 2.08 * reach / width if abs(after) > reach else 0)
        _mark(axes, after, level, reach, _FILLED, inset=0)


def _mark(axes: Axes, value: float, level: float, reach: float, style: Style, *, inset: float) -> None:
    """Draw one difference, or an arrow so far inside the edge where it lies beyond it."""
    if math.isnan(value):
        return
    if abs(value) > _FARTHEST_SMD:
        axes.plot(np.copysign(reach - inset, value), level, **{**style, "marker": ">" if value > 0 else "<"}, clip_on=False)
    else:
        axes.plot(value, level, **style, clip_on=False)
