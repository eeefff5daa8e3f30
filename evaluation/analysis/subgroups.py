"""For whom did it make a difference: effects within groups, and the difference of effects.

An effect that is clear in one group and not in another may still be the same in both; only the difference of effects, with its interval, can say.
People belong to a group by their own level; where the match was exact on the column, that is the level of their whole set. Differences inherit
the matching's dependence through the influence functions, so sets that span two groups are counted right.

References
----------
Gelman & Stern (2006). The difference between "significant" and "not significant" is not itself statistically significant. American
Statistician 60(4), 328-331.
Holm (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 65-70.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.analysis.compared import Compared, compared_follow_up
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import Effects, effects_within
from evaluation.analysis.estimates import Estimate, wald_test
from evaluation.analysis.outcomes import FollowUp
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError
from evaluation.showing import html_of, text_of

Key = tuple[str, str]


@dataclass(frozen=True)
class EmptyGroup:
    """A group whose effect is not estimated, and why.

    Attributes
    ----------
    treated, control : int
        People compared.
    reason : {"no_treated", "no_control", "too_few"}
    """

    treated: int
    control: int
    reason: str


@dataclass(frozen=True, eq=False)
class SubgroupEffects:
    """Effects by group and their differences.

    Attributes
    ----------
    effects : dict of (str, str) to Effects or EmptyGroup
        By (breakdown, level); a crossing is named "sex x origin" and its level "woman x abroad".
    differences : dict of (str, str, str, str) to Estimate
        By (breakdown, level, reference level, measure): effect at the level minus effect at the reference, the breakdown's first level with an
        effect. Measures are named as in `Effects.estimates`.
    interaction_tests : DataFrame
        One row per breakdown and measure: by, measure, chi_square, degrees, p_value, p_holm. Holm runs over the breakdowns, within each measure.
    """

    effects: dict[Key, Effects | EmptyGroup]
    differences: dict[tuple[str, str, str, str], Estimate]
    interaction_tests: pd.DataFrame

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per group and measure, then one per difference: by, group, measure, treated, control, effect, low, high, p_value."""
        rows: list[dict[str, object]] = []
        for (by, level), effects in self.effects.items():
            if isinstance(effects, EmptyGroup):
                rows.append({"by": by, "group": level, "measure": effects.reason, "treated": effects.treated, "control": effects.control})
                continue
            size = {"treated": effects.arms["treated"].n, "control": effects.arms["control"].n}
            rows += [{"by": by, "group": level, "measure": name} | size | _numbers(estimate) for name, estimate in effects.estimates().items()]
        for (by, level, reference, name), estimate in self.differences.items():
            rows.append({"by": by, "group": f"{level} minus {reference}", "measure": name} | _numbers(estimate))
        return pd.DataFrame(rows, columns=["by", "group", "measure", "treated", "control", "effect", "low", "high", "p_value"])


def estimate_subgroups(
    cohort: Cohort, comparison: Comparison, follow_up: FollowUp, by: Sequence[str | tuple[str, ...]], spec: EffectSpec | None = None
) -> SubgroupEffects:
    """Estimate the effects within each group and how they differ between groups.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
    by : sequence of str or tuple of str
        Columns of the cohort (covariates or strata), or crossings of them.
    spec : EffectSpec, optional
        Arms smaller than `smallest_arm` are labelled, not estimated.

    Returns
    -------
    SubgroupEffects

    Raises
    ------
    InputError
        If the cohort lacks a column.
    """
    spec = spec or EffectSpec()
    compared = compared_follow_up(cohort, comparison, follow_up)
    success = spec.succeeded(compared)
    effects: dict[Key, Effects | EmptyGroup] = {}
    differences: dict[tuple[str, str, str, str], Estimate] = {}
    tests: list[dict[str, object]] = []
    for entry in by:
        names = (entry,) if isinstance(entry, str) else tuple(entry)
        breakdown = " x ".join(names)
        code, levels = cohort.codes(names)
        estimated: dict[str, Effects] = {}
        for number, values in enumerate(levels.itertuples(index=False, name=None)):
            level = " x ".join(map(str, values))
            found = _within(compared, success, code[compared.rows] == number, spec)
            effects[breakdown, level] = found
            if isinstance(found, Effects):
                estimated[level] = found
        contrasts = _contrasts(estimated)
        differences |= {(breakdown, *key): estimate for key, estimate in contrasts.items()}
        tests += _tests(breakdown, contrasts)
    return SubgroupEffects(effects, differences, _adjust(tests))


def _within(compared: Compared, success: Bools, inside: Bools, spec: EffectSpec) -> Effects | EmptyGroup:
    treated, control = (compared.n_people(np.flatnonzero(inside & (compared.treated == side))) for side in (True, False))
    if treated == 0 or control == 0:
        return EmptyGroup(treated, control, "no_treated" if treated == 0 else "no_control")
    if min(treated, control) < spec.smallest_arm:
        return EmptyGroup(treated, control, "too_few")
    return effects_within(compared, success, inside, spec)


def _contrasts(estimated: dict[str, Effects]) -> dict[tuple[str, str, str], Estimate]:
    """Set every group against the first, measure by measure, where both have it."""
    if len(estimated) < 2:
        return {}
    (reference, first), *others = estimated.items()
    base = first.estimates()
    return {
        (level, reference, name): estimate - base[name] for level, effects in others for name, estimate in effects.estimates().items() if name in base
    }


def _tests(breakdown: str, contrasts: dict[tuple[str, str, str], Estimate]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for measure in dict.fromkeys(name for _, _, name in contrasts):
        try:
            joint = wald_test([estimate for (_, _, name), estimate in contrasts.items() if name == measure])
        except EstimationError:
            continue  # no spread at all in one group, for instance nobody left: the contrast row still shows it
        rows.append({"by": breakdown, "measure": measure, "chi_square": joint.chi_square, "degrees": joint.degrees, "p_value": joint.p_value})
    return rows


def _adjust(tests: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(tests, columns=["by", "measure", "chi_square", "degrees", "p_value"])
    adjusted = np.full(len(table), np.nan)
    for place in table.groupby("measure").indices.values():
        adjusted[place] = holm(table["p_value"].to_numpy(dtype=np.float64)[place])
    return table.assign(p_holm=adjusted)


def holm(p_values: Floats) -> Floats:
    """Adjust p-values for their number by Holm's step-down rule; statsmodels' `multipletests`, its referent, takes 50 ms a call."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _numbers(estimate: Estimate) -> dict[str, object]:
    return {"effect": estimate.value, "low": estimate.low, "high": estimate.high, "p_value": estimate.p_value}
