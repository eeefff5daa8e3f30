"""Register worlds: people who do not exist, as every agency would have registered them, through the whole road with the Malmökraften plan.

Traps: worlds where a start does nothing, so that whatever is not 0 is bias. Beside the risk sets stand the designs evaluations often use: A,
participants from their start against others from the day they entered JUG; B, both from the day they entered; C, risk sets, but only of those who
never start. Coverage: a world with an effect, in many replicates; each estimate is held against the truth of the very participants it compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from answers import Answer
from numpy.typing import NDArray

from evaluation import (
    CleanRegisters,
    Cohort,
    Effects,
    EffectSpec,
    MatchingSpec,
    RegisterPlan,
    Site,
    States,
    SyntheticRegisters,
    censor_later_starts,
    clean_registers,
    cohort_at_dates,
    cohort_from_trials,
    estimate_effects,
    estimate_propensity,
    estimate_subgroups,
    load_contract,
    load_plan,
    match_cohort,
    observe_outcomes,
    observe_states,
    read_registers,
    select_cohort,
    simulate_registers,
)

PRIMARY, RESTRICTED = 548, 730
HORIZONS = (183, 365, PRIMARY, RESTRICTED)
ORIGIN, SEX = "fodd_utanfor_europa", "kon"
GROUPS = ((ORIGIN, "ja", "nej"), (SEX, "2", "1"))
FLAT = ("age", "kon", "origin", "years_in_sweden", "education", "children_0_6", "disability", "assistance_months")
LAST_DAY = np.datetime64("2023-12-31")  # of the synthetic registers


class World(NamedTuple):
    """What is simulated."""

    name: str
    options: dict[str, object]


TRAPS = (
    World("no sorting", {"effect": "none", "sorting": "none"}),
    World("job-ready picked", {"effect": "none", "sorting": "job_ready"}),
    World("hard-to-place picked", {"effect": "none", "sorting": "hard_to_place"}),
    World("picked by what no register shows", {"effect": "none", "sorting": "none", "hidden_bias": 0.5}),
)
TRUE = World("published", {"effect": "published", "sorting": "hard_to_place"})


@cache
def plan() -> RegisterPlan:
    """Give the plan of the Malmökraften evaluation."""
    found = load_plan(Path(__file__).parents[2] / "reports" / "malmokraften")
    assert isinstance(found, RegisterPlan)
    return found


def asked(horizons: tuple[int, ...], rmst_days: int | None) -> EffectSpec:
    """Ask for success as the plan defines it."""
    return EffectSpec(horizons_days=horizons, rmst_days=rmst_days, success=plan().outcome.success(load_contract()))


def observed(world: World, seed: int, participants: int, pool: int) -> tuple[SyntheticRegisters, CleanRegisters, States]:
    """Simulate registers and take them through the door, on one thread: the worlds run side by side."""
    made = simulate_registers(participants, pool, seed=seed, **world.options)
    clean = clean_registers(read_registers(made.tables, site=Site(threads=1)))
    return made, clean, observe_states(clean)


def trap(world: World, seed: int, participants: int, pool: int) -> Iterator[Answer]:
    """Estimate an effect that is not there, rightly and in the usual ways."""
    _, clean, states = observed(world, seed, participants, pool)
    cohort, spec = select_cohort(clean, plan().cohort), asked((PRIMARY,), None)
    comparison = match_cohort(cohort, estimate_propensity(cohort, plan().propensity), plan().matching)
    follow_up = observe_outcomes(states, cohort, plan().outcome)
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    found = {name: estimate_effects(cohort, comparison, one, spec) for name, one in (("E1", follow_up), ("E2", censored))}
    flat = plan().matching.model_copy(update={"exact": (SEX, ORIGIN)})
    for design, matching in (("A", flat), ("B", flat), ("C", plan().matching)):
        found[design] = share_of(naive(design, clean, cohort), states, matching)
    for what, effects in found.items():
        estimate = effects.risk_difference[PRIMARY]
        method, name = ("risk sets", what) if what in ("E1", "E2") else (what, "E1")
        yield Answer(world.name, method, name, estimate.value, estimate.std_error, 0.0)


def share_of(cohort: Cohort, states: States, matching: MatchingSpec) -> Effects:
    """Match and compare, as an evaluator does who has chosen this cohort."""
    comparison = match_cohort(cohort, estimate_propensity(cohort, plan().propensity), matching)
    return estimate_effects(cohort, comparison, observe_outcomes(states, cohort, plan().outcome), asked((PRIMARY,), None))


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


class Truth(NamedTuple):
    """Both lives of some participants: days to the first exit and whether it is success, of each, and how long their registers reach."""

    days: dict[str, NDArray[np.int64]]
    success: dict[str, NDArray[np.bool_]]
    reach: NDArray[np.int64]
    levels: pd.DataFrame

    @classmethod
    def of(cls, potential: pd.DataFrame, success: tuple[str, ...]) -> Truth:
        """Take them from what the simulation knows."""
        worlds = {str(name): part.set_index("lopnr").sort_index() for name, part in potential.groupby("world")}
        now = worlds["factual"]
        reach = (LAST_DAY - now["start"].to_numpy().astype("datetime64[D]")).astype(np.int64)
        days = {name: part["days"].to_numpy() for name, part in worlds.items()}
        return cls(days, {name: part["exit"].isin(success).to_numpy() for name, part in worlds.items()}, reach, now[[SEX, ORIGIN]])

    def risk(self, otherwise: str, horizon: int, by: str | None = None, level: str | None = None) -> float:
        """Give the effect on the share with success by a horizon, of those whose registers reach so far."""
        seen = self.reach >= horizon
        if by is not None:
            seen = seen & (self.levels[by] == level).to_numpy()
        one, other = ((self.success[world] & (self.days[world] <= horizon))[seen].mean() for world in ("factual", otherwise))
        return float(one - other)

    def restricted_mean(self) -> float:
        """Give the effect on days without success within the restricted time."""
        seen = self.reach >= RESTRICTED
        one, other = (
            np.minimum(np.where(self.success[world], self.days[world], RESTRICTED), RESTRICTED)[seen].mean() for world in ("factual", "not_now")
        )
        return float(one - other)


def replicate(world: World, seed: int, participants: int, pool: int) -> Iterator[Answer]:
    """Estimate an effect whose truth is known, for the very participants who are compared."""
    made, clean, states = observed(world, seed, participants, pool)
    cohort = select_cohort(clean, plan().cohort)
    comparison = match_cohort(cohort, estimate_propensity(cohort, plan().propensity), plan().matching)
    follow_up = observe_outcomes(states, cohort, plan().outcome)
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    spec, method = asked(HORIZONS, RESTRICTED), "risk sets"
    e1, e2 = (estimate_effects(cohort, comparison, one, spec) for one in (follow_up, censored))
    groups = estimate_subgroups(cohort, comparison, follow_up, [by for by, _, _ in GROUPS], asked((PRIMARY,), None))
    compared = comparison.person[comparison.rows[comparison.treated[comparison.rows]]]
    truth = Truth.of(made.potential[made.potential["lopnr"].isin(compared)], spec.success or ())
    for name, effects, otherwise in (("E1", e1, "not_now"), ("E2", e2, "never")):
        for horizon, one in effects.risk_difference.items():
            yield Answer(world.name, method, f"{name}, {horizon:g} days", one.value, one.std_error, truth.risk(otherwise, int(horizon)))
    if e1.rmst_difference is not None:
        yield Answer(world.name, method, "E3", e1.rmst_difference.value, e1.rmst_difference.std_error, truth.restricted_mean())
    for by, level, reference in GROUPS:
        true = {one: truth.risk("not_now", PRIMARY, by, one) for one in (level, reference)}
        for one in (level, reference):
            effect = groups.effects[by, one]
            if isinstance(effect, Effects) and PRIMARY in effect.risk_difference:
                found = effect.risk_difference[PRIMARY]
                yield Answer(world.name, method, f"E1, {by} = {one}", found.value, found.std_error, true[one])
        for first, second, sign in ((level, reference, 1), (reference, level, -1)):
            gap = groups.differences.get((by, first, second, f"risk_{PRIMARY}"))
            if gap is not None:
                gap_true = true[level] - true[reference]
                yield Answer(world.name, method, f"E1, {by}: {level} minus {reference}", sign * gap.value, gap.std_error, gap_true)
