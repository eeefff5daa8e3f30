r"""What does the same road find where the programme can have done nothing?

A programme cannot act before it is begun, nor on what no programme moves. The road is therefore walked where the answer is known to be 0: to a start
moved back by years, to what people had done before their index date, and to death and emigration after it. Where it finds something beyond chance,
people were sorted by what the covariates do not show, and the study's own effect has that in it. Where it finds nothing, that is weaker news: all who
are compared were in JUG on the true index date, so that who had left for good is in neither arm, and the past tells less than the future would.

For the same reason nobody is taken from the study's own comparison. Its controls are drawn within bands of time in JUG on the true index date, and
matched on the year before it. Both are made of what a placebo looks at: held alike, they would hide what is sought. Controls are drawn anew, within
the month alone.

References
----------
Imbens & Rubin (2015). Causal Inference for Statistics, Social, and Biomedical Sciences, chapter 21 (assessing unconfoundedness by pseudo-outcomes).
Imbens & Wooldridge (2009). Recent developments in the econometrics of program evaluation. Journal of Economic Literature 47(1), 5-86.
Heckman & Hotz (1989). Choosing among alternative nonexperimental methods for estimating the impact of social programs. JASA 84(408), 862-874.
Lipsitch, Tchetgen Tchetgen & Cohen (2010). Negative controls: a tool for detecting confounding and bias. Epidemiology 21(3), 383-388.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.exits import observe_outcomes
from evaluation.analysis.followed import dates_of, potential_days
from evaluation.analysis.means import Contrast
from evaluation.design.at_dates import trials_at_dates
from evaluation.design.cohort import Bools, Cohort, count_people
from evaluation.design.cohort_spec import BAND, CohortSpec
from evaluation.design.comparison import Comparison
from evaluation.design.covariates import COVARIATES
from evaluation.design.designs import make_comparison
from evaluation.design.propensity import estimate_propensity
from evaluation.design.risk_sets import select_cohort
from evaluation.errors import DesignError, EstimationError, EvaluationError, UnmatchedWarning
from evaluation.plan import RegisterPlan
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.history import INDEX_DATE, PERSON
from evaluation.registers.states import observe_states
from evaluation.sensitivity.past_outcomes import EARNINGS_SEK, PastOutcome, left_out_for, past_outcomes
from evaluation.study import Design, keep_support

MONTHS_EARLIER = 36  # who left for work and is back in JUG takes years: one year back nearly nothing has happened that could tell
WITHIN_DAYS = 548  # 18 months
FEWEST_EVENTS = 5  # in either arm: with fewer the normal distribution of a difference in shares does not hold
_ONE_BAND_DAYS = 36_525  # nobody is longer in JUG: everybody is in the same band
_PEOPLE = 10  # in either arm, for the comparison to be one


def placebo_pool(clean: CleanRegisters, design: Design) -> Cohort:
    """Give the participants of a study, and controls drawn within the month alone.

    Parameters
    ----------
    clean : CleanRegisters
    design : Design
        Of a study that starts at registers.

    Returns
    -------
    Cohort
        By the plan's rules, but for the bands of time in JUG: everybody is in one. Its covariates are those of the plan and those that tell of past
        outcomes.

    Raises
    ------
    EstimationError
        If the study does not start at registers.
    InputError, DesignError
        As `select_cohort`.
    """
    spec = _plan(design).cohort
    names = spec.covariates
    if names is not None:
        wanted = [outcome.covariate for outcome in past_outcomes(EARNINGS_SEK).values()]
        names = tuple(dict.fromkeys([*names, *(name for name in wanted if COVARIATES[name].table in clean.registers.names)]))
    return select_cohort(clean, spec.model_copy(update={"duration_bands_days": (_ONE_BAND_DAYS,), "covariates": names}))


def placebo_start(clean: CleanRegisters, design: Design, *, months_earlier: int = MONTHS_EARLIER, pool: Cohort | None = None) -> Contrast:
    r"""Estimate the effect of a start that is moved back by years; its true value is 0.

    Parameters
    ----------
    clean : CleanRegisters
    design : Design
        Of a study that starts at registers.
    months_earlier : int
        How far back; whole months, so that the people of a trial stay in one month.
    pool : Cohort, optional
        From `placebo_pool`, where it has been made already.

    Returns
    -------
    Contrast
        Share of either arm whose first exit after the moved date, before the true index date, was to success as the plan defines it.

    Raises
    ------
    EstimationError
        If the study does not start at registers, or too few were unemployed on the eve of the moved date; with the reason.

    Notes
    -----
    Everybody who was unemployed or in a programme on the eve of the moved date, as was then known, is described by what was known on that eve,
    given a propensity, matched by the plan's rules, and followed until the true index date: what comes later the programme may have touched.

    - Both arms were in JUG on the true index date, so that all who had left had come back. The arms are alike in this condition. Where start among
      those at risk hangs on nothing but what was known on the earlier eve, the past is the same in both arms, given that, and the difference is 0.
    - The condition costs power. Simulated with 3,500 participants and with log odds of a start of 1.5 per standard deviation of an unseen trait, the
      unmatched difference was 9 to 10 points at 36 months (the true bias 7 to 9), 5 at 24, and 0.2 at 12: hardly anybody who leaves for work is
      back within the year. With log odds of 0.5 it was 1 point with a standard error of 1.4, where the true bias was 3.6.
    - A difference may also come from what caseworkers saw in the years between, which the study's own design adjusts for. Then it is a false alarm.
    """
    try:
        plan = _plan(design)
        pool = pool if pool is not None else placebo_pool(clean, design)
        moved, window = _moved(clean, pool, plan.cohort, months_earlier)
        comparison = _compare(moved, plan)
        follow_up = observe_outcomes(observe_states(clean), moved, plan.outcome, time_zero=plan.cohort.time_zero)
    except EvaluationError as error:
        raise EstimationError(f"placebo start: {error}") from error
    succeeded = follow_up.state.isin(plan.outcome.success(clean.registers.contract)) & (follow_up.days < window)
    name = f"share with success from {months_earlier} months before the start until it"
    assert follow_up.reach is not None
    return _contrast(name, comparison, succeeded, follow_up.reach > 0, plan.effects.level)


def placebo_outcomes(
    clean: CleanRegisters, design: Design, *, earnings_sek: float = EARNINGS_SEK, pool: Cohort | None = None
) -> dict[str, Contrast | str]:
    """Estimate the effect on what people had done before their index date; its true value is 0.

    Parameters
    ----------
    clean : CleanRegisters
    design : Design
        Of a study that starts at registers.
    earnings_sek : float
        Earnings in a calendar year that count.
    pool : Cohort, optional
        From `placebo_pool`, where it has been made already.

    Returns
    -------
    dict of str to (Contrast or str)
        By past outcome, the share of either arm with it: work_<window> and sick_<window> (a day or more), earnings_<year> (above the sum). A str says
        why there is none.

    Notes
    -----
    A past outcome is treated as if it were one of the future. The covariates that tell of its years, or of any later time, are left out, the bands of
    time in JUG with them; the propensity is estimated and the match made anew by the plan's rules, with what was known before and with traits that
    hardly move: age, sex, origin, years in Sweden, education, children, disability. If what is left makes the arms alike in the past outcome, it
    makes it plausible, and no more, that all the covariates make them alike in the future one (Imbens & Rubin 2015, chapter 21). If it does not, that
    may be because of what was left out: the study itself has more to adjust by.

    Simulated with 3,500 participants and log odds of a start of 1.5 per standard deviation of an unseen trait, the unmatched differences
    were 2 to 7 points with standard errors of 0.6 to 0.9, against a true bias of 7 to 9.
    """
    asked = past_outcomes(earnings_sek)
    try:
        plan = _plan(design)
        pool = pool if pool is not None else placebo_pool(clean, design)
    except EvaluationError as error:
        return dict.fromkeys(asked, str(error))
    return {name: _past_contrast(name, outcome, pool, plan, clean) for name, outcome in asked.items()}


def negative_controls(clean: CleanRegisters, design: Design, *, within_days: int = WITHIN_DAYS) -> dict[str, Contrast | str]:
    """Estimate the effect on what a labour-market programme does not move: death and emigration after the index date.

    Parameters
    ----------
    clean : CleanRegisters
    design : Design
        Of a study that starts at registers.
    within_days : int
        From the index date on; only people whose registers reach so far count.

    Returns
    -------
    dict of str to (Contrast or str)
        By "death" and "emigration", the share of either arm in the study's own comparison. A str says why there is none.

    Notes
    -----
    Neither is a perfect null. Who finds work may stay in the country for it, and work and health hang together; but such effects are small beside
    those of health and ties to Sweden, which also decide who starts. A difference is a sign of sorting; both are rare, and its absence says little.
    """
    columns = {"death": "dod_datum", "emigration": "utvandring_datum"}
    try:
        plan = _plan(design)
    except EstimationError as error:
        return dict.fromkeys(columns, str(error))
    people = clean.registers.connection.execute(f"select {PERSON}, {', '.join(columns.values())} from {clean.source}.individ").df().set_index(PERSON)
    own = people.reindex(design.cohort.person.astype("string"))
    index_date, reached = dates_of(design.cohort).to_numpy(), potential_days(clean, design.cohort) >= within_days
    found: dict[str, Contrast | str] = {}
    for name, column in columns.items():
        days = (pd.to_datetime(own[column]).to_numpy() - index_date) / np.timedelta64(1, "D")
        happened = (days >= 0) & (days <= within_days)
        found[name] = _or_reason(f"{name} within {within_days} days", design.comparison, happened, reached, plan.effects.level)
    return found


def _plan(design: Design) -> RegisterPlan:
    if not isinstance(design.plan, RegisterPlan):
        raise EstimationError("placebo: needs registers, which tell of the time before; this study is of one table")
    return design.plan


def _moved(clean: CleanRegisters, pool: Cohort, spec: CohortSpec, months: int) -> tuple[Cohort, np.ndarray]:
    """Give the pool as it was known so many months earlier, those who were then at risk, and the days from then to the true index date."""
    now = dates_of(pool)
    rows = pd.DataFrame({PERSON: pool.person, INDEX_DATE: (now - pd.DateOffset(months=months)).to_numpy(), "treated": pool.treated})
    cohort, there = trials_at_dates(clean, rows, spec)
    _require_people(cohort.person_code, cohort.treated, f"were unemployed {months} months before")
    window = (now.to_numpy() - rows[INDEX_DATE].to_numpy())[there] / np.timedelta64(1, "D")
    return cohort, window


def _past_contrast(name: str, outcome: PastOutcome, pool: Cohort, plan: RegisterPlan, clean: CleanRegisters) -> Contrast | str:
    """Compare the shares with a past outcome, or say why not."""
    table = COVARIATES[outcome.covariate].table
    if table not in clean.registers.names:
        return f"{name}: is read from {table}, which was not delivered"
    if outcome.covariate not in pool.covariates:
        return f"{name}: {outcome.covariate} is the same for everybody on a side"
    asked = COVARIATES if plan.cohort.covariates is None else plan.cohort.covariates
    gone = left_out_for(outcome.covariate)
    kept = [column for column in pool.covariates if column in asked and column not in gone]
    if not kept:
        return f"{name}: no covariate is left that tells of an earlier time only"
    happened = pool.covariates[outcome.covariate].to_numpy() > outcome.above
    try:
        comparison = _compare(replace(pool, covariates=pool.covariates[kept], strata=pool.strata.drop(columns=BAND)), plan)
    except EvaluationError as error:
        return f"{name}: {error}"
    return _or_reason(name, comparison, happened, np.ones(len(pool), dtype=bool), plan.effects.level)


def _compare(cohort: Cohort, plan: RegisterPlan) -> Comparison:
    """Estimate the propensity and match by the plan's rules, exactly on those of its columns that are still there."""
    kept, scores, _ = keep_support(cohort, estimate_propensity(cohort, plan.propensity), plan)
    there = {*kept.covariates.columns, *kept.strata.columns}
    spec = plan.comparison.model_copy(update={"exact": tuple(name for name in plan.comparison.exact if name in there)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)  # a placebo is held against 0, whoever it is of
        return make_comparison(kept, scores, spec)


def _require_people(person: np.ndarray, treated: Bools, what: str) -> None:
    if min(count_people(person[treated]), count_people(person[~treated])) < _PEOPLE:
        raise DesignError(f"fewer than {_PEOPLE} people of a side {what}; ask for registers that begin earlier, or a larger study")


def _or_reason(name: str, comparison: Comparison, happened: Bools, counted: Bools, level: float) -> Contrast | str:
    """Compare the shares, or say why not."""
    try:
        return _contrast(name, comparison, happened, counted, level)
    except EstimationError as error:
        return str(error)


def _contrast(name: str, comparison: Comparison, happened: Bools, counted: Bools, level: float) -> Contrast:
    """Compare the shares of the compared rows that count with whom something happened; arrays of shape (n,)."""
    rows = comparison.rows
    person, treated, counted, value = comparison.person_code[rows], comparison.treated[rows], counted[rows], happened[rows].astype(np.float64)
    clusters, arms = Clusters.of(comparison), {}
    for side, called in ((True, "treated"), (False, "control")):
        mine = counted & (treated == side)
        people = count_people(person[mine])
        if people < _PEOPLE or count_people(person[mine & happened[rows]]) < FEWEST_EVENTS:
            raise EstimationError(
                f"{name}: fewer than {_PEOPLE} {called} people can be followed, or fewer than {FEWEST_EVENTS} of them have it, which is too few to "
                "tell a difference from chance"
            )
        share = np.where(mine, comparison.weights[rows], 0.0)
        share /= share.sum()
        mean = float(share @ value)
        arms[side] = Estimate(f"{name}, {called}", mean, share * (value - mean), clusters, "probability", people, level, "log-log")
    return Contrast(arms[True], arms[False], arms[True] - arms[False])
