"""May this folder leave the house? `malmokraften release-check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaluation.cli.terminal import NOT_RELEASED, exit_codes


def release_check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What is to leave, with context.csv.", exists=True, file_okay=False)],
) -> None:
    """Read a release folder cold, and tell everything in it that should not leave: every problem at once, and never a value.

    Example: malmokraften release-check reports/malmokraften/output/release
    """
    with exit_codes():
        from evaluation.release.check import check_release

        problems = check_release(folder)
    for number, problem in enumerate(problems, start=1):
        typer.echo(f"  {number}. {problem}")
    if problems:
        typer.echo(f"Error: {len(problems)} problem{'s' * (len(problems) != 1)}; nothing of this folder should leave until they are mended", err=True)
        raise typer.Exit(NOT_RELEASED)
    typer.echo(f"Nothing found: {folder}. Somebody still reads it before it leaves")
