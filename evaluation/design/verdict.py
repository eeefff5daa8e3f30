"""May the outcomes be opened: named thresholds, each with its figure and its pass or fail.

The limits are set in the plan before anybody sees a result, and every check is computed from the design alone.

References
----------
Bloom (1995). Minimum detectable effects: a simple way to report the statistical power of experimental designs. Evaluation Review 19(5), 547-556.
Rubin (2008). For objective causal inference, design trumps analysis. Annals of Applied Statistics 2(3), 808-840.
Schuemie et al. (2020). Principles of large-scale evidence generation and evaluation across a network of databases. JAMIA 27(8), 1331-1337.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtri

from evaluation.design.balance import Balance
from evaluation.design.cohort import Cohort
from evaluation.design.comparison import Comparison
from evaluation.design.propensity import PropensityScores
from evaluation.showing import html_of, text_of

CheckName = Literal[
    "worst_smd", "worst_subgroup_smd", "worst_variance_ratio", "minimal_detectable_effect", "share_treated_kept", "equipoise", "effective_control"
]
POWER, SIGNIFICANCE = 0.8, 0.05  # what "would find" means: the usual chances of a miss and of a false alarm


class DesignLimits(BaseModel):
    """What a design must reach before its outcomes may be opened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worst_smd: float = Field(default=0.1, gt=0, description="largest absolute standardised difference of a covariate")
    worst_subgroup_smd: float = Field(default=0.25, gt=0, description="the same inside any reported group, of those beyond chance")
    smallest_arm: int = Field(
        default=10, ge=1, description="people on either side that a group needs to be judged; smaller ones are not reported either"
    )
    worst_variance_ratio: float = Field(default=2.0, gt=1, description="largest ratio of variances, either way round")
    minimal_detectable_effect: float = Field(
        default=0.2, gt=0, le=1, description="largest difference in shares that the design may be too small to find (0.05: five percentage points)"
    )
    expected_share: float = Field(default=0.5, gt=0, lt=1, description="share of successes to reckon with in it; one half needs most people")
    share_treated_kept: float = Field(default=0.8, gt=0, le=1, description="smallest share of the treated that found a control")
    equipoise: float = Field(default=0.2, ge=0, le=1, description="smallest share of people for whom either side was a real possibility")
    effective_control: float = Field(default=50, ge=0, description="smallest effective number of controls")


@dataclass(frozen=True)
class Check:
    """One named threshold held against the design.

    Attributes
    ----------
    name : str
        The field of `DesignLimits`.
    value, limit : float
    passed : bool
    at_least : bool
        True where the value must reach the limit, False where it must not exceed it.
    """

    name: CheckName
    value: float
    limit: float
    passed: bool
    at_least: bool

    @property
    def room(self) -> float:
        """How many times better than its limit the value is: 1 at the limit, less where it is worse."""
        one, other = (self.value, self.limit) if self.at_least else (self.limit, self.value)
        return one / other if other > 0 else math.inf


@dataclass(frozen=True)
class Verdict:
    """Every check and whether all passed.

    Attributes
    ----------
    checks : tuple of Check
    """

    checks: tuple[Check, ...]

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    @property
    def passed(self) -> bool:
        """Whether the design supports opening the outcomes."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per check: check, value, limit, passed."""
        return pd.DataFrame(
            [(check.name, check.value, check.limit, check.passed) for check in self.checks], columns=["check", "value", "limit", "passed"]
        )


def minimal_detectable_effect(comparison: Comparison, expected_share: float = 0.5) -> float:
    r"""Give the smallest true difference in shares that the comparison would find in four cases of five.

    Parameters
    ----------
    comparison : Comparison
    expected_share : float
        Share of successes to reckon with.

    Returns
    -------
    float
        As a share: 0.05 is five percentage points.

    Notes
    -----
    :math:`(z_{0.975} + z_{0.8}) \sqrt{p (1 - p) (1 / n_1 + 1 / n_0)}` with the effective numbers of people (Kish). That matched people resemble
    each other, which makes the difference surer, is left out, and so is censoring, which makes it less sure.
    """
    reach = float(ndtri(1 - SIGNIFICANCE / 2) + ndtri(POWER))
    spread = expected_share * (1 - expected_share) * (1 / comparison.effective_treated + 1 / comparison.effective_control)
    return reach * math.sqrt(spread)


def judge_design(cohort: Cohort, scores: PropensityScores, comparison: Comparison, balance: Balance, limits: DesignLimits | None = None) -> Verdict:
    """Hold the design against the limits set beforehand.

    Parameters
    ----------
    cohort : Cohort
    scores : PropensityScores
    comparison : Comparison
    balance : Balance
    limits : DesignLimits, optional

    Returns
    -------
    Verdict
        A check that does not apply (no groups, no numeric covariate) is left out.
    """
    limits = limits or DesignLimits()
    ratios = balance.table["variance_ratio"].dropna().to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore"):  # what is constant on the treated side alone has ratio 0: as far from 1 as can be
        worst_ratio = float(np.maximum(ratios, 1 / ratios).max()) if len(ratios) else math.nan
    at_most: dict[CheckName, float] = {
        "worst_smd": balance.worst,
        "worst_subgroup_smd": balance.worst_beyond_chance(limits.smallest_arm),
        "worst_variance_ratio": worst_ratio,
        "minimal_detectable_effect": minimal_detectable_effect(comparison, limits.expected_share),
    }
    at_least: dict[CheckName, float] = {
        "share_treated_kept": comparison.n_treated / cohort.n_treated,
        "equipoise": scores.overlap.equipoise,
        "effective_control": comparison.effective_control,
    }
    checks = [
        Check(name, value, getattr(limits, name), value <= getattr(limits, name), at_least=False)
        for name, value in at_most.items()
        if not math.isnan(value)
    ]
    checks += [Check(name, value, getattr(limits, name), value >= getattr(limits, name), at_least=True) for name, value in at_least.items()]
    return Verdict(tuple(checks))
