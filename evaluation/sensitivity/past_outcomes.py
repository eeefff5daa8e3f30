"""Which past outcomes can stand as placebos, and which covariates tell of their years or of any later time?

A covariate's name ends in the window it looks at, and a window ends so many years back. A trait hardly moves, and tells of no year.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from evaluation.design.covariates import COVARIATES
from evaluation.registers.origin import DEFINITIONS

EARNINGS_SEK = 100_000  # a year: somewhat less than half a year's full pay, so that a summer job does not count
TRAITS = frozenset({"age", "kon", "origin", *DEFINITIONS, "years_in_sweden", "education", "children_0_6", "disability"})
_WINDOWS = {"_year_1": 0.0, "_year_2": 1.0, "_years_3_5": 2.0, "_years_6_10": 5.0}  # by the end of a name: the years back at which it begins
_CALENDAR = {"earnings_1": 0.0, "earnings_2": 1.0, "earnings_3": 2.0}  # a calendar year may have ended on the eve


class PastOutcome(NamedTuple):
    """Something done before the index date: the covariate that tells of it, above what it counts, and how many years back it ends."""

    covariate: str
    above: float
    oldest: float


def past_outcomes(earnings_sek: float) -> dict[str, PastOutcome]:
    """Give what people had done before their index date, by name; earnings count above `earnings_sek` a calendar year."""
    pay = math.log1p(earnings_sek / 1_000)  # as the covariate has it
    years = {"year_1": 1.0, "year_2": 2.0, "years_3_5": 5.0}
    return {
        **{f"work_{window}": PastOutcome(f"days_work_{window}", 0.0, oldest) for window, oldest in years.items()},
        **{f"earnings_{year}": PastOutcome(f"earnings_{year}", pay, year + 1.0) for year in (1, 2, 3)},
        **{f"sick_{window}": PastOutcome(f"sick_days_{window}", 0.0, years[window]) for window in ("year_1", "year_2")},
    }


def left_out_for(covariate: str) -> frozenset[str]:
    """Give the covariates that tell of a past outcome's years or of any later time.

    Parameters
    ----------
    covariate : str
        The covariate that tells of the past outcome.

    Returns
    -------
    frozenset of str
    """
    oldest = {outcome.covariate: outcome.oldest for outcome in past_outcomes(EARNINGS_SEK).values()}[covariate]
    return frozenset(name for name in COVARIATES if _youngest(name) < oldest)


def _youngest(name: str) -> float:
    """Give how many years back the latest time lies of which a covariate tells."""
    if name in TRAITS:
        return math.inf
    return _CALENDAR.get(name, next((years for window, years in _WINDOWS.items() if name.endswith(window)), 0.0))
