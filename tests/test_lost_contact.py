"""What if those who were lost had found work: by hand, by editing the follow-up and estimating anew, by splitting people, and by enumeration."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from lifelines import AalenJohansenFitter, KaplanMeierFitter
from scipy.optimize import brentq

from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.lost_contact import LostContact, lost_as_censored, lost_contact
from evaluation.analysis.outcomes import FollowUp, TimeUnit, TimeWeights
from evaluation.design.cohort import cohort_from_table, cohort_from_trials
from evaluation.design.propensity import estimate_propensity
from evaluation.design.sets import comparison_from_sets
from evaluation.design.weighting import WeightingSpec, weight_cohort
from evaluation.errors import EstimationError, HorizonError

SAME_ARITHMETIC = 1e-10  # the same sums in another order
BRUTE_FORCE = 1e-6  # central differences of step 1e-4
ROOT = 1e-8  # brentq stops at 2e-12; the interval's end hangs on the share with a slope of some hundredths
WORK = EffectSpec(success=("work",), rmst_days=None)
DAY = 40
PAIRS = [(p, q) for p in (0, 0.3, 1) for q in (0, 0.45, 1)]
STATES = ["censored", "work", "okand", "sick"]


def with_states(follow_up: FollowUp, state: np.ndarray) -> FollowUp:
    return replace(follow_up, state=pd.Categorical(state, categories=follow_up.state.categories))


def edited(study, treated_share: int, control_share: int):
    """Write "work" over the lost of an arm whose share is 1."""
    cohort, comparison, follow_up = study
    overwritten = np.where(cohort.treated, treated_share, control_share).astype(bool) & (follow_up.state == "okand")
    return cohort, comparison, with_states(follow_up, np.where(overwritten, "work", follow_up.state))


def difference(study, day: float = DAY, spec: EffectSpec = WORK) -> Estimate:
    return estimate_effects(*study, spec.model_copy(update={"horizons_days": (day,)})).risk_difference[day]


def same(found: Estimate, expected: Estimate) -> None:
    assert found.value == pytest.approx(expected.value, abs=SAME_ARITHMETIC)
    assert found.std_error == pytest.approx(expected.std_error, abs=SAME_ARITHMETIC)
    assert found.influence == pytest.approx(expected.influence, abs=SAME_ARITHMETIC)
    assert (found.n, found.unit, found.level, found.interval) == (expected.n, expected.unit, expected.level, expected.interval)


# ---- ten people by hand: by day 40 two of five treated work and one is lost, one of five controls works and two are lost


@pytest.fixture
def five_pairs(make_study):
    #         treated                           control
    days = [10, 20, 30, 50, 50, 15, 25, 35, 50, 50]
    exit = ["work", "okand", "work", "censored", "censored", "okand", "okand", "work", "censored", "censored"]
    return make_study(days, exit, [(n, n + 5) for n in range(5)], range(5), censored="censored", states=["work", "okand"])


@pytest.mark.hand
def test_ten_people_in_five_pairs(five_pairs):
    found = lost_contact(*five_pairs, WORK, horizon_days=DAY)
    assert {arm: (found.succeeded[arm].value, found.gone[arm].value, found.n_lost[arm]) for arm in ("treated", "control")} == {
        "treated": (pytest.approx(2 / 5), pytest.approx(1 / 5), 1),
        "control": (pytest.approx(1 / 5), pytest.approx(2 / 5), 2),
    }
    for p, q in PAIRS:
        by_pair = np.array([1 - q, p - q, 1 - 1, 0, 0])
        effect = found.effect(p, q)
        assert effect.value == pytest.approx((1 + p - 2 * q) / 5)
        assert effect.value == pytest.approx(by_pair.mean())
        assert effect.std_error == pytest.approx(np.sqrt(((by_pair - by_pair.mean()) ** 2).sum()) / 5)


@pytest.mark.hand
def test_the_tipping_line_of_ten_people(five_pairs):
    found = lost_contact(*five_pairs, WORK, horizon_days=DAY, shares=(0, 0.5, 1))
    assert found.tipping["treated_share"].tolist() == [0, 0.5, 1]
    assert found.tipping["control_share"].tolist() == pytest.approx([1 / 2, 3 / 4, 1])  # where 1 + p - 2 q = 0


@pytest.mark.hand
def test_the_lost_as_censored_of_ten_people(five_pairs):
    found = lost_as_censored(*five_pairs, WORK, horizon_days=DAY)
    assert found.treated.value == pytest.approx(1 - (4 / 5) * (2 / 3))  # one of five on day 10, one of the three left on day 30
    assert found.control.value == pytest.approx(1 / 3)  # one of the three left on day 35
    assert found.difference.value == pytest.approx(found.treated.value - found.control.value)


@pytest.mark.hand
def test_the_tables_of_ten_people(five_pairs):
    found = lost_contact(*five_pairs, WORK, horizon_days=DAY, shares=(1, 0, 0.5, 0))
    assert (found.shares, found.horizon_days, found.lost, found.notes) == ((0, 0.5, 1), DAY, ("okand",), ())
    assert found.grid.to_numpy() == pytest.approx(np.array([[(1 + p - 2 * q) / 5 for q in (0, 0.5, 1)] for p in (0, 0.5, 1)]))
    assert found.grid.loc[1, 0] == pytest.approx(2 / 5)  # rows are the treated's shares
    table = found.to_frame()
    assert table["lost_count_as"].tolist() == ["success"] * 3 + ["censored"]
    assert table["share"].tolist() == pytest.approx([0, 0.5, 1, np.nan], nan_ok=True)
    assert table["treated"].tolist() == pytest.approx([2 / 5, 5 / 10, 3 / 5, 7 / 15])
    assert table["control"].tolist() == pytest.approx([1 / 5, 2 / 5, 3 / 5, 1 / 3])
    assert table["effect"].tolist() == pytest.approx([1 / 5, 1 / 10, 0, 7 / 15 - 1 / 3])
    for row, effect in [(table.loc[1], found.effect(0.5, 0.5)), (table.loc[3], found.as_censored.difference)]:
        assert row[["std_error", "low", "high", "p_value"]].tolist() == [effect.std_error, effect.low, effect.high, effect.p_value]


# ---- against the same estimators on follow-ups edited by hand


@pytest.fixture(scope="module", params=["pairs", "reuse", "stack", "estimated weights"])
def study(request, make_study):
    """Sixty treated and their controls, with ties, censoring, lost contact and sickness, in every kind of comparison."""
    return KINDS[request.param](make_study)


def drawn(rng, people):
    days = rng.integers(1, 60, people).astype(float)
    return days, rng.choice(STATES, people, p=[0.2, 0.4, 0.25, 0.15])


def pairs(make_study, seed=5):
    days, exit = drawn(np.random.default_rng(seed), 120)
    return make_study(days, exit, [(n, n + 60) for n in range(60)], range(60), censored="censored", states=STATES[1:])


def reuse(make_study, seed=6):
    rng = np.random.default_rng(seed)
    days, exit = drawn(rng, 120)
    sets = [(n, *map(int, rng.choice(np.arange(60, 90), 2, replace=False))) for n in range(60)]
    return make_study(days, exit, sets, range(60), weights=rng.uniform(0.2, 3, 180), censored="censored", states=STATES[1:])


def stack(make_study):
    """Two trials, the controls of the first treated in the second; not all reach the horizon, and weights change on day 20."""
    rng = np.random.default_rng(7)
    rows = [(f"p{n}", "1", int(n < 60), f"s{n % 60}") for n in range(120)] + [(f"p{n}", "2", int(n < 120), f"t{n % 60}") for n in range(60, 180)]
    frame = pd.DataFrame(rows, columns=["person", "trial", "treated", "set"]).assign(age=rng.normal(size=240))
    cohort = cohort_from_trials(frame, treated="treated", covariates=["age"], person="person", trial="trial")
    days, exit = drawn(rng, 240)
    cut = np.flatnonzero(days > 20)
    row = np.concatenate([np.arange(240), cut])
    start, stop = np.concatenate([np.zeros(240), np.full(len(cut), 20.0)]), np.concatenate([np.minimum(days, 20), days[cut]])
    order = np.lexsort((start, row))
    weights = TimeWeights(row[order], start[order], stop[order], np.where(start == 0, 1.0, rng.uniform(1, 2, len(row)))[order])
    reach = np.where(rng.random(240) < 0.8, 100.0, 30.0)
    state = pd.Categorical(exit, categories=STATES)
    follow_up = FollowUp(cohort.person, days, state, 60.0, TimeUnit.DAY, reach=reach, weights=weights)
    return cohort, comparison_from_sets(cohort, frame[["person", "trial", "set"]]), follow_up


def estimated_weights(make_study):
    rng = np.random.default_rng(8)
    days, exit = drawn(rng, 120)
    people = pd.DataFrame({"person": [f"p{n}" for n in range(120)], "age": rng.normal(size=120)})
    people["treated"] = (rng.random(120) < 1 / (1 + np.exp(-people["age"]))).astype(int)
    cohort = cohort_from_table(people, treated="treated", covariates=["age"], person="person")
    follow_up = FollowUp(cohort.person, days, pd.Categorical(exit, categories=STATES), 60.0, TimeUnit.DAY)
    return cohort, weight_cohort(cohort, estimate_propensity(cohort), WeightingSpec()), follow_up


KINDS: dict[str, Callable] = {"pairs": pairs, "reuse": reuse, "stack": stack, "estimated weights": estimated_weights}


@pytest.mark.property
@pytest.mark.parametrize(("p", "q"), list(product((0, 1), (0, 1))))
def test_none_and_all_of_the_lost_are_what_an_edited_follow_up_gives(study, p, q):
    same(lost_contact(*study, WORK, horizon_days=DAY).effect(p, q), difference(edited(study, p, q)))


@pytest.mark.property
def test_none_of_the_lost_is_the_effect_itself(study):
    plain = estimate_effects(*study, WORK.model_copy(update={"horizons_days": (DAY,)}))
    found = lost_contact(*study, WORK, horizon_days=DAY)
    assert found.effect(0, 0).value == plain.risk_difference[DAY].value
    assert found.effect(0, 0).std_error == plain.risk_difference[DAY].std_error
    assert found.gone["control"].value == plain.arms["control"].cumulative_incidence["okand", DAY].value


@pytest.mark.property
def test_the_lost_as_censored_are_what_an_edited_follow_up_gives(study):
    cohort, comparison, follow_up = study
    censored = with_states(follow_up, np.where(follow_up.state == "okand", "censored", follow_up.state))
    found = lost_as_censored(*study, WORK, horizon_days=DAY)
    same(found.difference, difference((cohort, comparison, censored)))
    assert found.difference.name.count("the lost censored") == 2


@pytest.mark.property
@pytest.mark.parametrize(("p", "q"), [(0.45, 0.45), (0.2, 0.9)])
def test_a_share_between_is_that_of_people_split_into_one_who_works_and_one_who_is_lost(make_study, p, q):
    """Every lost person of a pair becomes two of the same set, who weigh p and 1 - p; a set's sum does not tell them from one."""
    whole = pairs(make_study)
    state = np.asarray(whole.follow_up.state)
    days, exit, weights, sets, treated = [], [], [], [], []
    for code in range(60):
        members = []
        for number, share, side in [(code, p, True), (code + 60, q, False)]:
            parts = [("work", share), ("okand", 1 - share)] if state[number] == "okand" else [(state[number], 1.0)]
            for part, weight in parts:
                if side:
                    treated.append(len(days))
                members.append(len(days))
                days.append(whole.follow_up.days[number])
                exit.append(part)
                weights.append(weight)
        sets.append(members)
    split = make_study(days, exit, sets, treated, weights=weights, censored="censored", states=STATES[1:])
    expected, found = difference(split), lost_contact(*whole, WORK, horizon_days=DAY).effect(p, q)
    assert (found.value, found.std_error) == pytest.approx((expected.value, expected.std_error), abs=SAME_ARITHMETIC)


@pytest.mark.property
def test_the_standard_error_between_is_that_of_the_brute_force_jackknife_with_reused_controls(make_study, jackknife):
    """The shares from person-day sums over the lost taken apart, with nothing of the toolkit's, one weight moved after the other."""
    whole, p, q = reuse(make_study), 0.3, 0.8
    rows = whole.comparison.rows
    days, state, treated = whole.follow_up.days[rows], np.asarray(whole.follow_up.state)[rows], whole.comparison.treated[rows]

    def success(weight: np.ndarray, arm: np.ndarray, share: float) -> float:
        counts = np.where(state == "work", 1.0, np.where(state == "okand", share, 0.0))
        total, still = 0.0, 1.0
        for day in np.unique(days[arm & (state != "censored") & (days <= DAY)]):
            leaves = arm & (days == day) & (state != "censored")
            at_risk = weight[arm & (days >= day)].sum()
            total += still * (weight * counts)[leaves].sum() / at_risk
            still *= 1 - weight[leaves].sum() / at_risk
        return total

    found = lost_contact(*whole, WORK, horizon_days=DAY).effect(p, q)
    weight = whole.comparison.weights[rows]
    assert found.value == pytest.approx(success(weight, treated, p) - success(weight, ~treated, q), abs=SAME_ARITHMETIC)
    expected = jackknife(lambda moved: success(moved, treated, p) - success(moved, ~treated, q), whole.comparison)
    assert found.std_error == pytest.approx(expected, rel=BRUTE_FORCE)


@pytest.mark.property
def test_the_effect_is_the_mean_over_every_way_in_which_the_lost_may_have_fared(five_pairs):
    """Each of the three lost found work or not, with chance p or q, on their own: eight follow-ups, each estimated and weighed by its chance."""
    cohort, comparison, follow_up = five_pairs
    p, q = 0.3, 0.8
    lost = np.flatnonzero(follow_up.state == "okand")
    chance = np.where(cohort.treated[lost], p, q)
    mean = 0.0
    for works in product((False, True), repeat=len(lost)):
        state = np.asarray(follow_up.state).copy()
        state[lost[list(works)]] = "work"
        mean += np.where(works, chance, 1 - chance).prod() * difference((cohort, comparison, with_states(follow_up, state))).value
    assert lost_contact(*five_pairs, WORK, horizon_days=DAY).effect(p, q).value == pytest.approx(mean, abs=SAME_ARITHMETIC)


@pytest.mark.reference
@np.errstate()  # lifelines' Kaplan-Meier turns numpy's warnings off for everybody who comes after
def test_without_ties_the_arms_are_lifelines(random_study):
    study = random_study(9, ties=False, reuse=False, people=60)
    found = lost_contact(*study, WORK, horizon_days=30, lost=["study"])
    rows = study.comparison.rows[~study.comparison.treated[study.comparison.rows]]
    days, code = study.follow_up.days[rows], np.asarray(study.follow_up.state.codes)[rows]
    for estimate, event in [(found.succeeded["control"], 1), (found.gone["control"], 2)]:
        fitted = AalenJohansenFitter(calculate_variance=False).fit(days, code, event_of_interest=event)
        assert estimate.value == pytest.approx(fitted.cumulative_density_.loc[:30].iloc[-1, 0], abs=SAME_ARITHMETIC)
    fitted = KaplanMeierFitter().fit(days, code == 1)
    assert found.as_censored.control.value == pytest.approx(1 - fitted.predict(30), abs=SAME_ARITHMETIC)


# ---- the tipping line


@pytest.mark.property
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_tipping_line_is_where_effects_and_their_ends_are_found_to_be_0(study, level):
    spec = WORK.model_copy(update={"level": level})
    found = lost_contact(*study, spec, horizon_days=DAY, shares=np.linspace(0, 1, 6))
    seen = 0
    for row in found.tipping.itertuples():
        measures = {"value": row.control_share, "low": row.control_low, "high": row.control_high}
        for measure, share in measures.items():

            def end(q: float, measure: str = measure, p: float = row.treated_share) -> float:
                return getattr(found.effect(p, q), measure)

            if end(0) * end(1) < 0:
                seen += 1
                assert share == pytest.approx(brentq(end, 0, 1), abs=ROOT)
            else:
                along = np.array([end(q) for q in np.linspace(0, 1, 41)])
                assert np.isnan(share) == (np.abs(np.diff(np.sign(along))).sum() == 0)
    assert seen > 0


@pytest.mark.property
def test_the_tipping_share_counted_makes_the_effect_of_split_people_0(make_study):
    """All the way round: the share from the line, the lost controls split by it, estimated anew."""
    days, exit = [10, 20, 30, 50, 15, 25, 35, 50], ["work", "okand", "work", "sick", "okand", "okand", "work", "sick"]
    study = make_study(days, exit, [(n, n + 4) for n in range(4)], range(4), censored="none", states=STATES[1:])
    tip = lost_contact(*study, WORK, horizon_days=DAY).tipping.set_index("treated_share").loc[0, "control_share"]
    sets = [(0, 4, 8), (1, 5, 9), (2, 6), (3, 7)]
    weights = [1, tip, 1 - tip, 1, tip, 1 - tip, 1, 1, 1, 1]
    exit[4:6] = "work", "work"
    split = make_study([*days, 15, 25], [*exit, "okand", "okand"], sets, range(4), weights=weights, censored="none", states=STATES[1:])
    assert tip == pytest.approx(1 / 2)
    assert difference(split).value == pytest.approx(0, abs=SAME_ARITHMETIC)


@pytest.mark.hand
def test_of_two_shares_at_which_the_lower_end_is_0_the_one_nearer_no_difference_is_given(make_study):
    """One pair of 21 weighs 9 and its control is lost: half of it counted takes more from the spread than from the difference."""
    days, exit = np.full(42, 10.0), np.full(42, "sick", dtype=object)
    exit[[0, 1, 2]], exit[21] = "work", "okand"
    weights = [9, 9] + 40 * [1]
    study = make_study(days, exit, [(n, n + 21) for n in range(21)], range(21), weights=weights, censored="none", states=STATES[1:])
    found = lost_contact(*study, WORK, horizon_days=DAY)
    assert [found.effect(0, q).value for q in (0, 0.5, 1)] == pytest.approx([11 / 29, 6.5 / 29, 2 / 29])
    assert [found.effect(0, q).low > 0 for q in (0, 0.5, 1)] == [False, True, False]
    row = found.tipping.set_index("treated_share").loc[0]
    assert row["control_low"] == pytest.approx(brentq(lambda q: found.effect(0, q).low, 0.5, 1), abs=ROOT)
    assert row[["control_share", "control_high"]].isna().all()  # the difference is 0 at 11 / 9 of the lost


@pytest.mark.hand
def test_of_two_shares_at_which_the_upper_end_is_0_the_one_nearer_no_difference_is_given(make_study):
    """The same 21 pairs the other way round: the lost control's partner does not work, and two of the other controls do."""
    days, exit = np.full(42, 10.0), np.full(42, "sick", dtype=object)
    exit[[22, 23]], exit[21] = "work", "okand"
    weights = [9, 9] + 40 * [1]
    study = make_study(days, exit, [(n, n + 21) for n in range(21)], range(21), weights=weights, censored="none", states=STATES[1:])
    found = lost_contact(*study, WORK, horizon_days=DAY)
    assert [found.effect(0, q).high < 0 for q in (0, 0.5, 1)] == [False, True, False]
    row = found.tipping.set_index("treated_share").loc[0]
    assert row["control_high"] == pytest.approx(brentq(lambda q: found.effect(0, q).high, 0, 0.5), abs=ROOT)
    assert row[["control_share", "control_low"]].isna().all()


@pytest.mark.hand
def test_where_the_interval_never_reaches_0_no_share_is_given(make_study):
    """Seven of twenty treated work, no control does and one is lost."""
    days, exit = np.full(40, 10.0), np.full(40, "sick", dtype=object)
    exit[:7], exit[30] = "work", "okand"
    found = lost_contact(
        *make_study(days, exit, [(n, n + 20) for n in range(20)], range(20), censored="none", states=STATES[1:]), WORK, horizon_days=DAY
    )
    assert found.effect(0, 1).low > 0
    assert found.tipping.loc[0, ["control_share", "control_low", "control_high"]].isna().all()


@pytest.mark.hand
def test_where_nobody_is_lost_no_share_tips_anything(make_study):
    study = make_study([10, 20, 30, 40], ["work", "sick", "sick", "work"], [(0, 2), (1, 3)], [0, 1], censored="none", states=STATES[1:])
    found = lost_contact(*study, WORK, horizon_days=30)
    assert found.n_lost == {"treated": 0, "control": 0}
    assert (found.pairs["effect"] == 1 / 2).all()
    assert found.tipping[["control_share", "control_low", "control_high"]].isna().all(axis=None)


@pytest.mark.hand
def test_without_spread_the_interval_touches_0_where_the_difference_does(make_study):
    """Everybody alike: each treated works, each control is lost, so the whole line is a point."""
    days, exit = [10.0] * 6, ["work"] * 3 + ["okand"] * 3
    found = lost_contact(
        *make_study(days, exit, [(n, n + 3) for n in range(3)], range(3), censored="none", states=STATES[1:]), WORK, horizon_days=DAY
    )
    assert found.tipping[["control_share", "control_low", "control_high"]].to_numpy() == pytest.approx(1)


@pytest.mark.hand
def test_only_those_lost_by_the_horizon_among_those_who_reach_it_are_counted(five_pairs):
    cohort, comparison, follow_up = five_pairs
    assert lost_contact(*five_pairs, WORK, horizon_days=22).n_lost == {"treated": 1, "control": 1}
    reach = np.array([60.0, 60, 60, 60, 60, 30, 60, 60, 60, 60])
    found = lost_contact(cohort, comparison, replace(follow_up, reach=reach), WORK, horizon_days=DAY)
    assert found.n_lost == {"treated": 1, "control": 1}
    assert found.gone["control"].value == pytest.approx(1 / 4)


# ---- what may not matter


@pytest.mark.property
def test_row_order_does_not_move_a_number_by_a_bit(shuffles):
    first, *others = (lost_contact(*study, WORK, horizon_days=105, lost=["study"]) for study in shuffles)
    for other in others:
        pd.testing.assert_frame_equal(first.pairs, other.pairs, check_exact=True)
        pd.testing.assert_frame_equal(first.tipping, other.tipping, check_exact=True)
        pd.testing.assert_frame_equal(first.to_frame(), other.to_frame(), check_exact=True)


@pytest.mark.property
def test_several_lost_states_count_together_and_once_each(study):
    cohort, comparison, follow_up = study
    pooled = with_states(follow_up, np.where(follow_up.state == "sick", "okand", follow_up.state))
    found = lost_contact(*study, WORK, horizon_days=DAY, lost=["okand", "sick", "okand"])
    same(found.effect(0.3, 0.6), lost_contact(cohort, comparison, pooled, WORK, horizon_days=DAY).effect(0.3, 0.6))
    assert found.lost == ("okand", "sick")


@pytest.mark.property
def test_the_level_widens_the_intervals(make_study):
    wide, narrow = (lost_contact(*pairs(make_study), WORK.model_copy(update={"level": level}), horizon_days=DAY) for level in (0.95, 0.5))
    assert (wide.pairs["high"] > narrow.pairs["high"]).all()
    assert wide.effect(0.5, 0.5).level == 0.95


# ---- what cannot be answered


def test_where_the_lost_are_seen_too_short_to_be_censored_a_note_says_so(make_study):
    days, exit = [10, 30, 20, 40], ["work", "okand", "work", "sick"]
    study = make_study(days, exit, [(0, 2), (1, 3)], [0, 1], censored="none", states=STATES[1:])
    found: LostContact = lost_contact(*study, WORK, horizon_days=DAY)
    assert found.as_censored is None
    (note,) = found.notes
    assert note.startswith("the lost as censored: follow-up: horizons must lie within what was observed in both arms, 30")
    assert found.to_frame()["lost_count_as"].tolist() == ["success"] * 5
    with pytest.raises(HorizonError, match=r"observed in both arms, 30 \(unit: day\); 40 does not"):
        lost_as_censored(*study, WORK, horizon_days=DAY)


def test_a_horizon_beyond_the_follow_up_is_refused(five_pairs):
    with pytest.raises(HorizonError, match=r"observed in both arms, 50 \(unit: day\); 365 does not"):
        lost_contact(*five_pairs, WORK, horizon_days=365)
    cohort, comparison, follow_up = five_pairs
    one_sided = replace(follow_up, reach=np.where(cohort.treated, 60.0, 30.0))
    with pytest.raises(HorizonError, match="share at 40 days: not observed that long in both arms; ask for a shorter horizon"):
        lost_contact(cohort, comparison, one_sided, WORK, horizon_days=DAY)


@pytest.mark.parametrize(
    ("success", "lost", "message"),
    [
        (None, ("okand",), "lost contact: okand counts as success already; name in `success` only"),
        (("work", "okand"), ("okand", "sick"), "lost contact: okand counts as success already"),
        (("work",), ("unknown",), "lost contact: unknown is not a state of the follow-up; it has work, okand, sick"),
        (("work",), (), "lost contact: no state is named; it has work, okand, sick"),
        (("retired",), ("okand",), "success: retired is not a state of the follow-up"),
    ],
)
@pytest.mark.parametrize("verb", [lost_contact, lost_as_censored])
def test_states_that_make_no_sense_are_refused(make_study, verb, success, lost, message):
    with pytest.raises(EstimationError, match=message):
        verb(*pairs(make_study), EffectSpec(success=success), horizon_days=DAY, lost=lost)


@pytest.mark.parametrize(
    ("shares", "message"), [((0, 45), "1 of 2 does not; give 0.45 for 45 %"), ((-0.1, np.nan), "2 of 2 do not"), ((), "none is given")]
)
def test_shares_that_are_no_shares_are_refused(five_pairs, shares, message):
    with pytest.raises(EstimationError, match=f"shares of the lost: must lie between 0 and 1; {message}"):
        lost_contact(*five_pairs, WORK, horizon_days=DAY, shares=shares)
    found = lost_contact(*five_pairs, WORK, horizon_days=DAY)
    with pytest.raises(EstimationError, match="shares of the lost: must lie between 0 and 1; 1 of 2 does not"):
        found.effect(0.5, 1.5)
