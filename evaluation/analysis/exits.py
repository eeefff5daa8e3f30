"""What did each person leave unemployment for, and after how many days?

The first exit after the index date decides, in the project's own words or by one of three other definitions. Exits are found once per person, in the
database; rows of a stack only look them up, so a control who serves in many trials costs little more than one who serves in one.

References
----------
Sianesi (2004). An evaluation of the Swedish system of active labor market programs in the 1990s. RESTAT 86(1), 133-155 (counting from the start).
Ordinance (2007:414) on the job and development guarantee, section 13 (who leaves it for sickness: beyond 30 days).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from evaluation.analysis.followed import dates_of, first_pay_month, potential_days, seated
from evaluation.analysis.outcomes import CENSORED, FollowUp, TimeUnit
from evaluation.design.cohort import Cohort
from evaluation.design.cohort_spec import EVENT, TimeZero
from evaluation.errors import InputError, Problem
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.contract import Contract
from evaluation.registers.states import DEAD, MOVED, PENSION, TO_WORK, States, endings

UNEMPLOYED, WORK, STUDIES = "arbetslos", "arbete", "studier"  # classes of codes/tillstand.csv
SICK = "sjuk"
EARNINGS = WORK  # pay tells of work, but not of which kind: the class stands for the state
SHOWN = (  # the order to show states in; others come after these, by rank
    *(TO_WORK, "nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag", "eget_foretagande", "studier_reguljara"),
    *(SICK, "foraldraledig", PENSION, MOVED, DEAD, "okand", "avregistrerad_annan"),
)
NEEDS = {"studies": ("studier",), "independent": ("manadslon", "studier")}  # tables that are optional, and without which a definition means nothing
SHORTEST_DAYS = 0.5  # follow-up is above 0: an exit on the index date comes before every other day's

Definition = Literal["strict", "project", "studies", "independent"]


class OutcomeSpec(BaseModel):
    """What counts as having left unemployment, and as success."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    definition: Definition = Field(
        default="project",
        description="strict: unsubsidised work; project: any work, with or without a subsidy, or regular studies; studies: regular studies; "
        "independent: pay or studies, whatever the employment service knows",
    )
    sustained_days: int = Field(
        default=0, ge=0, description="work or studies shorter than this are no exit; follow-up ends as much sooner. Independent has earnings_months"
    )
    sick_days: int = Field(default=30, ge=0, description="full sickness benefit of up to so many days is no exit")
    earnings_sek_month: float = Field(default=10_000, gt=0, description="independent: pay in a calendar month that is work")
    earnings_months: int = Field(default=3, ge=1, description="independent: how many months running")

    def success(self, contract: Contract) -> tuple[str, ...]:
        """Give the states that are success, in the order to show them."""
        states = states_shown(contract)
        studies = [state for state, klass in states.items() if klass == STUDIES]
        if self.definition == "strict":
            return (TO_WORK,)
        if self.definition == "studies":
            return tuple(studies)
        if self.definition == "independent":
            return (EARNINGS, *studies)
        return tuple(state for state, klass in states.items() if klass in (WORK, STUDIES))

    def competing(self, contract: Contract) -> tuple[str, ...]:
        """Give the states that end unemployment otherwise, in the order to show them."""
        if self.definition == "independent":
            return (PENSION, MOVED, DEAD)
        no_exit = (UNEMPLOYED, WORK) if self.definition == "strict" else (UNEMPLOYED,)
        success = self.success(contract)
        return tuple(state for state, klass in states_shown(contract).items() if klass not in no_exit and state not in success)


def observe_outcomes(states: States, cohort: Cohort, spec: OutcomeSpec | None = None, *, time_zero: TimeZero = "start") -> FollowUp:
    """Give the first exit from unemployment of every row of the cohort, or the day up to which none was seen.

    Parameters
    ----------
    states : States
    cohort : Cohort, n rows
        With index dates, one per person or one per person and trial.
    spec : OutcomeSpec, optional
    time_zero : "start" or "offer"
        What the treated's index dates are the days of, and so what ends a control's time as one: their own start, or their own offer.

    Returns
    -------
    FollowUp
        Rows as in the cohort; `person` is the cohort's own index. `states` are those of `spec.success`, then those of `spec.competing`.

    Raises
    ------
    InputError
        If a table the definition needs was not delivered, the cohort has no index dates, or somebody is not in the registers.

    Notes
    -----
    - An exit is the first day, from the index date on, in a state that is one; unemployment, programmes, impediments and days without a record are
      none. In the strict definition a subsidised job is none either: the person is still registered.
    - Work and studies that follow one another without a day between are one run, and count from its first day if it lasts `sustained_days`. Follow-up
      ends so many days before the last complete day, for everything, since a later run cannot be seen to last.
    - Full sickness benefit counts from its first day, if it lasts more than `sick_days`. A case that has not done so when the registers end is none.
    - Independent: from the first day of the first `earnings_months` calendar months running with enough pay (of all employers) that begin after the
      index date, or of the first regular studies; only pension, emigration and death compete. Follow-up ends where a run can last be seen to begin.
      Who has enough pay in the calendar month before that of the index date is at work already. Where pay begins with the month of the index date,
      nobody is known to be.
    - Of exits on one day the state of lower rank in codes/tillstand.csv counts.
    - Nobody has 0 days. Who leaves on the index date itself was unemployed on its eve and has left after half a day. Whose follow-up ends on the
      index date is censored after half a day.
    - `reach` runs from the last day of the trial's month, or from the index date in a cohort without trials, to the end of follow-up. Whose outcome
      cannot be seen at all has reach 0 and is censored after half a day: who had left already (in such a state on the eve and on the index date; in
      the independent definition, at work already), and in the independent definition whose index date lies before the first month of pay delivered.
    - `later_start` counts to the first start in the project after the index date, for controls; to the first offer where the offer is time zero, and
      whoever starts without one on record is offered then.
    """
    spec, clean = spec or OutcomeSpec(), states.clean
    require_tables(clean, spec)
    with seated(states, cohort) as people:
        found = states.connection.execute(_first_exits(states, people, spec)).fetchnumpy()
        by_pay = np.asarray(states.connection.execute(_unseen_by_pay(clean, people, spec)).fetchnumpy()["unseen"], dtype=bool)
        later = np.asarray(states.connection.execute(_later_starts(clean, people, time_zero)).fetchnumpy()["days"], dtype=np.float64)
    place, seen_days, gone = (np.asarray(found[name]) for name in ("place", "days", "gone"))
    index_date, end = dates_of(cohort), _last_day(clean, spec)
    unseen = gone | by_pay
    days = np.where(place >= 0, seen_days, (end - index_date).dt.days)
    reach = potential_days(clean, cohort) - (pd.Timestamp(clean.registers.complete_until) - end).days
    names = [CENSORED, *spec.success(clean.registers.contract), *spec.competing(clean.registers.contract)]
    return FollowUp(
        person=cohort.person,
        days=np.where(unseen, SHORTEST_DAYS, np.maximum(days, SHORTEST_DAYS)),
        state=pd.Categorical.from_codes(np.where(unseen, 0, place + 1).tolist(), pd.Index(names)),
        horizon=float(max(reach.max(), SHORTEST_DAYS)),
        unit=TimeUnit.MONTH,  # registers count in days, an evaluation speaks of months
        reach=np.where(unseen, 0.0, np.maximum(reach, 0.0)),
        later_start=np.where(cohort.treated | (later < 0), np.inf, later),
    )


def states_shown(contract: Contract) -> dict[str, str]:
    """Give every labour-market state and its class, in the order to show them."""
    entries = contract.codes["tillstand"].entries
    place = entries["kod"].map({state: place for place, state in enumerate(SHOWN)}).fillna(len(SHOWN))
    ordered = entries.assign(place=place, rang=entries["rang"].astype(int)).sort_values(["place", "rang"])
    return dict(zip(ordered["kod"], ordered["klass"], strict=True))


def require_tables(clean: CleanRegisters, spec: OutcomeSpec) -> None:
    """Refuse a definition of success whose tables were not delivered.

    Raises
    ------
    InputError
        That names each of them.
    """
    rule = f"is needed for the outcome definition {spec.definition}, and was not delivered"
    absent = [name for name in NEEDS.get(spec.definition, ()) if name not in clean.registers.names]
    if absent:
        raise InputError([Problem(name, rule, "deliver it, or choose another definition") for name in absent])


def _last_day(clean: CleanRegisters, spec: OutcomeSpec) -> pd.Timestamp:
    """Give the last day on which an exit can be told from something shorter."""
    if spec.definition == "independent":
        return pd.Timestamp(clean.until) - pd.DateOffset(months=spec.earnings_months - 1) - pd.Timedelta(days=1)
    return pd.Timestamp(clean.registers.complete_until) - pd.Timedelta(days=spec.sustained_days)


def _unseen_by_pay(clean: CleanRegisters, people: str, spec: OutcomeSpec) -> str:
    """Query for each row, in order: whether it has pay already, or pay is not known from its index date on; nobody where the definition asks none."""
    if spec.definition != "independent":
        return f"select false as unseen from {people}"
    return f"""
        select coalesce(sum(kontant_ersattning) >= {spec.earnings_sek_month}, false)
            or any_value(index_date) < date '{first_pay_month(clean):%Y-%m-%d}' as unseen
        from {people} as people left join {clean.source}.manadslon as pay
            on people.lopnr = pay.lopnr and manad = date_trunc('month', index_date) - to_months(1)
        group by row order by row"""


def _first_exits(states: States, people: str, spec: OutcomeSpec) -> str:
    """Query for each row, in order: whether it had left already, days to its first exit and that state's place; -1 where there is none."""
    contract = states.clean.registers.contract
    rank = contract.codes["tillstand"].entries.set_index("kod")["rang"]
    names = [*spec.success(contract), *spec.competing(contract)]
    # pay is work: on the same day it goes before studies
    known = ", ".join(f"('{name}', {place}, {rank[TO_WORK if name == EARNINGS else name]})" for place, name in enumerate(names))
    exits = _independent(states.clean, people, spec) if spec.definition == "independent" else _registered(states, people, spec)
    # the month of the index date holds pay from before it, so that a run of pay begins after it
    return f"""
        with known(state, place, rank) as (values {known}),
        exits as materialized (select * from ({exits}) join known using (state)),
        found as (
            select row, bool_or(start < index_date and stop >= index_date) and bool_or(start <= index_date and stop > index_date) as gone,
                min((start, rank, place)) filter (start >= index_date + cast(state = '{EARNINGS}' as integer)) as first,
                any_value(index_date) as index_date
            from {people} left join exits using (lopnr) group by row),
        observed as (select *, coalesce(first[1] <= date '{_last_day(states.clean, spec):%Y-%m-%d}', false) as seen from found)
        select coalesce(gone, false) as gone, if(seen, first[1] - index_date, -1) as days, if(seen, first[3], -1) as place
        from observed order by row"""


def _registered(states: States, people: str, spec: OutcomeSpec) -> str:
    """Query the exits the labour-market states tell of: lopnr, start, stop, state."""
    contract = states.clean.registers.contract
    success, competing = spec.success(contract), spec.competing(contract)
    return f"""
        with told as (
            select *, {_one_of(success)} as succeeded, lag(stop) over person as before, lag({_one_of(success)}) over person as did
            from {states.table} where lopnr in (select lopnr from {people}) window person as (partition by lopnr order by start)),
        numbered as (
            select *, count(*) filter (not (succeeded and coalesce(did and before = start, false))) over (partition by lopnr order by start) as run
            from told where {_one_of((*success, *competing))}),
        measured as (select *, max(stop) over (partition by lopnr, run) - min(start) over (partition by lopnr, run) as lasted from numbered)
        select lopnr, start, stop, state from measured
        where case when succeeded then lasted >= {spec.sustained_days} when state = '{SICK}' then lasted > {spec.sick_days} else true end"""


def _independent(clean: CleanRegisters, people: str, spec: OutcomeSpec) -> str:
    """Query the exits that pay, studies and the end of working life tell of; a run of pay is a point in time."""
    studies = [state for state in spec.success(clean.registers.contract) if state != EARNINGS]
    return f"""
        with paid as (
            select lopnr, manad from {clean.source}.manadslon where manad < date '{clean.until}' and lopnr in (select lopnr from {people})
            group by lopnr, manad having sum(kontant_ersattning) >= {spec.earnings_sek_month}),
        begun as (
            from paid
            qualify lead(manad, {spec.earnings_months - 1}) over (partition by lopnr order by manad) = manad + to_months({spec.earnings_months - 1}))
        select lopnr, manad as start, manad as stop, '{EARNINGS}' as state from begun
        union all select lopnr, start, stop, klass from {clean.schema}.studier where {_one_of(studies, "klass")}
        union all select * from ({endings(clean)}) where start < stop"""


def _later_starts(clean: CleanRegisters, people: str, time_zero: TimeZero) -> str:
    return f"""
        select coalesce(min(event) - any_value(index_date), -1) as days
        from {people} as people left join (select lopnr, {EVENT[time_zero]} as event from {clean.source}.projekt_deltagande) as part
            on people.lopnr = part.lopnr and event > index_date and event < date '{clean.until}'
        group by row order by row"""


def _one_of(states: Sequence[str], column: str = "state") -> str:
    return f"{column} in (" + ", ".join(f"'{state}'" for state in states) + ")"
