"""Which rules does this site release by, and what does a released number still say of the exact one?

A count below the threshold is hidden, nought among them: nobody of a group is a fact about everybody in it. Other counts are rounded to the base. Who
knows the rules knows a rounded count within `bounds_of` and of a hidden one nothing but that it is a count; hidden counts look alike whether they are
few themselves or hidden beside few. A count is given away where it is certain to be of somebody and of fewer than the threshold: an interval from 1
or more to below the threshold. An interval that begins at 0 may be nobody, one that reaches the threshold may be many.

References
----------
SCB (2015). Handbok i statistisk röjandekontroll.
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evaluation.errors import InputError, Problem

_DIGITS = 9  # a share of people times the people is their number only up to rounding


class ReleaseRules(BaseModel):
    """What a site lets out; it stands in the site's file, for the site answers for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: int = Field(default=10, ge=0, description="counts below this are hidden; 0 hides none")
    base: int = Field(default=5, ge=1, description="other counts are rounded to a multiple of this; 1 rounds none")
    values: int = Field(default=5, ge=1, description="how many different counts a hidden one must at least still be able to be")
    share_people: int = Field(default=20, ge=0, description="no share of fewer people is shown")
    certain_people: int = Field(default=50, ge=0, description="0 and 100 per cent of fewer people are not shown, for they tell of each of them")
    month_days: float = Field(default=365.25 / 12, gt=0, description="days between the points of a released curve")

    @model_validator(mode="after")
    def _threshold_is_a_rounded_number(self) -> ReleaseRules:
        if self.threshold % self.base:
            raise ValueError("threshold must be a multiple of base, or a count just above it would be rounded to below it")
        return self

    @property
    def exact(self) -> bool:
        """Whether everything is let through as it is."""
        return self.threshold == 0 and self.base == 1


def release_rules(threshold: int, release: Mapping[str, float] | None = None) -> ReleaseRules:
    """Give the rules of a plan's threshold and of what the site's file says beside it.

    Parameters
    ----------
    threshold : int
        Counts below this are hidden; it is raised to a multiple of the base. 0 lets everything through as it is.
    release : mapping of str to float, optional
        The site file's `[release]`, by name of the rule; a threshold there is the least.

    Returns
    -------
    ReleaseRules

    Raises
    ------
    InputError
        With every rule the site's file should not have, or should have otherwise.
    """
    if threshold == 0 and not release:
        return ReleaseRules(threshold=0, base=1, values=1, share_people=0, certain_people=0)
    told = dict(release or {})
    base = int(told.get("base", ReleaseRules().base)) or 1
    least = max(threshold, int(told.pop("threshold", 0)))
    try:
        return ReleaseRules.model_validate({**told, "threshold": -(-least // base) * base})
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        remedy = f"choose among {', '.join(ReleaseRules.model_fields)}, each a number that its description allows"
        raise InputError([Problem(".".join(["release", *map(str, one["loc"])]), one["msg"].lower(), remedy) for one in found]) from None


class Bounds(NamedTuple):
    """The least and the most a count can be, both included."""

    low: int
    high: int


def round_count(count: ArrayLike, rules: ReleaseRules) -> NDArray[np.int64]:
    r"""Round counts to the nearest multiple of the base, halves upwards.

    Parameters
    ----------
    count : array_like of int, any shape
        People.
    rules : ReleaseRules

    Returns
    -------
    ndarray of int64, same shape

    Notes
    -----
    :math:`b \lfloor (n + \lfloor b/2 \rfloor) / b \rfloor`: with base 5 a released 15 is one of 13 to 17, all equally far away.
    """
    return (np.asarray(count, dtype=np.int64) + rules.base // 2) // rules.base * rules.base


def bounds_of(released: int, rules: ReleaseRules) -> Bounds:
    """Give what a released count can have been, to somebody who knows the rules.

    Parameters
    ----------
    released : int
        A multiple of the base.
    rules : ReleaseRules

    Returns
    -------
    Bounds
        The lower one is never below the threshold, for fewer would have been hidden.
    """
    low = released - rules.base // 2
    return Bounds(max(low, rules.threshold, 0), low + rules.base - 1)


def bounds_beside(released: int, rules: ReleaseRules, earlier: Iterable[int]) -> Bounds:
    """Give what a released count can have been beside what earlier releases showed of it: one that stands as it did may have changed by few.

    Parameters
    ----------
    released : int
        As `count_beside` gives it.
    rules : ReleaseRules
    earlier : iterable of int
        What earlier releases showed.

    Returns
    -------
    Bounds
    """
    low, high = bounds_of(released, rules)
    if released not in set(earlier):
        return Bounds(low, high)
    steps = range(0, rules.threshold + rules.base, rules.base)
    kept = max(step for step in steps if step == 0 or _by_few(step, 0, rules))
    return Bounds(max(low - kept, rules.threshold, 0), high + kept)


def count_beside(count: int, rules: ReleaseRules, earlier: Iterable[int]) -> int | None:
    """Give a rounded count as it is shown beside what earlier releases showed of it: as it was where it would tell that few have come or gone.

    To hide it would tell just that.

    Parameters
    ----------
    count : int
        Rounded.
    rules : ReleaseRules
    earlier : iterable of int
        What earlier releases showed, the oldest first.

    Returns
    -------
    int or None
        None where each of them, beside another, tells of few.
    """
    before = list(earlier)
    kept = [was for was in reversed(before) if _by_few(count, was, rules)]
    return next((one for one in (count, *kept) if not any(_by_few(one, was, rules) for was in before)), None)


def _by_few(count: int, was: int, rules: ReleaseRules) -> bool:
    """Say whether two rounded counts tell that few, and somebody, lie between them."""
    change, fuzz = count - was, rules.base - 1
    return gives_away(change - fuzz, change + fuzz, rules)


def gives_away(low: float, high: float, rules: ReleaseRules) -> bool:
    """Say whether a count, or minus a count, known to lie between two bounds is certainly of somebody and of few."""
    least, most = (low, high) if low > 0 else (-high, -low)
    return least >= 1 and most < rules.threshold


def count_of(share: float, people: int, rules: ReleaseRules) -> int:
    r"""Give how many people a share stands for, so that the count is rounded as `round_share` rounds the share.

    Parameters
    ----------
    share : float
        Weighted or not.
    people : int
        Exact number of people it is a share of.
    rules : ReleaseRules

    Returns
    -------
    int
        From 0 to `people`; it differs from the exact count by less than half the base.

    Notes
    -----
    :math:`\lfloor p \tilde n + 1/2 \rfloor`, and :math:`\lfloor p \tilde n \rfloor` where the base is even.
    """
    half = 0.5 * (rules.base % 2)  # an even base has its limits at whole numbers, which must not be reached by rounding
    return min(max(int(np.floor(round(share * int(round_count(people, rules)), _DIGITS) + half)), 0), people)


def round_share(share: float, people: int, rules: ReleaseRules) -> float:
    r"""Round a share as if it were a rounded count of rounded people.

    Parameters
    ----------
    share : float
        Weighted or not.
    people : int
        Released number of people it is a share of.
    rules : ReleaseRules

    Returns
    -------
    float
        From 0 to 1.

    Notes
    -----
    :math:`b \lfloor p \tilde n / b + 1/2 \rfloor / \tilde n`, so that :math:`|\tilde p - p| \le b / 2 \tilde n`.
    """
    if rules.exact:
        return share
    return float(np.clip(np.floor(round(share * people / rules.base, _DIGITS) + 0.5) * rules.base / people, 0.0, 1.0))
