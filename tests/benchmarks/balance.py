"""How long balance takes for 50 covariates inside 10 groups of 200,000 people, matched and weighted; wall and processor time, medians of one run."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.design.balance import assess_balance, assess_second_order
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.comparison import Comparison, comparison_of

PEOPLE, TREATED, GROUPS, REPETITIONS = 200_000, 20_000, 10, 5


def cohort() -> Cohort:
    """Simulate 50 covariates: 15 continuous, 15 counts, 12 of 0/1 and 8 categories of four levels."""
    rng = np.random.default_rng(20_261_122)
    side = rng.permutation(np.repeat([1, 0], [TREATED, PEOPLE - TREATED]))
    columns = {f"number{place}": rng.normal(size=PEOPLE) + 0.1 * side for place in range(15)}
    columns |= {f"count{place}": rng.poisson(20, PEOPLE) for place in range(15)}
    columns |= {f"yes{place}": rng.integers(0, 2, PEOPLE) for place in range(12)}
    columns |= {f"category{place}": rng.choice(list("abcd"), PEOPLE) for place in range(8)}
    group = rng.integers(0, GROUPS, PEOPLE).astype(str)
    return cohort_from_table(pd.DataFrame(columns).assign(t=side, group=group), treated="t", covariates=list(columns), strata=["group"])


def pairs(people: Cohort) -> Comparison:
    """Give every treated a control by lot."""
    treated = np.flatnonzero(people.treated)
    chosen = np.random.default_rng(1).choice(np.flatnonzero(~people.treated), len(treated), replace=False)
    return comparison_of(people, np.concatenate([treated, chosen]), np.concatenate([treated, treated]))


def weights(people: Cohort) -> Comparison:
    """Give every control a weight by lot."""
    everybody = np.arange(len(people))
    return comparison_of(people, everybody, everybody, given=np.where(people.treated, 1.0, np.random.default_rng(2).exponential(size=len(people))))


def timed(name: str, goal: str, work: Callable[[], object]) -> str:
    """Give the median wall and processor time after one warm-up, as a row of a table."""
    work()
    wall, processor = [], []
    for _ in range(REPETITIONS):
        start = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return f"| {name} | {statistics.median(wall):.2f} s | {statistics.median(processor):.2f} s | {goal} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--append", type=Path, help="write the table at the end of this file too")
    options = parser.parse_args()
    people = cohort()
    matched, weighted = pairs(people), weights(people)
    rows = [
        timed(f"of matched people, in {GROUPS} groups", "1 s", lambda: assess_balance(people, matched, by=["group"])),
        timed(f"of weighted people, in {GROUPS} groups", "", lambda: assess_balance(people, weighted, by=["group"])),
        timed("squares and products, of matched people", "", lambda: assess_second_order(people, matched)),
    ]
    about = f"50 covariates of {PEOPLE:,} people; medians of {REPETITIONS} repetitions after one warm-up."
    text = "\n".join(["## Balance", "", about, "", "| what | time | processor | goal |", "|---|---|---|---|", *rows, ""])
    print(text)
    if options.append:
        options.append.write_text(options.append.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
