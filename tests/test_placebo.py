"""Placebos and negative controls: shares by hand, a walk through true states, relabelled worlds where nothing sorts, one where something does."""

import warnings
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from evaluation.design.cohort import cohort_from_table
from evaluation.design.cohort_spec import BAND, TRIAL
from evaluation.design.covariates import COVARIATES
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import EstimationError, UnmatchedWarning
from evaluation.plan import load_plan
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.schema import Schema
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.synthetic.walk import STATES, SUCCESS
from evaluation.registers.validation import read_registers
from evaluation.sensitivity.past_outcomes import TRAITS, left_out_for
from evaluation.sensitivity.placebo import _compare, _moved, negative_controls, placebo_outcomes, placebo_pool, placebo_start
from evaluation.study import Design, design_study

PLAN = load_plan("reports/malmokraften")
ROUNDING = 1e-12  # sums in another order
STEPWISE = 1e-6  # a slope from steps of a weight
RELABELLED = 6  # worlds: the mean of so many scores spreads by the root of their number
FEWER = 2  # worlds for the moved start, which looks back anew in each
SIMULATION_ERRORS = 3.5  # of six placebos at once, a right method fails one check in 360; the seeds are fixed
LIT = 1.96
BACK = 36  # as where nothing is asked for


@pytest.fixture(scope="module")
def world():
    """A world in which a start does nothing, and people start by a trait that no register shows."""
    made = simulate_registers(600, 6_000, seed=1, effect="none", sorting="none", hidden_bias=1.5)
    clean = clean_registers(read_registers(made.tables))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        design = design_study(clean, PLAN)
    return SimpleNamespace(made=made, clean=clean, design=design, pool=placebo_pool(clean, design))


@pytest.fixture(scope="module")
def start(world):
    return placebo_start(world.clean, world.design, pool=world.pool)


@pytest.fixture(scope="module")
def outcomes(world):
    return placebo_outcomes(world.clean, world.design, pool=world.pool)


def relabelled(pool, seed, log_odds=0.0):
    """Let others start in each trial, as many as did: everybody alike, or by log odds that the registers show."""
    rng = np.random.default_rng(seed)
    key = pd.Series(log_odds + rng.gumbel(size=len(pool)))
    trial = pool.column(TRIAL).astype(str)
    place = key.groupby(trial.to_numpy()).rank(ascending=False)
    started = pd.Series(pool.treated).groupby(trial.to_numpy()).transform("sum")
    return replace(pool, treated=(place <= started).to_numpy())


def z(contrast):
    return contrast.difference.value / contrast.difference.std_error


# --- What is left out ---


@pytest.mark.hand
@pytest.mark.parametrize(
    ("covariate", "kept"),
    [
        ("days_work_year_1", ["year_2", "years_3_5", "years_6_10", "earnings_2", "earnings_3"]),
        ("days_work_year_2", ["years_3_5", "years_6_10", "earnings_3"]),
        ("days_work_years_3_5", ["years_6_10"]),
        ("earnings_1", ["years_3_5", "years_6_10", "earnings_3"]),  # a calendar year reaches into two years before the index date
        ("earnings_2", ["years_6_10"]),
        ("earnings_3", ["years_6_10"]),
        ("sick_days_year_1", ["year_2", "years_3_5", "years_6_10", "earnings_2", "earnings_3"]),
    ],
)
def test_what_tells_of_the_past_outcome_or_of_any_later_time_is_left_out(covariate, kept):
    left = {name for name in COVARIATES if name not in left_out_for(covariate)} - TRAITS
    assert left == {name for name in COVARIATES if name.endswith(tuple(kept))}


@pytest.mark.hand
def test_traits_are_never_left_out_and_the_state_of_today_always_is():
    for covariate in ("days_work_year_1", "earnings_3"):
        assert not left_out_for(covariate) & TRAITS
        assert left_out_for(covariate) >= {"days_jug", "days_registered", "registrations", "office", "months_since_work", "assistance_months"}
        assert left_out_for(covariate) >= {"insurance_days", "support_days", "years_unrecorded", covariate}


@pytest.mark.property
def test_controls_are_drawn_without_regard_to_time_in_jug(world):
    assert world.pool.column(BAND).nunique() == 1
    drawn = pd.crosstab(world.pool.column(TRIAL), world.pool.treated)
    assert (drawn[False] <= 20 * drawn[True]).all()


# --- The moved start, held against the true states ---


@pytest.mark.reference
def test_the_moved_start_gives_the_shares_one_finds_by_walking_through_the_true_states(world, start):
    """The states were written down by the simulation; each compared person's are read one after the other."""
    cohort, window = _moved(world.clean, world.pool, PLAN.cohort, BACK)
    comparison = _compare(cohort, PLAN)
    success = {STATES[place] for place in SUCCESS}
    competing = {"sjuk", "foraldraledig", "okand", "avregistrerad_annan", "flyttad", "avliden", "pension"}
    lives = {who: list(zip(life["start"], life["state"], strict=True)) for who, life in world.made.states.groupby("lopnr")}
    found = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for row in comparison.rows:
        first = cohort.index_date.iloc[row]
        true_start = first + pd.Timedelta(days=window[row])
        exits = [state for day, state in sorted(lives[cohort.person[row]]) if first <= day < true_start and state in success | competing]
        side = found[bool(cohort.treated[row])]
        side[0] += comparison.weights[row] * bool(exits and exits[0] in success)
        side[1] += comparison.weights[row]
    assert start.treated.value == pytest.approx(found[True][0] / found[True][1], rel=ROUNDING)
    assert start.control.value == pytest.approx(found[False][0] / found[False][1], rel=ROUNDING)


@pytest.mark.property
def test_everybody_in_the_moved_start_was_unemployed_then_and_the_true_start_is_so_many_months_later(world):
    cohort, window = _moved(world.clean, world.pool, PLAN.cohort, BACK)
    state = world.made.states.merge(pd.DataFrame({"lopnr": cohort.person, "eve": cohort.index_date - pd.Timedelta(days=1)}), on="lopnr")
    there = state[(state["start"] <= state["eve"]) & (state["eve"] < state["stop"])]
    codes = world.clean.registers.contract.codes["tillstand"].entries
    assert set(there["state"]) <= {"unemployed", *codes.loc[codes["klass"] == "arbetslos", "kod"]}
    later = cohort.index_date + pd.to_timedelta(window, unit="D")
    assert (later.dt.to_period("M").astype("int64") - cohort.index_date.dt.to_period("M").astype("int64") == BACK).all()


# --- Dark where nothing unseen sorts, lit where something does ---


@pytest.mark.recovery
def test_past_outcomes_light_up_where_people_start_by_what_no_register_shows(outcomes):
    lit = [name for name, found in outcomes.items() if not isinstance(found, str) and z(found) > LIT]
    assert {"work_years_3_5", "earnings_2"} <= set(lit)


@pytest.mark.recovery
def test_the_moved_start_lights_up_where_people_start_by_what_no_register_shows(start):
    assert z(start) > LIT
    assert start.difference.unit == "probability"


@pytest.mark.recovery
def test_past_outcomes_are_dark_where_chance_decides_who_starts(world):
    """The same people with other labels: the truth is 0, and each statistic spreads as its standard error says."""
    found = [placebo_outcomes(world.clean, world.design, pool=relabelled(world.pool, seed)) for seed in range(RELABELLED)]
    scores = np.array([[z(one[name]) for name in one if not name.startswith("sick")] for one in found])
    assert np.abs(scores.mean(axis=0)).max() < SIMULATION_ERRORS / np.sqrt(RELABELLED)
    assert (
        0.7 < np.sqrt((scores**2).mean()) < 1.3
    )  # six placebos that vary together, in six worlds: the root of the mean square varies by about an eighth


@pytest.mark.recovery
def test_the_moved_start_is_dark_where_chance_decides_who_starts(world):
    scores = [z(placebo_start(world.clean, world.design, pool=relabelled(world.pool, seed))) for seed in range(FEWER)]
    assert abs(np.mean(scores)) < SIMULATION_ERRORS / np.sqrt(FEWER)


@pytest.mark.recovery
def test_sorting_by_what_the_registers_show_leaves_the_past_outcome_dark(world):
    """Who worked much six to ten years ago is made to start, and has worked since: plain in the shares of the pool, gone once they are matched."""
    once = world.pool.covariates["days_work_years_6_10"].to_numpy() / 365
    raw, scores = [], []
    for seed in range(RELABELLED):
        pool = relabelled(world.pool, seed, once)
        worked = (pool.covariates["days_work_years_3_5"] > 0).to_numpy()
        raw.append(worked[pool.treated].mean() - worked[~pool.treated].mean())
        scores.append(z(placebo_outcomes(world.clean, world.design, pool=pool)["work_years_3_5"]))
    assert np.mean(raw) > 0.05
    assert abs(np.mean(scores)) < SIMULATION_ERRORS / np.sqrt(RELABELLED)


# --- Death and emigration, by hand ---


@pytest.fixture
def forty():
    """Twenty pairs, all from 1 March 2019; the registers are stood in for by a table of two dates."""
    ids = [f"p{number}" for number in range(40)]
    people = pd.DataFrame({"person": ids, "number": range(40), "treated": [1] * 20 + [0] * 20, "index_date": "2019-03-01"})
    cohort = cohort_from_table(people, treated="treated", covariates=["number"], person="person", index_date="index_date")
    pairs = pd.DataFrame({"person": ids, "set": [f"s{number % 20}" for number in range(40)]})
    comparison = comparison_from_sets(cohort, pairs)
    dead = [*["2019-03-01"] * 6, "2020-08-30", "2020-08-31", *[None] * 12, *["2020-01-01"] * 5, "2019-02-28", "2021-01-01", *[None] * 13]
    connection = duckdb.connect()
    individ = pd.DataFrame({"lopnr": ids, "dod_datum": pd.to_datetime(dead), "utvandring_datum": pd.to_datetime([None] * 40)})
    connection.register("frame", individ)
    connection.execute("create table individ as select lopnr, dod_datum::date as dod_datum, utvandring_datum::date as utvandring_datum from frame")
    registers = SimpleNamespace(connection=connection, complete_until=date(2023, 12, 31))
    clean = SimpleNamespace(registers=registers, source="main")
    return SimpleNamespace(clean=clean, design=Design(PLAN, Schema("", ()), cohort, None, comparison, None, None, True, pd.DataFrame()))


@pytest.mark.hand
def test_deaths_count_from_the_index_date_to_the_last_day(forty, jackknife):
    death = negative_controls(forty.clean, forty.design)["death"]
    # day 548 after 1 March 2019 is 30 August 2020: seven of the treated; one control was dead before, one dies later
    assert (death.treated.value, death.control.value) == (pytest.approx(7 / 20), pytest.approx(5 / 20))
    assert (death.treated.n, death.control.n) == (20, 20)
    comparison = forty.design.comparison
    died = np.isin(comparison.person[comparison.rows], [f"p{number}" for number in (*range(7), *range(20, 25))]).astype(float)
    treated = comparison.treated[comparison.rows]

    def difference(weight):
        return np.average(died[treated], weights=weight[treated]) - np.average(died[~treated], weights=weight[~treated])

    assert death.difference.value == pytest.approx(difference(comparison.weights[comparison.rows]), rel=ROUNDING)
    assert death.difference.std_error == pytest.approx(jackknife(difference, comparison), rel=STEPWISE)


@pytest.mark.hand
def test_what_happened_to_fewer_than_five_of_an_arm_is_a_reason_and_no_number(forty):
    reason = negative_controls(forty.clean, forty.design)["emigration"]
    assert isinstance(reason, str)
    assert "fewer than 5 of them have it" in reason


@pytest.mark.hand
def test_who_cannot_be_followed_so_far_does_not_count(forty):
    forty.clean.registers.complete_until = date(2020, 8, 29)  # one day short of 548
    assert "fewer than 10 treated people can be followed" in negative_controls(forty.clean, forty.design)["death"]


# --- Reasons, and the last bit ---


@pytest.mark.hand
def test_a_study_of_one_table_is_told_why_there_is_no_placebo(world):
    design = replace(world.design, plan=load_plan("reports/employment-agency"))
    with pytest.raises(EstimationError, match="needs registers, which tell of the time before; this study is of one table"):
        placebo_start(world.clean, design)
    for found in (placebo_outcomes(world.clean, design), negative_controls(world.clean, design)):
        assert found
        assert all("needs registers" in str(reason) for reason in found.values())


@pytest.mark.hand
def test_a_start_moved_to_before_the_registers_is_refused_with_the_reason(world):
    with pytest.raises(EstimationError, match=r"0 treated and \d+ controls were at risk on the eve; ask for other dates"):
        placebo_start(world.clean, world.design, months_earlier=240, pool=world.pool)


@pytest.mark.hand
def test_a_past_outcome_whose_table_was_not_delivered_is_a_reason(world):
    registers = SimpleNamespace(names={name for name in world.clean.registers.names if name != "arsinkomst"})
    found = placebo_outcomes(SimpleNamespace(registers=registers), world.design, pool=world.pool)
    assert [found[f"earnings_{year}"] for year in (1, 2, 3)] == [
        f"earnings_{year}: is read from arsinkomst, which was not delivered" for year in (1, 2, 3)
    ]
    assert not isinstance(found["work_year_2"], str)


@pytest.mark.hand
def test_a_past_outcome_that_the_pool_cannot_tell_is_a_reason(world):
    pool = replace(world.pool, covariates=world.pool.covariates.drop(columns="days_work_year_2"))
    assert (
        placebo_outcomes(world.clean, world.design, pool=pool)["work_year_2"] == "work_year_2: days_work_year_2 is the same for everybody on a side"
    )


@pytest.mark.property
def test_the_order_of_the_rows_moves_nothing(world, start, outcomes):
    shuffled = world.pool.take(np.random.default_rng(3).permutation(len(world.pool)))
    pairs = [(placebo_start(world.clean, world.design, pool=shuffled), start)]
    pairs += [(found, outcomes[name]) for name, found in placebo_outcomes(world.clean, world.design, pool=shuffled).items()]
    assert [isinstance(found, str) for found, _ in pairs] == [isinstance(first, str) for _, first in pairs]
    for found, first in pairs:
        if not isinstance(found, str):
            assert found.difference.value == first.difference.value  # to the last bit
            assert found.difference.std_error == first.difference.std_error
