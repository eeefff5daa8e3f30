"""Who has a counterpart on the other side at all, and who are left out because they have none?

Three rules: keep the range of scores that both sides reach; keep a range of propensities, 0.1 to 0.9 unless otherwise said; or keep a range of
preference scores, 0.3 to 0.7. Leaving out treated people changes the question, so it warns, and a table says how they differ from those kept.

References
----------
Crump, Hotz, Imbens & Mitnik (2009). Dealing with limited overlap in estimation of average treatment effects. Biometrika 96(1), 187-199.
Dehejia & Wahba (1999). Causal effects in nonexperimental studies. JASA 94(448), 1053-1062 (the range both sides reach).
Walker et al. (2013). A tool for assessing the feasibility of comparative effectiveness research. Comparative Effectiveness Research 3, 11-20.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluation.design.cohort import Bools, Cohort, Floats, attrition_after
from evaluation.design.columns import level_columns
from evaluation.design.propensity import EQUIPOISE_RANGE, PropensityScores, preference_scores, refuse_other_scores
from evaluation.errors import NobodyMatchedError, UnmatchedWarning

CRUMP_RANGE = (0.1, 0.9)  # Crump et al. 2009: nearly the range of least variance, whatever the distribution of the scores
_MOST_DECIMALS = 12  # of a limit in an error; what is smaller is 0


class SupportSpec(BaseModel):
    """Which people have common support."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Literal["minmax", "range", "preference"] = Field(
        default="minmax", description="the scores both sides reach, a range of propensities, or a range of preference scores"
    )
    low: float | None = Field(default=None, ge=0, le=1, description="lowest score kept; 0.1 for a range of propensities, 0.3 of preferences")
    high: float | None = Field(default=None, ge=0, le=1, description="highest score kept; 0.9 for a range of propensities, 0.7 of preferences")

    @model_validator(mode="after")
    def _consistent(self) -> SupportSpec:
        if self.rule == "minmax" and (self.low, self.high) != (None, None):
            raise ValueError("rule = 'minmax' finds low and high itself; take them out, or take rule = 'range'")
        if self.rule != "minmax" and self.limits[0] >= self.limits[1]:
            raise ValueError(f"low ({self.limits[0]:g}) must lie below high ({self.limits[1]:g})")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest score that a range keeps."""
        low, high = EQUIPOISE_RANGE if self.rule == "preference" else CRUMP_RANGE
        return low if self.low is None else self.low, high if self.high is None else self.high


@dataclass(frozen=True, eq=False)
class Support:
    """Who has common support, and who was left out.

    Attributes
    ----------
    kept : ndarray of bool, shape (n,)
        Over the rows of the cohort that was given.
    cohort : Cohort
        Those kept, in their order; its attrition has the step "common_support".
    scores : PropensityScores
        Theirs, as estimated on everybody.
    low, high : float
        The scores from which and up to which people are kept; preference scores where the rule is "preference".
    counts : DataFrame
        One row per side: side, kept, dropped; rows of the cohort.
    dropped : DataFrame
        One row per number and per level of a category: variable, level ("" for numbers), mean_dropped_treated, mean_kept_treated,
        mean_dropped_control, mean_kept_control, and smd_treated and smd_control, dropped minus kept in standard deviations among all treated.
        Means of nobody are NaN.
    """

    kept: Bools
    cohort: Cohort
    scores: PropensityScores
    low: float
    high: float
    counts: pd.DataFrame
    dropped: pd.DataFrame

    def __post_init__(self) -> None:
        self.kept.setflags(write=False)

    def to_frame(self) -> pd.DataFrame:
        """Give the table of means of those dropped and those kept."""
        return self.dropped.copy()


def trim_support(cohort: Cohort, scores: PropensityScores, spec: SupportSpec | None = None) -> Support:
    r"""Leave out those whose scores the other side does not reach.

    Parameters
    ----------
    cohort : Cohort, n rows
    scores : PropensityScores, shape (n,)
    spec : SupportSpec, optional

    Returns
    -------
    Support
        Its scores are those of the model on everybody; ``estimate_propensity(support.cohort)`` fits one on those kept, as weights need it.

    Raises
    ------
    NobodyMatchedError
        If no treated or no control is kept; says which range would keep both.
    InputError
        If the scores are of another cohort.

    Warns
    -----
    UnmatchedWarning
        If treated people are left out: the estimand is then the effect on those kept.

    Notes
    -----
    Kept are scores from `low` to `high`, both included; for "minmax" they are
    :math:`\max(\min_{t} e_i, \min_{c} e_i)` and :math:`\min(\max_{t} e_i, \max_{c} e_i)` over the treated t and the controls c. In a stack the
    limits are those of all trials together, as the scores are.
    """
    spec = spec or SupportSpec()
    refuse_other_scores(cohort, scores)
    position = preference_scores(scores.logit, cohort.treated) if spec.rule == "preference" else scores.score
    low, high = _shared(position, cohort.treated) if spec.rule == "minmax" else spec.limits
    kept = (position >= low) & (position <= high)
    if not (kept & cohort.treated).any() or not (kept & ~cohort.treated).any():
        raise NobodyMatchedError(_why_nobody(position, cohort.treated, kept, spec, low, high))
    rows = np.flatnonzero(kept)
    people = replace(cohort.take(rows), attrition=attrition_after(cohort, "common_support", rows))
    lost = int((cohort.treated & ~kept).sum())
    if lost:
        warnings.warn(
            f"{lost} of {cohort.n_treated} treated have no common support with the controls; the estimand is the effect on the "
            f"{cohort.n_treated - lost} who have. Widen the range to keep more; Support.kept says who they are",
            UnmatchedWarning,
            stacklevel=2,
        )
    counts = pd.DataFrame(
        [{"side": name, "kept": int(kept[side].sum()), "dropped": int((~kept)[side].sum())} for name, side in _sides(cohort.treated)]
    )
    return Support(kept, people, scores.take(rows, people), low, high, counts, _means(cohort, kept))


def _sides(treated: Bools) -> tuple[tuple[str, Bools], tuple[str, Bools]]:
    return ("treated", treated), ("control", ~treated)


def _shared(position: Floats, treated: Bools) -> tuple[float, float]:
    """Give the range both sides reach; its ends change places where they share none."""
    one, other = position[treated], position[~treated]
    return float(max(one.min(), other.min())), float(min(one.max(), other.max()))


def _why_nobody(position: Floats, treated: Bools, kept: Bools, spec: SupportSpec, low: float, high: float) -> str:
    before = " and ".join(f"{int(kept[side].sum())} of {int(side.sum())} {name}" for name, side in _sides(treated))
    least, most = sorted((low, high))
    for _, side in _sides(treated):
        nearest = position[side][np.argmin(np.maximum(least - position[side], position[side] - most).clip(0))]
        least, most = min(least, nearest), max(most, nearest)
    asked = spec.rule != "minmax"  # a limit of the plan is shown as it is, one that is somebody's score is not
    least = low if asked and least == low else math.floor(least * _scale(least)) / _scale(least)
    most = high if asked and most == high else math.ceil(most * _scale(1 - most)) / _scale(1 - most)
    reached = (position >= least) & (position <= most)
    after = " and ".join(f"{int(reached[side].sum())} {name}" for name, side in _sides(treated))
    rule = "preference" if spec.rule == "preference" else "range"
    return (
        f"common support: rule = '{spec.rule}' keeps {before}; the nearest that keeps both is rule = '{rule}', "
        f"low = {least}, high = {most}, with {after}"
    )


def _scale(room: float) -> float:
    """Give the power of ten that leaves two digits of the room beside a limit: rounded, it is nobody's score."""
    return 10.0 ** min(1 - math.floor(math.log10(room)), _MOST_DECIMALS) if room > 0 else 1.0


def _means(cohort: Cohort, kept: Bools) -> pd.DataFrame:
    """Set out how those dropped differ from those kept."""
    treated = cohort.treated[cohort.order]
    groups = {
        f"mean_{name}_{side}": cohort.order[(kept[cohort.order] == stays) & (treated == (side == "treated"))]
        for side in ("treated", "control")
        for name, stays in (("dropped", False), ("kept", True))
    }
    everybody = cohort.order[treated]
    table = []
    for variable, level, values in _values(cohort):
        row: dict[str, object] = {"variable": variable, "level": level}
        means = {name: float(values[rows].mean()) if len(rows) else math.nan for name, rows in groups.items()}
        binary = bool(((values == 0) | (values == 1)).all())
        spread = float(values[everybody].std(ddof=0 if binary else 1)) if len(everybody) > 1 or binary else math.nan
        for side in ("treated", "control"):
            gap = means[f"mean_dropped_{side}"] - means[f"mean_kept_{side}"]
            means[f"smd_{side}"] = gap / spread if spread else gap if gap == 0 or math.isnan(gap) else math.copysign(math.inf, gap)
        table.append(row | means)
    return pd.DataFrame(table)


def _values(cohort: Cohort) -> Iterator[tuple[str, str, Floats]]:
    for name, column in cohort.covariates.items():
        yield from ((str(name), level, values) for level, values in level_columns(column))
