"""Who could have started on the same day as each participant, and had not?

One trial per calendar month: those who start in it, and the people who were in JUG on such a day without having started. Follow-up begins on the
same days for both, and nothing that came later decides who is in: a later participant is a control until the month of the own start. Everything of
the size of persons times months stays in the database; only the rows drawn leave it.

References
----------
Sianesi (2004). An evaluation of the Swedish system of active labor market programs in the 1990s. RESTAT 86(1), 133-155.
Li, Propert & Rosenbaum (2001). Balanced risk set matching. Journal of the American Statistical Association 96(455), 870-882.
Hernán & Robins (2016). Using big data to emulate a target trial when a randomized trial is not available. American Journal of Epidemiology 183(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from evaluation.design.at_dates import see_eve, stack_trials, was_at_risk
from evaluation.design.cohort import Cohort
from evaluation.design.cohort_spec import BAND, EVENT, TRIAL, CohortSpec
from evaluation.design.covariates import find_covariates
from evaluation.errors import DesignError, InputError, Problem
from evaluation.registers.checks import literal
from evaluation.registers.cleaning import PROGRAMME, CleanRegisters
from evaluation.registers.history import PERSON
from evaluation.registers.store import new_schema

_LONG_TERM_SICK = "sjukskriven"  # the class of target groups that the sick-leave team works with
_NEEDED = {"projekt_deltagande": "who started, and when", "program_beslut": "who was in JUG"}
_STEPS = (  # of attrition, in this order
    *("registered", "in_jug", "offered", "started", "without_sick_team", "of_target_group", "first_start_in_period"),
    *("in_jug_at_start", "of_age", "resident", "not_yet_started", "drawn"),
)
_TREATED_STEPS = ("without_sick_team", "of_target_group", "first_start_in_period", "in_jug_at_start", "of_age", "resident")
_CONTROL_STEPS = ("in_jug_at_start", "of_age", "resident", "not_yet_started")
_REMEDIES = {  # what to do where a step leaves nobody
    **dict.fromkeys(("offered", "started"), "ask for later trials (cohort.first_month, cohort.last_month), or have projekt_deltagande completed"),
    **dict.fromkeys(("without_sick_team", "of_target_group"), "add the target groups these people have (cohort.target_groups)"),
    "first_start_in_period": "ask for trials of the months they start in (cohort.first_month, cohort.last_month)",
    **dict.fromkeys(("registered", "in_jug", "in_jug_at_start"), "have inskrivning and program_beslut delivered for these people and months"),
    "of_age": "widen the ages (cohort.youngest, cohort.oldest)",
    "resident": "correct the municipality (cohort.municipality), or leave it open",
    "not_yet_started": "have people delivered who never start, or ask for earlier trials (cohort.first_month, cohort.last_month)",
    "drawn": "take fewer bands of time in JUG (cohort.duration_bands_days)",
    "eligible": "have sokandekategori delivered for these people: nobody was unemployed on the eve",
}


def select_cohort(clean: CleanRegisters, spec: CohortSpec) -> Cohort:
    """Give those who start in each month, and the people in JUG they are compared with: sequential risk sets.

    Parameters
    ----------
    clean : CleanRegisters
    spec : CohortSpec

    Returns
    -------
    Cohort
        One row per person and trial, by trial, participants first. Strata: trial ("2018-03"), duration_band, kon, the three definitions of origin,
        the periods. Attrition in people, by the steps below.

    Raises
    ------
    InputError
        With every problem at once: a table or a month that was not delivered, a start before the project began, an unknown covariate or group.
    DesignError
        If a step leaves nobody on a side, no trial has both sides, or every covariate is the same for all of a side. A single month without controls
        is no error: its participants are in the cohort, and remain unmatched.

    Notes
    -----
    - Treated: the first start on record, if it lies in the period. Who started earlier is never a control either.
    - Controls: people who have not started by the end of the trial's month. Their index date is one of the participants' start days of that month;
      which one, a hash of person and month decides.
    - Both: in JUG, of age (by calendar year) and resident on the index date, and unemployed or in a programme on its eve as was then known.
    - Of the controls of a trial and band, `candidates` times its participants are drawn, by the same hash, before their state on the eve is looked
      at. Those who then were not at risk leave a little less than that.
    - A person has one municipality in the registers, the same on every day: a move inside Sweden is seen through the states only. It should be that
      before the first index date: one taken at delivery removes the people of either side who have moved away since.

    Steps of attrition: registered, in_jug (people, before the period ended), offered, started, without_sick_team (the long-term sick leave, unless
    they are a target group), of_target_group (the others without a counterpart in JUG leave), first_start_in_period, in_jug_at_start, of_age,
    resident (on the index date), not_yet_started, drawn, eligible (at risk on the eve).

    References
    ----------
    Sianesi (2004); Fredriksson & Johansson (2008), Journal of Business & Economic Statistics 26(4), 435-445.
    """
    covariates, problems = find_covariates(spec.covariates, clean.registers.names)
    problems += _trial_problems(clean, spec)
    if problems:
        raise InputError(problems, "the cohort cannot be selected")
    connection = clean.registers.connection
    schema = new_schema(connection, "risk_sets")
    try:
        _find_participants(clean, spec, schema)
        _draw_controls(clean, spec, schema)
        rows: pd.DataFrame = connection.execute(f"from {schema}.drawn order by trial, treated desc, lopnr").df()
        steps = _count_people(clean, spec, schema)
    finally:
        connection.execute(f"drop schema {schema} cascade")
    seen = see_eve(clean, rows, spec)
    seen = seen[was_at_risk(clean, seen)].reset_index(drop=True)
    treated = seen["treated"].to_numpy(dtype=bool)
    steps.append(("eligible", seen.loc[treated, PERSON].nunique(), seen.loc[~treated, PERSON].nunique()))
    if seen.groupby(TRIAL)["treated"].nunique().max() != 2:
        raise DesignError(f"risk sets: {_nobody_left(steps)}")
    attrition = pd.DataFrame(steps, columns=["step", "treated", "control"]).astype({"treated": "Int64", "control": "Int64"})
    return stack_trials(seen, treated, covariates, spec, attrition)


def count_trials(cohort: Cohort) -> pd.DataFrame:
    """Count the rows of each trial and band: trial, duration_band, treated, control; where control is 0, nobody stands for the participants."""
    counts = pd.crosstab([cohort.column(TRIAL), cohort.column(BAND)], cohort.treated).reindex(columns=[True, False], fill_value=0)
    return counts.set_axis(["treated", "control"], axis=1).reset_index()


def _trial_problems(clean: CleanRegisters, spec: CohortSpec) -> Iterator[Problem]:
    for table, use in _NEEDED.items():
        if table not in clean.registers.names:
            yield Problem(table, f"must be delivered, for it says {use}", "have the table delivered")
    complete = clean.registers.complete_until
    if spec.last_day > complete:
        yield Problem("cohort.last_month", f"must be a complete month of the registers, at the latest {complete:%Y-%m}", "end the trials earlier")
    classes = sorted(set(clean.registers.contract.codes["malgrupp"].entries["klass"]))
    for name in spec.target_groups:
        if name not in classes:
            yield Problem.unknown("cohort.target_groups", f"{name!r} is not a class of codes/malgrupp.csv", name, classes)
    if spec.project_began and "projekt_deltagande" in clean.registers.names:
        query = f"select coalesce(start_datum < date '{spec.project_began}', false) as early from {clean.source}.projekt_deltagande"
        early = clean.registers.connection.execute(query).df()["early"].to_numpy(dtype=bool)
        rule = f"must not lie before the project began on {spec.project_began}"
        yield from Problem.broken([("projekt_deltagande.start_datum", rule, early, "correct the dates, or cohort.project_began")])


def _find_participants(clean: CleanRegisters, spec: CohortSpec, schema: str) -> None:
    """Make begun (everybody's first event), jug (spells), participants (how many of their steps each has passed) and the days of the trials."""
    connection, groups = clean.registers.connection, ", ".join(map(literal, spec.target_groups)) or "null"
    connection.execute(f"""
        create table {schema}.begun as
        select lopnr, event, klass, coalesce(klass in ({groups}), false) as comparable
        from (select *, {EVENT[spec.time_zero]} as event from {clean.source}.projekt_deltagande)
        left join codes.malgrupp on malgrupp = kod and event between giltig_fran and giltig_till
        where event <= date '{spec.last_day}' qualify row_number() over (partition by lopnr order by event, fas) = 1""")
    connection.execute(f"""
        create table {schema}.jug as
        select lopnr, start, stop from {clean.schema}.{PROGRAMME} where klass = 'jug' and start <= date '{spec.last_day}'
            and lopnr in (select lopnr from {clean.schema}.inskrivning where start <= date '{spec.last_day}')""")
    outside = [f"not comparable and klass = {literal(_LONG_TERM_SICK)}", "not comparable"]
    steps = [*outside, f"event < date '{spec.first_month}'", "start is null", *_unfit(spec, "event")]
    connection.execute(f"""
        create table {schema}.participants as
        select begun.lopnr, strftime(event, '%Y-%m') as trial, event as index_date, {_band(spec, "event - start")} as band, {_passed(steps)} as passed
        from {schema}.begun join {clean.source}.individ using (lopnr)
        left join {schema}.jug on begun.lopnr = jug.lopnr and event >= start and event < stop""")
    connection.execute(f"""
        create table {schema}.days as
        select trial, index_date, last_day(index_date) as month_end, row_number() over (partition by trial order by index_date) - 1 as place,
            count(*) over (partition by trial) as participants
        from {schema}.participants where passed = {len(_TREATED_STEPS)}""")


def _draw_controls(clean: CleanRegisters, spec: CohortSpec, schema: str) -> None:
    """Make pool (who was in JUG on their day of each trial, and how many of their steps each has passed) and drawn, the rows of both sides."""
    connection = clean.registers.connection
    steps = ["false", *_unfit(spec, "index_date"), "coalesce(event <= month_end, false)"]
    connection.execute(f"""
        create table {schema}.pool as
        with met as (
            select lopnr, start, stop, trial, participants, md5_number_lower(lopnr || ' ' || trial) as lot
            from {schema}.jug join (select distinct trial, month_end, participants from {schema}.days)
                on start <= month_end and stop > date_trunc('month', month_end))
        select lopnr, trial, index_date, {_band(spec, "index_date - start")} as band, lot, {_passed(steps)} as passed
        from met join {schema}.days using (trial) join {clean.source}.individ using (lopnr) left join {schema}.begun using (lopnr)
        where place = lot % met.participants and index_date >= start and index_date < stop""")
    limit = "" if spec.candidates is None else f"qualify row_number() over (partition by trial, band order by lot) <= {spec.candidates} * n"
    connection.execute(f"""
        create table {schema}.drawn as
        with started as (from {schema}.participants where passed = {len(_TREATED_STEPS)}),
        cells as (select trial, band, count(*) as n from started group by trial, band),
        controls as (select pool.* from {schema}.pool join cells using (trial, band) where passed = {len(_CONTROL_STEPS)} {limit})
        select lopnr, trial, index_date, band, true as treated from started
        union all select lopnr, trial, index_date, band, false from controls""")


def _band(spec: CohortSpec, days: str) -> str:
    """Write the number of the band of so many days in JUG."""
    return " + ".join(["0", *(f"cast({days} >= {cut} as int)" for cut in spec.duration_bands_days)])


def _unfit(spec: CohortSpec, day: str) -> list[str]:
    """Write that a person is not of age on a day, and that they are not resident."""
    elsewhere = f" or kommun not in ({', '.join(map(literal, spec.municipalities))})" if spec.municipalities else ""
    gone = f"coalesce(dod_datum <= {day}, false) or coalesce(utvandring_datum <= {day}, false)"
    return [f"year({day}) - fodelsear not between {spec.youngest} and {spec.oldest}", gone + elsewhere]


def _passed(failures: list[str]) -> str:
    """Write how many steps a row passes before it fails one."""
    return f"case {' '.join(f'when {failure} then {place}' for place, failure in enumerate(failures))} else {len(failures)} end"


def _count_people(clean: CleanRegisters, spec: CohortSpec, schema: str) -> list[tuple[str, int | None, int | None]]:
    """Count the people who pass each step; a control by the trial in which they get farthest."""
    connection, day = clean.registers.connection, f"date '{spec.last_day}'"

    def people(source: str) -> int:
        ((number,),) = connection.execute(f"select count(distinct lopnr) from {source}").fetchall()
        return int(number)

    def passing(table: str, steps: tuple[str, ...]) -> dict[str, int]:
        counts = ", ".join(f"count(*) filter (passed >= {place})" for place in range(1, len(steps) + 1))
        (row,) = connection.execute(f"select {counts} from (select max(passed) as passed from {schema}.{table} group by lopnr)").fetchall()
        return dict(zip(steps, map(int, row), strict=True))

    treated, control = passing("participants", _TREATED_STEPS), passing("pool", _CONTROL_STEPS)
    treated["offered"] = people(f"{clean.source}.projekt_deltagande where {EVENT['offer']} <= {day}")
    if spec.time_zero == "start":
        treated["started"] = people(f"{clean.source}.projekt_deltagande where {EVENT['start']} <= {day}")
    control["registered"] = people(f"{clean.schema}.inskrivning where start <= {day}")
    control["in_jug"] = people(f"{schema}.jug")
    control["drawn"] = people(f"{schema}.drawn where not treated")
    return [(step, treated.get(step), control.get(step)) for step in _STEPS if step in treated or step in control]


def _nobody_left(steps: list[tuple[str, int | None, int | None]]) -> str:
    """Say which step left nobody on a side, how many there were before it, and what to do."""
    for side, column in (("participant", 1), ("control", 2)):
        passed = [(str(step[0]), step[column]) for step in steps if step[column] is not None]
        for (before, number), (step, left) in pairwise([("", None), *passed]):
            if left == 0:
                among = f", of {number} at {before}," if before else ""
                return f"no {side}{among} passes the step {step}; {_REMEDIES[step]}"
    return "there are participants and controls, but no month has both; ask for more months (cohort.first_month, cohort.last_month)"
