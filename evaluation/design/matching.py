"""Who stands for whom: each participant beside the most similar people of the control pool.

Greedy nearest neighbour: everybody in turn takes the nearest control that the rules allow and that is still free. Where the propensity and a caliper
are all there is to nearness, nearest.py finds them; under further rules they are taken from lists of candidates. Every other
method is a room of its own, reached from here.

References
----------
Austin (2011). Optimal caliper widths for propensity-score matching. Pharmaceutical Statistics 10(2), 150-161.
Stuart (2010). Matching methods for causal inference. Statistical Science 25(1), 1-21 (weights).
Ming & Rosenbaum (2000). Substantial gains in bias reduction from matching with a variable number of controls. Biometrics 56(1), 118-124.
"""

from __future__ import annotations

import heapq
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from evaluation.design.candidates import nearest_allowed
from evaluation.design.cardinality import CardinalitySpec, match_for_balance
from evaluation.design.coarsened import CoarsenedSpec, match_coarsened
from evaluation.design.cohort import Bools, Cohort, Floats, Rows
from evaluation.design.comparison import Comparison, comparison_of, pair_sets, warn_of_unmatched
from evaluation.design.full import FullSpec, match_fully
from evaluation.design.nearest import Order, nearest_pairs
from evaluation.design.nobody import why_nobody
from evaluation.design.optimal import OptimalSpec, match_optimally
from evaluation.design.pair_rules import PairRules, PairSearch, prepare_search
from evaluation.design.propensity import PropensityScores
from evaluation.design.subclasses import SubclassSpec, match_in_subclasses
from evaluation.errors import InputError, NobodyMatchedError, Problem, UnmatchedWarning

_FIRST_ASKED = 16  # candidates listed per treated and round at first; few need more
_WIDER = 4  # times as many are listed for those who came to the end of their list


class MatchingSpec(PairRules):
    """How participants and controls are brought together."""

    method: Literal["nearest"] = "nearest"
    ratio: int = Field(default=1, ge=1, description="controls sought per treated; everyone gets a first before anyone gets a second")
    fewest: int = Field(default=1, ge=1, description="a treated who finds fewer controls is left out; as many as ratio: every set is of one size")
    order: Order = "closest"
    replace: bool = Field(default=False, description="a control may stand for several treated")
    max_reuse: int | None = Field(
        default=None,
        ge=1,
        description="how many treated one control may stand for (in a stack: within a trial), where replace is true; None: no limit",
    )
    max_trials: int | None = Field(
        default=None, ge=1, description="in how many trials of a stack one person may be a control; trials choose in their order; None: no limit"
    )
    seed: int | None = Field(default=None, description="needed by order = 'random'")

    @model_validator(mode="after")
    def _consistent(self) -> MatchingSpec:
        if self.order == "random" and self.seed is None:
            raise ValueError("order = 'random' needs a seed, so that the match can be made again")
        if self.max_reuse is not None and not self.replace:
            raise ValueError("max_reuse needs replace = true")
        if self.fewest > self.ratio:
            raise ValueError(f"fewest = {self.fewest} controls cannot be found where ratio = {self.ratio} are sought")
        return self


AnyMatchingSpec = MatchingSpec | OptimalSpec | FullSpec | CoarsenedSpec | SubclassSpec | CardinalitySpec


def match_cohort(
    cohort: Cohort,
    scores: PropensityScores,
    spec: AnyMatchingSpec | None = None,
    *,
    forbidden: pd.DataFrame | None = None,
) -> Comparison:
    """Bring treated and controls together in the way the specification asks for; by default each treated with the nearest free control.

    Parameters
    ----------
    cohort : Cohort, n people
    scores : PropensityScores, shape (n,)
    spec : MatchingSpec, OptimalSpec, FullSpec, CoarsenedSpec, SubclassSpec or CardinalitySpec, optional
    forbidden : DataFrame, optional
        Pairs that may not be made: columns `treated` and `control`, ids as in the cohort. In a stack a pair is forbidden in every trial. For methods
        that make pairs.

    Returns
    -------
    Comparison

    Raises
    ------
    NobodyMatchedError
        If the rules leave no pair; says how many treated have a control under each rule, and the smallest caliper that would find one.
    InputError
        If a rule names a column the cohort lacks or that is of the wrong kind, or `forbidden` names people it does not have.

    Warns
    -----
    UnmatchedWarning
        If some treated found no control, or fewer than `fewest`: the estimand is then the effect on those who did.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UnmatchedWarning)  # a method warns whoever called it: here that is this room, which passes it on
        comparison = _match(cohort, scores, spec or MatchingSpec(), forbidden)
    for warning in told:
        warnings.warn(warning.message, warning.category, stacklevel=2)
    return comparison


def _match(cohort: Cohort, scores: PropensityScores, spec: AnyMatchingSpec, forbidden: pd.DataFrame | None) -> Comparison:
    match spec:
        case MatchingSpec():
            return _match_nearest(cohort, scores, spec, forbidden)
        case OptimalSpec():
            return match_optimally(cohort, scores, spec, forbidden)
        case FullSpec():
            return match_fully(cohort, scores, spec, forbidden)
    if forbidden is not None:
        raise InputError([Problem("forbidden", f"is about pairs, and {spec.method} matching makes none", "leave it out, or choose another method")])
    match spec:
        case CoarsenedSpec():
            return match_coarsened(cohort, spec)
        case SubclassSpec():
            return match_in_subclasses(cohort, scores, spec)
        case CardinalitySpec():
            return match_for_balance(cohort, spec)


def _match_nearest(cohort: Cohort, scores: PropensityScores, spec: MatchingSpec, forbidden: pd.DataFrame | None) -> Comparison:
    search = prepare_search(cohort, scores, spec, forbidden)
    most, treated, control = _pairs(search, spec)
    if len(treated) == 0:
        raise NobodyMatchedError(why_nobody(cohort, scores, spec, forbidden) if not most else _too_few(most, spec))
    comparison = comparison_of(cohort, *pair_sets(treated, control), spec=spec, caliper=search.width)
    warn_of_unmatched(comparison, cohort)
    return comparison


def _too_few(most: int, spec: MatchingSpec) -> str:
    return (
        f"matching: no treated person found fewest = {spec.fewest} controls; the most anybody found is {most}: "
        f"fewest = {most} would keep somebody; lower it, widen the caliper or let controls stand for several treated"
    )


def _pairs(search: PairSearch, spec: MatchingSpec) -> tuple[int, Rows, Rows]:
    """Match all rows at once, or trial by trial where a trial must know who is used up; give the most controls anybody found, and the pairs."""
    cohort, most = search.cohort, 0
    found: list[tuple[Rows, Rows]] = []
    times_used = np.zeros(int(cohort.person_code.max()) + 1, dtype=np.intp)
    for rows in _batches(cohort, spec):
        free = rows if spec.max_trials is None else rows[cohort.treated[rows] | (times_used[cohort.person_code[rows]] < spec.max_trials)]
        if cohort.treated[free].all() or not cohort.treated[free].any():
            continue
        treated, control = _pairs_among(search, free, spec)
        counts = np.bincount(treated)
        most = max(most, int(counts.max(initial=0)))
        enough = counts[treated] >= spec.fewest
        if spec.max_trials is not None:
            times_used[cohort.person_code[np.unique(control[enough])]] += 1
        found.append((treated[enough], control[enough]))
    nobody = np.zeros(0, dtype=np.intp)
    return most, np.concatenate([nobody, *(treated for treated, _ in found)]), np.concatenate([nobody, *(control for _, control in found)])


def _batches(cohort: Cohort, spec: MatchingSpec) -> list[Rows]:
    everyone = np.arange(len(cohort), dtype=np.intp)
    if cohort.trial is None or spec.max_trials is None:
        return [everyone]
    code, levels = cohort.codes([cohort.trial])
    order = np.argsort(code, kind="stable")
    return np.split(everyone[order], np.searchsorted(code[order], np.arange(1, len(levels))))


def _pairs_among(search: PairSearch, rows: Rows, spec: MatchingSpec) -> tuple[Rows, Rows]:
    capacity = spec.max_reuse if spec.replace else 1
    if search.by_position:
        return nearest_pairs(
            search.cohort,
            rows,
            search.position,
            search.stratum,
            ratio=spec.ratio,
            capacity=capacity,
            caliper=search.width,
            order=spec.order,
            seed=spec.seed,
        )
    rows = rows[np.argsort(search.cohort.tiebreak[rows], kind="stable")]
    treated, control = rows[search.cohort.treated[rows]], rows[~search.cohort.treated[rows]]
    turns = _turns(search, treated, spec)
    name = search.cohort.tiebreak[treated].tolist()
    limit = np.full(len(treated), _FIRST_ASKED * spec.ratio)
    while True:  # a list that was cut short is as good as a whole one until somebody comes to its end
        start, found, distance = nearest_allowed(search, treated, control, limit=limit)
        cut = np.diff(start) == limit
        lists = _Lists.of(start, found, distance, capacity or len(treated), len(search.cohort))
        rounds = lists.closest_first if spec.order == "closest" else lists.in_turn
        for _ in range(spec.ratio):
            rounds(turns, name)
        short = cut & lists.exhausted()
        if not short.any():
            pairs = np.array(lists.pairs, dtype=np.intp).reshape(-1, 2)
            return treated[pairs[:, 0]], found[pairs[:, 1]]
        limit = np.where(short, limit * _WIDER, limit)


def _turns(search: PairSearch, treated: Rows, spec: MatchingSpec) -> list[int]:
    """Give the order in which the treated, who come in the order of their hash, choose."""
    position = search.position[treated]
    match spec.order:
        case "data":
            order = np.argsort(treated, kind="stable")
        case "random":
            order = np.random.default_rng(spec.seed).permutation(len(treated))
        case "smallest":
            order = np.argsort(position, kind="stable")
        case "largest" | "closest":  # the closest pair decides itself
            order = np.argsort(-position, kind="stable")
    return [int(turn) for turn in order]


@dataclass(slots=True, eq=False)
class _Lists:
    """Each treated's candidates, how far down the list each has come, and how often each control may still be taken."""

    found: Rows
    distance: Floats
    at: list[int]
    end: list[int]
    left: list[int]
    pairs: list[tuple[int, int]]

    @classmethod
    def of(cls, start: Rows, found: Rows, distance: Floats, capacity: int, people: int) -> _Lists:
        return cls(found, distance, start[:-1].tolist(), start[1:].tolist(), [capacity] * people, [])

    def exhausted(self) -> Bools:
        """Say who has come to the end of the list."""
        return np.equal(self.at, self.end)

    def next(self, turn: int) -> int:
        """Give the place in the list of the nearest control still free, -1 without one; who was passed by is never free again."""
        at, end = self.at[turn], self.end[turn]
        while at < end and not self.left[self.found.item(at)]:
            at += 1
        self.at[turn] = at
        return at if at < end else -1

    def take(self, turn: int) -> None:
        """Pair a treated with the control it has come to."""
        at = self.at[turn]
        self.left[self.found.item(at)] -= 1
        self.at[turn] = at + 1
        self.pairs.append((turn, at))

    def in_turn(self, turns: list[int], _: list[int]) -> None:
        """One round in the given order."""
        for turn in turns:
            if self.next(turn) >= 0:
                self.take(turn)

    def closest_first(self, turns: list[int], name: list[int]) -> None:
        """One round in which the closest pair of all is made, again and again; a treated's best distance can only grow, so a stale one is a bound."""
        waiting = [(self.distance.item(at), name[turn], turn, at) for turn in turns if (at := self.next(turn)) >= 0]
        heapq.heapify(waiting)
        while waiting:
            _, hashed, turn, seen = waiting[0]
            at = self.next(turn)
            if at == seen:
                heapq.heappop(waiting)
                self.take(turn)
            elif at < 0:
                heapq.heappop(waiting)
            else:
                heapq.heapreplace(waiting, (self.distance.item(at), hashed, turn, at))
