"""How does one table get into the database as it is: from a file, a relation, a query or a data frame?

Text stays text and rows keep their order; only names and codes become ours, as the site says.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd

from evaluation.registers.checks import identifier, land_frame, literal, stored_types, text_sql, trimmed_sql
from evaluation.registers.files import CHUNK, KINDS, TEXT, Refused, find_dialect, frames, is_ended, text_frames
from evaluation.registers.findings import Finding
from evaluation.registers.schema import Schema
from evaluation.registers.site import Encoding, Separator, Site

if TYPE_CHECKING:
    import sqlalchemy

_SEPARATOR_NAMES: dict[Separator, str] = {",": "','", ";": "';'", "\t": "TAB", "|": "'|'"}
_ENCODING_NAMES: dict[Encoding, str] = {"cp1252": "Windows-1252 (Latin-1)", "latin-1": "Latin-1", "utf-16": "UTF-16"}
_NATIVE: dict[Encoding, str] = {"utf-8": "utf-8", "cp1252": "latin-1", "latin-1": "latin-1"}  # DuckDB refuses what only Windows' encoding has


@dataclass(frozen=True, eq=False)
class Landing:
    """Where one table is put, and what its columns and codes are called there."""

    connection: duckdb.DuckDBPyConnection
    schema: Schema
    site: Site

    def names(self, header: Iterable[object]) -> tuple[list[str | None], list[Finding]]:
        """Give our name of each delivered column, None for a second of the same name."""
        ours = {entry.name.casefold(): entry.name for entry in self.schema.fields}
        ours |= {theirs.casefold(): name for theirs, name in self.site.columns.get(self.schema.name, {}).items()}
        names: list[str | None] = []
        found = []
        there: list[str] = []
        taken: set[str] = set()
        for position, theirs in enumerate(header, start=1):
            plain = str(theirs).strip()
            there.append(plain)
            name = ours.get(plain.casefold(), plain) or f"column {position}"
            if name in ours.values() and name in taken:
                found.append(Finding(self.schema.name, name, "column_twice"))
                names.append(None)
                continue
            names.append(name if name.casefold() not in taken else f"{name} ({position})")  # the database tells no capitals
            taken.add(name.casefold())
        return names, [*found, *self._unmatched(there, any(name in ours.values() for name in names))]

    def _unmatched(self, there: Sequence[str], has_header: bool) -> Iterator[Finding]:
        """Find the columns that the site renames and the file does not have; without a header row there are people where the names should be."""
        known = {name.casefold(): name for name in there} if has_header else {}
        folded = {name.casefold() for name in there}
        for theirs in self.site.columns.get(self.schema.name, {}):
            if theirs.casefold() not in folded:
                near = [known[name] for name in difflib.get_close_matches(theirs.casefold(), known, n=1, cutoff=0)]
                yield Finding(self.schema.name, theirs, "column_unmatched", {"near": near[0] if near else "-"})

    def put(self, relation: str, names: Sequence[str | None]) -> None:
        """Add the rows of a relation, its columns in the order of `names`."""
        target = f"delivered.{identifier(self.schema.name)}"
        columns = zip(names, stored_types(self.connection, relation).items(), strict=True)
        items = ", ".join(f"{self._coded(name, *column)} as {identifier(name)}" for name, column in columns if name is not None)
        there = self.connection.execute("select 1 from duckdb_tables() where schema_name = 'delivered' and table_name = ?", [self.schema.name])
        self.connection.execute(f"{f'insert into {target}' if there.fetchall() else f'create table {target} as'} select {items} from {relation}")

    def clear(self) -> None:
        """Take away what was put before a reader failed."""
        self.connection.execute(f"drop table if exists delivered.{identifier(self.schema.name)}")

    def _coded(self, name: str, column: str, stored: str) -> str:
        codes = self.site.codes.get(f"{self.schema.name}.{name}")
        plain = trimmed_sql(identifier(column), stored)
        if not codes:
            return plain
        written = text_sql(plain, stored if plain == identifier(column) else "VARCHAR")
        return f"case {written} {' '.join(f'when {literal(theirs)} then {literal(ours)}' for theirs, ours in codes.items())} else {written} end"


def land_file(landing: Landing, file: Path) -> list[Finding]:
    """Put the rows of a delivered file, and give what is wrong with it."""
    kind = file.suffix.lower()
    if not file.is_file():
        raise Refused("file_missing", {"file": file.name})
    if kind in TEXT:
        return _land_text(landing, file)
    if kind == ".parquet":
        return land_relation(landing, f"read_parquet({literal(str(file))}, binary_as_string = true, hive_partitioning = false)")
    if kind not in KINDS:
        raise Refused("file_unreadable", {"reason": kind or "-"})
    return _land_frames(landing, frames(file, landing.schema.name))


def _land_text(landing: Landing, file: Path) -> list[Finding]:
    site, table = landing.site, landing.schema.name
    dialect = find_dialect(file, site.encoding, site.separator)
    names, found = landing.names(dialect.header)
    if dialect.encoding != (site.encoding or "utf-8"):
        found.append(Finding(table, "", "encoding", {"encoding": _ENCODING_NAMES[dialect.encoding]}))
    if dialect.separator != (site.separator or ","):
        found.append(Finding(table, "", "separator", {"separator": _SEPARATOR_NAMES[dialect.separator]}))
    if not is_ended(file):
        found.append(Finding(table, "", "file_unended"))
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(names)))
    relation = f"""read_csv({literal(str(file))}, auto_detect = false, header = true, columns = {{{columns}}}, delim = {literal(dialect.separator)},
        quote = '"', escape = '"', encoding = '{_NATIVE.get(dialect.encoding)}', strict_mode = true, null_padding = false)"""
    if dialect.encoding in _NATIVE:
        with contextlib.suppress(duckdb.Error):
            landing.put(relation, names)
            return found
    # slower, but it reads every encoding, and knows the number of each row that is wrong
    _land_frames(landing, text_frames(file, dialect), names)
    return found


def land_relation(landing: Landing, relation: str) -> list[Finding]:
    """Put the rows of whatever the database itself can select from."""
    names, found = landing.names(stored_types(landing.connection, relation))
    landing.put(relation, names)
    return found


def land_memory(landing: Landing, frame: pd.DataFrame) -> list[Finding]:
    """Put the rows of a data frame."""
    names, found = landing.names(frame.columns)
    land_frame(landing.connection, "given", frame)
    landing.put("given", names)
    landing.connection.unregister("given")
    return found


def land_query(landing: Landing, database: sqlalchemy.Connection, schema: str | None, table: str) -> list[Finding]:
    """Put the rows of a table of another database, some at a time."""
    import sqlalchemy

    query = sqlalchemy.select(sqlalchemy.text("*")).select_from(sqlalchemy.table(table, schema=schema))

    def parts() -> Iterator[pd.DataFrame]:
        with database.execution_options(yield_per=CHUNK).execute(query) as result:
            header = list(result.keys())
            yield pd.DataFrame(columns=header, dtype=object)
            for rows in result.partitions():
                yield pd.DataFrame([tuple(row) for row in rows], columns=header)

    return _land_frames(landing, parts())


def _land_frames(landing: Landing, parts: Iterable[pd.DataFrame], names: Sequence[str | None] | None = None) -> list[Finding]:
    """Put data frames one after the other, all as text: the type a column happens to have may differ between parts."""
    found: list[Finding] = []
    for part in parts:
        if names is None:
            names, found = landing.names(part.columns)
        land_frame(landing.connection, "part", part)
        written = ", ".join(f"{text_sql(column, stored)} as {column}" for column, stored in stored_types(landing.connection, "part").items())
        landing.put(f"(select {written} from part)", names)
        landing.connection.unregister("part")
    return found
