"""Are shares, means and whole tables told as they were told before, or anew?

A share is held as what it is made of: the people, and those of them who have it, each against its earlier one. Where every line of a table is near
what one release showed of it, the whole table is told as it was, so that what it adds up to is the same and what was hidden is; otherwise each line
by itself. How a single number is held stands in `evaluation.release.held`, and how a
count in `evaluation.release.held_counts`.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.analysis.curves import ARMS
from evaluation.analysis.means import Contrast
from evaluation.release.contrasts import ReleasedContrast, Wholes, release_levels, release_means, release_parts, release_shares, withheld_contrast
from evaluation.release.held import SAME, Ends, Told, alike, placed
from evaluation.release.held_counts import HeldCounts
from evaluation.release.magnitudes import coarseness, strongest_pull
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import ReleaseRules, round_count, round_share

__all__ = ["SIDES", "Ends", "Telling", "Told"]  # what is told, and the form it is told in

SIDES = (*ARMS, "difference")
Counted = tuple[int, float]  # people, and those of them who have it, as they are rounded


@dataclass(frozen=True, eq=False)
class Telling(HeldCounts):
    """What one study tells beside its counts: single numbers, shares and means in either arm; attributes as `Held`."""

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
        return fresh.hidden or all(alike(getattr(was, side), getattr(fresh, side), ends) for side in SIDES)

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
            sides.append(placed(value, number, [Ends(one.value, one.low, one.high) for _, one in past], ends))
            among.append(were if fresh.people[place] is not None else None)
        gaps = [Ends(one.difference.value, one.difference.low, one.difference.high) for one in known]
        value = _gap(sides[0], sides[1], fresh)
        return ReleasedContrast(sides[0], sides[1], placed(value, fresh.difference, gaps, ends), (among[0], among[1]), seal=SEAL)

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
        gap = self._entered(label, placed(_gap(treated, control, fresh), fresh.difference, known, ends), fresh.difference)
        return ReleasedContrast(treated, control, gap, people, seal=SEAL)


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
