"""Which trials and which people were asked for, and what are the columns of such a cohort called?"""

from __future__ import annotations

import calendar
import datetime as dt
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, field_validator, model_validator

from evaluation.design.covariates import COVARIATES, covariate_field
from evaluation.registers.contract import Contract
from evaluation.registers.history import DAYS_PER_MONTH, LookBackSpec
from evaluation.registers.schema import Schema

TRIAL, BAND, SEX = "trial", "duration_band", "kon"
OUTSIDE_JUG = "ej_i_jug"  # a band of the static design alone: in a trial everybody is in JUG
OTHER_TIME = "annan_tid"  # trials that no level of a period covers
EVENT = {"start": "start_datum", "offer": "least(erbjuden_datum, start_datum)"}  # what is time zero; who has started has been offered
_PERIODS = {"pandemi": ("Pandemin", "The pandemic")}
_PERIOD_LEVELS = {"fore": ("före", "before"), "under": ("under", "during"), "efter": ("efter", "after"), OTHER_TIME: ("annan tid", "other time")}

TimeZero = Literal["start", "offer"]


def _first_of_month(value: object) -> object:
    if isinstance(value, str):
        with suppress(ValueError):
            value = dt.date.fromisoformat(f"{value}-01" if len(value) == len("2018-03") else value)
    if not isinstance(value, dt.date):
        raise ValueError('must be a month; write it "2018-03"')
    return value.replace(day=1)


def _first_and_last(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != len(("first", "last")):
        raise ValueError("must be two months, first and last")
    return value


Month = Annotated[dt.date, BeforeValidator(_first_of_month)]
Span = Annotated[tuple[Month, Month], BeforeValidator(_first_and_last)]


class CohortSpec(BaseModel):
    """Who is compared with whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_month: Month = Field(description='the months of the trials, written "2018-03"')
    last_month: Month
    project_began: dt.date | None = Field(default=None, description="nobody can have started before; None: not checked")
    time_zero: TimeZero = Field(default="start", description="offer: by intention to treat; who was not offered is a control")
    duration_bands_days: tuple[PositiveInt, ...] = Field(default=(182, 365, 730, 1461), description="where the bands of days in JUG are cut")
    youngest: int = Field(default=20, ge=0)
    oldest: int = Field(default=64, description="age in the year of the index date; reaching the pension age later is an exit that competes")
    municipality: str | tuple[str, ...] | None = Field(default="1280", description="one or several; None: people of every municipality")
    target_groups: tuple[str, ...] = Field(default=("jug",), description="classes of codes/malgrupp.csv that have a counterpart in JUG")
    candidates: PositiveInt | None = Field(default=20, description="control rows drawn per participant of a trial and band; None: all")
    covariates: tuple[str, ...] | None = Field(default=None, description="names; None: all the usual ones whose table was delivered")
    periods: dict[Annotated[str, Field(pattern="^[a-z_]+$")], dict[str, Span]] = Field(
        default={}, description="columns to break results down by: for each level its first and last month"
    )
    look_back: LookBackSpec = LookBackSpec()

    @model_validator(mode="after")
    def _in_order(self) -> CohortSpec:
        if self.first_month > self.last_month:
            raise ValueError("first_month must not lie after last_month")
        if self.youngest > self.oldest:
            raise ValueError("youngest must not be above oldest")
        if any(before >= after for before, after in pairwise(self.duration_bands_days)):
            raise ValueError("duration_bands_days must rise")
        return self

    @field_validator("periods")
    @classmethod
    def _apart(cls, periods: dict[str, dict[str, tuple[dt.date, dt.date]]]) -> dict[str, dict[str, tuple[dt.date, dt.date]]]:
        taken = sorted(periods.keys() & {TRIAL, BAND, *COVARIATES})
        if taken:
            raise ValueError(f"{', '.join(taken)}: is the name of another column; choose another")
        for name, levels in periods.items():
            spans = sorted(levels.values())
            if any(first > last for first, last in spans) or any(before[1] >= after[0] for before, after in pairwise(spans)):
                raise ValueError(f"{name}: levels must begin before they end, and not overlap")
        return periods

    @field_validator("look_back")
    @classmethod
    def _enough(cls, asked: LookBackSpec) -> LookBackSpec:
        usual = LookBackSpec()
        kept = all(set(getattr(usual, name)) <= set(getattr(asked, name)) for name in ("windows_days", "states", "sick_windows_days"))
        if not kept or asked.earnings_years < usual.earnings_years:
            raise ValueError("the covariates are made of the usual windows, groups and years: add to them, or redefine a group, but take none away")
        return asked

    @property
    def municipalities(self) -> tuple[str, ...]:
        """The codes of the municipalities people must live in; none: every one."""
        return (self.municipality,) if isinstance(self.municipality, str) else self.municipality or ()

    @property
    def last_day(self) -> dt.date:
        """The last day on which a trial can begin: nothing later decides who is in the cohort."""
        return self.last_month.replace(day=calendar.monthrange(self.last_month.year, self.last_month.month)[1])

    @property
    def bands(self) -> tuple[str, ...]:
        """The levels of duration_band, from the shortest."""
        cuts = (0, *self.duration_bands_days)
        return (*(f"{low}-{high - 1}" for low, high in pairwise(cuts)), f"{cuts[-1]}-")


def cohort_schema(spec: CohortSpec, contract: Contract) -> Schema:
    """Say what every column of a cohort and its levels are called."""
    fields = [covariate_field(covariate.name, covariate.titles, covariate.levels) for covariate in COVARIATES.values()]
    months = pd.period_range(spec.first_month, spec.last_month, freq="M").astype(str)
    fields.append(covariate_field(TRIAL, ("Startmånad", "Month of start"), {month: (month, month) for month in months}))
    fields.append(covariate_field(BAND, ("Tid i JUG", "Time in JUG"), _band_labels(spec)))
    known = {field.name: field for field in contract.tables["projekt_deltagande"].fields}
    for name, levels in spec.periods.items():
        titles, words = _PERIODS.get(name, (name, name)), dict(_PERIOD_LEVELS)
        if name in known:
            titles = (known[name].titles["sv"], known[name].titles["en"])
            words |= {level: (labels["sv"], labels["en"]) for level, labels in known[name].levels.items()}
        fields.append(covariate_field(name, titles, {level: words.get(level, (level, level)) for level in (*levels, OTHER_TIME)}))
    return Schema("cohort", tuple(fields))


def _band_labels(spec: CohortSpec) -> dict[str, tuple[str, str]]:
    months = [round(days / DAYS_PER_MONTH) for days in (0, *spec.duration_bands_days)]
    labels = [(f"{low}–{high} månader", f"{low}–{high} months") for low, high in pairwise(months)]
    labels.append((f"minst {months[-1]} månader", f"{months[-1]} months or more"))
    return {**dict(zip(spec.bands, labels, strict=True)), OUTSIDE_JUG: ("inte i JUG", "not in JUG")}
