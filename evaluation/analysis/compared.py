"""What happened to the people who are compared, and to nobody else?

Everything that is estimated is estimated of them, in the order of `Comparison.rows`, so that influences line up from one estimate to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.outcomes import FollowUp, TimeWeights
from evaluation.design.cohort import Bools, Cohort, Floats, count_people
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError, InputError, Problem


@dataclass(frozen=True, eq=False)
class Compared:
    """Follow-up of the compared people only, in the order of their influence functions.

    In a stack of trials, "people" here and in the estimators are people-in-trials; `person` says who is the same.

    Attributes
    ----------
    days, weight : ndarray of float, shape (u,)
    exit : ndarray of int, shape (u,)
        Position of the state in `states`; -1 where censored.
    treated : ndarray of bool, shape (u,)
    states : tuple of str
    clusters : Clusters
    rows : ndarray of int, shape (u,)
        Cohort rows.
    person : ndarray of int, shape (u,)
        Who they are, numbered.
    reach : ndarray of float, shape (u,), or None
        As in `FollowUp`.
    pieces : TimeWeights or None
        As in `FollowUp`, `row` being the position among the compared.
    """

    days: Floats
    weight: Floats
    exit: NDArray[np.intp]
    treated: Bools
    states: tuple[str, ...]
    clusters: Clusters
    rows: NDArray[np.intp]
    person: NDArray[np.intp]
    reach: Floats | None = None
    pieces: TimeWeights | None = None

    def refuse_time_weights(self, what: str) -> None:
        """Refuse weights that change with time, for an estimate that has no place for them.

        Raises
        ------
        EstimationError
            That begins with `what`.
        """
        if self.pieces is not None:
            raise EstimationError(f"{what}: weights that change with time have no place in it; give the follow-up without them")

    def over_all(self, influence: Floats, rows: NDArray[np.intp]) -> Floats:
        """Give the influence of everybody, shape (u,), of an estimate that rests on some `rows` of the compared: 0 for the others."""
        whole = np.zeros(len(self.days))
        whole[rows] = influence
        return whole

    def reaching(self, days: float) -> Bools:
        """Say who could be followed that long, whatever happened to them; shape (u,)."""
        return np.ones(len(self.days), dtype=bool) if self.reach is None else self.reach >= days

    def longest(self, rows: NDArray[np.intp]) -> Floats:
        """Give how long each of the people among the compared `rows` was followed, at the longest."""
        _, who = np.unique(self.person[rows], return_inverse=True)
        days = np.zeros(int(who.max(initial=-1)) + 1)
        np.maximum.at(days, who, self.days[rows])
        return days

    def n_people(self, rows: NDArray[np.intp]) -> int:
        """Count the different people among the compared `rows`."""
        return count_people(self.person[rows])


def compared_follow_up(cohort: Cohort, comparison: Comparison, follow_up: FollowUp) -> Compared:
    """Look up the follow-up of everybody in the comparison, by person.

    Raises
    ------
    InputError
        If the comparison was made of another cohort, or somebody compared has no follow-up.
    """
    if comparison.person is not cohort.person:
        raise InputError([Problem("comparison", "was made of another cohort", "match the cohort that is given here")])
    rows = comparison.rows
    if follow_up.person is comparison.person or follow_up.person.equals(comparison.person):
        place = rows
    elif cohort.trial is not None:
        raise InputError([Problem("follow-up", "must be of the cohort's rows, in their order", "observe the outcomes of this cohort")])
    else:
        place = follow_up.person.get_indexer(comparison.person[rows])
        if (place < 0).any():
            rule, remedy = "must exist for everybody who is compared", "compare the ids' type and spelling in the two tables"
            raise InputError([Problem.in_rows("follow-up", rule, place < 0, remedy)])
    return Compared(
        days=follow_up.days[place],
        weight=comparison.weights[rows],
        exit=np.asarray(follow_up.state.codes, dtype=np.intp)[place] - 1,
        treated=comparison.treated[rows],
        states=follow_up.states,
        clusters=Clusters.of(comparison),
        rows=rows,
        person=comparison.person_code[rows],
        reach=None if follow_up.reach is None else follow_up.reach[place],
        pieces=None if follow_up.weights is None else follow_up.weights.of_rows(place, len(follow_up.days)),
    )
