"""What may be shown of few people: counts below a threshold leave no trace.

This is the gate of a page that is read within the house, table by table. What leaves it passes `evaluation.release`, which rounds, and hides across
tables and releases.

References
----------
SCB (2015). Handbok i statistisk röjandekontroll.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.design.cohort import Bools, Floats

HIDDEN = "··"


@dataclass(frozen=True)
class Gate:
    """The threshold and the way a hidden number looks.

    Attributes
    ----------
    threshold : int
        Counts from 1 up to one below this are hidden; 0 hides nothing.
    """

    threshold: int

    def hides(self, count: float) -> bool:
        """Say whether so few people must not be shown; nobody is not few."""
        return 0 < round(count) < self.threshold

    def hides_share(self, share: float, people: int) -> bool:
        """Say whether a share of some people gives away that few have, or few lack, what it counts."""
        return self.hides(people) or self.hides(share * people) or self.hides((1 - share) * people)

    def hides_outcome(self, people: int, events: int) -> bool:
        """Say whether a mean, a ratio or a test over some people gives away that few had, or few lacked, what it is about."""
        return any(self.hides(count) for count in (people, events, people - events))

    def count(self, count: int, write: Callable[[int], str]) -> str:
        """Write a count, or that it is below the threshold."""
        return f"<{self.threshold}" if self.hides(count) else write(count)

    def share(self, share: float, people: int, write: Callable[[float], str]) -> str:
        """Write a share of some people, unless it gives away that few have, or few lack, what it counts."""
        return HIDDEN if self.hides_share(share, people) else write(share)

    def hides_parts(self, shares: Floats, people: Sequence[int]) -> Bools:
        """Say which parts of a whole must not be shown, so that those shown and the whole do not together give the few away.

        Parameters
        ----------
        shares : ndarray of float, shape (p, a)
            Share of each of a groups that is in each of p parts.
        people : sequence of int, length a

        Returns
        -------
        ndarray of bool, shape (p,)
            A part is hidden in every group or in none. Beside the parts of few, the smallest others are hidden, until those hidden hold together
            enough people of each group. A part of nobody hides nothing beside it, and is shown.
        """
        hidden = np.array([any(self.hides_share(share, count) for share, count in zip(row, people, strict=True)) for row in shares])
        for part in np.argsort(shares.max(axis=1), kind="stable"):
            together = shares[hidden].sum(axis=0)
            if not any(self.hides(share * count) for share, count in zip(together, people, strict=True)):
                break
            hidden[part] |= shares[part].any()
        return hidden

    def hides_steps(self, counts: Sequence[int]) -> Bools:
        """Say which of ever fewer people must not be counted, so that no two counts that are shown differ by few.

        Parameters
        ----------
        counts : sequence of int, length s
            Falling; the last is shown, for everything else rests on it.

        Returns
        -------
        ndarray of bool, shape (s,)
        """
        hidden, after = np.zeros(len(counts), dtype=bool), counts[-1]
        for step in reversed(range(len(counts) - 1)):
            hidden[step] = self.hides(counts[step] - after)
            after = after if hidden[step] else counts[step]
        return hidden
