"""How does the share having left grow in either arm, and how many are still under observation?

A page shows released curves, month by month. The others are for the analyst: they have every exit day, as far as a threshold lets them.

References
----------
Pocock, Clayton & Altman (2002). Survival plots of time-to-event outcomes in clinical trials. Lancet 359, 1686-1689 (show the numbers still under
observation, and stop the curves where few remain).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.analysis.curves import ARMS, Curves
from evaluation.analysis.outcomes import ANY
from evaluation.errors import EstimationError
from evaluation.release.curves import ReleasedCurve
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.figures.page import EDGE, LEADING, STYLE, SWATCH, WIDTH, Sheet, Words, lines_height, name_style, text_width, wrap
from evaluation.reporting.figures.step_panels import Steps, TimeAxis, arm_keys, arm_line, draw_arms, place_labels, share_axis, share_ticks

_MOST_STEPS = 150  # two points apart: nobody sees more, and a file with every exit day would be large and tell too much


def shown_until(curves: Curves, threshold: int, until_days: float) -> float:
    """Give the last day that everybody could be followed to and on which both arms have `threshold` people under observation, at most `until_days`.

    Parameters
    ----------
    curves : Curves
    threshold : int
    until_days : float

    Returns
    -------
    float
        Days. 0 where an arm is smaller than `threshold` from the start.
    """
    last = min(until_days, curves.reach)
    for times in curves.followed.values():
        if len(times) < threshold:
            return 0.0
        if threshold > 0:
            last = min(last, float(times[len(times) - threshold]))
    return last


@rc_context(STYLE)
def draw_curves(
    curves: Curves,
    state: str,
    *,
    unit_days: float,
    until_days: float,
    ticks: Sequence[float],
    words: Words,
    gate: Gate,
    verticals: Sequence[float] = (),
    ax: Axes | None = None,
) -> Figure:
    """See how the share having left grows in either arm, with the number still under observation below.

    Parameters
    ----------
    curves : Curves
    state : str
        "any", or a kind of exit.
    unit_days : float
        Length of the study's unit of time.
    until_days : float
        Where the time axis ends. The curves end there, or at `shown_until`.
    ticks : sequence of float
        Positions on the time axis, in units of `unit_days`, rising. Those too near the one before for their numbers are left out.
    words : Words
    gate : Gate
        What is shown of few people; the curves end where either arm has fewer than its threshold.
    verticals : sequence of float, optional
        Positions of dotted lines, in units of `unit_days`.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure

    Raises
    ------
    EstimationError
        If the curves have no such state.
    """
    shown = shown_until(curves, gate.threshold, until_days) / unit_days
    steps = {arm: _steps(curves, state, arm, shown, unit_days) for arm in ARMS}
    return _one_panel(steps, shown, _time_axis(curves, ticks, until_days / unit_days, unit_days, words, gate), verticals, words, ax)


@rc_context(STYLE)
def draw_states(
    curves: Curves,
    states: Sequence[tuple[str, str]],
    *,
    unit_days: float,
    until_days: float,
    ticks: Sequence[float],
    words: Words,
    gate: Gate,
    verticals: Sequence[float] = (),
    ax: Axes | None = None,
) -> Figure:
    """See how the share having left to each kind of exit grows in either arm, one panel under another on the same scale.

    Parameters
    ----------
    curves : Curves
    states : sequence of (str, str)
        Kind of exit and what to call it, in the order to show them.
    unit_days, until_days, ticks, words, gate, verticals
        As in `draw_curves`.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure

    Raises
    ------
    EstimationError
        If the curves have no such state.
    """
    shown = shown_until(curves, gate.threshold, until_days) / unit_days
    panels = [{arm: _steps(curves, state, arm, shown, unit_days) for arm in ARMS} for state, _ in states]
    time = _time_axis(curves, ticks, until_days / unit_days, unit_days, words, gate)
    return _panels(panels, [label for _, label in states], time, verticals, words, ax)


@rc_context(STYLE)
def draw_released_curve(
    curve: ReleasedCurve,
    *,
    unit_days: float,
    horizons: Sequence[float],
    words: Words,
    verticals: Sequence[float] = (),
    ax: Axes | None = None,
) -> Figure:
    """See a released curve: month by month, of rounded numbers only, with the released numbers under observation below.

    Parameters
    ----------
    curve : ReleasedCurve
        Not withheld.
    unit_days : float
        Length of the study's unit of time.
    horizons : sequence of float
        In units of `unit_days`, rising: the ticks, each at the curve's month nearest to it.
    words : Words
    verticals : sequence of float, optional
        Horizons to mark with a dotted line.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    time = _released_axis(curve, unit_days, horizons, words)
    return _one_panel(_released_steps(curve, unit_days), time.until, time, [_place(one, curve, unit_days) for one in verticals], words, ax)


@rc_context(STYLE)
def draw_released_states(
    curves: Sequence[tuple[str, ReleasedCurve]], *, unit_days: float, horizons: Sequence[float], words: Words, ax: Axes | None = None
) -> Figure:
    """See released curves of each kind of exit, one panel under another on the same scale.

    Parameters
    ----------
    curves : sequence of (str, ReleasedCurve)
        What to call the kind of exit, and its curve; they end in the same month.
    unit_days, horizons, words
        As in `draw_released_curve`.
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    panels = [_released_steps(curve, unit_days) for _, curve in curves]
    return _panels(panels, [label for label, _ in curves], _released_axis(curves[0][1], unit_days, horizons, words), (), words, ax)


def _released_steps(curve: ReleasedCurve, unit_days: float) -> dict[str, Steps]:
    time = np.asarray(curve.months * curve.month_days / unit_days, dtype=np.float64)
    return {arm: Steps(time, curve.share[arm], curve.low[arm], curve.high[arm]) for arm in ARMS}


def _place(horizon: float, curve: ReleasedCurve, unit_days: float) -> float:
    return round(horizon * unit_days / curve.month_days) * curve.month_days / unit_days


def _released_axis(curve: ReleasedCurve, unit_days: float, horizons: Sequence[float], words: Words) -> TimeAxis:
    months = {horizon: round(horizon * unit_days / curve.month_days) for horizon in horizons}
    inside = {horizon: month for horizon, month in months.items() if month in curve.months}
    followed = [[curve.followed[arm][month] for arm in ARMS] for month in inside.values()]
    columns = [
        [_tick(horizon, words), *(HIDDEN if count is None else words.number(count, 0) for count in row)]
        for horizon, row in zip(inside, followed, strict=True)
    ]
    return TimeAxis.of(
        [_place(horizon, curve, unit_days) for horizon in inside], columns, float(curve.months[-1]) * curve.month_days / unit_days, words
    )


def _time_axis(curves: Curves, ticks: Sequence[float], until: float, unit_days: float, words: Words, gate: Gate) -> TimeAxis:
    inside = [tick for tick in ticks if tick <= until * (1 + 1e-9)]
    people = curves.at_risk([tick * unit_days * (1 - 1e-12) for tick in inside])  # days / unit * unit may land beyond the exits of that day
    columns = [
        [_tick(tick, words)] + [gate.count(int(count), lambda people: words.number(people, 0)) for count in people.iloc[:, position].loc[list(ARMS)]]
        for position, tick in enumerate(inside)
    ]
    return TimeAxis.of(inside, columns, until, words)


def _tick(tick: float, words: Words) -> str:
    return words.number(tick, 0 if float(round(tick, 1)).is_integer() else 1)


def _one_panel(steps: Mapping[str, Steps], shown: float, time: TimeAxis, verticals: Sequence[float], words: Words, ax: Axes | None) -> Figure:
    height = 200.0
    labels = place_labels(steps, shown, time, height, words)
    keys = None if labels.fit else arm_keys(words)
    top = lines_height(words.share_axis) + (keys.height if keys else 0) + 8
    sheet = Sheet.of(top + height + time.height, ax)
    axes = sheet.panel(top, height, time.left, time.right)
    draw_arms(axes, steps, verticals)
    share_axis(axes, labels.limit, labels.ticks, words)
    time.draw(sheet, axes, top + height)
    sheet.paragraph(0, words.share_axis)
    if keys:
        keys.draw(sheet, lines_height(words.share_axis))
    else:
        for arm, (lines, baseline) in labels.names.items():
            end = time.left + time.scale * shown
            sheet.write(end, top + baseline, *lines, align="right", style=name_style(arm))
            start = end - text_width(lines[0], bold=True) - 5
            sheet.line([start - SWATCH, start], top + baseline - 3.8, arm_line(arm))
    return sheet.finished()


def _panels(
    panels: Sequence[Mapping[str, Steps]], names: Sequence[str], time: TimeAxis, verticals: Sequence[float], words: Words, ax: Axes | None
) -> Figure:
    limit, levels = share_ticks(max(float(steps.high.max()) for panel in panels for steps in panel.values()), 4)
    keys = arm_keys(words)
    height, start = 105.0, lines_height(words.share_axis) + keys.height + 6
    titles = [wrap(label, WIDTH - time.left - EDGE, bold=True) for label in names]
    heads = np.cumsum([start, *(len(lines) * LEADING + 8 + height + 20 for lines in titles)])
    bottom = float(heads[-1]) - 20
    sheet = Sheet.of(bottom + time.height, ax)
    for position, (panel, lines, head) in enumerate(zip(panels, titles, heads[:-1], strict=True)):
        top = float(head) + len(lines) * LEADING + 8
        axes = sheet.panel(top, height, time.left, time.right)
        draw_arms(axes, panel, verticals)
        share_axis(axes, limit, levels, words)
        sheet.write(time.left, float(head) + 11, *lines, style={"weight": "bold"})
        if position == len(panels) - 1:
            time.draw(sheet, axes, bottom)
        else:
            axes.set_xlim(0, time.until)
            axes.set_xticks(time.ticks, [])
    sheet.paragraph(0, words.share_axis)
    keys.draw(sheet, lines_height(words.share_axis))
    return sheet.finished()


def _steps(curves: Curves, state: str, arm: str, shown: float, unit_days: float) -> Steps:
    table = curves.table
    if state != ANY and state not in set(table["state"]):
        raise EstimationError(f"figure: {state} is not a state of the curves; they have {', '.join(dict.fromkeys(table['state']))}")
    rows = table[(table["arm"] == arm) & (table["state"] == state)]
    seen = rows[rows["days"] / unit_days <= shown]
    time = np.append(0.0, seen["days"].to_numpy(dtype=np.float64) / unit_days)
    values = np.vstack([np.zeros(3), seen[["probability", "low", "high"]].to_numpy(dtype=np.float64)])
    drawn = np.append(time, shown) if len(time) <= _MOST_STEPS else np.linspace(0, shown, _MOST_STEPS + 1)
    return Steps(drawn, *values[np.searchsorted(time, drawn, side="right") - 1].T)
