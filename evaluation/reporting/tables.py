"""Results as tables of finished text: what a reader sees beside each figure, through the disclosure gate.

Every table has a caption, one header row and a first column that names its rows, so that a screen reader can speak it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.outcomes import ANY
from evaluation.analysis.subgroups import EmptyGroup, SubgroupEffects
from evaluation.design.verdict import Check
from evaluation.release.contrasts import ReleasedContrast
from evaluation.release.released import ReleasedNumber
from evaluation.release.requirements import check_through
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.overlap import OverlapBins, released_overlap
from evaluation.reporting.scene import Scene, once
from evaluation.reporting.states import released_states
from evaluation.reporting.wording import check_cells, check_sentence, sentence_case, stepped_cells
from evaluation.study import Design, Study

RowKind = Literal["overall", "group", "difference", "part", "empty"]


@dataclass(frozen=True)
class Table:
    """A table ready to be shown.

    Attributes
    ----------
    caption : str
    head : tuple of str
    rows : tuple of tuple of str
        The first cell names the row.
    marks : tuple of str
        A class per row: "" or "strong", "difference", "bad".
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()

    def marked(self) -> list[tuple[str, tuple[str, ...]]]:
        """Pair each row with its class."""
        return list(zip(self.marks or ("",) * len(self.rows), self.rows, strict=True))


@dataclass(frozen=True)
class SubgroupRow:
    """One line of the forest plot and its table.

    Attributes
    ----------
    kind : {"overall", "group", "difference", "empty"}
    by, label : str
        The breakdown and the group, as the reader calls them.
    treated, control : int or None
        Rounded people; None where they are hidden, and for a difference.
    estimate : ReleasedNumber or None
    reason : str
        Why there is none.
    """

    kind: RowKind
    by: str
    label: str
    treated: int | None
    control: int | None
    estimate: ReleasedNumber | None
    reason: str


def flow_table(design: Design, scene: Scene) -> Table:
    """Show how many people there were at each step."""
    voice, last = scene.voice, len(design.comparison.attrition) - 1
    ends = {arm: (scene.passed.step(arm, 0), scene.passed.step(arm, last)) for arm in ARMS}
    rows = (
        (voice("in_table"), *(scene.shown(start) for start, _ in ends.values())),
        (voice("left_out"), *(scene.between(*pair) for pair in ends.values())),
        (voice("compared"), *(scene.shown(end) for _, end in ends.values())),
    )
    return Table(voice("flow_caption"), (voice("step"), scene.treated, scene.control), rows, ("", "", "strong"))


def lost_treated(design: Design, scene: Scene) -> tuple[int | None, int | None]:
    """Give how many of the treated found no counterpart, and of how many, as released; None is hidden, and a rounded 0 may be a few."""
    own = [number for number, count in enumerate(design.comparison.attrition["treated"]) if not pd.isna(count)]
    before, after = (scene.passed.step("treated", number) for number in (own[-2] if len(own) > 1 else own[-1], own[-1]))
    return (None if before is None or after is None else before - after), before


def overlap_bins(design: Design, scene: Scene) -> OverlapBins:
    """Give what figure and table of the overlap both show."""
    telling = scene.telling
    return once(design, ("overlap", telling), lambda: released_overlap(design, telling))


def overlap_table(design: Design, scene: Scene) -> Table:
    """Show each group's spread over the propensity, before and after matching."""
    voice, bins = scene.voice, overlap_bins(design, scene)
    names = [f"{voice.number(100 * low, 0)}–{voice.percent_sign(high)}" for low, high in pairwise(bins.edges)]
    shares = [of[arm] for arm in ARMS for of in (bins.everybody, bins.compared)]
    columns = [[HIDDEN if np.isnan(share) else voice.number(100 * share) for share in column] for column in shares]
    head = [f"{group}, {voice(when, **scene.names())}" for group in (scene.treated, scene.control) for when in ("before", "after")]
    return Table(voice("overlap_table"), (scene.probability, *head), tuple(zip(names, *columns, strict=True)))


def verdict_table(design: Design, scene: Scene) -> Table:
    """Show every requirement, its value and whether it was met."""
    voice = scene.voice
    rows = tuple(check_cells(released_check(check, design, scene), voice, scene.few_or) for check in design.verdict.checks)
    head = (voice("requirement"), voice("value"), voice("limit"), voice("outcome"))
    return Table(voice("verdict_caption"), head, rows, tuple("" if check.passed else "bad" for check in design.verdict.checks))


def failed_requirements(design: Design, scene: Scene) -> str:
    """List the requirements that were not met, each with its value and limit."""
    return "; ".join(check_sentence(released_check(check, design, scene), scene.voice, scene.few_or) for check in design.verdict.failed)


def released_check(check: Check, design: Design, scene: Scene) -> Check:
    """Give a check with the value that may be told: the share that found a counterpart is of released counts, where they are shown."""
    if scene.released is not None and check.name == "share_treated_kept" and not scene.rules.exact:
        lost, among = lost_treated(design, scene)
        if lost is not None and among:
            return replace(check, value=1 - lost / among)
    return check_through(check, design, scene.telling)


def curve_table(study: Study, scene: Scene, until_days: float) -> Table:
    """Show the curves at the plan's horizons, with the numbers still followed, as far as the figure goes."""
    voice, curve, rows = scene.voice, scene.passed.curves[ANY], []
    for horizon in study.effects.spec.horizons_days:
        month = round(horizon / curve.month_days)
        if horizon <= until_days and month in curve.months:
            cells = [cell for arm in ARMS for cell in (scene.share(curve.at_month(arm, month)), scene.shown(curve.followed[arm][month]))]
            rows.append((voice.span(horizon), *cells))
    head = [voice(key, group=group) for group in (scene.treated, scene.control) for key in ("share_of", "followed_of")]
    return Table(voice("curves_table", success=scene.names()["success"]), (voice("time"), *head), tuple(rows))


def effects_table(study: Study, scene: Scene) -> Table:
    """Show every measure's level in either group, the difference and its interval."""
    voice, effects = scene.voice, study.effects
    rows: list[tuple[str, ...]] = []
    for horizon in map(scene.plan.days, scene.plan.effects.horizons):
        name = voice("risk_row", horizon=voice.span(horizon))
        found = scene.passed.effects.get(horizon)
        rows.append((name, *(beyond(scene) if found is None else contrast_cells(found, scene))))
    rows.append((mean_row(scene), *mean_cells(scene.passed.mean, scene)))
    ratios = scene.passed.ratios
    alone = ratio_cells(ratios["hazard_ratio"], scene) if "hazard_ratio" in ratios else (voice("not_estimable"), "")
    rows.append((voice("ratio_row"), "", "", *alone))
    if "adjusted" in ratios:  # of what nobody asked for there is nothing to say
        rows.append((voice("adjusted_row"), "", "", *ratio_cells(ratios["adjusted"], scene)))
    names = scene.names()
    caption = sentence_case(
        voice("effects_caption", treated=names["treated"], control=names["control"], level=voice.number(100 * effects.spec.level, 0))
    )
    head = (voice("measure"), scene.treated, scene.control, voice("difference"), voice("interval"))
    primary = voice("risk_row", horizon=voice.span(scene.plan.primary_days))
    return Table(caption, head, tuple(rows), tuple("strong" if row[0] == primary else "" for row in rows))


def contrast_cells(found: ReleasedContrast, scene: Scene) -> tuple[str, str, str, str]:
    """Write a contrast of shares: per cent in either arm, their difference in percentage points and its interval."""
    sides = (HIDDEN if side.value is None else scene.voice.number(100 * side.value) for side in (found.treated, found.control))
    treated, control = sides
    return treated, control, scene.points(found.difference), scene.point_range(found.difference)


def beyond(scene: Scene) -> tuple[str, str, str, str]:
    """Give the cells of what is not followed that long: a level in either group, the difference and its interval."""
    return "–", "–", scene.voice("not_observed"), ""


def mean_row(scene: Scene) -> str:
    """Name the row of the restricted mean that the plan asks for."""
    return scene.voice("rmst_row", horizon=scene.voice.span(scene.plan.effect_spec().rmst_days or 0), units=scene.voice.fine().units())


def mean_cells(found: ReleasedContrast | None, scene: Scene) -> tuple[str, str, str, str]:
    """Write a contrast of mean times: either arm, the difference and its interval."""
    if found is None:
        return beyond(scene)
    sides, gap, fine = (found.treated.value, found.control.value), found.difference, scene.voice.fine()
    if None in sides or gap.value is None or gap.low is None or gap.high is None:
        return HIDDEN, HIDDEN, HIDDEN, HIDDEN
    days = fine.unit.days
    levels, ends = tuple((side or 0.0) / days for side in sides), (gap.low / days, gap.high / days)
    return stepped_cells((levels[0], levels[1]), gap.value / days, (ends[0], ends[1]), fine)


def p_cell(number: ReleasedNumber, scene: Scene) -> str:
    """Write a p-value that has come through the gate, with no more decimals than its steps carry."""
    return HIDDEN if number.value is None else scene.voice.p_number(number.value, scene.p_decimals)


def p_note(scene: Scene) -> list[str]:
    """Say why p-values in a table may be alike, where they are rounded."""
    return [] if scene.rules.exact else [scene.voice("p_rounded")]


def rounding_note(found: Iterable[ReleasedContrast | None], scene: Scene) -> list[str]:
    """Say that differences are taken before rounding, where two shares on the page do not give the one beside them."""
    return [scene.voice("rounded_apart")] if any(one is not None and _apart(one) for one in found) else []


def _apart(one: ReleasedContrast) -> bool:
    sides, gap = (one.treated.value, one.control.value), one.difference.value
    if None in sides or gap is None:
        return False
    treated, control = (round(100 * (side or 0.0), 1) for side in sides)
    return abs(treated - control - round(100 * gap, 1)) > 0.05  # half of the decimal that is shown


def ratio_cells(found: ReleasedNumber, scene: Scene) -> tuple[str, str]:
    """Write a ratio and its interval."""
    if found.value is None or found.low is None or found.high is None:
        return HIDDEN, HIDDEN
    return scene.voice.number(found.value, 2), scene.voice.range(found.low, found.high, 2)


def states_table(effects: Effects, scene: Scene, horizon: float) -> Table:
    """Show the share in each state by one horizon, and the difference; states of few are hidden so that the others do not give them away."""
    voice, rows = scene.voice, []
    found = released_states(effects, horizon, scene.telling)
    for state in dict.fromkeys(state for state, days in effects.cumulative_incidence if days == horizon):
        gap = found[state].difference
        cells = (scene.share(found[state].treated), scene.share(found[state].control), f"{scene.points(gap)} ({scene.point_range(gap)})")
        rows.append((scene.state(state), *((HIDDEN,) * 3 if found[state].hidden else cells)))
    head = (voice("state"), scene.treated, scene.control, voice("difference"))
    return Table(voice("states_table", horizon=voice.span(horizon)), head, tuple(rows))


def subgroup_rows(study: Study, scene: Scene) -> list[SubgroupRow]:
    """List what the forest plot and its table show: each group's effect, then the differences of effects."""
    rows: list[SubgroupRow] = []
    for found, explored in ((study.registered, False), (study.exploratory, True)):
        for by in dict.fromkeys(by for by, _ in found.effects):
            name = scene.voice("exploratory", by=scene.breakdown(by)) if explored else scene.breakdown(by)
            groups = {level: effects for (breakdown, level), effects in found.effects.items() if breakdown == by}
            rows += [_group_row(groups[level], by, name, level, scene) for level in scene.in_order(by, groups)]
            rows += _difference_rows(found, by, name, scene)
    return rows


def _group_row(effects: Effects | EmptyGroup, by: str, name: str, level: str, scene: Scene) -> SubgroupRow:
    label, found = scene.level(by, level), scene.passed.groups[by, level]
    if isinstance(effects, EmptyGroup):
        why = "too_few" if None in found.people else effects.reason
        return SubgroupRow("empty", name, label, *found.people, None, scene.voice(why))
    if found.hidden:
        observed = scene.plan.primary_days in effects.risk_difference
        return SubgroupRow("empty", name, label, *found.people, None, scene.voice("too_few" if observed else "not_observed"))
    return SubgroupRow("group", name, label, *found.people, found.difference, "")


def _difference_rows(found: SubgroupEffects, by: str, name: str, scene: Scene) -> list[SubgroupRow]:
    """Show a difference only where both its groups are shown: with one of them it would give the other away."""
    measure = f"risk_{scene.plan.primary_days:g}"
    rows = []
    for (breakdown, level, reference, key), estimate in found.differences.items():
        if breakdown != by or key != measure:
            continue
        label = scene.voice("effect_gap", level=scene.level(by, level), reference=scene.level(by, reference))
        gap = scene.passed.gap(by, level, reference, estimate)
        if gap.value is not None:
            rows.append(SubgroupRow("difference", name, label, None, None, gap, ""))
    return rows


def subgroup_table(rows: Sequence[SubgroupRow], by: str | None, scene: Scene) -> Table:
    """Show the effect in each group and the differences of effects; `by` names the breakdown where all rows are of one."""
    voice, cells, marks = scene.voice, [], []
    for row in rows:
        counts = ["" if row.kind == "difference" else scene.shown(count) for count in (row.treated, row.control)]
        shown = (row.reason, "") if row.estimate is None else (scene.points(row.estimate), scene.point_range(row.estimate))
        cells.append((f"{row.by}: {row.label}" if by is None else row.label, *counts, *shown))
        marks.append("difference" if row.kind == "difference" else "")
    numbers = (voice("number_of", group=scene.treated), voice("number_of", group=scene.control))
    head = (voice("group"), *numbers, voice("effect"), voice("interval"))
    caption = voice("subgroup_caption", horizon=voice.span(scene.plan.primary_days))
    return Table(caption if by is None else f"{by}. {caption}", head, tuple(cells), tuple(marks))


def interaction_table(study: Study, scene: Scene) -> Table:
    """Show whether the effects differ between groups, adjusted for the number of registered breakdowns."""
    voice, rows = scene.voice, []
    measure = f"risk_{scene.plan.primary_days:g}"
    for found, explored in ((study.registered, False), (study.exploratory, True)):
        tests = found.interaction_tests
        for row in tests[tests["measure"] == measure].to_dict("records"):
            if not _all_shown(found, row["by"], scene):
                continue
            name = scene.breakdown(row["by"])
            alone, together = (p_cell(number, scene) for number in scene.passed.tests[row["by"], measure])
            rows.append((voice("exploratory", by=name) if explored else name, alone, "–" if explored else together))
    return Table(voice("interaction_caption"), (voice("breakdown"), voice("p_value"), voice("p_holm")), tuple(rows))


def _all_shown(found: SubgroupEffects, by: str, scene: Scene) -> bool:
    """Say whether no group with an effect is hidden: a test over all of them would give the hidden one away."""
    return not any(
        isinstance(effects, Effects) and scene.passed.groups[by, level].hidden
        for (breakdown, level), effects in found.effects.items()
        if breakdown == by
    )
