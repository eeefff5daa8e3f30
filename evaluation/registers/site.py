"""Where does this site keep its registers, and what does it call their tables, columns and codes?

A site file (TOML) says it once, so that nothing need be renamed by hand: the delivery stays as the agency sent it. An unknown key is an error that
names the nearest valid one, and all problems of a file are told at once.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from evaluation.errors import InputError, Problem
from evaluation.registers.contract import Contract
from evaluation.registers.identity import masked
from evaluation.registers.reading import ISO_DATE, Notation
from evaluation.registers.schema import Field as Column

Separator = Literal[",", ";", "\t", "|"]
Encoding = Literal["utf-8", "cp1252", "latin-1", "utf-16"]
_FILE_ADDRESSES = ("sqlite:///", "duckdb:///")  # databases that are files, so that their address holds a path
_CORRECT = "correct it; reports/site.example.toml shows the form"
_BACKSLASH = re.compile(r'"[^"\n]*\\[^\\"bfnrt]')  # not one of those that TOML reads as a sign of another kind
_BACKSLASHES = "write a path with a backslash in single quotes, or with / instead; reports/site.example.toml shows the form"
_PROBE = dt.date(2001, 12, 31)  # day, month and year differ, so that a format that loses one of them cannot give it back


class Site(BaseModel):
    """How one site's delivery differs from the contract; left out, in nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str | None = Field(default=None, description="the delivery's folder, or the address of a database")
    tables: dict[str, str] = Field(default={}, description="table of the contract = file in the delivery's folder, or table in the database")
    columns: dict[str, dict[str, str]] = Field(default={}, description="by table of the contract: their column = ours")
    codes: dict[str, dict[str, str]] = Field(default={}, description="by 'table.column' of the contract: their code = ours")
    codes_folder: Path | None = Field(default=None, description="the site's own code lists, each in the place of ours of its name")
    date_format: str = Field(default=ISO_DATE, description="how dates are written, as strptime says it")
    decimal: Literal[".", ","] = "."
    separator: Separator | None = Field(default=None, description="between the fields of a CSV; left out, it is found")
    encoding: Encoding | None = Field(default=None, description="of a CSV; left out, it is found")
    municipalities: tuple[str, ...] = Field(
        default=("1280",), description="codes of where people should live; others are warned of. A plan's come first"
    )
    project_began: dt.date = Field(default=dt.date(2018, 3, 1), description="nobody can have started before. A plan's comes first")
    memory_mb: int | None = Field(default=None, ge=100, description="most memory the tables may take; beyond it they spill to temp_folder")
    threads: int | None = Field(default=None, ge=1)
    temp_folder: Path | None = Field(default=None, description="where to spill: a disk that may hold the data")
    release: dict[str, float] = Field(
        default={}, description="rules by which numbers leave, such as threshold and base; the plan's threshold may be higher"
    )

    @field_validator("date_format")
    @classmethod
    def _gives_a_date_back(cls, value: str) -> str:
        try:
            whole = dt.datetime.strptime(_PROBE.strftime(value), value).date() == _PROBE
        except ValueError:
            whole = False
        if not whole:
            raise ValueError('must write year, month and day, such as "%d/%m/%Y"')
        return value

    @field_validator("data", "codes_folder", "temp_folder")
    @classmethod
    def _is_path(cls, value: str | Path | None) -> str | Path | None:
        if not str(value).isprintable():
            raise ValueError("must not hold a tab or line break, as a path with a backslash does if it is not in single quotes")
        return value

    @property
    def notation(self) -> Notation:
        """How this site writes dates and numbers."""
        return Notation(self.date_format, self.decimal)

    def hold_against(self, contract: Contract) -> None:
        """Stop if the site renames something to what the contract does not have.

        Raises
        ------
        InputError
            With every unknown table, column and code, and the nearest known one.
        """
        problems = list(self._unknown(contract))
        if problems:
            raise InputError(problems, "the site file does not fit data_schema/")

    def _unknown(self, contract: Contract) -> Iterator[Problem]:
        asked = [("tables", name, "") for name in self.tables]
        asked += [("columns", name, ours) for name, renamed in self.columns.items() for ours in renamed.values()]
        asked += [("codes", *name.partition(".")[::2]) for name in self.codes]
        for key, name, column in asked:
            if name not in contract.tables:
                yield _unknown(f"{key}.{name}", "a table of the contract", name, contract.tables)
            elif column or key == "codes":
                known = [entry.name for entry in contract.tables[name].fields]
                if column not in known:
                    yield _unknown(f"{key}.{name}.{column}", f"a column of {name}", column, known)
                elif key == "codes":
                    yield from self._unknown_codes(
                        f"{name}.{column}", _codes(contract, next(entry for entry in contract.tables[name].fields if entry.name == column))
                    )

    def _unknown_codes(self, name: str, known: Collection[str]) -> Iterator[Problem]:
        for theirs, ours in self.codes[name].items():
            if known and ours not in known:
                yield _unknown(f"codes.{name}.{theirs}", "translated to a level or code of the column", ours, known)


def load_site(path: str | Path) -> Site:
    """Read a site file.

    Parameters
    ----------
    path : str or Path
        TOML with the fields of `Site` as keys; paths in it are relative to it, files under `tables` to the folder `data`.

    Returns
    -------
    Site

    Raises
    ------
    InputError
        If the file is absent, not UTF-8 or not TOML, or with every key that is unknown or wrong; unknown ones with the nearest valid key.
    """
    file, where = Path(path), masked(str(path))
    try:
        text = file.read_text(encoding="utf-8-sig")  # an editor may put a mark first
        values = tomllib.loads(text)
    except OSError:
        raise InputError([Problem(where, "cannot be opened", "give the path of the site file")]) from None
    except UnicodeDecodeError:
        raise InputError([Problem(where, "is not written in UTF-8", "save it as UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        remedy = _BACKSLASHES if _BACKSLASH.search(text) else _CORRECT
        raise InputError([Problem(where, f"is not valid TOML: {masked(str(error))}", remedy)]) from None
    try:
        site = Site.model_validate(values)
    except ValidationError as error:
        told = [_problem(entry["loc"], entry["type"], entry["msg"]) for entry in error.errors(include_input=False, include_url=False)]
        raise InputError(told, f"{where} cannot be used") from None
    folders = {key: file.parent / folder for key in ("codes_folder", "temp_folder") if (folder := getattr(site, key))}
    return site.model_copy(update={**folders, "data": _beside(file.parent, site.data)})


def _beside(folder: Path, data: str | None) -> str | None:
    if data is None:
        return None
    address = next((kind for kind in _FILE_ADDRESSES if data.startswith(kind)), "")
    return data if "://" in data and not address else f"{address}{folder / data.removeprefix(address)}"


def _problem(location: tuple[str | int, ...], kind: str, message: str) -> Problem:
    where = ".".join(map(str, location))
    if kind == "extra_forbidden":
        return _unknown(where, "a key of the site file", where, Site.model_fields)
    if location[0] == "codes" and len(location) > 2 and kind == "string_type":  # a table within a table, which has the codes one floor further down
        key = masked(".".join(map(str, location[1:])))
        return Problem(f"codes.{key}", "must have its name in quotes", f'write codes."{key}"')
    rule = message.removeprefix("Value error, ")
    return Problem(masked(where), rule[:1].lower() + rule[1:], _CORRECT)


def _unknown(where: str, what: str, name: str, known: Iterable[str]) -> Problem:
    return Problem.unknown(masked(where), f"is not {what}", name, known)


def _codes(contract: Contract, column: Column) -> list[str]:
    """Give what may stand in a column; nothing where anything may."""
    listed = contract.codes.get(column.codelist or "")
    return ["true", "false", "1", "0"] if column.kind == "boolean" else [*column.levels, *(dict.fromkeys(listed.entries["kod"]) if listed else ())]
