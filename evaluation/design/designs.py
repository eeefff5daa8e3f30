"""Which way of building the comparison serves best? Several designs side by side, judged by the people they keep and how alike these are.

Nothing here has seen an outcome, so one may look at as many designs as one likes before the plan is written.

References
----------
King, Lucas & Nielsen (2017). The balance-sample size frontier in matching methods for causal inference. AJPS 61(2), 473-489.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from evaluation.design.balance import assess_balance
from evaluation.design.cohort import Cohort
from evaluation.design.comparison import Comparison
from evaluation.design.full import FullSpec
from evaluation.design.matching import AnyMatchingSpec, MatchingSpec, match_cohort
from evaluation.design.optimal import OptimalSpec
from evaluation.design.propensity import PropensityScores
from evaluation.design.verdict import DesignLimits, judge_design
from evaluation.design.weighting import WeightingSpec, weight_cohort
from evaluation.errors import DesignError, UnmatchedWarning

AnyDesign = AnyMatchingSpec | WeightingSpec
_COLUMNS = [
    *("design", "n_treated", "share_treated_kept", "n_control", "effective_control", "worst_smd", "worst_subgroup_smd", "worst_variance_ratio"),
    *("minimal_detectable_effect", "passed", "failed", "reason"),
]


def make_comparison(cohort: Cohort, scores: PropensityScores, spec: AnyDesign) -> Comparison:
    """Match or weight, as the spec says."""
    return weight_cohort(cohort, scores, spec) if isinstance(spec, WeightingSpec) else match_cohort(cohort, scores, spec)


@dataclass(frozen=True, eq=False)
class Designs:
    """Several designs of the same people.

    Attributes
    ----------
    table : DataFrame
        One row per design: design, n_treated, share_treated_kept, n_control, effective_control, worst_smd, worst_subgroup_smd,
        worst_variance_ratio, minimal_detectable_effect, passed, failed (the limits that were not met), reason (why there is no such comparison).
    specs : dict of str to spec
        How each was asked for.
    comparisons : dict of str to Comparison
        Of those that could be made.
    """

    table: pd.DataFrame
    specs: dict[str, AnyDesign]
    comparisons: dict[str, Comparison]

    def to_frame(self) -> pd.DataFrame:
        """Give the table."""
        return self.table.copy()


def design_grid(
    *, calipers_sd: Sequence[float | None] = (0.1, 0.2, 0.3, None), ratios: Sequence[int] = (1, 2, 3), exact: Sequence[str] = (), **options: object
) -> dict[str, MatchingSpec]:
    """Name nearest-neighbour designs with every combination of caliper and ratio.

    Parameters
    ----------
    calipers_sd : sequence of float or None
    ratios : sequence of int
    exact : sequence of str
    **options
        Other options of `MatchingSpec`, the same in all of them.

    Returns
    -------
    dict of str to MatchingSpec
        Named such as "nearest 1:2, caliper 0.2".
    """
    named = {}
    for ratio, caliper in product(ratios, calipers_sd):
        name = f"nearest 1:{ratio}, {'no caliper' if caliper is None else f'caliper {caliper:g}'}"
        named[name] = MatchingSpec.model_validate({"ratio": ratio, "caliper_sd": caliper, "exact": tuple(exact), **options})
    return named


def alternatives_to(spec: AnyDesign) -> dict[str, AnyDesign]:
    """Name a plan's own design, "plan", and the usual others beside it, exact on the same columns.

    Parameters
    ----------
    spec : spec of matching or weighting

    Returns
    -------
    dict of str to spec
        The plan's; nearest neighbours with other ratios and calipers; optimal pairs, full matching, weights.
    """
    others: dict[str, AnyDesign] = {
        **design_grid(calipers_sd=(0.1, 0.2, None), exact=spec.exact),
        "optimal pairs": OptimalSpec(exact=spec.exact),
        "full matching": FullSpec(exact=spec.exact),
        "odds weights": WeightingSpec(exact=spec.exact),
        "overlap weights": WeightingSpec(method="overlap", exact=spec.exact),
        "entropy balancing": WeightingSpec(method="entropy", exact=spec.exact),
    }
    return {"plan": spec, **{name: other for name, other in others.items() if other != spec}}


def compare_designs(
    cohort: Cohort,
    scores: PropensityScores,
    designs: Mapping[str, AnyDesign] | None = None,
    *,
    by: Sequence[str | tuple[str, ...]] = (),
    limits: DesignLimits | None = None,
) -> Designs:
    """Build several comparisons of the same people and set beside one another whom they keep and how alike these are.

    Parameters
    ----------
    cohort : Cohort
    scores : PropensityScores
    designs : mapping of str to spec, optional
        By the name to show: specs of matching or weighting. Left out: `design_grid()`.
    by : sequence of str or tuple of str, optional
        Columns (or crossings of columns) inside whose levels balance counts too.
    limits : DesignLimits, optional

    Returns
    -------
    Designs
        A design that cannot be made is a row with the reason.
    """
    limits = limits or DesignLimits()
    rows, made = [], {}
    asked: dict[str, AnyDesign] = dict(design_grid() if designs is None else designs)
    for name, spec in asked.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnmatchedWarning)  # the table says how many are kept
                comparison = make_comparison(cohort, scores, spec)
        except DesignError as error:
            rows.append({"design": name, "passed": False, "reason": str(error)})
            continue
        made[name] = comparison
        balance = assess_balance(cohort, comparison, by=by, limit_in_groups=limits.worst_subgroup_smd)
        verdict = judge_design(cohort, scores, comparison, balance, limits)
        values = {str(check.name): check.value for check in verdict.checks}
        values["worst_subgroup_smd"] = balance.worst_in_subgroups(limits.smallest_arm)  # to choose by, also where chance explains it
        rows.append(
            {
                "design": name,
                "n_treated": comparison.n_treated,
                "n_control": comparison.n_control,
                **values,
                "passed": verdict.passed,
                "failed": ", ".join(check.name for check in verdict.failed),
            }
        )
    return Designs(pd.DataFrame(rows, columns=_COLUMNS), asked, made)
