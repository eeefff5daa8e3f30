r"""How does a curve leave, so that nobody's exit can be seen in it?

On a monthly grid, of rounded numbers only. An arm's share is first a rounded count out of rounded people, :math:`b \lfloor p \tilde n / b + 1/2
\rfloor`. Where two months' counts differ by so little that few must have left between them, the earlier takes the later's, so that every step that
is left may be of many. A curve begins at its first count that reaches the threshold and ends with the last month in which both arms have so many
under observation; one that never reaches it is withheld. Nothing else leaves: no exit days, no smallest and no largest.

The price is at most :math:`(3b/2 + 1/2) / \tilde n` where the curve has begun, which is seldom as much as a line is thick.

References
----------
Pocock, Clayton & Altman (2002). Survival plots of time-to-event outcomes in clinical trials. Lancet 359, 1686-1689.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.analysis.curves import ARMS, Curves
from evaluation.design.cohort import Floats
from evaluation.errors import EstimationError
from evaluation.release.released import SEAL, ReleasedNumber, check_seal
from evaluation.release.rules import ReleaseRules, count_beside, gives_away, round_count

Ints = NDArray[np.int64]
COUNTED_EVERY = 6  # months: as often as figures have numbers under their axis


@dataclass(frozen=True, eq=False)
class ReleasedCurve:
    """Either arm's share having left, month by month.

    Attributes
    ----------
    months : ndarray of int, shape (m,)
        Since the index date, from 0; empty where the curve is withheld.
    share, low, high : dict of str to ndarray of float, shape (m,)
        By arm.
    followed : dict of str to tuple of (int or None), length m
        Rounded number under observation, by arm; None is hidden or was not asked for.
    month_days : float
        Days between the points.
    seal : object
        What only the gate has; nothing without it is let onto a page.
    """

    months: Ints
    share: Mapping[str, Floats]
    low: Mapping[str, Floats]
    high: Mapping[str, Floats]
    followed: Mapping[str, tuple[int | None, ...]]
    month_days: float = 365.25 / 12
    seal: object = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_seal(self, self.seal)

    def at_month(self, arm: str, month: int) -> ReleasedNumber:
        """Give an arm's share with its interval, withheld where the curve has ended; tables take it from here, so as to say the same."""
        if month not in self.months:
            return ReleasedNumber("share", None, seal=SEAL)
        return ReleasedNumber("share", *(float(values[arm][month]) for values in (self.share, self.low, self.high)), seal=SEAL)

    def to_frame(self) -> pd.DataFrame:
        """Give the table that goes with the figure: month, and by arm share, low, high and number followed."""
        columns: dict[str, object] = {"month": self.months}
        for arm in ARMS:
            columns |= {f"{arm}_{name}": values[arm] for name, values in (("share", self.share), ("low", self.low), ("high", self.high))}
            columns[f"{arm}_followed"] = pd.array(list(self.followed[arm]), dtype="Int64")
        return pd.DataFrame(columns)


def release_curve(
    curves: Curves,
    state: str,
    months: int,
    rules: ReleaseRules | None = None,
    counted_months: Collection[int] | None = None,
    *,
    people: Mapping[str, int | None] | None = None,
    through: Mapping[str, Mapping[int, float]] | None = None,
    horizons_days: Mapping[int, float] | None = None,
    earlier: Sequence[Mapping[str, int | None]] = (),
) -> ReleasedCurve:
    """Let a curve through.

    Parameters
    ----------
    curves : Curves
    state : str
        "any", or a kind of exit.
    months : int
        How far it is asked for.
    rules : ReleaseRules, optional
        The site's.
    counted_months : collection of int, optional
        At which months the numbers under observation are asked for, those that the figure has under its axis; left out, every half year. The fewer
        there are, the fewer lie so near that they must be hidden.
    people : mapping of str to (int or None), optional
        By arm: its released people, of whom the curve is a share; it is withheld where they are hidden. Left out, they are rounded.
    through : mapping of str to mapping of int to float, optional
        By arm and month, released shares that stand elsewhere and that the curve must pass.
    horizons_days : mapping of int to float, optional
        By month, the day of a horizon that is told elsewhere and falls a little beside the month's.
    earlier : sequence of mapping of str to (int or None)
        What each earlier release showed, by the cells of `curve_cells`.

    Returns
    -------
    ReleasedCurve

    Raises
    ------
    EstimationError
        If the curves have no such state.
    """
    rules = rules or ReleaseRules()
    if state not in set(curves.table["state"]):
        raise EstimationError(f"curve: {state} is not a state of the curves; they have {', '.join(dict.fromkeys(curves.table['state']))}")
    days = np.array([(horizons_days or {}).get(month, month * rules.month_days) for month in range(months + 1)], dtype=np.float64)
    followed = curves.at_risk(days.tolist()).loc[list(ARMS)].to_numpy()
    seen = (followed >= max(rules.threshold, 1)).all(axis=0) & (days <= curves.reach)
    days = days[: int(np.argmin(np.append(seen, False)))]
    before = {arm: [_of_months(release, f"{state}, {arm}, left by month") for release in earlier] for arm in ARMS}
    among = people or {arm: int(round_count(len(curves.followed[arm]), rules)) for arm in ARMS}
    found = {arm: _of_arm(curves, state, arm, among[arm], days, rules, (through or {}).get(arm, {}), before[arm]) for arm in ARMS}
    if any(arm is None for arm in found.values()):
        days = days[:0]
    lines = {arm: np.zeros((3, 0)) if line is None else line[:, : len(days)] for arm, line in found.items()}
    asked = set(range(0, months + 1, COUNTED_EVERY) if counted_months is None else counted_months)
    rounded = {arm: round_count(row[: len(days)], rules).tolist() for arm, row in zip(ARMS, followed, strict=True)}
    seen_before = {arm: [_of_months(release, f"{state}, {arm}, followed at month") for release in earlier] for arm in ARMS}
    told = {
        arm: [count_beside(count, rules, _at(month, seen_before[arm])) if month in asked else None for month, count in enumerate(row)]
        for arm, row in rounded.items()
    }
    counts = {arm: _hide_small_losses(row, rules) for arm, row in told.items()}
    share, low, high = ({arm: lines[arm][which] for arm in ARMS} for which in range(3))
    return ReleasedCurve(np.arange(len(days)), share, low, high, counts, rules.month_days, seal=SEAL)


def curve_cells(curve: ReleasedCurve, state: str, people: Mapping[str, int | None]) -> dict[str, int | None]:
    """Give the rounded counts that a released curve is drawn of, by name, for the ledger of releases.

    Parameters
    ----------
    curve : ReleasedCurve
    state : str
        "any", or a kind of exit.
    people : mapping of str to (int or None)
        By arm: its released people.

    Returns
    -------
    dict of str to (int or None)
    """
    cells: dict[str, int | None] = {}
    for arm in ARMS:
        among = people[arm] or 0
        cells |= {f"{state}, {arm}, left by month {month}": round(curve.share[arm][month] * among) for month in curve.months.tolist()}
        cells |= {f"{state}, {arm}, followed at month {month}": count for month, count in enumerate(curve.followed[arm])}
    return cells


def hold_small_steps(counts: Ints, rules: ReleaseRules, fixed: Mapping[int, int] | None = None) -> Ints:
    """Hold a rising row of rounded counts still where two of them would tell that few were added between them.

    Parameters
    ----------
    counts : ndarray of int, shape (m,)
        Multiples of the base.
    rules : ReleaseRules
    fixed : mapping of int to int, optional
        Counts by place that are shown elsewhere and stay as they are, unless they too would tell of few.

    Returns
    -------
    ndarray of int, shape (m,)
        0 until they reach the threshold, and the last as it was.
    """
    fixed, held = fixed or {}, np.where(counts < rules.threshold, 0, counts)
    for place, count in fixed.items():
        held[place] = count
        held[:place] = np.minimum(held[:place], count)
        held[place:] = np.maximum(held[place:], count)
    for earlier in reversed(range(len(held) - 1)):
        if not _may_follow(held[earlier], held[earlier + 1], rules) and earlier not in fixed:
            held[earlier] = held[earlier + 1]
    for place in sorted(fixed):  # what follows a fixed count by few falls back to it
        later = place + 1
        while later < len(held) and later not in fixed and not _may_follow(held[place], held[later], rules):
            held[later] = held[place]
            later += 1
    for earlier in reversed(range(len(held) - 1)):
        if not _may_follow(held[earlier], held[earlier + 1], rules):
            held[earlier] = held[earlier + 1]
    return held


def _may_follow(count: int, later: int, rules: ReleaseRules) -> bool:
    step, fuzz = int(later - count), rules.base - 1
    return step >= 0 and not gives_away(step - fuzz, step + fuzz, rules)


def _of_months(release: Mapping[str, int | None], named: str) -> dict[int, int | None]:
    """Give what an earlier release showed of a curve, by month."""
    return {int(cell.removeprefix(named)): count for cell, count in release.items() if cell.startswith(f"{named} ")}


def _at(month: int, before: Sequence[Mapping[int, int | None]]) -> list[int]:
    """Give what earlier releases showed at a month, the oldest first."""
    return [was for release in before if (was := release.get(month)) is not None]


def _beside(counts: Ints, before: Sequence[Mapping[int, int | None]], rules: ReleaseRules, fixed: Mapping[int, int]) -> Ints | None:
    """Give the row of held counts of a curve beside those of earlier releases; None where each that is tried would tell of few who have changed.

    First as it is; then with the months that would tell of them as they were; last with every month as the last release showed it, where that would
    not mislead.
    """

    def told(held: Ints) -> list[int | None]:
        return [count_beside(count, rules, _at(month, before)) for month, count in enumerate(held.tolist())]

    held = hold_small_steps(counts, rules, fixed)
    beside = told(held)
    if beside == held.tolist():
        return held
    kept = {month: count for month, count in enumerate(beside) if count is not None and count != held[month]}
    last = {month: count for month, count in (before[-1] if before else {}).items() if count is not None and month < len(counts)}
    near = all(abs(count - int(counts[month])) <= 2 * rules.base or count == 0 for month, count in last.items())
    for tried in (kept, last if near else {}):
        held = hold_small_steps(counts, rules, {**tried, **fixed})
        if told(held) == held.tolist():
            return held
    return None


def _of_arm(
    curves: Curves,
    state: str,
    arm: str,
    people: int | None,
    days: Floats,
    rules: ReleaseRules,
    through: Mapping[int, float],
    before: Sequence[Mapping[int, int | None]] = (),
) -> Floats | None:
    """Give an arm's share, low and high, shape (3, m); None where few or nobody had left, or where it would tell what few have changed."""
    rows = curves.table[(curves.table["arm"] == arm) & (curves.table["state"] == state)]
    last = np.searchsorted(rows["days"].to_numpy(), days, side="right")
    exact, low, high = np.vstack([np.zeros(3), rows[["probability", "low", "high"]].to_numpy(dtype=np.float64)])[last].T
    if rules.exact:
        return np.vstack([exact, low, high])
    if not people:
        return None
    counts = np.floor(np.round(exact * people / rules.base, 9) + 0.5).astype(np.int64) * rules.base
    if not len(days) or counts[-1] < rules.threshold:
        return None
    fixed = {month: round(share * people) for month, share in through.items() if month < len(counts)}
    held, step = _beside(counts, before, rules, fixed), rules.base / people
    if held is None:
        return None
    share = np.minimum(held / people, 1.0)
    below, above = (np.ceil(np.round(width / step + 0.5, 9)) * step * (held > 0) for width in (exact - low, high - exact))
    return np.vstack([share, np.maximum(share - below, 0.0), np.minimum(share + above, 1.0)])


def _hide_small_losses(counts: Sequence[int | None], rules: ReleaseRules) -> tuple[int | None, ...]:
    """Hide those of a falling row of rounded counts that would tell that few were lost between them and the next that is shown."""
    shown, after, fuzz = list(counts), None, rules.base - 1
    for earlier, count in reversed(list(enumerate(counts))):
        if count is None:
            continue
        if after is not None and gives_away(count - after - fuzz, count - after + fuzz, rules):
            shown[earlier] = None
        else:
            after = count
    return tuple(shown)
