r"""How large a share has left by each day, in either arm, and how long people stay on average.

Weighted Kaplan-Meier and Aalen-Johansen curves on the exact exit days, with the influence of every person on every functional of them. In the
symbols below, at the exit days :math:`t_1 < ... < t_J` the weight at risk is :math:`Y_j`, the share leaving :math:`h_j` (to the states that
count: :math:`h_{kj}`), :math:`S_j = \prod_{l \le j} (1 - h_l)` and :math:`F_j = \sum_{l \le j} S_{l-1} h_{kl}`. When every exit counts,
:math:`F = 1 - S`, so one formula serves both curves.

References
----------
Kaplan & Meier (1958). Nonparametric estimation from incomplete observations. JASA 53, 457-481.
Aalen & Johansen (1978). An empirical transition matrix for non-homogeneous Markov chains. Scandinavian Journal of Statistics 5, 141-150.
Royston & Parmar (2013). Restricted mean survival time. BMC Medical Research Methodology 13, 152.
Therneau, survival package, vignette "methods": infinitesimal jackknife of survfit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from scipy.sparse import csr_array

from evaluation.analysis.estimated_weights import EstimatedWeights
from evaluation.analysis.estimates import Clusters, log_log_interval
from evaluation.analysis.outcomes import ANY, Compared, FollowUp, compared_follow_up
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError

ARMS = ("treated", "control")
_ALL_LEFT = 1 - 1e-12  # a share leaving this near 1 is 1: what is missing is rounding in the sum of the weights


def _rising(value: tuple[float, ...]) -> tuple[float, ...]:
    if value[0] <= 0 or any(later <= earlier for earlier, later in pairwise(value)):
        raise ValueError("horizons must be above 0 and rising")
    return value


Horizons = Annotated[tuple[float, ...], Field(min_length=1), AfterValidator(_rising)]


class EffectSpec(BaseModel):
    """What is asked of the follow-up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizons_days: Horizons = Field(default=(365, 730), description="days after the index date at which shares are compared")
    rmst_days: float | None = Field(default=730, gt=0, description="days up to which time without success is averaged; None: not asked")
    success: tuple[str, ...] | None = Field(default=None, description="the states that count as success; None: every exit")
    level: float = Field(default=0.95, gt=0, lt=1, description="confidence level")
    smallest_arm: int = Field(default=10, ge=2, description="people an arm of a subgroup needs for its effect to be estimated")

    def succeeded(self, compared: Compared) -> Bools:
        """Say who left to a state that counts; shape (u,).

        Raises
        ------
        EstimationError
            If `success` names a state the follow-up does not have.
        """
        if self.success is None:
            return compared.exit >= 0
        unknown = [state for state in self.success if state not in compared.states]
        if unknown:
            raise EstimationError(f"success: {', '.join(unknown)} is not a state of the follow-up; it has {', '.join(compared.states)}")
        return np.isin(compared.exit, [compared.states.index(state) for state in self.success])


@dataclass(frozen=True, eq=False)
class Curves:
    """Share having left, by arm and exit day.

    Attributes
    ----------
    table : DataFrame
        One row per arm, state and exit day: arm, state, days, at_risk (people), at_risk_weighted, probability, std_error, low, high. The state
        "any" is success as the spec defines it; with several kinds of exit, each has its own rows too.
    level : float
    followed : dict of str to ndarray of float
        Each arm's follow-up times, one per person, sorted, for numbers at risk between exit days; in a stack the longest of the person's.
    reach : float
        Days for which everybody could be followed. Beyond it a curve leans on the trials that began first, and is not what a share at a horizon is.
    """

    table: pd.DataFrame
    level: float
    followed: dict[str, Floats]
    reach: float

    def at_risk(self, days: list[float]) -> pd.DataFrame:
        """Count the people still under observation and not yet gone just before each of `days`; one row per arm."""
        counts = {arm: len(times) - np.searchsorted(times, days, side="left") for arm, times in self.followed.items()}
        return pd.DataFrame.from_dict(counts, orient="index", columns=days)

    def to_frame(self) -> pd.DataFrame:
        """Give the curves as one table."""
        return self.table.copy()


def estimate_curves(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None) -> Curves:
    """Estimate the share having left by each exit day, with pointwise intervals that respect the matching.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
    spec : EffectSpec, optional
        `success` and `level` are used.

    Returns
    -------
    Curves
    """
    spec = spec or EffectSpec()
    compared = compared_follow_up(cohort, comparison, follow_up)
    success = spec.succeeded(compared)
    followed: dict[str, Floats] = {}
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in _CURVE_COLUMNS}
    for arm in ARMS:
        inside = np.flatnonzero(compared.treated == (arm == "treated"))
        followed[arm] = np.sort(compared.longest(inside))
        incidences = incidences_by_state(compared, success, inside)
        hazards = incidences[ANY].hazards
        people = len(followed[arm]) - np.searchsorted(followed[arm], hazards.times, side="left")
        ways = _ways(compared.clusters, inside, hazards)
        for state, incidence in incidences.items():
            variance = _variances(incidence, ways)
            if compared.clusters.weights is not None:
                variance += _variances_through_weights(incidence, compared.clusters, compared.clusters.weights, inside)
            variance[incidence.probability == 1] = 0.0  # everybody has left: what the sums leave is rounding
            error = np.sqrt(np.maximum(variance, 0.0))
            low, high = log_log_interval(incidence.probability, error, spec.level)
            names = np.full(len(error), arm), np.full(len(error), state)
            columns = (*names, hazards.times, people, hazards.at_risk, incidence.probability, error, low, high)
            for name, column in zip(_CURVE_COLUMNS, columns, strict=True):
                parts[name].append(column)
    reach = np.inf if compared.reach is None else float(compared.reach.min())
    return Curves(pd.DataFrame({name: np.concatenate(columns) for name, columns in parts.items()}), spec.level, followed, reach)


_CURVE_COLUMNS = ("arm", "state", "days", "at_risk", "at_risk_weighted", "probability", "std_error", "low", "high")


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


@dataclass(frozen=True, eq=False)
class _Way:
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
    def of(cls, sign: int, code: NDArray[np.intp], piece: NDArray[np.intp], share: Floats, hazards: Hazards) -> _Way:
        """Sort the pieces of follow-up by cluster `code`, shape (k,); who is at risk from the start only goes."""
        at_risk = (hazards.since[piece] < 0) | (hazards.last[piece] > hazards.since[piece])
        late = at_risk & (hazards.since[piece] >= 0)
        piece, code, share = (np.concatenate([values[late], values[at_risk]]) for values in (piece, code, share))
        comes = np.arange(len(piece)) < late.sum()
        bin_of = np.where(comes, hazards.since[piece] + 2, hazards.last[piece] + 1)
        order = np.lexsort((bin_of, code))
        first = np.append(True, code[order][1:] != code[order][:-1]) if len(order) else np.zeros(0, dtype=bool)
        return cls(sign, piece[order], (share * hazards.weight[piece])[order], comes[order], bin_of[order], first)


def _ways(clusters: Clusters, inside: NDArray[np.intp], hazards: Hazards) -> list[_Way]:
    """Give one arm's ways of clustering; the variance is their signed sum."""
    place = np.full(int(clusters.member.max()) + 1, -1, dtype=np.intp)
    place[inside] = np.arange(len(inside))
    here = np.flatnonzero(place[clusters.member] >= 0)
    member, piece = _pieces_of(place[clusters.member[here]], hazards)
    code, share = clusters.code[here][member], clusters.share[here][member]
    ways = [_Way.of(1, code, piece, share, hazards)]
    if not clusters.nested:
        everybody, own = _pieces_of(np.arange(len(inside)), hazards)
        person = everybody if clusters.person is None else clusters.person[inside][everybody]
        ways.append(_Way.of(1, person, own, np.ones(len(own)), hazards))
        ways.append(_Way.of(-1, member, piece, share, hazards))
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


def _variances(incidence: Incidence, ways: list[_Way]) -> Floats:
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


def _variances_through_weights(incidence: Incidence, clusters: Clusters, weights: EstimatedWeights, inside: NDArray[np.intp]) -> Floats:
    """Give what the variance at every exit day gains where weights were estimated, in as many passes as their model has columns.

    The whole influence is the own one plus Z v_j, where v_j is linear in the own one; its square is that of the own, which `_variances` gives, plus
    2 v_j' Z' own plus v_j' Z'Z v_j, with Z'Z and Z' summed by cluster.
    """
    leaves, turn, arrives = weights.passage
    spread = clusters.spread(arrives)
    moved = incidence.along(leaves[inside]) @ turn
    gram = (arrives.T @ spread).toarray()
    return np.asarray((moved * (2 * incidence.along(spread[inside]) + moved @ gram)).sum(axis=1), dtype=np.float64)
