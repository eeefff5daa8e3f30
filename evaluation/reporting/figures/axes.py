"""Which round numbers stand along an axis, and how are rows laid out beside each other?"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from evaluation.reporting.figures.page import Style, Words, text_width

_APART = 8.0  # from number to number on an axis


def nice_step(span: float, most: int) -> float:
    """Give the smallest of 1, 2 and 5 times a power of ten that divides `span` into at most `most` parts."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power, 20 * power) if span / step <= most * (1 + 1e-9))


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Give round numbers from `low` to `high`, at most so many steps."""
    step = nice_step(high - low, most)
    decimals = _decimals(step)
    return [round(count * step, decimals) + 0.0 for count in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _decimals(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))


def fitting_ticks(low: float, high: float, width: float, words: Words, most: int = 8) -> tuple[list[float], list[str]]:
    """Give round numbers on an axis so many points wide, and their texts: at most so many steps, and no more than there is room for."""
    for steps in range(most, 0, -1):
        step = nice_step(high - low, steps)
        ticks = round_ticks(low, high, steps)
        texts = [words.number(tick, _decimals(step)) for tick in ticks]
        if max(map(text_width, texts), default=0.0) + _APART <= step / (high - low) * width:
            break
    return ticks, texts


def row_axes(axes: Axes, height: float, limits: tuple[float, float], words: Words) -> None:
    """Measure rows in points from the top, and write the numbers below them."""
    axes.set_ylim(height, 0)
    axes.set_xlim(*limits)
    axes.set_yticks([])
    positions = round_ticks(*limits, 8)
    decimals = _decimals(nice_step(limits[1] - limits[0], 8))
    axes.set_xticks(positions, [words.number(tick, decimals) for tick in positions])


def upright(axes: Axes, x: float, levels: ArrayLike, half: float, style: Style) -> None:
    """Draw a line at `x` beside each row, `half` of it above the row's level and half below, so that it runs through no words between the rows."""
    at = np.asarray(levels, dtype=np.float64)
    axes.vlines(np.full(len(at), x), at - half, at + half, **style)
