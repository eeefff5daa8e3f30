r"""How likely is each control to start in a month, given what was known beforehand and that they have not started yet?

Pooled logistic regression over person-months, with the covariates of the control, an effect for every calendar month and the logarithm of months
since the index date. A month somebody leaves, or is lost, before its end counts by the share of it that was seen (the actuarial rule).

References
----------
D'Agostino et al. (1990). Relation of pooled logistic regression to time dependent Cox regression analysis: the Framingham Heart Study. Statistics in
Medicine 9(12), 1501-1515.
Prentice & Gloeckler (1978). Regression analysis of grouped survival data with application to breast cancer data. Biometrics 34(1), 57-67.
Vittinghoff & McCulloch (2007). Relaxing the rule of ten events per variable in logistic and Cox regression. American Journal of Epidemiology 165(6),
710-718.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from evaluation.analysis.pooled_logistic import PooledDesign, fit_pooled, pooled_coefficients
from evaluation.design.cohort import Bools, Floats, Rows
from evaluation.design.logistic import no_coefficients
from evaluation.design.model_columns import covariate_columns

FEWEST_STARTS = 5  # a coefficient: fewer make it unreliable (Vittinghoff & McCulloch); a calendar month with fewer is joined with the next

Days = NDArray[np.datetime64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PersonMonths:
    """The calendar months of each control, from the index month to the last; arrays of shape (N,), by control and then by month.

    Attributes
    ----------
    row : ndarray of int
        Position among the compared controls.
    month, since : ndarray of int
        Calendar month, numbered from 1970, and months since the index month.
    start, stop : ndarray of float
        Days since the index date: the month as far as the control is followed.
    part, seen : ndarray of float
        Share of the month that lies after the index date, and share that was seen.
    starts : ndarray of bool
        Whether the control's own start is in it.
    """

    row: Numbers
    month: Numbers
    since: Numbers
    start: Floats
    stop: Floats
    part: Floats
    seen: Floats
    starts: Bools

    @classmethod
    def of(cls, index_date: Days, days: Floats, own: Bools) -> PersonMonths:
        """Spread out each control's `days` since the index date, which end at the own start where `own`; arrays of shape (n,)."""
        first = index_date.astype("datetime64[M]").astype(np.int64)
        last = (index_date + np.ceil(days).astype("timedelta64[D]")).astype("datetime64[M]").astype(np.int64)
        count = last - first + 1
        row = np.repeat(np.arange(len(days)), count)
        since = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        month = first[row] + since
        begins, ends = (_eve(month + step) - index_date.astype(np.int64)[row] for step in (0, 1))
        start, stop = np.maximum(begins, 0.0), np.minimum(ends, days[row])
        length = ends - begins
        starts = own[row] & (since == (last - first)[row])
        kept = stop > start  # an index date at the end of its month leaves nothing of it
        columns = (row, month, since, start, stop, (ends - start) / length, (stop - start) / length, starts)
        return cls(*(column[kept] for column in columns))

    def modelled(self) -> Bools:
        """Say which months carry a hazard: calendar months in which somebody starts, the index month only if somebody starts in theirs."""
        in_index_month = (self.since[self.starts] == 0).any()
        return np.asarray(np.isin(self.month, self.month[self.starts]) & ((self.since > 0) | in_index_month), dtype=bool)

    def factors(self, hazard: Floats) -> Floats:
        """Give 1 / G in the middle of each month."""
        loss = -np.log1p(-hazard) * self.part
        upto = np.cumsum(loss)
        first = np.append(True, self.row[1:] != self.row[:-1])
        before_row = (upto - loss)[first][np.cumsum(first) - 1]
        return np.asarray(np.exp(np.maximum(upto - before_row - loss / 2, 0.0)), dtype=np.float64)


def _eve(month: Numbers) -> Numbers:
    """Give the last day before a month, both numbered from 1970."""
    return month.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1


@dataclass(frozen=True, eq=False)
class StartHazards:
    """How likely each control was to start in each month.

    Attributes
    ----------
    hazard : ndarray of float, shape (N,)
        Of each person-month; 0 in calendar months without starts, and for controls with a level nobody starts with.
    coefficients : DataFrame
        term, coefficient, std_error, odds_ratio, low, high, p_value, as in `PropensityScores`; the standard errors are clustered by person. Empty
        where nobody starts.
    dropped : DataFrame
        term, reason: columns the model had to do without, "constant", "collinear" or "separates", and levels with "no_starts", whose hazard is 0.
    """

    hazard: Floats
    coefficients: pd.DataFrame
    dropped: pd.DataFrame


def estimate_start_hazards(months: PersonMonths, covariates: pd.DataFrame, person: Rows, level: float) -> StartHazards:
    r"""Estimate each control's hazard of starting, month by month.

    Parameters
    ----------
    months : PersonMonths, of n controls
    covariates : DataFrame, shape (n, p)
        Numbers and categories, as in `Cohort`.
    person : ndarray of int, shape (n,)
        Who they are, numbered from 0; a person may be a control more than once.
    level : float
        Confidence level of the odds ratios.

    Returns
    -------
    StartHazards

    Notes
    -----
    In month k after the index month, :math:`logit(h) = \alpha_{calendar} + \gamma \log(1 + k) + x \beta`.
    """
    hazard = np.zeros(len(months.row))
    started = np.zeros(len(person), dtype=bool)
    started[months.row[months.starts]] = True
    never, absent = _never_starting(covariates, started)
    modelled = months.modelled() & ~never[months.row]
    starts = months.starts[modelled]
    if starts.all():  # nobody starts, or everybody does at once: there is nobody to tell them from
        return StartHazards(hazard, no_coefficients(), _dropped([], []))
    used, row = np.unique(months.row[modelled], return_inverse=True)
    terms, columns = covariate_columns(covariates.iloc[used])
    block, calendar = _calendar(months.month[modelled], starts)
    design = PooledDesign.of(terms, columns, calendar, row, block, np.log1p(months.since[modelled]))
    fit = fit_pooled(design, starts, np.where(starts, 1.0, months.seen[modelled]))
    hazard[modelled] = expit(design.linear(fit.beta))
    left_out = _dropped([*absent, *design.terms], ["no_starts"] * len(absent) + fit.reason)
    return StartHazards(hazard, pooled_coefficients(design, fit, person[used], level), left_out)


def _never_starting(covariates: pd.DataFrame, started: Bools) -> tuple[Bools, list[str]]:
    """Find the controls with a level nobody starts with, or beyond the one value of all who start: a hazard of 0, which no coefficient can say."""
    never = np.zeros(len(started), dtype=bool)
    absent: list[str] = []
    if not started.any():
        return never, absent
    for name, column in covariates.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            unseen = np.setdiff1d(codes, codes[started])
            absent += [f"{name}[T.{column.cat.categories[code]}]" for code in unseen]
            never |= np.isin(codes, unseen)
        else:
            values = column.to_numpy()
            ends, own = (values.min(), values.max()), values[started]
            if ends[0] < ends[1] and own[0] in ends and (own == own[0]).all():
                absent.append(str(name))
                never |= values != own[0]
    return never, absent


def _calendar(month: Numbers, starts: Bools) -> tuple[Rows, list[str]]:
    """Number the calendar months, those with few starts joined with the next, and give their names."""
    months, count = np.unique(month[starts], return_counts=True)
    blocks: list[list[int]] = [[]]
    held = 0
    for one, number in zip(months.tolist(), count.tolist(), strict=True):
        blocks[-1].append(one)
        held += number
        if held >= FEWEST_STARTS:
            blocks.append([])
            held = 0
    if len(blocks) > 1:
        rest = blocks.pop()
        blocks[-1] += rest
    of_month = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    names = [" to ".join(str(np.datetime64(one, "M")) for one in dict.fromkeys((block[0], block[-1]))) for block in blocks]
    return of_month[np.searchsorted(months, month)], names


def _dropped(terms: list[str], reason: list[str]) -> pd.DataFrame:
    return pd.DataFrame([pair for pair in zip(terms, reason, strict=True) if pair[1]], columns=["term", "reason"])
