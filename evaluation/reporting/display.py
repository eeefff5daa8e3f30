"""What does a result show of itself, in a notebook and on a terminal?

Each result shows what it is, a few facts and one or two tables; `shown` says how they look. `release_only` puts every display behind the gate of the
report's pages, for a notebook that others will read. What is asked for by name, such as a result's `to_frame`, is given whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import singledispatch

import numpy as np
import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Arm, Effects
from evaluation.analysis.outcomes import TimeUnit
from evaluation.analysis.subgroups import SubgroupEffects
from evaluation.design.balance import Balance
from evaluation.design.cohort import Cohort, count_people
from evaluation.design.comparison import Comparison
from evaluation.design.verdict import DesignLimits, Verdict
from evaluation.errors import InputError, Problem
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.group_display import SIDES, breakdown_table, plainly, points, tests_table
from evaluation.reporting.shown import Shown
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import Voice, check_cells, design_name
from evaluation.sensitivity.certainty import Certainty
from evaluation.sensitivity.rows import Row
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Design, Study

MOST_ROWS = 30  # of a table that may be long: more than a screen is read by `to_frame`, where it can be sorted
USUAL_THRESHOLD = 10  # the plan's own where it says nothing else
INTERVAL = "Interval"

_session = Gate(0)


def release_only(threshold: int = USUAL_THRESHOLD) -> None:
    """Let no display of this session tell of few people from now on.

    Parameters
    ----------
    threshold : int, optional
        Counts from 1 up to one below this are shown as "<10"; 0 shows everything again.

    Returns
    -------
    None

    Raises
    ------
    InputError
        If the threshold is no count.

    Notes
    -----
    This is the gate of the report's pages, display by display. What leaves the agency passes `evaluation.release`, which also rounds and looks across
    tables. Only what a result shows of itself is gated, not what `to_frame` gives.
    """
    global _session
    if isinstance(threshold, bool) or not isinstance(threshold, int) or threshold < 0:
        raise InputError([Problem("threshold", "must be a whole number, 0 or more", "give the smallest count that may be shown, such as 10")])
    _session = Gate(threshold)


def show(result: object, *, threshold: int | None = None) -> Shown:
    """Give what a result shows of itself.

    Parameters
    ----------
    result : Cohort, Comparison, Balance, Verdict, Effects, SubgroupEffects, Design, Study, Sensitivity or Certainty
    threshold : int, optional
        Smallest count that is shown; left out, what `release_only` said last, and before that everything.

    Returns
    -------
    Shown

    Raises
    ------
    InputError
        If it is no such result.
    """
    return _shown(result, _session if threshold is None else Gate(threshold), Voice("en", TimeUnit.DAY))


@singledispatch
def _shown(result: object, _gate: Gate, _voice: Voice) -> Shown:
    known = "Cohort, Comparison, Balance, Verdict, Effects, SubgroupEffects, Design, Study, Sensitivity or Certainty"
    raise InputError([Problem("the result", f"of type {type(result).__name__} has no display", f"give a {known}, or use its to_frame()")])


@_shown.register
def _(result: Cohort, gate: Gate, voice: Voice) -> Shown:
    facts = [("Covariates", _listed(list(result.covariates.columns))), ("Strata", _listed(list(result.strata.columns)) or "none")]
    if result.trial is not None:
        facts.append(("Trials", voice.count(result.column(result.trial).nunique())))
    if result.index_date is not None and not gate.threshold:  # the first and the last day are two persons' own
        facts.append(("Index dates", f"{result.index_date.min():%Y-%m-%d} to {result.index_date.max():%Y-%m-%d}"))
    people = [count_people(result.person_code[side]) for side in (result.treated, ~result.treated)]
    steps = result.attrition
    if steps.iloc[-1][list(ARMS)].tolist() != people:  # some rows were taken from it
        steps = pd.concat([steps, pd.DataFrame({"step": ["these_rows"], "treated": people[:1], "control": people[1:]})], ignore_index=True)
    return Shown("Cohort", tuple(facts), (_steps(steps, gate, voice),))


@_shown.register
def _(result: Comparison, gate: Gate, voice: Voice) -> Shown:
    sizes = [round(result.effective_treated), round(result.effective_control)]
    facts = [
        ("Made by", "sets or weights given from elsewhere" if result.spec is None else design_name(result.spec, voice)),
        ("Treated without a control", gate.count(int(result.unmatched.sum()), voice.count)),
        ("Effective number", ", ".join(f"{gate.count(size, voice.count)} {side.lower()}" for size, side in zip(sizes, SIDES, strict=True))),
    ]
    return Shown("Comparison", tuple(facts), (_steps(result.attrition, gate, voice),))


@_shown.register
def _(result: Balance, gate: Gate, voice: Voice) -> Shown:
    limit = DesignLimits.model_fields["worst_smd"].default
    means = [] if gate.threshold else ["mean_treated", "mean_control"]  # a level's share times the people is a count
    table = result.table
    farthest = table["smd_after"].abs().fillna(np.inf).nlargest(MOST_ROWS).index
    kept = table.loc[table.index.isin(farthest)]
    rows = tuple(
        (
            f"{row['variable']}: {row['level']}" if row["level"] else str(row["variable"]),
            *(voice.number(row[name], 3) for name in means),
            *(voice.number(row[name], 3) for name in ("smd_before", "smd_after")),
        )
        for row in kept.to_dict("records")
    )
    marks = tuple("bad" if abs(smd) > limit else "" for smd in kept["smd_after"])
    head = ("Covariate", *(f"{side}, mean" for side in SIDES if means), "Difference before", "Difference after")
    facts = (
        ("Largest difference after", f"{voice.number(result.worst, 3)} standard deviations; {voice.number(limit, 1)} is the usual limit"),
        ("Effective number of controls", gate.count(round(result.effective_control), voice.count)),
    )
    return Shown("Balance", facts, (Table("Standardised differences", head, rows, marks),), _left_out(len(table) - len(kept)))


@_shown.register
def _(result: Verdict, gate: Gate, voice: Voice) -> Shown:
    failed = len(result.failed)
    title = "Verdict: every requirement met" if result.passed else f"Verdict: {failed} of {len(result.checks)} requirements not met"
    rows = tuple(check_cells(check, voice, lambda value: gate.count(round(value), voice.count)) for check in result.checks)
    head = (voice("requirement"), voice("value"), voice("limit"), voice("outcome"))
    return Shown(title, (), (Table("Requirements", head, rows, tuple("" if check.passed else "bad" for check in result.checks)),))


@_shown.register
def _(result: Effects, gate: Gate, voice: Voice) -> Shown:
    arms = [result.arms[arm] for arm in ARMS]
    facts = [("Compared", _people(arms, gate, voice)), ("Intervals", voice.percent_sign(result.spec.level))]
    hidden = any(gate.hides_outcome(arm.n, arm.events) for arm in arms)
    rows: list[tuple[str, ...]] = []
    for days, difference in result.risk_difference.items():
        levels = [gate.share(arm.risk[days].value, arm.risk[days].n, lambda share: voice.percent_sign(share, 1)) for arm in arms]
        rows.append((f"Share by {voice.span(days)}", *levels, *(_nothing(2) if HIDDEN in levels else points(difference, voice))))
    gap, means = result.rmst_difference, [arm.rmst for arm in arms]
    if gap is not None:
        own = [voice.number(mean.value) for mean in means if mean is not None]
        cells = _nothing(4) if hidden else (*own, f"{voice.signed(gap.value)} days", voice.range(gap.low, gap.high, signed=True))
        rows.append((f"Mean days until then, of the first {result.spec.rmst_days:g}", *cells))
    if result.hazard_ratio is not None:
        ratio = result.hazard_ratio
        cells = _nothing(2) if hidden else (voice.number(ratio.value, 2), voice.range(ratio.low, ratio.high, 2))
        rows.append(("Hazard ratio", "", "", *cells))
    head = ("Measure", *SIDES, "Effect", INTERVAL)
    notes = [*result.notes, *(["Each kind of exit by itself stands in to_frame()."] if result.cumulative_incidence else [])]
    return Shown("Effects", tuple(facts), (Table("Treated against controls", head, tuple(rows)),), tuple(notes))


@_shown.register
def _(result: SubgroupEffects, gate: Gate, voice: Voice) -> Shown:
    tables = [breakdown_table(by, result, gate, voice) for by in dict.fromkeys(by for by, _ in result.effects)]
    tests = tests_table(result, gate, voice)
    tables += [] if tests is None else [tests]
    return Shown("Effects by group", (), tuple(tables), ("Read the differences, not which group's interval holds zero.",) if tables else ())


@_shown.register
def _(result: Design, gate: Gate, voice: Voice) -> Shown:
    verdict, balance = _shown(result.verdict, gate, voice), _shown(result.balance, gate, voice)
    comparison = _shown(result.comparison, gate, voice)
    facts = (*_told(result), *comparison.facts, balance.facts[0])
    return Shown(f"Design. {verdict.title}", facts, (*comparison.tables, *verdict.tables))


@_shown.register
def _(result: Study, gate: Gate, voice: Voice) -> Shown:
    verdict, effects = _shown(result.design.verdict, gate, voice), _shown(result.effects, gate, voice)
    groups = dict.fromkeys(by for found in (result.registered, result.exploratory) for by, _ in found.effects)
    facts = (*_told(result.design), ("Design", verdict.title), *effects.facts, ("Broken down by", ", ".join(groups) or "nothing"))
    notes = tuple(dict.fromkeys((*result.notes, *effects.notes)))
    return Shown(f"Study: {result.design.plan.wording.title.en}", facts, effects.tables, notes)


@_shown.register
def _(result: Sensitivity, gate: Gate, voice: Voice) -> Shown:
    ran = [row for row in result.rows if row.ran and not _tells(row, gate)]
    others = [row for row in ran if row.kind != "answer"]
    answers = [row for row in ran if row.kind == "answer"]
    kept = ran if len(ran) <= MOST_ROWS else [*answers[: max(MOST_ROWS - len(others), MOST_ROWS // 2)], *others]  # the farthest, every null and bound
    lines = [row for row in (result.baseline, *kept) if row is not result.baseline or not _tells(row, gate)]
    rows = tuple((f"{row.probe} {row.setting}".strip(), row.kind, *_answer(row, voice), _moved(row, result, voice)) for row in lines)
    facts = (("Asked at", voice.span(result.horizon_days)), ("Could not be run", voice.count(len(result.not_run))))
    head = ("What was done otherwise", "Kind", "Value", INTERVAL, "Moved")
    table = Table("Answers, the farthest first", head, rows, tuple("strong" if row is result.baseline else "" for row in lines))
    return Shown("Sensitivity", facts, (table,), _left_out(len(ran) - len(kept)))


@_shown.register
def _(result: Certainty, _gate: Gate, voice: Voice) -> Shown:
    reasons = tuple(voice(f"concern_{concern.name}", count=concern.lines) for concern in result.concerns)
    return Shown(f"Certainty: {voice(f'grade_{result.grade}')}", (), (), reasons or (voice("certainty_none"),))


def _told(design: Design) -> Iterator[tuple[str, str]]:
    """Say what every display of a plan begins with."""
    if design.synthetic:
        yield "People", "invented: nothing here is about anybody"
    yield "Question", design.plan.wording.question.en


def _steps(attrition: pd.DataFrame, gate: Gate, voice: Voice) -> Table:
    """Show how many people remained at each step, so that no two counts that are shown differ by few."""
    columns = []
    for arm in ARMS:
        known = attrition[arm].notna().to_numpy()
        counts = [int(count) for count in attrition[arm][known]]
        hidden = gate.hides_steps(counts).tolist() if counts else []
        cells = iter([HIDDEN if hide else gate.count(count, voice.count) for count, hide in zip(counts, hidden, strict=True)])
        columns.append([next(cells) if there else "–" for there in known])
    names = [voice(f"step_{step}") if voice.has(f"step_{step}") else plainly(str(step)) for step in attrition["step"]]
    return Table("People at each step", ("Step", *SIDES), tuple(zip(names, *columns, strict=True)))


def _people(arms: Sequence[Arm], gate: Gate, voice: Voice) -> str:
    return ", ".join(f"{gate.count(arm.n, voice.count)} {side.lower()}" for arm, side in zip(arms, SIDES, strict=True))


def _nothing(cells: int) -> tuple[str, ...]:
    return (HIDDEN,) * cells


def _tells(row: Row, gate: Gate) -> bool:
    """Say whether a line is about few people, or about one team, which nobody is to point at."""
    return gate.threshold > 0 and (row.probe == "without_team" or any(gate.hides(count or 0) for count in (row.n_treated, row.n_control)))


def _answer(row: Row, voice: Voice) -> tuple[str, str]:
    if row.unit != "share":
        return voice.number(row.value, 2), "" if math.isnan(row.low) else voice.range(row.low, row.high, 2)
    interval = "" if math.isnan(row.low) else voice.range(100 * row.low, 100 * row.high, signed=True)
    return f"{voice.signed(100 * row.value)} pp", interval


def _moved(row: Row, result: Sensitivity, voice: Voice) -> str:
    moved = result.moved(row)
    return "" if math.isnan(moved) or row is result.baseline else voice.signed(100 * moved)


def _listed(names: Sequence[object], most: int = 8) -> str:
    """Write the first names, and how many more there are."""
    said = ", ".join(map(str, names[:most]))
    return said if len(names) <= most else f"{said} and {len(names) - most} more"


def _left_out(rows: int) -> tuple[str, ...]:
    return (f"{rows} more rows stand in to_frame().",) if rows > 0 else ()
