"""What difference did it make: shares at each horizon, days sooner, hazard ratio, each with the arms it compares.

One pass over the compared people; every number keeps its influence function, so that subgroups, contrasts and joint tests need nothing new.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.analysis.compared import Compared, compared_follow_up
from evaluation.analysis.cox import LogRank, RiskSets, cox_log_ratio, log_rank
from evaluation.analysis.curves import ARMS, EffectSpec
from evaluation.analysis.estimates import EFFECT_COLUMNS, Estimate, Ratio, Unit, effect_cells
from evaluation.analysis.incidence import Incidence, incidences_by_state
from evaluation.analysis.outcomes import ANY, FollowUp, TimeUnit
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError, HorizonError
from evaluation.showing import html_of, text_of


@dataclass(frozen=True, eq=False)
class Arm:
    """One side of the comparison.

    Attributes
    ----------
    n : int
        People.
    events : int
        People whose exit counts as success.
    risk : dict of float to Estimate
        Share with success by each horizon (days).
    cumulative_incidence : dict of (str, float) to Estimate
        Share having left to each state by each horizon.
    rmst : Estimate or None
        Mean days without success up to `rmst_days`.
    """

    n: int
    events: int
    risk: dict[float, Estimate]
    cumulative_incidence: dict[tuple[str, float], Estimate]
    rmst: Estimate | None

    def to_frame(self) -> pd.DataFrame:
        """Give one row per measure: measure, horizon_days, n (people it rests on), value, std_error, low, high.

        The measures are risk, incidence: <state> (probabilities) and rmst (days); the latter has no horizon here, which is the spec's `rmst_days`.
        """
        told = [("risk", horizon, estimate) for horizon, estimate in self.risk.items()]
        told += [(f"incidence: {state}", horizon, estimate) for (state, horizon), estimate in self.cumulative_incidence.items()]
        if self.rmst is not None:
            told.append(("rmst", np.nan, self.rmst))
        rows = [(name, days, one.n, one.value, one.std_error, one.low, one.high) for name, days, one in told]
        return pd.DataFrame(rows, columns=["measure", "horizon_days", "n", "value", "std_error", "low", "high"])


@dataclass(frozen=True, eq=False)
class Effects:
    """Treated against control.

    Attributes
    ----------
    risk_difference : dict of float to Estimate
        By horizon (days): share with success among the treated minus that among their controls.
    cumulative_incidence : dict of (str, float) to Estimate
        The same per state.
    rmst_difference : Estimate or None
        Mean days without success up to `rmst_days`, treated minus control; negative means sooner.
    hazard_ratio : Ratio or None
        None where it would be 0 or infinite; `notes` says so.
    log_rank : LogRank or None
        None where nobody has success.
    arms : dict of str to Arm
        "treated" and "control".
    spec : EffectSpec
    observed_days : float
        How long both arms were observed; infinite where everybody was seen to leave. With trials, how long the first of them could be.
    notes : tuple of str
        What could not be estimated and why.
    """

    risk_difference: dict[float, Estimate]
    cumulative_incidence: dict[tuple[str, float], Estimate]
    rmst_difference: Estimate | None
    hazard_ratio: Ratio | None
    log_rank: LogRank | None
    arms: dict[str, Arm]
    spec: EffectSpec
    observed_days: float
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def estimates(self) -> dict[str, Estimate]:
        """Give every difference that can be compared between groups, by a stable name: risk_<days>, rmst, log_hazard_ratio."""
        found = {f"risk_{horizon:g}": estimate for horizon, estimate in self.risk_difference.items()}
        if self.rmst_difference is not None:
            found["rmst"] = self.rmst_difference
        if self.hazard_ratio is not None:
            found["log_hazard_ratio"] = self.hazard_ratio.log
        return found

    def to_frame(self) -> pd.DataFrame:
        """Give one row per measure: measure, horizon_days, treated, control, effect, std_error, low, high, p_value."""
        treated, control = self.arms["treated"], self.arms["control"]
        rows = [_row("risk_difference", h, treated.risk[h].value, control.risk[h].value, estimate) for h, estimate in self.risk_difference.items()]
        rows += [
            _row(
                f"incidence_difference: {state}",
                h,
                treated.cumulative_incidence[state, h].value,
                control.cumulative_incidence[state, h].value,
                estimate,
            )
            for (state, h), estimate in self.cumulative_incidence.items()
        ]
        if self.rmst_difference is not None and treated.rmst and control.rmst:
            rows.append(_row("rmst_difference", self.spec.rmst_days, treated.rmst.value, control.rmst.value, self.rmst_difference))
        if self.hazard_ratio is not None:
            rows.append(_row("hazard_ratio", None, np.nan, np.nan, self.hazard_ratio))
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """Write the effects as a short text for a terminal."""
        table = self.to_frame().drop(columns=["std_error"]).to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="")
        return "\n".join(
            [f"{self.arms['treated'].n} treated, {self.arms['control'].n} controls, {self.spec.level:.0%} intervals", table, *self.notes]
        )


def estimate_effects(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None) -> Effects:
    """Compare what happened to the treated with what happened to their controls.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
        Must hold everybody in the comparison.
    spec : EffectSpec, optional

    Returns
    -------
    Effects

    Raises
    ------
    HorizonError
        If a horizon, or `rmst_days`, lies beyond what was observed in either arm; all of them are listed.
    EstimationError
        If `success` names an unknown state.
    """
    spec = spec or EffectSpec()
    compared = compared_follow_up(cohort, comparison, follow_up)
    success = spec.succeeded(compared)
    effects = effects_within(compared, success, np.ones(len(compared.days), dtype=bool), spec)
    _refuse_unseen_horizons(effects, follow_up.unit)
    return effects


def effects_within(compared: Compared, success: Bools, inside: Bools, spec: EffectSpec) -> Effects:
    """Estimate the effects among the compared people `inside`, shape (u,); horizons beyond their follow-up become notes."""
    observed = _Observed(compared, success, inside)
    asked = [*spec.horizons_days, *([spec.rmst_days] if spec.rmst_days is not None else [])]
    seen = {days: observed.until(days) >= days for days in asked}
    horizons = [horizon for horizon in spec.horizons_days if seen[horizon]]
    notes = [f"share at {horizon:g} days: not observed that long in both arms" for horizon in spec.horizons_days if not seen[horizon]]
    rmst_days = spec.rmst_days if spec.rmst_days is not None and seen[spec.rmst_days] else None
    if spec.rmst_days is not None and rmst_days is None:
        notes.append(f"mean days up to {spec.rmst_days:g}: not observed that long in both arms")

    arms = {arm: _arm(observed, horizons, rmst_days, spec, arm) for arm in ARMS}
    treated, control = arms["treated"], arms["control"]
    ratio, test = None, None
    if compared.pieces is None:  # with weights that change with time the hazards would need a model of their own; shares and means do not
        people = np.flatnonzero(inside)
        sets = RiskSets.of(compared.days[people], success[people], compared.treated[people], compared.weight[people])
        test = log_rank(sets, people, len(inside), compared.clusters, spec.level) if len(sets.leavers) else None
        try:
            value, influence = cox_log_ratio(sets)
            whole, counted = compared.over_all(influence, people), compared.n_people(people)
            ratio = Ratio(Estimate("log of hazard ratio", value, whole, compared.clusters, "log ratio", counted, spec.level))
        except EstimationError as error:
            notes.append(str(error))
    return Effects(
        risk_difference={horizon: treated.risk[horizon] - control.risk[horizon] for horizon in horizons},
        cumulative_incidence={key: treated.cumulative_incidence[key] - control.cumulative_incidence[key] for key in treated.cumulative_incidence},
        rmst_difference=treated.rmst - control.rmst if treated.rmst is not None and control.rmst is not None else None,
        hazard_ratio=ratio,
        log_rank=test,
        arms=arms,
        spec=spec,
        observed_days=observed.until(0.0) if compared.reach is None else float(compared.reach[inside].max()),
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Observed:
    """The compared people `inside`, arm by arm, and those of them whose registers reach a day."""

    compared: Compared
    success: Bools
    inside: Bools
    _known: dict[int, dict[str, _Side]] = field(default_factory=dict)

    def reaching(self, day: float) -> dict[str, _Side]:
        """Give the arms of those who reach a day; who reaches a later day reaches an earlier one, so their number tells them apart."""
        chosen = self.inside & self.compared.reaching(day)
        number = int(chosen.sum())
        if number not in self._known:
            rows = {arm: np.flatnonzero(chosen & (self.compared.treated == (arm == "treated"))) for arm in ARMS}
            self._known[number] = {arm: _Side(one, incidences_by_state(self.compared, self.success, one)) for arm, one in rows.items()}
        return self._known[number]

    def until(self, day: float) -> float:
        """Give the last day on which both arms of those who reach `day` are known."""
        return min(side.until(self.compared) for side in self.reaching(day).values())


@dataclass(frozen=True, eq=False)
class _Side:
    """One arm's rows among the compared, and its incidence by state."""

    rows: NDArray[np.intp]
    incidences: dict[str, Incidence]

    def until(self, compared: Compared) -> float:
        """Give the last day the curve is known: the longest follow-up, or for ever if everybody was seen to leave; 0 for nobody."""
        remaining = self.incidences[ANY].hazards.remaining
        if len(remaining) and remaining[-1] == 0:
            return np.inf
        return float(compared.days[self.rows].max(initial=0.0))


def _arm(observed: _Observed, horizons: list[float], rmst_days: float | None, spec: EffectSpec, arm: str) -> Arm:
    compared = observed.compared

    def estimate(name: str, side: _Side, found: tuple[float, Floats], unit: Unit) -> Estimate:
        value, influence = found
        interval: Literal["plain", "log-log"] = "log-log" if unit == "probability" else "plain"
        people = compared.n_people(side.rows)
        return Estimate(name, value, compared.over_all(influence, side.rows), compared.clusters, unit, people, spec.level, interval)

    rows = np.flatnonzero(observed.inside & (compared.treated == (arm == "treated")))
    sides = {days: observed.reaching(days)[arm] for days in [*horizons, *([] if rmst_days is None else [rmst_days])]}
    states = compared.states if len(compared.states) > 1 else ()
    rmst = None
    if rmst_days is not None:
        rmst = estimate(f"mean days to {rmst_days:g}, {arm}", sides[rmst_days], sides[rmst_days].incidences[ANY].restricted_mean(rmst_days), "days")
    return Arm(
        n=compared.n_people(rows),
        events=int(observed.success[rows].sum()),
        risk={
            horizon: estimate(f"share at {horizon:g} days, {arm}", sides[horizon], sides[horizon].incidences[ANY].at(horizon), "probability")
            for horizon in horizons
        },
        cumulative_incidence={
            (state, horizon): estimate(
                f"share in {state} at {horizon:g} days, {arm}", sides[horizon], sides[horizon].incidences[state].at(horizon), "probability"
            )
            for state in states
            for horizon in horizons
        },
        rmst=rmst,
    )


def _refuse_unseen_horizons(effects: Effects, unit: TimeUnit) -> None:
    spec = effects.spec
    asked = {*spec.horizons_days, *([spec.rmst_days] if spec.rmst_days is not None else [])}
    beyond = sorted(horizon for horizon in asked if horizon > effects.observed_days)
    if beyond:
        listed = ", ".join(f"{horizon / unit.days:g}" for horizon in beyond)
        reach = f"{effects.observed_days / unit.days:g} (unit: {unit.name.lower()})"
        raise HorizonError(
            f"follow-up: horizons must lie within what was observed in both arms, {reach}; {listed} {'does' if len(beyond) == 1 else 'do'} not; "
            "ask for shorter horizons, or extend the follow-up"
        )


def _row(measure: str, horizon: float | None, treated: float, control: float, effect: Estimate | Ratio) -> dict[str, object]:
    told = {"measure": measure, "horizon_days": np.nan if horizon is None else horizon, "treated": treated, "control": control}
    return told | dict(zip(EFFECT_COLUMNS, effect_cells(effect), strict=True))
