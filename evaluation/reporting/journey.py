"""What does a register study tell beyond its answer? What the difference consists of, when it arises, where people are, and how lasting it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from evaluation.analysis.curves import ARMS
from evaluation.reporting import figures, tables
from evaluation.reporting import journey_tables as lines
from evaluation.reporting.blocks import Block, Paragraph, Rows, Section, Subheading, picture, results, spoken
from evaluation.reporting.journey_tables import Line
from evaluation.reporting.scene import Scene, figure_words, sure
from evaluation.reporting.states import UNSUBSIDISED, released_states
from evaluation.reporting.subgroups import forest_row
from evaluation.reporting.wording import sentence_case
from evaluation.study import Journey, Study


def journey_sections(study: Study, journey: Journey, scene: Scene) -> tuple[list[Section], list[Section]]:
    """Give the sections that stand before the breakdowns by group, and those that stand after."""
    early = [_parts(study, scene), _periods(study, journey, scene), _places(study, journey, scene), _later(study, journey, scene)]
    return early, [_lasting(study, journey, scene), _definitions(study, journey, scene)]


# --- sentences that the answer has too


def subsidised_sentence(study: Study, scene: Scene) -> list[str]:
    """Say how much of the difference is subsidised jobs: as a part of it only where both are established and go the same way."""
    if study.journey is None:
        return []
    part, whole = lines.subsidised(study, scene), scene.passed.effects[scene.plan.primary_days].difference
    if part is None or whole.value is None:
        return []
    established = sure(part) and sure(whole) and (part.value or 0) * whole.value > 0
    key = "subsidised_part" if established else "subsidised_clear" if sure(part) else "subsidised_unsure"
    names = {**scene.names(), "d": scene.points(part), "range": scene.point_range(part)}
    if established:  # how much of it, whichever way it goes
        ends = sorted(abs(100 * end) for end in (part.low or 0.0, part.high or 0.0))
        names |= {"d": scene.voice.number(abs(100 * (part.value or 0.0))), "range": scene.voice.range(ends[0], ends[1])}
    return [scene.voice(key, **names)]


def never_sentence(study: Study, scene: Scene) -> list[str]:
    """Say what the difference is against never starting."""
    if study.journey is None or study.journey.censoring.few:
        return []
    one = lines.horizon_lines(lines.released_horizons(study.journey.per_protocol, scene), scene).get(scene.plan.primary_days)
    if one is None or one.shown is None:
        return []
    gap = one.shown.difference
    key = "never_clear" if sure(gap) else "never_unsure"
    return [scene.voice(key, d=scene.points(gap), range=scene.point_range(gap))]


def other_exits(study: Study, scene: Scene) -> list[str]:
    """Say how those who left otherwise count, where not every kind of exit is success."""
    success, names = study.effects.spec.success, scene.names()
    others = [scene.state(state) for state in study.follow_up.states if success is not None and state not in success]
    return [scene.voice("other_exits", **names, states="; ".join(others))] if others else []


def directions(found: Mapping[str, Line], scene: Scene, *, units: str = "") -> list[str]:
    """Say in which comparisons, by name, there are more, in which fewer, and in which it cannot be said; `units` where the names are times."""
    said = []
    gaps = [(name, one.shown.difference) for name, one in found.items() if one.shown is not None]
    above = [label for label, gap in gaps if sure(gap) and (gap.low or 0) > 0]
    below = [label for label, gap in gaps if sure(gap) and (gap.high or 0) < 0]
    unsure = [label for label, gap in gaps if not sure(gap)]
    for key, labels in (("more_at", above), ("fewer_at", below), ("unsure_at", unsure)):
        if labels:
            listed = scene.voice.listing(labels)
            said.append(scene.voice(key, **scene.names(), listed=scene.voice("after_times", listed=listed, units=units) if units else listed))
    return said


# --- the sections


def _parts(study: Study, scene: Scene) -> Section:
    """Split the difference at the primary horizon into kinds of work and studies, and show where else people went."""
    voice, days, parts = scene.voice, scene.plan.primary_days, lines.part_lines(study, scene)
    horizon = voice.span(days)
    blocks: list[Block] = []
    if parts:
        whole = lines.line(voice("whole_difference"), scene.passed.effects.get(days), scene, strong=True)
        table = lines.share_table(voice("parts_table", horizon=horizon), [*parts.values(), whole], voice("gone_to"), scene)
        rows = [_drawn(whole, "overall", scene), *(_drawn(one, "part", scene) for one in parts.values())]
        figure = figures.draw_forest(rows, words=figure_words(scene))
        caption = voice("parts_caption", horizon=horizon, level=voice.number(100 * study.effects.spec.level, 0))
        said = [Paragraph(sentence) for sentence in subsidised_sentence(study, scene)]
        blocks = [*said, picture("parts", figure, voice("parts"), spoken(table), caption), Rows(table)]
    states = tables.states_table(study.effects, scene, days)
    shown = released_states(study.effects, days, scene.telling).values()
    answer = tables.rounding_note([scene.passed.effects.get(days)], scene)
    note = [] if answer else tables.rounding_note([*shown, *scene.passed.effects.values()], scene)  # once: the answer says it where it stands there
    said_of_states = Paragraph(" ".join([voice("states_sum"), *other_exits(study, scene), *note]))
    return results("parts", voice("parts"), [*blocks, Rows(states), said_of_states], study, scene)


def _drawn(one: Line, kind: tables.RowKind, scene: Scene) -> figures.ForestRow:
    return forest_row(kind, one.label, None if one.shown is None else one.shown.difference, one.reason, scene)


def _periods(study: Study, journey: Journey, scene: Scene) -> Section:
    """Show how the difference grows, and whether people were first held back."""
    voice, found = scene.voice, lines.horizon_lines(scene.passed.effects, scene)
    table = lines.counted_table(voice("horizons_table", success=scene.names()["success"]), list(found.values()), voice("time"), scene)
    words = replace(figure_words(scene), difference_axis=voice("difference_axis", success=scene.names()["success"]))
    named = {voice.number(days / voice.unit.days, 0): one for days, one in found.items()}
    rows = [replace(_drawn(one, "difference", scene), label=name) for name, one in named.items()]
    caption = voice("points_caption", level=voice.number(100 * study.effects.spec.level, 0), **scene.names())
    blocks: list[Block] = [Paragraph(" ".join([*_lock_in(study, journey, scene), *directions(named, scene, units=voice.units())]))]
    if any(row.kind != "empty" for row in rows):
        figure = figures.draw_points(rows, [days / voice.unit.days for days in found], words=words)
        blocks.append(picture("points", figure, voice("periods"), spoken(table), caption))
    blocks += [
        Rows(table),
        Rows(lines.period_table(study, journey.periods, scene)),
        Paragraph(voice("periods_note", **scene.names(), went=_went(scene))),
    ]
    return results("periods", voice("periods"), blocks, study, scene)


def _went(scene: Scene) -> str:
    """Say what those with success did, by the plan's definition of it."""
    return scene.voice(f"went_{lines.own_definition(scene)}")


def _lock_in(study: Study, journey: Journey, scene: Scene) -> list[str]:
    """Say by the first period's hazard ratio whether the participants were held back at first."""
    if not journey.periods:
        return []
    voice, (period, ratio) = scene.voice, next(iter(journey.periods.items()))
    names = {**scene.names(), "period": voice.span(period[1], first=True)}
    if lines.hides_ratio(study, period, ratio, scene):
        return [voice("lock_in_hidden", **names)]
    if ratio is None:
        return [voice("lock_in_unknown", **names)]
    shown = lines.released_ratio(study, period, ratio, scene)
    low, high = shown.low or 0.0, shown.high or 0.0
    key = "lock_in" if high < 1 else "no_lock_in" if low > 1 else "lock_in_unsure"
    number, interval = tables.ratio_cells(shown, scene)
    return [sentence_case(voice(key, **names, went=_went(scene), ratio=number, range=interval))]


def _places(study: Study, journey: Journey, scene: Scene) -> Section:
    """Show where either group is, month by month; only one month's estimates at a time, for each has an influence per person."""
    voice, months = scene.voice, journey.occupancy.months
    drawn = [lines.drawn_places(journey.occupancy, month, scene) for month in months]
    ticks = [month for month in lines.TABLE_MONTHS if month in months]
    if not ticks:
        return results("places", voice("places"), [Paragraph(voice("places_missing"))], study, scene)
    of_month = {month: list(lines.place_lines(journey.occupancy, month, scene).values()) for month in ticks}
    told = [month for month, found in of_month.items() if month > 0 or 2 * sum(one.hidden for one in found) < len(found)] or ticks
    tabled = [lines.share_table(voice("places_table", month=voice.count(month)), of_month[month], voice("state"), scene) for month in told]
    # on the day of the start hardly anybody has gone anywhere yet, so that such a table may hold next to nothing
    text = " ".join([voice("places_text"), *([] if told == ticks else [voice("places_untold")])])
    words = replace(figure_words(scene), share_axis=voice("group_share_axis"))
    shares = {arm: np.array([[pair[side] for pair in month.values()] for month in drawn]) for side, arm in enumerate(ARMS)}
    labels = [voice(place) for place in drawn[0]]
    figure = figures.draw_shares(shares, labels, months=months, ticks=ticks, words=words)
    described = " ".join(f"{table.caption}. {spoken(table)}" for table in tabled)
    blocks: list[Block] = [Paragraph(text), picture("places", figure, voice("places"), described, voice("places_caption"))]
    return results("places", voice("places"), [*blocks, *(Rows(table) for table in tabled)], study, scene)


def _later(study: Study, journey: Journey, scene: Scene) -> Section:
    """Set starting now against waiting and against never starting."""
    voice, names = scene.voice, scene.names()
    text = [voice("waiting_text", **names), voice("never_text", **names)]
    started = voice("started_later", **names, count=lines.started_count(journey.censoring, scene))
    warned = [Paragraph(voice("few_started"), "warning")] if journey.censoring.few else []
    blocks: list[Block] = [
        Paragraph(" ".join(text)),
        *warned,
        Rows(lines.later_table(study, journey.per_protocol, scene)),
        Paragraph(f"{started} {voice('later_note')}"),
    ]
    return results("later", voice("later"), blocks, study, scene)


def _lasting(study: Study, journey: Journey, scene: Scene) -> Section:
    """Show whether success lasted, and what the first two years came to."""
    voice, names = scene.voice, scene.names()
    found = lines.durability_lines(journey.durability, scene)
    blocks: list[Block] = [Paragraph(voice("lasting_caveat", **names))]
    blocks.append(
        Rows(lines.counted_table(voice("lasting_table", success=names["success"]), found, voice("measure"), scene)) if found else _missing(scene)
    )
    blocks.append(Subheading(voice("totals")))
    totals = lines.totals_table(journey.totals, scene)
    pay = lines.released_totals(journey.totals, scene).get("earnings_sek")
    rests = None if pay is None else lines.rests_on(pay, scene)
    note = " ".join([voice("totals_note"), *([] if rests is None else [voice("pay_rests", **names, **rests)])])
    blocks += [Rows(totals), Paragraph(note)] if totals.rows else [_missing(scene)]
    return results("lasting", voice("lasting"), blocks, study, scene)


def _missing(scene: Scene) -> Paragraph:
    return Paragraph(scene.voice("not_to_be_had"))


def _definitions(study: Study, journey: Journey, scene: Scene) -> Section:
    """Set the other definitions of success beside the study's own."""
    voice, horizon = scene.voice, scene.voice.span(scene.plan.primary_days)
    found = lines.definition_lines(study, lines.own_definition(scene), journey.definitions, scene)
    table = lines.counted_table(voice("definitions_table", horizon=horizon), found, voice("definition"), scene)
    rows = [_drawn(one, "overall" if one.strong else "group", scene) for one in sorted(found, key=lambda one: not one.strong)]
    figure = figures.draw_forest(rows, words=figure_words(scene))
    caption = voice("definitions_caption", horizon=horizon)
    blocks: list[Block] = [picture("definitions", figure, voice("definitions"), spoken(table), caption), Rows(table)]
    letters = {one.label[0]: one for one in found}
    chosen = next(letter for letter, one in letters.items() if one.strong)
    rests = {letter: lines.rests_on(one.contrast, scene) for letter, one in letters.items() if one.contrast is not None}
    fewer = [voice("definition_rests", letter=letter, **scene.names(), **people) for letter, people in rests.items() if people is not None]
    text = " ".join([voice("definitions_text", own=chosen), *fewer, *_strict_beside_parts(study, found, scene), *directions(letters, scene)])
    return results("definitions", voice("definitions"), [Paragraph(text), *blocks], study, scene)


def _strict_beside_parts(study: Study, found: Sequence[Line], scene: Scene) -> list[str]:
    """Tell unsubsidised work by its own definition from the part of the difference by that name, where both stand on the page."""
    strict = next((one for one in found if one.label == scene.voice("definition_strict")), None)
    parts = lines.part_lines(study, scene) if lines.own_definition(scene) == "project" else {}
    if strict is None or strict.shown is None or UNSUBSIDISED not in parts:
        return []
    return [scene.voice("strict_beside_parts", parts=scene.voice("parts"))]
