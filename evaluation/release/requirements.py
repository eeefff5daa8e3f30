r"""With which values may the requirements on a design be told?

Whether one is met is judged on the exact value; the value itself is rounded by how far one person moves it. The largest standardised difference is
that of the released table of balance, and the detectable difference follows from the released effective numbers, so that what can be compared on a
page agrees.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evaluation.analysis.curves import ARMS
from evaluation.design.cohort import Floats
from evaluation.design.comparison import Comparison
from evaluation.design.verdict import Check
from evaluation.release.balance_counts import FARTHEST, farthest_move, released_differences, worst_step_in_groups
from evaluation.release.design_numbers import effective_through, people_step
from evaluation.release.held import Held, step_through
from evaluation.release.magnitudes import coarseness
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.rules import ReleaseRules, round_count, round_share
from evaluation.study import Design

PLAN = "plan"  # what the plan's own design is called among others


def check_through(check: Check, design: Design, telling: Held) -> Check:
    """Let a requirement through with a value that may be told; whether it was met stays as it was judged.

    Parameters
    ----------
    check : Check
    design : Design
    telling : Held

    Returns
    -------
    Check
    """
    if telling.rules.exact:
        return check
    name, value = f"requirement, {check.name}", check.value
    match check.name:
        case "worst_smd":
            value = float(released_differences(design, telling)["smd_after"].abs().max())
        case "worst_subgroup_smd":
            value = step_through(name, value, worst_step_in_groups(design, telling.rules), telling)
        case "worst_variance_ratio":
            value = step_through(name, value, variance_ratio_step(design, value, telling.rules), telling)
        case "minimal_detectable_effect":
            value = detectable_through(PLAN, value, design.comparison, telling)
        case "share_treated_kept":
            value = kept_through(PLAN, value, int(design.comparison.attrition["treated"].dropna().iloc[0]), telling)
        case "equipoise":
            value = step_through(name, value, people_step(design.cohort, telling.rules), telling)
        case "effective_control":
            value = effective_through(f"{PLAN}, effective number, control", design.comparison, telling, value=value)
    return replace(check, value=value)


def kept_through(design: str, share: float, people: int, telling: Held) -> float:
    """Let the share of the treated whom a design keeps through, rounded as counts are.

    Parameters
    ----------
    design : str
        Its name, the same in every release.
    share : float
    people : int
        Of whom it is a share, exact.
    telling : Held

    Returns
    -------
    float
    """
    among = int(round_count(people, telling.rules))
    if telling.rules.exact or not among:
        return share
    number = ReleasedNumber("share", round_share(share, among, telling.rules), seal=SEAL)
    shown = telling.number(f"{design}, share kept", number, telling.few / among).value
    return share if shown is None else shown


def detectable_through(design: str, exact: float, comparison: Comparison, telling: Held) -> float:
    r"""Let the smallest detectable difference through, as it follows from the effective numbers that are told.

    Parameters
    ----------
    design : str
        Its name, the same in every release.
    exact : float
    comparison : Comparison
    telling : Held

    Returns
    -------
    float

    Notes
    -----
    It is proportional to :math:`\sqrt{1/n_1 + 1/n_0}` with n the effective numbers, here at least the threshold.
    """
    if telling.rules.exact:
        return exact
    told = [effective_through(f"{design}, effective number, {arm}", comparison, telling, treated=arm == "treated") for arm in ARMS]
    own = 1 / comparison.effective_treated + 1 / comparison.effective_control
    return exact * math.sqrt(sum(1 / max(one, telling.rules.threshold, 1) for one in told) / own)


def variance_ratio_step(design: Design, worst: float, rules: ReleaseRules) -> float:
    r"""Give what the largest ratio of variances is rounded to.

    Parameters
    ----------
    design : Design
    worst : float
        It, either way round.
    rules : ReleaseRules

    Returns
    -------
    float

    Notes
    -----
    One person moves its logarithm by :math:`w_i / \sum w` times :math:`|(x_i - \bar x)^2 / s^2 - 1|` of their arm.
    """
    ratios = np.log(design.balance.table["variance_ratio"].to_numpy(dtype=np.float64))
    name = str(design.balance.table["variable"].iloc[int(np.nanargmax(np.abs(ratios)))])
    values = design.cohort.covariates[name].to_numpy(dtype=np.float64)
    return coarseness(worst * farthest_move(values, design.comparison, _moves_of_variance), rules)


def _moves_of_variance(away: Floats, share: Floats) -> Floats:
    """Give how far each row moves the logarithm of its arm's variance; nowhere where there is none."""
    spread = share @ away**2
    return away**2 / spread - 1 if spread > 0 else np.zeros(len(away))


def worst_step(comparison: Comparison, rules: ReleaseRules) -> float:
    """Give what the largest standardised difference of any characteristic is rounded to."""
    return coarseness(FARTHEST / min(comparison.n_treated, comparison.n_control), rules)
