"""What is a panel with step curves made of: either arm's line and band, its name beside it, and the time axis with the numbers below?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Floats
from evaluation.reporting.figures.axes import nice_step
from evaluation.reporting.figures.page import (
    DASH,
    EDGE,
    LEADING,
    LINE,
    RULE,
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
    text_width,
    wrap,
)


@dataclass(frozen=True, eq=False)
class Steps:
    """One arm's curve, from 0 to where it is cut, in the study's unit of time."""

    time: Floats
    probability: Floats
    low: Floats
    high: Floats

    def since(self, start: float) -> slice:
        """Give the values from `start` on, including the one that holds there."""
        return slice(max(int(np.searchsorted(self.time, start, side="right")) - 1, 0), None)


def arm_line(arm: str) -> dict[str, Any]:
    """Give the way an arm's line looks."""
    return {"color": LINE[arm], "linestyle": DASH[arm], "linewidth": 2.0}


def _band_line(arm: str) -> dict[str, Any]:
    return arm_line(arm) | {"linewidth": 0.6, "linestyle": "-" if arm == "treated" else (0, (4, 2))}


def arm_keys(words: Words) -> Keys:
    """Give the keys of the two arms."""
    return flow([Key(words.arm(arm), arm_line(arm), TEXT[arm]) for arm in ARMS])


def draw_arms(axes: Axes, steps: Mapping[str, Steps], verticals: Sequence[float]) -> None:
    """Draw either arm's band and line, and dotted lines at `verticals`."""
    for position in verticals:
        axes.axvline(position, color=RULE, linewidth=0.9, linestyle=(0, (1, 2)))
    for arm, curve in steps.items():
        axes.fill_between(curve.time, curve.low, curve.high, step="post", color=LINE[arm], alpha=0.16, linewidth=0)
        before = curve.time < curve.time[-1]  # a step on the last day would be a stroke along the right edge
        for bound in (curve.low[before], curve.high[before]):
            level = np.append(bound, bound[-1:])
            axes.plot(np.append(curve.time[before], curve.time[-1:])[: len(level)], level, drawstyle="steps-post", **_band_line(arm))
    for arm, curve in steps.items():
        axes.plot(curve.time, curve.probability, drawstyle="steps-post", solid_capstyle="butt", **arm_line(arm))
        face = LINE[arm] if arm == "treated" else "white"
        axes.plot(
            curve.time[-1:], curve.probability[-1:], "o", markersize=5.5, color=LINE[arm], markerfacecolor=face, markeredgewidth=1.6, clip_on=False
        )


def share_ticks(highest: float, most: int) -> tuple[float, list[float]]:
    """Give the top of the axis and its ticks, for shares up to `highest`."""
    highest = max(highest, 0.01)
    step = max(nice_step(highest, most), 0.01)
    ticks = [round(count * step, 2) for count in range(math.ceil(highest / step - 1e-9) + 1)]
    return ticks[-1], ticks


def share_axis(axes: Axes, limit: float, ticks: Sequence[float], words: Words) -> None:
    """Set the axis of shares."""
    axes.set_ylim(0, limit)
    axes.set_yticks(ticks, [words.percent(tick) for tick in ticks])
    axes.grid(axis="y")


@dataclass(frozen=True, eq=False)
class Labels:
    """The arms' names beside their curves, as lines and first baseline below the top of the panel, and the share axis that makes room for them."""

    fit: bool
    names: dict[str, tuple[list[str], float]]
    limit: float
    ticks: list[float]


def place_labels(steps: Mapping[str, Steps], shown: float, time: TimeAxis, height: float, words: Words) -> Labels:
    """Set the upper arm's name above every curve near the end, the lower arm's below, and say whether there is room."""
    limit, ticks = share_ticks(max(float(curve.high.max()) for curve in steps.values()), 5)
    upper, lower = sorted(ARMS, key=lambda arm: -steps[arm].probability[-1])
    lines = {arm: wrap(words.arm(arm), 0.42 * time.scale * time.until, bold=True) for arm in ARMS}
    start = {arm: shown - (max(text_width(line, bold=True) for line in lines[arm]) + SWATCH + 10) / time.scale for arm in ARMS}
    highest = max(float(curve.high[curve.since(start[upper])].max()) for curve in steps.values())
    lowest = min(float(curve.low[curve.since(start[lower])].min()) for curve in steps.values())
    above, below = len(lines[upper]) * LEADING, len(lines[lower]) * LEADING
    roomy = max(limit, highest * height / (height - above - 6))
    names = {upper: (lines[upper], height * (1 - highest / roomy) - above + 8), lower: (lines[lower], height * (1 - lowest / roomy) + 14)}
    fit = min(start.values()) >= 0 and names[lower][1] + below - LEADING <= height - 5
    return Labels(fit, names, roomy if fit else limit, ticks)


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """Ticks on the time axis and, below them, how many are still under observation."""

    ticks: list[float]
    labels: list[str]
    counts: dict[str, list[str]]
    until: float
    left: float
    right: float
    words: Words

    @classmethod
    def of(cls, positions: Sequence[float], columns: Sequence[Sequence[str]], until: float, words: Words) -> TimeAxis:
        """Leave out the ticks too near the one before; `columns` holds for each its label and either arm's number."""
        inside = list(positions)
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
        """Write the axis below a panel, and the numbers below it."""
        axes.set_xlim(0, self.until)
        axes.set_xticks(self.ticks, self.labels)
        sheet.paragraph(bottom + 20, self.words.time_axis, centre=self.left)
        y = bottom + 20 + lines_height(self.words.time_axis) + 12
        sheet.paragraph(y, self.words.at_risk)
        y += lines_height(self.words.at_risk) + 2
        for arm, counts in self.counts.items():
            lines = wrap(self.words.arm(arm), TEXT_WIDTH - SWATCH - 5)
            sheet.line([EDGE, EDGE + SWATCH], y + 7.2, arm_line(arm))
            sheet.write(EDGE + SWATCH + 5, y + 11, *lines, style={"color": TEXT[arm]})
            y += len(lines) * LEADING
            for tick, count in zip(self.ticks, counts, strict=True):
                sheet.write(self.left + self.scale * tick, y + 11, count, align="center")
            y += LEADING
