"""What may be shown of few people: the cases just below, at and above the threshold."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.reporting.disclosure import HIDDEN, Gate

TEN = Gate(10)


@pytest.mark.hand
@pytest.mark.parametrize(("count", "text"), [(0, "0"), (1, "<10"), (9, "<10"), (10, "10"), (11, "11")])
def test_a_count_from_one_to_just_below_the_threshold_is_hidden(count: int, text: str) -> None:
    assert TEN.count(count, str) == text


@pytest.mark.hand
@pytest.mark.parametrize(
    ("share", "people", "shown"),
    [
        (9 / 100, 100, False),  # 9 have it
        (10 / 100, 100, True),  # 10 have it
        (91 / 100, 100, False),  # 9 lack it
        (90 / 100, 100, True),  # 10 lack it
        (0.0, 100, True),  # nobody is not few
        (1.0, 100, True),
        (0.5, 9, False),  # 9 people in all
        (10 / 19, 19, False),  # 9 lack it
        (0.5, 20, True),
    ],
)
def test_a_share_is_hidden_where_few_have_or_few_lack_what_it_counts(share: float, people: int, shown: bool) -> None:
    assert TEN.share(share, people, "{:.2f}".format) == (f"{share:.2f}" if shown else HIDDEN)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("people", "events", "hidden"),
    [(9, 0, True), (30, 9, True), (30, 21, True), (30, 10, False), (30, 0, False), (30, 30, False)],
    ids=["few people", "few with", "few without", "enough", "nobody with", "nobody without"],
)
def test_what_rests_on_all_outcomes_is_hidden_where_few_have_or_few_lack_them(people: int, events: int, hidden: bool) -> None:
    assert Gate(10).hides_outcome(people, events) == hidden
    assert not Gate(0).hides_outcome(people, events)


@pytest.mark.hand
@pytest.mark.parametrize("people", [1, 2, 1_000])
def test_threshold_zero_shows_all(people: int) -> None:
    assert Gate(0).count(1, str) == "1"
    assert Gate(0).share(1 / people, people, str) == str(1 / people)


def test_what_is_hidden_is_never_written() -> None:
    def refuse(_: float) -> str:
        raise AssertionError("a hidden number was written")

    assert TEN.count(3, refuse) == "<10"
    assert TEN.share(0.03, 100, refuse) == HIDDEN


@pytest.mark.property
@given(have=st.integers(0, 500), lack=st.integers(0, 500), threshold=st.integers(0, 100))
def test_a_share_that_is_shown_comes_of_no_small_count(have: int, lack: int, threshold: int) -> None:
    gate, people = Gate(threshold), have + lack
    if people and gate.share(have / people, people, str) != HIDDEN:
        assert not {have, lack, people} & set(range(1, threshold))


@pytest.mark.property
@given(left_out=st.lists(st.integers(0, 30), min_size=0, max_size=8), last=st.integers(0, 200), threshold=st.integers(0, 15))
def test_no_two_counts_that_are_shown_differ_by_few(left_out: list[int], last: int, threshold: int) -> None:
    counts = [last + sum(left_out[step:]) for step in range(len(left_out) + 1)]
    hidden = Gate(threshold).hides_steps(counts)
    shown = [count for count, hide in zip(counts, hidden, strict=True) if not hide]
    assert not hidden[-1]
    assert all(before == after or before - after >= threshold for before, after in pairwise(shown))
    assert threshold > 1 or not hidden.any()


@pytest.mark.property
@given(
    parts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), min_size=1, max_size=7),
    rest=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    threshold=st.integers(0, 15),
)
def test_the_hidden_parts_of_a_whole_are_together_never_few(parts: list[tuple[int, int]], rest: tuple[int, int], threshold: int) -> None:
    counts = np.array(parts, dtype=float)
    people = (counts.sum(axis=0) + rest).astype(int).tolist()
    gate = Gate(threshold)
    hidden = gate.hides_parts(counts / people, people)
    together = counts[hidden].sum(axis=0)
    assert all(gate.hides(people[arm]) or not gate.hides(together[arm]) or hidden[counts.any(axis=1)].all() for arm in range(2))
    few = [any(gate.hides_share(count / of, of) for count, of in zip(row, people, strict=True)) for row in counts]
    assert all(hide for hide, is_few in zip(hidden, few, strict=True) if is_few)
    assert any(few) or not hidden.any()


@pytest.mark.hand
def test_beside_one_part_of_few_the_smallest_other_is_hidden() -> None:
    assert Gate(10).hides_parts(np.array([[0.5], [0.03], [0.2], [0.27]]), [100]).tolist() == [False, True, True, False]  # 3 of 100, and 20
    assert Gate(10).hides_parts(np.array([[0.5], [0.0], [0.2], [0.3]]), [100]).tolist() == [False] * 4  # nobody is not few
