r"""What if those who were lost had found work?

Contact with part of the unemployed is lost: they are deregistered, and nobody knows why. Studies find that four or five in ten of them had a job,
so that counting none of them as success says too little, and unevenly so where contact is lost more often in one arm. Here a share of the lost counts
as success, the same in both arms or one of its own in either, and the line is drawn along which the difference is gone.

Cumulative incidences of states that exclude one another add up. If a share :math:`p` of those who are lost found work on the day they were lost,
whoever they are, the share with success is :math:`F_{success} + p F_{lost}`: linear in :math:`p`, and so is its influence. One pass gives all of it.

References
----------
Bring & Carling (2000). Attrition and misclassification of drop-outs in the analysis of unemployment duration. Journal of Official Statistics 16(4),
321-330 (of the lost, 45 % had a job).
Sianesi (2004). An evaluation of the Swedish system of active labor market programs in the 1990s. RESTAT 86(1), 133-155 (bounds for the lost).
Fieller (1954). Some problems in interval estimation. JRSS B 16(2), 175-185 (where the interval of a difference linear in a share touches 0).
Yan, Lee & Li (2009). Missing data handling methods in medical device clinical trials. Journal of Biopharmaceutical Statistics 19(6), 1085-1098
(the tipping point with a share of its own in either arm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
from scipy.special import ndtri

from evaluation.analysis.compared import compared_follow_up
from evaluation.analysis.curves import ARMS, EffectSpec
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.estimates import EFFECT_COLUMNS, Estimate, effect_cells
from evaluation.analysis.means import Contrast
from evaluation.analysis.outcomes import FollowUp
from evaluation.design.cohort import Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError, HorizonError

LOST = ("okand",)  # the state of codes/tillstand.csv for a contact that was lost
# none and all of the lost; 45 % (Bring & Carling 2000); 39 % as imputed by the employment service in 2010; half, which it took for either arm in 2012
SHARES = (0.0, 0.39, 0.45, 0.5, 1.0)
_NUMBERS = ("treated", "control", *EFFECT_COLUMNS)
_ROUNDING = 1e-9  # a share this little outside 0 to 1 is on the edge: what is beyond is rounding in sums of the weights


@dataclass(frozen=True, eq=False)
class LostContact:
    """The effect on success by a horizon, whatever share of the lost found work.

    Attributes
    ----------
    horizon_days : float
    lost : tuple of str
        The states that are lost contact.
    shares : tuple of float
        Shares of the lost that count as success, rising.
    succeeded, gone : dict of str to Estimate
        By arm, "treated" and "control": share with known success, and share lost, by the horizon.
    n_lost : dict of str to int
        By arm: people lost by the horizon.
    as_censored : Contrast or None
        The effect as if the lost had only been lost from sight. None where then an arm is not observed as long as the horizon; `notes` says so.
    pairs : DataFrame
        One row per pair of shares: treated_share, control_share, treated, control, effect, std_error, low, high, p_value.
    tipping : DataFrame
        One row per share among the treated: treated_share, and the share among the controls at which the difference is 0 (control_share), at which
        the lower end of its interval is 0 (control_low) and at which the upper end is (control_high); NaN where none from 0 to 1 does it. Of two
        that do, the one nearer the difference of 0.
    notes : tuple of str
    """

    horizon_days: float
    lost: tuple[str, ...]
    shares: tuple[float, ...]
    succeeded: dict[str, Estimate]
    gone: dict[str, Estimate]
    n_lost: dict[str, int]
    as_censored: Contrast | None
    pairs: pd.DataFrame
    tipping: pd.DataFrame
    notes: tuple[str, ...]

    def effect(self, treated_share: float, control_share: float) -> Estimate:
        """Give the difference in success, treated minus control, if such shares of the lost found work.

        Parameters
        ----------
        treated_share, control_share : float
            From 0 to 1.

        Returns
        -------
        Estimate

        Raises
        ------
        EstimationError
            If a share does not lie between 0 and 1.
        """
        _checked((treated_share, control_share))
        treated, control = (_counting(self.succeeded[arm], self.gone[arm], p) for arm, p in zip(ARMS, (treated_share, control_share), strict=True))
        return treated - control

    @property
    def grid(self) -> pd.DataFrame:
        """Give the effects two ways: a row per share among the treated, a column per share among the controls."""
        return self.pairs.set_index(["treated_share", "control_share"])["effect"].unstack()  # noqa: PD010 - pivot_table would average

    def to_frame(self) -> pd.DataFrame:
        """Give one row per share that both arms have in common, then the lost as censored.

        The columns: lost_count_as ("success" or "censored"), share, treated, control, effect, std_error, low, high, p_value.
        """
        same = self.pairs[self.pairs["treated_share"] == self.pairs["control_share"]].drop(columns="control_share")
        rows = [("success", *row) for row in same.itertuples(index=False, name=None)]
        if self.as_censored is not None:
            found = self.as_censored
            rows.append(("censored", np.nan, found.treated.value, found.control.value, *effect_cells(found.difference)))
        return pd.DataFrame(rows, columns=["lost_count_as", "share", *_NUMBERS])


def lost_contact(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec | None = None,
    *,
    horizon_days: float,
    lost: Sequence[str] = LOST,
    shares: Sequence[float] = SHARES,
) -> LostContact:
    r"""Estimate the effect on success by a horizon for every share of the lost that may have found work, and where it would be gone.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison, of u rows
    follow_up : FollowUp
        With `lost` among its states.
    spec : EffectSpec
        `success` and `level` are used; `success` must name states, none of them lost contact.
    horizon_days : float
        Days after the index date. Only rows that can be followed so long count, as in `estimate_effects`.
    lost : sequence of str
        The states that are lost contact.
    shares : sequence of float
        Shares of the lost that count as success, from 0 to 1.

    Returns
    -------
    LostContact
        Its estimates have influences of shape (u,), so that the interval at every pair of shares respects the matching, or the estimated weights.

    Raises
    ------
    HorizonError
        If the horizon lies beyond what was observed in either arm.
    EstimationError
        If `lost` or `success` names an unknown state, if the lost count as success already, or if a share does not lie between 0 and 1.

    Notes
    -----
    The assumption: a share :math:`p_1` of the treated who were lost, and :math:`p_0` of the controls, found work on the day they were lost, no matter
    who they are and when that was; the others had no success by the horizon. Then

    .. math:: \Delta(p_1, p_0) = \Delta + p_1 F_{lost,1} - p_0 F_{lost,0}, \qquad \phi(p_1, p_0) = \phi + p_1 \phi_{lost,1} - p_0 \phi_{lost,0}.

    The difference is 0 at :math:`p_0 = (\Delta + p_1 F_{lost,1}) / F_{lost,0}`. Its interval touches 0 where
    :math:`\Delta(p_1, p_0)^2 = z^2 V(p_1, p_0)`, both sides quadratic in :math:`p_0`: Fieller's limits of that ratio. The shares are given, not
    estimated; an interval is one for the effect if the shares are right.
    """
    spec, states, counted = spec or EffectSpec(), tuple(dict.fromkeys(lost)), _checked(shares)
    _refuse_states(follow_up, spec, states)
    effects = _effects_at(cohort, comparison, follow_up, spec, horizon_days)
    succeeded = {arm: effects.arms[arm].risk[horizon_days] for arm in ARMS}
    gone = {arm: reduce(add, (effects.arms[arm].cumulative_incidence[state, horizon_days] for state in states)) for arm in ARMS}
    as_censored: Contrast | None = None
    notes: tuple[str, ...] = ()
    try:
        as_censored = lost_as_censored(cohort, comparison, follow_up, spec, horizon_days=horizon_days, lost=states)
    except HorizonError as error:
        notes = (f"the lost as censored: {error}",)
    by_share = {arm: {p: _counting(succeeded[arm], gone[arm], p) for p in counted} for arm in ARMS}
    rows = [
        (p, q, treated.value, control.value, *effect_cells(treated - control))
        for p, treated in by_share["treated"].items()
        for q, control in by_share["control"].items()
    ]
    return LostContact(
        horizon_days=float(horizon_days),
        lost=states,
        shares=counted,
        succeeded=succeeded,
        gone=gone,
        n_lost=_people_lost(cohort, comparison, follow_up, states, horizon_days),
        as_censored=as_censored,
        pairs=pd.DataFrame(rows, columns=["treated_share", "control_share", *_NUMBERS]),
        tipping=_tipping_line(effects.risk_difference[horizon_days], gone, np.array(counted)),
        notes=notes,
    )


def lost_as_censored(
    cohort: Cohort,
    comparison: Comparison,
    follow_up: FollowUp,
    spec: EffectSpec | None = None,
    *,
    horizon_days: float,
    lost: Sequence[str] = LOST,
) -> Contrast:
    """Estimate the effect on success by a horizon as if the lost had only been lost from sight.

    Parameters
    ----------
    cohort, comparison, follow_up, spec, horizon_days, lost
        As in `lost_contact`.

    Returns
    -------
    Contrast
        Share with success by the horizon in either arm, and the difference.

    Raises
    ------
    HorizonError
        If the horizon lies beyond what was observed in either arm; the lost are observed no longer than until they were lost.
    EstimationError
        If `lost` or `success` names an unknown state, or if the lost count as success.

    Notes
    -----
    The assumption, independent censoring: who was lost would have gone on like those of their arm who were still unemployed and in contact that day.
    """
    spec, states = spec or EffectSpec(), tuple(dict.fromkeys(lost))
    _refuse_states(follow_up, spec, states)
    codes = np.where(follow_up.state.isin(states), 0, follow_up.state.codes)
    unseen = replace(follow_up, state=pd.Categorical.from_codes(codes.tolist(), follow_up.state.categories))
    effects = _effects_at(cohort, comparison, unseen, spec, horizon_days)
    shares = (effects.arms[arm].risk[horizon_days] for arm in ARMS)
    treated, control = (replace(share, name=f"{share.name}, the lost censored") for share in shares)
    return Contrast(treated, control, treated - control)


def _checked(shares: Sequence[float]) -> tuple[float, ...]:
    """Give the different shares, rising."""
    outside = sum(not 0 <= share <= 1 for share in shares)
    if outside or len(shares) == 0:
        found = f"{outside} of {len(shares)} {'does' if outside == 1 else 'do'} not" if outside else "none is given"
        raise EstimationError(f"shares of the lost: must lie between 0 and 1; {found}; give 0.45 for 45 %")
    return tuple(sorted({float(share) for share in shares}))


def _refuse_states(follow_up: FollowUp, spec: EffectSpec, lost: tuple[str, ...]) -> None:
    unknown = [state for state in lost if state not in follow_up.states]
    if unknown or not lost:
        rule = f"{', '.join(unknown)} is not a state of the follow-up" if unknown else "no state is named"
        raise EstimationError(f"lost contact: {rule}; it has {', '.join(follow_up.states)}")
    already = lost if spec.success is None else [state for state in lost if state in spec.success]
    if already:
        raise EstimationError(
            f"lost contact: {', '.join(already)} counts as success already; name in `success` only the states that are known success"
        )


def _effects_at(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec, horizon_days: float) -> Effects:
    effects = estimate_effects(cohort, comparison, follow_up, spec.at(horizon_days))
    if horizon_days not in effects.risk_difference:  # in a stack those who reach it may all be on one side, or gone from sight before
        raise HorizonError(f"follow-up: {effects.notes[0]}; ask for a shorter horizon, or extend the follow-up")
    return effects


def _counting(succeeded: Estimate, gone: Estimate, share: float) -> Estimate:
    """Give an arm's share with success where `share` of its lost counts."""
    value, influence = succeeded.value + share * gone.value, succeeded.influence + share * gone.influence
    return replace(succeeded, name=f"{succeeded.name}, with {share:.0%} of the lost", value=value, influence=influence)


def _people_lost(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, lost: tuple[str, ...], horizon_days: float) -> dict[str, int]:
    compared = compared_follow_up(cohort, comparison, follow_up)
    left = np.isin(compared.exit, [compared.states.index(state) for state in lost])
    by_then = left & (compared.days <= horizon_days) & compared.reaching(horizon_days)
    return {arm: compared.n_people(np.flatnonzero(by_then & (compared.treated == (arm == "treated")))) for arm in ARMS}


def _tipping_line(difference: Estimate, gone: dict[str, Estimate], shares: Floats) -> pd.DataFrame:
    r"""Give, for shares among the treated of shape (m,), those among the controls at which the difference, and its interval's ends, are 0.

    With :math:`\delta` the way from the share at which the difference is 0, it is :math:`-\delta F` and its variance
    :math:`A + 2 B \delta + C \delta^2`, so that its interval touches 0 where :math:`(F^2 - z^2 C) \delta^2 - 2 z^2 B \delta - z^2 A = 0`.
    """
    of_controls = gone["control"].value
    line = {"treated_share": shares}
    if of_controls == 0:  # nobody lost: no share of nobody moves anything
        return pd.DataFrame(line | dict.fromkeys(["control_share", "control_low", "control_high"], np.full(len(shares), np.nan)))
    columns = [difference.influence, gone["treated"].influence, gone["control"].influence]
    covariance = difference.clusters.covariance(np.column_stack(columns)) * ndtri(0.5 + difference.level / 2) ** 2
    zero = (difference.value + shares * gone["treated"].value) / of_controls
    at_zero = np.column_stack([np.ones(len(shares)), shares, -zero])
    constant = -np.maximum(((at_zero @ covariance) * at_zero).sum(axis=1), 0.0)
    half = at_zero @ covariance[:, 2]
    leading = of_controls**2 - covariance[2, 2]
    with np.errstate(divide="ignore", invalid="ignore"):  # no root, or one that is infinitely far
        turned = -(half + np.copysign(np.sqrt(half**2 - leading * constant), half))
        roots = np.column_stack([turned / leading, constant / turned])
    below, above = np.where(roots <= 0, roots, -np.inf).max(axis=1), np.where(roots >= 0, roots, np.inf).min(axis=1)
    return pd.DataFrame(
        line | {"control_share": _from_0_to_1(zero), "control_low": _from_0_to_1(zero + below), "control_high": _from_0_to_1(zero + above)}
    )


def _from_0_to_1(share: Floats) -> Floats:
    return np.where((share >= -_ROUNDING) & (share <= 1 + _ROUNDING), np.clip(share, 0.0, 1.0), np.nan)
