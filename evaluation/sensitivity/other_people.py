"""What if others were compared, or the clock started on another day?

By offer instead of start, without the trial month, without the project's first months, in one phase or one part of the pandemic alone, without one of
the teams, and with controls from another place.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.wild_bootstrap import wild_cluster_bootstrap
from evaluation.design.cohort import Cohort, Rows
from evaluation.design.cohort_spec import TRIAL
from evaluation.design.designs import make_comparison
from evaluation.design.propensity import estimate_propensity
from evaluation.design.risk_sets import select_cohort
from evaluation.registers.history import PERSON
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.rows import CannotRun, Finding, Row, absent, answer, attempt

FIRST_MONTHS = 3  # before the teams had found their ways
SEED = 1  # of the wild bootstrap's multipliers
REPLICATES = 9999


def count_from_offer(baseline: Baseline) -> Finding:
    """Count from the day a place was offered, whether or not it was taken."""

    def run() -> Row:
        plan = baseline.register_plan
        if plan.cohort.time_zero == "offer":
            raise CannotRun("method", "the plan counts from the offer already")
        cohort = select_cohort(baseline.registers, plan.cohort.model_copy(update={"time_zero": "offer"}))
        effects = baseline.road(cohort, baseline.observed(cohort, baseline.states, time_zero="offer"))
        return answer("offer_date", "", effects, baseline.horizon_days, same_people=False)

    return Finding((attempt("offer_date", "", run),))


def freeze_dates(baseline: Baseline) -> Finding:
    """Give everybody one index date and forget the calendar: the static design of a file with one row per person."""

    def run() -> Row:
        cohort = baseline.design.cohort
        if cohort.trial is None:
            raise CannotRun("registers", "needs risk sets; this study has one row per person already")
        rows = _one_row_each(cohort)
        static = cohort.take(rows)
        flat = Cohort(
            static.covariates, static.treated, static.person, static.strata, static.index_date, static.tiebreak, static.order, static.attrition
        )
        exact = tuple(name for name in baseline.plan.comparison.exact if name != cohort.trial)
        scores = estimate_propensity(flat, baseline.plan.propensity)
        comparison = make_comparison(flat, scores, baseline.plan.comparison.model_copy(update={"exact": exact}))
        return answer("static", "", estimate_effects(flat, comparison, baseline.follow_up.take(rows), baseline.spec), baseline.horizon_days)

    return Finding((attempt("static", "", run),))


def _one_row_each(cohort: Cohort) -> Rows:
    """Choose a row of each person: the treated one, or else the one whose hash comes first, so that nothing that followed decides."""
    order = np.lexsort((cohort.tiebreak, ~cohort.treated, cohort.person_code))
    first = np.append(True, np.diff(cohort.person_code[order]) != 0)
    return np.sort(order[first])


def leave_out_first_months(baseline: Baseline) -> Finding:
    """Leave out those who started in the project's first months, and their controls."""

    def run() -> Row:
        plan, cohort = baseline.register_plan, baseline.design.cohort
        begin = pd.Period(plan.cohort.first_month, "M") + FIRST_MONTHS
        inside = (cohort.column(TRIAL).astype(str) >= str(begin)).to_numpy(dtype=bool)
        return answer("first_months", f"{FIRST_MONTHS}", baseline.among(inside), baseline.horizon_days, same_people=False)

    return Finding((attempt("first_months", f"{FIRST_MONTHS}", run),))


def keep_period(baseline: Baseline, column: str, level: str) -> Finding:
    """Keep only those who started in one period, and their controls."""

    def run() -> Row:
        inside = (baseline.design.cohort.column(column).astype(str) == level).to_numpy(dtype=bool)
        effects = baseline.among(inside)
        smallest = min(effects.arms[arm].n for arm in ("treated", "control"))
        if smallest < baseline.spec.smallest_arm:
            raise CannotRun("people", f"too few people: {smallest} on a side")
        return answer("period", f"{column}={level}", effects, baseline.horizon_days, same_people=False)

    return Finding((attempt("period", f"{column}={level}", run),))


def leave_out_teams(baseline: Baseline) -> Finding:
    """Leave out one team at a time, with those it was compared with, and let the whole answer vary by team."""
    try:
        of_row = _teams(baseline)
    except CannotRun as error:
        return Finding(tuple(absent(probe, "", error) for probe in ("without_team", "team_clusters")))
    rows = []
    for name in sorted(set(of_row.dropna())):

        def run(name: str = name) -> Row:
            effects = baseline.among((of_row != name).to_numpy(dtype=bool))
            return answer("without_team", name, effects, baseline.horizon_days, same_people=False)

        rows.append(attempt("without_team", name, run))
    return Finding((*rows, attempt("team_clusters", "", lambda: _by_team(baseline, of_row))))


def _teams(baseline: Baseline) -> pd.Series:
    """Give the team of each matched row, shape (n,): a control's is that of the participants it is matched to; missing for who is not compared."""
    comparison, clean = baseline.design.comparison, baseline.registers
    if comparison.weight_model is not None or len(comparison.member_row) > len(comparison.rows):
        raise CannotRun("method", "needs matched sets that share nobody, which belong to the team of their participants")
    started = clean.registers.frame("projekt_deltagande").sort_values(["start_datum", "fas"]).drop_duplicates(PERSON)
    known = started.set_index(started[PERSON].astype("string"))["team"]
    person = baseline.design.cohort.person.astype("string")
    row, of_set = comparison.member_row, comparison.member_set
    treated = comparison.treated[row]
    team = pd.Series(known.reindex(person[row[treated]]).to_numpy(dtype=object)).groupby(of_set[treated]).agg(["first", "nunique"])
    if team["first"].isna().any() or (team["nunique"] > 1).any() or team["first"].nunique() < 2:
        raise CannotRun(
            "table", "the team (projekt_deltagande.team) is not recorded for everybody, is the same for all, or differs within a matched set"
        )
    return pd.Series(team["first"].reindex(of_set).to_numpy(dtype=object), index=row).reindex(range(len(person)))


def _by_team(baseline: Baseline, of_row: pd.Series) -> Row:
    """Give the answer with an interval that knows that participants of a team, and those matched to them, share what their team does."""
    effect = baseline.effects.risk_difference[baseline.horizon_days]
    ids = of_row.to_numpy(dtype=object)[baseline.design.comparison.rows]
    found = wild_cluster_bootstrap(effect, ids, replicates=REPLICATES, seed=SEED)
    return Row("team_clusters", "", "answer", found.value, found.low, found.high, found.p_value, *baseline.n_people)


def compare_with_elsewhere(baseline: Baseline) -> Finding:
    """Compare the participants with people in JUG in other municipalities, where nobody was offered a place."""

    def run() -> Row:
        plan, clean = baseline.register_plan, baseline.registers
        home = plan.cohort.municipality
        if home is None:
            raise CannotRun("method", "the plan takes people of every municipality already")
        people = clean.registers.frame("individ").set_index(PERSON)["kommun"].astype("string")
        if not (people.dropna() != home).any():
            raise CannotRun("table", "nobody in JUG in another municipality is delivered")
        cohort = select_cohort(clean, plan.cohort.model_copy(update={"municipality": None}))
        elsewhere = (people.reindex(cohort.person.astype("string")) != home).to_numpy(dtype=bool, na_value=False)
        rows = np.flatnonzero(np.where(cohort.treated, ~elsewhere, elsewhere))
        chosen = cohort.take(rows)
        if not chosen.n_control:
            raise CannotRun("people", "nobody in another municipality was in JUG in the months of the trials")
        return answer("elsewhere", "", baseline.road(chosen, baseline.observed(cohort, baseline.states).take(rows)), baseline.horizon_days)

    return Finding((attempt("elsewhere", "", run),))
