"""What must be delivered: the tables, their columns, and what every code meant on its day.

The contract is a Data Package (version 2) in data_schema/: `datapackage.json`, one Table Schema per table, and code lists with validity dates. A code
is looked up at its date, because agencies use codes again for other things. A site may put its own code lists in the place of ours.

References
----------
Data Package standard v2 (2024): https://datapackage.org/standard/data-package/
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
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
    package = json.loads(files("data_schema").joinpath("datapackage.json").read_text(encoding="utf-8"))
    tables = {entry["name"]: load_schema(entry["name"]) for entry in package["resources"] if "schema" in entry}
    lists = {Path(entry["path"]).stem: entry for entry in package["resources"] if "schema" not in entry}
    own = _own_lists(codes_folder, lists) if codes_folder else {}
    problems: list[Problem] = []
    codes = {}
    for name, entry in lists.items():
        file: Traversable = own.get(name, files("data_schema").joinpath(entry["path"]))
        entries, found = _read_entries(file)
        problems += found
        codes[name] = CodeList(
            name, {"sv": entry["title"], "en": entry["title@en"]}, _header(file, "status"), _header(file, "källa / source"), entries
        )
    if problems:
        raise SchemaError(problems, "the code lists cannot be used as they are")
    return Contract(package["version"], tables, codes)


def _own_lists(folder: str | Path, known: dict[str, dict[str, str]]) -> dict[str, Path]:
    found = {file.stem: file for file in sorted(Path(folder).glob("*.csv"))}
    problems = [Problem(f"{name}.csv", "is not the name of a code list", f"choose among {', '.join(known)}") for name in found if name not in known]
    if not found:
        problems.append(Problem(str(folder), "holds no code list", "put code lists there as CSV, or take codes_folder out of the site file"))
    if problems:
        raise SchemaError(problems, "the code lists cannot be used as they are")
    return found


def _read_entries(file: Traversable) -> tuple[pd.DataFrame, list[Problem]]:
    try:
        with file.open("r", encoding="utf-8-sig") as stream:
            entries = pd.read_csv(stream, comment=_COMMENT, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        return pd.DataFrame(columns=list(CODE_COLUMNS)), [
            Problem(file.name, f"cannot be read ({type(error).__name__})", "save it as CSV in UTF-8 with commas")
        ]
    problems = [Problem.absent(name, entries.columns, f"the code list {file.name}") for name in CODE_COLUMNS if name not in entries.columns]
    if not problems:
        entries = entries.assign(
            giltig_fran=entries["giltig_fran"].replace("", ALWAYS[0]),
            giltig_till=entries["giltig_till"].replace("", ALWAYS[1]),
        )
        problems = list(_entry_problems(file.name, entries))
    return entries, problems


def _entry_problems(name: str, entries: pd.DataFrame) -> Iterator[Problem]:
    days = entries[["giltig_fran", "giltig_till"]]
    badly = ~days.map(_is_day).all(axis=1).to_numpy()
    yield from Problem.broken(
        [
            (f"{name}: giltig_fran, giltig_till", "must be dates or empty", badly, "write them as YYYY-MM-DD"),
            (f"{name}: giltig_till", "must not lie before giltig_fran", (days["giltig_till"] < days["giltig_fran"]).to_numpy(), "correct the dates"),
            (f"{name}: kod, klass", "must not be empty", (entries[["kod", "klass"]] == "").any(axis=1).to_numpy(), "fill them in"),
        ]
    )
    ordered = entries.sort_values(["kod", "giltig_fran"], kind="stable")
    before = ordered.groupby("kod")["giltig_till"].shift()
    overlap = (ordered["giltig_fran"] <= before.fillna("")).reindex(entries.index).to_numpy()
    yield from Problem.broken([(f"{name}: kod", "must mean one thing on each day", overlap, "end the old meaning before the new one begins")])


def _is_day(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _header(file: Traversable, key: str) -> str:
    with file.open("r", encoding="utf-8-sig") as stream:
        for line in stream:
            label, _, rest = line.lstrip(_COMMENT).strip().partition(": ")
            if line.startswith(_COMMENT) and label == key:
                return rest
            if not line.startswith(_COMMENT):
                break
    return ""
