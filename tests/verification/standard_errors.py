"""Which of four standard errors is as large as an estimate varies?

In many small worlds the same comparison is made and the same differences are estimated; how much the estimates vary between the worlds is what every
standard error is to be. Beside it stand the means of four: of the influence functions, as every result reports it; of matched sets drawn again; of
people drawn again one by one, with sets and weights as they are; and of the whole chain, people drawn, model fitted and comparison made anew. What
the world is: three covariates of which two matter, for who starts and for when people leave; a sixth starts; others leave too, and some are lost.

References
----------
Austin & Small (2014). The use of bootstrapping when using propensity-score matching without replacement. Statistics in Medicine 33, 4306-4319.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import starmap

import numpy as np
import pandas as pd

from evaluation.analysis.bootstrap import Bootstrap, cluster_bootstrap, pair_bootstrap
from evaluation.analysis.chain_bootstrap import chain_bootstrap
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.outcomes import FollowUp, followup_from_table
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.designs import make_comparison
from evaluation.design.matching import MatchingSpec
from evaluation.design.propensity import estimate_propensity
from evaluation.design.weighting import WeightingSpec
from evaluation.errors import UnmatchedWarning

DESIGNS = {"1:1": MatchingSpec(), "1:3": MatchingSpec(ratio=3), "odds weights": WeightingSpec()}
SPEC = EffectSpec(horizons_days=(365,), rmst_days=365, success=("work",))
MEASURES = {
    "risk_difference": ("share at 365 days, points", 100.0, 2),
    "rmst_difference": ("mean days to 365", 1.0, 2),
    "log_hazard_ratio": ("log HR", 1.0, 3),
}
WAYS = ("influence", "sets drawn", "persons drawn", "whole chain")
PEOPLE = 1_200
WORLDS, CHAINED = 400, 100  # worlds in all, and those of them in which the chain is run as well: it costs as much as all the rest
QUICK_WORLDS, QUICK_CHAINED = 6, 3
REPLICATES, CHAIN_REPLICATES = 100, 50
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Row = tuple[str, str, str, float]


def small_world(seed: int) -> tuple[Cohort, FollowUp]:
    """Draw people, who starts, and what happens to them; starting makes work come a third sooner."""
    rng = np.random.default_rng([6, seed])
    people = pd.DataFrame(rng.normal(size=(PEOPLE, 3)), columns=["drive", "schooling", "age"])
    people["person"] = [f"p{number}" for number in range(PEOPLE)]
    people["started"] = (rng.random(PEOPLE) < 1 / (1 + np.exp(1.9 - 0.6 * people["drive"] - 0.4 * people["schooling"]))).astype(int)
    to_work = rng.exponential(600 * np.exp(-0.6 * people["drive"] - 0.3 * people["schooling"] - 0.3 * people["started"]))
    elsewhere, lost = rng.exponential(2_000, PEOPLE), rng.uniform(200, 1_500, PEOPLE)
    people["days"] = np.ceil(np.minimum.reduce([to_work, elsewhere, lost]))
    people["exit"] = np.select([to_work <= np.minimum(elsewhere, lost), elsewhere <= lost], ["work", "elsewhere"], "lost")
    cohort = cohort_from_table(people, treated="started", covariates=["drive", "schooling", "age"], person="person")
    return cohort, followup_from_table(people, days="days", event="exit", person="person", censored="lost", states=["work", "elsewhere"])


def replicate(seed: int, chained: bool) -> list[Row]:
    """Estimate in one world: design, measure, which standard error (or "estimate"), and the number."""
    rows: list[Row] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        cohort, follow_up = small_world(seed)
        scores = estimate_propensity(cohort)
        for name, design in DESIGNS.items():
            road = cohort, make_comparison(cohort, scores, design), follow_up
            persons = cluster_bootstrap(*road, SPEC, replicates=REPLICATES, seed=seed)
            rows += _told(name, persons, "persons drawn")
            table = persons.to_frame().set_index("measure")
            for measure in MEASURES:
                rows += [
                    (name, measure, "estimate", table.loc[measure, "effect"]),
                    (name, measure, "influence", table.loc[measure, "reported_std_error"]),
                ]
            if isinstance(design, MatchingSpec):
                rows += _told(name, pair_bootstrap(*road, SPEC, replicates=REPLICATES, seed=seed), "sets drawn")
            if chained:
                rows += _told(name, chain_bootstrap(cohort, follow_up, design, SPEC, replicates=CHAIN_REPLICATES, seed=seed), "whole chain")
    return rows


def _told(design: str, found: Bootstrap, way: str) -> list[Row]:
    errors = found.to_frame().set_index("measure")["std_error"]
    return [(design, measure, way, float(errors[measure])) for measure in MEASURES]


def compared(worlds: int, chained: int, workers: int) -> pd.DataFrame:
    """Give, by design and measure, the spread of the estimates between worlds and, by way, the root mean square of the standard errors.

    Columns: design, measure, worlds, spread, spread_error (its Monte Carlo error), one for each of `WAYS` and one, named `<way>_error`, for its
    Monte Carlo error.
    """
    jobs = [(seed, seed <= chained) for seed in range(1, worlds + 1)]
    if workers == 1:
        found = list(starmap(replicate, jobs))
    else:
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # the new processes read it before numpy does
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(replicate, *zip(*jobs, strict=True), chunksize=4))
    table = pd.DataFrame([row for part in found for row in part], columns=["design", "measure", "what", "number"])
    rows = []
    for design in DESIGNS:
        for measure in MEASURES:
            numbers = table[(table["design"] == design) & (table["measure"] == measure)].groupby("what")["number"]
            estimates = numbers.get_group("estimate")
            row = {"design": design, "measure": measure, "worlds": len(estimates), "spread": estimates.std()}
            kurtosis = float(((estimates - estimates.mean()) ** 4).mean() / estimates.var(ddof=0) ** 2)
            row["spread_error"] = row["spread"] * math.sqrt(max(kurtosis - 1, 0.0) / (4 * len(estimates)))  # of a normal one the spread / sqrt(2 n)
            for way in WAYS:
                errors = numbers.get_group(way) if way in numbers.groups else pd.Series(dtype=float)
                row[way] = math.sqrt((errors**2).mean()) if len(errors) else math.nan
                row[f"{way}_error"] = (errors**2).std() / math.sqrt(len(errors)) / (2 * row[way]) if len(errors) > 1 else math.nan
            rows.append(row)
    return pd.DataFrame(rows)


def standard_errors_section(quick: bool = False) -> str:
    """Write the comparison of the four standard errors, as Markdown without its heading."""
    worlds, chained, workers = (QUICK_WORLDS, QUICK_CHAINED, 1) if quick else (WORLDS, CHAINED, os.cpu_count() or 1)
    table = compared(worlds, chained, workers)
    lines = [f"| design | estimate | spread (error) | {' | '.join(WAYS)} |", f"|{'---|' * (3 + len(WAYS))}"]
    for _, row in table.iterrows():
        what, scale, decimals = MEASURES[row["measure"]]
        cells = [_cell(row, way, scale, decimals) for way in WAYS]
        spread = f"{scale * row['spread']:.{decimals}f} ({scale * row['spread_error']:.{decimals}f})"
        lines.append(f"| {row['design']} | {what} | {spread} | {' | '.join(cells)} |")
    return f"""\
{worlds} worlds of {PEOPLE:,} people, a sixth of whom start. The spread is the standard deviation of the estimates between the worlds, its Monte Carlo
error in brackets; beside it the root mean square of each standard error and, in brackets, its ratio to the spread. Resampling draws
{REPLICATES} times, the whole chain {CHAIN_REPLICATES} times in {chained} of the worlds.

{chr(10).join(lines)}

The influence standard error is the one every result reports: of a match it is clustered by set and takes the scores as known, of weights it holds
that they were estimated. Persons drawn one by one do not bring their set along, and keep their weights: what pairs have in common, and what fitting
the scores takes away, is not in that standard error, which is therefore too large here. The whole chain is proved to be right of weights only; of a
match it draws the same person twice, who then needs two counterparts.
"""


def _cell(row: pd.Series, way: str, scale: float, decimals: int) -> str:
    return "–" if math.isnan(row[way]) else f"{scale * row[way]:.{decimals}f} ({row[way] / row['spread']:.2f})"
