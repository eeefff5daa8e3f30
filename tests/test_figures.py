"""Every figure is drawn and its texts are measured: none meets another, none leaves the page."""

import ast
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from lxml import etree
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path as DrawnPath
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from evaluation.analysis.curves import ARMS, Curves, estimate_curves
from evaluation.errors import EstimationError
from evaluation.reporting import figures
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.figures import (
    DesignRow,
    FlowStep,
    ForestRow,
    LimitRow,
    ProbeRow,
    Words,
    draw_curves,
    draw_designs,
    draw_flow,
    draw_forest,
    draw_limits,
    draw_love,
    draw_overlap,
    draw_points,
    draw_sensitivity,
    draw_shares,
    draw_states,
    draw_tipping,
    page,
    shown_until,
    svg_text,
)
from evaluation.reporting.figures.love import draw_love_panels
from evaluation.reporting.figures.overlap import draw_preference
from evaluation.reporting.figures.shares import AREAS, spread_apart
from evaluation.reporting.overlap import bin_overlap

LONG = [
    "Söker heltid vid första intervjun",
    "Orsak till arbetslösheten: åter på arbetsmarknaden",
    "Arbetsmarknadspolitiska introduktionsinsatser för nyanlända, tidigare deltagare: uppgift saknas",
]
NOTHING = float("nan")


def number(value, decimals):
    return f"{value:,.{decimals}f}".replace(",", "\u00a0").replace(".", ",").replace("-", "−")


SWEDISH = Words(
    treated="De som sökte via arbetsförmedlingen",
    control="Jämförelsegruppen",
    everybody="Alla i gruppen",
    compared="De som jämförs efter matchningen",
    score_axis="Skattad sannolikhet att söka via den offentliga arbetsförmedlingen under arbetslösheten",
    group_share_axis="Andel av gruppen",
    before="Före matchning",
    after="Efter matchning",
    limit="gräns enligt planen, ±0,1",
    smd_axis="Skillnad mellan grupperna, i standardavvikelser bland dem som sökte via arbetsförmedlingen",
    share_axis="Andel som har lämnat arbetslösheten till arbete eller reguljära studier",
    time_axis="Veckor sedan arbetslösheten började",
    at_risk="Antal kvar under observation",
    difference_axis="Skillnad i andel som har lämnat arbetslösheten",
    fewer="färre har lämnat arbetslösheten",
    more="fler har lämnat arbetslösheten",
    percent=lambda share: f"{number(100 * share, 0)}\u00a0%",
    number=number,
)


def make_curves(treated, control, states=("any",)):
    """Everybody leaves on the given day, by turns to each state; the interval is a tenth on either side."""
    parts, followed = [], {}
    for arm, days in zip(ARMS, (treated, control), strict=True):
        followed[arm] = np.sort(np.asarray(days, dtype=float))
        times, count = np.unique(followed[arm], return_counts=True)
        for position, state in enumerate(states):
            share = np.cumsum(np.where(np.arange(len(times)) % len(states) == position, count, 0)) / len(days)
            part = {"arm": arm, "state": state, "days": times, "probability": share}
            parts.append(pd.DataFrame(part).assign(low=(share - 0.1).clip(min=0), high=(share + 0.1).clip(max=1)))
    return Curves(pd.concat(parts, ignore_index=True), 0.95, followed, np.inf)


def make_row(position):
    kind = ("overall", "group", "group", "empty", "difference")[position % 5]
    middle = 7.0 * position - 20
    text = "färre än 10 personer i någon av grupperna, därför visas ingen skillnad" if kind == "empty" else "+4,2 (−1,0 till 9,4)"
    return ForestRow(LONG[position % 3], middle, middle - 11, middle + 13, kind, text)


def love_table(rows):
    return pd.DataFrame(
        {"label": [LONG[row % 3] for row in range(rows)], "smd_before": np.linspace(-0.7, 3, rows), "smd_after": np.linspace(0, 0.1, rows)}
    )


def overlap(people=400, ax=None):
    draws = np.random.default_rng(7).beta([[4], [3]], [[3], [4]], (2, people))
    return draw_overlap(bin_overlap(*draws, *(draws > 0.4).astype(float), gate=Gate(10)), words=SWEDISH, ax=ax)


def preference(people=400, words=SWEDISH, axis=None, band="Båda sidorna var verkliga möjligheter: 71 % av alla"):
    draws = np.random.default_rng(7).beta([[4], [3]], [[3], [4]], (2, people))
    axis = axis or "Preferenspoäng: benägenheten att delta när det har räknats bort hur vanligt det är att delta"
    return draw_preference(*draws, axis=axis, band=band, words=words, gate=Gate(10))


def make_step(position):
    """By turns a step of both sides, of the participants and of the pool; the first has nobody left out."""
    sides = (ARMS, ARMS[:1], ARMS[1:])[position % 3]
    people = {arm: number(40_000 - 900 * position, 0) for arm in sides}
    return FlowStep(LONG[position % 3], people, dict.fromkeys(sides, "900 ingår inte") if position else {}, strong=position % 2 == 1)


def stacked(groups, last):
    """Move everybody from the last group to the others, evenly, over 24 months; at the end `last` are left."""
    moved = (1 - last) * np.arange(25) / 24
    return np.column_stack([np.repeat(moved[:, None] / (groups - 1), groups - 1, axis=1), 1 - moved])


def make_shares(groups, last=0.3, ax=None):
    shares = {"treated": stacked(groups, last), "control": stacked(groups, 1 - last)}
    labels = ["Öppet arbetslös, deltid eller förhinder", "Nystartsjobb", "Arbetsmarknadspolitiskt introduktionsprogram"]
    return draw_shares(shares, [labels[group % 3] for group in range(groups)], months=range(25), ticks=[0, 6, 12, 18, 24], words=SWEDISH, ax=ax)


def make_points(rows, ax=None):
    times = [6, 12, 18, 24, 36][:rows]
    points = [ForestRow(str(time), time - 15, time - 18, time - 12, "empty" if time == 12 else "difference") for time in times]
    return draw_points(points, times, words=SWEDISH, ax=ax)


def make_sensitivity(rows):
    lines = [ProbeRow(f"Tappad kontakt: räknat på ett annat sätt, {row}", 9 - row, 6 - row, 12 - row / 2, f"{9 - row:+d},0") for row in range(rows)]
    return draw_sensitivity(ProbeRow("Planens svar", 9, 7, 11, "+9,0"), lines, words=SWEDISH)


def make_tipping(difference, lost, ax=None):
    share = np.linspace(0, 1, 21)
    tip = [difference / lost + share + shift for shift in (0, -0.1, 0.1)]
    columns = {"control_share": tip[0], "control_low": tip[1], "control_high": tip[2]}
    line = pd.DataFrame(columns).where(lambda values: (values >= 0) & (values <= 1)).assign(treated_share=share)
    names = ("Andel som fått arbete bland de tappade: deltagarna", "Andel som fått arbete bland de tappade: jämförelsegruppen", "45 % i båda")
    sides = ("fler av deltagarna får arbete", "fler av jämförelsegruppen får arbete")
    return draw_tipping(line, usual=0.45, sides=sides, names=names, words=SWEDISH, ax=ax)


LIMITS = {"sides": ("klarar inte kravet", "klarar det med marginal"), "words": SWEDISH}
PIXEL = 0.5  # of 144 per inch: letters are set on a grid of pixels
PART_KINDS = ("overall", "part", "part", "empty", "part")
WEEKS = {"unit_days": 7.0, "until_days": 364.0, "words": SWEDISH, "gate": Gate(10)}
MANY = make_curves(np.arange(1, 1501) / 3, np.arange(1, 1201) / 2, ("any", "work", "study"))
STATES = [("work", "Arbete utan stöd, eller eget företag: den första anställningen som varar"), ("study", "Reguljära studier"), ("any", "Alla")]
FIGURES = {
    "overlap": overlap,
    "overlap of few": lambda: overlap(people=8),
    "preference": preference,
    "preference of few": lambda: preference(people=8),
    "preference in English": lambda: preference(words=ENGLISH, axis="Preference score", band="Either side was a real possibility: 71% of everybody"),
    "curves": lambda: draw_curves(MANY, "any", ticks=[0, 13, 26, 39, 52], verticals=[26], **WEEKS),
    "curves with dense ticks": lambda: draw_curves(MANY, "any", ticks=range(53), **WEEKS),
    "curves without ticks": lambda: draw_curves(MANY, "any", ticks=[], **WEEKS),
    "curves of few": lambda: draw_curves(make_curves([5, 9], [3]), "any", ticks=[0, 26, 52], **WEEKS),
    "one state": lambda: draw_states(MANY, STATES[:1], ticks=[0, 13, 26, 39, 52], **WEEKS),
    "states": lambda: draw_states(MANY, STATES, ticks=[0, 6, 10, 14, 52], verticals=[26], **WEEKS),
    **{f"flow {steps}": lambda steps=steps: draw_flow([make_step(position) for position in range(steps)], words=SWEDISH) for steps in (1, 2, 3, 9)},
    **{f"shares {groups}": lambda groups=groups: make_shares(groups) for groups in (2, 5, 8)},
    "shares that end in nothing": lambda: make_shares(8, last=1.0),
    **{f"points {rows}": lambda rows=rows: make_points(rows) for rows in (1, 3, 5)},
    "parts": lambda: draw_forest([replace(make_row(place), kind=kind) for place, kind in enumerate(PART_KINDS)], words=SWEDISH),
    **{f"sensitivity {rows}": lambda rows=rows: make_sensitivity(rows) for rows in (1, 5, 45)},
    "tipping": lambda: make_tipping(0.2, 0.3),
    "tipping far away": lambda: make_tipping(0.3, 0.1),
    "limits": lambda: draw_limits(
        [LimitRow(LONG[row % 3], "5,6 procentenheter, högst 20,0 procentenheter", 2.0, True) for row in range(5)], **LIMITS
    ),
    "designs": lambda: draw_designs([DesignRow(LONG[row], LONG[row], 0.1 * row, 0.2) for row in range(3)], limit=0.1, keys=("a", "b"), words=SWEDISH),
    "panels": lambda: draw_love_panels(pd.concat([love_table(5)[2:].assign(panel=panel) for panel in "ab"]), limit=0.1, words=SWEDISH),
    **{f"love {rows}": lambda rows=rows: draw_love(love_table(rows), limit=0.1, words=SWEDISH) for rows in range(1, 13)},
    **{
        f"forest {rows}": lambda rows=rows: draw_forest([make_row(position) for position in range(rows)], words=SWEDISH, unit="procentenheter")
        for rows in range(1, 13)
    },
}


WEEKLY = [0, 13, 26, 39, 52]
ON_AXES = {
    "curves": lambda ax: draw_curves(MANY, "any", ticks=WEEKLY, verticals=[26], ax=ax, **WEEKS),
    "states": lambda ax: draw_states(MANY, STATES, ticks=WEEKLY, ax=ax, **WEEKS),
    "love 12": lambda ax: draw_love(love_table(12), limit=0.1, words=SWEDISH, ax=ax),
    "forest 5": lambda ax: draw_forest([make_row(position) for position in range(5)], words=SWEDISH, unit="procentenheter", ax=ax),
    "flow 9": lambda ax: draw_flow([make_step(position) for position in range(9)], words=SWEDISH, ax=ax),
    "shares 5": lambda ax: make_shares(5, ax=ax),
    "tipping": lambda ax: make_tipping(0.2, 0.3, ax=ax),
    "points 5": lambda ax: make_points(5, ax=ax),
    "panels": lambda ax: draw_love_panels(love_table(5)[2:].assign(panel="a"), limit=0.1, words=SWEDISH, ax=ax),
    "overlap": lambda ax: overlap(ax=ax),
}


def texts(figure):
    """Give the texts in reading order: as one string, and where each stands."""
    figure.dpi = 144
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return sorted(
        ((text.get_text(), text.get_window_extent(canvas.get_renderer()), text) for text in found), key=lambda item: (-item[1].y0, item[1].x0)
    )


def read(figure):
    return " ".join(text for text, _, _ in texts(figure))


def stepped(line):
    """Give a drawn step line as a path in pixels."""
    x, y = np.repeat(line.get_xdata(), 2)[1:], np.repeat(line.get_ydata(), 2)[:-1]
    return DrawnPath(line.axes.transData.transform(np.column_stack([x, y])))


@pytest.mark.property
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_meets_another_leaves_the_page_or_is_too_small(name):
    figure = FIGURES[name]()
    placed = texts(figure)
    page = figure.bbox
    assert [text for text, box, _ in placed if box.x0 < 0 or box.y0 < 0 or box.x1 > page.x1 or box.y1 > page.y1] == []
    assert [(one, other) for (one, box, _), (other, second, _) in combinations(placed, 2) if box.overlaps(second)] == []
    assert figure.get_figwidth() == pytest.approx(5.2)
    assert min(text.get_fontsize() for _, _, text in placed) >= 9.5


def lines_of_rows(figure):
    """Give the upright lines that stand beside rows, as pixel boxes."""
    found = []
    for axes in figure.axes:
        for marks in (collection for collection in axes.collections if isinstance(collection, LineCollection)):
            ends = [axes.transData.transform(segment) for segment in marks.get_segments()]
            found += [Bbox([stroke.min(axis=0) - 0.5, stroke.max(axis=0) + 0.5]) for stroke in ends]
    return found


@pytest.mark.property
@pytest.mark.parametrize("name", [name for name in FIGURES if name.startswith(("forest", "parts", "limits", "designs", "panels"))])
def test_no_line_beside_rows_runs_through_words(name):
    figure = FIGURES[name]()
    placed, lines = texts(figure), lines_of_rows(figure)
    assert [text for text, box, _ in placed if any(line.overlaps(box) for line in lines)] == []
    assert lines or name == "forest 0"


@pytest.mark.parametrize(("name", "size"), [*((name, (3.0, 4.0)) for name in ON_AXES), ("curves", (11.0, 6.0))])
def test_a_figure_drawn_over_given_axes_stays_within_them_and_leaves_the_rest_alone(name, size):
    whole = Figure(figsize=size)
    given, other = whole.subplots(1, 2)
    other.plot([0, 1], [2, 3])
    before = len(plt.get_fignums()), other.get_xlim(), len(other.get_children()), list(whole.axes)
    assert ON_AXES[name](given) is whole
    assert (len(plt.get_fignums()), other.get_xlim(), len(other.get_children()), list(whole.axes)) == before
    elsewhere = other.findobj(Text)
    placed = [(text, box) for text, box, drawn in texts(whole) if drawn not in elsewhere]
    room = given.bbox.padded(1)
    assert [text for text, box in placed if box.x0 < room.x0 or box.y0 < room.y0 or box.x1 > room.x1 or box.y1 > room.y1] == []
    assert placed


@pytest.mark.property
@pytest.mark.parametrize("name", ["curves", "love 12", "forest 5"])
def test_a_figure_over_axes_of_its_own_size_has_its_texts_where_it_has_them_alone(name):
    alone = FIGURES[name]()
    whole = Figure(figsize=alone.get_size_inches())
    ON_AXES[name](whole.add_axes((0, 0, 1, 1)))
    for (text, box, _), (same, there, _) in zip(texts(alone), texts(whole), strict=True):
        assert text == same
        np.testing.assert_allclose(there.bounds, box.bounds, atol=PIXEL)


def test_both_sides_of_the_flow_go_on_beside_each_other_and_meet_in_a_common_step():
    one, other = {"treated": "9"}, {"control": "9"}
    steps = [FlowStep(name, side, {}) for name, side in (("a", other), ("b", other), ("c", one), ("d", one), ("e", {**one, **other}))]
    top = {text: box.y1 for text, box, _ in texts(draw_flow(steps, words=SWEDISH)) if text in "abcde"}
    assert top["a"] == pytest.approx(top["c"])
    assert top["b"] == pytest.approx(top["d"])
    assert top["e"] < top["b"]


@pytest.mark.property
@pytest.mark.parametrize("seed", range(8))
def test_names_beside_the_curves_touch_no_curve_and_no_band(seed, random_study):
    study = random_study(seed, ties=False, people=90)
    curves = estimate_curves(study.cohort, study.comparison, study.follow_up)
    until = float(np.quantile(study.follow_up.days, 0.8))
    figure = draw_curves(curves, "any", unit_days=1, until_days=until, ticks=[0, 10, 20], words=SWEDISH, gate=Gate(3))
    names = [box for _, box, text in texts(figure) if text.get_weight() == "bold"]
    lines = [stepped(line) for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert len(lines) == 6  # two curves, and the two edges of either band
    assert not any(line.intersects_bbox(box, filled=False) for line in lines for box in names)


@pytest.mark.hand
def test_the_curves_end_on_the_last_day_with_enough_people_in_both_arms():
    curves = make_curves(treated=range(1, 13), control=range(2, 13))
    assert shown_until(curves, threshold=10, until_days=30) == 3  # 10 of 12 treated and 10 of 11 controls are still there on day 3; 9 on day 4
    assert shown_until(curves, threshold=10, until_days=2) == 2
    assert shown_until(curves, threshold=12, until_days=30) == 0  # there were never 12 controls
    assert shown_until(curves, threshold=0, until_days=30) == 30


@pytest.mark.property
@pytest.mark.parametrize("threshold", [1, 3, 7])
def test_nobody_is_shown_below_the_threshold_and_nobody_hidden_above_it(threshold, random_study):
    study = random_study(threshold, ties=True)
    curves = estimate_curves(study.cohort, study.comparison, study.follow_up)
    last = shown_until(curves, threshold, until_days=1e9)
    assert curves.at_risk([last]).to_numpy().min() >= threshold > curves.at_risk([last + 1e-6]).to_numpy().min()


@pytest.mark.hand
def test_the_drawn_curve_holds_the_table_up_to_the_cut_and_nothing_after():
    curves = make_curves(treated=range(7, 35, 7), control=[7, 7, 14, 28])
    figure = draw_curves(curves, "any", unit_days=7, until_days=35, ticks=[0, 5], words=SWEDISH, gate=Gate(2))
    treated, control = (line for line in figure.axes[0].lines if line.get_linewidth() == 2)
    assert treated.get_xdata().tolist() == [0, 1, 2, 2]  # on day 14 both arms have 2 or more, on day 15 one control
    assert treated.get_ydata().tolist() == [0, 1 / 4, 2 / 4, 2 / 4]
    assert control.get_ydata().tolist() == [0, 2 / 4, 3 / 4, 3 / 4]


@pytest.mark.hand
def test_numbers_under_observation_are_those_just_before_the_tick_few_are_not_counted_out_and_nobody_is_not_few():
    curves = make_curves(treated=[7] * 1200 + [14] * 30 + [21] * 10, control=[7] * 3 + [14] * 9)
    figure = draw_curves(curves, "any", unit_days=7, until_days=28, ticks=[0, 1, 2, 3, 4], words=SWEDISH, gate=Gate(10))
    assert read(figure).endswith("1\u00a0240 1\u00a0240 40 10 0 Jämförelsegruppen 12 12 <10 0 0")


@pytest.mark.hand
def test_a_tick_that_is_no_whole_month_counts_those_who_leave_on_that_very_day():
    month = 30.4375
    assert 123 / month * month > 123  # so there and back is beyond the day
    curves = make_curves(treated=[100] * 3 + [123] * 20 + [200] * 5, control=[123] * 9 + [200] * 8)
    figure = draw_curves(curves, "any", unit_days=month, until_days=8 * month, ticks=[0, 123 / month, 8], words=SWEDISH, gate=Gate(2))
    assert read(figure).endswith("28 25 0 Jämförelsegruppen 17 17 0")


@pytest.mark.property
def test_a_curve_of_many_days_is_drawn_in_fewer_steps_that_never_run_ahead_of_it():
    curves = make_curves(np.arange(1, 1001) / 2, np.arange(1, 1001) / 2)
    line = next(line for line in draw_curves(curves, "any", ticks=[0], **WEEKS).axes[0].lines if line.get_linewidth() == 2)
    days = np.arange(728) / 2
    drawn = line.get_ydata()[np.searchsorted(line.get_xdata(), days / 7, side="right") - 1]
    behind = np.floor(days * 2) / 1000 - drawn
    assert len(line.get_xdata()) <= 151
    assert line.get_ydata()[-1] == 364 * 2 / 1000
    assert behind.min() >= 0
    assert behind.max() < (364 / 150 + 0.5) * 2 / 1000


def test_names_stand_above_the_panel_where_the_curves_leave_no_room():
    figure = draw_curves(make_curves([1] * 40, [2] * 40), "any", unit_days=1, until_days=40, ticks=[0, 40], words=SWEDISH, gate=Gate(10))
    assert not any(text.get_weight() == "bold" for _, _, text in texts(figure))
    assert read(figure).count(SWEDISH.control) == 2  # key and numbers under observation


def test_states_share_one_scale():
    assert len({axes.get_ylim() for axes in FIGURES["states"]().axes}) == 1


def test_an_unknown_state_is_named_with_those_there_are():
    with pytest.raises(EstimationError, match="leisure is not a state of the curves; they have any, work, study"):
        draw_curves(MANY, "leisure", ticks=[0], **WEEKS)


@pytest.mark.hand
def test_bars_are_shares_of_their_group_and_bars_of_few_are_nothing():
    treated, control = np.repeat([0.15, 0.25, 0.35], [3, 10, 7]), np.repeat([0.15, 0.25], [12, 8])
    bins = bin_overlap(treated, control, np.ones(20), np.repeat([1.0, 0.0, 3.0], [6, 6, 8]), gate=Gate(5))
    figure = draw_overlap(bins, words=SWEDISH)
    heights = [round(float(bar.get_height()), 6) for bar in figure.axes[0].patches]
    # everybody and compared, treated and control; beside the bin of 3 the one of 7, for the three bins make a whole
    assert heights == [10 / 20, 10 / 20, -12 / 20, -8 / 20, -6 / 30, -24 / 30]


@pytest.mark.hand
def test_preferences_are_shares_of_their_group_over_the_band_of_equipoise_and_shares_of_few_are_nothing():
    treated, control = np.repeat([0.15, 0.25, 0.35], [3, 10, 7]), np.repeat([0.15, 0.25], [12, 8])
    (axes,) = draw_preference(treated, control, axis="", band="", words=SWEDISH, gate=Gate(5)).axes
    band, *drawn = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.3, 0.7))
    heights = [[round(float(share), 6) for share in line.get_data().values if share == share] for line in drawn[1::2]]
    # of the treated the bin of 3 is hidden, and with it that of 7, for the three bins make a whole
    assert heights == [[10 / 20], [12 / 20, 8 / 20]]
    assert axes.get_xlim() == (0, 1)


@pytest.mark.hand
def test_bins_of_few_are_hidden_empty_ones_are_not_and_those_with_nothing_to_show_are_cut_off():
    treated, control = np.repeat([0.05, 0.15, 0.25, 0.35], [2, 10, 4, 4]), np.repeat([0.15, 0.35], [14, 6])
    bins = bin_overlap(treated, control, np.ones(20), np.repeat([1.0, 0.0, 3.0], [7, 7, 6]), gate=Gate(5))
    np.testing.assert_array_equal(bins.edges, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(bins.everybody["treated"], [10 / 20, NOTHING, NOTHING])
    np.testing.assert_array_equal(bins.everybody["control"], [14 / 20, 0, 6 / 20])
    np.testing.assert_array_equal(bins.compared["control"], [7 / 25, 0, 18 / 25])


@pytest.mark.hand
@pytest.mark.parametrize(("people", "width"), [(2000, 0.01), (200, 0.02), (100, 0.05), (40, 0.05), (8, 0.05)])
def test_bins_are_as_fine_as_the_smaller_group_allows(people, width):
    score = np.linspace(0.205, 0.395, people)
    bins = bin_overlap(score, np.repeat(score, 2), np.ones(people), np.ones(2 * people), gate=Gate(10))
    np.testing.assert_allclose(np.diff(bins.edges), width, rtol=1e-9)


@pytest.mark.property
@pytest.mark.parametrize("seed", range(8))
def test_with_nothing_hidden_the_bins_hold_everybody(seed):
    random = np.random.default_rng(seed)
    scores, weights = random.beta(2, 3, (2, 60)).round(2), random.integers(0, 3, (2, 60)).astype(float)
    bins = bin_overlap(*scores, *weights, gate=Gate(0))
    assert [shares.sum() for shares in (*bins.everybody.values(), *bins.compared.values())] == pytest.approx([1, 1, 1, 1], abs=1e-12)
    assert bins.edges[0] <= scores.min() < bins.edges[1]
    assert bins.edges[-2] <= scores.max() <= bins.edges[-1]


def test_the_farthest_apart_stand_first_and_the_infinite_become_arrows_at_the_edge():
    table = pd.DataFrame({"label": ["near", "never", "far"], "smd_before": [0.2, np.inf, -2.5], "smd_after": [0.0, -0.1, NOTHING]})
    figure = draw_love(table, limit=0.1, words=SWEDISH)
    assert [text for text, _, _ in texts(figure) if text in set(table["label"])] == ["never", "far", "near"]
    arrows = {line.get_marker(): line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() in "<>"}
    assert arrows == {">": 0.2, "<": -0.2}  # the edges: the largest finite difference


def test_an_empty_row_gives_its_reason_and_no_mark():
    row = ForestRow("Kvinnor", NOTHING, NOTHING, NOTHING, "empty", "färre än 10 personer")
    figure = draw_forest([row], words=SWEDISH)
    assert read(figure).startswith("Kvinnor färre än 10 personer")
    assert len(figure.axes[0].lines) == 0


def test_an_endless_interval_ends_in_an_arrow():
    figure = draw_forest([ForestRow("Män", 2, -np.inf, 5, "group", "2")], words=SWEDISH)
    assert [line.get_marker() for line in figure.axes[0].lines if line.get_marker() in tuple("<|>")] == ["<", "|"]


@pytest.mark.hand
def test_a_part_is_a_bar_from_no_effect_to_its_value():
    figure = draw_forest([ForestRow("Nystartsjobb", 3, 1, 5, "part", "+3,0 (+1,0 till +5,0)")], words=SWEDISH)
    (bar,) = [line for line in figure.axes[0].lines if line.get_linewidth() > 5]
    assert list(bar.get_xdata()) == [0, 3]


@pytest.mark.hand
def test_areas_are_stacked_to_the_whole_in_colours_of_their_own():
    figure = make_shares(4)
    assert len(set(AREAS)) == 8
    for axes, last in zip(figure.axes, (0.3, 0.7), strict=True):
        tops = [float(area.get_paths()[0].vertices[:, 1].max()) for area in axes.collections]
        assert tops == pytest.approx([(1 - last) / 3, 2 * (1 - last) / 3, 1 - last, 1])
        assert len({tuple(area.get_facecolor()[0]) for area in axes.collections}) == 4


@pytest.mark.property
@pytest.mark.parametrize("seed", range(8))
def test_names_beside_areas_are_moved_apart_and_stay_in_the_panel(seed):
    random = np.random.default_rng(seed)
    height = random.choice([14.0, 28.0], 8)
    wished = np.sort(random.uniform(0, 232, 8))[::-1]
    place = spread_apart(wished, height, 232.0)
    assert (place - height / 2).min() >= -1e-9
    assert (place + height / 2).max() <= 232 + 1e-9
    assert all(lower - upper >= (one + other) / 2 - 1e-9 for lower, upper, one, other in zip(place, place[1:], height, height[1:], strict=False))
    roomy = np.linspace(220, 12, 8)
    np.testing.assert_array_equal(spread_apart(roomy, np.full(8, 14.0), 232.0), roomy)


@pytest.mark.hand
def test_points_stand_at_their_time_with_their_interval_and_the_empty_are_left_out():
    axes = make_points(5).axes[0]
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "o"]
    assert marks == [(time, time - 15) for time in (6, 18, 24, 36)]
    bars = [tuple(line.get_ydata()) for line in axes.lines if line.get_marker() == "_"]
    assert bars == [(time - 18, time - 12) for time in (6, 18, 24, 36)]


def as_svg(name, drawn="curves"):
    return svg_text(FIGURES[drawn](), name=name, title='Vägen till arbete & "studier"', description="Andel <50 %> efter ett år")


@pytest.mark.property
def test_the_same_figure_gives_the_same_bytes():
    assert as_svg("one") == as_svg("one")


@pytest.mark.property
@pytest.mark.parametrize("drawn", ["overlap", "curves", "states", "love 12", "forest 12"])
def test_an_svg_is_small_and_tells_nothing_of_where_it_was_made(drawn):
    text = as_svg("one", drawn)
    assert len(text.encode()) < 120_000
    assert not any(trace in text for trace in ("<?xml", "<!", "<metadata", "<style", "style=", "<text", "matplotlib", "date"))


def test_an_svg_is_an_image_with_a_title_and_a_description():
    root = etree.fromstring(as_svg("one"))
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert root.get("role") == "img"
    assert root.get("viewBox").startswith("0 0 374.4 ")
    assert root.get("width") is None
    said = [root.find(f".//*[@id='{name}']") for name in root.get("aria-labelledby").split()]
    assert [element.text for element in said] == ['Vägen till arbete & "studier"', "Andel <50 %> efter ett år"]
    assert said == [root.find("svg:title", space), root.find("svg:desc", space)]


@pytest.mark.property
def test_two_figures_on_one_page_share_no_id_and_every_reference_is_found():
    page = etree.fromstring(f"<main>{as_svg('one')}{as_svg('two')}</main>")
    ids = page.xpath("//@id")
    assert len(set(ids)) == len(ids)
    referred = [value.strip("url()#") for value in page.xpath("//@href | //@clip-path")]
    assert set(referred) <= set(ids)
    assert len(referred) > 100


@pytest.mark.property
def test_drawing_leaves_the_settings_of_others_alone():
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "none"}):
        theirs = as_svg("one")
    assert theirs == as_svg("one")
    assert dict(matplotlib.rcParams) == before


def test_no_global_figure_is_made():
    rooms = [room.read_text(encoding="utf-8") for room in Path(figures.__file__).parent.glob("*.py")]
    imported = [node for text in rooms for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(rooms) > 1
    assert not any("pyplot" in ast.unparse(node) for node in imported)


def contrast(colour):
    """Give the contrast of WCAG 2 against white."""
    channels = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(colour)]
    return 1.05 / (np.dot([0.2126, 0.7152, 0.0722], channels) + 0.05)


@pytest.mark.hand
def test_words_and_marks_stand_out_against_white():
    assert contrast("black") == pytest.approx(21)
    assert min(map(contrast, [page.INK, page.GREY, page.DIFFERENCE, *page.TEXT.values()])) >= 4.5
    assert min(map(contrast, [page.RULE, *page.LINE.values()])) >= 3


def test_english_words_change_the_words_and_nothing_else():
    english = replace(SWEDISH, fewer="fewer", more="more", number=lambda value, decimals: f"{value:,.{decimals}f}")
    rows = [ForestRow("All", 1.5, -1.25, 4, "overall", "1.5")]
    assert "−1" in read(draw_forest(rows, words=SWEDISH))
    assert "← fewer more →" in read(draw_forest(rows, words=english))


# Love plots with a panel for each group


def panel_table(groups, rows, language=SWEDISH):
    label = [LONG[0], LONG[1], "Ålder, år", "Arbetsinkomst året före, tusen kronor", "Född utanför Europa"][:rows]
    table = pd.DataFrame([(group, name) for group in groups for name in label], columns=["panel", "label"])
    draws = np.random.default_rng(len(table)).normal(size=(2, len(table)))
    return table.assign(smd_before=0.5 * draws[0], smd_after=0.05 * draws[1], smd_chance=0.2)


ENGLISH = replace(
    SWEDISH,
    before="Before matching",
    after="After matching",
    limit="limit in the plan, ±0.25",
    smd_axis="Difference between the groups, in standard deviations among the participants",
    number=lambda value, decimals: f"{value:,.{decimals}f}".replace("-", "−"),
)
GROUPS = ["Kvinnor, födda i Sverige", "Kvinnor, födda utanför Europa", "Män", "Uppgift saknas", "Deltagare i introduktionsprogrammet", "F", "G"]


@pytest.mark.property
@pytest.mark.parametrize("language", [SWEDISH, ENGLISH], ids=["sv", "en"])
@pytest.mark.parametrize("groups", range(1, 8))
def test_no_text_of_the_panels_meets_another_leaves_the_page_or_is_too_small(groups, language):
    figure = draw_love_panels(panel_table(GROUPS[:groups], 4), limit=0.25, words=language, chance="vad slumpen ensam ger i en så liten grupp")
    placed = texts(figure)
    assert [text for text, box, _ in placed if box.x0 < 0 or box.y0 < 0 or box.x1 > figure.bbox.x1 or box.y1 > figure.bbox.y1] == []
    assert [(one, other) for (one, box, _), (other, second, _) in combinations(placed, 2) if box.overlaps(second)] == []
    assert min(text.get_fontsize() for _, _, text in placed) >= 9.5
    assert len(figure.axes) == groups
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


@pytest.mark.hand
def test_panels_share_their_rows_the_farthest_in_any_group_first():
    rows = [
        ("men", "age", 0.1, 0.0),
        ("men", "school", -0.2, 0.1),
        ("women", "school", 0.1, 0.05),
        ("women", "age", -0.5, -0.1),
        ("women", "pay", 0.3, 0.2),
    ]
    figure = draw_love_panels(pd.DataFrame(rows, columns=["panel", "label", "smd_before", "smd_after"]), limit=0.25, words=SWEDISH)
    assert [text for text, _, _ in texts(figure) if text in {"age", "school", "pay"}] == ["age", "pay", "school"]
    levels = {}
    for axes, panel in zip(figure.axes, ("men", "women"), strict=True):
        marks = [line for line in axes.lines if line.get_marker() == "o"]
        levels[panel] = {(round(line.get_ydata()[0], 6), line.get_xdata()[0]) for line in marks}
    first, second, third = sorted({level for level, _ in levels["women"]})
    assert levels["men"] == {(first, 0.1), (first, 0.0), (third, -0.2), (third, 0.1)}  # pay makes no row among men
    assert levels["women"] == {(first, -0.5), (first, -0.1), (second, 0.3), (second, 0.2), (third, 0.1), (third, 0.05)}


@pytest.mark.hand
def test_the_band_of_chance_is_as_wide_as_its_group_is_small_and_ends_with_the_axis():
    table = panel_table(["small", "large", "without"], 3)
    table["smd_chance"] = table["panel"].map({"small": 50.0, "large": 0.07, "without": NOTHING})
    small, large, without = draw_love_panels(table, limit=0.1, words=SWEDISH, chance="slump").axes
    assert not without.patches
    assert [patch.get_x() for patch in large.patches] == [-0.07]
    assert [patch.get_width() for patch in large.patches] == pytest.approx([0.14])
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in small.patches] == [pytest.approx(small.get_xlim())]
    assert not any(axes.patches for axes in draw_love_panels(table, limit=0.1, words=SWEDISH).axes)
