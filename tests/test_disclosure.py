"""What may be shown of few people: the cases just below, at and above the threshold."""

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
