"""Which counts are to be released, and which sums tie them together?

Cells are named, and the same name in two tables is the same count of the same people: that is how tables that share cells, nested populations and
earlier releases are seen as one. A share is a pair of counts, people and those of them who have something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evaluation.errors import InputError, Problem


@dataclass(frozen=True, eq=False)
class Counts:
    """Exact counts with what is known to hold between them; never to be released themselves.

    Attributes
    ----------
    cells : mapping of str to int
        People, by name of the cell.
    sums : tuple of (str, tuple of str)
        A whole and the parts that make it up.
    having : tuple of (str, str)
        People, and those of them who have something; the others are not a cell, but can be worked out.
    nested : tuple of (str, str)
        A population and one within it, such as two steps of the way from registered to compared. Both may be the same people.
    impossible : frozenset of str
        Cells that can hold nobody, whose 0 says nothing.
    """

    cells: Mapping[str, int]
    sums: tuple[tuple[str, tuple[str, ...]], ...] = ()
    having: tuple[tuple[str, str], ...] = ()
    nested: tuple[tuple[str, str], ...] = ()
    impossible: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise InputError(problems, "the counts cannot be released as they are")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Larger and smaller of every pair of which one lies within the other and their difference is no cell."""
        return (*self.having, *self.nested)


def join_counts(*tables: Counts) -> Counts:
    """Put tables together that are released together; cells of the same name are one cell.

    Parameters
    ----------
    *tables : Counts

    Returns
    -------
    Counts

    Raises
    ------
    InputError
        If two tables count a cell differently.
    """
    cells: dict[str, int] = {}
    differing = []
    for table in tables:
        differing += [name for name, count in table.cells.items() if cells.get(name, count) != count]
        cells |= table.cells
    if differing:
        remedy = "give different populations different names"
        raise InputError([Problem(name, "is counted differently in two tables", remedy) for name in dict.fromkeys(differing)])
    return Counts(
        cells,
        tuple(dict.fromkeys(rule for table in tables for rule in table.sums)),
        tuple(dict.fromkeys(pair for table in tables for pair in table.having)),
        tuple(dict.fromkeys(pair for table in tables for pair in table.nested)),
        frozenset().union(*(table.impossible for table in tables)),
    )


def _problems(counts: Counts) -> Iterator[Problem]:
    cells = counts.cells
    named = [*(name for whole, parts in counts.sums for name in (whole, *parts)), *(name for pair in counts.pairs for name in pair)]
    unknown = [name for name in dict.fromkeys([*named, *sorted(counts.impossible)]) if name not in cells]
    yield from (Problem(name, "is no cell", "give its count, or take it out of the sum") for name in unknown)
    yield from (Problem(name, "counts fewer than nobody", "correct the count") for name, count in cells.items() if count < 0)
    yield from (Problem(name, "counts somebody where nobody can be", "take it out of `impossible`") for name in counts.impossible if cells.get(name))
    if unknown:
        return
    for whole, parts in counts.sums:
        if cells[whole] != sum(cells[part] for part in parts):
            yield Problem(whole, f"is not the sum of its {len(parts)} parts", "give every part, those of whom nothing is known among them")
    for larger, smaller in counts.pairs:
        if cells[larger] < cells[smaller]:
            yield Problem(smaller, f"counts more than {larger}, in which it lies", "correct the counts, or the order of the pair")
