"""How narrow may the caliper be, so that every treated can still be paired?

Bisection over the caliper. With a caliper, the controls a treated may have lie side by side on the propensity scale (a convex bipartite graph), and
whether everybody can have one of their own is seen in one sweep: in the order of the scale, each takes the first control that is left.

References
----------
Glover (1967). Maximum matching in a convex bipartite graph. Naval Research Logistics Quarterly 14(3), 313-316.
Yu, Silber & Rosenbaum (2020). Matching methods for observational studies derived from large administrative databases. Statistical Science 35(3),
338-355.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from evaluation.design.candidates import Keys, keyed
from evaluation.design.cohort import Cohort, Floats, Rows, strata_of
from evaluation.design.pair_rules import PairRules, prepare_search
from evaluation.design.propensity import PropensityScores
from evaluation.errors import NobodyMatchedError


@dataclass(frozen=True, eq=False)
class TightestCaliper:
    """The narrowest caliper that loses nobody it need not lose.

    Attributes
    ----------
    caliper_sd : float
        In standard deviations of the scale; as `caliper_sd` of an `OptimalSpec` it pairs all of `n_treated`, while greedy pairs may be fewer.
    caliper : float
        On the scale itself.
    n_treated : int
        Treated who can be paired, each with a control of its own in its stratum.
    n_unpairable : int
        Treated beyond the number of controls in their stratum, whom no caliper helps.
    n_strata_short : int
        In how many strata they are.
    """

    caliper_sd: float
    caliper: float
    n_treated: int
    n_unpairable: int
    n_strata_short: int

    def to_frame(self) -> pd.DataFrame:
        """Give one row with every attribute."""
        return pd.DataFrame([asdict(self)])


def tightest_caliper(
    cohort: Cohort, scores: PropensityScores, *, exact: Sequence[str] = (), distance: Literal["logit", "score"] = "logit"
) -> TightestCaliper:
    """Find the smallest caliper at which every treated can be paired with a control of its own within its exact strata.

    Where a stratum has more treated than controls, as many as it has controls.

    Parameters
    ----------
    cohort : Cohort, n people
        In a stack of trials, pairs are made within a trial.
    scores : PropensityScores, shape (n,)
    exact : sequence of str, optional
        Columns on which a match must agree.
    distance : {"logit", "score"}
        The scale.

    Returns
    -------
    TightestCaliper

    Raises
    ------
    NobodyMatchedError
        If no treated shares a stratum with any control.
    InputError
        If `exact` names a column the cohort lacks.

    Notes
    -----
    In each stratum the smaller side seeks among the larger. The sweep is exact because both ends of the windows grow along the scale: who took an
    earlier place could not have left a better one. Between infeasible and feasible lie at most 64 halvings of the floating-point numbers.
    """
    search = prepare_search(cohort, scores, PairRules(distance=distance, caliper_sd=None, exact=tuple(exact)))
    stratum, position = search.stratum, search.position
    n_treated, n_control = (np.bincount(stratum[side], minlength=int(stratum.max()) + 1) for side in (cohort.treated, ~cohort.treated))
    pairable = np.minimum(n_treated, n_control)
    if not pairable.any():
        raise NobodyMatchedError(
            f"tightest caliper: no treated person shares a stratum of ({', '.join(strata_of(cohort, exact))}) with any control; "
            "match exactly on fewer or coarser columns"
        )
    seeks = cohort.treated == (n_treated <= n_control)[stratum]
    order = np.lexsort((position, stratum))
    gaps = _tightest_gaps(*((stratum[rows], position[rows]) for rows in (order[seeks[order]], order[~seeks[order]])))
    short = n_treated - pairable
    caliper = float(gaps.max())
    return TightestCaliper(
        caliper_sd=_in_spreads(caliper, search.spread),
        caliper=caliper,
        n_treated=int(pairable.sum()),
        n_unpairable=int(short.sum()),
        n_strata_short=int((short > 0).sum()),
    )


def _tightest_gaps(seekers: tuple[Rows, Floats], sought: tuple[Rows, Floats]) -> Floats:
    """Give the gaps of the pairs under the smallest caliper; both sides as (stratum, position), sorted."""
    keys = keyed(*sought)
    infeasible, feasible = -1, _bits(2 * float(sought[1].max() - sought[1].min() + np.ptp(seekers[1]) + abs(sought[1][0] - seekers[1][0])))
    while feasible - infeasible > 1:
        middle = (infeasible + feasible) // 2
        if _sweep(keys, *seekers, _number(middle)) is None:
            infeasible = middle
        else:
            feasible = middle
    place = _sweep(keys, *seekers, _number(feasible))
    assert place is not None
    return np.abs(seekers[1] - sought[1][place])


def _sweep(keys: Keys, stratum: Rows, position: Floats, caliper: float) -> Rows | None:
    """Give each the first of `keys` inside its window that nobody before took; None where somebody finds none."""
    turn = np.arange(len(position))
    first, end = np.searchsorted(keys, keyed(stratum, position - caliper)), np.searchsorted(keys, keyed(stratum, position + caliper), side="right")
    place = np.maximum.accumulate(first - turn) + turn
    return place if (place < end).all() else None


def _bits(number: float) -> int:
    """Number the floating-point numbers from 0 on, in their order."""
    return int(np.float64(number).view(np.int64))


def _number(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))


def _in_spreads(caliper: float, spread: float) -> float:
    """Divide, and round so that multiplying again gives no less."""
    if caliper == 0:
        return 0.0
    number = caliper / spread
    while number * spread < caliper:
        number = math.nextafter(number, math.inf)
    return number
