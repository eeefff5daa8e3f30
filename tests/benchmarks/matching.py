"""How long matching takes beside other programs on the same scores and with the same caliper, and how it grows to ten million controls.

Run by `make benchmark`. Each measurement is a process of its own, with a limit of time and of memory; what cannot run is a row with its reason. The
other programs are no part of the toolkit: `--python` names an interpreter that has them (`pip install cohortmatch pymatchit-causal psmpy causallib`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

SIZES = ((4_000, 200_000), (400, 20_000), (40, 2_000))  # treated and controls; whoever cannot do the first within the limits gets the next
GROWTH = tuple((10**power, 10 ** (power + 1)) for power in (3, 4, 5, 6))
OTHERS = (4_000, 40_000)
CALIPER_SD = 0.2
REPETITIONS = 5
ENOUGH_SECONDS = 20.0  # no further repetition is begun after so long
LIMIT_SECONDS = 180
LIMIT_GB = 8
KILOBYTES_PER_GB = 2**20
OLDEST_MATCHIT = "4.7"

Pairs = tuple[np.ndarray, np.ndarray]  # rows of the treated, rows of their controls
Work = Callable[[], Callable[[], Pairs]]  # what is timed; what it gives tells the pairs afterwards


def population(treated: int, control: int, seed: int = 20_261_122) -> pd.DataFrame:
    """Simulate sides and the logits of propensity scores, the treated half a standard deviation above the others."""
    rng = np.random.default_rng(seed)
    side = np.zeros(treated + control, dtype=np.int64)
    side[rng.choice(len(side), treated, replace=False)] = 1
    logit = rng.normal(size=len(side)) + 0.5 * side + math.log(treated / control)
    return pd.DataFrame({"treated": side, "logit": logit})


def ours(people: pd.DataFrame, order: str) -> Work:
    """Time `match_cohort` alone."""
    from evaluation.design.cohort import Cohort
    from evaluation.design.logistic import no_coefficients
    from evaluation.design.matching import MatchingSpec, match_cohort
    from evaluation.design.propensity import Overlap, PropensityScores

    side, logit = people["treated"].to_numpy(dtype=bool), people["logit"].to_numpy()
    names = pd.util.hash_array(np.arange(len(people)))
    attrition = pd.DataFrame({"step": ["in_table"], "treated": [side.sum()], "control": [(~side).sum()]})
    cohort = Cohort(people[["logit"]], side, people.index, people[[]], None, names, np.arange(len(people)), attrition)
    score = 1 / (1 + np.exp(-logit))
    scores = PropensityScores(score, logit, no_coefficients(), 0.5, Overlap(1.0, 0), score.std(ddof=1), logit.std(ddof=1))

    def work() -> Callable[[], Pairs]:
        found = match_cohort(cohort, scores, MatchingSpec(order=order, caliper_sd=CALIPER_SD))
        return lambda: (found.member_row[::2], found.member_row[1::2])  # one to one: treated and control by turns

    return work


def ours_from_table(people: pd.DataFrame) -> Work:
    """Time the way from a table, with all its checks."""
    from evaluation import MatchingSpec, cohort_from_table, match_cohort, scores_from_table

    table = people.assign(score=1 / (1 + np.exp(-people["logit"])))

    def work() -> Callable[[], Pairs]:
        cohort = cohort_from_table(table, treated="treated", covariates=["logit"])
        found = match_cohort(cohort, scores_from_table(cohort, table, score="score"), MatchingSpec(caliper_sd=CALIPER_SD))
        return lambda: (found.member_row[::2], found.member_row[1::2])

    return work


def cohortmatch(people: pd.DataFrame) -> Work:
    import cohortmatch as program

    table = people.assign(score=1 / (1 + np.exp(-people["logit"])))
    limits = {"caliper": CALIPER_SD * float(people["logit"].std()), "caliper_metric": "logit", "std_caliper": False}

    def work() -> Callable[[], Pairs]:
        found = program.match(table, treatment="treated", covariates=["logit"], propensity_scores="score", distance="logit", **limits)
        return lambda: (found.pairs["treatment_id"].to_numpy(), found.pairs["control_id"].to_numpy())

    return work


def pymatchit(people: pd.DataFrame) -> Work:
    from pymatchit import MatchIt

    def work() -> Callable[[], Pairs]:
        found = MatchIt(people, distance=people["logit"].to_numpy(), caliper=CALIPER_SD).fit("treated ~ logit")
        return lambda: tuple(found.matches()[["treated_index", "control_index"]].to_numpy(dtype=np.intp).T)

    return work


def psmpy(people: pd.DataFrame) -> Work:
    from psmpy import PsmPy

    table = people.reset_index(names="row")

    def work() -> Callable[[], Pairs]:
        found = PsmPy(table, treatment="treated", indx="row", exclude=[])
        found.predicted_data = table
        found.kdtree_matched(matcher="logit", caliper=CALIPER_SD * float(people["logit"].std()))
        return lambda: tuple(found.matched_ids[["row", "matched_ID"]].to_numpy(dtype=np.intp).T)

    return work


def causallib(people: pd.DataFrame) -> Work:
    from causallib.estimation import Matching

    def work() -> Callable[[], Pairs]:
        program = Matching(with_replacement=False, caliper=CALIPER_SD * float(people["logit"].std()), metric="euclidean")
        program.fit(people[["logit"]], people["treated"], people["treated"])
        found = program.match(people[["logit"]], people["treated"], use_cached_result=False).matches.loc[0]
        found = found[(people["treated"] == 1) & (found.str.len() > 0)]
        return lambda: (found.index.to_numpy(), np.array([row for (row,) in found]))

    return work


def neighbours(people: pd.DataFrame) -> Work:
    from sklearn.neighbors import NearestNeighbors

    treated, control = (np.flatnonzero(people["treated"] == side) for side in (1, 0))
    logit = people[["logit"]].to_numpy()

    def work() -> Callable[[], Pairs]:
        gap, place = NearestNeighbors(n_neighbors=1).fit(logit[control]).kneighbors(logit[treated])
        near = gap[:, 0] <= CALIPER_SD * logit.std(ddof=1)
        return lambda: (treated[near], control[place[near, 0]])

    return work


MATCHIT = """
arguments <- commandArgs(TRUE)
if (packageVersion("MatchIt") < "{oldest}") quit(status = 3)
people <- read.csv(arguments[1])
taken <- system.time(found <- MatchIt::matchit(treated ~ logit, people, distance = people$logit, caliper = {caliper}, m.order = "largest"))
pairs <- na.omit(data.frame(treated = rownames(found$match.matrix), control = found$match.matrix[, 1]))
write.csv(pairs, arguments[2], row.names = FALSE)
cat(taken[["elapsed"]], as.character(packageVersion("MatchIt")))
"""

WAYS: dict[str, tuple[str, str | None, Callable[[pd.DataFrame], Work] | None]] = {  # label, distribution, what to run
    "closest": ("this toolkit, closest first", None, lambda people: ours(people, "closest")),
    "largest": ("this toolkit, largest first", None, lambda people: ours(people, "largest")),
    "table": ("this toolkit, closest first, from a table through its checks", None, ours_from_table),
    "cohortmatch": ("cohortmatch {}, largest first or fewest choices first", "cohortmatch", cohortmatch),
    "pymatchit": ("pymatchit-causal {}, largest first", "pymatchit-causal", pymatchit),
    "matchit": ("R's MatchIt {}, largest first", None, None),
    "psmpy": ("psmpy {}, in the order of the rows", "psmpy", psmpy),
    "causallib": ("causallib {}, optimal, the caliper afterwards", "causallib", causallib),
    "neighbours": ("scikit-learn {}, neighbours with replacement", "scikit-learn", neighbours),
}


def measure(way: str, treated: int, control: int) -> dict[str, object]:
    """Time one program in this process; the first, small match only loads what the program loads late."""
    _, distribution, prepare = WAYS[way]
    try:
        release = version(distribution) if distribution else ""
    except PackageNotFoundError:
        return {"reason": "not installed"}
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_GB * 2**30, LIMIT_GB * 2**30))
    try:
        prepare(population(20, 200))()()
        people = population(treated, control)
        work, taken = prepare(people), []
        while len(taken) < REPETITIONS and sum(taken) < ENOUGH_SECONDS:
            begun = time.perf_counter()
            found = work()
            taken.append(time.perf_counter() - begun)
        pairs = found()
    except MemoryError:
        return {"reason": f"needs more than {LIMIT_GB} GB", "release": release}
    except Exception as error:  # another program's, of whatever kind
        return {"reason": f"stops with {type(error).__name__}", "release": release}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KILOBYTES_PER_GB
    return {"seconds": statistics.median(taken), **summary(people, *pairs), "peak": peak, "release": release}


def summary(people: pd.DataFrame, treated: np.ndarray, control: np.ndarray) -> dict[str, object]:
    """Count the pairs and add up their distances, after making sure that they are pairs within the caliper."""
    side, logit = people["treated"].to_numpy(), people["logit"].to_numpy()
    gap = np.abs(logit[treated] - logit[control])
    sound = (side[treated] == 1).all() and (side[control] == 0).all() and (gap <= CALIPER_SD * logit.std(ddof=1) * (1 + 1e-9)).all()
    reused = len(control) - len(np.unique(control))
    return {"pairs": len(treated), "distance": float(gap.sum()), "reused": reused, "sound": bool(sound)}


def measure_matchit(treated: int, control: int) -> dict[str, object]:
    """Time R's MatchIt, which measures itself."""
    if shutil.which("Rscript") is None:
        return {"reason": "no R here"}
    people = population(treated, control)
    with tempfile.TemporaryDirectory() as workshop:
        script, table, pairs = (Path(workshop) / name for name in ("match.R", "people.csv", "pairs.csv"))
        script.write_text(MATCHIT.format(oldest=OLDEST_MATCHIT, caliper=CALIPER_SD), encoding="utf-8")
        people.to_csv(table, index=False, float_format="%.17g")
        ran = subprocess.run(["Rscript", script, table, pairs], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
        if ran.returncode:
            return {"reason": f"MatchIt {OLDEST_MATCHIT} or newer is not installed"}
        seconds, release = ran.stdout.split()
        found = pd.read_csv(pairs).to_numpy() - 1
        return {"seconds": float(seconds), **summary(people, *found.T), "release": release}


def alone(way: str, treated: int, control: int, python: str) -> dict[str, object]:
    """Run one measurement in a process of its own."""
    interpreter = python if WAYS[way][1] else sys.executable
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1")
    try:
        if way == "matchit":
            return measure_matchit(treated, control)
        command = [interpreter, __file__, way, str(treated), str(control)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return {"reason": f"needs more than {LIMIT_SECONDS // 60} minutes"}
    if ran.returncode:
        return {"reason": f"needs more than {LIMIT_GB} GB" if "bad_alloc" in ran.stderr else "ends without a word"}
    return json.loads(ran.stdout.splitlines()[-1])


def side_by_side(python: str) -> list[str]:
    """Match the same people with every program, on the largest size each one can do."""
    found = {way: {SIZES[0]: alone(way, *SIZES[0], python)} for way in WAYS}
    for way, by_size in found.items():
        for size in SIZES[1:]:
            if not str(by_size[min(by_size)].get("reason", "")).startswith("needs more"):
                break
            by_size[size] = alone(way, *size, python)
    smaller = {size for by_size in found.values() for size, figures in by_size.items() if "seconds" in figures} - {SIZES[0]}
    for size in smaller:
        found["closest"][size] = alone("closest", *size, python)
    lines = ["| program | treated x controls | time | pairs | total distance | |", "|---|---|---|---|---|---|"]
    return lines + [line for size in SIZES for way in WAYS if size in found[way] for line in [row(way, size, found[way][size])]]


def row(way: str, size: tuple[int, int], figures: dict[str, object]) -> str:
    label = f"{WAYS[way][0].format(figures.get('release', '')).replace(' ,', ',')} | {size[0]:,} x {size[1]:,}"
    if "reason" in figures:
        return f"| {label} | | | | {figures['reason']} |"
    seconds = float(figures["seconds"])
    shown = f"{1000 * seconds:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"
    remark = f"{figures['reused']:,} pairs with a control that is in another" if figures["reused"] else ""
    if not figures["sound"]:
        remark = "some pairs are wider than the caliper"
    return f"| {label} | {shown} | {figures['pairs']:,} | {figures['distance']:.4f} | {remark} |"


def measure_growth() -> dict[tuple[int, int], dict[str, object]]:
    """Time `match_cohort` from a thousand to a million treated, ten controls for each."""
    return {size: alone("closest", *size, sys.executable) for size in GROWTH}


def growth(measured: dict[tuple[int, int], dict[str, object]]) -> list[str]:
    lines = ["| treated x controls | time | time / (n log n) | peak memory of the process |", "|---|---|---|---|"]
    for size, figures in measured.items():
        people = sum(size)
        if "reason" in figures:
            lines.append(f"| {size[0]:,} x {size[1]:,} | {figures['reason']} | | |")
            continue
        seconds = float(figures["seconds"])
        per = 1e9 * seconds / (people * math.log2(people))
        lines.append(f"| {size[0]:,} x {size[1]:,} | {seconds:.3f} s | {per:.1f} ns | {figures['peak']:.2f} GB |")
    return lines


def draw_growth(measured: dict[tuple[int, int], dict[str, object]], file: Path) -> None:
    """Draw the times against the number of people, both logarithmic, beside a line that grows as n log n."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from evaluation.reporting.figures.page import STYLE
    from evaluation.reporting.figures.svg import svg_text

    people = np.array([sum(size) for size, figures in measured.items() if "seconds" in figures], dtype=float)
    seconds = np.array([float(figures["seconds"]) for figures in measured.values() if "seconds" in figures])
    line = people * np.log2(people)
    line *= np.exp(np.log(seconds / line).mean())
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.loglog(people, line, color="#595959", linestyle=(0, (4, 2)), label="grows as n log n")
        axes.loglog(people, seconds, "o", color="#0072B2", markersize=7, label="measured")
        for axis, places in ((axes.xaxis, 10.0 ** np.arange(4, 8)), (axes.yaxis, 10.0 ** np.arange(-2, 2))):
            axis.set_ticks(places, [f"{place:,.{max(0, round(-math.log10(place)))}f}" for place in places])
            axis.set_ticks([], minor=True)
        axes.set_xlabel("people")
        axes.set_ylabel("seconds")
        axes.legend(frameon=False)
    said = "; ".join(f"{count:,.0f} people {taken:.3f} s" for count, taken in zip(people, seconds, strict=True))
    drawn = svg_text(figure, name="growth", title="Time to match, by number of people", description=f"Beside a line that grows as n log n: {said}.")
    file.write_text(f"{drawn}\n", encoding="utf-8")


def other_methods() -> list[str]:
    """Time every other way of building the comparison once, on people with one score and a caliper where there is one."""
    from evaluation import CardinalitySpec, CoarsenedSpec, FullSpec, OptimalSpec, SubclassSpec, WeightingSpec, cohort_from_table, estimate_propensity
    from evaluation.design.designs import make_comparison
    from evaluation.design.tightest import tightest_caliper

    people = population(*OTHERS).assign(age=lambda table: np.round(40 + 8 * table["logit"]))
    cohort = cohort_from_table(people, treated="treated", covariates=["logit", "age"])
    scores = estimate_propensity(cohort)
    ways: dict[str, Callable[[], object]] = {
        "optimal pairs": lambda: make_comparison(cohort, scores, OptimalSpec()),
        "full matching": lambda: make_comparison(cohort, scores, FullSpec()),
        "tightest caliper": lambda: tightest_caliper(cohort, scores),
        "coarsened exact matching": lambda: make_comparison(cohort, scores, CoarsenedSpec()),
        "subclasses": lambda: make_comparison(cohort, scores, SubclassSpec()),
        "cardinality matching, two controls each": lambda: make_comparison(cohort, scores, CardinalitySpec(ratio=2)),
        "odds weights": lambda: make_comparison(cohort, scores, WeightingSpec()),
        "entropy balancing": lambda: make_comparison(cohort, scores, WeightingSpec(method="entropy")),
    }
    lines = ["| what | time |", "|---|---|"]
    for label, work in ways.items():
        begun = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
        lines.append(f"| {label} | {time.perf_counter() - begun:.2f} s |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--append", type=Path, help="write the tables at the end of this file too")
    parser.add_argument("--figure", type=Path, help="draw the growth to this file")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the other programs")
    parser.add_argument("measurement", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measurement:
        way, treated, control = options.measurement
        print(json.dumps(measure(way, int(treated), int(control))))
        return
    about = (
        f"One to one without replacement, a caliper of {CALIPER_SD} standard deviations of the logit, the same scores for every program, one thread. "
        f"Median of up to {REPETITIONS} repetitions after a small match as warm-up; at most {LIMIT_SECONDS // 60} minutes and {LIMIT_GB} GB each."
    )
    measured = measure_growth()
    parts = ["## Matching", "", about, "", *side_by_side(options.python), "", "Growth, closest first:", "", *growth(measured), ""]
    if options.figure:
        draw_growth(measured, options.figure)
        parts += [f"![Time to match against the number of people, beside a line that grows as n log n](figures/{options.figure.name})", ""]
    parts += [f"Other ways, {OTHERS[0]:,} x {OTHERS[1]:,}, once each:", "", *other_methods(), ""]
    text = "\n".join(parts)
    print(text)
    if options.append:
        options.append.write_text(options.append.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
