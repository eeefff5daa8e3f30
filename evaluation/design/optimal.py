"""Which pairs are nearest all together, rather than one after the other?

Of all ways to pair, first those that leave the fewest treated without a control, then those with the most pairs, and of these the one whose sum of
distances is least: an assignment problem, solved exactly in each connected part of the graph of allowed pairs.

References
----------
Rosenbaum (1989). Optimal matching for observational studies. JASA 84(408), 1024-1032.
Jonker & Volgenant (1987). A shortest augmenting path algorithm for dense and sparse linear assignment problems. Computing 38(4), 325-340.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from evaluation.design.candidates import keyed, nearest_allowed, sides
from evaluation.design.cohort import Cohort, Floats, Rows
from evaluation.design.comparison import Comparison, comparison_of, pair_sets, warn_of_unmatched
from evaluation.design.nobody import why_nobody
from evaluation.design.pair_rules import PairRules, PairSearch, prepare_search
from evaluation.design.propensity import PropensityScores
from evaluation.errors import NobodyMatchedError

Numbers = NDArray[np.int32]  # of people of one side in the order of their hash: pairs may be many millions
_BEYOND_ROUNDING = 1e-9  # relative: far more than sums of positions and calipers are rounded by; one rival too many does no harm


class OptimalSpec(PairRules):
    """How the pairs that are nearest all together are made."""

    method: Literal["optimal"] = "optimal"
    ratio: int = Field(default=1, ge=1, description="controls sought per treated; a first for as many as possible comes before any second")


def match_optimally(cohort: Cohort, scores: PropensityScores, spec: OptimalSpec | None = None, forbidden: pd.DataFrame | None = None) -> Comparison:
    r"""Pair as many treated as possible, at the least total distance.

    Parameters
    ----------
    cohort : Cohort, n people
    scores : PropensityScores, shape (n,)
    spec : OptimalSpec, optional
    forbidden : DataFrame, optional
        Pairs that may not be made: columns `treated` and `control`.

    Returns
    -------
    Comparison

    Raises
    ------
    NobodyMatchedError
        If the rules leave no pair.
    InputError, DesignError
        As `find_candidates`.

    Warns
    -----
    UnmatchedWarning
        If some treated found no control.

    Notes
    -----
    With ratio :math:`k` a treated is :math:`k` rows of the assignment problem, a control one column, and a column of its own lets a row stay alone
    at a price. With :math:`K` rows in a connected part and :math:`D` its largest distance, the price is :math:`2KD` for a further control and
    :math:`4KD` for the first: either step is more than any sum of distances. A match that leaves the fewest treated alone and one with the most
    pairs is one and the same match, since augmenting paths never free anybody who is paired.

    Only the nearest :math:`km` controls of a treated are looked at, :math:`m` being the treated in its stratum within twice the caliper, itself
    among them. Whoever holds a control it may have lies within twice the caliper, and each of them holds at most :math:`k`; so if it held one
    farther than those :math:`km`, at most :math:`km - 1` of them would be held, and changing to the free one would lengthen nothing.

    Between matches of the same total the solver's path decides; its rows and columns come in the order of the hash.
    """
    spec = spec or OptimalSpec()
    search = prepare_search(cohort, scores, spec, forbidden)
    treated, control = sides(cohort)
    start, found, distance = nearest_allowed(search, treated, control, limit=spec.ratio * _rivals(search, treated))
    if not len(found):
        raise NobodyMatchedError(why_nobody(cohort, scores, spec, forbidden))
    seeker, column = np.repeat(np.arange(len(treated), dtype=np.int32), np.diff(start)), numbered(found, control, len(cohort))
    row = np.repeat(seeker * spec.ratio, spec.ratio) + np.tile(np.arange(spec.ratio, dtype=np.int32), len(seeker))
    column, cost = np.repeat(column, spec.ratio), np.repeat(distance, spec.ratio)
    part = parts(row, column)
    chosen = cheapest_assignment(row, column, cost, _prices(row, cost, part, spec.ratio), part)
    comparison = comparison_of(cohort, *pair_sets(treated[row[chosen] // spec.ratio], control[column[chosen]]), spec=spec, caliper=search.width)
    warn_of_unmatched(comparison, cohort)
    return comparison


def _rivals(search: PairSearch, treated: Rows) -> Rows:
    """Count the treated in the stratum of each, within twice the caliper, itself among them."""
    position, stratum = search.position[treated], search.stratum[treated]
    keys = np.sort(keyed(stratum, position))
    reach = 2 * search.caliper + _BEYOND_ROUNDING * (2 * search.caliper + np.abs(position))
    return np.searchsorted(keys, keyed(stratum, position + reach), side="right") - np.searchsorted(keys, keyed(stratum, position - reach))


def numbered(rows: Rows, among: Rows, people: int) -> Numbers:
    """Give the place of each of `rows` in `among`."""
    place = np.empty(people, dtype=np.int32)
    place[among] = np.arange(len(among))
    return place[rows]


def parts(row: Numbers, column: Numbers) -> Numbers:
    """Number the connected parts of a bipartite graph; give that of each pair, shape (k,)."""
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, rows + column)), shape=(rows + columns, rows + columns))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int32)[row]


def _prices(row: Numbers, cost: Floats, part: Numbers, ratio: int) -> Floats:
    """Give, for each row, the price of staying alone."""
    rows = np.unique(row)
    of_row = np.empty(int(row.max()) + 1, dtype=np.intp)
    of_row[row] = part
    widest = np.zeros(int(part.max()) + 1)
    np.maximum.at(widest, part, cost)
    bound = np.bincount(of_row[rows], minlength=len(widest)) * np.where(widest > 0, widest, 1.0)
    price = np.zeros(len(of_row))
    price[rows] = np.where(rows % ratio == 0, 4.0, 2.0) * bound[of_row[rows]]
    return price


def cheapest_assignment(row: Numbers, column: Numbers, cost: Floats, alone: Floats, part: Numbers) -> Rows:
    """Choose the pairs that make the sum of costs least, every row in one pair or alone, no column twice.

    Parameters
    ----------
    row, column : ndarray of int, shape (k,)
        The two sides of each possible pair, numbered in the order of their hash.
    cost : ndarray of float, shape (k,)
    alone : ndarray of float, shape (rows,)
        What it costs each row to stay alone.
    part : ndarray of int, shape (k,)
        Connected part of each pair; parts are solved one by one.

    Returns
    -------
    chosen : ndarray of int
        Numbers of the pairs.
    """
    order = np.argsort(part, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(part[order])) + 1)
    return np.sort(np.concatenate([piece[_assignment(row[piece], column[piece], cost[piece], alone)] for piece in pieces]))


def _assignment(row: Numbers, column: Numbers, cost: Floats, alone: Floats) -> Rows:
    rows, columns = np.unique(row), np.unique(column)
    i, j = np.searchsorted(rows, row).astype(np.int32), np.searchsorted(columns, column).astype(np.int32)
    own = np.arange(len(rows), dtype=np.int32)
    spare = alone[rows]
    lift = 2 * max(np.abs(cost).max(), np.abs(spare).max()) or 1.0  # the solver takes a zero for no pair; every row bears the lift once
    matrix = coo_array(
        (np.concatenate([cost, spare]) + lift, (np.concatenate([i, own]), np.concatenate([j, np.int32(len(columns)) + own]))),
        shape=(len(rows), len(columns) + len(rows)),
    )
    taken = min_weight_full_bipartite_matching(matrix.tocsr())[1]
    return np.flatnonzero(taken[i] == j)
