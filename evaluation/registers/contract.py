"""What must be delivered: the tables, their columns, and what every code meant on its day.

The contract is a Data Package (version 2) in data_schema/: `datapackage.json`, one Table Schema per table, and code lists with validity dates. A code
is looked up at its date, because agencies use codes again for other things. A site may put its own code lists in the place of ours.

References
----------
Data Package standard v2 (2024): https://datapackage.org/standard/data-package/
"""

from __future__ import annotations

import datetime as dt
import io
import json
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import pandas as pd

from evaluation.errors import Problem, SchemaError
from evaluation.registers.schema import Schema, load_schema

CODE_COLUMNS = ("kod", "benamning_sv", "label_en", "klass", "giltig_fran", "giltig_till")
ALWAYS = ("0001-01-01", "9999-12-31")  # where a list leaves a code's first or last day empty
_COMMENT = "#"


@dataclass(frozen=True, eq=False)
class CodeList:
    """What the codes of a column mean, and when.

    Attributes
    ----------
    name : str
    titles : dict of str to str
        By language.
    status, source : str
        How far the list has been checked against the agency's own, and where it is from; as written in its header.
    entries : DataFrame
        kod, benamning_sv, label_en, klass, giltig_fran, giltig_till (ISO dates, both days included, never empty) and any further column;
        all of them text. A code may occur several times, with different days.
    """

    name: str
    titles: dict[str, str]
    status: str
    source: str
    entries: pd.DataFrame

    @property
    def verified(self) -> bool:
        """Whether the whole list has been checked against the agency's own."""
        return self.status.startswith("verifierad")

    @cached_property
    def reused(self) -> frozenset[str]:
        """The codes that have meant several things."""
        return frozenset(self.entries.loc[self.entries["kod"].duplicated(), "kod"])


@dataclass(frozen=True, eq=False)
class Contract:
    """The data contract.

    Attributes
    ----------
    version : str
        Semantic version of data_schema/.
    tables : dict of str to Schema
        In the order of datapackage.json.
    codes : dict of str to CodeList
    """

    version: str
    tables: dict[str, Schema]
    codes: dict[str, CodeList]

    def __repr__(self) -> str:
        """Say which contract it is."""
        return f"Contract(version {self.version}, {len(self.tables)} tables, {len(self.codes)} code lists)"

    def to_frame(self) -> pd.DataFrame:
        """Give one row per table and column: table, then the columns of `Schema.to_frame`."""
        parts = {name: schema.to_frame() for name, schema in self.tables.items()}
        return pd.concat(parts, names=["table"]).reset_index(level="table").reset_index(drop=True)


def load_contract(codes_folder: str | Path | None = None) -> Contract:
    """Read the data contract, with a site's own code lists where it has them.

    Parameters
    ----------
    codes_folder : str, Path or None
        Folder of code lists named as those in data_schema/codes/; each replaces the list of its name.

    Returns
    -------
    Contract

    Raises
    ------
    SchemaError
        If a code list of the site cannot be read as one.
    """
    ours, described = _ours()
    if not codes_folder:
        return ours
    return replace(ours, codes={**ours.codes, **_own_lists(Path(codes_folder), described, ours.codes)})


@cache
def _ours() -> tuple[Contract, dict[str, dict[str, str]]]:
    """Read what comes with the package, and how it describes its code lists; once, for these files do not change while it runs."""
    package = json.loads(files("data_schema").joinpath("datapackage.json").read_text(encoding="utf-8"))
    tables = {entry["name"]: load_schema(entry["name"]) for entry in package["resources"] if "schema" in entry}
    lists = {Path(entry["path"]).stem: entry for entry in package["resources"] if "schema" not in entry}
    codes = {name: _code_list(name, entry, files("data_schema").joinpath(entry["path"])) for name, entry in lists.items()}
    return Contract(package["version"], tables, codes), lists


def _own_lists(folder: Path, described: dict[str, dict[str, str]], ours: dict[str, CodeList]) -> dict[str, CodeList]:
    """Read a site's lists, each held to the columns and classes of ours; every problem of every list is told at once."""
    found = {file.stem: file for file in sorted(folder.glob("*.csv"))}
    unknown = [name for name in found if name not in ours]
    problems = (
        [Problem("codes_folder", f"has {len(unknown)} file(s) without the name of a code list", f"choose among {', '.join(ours)}")] if unknown else []
    )
    if not found:
        problems.append(Problem("codes_folder", "holds no code list", "put code lists there as CSV, or take codes_folder out of the site file"))
    lists = {}
    for name in sorted(found.keys() & ours.keys()):
        try:
            lists[name] = _code_list(name, described[name], found[name])
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            problems.append(
                Problem(f"{name}.csv", f"cannot be read ({type(error).__name__})", "save it as CSV, with the columns of the list it replaces")
            )
        else:
            problems += _entry_problems(f"{name}.csv", lists[name].entries, ours[name].entries, ours["tillstand"].entries["kod"])
    if problems:
        raise SchemaError(problems, "the code lists cannot be used as they are")
    return lists


def _code_list(name: str, description: dict[str, str], file: Traversable) -> CodeList:
    text = _text(file)
    lines = text.splitlines()
    comments = dict(line.lstrip(_COMMENT).strip().partition(": ")[::2] for line in lines if line.startswith(_COMMENT))
    header = next((line for line in lines if not line.startswith(_COMMENT)), "")
    separator = ";" if header.count(";") > header.count(",") else ","  # what a spreadsheet with Swedish settings writes
    entries = pd.read_csv(io.StringIO(text), sep=separator, comment=_COMMENT, dtype=str, keep_default_na=False)
    if {"giltig_fran", "giltig_till"} <= set(entries.columns):
        entries = entries.assign(giltig_fran=entries["giltig_fran"].replace("", ALWAYS[0]), giltig_till=entries["giltig_till"].replace("", ALWAYS[1]))
    titles = {"sv": description["title"], "en": description["title@en"]}
    return CodeList(name, titles, comments.get("status", ""), comments.get("källa / source", ""), entries)


def _text(file: Traversable) -> str:
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _entry_problems(name: str, entries: pd.DataFrame, ours: pd.DataFrame, states: pd.Series) -> list[Problem]:
    absent = [column for column in ours.columns if column not in entries.columns]
    if absent:
        return [Problem(name, f"must have the columns {', '.join(ours.columns)}", f"add {', '.join(absent)}; data_schema/codes/{name} shows them")]
    days = entries[["giltig_fran", "giltig_till"]]
    badly = ~days.map(_is_day).all(axis=1).to_numpy()
    ordered = entries.sort_values(["kod", "giltig_fran"], kind="stable")
    before = ordered.groupby("kod")["giltig_till"].shift()
    overlap = (ordered["giltig_fran"] <= before.fillna("")).reindex(entries.index).to_numpy()
    # a class of our list, or, where ours are labour-market states, any state: another word would be counted as nothing at all
    classes = sorted({*ours["klass"], *(states if ours["klass"].isin(states).any() else ())})
    strange = ~entries["klass"].isin([*classes, ""]).to_numpy()
    return Problem.broken(
        [
            (f"{name}: giltig_fran, giltig_till", "must be dates or empty", badly, "write them as YYYY-MM-DD"),
            (f"{name}: giltig_till", "must not lie before giltig_fran", (days["giltig_till"] < days["giltig_fran"]).to_numpy(), "correct the dates"),
            (f"{name}: kod, klass", "must not be empty", (entries[["kod", "klass"]] == "").any(axis=1).to_numpy(), "fill them in"),
            (f"{name}: klass", "must be a class the evaluation knows", strange, f"choose among {', '.join(classes)}"),
            (f"{name}: kod", "must mean one thing on each day", overlap, "end the old meaning before the new one begins"),
        ]
    )


def _is_day(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
