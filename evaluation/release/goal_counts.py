"""Which counts does the follow-up of the goals rest on?

Everybody who started in a phase and those of them who left, at the end of each quarter, on the days of published figures, when the period of a goal
ended and when a forecast was made; the same in groups when the phase ended; and those who had so many months, with those of them who left within
them. Who had started by one day had started by every later one, so all that is said of starts is one chain, and all that is said of exits another:
what lies between two of them passes the gate with them.

Participants of the study started too. `link_to_study` ties them to everybody who started, so that the two cannot be subtracted from each other;
exits by the project's record and success by the registers are different things, counted by different days, and no difference of them is a number of
people.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from evaluation.analysis.goals import ALL, MONTH_DAYS, GoalFollowUp, GoalVersion
from evaluation.release.counts import Counts
from evaluation.release.rules import ReleaseRules

QUARTER = 3  # months: the grid on which a count that only grows is shown


def started_cell(phase: str, day: dt.date, by: str = ALL, level: str = ALL) -> str:
    """Name the cell with those who had started in a phase by a day."""
    return f"{_phase(phase, by, level)}, started by {day.isoformat()}"


def left_cell(phase: str, day: dt.date, by: str = ALL, level: str = ALL) -> str:
    """Name the cell with those of a phase who had left for work or studies by a day."""
    return f"{_phase(phase, by, level)}, left by {day.isoformat()}"


def reached_cell(phase: str, months: int, by: str = ALL, level: str = ALL) -> str:
    """Name the cell with those of a phase who had so many months."""
    return f"{_phase(phase, by, level)}, had {months} months"


def within_cell(phase: str, months: int, by: str = ALL, level: str = ALL) -> str:
    """Name the cell with those of a phase who had so many months and left within them."""
    return f"{_phase(phase, by, level)}, left within {months} months"


def unplaced_cell(phase: str) -> str:
    """Name the cell with those of a phase whose recorded exit has no day, or one before the start."""
    return f"{_phase(phase, ALL, ALL)}, exit without a day"


def counted_until(found: GoalFollowUp, phase: str) -> dt.date:
    """Give the month's end by which a phase is counted: the last one before the phase ended, or of all."""
    return counted_month(found, phase, _ends(found, phase)) or found.until


def counted_month(found: GoalFollowUp, phase: str, day: dt.date) -> dt.date | None:
    """Give the last month's end up to a day that is counted; None where nobody had started."""
    months = _everybody(found, phase)["month"]
    passed = months[months <= pd.Timestamp(day)]
    return None if passed.empty else passed.iloc[-1].date()


def last_day(found: GoalFollowUp, one: GoalVersion) -> dt.date:
    """Give the day a version of a goal is for: the last of its own period, or of its phase where the source gives none; of all where neither does."""
    dates = found.spec.phases.get(one.goal)
    return one.days[1] if one.days is not None else found.until if dates is None else dates.ends


def judged_day(found: GoalFollowUp, one: GoalVersion) -> dt.date | None:
    """Give the month's end by which a version of a goal is counted: the last one before its period ended, or of all; None: nobody had started."""
    if one.days is None:
        return counted_until(found, one.goal)
    return counted_month(found, one.goal, min(one.days[1], found.until))


def quarter_days(found: GoalFollowUp, phase: str) -> tuple[dt.date, ...]:
    """Give the ends of quarters on which a phase is shown, and last the day it is counted by."""
    until = counted_until(found, phase)
    days = [day.date() for day in _everybody(found, phase)["month"]]
    return tuple(day for day in days if (day.month % QUARTER == 0 and day <= until) or day == until)


def published_day(found: GoalFollowUp, goal: str, day: dt.date | None) -> dt.date | None:
    """Give the month's end that stands beside a published figure; None where there is none to set beside it."""
    if goal not in found.phases or day is None or day > _ends(found, goal):
        return None
    return counted_month(found, goal, day)


def goal_counts(found: GoalFollowUp, rules: ReleaseRules | None = None) -> Counts:
    """Gather the counts that the follow-up of the goals rests on, to pass the gate together.

    Parameters
    ----------
    found : GoalFollowUp
    rules : ReleaseRules, optional
        The site's.

    Returns
    -------
    Counts
        Cells named as the functions of this room name them.
    """
    rules = rules or ReleaseRules()
    parts = [_of_phase(found, phase, rules) for phase in found.phases]
    cells: dict[str, int] = {}
    for part in parts:
        cells |= part.cells
    totals, sums = _all_phases(found)
    return Counts(
        cells | totals,
        (*(rule for part in parts for rule in part.sums), *sums),
        tuple(pair for part in parts for pair in part.having),
        tuple(pair for part in parts for pair in part.nested),
    )


def link_to_study(counts: Counts, participants: Iterable[tuple[str, str, str]]) -> Counts:
    """Tie the participants of a study to everybody who started, for each of them did.

    Parameters
    ----------
    counts : Counts
        Of the goals and of the study.
    participants : iterable of (str, str, str)
        Breakdown and level ("" for everybody) and the cell with the study's participants.

    Returns
    -------
    Counts
    """
    pairs = [(_all_started(by, level), cell) for by, level, cell in participants]
    found = tuple(pair for pair in pairs if pair[0] in counts.cells and counts.cells[pair[1]] <= counts.cells[pair[0]])
    return replace(counts, nested=(*counts.nested, *found))


def _of_phase(found: GoalFollowUp, phase: str, rules: ReleaseRules) -> Counts:
    cells: dict[str, int] = {}
    sums: list[tuple[str, tuple[str, ...]]] = []
    having: list[tuple[str, str]] = []
    nested: list[tuple[str, str]] = []
    until = counted_until(found, phase)
    last = counted_month(found, phase, found.until) or until
    days = sorted({*quarter_days(found, phase), *_other_days(found, phase), until, last})
    for by, levels in _breakdowns(found, phase):
        of_by = days if by == ALL else sorted({until, last})
        for level in levels:
            group = _of_group(found, phase, (by, level), of_by, rules)
            cells |= group.cells
            having += group.having
            nested += group.nested
        if by != ALL:
            sums += list(_sums_of(phase, by, levels, of_by, found))
    cells[unplaced_cell(phase)] = int(found.unplaced.loc[found.unplaced["phase"] == phase, ["undated", "misplaced"]].to_numpy().sum())
    nested.append((started_cell(phase, last), unplaced_cell(phase)))
    return Counts(cells, tuple(sums), tuple(having), tuple(nested))


def _of_group(found: GoalFollowUp, phase: str, group: tuple[str, str], days: Sequence[dt.date], rules: ReleaseRules) -> Counts:
    """Count a group's starts and exits by each day and within each number of months; each kind is one chain."""
    starts = [started_cell(phase, day, *group) for day in days]
    exits = [left_cell(phase, day, *group) for day in days]
    cells: dict[str, int] = {}
    for started, left, day in zip(starts, exits, days, strict=True):
        cells[started], cells[left] = found.count(phase, *group, day)
    having, placed = list(zip(starts, exits, strict=True)), list(zip(days, starts, strict=True))
    within: dict[int, list[str]] = {}
    for months, people, left_within in _shares(found, phase, *group):
        reached, left = reached_cell(phase, months, *group), within_cell(phase, months, *group)
        cells |= {reached: people, left: left_within}
        having.append((reached, left))
        placed.append(((pd.Timestamp(found.until) - pd.Timedelta(days=round(months * MONTH_DAYS))).date(), reached))
        within.setdefault(people, []).append(left)  # of as many people it is the same people, for who had more months had fewer too
    ends = [exits[-1]] if days[-1] == found.until else []
    chains = [[cell for _, cell in sorted(placed)], exits, *([*cells_within, *ends] for cells_within in within.values())]
    return Counts(cells, (), tuple(having), tuple(pair for chain in chains for pair in _chain(chain, cells, rules)))


def _chain(names: Sequence[str], cells: Mapping[str, int], rules: ReleaseRules) -> Iterator[tuple[str, str]]:
    """Give the neighbours of a chain of ever more people, and others between whom there are few; the rest follows from the neighbours."""
    for place, (earlier, later) in ((later - first, (names[first], names[later])) for first, later in combinations(range(len(names)), 2)):
        if place == 1 or 0 < cells[later] - cells[earlier] < rules.threshold:
            yield later, earlier


def _sums_of(phase: str, by: str, levels: Sequence[str], days: Sequence[dt.date], found: GoalFollowUp) -> Iterator[tuple[str, tuple[str, ...]]]:
    for day in days:
        for name in (started_cell, left_cell):
            yield name(phase, day), tuple(name(phase, day, by, level) for level in levels)
    for months, _, _ in _shares(found, phase, ALL, ALL):
        inside = [level for level in levels if any(one == months for one, _, _ in _shares(found, phase, by, level))]  # the others had nobody so long
        for cell in (reached_cell, within_cell):
            yield cell(phase, months), tuple(cell(phase, months, by, level) for level in inside)


def _all_phases(found: GoalFollowUp) -> tuple[dict[str, int], list[tuple[str, tuple[str, ...]]]]:
    """Give everybody who started in any phase, once for each, by group."""
    parts: dict[str, list[tuple[str, int]]] = {}
    for phase in found.phases:
        last = counted_month(found, phase, found.until) or counted_until(found, phase)
        for by, levels in _breakdowns(found, phase):
            for level in levels:
                cell = started_cell(phase, last, by, level)
                parts.setdefault(_all_started(by, level), []).append((cell, found.count(phase, by, level, last)[0]))
    totals = {whole: sum(count for _, count in of) for whole, of in parts.items()}
    return totals, [(whole, tuple(cell for cell, _ in of)) for whole, of in parts.items()]


def _other_days(found: GoalFollowUp, phase: str) -> set[dt.date]:
    """Give the days beside the quarters on which something is told: of published figures, and when a forecast was made."""
    days = [published_day(found, one.goal, one.until) for one in found.spec.published if one.goal == phase]
    days += [judged_day(found, one) for one in found.versions if one.goal == phase and one.counts is None]
    days += [counted_month(found, phase, made[phase].made) for made in (found.forecasts, found.rehearsals) if phase in made]
    return {day for day in days if day is not None}


def _ends(found: GoalFollowUp, phase: str) -> dt.date:
    dates = found.spec.phases.get(phase)
    return found.until if dates is None else min(dates.ends, found.until)


def _everybody(found: GoalFollowUp, phase: str) -> pd.DataFrame:
    return found.monthly[(found.monthly["phase"] == phase) & (found.monthly["by"] == ALL)]


def _breakdowns(found: GoalFollowUp, phase: str) -> list[tuple[str, list[str]]]:
    mine = found.monthly[found.monthly["phase"] == phase]
    return [(by, sorted(mine.loc[mine["by"] == by, "level"].unique())) for by in dict.fromkeys(mine["by"])]


def _shares(found: GoalFollowUp, phase: str, by: str, level: str) -> list[tuple[int, int, int]]:
    table = found.shares
    mine = table[(table["phase"] == phase) & (table["by"] == by) & (table["level"] == level)]
    return sorted(zip(*(mine[name].tolist() for name in ("horizon_months", "people", "exits")), strict=True))


def _phase(phase: str, by: str, level: str) -> str:
    return f"goals {phase}" if by == ALL else f"goals {phase}, {by}: {level}"


def _all_started(by: str, level: str) -> str:
    return "goals, started" if by == ALL else f"goals, {by}: {level}, started"
