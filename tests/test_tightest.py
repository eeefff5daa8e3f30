"""How narrow the caliper may be: by hand, and against a maximum matching at every distance there is."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.special import expit

from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.matching import match_cohort
from evaluation.design.optimal import OptimalSpec
from evaluation.design.propensity import Overlap, PropensityScores
from evaluation.design.tightest import tightest_caliper
from evaluation.errors import InputError, NobodyMatchedError, UnmatchedWarning

ROUNDED = 1e-14  # relative: a distance and the bound it was found by


def at(positions, spread: float = 1.0) -> PropensityScores:
    logits = np.array(positions, dtype=float)
    return PropensityScores(expit(logits), logits, pd.DataFrame(), auc=0.5, overlap=Overlap(1.0, 0), sd_score=0.125, sd_logit=spread)


def cohort_of(treated, **strata) -> Cohort:
    people = pd.DataFrame({"t": treated, "x": range(len(treated)), **strata})
    return cohort_from_table(people, treated="t", covariates=["x"], strata=list(strata))


def narrowest(cohort: Cohort, position: np.ndarray, stratum: np.ndarray) -> tuple[float, int]:
    """Try every distance there is, from the smallest, until as many are paired as without a caliper."""
    gap = np.abs(position[cohort.treated][:, None] - position[~cohort.treated])
    gap[stratum[cohort.treated][:, None] != stratum[~cohort.treated]] = np.inf

    def paired(caliper: float) -> int:
        return int((maximum_bipartite_matching(csr_array(gap <= caliper), perm_type="column") >= 0).sum())

    finite = np.unique(gap[np.isfinite(gap)])
    most = paired(finite[-1])
    return next((caliper, most) for caliper in finite if paired(caliper) == most)


# By hand
#
#     t0  c0  t1              c1
#     --+---+---+-+---------------+--
#     0   1   1.5               4

DRAWN, PLACES = cohort_of([1, 1, 0, 0]), at([0, 1.5, 1, 4])


@pytest.mark.hand
def test_the_caliper_is_the_longest_step_of_the_best_pairs() -> None:
    found = tightest_caliper(DRAWN, PLACES)
    assert (found.caliper, found.caliper_sd) == (2.5, 2.5)
    assert (found.n_treated, found.n_unpairable, found.n_strata_short) == (2, 0, 0)
    assert tightest_caliper(DRAWN, at([0, 1.5, 1, 4], spread=5.0)).caliper_sd == 0.5


@pytest.mark.hand
def test_the_score_has_its_own_standard_deviation() -> None:
    found = tightest_caliper(DRAWN, PLACES, distance="score")
    assert found.caliper == expit(1) - expit(0)  # the other pair is nearer on this scale
    assert found.caliper_sd == pytest.approx(found.caliper / 0.125)


@pytest.mark.hand
def test_treated_beyond_the_controls_of_their_stratum_are_counted_and_the_others_paired() -> None:
    # in a three treated and one control, in b two and three, in c a treated and nobody, in d nobody and a control
    cohort = cohort_of([1, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0], s=list("aaaabbbbbcd"))
    found = tightest_caliper(cohort, at([0, 1, 2, 2.25, 0, 4, 0, 3, 9, 0, 0]), exact=("s",))
    assert (found.n_treated, found.n_unpairable, found.n_strata_short) == (3, 3, 2)
    assert found.caliper == 1  # of 4 and 3 in b; in a 2 and 2.25 are nearer


@pytest.mark.hand
def test_people_in_one_place_need_no_caliper() -> None:
    found = tightest_caliper(DRAWN, at([3, 3, 3, 3], spread=0.0))
    assert (found.caliper, found.caliper_sd, found.n_treated) == (0, 0, 2)


@pytest.mark.hand
def test_in_a_stack_pairs_are_sought_within_each_trial() -> None:
    people = pd.DataFrame({"person": list("tcducd"), "trial": list("aaabbb"), "t": [1, 0, 0, 1, 0, 0], "x": range(6)})
    cohort = cohort_from_trials(people, treated="t", covariates=["x"], person="person", trial="trial")
    assert tightest_caliper(cohort, at([0, 0.5, 2, 2, 3, 0.5])).caliper == 1


SOMEBODY = st.tuples(st.integers(0, 40), st.sampled_from("aab"))


@pytest.mark.property
@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    treated=st.lists(SOMEBODY, min_size=1, max_size=12),
    control=st.lists(SOMEBODY, min_size=1, max_size=12),
    exact=st.sampled_from([(), ("s",)]),
    unit=st.sampled_from([1 / 64, 0.1, math.pi * 1e-7]),
)
def test_no_smaller_distance_pairs_as_many(treated, control, exact, unit) -> None:
    place, stratum = zip(*treated, *control, strict=True)
    cohort, position = cohort_of([1] * len(treated) + [0] * len(control), s=stratum), np.array(place) * unit - 1.0
    code = cohort.codes(exact)[0]
    if not np.isin(code[cohort.treated], code[~cohort.treated]).any():
        with pytest.raises(NobodyMatchedError, match=r"tightest caliper: no treated person shares a stratum of \(s\)"):
            tightest_caliper(cohort, at(position), exact=exact)
        return
    found = tightest_caliper(cohort, at(position, spread=0.3), exact=exact)
    caliper, most = narrowest(cohort, position, code)
    assert found.n_treated == most
    assert found.n_treated + found.n_unpairable == cohort.n_treated
    assert found.caliper == pytest.approx(caliper, rel=ROUNDED, abs=1e-15)  # positions about 1 are themselves rounded by that


@pytest.mark.property
def test_with_the_tightest_caliper_optimal_pairs_are_as_many_and_with_less_they_are_fewer() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        cohort = cohort_of(rng.permutation([1] * 20 + [0] * 30), s=rng.choice(list("ab"), 50))
        scores = at(rng.normal(size=50), spread=rng.uniform(0.1, 3))
        found = tightest_caliper(cohort, scores, exact=("s",))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnmatchedWarning)
            enough = match_cohort(cohort, scores, OptimalSpec(caliper_sd=found.caliper_sd, exact=("s",)))
            less = match_cohort(cohort, scores, OptimalSpec(caliper_sd=found.caliper_sd * (1 - 1e-9), exact=("s",)))
        assert enough.n_treated == found.n_treated > less.n_treated


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="town: is neither a covariate nor a stratum of the cohort"):
        tightest_caliper(DRAWN, PLACES, exact=("town",))
    with pytest.raises(InputError, match="scores: are of 2 people, the cohort has 4"):
        tightest_caliper(DRAWN, at([0, 1]))
