"""The corridor: a study from its table to its effects. Who has read this file has read the evaluation.

Two verbs, and a verdict on the stairs between them. `design_study` chooses the comparison without touching an outcome column; `analyse_study`
opens the outcomes of that comparison, and of no other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.analysis.curves import Curves, estimate_curves
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.hazards import AdjustedHazardRatio, ProportionalityTest, adjusted_hazard_ratio, check_proportionality
from evaluation.analysis.outcomes import CENSORED, FollowUp, followup_from_table
from evaluation.analysis.subgroups import SubgroupEffects, estimate_subgroups
from evaluation.design.balance import Balance, assess_balance
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.matching import Comparison, match_cohort
from evaluation.design.propensity import PropensityScores, estimate_propensity
from evaluation.design.verdict import Verdict, judge_design
from evaluation.errors import EstimationError, InputError, Problem, VerdictError
from evaluation.plan import OutcomeSection, Plan
from evaluation.registers.schema import Schema, load_schema

EXIT_COLUMN = "kind of exit"


@dataclass(frozen=True, eq=False)
class Design:
    """Who is compared with whom, and whether that supports opening the outcomes.

    Attributes
    ----------
    plan : Plan
    schema : Schema
        Labels of the table's columns; empty where the plan names none.
    cohort : Cohort
    scores : PropensityScores
    comparison : Comparison
    balance : Balance
    verdict : Verdict
    """

    plan: Plan
    schema: Schema
    cohort: Cohort
    scores: PropensityScores
    comparison: Comparison
    balance: Balance
    verdict: Verdict


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


def design_study(table: pd.DataFrame, plan: Plan) -> Design:
    """Choose the comparison of a study and judge it, without looking at an outcome.

    Parameters
    ----------
    table : DataFrame, shape (n, c)
        One row per person; the outcome columns may be absent.
    plan : Plan

    Returns
    -------
    Design

    Raises
    ------
    InputError, DesignError
        As the rooms it goes through.
    """
    breakdowns = (*plan.subgroups.registered, *plan.subgroups.exploratory)
    broken_down = [name for entry in breakdowns for name in ([entry] if isinstance(entry, str) else entry)]
    strata = dict.fromkeys([*plan.cohort.strata, *plan.matching.exact, *broken_down])
    columns = [plan.cohort.treated, *plan.cohort.covariates, *strata, *([plan.cohort.person] if plan.cohort.person else [])]
    schema = load_schema(plan.data.table_schema) if plan.data.table_schema else Schema("", ())
    schema.check(table, columns)
    cohort = cohort_from_table(
        table.assign(**{plan.cohort.treated: _treated(table[plan.cohort.treated], plan)}),
        treated=plan.cohort.treated,
        covariates=plan.cohort.covariates,
        person=plan.cohort.person,
        strata=[name for name in strata if name not in plan.cohort.covariates],
        missing=plan.cohort.missing,
    )
    scores = estimate_propensity(cohort, plan.propensity)
    comparison = match_cohort(cohort, scores, plan.matching)
    balance = assess_balance(cohort, comparison, by=breakdowns)
    verdict = judge_design(cohort, scores, comparison, balance, plan.limits)
    return Design(plan, schema, cohort, scores, comparison, balance, verdict)


def analyse_study(table: pd.DataFrame, design: Design) -> Study:
    """Open the outcomes of a designed study.

    Parameters
    ----------
    table : DataFrame, shape (n, c)
        The table the design was made of, now with its outcome columns.
    design : Design

    Returns
    -------
    Study

    Raises
    ------
    VerdictError
        If the plan is strict and the design failed a check.
    InputError, EstimationError
        As the rooms it goes through.
    """
    plan = design.plan
    if plan.strict and not design.verdict.passed:
        failed = ", ".join(check.name for check in design.verdict.failed)
        raise VerdictError(f"design: checks failed ({failed}) and the plan is strict, so the outcomes stay closed; mend the design")
    design.schema.check(table, plan.outcome.columns)
    exits = plan.outcome.event or EXIT_COLUMN
    follow_up = followup_from_table(
        table.assign(**{exits: _event(table, plan.outcome), plan.outcome.duration: _duration(table, plan.outcome)}),
        days=plan.outcome.duration,
        event=exits,
        censored=CENSORED if plan.outcome.states else plan.outcome.censored,
        unit=plan.outcome.unit,
        person=plan.cohort.person,
        states=tuple(plan.outcome.states) or tuple(plan.outcome.labels) or None,
    )
    spec = plan.effect_spec()
    road = design.cohort, design.comparison, follow_up
    effects = estimate_effects(*road, spec)
    notes = list(effects.notes)
    adjusted, proportionality = None, None
    if effects.hazard_ratio is not None:
        try:
            adjusted = adjusted_hazard_ratio(*road, spec)
        except EstimationError as error:
            notes.append(str(error))
        try:
            proportionality = check_proportionality(*road, spec)
        except EstimationError as error:
            notes.append(str(error))
    return Study(
        design=design,
        follow_up=follow_up,
        curves=estimate_curves(*road, spec),
        effects=effects,
        registered=estimate_subgroups(*road, plan.subgroups.registered, spec),
        exploratory=estimate_subgroups(*road, plan.subgroups.exploratory, spec),
        adjusted=adjusted,
        proportionality=proportionality,
        notes=tuple(dict.fromkeys(notes)),
    )


def _treated(column: pd.Series, plan: Plan) -> pd.Series:
    """Write the plan's value for treated as 1, the other as 0 and a missing one as missing."""
    one, other, name = plan.cohort.treated_value, plan.cohort.control_value, plan.cohort.treated
    treated = column == one
    if not treated.any():
        raise InputError([Problem(name, "has no row with the value the plan calls treated", "correct cohort.treated_value")])
    if other is None and len(column[~treated].dropna().unique()) > 1:
        raise InputError([Problem(name, f"has {column.nunique()} different values", "say in cohort.control_value which of them means control")])
    strange = (~treated & (column != other) & column.notna()).to_numpy() if other is not None else np.zeros(len(column), dtype=bool)
    if strange.any():
        raise InputError(
            [Problem.in_rows(name, "must be one of the plan's two values", strange, "leave these people out of the table, or correct them")]
        )
    return treated.astype("Int64").mask(column.isna())


def _duration(table: pd.DataFrame, outcome: OutcomeSection) -> pd.Series:
    column = table[outcome.duration]
    return column if outcome.zero_duration is None else column.where(column != 0, outcome.zero_duration)


def _event(table: pd.DataFrame, outcome: OutcomeSection) -> pd.Series:
    """Give one column with the kind of exit, from the event column or from one 0/1 column per kind."""
    if not outcome.states:
        return table[str(outcome.event)]
    columns = list(outcome.states.values())
    flags = np.column_stack([table[name].isin([1]).to_numpy() for name in columns])
    known = np.column_stack([table[name].isin([0, 1]).to_numpy() for name in columns])
    rules = [(name, "must be 0 or 1", ~known[:, position], "recode it") for position, name in enumerate(columns)]
    rules.append((", ".join(columns), "at most one may be 1 for a person", flags.sum(axis=1) > 1, "decide which exit came first"))
    problems = Problem.broken(rules)
    if problems:
        raise InputError(problems)
    position = np.where(flags.any(axis=1), flags.argmax(axis=1) + 1, 0)
    return pd.Series(np.array([CENSORED, *outcome.states], dtype=object)[position], index=table.index)
