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
from evaluation.release.balance_counts import FARTHEST, balance_cell, mean_step, mean_through, released_differences
from evaluation.release.magnitudes import coarseness
from evaluation.release.released import release_share
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
    table = released_differences(design, scene.telling)
    levels = table.groupby("variable")["level"].transform("size")
    mirrored = (levels == 2) & (table.groupby("variable").cumcount() == 0)
    kept = table[~mirrored].copy()
    kept["label"] = [scene.covariate(variable, level) for variable, level in zip(kept["variable"], kept["level"], strict=True)]
    exact = design.balance.table["smd_after"][~mirrored]
    kept["beyond"] = exact.abs() > scene.plan.limits.worst_smd  # as the requirement sees it, before anything is rounded
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
    told = [mean_through(f"{row['variable']}, {arm}", row[f"mean_{arm}"], step, scene.telling) for arm in ARMS]
    treated, control = (scene.voice.number(mean, 2) for mean in told)
    return treated, control


def support_blocks(design: Design, scene: Scene) -> list[Block]:
    """Tell who was left out where the groups do not overlap."""
    support, voice = design.support, scene.voice
    if support is None:
        return []
    table = support_table(support, scene)
    _, lost_treated, _, lost_control, _ = table.rows[0]
    return [Paragraph(voice("support_text", lost_treated=lost_treated, lost_control=lost_control, **scene.names())), Rows(table)]


def support_table(support: Support, scene: Scene) -> Table:
    """Show those left out where the groups do not overlap beside those kept; nothing of a group of few."""
    voice, counts = scene.voice, support.counts.set_index("side")
    people = {f"mean_{what}_{side}": int(counts[what][side]) for side in ARMS for what in ("dropped", "kept")}
    shown = [name for name, number in people.items() if number and not scene.gate.hides(number)]
    means = support.dropped.reset_index(drop=True)
    numbers = {str(name) for name, column in support.cohort.covariates.items() if len(column.unique()) > 2}
    shares = ~((means["level"] == "") & means["variable"].isin(numbers)).to_numpy()
    hidden = _hidden_shares(means, shares, shown, [people[name] for name in shown], scene) if shown else np.ones(len(means), dtype=bool)
    told = {name: _of_people(name, people[name], means, shares, hidden, scene) for name in people}
    of_many = [name for name, (among, _) in told.items() if among]
    head = [voice(key, group=group) for group in (scene.treated, scene.control) for key in ("left_out_of", "remain_of")]
    rows = [(voice("number_of_people"), *(scene.few_or(among) for among, _ in told.values()))]
    for place, (row, share) in enumerate(zip(means.to_dict("records"), shares, strict=True)):
        if share:
            values = [every[place] for _, every in told.values()]
        else:
            values = [_mean_of(name, row, people[name], support, scene) if name in of_many else None for name in people]
        values = [None if share and any(told[name][1][place] is None for name in of_many) else value for value in values]
        write = voice.percent_sign if share else partial(voice.number, decimals=2)
        rows.append((scene.covariate(row["variable"], row["level"]), *(HIDDEN if value is None else write(value) for value in values)))
    return Table(voice("support_caption"), (voice("covariate"), *head), tuple(rows))


def _of_people(name: str, people: int, rows: pd.DataFrame, shares: Bools, hidden: Bools, scene: Scene) -> tuple[int | None, list[float | None]]:
    """Give how many people a column is of, and of each row the share of them; None where it is hidden, or no share."""
    found: list[float | None] = [None] * len(rows)
    for variable, parts in rows.assign(hidden=hidden)[shares].groupby("variable", sort=False):
        counts = dict(zip(parts["level"], np.rint(parts[name].fillna(0.0) * people).astype(int).tolist(), strict=True))
        withheld = parts.loc[parts["hidden"], "level"].tolist()
        among, told = scene.telling.counts(f"support, {name}, {variable}", people, counts, withheld)
        for place, level in zip(parts.index.tolist(), parts["level"], strict=True):
            count = told[level]
            found[place] = min(count / among, 1.0) if among and count is not None else None
    return scene.telling.count(f"support, {name}", people), found


def _mean_of(name: str, row: Mapping[Hashable, Any], people: int, support: Support, scene: Scene) -> float:
    """Give a mean of one column; who was left out is known no better than that few lie farther away than a few standard deviations."""
    spread = float(np.nan_to_num(support.cohort.covariates[row["variable"]].to_numpy(dtype=np.float64)).std())
    return mean_through(f"{row['variable']}, support, {name}", row[name], coarseness(FARTHEST * spread / people, scene.rules), scene.telling)


def _hidden_shares(rows: pd.DataFrame, shares: Bools, columns: list[str], people: Sequence[int], scene: Scene) -> Bools:
    """Say which of the rows that hold shares must not be shown, variable by variable."""
    hidden = np.zeros(len(rows), dtype=bool)
    for _, parts in rows.reset_index(drop=True)[shares].groupby("variable"):
        hidden[parts.index] = scene.gate.hides_parts(parts[columns].to_numpy(dtype=np.float64), people)
    return hidden
