"""How is one covariate spread in either group, before matching and after?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Floats
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.figures.axes import fitting_ticks, nice_step, round_ticks
from evaluation.reporting.figures.page import (
    DASH,
    EDGE,
    LEADING,
    LINE,
    STYLE,
    TEXT,
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

_TAIL = 0.005  # of all people on either side of the axis: a scale that held the farthest would flatten everybody else, and show where they are
_MOST_BINS = 25
_PANEL = 120.0  # height, points
_BAR = 15.0  # from bar to bar
_SIDES = EDGE + 26  # right of an axis: half of the longest number below it
_ROUND = [digit * 10.0**power for power in range(-2, 10) for digit in (1, 2, 5)]
_WHOLE = 1e-6  # off a whole number, relative to 1: what rounding leaves of 0.1 + 0.2


@rc_context(STYLE)
def draw_density(
    treated: Floats, control: Floats, weight_treated: Floats, weight_control: Floats, *, label: str, words: Words, gate: Gate, ax: Axes | None = None
) -> Figure:
    """See how a number is spread in both groups: everybody above, those who are compared, weighted, below.

    Parameters
    ----------
    treated, control : ndarray of float, shape (t,) and (c,)
        The number, of everybody.
    weight_treated, weight_control : ndarray of float, shape (t,) and (c,)
        Weights in the comparison; 0 for people who are not compared.
    label : str
        What the number is called, with its unit.
    words : Words
    gate : Gate
        Bins of too few people are left out.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
        Histograms drawn as steps: share of the group in each bin. Bins are 1, 2 or 5 times a power of ten wide; of whole numbers each holds equally
        many values, so that heaps at round numbers are those of the data. The axis leaves out the half per cent of all people at either end; the
        shares do not.
    """
    unit, edges = _edges(treated, control, gate.threshold)
    ones = np.ones(len(treated)), np.ones(len(control))
    weights = {words.before: dict(zip(ARMS, ones, strict=True)), words.after: dict(zip(ARMS, (weight_treated, weight_control), strict=True))}
    values = dict(zip(ARMS, (treated, control), strict=True))
    shares = {when: {arm: _shares(values[arm], weight[arm], edges, gate) for arm in ARMS} for when, weight in weights.items()}
    tallest = max(float(np.nan_to_num(share).max(initial=0.01)) for arms in shares.values() for share in arms.values())
    ticks = round_ticks(0, tallest, 4)
    keys = flow([Key(words.arm(arm), {"color": LINE[arm], "linewidth": 2, "linestyle": DASH[arm]}, TEXT[arm]) for arm in ARMS])
    most = 8 if unit == 0 else max(min(8, round((edges[-1] - edges[0]) / unit)), 1)
    top, left = keys.height + lines_height(words.group_share_axis) + 6, max(text_width(words.percent(tick)) for tick in ticks) + 8 + EDGE
    sheet = Sheet.of(top + 2 * (_PANEL + 44) + len(wrap(label, WIDTH - left - 2 * EDGE)) * LEADING + 2, ax)
    keys.draw(sheet, 0)
    sheet.paragraph(keys.height, words.group_share_axis)
    for when, arms in shares.items():
        sheet.write(left, top + 11, when, style={"weight": "bold"})
        axes = sheet.panel(top + 18, _PANEL, left, _SIDES)
        axes.set_ylim(0, 1.04 * tallest)
        axes.set_yticks(ticks, [words.percent(tick) for tick in ticks])
        axes.grid(axis="y")
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xticks(*fitting_ticks(edges[0], edges[-1], WIDTH - left - _SIDES, words, most))
        axes.stairs(np.nan_to_num(arms["treated"]), edges, fill=True, color=TINT["treated"], linewidth=0)
        for arm in ARMS:
            axes.stairs(arms[arm], edges, baseline=None, color=LINE[arm], linewidth=2, linestyle=DASH[arm])
        top += _PANEL + 44
    sheet.paragraph(top - 6, label, centre=left)
    return sheet.finished()


@rc_context(STYLE)
def draw_bars(table: pd.DataFrame, *, words: Words, ax: Axes | None = None) -> Figure:
    """See how large a share of either group has each level of a category: everybody on the left, those who are compared, weighted, on the right.

    Parameters
    ----------
    table : DataFrame
        A row per level, in the order they are to stand: label, and the shares mean_treated_before, mean_control_before, mean_treated and
        mean_control, as the balance table has them. A missing share is of too few people to be shown; whoever calls holds the gate.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    panels = {words.before: ("mean_treated_before", "mean_control_before"), words.after: ("mean_treated", "mean_control")}
    shares = table[[column for columns in panels.values() for column in columns]].to_numpy(dtype=np.float64)
    room = max(text_width(text) for text in [HIDDEN, *(words.percent(share) for share in shares[~np.isnan(shares)])]) + 6
    width = (TEXT_WIDTH - 16) / 2
    scale = (width - room) / max(float(np.nanmax(shares, initial=0.0)), 0.01)  # points per whole
    keys = flow([Key(words.arm(arm), _square(arm), TEXT[arm]) for arm in ARMS])
    lines = [wrap(str(label), TEXT_WIDTH) for label in table["label"]]
    heads = [wrap(when, width, bold=True) for when in panels]
    top = keys.height + max(map(len, heads)) * LEADING + 14
    sheet = Sheet.of(top + sum(len(each) * LEADING + 2 * _BAR + 8 for each in lines) + 2, ax)
    keys.draw(sheet, 0)
    for place, head in enumerate(heads):
        sheet.write(EDGE + place * (width + 16), keys.height + 15, *head, style={"weight": "bold"})
    for each, row in zip(lines, table.to_dict("records"), strict=True):
        sheet.write(EDGE, top + 11, *each)
        top += len(each) * LEADING + 4
        for place, columns in enumerate(panels.values()):
            for number, (arm, column) in enumerate(zip(ARMS, columns, strict=True)):
                _bar(sheet, EDGE + place * (width + 16), top + number * _BAR, row[column], scale, arm, words)
        top += 2 * _BAR + 4
    return sheet.finished()


def _edges(treated: Floats, control: Floats, threshold: int) -> tuple[float, Floats]:
    """Give the unit all values are multiples of (0: none), and bins that hold, on average, twice the threshold of the smaller group.

    A bin holds the same number of multiples as every other, with its edges between two of them.
    """
    values = np.concatenate([treated, control])
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    most = min(max(min(len(treated), len(control)) // max(2 * threshold, 1), 5), _MOST_BINS)
    farthest = float(np.abs(values).max())
    unit = next((unit for unit in reversed(_ROUND) if unit <= farthest and _are_whole(values / unit)), 0.0)
    step = nice_step(high - low or unit or 1.0, most)
    if unit:
        step = next(wide for wide in _ROUND if wide >= step * (1 - _WHOLE) and wide >= unit and _are_whole(np.array([wide / unit])))
    first, last = math.floor((low + unit / 2) / step), math.floor((high + unit / 2) / step) + 1
    return unit, np.arange(first, last + 1) * step - unit / 2


def _are_whole(values: Floats) -> bool:
    return bool((np.abs(values - np.rint(values)) < _WHOLE).all())


def _shares(values: Floats, weight: Floats, edges: Floats, gate: Gate) -> Floats:
    """Give the weighted share in each bin, NaN where its people, or those beyond the axis and it, are too few."""
    people = np.histogram(values[weight > 0], edges)[0]
    everybody = int((weight > 0).sum())
    parts = np.append(people, everybody - people.sum()).reshape(-1, 1) / max(everybody, 1)
    return np.where(gate.hides_parts(parts, [everybody])[:-1], np.nan, np.histogram(values, edges, weights=weight)[0] / max(weight.sum(), 1e-300))


def _square(arm: str) -> dict[str, Any]:
    face = LINE[arm] if arm == "treated" else TINT[arm]
    return {"marker": "s", "markersize": 9, "markerfacecolor": face, "markeredgecolor": LINE[arm], "markeredgewidth": 1, "linestyle": "none"}


def _bar(sheet: Sheet, left: float, top: float, share: float, scale: float, arm: str, words: Words) -> None:
    """Draw a share as a bar with its number behind it, or that it is hidden."""
    length = 0.0 if math.isnan(share) else share * scale
    if length:
        face = LINE[arm] if arm == "treated" else TINT[arm]  # told apart on black-and-white paper too
        sheet.box(left, top + 1.5, length, _BAR - 3, {"facecolor": face, "edgecolor": LINE[arm], "linewidth": 1})
    sheet.write(left + length + 4, top + 11, HIDDEN if math.isnan(share) else words.percent(share), style={"color": TEXT[arm]})
