"""Which numbers of the goals have come through the gate, and how are they written?"""

from __future__ import annotations

import datetime as dt

from evaluation.analysis.goal_forecast import Forecast
from evaluation.analysis.goals import ALL, GoalFollowUp
from evaluation.release.forecasts import forecast_through
from evaluation.release.goal_counts import (
    counted_month,
    counted_until,
    goal_counts,
    left_cell,
    reached_cell,
    started_cell,
    unplaced_cell,
    within_cell,
)
from evaluation.release.released import ReleasedCounts, release_counts, release_proportion
from evaluation.reporting.scene import Scene, once
from evaluation.reporting.wording import sentence_case


def counted(found: GoalFollowUp, phase: str, day: dt.date, scene: Scene, by: str = ALL, level: str = ALL) -> tuple[int | None, int | None]:
    """Give how many had started and left by a day, as released."""
    shown = _passed(found, scene).shown
    return shown[started_cell(phase, day, by, level)], shown[left_cell(phase, day, by, level)]


def share_within(found: GoalFollowUp, phase: str, group: tuple[str, str], months: int, scene: Scene) -> str:
    """Write a share within a horizon."""
    counts, people = _passed(found, scene), reached_cell(phase, months, *group)
    if people not in counts.shown:
        return "–"
    return scene.share(release_proportion(counts, within_cell(phase, months, *group), people, found.spec.level))


def forecast_released(found: GoalFollowUp, phase: str, made: Forecast | None, scene: Scene) -> Forecast | None:
    """Let a forecast go on from the released count, rounded outwards and held against earlier releases; none where the count is hidden."""
    day = None if made is None else counted_month(found, phase, made.made)
    if made is None or (day is None and not scene.rules.exact):
        return None
    so_far = None if day is None else _passed(found, scene).shown[left_cell(phase, day)]
    return forecast_through(f"goals {phase}", made, so_far, scene.telling)


def unplaced_sentences(found: GoalFollowUp, scene: Scene) -> list[str]:
    """Say how many recorded exits count nowhere; where they are few or none that is said too, in words that do not tell which."""
    shown = [_passed(found, scene).shown[unplaced_cell(phase)] for phase in found.phases]
    known = [count for count in shown if count is not None]
    if len(known) < len(shown):
        return [sentence_case(scene.voice("goals_unplaced_few"))]
    return [sentence_case(scene.voice("goals_unplaced", count=scene.voice.count(sum(known))))] if sum(known) else []


def ends_with_project(found: GoalFollowUp, scene: Scene) -> bool:
    """Say whether the project's record ends when a participant leaves it: no exit, or no more than a few, is dated after the last day there."""
    return not scene.telling.count("goals, exits after the last day in the project", found.after_last_day)


def share_left(found: GoalFollowUp, scene: Scene) -> float | None:
    """Give the share of all who started that had left when their phase was counted, of released counts; None where one is hidden."""
    shown = [counted(found, phase, counted_until(found, phase), scene) for phase in found.phases]
    started, exits = (sum(count for count in counts if count is not None) for counts in zip(*shown, strict=True)) if shown else (0, 0)
    return exits / started if started and not any(None in pair for pair in shown) else None


def _passed(found: GoalFollowUp, scene: Scene) -> ReleasedCounts:
    """Give the counts as they passed with the study; on a page within the house, without one, they pass by themselves."""
    if scene.released is not None:
        return scene.passed.counts
    return once(found, ("goals", scene.rules), lambda: release_counts(goal_counts(found, scene.rules), scene.rules).released)
