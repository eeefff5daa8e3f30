"""The analysis plan: what is asked, decided and written down before anybody sees a result.

`reports/<study>/plan.toml` holds one study in the words of the evaluation; here it becomes the frozen specs of the rooms. A study starts at registers
(`RegisterPlan`, known by its section `[registers]`) or at one table with a row per person (`TablePlan`). An unknown key is an error that names the
nearest valid one, and all problems of a plan are told at once.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from evaluation.analysis.costs import CostSpec
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.exits import EARNINGS, Definition, OutcomeSpec
from evaluation.analysis.goals import GoalSpec
from evaluation.analysis.outcomes import TimeUnit
from evaluation.claims import claims_of_plan
from evaluation.design.cardinality import CardinalitySpec
from evaluation.design.coarsened import CoarsenedSpec
from evaluation.design.cohort_spec import BAND, SEX, TRIAL, CohortSpec
from evaluation.design.covariates import COVARIATES
from evaluation.design.designs import AnyDesign
from evaluation.design.full import FullSpec
from evaluation.design.matching import MatchingSpec
from evaluation.design.optimal import OptimalSpec
from evaluation.design.propensity import PropensitySpec
from evaluation.design.subclasses import SubclassSpec
from evaluation.design.support import SupportSpec
from evaluation.design.verdict import DesignLimits
from evaluation.design.weighting import WeightingSpec
from evaluation.errors import PlanError, Problem
from evaluation.plan_sections import (
    CohortSection,
    DataSection,
    DisclosureSection,
    EffectsSection,
    Language,
    OutcomeSection,
    RegistersSection,
    Section,
    SubgroupSection,
    Text,
    Wording,
)
from evaluation.registers.contract import load_contract
from evaluation.registers.origin import DEFINITIONS

_ALIKE = 0.7  # likeness of two names, from 0 to 1, above which one may be a misspelling of the other


def _method(section: object) -> object:
    """Give the method a section [matching] names: nearest neighbours where it names none."""
    return section.get("method", "nearest") if isinstance(section, Mapping) else getattr(section, "method", None)


Matching = Annotated[
    Annotated[MatchingSpec, Tag("nearest")]
    | Annotated[OptimalSpec, Tag("optimal")]
    | Annotated[FullSpec, Tag("full")]
    | Annotated[CoarsenedSpec, Tag("coarsened")]
    | Annotated[SubclassSpec, Tag("subclasses")]
    | Annotated[CardinalitySpec, Tag("cardinality")],
    Discriminator(_method),
]
_METHODS: dict[str | int, type[BaseModel]] = {
    str(spec.model_fields["method"].default): spec for spec in (MatchingSpec, OptimalSpec, FullSpec, CoarsenedSpec, SubclassSpec, CardinalitySpec)
}


class Plan(Section, ABC):
    """One study, decided beforehand: what every plan says, wherever its people come from.

    `folder` and `sha256` say where the plan was read from and what it then said.
    """

    wording: Wording
    propensity: PropensitySpec = PropensitySpec()
    support: SupportSpec | None = Field(default=None, description="who is left out where the groups do not overlap; left out: nobody")
    matching: Matching = MatchingSpec()
    weighting: WeightingSpec | None = Field(default=None, description="instead of a section [matching]: people are weighted, and nobody is paired")
    limits: DesignLimits = DesignLimits()
    effects: EffectsSection
    subgroups: SubgroupSection = SubgroupSection()
    disclosure: DisclosureSection = DisclosureSection()
    goals: GoalSpec | None = Field(default=None, description="the goals of the project and how they are followed; left out: not reported")
    costs: CostSpec | None = Field(default=None, description="what is known of money; left out: no ledgers")
    strict: bool = Field(default=False, description="refuse to open the outcomes if a design check fails")
    folder: Path = Path()
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _one_comparison(cls, values: object) -> object:
        if isinstance(values, Mapping) and "matching" in values and "weighting" in values:
            raise ValueError("the comparison is made in one way: give a section [matching] or a section [weighting], not both")
        return values

    @property
    def comparison(self) -> AnyDesign:
        """How the comparison is made."""
        return self.weighting or self.matching

    @property
    @abstractmethod
    def unit(self) -> TimeUnit:
        """The study's unit of time."""

    @abstractmethod
    def days(self, time: float) -> float:
        """Give a time in the study's unit in days."""

    @property
    @abstractmethod
    def success(self) -> tuple[str, ...] | None:
        """The states that count as success; None: every exit."""

    @abstractmethod
    def state_label(self, state: str, language: Language) -> str:
        """Give what an exit or state is called."""

    @abstractmethod
    def source(self, language: Language) -> str:
        """Say whose data these are."""

    @property
    def name(self) -> str:
        """The study's short name: its folder's."""
        return self.folder.name

    @property
    def primary_days(self) -> float:
        """The horizon of the answer, in days."""
        return self.days(self.effects.primary if self.effects.primary is not None else self.effects.horizons[-1])

    def effect_spec(self) -> EffectSpec:
        """Give the effects asked for, in days."""
        restricted = self.effects.restricted_mean if self.effects.restricted_mean is not None else self.effects.horizons[-1]
        return EffectSpec(
            horizons_days=tuple(map(self.days, self.effects.horizons)),
            rmst_days=self.days(restricted),
            success=self.success,
            level=self.effects.level,
            smallest_arm=self.effects.smallest_arm,
        )


class TablePlan(Plan):
    """A study of one table with a row per person and durations ready-made."""

    data: DataSection
    cohort: CohortSection
    outcome: OutcomeSection

    @model_validator(mode="after")
    def _design_before_outcomes(self) -> TablePlan:
        used = {*self.cohort.covariates, *self.cohort.strata, *self.comparison.exact, *self.subgroups.columns}
        outcomes = sorted(used & set(self.outcome.columns))
        if outcomes:
            raise ValueError(
                f"the design must not use an outcome; take {', '.join(outcomes)} out of the covariates, strata, exact columns and subgroups"
            )
        if self.cohort.treated in used:
            raise ValueError(f"the design must not use {self.cohort.treated}, which says who is treated, as a characteristic; take it out")
        return self

    @property
    def data_file(self) -> Path:
        """Where the table is."""
        return self.folder / self.data.file

    @property
    def unit(self) -> TimeUnit:
        """The unit the table's durations are in."""
        return TimeUnit.named(self.outcome.unit)

    def days(self, time: float) -> float:
        """Give a time in the table's unit in days."""
        return time * self.unit.days

    @property
    def success(self) -> tuple[str, ...] | None:
        """The kinds of exit that count as success; None: every one."""
        return self.outcome.success

    def state_label(self, state: str, language: Language) -> str:
        """Give what a kind of exit is called; its name in the table where the plan has no label for it."""
        label = self.outcome.labels.get(state)
        return label.within(language) if label else state

    def source(self, language: Language) -> str:
        """Say whose table it is."""
        return self.data.source.within(language)


class RegisterPlan(Plan):
    """A study that starts at registers: sequential risk sets, outcomes observed in the registers, time in months."""

    registers: RegistersSection
    cohort: CohortSpec
    matching: Matching = MatchingSpec(exact=(TRIAL, BAND))
    outcome: OutcomeSpec = OutcomeSpec()

    @field_validator("matching", "weighting", mode="before")
    @classmethod
    def _exact_on_time(cls, value: object) -> object:
        """Match within calendar month and time in JUG, unless the plan says which columns are exact."""
        return {"exact": (TRIAL, BAND), **value} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _of_known_columns(self) -> RegisterPlan:
        usual = [name for name, covariate in COVARIATES.items() if covariate.usual]
        asked = usual if self.cohort.covariates is None else self.cohort.covariates
        known = list(dict.fromkeys([TRIAL, BAND, SEX, *DEFINITIONS, *self.cohort.periods, *asked]))
        problems = [
            Problem.unknown(where, f"{name} is not {what}", name, columns)
            for where, names, what, columns in (
                ("cohort.covariates", self.cohort.covariates or (), "a covariate", COVARIATES),
                (f"{'weighting' if self.weighting else 'matching'}.exact", self.comparison.exact, "a column of the cohort", known),
                ("subgroups", self.subgroups.columns, "a column of the cohort", known),
            )
            for name in names
            if name not in columns
        ]
        if problems:
            raise ValueError("; and ".join(map(str, problems)))
        return self

    @property
    def data_folder(self) -> Path:
        """Where the study's registers are, unless a site file says otherwise."""
        return self.folder / "data"

    @property
    def unit(self) -> TimeUnit:
        """Months."""
        return TimeUnit.MONTH

    def days(self, time: float) -> float:
        """Give a time in months in whole days, as the registers count."""
        return round(time * TimeUnit.MONTH.days)

    @property
    def success(self) -> tuple[str, ...]:
        """The states that are success by the plan's definition."""
        return self.outcome.success(load_contract())

    @property
    def other_outcomes(self) -> tuple[OutcomeSpec, ...]:
        """What the outcome would be by the other definitions of success."""
        return tuple(self.outcome.model_copy(update={"definition": name}) for name in get_args(Definition) if name != self.outcome.definition)

    def state_label(self, state: str, language: Language) -> str:
        """Give what a labour-market state is called, as it stands within a sentence."""
        label = _state_labels()[language].get(state, state)
        return f"{label[:1].lower()}{label[1:]}"

    def source(self, language: Language) -> str:
        """Say whose registers these are."""
        return self.registers.source.within(language)


@cache
def _state_labels() -> dict[Language, dict[str, str]]:
    """Give what the states of codes/tillstand.csv are called, and work of which only the pay is known."""
    entries = load_contract().codes["tillstand"].entries
    swedish, english = (dict(zip(entries["kod"], entries[column], strict=True)) for column in ("benamning_sv", "label_en"))
    return {"sv": swedish | {EARNINGS: "arbete"}, "en": english | {EARNINGS: "work"}}


def load_plan(path: str | Path) -> TablePlan | RegisterPlan:
    """Read a study's plan.

    Parameters
    ----------
    path : str or Path
        The plan file, or the folder that holds `plan.toml`.

    Returns
    -------
    TablePlan or RegisterPlan
        The latter if there is a section `[registers]`.

    Raises
    ------
    PlanError
        If the file is absent or not TOML, or with every key that is unknown, missing or wrong; unknown ones with the nearest valid key. Also with
        every text that says more than an evaluation can (`claims`).
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


def read_plan(values: Mapping[str, Any], *, folder: Path = Path(), sha256: str = "", name: str = "plan") -> TablePlan | RegisterPlan:
    """Read a plan from nested mappings, as tomllib gives them; otherwise as `load_plan`."""
    plan = RegisterPlan if difflib.get_close_matches("registers", values, n=1, cutoff=_ALIKE) else TablePlan
    reserved = {"folder", "sha256"} & set(values)
    if reserved:
        raise PlanError(f"{name}: {', '.join(sorted(reserved))} cannot be set in a plan; take it out")
    claims = [str(claim) for claim in claims_of_plan(values)]
    try:
        read = plan.model_validate({**values, "folder": folder, "sha256": sha256})
    except ValidationError as error:
        told = {_place(problem["loc"]): problem for problem in reversed(error.errors(include_input=False, include_url=False))}
        lines = [_sentence(plan, where, problem["loc"], problem["type"], problem["msg"]) for where, problem in reversed(told.items())]
        raise _plan_error(name, [*lines, *claims]) from None
    if claims:
        raise _plan_error(name, claims)
    return read


def _plan_error(name: str, lines: list[str]) -> PlanError:
    count = len(lines)
    listing = "\n".join(f"  {position}. {line}" for position, line in enumerate(lines, start=1))
    return PlanError(f"{name} ({count} problem{'s' * (count != 1)}):\n{listing}")


def _place(location: tuple[str | int, ...]) -> str:
    """Write where in the plan; pydantic adds the name of each type it tried, and the method of a section [matching], which are not keys."""
    method = location[1:2] if location[:1] == ("matching",) and location[1:2] and location[1] in _METHODS else ()
    keys = [part for part in location if part not in ("str", "int", "bool", "tuple[str, ...]", *method)]
    return ".".join(map(str, keys)) or "plan"


def _sentence(plan: type[Plan], where: str, location: tuple[str | int, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _keys_at(plan, location[:-1]), n=1, cutoff=0.4)
        return f"{where}: is not a key of the plan" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "missing":
        return f"{where}: must be given"
    if kind == "union_tag_invalid":
        return f"{where}: must have one of the methods {', '.join(map(str, _METHODS))}"
    return f"{where}: {message.removeprefix('Value error, ')[:1].lower()}{message.removeprefix('Value error, ')[1:]}"


def _keys_at(plan: type[Plan], location: tuple[str | int, ...]) -> list[str]:
    """Give the valid keys of the section at `location`."""
    section: Any = plan
    if location[:1] == ("matching",):
        section, location = _METHODS[location[1]], location[2:]
    for part in location:
        field = section.model_fields.get(str(part)) if isinstance(section, type) and issubclass(section, BaseModel) else None
        if field is None:
            return list(Text.model_fields)
        section = next((kind for kind in get_args(field.annotation) if kind is not type(None)), field.annotation)  # a section may be left out
    fields = section.model_fields if isinstance(section, type) and issubclass(section, BaseModel) else Text.model_fields
    return [key for key in fields if key not in ("folder", "sha256")]
