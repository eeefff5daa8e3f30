"""What of a study has come through the gate?

Everything the page says of few or many is made of what stands here: counts that have passed together, shares and differences rounded as they are, the
effects in groups, and curves month by month. A study passes once; what the reviewer sees of the passage is given beside it and is not released.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from evaluation.analysis.curves import ARMS
from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate, Ratio
from evaluation.analysis.means import Contrast
from evaluation.analysis.outcomes import ANY
from evaluation.analysis.subgroups import SubgroupEffects
from evaluation.release.contrasts import ReleasedContrast, contrast_through, means_through, withheld_contrast
from evaluation.release.curves import ReleasedCurve, curve_cells, release_curve
from evaluation.release.magnitudes import coarseness, pull_in_errors, ratio_step, release_mean, release_p_value, release_ratio, strongest_pull
from evaluation.release.released import SEAL, Passage, ReleasedCounts, ReleasedNumber, check_seal, interval_around, release_counts
from evaluation.release.rules import ReleaseRules
from evaluation.release.study_counts import design_counts, followed_cell, people_cell, step_cell, study_counts, success_cell
from evaluation.release.suppression import Earlier
from evaluation.release.telling import Telling, Told
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
    mean : ReleasedContrast or None
        Mean days without success; None where there is none.
    ratios : mapping of str to ReleasedNumber
        "hazard_ratio" and "adjusted", where there are any.
    p_values : mapping of str to ReleasedNumber
        "log_rank" and "proportionality", where there are any.
    tests : mapping of (str, str) to (ReleasedNumber, ReleasedNumber)
        By breakdown and measure: p-value of the effects being the same, and Holm's adjusted one.
    telling : Telling
        By which whatever else is told of the study passes, held against what was told before.
    seal : object
        What only the gate has; nothing without it is let onto a page.
    """

    counts: ReleasedCounts
    effects: Mapping[float, ReleasedContrast]
    groups: Mapping[tuple[str, str], ReleasedContrast]
    curves: Mapping[str, ReleasedCurve]
    mean: ReleasedContrast | None = None
    ratios: Mapping[str, ReleasedNumber] = field(default_factory=dict)
    p_values: Mapping[str, ReleasedNumber] = field(default_factory=dict)
    tests: Mapping[tuple[str, str], tuple[ReleasedNumber, ReleasedNumber]] = field(default_factory=dict)
    telling: Telling = field(kw_only=True, repr=False)
    seal: object = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_seal(self, self.seal)

    @property
    def rules(self) -> ReleaseRules:
        """The rules it passed by."""
        return self.counts.rules

    @property
    def of_curves(self) -> ReleasedCounts:
        """The rounded counts that the curves are drawn of, for the ledger of releases."""
        people = {arm: self.people(arm) for arm in ARMS}
        cells = [curve_cells(curve, state, people) for state, curve in self.curves.items()]
        return ReleasedCounts({cell: count for of in cells for cell, count in of.items()}, self.rules, seal=SEAL)

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
        number = ReleasedNumber("points", value, *interval_around(value, difference, people, self.rules), seal=SEAL)
        ends = sum(self.telling.few / count for count in people)
        return self.telling.number(f"difference of effects, {by}: {level} and {reference}", number, ends=ends)


def release_study(
    study: Study,
    rules: ReleaseRules | None = None,
    earlier: Sequence[Earlier] = (),
    earlier_curves: Sequence[Earlier] = (),
    earlier_numbers: Sequence[Told] = (),
) -> tuple[ReleasedStudy, Passage]:
    """Let a study through.

    Parameters
    ----------
    study : Study
    rules : ReleaseRules, optional
        The site's.
    earlier : sequence of mapping of str to (int or None)
        What earlier releases showed of the same people (`Ledger.earlier`).
    earlier_curves : sequence of mapping of str to (int or None)
        What their curves showed (`ReleasedStudy.of_curves`).
    earlier_numbers : sequence of mapping of str to Ends
        What they told beside counts (`Ledger.numbers`).

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
    telling = Telling(counts.rules, earlier_numbers)
    effects = {
        horizon: telling.interval(f"success by {horizon:g} days", _through(study.effects, horizon, None, counts))
        for horizon in study.effects.risk_difference
    }
    groups = {}
    for found in (study.registered, study.exploratory):
        for (by, level), inside in found.effects.items():
            of_group = by, level
            if isinstance(inside, Effects) and primary in inside.risk_difference:
                groups[of_group] = telling.interval(f"success, {by}: {level}", _through(inside, primary, of_group, counts))
            else:
                shown = [counts.shown[people_cell(arm, of_group)] for arm in ARMS]
                groups[of_group] = withheld_contrast((shown[0], shown[1]))
    curves = {ANY: _curve(study, ANY, effects, counts, earlier_curves)}
    states = study.follow_up.states if len(study.follow_up.states) > 1 and study.journey is None else ()
    curves |= {state: _curve(study, state, {}, counts, earlier_curves) for state in states}
    curves = {state: _as_drawn(curve, state, counts, telling) for state, curve in curves.items()}
    tests = {of: found for breakdowns in (study.registered, study.exploratory) for of, found in _tests(breakdowns, telling)}
    mean, ratios, p_values = mean_through("mean days", study.effects, counts, telling), _ratios(study, counts, telling), _p_values(study, telling)
    return ReleasedStudy(counts, effects, groups, curves, mean, ratios, p_values, tests, telling=telling, seal=SEAL), passage


def release_design(
    design: Design, rules: ReleaseRules | None = None, earlier: Sequence[Earlier] = (), earlier_numbers: Sequence[Told] = ()
) -> tuple[ReleasedStudy, Passage]:
    """Let a design through whose outcomes are closed; parameters and result as `release_study`."""
    passage = release_counts(design_counts(design), rules, earlier)
    return ReleasedStudy(passage.released, {}, {}, {}, telling=Telling(passage.released.rules, earlier_numbers), seal=SEAL), passage


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


def tells_of_few(effects: Effects, rules: ReleaseRules) -> bool:
    """Say whether what all of a comparison goes into, a mean, a ratio or a test, is of few, or of few with or without success, in either arm."""
    counts = [count for arm in effects.arms.values() for count in (arm.n, arm.events, arm.n - arm.events)]
    return any(0 < count < rules.threshold for count in counts)


def mean_through(name: str, effects: Effects, counts: ReleasedCounts, telling: Telling) -> ReleasedContrast | None:
    """Let the mean days without success through; None where there are none.

    Parameters
    ----------
    name : str
        The same in every release.
    effects : Effects
    counts : ReleasedCounts
    telling : Telling

    Returns
    -------
    ReleasedContrast or None
        Withheld where `tells_of_few`.
    """
    treated, control, gap = effects.arms["treated"].rmst, effects.arms["control"].rmst, effects.rmst_difference
    if treated is None or control is None or gap is None:
        return None
    if tells_of_few(effects, counts.rules):
        return withheld_contrast()
    contrast = Contrast(treated, control, gap)
    return telling.mean(name, means_through(contrast, counts, (people_cell("treated"), people_cell("control"))), contrast)


def mean_alone_through(name: str, mean: Estimate, counts: ReleasedCounts, telling: Telling) -> ReleasedNumber:
    """Let a mean of the whole study through; `name` is the same in every release, withheld where either arm's people are hidden."""
    step = coarseness(strongest_pull(mean), counts.rules)
    return telling.magnitude(name, release_mean(mean, counts, map(people_cell, ARMS), step=step), step)


def ratio_through(
    name: str, ratio: Ratio, effects: Effects, counts: ReleasedCounts, telling: Telling, shown: tuple[float, float, float] | None = None
) -> ReleasedNumber:
    """Let a hazard ratio of a comparison through; `name` is the same in every release, further as `release_ratio`, withheld where `tells_of_few`."""
    numbers = shown or (ratio.value, ratio.low, ratio.high)
    few = tells_of_few(effects, counts.rules) or 0 < ratio.n < counts.rules.threshold
    if few or not all(map(math.isfinite, numbers)):
        return ReleasedNumber("ratio", None, seal=SEAL)
    return telling.magnitude(name, release_ratio(ratio, counts, shown=shown), ratio_step(ratio, numbers[0], counts.rules))


def _ratios(study: Study, counts: ReleasedCounts, telling: Telling) -> dict[str, ReleasedNumber]:
    own, adjusted = study.effects.hazard_ratio, study.adjusted
    if own is None:
        return {}
    found = {"hazard_ratio": ratio_through("hazard ratio", own, study.effects, counts, telling)}
    if adjusted is not None:
        numbers = adjusted.value, adjusted.low, adjusted.high
        found["adjusted"] = ratio_through("hazard ratio, adjusted", own, study.effects, counts, telling, numbers)
    return found


def _p_values(study: Study, telling: Telling) -> dict[str, ReleasedNumber]:
    effects, found = study.effects, {}
    few = tells_of_few(effects, telling.rules)
    if effects.log_rank is not None:
        found["log_rank"] = effects.log_rank.p_value, pull_in_errors(effects.log_rank.difference)
    if study.proportionality is not None and effects.hazard_ratio is not None:
        found["proportionality"] = study.proportionality.p_value, pull_in_errors(effects.hazard_ratio.log)
    return {name: ReleasedNumber("p_value", None, seal=SEAL) if few else p_value_through(f"p, {name}", *of, telling) for name, of in found.items()}


def p_value_through(name: str, p_value: float, pull: float, telling: Telling) -> ReleasedNumber:
    """Let a p-value through; `name` is the same in every release, further as `release_p_value`."""
    return telling.p_value(name, release_p_value(p_value, pull, telling.rules), pull)


def _tests(found: SubgroupEffects, telling: Telling) -> Iterator[tuple[tuple[str, str], tuple[ReleasedNumber, ReleasedNumber]]]:
    """Let the tests of equal effects through, each rounded by how far one person moves the differences it is about."""
    for row in found.interaction_tests.to_dict("records"):
        mine = [gap for (by, *_, measure), gap in found.differences.items() if (by, measure) == (row["by"], row["measure"])]
        pull = pull_in_errors(*mine)
        name = f"p, {row['by']}, {row['measure']}"
        alone, together = (p_value_through(f"{name}, {which}", row[which], pull, telling) for which in ("p_value", "p_holm"))
        yield (row["by"], row["measure"]), (alone, together)


def _through(effects: Effects, horizon: float, group: tuple[str, str] | None, counts: ReleasedCounts) -> ReleasedContrast:
    contrast = Contrast(effects.arms["treated"].risk[horizon], effects.arms["control"].risk[horizon], effects.risk_difference[horizon])
    people = [followed_cell(people_cell(arm, group), horizon) for arm in ARMS]
    having = [success_cell(people_cell(arm, group), horizon) for arm in ARMS]
    return contrast_through(contrast, counts, (having[0], having[1]), (people[0], people[1]))


def _curve(study: Study, state: str, effects: Mapping[float, ReleasedContrast], counts: ReleasedCounts, earlier: Sequence[Earlier]) -> ReleasedCurve:
    """Let a curve through that passes the released shares at the horizons, so that figure and tables say the same."""
    horizons, rules = study.effects.spec.horizons_days, counts.rules
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
    people, last = {arm: counts.shown[people_cell(arm)] for arm in ARMS}, round(asked / rules.month_days)
    return release_curve(study.curves, state, last, rules, [0, *months], people=people, through=through, horizons_days=months, earlier=earlier)


def _as_drawn(curve: ReleasedCurve, state: str, counts: ReleasedCounts, telling: Telling) -> ReleasedCurve:
    """Tell a curve, whose counts were held against the ledger before, with the shares and intervals that it had, arm by arm, where all are near."""
    lines = {}
    for arm in ARMS:
        people = counts.number(people_cell(arm))
        name, reach = f"curve, {state}, {arm}", telling.few / max(people.value or 0, 1)
        numbers = {f"{name}, month {month}": curve.at_month(arm, month) for month in curve.months.tolist()}
        shown = telling.row({f"{name}, people": people}, numbers, reach)
        ends = [(number.value, number.low, number.high) for number in shown]
        lines[arm] = np.array(ends, dtype=np.float64).reshape(-1, 3).T
    share, low, high = ({arm: lines[arm][which] for arm in ARMS} for which in range(3))
    return replace(curve, share=share, low=low, high=high)
