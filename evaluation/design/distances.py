"""How far apart are the two sides of every group, in one column? The arithmetic under balance, on arrays.

A column is sorted once. The order inside a group, and among those compared, is that order with the others left out.

References
----------
Franklin et al. (2014). Metrics for covariate balance in cohort studies of causal effects. Statistics in Medicine 33(10), 1685-1699.
Kish (1965). Survey sampling. Wiley (effective sizes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.design.cohort import Bools, Cohort, Floats, Rows

BINS = 20  # of the overlap: a twentieth of the treated in each, enough to see shape, and few enough that a hundred people fill them


@dataclass(frozen=True, eq=False)
class Parts:
    """The people of every group: those of group g are in part 2 g if treated, in part 2 g + 1 if not.

    Attributes
    ----------
    rows : ndarray of int, shape (k,)
        Cohort rows with a weight, part by part, in each in the cohort's order.
    weight : ndarray of float, shape (k,)
        Of `rows`.
    sizes, total : ndarray, shape (2 g,)
        Rows and weight of every part.
    group : ndarray of int, shape (n,)
        Of all rows of the cohort.
    inside : ndarray of bool, shape (n,)
        Whether a row has a weight.
    steps : pair of ndarray of float, shape (n,)
        The rows' weight as treated, and as controls.
    """

    rows: Rows
    weight: Floats
    sizes: Rows
    total: Floats
    group: NDArray[Any]
    inside: Bools
    steps: tuple[Floats, Floats]

    @classmethod
    def of(cls, cohort: Cohort, weights: Floats, code: Rows, groups: int) -> Parts:
        """Part the rows that have a weight by group and side."""
        group = code.astype(np.min_scalar_type(2 * groups))  # small whole numbers are sorted in linear time
        inside = weights > 0
        rows = cohort.order[inside[cohort.order]]
        part = 2 * group[rows] + ~cohort.treated[rows]
        sizes = np.bincount(part, minlength=2 * groups)
        rows = rows[np.argsort(part, kind="stable")]
        weight = weights[rows]
        steps = np.where(cohort.treated, weights, 0.0), np.where(cohort.treated, 0.0, weights)
        return cls(rows, weight, sizes, sum_parts(weight, sizes), group, inside, steps)

    @property
    def part(self) -> Rows:
        """The part of each of `rows`."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def effective(self, person: Rows) -> Floats:
        """Give Kish's effective size of every part, a person's weights in it taken together; `person` numbers the person of all rows."""
        people = int(person.max()) + 1
        number, seen = pd.factorize(self.part * people + person[self.rows])  # in the order of `rows`, which no shuffling moves
        squares = np.bincount(seen // people, np.bincount(number, self.weight) ** 2, minlength=len(self.sizes))
        with np.errstate(invalid="ignore"):  # nobody
            return np.asarray(self.total**2 / squares, dtype=np.float64)


def sum_parts(values: Floats, sizes: Rows) -> Floats:
    """Sum values that stand part by part; the sum over nobody is 0."""
    found, somebody = np.zeros(len(sizes)), sizes > 0
    found[somebody] = np.add.reduceat(values, (np.cumsum(sizes) - sizes)[somebody])
    return found


def rank_rows(values: Floats, order: Rows) -> Rows:
    """Sort rows by value, equal ones as in `order`.

    Value and place are packed into one whole number, the place in the last bits, whose sort takes half the time of a stable argsort. Where values
    differ in these bits only, they are put right afterwards.
    """
    ordered = values[order]
    bits = ordered.view(np.int64)
    key = bits ^ (bits >> 63 & np.iinfo(np.int64).max)  # grows with the value, for the bits of a float grow with its size
    room = (1 << len(order).bit_length()) - 1
    place = np.sort(key & ~room | np.arange(len(order))) & room
    ordered, leading = ordered[place], key[place] & ~room
    broken = ordered[1:] < ordered[:-1]
    if broken.any():
        wrong = np.isin(leading, leading[1:][broken])
        place[wrong] = place[wrong][np.lexsort((place[wrong], ordered[wrong]))]
    return np.asarray(order[place], dtype=np.intp)


def part_means(parts: Parts, inside: Floats) -> tuple[Floats, Floats]:
    """Give the weighted means of treated and of controls in every group; `inside` has the values of `parts.rows`."""
    with np.errstate(invalid="ignore"):  # nobody has no mean
        mean = sum_parts(parts.weight * inside, parts.sizes) / parts.total
    return mean[0::2], mean[1::2]


def variance_ratio(parts: Parts, inside: Floats, means: tuple[Floats, Floats]) -> Floats:
    """Divide the variance of the treated by that of the controls; 1 where neither side varies, infinite where only the treated do."""
    distance = inside - np.repeat(np.column_stack(means).ravel(), parts.sizes)
    with np.errstate(divide="ignore", invalid="ignore"):  # nobody, or one alone
        spare = parts.total - sum_parts(parts.weight**2, parts.sizes) / parts.total
        variance = np.where(parts.sizes < 2, np.nan, sum_parts(parts.weight * distance**2, parts.sizes) / spare)
        one, other = variance[0::2], variance[1::2]
        return np.where((one == 0) & (other == 0), 1.0, one / other)


def kolmogorov_smirnov(parts: Parts, values: Floats, ranked: Rows) -> Floats:
    """Give the largest gap between the two distribution functions of every group; `values` are of all rows, `ranked` all rows by them."""
    rows = ranked if len(parts.rows) == len(ranked) else ranked[parts.inside[ranked]]
    rows = rows if len(parts.sizes) == 2 else rows[np.argsort(parts.group[rows], kind="stable")]
    value, group = values[rows], parts.group[rows]
    last = np.flatnonzero(np.append((value[1:] != value[:-1]) | (group[1:] != group[:-1]), True))  # people with one value come all at once
    group = group[last]
    ends = np.flatnonzero(np.append(group[1:] != group[:-1], True))
    runs = np.diff(ends, prepend=-1)
    share = []
    for steps in parts.steps:
        upto = np.cumsum(steps[rows])[last]
        start = np.append(0.0, upto[ends[:-1]])
        with np.errstate(invalid="ignore"):  # nobody on this side
            share.append((upto - np.repeat(start, runs)) / np.repeat(upto[ends] - start, runs))
    largest = np.full(len(parts.sizes) // 2, np.nan)
    largest[group[ends]] = np.maximum.reduceat(np.abs(share[0] - share[1]), ends - runs + 1)
    return largest


def bin_values(values: Floats, ranked: Rows, treated: Bools) -> Rows:
    """Number each row's bin: its distinct value where they are few, else the twentieth of the treated it belongs to; equal values share a bin."""
    ordered = values[ranked]
    edges = ordered[np.append(ordered[1:] != ordered[:-1], True)]
    if len(edges) > BINS:
        among = ordered[treated[ranked]]
        edges = np.unique(among[-(-np.arange(1, BINS) * len(among) // BINS) - 1])
    sizes = np.diff(np.searchsorted(ordered, edges, side="right"), prepend=0, append=len(ordered))
    number = np.empty(len(values), dtype=np.intp)
    number[ranked] = np.repeat(np.arange(len(edges) + 1), sizes)
    return number


def overlap_coefficient(parts: Parts, bins: Rows) -> Floats:
    """Give the share that both sides of every group have in common; `bins` are those of `parts.rows`."""
    room = BINS + 1
    weight = np.bincount(room * parts.part + bins, parts.weight, minlength=room * len(parts.sizes)).reshape(-1, room)
    with np.errstate(invalid="ignore"):  # nobody
        share = weight / parts.total[:, None]
    return np.asarray(np.minimum(share[0::2], share[1::2]).sum(axis=1), dtype=np.float64)


def standard_deviation(values: Floats, *, binary: bool) -> float:
    """Give the standard deviation of a number (n - 1), of a 0/1 column the square root of p (1 - p); nan for a single number."""
    if len(values) < 2 and not binary:
        return float("nan")
    return float(np.sqrt(values.mean() * (1 - values.mean()))) if binary else float(values.std(ddof=1))
