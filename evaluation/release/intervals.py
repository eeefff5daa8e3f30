"""What can somebody work out who knows every released number, every sum and the rules?

All of it is a system of linear equations over whole numbers: a released count lies within its bounds, a hidden one is only a count, a whole is the
sum of its parts. The least and the most a count can be are two integer programmes. To show that a count is *not* given away takes no more than a
few solutions of the system that differ in it: other worlds in which every released number would have been the same.

References
----------
Fischetti & Salazar-Gonzalez (2000). Models and algorithms for optimizing cell suppression in tabular data with linear constraints. JASA 95, 916-928.
Hundepool et al. (2012). Statistical Disclosure Control. Wiley. Chapter 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds as Box
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import coo_array, csr_array, eye_array, hstack

from evaluation.design.cohort import Bools, Floats

NEARLY_WHOLE = 1e-6  # what a solver leaves of a whole number, and less than it could gain by
Terms = Sequence[tuple[float, str]]


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What is known of v counts.

    Attributes
    ----------
    names : tuple of str, length v
    low, high : ndarray of float, shape (v,)
        Bounds of each, both included; finite.
    sums : csr_array, shape (e, v)
        Combinations known to be 0.
    """

    names: tuple[str, ...]
    low: Floats
    high: Floats
    sums: csr_array

    @classmethod
    def of(cls, bounds: Mapping[str, tuple[float, float]], equations: Sequence[Terms]) -> Knowledge:
        """Put together what is known; an equation is (factor, name) pairs that sum to 0."""
        place = {name: number for number, name in enumerate(bounds)}
        entries = [(row, place[name], factor) for row, terms in enumerate(equations) for factor, name in terms]
        rows, columns, factors = zip(*entries, strict=True) if entries else ((), (), ())
        sums = csr_array(coo_array((np.array(factors, dtype=np.float64), (rows, columns)), shape=(len(equations), len(place))))
        limits = np.array(list(bounds.values()), dtype=np.float64).reshape(-1, 2)
        return cls(tuple(bounds), limits[:, 0], limits[:, 1], sums)


def world_with_least(knowledge: Knowledge, goal: Floats) -> Floats | None:
    """Find a world in which a combination of counts is as small as it can be.

    Parameters
    ----------
    knowledge : Knowledge
    goal : ndarray of float, shape (v,)
        Factor of each count.

    Returns
    -------
    ndarray of float, shape (v,), or None
        Whole numbers; None where no world fits.
    """
    box, sums = Box(knowledge.low, knowledge.high), _sums(knowledge.sums)
    found = milp(goal, bounds=box, constraints=sums)
    if found.x is not None and np.abs(found.x - np.round(found.x)).max(initial=0.0) > NEARLY_WHOLE:  # so it may be where three breakdowns are crossed
        found = milp(goal, integrality=np.ones(len(goal), dtype=np.int64), bounds=box, constraints=sums)
    return None if found.x is None else np.round(found.x) + 0.0  # no -0


def interval_of(knowledge: Knowledge, name: str) -> tuple[float, float] | None:
    """Give the least and the most a count can be; None where what is known contradicts itself."""
    place = knowledge.names.index(name)
    one = np.zeros(len(knowledge.names))
    one[place] = 1.0
    least, most = world_with_least(knowledge, one), world_with_least(knowledge, -one)
    return None if least is None or most is None else (float(least[place]), float(most[place]))


@dataclass(frozen=True, eq=False)
class Opening:
    """What must be hidden for a count to be able to be something else.

    Attributes
    ----------
    cost : float
    chosen : ndarray of bool, shape (v,)
        Which counts.
    """

    cost: float
    chosen: Bools


def cheapest_opening(knowledge: Knowledge, place: int, value: float, price: Floats) -> Opening | None:
    r"""Find what to hide, at least cost, for one count to be able to be `value`.

    Parameters
    ----------
    knowledge : Knowledge
    place : int
        Which count.
    value : float
        What it must be able to be.
    price : ndarray of float, shape (v,)
        Cost of moving each count beyond its bounds by 1; infinite where it cannot be hidden.

    Returns
    -------
    Opening or None
        None where hiding everything is not enough.

    Notes
    -----
    The elastic programme: minimise :math:`\sum_i p_i s_i` subject to the sums, :math:`l_i - s_i \le x_i \le u_i + s_i` and this count at its value.
    The counts that lie outside their bounds make a whole circuit through rows, columns and tables at once.
    """
    count, movable = len(knowledge.names), np.flatnonzero(np.isfinite(price))
    low, high = knowledge.low.copy(), knowledge.high.copy()
    low[movable], high[movable] = 0.0, max(float(knowledge.high.max()), value)
    low[place] = high[place] = value
    unit, slack = eye_array(count, format="csr")[movable], eye_array(len(movable), format="csr")
    constraints = [
        *_sums(csr_array(hstack([knowledge.sums, csr_array((knowledge.sums.shape[0], len(movable)))]))),
        LinearConstraint(csr_array(hstack([unit, slack])), knowledge.low[movable], np.inf),
        LinearConstraint(csr_array(hstack([unit, -slack])), -np.inf, knowledge.high[movable]),
    ]
    found = milp(
        np.concatenate([np.zeros(count), price[movable]]),
        bounds=Box(np.concatenate([low, np.zeros(len(movable))]), np.concatenate([high, np.full(len(movable), np.inf)])),
        constraints=constraints,
    )
    if found.x is None:
        return None
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[movable[found.x[count:] > NEARLY_WHOLE]] = True
    return Opening(float(found.fun), chosen)


def _sums(sums: csr_array) -> list[LinearConstraint]:
    return [LinearConstraint(sums, 0.0, 0.0)] if sums.shape[0] else []
