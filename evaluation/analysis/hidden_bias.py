r"""How strong would something unseen have to be to make the result of a match: Rosenbaum's bounds.

Matching makes alike what was measured. How much likelier than a matched counterpart may somebody have been to be treated, for reasons not measured,
before the test of no effect could have come out so by chance (:math:`\Gamma`)? That does not say that anything unseen is there.

References
----------
Rosenbaum (2002). Observational Studies, 2nd edition, chapter 4.
Gastwirth, Krieger & Rosenbaum (2000). Asymptotic separability in sensitivity analysis. JRSS B 62(3), 545-555.
O'Brien & Fleming (1987). A paired Prentice-Wilcoxon test for censored paired data. Biometrics 43(1), 169-180 (scores of pairs from everybody).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import bdtrc, gammaln, ndtr, xlog1py, xlogy

from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.hazards import RiskSets
from evaluation.analysis.outcomes import Compared, FollowUp, compared_follow_up
from evaluation.design.cohort import Bools, Cohort, Floats, Rows
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError, HorizonError

GAMMAS = tuple(round(1 + step / 10, 1) for step in range(11))
SIGNIFICANCE = 0.05  # one-sided, as in Rosenbaum's tables
LARGEST_EXACT = 10_000  # sets of several sizes whose chances are multiplied out: milliseconds; beyond, a normal tail differs by less than 0.001
_SAME_MEAN = 1e-12  # of a set's largest score: means nearer than this are equal but for rounding
Alternative = Literal["greater", "less"]


@dataclass(frozen=True, eq=False)
class BiasBound:
    r"""How one test of no effect fares under hidden bias.

    Attributes
    ----------
    sets : int
        Matched sets the test counts.
    left_out : int
        Sets it does not, because somebody in them is not known that long.
    informative : int
        Sets whose members differ: in pairs at a horizon, the discordant ones.
    table : DataFrame
        gamma, p_upper: the largest one-sided p-value where members of a set differ in their odds of treatment by at most the factor gamma.
    largest_gamma : float or None
        The largest gamma at which `p_upper` is at most 0.05; None where it is above that without any hidden bias.
    """

    sets: int
    left_out: int
    informative: int
    table: pd.DataFrame
    largest_gamma: float | None


@dataclass(frozen=True, eq=False)
class HiddenBias:
    """How the tests of no effect fare under hidden bias.

    Attributes
    ----------
    at_horizon : dict of float to BiasBound
        Success by each horizon (days).
    time_to_success : BiasBound
        Log-rank scores of the whole follow-up.
    alternative : {"greater", "less"}
        "greater": more of the treated succeed, and sooner.
    sharing : int
        Sets left out of everything because a person of theirs counts in another set.
    """

    at_horizon: dict[float, BiasBound]
    time_to_success: BiasBound
    alternative: Alternative
    sharing: int

    def to_frame(self) -> pd.DataFrame:
        """Give one row per test and gamma: measure, horizon_days, sets, left_out, informative, largest_gamma, gamma, p_upper."""
        named = [("success", horizon, bound) for horizon, bound in self.at_horizon.items()]
        parts = []
        for measure, horizon, bound in [*named, ("time_to_success", np.nan, self.time_to_success)]:
            largest = np.nan if bound.largest_gamma is None else bound.largest_gamma
            told = {"measure": measure, "horizon_days": horizon, "sets": bound.sets, "left_out": bound.left_out}
            told |= {"informative": bound.informative, "largest_gamma": largest}
            parts.append(pd.concat([pd.DataFrame(told, index=bound.table.index), bound.table], axis=1))
        return pd.concat(parts, ignore_index=True)


def hidden_bias_bounds(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec | None = None,
    gammas: Sequence[float] = GAMMAS,
    alternative: Alternative = "greater",
) -> HiddenBias:
    r"""Bound the p-values of no effect where matched people may differ in their odds of treatment by a factor gamma.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
        Of sets with one treated and any number of controls, or one control and any number of treated.
    follow_up : FollowUp
        Without weights that change with time.
    spec : EffectSpec, optional
        `horizons_days` and `success` are used.
    gammas : sequence of float
        At least 1; 1 is no hidden bias.
    alternative : {"greater", "less"}
        What a small p-value speaks for: more of the treated succeed, and sooner, or fewer and later. To be chosen beforehand; whoever lets the data
        choose must double the p-values.

    Returns
    -------
    HiddenBias

    Raises
    ------
    EstimationError
        If a set has several on both sides, or all on one; the follow-up has weights that change with time; a gamma is below 1; `alternative`
        is unknown; or `success` names an unknown state.
    HorizonError
        If at a horizon there is no set of which everybody is known so long.

    Notes
    -----
    Within a set one person is alone on their side; with u between 0 and 1 unseen, member j is that one with a chance in proportion to
    :math:`\Gamma^{u_j}`. If there is no effect, what happens to each is fixed and only who is treated is chance. Weights are not used, the sets are.

    *At a horizon*, the successes of those alone (where a control is alone: the failures). With c successes among a set's n the chance is at most
    :math:`\Gamma c / (\Gamma c + n - c)`, and the sets' chances multiply: for pairs the binomial tail
    :math:`P(Bin(D, \Gamma / (1 + \Gamma)) \ge T)` of McNemar's test with D discordant pairs. A set counts if all its members reach the horizon and
    are not censored before it, which takes for granted that treatment does not move when follow-up ends.

    *Over time*, the log-rank scores of everybody in the sets, exit less cumulative hazard at the own day, so that the treated's sum is the log-rank
    test's observed minus expected. In each set the u that give the largest mean, and among equal means the largest variance, give a normal tail
    (Gastwirth, Krieger & Rosenbaum 2000); for pairs this is Rosenbaum's (2002, section 4.3) bound for differences of scores. Exits that are no
    success are censored, and everybody counts up to their own last day: no effect here means none on when follow-up ends, either.

    Of sets that share a person, who cannot be treated by chance in each of them anew, the first in the order of `comparison` counts.
    """
    spec = spec or EffectSpec()
    if not len(gammas) or not all(1 <= gamma < math.inf for gamma in gammas):
        raise EstimationError("hidden bias: every gamma must be at least 1, which is none, and finite; give the odds the larger over the smaller")
    if alternative not in ("greater", "less"):
        raise EstimationError("hidden bias: alternative is neither 'greater' nor 'less'; choose one, for each bound is of one side")
    compared = compared_follow_up(cohort, comparison, follow_up)
    if compared.pieces is not None:
        raise EstimationError("hidden bias: weights that change with time have no place in it; give the follow-up without them")
    success = spec.succeeded(compared)
    sets = _Sets.of(comparison, compared)
    alone = sets.without_sharing()
    turned = alone.turned(compared, alternative)
    at_horizon, unseen = {}, []
    for horizon in spec.horizons_days:
        known = compared.reaching(horizon) & ((compared.exit >= 0) | (compared.days >= horizon))
        counted = alone.only(known)
        if counted.count == 0:
            unseen.append(horizon)
            continue
        by_then = success & (compared.days <= horizon)
        tail, informative = success_tail(by_then[counted.member] ^ turned[counted.member], counted.lone, counted.size)
        at_horizon[horizon] = _bound(tail, gammas, counted.count, alone.count - counted.count, informative)
    if unseen:
        listed = ", ".join(f"{horizon / follow_up.unit.days:g}" for horizon in unseen)
        raise HorizonError(
            f"hidden bias: at each horizon a set must be known whole; at {listed} (unit: {follow_up.unit.name.lower()}) none of {alone.count} is; "
            "ask for shorter horizons"
        )
    member = alone.member
    scores = log_rank_scores(compared.days[member], success[member], compared.treated[member])
    tail, informative = score_tail(np.where(turned[member], -scores, scores), alone.lone, alone.size)
    return HiddenBias(at_horizon, _bound(tail, gammas, alone.count, 0, informative), alternative, sets.count - alone.count)


Tail = Callable[[float], float]


def _bound(tail: Tail, gammas: Sequence[float], sets: int, left_out: int, informative: int) -> BiasBound:
    table = pd.DataFrame({"gamma": np.array(gammas, dtype=np.float64), "p_upper": [tail(gamma) for gamma in gammas]})
    return BiasBound(sets, left_out, informative, table, _largest_gamma(tail))


def _largest_gamma(tail: Tail) -> float | None:
    """Find where the bound crosses 0.05; as gamma grows it goes to a half at least."""
    if tail(1.0) > SIGNIFICANCE:
        return None
    beyond = 2.0
    while tail(beyond) <= SIGNIFICANCE:
        beyond *= 2
    return float(brentq(lambda gamma: tail(gamma) - SIGNIFICANCE, 1.0, beyond))


@dataclass(frozen=True, eq=False)
class _Sets:
    """Matched sets in which one is alone on their side; arrays of shape (k,), one per membership, in the order of the sets.

    `member` is the position among the compared, `person` their number, `lone` who is alone, `size` that of each set, shape (sets,).
    """

    member: Rows
    person: Rows
    lone: Bools
    size: Rows

    @classmethod
    def of(cls, comparison: Comparison, compared: Compared) -> _Sets:
        position = np.zeros(len(comparison.weights), dtype=np.intp)
        position[comparison.rows] = np.arange(len(comparison.rows))
        member = position[comparison.member_row]
        treated, code = compared.treated[member], comparison.member_set
        size = np.bincount(code)
        ours = np.bincount(code, treated).astype(np.intp)
        wrong = np.minimum(ours, size - ours) != 1
        if wrong.any():
            raise EstimationError(
                "hidden bias: every set must have one treated beside controls, or one control beside treated; "
                f"{int(wrong.sum())} of {len(size)} do not; match one to one, without replacement"
            )
        return cls(member, compared.person[member], treated == (ours == 1)[code], size)

    @property
    def count(self) -> int:
        return len(self.size)

    def turned(self, compared: Compared, alternative: Alternative) -> Bools:
        """Say, for each of the compared, whether a success of theirs speaks against the alternative if they are alone; shape (u,)."""
        head = np.repeat(compared.treated[self.member[self.lone]], self.size)
        turned = np.zeros(len(compared.days), dtype=bool)
        turned[self.member] = head != (alternative == "greater")
        return turned

    def only(self, known: Bools) -> _Sets:
        """Keep the sets of which everybody is `known`, shape (u,)."""
        return self._keep(np.logical_and.reduceat(known[self.member], np.cumsum(self.size) - self.size))

    def without_sharing(self) -> _Sets:
        """Keep sets without a person in common: each that comes before all it shares one with, of those still free, until none is free."""
        code = np.repeat(np.arange(self.count), self.size)
        free, kept = np.ones(self.count, dtype=bool), np.zeros(self.count, dtype=bool)
        first = np.empty(int(self.person.max()) + 1, dtype=np.intp)
        while free.any():
            still = np.flatnonzero(free[code])
            first[self.person[still[::-1]]] = code[still[::-1]]
            later = first[self.person[still]] != code[still]
            chosen = free.copy()
            chosen[code[still[later]]] = False
            kept |= chosen
            taken = np.zeros(len(first), dtype=bool)
            taken[self.person[still[chosen[code[still]]]]] = True
            free[code[still[taken[self.person[still]]]]] = False
        return self._keep(kept)

    def _keep(self, chosen: Bools) -> _Sets:
        inside = np.repeat(chosen, self.size)
        return _Sets(self.member[inside], self.person[inside], self.lone[inside], self.size[chosen])


def success_tail(success: Bools, lone: Bools, size: Rows) -> tuple[Tail, int]:
    """Give the largest chance of so many successes among those alone in their set, as a function of gamma, and how many sets are informative.

    Parameters
    ----------
    success, lone : ndarray of bool, shape (k,)
        Set after set.
    size : ndarray of int, shape (sets,)

    Notes
    -----
    A sum of binomials, one for each kind of set (n members, c successes); one kind alone, as in pairs, is a binomial tail.
    """
    successes = np.add.reduceat(success.astype(np.intp), np.cumsum(size) - size)
    differ = (successes > 0) & (successes < size)
    observed = int(success[lone][differ].sum())
    kinds, counts = np.unique(np.column_stack([successes, size - successes])[differ], axis=0, return_counts=True)
    informative = int(counts.sum())

    def tail(gamma: float) -> float:
        chances = gamma * kinds[:, 0] / (gamma * kinds[:, 0] + kinds[:, 1])
        if len(counts) == 1:
            return float(bdtrc(observed - 1, informative, chances[0]))
        if informative > LARGEST_EXACT:
            mean, variance = float(counts @ chances), float(counts @ (chances * (1 - chances)))
            return float(ndtr((mean - (observed - 0.5)) / math.sqrt(variance)))
        mass = np.ones(1)
        for count, chance in zip(counts, chances, strict=True):
            mass = np.convolve(mass, _binomial(int(count), float(chance)))
        return float(min(mass[observed:].sum(), 1.0))

    return tail, informative


def _binomial(count: int, chance: float) -> Floats:
    k = np.arange(count + 1)
    ways = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1)
    return np.asarray(np.exp(ways + xlogy(k, chance) + xlog1py(count - k, -chance)), dtype=np.float64)


def log_rank_scores(days: Floats, success: Bools, treated: Bools) -> Floats:
    """Give each person's exit less the cumulative hazard of all at the own day; shape (m,), the sum is 0."""
    sets = RiskSets.of(days, success, treated, np.ones(len(days)))
    hazard = np.append(np.cumsum(sets.leaving / sets.at_risk), 0.0)  # the last place, index -1, is for those gone before the first exit day
    return np.asarray(success - hazard[sets.last], dtype=np.float64)


def score_tail(score: Floats, lone: Bools, size: Rows) -> tuple[Tail, int]:
    """Give the largest chance of so high scores of those alone in their set, as a function of gamma, and how many sets are informative.

    Parameters
    ----------
    score : ndarray of float, shape (k,)
        Set after set.
    lone : ndarray of bool, shape (k,)
    size : ndarray of int, shape (sets,)

    Notes
    -----
    In each set the k highest have u = 1 and the others 0, with the k of the largest mean; a normal tail. Scores are taken from their set's mean,
    so that the differences of near scores keep their digits.
    """
    start = np.cumsum(size) - size
    centred = score - np.repeat(np.add.reduceat(score, start) / size, size)
    observed = float(centred[lone].sum())
    groups = [np.sort(centred[np.repeat(size == n, size)].reshape(-1, n), axis=1)[:, ::-1] for n in np.unique(size)]
    differ = np.maximum.reduceat(score, start) > np.minimum.reduceat(score, start)

    def tail(gamma: float) -> float:
        moments = [_largest_moments(group, gamma) for group in groups]
        mean, variance = sum(one for one, _ in moments), sum(other for _, other in moments)
        return float(ndtr((mean - observed) / math.sqrt(variance))) if differ.any() else 1.0

    return tail, int(differ.sum())


def _largest_moments(scores: Floats, gamma: float) -> tuple[float, float]:
    """Sum over sets of one size, rows of scores that fall, the largest mean of the one alone and the variance that goes with it."""
    size = scores.shape[1]
    high = np.arange(1, size)
    chance = gamma * high + (size - high)
    means, squares = ((part.sum(axis=1, keepdims=True) + (gamma - 1) * np.cumsum(part, axis=1)[:, :-1]) / chance for part in (scores, scores**2))
    variances = squares - means**2
    largest = means.max(axis=1, keepdims=True)
    equal = means >= largest - _SAME_MEAN * np.abs(scores).max(axis=1, keepdims=True)
    return float(largest.sum()), float(np.where(equal, variances, -np.inf).max(axis=1).sum())
