"""How is a study's table read in the words of its plan: who is in it, and what happened to them?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.analysis.outcomes import CENSORED, FollowUp, followup_from_table
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.errors import InputError, Problem
from evaluation.plan import TablePlan
from evaluation.plan_sections import OutcomeSection
from evaluation.registers.schema import Schema, load_schema

EXIT_COLUMN = "kind of exit"


def cohort_of_table(table: pd.DataFrame, plan: TablePlan) -> tuple[Cohort, Schema]:
    """Read the plan's cohort from a table, held against its schema.

    Parameters
    ----------
    table : DataFrame, shape (n, c)
        One row per person; outcome columns may be absent.
    plan : TablePlan

    Returns
    -------
    Cohort
    Schema
        Empty where the plan names none.

    Raises
    ------
    InputError
        If the table breaks its schema, or the column of the treated has other values than the plan's.
    """
    strata = dict.fromkeys([*plan.cohort.strata, *plan.comparison.exact, *plan.subgroups.columns])
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
    return cohort, schema


def follow_up_of_table(table: pd.DataFrame, schema: Schema, plan: TablePlan) -> FollowUp:
    """Read the plan's durations and exits from a table, held against its schema.

    Parameters
    ----------
    table : DataFrame, shape (n, c)
        One row per person, with the outcome columns.
    schema : Schema
        As `cohort_of_table` gives it.
    plan : TablePlan

    Returns
    -------
    FollowUp

    Raises
    ------
    InputError
        If the table breaks its schema, or an outcome cannot be read as the plan says.
    """
    schema.check(table, plan.outcome.columns)
    exits = plan.outcome.event or EXIT_COLUMN
    return followup_from_table(
        table.assign(**{exits: _event(table, plan.outcome), plan.outcome.duration: _duration(table, plan.outcome)}),
        days=plan.outcome.duration,
        event=exits,
        censored=CENSORED if plan.outcome.states else plan.outcome.censored,
        unit=plan.outcome.unit,
        person=plan.cohort.person,
        states=tuple(plan.outcome.states) or tuple(plan.outcome.labels) or None,
    )


def _treated(column: pd.Series, plan: TablePlan) -> pd.Series:
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
