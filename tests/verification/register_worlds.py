"""Register worlds: people who do not exist, as every agency would have registered them, through the whole road with the Malmökraften plan.

Traps: worlds where a start does nothing, so that whatever is not 0 is bias. Beside the risk sets stand the designs evaluations often use: A,
participants from their start against others from the day they entered JUG; B, both from the day they entered; C, risk sets, but only of those who
never start. Coverage: a world with an effect, in many replicates; each estimate is held against the truth of the very participants it compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from evaluation import (
    CleanRegisters,
    Cohort,
    Effects,
    MatchingSpec,
    RegisterPlan,
    States,
    censor_later_starts,
    cohort_at_dates,
    cohort_from_trials,
    estimate_effects,
    estimate_propensity,
    load_plan,
    match_cohort,
    observe_outcomes,
    select_cohort,
)
from evaluation.verification import worlds
from evaluation.verification.answers import Answer
from evaluation.verification.worlds import METHOD, ORIGIN, PRIMARY, SEX, TRUE, World, asked, observed

FLAT = ("age", "kon", "origin", "years_in_sweden", "education", "children_0_6", "disability", "assistance_months")
TRAPS = (
    World("no sorting", effect="none", sorting="none"),
    World("job-ready picked", effect="none", sorting="job_ready"),
    World("hard-to-place picked", effect="none", sorting="hard_to_place"),
    World("picked by what no register shows", effect="none", sorting="none", hidden_bias=0.5),
)


@cache
def plan() -> RegisterPlan:
    """Give the plan of the Malmökraften evaluation."""
    found = load_plan(Path(__file__).parents[2] / "reports" / "malmokraften")
    assert isinstance(found, RegisterPlan)
    return found


def replicate(seed: int, participants: int, pool: int) -> Iterator[Answer]:
    """Estimate an effect whose truth is known, by the plan of the evaluation."""
    return worlds.replicate(TRUE, plan(), seed, participants, pool)


def trap(world: World, seed: int, participants: int, pool: int) -> Iterator[Answer]:
    """Estimate an effect that is not there, rightly and in the usual ways."""
    _, clean, states = observed(world, seed, participants, pool)
    cohort, spec = select_cohort(clean, plan().cohort), asked(plan(), (PRIMARY,), None)
    comparison = match_cohort(cohort, estimate_propensity(cohort, plan().propensity), plan().matching)
    follow_up = observe_outcomes(states, cohort, plan().outcome)
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    found = {name: estimate_effects(cohort, comparison, one, spec) for name, one in (("E1", follow_up), ("E2", censored))}
    flat = plan().matching.model_copy(update={"exact": (SEX, ORIGIN)})
    for design, matching in (("A", flat), ("B", flat), ("C", plan().matching)):
        found[design] = share_of(naive(design, clean, cohort), states, matching)
    for what, effects in found.items():
        estimate = effects.risk_difference[PRIMARY]
        method, name = (METHOD, what) if what in ("E1", "E2") else (what, "E1")
        yield Answer(world.name, method, name, estimate.value, estimate.std_error, 0.0)


def share_of(cohort: Cohort, states: States, matching: MatchingSpec) -> Effects:
    """Match and compare, as an evaluator does who has chosen this cohort."""
    comparison = match_cohort(cohort, estimate_propensity(cohort, plan().propensity), matching)
    return estimate_effects(cohort, comparison, observe_outcomes(states, cohort, plan().outcome), asked(plan(), (PRIMARY,), None))


def people_of(clean: CleanRegisters) -> pd.DataFrame:
    """Give everybody who was in JUG: lopnr, first day in JUG, first start in Malmökraften (NaT for those who never did)."""
    programmes, project = clean.frame("programme"), clean.registers.frame("projekt_deltagande")
    entered = programmes[programmes["klass"] == "jug"].groupby("lopnr")["start"].min().rename("entered")
    started = project.groupby("lopnr")["start_datum"].min().rename("started")
    return pd.concat([entered, started], axis=1).dropna(subset="entered").reset_index()


def naive(design: str, clean: CleanRegisters, cohort: Cohort) -> Cohort:
    """Build one of the designs evaluations often use; A and B with what a flat file usually knows of people."""
    if design == "C":
        started = set(people_of(clean).dropna(subset="started")["lopnr"])
        rows = cohort.to_frame().assign(index_date=cohort.index_date)
        kept = rows[rows["treated"] | ~rows["person"].isin(started)]
        return cohort_from_trials(
            kept.reset_index(drop=True),
            treated="treated",
            covariates=list(cohort.covariates),
            person="person",
            trial=str(cohort.trial),
            index_date="index_date",
            strata=[name for name in cohort.strata if name != cohort.trial],
        )
    people = people_of(clean)
    entered, started = people["entered"], people["started"]
    since = pd.Timestamp(plan().cohort.first_month)
    took_part = started.notna()
    index = started.where(took_part, entered) if design == "A" else entered
    kept = people.assign(treated=took_part.astype(int), index_date=index)[
        (index >= since - pd.DateOffset(years=2)) & ~(took_part & (started < since))
    ]
    return cohort_at_dates(clean, kept[["lopnr", "treated", "index_date"]], plan().cohort.model_copy(update={"covariates": FLAT}))
