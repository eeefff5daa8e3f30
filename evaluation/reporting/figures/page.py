"""The page every figure is drawn on: its colours, its words, and text that is measured with the font it is drawn in.

A page is one column wide and as tall as its content, laid out in points from its top left corner: no text can meet another or leave it. An arm is
told apart by colour, dash and name at once.

References
----------
Okabe & Ito (2008). Color universal design: how to make figures and presentations that are friendly to colorblind people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from matplotlib import rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Transform

INK, GREY, RULE, GRID = "#1a1a1a", "#595959", "#8c8c8c", "#dedede"
LINE = {"treated": "#0072B2", "control": "#D55E00"}
TEXT = {"treated": "#0072B2", "control": "#B04D00"}  # the vermilion of lines has contrast 3.9 against white, too little for text
TINT = {"treated": "#CFE4F1", "control": "#F9DFCC"}
DASH: dict[str, Any] = {"treated": "-", "control": (0, (4.5, 2))}
DIFFERENCE = "#8E3B6D"

WIDTH, EDGE = 374.4, 4.0  # points, as every measure here: 5.2 inches, and the margin on either side
TEXT_WIDTH = WIDTH - 2 * EDGE
LEADING = 14.0  # from line to line
SWATCH = 20.0  # a piece of line in a key
_SIZE = 10.5
_TICK = 3.5  # long, and from its end to its number
Style = Mapping[str, Any]
_Align = Literal["left", "center", "right"]
MASK: dict[str, Any] = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5}}  # keeps lines from running through words
_FONT = "DejaVu Sans"  # comes with matplotlib, so that a figure is the same bytes on every machine
STYLE: dict[Any, Any] = {
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
    "xtick.major.size": _TICK,
    "xtick.major.pad": _TICK,
    "ytick.major.pad": _TICK,
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


@dataclass(frozen=True, eq=False)
class Sheet:
    """A page measured in points from its top left corner: a figure of its own, or laid as large as it fits over axes that somebody gives.

    Attributes
    ----------
    canvas : Figure or Axes
        What it is drawn on.
    height : float
        Points.
    left : float
        Where it begins, as a share of the canvas's width.
    point : (float, float)
        What one point takes, as shares of the canvas's width and height.
    scale : float
        How much larger or smaller than by itself: texts follow it, so that none meets another.
    """

    canvas: Figure | Axes
    height: float
    left: float
    point: tuple[float, float]
    scale: float

    @classmethod
    def of(cls, height: float, ax: Axes | None = None) -> Sheet:
        """Take an empty page so tall; on `ax`, which shows nothing else from then on, if it is given."""
        if ax is None:
            return cls(Figure(figsize=(WIDTH / 72, height / 72)), height, 0.0, (1 / WIDTH, 1 / height), 1.0)
        ax.set_axis_off()
        dots = ax.figure.figure.dpi  # of the whole figure, where the axes stand in a part of it
        room = ax.bbox.width * 72 / dots, ax.bbox.height * 72 / dots
        scale = min(room[0] / WIDTH, room[1] / height)
        return cls(ax, height, (1 - scale * WIDTH / room[0]) / 2, (scale / room[0], scale / room[1]), scale)

    def finished(self) -> Figure:
        """Give the figure that it is part of, with lines and marks as large as the page."""
        if isinstance(self.canvas, Figure):
            return self.canvas
        for axes in (self.canvas, *self.canvas.child_axes):
            drawings: list[Any] = [*axes.lines, *axes.patches, *axes.collections]
            for drawn in drawings:
                drawn.set_linewidth(np.multiply(drawn.get_linewidth(), self.scale))
            for line in axes.lines:
                line.set_markersize(line.get_markersize() * self.scale)
                line.set_markeredgewidth(line.get_markeredgewidth() * self.scale)
        return self.canvas.figure.figure

    def panel(self, top: float, height: float, left: float, right: float) -> Axes:
        """Give axes in that part of the page; `left` and `right` are margins."""
        x, y = self._place(left, top + height)
        box = x, y, (WIDTH - left - right) * self.point[0], height * self.point[1]
        if isinstance(self.canvas, Figure):
            return self.canvas.add_axes(box)
        panel = self.canvas.inset_axes(box, zorder=0)  # below what is written on the page
        panel.tick_params(labelsize=_SIZE * self.scale, pad=_TICK * self.scale)
        panel.tick_params(axis="x", length=_TICK * self.scale)
        return panel

    def write(self, x: float, baseline: float, *lines: str, align: _Align = "left", style: Style = MappingProxyType({})) -> None:
        """Write lines, the first on `baseline`."""
        looks = {"fontsize": _SIZE * self.scale, "transform": self._whole, "horizontalalignment": align, "verticalalignment": "baseline", **style}
        for number, line in enumerate(lines):
            self.canvas.text(*self._place(x, baseline + number * LEADING), line, **looks)

    @property
    def _whole(self) -> Transform:
        return self.canvas.transFigure if isinstance(self.canvas, Figure) else self.canvas.transAxes

    def _place(self, x: float, y: float) -> tuple[float, float]:
        """Say where on the canvas a point of the page lies."""
        return self.left + x * self.point[0], 1 - y * self.point[1]

    def paragraph(self, top: float, text: str, *, centre: float | None = None, right: float = 0.0) -> None:
        """Write text as wide as the page: from the left, or in the middle between the margins `centre` and `right`, as far as it fits there."""
        lines = wrap(text, TEXT_WIDTH)
        if centre is None:
            self.write(EDGE, top + 11, *lines)
        else:
            half = max(map(text_width, lines)) / 2
            middle = min(max((centre + WIDTH - right) / 2, EDGE + half), WIDTH - EDGE - half)
            self.write(middle, top + 11, *lines, align="center")

    def segment(self, start: tuple[float, float], stop: tuple[float, float], style: Style) -> None:
        """Draw a line from one place to another, each as right and down."""
        ends = np.array([self._place(*start), self._place(*stop)])
        self.canvas.add_artist(Line2D(ends[:, 0], ends[:, 1], transform=self._whole, **style))

    def arrow(self, x: float, top: float, bottom: float, style: Style) -> None:
        """Draw an arrow down."""
        self.segment((x, top), (x, bottom - 1), style)
        for side in (-4, 4):
            self.segment((x + side, bottom - 6), (x, bottom - 1), style)

    def box(self, left: float, top: float, width: float, height: float, style: Style) -> None:
        """Draw a rectangle."""
        corner = self._place(left, top + height)
        self.canvas.add_artist(Rectangle(corner, width * self.point[0], height * self.point[1], transform=self._whole, **style))

    def line(self, x: Sequence[float], y: float, style: Style) -> None:
        """Draw a level line, or a mark where `x` is one position."""
        places = np.array([self._place(each, y) for each in x])
        self.canvas.add_artist(Line2D(places[:, 0], places[:, 1], transform=self._whole, **style))


@dataclass(frozen=True, eq=False)
class Key:
    """What a mark means."""

    text: str
    style: Style
    color: str = INK

    @property
    def width(self) -> float:
        """Points the mark takes."""
        return 10.0 if "marker" in self.style else SWATCH


@dataclass(frozen=True, eq=False)
class Keys:
    """Keys set one after another, as words in a line; `places` has key, its lines, left and top."""

    places: tuple[tuple[Key, list[str], float, float], ...]
    height: float

    def draw(self, sheet: Sheet, top: float) -> None:
        """Draw them from `top` down."""
        for key, lines, x, y in self.places:
            sheet.line([x + key.width / 2] if "marker" in key.style else [x, x + key.width], top + y + 7.2, key.style)
            sheet.write(x + key.width + 5, top + y + 11, *lines, style={"color": key.color})


def flow(keys: Sequence[Key]) -> Keys:
    """Set keys one after another, on as many lines as they need."""
    places, x, y, tallest = [], EDGE, 0.0, 0
    for key in keys:
        lines = wrap(key.text, TEXT_WIDTH - key.width - 5)
        width = key.width + 5 + max(map(text_width, lines))
        if x > EDGE and x + width > WIDTH - EDGE:
            x, y, tallest = EDGE, y + tallest * (LEADING + 1), 0
        places.append((key, lines, x, y))
        x, tallest = x + width + 14, max(tallest, len(lines))
    return Keys(tuple(places), y + tallest * (LEADING + 1))


@lru_cache(maxsize=4096)
def text_width(text: str, *, bold: bool = False) -> float:
    """Measure a line in points."""
    font = FontProperties(family=_FONT, size=_SIZE, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def wrap(text: str, width: float, *, bold: bool = False) -> list[str]:
    """Break text into lines no wider than `width`, at spaces, or inside a word that is wider than a line."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if text_width(longer, bold=bold) <= width:
            lines[-1] = longer
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while text_width(lines[-1], bold=bold) > width and len(lines[-1]) > 1:
            whole = lines[-1]
            fits = next(count for count in range(len(whole) - 1, 0, -1) if count == 1 or text_width(whole[:count], bold=bold) <= width)
            lines[-1:] = [whole[:fits], whole[fits:]]
    return lines


def lines_height(text: str) -> float:
    """Give the height of text as wide as the page."""
    return len(wrap(text, TEXT_WIDTH)) * LEADING


def name_style(arm: str) -> dict[str, Any]:
    """Write an arm's name in its colour."""
    return {"color": TEXT[arm], "weight": "bold", **MASK}
