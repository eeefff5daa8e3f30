"""What does a run leave behind? Three folders and a manifest, exchanged as a whole.

`release/` holds what has passed the gate: the pages, their tables and figures, the results for programs, and a sentence about every file. `review/`
holds what who decides on the release must see: the counts behind it, what is hidden, the proof that it is enough, and the ledger of releases as it is
once this one is published. `internal/` holds unrounded estimates beside what the sensitivity analysis keeps there, and never leaves. `manifest.json`
says of what, with what and when they were made; nothing else in the run tells the time, so the same inputs give the same release to the last byte.

Everything is made first, then written beside the older run, and exchanged by renaming. Whatever stops it on the way, the older run stands whole.

References
----------
OpenSAFELY, Releasing files: outputs apart by sensitivity, and no file without its description.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.design.designs import Designs
from evaluation.errors import PdfWarning, Problem
from evaluation.plan_sections import Language
from evaluation.registers.cleaning import CleanRegisters
from evaluation.release.check import CONTEXT, check_release
from evaluation.release.ledger import LEDGER, Ledger
from evaluation.release.passage import ReleasedStudy, review_tables
from evaluation.release.released import Passage
from evaluation.release.study_counts import study_counts
from evaluation.reporting.blocks import Page, Picture
from evaluation.reporting.exchange import Output, beside, exchange, write_output
from evaluation.reporting.figures.png import png_bytes
from evaluation.reporting.manifest import ROOT, code_state, run_manifest, table_inputs
from evaluation.reporting.report import begin_printing, render_page
from evaluation.reporting.results import results_schema, results_text, study_results
from evaluation.reporting.scene import Scene, ledger_of, numbers_of, passage_of, populations, scene_of
from evaluation.reporting.sections import compose_page
from evaluation.reporting.workbook import csv_text, page_tables, picture_name, words, workbook_bytes
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Study

RELEASE, REVIEW, INTERNAL, MANIFEST = "release", "review", "internal", "manifest.json"
ESTIMATES = f"{INTERNAL}/estimates"  # a folder of its own, for the sensitivity analysis keeps its files beside it from run to run
EXCHANGED = (RELEASE, REVIEW, ESTIMATES, MANIFEST)


@dataclass(frozen=True)
class Bundle:
    """What was written.

    Attributes
    ----------
    folder : Path
    pages : tuple of Path
        The reports, in the order of the languages, each followed by its PDF where there is one.
    files : tuple of Path
        Every file of the run, the pages among them.
    problems : tuple of Problem
        What a cold reading of the release found; it is to be mended before anything leaves.
    """

    folder: Path
    pages: tuple[Path, ...]
    files: tuple[Path, ...]
    problems: tuple[Problem, ...]


def write_bundle(
    study: Study,
    folder: str | Path,
    *,
    source: pd.DataFrame | CleanRegisters | None = None,
    languages: Sequence[Language] = ("sv", "en"),
    pdf: bool = True,
    alternatives: Designs | None = None,
    sensitivity: Sensitivity | None = None,
    release: Mapping[str, float] | None = None,
    wall_seconds: Mapping[str, float] | None = None,
) -> Bundle:
    """Write everything a run leaves behind, or leave the older run as it was.

    Parameters
    ----------
    study : Study
    folder : str or Path
        Made if absent.
    source : DataFrame or CleanRegisters, optional
        What the study was made of, for the manifest's checksums; left out, it names no inputs.
    languages : sequence of {"sv", "en"}
    pdf : bool
        Whether to write the pages as PDF too.
    alternatives : Designs, optional
        Other ways of building the comparison, to be set beside it.
    sensitivity : Sensitivity, optional
        What would change the conclusion.
    release : mapping of str to float, optional
        What the site's file says of its rules (`Site.release`).
    wall_seconds : mapping of str to float, optional
        How long the parts before this one took, for the manifest.

    Returns
    -------
    Bundle

    Raises
    ------
    InputError
        If something on the page has not passed the gate.

    Warns
    -----
    PdfWarning
        If this machine cannot make the PDF: the rest is written, and the message says what to install.
    """
    started, took = time.perf_counter(), dict(wall_seconds or {})
    inputs, code = [] if source is None else table_inputs(source, study.design.plan), code_state(ROOT)
    scenes = {language: replace(scene_of(study, language, release), inputs=tuple(inputs), code=code) for language in languages}
    rules = next(iter(scenes.values())).rules
    passage, linked = passage_of(study, rules)[1], len(languages) > 1
    pages = {
        language: compose_page(study, scene, linked=linked, alternatives=alternatives, sensitivity=sensitivity) for language, scene in scenes.items()
    }
    texts = {language: render_page("report.html.j2", page) for language, page in pages.items()}
    printed = begin_printing(texts) if pdf else dict
    took["compose"] = time.perf_counter() - started
    outputs = [one for language, page in pages.items() for one in data_outputs(page, scenes[language])]
    outputs += result_outputs(study, sensitivity, release)
    within_house = [*_within(REVIEW, review_outputs(study, passage)), *_within(ESTIMATES, internal_outputs(study))]
    took["tables and figures"] = time.perf_counter() - started - took["compose"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", PdfWarning)
        reports = page_outputs(texts, printed())
    for warning in told:
        warnings.warn(warning.message, stacklevel=2)
    outputs = [*_within(RELEASE, [*reports, *outputs]), *within_house]
    took["pages"] = time.perf_counter() - started - took["compose"] - took["tables and figures"]
    notes = [*study.notes, *(str(warning.message) for warning in told)]
    place = Path(folder)
    with beside(place, EXCHANGED) as new:
        for output in outputs:
            write_output(new, output)
        problems = check_release(new / RELEASE, rules)
        took["writing and checking"] = time.perf_counter() - started - sum(took[name] for name in ("compose", "pages", "tables and figures"))
        manifest = run_manifest(study.design, passage, outputs, code=code, inputs=inputs, notes=notes, problems=problems, wall_seconds=took)
        write_output(
            new,
            Output(MANIFEST, "of what, with what and when", (json.dumps(manifest, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()),
        )
        exchange(new, place, EXCHANGED)
    return Bundle(
        place,
        tuple(place / RELEASE / one.name for one in reports),
        tuple(place / name for name in (*(one.name for one in outputs), MANIFEST)),
        tuple(problems),
    )


def page_outputs(texts: Mapping[Language, str], printed: Mapping[Language, bytes]) -> list[Output]:
    """Give the pages as HTML and, as far as they are printed, as PDF."""
    outputs = []
    for language, text in texts.items():
        outputs.append(Output(f"report.{language}.html", words("file_page", language), text.encode()))
        if language in printed:
            outputs.append(Output(f"report.{language}.pdf", words("file_pdf", language), printed[language]))
    return outputs


def data_outputs(page: Page, scene: Scene) -> Iterator[Output]:
    """Give a page's tables as a workbook and as CSV each, and its figures as SVG and PNG beside the CSV of theirs.

    Parameters
    ----------
    page : Page
    scene : Scene
        The one it was composed in.

    Yields
    ------
    Output
        Where the people are invented, every file's name says so.
    """
    language = page.language
    marked = f"{words('mark', language).lower()}-" if page.mark else ""
    notes = [scene.voice("gate_rules", below=scene.gate.threshold - 1, base=scene.rules.base)] if scene.gate.threshold > 1 else []
    yield Output(f"{marked}tables.{language}.xlsx", words("file_workbook", language), workbook_bytes(page, notes))
    tables = {table.name: table for table in page_tables(page)}
    for name, table in tables.items():
        label = words("file_table", language, caption=table.table.caption)
        yield Output(f"tables/{marked}{name}.{language}.csv", label, csv_text(table.table, language).encode())
    for block in (block for section in page.sections for block in section.blocks if isinstance(block, Picture)):
        name = picture_name(block)
        if name not in tables:
            continue  # no figure leaves without its data
        label, stem = words("file_figure", language, caption=block.caption), f"tables/{marked}{name}.{language}"
        yield Output(f"{stem}.svg", label, f"{block.svg}\n".encode())
        drawn = block.drawn
        if drawn is not None:
            yield Output(f"{stem}.png", label, png_bytes(drawn))


def result_outputs(study: Study, sensitivity: Sensitivity | None, release: Mapping[str, float] | None) -> list[Output]:
    """Give the results for other programs, and the schema of their form."""
    found = results_text(study_results(study, sensitivity=sensitivity, release=release))
    return [
        Output("results.json", _in_both("file_results"), found.encode()),
        Output("results.schema.json", _in_both("file_schema"), results_schema().encode()),
    ]


def review_outputs(study: Study, passage: Passage) -> list[Output]:
    """Give what the reviewer needs: every count and estimate exact beside released, what is hidden and why, what stands as before, and the proof.

    Composed after the pages, for the ledger holds what they have told.

    Parameters
    ----------
    study : Study
    passage : Passage

    Returns
    -------
    list of Output
    """
    released = passage.released
    exact = study_counts(study, released.rules).cells
    counts = pd.DataFrame({"cell": list(exact), "exact": list(exact.values())})
    counts["released"] = pd.array([released.shown[cell] for cell in exact], dtype="Int64")
    passed, rows = passage_of(study, released.rules)[0], []
    for horizon, found in passed.effects.items():
        own = {arm: study.effects.arms[arm].risk[horizon] for arm in ARMS} | {"difference": study.effects.risk_difference[horizon]}
        for name, estimate in own.items():
            shown = getattr(found, name)
            rows.append((horizon, name, estimate.value, estimate.low, estimate.high, shown.value, shown.low, shown.high))
    columns = ["horizon_days", "of", "value", "low", "high", "released_value", "released_low", "released_high"]
    tables = {"counts.csv": counts, "estimates.csv": pd.DataFrame(rows, columns=columns), **review_tables(passage)}
    tables["kept.csv"] = passed.telling.kept(passage.kept)
    outputs = [Output(name, _in_both(f"file_{name.removesuffix('.csv')}"), _csv(table)) for name, table in tables.items()]
    return [*outputs, Output(LEDGER, _in_both("file_release_ledger"), new_ledger(study, passed).to_csv().encode())]


def new_ledger(study: Study, passed: ReleasedStudy) -> Ledger:
    """Give the ledger as it is when this run has been published: what was released before, and this run's numbers where they are new."""
    plan = study.design.plan
    counts, curves = populations(plan)
    entered = ledger_of(plan).entered(counts, passed.counts).entered(curves, passed.of_curves)
    return entered.telling(numbers_of(plan), passed.telling.told)


def internal_outputs(study: Study) -> list[Output]:
    """Give the unrounded estimates; no person's record is among them, but groups of few are."""
    tables = {
        "subgroups_registered": study.registered.to_frame(),
        "subgroups_exploratory": study.exploratory.to_frame(),
        "balance": study.design.balance.table,
        "verdict": study.design.verdict.to_frame(),
        "attrition": study.design.comparison.attrition,
    }
    measures = [(name, found.value, found.low, found.high, found.std_error) for name, found in study.effects.estimates().items()]
    tables["effects"] = pd.DataFrame(measures, columns=["measure", "value", "low", "high", "std_error"])
    return [Output(f"{name}.csv", f"unrounded: {name}", _csv(table)) for name, table in sorted(tables.items())]


def _within(folder: str, outputs: Sequence[Output]) -> list[Output]:
    """Set outputs in a folder, with the file that describes each of them."""
    return [Output(f"{folder}/{one.name}", one.label, one.content) for one in (*outputs, context_output(outputs))]


def context_output(outputs: Sequence[Output]) -> Output:
    """Describe every file of a folder, as who decides on a release wants it."""
    described = pd.DataFrame(sorted((one.name, one.label) for one in outputs), columns=["file", "description"])
    return Output(CONTEXT, "file, description", _csv(described))


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _in_both(key: str) -> str:
    return f"{words(key, 'sv')} / {words(key, 'en')}"
