"""How is it told how near the goals the project came? Gross, by every version of the goal, and never as what the programme added.

Every number of people is one that has come through the gate together with all the others of the page (`evaluation.release.goal_counts`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.analysis.goal_forecast import Forecast
from evaluation.analysis.goals import ALL, GoalFollowUp, GoalVersion, PublishedCount
from evaluation.release.goal_counts import (
    QUARTER,
    counted_until,
    judged_day,
    last_day,
    published_day,
    quarter_days,
)
from evaluation.release.rules import bounds_of
from evaluation.reporting import figures
from evaluation.reporting.blocks import Block, Items, Paragraph, Rows, Section, Subheading, picture, spoken
from evaluation.reporting.figures.goals import Fan, GoalTexts, draw_goal
from evaluation.reporting.goal_numbers import counted, ends_with_project, forecast_released, share_within, unplaced_sentences
from evaluation.reporting.scene import Scene, figure_words
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import sentence_case


def goals_section(found: GoalFollowUp, scene: Scene) -> Section:
    """Tell how the project's own count stands to every version of its goals."""
    voice = scene.voice
    blocks: list[Block] = [Paragraph(voice("goals_lead", **scene.names()))]
    if found.versions:
        blocks += [Paragraph(voice("goals_versions_text")), Rows(versions_table(found, scene)), Rows(attained_table(found, scene))]
        others = tuple(
            voice("goals_other_count", persons=voice.count(one.persons), phase=one.goal, counts=one.counts.within(voice.language))
            for one in found.versions
            if one.counts
        )
        blocks += [Items(others)] if others else []
    if found.spec.published:
        blocks.append(Rows(published_table(found, scene)))
    for phase in found.phases:
        blocks += _phase(found, phase, scene)
    if found.forecasts or found.rehearsals:
        blocks.append(Paragraph(voice("goals_forecast_note")))
    level = voice.number(100 * found.spec.level, 0)
    kept = [voice("goals_within_kept")] if ends_with_project(found, scene) else []
    blocks.append(Paragraph(" ".join([voice("goals_within_note", level=level), *kept])))
    blocks += [Paragraph(said) for said in unplaced_sentences(found, scene)]
    blocks += [Paragraph(voice("goals_hidden_note"))] if scene.gate.threshold else []
    return Section("goals", voice("goals"), tuple(blocks))


def versions_table(found: GoalFollowUp, scene: Scene) -> Table:
    """Show every version of the goal, with the time it is for, its source, and when it was decided where that is known of any."""
    voice, rows = scene.voice, []
    dated = any(one.decided for one in found.versions)
    for one in found.versions:
        share = ("–", "–") if one.of is None else (voice.count(one.of), voice.number(100 * one.persons / one.of))
        decided = ["–" if one.decided is None else voice.day(one.decided)] if dated else []
        period = one.period or "–" if one.days is None else "–".join(map(voice.day, one.days))
        rows.append((_version(one, scene), voice.count(one.persons), *share, period, *decided, one.source.within(voice.language)))
    keys = ("goal", "persons", "of", "share", "period", *(["decided"] if dated else []), "source")
    return Table(voice("goals_versions_table"), tuple(voice(f"goals_{key}") for key in keys), tuple(rows))


def attained_table(found: GoalFollowUp, scene: Scene) -> Table:
    """Show each goal about work or studies beside the project's own count when the period of the goal ended, or so far."""
    voice, rows = scene.voice, []
    for phase in found.phases:
        for aim in _aims(found, phase):
            name = voice("goals_version", phase=phase, version=voice.listing(aim.versions))
            goal = voice.listing([voice.number(100 * aim.persons / of) for of in aim.of]) or "–"
            until, started, exits = ("–", None, None) if aim.day is None else (voice.day(aim.day), *counted(found, phase, aim.day, scene))
            attained = "–" if exits is None else voice.number(100 * exits / aim.persons)
            share = "–" if exits is None or not started else voice.number(100 * exits / started)
            rows.append((name, until, voice.count(aim.persons), goal, scene.shown(started), scene.shown(exits), attained, share))
    keys = ("goal", "until", "persons", "share", "started", "exits", "attained", "attained_share")
    return Table(voice("goals_table", day=voice.day(found.until)), tuple(voice(f"goals_{key}") for key in keys), tuple(rows))


def published_table(found: GoalFollowUp, scene: Scene) -> Table:
    """Show published figures beside ours of the same day."""
    voice, rows = scene.voice, []
    for one in found.spec.published:
        day = published_day(found, one.goal, one.until)
        ours = ("–", "–") if day is None else tuple(map(scene.shown, counted(found, one.goal, day, scene)))
        until = "–" if one.until is None else voice.day(one.until)
        rows.append((voice("goals_phase", phase=one.goal), _published(one, scene), until, *ours, one.source.within(voice.language)))
    head = (
        voice("goals_goal"),
        voice("goals_published"),
        voice("goals_until"),
        voice("goals_started"),
        voice("goals_our_count"),
        voice("goals_source"),
    )
    return Table(voice("goals_published_table"), head, tuple(rows))


def quarters_table(found: GoalFollowUp, phase: str, scene: Scene) -> Table:
    """Show the count at the end of each quarter, then the forecast."""
    voice = scene.voice
    rows = [(voice.month(day), *map(scene.shown, counted(found, phase, day, scene))) for day in quarter_days(found, phase)]
    forecast = forecast_released(found, phase, found.forecasts.get(phase), scene)
    if forecast is not None:
        rows += [
            (f"{voice.month(day)}, {voice('goals_expected').lower()}", "–", voice.range(round(low), round(high), 0))
            for day, low, high in zip(forecast.months, forecast.low, forecast.high, strict=True)
            if day.month % QUARTER == 0 or day == forecast.months[-1]
        ]
    head = (voice("goals_month"), voice("goals_started"), voice("goals_exits"))
    return Table(voice("goals_monthly_table", phase=phase), head, tuple(rows))


def groups_table(found: GoalFollowUp, phase: str, scene: Scene) -> Table:
    """Show the groups, in numbers and in shares within fixed horizons."""
    voice, day, rows, marks = scene.voice, counted_until(found, phase), [], []
    mine = found.shares[found.shares["phase"] == phase]
    horizons = tuple(months for months in found.spec.horizons_months if (mine["horizon_months"] == months).any())
    for by in (ALL, *found.spec.by):
        levels = found.monthly.loc[(found.monthly["phase"] == phase) & (found.monthly["by"] == by), "level"]
        for level in scene.in_order(by, sorted(levels.unique())):
            label = voice("goals_everybody") if by == ALL else sentence_case(scene.level(by, level))
            cells = map(scene.shown, counted(found, phase, day, scene, by, level))
            rows.append((label, *cells, *(share_within(found, phase, (by, level), months, scene) for months in horizons)))
            marks.append("strong" if by == ALL else "")
    head = (voice("goals_group"), voice("goals_started"), voice("goals_exits"), *(voice("goals_within", months=months) for months in horizons))
    return Table(voice("goals_groups_table", phase=phase, day=voice.day(day)), head, tuple(rows), tuple(marks))


# --- a phase


def goal_sentence(found: GoalFollowUp, phase: str, scene: Scene) -> str:
    """Say how many started and left in a phase, by the project's own record, and which of its goals that meets, each at the end of its time."""
    voice, day = scene.voice, counted_until(found, phase)
    started, exits = counted(found, phase, day, scene)
    if started is None or exits is None:
        return voice("goals_counted_hidden", day=voice.day(day), phase=phase)
    text = [voice("goals_counted", day=voice.day(day), started=voice.count(started), phase=phase, exits=voice.count(exits))]
    over = [aim for aim in _aims(found, phase) if not aim.open]
    text += _met(sorted({aim.persons for aim in over if aim.day == day}), exits, scene)
    for aim in over:
        then = None if aim.day in (None, day) else counted(found, phase, aim.day, scene)[1]
        if then is not None and aim.day is not None:
            bounds = bounds_of(then, scene.rules)
            key = "goals_then_met" if bounds.low >= aim.persons else "goals_then_missed" if bounds.high < aim.persons else "goals_then_near"
            text.append(voice(key, day=voice.day(aim.day), goal=_the_goals([aim.persons], scene), exits=voice.count(then)))
    return " ".join(text)


def _phase(found: GoalFollowUp, phase: str, scene: Scene) -> list[Block]:
    voice = scene.voice
    blocks: list[Block] = [Subheading(voice("goals_phase", phase=phase)), Paragraph(goal_sentence(found, phase, scene))]
    blocks += [Paragraph(" ".join(told))] if (told := _ahead(found, phase, scene)) else []
    table = quarters_table(found, phase, scene)
    counts = [(day, counted(found, phase, day, scene)[1]) for day in quarter_days(found, phase)]
    shown = [(day, count) for day, count in counts if count is not None]
    if len(shown) > 1:
        caption = voice("goals_caption", phase=phase)
        blocks.append(
            picture(f"goals-{_id(phase)}", _drawn(found, phase, shown, scene), voice("goals_figure_title", phase=phase), spoken(table), caption)
        )
    return [*blocks, Rows(table), Rows(groups_table(found, phase, scene))]


def _met(goals: Sequence[int], exits: int, scene: Scene) -> list[str]:
    """Say which goals a rounded count meets whatever it was before it was rounded, which it does not, and of which that cannot be seen."""
    counted = bounds_of(exits, scene.rules)
    met, missed = [goal for goal in goals if counted.low >= goal], [goal for goal in goals if counted.high < goal]
    near = [goal for goal in goals if goal not in (*met, *missed)]
    key = "goals_met_some" if met and missed else "goals_met" if met else "goals_not_met"
    said = [scene.voice(key, met=_the_goals(met, scene), missed=_the_goals(missed, scene))] if met or missed else []
    return [*said, *([scene.voice("goals_met_near", near=_the_goals(near, scene))] if near else [])]


def _ahead(found: GoalFollowUp, phase: str, scene: Scene) -> list[str]:
    """Say where the count ends, or what would have been said halfway."""
    voice, exits = scene.voice, counted(found, phase, counted_until(found, phase), scene)[1]
    forecast, rehearsal = (forecast_released(found, phase, made.get(phase), scene) for made in (found.forecasts, found.rehearsals))
    if exits is None:
        return []
    if forecast is not None:
        text = [voice("goals_forecast", **_ends(forecast, scene))]
        aims = [aim for aim in _aims(found, phase) if aim.open]
        text += _expected([aim.persons for aim in aims if aim.ends >= forecast.ends], round(forecast.low[-1]), round(forecast.high[-1]), scene)
        for aim in aims:
            if aim.ends < forecast.ends:
                place = max(0, sum(day <= aim.ends for day in forecast.months) - 1)
                low, high = round(forecast.low[place]), round(forecast.high[place])
                then = {"day": voice.day(aim.ends), "goal": _the_goals([aim.persons], scene)}
                text += [
                    voice("goals_forecast_then", low=voice.count(low), high=voice.count(high), **then),
                    *_expected([aim.persons], low, high, scene),
                ]
        return text
    if rehearsal is not None:
        inside = round(rehearsal.low[-1]) <= exits <= round(rehearsal.high[-1])
        key = "goals_rehearsal_inside" if inside else "goals_rehearsal_outside"
        return [voice(key, **_ends(rehearsal, scene), exits=voice.count(exits))]
    return []


def _expected(goals: Sequence[int], low: int, high: int, scene: Scene) -> list[str]:
    """Say of which goals a forecast interval lies above or below, and which lie within it."""
    kinds = {
        "above": ("met", [goal for goal in goals if low >= goal]),
        "below": ("missed", [goal for goal in goals if high < goal]),
        "across": ("open", [goal for goal in goals if low < goal <= high]),
    }
    return [scene.voice(f"goals_forecast_{key}", **{name: _the_goals(some, scene)}) for key, (name, some) in kinds.items() if some]


def _ends(forecast: Forecast, scene: Scene) -> dict[str, str]:
    voice = scene.voice
    low, high = (voice.count(round(end[-1])) for end in (forecast.low, forecast.high))
    level = voice.number(100 * forecast.level, 0)
    return {"low": low, "high": high, "made": voice.day(forecast.made), "ends": voice.day(forecast.ends), "level": level}


def _drawn(found: GoalFollowUp, phase: str, shown: Sequence[tuple[dt.date, int]], scene: Scene) -> figures.Figure:
    voice, forecast = scene.voice, forecast_released(found, phase, found.forecasts.get(phase), scene)
    first = found.monthly.loc[found.monthly["phase"] == phase, "month"].min()
    begin = first.year * 12 + first.month - 1

    def place(day: dt.date) -> float:
        return float(day.year * 12 + day.month - begin)  # the end of its month

    fan = None
    if forecast is not None:
        here, there = place(forecast.made), np.array([place(day) for day in forecast.months])
        fan = Fan(np.append(here, there), *(np.append(forecast.so_far, end) for end in (forecast.value, forecast.low, forecast.high)))
    last = int(max([place(day) for day, _ in shown] + ([] if fan is None else [fan.months[-1]])))
    ticks = [(float(12 * year - begin), str(year)) for year in range(first.year, (begin + last) // 12 + 1) if 12 * year >= begin]
    versions: dict[int, list[str]] = {}
    for aim in _aims(found, phase):
        versions.setdefault(aim.persons, []).extend(aim.versions)
    named = [
        (voice("goals_line", persons=voice.count(persons), versions=voice.listing(list(dict.fromkeys(of)))), persons)
        for persons, of in versions.items()
    ]
    texts = GoalTexts(voice("goals_axis"), voice("goals_time_axis"), voice("goals_counted_key"), voice("goals_forecast_key"))
    months, counts = [0.0, *(place(day) for day, _ in shown)], [0.0, *(float(count) for _, count in shown)]
    return draw_goal(months, counts, named, ticks=ticks, texts=texts, words=figure_words(scene), fan=fan)


# --- words


@dataclass(frozen=True)
class _Aim:
    """A goal about work or studies: a number for a day, in all the versions that have both."""

    persons: int
    ends: dt.date
    day: dt.date | None  # the month's end it is counted by
    open: bool  # its time is not over
    versions: list[str]
    of: list[int]


def _aims(found: GoalFollowUp, phase: str) -> list[_Aim]:
    """Give the goals of a phase that are about work or studies, the same number for the same day once, with its versions; smallest first."""
    aims: dict[tuple[int, dt.date], _Aim] = {}
    for one in found.versions:
        if one.goal == phase and one.counts is None:
            ends = last_day(found, one)
            aim = aims.setdefault((one.persons, ends), _Aim(one.persons, ends, judged_day(found, one), ends > found.until, [], []))
            aim.versions.extend([str(one.version)] if str(one.version) not in aim.versions else [])
            aim.of.extend([one.of] if one.of is not None and one.of not in aim.of else [])
    return [aims[key] for key in sorted(aims)]


def _the_goals(persons: Sequence[int], scene: Scene) -> str:
    listed = scene.voice.listing([scene.voice.count(one) for one in persons])
    return scene.voice("goals_the_goal" if len(persons) == 1 else "goals_the_goals", persons=listed)


def _published(one: PublishedCount, scene: Scene) -> str:
    voice, persons = scene.voice, scene.voice.count(one.persons)
    written = persons if one.precision == "exact" else voice(f"goals_{one.precision}", persons=persons)
    return written if one.of is None else voice("goals_published_of", persons=written, of=voice.count(one.of))


def _version(one: GoalVersion, scene: Scene) -> str:
    return scene.voice("goals_version", phase=one.goal, version=one.version)


def _id(phase: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in phase)
