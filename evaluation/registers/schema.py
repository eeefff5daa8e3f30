"""What a table must look like, and what its columns and levels are called.

A Table Schema (Data Package v2) in data_schema/ is at once the check, the message when the check fails and the label in the report, in Swedish and
English: `title` and `title@en`, `categories` with `label` and `label@en`.

References
----------
Data Package standard v2 (2024), Table Schema: https://datapackage.org/standard/table-schema/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from typing import Any

import duckdb
import pandas as pd

from evaluation.errors import Problem, SchemaError
from evaluation.registers.checks import (
    ROW,
    Check,
    find_repeated,
    identifier,
    known_check,
    land_frame,
    literal,
    run_checks,
    stored_types,
    text,
    text_sql,
    trimmed_sql,
)
from evaluation.registers.findings import Finding
from evaluation.registers.reading import FAR, TYPES, Kind, Notation, text_of, unread_checks, value_sql

_NO_SCHEMAS = {"datapackage", "rules"}  # what else lies in data_schema/: the list of the tables, and the rules


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
        Register it comes from, with the variable where it has another name there.
    """

    name: str
    kind: Kind
    titles: dict[str, str]
    descriptions: dict[str, str]
    levels: dict[str, dict[str, str]]
    required: bool
    unique: bool
    minimum: float | None
    maximum: float | None
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
            descriptions=_translations(entry, "description", ""),
            levels={str(level["value"]): _translations(level, "label", str(level["value"])) for level in entry.get("categories", [])},
            required=constraints.get("required", False),
            unique=constraints.get("unique", False),
            minimum=constraints.get("minimum"),
            maximum=constraints.get("maximum"),
            pattern=constraints.get("pattern"),
            codelist=entry.get("x-codelist"),
            role=entry.get("x-role", ""),
            sensitivity=entry.get("x-sensitivity", ""),
            source=entry.get("x-source", ""),
        )

    def reading(self, stored: str | None, notation: Notation) -> str:
        """Give the SQL that reads the column as it was delivered.

        Parameters
        ----------
        stored : str or None
            The database's own type of the delivered column; None where it was not delivered.
        notation : Notation

        Returns
        -------
        str
            Items of a select clause on a table called `given`: the text as `text_of(name)`, and under the column's own name its value, which is null
            where the text cannot be read.
        """
        if stored is None:
            return f"cast(null as {TYPES[self.kind]}) as {identifier(self.name)}"
        written = text_sql(f"given.{identifier(self.name)}", stored)
        return f"{written} as {text_of(self.name)}, {value_sql(self.name, self.kind, stored, notation)} as {identifier(self.name)}"

    def checks(self, stored: str, notation: Notation) -> list[Check]:
        """Give every rule of the column as a condition on what `reading` selects; that it is unique is not one of them, for it is not a row's own."""
        value, written = identifier(self.name), text_of(self.name)
        found = [Check(self.name, "missing", f"{written} is null")] if self.required else []
        found += unread_checks(self.name, self.kind, stored, notation)
        if self.minimum is not None:
            found.append(Check(self.name, "below", f"{value} < {self.minimum}", {"minimum": f"{self.minimum:g}"}))
        if self.maximum is not None:
            found.append(Check(self.name, "above", f"{value} > {self.maximum}", {"maximum": f"{self.maximum:g}"}))
        if self.pattern is not None:
            found.append(Check(self.name, "pattern", f"not regexp_full_match({written}, {literal(self.pattern)})", {"pattern": self.pattern}))
        if self.levels:
            level = f"coalesce(cast({value} as varchar), {written})" if self.kind == "integer" else written
            found.append(known_check(self.name, level, ", ".join(map(literal, self.levels)), "level", {"levels": ", ".join(self.levels)}))
        if self.kind in ("date", "yearmonth"):
            found.append(Check(self.name, "date_far", f"{value} >= {FAR}"))
        return found


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

    def to_frame(self) -> pd.DataFrame:
        """Give one row per column of the table: column, kind, required, unique, minimum, maximum, codelist, role, sensitivity, source."""
        told = ("kind", "required", "unique", "minimum", "maximum", "codelist", "role", "sensitivity", "source")
        rows = [(entry.name, *(getattr(entry, name) for name in told)) for entry in self.fields]
        return pd.DataFrame(rows, columns=["column", *told]).astype({"minimum": "float64", "maximum": "float64"})

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
        labels = entry.levels.get(text(value)) if entry else None
        return labels[language] if labels else text(value)

    def relation(self, source: str, stored: Mapping[str, str], notation: Notation) -> str:
        """Give the SQL of a delivered table read by the schema: its rows numbered, its columns as `Field.reading` says, others as their text.

        Parameters
        ----------
        source : str
            Table in the database.
        stored : dict of str to str
            The database's own type of each delivered column.
        notation : Notation
        """
        read = [entry.reading(stored.get(entry.name), notation) for entry in self.fields]
        others = [f"{text_sql(f'given.{identifier(name)}', kind)} as {text_of(name)}" for name, kind in stored.items() if name not in self._by_name]
        return f"(select {', '.join([f'rowid + 1 as {ROW}', *read, *others])} from {source} given)"

    def check(self, frame: pd.DataFrame, columns: Sequence[str]) -> None:
        """Hold the named columns of a table against the schema.

        Raises
        ------
        SchemaError
            With every problem at once, no value of a person among them.
        """
        names = list(dict.fromkeys(columns))
        broken = self._broken(frame, [name for name in names if name in frame.columns and name in self._by_name])
        problems: list[Problem] = []
        for name in names:
            if name not in frame.columns:
                problems.append(Problem.absent(name, frame.columns))
            problems += [replace(finding.to_problem(), where=name) for finding in broken if finding.column == name]
        if problems:
            raise SchemaError(
                problems, f"the table is not as data_schema/{self.name}.json says" if self.fields else "the table cannot be used as it is"
            )

    def _broken(self, frame: pd.DataFrame, names: Sequence[str]) -> list[Finding]:
        if not names:
            return []
        held = replace(self, fields=tuple(self._by_name[name] for name in names))
        with duckdb.connect() as connection:
            land_frame(connection, "frame", frame.loc[:, ~frame.columns.duplicated()][names])
            kinds = stored_types(connection, "frame").values()
            items = ", ".join(
                f"{trimmed_sql(f'c{place}', kind)} as {identifier(name)}" for place, (name, kind) in enumerate(zip(names, kinds, strict=True))
            )
            connection.execute(f"create table delivered as select {items} from frame")
            stored = stored_types(connection, "delivered")
            relation = held.relation("delivered", stored, Notation())
            found = run_checks(
                connection, relation, self.name, [check for entry in held.fields for check in entry.checks(stored[entry.name], Notation())]
            )
            for entry in held.fields:
                if entry.unique:
                    found += find_repeated(connection, relation, self.name, "repeated", [entry.name])
        return found


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
    files_by_name = {entry.name.removesuffix(".json"): entry for entry in files("data_schema").iterdir() if entry.name.endswith(".json")}
    known = sorted(files_by_name.keys() - _NO_SCHEMAS)
    if name not in known:
        raise SchemaError([Problem(name, "is not a schema in data_schema/", f"choose among {', '.join(known)}")])
    descriptor = json.loads(files_by_name[name].read_text(encoding="utf-8"))
    return Schema(
        name,
        tuple(Field.from_json({"x-source": descriptor.get("x-source", "")} | entry) for entry in descriptor["fields"]),
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
