"""Why is nobody matched, and what would change that?

The rules are put on one after the other, and after each it is counted how many treated still have a control.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from evaluation.design.candidates import find_candidates
from evaluation.design.cohort import Cohort, Floats, strata_of
from evaluation.design.pair_rules import PairRules
from evaluation.design.propensity import PropensityScores


def why_nobody(cohort: Cohort, scores: PropensityScores, rules: PairRules, forbidden: pd.DataFrame | None = None) -> str:
    """Say which rule leaves nobody a control, how many treated each rule before it left, and which caliper would leave somebody one.

    Parameters
    ----------
    cohort : Cohort, n people
    scores : PropensityScores, shape (n,)
    rules : PairRules
        Under which no pair is allowed.
    forbidden : DataFrame, optional
        As in `find_candidates`.

    Returns
    -------
    str
        The sentence of a `NobodyMatchedError`.
    """
    names = strata_of(cohort, rules.exact)
    stratum, _ = cohort.codes(names)
    shared = int(np.isin(stratum[cohort.treated], stratum[~cohort.treated]).sum())
    if not shared:
        return f"matching: no treated person shares a stratum of ({', '.join(names)}) with any control; match exactly on fewer or coarser columns"
    spread = scores.sd_score if rules.scale == "score" else scores.sd_logit
    story = [f"{shared} of {cohort.n_treated} treated have controls in their stratum"]
    steps = _steps(rules, spread, forbidden)
    for phrase, step, pairs in steps:
        near = find_candidates(cohort, scores, step, forbidden=pairs, limit=1)
        count = int((np.diff(near.start) > 0).sum())
        if not count:
            break
        story.append(f"{count} of them one that is also {phrase}")
    free = steps[-1][1].model_copy(update={"caliper_sd": None})
    gaps = find_candidates(cohort, scores, free, forbidden=forbidden, limit=1).distance
    return f"matching: nobody has a control {phrase}; {', '.join(story)}; {_remedy(gaps, spread)}"


def _steps(rules: PairRules, spread: float, forbidden: pd.DataFrame | None) -> list[tuple[str, PairRules, pd.DataFrame | None]]:
    """Put the rules beyond the strata on one after the other, each with its words; nearness is counted on the propensity scale."""
    only = PairRules(distance=rules.scale, caliper_sd=rules.caliper_sd, exact=rules.exact)
    steps: list[tuple[str, PairRules, pd.DataFrame | None]] = []
    if rules.caliper_sd is not None:
        width = f"{rules.caliper_sd} SD ({rules.caliper_sd * spread:.4g} on the {rules.scale} scale)"
        steps.append((f"within the caliper of {width}", only, None))
    for name, width_of in rules.calipers.items():
        only = only.model_copy(update={"calipers": {**only.calipers, name: width_of}})
        steps.append((f"within {width_of:g} of their {name}", only, None))
    for name in rules.antiexact:
        only = only.model_copy(update={"antiexact": (*only.antiexact, name)})
        steps.append((f"of another {name}", only, None))
    if forbidden is not None:
        steps.append(("not forbidden to them", only, forbidden))
    return steps


def _remedy(gaps: Floats, spread: float) -> str:
    if not len(gaps):
        return "no caliper_sd would help: loosen the covariate calipers, antiexact or the forbidden pairs"
    nearest = float(gaps.min()) / spread
    step = 10.0 ** (math.floor(math.log10(nearest)) - 2)
    return f"caliper_sd = {math.ceil(nearest / step) * step:.3g} would find the nearest allowed pair; widen the caliper or check the overlap"
