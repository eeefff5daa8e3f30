"""Make, check and describe registers: `malmokraften simulate`, `check`, `schema`."""

from __future__ import annotations

import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evaluation.cli.terminal import INVALID, Choice, LogJson, Quiet, Step, exit_codes, steps

PIPED_WIDTH = 140  # no terminal says how wide it is: wide enough for a sentence

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.registers.cleaning import CleaningSpec, CleanRegisters
    from evaluation.registers.findings import Findings
    from evaluation.registers.site import Site

schema = typer.Typer(help="What must be delivered: the data dictionary, and empty tables for the agencies.", no_args_is_help=True)


class FileFormat(StrEnum):
    """Kinds of file synthetic registers are written as."""

    CSV = "csv"
    PARQUET = "parquet"


class EffectName(StrEnum):
    """What a start does in the synthetic world."""

    PUBLISHED = "published"
    NONE = "none"
    CONSTANT = "constant"
    LARGER_OUTSIDE_EUROPE = "larger_outside_europe"
    LOCK_IN = "lock_in"


class SortingName(StrEnum):
    """Who is more likely to start."""

    HARD_TO_PLACE = "hard_to_place"
    JOB_READY = "job_ready"
    NONE = "none"


Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.", file_okay=False)]


def simulate(
    out: Out,
    participants: Annotated[int, typer.Option(min=40, help="People who start Malmökraften.")] = 4_000,
    pool: Annotated[int, typer.Option(min=400, help="Other people who are in JUG some day 2016–2023.")] = 40_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same bytes.")] = 1,
    effect: Annotated[EffectName, typer.Option(help="What a start does.")] = EffectName.PUBLISHED,
    sorting: Annotated[SortingName, typer.Option(help="Who starts, by traits the registers show.")] = SortingName.HARD_TO_PLACE,
    hidden_bias: Annotated[float, typer.Option(help="Log odds of a start per standard deviation of a trait no register shows.")] = 0.0,
    dirt: Annotated[float, typer.Option(min=0.0, max=0.2, help="Share of records with each fault of the real register.")] = 0.0,
    file_format: Annotated[FileFormat, typer.Option("--format", help="Kind of file.")] = FileFormat.CSV,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Write synthetic registers of JUG and Malmökraften in Malmö 2016–2023, with the true effects beside them.

    Example: malmokraften simulate synthetic --participants 400 --pool 4000 --dirt 0.02
    """
    with exit_codes(), steps(quiet, log_json) as step:
        step("Simulating")
        from evaluation.registers.synthetic.simulate import simulate_registers
        from evaluation.registers.synthetic.writing import write_registers

        made = simulate_registers(participants, pool, seed=seed, effect=effect.value, sorting=sorting.value, hidden_bias=hidden_bias, dirt=dirt)
        step("Writing the tables")
        folder = write_registers(made, out, file_format=file_format.value)
        step.done(f"Synthetic registers: {folder}")
    if not quiet:
        _print_margins(made.margins)


def check(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help="Folder or database address; left out: what the site file says.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="Site file: where the data are and what their columns and codes are called.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Where to write the page.", file_okay=False)] = Path("check"),
    language: Annotated[Choice, typer.Option("--language", help="Language of the page.")] = Choice.BOTH,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Check a delivery: every broken rule at once, what cleaning does to it, and what the tables hold.

    Example: malmokraften check delivery --site site.toml --language sv
    """
    with exit_codes(), steps(quiet, log_json) as step:
        from evaluation.registers.site import Site, load_site

        chosen = load_site(site) if site else Site()
        if data and chosen.data:
            typer.echo("DATA on the command line is read, not the data the site file names", err=True)
        findings, clean = check_delivery(_source(data, chosen.data), chosen, out, language, step)
    if not quiet:
        _print_findings(findings)
    if clean is None:
        typer.echo("Error: the delivery breaks rules that stop the run; mail the page to whoever delivered it", err=True)
        raise typer.Exit(INVALID)


def check_delivery(
    source: str | Path, site: Site, out: Path, language: Choice, step: Step, cleaning: CleaningSpec | None = None
) -> tuple[Findings, CleanRegisters | None]:
    """Read a delivery, hold it against the contract, clean it and write the check page; no registers if a rule stops the run."""
    step("Reading the delivery")
    from evaluation.registers.cleaning import clean_registers
    from evaluation.registers.profile import profile_registers
    from evaluation.registers.sources import open_delivery
    from evaluation.registers.validation import validate
    from evaluation.reporting.check import write_check

    delivery = open_delivery(source, site)
    step("Holding it against the contract")
    validation = validate(delivery)
    registers, clean, profile = validation.registers, None, None
    if registers is not None:
        step("Cleaning")
        clean = clean_registers(registers, cleaning)
        step("Looking at what the tables hold")
        profile = profile_registers(registers)
    step("Writing the check")
    wanted = language.languages
    for one in wanted:
        page = write_check(
            out,
            findings=validation.findings,
            registers=registers,
            profile=profile,
            audit=clean.audit if clean else None,
            synthetic=validation.synthetic,
            language=one,
            linked=len(wanted) > 1,
        )
        step.done(f"Check: {page}")
    return validation.findings, clean


@schema.command()
def dictionary(
    out: Annotated[Path | None, typer.Argument(metavar="FILE", help="File to write; left out: it is shown.", dir_okay=False)] = None,
) -> None:
    """Show or write the data dictionary, in Swedish and English.

    Example: malmokraften schema dictionary data_schema/README.md
    """
    with exit_codes():
        from evaluation.registers.contract import load_contract
        from evaluation.registers.dictionary import render_dictionary

        text = render_dictionary(load_contract())
        if out is None:
            typer.echo(text, nl=False)
        else:
            out.write_text(text, encoding="utf-8")
            typer.echo(f"Data dictionary: {out}")


@schema.command()
def templates(out: Out) -> None:
    """Write an empty table for each register, and the delivery checklist, for agencies to fill in without any program.

    Example: malmokraften schema templates templates
    """
    with exit_codes():
        from evaluation.errors import InputError, Problem
        from evaluation.registers.contract import load_contract
        from evaluation.registers.dictionary import templates

        files = templates(load_contract())
        there = [name for name in files if (out / name).exists()]
        if there:
            raise InputError(
                [Problem(str(out), f"already holds {', '.join(there)}", "choose another folder: a table that is there may be filled in")]
            )
        for name, text in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(text, encoding="utf-8")
        typer.echo(f"{len(files)} files: {out}")


def _source(given: str | None, known: str | Path | None) -> str | Path:
    from evaluation.errors import InputError, Problem

    source = given or known
    if source is None:
        raise InputError([Problem("DATA", "is not given", "name the folder, or give a site file that says where the data are")])
    return source


def _print_margins(margins: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("share", "published", "here", "source", box=None)
    for row in margins.to_dict("records"):
        table.add_row(row["fact"], _interval(row["low"], row["high"]), f"{row['synthetic']:.1%}", row["source"])
    Console().print(table)


def _interval(low: float, high: float) -> str:
    if math.isnan(low):
        return "-"
    return f"{low:.1%}" if low == high else f"{low:.1%}-{high:.1%}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _print_findings(findings: Findings) -> None:
    from rich.console import Console
    from rich.table import Table

    told = [*findings.of("error"), *findings.of("warning")]
    table = Table("", "where", "rule; what to do", "rows", "share", "first rows", box=None)
    for item in told:
        mark = "[red]error[/]" if item.severity == "error" else "[yellow]warning[/]"
        rows, share = (str(item.rows), f"{item.share or 0:.1%}") if item.rows is not None else ("", "")
        where = f"{item.table}.{item.column}" if item.column else item.table
        table.add_row(mark, where, f"{item.rule()}; {item.remedy()}", rows, share, ", ".join(map(str, item.first_rows)))
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if told:
        console.print(table)
    errors, notes = len(findings.of("error")), len(findings.of("note"))
    console.print(f"{_counted(errors, 'error')}, {_counted(len(told) - errors, 'warning')}; {_counted(notes, 'note')} on the page")
