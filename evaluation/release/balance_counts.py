"""Which counts does the table of balance rest on, and how finely may its other numbers be told?

A share of an arm that has a characteristic is a count of people out of people. The levels of a characteristic add up to the arm, those of one that
groups are reported by are those groups, and so all of them pass the gate with the study's own counts. A weighted share stands for as many people as
it is a share of. Means and standardised differences are rounded by how far one person moves them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from evaluation.analysis.curves import ARMS
from evaluation.release.contrasts import whole_numbers
from evaluation.release.counts import Counts
from evaluation.release.magnitudes import coarseness
from evaluation.release.rules import ReleaseRules
from evaluation.study import Design

FARTHEST = 4.0  # standard deviations from the mean; seldom does anybody lie farther away


def balance_cell(arm: str, variable: str, level: str) -> str:
    """Name the cell with the people of an arm who have a characteristic, weighted as they are compared."""
    return f"{arm}, balance of {variable}: {level}" if level else f"{arm}, balance of {variable}"


def balance_counts(design: Design) -> Counts:
    """Gather the counts that the table of balance rests on.

    Parameters
    ----------
    design : Design

    Returns
    -------
    Counts
        The arms, and of each characteristic with levels, or of yes and no, those who have it.
    """
    people = {"treated": design.comparison.n_treated, "control": design.comparison.n_control}
    table = design.balance.table
    shares = table[table["variance_ratio_before"].isna()]
    cells: dict[str, int] = dict(people)
    sums: list[tuple[str, tuple[str, ...]]] = []
    having: list[tuple[str, str]] = []
    for arm in ARMS:
        for variable, rows in shares.groupby("variable", sort=False):
            counts = whole_numbers(rows[f"mean_{arm}"].fillna(0.0).to_numpy(dtype=np.float64) * people[arm], people[arm]).tolist()
            names = [balance_cell(arm, str(variable), str(level)) for level in rows["level"]]
            cells |= dict(zip(names, counts, strict=True))
            if len(names) > 1 and sum(counts) == people[arm]:
                sums.append((arm, tuple(names)))
            else:
                having += [(arm, name) for name in names]
    return Counts(cells, tuple(sums), tuple(having))


def mean_step(design: Design, variable: str, rules: ReleaseRules) -> float | None:
    """Give what the means of a characteristic are rounded to, of which one person moves neither arm's by more than half.

    Parameters
    ----------
    design : Design
    variable : str
    rules : ReleaseRules

    Returns
    -------
    float or None
        None where the characteristic is no column of numbers.
    """
    covariates, comparison = design.cohort.covariates, design.comparison
    if variable not in covariates or not np.issubdtype(covariates[variable].to_numpy().dtype, np.number):
        return None
    values, weights = np.nan_to_num(covariates[variable].to_numpy(dtype=np.float64)), comparison.weights
    pulls = []
    for arm in (comparison.treated, ~comparison.treated):
        inside = arm & (weights > 0)
        share = weights[inside] / weights[inside].sum()
        away = share * (values[inside] - share @ values[inside])
        pulls.append(float(np.abs(np.bincount(comparison.person_code[inside], weights=away)).max(initial=0.0)))
    return coarseness(max(pulls), rules)


def difference_step(row: Mapping[Hashable, Any], design: Design, rules: ReleaseRules) -> float:
    """Give what the standardised differences of a row of the table of balance are rounded to.

    Parameters
    ----------
    row : mapping
        Of `Balance.table`.
    design : Design
    rules : ReleaseRules

    Returns
    -------
    float
    """
    share, is_share = row["mean_treated"], math.isnan(row["variance_ratio_before"])
    spread = math.sqrt(max(share * (1 - share), 0.0)) if is_share and 0 <= share <= 1 else 0.0
    farthest = max(share, 1 - share) / spread if spread > 0 else FARTHEST
    return coarseness(farthest / min(design.comparison.n_treated, design.comparison.n_control), rules)
