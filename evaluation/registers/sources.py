"""Where do tables come from, read without guessing?

A flat table comes from one file. A delivery comes from a folder, from tables in memory or from a database, and is put into DuckDB as it is: text
stays text, rows keep their order, and whatever is wrong with a file becomes a finding, so that all problems of all files are told at once. Encoding
and separator of a text file are found from the file, and told; numbers and dates are never guessed.

References
----------
DuckDB, importing CSV and Parquet: https://duckdb.org/docs/stable/data/overview
SQLAlchemy, database addresses: https://docs.sqlalchemy.org/en/20/core/engines.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd

from evaluation.errors import InputError, Problem
from evaluation.registers.checks import identifier, literal
from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.files import KINDS, TEXT, Refused, find_dialect, frames, unreadable
from evaluation.registers.findings import Finding, Findings, collect
from evaluation.registers.identity import masked, names_a_person
from evaluation.registers.landing import Landing, land_file, land_memory, land_query, land_relation
from evaluation.registers.site import Site
from evaluation.registers.store import open_store

_AS_AGREED = Site()
_DUCKDB = "duckdb:///"
_FRAMES = "by name, each a data frame or the path of a file"
_DATABASE_FILES = {".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite", ".duckdb": "duckdb"}  # whose they mostly are
_DECIMAL_COMMA = r"[-+]?[0-9]+,[0-9]+"
_NUMBER = r"[-+]?[0-9]+(?:[.,][0-9]+)?"


@dataclass(frozen=True, eq=False)
class Delivery:
    """Tables as they were delivered.

    Attributes
    ----------
    connection : DuckDBPyConnection
        Holds each table as `delivered.<name>`: columns and codes renamed as the site says, nothing cast; row n of the file has rowid n - 1.
    contract : Contract
    site : Site
    names : tuple of str
        The tables that could be read, in the contract's order.
    findings : Findings
        What was wrong, or worth a note, when the delivery was opened.
    """

    connection: duckdb.DuckDBPyConnection
    contract: Contract
    site: Site
    names: tuple[str, ...]
    findings: Findings


def read_table(path: str | Path, *, without: Collection[str] = ()) -> pd.DataFrame:
    """Read a flat table from a file: CSV, Parquet, Excel, SAS, Stata or SPSS.

    Parameters
    ----------
    path : str or Path
    without : collection of str
        Columns to leave out, such as outcomes while a design is made; they may be absent.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If the file is absent, empty, of another kind, not readable as what it claims to be, or writes decimals with commas.
    """
    file, where = Path(path), masked(str(path))
    if file.suffix.lower() not in KINDS:
        kind = f"is of a kind that is not read here ({masked(file.suffix) or 'no ending'})"
        raise InputError([Problem(where, kind, "save it as CSV in UTF-8 with commas, ending in .csv, or as Parquet or Excel")])
    if not file.exists():
        raise InputError([Problem(where, "does not exist", "put the table there, or change data.file in the plan")])
    try:
        # read whole and then cut: told which columns to read, pandas no longer notices rows with too many fields
        frame = _read_flat(file)
    except Refused as refused:
        raise InputError([refused.in_table(where).to_problem()]) from None
    except Exception as error:  # on foreign bytes a reader may raise anything
        raise InputError([unreadable(error).in_table(where).to_problem()]) from None
    return frame.drop(columns=list(without), errors="ignore")


def open_delivery(
    source: str | Path | Mapping[str, str | Path | pd.DataFrame], site: Site = _AS_AGREED, contract: Contract | None = None
) -> Delivery:
    """Put a delivery into a database as it is, and tell what is wrong with its files.

    Parameters
    ----------
    source : str, Path or mapping
        A folder with one file per table, named after it; or table = file or data frame; or the address of a database (`duckdb:///file`, or any that
        SQLAlchemy takes) with one table of each name.
    site : Site
    contract : Contract, optional
        Left out, the committed one, with the site's code lists.

    Returns
    -------
    Delivery

    Raises
    ------
    InputError
        If the source is of another kind, if there is no such folder or database, or if nothing in it is a table of the contract. What is wrong with
        single files is not raised.
    """
    contract = contract or load_contract(site.codes_folder)
    site.hold_against(contract)
    connection = open_store(memory_mb=site.memory_mb, threads=site.threads, temp_folder=site.temp_folder)
    connection.execute("create schema delivered")
    names = []
    with contextlib.ExitStack() as stack:
        readers, found = _readers(source, site, contract, connection, stack)
        if not readers and all(finding.severity == "note" for finding in found):
            raise InputError([Problem("the delivery", "holds no table of the contract", f"deliver {', '.join(contract.tables)}, each as a file")])
        for name, schema in contract.tables.items():
            if name in readers:
                landing = Landing(connection, schema, site)
                try:
                    found += readers[name](landing)
                    names.append(name)
                except Exception as error:  # on foreign bytes a reader may raise anything, and one bad file must not hide the next
                    found.append((error if isinstance(error, Refused) else unreadable(error)).in_table(name))
                    landing.clear()
            elif not any(finding.table == name for finding in found):
                found.append(Finding(name, "", "table_missing" if schema.required else "table_absent"))
    return Delivery(connection, contract, site, tuple(names), collect(found, contract.tables))


_Reader = Callable[[Landing], list[Finding]]


def _readers(
    source: str | Path | Mapping[str, str | Path | pd.DataFrame],
    site: Site,
    contract: Contract,
    connection: duckdb.DuckDBPyConnection,
    stack: contextlib.ExitStack,
) -> tuple[dict[str, _Reader], list[Finding]]:
    """Find out how each table is to be read."""
    if isinstance(source, Mapping):
        remedy = f"choose among {', '.join(contract.tables)}"
        wrong = [Problem(masked(str(name)), "is not a table of the contract", remedy) for name in source if name not in contract.tables]
        kinds = (str, Path, pd.DataFrame)
        wrong += [
            Problem(masked(str(name)), "is neither a file nor a data frame", _FRAMES) for name, one in source.items() if not isinstance(one, kinds)
        ]
        if wrong:
            raise InputError(wrong)
        return {name: _reader(one) for name, one in source.items()}, []
    if not isinstance(source, str | Path):
        remedy = "give its .tables" if hasattr(source, "tables") else f"give a folder, the address of a database, or tables: {_FRAMES}"
        raise InputError([Problem("the delivery", f"cannot be read from {type(source).__name__}", remedy)])
    wanted = {name: site.tables.get(name, name) for name in contract.tables}
    if isinstance(source, str) and source.startswith(_DUCKDB):
        return _duckdb_readers(Path(source.removeprefix(_DUCKDB)), wanted, connection, stack), []
    if isinstance(source, str) and "://" in source:
        return _database_readers(source, wanted, stack), []
    return _folder_readers(Path(source), site, contract)


def _reader(one: str | Path | pd.DataFrame) -> _Reader:
    return partial(land_memory, frame=one) if isinstance(one, pd.DataFrame) else partial(land_file, file=Path(one))


def _folder_readers(folder: Path, site: Site, contract: Contract) -> tuple[dict[str, _Reader], list[Finding]]:
    where, kind = masked(str(folder)), _DATABASE_FILES.get(folder.suffix.lower())
    if kind and folder.is_file():
        raise InputError([Problem(where, "is a file, not a folder", f"a database has an address: {kind}:///{where}")])
    if not folder.is_dir():
        raise InputError([Problem(where, "is not a folder", "give the folder that holds the delivery, or the address of a database")])
    given = {name: folder / file for name, file in site.tables.items()}
    found = [Finding(name, "", "file_missing", {"file": site.tables[name]}) for name, file in given.items() if not file.is_file()]
    files = {name: [file] for name, file in given.items() if file.is_file()}
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or not file.is_file() or file in given.values():
            continue
        table = file.stem.casefold()
        if file.suffix.lower() in KINDS and table in contract.tables and table not in given:
            files.setdefault(table, []).append(file)
        else:
            found.append(Finding(file.name, "", "file_named_by_identity" if names_a_person(file.name) else "file_unknown"))
    found += [Finding(name, "", "file_twice") for name, several in files.items() if len(several) > 1]
    return {name: _reader(one[0]) for name, one in files.items() if len(one) == 1}, found


def _duckdb_readers(file: Path, wanted: Mapping[str, str], connection: duckdb.DuckDBPyConnection, stack: contextlib.ExitStack) -> dict[str, _Reader]:
    try:
        if not file.is_file():
            raise FileNotFoundError
        connection.execute(f"attach {literal(str(file))} as source (read_only)")
    except (duckdb.Error, OSError) as error:
        raise _no_database(error) from None
    stack.callback(connection.execute, "detach source")
    rows = connection.execute("select table_schema, table_name from information_schema.tables where table_catalog = 'source'").fetchall()
    there = {name: f"source.{identifier(schema)}.{identifier(name)}" for schema, name in rows if schema == "main"}
    there |= {f"{schema}.{name}": f"source.{identifier(schema)}.{identifier(name)}" for schema, name in rows}
    return {name: partial(land_relation, relation=there[theirs]) for name, theirs in wanted.items() if theirs in there}


def _database_readers(address: str, wanted: Mapping[str, str], stack: contextlib.ExitStack) -> dict[str, _Reader]:
    import sqlalchemy

    try:
        url = sqlalchemy.make_url(address)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            raise FileNotFoundError  # SQLite would make an empty database there
        engine = sqlalchemy.create_engine(url)
        stack.callback(engine.dispose)
        database = stack.enter_context(engine.connect())
        known = sqlalchemy.inspect(database)
        there = {name: theirs.rpartition(".")[::2] for name, theirs in wanted.items()}
        there = {name: (schema, table) for name, (schema, table) in there.items() if known.has_table(table, schema=schema or None)}
    except Exception as error:  # a driver may raise anything, and quote the address with its password
        raise _no_database(error) from None
    return {name: partial(land_query, database=database, schema=schema or None, table=table) for name, (schema, table) in there.items()}


def _no_database(error: Exception) -> InputError:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return InputError([Problem("the database", f"needs the Python module {error.name}", "install the package that has it")])
    return InputError([Problem("the database", f"cannot be opened ({type(error).__name__})", "check its address, its driver and who may read it")])


def _read_flat(file: Path) -> pd.DataFrame:
    kind = file.suffix.lower()
    if kind == ".parquet":
        with duckdb.connect() as connection:
            return connection.execute("from read_parquet(?)", [str(file)]).df()
    if kind not in TEXT:
        parts = list(frames(file, file.stem))
        return pd.concat(parts[1:] or parts, ignore_index=True)
    encoding, separator, _ = find_dialect(file)
    frame = pd.read_csv(file, sep=separator, encoding=encoding)
    if separator != ",":
        for name in frame.select_dtypes("object"):
            comma = frame[name].astype("string").str.fullmatch(_DECIMAL_COMMA).fillna(False).to_numpy(dtype=bool)
            numbers = frame[name].dropna().astype("string").str.fullmatch(_NUMBER)
            if comma.any() and numbers.all():
                raise Refused(
                    "decimal_comma", column=masked(str(name)), rows=int(comma.sum()), of=len(frame), first=(comma.nonzero()[0] + 1).tolist()
                )
    return frame
