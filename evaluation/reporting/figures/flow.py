"""How many people remained at each step on either side, and how many were left out between them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.reporting.figures.page import DASH, EDGE, GREY, LEADING, LINE, RULE, STYLE, TINT, WIDTH, Sheet, Words, name_style, text_width, wrap

_GUTTER = 12.0  # points between the lanes
_LANE = (WIDTH - 2 * EDGE - _GUTTER) / 2
_PAD = 7.0
_DROP = 18.0  # from box to box where nobody is said to be left out
_LEFT = {"treated": EDGE, "control": EDGE + _LANE + _GUTTER}


@dataclass(frozen=True)
class FlowStep:
    """One step, as it stands in the lanes it concerns.

    Attributes
    ----------
    label : str
    count : dict of str to str
        By arm ("treated", "control"), how many remained, in words and figures; arms the step does not concern are absent.
    left_out : dict of str to str
        By arm, how many were left out since the step before, likewise.
    strong : bool
        Whether the box is filled.
    """

    label: str
    count: Mapping[str, str]
    left_out: Mapping[str, str]
    strong: bool = False


@rc_context(STYLE)
def draw_flow(steps: Sequence[FlowStep], *, words: Words, ax: Axes | None = None) -> Figure:
    """See how the people of the registers became those compared: a lane for either side, a box for each step, and between them who was left out.

    Parameters
    ----------
    steps : sequence of FlowStep
        From the registers to the comparison.
    words : Words
    ax : Axes, optional
        Where to draw it, as large as fits there; left out, on a figure of its own.

    Returns
    -------
    Figure
    """
    names = {arm: wrap(words.arm(arm), _LANE, bold=True) for arm in _LEFT}
    top = max(map(len, names.values())) * LEADING + 8
    labels = [wrap(step.label, _LANE - 2 * _PAD) for step in steps]
    notes = [{arm: wrap(text, _LANE - 22) for arm, text in step.left_out.items()} for step in steps]
    boxes = [(len(lines) + 1) * LEADING + 2 * _PAD - 2 for lines in labels]
    gaps = [max([_DROP, *(len(lines) * LEADING + 12 for lines in note.values())]) for note in notes]
    tops, bottom = [], dict.fromkeys(_LEFT, 0.0)  # a lane of its own goes on beside the other's, and where both stand in one step they meet
    for step, gap, height in zip(steps, gaps, boxes, strict=True):
        tops.append(max(bottom[arm] + gap if bottom[arm] else top for arm in step.count))
        bottom |= dict.fromkeys(step.count, tops[-1] + height)
    sheet = Sheet.of(max(bottom.values()) + EDGE, ax)
    for arm, left in _LEFT.items():
        sheet.write(left, 11, *names[arm], style=name_style(arm))
        inside = [number for number, step in enumerate(steps) if arm in step.count]
        for before, here in zip([None, *inside], inside, strict=False):
            step, height = steps[here], boxes[here]
            if before is not None:
                sheet.arrow(left + 12, tops[before] + boxes[before], tops[here], {"color": RULE, "linewidth": 1.1})
                if arm in notes[here]:
                    lines = notes[here][arm]
                    middle = tops[here] - gaps[here] / 2 - len(lines) * LEADING / 2
                    sheet.write(left + 22, middle + 10, *lines, style={"color": GREY})
            face = TINT[arm] if step.strong else "white"
            sheet.box(left, tops[here], _LANE, height, {"facecolor": face, "edgecolor": LINE[arm], "linewidth": 1.2, "linestyle": DASH[arm]})
            sheet.write(left + _PAD, tops[here] + _PAD + 9, *labels[here])
            count = step.count[arm]
            end = left + _LANE - _PAD if text_width(count, bold=True) <= _LANE - 2 * _PAD else left + _LANE
            sheet.write(end, tops[here] + height - _PAD - 1, count, align="right", style={"weight": "bold"})
    return sheet.finished()
