"""How alike are those who are compared, and who was left out where the groups do not overlap?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Bools
from evaluation.design.support import Support
from evaluation.release.balance_counts import balance_cell, difference_step, mean_step
from evaluation.release.magnitudes import round_to
from evaluation.release.released import release_share
from evaluation.release.rules import round_count, round_share
from evaluation.release.study_counts import people_cell
from evaluation.reporting import figures
from evaluation.reporting.blocks import Block, Paragraph, Rows, Section, picture
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.scene import Scene, figure_words
from evaluation.reporting.tables import Table
from evaluation.study import Design

MOST_COVARIATES = 16  # in the figure: those farthest apart before, and the worst after; the table beside it has all


def balance_section(design: Design, scene: Scene) -> Section:
    """Show how far apart the groups were before they were matched or weighted, and after."""
    voice, limit = scene.voice, design.plan.limits.worst_smd
    labelled = balance_labels(design, scene)
    worst = labelled.loc[labelled["smd_after"].abs().idxmax()]
    figured = {**scene.names(), "worst": voice.number(abs(worst["smd_after"]), 2), "limit": voice.number(limit, 2)}
    said, caption = voice("balance_sentence", **figured, label=worst["label"]), voice("love_caption", **figured)
    drawn = labelled[["label", "smd_before", "smd_after"]]
    if len(drawn) > MOST_COVARIATES:
        farthest = drawn["smd_before"].abs().drop(worst.name).nlargest(MOST_COVARIATES - 1).index
        left_out = len(drawn) - MOST_COVARIATES
        drawn, caption = drawn.loc[[worst.name, *farthest]], f"{caption} {voice('love_farthest', count=MOST_COVARIATES, left_out=left_out)}"
    figure = figures.draw_love(drawn, limit=limit, words=figure_words(scene))
    shown = picture("love", figure, voice("balance"), said, caption)
    return Section("balance", voice("balance"), (Paragraph(said), shown, Rows(balance_table(design, scene))))


def balance_labels(design: Design, scene: Scene) -> pd.DataFrame:
    """Give the balance table with its rows' labels; of a two-level category only the second level, the first being its mirror."""
    table = design.balance.table
    levels = table.groupby("variable")["level"].transform("size")
    mirrored = (levels == 2) & (table.groupby("variable").cumcount() == 0)
    kept = table[~mirrored].copy()
    kept["label"] = [scene.covariate(variable, level) for variable, level in zip(kept["variable"], kept["level"], strict=True)]
    kept["beyond"] = kept["smd_after"].abs() > scene.plan.limits.worst_smd  # as the requirement sees it, before anything is rounded
    steps = [difference_step(row, design, scene.rules) for row in kept.to_dict("records")]
    for when in ("smd_before", "smd_after"):
        kept[when] = [round_to(value, step) if np.isfinite(value) else value for value, step in zip(kept[when], steps, strict=True)]
    return kept


def balance_table(design: Design, scene: Scene) -> Table:
    """Show the compared groups' means or shares and how far apart they are; shares are of the counts that have passed with the study's."""
    voice, rows, marks = scene.voice, [], []
    for row in balance_labels(design, scene).to_dict("records"):
        means = _balance_shares(row, scene) if np.isnan(row["variance_ratio_before"]) else _balance_means(row, design, scene)
        rows.append((row["label"], *means, voice.number(row["smd_before"], 2), voice.number(row["smd_after"], 2)))
        marks.append("bad" if row["beyond"] else "")
    head = (voice("covariate"), scene.treated, scene.control, voice("smd_before"), voice("smd_after"))
    return Table(voice("balance_caption"), head, tuple(rows), tuple(marks))


def _balance_shares(row: Mapping[Hashable, Any], scene: Scene) -> tuple[str, str]:
    """Write the shares of either arm that have a characteristic, both or neither: with their difference one side gives the other."""
    found = [release_share(scene.passed.counts, balance_cell(arm, row["variable"], row["level"]), people_cell(arm)).value for arm in ARMS]
    if scene.rules.exact:
        found = [row["mean_treated"], row["mean_control"]]
    treated, control = (HIDDEN if share is None else scene.voice.percent_sign(share, 0) for share in found)
    return (HIDDEN, HIDDEN) if None in found else (treated, control)


def _balance_means(row: Mapping[Hashable, Any], design: Design, scene: Scene) -> tuple[str, str]:
    step = mean_step(design, row["variable"], scene.rules)
    if step is None or None in (scene.passed.people(arm) for arm in ARMS):
        return HIDDEN, HIDDEN
    treated, control = (scene.voice.number(round_to(row[f"mean_{arm}"], step), 2) for arm in ARMS)
    return treated, control


def support_blocks(design: Design, scene: Scene) -> list[Block]:
    """Tell who was left out where the groups do not overlap."""
    support, voice = design.support, scene.voice
    if support is None:
        return []
    lost = support.counts.set_index("side")["dropped"]
    said = {side: scene.count(int(lost[side])) for side in ("treated", "control")}
    return [
        Paragraph(voice("support_text", lost_treated=said["treated"], lost_control=said["control"], **scene.names())),
        Rows(support_table(support, scene)),
    ]


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
    rows = [(voice("number_of_people"), *(scene.count(number) for _, number in columns))]
    for row, share, hide in zip(means.to_dict("records"), shares, hidden, strict=True):
        write = voice.percent_sign if share else partial(voice.number, decimals=2)
        told = {name: round_share(row[name], int(round_count(number, scene.rules)), scene.rules) if share else row[name] for name, number in shown}
        cells = [HIDDEN if hide or name not in names else write(told[name]) for name, _ in columns]
        rows.append((scene.covariate(row["variable"], row["level"]), *cells))
    return Table(voice("support_caption"), (voice("covariate"), *head), tuple(rows))


def _hidden_shares(rows: pd.DataFrame, shares: Bools, columns: list[str], people: Sequence[int], scene: Scene) -> Bools:
    """Say which of the rows that hold shares must not be shown, variable by variable."""
    hidden = np.zeros(len(rows), dtype=bool)
    for _, parts in rows.reset_index(drop=True)[shares].groupby("variable"):
        hidden[parts.index] = scene.gate.hides_parts(parts[columns].to_numpy(dtype=np.float64), people)
    return hidden
