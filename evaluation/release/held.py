r"""Is a number told as it was told before, or anew?

Two reports a person apart, laid side by side: a rounded number that has moved tells of that person. So whatever leaves again under the same name is
held against what earlier releases showed of it. Where so few people as the threshold could have moved it from one of them to what it is now, it is
told as it was, interval and all; otherwise it is told anew, and lies too far from every earlier one to be about few.

Means, ratios and p-values have been rounded to steps of at least twice what one person can do, so that half a step a person is how far few can move
them.

What is told is entered where it is told, and nowhere else, so that the ledger holds all that a page has asked for.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd
from scipy.special import ndtri

from evaluation.release.magnitudes import coarseness, round_to
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import ReleaseRules

SAME = 1e-9  # what is left of a difference between two numbers that were rounded alike


class Ends(NamedTuple):
    """A number as it was released: value and interval, None where it was hidden or has none."""

    value: float | None
    low: float | None = None
    high: float | None = None


Told = Mapping[str, Ends]


def in_errors(p_value: float) -> float:
    """Give how many standard errors a two-sided p-value stands for."""
    return -float(ndtri(p_value / 2))


@dataclass(frozen=True, eq=False)
class Held:
    """What one study tells, each number held against what was told of it before.

    Attributes
    ----------
    rules : ReleaseRules
    earlier : sequence of mapping of str to Ends
        What each earlier release told, by name, the oldest first.
    told : dict of str to Ends
        What this one has told so far.
    fresh : dict of str to Ends
        What that would have been without the earlier ones; for who reviews, not for release.
    """

    rules: ReleaseRules
    earlier: Sequence[Told] = ()
    told: dict[str, Ends] = field(default_factory=dict)
    fresh: dict[str, Ends] = field(default_factory=dict, repr=False)

    @property
    def few(self) -> int:
        """How far apart two rounded counts must lie to differ by the threshold for certain."""
        return self.rules.threshold + self.rules.base - 1

    def number(
        self,
        name: str,
        number: ReleasedNumber,
        reach: float = 0.0,
        *,
        ends: float | None = None,
        scale: Callable[[float], float] = float,
    ) -> ReleasedNumber:
        """Tell a number.

        Parameters
        ----------
        name : str
            The same in every release.
        number : ReleasedNumber
            As it would be told for the first time.
        reach : float
            How far few people move it at most, on the scale; 0 holds the interval of a number that has not moved.
        ends : float, optional
            How far they move the ends of its interval; left out, as far as itself.
        scale : callable
            On which the reach is the same everywhere.

        Returns
        -------
        ReleasedNumber
        """
        value = number.value
        if value is None or self.rules.exact:
            return self._entered(name, number, number)
        known = [was for was in self._before(name) if was.value is not None]
        kept = next((was.value for was in known if was.value == value or abs(scale(was.value or 0.0) - scale(value)) <= reach + SAME), value)
        return self._entered(name, placed(kept, number, known, reach if ends is None else ends), number)

    def ends(self, name: str, numbers: tuple[float, float, float], reach: float) -> tuple[float, float, float]:
        """Tell a value and its ends that have been rounded elsewhere; nan is one that there is not. Parameters as `number`."""
        value, low, high = (None if math.isnan(one) else one for one in numbers)
        shown = self.number(name, ReleasedNumber("points", value, low, high, seal=SEAL), reach)
        told = [math.nan if one is None else one for one in (shown.value, shown.low, shown.high)]
        return told[0], told[1], told[2]

    def row(self, people: Mapping[str, ReleasedNumber], row: Mapping[str, ReleasedNumber], reach: float) -> list[ReleasedNumber]:
        """Tell a row of shares of some people: as one release showed it where people and shares are all near that, or all of it anew.

        Parameters
        ----------
        people : mapping of str to ReleasedNumber
            One, of whom they are shares.
        row : mapping of str to ReleasedNumber
            By name.
        reach : float
            How far few people move a share, and the ends of its interval.

        Returns
        -------
        list of ReleasedNumber
            As `row`.
        """
        ((name, among),) = people.items()
        shown, every = row, [] if self.rules.exact else reversed(self.earlier)
        for release in every:
            were = release.get(name)
            near = were is not None and were.value is not None and abs(were.value - (among.value or 0.0)) < self.few
            if near and all(_at(release.get(month), number, reach) for month, number in row.items()):
                shown = {month: ReleasedNumber(number.kind, *release[month], seal=SEAL) for month, number in row.items()}
                among = ReleasedNumber(among.kind, *release[name], seal=SEAL)
                break
        self._entered(name, among, people[name])
        return [self._entered(month, number, row[month]) for month, number in shown.items()]

    def magnitude(self, name: str, number: ReleasedNumber, step: float) -> ReleasedNumber:
        """Tell a mean or a ratio that was rounded to a step; parameters and result as `number`."""
        return self.number(name, number, self.reach(step))

    def p_value(self, name: str, number: ReleasedNumber, pull: float) -> ReleasedNumber:
        """Tell a p-value of a statistic that one person moves by so many standard errors; parameters and result as `number`."""
        return self.number(name, number, self.reach(coarseness(pull, self.rules)), scale=in_errors)

    def reach(self, step: float) -> float:
        r"""Give how far few people move what was rounded to a step.

        Notes
        -----
        :math:`t s / 2` with threshold t and step s, for :math:`s \ge 2 \max_i |\psi_i|`.
        """
        return self.rules.threshold * step / 2

    def kept(self, counts: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
        """Give what is told otherwise than it would have been, for who reviews: name, shown and fresh value, low and high; `counts` of a passage."""
        rows = [(name, *shown, *self.fresh[name]) for name, shown in self.told.items() if shown != self.fresh[name]]
        rows += [(name, *Ends(shown), *Ends(fresh)) for name, (shown, fresh) in counts.items()]
        return pd.DataFrame(rows, columns=["name", "shown", "low", "high", "without_ledger", "low_without", "high_without"])

    def _before(self, name: str) -> Iterator[Ends]:
        """Give what earlier releases told under a name, the newest first."""
        return (release[name] for release in reversed(self.earlier) if name in release)

    def _entered(self, name: str, shown: ReleasedNumber, fresh: ReleasedNumber) -> ReleasedNumber:
        self.told[name], self.fresh[name] = (Ends(one.value, one.low, one.high) for one in (shown, fresh))
        return shown


def placed(value: float | None, fresh: ReleasedNumber, known: Sequence[Ends], reach: float) -> ReleasedNumber:
    """Give a value with the interval it had when it was told, while that is near; otherwise with one that holds the newer interval and the value."""
    if value is None:
        return fresh
    for was in known:
        if was.value is not None and abs(was.value - value) <= SAME and alike(was, fresh, reach):
            return ReleasedNumber(fresh.kind, *was, seal=SEAL)
    if value == fresh.value:
        return fresh
    low, high = (None if end is None else of(end, value) for end, of in ((fresh.low, min), (fresh.high, max)))
    return ReleasedNumber(fresh.kind, value, low, high, seal=SEAL)


def _at(was: Ends | None, fresh: ReleasedNumber, reach: float) -> bool:
    """Say whether a number that was shown is near what it is now."""
    if was is None or was.value is None or fresh.value is None:
        return False
    return abs(was.value - fresh.value) <= reach + SAME and alike(was, fresh, reach)


def alike(was: Ends | ReleasedNumber, fresh: ReleasedNumber, reach: float) -> bool:
    """Say whether the ends of two intervals are near each other, or neither has any."""
    pairs = [(was.low, fresh.low), (was.high, fresh.high)]
    return all(
        (one is None and other is None) or (one is not None and other is not None and abs(one - other) <= reach + SAME) for one, other in pairs
    )


def step_through(name: str, value: float, step: float, telling: Held) -> float:
    """Let a number through that is rounded to a step of `coarseness`; one that is not finite is a fact about a column, and stays.

    Parameters
    ----------
    name : str
        The same in every release.
    value : float
    step : float
    telling : Held

    Returns
    -------
    float
    """
    if not math.isfinite(value):
        return value
    shown = telling.magnitude(name, ReleasedNumber("mean", round_to(value, step), seal=SEAL), step).value
    return value if shown is None else shown
