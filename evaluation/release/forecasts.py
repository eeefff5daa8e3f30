r"""How does a forecast of a count leave?

It goes on from the released count, and what it expects beyond that is rounded outwards. One person moves it by more than one: who has left shows by
what rate the others will, and who has started at what pace more do. To first order the forecast grows in proportion with the exits that it is made
of, so that one of them moves each end by about as many exits as there are in the end for each so far. While so many people as the threshold could
have moved it no farther, it is told as an earlier release told it, the whole row of months at once: two rows of which some months have moved would
tell when.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evaluation.analysis.goal_forecast import Forecast
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.release.telling import Telling


def forecast_through(name: str, made: Forecast, so_far: int | None, telling: Telling) -> Forecast | None:
    r"""Let a forecast through, from the released count on.

    Parameters
    ----------
    name : str
        What is forecast; the same in every release. The day it was made is added: a forecast made later is another.
    made : Forecast
        The exact one.
    so_far : int or None
        The released count on the day it was made.
    telling : Telling

    Returns
    -------
    Forecast or None
        None where the count is hidden. Which are still there and how many will start is as in `made` and not for release.

    Notes
    -----
    With the released count :math:`\tilde n`, base b and threshold t, the ends are :math:`\tilde n + b \lfloor (l - n - b/2) / b \rfloor` and
    :math:`\tilde n + b \lceil (h - n + b/2) / b \rceil`. They are held within :math:`(t + b - 1) \max(1, \tilde h / \tilde n)
    + 2b`, with :math:`\tilde h` the last upper end: count and rest are rounded, each by at most a base from one to the other.
    """
    if telling.rules.exact:
        return made
    if so_far is None:
        return None
    base, moved = telling.rules.base, telling.rules.base // 2
    value = so_far + np.round((made.value - made.so_far) / base) * base
    low = so_far + np.floor((made.low - made.so_far - moved) / base) * base
    high = so_far + np.ceil((made.high - made.so_far + moved) / base) * base
    called = f"{name}, forecast of {made.made.isoformat()}"
    row = {
        f"{called}, {day.isoformat()}": ReleasedNumber("people", *map(float, ends), seal=SEAL)
        for day, *ends in zip(made.months, value, low, high, strict=True)
    }
    reach = telling.few * max(1.0, float(high[-1]) / max(so_far, 1)) + 2 * base
    told = telling.row({f"{called}, so far": ReleasedNumber("people", so_far, seal=SEAL)}, row, reach)
    value, low, high = np.array([(one.value, one.low, one.high) for one in told], dtype=np.float64).T
    return replace(made, so_far=so_far, value=value, low=low, high=high)
