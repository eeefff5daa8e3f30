"""Does this installation find the truth? `malmokraften verify`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.cli.registers import PIPED_WIDTH
from evaluation.cli.terminal import ASTRAY, LogJson, Quiet, exit_codes, steps

if TYPE_CHECKING:
    from evaluation.verification.road import RoadVerification

DAYS_SOONER = "E3"  # the others are shares


def verify(
    worlds: Annotated[int, typer.Option("--worlds", min=2, help="How many synthetic worlds; twelve take about a minute.")] = 12,
    participants: Annotated[int, typer.Option(min=40, help="People of each world who start Malmökraften.")] = 600,
    pool: Annotated[int, typer.Option(min=400, help="Other people of each world who are in JUG some day.")] = 6_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the first world; the same seed gives the same answers.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes; left out: one for each core.")] = os.cpu_count() or 1,
    out: Annotated[Path | None, typer.Option("--out", help="CSV to write every answer of every world to.", dir_okay=False)] = None,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Send synthetic registers whose true effect is known through the whole road, and hold what comes out against the truth.

    A row is astray where its bias or its intervals miss the goal by more than four Monte Carlo errors: the exit code is then 6.

    Example: malmokraften verify --worlds 12 --jobs 2 --out answers.csv
    """
    with exit_codes(), steps(quiet, log_json) as step:
        step(f"Sending {worlds} worlds through the whole road")
        from joblib import parallel_config

        from evaluation.verification.road import verify_road
        from evaluation.whole import write_whole

        with parallel_config(n_jobs=jobs):
            found = verify_road(worlds, participants=participants, pool=pool, seed=seed, progress=step.part)
        if out is not None:
            write_whole(out, found.answers.to_csv(index=False, lineterminator="\n").encode())
            step.done(f"Answers: {out}")
    if not quiet:
        _print_table(found)
    _judge(found, quiet=quiet)


def _print_table(found: RoadVerification) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("estimand", "of whom", "days", "true effect", "mean estimate", "bias (error)", "coverage (error)", "verdict", box=None)
    for row in found.table.to_dict("records"):
        scale, unit = (1.0, " d") if row["estimand"] == DAYS_SOONER else (100.0, "")
        effects = (f"{scale * row[name]:+.1f}{unit}".replace("-", "−") for name in ("true_effect", "mean_estimate"))
        bias = f"{scale * row['bias']:+.1f} ({scale * row['bias_error']:.1f})".replace("-", "−")
        coverage = f"{100 * row['coverage']:.0f} % ({100 * row['coverage_error']:.0f})"
        colour = "green" if row["verdict"] == "found" else "red"
        table.add_row(row["estimand"], row["of_whom"], f"{row['horizon_days']:.0f}", *effects, bias, coverage, f"[{colour}]{row['verdict']}[/]")
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)
    typer.echo("Shares in percentage points, E3 in days (d); in brackets the Monte Carlo error, which is chance's part of it")


def _judge(found: RoadVerification, *, quiet: bool) -> None:
    """Say whether this installation finds the truth, and end with its own exit code if it does not."""
    for seed, failure in found.failures.items():
        typer.echo(f"  seed {seed}: {failure}", err=True)
    if not found.passed:
        astray = int((found.table["verdict"] != "found").sum())
        typer.echo(
            f"Error: this installation does not find the truth: {astray} of {len(found.table)} rows are astray, and {len(found.failures)} worlds "
            "ended in an error; run malmokraften doctor, install the packages of requirements.lock, and send the table along if it stays so",
            err=True,
        )
        raise typer.Exit(ASTRAY)
    if not quiet:
        typer.echo(f"This installation finds the truth: {len(found.table)} rows, none astray")
