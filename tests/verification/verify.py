"""Does the whole road find the truth, and do the usual designs miss it?

Run by `make verify`, which rewrites docs/validation.md. Every figure is from synthetic registers through the public functions an evaluator calls,
with the Malmökraften plan's own cohort, matching and propensity.

Traps: worlds where a start does nothing, so that whatever is not 0 is bias. Beside the risk sets stand the designs evaluations often use: A,
participants from their start against others from the day they entered JUG; B, both from the day they entered; C, risk sets, but only of those who
never start. Coverage: a world with an effect, in many replicates; each estimate is held against the truth of the very participants it compares.

References
----------
Morris, White & Crowther (2019), Statistics in Medicine 38, 2074-2102 (bias, coverage and their Monte Carlo errors).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from itertools import starmap
from pathlib import Path
from platform import python_version
from typing import NamedTuple

import pandas as pd

from evaluation import (
    CleanRegisters,
    Cohort,
    Effects,
    EffectSpec,
    MatchingSpec,
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
from evaluation.errors import UnmatchedWarning
from evaluation.registers.synthetic.truth import true_effects

PLAN = load_plan(Path(__file__).parents[2] / "reports" / "malmokraften")
PRIMARY, RESTRICTED = 548, 730
ORIGIN = "fodd_utanfor_europa"
FLAT = ("age", "kon", "origin", "years_in_sweden", "education", "children_0_6", "disability", "assistance_months")
ASKED = EffectSpec(horizons_days=(183, 365, PRIMARY, RESTRICTED), rmst_days=RESTRICTED, success=PLAN.outcome.success(load_contract()))
AT_PRIMARY = EffectSpec(horizons_days=(PRIMARY,), rmst_days=None, success=ASKED.success)
Z = 1.959964


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


class Answer(NamedTuple):
    """One estimate and what it should have been."""

    world: str
    what: str
    estimate: float
    std_error: float
    truth: float


def observed(world: World, seed: int, participants: int, pool: int) -> tuple[SyntheticRegisters, CleanRegisters, States]:
    """Simulate registers and take them through the door."""
    made = simulate_registers(participants, pool, seed=seed, **world.options)
    clean = clean_registers(read_registers(made.tables))
    return made, clean, observe_states(clean)


def share_of(cohort: Cohort, states: States, matching: MatchingSpec) -> Effects:
    """Match and compare, as an evaluator does who has chosen this cohort."""
    comparison = match_cohort(cohort, estimate_propensity(cohort, PLAN.propensity), matching)
    return estimate_effects(cohort, comparison, observe_outcomes(states, cohort, PLAN.outcome), AT_PRIMARY)


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
    since = pd.Timestamp(PLAN.cohort.first_month)
    took_part = started.notna()
    index = started.where(took_part, entered) if design == "A" else entered
    kept = people.assign(treated=took_part.astype(int), index_date=index)[
        (index >= since - pd.DateOffset(years=2)) & ~(took_part & (started < since))
    ]
    return cohort_at_dates(clean, kept[["lopnr", "treated", "index_date"]], PLAN.cohort.model_copy(update={"covariates": FLAT}))


def trap(world: World, seed: int, participants: int, pool: int) -> list[Answer]:
    """Estimate an effect that is not there, rightly and in the usual ways."""
    _, clean, states = observed(world, seed, participants, pool)
    cohort = select_cohort(clean, PLAN.cohort)
    comparison = match_cohort(cohort, estimate_propensity(cohort, PLAN.propensity), PLAN.matching)
    follow_up = observe_outcomes(states, cohort, PLAN.outcome)
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    found = {name: estimate_effects(cohort, comparison, one, AT_PRIMARY) for name, one in (("E1", follow_up), ("E2", censored))}
    flat = PLAN.matching.model_copy(update={"exact": ("kon", ORIGIN)})
    for design, matching in (("A", flat), ("B", flat), ("C", PLAN.matching)):
        found[design] = share_of(naive(design, clean, cohort), states, matching)
    return [Answer(world.name, what, *_numbers(effects), 0.0) for what, effects in found.items()]


def _numbers(effects: Effects) -> tuple[float, float]:
    difference = effects.risk_difference[PRIMARY]
    return difference.value, difference.std_error


def replicate(world: World, seed: int, participants: int, pool: int) -> list[Answer]:
    """Estimate an effect whose truth is known, for the very participants who are compared."""
    made, clean, states = observed(world, seed, participants, pool)
    cohort = select_cohort(clean, PLAN.cohort)
    scores = estimate_propensity(cohort, PLAN.propensity)
    comparison = match_cohort(cohort, scores, PLAN.matching)
    follow_up = observe_outcomes(states, cohort, PLAN.outcome)
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    e1, e2 = (estimate_effects(cohort, comparison, one, ASKED) for one in (follow_up, censored))
    groups = estimate_subgroups(cohort, comparison, follow_up, [ORIGIN, "kon"], AT_PRIMARY)
    compared = comparison.person[comparison.rows[comparison.treated[comparison.rows]]]
    truth = true_effects(made.potential[made.potential["lopnr"].isin(compared)])

    def true(estimand: str, horizon: int, by: str = "", level: str = "", what: str = "") -> float:
        chosen = truth[(truth["estimand"] == estimand) & (truth["horizon_days"] == horizon) & (truth["by"] == by) & (truth["level"] == level)]
        return float(chosen[chosen["what"].str.startswith(what)]["effect"].iloc[0])

    answers = []
    for name, effects in (("E1", e1), ("E2", e2)):
        for horizon in ASKED.horizons_days:
            one = effects.risk_difference[horizon]
            answers.append(Answer(world.name, f"{name}, {horizon:g} days", one.value, one.std_error, true(name, int(horizon))))
    days = e1.rmst_difference
    if days is not None:
        answers.append(
            Answer(world.name, f"E3, days of the first {RESTRICTED}", days.value, days.std_error, true("E3", RESTRICTED, what="days until work"))
        )
    for by, level, reference in ((ORIGIN, "ja", "nej"), ("kon", "2", "1")):
        for one in (level, reference):
            effect = groups.effects[by, one]
            if isinstance(effect, Effects):
                answers.append(Answer(world.name, f"E1, {by} = {one}", *_numbers(effect), true("E1", PRIMARY, by, one)))
        for (breakdown, one, other, measure), gap in groups.differences.items():
            if breakdown == by and {one, other} == {level, reference} and measure == f"risk_{PRIMARY}":
                sign = 1 if one == level else -1
                answers.append(
                    Answer(
                        world.name,
                        f"E1, {by}: {level} minus {reference}",
                        sign * gap.value,
                        gap.std_error,
                        true("E1", PRIMARY, by, f"{level} - {reference}"),
                    )
                )
    return answers


def quietly(work: str, world: World, seed: int, participants: int, pool: int) -> list[Answer]:
    """Run one world without warnings of the unmatched, which are in the counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return {"trap": trap, "replicate": replicate}[work](world, seed, participants, pool)


def gather(jobs: Iterable[tuple[str, World, int, int, int]], workers: int) -> pd.DataFrame:
    """Run the worlds side by side."""
    jobs = list(jobs)
    if workers == 1 or not jobs:
        return pd.DataFrame([answer for answers in starmap(quietly, jobs) for answer in answers])
    with ProcessPoolExecutor(workers) as pool:
        return pd.DataFrame([answer for answers in pool.map(quietly, *zip(*jobs, strict=True)) for answer in answers])


def summarise(answers: pd.DataFrame) -> pd.DataFrame:
    """Give bias, its Monte Carlo error, coverage and the ratio of standard errors, by world and estimand."""
    rows = []
    for (world, what), part in answers.groupby(["world", "what"], sort=False):
        error = part["estimate"] - part["truth"]
        rows.append(
            {
                "world": world,
                "what": what,
                "runs": len(part),
                "truth": part["truth"].mean(),
                "bias": error.mean(),
                "mc_error": error.std() / math.sqrt(len(part)),
                "coverage": (error.abs() <= Z * part["std_error"]).mean(),
                "se_ratio": part["std_error"].mean() / error.std(),
            }
        )
    return pd.DataFrame(rows)


def tell_traps(table: pd.DataFrame, runs: int, size: str) -> str:
    """Write the traps as Markdown."""
    heads = ["E1", "E2", "A", "B", "C"]
    lines = ["| world | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for world, part in table.groupby("world", sort=False):
        found = part.set_index("what")
        cells = [f"{100 * found.loc[one, 'bias']:+.1f} ({100 * found.loc[one, 'mc_error']:.1f})" for one in heads]
        lines.append(f"| {world} | " + " | ".join(cells) + " |")
    return f"{runs} worlds of each kind, {size}. Bias in percentage points, Monte Carlo error in brackets.\n\n" + "\n".join(lines)


def tell_coverage(table: pd.DataFrame, runs: int, size: str) -> str:
    """Write the coverage as Markdown."""
    lines = [
        "| estimate | true | bias | Monte Carlo error | coverage of the 95 % interval | mean standard error / spread |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        unit, scale = (" days", 1) if row["what"].startswith("E3") else ("", 100)
        lines.append(
            f"| {row['what']} | {scale * row['truth']:+.1f}{unit} | {scale * row['bias']:+.2f} | {scale * row['mc_error']:.2f} | "
            f"{100 * row['coverage']:.1f} % | {row['se_ratio']:.2f} |"
        )
    return f"{runs} worlds, {size}. Shares in percentage points.\n\n" + "\n".join(lines)


PAGE = """# Validation: does the road find the truth?

Written by `make verify` ({minutes:.0f} minutes). Everything here is synthetic: registers of people who do not exist, whose true effects are known.
Python {python}, numpy {numpy}, pandas {pandas}, DuckDB {duckdb}; seeds from 1; cohort, matching and outcome as in `reports/malmokraften/plan.toml`.

## Worlds where a start does nothing

Whatever an evaluation reports here is its own doing. E1 and E2 are the toolkit's. A compares participants from their start with people from the day
they entered JUG who never started; B compares both from the day they entered; C takes the risk sets, but only those who never start. A and B match
on what a flat file usually knows: age, sex, region of birth, years in Sweden, education, small children, disability, social assistance. The share in
work or studies by 18 months:

{traps}

In the last world participants are picked by a trait that no register shows (half a log odds per standard deviation). No design that matches on what
is measured removes that; the bias stands there as it is.

## A world with an effect

Each estimate is held against the true effect on the participants it compares.

{coverage}
"""


def main() -> None:
    """Run the worlds and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--write", type=Path, help="page to write; left out: it is shown")
    asked.add_argument("--trap-worlds", type=int, default=20)
    asked.add_argument("--trap-size", type=int, nargs=2, default=(3_000, 11_000), metavar=("PARTICIPANTS", "POOL"))
    asked.add_argument("--replicates", type=int, default=200)
    asked.add_argument("--size", type=int, nargs=2, default=(600, 6_000), metavar=("PARTICIPANTS", "POOL"))
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = asked.parse_args()
    begun = time.perf_counter()
    traps = gather([("trap", world, seed, *given.trap_size) for world in TRAPS for seed in range(1, given.trap_worlds + 1)], given.workers)
    runs = gather([("replicate", TRUE, seed, *given.size) for seed in range(1, given.replicates + 1)], given.workers)

    def size(numbers: tuple[int, int]) -> str:
        return f"{numbers[0]:,} participants and {numbers[1]:,} others each"

    page = PAGE.format(
        minutes=(time.perf_counter() - begun) / 60,
        python=python_version(),
        **{name: version(name) for name in ("numpy", "pandas", "duckdb")},
        traps=tell_traps(summarise(traps), given.trap_worlds, size(given.trap_size)) if len(traps) else "Not run.",
        coverage=tell_coverage(summarise(runs), given.replicates, size(given.size)) if len(runs) else "Not run.",
    )
    if given.write:
        given.write.write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)


if __name__ == "__main__":
    main()
