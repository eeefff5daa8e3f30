r"""Flat worlds: one table of people whose chances of leaving are known, with and without a start.

Everybody has a hazard of success and one of any other exit, constant given what is known of them, :math:`h_s(x)` and :math:`h_c(x)`; a start
multiplies the first by a factor that may differ by origin and by time since the start. So the share a person would reach by any day is a closed
form, in either world, and the truth of an estimate is its mean over the very participants who are compared: what they would show if each were there
infinitely often. The hazard ratio's truth is where Cox's score, Efron's ties and the censoring in it, is zero for that crowd.

References
----------
Bender, Augustin & Blettner (2005). Generating survival times to simulate Cox proportional hazards models. Statistics in Medicine 24(11), 1713-1723.
Struthers & Kalbfleisch (1986). Misspecified proportional hazard models. Biometrika 73(2), 363-369 (what a hazard ratio estimates).
Austin (2013). The performance of different propensity score methods for estimating marginal hazard ratios. Statistics in Medicine 32(16), 2837-2849.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from answers import Rate
from numpy.typing import NDArray
from scipy.optimize import brentq

from evaluation import (
    Cohort,
    Comparison,
    Effects,
    EffectSpec,
    Estimate,
    FullSpec,
    MatchingSpec,
    WeightingSpec,
    assess_balance,
    cohort_from_table,
    estimate_effects,
    estimate_propensity,
    estimate_subgroups,
    followup_from_table,
    judge_design,
    match_cohort,
    scores_from_table,
    weight_cohort,
)
from evaluation.verification.answers import Answer

Floats = NDArray[np.float64]

PRIMARY, RESTRICTED = 548, 730
LAST_DAY = 1_100  # nobody is followed longer
SUCCESS_A_DAY, OTHER_A_DAY = 0.0010, 0.0008  # of an average person: a third have succeeded by the primary horizon, a quarter left otherwise
COVARIATES = ("age", "schooling", "months", "sex", "origin")
EXACT = ("sex", "origin")
FAMILY = ("sex", "origin", ("sex", "origin"), "schooling", "half")  # the pre-registered breakdowns of Holm's rows
ASKED = EffectSpec(horizons_days=(PRIMARY,), rmst_days=RESTRICTED, success=("success",))
AT_PRIMARY = EffectSpec(horizons_days=(PRIMARY,), rmst_days=None, success=("success",))
GAUSS = np.polynomial.legendre.leggauss(3)  # Efron's average over those tied is smooth: three points are exact to nine digits


class FlatWorld(NamedTuple):
    """What is simulated: who starts, what a start does, and what of it is seen."""

    name: str
    people: int = 1_500
    ratio: tuple[float, float] = (1.0, 1.0)  # on the hazard of success, born inside and outside Europe
    early: float = 1.0  # further factor in the first `early_days`
    early_days: int = 90
    sorting: float = -0.8  # log odds of a start per unit of readiness (standard deviation 0.5)
    hidden: float = 0.0  # log odds of a start per standard deviation of what no column shows; it moves the hazard as well
    started: float = 0.2  # share who start, about
    seen_days: tuple[int, int] = (760, LAST_DAY)  # administrative censoring falls evenly between them
    step_days: int = 1  # exits are recorded on multiples of so many days


class People(NamedTuple):
    """Everybody of one world: the table an evaluator gets, and what only the simulation knows."""

    table: pd.DataFrame
    success: Floats  # hazard a day without a start, shape (n,)
    other: Floats
    factor: Floats  # of a start on the hazard of success, after the early days


WORLDS = {
    world.name: world
    for world in (
        FlatWorld("no effect"),
        FlatWorld("constant effect", ratio=(1.5, 1.5)),
        FlatWorld("larger outside Europe", ratio=(1.2, 1.8)),
        FlatWorld("lock-in, then gain", ratio=(1.8, 1.8), early=0.3),
        FlatWorld("strong sorting", ratio=(1.5, 1.5), sorting=-2.0),
        FlatWorld("sorted by what no column shows", ratio=(1.0, 1.0), hidden=0.7),
        FlatWorld("heavy ties (28 days)", ratio=(1.5, 1.5), step_days=28),
        FlatWorld("heavy censoring", ratio=(1.5, 1.5), seen_days=(60, LAST_DAY)),
        FlatWorld("small study (60 start)", people=300, ratio=(1.5, 1.5)),
        FlatWorld("no overlap", ratio=(1.5, 1.5), sorting=-8.0),
        FlatWorld("all is well, 1,200 start", people=6_000, ratio=(1.5, 1.5)),
    )
}
METHODS: dict[str, MatchingSpec | WeightingSpec | FullSpec] = {
    "1:1": MatchingSpec(exact=EXACT, caliper_sd=0.2),
    "1:2": MatchingSpec(exact=EXACT, caliper_sd=0.2, ratio=2),
    "1:2, reuse": MatchingSpec(exact=EXACT, caliper_sd=0.2, ratio=2, replace=True),
    "full": FullSpec(exact=EXACT, caliper_sd=0.2),
    "ATT weights": WeightingSpec(method="att"),
    "entropy": WeightingSpec(method="entropy"),
    "overlap": WeightingSpec(method="overlap"),
    "no caliper": MatchingSpec(exact=EXACT, caliper_sd=None),
}
HEADLINE = {world: ("1:1",) for world in WORLDS if world not in ("no overlap", "all is well, 1,200 start")}
HEADLINE |= {"larger outside Europe": tuple(method for method in METHODS if method != "no caliper")}
NAIVE = ("no effect", "constant effect", "strong sorting")  # where the usual short cuts are taken as well
JUDGED = {"constant effect": "1:1", "all is well, 1,200 start": "1:1", "strong sorting": "1:1", "no overlap": "no caliper"}
JUDGED |= {"sorted by what no column shows": "1:1"}


def draw(world: FlatWorld, seed: int) -> People:
    """Draw the people of a world, who of them start, and what happens to them."""
    rng = np.random.default_rng([seed, list(WORLDS).index(world.name)])
    n = world.people
    age, months = np.clip(rng.normal(40, 10, n), 20, 64).round(), np.clip(rng.gamma(2, 6, n), 0, 48).round()
    school, woman, outside = rng.choice(3, n, p=[0.35, 0.45, 0.2]), rng.random(n) < 0.5, rng.random(n) < 0.5
    unseen = rng.standard_normal(n) * (world.hidden > 0)
    readiness = -0.03 * (age - 40) + np.array([-0.4, 0.0, 0.3])[school] - 0.03 * (months - 12) - 0.3 * outside
    odds = np.log(world.started / (1 - world.started)) + world.sorting * (readiness + 0.2) + world.hidden * unseen + 0.3 * (woman - 0.5)
    start = rng.random(n) < 1 / (1 + np.exp(-odds))
    success = SUCCESS_A_DAY * np.exp(0.8 * readiness + 0.5 * unseen)
    other = OTHER_A_DAY * np.exp(0.02 * (age - 40))
    factor = np.where(outside, world.ratio[1], world.ratio[0])

    own = np.where(start, factor, 1.0)
    early = np.where(start, world.early, 1.0)
    need, first = rng.standard_exponential(n) / (success * own), world.early_days * early  # days of full hazard that are needed, and had early
    to_success = np.where(need <= first, need / early, world.early_days + need - first)
    to_other = rng.standard_exponential(n) / other
    exit_day = world.step_days * np.ceil(np.minimum(to_success, to_other) / world.step_days)
    low, high = (day // world.step_days for day in world.seen_days)
    seen = world.step_days * rng.integers(low, high + 1, n)
    table = pd.DataFrame(
        {
            "person": rng.permutation(n),
            "start": start.astype(int),
            "age": age,
            "schooling": np.array(["primary", "secondary", "tertiary"])[school],
            "months": months,
            "sex": np.where(woman, "woman", "man"),
            "origin": np.where(outside, "outside", "inside"),
            "half": np.where(rng.random(n) < 0.5, "first", "second"),
            "days": np.minimum(exit_day, seen),
            "exit": np.where(exit_day > seen, "censored", np.where(to_success <= to_other, "success", "other")),
        }
    )
    return People(table, success, other, factor)


class Crowd(NamedTuple):
    """What participants would show in one world if each were there infinitely often, at the end of each recorded step; shape (steps,)."""

    there: Floats  # share who had not left when the step began
    succeeds: Floats  # share who succeed in it


def crowd(world: FlatWorld, people: People, rows: NDArray[np.intp], weight: Floats, *, started: bool) -> Crowd:
    """Average the participants' own expected courses, in the world where they started or in the other."""
    edges = np.arange(0, LAST_DAY + world.step_days, world.step_days, dtype=np.float64)
    success = people.success[rows] * (people.factor[rows] if started else 1.0)
    early = success * (world.early if started else 1.0)
    other, share = people.other[rows], weight / weight.sum()
    before = edges[1:] <= world.early_days  # no world has both early days and long steps
    inside, beyond = np.minimum(edges, world.early_days), np.maximum(edges - world.early_days, 0)
    there = np.exp(-np.outer(early + other, inside) - np.outer(success + other, beyond))
    leaves = there[:, :-1] - there[:, 1:]
    one, two = ((share * hazard / (hazard + other)) @ leaves for hazard in (early, success))
    return Crowd(share @ there[:, :-1], np.where(before, one, two))


def shares(world: FlatWorld, course: Crowd, days: NDArray[np.int64]) -> Floats:
    """Give the share with success by the end of each day, as it is recorded."""
    return np.append(0.0, np.cumsum(course.succeeds))[days // world.step_days]


def log_hazard_ratio(world: FlatWorld, treated: Crowd, control: Crowd) -> float:
    """Find where the crowd's Cox score is zero, with as many controls as treated, Efron's ties and the world's censoring."""
    ends = world.step_days * np.arange(1, len(treated.there) + 1)
    low, high = world.seen_days[0] // world.step_days * world.step_days, world.seen_days[1] // world.step_days * world.step_days
    seen = np.clip((high - ends + world.step_days) / (high - low + world.step_days), 0, 1)  # share whose follow-up reaches a step's end
    one, other = ((course.there * seen, course.succeeds * seen) for course in (treated, control))

    def score(log_ratio: float) -> float:
        total, risk = 0.0, seen > 0
        for node, part in zip(*GAUSS, strict=True):
            gone = (1 + node) / 2
            left, stay = ((there - gone * succeeds)[risk] for there, succeeds in (one, other))
            left = left * np.exp(log_ratio)
            total += part / 2 * float((one[1][risk] - (one[1] + other[1])[risk] * left / (left + stay)).sum())
        return total

    return float(brentq(score, -3, 3))


def effects_of(world: FlatWorld, people: People, rows: NDArray[np.intp], weight: Floats) -> dict[str, float]:
    """Give the true effects on some participants: risk, rmst and log_hazard_ratio."""
    courses = [crowd(world, people, rows, weight, started=started) for started in (True, False)]
    horizon, days = np.array([PRIMARY]), np.arange(RESTRICTED)
    (risk, mean), (risk_0, mean_0) = ((shares(world, one, horizon)[0], (1 - shares(world, one, days)).sum()) for one in courses)
    return {"risk": risk - risk_0, "rmst": mean - mean_0, "log_hazard_ratio": log_hazard_ratio(world, *courses)}


def cohort_of(people: People) -> Cohort:
    """Read the table as an evaluator does."""
    return cohort_from_table(people.table, treated="start", covariates=COVARIATES, person="person", strata=["half"])


def compare(cohort: Cohort, method: str) -> Comparison:
    """Match or weigh."""
    spec = METHODS[method]
    if isinstance(spec, WeightingSpec):
        return weight_cohort(cohort, None if spec.method == "entropy" else estimate_propensity(cohort), spec)
    return match_cohort(cohort, estimate_propensity(cohort), spec)


def replicate(world: FlatWorld, seed: int) -> Iterator[Answer | Rate]:
    """Go the whole road once in a world by each of its methods, and hold every answer to the truth of those it compares."""
    people = draw(world, seed)
    cohort = cohort_of(people)
    follow_up = followup_from_table(people.table, days="days", event="exit", person="person", censored="censored", states=["success", "other"])
    for method in HEADLINE.get(world.name, ()):
        comparison = compare(cohort, method)
        effects = estimate_effects(cohort, comparison, follow_up, ASKED)
        rows = comparison.rows[comparison.treated[comparison.rows]]
        truth = effects_of(world, people, rows, comparison.weights[rows])
        yield from headline(world.name, method, effects, truth)
        yield from by_group(world, people, cohort, comparison, follow_up, method)
        if world.name in NAIVE and method == "1:1":
            yield from short_cuts(world.name, people, cohort, comparison, effects, truth["risk"])
        if method == "1:2, reuse":
            naive = effects.risk_difference[PRIMARY]
            yield Answer(world.name, method, "E1, each use its own person", naive.value, unclustered(naive), truth["risk"])
    if world.name in JUDGED:
        yield judged(world.name, cohort)


def headline(world: str, method: str, effects: Effects, truth: dict[str, float]) -> Iterator[Answer]:
    """Hold E1, E3 and the hazard ratio to their truths."""
    found = {"E1": ("risk", effects.risk_difference[PRIMARY]), "E3": ("rmst", effects.rmst_difference)}
    found["log HR"] = ("log_hazard_ratio", effects.hazard_ratio.log if effects.hazard_ratio is not None else None)
    for what, (key, estimate) in found.items():
        if estimate is not None:
            yield Answer(world, method, what, estimate.value, estimate.std_error, truth[key])


def by_group(world: FlatWorld, people: People, cohort: Cohort, comparison: Comparison, follow_up: object, method: str) -> Iterator[Answer | Rate]:
    """Hold the effects within groups and their difference to the truth, and count whether anything differs where nothing does."""
    family = FAMILY if world.name == "no effect" else ("origin",)
    groups = estimate_subgroups(cohort, comparison, follow_up, family, AT_PRIMARY)
    rows = comparison.rows[comparison.treated[comparison.rows]]
    truth = {}
    for level in ("inside", "outside"):
        some = rows[(people.table["origin"].to_numpy() == level)[rows]]
        found = groups.effects["origin", level]
        if isinstance(found, Effects) and len(some):
            truth[level] = effects_of(world, people, some, comparison.weights[some])["risk"]
            one = found.risk_difference[PRIMARY]
            yield Answer(world.name, method, f"E1, born {level}", one.value, one.std_error, truth[level])
    gap = groups.differences.get(("origin", "outside", "inside", f"risk_{PRIMARY}"))
    if gap is not None:
        yield Answer(world.name, method, "E1, outside minus inside", gap.value, gap.std_error, truth["outside"] - truth["inside"])
    if len(family) > 1:
        tests = groups.interaction_tests[groups.interaction_tests["measure"] == f"risk_{PRIMARY}"]
        yield Rate(world.name, method, "some group differs, Holm", bool((tests["p_holm"] <= 0.05).any()))
        yield Rate(world.name, method, "some group differs, each test by itself", bool((tests["p_value"] <= 0.05).any()))


def short_cuts(world: str, people: People, cohort: Cohort, comparison: Comparison, effects: Effects, truth: float) -> Iterator[Answer]:
    """Estimate the share at the primary horizon in the ways that are often taken."""
    alike = scores_from_table(cohort, pd.DataFrame({"score": np.full(len(cohort), 0.5)}), score="score")
    table = people.table.assign(exit=people.table["exit"].replace("other", "censored"))
    reading = {"days": "days", "event": "exit", "person": "person", "censored": "censored"}
    whole = followup_from_table(people.table, states=["success", "other"], **reading)
    lone = followup_from_table(table, states=["success"], **reading)
    unmatched = estimate_effects(cohort, weight_cohort(cohort, alike), whole, AT_PRIMARY).risk_difference[PRIMARY]
    cause_specific = estimate_effects(cohort, comparison, lone, AT_PRIMARY).risk_difference[PRIMARY]
    own = effects.risk_difference[PRIMARY]
    yield Answer(world, "nobody matched", "E1", unmatched.value, unmatched.std_error, truth)
    yield Answer(world, "1:1, 1 − KM", "E1", cause_specific.value, cause_specific.std_error, truth)
    yield Answer(world, "1:1, pairs ignored", "E1", own.value, unclustered(own), truth)


def unclustered(estimate: Estimate) -> float:
    """Give the standard error that takes every person of every set as independent of all others."""
    clusters = estimate.clusters
    return float(np.sqrt(((estimate.influence[clusters.member] * clusters.share) ** 2).sum()))


def judged(world: str, cohort: Cohort) -> Rate:
    """Ask the verdict about the design."""
    method = JUDGED[world]
    comparison = compare(cohort, method)
    verdict = judge_design(cohort, estimate_propensity(cohort), comparison, assess_balance(cohort, comparison, by=["sex", "origin"]))
    return Rate(world, method, "the verdict fails the design", not verdict.passed)
