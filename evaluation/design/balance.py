"""Are the compared people alike, overall and inside every group that is reported on.

Standardised mean differences with one yardstick, the standard deviation among all treated before matching, so that a difference can only
shrink because the groups came closer. Variance ratios and Kolmogorov-Smirnov distances see what means do not. No p-values: balance is a
property of these people, not of a population (Imai, King & Stuart 2008).

References
----------
Stuart (2010). Matching methods for causal inference. Statistical Science 25(1), 1-21.
Imai, King & Stuart (2008). Misunderstandings between experimentalists and observationalists about causal inference. JRSS A 171(2), 481-502.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.cohort import Bools, Cohort, Floats, Rows
from evaluation.design.matching import Comparison


@dataclass(frozen=True, eq=False)
class Balance:
    """How alike the compared people are.

    Attributes
    ----------
    table : DataFrame
        One row per number and per level of a category: variable, level ("" for numbers), mean_treated_before, mean_control_before, smd_before,
        mean_treated, mean_control, smd_after, variance_ratio_before, variance_ratio (numbers only), ks_before, ks.
    subgroups : DataFrame
        As `table`, for each level of each column in `by`: by, group, treated, control (people) and the same columns.
    effective_control : float
        Kish's effective number of controls after matching.
    """

    table: pd.DataFrame
    subgroups: pd.DataFrame
    effective_control: float

    @property
    def worst(self) -> float:
        """Largest absolute standardised difference after matching."""
        return float(self.table["smd_after"].abs().max())

    def worst_in_subgroups(self, smallest_arm: int) -> float:
        """Give the largest absolute standardised difference inside any group with at least `smallest_arm` people on either side; nan without."""
        if not len(self.subgroups):
            return float("nan")
        reported = self.subgroups[self.subgroups[["treated", "control"]].min(axis=1) >= smallest_arm]
        return float(reported["smd_after"].abs().max())

    def to_frame(self) -> pd.DataFrame:
        """Give the overall table."""
        return self.table.copy()


@dataclass(frozen=True, eq=False)
class _Column:
    variable: str
    level: str
    values: Floats
    binary: bool
    yardstick: float


def assess_balance(cohort: Cohort, comparison: Comparison, *, by: Sequence[str | tuple[str, ...]] = ()) -> Balance:
    r"""Compare the covariates of treated and controls before and after matching.

    Parameters
    ----------
    cohort : Cohort, n people
    comparison : Comparison
    by : sequence of str or tuple of str, optional
        Columns (or crossings of columns) inside whose levels balance is assessed too.

    Returns
    -------
    Balance

    Notes
    -----
    :math:`(\bar x_1 - \bar x_0) / s_1` with weighted means and :math:`s_1` the standard deviation among all treated of the cohort (for a 0/1
    column :math:`\sqrt{p(1-p)}`). Weighted variance :math:`\sum w (x - \bar x)^2 / (\sum w - \sum w^2 / \sum w)`, which is the usual one
    (n - 1) for equal weights.
    """
    columns = _columns(cohort)
    before = _Sides.of(cohort.order, cohort.treated, None)
    used = cohort.order[comparison.weights[cohort.order] > 0]
    after = _Sides.of(used, cohort.treated, comparison.weights)
    with ThreadPoolExecutor() as pool:  # nearly all the time goes to sorting columns, during which numpy lets other threads run
        table = pd.DataFrame(list(pool.map(lambda column: _row(column, before, after), columns)))
    groups = []
    for names in by:
        names = (names,) if isinstance(names, str) else tuple(names)
        code, levels = cohort.codes(names)
        for number, level in enumerate(levels.itertuples(index=False, name=None)):
            inside_before = _Sides.of(cohort.order[code[cohort.order] == number], cohort.treated, None)
            inside_after = _Sides.of(used[code[used] == number], cohort.treated, comparison.weights)
            head = {
                "by": " x ".join(names),
                "group": " x ".join(map(str, level)),
                "treated": len(inside_after.treated),
                "control": len(inside_after.control),
            }
            groups += [head | _row(column, inside_before, inside_after) for column in columns if column.variable not in names]
    return Balance(table=table, subgroups=pd.DataFrame(groups), effective_control=comparison.effective_control)


@dataclass(frozen=True, eq=False)
class _Sides:
    """The rows of either side and their weights (None: everybody counts once)."""

    treated: Rows
    control: Rows
    weight_treated: Floats | None
    weight_control: Floats | None

    @classmethod
    def of(cls, rows: Rows, treated: Bools, weights: Floats | None) -> _Sides:
        one, other = rows[treated[rows]], rows[~treated[rows]]
        return cls(one, other, None if weights is None else weights[one], None if weights is None else weights[other])


def _columns(cohort: Cohort) -> list[_Column]:
    treated = cohort.order[cohort.treated[cohort.order]]
    found = []
    for name, column in cohort.covariates.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            for code in np.unique(codes):
                values = (codes == code).astype(np.float64)
                found.append(_Column(str(name), str(column.cat.categories[code]), values, True, _yardstick(values[treated], binary=True)))
        else:
            values = column.to_numpy()
            binary = bool(((values == 0) | (values == 1)).all())
            found.append(_Column(str(name), "", values, binary, _yardstick(values[treated], binary=binary)))
    return found


def _yardstick(values: Floats, *, binary: bool) -> float:
    if len(values) < 2 and not binary:
        return float("nan")
    return float(np.sqrt(values.mean() * (1 - values.mean()))) if binary else float(values.std(ddof=1))


def _row(column: _Column, before: _Sides, after: _Sides) -> dict[str, object]:
    row: dict[str, object] = {"variable": column.variable, "level": column.level}
    for sides, mean_suffix, smd, suffix in ((before, "_before", "smd_before", "_before"), (after, "", "smd_after", "")):
        one, other = column.values[sides.treated], column.values[sides.control]
        mean_one, mean_other = _mean(one, sides.weight_treated), _mean(other, sides.weight_control)
        gap = mean_one - mean_other
        row[f"mean_treated{mean_suffix}"], row[f"mean_control{mean_suffix}"] = mean_one, mean_other
        row[smd] = _in_yardsticks(gap, column.yardstick)
        row[f"variance_ratio{suffix}"] = (
            np.nan if column.binary else _ratio(_variance(one, sides.weight_treated), _variance(other, sides.weight_control))
        )
        row[f"ks{suffix}"] = abs(gap) if column.binary else _kolmogorov_smirnov(one, sides.weight_treated, other, sides.weight_control)
    return row


def _mean(values: Floats, weights: Floats | None) -> float:
    if len(values) == 0:
        return float("nan")
    return float(values.mean()) if weights is None else float(weights @ values / weights.sum())


def _variance(values: Floats, weights: Floats | None) -> float:
    if len(values) < 2:
        return float("nan")
    if weights is None:
        return float(values.var(ddof=1))
    total = weights.sum()
    return float(weights @ (values - weights @ values / total) ** 2 / (total - (weights**2).sum() / total))


def _in_yardsticks(gap: float, yardstick: float) -> float:
    """Divide; a gap where the treated do not vary at all is infinitely many of their standard deviations."""
    if gap == 0 or np.isnan(gap):
        return gap
    return float(np.copysign(np.inf, gap)) if yardstick == 0 else gap / yardstick


def _ratio(one: float, other: float) -> float:
    """Divide; 1 where neither side varies, infinite where only one does."""
    if np.isnan(one) or np.isnan(other):
        return float("nan")
    return one / other if other > 0 else 1.0 if one == 0 else float("inf")


def _kolmogorov_smirnov(one: Floats, weight_one: Floats | None, other: Floats, weight_other: Floats | None) -> float:
    """Largest gap between two distribution functions; between two values of `one` the other can only climb, so the gaps at both ends suffice."""
    if len(one) == 0 or len(other) == 0:
        return float("nan")
    at, upto = _distribution(one, weight_one)
    other_at, other_upto = _distribution(other, weight_other)
    below, other_upto = np.insert(upto[:-1], 0, 0.0), np.insert(other_upto, 0, 0.0)
    gap_upto = np.abs(upto - other_upto[np.searchsorted(other_at, at, side="right")]).max()
    gap_below = np.abs(below - other_upto[np.searchsorted(other_at, at, side="left")]).max()
    return float(max(gap_upto, gap_below))


def _distribution(values: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """Give the distinct values and the share at or below each."""
    if weights is None:
        ordered = np.sort(values)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
    else:
        position = np.argsort(values, kind="stable")
        ordered, share = values[position], np.cumsum(weights[position]) / weights.sum()
    last = np.append(ordered[1:] != ordered[:-1], True)
    return ordered[last], share[last]
