"""How does the command line speak: steps, exit codes, languages?

Exit codes: 0 done, 2 the input, the plan or the design is invalid, 4 the plan is strict and the design failed a check, 5 the environment is not fit.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from evaluation.plan import Language

INVALID, STRICT, UNFIT = 2, 4, 5
LANGUAGES: tuple[Language, ...] = ("sv", "en")


class Choice(StrEnum):
    """Languages a report is written in."""

    SV = "sv"
    EN = "en"
    BOTH = "both"

    @property
    def languages(self) -> list[Language]:
        """Give the languages chosen."""
        return [one for one in LANGUAGES if self.value in (one, "both")]


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
def steps(quiet: bool) -> Iterator[Step]:
    """Tell of steps, and stop moving whatever happens."""
    step = Step(quiet)
    try:
        yield step
    finally:
        step.close()


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what the toolkit raises on purpose into a sentence and an exit code."""
    from evaluation.errors import EvaluationError, VerdictError

    try:
        yield
    except EvaluationError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(STRICT if isinstance(error, VerdictError) else INVALID) from None
    except OSError as error:
        typer.echo(f"Error: {error.filename}: {error.strerror}; choose another place with --out, or free this one", err=True)
        raise typer.Exit(UNFIT) from None
