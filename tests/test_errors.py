"""What an error says: where, which rule, how many and where first, what to do; and nothing about anybody."""

import inspect

import numpy as np
import pytest

from evaluation import errors
from evaluation.errors import DesignError, EvaluationError, InputError, Problem, SeparationError, UnmatchedWarning

AGE = Problem.in_rows("people.age", "must be between 16 and 70", np.array([False, True, False, True]), "correct them")
NAMED = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}


@pytest.mark.hand
def test_a_problem_counts_its_rows_from_one() -> None:
    assert (AGE.count, AGE.of, AGE.first_row) == (2, 4, 2)
    assert str(AGE) == "people.age: must be between 16 and 70; 2 of 4 rows do not, first at row 2; correct them"


@pytest.mark.hand
def test_one_row_does_and_two_rows_do() -> None:
    assert "; 1 of 3 rows does not, first at row 3; " in str(Problem.in_rows("age", "must be whole", np.array([False, False, True]), "round it"))


@pytest.mark.hand
def test_a_problem_that_is_not_in_rows_counts_none() -> None:
    assert str(Problem("the table", "has no rows", "check the file")) == "the table: has no rows; check the file"


@pytest.mark.hand
def test_an_input_error_lists_every_problem_under_its_heading() -> None:
    error = InputError([AGE, Problem("sex", "is not a column", "add it")], "the cohort cannot be made")
    assert error.problems == (AGE, Problem("sex", "is not a column", "add it"))
    assert str(error).splitlines() == [
        "the cohort cannot be made (2 problems):",
        "  1. people.age: must be between 16 and 70; 2 of 4 rows do not, first at row 2; correct them",
        "  2. sex: is not a column; add it",
    ]


@pytest.mark.hand
def test_one_problem_is_not_problems() -> None:
    assert str(InputError([AGE])).startswith("the data cannot be used as they are (1 problem):\n")


def test_whoever_catches_evaluation_error_catches_every_error() -> None:
    assert all(issubclass(kind, EvaluationError) for kind in NAMED.values() if not issubclass(kind, Warning))


def test_a_separation_is_an_error_of_the_design_and_of_the_data() -> None:
    assert issubclass(SeparationError, DesignError)
    assert issubclass(SeparationError, InputError)


def test_losing_people_is_a_warning_not_an_error() -> None:
    assert issubclass(UnmatchedWarning, UserWarning)


@pytest.mark.parametrize("name", [name for name in NAMED if name != "EvaluationError"])
def test_the_tree_in_the_docstring_shows_every_class_under_its_parent(name: str) -> None:
    """The indentation of the drawing is the inheritance: the nearest line above that stands further left is a parent."""
    lines = errors.__doc__.splitlines()
    place = next(number for number, line in enumerate(lines) if name in line)
    if issubclass(NAMED[name], Warning):
        return
    parent = next(line for line in reversed(lines[:place]) if line.strip() and _depth(line) < _depth(lines[place]))
    assert NAMED[parent.strip(" │├└─").split()[0]] in NAMED[name].__mro__[1:]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" │├└─"))
