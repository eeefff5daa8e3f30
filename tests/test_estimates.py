"""How sure we are: variances by hand, the arithmetic of estimates, intervals and joint tests."""

import math

import numpy as np
import pytest
from scipy.stats import chi2, norm

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.estimates import Estimate, log_log_interval, wald_test
from evaluation.errors import EstimationError

SAME_ARITHMETIC = 1e-12  # the same few additions in another order
AT_20 = EffectSpec(horizons_days=(20,), rmst_days=None)


def estimate(value, influence, clusters, **changes):
    return Estimate("a share", value, np.asarray(influence, dtype=float), clusters, "probability", len(influence), **changes)


def one_each(n):
    return Clusters(np.arange(n), np.arange(n), np.ones(n))


@pytest.fixture
def crossed_pairs(make_study):
    """Two pairs without censoring; in each, one of the two has left by day 20: the treated in the first, the control in the second."""
    return make_study([10, 30, 30, 10], [1, 1, 1, 1], [(0, 2), (1, 3)], [0, 1])


@pytest.mark.hand
def test_the_difference_of_two_arms_carries_their_covariance(crossed_pairs):
    effects = estimate_effects(*crossed_pairs, AT_20)
    treated, control = (effects.arms[arm].risk[20] for arm in ("treated", "control"))
    difference = treated - control
    # shares: 1/2 and 1/2; influence of a person: (left - 1/2) / 2
    assert treated.std_error**2 == pytest.approx(0.25**2 + 0.25**2, abs=SAME_ARITHMETIC)
    assert control.std_error**2 == pytest.approx(0.25**2 + 0.25**2, abs=SAME_ARITHMETIC)
    # set sums of the difference: 1/4 - (-1/4) and -1/4 - 1/4; independent arms would give 0.25, these vary against each other
    assert difference.value == pytest.approx(0, abs=SAME_ARITHMETIC)
    assert difference.std_error**2 == pytest.approx(0.5**2 + 0.5**2, abs=SAME_ARITHMETIC)


@pytest.mark.hand
def test_the_ratio_of_two_arms_uses_the_delta_method(four_pairs):
    effects = estimate_effects(*four_pairs, AT_20)
    ratio = effects.arms["treated"].risk[20] / effects.arms["control"].risk[20]
    # left by day 20: treated 1 1 1 0, control 1 0 0 0; influence on the log: (left - 3/4) / 4 / (3/4) and (left - 1/4) / 4 / (1/4)
    log_influence = (np.array([1, 1, 1, 0]) - 3 / 4) / 4 / (3 / 4) - (np.array([1, 0, 0, 0]) - 1 / 4) / 4 / (1 / 4)
    std_error = math.sqrt((log_influence**2).sum())
    assert ratio.value == pytest.approx(3)
    assert ratio.log.std_error == pytest.approx(std_error)
    assert ratio.std_error == pytest.approx(3 * std_error)
    assert (ratio.low, ratio.high) == pytest.approx((3 * math.exp(-1.959964 * std_error), 3 * math.exp(1.959964 * std_error)), rel=1e-6)
    assert ratio.p_value == pytest.approx(2 * norm.sf(math.log(3) / std_error))
    assert ratio.n == 8


@pytest.mark.hand
def test_a_person_in_two_sets_is_counted_by_set_and_by_person_and_once_taken_away():
    # three people with influence 2, 3, 4; the third lies in both sets, half and half
    clusters = Clusters(np.array([0, 2, 1, 2]), np.array([0, 0, 1, 1]), np.array([1, 0.5, 1, 0.5]))
    by_set = (2 + 2) ** 2 + (3 + 2) ** 2
    by_person = 2**2 + 3**2 + 4**2
    by_both = 2**2 + 2**2 + 3**2 + 2**2
    assert not clusters.nested
    assert clusters.variance(np.array([2.0, 3.0, 4.0])) == pytest.approx(by_set + by_person - by_both)


@pytest.mark.property
@pytest.mark.parametrize("reuse", [True, False])
def test_one_estimate_at_a_time_and_all_at_once_give_the_same_variances(random_study, reuse):
    clusters = Clusters.of(random_study(5, ties=True, weighted=True, reuse=reuse).comparison)
    influence = np.random.default_rng(5).normal(size=(clusters.member.max() + 1, 3))
    covariance = clusters.covariance(influence)
    assert clusters.nested is not reuse
    assert np.diag(covariance) == pytest.approx([clusters.variance(column) for column in influence.T])
    assert covariance == pytest.approx(covariance.T)


@pytest.mark.hand
def test_few_clusters_get_the_small_sample_factor(four_pairs):
    difference = estimate_effects(*four_pairs, AT_20).risk_difference[20]
    team = np.isin(four_pairs.comparison.person[four_pairs.comparison.rows], ["p0", "p4", "p1", "p5"])  # the first two pairs, the last two
    # differences within pairs 0, 1, 1, 0 around 1/2: sums of influence 0 and 0 by these teams
    assert difference.cluster(team).std_error == pytest.approx(0, abs=SAME_ARITHMETIC)
    by_pair = np.array([int(person[1]) % 4 for person in four_pairs.comparison.person[four_pairs.comparison.rows]])
    assert difference.cluster(by_pair).std_error ** 2 == pytest.approx(4 / 3 * difference.std_error**2)
    assert difference.cluster(by_pair).value == difference.value


@pytest.mark.property
def test_names_of_clusters_do_not_matter():
    influence = np.random.default_rng(2).normal(size=12)
    team = np.arange(12) % 3
    named = np.array(["north", "centre", "south"])[team]
    assert Clusters.few(named).variance(influence) == pytest.approx(Clusters.few(team).variance(influence))


def test_one_cluster_has_no_variance(crossed_pairs):
    difference = estimate_effects(*crossed_pairs, AT_20).risk_difference[20]
    with pytest.raises(EstimationError, match="clusters: at least two are needed"):
        difference.cluster(["same"] * 4)


def test_estimates_from_different_comparisons_refuse_to_combine(crossed_pairs, four_pairs):
    here, there = (estimate_effects(*study, AT_20).risk_difference[20] for study in (crossed_pairs, four_pairs))
    for combine in (lambda: here - there, lambda: here / there, lambda: wald_test([here, there])):
        with pytest.raises(EstimationError, match="only estimates from the same comparison can be combined"):
            combine()


def test_a_ratio_to_zero_is_refused(make_study):
    nobody_yet = make_study([10, 30, 30, 30], [1, 1, 1, 1], [(0, 2), (1, 3)], [0, 1])
    arms = estimate_effects(*nobody_yet, AT_20).arms
    with pytest.raises(EstimationError, match="both must be above 0; give the difference instead"):
        arms["treated"].risk[20] / arms["control"].risk[20]


@pytest.mark.hand
def test_people_of_separate_arms_add_up_and_those_of_one_arm_do_not(four_pairs):
    arms = estimate_effects(*four_pairs, EffectSpec(horizons_days=(20, 30), rmst_days=None)).arms
    assert (arms["treated"].risk[20] - arms["control"].risk[20]).n == 8
    assert (arms["treated"].risk[30] - arms["treated"].risk[20]).n == 4


@pytest.mark.hand
def test_plain_interval_and_p_value():
    found = estimate(0.5, [0.3, -0.4], one_each(2))  # standard error sqrt(0.09 + 0.16)
    assert found.std_error == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((0.5 - 1.959964 * 0.5, 0.5 + 1.959964 * 0.5), abs=1e-6)
    assert found.p_value == pytest.approx(0.3173105)  # both tails beyond one standard error
    narrower = estimate(0.5, [0.3, -0.4], one_each(2), level=0.90)
    assert (narrower.low, narrower.high) == pytest.approx((0.5 - 1.644854 * 0.5, 0.5 + 1.644854 * 0.5), abs=1e-6)


@pytest.mark.hand
def test_log_log_interval_of_the_6_mp_patients_at_six_weeks():
    """R's conf.type = "log-log": S^exp(z se / (S log S)); Stata's sts list prints 0.8571, 0.0764, 0.6197 to 0.9516 for these 21 patients."""
    remain, std_error = 18 / 21, math.sqrt(18 / 21 * 3 / 21 / 21)
    reach = 1.959963985 * std_error / (remain * math.log(remain))
    low, high = log_log_interval(np.array([1 - remain]), np.array([std_error]), 0.95)
    assert (1 - high[0], 1 - low[0]) == pytest.approx((remain ** math.exp(-reach), remain ** math.exp(reach)), abs=1e-9)
    assert (round(1 - high[0], 4), round(1 - low[0], 4)) == (0.6197, 0.9516)


@pytest.mark.property
def test_log_log_intervals_stay_between_0_and_1_and_hold_the_point():
    share = np.array([0, 1e-6, 0.02, 0.5, 0.98, 1 - 1e-6, 1])
    low, high = log_log_interval(share, np.array([0, 1e-6, 0.2, 0.3, 0.2, 1e-6, 0]), 0.99)
    assert (low >= 0).all()
    assert (low <= share).all()
    assert (share <= high).all()
    assert (high <= 1).all()
    assert (low[0], high[0], low[-1], high[-1]) == (0, 0, 1, 1)


def test_a_single_share_has_no_p_value(four_pairs):
    effects = estimate_effects(*four_pairs, AT_20)
    assert math.isnan(effects.arms["treated"].risk[20].p_value)
    assert effects.risk_difference[20].p_value == pytest.approx(2 * norm.sf(0.5 / 0.25))


@pytest.mark.hand
def test_wald_test_of_one_estimate_is_the_square_of_z():
    found = wald_test([estimate(0.5, [0.3, -0.4], one_each(2))])
    assert (found.chi_square, found.degrees) == (pytest.approx(1.0), 1)
    assert found.p_value == pytest.approx(0.3173105)


@pytest.mark.hand
def test_wald_test_uses_the_covariance_of_the_estimates():
    clusters = one_each(3)
    first, second = estimate(2, [1, 1, 0], clusters), estimate(1, [0, 1, 1], clusters)
    # covariance ((2, 1), (1, 2)), inverse ((2, -1), (-1, 2)) / 3, so (2 * 4 - 2 * 2 * 1 + 2 * 1) / 3
    found = wald_test([first, second])
    assert (found.chi_square, found.degrees) == (pytest.approx((2 * 4 - 2 * 2 * 1 + 2 * 1) / 3), 2)
    assert found.p_value == pytest.approx(chi2.sf(2, 2))


def test_wald_test_of_estimates_that_follow_from_each_other_is_refused():
    clusters = one_each(2)
    with pytest.raises(EstimationError, match="their covariance is singular"):
        wald_test([estimate(0.5, [0.5, -0.5], clusters), estimate(1.0, [1.0, -1.0], clusters)])


@pytest.mark.property
@pytest.mark.parametrize("seed", range(5))
def test_wald_test_notices_a_dependence_hidden_by_rounding(seed):
    rng, clusters = np.random.default_rng(seed), one_each(50)
    first, second = (estimate(rng.normal(), rng.normal(size=50), clusters) for _ in range(2))
    with pytest.raises(EstimationError, match="their covariance is singular"):
        wald_test([first, second, first - second])


def test_estimates_show_themselves_without_their_influence():
    found = estimate(0.5, np.zeros(1000), one_each(1000))
    assert repr(found) == "Estimate(a share: 0.5, 95% interval 0.5 to 0.5, probability, n=1000)"


@pytest.mark.hand
def test_an_estimate_and_a_ratio_give_themselves_as_a_row(four_pairs):
    effects = estimate_effects(*four_pairs, EffectSpec(horizons_days=(20,), rmst_days=None))
    gap, ratio = effects.risk_difference[20], effects.hazard_ratio
    (row,) = gap.to_frame().to_dict("records")
    assert (row["value"], row["unit"], row["n"], row["level"]) == (pytest.approx(3 / 4 - 1 / 4), "probability", 8, 0.95)
    (row,) = ratio.to_frame().to_dict("records")
    assert (row["name"], row["unit"], row["n"]) == ("hazard ratio", "ratio", 8)
    assert row["value"] == pytest.approx(np.exp(ratio.log.value))
    assert row["low"] * row["high"] == pytest.approx(row["value"] ** 2)  # even around it on the log scale
    assert row["p_value"] == ratio.log.to_frame()["p_value"].item()
