"""What a register study adds to the report: parts that make a whole, sentences that keep to their intervals, gaps that are labelled."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import lxml.html
import numpy as np
import pandas as pd
import pytest
from lxml.html import HtmlElement

from evaluation.analysis.estimates import Clusters, Estimate, Ratio
from evaluation.analysis.means import Contrast
from evaluation.design import covariates
from evaluation.design.verdict import DesignLimits, judge_design
from evaluation.plan import RegisterPlan, load_plan
from evaluation.plan_sections import DisclosureSection, Language
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.release.telling import Telling
from evaluation.reporting import figures, journey, journey_tables, tables
from evaluation.reporting.answer import answer_blocks
from evaluation.reporting.blocks import Block, Paragraph, Rows, Subheading
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.journey_tables import Line
from evaluation.reporting.report import render_report
from evaluation.reporting.scene import Scene, scene_of
from evaluation.reporting.sensitivity import label, sensitivity_section
from evaluation.reporting.subgroups import subgroup_section
from evaluation.reporting.tables import Table, subgroup_rows
from evaluation.reporting.wording import Voice
from evaluation.sensitivity.rows import Row
from evaluation.sensitivity.rows import answer as answer_row
from evaluation.sensitivity.table import Sensitivity, arranged
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")  # that some found no counterpart is told by the report

PROJECT = Path(__file__).parents[1]
COVARIATES = ("age", "kon", "origin", "days_jug")  # few, so that the tests are quick
ROUNDED = 0.05 + 1e-9  # one decimal
NORMAL_975 = 1.959963984540054
ONE_NUMBER = re.compile(r"[+−]?[\d.,\u202f]*\d")
NEW_SECTIONS = ("parts", "periods", "places", "later", "subgroups", "lasting", "definitions")


@pytest.fixture(scope="module")
def study() -> Study:
    plan = load_plan(PROJECT / "reports/malmokraften")
    assert isinstance(plan, RegisterPlan)
    exact = plan.matching.model_copy(update={"exact": ("trial", "duration_band")})
    plan = plan.model_copy(
        update={
            "cohort": plan.cohort.model_copy(update={"covariates": COVARIATES}),
            "matching": exact,
            "disclosure": DisclosureSection(threshold=0),
            "limits": DesignLimits(
                worst_smd=1, worst_subgroup_smd=9, worst_variance_ratio=9, share_treated_kept=0.1, equipoise=0.01, effective_control=1
            ),
        }
    )
    registers = clean_registers(read_registers(simulate_registers(400, 4_000, seed=1).tables))
    return analyse_study(registers, design_study(registers, plan))


@pytest.fixture(params=get_args(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Leave figures undrawn, so that many reports can be read."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in figures.__all__ if name.startswith("draw_")] + ["svg_text"]:
            patch.setattr(figures, name, lambda *_, **__: "")
        yield


def scene(study: Study, language: Language, threshold: int = 0) -> Scene:
    return scene_of(under(study, threshold), language)


def under(study: Study, threshold: int) -> Study:
    plan = study.design.plan.model_copy(update={"disclosure": DisclosureSection(threshold=threshold)})
    return replace(study, design=replace(study.design, plan=plan))


def read(text: str, language: Language) -> list[float]:
    plain = [found.replace("−", "-").replace("\u202f", "") for found in ONE_NUMBER.findall(text)]
    return [float(one.replace(",", ".") if language == "sv" else one.replace(",", "")) for one in plain]


def estimate(value: float, error: float, n: int = 1000) -> Estimate:
    one = np.array([0])
    return Estimate("difference", value, np.array([error]), Clusters(one, one, np.ones(1)), "probability", n=n)


def assert_shown(cells: tuple[str, ...], contrast: Contrast, language: Language, unit: float = 100) -> None:
    shown = [*read(cells[1], language), *read(cells[2], language), *read(cells[3], language), *read(cells[4], language)]
    gap = contrast.difference
    found = (contrast.treated.value, contrast.control.value, gap.value, gap.low, gap.high)
    assert shown == pytest.approx([unit * value for value in found], abs=ROUNDED)


def section(page: str, name: str) -> str:
    return " ".join(lxml.html.document_fromstring(page).get_element_by_id(name).text_content().split())


# --- what the difference consists of


def test_the_parts_make_the_whole(study: Study, language: Language) -> None:
    look = scene(study, language)
    lines = journey_tables.part_lines(study, look)
    assert list(lines) == ["part_unsubsidised", "part_new_start", "part_subsidised", "part_studies"]
    table = journey_tables.share_table("", list(lines.values()), "", look)
    for cells, line in zip(table.rows, lines.values(), strict=True):
        assert_shown(cells, line.contrast, language)
    whole = study.effects.risk_difference[548]
    assert sum(line.contrast.difference.value for line in lines.values()) == pytest.approx(whole.value)
    arms = study.effects.arms
    for arm in ("treated", "control"):
        assert sum(getattr(line.contrast, arm).value for line in lines.values()) == pytest.approx(arms[arm].risk[548].value)


def test_an_interval_of_a_sum_of_states_is_that_of_the_sum(study: Study) -> None:
    line = journey_tables.part_lines(study, scene(study, "en"))["part_subsidised"]
    states = ("arbete_subventionerat", "arbete_lonebidrag", "eget_foretagande")
    gap = study.effects.risk_difference[548]
    influence = sum(study.effects.cumulative_incidence[state, 548].influence for state in states)
    width = line.contrast.difference.high - line.contrast.difference.low
    assert width == pytest.approx(2 * NORMAL_975 * np.sqrt(gap.clusters.variance(influence)))


SUBSIDY = {"sv": ("Av skillnaden utgörs", "skiljer sig med", "för osäkert"), "en": ("Of the difference", "differs by", "too uncertain")}


@pytest.mark.hand
@pytest.mark.parametrize(
    ("whole", "part", "said"),
    [((0.09, 0.01), (0.08, 0.01), 0), ((0.09, 0.10), (0.08, 0.01), 1), ((0.09, 0.01), (-0.05, 0.01), 1), ((0.09, 0.01), (0.01, 0.01), 2)],
    ids=["both clear", "whole unsure", "other way", "part unsure"],
)
def test_subsidised_jobs_are_a_part_of_the_difference_only_where_both_are_clear_and_go_the_same_way(
    study: Study, language: Language, whole: tuple[float, float], part: tuple[float, float], said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journey_tables, "subsidised", lambda *_: estimate(*part))
    found = replace(study, effects=replace(study.effects, risk_difference=study.effects.risk_difference | {548: estimate(*whole)}))
    (sentence,) = journey.subsidised_sentence(found, scene(found, language))
    assert [words in sentence for words in SUBSIDY[language]] == [number == said for number in range(3)]


# --- when it arises


@pytest.mark.hand
@pytest.mark.parametrize(
    ("log", "error", "swedish"),
    [(-0.4, 0.1, "de hölls kvar, det som kallas inlåsning"), (0.4, 0.1, "någon inlåsning syns inte"), (-0.1, 0.1, "är för osäkert för att säga")],
)
def test_lock_in_is_told_by_the_interval_of_the_first_period(study: Study, log: float, error: float, swedish: str) -> None:
    first = Ratio(replace(estimate(log, error), unit="log ratio"))
    found = replace(study.journey, periods={(0.0, 91.0): first, (91.0, 183.0): None})
    (sentence,) = journey._lock_in(study, found, scene(study, "sv"))
    assert swedish in sentence
    assert "de första 3 månaderna" in sentence
    table = journey_tables.period_table(study, found.periods, scene(study, "sv"))
    assert [row[0] for row in table.rows] == ["0–3 månader", "3–6 månader"]
    assert table.rows[1][1:] == ("kan inte skattas", "")


def test_a_first_period_without_a_ratio_says_so(study: Study) -> None:
    (sentence,) = journey._lock_in(study, replace(study.journey, periods={(0.0, 91.0): None}), scene(study, "sv"))
    assert sentence.endswith("går inte att räkna ut.")


@pytest.mark.hand
def test_more_fewer_and_unsure_are_told_apart_by_their_intervals(study: Study) -> None:
    lines = {"6": (-0.05, 0.01), "12": (0.01, 0.01), "18": (0.05, 0.01), "24": (0.09, 0.01)}
    contrasts = {name: Contrast(estimate(0.5, 0.01), estimate(0.5, 0.01), estimate(*gap)) for name, gap in lines.items()}
    found = {name: Line(name, contrast) for name, contrast in contrasts.items()} | {"36": Line("36", None)}
    assert journey.directions(found, scene(study, "sv"), units="månader") == [
        "Fler av deltagarna än i jämförelsegruppen: efter 18 och 24 månader.",
        "Färre av deltagarna än i jämförelsegruppen: efter 6 månader.",
        "För osäkert för att säga åt något håll: efter 12 månader.",
    ]


def test_a_horizon_nobody_reaches_is_a_labelled_row(study: Study, language: Language) -> None:
    look = scene(study, language)
    cut = {days: found for days, found in look.passed.effects.items() if days < 1000}
    table = journey_tables.share_table("", list(journey_tables.horizon_lines(cut, look).values()), "", look)
    assert table.rows[-1][3] == {"sv": "följs inte så länge", "en": "not followed that long"}[language]
    assert [row[0].split()[0] for row in table.rows] == ["6", "12", "18", "24", "36"]


@pytest.mark.parametrize("events", [(9, 100), (100, 9), (791, 100)], ids=["few with", "few controls with", "few without"])
def test_means_and_ratios_are_hidden_where_few_have_or_lack_success(study: Study, events: tuple[int, int], language: Language) -> None:
    arms = {arm: replace(study.effects.arms[arm], n=800, events=had) for arm, had in zip(("treated", "control"), events, strict=True)}
    found, look = replace(study, effects=replace(study.effects, arms=arms)), scene(study, language, 10)
    assert {cell for row in journey_tables.period_table(found, study.journey.periods, look).rows for cell in row[1:]} == {HIDDEN}
    assert journey_tables.later_table(found, study.journey.per_protocol, look).rows[-1][1:] == (HIDDEN, HIDDEN)
    of_never = replace(study.journey.per_protocol, arms=arms)
    assert journey_tables.later_table(study, of_never, look).rows[-1][1:] == (HIDDEN, HIDDEN)
    (sentence,) = journey._lock_in(found, study.journey, look)
    assert sentence.endswith({"sv": "visas inte, eftersom antalen är för små.", "en": "is not shown, because the counts are too small."}[language])


def test_a_mean_that_is_not_followed_that_long_is_a_labelled_row(study: Study, language: Language) -> None:
    found = replace(study, effects=replace(study.effects, rmst_difference=None))
    look = scene(found, language)
    last = journey_tables.later_table(found, replace(study.journey.per_protocol, rmst_difference=None), look).rows[-1]
    assert last[1:] == (look.voice("not_observed"),) * 2


# --- where they are


def test_everybody_is_somewhere_every_month(study: Study, language: Language) -> None:
    look = scene(study, language)
    for month in (0, 7, 24):
        lines = journey_tables.place_lines(study.journey.occupancy, month, look)
        for arm in ("treated", "control"):
            assert sum(getattr(line.contrast, arm).value for line in lines.values()) == pytest.approx(1)
        assert sum(line.contrast.difference.value for line in lines.values()) == pytest.approx(0, abs=1e-12)
        shares = np.array(list(journey_tables.drawn_places(study.journey.occupancy, month, look).values()))
        assert shares.sum(axis=0) == pytest.approx(1)
        assert shares.min() >= 0


def test_what_is_hidden_in_a_month_is_drawn_with_the_rest(study: Study) -> None:
    open_, hidden = (journey_tables.place_lines(study.journey.occupancy, 12, scene(study, "en", threshold)) for threshold in (0, 25))
    missing = [place for place, line in hidden.items() if line.hidden]
    assert len(missing) > 1
    drawn = journey_tables.drawn_places(study.journey.occupancy, 12, scene(study, "en", 25))
    assert {drawn[place] for place in missing if place != "place_elsewhere"} == {(0.0, 0.0)}
    for side, arm in enumerate(("treated", "control")):
        assert sum(pair[side] for pair in drawn.values()) == pytest.approx(1)
        told = {place: getattr(line.contrast, arm).value for place, line in hidden.items() if place not in missing and place != "place_elsewhere"}
        assert {place: drawn[place][side] for place in told} == pytest.approx(told)
    rows = journey_tables.share_table("", list(hidden.values()), "", scene(study, "en", 25)).rows
    assert [set(row[1:]) == {HIDDEN} for row in rows] == [line.hidden for line in hidden.values()]
    assert not any(line.hidden for line in open_.values())


# --- now, later or never


def test_starting_now_stands_beside_never_starting(study: Study, language: Language) -> None:
    table = journey_tables.later_table(study, study.journey.per_protocol, scene(study, language))
    assert len(table.rows) == len(study.effects.risk_difference) + 1
    for row, horizon in zip(table.rows, study.effects.risk_difference, strict=False):
        for cell, effects in zip(row[1:], (study.effects, study.journey.per_protocol), strict=True):
            gap = effects.risk_difference[horizon]
            assert read(cell, language) == pytest.approx([100 * gap.value, 100 * gap.low, 100 * gap.high], abs=ROUNDED)
    mean = study.effects.rmst_difference
    assert read(table.rows[-1][1], language) == pytest.approx([mean.value, mean.low, mean.high], abs=ROUNDED)
    assert table.marks.count("strong") == 1


# --- how lasting, what it comes to, and what else counts


def test_how_lasting_it_is_and_what_it_comes_to_are_as_estimated(study: Study, language: Language) -> None:
    look, found = scene(study, language), study.journey
    lasting = journey_tables.share_table("", journey_tables.durability_lines(found.durability, look), "", look)
    for cells, contrast in zip(lasting.rows, found.durability.contrasts.values(), strict=True):
        assert_shown(cells, contrast, language)
    totals = journey_tables.totals_table(found.totals, look)
    for cells, (name, contrast) in zip(totals.rows, found.totals.contrasts.items(), strict=True):
        whole = name == "earnings_sek"
        assert read(cells[1], language) == pytest.approx([contrast.treated.value], abs=0.5 if whole else ROUNDED)
        assert read(cells[3], language) == pytest.approx([contrast.difference.value], abs=0.5 if whole else ROUNDED)


def test_a_definition_that_could_not_be_had_is_a_labelled_gap(study: Study, language: Language) -> None:
    others = study.journey.definitions | {"independent": "manadslon, studier"}
    lines = journey_tables.definition_lines(study, "project", others, scene(study, language))
    assert [line.label[0] for line in lines] == ["A", "B", "C", "D"]
    assert [line.strong for line in lines] == [False, True, False, False]
    gap = lines[-1]
    assert gap.contrast is None
    assert gap.reason.startswith({"sv": "inte levererat: ", "en": "not delivered: "}[language])
    assert "manadslon" not in gap.reason  # the table by its title


@pytest.mark.parametrize(("fewer", "hidden"), [(0, False), (5, True), (20, False)])
def test_a_definition_few_from_the_study_s_own_is_not_shown_beside_it(study: Study, language: Language, fewer: int, hidden: bool) -> None:
    """Five people fewer of the treated are one step of rounding fewer: the two rows together would tell of one to nine."""
    own, look = study.effects, scene(study, language, 10)
    at_primary = Contrast(own.arms["treated"].risk[548], own.arms["control"].risk[548], own.risk_difference[548])
    shown = Telling(look.rules).shares("own", {"own": at_primary})["own"]
    look = replace(look, released=replace(look.passed, effects={**look.passed.effects, 548: shown}, seal=look.passed.seal))
    arms = dict(own.arms)
    for arm, less in (("treated", fewer), ("control", 40)):
        risk = arms[arm].risk[548]
        arms[arm] = replace(arms[arm], risk={**arms[arm].risk, 548: replace(risk, value=risk.value - less / risk.n)})
    strict, project = journey_tables.definition_lines(study, "project", {"strict": replace(own, arms=arms)}, look)
    assert not project.hidden
    assert strict.hidden is hidden
    row = journey_tables.counted_table("", [strict], "", look).rows[0]
    assert (row[1] == HIDDEN) is hidden
    assert row[-2:] == tuple(look.voice.count(count) for count in shown.people)


@pytest.mark.parametrize("threshold", [0, 10])
def test_who_rests_on_fewer_people_than_the_answer_says_so(study: Study, language: Language, threshold: int) -> None:
    look = scene(study, language, threshold)
    same = look.passed.effects[548]
    control = look.voice.count(same.people[1])
    fewer, few = (replace(same, people=(count, same.people[1]), seal=same.seal) for count in (55, None))
    assert journey_tables.rests_on(same, look) is None
    assert journey_tables.rests_on(fewer, look) == {"n": "55", "m": control}
    assert journey_tables.rests_on(few, look) == {"n": look.voice("a_few"), "m": control}
    (row,) = journey_tables.counted_table("", [Line("D", fewer)], "", look).rows
    assert row[-2:] == ("55", control)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("definition", "said"),
    [("strict", "osubventionerat arbete"), ("project", "arbete eller reguljära studier"), ("studies", "reguljära studier")],
)
def test_what_lasts_is_called_by_the_definition_of_the_plan(study: Study, definition: str, said: str) -> None:
    plan = study.design.plan
    look = replace(scene(study, "sv"), plan=plan.model_copy(update={"outcome": plan.outcome.model_copy(update={"definition": definition})}))
    first = journey_tables.durability_lines(study.journey.durability, look)[0]
    assert first.label == f"Fortfarande i {said} efter 90 dagar"


# --- the page


@pytest.fixture(scope="module")
def page(study: Study) -> HtmlElement:
    return lxml.html.document_fromstring(render_report(study, language="sv"))


def words(element: HtmlElement) -> str:
    return " ".join(element.text_content().split())


def test_every_figure_of_a_register_study_is_named_described_and_followed_by_its_table(page: HtmlElement) -> None:
    drawn = list(page.iter("figure"))
    assert {svg.get("aria-labelledby").split("-")[0] for svg in page.iter("svg")} == {
        *("flow", "overlap", "love", "verdict", "curves", "parts", "points", "places", "forest", "definitions", "goals")
    }
    for figure in drawn:
        assert figure.getnext().find("table") is not None
        assert all(words(element) for element in figure.iter("title", "desc", "figcaption"))
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)


def test_headings_do_not_jump_and_no_table_has_two_rows_of_one_name(page: HtmlElement) -> None:
    levels = [int(heading.tag[1]) for heading in page.iter("h1", "h2", "h3")]
    assert 3 in levels
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    for table in page.xpath("//section[not(@id='goals' or @id='costs')]//table"):  # a goal has several sources, an item several actors
        names = Counter(words(row.find("th")) for row in table.find("tbody"))
        assert not [name for name, count in names.items() if count > 1]


def test_months_are_whole_and_no_ratio_is_called_times_faster(page: HtmlElement) -> None:
    text = words(page)
    assert "18 månader" in text
    assert not re.search(r"\d,0 månader", text)
    assert "gånger snabbare" not in text


def test_the_answer_counts_people_and_tells_of_subsidies_and_of_never_starting(page: HtmlElement, study: Study) -> None:
    text, look = words(page.get_element_by_id("answer")), scene(study, "sv")
    risk = study.effects.arms["treated"].risk[548]
    assert f"Av de 400 personer som började i Malmökraften kunde {look.voice.count(risk.n)} jämföras. Av dem hade " in text
    assert text.count("osäkerhetsintervall") == text.count("(95 procents osäkerhetsintervall ") == 1
    assert journey.subsidised_sentence(study, look)[0] in text
    assert ("Jämfört med att aldrig börja är skillnaden" in text) != study.journey.censoring.few
    assert re.search(r"\d dagar för deltagarna", text)


def test_every_breakdown_has_its_own_figure_that_says_which_definition_it_is(page: HtmlElement, study: Study) -> None:
    headings = [words(heading) for heading in page.get_element_by_id("subgroups").iter("h3")]
    captions = [words(caption) for caption in page.get_element_by_id("subgroups").iter("figcaption")]
    assert len(headings) == len(study.design.plan.subgroups.every)
    assert [caption.startswith(heading) for heading, caption in zip(headings, captions, strict=True)] == [True] * len(headings)
    assert not [heading for heading in headings if "utomeuropeisk" in heading.lower()]
    assert "född utanför Europa minus född i Europa" in words(page.get_element_by_id("subgroups"))


def test_the_groups_of_a_breakdown_stand_in_the_order_of_the_plan(page: HtmlElement) -> None:
    (table,) = [table for table in page.get_element_by_id("subgroups").iter("table") if words(table.find("caption")).startswith("Pandemin")]
    rows = [words(row.find("th")) for row in table.find("tbody") if not row.get("class")]
    assert rows == ["före", "under", "efter"]


def test_risk_sets_are_not_said_to_have_a_start_day_from_a_table(page: HtmlElement) -> None:
    text = words(page.get_element_by_id("limitations"))
    assert "De som började hade erbjudits en plats och var fortfarande arbetslösa när den började." in text
    assert "(odödlig tid). Det utesluter inte att de som började skilde sig" in text
    assert "en startdag som tabellen ger" not in text
    method = words(page.get_element_by_id("method"))
    assert "För varje månad från mars 2018 till juni 2022" in method
    assert "gränser vid 6, 12 och 24 månader" in method
    assert "inom en månad står en person för en deltagare; samma person kan stå i flera månader" in method
    assert "Sannolikhet bland de lottade" in words(page.get_element_by_id("overlap"))


@pytest.mark.usefixtures("undrawn")
def test_every_result_of_a_failed_design_says_that_it_is_not_supported(study: Study, language: Language) -> None:
    design = study.design
    verdict = judge_design(design.cohort, design.scores, design.comparison, design.balance, DesignLimits(worst_smd=design.balance.worst / 2))
    page = render_report(replace(study, design=replace(design, verdict=verdict)), language=language)
    warning = Voice(language, design.plan.unit)("unsupported")
    assert [name for name in ("results", *NEW_SECTIONS) if warning not in section(page, name)] == []
    assert not re.search(r"procentenheter|percentage points", section(page, "answer"))


@pytest.mark.usefixtures("undrawn")
def test_few_people_leave_no_count_in_any_cell_of_a_register_study(study: Study, language: Language) -> None:
    page = lxml.html.document_fromstring(render_report(under(study, 60), language=language))
    counts = [words(cell) for cell in page.iter("td") if re.fullmatch(r"[1-9]|[1-5]\d", words(cell))]
    means = [words(cell) for row in page.xpath("//section[@id='lasting']//table[last()]//tbody/tr") for cell in row.findall("td")[:2]]
    assert Counter(counts) <= Counter(means)  # days per person, rounded to whole ones, are no people
    assert HIDDEN in [words(cell) for cell in page.iter("td")]


def every_table(study: Study, look: Scene) -> Iterator[Table]:
    found = study.journey
    yield journey_tables.share_table("p", list(journey_tables.part_lines(study, look).values()), "h", look)
    yield journey_tables.share_table("l", journey_tables.durability_lines(found.durability, look), "h", look)
    yield journey_tables.counted_table("d", journey_tables.definition_lines(study, "project", found.definitions, look), "h", look)
    yield journey_tables.later_table(study, found.per_protocol, look)
    yield journey_tables.period_table(study, found.periods, look)
    yield journey_tables.totals_table(found.totals, look)


@pytest.mark.parametrize("threshold", [0, 30, 400])
def test_every_row_is_as_long_as_its_head_whatever_is_hidden(study: Study, language: Language, threshold: int) -> None:
    for table in every_table(study, scene(study, language, threshold)):
        assert {len(row) for row in table.rows} == {len(table.head)}
        assert len(table.marked()) == len(table.rows)


@pytest.mark.usefixtures("undrawn")
def test_a_definition_and_pay_that_rest_on_fewer_are_told_in_a_sentence(study: Study) -> None:
    def cut(contrast: Contrast) -> Contrast:
        return replace(contrast, treated=replace(contrast.treated, n=57))

    effects = study.journey.definitions["independent"]
    assert not isinstance(effects, str)
    risk = effects.arms["treated"].risk
    arms = effects.arms | {"treated": replace(effects.arms["treated"], risk=risk | {548: replace(risk[548], n=57)})}
    totals = study.journey.totals
    pay = {"earnings_sek": cut(totals.contrasts["earnings_sek"])}
    found = replace(
        study.journey,
        definitions=study.journey.definitions | {"independent": replace(effects, arms=arms)},
        totals=replace(totals, contrasts=totals.contrasts | pay),
    )
    page = render_report(replace(study, journey=found), language="sv")
    assert "Definition D gäller bara dem som kan följas så: 57 av deltagarna och" in section(page, "definitions")
    assert "Lönen gäller bara dem vars lön kan följas i 24 månader: 57 av deltagarna och" in section(page, "lasting")


@pytest.mark.usefixtures("undrawn")
def test_characteristics_left_out_are_told_once_for_each_reason(study: Study) -> None:
    known = {name: covariate.table for name, covariate in covariates.COVARIATES.items()}
    names = [name for name, table in known.items() if table == known["age"]][:2] + [name for name, table in known.items() if table != known["age"]][
        :1
    ]
    rows = [(name, known[name], "not_delivered") for name in names] + [("days_jug", known["days_jug"], "same_for_all")]
    absent = pd.DataFrame(rows, columns=["covariate", "table", "reason"])
    page = section(render_report(replace(study.design, absent=absent), language="sv"), "limitations")
    first, second, third = (covariates.COVARIATES[name].titles[0] for name in names)
    assert f"inte kunnat göras lika: Personer: {first} och {second}; " in page
    assert f": {third}." in page
    assert f"har därför inte använts: Programbeslut: {covariates.COVARIATES['days_jug'].titles[0]}." in page
    none = section(render_report(replace(study.design, absent=absent[:0]), language="sv"), "limitations")
    assert "saknas i leveransen" not in none


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("starts", [0, 10**6], ids=["few", "many"])
def test_where_few_start_later_never_starting_is_warned_of_and_its_model_not_shown(study: Study, starts: int) -> None:
    coefficients = study.design.scores.coefficients.assign(term="age")[:1]
    censoring = replace(
        study.journey.censoring,
        by_month=study.journey.censoring.by_month.assign(started=starts),
        coefficients=coefficients,
        dropped=pd.DataFrame({"term": ["x", "y"], "reason": ["constant", "constant"]}),
    )
    assert censoring.few == (starts == 0)
    page = render_report(replace(study, journey=replace(study.journey, censoring=censoring)), language="sv")
    warning = "för få började senare för att modellen ska bära"
    assert (warning in section(page, "later")) == (warning in section(page, "method")) == censoring.few
    assert ("Jämfört med att aldrig börja" in section(page, "answer")) != censoring.few
    assert ("Modellen för att själv börja" in section(page, "method")) != censoring.few
    assert ("Termer som modellen fick vara utan: 2 som inte varierar." in section(page, "method")) != censoring.few


@pytest.mark.usefixtures("undrawn")
def test_the_model_of_few_later_starters_is_hidden(study: Study) -> None:
    censoring = replace(study.journey.censoring, started=5)
    page = render_report(under(replace(study, journey=replace(study.journey, censoring=censoring)), 10), language="sv")
    assert "Modellen för att själv börja" not in section(page, "method")


@pytest.mark.usefixtures("undrawn")
def test_who_is_counted_from_the_offer_is_said_with_the_answer_and_the_method(study: Study, language: Language) -> None:
    plan = study.design.plan
    offered = plan.model_copy(update={"cohort": plan.cohort.model_copy(update={"time_zero": "offer"})})
    said = Voice(language, plan.unit)("from_the_offer")
    from_offer = render_report(replace(study, design=replace(study.design, plan=offered)), language=language)
    assert [said in section(from_offer, name) for name in ("answer", "method")] == [True, True]
    assert said not in render_report(study, language=language)


@pytest.mark.usefixtures("undrawn")
def test_a_design_of_registers_shows_its_people_and_no_result(study: Study, language: Language) -> None:
    page = lxml.html.document_fromstring(render_report(study.design, language=language))
    names = [part.get("id") for part in page.iter("section")]
    assert not {"results", *NEW_SECTIONS} & set(names)
    assert "who" in names
    said = " ".join(words(part) for part in page.iter("section") if part.get("id") != "limitations")
    assert study.design.plan.wording.success.within(language) not in said
    assert Voice(language, study.design.plan.unit)("step_in_jug") in said


# --- what a reader holds side by side


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("threshold", "left_out"), [(0, []), (10, ["0"])])
def test_the_day_of_the_start_has_no_table_where_half_its_rows_are_hidden_and_the_page_says_so(
    study: Study, language: Language, threshold: int, left_out: list[str]
) -> None:
    look = scene(study, language, threshold)
    early, _ = journey.journey_sections(study, study.journey, look)
    (told,) = (section for section in early if section.id == "places")
    tables = [block.table for block in told.blocks if isinstance(block, Rows)]
    months = [f"{month}" for month in journey_tables.TABLE_MONTHS if f"{month}" not in left_out]
    assert [table.caption for table in tables] == [look.voice("places_table", month=month) for month in months]
    hidden = [one.hidden for one in journey_tables.place_lines(study.journey.occupancy, 0, look).values()]
    assert (2 * sum(hidden) >= len(hidden)) is bool(left_out)
    assert told.blocks[0].text == " ".join([look.voice("places_text"), *([look.voice("places_untold")] if left_out else [])])


@pytest.mark.usefixtures("undrawn")
def test_unsubsidised_work_by_its_own_definition_is_told_from_the_part_by_that_name(study: Study, language: Language) -> None:
    """Somebody went to unsubsidised work after a subsidised job, and is in definition A only."""
    look = scene(study, language)
    said = look.voice("strict_beside_parts", parts=look.voice("parts"))
    assert said in section(render_report(study, language=language), "definitions")
    strict = study.journey.definitions["strict"]
    for arm in ("treated", "control"):
        first = study.effects.arms[arm].cumulative_incidence["arbete_osubventionerat", 548].value
        assert strict.arms[arm].risk[548].value > first
    alone = replace(study, journey=replace(study.journey, definitions={"strict": "sokandekategorier"}))
    assert said not in section(render_report(alone, language=language), "definitions")


@pytest.mark.hand
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("shares", "apart"), [((0.492, 0.400, 0.092), False), ((0.4924, 0.4008, 0.0916), True)], ids=["as shown", "a tenth off"])
def test_where_the_shown_shares_do_not_give_the_shown_difference_the_answer_says_so_once(
    study: Study, language: Language, shares: tuple[float, float, float], apart: bool
) -> None:
    """49.24 less 40.08 is 9.16: shown as 49.2, 40.1 and 9.2."""
    look = scene(study, language)
    sides = Contrast(*(estimate(share, 0.01) for share in shares))
    at_primary = Telling(look.rules).shares("own", {"own": sides})["own"]
    look = replace(look, released=replace(look.passed, effects={548: at_primary}, seal=look.passed.seal))
    assert (tables.rounding_note([at_primary], look) == [look.voice("rounded_apart")]) is apart
    answer = " ".join(block.text for block in answer_blocks(study, look))
    assert (look.voice("rounded_apart") in answer) is apart
    early, _ = journey.journey_sections(study, study.journey, look)
    (parts,) = (section for section in early if section.id == "parts")
    assert not apart or look.voice("rounded_apart") not in " ".join(block.text for block in parts.blocks if isinstance(block, Paragraph))


@pytest.mark.hand
@pytest.mark.parametrize("sign", [1, -1])
def test_how_much_of_the_difference_is_subsidised_has_no_sign(study: Study, sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journey_tables, "subsidised", lambda *_: estimate(sign * 0.08, 0.01))
    found = replace(study, effects=replace(study.effects, risk_difference=study.effects.risk_difference | {548: estimate(sign * 0.09, 0.01)}))
    (sentence,) = journey.subsidised_sentence(found, scene(found, "sv"))
    assert sentence == "Av skillnaden utgörs 8,0 procentenheter (6,0 till 10,0) av subventionerat arbete."


@pytest.mark.usefixtures("undrawn")
def test_the_same_answer_is_the_same_number_wherever_it_stands(study: Study, language: Language) -> None:
    """Definitions, never starting and groups of a period stand in sections of their own; the sensitivity table tells them as those do."""
    found, look = study.journey, scene(study, language, 10)
    rows = [answer_row("definition", name, effects, 548) for name, effects in found.definitions.items()]
    rows += [answer_row("own_start", "", found.per_protocol, 548)]
    phases = {level: effects for (by, level), effects in study.registered.effects.items() if by == "fas"}
    rows += [answer_row("period", f"fas={level}", effects, 548) for level, effects in phases.items()]
    own = answer_row("baseline", "", study.effects, 548)
    sensitivity = Sensitivity(own, arranged(own, rows), {}, 548)
    blocks = sensitivity_section(under(study, 10), sensitivity, look).blocks
    (table,) = (block.table for block in blocks if isinstance(block, Rows))
    told = {row[0]: (row[1], row[2]) for row in table.rows}
    elsewhere = {}
    lines = journey_tables.definition_lines(study, "project", found.definitions, look)
    for name, line in zip(("strict", "project", "studies", "independent"), lines, strict=True):
        if name != "project" and not line.hidden:
            gap = line.contrast.difference
            elsewhere[label(Row("definition", name), look)] = (look.points(gap), look.point_range(gap))
    never = dict(row[0::2] for row in journey_tables.later_table(study, found.per_protocol, look).rows)
    gap, interval = never[look.voice("risk_row", horizon=look.voice.span(548))].removesuffix(")").split(" (")
    elsewhere[label(Row("own_start", ""), look)] = (gap, interval)
    for level in phases:
        (row,) = (row for row in subgroup_rows(study, look) if row.kind == "group" and row.label == look.level("fas", level))
        elsewhere[label(Row("period", f"fas={level}"), look)] = (look.points(row.estimate), look.point_range(row.estimate))
    assert len(elsewhere) == 6
    assert {name: cells for name, cells in told.items() if name in elsewhere} == elsewhere


@pytest.mark.usefixtures("undrawn")
def test_groups_that_share_people_say_so_and_only_they(study: Study, language: Language) -> None:
    look = scene(study, language, 10)
    blocks = subgroup_section(under(study, 10), look).blocks
    shared, heading = set(), ""
    for block in blocks:
        if isinstance(block, Subheading):
            heading = block.text
        if isinstance(block, Paragraph) and block.text == look.voice("same_person_groups"):
            shared.add(heading)
    cohort, rows = study.design.cohort, study.design.comparison.rows
    wanted = set()
    for by in {by for by, _ in [*study.registered.effects, *study.exploratory.effects] if " x " not in by}:
        groups = pd.Series(cohort.column(by).astype(str).to_numpy()[rows]).groupby(cohort.person_code[rows]).nunique()
        if (groups > 1).sum() > 5 * look.rules.base:  # more than rounding can be
            wanted |= {name for name in (look.breakdown(by), look.voice("exploratory", by=look.breakdown(by))) if name in names_of(blocks)}
    assert shared == wanted
    assert 0 < len(shared) < len(names_of(blocks))
    told = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert look.voice("p_rounded") in told[-1]


def names_of(blocks: Sequence[Block]) -> set[str]:
    return {block.text for block in blocks if isinstance(block, Subheading)}
