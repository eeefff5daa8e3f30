"""Where the registers stand while one works: typed tables in a database that keeps to its memory.

References
----------
DuckDB, larger-than-memory processing: https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads
"""

from __future__ import annotations

import datetime as dt
import tempfile
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import cast

import duckdb
import pandas as pd

from evaluation.errors import InputError, Problem
from evaluation.registers.contract import Contract


@dataclass(frozen=True, eq=False)
class Registers:
    """Register tables that keep the contract.

    Attributes
    ----------
    connection : DuckDBPyConnection
        Holds each table as `register.<name>` with the columns of its schema (dates as DATE, months as the DATE of their first day, a column that
        was not delivered as nulls) in the order delivered, and each code list as `codes.<name>`.
    contract : Contract
    names : tuple of str
        The tables delivered, in the contract's order.
    """

    connection: duckdb.DuckDBPyConnection
    contract: Contract
    names: tuple[str, ...]

    def __repr__(self) -> str:
        """Say what is there, not the contract it keeps."""
        origin = "synthetic" if self.synthetic else "delivered"
        return f"Registers({len(self.names)} tables, {sum(self.rows.values()):,} rows, {origin}, complete until {self.complete_until})"

    def to_frame(self) -> pd.DataFrame:
        """Give one row per table delivered: table, rows; what is in one of them, `frame` gives."""
        return pd.DataFrame({"table": list(self.rows), "rows": list(self.rows.values())})

    def frame(self, table: str) -> pd.DataFrame:
        """Give a table as a data frame.

        Raises
        ------
        InputError
            If the table was not delivered.
        """
        if table not in self.names:
            raise InputError([Problem.unknown("table", "is not among those delivered", table, self.names)])
        frame: pd.DataFrame = self.connection.execute(f'from register."{table}"').df()
        return frame

    @cached_property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: cast(int, scalar(self.connection, f'select count(*) from register."{name}"')) for name in self.names}

    @cached_property
    def synthetic(self) -> bool:
        """Whether any of the records are invented."""
        return bool(scalar(self.connection, "select coalesce(bool_or(syntetisk), false) from register.leverans"))

    @cached_property
    def complete_until(self) -> dt.date:
        """The last day whose records are complete at every agency: follow-up ends there."""
        return dt.date.fromisoformat(str(scalar(self.connection, "select cast(last_day(min(komplett_t_o_m)) as varchar) from register.leverans")))


def open_store(*, memory_mb: int | None = None, threads: int | None = None, temp_folder: str | Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open an empty database in memory that spills to disk beyond its limit.

    Parameters
    ----------
    memory_mb : int or None
        Most memory the tables may take; None for DuckDB's own choice (80 % of the machine).
    threads : int or None
    temp_folder : str, Path or None
        Where to spill, inside the data area where the data are secret; the system's place for temporary files if None. What is spilled is removed
        when the connection closes.

    Returns
    -------
    DuckDBPyConnection
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(temp_folder or tempfile.gettempdir()),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,  # nothing is fetched where the data are secret
    }
    if memory_mb:
        settings["memory_limit"] = f"{memory_mb}MB"
    if threads:
        settings["threads"] = threads
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("set enable_progress_bar = false")  # how far the work has come is told by who asked for it
    return connection


def new_schema(connection: duckdb.DuckDBPyConnection, purpose: str) -> str:
    """Make a database schema of its own for a piece of work, and give its name."""
    taken = {name for (name,) in connection.execute("select schema_name from duckdb_schemas()").fetchall()}
    schema = next(name for name in (f"{purpose}_{number}" for number in count(1)) if name not in taken)
    connection.execute(f"create schema {schema}")
    return schema


def scalar(connection: duckdb.DuckDBPyConnection, query: str) -> object:
    """Give the one value a query returns."""
    # fetched to the end: a result that is left half read keeps the connection from other work
    rows = connection.execute(query).fetchall()
    return rows[0][0] if rows else None
