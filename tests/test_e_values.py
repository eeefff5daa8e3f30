"""E-values: against published ones, and by hand."""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import norm

from evaluation.analysis import e_values
from evaluation.analysis.clusters import Clusters
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.e_values import EValue, e_value, hazard_e_value, share_e_value
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.estimates import Estimate, Ratio
from evaluation.errors import EstimationError

SAME_ARITHMETIC = 1e-10
BY_HORIZON = EffectSpec(horizons_days=(20,), rmst_days=None)


def ratio_of(value, low, high):
    """A ratio whose interval is (low, high), which must lie evenly around it on the log scale."""
    assert value == pytest.approx(sqrt(low * high), rel=0.005)  # published ratios are rounded
    half = (np.log(high) - np.log(low)) / 2 / norm.ppf(0.975)
    pair = np.array([1.0, -1.0]) * half / sqrt(2)
    return Ratio(Estimate("log of a ratio", float(np.log(high * low) / 2), pair, _TWO, "log ratio", 2))


_TWO = Clusters(np.array([0, 1]), np.array([0, 1]), np.ones(2))


@pytest.mark.reference
def test_smoking_and_lung_cancer_have_the_published_e_values():
    """VanderWeele & Ding (2017): 10.73 (8.02, 14.36)."""
    found = e_value(ratio_of(10.73, 8.02, 14.36))
    assert found.interval == pytest.approx(15.52336, abs=1e-5)
    assert found.point == pytest.approx(20.94777, abs=0.01)  # the centre of the published interval is 10.7317
    assert e_values._e_value(10.73, 8.02, 14.36).point == pytest.approx(20.94777, abs=1e-5)


@pytest.mark.hand
def test_a_ratio_below_one_has_the_e_values_of_its_inverse_by_hand():
    """Of 0.80 (0.71, 0.91): 1.25 + sqrt(1.25 x 0.25) = 1.81, and of 1 / 0.91 in the same way 1.43."""
    found = e_value(ratio_of(0.80, 0.71, 0.91))
    assert (found.point, found.interval) == pytest.approx((1.81, 1.43), abs=0.02)
    rounded = e_values._e_value(0.80, 0.71, 0.91)
    assert (rounded.point, rounded.interval) == pytest.approx((1.81, 1.43), abs=0.005)


@pytest.mark.hand
@pytest.mark.parametrize(("low", "high"), [(0.9, 4.0), (0.25, 1.1)])
def test_an_interval_that_holds_no_effect_needs_nothing_unseen(low, high):
    found = e_value(ratio_of(sqrt(low * high), low, high))
    assert found.interval == 1
    assert found.point > 1


@pytest.mark.property
def test_a_ratio_and_its_inverse_have_the_same_e_values():
    one, other = e_value(ratio_of(2.0, 1.6, 2.5)), e_value(ratio_of(0.5, 1 / 2.5, 1 / 1.6))
    assert (one.point, one.interval) == pytest.approx((other.point, other.interval), abs=SAME_ARITHMETIC)
    assert e_values._e_value(1.0, 1.0, 1.0) == EValue(1.0, 1.0)


@pytest.mark.hand
def test_a_hazard_ratio_of_a_common_outcome_is_first_made_a_ratio_of_risks():
    four = (1 - 0.5**2) / (1 - 0.5**0.5)  # the square roots of 4 and 1/4
    nine_quarters = (1 - 0.5**1.5) / (1 - 0.5 ** (2 / 3))
    found = hazard_e_value(ratio_of(4.0, 9 / 4, 64 / 9))
    assert found.point == pytest.approx(four + sqrt(four * (four - 1)))
    assert found.interval == pytest.approx(nine_quarters + sqrt(nine_quarters * (nine_quarters - 1)))
    assert found.point < e_value(ratio_of(4.0, 9 / 4, 64 / 9)).point


@pytest.mark.hand
def test_shares_are_compared_by_their_ratio(four_pairs):
    """By day 20 three of four treated and one of four controls: a ratio of 3; 1 + 2 of the pairs' influences on its logarithm."""
    arms = estimate_effects(*four_pairs, BY_HORIZON).arms
    found = share_e_value(arms["treated"].risk[20], arms["control"].risk[20])
    treated, control = np.array([1, 1, 1, 0]), np.array([1, 0, 0, 0])  # left by day 20
    by_pair = (treated - 3 / 4) / 4 / (3 / 4) - (control - 1 / 4) / 4 / (1 / 4)
    low = 3 * np.exp(-norm.ppf(0.975) * sqrt((by_pair**2).sum()))
    assert found.point == pytest.approx(3 + sqrt(6))
    assert found.interval == pytest.approx(max(low, 1) + sqrt(max(low, 1) * (max(low, 1) - 1)))


def test_a_share_of_nobody_has_no_ratio(four_pairs):
    arms = estimate_effects(*four_pairs, EffectSpec(horizons_days=(10,), rmst_days=None)).arms
    with pytest.raises(EstimationError, match="both must be above 0; give the difference instead"):
        share_e_value(arms["treated"].risk[10], arms["control"].risk[10])


@pytest.mark.hand
def test_an_e_value_gives_itself_as_a_row():
    (row,) = e_value(ratio_of(2, 1, 4)).to_frame().to_dict("records")
    assert row == {"point": pytest.approx(2 + sqrt(2)), "interval": pytest.approx(1)}
