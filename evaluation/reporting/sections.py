"""What stands on the report's page, in reading order: the answer, who was compared, whether they are alike, what happened, for whom, and how.

If the design failed a check, the answer gives way to that fact and every estimate stands below the failed checks, under its own heading.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from typing import Literal

import numpy as np

from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.plan import Language
from evaluation.reporting import figures, tables
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.tables import Scene, Table
from evaluation.reporting.wording import check_sentence, excludes_zero, sentence_case
from evaluation.study import Design, Study

PACKAGES = ("numpy", "pandas", "scipy", "statsmodels", "scikit-learn", "lifelines", "matplotlib")
PROPORTIONAL_P = 0.05  # below it the report says that the hazard ratio changes; a reading aid, not a gate


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text, with a class or none."""

    text: str
    mark: str = ""
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[str, ...]
    kind: Literal["items"] = "items"


@dataclass(frozen=True)
class Picture:
    """A figure as inline SVG, and its caption."""

    svg: str
    caption: str
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True)
class Rows:
    """A table."""

    table: Table
    kind: Literal["table"] = "table"


Block = Paragraph | Items | Picture | Rows


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    id: str
    heading: str
    blocks: tuple[Block, ...]
    mark: str = ""


@dataclass(frozen=True)
class Page:
    """Everything the template shows."""

    language: Language
    version: str
    mark: str
    kind: str
    title: str
    question: str
    skip: str
    other_file: str
    other_language: Language
    other_label: str
    sections: tuple[Section, ...]


def compose_page(study: Study | Design, scene: Scene, *, linked: bool) -> Page:
    """Put the page together; `linked` says whether the other language's page stands beside it."""
    design = study.design if isinstance(study, Study) else study
    voice, wording, language = scene.voice, design.plan.wording, scene.voice.language
    other: Language = "en" if language == "sv" else "sv"
    sections = [_who(design, scene), _overlap(design, scene), _balance(design, scene), _verdict(design, scene)]
    if isinstance(study, Study):
        results = [_what_happened(study, scene), *_states(study, scene), _subgroups(study, scene)]
        sections = [_answer(study, scene), *sections, *results]
    else:
        sections = [Section("answer", voice("not_opened"), (Paragraph(voice("not_opened_text"), "lead"),), "answer"), *sections]
    sections += [_limitations(design, scene), _method(design, scene)]
    return Page(
        language=language,
        version=version("malmokraften-evaluation"),
        mark=voice("synthetic") if design.plan.data.synthetic else "",
        kind=voice("report_of"),
        title=wording.title.within(language),
        question=wording.question.within(language),
        skip=voice("skip"),
        other_file=f"{'report' if isinstance(study, Study) else 'design'}.{other}.html" if linked else "",
        other_language=other,
        other_label=voice("other_language"),
        sections=tuple(sections),
    )


def _answer(study: Study, scene: Scene) -> Section:
    voice = scene.voice
    if not study.design.verdict.passed:
        failed = "; ".join(check_sentence(check, voice) for check in study.design.verdict.failed)
        blocks: tuple[Block, ...] = (Paragraph(voice("unsupported_lead"), "lead"), Paragraph(voice("verdict_failed", checks=failed)))
        return Section("answer", voice("answer"), blocks, "answer unsupported")
    return Section("answer", voice("answer"), (*_answer_blocks(study, scene), *_main_limitation(scene)), "answer")


def _answer_blocks(study: Study, scene: Scene) -> list[Block]:
    voice, names, effects = scene.voice, scene.names(), study.effects
    if study.design.comparison.unmatched.any():
        names["treated"] = voice("with_counterpart", treated=names["treated"])
    horizon = scene.plan.primary_days
    treated, control, difference = (
        effects.arms["treated"].risk[horizon],
        effects.arms["control"].risk[horizon],
        effects.risk_difference[horizon],
    )
    if HIDDEN in (scene.share(treated), scene.share(control)):
        return [Paragraph(voice("answer_hidden"), "lead")]
    levels = voice(
        "answer_share",
        **names,
        horizon=voice.span(horizon),
        p=voice.percent(treated.value),
        p_range=voice.share_range(treated),
        q=voice.percent(control.value),
        q_range=voice.share_range(control),
    )
    gap = voice("answer_difference", d=voice.points(difference), range=voice.point_range(difference))
    spread = min(treated.std_error, control.std_error) > 0
    direction = "no_spread" if not spread else "uncertain" if not excludes_zero(difference) else "more" if difference.value > 0 else "fewer"
    meaning = voice(direction, **names, most=voice.farthest_point(difference))
    if direction in ("more", "fewer") and study.design.verdict.passed:
        meaning = f"{meaning} {voice('contribution', **names)}"
    blocks: list[Block] = [Paragraph(f"{levels} {gap} {meaning}", "lead")]
    mean, unit = effects.rmst_difference, voice.unit.days
    if (
        mean is not None
        and effects.spec.rmst_days is not None
        and effects.arms["treated"].rmst is not None
        and effects.arms["control"].rmst is not None
    ):
        sentence = voice(
            "restricted_mean",
            **names,
            horizon=voice.span(effects.spec.rmst_days, first=True),
            units=voice.units(),
            t=voice.amount(effects.arms["treated"].rmst.value),
            c=voice.amount(effects.arms["control"].rmst.value),
            d=voice.signed(mean.value / unit),
            range=voice.range(mean.low / unit, mean.high / unit, signed=True),
        )
        blocks.append(Paragraph(" ".join([sentence_case(sentence), *_other_exits(scene, study)])))
    return blocks


def _other_exits(scene: Scene, study: Study) -> list[str]:
    """Say how those who left otherwise count, where not every kind of exit is success."""
    success, names = study.effects.spec.success, scene.names()
    others = [scene.state(state) for state in study.follow_up.states if success is not None and state not in success]
    return [scene.voice("other_exits", **names, states=", ".join(others))] if others else []


def _main_limitation(scene: Scene) -> list[Block]:
    limitations = scene.plan.wording.limitations
    if not limitations:
        return []
    return [Paragraph(scene.voice("main_limitation", text=limitations[0].within(scene.voice.language)))]


def _who(design: Design, scene: Scene) -> Section:
    voice, names, comparison = scene.voice, scene.names(), design.comparison
    lost = int(comparison.unmatched.sum())
    kept = voice("everyone_kept", **names) if lost == 0 else voice("some_lost", **names, share=_lost_share(lost, design, scene))
    return Section(
        "who",
        voice("who"),
        (
            Paragraph(design.plan.wording.background.within(voice.language)),
            Rows(tables.flow_table(design, scene)),
            Paragraph(sentence_case(kept)),
        ),
    )


def _lost_share(lost: int, design: Design, scene: Scene) -> str:
    share = lost / design.cohort.n_treated
    return scene.voice("a_few") if scene.gate.hides(lost) else scene.voice.percent(share)


def _verdict(design: Design, scene: Scene) -> Section:
    voice, verdict = scene.voice, design.verdict
    failed = "; ".join(check_sentence(check, voice) for check in verdict.failed)
    said = Paragraph(voice("verdict_passed")) if verdict.passed else Paragraph(voice("verdict_failed", checks=failed), "warning")
    return Section("verdict", voice("verdict"), (said, Rows(tables.verdict_table(design, scene))))


def _overlap(design: Design, scene: Scene) -> Section:
    voice, names, cohort = scene.voice, scene.names(), design.cohort
    sides = cohort.treated, ~cohort.treated
    drawn = figures.draw_overlap(
        *(design.scores.score[side] for side in sides),
        *(design.comparison.weights[side] for side in sides),
        words=_words(scene),
        gate=scene.gate,
    )
    overlap = design.scores.overlap
    spread = voice("auc_sentence", auc=voice.number(design.scores.auc, 2), equipoise=voice.percent(overlap.equipoise, 0))
    caption = voice("overlap_caption", **names)
    picture = _picture("overlap", drawn, voice("overlap"), spread, caption)
    return Section("overlap", voice("overlap"), (Paragraph(spread), picture, Rows(tables.overlap_table(design, scene))))


def _balance(design: Design, scene: Scene) -> Section:
    voice, limit = scene.voice, design.plan.limits.worst_smd
    labelled = tables.balance_labels(design, scene)
    drawn = figures.draw_love(labelled[["label", "smd_before", "smd_after"]], limit=limit, words=_words(scene))
    worst = labelled.loc[labelled["smd_after"].abs().idxmax()]
    said = voice("balance_sentence", worst=voice.number(abs(worst["smd_after"]), 2), label=worst["label"], limit=voice.number(limit, 2))
    picture = _picture("love", drawn, voice("balance"), said, voice("love_caption", limit=voice.number(limit, 2)))
    return Section("balance", voice("balance"), (Paragraph(said), picture, Rows(tables.balance_table(design, scene))))


def _what_happened(study: Study, scene: Scene) -> Section:
    """Show the curves and the differences; under a failed design this is where the estimate first stands, and it says so."""
    voice, names, effects, unit = scene.voice, scene.names(), study.effects, scene.voice.unit.days
    supported = study.design.verdict.passed
    asked = max(*effects.spec.horizons_days, effects.spec.rmst_days or 0)
    until = figures.shown_until(study.curves, scene.gate.threshold, asked)
    blocks = [] if supported else [*_warning(study, scene), *_answer_blocks(study, scene)]
    if until > 0:
        primary = [scene.plan.primary_days] if scene.plan.primary_days <= until else []
        drawn = figures.draw_curves(
            study.curves,
            "any",
            unit_days=unit,
            until_days=until,
            ticks=_ticks(study, until),
            words=_words(scene),
            gate=scene.gate,
            verticals=[days / unit for days in primary],
        )
        table = tables.curve_table(study, scene, until)
        level = voice.percent(effects.spec.level, 0)
        caption = voice("curves_caption", success=names["success"], units=voice.units(), level=level)
        caption = " ".join([caption, *(voice("curves_primary", horizon=voice.span(days)) for days in primary)])
        blocks += [_picture("curves", drawn, voice("what_happened"), _spoken(table), caption), Rows(table)]
    if until < asked:
        blocks.append(Paragraph(voice("curves_cut", threshold=scene.gate.threshold)))
    blocks.append(Rows(tables.effects_table(study, scene)))
    blocks.append(Paragraph(voice("effects_note", **names)))
    if effects.log_rank is not None:
        blocks.append(Paragraph(voice("log_rank", p=voice.p_value(effects.log_rank.p_value))))
    if study.proportionality is not None:
        key = "not_proportional" if study.proportionality.p_value < PROPORTIONAL_P else "proportional"
        blocks.append(Paragraph(voice(key, p=voice.p_value(study.proportionality.p_value))))
    heading = voice("what_happened" if supported else "answer_unsupported")
    return Section("results", heading, tuple(blocks), "" if supported else "unsupported")


def _ticks(study: Study, until_days: float) -> list[float]:
    """Give the start and the horizons that are shown, in the study's unit."""
    return [0.0, *(horizon / study.follow_up.unit.days for horizon in study.effects.spec.horizons_days if horizon <= until_days)]


def _warning(study: Study, scene: Scene) -> list[Block]:
    """Say above every result of a design that failed that it does not support them."""
    return [] if study.design.verdict.passed else [Paragraph(scene.voice("unsupported"), "warning")]


def _states(study: Study, scene: Scene) -> list[Section]:
    voice, effects, unit = scene.voice, study.effects, scene.voice.unit.days
    states = study.follow_up.states
    if len(states) < 2:
        return []
    asked = max(effects.spec.horizons_days)
    until = figures.shown_until(study.curves, scene.gate.threshold, asked)
    table = tables.states_table(effects, scene, scene.plan.primary_days)
    blocks = _warning(study, scene)
    if until > 0:
        drawn = figures.draw_states(
            study.curves,
            [(state, scene.state(state)) for state in states],
            unit_days=unit,
            until_days=until,
            ticks=_ticks(study, until),
            words=replace(_words(scene), share_axis=voice("states_axis")),  # a state need not be a success
            gate=scene.gate,
        )
        caption = voice("states_caption", units=voice.units(), level=voice.percent(effects.spec.level, 0))
        blocks.append(_picture("states", drawn, voice("states"), _spoken(table), caption))
    blocks += [Rows(table), Paragraph(" ".join([voice("states_sum"), *_other_exits(scene, study)]))]
    return [Section("states", voice("states"), tuple(blocks), "" if study.design.verdict.passed else "unsupported")]


def _subgroups(study: Study, scene: Scene) -> Section:
    voice, names, days = scene.voice, scene.names(), scene.plan.primary_days
    mark = "" if study.design.verdict.passed else "unsupported"
    rows = tables.subgroup_rows(study, scene)
    if not rows:
        return Section("subgroups", voice("subgroups"), (Paragraph(voice("no_subgroups")),), mark)
    hidden = any(scene.share(arm.risk[days]) == HIDDEN for arm in study.effects.arms.values())
    overall = _forest_row("overall", voice("everybody"), None if hidden else study.effects.risk_difference[days], voice("too_few"), scene)
    drawn = figures.draw_forest([overall, *_forest_rows(rows, scene)], words=_words(scene))
    table = tables.subgroup_table(study, scene)
    caption = voice("forest_caption", success=names["success"], horizon=voice.span(days))
    blocks = [*_warning(study, scene), *(Paragraph(sentence) for sentence in _gap_sentences(study, scene))]
    blocks += [_picture("forest", drawn, voice("subgroups"), _spoken(table), caption), Rows(table)]
    tests = tables.interaction_table(study, scene)
    blocks += [Rows(tests)] if tests.rows else []
    return Section("subgroups", voice("subgroups"), (*blocks, Paragraph(voice("registered_text"))), mark)


def _gap_sentences(study: Study, scene: Scene) -> list[str]:
    """Say, for each registered difference of effects that is shown, what it is and what can be ruled out."""
    voice = scene.voice
    measure = f"risk_{scene.plan.primary_days:g}"
    tests = study.registered.interaction_tests.set_index(["by", "measure"])["p_holm"]
    shown = {row.estimate for row in tables.subgroup_rows(study, scene) if row.kind == "difference"}
    sentences = []
    for (by, level, reference, key), gap in study.registered.differences.items():
        if key != measure or gap not in shown:
            continue
        name = f"{scene.breakdown(by)}, {voice('effect_gap', level=scene.level(by, level), reference=scene.level(by, reference))}"
        horizon, groups = scene.plan.primary_days, (study.registered.effects[by, group] for group in (level, reference))
        if any(arm.risk[horizon].std_error == 0 for group in groups if isinstance(group, Effects) for arm in group.arms.values()):
            sentences.append(voice("gap_no_spread", by=name))
            continue
        alone = excludes_zero(gap)
        together = alone and float(tests.get((by, measure), np.nan)) < 1 - gap.level
        kind = "gap_sure" if together else "gap_family" if alone else "gap_unsure"
        values = {"d": voice.points(gap), "range": voice.point_range(gap), "most": voice.farthest_point(gap)}
        sentences.append(voice(kind, by=name, **values))
    return sentences


def _forest_rows(rows: list[tables.SubgroupRow], scene: Scene) -> list[figures.ForestRow]:
    return [_forest_row(row.kind, f"{row.by}: {row.label}", row.estimate, row.reason, scene) for row in rows]


def _forest_row(kind: tables.RowKind, label: str, estimate: Estimate | None, reason: str, scene: Scene) -> figures.ForestRow:
    if estimate is None:
        return figures.ForestRow(label, 0.0, 0.0, 0.0, "empty", reason)
    text = f"{scene.voice.points(estimate)} ({scene.voice.point_range(estimate)})"
    return figures.ForestRow(label, 100 * estimate.value, 100 * estimate.low, 100 * estimate.high, kind, text)


def _limitations(design: Design, scene: Scene) -> Section:
    voice = scene.voice
    own = [text.within(voice.language) for text in design.plan.wording.limitations]
    always = [voice("limit_static"), voice("limit_unseen"), voice("limit_spillover")]
    return Section("limitations", voice("limitations"), (Items((*own, *always)),))


def _method(design: Design, scene: Scene) -> Section:
    voice, plan, matching = scene.voice, design.plan, design.plan.matching
    everyone = voice("ratio_one") if matching.ratio == 1 else voice("ratio_many", ratio=matching.ratio)
    exact = voice("exact", columns=voice("crossed").join(scene.column(name) for name in matching.exact)) if matching.exact else ""
    text = voice(
        "method_text",
        treated=scene.names()["treated"],
        ratio=everyone,
        scale=voice(f"scale_{matching.distance}"),
        order=voice(f"order_{matching.order}"),
        reuse=voice("reuse" if matching.replace else "no_reuse"),
        caliper="" if matching.caliper_sd is None else voice("caliper", sd=voice.number(matching.caliper_sd, 2)),
        exact=exact,
        level=voice.percent(plan.effects.level, 0),
    )
    blocks: list[Block] = [Paragraph(text)]
    if plan.disclosure.threshold > 1:
        blocks.append(Paragraph(voice("suppression", below=plan.disclosure.threshold - 1)))
    if len(design.scores.coefficients):
        blocks.append(Rows(tables.coefficient_table(design, scene)))
    blocks.append(Rows(_versions_table(design, scene)))
    return Section("method", voice("method"), tuple(blocks), "sources")


def _versions_table(design: Design, scene: Scene) -> Table:
    voice, plan = scene.voice, design.plan
    rows = [(voice("data_source"), plan.data.source.within(voice.language))]
    if plan.data_file.is_file():
        rows.append((voice("data_file"), hashlib.sha256(plan.data_file.read_bytes()).hexdigest()))
    rows.append((voice("data_rows"), voice.count(len(design.cohort))))
    rows += [(voice("plan_file"), plan.sha256)] if plan.sha256 else []
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    rows.append((voice("toolkit"), f"malmokraften-evaluation {version('malmokraften-evaluation')}; Python {platform.python_version()}; {packages}"))
    rows.append((voice("made"), date.today().isoformat()))
    return Table(voice("versions_caption"), (voice("item"), voice("version")), tuple(rows))


def _words(scene: Scene) -> figures.Words:
    voice = scene.voice
    return figures.Words(
        treated=scene.treated,
        control=scene.control,
        everybody=sentence_case(voice("before")),
        compared=sentence_case(voice("after")),
        score_axis=voice("score_axis"),
        group_share_axis=voice("group_share_axis"),
        before=sentence_case(voice("before")),
        after=sentence_case(voice("after")),
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


def _picture(name: str, drawn: figures.Figure, title: str, description: str, caption: str) -> Picture:
    return Picture(figures.svg_text(drawn, name=name, title=title, description=description), caption)


def _spoken(table: Table) -> str:
    """Read a table out, for those who do not see the figure beside it."""
    return " ".join(
        f"{row[0]}: {'; '.join(f'{head} {cell}' for head, cell in zip(table.head[1:], row[1:], strict=True) if cell)}." for row in table.rows
    )
