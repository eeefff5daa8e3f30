"""In which words, and through which gate, is a study told?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.plan import Language, Plan, RegisterPlan
from evaluation.registers.origin import DEFINITIONS, NO, UNKNOWN, YES
from evaluation.registers.schema import Schema
from evaluation.reporting import figures
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.wording import Voice, sentence_case
from evaluation.study import Design


@dataclass(frozen=True)
class Scene:
    """What every table needs: the plan's words, the language, the labels, the gate."""

    plan: Plan
    voice: Voice
    schema: Schema
    gate: Gate

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

    def breakdown(self, by: str) -> str:
        """Give what to call a breakdown or a crossing of several."""
        return self.voice("crossed").join(self.column(name) for name in by.split(" x "))

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
        return any(self.gate.hides_outcome(arm.n, arm.events) for effects in found for arm in effects.arms.values())

    def share(self, estimate: Estimate) -> str:
        """Write a share with its interval through the gate."""
        text = f"{self.voice.number(100 * estimate.value)} ({self.voice.share_range(estimate)})"
        return self.gate.share(estimate.value, estimate.n, lambda _: text)


def scene_of(design: Design, language: Language) -> Scene:
    """Set the scene of a design, or of the study made with it, in one language, behind its plan's gate."""
    return Scene(design.plan, Voice(language, design.plan.unit), design.schema, Gate(design.plan.disclosure.threshold))


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
