"""What does a cost come to for each additional exit, and how sure is that?

A cost over an effect has no mean and no symmetric interval: the nearer the effect is to nothing, the farther the quotient runs. Fieller's interval
holds the quotients that agree with what was seen, and knows how cost and effect vary together; where it would have no end, there is no number.

References
----------
Fieller (1954). Some problems in interval estimation. JRSS B 16(2), 175-185.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from evaluation.analysis.estimates import Estimate

Why = Literal["", "covers_zero", "fewer"]


@dataclass(frozen=True)
class Quotient:
    """A cost over an effect.

    Attributes
    ----------
    value, low, high : float or None
        None where it cannot be computed.
    why : {"", "covers_zero", "fewer"}
        Why it cannot: the interval of the effect covers zero, or the effect is fewer exits.
    """

    value: float | None
    low: float | None
    high: float | None
    why: Why = ""


def divide_by_effect(cost: Estimate, effect: Estimate) -> Quotient:
    """Divide a cost by an effect, with Fieller's interval.

    Parameters
    ----------
    cost, effect : Estimate
        Of the same comparison; the effect in additional exits per participant.

    Returns
    -------
    Quotient
        Without numbers where the interval of the effect covers zero, for costs without limit would then agree with what was seen, and where there
        were fewer exits.

    Notes
    -----
    All t for which (c - t d)^2 <= z^2 (V_cc - 2 t V_cd + t^2 V_dd). Fieller (1954).
    """
    if effect.low <= 0 <= effect.high:
        return Quotient(None, None, None, "covers_zero")
    if effect.value < 0:
        return Quotient(None, None, None, "fewer")
    c, d, z = cost.value, effect.value, float(ndtri(0.5 + effect.level / 2))
    covariance = effect.clusters.covariance(np.column_stack([cost.influence, effect.influence])) * z * z
    square, cross, fixed = d * d - covariance[1, 1], c * d - covariance[0, 1], c * c - covariance[0, 0]
    reach = math.sqrt(max(0.0, cross * cross - square * fixed))
    return Quotient(c / d, (cross - reach) / square, (cross + reach) / square)
