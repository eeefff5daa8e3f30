"""Where are they, does it last, and what does it come to: weighted means of the two arms, month by month and in sum.

A mean over the compared rows whose registers reach far enough; each row's influence is its share of its arm's weight times how far it lies from the
mean, so that differences and their intervals follow from the matched sets as for every other estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimates import EFFECT_COLUMNS, Estimate, Unit, effect_cells
from evaluation.analysis.trajectories import MONTHS, STATE_DAYS, WITHIN_DAYS, Trajectory
from evaluation.design.cohort import Bools, Cohort, Floats, count_people
from evaluation.design.comparison import Comparison
from evaluation.errors import InputError, Problem

_UNITS: dict[str, Unit] = {"days": "days", "months": "months", "sek": "sek"}  # what a column of totals is counted in: the end of its name


@dataclass(frozen=True, eq=False)
class Contrast:
    """A mean in either arm, and how they differ.

    Attributes
    ----------
    treated, control : Estimate
    difference : Estimate
        Treated minus control.
    """

    treated: Estimate
    control: Estimate
    difference: Estimate


@dataclass(frozen=True, eq=False)
class Occupancy:
    """Where the two arms are, month by month.

    Attributes
    ----------
    contrasts : Mapping of (str, int) to Contrast
        By state and month: share of the arm in that state. Each is computed when asked for: all at once would fill the memory with influences.
    states : tuple of str
    months : tuple of int
        Months since the index date that somebody reaches in both arms.
    """

    contrasts: Mapping[tuple[str, int], Contrast]
    states: tuple[str, ...]
    months: tuple[int, ...]

    def to_frame(self) -> pd.DataFrame:
        """Give one row per state and month: state, month, n_treated, n_control, treated, control, effect, std_error, low, high, p_value."""
        return self._table.copy()

    @cached_property
    def _table(self) -> pd.DataFrame:
        return _frame(["state", "month"], self.contrasts.items())


@dataclass(frozen=True, eq=False)
class Durability:
    """Does success last, among those who had it within a year.

    Attributes
    ----------
    contrasts : dict of int or "returned" to Contrast
        Share still in success so many days after it, and share unemployed again within a year of it. Only what both arms can answer.
    """

    contrasts: dict[int | Literal["returned"], Contrast]

    def to_frame(self) -> pd.DataFrame:
        """Give one row per question: measure, n_treated, n_control, treated, control, effect, std_error, low, high, p_value."""
        return _frame(["measure"], (((str(asked),), contrast) for asked, contrast in self.contrasts.items()))


@dataclass(frozen=True, eq=False)
class Totals:
    """What the first two years come to per person.

    Attributes
    ----------
    contrasts : dict of str to Contrast
        By column of `Trajectory.totals`. Only what both arms can answer.
    """

    contrasts: dict[str, Contrast]

    def to_frame(self) -> pd.DataFrame:
        """Give one row per total: measure, n_treated, n_control, treated, control, effect, std_error, low, high, p_value."""
        return _frame(["measure"], (((name,), contrast) for name, contrast in self.contrasts.items()))


def estimate_occupancy(cohort: Cohort, comparison: Comparison, trajectory: Trajectory, level: float = 0.95) -> Occupancy:
    """Estimate the share of either arm in each state, month by month after the index date; returns to unemployment are seen in it.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison, of u rows
    trajectory : Trajectory
        Of the rows of `comparison`. Who has no record on a day is in no state, but counts among all.
    level : float

    Returns
    -------
    Occupancy

    Raises
    ------
    InputError
        If the trajectory is of other rows than the comparison's.
    """
    arms = _Arms.of(cohort, comparison, trajectory, level)
    counted = {month: arms.counting(trajectory.reach >= STATE_DAYS[month]) for month in range(trajectory.state.shape[1])}
    counted = {month: shares for month, shares in counted.items() if shares.both}
    code = {state: number for number, state in enumerate(trajectory.labels)}

    def contrast(state: str, month: int) -> Contrast:
        inside = trajectory.state[:, month] == code[state]
        return counted[month].contrast(f"share in {state} after {month} months", inside, "probability")

    return Occupancy(_OnDemand(code, counted, contrast), tuple(code), tuple(counted))


def estimate_durability(cohort: Cohort, comparison: Comparison, trajectory: Trajectory, level: float = 0.95) -> Durability:
    """Estimate how many of those with success within a year are still there later, and how many are unemployed again.

    A description and no effect: those who succeed with the programme need not be like those who succeed without it.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison, of u rows
    trajectory : Trajectory
        Of the rows of `comparison`.
    level : float

    Returns
    -------
    Durability
        Over the rows with success whose registers reach so long after the year.

    Raises
    ------
    InputError
        If the trajectory is of other rows than the comparison's.
    """
    arms = _Arms.of(cohort, comparison, trajectory, level)
    found: dict[int | Literal["returned"], Contrast] = {}
    for days, lasting in trajectory.lasting.items():
        shares = arms.counting(trajectory.succeeded & (trajectory.reach >= WITHIN_DAYS + days))
        if shares.both:
            found[days] = shares.contrast(f"share still in success {days} days after it", lasting, "probability")
    shares = arms.counting(trajectory.succeeded & (trajectory.reach >= WITHIN_DAYS + WITHIN_DAYS))
    if shares.both:
        found["returned"] = shares.contrast("share unemployed again within a year of success", trajectory.returned, "probability")
    return Durability(found)


def estimate_totals(cohort: Cohort, comparison: Comparison, trajectory: Trajectory, level: float = 0.95) -> Totals:
    """Estimate what the first two years after the index date come to per person: days with sickness benefit, months with assistance, earnings.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison, of u rows
    trajectory : Trajectory
        Of the rows of `comparison`.
    level : float

    Returns
    -------
    Totals
        Over the rows whose registers reach two years; earnings over those whose first month has declarations.

    Raises
    ------
    InputError
        If the trajectory is of other rows than the comparison's.
    """
    arms = _Arms.of(cohort, comparison, trajectory, level)
    found: dict[str, Contrast] = {}
    for name in trajectory.totals.columns:
        unit = _UNITS[name.rpartition("_")[2]]
        reach = trajectory.earnings_reach if unit == "sek" and trajectory.earnings_reach is not None else trajectory.reach
        shares = arms.counting(reach >= STATE_DAYS[MONTHS])
        if shares.both:
            found[name] = shares.contrast(f"{name} in {MONTHS} months", trajectory.totals[name], unit)
    return Totals(found)


@dataclass(frozen=True, eq=False)
class _Arms:
    """The compared rows, arrays of shape (u,)."""

    weight: Floats
    treated: Bools
    person: NDArray[np.intp]
    clusters: Clusters
    level: float

    @classmethod
    def of(cls, cohort: Cohort, comparison: Comparison, trajectory: Trajectory, level: float) -> _Arms:
        if comparison.person is not cohort.person:
            raise InputError([Problem("comparison", "was made of another cohort", "match the cohort that is given here")])
        rows = comparison.rows
        if len(trajectory.reach) != len(rows):
            raise InputError([Problem("trajectory", "must be of the compared rows, in their order", "observe the trajectories of this comparison")])
        return cls(comparison.weights[rows], comparison.treated[rows], comparison.person_code[rows], Clusters.of(comparison), level)

    def counting(self, counted: Bools) -> _Shares:
        """Give each of the rows that count its share of its arm's weight."""
        share = np.where(counted, self.weight, 0.0)
        count = {}
        for side in (True, False):
            mine = self.treated == side
            share[mine] /= share[mine].sum() or 1.0
            count[side] = count_people(self.person[mine & counted])
        return _Shares(self, share, count)


@dataclass(frozen=True, eq=False)
class _Shares:
    """What part of its arm each row is, shape (u,), and how many people an arm has."""

    arms: _Arms
    share: Floats
    count: dict[bool, int]

    @property
    def both(self) -> bool:
        """Whether there is somebody in either arm."""
        return min(self.count.values()) > 0

    def contrast(self, name: str, values: ArrayLike, unit: Unit) -> Contrast:
        """Compare the arms' means of `values`, shape (u,)."""
        treated, control = (self._mean(name, np.asarray(values, dtype=np.float64), unit, side) for side in (True, False))
        return Contrast(treated, control, treated - control)

    def _mean(self, name: str, values: Floats, unit: Unit, side: bool) -> Estimate:
        share = np.where(self.arms.treated == side, self.share, 0.0)
        value = float(share @ values)
        called = f"{name}, {'treated' if side else 'control'}"
        interval: Literal["plain", "log-log"] = "log-log" if unit == "probability" else "plain"
        return Estimate(called, value, share * (values - value), self.arms.clusters, unit, self.count[side], self.arms.level, interval)


class _OnDemand(Mapping[tuple[str, int], Contrast]):
    """Contrasts by state and month, each computed when asked for."""

    def __init__(self, states: Iterable[str], months: Iterable[int], contrast: Callable[[str, int], Contrast]) -> None:
        self._keys = dict.fromkeys((state, month) for state in states for month in months)
        self._contrast = contrast

    def __getitem__(self, key: tuple[str, int]) -> Contrast:
        if key not in self._keys:
            raise KeyError(key)
        return self._contrast(*key)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _frame(names: list[str], contrasts: Iterable[tuple[tuple[object, ...], Contrast]]) -> pd.DataFrame:
    """Set out the contrasts, one row each, after the columns `names` of their keys."""
    rows = []
    for key, contrast in contrasts:
        arms = contrast.treated, contrast.control
        rows.append((*key, *(arm.n for arm in arms), *(arm.value for arm in arms), *effect_cells(contrast.difference)))
    return pd.DataFrame(rows, columns=[*names, "n_treated", "n_control", "treated", "control", *EFFECT_COLUMNS])
