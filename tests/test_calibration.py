"""Calibration by effects known to be zero: against closed forms, a search of the likelihood, and simulated truths."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimates import Estimate
from evaluation.errors import EstimationError
from evaluation.sensitivity.calibration import calibrate

ROUNDING = 1e-12  # sums in another order
FOUND = 1e-6  # a minimum is flat: the place is found to the square root of the rounding of the height
WORLDS = 250
SIMULATION_ERRORS = 3  # a right method fails one check in 370; the seeds are fixed
CLAIMED = 0.95


def estimate(value, std_error, unit="probability", name="one"):
    """Make an estimate of two people whose influences give the standard error."""
    influence = np.array([std_error, 0.0])
    return Estimate(name, value, influence, Clusters(np.arange(2), np.arange(2), np.ones(2)), unit, 2)


def nulls_of(values, std_errors):
    return [estimate(value, error) for value, error in zip(values, np.broadcast_to(std_errors, np.shape(values)), strict=True)]


EFFECT = estimate(0.08, 0.02)
VALUES = [0.05, -0.03, 0.09, 0.01, 0.03, -0.01]  # mean 7/300; squared distances from it sum to 0.0093333


@pytest.mark.hand
def test_with_equal_standard_errors_mean_and_spread_are_those_of_the_nulls_less_chance():
    found = calibrate(EFFECT, nulls_of(VALUES, 0.01))
    assert found.mean == pytest.approx(0.14 / 6, rel=FOUND)
    assert found.spread == pytest.approx(math.sqrt(0.0126 / 6 - (0.14 / 6) ** 2 - 0.01**2), rel=FOUND)  # squares sum to 0.0126
    assert found.value == pytest.approx(0.08 - 0.14 / 6, rel=FOUND)
    assert found.std_error == pytest.approx(math.sqrt(0.02**2 + found.spread**2 + (found.spread**2 + 0.01**2) / 6), rel=FOUND)


@pytest.mark.hand
def test_the_interval_and_the_p_value_are_those_of_the_t_distribution():
    found = calibrate(EFFECT, nulls_of(VALUES, 0.01))
    assert found.degrees == 4
    assert found.high - found.value == pytest.approx(t.ppf(0.975, 4) * found.std_error, rel=FOUND)
    assert found.value - found.low == pytest.approx(t.ppf(0.975, 4) * found.std_error, rel=FOUND)
    assert found.p_value == pytest.approx(2 * t.sf(found.value / found.std_error, 4), rel=FOUND)


@pytest.mark.hand
def test_nulls_that_vary_no_more_than_chance_have_no_spread():
    found = calibrate(EFFECT, nulls_of(VALUES, 0.2))
    assert found.spread == pytest.approx(0, abs=FOUND)
    assert found.std_error == pytest.approx(math.sqrt(0.02**2 + 0.2**2 / 6), rel=FOUND)


@pytest.mark.hand
def test_equal_nulls_move_the_effect_and_have_no_spread():
    found = calibrate(EFFECT, nulls_of([0.03] * 5, [0.01, 0.02, 0.03, 0.01, 0.05]))
    assert (found.mean, found.spread) == (pytest.approx(0.03, rel=ROUNDING), 0.0)


@pytest.mark.reference
@pytest.mark.parametrize("seed", range(8))
def test_a_search_of_the_likelihood_over_both_numbers_finds_none_likelier(seed):
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.005, 0.1, 7)
    values = rng.normal(0.02, np.hypot(rng.uniform(0, 0.08), errors))
    found = calibrate(EFFECT, nulls_of(values, errors))

    def height(mean, spread):
        return norm.logpdf(values, mean, np.hypot(np.asarray(spread)[..., None], errors)).sum(axis=-1)

    spreads = np.linspace(0, 2 * np.ptp(values), 1_000)
    highest = max(height(mean, spreads).max() for mean in np.linspace(values.min(), values.max(), 200))
    assert height(found.mean, found.spread) >= highest
    assert height(found.mean, found.spread) >= max(height(found.mean, found.spread * factor) for factor in (1 - FOUND, 1 + FOUND)) - ROUNDING


@pytest.mark.hand
def test_of_two_hills_of_the_likelihood_the_higher_is_climbed():
    # four sharp nulls agree exactly and a fifth lies far off: without spread the sharp four decide, with it the fifth is explained
    values, errors = [0.0, 0.0, 0.0, 0.0, 1.0], [0.3, 0.3, 0.3, 0.3, 0.02]
    found = calibrate(EFFECT, nulls_of(values, errors))

    def height(spread):
        variance = spread**2 + np.square(errors)
        mean = np.average(values, weights=1 / variance)
        return norm.logpdf(values, mean, np.sqrt(variance)).sum()

    assert height(found.spread) >= max(map(height, np.linspace(0, 2, 4001))) - ROUNDING


@pytest.mark.property
def test_the_unit_of_measurement_does_not_matter():
    errors = [0.01, 0.02, 0.015, 0.03, 0.01, 0.02]
    one, other = (
        calibrate(EFFECT, nulls_of(VALUES, errors)),
        calibrate(estimate(8.0, 2.0), nulls_of(np.multiply(VALUES, 100), np.multiply(errors, 100))),
    )
    assert [100 * one.low, 100 * one.high, one.p_value] == pytest.approx([other.low, other.high, other.p_value], rel=FOUND)


@pytest.mark.property
def test_the_order_of_the_nulls_moves_not_even_the_last_bit():
    nulls = nulls_of(VALUES, [0.01, 0.02, 0.015, 0.03, 0.01, 0.02])
    assert calibrate(EFFECT, nulls).to_frame().equals(calibrate(EFFECT, nulls[::-1]).to_frame())


@pytest.mark.property
def test_what_shifts_nulls_and_effect_alike_changes_nothing():
    shifted = calibrate(replace(EFFECT, value=0.08 + 0.05), nulls_of(np.add(VALUES, 0.05), 0.01))
    plain = calibrate(EFFECT, nulls_of(VALUES, 0.01))
    assert [shifted.low, shifted.high] == pytest.approx([plain.low, plain.high], rel=FOUND)


@pytest.mark.recovery
@pytest.mark.parametrize("count", [5, 8, 25])
@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_the_calibrated_interval_holds_the_truth_and_the_uncalibrated_does_not(count, spread):
    rng = np.random.default_rng(count)
    held, naive = 0, 0
    for _ in range(WORLDS):
        errors = rng.uniform(0.5, 1.5, count)
        effect = estimate(2 + rng.normal(1, math.hypot(spread, 1)), 1.0)
        found = calibrate(effect, nulls_of(rng.normal(1, np.hypot(spread, errors)), errors))
        held += found.low <= 2 <= found.high
        naive += effect.low <= 2 <= effect.high
    allowed = SIMULATION_ERRORS * math.sqrt(CLAIMED * (1 - CLAIMED) / (WORLDS))
    assert held / (WORLDS) > CLAIMED - allowed
    assert naive / (WORLDS) < CLAIMED - allowed


@pytest.mark.hand
def test_four_nulls_are_refused_with_the_reason():
    with pytest.raises(EstimationError, match="fitted to 4 effects known to be zero, and 5 are the fewest"):
        calibrate(EFFECT, nulls_of(VALUES[:4], 0.01))


@pytest.mark.hand
def test_nulls_of_another_unit_or_without_a_standard_error_are_refused_by_name():
    with pytest.raises(EstimationError, match=r"calibration: days out: not in the unit of one \(probability\)"):
        calibrate(EFFECT, [*nulls_of(VALUES, 0.01), estimate(3.0, 1.0, "days", "days out")])
    with pytest.raises(EstimationError, match="calibration: still: without a standard error"):
        calibrate(EFFECT, [*nulls_of(VALUES, 0.01), estimate(0.0, 0.0, name="still")])


@pytest.mark.hand
def test_the_table_sets_the_effect_beside_what_is_left_of_it():
    found = calibrate(EFFECT, nulls_of(VALUES, 0.01))
    row = found.to_frame().iloc[0]
    assert (row["n_nulls"], row["effect"], row["calibrated"], row["calibrated_low"]) == (6, 0.08, found.value, found.low)
