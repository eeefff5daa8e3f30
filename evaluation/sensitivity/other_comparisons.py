"""What if the same people were compared in another way?

Nearer or more distant counterparts, more or fewer of them, weights instead of pairs, and a regression in place of either or on top of both.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.analysis.augmented import augmented_difference
from evaluation.analysis.effects import estimate_effects
from evaluation.design.comparison import Comparison
from evaluation.design.designs import AnyDesign
from evaluation.design.matching import MatchingSpec
from evaluation.design.sets import comparison_from_sets
from evaluation.design.weighting import WeightingSpec
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.rows import Finding, Row, answer, attempt, estimated


def nearest(baseline: Baseline) -> MatchingSpec:
    """Give the nearest-neighbour design that calipers and ratios are varied of: the plan's own, or the usual one exact on the plan's columns."""
    own = baseline.plan.comparison
    return own if isinstance(own, MatchingSpec) else MatchingSpec(exact=own.exact)


def compare_otherwise(baseline: Baseline, probe: str, setting: str, spec: AnyDesign) -> Finding:
    """Match or weight the same people by another spec."""

    def run() -> Row:
        effects = estimate_effects(baseline.design.cohort, baseline.compared_by(spec), baseline.follow_up, baseline.spec)
        # overlap weights ask about those for whom either side was likely, who are others than the participants
        return answer(probe, setting, effects, baseline.horizon_days, same_people=setting != "overlap")

    return Finding((attempt(probe, setting, run),))


def regress(baseline: Baseline, setting: str) -> Finding:
    """Let the covariates foretell the outcome: within the comparison, instead of it, or with odds weights (doubly robust)."""

    def run() -> Row:
        comparison = _augmented(baseline, setting)
        design, horizon = baseline.design, baseline.horizon_days
        found = augmented_difference(design.cohort, comparison, baseline.follow_up, baseline.spec, horizon_days=horizon)
        return estimated("regression", setting, found, comparison.n_treated, comparison.n_control)

    return Finding((attempt("regression", setting, run),))


def _augmented(baseline: Baseline, setting: str) -> Comparison:
    if setting == "matched":
        return baseline.design.comparison
    if setting == "doubly_robust":
        return baseline.compared_by(WeightingSpec(exact=baseline.plan.comparison.exact))
    return _everybody(baseline)


def _everybody(baseline: Baseline) -> Comparison:
    """Compare everybody within the exact strata that hold both sides, with no regard to the propensity."""
    cohort = baseline.design.cohort
    code, _ = cohort.codes(baseline.plan.comparison.exact)
    treated = np.bincount(code, cohort.treated)
    both = (treated > 0) & (treated < np.bincount(code))
    kept = np.flatnonzero(both[code])
    members = pd.DataFrame({"person": cohort.person[kept], "set": code[kept]})
    if cohort.trial is not None:
        members[cohort.trial] = cohort.column(cohort.trial).to_numpy()[kept]
    return comparison_from_sets(cohort, members)
