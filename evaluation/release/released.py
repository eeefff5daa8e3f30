"""What has passed the gate, and the only ways through it.

A released thing carries a seal that only this floor has, so that it cannot be made of an exact number by mistake; `require_released` is what stands
at the door of a page. Shares and differences take released counts and know nothing else. An estimate that is weighted is rounded as the count
it stands for would be, and its interval is laid around the rounded value: the exact ends would give the exact value back.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from evaluation.analysis.estimates import Estimate
from evaluation.analysis.goals import wilson_interval
from evaluation.errors import InputError, Problem
from evaluation.release.counts import Counts
from evaluation.release.rules import ReleaseRules, bounds_of
from evaluation.release.suppression import Earlier, protect_counts

SEAL = object()  # a thing of which there is one: what carries it was made on this floor
Kind = Literal["people", "share", "points", "ratio", "mean", "p_value"]


def check_seal(thing: object, seal: object) -> None:
    """Stop if a released thing is made outside the gate.

    Raises
    ------
    InputError
    """
    if seal is not SEAL:
        raise InputError([Problem(type(thing).__name__, "can be made by the gate only", "begin with release_counts or release_curve")])


@dataclass(frozen=True)
class ReleasedNumber:
    """A number that may be read by anybody.

    Attributes
    ----------
    kind : {"people", "share", "points", "ratio", "mean", "p_value"}
        Shares and differences of shares ("points") are from -1 to 1.
    value : float or None
        None where it is withheld.
    low, high : float or None
        Of its interval, where it has one.
    seal : object
        What only the gate has; nothing without it is let onto a page.
    """

    kind: Kind
    value: float | None
    low: float | None = None
    high: float | None = None
    seal: object = field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        check_seal(self, self.seal)


@dataclass(frozen=True, eq=False)
class ReleasedCounts:
    """Rounded counts and hidden ones.

    Attributes
    ----------
    shown : mapping of str to (int or None)
        By cell; None is hidden, for whatever reason.
    rules : ReleaseRules
    seal : object
        What only the gate has; nothing without it is let onto a page.
    """

    shown: Mapping[str, int | None]
    rules: ReleaseRules
    seal: object = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_seal(self, self.seal)

    def number(self, cell: str) -> ReleasedNumber:
        """Give one count."""
        return ReleasedNumber("people", self.shown[cell], seal=SEAL)


@dataclass(frozen=True, eq=False)
class Passage:
    """What came through the gate, and what the reviewer sees of it.

    Attributes
    ----------
    released : ReleasedCounts
    audit : DataFrame
        Never released: cell, reason; one row per hidden cell.
    proof : DataFrame
        Never released: count, low, high; two values of each count that must not be worked out, in worlds that look the same.
    kept : mapping of str to (int, int)
        Never released: counts that stand as an earlier release showed them, each with what it would have been.
    """

    released: ReleasedCounts
    audit: pd.DataFrame
    proof: pd.DataFrame
    kept: Mapping[str, tuple[int, int]]


def release_counts(counts: Counts, rules: ReleaseRules | None = None, earlier: Sequence[Earlier] = ()) -> Passage:
    """Let counts through: few are hidden, others are hidden beside them as far as needed, the rest is rounded.

    Parameters
    ----------
    counts : Counts
        All that is released together, tables that share cells and nested populations joined (`join_counts`): what is passed apart is not held
        against it.
    rules : ReleaseRules, optional
        The site's.
    earlier : sequence of mapping of str to (int or None)
        What earlier releases showed (`Ledger.earlier`).

    Returns
    -------
    Passage

    Raises
    ------
    InputError
        As `protect_counts`.
    """
    rules = rules or ReleaseRules()
    protected = protect_counts(counts, rules, earlier)
    return Passage(ReleasedCounts(protected.shown, rules, seal=SEAL), protected.audit, protected.proof, protected.kept)


def require_released(things: Iterable[object]) -> None:
    """Stop if anything that is about to be shown has not come through the gate.

    Parameters
    ----------
    things : iterable of object

    Raises
    ------
    InputError
        With how many there are; not what they are.
    """
    outside = [thing for thing in things if getattr(thing, "seal", None) is not SEAL]
    if outside:
        kinds = ", ".join(sorted({type(thing).__name__ for thing in outside}))
        rule = f"may hold released things only; {len(outside)} have not passed the gate ({kinds})"
        raise InputError([Problem("page", rule, "take them through evaluation.release first")])


def release_share(counts: ReleasedCounts, having: str, people: str) -> ReleasedNumber:
    """Divide rounded counts.

    Parameters
    ----------
    counts : ReleasedCounts
    having, people : str
        Cells.

    Returns
    -------
    ReleasedNumber
        Withheld where either count is hidden, where the people are fewer than `share_people`, and 0 and 1 of fewer than `certain_people`.
    """
    have, among = counts.shown[having], counts.shown[people]
    value = None if have is None or not among or among < counts.rules.share_people else have / among
    certain = value in (0.0, 1.0) and (among or 0) < counts.rules.certain_people
    return ReleasedNumber("share", None if certain else value, seal=SEAL)


def release_proportion(counts: ReleasedCounts, having: str, people: str, level: float) -> ReleasedNumber:
    """Divide rounded counts, with an interval made of nothing else.

    Parameters
    ----------
    counts : ReleasedCounts
    having, people : str
        Cells.
    level : float

    Returns
    -------
    ReleasedNumber
        Withheld where `release_share` is.

    Notes
    -----
    From the lower end of Wilson's interval for the fewest of the most people that the rounded counts may stand for to the upper end of that for the
    most of the fewest: so it holds the interval of the exact counts, whichever they are.
    """
    share, have, among = release_share(counts, having, people), counts.shown[having], counts.shown[people]
    if share.value is None or have is None or among is None:
        return share
    had, were = bounds_of(have, counts.rules), bounds_of(among, counts.rules)
    low = wilson_interval(had.low, were.high, level)[0]
    high = wilson_interval(min(had.high, were.low), were.low, level)[1]
    return ReleasedNumber("share", share.value, low, high, seal=SEAL)


def release_estimate(estimate: Estimate, counts: ReleasedCounts, having: str, people: str) -> ReleasedNumber:
    r"""Let an estimated share through as if it were rounded people out of rounded people.

    Parameters
    ----------
    estimate : Estimate
        A share, weighted or of a curve.
    counts : ReleasedCounts
    having, people : str
        Cells: those of the arm who have it, counted, and the arm's people.

    Returns
    -------
    ReleasedNumber
        Withheld where `release_share` of the counts is.

    Notes
    -----
    With released people :math:`\tilde n` and base b the value is a multiple of :math:`b / \tilde n`, that of the counts (`count_of` sees to it that
    they are rounded alike), and each end of the interval lies as many of them from it as `interval_around` says.
    """
    share, among = release_share(counts, having, people), counts.shown[people]
    if share.value is None or among is None:
        return share
    if counts.rules.exact:
        return ReleasedNumber("share", estimate.value, estimate.low, estimate.high, seal=SEAL)
    low, high = interval_around(share.value, estimate, (among,), counts.rules)
    return ReleasedNumber("share", share.value, max(low, 0.0), min(high, 1.0), seal=SEAL)


def release_contrast(
    treated: ReleasedNumber, control: ReleasedNumber, difference: Estimate, counts: ReleasedCounts, arms: tuple[str, str]
) -> ReleasedNumber:
    """Let a difference of two released shares through, with the interval of the exact one laid around it.

    Parameters
    ----------
    treated, control : ReleasedNumber
        As `release_estimate` gives them.
    difference : Estimate
        Their exact difference: only how sure it is, is used.
    counts : ReleasedCounts
    arms : (str, str)
        Cells with the people of either arm.

    Returns
    -------
    ReleasedNumber
        Withheld where either share is.
    """
    require_released((treated, control))
    people = [count for arm in arms if (count := counts.shown[arm])]
    if treated.value is None or control.value is None or len(people) < len(arms):
        return ReleasedNumber("points", None, seal=SEAL)
    if counts.rules.exact:
        return ReleasedNumber("points", difference.value, difference.low, difference.high, seal=SEAL)
    value = treated.value - control.value
    return ReleasedNumber("points", value, *interval_around(value, difference, people, counts.rules), seal=SEAL)


def interval_around(value: float, estimate: Estimate, people: Sequence[int], rules: ReleaseRules) -> tuple[float, float]:
    r"""Give the ends of an interval around a released value, which holds the exact interval wherever within its rounding the exact value lies.

    Parameters
    ----------
    value : float
        A share of some people, or shares of several groups of them added to and subtracted from each other.
    estimate : Estimate
        The exact one.
    people : sequence of int
        Released people of each share.
    rules : ReleaseRules

    Returns
    -------
    (float, float)

    Notes
    -----
    With :math:`\tilde n` the fewest of the people, each end lies a multiple of :math:`b / \tilde n` away, at least as far as the exact end from the
    exact value and :math:`\sum b / 2 \tilde n_i` more, the most by which rounding moved it, or as far as it was moved where it stands as it did in an
    earlier release. So one that excludes 0 does so before rounding too.
    """
    step, rounded = rules.base / min(people), sum(rules.base / (2 * count) for count in people)
    moved = max(rounded, abs(value - estimate.value))
    widths = estimate.value - estimate.low, estimate.high - estimate.value
    below, above = (math.ceil(round((width + moved) / step, 9)) * step for width in widths)
    return value - below, value + above
