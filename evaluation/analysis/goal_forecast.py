"""Where does the count of exits end, if things go on as they have?

A forecast of the project's own count, from its own list: those who are there go on leaving at the rates seen so far, by months since the start, and
new ones start at last year's pace until the last day for starting. The interval holds three kinds of chance: who of those will leave, how many will
start, and how well both rates are known. It does not hold that the rates change, as they do when the labour market turns.

References
----------
Kalbfleisch & Prentice (2002). The Statistical Analysis of Failure Time Data, 2nd edition, chapter 8 (competing risks, cumulative incidence).
"""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

PACE_MONTHS = 12  # starts are counted over the last year, so that summer and December weigh as they should
FEWEST_AT_RISK = 30  # a month since the start that fewer have reached has no rate of its own
HALF = 0.5  # of a person, added to those who exit: without it a month in which none of 30 did would be held to be sure
TAIL_MONTHS = 6  # the rate beyond is that of the last half-year which so many have reached

Floats = NDArray[np.float64]
Months = NDArray[np.int64]


class Standing(NamedTuple):
    """What is known of each participant on a day, as calendar months numbered from year 0; shape (n,)."""

    start: Months
    exit: Floats  # nan: none so far
    left: Floats  # nan: still there; for who has an exit, anything


@dataclass(frozen=True, eq=False)
class Forecast:
    """Where the count ends.

    Attributes
    ----------
    made, ends : date
    level : float
    so_far : int
        Exits by the day it was made.
    open : int
        Participants still there on that day.
    expected_starts : float
        New participants until the last day for starting.
    months : tuple of date
        Last day of each month from the one after it was made.
    value, low, high : ndarray of float, shape (months,)
        Expected exits since the phase began, and the interval for the number that will be counted.
    """

    made: dt.date
    ends: dt.date
    level: float
    so_far: int
    open: int
    expected_starts: float
    months: tuple[dt.date, ...]
    value: Floats
    low: Floats
    high: Floats


def forecast_count(standing: Standing, *, until: dt.date, last_start: dt.date, ends: dt.date, level: float = 0.95) -> Forecast | None:
    """Forecast how many will have left for work or studies by each month until the end.

    Parameters
    ----------
    standing : Standing
        Of everybody who has started, as known at the end of the month of `until`.
    until : date
        The last day of a complete month.
    last_start, ends : date
        Until when people start, and until when exits count.
    level : float

    Returns
    -------
    Forecast or None
        None where it ends within the month of `until`, or nobody has started.

    Notes
    -----
    With h_k and g_k the shares of those still there who exit, or leave without, in the k-th calendar month since their start, the probability that
    who is at month k exits within r months is F_r(k) = h_k + (1 - h_k - g_k) F_{r-1}(k + 1). The expected count adds F over those who are there and
    over starts at a pace of m a month. Its variance adds F (1 - F) per person; the variance of starts, overdispersed as last year's were; the
    multinomial variance of each (h_k, g_k), with half a person added, carried by the derivative of the count; and that of m. Where fewer than 30
    have reached a month, h and g are those of the last half-year that 30 have reached and all later months together. Who has left without an exit
    is expected to have none.
    """
    now, end = month_of(until), month_of(ends)
    if end <= now or not len(standing.start):
        return None
    rates = _rates(standing, now)
    pace = _pace(standing.start, now)
    ahead = max(0, min(month_of(last_start), end) - now)
    so_far = int(np.isfinite(standing.exit).sum())
    is_open = np.isnan(standing.exit) & np.isnan(standing.left)
    open_by_age = np.bincount(now + 1 - standing.start[is_open], minlength=1).astype(np.float64)
    steps = [_ahead(rates, open_by_age, pace, months, min(months, ahead)) for months in range(1, end - now + 1)]
    mean, variance = np.array(steps).T
    reach = float(ndtri(0.5 + level / 2)) * np.sqrt(variance)
    return Forecast(
        made=until,
        ends=ends,
        level=level,
        so_far=so_far,
        open=int(is_open.sum()),
        expected_starts=pace.a_month * ahead,
        months=tuple(month_end(number) for number in range(now + 1, end + 1)),
        value=so_far + mean,
        low=so_far + np.maximum(mean - reach, 0.0),
        high=so_far + np.minimum(mean + reach, np.inf if ahead else float(is_open.sum())),
    )


def month_number(days: pd.Series) -> Floats:
    """Number calendar months from year 0; nan where there is no day."""
    months: Floats = (12.0 * days.dt.year + days.dt.month - 1).to_numpy(dtype=np.float64)
    return months


def month_of(day: dt.date) -> int:
    """Number the calendar month of a day from year 0."""
    return day.year * 12 + day.month - 1


def month_end(number: int) -> dt.date:
    """Give the last day of a numbered month."""
    year, month = divmod(number, 12)
    return dt.date(year, month + 1, calendar.monthrange(year, month + 1)[1])


class _Rates(NamedTuple):
    """Shares that exit, or leave without, of those still there; and of how many, by month since the start and then for all later months."""

    exit: Floats
    leave: Floats
    people: Floats

    def at(self, months: int) -> Months:
        """Give which rate holds in each of so many months since the start."""
        return np.minimum(np.arange(months), len(self.exit) - 1)

    def cautious(self) -> tuple[Floats, Floats]:
        """Give both rates as they are used to say how unsure they are: one that has not been seen is not known to be nothing."""
        return (self.exit * self.people + HALF) / (self.people + 1), (self.leave * self.people + HALF) / (self.people + 1)


def _rates(standing: Standing, now: int) -> _Rates:
    exited = np.isfinite(standing.exit)
    last = np.where(exited, standing.exit, np.where(np.isfinite(standing.left), standing.left, now))
    age = (last - standing.start).astype(np.int64)
    size = int(age.max()) + 1
    at_risk = np.cumsum(np.bincount(age, minlength=size)[::-1])[::-1]
    gone = ~exited & np.isfinite(standing.left)
    exits, leaves = np.bincount(age[exited], minlength=size), np.bincount(age[gone], minlength=size)
    tail = max(0, int((at_risk >= FEWEST_AT_RISK).sum()) - TAIL_MONTHS)
    people, exited_in, left_in = (np.append(counts[:tail], counts[tail:].sum()).astype(np.float64) for counts in (at_risk, exits, leaves))
    return _Rates(exited_in / people, left_in / people, people)


class _Pace(NamedTuple):
    """Starts a month, how much more they vary than a Poisson count, and of how many months that is known."""

    a_month: float
    spread: float
    months: int


def _pace(start: Months, now: int) -> _Pace:
    """Count starts a month over the last year, or since the first if that is later."""
    months = min(PACE_MONTHS, now - int(start.min()) + 1)
    counts = np.bincount(now - start[start > now - months], minlength=months).astype(np.float64)
    a_month = float(counts.mean())
    varies = float(counts.var(ddof=1)) / a_month if months > 1 and a_month > 0 else 1.0
    return _Pace(a_month, max(1.0, varies), months)


def _ahead(rates: _Rates, open_by_age: Floats, pace: _Pace, months: int, starting: int) -> tuple[float, float]:
    """Give the expected number of further exits within so many months, and its variance."""
    size = len(open_by_age) + months
    which = rates.at(size)
    exit, stay = rates.exit[which], 1 - rates.exit[which] - rates.leave[which]
    reached = np.zeros((months + 1, size + 1))  # by months ahead and months since the start: how likely an exit still is
    for step in reversed(range(months)):
        reached[step, :-1] = exit + stay * reached[step + 1, 1:]
    there = np.zeros((months + 1, size + 1))  # how many are expected to be there
    there[0, : len(open_by_age)] = open_by_age
    there[:starting, 0] += pace.a_month
    for step in range(months):
        there[step + 1, 1:] += there[step, :-1] * stay
    slope_exit = np.bincount(which, (there[:-1, :-1] * (1 - reached[1:, 1:])).sum(axis=0), minlength=len(rates.exit))
    slope_leave = np.bincount(which, -(there[:-1, :-1] * reached[1:, 1:]).sum(axis=0), minlength=len(rates.exit))
    now, new = reached[0, : len(open_by_age)], reached[:starting, 0]
    chance = float(open_by_age @ (now * (1 - now))) + pace.a_month * float((new * (1 - new) + pace.spread * new**2).sum())
    exits, leaves = rates.cautious()
    mixed = exits * slope_exit + leaves * slope_leave
    unsure = float(((exits * slope_exit**2 + leaves * slope_leave**2 - mixed**2) / rates.people).sum())
    unsure_pace = pace.spread * pace.a_month / pace.months * float(new.sum()) ** 2
    return float(open_by_age @ now) + pace.a_month * float(new.sum()), chance + unsure + unsure_pace
