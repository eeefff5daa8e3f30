"""The page on paper: held to PDF/UA-1 by a checker that is not ours, read back with another program, and refused rather than written with a hole."""

import html
import logging
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import page as checker
import pytest
import weasyprint
from matplotlib.figure import Figure

from evaluation.errors import PdfError, PdfWarning
from evaluation.plan_sections import Language
from evaluation.reporting import report
from evaluation.reporting.blocks import Items, Page, Paragraph, Rows, Section, Subheading, picture
from evaluation.reporting.figures.svg import svg_text
from evaluation.reporting.pdf import PRINTED_SCALE, TALLEST_FIGURE_PT, one_path_per_text, render_pdf
from evaluation.reporting.report import render_page, write_page, write_pdf, write_reports
from evaluation.reporting.tables import Table

LANGUAGES = get_args(Language)
MARK, TITLE, CAPTION = "SYNTETISKA DATA", "Hur gick det?", "Fyrtio rader"
A4_PT = (595.28, 841.89)
POINTS_PER_INCH = 72
MARGIN_MM, MM_PT = 17, 72 / 25.4  # right margin of a sheet, in report.css
GLYPH_TOLERANCE = 0.51  # 64ths of a point: places of letters are rounded to whole ones
reads_pdf = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")


def drawing(width_pt: float, height_pt: float) -> Figure:
    figure = Figure(figsize=(width_pt / POINTS_PER_INCH, height_pt / POINTS_PER_INCH))
    figure.text(0.1, 0.5, "Åäö 0,5 $x^2$")
    return figure


def page(language: Language = "sv", mark: str = MARK) -> str:
    """Give a page with everything a page may hold: figures of two sizes, a table of two pages and one that fits."""
    figures = [
        picture(name, drawing(*size), "Två grupper", "Den ena är större", "Storlek") for name, size in (("low", (370, 200)), ("tall", (370, 975)))
    ]
    long = Table(CAPTION, ("Namn", "Tal"), tuple((f"rad {number}", str(number)) for number in range(40)))
    short = Table("Tre rader", ("Namn", "Tal", "Intervall"), (("a", "1", "1,0 till 2,0"),) * 3)
    first = Section("answer", "Svaret i korthet", (Paragraph("Svaret är nej.", "lead"),), "answer")
    shown = Section("shown", "Vad hände", (figures[0], Rows(short), Subheading("Mer"), figures[1], Rows(long)))
    said = Section("said", "Förbehåll", (Items(("ett", "två")), Paragraph("Slut.", "warning")))
    frame = {"kind": "Rapport", "title": TITLE, "question": "Vad hände?", "skip": "Till svaret", "version": "1"}
    switch = {"other_file": "report.en.html", "other_language": "en", "other_label": "In English"}
    return render_page("report.html.j2", Page(language=language, mark=mark, sections=(first, shown, said), **frame, **switch))


@pytest.fixture(scope="module")
def made() -> bytes:
    return render_pdf(page())


@pytest.fixture
def sheets(made: bytes, tmp_path: Path) -> list[str]:
    """Give the words of each sheet, read by another program."""
    return read_sheets(made, tmp_path)


def read_sheets(pdf: bytes, folder: Path) -> list[str]:
    (folder / "made.pdf").write_bytes(pdf)
    text = subprocess.run(["pdftotext", "-layout", folder / "made.pdf", "-"], capture_output=True, check=True).stdout.decode()
    return text.split("\f")[:-1]


def inside(pdf: bytes) -> bytes:
    """Give a PDF with its packed streams opened, to be searched."""
    opened = [pdf]
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL):
        try:
            opened.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return b"\n".join(opened)


def failed_rules(pdf: bytes) -> list[str]:
    return [failure.rule_id for failure in checker.validate_pdf_bytes(pdf, profile=checker.ValidationProfile.PDF_UA_1).failures]


# --- PDF/UA-1


@pytest.mark.reference
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mark", [MARK, ""])
def test_no_rule_of_pdf_ua_1_is_broken(language: Language, mark: str) -> None:
    found = checker.validate_pdf_bytes(render_pdf(page(language, mark)), profile=checker.ValidationProfile.PDF_UA_1)
    assert [failure.message for failure in found.failures] == []
    assert found.rules.total == found.rules.passed >= 100


def unchecked(text: str, **options: object) -> bytes:
    """Make a PDF without our care, of a page that may have a fault."""
    return weasyprint.HTML(string=text).write_pdf(**{"pdf_variant": "pdf/ua-1", **options})


BARE = '<html lang="sv"><head><title>T</title></head><body><h1>Ett</h1><p>Text</p><img alt="Ett streck." src="data:image/svg+xml,{}"></body></html>'
STROKE = "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'%3E%3Cpath d='M0 0H9' stroke='%23000'/%3E%3C/svg%3E"
PLANTED: dict[str, Callable[[str], bytes]] = {
    "no language": lambda text: unchecked(text.replace(' lang="sv"', "")),
    "no title": lambda text: unchecked(text.replace("<title>T</title>", "")),
    "no alternative text": lambda text: unchecked(text.replace('alt="Ett streck."', "")),
    "no tags": lambda text: unchecked(text, pdf_variant=None),
    "a heading skipped": lambda text: unchecked(text.replace("<p>Text</p>", "<h3>Tre</h3>")),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_the_checker_finds_planted_faults(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "weasyprint")
    sound = BARE.format(STROKE)
    assert failed_rules(unchecked(sound)) == []
    assert failed_rules(PLANTED[fault](sound)) != []


def test_every_figure_is_spoken_with_its_title_and_what_it_shows(made: bytes) -> None:
    spoken = re.findall(rb"/Alt\s*(<[0-9a-fA-F]+>|\([^)]*\))", inside(made))
    said = [bytes.fromhex(one[1:-1].decode()).decode("utf-16") for one in spoken]
    assert said == ["Två grupper. Den ena är större."] * 2


def test_headings_are_bookmarks_and_contents_are_links(made: bytes) -> None:
    text = inside(made)
    titles = re.findall(rb"/Title\s*(<[0-9a-fA-F]+>|\([^)]*\))", text)
    said = {bytes.fromhex(one[1:-1].decode()).decode("utf-16") if one.startswith(b"<") else one[1:-1].decode() for one in titles}
    assert {TITLE, "Svaret i korthet", "Vad hände", "Mer", "Förbehåll"} <= said
    assert set(re.findall(rb"/Dest\s*\(([^)]*)\)", text)) == {b"shown", b"said"}


def test_every_figure_lies_within_its_sheet_in_the_shape_it_was_drawn(made: bytes) -> None:
    boxes = [tuple(map(float, box.split())) for box in re.findall(rb"/BBox\s*\[([^\]]*)\]", inside(made))]
    shapes = [(x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
    assert len(boxes) == 2
    px = POINTS_PER_INCH / 96  # the boxes are in CSS pixels
    assert all(0 < x1 < x2 < A4_PT[0] / px and 0 < y1 < y2 < A4_PT[1] / px for x1, y1, x2, y2 in boxes)
    assert shapes[0] == pytest.approx((370 * PRINTED_SCALE / px, 200 * PRINTED_SCALE / px), rel=1e-3)
    assert shapes[1] == pytest.approx((370 * TALLEST_FIGURE_PT / 975 / px, TALLEST_FIGURE_PT / px), rel=1e-3)


# --- the sheets, read by another program


@reads_pdf
def test_the_answer_has_the_first_sheet_to_itself(sheets: list[str]) -> None:
    assert "Svaret är nej." in sheets[0]
    assert TITLE in sheets[0]
    assert not re.search("Innehåll|Vad hände$|In English|Till svaret", sheets[0], flags=re.MULTILINE)
    assert "Innehåll" in sheets[1]


@reads_pdf
def test_every_sheet_says_that_the_data_are_synthetic_and_which_sheet_it_is(sheets: list[str]) -> None:
    assert len(sheets) >= 4
    assert all(MARK in sheet for sheet in sheets)
    assert [re.findall(r"(\d+) ?/ ?(\d+)", sheet)[-1] for sheet in sheets] == [
        (str(number), str(len(sheets))) for number in range(1, len(sheets) + 1)
    ]
    assert all(TITLE in sheet for sheet in sheets[1:])


@reads_pdf
def test_real_data_are_not_called_synthetic(tmp_path: Path) -> None:
    assert not [sheet for sheet in read_sheets(render_pdf(page(mark="")), tmp_path) if MARK in sheet]


@reads_pdf
def test_the_contents_tell_the_sheet_of_every_section(sheets: list[str]) -> None:
    listed = dict(re.findall(r"\d+\.\s+(\S[^.]*?)\s*\.{3,}\s*(\d+)$", sheets[1], flags=re.MULTILINE))
    assert listed.keys() == {"Vad hände", "Förbehåll"}
    for heading, sheet in listed.items():
        assert re.search(rf"^\s*{heading}$", sheets[int(sheet) - 1], flags=re.MULTILINE)


@reads_pdf
def test_a_long_table_repeats_its_header_and_loses_no_row(sheets: list[str]) -> None:
    rows = [[int(row) for row in re.findall(r"rad (\d+)", sheet)] for sheet in sheets]
    assert [row for found in rows for row in found] == list(range(40))
    with_rows = [sheet for sheet, found in zip(sheets, rows, strict=True) if found]
    assert len(with_rows) >= 2
    assert all(re.search(r"Namn\s+Tal$", sheet, flags=re.MULTILINE) for sheet in with_rows)
    assert all(len(found) >= 3 for found in rows if found)


@reads_pdf
def test_a_table_that_fits_is_on_one_sheet(sheets: list[str]) -> None:
    (sheet,) = [sheet for sheet in sheets if "Tre rader" in sheet]
    assert sheet.count("1,0 till 2,0") == 3


# --- nothing but the page, and all of it


def test_the_same_page_gives_the_same_bytes(made: bytes, tmp_path: Path) -> None:
    """In another process too, where strings hash otherwise."""
    write_page(tmp_path, "made.html", page())
    program = f"from evaluation.reporting.report import write_pdf; write_pdf({str(tmp_path / 'made.html')!r})"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"}, cwd=Path(__file__).parents[1])
    assert (tmp_path / "made.pdf").read_bytes() == made


@pytest.mark.parametrize("address", ["https://example.org/a.png", "file:///etc/hostname", "beside.svg", "data:image/svg+xml,%3Csvg/%3E"])
def test_nothing_is_fetched_and_what_would_be_missing_is_refused(address: str) -> None:
    text = page().replace("</main>", f'<img alt="x" src="{address}"></main>')
    with pytest.raises(PdfError, match="would lack something that is on the page"):
        render_pdf(text)


def test_a_page_without_a_language_is_refused() -> None:
    with pytest.raises(PdfError, match="lang"):
        render_pdf(page().replace('<html lang="sv">', "<html>"))


def outline(path: str) -> list[tuple[float, float]]:
    """Give the points of a path: M L H V Q C Z, absolute or told from the point before."""
    here, began, points = (0.0, 0.0), (0.0, 0.0), []
    for letter, rest in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in rest.split()]
        base = here if letter.islower() else (0.0, 0.0)
        match letter.upper():
            case "Z":
                here = began
                continue
            case "H":
                given = [(base[0] + numbers[0], here[1])]
            case "V":
                given = [(here[0], base[1] + numbers[0])]
            case _:
                given = [(base[0] + x, base[1] + y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        here = given[-1]
        began = here if letter.upper() == "M" else began
        points += given
    return points


def letters(svg: ElementTree.Element) -> list[tuple[float, float]]:
    """Give the points of every letter, by following each reference."""
    glyphs = {found.get("id"): found.get("d", "") for found in svg.iter() if found.get("transform") == "scale(0.015625)"}
    points = []
    for use in (found for found in svg.iter() if found.tag.endswith("use") and found.get("href", "")[1:] in glyphs):
        moved = re.search(r"translate\(([-\d.]+)[ ,]?([-\d.]*)\)", use.get("transform", "translate(0)"))
        right, up = (float(number or 0) * 64 for number in moved.groups())
        points += [(x + right, y + up) for x, y in outline(glyphs[use.get("href")[1:]])]
    return points


def test_a_text_drawn_as_one_path_has_every_point_where_its_letters_had_it() -> None:
    svg = ElementTree.fromstring(svg_text(drawing(370, 200), name="one", title="t", description="d"))
    expected = letters(svg)
    merged = [found.get("d", "") for found in one_path_per_text(svg).iter() if found.get("transform") == "scale(0.015625)"]
    begins = [point for path in merged for point in outline(path)]
    kept = [point for point in begins if point[1] or any(abs(point[0] - x) < GLYPH_TOLERANCE for x, y in expected if y == 0)]
    assert len(expected) > 100
    assert not [found for found in svg.iter() if found.tag.endswith("use") and found.get("href", "")[1:] not in {one.get("id") for one in svg.iter()}]
    distance = [min(max(abs(x - a), abs(y - b)) for a, b in kept) for x, y in expected]
    assert max(distance) < GLYPH_TOLERANCE


# --- the files


class NoPango:
    """Stand in the way of WeasyPrint, as a machine without Pango does."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return None


@pytest.fixture
def no_pango(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "weasyprint")
    monkeypatch.setattr(sys, "meta_path", [NoPango(), *sys.meta_path])


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, ...]]:
    """Write reports of a study that need not be analysed: what stands on the page is tested elsewhere."""
    monkeypatch.setattr(report, "render_report", lambda study, *, language, **_: html.unescape(f"&aring; {study} {language}"))

    def write(study: object, folder: Path, **options: object) -> tuple[Path, ...]:
        return write_reports(study, folder, **options)

    return write


def test_without_pango_the_page_is_not_printed_and_the_message_says_what_to_install(no_pango: None) -> None:
    with pytest.raises(PdfError, match=r"apt-get install libpango.*brew install pango"):
        render_pdf(page())


def test_without_pango_the_pages_are_written_alone_and_no_old_pdf_stays(written: Callable, no_pango: None, tmp_path: Path) -> None:
    (tmp_path / "design.sv.pdf").write_bytes(b"of an older page")
    with pytest.warns(PdfWarning, match=r"without its PDF.*apt-get install libpango"):
        files = written("study", tmp_path)
    assert [file.name for file in files] == ["design.sv.html", "design.en.html"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["design.en.html", "design.sv.html"]


def test_each_language_has_its_page_and_its_pdf(written: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "render_pdf", str.encode)
    files = written("study", tmp_path)
    assert [file.name for file in files] == ["design.sv.html", "design.sv.pdf", "design.en.html", "design.en.pdf"]
    assert files[1].read_bytes() == files[0].read_bytes() == "å study sv".encode()
    assert [file.name for file in written("study", tmp_path, languages=["en"], pdf=False)] == ["design.en.html"]
    assert not (tmp_path / "design.en.pdf").exists()


def test_nothing_is_replaced_until_everything_is_made(written: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> bytes:
        if text.endswith("en"):
            raise KeyboardInterrupt("stopped in the middle")
        return text.encode()

    monkeypatch.setattr(report, "render_pdf", fail)
    names = ["design.en.html", "design.en.pdf", "design.sv.html", "design.sv.pdf"]
    for name in names:
        (tmp_path / name).write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt, match="stopped in the middle"):
        written("study", tmp_path)
    assert {found.name: found.read_text(encoding="utf-8") for found in tmp_path.iterdir()} == dict.fromkeys(names, "old")


def test_a_page_on_disk_gets_its_pdf_beside_it(tmp_path: Path, made: bytes) -> None:
    file = write_pdf(write_page(tmp_path, "check.sv.html", page()))
    assert file == tmp_path / "check.sv.pdf"
    assert file.read_bytes() == made


def test_what_is_begun_gives_each_language_its_own_pages_once(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[str] = []
    monkeypatch.setattr(report, "render_pdf", lambda text: began.append(text) or text.encode())
    pages: dict[Language, str] = {"sv": "ett", "en": "one"}
    printed = report.begin_printing(pages)
    assert printed() == {"sv": b"ett", "en": b"one"} == report.print_pages(pages)
    assert began == ["ett", "one"] * 2


def test_long_pages_are_printed_in_other_processes_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "LONG_PAGE_CHARACTERS", 0)
    pages: dict[Language, str] = {"sv": page("sv"), "en": page("en")}
    printed = report.begin_printing(pages)
    assert printed() == {language: render_pdf(text) for language, text in pages.items()}


def test_running_heads_are_on_paper_and_not_in_the_page(sheets: list[str]) -> None:
    assert "string-set" not in page()
    assert TITLE in sheets[1]
    assert MARK in sheets[1]


# --- the margins


@reads_pdf
def test_a_table_of_seven_columns_with_intervals_stays_within_the_margin(tmp_path: Path) -> None:
    """The groups of the goals: two counts and four shares with their intervals, which are not broken."""
    head = ("Grupp", "Började", "Arbete eller studier", *(f"Inom {months} månader, %" for months in (6, 12, 18, 24)))
    rows = tuple((name, "1\u202f750", "1\u202f150", *["26,7 (23,3 till 30,3)"] * 4) for name in ("Alla", "Man", "Födelseregion okänd"))
    frame = {
        "kind": "Rapport",
        "title": TITLE,
        "question": "",
        "skip": "",
        "version": "1",
        "other_file": "",
        "other_language": "en",
        "other_label": "",
    }
    section = Section("goals", "Målen", (Rows(Table("Fas 1: olika grupper", head, rows, ("strong", "", ""))),))
    (tmp_path / "made.pdf").write_bytes(render_pdf(render_page("report.html.j2", Page(language="sv", mark="", sections=(section,), **frame))))
    words = subprocess.run(["pdftotext", "-bbox", tmp_path / "made.pdf", "-"], capture_output=True, check=True).stdout.decode()
    right = max(float(edge) for edge in re.findall(r'xMax="([0-9.]+)"', words))
    assert right <= A4_PT[0] - MARGIN_MM * MM_PT + 0.1  # a tenth of a point of rounding
