"""What the steering group sees: overlap, balance, curves and effects, for a phone, a projector and black-and-white paper.

Every figure is one column wide and as tall as its content, laid out in points from its top left corner and measured with the font it is drawn in:
no text can meet another or leave the page. All words come from the caller, and an arm is told apart by colour, dash and name at once.

References
----------
Okabe & Ito (2008). Color universal design: how to make figures and presentations that are friendly to colorblind people.
Pocock, Clayton & Altman (2002). Survival plots of time-to-event outcomes in clinical trials. Lancet 359, 1686-1689 (show the numbers still under
observation, and stop the curves where few remain).
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Figure  # so that the report can name the type and only this room imports matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from evaluation.analysis.curves import ARMS, Curves
from evaluation.analysis.outcomes import ANY
from evaluation.design.cohort import Floats
from evaluation.errors import EstimationError

INK, GREY, RULE, GRID = "#1a1a1a", "#595959", "#8c8c8c", "#dedede"
LINE = {"treated": "#0072B2", "control": "#D55E00"}
TEXT = {"treated": "#0072B2", "control": "#B04D00"}  # the vermilion of lines has contrast 3.9 against white, too little for text
TINT = {"treated": "#CFE4F1", "control": "#F9DFCC"}
DASH: dict[str, Any] = {"treated": "-", "control": (0, (4.5, 2))}
DIFFERENCE = "#8E3B6D"

_Style = Mapping[str, Any]
_Align = Literal["left", "center", "right"]

_WIDTH = 374.4  # 5.2 inches
_EDGE = 4.0
_TEXT_WIDTH = _WIDTH - 2 * _EDGE
_SIZE = 10.5
_LEADING = 14.0
_SWATCH = 20.0
_MOST_STEPS = 150  # two points apart: nobody sees more, and a file with every exit day would be large and tell too much
_FARTHEST_SMD = 2.0  # beyond this an arrow says "far": a scale that held it would flatten every other row
_NO_RULE, _RULED, _BLOCK = 4.0, 10.0, 16.0  # points above a row of the forest plot
_MASK: dict[str, Any] = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5}}  # keeps lines from running through words
_FONT = "DejaVu Sans"  # comes with matplotlib, so that a figure is the same bytes on every machine
_STYLE: dict[Any, Any] = {
    **{key: value for key, value in rcParamsDefault.items() if not key.startswith("backend")},  # whatever matplotlibrc the site has
    "font.family": _FONT,
    "font.size": _SIZE,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": RULE,
    "xtick.labelcolor": INK,
    "xtick.major.size": 3.5,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "svg.fonttype": "path",
    "svg.hashsalt": "figures",
}


@dataclass(frozen=True)
class Words:
    """The words on the figures, in one language.

    Attributes
    ----------
    treated, control : str
        What to call the two arms; short, for they stand beside curves.
    everybody, compared : str
        Keys of the overlap: all people, and those who are compared.
    score_axis, group_share_axis : str
        The propensity score, and the share of a group.
    before, after, limit, smd_axis : str
        Keys of the love plot, and the standardised difference.
    share_axis, time_axis, at_risk : str
        The share having left, the time in the study's unit, and the number still under observation.
    difference_axis, fewer, more : str
        The effect, and what lies left and right of no effect.
    percent : callable
        Writes a share: ``percent(0.25)`` is "25 %".
    number : callable
        Writes a number with so many decimals: ``number(1242, 0)``.
    """

    treated: str
    control: str
    everybody: str
    compared: str
    score_axis: str
    group_share_axis: str
    before: str
    after: str
    limit: str
    smd_axis: str
    share_axis: str
    time_axis: str
    at_risk: str
    difference_axis: str
    fewer: str
    more: str
    percent: Callable[[float], str]
    number: Callable[[float, int], str]

    def arm(self, arm: str) -> str:
        """Give what to call an arm."""
        return self.treated if arm == "treated" else self.control


@dataclass(frozen=True)
class ForestRow:
    """One line of the forest plot.

    Attributes
    ----------
    label : str
    value, low, high : float
        In the unit of the axis; not looked at where `kind` is "empty".
    kind : {"overall", "group", "difference", "empty"}
    text : str
        The numbers in words, "+4,2 (−1,0 till 9,4)"; where `kind` is "empty", the reason.
    """

    label: str
    value: float
    low: float
    high: float
    kind: Literal["overall", "group", "difference", "empty"]
    text: str = ""


@rc_context(_STYLE)
def draw_overlap(
    score_treated: Floats, score_control: Floats, weight_treated: Floats, weight_control: Floats, *, words: Words, threshold: int
) -> Figure:
    """See whether the two groups share the range of propensities: the treated upwards, the controls downwards.

    Parameters
    ----------
    score_treated, score_control : ndarray of float, shape (t,) and (c,)
        Propensity scores of everybody.
    weight_treated, weight_control : ndarray of float, shape (t,) and (c,)
        Weights in the comparison; 0 for people who are not compared.
    words : Words
    threshold : int
        Bars of fewer people are drawn as 0.

    Returns
    -------
    Figure
        Wide light bars: share of everybody in the group; narrow dark bars: weighted share of its compared people.
    """
    width = _bin_width(score_treated, score_control, threshold)
    both = np.concatenate([score_treated, score_control])
    lowest = math.floor(both.min() / width)
    edges = np.arange(lowest, max(math.ceil(both.max() / width), lowest + 1) + 1) * width
    bars = {
        "treated": _bars(score_treated, weight_treated, edges, threshold),
        "control": -_bars(score_control, weight_control, edges, threshold),
    }
    drawn = np.flatnonzero(sum(np.abs(side).sum(axis=0) for side in bars.values()))
    first, last = (int(drawn[0]), int(drawn[-1]) + 1) if len(drawn) else (0, len(edges) - 1)
    tallest = [max(float(np.abs(side).max()), 0.01) for side in bars.values()]
    step = max(_nice_step(sum(tallest), 8), 0.01)
    up, down = (math.ceil(height / step - 1e-9) for height in tallest)

    keys = _flow([_Key(words.everybody, _square("#e6e6e6", GREY)), _Key(words.compared, _square(GREY, GREY))])
    top, height, name = _lines_height(words.group_share_axis) + keys.height + 8, 215.0, 18.0
    sheet = _Sheet.of(top + height + 22 + _lines_height(words.score_axis))
    ticks = [step * count for count in range(-down, up + 1)]
    left = max(_text_width(words.percent(abs(tick))) for tick in ticks) + 8 + _EDGE
    axes = sheet.panel(top, height, left, _EDGE + 14)
    unit = step * (up + down) / (height - 2 * name)
    axes.set_ylim(-step * down - name * unit, step * up + name * unit)
    axes.set_yticks(ticks, [words.percent(abs(tick)) for tick in ticks])
    axes.set_xlim(edges[first], edges[last])
    positions = _ticks(edges[first], edges[last], 8)
    axes.set_xticks(positions, [words.percent(tick) for tick in positions])
    axes.grid(axis="y")
    middle = (edges[:-1] + edges[1:]) / 2
    for arm, (everybody, compared) in bars.items():
        shown = everybody != 0
        axes.bar(middle[shown], everybody[shown], width * 0.9, color=TINT[arm], edgecolor=LINE[arm], linewidth=0.8)
        axes.bar(middle[compared != 0], compared[compared != 0], width * 0.45, color=LINE[arm])
    axes.axhline(0, color=INK, linewidth=0.8)
    sheet.paragraph(0, words.group_share_axis)
    keys.draw(sheet, _lines_height(words.group_share_axis))
    sheet.write(left + 2, top + 12, words.treated, style=_name_style("treated"))
    sheet.write(left + 2, top + height - 6, words.control, style=_name_style("control"))
    sheet.paragraph(top + height + 20, words.score_axis, centre=left)
    return sheet.figure


@rc_context(_STYLE)
def draw_love(table: pd.DataFrame, *, limit: float, words: Words) -> Figure:
    """See how far apart the groups were before matching, and after: one row per covariate level, the farthest first.

    Parameters
    ----------
    table : DataFrame
        Columns label, smd_before and smd_after. Infinite differences, and those beyond 2, become arrows at the edge; missing ones are left out.
    limit : float
        What the plan allows, drawn as a dashed line on either side.
    words : Words

    Returns
    -------
    Figure
    """
    rows = table.iloc[np.argsort(-table["smd_before"].abs().to_numpy(), kind="stable")]
    values = rows[["smd_before", "smd_after"]].to_numpy(dtype=np.float64)
    near = np.abs(values[np.abs(values) <= _FARTHEST_SMD])
    reach = max(float(near.max(initial=0.01)), 1.6 * limit)
    keys = _flow([_Key(words.before, _HOLLOW), _Key(words.after, _FILLED), _Key(words.limit, _LIMIT)])
    labels = [_wrap(str(label), _TEXT_WIDTH) for label in rows["label"]]
    tops = np.cumsum([0.0, *(len(lines) * _LEADING + 24 for lines in labels)])
    top = keys.height + 10
    sheet = _Sheet.of(top + tops[-1] + 24 + _lines_height(words.smd_axis))
    axes = sheet.panel(top, float(tops[-1]), _EDGE + 8, _EDGE + 8)
    _row_axes(axes, float(tops[-1]), (-1.04 * reach, 1.04 * reach), words)
    axes.axvline(0, color=RULE, linewidth=0.8)
    for side in (-limit, limit):
        axes.axvline(side, **_LIMIT)
    for lines, start, end, (before, after) in zip(labels, tops[:-1], tops[1:], values, strict=True):
        level = float(end) - 16
        sheet.write(_EDGE, top + float(start) + 11, *lines, style=_MASK)
        inside = np.clip([before, after], -reach, reach)
        axes.plot(inside, [level, level], color=RULE, linewidth=1.2)
        _mark(axes, before, level, reach, _HOLLOW, inset=10 if abs(after) > reach else 0)
        _mark(axes, after, level, reach, _FILLED, inset=0)
    keys.draw(sheet, 0)
    sheet.paragraph(top + float(tops[-1]) + 20, words.smd_axis, centre=0)
    return sheet.figure


def shown_until(curves: Curves, threshold: int, until_days: float) -> float:
    """Give the last day on which both arms have at least `threshold` people under observation, at most `until_days`.

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
    last = until_days
    for times in curves.followed.values():
        if len(times) < threshold:
            return 0.0
        if threshold > 0:
            last = min(last, float(times[len(times) - threshold]))
    return last


@rc_context(_STYLE)
def draw_curves(
    curves: Curves,
    state: str,
    *,
    unit_days: float,
    until_days: float,
    ticks: Sequence[float],
    words: Words,
    threshold: int,
    verticals: Sequence[float] = (),
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
    threshold : int
        Smaller counts are written "<threshold".
    verticals : sequence of float, optional
        Positions of dotted lines, in units of `unit_days`.

    Returns
    -------
    Figure

    Raises
    ------
    EstimationError
        If the curves have no such state.
    """
    time = _TimeAxis.of(curves, ticks, until_days / unit_days, unit_days, words, threshold)
    shown = shown_until(curves, threshold, until_days) / unit_days
    steps = {arm: _steps(curves, state, arm, shown, unit_days) for arm in ARMS}
    height = 200.0
    labels = _place_labels(steps, shown, time, height, words)
    keys = None if labels.fit else _arm_keys(words)
    top = _lines_height(words.share_axis) + (keys.height if keys else 0) + 8
    sheet = _Sheet.of(top + height + time.height)
    axes = sheet.panel(top, height, time.left, time.right)
    _draw_arms(axes, steps, verticals)
    _share_axis(axes, labels.limit, labels.ticks, words)
    time.draw(sheet, axes, top + height)
    sheet.paragraph(0, words.share_axis)
    if keys:
        keys.draw(sheet, _lines_height(words.share_axis))
    else:
        for arm, (lines, baseline) in labels.names.items():
            end = time.left + time.scale * shown
            sheet.write(end, top + baseline, *lines, align="right", style=_name_style(arm))
            start = end - _text_width(lines[0], bold=True) - 5
            sheet.line([start - _SWATCH, start], top + baseline - 3.8, _arm_line(arm))
    return sheet.figure


@rc_context(_STYLE)
def draw_states(
    curves: Curves,
    states: Sequence[tuple[str, str]],
    *,
    unit_days: float,
    until_days: float,
    ticks: Sequence[float],
    words: Words,
    threshold: int,
    verticals: Sequence[float] = (),
) -> Figure:
    """See how the share having left to each kind of exit grows in either arm, one panel under another on the same scale.

    Parameters
    ----------
    curves : Curves
    states : sequence of (str, str)
        Kind of exit and what to call it, in the order to show them.
    unit_days, until_days, ticks, words, threshold, verticals
        As in `draw_curves`.

    Returns
    -------
    Figure

    Raises
    ------
    EstimationError
        If the curves have no such state.
    """
    time = _TimeAxis.of(curves, ticks, until_days / unit_days, unit_days, words, threshold)
    shown = shown_until(curves, threshold, until_days) / unit_days
    panels = [{arm: _steps(curves, state, arm, shown, unit_days) for arm in ARMS} for state, _ in states]
    limit, levels = _share_ticks(max(float(steps.high.max()) for panel in panels for steps in panel.values()), 4)
    keys = _arm_keys(words)
    height, start = 105.0, _lines_height(words.share_axis) + keys.height + 6
    titles = [_wrap(label, _WIDTH - time.left - _EDGE, bold=True) for _, label in states]
    heads = np.cumsum([start, *(len(lines) * _LEADING + 8 + height + 20 for lines in titles)])
    bottom = float(heads[-1]) - 20
    sheet = _Sheet.of(bottom + time.height)
    for position, (panel, lines, head) in enumerate(zip(panels, titles, heads[:-1], strict=True)):
        top = float(head) + len(lines) * _LEADING + 8
        axes = sheet.panel(top, height, time.left, time.right)
        _draw_arms(axes, panel, verticals)
        _share_axis(axes, limit, levels, words)
        sheet.write(time.left, float(head) + 11, *lines, style={"weight": "bold"})
        if position == len(panels) - 1:
            time.draw(sheet, axes, bottom)
        else:
            axes.set_xlim(0, time.until)
            axes.set_xticks(time.ticks, [])
    sheet.paragraph(0, words.share_axis)
    keys.draw(sheet, _lines_height(words.share_axis))
    return sheet.figure


@rc_context(_STYLE)
def draw_forest(rows: Sequence[ForestRow], *, words: Words, unit: str = "", reference_line: float = 0.0) -> Figure:
    """See the effect overall, in each group, and how the groups differ, each with its interval.

    Parameters
    ----------
    rows : sequence of ForestRow
        In the order to show them; rules close off the overall row, and every run of differences.
    words : Words
    unit : str, optional
        Unit of the axis, written after its name.
    reference_line : float
        Where there is no effect.

    Returns
    -------
    Figure
    """
    heads = [_forest_head(row) for row in rows]
    gaps = [_gap_above(before, row) for before, row in zip([None, *rows[:-1]], rows, strict=True)]
    tops = np.cumsum([0.0, *(gap + head.height for gap, head in zip(gaps, heads, strict=True))])
    low, high = _forest_range(rows, reference_line)
    name = f"{words.difference_axis} ({unit})" if unit else words.difference_axis
    half = (_WIDTH - 2 * _EDGE) / 2 - 10
    fewer, more = _wrap(f"← {words.fewer}", half), _wrap(f"{words.more} →", half)
    words_height = max(len(fewer), len(more)) * _LEADING
    height = float(tops[-1]) + 8
    sheet = _Sheet.of(height + 26 + words_height + _lines_height(name))
    axes = sheet.panel(0, height, _EDGE + 8, _EDGE + 8)
    _row_axes(axes, height, (low, high), words)
    axes.axvline(reference_line, color=GREY, linewidth=1)
    for row, head, gap, start in zip(rows, heads, gaps, tops[:-1], strict=True):
        top = float(start) + gap
        if gap > _NO_RULE:
            sheet.line([_EDGE, _WIDTH - _EDGE], float(start) + gap / 2 - 1, {"color": RULE if gap == _BLOCK else GRID, "linewidth": 0.8})
        head.draw(sheet, top, row.kind)
        if row.kind != "empty":
            _draw_interval(axes, row, top + head.height - 12, (low, high))
    sheet.write(_EDGE, height + 32, *fewer, style={"color": GREY})
    sheet.write(_WIDTH - _EDGE, height + 32, *more, align="right", style={"color": GREY})
    sheet.paragraph(height + 22 + words_height, name, centre=0)
    return sheet.figure


def svg_text(figure: Figure, *, name: str, title: str, description: str) -> str:
    """Give the figure as SVG to stand in a page: the same figure gives the same bytes.

    Parameters
    ----------
    figure : Figure
    name : str
        Letters, digits and hyphens; unique on the page, for every id begins with it.
    title, description : str
        What the figure is and what it shows, for those who do not see it.

    Returns
    -------
    str
        One `svg` element that CSS can scale, with text as outlines and nothing about where or when it was made.
    """
    written = io.StringIO()
    with rc_context(_STYLE):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(written.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):  # its one rule, for every element, would reach the page around the figure
                parent.remove(child)
    used = dict.fromkeys(old for element in root.iter() for old in _references(element))
    names = {old: f"{name}-{number}" for number, old in enumerate(used, start=1)}
    for element in root.iter():
        _tidy(element, names)
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    for position, (tag, text) in enumerate([("title", title), ("desc", description)]):
        element = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        element.text, element.tail = text, "\n"
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode")


_REFERENCE = re.compile(r"(?<=url\(#)[^)]+")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_TRANSLATION = re.compile(r"translate\([^)]*\)")
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
_COORDINATES = ("d", "x", "y", "width", "height")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _references(element: ElementTree.Element) -> list[str]:
    """Give the ids an element refers to."""
    found = [old for value in element.attrib.values() for old in _REFERENCE.findall(value)]
    return found + [value[1:] for key, value in element.attrib.items() if _local(key) == "href"]


def _tidy(element: ElementTree.Element, names: Mapping[str, str]) -> None:
    """Take away namespaces and ids nobody refers to, rename the others and round coordinates to hundredths of a point."""
    attributes: dict[str, str] = {}
    for key, value in element.attrib.items():
        if key == "style":  # as attributes of their own, so that pages that forbid inline styles show them
            attributes |= {part.strip(): rule.strip() for part, _, rule in (piece.partition(":") for piece in value.split(";") if piece.strip())}
        elif key == "id":
            attributes |= {"id": names[value]} if value in names else {}
        elif _local(key) == "href":
            attributes["href"] = f"#{names[value[1:]]}"
        elif key in _COORDINATES:
            attributes[key] = _LONG_NUMBER.sub(_hundredths, value)
            if key == "d":
                attributes[key] = _short_path(attributes[key])
        elif key == "transform":
            attributes[key] = _TRANSLATION.sub(lambda found: _LONG_NUMBER.sub(_hundredths, found.group()), value)
        else:
            attributes[key] = value
    element.attrib = {key: _REFERENCE.sub(lambda found: names[found.group()], value) for key, value in attributes.items()}
    element.tag, element.text, element.tail = _local(element.tag), None, "\n"


def _hundredths(number: re.Match[str]) -> str:
    text = f"{float(number.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _short_path(path: str) -> str:
    """Write level and upright lines by their one new coordinate: curves consist of them."""
    parts, here = [], ["", ""]
    for letter, rest in _COMMAND.findall(path):
        numbers = rest.split()
        if letter == "L" and numbers[0] == here[0]:
            parts.append(f"V{numbers[1]}")
        elif letter == "L" and numbers[1] == here[1]:
            parts.append(f"H{numbers[0]}")
        else:
            parts.append(letter + " ".join(numbers))
        here = numbers[-2:] or here
    return "".join(parts)


@dataclass(frozen=True, eq=False)
class _Sheet:
    """A page measured in points from its top left corner."""

    figure: Figure
    height: float

    @classmethod
    def of(cls, height: float) -> _Sheet:
        return cls(Figure(figsize=(_WIDTH / 72, height / 72)), height)

    def panel(self, top: float, height: float, left: float, right: float) -> Axes:
        return self.figure.add_axes((left / _WIDTH, 1 - (top + height) / self.height, (_WIDTH - left - right) / _WIDTH, height / self.height))

    def write(self, x: float, baseline: float, *lines: str, align: _Align = "left", style: _Style = MappingProxyType({})) -> None:
        """Write lines, the first on `baseline`."""
        for number, line in enumerate(lines):
            y = 1 - (baseline + number * _LEADING) / self.height
            self.figure.text(x / _WIDTH, y, line, horizontalalignment=align, verticalalignment="baseline", **style)

    def paragraph(self, top: float, text: str, *, centre: float | None = None) -> None:
        """Write text as wide as the page: from the left, or in the middle of what lies right of `centre`."""
        if centre is None:
            self.write(_EDGE, top + 11, *_wrap(text, _TEXT_WIDTH))
        else:
            self.write((centre + _WIDTH) / 2, top + 11, *_wrap(text, _WIDTH - centre - 2 * _EDGE), align="center")

    def line(self, x: Sequence[float], y: float, style: _Style) -> None:
        """Draw a level line, or a mark where `x` is one position."""
        ends = np.array(x) / _WIDTH
        self.figure.add_artist(Line2D(ends, np.full(len(ends), 1 - y / self.height), transform=self.figure.transFigure, **style))


@dataclass(frozen=True, eq=False)
class _Key:
    """What a mark means."""

    text: str
    style: _Style
    color: str = INK

    @property
    def width(self) -> float:
        """Points the mark takes."""
        return 10.0 if "marker" in self.style else _SWATCH


@dataclass(frozen=True, eq=False)
class _Keys:
    """Keys set one after another, as words in a line; `places` has key, its lines, left and top."""

    places: tuple[tuple[_Key, list[str], float, float], ...]
    height: float

    def draw(self, sheet: _Sheet, top: float) -> None:
        for key, lines, x, y in self.places:
            sheet.line([x + key.width / 2] if "marker" in key.style else [x, x + key.width], top + y + 7.2, key.style)
            sheet.write(x + key.width + 5, top + y + 11, *lines, style={"color": key.color})


def _flow(keys: Sequence[_Key]) -> _Keys:
    places, x, y, tallest = [], _EDGE, 0.0, 0
    for key in keys:
        lines = _wrap(key.text, _TEXT_WIDTH - key.width - 5)
        width = key.width + 5 + max(map(_text_width, lines))
        if x > _EDGE and x + width > _WIDTH - _EDGE:
            x, y, tallest = _EDGE, y + tallest * (_LEADING + 1), 0
        places.append((key, lines, x, y))
        x, tallest = x + width + 14, max(tallest, len(lines))
    return _Keys(tuple(places), y + tallest * (_LEADING + 1))


@lru_cache(maxsize=4096)
def _text_width(text: str, *, bold: bool = False) -> float:
    """Measure a line in points."""
    font = FontProperties(family=_FONT, size=_SIZE, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def _wrap(text: str, width: float, *, bold: bool = False) -> list[str]:
    """Break text into lines no wider than `width`, at spaces, or inside a word that is wider than a line."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if _text_width(longer, bold=bold) <= width:
            lines[-1] = longer
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while _text_width(lines[-1], bold=bold) > width and len(lines[-1]) > 1:
            whole = lines[-1]
            fits = next(count for count in range(len(whole) - 1, 0, -1) if count == 1 or _text_width(whole[:count], bold=bold) <= width)
            lines[-1:] = [whole[:fits], whole[fits:]]
    return lines


def _lines_height(text: str) -> float:
    return len(_wrap(text, _TEXT_WIDTH)) * _LEADING


def _nice_step(span: float, most: int) -> float:
    """Give the smallest of 1, 2 and 5 times a power of ten that divides `span` into at most `most` parts."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power, 20 * power) if span / step <= most * (1 + 1e-9))


def _ticks(low: float, high: float, most: int) -> list[float]:
    step = _nice_step(high - low, most)
    decimals = _decimals(step)
    return [round(count * step, decimals) + 0.0 for count in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _decimals(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _square(face: str, edge: str) -> dict[str, Any]:
    return {"marker": "s", "markersize": 9, "markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": 0.8, "linestyle": "none"}


_HOLLOW = {"marker": "o", "markersize": 7.5, "markerfacecolor": "white", "markeredgecolor": GREY, "markeredgewidth": 1.4, "linestyle": "none"}
_FILLED = {"marker": "o", "markersize": 6, "markerfacecolor": INK, "markeredgecolor": INK, "markeredgewidth": 0.5, "linestyle": "none"}


_LIMIT: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (3, 2))}


def _row_axes(axes: Axes, height: float, limits: tuple[float, float], words: Words) -> None:
    """Measure rows in points from the top, and write the numbers below them."""
    axes.set_ylim(height, 0)
    axes.set_xlim(*limits)
    axes.set_yticks([])
    positions = _ticks(*limits, 8)
    decimals = _decimals(_nice_step(limits[1] - limits[0], 8))
    axes.set_xticks(positions, [words.number(tick, decimals) for tick in positions])


def _mark(axes: Axes, value: float, level: float, reach: float, style: _Style, *, inset: float) -> None:
    """Draw one difference, or an arrow `inset` points inside the edge where it lies beyond it."""
    if math.isnan(value):
        return
    if abs(value) > _FARTHEST_SMD:
        per_point = (axes.get_xlim()[1] - axes.get_xlim()[0]) / (axes.get_position().width * _WIDTH)
        axes.plot(np.copysign(reach - inset * per_point, value), level, **{**style, "marker": ">" if value > 0 else "<"}, clip_on=False)
    else:
        axes.plot(value, level, **style, clip_on=False)


def _bin_width(score_treated: Floats, score_control: Floats, threshold: int) -> float:
    """Give the finest round width whose bars still hold, on average, twice the threshold of the smaller group."""
    both = np.concatenate([score_treated, score_control])
    most = min(max(min(len(score_treated), len(score_control)) // max(2 * threshold, 1), 5), 20)
    return min(max(_nice_step(max(float(np.ptp(both)), 0.01), most), 0.01), 0.1)


def _bars(score: Floats, weight: Floats, edges: Floats, threshold: int) -> Floats:
    """Give the share of everybody, and of the compared, in each bin; 0 where they are fewer than `threshold`; shape (2, bins)."""
    rows = []
    for inside, own in ((np.full(len(score), True), np.ones(len(score))), (weight > 0, weight)):
        people = np.histogram(score[inside], edges)[0]
        total = np.histogram(score[inside], edges, weights=own[inside])[0]
        rows.append(np.where(people >= threshold, total / max(own[inside].sum(), 1e-300), 0.0))
    return np.array(rows)


@dataclass(frozen=True, eq=False)
class _Steps:
    """One arm's curve, from 0 to where it is cut, in the study's unit of time."""

    time: Floats
    probability: Floats
    low: Floats
    high: Floats

    def since(self, start: float) -> slice:
        """Give the values from `start` on, including the one that holds there."""
        return slice(max(int(np.searchsorted(self.time, start, side="right")) - 1, 0), None)


def _steps(curves: Curves, state: str, arm: str, shown: float, unit_days: float) -> _Steps:
    table = curves.table
    if state != ANY and state not in set(table["state"]):
        raise EstimationError(f"figure: {state} is not a state of the curves; they have {', '.join(dict.fromkeys(table['state']))}")
    rows = table[(table["arm"] == arm) & (table["state"] == state)]
    seen = rows[rows["days"] / unit_days <= shown]
    time = np.append(0.0, seen["days"].to_numpy(dtype=np.float64) / unit_days)
    values = np.vstack([np.zeros(3), seen[["probability", "low", "high"]].to_numpy(dtype=np.float64)])
    drawn = np.append(time, shown) if len(time) <= _MOST_STEPS else np.linspace(0, shown, _MOST_STEPS + 1)
    return _Steps(drawn, *values[np.searchsorted(time, drawn, side="right") - 1].T)


def _arm_line(arm: str) -> dict[str, Any]:
    return {"color": LINE[arm], "linestyle": DASH[arm], "linewidth": 2.0}


def _band_line(arm: str) -> dict[str, Any]:
    return _arm_line(arm) | {"linewidth": 0.6, "linestyle": "-" if arm == "treated" else (0, (4, 2))}


def _name_style(arm: str) -> dict[str, Any]:
    return {"color": TEXT[arm], "weight": "bold", **_MASK}


def _arm_keys(words: Words) -> _Keys:
    return _flow([_Key(words.arm(arm), _arm_line(arm), TEXT[arm]) for arm in ARMS])


def _draw_arms(axes: Axes, steps: Mapping[str, _Steps], verticals: Sequence[float]) -> None:
    for position in verticals:
        axes.axvline(position, color=RULE, linewidth=0.9, linestyle=(0, (1, 2)))
    for arm, curve in steps.items():
        axes.fill_between(curve.time, curve.low, curve.high, step="post", color=LINE[arm], alpha=0.16, linewidth=0)
        before = curve.time < curve.time[-1]  # a step on the last day would be a stroke along the right edge
        for bound in (curve.low[before], curve.high[before]):
            level = np.append(bound, bound[-1:])
            axes.plot(np.append(curve.time[before], curve.time[-1:])[: len(level)], level, drawstyle="steps-post", **_band_line(arm))
    for arm, curve in steps.items():
        axes.plot(curve.time, curve.probability, drawstyle="steps-post", solid_capstyle="butt", **_arm_line(arm))
        face = LINE[arm] if arm == "treated" else "white"
        axes.plot(
            curve.time[-1:], curve.probability[-1:], "o", markersize=5.5, color=LINE[arm], markerfacecolor=face, markeredgewidth=1.6, clip_on=False
        )


def _share_ticks(highest: float, most: int) -> tuple[float, list[float]]:
    """Give the top of the axis and its ticks, for shares up to `highest`."""
    highest = max(highest, 0.01)
    step = max(_nice_step(highest, most), 0.01)
    ticks = [round(count * step, 2) for count in range(math.ceil(highest / step - 1e-9) + 1)]
    return ticks[-1], ticks


def _share_axis(axes: Axes, limit: float, ticks: Sequence[float], words: Words) -> None:
    axes.set_ylim(0, limit)
    axes.set_yticks(ticks, [words.percent(tick) for tick in ticks])
    axes.grid(axis="y")


@dataclass(frozen=True, eq=False)
class _Labels:
    """The arms' names beside their curves, as lines and first baseline below the top of the panel, and the share axis that makes room for them."""

    fit: bool
    names: dict[str, tuple[list[str], float]]
    limit: float
    ticks: list[float]


def _place_labels(steps: Mapping[str, _Steps], shown: float, time: _TimeAxis, height: float, words: Words) -> _Labels:
    """Set the upper arm's name above every curve near the end, the lower arm's below, and say whether there is room."""
    limit, ticks = _share_ticks(max(float(curve.high.max()) for curve in steps.values()), 5)
    upper, lower = sorted(ARMS, key=lambda arm: -steps[arm].probability[-1])
    lines = {arm: _wrap(words.arm(arm), 0.42 * time.scale * time.until, bold=True) for arm in ARMS}
    start = {arm: shown - (max(_text_width(line, bold=True) for line in lines[arm]) + _SWATCH + 10) / time.scale for arm in ARMS}
    highest = max(float(curve.high[curve.since(start[upper])].max()) for curve in steps.values())
    lowest = min(float(curve.low[curve.since(start[lower])].min()) for curve in steps.values())
    above, below = len(lines[upper]) * _LEADING, len(lines[lower]) * _LEADING
    roomy = max(limit, highest * height / (height - above - 6))
    names = {upper: (lines[upper], height * (1 - highest / roomy) - above + 8), lower: (lines[lower], height * (1 - lowest / roomy) + 14)}
    fit = min(start.values()) >= 0 and names[lower][1] + below - _LEADING <= height - 5
    return _Labels(fit, names, roomy if fit else limit, ticks)


@dataclass(frozen=True, eq=False)
class _TimeAxis:
    """Ticks on the time axis and, below them, how many are still under observation."""

    ticks: list[float]
    labels: list[str]
    counts: dict[str, list[str]]
    until: float
    left: float
    right: float
    words: Words

    @classmethod
    def of(cls, curves: Curves, ticks: Sequence[float], until: float, unit_days: float, words: Words, threshold: int) -> _TimeAxis:
        inside = [tick for tick in ticks if tick <= until * (1 + 1e-9)]
        people = curves.at_risk([tick * unit_days * (1 - 1e-12) for tick in inside])  # days / unit * unit may land beyond the exits of that day
        columns = [
            [words.number(tick, 0 if float(round(tick, 1)).is_integer() else 1)]
            + [f"<{threshold}" if count < threshold else words.number(int(count), 0) for count in people.iloc[:, position].loc[list(ARMS)]]
            for position, tick in enumerate(inside)
        ]
        widths = [max(map(_text_width, column)) for column in columns]
        left = max([_text_width(words.percent(1.0)) + 8, *(width / 2 for width in widths[:1])]) + _EDGE
        right = max([10.0, *(width / 2 + _EDGE for width in widths[-1:])])
        gap = (max(widths, default=0.0) + 6) * until / (_WIDTH - left - right)
        kept: list[int] = []
        for position, tick in enumerate(inside):
            if not kept or tick - inside[kept[-1]] >= gap:
                kept.append(position)
        rows = [[columns[position][row] for position in kept] for row in range(3)]
        return cls([inside[position] for position in kept], rows[0], dict(zip(ARMS, rows[1:], strict=True)), until, left, right, words)

    @property
    def scale(self) -> float:
        """Points per unit of time."""
        return (_WIDTH - self.left - self.right) / self.until

    @property
    def height(self) -> float:
        """Points from the bottom of the panel to the bottom of the page."""
        names = sum(len(_wrap(self.words.arm(arm), _TEXT_WIDTH - _SWATCH - 5)) for arm in ARMS)
        return 20 + _lines_height(self.words.time_axis) + 12 + _lines_height(self.words.at_risk) + (names + 2) * _LEADING + 4 + _EDGE

    def draw(self, sheet: _Sheet, axes: Axes, bottom: float) -> None:
        axes.set_xlim(0, self.until)
        axes.set_xticks(self.ticks, self.labels)
        sheet.paragraph(bottom + 20, self.words.time_axis, centre=self.left)
        y = bottom + 20 + _lines_height(self.words.time_axis) + 12
        sheet.paragraph(y, self.words.at_risk)
        y += _lines_height(self.words.at_risk) + 2
        for arm, counts in self.counts.items():
            lines = _wrap(self.words.arm(arm), _TEXT_WIDTH - _SWATCH - 5)
            sheet.line([_EDGE, _EDGE + _SWATCH], y + 7.2, _arm_line(arm))
            sheet.write(_EDGE + _SWATCH + 5, y + 11, *lines, style={"color": TEXT[arm]})
            y += len(lines) * _LEADING
            for tick, count in zip(self.ticks, counts, strict=True):
                sheet.write(self.left + self.scale * tick, y + 11, count, align="center")
            y += _LEADING


@dataclass(frozen=True, eq=False)
class _ForestHead:
    """The text above an interval: label from the left, numbers from the right; or label and reason, one under the other."""

    label: list[str]
    text: list[str]
    height: float

    def draw(self, sheet: _Sheet, top: float, kind: str) -> None:
        style = {**_MASK, "weight": "bold" if kind == "overall" else "normal", "color": DIFFERENCE if kind == "difference" else INK}
        sheet.write(_EDGE, top + 11, *self.label, style=style)
        if kind == "empty":
            sheet.write(_EDGE, top + 11 + len(self.label) * _LEADING, *self.text, style={**style, "color": GREY})
        elif self.text:
            sheet.write(_WIDTH - _EDGE, top + 11, *self.text, align="right", style=style)


def _forest_head(row: ForestRow) -> _ForestHead:
    if row.kind == "empty":
        label, text = _wrap(row.label, _TEXT_WIDTH), _wrap(row.text, _TEXT_WIDTH)
        return _ForestHead(label, text, (len(label) + len(text)) * _LEADING + 4)
    bold = row.kind == "overall"
    text = _wrap(row.text, 0.55 * _TEXT_WIDTH, bold=bold)
    width = _TEXT_WIDTH - 12 - max(_text_width(line, bold=bold) for line in text)
    label = _wrap(row.label, width, bold=bold)
    return _ForestHead(label, text, max(len(label), len(text)) * _LEADING + 20)


def _gap_above(before: ForestRow | None, row: ForestRow) -> float:
    if before is None:
        return 0.0
    if before.kind == "overall" or (before.kind == "difference" and row.kind != "difference"):
        return _BLOCK
    return _RULED if row.kind == "difference" and before.kind != "difference" else _NO_RULE


def _forest_range(rows: Sequence[ForestRow], reference: float) -> tuple[float, float]:
    """Hold every finite number, with room for the words on either side of no effect."""
    numbers = [number for row in rows if row.kind != "empty" for number in (row.value, row.low, row.high) if math.isfinite(number)]
    low, high = min([reference, *numbers]), max([reference, *numbers])
    span = (high - low) or 1.0
    return min(low - 0.04 * span, reference - 0.2 * span), max(high + 0.04 * span, reference + 0.2 * span)


def _draw_interval(axes: Axes, row: ForestRow, level: float, limits: tuple[float, float]) -> None:
    color = DIFFERENCE if row.kind == "difference" else INK
    ends = np.clip([row.low, row.high], *limits)
    axes.plot(ends, [level, level], color=color, linewidth=1.8, solid_capstyle="butt")
    for end, bound, marker in zip(ends, (row.low, row.high), "<>", strict=True):
        axes.plot(end, level, marker="|" if math.isfinite(bound) else marker, markersize=7, markeredgewidth=1.6, color=color, clip_on=False)
    shape = {"overall": ("D", 9.0, color), "group": ("s", 7.5, color), "difference": ("o", 8.5, "white")}[row.kind]
    axes.plot(row.value, level, marker=shape[0], markersize=shape[1], markerfacecolor=shape[2], markeredgecolor=color, markeredgewidth=1.6)
