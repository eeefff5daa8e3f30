"""How does the command line speak: steps, exit codes, languages?

Exit codes: 0 done, 2 the input, the plan or the design is invalid, 3 something in a release must not leave, 4 the plan is strict and the design
failed a check, 5 the environment is not fit, 6 this installation does not find the truth.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evaluation.plan_sections import Language

INVALID, NOT_RELEASED, STRICT, UNFIT, ASTRAY = 2, 3, 4, 5, 6
LANGUAGES: tuple[Language, ...] = ("sv", "en")


Quiet = Annotated[bool, typer.Option("--quiet", help="Say only where the results lie.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Tell of every step on standard error as a line of JSON with its time.")]


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
    """Tell how far the work has come: a moving line on a terminal, a line per step elsewhere, nothing if quiet; or every step as JSON."""

    def __init__(self, quiet: bool, log_json: bool = False) -> None:
        self._quiet = quiet
        self._log_json = log_json
        self._moving = sys.stderr.isatty() and not quiet and not log_json
        self._finished: list[str] = []
        self._begun: tuple[float, int] | None = None  # when the first part of a step was finished, and how many were then
        if self._moving:
            from rich.console import Console

            self._status = Console(stderr=True).status("Starting")
            self._status.start()

    def __call__(self, what: str) -> None:
        """Begin a step."""
        if self._log_json:
            self._log("step", what=what)
        elif self._moving:
            self._status.update(f"{what} …")
        elif not self._quiet:
            typer.echo(f"{what} ...", err=True)

    def part(self, finished: int, parts: int, name: str) -> None:
        """Tell how much of a step is finished, and how long the rest may take."""
        now = time.monotonic()
        begun, before = self._begun = self._begun or (now, finished)
        if self._log_json:
            self._log("part", finished=finished, of=parts, what=name)
        rest = f", about {math.ceil((now - begun) / (finished - before) * (parts - finished))} s left" if before < finished < parts else ""
        if self._moving:
            self._status.update(f"{finished} of {parts}{rest} (last: {name}) …")
        elif not (self._quiet or self._log_json):
            typer.echo(f"  {finished} of {parts}: {name}", err=True)
        if finished == parts:
            self._begun = None

    def done(self, line: str) -> None:
        """Keep a line to print once all is written."""
        if self._log_json:
            self._log("done", what=line)
        self._finished.append(line)

    def warn(self, what: str) -> None:
        """Tell at once, quiet or not, of what does not stop the run."""
        if self._log_json:
            self._log("warning", what=what)
        else:
            typer.echo(f"Warning: {what}", err=True)

    def _log(self, event: str, **said: object) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        typer.echo(json.dumps({"time": now, "event": event, **said}, ensure_ascii=False), err=True)

    def close(self) -> None:
        """Stop moving, then print what was made."""
        if self._moving:
            self._status.stop()
        for line in self._finished:
            typer.echo(line)


@contextlib.contextmanager
def steps(quiet: bool, log_json: bool = False) -> Iterator[Step]:
    """Tell of steps, and stop moving whatever happens."""
    step = Step(quiet, log_json)
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
