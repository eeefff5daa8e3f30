"""Are the compared people alike in what was to be expected of them: against least squares, statsmodels and scikit-learn, and a simulated truth."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression, Ridge

from evaluation.design.balance import assess_balance
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison, comparison_of
from evaluation.design.prognosis import PrognosisSpec, assess_prognosis
from evaluation.errors import DesignError, InputError

HARDLY_A_RIDGE = PrognosisSpec(penalty=1e-9)
SAME_FIT = 1e-6  # two solvers of one problem, and a ridge that is next to nothing
COVARIATES = ["age", "days", "school", "earned"]


def world(seed: int = 3, rows: int = 600) -> pd.DataFrame:
    """Draw people whose past earnings, and whether they worked at all, hang on age, days of unemployment and school."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"person": [f"p{number}" for number in range(rows)], "age": rng.integers(20, 60, rows).astype(float)})
    frame["days"], frame["school"] = rng.exponential(200, rows), rng.choice(["long", "none", "short"], rows)
    promise = 0.1 * frame["age"] - 0.005 * frame["days"] + (frame["school"] == "long")
    frame["earned"] = promise + rng.normal(size=rows)
    frame["worked"] = (rng.random(rows) < 1 / (1 + np.exp(3.5 - promise))).astype(int)
    frame["t"] = (rng.random(rows) < 1 / (1 + np.exp(0.02 * frame["age"] + 0.6))).astype(int)
    return frame


def cohort_of(frame: pd.DataFrame, covariates: list[str] = COVARIATES, **options: object) -> Cohort:
    return cohort_from_table(frame, treated="t", covariates=covariates, person="person", **options)


def paired(cohort: Cohort, seed: int = 0) -> Comparison:
    """Give every treated a control by lot, whatever the order of rows; the others of the pool stand outside."""
    by_name = np.argsort(cohort.person.to_numpy())
    treated, pool = by_name[cohort.treated[by_name]], by_name[~cohort.treated[by_name]]
    chosen = np.random.default_rng(seed).permutation(pool)[: len(treated)]
    return comparison_of(cohort, np.concatenate([treated, chosen]), np.concatenate([treated, treated]))


def outside(frame: pd.DataFrame, comparison: Comparison) -> pd.Series:
    return (frame["t"] == 0) & (comparison.weights == 0)


def columns_of(frame: pd.DataFrame) -> pd.DataFrame:
    school = pd.get_dummies(frame["school"], dtype=float).iloc[:, 1:]
    return pd.concat([frame[["age", "days"]], school], axis=1)


# Against other solvers


@pytest.mark.reference
def test_least_squares_outside_the_match_foretell_a_number() -> None:
    frame = world()
    cohort = cohort_of(frame)
    comparison = paired(cohort)
    found = assess_prognosis(cohort, comparison, "earned", HARDLY_A_RIDGE)
    fitted, design = outside(frame, comparison).to_numpy(), sm.add_constant(columns_of(frame))
    expected = sm.OLS(frame["earned"][fitted], design[fitted]).fit().predict(design)
    np.testing.assert_allclose(found.score, expected, rtol=SAME_FIT)
    assert (found.model, found.n_fitted) == ("linear", fitted.sum())


@pytest.mark.reference
def test_logistic_regression_outside_the_match_foretells_a_yes_or_no() -> None:
    frame = world()
    cohort = cohort_of(frame, ["age", "days", "school", "worked"])
    comparison = paired(cohort)
    found = assess_prognosis(cohort, comparison, "worked", HARDLY_A_RIDGE)
    fitted, design = outside(frame, comparison).to_numpy(), sm.add_constant(columns_of(frame))
    expected = sm.Logit(frame["worked"][fitted], design[fitted]).fit(disp=0).predict(design)
    np.testing.assert_allclose(found.score, expected, rtol=SAME_FIT)
    assert found.model == "logistic"


@pytest.mark.reference
@pytest.mark.parametrize("penalty", [1.0, 40.0])
def test_the_ridge_is_scikit_learns_on_standardised_columns(penalty: float) -> None:
    frame = world()
    cohort = cohort_of(frame, ["age", "days", "school", "earned", "worked"])
    comparison = paired(cohort)
    spec = PrognosisSpec(covariates=("age", "days", "school"), penalty=penalty)
    fitted, columns = outside(frame, comparison).to_numpy(), columns_of(frame).to_numpy()
    scaled = (columns - columns[fitted].mean(axis=0)) / columns[fitted].std(axis=0)
    earned = frame["earned"][fitted]
    linear = Ridge(alpha=penalty).fit(scaled[fitted], (earned - earned.mean()) / earned.std(ddof=0))
    np.testing.assert_allclose(
        assess_prognosis(cohort, comparison, "earned", spec).score, earned.mean() + earned.std(ddof=0) * linear.predict(scaled), rtol=SAME_FIT
    )
    logistic = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=1000).fit(scaled[fitted], frame["worked"][fitted])
    np.testing.assert_allclose(assess_prognosis(cohort, comparison, "worked", spec).score, logistic.predict_proba(scaled)[:, 1], rtol=10 * SAME_FIT)


# What the score says


@pytest.mark.hand
def test_the_score_of_one_yes_or_no_is_the_mean_of_those_outside_who_answer_alike() -> None:
    #                  treated  compared  outside: no earns 1 and 3, yes 10 and 14
    frame = pd.DataFrame({"t": [1, 1, 0, 0, 0, 0, 0, 0], "yes": [1, 1, 0, 1, 0, 0, 1, 1], "earned": [90.0, 70, 3, 13, 1, 3, 10, 14]})
    cohort = cohort_from_table(frame, treated="t", covariates=["yes", "earned"])
    comparison = comparison_of(cohort, np.arange(4), np.array([0, 1, 0, 1]))
    found = assess_prognosis(cohort, comparison, "earned", HARDLY_A_RIDGE)
    assert found.score.tolist() == pytest.approx([12, 12, 2, 12, 2, 2, 12, 12], rel=SAME_FIT)
    assert found.n_fitted == 4
    assert found.correlation == pytest.approx(1)  # two compared controls, and the one who earned more was to earn more


@pytest.mark.property
def test_the_score_is_balanced_as_any_covariate() -> None:
    frame = world()
    cohort = cohort_of(frame)
    comparison = paired(cohort)
    found = assess_prognosis(cohort, comparison, "earned")
    other = cohort_from_table(frame.assign(score=found.score), treated="t", covariates=["score"], person="person")
    (expected,) = assess_balance(other, comparison).table.to_dict("records")
    assert (found.smd_before, found.smd_after) == pytest.approx((expected["smd_before"], expected["smd_after"]), rel=1e-12)
    assert found.to_frame().iloc[0].tolist() == ["earned", "linear", found.n_fitted, found.correlation, found.smd_before, found.smd_after]


@pytest.mark.recovery
def test_a_match_that_leaves_out_what_foretells_is_seen() -> None:
    """Groups that are alike in age but not in days of unemployment are unlike in what was to be expected by what the days cost."""
    rng = np.random.default_rng(8)
    rows = 6000
    frame = pd.DataFrame({"t": np.repeat([1, 0], [1000, 5000]), "age": rng.normal(size=rows), "days": rng.normal(size=rows)})
    frame.loc[:999, "days"] += 1.0
    frame["earned"] = 2 * frame["age"] - 1 * frame["days"] + rng.normal(size=rows)
    cohort = cohort_from_table(frame, treated="t", covariates=["age", "days", "earned"])
    comparison = comparison_of(cohort, np.arange(2000), np.tile(np.arange(1000), 2))
    found = assess_prognosis(cohort, comparison, "earned")
    assert found.smd_after == pytest.approx(-1 / np.sqrt(5), abs=4 * np.sqrt(2 / 1000))
    assert found.correlation == pytest.approx(np.sqrt(5 / 6), abs=0.03)


@pytest.mark.property
@pytest.mark.parametrize("past", ["earned", "worked"])
def test_who_is_compared_takes_no_part_in_the_fit(past: str) -> None:
    frame = world()
    cohort = cohort_of(frame, ["age", "days", "school"], strata=[past])
    comparison = paired(cohort)
    changed = frame.copy()
    changed.loc[~outside(frame, comparison), past] = np.random.default_rng(1).permutation(changed.loc[~outside(frame, comparison), past])
    other = cohort_of(changed, ["age", "days", "school"], strata=[past])
    np.testing.assert_allclose(assess_prognosis(cohort, comparison, past).score, assess_prognosis(other, comparison, past).score, rtol=1e-12)


@pytest.mark.property
@pytest.mark.parametrize("past", ["earned", "worked"])
def test_shuffled_rows_change_no_bit(past: str) -> None:
    frame = world().round({"days": -2, "earned": 0})
    frame["earned"] += 0.5
    covariates = ["age", "days", "school", past]
    cohort = cohort_of(frame, covariates)
    found = assess_prognosis(cohort, paired(cohort), past)
    expected = pd.Series(found.score, index=cohort.person)
    for seed in range(3):
        cohort = cohort_of(frame.sample(frac=1, random_state=seed), covariates)
        again = assess_prognosis(cohort, paired(cohort), past)
        assert (pd.Series(again.score, index=cohort.person)[expected.index] == expected).all()
        pd.testing.assert_frame_equal(again.to_frame(), found.to_frame(), check_exact=True)


# Columns, filled-in values, stacks


def test_a_past_outcome_may_be_a_stratum_and_is_never_a_covariate_of_its_own_model() -> None:
    frame = world()
    as_covariate, as_stratum = cohort_of(frame), cohort_of(frame, COVARIATES[:3], strata=["earned"])
    found = assess_prognosis(as_covariate, paired(as_covariate), "earned")
    np.testing.assert_allclose(found.score, assess_prognosis(as_stratum, paired(as_stratum), "earned").score, rtol=1e-9)
    assert found.correlation < 0.95


@pytest.mark.property
def test_filled_in_values_are_not_fitted_on() -> None:
    frame = world()
    cohort = cohort_of(frame)
    comparison = paired(cohort)
    gaps = np.flatnonzero(outside(frame, comparison))[::3]
    holes = frame.copy()
    holes.loc[gaps, "earned"] = np.nan
    filled = cohort_of(holes, missing="category")
    found = assess_prognosis(filled, comparison, "earned", HARDLY_A_RIDGE)
    fitted, design = outside(frame, comparison).to_numpy() & holes["earned"].notna().to_numpy(), sm.add_constant(columns_of(frame))
    assert found.n_fitted == fitted.sum()
    np.testing.assert_allclose(found.score, sm.OLS(frame["earned"][fitted], design[fitted]).fit().predict(design), rtol=SAME_FIT)


@pytest.mark.hand
def test_who_is_compared_in_one_trial_stands_outside_in_none() -> None:
    rows = [("a", 1, 1), ("b", 1, 0), ("c", 1, 0), ("b", 2, 0), ("c", 2, 0), ("d", 2, 0), ("e", 2, 1), ("f", 2, 0), ("c", 3, 0), ("e", 3, 1)]
    frame = pd.DataFrame(rows, columns=["person", "month", "t"]).assign(x=np.arange(10.0) % 4, earned=np.arange(10.0) ** 2)
    cohort = cohort_from_trials(frame, treated="t", covariates=["x", "earned"], person="person", trial="month")
    comparison = comparison_of(cohort, np.array([0, 1, 6, 7]), np.array([0, 0, 1, 1]))  # a with b, e with f
    found = assess_prognosis(cohort, comparison, "earned", HARDLY_A_RIDGE)
    assert found.n_fitted == 2  # c, in three trials, and d; not b, who is compared in the first trial only
    rows_outside = [2, 4, 5, 8]
    slope, intercept = np.polyfit(frame["x"][rows_outside], frame["earned"][rows_outside], 1)
    np.testing.assert_allclose(found.score, intercept + slope * frame["x"], rtol=SAME_FIT, atol=SAME_FIT)


def test_a_level_that_nobody_outside_the_match_has_foretells_nothing() -> None:
    frame = world(rows=200)
    cohort = cohort_of(frame)
    comparison = paired(cohort)
    frame.loc[frame.index[frame["t"] == 1][:3], "school"] = "abroad"
    frame.loc[frame.index[frame["t"] == 1][3:6], "school"] = "zoo"
    rare = cohort_of(frame)
    score = assess_prognosis(rare, comparison, "earned").score
    assert np.isfinite(score).all()
    twins = frame.assign(school=frame["school"].replace({"zoo": "abroad"}))
    np.testing.assert_allclose(assess_prognosis(cohort_of(twins), comparison, "earned").score, score, rtol=1e-9)


# What cannot be done


def test_with_nobody_outside_the_match_nothing_can_be_fitted() -> None:
    cohort = cohort_of(world(rows=50))
    everybody = np.arange(50)
    comparison = comparison_of(cohort, everybody, everybody, given=np.ones(50))
    pool = cohort.n_control
    with pytest.raises(DesignError, match=rf"there is none with a known earned: {pool} different people .* in {pool} rows of the pool"):
        assess_prognosis(cohort, comparison, "earned")


def test_a_column_the_cohort_lacks_is_named() -> None:
    cohort = cohort_of(world(rows=50))
    with pytest.raises(InputError, match="income: is neither a covariate nor a stratum"):
        assess_prognosis(cohort, paired(cohort), "income")
    with pytest.raises(InputError, match=r"prognosis covariates: has dayz, which is no covariate; did you mean days\?"):
        assess_prognosis(cohort, paired(cohort), "earned", PrognosisSpec(covariates=("age", "dayz")))


def test_a_past_outcome_among_the_covariates_of_its_own_model_is_refused() -> None:
    cohort = cohort_of(world(rows=50))
    with pytest.raises(InputError, match="earned: is among the covariates of its own model"):
        assess_prognosis(cohort, paired(cohort), "earned", PrognosisSpec(covariates=("age", "earned")))
    alone = cohort_of(world(rows=50), ["earned"])
    with pytest.raises(InputError, match="earned: is the only covariate"):
        assess_prognosis(alone, paired(alone), "earned")


def test_a_past_outcome_must_be_a_number_of_everybody() -> None:
    cohort = cohort_of(world(rows=50))
    with pytest.raises(InputError, match="school: must be a number, to be modelled; 50 of 50 rows do not"):
        assess_prognosis(cohort, paired(cohort), "school")
    holes = world(rows=50)
    holes.loc[3, "earned"] = np.nan
    stratum = cohort_of(holes, COVARIATES[:3], strata=["earned"], missing="category")
    with pytest.raises(InputError, match="earned: must be a number, to be modelled; 1 of 50 rows does not, first at row 4"):
        assess_prognosis(stratum, paired(stratum), "earned")


def test_what_is_the_same_for_all_outside_foretells_nothing_and_cannot_be_foretold() -> None:
    frame = world(rows=60)
    cohort = cohort_of(frame)
    comparison = paired(cohort)
    lost = outside(frame, comparison)
    same = cohort_of(frame.assign(earned=np.where(lost, 5.0, frame["earned"])))
    with pytest.raises(DesignError, match=rf"earned is the same for all {lost.sum()} outside the match"):
        assess_prognosis(same, comparison, "earned")
    alike = cohort_of(frame.assign(age=np.where(lost, 30.0, frame["age"])), ["age", "earned"])
    with pytest.raises(DesignError, match=rf"every covariate is the same for all {lost.sum()} outside the match"):
        assess_prognosis(alike, comparison, "earned")


def test_the_score_cannot_be_changed() -> None:
    cohort = cohort_of(world(rows=50))
    found = assess_prognosis(cohort, paired(cohort), "earned")
    with pytest.raises(ValueError, match="read-only"):
        found.score[0] = 1.0
