"""The largest choice of people of each profile, held to a search through every choice."""

from itertools import product

import numpy as np
import pytest
from scipy import sparse

from evaluation.design import integer_programme
from evaluation.design.integer_programme import Programme, largest_choice, smallest_widening, stacked

ROUNDING = 1e-6  # what the solver allows a constraint to be missed by
SEEDS = range(12)


def programme_of(seed: int, *, tolerance: float, equal: bool = False) -> Programme:
    """Draw a programme of four profiles with one to three people each and two covariates."""
    rng = np.random.default_rng(seed)
    profiles = 4
    rows = sparse.csr_array(np.array([[1.0, -1.0, 0.0, 0.0]]) if equal else np.zeros((0, profiles)))
    return Programme(
        available=rng.integers(1, 4, profiles).astype(float),
        size=np.ones(profiles),
        gap=rng.normal(size=(2, profiles)),
        tolerance=np.full(2, tolerance),
        equal=rows,
        step=1,
    )


def is_feasible(programme: Programme, counts: np.ndarray, wider: float = 0.0) -> bool:
    size = programme.size @ counts
    near = np.abs(programme.gap @ counts) <= (programme.tolerance + wider) * size + ROUNDING
    return bool(size >= 1 and near.all() and (np.abs(programme.equal @ counts) < ROUNDING).all())


def choices(programme: Programme) -> list[np.ndarray]:
    return [np.array(counts) for counts in product(*(range(int(most) + 1) for most in programme.available))]


@pytest.mark.property
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("tolerance", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_choice_is_larger_and_none_is_given_where_there_is_none(seed: int, tolerance: float, equal: bool) -> None:
    programme = programme_of(seed, tolerance=tolerance, equal=equal)
    sizes = [programme.kept(counts) for counts in choices(programme) if is_feasible(programme, counts)]
    found = largest_choice(programme, gap=0.0)
    assert found.proven
    assert found.size == max(sizes, default=0) <= found.bound
    assert (found.counts is None) == (not sizes)
    if found.counts is not None:
        assert is_feasible(programme, found.counts)
        assert (found.counts <= programme.available).all()
        assert programme.kept(found.counts) == found.size


@pytest.mark.property
@pytest.mark.parametrize("seed", SEEDS)
def test_below_the_smallest_widening_no_choice_of_people_is_balanced(seed: int) -> None:
    programme = programme_of(seed, tolerance=0.0)
    needed = smallest_widening(programme)
    assert needed is not None
    assert not any(is_feasible(programme, counts, 0.99 * needed - 2 * ROUNDING) for counts in choices(programme))


@pytest.mark.hand
def test_what_must_be_equal_and_cannot_be_helps_no_widening() -> None:
    never = sparse.csr_array(np.ones((1, 2)))  # the two counts must sum to zero, and somebody must be chosen
    programme = Programme(np.ones(2), np.ones(2), np.zeros((1, 2)), np.ones(1), never, 1)
    assert largest_choice(programme, gap=0.0).counts is None
    assert smallest_widening(programme) is None


@pytest.mark.hand
def test_a_size_is_a_multiple_of_the_step() -> None:
    thirds = stacked([np.array([[1.0, -2.0]])])  # two of the first for each of the second
    programme = Programme(np.array([7.0, 9.0]), np.ones(2), np.zeros((1, 2)), np.ones(1), thirds, 3)
    found = largest_choice(programme, gap=0.0)
    assert found.counts is not None
    assert found.counts.tolist() == [6, 3]


@pytest.mark.hand
def test_a_solver_that_stops_says_what_it_has_and_what_is_possible_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_programme, "_SET_FREE", ())
    monkeypatch.setattr(integer_programme, "_MOST_WORK", 0)  # one node only
    people = np.random.default_rng(0).normal(size=(90, 4)).T
    gap = people[:, 30:] - people[:, :30].mean(axis=1, keepdims=True) - 0.4
    programme = Programme(np.ones(60), np.ones(60), gap, np.full(4, 0.02), sparse.csr_array(np.zeros((0, 60))), 1)
    found = largest_choice(programme, gap=0.001)
    assert not found.proven
    assert 0 <= found.size < found.bound <= 60
    assert largest_choice(programme, gap=0.9).proven
