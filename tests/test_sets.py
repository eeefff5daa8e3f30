"""A match that was made elsewhere: every layout its maker exports gives the comparison that person and set would give."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from evaluation.design.cohort import cohort_from_table
from evaluation.design.comparison import Comparison
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import InputError

PEOPLE = pd.DataFrame({"person": [f"p{number}" for number in range(8)], "t": [1, 1, 1, 0, 0, 0, 0, 0], "age": range(20, 28)})
COHORT = cohort_from_table(PEOPLE, treated="t", covariates=["age"], person="person")
SETS = pd.DataFrame({"person": ["p0", "p3", "p4", "p1", "p5", "p2", "p6"], "set": [1, 1, 1, 2, 2, 3, 3]})
UNMATCHED = pd.DataFrame({"person": ["p7"], "set": [np.nan]})


def as_match_data(sets: pd.DataFrame) -> pd.DataFrame:
    """MatchIt's match.data: the data with distance, weights and subclass, people as row names."""
    table = sets.merge(PEOPLE, on="person").rename(columns={"set": "subclass"}).assign(distance=0.5, weights=1.0)
    return table.set_index("person")


def as_get_matches(sets: pd.DataFrame) -> pd.DataFrame:
    """MatchIt's get_matches: id, subclass and weights before the data."""
    table = as_match_data(sets).reset_index(names="id")
    return table[["id", "subclass", "weights", "age", "t"]]


def as_pairs(sets: pd.DataFrame) -> pd.DataFrame:
    """The `pairs` of cohortmatch: a row for each pair, grouped by the treated person."""
    treated = sets["person"].isin(PEOPLE.loc[PEOPLE["t"] == 1, "person"])
    of = sets[treated].set_index("set")["person"]
    pairs = sets[~treated].assign(treatment_id=lambda frame: frame["set"].map(of), distance=np.nan)
    return pairs.rename(columns={"person": "control_id"})[["treatment_id", "control_id", "distance"]].assign(match_group=lambda p: p["treatment_id"])


def as_groups(sets: pd.DataFrame) -> dict[object, list[object]]:
    """The `match_groups` of cohortmatch's results: each treated person's controls."""
    return {treated: group["control_id"].tolist() for treated, group in as_pairs(sets).groupby("treatment_id")}


def as_read_from_a_file(sets: pd.DataFrame) -> pd.DataFrame:
    """R's write.csv as pandas reads it: row names in a column without a name."""
    return as_match_data(sets).reset_index(names="Unnamed: 0")


LAYOUTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame | pd.Series | dict[object, list[object]]]] = {
    "match.data": as_match_data,
    "match.data with those unmatched": lambda sets: as_match_data(pd.concat([sets, UNMATCHED])),
    "match.data from a file": as_read_from_a_file,
    "get_matches": as_get_matches,
    "pairs": as_pairs,
    "pairs without groups": lambda sets: as_pairs(sets).drop(columns="match_group"),
    "groups": as_groups,
    "a series": lambda sets: pd.concat([sets, UNMATCHED]).set_index("person")["set"],
}


def same(one: Comparison, other: Comparison) -> bool:
    names = ("weights", "member_row", "member_set", "member_weight", "rows", "unmatched")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.hand
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_gives_the_same_comparison(layout: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    found = comparison_from_sets(COHORT, layout(SETS.sample(frac=1, random_state=2)))
    assert found.weights.tolist() == [1, 1, 1, 0.5, 0.5, 1, 1, 0]
    assert same(found, comparison_from_sets(COHORT, SETS))


@pytest.mark.hand
def test_a_control_who_stands_for_several_comes_as_a_row_of_get_matches_for_each() -> None:
    sets = pd.DataFrame({"person": ["p0", "p3", "p1", "p3", "p2", "p4"], "set": [1, 1, 2, 2, 3, 3]})
    assert comparison_from_sets(COHORT, as_get_matches(sets)).weights.tolist() == [1, 1, 1, 2, 1, 0, 0, 0]


@pytest.mark.hand
def test_pairs_grouped_by_their_control_are_one_set() -> None:
    """Two treated beside one control, as cohortmatch groups them when controls are the anchors."""
    pairs = pd.DataFrame({"treatment_id": ["p0", "p1", "p2"], "control_id": ["p3", "p3", "p4"], "match_group": ["p3", "p3", "p4"]})
    found = comparison_from_sets(COHORT, pairs)
    assert found.n_sets == 2
    assert found.weights.tolist() == [1, 1, 1, 2, 1, 0, 0, 0]


def test_weights_without_sets_are_refused_with_what_to_export() -> None:
    """MatchIt's match.data after matching with replacement: who stands for whom is not in it."""
    with pytest.raises(InputError, match=r"set: is not a column, only weights are; export get_matches\(\)"):
        comparison_from_sets(COHORT, as_match_data(SETS).drop(columns="subclass"))


def test_row_numbers_are_not_taken_for_people() -> None:
    with pytest.raises(InputError, match="person: is not a column of the table of sets"):
        comparison_from_sets(COHORT, SETS[["set"]])


def test_a_missing_set_is_an_error_where_it_does_not_mean_unmatched() -> None:
    with pytest.raises(InputError, match="set: must not be missing; 1 of 8 rows does not, first at row 8"):
        comparison_from_sets(COHORT, pd.concat([SETS, UNMATCHED]))
