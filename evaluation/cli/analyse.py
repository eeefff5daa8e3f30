"""What does the study say, on the terminal? `malmokraften analyse`, between `design` and `report`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.cli.studies import (
    FIRST,
    INTERNAL,
    PlanFile,
    SiteFile,
    StudyName,
    find_probes,
    load_study_plan,
    make_design,
    open_source,
    site_rules,
)
from evaluation.cli.terminal import Choice, LogJson, Quiet, Step, exit_codes, steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evaluation.plan_sections import Language
    from evaluation.reporting.blocks import Page
    from evaluation.reporting.scene import Scene
    from evaluation.sensitivity.table import Sensitivity
    from evaluation.study import Study

Languages = Annotated[Choice, typer.Option("--language", help="Language of what is printed and of the tables.")]
Folder = Annotated[Path | None, typer.Option("--out", help="Where to write results and tables; left out: they are only printed.", file_okay=False)]
TOLD = ("answer", "verdict", "results", "subgroups")  # sections of the page: more than a screen or two is read there
IN_WORDS = ("answer", "verdict")  # of the others the tables say it
CURVES = "curves"  # the table of a figure, month by month


def analyse(
    study: StudyName = FIRST,
    plan: PlanFile = None,
    site: SiteFile = None,
    out: Folder = None,
    language: Languages = Choice.BOTH,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Open a study's outcomes and print what it says, hidden and rounded by the site's rules; no page and no figure is made.

    With --out the results are written too, for other programs: results.json with its schema, and the tables as CSV.

    Example: malmokraften analyse malmokraften --site site.toml --language en --out results
    """
    with exit_codes(), steps(quiet, log_json) as step:
        loaded = load_study_plan(study, plan, step)
        folder = loaded.folder / "output"
        source = open_source(loaded, site, folder, language, step)  # the check's page stays: what --out holds may leave
        designed = make_design(source, loaded, step)
        step("Opening the outcomes")
        from evaluation.study import analyse_study

        analysed = analyse_study(source, designed)
        probes = find_probes(source, analysed, folder / INTERNAL / "sensitivity", step, jobs=0)
        step("Letting it through the gate")
        rules = site_rules(site)
        pages = dict(_pages(analysed, probes, language.languages, rules))
        if out is not None:
            _write(analysed, probes, pages, out, rules, step)
    if not quiet:
        typer.echo("\n\n".join(told(page) for page, _ in pages.values()))


def _pages(
    study: Study, probes: Sensitivity | None, languages: list[Language], rules: Mapping[str, float] | None
) -> Iterator[tuple[Language, tuple[Page, Scene]]]:
    """Compose the report's page, of which everything has passed the gate, in each language."""
    from evaluation.reporting.scene import scene_of
    from evaluation.reporting.sections import compose_page

    for language in languages:
        scene = scene_of(study, language, rules)
        yield language, (compose_page(study, scene, linked=False, sensitivity=probes), scene)


def told(page: Page) -> str:
    """Write the page's answer, verdict, effects and groups for a terminal: its own words and tables, which have passed the gate."""
    from evaluation.reporting.blocks import Items, Paragraph
    from evaluation.reporting.shown import COLUMNS, Shown
    from evaluation.reporting.workbook import page_tables

    parts = [part for part in (page.mark, page.title, textwrap.fill(page.question, COLUMNS)) if part]
    named = page_tables(page)
    for section in (one for one in page.sections if one.id in TOLD):
        parts.append(f"{section.heading}\n{'═' * len(section.heading)}")
        for block in section.blocks:
            if isinstance(block, Paragraph) and (section.id in IN_WORDS or block.mark == "warning"):
                parts.append(textwrap.fill(block.text, COLUMNS))
            elif isinstance(block, Items):
                parts += [textwrap.fill(item, COLUMNS, initial_indent="- ", subsequent_indent="  ") for item in block.items]
        parts += [str(Shown("", (), (one.table,))).strip() for one in named if one.heading == section.heading and one.name != CURVES]
    return "\n\n".join(parts)


def _write(
    study: Study,
    probes: Sensitivity | None,
    pages: Mapping[Language, tuple[Page, Scene]],
    out: Path,
    rules: Mapping[str, float] | None,
    step: Step,
) -> None:
    """Write results and tables whole or not at all, and read them cold as whoever receives them will."""
    step("Writing the results")
    from evaluation.release.check import check_release
    from evaluation.reporting.bundle import context_output, data_outputs, result_outputs
    from evaluation.reporting.exchange import beside, exchange, write_output

    results = result_outputs(study, probes, rules)
    tables = [one for page, scene in pages.values() for one in data_outputs(page, scene) if one.name.endswith(".csv")]
    outputs = [*results, *tables, context_output([*results, *tables])]
    names = tuple(dict.fromkeys(one.name.partition("/")[0] for one in outputs))
    with beside(out, names) as new:
        for output in outputs:
            write_output(new, output)
        problems = check_release(new, next(iter(pages.values()))[1].rules)
        exchange(new, out, names)
    step.done(f"Results: {out / results[0].name}")
    step.done(f"Tables: {(out / tables[0].name).parent}")
    for problem in problems:
        step.warn(f"release: {problem}")
