"""Results as tables of finished text: what a reader sees beside each figure, through the disclosure gate.

Every table has a caption, one header row and a first column that names its rows, so that a screen reader can speak it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.subgroups import EmptyGroup, SubgroupEffects
from evaluation.design.cohort import Bools
from evaluation.design.designs import Designs
from evaluation.design.support import Support
from evaluation.design.weighting import HEAVIEST, weight_report
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.overlap import bin_overlap
from evaluation.reporting.scene import Scene, number_as_text
from evaluation.reporting.wording import check_value, design_name, sentence_case
from evaluation.study import Design, Study

SMALL_STEP = 0.005  # odds ratios nearer to 1, such as those of one day more, need more decimals to be told from it
MONTHS_TERM = "log(1 + months since index date)"  # of the model of later starts
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
        People; None for a difference.
    estimate : Estimate or None
    reason : str
        Why there is none.
    withheld : (bool, bool)
        Whether each of the counts is hidden, of few people or beside such a count, which the total would otherwise give away.
    """

    kind: RowKind
    by: str
    label: str
    treated: int | None
    control: int | None
    estimate: Estimate | None
    reason: str
    withheld: tuple[bool, bool] = (False, False)


def flow_table(design: Design, scene: Scene) -> Table:
    """Show how many people there were at each step."""
    start, end = design.comparison.attrition.iloc[0], design.comparison.attrition.iloc[-1]
    rows = [("in_table", start["treated"], start["control"])]
    rows.append(("left_out", start["treated"] - end["treated"], start["control"] - end["control"]))
    rows.append(("compared", end["treated"], end["control"]))
    voice = scene.voice
    text = tuple((voice(step), *(scene.gate.count(int(count), voice.count) for count in counts)) for step, *counts in rows)
    return Table(voice("flow_caption"), (voice("step"), scene.treated, scene.control), text, ("", "", "strong"))


def overlap_table(design: Design, scene: Scene) -> Table:
    """Show each group's spread over the propensity, before and after matching."""
    voice, sides = scene.voice, (design.cohort.treated, ~design.cohort.treated)
    scores, weights = ([values[side] for side in sides] for values in (design.scores.score, design.comparison.weights))
    bins = bin_overlap(*scores, *weights, gate=scene.gate)
    names = [f"{voice.number(100 * low, 0)}–{voice.percent_sign(high)}" for low, high in pairwise(bins.edges)]
    shares = [of[arm] for arm in ARMS for of in (bins.everybody, bins.compared)]
    columns = [[HIDDEN if np.isnan(share) else voice.number(100 * share) for share in column] for column in shares]
    head = [f"{group}, {voice(when, **scene.names())}" for group in (scene.treated, scene.control) for when in ("before", "after")]
    return Table(voice("overlap_table"), (scene.probability, *head), tuple(zip(names, *columns, strict=True)))


def balance_labels(design: Design, scene: Scene) -> pd.DataFrame:
    """Give the balance table with its rows' labels; of a two-level category only the second level, the first being its mirror."""
    table = design.balance.table
    levels = table.groupby("variable")["level"].transform("size")
    mirrored = (levels == 2) & (table.groupby("variable").cumcount() == 0)
    kept = table[~mirrored].copy()
    kept["label"] = [scene.covariate(variable, level) for variable, level in zip(kept["variable"], kept["level"], strict=True)]
    return kept


def balance_table(design: Design, scene: Scene) -> Table:
    """Show the compared groups' means or shares and how far apart they are."""
    voice, comparison = scene.voice, design.comparison
    rows, marks = [], []
    labelled = balance_labels(design, scene)
    hidden = _hidden_levels(labelled, [comparison.n_treated, comparison.n_control], scene)
    for row, hide in zip(labelled.to_dict("records"), hidden, strict=True):
        write = voice.percent_sign if np.isnan(row["variance_ratio_before"]) else partial(voice.number, decimals=2)
        means = (HIDDEN, HIDDEN) if hide else (write(row["mean_treated"]), write(row["mean_control"]))
        rows.append((row["label"], *means, voice.number(row["smd_before"], 2), voice.number(row["smd_after"], 2)))
        marks.append("bad" if abs(row["smd_after"]) > scene.plan.limits.worst_smd else "")
    head = (voice("covariate"), scene.treated, scene.control, voice("smd_before"), voice("smd_after"))
    return Table(voice("balance_caption"), head, tuple(rows), tuple(marks))


def _hidden_levels(labelled: pd.DataFrame, people: Sequence[int], scene: Scene) -> Bools:
    """Say which rows of the balance are levels that must not be shown, so that a characteristic's other levels do not give them away."""
    return _hidden_shares(labelled, labelled["variance_ratio_before"].isna().to_numpy(), ["mean_treated", "mean_control"], people, scene)


def _hidden_shares(rows: pd.DataFrame, shares: Bools, columns: list[str], people: Sequence[int], scene: Scene) -> Bools:
    """Say which of the rows that hold shares must not be shown, variable by variable."""
    hidden = np.zeros(len(rows), dtype=bool)
    for _, parts in rows.reset_index(drop=True)[shares].groupby("variable"):
        hidden[parts.index] = scene.gate.hides_parts(parts[columns].to_numpy(dtype=np.float64), people)
    return hidden


def support_table(support: Support, scene: Scene) -> Table:
    """Show those left out where the groups do not overlap beside those kept; nothing of a group of few."""
    voice, counts = scene.voice, support.counts.set_index("side")
    columns = [(f"mean_{what}_{side}", int(counts[what][side])) for side in ARMS for what in ("dropped", "kept")]
    shown = [(name, number) for name, number in columns if number and not scene.gate.hides(number)]
    names, people = [name for name, _ in shown], [number for _, number in shown]
    means = support.dropped.reset_index(drop=True)
    numbers = {str(name) for name, column in support.cohort.covariates.items() if len(column.unique()) > 2}
    shares = ~((means["level"] == "") & means["variable"].isin(numbers)).to_numpy()
    hidden = _hidden_shares(means, shares, names, people, scene) if names else np.ones(len(means), dtype=bool)
    head = [voice(key, group=group) for group in (scene.treated, scene.control) for key in ("left_out_of", "remain_of")]
    rows = [(voice("number_of_people"), *(scene.gate.count(number, voice.count) for _, number in columns))]
    for row, share, hide in zip(means.to_dict("records"), shares, hidden, strict=True):
        write = voice.percent_sign if share else partial(voice.number, decimals=2)
        cells = [HIDDEN if hide or name not in names else write(row[name]) for name, _ in columns]
        rows.append((scene.covariate(row["variable"], row["level"]), *cells))
    return Table(voice("support_caption"), (voice("covariate"), *head), tuple(rows))


def verdict_table(design: Design, scene: Scene) -> Table:
    """Show every requirement, its value and whether it was met."""
    voice = scene.voice
    rows = tuple(
        (
            voice(check.name),
            scene.gate.count(round(check.value), voice.count) if check.name == "effective_control" else check_value(check, voice, check.value),
            voice("at_least" if check.at_least else "at_most", limit=check_value(check, voice, check.limit)),
            voice("passed" if check.passed else "failed"),
        )
        for check in design.verdict.checks
    )
    head = (voice("requirement"), voice("value"), voice("limit"), voice("outcome"))
    return Table(voice("verdict_caption"), head, rows, tuple("" if check.passed else "bad" for check in design.verdict.checks))


def weights_table(design: Design, scene: Scene) -> Table:
    """Show how evenly the weight is spread: the extremes as a share on the heaviest hundredth, never a person's own weight."""
    voice, rows = scene.voice, []
    for record in weight_report(design.comparison).to_dict("records"):
        group = scene.treated if record["arm"] == "treated" else scene.control
        hidden = scene.gate.hides(record["n"] / HEAVIEST)
        share = HIDDEN if hidden else voice.percent_sign(record["heaviest_share"], 1)
        counts = (scene.gate.count(round(record[key]), voice.count) for key in ("n", "effective"))
        rows.append((group, *counts, voice.number(record["variation"], 2), share))
    head = (voice("group"), voice("number_of_people"), voice("effective_people"), voice("weight_variation"), voice("heaviest_share"))
    return Table(voice("weights_caption"), head, tuple(rows))


def designs_table(designs: Designs, scene: Scene) -> Table:
    """Show whom each way of building the comparison keeps, how alike the groups then are, and whether it meets the plan's limits."""
    voice, rows, marks = scene.voice, [], []
    for record in designs.table.to_dict("records"):
        name = design_name(designs.specs[record["design"]], voice)
        name = voice("the_plans", design=name) if record["design"] == "plan" else name
        if record["design"] not in designs.comparisons:
            rows.append((name, *["–"] * 4, voice("no_such_comparison")))
            marks.append("bad")
            continue
        kept = voice.percent_sign(record["share_treated_kept"])  # no count: two that differ by few would tell of the few
        effective = scene.gate.count(round(record["effective_control"]), voice.count)
        worst, detectable = voice.number(record["worst_smd"], 2), voice.number(100 * record["minimal_detectable_effect"], 1)
        rows.append((name, kept, effective, worst, detectable, voice("passed" if record["passed"] else "failed")))
        marks.append("strong" if record["design"] == "plan" else "")
    whom = voice("kept_share", **scene.names()), voice("effective_control")
    head = (voice("design"), *whom, voice("worst_of_all"), voice("detectable"), voice("outcome"))
    return Table(voice("designs_caption_table"), head, tuple(rows), tuple(marks))


def curve_table(study: Study, scene: Scene, until_days: float) -> Table:
    """Show the curves at the plan's horizons, with the numbers still followed, as far as the figure goes."""
    voice, effects = scene.voice, study.effects
    horizons = [horizon for horizon in effects.spec.horizons_days if horizon <= until_days]
    followed = study.curves.at_risk(horizons)
    rows = []
    for position, horizon in enumerate(horizons):
        cells = [voice.span(horizon)]
        for arm in ("treated", "control"):
            cells += [scene.share(effects.arms[arm].risk[horizon]), scene.gate.count(int(followed.loc[arm].to_numpy()[position]), voice.count)]
        rows.append(tuple(cells))
    head = [voice(key, group=group) for group in (scene.treated, scene.control) for key in ("share_of", "followed_of")]
    return Table(voice("curves_table", success=scene.names()["success"]), (voice("time"), *head), tuple(rows))


def effects_table(study: Study, scene: Scene) -> Table:
    """Show every measure's level in either group, the difference and its interval."""
    voice, effects = scene.voice, study.effects
    treated, control = effects.arms["treated"], effects.arms["control"]
    rows: list[tuple[str, ...]] = []
    hidden = scene.hides_effects(effects)
    for horizon in map(scene.plan.days, scene.plan.effects.horizons):
        name = voice("risk_row", horizon=voice.span(horizon))
        difference = effects.risk_difference.get(horizon)
        if difference is None:
            rows.append((name, *beyond(scene)))
            continue
        levels = [
            scene.gate.share(arm.risk[horizon].value, arm.risk[horizon].n, lambda share: voice.number(100 * share)) for arm in (treated, control)
        ]
        shown = (HIDDEN, HIDDEN) if HIDDEN in levels else (voice.points(difference), voice.point_range(difference))
        rows.append((name, *levels, *shown))
    rows.append((mean_row(scene), *((HIDDEN,) * 4 if hidden else _mean_cells(effects, scene))))
    for key, ratio in (("ratio_row", effects.hazard_ratio), ("adjusted_row", study.adjusted)):
        shown = (
            (HIDDEN, HIDDEN)
            if hidden
            else (voice("not_estimable" if effects.hazard_ratio is None else "not_computed"), "")
            if ratio is None
            else (voice.number(ratio.value, 2), voice.range(ratio.low, ratio.high, 2))
        )
        rows.append((voice(key), "", "", *shown))
    names = scene.names()
    caption = sentence_case(
        voice("effects_caption", treated=names["treated"], control=names["control"], level=voice.number(100 * effects.spec.level, 0))
    )
    head = (voice("measure"), scene.treated, scene.control, voice("difference"), voice("interval"))
    primary = voice("risk_row", horizon=voice.span(scene.plan.primary_days))
    return Table(caption, head, tuple(rows), tuple("strong" if row[0] == primary else "" for row in rows))


def beyond(scene: Scene) -> tuple[str, str, str, str]:
    """Give the cells of what is not followed that long: a level in either group, the difference and its interval."""
    return "–", "–", scene.voice("not_observed"), ""


def mean_row(scene: Scene) -> str:
    """Name the row of the restricted mean that the plan asks for."""
    return scene.voice("rmst_row", horizon=scene.voice.span(scene.plan.effect_spec().rmst_days or 0), units=scene.voice.fine().units())


def _mean_cells(effects: Effects, scene: Scene) -> tuple[str, str, str, str]:
    treated, control = (effects.arms[arm].rmst for arm in ARMS)
    gap, fine = effects.rmst_difference, scene.voice.fine()
    if gap is None or treated is None or control is None:
        return beyond(scene)
    days = fine.unit.days
    interval = fine.range(gap.low / days, gap.high / days, signed=True)
    return fine.amount(treated.value), fine.amount(control.value), fine.signed(gap.value / days), interval


def states_table(effects: Effects, scene: Scene, horizon: float) -> Table:
    """Show the share in each state by one horizon, and the difference; states of few are hidden so that the others do not give them away."""
    voice, arms = scene.voice, [effects.arms[arm] for arm in ARMS]
    states = list(dict.fromkeys(state for state, _ in effects.cumulative_incidence))
    levels = [[arm.cumulative_incidence[state, horizon] for arm in arms] for state in states]
    shares = np.array([[level.value for level in row] for row in levels]).reshape(-1, len(arms))
    hidden = scene.gate.hides_parts(shares, [level.n for level in levels[0]] if levels else [arm.n for arm in arms])
    rows = []
    for state, row, hide in zip(states, levels, hidden, strict=True):
        difference = effects.cumulative_incidence[state, horizon]
        cells = (*(scene.share(level) for level in row), f"{voice.points(difference)} ({voice.point_range(difference)})")
        rows.append((scene.state(state), *((HIDDEN,) * 3 if hide else cells)))
    head = (voice("state"), scene.treated, scene.control, voice("difference"))
    return Table(voice("states_table", horizon=voice.span(horizon)), head, tuple(rows))


def subgroup_rows(study: Study, scene: Scene) -> list[SubgroupRow]:
    """List what the forest plot and its table show: each group's effect, then the differences of effects."""
    rows: list[SubgroupRow] = []
    for found, explored in ((study.registered, False), (study.exploratory, True)):
        for by in dict.fromkeys(by for by, _ in found.effects):
            name = scene.voice("exploratory", by=scene.breakdown(by)) if explored else scene.breakdown(by)
            groups = {level: effects for (breakdown, level), effects in found.effects.items() if breakdown == by}
            ordered = [_group_row(groups[level], by, name, level, scene) for level in scene.in_order(by, groups)]
            rows += _withhold(ordered, study.effects, scene)
            rows += _difference_rows(found, by, name, scene)
    return rows


def _withhold(rows: Sequence[SubgroupRow], whole: Effects, scene: Scene) -> list[SubgroupRow]:
    """Hide, in each arm, the counts of few people and so many others that the total less those shown gives no count of few away."""
    hidden = []
    for arm, counts in zip(ARMS, ([row.treated or 0 for row in rows], [row.control or 0 for row in rows]), strict=True):
        people = whole.arms[arm].n
        hidden.append(scene.gate.hides_parts(np.array(counts).reshape(-1, 1) / people, [people]))
    return [replace(row, withheld=(bool(treated), bool(control))) for row, treated, control in zip(rows, *hidden, strict=True)]


def _group_row(effects: Effects | EmptyGroup, by: str, name: str, level: str, scene: Scene) -> SubgroupRow:
    label = scene.level(by, level)
    if isinstance(effects, EmptyGroup):
        return SubgroupRow("empty", name, label, effects.treated, effects.control, None, scene.voice(effects.reason))
    sizes = effects.arms["treated"].n, effects.arms["control"].n
    estimate = effects.risk_difference.get(scene.plan.primary_days)
    hidden = any(scene.gate.hides(size) for size in sizes)
    if estimate is None or hidden:
        return SubgroupRow("empty", name, label, *sizes, None, scene.voice("too_few" if hidden else "not_observed"))
    return SubgroupRow("group", name, label, *sizes, estimate, "")


def _difference_rows(found: SubgroupEffects, by: str, name: str, scene: Scene) -> list[SubgroupRow]:
    """Show a difference only where both its groups are shown: with one of them it would give the other away."""
    measure = f"risk_{scene.plan.primary_days:g}"
    rows = []
    for (breakdown, level, reference, key), estimate in found.differences.items():
        if breakdown != by or key != measure:
            continue
        label = scene.voice("effect_gap", level=scene.level(by, level), reference=scene.level(by, reference))
        if all(_group_row(found.effects[by, group], by, name, group, scene).kind == "group" for group in (level, reference)):
            rows.append(SubgroupRow("difference", name, label, None, None, estimate, ""))
    return rows


def subgroup_table(rows: Sequence[SubgroupRow], by: str | None, scene: Scene) -> Table:
    """Show the effect in each group and the differences of effects; `by` names the breakdown where all rows are of one."""
    voice, cells, marks = scene.voice, [], []
    for row in rows:
        counts = [_people(count, hide, scene) for count, hide in zip((row.treated, row.control), row.withheld, strict=True)]
        shown = (row.reason, "") if row.estimate is None else (voice.points(row.estimate), voice.point_range(row.estimate))
        cells.append((f"{row.by}: {row.label}" if by is None else row.label, *counts, *shown))
        marks.append("difference" if row.kind == "difference" else "")
    numbers = (voice("number_of", group=scene.treated), voice("number_of", group=scene.control))
    head = (voice("group"), *numbers, voice("effect"), voice("interval"))
    caption = voice("subgroup_caption", horizon=voice.span(scene.plan.primary_days))
    return Table(caption if by is None else f"{by}. {caption}", head, tuple(cells), tuple(marks))


def _people(count: int | None, withheld: bool, scene: Scene) -> str:
    text = "" if count is None else scene.gate.count(count, scene.voice.count)
    return HIDDEN if withheld and not scene.gate.hides(count or 0) else text


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
            adjusted = "–" if explored else voice.p_number(row["p_holm"])
            rows.append((voice("exploratory", by=name) if explored else name, voice.p_number(row["p_value"]), adjusted))
    return Table(voice("interaction_caption"), (voice("breakdown"), voice("p_value"), voice("p_holm")), tuple(rows))


def _all_shown(found: SubgroupEffects, by: str, scene: Scene) -> bool:
    """Say whether no group with an effect is hidden: a test over all of them would give the hidden one away."""
    return not any(
        isinstance(effects, Effects) and any(scene.gate.hides(arm.n) for arm in effects.arms.values())
        for (breakdown, _), effects in found.effects.items()
        if breakdown == by
    )


def coefficient_table(design: Design, scene: Scene) -> Table:
    """Show the participation model."""
    return model_table(design.scores.coefficients, scene.voice("coefficients_caption"), scene)


def model_table(coefficients: pd.DataFrame, caption: str, scene: Scene) -> Table:
    """Show a logistic model."""
    voice = scene.voice
    rows = []
    for row in coefficients[coefficients["term"] != "Intercept"].to_dict("records"):
        low, high = row["low"], row["high"]
        decimals = 5 if max(abs(low - 1), abs(high - 1)) < SMALL_STEP else 3
        rows.append((_term(str(row["term"]), scene), voice.number(row["odds_ratio"], decimals), voice.range(low, high, decimals)))
    return Table(caption, (voice("term"), voice("odds_ratio"), voice("interval")), tuple(rows))


def _term(term: str, scene: Scene) -> str:
    """Write "race[T.white]" as the column's and level's labels; formula terms stay as they are written."""
    if term == MONTHS_TERM:
        return scene.voice("term_months")
    variable, _, level = term.removesuffix("]").partition("[T.")
    return scene.covariate(variable, number_as_text(level)) if level or variable == scene.column(variable) else scene.column(variable)
