"""Do the records of a delivery agree with the code lists, with each other and with the calendar?

References
----------
Statistics Sweden (2017), LISA, appendix 2: the employment service never corrects its records, so that periods overlap or end before they begin.
Malmökraften's own plans: the project began in March 2018, with people registered with the employment service or on sickness benefit.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Collection, Iterator, Mapping

import duckdb

from evaluation.registers.checks import ROW, Check, find_repeated, identifier, known_check, literal, run_checks
from evaluation.registers.contract import Contract
from evaluation.registers.findings import Finding
from evaluation.registers.reading import FAR
from evaluation.registers.schema import Schema
from evaluation.registers.site import Site
from evaluation.registers.store import scalar

LATE_DEREGISTRATION_DAYS = 60  # the agency ends a dead person's spells when it hears of the death, which has taken up to two months
LATE_SHARE = 0.1  # of the spells after the last complete month: a few are registered while the data are extracted, a tenth is another month
_TIMED_BY_MONTH = ("inskrivning", "program_beslut")  # where people are found, so that a wrong last month would leave them out
_NOT_REGISTERED = "sjukskriven"  # class of the target groups that come from sickness benefit, without a registration
_PARALLEL = {  # spells of different kinds may rightly run side by side here; in any other table a person has one at a time
    "program_beslut": ("programkod",),
    "stod_beslut": ("stodtyp",),
    "ersattning_fk": ("formanskod",),
    "studier": ("skolform",),
}


def find_in_records(connection: duckdb.DuckDBPyConnection, contract: Contract, delivered: Collection[str], site: Site) -> Iterator[Finding]:
    """Hold the records of every delivered table to each other.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Holds `register.<name>` and `codes.<name>`, as `Registers` says.
    contract : Contract
    delivered : collection of str
        A table that is not among them is no ground for calling a record wrong.
    site : Site
        Where its people should live, and when its project began.

    Yields
    ------
    Finding
    """
    connection.execute(
        "create or replace temp table persons as select lopnr, min(dod_datum) as died from register.individ where lopnr is not null group by lopnr"
    )
    knows_people = bool(scalar(connection, "select count(*) from persons"))  # else one fault in individ would be one in every row of every table
    yield from _delivery_findings(connection, contract, delivered)
    extractions = "select myndighet, max(datauttag) from register.leverans where datauttag is not null group by myndighet"
    extracted = dict(connection.execute(extractions).fetchall())
    for name in delivered:
        schema = contract.tables[name]
        connection.execute(f"create or replace temp table copied as {_copies(schema)}")
        relation = _relation(schema)
        checks = [
            *_code_checks(schema),
            *(_person_checks(schema) if knows_people else ()),
            *_spell_checks(schema),
            *_calendar_checks(schema, extracted),
            *_own_checks(schema, delivered, site),
        ]
        yield from run_checks(connection, relation, name, checks)
        every = [entry.name for entry in schema.fields] if schema.spell and schema.spell.repaired else []
        yield from find_repeated(connection, relation, name, "key_repeated", schema.key, every)
        for entry in schema.fields:
            if entry.unique and schema.key != (entry.name,):
                yield from find_repeated(connection, relation, name, "repeated", [entry.name])


def _delivery_findings(connection: duckdb.DuckDBPyConnection, contract: Contract, delivered: Collection[str]) -> Iterator[Finding]:
    """Hold what the delivery says of itself to the tables it holds."""
    rows = connection.execute("select distinct myndighet from register.leverans where myndighet is not null").fetchall()
    there = {name for (name,) in rows}
    tables: dict[str, list[str]] = {}
    for schema in contract.tables.values():
        tables.setdefault(schema.agency, []).append(schema.name)
    nearest: dict[str, list[str]] = {}
    for name in sorted(there - tables.keys()):
        nearest.setdefault(difflib.get_close_matches(name, tables, n=1, cutoff=0)[0], []).append(name)
    checks = [
        Check("myndighet", "agency_unknown", f"record.myndighet in ({', '.join(map(literal, names))})", {"near": near})
        for near, names in nearest.items()
    ]
    yield from run_checks(connection, _numbered("leverans"), "leverans", checks)
    for agency, names in tables.items():
        held = [name for name in names if name in delivered and name != "leverans"]
        if there and held and agency not in there:
            yield Finding("leverans", "myndighet", "agency_absent", {"agency": agency, "tables": ", ".join(held)})
    last = scalar(connection, "select last_day(min(komplett_t_o_m)) from register.leverans")
    for name in _TIMED_BY_MONTH:
        spell = contract.tables[name].spell if name in delivered else None
        if spell and last is not None:
            late = Check(spell.start, "start_incomplete", f"{_of(spell.start)} > date '{last}'", {"last": f"{last:%Y-%m}"})
            found = run_checks(connection, _numbered(name), name, [late])
            yield from (finding for finding in found if (finding.share or 0) > LATE_SHARE)


def _numbered(table: str) -> str:
    return f"(select rowid + 1 as {ROW}, * from register.{identifier(table)}) record"


def _copies(schema: Schema) -> str:
    """Give the SQL of the rows that repeat an earlier one in every column; they are told as such, and of nothing else."""
    table, every = f"register.{identifier(schema.name)}", ", ".join(identifier(entry.name) for entry in schema.fields)
    if not (schema.spell and schema.key):
        return "select 0 as place where false"
    keys = ", ".join(map(identifier, schema.key))
    several = f"select {keys} from {table} group by {keys} having count(*) > 1"  # few, so that the wide window is a small one
    within = f"(select rowid as place, * from {table}) semi join ({several}) using ({keys})"
    return f"select place from (select place, row_number() over (partition by {every} order by place) as nth from {within}) where nth > 1"


def _relation(schema: Schema) -> str:
    """Give the SQL of a table as `record`, with the person's death, and when the person's earlier spells of the same kind have all ended.

    Of exact copies one counts as a spell, and what ends before it begins, or lasts no day, is none.
    """
    items = [f"one.rowid + 1 as {ROW}", "one.*"]
    persons = ""
    if schema.of_persons:
        items += ["persons.died", "persons.lopnr is not null as known"]
        persons = "left join persons on persons.lopnr = one.lopnr"
    elif schema.name == "individ":
        items += ["one.dod_datum as died", "true as known"]
    if schema.spell:
        kind = ", ".join(f"one.{identifier(name)}" for name in ("lopnr", *_PARALLEL.get(schema.name, ())))
        start, stop = f"one.{identifier(schema.spell.start)}", f"one.{identifier(schema.spell.stop)}"
        ended = f"coalesce({stop} + {int(schema.spell.includes_stop)}, date '9999-12-31')"
        distinct = "copied.place is null"
        items += [f"{distinct} as distinct_row", f"{distinct} and {ended} > {start} as lasts"]
        items.append(
            f"max({ended}) filter ({distinct} and {ended} > {start}) "
            f"over (partition by {kind} order by {start}, {stop} rows between unbounded preceding and 1 preceding) as free_from"
        )
        persons += " left join copied on copied.place = one.rowid"
    return f"(select {', '.join(items)} from register.{identifier(schema.name)} one {persons}) record"


def _of(name: str) -> str:
    return f"record.{identifier(name)}"


def _code_checks(schema: Schema) -> Iterator[Check]:
    for entry in schema.fields:
        if entry.codelist:
            code, codes = _of(entry.name), f"codes.{identifier(entry.codelist)}"
            yield known_check(entry.name, code, f"select kod from {codes}", "code_unknown", {"codelist": entry.codelist})
            if schema.dated_by:
                day = _of(schema.dated_by)
                meant = f"select 1 from {codes} meaning where meaning.kod = {code} and {day} between meaning.giltig_fran and meaning.giltig_till"
                broken = f"{day} is not null and {code} in (select kod from {codes}) and not exists ({meant})"
                yield Check(entry.name, "code_not_valid", broken, {"codelist": entry.codelist, "dated_by": schema.dated_by})


def _person_checks(schema: Schema) -> Iterator[Check]:
    if schema.of_persons:
        yield Check("lopnr", "person_unknown", f"{_of('lopnr')} is not null and not record.known")
    if schema.of_persons or schema.name == "individ":
        for entry in schema.fields:
            # months are left out: pay and benefits are paid in arrears
            if entry.kind == "date" and entry.role != "death":
                late = LATE_DEREGISTRATION_DAYS if entry.role == "stop" else 0
                yield Check(entry.name, "after_death", f"{_of(entry.name)} > record.died + {late} and {_of(entry.name)} < {FAR}")


def _spell_checks(schema: Schema) -> Iterator[Check]:
    if schema.spell:
        start, stop, detail = _of(schema.spell.start), _of(schema.spell.stop), {"start": schema.spell.start}
        yield Check(
            schema.spell.stop, "negative_spell" if schema.spell.repaired else "start_after_stop", f"record.distinct_row and {stop} < {start}", detail
        )
        if not schema.spell.includes_stop:
            yield Check(schema.spell.stop, "same_day", f"record.distinct_row and {stop} = {start}", detail)
        yield Check(schema.spell.start, "overlap", f"record.lasts and {start} < record.free_from")


def _calendar_checks(schema: Schema, extracted: Mapping[str, dt.date]) -> Iterator[Check]:
    day = extracted.get(schema.agency) or max(extracted.values(), default=None)
    if day is None or schema.name == "leverans":
        return
    for entry in schema.fields:
        # a decision has its last day when it is made, but an event is recorded after it has happened
        decided = schema.spell is not None and schema.spell.includes_stop and entry.role == "stop"
        if entry.kind in ("date", "yearmonth") and not decided:
            yield Check(
                entry.name, "after_extraction", f"{_of(entry.name)} > date '{day}' and {_of(entry.name)} < {FAR}", {"extracted": day.isoformat()}
            )


def _own_checks(schema: Schema, delivered: Collection[str], site: Site) -> Iterator[Check]:
    match schema.name:
        case "leverans":
            mixed = "record.syntetisk and (select not bool_and(syntetisk) from register.leverans)"
            yield Check("syntetisk", "synthetic_mixed", mixed)
            yield Check("datauttag", "extraction_ahead", f"record.datauttag > date '{dt.date.today()}'")
            yield Check("komplett_t_o_m", "incomplete", "last_day(record.komplett_t_o_m) > record.datauttag")
        case "individ":
            yield Check("skyddad", "protected", "record.skyddad")
            if site.municipalities:
                there = ", ".join(map(literal, site.municipalities))
                yield Check("kommun", "other_municipality", f"record.kommun not in ({there})", {"municipality": ", ".join(site.municipalities)})
            for origin in ("fodelselandgrupp", "utlsvbakg"):
                yield Check(origin, "origin_missing", f"{_of(origin)} is null")
        case "arsinkomst":
            yield Check("sun_niva", "education_missing", "record.sun_niva is null")
        case "projekt_deltagande":
            yield Check(
                "start_datum", "before_project", f"record.start_datum < date '{site.project_began}'", {"began": site.project_began.isoformat()}
            )
            yield Check("start_datum", "start_before_offer", "record.start_datum < record.erbjuden_datum")
            if "inskrivning" in delivered:
                # a first day that is missing or cannot be read is told as such, and no ground for calling the participant unregistered
                since, until = "coalesce(held.inskriven_datum, date '0001-01-01')", "coalesce(held.avaktualiserad_datum, date '9999-12-31')"
                within = f"held.lopnr = record.lopnr and record.start_datum between {since} and {until}"
                elsewhere = f"record.malgrupp in (select kod from codes.malgrupp where klass = '{_NOT_REGISTERED}')"
                anybody = "exists (select 1 from register.inskrivning where lopnr is not null)"
                broken = f"record.start_datum is not null and not {elsewhere} and not exists (select 1 from register.inskrivning held where {within})"
                yield Check("start_datum", "unregistered", f"{anybody} and {broken}")
