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

from evaluation.design.candidates import nearest_allowed, sides
from evaluation.design.cohort import Cohort, Floats, Rows
from evaluation.design.comparison import Comparison, comparison_of, warn_of_unmatched
from evaluation.design.nobody import why_nobody
from evaluation.design.optimal import Numbers, cheapest_assignment, numbered, parts
from evaluation.design.pair_rules import PairRules, PairSearch, prepare_search
from evaluation.design.propensity import PropensityScores
from evaluation.errors import NobodyMatchedError

_EQUALLY_NEAR = 1_000  # partners among whom somebody who joins a set chooses; more would only cost memory


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
    one, mu_one = _nearest(search, treated, control)
    other, mu_other = _nearest(search, control, treated)
    if not len(one):
        raise NobodyMatchedError(why_nobody(cohort, scores, spec, forbidden))
    row, column, gain = _gains(search, (one, mu_one), (other, mu_other))
    chosen = cheapest_assignment(row, column, -gain, np.zeros(len(one)), parts(row, column)) if len(row) else row
    row, column = row[chosen], column[chosen]
    pairs = [np.column_stack([one[row], other[column]])]
    distances = [mu_one[row] + mu_other[column] - gain[chosen]]
    degree = np.bincount(pairs[0].ravel(), minlength=len(cohort))
    for people, partners, mu in ((one, other, mu_one), (other, one, mu_other)):
        lone = np.flatnonzero(degree[people] == 0)
        joined = _join_nearest(search, people[lone], partners, mu[lone], degree)
        lone = lone[joined >= 0]
        ends = people[lone], joined[joined >= 0]
        pairs.append(np.column_stack(ends if people is one else ends[::-1]))
        distances.append(mu[lone])
    comparison = comparison_of(cohort, *_stars(cohort, np.concatenate(pairs), np.concatenate(distances)), spec=spec, caliper=search.width)
    warn_of_unmatched(comparison, cohort)
    return comparison


def _nearest(search: PairSearch, seekers: Rows, sought: Rows) -> tuple[Rows, Floats]:
    """Give those who have a partner, and how far away the nearest one of each is."""
    start, _, distance = nearest_allowed(search, seekers, sought, limit=1)
    return seekers[np.diff(start) > 0], distance


def _join_nearest(search: PairSearch, lone: Rows, partners: Rows, mu: Floats, degree: Rows) -> Rows:
    """Give each of the lone the nearest partner, of equally near ones the one with fewest; -1 for who has been joined by another meanwhile.

    Where many are equally near, whom they join costs the same, and sets of one size weigh most evenly. `degree` counts each person's partners.
    """
    start, found, _ = nearest_allowed(search, lone, partners, radius=mu, limit=_EQUALLY_NEAR)
    joined = np.full(len(lone), -1, dtype=np.intp)
    for number, person in enumerate(lone.tolist()):
        if degree[person]:
            continue
        near = found[start[number] : start[number + 1]]
        partner = near[np.argmin(degree[near])]
        joined[number] = partner
        degree[person] += 1
        degree[partner] += 1
    return joined


def _gains(search: PairSearch, ones: tuple[Rows, Floats], others: tuple[Rows, Floats]) -> tuple[Numbers, Numbers, Floats]:
    """Find the pairs with a gain, as numbers of treated and control among those with a partner."""
    people = len(search.cohort)
    (one, mu_one), (other, mu_other) = ones, others
    asking, asking_too = (np.flatnonzero(mu > 0).astype(np.int32) for mu in (mu_one, mu_other))  # two with a partner at no distance gain nothing
    start, found, near = nearest_allowed(search, one[asking], other, radius=2 * mu_one[asking])
    row, column = np.repeat(asking, np.diff(start)), numbered(found, other, people)
    start, found, near_too = nearest_allowed(search, other[asking_too], one, radius=2 * mu_other[asking_too])
    row_too, column_too = numbered(found, one, people), np.repeat(asking_too, np.diff(start))
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
