r"""What if the controls had never started: their follow-up ends at their own start, and those who stay are weighted up for those who are taken away.

Controls who start the programme later, if taken out at that day, leave behind people who are less like those who start. A pooled logistic model of
starting, month by month, gives each control's probability :math:`G` of not having started yet; with the weight :math:`1 / G` those who remain stand
for all, provided that what moves people to start is among the covariates.

References
----------
Fredriksson & Johansson (2008). Dynamic treatment assignment: the consequences for evaluations using observational data. JBES 26(4), 435-445.
Robins & Finkelstein (2000). Correcting for noncompliance and dependent censoring in an AIDS clinical trial with inverse probability of censoring
weighted (IPCW) log-rank tests. Biometrics 56(3), 779-788.
Cole & Hernán (2008). Constructing inverse probability weights for marginal structural models. American Journal of Epidemiology 168(6), 656-664
(the cutting of weights).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from evaluation.analysis.outcomes import FollowUp, TimeWeights
from evaluation.analysis.person_months import FEWEST_STARTS, Days, PersonMonths, estimate_start_hazards
from evaluation.design.cohort import Cohort, Floats, Rows, count_people
from evaluation.design.cohort_spec import BAND
from evaluation.design.comparison import Comparison, effective_number
from evaluation.errors import InputError, Problem


class CensoringSpec(BaseModel):
    """What is asked of the model of later starts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strata: tuple[str, ...] | None = Field(
        default=None, description="stratum columns that enter beside the covariates; None: the duration band, where there is one"
    )
    largest_weight: float | None = Field(default=None, ge=1, description="larger weights are cut to it; None: none is cut")
    level: float = Field(default=0.95, gt=0, lt=1, description="confidence level of the odds ratios")


@dataclass(frozen=True, eq=False)
class CensoringModel:
    """Who of the controls starts later, and what weight those who do not must carry.

    Attributes
    ----------
    coefficients : DataFrame
        term, coefficient, std_error, odds_ratio, low, high, p_value, as in `PropensityScores`; the standard errors are clustered by person. Empty
        where nobody starts later. The odds are those of starting within a month.
    dropped : DataFrame
        term, reason: columns the model had to do without, "constant", "collinear" or "separates", and levels with "no_starts", whose hazard is 0.
    by_month : DataFrame
        One row per month since the index date: month, at_risk and started (control rows), mean_weight (over the comparison's weights),
        largest_weight. Month 0 is what is left of the index month.
    started : int
        Compared controls, people, whose follow-up ends at their own start.
    largest_weight : float
    effective_control : float
        Kish's effective number of controls with the weights they carry at the end, a person's in all trials taken together.
    cut : int
        Control rows with a weight that was cut.
    spec : CensoringSpec
    """

    coefficients: pd.DataFrame
    dropped: pd.DataFrame
    by_month: pd.DataFrame
    started: int
    largest_weight: float
    effective_control: float
    cut: int
    spec: CensoringSpec

    @property
    def few(self) -> bool:
        """Whether fewer control rows start than the model's coefficients need to be relied on; False where nobody starts."""
        return bool(self.by_month["started"].sum() < FEWEST_STARTS * len(self.coefficients))

    def to_frame(self) -> pd.DataFrame:
        """Give one row per month since the index date: month, at_risk, started, mean_weight, largest_weight."""
        return self.by_month.copy()


def censor_later_starts(
    cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: CensoringSpec | None = None
) -> tuple[FollowUp, CensoringModel]:
    r"""End every control's follow-up at their own start, and weight those who stay for those who go.

    Parameters
    ----------
    cohort : Cohort, n rows
        With index dates.
    comparison : Comparison
        Only compared controls enter the model, each row once: their weights in the comparison say whom they stand for, not who starts.
    follow_up : FollowUp
        Of the cohort's rows, with `later_start`.
    spec : CensoringSpec, optional

    Returns
    -------
    FollowUp
        Controls with an own start before their exit are censored on its day; `weights` has the factors :math:`1 / G`, 1 for the treated.
    CensoringModel

    Raises
    ------
    InputError
        If the cohort has no index dates, the follow-up no later starts or other rows than the cohort, or a stratum is unknown.

    Notes
    -----
    With h the hazard of a month (person_months.py), :math:`G` is taken at the middle of it, :math:`\sqrt{1 - h} \prod_{before} (1 - h)`, for starts
    fall on any of its days. The estimators take the weights as known, which makes their intervals rather too wide than too narrow.
    """
    spec = spec or CensoringSpec()
    later, index_date = _later_starts(cohort, follow_up)
    own = ~cohort.treated & (later < follow_up.days)
    days = np.where(own, later, follow_up.days)
    state = pd.Categorical.from_codes(np.where(own, 0, follow_up.state.codes).tolist(), dtype=follow_up.state.dtype)

    rows = comparison.rows[~cohort.treated[comparison.rows]]
    person = pd.factorize(cohort.person_code[rows])[0]
    months = PersonMonths.of(index_date[rows], days[rows], own[rows])
    found = estimate_start_hazards(months, _known_beforehand(cohort, rows, spec), person, spec.level)
    uncut = months.factors(found.hazard)
    factor = np.minimum(uncut, spec.largest_weight or np.inf)
    weight, last = comparison.weights[rows], np.append(months.row[1:] != months.row[:-1], True)
    at_end = np.asarray(np.bincount(person, weight * factor[last]), dtype=np.float64)
    model = CensoringModel(
        coefficients=found.coefficients,
        dropped=found.dropped,
        by_month=_by_month(months, weight, factor),
        started=count_people(person[own[rows]]),
        largest_weight=float(factor.max()),
        effective_control=effective_number(at_end),
        cut=len(np.unique(months.row[factor < uncut])),
        spec=spec,
    )
    return replace(follow_up, days=days, state=state, weights=_time_weights(days, rows, months, factor)), model


def _later_starts(cohort: Cohort, follow_up: FollowUp) -> tuple[Floats, Days]:
    problems = []
    if cohort.index_date is None:
        problems.append(Problem("the cohort", "must have index dates, for starting goes by the calendar", "name the column with them"))
    if follow_up.later_start is None:
        problems.append(Problem("the follow-up", "must say who starts later", "observe the outcomes from registers"))
    if not (follow_up.person is cohort.person or follow_up.person.equals(cohort.person)):
        problems.append(Problem("the follow-up", "must be of the cohort's rows, in their order", "observe the outcomes of this cohort"))
    if problems or cohort.index_date is None or follow_up.later_start is None:
        raise InputError(problems, "later starts cannot be taken out")
    early = ~cohort.treated & ~(follow_up.later_start > 0)
    if early.any():
        rule = "must lie after the control's index date"
        raise InputError([Problem.in_rows("the later start", rule, early, "who has started is no control")], "later starts cannot be taken out")
    return follow_up.later_start, cohort.index_date.to_numpy().astype("datetime64[D]")


def _known_beforehand(cohort: Cohort, rows: Rows, spec: CensoringSpec) -> pd.DataFrame:
    strata = spec.strata if spec.strata is not None else [BAND] if BAND in cohort.strata.columns else []  # time already waited drives starting
    new = {name: cohort.column(name).iloc[rows].astype("category") for name in strata}
    return cohort.covariates.iloc[rows].assign(**new)


def _by_month(months: PersonMonths, weight: Floats, factor: Floats) -> pd.DataFrame:
    """Count who is at risk and who starts in each month since the index date, and sum up the weights."""
    weight = weight[months.row]
    each = pd.DataFrame({"month": months.since, "starts": months.starts, "factor": factor, "weight": weight, "weighted": weight * factor})
    table = each.groupby("month").agg(
        at_risk=("starts", "size"),
        started=("starts", "sum"),
        weight=("weight", "sum"),
        weighted=("weighted", "sum"),
        largest_weight=("factor", "max"),
    )
    table["mean_weight"] = table["weighted"] / table["weight"]
    return table.reset_index()[["month", "at_risk", "started", "mean_weight", "largest_weight"]]


def _time_weights(days: Floats, rows: Rows, months: PersonMonths, factor: Floats) -> TimeWeights:
    """Set the factors of the compared controls beside 1 for everybody else."""
    others = np.setdiff1d(np.arange(len(days)), rows)
    row = np.concatenate([others, rows[months.row]])
    order = np.argsort(row, kind="stable")
    start = np.concatenate([np.zeros(len(others)), months.start])
    stop = np.concatenate([days[others], months.stop])
    return TimeWeights(row[order], start[order], stop[order], np.concatenate([np.ones(len(others)), factor])[order])
