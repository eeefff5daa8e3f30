"""Is a count that stands outside the joint proof told as it was told before, or anew?

Counts of the design, such as people by propensity or those left out for want of overlap, are held as those within the proof are. What was hidden
stays hidden while it may be of few more, and what was shown is not hidden since few have gone: either would tell of them. Where a person carries
others over the limits of a part, since all are placed by a model that the person is in, these are reckoned with too.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from evaluation.release.held import Held
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import count_beside, round_count

PEOPLE = "people"  # the row of a table of counts that its parts are of


@dataclass(frozen=True, eq=False)
class HeldCounts(Held):
    """What one study tells, counts of people among it; attributes as `Held`."""

    def count(self, name: str, count: int) -> int | None:
        """Tell a count of people that stands in no table of counts: rounded, None where it is hidden; `name` is the same in every release."""
        if self.rules.exact:
            return self._told_count(name, count, count)
        number, stands = self._beside(name, count)
        was_hidden = any(was.value is None for was in list(self._before(name))[:1])
        few = count < self.rules.threshold + (self.few if was_hidden else 0)
        return self._told_count(name, None if few and not stands else number, None if count < self.rules.threshold else self._rounded(count))

    def counts(
        self,
        table: str,
        people: int,
        parts: Mapping[str, int],
        withheld: Collection[str] = (),
        *,
        within: Mapping[str, int | None] | None = None,
        carried: Mapping[str, int] | None = None,
    ) -> tuple[int | None, dict[str, int | None]]:
        """Tell some people and the parts they fall into.

        Parameters
        ----------
        table : str
            Names them all, the same in every release.
        people : int
        parts : mapping of str to int
            Those of them in each part, exact.
        withheld : collection of str
            Parts that must be hidden, beside those of few, so that the others and the whole do not give these away.
        within : mapping of str to (int or None), optional
            By part: what is shown of people all of whose number these are, so that the rest is not certainly few.
        carried : mapping of str to int, optional
            By part: how many others few people may carry over its limits.

        Returns
        -------
        people : int or None
            Rounded; None is hidden.
        parts : dict of str to (int or None)
        """
        among, limit = self.count(f"{table}: {PEOPLE}", people), self.rules.threshold
        if self.rules.exact:
            return among, {part: self._told_count(f"{table}: {part}", count, count) for part, count in parts.items()}
        others = carried or {}
        found = {part: self._beside(f"{table}: {part}", count, (within or {}).get(part), others.get(part, 0)) for part, count in parts.items()}
        stand = {part for part, (_, stands) in found.items() if stands}
        hidden = {part for part, (number, _) in found.items() if number is None or (parts[part] < limit and part not in stand)}
        hidden |= self._still_hidden(table, parts, others)
        of_few = 0 < sum(parts[part] for part in hidden) < limit
        hidden |= set(parts) if among is None else set(withheld) if of_few else set(withheld) - stand
        fresh = {part: None if part in withheld or count < limit else self._rounded(count) for part, count in parts.items()}
        return among, {part: self._told_count(f"{table}: {part}", None if part in hidden else found[part][0], fresh[part]) for part in parts}

    def _rounded(self, count: int) -> int:
        return int(round_count(count, self.rules))

    def _beside(self, name: str, count: int, larger: int | None = None, carried: int = 0) -> tuple[int | None, bool]:
        """Round a count beside what was told of it and of a larger one, and say whether it stands as it was shown last or before."""
        known, rounded = list(self._before(name)), self._rounded(count)
        past = [round(was.value) for was in reversed(known) if was.value is not None]
        near = [was for was in reversed(past) if carried and abs(rounded - was) < self.few + carried]
        number = near[0] if near else count_beside(rounded, self.rules, past if larger is None else [*past, larger])
        return number, number in past and known[0].value is not None

    def _still_hidden(self, table: str, parts: Mapping[str, int], carried: Mapping[str, int]) -> set[str]:
        """Say which parts that were hidden stay so: who may be few more, and while all that were hidden are about as many, who was hidden beside."""
        name = f"{table}: {PEOPLE}"
        release = next((release for release in reversed(self.earlier) if name in release), None)
        if release is None:
            return set()
        were = {part for part in parts if f"{table}: {part}" in release and release[f"{table}: {part}"].value is None}
        small = {part for part in were if parts[part] < self.rules.threshold + self.few + carried.get(part, 0)}
        shown = [was.value for label, was in release.items() if label.startswith(f"{table}: ") and label != name and was.value is not None]
        rest = (release[name].value or 0.0) - sum(shown)
        unsure = self.few + self.rules.base / 2 * (len(shown) + 1) + sum(carried.get(part, 0) for part in were)
        return were if small and abs(sum(parts[part] for part in were) - rest) < unsure else small

    def _told_count(self, name: str, shown: int | None, fresh: int | None) -> int | None:
        one, other = (ReleasedNumber("people", number, seal=SEAL) for number in (shown, fresh))
        self._entered(name, one, other)
        return shown
