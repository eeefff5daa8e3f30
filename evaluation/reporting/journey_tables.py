"""What a register study adds, as lines that set the two groups against each other: figures, tables and sentences are made of the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate, Ratio
from evaluation.analysis.exits import Definition
from evaluation.analysis.later_starts import CensoringModel
from evaluation.analysis.means import Contrast, Durability, Occupancy, Totals
from evaluation.design.cohort import Floats
from evaluation.plan import RegisterPlan
from evaluation.registers.contract import load_contract
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.scene import Scene
from evaluation.reporting.tables import Table, mean_row
from evaluation.study import Study

Groups = Mapping[str, tuple[str, ...]]

UNSUBSIDISED, NEW_START, SUBSIDISED, STUDIES = "part_unsubsidised", "part_new_start", "part_subsidised", "part_studies"
PARTS: Groups = {  # what the report tells apart in success; the states of codes/tillstand.csv
    UNSUBSIDISED: ("arbete_osubventionerat",),
    NEW_START: ("nystartsjobb",),
    SUBSIDISED: ("arbete_subventionerat", "arbete_lonebidrag", "eget_foretagande"),
    STUDIES: ("studier_reguljara",),
}
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
    contrast : Contrast or None
    hidden : bool
        Whether it is about too few people to be shown.
    reason : str
        Why there is no contrast, or none to be shown.
    strong : bool
    """

    label: str
    contrast: Contrast | None
    hidden: bool = False
    reason: str = ""
    strong: bool = False

    @property
    def shown(self) -> Contrast | None:
        """The contrast where it may be shown."""
        return None if self.hidden else self.contrast


def line(label: str, contrast: Contrast | None, scene: Scene, *, reason: str = "", strong: bool = False) -> Line:
    """Make a line of shares, hidden where either group has few people with or without."""
    sides = [] if contrast is None else [contrast.treated, contrast.control]
    hidden = any(scene.gate.hides_share(side.value, side.n) for side in sides)
    return Line(label, contrast, hidden, scene.voice("too_few") if hidden else reason, strong)


def share_table(caption: str, lines: Sequence[Line], head: str, scene: Scene) -> Table:
    """Show shares in per cent and their difference in percentage points."""
    voice = scene.voice
    rows: list[tuple[str, ...]] = []
    for one in lines:
        contrast = one.shown
        if contrast is None:
            rows.append((one.label, *((HIDDEN,) * 4 if one.hidden else ("–", "–", one.reason, ""))))
            continue
        levels = (voice.number(100 * side.value) for side in (contrast.treated, contrast.control))
        rows.append((one.label, *levels, voice.points(contrast.difference), voice.point_range(contrast.difference)))
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


def people_cells(contrast: Contrast | None, scene: Scene) -> tuple[str, str]:
    """Write how many people of either group a contrast rests on."""
    if contrast is None:
        return "–", "–"
    return scene.gate.count(contrast.treated.n, scene.voice.count), scene.gate.count(contrast.control.n, scene.voice.count)


def rests_on(contrast: Contrast, study: Study, scene: Scene) -> dict[str, str] | None:
    """Give the words for how many people a contrast rests on, where they are fewer than those of the answer in either group."""
    answer = [study.effects.arms[arm].risk[scene.plan.primary_days].n for arm in ARMS]
    people = [contrast.treated.n, contrast.control.n]
    if all(count >= of_answer for count, of_answer in zip(people, answer, strict=True)):
        return None
    n, m = (scene.voice("a_few") if scene.gate.hides(count) else scene.voice.count(count) for count in people)
    return {"n": n, "m": m}


def effect_contrast(effects: Effects, horizon: float, states: Sequence[str] = ()) -> Contrast | None:
    """Give the share with success, or that went to any of `states`, by a horizon; None where it is not followed that long."""
    if horizon not in effects.risk_difference:
        return None
    arms = [effects.arms[arm] for arm in ARMS]
    if not states:
        return Contrast(arms[0].risk[horizon], arms[1].risk[horizon], effects.risk_difference[horizon])
    treated, control = (reduce(add, (arm.cumulative_incidence[state, horizon] for state in states)) for arm in arms)
    return Contrast(treated, control, treated - control)


# --- what the difference consists of


def part_lines(study: Study, scene: Scene) -> dict[str, Line]:
    """Split the difference at the primary horizon: by key of the part; empty where success has fewer than two parts."""
    effects, horizon = study.effects, scene.plan.primary_days
    success = set(effects.spec.success or ()) & {state for state, _ in effects.cumulative_incidence}
    present = {part: tuple(state for state in states if state in success) for part, states in PARTS.items()}
    found = {part: effect_contrast(effects, horizon, states) for part, states in present.items() if states}
    return _gated({part: contrast for part, contrast in found.items() if contrast is not None}, scene) if len(found) > 1 else {}


def _gated(parts: Mapping[str, Contrast], scene: Scene) -> dict[str, Line]:
    """Make lines of the parts of a whole, hidden so that those shown do not give the others away."""
    shares = np.array([[contrast.treated.value, contrast.control.value] for contrast in parts.values()])
    people = next([contrast.treated.n, contrast.control.n] for contrast in parts.values())
    hidden = scene.gate.hides_parts(shares, people)
    few = scene.voice("too_few")
    return {
        part: Line(scene.voice(part), contrast, bool(hide), few if hide else "") for (part, contrast), hide in zip(parts.items(), hidden, strict=True)
    }


def subsidised(lines: Mapping[str, Line]) -> Estimate | None:
    """Give how much of the difference is subsidised jobs of either kind; None where one of the two may not be shown."""
    kinds = [lines[part].shown if part in lines else None for part in (NEW_START, SUBSIDISED)]
    found = [contrast.difference for contrast in kinds if contrast is not None]
    return reduce(add, found) if len(found) == len(kinds) else None


# --- where they are, month by month


def place_lines(occupancy: Occupancy, month: int, scene: Scene) -> dict[str, Line]:
    """Give the share in each group of states so many months after the start, by key of the group."""
    found = {}
    for place, states in PLACES.items():
        known = [occupancy.contrasts[state, month] for state in states if state in occupancy.states]
        if known:
            treated, control = reduce(add, (one.treated for one in known)), reduce(add, (one.control for one in known))
            found[place] = Contrast(treated, control, treated - control)
    treated, control = (_rest([getattr(one, arm) for one in found.values()]) for arm in ARMS)
    return _gated({**found, ELSEWHERE: Contrast(treated, control, treated - control)}, scene)


def _rest(shares: Sequence[Estimate]) -> Estimate:
    """Give the share in none of these."""
    whole = reduce(add, shares)
    return replace(whole, value=max(1 - whole.value, 0.0), influence=-whole.influence)


def drawn_shares(lines: Mapping[str, Line]) -> dict[str, Floats]:
    """Give the shares to draw, by arm and shape (groups,): the share of what is hidden lies with the last group, which is what is left."""
    found = {}
    for arm in ARMS:
        shares = np.array([0.0 if one.shown is None else getattr(one.shown, arm).value for one in lines.values()])
        shares[-1] = 1 - shares[:-1].sum()
        found[arm] = np.clip(shares, 0.0, 1.0)
    return found


# --- when the difference arises


def horizon_lines(effects: Effects, scene: Scene) -> dict[float, Line]:
    """Give the share with success by each horizon."""
    primary = scene.plan.primary_days
    return {
        horizon: line(
            scene.voice.span(horizon), effect_contrast(effects, horizon), scene, reason=scene.voice("not_observed"), strong=horizon == primary
        )
        for horizon in map(scene.plan.days, scene.plan.effects.horizons)
    }


def hides_ratio(study: Study, ratio: Ratio | None, scene: Scene) -> bool:
    """Say whether a period's ratio is about few people; those who have, or lack, success in all stand for those of the period."""
    return scene.hides_effects(study.effects) or (ratio is not None and scene.gate.hides(ratio.n))


def period_table(study: Study, periods: Mapping[tuple[float, float], Ratio | None], scene: Scene) -> Table:
    """Show the hazard ratio of each period."""
    voice, rows = scene.voice, []
    for (begin, end), ratio in periods.items():
        hidden = hides_ratio(study, ratio, scene)
        cells = (voice("not_estimable"), "") if ratio is None else (voice.number(ratio.value, 2), voice.range(ratio.low, ratio.high, 2))
        rows.append((voice.period(begin, end), *((HIDDEN, HIDDEN) if hidden else cells)))
    return Table(voice("periods_table"), (voice("time"), voice("hazard_ratio"), voice("interval")), tuple(rows))


# --- starting now, waiting, or never


def later_table(study: Study, never: Effects, scene: Scene) -> Table:
    """Set starting now against waiting and against never starting, at each horizon and in days."""
    voice, rows = scene.voice, []
    now, without = horizon_lines(study.effects, scene), horizon_lines(never, scene)
    for horizon, one in now.items():
        cells = [_difference_cell(lines.get(horizon), scene) for lines in (now, without)]
        rows.append((voice("risk_row", horizon=one.label), *cells))
    hidden = scene.hides_effects(study.effects, never)
    means = (HIDDEN if hidden else _days_cell(effects.rmst_difference, scene) for effects in (study.effects, never))
    rows.append((mean_row(scene), *means))
    marks = tuple("strong" if one.strong else "" for one in now.values())
    head = (voice("measure"), voice("against_waiting"), voice("against_never"))
    return Table(voice("later_table"), head, tuple(rows), (*marks, *[""] * (len(rows) - len(marks))))


def _difference_cell(one: Line | None, scene: Scene) -> str:
    if one is None or one.contrast is None:
        return scene.voice("not_observed")
    return HIDDEN if one.hidden else f"{scene.voice.points(one.contrast.difference)} ({scene.voice.point_range(one.contrast.difference)})"


def _days_cell(mean: Estimate | None, scene: Scene) -> str:
    if mean is None:
        return scene.voice("not_observed")
    fine = scene.voice.fine()
    unit = fine.unit.days
    return f"{fine.signed(mean.value / unit)} ({fine.range(mean.low / unit, mean.high / unit, signed=True)})"


def started_count(censoring: CensoringModel, scene: Scene) -> str:
    """Write how many of the controls started later."""
    return scene.voice("a_few") if scene.gate.hides(censoring.started) else scene.voice.count(censoring.started)


# --- how lasting it is


def durability_lines(durability: Durability, scene: Scene) -> list[Line]:
    """Give who of those with success still had it later, and who was unemployed again."""
    voice, found = scene.voice, []
    for asked, contrast in durability.contrasts.items():
        label = voice("returned_row") if asked == "returned" else voice(f"lasting_{own_definition(scene)}", days=voice.count(asked))
        found.append(line(label, contrast, scene))
    return found


def totals_table(totals: Totals, scene: Scene) -> Table:
    """Show what two years come to per person: benefit days, months with social assistance and earnings."""
    voice, rows = scene.voice, []
    for name, contrast in totals.contrasts.items():
        few = any(scene.gate.hides(side.n) for side in (contrast.treated, contrast.control))
        decimals = 0 if contrast.difference.unit == "sek" else 1
        levels = [voice.number(side.value, decimals) for side in (contrast.treated, contrast.control)]
        gap = contrast.difference
        shown = (*levels, voice.signed(gap.value, decimals), voice.range(gap.low, gap.high, decimals, signed=True))
        rows.append((voice(f"total_{name}"), *((HIDDEN,) * 4 if few else shown), *people_cells(contrast, scene)))
    head = (voice("per_person"), scene.treated, scene.control, voice("difference"), voice("interval"), *people_head(scene))
    return Table(voice("totals_table"), head, tuple(rows))


# --- if success is counted otherwise


def own_definition(scene: Scene) -> Definition:
    """Give the plan's definition of success."""
    return scene.plan.outcome.definition if isinstance(scene.plan, RegisterPlan) else "project"


def definition_lines(study: Study, definition: str, others: Mapping[str, Effects | str], scene: Scene) -> list[Line]:
    """Give the difference at the primary horizon by each definition of success, the study's own among them."""
    voice, horizon = scene.voice, scene.plan.primary_days
    every: dict[str, Effects | str] = {definition: study.effects, **others}
    found = []
    for name in ("strict", "project", "studies", "independent"):
        if name in every:
            effects, own = every[name], name == definition
            contrast = effect_contrast(effects, horizon) if isinstance(effects, Effects) else None
            reason = voice("not_observed") if isinstance(effects, Effects) else voice("not_delivered", tables=_registers(effects, scene))
            found.append(line(voice(f"definition_{name}"), contrast, scene, reason=reason, strong=own))
    return found


def _registers(names: str, scene: Scene) -> str:
    """Call tables by their titles."""
    known = load_contract().tables
    return scene.voice.listing([known[name].titles[scene.voice.language] if name in known else name for name in names.split(", ")])
