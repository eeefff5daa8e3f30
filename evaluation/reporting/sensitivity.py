"""What would change the conclusion, and how far may it be trusted? The sensitivity table and the grade, in words, figures and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from evaluation.analysis.effects import Effects
from evaluation.analysis.lost_contact import SHARES
from evaluation.analysis.subgroups import holm
from evaluation.release.magnitudes import coarseness, round_to
from evaluation.release.passage import p_value_through
from evaluation.release.released import ReleasedNumber
from evaluation.release.telling import Telling
from evaluation.reporting import figures
from evaluation.reporting.blocks import Block, Items, Paragraph, Rows, Section, Subheading, picture, results
from evaluation.reporting.journey_tables import own_definition, released_definitions, released_horizons
from evaluation.reporting.scene import Scene, figure_words
from evaluation.reporting.tables import Table, p_cell, p_note
from evaluation.sensitivity.certainty import EXTREMES, FALSE_ALARM, grade_certainty
from evaluation.sensitivity.other_outcomes import USUAL_SHARE
from evaluation.sensitivity.rows import Row
from evaluation.sensitivity.table import BASELINE, Sensitivity, arranged
from evaluation.study import Study

TIPPING = ("lost_contact", "tipping")
OF_DESIGN = ("detectable",)  # known before any outcome is, and told among the requirements too
BOUND_PULL = 5.0  # over the people of the smaller arm: how far one of them moves an E-value, a factor in odds or a share of those lost, roughly
SAME = 1e-9  # of a share: one number, added up in two ways
PANDEMIC = "pandemi"  # the periods whose levels are before, during and after it
TWO_SIDED = 1.96  # standard errors of an interval's half

Elsewhere = Mapping[tuple[str, str], tuple[float, ReleasedNumber]]  # by probe and setting: the exact answer, and as it is told


def sensitivity_section(study: Study, sensitivity: Sensitivity | None, scene: Scene) -> Section:
    """Tell what would change the conclusion, or that it has not been looked at."""
    voice = scene.voice
    if sensitivity is None:
        return results("sensitivity", voice("sensitivity"), [Paragraph(voice("sensitivity_absent"))], study, scene)
    if _withheld(sensitivity, scene):
        return results("sensitivity", voice("sensitivity"), [Paragraph(voice("answer_hidden"))], study, scene)
    sensitivity = through_gate(sensitivity, scene, _told_elsewhere(study, scene))
    answers = [row for row in _shown(sensitivity, scene) if row.kind == "answer"]
    blocks: list[Block] = [Paragraph(sentence) for sentence in _sentences(sensitivity, answers, scene)]
    blocks += [*_answers(sensitivity, answers, scene), *_placebos(sensitivity, scene), *_tipping(sensitivity, scene), *_bounds(sensitivity, scene)]
    missing = sensitivity.not_run
    if missing:
        rows = tuple(dict.fromkeys((label(row, scene), voice(f"why_{row.why}")) for row in missing))
        table = Table(voice("not_run_table"), (voice("sensitivity_way"), voice("why")), rows)
        blocks += [Subheading(voice("not_run")), Rows(table)]
    return results("sensitivity", voice("sensitivity"), blocks, study, scene)


def certainty_section(study: Study, sensitivity: Sensitivity | None, scene: Scene) -> Section:
    """Give the grade and its reasons."""
    voice = scene.voice
    if sensitivity is None:
        return Section("certainty", voice("certainty"), (Paragraph(voice("sensitivity_absent")),))
    found = grade_certainty(study.design.verdict, sensitivity)
    reasons = tuple(voice(f"concern_{concern.name}", count=concern.lines) for concern in found.concerns) or (voice("certainty_none"),)
    lead = Paragraph(voice("certainty_lead", grade=voice(f"grade_{found.grade}")), "lead")
    return Section("certainty", voice("certainty"), (lead, Items(reasons), Paragraph(voice("certainty_rules"))))


def through_gate(sensitivity: Sensitivity, scene: Scene, elsewhere: Elsewhere | None = None) -> Sensitivity:
    """Lay the answers around the study's answer as it was released, each as far from it as it lies from the exact one.

    Beside a rounded answer an exact one would undo the rounding, and two that differ by a person or two would tell of them: distances are rounded to
    what the rounding base is of the smaller arm. How strong something unseen would have to be is rounded by how far one person moves it. An answer
    that stands `elsewhere` on the page is told as it is there, and not at all where it is withheld there.
    """
    if scene.released is None or scene.rules.exact:
        return sensitivity
    own, released = sensitivity.baseline, scene.passed.effects[sensitivity.horizon_days]
    centre = replace(own, value=_known(released.difference.value), low=_known(released.difference.low), high=_known(released.difference.high))

    telling = scene.telling
    bound_step = coarseness(BOUND_PULL / max(min(own.n_treated or 0, own.n_control or 0), 1), scene.rules)

    known = elsewhere or {}

    def laid(row: Row) -> Row:
        if not row.ran or row.probe in OF_DESIGN:
            return row
        exact, there = known.get((row.probe, row.setting), (math.nan, None))
        if there is not None and abs(exact - row.value) < SAME:
            return replace(row, value=_known(there.value), low=_known(there.low), high=_known(there.high))
        if row.kind == "bound":
            return _as_told(
                replace(row, value=_rounded(row.value, bound_step), low=_rounded(row.low, bound_step)), telling.reach(bound_step), telling
            )
        step = scene.rules.base / max(min(row.n_treated or 0, row.n_control or 0), 1)
        start, about = (own.value, centre.value) if row.kind == "answer" else (0.0, 0.0)
        value = about + round((row.value - start) / step) * step
        about_it = replace(row, value=value, low=value - (row.value - row.low) - step / 2, high=value + (row.high - row.value) + step / 2)
        return _as_told(about_it, telling.few * step / scene.rules.base, telling)

    behind = {of: table.map(lambda share: _rounded(share, bound_step)) if of == TIPPING else table for of, table in sensitivity.tables.items()}
    withheld = {which for which, (_, there) in known.items() if there.value is None}
    rows = [laid(row) for row in sensitivity.rows if (row.probe, row.setting) not in withheld]
    return Sensitivity(centre, arranged(centre, rows), behind, sensitivity.horizon_days)


def _told_elsewhere(study: Study, scene: Scene) -> Elsewhere:
    """Give the answers that other sections tell too, by probe and setting: other definitions, never starting, and groups of a period."""
    if scene.released is None:
        return {}
    horizon, found = scene.plan.primary_days, dict[tuple[str, str], tuple[float, ReleasedNumber]]()
    for (column, level), effects in {**study.registered.effects, **study.exploratory.effects}.items():
        if isinstance(effects, Effects) and horizon in effects.risk_difference:
            found["period", f"{column}={level}"] = effects.risk_difference[horizon].value, scene.passed.groups[column, level].difference
    if study.journey is None:
        return found
    own, others, never = own_definition(scene), study.journey.definitions, study.journey.per_protocol
    shown = released_definitions(study, own, others, scene)
    for name, other in others.items():
        if name in shown and isinstance(other, Effects):
            found["definition", name] = other.risk_difference[horizon].value, shown[name].difference
    if horizon in never.risk_difference:
        found["own_start", ""] = never.risk_difference[horizon].value, released_horizons(never, scene)[horizon].difference
    return found


def _as_told(row: Row, reach: float, telling: Telling) -> Row:
    """Hold a line against what earlier releases showed of it."""
    shown = telling.ends(f"sensitivity, {row.kind}, {row.probe}, {row.setting}", (row.value, row.low, row.high), reach)
    return replace(row, value=shown[0], low=shown[1], high=shown[2])


def _rounded(value: float, step: float) -> float:
    return round_to(value, step) if math.isfinite(value) else value


def _withheld(sensitivity: Sensitivity, scene: Scene) -> bool:
    """Say whether the study's own answer does not leave: then nothing that lies around it does."""
    if scene.released is None:
        return False
    released = scene.passed.effects.get(sensitivity.horizon_days)
    return released is None or released.difference.value is None


def _known(end: float | None) -> float:
    return math.nan if end is None else end


def label(row: Row, scene: Scene) -> str:
    """Say in a few words what was done otherwise."""
    voice, setting = scene.voice, row.setting
    if row.probe == BASELINE:
        return voice("sensitivity_baseline")
    if row.probe == "period" and setting.startswith(f"{PANDEMIC}="):
        return voice("probe_period_pandemi", level=scene.level(PANDEMIC, setting.partition("=")[2]))
    if voice.has(f"probe_{row.probe}_{setting}"):
        return voice(f"probe_{row.probe}_{setting}")
    return voice(f"probe_{row.probe}", setting=_setting(row, scene)) if setting else voice(f"probe_{row.probe}")


def _setting(row: Row, scene: Scene) -> str:
    voice, setting = scene.voice, row.setting
    if row.probe == "period":
        column, _, level = setting.partition("=")
        return f"{scene.column_within(column)}: {scene.level(column, level)}"
    if row.probe in ("lost_contact", "tipping"):
        return voice.percent_sign(float(setting))
    if row.probe == "definition":
        name = voice(f"definition_{setting}").partition(". ")[2]
        return f"{name[:1].lower()}{name[1:]}"
    try:
        value = float(setting)
    except ValueError:
        return setting
    return voice.number(value, 0 if value == round(value) else 1)


def _shown(sensitivity: Sensitivity, scene: Scene) -> list[Row]:
    """Keep the lines that have a number and are not about few people; of the teams, which nobody is to point at, the two ends."""
    rows = [row for row in sensitivity.rows if row.ran and not any(scene.gate.hides(count) for count in (row.n_treated or 0, row.n_control or 0))]
    own = sensitivity.baseline.n_treated or 0
    teams = [row for row in rows if row.probe == "without_team" and own - (row.n_treated or 0) >= scene.gate.threshold]  # of few: not among the ends
    if not teams:
        return [row for row in rows if row.probe != "without_team"]
    ends = {"lowest": min(teams, key=lambda row: row.value), "highest": max(teams, key=lambda row: row.value)}
    named = {id(row): replace(row, setting=end) for end, row in ends.items()}
    return [named.get(id(row), row) for row in rows if row.probe != "without_team" or id(row) in named]


def _sentences(sensitivity: Sensitivity, answers: Sequence[Row], scene: Scene) -> list[str]:
    voice, own = scene.voice, sensitivity.baseline
    others = [row for row in answers if (row.probe, row.setting) not in EXTREMES and row.probe != "definition"]
    said = []
    if others:
        low, high = min(row.value for row in others), max(row.value for row in others)
        ends = {"low": voice.signed(100 * low), "high": voice.signed(100 * high)}
        turned = sum(row.value * own.value < 0 for row in others)
        direction = voice("sensitivity_turned", count=turned) if turned else voice("sensitivity_same_side")
        said.append(f"{voice('sensitivity_range', d=voice.signed(100 * own.value), count=len(others), **ends)} {direction}")
    said += [*_tipping_sentence(sensitivity, scene)]
    gammas = [row.value for row in sensitivity.of("rosenbaum") if row.ran and row.setting == "horizon"]
    said += [voice("sensitivity_gamma", gamma=voice.number(gamma, 2)) for gamma in gammas if gamma > 1]
    return said


def _tipping_sentence(sensitivity: Sensitivity, scene: Scene) -> list[str]:
    tips = [row.value for row in sensitivity.of("tipping") if row.setting == "0"]
    if not tips or sensitivity.baseline.value <= 0:
        return []
    key = "sensitivity_never_tips" if math.isnan(tips[0]) else "sensitivity_tipping"
    return [scene.voice(key, share=scene.voice.percent(tips[0], 0), **scene.names())]


def _answers(sensitivity: Sensitivity, answers: Sequence[Row], scene: Scene) -> list[Block]:
    voice, horizon = scene.voice, scene.voice.span(sensitivity.horizon_days)
    own = sensitivity.baseline
    # no counts: two ways that differ by a few people would tell of the few
    moved = ["", *(voice.signed(100 * sensitivity.moved(row)) for row in answers)]
    rows = tuple((label(row, scene), _points(row, scene), _range(row, scene), far) for row, far in zip((own, *answers), moved, strict=True))
    head = (voice("sensitivity_way"), voice("difference"), voice("interval"), voice("sensitivity_moved"))
    table = Table(voice("sensitivity_table", horizon=horizon), head, rows, ("strong", *[""] * len(answers)))
    drawn = figures.draw_sensitivity(_drawn(own, scene), [_drawn(row, scene) for row in answers], words=figure_words(scene))
    caption = voice("sensitivity_caption", horizon=horizon, **scene.names())
    return [picture("sensitivity", drawn, voice("sensitivity"), _in_short(sensitivity, answers, scene), caption), Rows(table)]


def _in_short(sensitivity: Sensitivity, answers: Sequence[Row], scene: Scene) -> str:
    """Describe the figure to who does not see it: the ends; the table beside it has every line."""
    farthest = [f"{label(row, scene)}: {_points(row, scene)} ({_range(row, scene)})" for row in (sensitivity.baseline, *answers[:5])]
    return ". ".join(farthest) + "."


def _placebos(sensitivity: Sensitivity, scene: Scene) -> list[Block]:
    voice = scene.voice
    rows = [row for row in _shown(sensitivity, scene) if row.kind == "null"]
    if not rows:
        return [Subheading(voice("placebos")), Paragraph(voice("placebos_absent"))]
    lit = int((holm(np.array([row.p_value for row in rows])) < FALSE_ALARM).sum())
    said = voice("placebos_lit" if lit else "placebos_clean", n=len(rows), lit=lit)
    cells = tuple(
        (label(row, scene), _points(row, scene), _range(row, scene), p_cell(_p_value(row, sensitivity.baseline, scene), scene)) for row in rows
    )
    said = " ".join([said, *p_note(scene)])
    table = Table(voice("placebos_table"), (voice("bounds_way"), voice("difference"), voice("interval"), voice("p_value")), cells)
    return [Subheading(voice("placebos")), Paragraph(said), Rows(table)]


def _p_value(row: Row, own: Row, scene: Scene) -> ReleasedNumber:
    """Let the p-value of a placebo through: one person moves a difference of shares by one over the people of the smaller arm."""
    fewest = min(row.n_treated or own.n_treated or 1, row.n_control or own.n_control or 1)
    errors = (row.high - row.low) / (2 * TWO_SIDED)
    return p_value_through(f"p, placebo, {row.probe}, {row.setting}", row.p_value, 1 / (fewest * errors) if errors > 0 else 0.0, scene.telling)


def _tipping(sensitivity: Sensitivity, scene: Scene) -> list[Block]:
    voice, names = scene.voice, scene.names()
    line = sensitivity.tables.get(TIPPING)
    if line is None or not line["control_share"].notna().any():
        return []
    sides = voice("tipping_more", **names), voice("tipping_fewer", **names)
    axes = voice("tipping_treated", **names), voice("tipping_control", **names)
    drawn = figures.draw_tipping(line, usual=USUAL_SHARE, sides=sides, names=(*axes, voice("tipping_mark")), words=figure_words(scene))
    shares = line[line["treated_share"].isin(SHARES)]
    table = _tipping_table(shares, scene)
    return [picture("tipping", drawn, voice("tipping_title"), _tipping_spoken(shares, scene), voice("tipping_caption")), Rows(table)]


def _tipping_table(shares: pd.DataFrame, scene: Scene) -> Table:
    voice, names = scene.voice, scene.names()

    def cell(share: float) -> str:
        return voice("tipping_none") if math.isnan(share) else voice.percent_sign(share)

    rows = tuple(
        (voice.percent_sign(row["treated_share"]), cell(row["control_share"]), cell(row["control_low"])) for row in shares.to_dict("records")
    )
    head = (voice("tipping_head", **names), voice("tipping_zero"), voice("tipping_uncertain"))
    return Table(voice("tipping_table", **names), head, rows)


def _tipping_spoken(shares: pd.DataFrame, scene: Scene) -> str:
    """Read the table out in sentences, for those who do not see the figure."""
    voice = scene.voice

    def at(share: float) -> str:
        return voice("tipping_none") if math.isnan(share) else voice("tipping_at", share=voice.percent_sign(share))

    def since(share: float) -> str:
        return voice("tipping_none") if math.isnan(share) else voice("tipping_from", share=voice.percent_sign(share))

    columns = (shares[name].tolist() for name in ("treated_share", "control_share", "control_low"))
    rows = zip(*columns, strict=True)
    return " ".join(voice("tipping_spoken", at=voice.percent_sign(own), zero=at(zero), uncertain=since(low)) for own, zero, low in rows)


def _bounds(sensitivity: Sensitivity, scene: Scene) -> list[Block]:
    voice = scene.voice
    rows = [row for row in sensitivity.of_kind("bound") if row.probe != "tipping"]
    if not rows:
        return []

    def write(row: Row, value: float) -> str:
        return "" if math.isnan(value) else voice.number(100 * value) if row.unit == "share" else voice.number(value, 2)

    cells = tuple((label(row, scene), write(row, row.value), write(row, row.low)) for row in rows)
    table = Table(voice("bounds_table"), (voice("bounds_way"), voice("value"), voice("bounds_interval")), cells)
    return [Subheading(voice("bounds")), Rows(table)]


def _drawn(row: Row, scene: Scene) -> figures.ProbeRow:
    return figures.ProbeRow(label(row, scene), 100 * row.value, 100 * row.low, 100 * row.high, _points(row, scene))


def _points(row: Row, scene: Scene) -> str:
    return scene.points(row)


def _range(row: Row, scene: Scene) -> str:
    return scene.point_range(row)
