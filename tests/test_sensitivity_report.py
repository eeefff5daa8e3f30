"""The sensitivity table in words: every line has a name in both languages, no sentence says more than its numbers, no team or count is told."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.design.cohort_spec import cohort_schema
from evaluation.design.verdict import Check, Verdict
from evaluation.plan import RegisterPlan, load_plan
from evaluation.plan_sections import Language
from evaluation.registers.contract import load_contract
from evaluation.release.rules import ReleaseRules
from evaluation.release.telling import Telling
from evaluation.reporting import sensitivity as told
from evaluation.reporting.blocks import Items, Paragraph, Picture, Rows
from evaluation.reporting.disclosure import Gate
from evaluation.reporting.scene import Scene
from evaluation.reporting.wording import Voice
from evaluation.sensitivity.baseline import Baseline
from evaluation.sensitivity.nulls import MONTHS_EARLIER
from evaluation.sensitivity.placebo import negative_controls, placebo_outcomes
from evaluation.sensitivity.probes import fixed_list
from evaluation.sensitivity.rows import Row, Why
from evaluation.sensitivity.table import Sensitivity, arranged

PLAN = load_plan(Path(__file__).parents[1] / "reports/malmokraften")
assert isinstance(PLAN, RegisterPlan)
SCHEMA = cohort_schema(PLAN.cohort, load_contract())
OWN = Row("baseline", "", value=0.09, low=0.07, high=0.11, p_value=1e-9, n_treated=3000, n_control=7000)
TEAMS = tuple(Row("without_team", f"{team}", value=0.08 + team / 1000, low=0.06, high=0.1, n_treated=2700, n_control=6000) for team in range(1, 11))


@pytest.fixture(params=get_args(Language))
def scene(request: pytest.FixtureRequest) -> Scene:
    return scene_in(request.param)


def scene_in(language: Language) -> Scene:
    return Scene(PLAN, Voice(language, PLAN.unit), SCHEMA, Gate(10))


def found(*rows: Row, baseline: Row = OWN, tables: dict[tuple[str, str], pd.DataFrame] | None = None) -> Sensitivity:
    return Sensitivity(baseline, arranged(baseline, rows), tables or {}, PLAN.primary_days)


def study(passed: bool = True) -> SimpleNamespace:
    checks = (Check("worst_smd", 0.05, 0.1, passed, False), Check("minimal_detectable_effect", 0.03, 0.05, True, False))
    none = SimpleNamespace(effects={})
    return SimpleNamespace(design=SimpleNamespace(verdict=Verdict(checks), plan=PLAN), effects=None, registered=none, exploratory=none, journey=None)


def section_text(sensitivity: Sensitivity | None, scene: Scene) -> str:
    blocks = told.sensitivity_section(study(), sensitivity, scene).blocks
    texts = [block.text for block in blocks if isinstance(block, Paragraph)]
    texts += [" | ".join(row) for block in blocks if isinstance(block, Rows) for row in block.table.rows]
    return "\n".join(texts)


def every_line() -> list[Row]:
    """Give a line of every probe of the plan, of every setting it can have."""
    design = SimpleNamespace(plan=PLAN)
    listed = fixed_list(Baseline(design, None, None, SimpleNamespace(spec=PLAN.registers.cleaning)))
    rows = []
    for probe in listed:
        name, _, setting = probe.name.partition(" ")
        name = {"sustained_days": "sustained"}.get(name, name)
        if name not in ("placebos", "teams", "lost_contact", "unseen", "rosenbaum", "first_months"):
            rows.append(Row(name, setting))
    rows += [Row("lost_contact", setting) for setting in ("0.39", "0.45", "0.5", "1", "treated", "control", "censored")]
    rows += [Row("without_team", setting) for setting in ("lowest", "highest", "")] + [Row("first_months", "3"), Row("team_clusters", "")]
    rows += [Row("e_value", "share"), Row("e_value", "hazard"), Row("rosenbaum", "horizon"), Row("rosenbaum", "time"), Row("detectable", "")]
    rows += [Row("tipping", "0"), Row("tipping", "0.45"), Row("calibrated", ""), *(Row("placebo_start", f"{months}") for months in MONTHS_EARLIER)]
    table_study = SimpleNamespace(plan=None)
    rows += [Row("placebo_outcome", name) for name in ("", *placebo_outcomes(None, table_study))]
    rows += [Row("negative_control", name) for name in ("", *negative_controls(None, table_study))]
    return [*rows, Row("placebo_start", "")]


@pytest.mark.property
def test_every_line_has_a_name_of_its_own_without_a_key_in_it(scene: Scene) -> None:
    names = [told.label(row, scene) for row in every_line() if not (row.probe == "placebo_start" and not row.setting)]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "_" in name or "{" in name or "=" in name]


def test_the_teams_are_told_by_their_two_ends_and_never_by_name(scene: Scene) -> None:
    blocks = told.sensitivity_section(study(), found(*TEAMS), scene).blocks
    (table,) = (block.table for block in blocks if isinstance(block, Rows) and len(block.table.rows) > 1)
    rows = [row for row in table.rows if "team" in row[0].lower()]
    assert [row[1] for row in rows] == [scene.voice.signed(8.1), scene.voice.signed(9.0)]  # the one farther from the answer first
    assert len(rows) == 2


def test_no_count_of_people_is_told(scene: Scene) -> None:
    text = section_text(found(replace(TEAMS[0], n_treated=2997), *TEAMS), scene)
    assert "2997" not in text.replace("\u202f", "").replace(",", "")
    assert "3000" not in text.replace("\u202f", "").replace(",", "")


def test_a_line_about_few_people_is_left_out(scene: Scene) -> None:
    few = Row("period", "fas=1", value=0.2, low=0.1, high=0.3, n_treated=7, n_control=300)
    assert told.label(few, scene) not in section_text(found(few), scene)
    assert told.label(few, scene) in section_text(found(replace(few, n_treated=10)), scene)


@pytest.mark.parametrize("why", get_args(Why))
def test_what_could_not_be_done_stands_with_its_reason(why: Why, scene: Scene) -> None:
    text = section_text(found(Row("elsewhere", "", why=why, reason="said in English only")), scene)
    assert told.label(Row("elsewhere", ""), scene) in text
    assert scene.voice(f"why_{why}") in text
    assert "said in English only" not in text


def test_without_a_run_the_page_says_so_and_grades_nothing(scene: Scene) -> None:
    assert scene.voice("sensitivity_absent") in section_text(None, scene)
    (said,) = told.certainty_section(study(), None, scene).blocks
    assert said.text == scene.voice("sensitivity_absent")


def test_the_grade_stands_with_each_of_its_reasons(scene: Scene) -> None:
    lead, reasons, rules = told.certainty_section(study(passed=False), found(), scene).blocks
    assert lead.text == scene.voice("certainty_lead", grade=scene.voice("grade_very_low"))
    assert isinstance(reasons, Items)
    assert len(reasons.items) == 3  # the design, no placebo, no bound
    assert rules.text == scene.voice("certainty_rules")


ANSWERS = st.lists(st.floats(-0.5, 0.5).map(lambda value: round(value, 3)), min_size=1, max_size=6)


@pytest.mark.property
@given(value=st.floats(-0.4, 0.4).filter(lambda value: abs(value) > 0.001), others=ANSWERS, language=st.sampled_from(get_args(Language)))
def test_the_sentence_holds_the_ends_and_the_number_on_the_other_side(value, others, language) -> None:
    scene, own = scene_in(language), replace(OWN, value=value, low=value - 0.02, high=value + 0.02)
    rows = [Row("caliper", f"{number}", value=other, low=other - 0.01, high=other + 0.01) for number, other in enumerate(others)]
    sentence = told._sentences(found(*rows, baseline=own), rows, scene)[0]
    for number in (value, min(others), max(others)):
        assert scene.voice.signed(100 * number) in sentence
    turned = sum(other * value < 0 for other in others)
    wanted = scene.voice("sensitivity_turned", count=turned) if turned else scene.voice("sensitivity_same_side")
    assert sentence.endswith(wanted)


def test_another_success_and_the_extremes_are_not_in_the_sentence_of_the_ends(scene: Scene) -> None:
    near = Row("caliper", "0.1", value=0.08, low=0.06, high=0.1)
    far = (Row("definition", "studies", value=0.001, low=-0.01, high=0.01), Row("lost_contact", "control", value=-0.1, low=-0.12, high=-0.08))
    sentence = told._sentences(found(near, *far), [near, *far], scene)[0]
    assert scene.voice.signed(8.0) in sentence
    assert scene.voice.signed(-10.0) not in sentence
    assert sentence.endswith(scene.voice("sensitivity_same_side"))


TIP = Row("tipping", "0", "bound", 0.71, unit="share_of_lost")


def test_the_share_that_tips_is_told_and_where_none_does_that_is(scene: Scene) -> None:
    assert scene.voice.percent(0.71, 0) in section_text(found(TIP), scene)
    assert scene.voice("sensitivity_never_tips", **scene.names()) in section_text(found(replace(TIP, value=float("nan"))), scene)
    fewer = replace(OWN, value=-0.09, low=-0.11, high=-0.07)
    assert scene.voice.percent(0.71, 0) not in section_text(found(TIP, baseline=fewer), scene)


@pytest.mark.parametrize(("p_value", "key"), [(1e-6, "placebos_lit"), (0.4, "placebos_clean")])
def test_placebos_are_told_by_what_they_show(p_value, key, scene: Scene) -> None:
    null = Row("placebo_outcome", "earnings_1", "null", 0.03, 0.01, 0.05, p_value)
    assert scene.voice(key, n=1, lit=1) in section_text(found(null), scene)


def test_the_tipping_figure_stands_with_its_table_where_there_is_a_line(scene: Scene) -> None:
    line = pd.DataFrame({"treated_share": [0.0, 0.5, 1.0], "control_share": [0.7, None, None], "control_low": [0.5, 0.9, None], "control_high": None})
    blocks = told.sensitivity_section(study(), found(TIP, tables={("lost_contact", "tipping"): line.astype(float)}), scene).blocks
    assert len([block for block in blocks if isinstance(block, Picture)]) == 2
    rows = next(
        block.table.rows for block in blocks if isinstance(block, Rows) and block.table.caption == scene.voice("tipping_table", **scene.names())
    )
    assert rows[0][1] == scene.voice.percent_sign(0.7)
    assert rows[1][1:] == (scene.voice("tipping_none"), scene.voice.percent_sign(0.9))


def test_beside_a_rounded_answer_no_exact_one_is_told(scene: Scene) -> None:
    """The released answer is the centre; what lies beside it is told by its distance, in steps of the base."""
    released = SimpleNamespace(difference=SimpleNamespace(value=0.1, low=0.06, high=0.14))
    passed = SimpleNamespace(effects={PLAN.primary_days: released}, rules=ReleaseRules(), telling=Telling(ReleaseRules()))
    behind = replace(scene, released=passed)
    near = Row("caliper", "0.1", value=0.0901, low=0.07, high=0.11, n_treated=500, n_control=900)
    far = Row("ratio", "1", value=0.05, low=0.03, high=0.07, n_treated=500, n_control=900)
    null = Row("placebo_start", "36", "null", value=0.004, low=-0.02, high=0.03, p_value=0.6, n_treated=500, n_control=900)
    laid = told.through_gate(found(near, far, null), behind)
    assert laid.baseline.value == 0.1
    values = {row.probe: row.value for row in laid.rows}
    assert values["caliper"] == 0.1  # a ten-thousandth is nobody: it is told as no difference
    assert values["ratio"] == pytest.approx(0.06)  # four steps of 5 in 500 away
    assert values["placebo_start"] == 0.0
    assert all(row.low <= row.value - (one.value - one.low) for row, one in zip(laid.rows, (far, near, null), strict=True))
    assert told.through_gate(found(near), scene).rows == found(near).rows  # nothing is rounded where nothing was released


def test_an_answer_that_stands_elsewhere_is_told_as_there_and_not_at_all_where_it_is_withheld(scene: Scene) -> None:
    rows = [Row("definition", name, value=0.0204, low=0.01, high=0.03, n_treated=500, n_control=900) for name in ("strict", "studies", "independent")]
    shown, withheld = (SimpleNamespace(value=value, low=0.003, high=0.037) for value in (0.02, None))
    elsewhere = {
        ("definition", "strict"): (0.0204, shown),
        ("definition", "studies"): (0.0204, withheld),
        ("definition", "independent"): (0.03, shown),
    }
    laid = {row.setting: row for row in told.through_gate(found(*rows), behind_the_gate(scene), elsewhere).rows}
    assert (laid["strict"].value, laid["strict"].low, laid["strict"].high) == (0.02, 0.003, 0.037)
    assert "studies" not in laid
    beside = {row.setting: row for row in told.through_gate(found(*rows), behind_the_gate(scene)).rows}
    assert laid["independent"] == beside["independent"]  # another number is laid around the answer as all others are
    assert beside["strict"].low != 0.003


@pytest.mark.hand
def test_the_tipping_figure_is_read_out_in_sentences() -> None:
    line = pd.DataFrame({"treated_share": [0.0, 0.39], "control_share": [0.7, float("nan")], "control_low": [0.5, 0.9]})
    assert told._tipping_spoken(line, scene_in("sv")).replace("\u202f", " ") == (
        "0 %: skillnaden försvinner vid 70 % och är osäker från 50 %. 39 %: skillnaden försvinner vid ingen andel och är osäker från 90 %."
    )
    assert told._tipping_spoken(line, scene_in("en")).endswith("39%: the difference is gone at no share and is uncertain from 90%.")


@pytest.mark.hand
def test_a_period_of_the_pandemic_is_called_by_when_people_started() -> None:
    levels = {"fore": ("före", "before"), "under": ("under", "during"), "efter": ("efter", "after")}
    for level, (swedish, english) in levels.items():
        assert told.label(Row("period", f"pandemi={level}"), scene_in("sv")) == f"Bara start {swedish} pandemin"
        assert told.label(Row("period", f"pandemi={level}"), scene_in("en")) == f"Only starts {english} the pandemic"


@pytest.mark.hand
@pytest.mark.parametrize(("turned", "english"), [(1, "1 of them lies on the other side of zero."), (2, "2 of them lie on the other side of zero.")])
def test_how_many_ways_lie_on_the_other_side_is_a_whole_sentence(turned: int, english: str) -> None:
    rows = [Row("caliper", f"{number}", value=-0.02 if number < turned else 0.05) for number in range(3)]
    swedish, said = (told._sentences(found(*rows), rows, scene_in(language))[0] for language in ("sv", "en"))
    assert swedish.endswith(f"{turned} av dem ligger på andra sidan noll.")
    assert said.endswith(english)


def test_a_placebo_s_p_value_has_the_decimals_of_its_steps_and_the_page_says_that_it_is_rounded(scene: Scene) -> None:
    null = Row("placebo_outcome", "earnings_1", "null", 0.004, -0.01, 0.018, 0.5766, 3000, 7000)
    cells = [line.split(" | ")[-1] for line in section_text(found(null), behind_the_gate(scene)).splitlines() if " | " in line]
    assert len(cells[-1]) == len("0,58")
    assert scene.voice("p_rounded") in section_text(found(null), behind_the_gate(scene))


def test_where_the_answer_is_withheld_nothing_around_it_is_told(scene: Scene) -> None:
    released = SimpleNamespace(difference=SimpleNamespace(value=None, low=None, high=None))
    behind = replace(scene, released=SimpleNamespace(effects={PLAN.primary_days: released}, rules=ReleaseRules(), telling=Telling(ReleaseRules())))
    text = section_text(found(Row("caliper", "0.1", value=0.08, low=0.06, high=0.1), TIP), behind)
    assert text == scene.voice("answer_hidden")


def behind_the_gate(scene: Scene) -> Scene:
    released = SimpleNamespace(difference=SimpleNamespace(value=0.09, low=0.06, high=0.12))
    return replace(scene, released=SimpleNamespace(effects={PLAN.primary_days: released}, rules=ReleaseRules(), telling=Telling(ReleaseRules())))


@pytest.mark.parametrize(("left_out", "shown"), [(9, False), (10, True)])
def test_a_team_of_few_is_not_among_the_ends(left_out: int, shown: bool, scene: Scene) -> None:
    """Without the smallest team the answer moves most; that it does so tells of its few people."""
    small = Row("without_team", "11", value=0.02, low=0.0, high=0.04, n_treated=3000 - left_out, n_control=6900)
    assert (scene.voice.signed(2.0) in section_text(found(small, *TEAMS), scene)) is shown
    only = section_text(found(small), scene)
    assert (told.label(replace(small, setting="highest"), scene) in only) is shown


def test_two_studies_a_person_apart_are_told_the_same_bounds_and_p_values(scene: Scene) -> None:
    """Told to the last digit they differ."""
    worlds = []
    for more in (0, 1):  # one success more among 3,000
        change = more / 3000
        rows = [Row("e_value", "share", "bound", 1.834 + 2 * change, low=1.612 + 2 * change, unit="ratio")]
        rows += [Row("rosenbaum", "horizon", "bound", 1.3155 + 2 * change, unit="odds"), replace(TIP, value=0.7103 + 5 * change)]
        rows += [
            Row("placebo_outcome", "earnings_1", "null", 0.0121 + change, -0.01 + change, 0.0342 + change, 0.3456 - 40 * change * 0.01, 3000, 7000)
        ]
        line = pd.DataFrame(
            {
                "treated_share": [0.0, 0.5],
                "control_share": [0.7103 + 5 * change, 0.9 + change],
                "control_low": [0.5 + change, 0.95],
                "control_high": 1.0,
            }
        )
        worlds.append(found(*rows, tables={told.TIPPING: line}))
    behind = [told.through_gate(world, behind_the_gate(scene)) for world in worlds]
    assert [row.value for row in behind[0].rows] == [row.value for row in behind[1].rows]
    assert behind[0].tables[told.TIPPING].equals(behind[1].tables[told.TIPPING])
    assert [row.value for row in worlds[0].rows] != [row.value for row in worlds[1].rows]
    texts = [section_text(world, behind_the_gate(scene)) for world in worlds]
    assert texts[0] == texts[1]
    assert scene.voice.p_number(0.3456) not in texts[0]


@pytest.mark.hand
def test_of_few_people_a_bound_has_fewer_digits(scene: Scene) -> None:
    """One of 90 moves it by some five hundredths, so it is told in fifths; of 3,000 in half hundredths."""
    bound = Row("e_value", "share", "bound", 1.834, low=1.612, unit="ratio")
    for people, shown in ((90, 1.8), (3000, 1.835)):
        own = replace(OWN, n_treated=people)
        (row,) = told.through_gate(found(bound, baseline=own), behind_the_gate(scene)).rows
        assert row.value == pytest.approx(shown)


def test_what_the_design_can_detect_is_told_as_among_the_requirements(scene: Scene) -> None:
    (row,) = told.through_gate(found(Row("detectable", "", "bound", 0.0312)), behind_the_gate(scene)).rows
    assert row.value == 0.0312
