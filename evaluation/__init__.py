"""Judges from register data whether a labour-market programme worked.

Every public name, in the order the data travels. Names are looked up when first used, so that importing the package, or asking the command line
for help, does not load numpy, pandas or anything heavier.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from evaluation.analysis.curves import Curves, EffectSpec, estimate_curves
    from evaluation.analysis.effects import Effects, estimate_effects
    from evaluation.analysis.estimates import Estimate, JointTest, Ratio, wald_test
    from evaluation.analysis.hazards import adjusted_hazard_ratio, check_proportionality
    from evaluation.analysis.outcomes import FollowUp, TimeUnit, followup_from_table
    from evaluation.analysis.subgroups import SubgroupEffects, estimate_subgroups
    from evaluation.design.balance import Balance, assess_balance
    from evaluation.design.cohort import Cohort, cohort_from_table
    from evaluation.design.matching import Comparison, MatchingSpec, comparison_from_sets, match_cohort
    from evaluation.design.propensity import PropensityScores, PropensitySpec, estimate_propensity, scores_from_table
    from evaluation.design.verdict import DesignLimits, Verdict, judge_design
    from evaluation.errors import EvaluationError
    from evaluation.plan import Plan, load_plan
    from evaluation.registers.schema import Schema, load_schema
    from evaluation.registers.sources import read_table
    from evaluation.reporting.report import write_report
    from evaluation.study import Design, Study, analyse_study, design_study

_ROOMS = {
    "registers.sources": ("read_table",),
    "registers.schema": ("Schema", "load_schema"),
    "design.cohort": ("Cohort", "cohort_from_table"),
    "design.propensity": ("PropensityScores", "PropensitySpec", "estimate_propensity", "scores_from_table"),
    "design.matching": ("Comparison", "MatchingSpec", "comparison_from_sets", "match_cohort"),
    "design.balance": ("Balance", "assess_balance"),
    "design.verdict": ("DesignLimits", "Verdict", "judge_design"),
    "analysis.outcomes": ("FollowUp", "TimeUnit", "followup_from_table"),
    "analysis.estimates": ("Estimate", "JointTest", "Ratio", "wald_test"),
    "analysis.curves": ("Curves", "EffectSpec", "estimate_curves"),
    "analysis.effects": ("Effects", "estimate_effects"),
    "analysis.hazards": ("adjusted_hazard_ratio", "check_proportionality"),
    "analysis.subgroups": ("SubgroupEffects", "estimate_subgroups"),
    "plan": ("Plan", "load_plan"),
    "study": ("Design", "Study", "analyse_study", "design_study"),
    "reporting.report": ("write_report",),
    "errors": ("EvaluationError",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604  # strings all: the keys of _HOME


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'evaluation' has no attribute '{name}'")
    value = getattr(import_module(f"evaluation.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
