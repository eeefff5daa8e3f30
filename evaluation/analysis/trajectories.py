"""Where was each compared person month by month, did success last, and what did they live on?

An exit is one day; what the steering group asks about is the two years around it. For the compared rows only: the state in each month, whether
success still held after a while, whether unemployment came back, and benefits and earnings over two years.

References
----------
Sianesi (2004). An evaluation of the Swedish system of active labor market programs in the 1990s. RESTAT 86(1), 133-155 (state by month, benefits).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.analysis.compared import Compared, compared_follow_up
from evaluation.analysis.exits import UNEMPLOYED, OutcomeSpec, states_shown
from evaluation.analysis.followed import dates_of, first_pay_month, potential_days, seated
from evaluation.analysis.outcomes import FollowUp, TimeUnit
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import InputError, Problem
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.states import States

MONTHS = 24
STATE_DAYS = np.array([round(month * TimeUnit.MONTH.days) for month in range(MONTHS + 1)])
LASTING_DAYS = (90, 180, 365)
WITHIN_DAYS = 365  # how lasting a success is is asked of those who succeeded within a year, and for a year

Places = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What happened to the compared rows in two years, in the order of `Comparison.rows`.

    Attributes
    ----------
    state : ndarray of int8, shape (u, 25)
        Position in `labels` of the state so many months (of 30.4375 days) after the index date; -1 where the registers say nothing of the day.
    labels : tuple of str
        Every state of codes/tillstand.csv: work, studies, other absence, then unemployment, programmes apart from open unemployment.
    succeeded : ndarray of bool, shape (u,)
        Whether the first exit was success and came within 365 days.
    lasting : dict of int to ndarray of bool, shape (u,)
        By 90, 180 and 365: whether who succeeded was in a state of success so many days later, the same or another.
    returned : ndarray of bool, shape (u,)
        Whether who succeeded was unemployed again within 365 days of it.
    totals : DataFrame, shape (u, k)
        Over 24 months: sick_days (net days with sickness benefit, from the index date); assistance_months (calendar months with social assistance)
        and earnings_sek (pay), both in the 24 calendar months that begin on the index date or after it. Only those whose table was delivered.
    reach : ndarray of float, shape (u,)
        Days for which a row could be followed.
    earnings_reach : ndarray of float, shape (u,), or None
        The same for earnings: 0 for rows before the first month delivered. None where no pay was delivered.
    """

    state: Places
    labels: tuple[str, ...]
    succeeded: Bools
    lasting: dict[int, Bools]
    returned: Bools
    totals: pd.DataFrame
    reach: Floats
    earnings_reach: Floats | None

    def __post_init__(self) -> None:
        for array in (self.state, self.succeeded, *self.lasting.values(), self.returned, self.reach):
            array.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per compared row, in the order of `Comparison.rows`.

        The columns: succeeded, lasting_<days>_days and returned (yes or no), those of `totals`, reach_days, earnings_reach_days where pay was
        delivered, and state_<months>, the state so many months after the index date, missing where the registers say nothing of the day.
        """
        columns: dict[str, object] = {"succeeded": self.succeeded}
        columns |= {f"lasting_{days}_days": held for days, held in self.lasting.items()} | {"returned": self.returned}
        columns |= {str(name): total.to_numpy() for name, total in self.totals.items()} | {"reach_days": self.reach}
        columns |= {} if self.earnings_reach is None else {"earnings_reach_days": self.earnings_reach}
        labels = pd.Index(self.labels)
        columns |= {f"state_{month}": pd.Categorical.from_codes(codes.tolist(), labels) for month, codes in enumerate(self.state.T)}
        return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class _Spells:
    """Spells in states that touch the two years of a row: row, place in the labels, first day and day after the last, counted from the index date."""

    row: NDArray[np.intp]
    place: Places
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


def observe_trajectories(states: States, cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: OutcomeSpec | None = None) -> Trajectory:
    """Give the states by month, how lasting success was, and two years' benefits and earnings of every compared row.

    Parameters
    ----------
    states : States
    cohort : Cohort
        With index dates.
    comparison : Comparison, u rows with a weight
    follow_up : FollowUp
        From `observe_outcomes`: who succeeded, and when.
    spec : OutcomeSpec, optional
        The one the follow-up was observed by.

    Returns
    -------
    Trajectory

    Raises
    ------
    InputError
        If the comparison or the follow-up is of another cohort or definition, the cohort has no index dates, or somebody is not in the registers.

    Notes
    -----
    That a success lasts, and that unemployment comes back, is told by the labour-market states in every definition: in the independent one, by work
    of any kind or studies. Nothing is known after the registers end, so rows are to be counted only where `reach` covers the days asked about.
    """
    spec, clean = spec or OutcomeSpec(), states.clean
    classes = states_shown(clean.registers.contract)
    labels = tuple(sorted(classes, key=lambda state: classes[state] == UNEMPLOYED))
    compared = compared_follow_up(cohort, comparison, follow_up)
    rows, success = compared.rows, spec.success(clean.registers.contract)
    if not set(success) <= set(compared.states):
        raise InputError(
            [Problem("follow_up", f"does not have the successes of the {spec.definition} definition", "observe outcomes by the same spec")]
        )
    succeeded = np.isin(compared.exit, [compared.states.index(state) for state in success]) & (compared.days <= WITHIN_DAYS)
    with seated(states, cohort, rows) as people:
        spells = _spells(states, people, labels)
        totals = _totals(clean, people, len(rows))
    reach = np.maximum(potential_days(clean, cohort)[rows], 0.0)
    holds = np.array([state in success or classes[state] in success for state in labels])
    return Trajectory(
        state=_by_month(spells, len(rows)),
        labels=labels,
        succeeded=succeeded,
        lasting={after: succeeded & _lasting(spells, compared, holds, after) for after in LASTING_DAYS},
        returned=succeeded & _returned(spells, compared, np.array([classes[state] == UNEMPLOYED for state in labels])),
        totals=totals,
        reach=reach,
        earnings_reach=_earnings_reach(clean, dates_of(cohort).iloc[rows], reach),
    )


def _spells(states: States, people: str, labels: tuple[str, ...]) -> _Spells:
    places = ", ".join(f"('{state}', {place})" for place, state in enumerate(labels))
    found = states.connection.execute(f"""
        select row, cast(place as tinyint) as place, cast(start - index_date as bigint) as start, cast(stop - index_date as bigint) as stop
        from {people} join {states.table} using (lopnr) join (values {places}) as label(state, place) using (state)
        where stop > index_date and start <= index_date + {2 * WITHIN_DAYS} order by row, start""").fetchnumpy()
    return _Spells(*(np.asarray(found[name]) for name in ("row", "place", "start", "stop")))


def _by_month(spells: _Spells, n: int) -> Places:
    first, after = np.searchsorted(STATE_DAYS, spells.start), np.searchsorted(STATE_DAYS, spells.stop)
    months = after - first
    number = np.arange(months.sum()) - np.repeat(np.cumsum(months) - months, months)
    state = np.full((n, MONTHS + 1), -1, dtype=np.int8)
    state[np.repeat(spells.row, months), np.repeat(first, months) + number] = np.repeat(spells.place, months)
    return state


def _lasting(spells: _Spells, compared: Compared, holds: Bools, after: int) -> Bools:
    day = np.floor(compared.days)[spells.row] + after
    return _any(spells.row[holds[spells.place] & (spells.start <= day) & (day < spells.stop)], len(compared.days))


def _returned(spells: _Spells, compared: Compared, unemployed: Bools) -> Bools:
    seeking = unemployed[spells.place]
    # a programme within unemployment is no return to it
    follows = (spells.row[1:] == spells.row[:-1]) & (spells.start[1:] == spells.stop[:-1]) & seeking[:-1]
    begins = seeking & ~np.concatenate([[False], follows])
    since = spells.start - np.floor(compared.days)[spells.row]
    return _any(spells.row[begins & (since > 0) & (since <= WITHIN_DAYS)], len(compared.days))


def _any(rows: NDArray[np.intp], n: int) -> Bools:
    found = np.zeros(n, dtype=bool)
    found[rows] = True
    return found


def _totals(clean: CleanRegisters, people: str, n: int) -> pd.DataFrame:
    connection = clean.registers.connection
    columns = {name: connection.execute(f"{query} group by row order by row").fetchnumpy()[name] for name, query in _queries(clean, people)}
    return pd.DataFrame(columns, index=range(n))


def _queries(clean: CleanRegisters, people: str) -> Iterator[tuple[str, str]]:
    """Query each total the delivered tables tell of, by row."""
    end, months = f"cast(index_date + to_months({MONTHS}) as date)", f"manad >= index_date and manad < index_date + to_months({MONTHS})"
    if "ersattning_fk" in clean.names:
        days, net = f"greatest(least(stop, {end}) - greatest(start, index_date), 0)", "coalesce(nettodagar / (stop - start), omfattning / 100)"
        # in a fixed order, so that the order of the rows moves not even the last bit of the sum
        yield (
            "sick_days",
            f"""select coalesce(sum({days} * {net} order by start, formanskod), 0.0) as sick_days
            from {people} as people left join {clean.schema}.ersattning_fk as spell
                on people.lopnr = spell.lopnr and klass = 'sjuk' and stop > index_date and start < {end}""",
        )
    if "ek_bistand" in clean.registers.names:
        yield (
            "assistance_months",
            f"""select cast(count(manad) as double) as assistance_months from {people} as people left join {clean.source}.ek_bistand as record
                on people.lopnr = record.lopnr and belopp_kr is distinct from 0 and {months}""",
        )
    if "manadslon" in clean.registers.names:
        yield (
            "earnings_sek",
            f"""select cast(coalesce(sum(kontant_ersattning), 0) as double) as earnings_sek
            from {people} as people left join {clean.source}.manadslon as record on people.lopnr = record.lopnr and {months}""",
        )


def _earnings_reach(clean: CleanRegisters, index_date: pd.Series, reach: Floats) -> Floats | None:
    if "manadslon" not in clean.registers.names:
        return None
    return np.where(index_date >= first_pay_month(clean), reach, 0.0)
