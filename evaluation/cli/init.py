"""What does a new study begin with? `malmokraften init`: a plan with every key explained, a site file, a notebook and a page that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evaluation.cli.studies import SIMULATED, STUDIES
from evaluation.cli.terminal import exit_codes

IGNORED = "# data and what is made from them never enter a repository\ndata/\noutput/\nsite.toml\n.ipynb_checkpoints/\n"
Cell = tuple[str, str]
TITLE: Cell = ("markdown", "# $name\n\nThe study of `plan.toml`, step by step. Nothing is decided here: what is decided stands in the plan.")
READ: dict[str, Cell] = {
    "registers": (
        "code",
        "from evaluation import analyse_study, clean_registers, design_study, load_plan, read_registers\n\n"
        'plan = load_plan(".")\n'
        'registers = read_registers("data")  # of a delivery: read_registers(site="site.toml")\n'
        "clean = clean_registers(registers, plan.registers.cleaning)\n"
        "clean.audit",
    ),
    "table": (
        "code",
        "from evaluation import analyse_study, design_study, load_plan, read_table\n\n"
        'plan = load_plan(".")\n'
        "people = read_table(plan.data_file)\n"
        "len(people)",
    ),
}
STEPS: tuple[Cell, ...] = (
    ("markdown", "## Who is compared with whom\n\nBefore an outcome is looked at. Are they alike, and may the outcomes be opened?"),
    ("code", "design = design_study({source}, plan)\ndesign.balance.to_frame().round(3)"),
    ("code", "design.verdict.to_frame().round(3)"),
    ("markdown", "## What difference it made\n\nOpen the outcomes when the plan stands."),
    ("code", "study = analyse_study({source}, design)\nstudy.effects.to_frame().round(3)"),
    ("markdown", "## For whom\n\nRead the rows that are differences, not which group's interval covers zero."),
    ("code", "study.registered.to_frame().round(3)"),
)


def _municipality(code: str) -> str:
    if len(code) != len(SIMULATED) or not code.isdigit() or not code.isascii():
        raise typer.BadParameter("is a municipality's code of four digits, such as 1480")
    return code


def _name(name: str) -> str:
    if not name.strip() or set(name) & set('"\\$') or not name.isprintable():
        raise typer.BadParameter('is a name, without ", \\ or $')
    return name.strip()


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New folder of the study; under reports/ the study is known by its name.")],
    name: Annotated[str, typer.Option("--name", callback=_name, help="What is judged, as the report is to call it.")] = "[programmet]",
    municipality: Annotated[
        str, typer.Option("--municipality", callback=_municipality, help="Code of the municipality; the plan takes a list of several too.")
    ] = SIMULATED,
    table: Annotated[bool, typer.Option("--table/--register", help="A table with a row per person, or registers.")] = False,
) -> None:
    """Write a new study: a plan with every key explained, a site file, a notebook, and a page that says what to do. Nothing is asked.

    Example: malmokraften init reports/hisingen --name "Hisingskraft" --municipality 1480
    """
    with exit_codes():
        _refuse_what_is_there(folder)
        for file, text in _files(folder, name, municipality, kind="table" if table else "registers").items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
            typer.echo(f"Written: {folder / file}")
        typer.echo(f"Next: read {folder / 'README.md'}")


def _refuse_what_is_there(folder: Path) -> None:
    from evaluation.errors import InputError, Problem

    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError([Problem(str(folder), "holds something already", "choose a new folder: nothing is written over")], "no study is made")


def _files(folder: Path, name: str, municipality: str, *, kind: str) -> dict[str, str]:
    """Give the files of a new study, by name."""
    from importlib.resources import files
    from string import Template

    study = folder.name if folder.parent.resolve() == STUDIES.resolve() else f"--plan {(folder / 'plan.toml').as_posix()}"
    words = {"name": name, "municipality": municipality, "study": study}
    templates = files("evaluation.cli").joinpath("templates")

    def filled(template: str) -> str:
        return Template(templates.joinpath(template).read_text(encoding="utf-8")).substitute(words)

    site = {"site.example.toml": templates.joinpath("site.example.toml").read_text(encoding="utf-8")} if kind == "registers" else {}
    return {
        "README.md": filled(f"{kind}.README.md"),
        "plan.toml": filled(f"{kind}.plan.toml"),
        **site,
        "study.ipynb": _notebook(kind, words),
        ".gitignore": IGNORED,
    }


def _notebook(kind: str, words: dict[str, str]) -> str:
    """Write the study's notebook, without outputs."""
    import json
    from string import Template

    source = "clean" if kind == "registers" else "people"
    cells = [(what, Template(text.replace("{source}", source)).safe_substitute(words)) for what, text in (TITLE, READ[kind], *STEPS)]
    listed: list[dict[str, object]] = [
        {"cell_type": what, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}
        | ({} if what == "markdown" else {"execution_count": None, "outputs": []})
        for number, (what, text) in enumerate(cells, start=1)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": listed, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, ensure_ascii=False, indent=1) + "\n"
