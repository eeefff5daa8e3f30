"""How near the goals, on the page: every version, gross and said so, nothing of few people, no sentence against its number."""

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.goal_forecast import Forecast
from evaluation.analysis.goals import GoalFollowUp, GoalPhase, GoalSpec, GoalVersion, PublishedCount, Words, follow_goals
from evaluation.plan import Language, RegisterPlan, load_plan
from evaluation.registers.contract import load_contract
from evaluation.reporting.blocks import Block, Items, Paragraph, Picture, Rows
from evaluation.reporting.disclosure import HIDDEN, Gate
from evaluation.reporting.goals import attained_table, goals_section, groups_table, published_table, quarters_table, versions_table
from evaluation.reporting.scene import Scene
from evaluation.reporting.wording import Voice

PROJECT = Path(__file__).parents[1]
UNTIL = dt.date(2021, 3, 31)
ENDS = dt.date(2021, 12, 31)
SOURCE = Words(sv="beslut", en="decision")


@pytest.fixture(params=get_args(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture(scope="module")
def plan() -> RegisterPlan:
    plan = load_plan(PROJECT / "reports/malmokraften")
    assert isinstance(plan, RegisterPlan)
    return plan


def scene(plan: RegisterPlan, language: Language, threshold: int = 0) -> Scene:
    contract = load_contract()
    return Scene(plan, Voice(language, plan.unit), contract.tables["individ"], Gate(threshold))


def participants(n: int = 400, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 450, n), "D")
    waited = pd.to_timedelta(rng.integers(20, 500, n), "D")
    found = pd.Series(rng.random(n) < 0.6)
    table = pd.DataFrame(
        {
            "lopnr": [f"p{number}" for number in range(n)],
            "fas": "2.0",
            "start_datum": start,
            "slut_datum": (start + waited),
            "projekt_resultat": np.where(found, "arbete", "annat"),
            "resultat_datum": start + waited,
        }
    )
    groups = pd.DataFrame({"kon": rng.choice(["1", "2"], n), "fodd_utanfor_europa": rng.choice(["ja", "nej"], n)}, index=table["lopnr"])
    groups.iloc[:5, 1] = "okand"
    return table, groups


def spec(**more: object) -> GoalSpec:
    versions = tuple(GoalVersion(goal="2.0", version=version, persons=persons, of=of, source=SOURCE) for version, persons, of in VERSIONS)
    return GoalSpec.model_validate({"versions": versions, "phases": {"2.0": GoalPhase(last_start=UNTIL, ends=ENDS)}, **more})


VERSIONS = [(1, 250, 560), (1, 250, 600), (2, 40, 400)]


@pytest.fixture(scope="module")
def found() -> GoalFollowUp:
    table, groups = participants()
    return follow_goals(table, spec(), until=UNTIL, groups=groups)


def texts(blocks: tuple[Block, ...]) -> str:
    parts = [block.text if isinstance(block, Paragraph) else " ".join(block.items) for block in blocks if isinstance(block, Paragraph | Items)]
    return " ".join(parts)


def numbers(cells: tuple[str, ...]) -> list[float]:
    return [float(cell.replace("\u202f", "").replace(",", ".")) for cell in cells]


# --- goals and counts


@pytest.mark.hand
def test_every_version_stands_with_its_source_and_the_count_is_set_against_each_number_once(plan: RegisterPlan, found: GoalFollowUp) -> None:
    look = scene(plan, "sv")
    versions = versions_table(found, look)
    assert [row[1:4] for row in versions.rows] == [("250", "560", "44,6"), ("250", "600", "41,7"), ("40", "400", "10,0")]
    assert all(row[-1] == "beslut" for row in versions.rows)
    started, exits = found.count("2.0")
    rows = attained_table(found, look).rows
    assert [row[0] for row in rows] == ["Fas 2.0, version 2", "Fas 2.0, version 1"]
    for row, persons in zip(rows, (40, 250), strict=True):
        assert numbers(row[1:]) == [persons, started, exits, pytest.approx(100 * exits / persons, abs=0.05 + 1e-9)]


def test_it_is_said_first_that_this_is_not_the_effect(plan: RegisterPlan, found: GoalFollowUp, language: Language) -> None:
    blocks = goals_section(found, scene(plan, language)).blocks
    assert isinstance(blocks[0], Paragraph)
    assert {"sv": "inte vad Malmökraften bidrog med", "en": "does not say what Malmökraften added"}[language] in blocks[0].text
    for word in ("ledde till", "tack vare", "led to", "thanks to"):
        assert word not in texts(blocks)


def test_a_goal_of_something_else_is_shown_without_a_count(plan: RegisterPlan) -> None:
    other = GoalVersion(goal="2.0", version=2, persons=200, source=SOURCE, counts=Words(sv="sjukskrivna", en="the sick"))
    found = follow_goals(participants()[0], spec(versions=(other,)), until=UNTIL)
    section = goals_section(found, scene(plan, "sv"))
    assert "målet gäller sjukskrivna; projektets resultat räknar inte det" in texts(section.blocks)
    assert attained_table(found, scene(plan, "sv")).rows == ()


@pytest.mark.parametrize(
    ("persons", "said"),
    [
        ((50,), "Det når målet på 50 personer."),
        ((5000,), "Det når inte målet på 5\u202f000 personer."),
        ((50, 60, 5000), "Det når målen på 50 och 60 personer men inte målet på 5\u202f000 personer."),
    ],
)
def test_what_is_said_to_be_met_is_met(plan: RegisterPlan, persons: tuple[int, ...], said: str) -> None:
    versions = tuple(GoalVersion(goal="2.0", version=1, persons=number, source=SOURCE) for number in persons)
    found = follow_goals(participants()[0], GoalSpec(versions=versions), until=dt.date(2022, 12, 31))
    assert said in texts(goals_section(found, scene(plan, "sv")).blocks)


def test_published_figures_stand_beside_ours_of_the_same_day(plan: RegisterPlan, language: Language) -> None:
    said = [
        PublishedCount(goal="2.0", persons=600, precision="more_than", until=dt.date(2020, 12, 31), source=SOURCE),
        PublishedCount(goal="2.0", persons=1_234, of=4_000, until=dt.date(2030, 1, 1), source=SOURCE),
    ]
    found = follow_goals(participants()[0], spec(published=said), until=UNTIL)
    first, later = published_table(found, scene(plan, language)).rows
    started, exits = found.count("2.0", day=dt.date(2020, 12, 31))
    assert first[1] == {"sv": "fler än 600", "en": "more than 600"}[language]
    assert first[3:5] == (str(started), str(exits))
    assert later[1] == {"sv": "1\u202f234 av 4\u202f000", "en": "1,234 of 4,000"}[language]
    assert later[3:5] == ("–", "–")


# --- the forecast


def forecast(found: GoalFollowUp, low: float, high: float) -> GoalFollowUp:
    made: Forecast = found.forecasts["2.0"]
    return replace(found, forecasts={"2.0": replace(made, low=np.full(len(made.low), low), high=np.full(len(made.high), high))})


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (100, 200, "ligger över målet på 40 personer. Hela intervallet ligger under målet på 250 personer."),
        (100, 250, "ligger över målet på 40 personer. Om målet på 250 personer nås går inte att säga."),
        (250, 300, "ligger över målen på 40 och 250 personer."),
        (10, 260, "Om målen på 40 och 250 personer nås går inte att säga."),
    ],
)
def test_a_forecast_says_no_more_than_its_interval(plan: RegisterPlan, found: GoalFollowUp, low: float, high: float, said: str) -> None:
    text = texts(goals_section(forecast(found, low, high), scene(plan, "sv")).blocks)
    assert said in text
    assert f"mellan {low} och {high} personer" in text
    for word in ("ligger över", "ligger under", "går inte att säga"):
        assert (word in text) == (word in said)


def test_a_rehearsal_says_whether_it_was_right(plan: RegisterPlan) -> None:
    ended = spec(phases={"2.0": GoalPhase(last_start=UNTIL, ends=UNTIL)})
    found = follow_goals(participants()[0], ended, until=dt.date(2022, 12, 31))
    made, exits = found.rehearsals["2.0"], found.count("2.0", day=UNTIL)[1]
    for low, word in ((exits - 5.0, "inom intervallet"), (exits + 5.0, "utanför intervallet")):
        moved = replace(found, rehearsals={"2.0": replace(made, low=np.full(len(made.low), low), high=np.full(len(made.high), low + 10))})
        assert f"Det blev {exits}, {word}" in texts(goals_section(moved, scene(plan, "sv")).blocks)


# --- few people


def test_no_two_numbers_shown_differ_by_few(plan: RegisterPlan) -> None:
    table, groups = participants(300)
    threshold = 10
    day = dt.date(2020, 11, 30)
    published = [PublishedCount(goal="2.0", persons=1, until=day, source=SOURCE)]
    found = follow_goals(table, spec(published=published, horizons_months=(6, 12)), until=UNTIL, groups=groups)
    look = scene(plan, "sv", threshold)
    quarters = quarters_table(found, "2.0", look).rows
    for column in (1, 2):
        shown = [int(row[column]) for row in quarters if row[column].isdigit()]
        other = published_table(found, look).rows[0][2 + column]
        shown += [int(other)] if other.isdigit() else []
        gaps = np.diff(np.sort([0, *shown]))
        assert all(gap == 0 or gap >= threshold for gap in gaps)
        assert len(shown) > 1
    rows = groups_table(found, "2.0", look).rows
    hidden = [row for row in rows if row[1] == HIDDEN]
    assert len(hidden) == 2  # of unknown origin, and who would otherwise be what is left of the whole
    assert all(set(row[1:]) == {HIDDEN} for row in hidden)
    open_rows = groups_table(found, "2.0", scene(plan, "sv")).rows
    assert not any(HIDDEN in row for row in open_rows)


def test_a_quarter_in_which_few_started_is_not_shown(plan: RegisterPlan) -> None:
    table = participants(203)[0]
    months = ["2020-01-15"] * 100 + ["2020-05-15"] * 3 + ["2020-08-15"] * 100
    table = table.assign(start_datum=pd.to_datetime(months), slut_datum=pd.NaT, projekt_resultat=None, resultat_datum=pd.NaT)
    found = follow_goals(table, GoalSpec(), until=dt.date(2020, 9, 30))
    assert [row[1] for row in quarters_table(found, "2.0", scene(plan, "sv")).rows] == ["100", "103", "203"]
    assert [row[1] for row in quarters_table(found, "2.0", scene(plan, "sv", 10)).rows] == ["103", "203"]


def test_the_figure_shows_no_more_than_the_table_beside_it(plan: RegisterPlan, found: GoalFollowUp, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[list[float], list[float]]] = []
    monkeypatch.setattr("evaluation.reporting.goals.draw_goal", lambda months, exits, *_, **__: drawn.append((months, exits)))
    monkeypatch.setattr("evaluation.reporting.figures.svg_text", lambda *_, **__: "")
    look = scene(plan, "en", 10)
    goals_section(found, look)
    shown = [int(row[2]) for row in quarters_table(found, "2.0", look).rows if row[2].isdigit()]
    assert drawn[0][1] == [0, *shown]


def test_both_languages_say_the_same(plan: RegisterPlan, found: GoalFollowUp) -> None:
    swedish, english = (goals_section(found, scene(plan, language)).blocks for language in ("sv", "en"))
    assert [type(block) for block in swedish] == [type(block) for block in english]
    for one, other in zip(swedish, english, strict=True):
        if isinstance(one, Rows) and isinstance(other, Rows):
            assert [len(row) for row in one.table.rows] == [len(row) for row in other.table.rows]
            assert one.table.caption != other.table.caption
    figures = [block for block in swedish if isinstance(block, Picture)]
    assert len(figures) == 1
    assert re.search(r"<title[^>]*>Fas 2\.0: antal och mål</title>", figures[0].svg)
