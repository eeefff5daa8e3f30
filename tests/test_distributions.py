"""One covariate in either group, drawn: the shares are those of the people, heaps stay heaps, nobody is seen alone, and no text meets another."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle, StepPatch
from matplotlib.text import Text

from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.figures.distributions import draw_bars, draw_density
from evaluation.reporting.figures.page import LINE, TINT, Words

LABELS = ["Gymnasial utbildning", "Arbetsmarknadspolitiska introduktionsinsatser för nyanlända, tidigare deltagare: uppgift saknas", "Okänd"]


def swedish(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace(",", "\u00a0").replace(".", ",").replace("-", "−")


def english(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace("-", "−")


SHARED = dict.fromkeys(["everybody", "compared", "score_axis", "limit", "smd_axis", "share_axis", "time_axis", "at_risk"], "")
SHARED |= dict.fromkeys(["difference_axis", "fewer", "more"], "")
WORDS = {
    "sv": Words(
        treated="De som sökte via arbetsförmedlingen",
        control="Jämförelsegruppen",
        group_share_axis="Andel av gruppen",
        before="Före matchning",
        after="Efter matchning",
        percent=lambda share: f"{swedish(100 * share, 0)}\u00a0%",
        number=swedish,
        **SHARED,
    ),
    "en": Words(
        treated="Participants",
        control="Comparison group",
        group_share_axis="Share of the group",
        before="Before matching",
        after="After matching",
        percent=lambda share: f"{english(100 * share, 0)}%",
        number=english,
        **SHARED,
    ),
}


def density(
    treated, control, weights=None, words=WORDS["sv"], threshold=0, label="Arbetsinkomst året före, i kronor och 2024 års priser enligt registret"
):
    weights = np.ones(len(control)) if weights is None else np.asarray(weights, dtype=float)
    values = np.asarray(treated, dtype=float), np.asarray(control, dtype=float)
    return draw_density(*values, np.ones(len(treated)), weights, label=label, words=words, gate=Gate(threshold))


def bars(words=WORDS["sv"], **shares):
    table = pd.DataFrame({name: [0.5, 0.3, 0.2] for name in ("mean_treated_before", "mean_control_before", "mean_treated", "mean_control")})
    return draw_bars(table.assign(label=LABELS, **shares), words=words)


RNG = np.random.default_rng(4)
NUMBERS = {
    "ages": (RNG.integers(18, 65, 300), RNG.integers(18, 65, 900)),
    "counts": (RNG.poisson(0.4, 300), RNG.poisson(0.9, 900)),
    "incomes": (RNG.lognormal(12, 1, 300).round(-3), RNG.lognormal(12.5, 1, 900).round(-3)),
    "evens": (2 * RNG.integers(0, 30, 300), 2 * RNG.integers(0, 30, 900)),
    "tenths": (RNG.normal(0, 1, 300).round(1), RNG.normal(0.3, 1, 900).round(1)),
    "anything": (RNG.normal(0, 0.001, 300), RNG.normal(0, 0.001, 900)),
    "few": (np.array([3.0, 4.0]), np.array([3.0, 9.0, 12.0])),
    "one value": (np.full(30, 7.0), np.full(40, 7.0)),
    "none": (np.zeros(30), np.zeros(40)),
}
FIGURES = {
    **{
        f"{name} {language}": lambda drawn=drawn, language=language: density(*drawn, words=WORDS[language], threshold=10)
        for name, drawn in NUMBERS.items()
        for language in WORDS
    },
    **{f"bars {language}": lambda language=language: bars(WORDS[language], mean_control_before=[1.0, 0.0, np.nan]) for language in WORDS},
}


@pytest.mark.property
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_meets_another_leaves_the_page_or_is_too_small(name):
    figure = FIGURES[name]()
    figure.dpi = 144
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    placed = [(text, text.get_window_extent(canvas.get_renderer())) for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    page = figure.bbox
    assert [text.get_text() for text, box in placed if box.x0 < 0 or box.y0 < 0 or box.x1 > page.x1 or box.y1 > page.y1] == []
    assert [(one.get_text(), other.get_text()) for (one, box), (other, second) in combinations(placed, 2) if box.overlaps(second)] == []
    assert min(text.get_fontsize() for text, _ in placed) >= 9.5
    assert figure.get_figwidth() == pytest.approx(5.2)


def steps(figure, panel):
    """Give each arm's shares and the edges they stand between, from the lines of one panel."""
    lines = {
        to_hex(patch.get_edgecolor()).upper(): patch.get_data()
        for patch in figure.axes[panel].patches
        if isinstance(patch, StepPatch) and not patch.get_fill()
    }
    return {arm: lines[LINE[arm]].values for arm in LINE}, lines[LINE["treated"]].edges


@pytest.mark.hand
def test_steps_are_shares_of_everybody_above_and_weighted_shares_of_the_compared_below():
    treated, control = [0] * 5 + [1] * 3 + [2] * 2, [0] * 2 + [1] * 4 + [2] * 4
    figure = density(treated, control, weights=[0, 2, 3, 0, 0, 1, 1, 0, 0, 1])
    before, edges = steps(figure, 0)
    np.testing.assert_allclose(edges, [-0.5, 0.5, 1.5, 2.5])  # a count stands in the middle of its bin
    np.testing.assert_allclose(before["treated"], [0.5, 0.3, 0.2])
    np.testing.assert_allclose(before["control"], [0.2, 0.4, 0.4])
    after, _ = steps(figure, 1)
    np.testing.assert_allclose(after["control"], [2 / 8, 4 / 8, 2 / 8])


@pytest.mark.property
@pytest.mark.parametrize("name", ["ages", "counts", "incomes", "evens", "tenths"])
def test_every_bin_holds_equally_many_of_the_values_there_can_be(name):
    unit = {"ages": 1, "counts": 1, "incomes": 1000, "evens": 2, "tenths": 0.1}[name]
    _, edges = steps(density(*NUMBERS[name], threshold=10), 0)
    possible = np.arange(round(edges[0] / unit) - 1, round(edges[-1] / unit) + 2) * unit
    held = np.histogram(possible, edges)[0]
    assert len(set(held)) == 1
    assert held[0] >= 1


@pytest.mark.property
@pytest.mark.parametrize("name", ["ages", "incomes", "anything"])
def test_bins_of_few_people_are_not_drawn_and_the_ends_are_round_and_nobodys(name):
    treated, control = NUMBERS[name]
    figure = density(treated, control, threshold=10)
    shares, edges = steps(figure, 0)
    people = {"treated": np.histogram(treated, edges)[0], "control": np.histogram(control, edges)[0]}
    for arm, count in people.items():
        few = (count > 0) & (count < 10)
        assert np.isnan(shares[arm][few]).all()
        hidden = np.isnan(shares[arm])
        outside = len(NUMBERS[name][arm == "control"]) - count.sum()
        assert not 0 < count[hidden].sum() + outside < 10  # what is not drawn cannot be counted out either
    assert not set(edges) & {*treated, *control}
    ticks = [tick for axes in figure.axes for tick in axes.get_xticks()]
    assert not {min(treated.min(), control.min()), max(treated.max(), control.max())} & {*edges, *(set(ticks) if name == "anything" else ())}


def test_the_farthest_do_not_set_the_scale_but_count():
    treated = np.append(np.arange(1000) % 50, 100_000.0)
    shares, edges = steps(density(treated, treated), 0)
    assert edges[-1] < 60
    assert shares["treated"].sum() == pytest.approx(1000 / 1001)


@pytest.mark.hand
def test_those_beyond_the_axis_are_too_few_to_be_counted_out():
    near = np.repeat(np.arange(20.0), 50)
    few, enough = (steps(density(np.append(near, np.full(beyond, 1e6)), near, threshold=5), 0)[0] for beyond in (3, 5))
    assert np.isnan(few["treated"]).sum() == 1
    assert not np.isnan([few["control"], *enough.values()]).any()


@pytest.mark.hand
def test_below_only_the_compared_count_as_people():
    values = np.repeat([0.0, 1.0, 2.0], 12)
    figure = density(values, values, weights=np.tile([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 3) + (values != 1), threshold=10)
    before, after = (steps(figure, panel)[0] for panel in (0, 1))
    assert not np.isnan(before["control"]).any()
    assert np.isnan(after["control"]).tolist() == [True, True, False]  # three in the middle bin, and another hidden beside them


def drawn_bars(figure):
    """Give the bars in reading order: their arm's face, left end and length."""
    found = [patch for patch in figure.findobj(Rectangle) if patch is not figure.patch]
    found.sort(key=lambda patch: (-round(patch.get_y(), 6), patch.get_x()))
    return [(to_hex(patch.get_facecolor()).upper(), patch.get_x(), patch.get_width()) for patch in found]


@pytest.mark.hand
def test_bars_are_as_long_as_their_shares_on_one_scale_and_stand_in_rows():
    found = drawn_bars(bars(mean_treated=[0.4, 0.4, 0.2], mean_control=[0.1, np.nan, 0.0]))
    # row by row: before and after of the treated, then of the controls; nothing for a hidden share and for nobody
    lengths = np.array([length for _, _, length in found]) / found[0][2] * 0.5
    np.testing.assert_allclose(lengths, [0.5, 0.4, 0.5, 0.1, 0.3, 0.4, 0.3, 0.2, 0.2, 0.2])
    assert [face for face, _, _ in found[:4]] == [LINE["treated"], LINE["treated"], TINT["control"], TINT["control"]]
    assert len({left for _, left, _ in found}) == 2


def test_a_hidden_share_is_shown_as_hidden_and_not_as_nobody():
    figure = bars(mean_control=[0.5, np.nan, 0.0])
    said = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    assert said.count(HIDDEN) == 1
    assert said.count("0\u00a0%") == 1
