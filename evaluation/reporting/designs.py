"""Which other ways of building the comparison were there, and what would they have kept?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from evaluation.design.designs import Designs
from evaluation.release.balance_counts import worst_step_in_groups
from evaluation.release.design_numbers import effective_through
from evaluation.release.held import step_through
from evaluation.release.requirements import PLAN, detectable_through, kept_through, worst_step
from evaluation.reporting import figures
from evaluation.reporting.blocks import Paragraph, Rows, Section, picture, spoken
from evaluation.reporting.scene import Scene, figure_words
from evaluation.reporting.tables import Table, released_check
from evaluation.reporting.wording import design_name
from evaluation.study import Design


def designs_section(designs: Designs, design: Design, scene: Scene) -> Section:
    """Set other ways of building the comparison beside the plan's."""
    voice = scene.voice
    table, told = designs_table(designs, design, scene), released_designs(designs, design, scene)
    rows = [
        figures.DesignRow(str(cells[0]), _kept_words(record, designs, scene), record["worst_smd"], record["worst_subgroup_smd"])
        for cells, record in zip(table.rows, told, strict=True)
    ]
    keys = voice("worst_of_all"), voice("worst_in_groups")
    figure = figures.draw_designs(rows, limit=scene.plan.limits.worst_smd, keys=keys, words=figure_words(scene))
    shown = picture("designs", figure, voice("alternatives"), spoken(table), voice("designs_caption"))
    return Section("designs", voice("alternatives"), (Paragraph(voice("alternatives_text")), shown, Rows(table)))


def designs_table(designs: Designs, design: Design, scene: Scene) -> Table:
    """Show whom each way of building the comparison keeps, how alike the groups then are, and whether it meets the plan's limits."""
    voice, rows, marks = scene.voice, [], []
    for record in released_designs(designs, design, scene):
        name = design_name(designs.specs[record["design"]], voice)
        name = voice("the_plans", design=name) if record["design"] == "plan" else name
        if record["design"] not in designs.comparisons:
            rows.append((name, *["–"] * 4, voice("no_such_comparison")))
            marks.append("bad")
            continue
        kept = voice.percent_sign(record["share_treated_kept"])  # no count: two that differ by few would tell of the few
        effective = scene.few_or(record["effective_control"])
        worst, detectable = voice.number(record["worst_smd"], 2), voice.number(100 * record["minimal_detectable_effect"], 1)
        rows.append((name, kept, effective, worst, detectable, voice("passed" if record["passed"] else "failed")))
        marks.append("strong" if record["design"] == "plan" else "")
    whom = voice("kept_share", **scene.names()), voice("effective_control")
    head = (voice("design"), *whom, voice("worst_of_all"), voice("detectable"), voice("outcome"))
    return Table(voice("designs_caption_table"), head, tuple(rows), tuple(marks))


def released_designs(designs: Designs, design: Design, scene: Scene) -> list[dict[Hashable, Any]]:
    """Give the rows of the table of designs with the numbers that may be told; the plan's own has those of its requirements."""
    telling, rows = scene.telling, []
    own = {check.name: released_check(check, design, scene).value for check in design.verdict.checks}
    for record in designs.table.to_dict("records"):
        name, comparison = str(record["design"]), designs.comparisons.get(record["design"])
        if comparison is None or telling.rules.exact:
            rows.append(record)
            continue
        values: dict[Hashable, Any] = {
            "share_treated_kept": kept_through(name, record["share_treated_kept"], int(comparison.attrition["treated"].dropna().iloc[0]), telling),
            "effective_control": effective_through(f"{name}, effective number, control", comparison, telling),
            "worst_smd": step_through(f"{name}, worst_smd", record["worst_smd"], worst_step(comparison, telling.rules), telling),
            "minimal_detectable_effect": detectable_through(name, record["minimal_detectable_effect"], comparison, telling),
        }
        values |= {key: own[key] for key in values if name == PLAN and key in own}
        inside = worst_step_in_groups(design, telling.rules)
        values["worst_subgroup_smd"] = step_through(f"{name}, worst_subgroup_smd", record["worst_subgroup_smd"], inside, telling)
        rows.append({**record, **values})
    return rows


def _kept_words(record: Mapping[Hashable, Any], designs: Designs, scene: Scene) -> str:
    """Say whom a design keeps, or that there is none."""
    voice = scene.voice
    if record["design"] not in designs.comparisons:
        return voice("no_such_comparison")
    kept = voice.percent(record["share_treated_kept"], 0)
    return voice("design_keeps", share=kept, effective=scene.few_or(record["effective_control"]), **scene.names())
