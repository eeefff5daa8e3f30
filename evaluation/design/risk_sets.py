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

import calendar
import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, field_validator, model_validator

from evaluation.design.cohort import Bools, Cohort, Rows, cohort_from_table, cohort_from_trials
from evaluation.design.covariates import COVARIATES, Covariate, covariate_field, find_covariates, observe_covariates
from evaluation.errors import DesignError, InputError, Problem
from evaluation.registers.checks import literal
from evaluation.registers.cleaning import PROGRAMME, CleanRegisters
from evaluation.registers.contract import Contract
from evaluation.registers.history import DAYS_PER_MONTH, INDEX_DATE, PERSON, LookBackSpec, look_back
from evaluation.registers.origin import DEFINITIONS, NO, NOT_KNOWN, UNKNOWN, YES, classify_origin
from evaluation.registers.schema import Schema
from evaluation.registers.store import new_schema

TRIAL, BAND, SEX = "trial", "duration_band", "kon"
OUTSIDE_JUG = "ej_i_jug"  # a band of the static design alone: in a trial everybody is in JUG
OTHER_TIME = "annan_tid"  # trials that no level of a period covers
AT_RISK = "arbetslos"  # the class of states from which one can leave unemployment
LONG_TERM_SICK = "sjukskriven"  # the class of target groups that the sick-leave team works with
_NEEDED = {"projekt_deltagande": "who started, and when", "program_beslut": "who was in JUG"}
EVENT = {"start": "start_datum", "offer": "least(erbjuden_datum, start_datum)"}  # what is time zero; who has started has been offered
_STEPS = (  # of attrition, in this order
    *("registered", "in_jug", "offered", "started", "without_sick_team", "of_target_group", "first_start_in_period"),
    *("in_jug_at_start", "of_age", "resident", "not_yet_started", "drawn"),
)
_TREATED_STEPS = ("without_sick_team", "of_target_group", "first_start_in_period", "in_jug_at_start", "of_age", "resident")
_CONTROL_STEPS = ("in_jug_at_start", "of_age", "resident", "not_yet_started")
_PERIODS = {"pandemi": ("Pandemin", "The pandemic")}
_PERIOD_LEVELS = {"fore": ("före", "before"), "under": ("under", "during"), "efter": ("efter", "after"), OTHER_TIME: ("annan tid", "other time")}

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

TimeZero = Literal["start", "offer"]


def _first_of_month(value: object) -> object:
    if isinstance(value, str):
        with suppress(ValueError):
            value = dt.date.fromisoformat(f"{value}-01" if len(value) == len("2018-03") else value)
    if not isinstance(value, dt.date):
        raise ValueError('must be a month; write it "2018-03"')
    return value.replace(day=1)


def _first_and_last(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != len(("first", "last")):
        raise ValueError("must be two months, first and last")
    return value


Month = Annotated[dt.date, BeforeValidator(_first_of_month)]
Span = Annotated[tuple[Month, Month], BeforeValidator(_first_and_last)]


class CohortSpec(BaseModel):
    """Who is compared with whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_month: Month = Field(description='the months of the trials, written "2018-03"')
    last_month: Month
    project_began: dt.date | None = Field(default=None, description="nobody can have started before; None: not checked")
    time_zero: TimeZero = Field(default="start", description="offer: by intention to treat; who was not offered is a control")
    duration_bands_days: tuple[PositiveInt, ...] = Field(default=(182, 365, 730, 1461), description="where the bands of days in JUG are cut")
    youngest: int = Field(default=20, ge=0)
    oldest: int = Field(default=64, description="age in the year of the index date; reaching the pension age later is an exit that competes")
    municipality: str | tuple[str, ...] | None = Field(default="1280", description="one or several; None: people of every municipality")
    target_groups: tuple[str, ...] = Field(default=("jug",), description="classes of codes/malgrupp.csv that have a counterpart in JUG")
    candidates: PositiveInt | None = Field(default=20, description="control rows drawn per participant of a trial and band; None: all")
    covariates: tuple[str, ...] | None = Field(default=None, description="names; None: all the usual ones whose table was delivered")
    periods: dict[Annotated[str, Field(pattern="^[a-z_]+$")], dict[str, Span]] = Field(
        default={}, description="columns to break results down by: for each level its first and last month"
    )
    look_back: LookBackSpec = LookBackSpec()

    @model_validator(mode="after")
    def _in_order(self) -> CohortSpec:
        if self.first_month > self.last_month:
            raise ValueError("first_month must not lie after last_month")
        if self.youngest > self.oldest:
            raise ValueError("youngest must not be above oldest")
        if any(before >= after for before, after in pairwise(self.duration_bands_days)):
            raise ValueError("duration_bands_days must rise")
        return self

    @field_validator("periods")
    @classmethod
    def _apart(cls, periods: dict[str, dict[str, tuple[dt.date, dt.date]]]) -> dict[str, dict[str, tuple[dt.date, dt.date]]]:
        taken = sorted(periods.keys() & {TRIAL, BAND, *COVARIATES})
        if taken:
            raise ValueError(f"{', '.join(taken)}: is the name of another column; choose another")
        for name, levels in periods.items():
            spans = sorted(levels.values())
            if any(first > last for first, last in spans) or any(before[1] >= after[0] for before, after in pairwise(spans)):
                raise ValueError(f"{name}: levels must begin before they end, and not overlap")
        return periods

    @field_validator("look_back")
    @classmethod
    def _enough(cls, asked: LookBackSpec) -> LookBackSpec:
        usual = LookBackSpec()
        kept = all(set(getattr(usual, name)) <= set(getattr(asked, name)) for name in ("windows_days", "states", "sick_windows_days"))
        if not kept or asked.earnings_years < usual.earnings_years:
            raise ValueError("the covariates are made of the usual windows, groups and years: add to them, or redefine a group, but take none away")
        return asked

    @property
    def municipalities(self) -> tuple[str, ...]:
        """The codes of the municipalities people must live in; none: every one."""
        return (self.municipality,) if isinstance(self.municipality, str) else self.municipality or ()

    @property
    def last_day(self) -> dt.date:
        """The last day on which a trial can begin: nothing later decides who is in the cohort."""
        return self.last_month.replace(day=calendar.monthrange(self.last_month.year, self.last_month.month)[1])

    @property
    def bands(self) -> tuple[str, ...]:
        """The levels of duration_band, from the shortest."""
        cuts = (0, *self.duration_bands_days)
        return (*(f"{low}-{high - 1}" for low, high in pairwise(cuts)), f"{cuts[-1]}-")


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
    seen = _see(clean, rows, spec)
    seen = seen[_at_risk(clean, seen)].reset_index(drop=True)
    treated = seen["treated"].to_numpy(dtype=bool)
    steps.append(("eligible", seen.loc[treated, PERSON].nunique(), seen.loc[~treated, PERSON].nunique()))
    if seen.groupby(TRIAL)["treated"].nunique().max() != 2:
        raise DesignError(f"risk sets: {_nobody_left(steps)}")
    attrition = pd.DataFrame(steps, columns=["step", "treated", "control"]).astype({"treated": "Int64", "control": "Int64"})
    return _stack(seen, treated, covariates, spec, attrition)


def cohort_at_dates(clean: CleanRegisters, people: pd.DataFrame, spec: CohortSpec) -> Cohort:
    """Give the people of a static design, one row each, as they were known before the index date given for them.

    Parameters
    ----------
    clean : CleanRegisters
    people : DataFrame, shape (n, c)
        lopnr, treated (0 or 1) and index_date. Nobody is left out: who is in the study, and from when, was decided elsewhere, and if it was decided
        by what happened after the index date, no comparison can mend it.
    spec : CohortSpec
        Its covariates, bands and periods; the rest does not concern people already chosen.

    Returns
    -------
    Cohort
        Rows in the order of `people`, with the strata of `select_cohort`; duration_band is "ej_i_jug" for who is not in JUG on the eve.

    Raises
    ------
    InputError
        With every problem: an absent column, a person who is not in the registers or occurs twice, a date that is not observed, an unknown covariate.
    """
    covariates, problems = find_covariates(spec.covariates, clean.registers.names)
    problems += [Problem.absent("treated", people.columns, "the table of people")] * ("treated" not in people.columns)
    if problems:
        raise InputError(problems, "the cohort cannot be made")
    seen = _banded(_see(clean, people.reset_index(drop=True), spec), spec)
    treated = seen["treated"].eq(1).to_numpy(dtype=bool)
    observed, strata = _observe(seen, treated, covariates), _strata(seen, spec)
    return cohort_from_table(
        _beside(seen, observed, strata),
        treated="treated",
        covariates=observed.columns.tolist(),
        person=PERSON,
        index_date=INDEX_DATE,
        strata=strata.columns.tolist(),
    )


def trials_at_dates(clean: CleanRegisters, people: pd.DataFrame, spec: CohortSpec) -> tuple[Cohort, Rows]:
    """Give those of the people who were at risk on the eve of the dates given for them, as they were then known, one trial a month.

    Parameters
    ----------
    clean : CleanRegisters
    people : DataFrame, shape (n, c)
        lopnr, treated (0 or 1) and index_date; a person may have several months.
    spec : CohortSpec
        Its covariates, bands and periods.

    Returns
    -------
    Cohort
        A stack of k rows, in the order of `people`; duration_band is "ej_i_jug" for who is not in JUG on the eve.
    ndarray of int, shape (k,)
        Their rows in `people`.

    Raises
    ------
    InputError
        As `cohort_at_dates`.
    DesignError
        If no treated or no control was at risk.
    """
    covariates, problems = find_covariates(spec.covariates, clean.registers.names)
    if problems:
        raise InputError(problems, "the cohort cannot be made")
    seen = _see(clean, people.reset_index(drop=True), spec)
    rows = np.flatnonzero(_at_risk(clean, seen))
    seen = _banded(seen.iloc[rows].reset_index(drop=True), spec)
    treated = seen["treated"].eq(1).to_numpy(dtype=bool)
    if treated.all() or not treated.any():
        raise DesignError(f"trials: {int(treated.sum())} treated and {int((~treated).sum())} controls were at risk on the eve; ask for other dates")
    return _stack(seen, treated, covariates, spec), rows


def count_trials(cohort: Cohort) -> pd.DataFrame:
    """Count the rows of each trial and band: trial, duration_band, treated, control; where control is 0, nobody stands for the participants."""
    counts = pd.crosstab([cohort.column(TRIAL), cohort.column(BAND)], cohort.treated).reindex(columns=[True, False], fill_value=0)
    return counts.set_axis(["treated", "control"], axis=1).reset_index()


def cohort_schema(spec: CohortSpec, contract: Contract) -> Schema:
    """Say what every column of a cohort and its levels are called."""
    fields = [covariate_field(covariate.name, covariate.titles, covariate.levels) for covariate in COVARIATES.values()]
    months = pd.period_range(spec.first_month, spec.last_month, freq="M").astype(str)
    fields.append(covariate_field(TRIAL, ("Startmånad", "Month of start"), {month: (month, month) for month in months}))
    fields.append(covariate_field(BAND, ("Tid i JUG", "Time in JUG"), _band_labels(spec)))
    known = {field.name: field for field in contract.tables["projekt_deltagande"].fields}
    for name, levels in spec.periods.items():
        titles, words = _PERIODS.get(name, (name, name)), dict(_PERIOD_LEVELS)
        if name in known:
            titles = (known[name].titles["sv"], known[name].titles["en"])
            words |= {level: (labels["sv"], labels["en"]) for level, labels in known[name].levels.items()}
        fields.append(covariate_field(name, titles, {level: words.get(level, (level, level)) for level in (*levels, OTHER_TIME)}))
    return Schema("cohort", tuple(fields))


def _band_labels(spec: CohortSpec) -> dict[str, tuple[str, str]]:
    months = [round(days / DAYS_PER_MONTH) for days in (0, *spec.duration_bands_days)]
    labels = [(f"{low}-{high} månader", f"{low}-{high} months") for low, high in pairwise(months)]
    labels.append((f"minst {months[-1]} månader", f"{months[-1]} months or more"))
    return {**dict(zip(spec.bands, labels, strict=True)), OUTSIDE_JUG: ("inte i JUG", "not in JUG")}


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
    outside = [f"not comparable and klass = {literal(LONG_TERM_SICK)}", "not comparable"]
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


def _at_risk(clean: CleanRegisters, seen: pd.DataFrame) -> Bools:
    """Say who was unemployed or in a programme on the eve."""
    codes = clean.registers.contract.codes["tillstand"].entries
    return seen["state"].isin(codes.loc[codes["klass"] == AT_RISK, "kod"]).to_numpy(dtype=bool)


def _banded(seen: pd.DataFrame, spec: CohortSpec) -> pd.DataFrame:
    """Add the band of days in JUG, the last for who is not in it."""
    inside, cuts = seen["days_jug"].gt(0), [0, *spec.duration_bands_days]
    return seen.assign(band=np.where(inside, np.searchsorted(cuts, seen["days_jug"], side="right") - 1, len(cuts)))


def _stack(seen: pd.DataFrame, treated: Bools, covariates: list[Covariate], spec: CohortSpec, attrition: pd.DataFrame | None = None) -> Cohort:
    observed, strata = _observe(seen, treated, covariates), _strata(seen, spec)
    return cohort_from_trials(
        _beside(seen, observed, strata),
        treated="treated",
        covariates=observed.columns.tolist(),
        person=PERSON,
        trial=TRIAL,
        index_date=INDEX_DATE,
        strata=strata.columns.tolist(),
        attrition=attrition,
    )


def _observe(seen: pd.DataFrame, treated: Bools, covariates: list[Covariate]) -> pd.DataFrame:
    """Give the covariates that can tell the sides apart, of which there must be one."""
    observed = observe_covariates(seen, treated, covariates)
    if covariates and not len(observed.columns):
        names = ", ".join(covariate.name for covariate in covariates)
        raise DesignError(f"covariates: all covariates asked for are the same for everybody on a side: {names}; ask for others (cohort.covariates)")
    return observed


def _see(clean: CleanRegisters, rows: pd.DataFrame, spec: CohortSpec) -> pd.DataFrame:
    """Put what was known of each row before its index date beside it: the look-back, the person, and the three definitions of origin."""
    seen = look_back(clean, rows, spec.look_back)
    persons = clean.registers.connection.execute(f"from {clean.source}.individ").df().set_index(PERSON)
    persons = persons.loc[persons.index.isin(rows[PERSON].unique())]
    regions = clean.registers.contract.codes["fodelselandgrupp"]
    classes = regions.entries.set_index("kod")["klass"]
    persons = persons.assign(region=persons["fodelselandgrupp"].map(classes).fillna(NOT_KNOWN), **classify_origin(persons, regions))
    own = persons[["kon", "fodelsear", "utlsvbakg", "region", *DEFINITIONS]].reindex(rows[PERSON].astype("string")).reset_index(drop=True)
    others = rows.drop(columns=[PERSON, INDEX_DATE])
    return pd.concat([seen.assign(**{INDEX_DATE: pd.to_datetime(seen[INDEX_DATE])}), others, own], axis=1)


def _strata(seen: pd.DataFrame, spec: CohortSpec) -> pd.DataFrame:
    """Give the columns for exact matching and for breaking results down; the first level is the one others are held against."""
    month = seen[INDEX_DATE].dt.to_period("M")
    bands = pd.Index([*spec.bands, OUTSIDE_JUG])
    columns = {TRIAL: month.astype(str), BAND: pd.Categorical(bands[seen["band"].to_numpy()], categories=bands)}
    columns |= {SEX: seen[SEX], **{name: pd.Categorical(seen[name], categories=[NO, YES, UNKNOWN]) for name in DEFINITIONS}}
    for name, levels in spec.periods.items():
        inside = [month.between(*(pd.Period(end, "M") for end in span)) for span in levels.values()]
        columns[name] = pd.Categorical(np.select(inside, list(levels), OTHER_TIME), categories=[*levels, OTHER_TIME])
    return pd.DataFrame(columns, index=seen.index)


def _beside(seen: pd.DataFrame, observed: pd.DataFrame, strata: pd.DataFrame) -> pd.DataFrame:
    """Put the columns of a cohort beside one another; what is both covariate and stratum stands once."""
    return pd.concat([seen[[PERSON, INDEX_DATE, "treated"]], strata, observed.drop(columns=strata.columns, errors="ignore")], axis=1)
