r"""Which lines of a table must stay away, because beside others they would tell of few?

A table by itself passes line by line. Where the people of one line lie within those of another, or who has one thing has the other too, the two lines
differ by a number of people: those who have one and not the other. Each of these differences is read here as who has the page reads it, of the
rounded counts: where it is certainly of somebody and of few, a line is withheld, never one that stands elsewhere. Rounded counts are read as new
ones, also where they stand as an earlier release showed them: who cannot tell knows less than who takes them for new.

A line that was withheld stays so while few could have brought it away from where it had to be: that it is shown again would tell of them.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from evaluation.analysis.curves import ARMS
from evaluation.analysis.means import Contrast
from evaluation.release.contrasts import ReleasedContrast, withheld_contrast
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import ReleaseRules, bounds_of, count_of, gives_away
from evaluation.release.telling import SIDES, Telling

WHOLE = 1e-6  # of a person, which a sum of equal weights is off


class Cell(NamedTuple):
    """A count of a line: the people it rests on, or those of them who have what it is about."""

    line: str
    part: Literal["people", "having"] = "having"


class Within(NamedTuple):
    """A count and others that lie within it; nobody is in two of those."""

    larger: Cell
    smaller: tuple[Cell, ...]


class Standing(NamedTuple):
    """A line that stands elsewhere on the page and stays as it is."""

    shown: ReleasedContrast
    exact: Contrast | None = None


Lines = Mapping[str, ReleasedContrast]


def nested_shares(
    telling: Telling,
    table: str,
    contrasts: Mapping[str, Contrast],
    within: Sequence[Within],
    *,
    standing: Mapping[str, Standing] | None = None,
    last: Collection[str] = (),
) -> dict[str, ReleasedContrast]:
    r"""Tell shares of which some lie within others, without those that would tell of few beside the others.

    Parameters
    ----------
    telling : Telling
    table : str
        Names them all, the same in every release.
    contrasts : mapping of str to Contrast
        The lines, by name.
    within : sequence of Within
        What lies within what; one that names a line there is not, or does not hold of an arm's exact counts, or is of shares whose people differ by
        the threshold, says nothing.
    standing : mapping of str to Standing, optional
        Lines that stand elsewhere, by a name that none of the others has; where its exact one is left out, theirs
        say whether an arm is weighted.
    last : collection of str
        Lines to be withheld only where no other will do.

    Returns
    -------
    dict of str to ReleasedContrast
        As `contrasts`. Of a line withheld here the people are shown where it was not they who told of few.

    Notes
    -----
    With :math:`l(n)` and :math:`h(n)` the least and the most a rounded count n can be, a difference lies from :math:`l(N) - \sum h(n_i)` to
    :math:`h(N) - \sum l(n_i)`. A line goes where that is certainly of few, or of fewer than nobody, which a count that stands as it was can bring
    about; and, if it was withheld before, where :math:`|N - \sum n_i| < 2t + b - 1`.
    """
    if telling.rules.exact or not within:
        return telling.shares(table, contrasts)
    fixed, kept, gone = standing or {}, dict(contrasts), dict[str, ReleasedContrast]()
    exact = {**contrasts, **{name: one.exact for name, one in fixed.items() if one.exact is not None}}
    while True:
        shown = Telling(telling.rules, telling.earlier).shares(table, kept)
        seen = {**{name: one.shown for name, one in fixed.items()}, **gone, **shown}
        chosen = next((cell for one in within if _offends(one, exact, seen, table, telling) for cell in _free(one, seen, fixed, last)), None)
        if chosen is None:
            break
        kept.pop(chosen.line, None)
        gone[chosen.line] = withheld_contrast(seen[chosen.line].people if chosen.part == "having" else (None, None))
    found = telling.shares(table, kept) | gone
    for name, one in gone.items():
        _enter(telling, f"{table}: {name}", one)
    return {name: found[name] for name in contrasts}


def neighbours(lines: Sequence[str], part: Literal["people", "having"] = "having") -> tuple[Within, ...]:
    """Say that each of several lines lies within every later one."""
    return tuple(Within(Cell(larger, part), (Cell(smaller, part),)) for place, larger in enumerate(lines) for smaller in lines[:place])


def _offends(one: Within, exact: Mapping[str, Contrast], seen: Lines, table: str, telling: Telling) -> bool:
    """Say whether what lies between a count and those within it must not be seen, in either arm."""
    cells, rules = (one.larger, *one.smaller), telling.rules
    if any(cell.line not in seen for cell in cells):
        return False
    back = any(_withheld_before(cell, table, telling) for cell in cells)
    for side in range(len(ARMS)):
        larger, *smaller = (_shown(seen[cell.line], cell, side) for cell in cells)
        inside = [count for count in smaller if count is not None]
        if larger is None or len(inside) < len(smaller) or not _holds(one, exact, side, rules):
            continue
        most, least = bounds_of(larger, rules), [bounds_of(count, rules) for count in inside]
        low, high = most.low - sum(bound.high for bound in least), most.high - sum(bound.low for bound in least)
        if high < 0 or gives_away(low, high, rules) or (back and abs(larger - sum(inside)) < rules.threshold + telling.few):
            return True
    return False


def _free(one: Within, seen: Lines, fixed: Mapping[str, Standing], last: Collection[str]) -> Iterator[Cell]:
    """Give the counts that may go, the one to go first first."""
    cells = [cell for cell in (*one.smaller, one.larger) if cell.line not in fixed and cell.line in seen]
    yield from sorted(cells, key=lambda cell: cell.line in last)


def _shown(one: ReleasedContrast, cell: Cell, side: int) -> int | None:
    """Read a rounded count of an arm, as who has the page does."""
    people, share = one.people[side], (one.treated, one.control)[side].value
    if people is None or cell.part == "people":
        return people
    return None if share is None else round(share * people)


def _counted(one: Contrast, cell: Cell, side: int, rules: ReleaseRules) -> int:
    share = (one.treated, one.control)[side]
    return share.n if cell.part == "people" else count_of(share.value, share.n, rules)


def _holds(one: Within, exact: Mapping[str, Contrast], side: int, rules: ReleaseRules) -> bool:
    """Say whether an arm's exact counts lie within each other; people and who has something do only where all of the arm have the same weight."""
    cells = [cell for cell in (one.larger, *one.smaller) if cell.line in exact]
    if len({cell.part for cell in (one.larger, *one.smaller)}) > 1 and not all(_is_count(exact[cell.line], side) for cell in cells):
        return False
    people = [_counted(exact[cell.line], Cell(cell.line, "people"), side, rules) for cell in cells if cell.part == "having"]
    if people and max(people) - min(people) >= rules.threshold:  # shares of other people say nothing of each other
        return False
    if len(cells) <= len(one.smaller):
        return True
    whole, *parts = (_counted(exact[cell.line], cell, side, rules) for cell in cells)
    return sum(parts) <= whole + len(parts)  # each weighted share may be half a person off


def _is_count(one: Contrast, side: int) -> bool:
    """Say whether a share stands for a number of people, as a weighted one does not."""
    share = (one.treated, one.control)[side]
    return abs(share.value * share.n - round(share.value * share.n)) < WHOLE


def _withheld_before(cell: Cell, table: str, telling: Telling) -> bool:
    """Say whether the last release that told of a count's line withheld it, and for the sake of that count."""
    name = f"{table}: {cell.line}"
    release = next((one for one in reversed(telling.earlier) if f"{name}, {SIDES[-1]}" in one), None)
    if release is None or release[f"{name}, {SIDES[-1]}"].value is not None:
        return False
    counted = all(release[f"{name}, {arm}, people"].value is not None for arm in ARMS)
    return counted == (cell.part == "having")


def _enter(telling: Telling, name: str, one: ReleasedContrast) -> None:
    """Enter a withheld line, so that the next release knows that it was."""
    for side in SIDES:
        telling.number(f"{name}, {side}", getattr(one, side))
    for arm, count in zip(ARMS, one.people, strict=True):
        telling.number(f"{name}, {arm}, people", ReleasedNumber("people", count, seal=SEAL))
