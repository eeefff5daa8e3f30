"""The greedy engine: the nearest free control, again and again, in nearly constant time each.

Everybody's nearest free control is found at once, in sorted arrays. Only those whose choice went to somebody else seek again, by two pointer tables
that lead from any place to the nearest control still free on either side. The result is the one a full search through all pairs would give (a test
holds the two together). Exact ties go to the smaller hash, never to the earlier row.

References
----------
Rubin (1973). Matching to remove bias in observational studies. Biometrics 29(1), 159-183.
Tarjan (1975). Efficiency of a good but not linear set union algorithm. Journal of the ACM 22(2), 215-225 (path halving).
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.design.cohort import Bools, Cohort, Floats, Rows
from evaluation.design.order import Hashes, ordered

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
        Cohort rows, in the order in which they were paired.

    Notes
    -----
    The treated stand in a queue, each with its nearest free control: the closest pair first, ties by the treated person's hash, or by turns. The
    first takes its choice if that is still free, and otherwise stands in again with the nearest that is. Controls only become fewer, so a choice
    that is still free is still the nearest, and whoever stands in again moves back, never forward: the first of the queue with a free choice is the
    best of all pairs left, which is what greedy means. The queue is the sorted first choices merged with a heap of those who stood in again; with
    many more controls than treated these are few. Sorting costs n log n. Only where very many treated share exactly one position, and the controls
    around it do not, does standing in again cost more.
    """
    treated = _sorted_rows(rows[cohort.treated[rows]], position, stratum, cohort.tiebreak)
    control = _sorted_rows(rows[~cohort.treated[rows]], position, stratum, cohort.tiebreak)
    free = _FreeControls(
        row=control,
        position=position[control],
        stratum=stratum[control],
        tiebreak=cohort.tiebreak,
        capacity=capacity or len(treated),
        caliper=math.inf if caliper is None else caliper,
    )
    seekers = free.seekers(position[treated], stratum[treated], cohort.tiebreak[treated])
    turns = None if order == "closest" else _turns(seekers, treated, order, seed)
    rounds = [_one_round(free, seekers, turns) for _ in range(ratio)]
    turn, index = np.concatenate(rounds, axis=1)
    return treated[turn], control[index]


def _sorted_rows(rows: Rows, position: Floats, stratum: Rows, tiebreak: Hashes) -> Rows:
    """Sort by (stratum, position, tiebreak)."""
    rows = rows[ordered(position[rows], tiebreak[rows])]
    if not stratum.any():
        return rows
    return rows[np.argsort(stratum[rows].astype(np.min_scalar_type(stratum.max())), kind="stable")]  # numbers of 16 bits are sorted in linear time


def _begins(column: Floats | Rows) -> Bools:
    """Say where a new value begins."""
    return np.append(True, column[1:] != column[:-1])


def _turns(seekers: _Seekers, rows: Rows, order: Order, seed: int | None) -> Rows:
    if order == "data":
        return np.argsort(rows, kind="stable")
    if order == "random":
        by_name = np.argsort(seekers.tiebreak, kind="stable")
        return np.random.default_rng(seed).permutation(by_name)
    return ordered(-seekers.position if order == "largest" else seekers.position, seekers.tiebreak)


@dataclass(slots=True)
class _Seekers:
    """The treated, sorted as the controls are: score, hash, place among the controls, bounds of the stratum, and the controls each one has."""

    position: Floats
    tiebreak: Hashes
    place: Rows
    low: Rows
    high: Rows
    taken: dict[int, list[int]]


class _FreeControls:
    """Sorted controls and, from any place, the nearest one still free to the right and to the left."""

    def __init__(self, row: Rows, position: Floats, stratum: Rows, tiebreak: Hashes, capacity: int, caliper: float) -> None:
        self._row = row
        self._position = position
        self._stratum = stratum
        self._tiebreak = tiebreak
        self._caliper = caliper
        self._tie = np.flatnonzero(_begins(position) | _begins(stratum))  # where each run of ties begins
        self._capacity = capacity
        self._left_over: dict[int, int] = {}
        self._used_up = bytearray(len(row) + 1)  # the last cell, which is also number -1, is the free place beyond either end
        self._right: dict[int, int] = {}  # from a used-up control to one further on, where the way has been gone before; likewise to the left
        self._left: dict[int, int] = {}

    def seekers(self, position: Floats, stratum: Rows, tiebreak: Hashes) -> _Seekers:
        """Find every treated person's place among the controls of its stratum; both come sorted by stratum."""
        begins = np.flatnonzero(_begins(stratum))
        ends, wanted = np.append(begins[1:], len(stratum)), stratum[begins]
        low, high = np.searchsorted(self._stratum, wanted), np.searchsorted(self._stratum, wanted, side="right")
        bounds = zip(low, high, begins, ends, strict=True)
        place = np.concatenate([a + np.searchsorted(self._position[a:b], position[begin:end]) for a, b, begin, end in bounds])
        counts = ends - begins
        return _Seekers(position, tiebreak, place, np.repeat(low, counts), np.repeat(high, counts), {})

    def first_choices(self, seekers: _Seekers) -> tuple[Rows, Floats]:
        """Give everybody's nearest free control, -1 where the caliper holds none, and its distance; what they have from earlier rounds counts too."""
        free = np.flatnonzero(np.frombuffer(self._used_up, dtype=np.uint8)[:-1] == 0)
        padded = np.concatenate([[-1], free, [len(self._row)]])
        after = np.searchsorted(free, seekers.place)
        above, below = padded[after + 1], padded[after]
        above_gap = self._gaps(seekers.position, above, above < seekers.high)
        below_gap = self._gaps(seekers.position, below, below >= seekers.low)
        tie = self._tie[np.searchsorted(self._tie, below, side="right") - 1]
        below = padded[np.searchsorted(free, tie) + 1]  # the first of its ties: ties are sorted by hash
        nearer = below_gap < above_gap
        level = np.flatnonzero((below_gap == above_gap) & np.isfinite(below_gap))
        nearer[level] = self._tiebreak[self._row[below[level]]] < self._tiebreak[self._row[above[level]]]
        gap = np.where(nearer, below_gap, above_gap)
        return np.where(np.isfinite(gap) & (gap <= self._caliper), np.where(nearer, below, above), -1), gap

    def _gaps(self, position: Floats, index: Rows, there: Bools) -> Floats:
        gap = np.full(len(position), math.inf)
        gap[there] = np.abs(self._position[index[there]] - position[there])
        return gap

    def take(self, seekers: _Seekers, turn: int, index: int) -> bool:
        """Use a control once more, if it is free and not this seeker's already."""
        if self._used_up[index] or index in seekers.taken.get(turn, ()):
            return False
        left = self._left_over.get(index, self._capacity) - 1
        if left == 0:
            self._used_up[index] = True
        else:
            self._left_over[index] = left
            seekers.taken.setdefault(turn, []).append(index)
        return True

    def best(self, seekers: _Seekers, turn: int) -> tuple[float, int, int] | None:
        """Give (distance, hash, index) of the nearest free control inside the caliper; among equally near ones the smallest hash."""
        position = seekers.position.item(turn)
        found = [
            (abs(self._position.item(index) - position), self._tiebreak.item(self._row.item(index)), index)
            for index in (self._above(seekers, turn), self._below(seekers, turn))
            if index >= 0
        ]
        nearest = min(found, default=None)
        return nearest if nearest is not None and nearest[0] <= self._caliper else None

    def _free_from(self, index: int) -> int:
        return _follow(self._used_up, self._right, index, 1)

    def _above(self, seekers: _Seekers, turn: int) -> int:
        high, taken = seekers.high.item(turn), seekers.taken.get(turn, ())
        index = self._free_from(seekers.place.item(turn))
        while index < high and index in taken:
            index = self._free_from(index + 1)
        return index if index < high else -1

    def _below(self, seekers: _Seekers, turn: int) -> int:
        """Among the nearest free ones below, the first of its ties: ties are sorted by hash."""
        low, taken = seekers.low.item(turn), seekers.taken.get(turn, ())
        start = seekers.place.item(turn) - 1
        while start >= low:
            nearest = _follow(self._used_up, self._left, start, -1)
            if nearest < low:
                return -1
            first = self._tie.item(self._tie.searchsorted(nearest, side="right") - 1)
            index = self._free_from(first)
            while index <= nearest and index in taken:
                index = self._free_from(index + 1)
            if index <= nearest:
                return index
            start = first - 1
        return -1


def _follow(used_up: bytearray, pointer: dict[int, int], index: int, step: int) -> int:
    """Go to the first free control, halving the path for those who come after."""
    while used_up[index]:
        following = pointer.get(index, index + step)
        if not used_up[following]:
            return following
        pointer[index] = index = pointer.get(following, following + step)
    return index


def _one_round(free: _FreeControls, seekers: _Seekers, turns: Rows | None) -> Rows:
    """Give everybody one control, the closest pair first or by turns; (treated, control) as places in the sorted arrays, shape (2, pairs)."""
    index, gap = free.first_choices(seekers)
    queue = ordered(gap, seekers.tiebreak) if turns is None else turns
    queue = queue[index[queue] >= 0]
    rank = np.arange(len(queue)) if turns is not None else gap[queue]
    again: list[tuple[float, int, int, int]] = []
    pairs: list[int] = []

    def settle(choice: tuple[float, int, int, int]) -> None:
        rank, name, turn, index = choice
        if free.take(seekers, turn, index):
            pairs.extend((turn, index))
        elif (found := free.best(seekers, turn)) is not None:
            heapq.heappush(again, (found[0] if turns is None else rank, name, turn, found[2]))

    for choice in zip(rank.tolist(), seekers.tiebreak[queue].tolist(), queue.tolist(), index[queue].tolist(), strict=True):
        while again and again[0] < choice:
            settle(heapq.heappop(again))
        settle(choice)
    while again:
        settle(heapq.heappop(again))
    return np.array(pairs, dtype=np.intp).reshape(-1, 2).T
