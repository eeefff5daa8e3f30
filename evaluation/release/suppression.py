"""Which counts must be hidden so that no count of few can be read or worked out?

First those that are few themselves, and those that are nearly everybody of a small group. Then, for each of them and for each difference of few
between a population and one within it, or between this release and an earlier one: can it be worked out from all that is shown? If so, what costs
least is hidden beside it, until it cannot. Costs are people, so small counts are hidden before large ones and totals last. That it is enough is not
believed but proved: for every such count the result holds two values that it has in two worlds that look the same from outside.

References
----------
Fischetti & Salazar-Gonzalez (2000). Models and algorithms for optimizing cell suppression in tabular data with linear constraints. JASA 95, 916-928.
Kelly, Golden & Assad (1992). Cell suppression: disclosure protection for sensitive tabular data. Networks 22, 397-417.
SCB (2015). Handbok i statistisk röjandekontroll.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from evaluation.design.cohort import Bools, Floats
from evaluation.errors import InputError, Problem
from evaluation.release.counts import Counts
from evaluation.release.intervals import Knowledge, Opening, Terms, cheapest_opening, world_with_least
from evaluation.release.rules import ReleaseRules, bounds_beside, count_beside, gives_away, round_count

FEW, EVERYBODY, CHANGED, BESIDE = "few", "everybody", "changed by few", "beside few"
WHOLE_PRICE = 10.0  # times its people: a table without its total is worth less than one without a few of its cells
Shown = Mapping[str, int | None]
Earlier = Shown


@dataclass(frozen=True, eq=False)
class Protected:
    """What is shown of counts, and why not the rest; for those who review, not for release.

    Attributes
    ----------
    shown : dict of str to (int or None)
        Rounded, or as an earlier release showed it where few have come or gone since; None is hidden.
    audit : DataFrame
        One row per hidden cell: cell, reason ("few", "everybody", "changed by few" or "beside few").
    proof : DataFrame
        One row per count that must not be worked out: count, low, high, two values that it has in worlds that look the same.
    kept : dict of str to (int, int)
        Counts that stand as an earlier release showed them, each with what it would have been.
    """

    shown: dict[str, int | None]
    audit: pd.DataFrame
    proof: pd.DataFrame
    kept: dict[str, tuple[int, int]]


def protect_counts(counts: Counts, rules: ReleaseRules, earlier: Sequence[Earlier] = ()) -> Protected:
    """Choose what to hide so that no count of few can be read or worked out.

    Parameters
    ----------
    counts : Counts
    rules : ReleaseRules
    earlier : sequence of mapping of str to (int or None)
        What each earlier release showed of the same cells; None where it hid them.

    Returns
    -------
    Protected

    Raises
    ------
    InputError
        If earlier releases give a count of few away whatever this one hides.
    """
    counts, as_given = _in_order(counts), counts
    rounded = {name: int(round_count(count, rules)) for name, count in counts.cells.items()}
    told = {name: count_beside(count, rules, _shown(name, earlier)) for name, count in rounded.items()}
    reasons = _at_first(counts, told, rules)
    system = _System.of(counts, told, rules, earlier)
    sensitive = system.sensitive(reasons)
    guarded = _Guarded.at_first(system, reasons, [name for name, _ in sensitive])
    exposed = []
    for name, wide in sensitive:
        while (missing := guarded.lacks(name, reasons, wide)) is not None:
            opening = _opening(system.known(reasons), name, missing, system.price(reasons), rules)
            if opening is None or not np.isfinite(system.price(reasons)).any():
                exposed.append(name)
                break
            chosen = opening.chosen if opening.chosen.any() else _cheapest(system.price(reasons))  # half people may do where whole ones do not
            reasons |= {system.names[place]: BESIDE for place in np.flatnonzero(chosen)}
    if exposed:
        remedy = "take the earlier release back, or release another population"
        raise InputError([Problem(name, "is given away by earlier releases", remedy) for name in exposed], "nothing can be released")
    audit = pd.DataFrame([(name, reasons[name]) for name in as_given.cells if name in reasons], columns=["cell", "reason"])
    shown = {name: None if name in reasons else told[name] for name in as_given.cells}
    kept = {name: (count, rounded[name]) for name, count in shown.items() if count is not None and count != rounded[name]}
    return Protected(shown, audit, guarded.proof(), kept)


def _shown(name: str, earlier: Sequence[Earlier]) -> list[int]:
    """Give what earlier releases showed of a cell, the oldest first."""
    return [was for release in earlier if (was := release.get(name)) is not None]


def _in_order(counts: Counts) -> Counts:
    """Put cells and sums in the order of their names, so that which of several equally good choices is made does not depend on theirs."""
    sums = sorted((whole, tuple(sorted(parts))) for whole, parts in counts.sums)
    return replace(
        counts, cells=dict(sorted(counts.cells.items())), sums=tuple(sums), having=tuple(sorted(counts.having)), nested=tuple(sorted(counts.nested))
    )


def _at_first(counts: Counts, told: Shown, rules: ReleaseRules) -> dict[str, str]:
    """Give the cells that are hidden for their own sake."""
    cells = counts.cells
    found = {name: FEW for name, count in cells.items() if count < rules.threshold and name not in counts.impossible}
    whole = [(whole, part) for whole, parts in counts.sums if len(parts) > 1 for part in parts]
    for people, part in [*whole, *counts.having]:
        among, have = told[people], told[part]
        if have is not None and among == have < rules.certain_people and part not in found and rules.threshold:
            found[part] = EVERYBODY
    more = [(people, part) for people, part in (*whole, *counts.pairs) if (told[part] or 0) > (told[people] or 0)]  # one stands as it was, one is new
    changed = [*(name for name, count in told.items() if count is None), *(part for _, part in more)]
    return found | {name: CHANGED for name in changed if name not in found}


@dataclass(frozen=True, eq=False)
class _System:
    """Every count in play and every equation between them: this release's cells, the differences of pairs, earlier cells and what has changed."""

    names: tuple[str, ...]
    base: Knowledge
    cells: Mapping[str, int]
    told: Shown
    standing: Mapping[str, Sequence[int]]
    fixed: frozenset[str]
    rules: ReleaseRules
    differences: dict[str, int]
    past: tuple[str, ...]
    wholes: frozenset[str]

    @classmethod
    def of(cls, counts: Counts, told: Shown, rules: ReleaseRules, earlier: Sequence[Earlier]) -> _System:
        before = [count for release in earlier for count in release.values() if count is not None]
        ceiling = 2.0 * max([*counts.cells.values(), *before, rules.threshold, rules.values])  # more people than anybody would think of
        bounds: dict[str, tuple[float, float]] = dict.fromkeys(counts.cells, (0.0, ceiling))
        equations: list[Terms] = [_sum_terms(whole, parts) for whole, parts in counts.sums]
        differences: dict[str, int] = {}
        for larger, smaller in counts.pairs:
            rest = f"{larger} without {smaller}"
            bounds[rest], differences[rest] = (0.0, ceiling), counts.cells[larger] - counts.cells[smaller]
            equations.append(_sum_terms(larger, (smaller, rest)))
        past: list[str] = []
        for number, release in enumerate(earlier, start=1):
            known, more = _earlier_terms(counts, release, number)
            changes = [terms[-1][1] for terms in more]
            for name in counts.cells if known else ():
                was = release.get(name)
                bounds[_then(name, number)] = (0.0, ceiling) if was is None else _limits(was, rules, _shown(name, earlier[: number - 1]))
            grown = all(now >= was for now, was in _shown_twice(told, release))
            bounds |= dict.fromkeys(changes, (0.0 if grown else -ceiling, ceiling))
            then = [(_then(whole, number), [_then(part, number) for part in parts]) for whole, parts in counts.sums if known]
            equations += [*(_sum_terms(whole, parts) for whole, parts in then), *more]
            past += [*(name for name, was in known.items() if was is None), *changes]
        return cls(
            tuple(bounds),
            Knowledge.of(bounds, equations),
            counts.cells,
            told,
            {name: _shown(name, earlier) for name, count in counts.cells.items() if told[name] != round_count(count, rules)},
            counts.impossible,
            rules,
            differences,
            tuple(past),
            frozenset(whole for whole, _ in counts.sums),
        )

    def known(self, hidden: Mapping[str, str]) -> Knowledge:
        """Give what is known to who sees all but the hidden cells."""
        low, high = self.base.low.copy(), self.base.high.copy()
        for place, (name, count) in enumerate(self.told.items()):  # the cells come first
            if name in self.fixed:
                low[place] = high[place] = 0.0
            elif name not in hidden and count is not None:
                low[place], high[place] = _limits(count, self.rules, self.standing.get(name, ()))  # who takes a new one for new knows most
        return replace(self.base, low=low, high=high)

    @property
    def truth(self) -> Floats | None:
        """The world as it is; None where there were earlier releases, of which only what they showed is known."""
        known = {**self.cells, **self.differences}
        return np.array([known[name] for name in self.names], dtype=np.float64) if len(known) == len(self.names) else None

    def price(self, hidden: Mapping[str, str]) -> Floats:
        """Give what hiding each would cost, in people, a whole many times; infinite where it cannot be, or is already."""
        free = [name in self.cells and name not in hidden and name not in self.fixed for name in self.names]
        people = [(self.cells.get(name, 0) + 1.0) * (WHOLE_PRICE if name in self.wholes else 1.0) for name in self.names]
        return np.where(free, people, np.inf)

    def sensitive(self, hidden: Mapping[str, str]) -> list[tuple[str, bool]]:
        """Name the counts that must not be worked out, and say which of them must be able to be many different values."""
        few = [(name, True) for name in hidden if self.cells[name] < self.rules.threshold]
        between = [(name, False) for name, count in self.differences.items() if 0 < count < self.rules.threshold]
        return [*few, *between, *((name, False) for name in self.past)]


def _sum_terms(whole: str, parts: Sequence[str]) -> Terms:
    return [(1.0, whole), *((-1.0, part) for part in parts)]


def _then(cell: str, number: int) -> str:
    return f"{cell} in earlier release {number}"


def _earlier_terms(counts: Counts, release: Earlier, number: int) -> tuple[dict[str, int | None], list[Terms]]:
    """Give an earlier release's cells, and by how much each has changed; nothing where it is of other cells."""
    if not set(release) & set(counts.cells):
        return {}, []
    changes: list[Terms] = [[(1.0, cell), (-1.0, _then(cell, number)), (-1.0, f"{cell} since earlier release {number}")] for cell in counts.cells]
    return {_then(cell, number): release.get(cell) for cell in counts.cells}, changes


def _shown_twice(told: Shown, release: Earlier) -> list[tuple[int, int]]:
    """Give what a cell is and was, where both are shown; where none has fallen, people are taken to have come and nobody to have left."""
    return [(now, was) for cell, was in release.items() if was is not None and (now := told.get(cell)) is not None]


def _limits(shown: int, rules: ReleaseRules, before: Sequence[int]) -> tuple[float, float]:
    low, high = bounds_beside(shown, rules, before)
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class _Guarded:
    """The least and the most each count was seen to be, in worlds that look the same from outside; what is hidden later takes no world away."""

    system: _System
    low: Floats
    high: Floats
    asked: Sequence[str]

    @classmethod
    def at_first(cls, system: _System, hidden: Mapping[str, str], asked: Sequence[str]) -> _Guarded:
        """Look at the world as it is, and at those where all that must not be worked out is together as little and as much as it can be."""
        count = len(system.names)
        guarded = cls(system, np.full(count, np.inf), np.full(count, -np.inf), asked)
        if system.truth is not None:
            guarded._see(system.truth)
        together = np.isin(system.names, list(asked)).astype(np.float64)
        for goal in (together, -together) if asked else ():
            guarded._look(goal, hidden)
        return guarded

    def lacks(self, name: str, hidden: Mapping[str, str], wide: bool) -> tuple[float, float] | None:
        """Give the bounds of a count that is given away, None where it is not."""
        place = self.system.names.index(name)
        for sign in (-1.0, 1.0):
            if self._safe(place, wide):
                return None
            goal = np.zeros(len(self.system.names))
            goal[place] = sign
            self._look(goal, hidden)
        return None if self._safe(place, wide) else (float(self.low[place]), float(self.high[place]))

    def _look(self, goal: Floats, hidden: Mapping[str, str]) -> None:
        world = world_with_least(self.system.known(hidden), goal)
        if world is None:
            raise InputError(
                [Problem("earlier releases", "contradict the counts", "check that the ledger is of these people, and made by these rules")]
            )
        self._see(world)

    def _see(self, world: Floats) -> None:
        np.minimum(self.low, world, out=self.low)
        np.maximum(self.high, world, out=self.high)

    def _safe(self, place: int, wide: bool) -> bool:
        low, high = float(self.low[place]), float(self.high[place])
        return low <= high and not gives_away(low, high, self.system.rules) and (not wide or high - low >= self.system.rules.values - 1)

    def proof(self) -> pd.DataFrame:
        """Give the values that each count was seen to have."""
        places = [self.system.names.index(name) for name in self.asked]
        return pd.DataFrame({"count": list(self.asked), "low": self.low[places], "high": self.high[places]})


def _cheapest(price: Floats) -> Bools:
    """Choose the one that costs least."""
    return np.asarray(np.arange(len(price)) == np.argmin(price), dtype=np.bool_)


def _opening(knowledge: Knowledge, name: str, bounds: tuple[float, float], price: Floats, rules: ReleaseRules) -> Opening | None:
    """Find the cheapest way to let a count be nobody, or to let it be many."""
    (low, high), place = bounds, knowledge.names.index(name)
    sign = -1.0 if high < 0 else 1.0
    least = sign * (low if sign > 0 else high)
    width = rules.values - 1
    goals = [sign * max(rules.threshold if least > 0 else 0, least + width)]
    goals += [0.0] if least > 0 and max(abs(low), abs(high)) >= width else []
    found = [opening for goal in goals if (opening := cheapest_opening(knowledge, place, goal, price)) is not None]
    return min(found, key=lambda opening: opening.cost, default=None)
