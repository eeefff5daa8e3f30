r"""How strongly must something unseen go with both treatment and outcome, to explain an effect away?

The E-value asks it as a risk ratio with either. It does not say that anything unseen is there.

References
----------
VanderWeele & Ding (2017). Sensitivity analysis in observational research: introducing the E-value. Annals of Internal Medicine 167(4), 268-274.
VanderWeele (2017). On a square-root transformation of the odds ratio for a common outcome. Epidemiology 28(6), e58-e60.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from evaluation.analysis.estimates import Estimate, Ratio


@dataclass(frozen=True)
class EValue:
    """How strongly something unseen must go with both treatment and outcome, as risk ratios, to explain an effect away.

    Attributes
    ----------
    point : float
        For the estimate; at least 1.
    interval : float
        For the end of the interval nearest to no effect; 1 where the interval holds no effect.
    """

    point: float
    interval: float

    def to_frame(self) -> pd.DataFrame:
        """Give one row: point and interval, both risk ratios of at least 1."""
        return pd.DataFrame([(self.point, self.interval)], columns=["point", "interval"])


def e_value(risk_ratio: Ratio) -> EValue:
    r"""Say how strong something unseen must be to explain a risk ratio away.

    Parameters
    ----------
    risk_ratio : Ratio
        Of shares, or a hazard ratio of an outcome that is rare by the end (below 15 percent); of a common one, `hazard_e_value`.

    Returns
    -------
    EValue

    Notes
    -----
    :math:`E = RR + \sqrt{RR (RR - 1)}`, with the inverse of a ratio below 1 (VanderWeele & Ding 2017).
    """
    return _e_value(risk_ratio.value, risk_ratio.low, risk_ratio.high)


def hazard_e_value(hazard_ratio: Ratio) -> EValue:
    r"""Say how strong something unseen must be to explain the hazard ratio of a common outcome away.

    Parameters
    ----------
    hazard_ratio : Ratio
        Of an outcome that more than 15 percent have by the end of follow-up; of a rarer one, `e_value`.

    Returns
    -------
    EValue

    Notes
    -----
    The ratio and the ends of its interval are first brought to the scale of risks,
    :math:`RR \approx (1 - 0.5^{\sqrt{HR}}) / (1 - 0.5^{\sqrt{1 / HR}})` (VanderWeele 2017).
    """
    return _e_value(*(_risk_ratio(value) for value in (hazard_ratio.value, hazard_ratio.low, hazard_ratio.high)))


def share_e_value(treated: Estimate, control: Estimate) -> EValue:
    """Say how strong something unseen must be to explain the difference of two shares away, by their ratio.

    Parameters
    ----------
    treated, control : Estimate
        The shares of the two arms at one horizon, from the same comparison.

    Returns
    -------
    EValue
        The interval is the ratio's, by the delta method on the log scale, so near no effect it may differ from the difference's.

    Raises
    ------
    EstimationError
        If either share is 0, or they come from different comparisons.
    """
    return e_value(treated / control)


def _e_value(value: float, low: float, high: float) -> EValue:
    nearest = max(low, 1.0) if value >= 1 else min(high, 1.0)
    return EValue(_strength(value), _strength(nearest))


def _strength(ratio: float) -> float:
    away = max(ratio, 1 / ratio)
    return away + math.sqrt(away * (away - 1))


def _risk_ratio(hazard_ratio: float) -> float:
    # expm1 keeps the digits of hazard ratios far from 1
    return math.expm1(-math.log(2) * math.sqrt(hazard_ratio)) / math.expm1(-math.log(2) / math.sqrt(hazard_ratio))
