"""What stands on the report's page, in reading order: the answer, who was compared, whether they are alike, what happened, for whom, and how.

If the design failed a check, the answer gives way to that fact and every estimate stands below the failed checks, under its own heading.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

from evaluation.analysis.outcomes import ANY
from evaluation.design.designs import Designs
from evaluation.plan import RegisterPlan
from evaluation.plan_sections import Language, words_to_replace
from evaluation.release.curves import ReleasedCurve
from evaluation.release.design_numbers import people_step
from evaluation.release.held import step_through
from evaluation.release.released import require_released
from evaluation.release.rules import release_rules
from evaluation.reporting import figures, tables
from evaluation.reporting.answer import answer_blocks, answer_section
from evaluation.reporting.balance import balance_section, support_blocks
from evaluation.reporting.blocks import Block, Page, Paragraph, Rows, Section, picture, results, spoken
from evaluation.reporting.costs import costs_section
from evaluation.reporting.designs import designs_section
from evaluation.reporting.figures.curves import draw_released_curve, draw_released_states
from evaluation.reporting.flow import flow_blocks
from evaluation.reporting.glance import glance
from evaluation.reporting.goals import goals_section
from evaluation.reporting.journey import journey_sections, other_exits
from evaluation.reporting.method import limitations_section, method_section
from evaluation.reporting.scene import Scene, figure_words, passage_of
from evaluation.reporting.sensitivity import certainty_section, sensitivity_section
from evaluation.reporting.states import released_states
from evaluation.reporting.subgroups import subgroup_section
from evaluation.reporting.wording import sentence_case
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Design, Study

PROPORTIONAL_P = 0.05  # below it the report says that the hazard ratio changes; a reading aid, not a gate


def compose_page(
    study: Study | Design, scene: Scene, *, linked: bool, alternatives: Designs | None = None, sensitivity: Sensitivity | None = None
) -> Page:
    """Put the page together; `linked` says whether the other language's page stands beside it."""
    rules = release_rules(scene.gate.threshold) if scene.released is None else scene.rules
    scene = replace(scene, released=passage_of(study, rules)[0])  # a scene of the design alone has not seen the outcomes
    require_released([scene.released, *scene.passed.curves.values(), *scene.passed.effects.values(), *scene.passed.groups.values()])
    design = study.design if isinstance(study, Study) else study
    voice, wording, language = scene.voice, design.plan.wording, scene.voice.language
    other: Language = "en" if language == "sv" else "sv"
    sections = [_who(design, scene), _overlap(design, scene), balance_section(design, scene), _verdict(design, scene)]
    sections += [designs_section(alternatives, design, scene)] if alternatives is not None else []
    if isinstance(study, Study):
        certainty, probes = certainty_section(study, sensitivity, scene), sensitivity_section(study, sensitivity, scene)
        goals = [goals_section(study.goals, scene)] if study.goals is not None else []
        costs = [costs_section(study, design.plan.costs, scene)] if design.plan.costs is not None else []
        answer = answer_section(study, scene)
        lines = glance(study, sensitivity, scene)
        answer = replace(answer, blocks=(*answer.blocks, lines)) if lines.items else answer
        sections = [answer, certainty, *goals, *sections, *_results(study, scene), probes, *costs]
    else:
        sections = [Section("answer", voice("not_opened"), (Paragraph(voice("not_opened_text"), "lead"),), "answer"), *sections]
    sections += [limitations_section(design, scene), method_section(study, scene)]
    if left := words_to_replace(design.plan):
        unfinished = Paragraph(voice("words_left", keys=voice.listing(left)), "warning")
        sections[0] = replace(sections[0], blocks=(unfinished, *sections[0].blocks))
    return Page(
        language=language,
        version=version("malmokraften-evaluation"),
        mark=voice("synthetic") if design.synthetic else "",
        kind=voice("report_of"),
        title=wording.title.within(language),
        question=wording.question.within(language),
        skip=voice("skip"),
        other_file=f"{'report' if isinstance(study, Study) else 'design'}.{other}.html" if linked else "",
        other_language=other,
        other_label=voice("other_language"),
        sections=tuple(sections),
    )


def _results(study: Study, scene: Scene) -> list[Section]:
    """Tell what happened; of a register study the way there too, month by month."""
    if study.journey is None:
        return [_what_happened(study, scene), *_states(study, scene), subgroup_section(study, scene)]
    early, late = journey_sections(study, study.journey, scene)
    return [_what_happened(study, scene), *early, subgroup_section(study, scene), *late]


def _who(design: Design, scene: Scene) -> Section:
    voice, names = scene.voice, scene.names()
    lost, among = tables.lost_treated(design, scene)
    if lost == 0:
        kept = voice("everyone_kept" if scene.rules.exact else "nearly_everyone_kept", **names)
    else:
        share = voice("a_few") if lost is None or not among or scene.gate.hides(lost) else voice.percent(lost / among)
        kept = voice("some_lost", **names, share=share)
    flow = flow_blocks(design, scene) if isinstance(design.plan, RegisterPlan) else [Rows(tables.flow_table(design, scene))]
    background = Paragraph(design.plan.wording.background.within(voice.language))
    return Section("who", voice("who"), (background, *flow, Paragraph(sentence_case(kept))))


def _verdict(design: Design, scene: Scene) -> Section:
    voice, verdict = scene.voice, design.verdict
    checks = [tables.released_check(check, design, scene) for check in verdict.checks]
    failed = tables.failed_requirements(design, scene)
    said = Paragraph(voice("verdict_passed")) if verdict.passed else Paragraph(voice("verdict_failed", checks=failed), "warning")
    table = tables.verdict_table(design, scene)
    drawn = [
        figures.LimitRow(str(row[0]), f"{row[1]}, {row[2]}", check.room if (check.room >= 1) == check.passed else 1.0, check.passed)
        for row, check in zip(table.rows, checks, strict=True)
        if check.name != "effective_control" or check.value >= scene.gate.threshold
    ]
    figure = figures.draw_limits(drawn, sides=(voice("not_met_side"), voice("met_side")), words=figure_words(scene))
    shown = picture("verdict", figure, voice("verdict"), spoken(table), voice("limits_caption"))
    return Section("verdict", voice("verdict"), (said, shown, Rows(table)))


def _overlap(design: Design, scene: Scene) -> Section:
    voice, names, scores = scene.voice, scene.names(), design.scores
    drawn = figures.draw_overlap(tables.overlap_bins(design, scene), words=figure_words(scene))
    step = people_step(design.cohort, scene.rules)
    auc, equipoise = (
        step_through(name, value, step, scene.telling) for name, value in (("AUC", scores.auc), ("equipoise", scores.overlap.equipoise))
    )
    spread = voice("auc_sentence", auc=voice.number(auc, 2), equipoise=voice.percent(equipoise, 0))
    caption = " ".join([voice("overlap_caption", **names), *([voice("overlap_drawn")] if scene.drawn else [])])
    shown = picture("overlap", drawn, voice("overlap"), spread, caption)
    blocks = [Paragraph(spread), shown, Rows(tables.overlap_table(design, scene)), *support_blocks(design, scene)]
    return Section("overlap", voice("overlap"), tuple(blocks))


def _what_happened(study: Study, scene: Scene) -> Section:
    """Show the curves and the differences; under a failed design this is where the estimate first stands, and it says so."""
    voice, names, effects, unit = scene.voice, scene.names(), study.effects, scene.voice.unit.days
    supported = study.design.verdict.passed
    curve = scene.passed.curves[ANY]
    asked, until = max(*effects.spec.horizons_days, effects.spec.rmst_days or 0), _until(curve)
    blocks: list[Block] = [] if supported else [*answer_blocks(study, scene)]
    if until > 0:
        primary = [scene.plan.primary_days] if round(scene.plan.primary_days / curve.month_days) in curve.months else []
        verticals = [days / unit for days in primary]
        drawn = draw_released_curve(curve, unit_days=unit, horizons=_ticks(study), words=figure_words(scene), verticals=verticals)
        table = tables.curve_table(study, scene, asked)
        level = voice.number(100 * effects.spec.level, 0)
        caption = voice("curves_caption", success=names["success"], units=voice.units(), level=level)
        caption = " ".join([caption, *(voice("curves_primary", horizon=voice.span(days)) for days in primary)])
        blocks += [picture("curves", drawn, voice("what_happened"), spoken(table), caption), Rows(table)]
    if until + curve.month_days / 2 < min(asked, study.curves.reach):
        blocks.append(Paragraph(voice("curves_cut", threshold=scene.gate.threshold)))
    if study.follow_up.reach is not None:
        blocks.append(Paragraph(voice("curves_reach", **names)))
    blocks.append(Rows(tables.effects_table(study, scene)))
    answer = tables.rounding_note([scene.passed.effects.get(scene.plan.primary_days)], scene)
    apart = [] if answer or study.journey is not None else tables.rounding_note(scene.passed.effects.values(), scene)
    blocks.append(Paragraph(" ".join([voice("effects_note", **names), *apart])))
    told = scene.passed.p_values
    if "log_rank" in told:
        blocks.append(Paragraph(voice("log_rank", **scene.names(), p=scene.p_value(told["log_rank"]))))
    proportional = told.get("proportionality")
    if proportional is not None and proportional.value is not None:
        key = "not_proportional" if proportional.value < PROPORTIONAL_P else "proportional"
        blocks.append(Paragraph(voice(key, p=scene.p_value(proportional))))
    return results("results", voice("what_happened" if supported else "answer_unsupported"), blocks, study, scene)


def _until(curve: ReleasedCurve) -> float:
    """Give the day a released curve ends; 0 where it is withheld."""
    return float(curve.months[-1]) * curve.month_days if len(curve.months) > 1 else 0.0


def _ticks(study: Study) -> list[float]:
    """Give the start and the horizons, in the study's unit."""
    return [0.0, *(horizon / study.follow_up.unit.days for horizon in study.effects.spec.horizons_days)]


def _states(study: Study, scene: Scene) -> list[Section]:
    voice, effects, unit = scene.voice, study.effects, scene.voice.unit.days
    states = study.follow_up.states
    if len(states) < 2:
        return []
    table = tables.states_table(effects, scene, scene.plan.primary_days)
    blocks: list[Block] = []
    curves = [(scene.state(state), scene.passed.curves[state]) for state in states]
    hidden = any(found.hidden for found in released_states(effects, scene.plan.primary_days, scene.telling).values())
    if not hidden and all(_until(curve) > 0 for _, curve in curves):
        words = replace(figure_words(scene), share_axis=voice("states_axis"))  # a state need not be a success
        drawn = draw_released_states(curves, unit_days=unit, horizons=_ticks(study), words=words)
        caption = voice("states_caption", units=voice.units(), level=voice.number(100 * effects.spec.level, 0))
        blocks.append(picture("states", drawn, voice("states"), spoken(table), caption))
    blocks += [Rows(table), Paragraph(" ".join([voice("states_sum"), *other_exits(study, scene)]))]
    return [results("states", voice("states"), blocks, study, scene)]
