"""Who were given people on the eve of given dates, as was then known?

The covariates, the columns to match and to break down by, and who was at risk. The same for people chosen month by month (risk_sets.py) and for
people and dates that were chosen elsewhere.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.design.cohort import Bools, Cohort, Rows, cohort_from_table, cohort_from_trials
from evaluation.design.cohort_spec import BAND, OTHER_TIME, OUTSIDE_JUG, SEX, TRIAL, CohortSpec
from evaluation.design.covariates import Covariate, find_covariates, observe_covariates
from evaluation.errors import DesignError, InputError, Problem
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.history import INDEX_DATE, PERSON, look_back
from evaluation.registers.origin import DEFINITIONS, NO, NOT_KNOWN, UNKNOWN, YES, classify_origin

_AT_RISK = "arbetslos"  # the class of states from which one can leave unemployment


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
    seen = _banded(see_eve(clean, people.reset_index(drop=True), spec), spec)
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
    seen = see_eve(clean, people.reset_index(drop=True), spec)
    rows = np.flatnonzero(was_at_risk(clean, seen))
    seen = _banded(seen.iloc[rows].reset_index(drop=True), spec)
    treated = seen["treated"].eq(1).to_numpy(dtype=bool)
    if treated.all() or not treated.any():
        raise DesignError(f"trials: {int(treated.sum())} treated and {int((~treated).sum())} controls were at risk on the eve; ask for other dates")
    return stack_trials(seen, treated, covariates, spec), rows


def see_eve(clean: CleanRegisters, rows: pd.DataFrame, spec: CohortSpec) -> pd.DataFrame:
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


def was_at_risk(clean: CleanRegisters, seen: pd.DataFrame) -> Bools:
    """Say who was unemployed or in a programme on the eve."""
    codes = clean.registers.contract.codes["tillstand"].entries
    return seen["state"].isin(codes.loc[codes["klass"] == _AT_RISK, "kod"]).to_numpy(dtype=bool)


def _banded(seen: pd.DataFrame, spec: CohortSpec) -> pd.DataFrame:
    """Add the band of days in JUG, the last for who is not in it."""
    inside, cuts = seen["days_jug"].gt(0), [0, *spec.duration_bands_days]
    return seen.assign(band=np.where(inside, np.searchsorted(cuts, seen["days_jug"], side="right") - 1, len(cuts)))


def stack_trials(seen: pd.DataFrame, treated: Bools, covariates: list[Covariate], spec: CohortSpec, attrition: pd.DataFrame | None = None) -> Cohort:
    """Give the rows seen on the eve as a stack of trials, with the covariates that can tell the sides apart."""
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
