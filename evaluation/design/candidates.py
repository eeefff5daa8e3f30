"""Whom may each person have, nearest first?

Those sought lie sorted by (stratum, position on the propensity scale), so that the caliper is a window found by two binary searches. The windows are
looked through in blocks, and each further rule (pair_rules.py) takes pairs away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.design.cohort import Cohort, Floats, Rows
from evaluation.design.order import ordered
from evaluation.design.pair_rules import PairRules, PairSearch, prepare_search
from evaluation.design.propensity import PropensityScores
from evaluation.errors import DesignError

_BLOCK_PAIRS = 1_000_000  # pairs looked at in one pass, which then needs some 100 MB
_BLOCK_PEOPLE = 2**16  # who seeks in one pass: their numbers then fit in 16 bits, which numpy sorts in linear time
_MOST_PAIRS = 50_000_000  # pairs kept at once: 0.8 GB
_WIDER = 4  # times as many neighbours are looked at for whom too few of the nearest were allowed
_WORTH_PARTING = 500  # a list longer than this is cut down before it is sorted
_ROUNDING = 4 * np.finfo(float).eps  # how much wider, relative to its terms, a window must be than its rounded bounds

Keys = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The allowed pairs, by treated person.

    Attributes
    ----------
    treated : ndarray of int, shape (m,)
        Cohort rows of all treated, in the order of their hash.
    start : ndarray of int, shape (m + 1,)
        The pairs of ``treated[i]`` are those from ``start[i]`` up to ``start[i + 1]``.
    control : ndarray of int, shape (k,)
        Cohort rows; each treated's nearest first, of equally near ones the smaller hash.
    distance : ndarray of float, shape (k,)
        On the scale of `PairRules.distance`.
    """

    treated: Rows
    start: Rows
    control: Rows
    distance: Floats


def find_candidates(
    cohort: Cohort,
    scores: PropensityScores,
    rules: PairRules,
    *,
    forbidden: pd.DataFrame | None = None,
    limit: int | None = None,
) -> Candidates:
    r"""List the pairs that the rules allow, each treated's nearest control first.

    Parameters
    ----------
    cohort : Cohort, n people
    scores : PropensityScores, shape (n,)
    rules : PairRules
    forbidden : DataFrame, optional
        Pairs that may not be made: columns `treated` and `control`, ids as in the cohort. In a stack a pair is forbidden in every trial.
    limit : int, optional
        Keep each treated's nearest so many.

    Returns
    -------
    Candidates

    Raises
    ------
    InputError
        If a column is absent or a covariate with a caliper is no number, if a forbidden pair names somebody who is not in the cohort on that side,
        or if the scores are of another number of people.
    DesignError
        If more pairs are allowed than memory should hold, or if no covariate can tell people apart.

    Notes
    -----
    The Mahalanobis distance is :math:`\sqrt{(x_i - x_j)' S^{+} (x_i - x_j)}` with :math:`S` the covariance of all covariates pooled within the two
    arms (:math:`n - 2`), as MatchIt has it; a category enters by its levels, as in the participation model. Where columns are sums of others,
    :math:`S^{+}` is the pseudo-inverse: what repeats counts once.
    """
    search = prepare_search(cohort, scores, rules, forbidden)
    treated, control = sides(cohort)
    return Candidates(treated, *nearest_allowed(search, treated, control, limit=limit))


def sides(cohort: Cohort) -> tuple[Rows, Rows]:
    """Give the rows of treated and controls, each in the order of their hash."""
    by_hash = np.argsort(cohort.tiebreak, kind="stable")
    return by_hash[cohort.treated[by_hash]], by_hash[~cohort.treated[by_hash]]


def nearest_allowed(
    search: PairSearch, seekers: Rows, sought: Rows, *, limit: Rows | int | None = None, radius: Floats | None = None
) -> tuple[Rows, Rows, Floats]:
    """Find the allowed partners of each seeker, nearest first, ties by hash.

    Parameters
    ----------
    search : PairSearch
    seekers : ndarray of int, shape (m,)
        Cohort rows of one side, treated or controls.
    sought : ndarray of int
        Cohort rows of the other.
    limit : int or ndarray of int, shape (m,), optional
        Keep the nearest so many.
    radius : ndarray of float, shape (m,), optional
        Keep those at most so far away.

    Returns
    -------
    start : ndarray of int, shape (m + 1,)
        Where each seeker's partners begin among all, and at last their number.
    found : ndarray of int, shape (k,)
        Cohort rows.
    distance : ndarray of float, shape (k,)
    """
    position, stratum = search.position, search.stratum
    sought = sought[np.lexsort((search.cohort.tiebreak[sought], position[sought], stratum[sought]))]
    keys = keyed(stratum[sought], position[sought])
    reach = np.full(len(seekers), search.caliper)
    if radius is not None and search.places is None:
        reach = np.minimum(reach, radius)
    low, high = _windows(keys, stratum[seekers], position[seekers], reach)
    most = np.full(len(seekers), len(sought)) if limit is None else np.broadcast_to(limit, len(seekers)).astype(np.intp)
    farthest = np.full(len(seekers), np.inf) if radius is None else radius
    waiting, ask, kept = np.flatnonzero(low < high), most, _Kept()
    while len(waiting):
        first, last = low[waiting], high[waiting]
        if search.places is None:
            first, last = _closest(keys, stratum[seekers[waiting]], position[seekers[waiting]], first, last, ask[waiting])
        for block in _blocks(last - first):
            rows = waiting[block]
            which, other, distance = _allowed(search, seekers[rows], sought, first[block], last[block], farthest[rows])
            which, other, distance = _trimmed(which, other, distance, most[rows], search)
            done = (np.bincount(which, minlength=len(rows)) == most[rows]) | ((first[block] == low[rows]) & (last[block] == high[rows]))
            kept.add(rows[which][done[which]], other[done[which]], distance[done[which]])
            low[rows[done]] = high[rows[done]]  # an empty window: nothing is left to look at
        waiting, ask = waiting[low[waiting] < high[waiting]], ask * _WIDER
    return kept.by_seeker(len(seekers))


def _allowed(search: PairSearch, seekers: Rows, sought: Rows, first: Rows, last: Rows, farthest: Floats) -> tuple[Rows, Rows, Floats]:
    """Look at everybody in the windows; give seeker number, partner's row and distance of the pairs that stand every rule."""
    counts = last - first
    which = np.repeat(np.arange(len(seekers)), counts)
    other = sought[np.arange(len(which)) + np.repeat(first - (np.cumsum(counts) - counts), counts)]
    gap = np.abs(search.position[seekers][which] - search.position[other])
    keep = gap <= search.caliper
    for values, width in search.widths:
        keep &= np.abs(values[seekers][which] - values[other]) <= width
    for codes in search.apart:
        keep &= codes[seekers][which] != codes[other]
    if len(search.forbidden) and len(seekers):
        person = search.cohort.person_code
        one, two = (person[seekers][which], person[other]) if search.cohort.treated[seekers[0]] else (person[other], person[seekers][which])
        pair = one * (person.max() + 1) + two
        place = np.minimum(np.searchsorted(search.forbidden, pair), len(search.forbidden) - 1)
        keep &= search.forbidden[place] != pair
    which, other, distance = which[keep], other[keep], gap[keep]
    if search.places is not None:
        distance = np.zeros(len(which))
        for place in search.places:
            distance += (place[seekers][which] - place[other]) ** 2
        distance = np.sqrt(distance)
    near = distance <= farthest[which]
    return which[near], other[near], distance[near]


def _trimmed(which: Rows, other: Rows, distance: Floats, most: Rows, search: PairSearch) -> tuple[Rows, Rows, Floats]:
    """Sort each seeker's partners, nearest first, and cut the list at its most."""
    counts = np.bincount(which, minlength=len(most))
    ends = np.cumsum(counts)
    keep = np.ones(len(which), dtype=bool)
    for number in np.flatnonzero((counts > most) & (counts > _WORTH_PARTING)):
        own = slice(ends[number] - counts[number], ends[number])
        keep[own] = distance[own] <= np.partition(distance[own], most[number] - 1)[most[number] - 1]
    which, other, distance = which[keep], other[keep], distance[keep]
    order = ordered(distance, search.cohort.tiebreak[other])
    order = order[np.argsort(which[order].astype(np.uint16), kind="stable")]
    which, other, distance = which[order], other[order], distance[order]
    rank = np.arange(len(which)) - np.searchsorted(which, which)
    best = rank < most[which]
    return which[best], other[best], distance[best]


class _Kept:
    """Pairs found so far, not more than memory should hold."""

    def __init__(self) -> None:
        self._parts: list[tuple[Rows, Rows, Floats]] = []
        self._count = 0

    def add(self, seeker: Rows, other: Rows, distance: Floats) -> None:
        self._count += len(seeker)
        if self._count > _MOST_PAIRS:
            raise DesignError(
                f"matching: the rules allow more than {_MOST_PAIRS:,} pairs that may matter, more than fit in memory; "
                "narrow the calipers, or match exactly on a further column"
            )
        self._parts.append((seeker, other, distance))

    def by_seeker(self, seekers: int) -> tuple[Rows, Rows, Floats]:
        seeker = np.concatenate([np.zeros(0, dtype=np.intp), *(part[0] for part in self._parts)])
        other = np.concatenate([np.zeros(0, dtype=np.intp), *(part[1] for part in self._parts)])
        distance = np.concatenate([np.zeros(0), *(part[2] for part in self._parts)])
        order = np.argsort(seeker, kind="stable")
        return np.append(0, np.cumsum(np.bincount(seeker, minlength=seekers))), other[order], distance[order]


def keyed(stratum: Rows, position: Floats) -> Keys:
    """Write (stratum, position) as one sortable number: complex numbers are sorted by their real part, then by the other."""
    key = np.empty(len(stratum), dtype=np.complex128)
    key.real, key.imag = stratum, position
    return key


def _windows(keys: Keys, stratum: Rows, position: Floats, reach: Floats) -> tuple[Rows, Rows]:
    """Find who lies within reach: a window of `keys`, never too narrow."""
    reach = reach + _ROUNDING * (np.abs(position) + reach)
    return np.searchsorted(keys, keyed(stratum, position - reach)), np.searchsorted(keys, keyed(stratum, position + reach), side="right")


def _closest(keys: Keys, stratum: Rows, position: Floats, low: Rows, high: Rows, ask: Rows) -> tuple[Rows, Rows]:
    """Narrow each window to the nearest `ask` and whoever ties with the farthest of them."""
    if (high - low <= ask).all():
        return low, high
    there, end = keys.imag, np.maximum(high - 1, 0)
    first, last = low, np.maximum(high - ask, low)
    while (searching := first < last).any():
        middle = (first + last) // 2
        right = position - there[np.minimum(middle, end)] > there[np.minimum(middle + ask, end)] - position
        first, last = np.where(searching & right, middle + 1, first), np.where(searching & ~right, middle, last)
    farthest = np.minimum(first + ask, high) - 1
    reach = np.maximum(np.abs(position - there[np.minimum(first, end)]), np.abs(position - there[np.maximum(farthest, 0)]))
    near, far = _windows(keys, stratum, position, reach)
    return np.maximum(near, low), np.maximum(np.minimum(far, high), low)


def _blocks(counts: Rows) -> Iterator[slice]:
    """Cut the seekers into runs that together look at a bounded number of pairs."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + _BLOCK_PAIRS, side="right")), start + 1)
        stop = min(stop, start + _BLOCK_PEOPLE)
        yield slice(start, stop)
        start = stop
