"""Who has about the same propensity? They form a subclass, cut at the quantiles of the treated's scores, and are compared inside it.

Everybody with a comparable score stays in. Where a subclass lacks a side it is merged with its neighbour, so that no treated person is dropped for
where the cuts happen to fall.

References
----------
Rosenbaum & Rubin (1984). Reducing bias in observational studies using subclassification on the propensity score. JASA 79(387), 516-524.
Hyndman & Fan (1996). Sample quantiles in statistical packages. The American Statistician 50(4), 361-365 (type 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from evaluation.design.cohort import Bools, Cohort, Floats, Rows, strata_of
from evaluation.design.comparison import Comparison, comparison_of, warn_of_unmatched
from evaluation.design.propensity import PropensityScores, refuse_other_scores
from evaluation.errors import NobodyMatchedError


class SubclassSpec(BaseModel):
    """How the range of the scores is divided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["subclasses"] = "subclasses"
    subclasses: int = Field(default=6, ge=1, description="how many, each with about equally many treated; in every exact stratum")
    exact: tuple[str, ...] = Field(default=(), description="columns on which people must agree: each of their strata is divided by itself")
    fewest: int = Field(default=1, ge=1, description="people of either side in each subclass; one with fewer is merged with its neighbour")


@dataclass(frozen=True, eq=False)
class Subclasses:
    """Where the scores are cut, and who is in which subclass.

    Attributes
    ----------
    table : DataFrame
        One row per subclass, after merging: the exact columns, low, high (scores; low belongs to the subclass, high to the next), treated, control.
    of_row : ndarray of int, shape (n,)
        The row of `table` each person belongs to; -1 in strata with fewer than `fewest` of either side.
    """

    table: pd.DataFrame
    of_row: Rows

    def __post_init__(self) -> None:
        self.of_row.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """Give the table of subclasses."""
        return self.table.copy()


def match_in_subclasses(cohort: Cohort, scores: PropensityScores, spec: SubclassSpec | None = None) -> Comparison:
    r"""Compare treated and controls inside subclasses of the propensity score.

    Parameters
    ----------
    cohort : Cohort, n people
        In a stack every trial is divided by itself.
    scores : PropensityScores, shape (n,)
    spec : SubclassSpec, optional

    Returns
    -------
    Comparison
        A set is a subclass. Treated weigh 1 and its controls share the number of its treated.

    Raises
    ------
    NobodyMatchedError
        If no stratum has enough people of either side.
    InputError
        If `exact` names a column the cohort lacks, or the scores are of other people.

    Warns
    -----
    UnmatchedWarning
        If some treated are in a stratum without enough people of either side.

    Notes
    -----
    With :math:`m_{1s}` treated and :math:`m_{0s}` controls in subclass s, a control weighs :math:`m_{1s} / m_{0s}`. MatchIt's
    ``method = "subclass"`` multiplies that by (matched controls) / (matched treated), and takes people from a neighbour where a side is lacking.
    """
    spec = spec or SubclassSpec()
    found = find_subclasses(cohort, scores, spec)
    rows = np.flatnonzero(found.of_row >= 0)
    if len(rows) == 0:
        names = ", ".join(strata_of(cohort, spec.exact))
        where = f"no stratum of ({names}) has" if names else "the cohort lacks"
        sides = f"{cohort.n_treated} treated and {cohort.n_control} controls in all"
        raise NobodyMatchedError(f"subclasses: {where} {spec.fewest} people of either side ({sides}); ask for fewer, or merge strata")
    comparison = comparison_of(cohort, rows, found.of_row[rows], spec=spec)
    warn_of_unmatched(comparison, cohort, "Merge exact strata to keep more")
    return comparison


def find_subclasses(cohort: Cohort, scores: PropensityScores, spec: SubclassSpec | None = None) -> Subclasses:
    r"""Cut the scores at the quantiles of the treated's, and merge subclasses that lack a side.

    Parameters
    ----------
    cohort : Cohort, n people
    scores : PropensityScores, shape (n,)
    spec : SubclassSpec, optional

    Returns
    -------
    Subclasses

    Raises
    ------
    InputError
        As `match_in_subclasses`.

    Notes
    -----
    The k-th of S - 1 cuts of a stratum with m treated, :math:`x_{(0)} \le \dots \le x_{(m-1)}`, is
    :math:`x_{(j)} + g (x_{(j+1)} - x_{(j)})` with :math:`j + g = (m - 1) k / S` (type 7 of Hyndman & Fan 1996, R's default). A score at a cut lies
    in the higher subclass. Merging goes from the lowest score up: a subclass with too few takes in the next one, what is left over at the top goes
    to the last; no other way of merging neighbours keeps more subclasses.
    """
    spec = spec or SubclassSpec()
    refuse_other_scores(cohort, scores)
    stratum, levels = cohort.codes(strata_of(cohort, spec.exact))
    cuts = _quantiles(scores.score[cohort.treated], stratum[cohort.treated], len(levels), spec.subclasses)
    place = np.zeros(len(cohort), dtype=np.intp)
    for cut in cuts.T:
        place += scores.score >= cut[stratum]
    merged = _merged(_counts(stratum, place, cohort.treated, cuts), _counts(stratum, place, ~cohort.treated, cuts), spec.fewest)
    first = np.diff(merged, axis=1, prepend=-1) > 0
    number = np.where(merged >= 0, np.cumsum(first).reshape(first.shape) - 1, -1)
    stratum_of, piece = np.nonzero(first)
    low = np.column_stack([np.zeros(len(levels)), cuts])[stratum_of, piece]
    another_follows = np.diff(stratum_of, append=-1) == 0
    of_row = np.asarray(number[stratum, place], dtype=np.intp)
    sides = {
        name: np.bincount(of_row[side & (of_row >= 0)], minlength=len(low))
        for name, side in (("treated", cohort.treated), ("control", ~cohort.treated))
    }
    table = levels.iloc[stratum_of].assign(low=low, high=np.where(another_follows, np.roll(low, -1), 1.0), **sides)
    return Subclasses(table.reset_index(drop=True), of_row)


def _quantiles(score: Floats, stratum: Rows, strata: int, subclasses: int) -> Floats:
    """Give the inner quantiles of each stratum, shape (strata, subclasses - 1); in whole numbers, so that a cut at a person's score is that score."""
    order = np.lexsort((score, stratum))
    ranked = score[order]
    count = np.bincount(stratum, minlength=strata)
    start = np.cumsum(count) - count
    rank, part = np.divmod(np.maximum(count - 1, 0)[:, None] * np.arange(1, subclasses), subclasses)
    below = np.minimum(start[:, None] + rank, len(ranked) - 1)
    above = np.minimum(below + 1, len(ranked) - 1)
    return np.asarray(ranked[below] + part / subclasses * (ranked[above] - ranked[below]), dtype=np.float64)


def _counts(stratum: Rows, place: Rows, side: Bools, cuts: Floats) -> NDArray[np.intp]:
    """Count the people of one side, shape (strata, subclasses)."""
    strata, subclasses = cuts.shape[0], cuts.shape[1] + 1
    return np.bincount(stratum[side] * subclasses + place[side], minlength=strata * subclasses).reshape(strata, subclasses)


def _merged(treated: NDArray[np.intp], control: NDArray[np.intp], fewest: int) -> NDArray[np.intp]:
    """Number the merged subclasses of each stratum, from the lowest score up, shape (strata, subclasses); -1 where not even all together do."""
    merged = np.zeros(treated.shape, dtype=np.intp)
    complete, one, other = (np.zeros(len(treated), dtype=np.intp) for _ in range(3))
    for place in range(treated.shape[1]):
        merged[:, place] = complete
        one, other = one + treated[:, place], other + control[:, place]
        enough = (one >= fewest) & (other >= fewest)
        complete += enough
        one[enough] = other[enough] = 0
    return np.minimum(merged, complete[:, None] - 1)
