"""The corridor: a study from its table or its registers to its effects. Who has read this file has read the evaluation.

Two verbs, and a verdict on the stairs between them. `design_study` chooses the comparison without touching an outcome; `analyse_study` opens the
outcomes of that comparison, and of no other. A study of registers is followed further than one of a table: what happens if controls are followed only
until their own start, what everybody did each month, how lasting it was, and what other definitions of success say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.curves import ARMS, Curves, EffectSpec, estimate_curves
from evaluation.analysis.delivered_goals import follow_delivered_goals
from evaluation.analysis.effects import Effects, effects_within, estimate_effects
from evaluation.analysis.estimates import EFFECT_COLUMNS, Ratio, effect_cells
from evaluation.analysis.exits import OutcomeSpec, observe_outcomes, require_tables
from evaluation.analysis.followed import dates_of, first_pay_month
from evaluation.analysis.goals import GoalFollowUp
from evaluation.analysis.hazards import AdjustedHazardRatio, ProportionalityTest, adjusted_hazard_ratio, check_proportionality, period_hazard_ratios
from evaluation.analysis.later_starts import CensoringModel, censor_later_starts
from evaluation.analysis.means import Durability, Occupancy, Totals, estimate_durability, estimate_occupancy, estimate_totals
from evaluation.analysis.outcomes import SUCCESS, FollowUp
from evaluation.analysis.subgroups import SubgroupEffects, estimate_subgroups
from evaluation.analysis.trajectories import STATE_DAYS, observe_trajectories
from evaluation.design.balance import Balance, assess_balance
from evaluation.design.cohort import Cohort
from evaluation.design.cohort_spec import cohort_schema
from evaluation.design.comparison import Comparison
from evaluation.design.covariates import left_out
from evaluation.design.designs import make_comparison
from evaluation.design.propensity import PropensityScores, estimate_propensity
from evaluation.design.risk_sets import select_cohort
from evaluation.design.support import Support, trim_support
from evaluation.design.verdict import Verdict, judge_design
from evaluation.errors import EstimationError, HorizonError, InputError, Problem, VerdictError
from evaluation.plan import Plan, RegisterPlan, TablePlan
from evaluation.plan_tables import cohort_of_table, follow_up_of_table
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.schema import Schema
from evaluation.registers.states import States, observe_states
from evaluation.showing import html_of, text_of

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Design:
    """Who is compared with whom, and whether that supports opening the outcomes.

    Attributes
    ----------
    plan : TablePlan or RegisterPlan
    schema : Schema
        Labels of the cohort's columns; empty where the plan of a table names none.
    cohort : Cohort
    scores : PropensityScores
    comparison : Comparison
    balance : Balance
    verdict : Verdict
    synthetic : bool
        Whether the people are invented; said on every output.
    absent : DataFrame
        covariate, table, reason: the covariates asked for that the cohort does without, as `left_out` gives them; empty for a table.
    support : Support or None
        Who was left out where the groups do not overlap; None where the plan leaves nobody out.
    """

    plan: TablePlan | RegisterPlan
    schema: Schema
    cohort: Cohort
    scores: PropensityScores
    comparison: Comparison
    balance: Balance
    verdict: Verdict
    synthetic: bool
    absent: pd.DataFrame
    support: Support | None = None

    def to_frame(self) -> pd.DataFrame:
        """Give one row per requirement the design is judged by, as the verdict does: check, value, limit, passed."""
        return self.verdict.to_frame()

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)


@dataclass(frozen=True, eq=False)
class Journey:
    """What only registers can tell of the compared people.

    Attributes
    ----------
    per_protocol : Effects
        Controls followed until their own start, those who stay weighted up for those who go.
    censoring : CensoringModel
        The model behind those weights.
    periods : dict of (float, float) to Ratio or None
        Hazard ratio in each period since the index date, in days; None where it would be 0 or infinite.
    occupancy : Occupancy
        Share in each state by month.
    durability : Durability
        How lasting success was.
    totals : Totals
        Benefits and earnings over two years.
    definitions : dict of str to (Effects or str)
        The effects by the other definitions of success; a str names the tables that were not delivered.
    """

    per_protocol: Effects
    censoring: CensoringModel
    periods: dict[tuple[float, float], Ratio | None]
    occupancy: Occupancy
    durability: Durability
    totals: Totals
    definitions: dict[str, Effects | str]

    def to_frame(self) -> pd.DataFrame:
        """Give one row per measure of every part.

        The columns: part (per_protocol, periods, occupancy, durability, totals, or "definition: " and its name), measure, from_days and horizon_days
        (since the index date; a period has both), treated and control (what the two arms have), effect, std_error, low, high, p_value. Missing where
        there is no number; of a definition whose tables were not delivered there is no row.
        """
        nothing = (np.nan,) * len(EFFECT_COLUMNS)
        periods = [("hazard_ratio", *ends, *(effect_cells(ratio) if ratio else nothing)) for ends, ratio in self.periods.items()]
        occupancy = self.occupancy.to_frame()
        parts = {
            "per_protocol": self.per_protocol.to_frame(),
            "periods": pd.DataFrame(periods, columns=["measure", "from_days", "horizon_days", *EFFECT_COLUMNS]),
            "occupancy": occupancy.assign(measure=occupancy["state"], horizon_days=STATE_DAYS[occupancy["month"].to_numpy(dtype=np.intp)]),
            "durability": self.durability.to_frame(),
            "totals": self.totals.to_frame(),
            **{f"definition: {name}": found.to_frame() for name, found in self.definitions.items() if isinstance(found, Effects)},
        }
        numbers = ["from_days", "horizon_days", *ARMS, *EFFECT_COLUMNS]
        tables = [table.assign(part=part).reindex(columns=["part", "measure", *numbers]) for part, table in parts.items()]
        return pd.concat([table.astype(dict.fromkeys(numbers, np.float64)) for table in tables if len(table)], ignore_index=True)


@dataclass(frozen=True, eq=False)
class Study:
    """A design and what its outcomes said.

    Attributes
    ----------
    design : Design
    follow_up : FollowUp
    curves : Curves
    effects : Effects
    registered, exploratory : SubgroupEffects
        Breakdowns decided beforehand, and afterwards.
    adjusted : AdjustedHazardRatio or None
        Check: the hazard ratio with covariates in the model. None where it could not be had.
    proportionality : ProportionalityTest or None
    notes : tuple of str
        What could not be had, and why.
    journey : Journey or None
        None for a study of one table.
    goals : GoalFollowUp or None
        How near the project came to its goals by its own record; None where the plan names none, or the study is of one table.
    """

    design: Design
    follow_up: FollowUp
    curves: Curves
    effects: Effects
    registered: SubgroupEffects
    exploratory: SubgroupEffects
    adjusted: AdjustedHazardRatio | None
    proportionality: ProportionalityTest | None
    notes: tuple[str, ...]
    journey: Journey | None
    goals: GoalFollowUp | None = None

    def to_frame(self) -> pd.DataFrame:
        """Give one row per effect: of everybody, of each group, and between groups.

        The columns: part (effects, registered or exploratory), then by, group, measure, treated, control (people), effect, low, high, p_value as in
        `SubgroupEffects.to_frame`; by and group are "" for everybody. What the arms themselves have stands in `effects.to_frame`.
        """
        size = [self.effects.arms[arm].n for arm in ARMS]
        rows = [("effects", "", "", name, *size, one.value, one.low, one.high, one.p_value) for name, one in self.effects.estimates().items()]
        groups = {"registered": self.registered.to_frame(), "exploratory": self.exploratory.to_frame()}
        whole = pd.DataFrame(rows, columns=["part", *groups["registered"].columns])
        parts = [whole, *(table.assign(part=part) for part, table in groups.items())]
        numbers = dict.fromkeys(whole.columns[4:], np.float64)
        return pd.concat([table[whole.columns].astype(numbers) for table in parts if len(table)], ignore_index=True)

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)


def design_study(source: pd.DataFrame | CleanRegisters, plan: TablePlan | RegisterPlan) -> Design:
    """Choose the comparison of a study and judge it, without looking at an outcome.

    Parameters
    ----------
    source : DataFrame, shape (n, c), or CleanRegisters
        A table with one row per person, whose outcome columns may be absent; or registers, as the plan says.
    plan : TablePlan or RegisterPlan

    Returns
    -------
    Design

    Raises
    ------
    InputError, DesignError
        As the rooms it goes through.
    """
    if isinstance(plan, RegisterPlan):
        registers = _registers(source)
        require_tables(registers, plan.outcome)  # before anything is decided on a question that cannot be answered
        cohort = select_cohort(registers, plan.cohort)
        schema, synthetic = cohort_schema(plan.cohort, registers.registers.contract), registers.registers.synthetic
        absent = left_out(cohort.covariates.columns, plan.cohort.covariates, registers.registers.names)
    else:
        cohort, schema = cohort_of_table(_table(source), plan)
        synthetic, absent = plan.data.synthetic, left_out((), (), ())
    of_everybody = estimate_propensity(cohort, plan.propensity)
    kept, scores, support = keep_support(cohort, of_everybody, plan)
    comparison = make_comparison(kept, scores, plan.comparison)
    balance = assess_balance(kept, comparison, by=plan.subgroups.every, limit_in_groups=plan.limits.worst_subgroup_smd)
    verdict = judge_design(cohort, of_everybody, comparison, balance, plan.limits)
    return Design(plan, schema, kept, scores, comparison, balance, verdict, synthetic, absent, support)


def keep_support(cohort: Cohort, scores: PropensityScores, plan: Plan) -> tuple[Cohort, PropensityScores, Support | None]:
    """Leave out who has no counterpart, where the plan asks for it; the weights of who stays are of a model on them alone."""
    if plan.support is None:
        return cohort, scores, None
    support = trim_support(cohort, scores, plan.support)
    return support.cohort, support.scores if plan.weighting is None else estimate_propensity(support.cohort, plan.propensity), support


def analyse_study(source: pd.DataFrame | CleanRegisters, design: Design) -> Study:
    """Open the outcomes of a designed study.

    Parameters
    ----------
    source : DataFrame, shape (n, c), or CleanRegisters
        What the design was made of; a table now with its outcome columns.
    design : Design

    Returns
    -------
    Study

    Raises
    ------
    VerdictError
        If the plan is strict and the design failed a check.
    HorizonError
        If the records do not reach the horizon of the answer; for a table, any horizon.
    InputError, EstimationError
        As the rooms it goes through.
    """
    plan = design.plan
    if plan.strict and not design.verdict.passed:
        failed = ", ".join(check.name for check in design.verdict.failed)
        raise VerdictError(f"design: checks failed ({failed}) and the plan is strict, so the outcomes stay closed; mend the design")
    spec, notes = plan.effect_spec(), list[str]()
    if isinstance(plan, RegisterPlan):
        states = observe_states(_registers(source))
        follow_up = observe_outcomes(states, design.cohort, plan.outcome, time_zero=plan.cohort.time_zero)
        spec, notes = _within_reach(_of_success(spec, states, plan.outcome), states.clean, design, follow_up)
    else:
        follow_up = follow_up_of_table(_table(source), design.schema, plan)
    road = design.cohort, design.comparison, follow_up
    effects = estimate_effects(*road, spec)
    notes += effects.notes
    adjusted, proportionality = None, None
    if effects.hazard_ratio is not None:
        adjusted = _or_note(adjusted_hazard_ratio, road, spec, notes)
        proportionality = _or_note(check_proportionality, road, spec, notes)
    grouped, asked = road, spec
    if spec.success is not None and len(follow_up.states) > 2:  # a group's effect is one of success: an influence for each kind of exit would be idle
        grouped = *road[:2], follow_up.pooled(spec.success)
        asked = spec.model_copy(update={"success": (SUCCESS,)})
    return Study(
        design=design,
        follow_up=follow_up,
        curves=estimate_curves(*road, spec),
        effects=effects,
        registered=estimate_subgroups(*grouped, plan.subgroups.registered, asked),
        exploratory=estimate_subgroups(*grouped, plan.subgroups.exploratory, asked),
        adjusted=adjusted,
        proportionality=proportionality,
        notes=tuple(dict.fromkeys(notes)),
        journey=_journey(states, design, plan, follow_up, spec) if isinstance(plan, RegisterPlan) else None,
        goals=follow_delivered_goals(_registers(source).registers, plan.goals) if isinstance(plan, RegisterPlan) and plan.goals else None,
    )


def _or_note(
    check: Callable[[Cohort, Comparison, FollowUp, EffectSpec], Found], road: tuple[Cohort, Comparison, FollowUp], spec: EffectSpec, notes: list[str]
) -> Found | None:
    """Give what a check of the hazard ratio finds, or note why it cannot be made."""
    try:
        return check(*road, spec)
    except EstimationError as error:
        notes.append(str(error))
        return None


def _journey(states: States, design: Design, plan: RegisterPlan, follow_up: FollowUp, spec: EffectSpec) -> Journey:
    """Follow the compared people through the registers, beyond their first exit and under other questions."""
    pair = design.cohort, design.comparison
    to_own_start, censoring = censor_later_starts(*pair, follow_up)
    trajectory = observe_trajectories(states, *pair, follow_up, plan.outcome)
    return Journey(
        per_protocol=_effects_where_seen(design, to_own_start, spec),
        censoring=censoring,
        periods=period_hazard_ratios(*pair, follow_up, spec),
        occupancy=estimate_occupancy(*pair, trajectory, spec.level),
        durability=estimate_durability(*pair, trajectory, spec.level),
        totals=estimate_totals(*pair, trajectory, spec.level),
        definitions={outcome.definition: _effects_by(states, design, outcome, spec) for outcome in plan.other_outcomes},
    )


def _effects_by(states: States, design: Design, outcome: OutcomeSpec, spec: EffectSpec) -> Effects | str:
    """Estimate the effects by another definition of success, or name the tables it needs and that were not delivered."""
    try:
        follow_up = observe_outcomes(states, design.cohort, outcome)
    except InputError as error:
        return ", ".join(problem.where for problem in error.problems)
    return _effects_where_seen(design, follow_up, _of_success(spec, states, outcome))


def _of_success(spec: EffectSpec, states: States, outcome: OutcomeSpec) -> EffectSpec:
    """Ask for the states that are success by the code lists of these registers, which may be the site's own."""
    return spec.model_copy(update={"success": outcome.success(states.clean.registers.contract)})


def _effects_where_seen(design: Design, follow_up: FollowUp, spec: EffectSpec) -> Effects:
    """Estimate the effects at those horizons that this follow-up reaches; the others become notes."""
    compared = compared_follow_up(design.cohort, design.comparison, follow_up)
    return effects_within(compared, spec.succeeded(compared), np.ones(len(compared.days), dtype=bool), spec)


def _within_reach(spec: EffectSpec, clean: CleanRegisters, design: Design, follow_up: FollowUp) -> tuple[EffectSpec, list[str]]:
    """Keep the horizons to which the records of some trial reach, and note the others."""
    assert follow_up.reach is not None
    farthest, primary = float(follow_up.reach[design.comparison.rows].max()), design.plan.primary_days
    if primary > farthest:
        month = design.plan.unit.days
        if isinstance(design.plan, RegisterPlan) and design.plan.outcome.definition == "independent" and _begins_before_pay(clean, design):
            raise HorizonError(
                f"follow-up: the records of pay (manadslon) begin too late: the first trial they cover reaches {farthest / month:.0f} months, and "
                f"the answer is asked for at {primary / month:.0f}; choose another definition (outcome.definition), or ask for later trials "
                "(cohort.first_month, cohort.last_month)"
            )
        raise HorizonError(
            f"follow-up: the records of the first trial reach {farthest / month:.0f} months, and the answer is asked for at {primary / month:.0f}; "
            "ask for a shorter one (effects.primary), or wait for registers that are complete until later"
        )
    horizons = tuple(horizon for horizon in spec.horizons_days if horizon <= farthest)
    rmst_days = spec.rmst_days if spec.rmst_days is not None and spec.rmst_days <= farthest else None
    beyond = [f"share at {horizon:g} days" for horizon in spec.horizons_days if horizon not in horizons]
    beyond += [f"mean days up to {spec.rmst_days:g}"] if spec.rmst_days != rmst_days else []
    notes = [f"{what}: the records of no trial reach that far" for what in beyond]
    return spec.model_copy(update={"horizons_days": horizons, "rmst_days": rmst_days}), notes


def _begins_before_pay(clean: CleanRegisters, design: Design) -> bool:
    """Say whether somebody who is compared has an index date before the first month of pay."""
    return bool((dates_of(design.cohort).iloc[design.comparison.rows] < first_pay_month(clean)).any())


def _registers(source: pd.DataFrame | CleanRegisters) -> CleanRegisters:
    if not isinstance(source, CleanRegisters):
        raise InputError([Problem("the source", "is not registers, which this plan starts at", "give what clean_registers returns")])
    return source


def _table(source: pd.DataFrame | CleanRegisters) -> pd.DataFrame:
    if not isinstance(source, pd.DataFrame):
        raise InputError([Problem("the source", "is not a table, which this plan starts at", "give a data frame with one row per person")])
    return source
