"""How many people of each profile may be taken, so that as many as possible are? The integer programme under balance, and its solver.

Fractions of people give a bound and a start; whole people are then sought near it. Nothing here knows what a covariate is.

References
----------
Huangfu & Hall (2018). Parallelizing the dual revised simplex method. Mathematical Programming Computation 10(1), 119-142 (HiGHS, the solver).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, linprog, milp

from evaluation.design.cohort import Floats, Rows

_OPTIMAL, _INFEASIBLE = 0, 2  # what scipy calls a solver's ends
_SET_FREE = (100, 400, 1600)  # profiles whose place is sought anew in whole numbers before all are: as few as do is fastest
_FEW_NODES = 500  # of the search tree, where only some are free
_MOST_WORK = 8_000_000  # nodes times profiles, where all are: a limit in time would let the machine decide who is compared
_ROUNDING = 1e-6  # the solver's tolerance for a whole number


@dataclass(frozen=True, eq=False)
class Programme:
    """How many people of each profile, shape (v,), may be taken.

    Attributes
    ----------
    available : ndarray of float, shape (v,)
    size : ndarray of float, shape (v,)
        What one person adds to the size of the comparison.
    gap : ndarray of float, shape (q, v)
        What one person adds to the difference of the sums, in standard deviations; divided by the size it is the difference of means.
    tolerance : ndarray of float, shape (q,)
    equal : csr_array, shape (r, v)
        Sums that must be zero.
    step : int
        Whatever is feasible, its size is a multiple of this.
    """

    available: Floats
    size: Floats
    gap: Floats
    tolerance: Floats
    equal: sparse.csr_array
    step: int

    def kept(self, counts: Rows | Floats) -> int:
        """Give the size of a choice."""
        return round(float(self.size @ counts))


@dataclass(frozen=True, eq=False)
class Choice:
    """What the solver found.

    Attributes
    ----------
    counts : ndarray of int, shape (v,), or None
        How many of each profile are taken; None without a feasible choice.
    size : int
        Of the choice; 0 without one.
    bound : int
        What no choice can exceed.
    proven : bool
        Whether it is known that no choice is larger by more than the gap, or that there is none; otherwise the solver stopped before it knew.
    """

    counts: Rows | None
    size: int
    bound: int
    proven: bool


def largest_choice(programme: Programme, gap: float, wider: float = 0.0) -> Choice:
    """Give how many of each profile are taken.

    Parameters
    ----------
    programme : Programme
    gap : float
        How far, as a share, the size may be from the largest possible.
    wider : float, optional
        What is added to every tolerance, in standard deviations.

    Returns
    -------
    Choice

    Notes
    -----
    Fractions of people give a bound. Nearly all profiles are then all in or all out, and stay so while whole numbers are sought for those few whose
    place is least certain; more are set free until the choice is as near to the bound as asked, or all are.
    """
    size = programme.size
    bound = programme.kept(programme.available)
    for _ in range(2 if programme.step > 1 else 1):  # the second time no larger than the multiple the first leaves possible
        within, limit = _within(programme, wider, bound)
        everybody = np.column_stack([np.zeros(len(size)), programme.available])
        relaxed = _relaxed(-size, within, limit, programme.equal, np.zeros(programme.equal.shape[0]), everybody)
        if relaxed.status == _INFEASIBLE:
            return Choice(None, 0, 0, proven=True)
        bound = programme.step * math.floor(-relaxed.fun / programme.step + _ROUNDING)
    whole = np.rint(relaxed.x)
    uncertain = np.lexsort((np.abs(relaxed.lower.marginals + relaxed.upper.marginals), np.abs(relaxed.x - whole) < _ROUNDING))
    best: Rows | None = None
    for free in [*(few for few in _SET_FREE if few < len(size)), len(size)]:
        low, high = whole.copy(), whole.copy()
        low[uncertain[:free]], high[uncertain[:free]] = 0, programme.available[uncertain[:free]]
        found = milp(
            -size,
            integrality=np.ones(len(size), dtype=np.intp),
            bounds=Bounds(low, high),
            constraints=[LinearConstraint(within, -np.inf, limit), LinearConstraint(programme.equal, 0, 0)],
            options={"mip_rel_gap": gap / 2, "node_limit": _FEW_NODES if free < len(size) else max(_MOST_WORK // free, 1)},
        )
        if found.x is not None and (best is None or programme.kept(found.x) > programme.kept(best)):
            best = np.asarray(np.rint(found.x), dtype=np.intp)
        if best is not None and programme.kept(best) >= (1 - gap) * bound:
            return Choice(best, programme.kept(best), bound, proven=True)
    if found.status == _INFEASIBLE:
        best = None
    return Choice(best, 0 if best is None else programme.kept(best), bound, proven=found.status in (_OPTIMAL, _INFEASIBLE))


def _within(programme: Programme, wider: float, most: int) -> tuple[sparse.csr_array, Floats]:
    """Give the differences of means, both ways, and the size, at least 1 and at most `most`, as rows that may not exceed their limits."""
    allowed = (programme.tolerance + wider)[:, None] * programme.size
    rows = sparse.csr_array(np.vstack([programme.gap - allowed, -programme.gap - allowed, -programme.size, programme.size]))
    return rows, np.concatenate([np.zeros(2 * len(allowed)), [-1.0, most]])


def _relaxed(cost: Floats, within: Any, limit: Floats, equal: Any, total: Floats, bounds: Any) -> OptimizeResult:  # noqa: ANN401 (scipy takes sparse)
    return linprog(cost, within, limit, equal, total, bounds, method="highs-ds")


def stacked(blocks: list[Any]) -> sparse.csr_array:
    """Put rows of constraints, sparse or not, below one another."""
    return sparse.csr_array(sparse.vstack([sparse.csr_array(block) for block in blocks]))


def smallest_widening(programme: Programme) -> float | None:
    """Give what must be added to every tolerance for fractions of people to be balanced; None if nothing helps."""
    count, people = programme.gap.shape
    within = np.column_stack([np.vstack([programme.gap, -programme.gap]), np.full(2 * count, -1.0)])
    sums = stacked([programme.equal, programme.size[None]])
    blocks: list[Any] = [sums, np.zeros((sums.shape[0], 1))]
    total = np.append(np.zeros(programme.equal.shape[0]), 1.0)
    found = _relaxed(np.append(np.zeros(people), 1.0), within, np.tile(programme.tolerance, 2), sparse.hstack(blocks), total, (0, None))
    return None if found.status == _INFEASIBLE else float(found.fun)
