"""Page one's lines: the goals whether or not the design held, each group's own effect beside their difference, and why two counts differ."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import pytest
import weasyprint

from evaluation.analysis.goals import GoalFollowUp
from evaluation.design.verdict import DesignLimits
from evaluation.plan import RegisterPlan, load_plan
from evaluation.plan_sections import Language, SubgroupSection
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.release.passage import ReleasedStudy
from evaluation.release.released import ReleasedNumber
from evaluation.reporting import figures
from evaluation.reporting.blocks import Items
from evaluation.reporting.glance import glance, group_sentences
from evaluation.reporting.report import render_page
from evaluation.reporting.scene import Scene, scene_of
from evaluation.reporting.sections import compose_page
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")  # who is compared is tested elsewhere

PROJECT = Path(__file__).parents[1]
WIDE = {"worst_smd": 1, "worst_subgroup_smd": 9, "worst_variance_ratio": 9, "minimal_detectable_effect": 1}
LOOSE = DesignLimits(**WIDE, share_treated_kept=0.1, equipoise=0.01, effective_control=1)
GOALS = {"sv": "Målen, enligt projektets egen bokföring", "en": "The goals, by the project's own record"}
FEWER = {"sv": "Bokföringen räknar färre än registren ovan", "en": "The record counts fewer than the registers above"}


@pytest.fixture(params=get_args(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture(scope="module")
def study() -> Study:
    plan = load_plan(PROJECT / "reports/malmokraften")
    assert isinstance(plan, RegisterPlan)
    asked = plan.model_copy(
        update={
            "cohort": plan.cohort.model_copy(update={"covariates": ("age", "kon", "days_jug"), "candidates": 5}),
            "matching": plan.matching.model_copy(update={"exact": ("trial", "duration_band"), "ratio": 1}),
            "subgroups": SubgroupSection(registered=("kon", "fodd_utanfor_europa"), exploratory=()),
            "limits": LOOSE,
        }
    )
    registers = clean_registers(read_registers(simulate_registers(300, 2_000, seed=1).tables))
    return analyse_study(registers, design_study(registers, asked))


def failed(study: Study) -> Study:
    """Give the study with a design that failed a check."""
    verdict = study.design.verdict
    checks = (replace(verdict.checks[0], passed=False), *verdict.checks[1:])
    return replace(study, design=replace(study.design, verdict=replace(verdict, checks=checks)))


# --- the goals


def test_under_a_design_that_failed_only_the_goals_are_left(study: Study, language: Language) -> None:
    whole, unsupported = glance(study, None, scene_of(study, language)), failed(study)
    left = glance(unsupported, None, scene_of(unsupported, language))
    assert len(whole.items) >= 3
    assert len(left.items) == 1
    assert left.items[0].startswith(GOALS[language])
    assert FEWER[language] not in left.items[0]  # the registers' number is not above


def test_page_one_of_a_design_that_failed_has_the_goals_and_no_effect(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in figures.__all__ if name.startswith("draw_")] + ["svg_text"]:
        monkeypatch.setattr(figures, name, lambda *_, **__: "")
    unsupported = failed(study)
    answer = compose_page(unsupported, scene_of(unsupported, "sv"), linked=False).sections[0]
    (lines,) = [block.items for block in answer.blocks if isinstance(block, Items)]
    assert answer.id == "answer"
    assert [line.partition(",")[0] for line in lines] == ["Målen"]


@pytest.mark.parametrize(("share", "late", "said"), [(0.1, 0, True), (0.1, 60, False), (0.9, 0, False)])
def test_why_the_record_counts_fewer_is_said_where_it_does_and_follows_no_longer(
    study: Study, language: Language, monkeypatch: pytest.MonkeyPatch, share: float, late: int, said: bool
) -> None:
    goals = cast("GoalFollowUp", study.goals)
    other = replace(study, goals=replace(goals, after_last_day=late))
    look = scene_of(study, language)
    low = look.passed.effects[look.plan.primary_days].treated.low
    assert low is not None
    assert 0.1 < low < 0.9
    monkeypatch.setattr("evaluation.reporting.glance.share_left", lambda *_: share)
    (line,) = [line for line in glance(other, None, look).items if line.startswith(GOALS[language])]
    assert (FEWER[language] in line) is said


def test_page_one_is_one_sheet(study: Study, language: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in figures.__all__ if name.startswith("draw_")] + ["svg_text"]:
        monkeypatch.setattr(figures, name, lambda *_, **__: "")
    page = compose_page(study, scene_of(study, language), linked=True)
    text = render_page("report.html.j2", replace(page, sections=page.sections[:1]))
    sheets = weasyprint.HTML(string=text).render().pages
    assert len(sheets) == 1


# --- the groups


WOMEN, MEN = 0.103, 0.082
HALF = 0.03  # of an interval's width
GAP: dict[str, float | None] = {"kon": 0.021}


def told(study: Study, look: Scene, half: float, adjusted: float) -> list[str]:
    """Say of women and men what is told where the effects, the width of their difference's interval and its test are these."""
    seal = look.passed.counts.number("treated").seal

    def points(value: float | None, half: float) -> ReleasedNumber:
        return ReleasedNumber("points", *((None,) if value is None else (value, value - half, value + half)), seal=seal)

    groups: dict[tuple[str, str], object] = defaultdict(lambda: SimpleNamespace(difference=points(None, 0)))
    groups |= {("kon", level): SimpleNamespace(difference=points(value, HALF)) for level, value in (("2", WOMEN), ("1", MEN))}
    tests = {("kon", f"risk_{look.plan.primary_days:g}"): (None, SimpleNamespace(value=adjusted))}
    passed = SimpleNamespace(gap=lambda by, *_: points(GAP.get(by), half), groups=groups, tests=tests)
    return list(group_sentences(study, replace(look, released=cast("ReleasedStudy", passed))))


@pytest.mark.hand
@pytest.mark.parametrize(
    ("half", "adjusted", "said"),
    [
        (0.047, 0.4, {"sv": ("inte säkerställt (+2,1", "mer än 6,8 åt något håll"), "en": ("not established (+2.1", "more than 6.8 either way")}),
        (0.011, 0.01, {"sv": ("skiljer sig mellan grupperna, med +2,1",), "en": ("The effect differs between the groups, by +2.1",)}),
        (0.011, 0.2, {"sv": ("denna uppdelning ensam",), "en": ("taken alone",)}),
    ],
)
def test_each_group_s_own_effect_stands_with_its_unit_beside_the_difference(
    study: Study, language: Language, half: float, adjusted: float, said: dict[Language, tuple[str, ...]]
) -> None:
    (line,) = told(study, scene_of(study, language), half, adjusted)
    own = {"sv": "+10,3 procentenheter för kvinnor och +8,2 för män", "en": "+10.3 percentage points for women and +8.2 for men"}[language]
    assert own in line
    for words in (*said[language], {"sv": "18 månader", "en": "18 months"}[language]):
        assert words in line
    assert " minus " not in line


def test_a_difference_that_is_withheld_has_no_line_and_neither_have_its_groups(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GAP, "kon", None)
    assert told(study, scene_of(study, "sv"), 0.01, 0.5) == []


def test_the_groups_of_every_line_are_named_as_people(study: Study, language: Language) -> None:
    lines = list(group_sentences(study, scene_of(study, language)))
    assert len(lines) == 2
    assert sum({"sv": "18 månader", "en": "18 months"}[language] in line for line in lines) == 1  # once is enough of one paragraph
    assert {"sv": "dem som är födda i Europa", "en": "those born in Europe"}[language] in lines[1]
