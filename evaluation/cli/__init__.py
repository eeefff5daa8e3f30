"""The command line: `malmokraften` with `init`, `simulate`, `check`, `schema`, `design`, `analyse`, `report`, `verify`, `release-check` and so on.

Libraries are imported inside the commands, here and only here, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from evaluation.cli.analyse import analyse
from evaluation.cli.init import init
from evaluation.cli.machine import doctor, example
from evaluation.cli.registers import check, schema, simulate
from evaluation.cli.release import release_check
from evaluation.cli.studies import design, report
from evaluation.cli.verify import verify

EXIT_CODES = (
    "Exit codes: 0 done, 2 invalid input, plan or design, 3 something must not be released, 4 strict plan and failed design, 5 environment not fit, "
    "6 this installation does not find the truth."
)

app = typer.Typer(
    name="malmokraften",
    help="Judge from register data whether a labour-market programme worked: matched comparison, effects over time, by gender and origin.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from evaluation import __version__

        typer.echo(f"malmokraften {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False) -> None:
    pass


for command in (init, simulate, check, design, analyse, report, verify, release_check, example, doctor):
    app.command(epilog=EXIT_CODES)(command)
app.add_typer(schema, name="schema", epilog=EXIT_CODES)
