"""What difference it made: whole results against arithmetic, against R, and under everything that must not matter."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import effects_within, estimate_effects
from evaluation.errors import EstimationError, HorizonError

SAME_FORMULA = 1e-8  # R prints 11 digits

FOUR_WEEKS = EffectSpec(horizons_days=(10, 20), rmst_days=40)


# ---- four pairs by hand: treated leave at 10, 20, 20 and 40 (censored), controls at 20, 30, 40 (censored) and 40


@pytest.mark.hand
def test_shares_and_their_difference(four_pairs):
    effects = estimate_effects(*four_pairs, FOUR_WEEKS)
    assert {arm: [share.value for share in effects.arms[arm].risk.values()] for arm in ("treated", "control")} == {
        "treated": pytest.approx([1 / 4, 3 / 4]),
        "control": pytest.approx([0, 1 / 4]),
    }
    by_pair = np.array([0, 1, 1, 0]) - 1 / 2  # who left by day 20, treated less control, around its mean
    assert effects.risk_difference[20].value == pytest.approx(3 / 4 - 1 / 4)
    assert effects.risk_difference[20].std_error == pytest.approx(np.sqrt((by_pair**2).sum()) / 4)


@pytest.mark.hand
def test_the_table_of_an_arm_has_a_row_for_each_of_its_measures(four_pairs):
    table = estimate_effects(*four_pairs, FOUR_WEEKS).arms["treated"].to_frame()
    asked = ["risk", "risk", "incidence: study", "incidence: study", "incidence: work", "incidence: work", "rmst"]
    assert table["measure"].tolist() == asked
    assert table["horizon_days"].tolist() == pytest.approx([10, 20] * 3 + [np.nan], nan_ok=True)
    assert table["n"].tolist() == [4] * 7
    assert table["value"].tolist() == pytest.approx([1 / 4, 3 / 4, 0, 1 / 4, 1 / 4, 2 / 4, (10 + 20 + 20 + 40) / 4])
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert table["std_error"][1] == pytest.approx(np.sqrt(3 / 4 * 1 / 4 / 4))  # of three in four


@pytest.mark.hand
def test_days_sooner(four_pairs):
    effects = estimate_effects(*four_pairs, FOUR_WEEKS)
    by_pair = np.array([10 - 20, 20 - 30, 20 - 40, 40 - 40])
    assert effects.arms["treated"].rmst.value == pytest.approx((10 + 20 + 20 + 40) / 4)
    assert effects.arms["control"].rmst.value == pytest.approx((20 + 30 + 40 + 40) / 4)
    assert effects.rmst_difference.value == pytest.approx(by_pair.mean())
    assert effects.rmst_difference.std_error == pytest.approx(np.sqrt(((by_pair - by_pair.mean()) ** 2).sum()) / 4)


@pytest.mark.hand
def test_a_spec_asks_at_one_horizon_for_shares_alone_and_otherwise_for_the_same(four_pairs):
    asked = EffectSpec(horizons_days=(10, 20), rmst_days=40, success=("work",), level=0.9, smallest_arm=3)
    assert asked.at(20) == EffectSpec(horizons_days=(20,), rmst_days=None, success=("work",), level=0.9, smallest_arm=3)
    effects = estimate_effects(*four_pairs, asked.at(20))
    assert list(effects.estimates()) == ["risk_20", "log_hazard_ratio"]


@pytest.mark.hand
def test_shares_by_state_and_counts(four_pairs):
    effects = estimate_effects(*four_pairs, FOUR_WEEKS)
    assert effects.cumulative_incidence["study", 20].value == pytest.approx(1 / 4 - 0)
    assert effects.cumulative_incidence["work", 20].value == pytest.approx(2 / 4 - 1 / 4)
    assert [(arm.n, arm.events) for arm in effects.arms.values()] == [(4, 3), (4, 3)]
    assert (effects.observed_days, effects.notes) == (40, ())


@pytest.mark.hand
def test_only_the_named_states_are_success(four_pairs):
    """Leaving to study is then no success and no censoring: who studies will not be found at work."""
    effects = estimate_effects(*four_pairs, FOUR_WEEKS.model_copy(update={"success": ("work",)}))
    assert effects.arms["treated"].risk[20].value == pytest.approx(2 / 4)
    assert effects.arms["treated"].events == 2
    assert effects.arms["treated"].rmst.value == pytest.approx((10 + 40 + 20 + 40) / 4)
    assert effects.log_rank.observed == 2


@pytest.mark.hand
def test_the_table_has_one_row_per_measure(four_pairs):
    effects = estimate_effects(*four_pairs, FOUR_WEEKS)
    table = effects.to_frame().set_index(["measure", "horizon_days"])
    states = ["incidence_difference: study", "incidence_difference: work"]
    assert sorted(set(effects.to_frame()["measure"])) == ["hazard_ratio", *states, "risk_difference", "rmst_difference"]
    risk = table.loc[("risk_difference", 20)]
    assert (risk["treated"], risk["control"], risk["effect"]) == pytest.approx((3 / 4, 1 / 4, 1 / 2))
    assert (risk["low"], risk["high"]) == pytest.approx((0.5 - 1.959964 * 0.25, 0.5 + 1.959964 * 0.25), abs=1e-6)
    assert risk["p_value"] == pytest.approx(2 * norm.sf(0.5 / 0.25))
    assert list(effects.estimates()) == ["risk_10", "risk_20", "rmst", "log_hazard_ratio"]


def test_the_summary_counts_people_and_names_the_level(four_pairs):
    text = estimate_effects(*four_pairs, FOUR_WEEKS.model_copy(update={"level": 0.9})).summary()
    assert text.startswith("4 treated, 4 controls, 90% intervals\n")
    assert "rmst_difference" in text


# ---- R: unemployment insurance and the pairs R made


@pytest.fixture(scope="module")
def unempdur_effects(unempdur):
    return {tau: estimate_effects(*unempdur, EffectSpec(horizons_days=(14 * tau,), rmst_days=14 * tau)) for tau in (14, 26)}


@pytest.mark.reference
def test_periods_without_work_equal_r(unempdur_effects, reference):
    for row in reference("unempdur_effects")["restricted_mean"]:
        found = unempdur_effects[row["tau"]].arms[row["arm"]].rmst
        assert (found.value / 14, found.std_error / 14) == pytest.approx((row["restricted_mean"], row["std_error"]), abs=SAME_FORMULA)


@pytest.mark.reference
def test_the_difference_of_periods_equals_r_and_its_error_once_people_count_as_independent(unempdur_effects, reference):
    """R's figure takes the arms as independent; clustering by person instead of pair gives it, but for the factor G / (G - 1)."""
    people = 2 * 1360
    for row in reference("unempdur_effects")["restricted_mean_difference"]:
        found = unempdur_effects[row["tau"]].rmst_difference
        alone = found.cluster(np.arange(people)).std_error * np.sqrt((people - 1) / people)
        assert found.value / 14 == pytest.approx(row["difference"], abs=SAME_FORMULA)
        assert alone / 14 == pytest.approx(row["std_error"], abs=SAME_FORMULA)
        assert abs(found.std_error - alone) > 1e-4  # the pairs do tell something


@pytest.mark.reference
def test_incidences_in_both_arms_equal_r(unempdur_effects, reference):
    for row in reference("unempdur_effects")["incidence"]:
        if row["time"] in unempdur_effects:
            effects, key = unempdur_effects[row["time"]], (row["state"], 14 * row["time"])
            assert effects.arms[row["arm"]].cumulative_incidence[key].value == pytest.approx(row["probability"], abs=SAME_FORMULA)


@pytest.mark.reference
def test_shares_and_their_errors_equal_r(unempdur_effects, reference):
    for row in reference("unempdur_effects")["kaplan_meier"]:
        if row["time"] in unempdur_effects:
            found = unempdur_effects[row["time"]].arms[row["arm"]].risk[14 * row["time"]]
            assert (1 - found.value, found.std_error) == pytest.approx((row["survival"], row["std_error"]), abs=SAME_FORMULA)


# ---- what may not matter


@pytest.mark.property
def test_row_order_does_not_move_a_number_by_a_bit(shuffles):
    first, *others = (estimate_effects(*study, EffectSpec(horizons_days=(35, 105), rmst_days=140)) for study in shuffles)
    assert (shuffles[0].comparison.sets["person"].value_counts() > 1).any()
    for other in others:
        pd.testing.assert_frame_equal(first.to_frame(), other.to_frame(), check_exact=True)
        assert other.log_rank.chi_square == first.log_rank.chi_square
        assert other.hazard_ratio.log.influence.tolist() == first.hazard_ratio.log.influence.tolist()


@pytest.mark.property
@pytest.mark.parametrize("reuse", [True, False])
def test_influences_sum_to_zero_and_stay_in_their_arm(random_study, reuse):
    study = random_study(61, ties=True, weighted=True, reuse=reuse)
    effects = estimate_effects(*study, EffectSpec(horizons_days=(2, 3), rmst_days=3))
    treated = study.comparison.treated[study.comparison.rows]
    for estimate in effects.estimates().values():
        assert estimate.influence.sum() == pytest.approx(0, abs=SAME_FORMULA)
    excess = effects.log_rank.difference  # grows with the weights themselves, so its influences sum to what it is (Euler)
    assert excess.influence.sum() == pytest.approx(excess.value, abs=SAME_FORMULA)
    assert not effects.arms["treated"].rmst.influence[~treated].any()
    assert not effects.arms["control"].risk[3].influence[treated].any()


# ---- what cannot be answered


def test_every_horizon_beyond_the_follow_up_is_named_in_the_studys_unit(make_study):
    study = make_study([1, 5, 3, 6], [1, 0, 1, 0], [(0, 2), (1, 3)], [0, 1], unit="week")
    with pytest.raises(HorizonError, match=r"observed in both arms, 5 \(unit: week\); 6, 8, 52 do not") as error:
        estimate_effects(*study, EffectSpec(horizons_days=(14, 42, 56), rmst_days=364))
    assert "14" not in str(error.value)
    with pytest.raises(HorizonError, match=r"5 \(unit: week\); 6 does not"):
        estimate_effects(*study, EffectSpec(horizons_days=(42,), rmst_days=None))


@pytest.mark.hand
def test_where_everybody_was_seen_to_leave_the_share_is_known_for_ever(make_study):
    effects = estimate_effects(*make_study([1, 5, 3, 6], [1, 1, 1, 1], [(0, 2), (1, 3)], [0, 1]), EffectSpec(horizons_days=(365,), rmst_days=730))
    assert effects.observed_days == np.inf
    assert effects.arms["treated"].risk[365].value == pytest.approx(1)
    assert effects.arms["treated"].rmst.value == pytest.approx((1 + 5) / 2)


def test_no_exits_in_one_arm_leave_a_note_in_place_of_the_ratio(make_study):
    study = make_study([4, 5, 3, 6], [0, 0, 1, 1], [(0, 2), (1, 3)], [0, 1])
    effects = estimate_effects(*study, EffectSpec(horizons_days=(4,), rmst_days=4))
    assert effects.hazard_ratio is None
    (note,) = effects.notes
    assert "so the ratio would be 0 or infinite" in note
    assert effects.notes[0] in effects.summary()
    assert "hazard_ratio" not in set(effects.to_frame()["measure"])
    assert effects.risk_difference[4].value == pytest.approx(0 - 1 / 2)


def test_horizons_a_part_cannot_reach_become_notes(four_pairs):
    compared = compared_follow_up(*four_pairs)
    inside = np.isin(compared.rows, [0, 1, 4, 5])  # the first two pairs, all gone by day 30
    effects = effects_within(compared, compared.exit >= 0, inside, EffectSpec(horizons_days=(20,), rmst_days=40))
    assert effects.observed_days == np.inf
    inside = np.isin(compared.rows, [2, 3, 6, 7])  # the last two, followed to day 40
    effects = effects_within(compared, compared.exit >= 0, inside, EffectSpec(horizons_days=(20, 50), rmst_days=60))
    assert effects.notes == ("share at 50 days: not observed that long in both arms", "mean days up to 60: not observed that long in both arms")
    assert list(effects.risk_difference) == [20]
    assert effects.rmst_difference is None


def test_an_unknown_success_is_refused(four_pairs):
    with pytest.raises(EstimationError, match="success: retired is not a state of the follow-up; it has study, work"):
        estimate_effects(*four_pairs, EffectSpec(success=("retired",)))
