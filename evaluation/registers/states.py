"""In which labour-market state is each person on each day, as far as the registers say?

Every source that tells of a day is a spell in a state: categories, what follows a deregistration, wage subsidies, studies, full sickness benefit,
pension age, emigration, death. Where several hold on a day, the one of lowest rank in codes/tillstand.csv wins. Starts and ends are swept in order of
day, each state a bit of a running sum, so that the work grows as n log n in the spells, whatever their length.

References
----------
de Berg, Cheong, van Kreveld & Overmars (2008). Computational Geometry, 3rd ed., chapter 2 (plane sweep).
Ordinance (2007:414) on the job and development guarantee, section 13.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pandas as pd

from evaluation.registers.cleaning import PROGRAMME, CleanRegisters

TO_WORK, OTHER_REASON, LOST = "arbete_osubventionerat", "avregistrerad_annan", "okand"
PENSION, MOVED, DEAD = "pension", "flyttad", "avliden"
SUBSIDY_LAG_DAYS = 30  # a decision may come after the job: who was deregistered to work within a month before it went to that very job
PROGRAMME_LAG_DAYS = 30  # the agency may wait 30 days before it ends a programme, so the two ends may differ by that
TOLD_BY_PROGRAMME = "('foraldraledig', 'sjuk')"  # reasons a programme's end tells, for which a deregistration has only "other known reason"
FULL_EXTENT = 100  # per cent: who has a part of the benefit works or seeks work the rest of the day
# 1 January of the year a person reaches an age, or of the first year in which that age is the pension age
_PENSIONED = "make_date(greatest(fodelsear + cast(kod as bigint), year(giltig_fran - 1) + 1), 1, 1)"
_BITS = "select kod as state, 1::bigint << (row_number() over (order by cast(rang as integer), kod) - 1) as bit from codes.tillstand"


@dataclass(frozen=True, eq=False)
class States:
    """One state per person and day.

    Attributes
    ----------
    clean : CleanRegisters
        What they were observed in.
    table : str
        Where it holds lopnr, start, stop (DATE, half-open) and state (a code of codes/tillstand.csv): spells of a person do not overlap, and where
        one touches the next the state changes. A day without a record has no state.
    """

    clean: CleanRegisters
    table: str

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The database the table stands in."""
        return self.clean.registers.connection

    def frame(self) -> pd.DataFrame:
        """Give lopnr, start, stop and state, by person and start."""
        frame: pd.DataFrame = self.connection.execute(f"from {self.table} order by lopnr, start").df()
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Give one row per spell, as `frame`: lopnr, start, stop (the day after the last), state."""
        return self.frame()


def observe_states(clean: CleanRegisters) -> States:
    """Give the state of each person on each day up to the end of follow-up.

    Parameters
    ----------
    clean : CleanRegisters

    Returns
    -------
    States

    Notes
    -----
    - A category is a state by its class, whether or not the person is deregistered: 31 is an exit, 14 is none.
    - From a deregistration to the next registration, or to the end of follow-up, the person is in the state the reason tells; without a reason, lost.
      A registered day without a category has no state.
    - Who left for another known reason is on parental leave or sick if that is how a JUG decision ended within 30 days of the deregistration.
    - A wage subsidy is a state by its class. If the person was deregistered to work at most 30 days before it starts, the job began that day.
    - Studies are a state if the class of their kind is one (regular studies; Swedish for immigrants is not).
    - Sickness is a state at full extent only.
    - Pension begins on 1 January of the year in which a person reaches the pension age of that year; emigration and death on their date. None of
      the three ends.
    """
    table = f"{clean.schema}.states"
    connection = clean.registers.connection
    connection.execute(f"create or replace table {clean.schema}.state_events as {_events(clean)}")
    # a state whose bit is lower ranks lower, so the state that wins is the lowest bit of those that hold
    connection.execute(f"""
        create or replace table {table} as
        with holding as (
            select lopnr, day, cast(sum(turn) over (partition by lopnr order by day) as bigint) as bits from {clean.schema}.state_events),
        changes as (
            select lopnr, day, bits & -bits as bit from holding
            qualify bit is distinct from lag(bit) over (partition by lopnr order by day)),
        spells as (select lopnr, day as start, lead(day) over (partition by lopnr order by day) as stop, bit from changes)
        select lopnr, start, stop, state from spells join ({_BITS}) using (bit)""")
    connection.execute(f"drop table {clean.schema}.state_events")
    return States(clean, table)


def _events(clean: CleanRegisters) -> str:
    """Query the days on which states begin (+ their bit) and cease to hold (- their bit), summed by person and day.

    Spells of one state that overlap or touch are one: only the first of them begins it, and it ceases at the farthest stop before the next beginning.
    """
    return f"""
        with gone as materialized ({_gone(clean)}),
        told as materialized (select lopnr, start, stop, bit from ({_sources(clean)}) join ({_BITS}) using (state) where start < stop),
        reached as (
            select *, max(stop) over (partition by lopnr, bit order by start, stop rows between unbounded preceding and 1 preceding) as reach
            from told),
        begun as (from reached where reach is null or start > reach),
        turns as (
            select lopnr, start as day, bit as turn from begun
            union all select lopnr, reach, -bit from begun where reach is not null
            union all select lopnr, max(stop), -bit from told group by lopnr, bit)
        select lopnr, day, sum(turn) as turn from turns group by lopnr, day having sum(turn) <> 0"""


def _gone(clean: CleanRegisters) -> str:
    """Query what each deregistration says of the days until the next registration."""
    return f"""
        select lopnr, stop as start, coalesce(lead(start) over (partition by lopnr order by start), date '{clean.until}') as stop,
            coalesce(klass, '{LOST}') as state
        from {clean.schema}.inskrivning"""


def _sources(clean: CleanRegisters) -> str:
    """Query everything that tells of a state: lopnr, start, stop, state."""
    schema = clean.schema
    told = ["select lopnr, start, stop, state from gone"]
    told += [
        f"select lopnr, start, stop, klass from {schema}.{name}" for name in ("sokandekategori", "stod_beslut", "studier") if name in clean.names
    ]
    if "stod_beslut" in clean.names:
        told.append(f"""
            select lopnr, gone.start, decision.start, klass from gone join {schema}.stod_beslut as decision using (lopnr)
            where state = '{TO_WORK}' and decision.start - gone.start between 0 and {SUBSIDY_LAG_DAYS} and decision.start <= gone.stop
            qualify decision.start = min(decision.start) over (partition by lopnr, gone.start)""")
    if PROGRAMME in clean.names:
        told.append(f"""
            select lopnr, gone.start, gone.stop, ended_as from gone join {schema}.{PROGRAMME} as programme using (lopnr)
            where state = '{OTHER_REASON}' and klass = 'jug' and ended_as in {TOLD_BY_PROGRAMME}
                and abs(programme.stop - gone.start) <= {PROGRAMME_LAG_DAYS}""")
    if "ersattning_fk" in clean.names:
        told.append(f"select lopnr, start, stop, klass from {schema}.ersattning_fk where omfattning = {FULL_EXTENT}")
    return " union all ".join([*told, endings(clean)])


def endings(clean: CleanRegisters) -> str:
    """Query what ends a working life whatever the employment service knows: pension age, emigration, death.

    Parameters
    ----------
    clean : CleanRegisters

    Returns
    -------
    str
        SQL for lopnr, start, stop (the end of follow-up) and state; start is null where it has not come.
    """
    people, until = f"{clean.source}.individ", f"date '{clean.until}'"
    return f"""
        select lopnr, min({_PENSIONED}) as start, {until} as stop, '{PENSION}' as state
        from {people} join codes.pensionsalder on {_PENSIONED} <= giltig_till group by lopnr
        union all select lopnr, utvandring_datum, {until}, '{MOVED}' from {people}
        union all select lopnr, dod_datum, {until}, '{DEAD}' from {people}"""
