"""How long the design, the effects and the whole chain take, beside what a user would otherwise pick; medians and ratios from one run.

Run by `make benchmark`, never by the timed tests. Every figure is a median over repetitions in one process; the machine's speed drifts, so read
the ratios first.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation import (
    EffectSpec,
    assess_balance,
    cohort_from_table,
    comparison_from_sets,
    estimate_curves,
    estimate_effects,
    estimate_propensity,
    followup_from_table,
    match_cohort,
)

COVARIATES = [f"x{position}" for position in range(12)]
HORIZONS = EffectSpec(horizons_days=(182, 365, 548, 730, 900), rmst_days=730)
REPETITIONS = 7
LIFELINES_REPETITIONS = 3


def population(treated: int, control: int, seed: int = 20_261_121) -> pd.DataFrame:
    """Simulate treated and a pool with 12 covariates (8 numbers, 4 of 0/1) and day-long durations with many ties."""
    rng = np.random.default_rng(seed)
    side = np.repeat([1, 0], [treated, control])
    values = rng.normal(size=(treated + control, 12))
    values[:, :4] += 0.3 * side[:, None]
    values[:, 8:] = values[:, 8:] > 0
    days = np.ceil(rng.exponential(500 - 80 * side))
    people = pd.DataFrame(values, columns=COVARIATES)
    people["treated"], people["event"], people["days"] = side, (days <= 1000).astype(int), np.minimum(days, 1000)
    return people.sample(frac=1, random_state=seed % 2**32).reset_index(drop=True)


def design(people: pd.DataFrame) -> tuple:
    cohort = cohort_from_table(people, treated="treated", covariates=COVARIATES)
    comparison = match_cohort(cohort, estimate_propensity(cohort))
    assess_balance(cohort, comparison)
    return cohort, comparison


def effects(cohort: object, comparison: object, people: pd.DataFrame) -> None:
    follow_up = followup_from_table(people, days="days", event="event")
    found = estimate_effects(cohort, comparison, follow_up, HORIZONS)
    estimate_curves(cohort, comparison, follow_up, HORIZONS)
    found.to_frame()


def chain(people: pd.DataFrame) -> None:
    cohort, comparison = design(people)
    effects(cohort, comparison, people)


def lifelines_effects(people: pd.DataFrame, pair: np.ndarray) -> None:
    """Do as much of the same as lifelines can: curves per arm, clustered Cox, log-rank; no risk difference, no correct variance of the mean."""
    from lifelines import CoxPHFitter, KaplanMeierFitter
    from lifelines.statistics import logrank_test

    one, other = people[people.treated == 1], people[people.treated == 0]
    for arm in (one, other):
        KaplanMeierFitter().fit(arm["days"], arm["event"])
    logrank_test(one["days"], other["days"], one["event"], other["event"])
    CoxPHFitter().fit(people[["days", "event", "treated"]].assign(pair=pair), "days", "event", cluster_col="pair")


def statsmodels_sklearn_design(people: pd.DataFrame) -> None:
    """The usual recipe: statsmodels' logit and scikit-learn's nearest neighbours, with replacement because it offers no other way."""
    import statsmodels.api as sm
    from sklearn.neighbors import NearestNeighbors

    matrix = sm.add_constant(people[COVARIATES].to_numpy())
    score = sm.Logit(people["treated"].to_numpy(), matrix).fit(disp=0).predict(matrix)
    linear, side = np.log(score / (1 - score))[:, None], people["treated"].to_numpy() == 1
    NearestNeighbors(n_neighbors=1).fit(linear[~side]).kneighbors(linear[side])


def seconds(work: Callable[[], object], repetitions: int = REPETITIONS) -> float:
    """Median time after one warm-up."""
    work()
    taken = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def peak_megabytes(work: Callable[[], object]) -> float:
    """Peak of what is allocated while the work runs, above what was there before."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def import_seconds() -> tuple[float, bool]:
    """Time a fresh `import evaluation` with the names of the five-line route, and say whether plotting or lifelines came along."""
    code = (
        "import time, sys; start = time.perf_counter()\n"
        "from evaluation import cohort_from_table, estimate_propensity, match_cohort, followup_from_table, estimate_effects\n"
        "print(time.perf_counter() - start, any(name in sys.modules for name in ('matplotlib', 'lifelines')))"
    )
    outputs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() for _ in range(4)][1:]
    return statistics.median(float(taken) for taken, _ in outputs), any(heavy == "True" for _, heavy in outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    large, tenth, matched_people = population(4_000, 200_000), population(400, 20_000), population(4_000, 4_000)
    matched = cohort_from_table(matched_people, treated="treated", covariates=COVARIATES)
    pair = matched_people.groupby("treated").cumcount().to_numpy()
    sets = comparison_from_sets(matched, pd.DataFrame({"person": matched_people.index, "set": pair}))
    imported, heavy = import_seconds()

    designed = seconds(lambda: design(large))
    memory = peak_megabytes(lambda: design(large))
    recipe = seconds(lambda: statsmodels_sklearn_design(large), LIFELINES_REPETITIONS)
    ours = seconds(lambda: effects(matched, sets, matched_people))
    theirs = seconds(lambda: lifelines_effects(matched_people, pair), LIFELINES_REPETITIONS)
    whole, small = seconds(lambda: chain(large)), seconds(lambda: chain(tenth))

    rows = [
        ("design: propensity, 1:1 caliper match, balance of 12 covariates; 4,000 x 200,000", f"{designed:.3f} s", "0.4 s"),
        ("  memory above the data", f"{memory:.0f} MB", "300 MB"),
        ("  statsmodels' logit and scikit-learn's neighbours, no caliper, no balance", f"{recipe:.3f} s, {recipe / designed:.1f} times as long", ""),
        ("effects: curves, five horizons, restricted mean, Cox, log-rank, clustered; 8,000 people", f"{1000 * ours:.1f} ms", "25 ms"),
        ("  lifelines: curves, Cox with clusters, log-rank", f"{1000 * theirs:.0f} ms, {theirs / ours:.0f} times as long", ""),
        ("whole chain, table in to effects out; 4,000 x 200,000", f"{whole:.3f} s", "0.5 s"),
        ("  the same for a tenth of the people", f"{small:.3f} s; ten times the people cost {whole / small:.1f} times", "12 times"),
        (f"import of the five-line route, warm; plotting or lifelines loaded: {'yes' if heavy else 'no'}", f"{imported:.2f} s", "1.5 s"),
    ]
    lines = ["| what | median | goal |", "|---|---|---|", *(f"| {what.strip()} | {found} | {goal} |" for what, found, goal in rows)]
    names = ("numpy", "pandas", "scipy", "statsmodels", "scikit-learn", "lifelines")
    setting = f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in names)}; {platform.machine()}"
    about = f"Written by `make benchmark`. {REPETITIONS} repetitions after one warm-up, medians. {setting}."
    text = "\n".join(["# Benchmarks", "", about, "", *lines, ""])
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
