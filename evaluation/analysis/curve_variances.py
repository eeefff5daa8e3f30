"""How sure is a curve, at every exit day at once?

The variance of one share follows from everybody's influence on it; on thousands of exit days that would be a matrix of people times days. Here the
sums over clusters are kept up to date from exit day to exit day instead, in O(n log n) for the whole curve. The symbols are those of incidence.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimated_weights import EstimatedWeights
from evaluation.analysis.incidence import Hazards, Incidence
from evaluation.design.cohort import Bools, Floats


@dataclass(frozen=True, eq=False)
class Way:
    """Comings and goings of one arm's people, sorted by cluster and then by when, for one way of clustering.

    Attributes
    ----------
    sign : int
        With which this way enters the variance.
    piece : ndarray of int, shape (k,)
    weight : ndarray of float, shape (k,)
    comes : ndarray of bool, shape (k,)
        Whether the piece begins to be at risk, rather than ceases to.
    bin : ndarray of int, shape (k,)
        From which exit day on it counts, plus 1.
    first : ndarray of bool, shape (k,)
        First of its cluster.
    """

    sign: int
    piece: NDArray[np.intp]
    weight: Floats
    comes: Bools
    bin: NDArray[np.intp]
    first: Bools

    @classmethod
    def of(cls, sign: int, code: NDArray[np.intp], piece: NDArray[np.intp], share: Floats, hazards: Hazards) -> Way:
        """Sort the pieces of follow-up by cluster `code`, shape (k,); who is at risk from the start only goes."""
        at_risk = (hazards.since[piece] < 0) | (hazards.last[piece] > hazards.since[piece])
        late = at_risk & (hazards.since[piece] >= 0)
        piece, code, share = (np.concatenate([values[late], values[at_risk]]) for values in (piece, code, share))
        comes = np.arange(len(piece)) < late.sum()
        bin_of = np.where(comes, hazards.since[piece] + 2, hazards.last[piece] + 1)
        order = np.lexsort((bin_of, code))
        first = np.append(True, code[order][1:] != code[order][:-1]) if len(order) else np.zeros(0, dtype=bool)
        return cls(sign, piece[order], (share * hazards.weight[piece])[order], comes[order], bin_of[order], first)


def ways_of_clustering(clusters: Clusters, inside: NDArray[np.intp], hazards: Hazards) -> list[Way]:
    """Give one arm's ways of clustering; the variance is their signed sum."""
    place = np.full(int(clusters.member.max()) + 1, -1, dtype=np.intp)
    place[inside] = np.arange(len(inside))
    here = np.flatnonzero(place[clusters.member] >= 0)
    member, piece = _pieces_of(place[clusters.member[here]], hazards)
    code, share = clusters.code[here][member], clusters.share[here][member]
    ways = [Way.of(1, code, piece, share, hazards)]
    if not clusters.nested:
        everybody, own = _pieces_of(np.arange(len(inside)), hazards)
        person = everybody if clusters.person is None else clusters.person[inside][everybody]
        ways.append(Way.of(1, person, own, np.ones(len(own)), hazards))
        ways.append(Way.of(-1, member, piece, share, hazards))
    return ways


def _pieces_of(person: NDArray[np.intp], hazards: Hazards) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give, for each of `person`, the pieces that are theirs: their position in `person`, and the piece."""
    if hazards.owner is None:
        return np.arange(len(person)), person
    order = np.argsort(hazards.owner, kind="stable")
    count = np.bincount(hazards.owner, minlength=hazards.people)
    start = np.cumsum(count) - count
    position = np.repeat(np.arange(len(person)), count[person])
    within = np.arange(len(position)) - np.repeat(np.cumsum(count[person]) - count[person], count[person])
    return position, order[start[person][position] + within]


def curve_variances(incidence: Incidence, ways: list[Way], clusters: Clusters, inside: NDArray[np.intp]) -> Floats:
    """Give the variance of :math:`F_j` at every exit day.

    Parameters
    ----------
    incidence : Incidence
    ways : list of Way
        From `ways_of_clustering`, of the same arm.
    clusters : Clusters
    inside : ndarray of int, shape (m,)
        The arm's people among the compared.

    Returns
    -------
    ndarray of float, shape (J,)
        0 where everybody has left; elsewhere what the sums leave below 0 is rounding.
    """
    variance = _with_weights_as_given(incidence, ways)
    if clusters.weights is not None:
        variance += _through_weights(incidence, clusters, clusters.weights, inside)
    variance[incidence.probability == 1] = 0.0
    return variance


def _with_weights_as_given(incidence: Incidence, ways: list[Way]) -> Floats:
    """Give the variance of :math:`F_j` at every exit day, in O(n log n).

    The influence of somebody still there is weight x D_j with D_j the same for all; once gone at e it is weight x (alpha_e + beta_e F_j). A
    cluster's sum is thus (R, A, B) . (D_j, 1, F_j), where R is its weight still there and A, B what its leavers brought; the products of R, A
    and B, summed over clusters, change only when somebody leaves, or comes late.
    """
    hazards = incidence.hazards
    count = len(hazards.times)
    success_drift = np.cumsum(hazards.before * incidence.share / hazards.at_risk)
    exit_drift = np.cumsum(hazards.share * incidence.per_leaver)
    level_drift = np.cumsum(hazards.share * incidence.per_leaver * incidence.probability)
    own = np.where(incidence.success, (hazards.before / hazards.at_risk)[hazards.last], 0.0) if count else np.zeros(len(hazards.last))
    leave = np.where(hazards.left, incidence.per_leaver[hazards.last], 0.0) if count else np.zeros(len(hazards.last))
    at = np.maximum(hazards.last, 0)
    level = incidence.probability[at] if count else np.zeros(len(at))
    never = hazards.last < 0
    alpha = np.where(never, 0.0, own + leave * level - (success_drift + level_drift)[at] if count else 0.0)
    beta = np.where(never, 0.0, exit_drift[at] - leave if count else 0.0)
    direction = np.stack([incidence.probability * exit_drift - success_drift - level_drift, np.ones(count), incidence.probability])

    variance = np.zeros(count)
    entry = np.append(np.stack([success_drift + level_drift, -exit_drift]), np.zeros((2, 1)), axis=1)[:, hazards.since]
    for way in ways:
        if len(way.piece) == 0:
            continue
        gone, come = np.stack([alpha, beta])[:, way.piece], entry[:, way.piece]
        brought = way.weight * np.vstack([np.where(way.comes, 1.0, -1.0), np.where(way.comes, come, gone)])
        cluster = np.cumsum(way.first) - 1
        start = np.flatnonzero(way.first)
        whole = np.add.reduceat(np.where(~way.comes & (hazards.since[way.piece] < 0), way.weight, 0.0), start)
        running = np.cumsum(brought, axis=1)
        earlier = (running[:, start] - brought[:, start])[:, cluster]
        after = running - earlier
        after[0] += whole[cluster]
        before = after - brought
        for row, column, times in ((0, 0, 1), (1, 1, 1), (2, 2, 1), (0, 1, 2), (0, 2, 2), (1, 2, 2)):
            change = np.bincount(way.bin, after[row] * after[column] - before[row] * before[column], minlength=count + 1)
            if row == column == 0:
                change[0] += whole @ whole
            variance += way.sign * times * np.cumsum(change)[1:] * direction[row] * direction[column]
    return variance


def _through_weights(incidence: Incidence, clusters: Clusters, weights: EstimatedWeights, inside: NDArray[np.intp]) -> Floats:
    """Give what the variance at every exit day gains where weights were estimated, in as many passes as their model has columns.

    The whole influence is the own one plus Z v_j, where v_j is linear in the own one; its square is that of the own, as with weights as given, plus
    2 v_j' Z' own plus v_j' Z'Z v_j, with Z'Z and Z' summed by cluster.
    """
    leaves, turn, arrives = weights.passage
    spread = clusters.spread(arrives)
    moved = incidence.along(leaves[inside]) @ turn
    gram = (arrives.T @ spread).toarray()
    return np.asarray((moved * (2 * incidence.along(spread[inside]) + moved @ gram)).sum(axis=1), dtype=np.float64)
