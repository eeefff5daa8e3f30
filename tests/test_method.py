"""Limitations once each, months and columns as a sentence has them, and of which data and which code the numbers are."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, get_args

import duckdb
import pandas as pd
import pytest

from evaluation.analysis.outcomes import TimeUnit
from evaluation.design.cohort_spec import cohort_schema
from evaluation.plan import load_plan
from evaluation.plan_sections import Language, Text
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.contract import load_contract
from evaluation.release.passage import release_design
from evaluation.release.rules import release_rules
from evaluation.reporting import method
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.manifest import table_inputs
from evaluation.reporting.method import limitations_section, method_section
from evaluation.reporting.scene import Scene
from evaluation.reporting.wording import Voice

PLAN = load_plan("reports/malmokraften")
MARK = "0123456789abcdef" * 4
STEPS = [("started", 4_000, None), ("in_jug_at_start", 3_440, 21_000), ("of_age", 3_440, 21_000), ("compared", 3_280, 7_320)]


def design(steps: list[tuple[str, int | None, int | None]] = STEPS, plan: Any = PLAN) -> SimpleNamespace:
    """Give as much of a design as is read here."""
    attrition = pd.DataFrame(steps, columns=["step", "treated", "control"]).astype({"treated": "Int64", "control": "Int64"})
    comparison = SimpleNamespace(attrition=attrition, n_treated=3_280, n_control=7_320)
    nothing = SimpleNamespace(table=pd.DataFrame(columns=["variable", "level", "variance_ratio_before"]))
    absent = pd.DataFrame(columns=["covariate", "table", "reason"])
    return SimpleNamespace(plan=plan, comparison=comparison, cohort=SimpleNamespace(trial="trial"), balance=nothing, absent=absent)


def look(language: Language = "sv", threshold: int = 10, shown: SimpleNamespace | None = None) -> Scene:
    released, _ = release_design(shown or design(), release_rules(threshold))
    schema = cohort_schema(PLAN.cohort, load_contract())
    return Scene(PLAN, Voice(language, TimeUnit.MONTH), schema, Gate(threshold), released)


def limitations(plan: Any, language: Language) -> tuple[str, ...]:
    return limitations_section(design(plan=plan), look(language)).blocks[0].items


# --- limitations


@pytest.mark.parametrize("language", get_args(Language))
def test_a_plan_that_tells_of_displacement_is_not_followed_by_a_sentence_that_says_less_of_it(language: Language) -> None:
    said, of_every_study = limitations(PLAN, language), look(language).voice("limit_spillover")
    assert of_every_study not in said
    of_others = [text for text in said if "undanträng" in text or "displac" in text]
    assert len(of_others) == 1
    silent = PLAN.model_copy(update={"wording": PLAN.wording.model_copy(update={"limitations": (Text(sv="Annat.", en="Else."),)})})
    assert limitations(silent, language)[-1] == of_every_study


# --- words within a sentence


@pytest.mark.hand
@pytest.mark.parametrize(("language", "months"), [("sv", "från mars 2018 till juni 2022"), ("en", "from March 2018 to June 2022")])
def test_the_months_of_the_trials_are_written_as_a_sentence_has_them(language: Language, months: str) -> None:
    text = method._risk_sets(design(), look(language))[0].text
    assert months in text
    assert "2018-03" not in text


@pytest.mark.hand
@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("sv", "exakt lika i startmånad, tid i JUG, kön och född utanför Europa"),
        ("en", "exactly equal in month of start, time in JUG, sex and born outside Europe"),
    ],
)
def test_columns_in_a_sentence_have_no_capital(language: Language, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method, "strata_of", lambda _, exact: exact)
    assert said in method._rules(design(), look(language))


@pytest.mark.hand
def test_only_the_first_column_of_a_crossing_has_a_capital() -> None:
    assert look("sv").breakdown("kon x fodd_utanfor_europa") == "Kön och född utanför Europa"
    assert look("en").breakdown("kon x fodd_utanfor_europa") == "Sex and born outside Europe"


@pytest.mark.hand
@pytest.mark.parametrize(("title", "within"), [("AF-kontor", "AF-kontor"), ("Malmökraftens fas", "Malmökraftens fas"), ("Å", "å"), ("", "")])
def test_an_abbreviation_and_the_programmes_name_keep_their_capital(title: str, within: str) -> None:
    scene = replace(look(), schema=SimpleNamespace(title=lambda *_: title))
    assert scene.column_within("any") == within


# --- what a cell that is nobody, or almost, means


@pytest.mark.hand
@pytest.mark.parametrize(("language", "said"), [("sv", "0–4 betyder högst 4, kanske ingen."), ("en", "0–4 means at most 4, perhaps none.")])
def test_what_nobody_or_a_few_means_is_said_where_such_a_cell_stands_and_nowhere_else(
    language: Language, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_comparison", "_versions_table", "_covariate_table"):
        monkeypatch.setattr(method, name, lambda *_: "")
    bare = {"scores": SimpleNamespace(coefficients=())}
    with_cell, without = design(), design([STEPS[0], STEPS[1], STEPS[3]])
    texts = []
    for shown in (with_cell, without):
        vars(shown).update(bare)
        blocks = method_section(shown, look(language, shown=shown)).blocks
        texts.append(" ".join(str(getattr(block, "text", "")) for block in blocks))
    assert [said in text for text in texts] == [True, False]


# --- of which data and which code


def inputs(**rows: int) -> tuple[dict[str, Any], ...]:
    return tuple({"table": name, "sha256": MARK, "of": "records", "rows": count} for name, count in rows.items())


@pytest.mark.hand
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (999, "färre än 1\u202f000 rader; kontrollsumman visas inte"),
        (1_499, "omkring 1\u202f000 rader, sha256 0123456789abcdef…"),
        (14_600, "omkring 15\u202f000 rader, sha256 0123456789abcdef…"),
        (123_456, "omkring 120\u202f000 rader, sha256 0123456789abcdef…"),
    ],
)
def test_a_register_is_told_by_about_how_many_rows_and_its_checksum_and_a_small_one_by_neither(rows: int, said: str) -> None:
    (one,) = inputs(individ=rows)
    assert method._input_row(one, look()) == ("Personer", said)


@pytest.mark.hand
def test_where_everything_is_shown_the_rows_are_exact() -> None:
    (one,) = inputs(individ=123_456)
    assert method._input_row(one, look("en", threshold=0))[1] == "123,456 rows, sha256 0123456789abcdef…"


def test_the_rows_of_a_register_are_held_as_they_were_told_before() -> None:
    scene = look()
    (one,) = inputs(individ=14_600)
    method._input_row(one, scene)
    assert scene.telling.told["input individ, rows"].value == 15_000


@pytest.mark.parametrize("language", get_args(Language))
def test_the_versions_name_every_register_the_commit_and_whether_it_was_changed(language: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method, "_rows", lambda *_: 27_000)
    of_run = {"inputs": inputs(individ=40_000, inskrivning=90_000), "code": {"commit": "abc123", "dirty": False}}
    rows = dict(method._versions_table(design(), replace(look(language), **of_run)).rows)
    titles = [load_contract().tables[name].titles[language] for name in ("individ", "inskrivning")]
    assert all("sha256 0123456789abcdef…" in rows[title] for title in titles)
    assert rows[look(language).voice("code_commit")] == "abc123"
    changed = replace(look(language), code={"commit": "abc123", "dirty": True})
    assert dict(method._versions_table(design(), changed).rows)[changed.voice("code_commit")].startswith("abc123, ")
    assert look(language).voice("code_commit") not in dict(method._versions_table(design(), look(language)).rows)


@pytest.mark.parametrize("language", get_args(Language))
def test_the_checksum_on_the_page_is_the_beginning_of_the_one_in_the_manifest(language: Language) -> None:
    connection = duckdb.connect()
    connection.execute("create schema register; create table register.individ as select range as lopnr, range % 2 as kon from range(2000)")
    clean = object.__new__(CleanRegisters)
    object.__setattr__(clean, "registers", SimpleNamespace(names=("individ",), connection=connection))
    (one,) = table_inputs(clean, PLAN)
    assert f"sha256 {one['sha256'][:16]}…" in method._input_row(one, look(language))[1]


def test_a_file_whose_checksum_the_run_knows_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    agency = load_plan("reports/employment-agency")
    monkeypatch.setattr(type(agency), "data_file", property(lambda _: pytest.fail("the file is read again")))
    known = replace(look(), inputs=({"table": "people.csv", "sha256": MARK, "of": "file", "rows": 452},))
    assert method._file_mark(agency, known) == [MARK]
