"""What a register study adds, as lines that set the two groups against each other: figures, tables and sentences are made of the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import cast

import numpy as np

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate, Ratio
from evaluation.analysis.exits import Definition
from evaluation.analysis.later_starts import CensoringModel
from evaluation.analysis.means import Contrast, Durability, Occupancy, Totals
from evaluation.analysis.trajectories import WITHIN_DAYS
from evaluation.plan import RegisterPlan
from evaluation.registers.contract import load_contract
from evaluation.release.contrasts import ReleasedContrast, withheld_contrast
from evaluation.release.definitions import TO_STUDIES, TO_WORK, within_definitions
from evaluation.release.nested import Cell, Standing, Within, neighbours, nested_shares
from evaluation.release.passage import mean_through, ratio_through
from evaluation.release.released import ReleasedNumber
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.scene import Scene, once
from evaluation.reporting.states import (
    ALL_SUBSIDISED,
    NEW_START,
    PARTS,
    STUDIES,
    SUBSIDISED,
    UNSUBSIDISED,
    Groups,
    present_parts,
    released_states,
    state_contrast,
)
from evaluation.reporting.tables import Table, contrast_cells, mean_cells, mean_row, ratio_cells
from evaluation.reporting.wording import stepped_cells
from evaluation.study import Study

PLACES: Groups = {  # as many as can be told apart in one figure; whoever is in none of them is elsewhere
    **PARTS,
    "place_programme": ("program",),
    "place_open": ("oppet_arbetslos", "deltid", "forhinder"),
    "place_sick": ("sjuk", "foraldraledig"),
}
ELSEWHERE = "place_elsewhere"
TABLE_MONTHS = (0, 6, 12, 18, 24)


@dataclass(frozen=True, eq=False)
class Line:
    """One thing in either group, and the difference.

    Attributes
    ----------
    label : str
    contrast : ReleasedContrast or None
    reason : str
        Why there is no contrast, or none to be shown.
    strong : bool
    """

    label: str
    contrast: ReleasedContrast | None
    reason: str = ""
    strong: bool = False

    @property
    def hidden(self) -> bool:
        """Whether it is about too few people to be shown."""
        return self.contrast is not None and self.contrast.difference.value is None

    @property
    def shown(self) -> ReleasedContrast | None:
        """The contrast where it may be shown."""
        return None if self.hidden else self.contrast


def line(label: str, contrast: ReleasedContrast | None, scene: Scene, *, reason: str = "", strong: bool = False) -> Line:
    """Make a line of shares, with the reason where there are none."""
    hidden = contrast is not None and contrast.hidden
    return Line(label, contrast, scene.voice("too_few") if hidden else reason, strong)


def share_table(caption: str, lines: Sequence[Line], head: str, scene: Scene) -> Table:
    """Show shares in per cent and their difference in percentage points."""
    voice = scene.voice
    rows: list[tuple[str, ...]] = []
    for one in lines:
        contrast = one.shown
        if contrast is None:
            rows.append((one.label, *((HIDDEN,) * 4 if one.hidden else ("–", "–", one.reason, ""))))
            continue
        rows.append((one.label, *contrast_cells(contrast, scene)))
    columns = (head, scene.treated, scene.control, voice("difference"), voice("interval"))
    return Table(caption, columns, tuple(rows), tuple("strong" if one.strong else "" for one in lines))


def counted_table(caption: str, lines: Sequence[Line], head: str, scene: Scene) -> Table:
    """Show the same as `share_table`, and how many people of either group each line rests on."""
    table = share_table(caption, lines, head, scene)
    rows = tuple((*row, *people_cells(one.contrast, scene)) for row, one in zip(table.rows, lines, strict=True))
    return replace(table, head=(*table.head, *people_head(scene)), rows=rows)


def people_head(scene: Scene) -> tuple[str, str]:
    """Name the columns with the number of people."""
    return scene.voice("number_of", group=scene.treated), scene.voice("number_of", group=scene.control)


def people_cells(contrast: ReleasedContrast | None, scene: Scene) -> tuple[str, str]:
    """Write how many people of either group a contrast rests on."""
    if contrast is None:
        return "–", "–"
    return scene.shown(contrast.people[0]), scene.shown(contrast.people[1])


def rests_on(contrast: ReleasedContrast, scene: Scene) -> dict[str, str] | None:
    """Give the words for how many people a contrast rests on, where they are fewer than those of the answer in either group."""
    answer = scene.passed.effects[scene.plan.primary_days].people
    if all(count is not None and count >= (of_answer or 0) for count, of_answer in zip(contrast.people, answer, strict=True)):
        return None
    n, m = (scene.voice("a_few") if count is None else scene.voice.count(count) for count in contrast.people)
    return {"n": n, "m": m}


# --- what the difference consists of


def part_lines(study: Study, scene: Scene) -> dict[str, Line]:
    """Split the difference at the primary horizon: by key of the part; empty where success has fewer than two parts."""
    found = released_states(study.effects, scene.plan.primary_days, scene.telling)
    return {part: line(scene.voice(part), found[part], scene) for part in present_parts(study.effects)} if found else {}


def subsidised(study: Study, scene: Scene) -> ReleasedNumber | None:
    """Give how much of the difference is subsidised jobs of either kind; None where it may not be shown, or there is one kind only."""
    found = released_states(study.effects, scene.plan.primary_days, scene.telling)
    if not {NEW_START, SUBSIDISED} <= set(present_parts(study.effects)) or ALL_SUBSIDISED not in found:
        return None
    kinds = [found[kind] for kind in (NEW_START, SUBSIDISED, ALL_SUBSIDISED)]
    return None if any(kind.hidden for kind in kinds) else found[ALL_SUBSIDISED].difference


# --- where they are, month by month


def place_lines(occupancy: Occupancy, month: int, scene: Scene) -> dict[str, Line]:
    """Give the share in each group of states so many months after the start, by key of the group."""
    passed = once(occupancy, ("places", month, scene.telling), lambda: scene.telling.parts(f"places, month {month}", _places(occupancy, month)))
    return {place: line(scene.voice(place), contrast, scene) for place, contrast in passed.items()}


def _places(occupancy: Occupancy, month: int) -> dict[str, Contrast]:
    """Give the share in each group of states, and in none of them."""
    found = {}
    for place, states in PLACES.items():
        known = [occupancy.contrasts[state, month] for state in states if state in occupancy.states]
        if known:
            treated, control = reduce(add, (one.treated for one in known)), reduce(add, (one.control for one in known))
            found[place] = Contrast(treated, control, treated - control)
    treated, control = (_rest([getattr(one, arm) for one in found.values()]) for arm in ARMS)
    return {**found, ELSEWHERE: Contrast(treated, control, treated - control)}


def _rest(shares: Sequence[Estimate]) -> Estimate:
    """Give the share in none of these."""
    whole = reduce(add, shares)
    return replace(whole, value=max(1 - whole.value, 0.0), influence=-whole.influence)


def drawn_places(occupancy: Occupancy, month: int, scene: Scene) -> dict[str, tuple[float, float]]:
    """Give the shares to draw, treated and control, by key of the group: what is hidden lies with the last group, which is what is left."""
    levels = once(occupancy, ("drawn", month, scene.telling), lambda: scene.telling.levels(f"drawn, month {month}", _places(occupancy, month)))
    shown = np.array([(0.0, 0.0) if pair is None else pair for pair in levels.values()])
    shown[-1] = 1 - shown[:-1].sum(axis=0)
    return {place: (float(treated), float(control)) for place, (treated, control) in zip(levels, np.clip(shown, 0.0, 1.0), strict=True)}


# --- when the difference arises


def horizon_lines(found: Mapping[float, ReleasedContrast], scene: Scene) -> dict[float, Line]:
    """Give the share with success by each horizon of the plan."""
    primary, unseen = scene.plan.primary_days, scene.voice("not_observed")
    horizons = map(scene.plan.days, scene.plan.effects.horizons)
    return {days: line(scene.voice.span(days), found.get(days), scene, reason=unseen, strong=days == primary) for days in horizons}


def released_horizons(effects: Effects, scene: Scene) -> dict[float, ReleasedContrast]:
    """Let the shares at every horizon through of effects that are not the study's own; none where the study's, of the same treated, is withheld."""
    shown = [days for days in sorted(effects.risk_difference) if days in scene.passed.effects and not scene.passed.effects[days].hidden]
    asked, primary = {f"{days:g}": _at(effects, days) for days in shown}, f"{scene.plan.primary_days:g}"
    told = once(
        effects,
        ("horizons", scene.telling),
        lambda: nested_shares(scene.telling, "never starting", asked, neighbours(list(asked)), last=[primary]),
    )
    return {days: told.get(f"{days:g}", withheld_contrast()) for days in effects.risk_difference}


def hides_ratio(study: Study, period: tuple[float, float], ratio: Ratio | None, scene: Scene) -> bool:
    """Say whether a period's ratio is about few people; those who have, or lack, success in all stand for those of the period."""
    return scene.hides_effects(study.effects) or (ratio is not None and released_ratio(study, period, ratio, scene).value is None)


def released_ratio(study: Study, period: tuple[float, float], ratio: Ratio, scene: Scene) -> ReleasedNumber:
    """Let the ratio of a period through."""
    begin, end = period
    return ratio_through(f"hazard ratio from {begin:g} to {end:g} days", ratio, study.effects, scene.passed.counts, scene.telling)


def period_table(study: Study, periods: Mapping[tuple[float, float], Ratio | None], scene: Scene) -> Table:
    """Show the hazard ratio of each period."""
    voice, rows = scene.voice, []
    for period, ratio in periods.items():
        absent = (HIDDEN, HIDDEN) if scene.hides_effects(study.effects) else (voice("not_estimable"), "")
        rows.append((voice.period(*period), *(absent if ratio is None else ratio_cells(released_ratio(study, period, ratio, scene), scene))))
    return Table(voice("periods_table"), (voice("time"), voice("hazard_ratio"), voice("interval")), tuple(rows))


# --- starting now, waiting, or never


def later_table(study: Study, never: Effects, scene: Scene) -> Table:
    """Set starting now against waiting and against never starting, at each horizon and in days."""
    voice, rows = scene.voice, []
    now, without = horizon_lines(scene.passed.effects, scene), horizon_lines(released_horizons(never, scene), scene)
    for horizon, one in now.items():
        cells = [_difference_cell(lines.get(horizon), scene) for lines in (now, without)]
        rows.append((voice("risk_row", horizon=one.label), *cells))
    few = scene.hides_effects(study.effects, never)
    found = (scene.passed.mean, mean_through("mean days, never starting", never, scene.passed.counts, scene.telling))
    means = (HIDDEN if few else _days_cell(mean, scene) for mean in found)
    rows.append((mean_row(scene), *means))
    marks = tuple("strong" if one.strong else "" for one in now.values())
    head = (voice("measure"), voice("against_waiting"), voice("against_never"))
    return Table(voice("later_table"), head, tuple(rows), (*marks, *[""] * (len(rows) - len(marks))))


def _difference_cell(one: Line | None, scene: Scene) -> str:
    if one is None or one.contrast is None:
        return scene.voice("not_observed")
    return HIDDEN if one.hidden else f"{scene.points(one.contrast.difference)} ({scene.point_range(one.contrast.difference)})"


def _days_cell(mean: ReleasedContrast | None, scene: Scene) -> str:
    if mean is None:
        return scene.voice("not_observed")
    *_, gap, interval = mean_cells(mean, scene)
    return HIDDEN if mean.hidden else f"{gap} ({interval})"


def started_count(censoring: CensoringModel, scene: Scene) -> str:
    """Write how many of the controls started later."""
    told = scene.telling.count("later starts, started", censoring.started)
    return scene.voice("a_few") if told is None else scene.few_or(told)


# --- how lasting it is


def durability_lines(durability: Durability, scene: Scene) -> list[Line]:
    """Give who of those with success still had it later, and who was unemployed again."""
    voice, found = scene.voice, []
    asked_of = {str(asked): contrast for asked, contrast in durability.contrasts.items()}
    followed = sorted(asked_of, key=lambda asked: -WITHIN_DAYS if asked == "returned" else -int(asked))  # who is followed longest first
    year = scene.passed.effects.get(WITHIN_DAYS)
    standing = {} if year is None else {"success": Standing(year)}
    within = (*(Within(Cell("success"), (Cell(asked, "people"),)) for asked in asked_of), *neighbours(followed, "people"))
    passed = nested_shares(scene.telling, "lasting", asked_of, within, standing=standing)
    for asked, contrast in zip(durability.contrasts, passed.values(), strict=True):
        label = voice("returned_row") if asked == "returned" else voice(f"lasting_{own_definition(scene)}", days=voice.count(asked))
        found.append(line(label, contrast, scene))
    return found


def released_totals(totals: Totals, scene: Scene) -> dict[str, ReleasedContrast]:
    """Let what two years come to per person through."""
    return once(totals, ("totals", scene.telling), lambda: scene.telling.means("totals", totals.contrasts))


def totals_table(totals: Totals, scene: Scene) -> Table:
    """Show what two years come to per person: benefit days, months with social assistance and earnings."""
    voice, rows = scene.voice, []
    for name, contrast in released_totals(totals, scene).items():
        sides, gap = (contrast.treated.value, contrast.control.value), contrast.difference
        shown: tuple[str, ...] = (HIDDEN,) * 4
        if None not in (*sides, gap.value, gap.low, gap.high):
            treated, control, value, low, high = (cast("float", number) for number in (*sides, gap.value, gap.low, gap.high))
            krona = totals.contrasts[name].difference.unit == "sek"
            levels = (float(round(treated)), float(round(control))) if krona else (treated, control)  # nobody is paid in tenths
            shown = stepped_cells(levels, value, (low, high), voice)
        rows.append((voice(f"total_{name}"), *shown, *people_cells(contrast, scene)))
    head = (voice("per_person"), scene.treated, scene.control, voice("difference"), voice("interval"), *people_head(scene))
    return Table(voice("totals_table"), head, tuple(rows))


# --- if success is counted otherwise


def own_definition(scene: Scene) -> Definition:
    """Give the plan's definition of success."""
    return scene.plan.outcome.definition if isinstance(scene.plan, RegisterPlan) else "project"


def definition_lines(study: Study, definition: Definition, others: Mapping[str, Effects | str], scene: Scene) -> list[Line]:
    """Give the difference at the primary horizon by each definition of success, the study's own among them."""
    voice = scene.voice
    every: dict[str, Effects | str] = {definition: study.effects, **others}
    passed = released_definitions(study, definition, others, scene)
    found = []
    for name in ("strict", "project", "studies", "independent"):
        if name in every:
            effects, shown = every[name], passed.get(name)
            reason = voice("not_observed") if isinstance(effects, Effects) else voice("not_delivered", tables=_registers(effects, scene))
            if name != definition and shown is not None and shown.people == (None, None):
                shown, reason = None, voice("too_few")  # nothing is said of how many it rests on
            found.append(line(voice(f"definition_{name}"), shown, scene, reason=reason, strong=name == definition))
    return found


def released_definitions(study: Study, definition: Definition, others: Mapping[str, Effects | str], scene: Scene) -> dict[str, ReleasedContrast]:
    """Let the shares at the primary horizon through by each definition that is followed so long, the study's own among them."""
    horizon, every = scene.plan.primary_days, {definition: study.effects, **others}
    reached = {name: effects for name, effects in every.items() if isinstance(effects, Effects) and horizon in effects.risk_difference}
    asked = {name: _at(effects, horizon) for name, effects in reached.items() if name != definition}
    standing: dict[str, Standing] = {}
    if definition in reached:
        standing = {definition: Standing(scene.passed.effects[horizon], _at(study.effects, horizon))}
    within = within_definitions(definition, asked)
    passed = nested_shares(scene.telling, "definitions", asked, within, standing={**standing, **_first_exits(study, scene)})
    return passed | {name: one.shown for name, one in standing.items()}


def _first_exits(study: Study, scene: Scene) -> dict[str, Standing]:
    """Give the kinds of exit of the page that other definitions are set against."""
    horizon = scene.plan.primary_days
    found = released_states(study.effects, horizon, scene.telling)
    kinds = {TO_WORK: PARTS[UNSUBSIDISED], TO_STUDIES: PARTS[STUDIES]}
    return {name: Standing(found[state], state_contrast(study.effects, horizon, (state,))) for name, (state,) in kinds.items() if state in found}


def _at(effects: Effects, horizon: float) -> Contrast:
    return Contrast(effects.arms["treated"].risk[horizon], effects.arms["control"].risk[horizon], effects.risk_difference[horizon])


def _registers(names: str, scene: Scene) -> str:
    """Call tables by their titles."""
    known = load_contract().tables
    return scene.voice.listing([known[name].titles[scene.voice.language] if name in known else name for name in names.split(", ")])
