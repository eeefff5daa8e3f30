"""The attackers: what somebody who knows the rules and every released number works out.

They share no code with the gate. They know the threshold and the base, that hidden counts are counts, and which sums hold; none knows an exact count.
"""

import itertools
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from scipy.optimize import linprog

THRESHOLD, BASE = 10, 5
ROUNDING = 2  # at most this far is a count from its nearest multiple of 5
KEPT = 5  # so much farther may one lie that stands as an earlier release showed it
SOLVER = 1e-6  # what a linear programme leaves of a whole number

Shown = Mapping[str, int | None]
Sums = Sequence[tuple[str, Sequence[str]]]


def believed(shown: int | None, *, exact: bool) -> tuple[float, float | None]:
    """Give what a shown number can have been; an attacker takes an unprotected table at its word."""
    if shown is None:
        return (1, THRESHOLD - 1) if exact else (0, None)
    return (shown, shown) if exact else (max(shown - ROUNDING, THRESHOLD), shown + ROUNDING)


def interval(
    cell: str, shown: Shown, sums: Sums, *, exact: bool = False, extra: Mapping[str, tuple[float, float | None]] | None = None
) -> tuple[float, float]:
    """Bound a cell by two linear programmes; `extra` names further unknowns, such as the difference of two populations, with their bounds."""
    bounds = {name: believed(count, exact=exact) for name, count in shown.items()} | dict(extra or {})
    names = list(bounds)
    rows = np.zeros((len(sums), len(names)))
    for row, (whole, parts) in zip(rows, sums, strict=True):
        row[names.index(whole)] += 1
        for part in parts:
            row[names.index(part)] -= 1
    ends = []
    for sign in (1, -1):
        goal = np.zeros(len(names))
        goal[names.index(cell)] = sign
        found = linprog(goal, A_eq=rows if len(rows) else None, b_eq=np.zeros(len(rows)) if len(rows) else None, bounds=list(bounds.values()))
        ends.append(math.inf if found.status == 3 else sign * found.fun)
    return math.ceil(ends[0] - SOLVER), ends[1] if math.isinf(ends[1]) else math.floor(ends[1] + SOLVER)


def is_few(low: float, high: float) -> bool:
    """Say whether the attacker has shown that there is somebody, and that they are few."""
    return low >= 1 and high < THRESHOLD


def is_pinned(low: float, high: float) -> bool:
    """Say whether the attacker knows a number better than a rounded one is ever known."""
    return high - low < 2 * ROUNDING


def worlds(shown: Shown, rows: Sequence[str], columns: Sequence[str], name, most: int) -> np.ndarray:
    """Give every table of two by two with counts up to `most` that would have been shown like this, by trying them all; shape (tables, 2, 2)."""
    tables = np.array(list(itertools.product(range(most + 1), repeat=4))).reshape(-1, 2, 2)
    full = np.zeros((len(tables), 3, 3), dtype=int)
    full[:, :2, :2] = tables
    full[:, :2, 2] = tables.sum(axis=2)
    full[:, 2] = full[:, :2].sum(axis=1)
    fits = np.ones(len(tables), dtype=bool)
    for row, column in itertools.product(range(3), range(3)):
        said, count = shown[name(rows[row], columns[column])], full[:, row, column]
        fits &= True if said is None else (count >= THRESHOLD) & (np.abs(count - said) <= ROUNDING)
    return tables[fits]


def steps_in_svg(svg: str, people: int, last_share: float) -> list[float]:
    """Read how many people each step of an SVG's first step curve is, from its coordinates, the number at the start and the share at the end."""
    for element in ElementTree.fromstring(svg).iter():
        if not element.tag.endswith("path") or "fill" not in element.get("style", "") or "none" not in element.get("style", ""):
            continue
        points = np.array([[float(number) for number in pair] for pair in re.findall(r"[ML] ([\d.]+) ([\d.]+)", element.get("d", ""))])
        if len(points) < 4 or (np.abs(np.diff(points, axis=0)) > SOLVER).all(axis=1).any():
            continue
        heights = -np.diff(points[:, 1])
        steps = heights[np.abs(heights) > SOLVER]
        if len(steps) and (steps > 0).all():
            return [float(step / steps.sum() * last_share * people) for step in steps]
    return []


def makers_of_workbook(path: Path) -> list[str]:
    """Read who made a workbook, as any unpacking program shows it."""
    with zipfile.ZipFile(path) as parts:
        text = parts.read("docProps/core.xml").decode()
    return re.findall(r"<(?:dc:creator|cp:lastModifiedBy)\b[^>]*>([^<]+)<", text)
