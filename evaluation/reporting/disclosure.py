"""What may be shown of few people: counts below a threshold leave no trace.

References
----------
SCB (2015). Handbok i statistisk röjandekontroll.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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

    def count(self, count: int, write: Callable[[int], str]) -> str:
        """Write a count, or that it is below the threshold."""
        return f"<{self.threshold}" if self.hides(count) else write(count)

    def share(self, share: float, people: int, write: Callable[[float], str]) -> str:
        """Write a share of some people, unless it gives away that few have, or few lack, what it counts."""
        return HIDDEN if self.hides(people) or self.hides(share * people) or self.hides((1 - share) * people) else write(share)
