r"""Does resampling say the same as the influence functions?

Matched sets are drawn again with replacement, the matching itself is left as it is, and every estimate is computed anew. A replicate is a number of
times each set was drawn, and so a weight for everybody in it; what the curves and the hazard ratio need is how much weight leaves and stays on
each day, which for many replicates at once is one product of two matrices. The estimators are those of `estimate_effects`, exit day by exit day.

Where a control stands in several sets, drawing sets draws no independent parts, and the bootstrap of such a match is not valid even in large samples;
it is refused, and persons, or coarser groups, are drawn instead. With few groups neither this nor a normal interval can be relied on: see
wild_bootstrap.py.

References
----------
Efron & Tibshirani (1993). An Introduction to the Bootstrap, chapters 13 and 16.
Davison & Hinkley (1997). Bootstrap Methods and their Application, section 2.4 (which order statistics end an interval).
Abadie & Imbens (2008). On the failure of the bootstrap for matching estimators. Econometrica 76(6), 1537-1557.
Austin & Small (2014). The use of bootstrapping when using propensity-score matching without replacement. Statistics in Medicine 33, 4306-4319.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from evaluation.analysis.curves import ARMS, EffectSpec
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.estimates import Clusters, Codes, Estimate
from evaluation.analysis.outcomes import Compared, FollowUp, compared_follow_up
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError, InputError, Problem

Measure = tuple[str, float | None]  # as in Effects.to_frame: what is measured, and its horizon in days
_BLOCK = 200_000  # numbers an array of one block of replicates may hold: they stay in the processor's cache
_CLOSE = 1e-8  # Newton step after which the next one is its square, and so rounding
_MAX_NEWTON_STEPS = 50
_LONGEST_STEP = 2.0  # as in `cox_log_ratio`: far from the maximum a full step may overshoot


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Every estimate in every replicate, beside its influence standard error.

    Attributes
    ----------
    replicates : dict of (str, float or None) to ndarray of float, shape (B,)
        By measure and horizon (days), named as in `Effects.to_frame`, with "log_hazard_ratio". NaN in a replicate whose drawn people do not reach the
        horizon in both arms, or whose hazard ratio would be 0 or infinite.
    estimates : dict of (str, float or None) to Estimate
        Of `estimate_effects`, with the variance clustered by what was drawn and the weights as given: what the replicates should agree with.
    effects : Effects
        As `estimate_effects` gives them.
    drawn : {"sets", "persons", "clusters"}
    n_drawn : int
        How many of them there are; each replicate draws so many with replacement.
    seed : int
    notes : tuple of str
        What the replicates leave out.
    """

    replicates: dict[Measure, Floats]
    estimates: dict[Measure, Estimate]
    effects: Effects
    drawn: Literal["sets", "persons", "clusters"]
    n_drawn: int
    seed: int
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Give one row per estimate.

        Columns: measure, horizon_days, effect, std_error and interval (low, high) of the replicates, influence_std_error by what was drawn,
        reported_std_error of `estimate_effects`, replicates (how many have the estimate).
        """
        reported = _differences(self.effects)
        rows = []
        for (measure, horizon), estimate in self.estimates.items():
            values = self.replicates[measure, horizon]
            known = values[~np.isnan(values)]
            error, low, high = math.nan, math.nan, math.nan
            if len(known) > 1:
                error = float(known.std(ddof=1))
                low, high = map(float, np.quantile(known, [0.5 - estimate.level / 2, 0.5 + estimate.level / 2], method="weibull"))
            errors = (estimate.std_error, reported[measure, horizon].std_error)
            rows.append((measure, math.nan if horizon is None else horizon, estimate.value, error, low, high, *errors, len(known)))
        names = ["measure", "horizon_days", "effect", "std_error", "low", "high", "influence_std_error", "reported_std_error", "replicates"]
        return pd.DataFrame(rows, columns=names)


def pair_bootstrap(
    cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None, *, replicates: int = 999, seed: int
) -> Bootstrap:
    """Resample the matched sets, without matching again, and compute every effect anew.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
        A match in which everybody is in one set.
    follow_up : FollowUp
        Without weights that change with time.
    spec : EffectSpec, optional
    replicates : int
    seed : int

    Returns
    -------
    Bootstrap
        `influence_std_error` is here that of `estimate_effects`.

    Raises
    ------
    InputError
        If there are fewer than two replicates.
    EstimationError
        If people are in several sets or trials, if there are weights and no sets, or weights that change with time.
    HorizonError
        As `estimate_effects`.

    Notes
    -----
    Set s is drawn :math:`c_s` times, :math:`(c_1, ..., c_S)` multinomial, and everybody in it weighs :math:`c_s w_i`; who is drawn twice leaves
    twice, which counts in Efron's ties. The interval is that of the percentiles. Austin & Small (2014) resample pairs so.
    """
    clusters = Clusters.of(comparison)
    if len(comparison.member_row) == comparison.n_sets:
        raise EstimationError("pair bootstrap: the comparison has weights and no matched sets; cluster_bootstrap resamples persons")
    if not clusters.nested:
        many = int((np.bincount(comparison.person_code[comparison.member_row]) > 1).sum())
        raise EstimationError(
            f"pair bootstrap: {many} people are in several sets, which are then not independent parts to resample, and the naive bootstrap of such a "
            "match is not valid even in large samples (Abadie & Imbens 2008); the intervals of estimate_effects count sets and persons, and "
            "cluster_bootstrap resamples persons as a check"
        )
    code = np.empty(len(comparison.rows), dtype=np.intp)
    code[clusters.member] = clusters.code
    return _bootstrap(cohort, comparison, follow_up, spec or EffectSpec(), code, clusters, "sets", replicates, seed)


def cluster_bootstrap(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec | None = None,
    *,
    ids: ArrayLike | None = None,
    replicates: int = 999,
    seed: int,
) -> Bootstrap:
    """Resample persons, or coarser clusters such as teams, with the sets and weights as they are, and compute every effect anew.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
        Without weights that change with time.
    spec : EffectSpec, optional
    ids : array_like, shape (u,), optional
        The cluster of each compared row, in the order of `Comparison.rows`. Without it the persons, with all their rows.
    replicates : int
    seed : int

    Returns
    -------
    Bootstrap
        A check on the part of the variance that lies between persons (or clusters): persons drawn one by one do not bring their set along.

    Raises
    ------
    InputError
        If `ids` has another length than the compared rows, or lacks some, or there are fewer than two replicates.
    EstimationError
        If there are fewer than two clusters, or weights that change with time.
    HorizonError
        As `estimate_effects`.

    Notes
    -----
    Cluster g is drawn :math:`c_g` times, multinomial. With few clusters prefer `wild_cluster_bootstrap`.
    """
    if ids is None:
        code = np.asarray(pd.factorize(comparison.person_code[comparison.rows])[0], dtype=np.intp)
        clusters = replace(Clusters.few(code), factor=1.0)  # persons are many
    else:
        code = cluster_codes(ids, len(comparison.rows))
        clusters = Clusters.few(code)
    return _bootstrap(cohort, comparison, follow_up, spec or EffectSpec(), code, clusters, "persons" if ids is None else "clusters", replicates, seed)


def cluster_codes(ids: ArrayLike, rows: int) -> Codes:
    """Number the clusters as they first come in the order of the compared rows, which no shuffling moves."""
    given = np.asarray(ids)
    if given.shape != (rows,):
        rule = f"must have one entry for each of the {rows} compared rows"
        raise InputError([Problem("ids", rule, "take the cohort's column at Comparison.rows")])
    code = np.asarray(pd.factorize(given)[0], dtype=np.intp)
    if (code < 0).any():
        raise InputError([Problem.in_rows("ids", "must not be missing", code < 0, "every compared row needs a cluster")])
    return code


def require_several(replicates: int) -> None:
    """Refuse a number of replicates that has no spread."""
    if replicates < 2:
        raise InputError([Problem("replicates", "must be at least 2", "take 999, or more for an interval that does not move in its second digit")])


# ---- the replicates


def _bootstrap(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec,
    code: Codes,
    clusters: Clusters,
    drawn: Literal["sets", "persons", "clusters"],
    replicates: int,
    seed: int,
) -> Bootstrap:
    require_several(replicates)
    compared = compared_follow_up(cohort, comparison, follow_up)
    if compared.pieces is not None:
        raise EstimationError("bootstrap: weights that change with time are not resampled; give the follow-up without them")
    effects = estimate_effects(cohort, comparison, follow_up, spec)
    estimates = {measure: replace(estimate, clusters=clusters) for measure, estimate in _differences(effects).items()}
    sample = _Sample(compared, spec.succeeded(compared), code, spec)
    width = max(1, _BLOCK // sample.size)
    rng, blocks = np.random.default_rng(seed), []
    for begin in range(0, replicates, width):
        times = min(width, replicates - begin)
        drawings = rng.integers(0, sample.units, (times, sample.units))
        counts = np.bincount((drawings * times + np.arange(times)[:, None]).ravel(), minlength=sample.units * times)
        blocks.append(sample.estimates(counts.reshape(sample.units, times).astype(np.float64), effects))
    values = {measure: np.concatenate([block[measure] for block in blocks]) for measure in estimates}
    notes = []
    for (name, horizon), found in values.items():
        if missing := int(np.isnan(found).sum()):
            where = name if horizon is None else f"{name} at {horizon:g} days"
            notes.append(f"{where}: could not be computed in {missing} of {replicates} replicates")
    if drawn != "sets" and len(comparison.member_row) == comparison.n_sets:
        notes.append("the weights are taken as given and not estimated anew in each replicate; influence_std_error takes them so too")
    return Bootstrap(values, estimates, effects, drawn, sample.units, seed, tuple(notes))


def _differences(effects: Effects) -> dict[Measure, Estimate]:
    """Give every difference by its measure and horizon."""
    found: dict[Measure, Estimate] = {("risk_difference", horizon): estimate for horizon, estimate in effects.risk_difference.items()}
    found |= {(f"incidence_difference: {state}", horizon): estimate for (state, horizon), estimate in effects.cumulative_incidence.items()}
    if effects.rmst_difference is not None:
        found["rmst_difference", effects.spec.rmst_days] = effects.rmst_difference
    if effects.hazard_ratio is not None:
        found["log_hazard_ratio", None] = effects.hazard_ratio.log
    return found


class _Sample:
    """The compared rows, ready to be weighed again; what is drawn is numbered by `code`, shape (u,)."""

    def __init__(self, compared: Compared, success: Bools, code: Codes, spec: EffectSpec) -> None:
        self.compared, self.code, self.spec, self.units = compared, code, spec, int(code.max()) + 1
        self.days = np.unique(compared.days[compared.exit >= 0])
        self.size = max((len(compared.states) + 1) * len(self.days), int(success.sum()), self.units)
        self.success = [state for state in range(len(compared.states)) if success[compared.exit == state].any()]
        everybody = np.ones(len(code), dtype=bool)
        self.whole = self._arms(everybody)
        asked = [*spec.horizons_days, *([] if spec.rmst_days is None else [spec.rmst_days])]
        reaching = {day: compared.reaching(day) for day in asked}
        self.until = {day: self.whole if rows.all() else self._arms(rows) for day, rows in reaching.items()}
        on_day = np.searchsorted(self.days, compared.days[success])
        self.leavers = csr_array((np.ones(len(on_day)), (on_day, code[success])), shape=(len(self.days), self.units))

    def _arms(self, chosen: Bools) -> dict[str, _ArmDays]:
        return {arm: _ArmDays.of(self, np.flatnonzero(chosen & (self.compared.treated == (arm == "treated")))) for arm in ARMS}

    def estimates(self, counts: Floats, effects: Effects) -> dict[Measure, Floats]:
        """Give every difference in replicates that draw each unit `counts` times, shape (units, B)."""
        weighed: dict[int, dict[str, _Weighed]] = {}

        def arms(days: dict[str, _ArmDays]) -> list[_Weighed]:
            if id(days) not in weighed:
                weighed[id(days)] = {arm: days[arm].weigh(counts) for arm in ARMS}
            return list(weighed[id(days)].values())

        known = {day: np.logical_and(*(arm.known(day, counts) for arm in arms(days))) for day, days in self.until.items()}

        def difference(states: list[int], day: float, times: Floats | None = None) -> Floats:
            treated, control = arms(self.until[day])
            return np.where(known[day], treated.share(states, day, times) - control.share(states, day, times), np.nan)

        found: dict[Measure, Floats] = {("risk_difference", day): difference(self.success, day) for day in effects.risk_difference}
        for state, day in effects.cumulative_incidence:
            found[f"incidence_difference: {state}", day] = difference([self.compared.states.index(state)], day)
        if effects.rmst_difference is not None and (until := self.spec.rmst_days) is not None:
            found["rmst_difference", until] = -difference(self.success, until, until - self.days)
        if effects.hazard_ratio is not None:
            both = arms(self.whole)
            leaving, at_risk = [arm.leaving(self.success) for arm in both], [arm.at_risk for arm in both]
            leavers = np.asarray(self.leavers @ counts, dtype=np.float64)
            found["log_hazard_ratio", None] = _log_ratios(leaving, at_risk, leavers, effects.hazard_ratio.log.value)
        return found


@dataclass(frozen=True, eq=False)
class _ArmDays:
    """When one arm's rows leave: `weight`, shape ((states + 1) x J, units), by state and then, unseen, by the last exit day they were at risk."""

    sample: _Sample
    rows: Codes
    weight: csr_array

    @classmethod
    def of(cls, sample: _Sample, rows: Codes) -> _ArmDays:
        compared, days = sample.compared, len(sample.days)
        last = np.searchsorted(sample.days, compared.days[rows], side="right") - 1
        seen, last = rows[last >= 0], last[last >= 0]
        state = np.where(compared.exit[seen] >= 0, compared.exit[seen], len(compared.states))
        shape = ((len(compared.states) + 1) * days, sample.units)
        return cls(sample, rows, csr_array((compared.weight[seen], (state * days + last, sample.code[seen])), shape=shape))

    def weigh(self, counts: Floats) -> _Weighed:
        gone = (self.weight @ counts).reshape(len(self.sample.compared.states) + 1, len(self.sample.days), counts.shape[1])
        at_risk = np.cumsum(gone.sum(axis=0)[::-1], axis=0)[::-1]
        stay = gone[-1]
        stay[:-1] += at_risk[1:]  # not at risk less leaving: 0 where everybody leaves
        anybody = at_risk > 0
        before = np.ones((len(at_risk) + 1, at_risk.shape[1]))
        np.divide(stay, at_risk, out=before[1:], where=anybody)
        np.cumprod(before, axis=0, out=before)
        flow = np.divide(before[:-1], at_risk, out=np.zeros_like(at_risk), where=anybody)
        return _Weighed(self, gone[:-1], at_risk, flow, before[-1])


@dataclass(frozen=True, eq=False)
class _Weighed:
    """One arm in B replicates: weight leaving, shape (states, J, B), weight at risk, share still there over it, (J, B), and that at the end."""

    arm: _ArmDays
    left: Floats
    at_risk: Floats
    flow: Floats
    remaining: Floats

    def leaving(self, states: list[int], count: int | None = None) -> Floats:
        """Give the weight that leaves to `states` on the first `count` exit days, shape (count, B)."""
        total = self.left[states[0], :count] if states else np.zeros_like(self.flow[:count])
        for state in states[1:]:
            total = total + self.left[state, :count]
        return total

    def share(self, states: list[int], day: float, times: Floats | None = None) -> Floats:
        """Give the share having left to `states` by `day`, each exit day's counted `times`, shape (J,), once without it."""
        count = int(np.searchsorted(self.arm.sample.days, day, side="right"))
        steps = self.flow[:count] * self.leaving(states, count)
        return np.asarray(steps.sum(axis=0) if times is None else (steps * times[:count, None]).sum(axis=0), dtype=np.float64)

    def known(self, day: float, counts: Floats) -> Bools:
        """Say where the curve is known until `day`: somebody drawn was followed so long, or everybody was seen to leave."""
        rows = self.arm.rows[self.arm.sample.compared.days[self.arm.rows] >= day]
        followed = np.bincount(self.arm.sample.code[rows], minlength=len(counts)).astype(np.float64) @ counts
        return np.asarray((followed > 0) | (self.remaining == 0), dtype=bool)


def _log_ratios(leaving: list[Floats], at_risk: list[Floats], leavers: Floats, start: float) -> Floats:
    """Give the log hazard ratio of each replicate, by the rules of `cox_log_ratio`; treated and control, arrays of shape (J, B)."""
    both = [((leaving[arm] > 0) & (at_risk[1 - arm] > 0)).any(axis=0) for arm in (0, 1)]
    finite = np.flatnonzero(np.all(both, axis=0))
    found = np.full(leavers.shape[1], np.nan)
    parts = [np.ascontiguousarray(part.T) for part in (*at_risk, *leaving)]
    number = np.rint(leavers.T).astype(np.intp)
    for replicate in finite:  # a replicate's arrays fit in the cache, those of all together would not
        treated, control, treated_leave, control_leave = (part[replicate] for part in parts)
        found[replicate] = _log_ratio(treated, control, treated_leave, control_leave, number[replicate], start)
    return found


def _log_ratio(treated: Floats, control: Floats, treated_leave: Floats, control_leave: Floats, leavers: Codes, start: float) -> float:
    """Give one log hazard ratio from the weights of either arm at risk and leaving on each day, and the number of leavers, shape (J,)."""
    days = np.flatnonzero(leavers)
    number = leavers[days]
    day = np.repeat(days, number)
    fraction = (np.arange(len(day)) - np.repeat(np.cumsum(number) - number, number)) / np.repeat(number, number)
    facing = treated[day] - fraction * treated_leave[day]
    odds = np.divide(control[day] - fraction * control_leave[day], facing, out=np.full(len(day), np.inf), where=facing > 0)
    weight = np.repeat((treated_leave + control_leave)[days] / number, number)
    observed, beta = float(treated_leave.sum()), start
    for _ in range(_MAX_NEWTON_STEPS):
        ratio = math.exp(beta)
        mean = ratio / (ratio + odds)
        expected = weight * mean
        information = float(expected.sum() - expected @ mean)
        if information <= 0:
            break
        step = min(max((observed - float(expected.sum())) / information, -_LONGEST_STEP), _LONGEST_STEP)
        beta += step
        if abs(step) < _CLOSE * max(1.0, abs(beta)):
            return beta
    return math.nan
