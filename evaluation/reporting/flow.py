"""How did the people of the registers become those who are compared, and who was left out on the way?"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.reporting import figures
from evaluation.reporting.blocks import Block, Paragraph, Rows, picture, spoken
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.scene import Scene, figure_words
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import sentence_case
from evaluation.study import Design

SICK_TEAM = "without_sick_team"  # the step that leaves the sick-leave team out


class _Cell(NamedTuple):
    """How many remained at a step on one side, and how many were left out since the step before, as they may be written; "" at the first step."""

    people: str
    left_out: str


def flow_blocks(design: Design, scene: Scene) -> list[Block]:
    """Show the steps as a figure and as a table, and tell of those who are counted only and of months without anybody to compare with."""
    voice, table = scene.voice, flow_table(design, scene)
    figure = figures.draw_flow(_figure_steps(design, scene), words=figure_words(scene))
    shown = picture("flow", figure, voice("flow_title"), spoken(table), voice("flow_figure_caption", **scene.names()))
    return [shown, Rows(table), *_sick_team(design, scene), *_gaps(design, scene)]


def flow_table(design: Design, scene: Scene) -> Table:
    """Show how many people there were at each step, and how many were left out before it; a dash where a step is none of that side."""
    voice, cells = scene.voice, _cells(design, scene)
    nothing = _Cell("–", "–")
    rows = [
        (voice(f"step_{step}"), *(text for arm in ARMS for text in cells[arm].get(number, nothing)))
        for number, step in enumerate(design.comparison.attrition["step"])
    ]
    head = [voice(key, group=group) for group in (scene.treated, scene.control) for key in ("remain_of", "left_out_of")]
    return Table(voice("flow_people"), (voice("step"), *head), tuple(rows), (*[""] * (len(rows) - 1), "strong"))


def _cells(design: Design, scene: Scene) -> dict[str, dict[int, _Cell]]:
    """Write each side's counts, by number of step, as they came through the gate."""
    found = {}
    for arm in ARMS:
        steps = np.flatnonzero(design.comparison.attrition[arm].notna().to_numpy()).tolist()
        shown = [scene.passed.step(arm, step) for step in steps]
        left_out = ["", *(scene.between(before, here) for before, here in pairwise(shown))]
        found[arm] = {step: _Cell(scene.shown(count), text) for step, count, text in zip(steps, shown, left_out, strict=True)}
    return found


def _figure_steps(design: Design, scene: Scene) -> list[figures.FlowStep]:
    """Draw the steps at which somebody is left out, and the first and last of either side."""
    cells, steps = _cells(design, scene), design.comparison.attrition["step"]
    nobody, found = scene.between(0, 0), []
    for number, step in enumerate(steps):
        if number < len(steps) - 1 and all(cells[arm][number].left_out == nobody for arm in ARMS if number in cells[arm]):
            continue
        here = {arm: cells[arm][number] for arm in ARMS if number in cells[arm]}
        left_out = {arm: scene.voice("so_many_left_out", count=cell.left_out) for arm, cell in here.items() if cell.left_out not in ("", nobody)}
        people = {arm: cell.people for arm, cell in here.items()}
        found.append(figures.FlowStep(scene.voice(f"step_{step}"), people, left_out, strong=number == len(steps) - 1))
    return found


def _sick_team(design: Design, scene: Scene) -> list[Block]:
    """Say how many of the sick-leave team are counted and not in the effect."""
    steps = design.comparison.attrition["step"].tolist()
    if SICK_TEAM not in steps:
        return []
    left_out = _cells(design, scene)["treated"][steps.index(SICK_TEAM)].left_out
    if left_out == scene.between(0, 0):
        return []
    few = left_out == HIDDEN
    return [Paragraph(sentence_case(scene.voice("sick_team", count=scene.voice("a_few") if few else left_out)))]


def _gaps(design: Design, scene: Scene) -> list[Block]:
    """Say in which trials participants had nobody to be compared with."""
    cohort = design.cohort
    if cohort.trial is None:
        return []
    trials = pd.DataFrame({"trial": cohort.column(cohort.trial).astype(str).to_numpy(), "control": ~cohort.treated})
    compared = trials.groupby("trial")["control"].any()
    alone = [scene.voice.month(dt.date.fromisoformat(f"{trial}-01")) for trial in compared.index[~compared]]
    return [Paragraph(scene.voice("trials_without_controls", months=scene.voice.listing(alone)))] if alone else []
