"""Can single events be read off a drawing's coordinates?

A step curve in an SVG holds the place of every step to a hundredth of a point. Drawn month by month its steps lie on an even grid of not many places;
drawn exit by exit they do not, and with the number at risk each step is a count.
"""

from __future__ import annotations

import re

import numpy as np

from evaluation.design.cohort import Floats

MOST_MONTHS = 120  # ten years: a grid with more places than this is one of days
_FEWEST_STEPS = 3  # two lie on an even grid whatever they are
_TOLERANCE = 0.03  # points, of coordinates rounded to hundredths
_MOST_SLANTED = 0.3  # of a step curve's pieces: a drawing program may cut corners that nobody sees
_NARROWEST = 1.5  # points: any coordinates lie on a grid finer than this
_DIVISORS = range(1, 7)  # where no two neighbouring months have a step, the grid is a part of the smallest distance
_PATH = re.compile(r'<(?:\w+:)?path\b[^>]*?\sd="([^"]*)"')
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def finer_than_months(svg: str) -> bool:
    """Say whether a drawing has a step curve whose steps do not lie on a grid of months.

    Parameters
    ----------
    svg : str

    Returns
    -------
    bool
    """
    return any(not _on_months(step_places(path)) for path in _PATH.findall(svg))


def step_places(path: str) -> Floats:
    """Give where on the horizontal axis a path goes straight up or down between level pieces; empty where it is not made of steps.

    Parameters
    ----------
    path : str
        The `d` of a `path`; of straight lines only, or it is no curve of steps.

    Returns
    -------
    ndarray of float, shape (s,)
        Points, rising.
    """
    corners: list[tuple[float, float]] = []
    for letter, rest in _COMMAND.findall(path):
        numbers = [float(number) for number in _NUMBER.findall(rest)]
        if letter not in "MLHVZz":
            return np.empty(0)
        if letter == "H":
            corners += [(number, corners[-1][1]) for number in numbers]
        elif letter == "V":
            corners += [(corners[-1][0], number) for number in numbers]
        else:
            corners += list(zip(numbers[::2], numbers[1::2], strict=False))
    drawn = np.array(corners).reshape(-1, 2)
    moved = np.abs(np.diff(drawn, axis=0)) > _TOLERANCE
    turns_back = bool((np.diff(drawn[:, 0]) < -_TOLERANCE).any())  # as letters and bands do
    if not len(moved) or turns_back or moved.all(axis=1).mean() > _MOST_SLANTED:
        return np.empty(0)
    return np.unique(drawn[:-1][moved[:, 1] & ~moved[:, 0]][:, 0])


def _on_months(places: Floats) -> bool:
    if len(places) < _FEWEST_STEPS:
        return True
    gaps = np.diff(places)
    smallest = float(gaps[gaps > _TOLERANCE].min(initial=np.inf))
    for divisor in _DIVISORS:
        step = smallest / divisor
        if step >= _NARROWEST and (places[-1] - places[0]) / step <= MOST_MONTHS:
            span = float(places[-1] - places[0])
            step = span / round(span / step)  # the smallest distance is known to a hundredth of a point, the whole one to as much
            offsets = (places - places[0]) / step
            if np.abs(offsets - np.round(offsets)).max() * step <= 2 * _TOLERANCE:
                return True
    return False
