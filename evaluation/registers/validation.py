"""Does a delivery keep the contract?

Every rule is an entry of data_schema/rules.json. Columns are held to their schemas as they were delivered; then they are cast, and the records are
held to each other. Where a column cannot be read, the rules that need it run on what could be. Errors stop the run, all of them at once; warnings and
notes are told to whoever delivered.

References
----------
van der Loo and de Jonge (2018), Statistical Data Cleaning with Applications in R, chapter 6: data validation, rules as data.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import duckdb
import pandas as pd

from evaluation.errors import InputError, Problem
from evaluation.registers.checks import Check, identifier, land_frame, run_checks, stored_types
from evaluation.registers.contract import CodeList, Contract
from evaluation.registers.findings import Finding, Findings, collect
from evaluation.registers.identity import candidate_sql, identity_numbers, names_a_person
from evaluation.registers.reading import TYPES, text_of
from evaluation.registers.relations import find_in_records
from evaluation.registers.schema import Field, Schema
from evaluation.registers.site import Site, load_site
from evaluation.registers.sources import Delivery, open_delivery
from evaluation.registers.store import Registers, scalar

_ALIKE = 0.7  # likeness of two names, from 0 to 1, above which one may be a misspelling of the other


@dataclass(frozen=True, eq=False)
class Validation:
    """What was found in a delivery, and the registers if it may be used.

    Attributes
    ----------
    findings : Findings
    registers : Registers or None
        None where any finding is an error.
    synthetic : bool or None
        Whether any of the records are said to be invented, which may be known although errors stop the run; None where `leverans` could not be read.
    """

    findings: Findings
    registers: Registers | None
    synthetic: bool | None


def read_registers(
    source: str | Path | Mapping[str, str | Path | pd.DataFrame] | None = None,
    *,
    site: Site | str | Path | None = None,
    contract: Contract | None = None,
) -> Registers:
    """Read a delivery that keeps the contract.

    Parameters
    ----------
    source : str, Path or mapping, optional
        A folder, tables in memory or the address of a database, as `open_delivery` takes it; left out, where the site says that the data are.
    site : Site, str or Path, optional
        What `load_site` has read, or the path of the file.
    contract : Contract, optional

    Returns
    -------
    Registers

    Raises
    ------
    SchemaError
        If the delivery breaks the contract, with every broken rule at once and no value of a person.
    InputError
        If there is no delivery, or it is not said where it is.
    """
    if not isinstance(site, Site | str | Path | None):
        raise InputError([Problem("site", f"cannot be read from {type(site).__name__}", "give a Site, or the path of a site file")])
    known = load_site(site) if isinstance(site, str | Path) else site or Site()
    given = known.data if source is None else source
    if given is None:
        raise InputError([Problem("the delivery", "is not given", "give a folder, tables or a database, or a site that says where the data are")])
    validation = validate(open_delivery(given, known, contract))
    validation.findings.raise_errors()
    return cast(Registers, validation.registers)


def validate(delivery: Delivery) -> Validation:
    """Hold a delivery to the contract, and cast what keeps it.

    Parameters
    ----------
    delivery : Delivery
        Is used up: each `delivered` table is dropped when it has been cast, for both need memory.

    Returns
    -------
    Validation

    Raises
    ------
    InputError
        If the database gives up, for want of memory or of room to spill. Its own words are not passed on, for they may quote a value.
    """
    try:
        found = list(_find(delivery))
        synthetic = cast(bool | None, scalar(delivery.connection, "select bool_or(syntetisk) from register.leverans"))
    except duckdb.Error as error:
        remedy = "give it more memory (memory_mb in site.toml), or a temp_folder with more room"
        raise InputError([Problem("the delivery", f"could not be checked ({type(error).__name__})", remedy)]) from None
    findings = collect([*delivery.findings.items, *found], delivery.contract.tables)
    registers = None if findings.of("error") else Registers(delivery.connection, delivery.contract, delivery.names)
    return Validation(findings, registers, synthetic)


def _find(delivery: Delivery) -> Iterator[Finding]:
    connection, contract = delivery.connection, delivery.contract
    connection.execute("create schema register; create schema codes")
    for codes in contract.codes.values():
        _put_codes(connection, codes)
    for schema in contract.tables.values():
        source = f"delivered.{identifier(schema.name)}"
        stored = stored_types(connection, source) if schema.name in delivery.names else {}
        relation = schema.relation(source, stored, delivery.site.notation)
        if stored:
            yield from _column_findings(connection, schema, stored, relation, delivery.site)
        _cast(connection, schema, relation if stored else None)
    yield from find_in_records(connection, contract, delivery.names, delivery.site)
    yield from _unverified(contract, delivery.names)


def _put_codes(connection: duckdb.DuckDBPyConnection, codes: CodeList) -> None:
    connection.register("list", codes.entries)
    days = ", ".join(f"cast({name} as date) as {name}" for name in ("giltig_fran", "giltig_till"))
    connection.execute(f"create table codes.{identifier(codes.name)} as select * replace ({days}) from list")
    connection.unregister("list")


def _cast(connection: duckdb.DuckDBPyConnection, schema: Schema, relation: str | None) -> None:
    """Write a table with exactly the columns of its schema; without rows if nothing was delivered that could be read."""
    name = identifier(schema.name)
    columns = ", ".join(identifier(entry.name) for entry in schema.fields)
    empty = ", ".join(f"cast(null as {TYPES[entry.kind]}) as {identifier(entry.name)}" for entry in schema.fields)
    connection.execute(f"create table register.{name} as select {columns} from {relation or f'(select {empty} where false)'}")
    connection.execute(f"drop table if exists delivered.{name}")


def _column_findings(
    connection: duckdb.DuckDBPyConnection, schema: Schema, stored: Mapping[str, str], relation: str, site: Site
) -> Iterator[Finding]:
    """Hold the columns of a delivered table to its schema."""
    declared = [entry for entry in schema.fields if entry.name in stored]
    extra = [name for name in stored if name not in {entry.name for entry in declared}]
    for position, name in enumerate(stored, start=1):
        if names_a_person(name):
            yield Finding(schema.name, "", "identity_in_name", {"position": str(position)})
    if not declared:
        # without a header row there are people where the names should be, so no name is told
        yield Finding(schema.name, "", "header_missing")
        shown = {}
    else:
        shown = {name: name for name in stored if not names_a_person(name)}
        yield from _name_findings(schema, declared, [name for name in extra if name in shown])
    if not scalar(connection, f"select count(*) from delivered.{identifier(schema.name)}"):
        yield Finding(schema.name, "", "table_empty" if schema.required else "table_empty_optional")
        return
    checks = [check for entry in declared for check in entry.checks(stored[entry.name], site.notation)]
    checks += [Check(name, "identity", candidate_sql(text_of(name))) for name, kind in stored.items() if kind not in ("DATE", "BOOLEAN")]
    for finding in run_checks(connection, relation, schema.name, checks):
        if finding.key == "identity":
            yield from _identity_findings(connection, relation, schema.name, shown.get(finding.column, ""), text_of(finding.column))
        else:
            yield finding


def _name_findings(schema: Schema, declared: Sequence[Field], extra: Sequence[str]) -> Iterator[Finding]:
    absent = [entry for entry in schema.fields if entry not in declared]
    near = {entry.name: _nearest(entry.name, extra) for entry in absent}
    for entry in absent:
        if entry.required:
            there = near[entry.name]
            yield (
                Finding(schema.name, entry.name, "column_misspelt", {"near": there}) if there else Finding(schema.name, entry.name, "column_missing")
            )
    for name in extra:
        meant = next((entry for entry in absent if near[entry.name] == name), None)
        if meant is None:
            yield Finding(schema.name, name, "column_extra")
        elif not meant.required:
            yield Finding(schema.name, name, "column_resembles", {"near": meant.name})
    optional = [entry.name for entry in absent if not entry.required]
    if optional:
        yield Finding(schema.name, "", "columns_absent", {"columns": ", ".join(optional)})


def _nearest(name: str, there: Sequence[str]) -> str:
    return next(iter(difflib.get_close_matches(name, there, n=1, cutoff=_ALIKE)), "")


def _identity_findings(connection: duckdb.DuckDBPyConnection, relation: str, table: str, column: str, text: str) -> list[Finding]:
    numbers = identity_numbers(connection, relation, text)
    if not numbers:
        return []
    land_frame(connection, "numbers", pd.DataFrame({"number": numbers}))
    found = run_checks(connection, relation, table, [Check(column, "identity", f"{text} in (select c0 from numbers)")])
    connection.unregister("numbers")
    return found


def _unverified(contract: Contract, delivered: Collection[str]) -> list[Finding]:
    used = {entry.codelist for name in delivered for entry in contract.tables[name].fields if entry.codelist}
    return [Finding(f"codes/{name}.csv", "", "codes_unverified") for name, codes in contract.codes.items() if name in used and not codes.verified]
