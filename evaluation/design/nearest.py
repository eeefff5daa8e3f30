"""The greedy engine: the nearest free control, again and again, in nearly constant time each.

Controls lie sorted by (stratum, score, hash of the id); two pointer tables lead from any place to the nearest control still free on either side, so
the result is the one a full search through all pairs would give (a test holds the two together). Exact ties go to the smaller hash, never to the
earlier row.

References
----------
Rubin (1973). Matching to remove bias in observational studies. Biometrics 29(1), 159-183.
Tarjan (1975). Efficiency of a good but not linear set union algorithm. Journal of the ACM 22(2), 215-225 (path halving).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.design.cohort import Cohort, Floats, Hashes, Rows, ordered

Order = Literal["closest", "largest", "smallest", "data", "random"]


def nearest_pairs(
    cohort: Cohort,
    rows: Rows,
    position: Floats,
    stratum: Rows,
    *,
    ratio: int,
    capacity: int | None,
    caliper: float | None,
    order: Order,
    seed: int | None,
) -> tuple[Rows, Rows]:
    """Pair each treated person with the nearest free controls of its stratum.

    Parameters
    ----------
    cohort : Cohort, n rows
    rows : ndarray of int
        Those that may be paired.
    position : ndarray of float, shape (n,)
        Where people stand on the scale of distance.
    stratum : ndarray of int, shape (n,)
    ratio : int
        Rounds: everyone gets a first control before anyone gets a second.
    capacity : int or None
        How many treated one control may serve; None: all of them.
    caliper : float or None
        Largest distance, on the scale of `position`.
    order : Order
    seed : int or None
        For the random order.

    Returns
    -------
    treated, control : ndarray of int, shape (pairs,)
        Cohort rows.
    """
    treated = _sorted_rows(rows[cohort.treated[rows]], position, stratum, cohort.tiebreak)
    control = _sorted_rows(rows[~cohort.treated[rows]], position, stratum, cohort.tiebreak)
    free = _FreeControls(
        position=position[control],
        stratum=stratum[control],
        tiebreak=cohort.tiebreak[control],
        capacity=capacity or len(treated),
        caliper=math.inf if caliper is None else caliper,
    )
    seekers = free.seekers(position[treated], stratum[treated])
    rounds = _closest_first if order == "closest" else _in_turn
    queue = _queue(position[treated], cohort.tiebreak[treated], treated, order, seed)
    pairs = [pair for _ in range(ratio) for pair in rounds(free, seekers, queue, cohort.tiebreak[treated].tolist())]
    found = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return treated[found[:, 0]], control[found[:, 1]]


def _sorted_rows(rows: Rows, position: Floats, stratum: Rows, tiebreak: Hashes) -> Rows:
    """Sort by (stratum, position, tiebreak)."""
    rows = rows[ordered(position[rows], tiebreak[rows])]
    return rows[np.argsort(stratum[rows], kind="stable")] if stratum.any() else rows


def _queue(position: Floats, tiebreak: Hashes, rows: Rows, order: Order, seed: int | None) -> list[int]:
    if order == "data":
        return list(np.argsort(rows, kind="stable"))
    if order == "random":
        by_name = np.argsort(tiebreak, kind="stable")
        return list(np.random.default_rng(seed).permutation(by_name))
    return list(np.lexsort((tiebreak, -position if order == "largest" else position)))


@dataclass(slots=True)
class _Seeker:
    """A treated person looking for controls: its score, its place among the sorted controls, its stratum's bounds, those it has."""

    position: float
    place: int
    low: int
    high: int
    taken: list[int]


class _FreeControls:
    """Sorted controls and, from any place, the nearest one still free to the right and to the left."""

    def __init__(self, position: Floats, stratum: Rows, tiebreak: Hashes, capacity: int, caliper: float) -> None:
        self._position = position
        self._tiebreak = tiebreak
        self._stratum = stratum
        self._caliper = caliper
        new = np.ones(len(position), dtype=bool)
        new[1:] = (position[1:] != position[:-1]) | (stratum[1:] != stratum[:-1])
        self._first = np.flatnonzero(new)  # of each run of ties
        self._tie = np.cumsum(new) - 1
        self._right: dict[int, int] = {}  # from a taken control to a later one, likewise to the left; a free control is not in them
        self._left: dict[int, int] = {}
        self._capacity = capacity
        self._left_over: dict[int, int] = {}

    def seekers(self, position: Floats, stratum: Rows) -> list[_Seeker]:
        """Find every treated person's place among the controls of its stratum; both come sorted by stratum."""
        wanted, counts = np.unique(stratum, return_counts=True)
        low, high = np.searchsorted(self._stratum, wanted), np.searchsorted(self._stratum, wanted + 1)
        ends = np.cumsum(counts)
        place = np.concatenate(
            [a + np.searchsorted(self._position[a:b], position[end - n : end]) for a, b, end, n in zip(low, high, ends, counts, strict=True)]
        )
        bounds = np.repeat(low, counts).tolist(), np.repeat(high, counts).tolist()
        return [_Seeker(at, start, first, end, []) for at, start, first, end in zip(position.tolist(), place.tolist(), *bounds, strict=True)]

    def take(self, index: int) -> None:
        """Use a control once more; with its capacity used up, both pointers pass it by."""
        left = self._left_over.get(index, self._capacity) - 1
        self._left_over[index] = left
        if left == 0:
            self._right[index] = index + 1
            self._left[index] = index - 1

    def best(self, seeker: _Seeker) -> tuple[float, int, int] | None:
        """Give (distance, hash, index) of the nearest free control inside the caliper; among equally near ones the smallest hash."""
        found = [
            (abs(self._position.item(index) - seeker.position), self._tiebreak.item(index), index)
            for index in (self._above(seeker), self._below(seeker))
            if index >= 0
        ]
        nearest = min(found, default=None)
        return nearest if nearest is not None and nearest[0] <= self._caliper else None

    def _above(self, seeker: _Seeker) -> int:
        index = _follow(self._right, seeker.place)
        while index < seeker.high and index in seeker.taken:
            index = _follow(self._right, index + 1)
        return index if index < seeker.high else -1

    def _below(self, seeker: _Seeker) -> int:
        """Among the nearest free ones below, the first of its ties: ties are sorted by hash."""
        start = seeker.place - 1
        while start >= seeker.low:
            nearest = _follow(self._left, start)
            if nearest < seeker.low:
                return -1
            first = self._first.item(self._tie.item(nearest))
            index = first if first == nearest else _follow(self._right, first)
            while index <= nearest and index in seeker.taken:
                index = _follow(self._right, index + 1)
            if index <= nearest:
                return index
            start = first - 1
        return -1


def _follow(pointer: dict[int, int], index: int) -> int:
    """Go to the first free control, halving the path for those who come after."""
    while (following := pointer.get(index)) is not None:
        beyond = pointer.get(following)
        if beyond is None:
            return following
        pointer[index] = beyond
        index = beyond
    return index


def _in_turn(free: _FreeControls, seekers: list[_Seeker], queue: list[int], _: list[int]) -> Iterator[tuple[int, int]]:
    for turn in queue:
        seeker = seekers[turn]
        found = free.best(seeker)
        if found is not None:
            free.take(found[2])
            seeker.taken.append(found[2])
            yield turn, found[2]


def _closest_first(free: _FreeControls, seekers: list[_Seeker], queue: list[int], tiebreak: list[int]) -> Iterator[tuple[int, int]]:
    """Take the closest pair of all, again and again. A treated person's best distance can only grow, so a stale heap entry is a lower bound."""
    waiting = []
    for turn in queue:
        found = free.best(seekers[turn])
        if found is not None:
            waiting.append((found[0], tiebreak[turn], found[1], turn, found[2]))
    heapq.heapify(waiting)
    while waiting:
        gap, name, control_name, turn, index = waiting[0]
        found = free.best(seekers[turn])
        if found is None:
            heapq.heappop(waiting)
        elif (found[0], found[1]) != (gap, control_name):
            heapq.heapreplace(waiting, (found[0], name, found[1], turn, found[2]))
        else:
            heapq.heappop(waiting)
            free.take(index)
            seekers[turn].taken.append(index)
            yield turn, index
