r"""What share of one arm has left by each day, and how does every person move it?

Weighted Kaplan-Meier and Aalen-Johansen curves on the exact exit days. At the exit days :math:`t_1 < ... < t_J` the weight at risk is :math:`Y_j`,
the share leaving :math:`h_j` (to the states that count: :math:`h_{kj}`), :math:`S_j = \prod_{l \le j} (1 - h_l)` and
:math:`F_j = \sum_{l \le j} S_{l-1} h_{kl}`. When every exit counts, :math:`F = 1 - S`, so one formula serves both curves.

References
----------
Kaplan & Meier (1958). Nonparametric estimation from incomplete observations. JASA 53, 457-481.
Aalen & Johansen (1978). An empirical transition matrix for non-homogeneous Markov chains. Scandinavian Journal of Statistics 5, 141-150.
Royston & Parmar (2013). Restricted mean survival time. BMC Medical Research Methodology 13, 152.
Therneau, survival package, vignette "methods": infinitesimal jackknife of survfit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluation.analysis.compared import Compared
from evaluation.analysis.outcomes import ANY
from evaluation.design.cohort import Bools, Floats

_ALL_LEFT = 1 - 1e-12  # a share leaving this near 1 is 1: what is missing is rounding in the sum of the weights


@dataclass(frozen=True, eq=False)
class Hazards:
    """One arm's exits of any kind.

    Attributes
    ----------
    times, at_risk, share : ndarray of float, shape (J,)
        Exit days, :math:`Y_j`, :math:`h_j`.
    before, remaining : ndarray of float, shape (J,)
        :math:`S_{j-1}` and :math:`S_j`.
    last : ndarray of int, shape (m,)
        Index of the last exit day at which each was at risk; -1 for nobody's.
    left : ndarray of bool, shape (m,)
        Whether the own exit was seen.
    weight : ndarray of float, shape (m,)
    since : ndarray of int, shape (m,)
        Index of the last exit day before each was at risk; -1 for who was from the start.
    owner : ndarray of int, shape (m,), or None
        Whose piece of follow-up it is, where weights change with time; None: everybody has one.
    people : int
        How many people the arm has.
    """

    times: Floats
    at_risk: Floats
    share: Floats
    before: Floats
    remaining: Floats
    last: NDArray[np.intp]
    left: Bools
    weight: Floats
    since: NDArray[np.intp]
    owner: NDArray[np.intp] | None
    people: int

    @classmethod
    def of(
        cls,
        days: Floats,
        left: Bools,
        weight: Floats,
        *,
        start: Floats | None = None,
        owner: NDArray[np.intp] | None = None,
        people: int | None = None,
    ) -> Hazards:
        """Count who is at risk, after `start` and up to `days`, and who leaves on each exit day; arrays of shape (m,)."""
        order = np.argsort(days, kind="stable")
        ordered = days[order]
        times = np.unique(ordered[left[order]])
        at_risk = _at_least(ordered, weight[order], times)
        since = np.full(len(days), -1, dtype=np.intp)
        if start is not None:
            late = np.argsort(start, kind="stable")
            at_risk = at_risk - _at_least(start[late], weight[late], times)
            since = np.searchsorted(times, start, side="right") - 1
        last = np.searchsorted(times, days, side="right") - 1
        share = np.bincount(last[left], weight[left], minlength=len(times)) / at_risk
        share[share > _ALL_LEFT] = 1.0
        remaining = np.asarray(np.cumprod(1 - share), dtype=np.float64)
        before = np.append(1.0, remaining[:-1])[: len(times)]
        return cls(times, at_risk, share, before, remaining, last, left, weight, since, owner, len(days) if people is None else people)

    def of_people(self, values: Floats) -> Floats:
        """Sum values of shape (m,) over each person's pieces."""
        return values if self.owner is None else np.asarray(np.bincount(self.owner, values, minlength=self.people), dtype=np.float64)


def _at_least(ordered: Floats, weight: Floats, times: Floats) -> Floats:
    """Sum the weight at or beyond each of `times`."""
    reverse = np.append(np.cumsum(weight[::-1])[::-1], 0.0)
    return np.asarray(reverse[np.searchsorted(ordered, times, side="left")], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Incidence:
    """One arm's share having left to the states that count.

    Attributes
    ----------
    hazards : Hazards
    success : ndarray of bool, shape (m,)
    share, probability : ndarray of float, shape (J,)
        :math:`h_{kj}` and :math:`F_j`.
    per_leaver : ndarray of float, shape (J,)
        :math:`1 / ((1 - h_j) Y_j)`, and 0 where everybody leaves: nobody is left for it to matter to.
    """

    hazards: Hazards
    success: Bools
    share: Floats
    probability: Floats
    per_leaver: Floats

    @classmethod
    def of(cls, hazards: Hazards, success: Bools) -> Incidence:
        """Count the exits that count; `success` has shape (m,)."""
        share = np.bincount(hazards.last[success], hazards.weight[success], minlength=len(hazards.times)) / hazards.at_risk
        stay = 1 - hazards.share
        per_leaver = np.divide(1.0, stay * hazards.at_risk, out=np.zeros_like(stay), where=stay > 0)
        probability = np.cumsum(hazards.before * share)
        probability[probability > _ALL_LEFT] = 1.0
        return cls(hazards, success, share, probability, per_leaver)

    def at(self, day: float) -> tuple[float, Floats]:
        r"""Give :math:`F` at `day` and its influence, one value per person.

        The derivative of :math:`F_j` in the weight of i is :math:`\sum_{l \le j} S_{l-1} dh_{kl} + (F_l - F_j) dh_l / (1 - h_l)`, where
        :math:`dh_l = (1\{i\ leaves\ at\ t_l\} - h_l 1\{i\ at\ risk\}) / Y_l`.
        """
        count = int(np.searchsorted(self.hazards.times, day, side="right"))
        value = float(self.probability[count - 1]) if count else 0.0
        return value, self._influence(count, self.hazards.before[:count], self.probability[:count] - value)

    def restricted_mean(self, day: float) -> tuple[float, Floats]:
        r"""Give the mean time without success up to `day`, :math:`\int_0^\tau (1 - F)`, and its influence, one value per person."""
        count = int(np.searchsorted(self.hazards.times, day, side="right"))
        times, probability = self.hazards.times[:count], self.probability[:count]
        area = np.diff(np.append(times, day)) * probability
        ahead = np.cumsum(area[::-1])[::-1]
        value = day - float(area.sum())
        return value, self._influence(count, -(day - times) * self.hazards.before[:count], ahead - (day - times) * probability)

    def along(self, columns: csr_array) -> Floats:
        """Give the sum of each of `columns`, shape (people, k), times the influences, at every exit day, shape (J, k).

        It is the derivative of :math:`F` as the weights move along the column, so the weights that leave and are at risk are all it takes.
        """
        hazards = self.hazards
        of_pieces = columns if hazards.owner is None else columns[hazards.owner]

        def on_day(day: NDArray[np.intp], chosen: Bools) -> Floats:
            piece = np.flatnonzero(chosen & (day >= 0))
            shape = (len(hazards.times), len(hazards.last))
            return np.asarray((csr_array((hazards.weight[piece], (day[piece], piece)), shape=shape) @ of_pieces).toarray(), dtype=np.float64)

        everyone = np.ones(len(hazards.last), dtype=bool)
        at_risk = np.cumsum((on_day(hazards.last, everyone) - on_day(hazards.since, everyone))[::-1], axis=0)[::-1]
        success = (on_day(hazards.last, self.success) - self.share[:, None] * at_risk) * (hazards.before / hazards.at_risk)[:, None]
        exits = (on_day(hazards.last, hazards.left) - hazards.share[:, None] * at_risk) * self.per_leaver[:, None]
        level = self.probability[:, None]
        return np.asarray(np.cumsum(success + level * exits, axis=0) - level * np.cumsum(exits, axis=0), dtype=np.float64)

    def _influence(self, count: int, for_success: Floats, for_exit: Floats) -> Floats:
        """Sum, over the first `count` exit days, `for_success` times dh_k plus `for_exit` times dh / (1 - h), for each person."""
        hazards = self.hazards
        own_success, own_exit = np.zeros(count + 1), np.zeros(count + 1)  # the last place, index -1, is for those gone before the first exit day
        drift = np.zeros(count + 1)  # and for those at risk from the start
        own_success[:count] = for_success / hazards.at_risk[:count]
        own_exit[:count] = for_exit * self.per_leaver[:count]
        drift[:count] = np.cumsum(own_success[:count] * self.share[:count] + own_exit[:count] * hazards.share[:count])
        seen = np.minimum(hazards.last, count - 1)
        inside = hazards.last < count
        own = np.where(inside & self.success, own_success[seen], 0.0) + np.where(inside & hazards.left, own_exit[seen], 0.0)
        drifted = drift[seen] - drift[np.minimum(hazards.since, count - 1)]
        return hazards.of_people(hazards.weight * (own - drifted))


def incidences_by_state(compared: Compared, success: Bools, rows: NDArray[np.intp]) -> dict[str, Incidence]:
    """Give one arm's incidence of success ("any") and, where there are several states, of each; `rows` are its people among the compared."""
    hazards, of, ends = _arm_hazards(compared, rows)
    found = {ANY: Incidence.of(hazards, ends & success[of])}
    if len(compared.states) > 1:
        found |= {state: Incidence.of(hazards, ends & (compared.exit[of] == position)) for position, state in enumerate(compared.states)}
    return found


def _arm_hazards(compared: Compared, rows: NDArray[np.intp]) -> tuple[Hazards, NDArray[np.intp], Bools]:
    """Give the exits of one arm and, per piece of follow-up, which of the compared it is of and whether it is the last of theirs."""
    if compared.pieces is None:
        return Hazards.of(compared.days[rows], compared.exit[rows] >= 0, compared.weight[rows]), rows, np.ones(len(rows), dtype=bool)
    pieces = compared.pieces
    place = np.full(len(compared.days), -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    kept = np.flatnonzero(place[pieces.row] >= 0)
    of = pieces.row[kept]
    ends = np.append(of[1:] != of[:-1], True)
    hazards = Hazards.of(
        pieces.stop[kept],
        ends & (compared.exit[of] >= 0),
        compared.weight[of] * pieces.factor[kept],
        start=pieces.start[kept],
        owner=place[of],
        people=len(rows),
    )
    return hazards, of, ends
