"""The order in which people are summed over: what the rows say decides, then who they are, and never how they were sorted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.design.order import content_hash, name_hash, ordered

FEW = st.integers(0, 3)  # so few values that many tie


@pytest.mark.property
@given(st.lists(st.tuples(FEW, FEW), min_size=1, max_size=40))
@settings(deadline=None)
def test_ties_of_the_first_stand_in_the_order_of_the_second(pairs: list[tuple[int, int]]) -> None:
    first, then = np.array(pairs).T
    order = ordered(first.astype(float), then.astype(np.uint64))
    assert sorted(order.tolist()) == list(range(len(pairs)))
    assert [pairs[place] for place in order] == sorted(pairs)


@pytest.mark.property
@given(st.permutations(range(6)))
@settings(deadline=None)
def test_a_row_has_the_same_hashes_wherever_it_stands(places: list[int]) -> None:
    people = pd.DataFrame({"age": [30.0, 30.0, 41.0, -0.5, 0.0, 30.0], "sex": pd.Categorical(list("fmfmfm"))})
    treated, ids = np.array([True, False, True, False, True, True]), pd.Index([f"p{place}" for place in range(6)])
    said, named = content_hash(people, treated), name_hash(ids)
    moved = people.take(places).reset_index(drop=True)
    assert content_hash(moved, treated[places]).tolist() == said[places].tolist()
    assert name_hash(ids.take(places)).tolist() == named[places].tolist()


@pytest.mark.hand
def test_what_a_row_says_is_its_side_and_each_covariate() -> None:
    people = pd.DataFrame({"age": [30.0, 30.0, 41.0, 30.0], "sex": pd.Categorical(list("ffmm"))})
    assert len(set(content_hash(people, np.array([True, False, True, True])).tolist())) == 4
    assert len(set(content_hash(people.iloc[[0, 0]], np.array([True, True])).tolist())) == 1


@pytest.mark.hand
def test_the_same_person_has_another_name_in_each_trial() -> None:
    ids, trial = pd.Index(["a", "a", "b", "b"]), pd.Index(["2018-03", "2018-04", "2018-03", "2018-04"])
    assert len(set(name_hash(ids, trial).tolist())) == 4
    assert name_hash(ids)[0] == name_hash(ids)[1]


@pytest.mark.hand
def test_ids_that_are_numbers_or_texts_of_any_storage_have_names() -> None:
    texts = [name_hash(pd.Index(["1", "2"], dtype=kind)).tolist() for kind in ("object", "string", "category")]
    assert texts[0] == texts[1] == texts[2]
    assert len(set(name_hash(pd.Index([1, 2])).tolist())) == 2
