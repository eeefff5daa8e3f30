"""What happened to each person, and when: days to the first exit, its state, or censoring.

The flat entrance: durations and events as columns of a table. Durations may come in weeks or other units; they are kept in days, with the unit
they were recorded in beside them, so that axes and sentences can speak it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.design.cohort import Floats
from evaluation.design.columns import person_problems, require_table
from evaluation.errors import InputError, Problem

CENSORED = "censored"
EVENT = "event"
SUCCESS, OTHER = "success", "other"  # of a pooled follow-up
ANY = "any"  # success as the spec defines it, whatever the state
_RESERVED = {CENSORED: "a state called censored", ANY: "a state called any"}  # such labels must not pass for our own


class TimeUnit(Enum):
    """A unit durations are recorded in; the value is its length in days."""

    DAY = 1.0
    WEEK = 7.0
    TWO_WEEKS = 14.0
    MONTH = 30.4375  # a twelfth of 365.25 days
    YEAR = 365.25

    @property
    def days(self) -> float:
        """Length in days."""
        return float(self.value)

    @classmethod
    def named(cls, name: str) -> TimeUnit:
        """Give the unit of that name, such as "week" or "two_weeks"."""
        try:
            return cls[name.upper()]
        except KeyError:
            known = ", ".join(unit.name.lower() for unit in cls)
            raise InputError([Problem("unit", "is not a known unit of time", f"choose among {known}")]) from None


@dataclass(frozen=True, eq=False)
class TimeWeights:
    """Weights that change with time, such as those that make up for people whose follow-up was ended on purpose.

    Attributes
    ----------
    row : ndarray of int, shape (m,)
        Position in the follow-up, rising.
    start, stop : ndarray of float, shape (m,)
        Days; the piece holds from after `start` up to and with `stop`. The pieces of a row follow one another from 0 to its `days`.
    factor : ndarray of float, shape (m,)
        By which the row's weight in the comparison is multiplied meanwhile.
    """

    row: NDArray[np.intp]
    start: Floats
    stop: Floats
    factor: Floats

    def to_frame(self) -> pd.DataFrame:
        """Give one row per piece: row (position in the follow-up), start_days, stop_days, factor."""
        return pd.DataFrame({"row": self.row, "start_days": self.start, "stop_days": self.stop, "factor": self.factor})

    def of_rows(self, rows: NDArray[np.intp], n: int) -> TimeWeights:
        """Give the pieces of some of the n rows of the follow-up, numbered by their position in `rows`."""
        position = np.full(n, -1, dtype=np.intp)
        position[rows] = np.arange(len(rows))
        row = position[self.row]
        kept = np.flatnonzero(row >= 0)
        kept = kept[np.lexsort((self.start[kept], row[kept]))]
        return TimeWeights(row[kept], self.start[kept], self.stop[kept], self.factor[kept])


@dataclass(frozen=True, eq=False)
class FollowUp:
    """What happened to each person, or in a stack to each person in each trial.

    Attributes
    ----------
    person : Index, shape (n,)
    days : ndarray of float, shape (n,)
        Days from the index date to the first exit or to censoring; above 0.
    state : Categorical, shape (n,)
        "censored", or the state the person left to. "censored" is the first category.
    horizon : float
        Longest follow-up, days.
    unit : TimeUnit
        The unit the durations were recorded in.
    reach : ndarray of float, shape (n,), or None
        Days for which a row could be followed, whatever happened to it: at each horizon only rows that reach it count. None: no such limit.
    later_start : ndarray of float, shape (n,), or None
        Days to the row's own later start, infinite where there is none.
    weights : TimeWeights or None
        None: everybody counts alike all the time.
    """

    person: pd.Index
    days: Floats
    state: pd.Categorical
    horizon: float
    unit: TimeUnit
    reach: Floats | None = None
    later_start: Floats | None = None
    weights: TimeWeights | None = None

    def __post_init__(self) -> None:
        self.days.setflags(write=False)

    @property
    def states(self) -> tuple[str, ...]:
        """The states people can leave to, in order."""
        return tuple(self.state.categories[1:])

    def pooled(self, success: Sequence[str]) -> FollowUp:
        """Give the same follow-up with two kinds of exit, success and any other, for where the kinds do not matter and memory does."""
        kind = np.where(self.state.codes == 0, 0, np.where(self.state.isin(list(success)), 1, 2))
        return replace(self, state=pd.Categorical.from_codes(kind.tolist(), pd.Index([CENSORED, SUCCESS, OTHER])))

    def take(self, rows: NDArray[np.intp]) -> FollowUp:
        """Give the follow-up of some rows, in the order given, as `Cohort.take` does."""
        return replace(
            self,
            person=self.person.take(rows),
            days=self.days[rows],
            state=self.state.take(rows),
            reach=None if self.reach is None else self.reach[rows],
            later_start=None if self.later_start is None else self.later_start[rows],
            weights=None if self.weights is None else self.weights.of_rows(rows, len(self.days)),
        )

    def to_frame(self) -> pd.DataFrame:
        """Give person, days and state as a table."""
        return pd.DataFrame({"person": self.person, "days": self.days, "state": self.state})


def followup_from_table(
    frame: pd.DataFrame,
    *,
    days: str,
    event: str,
    censored: object = 0,
    unit: str = "day",
    person: str | None = None,
    states: Sequence[object] | None = None,
) -> FollowUp:
    """Read durations and events from a table with one row per person.

    Parameters
    ----------
    frame : DataFrame, shape (n, c)
    days : str
        Column with the time from the index date to exit or censoring, in `unit`s.
    event : str
        Column with 0/1, or with a category per kind of exit.
    censored : object
        The label in `event` of those whose exit was not seen.
    unit : {"day", "week", "two_weeks", "month", "year"}
        What one step of `days` means.
    person : str, optional
        Column with ids; without it the table's index is the id, as in `cohort_from_table`.
    states : sequence, optional
        The labels `event` may have besides `censored`, in the order to show them. Without it, those present, sorted.

    Returns
    -------
    FollowUp

    Raises
    ------
    InputError
        With every problem at once: missing column, empty table, durations that are not numbers, missing, 0 or negative, events that are missing
        or have an unknown label, no row with the censoring label.
    """
    length = TimeUnit.named(unit)
    require_table(frame, "the follow-up table")
    absent = [name for name in (days, event, person) if name and name not in frame.columns]
    if absent or frame.empty:
        problems = [Problem.absent(name, frame.columns, "the follow-up table") for name in absent]
        raise InputError(problems or [Problem("the follow-up table", "has no rows", "check the file and its separator")])
    ids = pd.Index(frame[person]) if person else frame.index
    duration, problems = _durations(frame[days])
    labels = _labels(frame[event], censored, lone=states is None or len(states) == 1)
    expected = sorted(set(labels.cat.categories) - {CENSORED}) if states is None else _only_exit([_label(state) for state in states])
    problems += _event_problems(labels, event, expected, declared=states is not None)
    problems += person_problems(ids, person or "the table's index")
    if problems:
        raise InputError(problems)
    duration = duration * length.days
    state = labels.cat.set_categories([CENSORED, *expected]).array
    return FollowUp(person=ids, days=duration, state=state, horizon=float(duration.max()), unit=length)


def _durations(column: pd.Series) -> tuple[Floats, list[Problem]]:
    name = str(column.name)
    dated = pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column)
    numbers = np.full(len(column), np.nan) if dated else pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    missing = column.isna().to_numpy()
    remedy = "give a duration, not a date or a text; text with a decimal comma is read with pd.read_csv(..., decimal=',')"
    if pd.api.types.is_timedelta64_dtype(column):
        remedy = "turn the length of time into days, for example with .dt.days"
    rules = [
        (missing, "must not be missing", "everybody has at least a day of follow-up; people without belong outside the table"),
        (np.isnan(numbers) & ~missing, "must be a number", remedy),
        (np.isinf(numbers), "must be finite", "give the time to censoring instead"),
        (numbers < 0, "must not be negative", "an exit before the index date is a placebo outcome, not follow-up; check the index date"),
        (numbers == 0, "must be above 0", "someone who left on the index date was not at risk; check the index date, or use half a unit"),
    ]
    return numbers, Problem.broken((name, rule, broken, remedy) for broken, rule, remedy in rules)


def _label(value: object) -> str:
    """Write 1, 1.0 and True as "1", anything else as it is."""
    if isinstance(value, bool | np.bool_ | int | float | np.number):
        return str(int(value)) if value == int(value) else str(value)
    return str(value)


def _only_exit(names: list[str]) -> list[str]:
    """Call a lone kind of exit coded 1 an event; among several, 1 is a code like the others."""
    return [EVENT] if names == ["1"] else names


def _labels(column: pd.Series, censored: object, *, lone: bool) -> pd.Series:
    """Translate each distinct value once, a missing one staying missing; `lone` says that there may be a single kind of exit."""
    codes, values = pd.factorize(column)
    unseen = [_label(value) == _label(censored) for value in values]
    exits = list(dict.fromkeys(_label(value) for value, gone in zip(values, unseen, strict=True) if not gone))
    called = dict(zip(exits, _only_exit(exits) if lone else exits, strict=True))
    meaning = [CENSORED if gone else _RESERVED.get(_label(value), called[_label(value)]) for value, gone in zip(values, unseen, strict=True)]
    names = list(dict.fromkeys(meaning))
    place = np.array([*(names.index(name) for name in meaning), -1])
    return pd.Series(pd.Categorical.from_codes(place[codes].tolist(), pd.Index(names, dtype=object)))


def _event_problems(labels: pd.Series, name: str, expected: list[str], *, declared: bool) -> list[Problem]:
    problems = []
    if len(set(expected)) < len(expected) or {CENSORED, ANY, *_RESERVED.values()} & set(expected):
        rule = f"must have different names, none of them '{CENSORED}' or '{ANY}', which have a meaning of their own"
        problems.append(Problem("states", rule, "rename them; those whose exit was not seen go by `censored`"))
    if labels.isna().any():
        problems.append(
            Problem.in_rows(name, "must not be missing", labels.isna().to_numpy(), "someone whose exit was not seen has the censoring label")
        )
    unknown = (~labels.isin([CENSORED, *expected]) & labels.notna()).to_numpy()
    if unknown.any():
        problems.append(
            Problem.in_rows(
                name,
                f"must be the censoring label or one of the {len(expected)} declared states",
                unknown,
                "add the state to the plan, or correct the label",
            )
        )
    if not declared and not labels.isin([CENSORED]).any() and not labels.isin([EVENT]).all():
        rule = "has no row with the censoring label, so everybody would count as having left"
        problems.append(Problem(name, rule, "give `censored`, or `states` if nobody is censored"))
    return problems
