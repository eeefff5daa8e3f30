"""The figure of rows by period, measured and read: nothing meets, few rows look alike, sudden lows are marked."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from evaluation.reporting.disclosure import Gate
from evaluation.reporting.figures.coverage import Coverage, CoverageWords, draw_coverage
from evaluation.reporting.figures.svg import svg_text

WORDS = CoverageWords("misstänkt lucka", "färre än 10 rader", "sista kompletta månad")


def covered(rows: list[int], name: str = "Inskrivningar", first: float = 2015.0, low: tuple[int, ...] = (), threshold: int = 10) -> Coverage:
    counts = np.array(rows)
    start = first + np.arange(len(rows)) / 12
    return Coverage(name, f"högst {counts.max()} per månad", start, 1 / 12, counts, np.isin(np.arange(len(rows)), low), Gate(threshold))


MANY = [covered([100 + 7 * (month % 11) for month in range(96)], low=(30,))]
MANY += [covered([20] * 40, "Deltagande i arbetsmarknadspolitiska program, alla beslut som finns i registret", 2019.5)]
MANY += [replace(covered([900, 1000, 1100], "Årsuppgifter (LISA)"), start=np.array([2015.0, 2016, 2017]), length=1.0)]
MANY += [covered([3, 0, 12, 4], "Ekonomiskt bistånd")]
FIGURES = {
    "many tables": lambda: draw_coverage(MANY, years=(2015.0, 2023.25), complete=2022.5, words=WORDS),
    "one table": lambda: draw_coverage(MANY[:1], years=(2015.0, 2023.0), complete=2023.0, words=WORDS),
    "one year": lambda: draw_coverage([covered([20] * 6)], years=(2015.0, 2015.5), complete=2015.5, words=WORDS),
    "forty years": lambda: draw_coverage([covered([20] * 480, first=1985.0)], years=(1985.0, 2025.0), complete=2025.0, words=WORDS),
}


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    figure.dpi = 144
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in shown]


def said(figure: Figure) -> list[str]:
    return [text for text, _ in texts(figure)]


def as_svg(figure: Figure) -> str:
    return svg_text(figure, name="coverage", title="Rader per period", description="Inskrivningar: 2015-01 till 2022-12")


@pytest.mark.property
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_meets_another_or_leaves_the_page(name: str) -> None:
    figure = FIGURES[name]()
    found = texts(figure)
    page = figure.bbox
    assert not [text for text, box in found if box.x0 < 0 or box.y0 < 0 or box.x1 > page.x1 or box.y1 > page.y1]
    assert not [(one, other) for (one, box), (other, beside) in combinations(found, 2) if box.overlaps(beside)]


def test_every_table_is_named_with_its_scale_in_the_order_given() -> None:
    figure = FIGURES["many tables"]()
    ordered = sorted(((box.y0, text) for text, box in texts(figure) if text.startswith("högst")), reverse=True)
    assert [text for _, text in ordered] == [table.scale for table in MANY]
    assert len(figure.axes) == len(MANY)


def test_all_tables_share_their_years() -> None:
    assert {axes.get_xlim() for axes in FIGURES["many tables"]().axes} == {(2015.0, 2023.25)}


@pytest.mark.property
def test_few_rows_look_alike_however_few_they_are() -> None:
    three, seven = (covered([50, few, 50, 0, few]) for few in (3, 7))
    drawn = [draw_coverage([table], years=(2015.0, 2016.0), complete=2016.0, words=WORDS) for table in (three, seven)]
    assert as_svg(drawn[0]) == as_svg(drawn[1])
    ten = draw_coverage([covered([50, 10, 50, 0, 10])], years=(2015.0, 2016.0), complete=2016.0, words=WORDS)
    assert as_svg(ten) != as_svg(drawn[0])


def test_a_table_of_very_few_rows_does_not_tell_its_largest_count() -> None:
    two, nine = (replace(covered([few]), scale="färre än 10") for few in (2, 9))
    drawn = [as_svg(draw_coverage([table], years=(2015.0, 2016.0), complete=2016.0, words=WORDS)) for table in (two, nine)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(("table", "keys"), [(covered([20]), ()), (covered([20, 3]), ("few",)), (covered([20, 0, 20], low=(1,)), ("low",))])
def test_only_the_marks_that_are_drawn_are_explained(table: Coverage, keys: tuple[str, ...]) -> None:
    found = said(draw_coverage([table], years=(2015.0, 2016.0), complete=2016.0, words=WORDS))
    assert {key for key in ("low", "few", "complete") if getattr(WORDS, key) in found} == {*keys, "complete"}


@pytest.mark.hand
def test_a_sudden_low_is_marked_in_the_middle_of_its_period() -> None:
    figure = draw_coverage([covered([20, 0, 20, 0], low=(1,))], years=(2015.0, 2016.0), complete=2016.0, words=WORDS)
    (marks,) = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    np.testing.assert_allclose(marks.get_xdata(), [2015 + 1.5 / 12])


@pytest.mark.hand
def test_the_end_of_the_complete_months_is_a_line() -> None:
    figure = draw_coverage([covered([20])], years=(2015.0, 2016.0), complete=2015.75, words=WORDS)
    assert 2015.75 in [float(np.unique(line.get_xdata())[0]) for line in figure.axes[0].lines if len(np.unique(line.get_xdata())) == 1]


def test_what_lies_before_the_axis_is_not_drawn_and_sets_no_scale() -> None:
    drawn = [
        as_svg(draw_coverage([replace(covered(rows), scale="")], years=(2016.0, 2017.0), complete=2017.0, words=WORDS))
        for rows in ([20] * 24, [9000] * 12 + [20] * 12)
    ]
    assert drawn[0] == drawn[1]


@pytest.mark.property
@pytest.mark.parametrize("name", FIGURES)
def test_the_same_figure_gives_the_same_small_file(name: str) -> None:
    assert as_svg(FIGURES[name]()) == as_svg(FIGURES[name]())
    assert len(as_svg(FIGURES[name]()).encode()) < 120_000
