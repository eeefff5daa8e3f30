"""Which counts does the table of balance rest on, and how finely may its other numbers be told?

A share of an arm that has a characteristic is a count of people out of people. The levels of a characteristic add up to the arm, those of one that
groups are reported by are those groups, and so all of them pass the gate with the study's own counts. A weighted share stands for as many people as
it is a share of. Means and standardised differences are rounded by how far one person moves them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Floats
from evaluation.design.comparison import Comparison
from evaluation.release.contrasts import whole_numbers
from evaluation.release.counts import Counts
from evaluation.release.held import Held, step_through
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
    return coarseness(farthest_move(covariates[variable].to_numpy(dtype=np.float64), comparison, lambda away, _: away), rules)


def farthest_move(values: Floats, comparison: Comparison, moved: Callable[[Floats, Floats], Floats]) -> float:
    """Give how far one person moves a number made of a characteristic, in the arm where it is moved farthest.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        The characteristic, row by row.
    comparison : Comparison
        Of the same rows.
    moved : callable
        Of how far each row lies from its arm's mean, and of its share of the arm's weight: how far it moves the number, but for that share.

    Returns
    -------
    float
    """
    known, pulls = np.nan_to_num(values), [0.0]
    for arm in (comparison.treated, ~comparison.treated):
        inside = arm & (comparison.weights > 0)
        share = comparison.weights[inside] / comparison.weights[inside].sum()
        moves = share * moved(known[inside] - share @ known[inside], share)
        pulls.append(float(np.abs(np.bincount(comparison.person_code[inside], weights=moves)).max(initial=0.0)))
    return max(pulls)


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
    return coarseness(_farthest(row) / min(design.comparison.n_treated, design.comparison.n_control), rules)


def worst_step_in_groups(design: Design, rules: ReleaseRules) -> float:
    """Give what the largest standardised difference inside any reported group is rounded to: as is right for the row that has it; 0 without groups.

    Parameters
    ----------
    design : Design
    rules : ReleaseRules

    Returns
    -------
    float
    """
    groups = design.balance.subgroups
    reported = groups[groups[["treated", "control"]].min(axis=1) >= design.plan.limits.smallest_arm]
    size = reported["smd_after"].abs()
    if not size.notna().any():
        return 0.0
    row = reported.loc[size.idxmax()].to_dict()
    return coarseness(_farthest(row) / min(row["treated"], row["control"]), rules)


def _farthest(row: Mapping[Hashable, Any]) -> float:
    """Give how many standard deviations from the mean of a row anybody lies."""
    share, is_share = row["mean_treated"], math.isnan(row["variance_ratio_before"])
    spread = math.sqrt(max(share * (1 - share), 0.0)) if is_share and 0 <= share <= 1 else 0.0
    return max(share, 1 - share) / spread if spread > 0 else FARTHEST


def released_differences(design: Design, telling: Held) -> pd.DataFrame:
    """Give the table of balance with the standardised differences that may be told.

    Parameters
    ----------
    design : Design
    telling : Held

    Returns
    -------
    DataFrame
        As `Balance.table`; its means are exact still, and `mean_through` is for them.
    """
    table = design.balance.table.copy()
    steps = [difference_step(row, design, telling.rules) for row in table.to_dict("records")]
    names = [f"balance, {variable}: {level}" for variable, level in zip(table["variable"], table["level"], strict=True)]
    for when in ("smd_before", "smd_after"):
        every = zip(names, table[when], steps, strict=True)
        table[when] = [step_through(f"{name}, {when}", float(value), step, telling) for name, value, step in every]
    return table


def mean_through(name: str, value: float, step: float, telling: Held) -> float:
    """Let a mean of the table of balance through, rounded to a step of `mean_step`; `name` is the same in every release."""
    return step_through(f"balance, mean of {name}", value, step, telling)
