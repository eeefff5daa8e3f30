"""The whole chain against tables drawn row by row and taken down the road by the public functions, and against the influence functions."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from evaluation.analysis.chain_bootstrap import chain_bootstrap
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.outcomes import TimeWeights, followup_from_table
from evaluation.analysis.redrawn import Redrawing
from evaluation.analysis.replicates import differences
from evaluation.design.cohort import cohort_from_table, cohort_from_trials
from evaluation.design.designs import make_comparison
from evaluation.design.matching import MatchingSpec
from evaluation.design.optimal import OptimalSpec
from evaluation.design.propensity import PropensitySpec, estimate_propensity
from evaluation.design.subclasses import SubclassSpec
from evaluation.design.weighting import WeightingSpec
from evaluation.errors import EstimationError, InputError

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")  # who is not matched in a draw is not what is tested

SAME_ARITHMETIC = 1e-9  # a fit that starts elsewhere, and sums in another order
REPLICATES = 200
MONTE_CARLO = 4 / np.sqrt(2 * REPLICATES)  # four standard errors of a standard deviation of so many draws, relative
SPEC = EffectSpec(horizons_days=(30, 60), rmst_days=60)


def people(count=160, seed=3, *, whole=False):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"person": [f"id{number}" for number in range(count)], "age": rng.normal(size=count), "pay": rng.normal(size=count)})
    if whole:
        table[["age", "pay"]] = table[["age", "pay"]].round()
    table["schooling"], table["sex"] = rng.choice(["long", "middle", "short"], count), rng.choice(["man", "woman"], count)
    likely = 1 / (1 + np.exp(1.2 - 0.5 * table["age"] - 0.4 * (table["schooling"] == "long")))
    table["treated"] = (rng.random(count) < likely).astype(int)
    leaves = rng.exponential(60 * np.exp(-0.4 * table["treated"] + 0.3 * table["age"]))
    watched = rng.uniform(20, 200, count)
    table["days"], table["exit"] = np.minimum(leaves, watched), np.where(leaves <= watched, rng.choice(["study", "work"], count), "censored")
    return table


def stack(seed=5):
    """Three trials; a person may wait in several."""
    table = pd.concat([people(90, seed).assign(trial=str(trial)) for trial in range(3)], ignore_index=True)
    rng = np.random.default_rng(seed)
    table["age"], table["pay"] = table["age"] + rng.normal(size=len(table)), rng.normal(size=len(table))
    table["treated"] = (rng.random(len(table)) < 0.3).astype(int)
    table["days"] = table["days"] + rng.uniform(0, 1, len(table))
    return table


def read(table):
    """Give the cohort and the follow-up of a table."""
    known = {"treated": "treated", "covariates": ["age", "pay", "schooling"], "person": "person"}
    if "trial" in table:
        cohort = cohort_from_trials(table, **known, trial="trial", strata=["sex"])
        names = table.assign(person=table["person"] + "/" + table["trial"])
        follow_up = followup_from_table(names, days="days", event="exit", person="person", censored="censored", states=["study", "work"])
        return cohort, replace(follow_up, person=cohort.person)
    cohort = cohort_from_table(table, **known, strata=["sex"])
    return cohort, followup_from_table(table, days="days", event="exit", person="person", censored="censored", states=["study", "work"])


def resampled(table, cohort, seed, replicates, number):
    """Write the table of one replicate, with a person of their own for each time somebody is drawn, drawn as the docstring says."""
    by_hash = cohort.person[np.argsort(cohort.tiebreak)].unique()
    stream = np.random.SeedSequence(seed).spawn(replicates)[number]
    drawn = by_hash[np.random.default_rng(stream).integers(0, len(by_hash), len(by_hash))]
    parts = [table[table["person"] == name].assign(person=f"{name}, drawn at place {place}") for place, name in enumerate(drawn)]
    return pd.concat(parts, ignore_index=True)


def anew(table, design, propensity=None):
    cohort, follow_up = read(table)
    effects = estimate_effects(cohort, make_comparison(cohort, estimate_propensity(cohort, propensity), design), follow_up, SPEC)
    return {measure: estimate.value for measure, estimate in differences(effects).items()}


# ---- against tables resampled row by row


DESIGNS = {
    "pairs": (people, MatchingSpec(), None),
    "pairs by the score, alike in sex": (people, MatchingSpec(distance="score", exact=("sex",), order="largest"), None),
    "two controls, Mahalanobis": (people, MatchingSpec(ratio=2, distance="mahalanobis", caliper_sd=0.5), None),
    "at least total distance": (people, OptimalSpec(), None),
    "subclasses": (people, SubclassSpec(subclasses=3), None),
    "odds": (people, WeightingSpec(), None),
    "entropy": (people, WeightingSpec(method="entropy"), None),
    "a formula and a ridge": (people, WeightingSpec(method="overlap"), PropensitySpec(formula="age + I(age**2) + schooling", penalty=1.0)),
    "trials, pairs": (stack, MatchingSpec(), None),
    "trials, a control in one only": (stack, MatchingSpec(max_trials=1), None),
    "trials, odds": (stack, WeightingSpec(), None),
}


@pytest.mark.property
@pytest.mark.parametrize("name", DESIGNS)
def test_a_replicate_is_the_whole_road_on_the_table_drawn_row_by_row(name):
    make, design, propensity = DESIGNS[name]
    table = make()
    cohort, follow_up = read(table)
    found = chain_bootstrap(cohort, follow_up, design, SPEC, propensity=propensity, replicates=2, seed=11)
    for number in range(2):
        expected = anew(resampled(table, cohort, 11, 2, number), design, propensity)
        for measure, values in found.replicates.items():
            assert values[number] == pytest.approx(expected[measure], abs=SAME_ARITHMETIC), (measure, number)
    assert (found.drawn, found.n_drawn, len(found.replicates)) == ("chain", table["person"].nunique(), 2 + 4 + 1 + 1)


@pytest.mark.property
@pytest.mark.parametrize(
    "design",
    [
        MatchingSpec(),
        MatchingSpec(caliper_sd=None, order="smallest"),
        MatchingSpec(exact=("sex",)),
        MatchingSpec(distance="score", caliper_sd=0.05, order="largest"),
    ],
    ids=["logit", "everybody", "exact", "score"],
)
@pytest.mark.parametrize("make", [lambda: people(400, whole=True), stack], ids=["ties", "trials"])
def test_without_copies_and_with_them_the_same_people_are_compared(make, design):
    cohort, _ = read(make())
    redrawing = Redrawing.of(cohort.take(np.argsort(cohort.tiebreak)), PropensitySpec(), design)
    assert redrawing.quick is not None
    for seed in range(3):
        times = np.bincount(np.random.default_rng(seed).integers(0, redrawing.persons, redrawing.persons), minlength=redrawing.persons)
        times = times[redrawing.person]
        weights, copies = redrawing.by_copies(times)
        pairs = redrawing.quick.pairs(redrawing.cohort, times)
        treated, control = np.split(pairs, 2)
        assert redrawing.cohort.treated[treated].all()
        assert not redrawing.cohort.treated[control].any()
        np.testing.assert_array_equal(np.bincount(pairs, minlength=len(times)), weights)
        np.testing.assert_array_equal(copies, weights)


@pytest.mark.property
def test_each_drawn_once_gives_the_estimates_themselves(monkeypatch):
    cohort, follow_up = read(people())

    class Everybody:
        def integers(self, low, high, size):
            assert (low, high) == (0, size)
            return np.arange(size)

    monkeypatch.setattr("evaluation.analysis.redrawn.np.random.default_rng", lambda stream: Everybody())
    found = chain_bootstrap(cohort, follow_up, MatchingSpec(), SPEC, replicates=2, seed=1)
    for measure, estimate in found.estimates.items():
        assert found.replicates[measure] == pytest.approx([estimate.value] * 2, abs=SAME_ARITHMETIC)
    reported = estimate_effects(cohort, make_comparison(cohort, estimate_propensity(cohort), MatchingSpec()), follow_up, SPEC)
    assert found.effects.to_frame().equals(reported.to_frame())


# ---- against the influence functions, which for weights hold that the scores were estimated


@pytest.mark.property
def test_weights_fitted_anew_spread_as_their_influences_say():
    cohort, follow_up = read(people(700, 8))
    spec = EffectSpec(horizons_days=(60,), rmst_days=60)
    found = chain_bootstrap(cohort, follow_up, WeightingSpec(), spec, replicates=REPLICATES, seed=2)
    table = found.to_frame()
    np.testing.assert_allclose(table["std_error"], table["influence_std_error"], rtol=MONTE_CARLO)
    np.testing.assert_array_equal(table["influence_std_error"], table["reported_std_error"])
    off = (table["mean"] - table["effect"]).abs() / table["std_error"]
    assert off.max() < 0.3  # the mean of 200 draws has an error of 0.07 standard errors; the rest is curvature at this size
    assert found.notes == ()
    assert table["replicates"].eq(REPLICATES).all()


# ---- what may not matter


@pytest.fixture(scope="module")
def serial():
    return chain_bootstrap(*read(people()), MatchingSpec(ratio=2), SPEC, replicates=23, seed=4)


def assert_same_bits(found, other):
    pd.testing.assert_frame_equal(pd.DataFrame(found.replicates), pd.DataFrame(other.replicates), check_exact=True)
    pd.testing.assert_frame_equal(found.to_frame(), other.to_frame(), check_exact=True)


@pytest.mark.property
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_the_backend_moves_no_bit_and_progress_is_told(serial, backend):
    seen = []
    with parallel_config(backend=backend, n_jobs=2), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # loky may stop an idle worker and say so
        found = chain_bootstrap(*read(people()), MatchingSpec(ratio=2), SPEC, replicates=23, seed=4, progress=lambda *told: seen.append(told))
    assert_same_bits(serial, found)
    assert seen == [(10, 23), (20, 23), (23, 23)]


@pytest.mark.property
def test_the_order_of_the_rows_moves_no_bit_and_the_seed_does(serial):
    shuffled = chain_bootstrap(*read(people().sample(frac=1, random_state=1)), MatchingSpec(ratio=2), SPEC, replicates=23, seed=4)
    assert_same_bits(serial, shuffled)
    other = chain_bootstrap(*read(people()), MatchingSpec(ratio=2), SPEC, replicates=23, seed=5)
    assert (serial.to_frame()["std_error"] != other.to_frame()["std_error"]).all()


@pytest.mark.property
@pytest.mark.parametrize("table", [people(whole=True), stack()], ids=["ties", "trials"])
def test_the_quick_way_does_not_see_the_order_of_the_rows(table):
    first, second = (chain_bootstrap(*read(one), None, SPEC, replicates=6, seed=4) for one in (table, table.sample(frac=1, random_state=2)))
    pd.testing.assert_frame_equal(pd.DataFrame(first.replicates), pd.DataFrame(second.replicates), check_exact=True)


# ---- what cannot be done


def test_matching_with_replacement_is_refused_with_the_reason():
    with pytest.raises(EstimationError, match=r"with replacement.*not valid even in large samples \(Abadie & Imbens 2008\).*or weight"):
        chain_bootstrap(*read(people()), MatchingSpec(replace=True), SPEC, seed=1)


def test_matching_without_replacement_comes_with_what_is_not_proved(serial):
    assert len(serial.notes) == 1
    assert "nothing is proved" in serial.notes[0]
    assert "pair_bootstrap" in serial.notes[0]


def test_a_draw_that_cannot_be_modelled_is_left_out_and_counted():
    """Only the two with a certificate tell the model apart; who draws but one side of them has no coefficient."""
    table = people()
    table["certificate"] = 0
    table.loc[[table.index[table["treated"] == side][0] for side in (0, 1)], "certificate"] = 1
    cohort = cohort_from_table(table, treated="treated", covariates=["age", "certificate"], person="person")
    _, follow_up = read(table)
    found = chain_bootstrap(cohort, follow_up, MatchingSpec(), EffectSpec(horizons_days=(30,), rmst_days=None), replicates=60, seed=1)
    missing = int(np.isnan(found.replicates["risk_difference", 30]).sum())
    by_hash = table.set_index("person").loc[cohort.person[np.argsort(cohort.tiebreak)]]
    draws = [np.random.default_rng(stream).integers(0, 160, 160) for stream in np.random.SeedSequence(1).spawn(60)]
    there = np.array([[((by_hash["certificate"] == 1) & (by_hash["treated"] == side)).to_numpy()[draw].any() for side in (0, 1)] for draw in draws])
    np.testing.assert_array_equal(np.isnan(found.replicates["risk_difference", 30]), there.sum(axis=1) < 2)
    assert missing > 10
    assert found.notes[0] == f"risk_difference at 30 days: could not be computed in {missing} of 60 replicates"
    assert any(f"something decides participation alone: {missing}" in note for note in found.notes)
    assert found.to_frame()["replicates"].iloc[0] == 60 - missing


def test_weights_that_change_with_time_few_replicates_and_people_without_follow_up_are_refused():
    cohort, follow_up = read(people())
    with pytest.raises(InputError, match="replicates: must be at least 2"):
        chain_bootstrap(cohort, follow_up, replicates=1, seed=1)
    rows = np.arange(len(cohort))
    weights = TimeWeights(rows, np.zeros(len(rows)), follow_up.days, np.ones(len(rows)))
    with pytest.raises(EstimationError, match="weights that change with time are not resampled"):
        chain_bootstrap(cohort, replace(follow_up, weights=weights), None, SPEC, seed=1)
    others = read(people())[0].to_frame().drop(index=0)
    known = followup_from_table(people().loc[others.index], days="days", event="exit", person="person", censored="censored", states=["study", "work"])
    with pytest.raises(InputError, match="follow-up: must exist for everybody who is compared"):
        chain_bootstrap(cohort, known, WeightingSpec(), SPEC, seed=1)
