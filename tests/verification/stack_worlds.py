r"""A stack of trials: every month some start, and those who wait may start later.

Hazards of leaving are as in the flat worlds; the chance of starting in a month hangs on what is known of a person. So the truth is again a closed
form for E2 (never), and for E1 (not now, perhaps later) a recursion over the days, which carries the share that waits and the share that has
started.

References
----------
Sianesi (2004). An evaluation of the Swedish system of active labor market programs in the 1990s. RESTAT 86(1), 133-155 (starting now or not now).
Hernán & Robins (2016). Using big data to emulate a target trial when a randomized trial is not available. American Journal of Epidemiology 183(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from flat_worlds import OTHER_A_DAY, PRIMARY, SUCCESS_A_DAY, Floats
from numpy.typing import NDArray

from evaluation import (
    EffectSpec,
    FollowUp,
    MatchingSpec,
    TimeUnit,
    censor_later_starts,
    cohort_from_trials,
    estimate_effects,
    estimate_propensity,
    match_cohort,
)
from evaluation.verification.answers import Answer

Days = NDArray[np.datetime64]

PEOPLE = 1_500
FIRST = np.datetime64("2018-01")
TRIALS = 8  # months in which people are compared
LAST_START_MONTH = 24  # people go on starting for so many months
RATIO = 1.6  # of a start on the hazard of success
A_MONTH = 0.02  # chance of starting in a month, of an average person
FIRST_DAYS = 28  # starts fall on one of so many days of a month
CANDIDATES = 10  # controls drawn per participant of a month
SEEN_DAYS = 800  # of each trial, at least
MATCHING = MatchingSpec(exact=("trial",), caliper_sd=0.2, ratio=2)
ASKED = EffectSpec(horizons_days=(PRIMARY,), rmst_days=None, success=("success",))
NEVER = 10**6


class Stack(NamedTuple):
    """The stack an evaluator gets, and what only the simulation knows of each row."""

    table: pd.DataFrame
    success: Floats
    other: Floats
    monthly: Floats  # chance of starting in a month


def month_starts() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the day, from 0, on which each month begins, and its length."""
    edges = (FIRST + np.arange(LAST_START_MONTH + 1)).astype("datetime64[D]").astype(np.int64)
    return edges[:-1] - edges[0], np.diff(edges)


def draw(sorting: float, seed: int) -> Stack:
    """Draw people who are all in on the first day, let them start and leave, and stack the months' trials."""
    rng = np.random.default_rng([seed, 1_000 + round(10 * sorting)])
    age, months = np.clip(rng.normal(40, 10, PEOPLE), 20, 64).round(), np.clip(rng.gamma(2, 6, PEOPLE), 0, 48).round()
    readiness = -0.03 * (age - 40) - 0.03 * (months - 12)
    monthly = 1 / (1 + np.exp(-(np.log(A_MONTH / (1 - A_MONTH)) + sorting * readiness)))
    success, other = SUCCESS_A_DAY * np.exp(0.8 * readiness), OTHER_A_DAY * np.exp(0.02 * (age - 40))

    begins, _ = month_starts()
    wants = rng.random((PEOPLE, LAST_START_MONTH)) < monthly[:, None]
    day = begins + rng.integers(0, FIRST_DAYS, (PEOPLE, LAST_START_MONTH))
    wished = np.where(wants, day, NEVER).min(axis=1)  # the day of the start, unless they have left before
    need, to_other = rng.standard_exponential(PEOPLE) / success, rng.standard_exponential(PEOPLE) / other
    to_success = np.where(need <= wished, need, wished + (need - wished) / RATIO)
    leaves = np.minimum(to_success, to_other)
    start = np.where(wished < leaves, wished, NEVER)
    kind = np.where(to_success <= to_other, "success", "other")

    parts = []
    for trial in range(TRIALS):
        until = begins[trial + 1]
        starters = np.flatnonzero((start >= begins[trial]) & (start < until))
        waiting = np.flatnonzero(start >= until)
        drawn = begins[trial] + rng.integers(0, FIRST_DAYS, len(waiting))
        there = np.flatnonzero(leaves[waiting] > drawn)
        there = there[rng.permutation(len(there))[: CANDIDATES * len(starters)]]
        who, index = np.append(starters, waiting[there]), np.append(start[starters], drawn[there])
        parts.append(pd.DataFrame({"who": who, "trial": f"2018-{trial + 1:02d}", "start": np.arange(len(who)) < len(starters), "index": index}))
    rows = pd.concat(parts, ignore_index=True)
    who, index = rows["who"].to_numpy(), rows["index"].to_numpy()
    exit_day = np.ceil(leaves[who] - index)
    table = rows.assign(
        person=who,
        start=rows["start"].astype(int),
        age=age[who],
        months=months[who],
        index_date=FIRST.astype("datetime64[D]") + index,
        days=np.minimum(exit_day, SEEN_DAYS),
        exit=np.where(exit_day > SEEN_DAYS, "censored", kind[who]),
        later=np.where(rows["start"] | (start[who] >= NEVER), np.inf, start[who] - index),
    )
    return Stack(table, success[who], other[who], monthly[who])


def true_effects(stack: Stack, rows: NDArray[np.intp]) -> dict[str, float]:
    """Give E1 and E2 of some participants' rows at the primary horizon, each participant's expectation, averaged."""
    success, other = stack.success[rows], stack.other[rows]

    def share(hazard: Floats) -> Floats:
        return hazard / (hazard + other) * -np.expm1(-(hazard + other) * PRIMARY)

    now = share(success * RATIO)
    return {"E1": float((now - not_now(stack, rows)).mean()), "E2": float((now - share(success)).mean())}


def not_now(stack: Stack, rows: NDArray[np.intp]) -> Floats:
    """Give the share with success by the primary horizon of people who do not start in their trial's month but may later, day by day."""
    begins, _ = month_starts()
    index = stack.table["index"].to_numpy()[rows]
    success, other = stack.success[rows], stack.other[rows]
    waits, started, done = np.ones(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
    own = np.searchsorted(begins, index, side="right") - 1
    for step in range(PRIMARY):
        day = index + step
        month = np.searchsorted(begins, day, side="right") - 1
        place = day - begins[month]
        may = (month > own) & (place < FIRST_DAYS) & (day < begins[-1] + FIRST_DAYS)
        chance = np.where(may, stack.monthly[rows] / (FIRST_DAYS - stack.monthly[rows] * np.minimum(place, FIRST_DAYS)), 0.0)
        waits, started = waits * (1 - chance), started + waits * chance
        for hazard, there in ((success, waits), (success * RATIO, started)):
            gone = -there * np.expm1(-(hazard + other))
            done += gone * hazard / (hazard + other)
            there -= gone
    return done


def replicate(name: str, sorting: float, seed: int) -> Iterator[Answer]:
    """Estimate E1 and E2 in one stack, and E1 and E2 in the ways that are often taken."""
    stack = draw(sorting, seed)
    table = stack.table
    reading = {"treated": "start", "covariates": ["age", "months"], "person": "person", "trial": "trial", "index_date": "index_date"}
    cohort = cohort_from_trials(table, **reading)
    comparison = match_cohort(cohort, estimate_propensity(cohort), MATCHING)
    state = pd.Categorical(table["exit"], categories=["censored", "success", "other"])
    days = table["days"].to_numpy(dtype=np.float64)
    follow_up = FollowUp(cohort.person, days, state, float(SEEN_DAYS), TimeUnit.DAY, later_start=table["later"].to_numpy(dtype=np.float64))
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    truth = true_effects(stack, comparison.rows[comparison.treated[comparison.rows]])
    for method, what, seen in (("1:2", "E1", follow_up), ("1:2", "E2", censored), ("1:2, unweighted", "E2", replace(censored, weights=None))):
        found = estimate_effects(cohort, comparison, seen, ASKED).risk_difference[PRIMARY]
        yield Answer(name, method, what, found.value, found.std_error, truth[what])

    ever = np.isfinite(table["later"]) & (table["later"] < table["days"])
    kept = np.flatnonzero((table["start"] == 1) | ~ever)
    never = cohort_from_trials(table.iloc[kept].reset_index(drop=True), **reading)
    chosen = match_cohort(never, estimate_propensity(never), MATCHING)
    whole = FollowUp(never.person, days[kept], state[kept], float(SEEN_DAYS), TimeUnit.DAY)
    found = estimate_effects(never, chosen, whole, ASKED).risk_difference[PRIMARY]
    compared = kept[chosen.rows[chosen.treated[chosen.rows]]]
    for what in ("E1", "E2"):
        yield Answer(name, "1:2, those who never start", what, found.value, found.std_error, true_effects(stack, compared)[what])


WORLDS = {"monthly trials": -1.5}
