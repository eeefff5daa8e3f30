"""For whom it made a difference: differences of effects by hand, their joint tests, and groups too small to speak of."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm
from statsmodels.stats.multitest import multipletests

from evaluation.analysis.cox import RiskSets, cox_log_ratio
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.subgroups import EmptyGroup, estimate_subgroups
from evaluation.design.matching import MatchingSpec
from evaluation.errors import EstimationError, InputError

SAME_ARITHMETIC = 1e-10

SMALL = EffectSpec(horizons_days=(20,), rmst_days=20, smallest_arm=2)


@pytest.fixture
def spanning_pairs(make_study):
    """Eight pairs without censoring; the last four treated women have male controls and the other way round."""
    #     set:      0  1  2  3  4  5  6  7
    left_treated = [1, 1, 0, 0, 1, 1, 1, 0]
    left_control = [0, 1, 0, 0, 1, 0, 0, 0]
    sex_treated, sex_control = [*"wwmmwwmm"], [*"wwmmmmww"]
    days = np.where([*left_treated, *left_control], 10, 30)
    return make_study(days, [1] * 16, [(number, number + 8) for number in range(8)], range(8), sex=[*sex_treated, *sex_control])


@pytest.mark.hand
def test_effects_within_each_group(spanning_pairs):
    found = estimate_subgroups(*spanning_pairs, ["sex"], SMALL)
    women, men = found.effects["sex", "w"], found.effects["sex", "m"]
    assert women.arms["treated"].risk[20].value == pytest.approx((1 + 1 + 1 + 1) / 4)  # sets 0, 1, 4, 5
    assert women.arms["control"].risk[20].value == pytest.approx((0 + 1 + 0 + 0) / 4)  # sets 0, 1, 6, 7
    assert men.arms["treated"].risk[20].value == pytest.approx((0 + 0 + 1 + 0) / 4)
    assert men.arms["control"].risk[20].value == pytest.approx((0 + 0 + 1 + 0) / 4)


@pytest.mark.hand
def test_the_difference_of_effects_carries_the_covariance_of_sets_that_span_groups(spanning_pairs):
    found = estimate_subgroups(*spanning_pairs, ["sex"], SMALL)
    difference = found.differences["sex", "w", "m", "risk_20"]
    # each person's influence is (left - share) / 4, women plus, men minus, controls the other way round; summed by set
    women = np.array([(1 - 1) - (0 - 1 / 4), (1 - 1) - (1 - 1 / 4), 0, 0, 1 - 1, 1 - 1, -(0 - 1 / 4), -(0 - 1 / 4)]) / 4
    men = np.array([0, 0, (0 - 1 / 4) - (0 - 1 / 4), (0 - 1 / 4) - (0 - 1 / 4), -(1 - 1 / 4), -(0 - 1 / 4), 1 - 1 / 4, 0 - 1 / 4]) / 4
    assert difference.value == pytest.approx((1 - 1 / 4) - (1 / 4 - 1 / 4))
    assert difference.std_error**2 == pytest.approx(((women - men) ** 2).sum())
    separate = sum(found.effects["sex", level].risk_difference[20].std_error ** 2 for level in "wm")
    assert difference.std_error**2 == pytest.approx(separate - 2 * (women * men).sum())
    assert (women * men).sum() != pytest.approx(0)


@pytest.mark.hand
def test_two_groups_interact_as_the_square_of_z(spanning_pairs):
    found = estimate_subgroups(*spanning_pairs, ["sex"], SMALL)
    row = found.interaction_tests.set_index("measure").loc["risk_20"]
    difference = found.differences["sex", "w", "m", "risk_20"]
    z = difference.value / difference.std_error
    assert (row["chi_square"], row["degrees"]) == pytest.approx((z**2, 1))
    assert row["p_value"] == pytest.approx(2 * norm.sf(abs(z)))
    assert row["p_holm"] == row["p_value"]  # a family of one


@pytest.mark.property
def test_where_the_match_is_exact_on_the_group_the_variances_add(four_pairs, make_study):
    exact = make_study([10, 20, 20, 40] * 2, [1, 1, 1, 0, 1, 0, 1, 1], [(0, 4), (1, 5), (2, 6), (3, 7)], range(4), sex=[*"wmwm"] * 2)
    found = estimate_subgroups(*exact, ["sex"], SMALL)
    for measure in ("risk_20", "rmst"):
        parts = [found.effects["sex", level].estimates()[measure].std_error ** 2 for level in "wm"]
        assert found.differences["sex", "w", "m", measure].std_error ** 2 == pytest.approx(sum(parts), abs=SAME_ARITHMETIC)


@pytest.fixture(scope="module")
def large(walk):
    """Six hundred people, half of them treated by a coin, three breakdowns."""
    rng = np.random.default_rng(71)
    people = pd.DataFrame({"person": [f"id{number}" for number in range(600)], "age": rng.integers(20, 60, 600), "treated": [0, 1] * 300})
    people["schooling"] = rng.choice(["long", "middle", "short"], 600)
    people["sex"], people["origin"] = rng.choice(["man", "woman"], 600), rng.choice(["abroad", "europe", "here"], 600)
    people["weeks"], people["exit"] = rng.integers(1, 40, 600), rng.choice(["censored", "study", "work"], 600)
    return walk(people, MatchingSpec(caliper_sd=None))


ASKED = EffectSpec(horizons_days=(70, 140), rmst_days=140)


@pytest.fixture(scope="module")
def broken_down(large):
    return estimate_subgroups(*large, ["sex", "origin", "schooling", ("sex", "origin")], ASKED)


@pytest.mark.reference
def test_holm_runs_over_the_breakdowns_within_each_measure(broken_down):
    tests = broken_down.interaction_tests
    assert tests["by"].unique().tolist() == ["sex", "origin", "schooling", "sex x origin"]
    for _, family in tests.groupby("measure"):
        assert len(family) == 4
        assert family["p_holm"].tolist() == pytest.approx(multipletests(family["p_value"], method="holm")[1].tolist())


@pytest.mark.hand
def test_the_joint_test_does_not_depend_on_the_reference_level(large, broken_down):
    """Three levels: with their effects independent of the order, the test on two contrasts is the same whichever level they are set against."""
    effects = [broken_down.effects["origin", level].estimates()["rmst"] for level in ("abroad", "europe", "here")]
    value = np.array([effect.value for effect in effects])
    covariance = effects[0].clusters.covariance(np.column_stack([effect.influence for effect in effects]))
    contrast = np.array([[1, -1, 0], [0, 1, -1]])  # neighbours, where the package sets all against the first
    chi_square = (contrast @ value) @ np.linalg.solve(contrast @ covariance @ contrast.T, contrast @ value)
    row = broken_down.interaction_tests.query("by == 'origin' and measure == 'rmst'").iloc[0]
    assert (row["chi_square"], row["degrees"]) == (pytest.approx(chi_square), 2)
    assert row["p_value"] == pytest.approx(chi2.sf(chi_square, 2))


@pytest.mark.property
def test_a_crossing_has_every_combination(broken_down):
    levels = [level for by, level in broken_down.effects if by == "sex x origin"]
    assert levels == [f"{sex} x {origin}" for sex in ("man", "woman") for origin in ("abroad", "europe", "here")]
    treated = [broken_down.effects["sex x origin", level].arms["treated"].n for level in levels]
    assert sum(treated[:3]) == broken_down.effects["sex", "man"].arms["treated"].n


@pytest.mark.property
def test_a_group_of_everybody_has_the_effect_of_everybody(make_study):
    days, exit = [10, 20, 30, 40, 10, 30, 30, 40], [1, 1, 0, 1, 0, 1, 1, 1]
    study = make_study(days, exit, [(n, n + 4) for n in range(4)], range(4), everybody=["all"] * 8)
    found = estimate_subgroups(*study, ["everybody"], SMALL)
    pd.testing.assert_frame_equal(found.effects["everybody", "all"].to_frame(), estimate_effects(*study, SMALL).to_frame(), check_exact=True)
    assert found.differences == {}


@pytest.mark.property
@pytest.mark.parametrize("sex", ["female", "male"])
def test_a_group_has_the_ratio_of_its_people_alone(romeo, sex):
    """Users of the public employment service and their matched non-users, R's pairs, in weeks."""
    found = estimate_subgroups(*romeo, ["sex", "race"], EffectSpec(horizons_days=(7 * 26,), rmst_days=7 * 26)).effects["sex", sex]
    rows = romeo.comparison.rows[(romeo.cohort.column("sex") == sex).to_numpy()[romeo.comparison.rows]]
    left, weight = np.asarray(romeo.follow_up.state.codes)[rows] > 0, romeo.comparison.weights[rows]
    ratio, _ = cox_log_ratio(RiskSets.of(romeo.follow_up.days[rows], left, romeo.comparison.treated[rows], weight))
    assert found.hazard_ratio.log.value == pytest.approx(ratio, abs=SAME_ARITHMETIC)
    assert found.hazard_ratio.n == len(rows)


@pytest.mark.property
def test_row_order_does_not_move_a_group_by_a_bit(shuffles):
    first, *others = (estimate_subgroups(*study, ["sex", ("sex", "origin")], EffectSpec(horizons_days=(70,), rmst_days=105)) for study in shuffles)
    for other in others:
        pd.testing.assert_frame_equal(first.to_frame(), other.to_frame(), check_exact=True)
        pd.testing.assert_frame_equal(first.interaction_tests, other.interaction_tests, check_exact=True)


# ---- groups that cannot be estimated


@pytest.fixture
def thin_groups(make_study):
    """Twelve pairs: six of them in the north, two in the south; of the west only controls, of the east only treated."""
    region_treated = ["north"] * 8 + ["south"] * 2 + ["east"] * 2
    region_control = ["north"] * 6 + ["south"] * 2 + ["west"] * 4
    days = [5, 10, 15, 20, 25, 30] * 4
    return make_study(days, [1, 1, 0] * 8, [(n, n + 12) for n in range(12)], range(12), region=[*region_treated, *region_control])


@pytest.mark.hand
def test_groups_that_are_too_thin_are_labelled_and_shown(thin_groups):
    found = estimate_subgroups(*thin_groups, ["region"], EffectSpec(horizons_days=(15,), rmst_days=None, smallest_arm=3))
    assert isinstance(found.effects["region", "north"], Effects)
    assert found.effects["region", "south"] == EmptyGroup(treated=2, control=2, reason="too_few")
    assert found.effects["region", "west"] == EmptyGroup(treated=0, control=4, reason="no_treated")
    assert found.effects["region", "east"] == EmptyGroup(treated=2, control=0, reason="no_control")
    assert found.differences == {}
    assert found.interaction_tests.empty
    table = found.to_frame().set_index("group")
    assert table.loc[["south", "west", "east"], "measure"].tolist() == ["too_few", "no_treated", "no_control"]
    assert table.loc["west", ["treated", "control"]].tolist() == [0, 4]
    assert table.loc[["south", "west", "east"], "effect"].isna().all()


def test_a_group_nobody_compared_belongs_to_is_labelled(make_study):
    """Person 8 is of the cohort but stands for nobody."""
    study = make_study([10, 20, 30, 40, 10, 20, 30, 40, 5], [1] * 9, [(n, n + 4) for n in range(4)], range(4), sex=[*"wmwmwmwm", "unknown"])
    found = estimate_subgroups(*study, ["sex"], SMALL)
    assert found.effects["sex", "unknown"] == EmptyGroup(treated=0, control=0, reason="no_treated")


def test_the_first_level_with_an_effect_is_the_reference(thin_groups):
    found = estimate_subgroups(*thin_groups, ["region"], EffectSpec(horizons_days=(15,), rmst_days=None, smallest_arm=2))
    assert [key[1:3] for key in found.differences] == [("south", "north")] * len(found.differences)
    labels = found.to_frame().query("group == 'south minus north'")["measure"].tolist()
    assert labels == [key[3] for key in found.differences]


def test_groups_with_shorter_follow_up_say_so_and_are_not_contrasted(make_study):
    days = [10, 20, 30, 30, 40, 60, 10, 20, 30, 30, 50, 60]
    study = make_study(days, [1, 1, 0, 1, 1, 0] * 2, [(n, n + 6) for n in range(6)], range(6), sex=[*"wwwmmm"] * 2)
    found = estimate_subgroups(*study, ["sex"], EffectSpec(horizons_days=(20, 50), rmst_days=None, smallest_arm=2))
    assert found.effects["sex", "w"].notes[0] == "share at 50 days: not observed that long in both arms"
    assert ("sex", "w", "m", "risk_20") in found.differences
    assert ("sex", "w", "m", "risk_50") not in found.differences


def test_nobody_leaving_in_a_group_is_a_row_without_a_test(make_study):
    days, sex = [30, 30, 10, 40] * 2, [*"mmww"] * 2
    found = estimate_subgroups(*make_study(days, [1] * 8, [(n, n + 4) for n in range(4)], range(4), sex=sex), ["sex"], SMALL)
    assert found.effects["sex", "m"].risk_difference[20].std_error == 0
    assert ("sex", "w", "m", "risk_20") in found.differences


def test_a_column_the_cohort_lacks_is_named(four_pairs):
    with pytest.raises(InputError, match="region: is neither a covariate nor a stratum of the cohort; choose among place, sex"):
        estimate_subgroups(*four_pairs, ["sex", ("sex", "region")], SMALL)


def test_an_unknown_success_is_refused(four_pairs):
    with pytest.raises(EstimationError, match="success: retired is not a state"):
        estimate_subgroups(*four_pairs, ["sex"], EffectSpec(success=("retired",)))


@pytest.mark.property
def test_pooling_the_kinds_of_exit_that_are_no_success_moves_no_effect(random_study):
    cohort, comparison, follow_up = random_study(4, ties=True)
    horizons = {"horizons_days": (3,), "rmst_days": 3}
    apart = estimate_subgroups(cohort, comparison, follow_up, ["sex"], EffectSpec(success=("work",), smallest_arm=2, **horizons))
    pooled = follow_up.pooled(("work",))
    together = estimate_subgroups(cohort, comparison, pooled, ["sex"], EffectSpec(success=("success",), smallest_arm=2, **horizons))
    assert pooled.states == ("success", "other")
    pd.testing.assert_frame_equal(apart.to_frame(), together.to_frame(), check_exact=True)
