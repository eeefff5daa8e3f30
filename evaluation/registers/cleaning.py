"""What do the registers say once the bookkeeping is mended, and how often was each rule needed?

The employment service never corrects an entry, so registrations and categories are mended by fixed rules, one after another; each counts the rows
it removed or changed, from the rows delivered to the rows cleaned. Afterwards a spell holds from `start` up to, but not including, `stop`, and
carries the class its code had at its date.

Nothing dated after the last complete month is used, not even to mend what came before it. What is cleaned is therefore a function of what was known
at its end, and looking back from an earlier day is cleaning what was known on that day (history.py).

References
----------
Statistics Sweden, LISA documentation, appendix 2: quality of the employment service's Datalager (overlapping, negative and late spells).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from evaluation.registers.schema import Schema, SpellColumns
from evaluation.registers.store import Registers, new_schema

PROGRAMME = "programme"  # program_beslut once decisions that adjoin are one spell
CODED_BY = {  # spell tables, and the column whose class says what a spell is
    "inskrivning": "avaktualiseringsorsak",
    "sokandekategori": "skat",
    "program_beslut": "programkod",
    "stod_beslut": "stodtyp",
    "studier": "skolform",
    "ersattning_fk": "formanskod",
}
SETTLED_AT_STOP = {  # what an agency knows of a spell only when it has ended
    "inskrivning": ("avaktualiseringsorsak",),
    "program_beslut": ("slutorsak",),
    "ersattning_fk": ("bruttodagar", "nettodagar"),
}
ENTRY_ORDER = {  # a longer number is a later one: as text, 10 would come before 9
    "inskrivning": "length(inskr_id), inskr_id",
    "sokandekategori": "length(inskr_id), inskr_id, period_nr",
}
NO_EXIT = "('okand', 'avregistrerad_annan')"  # reasons that tell of nothing the person left for, as no reason at all does: a short gap is bridged
TECHNICAL, OPEN = "teknisk", "oppet_arbetslos"  # 95-98 end a decision, not the unemployment: LISA counts their days as unemployed


class CleaningSpec(BaseModel):
    """What is mended where the agency's rules leave a choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gap_days: int = Field(default=30, ge=0, description="longest gap between two spells that is bridged; 0: none. Sensitivity: 0, 7, 60")


@dataclass(frozen=True, eq=False)
class CleanRegisters:
    """Spells that keep their own rules.

    Attributes
    ----------
    registers : Registers
    spec : CleaningSpec
    source : str
        Database schema of the entries they were made from.
    schema : str
        Database schema of the cleaned tables, one for each cleaning.
    names : tuple of str
        The cleaned tables: those of inskrivning, sokandekategori, stod_beslut, studier and ersattning_fk that were delivered, and programme in the
        place of program_beslut. All have lopnr, start, stop and klass; start and stop are DATE, half-open and no later than `until`. In inskrivning
        klass is that of the reason for leaving; programme has ended_as, the class of the reason for the end, null while it runs.
    audit : DataFrame
        table, rule, rows_before, removed, changed, rows_after: one row per table and rule, in the order they were used.
    """

    registers: Registers
    spec: CleaningSpec
    source: str
    schema: str
    names: tuple[str, ...]
    audit: pd.DataFrame

    def __repr__(self) -> str:
        """Say what cleaning did, in one line."""
        removed, changed = (int(self.audit[column].sum()) for column in ("removed", "changed"))
        return f"CleanRegisters({', '.join(self.names)}; {removed:,} rows removed, {changed:,} changed; gaps up to {self.spec.gap_days} days bridged)"

    @cached_property
    def until(self) -> dt.date:
        """The first day that is not observed: the day after the last complete month."""
        return self.registers.complete_until + dt.timedelta(days=1)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per table and rule: table, rule, rows_before, removed, changed, rows_after; as `audit`."""
        return self.audit.copy()

    def frame(self, name: str) -> pd.DataFrame:
        """Give a cleaned table as a data frame, by person and start."""
        frame: pd.DataFrame = self.registers.connection.execute(f"from {self.schema}.{name} order by lopnr, start, stop, klass").df()
        return frame


class _Step(NamedTuple):
    rule: str
    removed: int
    changed: int


def clean_registers(registers: Registers, spec: CleaningSpec | None = None) -> CleanRegisters:
    """Mend the spells of every register and count what each rule did.

    Parameters
    ----------
    registers : Registers
        Tables that keep the contract.
    spec : CleaningSpec, optional

    Returns
    -------
    CleanRegisters

    Notes
    -----
    Rules for inskrivning and sokandekategori, in this order, always within a person:

    - after_follow_up: entries that start after the last complete month are removed; of the others, a later end and what it brings (the reason) is
      unknown, so the spell holds to the end of follow-up. The same for every other table.
    - exact_duplicate: of entries equal in every column, one is kept.
    - negative, zero_length: spells that end before, or on the day, they start are removed.
    - same_start: of spells with the same start the last registered is kept, by number of registration and, within it, of the category.
    - overlap: a spell ends where the next one starts, at the latest.
    - late_deregistration: a registration that goes on after its last category has ended, ends where that category ended.
    - outlives_registration: a category ends with its registration; one that starts afterwards is removed.
    - gap: where the next spell starts 1 to `gap_days` days after the end of one, this one is extended to it; not if the registration had been left
      for work, studies, death or a move.
    - technical_code: the classes of 95-98 become open unemployment.
    - reused_code: counted only: codes that at their date meant something else than they came to mean later.

    Programme decisions of one class that overlap or adjoin become one spell (merged).

    References
    ----------
    Statistics Sweden, LISA documentation, appendix 2.
    """
    return clean_entries(registers, spec or CleaningSpec(), "register")


def clean_entries(registers: Registers, spec: CleaningSpec, source: str) -> CleanRegisters:
    """Mend the entries of another database schema with the tables of `registers`, such as what was known on an earlier day.

    Parameters
    ----------
    registers : Registers
    spec : CleaningSpec
    source : str
        Database schema that holds the tables.

    Returns
    -------
    CleanRegisters
    """
    clean = CleanRegisters(registers, spec, source, new_schema(registers.connection, "clean"), (), pd.DataFrame())
    spells = [name for name in registers.names if name in CODED_BY]
    steps = {name: [_end_follow_up(clean, name)] for name in spells}
    for name in ENTRY_ORDER:
        steps[name] += _put_in_order(clean, name)
    for name in spells:
        steps[name] += _MENDED.get(name, _classify)(clean, name)
    for name in ENTRY_ORDER:
        registers.connection.execute(f"drop table {clean.schema}.ordered_{name}")
    audit = pd.concat([_balance(clean, name, steps[name]) for name in spells], ignore_index=True)
    return replace(clean, names=tuple(PROGRAMME if name == "program_beslut" else name for name in spells), audit=audit)


def spell_columns(table: Schema) -> SpellColumns:
    """Give the columns of a table of spells that say from when to when a row holds."""
    assert table.spell is not None, table.name
    return table.spell


def hide_later(table: Schema, day: str) -> str:
    """Write the columns of a spell table that were not known before a day as null.

    Parameters
    ----------
    table : Schema
    day : str
        Date in SQL.

    Returns
    -------
    str
        Columns in SQL, for `select * replace`: the end, if it came that day or later, and what is settled only at the end.
    """
    stop = spell_columns(table).stop
    return ", ".join(f"case when {stop} < {day} then {column} end as {column}" for column in (stop, *SETTLED_AT_STOP.get(table.name, ())))


def _entries(clean: CleanRegisters, name: str) -> str:
    """Query a table as it was known when follow-up ended: half-open, an open end null."""
    table, day = clean.registers.contract.tables[name], f"date '{clean.until}'"
    spell = spell_columns(table)
    return f"""
        select * exclude ({spell.start}, {spell.stop}), {spell.start} as start, {spell.stop} + {int(spell.includes_stop)} as stop
        from (select * replace ({hide_later(table, day)}) from {clean.source}.{name} where {spell.start} < {day})"""


def _meaning(clean: CleanRegisters, name: str, column: str) -> str:
    """Join a code of the rows `entry` to what it meant at their date: klass, and former where it has since come to mean another thing."""
    table = clean.registers.contract.tables[name]
    codes = next(field.codelist for field in table.fields if field.name == column)
    day = "stop" if table.dated_by == spell_columns(table).stop else "start"
    return f"""
        left join (select *, giltig_fran < max(giltig_fran) over (partition by kod) as former from codes.{codes}) as meaning_of_{column}
        on entry.{column} = meaning_of_{column}.kod and entry.{day} between meaning_of_{column}.giltig_fran and meaning_of_{column}.giltig_till"""


def _end_follow_up(clean: CleanRegisters, name: str) -> _Step:
    spell, day = spell_columns(clean.registers.contract.tables[name]), f"date '{clean.until}'"
    removed, changed = _counts(clean, f"{clean.source}.{name}", f"{spell.start} >= {day}", f"{spell.start} < {day} and {spell.stop} >= {day}")
    return _Step("after_follow_up", removed, changed)


def _put_in_order(clean: CleanRegisters, name: str) -> list[_Step]:
    """Make ordered_<name>: the entries that are spells, each with the start of the person's next; an entry that shares its start is superseded."""
    connection, different, ordered = clean.registers.connection, f"{clean.schema}.different", f"{clean.schema}.ordered_{name}"
    connection.execute(f"create table {different} as select distinct * from ({_entries(clean, name)})")
    (entered,) = _counts(clean, f"({_entries(clean, name)})", "true")
    kept, negative, empty = _counts(clean, different, "true", "stop < start", "stop = start")
    connection.execute(f"""
        create table {ordered} as
        select entry.*, klass, former, lead(start) over (partition by lopnr order by start, {ENTRY_ORDER[name]}) as next_start
        from {different} as entry {_meaning(clean, name, CODED_BY[name])} where stop > start or stop is null""")
    superseded, overlapping = _counts(clean, ordered, "next_start = start", "next_start > start and (stop > next_start or stop is null)")
    connection.execute(f"drop table {different}")
    return [
        _Step("exact_duplicate", entered - kept, 0),
        _Step("negative", negative, 0),
        _Step("zero_length", empty, 0),
        _Step("same_start", superseded, 0),
        _Step("overlap", 0, overlapping),
    ]


def _end_registrations(clean: CleanRegisters, name: str) -> list[_Step]:
    # a category's end counts as it was entered: cut short by a category of another registration, it does not say that this one was over
    clean.registers.connection.execute(f"""
        create table {clean.schema}.{name} as
        with emptied as (
            select lopnr, inskr_id, arg_max_null(stop, start) as last_stop from {clean.schema}.ordered_sokandekategori
            where next_start is distinct from start group by all),
        ended as (
            select entry.* exclude (stop), least(stop, next_start, date '{clean.until}') as ending,
                coalesce(last_stop > start and last_stop < ending, false) as late, if(late, last_stop, ending) as left_on
            from {clean.schema}.ordered_{name} as entry left join emptied using (lopnr, inskr_id) where next_start is distinct from start)
        select lopnr, inskr_id, kontor, start, {_bridged(clean, "left_on", "next_start", "klass")} as bridged,
            if(bridged, next_start, left_on) as stop, klass, late, former
        from ended""")
    return _account(clean, name, late_deregistration="late", gap="bridged", reused_code="former")


def _end_categories(clean: CleanRegisters, name: str) -> list[_Step]:
    # the deregistration counts as it was entered: another registration that starts meanwhile ends nothing, its category does
    table, ordered = f"{clean.schema}.{name}", f"{clean.schema}.ordered_{name}"
    clean.registers.connection.execute(f"""
        create table {table} as
        with ended as (
            select entry.*, least(entry.stop, entry.next_start, date '{clean.until}') as ending, registration.stop as deregistered,
                registration.klass as reason, coalesce(deregistered < ending, false) as outlives, least(ending, deregistered) as closed
            from {ordered} as entry left join {clean.schema}.ordered_inskrivning as registration using (lopnr, inskr_id)
            where entry.next_start is distinct from entry.start),
        followed as (
            select *, lead(start) over person as follower, if(lead(inskr_id) over person = inskr_id, null, reason) as left_for
            from ended where closed > start window person as (partition by lopnr order by start))
        select lopnr, inskr_id, period_nr, skat, start, {_bridged(clean, "closed", "follower", "left_for")} as bridged,
            if(bridged, follower, closed) as stop, outlives, klass = '{TECHNICAL}' as technical, if(technical, '{OPEN}', klass) as klass, former
        from followed""")
    (kept,), (left,) = _counts(clean, ordered, "next_start is distinct from start"), _counts(clean, table, "true")
    first, *others = _account(clean, name, outlives_registration="outlives", gap="bridged", technical_code="technical", reused_code="former")
    return [first._replace(removed=kept - left), *others]


def _bridged(clean: CleanRegisters, stop: str, follower: str, reason: str) -> str:
    gap = f"{follower} - {stop} between 1 and {clean.spec.gap_days}"
    return f"coalesce({gap}, false) and ({reason} is null or {reason} in {NO_EXIT})"


def _merge_programmes(clean: CleanRegisters, name: str) -> list[_Step]:
    clean.registers.connection.execute(f"""
        create table {clean.schema}.classified as
        select lopnr, beslut_id, start, coalesce(stop, date '{clean.until}') as stop, meaning_of_programkod.klass as klass,
            meaning_of_slutorsak.klass as ended_as, coalesce(meaning_of_programkod.former, false) as former
        from ({_entries(clean, name)}) as entry {_meaning(clean, name, "programkod")} {_meaning(clean, name, "slutorsak")}""")
    clean.registers.connection.execute(f"""
        create table {clean.schema}.{PROGRAMME} as
        with reached as (
            select *, max(stop) over (
                partition by lopnr, klass order by start, stop rows between unbounded preceding and 1 preceding) as reach
            from {clean.schema}.classified),
        numbered as (
            select *, count(*) filter (reach is null or start > reach) over (
                partition by lopnr, klass order by start, stop rows between unbounded preceding and current row) as spell
            from reached)
        select lopnr, min(start) as start, max(stop) as stop, klass, arg_max_null(ended_as, (stop, length(beslut_id), beslut_id)) as ended_as
        from numbered group by lopnr, klass, spell""")
    (former, decisions), (spells,) = (
        _counts(clean, f"{clean.schema}.classified", "former", "true"),
        _counts(clean, f"{clean.schema}.{PROGRAMME}", "true"),
    )
    clean.registers.connection.execute(f"drop table {clean.schema}.classified")
    return [_Step("reused_code", 0, former), _Step("merged", decisions - spells, 0)]


def _classify(clean: CleanRegisters, name: str) -> list[_Step]:
    clean.registers.connection.execute(f"""
        create table {clean.schema}.{name} as
        select entry.* replace (coalesce(stop, date '{clean.until}') as stop), klass, coalesce(former, false) as former
        from ({_entries(clean, name)}) as entry {_meaning(clean, name, CODED_BY[name])}""")
    return _account(clean, name, reused_code="former")


_MENDED = {"inskrivning": _end_registrations, "sokandekategori": _end_categories, "program_beslut": _merge_programmes}


def _account(clean: CleanRegisters, name: str, **flags: str) -> list[_Step]:
    """Count the rows each rule has flagged in a cleaned table, and take the flags away."""
    changed = _counts(clean, f"{clean.schema}.{name}", *flags.values())
    for flag in flags.values():
        clean.registers.connection.execute(f"alter table {clean.schema}.{name} drop column {flag}")
    return [_Step(rule, 0, number) for rule, number in zip(flags, changed, strict=True)]


def _counts(clean: CleanRegisters, table: str, *conditions: str) -> tuple[int, ...]:
    counts = ", ".join(f"count(*) filter ({condition})" for condition in conditions)
    (row,) = clean.registers.connection.execute(f"select {counts} from {table}").fetchall()
    return tuple(map(int, row))


def _balance(clean: CleanRegisters, name: str, steps: list[_Step]) -> pd.DataFrame:
    """Set the steps of a table below one another, each beginning with the rows the one before has left."""
    (rows,) = _counts(clean, f"{clean.source}.{name}", "true")
    removed = pd.Series([step.removed for step in steps]).cumsum()
    return pd.DataFrame(
        {
            "table": name,
            "rule": [step.rule for step in steps],
            "rows_before": rows - removed.shift(fill_value=0),
            "removed": [step.removed for step in steps],
            "changed": [step.changed for step in steps],
            "rows_after": rows - removed,
        }
    )
