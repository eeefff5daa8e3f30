"""Which rows are followed through the registers, from which day, and how far do the registers reach?

What everything that is looked up after the index date has in common, whether it is exits, trajectories or placebos.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from evaluation.design.cohort import Cohort, Floats, Rows
from evaluation.errors import InputError, Problem
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.states import States
from evaluation.registers.store import scalar


def dates_of(cohort: Cohort) -> pd.Series:
    """Give the index date of every row.

    Raises
    ------
    InputError
        If the cohort has none.
    """
    if cohort.index_date is None:
        raise InputError([Problem("index_date", "is needed to look up outcomes in the registers", "name the column when the cohort is made")])
    dates: pd.Series = cohort.index_date.dt.normalize()
    return dates


def potential_days(clean: CleanRegisters, cohort: Cohort) -> Floats:
    """Give the days for which each row could be followed; below 0 where its trial ends after the registers.

    Parameters
    ----------
    clean : CleanRegisters
    cohort : Cohort, n rows
        With index dates.

    Returns
    -------
    ndarray of float, shape (n,)
        To the last complete day, from the index date; in a stack from the last day of the month of the trial's last index date, so that everybody in
        a trial has the same.
    """
    last = dates_of(cohort)
    if cohort.trial is not None:
        last = last.groupby(cohort.column(cohort.trial), observed=True).transform("max") + pd.offsets.MonthEnd(0)
    return np.asarray((pd.Timestamp(clean.registers.complete_until) - last).dt.days, dtype=np.float64)


@contextmanager
def seated(states: States, cohort: Cohort, rows: Rows | None = None) -> Iterator[str]:
    """Put rows of a cohort beside the registers for as long as they are looked up.

    Parameters
    ----------
    states : States
    cohort : Cohort
    rows : ndarray of int, shape (u,), optional
        Everybody, if not given.

    Yields
    ------
    str
        A table: row (position in `rows`), lopnr, index_date.

    Raises
    ------
    InputError
        If the cohort has no index dates, or somebody is not in the registers.
    """
    connection, table = states.connection, f"{states.clean.schema}.followed"
    chosen = np.arange(len(cohort)) if rows is None else rows
    frame = pd.DataFrame(
        {
            "row": np.arange(len(chosen)),
            "lopnr": cohort.person[chosen].astype("string"),
            "index_date": dates_of(cohort).to_numpy()[chosen],
        }
    )
    connection.register("given", frame)
    connection.execute(f"create or replace table {table} as select * replace (cast(index_date as date) as index_date) from given")
    connection.unregister("given")
    try:
        query = f"select coalesce(lopnr not in (select lopnr from {states.clean.source}.individ), true) as stranger from {table} order by row"
        strangers = np.asarray(connection.execute(query).fetchnumpy()["stranger"], dtype=bool)
        if strangers.any():
            remedy = "compare the ids' type and spelling in the two tables"
            raise InputError([Problem.in_rows("person", "must be a person of the registers", strangers, remedy)])
        yield table
    finally:
        connection.execute(f"drop table {table}")


def first_pay_month(clean: CleanRegisters) -> pd.Timestamp:
    """Give the first day of the first month of pay delivered; a day that never comes if the table is empty."""
    first = scalar(clean.registers.connection, f"select cast(min(manad) as varchar) from {clean.source}.manadslon")
    return pd.Timestamp.max if first is None else pd.Timestamp(str(first))
