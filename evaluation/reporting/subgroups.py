"""For whom, and do the effects differ? One figure where the groups are few, otherwise one for each breakdown, with its differences and its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaluation.analysis.effects import Effects
from evaluation.registers.origin import UNKNOWN
from evaluation.release.released import ReleasedNumber
from evaluation.reporting import figures, tables
from evaluation.reporting.blocks import Block, Paragraph, Rows, Section, Subheading, picture, results, spoken
from evaluation.reporting.scene import Scene, figure_words, sure
from evaluation.reporting.tables import SubgroupRow
from evaluation.reporting.wording import sentence_case
from evaluation.study import Study

MOST_ROWS = 14  # of one figure: a taller one is read no more as a whole


def subgroup_section(study: Study, scene: Scene) -> Section:
    """Show the effect in each group and the differences of effects."""
    voice, rows = scene.voice, tables.subgroup_rows(study, scene)
    if not rows:
        return results("subgroups", voice("subgroups"), [Paragraph(voice("no_subgroups"))], study, scene)
    breakdowns = list(dict.fromkeys(row.by for row in rows))
    if len(rows) <= MOST_ROWS:
        blocks = [*_gap_sentences(study, scene), *_forest("forest", rows, None, scene)]
    else:
        blocks = [block for number, by in enumerate(breakdowns, start=1) for block in _breakdown(number, by, rows, study, scene)]
    tests = tables.interaction_table(study, scene)
    blocks += [Rows(tests)] if tests.rows else []
    text = " ".join([*(tables.p_note(scene) if tests.rows else []), voice("registered_text")])
    return results("subgroups", voice("subgroups"), [*blocks, Paragraph(text)], study, scene)


def _breakdown(number: int, by: str, rows: Sequence[SubgroupRow], study: Study, scene: Scene) -> Iterator[Block]:
    yield Subheading(by)
    yield from _gap_sentences(study, scene, by)
    yield from _forest(f"forest-{number}", [row for row in rows if row.by == by], by, scene)


def _forest(name: str, rows: Sequence[SubgroupRow], by: str | None, scene: Scene) -> list[Block]:
    voice, days = scene.voice, scene.plan.primary_days
    whole = scene.passed.effects[days]
    overall = forest_row("overall", voice("everybody"), None if whole.hidden else whole.difference, voice("too_few"), scene)
    labels = [f"{row.by}: {row.label}" if by is None else row.label for row in rows]
    drawn = [forest_row(row.kind, label, row.estimate, row.reason, scene) for row, label in zip(rows, labels, strict=True)]
    table = tables.subgroup_table(rows, by, scene)
    caption = voice("forest_caption", success=scene.names()["success"], horizon=voice.span(days))
    title = voice("subgroups") if by is None else by
    figure = figures.draw_forest([overall, *drawn], words=figure_words(scene))
    several = [Paragraph(voice("same_person_groups"))] if _in_several_groups(rows, whole.people, scene) else []
    return [picture(name, figure, title, spoken(table), caption if by is None else f"{by}. {caption}"), Rows(table), *several]


def _in_several_groups(rows: Sequence[SubgroupRow], people: tuple[int | None, int | None], scene: Scene) -> bool:
    """Say whether the groups of a breakdown, as shown, have more people together than are compared, by more than rounding brings about."""
    for by in dict.fromkeys(row.by for row in rows):
        groups = [row for row in rows if row.by == by and row.kind != "difference"]
        for counts, among in zip(([row.treated for row in groups], [row.control for row in groups]), people, strict=True):
            rounding = (len(groups) + 1) * (scene.rules.base - 1)
            if among is not None and sum(count or 0 for count in counts) > among + rounding:
                return True
    return False


def _gap_sentences(study: Study, scene: Scene, only: str | None = None) -> list[Block]:
    """Say, for each registered difference of effects that is shown, what it is and what can be ruled out."""
    voice = scene.voice
    measure = f"risk_{scene.plan.primary_days:g}"
    sentences: list[Block] = []
    for (by, level, reference, key), exact in study.registered.differences.items():
        unknown = UNKNOWN in [*level.split(" x "), *reference.split(" x ")]  # a row of its own says enough of those of whom nothing is known
        if key != measure or unknown or only not in (None, scene.breakdown(by)):
            continue
        gap = scene.passed.gap(by, level, reference, exact)
        if gap.value is None:
            continue
        groups = voice("effect_gap", level=scene.level(by, level), reference=scene.level(by, reference))
        name = f"{scene.breakdown(by)}, {groups}" if only is None else sentence_case(groups)
        horizon, effects = scene.plan.primary_days, (study.registered.effects[by, group] for group in (level, reference))
        if any(arm.risk[horizon].std_error == 0 for group in effects if isinstance(group, Effects) for arm in group.arms.values()):
            sentences.append(Paragraph(voice("gap_no_spread", by=name)))
            continue
        alone = sure(gap)
        tested = scene.passed.tests.get((by, measure))
        adjusted = None if tested is None else tested[1].value
        together = alone and adjusted is not None and adjusted < 1 - exact.level
        kind = "gap_sure" if together else "gap_family" if alone else "gap_unsure"
        values = {"d": scene.points(gap), "range": scene.point_range(gap), "most": scene.farthest_point(gap)}
        sentences.append(Paragraph(voice(kind, by=name, **values)))
    return sentences


def forest_row(kind: tables.RowKind, label: str, number: ReleasedNumber | None, reason: str, scene: Scene) -> figures.ForestRow:
    """Give a line of the forest plot in percentage points, or the reason why there is none."""
    if number is None or number.value is None or number.low is None or number.high is None:
        return figures.ForestRow(label, 0.0, 0.0, 0.0, "empty", reason)
    text = f"{scene.points(number)} ({scene.point_range(number)})"
    return figures.ForestRow(label, 100 * number.value, 100 * number.low, 100 * number.high, kind, text)
