"""How near did the project come to its goals, by its own record?

A goal is a number of people who reach work or regular studies, and it has been rewritten: with other numbers, of other numbers, in other sources.
Every version is kept, each with its date and source, and no one of them is called the goal. What is counted against them is gross: everybody who
started and is recorded as having left for work or studies, whether or not they would have done so anyway. What the project added is the effect, and
stands elsewhere. The count is made from the project's own list of participants, month by month, and so is a forecast of where it ends.

References
----------
Wilson (1927). Probable inference, the law of succession, and statistical inference. JASA 22(158), 209-212.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from scipy.special import ndtri

from evaluation.analysis.goal_forecast import Forecast, Standing, forecast_count, month_end, month_number, month_of
from evaluation.analysis.outcomes import TimeUnit
from evaluation.errors import InputError, Problem
from evaluation.registers.origin import DEFINITIONS

SUCCESS = ("arbete", "studier")  # classes of codes/projekt_resultat.csv that the goals are about
ALL = ""  # the breakdown, and its level, of everybody
MONTH_DAYS = TimeUnit.MONTH.days
_PERIOD = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?\s*(?:/|–|-)\s*(\d{4})-(\d\d)(?:-(\d\d))?")  # two days, or two months

Floats = NDArray[np.float64]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Spec):
    """The same words in Swedish and English."""

    sv: str
    en: str

    def within(self, language: Literal["sv", "en"]) -> str:
        """Give the words in one language."""
        return self.sv if language == "sv" else self.en


class Words(Text):
    """A text that may be plain, and is then the same in both languages, such as a document's name; a sentence of the report may not."""

    @model_validator(mode="before")
    @classmethod
    def _same_in_both(cls, value: object) -> object:
        return {"sv": value, "en": value} if isinstance(value, str) else value


class GoalVersion(_Spec):
    """One version of a goal, as one source has it."""

    goal: str = Field(description="the phase it is for, as projekt_deltagande.fas calls it")
    version: int = Field(ge=1, description="1 for the first; two sources that contradict each other have the same number")
    persons: int = Field(ge=1, description="how many people were to get there")
    of: int | None = Field(default=None, ge=1, description="of how many participants, in the same source")
    decided: dt.date | None = Field(default=None, description="when it was decided; left out: not known")
    period: str = Field(default="", description="the period it was set for: 2018-03-01/2019-12-31")
    source: Words = Field(description="where it is written")
    counts: Words | None = Field(default=None, description="what it counts, where that is not work or regular studies")

    @property
    def days(self) -> tuple[dt.date, dt.date] | None:
        """Give the first and the last day of the period, of two months their whole; None where it is not written as two."""
        written = _PERIOD.fullmatch(self.period.strip())
        if written is None:
            return None
        year, month, day, last_year, last_month, last_day = (int(part or 0) for part in written.groups())
        try:
            begins, ends = dt.date(year, month, day or 1), dt.date(last_year, last_month, last_day or 1)
            ends = ends if last_day else month_end(month_of(ends))
        except ValueError:
            return None
        return (begins, ends) if begins <= ends else None


class PublishedCount(_Spec):
    """A result that somebody has published, to stand beside ours."""

    goal: str = Field(description="the phase it is of")
    persons: int = Field(ge=0)
    precision: Literal["exact", "more_than", "about"] = "exact"
    of: int | None = Field(default=None, ge=1)
    until: dt.date | None = Field(default=None, description="the day it counts up to; left out: not said")
    source: Words


class GoalPhase(_Spec):
    """When a phase takes people in, and when it ends."""

    last_start: dt.date = Field(description="the last day somebody may start")
    ends: dt.date = Field(description="the day up to which results count")


class GoalSpec(_Spec):
    """The goals of a project, and how they are followed."""

    versions: tuple[GoalVersion, ...] = ()
    published: tuple[PublishedCount, ...] = ()
    delivered_as: dict[str, str] = Field(default_factory=dict, description="a goal in the delivered table mal, by mal_id = the phase it is for")
    phases: dict[str, GoalPhase] = Field(default_factory=dict, description="phase = its dates; one that is not here is followed without a forecast")
    by: tuple[str, ...] = Field(default=("kon", "fodd_utanfor_europa"), description="for whom it is broken down: kon, or a definition of origin")
    horizons_months: tuple[int, ...] = Field(default=(6, 12, 18, 24), description="months after the start within which shares are counted")
    level: float = Field(default=0.95, gt=0, lt=1)

    @field_validator("by")
    @classmethod
    def _is_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - {"kon", *DEFINITIONS})
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: must be among kon, {', '.join(DEFINITIONS)}")
        return value

    @field_validator("versions")
    @classmethod
    def _has_days(cls, value: tuple[GoalVersion, ...]) -> tuple[GoalVersion, ...]:
        wrong = sum(bool(one.period) and one.days is None for one in value)
        if wrong:
            raise ValueError(f"{wrong} with a period that is not two days in order, as 2018-03-01/2019-12-31")
        return value

    @field_validator("horizons_months")
    @classmethod
    def _is_positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(months < 1 for months in value):
            raise ValueError("must be whole months after the start, at least 1")
        return value


@dataclass(frozen=True, eq=False)
class GoalFollowUp:
    """How the project's own count stands to its goals.

    Attributes
    ----------
    spec : GoalSpec
    until : date
        The last day counted.
    versions : tuple of GoalVersion
        Those of the plan and those delivered. Two that contradict each other both stand.
    monthly : DataFrame
        phase, by, level, month (its last day), started, exits: both since the phase began, up to and including the month. `by` and `level` are ""
        for everybody.
    shares : DataFrame
        phase, by, level, horizon_months, people, exits, share, low, high: of those who started so long before `until`, how many had left for work or
        studies within the horizon; Wilson's interval.
    unplaced : DataFrame
        phase, undated, misplaced: recorded exits to work or studies that count nowhere above, since they have no date, or one before the start.
    forecasts : dict of str to Forecast
        By phase that has not ended: where the count ends.
    rehearsals : dict of str to Forecast
        By phase that has ended: what the forecast would have been halfway, from what was then known.
    after_last_day : int
        Recorded exits, of those counted, that are later than the last day in the project.
    """

    spec: GoalSpec
    until: dt.date
    versions: tuple[GoalVersion, ...]
    monthly: pd.DataFrame
    shares: pd.DataFrame
    unplaced: pd.DataFrame
    forecasts: dict[str, Forecast]
    rehearsals: dict[str, Forecast]
    after_last_day: int

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases somebody started in."""
        return tuple(dict.fromkeys(self.monthly["phase"]))

    def to_frame(self) -> pd.DataFrame:
        """Give one row per phase, group and month: phase, by, level, month (its last day), started, exits (people so far); as `monthly`."""
        return self.monthly.copy()

    def count(self, phase: str, by: str = ALL, level: str = ALL, day: dt.date | None = None) -> tuple[int, int]:
        """Give how many had started and left for work or studies by a day; by the last one if left out."""
        mine = self.monthly[(self.monthly["phase"] == phase) & (self.monthly["by"] == by) & (self.monthly["level"] == level)]
        if day is not None:
            mine = mine[mine["month"] <= pd.Timestamp(day)]
        return (0, 0) if mine.empty else (int(mine["started"].iloc[-1]), int(mine["exits"].iloc[-1]))


def follow_goals(
    participation: pd.DataFrame,
    spec: GoalSpec,
    *,
    until: dt.date,
    groups: pd.DataFrame | None = None,
    success: Collection[str] = SUCCESS,
) -> GoalFollowUp:
    """Count who started and who left for work or studies, month by month, from the project's own list alone.

    Parameters
    ----------
    participation : DataFrame, one row per person and phase
        Columns lopnr, fas, start_datum, slut_datum, projekt_resultat, resultat_datum, as in data_schema/projekt_deltagande.json.
    spec : GoalSpec
    until : date
        The last day counted. Nothing later is used.
    groups : DataFrame, optional
        Indexed by lopnr, with a column for each breakdown of `spec.by`; breakdowns without a column are left out.
    success : collection of str
        Values of projekt_resultat that the goals are about.

    Returns
    -------
    GoalFollowUp

    Raises
    ------
    InputError
        If a column is absent, a person stands twice in a phase, or somebody is in no row of `groups`.

    Notes
    -----
    Who took part in two phases counts in each, as the project counts. An exit counts from the day recorded, if that is the day of the start or later.
    Of a share within h months, only those who started h months or more before `until` are counted, so that all had the same time.
    """
    people = _people(participation, until, success)
    found = _groups(people, groups, spec.by)
    phases = sorted(people.loc[people["start"].notna(), "fas"].unique())
    forecasts: dict[str, Forecast] = {}
    rehearsals: dict[str, Forecast] = {}
    for phase in phases:
        mine, dates = people[people["fas"] == phase], spec.phases.get(phase)
        if dates is None or mine["start"].min() > pd.Timestamp(dates.ends):
            continue
        running = until < dates.ends
        day = until if running else _halfway(mine["start"].min().date(), dates.ends)
        made = forecast_count(_standing(mine, day), until=day, last_start=dates.last_start, ends=dates.ends, level=spec.level)
        if made is not None:
            (forecasts if running else rehearsals)[phase] = made
    parts = [(phase, by, level, people[(people["fas"] == phase) & inside]) for phase in phases for by, level, inside in found]
    unplaced = [(phase, *(int(people.loc[people["fas"] == phase, fault].sum()) for fault in ("undated", "misplaced"))) for phase in phases]
    return GoalFollowUp(
        spec=spec,
        until=until,
        versions=spec.versions,
        monthly=pd.DataFrame([*chain.from_iterable(_months(*part, until) for part in parts)], columns=_MONTHLY),
        shares=pd.DataFrame([*chain.from_iterable(_shares(*part, until, spec) for part in parts)], columns=_SHARES),
        unplaced=pd.DataFrame(unplaced, columns=["phase", "undated", "misplaced"]),
        forecasts=forecasts,
        rehearsals=rehearsals,
        after_last_day=int((people["exit"] > people["left"]).sum()),
    )


def wilson_interval(count: int, of: int, level: float) -> tuple[float, float]:
    """Give an interval for a share that stays within 0 and 1, and has width at both ends.

    Notes
    -----
    The shares p for which (x/n - p)^2 <= z^2 p (1 - p) / n. Wilson (1927).
    """
    z = float(ndtri(0.5 + level / 2))
    middle, reach = count + z * z / 2, z * np.sqrt(count * (of - count) / of + z * z / 4)
    low, high = (middle - reach) / (of + z * z), (middle + reach) / (of + z * z)
    return max(0.0, float(low)) if count else 0.0, min(1.0, float(high)) if count < of else 1.0


_MONTHLY = ["phase", "by", "level", "month", "started", "exits"]
_SHARES = ["phase", "by", "level", "horizon_months", "people", "exits", "share", "low", "high"]
_COLUMNS = ("lopnr", "fas", "start_datum", "slut_datum", "projekt_resultat", "resultat_datum")


def _people(participation: pd.DataFrame, until: dt.date, success: Collection[str]) -> pd.DataFrame:
    """Give who started by the last day: lopnr, fas, start, exit (NaT: none by then), left (the last day), undated, misplaced."""
    absent = [Problem.absent(name, participation.columns, "projekt_deltagande") for name in _COLUMNS if name not in participation.columns]
    if absent:
        raise InputError(absent)
    twice = participation.duplicated(["lopnr", "fas"]).to_numpy()
    rule = ("projekt_deltagande", "must have one row per person and phase", twice, "keep the row of the start")
    if problems := Problem.broken([rule]):
        raise InputError(problems)
    start, stop, dated = (pd.to_datetime(participation[name]) for name in ("start_datum", "slut_datum", "resultat_datum"))
    last = pd.Timestamp(until)
    succeeded = participation["projekt_resultat"].isin(list(success))
    misplaced = succeeded & (dated < start)
    exit = dated.where(succeeded & ~misplaced & (dated <= last))
    people = pd.DataFrame(
        {
            "lopnr": participation["lopnr"],
            "fas": participation["fas"],
            "start": start,
            "exit": exit,
            "left": stop.where((stop >= start) & (stop <= last)),
            "undated": succeeded & dated.isna(),
            "misplaced": misplaced,
        }
    )
    return people[(start <= last).to_numpy()]


def _groups(people: pd.DataFrame, groups: pd.DataFrame | None, by: tuple[str, ...]) -> list[tuple[str, str, pd.Series]]:
    """Give each breakdown and level, and who is in it; everybody first."""
    found = [(ALL, ALL, pd.Series(data=True, index=people.index))]
    asked = [] if groups is None else [name for name in by if name in groups.columns]
    if groups is not None and asked:
        unknown = (~people["lopnr"].isin(groups.index)).to_numpy()
        if unknown.any():
            raise InputError([Problem.in_rows("projekt_deltagande.lopnr", "must be in individ", unknown, "deliver a row for everybody who started")])
        for name in asked:
            value = people["lopnr"].map(groups[name]).fillna("okand").astype(str)
            found += [(name, level, value == level) for level in sorted(value.unique())]
    return found


def _months(phase: str, by: str, level: str, people: pd.DataFrame, until: dt.date) -> list[tuple[object, ...]]:
    if people.empty:
        return []
    first, last = int(month_number(people["start"]).min()), month_of(until)
    months = np.arange(first, last + 1)
    started, exits = (np.searchsorted(np.sort(month_number(people[name].dropna())), months, side="right") for name in ("start", "exit"))
    return [(phase, by, level, pd.Timestamp(month_end(int(m))), int(n), int(k)) for m, n, k in zip(months, started, exits, strict=True)]


def _shares(phase: str, by: str, level: str, people: pd.DataFrame, until: dt.date, spec: GoalSpec) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for months in spec.horizons_months:
        horizon = pd.Timedelta(days=round(months * MONTH_DAYS))
        reached = people[people["start"] + horizon <= pd.Timestamp(until)]
        if len(reached):
            exits = int((reached["exit"] - reached["start"] <= horizon).sum())
            found.append((phase, by, level, months, len(reached), exits, exits / len(reached), *wilson_interval(exits, len(reached), spec.level)))
    return found


def _halfway(begins: dt.date, ends: dt.date) -> dt.date:
    """Give the last day of the month in the middle of a phase."""
    return month_end((month_of(begins) + month_of(ends)) // 2)


def _standing(people: pd.DataFrame, day: dt.date) -> Standing:
    """Give what was known of the participants of a phase at the end of a day, in calendar months."""
    last = pd.Timestamp(day)
    known = people[people["start"] <= last]
    month = {name: month_number(known[name].where(known[name] <= last)) for name in ("start", "exit", "left")}
    return Standing(month["start"].astype(np.int64), month["exit"], month["left"])
