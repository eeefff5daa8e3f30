"""How is it told how near the goals the project came? Gross, by every version of the goal, and never as what the programme added."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
from babel.dates import format_date

from evaluation.analysis.goal_forecast import Forecast
from evaluation.analysis.goals import ALL, GoalFollowUp, GoalVersion, PublishedCount
from evaluation.reporting import figures
from evaluation.reporting.blocks import Block, Items, Paragraph, Rows, Section, Subheading, picture, spoken
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.figures.goals import Fan, GoalTexts, draw_goal
from evaluation.reporting.scene import Scene, figure_words
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import sentence_case

QUARTER = 3


def goals_section(found: GoalFollowUp, scene: Scene) -> Section:
    """Tell how the project's own count stands to every version of its goals."""
    voice = scene.voice
    blocks: list[Block] = [Paragraph(voice("goals_lead", **scene.names()))]
    if found.versions:
        blocks += [Paragraph(voice("goals_versions_text")), Rows(versions_table(found, scene)), Rows(attained_table(found, scene))]
        others = tuple(
            f"{_version(one, scene)}: {voice('goals_other_count', counts=one.counts.within(voice.language))}" for one in found.versions if one.counts
        )
        blocks += [Items(others)] if others else []
    if found.spec.published:
        blocks.append(Rows(published_table(found, scene)))
    for phase in found.phases:
        blocks += _phase(found, phase, scene)
    if found.forecasts or found.rehearsals:
        blocks.append(Paragraph(voice("goals_forecast_note")))
    level = voice.number(100 * found.spec.level, 0)
    blocks.append(Paragraph(voice("goals_within_note", level=level)))
    lost = int(found.unplaced[["undated", "misplaced"]].to_numpy().sum())
    if lost:
        said = voice("a_few") if scene.gate.hides(lost) else voice.count(lost)
        blocks.append(Paragraph(sentence_case(voice("goals_unplaced", count=said))))
    blocks += [Paragraph(voice("goals_hidden_note"))] if scene.gate.threshold else []
    return Section("goals", voice("goals"), tuple(blocks))


def versions_table(found: GoalFollowUp, scene: Scene) -> Table:
    """Show every version of the goal, with its date and source."""
    voice, rows = scene.voice, []
    for one in found.versions:
        share = ("–", "–") if one.of is None else (voice.count(one.of), voice.number(100 * one.persons / one.of))
        decided = "–" if one.decided is None else _day(one.decided, scene)
        rows.append((_version(one, scene), voice.count(one.persons), *share, decided, one.source.within(voice.language)))
    keys = ("goal", "persons", "of", "share", "decided", "source")
    return Table(voice("goals_versions_table"), tuple(voice(f"goals_{key}") for key in keys), tuple(rows))


def attained_table(found: GoalFollowUp, scene: Scene) -> Table:
    """Show each goal about work or studies beside the project's own count when its phase ended, or so far."""
    voice, rows = scene.voice, []
    for phase in found.phases:
        started, exits = found.count(phase, day=_counted_until(found, phase))
        counted = (scene.gate.count(started, voice.count), _exits(started, exits, scene))
        for persons, versions in _distinct(found, phase):
            attained = HIDDEN if _tells(started, exits, scene) else voice.number(100 * exits / persons)
            rows.append((voice("goals_version", phase=phase, version=voice.listing(versions)), voice.count(persons), *counted, attained))
    keys = ("goal", "persons", "started", "exits", "attained")
    return Table(voice("goals_table", day=_day(found.until, scene)), tuple(voice(f"goals_{key}") for key in keys), tuple(rows))


def published_table(found: GoalFollowUp, scene: Scene) -> Table:
    """Show published figures beside ours of the same day."""
    voice, rows = scene.voice, []
    for one in found.spec.published:
        ours = _counted_on(found, one, scene)
        until = "–" if one.until is None else _day(one.until, scene)
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
    """Show the count at the end of each quarter, without those that differ from another by few people; then the forecast."""
    voice = scene.voice
    rows = [
        (_month(day, scene), voice.count(started), HIDDEN if exits is None else voice.count(exits))
        for day, started, exits in _quarters(found, phase, scene)
    ]
    forecast = found.forecasts.get(phase)
    if forecast is not None and not scene.gate.hides(forecast.so_far):
        rows += [
            (f"{_month(day, scene)}, {voice('goals_expected').lower()}", "–", voice.range(round(low), round(high), 0))
            for day, low, high in zip(forecast.months, forecast.low, forecast.high, strict=True)
            if day.month % QUARTER == 0 or day == forecast.months[-1]
        ]
    head = (voice("goals_month"), voice("goals_started"), voice("goals_exits"))
    return Table(voice("goals_monthly_table", phase=phase), head, tuple(rows))


def groups_table(found: GoalFollowUp, phase: str, scene: Scene) -> Table:
    """Show the groups, in numbers and in shares within fixed horizons; in a breakdown with few people somewhere, the next smallest is hidden too."""
    voice, day, rows, marks = scene.voice, _counted_until(found, phase), [], []
    horizons = tuple(months for months in found.spec.horizons_months if (_of_phase(found, phase)["horizon_months"] == months).any())
    for by in (ALL, *found.spec.by):
        mine = found.monthly[(found.monthly["phase"] == phase) & (found.monthly["by"] == by)]
        levels = scene.in_order(by, sorted(mine["level"].unique()))
        counts = [found.count(phase, by, level, day) for level in levels]
        hidden = _hides(counts, scene)
        for level, (started, exits), few in zip(levels, counts, hidden, strict=True):
            label = voice("goals_everybody") if by == ALL else sentence_case(scene.level(by, level))
            cells = (HIDDEN, HIDDEN) if few else (voice.count(started), voice.count(exits))
            rows.append((label, *cells, *(_share(found, phase, by, levels, level, months, scene) for months in horizons)))
            marks.append("strong" if by == ALL else "")
    head = (voice("goals_group"), voice("goals_started"), voice("goals_exits"), *(voice("goals_within", months=months) for months in horizons))
    return Table(voice("goals_groups_table", phase=phase, day=_day(day, scene)), head, tuple(rows), tuple(marks))


# --- a phase


def goal_sentence(found: GoalFollowUp, phase: str, scene: Scene) -> str:
    """Say how many started and left in a phase, by the project's own record, and which of its goals that meets."""
    voice, day = scene.voice, _counted_until(found, phase)
    started, exits = found.count(phase, day=day)
    few = _tells(started, exits, scene)
    said = voice("a_few") if few else voice.count(exits)
    text = [voice("goals_counted", day=_day(day, scene), started=scene.gate.count(started, voice.count), phase=phase, exits=said)]
    goals = _distinct(found, phase)
    if not few and phase not in found.forecasts:
        text += _met([persons for persons, _ in goals if exits >= persons], [persons for persons, _ in goals if exits < persons], scene)
    return " ".join(text)


def _phase(found: GoalFollowUp, phase: str, scene: Scene) -> list[Block]:
    voice = scene.voice
    started, exits = found.count(phase, day=_counted_until(found, phase))
    few = _tells(started, exits, scene)
    blocks: list[Block] = [Subheading(voice("goals_phase", phase=phase)), Paragraph(goal_sentence(found, phase, scene))]
    blocks += [Paragraph(" ".join(told))] if not few and (told := _ahead(found, phase, exits, scene)) else []
    table = quarters_table(found, phase, scene)
    shown = [(at, count) for at, _, count in _quarters(found, phase, scene) if count is not None]
    if len(shown) > 1:
        caption = voice("goals_caption", phase=phase)
        blocks.append(
            picture(f"goals-{_id(phase)}", _drawn(found, phase, shown, scene), voice("goals_figure_title", phase=phase), spoken(table), caption)
        )
    return [*blocks, Rows(table), Rows(groups_table(found, phase, scene))]


def _met(met: Sequence[int], missed: Sequence[int], scene: Scene) -> list[str]:
    if not met and not missed:
        return []
    key = "goals_met_some" if met and missed else "goals_met" if met else "goals_not_met"
    return [scene.voice(key, met=_the_goals(met, scene), missed=_the_goals(missed, scene))]


def _ahead(found: GoalFollowUp, phase: str, exits: int, scene: Scene) -> list[str]:
    """Say where the count ends, or what would have been said halfway."""
    voice, forecast, rehearsal = scene.voice, found.forecasts.get(phase), found.rehearsals.get(phase)
    if forecast is not None:
        text = [voice("goals_forecast", **_ends(forecast, scene))]
        low, high = round(forecast.low[-1]), round(forecast.high[-1])
        persons = [persons for persons, _ in _distinct(found, phase)]
        for key, name, some in (
            ("above", "met", [goal for goal in persons if low >= goal]),
            ("below", "missed", [goal for goal in persons if high < goal]),
            ("across", "open", [goal for goal in persons if low < goal <= high]),
        ):
            text += [voice(f"goals_forecast_{key}", **{name: _the_goals(some, scene)})] if some else []
        return text
    if rehearsal is not None and not scene.gate.hides(rehearsal.so_far):
        inside = round(rehearsal.low[-1]) <= exits <= round(rehearsal.high[-1])
        key = "goals_rehearsal_inside" if inside else "goals_rehearsal_outside"
        return [voice(key, **_ends(rehearsal, scene), exits=voice.count(exits))]
    return []


def _ends(forecast: Forecast, scene: Scene) -> dict[str, str]:
    voice = scene.voice
    low, high = (voice.count(round(end[-1])) for end in (forecast.low, forecast.high))
    level = voice.number(100 * forecast.level, 0)
    return {"low": low, "high": high, "made": _day(forecast.made, scene), "ends": _day(forecast.ends, scene), "level": level}


def _drawn(found: GoalFollowUp, phase: str, shown: Sequence[tuple[dt.date, int]], scene: Scene) -> figures.Figure:
    voice, forecast = scene.voice, found.forecasts.get(phase)
    first = found.monthly.loc[found.monthly["phase"] == phase, "month"].min()
    begin = first.year * 12 + first.month - 1

    def place(day: dt.date) -> float:
        return float(day.year * 12 + day.month - begin)  # the end of its month

    fan = None
    if forecast is not None and not scene.gate.hides(forecast.so_far):
        here, there = place(forecast.made), np.array([place(day) for day in forecast.months])
        fan = Fan(np.append(here, there), *(np.append(forecast.so_far, end) for end in (forecast.value, forecast.low, forecast.high)))
    last = int(max([place(day) for day, _ in shown] + ([] if fan is None else [fan.months[-1]])))
    ticks = [(float(12 * year - begin), str(year)) for year in range(first.year, (begin + last) // 12 + 1) if 12 * year >= begin]
    named = [
        (voice("goals_line", persons=voice.count(persons), versions=voice.listing(versions)), persons)
        for persons, versions in _distinct(found, phase)
    ]
    texts = GoalTexts(voice("goals_axis"), voice("goals_time_axis"), voice("goals_counted_key"), voice("goals_forecast_key"))
    months, counts = [0.0, *(place(day) for day, _ in shown)], [0.0, *(float(count) for _, count in shown)]
    return draw_goal(months, counts, named, ticks=ticks, texts=texts, words=figure_words(scene), fan=fan)


# --- what may be shown


def _tells(started: int, exits: int, scene: Scene) -> bool:
    return scene.gate.hides_outcome(started, exits)


def _exits(started: int, exits: int, scene: Scene) -> str:
    return HIDDEN if _tells(started, exits, scene) else scene.voice.count(exits)


def _hides(counts: Sequence[tuple[int, int]], scene: Scene) -> list[bool]:
    """Say which groups of a breakdown would tell of few, or would by the total give such a group away."""
    parts = np.array([(started, exits, started - exits) for started, exits in counts], dtype=np.float64).reshape(-1, 3)
    whole = parts.sum(axis=0)
    return [bool(few) for few in scene.gate.hides_parts(parts / np.maximum(whole, 1.0), [int(people) for people in whole])]


def _quarters(found: GoalFollowUp, phase: str, scene: Scene) -> list[tuple[dt.date, int, int | None]]:
    """Give the counts at the ends of quarters, where none that is shown differs by few from the one shown next, nor is itself of few."""
    mine = found.monthly[(found.monthly["phase"] == phase) & (found.monthly["by"] == ALL)]
    until = _counted_until(found, phase)
    days = [day.date() for day in mine["month"]]
    at = [place for place, day in enumerate(days) if (day.month % QUARTER == 0 and day <= until) or day == until]
    started, exits = ([int(count) for count in mine[name].to_numpy()[at]] for name in ("started", "exits"))
    few = [_steps_of_few(counts, scene) for counts in (started, exits)]
    told = [_tells(people, count, scene) for people, count in zip(started, exits, strict=True)]
    return [
        (days[place], people, None if hidden or tells else count)
        for place, people, count, thin, hidden, tells in zip(at, started, exits, *few, told, strict=True)
        if not thin
    ]


def _counted_on(found: GoalFollowUp, one: PublishedCount, scene: Scene) -> tuple[str, str]:
    """Give our counts on the day of a published figure, unless they differ by few from one shown for the end of a quarter."""
    if one.goal not in found.phases or one.until is None or one.until > _counted_until(found, one.goal):
        return "–", "–"
    started, exits = found.count(one.goal, day=one.until)
    shown = _quarters(found, one.goal, scene)
    near = any(scene.gate.hides(abs(started - people)) or (count is not None and scene.gate.hides(abs(exits - count))) for _, people, count in shown)
    return (HIDDEN, HIDDEN) if near or _tells(started, exits, scene) else (scene.voice.count(started), scene.voice.count(exits))


def _steps_of_few(counts: Sequence[int], scene: Scene) -> list[bool]:
    if not counts:
        return []
    steps = scene.gate.hides_steps([-count for count in counts])
    return [bool(step) or scene.gate.hides(count) for step, count in zip(steps, counts, strict=True)]


def _share(found: GoalFollowUp, phase: str, by: str, levels: Sequence[str], level: str, months: int, scene: Scene) -> str:
    """Write a share within a horizon, hidden with the rest of its breakdown as counts are."""
    table = _of_phase(found, phase)
    mine = table[(table["by"] == by) & (table["horizon_months"] == months)].set_index("level")
    counts = [(int(mine["people"].get(one, 0)), int(mine["exits"].get(one, 0))) for one in levels]
    if level not in mine.index:
        return "–"
    if _hides(counts, scene)[list(levels).index(level)]:
        return HIDDEN
    share, low, high = (100 * float(mine[name][level]) for name in ("share", "low", "high"))
    return f"{scene.voice.number(share)} ({scene.voice.range(low, high)})"


# --- words


def _counted_until(found: GoalFollowUp, phase: str) -> dt.date:
    """Give the day the phase ended, or the last one counted."""
    dates = found.spec.phases.get(phase)
    return found.until if dates is None else min(dates.ends, found.until)


def _of_phase(found: GoalFollowUp, phase: str) -> pd.DataFrame:
    return found.shares[found.shares["phase"] == phase]


def _distinct(found: GoalFollowUp, phase: str) -> list[tuple[int, list[str]]]:
    """Give the goals of a phase that are about work or studies, the same number once, with its versions."""
    versions: dict[int, list[str]] = {}
    for one in found.versions:
        if one.goal == phase and one.counts is None:
            versions.setdefault(one.persons, []).append(str(one.version))
    return [(persons, list(dict.fromkeys(numbers))) for persons, numbers in sorted(versions.items())]


def _the_goals(persons: Sequence[int], scene: Scene) -> str:
    listed = scene.voice.listing([scene.voice.count(one) for one in persons])
    return scene.voice("goals_the_goal" if len(persons) == 1 else "goals_the_goals", persons=listed)


def _published(one: PublishedCount, scene: Scene) -> str:
    voice, persons = scene.voice, scene.voice.count(one.persons)
    written = persons if one.precision == "exact" else voice(f"goals_{one.precision}", persons=persons)
    return written if one.of is None else voice("goals_published_of", persons=written, of=voice.count(one.of))


def _version(one: GoalVersion, scene: Scene) -> str:
    return scene.voice("goals_version", phase=one.goal, version=one.version)


def _day(day: dt.date, scene: Scene) -> str:
    return format_date(day, "d MMMM y", locale="sv_SE" if scene.voice.language == "sv" else "en_GB")


def _month(day: dt.date, scene: Scene) -> str:
    return format_date(day, "MMMM y", locale="sv_SE" if scene.voice.language == "sv" else "en_GB")


def _id(phase: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in phase)
