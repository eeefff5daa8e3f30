"""Do the two groups share the range of propensities, and for how many was either side a real possibility?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Floats
from evaluation.design.propensity import EQUIPOISE_RANGE
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.figures.axes import nice_step, round_ticks
from evaluation.reporting.figures.page import (
    DASH,
    EDGE,
    GREY,
    INK,
    LINE,
    STYLE,
    TEXT,
    TINT,
    Key,
    Sheet,
    Words,
    flow,
    lines_height,
    name_style,
    text_width,
)
from evaluation.reporting.overlap import OverlapBins, bin_overlap

_BAND = "#efefef"


@rc_context(STYLE)
def draw_overlap(bins: OverlapBins, *, words: Words, ax: Axes | None = None) -> Figure:
    """See whether the two groups share the range of propensities: the treated upwards, the controls downwards.

    Parameters
    ----------
    bins : OverlapBins
        What may be shown: no score of anybody reaches the figure.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
        Wide light bars: share of everybody in the group; narrow dark bars: weighted share of its compared people.
    """
    tallest = [max(float(np.nan_to_num([bins.everybody[arm], bins.compared[arm]]).max()), 0.01) for arm in ARMS]
    step = max(nice_step(sum(tallest), 8), 0.01)
    up, down = (math.ceil(height / step - 1e-9) for height in tallest)

    keys = flow([Key(words.everybody, _square("#e6e6e6", GREY)), Key(words.compared, _square(GREY, GREY))])
    top, height, name = lines_height(words.group_share_axis) + keys.height + 8, 215.0, 18.0
    sheet = Sheet.of(top + height + 22 + lines_height(words.score_axis), ax)
    ticks = [step * count for count in range(-down, up + 1)]
    left = max(text_width(words.percent(abs(tick))) for tick in ticks) + 8 + EDGE
    axes = sheet.panel(top, height, left, EDGE + 14)
    unit = step * (up + down) / (height - 2 * name)
    axes.set_ylim(-step * down - name * unit, step * up + name * unit)
    axes.set_yticks(ticks, [words.percent(abs(tick)) for tick in ticks])
    axes.set_xlim(bins.edges[0], bins.edges[-1])
    positions = round_ticks(bins.edges[0], bins.edges[-1], 8)
    axes.set_xticks(positions, [words.percent(tick) for tick in positions])
    axes.grid(axis="y")
    middle, width = (bins.edges[:-1] + bins.edges[1:]) / 2, bins.edges[1] - bins.edges[0]
    for arm, way in zip(ARMS, (1, -1), strict=True):
        wide = {"width": 0.9 * width, "color": TINT[arm], "edgecolor": LINE[arm], "linewidth": 0.8}
        for shares, style in ((bins.everybody[arm], wide), (bins.compared[arm], {"width": 0.45 * width, "color": LINE[arm]})):
            shown = shares > 0
            axes.bar(middle[shown], way * shares[shown], **style)
    axes.axhline(0, color=INK, linewidth=0.8)
    sheet.paragraph(0, words.group_share_axis)
    keys.draw(sheet, lines_height(words.group_share_axis))
    sheet.write(left + 2, top + 12, words.treated, style=name_style("treated"))
    sheet.write(left + 2, top + height - 6, words.control, style=name_style("control"))
    sheet.paragraph(top + height + 20, words.score_axis, centre=left)
    return sheet.finished()


@rc_context(STYLE)
def draw_preference(
    preference_treated: Floats, preference_control: Floats, *, axis: str, band: str, words: Words, gate: Gate, ax: Axes | None = None
) -> Figure:
    """See for how many either side was a real possibility: where the two groups' preference scores lie, and the band of equipoise.

    Parameters
    ----------
    preference_treated, preference_control : ndarray of float, shape (t,) and (c,)
        Preference scores of everybody: one half where treatment is as likely as on average.
    axis, band : str
        What to call the preference score, and the band.
    words : Words
    gate : Gate
        Shares of too few people are left out.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
        Each group's share of people in bins of the preference score, one line each.
    """
    people = [np.ones(len(preference_treated)), np.ones(len(preference_control))]
    bins = bin_overlap(preference_treated, preference_control, *people, gate=gate)
    tallest = max(float(np.nan_to_num(list(bins.everybody.values())).max()), 0.01)
    step = max(nice_step(tallest, 5), 0.01)
    ticks = [step * count for count in range(math.ceil(tallest / step - 1e-9) + 1)]

    arms = [Key(words.arm(arm), {"color": LINE[arm], "linestyle": DASH[arm], "linewidth": 2}, TEXT[arm]) for arm in ARMS]
    keys = flow([*arms, Key(band, _square(_BAND, GREY))])
    top, height = lines_height(words.group_share_axis) + keys.height + 8, 190.0
    sheet = Sheet.of(top + height + 22 + lines_height(axis), ax)
    left = max(text_width(words.percent(tick)) for tick in ticks) + 8 + EDGE
    axes = sheet.panel(top, height, left, EDGE + 14)
    axes.set_ylim(0, ticks[-1])
    axes.set_yticks(ticks, [words.percent(tick) for tick in ticks])
    axes.set_xlim(0, 1)
    positions = round_ticks(0, 1, 10)
    axes.set_xticks(positions, [words.number(tick, 1) for tick in positions])
    axes.grid(axis="y")
    axes.axvspan(*EQUIPOISE_RANGE, color=_BAND, linewidth=0, zorder=0)  # below the grid
    for arm in ARMS:
        shares = np.where(bins.everybody[arm] > 0, bins.everybody[arm], np.nan)
        axes.stairs(shares, bins.edges, fill=True, color=LINE[arm], alpha=0.12)
        axes.stairs(shares, bins.edges, color=LINE[arm], linestyle=DASH[arm], linewidth=2, baseline=None)
    sheet.paragraph(0, words.group_share_axis)
    keys.draw(sheet, lines_height(words.group_share_axis))
    sheet.paragraph(top + height + 20, axis, centre=left)
    return sheet.finished()


def _square(face: str, edge: str) -> dict[str, Any]:
    return {"marker": "s", "markersize": 9, "markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": 0.8, "linestyle": "none"}
