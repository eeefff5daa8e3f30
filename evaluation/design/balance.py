"""Are the compared people alike, overall and inside every group that is reported on.

Standardised mean differences with one yardstick, the standard deviation among all treated before matching, so that a difference can only
shrink because the groups came closer. Variance ratios, Kolmogorov-Smirnov distances and overlap coefficients see what means do not. No p-values:
balance is a property of these people, not of a population (Imai, King & Stuart 2008). Only inside groups is chance asked about, for a small group is
never as alike as a large one, however good the design.

References
----------
Stuart (2010). Matching methods for causal inference. Statistical Science 25(1), 1-21.
Imai, King & Stuart (2008). Misunderstandings between experimentalists and observationalists about causal inference. JRSS A 171(2), 481-502.
Franklin et al. (2014). Metrics for covariate balance in cohort studies of causal effects. Statistics in Medicine 33(10), 1685-1699 (overlap).
Austin (2009). Balance diagnostics for comparing the distribution of baseline covariates between treatment groups in propensity-score matched
samples. Statistics in Medicine 28(25), 3083-3107 (chance, second order).
"""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import ndtri

from evaluation.design.breakdowns import AFTER, BEFORE, FIGURES, Breakdown, balanced_columns, differences, measure
from evaluation.design.cohort import Cohort
from evaluation.design.comparison import Comparison
from evaluation.design.distances import standard_deviation
from evaluation.showing import html_of, text_of

LIMIT_IN_GROUPS = 0.25  # Stuart 2010: from here on the groups are too far apart for a regression to mend; the verdict's own default
_CHANCE = float(ndtri(0.975))  # 95 % of the differences that chance alone makes lie within so many standard errors of 0
_HEADS = {
    "mean_treated": "Mean of treated",
    "mean_control": "Mean of controls",
    "smd": "Standardised difference",
    "variance_ratio": "Variance ratio",
    "ks": "Kolmogorov-Smirnov distance",
    "overlap": "Overlap",
}


@dataclass(frozen=True, eq=False)
class Balance:
    """How alike the compared people are.

    Attributes
    ----------
    table : DataFrame
        One row per number and per level of a category: variable, level ("" for numbers), mean_treated_before, mean_control_before, smd_before,
        variance_ratio_before (numbers only), ks_before, overlap_before, and the same after matching: mean_treated, mean_control, smd_after,
        variance_ratio, ks, overlap.
    subgroups : DataFrame
        As `table`, for each level of each column in `by`: by, group, treated, control (people compared, in a stack people-in-trials), the same
        columns, then smd_chance, the difference that chance alone stays within in 95 of 100 such groups, and imbalanced: whether the difference
        after matching is beyond both the limit and chance.
    effective_control : float
        Kish's effective number of controls after matching.
    """

    table: pd.DataFrame
    subgroups: pd.DataFrame
    effective_control: float

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    @property
    def worst(self) -> float:
        """Largest absolute standardised difference after matching."""
        return float(self.table["smd_after"].abs().max())

    def worst_in_subgroups(self, smallest_arm: int) -> float:
        """Give the largest absolute standardised difference inside any group with at least `smallest_arm` people on either side; nan without."""
        return float(self._reported(smallest_arm)["smd_after"].abs().max())

    def worst_beyond_chance(self, smallest_arm: int) -> float:
        """Give the largest of those that are beyond chance; 0 where chance explains all of them, nan without a group so large."""
        reported = self._reported(smallest_arm)
        size = reported["smd_after"].abs()
        return float(size.where(~(size <= reported["smd_chance"]), 0.0).max())

    def _reported(self, smallest_arm: int) -> pd.DataFrame:
        return self.subgroups[self.subgroups[["treated", "control"]].min(axis=1) >= smallest_arm]

    def to_frame(self) -> pd.DataFrame:
        """Give the overall table."""
        return self.table.copy()

    def to_csv(self) -> str:
        """Give the overall table as the text of a CSV file, in full precision."""
        return self.table.to_csv(index=False)

    def to_html(self, *, caption: str = "Balance before and after matching", decimals: int = 3) -> str:
        """Give the overall table as one HTML element with a caption and scoped headers, for whoever makes the design.

        Nothing is hidden in it: levels of few people pass through the gate in `reporting`, not here.
        """
        head = ["Covariate", "Level", *(f"{_HEADS[figure]}, {when}" for when in ("before", "after") for figure in FIGURES)]
        heads = "".join(f'<th scope="col">{text}</th>' for text in head)
        rows = []
        for variable, level, *figures in self.table[["variable", "level", *BEFORE, *AFTER]].itertuples(index=False, name=None):
            cells = "".join(f"<td>{_written(figure, decimals)}</td>" for figure in figures)
            rows.append(f'<tr><th scope="row">{html.escape(variable)}</th><td>{html.escape(level)}</td>{cells}</tr>')
        body = "\n".join(rows)
        return f"<table>\n<caption>{html.escape(caption)}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def _written(figure: float, decimals: int) -> str:
    if np.isnan(figure):
        return "–"
    text = "∞" if np.isinf(figure) else f"{abs(figure):.{decimals}f}"
    return f"−{text}" if figure < 0 and text.strip("0.") else text


def assess_balance(
    cohort: Cohort, comparison: Comparison, *, by: Sequence[str | tuple[str, ...]] = (), limit_in_groups: float = LIMIT_IN_GROUPS
) -> Balance:
    r"""Compare the covariates of treated and controls before and after matching.

    Parameters
    ----------
    cohort : Cohort, n people
    comparison : Comparison
    by : sequence of str or tuple of str, optional
        Columns (or crossings of columns) inside whose levels balance is assessed too.
    limit_in_groups : float, optional
        Absolute standardised difference inside a group from which on it is called imbalanced, unless chance explains it.

    Returns
    -------
    Balance

    Raises
    ------
    InputError
        If `by` names a column the cohort lacks.

    Notes
    -----
    :math:`(\bar x_1 - \bar x_0) / s_1` with weighted means and :math:`s_1` the standard deviation among all treated of the cohort (for a 0/1
    column :math:`\sqrt{p(1-p)}`). Weighted variance :math:`\sum w (x - \bar x)^2 / (\sum w - \sum w^2 / \sum w)`, which is the usual one
    (n - 1) for equal weights.

    The overlap coefficient is :math:`\sum_b \min(p_{1b}, p_{0b}) = 1 - \tfrac12 \sum_b |p_{1b} - p_{0b}|`, one less the total variation
    distance, with :math:`p_{1b}` and :math:`p_{0b}` the weighted shares of either side in bin b. The bins of a number are its distinct values where
    there are at most 20, else they end at the twentieths of all treated of the cohort; they are the same before, after and in every group.

    Were the people of a group allotted to its sides by lot, 95 % of the standardised differences would lie within
    :math:`1.96 \sqrt{1/m_1 + 1/m_0}` of 0, where the covariate varies as much as among all treated; :math:`m = (\sum w)^2 / \sum w^2` is Kish's
    effective size of a side, a person's weights in all trials taken together.
    """
    breakdowns = [Breakdown.of(cohort, comparison, ())]
    breakdowns += [Breakdown.of(cohort, comparison, (names,) if isinstance(names, str) else tuple(names)) for names in by]
    columns = balanced_columns(cohort)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # most of the time goes to sorting, during which numpy lets other threads run
        found = list(pool.map(partial(measure, cohort=cohort, breakdowns=breakdowns), columns))
    overall, *inside = [breakdown.table(columns, [figures[place] for figures in found]) for place, breakdown in enumerate(breakdowns)]
    groups = [_grouped(breakdown, rows, limit_in_groups) for breakdown, rows in zip(breakdowns[1:], inside, strict=True)]
    nobody = _grouped(breakdowns[0], overall, limit_in_groups).iloc[:0]
    return Balance(
        table=overall,
        subgroups=pd.concat(groups, ignore_index=True) if groups else nobody,
        effective_control=comparison.effective_control,
    )


def assess_second_order(cohort: Cohort, comparison: Comparison) -> pd.DataFrame:
    r"""Compare squares and pairwise products of the covariates, whose means may differ where the covariates' own do not.

    Parameters
    ----------
    cohort : Cohort, n people
    comparison : Comparison

    Returns
    -------
    DataFrame
        One row per square of a number and per product of two columns (numbers, levels of categories): variable, level, other_variable, other_level,
        mean_treated_before, mean_control_before, smd_before, mean_treated, mean_control, smd_after.

    Notes
    -----
    Numbers are taken as their distance from the mean of all treated of the cohort, so that a square speaks of spread and a product of two of how they
    go together, whatever unit and origin they are counted in; 0/1 columns and levels stay as they are, and the product of two is having both.
    Standardised by the standard deviation of the square or product among all treated before matching. A 0/1 column has no square, and two levels
    of one category no product.
    """
    columns, overall = balanced_columns(cohort), Breakdown.of(cohort, comparison, ())
    treated = overall.before.rows[: overall.before.sizes[0]]
    values = [column.values() - (0.0 if column.binary else column.values()[treated].mean()) for column in columns]
    pairs = [
        (one, other)
        for one in range(len(columns))
        for other in range(one, len(columns))
        if columns[one].variable != columns[other].variable or (one == other and not columns[one].binary)
    ]

    def compared(pair: tuple[int, int]) -> list[float]:
        one, other = pair
        product = values[one] * values[other]
        yardstick = standard_deviation(product[treated], binary=columns[one].binary and columns[other].binary)
        return [float(figure[0]) for parts in (overall.before, overall.after) for figure in differences(parts, product[parts.rows], yardstick)]

    with ThreadPoolExecutor() as pool:
        found = np.array(list(pool.map(compared, pairs))).reshape(len(pairs), 6)
    names = [(columns[one].variable, columns[one].level, columns[other].variable, columns[other].level) for one, other in pairs]
    return pd.concat(
        [
            pd.DataFrame(names, columns=["variable", "level", "other_variable", "other_level"]),
            pd.DataFrame(found, columns=[*BEFORE[:3], *AFTER[:3]]),
        ],
        axis=1,
    )


def _grouped(breakdown: Breakdown, rows: pd.DataFrame, limit: float) -> pd.DataFrame:
    """Say in front of a breakdown's rows which group they are of, and behind them what is beyond the limit and chance."""
    each = len(rows) // len(breakdown.labels)
    with np.errstate(divide="ignore"):
        chance = np.repeat(_CHANCE * np.sqrt(1 / breakdown.effective[0::2] + 1 / breakdown.effective[1::2]), each)
    head = {"by": " x ".join(breakdown.names), "group": np.repeat(np.array(breakdown.labels, dtype=object), each)}
    people = {name: np.repeat(breakdown.after.sizes[side::2], each) for side, name in enumerate(("treated", "control"))}
    beyond = rows["smd_after"].abs().to_numpy() > np.maximum(chance, limit)
    return pd.concat([pd.DataFrame({**head, **people}), rows.assign(smd_chance=chance, imbalanced=beyond)], axis=1)
