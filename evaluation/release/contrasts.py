"""How do two arms' shares and their difference leave together?

What is set against each other is shown on both sides or on neither: with the difference, one side gives the other. Parts of a whole pass together
with all that they add up to; comparisons of people of their own pass each by itself.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluation.analysis.curves import ARMS
from evaluation.analysis.means import Contrast
from evaluation.release.counts import Counts
from evaluation.release.magnitudes import coarseness, release_gap, release_mean, strongest_pull
from evaluation.release.released import (
    SEAL,
    ReleasedCounts,
    ReleasedNumber,
    check_seal,
    release_contrast,
    release_counts,
    release_estimate,
    release_share,
)
from evaluation.release.rules import ReleaseRules, count_of, round_share

Wholes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class ReleasedContrast:
    """A share or a mean in either arm, and how they differ.

    Attributes
    ----------
    treated, control, difference : ReleasedNumber
        All withheld, or none.
    people : tuple of (int or None)
        Rounded people of either arm; None is hidden.
    seal : object
        What only the gate has; nothing without it is let onto a page.
    """

    treated: ReleasedNumber
    control: ReleasedNumber
    difference: ReleasedNumber
    people: tuple[int | None, int | None]
    seal: object = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_seal(self, self.seal)

    @property
    def hidden(self) -> bool:
        """Whether it is withheld."""
        return self.difference.value is None


def contrast_through(contrast: Contrast, counts: ReleasedCounts, having: tuple[str, str], people: tuple[str, str]) -> ReleasedContrast:
    """Let a contrast of shares through beside counts that have passed.

    Parameters
    ----------
    contrast : Contrast
    counts : ReleasedCounts
    having, people : (str, str)
        Cells of either arm: those who have it, and the people it is a share of.

    Returns
    -------
    ReleasedContrast
    """
    sides = [release_estimate(side, counts, *cells) for side, *cells in zip((contrast.treated, contrast.control), having, people, strict=True)]
    difference = release_contrast(sides[0], sides[1], contrast.difference, counts, people)
    shown = (counts.shown[people[0]], counts.shown[people[1]])
    if difference.value is None:
        return withheld_contrast(shown)
    return ReleasedContrast(sides[0], sides[1], difference, shown, seal=SEAL)


def withheld_contrast(people: tuple[int | None, int | None] = (None, None)) -> ReleasedContrast:
    """Give a contrast of which nothing is shown but how many people it rests on, as they are shown."""
    share = ReleasedNumber("share", None, seal=SEAL)
    return ReleasedContrast(share, share, ReleasedNumber("points", None, seal=SEAL), people, seal=SEAL)


def release_shares(contrasts: Mapping[str, Contrast], rules: ReleaseRules) -> dict[str, ReleasedContrast]:
    """Let contrasts of shares through, each with the people it rests on.

    Parameters
    ----------
    contrasts : mapping of str to Contrast
    rules : ReleaseRules

    Returns
    -------
    dict of str to ReleasedContrast
        Withheld where either arm has few people, or few of them with or without.
    """
    cells: dict[str, int] = {}
    having = []
    for name, contrast in contrasts.items():
        for arm, side in zip(ARMS, (contrast.treated, contrast.control), strict=True):
            people, have = f"{arm}, {name}", f"{arm}, {name}, having"
            cells |= {people: side.n, have: count_of(side.value, side.n, rules)}
            having.append((people, have))
    counts = release_counts(Counts(cells, having=tuple(having)), rules).released
    names = {name: tuple(f"{arm}, {name}" for arm in ARMS) for name in contrasts}
    return {
        name: contrast_through(contrast, counts, (f"{names[name][0]}, having", f"{names[name][1]}, having"), (names[name][0], names[name][1]))
        for name, contrast in contrasts.items()
    }


def means_through(contrast: Contrast, counts: ReleasedCounts, people: tuple[str, str]) -> ReleasedContrast:
    """Let a contrast of means through beside counts that have passed: both sides in the same steps, and the difference of the rounded ones.

    Parameters
    ----------
    contrast : Contrast
    counts : ReleasedCounts
    people : (str, str)
        Cells with the people of either arm.

    Returns
    -------
    ReleasedContrast
    """
    step = coarseness(strongest_pull(contrast.treated, contrast.control), counts.rules)
    treated, control = (release_mean(one, counts, people, step=step) for one in (contrast.treated, contrast.control))
    shown = (counts.shown[people[0]], counts.shown[people[1]])
    if treated.value is None or control.value is None:
        return withheld_contrast(shown)
    return ReleasedContrast(treated, control, release_gap(treated, control, contrast.difference, counts.rules, step), shown, seal=SEAL)


def release_means(contrasts: Mapping[str, Contrast], rules: ReleaseRules) -> dict[str, ReleasedContrast]:
    """Let contrasts of means through, withheld where either arm is of few people.

    Parameters
    ----------
    contrasts : mapping of str to Contrast
    rules : ReleaseRules

    Returns
    -------
    dict of str to ReleasedContrast
    """
    sides = {name: dict(zip(ARMS, (contrast.treated, contrast.control), strict=True)) for name, contrast in contrasts.items()}
    counts = release_counts(Counts({f"{arm}, {name}": side.n for name, arms in sides.items() for arm, side in arms.items()}), rules).released
    found = {}
    for name, contrast in contrasts.items():
        cells = [f"{arm}, {name}" for arm in ARMS]
        found[name] = means_through(contrast, counts, (cells[0], cells[1]))
    return found


def release_parts(
    parts: Mapping[str, Contrast], rules: ReleaseRules, wholes: Mapping[str, Contrast] | None = None, of: Wholes | None = None
) -> dict[str, ReleasedContrast]:
    """Let parts of a whole through together with what they add up to, so that those shown do not give the others away.

    Parameters
    ----------
    parts : mapping of str to Contrast
        Shares of the same people, of whom each is in one part at most.
    rules : ReleaseRules
    wholes : mapping of str to Contrast, optional
        Shares that are sums of parts.
    of : mapping of str to tuple of str, optional
        By whole: its parts.

    Returns
    -------
    dict of str to ReleasedContrast
        Parts and wholes; each withheld in both arms or in neither.
    """
    counts, every = _counts_of_parts(parts, rules, of or {}), {**parts, **(wholes or {})}
    return {
        name: contrast_through(contrast, counts, (f"treated, {name}", f"control, {name}"), ("treated", "control")) for name, contrast in every.items()
    }


def release_levels(parts: Mapping[str, Contrast], rules: ReleaseRules) -> dict[str, tuple[float, float] | None]:
    """Let the levels of parts of a whole through, as `release_parts` does, where nobody asks how sure they are.

    Parameters
    ----------
    parts : mapping of str to Contrast
    rules : ReleaseRules

    Returns
    -------
    dict of str to (float, float) or None
        Treated and control; None where they are withheld.
    """
    counts = _counts_of_parts(parts, rules, {})
    found: dict[str, tuple[float, float] | None] = {}
    for name, contrast in parts.items():
        known = all(release_share(counts, f"{arm}, {name}", arm).value is not None for arm in ARMS)
        sides = zip(ARMS, (contrast.treated, contrast.control), strict=True)
        levels = [round_share(side.value, counts.shown[arm] or 1, rules) for arm, side in sides]
        found[name] = (levels[0], levels[1]) if known else None
    return found


def _counts_of_parts(parts: Mapping[str, Contrast], rules: ReleaseRules, of: Wholes) -> ReleasedCounts:
    cells: dict[str, int] = {}
    sums, having, nobody = [], [], []
    for arm in ARMS if parts else ():
        sides = {name: contrast.treated if arm == "treated" else contrast.control for name, contrast in parts.items()}
        people = next(iter(sides.values())).n
        counted = dict(zip(sides, whole_numbers(np.array([side.value for side in sides.values()]) * people, people).tolist(), strict=True))
        rest = people - sum(counted.values())
        mine = {**counted, **{whole: sum(counted[name] for name in names) for whole, names in of.items()}}
        cells |= {arm: people, f"{arm} in none": rest, **{f"{arm}, {name}": count for name, count in mine.items()}}
        sums.append((arm, (*(f"{arm}, {name}" for name in parts), f"{arm} in none")))
        sums += [(f"{arm}, {whole}", tuple(f"{arm}, {name}" for name in names)) for whole, names in of.items()]
        having += [(arm, f"{arm}, {name}") for name in mine]
        nobody += [f"{arm} in none"] if rest == 0 else []
    return release_counts(Counts(cells, tuple(sums), tuple(having), impossible=frozenset(nobody)), rules).released


def whole_numbers(amounts: NDArray[np.float64], people: int) -> NDArray[np.int64]:
    """Round amounts so that they add up to their rounded sum, at most to all the people: the largest fractions are rounded up."""
    amounts = np.maximum(np.round(amounts, 9), 0.0)  # what is nearer to a whole number was one before it was weighted
    floors = np.floor(amounts).astype(np.int64)
    missing = min(int(np.floor(amounts.sum() + 0.5)), people) - int(floors.sum())
    floors[np.argsort(floors - amounts, kind="stable")[: max(missing, 0)]] += 1
    return floors
