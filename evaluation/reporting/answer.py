"""What is the answer, in a few sentences? Each is chosen by rule from the estimates, and says no more than they do."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.analysis.curves import ARMS
from evaluation.plan import RegisterPlan
from evaluation.release.contrasts import ReleasedContrast
from evaluation.reporting import journey, tables
from evaluation.reporting.blocks import Block, Paragraph, Section
from evaluation.reporting.scene import Scene, sure
from evaluation.reporting.wording import sentence_case
from evaluation.study import Study


def answer_section(study: Study, scene: Scene) -> Section:
    """Answer the question of the study, or say that its design cannot."""
    voice = scene.voice
    if not study.design.verdict.passed:
        failed = tables.failed_requirements(study.design, scene)
        blocks: tuple[Block, ...] = (Paragraph(voice("unsupported_lead"), "lead"), Paragraph(voice("verdict_failed", checks=failed)))
        return Section("answer", voice("answer"), blocks, "answer unsupported")
    offered = [Paragraph(voice("from_the_offer"))] if scene.from_offer else []
    return Section("answer", voice("answer"), (*answer_blocks(study, scene), *offered, *_main_limitation(scene)), "answer")


def answer_blocks(study: Study, scene: Scene) -> list[Block]:
    """Give the levels and their difference in words, what it means, and of a register study what it consists of and how it stands against never."""
    voice, effects, horizon = scene.voice, study.effects, scene.plan.primary_days
    names = _names(study, scene)
    found = scene.passed.effects[horizon]
    treated, control, difference = found.treated, found.control, found.difference
    if treated.value is None or control.value is None or difference.value is None:
        return [Paragraph(voice("answer_hidden"), "lead")]
    numbers = {
        "horizon": voice.span(horizon),
        "level": voice.number(100 * effects.spec.level, 0),
        "p": voice.percent(treated.value),
        "p_range": scene.share_range(treated),
        "q": voice.percent(control.value),
        "q_range": scene.share_range(control),
    }
    of_people = isinstance(scene.plan, RegisterPlan)
    levels = _levels_of_people(study, scene, found, numbers) if of_people else voice("answer_share", **names, **numbers)
    gap = voice("answer_difference", d=scene.points(difference), range=scene.point_range(difference))
    spread = min(effects.arms[arm].risk[horizon].std_error for arm in ARMS) > 0
    direction = "no_spread" if not spread else "uncertain" if not sure(difference) else "more" if difference.value > 0 else "fewer"
    meaning = voice(direction, **names, most=scene.farthest_point(difference))
    if direction in ("more", "fewer") and study.design.verdict.passed:
        meaning = f"{meaning} {voice('contribution', **names)}"
    checks = [*journey.subsidised_sentence(study, scene), *journey.never_sentence(study, scene), *tables.rounding_note([found], scene)]
    blocks: list[Block] = [Paragraph(f"{levels} {gap} {meaning}", "lead"), *([Paragraph(" ".join(checks))] if checks else [])]
    return [*blocks, *_mean_time(study, scene)]


def _levels_of_people(study: Study, scene: Scene, found: ReleasedContrast, numbers: Mapping[str, str]) -> str:
    """Say of how many of those who began the shares are, where both have come through the gate and more than few lie between; otherwise of whom."""
    voice, names, compared = scene.voice, scene.names(), found.people[0]
    began = voice("who_were_offered" if scene.from_offer else "who_started", **names)
    followed = compared != scene.passed.people("treated")
    steps = study.design.comparison.attrition["step"].tolist()
    first = "offered" if scene.from_offer else "started"
    everybody = scene.passed.step("treated", steps.index(first)) if first in steps else None
    if everybody is not None and compared is not None and everybody > compared and not scene.gate.hides(everybody - compared):
        how = voice("compared_and_followed", horizon=numbers["horizon"]) if followed else voice("compared_people")
        return voice("answer_of_all", all=scene.shown(everybody), began=began, n=scene.shown(compared), compared=how, **names, **numbers)
    counterpart = [voice("have_counterpart")] if some_lost(study, scene) else []
    conditions = voice.listing([began, *counterpart, *([voice("can_be_followed")] if followed else [])])
    return voice("answer_people", n=scene.shown(compared), conditions=conditions, **names, **numbers)


def _names(study: Study, scene: Scene) -> dict[str, str]:
    names = scene.names()
    if some_lost(study, scene) and not isinstance(scene.plan, RegisterPlan):
        names["treated"] = scene.voice("with_counterpart", treated=names["treated"])
    return names


def some_lost(study: Study, scene: Scene) -> bool:
    """Say whether treated people without a counterpart are told of; that there is one of them, and no more, is not."""
    return tables.lost_treated(study.design, scene)[0] != 0


def _mean_time(study: Study, scene: Scene) -> list[Block]:
    until, found = study.effects.spec.rmst_days, scene.passed.mean
    if found is None or until is None or found.hidden:
        return []
    fine, (treated, control, gap, interval) = scene.voice.fine(), tables.mean_cells(found, scene)
    horizon = scene.voice.span(until, first=True)
    sentence = scene.voice(
        "restricted_mean", **_names(study, scene), horizon=horizon, units=fine.units(), t=treated, c=control, d=gap, range=interval
    )
    others = journey.other_exits(study, scene) if study.journey is None else []  # a register study says it where it splits the exits up
    return [Paragraph(" ".join([sentence_case(sentence), *others]))]


def _main_limitation(scene: Scene) -> list[Block]:
    limitations = scene.plan.wording.limitations
    if not limitations:
        return []
    return [Paragraph(scene.voice("main_limitation", text=limitations[0].within(scene.voice.language)))]
