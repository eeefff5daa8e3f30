r"""How strong would something unseen have to be to make the result of a match: Rosenbaum's bounds.

Matching makes alike what was measured. How much likelier than a matched counterpart may somebody have been to be treated, for reasons not measured,
before the test of no effect could have come out so by chance (:math:`\Gamma`)? That does not say that anything unseen is there.

References
----------
Rosenbaum (2002). Observational Studies, 2nd edition, chapter 4.
Gastwirth, Krieger & Rosenbaum (2000). Asymptotic separability in sensitivity analysis. JRSS B 62(3), 545-555.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from evaluation.analysis.bias_tails import Tail, log_rank_scores, score_tail, success_tail
from evaluation.analysis.compared import Compared, compared_follow_up
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.outcomes import FollowUp
from evaluation.design.cohort import Bools, Cohort, Rows
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError, HorizonError

GAMMAS = tuple(round(1 + step / 10, 1) for step in range(11))
SIGNIFICANCE = 0.05  # one-sided, as in Rosenbaum's tables
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
    compared.refuse_time_weights("hidden bias")
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
