"""Which other ways of building the comparison were there, and what would they have kept?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

from evaluation.design.designs import Designs
from evaluation.release.rules import round_count, round_share
from evaluation.reporting import figures
from evaluation.reporting.blocks import Paragraph, Rows, Section, picture, spoken
from evaluation.reporting.scene import Scene, figure_words
from evaluation.reporting.tables import Table
from evaluation.reporting.wording import design_name


def designs_section(designs: Designs, scene: Scene) -> Section:
    """Set other ways of building the comparison beside the plan's."""
    voice = scene.voice
    table = designs_table(designs, scene)
    rows = [
        figures.DesignRow(str(cells[0]), _kept_words(record, designs, scene), record["worst_smd"], record["worst_subgroup_smd"])
        for cells, record in zip(table.rows, designs.table.to_dict("records"), strict=True)
    ]
    keys = voice("worst_of_all"), voice("worst_in_groups")
    figure = figures.draw_designs(rows, limit=scene.plan.limits.worst_smd, keys=keys, words=figure_words(scene))
    shown = picture("designs", figure, voice("alternatives"), spoken(table), voice("designs_caption"))
    return Section("designs", voice("alternatives"), (Paragraph(voice("alternatives_text")), shown, Rows(table)))


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
        kept = voice.percent_sign(_kept_share(record["share_treated_kept"], designs, scene))  # no count: two that differ by few would tell of the few
        effective = scene.count(record["effective_control"])
        worst, detectable = voice.number(record["worst_smd"], 2), voice.number(100 * record["minimal_detectable_effect"], 1)
        rows.append((name, kept, effective, worst, detectable, voice("passed" if record["passed"] else "failed")))
        marks.append("strong" if record["design"] == "plan" else "")
    whom = voice("kept_share", **scene.names()), voice("effective_control")
    head = (voice("design"), *whom, voice("worst_of_all"), voice("detectable"), voice("outcome"))
    return Table(voice("designs_caption_table"), head, tuple(rows), tuple(marks))


def _kept_share(share: float, designs: Designs, scene: Scene) -> float:
    """Round the share of the treated whom a design keeps as the counts are rounded."""
    people = int(next(iter(designs.comparisons.values())).attrition["treated"].iloc[0]) if designs.comparisons else 0
    return round_share(share, int(round_count(people, scene.rules)), scene.rules) if people else share


def _kept_words(record: Mapping[Hashable, Any], designs: Designs, scene: Scene) -> str:
    """Say whom a design keeps, or that there is none."""
    voice = scene.voice
    if math.isnan(record["worst_smd"]):
        return voice("no_such_comparison")
    kept = voice.percent(_kept_share(record["share_treated_kept"], designs, scene), 0)
    return voice("design_keeps", share=kept, effective=scene.count(record["effective_control"]), **scene.names())
