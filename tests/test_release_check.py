"""A release folder read cold: what should not leave is found in every kind of file, and a clean folder passes."""

import io
import json
import re
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openpyxl
import pytest
from openpyxl.comments import Comment
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from evaluation.analysis.curves import Curves, estimate_curves
from evaluation.release.check import check_release
from evaluation.release.curves import release_curve
from evaluation.release.rules import ReleaseRules
from evaluation.reporting import figures
from evaluation.reporting.disclosure import Gate

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

SOMEBODY = "850101-1234"  # of a form that is suspected; nobody's
TABLE = "grupp,Deltagare antal,Jämförelse antal\nkvinnor,120,235\nmän,95,210\nalla,215,445\n"


def described(folder: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "context.csv"]
    lines = "".join(f"{name},what {name} shows\n" for name in names)
    (folder / "context.csv").write_text(f"file,description\n{lines}", encoding="utf-8")


def page(body: str, head: str = "") -> str:
    return f'<!doctype html><html lang="sv"><head><title>Rapport</title>{head}</head><body>{body}</body></html>'


def html_table(head: list[str], rows: list[list[str]]) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return page(f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>{cells}</tbody></table>")


def workbook(path: Path, rows: list[list[object]], change: Callable[[openpyxl.Workbook], None] = lambda _: None) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    change(book)
    book.save(path)


def told(folder: Path, **rules: int) -> str:
    return "\n".join(map(str, check_release(folder, ReleaseRules(**rules))))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A small release that may leave."""
    (tmp_path / "table.csv").write_text(TABLE, encoding="utf-8")
    (tmp_path / "report.sv.html").write_text(
        html_table(["grupp", "antal"], [["kvinnor", "1\u2009120"], ["män", "··"], ["alla", "<10"]]), encoding="utf-8"
    )
    (tmp_path / "results.json").write_text(json.dumps({"people": 215, "share": 0.412, "author": ""}), encoding="utf-8")
    workbook(tmp_path / "tables.xlsx", [["grupp", "antal"], ["kvinnor", 120], ["män", 95]])
    described(tmp_path)
    return tmp_path


def test_a_clean_release_passes(release: Path) -> None:
    assert check_release(release) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", "grupp,antal\nkvinnor,3\n", "a.csv: shows 1 count under the threshold"),
        ("a.csv", "grupp,treated_followed\nkvinnor,103\n", "a.csv: shows 1 count that is not rounded"),
        ("a.html", html_table(["group", "people"], [["women", "1,242"]]), "a.html, table 1: shows 1 count that is not rounded"),
        ("a.csv", "lopnr,sex\n1,2\n", "a.csv: has 1 column of ids"),
        ("a.csv", f"grupp,note\nkvinnor,{SOMEBODY}\n", r"a.csv: holds what looks like identity numbers \(1 places\)"),
        ("a.csv", "grupp,kvinnor,män,alla\nfödda här,120,95,215\nutom Europa,··,55,60\n", r"a.csv: lets 1 hidden count be worked out"),
        ("a.html", html_table(["grupp", "Personer"], [["kvinnor", "7"]]), "a.html, table 1: shows 1 count under the threshold"),
        ("a.html", html_table(["mått", "värde"], [["Antal personer", "7"]]), "a.html, table 1: shows 1 count under the threshold"),
        ("a.html", page("<p>Endast n = 4 följdes.</p>"), "a.html: shows 1 count under the threshold"),
        ("a.html", page("", '<meta name="author" content="Anna Andersson">'), r"a.html: says who made it \(author\)"),
        ("a.html", page("<!-- to do -->"), r"a.html: holds what is not seen at once \(a comment\)"),
        ("a.html", page(f'<p data-row="{SOMEBODY}">x</p>'), "a.html: holds what looks like identity numbers"),
        ("a.html", page("<p>/home/anna/data.csv</p>"), "a.html: names a folder of somebody's machine"),
        ("a.json", json.dumps({"arms": [{"n": 4}]}), "a.json: shows 1 count under the threshold"),
        ("a.json", json.dumps({"author": "Anna"}), r"a.json: says who made it \(author\)"),
        ("a.json", "{", "a.json: cannot be read as what its name says"),
        ("a.svg", "<svg><metadata><creator>Anna</creator></metadata></svg>", r"a.svg: says who made it \(creator\)"),
        ("a.svg", "<svg/>", "a.svg: is a figure without its data; put a.csv beside it"),
        ("a.parquet", "", "a.parquet: is of a kind that cannot be checked"),
        ("a.pdf", "%PDF-1.7 /Author (Anna Andersson)", r"a.pdf: says who made it \(Author\)"),
        (f"{SOMEBODY}.csv", "a,b\n", r"\*\*\*.*: has an identity number in its name"),
    ],
)
def test_what_should_not_leave_is_found(release: Path, name: str, text: str, found: str) -> None:
    (release / name).write_text(text, encoding="utf-8")
    described(release)
    assert re.search(found, told(release))
    assert "Anna" not in told(release)
    assert SOMEBODY not in told(release)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda book: setattr(book.properties, "creator", "Anna Andersson"), r"says who made it \(creator\)"),
        (lambda book: setattr(book.properties, "lastModifiedBy", "Anna Andersson"), r"says who made it \(lastModifiedBy\)"),
        (lambda book: setattr(book.create_sheet("rådata"), "sheet_state", "hidden"), r"not seen at once \(a sheet\)"),
        (lambda book: setattr(book.active.row_dimensions[2], "hidden", True), r"not seen at once \(rows or columns\)"),
        (lambda book: setattr(book.active["A1"], "comment", Comment("ask Anna", "x")), r"not seen at once \(comments\)"),
        (lambda book: book.active.append(["födda utom Europa", 3]), "shows 1 count under the threshold"),
    ],
)
def test_what_a_workbook_hides_is_found(release: Path, change: Callable[[openpyxl.Workbook], None], found: str) -> None:
    workbook(release / "tables.xlsx", [["grupp", "antal"], ["kvinnor", 120]], change)
    assert re.search(found, told(release))


def test_the_author_an_attacker_reads_in_a_workbook_is_the_one_that_is_found(release: Path) -> None:
    workbook(release / "tables.xlsx", [["a", "b"]], lambda book: setattr(book.properties, "creator", "Anna Andersson"))
    assert attack.makers_of_workbook(release / "tables.xlsx") == ["Anna Andersson"]
    assert "says who made it" in told(release)
    workbook(release / "tables.xlsx", [["a", "b"]])
    assert attack.makers_of_workbook(release / "tables.xlsx") == ["openpyxl"]
    assert check_release(release) == []


def test_a_pictures_words_are_read(release: Path) -> None:
    words = PngInfo()
    words.add_text("Author", "Anna Andersson")
    Image.new("RGB", (2, 2)).save(release / "a.png", pnginfo=words)
    (release / "a.csv").write_text("month,share\n0,0\n", encoding="utf-8")
    described(release)
    assert "a.png: says who made it (Author)" in told(release)
    Image.new("RGB", (2, 2)).save(release / "a.png")
    assert check_release(release) == []


def test_files_and_descriptions_answer_to_each_other(release: Path) -> None:
    (release / "figures").mkdir()
    (release / "figures" / "extra.csv").write_text("a,b\n", encoding="utf-8")
    (release / "table.csv").unlink()
    assert "figures/extra.csv: is not described" in told(release)
    assert "table.csv: is described in context.csv and is not there" in told(release)
    (release / "context.csv").write_text("file,description\nresults.json,\n", encoding="utf-8")
    assert "results.json: is not described" in told(release)
    (release / "context.csv").write_text("name\n", encoding="utf-8")
    assert "context.csv: must have the columns file and description" in told(release)
    (release / "context.csv").unlink()
    assert "context.csv: is missing" in told(release)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("rows", "hidden"),
    [("född här,120,95,215\nutom Europa,··,··,60\nalla,125,155,275\n", 0), ("född här,··,95,215\nutom Europa,··,··,60\nalla,125,155,275\n", 0)],
    ids=["a row", "as the gate hides it"],
)
def test_a_table_is_held_against_its_own_totals(release: Path, rows: str, hidden: int) -> None:
    """In the first the columns tell: 125 less 120 is from 1 to 9 women born outside Europe."""
    (release / "table.csv").write_text(f"grupp,kvinnor,män,alla\n{rows}", encoding="utf-8")
    assert ("worked out" in told(release)) == ("120" in rows)


def test_the_gates_own_table_and_curve_pass(release: Path, small_curves: Curves) -> None:
    table = release_curve(small_curves, "any", 24).to_frame()
    (release / "curve.csv").write_text(table.to_csv(index=False), encoding="utf-8")
    described(release)
    assert check_release(release) == []


@pytest.fixture(scope="module")
def small_curves(make_study) -> Curves:
    rng = np.random.default_rng(2)
    days = np.minimum(np.concatenate([rng.exponential(400, 60), rng.exponential(600, 60)]) + 1, 800)
    return estimate_curves(*make_study(days, np.where(days < 800, 1, 0), [(number, number + 60) for number in range(60)], range(60)))


def test_a_figure_drawn_of_exit_days_does_not_pass(release: Path, small_curves: Curves) -> None:
    words = figures.Words(
        *[str(number) for number in range(16)], percent=lambda share: f"{100 * share:.0f} %", number=lambda value, decimals=1: f"{value:.{decimals}f}"
    )
    drawn = figures.draw_curves(small_curves, "any", unit_days=30.4375, until_days=720, ticks=[0, 12, 24], words=words, gate=Gate(10))
    svg = figures.svg_text(drawn, name="curves", title="x", description="y")
    (release / "report.sv.html").write_text(page(svg), encoding="utf-8")
    assert "report.sv.html: draws a curve with finer steps than months" in told(release)


def test_a_file_that_only_pretends_is_told_of(release: Path) -> None:
    (release / "tables.xlsx").write_text("not a workbook", encoding="utf-8")
    assert "tables.xlsx: cannot be read as what its name says" in told(release)
    with zipfile.ZipFile(release / "tables.xlsx", "w") as parts:
        parts.writestr("x", io.StringIO("y").read())
    assert "tables.xlsx: cannot be read as what its name says" in told(release)
