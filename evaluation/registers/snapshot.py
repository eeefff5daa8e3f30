"""How do cleaned registers get to another process, unchanged?

The database stands in memory and belongs to the process that opened it. A snapshot is that database as a file, with what Python knows of it beside
it; who opens it has a copy in memory of their own, so that nothing done there is seen by anybody else. It holds every record: it belongs inside the
data area, and is removed by who wrote it.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import cast

import duckdb

from evaluation.registers.checks import identifier, literal
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.store import open_store, scalar

_KEPT = ("memory_limit", "temp_directory")  # what the site allows holds for the copy too


def write_snapshot(clean: CleanRegisters, file: Path) -> None:
    """Write cleaned registers, and whatever stands in their database, to a file.

    Parameters
    ----------
    clean : CleanRegisters
    file : Path
        Replaced if it exists; what Python knows lies beside it, with the suffix `.pickle`.
    """
    connection = clean.registers.connection
    file.unlink(missing_ok=True)
    here = str(scalar(connection, "select current_database()"))
    connection.execute(f"attach {literal(str(file))} as snapshot")
    try:
        connection.execute(f"copy from database {identifier(here)} to snapshot")
    finally:
        connection.execute("detach snapshot")
    settings = {name: str(scalar(connection, f"select current_setting('{name}')")) for name in _KEPT}
    described = replace(clean, registers=replace(clean.registers, connection=cast(duckdb.DuckDBPyConnection, None)))
    file.with_suffix(".pickle").write_bytes(pickle.dumps((described, settings)))


def open_snapshot(file: Path, *, threads: int | None = None) -> CleanRegisters:
    """Open a copy of the registers a snapshot holds.

    Parameters
    ----------
    file : Path
        What `write_snapshot` wrote: only ever one's own, for reading it runs what it says.
    threads : int or None

    Returns
    -------
    CleanRegisters
        In a database of its own.
    """
    described, settings = pickle.loads(file.with_suffix(".pickle").read_bytes())
    connection = open_store(threads=threads)
    for name, value in settings.items():
        connection.execute(f"set {name} = {literal(value)}")
    here = str(scalar(connection, "select current_database()"))
    connection.execute(f"attach {literal(str(file))} as snapshot (read_only)")
    connection.execute(f"copy from database snapshot to {identifier(here)}")
    connection.execute("detach snapshot")
    found: CleanRegisters = replace(described, registers=replace(described.registers, connection=connection))
    return found


def fingerprint(clean: CleanRegisters) -> str:
    """Give a checksum of every record delivered, whatever the order of the rows; the same records and the same cleaning give the same one."""
    digest = hashlib.sha256(repr(clean.spec).encode())
    for name in clean.registers.names:
        query = f"select count(*), coalesce(bit_xor(hash(entry)), 0) from register.{identifier(name)} as entry"
        digest.update(f"{name}{clean.registers.connection.execute(query).fetchall()}".encode())
    return digest.hexdigest()
