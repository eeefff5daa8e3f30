r"""Does resampling say the same as the influence functions?

Matched sets are drawn again with replacement, the matching itself is left as it is, and every estimate is computed anew. A replicate is a number of
times each set was drawn, and so a weight for everybody in it; what the curves and the hazard ratio need is how much weight leaves and stays on
each day, which for many replicates at once is one product of two matrices. The estimators are those of `estimate_effects`, exit day by exit day.

Where a control stands in several sets, drawing sets draws no independent parts, and the bootstrap of such a match is not valid even in large samples;
it is refused, and persons, or coarser groups, are drawn instead. With few groups neither this nor a normal interval can be relied on: see
wild_bootstrap.py. To match or weight anew in every replicate, see chain_bootstrap.py.

References
----------
Efron & Tibshirani (1993). An Introduction to the Bootstrap, chapters 13 and 16.
Davison & Hinkley (1997). Bootstrap Methods and their Application, section 2.4 (which order statistics end an interval).
Abadie & Imbens (2008). On the failure of the bootstrap for matching estimators. Econometrica 76(6), 1537-1557.
Austin & Small (2014). The use of bootstrapping when using propensity-score matching without replacement. Statistics in Medicine 33, 4306-4319.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from evaluation.analysis.clusters import Clusters, Codes
from evaluation.analysis.compared import Compared, compared_follow_up
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.outcomes import FollowUp
from evaluation.analysis.replicates import Measure, Reweighed, differences
from evaluation.design.cohort import Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError, InputError, Problem

Drawn = Literal["sets", "persons", "clusters", "chain"]
_BLOCK = 200_000  # numbers an array of one block of replicates may hold: they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Every estimate in every replicate, beside its influence standard error.

    Attributes
    ----------
    replicates : dict of (str, float or None) to ndarray of float, shape (B,)
        By measure and horizon (days), named as in `Effects.to_frame`, with "log_hazard_ratio". NaN in a replicate whose drawn people do not reach the
        horizon in both arms, or whose hazard ratio would be 0 or infinite.
    estimates : dict of (str, float or None) to Estimate
        Of `estimate_effects`, with the variance clustered by what was drawn and the weights as given: what the replicates should agree with.
    effects : Effects
        As `estimate_effects` gives them.
    drawn : {"sets", "persons", "clusters", "chain"}
        "chain": persons, of the whole cohort, the comparison then made anew.
    n_drawn : int
        How many of them there are; each replicate draws so many with replacement.
    seed : int
    notes : tuple of str
        What the replicates leave out.
    """

    replicates: dict[Measure, Floats]
    estimates: dict[Measure, Estimate]
    effects: Effects
    drawn: Drawn
    n_drawn: int
    seed: int
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Give one row per estimate.

        Columns: measure, horizon_days, effect, then of the replicates their mean, their std_error and their interval (low, high),
        influence_std_error by what was drawn, reported_std_error of `estimate_effects`, replicates (how many have the estimate).
        """
        reported = differences(self.effects)
        rows = []
        for (measure, horizon), estimate in self.estimates.items():
            values = self.replicates[measure, horizon]
            known = values[~np.isnan(values)]
            mean, error, low, high = math.nan, math.nan, math.nan, math.nan
            if len(known) > 1:
                mean, error = float(known.mean()), float(known.std(ddof=1))
                low, high = map(float, np.quantile(known, [0.5 - estimate.level / 2, 0.5 + estimate.level / 2], method="weibull"))
            errors = (estimate.std_error, reported[measure, horizon].std_error)
            rows.append((measure, math.nan if horizon is None else horizon, estimate.value, mean, error, low, high, *errors, len(known)))
        names = ["measure", "horizon_days", "effect", "mean", "std_error", "low", "high", "influence_std_error", "reported_std_error", "replicates"]
        return pd.DataFrame(rows, columns=names)


def pair_bootstrap(
    cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None, *, replicates: int = 999, seed: int
) -> Bootstrap:
    """Resample the matched sets, without matching again, and compute every effect anew.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
        A match in which everybody is in one set.
    follow_up : FollowUp
        Without weights that change with time.
    spec : EffectSpec, optional
    replicates : int
    seed : int

    Returns
    -------
    Bootstrap
        `influence_std_error` is here that of `estimate_effects`.

    Raises
    ------
    InputError
        If there are fewer than two replicates.
    EstimationError
        If people are in several sets or trials, if there are weights and no sets, or weights that change with time.
    HorizonError
        As `estimate_effects`.

    Notes
    -----
    Set s is drawn :math:`c_s` times, :math:`(c_1, ..., c_S)` multinomial, and everybody in it weighs :math:`c_s w_i`; who is drawn twice leaves
    twice, which counts in Efron's ties. The interval is that of the percentiles. Austin & Small (2014) resample pairs so.
    """
    clusters = Clusters.of(comparison)
    if len(comparison.member_row) == comparison.n_sets:
        raise EstimationError("pair bootstrap: the comparison has weights and no matched sets; cluster_bootstrap resamples persons")
    if not clusters.nested:
        many = int((np.bincount(comparison.person_code[comparison.member_row]) > 1).sum())
        raise EstimationError(
            f"pair bootstrap: {many} people are in several sets, which are then not independent parts to resample, and the naive bootstrap of such a "
            "match is not valid even in large samples (Abadie & Imbens 2008); the intervals of estimate_effects count sets and persons, and "
            "cluster_bootstrap resamples persons as a check"
        )
    code = np.empty(len(comparison.rows), dtype=np.intp)
    code[clusters.member] = clusters.code
    return _bootstrap(cohort, comparison, follow_up, spec or EffectSpec(), code, clusters, "sets", replicates, seed)


def cluster_bootstrap(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec | None = None,
    *,
    ids: ArrayLike | None = None,
    replicates: int = 999,
    seed: int,
) -> Bootstrap:
    """Resample persons, or coarser clusters such as teams, with the sets and weights as they are, and compute every effect anew.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
        Without weights that change with time.
    spec : EffectSpec, optional
    ids : array_like, shape (u,), optional
        The cluster of each compared row, in the order of `Comparison.rows`. Without it the persons, with all their rows.
    replicates : int
    seed : int

    Returns
    -------
    Bootstrap
        A check on the part of the variance that lies between persons (or clusters): persons drawn one by one do not bring their set along.

    Raises
    ------
    InputError
        If `ids` has another length than the compared rows, or lacks some, or there are fewer than two replicates.
    EstimationError
        If there are fewer than two clusters, or weights that change with time.
    HorizonError
        As `estimate_effects`.

    Notes
    -----
    Cluster g is drawn :math:`c_g` times, multinomial. With few clusters prefer `wild_cluster_bootstrap`.
    """
    if ids is None:
        code = np.asarray(pd.factorize(comparison.person_code[comparison.rows])[0], dtype=np.intp)
        clusters = replace(Clusters.few(code), factor=1.0)  # persons are many
    else:
        code = cluster_codes(ids, len(comparison.rows))
        clusters = Clusters.few(code)
    return _bootstrap(cohort, comparison, follow_up, spec or EffectSpec(), code, clusters, "persons" if ids is None else "clusters", replicates, seed)


def cluster_codes(ids: ArrayLike, rows: int) -> Codes:
    """Number the clusters as they first come in the order of the compared rows, which no shuffling moves."""
    given = np.asarray(ids)
    if given.shape != (rows,):
        rule = f"must have one entry for each of the {rows} compared rows"
        raise InputError([Problem("ids", rule, "take the cohort's column at Comparison.rows")])
    code = np.asarray(pd.factorize(given)[0], dtype=np.intp)
    if (code < 0).any():
        raise InputError([Problem.in_rows("ids", "must not be missing", code < 0, "every compared row needs a cluster")])
    return code


def require_several(replicates: int) -> None:
    """Refuse a number of replicates that has no spread."""
    if replicates < 2:
        raise InputError([Problem("replicates", "must be at least 2", "take 999, or more for an interval that does not move in its second digit")])


def _bootstrap(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec,
    code: Codes,
    clusters: Clusters,
    drawn: Drawn,
    replicates: int,
    seed: int,
) -> Bootstrap:
    require_several(replicates)
    compared = compared_for_resampling(cohort, comparison, follow_up)
    effects = estimate_effects(cohort, comparison, follow_up, spec)
    estimates = {measure: replace(estimate, clusters=clusters) for measure, estimate in differences(effects).items()}
    sample = Reweighed(compared, code, effects)
    width = max(1, _BLOCK // sample.size)
    rng, blocks = np.random.default_rng(seed), []
    for begin in range(0, replicates, width):
        times = min(width, replicates - begin)
        drawings = rng.integers(0, sample.units, (times, sample.units))
        counts = np.bincount((drawings + sample.units * np.arange(times)[:, None]).ravel(), minlength=sample.units * times)
        drawn_times = counts.reshape(times, sample.units).astype(np.float64)
        blocks.append(sample.estimates(drawn_times, drawn_times))
    values = {measure: np.concatenate([block[measure] for block in blocks]) for measure in estimates}
    notes = notes_on_missing(values)
    if drawn != "sets" and len(comparison.member_row) == comparison.n_sets:
        notes.append("the weights are taken as given and not estimated anew in each replicate; influence_std_error takes them so too")
    return Bootstrap(values, estimates, effects, drawn, sample.units, seed, tuple(notes))


def compared_for_resampling(cohort: Cohort, comparison: Comparison, follow_up: FollowUp) -> Compared:
    """Look up the follow-up of the compared, and refuse weights that change with time."""
    compared = compared_follow_up(cohort, comparison, follow_up)
    if compared.pieces is not None:
        raise EstimationError("bootstrap: weights that change with time are not resampled; give the follow-up without them")
    return compared


def notes_on_missing(values: dict[Measure, Floats]) -> list[str]:
    """Say which measures could not be computed in how many replicates."""
    notes = []
    for (name, horizon), found in values.items():
        if missing := int(np.isnan(found).sum()):
            where = name if horizon is None else f"{name} at {horizon:g} days"
            notes.append(f"{where}: could not be computed in {missing} of {len(found)} replicates")
    return notes
