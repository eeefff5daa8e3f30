r"""How sure is an estimate where its people fall into few clusters, such as a handful of teams?

With few clusters neither resampling nor a normal interval can be relied on. The wild bootstrap turns whole clusters' influences round at random: with
:math:`s_g` the sum of the influences of cluster g and :math:`a_g` its part of the people, its score under the hypothesis :math:`\theta_0` is
:math:`r_g = s_g + a_g (\hat\theta - \theta_0)`.

References
----------
Cameron, Gelbach & Miller (2008). Bootstrap-based improvements for inference with clustered errors. RESTAT 90(3), 414-427.
Kline & Santos (2012). A score based approach to wild bootstrap inference. Journal of Econometric Methods 1(1), 23-41.
Webb (2014). Reworking wild bootstrap based inference for clustered errors. Queen's Economics Department Working Paper 1315.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from evaluation.analysis.bootstrap import cluster_codes, require_several
from evaluation.analysis.clusters import Clusters
from evaluation.analysis.estimates import Estimate
from evaluation.design.cohort import Floats
from evaluation.errors import EstimationError

_FEW = 10  # below so many clusters the two-point multipliers have too few different draws (Webb 2014)
_WEBB = np.sqrt([0.5, 1.0, 1.5])  # and their negatives: mean 0, variance 1, six points
_TIE = 1 - 1e-9  # a draw that repeats the data, or turns all of it round, has the data's own t up to rounding
_FARTHEST = 2.0**12  # standard errors from the estimate beyond which an interval that still has not ended never does
_DIGITS = 12  # of one minus the level: p-values are fractions, and one that equals it must not slip past by rounding
_HALVINGS = 60  # an interval's end to the last bit


@dataclass(frozen=True)
class WildBootstrap:
    """An estimate's test and interval where clusters are few.

    Attributes
    ----------
    value, std_error : float
        The estimate, and its standard error clustered by `ids`, factor G / (G - 1).
    low, high : float
        The values the test does not reject; infinite where the clusters are too few to reject any.
    p_value : float
    level : float
    n_clusters, replicates, seed : int
    multipliers : {"webb", "rademacher"}
    """

    value: float
    std_error: float
    low: float
    high: float
    p_value: float
    level: float
    n_clusters: int
    replicates: int
    seed: int
    multipliers: Literal["webb", "rademacher"]

    def to_frame(self) -> pd.DataFrame:
        """Give one row: effect, std_error, low, high, p_value, clusters, multipliers, replicates."""
        row = (self.value, self.std_error, self.low, self.high, self.p_value, self.n_clusters, self.multipliers, self.replicates)
        return pd.DataFrame([row], columns=["effect", "std_error", "low", "high", "p_value", "clusters", "multipliers", "replicates"])


def wild_cluster_bootstrap(estimate: Estimate, ids: ArrayLike, *, replicates: int = 9999, seed: int) -> WildBootstrap:
    r"""Test an estimate, and give its interval, where it is clustered by few groups such as teams.

    Parameters
    ----------
    estimate : Estimate
        A difference, or the logarithm of a ratio; take differences first.
    ids : array_like, shape (u,)
        The cluster of each compared row, in the order of `Comparison.rows`.
    replicates : int
    seed : int

    Returns
    -------
    WildBootstrap

    Raises
    ------
    InputError
        If `ids` has another length than the influence, or lacks some, or there are fewer than two replicates.
    EstimationError
        If fewer than two clusters have a part in the estimate, or it does not vary between them.

    Notes
    -----
    With multipliers :math:`v_g`, :math:`t^* = \sum_g v_g r_g / \mathrm{se}^*`,
    :math:`\mathrm{se}^{*2} = \frac{G}{G-1} \sum_g (v_g r_g - a_g \sum_h v_h r_h)^2`, and p is the part of :math:`|t^*|` that reach
    :math:`|\hat\theta - \theta_0| / \mathrm{se}`, the data counted among them. The hypothesis is imposed, as Cameron, Gelbach & Miller (2008) advise,
    and the interval holds every :math:`\theta_0` with :math:`p > 1 - level`. Multipliers are :math:`\pm 1`; below 10 clusters Webb's six points.
    """
    require_several(replicates)
    code = cluster_codes(ids, len(estimate.influence))
    weights = estimate.clusters.weights
    Clusters.few(code, weights)  # refuses one cluster, and people outside them all
    influence = estimate.influence if weights is None else weights.carried(estimate.influence)
    has_part = influence != 0
    code = np.asarray(pd.factorize(code[has_part])[0], dtype=np.intp)
    count = int(code.max(initial=-1)) + 1
    part = np.bincount(code) / max(len(code), 1)
    sums = np.bincount(code, influence[has_part])
    sums = sums - part * sums.sum()  # a score's influences sum to its value
    error = math.sqrt(count / (count - 1) * float(sums @ sums)) if count > 1 else 0.0
    if error <= np.finfo(np.float64).eps * float(np.abs(influence).sum()):
        raise EstimationError(f"{estimate.name}: does not vary between clusters, {count} of which have a part in it; give ids that differ")
    rng, shape = np.random.default_rng(seed), (replicates, count)
    few = count < _FEW
    sign = rng.choice(np.array([-1.0, 1.0]), shape)
    draws = sign * rng.choice(_WEBB, shape) if few else sign
    p_value = _p_of_shift(sums, part, draws, error)
    low, high = (estimate.value - _last_accepted(p_value, round(1 - estimate.level, _DIGITS), side * error) for side in (1, -1))
    named: Literal["webb", "rademacher"] = "webb" if few else "rademacher"
    return WildBootstrap(estimate.value, error, low, high, p_value(estimate.value), estimate.level, count, replicates, seed, named)


def _p_of_shift(sums: Floats, part: Floats, draws: Floats, error: float) -> Callable[[float], float]:
    """Give the p-value of the estimate lying `shift` above the hypothesis; both parts of t* are polynomials in the shift."""
    own, shifted = draws * sums, draws * part
    own_total, shifted_total = own.sum(axis=1), shifted.sum(axis=1)
    own, shifted = own - own_total[:, None] * part, shifted - shifted_total[:, None] * part
    square, cross, fixed = ((one * other).sum(axis=1) for one, other in ((shifted, shifted), (own, shifted), (own, own)))
    factor = len(sums) / (len(sums) - 1)

    def p_value(shift: float) -> float:
        spread = factor * (fixed + 2 * shift * cross + shift**2 * square)
        reached = np.abs(own_total + shift * shifted_total) * error >= _TIE * abs(shift) * np.sqrt(np.maximum(spread, 0.0))
        return float((1 + np.count_nonzero(reached)) / (1 + len(draws)))

    return p_value


def _last_accepted(p_value: Callable[[float], float], limit: float, step: float) -> float:
    """Give the shift, from 0 in the direction of `step`, at which the hypothesis begins to be rejected."""
    inside, outside = 0.0, step
    while p_value(outside) > limit:
        inside, outside = outside, 2 * outside
        if abs(outside) > _FARTHEST * abs(step):
            return math.copysign(math.inf, step)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if p_value(middle) > limit else (inside, middle)
    return outside
