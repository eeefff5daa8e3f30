"""A truth that was put in is found again: bias and coverage over simulated matched studies, and a zero effect through the whole road."""

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import effects_within
from evaluation.analysis.outcomes import compared_follow_up, followup_from_table
from evaluation.analysis.subgroups import estimate_subgroups
from evaluation.design.matching import MatchingSpec

WORLDS = 1_000
PAIRS = 200
HORIZON = 180
HAZARD = 1 / 250  # of a control with frailty 1, per day
SPREAD = 0.6  # variance of the gamma frailty a pair shares
CENSORING = 1 / 900  # per day, everybody alike
LAST_DAY = 400
ASKED = EffectSpec(horizons_days=(HORIZON,), rmst_days=HORIZON)
SIMULATION_ERRORS = 3  # a right method fails one check in 370
EFFECT_ON_WOMEN, EFFECT_ON_MEN = 1.8, 1.2  # times the hazard, given the frailty


def true_remaining(day, ratio):
    """Share still there at `day`: the mean of exp(-frailty x hazard x day) over a gamma frailty of mean 1."""
    return (1 + SPREAD * HAZARD * ratio * day) ** (-1 / SPREAD)


def true_mean_days(ratio):
    """Mean of min(exit, horizon) where exits fall on whole days: one day for each day begun."""
    return true_remaining(np.arange(HORIZON), ratio).sum()


def worlds(rng, ratio_treated, ratio_control=1.0):
    """Draw whole days and seen exits of all worlds at once, shape (worlds, people): the treated first, then their controls in the same order."""
    frailty = np.tile(rng.gamma(1 / SPREAD, SPREAD, (WORLDS, PAIRS)), 2)
    hazard = HAZARD * np.concatenate([np.broadcast_to(ratio_treated, PAIRS), np.broadcast_to(ratio_control, PAIRS)])
    exit = np.ceil(rng.exponential(1 / (frailty * hazard)))
    end = np.minimum(np.ceil(rng.exponential(1 / CENSORING, exit.shape)), LAST_DAY)
    return np.minimum(exit, end), exit <= end


@pytest.fixture(scope="module")
def design(make_study):
    """Two hundred pairs, alike in sex within half of the pairs only, so that the groups are neither separate nor the same."""
    sex = np.where(np.arange(PAIRS) % 2 == 0, "woman", "man")
    sex_control = np.where(np.arange(PAIRS) % 4 < 2, sex, sex[::-1])
    return make_study(np.ones(2 * PAIRS), [0, 1] * PAIRS, [(n, n + PAIRS) for n in range(PAIRS)], range(PAIRS), sex=[*sex, *sex_control])


def outcomes_of(design, days, seen):
    table = pd.DataFrame({"days": days, "left": seen.astype(int)}, index=design.cohort.person)
    return followup_from_table(table, days="days", event="left")


def assert_recovered(estimates, truth):
    """Check that the mean is the truth and the intervals hold it as often as they claim, within simulation error."""
    value, low, high = (np.array([getattr(estimate, part) for estimate in estimates]) for part in ("value", "low", "high"))
    assert abs(value.mean() - truth) < SIMULATION_ERRORS * value.std() / np.sqrt(len(value))
    covered = ((low <= truth) & (truth <= high)).mean()
    assert abs(covered - 0.95) < SIMULATION_ERRORS * np.sqrt(0.95 * 0.05 / len(value))


@pytest.fixture(scope="module")
def with_effect(design):
    ratio = np.where(np.arange(PAIRS) % 2 == 0, EFFECT_ON_WOMEN, EFFECT_ON_MEN)
    days, seen = worlds(np.random.default_rng(1), ratio)
    return [
        estimate_subgroups(*design._replace(follow_up=outcomes_of(design, *world)), ["everybody", "sex"], ASKED)
        for world in zip(days, seen, strict=True)
    ]


@pytest.mark.recovery
def test_risk_difference_is_recovered(with_effect): ...
