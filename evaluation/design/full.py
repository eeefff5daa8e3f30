"""How can everybody who has an allowed partner be used, in sets of one treated and several controls or one control and several treated?

Optimal full matching: of all such divisions into sets the one with the least total distance between treated and controls of a set, without limits
on the sets' sizes. It is a cheapest edge cover, and that is found by one assignment.

References
----------
Rosenbaum (1991). A characterization of optimal designs for observational studies. JRSS B 53(3), 597-610.
Hansen (2004). Full matching in an observational study of coaching for the SAT. JASA 99(467), 609-618.
Schrijver (2003). Combinatorial Optimization, section 19.3. Springer.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from evaluation.design.candidates import PairRules, PairSearch, nearest_allowed, prepare_search, sides
from evaluation.design.cohort import Cohort, Floats, Rows
from evaluation.design.comparison import Comparison, comparison_of, warn_of_unmatched
from evaluation.design.nobody import why_nobody
from evaluation.design.optimal import Numbers, cheapest_assignment, numbered, parts
from evaluation.design.propensity import PropensityScores
from evaluation.errors import NobodyMatchedError


class FullSpec(PairRules):
    """How everybody with an allowed partner is brought into a set."""

    method: Literal["full"] = "full"


def match_fully(cohort: Cohort, scores: PropensityScores, spec: FullSpec | None = None, forbidden: pd.DataFrame | None = None) -> Comparison:
    r"""Divide everybody who has an allowed partner into sets, one treated or one control in each, at the least total distance.

    Parameters
    ----------
    cohort : Cohort, n people
    scores : PropensityScores, shape (n,)
    spec : FullSpec, optional
    forbidden : DataFrame, optional
        Pairs that may not be in one set as treated and control: columns `treated` and `control`.

    Returns
    -------
    Comparison
        The treated weigh 1; the controls of a set share the number of its treated.

    Raises
    ------
    NobodyMatchedError
        If the rules leave no pair.
    InputError, DesignError
        As `find_candidates`.

    Warns
    -----
    UnmatchedWarning
        If some treated have no allowed control.

    Notes
    -----
    With :math:`\mu_u` the distance of the nearest partner of :math:`u`, a matching :math:`M` whose unmatched each join their nearest costs
    :math:`\sum_u \mu_u - \sum_{uv \in M} (\mu_u + \mu_v - d_{uv})`, and the cheapest cover is of that form. So :math:`M` is the matching of largest
    gain :math:`\mu_u + \mu_v - d_{uv}`, and only pairs with a gain above zero matter. Such a pair is nearer than twice the larger of
    :math:`\mu_u` and :math:`\mu_v`, so it is found by looking around each person as far as twice its own :math:`\mu`.
    """
    spec = spec or FullSpec()
    search = prepare_search(cohort, scores, spec, forbidden)
    treated, control = sides(cohort)
    one, nearest_one, mu_one = _nearest(search, treated, control)
    other, nearest_other, mu_other = _nearest(search, control, treated)
    if not len(one):
        raise NobodyMatchedError(why_nobody(cohort, scores, spec, forbidden))
    row, column, gain = _gains(search, (one, mu_one), (other, mu_other))
    chosen = cheapest_assignment(row, column, -gain, np.zeros(len(one)), parts(row, column)) if len(row) else row
    row, column = row[chosen], column[chosen]
    lone_one, lone_other = np.delete(np.arange(len(one)), row), np.delete(np.arange(len(other)), column)
    pair = np.concatenate(
        [
            np.column_stack([one[row], other[column]]),
            np.column_stack([one[lone_one], nearest_one[lone_one]]),
            np.column_stack([nearest_other[lone_other], other[lone_other]]),
        ]
    )
    distance = np.concatenate([mu_one[row] + mu_other[column] - gain[chosen], mu_one[lone_one], mu_other[lone_other]])
    comparison = comparison_of(cohort, *_stars(cohort, pair, distance), spec=spec, caliper=search.width)
    warn_of_unmatched(comparison, cohort)
    return comparison


def _nearest(search: PairSearch, seekers: Rows, sought: Rows) -> tuple[Rows, Rows, Floats]:
    """Give those who have a partner, the nearest one of each and how far away it is."""
    start, found, distance = nearest_allowed(search, seekers, sought, limit=1)
    return seekers[np.diff(start) > 0], found, distance


def _gains(search: PairSearch, ones: tuple[Rows, Floats], others: tuple[Rows, Floats]) -> tuple[Numbers, Numbers, Floats]:
    """Find the pairs with a gain, as numbers of treated and control among those with a partner."""
    people = len(search.cohort)
    (one, mu_one), (other, mu_other) = ones, others
    start, found, near = nearest_allowed(search, one, other, radius=2 * mu_one)
    row, column = np.repeat(np.arange(len(one), dtype=np.int32), np.diff(start)), numbered(found, other, people)
    start, found, near_too = nearest_allowed(search, other, one, radius=2 * mu_other)
    row_too, column_too = numbered(found, one, people), np.repeat(np.arange(len(other), dtype=np.int32), np.diff(start))
    new = near_too > 2 * mu_one[row_too]  # the others were found from the treated's side
    row, column = np.append(row, row_too[new]), np.append(column, column_too[new])
    gain = mu_one[row] + mu_other[column] - np.append(near, near_too[new])
    order = np.lexsort((column, row))
    order = order[gain[order] > 0]
    return row[order], column[order], gain[order]


def _stars(cohort: Cohort, pair: Rows, distance: Floats) -> tuple[Rows, Rows]:
    """Make stars of a cheapest cover, and give the memberships, row and set.

    A pair both of whose people are in further pairs can be taken away for nothing, so in a cheapest cover it costs nothing: only people at no
    distance at all make such pairs.
    """
    name = cohort.tiebreak
    pair, first = np.unique(pair, axis=0, return_index=True)
    order = np.lexsort((name[pair[:, 1]], name[pair[:, 0]], -distance[first]))
    pair = pair[order]
    degree = np.bincount(pair.ravel(), minlength=len(cohort))
    spare = np.zeros(len(pair), dtype=bool)
    for number in np.flatnonzero((degree[pair] > 1).all(axis=1)):
        spare[number] = (degree[pair[number]] > 1).all()
        degree[pair[number]] -= spare[number]
    pair = pair[~spare]
    centre = np.where(degree[pair[:, 1]] > 1, pair[:, 1], pair[:, 0])
    members = np.unique(np.column_stack([pair.ravel(), np.repeat(centre, 2)]), axis=0)
    return members[:, 0], members[:, 1]
