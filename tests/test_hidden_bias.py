"""How strong something unseen would have to be: published examples, and every biased assignment of a few sets counted out."""

import itertools
from dataclasses import replace
from math import prod, sqrt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom, norm
from statsmodels.stats.contingency_tables import mcnemar

from evaluation.analysis import bias_tails, hidden_bias
from evaluation.analysis.bias_tails import log_rank_scores, score_tail, success_tail
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.hidden_bias import hidden_bias_bounds
from evaluation.analysis.outcomes import TimeWeights
from evaluation.errors import EstimationError, HorizonError

SAME_ARITHMETIC = 1e-10
ROOT = 1e-8  # brentq stops at 2e-12 in gamma; the tails it solves are smooth
BY_HORIZON = EffectSpec(horizons_days=(20,), rmst_days=None)


def pairs_of(first, second):
    """Lay pairs out set after set: values, who is alone (the first), and the sizes."""
    values = np.column_stack([first, second]).ravel()
    return values, np.tile([True, False], len(first)), np.full(len(first), 2)


# ---- the bounds, against published figures


@pytest.mark.reference
def test_smoking_and_lung_cancer_pairs_have_the_binomial_tail():
    """Hammond (1964) in Rosenbaum (2002, section 4.3.2): of 122 pairs in which one died of lung cancer, the smoker did in 110."""
    smoker = np.append(np.ones(110, dtype=bool), np.zeros(12, dtype=bool))
    tail, informative = success_tail(*pairs_of(smoker, ~smoker))
    assert informative == 122
    for gamma in (1, 2, 4, 5, 6):
        assert tail(gamma) == pytest.approx(binom.sf(109, 122, gamma / (1 + gamma)), rel=1e-9)
    share = beta.ppf(0.05, 110, 122 - 110 + 1)  # Clopper & Pearson's lower limit is the share at which the tail is 0.05
    assert hidden_bias._largest_gamma(tail) == pytest.approx(share / (1 - share), abs=ROOT)


# ---- the bounds, against every biased assignment


def unseen(size):
    return itertools.product([0, 1], repeat=size)


def chance_alone(u, gamma):
    """Give each member's chance of being the one alone."""
    odds = np.array([gamma**one for one in u], dtype=float)
    return odds / odds.sum()


def largest_chance(values, observed, gamma):
    """Go through every u of every set and every assignment, for the largest chance of a sum as large as that observed."""
    largest = 0.0
    for whole in itertools.product(*(list(unseen(len(own))) for own in values)):
        chances = [chance_alone(u, gamma) for u in whole]
        total = 0.0
        for alone in itertools.product(*(range(len(own)) for own in values)):
            if sum(own[j] for own, j in zip(values, alone, strict=True)) >= observed - SAME_ARITHMETIC:
                total += prod(chance[j] for chance, j in zip(chances, alone, strict=True))
        largest = max(largest, total)
    return largest


SETS = [
    [[1, 0], [1, 0], [0, 1], [1, 1], [1, 0]],
    [[1, 0, 0], [1, 1, 0], [0, 1, 0]],
    [[1, 0], [1, 0, 0], [0, 1, 1], [1, 1]],
    [[1, 0, 0, 0], [0, 1], [1, 1, 0]],
]


@pytest.mark.reference
@pytest.mark.parametrize("values", SETS)
@pytest.mark.parametrize("gamma", [1, 1.5, 3])
def test_no_biased_assignment_of_successes_is_beyond_the_bound_and_one_attains_it(values, gamma):
    """The first of each set is alone."""
    size = np.array([len(own) for own in values])
    flat = np.concatenate(values).astype(bool)
    lone = np.concatenate([np.arange(n) == 0 for n in size])
    observed = sum(own[0] for own in values)
    assert success_tail(flat, lone, size)[0](gamma) == pytest.approx(largest_chance(values, observed, gamma), abs=SAME_ARITHMETIC)


@pytest.mark.reference
@pytest.mark.parametrize("gamma", [1, 1.7, 4])
def test_scores_have_the_largest_mean_and_its_largest_variance_of_all_that_is_unseen(gamma):
    rng = np.random.default_rng(5)
    values = [rng.normal(size=n) for n in (2, 2, 3, 3, 4, 5)] + [np.array([1.0, 0.0, 0.0, -1.0]), np.zeros(3)]
    mean = variance = 0.0
    for own in values:
        moments = []
        for u in unseen(len(own)):
            chance = chance_alone(u, gamma)
            moments.append((chance @ own, chance @ own**2 - (chance @ own) ** 2))
        best = max(one for one, _ in moments)
        mean += best
        variance += max(other for one, other in moments if one > best - SAME_ARITHMETIC)
    observed = sum(own[0] for own in values)
    size = np.array([len(own) for own in values])
    tail, informative = score_tail(np.concatenate(values), np.concatenate([np.arange(n) == 0 for n in size]), size)
    assert informative == 7
    assert tail(gamma) == pytest.approx(norm.sf((observed - mean) / sqrt(variance)), abs=SAME_ARITHMETIC)


@pytest.mark.hand
def test_among_equal_means_the_larger_variance_counts():
    """Scores 3, 0, -1 at gamma 2: one high gives (6 - 1) / 4, two (6 - 1) / 5; make the second score the first's mean and both are alike."""
    scores = np.array([3.0, 5 / 3, -1.0])  # with gamma 2: (6 + 5/3 - 1) / 4 = 5/3 = (6 + 10/3 - 1) / 5
    one = (2 * 9 + 25 / 9 + 1) / 4 - 25 / 9
    two = (2 * 9 + 2 * 25 / 9 + 1) / 5 - 25 / 9
    tail, _ = score_tail(scores, np.array([True, False, False]), np.array([3]))
    assert one > two
    assert tail(2.0) == pytest.approx(norm.sf((3 - 5 / 3) / sqrt(one)))


@pytest.mark.reference
def test_ten_pairs_have_nearly_the_exact_tail():
    """All 1024 assignments of ten pairs with the likelier member always the higher."""
    rng = np.random.default_rng(8)
    first, second = rng.normal(0.8, 1, 10), rng.normal(0, 1, 10)
    tail, _ = score_tail(*pairs_of(first, second))
    high, low = np.maximum(first, second), np.minimum(first, second)
    for gamma in (1, 2, 3):
        share = gamma / (1 + gamma)
        exact = sum(
            prod(np.where(up, share, 1 - share)) for up in itertools.product([True, False], repeat=10) if np.where(up, high, low).sum() >= first.sum()
        )
        assert tail(gamma) == pytest.approx(exact, abs=0.02)  # a normal tail for ten pairs


@pytest.mark.reference
def test_a_normal_tail_takes_over_where_sets_are_many(monkeypatch):
    rng = np.random.default_rng(3)
    size = rng.integers(2, 5, 4000)
    lone = np.concatenate([np.arange(n) == 0 for n in size])
    success = rng.random(len(lone)) < np.where(lone, 0.5, 0.4)
    tail, informative = success_tail(success, lone, size)
    gammas = (1.3, 1.4, 1.5, 1.6, 2)
    exact = [tail(gamma) for gamma in gammas]
    monkeypatch.setattr(bias_tails, "LARGEST_EXACT", informative - 1)
    assert [tail(gamma) for gamma in gammas] == pytest.approx(exact, abs=0.001)
    assert [tail(gamma) for gamma in gammas] != exact
    assert any(0.05 < one < 0.95 for one in exact)


@pytest.mark.property
def test_more_bias_never_makes_a_p_value_smaller():
    rng = np.random.default_rng(9)
    size = rng.integers(2, 6, 60)
    lone = np.concatenate([np.arange(n) == 0 for n in size])
    scores = rng.normal(size=len(lone)) + lone * 0.9
    for tail, _ in (score_tail(scores, lone, size), success_tail(scores > 0, lone, size)):
        p_values = [tail(gamma) for gamma in np.linspace(1, 6, 60)]
        assert np.diff(p_values).min() >= 0
        largest = hidden_bias._largest_gamma(tail)
        assert tail(largest) == pytest.approx(0.05, abs=ROOT)


@pytest.mark.recovery
def test_the_worst_bias_rejects_no_more_than_it_says():
    """No effect, and in each of 200 pairs whoever has more to gain is twice as likely to be the treated one."""
    rng = np.random.default_rng(21)
    rejected = np.zeros((400, 3))
    for study in rejected:
        days, seen = rng.exponential(10, (200, 2)).ravel(), rng.random(400) < 0.8
        score = log_rank_scores(days, seen, np.zeros(400, dtype=bool)).reshape(-1, 2)
        biased = rng.random(200) < 2 / 3
        higher = score[:, 0] >= score[:, 1]
        treated = np.where(higher == biased, 0, 1)
        lone = (treated[:, None] == np.arange(2)).ravel()
        tail, _ = score_tail(score.ravel(), lone, np.full(200, 2))
        study[:] = tail(1.0) <= 0.05, tail(2.0) <= 0.05, tail(1.5) <= 0.05
    plain, bounded, halfway = rejected.mean(axis=0)
    assert bounded == pytest.approx(0.05, abs=3 * sqrt(0.05 * 0.95 / 400))
    assert plain > 0.9
    assert halfway > 2 * bounded


# ---- from a study


@pytest.fixture
def twelve_pairs(make_study):
    """Twelve pairs by eye: by day 20 the treated alone succeed in 7, the control alone in 2, both in 1, neither in 1; one is not known so long."""
    treated = [10] * 7 + [30] * 2 + [10, 30, 15]
    control = [30] * 7 + [10] * 2 + [10, 30, 30]
    exit = [1] * 11 + [0] + [1] * 12
    return make_study(treated + control, exit, [(n, n + 12) for n in range(12)], range(12))


@pytest.mark.hand
def test_pairs_at_a_horizon_are_mcnemars(twelve_pairs):
    found = hidden_bias_bounds(*twelve_pairs, BY_HORIZON, gammas=(1, 2))
    bound = found.at_horizon[20]
    assert (bound.sets, bound.left_out, bound.informative, found.sharing) == (11, 1, 9, 0)
    assert bound.table["p_upper"].tolist() == pytest.approx([(36 + 9 + 1) / 2**9, (36 * 2**7 + 9 * 2**8 + 2**9) / 3**9])
    assert bound.largest_gamma is None


@pytest.mark.hand
def test_the_other_direction_counts_those_who_did_not_succeed(twelve_pairs):
    found = hidden_bias_bounds(*twelve_pairs, BY_HORIZON, gammas=(1,), alternative="less")
    assert found.at_horizon[20].table["p_upper"].item() == pytest.approx(1 - (1 + 9) / 2**9)  # two or more of nine
    one, other = (hidden_bias_bounds(*twelve_pairs, BY_HORIZON, (1,), side).time_to_success.table["p_upper"].item() for side in ("greater", "less"))
    assert one + other == pytest.approx(1)
    assert one < 0.5


@pytest.mark.reference
def test_without_hidden_bias_matched_claimants_have_statsmodels_mcnemar(unempdur):
    """Of 1360 pairs, those in which neither is censored before 14 fortnights."""
    follow_up, sets = unempdur.follow_up, unempdur.comparison.sets
    told = pd.DataFrame({"days": follow_up.days, "state": follow_up.state.astype(str)}, index=follow_up.person)
    told["known"] = (told["state"] != "censored") | (told["days"] >= 14 * 14)
    told["success"] = (told["state"] != "censored") & (told["days"] <= 14 * 14)
    wide = sets.join(told, on="person").pivot_table(index="set", columns="role", values=["known", "success"], aggfunc="first")
    kept = wide["known"].astype(bool).all(axis=1)
    table = pd.crosstab(wide["success"]["treated"][kept], wide["success"]["control"][kept])
    spec = EffectSpec(horizons_days=(14 * 14,), rmst_days=None)
    bound = hidden_bias_bounds(*unempdur, spec, gammas=(1,), alternative="less").at_horizon[14 * 14]
    assert (bound.sets, bound.left_out) == (int(kept.sum()), int((~kept).sum()))
    assert bound.informative == table.loc[True, False] + table.loc[False, True]
    assert table.loc[True, False] < table.loc[False, True]
    assert 2 * bound.table["p_upper"].item() == pytest.approx(mcnemar(table.to_numpy(), exact=True).pvalue, rel=1e-8)


@pytest.mark.reference
def test_the_scores_of_the_treated_sum_to_the_log_rank_difference(romeo, unempdur):
    """That difference is held to R."""
    for study in (romeo, unempdur):
        rows = study.comparison.rows
        treated, seen = study.comparison.treated[rows], np.asarray(study.follow_up.state.codes)[rows] > 0
        scores = log_rank_scores(study.follow_up.days[rows], seen, treated)
        expected = estimate_effects(*study, EffectSpec(horizons_days=(7,), rmst_days=None)).log_rank.difference.value
        assert scores[treated].sum() == pytest.approx(expected, abs=1e-8)
        assert scores.sum() == pytest.approx(0, abs=1e-8)


@pytest.mark.hand
def test_who_is_censored_before_the_first_exit_has_no_hazard_behind_them():
    """Of three, one is censored on day 5; then one of two leaves, then one of one."""
    scores = log_rank_scores(np.array([5.0, 10.0, 20.0]), np.array([False, True, True]), np.array([True, False, True]))
    assert scores.tolist() == pytest.approx([0, 1 - 1 / 2, 1 - 1 / 2 - 1])


@pytest.mark.hand
def test_scores_over_time_by_hand(four_pairs):
    """Exits on day 10 (1 of 8), 20 (3 of 7), 30 (1 of 4) and 40 (1 of 3, for two are censored that day)."""
    day = np.cumsum([1 / 8, 3 / 7, 1 / 4, 1 / 3])
    treated = np.array([1 - day[0], 1 - day[1], 1 - day[1], -day[3]])
    control = np.array([1 - day[1], 1 - day[2], -day[3], 1 - day[3]])
    difference = treated - control
    bound = hidden_bias_bounds(*four_pairs, BY_HORIZON, gammas=(1, 2)).time_to_success
    sizes, signed = abs(difference), difference.sum()
    # the sum of signed differences has mean sum(sizes) (g - 1) / (g + 1) and variance sum(sizes^2) 4 g / (1 + g)^2
    expected = [norm.sf((signed - sizes.sum() * (g - 1) / (g + 1)) / sqrt((sizes**2).sum() * 4 * g / (1 + g) ** 2)) for g in (1, 2)]
    assert bound.table["p_upper"].tolist() == pytest.approx(expected)
    assert (bound.sets, bound.left_out, bound.informative) == (4, 0, 4)


@pytest.mark.hand
def test_only_the_named_states_are_success_and_others_are_known(four_pairs):
    """By day 20: the second treated left to study, which is known and no success; so 10, 20 against 20: pairs (1, 1), (0, 0), (1, 0), (0, 0)."""
    bound = hidden_bias_bounds(*four_pairs, BY_HORIZON.model_copy(update={"success": ("work",)}), gammas=(1,)).at_horizon[20]
    assert (bound.sets, bound.left_out, bound.informative) == (4, 0, 1)
    assert bound.table["p_upper"].item() == pytest.approx(1 / 2)


@pytest.mark.hand
def test_a_pair_counts_at_a_horizon_if_both_reach_it(twelve_pairs):
    cohort, comparison, follow_up = twelve_pairs
    reach = np.full(24, 40.0)
    reach[[0, 1, 14]] = 19.0  # pairs 0, 1 and 2, though their exits were seen
    bound = hidden_bias_bounds(cohort, comparison, replace(follow_up, reach=reach), BY_HORIZON, gammas=(1,)).at_horizon[20]
    assert (bound.sets, bound.left_out, bound.informative) == (8, 4, 6)


@pytest.mark.hand
def test_a_control_alone_with_several_treated_counts_by_not_succeeding(make_study):
    """One treated with two controls, and one control with two treated; in each, one of the three succeeds or fails."""
    study = make_study([10, 30, 30, 10, 10, 30], [1] * 6, [(0, 1, 2), (3, 4, 5)], [0, 3, 4])
    bound = hidden_bias_bounds(*study, BY_HORIZON, gammas=(1, 3)).at_horizon[20]
    assert bound.informative == 2
    assert bound.table["p_upper"].tolist() == pytest.approx([(1 / 3) ** 2, (3 / 5) ** 2])
    less = hidden_bias_bounds(*study, BY_HORIZON, gammas=(1, 3), alternative="less").at_horizon[20]
    assert less.table["p_upper"].tolist() == [1.0, 1.0]


@pytest.mark.hand
def test_of_pairs_that_share_a_person_one_counts(make_study):
    """Control 3 stands beside 0 and 1."""
    chained = make_study([10] * 3 + [30] * 2, [1] * 5, [(0, 3), (1, 3), (2, 4)], range(3))
    found = hidden_bias_bounds(*chained, BY_HORIZON, gammas=(1,))
    assert (found.sharing, found.at_horizon[20].sets) == (1, 2)
    assert found.at_horizon[20].table["p_upper"].item() == pytest.approx(1 / 4)


@pytest.mark.property
def test_no_two_sets_that_count_share_a_person_and_none_could_be_added(random_study):
    for seed in range(12):
        study = random_study(seed, ties=True, people=60)
        compared = hidden_bias.compared_follow_up(*study)
        sets = hidden_bias._Sets.of(study.comparison, compared)
        kept = sets.without_sharing()
        assert len(np.unique(kept.person)) == len(kept.person)
        members = np.split(sets.person, np.cumsum(sets.size)[:-1])
        assert kept.count < sets.count
        taken, greedy = set(), []
        for own in members:  # one after the other
            if not taken & set(own):
                taken |= set(own)
                greedy.extend(own)
        assert kept.person.tolist() == greedy


@pytest.mark.property
def test_row_order_does_not_move_a_bound_by_a_bit(shuffles):
    spec = EffectSpec(horizons_days=(35, 105), rmst_days=None)
    first, *others = (hidden_bias_bounds(*study, spec) for study in shuffles)
    assert first.sharing > 0
    for other in others:
        pd.testing.assert_frame_equal(first.to_frame(), other.to_frame(), check_exact=True)


@pytest.mark.hand
def test_the_table_has_one_row_per_test_and_gamma(twelve_pairs):
    table = hidden_bias_bounds(*twelve_pairs, EffectSpec(horizons_days=(12, 20))).to_frame()
    assert table["measure"].value_counts().to_dict() == {"success": 22, "time_to_success": 11}
    assert table["horizon_days"].dropna().unique().tolist() == [12, 20]
    assert table["gamma"].head(3).tolist() == [1.0, 1.1, 1.2]
    assert table.query("measure == 'time_to_success'")["horizon_days"].isna().all()


def test_where_nobody_succeeds_nothing_is_rejected(make_study):
    study = make_study([30, 40, 30, 40], [0, 0, 0, 0], [(0, 2), (1, 3)], [0, 1], states=[1])
    found = hidden_bias_bounds(*study, BY_HORIZON)
    assert found.to_frame()["p_upper"].eq(1.0).all()
    assert found.time_to_success.largest_gamma is None
    assert found.at_horizon[20].informative == 0


# ---- what cannot be answered


def test_sets_with_several_on_both_sides_are_refused(make_study):
    study = make_study([10, 20, 30, 40, 10, 20], [1] * 6, [(0, 1, 2, 3), (4, 5)], [0, 1, 4])
    with pytest.raises(EstimationError, match="one control beside treated; 1 of 2 do not; match one to one, without replacement"):
        hidden_bias_bounds(*study, BY_HORIZON)


def test_horizons_nobody_is_known_at_are_named_in_the_studys_unit(make_study):
    study = make_study([1, 5, 3, 6], [0, 1, 1, 0], [(0, 2), (1, 3)], [0, 1], unit="week")
    with pytest.raises(HorizonError, match=r"at 52 \(unit: week\) none of 2 is; ask for shorter horizons"):
        hidden_bias_bounds(*study, EffectSpec(horizons_days=(7, 364), rmst_days=None))


def test_weights_that_change_with_time_are_refused(four_pairs):
    cohort, comparison, follow_up = four_pairs
    pieces = TimeWeights(np.arange(8), np.zeros(8), follow_up.days.copy(), np.ones(8))
    with pytest.raises(EstimationError, match="weights that change with time have no place in it"):
        hidden_bias_bounds(cohort, comparison, replace(follow_up, weights=pieces), BY_HORIZON)


@pytest.mark.parametrize("gammas", [(), (0.5, 1.0), (np.nan,), (np.inf,)])
def test_a_gamma_below_one_is_refused(four_pairs, gammas):
    with pytest.raises(EstimationError, match="every gamma must be at least 1"):
        hidden_bias_bounds(*four_pairs, BY_HORIZON, gammas)


def test_two_sides_at_once_are_refused(four_pairs):
    with pytest.raises(EstimationError, match="alternative is neither 'greater' nor 'less'; choose one"):
        hidden_bias_bounds(*four_pairs, BY_HORIZON, alternative="two-sided")


def test_an_unknown_success_is_refused(four_pairs):
    with pytest.raises(EstimationError, match="success: retired is not a state"):
        hidden_bias_bounds(*four_pairs, EffectSpec(success=("retired",)))
