"""What of a study has come through the gate?

Everything the page says of few or many is made of what stands here: counts that have passed together, shares and differences rounded as they are, the
effects in groups, and curves month by month. A study passes once; what the reviewer sees of the passage is given beside it and is not released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.means import Contrast
from evaluation.analysis.outcomes import ANY
from evaluation.release.contrasts import ReleasedContrast, contrast_through, withheld_contrast
from evaluation.release.curves import ReleasedCurve, release_curve
from evaluation.release.released import SEAL, Passage, ReleasedCounts, ReleasedNumber, check_seal, interval_around, release_counts
from evaluation.release.rules import ReleaseRules
from evaluation.release.study_counts import design_counts, followed_cell, people_cell, step_cell, study_counts, success_cell
from evaluation.release.suppression import Earlier
from evaluation.study import Design, Study

TWO_PERIODS_DAYS = 28.0  # a month for a study in two-week periods, whose horizons fall on no calendar month


@dataclass(frozen=True, eq=False)
class ReleasedStudy:
    """What may be told of a study.

    Attributes
    ----------
    counts : ReleasedCounts
        Cells as `evaluation.release.study_counts` names them.
    effects : mapping of float to ReleasedContrast
        Share with success by horizon (days); empty where the outcomes are closed.
    groups : mapping of (str, str) to ReleasedContrast
        By breakdown and level, at the horizon of the answer.
    curves : mapping of str to ReleasedCurve
        By kind of exit; "any" is success.
    seal : object
        What only the gate has; nothing without it is let onto a page.
    """

    counts: ReleasedCounts
    effects: Mapping[float, ReleasedContrast]
    groups: Mapping[tuple[str, str], ReleasedContrast]
    curves: Mapping[str, ReleasedCurve]
    seal: object = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_seal(self, self.seal)

    @property
    def rules(self) -> ReleaseRules:
        """The rules it passed by."""
        return self.counts.rules

    def people(self, arm: str) -> int | None:
        """Give an arm's rounded people."""
        return self.counts.shown[people_cell(arm)]

    def step(self, arm: str, number: int) -> int | None:
        """Give an arm's rounded people at a row of the attrition, numbered from 0; None too where the row is none of the arm's."""
        return self.counts.shown.get(step_cell(arm, number))

    def gap(self, by: str, level: str, reference: str, difference: Estimate) -> ReleasedNumber:
        """Give a difference of two groups' released effects, with the interval of the exact one laid around it; withheld where either effect is.

        Parameters
        ----------
        by, level, reference : str
        difference : Estimate
            Only how sure it is, is used.
        """
        pair = [self.groups.get((by, name)) for name in (level, reference)]
        first, second = (None if one is None else one.difference.value for one in pair)
        people = [count for one in pair if one is not None for count in one.people if count]
        if first is None or second is None:
            return ReleasedNumber("points", None, seal=SEAL)
        if self.rules.exact:
            return ReleasedNumber("points", difference.value, difference.low, difference.high, seal=SEAL)
        value = first - second
        return ReleasedNumber("points", value, *interval_around(value, difference, people, self.rules), seal=SEAL)


def release_study(study: Study, rules: ReleaseRules | None = None, earlier: Sequence[Earlier] = ()) -> tuple[ReleasedStudy, Passage]:
    """Let a study through.

    Parameters
    ----------
    study : Study
    rules : ReleaseRules, optional
        The site's.
    earlier : sequence of mapping of str to (int or None)
        What earlier releases showed of the same people (`Ledger.earlier`).

    Returns
    -------
    ReleasedStudy, Passage
        The second is for who reviews (`review_tables`).

    Raises
    ------
    InputError
        As `release_counts`.
    """
    passage = release_counts(study_counts(study, rules), rules, earlier)
    counts, primary = passage.released, study.design.plan.primary_days
    effects = {horizon: _through(study.effects, horizon, None, counts) for horizon in study.effects.risk_difference}
    groups = {}
    for found in (study.registered, study.exploratory):
        for (by, level), inside in found.effects.items():
            of_group = by, level
            if isinstance(inside, Effects) and primary in inside.risk_difference:
                groups[of_group] = _through(inside, primary, of_group, counts)
            else:
                shown = [counts.shown[people_cell(arm, of_group)] for arm in ARMS]
                groups[of_group] = withheld_contrast((shown[0], shown[1]))
    curves = {ANY: _curve(study, ANY, effects, counts.rules)}
    states = study.follow_up.states if len(study.follow_up.states) > 1 and study.journey is None else ()
    curves |= {state: _curve(study, state, {}, counts.rules) for state in states}
    return ReleasedStudy(counts, effects, groups, curves, seal=SEAL), passage


def release_design(design: Design, rules: ReleaseRules | None = None, earlier: Sequence[Earlier] = ()) -> tuple[ReleasedStudy, Passage]:
    """Let a design through whose outcomes are closed; parameters and result as `release_study`."""
    passage = release_counts(design_counts(design), rules, earlier)
    return ReleasedStudy(passage.released, {}, {}, {}, seal=SEAL), passage


def review_tables(passage: Passage) -> dict[str, pd.DataFrame]:
    """Give what the reviewer sees of a release, by the file it belongs in under `review/`: why cells are hidden, and the proof that it is enough."""
    return {"hidden.csv": passage.audit, "proof.csv": passage.proof}


def month_days(horizons: Sequence[float], rules: ReleaseRules) -> float:
    """Give the days between the points of the curves: the site's month, unless the horizons lie on none and all on 28 days.

    Parameters
    ----------
    horizons : sequence of float
        Days.
    rules : ReleaseRules

    Returns
    -------
    float
    """
    on_months = all(abs(days - round(days / rules.month_days) * rules.month_days) <= 1 + days / 365 for days in horizons)
    on_periods = all(days % TWO_PERIODS_DAYS == 0 for days in horizons)
    return TWO_PERIODS_DAYS if on_periods and not on_months else rules.month_days


def _through(effects: Effects, horizon: float, group: tuple[str, str] | None, counts: ReleasedCounts) -> ReleasedContrast:
    contrast = Contrast(effects.arms["treated"].risk[horizon], effects.arms["control"].risk[horizon], effects.risk_difference[horizon])
    people = [followed_cell(people_cell(arm, group), horizon) for arm in ARMS]
    having = [success_cell(people_cell(arm, group), horizon) for arm in ARMS]
    return contrast_through(contrast, counts, (having[0], having[1]), (people[0], people[1]))


def _curve(study: Study, state: str, effects: Mapping[float, ReleasedContrast], rules: ReleaseRules) -> ReleasedCurve:
    """Let a curve through that passes the released shares at the horizons, so that figure and tables say the same."""
    horizons = study.effects.spec.horizons_days
    rules = rules.model_copy(update={"month_days": month_days(horizons, rules)})
    asked = max(*horizons, study.effects.spec.rmst_days or 0.0)
    months = {round(days / rules.month_days): days for days in horizons}
    through = {
        arm: {
            month: float(share.value)
            for month, days in months.items()
            if days in effects and (share := getattr(effects[days], arm)).value is not None
        }
        for arm in ARMS
    }
    return release_curve(study.curves, state, round(asked / rules.month_days), rules, [0, *months], through=through, horizons_days=months)
