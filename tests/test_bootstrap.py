"""Resampling against tables resampled row by row, against the influence functions, and the wild bootstrap against every sign there is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis import bootstrap
from evaluation.analysis.bootstrap import cluster_bootstrap, pair_bootstrap
from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import effects_within, estimate_effects
from evaluation.analysis.outcomes import TimeWeights
from evaluation.analysis.wild_bootstrap import wild_cluster_bootstrap
from evaluation.design.matching import MatchingSpec
from evaluation.design.propensity import estimate_propensity
from evaluation.design.weighting import WeightingSpec, weight_cohort
from evaluation.errors import EstimationError, InputError

SAME_ARITHMETIC = 1e-10  # sums of the same numbers in another order
REPLICATES = 999
MONTE_CARLO = 4 / np.sqrt(2 * REPLICATES)  # four standard errors of a standard deviation of so many draws, relative
SHORT = EffectSpec(horizons_days=(2, 4), rmst_days=5)


@pytest.fixture
def draw(monkeypatch):
    """Have the replicates draw what the test says: one row per replicate, with the number of each unit drawn."""

    def choose(drawings):
        class Chosen:
            row = 0

            def integers(self, low, high, shape):
                assert (low, high) == (0, shape[1])
                self.row += shape[0]
                return np.asarray(drawings)[self.row - shape[0] : self.row]

        monkeypatch.setattr(bootstrap.np.random, "default_rng", lambda seed: Chosen())
        return {"replicates": len(drawings), "seed": 0}

    return choose


def by_measure(effects):
    """Give the differences by the names the bootstrap has for them."""
    found = {("risk_difference", day): estimate.value for day, estimate in effects.risk_difference.items()}
    found |= {(f"incidence_difference: {state}", day): estimate.value for (state, day), estimate in effects.cumulative_incidence.items()}
    if effects.rmst_difference is not None:
        found["rmst_difference", effects.spec.rmst_days] = effects.rmst_difference.value
    if effects.hazard_ratio is not None:
        found["log_hazard_ratio", None] = effects.hazard_ratio.log.value
    return found


def resampled(make_study, study, parts, spec):
    """Write the table of the drawn `parts`, lists of (cohort row, weight), with a person of their own for each time somebody is drawn."""
    rows = [row for part in parts for row, _ in part]
    ends = np.cumsum([len(part) for part in parts])
    sets = [range(end - len(part), end) for end, part in zip(ends, parts, strict=True)]
    treated = np.flatnonzero(study.cohort.treated[rows])
    weights = [weight for part in parts for _, weight in part]
    days, state = study.follow_up.days[rows], np.asarray(study.follow_up.state)[rows]
    anew = make_study(days, state, sets, treated, weights=weights, censored="censored", states=list(study.follow_up.states))
    if study.follow_up.reach is not None:
        anew = anew._replace(follow_up=replace(anew.follow_up, reach=study.follow_up.reach[rows]))
    compared = compared_follow_up(*anew)
    return by_measure(effects_within(compared, spec.succeeded(compared), np.ones(len(rows), dtype=bool), spec))


def assert_replicates_are(result, tables):
    for measure, values in result.replicates.items():
        expected = [table.get(measure, np.nan) for table in tables]
        np.testing.assert_allclose(values, expected, rtol=0, atol=SAME_ARITHMETIC)


# ---- four pairs by hand: treated leave at 10, 20, 20 and 40 (censored), controls at 20, 30, 40 (censored) and 40


@pytest.mark.hand
def test_a_replicate_of_four_pairs_is_arithmetic(four_pairs, draw):
    by_hash = four_pairs.comparison.sets.query("role == 'treated'")["person"].to_list()
    first, second, third = (by_hash.index(f"p{number}") for number in range(3))
    found = pair_bootstrap(*four_pairs, EffectSpec(horizons_days=(10, 20), rmst_days=40), **draw([[first, third, second, first]] * 2))
    treated, control = [10, 10, 20, 20], [20, 20, 30, 40]
    assert found.replicates["risk_difference", 10].tolist() == pytest.approx([2 / 4 - 0] * 2)
    assert found.replicates["risk_difference", 20].tolist() == pytest.approx([4 / 4 - 2 / 4] * 2)
    assert found.replicates["incidence_difference: study", 20].tolist() == pytest.approx([1 / 4 - 0] * 2)
    assert found.replicates["rmst_difference", 40].tolist() == pytest.approx([np.mean(treated) - np.mean(control)] * 2)


@pytest.mark.hand
def test_the_table_has_the_spread_and_the_order_statistics_of_the_replicates(random_study):
    study, spec = random_study(3, ties=False, weighted=True, reuse=False), SHORT.model_copy(update={"level": 0.9})
    found = pair_bootstrap(*study, spec, replicates=19, seed=5)
    row = found.to_frame().set_index("measure").loc["rmst_difference"]
    values = np.sort(found.replicates["rmst_difference", 5])
    assert len(np.unique(values)) == 19
    assert (row["low"], row["high"]) == pytest.approx((values[0], values[18]))  # the (19 + 1) x 5 %th from either end
    assert row["std_error"] == pytest.approx(np.sqrt(((values - values.mean()) ** 2).sum() / 18))
    effect = estimate_effects(*study, spec).rmst_difference
    assert (row["effect"], row["influence_std_error"], row["reported_std_error"]) == (effect.value, effect.std_error, effect.std_error)
    assert (row["horizon_days"], row["replicates"]) == (5, 19)


# ---- against tables resampled row by row


@pytest.mark.property
@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("success", [None, ("work",)])
def test_every_set_drawn_once_gives_the_estimates_themselves(random_study, draw, ties, weighted, success):
    study, spec = random_study(3, ties=ties, weighted=weighted, reuse=False), SHORT.model_copy(update={"success": success})
    found = pair_bootstrap(*study, spec, **draw([range(8)] * 2))
    expected = by_measure(estimate_effects(*study, spec))
    assert len(expected) == 2 + 4 + 1 + 1
    assert_replicates_are(found, [expected] * 2)


@pytest.mark.property
@pytest.mark.parametrize(("ties", "reach"), [(True, False), (False, False), (True, True)])
def test_a_replicate_is_the_estimate_on_the_table_resampled_row_by_row(random_study, make_study, draw, ties, reach):
    """Whoever is drawn twice leaves twice, so that even without ties in the data there are ties in the replicates."""
    rng = np.random.default_rng(17)
    study = random_study(3, ties=ties, weighted=True, reuse=False)
    if reach:
        study = study._replace(follow_up=replace(study.follow_up, reach=np.where(rng.random(24) < 0.3, 3.0, 9.0)))
    drawings = rng.integers(0, 8, (12, 8))
    comparison, spec = study.comparison, SHORT.model_copy(update={"success": ("work",)})
    parts = [list(zip(comparison.member_row[one], comparison.member_weight[one], strict=True)) for one in comparison.member_set == np.c_[range(8)]]
    tables = [resampled(make_study, study, [parts[number] for number in numbers], spec) for numbers in drawings]
    found = pair_bootstrap(*study, spec, **draw(drawings))
    assert len(found.replicates) == 8
    assert_replicates_are(found, tables)


@pytest.mark.property
def test_persons_are_drawn_with_all_their_weight(random_study, make_study, draw):
    study = random_study(5, ties=True, weighted=True)
    comparison = study.comparison
    assert (comparison.sets["person"].value_counts() > 1).any()
    people = list(zip(comparison.rows, comparison.weights[comparison.rows], strict=True))
    drawings = np.random.default_rng(2).integers(0, len(people), (8, len(people)))
    tables = [resampled(make_study, study, [[people[number] for number in numbers]], SHORT) for numbers in drawings]
    assert_replicates_are(cluster_bootstrap(*study, SHORT, **draw(drawings)), tables)


@pytest.mark.property
def test_clusters_are_drawn_with_all_their_rows(random_study, make_study, draw):
    study = random_study(5, ties=True, weighted=True)
    comparison = study.comparison
    team = np.arange(len(comparison.rows)) % 4
    groups = [list(zip(comparison.rows[one], comparison.weights[comparison.rows[one]], strict=True)) for one in team == np.c_[range(4)]]
    drawings = np.random.default_rng(2).integers(0, 4, (8, 4))
    tables = [resampled(make_study, study, [[person for number in numbers for person in groups[number]]], SHORT) for numbers in drawings]
    found = cluster_bootstrap(*study, SHORT, ids=team, **draw(drawings))
    assert (found.drawn, found.n_drawn) == ("clusters", 4)
    assert_replicates_are(found, tables)


# ---- against the influence functions


@pytest.mark.reference
def test_on_the_matched_unemployment_data_the_replicates_spread_as_the_influences_say(unempdur):
    found = pair_bootstrap(*unempdur, EffectSpec(horizons_days=(14 * 14, 14 * 26), rmst_days=14 * 26), replicates=REPLICATES, seed=3).to_frame()
    assert len(found) == 2 + 3 * 2 + 1 + 1
    np.testing.assert_array_equal(found["influence_std_error"], found["reported_std_error"])
    np.testing.assert_allclose(found["std_error"], found["influence_std_error"], rtol=MONTE_CARLO)
    for end in ("low", "high"):
        off = (found[end] - found["effect"]).abs() / found["influence_std_error"]
        np.testing.assert_allclose(off, 1.96, atol=0.3)  # an outer order statistic of 999 has itself an error of 0.08 standard errors


@pytest.mark.property
def test_persons_drawn_one_by_one_spread_as_influences_clustered_by_person(unempdur):
    spec = EffectSpec(horizons_days=(14 * 14,), rmst_days=14 * 26)
    found = cluster_bootstrap(*unempdur, spec, replicates=REPLICATES, seed=3).to_frame()
    effects = estimate_effects(*unempdur, spec)
    people = 2 * 1360
    alone = effects.rmst_difference.cluster(np.arange(people)).std_error * np.sqrt((people - 1) / people)
    assert found.set_index("measure").loc["rmst_difference", "influence_std_error"] == pytest.approx(alone)
    np.testing.assert_allclose(found["std_error"], found["influence_std_error"], rtol=MONTE_CARLO)


# ---- what may not matter


@pytest.fixture(scope="module")
def shuffled_pairs(walk):
    rng = np.random.default_rng(12)
    people = pd.DataFrame({"person": [f"id{number}" for number in range(200)], "age": rng.integers(20, 40, 200), "treated": [0, 0, 1, 0] * 50})
    people["schooling"] = rng.choice(["short", "long"], 200)
    people["sex"], people["origin"] = rng.choice(["man", "woman"], 200), rng.choice(["abroad", "here"], 200)
    people["weeks"], people["exit"] = rng.integers(1, 30, 200), rng.choice(["censored", "study", "work"], 200)
    return [walk(table, MatchingSpec(ratio=2, caliper_sd=None)) for table in (people, people.sample(frac=1, random_state=4))]


@pytest.mark.property
def test_row_order_and_repetition_do_not_move_a_bit_and_another_seed_does(shuffled_pairs):
    spec = EffectSpec(horizons_days=(70,), rmst_days=105)
    first, second = (pair_bootstrap(*study, spec, replicates=50, seed=8).to_frame() for study in shuffled_pairs)
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    pd.testing.assert_frame_equal(first, pair_bootstrap(*shuffled_pairs[0], spec, replicates=50, seed=8).to_frame(), check_exact=True)
    assert (first["std_error"] != pair_bootstrap(*shuffled_pairs[0], spec, replicates=50, seed=9).to_frame()["std_error"]).all()


@pytest.mark.property
def test_row_order_does_not_move_clusters_by_a_bit(shuffles):
    spec = EffectSpec(horizons_days=(70,), rmst_days=105)
    found = []
    for study in shuffles:
        ages = study.cohort.column("age").to_numpy()[study.comparison.rows]
        wild = wild_cluster_bootstrap(estimate_effects(*study, spec).rmst_difference, ages, replicates=99, seed=8)
        drawn = (cluster_bootstrap(*study, spec, ids=ids, replicates=20, seed=8) for ids in (None, ages))
        found.append(pd.concat([*(result.to_frame() for result in drawn), wild.to_frame()]))
    pd.testing.assert_frame_equal(found[0], found[1], check_exact=True)
    pd.testing.assert_frame_equal(found[0], found[2], check_exact=True)


@pytest.mark.property
def test_the_size_of_a_block_does_not_matter(random_study, monkeypatch):
    study = random_study(3, ties=True, weighted=True, reuse=False)
    together = pair_bootstrap(*study, SHORT, replicates=30, seed=1)
    monkeypatch.setattr(bootstrap, "_BLOCK", 1)
    apart = pair_bootstrap(*study, SHORT, replicates=30, seed=1)
    for measure, values in together.replicates.items():
        np.testing.assert_allclose(values, apart.replicates[measure], rtol=0, atol=SAME_ARITHMETIC)


# ---- what cannot be resampled


def test_a_match_whose_controls_serve_again_is_refused_with_the_reason(random_study):
    study = random_study(5, ties=True)
    several = int((study.comparison.sets["person"].value_counts() > 1).sum())
    with pytest.raises(EstimationError, match=rf"pair bootstrap: {several} people are in several sets.*Abadie & Imbens 2008.*cluster_bootstrap"):
        pair_bootstrap(*study, SHORT, seed=1)


def test_weights_without_sets_are_drawn_by_person_and_it_is_said_that_they_stay(shuffled_pairs):
    cohort, _, follow_up = shuffled_pairs[0]
    study = cohort, weight_cohort(cohort, estimate_propensity(cohort), WeightingSpec()), follow_up
    with pytest.raises(EstimationError, match="pair bootstrap: the comparison has weights and no matched sets; cluster_bootstrap resamples persons"):
        pair_bootstrap(*study, EffectSpec(horizons_days=(70,), rmst_days=105), seed=1)
    found = cluster_bootstrap(*study, EffectSpec(horizons_days=(70,), rmst_days=105), replicates=REPLICATES, seed=1)
    assert found.notes == ("the weights are taken as given and not estimated anew in each replicate; influence_std_error takes them so too",)
    table = found.to_frame()
    np.testing.assert_allclose(table["std_error"], table["influence_std_error"], rtol=2 * MONTE_CARLO)  # 200 people: the influence is a first order
    assert (table["influence_std_error"] != table["reported_std_error"]).all()


def test_what_a_replicate_does_not_know_is_left_out_and_counted(four_pairs, draw):
    """The last pair drawn alone has no exit among the treated; the first two alone are all gone by day 30, so theirs is known for ever."""
    by_hash = four_pairs.comparison.sets.query("role == 'treated'")["person"].to_list()
    first, second, last = (by_hash.index(f"p{number}") for number in (0, 1, 3))
    found = pair_bootstrap(
        *four_pairs, EffectSpec(horizons_days=(20,), rmst_days=40), **draw([[last] * 4, [first, second] * 2, [first, last, first, last]])
    )
    assert np.isnan(found.replicates["log_hazard_ratio", None]).tolist() == [True, False, False]
    assert not np.isnan(found.replicates["rmst_difference", 40]).any()
    assert found.notes == ("log_hazard_ratio: could not be computed in 1 of 3 replicates",)
    assert found.to_frame().set_index("measure").loc["log_hazard_ratio", "replicates"] == 2


def test_a_replicate_without_the_one_who_was_followed_longest_has_no_share_so_late(make_study, draw):
    study = make_study([2, 5, 3, 5, 9, 2, 9, 3], [1, 0, 1, 1, 1, 0, 1, 1], [(0, 2), (1, 3), (4, 6), (5, 7)], [0, 1, 4, 5])
    by_hash = study.comparison.sets.query("role == 'treated'")["person"].to_list()
    one, long = by_hash.index("p1"), by_hash.index("p4")
    found = pair_bootstrap(*study, EffectSpec(horizons_days=(8,), rmst_days=None), **draw([[one] * 4, [one, long] * 2]))
    assert np.isnan(found.replicates["risk_difference", 8]).tolist() == [True, False]
    assert "risk_difference at 8 days: could not be computed in 1 of 2 replicates" in found.notes


def test_where_nobody_leaves_every_replicate_is_nothing(make_study):
    study = make_study([5, 5, 6, 6], [0, 0, 0, 0], [(0, 2), (1, 3)], [0, 1], states=[1])
    found = pair_bootstrap(*study, EffectSpec(horizons_days=(5,), rmst_days=5), replicates=10, seed=1).to_frame()
    assert found["measure"].tolist() == ["risk_difference", "rmst_difference"]
    assert (found[["effect", "std_error", "low", "high"]] == 0).all(axis=None)


def test_weights_that_change_with_time_are_refused(four_pairs):
    rows = np.arange(8)
    weights = TimeWeights(rows, np.zeros(8), four_pairs.follow_up.days, np.ones(8))
    study = four_pairs._replace(follow_up=replace(four_pairs.follow_up, weights=weights))
    with pytest.raises(EstimationError, match="bootstrap: weights that change with time are not resampled"):
        pair_bootstrap(*study, EffectSpec(horizons_days=(20,), rmst_days=40), seed=1)


@pytest.mark.parametrize(
    ("ids", "message"),
    [([1, 2], "ids: must have one entry for each of the 8 compared rows"), ([None, *"abcabca"], "ids: must not be missing; 1 of 8 rows does not")],
)
def test_ids_that_do_not_fit_are_refused(four_pairs, ids, message):
    spec = EffectSpec(horizons_days=(20,), rmst_days=40)
    with pytest.raises(InputError, match=message):
        cluster_bootstrap(*four_pairs, spec, ids=ids, seed=1)
    with pytest.raises(InputError, match=message):
        wild_cluster_bootstrap(estimate_effects(*four_pairs, spec).rmst_difference, ids, seed=1)


def test_too_few_clusters_or_replicates_are_refused(four_pairs):
    spec = EffectSpec(horizons_days=(20,), rmst_days=40)
    effect = estimate_effects(*four_pairs, spec).rmst_difference
    with pytest.raises(EstimationError, match="clusters: at least two are needed"):
        cluster_bootstrap(*four_pairs, spec, ids=["a"] * 8, seed=1)
    with pytest.raises(EstimationError, match="clusters: at least two are needed"):
        wild_cluster_bootstrap(effect, ["a"] * 8, seed=1)
    with pytest.raises(EstimationError, match="does not vary between clusters, 2 of which have a part in it"):
        wild_cluster_bootstrap(replace(effect, influence=np.array([1.0, -1, 0, 0, 0, 0, 1, -1])), [*"aaccccbb"], seed=1)
    with pytest.raises(InputError, match="replicates: must be at least 2"):
        pair_bootstrap(*four_pairs, spec, replicates=1, seed=1)
    with pytest.raises(InputError, match="replicates: must be at least 2"):
        wild_cluster_bootstrap(effect, [*"aabbaabb"], replicates=0, seed=1)
