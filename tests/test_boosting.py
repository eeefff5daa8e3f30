"""Are the trees' scores better where participation bends, and has nobody been scored by trees that have seen them?"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_info, threadpool_limits

from evaluation.design.boosting import FARTHEST_ODDS, boosted_logits, deal_folds
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.model_columns import covariate_columns
from evaluation.design.propensity import PropensitySpec, estimate_propensity
from evaluation.errors import DesignError

SAME_TREES = 1e-12  # relative; the same trees, the logit taken of their probabilities
BY_CHANCE = 0.15  # an AUC's distance from one half; over seeds it varies by 0.04, and trees that have seen a person in another row reach 0.3
QUICK = PropensitySpec(method="boosting", trees=30)


def frame_of(size: int, seed: int) -> pd.DataFrame:
    """Participation hangs on whether two covariates have the same sign, and on how far a third is from 0; no straight line sees any of it."""
    rng = np.random.default_rng(seed)
    people = pd.DataFrame(rng.normal(size=(size, 3)), columns=["a", "b", "c"]).assign(team=rng.choice(["x", "y", "z"], size), id=np.arange(size))
    people["truth"] = expit(-1 + 2 * (people["a"] * people["b"] > 0) - 1.5 * (people["c"].abs() > 1))
    return people.assign(t=(rng.random(size) < people["truth"]).astype(int), id="person " + people["id"].astype(str))


def cohort_of(people: pd.DataFrame) -> Cohort:
    return cohort_from_table(people, treated="t", covariates=["a", "b", "c", "team"], person="id")


def stack_of(people: pd.DataFrame) -> Cohort:
    return cohort_from_trials(people, treated="t", covariates=["a"], person="id", trial="month")


def learnt_by_heart(people: int, rows: int, seed: int) -> pd.DataFrame:
    """Everybody has a number of their own, in all their rows, that says nothing of treatment."""
    rng = np.random.default_rng(seed)
    each = pd.DataFrame({"id": [f"p{number}" for number in range(people)], "a": rng.normal(size=people), "t": rng.permutation(people) % 2})
    return each.merge(pd.DataFrame({"month": np.arange(rows)}), how="cross")


def log_loss(truth: np.ndarray, score: np.ndarray) -> float:
    """Give what is expected of the log loss in people not yet seen."""
    return float(-(truth * np.log(score) + (1 - truth) * np.log1p(-score)).mean())


@pytest.mark.recovery
def test_trees_find_a_rule_that_bends_and_crosses_which_the_logistic_does_not() -> None:
    people = frame_of(4000, seed=1)
    truth, cohort = people["truth"].to_numpy(), cohort_of(people)
    trees, straight = (log_loss(truth, estimate_propensity(cohort, spec).score) for spec in (PropensitySpec(method="boosting"), PropensitySpec()))
    best, ignorant = log_loss(truth, truth), log_loss(truth, np.full(4000, cohort.treated.mean()))
    assert straight - best > 0.95 * (ignorant - best)
    assert trees - best < 0.3 * (ignorant - best)


@pytest.mark.reference
def test_a_fold_is_scored_by_scikit_learns_trees_grown_on_the_others() -> None:
    """With more than 10,000 people scikit-learn would set some aside and stop early, had it not been told otherwise."""
    cohort = cohort_of(frame_of(14_000, seed=2))
    columns = covariate_columns(cohort.covariates)[1]
    fold = deal_folds(cohort, 4, seed=3)
    found = boosted_logits(cohort, columns, folds=4, seed=3, trees=15, depth=2, learning_rate=0.1)
    for number in range(4):
        others = cohort.order[fold[cohort.order] != number]
        trees = HistGradientBoostingClassifier(max_iter=15, max_depth=2, learning_rate=0.1, early_stopping=False, random_state=3)
        with threadpool_limits(1):
            trees.fit(columns[:, others].T, cohort.treated[others])
        expected = logit(trees.predict_proba(columns[:, fold == number].T)[:, 1])
        assert found[fold == number] == pytest.approx(expected, rel=SAME_TREES)


@pytest.mark.property
@pytest.mark.parametrize("rows", [1, 4])
def test_nobody_is_scored_by_trees_that_have_seen_them_in_any_row(rows: int) -> None:
    """Where the covariate says nothing, the score may say nothing; trees that have seen another row of a person know the answer."""
    people = learnt_by_heart(400, rows, seed=4)
    cohort = stack_of(people)
    scores = estimate_propensity(cohort, PropensitySpec(method="boosting", trees=100, depth=6, learning_rate=0.3))
    assert abs(roc_auc_score(cohort.treated, scores.score) - 0.5) < BY_CHANCE


@pytest.mark.property
@pytest.mark.parametrize("folds", [2, 5])
@pytest.mark.parametrize("seed", [0, 7])
def test_all_rows_of_a_person_are_in_one_fold_and_every_fold_has_its_share_of_both_sides(folds: int, seed: int) -> None:
    people = learnt_by_heart(63, 3, seed)
    people["t"] = people["t"] * (people["month"] == 2)  # half are treated in the last month, after two months among the controls
    cohort = stack_of(people)
    fold = deal_folds(cohort, folds, seed)
    assert set(fold) == set(range(folds))
    dealt = people.assign(fold=fold).groupby("id").agg(fold=("fold", "first"), folds=("fold", "nunique"), ever=("t", "max"))
    assert (dealt["folds"] == 1).all()
    assert (np.ptp(dealt.groupby(["ever", "fold"]).size().unstack(), axis=1) <= 1).all()


@pytest.mark.property
def test_another_seed_deals_other_folds() -> None:
    cohort = cohort_of(frame_of(100, seed=5))
    one, other = deal_folds(cohort, 5, seed=0), deal_folds(cohort, 5, seed=1)
    assert (one == deal_folds(cohort, 5, seed=0)).all()
    assert (one != other).any()


@pytest.mark.property
@pytest.mark.parametrize("stack", [False, True])
def test_shuffled_rows_change_no_bit_of_the_trees(stack: bool) -> None:
    people = learnt_by_heart(120, 3, seed=6).assign(a=lambda frame: frame["a"].round(1)) if stack else frame_of(300, seed=6)
    again = people.sample(frac=1, random_state=1)
    make = stack_of if stack else cohort_of
    scores, shuffled = (
        frame[["id", *(["month"] if stack else [])]].assign(logit=estimate_propensity(make(frame), QUICK).logit).sort_index()
        for frame in (people, again)
    )
    pd.testing.assert_frame_equal(shuffled, scores, check_exact=True)


@pytest.mark.property
def test_shuffled_rows_change_no_bit_where_scikit_learn_bins_by_a_sample_of_the_rows() -> None:
    """From 200,000 rows on the edges of the bins come from a sample, which is drawn by place."""
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"x": rng.normal(size=420_000), "t": rng.integers(0, 2, 420_000)})
    spec = PropensitySpec(method="boosting", folds=2, trees=1, depth=8)
    again = people.sample(frac=1, random_state=1)
    scores, shuffled = (estimate_propensity(cohort_from_table(frame, treated="t", covariates=["x"]), spec).logit for frame in (people, again))
    assert (shuffled == scores[again.index]).all()


def test_trees_are_grown_on_one_thread(monkeypatch) -> None:
    threads = []
    fit = HistGradientBoostingClassifier.fit

    def watched(self, *data):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp")
        return fit(self, *data)

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", watched)
    with threadpool_limits(2):
        estimate_propensity(cohort_of(frame_of(100, seed=7)), QUICK)
    assert set(threads) == {1}


@pytest.mark.hand
def test_where_a_leaf_has_one_side_only_the_odds_stop_at_a_thousand_times_the_average() -> None:
    # the sign of x decides everything, and half are treated: the average odds are 1
    cohort = cohort_from_table(
        pd.DataFrame({"x": np.linspace(-1, 1, 400)}).assign(t=lambda frame: (frame["x"] > 0) * 1), treated="t", covariates=["x"]
    )
    scores = estimate_propensity(cohort, PropensitySpec(method="boosting", trees=200, learning_rate=0.5))
    assert scores.score.min() == pytest.approx(1 / 1001)
    assert scores.score.max() == pytest.approx(1000 / 1001)
    assert FARTHEST_ODDS == 1000


def test_trees_have_no_coefficients_and_no_model() -> None:
    scores = estimate_propensity(cohort_of(frame_of(200, seed=8)), QUICK)
    assert scores.coefficients.empty
    assert list(scores.coefficients) == ["term", "coefficient", "std_error", "odds_ratio", "low", "high", "p_value"]
    assert scores.model is None


def test_trees_split_on_the_columns_of_a_formula() -> None:
    """Trees that are given nothing but the team can tell no more than three probabilities in each fold apart."""
    scores = estimate_propensity(cohort_of(frame_of(300, seed=9)), PropensitySpec(method="boosting", formula="team", folds=2, trees=10))
    assert len(np.unique(scores.score)) == 2 * 3


FEW = {
    "the nearest number of folds": (3, 30, r"each of the 5 folds needs a treated and a control; there are 3 treated and 30 controls; take folds = 3"),
    "no number of folds": (1, 30, r'there are 1 treated and 30 controls; take method = "logistic"'),
    "too few controls": (30, 2, r"there are 30 treated and 2 controls; take folds = 2"),
}


@pytest.mark.parametrize(("treated", "control", "message"), FEW.values(), ids=FEW)
def test_too_few_people_for_the_folds_are_answered_with_how_many_can_be_filled(treated: int, control: int, message: str) -> None:
    frame = pd.DataFrame({"x": range(treated + control), "t": [1] * treated + [0] * control})
    with pytest.raises(DesignError, match=message):
        estimate_propensity(cohort_from_table(frame, treated="t", covariates=["x"]), QUICK)
