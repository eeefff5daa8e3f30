"""Which counts are to be released, and which sums tie them together?

Cells are named, and the same name in two tables is the same count of the same people: that is how tables that share cells, nested populations and
earlier releases are seen as one. A share is a pair of counts, people and those of them who have something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evaluation.errors import InputError, Problem

WHOLE = "all"  # the level of a margin


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


def crossed_counts(population: str, counts: Mapping[tuple[str, ...], int], impossible: Sequence[tuple[str, ...]] = ()) -> Counts:
    """Give the counts of a crossing of one or more breakdowns together with every margin of it.

    Parameters
    ----------
    population : str
        Who is counted; it begins the name of every cell.
    counts : mapping of tuple of str to int
        People by their levels, one per breakdown. A combination that is left out holds nobody.
    impossible : sequence of tuple of str
        Combinations that can hold nobody.

    Returns
    -------
    Counts
        Cells named as `cell_name` does, with "all" for the levels together.
    """
    axes = [list(dict.fromkeys(key[axis] for key in counts)) for axis in range(len(next(iter(counts))))]
    keys: list[tuple[str, ...]] = [()]
    for levels in axes:
        keys = [(*key, level) for key in keys for level in [*levels, WHOLE]]
    cells = {key: sum(count for inner, count in counts.items() if _within(inner, key)) for key in keys}
    sums = []
    for axis, levels in enumerate(axes):
        for key in keys:
            if key[axis] == WHOLE and len(levels) > 1:
                parts = tuple(cell_name(population, *key[:axis], level, *key[axis + 1 :]) for level in levels)
                sums.append((cell_name(population, *key), parts))
    nobody = frozenset(cell_name(population, *key) for key in impossible)
    return Counts({cell_name(population, *key): count for key, count in cells.items()}, tuple(sums), impossible=nobody)


def cell_name(population: str, *levels: str) -> str:
    """Name a cell by its population and levels, such as "participants: woman, all"."""
    return f"{population}: {', '.join(levels)}" if levels else population


def _within(key: tuple[str, ...], margin: tuple[str, ...]) -> bool:
    return all(level in (own, WHOLE) for own, level in zip(key, margin, strict=True))


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
