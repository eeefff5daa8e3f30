"""What is the answer, in a few sentences? Each is chosen by rule from the estimates, and says no more than they do."""

from __future__ import annotations

from evaluation.plan import RegisterPlan
from evaluation.reporting import journey
from evaluation.reporting.blocks import Block, Paragraph, Section
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.scene import Scene
from evaluation.reporting.wording import check_sentence, excludes_zero, sentence_case
from evaluation.study import Study


def answer_section(study: Study, scene: Scene) -> Section:
    """Answer the question of the study, or say that its design cannot."""
    voice = scene.voice
    if not study.design.verdict.passed:
        failed = "; ".join(check_sentence(check, voice) for check in study.design.verdict.failed)
        blocks: tuple[Block, ...] = (Paragraph(voice("unsupported_lead"), "lead"), Paragraph(voice("verdict_failed", checks=failed)))
        return Section("answer", voice("answer"), blocks, "answer unsupported")
    offered = [Paragraph(voice("from_the_offer"))] if scene.from_offer else []
    return Section("answer", voice("answer"), (*answer_blocks(study, scene), *offered, *_main_limitation(scene)), "answer")


def answer_blocks(study: Study, scene: Scene) -> list[Block]:
    """Give the levels and their difference in words, what it means, and of a register study what it consists of and how it stands against never."""
    voice, effects, horizon = scene.voice, study.effects, scene.plan.primary_days
    names = _names(study, scene)
    treated, control = (effects.arms[arm].risk[horizon] for arm in ("treated", "control"))
    difference = effects.risk_difference[horizon]
    if HIDDEN in (scene.share(treated), scene.share(control)):
        return [Paragraph(voice("answer_hidden"), "lead")]
    numbers = {
        "horizon": voice.span(horizon),
        "p": voice.percent(treated.value),
        "p_range": voice.share_range(treated),
        "q": voice.percent(control.value),
        "q_range": voice.share_range(control),
    }
    if isinstance(scene.plan, RegisterPlan):
        began = voice("who_were_offered" if scene.from_offer else "who_started", **names)
        counterpart = [voice("have_counterpart")] if study.design.comparison.unmatched.any() else []
        followed = [voice("can_be_followed")] if treated.n < effects.arms["treated"].n else []
        conditions = voice.listing([began, *counterpart, *followed])
        levels = voice("answer_people", n=voice.count(treated.n), conditions=conditions, **names, **numbers)
    else:
        levels = voice("answer_share", **names, **numbers)
    gap = voice("answer_difference", d=voice.points(difference), range=voice.point_range(difference))
    spread = min(treated.std_error, control.std_error) > 0
    direction = "no_spread" if not spread else "uncertain" if not excludes_zero(difference) else "more" if difference.value > 0 else "fewer"
    meaning = voice(direction, **names, most=voice.farthest_point(difference))
    if direction in ("more", "fewer") and study.design.verdict.passed:
        meaning = f"{meaning} {voice('contribution', **names)}"
    checks = [*journey.subsidised_sentence(study, scene), *journey.never_sentence(study, scene)]
    blocks: list[Block] = [Paragraph(f"{levels} {gap} {meaning}", "lead"), *([Paragraph(" ".join(checks))] if checks else [])]
    return [*blocks, *_mean_time(study, scene)]


def _names(study: Study, scene: Scene) -> dict[str, str]:
    names = scene.names()
    if study.design.comparison.unmatched.any() and not isinstance(scene.plan, RegisterPlan):
        names["treated"] = scene.voice("with_counterpart", treated=names["treated"])
    return names


def _mean_time(study: Study, scene: Scene) -> list[Block]:
    effects, fine = study.effects, scene.voice.fine()
    mean, until, unit = effects.rmst_difference, effects.spec.rmst_days, fine.unit.days
    treated, control = (effects.arms[arm].rmst for arm in ("treated", "control"))
    if mean is None or until is None or treated is None or control is None or scene.hides_effects(effects):
        return []
    sentence = scene.voice(
        "restricted_mean",
        **_names(study, scene),
        horizon=scene.voice.span(until, first=True),
        units=fine.units(),
        t=fine.amount(treated.value),
        c=fine.amount(control.value),
        d=fine.signed(mean.value / unit),
        range=fine.range(mean.low / unit, mean.high / unit, signed=True),
    )
    others = journey.other_exits(study, scene) if study.journey is None else []  # a register study says it where it splits the exits up
    return [Paragraph(" ".join([sentence_case(sentence), *others]))]


def _main_limitation(scene: Scene) -> list[Block]:
    limitations = scene.plan.wording.limitations
    if not limitations:
        return []
    return [Paragraph(scene.voice("main_limitation", text=limitations[0].within(scene.voice.language)))]
