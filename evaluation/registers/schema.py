"""What a table must look like, and what its columns and levels are called.

A Table Schema (Data Package v2) in data_schema/ is at once the check, the message when the check fails and the label in the report, in Swedish and
English: `title` and `title@en`, `categories` with `label` and `label@en`.

References
----------
Data Package standard v2 (2024), Table Schema: https://datapackage.org/standard/table-schema/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import Problem, SchemaError

Kind = Literal["integer", "number", "string", "boolean", "date", "yearmonth"]


@dataclass(frozen=True)
class SpellColumns:
    """Which columns say from when to when a row holds.

    Attributes
    ----------
    start, stop : str
    includes_stop : bool
        Whether the row still holds on the day of `stop`.
    repaired : bool
        Whether the agency never corrects the table, so that cleaning mends overlaps, negative spells and duplicates instead of refusing them.
    """

    start: str
    stop: str
    includes_stop: bool
    repaired: bool


@dataclass(frozen=True, eq=False)
class Field:
    """One column.

    Attributes
    ----------
    name : str
    kind : {"integer", "number", "string", "boolean", "date", "yearmonth"}
    titles, descriptions : dict of str to str
        What to call it and what it holds, by language; descriptions are empty where the title says it all.
    levels : dict of str to dict of str to str
        What to call each value, by value and language; empty where any value may occur.
    required, unique : bool
        Whether every row must have a value, and a value of its own.
    minimum, maximum : float or None
    pattern : str or None
        Regular expression the whole value must match.
    codelist : str or None
        List in data_schema/codes/ in which the value must stand at its date.
    role : str
        What the column is for: person, start, stop, date, month, year, code, key, amount, flag, text and a few of one table each.
    sensitivity : str
        none, pseudonymous, origin, health or social (the last three are sensitive personal data or secret by law).
    source : str
        Register and variable it comes from; empty where the table says it.
    """

    name: str
    kind: Kind
    titles: dict[str, str]
    levels: dict[str, dict[str, str]]
    required: bool
    unique: bool
    minimum: float | None
    maximum: float | None
    descriptions: dict[str, str]
    pattern: str | None
    codelist: str | None
    role: str
    sensitivity: str
    source: str

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Field:
        """Read a field descriptor."""
        constraints = entry.get("constraints", {})
        return cls(
            name=entry["name"],
            kind=entry["type"],
            titles=_translations(entry, "title", entry["name"]),
            levels={str(level["value"]): _translations(level, "label", str(level["value"])) for level in entry.get("categories", [])},
            required=constraints.get("required", False),
            unique=constraints.get("unique", False),
            minimum=constraints.get("minimum"),
            maximum=constraints.get("maximum"),
            descriptions=_translations(entry, "description", ""),
            pattern=constraints.get("pattern"),
            codelist=entry.get("x-codelist"),
            role=entry.get("x-role", ""),
            sensitivity=entry.get("x-sensitivity", ""),
            source=entry.get("x-source", ""),
        )

    def problems(self, column: pd.Series) -> Iterator[Problem]:
        """Give every rule the column breaks."""
        absent = column.isna().to_numpy()
        if self.required and absent.any():
            yield Problem.in_rows(self.name, "must not be missing", absent, "deliver the missing values")
        if self.unique:
            yield from _broken(self.name, "must be unique", column.duplicated().to_numpy() & ~absent, "keep one row of each")
        if self.kind == "boolean":
            yield from _broken(
                self.name, "must be true or false", ~column.isin([True, False]).to_numpy() & ~absent, "correct the values that are neither"
            )
        if self.kind in ("integer", "number"):
            values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            yield from _broken(self.name, "must be a number", np.isnan(values) & ~absent, "correct the values that are text")
            if self.kind == "integer":
                yield from _broken(self.name, "must be a whole number", ~np.isnan(values) & (values != np.round(values)), "correct the decimals")
            if self.minimum is not None:
                yield from _broken(self.name, f"must be at least {self.minimum:g}", values < self.minimum, "correct it, or widen the schema")
            if self.maximum is not None:
                yield from _broken(self.name, f"must be at most {self.maximum:g}", values > self.maximum, "correct it, or widen the schema")
        if self.levels:
            known = column.astype("object").map(_text, na_action="ignore").isin(list(self.levels)).to_numpy()
            yield from _broken(self.name, f"must be one of {', '.join(self.levels)}", ~known & ~absent, "correct it, or add the level to the schema")


@dataclass(frozen=True, eq=False)
class Schema:
    """One table.

    Attributes
    ----------
    name : str
    fields : tuple of Field
    titles, descriptions : dict of str to str
        By language.
    agency : str
        Who delivers it; empty for a table that is no register.
    required : bool
        Whether an evaluation can be made without it.
    key : tuple of str
        Columns that together occur once.
    spell : SpellColumns or None
    dated_by : str or None
        Column whose date decides what a row's codes mean; None where the meanings have not changed or rows have no date.
    of_persons : bool
        Whether every `lopnr` must stand in `individ`.
    """

    name: str
    fields: tuple[Field, ...]
    titles: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    agency: str = ""
    required: bool = False
    key: tuple[str, ...] = ()
    spell: SpellColumns | None = None
    dated_by: str | None = None
    of_persons: bool = False

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {entry.name: entry for entry in self.fields}

    def title(self, column: str, language: str) -> str:
        """Give what to call a column; its own name where the schema is silent."""
        entry = self._by_name.get(column)
        return entry.titles[language] if entry else column

    def level(self, column: str, value: object, language: str) -> str:
        """Give what to call a value of a column; the value itself where the schema is silent."""
        entry = self._by_name.get(column)
        labels = entry.levels.get(_text(value)) if entry else None
        return labels[language] if labels else _text(value)

    def check(self, frame: pd.DataFrame, columns: Sequence[str]) -> None:
        """Hold the named columns of a table against the schema.

        Raises
        ------
        SchemaError
            With every problem at once, no value of a person among them.
        """
        problems = []
        for name in dict.fromkeys(columns):
            if name not in frame.columns:
                problems.append(Problem.absent(name, frame.columns))
            elif name in self._by_name:
                problems += self._by_name[name].problems(frame[name])
        if problems:
            raise SchemaError(
                problems, f"the table is not as data_schema/{self.name}.json says" if self.fields else "the table cannot be used as it is"
            )


def load_schema(name: str) -> Schema:
    """Read a Table Schema of data_schema/ by its name.

    Parameters
    ----------
    name : str
        File name without `.json`.

    Returns
    -------
    Schema

    Raises
    ------
    SchemaError
        If there is none of that name.
    """
    file = files("data_schema").joinpath(f"{name}.json")
    if not file.is_file():
        known = ", ".join(sorted(entry.name.removesuffix(".json") for entry in files("data_schema").iterdir() if entry.name.endswith(".json")))
        raise SchemaError([Problem(name, "is not a schema in data_schema/", f"choose among {known}")])
    descriptor = json.loads(file.read_text(encoding="utf-8"))
    return Schema(
        name,
        tuple(Field.from_json(entry) for entry in descriptor["fields"]),
        titles=_translations(descriptor, "title", name),
        descriptions=_translations(descriptor, "description", ""),
        agency=descriptor.get("x-agency", ""),
        required=descriptor.get("x-required", False),
        key=tuple(descriptor.get("primaryKey", ())),
        spell=SpellColumns(**descriptor["x-spell"]) if "x-spell" in descriptor else None,
        dated_by=descriptor.get("x-dated-by"),
        of_persons="foreignKeys" in descriptor,
    )


def _translations(entry: dict[str, Any], key: str, otherwise: str) -> dict[str, str]:
    swedish = entry.get(key, otherwise)
    return {"sv": swedish, "en": entry.get(f"{key}@en", swedish)}


def _broken(name: str, rule: str, rows: NDArray[np.bool_], remedy: str) -> Iterator[Problem]:
    if rows.any():
        yield Problem.in_rows(name, rule, rows, remedy)


def _text(value: object) -> str:
    """Write 1.0 and True as a category list does."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
