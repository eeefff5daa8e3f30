"""Which columns are compared inside which groups, and how far apart are they there, before and after matching?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.design.cohort import Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.design.distances import (
    Parts,
    bin_values,
    kolmogorov_smirnov,
    overlap_coefficient,
    part_means,
    rank_rows,
    standard_deviation,
    variance_ratio,
)

FIGURES = ("mean_treated", "mean_control", "smd", "variance_ratio", "ks", "overlap")
BEFORE = tuple(f"{figure}_before" for figure in FIGURES)
AFTER = tuple("smd_after" if figure == "smd" else figure for figure in FIGURES)


@dataclass(frozen=True, eq=False)
class Column:
    """A number, or one level of a category, whose 0/1 column is made only while it is needed."""

    variable: str
    level: str
    source: NDArray[Any]
    code: int | None
    binary: bool

    def values(self) -> Floats:
        """Give the column, shape (n,)."""
        return self.source if self.code is None else (self.source == self.code).astype(np.float64)


def balanced_columns(cohort: Cohort) -> list[Column]:
    """Give every number among the covariates, and every level of a category that somebody has."""
    found = []
    for name, column in cohort.covariates.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            found += [Column(str(name), str(column.cat.categories[code]), codes, int(code), True) for code in np.unique(codes)]
        else:
            values = column.to_numpy()
            found.append(Column(str(name), "", values, None, bool(((values == 0) | (values == 1)).all())))
    return found


@dataclass(frozen=True, eq=False)
class Breakdown:
    """The groups that the named columns make, before and after matching; without a column one group of all."""

    names: tuple[str, ...]
    labels: list[str]
    before: Parts
    after: Parts
    effective: Floats

    @classmethod
    def of(cls, cohort: Cohort, comparison: Comparison, names: tuple[str, ...]) -> Breakdown:
        """Part the cohort by the levels of the named columns."""
        code, levels = cohort.codes(names)
        before = Parts.of(cohort, np.ones(len(cohort)), code, len(levels))
        after = Parts.of(cohort, comparison.weights, code, len(levels))
        labels = [" x ".join(map(str, level)) for level in levels.itertuples(index=False, name=None)] if names else [""]
        return cls(names, labels, before, after, after.effective(cohort.person_code))

    def concerns(self, column: Column) -> bool:
        """Say whether a column may be compared inside these groups: not inside its own levels."""
        return column.variable not in self.names

    def table(self, columns: Sequence[Column], figures: Sequence[Floats | None]) -> pd.DataFrame:
        """Set out the figures (figures, groups) of every column: group by group, and in each the columns."""
        compared = [column for column in columns if self.concerns(column)]
        names = pd.DataFrame([(column.variable, column.level) for column in compared] * len(self.labels), columns=["variable", "level"])
        each = np.stack([found for found in figures if found is not None]) if compared else np.empty((0, len(BEFORE + AFTER), len(self.labels)))
        numbers = pd.DataFrame(each.transpose(2, 0, 1).reshape(-1, len(BEFORE + AFTER)), columns=[*BEFORE, *AFTER])
        return pd.concat([names, numbers], axis=1)


def measure(column: Column, *, cohort: Cohort, breakdowns: Sequence[Breakdown]) -> list[Floats | None]:
    """Give, for every breakdown, the figures of one column (figures, groups), before and after; None where it makes the groups."""
    values = column.values()
    treated = cohort.order[cohort.treated[cohort.order]]
    yardstick = standard_deviation(values[treated], binary=column.binary)
    ranked = None if column.binary else rank_rows(values, cohort.order)
    bins = None if ranked is None else bin_values(values, ranked, cohort.treated)
    found: list[Floats | None] = []
    for breakdown in breakdowns:
        if not breakdown.concerns(column):
            found.append(None)
            continue
        figures: list[Floats] = []
        for parts in (breakdown.before, breakdown.after):
            inside = values[parts.rows]
            means = differences(parts, inside, yardstick)
            gap = np.abs(means[0] - means[1])
            if ranked is None or bins is None:
                figures += [*means, np.full(len(gap), np.nan), gap, 1 - gap]
            else:
                ratio = variance_ratio(parts, inside, means[:2])
                figures += [*means, ratio, kolmogorov_smirnov(parts, values, ranked), overlap_coefficient(parts, bins[parts.rows])]
        found.append(np.stack(figures))
    return found


def differences(parts: Parts, inside: Floats, yardstick: float) -> tuple[Floats, Floats, Floats]:
    """Give the means of treated and controls in every group, and the gap in yardsticks; `inside` has the values of `parts.rows`.

    A gap where the treated do not vary at all is infinitely many of their standard deviations.
    """
    one, other = part_means(parts, inside)
    gap = one - other
    with np.errstate(divide="ignore", invalid="ignore"):
        return one, other, np.where(gap == 0, gap, gap / yardstick)
