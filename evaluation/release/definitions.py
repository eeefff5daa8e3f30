"""Whose success by one definition is success by another too?

By the states of the employment service every definition looks at the same days. Who goes to unsubsidised work, or to regular studies, has left by the
project's words as well, on that day or before it for a subsidised job; and nobody does both, for each is another way out in the other's definition.
Unsubsidised work counts in the strict definition also after a subsidised job, which is no exit there: so it holds those of the project's definition
whose first way out it was. Pay and the register of studies tell of other days, so success by them lies within no other and no other within it; but
who can be followed by them can be followed by all.
"""

from __future__ import annotations

from collections.abc import Iterable

from evaluation.analysis.exits import Definition
from evaluation.release.nested import Cell, Within, neighbours

FOLLOWED = (
    "independent",
    "studies",
    "project",
    "strict",
)  # who can be followed by one can be by the next: pay begins late, and a job is no exit in all
TO_WORK, TO_STUDIES = "unsubsidised work, first exit", "regular studies, first exit"  # kinds of exit by the study's own definition


def within_definitions(own: Definition, others: Iterable[str]) -> tuple[Within, ...]:
    """Say what lies within what, of success by each definition and of the kinds of exit by the study's own.

    Parameters
    ----------
    own : {"strict", "project", "studies", "independent"}
        The study's own.
    others : iterable of str
        The other definitions of the table.

    Returns
    -------
    tuple of Within
        Lines by the name of the definition, and `TO_WORK` and `TO_STUDIES`.
    """
    whole = Cell("project")
    found = [Within(whole, (Cell("strict"),)), Within(whole, (Cell("studies"),)), Within(whole, (Cell("strict"), Cell("studies")))]
    if own == "strict":  # studies are its other way out; a subsidised job before them is none
        found += [Within(Cell(TO_STUDIES), (Cell("studies"),)), Within(whole, (Cell("strict"), Cell(TO_STUDIES)))]
    elif own != "independent":
        found.append(Within(Cell("strict"), (Cell(TO_WORK),)))
    return *found, *neighbours([name for name in FOLLOWED if name == own or name in others], "people")
