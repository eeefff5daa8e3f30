r"""Is a number told as it was told before, or anew?

Two reports a person apart, laid side by side: a rounded number that has moved tells of that person. So whatever is no count and leaves again under
the same name is held against what earlier releases showed of it. Where so few people as the threshold could have moved it from one of them to what it
is now, it is told as it was, interval and all; otherwise it is told anew, and lies too far from every earlier one to be about few.

A share is held as what it is made of: the people, and those of them who have it, each against its earlier one. Where every line of a table is near
what one release showed of it, the whole table is told as it was, so that what it adds up to is the same and what was hidden is; otherwise each line
by itself. Means, ratios and p-values have been rounded to steps of at least twice what one person can do, so that half a step a person is how far few
can move them.

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

from evaluation.analysis.curves import ARMS
from evaluation.analysis.means import Contrast
from evaluation.release.contrasts import ReleasedContrast, Wholes, release_levels, release_means, release_parts, release_shares, withheld_contrast
from evaluation.release.magnitudes import coarseness, strongest_pull
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import ReleaseRules, round_count, round_share

SAME = 1e-9  # what is left of a difference between two numbers that were rounded alike
SIDES = (*ARMS, "difference")


class Ends(NamedTuple):
    """A number as it was released: value and interval, None where it was hidden or has none."""

    value: float | None
    low: float | None = None
    high: float | None = None


Told = Mapping[str, Ends]
Counted = tuple[int, float]  # people, and those of them who have it, as they are rounded


def in_errors(p_value: float) -> float:
    """Give how many standard errors a two-sided p-value stands for."""
    return -float(ndtri(p_value / 2))


@dataclass(frozen=True, eq=False)
class Telling:
    """What one study tells beside its counts, held against what it has told before.

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
        return self._entered(name, _placed(kept, number, known, reach if ends is None else ends), number)

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

    def interval(self, name: str, contrast: ReleasedContrast) -> ReleasedContrast:
        """Tell a contrast of shares whose counts were held against the ledger before: its value stands, its interval is as it was while that does."""
        if contrast.hidden:
            return contrast
        people = [count for count in contrast.people if count]
        ends = sum(self.few / count for count in people)
        treated, control, gap = (self.number(f"{name}, {side}", getattr(contrast, side), ends=ends) for side in SIDES)
        return ReleasedContrast(treated, control, gap, contrast.people, seal=SEAL)

    def shares(self, table: str, contrasts: Mapping[str, Contrast]) -> dict[str, ReleasedContrast]:
        """Tell shares, each with the people it rests on; `table` names them all, further as `release_shares`."""
        counted = {name: _counted(contrast, contrast, self.rules) for name, contrast in contrasts.items()}
        return self._held(table, release_shares(contrasts, self.rules), counted)

    def parts(
        self, table: str, parts: Mapping[str, Contrast], wholes: Mapping[str, Contrast] | None = None, of: Wholes | None = None
    ) -> dict[str, ReleasedContrast]:
        """Tell parts of a whole, with what they add up to; `table` names them all, further as `release_parts`."""
        return self._held(table, release_parts(parts, self.rules, wholes, of), self._of_parts(parts, {**parts, **(wholes or {})}))

    def levels(self, table: str, parts: Mapping[str, Contrast]) -> dict[str, tuple[float, float] | None]:
        """Tell the levels of parts of a whole; `table` names them all, further as `release_levels`."""
        fresh, counted = {}, self._of_parts(parts, parts)
        for name, pair in release_levels(parts, self.rules).items():
            people = counted[name][0][0], counted[name][1][0]
            if pair is None:
                fresh[name] = withheld_contrast(people)
                continue
            treated, control = (ReleasedNumber("share", level, seal=SEAL) for level in pair)
            fresh[name] = ReleasedContrast(treated, control, ReleasedNumber("points", pair[0] - pair[1], seal=SEAL), people, seal=SEAL)
        shown = self._held(table, fresh, counted)
        return {
            name: None if one.treated.value is None or one.control.value is None else (one.treated.value, one.control.value)
            for name, one in shown.items()
        }

    def means(self, table: str, contrasts: Mapping[str, Contrast]) -> dict[str, ReleasedContrast]:
        """Tell means; `table` names them all, further as `release_means`."""
        fresh = release_means(contrasts, self.rules)
        return {name: self.mean(f"{table}: {name}", fresh[name], contrast) for name, contrast in contrasts.items()}

    def mean(self, name: str, fresh: ReleasedContrast, contrast: Contrast) -> ReleasedContrast:
        """Tell a mean in either arm and how they differ.

        Parameters
        ----------
        name : str
        fresh : ReleasedContrast
            As it would be told for the first time.
        contrast : Contrast
            The exact one, which says how far one person moves it.

        Returns
        -------
        ReleasedContrast
        """
        if fresh.hidden or self.rules.exact:
            return fresh
        reach = self.reach(coarseness(strongest_pull(contrast.treated, contrast.control), self.rules))
        treated, control = (self.number(f"{name}, {arm}", getattr(fresh, arm), reach) for arm in ARMS)
        return self._of_sides(name, fresh, treated, control, fresh.people, 2 * reach)

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

    def _of_parts(self, parts: Mapping[str, Contrast], every: Mapping[str, Contrast]) -> dict[str, tuple[Counted, Counted]]:
        """Count those of one and the same people who are in each part, or in several."""
        return {name: _counted(contrast, next(iter(parts.values())), self.rules) for name, contrast in every.items()}

    def _held(self, table: str, fresh: Mapping[str, ReleasedContrast], counted: Mapping[str, tuple[Counted, Counted]]) -> dict[str, ReleasedContrast]:
        """Hold the lines of a table: all as one release showed them, where all are near it, otherwise each by itself."""
        releases = [] if self.rules.exact else [_lines(release, table, fresh) for release in reversed(self.earlier)]
        whole = (lines for lines in releases if all(name in lines and self._near(lines[name], fresh[name], counted[name]) for name in fresh))
        shown = next(whole, None)
        if shown is None:
            shown = {name: self._line([lines[name] for lines in releases if name in lines], one, counted[name]) for name, one in fresh.items()}
        for name, one in shown.items():
            for which, now, first in zip((*SIDES, *ARMS), _numbers(one), _numbers(fresh[name]), strict=True):
                self._entered(f"{table}: {name}, {which}{', people' if now.kind == 'people' else ''}", now, first)
        return dict(shown)

    def _near(self, was: ReleasedContrast, fresh: ReleasedContrast, counted: tuple[Counted, Counted]) -> bool:
        """Say whether few people could have moved a line to what it is now."""
        if was.hidden:
            hidden_by_few = self.rules.threshold + self.few
            small = any(min(have, people - have) < hidden_by_few or people < self.rules.share_people + self.few for people, have in counted)
            return fresh.hidden or small
        for side, among, (people, have) in zip((was.treated, was.control), was.people, counted, strict=True):
            if among is None or side.value is None or abs(among - people) >= self.few or abs(side.value * among - have) >= self.few - SAME:
                return False
        ends = sum(self.few / max(people, 1) for people, _ in counted)
        return fresh.hidden or all(_alike(getattr(was, side), getattr(fresh, side), ends) for side in SIDES)

    def _line(self, known: Sequence[ReleasedContrast], fresh: ReleasedContrast, counted: tuple[Counted, Counted]) -> ReleasedContrast:
        """Hold a line by itself: either arm's people and those who have it, each at an earlier count that it is near."""
        if fresh.hidden or not known:
            return fresh
        if known[0].hidden and self._near(known[0], fresh, counted):
            return withheld_contrast(fresh.people)
        ends, sides, among = sum(self.few / max(people, 1) for people, _ in counted), [], []
        for place, (people, have) in enumerate(counted):
            number = (fresh.treated, fresh.control)[place]
            past = [(one.people[place] or 0, (one.treated, one.control)[place]) for one in known if not one.hidden]
            were = next((count for count, _ in past if abs(count - people) < self.few), people)
            had = next((count for count in ((was.value or 0.0) * n for n, was in past) if abs(count - have) < self.few - SAME), have)
            same = abs(had - have) < SAME and were == people
            value = number.value if same or number.value is None else min(had / max(were, 1), 1.0)
            sides.append(_placed(value, number, [Ends(one.value, one.low, one.high) for _, one in past], ends))
            among.append(were if fresh.people[place] is not None else None)
        gaps = [Ends(one.difference.value, one.difference.low, one.difference.high) for one in known]
        value = _gap(sides[0], sides[1], fresh)
        return ReleasedContrast(sides[0], sides[1], _placed(value, fresh.difference, gaps, ends), (among[0], among[1]), seal=SEAL)

    def _of_sides(
        self,
        name: str,
        fresh: ReleasedContrast,
        treated: ReleasedNumber,
        control: ReleasedNumber,
        people: tuple[int | None, int | None],
        ends: float,
    ) -> ReleasedContrast:
        """Put two sides that have been told together, with their difference."""
        known, label = list(self._before(f"{name}, difference")), f"{name}, difference"
        gap = self._entered(label, _placed(_gap(treated, control, fresh), fresh.difference, known, ends), fresh.difference)
        return ReleasedContrast(treated, control, gap, people, seal=SEAL)


def _placed(value: float | None, fresh: ReleasedNumber, known: Sequence[Ends], reach: float) -> ReleasedNumber:
    """Give a value with the interval it had when it was told, while that is near; otherwise with one that holds the newer interval and the value."""
    if value is None:
        return fresh
    for was in known:
        if was.value is not None and abs(was.value - value) <= SAME and _alike(was, fresh, reach):
            return ReleasedNumber(fresh.kind, *was, seal=SEAL)
    if value == fresh.value:
        return fresh
    low, high = (None if end is None else of(end, value) for end, of in ((fresh.low, min), (fresh.high, max)))
    return ReleasedNumber(fresh.kind, value, low, high, seal=SEAL)


def _at(was: Ends | None, fresh: ReleasedNumber, reach: float) -> bool:
    """Say whether a number that was shown is near what it is now."""
    if was is None or was.value is None or fresh.value is None:
        return False
    return abs(was.value - fresh.value) <= reach + SAME and _alike(was, fresh, reach)


def _alike(was: Ends | ReleasedNumber, fresh: ReleasedNumber, reach: float) -> bool:
    """Say whether the ends of two intervals are near each other, or neither has any."""
    pairs = [(was.low, fresh.low), (was.high, fresh.high)]
    return all(
        (one is None and other is None) or (one is not None and other is not None and abs(one - other) <= reach + SAME) for one, other in pairs
    )


def _gap(treated: ReleasedNumber, control: ReleasedNumber, fresh: ReleasedContrast) -> float | None:
    if (treated.value, control.value) == (fresh.treated.value, fresh.control.value):
        return fresh.difference.value
    return None if treated.value is None or control.value is None else treated.value - control.value


def _counted(contrast: Contrast, among: Contrast, rules: ReleaseRules) -> tuple[Counted, Counted]:
    """Give, for either arm, the rounded people that a share is of, and how many of them it stands for."""
    people = [int(round_count(one.n, rules)) for one in (among.treated, among.control)]
    sides = zip((contrast.treated, contrast.control), people, strict=True)
    treated, control = ((n, round_share(side.value, n, rules) * n if n else 0.0) for side, n in sides)
    return treated, control


def _numbers(one: ReleasedContrast) -> tuple[ReleasedNumber, ...]:
    people = (ReleasedNumber("people", count, seal=SEAL) for count in one.people)
    return one.treated, one.control, one.difference, *people


def _lines(release: Told, table: str, fresh: Mapping[str, ReleasedContrast]) -> dict[str, ReleasedContrast]:
    """Read the lines of a table as a release told them."""
    found = {}
    for name, one in fresh.items():
        if f"{table}: {name}, difference" not in release:
            continue
        sides = [ReleasedNumber(getattr(one, side).kind, *release[f"{table}: {name}, {side}"], seal=SEAL) for side in SIDES]
        counts = [release[f"{table}: {name}, {arm}, people"].value for arm in ARMS]
        people = [None if count is None else round(count) for count in counts]
        found[name] = ReleasedContrast(sides[0], sides[1], sides[2], (people[0], people[1]), seal=SEAL)
    return found
