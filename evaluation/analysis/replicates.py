r"""What are the effects when the same people weigh something else, many times over?

A replicate is a weight for everybody. Between two days on which somebody's follow-up ends without an exit, whoever leaves takes the same part of the
curve along for each unit of weight, :math:`S / Y`: the product telescopes. So exit days with no such end between them, and no horizon, are taken as
one, which is exact, and what the curves of many replicates need is one product of two matrices. The hazard ratio needs both arms on every day of
success, and is found replicate by replicate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluation.analysis.clusters import Codes
from evaluation.analysis.compared import Compared
from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.design.cohort import Bools, Floats

Measure = tuple[str, float | None]  # as in Effects.to_frame: what is measured, and its horizon in days
_CLOSE = 1e-8  # Newton step after which the next one is its square, and so rounding
_MAX_NEWTON_STEPS = 50
_LONGEST_STEP = 2.0  # as in `cox_log_ratio`: far from the maximum a full step may overshoot


def differences(effects: Effects) -> dict[Measure, Estimate]:
    """Give every difference by its measure and horizon, the hazard ratio as "log_hazard_ratio"."""
    found: dict[Measure, Estimate] = {("risk_difference", horizon): estimate for horizon, estimate in effects.risk_difference.items()}
    found |= {(f"incidence_difference: {state}", horizon): estimate for (state, horizon), estimate in effects.cumulative_incidence.items()}
    if effects.rmst_difference is not None:
        found["rmst_difference", effects.spec.rmst_days] = effects.rmst_difference
    if effects.hazard_ratio is not None:
        found["log_hazard_ratio", None] = effects.hazard_ratio.log
    return found


class Reweighed:
    """People ready to be weighed again.

    Parameters
    ----------
    compared : Compared
        u rows; their own weights multiply those of the replicates.
    code : ndarray of int, shape (u,)
        What each row is drawn with, numbered from 0: a set, a person, a cluster.
    effects : Effects
        Which differences are asked for; its hazard ratio is where the search for the replicates' begins.
    """

    def __init__(self, compared: Compared, code: Codes, effects: Effects) -> None:
        spec = effects.spec
        success = spec.succeeded(compared)
        self.compared, self.code, self.effects, self.units = compared, code, effects, int(code.max()) + 1
        self._success = [state for state in range(len(compared.states)) if success[compared.exit == state].any()]
        self._rmst_days = spec.rmst_days if effects.rmst_difference is not None else None
        asked = [*effects.risk_difference, *([] if self._rmst_days is None else [self._rmst_days])]
        self._whole = self._arms(np.ones(len(code), dtype=bool), asked)
        reaching = {day: compared.reaching(day) for day in asked}
        self._until = {day: self._whole if rows.all() else self._arms(rows, [day]) for day, rows in reaching.items()}
        self._race = None if effects.hazard_ratio is None else _Race(compared, success, code)
        largest = max(arm.weight.shape[0] for days in (self._whole, *self._until.values()) for arm in days.values())
        self.size = max(largest, self.units)

    def _arms(self, chosen: Bools, asked: Sequence[float]) -> dict[str, _ArmSpans]:
        sides = {arm: np.flatnonzero(chosen & (self.compared.treated == (arm == "treated"))) for arm in ARMS}
        return {arm: _ArmSpans.of(self, rows, asked) for arm, rows in sides.items()}

    def estimates(self, weights: Floats, times: Floats) -> dict[Measure, Floats]:
        """Compute every difference in B replicates.

        Parameters
        ----------
        weights : ndarray of float, shape (B, units)
            What each unit's rows weigh, times their own weight.
        times : ndarray of float, shape (B, units)
            How often each unit is there: who is there twice leaves twice, which counts in Efron's ties.

        Returns
        -------
        dict of (str, float or None) to ndarray of float, shape (B,)
            As `differences` names them. NaN where a replicate's people do not reach the horizon in both arms, or its hazard ratio would be 0 or
            infinite.
        """
        weighed: dict[int, list[_Weighed]] = {}
        by_unit = np.ascontiguousarray(weights.T)

        def arms(day: float) -> list[_Weighed]:
            days = self._until[day]
            if id(days) not in weighed:
                weighed[id(days)] = [days[arm].weigh(by_unit) for arm in ARMS]
            return weighed[id(days)]

        known = {day: np.logical_and(*(arm.known(day, by_unit) for arm in arms(day))) for day in self._until}

        def difference(states: list[int], day: float) -> Floats:
            treated, control = arms(day)
            return np.where(known[day], treated.share(states, day) - control.share(states, day), np.nan)

        found: dict[Measure, Floats] = {("risk_difference", day): difference(self._success, day) for day in self.effects.risk_difference}
        for state, day in self.effects.cumulative_incidence:
            found[f"incidence_difference: {state}", day] = difference([self.compared.states.index(state)], day)
        if (until := self._rmst_days) is not None:
            treated, control = (arm.time_gained(self._success, until, by_unit) for arm in arms(until))
            found["rmst_difference", until] = np.where(known[until], control - treated, np.nan)
        if self._race is not None and self.effects.hazard_ratio is not None:
            start = self.effects.hazard_ratio.log.value
            ratios = [self._race.log_ratio(weight, time, start) for weight, time in zip(weights, times, strict=True)]
            found["log_hazard_ratio", None] = np.array(ratios, dtype=np.float64)
        return found


@dataclass(frozen=True, eq=False)
class _ArmSpans:
    """When one arm's rows leave, in G spans of exit days that are as one.

    Attributes
    ----------
    of_whom : Reweighed
    rows : ndarray of int
    end : ndarray of float, shape (G,)
        The last exit day of each span.
    span : ndarray of int, one per row
        The span in which each is at risk for the last time; -1 for who is gone before the first exit.
    weight : sparse array, shape ((states + 1) x G, units)
        By state and span, what leaves there; after the states, what ceases to be followed when the span ends.
    """

    of_whom: Reweighed
    rows: Codes
    end: Floats
    span: Codes
    weight: csr_array

    @classmethod
    def of(cls, of_whom: Reweighed, rows: Codes, asked: Sequence[float]) -> _ArmSpans:
        compared = of_whom.compared
        days, exit = compared.days[rows], compared.exit[rows]
        exit_days = np.unique(days[exit >= 0])
        last = np.searchsorted(exit_days, days, side="right") - 1
        ends = np.append(np.zeros(len(exit_days), dtype=bool), True)  # the last place, index -1, is for what lies before the first exit day
        ends[last[exit < 0]] = True
        ends[np.searchsorted(exit_days, asked, side="right") - 1] = True
        ends[-2:] = True
        ends = ends[:-1]
        number = np.append(np.cumsum(ends) - ends, -1).astype(np.intp)
        span, count = number[last], int(ends.sum())
        state = np.where(exit >= 0, exit, len(compared.states))
        seen = span >= 0
        shape = ((len(compared.states) + 1) * count, of_whom.units)
        weight = csr_array((compared.weight[rows[seen]], (state[seen] * count + span[seen], of_whom.code[rows[seen]])), shape=shape)
        return cls(of_whom, rows, exit_days[ends], span, weight)

    def weigh(self, by_unit: Floats) -> _Weighed:
        """Weigh the arm in B replicates; `by_unit` has shape (units, B)."""
        gone = (self.weight @ by_unit).reshape(len(self.of_whom.compared.states) + 1, len(self.end), by_unit.shape[1])
        at_risk = np.cumsum(gone.sum(axis=0)[::-1], axis=0)[::-1]
        stay = gone[-1]
        stay[:-1] += at_risk[1:]  # not at risk less leaving: 0 where everybody leaves
        anybody = at_risk > 0
        before = np.ones((len(at_risk) + 1, at_risk.shape[1]))
        np.divide(stay, at_risk, out=before[1:], where=anybody)
        np.cumprod(before, axis=0, out=before)
        flow = np.divide(before[:-1], at_risk, out=np.zeros_like(at_risk), where=anybody)
        return _Weighed(self, gone[:-1], flow, before[-1])


@dataclass(frozen=True, eq=False)
class _Weighed:
    """One arm in B replicates: weight leaving, shape (states, G, B), share still there per weight at risk, (G, B), and that share at the end."""

    arm: _ArmSpans
    left: Floats
    flow: Floats
    remaining: Floats

    def share(self, states: list[int], day: float) -> Floats:
        """Give the share having left to `states` by `day`, shape (B,)."""
        count = self._spans(day)
        total = np.zeros_like(self.flow[:count])
        for state in states:
            total += self.left[state, :count]
        return np.asarray((self.flow[:count] * total).sum(axis=0), dtype=np.float64)

    def time_gained(self, states: list[int], until: float, by_unit: Floats) -> Floats:
        """Give the mean number of days between leaving to `states` and `until`, shape (B,)."""
        count, compared, rows = self._spans(until), self.arm.of_whom.compared, self.arm.rows
        early = np.isin(compared.exit[rows], states) & (compared.days[rows] <= until)
        gained = compared.weight[rows[early]] * (until - compared.days[rows[early]])
        entries = (gained, (self.arm.span[early], self.arm.of_whom.code[rows[early]]))
        gone = np.asarray(csr_array(entries, shape=(count, len(by_unit))) @ by_unit, dtype=np.float64)
        return np.asarray((self.flow[:count] * gone).sum(axis=0), dtype=np.float64)

    def known(self, day: float, by_unit: Floats) -> Bools:
        """Say where the curve is known until `day`: somebody who weighs was followed so long, or everybody was seen to leave."""
        rows = self.arm.rows[self.arm.of_whom.compared.days[self.arm.rows] >= day]
        followed = np.bincount(self.arm.of_whom.code[rows], minlength=len(by_unit)).astype(np.float64) @ by_unit
        return np.asarray((followed > 0) | (self.remaining == 0), dtype=bool)

    def _spans(self, day: float) -> int:
        return int(np.searchsorted(self.arm.end, day, side="right"))


@dataclass(frozen=True, eq=False)
class _Line:
    """One arm: who is at risk longest comes first, so that the weight at risk on J days of success is a running sum; who leaves, and when.

    Attributes
    ----------
    unit, own : ndarray, shape (m,)
        Unit and own weight of each row.
    at_risk : ndarray of int, shape (J,)
        How many rows are at risk on each day.
    leaver : ndarray of int
        Place in the line of those who leave to success.
    day : ndarray of int
        When they do.
    """

    unit: Codes
    own: Floats
    at_risk: Codes
    leaver: Codes
    day: Codes

    def weigh(self, weight: Floats) -> tuple[Floats, Floats]:
        """Give the weight at risk and leaving on each day; `weight` has shape (units,)."""
        each = self.own * weight[self.unit]
        running = np.append(0.0, np.cumsum(each))
        return running[self.at_risk], np.asarray(np.bincount(self.day, each[self.leaver], minlength=len(self.at_risk)), dtype=np.float64)


class _Race:
    """Both arms on the days of success, for the hazard ratio of one replicate at a time: its arrays then fit in the processor's cache."""

    def __init__(self, compared: Compared, success: Bools, code: Codes) -> None:
        days = np.unique(compared.days[success])
        self._count = len(days)
        self._leaver_day, self._leaver_unit = np.searchsorted(days, compared.days[success]), code[success]
        self._lines = []
        for side in (True, False):
            rows = np.flatnonzero(compared.treated == side)
            rows = rows[np.argsort(-compared.days[rows], kind="stable")]
            at_risk = np.searchsorted(-compared.days[rows], -days, side="right")
            leaver = np.flatnonzero(success[rows])
            self._lines.append(
                _Line(code[rows], compared.weight[rows], at_risk, leaver, np.searchsorted(days, compared.days[rows[leaver]])),
            )

    def log_ratio(self, weight: Floats, times: Floats, start: float) -> float:
        """Give the log hazard ratio of treated to control by the rules of `cox_log_ratio`; weight and times have shape (units,)."""
        (treated, treated_leave), (control, control_leave) = (line.weigh(weight) for line in self._lines)
        if not (((treated_leave > 0) & (control > 0)).any() and ((control_leave > 0) & (treated > 0)).any()):
            return math.nan
        leavers = np.rint(np.bincount(self._leaver_day, times[self._leaver_unit], minlength=self._count)).astype(np.intp)
        days = np.flatnonzero(leavers)
        number = leavers[days]
        day = np.repeat(days, number)
        fraction = _fractions(number)
        facing = treated[day] - fraction * treated_leave[day]
        odds = np.divide(control[day] - fraction * control_leave[day], facing, out=np.full(len(day), np.inf), where=facing > 0)
        mean_weight = np.repeat((treated_leave + control_leave)[days] / number, number)
        return _maximum(odds, mean_weight, float(treated_leave.sum()), start)


def _fractions(number: NDArray[np.intp]) -> Floats:
    """Give 0, 1/d, ..., (d - 1)/d for the d leavers of each day."""
    first = np.cumsum(number) - number
    return np.asarray((np.arange(int(number.sum())) - np.repeat(first, number)) / np.repeat(number, number), dtype=np.float64)


def _maximum(odds: Floats, weight: Floats, observed: float, start: float) -> float:
    """Climb to the log ratio at which as much treated weight is expected to leave as did; `odds` of control to treated at risk, for each leaver."""
    beta = start
    for _ in range(_MAX_NEWTON_STEPS):
        ratio = math.exp(beta)
        mean = ratio / (ratio + odds)
        expected = weight * mean
        total = float(expected.sum())
        information = total - float(np.einsum("i,i->", expected, mean))
        if information <= 0:
            break
        step = min(max((observed - total) / information, -_LONGEST_STEP), _LONGEST_STEP)
        beta += step
        if abs(step) < _CLOSE * max(1.0, abs(beta)):
            return beta
    return math.nan
