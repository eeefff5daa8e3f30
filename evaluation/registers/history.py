"""What was known of each person before their index date?

Each person is seen as the registers showed them on the eve of the index date: entries that start later are not there, ends that come later are
unknown, and what is left is cleaned and read as states anew. Looking back in spells that were cleaned once and for all would let tomorrow's records
mend yesterday's: a gap is bridged because somebody came back, a late deregistration tells of work since last month.

References
----------
Suissa (2008). Immortal time bias in pharmacoepidemiology. American Journal of Epidemiology 167(4), 492-499 (covariates end where follow-up begins).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from evaluation.errors import InputError, Problem
from evaluation.registers.cleaning import CODED_BY, PROGRAMME, CleanRegisters, clean_entries, hide_later, spell_columns
from evaluation.registers.states import States, observe_states
from evaluation.registers.store import new_schema

PERSON, INDEX_DATE = "lopnr", "index_date"
DAYS_PER_MONTH = 365.25 / 12
SEK_PER_HUNDRED = 100  # LISA gives income in hundreds of SEK
UNKNOWN = "okand"  # education nobody has recorded: a level of its own, for it is missing mostly for people born abroad


class LookBackSpec(BaseModel):
    """What is asked of the time before the index date."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows_days: tuple[PositiveInt, ...] = Field(
        default=(365, 730, 1826, 3652), description="how far back days in states are counted: 1, 2, 5, 10 years"
    )
    states: dict[Annotated[str, Field(pattern="^[a-z_]+$")], tuple[str, ...]] = Field(
        default={"unemployed": ("arbetslos",), "programme": ("program",), "work": ("arbete",)},
        description="groups of states by name: codes or classes of codes/tillstand.csv",
    )
    work: tuple[str, ...] = Field(default=("arbete",), description="the states that are work in months_since_work: codes or classes")
    sick_windows_days: tuple[PositiveInt, ...] = (365, 730)
    earnings_years: PositiveInt = 3
    assistance_months: PositiveInt = 12


def look_back(clean: CleanRegisters, people: pd.DataFrame, spec: LookBackSpec | None = None) -> pd.DataFrame:
    """Give what was known of each person strictly before their index date.

    Parameters
    ----------
    clean : CleanRegisters
        Its registers are read anew as they were known on each index date, and cleaned by its spec.
    people : DataFrame, shape (n, c)
        lopnr and index_date; a person may occur several times. Index dates lie no later than the day after the last complete month.
    spec : LookBackSpec, optional

    Returns
    -------
    DataFrame, shape (n, k)
        lopnr, index_date and the columns below, rows and index as in `people`. Columns whose table was not delivered are absent.

        - state: on the eve of the index date; null where there was none
        - days_<group>_<window>: days in a group of states in the window (int)
        - months_since_work: since the last day in work, 0 if that was the eve; NaN if none is on record
        - registrations: spells of registration so far; one that starts the day another ends continues it (int)
        - days_registered: in the spell of registration that holds the eve, else 0 (int)
        - office: of the latest registration that has one; null without
        - days_jug: in the JUG spell that holds the eve, else 0 (int; program_beslut)
        - sick_days_<window>: net days with sickness benefit; of a case, the part before the index date, by its extent while it runs (ersattning_fk)
        - earnings_sek_<k>: in the k-th calendar year before that of the index date; NaN without a record (arsinkomst)
        - insurance_days, support_days: with unemployment insurance and with activity support in the calendar year before; NaN without a record
          (arsinkomst)
        - education, children_0_6: in the latest earlier year with a record; education is a class of codes/sun_niva.csv, or okand (arsinkomst)
        - assistance_months: whole calendar months with social assistance among the last before that of the index date (int; ek_bistand)
        - disability: whether a code was registered (bool; funktionsnedsattning)
        - years_in_sweden: calendar years since immigration; NaN for who never immigrated

    Raises
    ------
    InputError
        With every problem at once: missing columns, people who are not in the registers, index dates that are missing or not observed, groups of
        unknown states.

    Notes
    -----
    Windows that reach before the first delivered record count what there is. Yearly records count from the end of their year, although they are
    published later.
    """
    spec = spec or LookBackSpec()
    connection = clean.registers.connection
    schema = new_schema(connection, "look_back")
    problems = [*_spec_problems(clean, spec), *_seat(clean, people, schema)]
    if problems:
        connection.execute(f"drop schema {schema} cascade")
        raise InputError(problems, "the look-back cannot be made")
    known = _known(clean, schema)
    queries = [_days(clean, observe_states(known), schema, spec), _registrations(known, schema), *_records(clean, known, schema, spec)]
    joined = " join ".join(f"({query})" + " using (pair)" * (place > 0) for place, query in enumerate(queries))
    found: pd.DataFrame = connection.execute(f"select * exclude (pair) from {joined} order by pair").df()
    connection.execute(f"drop schema {known.schema} cascade")
    connection.execute(f"drop schema {schema} cascade")
    return pd.concat([people[[PERSON, INDEX_DATE]], found.set_axis(people.index)], axis=1)


def _spec_problems(clean: CleanRegisters, spec: LookBackSpec) -> Iterator[Problem]:
    states = clean.registers.contract.codes["tillstand"].entries
    known = {*states["kod"], *states["klass"]}
    for name, members in {**{f"states.{group}": members for group, members in spec.states.items()}, "work": spec.work}.items():
        if not members or not known.issuperset(members):
            yield Problem(name, "must name states or classes of states", "choose among the codes and classes of codes/tillstand.csv")


def _seat(clean: CleanRegisters, people: pd.DataFrame, schema: str) -> list[Problem]:
    """Make the table of pairs of person and index date, numbered by row, and give what is wrong with them."""
    absent = [Problem.absent(name, people.columns, "the table of people") for name in (PERSON, INDEX_DATE) if name not in people.columns]
    if absent:
        return absent
    days = pd.to_datetime(people[INDEX_DATE], errors="coerce", format="ISO8601")
    pairs = pd.DataFrame({"pair": range(len(people)), PERSON: people[PERSON].astype("string"), INDEX_DATE: days})
    connection = clean.registers.connection
    connection.register(f"{schema}_pairs", pairs)
    connection.execute(f"create table {schema}.people as select * replace (cast(index_date as date) as index_date) from {schema}_pairs")
    connection.unregister(f"{schema}_pairs")
    query = f"select coalesce(lopnr not in (select lopnr from {clean.source}.individ), true) as stranger from {schema}.people order by pair"
    strangers = connection.execute(query).df()["stranger"].to_numpy(dtype=bool)
    return Problem.broken(
        [
            (PERSON, "must be a person of the registers", strangers, "compare the ids' type and spelling in the two tables"),
            (INDEX_DATE, "must be a date", days.isna().to_numpy(), "write dates as YYYY-MM-DD"),
            (
                INDEX_DATE,
                f"must be observed, at the latest {clean.until}",
                (days > pd.Timestamp(clean.until)).to_numpy(),
                "leave out who starts after the last complete month",
            ),
        ]
    )


def _known(clean: CleanRegisters, schema: str) -> CleanRegisters:
    """Clean what was known of each pair on the eve of its index date, as if each pair were a person of its own."""
    for name in clean.registers.names:
        if name in CODED_BY:
            table = clean.registers.contract.tables[name]
            clean.registers.connection.execute(f"""
                create view {schema}.{name} as
                select entry.* replace (pair as lopnr, {hide_later(table, INDEX_DATE)})
                from {clean.source}.{name} as entry join {schema}.people as people on entry.lopnr = people.lopnr
                where {spell_columns(table).start} < index_date""")
    # death and emigration hold from their date on: one that comes later changes no day before
    clean.registers.connection.execute(f"""
        create view {schema}.individ as
        select individ.* replace (pair as lopnr) from {clean.source}.individ join {schema}.people as people on individ.lopnr = people.lopnr""")
    return clean_entries(clean.registers, clean.spec, schema)


def _within(window: int) -> str:
    """Write the days a spell has in the window before the index date."""
    return f"greatest(least(stop, index_date) - greatest(start, index_date - {window}), 0)"


def _last_year(column: str) -> str:
    return f"cast(max({column}) filter (ar = year(index_date) - 1) as double)"


def _days(clean: CleanRegisters, states: States, schema: str, spec: LookBackSpec) -> str:
    entries = clean.registers.contract.codes["tillstand"].entries

    def one_of(members: Sequence[str]) -> str:
        codes = entries.loc[entries["kod"].isin(members) | entries["klass"].isin(members), "kod"]
        return "state in (" + ", ".join(f"'{code}'" for code in codes) + ")"

    columns = [
        f"cast(coalesce(sum({_within(window)}) filter ({one_of(members)}), 0) as bigint) as days_{name}_{window}"
        for name, members in spec.states.items()
        for window in spec.windows_days
    ]
    columns.insert(0, "max(state) filter (stop >= index_date) as state")  # one at most, for spells of states do not overlap
    columns.append(f"(index_date - max(least(stop, index_date)) filter ({one_of(spec.work)})) / {DAYS_PER_MONTH} as months_since_work")
    return f"""
        select pair, {", ".join(columns)}
        from {schema}.people as people left join {states.table} as states on pair = states.lopnr and start < index_date group by pair, index_date"""


def _registrations(known: CleanRegisters, schema: str) -> str:
    return f"""
        with registered as (
            select *, start is distinct from lag(stop) over (partition by lopnr order by start) as anew from {known.schema}.inskrivning)
        select pair, count(*) filter (anew) as registrations,
            if(max(stop) >= index_date, index_date - max(start) filter (anew), 0) as days_registered, arg_max(kontor, start) as office
        from {schema}.people as people left join registered on pair = registered.lopnr group by pair, index_date"""


def _records(clean: CleanRegisters, known: CleanRegisters, schema: str, spec: LookBackSpec) -> Iterator[str]:
    """Query what the other tables tell, those that were delivered."""
    people, source, names = f"{schema}.people as people", clean.source, clean.registers.names
    if PROGRAMME in known.names:
        yield f"""
            select pair, coalesce(index_date - max(start), 0) as days_jug
            from {people} left join {known.schema}.{PROGRAMME} as spell on pair = spell.lopnr and klass = 'jug' and stop >= index_date
            group by pair, index_date"""
    if "ersattning_fk" in known.names:
        # in a fixed order, so that the order of the rows moves not even the last bit of the sum
        net = "coalesce(nettodagar / (stop - start), omfattning / 100) order by start, formanskod"
        columns = [f"coalesce(sum({_within(window)} * {net}), 0.0) as sick_days_{window}" for window in spec.sick_windows_days]
        yield f"""
            select {", ".join(["pair", *columns])}
            from {people} left join {known.schema}.ersattning_fk as spell on pair = spell.lopnr and klass = 'sjuk' group by pair, index_date"""
    if "arsinkomst" in names:
        earnings = ", ".join(
            f"max({SEK_PER_HUNDRED}.0 * loneink_hkr) filter (ar = year(index_date) - {year}) as earnings_sek_{year}"
            for year in range(1, spec.earnings_years + 1)
        )
        yield f"""
            select pair, {earnings}, {_last_year("akassa_dagar")} as insurance_days, {_last_year("aktivitetsstod_dagar")} as support_days,
                coalesce(arg_max(klass, ar) filter (klass <> '{UNKNOWN}'), '{UNKNOWN}') as education,
                cast(arg_max(barn0_6, ar) filter (barn0_6 is not null) as double) as children_0_6
            from {people} left join {source}.arsinkomst as record on people.lopnr = record.lopnr and ar < year(index_date)
            left join codes.sun_niva on sun_niva = kod and make_date(ar, 12, 31) between giltig_fran and giltig_till group by pair, index_date"""
    if "ek_bistand" in names:
        month = "date_trunc('month', index_date)"
        yield f"""
            select pair, count(manad) as assistance_months
            from {people} left join {source}.ek_bistand as record on people.lopnr = record.lopnr and belopp_kr is distinct from 0
                and manad < {month} and manad >= {month} - to_months({spec.assistance_months})
            group by pair"""
    if "funktionsnedsattning" in names:
        yield f"""
            select pair, count(kod) > 0 as disability
            from {people} left join {source}.funktionsnedsattning as record on people.lopnr = record.lopnr and registrerad_datum < index_date
            group by pair"""
    yield f"""
        select pair, cast(if(invandringsar <= year(index_date), year(index_date) - invandringsar, null) as double) as years_in_sweden
        from {people} join {source}.individ using (lopnr)"""
