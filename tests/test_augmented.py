"""Covariates in the outcome too: the estimate by hand and by statsmodels, its influence by moving everybody, and right if either model is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import root

from evaluation.analysis import augmented
from evaluation.analysis.augmented import RIDGE, augmented_difference
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.outcomes import TimeWeights, followup_from_table
from evaluation.design.cohort import cohort_from_table, cohort_from_trials
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import estimate_propensity
from evaluation.design.sets import comparison_from_sets
from evaluation.design.weighting import WeightingSpec, weight_cohort
from evaluation.errors import EstimationError, HorizonError

EXACT = 1e-10  # the same sums in another order, and Newton's last step squared
STEP = 1e-4
TRUNCATION = 1e-7  # of a derivative by central differences of 1e-4, relative to influences of order 0.01
STATSMODELS = 1e-8  # its deviance converges to 1e-12, the fit to the root of that and better
NEWTON = 1e-6  # the participation model stops at a step of 1e-7
DAY, WORK = 40.0, EffectSpec(success=("work",), horizons_days=(40,), rmst_days=None)
COVARIATES = ["age", "schooling", "region"]


def draw(people=200, seed=5, *, whole_days=True):
    """People whose covariates decide who participates, who finds work and, a little, who studies; days are tied, and many are censored."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"person": [f"p{number}" for number in range(people)]})
    table["age"], table["schooling"] = rng.normal(size=people), rng.integers(0, 3, people)
    table["region"] = rng.choice(["east", "north", "west"], people)
    linear = 0.6 * table["age"] - 0.4 * table["schooling"] + 0.4 * (table["region"] == "west")
    table["treated"] = (rng.random(people) < 1 / (1 + np.exp(0.6 - linear))).astype(int)
    work, study = rng.exponential(45 * np.exp(-0.5 * linear)), rng.exponential(130, people)
    last = rng.uniform(20, 120, people)
    days = np.minimum(np.minimum(work, study), last)
    table["days"] = np.ceil(days / 4) * 4 if whole_days else days
    table["exit"] = np.select([last <= days, work <= days], ["censored", "work"], "study")
    return table


def read(table, covariates=COVARIATES):
    cohort = cohort_from_table(table, treated="treated", covariates=covariates, person="person")
    return cohort, followup_from_table(table, days="days", event="exit", person="person", censored="censored", states=["work", "study"])


TABLE = draw()
COHORT, FOLLOW_UP = read(TABLE)
TREATED = TABLE["treated"].to_numpy(dtype=bool)
DESIGN = np.column_stack([np.ones(len(TABLE)), *pd.get_dummies(TABLE[COVARIATES], drop_first=True, dtype=float).to_numpy().T])
REUSING = match_cohort(COHORT, estimate_propensity(COHORT), MatchingSpec(ratio=2, replace=True, caliper_sd=None))


# Everything again from the weights, loop by loop, with nothing of the toolkit's


def made_up_for_censoring(weight, side):
    """One over Kaplan-Meier of censoring just before the day, for who has work by the horizon; exits come before censorings."""
    days, exit = TABLE["days"].to_numpy(), TABLE["exit"].to_numpy()
    value = np.zeros(len(days))
    for number in np.flatnonzero(side & (exit == "work") & (days <= DAY)):
        chance = 1.0
        for day in np.unique(days[side & (exit == "censored") & (weight > 0) & (days < days[number])]):
            ends = side & (exit == "censored") & (days == day)
            chance *= 1 - (weight * ends).sum() / (weight * (side & (days > day) | ends)).sum()
        value[number] = 1 / chance
    return value


def fitted(weight, value, design, ridge):
    """Solve the weighted equations of the regression."""

    def equations(beta):
        return design.T @ (weight * (value - 1 / (1 + np.exp(-design @ beta)))) - ridge * beta

    return root(equations, np.zeros(design.shape[1]), tol=1e-13).x


def by_loops(weight, yardstick=None):
    """Give the estimate at these weights, shape (n,); `yardstick` says whose standard deviations the ridge is measured in."""
    control = ~TREATED & ((REUSING.weights if yardstick is None else yardstick) > 0)
    design = DESIGN.copy()
    design[:, 1:] = (design[:, 1:] - design[control, 1:].mean(axis=0)) / design[control, 1:].std(axis=0)
    value = made_up_for_censoring(weight, TREATED) + made_up_for_censoring(weight, ~TREATED)
    ridge = np.append(0.0, np.full(design.shape[1] - 1, RIDGE))
    beta = fitted(weight[control], value[control], design[control], ridge)
    left = value - 1 / (1 + np.exp(-design @ beta))
    return np.average(left, weights=weight * TREATED) - np.average(left, weights=weight * ~TREATED)


def slopes(statistic, start):
    """Give how much `statistic` moves with the logarithm of each positive entry of `start`."""
    found = np.zeros(len(start))
    for number in np.flatnonzero(start):
        either = [statistic(start * (1 + sign * STEP * (np.arange(len(start)) == number))) for sign in (1, -1)]
        found[number] = (either[0] - either[1]) / (2 * STEP)
    return found


@pytest.mark.property
def test_the_influence_is_what_the_estimate_moves_when_a_weight_does(jackknife):
    """Controls serve several times, exits compete, days are tied, some are censored."""
    found = augmented_difference(COHORT, REUSING, FOLLOW_UP, WORK, horizon_days=DAY)
    assert found.value == pytest.approx(by_loops(REUSING.weights), abs=EXACT)
    expected = slopes(by_loops, REUSING.weights)
    assert found.influence == pytest.approx(expected[REUSING.rows], abs=TRUNCATION)
    plain = estimate_effects(COHORT, REUSING, FOLLOW_UP, WORK).risk_difference[DAY]
    assert abs(found.value - plain.value) > 1e-3
    assert np.abs(found.influence - plain.influence).max() > 1e-3

    def statistic(weight):
        whole = np.zeros(len(TABLE))
        whole[REUSING.rows] = weight
        return by_loops(whole)

    assert found.std_error == pytest.approx(jackknife(statistic, REUSING), rel=1e-5)


def weigh(case, method):
    """Fit the participation model where person i counts `case[i]` times; give everybody's weight."""
    beta = fitted(case, TREATED.astype(float), DESIGN, 0.0)
    e = 1 / (1 + np.exp(-DESIGN @ beta))
    weight = case * {"att": np.where(TREATED, 1, e / (1 - e)), "overlap": np.where(TREATED, 1 - e, e)}[method]
    weight[TREATED] *= case[TREATED].sum() / weight[TREATED].sum()
    weight[~TREATED] *= weight[TREATED].sum() / weight[~TREATED].sum()
    return weight


@pytest.mark.property
@pytest.mark.parametrize("method", ["att", "overlap"])
def test_where_weights_are_estimated_the_influence_is_what_the_estimate_moves_when_a_person_counts_more(method):
    comparison = weight_cohort(COHORT, estimate_propensity(COHORT), WeightingSpec(method=method))
    found = augmented_difference(COHORT, comparison, FOLLOW_UP, WORK, horizon_days=DAY)
    everybody = np.ones(len(TABLE))
    assert found.value == pytest.approx(by_loops(weigh(everybody, method), everybody), abs=1e-8)
    expected = slopes(lambda case: by_loops(weigh(case, method), everybody), everybody)
    whole = np.zeros(len(TABLE))
    whole[comparison.weight_model.rows] = found.clusters.weights.carried(found.influence)
    assert whole == pytest.approx(expected, abs=NEWTON)
    assert found.std_error == pytest.approx(np.sqrt((expected**2).sum()), rel=1e-4)


# By hand and by statsmodels


PAIRS = 24


def pairs(old_treated, old_control, left_treated, left_control):
    """Treated and controls in pairs, day 10 for those who left and day 50 for the others, and one yes-or-no covariate."""
    table = pd.DataFrame({"person": [f"p{number}" for number in range(2 * PAIRS)], "treated": [1] * PAIRS + [0] * PAIRS})
    table["old"] = [*old_treated, *old_control]
    table["days"], table["exit"] = np.where([*left_treated, *left_control], 10, 50), np.where([*left_treated, *left_control], "work", "study")
    cohort, follow_up = read(table, ["old"])
    sets = pd.DataFrame({"person": table["person"], "set": [*range(PAIRS), *range(PAIRS)]})
    return cohort, comparison_from_sets(cohort, sets), follow_up


@pytest.mark.hand
def test_with_one_yes_or_no_it_is_standardisation_to_the_treated(monkeypatch):
    """Half of the treated are old, of the controls a quarter; 6 of 12 old treated left, 9 of 12 young, 2 of 6 old controls, 6 of 18 young."""
    monkeypatch.setattr(augmented, "RIDGE", 0.0)
    old_treated, left_treated = [1] * 12 + [0] * 12, [1] * 6 + [0] * 6 + [1] * 9 + [0] * 3
    old_control, left_control = [1] * 6 + [0] * 18, [1] * 2 + [0] * 4 + [1] * 12 + [0] * 6
    study = pairs(old_treated, old_control, left_treated, left_control)
    found = augmented_difference(*study, WORK, horizon_days=DAY)
    assert found.value == pytest.approx(1 / 2 * (6 / 12 - 2 / 6) + 1 / 2 * (9 / 12 - 12 / 18), abs=EXACT)
    assert estimate_effects(*study, WORK).risk_difference[DAY].value == pytest.approx(15 / 24 - 14 / 24)
    assert (found.unit, found.interval, found.n) == ("probability", "plain", 2 * PAIRS)


@pytest.mark.reference
def test_it_is_what_a_regression_of_statsmodels_foretells_of_the_treated(monkeypatch):
    monkeypatch.setattr(augmented, "RIDGE", 0.0)
    seen = TABLE.assign(exit=TABLE["exit"].replace("censored", "study"))
    _, follow_up = read(seen)
    found = augmented_difference(COHORT, REUSING, follow_up, WORK, horizon_days=DAY)
    left = ((seen["exit"] == "work") & (seen["days"] <= DAY)).to_numpy(dtype=float)
    weight, control = REUSING.weights, ~TREATED & (REUSING.weights > 0)

    def foretold(arm):
        return sm.GLM(left[arm], DESIGN[arm], family=sm.families.Binomial(), freq_weights=weight[arm]).fit(tol=1e-12).predict(DESIGN)

    remain = left - foretold(control)
    assert found.value == pytest.approx(np.average(remain, weights=weight * TREATED), abs=STATSMODELS)
    assert np.average(remain, weights=weight * ~TREATED) == pytest.approx(0, abs=STATSMODELS)
    by_both = foretold(TREATED & (weight > 0)) - foretold(control)  # g-computation: the same, for the treated's regression adds up to their share
    assert found.value == pytest.approx(np.average(by_both, weights=weight * TREATED), abs=STATSMODELS)


# What must not matter


@pytest.mark.property
def test_covariates_that_tell_nothing_among_the_controls_leave_the_plain_difference_with_its_standard_error():
    """Nobody among the controls is old; censoring is there, and the sum over it is the Aalen-Johansen share."""
    table = TABLE.assign(old=np.where(TREATED, np.arange(len(TABLE)) % 2, 0))
    cohort, follow_up = read(table, ["old"])
    comparison = comparison_from_sets(cohort, REUSING.sets[["person", "set", "weight"]], weights="weight")
    found = augmented_difference(cohort, comparison, follow_up, WORK, horizon_days=DAY)
    plain = estimate_effects(cohort, comparison, follow_up, WORK).risk_difference[DAY]
    assert found.value == pytest.approx(plain.value, abs=EXACT)
    assert found.influence == pytest.approx(plain.influence, abs=EXACT)


@pytest.mark.property
def test_where_everybody_is_compared_with_exactly_alike_people_the_regression_changes_nothing():
    """Whatever it foretells is the same in both arms, so neither the estimate nor its standard error moves."""
    old, number = np.arange(PAIRS) % 2, np.arange(PAIRS)
    study = pairs(old, old, number % 3 > 0, number % 8 < 2 + 3 * old)
    found = augmented_difference(*study, WORK, horizon_days=DAY)
    plain = estimate_effects(*study, WORK).risk_difference[DAY]
    assert (found.value, found.std_error) == pytest.approx((plain.value, plain.std_error), abs=EXACT)
    assert np.abs(found.influence - plain.influence).max() > 1e-4


@pytest.mark.property
def test_rows_whose_registers_end_before_the_horizon_do_not_count():
    early = np.arange(len(TABLE)) % 5 == 0
    short = replace(FOLLOW_UP, reach=np.where(early, DAY - 1, 1000.0))
    found = augmented_difference(COHORT, REUSING, short, WORK, horizon_days=DAY)
    kept = np.where(early, 0.0, REUSING.weights)
    assert found.value == pytest.approx(by_loops(kept, kept), abs=EXACT)
    assert (found.influence[early[REUSING.rows]] == 0).all()


@pytest.mark.property
def test_the_same_people_in_two_trials_are_as_sure_as_in_one(monkeypatch):
    monkeypatch.setattr(augmented, "RIDGE", 0.0)
    stack = pd.concat([TABLE.assign(trial="first"), TABLE.assign(trial="second")], ignore_index=True)
    cohort = cohort_from_trials(stack, treated="treated", covariates=COVARIATES, person="person", trial="trial")
    days, state = np.tile(FOLLOW_UP.days, 2), pd.Categorical(list(FOLLOW_UP.state) * 2, categories=FOLLOW_UP.state.categories)
    follow_up = replace(FOLLOW_UP, person=cohort.person, days=days, state=state)
    comparison = weight_cohort(cohort, estimate_propensity(cohort))
    twice = augmented_difference(cohort, comparison, follow_up, WORK, horizon_days=DAY)
    single = augmented_difference(COHORT, weight_cohort(COHORT, estimate_propensity(COHORT)), FOLLOW_UP, WORK, horizon_days=DAY)
    assert (twice.value, twice.std_error, twice.n) == pytest.approx((single.value, single.std_error, single.n), rel=NEWTON)
    rare = replace(follow_up, state=state.copy())
    rare.state[(np.arange(len(stack)) % len(TABLE)) % 4 > 0] = "study"
    with pytest.raises(EstimationError, match=f"; {rare_people(rare)} have it"):  # people, not rows
        augmented_difference(cohort, comparison, rare, WORK, horizon_days=DAY)


def rare_people(follow_up):
    left = (follow_up.state == "work") & (follow_up.days <= DAY) & np.tile(~TREATED, 2)
    return follow_up.person[left].nunique()


@pytest.mark.property
def test_row_order_does_not_move_the_estimate_by_a_bit():
    def numbers(table):
        cohort, follow_up = read(table)
        scores = estimate_propensity(cohort)
        matched = match_cohort(cohort, scores, MatchingSpec(ratio=2, replace=True, caliper_sd=None))
        found = [augmented_difference(cohort, one, follow_up, WORK, horizon_days=DAY) for one in (matched, weight_cohort(cohort, scores))]
        return [(one.value, one.std_error) for one in found]

    expected = numbers(TABLE)
    for seed in range(3):
        assert numbers(TABLE.sample(frac=1, random_state=seed)) == expected


# Right if either model is


WORLDS, IN_WORLD, SIMULATION_ERRORS = 200, 400, 3  # a right method fails one check in 370; the seed is fixed
MODELS = [("right", "right"), ("right", "wrong"), ("wrong", "right"), ("wrong", "wrong")]  # of participation, of the outcome
IN_MODEL = {"right": ["x", "square"], "wrong": ["x"]}


def participates(x):
    return 1 / (1 + np.exp(1.2 - 0.4 * x - 0.5 * x**2))


def succeeds(x, treated):
    """Hangs on the square, which the wrong models lack; among the treated success is likelier, and the more so the larger x is."""
    return 1 / (1 + np.exp(1.0 - 0.4 * x - 0.6 * x**2 - treated * (0.6 + 0.3 * x)))


GRID = np.linspace(-2, 2, 20_001)
TRUTH = np.average(succeeds(GRID, 1) - succeeds(GRID, 0), weights=participates(GRID))


def world(rng):
    """Give the four estimates in one drawn world: a success comes on a day up to 30 or not until 100, and censoring is blind to all else."""
    x = rng.uniform(-2, 2, IN_WORLD)
    treated = rng.random(IN_WORLD) < participates(x)
    leaves = np.where(rng.random(IN_WORLD) < succeeds(x, treated), rng.uniform(0, 30, IN_WORLD), 100)
    ends = rng.uniform(10, 150, IN_WORLD)
    table = pd.DataFrame({"x": x, "square": x**2, "treated": treated.astype(int), "days": np.minimum(leaves, ends)})
    table["left"] = (leaves <= ends).astype(int)
    follow_up = followup_from_table(table, days="days", event="left")
    whole = cohort_from_table(table, treated="treated", covariates=["x", "square"])
    knowing = {name: replace(whole, covariates=whole.covariates[columns]) for name, columns in IN_MODEL.items()}
    comparisons = {name: weight_cohort(cohort, estimate_propensity(cohort)) for name, cohort in knowing.items()}
    for participation, outcome in MODELS:
        yield augmented_difference(knowing[outcome], comparisons[participation], follow_up, horizon_days=30)


@pytest.mark.recovery
def test_the_effect_is_found_if_either_model_is_right_and_missed_if_both_are_wrong():
    rng = np.random.default_rng(12)
    found = np.array([[(one.value, one.std_error, one.low <= TRUTH <= one.high) for one in world(rng)] for _ in range(WORLDS)])
    for number, models in enumerate(MODELS):
        value, error, covered = found[:, number].T
        bias, chance = value.mean() - TRUTH, value.std(ddof=1) / np.sqrt(WORLDS)
        if models == ("wrong", "wrong"):
            assert bias > 2 * SIMULATION_ERRORS * chance
        else:
            assert abs(bias) < SIMULATION_ERRORS * chance, models
            assert abs(error.mean() / value.std(ddof=1) - 1) < SIMULATION_ERRORS / np.sqrt(2 * WORLDS), models
            assert abs(covered.mean() - 0.95) < SIMULATION_ERRORS * np.sqrt(0.95 * 0.05 / WORLDS), models


def badly_matched_world(rng):
    """Give the augmented and the plain difference where nothing makes one, and pairs were made without looking at what decides the outcome."""
    x, noise = rng.uniform(-2, 2, IN_WORLD), rng.normal(size=IN_WORLD)
    treated = rng.random(IN_WORLD) < 1 / (1 + np.exp(1.6 - 0.5 * x))
    leaves = np.where(rng.random(IN_WORLD) < 1 / (1 + np.exp(0.8 - x)), rng.uniform(0, 30, IN_WORLD), 100)
    ends = rng.uniform(10, 150, IN_WORLD)
    table = pd.DataFrame({"x": x, "noise": noise, "treated": treated.astype(int), "days": np.minimum(leaves, ends)})
    follow_up = followup_from_table(table.assign(left=(leaves <= ends).astype(int)), days="days", event="left")
    cohort = cohort_from_table(table, treated="treated", covariates=["x", "noise"])
    blind = replace(cohort, covariates=cohort.covariates[["noise"]])
    comparison = match_cohort(blind, estimate_propensity(blind), MatchingSpec(caliper_sd=None))
    plain = estimate_effects(cohort, comparison, follow_up, EffectSpec(horizons_days=(30,), rmst_days=None)).risk_difference[30]
    return augmented_difference(cohort, comparison, follow_up, horizon_days=30), plain


@pytest.mark.recovery
def test_a_bad_match_is_mended_by_the_regression_and_the_interval_is_right():
    rng = np.random.default_rng(77)
    found = np.array([[(one.value, one.std_error, one.low <= 0 <= one.high) for one in badly_matched_world(rng)] for _ in range(WORLDS)])
    value, error, covered = found[:, 0].T
    chance = value.std(ddof=1) / np.sqrt(WORLDS)
    assert abs(value.mean()) < SIMULATION_ERRORS * chance
    assert abs(error.mean() / value.std(ddof=1) - 1) < SIMULATION_ERRORS / np.sqrt(2 * WORLDS)
    assert abs(covered.mean() - 0.95) < SIMULATION_ERRORS * np.sqrt(0.95 * 0.05 / WORLDS)
    assert found[:, 1, 0].mean() > 2 * SIMULATION_ERRORS * chance


# What is refused


def test_too_few_successes_for_the_columns_are_refused_with_their_number():
    rare = TABLE.assign(exit=np.where((TABLE["exit"] == "work") & (np.arange(len(TABLE)) % 4 > 0), "study", TABLE["exit"]))
    _, follow_up = read(rare)
    control = ~TREATED & (REUSING.weights > 0)
    have = int((control & (rare["exit"] == "work") & (rare["days"] <= DAY)).sum())
    lack = int((control & ((rare["days"] > DAY) | (rare["exit"] == "study"))).sum())
    assert 0 < have < 20 <= lack
    sentence = f"regression on 4 columns needs 20 compared controls with success by the horizon and as many without; {have} have it and {lack} do not"
    with pytest.raises(EstimationError, match=sentence):
        augmented_difference(COHORT, REUSING, follow_up, WORK, horizon_days=DAY)


def test_a_horizon_nobody_was_observed_to_is_refused():
    with pytest.raises(HorizonError, match="horizons must lie within what was observed in both arms, 96 "):
        augmented_difference(COHORT, REUSING, FOLLOW_UP, WORK, horizon_days=500)


def test_a_horizon_that_those_followed_so_long_were_not_observed_to_is_refused():
    """One row could have been followed for 300 days, and was not."""
    short = replace(FOLLOW_UP, reach=np.where(np.arange(len(TABLE)) == REUSING.rows[0], 300.0, 60.0))
    with pytest.raises(HorizonError, match="augmented difference: share at 200 days: not observed that long in both arms; ask for a shorter horizon"):
        augmented_difference(COHORT, REUSING, short, WORK, horizon_days=200)


def test_weights_that_change_with_time_are_refused():
    pieces = TimeWeights(np.arange(len(TABLE)), np.zeros(len(TABLE)), FOLLOW_UP.days, np.ones(len(TABLE)))
    with pytest.raises(EstimationError, match="augmented difference: weights that change with time have no place in it"):
        augmented_difference(COHORT, REUSING, replace(FOLLOW_UP, weights=pieces), WORK, horizon_days=DAY)


def test_an_unknown_success_is_refused():
    with pytest.raises(EstimationError, match="success: retired is not a state"):
        augmented_difference(COHORT, REUSING, FOLLOW_UP, EffectSpec(success=("retired",)), horizon_days=DAY)


def separated():
    """Pairs in which every old control left and no young one did."""
    old = [1] * 12 + [0] * 12
    return pairs([1, 0] * 12, old, [1] * 12 + [0] * 12, old)


def test_a_level_whose_controls_all_left_has_a_coefficient():
    """What is foretold of them is then what they did, but for the weak ridge."""
    found = augmented_difference(*separated(), WORK, horizon_days=DAY)
    assert found.value == pytest.approx(1 / 2 - 1 / 2, abs=1e-3)


def test_a_regression_without_a_maximum_is_refused(monkeypatch):
    monkeypatch.setattr(augmented, "RIDGE", 0.0)
    with pytest.raises(EstimationError, match="the regression of the controls' outcome has no maximum; give the cohort fewer covariates"):
        augmented_difference(*separated(), WORK, horizon_days=DAY)
