"""What is the truth for the very participants who are compared, and what does the whole road say of them?

People who do not exist are simulated, with both lives of every participant: the one with the start and the one without. Their registers, as every
agency would have kept them, go the whole road: read, cleaned, risk sets, propensities, matching, outcomes, effects, groups. Each estimate is held
against what really happened, in both lives, to the participants it compares.

References
----------
Morris, White & Crowther (2019), Statistics in Medicine 38, 2074-2102 (simulation studies: aims, estimands, what to report).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from string import Template
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.exits import observe_outcomes
from evaluation.analysis.later_starts import censor_later_starts
from evaluation.analysis.subgroups import SubgroupEffects, estimate_subgroups
from evaluation.design.matching import match_cohort
from evaluation.design.propensity import estimate_propensity
from evaluation.design.risk_sets import select_cohort
from evaluation.plan import RegisterPlan, read_plan
from evaluation.registers.cleaning import CleanRegisters, clean_registers
from evaluation.registers.contract import load_contract
from evaluation.registers.site import Site
from evaluation.registers.states import States, observe_states
from evaluation.registers.synthetic.simulate import Sorting, SyntheticRegisters, simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.verification.answers import RESTRICTED, Answer

PRIMARY = 548  # days: 18 months, the answer of the plan
HORIZONS = (183, 365, PRIMARY, RESTRICTED)
ORIGIN, SEX = "fodd_utanfor_europa", "kon"
GROUPS = ((ORIGIN, "ja", "nej"), (SEX, "2", "1"))
METHOD = "risk sets"
LAST_DAY = np.datetime64("2023-12-31")  # of the synthetic registers
NEW_STUDY = {"name": "Malmökraften", "municipality": "1280", "study": "malmokraften"}  # what a new study's plan is filled in with


class World(NamedTuple):
    """What is simulated: what a start does, and who starts."""

    name: str
    effect: str
    sorting: Sorting
    hidden_bias: float = 0.0


TRUE = World("published", effect="published", sorting="hard_to_place")


@cache
def packaged_plan() -> RegisterPlan:
    """Give the plan a new study of registers begins with, which has Malmökraften's form and is part of the installed package."""
    template = files("evaluation").joinpath("cli/templates/registers.plan.toml").read_text(encoding="utf-8")
    plan = read_plan(tomllib.loads(Template(template).substitute(NEW_STUDY)))
    assert isinstance(plan, RegisterPlan)
    return plan


def asked(plan: RegisterPlan, horizons_days: tuple[int, ...], rmst_days: int | None) -> EffectSpec:
    """Ask for success as the plan defines it."""
    return EffectSpec(horizons_days=horizons_days, rmst_days=rmst_days, success=plan.outcome.success(load_contract()))


def observed(world: World, seed: int, participants: int, pool: int) -> tuple[SyntheticRegisters, CleanRegisters, States]:
    """Simulate registers and take them through the door, on one thread: the worlds run side by side."""
    made = simulate_registers(participants, pool, seed=seed, effect=world.effect, sorting=world.sorting, hidden_bias=world.hidden_bias)
    clean = clean_registers(read_registers(made.tables, site=Site(threads=1)))
    return made, clean, observe_states(clean)


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

    def risk(self, otherwise: str, horizon_days: int, by: str | None = None, level: str | None = None) -> float:
        """Give the effect on the share with success by a horizon, of those whose registers reach so far."""
        seen = self.reach >= horizon_days
        if by is not None:
            seen = seen & (self.levels[by] == level).to_numpy()
        one, other = ((self.success[world] & (self.days[world] <= horizon_days))[seen].mean() for world in ("factual", otherwise))
        return float(one - other)

    def restricted_mean(self) -> float:
        """Give the effect on days without success within the restricted time."""
        seen = self.reach >= RESTRICTED
        one, other = (
            np.minimum(np.where(self.success[world], self.days[world], RESTRICTED), RESTRICTED)[seen].mean() for world in ("factual", "not_now")
        )
        return float(one - other)


def replicate(world: World, plan: RegisterPlan, seed: int, participants: int, pool: int) -> Iterator[Answer]:
    """Go the whole road through one world, and hold every estimate against the truth of the very participants who are compared.

    Parameters
    ----------
    world : World
    plan : RegisterPlan
        Its cohort, participation model, matching and outcome are used; it must match.
    seed : int
        Of the simulation.
    participants, pool : int
        People who start, and others who are in JUG some day.

    Yields
    ------
    Answer
        E1 and E2 at every horizon, E3, then E1 at the primary horizon by group and between groups.
    """
    made, clean, states = observed(world, seed, participants, pool)
    cohort = select_cohort(clean, plan.cohort)
    comparison = match_cohort(cohort, estimate_propensity(cohort, plan.propensity), plan.matching)
    follow_up = observe_outcomes(states, cohort, plan.outcome)
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    spec = asked(plan, HORIZONS, RESTRICTED)
    e1, e2 = (estimate_effects(cohort, comparison, one, spec) for one in (follow_up, censored))
    groups = estimate_subgroups(cohort, comparison, follow_up, [by for by, _, _ in GROUPS], asked(plan, (PRIMARY,), None))
    compared = comparison.person[comparison.rows[comparison.treated[comparison.rows]]]
    truth = Truth.of(made.potential[made.potential["lopnr"].isin(compared)], spec.success or ())
    for name, effects, otherwise in (("E1", e1, "not_now"), ("E2", e2, "never")):
        for horizon, one in effects.risk_difference.items():
            yield Answer(world.name, METHOD, f"{name}, {horizon:g} days", one.value, one.std_error, truth.risk(otherwise, int(horizon)))
    if e1.rmst_difference is not None:
        yield Answer(world.name, METHOD, "E3", e1.rmst_difference.value, e1.rmst_difference.std_error, truth.restricted_mean())
    yield from _by_group(world, groups, truth)


def _by_group(world: World, groups: SubgroupEffects, truth: Truth) -> Iterator[Answer]:
    """Hold E1 of every group, and of every group against its other, against the truth."""
    for by, level, reference in GROUPS:
        true = {one: truth.risk("not_now", PRIMARY, by, one) for one in (level, reference)}
        for one in (level, reference):
            effect = groups.effects[by, one]
            if isinstance(effect, Effects) and PRIMARY in effect.risk_difference:
                found = effect.risk_difference[PRIMARY]
                yield Answer(world.name, METHOD, f"E1, {by} = {one}", found.value, found.std_error, true[one])
        for first, second, sign in ((level, reference, 1), (reference, level, -1)):
            gap = groups.differences.get((by, first, second, f"risk_{PRIMARY}"))
            if gap is not None:
                gap_true = true[level] - true[reference]
                yield Answer(world.name, METHOD, f"E1, {by}: {level} minus {reference}", sign * gap.value, gap.std_error, gap_true)
