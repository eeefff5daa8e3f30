"""How does the share having left grow in either arm, and how many are still under observation?

References
----------
Pocock, Clayton & Altman (2002). Survival plots of time-to-event outcomes in clinical trials. Lancet 359, 1686-1689 (show the numbers still under
observation, and stop the curves where few remain).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.analysis.curves import ARMS, Curves
from evaluation.analysis.outcomes import ANY
from evaluation.design.cohort import Floats
from evaluation.errors import EstimationError
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.figures.page import (
    DASH,
    EDGE,
    LEADING,
    LINE,
    RULE,
    STYLE,
    SWATCH,
    TEXT,
    TEXT_WIDTH,
    WIDTH,
    Key,
    Keys,
    Sheet,
    Words,
    flow,
    lines_height,
    name_style,
    nice_step,
    text_width,
    wrap,
)

_MOST_STEPS = 150  # two points apart: nobody sees more, and a file with every exit day would be large and tell too much


def shown_until(curves: Curves, threshold: int, until_days: float) -> float:
    """Give the last day that everybody could be followed to and on which both arms have `threshold` people under observation, at most `until_days`.

    Parameters
    ----------
    curves : Curves
    threshold : int
    until_days : float

    Returns
    -------
    float
        Days. 0 where an arm is smaller than `threshold` from the start.
    """
    last = min(until_days, curves.reach)
    for times in curves.followed.values():
        if len(times) < threshold:
            return 0.0
        if threshold > 0:
            last = min(last, float(times[len(times) - threshold]))
    return last


@rc_context(STYLE)
def draw_curves(
    curves: Curves,
    state: str,
    *,
    unit_days: float,
    until_days: float,
    ticks: Sequence[float],
    words: Words,
    gate: Gate,
    verticals: Sequence[float] = (),
) -> Figure:
    """See how the share having left grows in either arm, with the number still under observation below.

    Parameters
    ----------
    curves : Curves
    state : str
        "any", or a kind of exit.
    unit_days : float
        Length of the study's unit of time.
    until_days : float
        Where the time axis ends. The curves end there, or at `shown_until`.
    ticks : sequence of float
        Positions on the time axis, in units of `unit_days`, rising. Those too near the one before for their numbers are left out.
    words : Words
    gate : Gate
        What is shown of few people; the curves end where either arm has fewer than its threshold.
    verticals : sequence of float, optional
        Positions of dotted lines, in units of `unit_days`.

    Returns
    -------
    Figure

    Raises
    ------
    EstimationError
        If the curves have no such state.
    """
    time = _TimeAxis.of(curves, ticks, until_days / unit_days, unit_days, words, gate)
    shown = shown_until(curves, gate.threshold, until_days) / unit_days
    steps = {arm: _steps(curves, state, arm, shown, unit_days) for arm in ARMS}
    height = 200.0
    labels = _place_labels(steps, shown, time, height, words)
    keys = None if labels.fit else _arm_keys(words)
    top = lines_height(words.share_axis) + (keys.height if keys else 0) + 8
    sheet = Sheet.of(top + height + time.height)
    axes = sheet.panel(top, height, time.left, time.right)
    _draw_arms(axes, steps, verticals)
    _share_axis(axes, labels.limit, labels.ticks, words)
    time.draw(sheet, axes, top + height)
    sheet.paragraph(0, words.share_axis)
    if keys:
        keys.draw(sheet, lines_height(words.share_axis))
    else:
        for arm, (lines, baseline) in labels.names.items():
            end = time.left + time.scale * shown
            sheet.write(end, top + baseline, *lines, align="right", style=name_style(arm))
            start = end - text_width(lines[0], bold=True) - 5
            sheet.line([start - SWATCH, start], top + baseline - 3.8, _arm_line(arm))
    return sheet.figure


@rc_context(STYLE)
def draw_states(
    curves: Curves,
    states: Sequence[tuple[str, str]],
    *,
    unit_days: float,
    until_days: float,
    ticks: Sequence[float],
    words: Words,
    gate: Gate,
    verticals: Sequence[float] = (),
) -> Figure:
    """See how the share having left to each kind of exit grows in either arm, one panel under another on the same scale.

    Parameters
    ----------
    curves : Curves
    states : sequence of (str, str)
        Kind of exit and what to call it, in the order to show them.
    unit_days, until_days, ticks, words, gate, verticals
        As in `draw_curves`.

    Returns
    -------
    Figure

    Raises
    ------
    EstimationError
        If the curves have no such state.
    """
    time = _TimeAxis.of(curves, ticks, until_days / unit_days, unit_days, words, gate)
    shown = shown_until(curves, gate.threshold, until_days) / unit_days
    panels = [{arm: _steps(curves, state, arm, shown, unit_days) for arm in ARMS} for state, _ in states]
    limit, levels = _share_ticks(max(float(steps.high.max()) for panel in panels for steps in panel.values()), 4)
    keys = _arm_keys(words)
    height, start = 105.0, lines_height(words.share_axis) + keys.height + 6
    titles = [wrap(label, WIDTH - time.left - EDGE, bold=True) for _, label in states]
    heads = np.cumsum([start, *(len(lines) * LEADING + 8 + height + 20 for lines in titles)])
    bottom = float(heads[-1]) - 20
    sheet = Sheet.of(bottom + time.height)
    for position, (panel, lines, head) in enumerate(zip(panels, titles, heads[:-1], strict=True)):
        top = float(head) + len(lines) * LEADING + 8
        axes = sheet.panel(top, height, time.left, time.right)
        _draw_arms(axes, panel, verticals)
        _share_axis(axes, limit, levels, words)
        sheet.write(time.left, float(head) + 11, *lines, style={"weight": "bold"})
        if position == len(panels) - 1:
            time.draw(sheet, axes, bottom)
        else:
            axes.set_xlim(0, time.until)
            axes.set_xticks(time.ticks, [])
    sheet.paragraph(0, words.share_axis)
    keys.draw(sheet, lines_height(words.share_axis))
    return sheet.figure


@dataclass(frozen=True, eq=False)
class _Steps:
    """One arm's curve, from 0 to where it is cut, in the study's unit of time."""

    time: Floats
    probability: Floats
    low: Floats
    high: Floats

    def since(self, start: float) -> slice:
        """Give the values from `start` on, including the one that holds there."""
        return slice(max(int(np.searchsorted(self.time, start, side="right")) - 1, 0), None)


def _steps(curves: Curves, state: str, arm: str, shown: float, unit_days: float) -> _Steps:
    table = curves.table
    if state != ANY and state not in set(table["state"]):
        raise EstimationError(f"figure: {state} is not a state of the curves; they have {', '.join(dict.fromkeys(table['state']))}")
    rows = table[(table["arm"] == arm) & (table["state"] == state)]
    seen = rows[rows["days"] / unit_days <= shown]
    time = np.append(0.0, seen["days"].to_numpy(dtype=np.float64) / unit_days)
    values = np.vstack([np.zeros(3), seen[["probability", "low", "high"]].to_numpy(dtype=np.float64)])
    drawn = np.append(time, shown) if len(time) <= _MOST_STEPS else np.linspace(0, shown, _MOST_STEPS + 1)
    return _Steps(drawn, *values[np.searchsorted(time, drawn, side="right") - 1].T)


def _arm_line(arm: str) -> dict[str, Any]:
    return {"color": LINE[arm], "linestyle": DASH[arm], "linewidth": 2.0}


def _band_line(arm: str) -> dict[str, Any]:
    return _arm_line(arm) | {"linewidth": 0.6, "linestyle": "-" if arm == "treated" else (0, (4, 2))}


def _arm_keys(words: Words) -> Keys:
    return flow([Key(words.arm(arm), _arm_line(arm), TEXT[arm]) for arm in ARMS])


def _draw_arms(axes: Axes, steps: Mapping[str, _Steps], verticals: Sequence[float]) -> None:
    for position in verticals:
        axes.axvline(position, color=RULE, linewidth=0.9, linestyle=(0, (1, 2)))
    for arm, curve in steps.items():
        axes.fill_between(curve.time, curve.low, curve.high, step="post", color=LINE[arm], alpha=0.16, linewidth=0)
        before = curve.time < curve.time[-1]  # a step on the last day would be a stroke along the right edge
        for bound in (curve.low[before], curve.high[before]):
            level = np.append(bound, bound[-1:])
            axes.plot(np.append(curve.time[before], curve.time[-1:])[: len(level)], level, drawstyle="steps-post", **_band_line(arm))
    for arm, curve in steps.items():
        axes.plot(curve.time, curve.probability, drawstyle="steps-post", solid_capstyle="butt", **_arm_line(arm))
        face = LINE[arm] if arm == "treated" else "white"
        axes.plot(
            curve.time[-1:], curve.probability[-1:], "o", markersize=5.5, color=LINE[arm], markerfacecolor=face, markeredgewidth=1.6, clip_on=False
        )


def _share_ticks(highest: float, most: int) -> tuple[float, list[float]]:
    """Give the top of the axis and its ticks, for shares up to `highest`."""
    highest = max(highest, 0.01)
    step = max(nice_step(highest, most), 0.01)
    ticks = [round(count * step, 2) for count in range(math.ceil(highest / step - 1e-9) + 1)]
    return ticks[-1], ticks


def _share_axis(axes: Axes, limit: float, ticks: Sequence[float], words: Words) -> None:
    axes.set_ylim(0, limit)
    axes.set_yticks(ticks, [words.percent(tick) for tick in ticks])
    axes.grid(axis="y")


@dataclass(frozen=True, eq=False)
class _Labels:
    """The arms' names beside their curves, as lines and first baseline below the top of the panel, and the share axis that makes room for them."""

    fit: bool
    names: dict[str, tuple[list[str], float]]
    limit: float
    ticks: list[float]


def _place_labels(steps: Mapping[str, _Steps], shown: float, time: _TimeAxis, height: float, words: Words) -> _Labels:
    """Set the upper arm's name above every curve near the end, the lower arm's below, and say whether there is room."""
    limit, ticks = _share_ticks(max(float(curve.high.max()) for curve in steps.values()), 5)
    upper, lower = sorted(ARMS, key=lambda arm: -steps[arm].probability[-1])
    lines = {arm: wrap(words.arm(arm), 0.42 * time.scale * time.until, bold=True) for arm in ARMS}
    start = {arm: shown - (max(text_width(line, bold=True) for line in lines[arm]) + SWATCH + 10) / time.scale for arm in ARMS}
    highest = max(float(curve.high[curve.since(start[upper])].max()) for curve in steps.values())
    lowest = min(float(curve.low[curve.since(start[lower])].min()) for curve in steps.values())
    above, below = len(lines[upper]) * LEADING, len(lines[lower]) * LEADING
    roomy = max(limit, highest * height / (height - above - 6))
    names = {upper: (lines[upper], height * (1 - highest / roomy) - above + 8), lower: (lines[lower], height * (1 - lowest / roomy) + 14)}
    fit = min(start.values()) >= 0 and names[lower][1] + below - LEADING <= height - 5
    return _Labels(fit, names, roomy if fit else limit, ticks)


@dataclass(frozen=True, eq=False)
class _TimeAxis:
    """Ticks on the time axis and, below them, how many are still under observation."""

    ticks: list[float]
    labels: list[str]
    counts: dict[str, list[str]]
    until: float
    left: float
    right: float
    words: Words

    @classmethod
    def of(cls, curves: Curves, ticks: Sequence[float], until: float, unit_days: float, words: Words, gate: Gate) -> _TimeAxis:
        inside = [tick for tick in ticks if tick <= until * (1 + 1e-9)]
        people = curves.at_risk([tick * unit_days * (1 - 1e-12) for tick in inside])  # days / unit * unit may land beyond the exits of that day
        columns = [
            [words.number(tick, 0 if float(round(tick, 1)).is_integer() else 1)]
            + [gate.count(int(count), lambda people: words.number(people, 0)) for count in people.iloc[:, position].loc[list(ARMS)]]
            for position, tick in enumerate(inside)
        ]
        widths = [max(map(text_width, column)) for column in columns]
        left = max([text_width(words.percent(1.0)) + 8, *(width / 2 for width in widths[:1])]) + EDGE
        right = max([10.0, *(width / 2 + EDGE for width in widths[-1:])])
        gap = (max(widths, default=0.0) + 6) * until / (WIDTH - left - right)
        kept: list[int] = []
        for position, tick in enumerate(inside):
            if not kept or tick - inside[kept[-1]] >= gap:
                kept.append(position)
        rows = [[columns[position][row] for position in kept] for row in range(3)]
        return cls([inside[position] for position in kept], rows[0], dict(zip(ARMS, rows[1:], strict=True)), until, left, right, words)

    @property
    def scale(self) -> float:
        """Points per unit of time."""
        return (WIDTH - self.left - self.right) / self.until

    @property
    def height(self) -> float:
        """Points from the bottom of the panel to the bottom of the page."""
        names = sum(len(wrap(self.words.arm(arm), TEXT_WIDTH - SWATCH - 5)) for arm in ARMS)
        return 20 + lines_height(self.words.time_axis) + 12 + lines_height(self.words.at_risk) + (names + 2) * LEADING + 4 + EDGE

    def draw(self, sheet: Sheet, axes: Axes, bottom: float) -> None:
        axes.set_xlim(0, self.until)
        axes.set_xticks(self.ticks, self.labels)
        sheet.paragraph(bottom + 20, self.words.time_axis, centre=self.left)
        y = bottom + 20 + lines_height(self.words.time_axis) + 12
        sheet.paragraph(y, self.words.at_risk)
        y += lines_height(self.words.at_risk) + 2
        for arm, counts in self.counts.items():
            lines = wrap(self.words.arm(arm), TEXT_WIDTH - SWATCH - 5)
            sheet.line([EDGE, EDGE + SWATCH], y + 7.2, _arm_line(arm))
            sheet.write(EDGE + SWATCH + 5, y + 11, *lines, style={"color": TEXT[arm]})
            y += len(lines) * LEADING
            for tick, count in zip(self.ticks, counts, strict=True):
                sheet.write(self.left + self.scale * tick, y + 11, count, align="center")
            y += LEADING
