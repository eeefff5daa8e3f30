r"""How do means, ratios and p-values leave, which are no counts?

They are rounded so coarsely that who knows about everybody else learns next to nothing of the last one. A number's influence function says how far
each person pulls it. The step is the smallest of 1, 2 and 5 times a power of ten that is at least twice the strongest pull: then the whole range in
which one person can place the number is at most one step wide and holds at most one limit between two rounded values. Somebody who knew all the
others to the last krona would learn on which side of that one limit the last person lies, and mostly not even that. Ends of intervals lie around the
rounded value, farther away than the exact ones from the exact value by the most that rounding can have moved it, and with two digits, so they do not
give it back.

References
----------
Hundepool et al. (2012). Statistical Disclosure Control. Wiley. Chapter 4 (magnitude tables: dominance).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.special import ndtr, ndtri

from evaluation.analysis.estimates import Estimate, Ratio
from evaluation.release.released import SEAL, ReleasedCounts, ReleasedNumber
from evaluation.release.rules import ReleaseRules

BOTH_WAYS = 2.0  # a person may pull a number up as far as another pulls it down
DIGITS = 2  # of how far an interval's ends lie away: more says more of single people than of how sure it is
FINEST_RATIO = 0.01  # a third decimal of a ratio says nothing
_NEARLY = 1e-9  # what floating-point numbers leave of a whole one


def strongest_pull(*estimates: Estimate) -> float:
    """Give how far the person who pulls most moves any of some estimates, over all rows that are of one person."""
    pulls = [0.0]
    for estimate in estimates:
        person, influence = estimate.clusters.person, estimate.influence
        of_each = influence if person is None else np.bincount(person[: len(influence)], weights=influence)
        pulls.append(float(np.abs(of_each).max(initial=0.0)))
    return max(pulls)


def coarseness(pull: float, rules: ReleaseRules) -> float:
    r"""Give the step that a number is rounded to.

    Parameters
    ----------
    pull : float
        How far one person moves it at most, in its unit.
    rules : ReleaseRules

    Returns
    -------
    float
        0 where it is not rounded: under rules that let everything through, or where nobody moves it.

    Notes
    -----
    The smallest of :math:`1, 2, 5 \times 10^k` that is at least :math:`2 \max_i |\psi_i|`; so round a step tells little of who pulls most.
    """
    if rules.exact or pull <= 0:
        return 0.0
    wanted = BOTH_WAYS * pull
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= wanted * (1 - _NEARLY))


def round_to(value: float, step: float) -> float:
    """Round to the nearest multiple of a step, halves upwards; a step of 0 rounds nothing."""
    return value if step == 0 else math.floor(round(value / step, 9) + 0.5) * step


def release_mean(mean: Estimate, counts: ReleasedCounts, rests_on: Iterable[str] = (), *, step: float | None = None) -> ReleasedNumber:
    """Let a mean or a sum per person through.

    Parameters
    ----------
    mean : Estimate
    counts : ReleasedCounts
    rests_on : iterable of str
        Cells.
    step : float, optional
        What it is rounded to; left out, as `coarseness` says of the strongest pull.

    Returns
    -------
    ReleasedNumber
        Withheld where any of the cells is hidden.
    """
    if any(counts.shown[cell] is None for cell in rests_on):
        return ReleasedNumber("mean", None, seal=SEAL)
    if counts.rules.exact:
        return ReleasedNumber("mean", mean.value, mean.low, mean.high, seal=SEAL)
    step = coarseness(strongest_pull(mean), counts.rules) if step is None else step
    value = round_to(mean.value, step)
    return ReleasedNumber("mean", value, *ends_around(value, mean, step / 2), seal=SEAL)


def release_gap(treated: ReleasedNumber, control: ReleasedNumber, gap: Estimate, rules: ReleaseRules, step: float) -> ReleasedNumber:
    """Let the difference of two released means through, with the interval of the exact one laid around it.

    Parameters
    ----------
    treated, control : ReleasedNumber
        Both rounded to `step`.
    gap : Estimate
        Their exact difference: only how sure it is, is used.
    rules : ReleaseRules
    step : float

    Returns
    -------
    ReleasedNumber
        Withheld where either mean is.
    """
    if treated.value is None or control.value is None:
        return ReleasedNumber("mean", None, seal=SEAL)
    if rules.exact:
        return ReleasedNumber("mean", gap.value, gap.low, gap.high, seal=SEAL)
    value = treated.value - control.value
    return ReleasedNumber("mean", value, *ends_around(value, gap, step), seal=SEAL)


def release_ratio(
    ratio: Ratio, counts: ReleasedCounts, rests_on: Iterable[str] = (), *, shown: tuple[float, float, float] | None = None
) -> ReleasedNumber:
    r"""Let a ratio through.

    Parameters
    ----------
    ratio : Ratio
        It says how far one person moves it.
    counts : ReleasedCounts
    rests_on : iterable of str
        The cells it rests on: people, those with and those without success, in either arm.
    shown : (float, float, float), optional
        Value and ends of another ratio of the same people, with covariates in its model, whose influences are not known; one person is taken to move
        it as far.

    Returns
    -------
    ReleasedNumber
        Withheld where any of the cells is hidden, or where it is rounded to 0; to two decimals at most.

    Notes
    -----
    One person moves the ratio by its value times the influence on its logarithm. The ends lie at factors of the rounded value, those of the exact
    interval times the most by which rounding moved it.
    """
    if any(counts.shown[cell] is None for cell in rests_on):
        return ReleasedNumber("ratio", None, seal=SEAL)
    exact, low, high = shown or (ratio.value, ratio.low, ratio.high)
    if counts.rules.exact:
        return ReleasedNumber("ratio", exact, low, high, seal=SEAL)
    step = ratio_step(ratio, exact, counts.rules)
    value = round_to(exact, step)
    if value <= 0:
        return ReleasedNumber("ratio", None, seal=SEAL)
    moved = value / (value - step / 2)
    below, above = (math.ceil(100 * factor * moved - _NEARLY) / 100 for factor in (exact / low, high / exact))
    return ReleasedNumber("ratio", value, value / below, value * above, seal=SEAL)


def ratio_step(ratio: Ratio, value: float, rules: ReleaseRules) -> float:
    """Give what a ratio of some value is rounded to, of whose logarithm `ratio` says how far one person moves it."""
    return max(coarseness(value * strongest_pull(ratio.log), rules), FINEST_RATIO)


def release_p_value(p_value: float, pull: float, rules: ReleaseRules) -> ReleasedNumber:
    r"""Let a p-value through as that of a rounded test statistic.

    Parameters
    ----------
    p_value : float
        Two-sided, or of a chi-square.
    pull : float
        How far one person moves the statistic at most, in standard errors.
    rules : ReleaseRules

    Returns
    -------
    ReleasedNumber

    Notes
    -----
    :math:`2 \Phi(-\tilde z)` with :math:`z = \Phi^{-1}(1 - p/2)` rounded as `coarseness` says.
    """
    if rules.exact or math.isnan(p_value):
        return ReleasedNumber("p_value", None if math.isnan(p_value) else p_value, seal=SEAL)
    z = -float(ndtri(p_value / 2))
    rounded = z if math.isinf(z) else round_to(z, coarseness(pull, rules))
    return ReleasedNumber("p_value", float(2 * ndtr(-rounded)), seal=SEAL)


def pull_in_errors(*estimates: Estimate) -> float:
    """Give how many standard errors one person moves any of some estimates at most."""
    return max((strongest_pull(one) / one.std_error for one in estimates if one.std_error > 0), default=0.0)


def ends_around(value: float, estimate: Estimate, moved: float) -> tuple[float, float]:
    """Give the ends of an interval around a released value, which holds the exact one wherever within its rounding the exact value lies."""
    return ends_of(value, (estimate.value - estimate.low, estimate.high - estimate.value), moved)


def ends_of(value: float, widths: tuple[float, float], moved: float) -> tuple[float, float]:
    """Give the ends of an interval around a released value: as far away as the exact one's and as rounding moved the value."""
    below, above = (_outwards(width + moved) for width in widths)
    return value - below, value + above


def _outwards(width: float) -> float:
    """Round a width up to two digits."""
    if width <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(width)) - DIGITS + 1)
    return math.ceil(width / unit - _NEARLY) * unit
