"""In which words, and through which gate, is a study told?"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.errors import InputError, Problem
from evaluation.plan import Plan, RegisterPlan
from evaluation.plan_sections import Language
from evaluation.registers.origin import DEFINITIONS, NO, UNKNOWN, YES
from evaluation.registers.schema import Schema
from evaluation.release.ledger import LEDGER, Ledger, read_ledger
from evaluation.release.passage import ReleasedStudy, release_design, release_study, tells_of_few
from evaluation.release.released import Passage, ReleasedNumber
from evaluation.release.rules import ReleaseRules, release_rules
from evaluation.release.telling import Telling
from evaluation.reporting import figures
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.wording import Voice, excludes_zero, sentence_case
from evaluation.study import Design, Study

_T = TypeVar("_T")
_DONE: WeakKeyDictionary[object, dict[Hashable, Any]] = WeakKeyDictionary()  # pages in both languages tell of one passage


class Interval(Protocol):
    """A number with an interval, as the gate gives it or as it was estimated."""

    @property
    def value(self) -> float | None:
        """The number; None where it is withheld."""

    @property
    def low(self) -> float | None:
        """Lower end."""

    @property
    def high(self) -> float | None:
        """Upper end."""


@dataclass(frozen=True)
class Scene:
    """What every table needs: the plan's words, the language, the labels, the gate.

    Attributes
    ----------
    plan : Plan
    voice : Voice
    schema : Schema
    gate : Gate
        The threshold, for what is shown of the design and by pages within the house.
    released : ReleasedStudy or None
        What of the study has come through the gate; None where no study is told of.
    inputs : tuple of mapping
        The tables the study was made of, as `table_inputs` gives them; exact, and told through the gate.
    code : mapping
        Of which commit the code is, as `code_state` gives it.
    """

    plan: Plan
    voice: Voice
    schema: Schema
    gate: Gate
    released: ReleasedStudy | None = None
    inputs: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    code: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def passed(self) -> ReleasedStudy:
        """Give what has come through the gate."""
        if self.released is None:
            raise InputError([Problem("page", "tells of a study that has not passed the gate", "set its scene with scene_of(study, language)")])
        return self.released

    @property
    def rules(self) -> ReleaseRules:
        """Give the rules of the gate; a page within the house, without a study, hides few and rounds nothing."""
        return ReleaseRules(threshold=self.gate.threshold, base=1) if self.released is None else self.released.rules

    @property
    def telling(self) -> Telling:
        """Give by what every number that is no count passes; a page within the house holds none against earlier ones."""
        return Telling(self.rules) if self.released is None else self.released.telling

    @property
    def treated(self) -> str:
        """Give the treated's short label."""
        return self.plan.wording.treated_label.within(self.voice.language)

    @property
    def control(self) -> str:
        """Give the controls' short label."""
        return self.plan.wording.control_label.within(self.voice.language)

    @property
    def drawn(self) -> bool:
        """Say whether the people to compare with were drawn, so that how many they are says nothing."""
        return isinstance(self.plan, RegisterPlan) and self.plan.cohort.candidates is not None

    @property
    def from_offer(self) -> bool:
        """Say whether people are counted from the offer of a place."""
        return isinstance(self.plan, RegisterPlan) and self.plan.cohort.time_zero == "offer"

    @property
    def probability(self) -> str:
        """Give what to call the propensity, whose level depends on the draw where there was one."""
        return self.voice("probability_drawn" if self.drawn else "probability")

    def names(self) -> dict[str, str]:
        """Give the plan's words for messages."""
        wording, language = self.plan.wording, self.voice.language
        texts = {
            "treated": wording.treated,
            "control": wording.control,
            "success": wording.success,
            "programme": wording.programme,
            "not_yet": wording.not_yet,
        }
        return {key: text.within(language) for key, text in texts.items()} | self._adjustment()

    def _adjustment(self) -> dict[str, str]:
        """Give what to call the way the groups were made alike."""
        kind = "matching" if self.plan.weighting is None else "weighting"
        the = self.voice(f"the_{kind}_noun")
        return {"adjustment": self.voice(f"{kind}_noun"), "the_adjustment": the, "The_adjustment": sentence_case(the)}

    def column(self, name: str) -> str:
        """Give what to call a column."""
        return self.schema.title(name, self.voice.language)

    def column_within(self, name: str) -> str:
        """Give what to call a column within a sentence, without its capital; abbreviations and what begins with the programme's name keep theirs."""
        title = self.column(name)
        kept = title[1:2].isupper() or title.startswith(self.names()["programme"])
        return title if kept else f"{title[:1].lower()}{title[1:]}"

    def breakdown(self, by: str) -> str:
        """Give what to call a breakdown or a crossing of several."""
        first, *others = by.split(" x ")
        return self.voice("crossed").join([self.column(first), *map(self.column_within, others)])

    def level(self, by: str, value: str) -> str:
        """Give what to call a level of a breakdown or crossing."""
        names, parts = by.split(" x "), value.split(" x ")
        pairs = zip(names, parts, strict=True) if len(names) == len(parts) else [(by, value)]
        return ", ".join(self._level(name, part) for name, part in pairs)

    def in_order(self, by: str, levels: Iterable[str]) -> list[str]:
        """Put the levels of a breakdown of one column in the order of the schema; those it does not know, and crossings, as they come."""
        known = {level: place for field in self.schema.fields if field.name == by for place, level in enumerate(field.levels)}
        return sorted(levels, key=lambda level: known.get(level, known.get(number_as_text(level), len(known))))

    def _level(self, name: str, value: str) -> str:
        if name in DEFINITIONS and value in (YES, NO, UNKNOWN):
            return self.voice(f"{name}_{value}")  # "yes" would not say to what
        label = self.schema.level(name, value, self.voice.language)
        return self.schema.level(name, number_as_text(value), self.voice.language) if label == value else label

    def covariate(self, variable: str, level: str) -> str:
        """Give what to call a covariate, with its level where it has levels."""
        name = self.column(variable)
        return f"{name}: {self.schema.level(variable, level, self.voice.language)}" if level else name

    def state(self, state: str) -> str:
        """Give what to call a kind of exit."""
        return self.plan.state_label(state, self.voice.language)

    def hides_effects(self, *found: Effects) -> bool:
        """Say whether means, ratios and tests of these effects would tell of few people, with or without success, in either group."""
        return any(tells_of_few(effects, self.rules) for effects in found)

    def few_or(self, count: float | None) -> str:
        """Write a count that has come through the gate, or an effective number; of what is below the threshold, that it is."""
        return f"<{self.gate.threshold}" if count is None or count < self.gate.threshold else self.voice.count(round(count))

    def shown(self, count: int | None) -> str:
        """Write a count that has come through the gate."""
        return HIDDEN if count is None else self.voice.count(count)

    def between(self, before: int | None, after: int | None) -> str:
        """Write how many lie between two counts that have come through the gate; that two are alike does not tell that it is nobody."""
        if before is None or after is None:
            return HIDDEN
        same = before == after and not self.rules.exact
        return f"0–{self.rules.base - 1}" if same else self.voice.count(before - after)

    def share(self, number: Interval) -> str:
        """Write a share with its interval."""
        if number.value is None:
            return HIDDEN
        return f"{self.voice.number(100 * number.value)} ({self.share_range(number)})"

    def share_range(self, number: Interval) -> str:
        """Write a share's interval in per cent."""
        return self.voice.share_range(_told(number))

    def p_value(self, number: ReleasedNumber) -> str:
        """Write a p-value that has come through the gate as it stands in a sentence."""
        return HIDDEN if number.value is None else self.voice.p_value(number.value, self.p_decimals)

    @property
    def p_decimals(self) -> int:
        """Give the decimals of a p-value: its statistic is told in tenths, or coarser, and the third would say what it does not know."""
        return 3 if self.rules.exact else 2

    def points(self, number: Interval) -> str:
        """Write a difference of shares in percentage points."""
        return HIDDEN if number.value is None else self.voice.points(_told(number))

    def point_range(self, number: Interval) -> str:
        """Write the interval of a difference of shares."""
        return HIDDEN if number.value is None else self.voice.point_range(_told(number))

    def farthest_point(self, number: Interval) -> str:
        """Write how large, up or down, a difference of shares may be."""
        return self.voice.farthest_point(_told(number))


def sure(number: Interval) -> bool:
    """Say whether an interval lies on one side of zero."""
    return excludes_zero(_told(number))


def _told(number: Interval) -> Estimate:
    return cast("Estimate", number)  # the voice reads no more than value, low and high, and is asked of shown numbers only


def scene_of(study: Study | Design, language: Language, release: Mapping[str, float] | None = None) -> Scene:
    """Set the scene of a study, or of a design whose outcomes are closed, in one language, behind the gate.

    Parameters
    ----------
    study : Study or Design
    language : {"sv", "en"}
    release : mapping of str to float, optional
        What the site's file says of its rules (`Site.release`).

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        If the rules are none, or earlier releases give the study's counts away.
    """
    design = study.design if isinstance(study, Study) else study
    released, _ = passage_of(study, release_rules(design.plan.disclosure.threshold, release))
    return Scene(design.plan, Voice(language, design.plan.unit), design.schema, Gate(released.rules.threshold), released)


def passage_of(study: Study | Design, rules: ReleaseRules) -> tuple[ReleasedStudy, Passage]:
    """Let a study through once, however many pages tell of it, beside what the ledger in the study's folder says was released before.

    Parameters
    ----------
    study : Study or Design
    rules : ReleaseRules

    Returns
    -------
    ReleasedStudy, Passage
        The second is for who reviews, and is not released (`review_tables`).

    Raises
    ------
    InputError
        If the ledger is none, or what was released before gives the study's counts away.
    """
    plan = study.design.plan if isinstance(study, Study) else study.plan
    ledger = ledger_of(plan)
    counts, curves = (ledger.earlier(population) for population in populations(plan))
    numbers = ledger.numbers(numbers_of(plan))

    def through() -> tuple[ReleasedStudy, Passage]:
        return release_study(study, rules, counts, curves, numbers) if isinstance(study, Study) else release_design(study, rules, counts, numbers)

    return once(study, (rules, ledger.to_csv()), through)


def ledger_of(plan: Plan) -> Ledger:
    """Read what has been released of a study: the ledger beside its plan, empty where there is none."""
    return read_ledger(plan.folder / LEDGER if plan.name else None)


def populations(plan: Plan) -> tuple[str, str]:
    """Name a study's people, and the counts its curves are drawn of, as the ledger knows them."""
    return plan.name, f"{plan.name}, curves"


def numbers_of(plan: Plan) -> str:
    """Name what is told of a study beside counts, as the ledger knows it."""
    return f"{plan.name}, numbers"


def once(of: object, key: Hashable, make: Callable[[], _T]) -> _T:
    """Give what has been made of a result before, or make it; it is forgotten with the result.

    Parameters
    ----------
    of : object
        A result, which does not change.
    key : hashable
        What is made of it, and by which rules.
    make : callable

    Returns
    -------
    What `make` gives, or gave.
    """
    known = _DONE.setdefault(of, {})
    if key not in known:
        known[key] = make()
    made: _T = known[key]
    return made


def figure_words(scene: Scene) -> figures.Words:
    """Give the words on the figures."""
    voice = scene.voice
    return figures.Words(
        treated=scene.treated,
        control=scene.control,
        everybody=sentence_case(voice("before", **scene.names())),
        compared=sentence_case(voice("after", **scene.names())),
        score_axis=scene.probability,
        group_share_axis=voice("group_share_axis"),
        before=sentence_case(voice("before", **scene.names())),
        after=sentence_case(voice("after", **scene.names())),
        limit=voice("limit"),
        smd_axis=voice("love_axis"),
        share_axis=voice("share_axis", success=scene.names()["success"]),
        time_axis=sentence_case(voice("time_axis", units=voice.units())),
        at_risk=voice("at_risk"),
        difference_axis=voice("forest_axis"),
        fewer=voice("fewer_side"),
        more=voice("more_side"),
        percent=voice.percent_sign,
        number=voice.number,
    )


def number_as_text(value: str) -> str:
    """Write "1.0" as a category list does, "1"."""
    return value.removesuffix(".0") if value.replace(".", "", 1).isdigit() else value
