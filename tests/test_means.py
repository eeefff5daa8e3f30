"""Weighted means of the two arms: by hand, against the jackknife, and what counts in which denominator."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.estimates import Estimate
from evaluation.analysis.means import estimate_durability, estimate_occupancy, estimate_totals
from evaluation.analysis.trajectories import Trajectory
from evaluation.errors import InputError

SAME_ARITHMETIC = 1e-12
BRUTE_FORCE = 1e-7  # central differences of step 1e-4
SIMULATION_ERRORS = 3  # a right method fails one check in 370; the seeds are fixed

LABELS = ("work", "studies", "unemployed")
WORK, STUDIES, UNEMPLOYED, NO_RECORD = 0, 1, 2, -1
YEARS = 365.0


def trajectory_of(comparison, people):
    """Lay the columns of `people`, numbered as in the cohort, in the order of the comparison: month_<m>, reach, and those asked for."""
    table = people.iloc[comparison.rows].reset_index(drop=True)
    state = np.full((len(table), 25), UNEMPLOYED, dtype=np.int8)
    for name in table.columns[table.columns.str.startswith("month_")]:
        state[:, int(name.removeprefix("month_"))] = table[name]
    nobody = np.zeros(len(table), dtype=bool)
    flags = {name: table[name].to_numpy(dtype=bool) if name in table else nobody for name in ("succeeded", "after_90", "after_180", "returned")}
    return Trajectory(
        state=state,
        labels=LABELS,
        succeeded=flags["succeeded"],
        lasting={90: flags["after_90"], 180: flags["after_180"]},
        returned=flags["returned"],
        totals=table.filter(regex="_(days|months|sek)$"),
        reach=table["reach"].to_numpy(dtype=np.float64),
        earnings_reach=table["earnings_reach"].to_numpy(dtype=np.float64) if "earnings_reach" in table else None,
    )


@pytest.fixture
def pairs(make_study):
    """Two treated (0, 1); the first has one control (2), the second two (3, 4), who weigh a half each."""
    return make_study([1] * 5, [0, 1, 0, 1, 0], [(0, 2), (1, 3, 4)], [0, 1])[:2]


# ---- states by month


@pytest.mark.hand
def test_shares_by_state_and_month(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame({"reach": 3 * YEARS, "month_12": [WORK, UNEMPLOYED, STUDIES, WORK, UNEMPLOYED]}, index=range(5))
    found = estimate_occupancy(cohort, comparison, trajectory_of(comparison, people))
    work, studies = found.contrasts["work", 12], found.contrasts["studies", 12]
    assert (work.treated.value, work.control.value, work.difference.value) == pytest.approx((1 / 2, 0.5 / 2, 1 / 4))
    assert (studies.treated.value, studies.control.value) == pytest.approx((0, 1 / 2))
    # influences: the treated 1/2 x (1 - 1/2) and 1/2 x (0 - 1/2); the controls 1/2 x (0 - 1/4), 1/4 x (1 - 1/4) and 1/4 x (0 - 1/4)
    by_set = [1 / 4 + 1 / 8, -1 / 4 - 3 / 16 + 1 / 16]
    assert work.difference.std_error == pytest.approx(np.sqrt(np.square(by_set).sum()))
    assert work.treated.std_error == pytest.approx(np.sqrt(2) / 4)
    assert (work.treated.n, work.control.n) == (2, 3)
    assert (work.treated.unit, work.treated.interval, work.difference.interval) == ("probability", "log-log", "plain")


@pytest.mark.hand
def test_who_has_no_record_is_in_no_state_but_counts_among_all(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame({"reach": 3 * YEARS, "month_6": [WORK, NO_RECORD, WORK, WORK, NO_RECORD]}, index=range(5))
    found = estimate_occupancy(cohort, comparison, trajectory_of(comparison, people)).contrasts
    assert (found["work", 6].treated.value, found["work", 6].control.value) == pytest.approx((1 / 2, 1.5 / 2))
    assert sum(found[state, 6].treated.value for state in LABELS) == pytest.approx(1 / 2)


@pytest.mark.hand
def test_rows_whose_registers_end_before_do_not_count(pairs):
    cohort, comparison = pairs
    # month 12 is day 365, month 13 day 396, month 18 day 548
    people = pd.DataFrame({"reach": [900, 365, 900, 900, 395], "month_12": [WORK] * 5, "month_13": [WORK, WORK, STUDIES, WORK, WORK]})
    found = estimate_occupancy(cohort, comparison, trajectory_of(comparison, people.assign(month_18=WORK)))
    at_12, at_13 = found.contrasts["work", 12], found.contrasts["work", 13]
    assert (at_12.treated.n, at_12.control.n) == (2, 3)
    assert (at_13.treated.n, at_13.control.n) == (1, 2)
    assert at_13.control.value == pytest.approx(0.5 / 1.5)


def test_months_that_one_arm_does_not_reach_are_left_out(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame({"reach": [60, 61, 900, 900, 900]})
    found = estimate_occupancy(cohort, comparison, trajectory_of(comparison, people))
    assert found.months == (0, 1, 2)
    assert set(found.to_frame()["month"]) == {0, 1, 2}
    assert len(found.contrasts) == 3 * len(LABELS)
    with pytest.raises(KeyError):
        found.contrasts["work", 3]
    with pytest.raises(KeyError):
        found.contrasts["retired", 2]


@pytest.mark.hand
def test_the_table_has_one_row_per_state_and_month(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame({"reach": 29.0, "month_0": [UNEMPLOYED, UNEMPLOYED, UNEMPLOYED, WORK, UNEMPLOYED]}, index=range(5))
    found = estimate_occupancy(cohort, comparison, trajectory_of(comparison, people), level=0.9)
    table = found.to_frame().set_index(["state", "month"])
    assert list(table.index) == [(state, month) for state in LABELS for month in (0,)]
    row, contrast = table.loc[("work", 0)], found.contrasts["work", 0]
    assert contrast.difference.level == 0.9
    assert (row["n_treated"], row["n_control"], row["treated"], row["control"], row["effect"]) == (2, 3, 0, 0.25, -0.25)
    assert (row["low"], row["high"], row["std_error"]) == (contrast.difference.low, contrast.difference.high, contrast.difference.std_error)


def random_people(seed, n):
    rng = np.random.default_rng(seed)
    columns = {f"month_{month}": rng.integers(-1, 3, n) for month in range(25)}
    columns |= {name: rng.random(n) < 0.6 for name in ("succeeded", "after_90", "after_180", "returned")}
    columns |= {"sick_days": rng.exponential(30, n), "earnings_sek": rng.exponential(1e5, n)}
    return pd.DataFrame(columns | {"reach": rng.choice([365.0, 500, 900], n), "earnings_reach": rng.choice([0.0, 900], n)})


@pytest.mark.property
@pytest.mark.parametrize(("seed", "weighted", "reuse"), [(1, False, True), (2, True, True), (3, True, False)])
def test_standard_errors_are_those_of_the_brute_force_jackknife(seed, weighted, reuse, random_study, jackknife):
    cohort, comparison, _ = random_study(seed, ties=True, weighted=weighted, reuse=reuse)
    people = random_people(seed, len(cohort))
    trajectory = trajectory_of(comparison, people)
    treated, reach = comparison.treated[comparison.rows], trajectory.reach

    def difference(values, counted):
        def of(weight):
            return np.subtract(*(np.average(values[counted & side], weights=weight[counted & side]) for side in (treated, ~treated)))

        return of

    working = (trajectory.state[:, 14] == WORK).astype(float)
    sick = trajectory.totals["sick_days"].to_numpy()
    asked = [
        (estimate_occupancy(cohort, comparison, trajectory).contrasts["work", 14], difference(working, reach >= 426)),
        (
            estimate_durability(cohort, comparison, trajectory).contrasts[90],
            difference(trajectory.lasting[90], trajectory.succeeded & (reach >= 455)),
        ),
        (estimate_totals(cohort, comparison, trajectory).contrasts["sick_days"], difference(sick, reach >= 730)),
    ]
    for contrast, statistic in asked:
        assert contrast.difference.value == pytest.approx(statistic(comparison.weights[comparison.rows]), abs=SAME_ARITHMETIC)
        assert contrast.difference.std_error == pytest.approx(jackknife(statistic, comparison), rel=BRUTE_FORCE)


@pytest.mark.property
def test_states_and_the_unrecorded_make_up_everybody(random_study):
    cohort, comparison, _ = random_study(4, ties=True, weighted=True)
    found = estimate_occupancy(cohort, comparison, trajectory_of(comparison, random_people(4, len(cohort)))).contrasts
    for month in (0, 12, 24):
        everybody = sum((found[state, month].difference for state in LABELS[1:]), found[LABELS[0], month].difference)
        assert isinstance(everybody, Estimate)
        assert everybody.influence.sum() == pytest.approx(0, abs=SAME_ARITHMETIC)
        assert 0 <= sum(found[state, month].control.value for state in LABELS) <= 1
        assert not found["work", month].treated.influence[~comparison.treated[comparison.rows]].any()


@pytest.mark.property
def test_estimates_of_one_call_can_be_set_against_each_other(random_study):
    cohort, comparison, _ = random_study(5, ties=True)
    found = estimate_occupancy(cohort, comparison, trajectory_of(comparison, random_people(5, len(cohort)))).contrasts
    growth = found["work", 12].difference - found["work", 6].difference
    assert growth.value == pytest.approx(found["work", 12].difference.value - found["work", 6].difference.value)
    assert growth.clusters is found["work", 6].difference.clusters


# ---- does it last


@pytest.mark.hand
def test_what_lasts_is_asked_of_those_who_succeeded_and_can_be_followed_so_long(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame(
        {"reach": [900, 544, 545, 900, 900], "succeeded": [1, 1, 1, 1, 0], "after_90": [1, 0, 1, 0, 0], "after_180": [1, 1, 0, 0, 0]}
    )
    found = estimate_durability(cohort, comparison, trajectory_of(comparison, people.assign(returned=[0, 0, 0, 1, 0])))
    after_90, after_180, returned = found.contrasts[90], found.contrasts[180], found.contrasts["returned"]
    assert (after_90.treated.value, after_90.control.value) == pytest.approx((1 / 2, 1 / 1.5))
    assert (after_180.treated.value, after_180.control.value) == pytest.approx((1, 0))  # 544 days do not reach half a year after the year
    assert (after_180.treated.n, after_180.control.n) == (1, 2)
    assert (returned.treated.value, returned.control.value) == pytest.approx((0, 1))
    assert (returned.treated.n, returned.control.n) == (1, 1)
    assert found.to_frame()["measure"].tolist() == ["90", "180", "returned"]


def test_questions_nobody_can_answer_are_left_out(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame({"reach": [500.0] * 5, "succeeded": [1, 1, 1, 0, 0]})
    assert list(estimate_durability(cohort, comparison, trajectory_of(comparison, people)).contrasts) == [90]
    nobody = estimate_durability(cohort, comparison, trajectory_of(comparison, people.assign(succeeded=[1, 1, 0, 0, 0])))
    assert nobody.contrasts == {}
    assert nobody.to_frame().empty
    assert "effect" in nobody.to_frame()


# ---- what it comes to


@pytest.mark.hand
def test_totals_are_means_over_those_who_reach_two_years(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame({"reach": [730, 730, 730, 729, 800], "sick_days": [10, 20, 30, 1000, 0], "assistance_months": [0, 2, 4, 24, 6]})
    found = estimate_totals(cohort, comparison, trajectory_of(comparison, people)).contrasts
    assert (found["sick_days"].treated.value, found["sick_days"].control.value) == pytest.approx((15, 30 / 1.5))
    assert (found["assistance_months"].treated.value, found["assistance_months"].control.value) == pytest.approx((1, (4 + 3) / 1.5))
    assert [found[name].difference.unit for name in found] == ["days", "months"]
    assert found["sick_days"].control.n == 2
    assert estimate_totals(cohort, comparison, trajectory_of(comparison, people)).to_frame()["measure"].tolist() == ["sick_days", "assistance_months"]


@pytest.mark.hand
def test_earnings_count_only_where_declarations_reach_back(pairs):
    cohort, comparison = pairs
    people = pd.DataFrame({"reach": 900, "earnings_reach": [900, 0, 900, 900, 0], "earnings_sek": [100, 0, 50, 200, 0], "sick_days": [1, 2, 3, 4, 5]})
    found = estimate_totals(cohort, comparison, trajectory_of(comparison, people)).contrasts
    assert (found["earnings_sek"].treated.value, found["earnings_sek"].control.value) == pytest.approx((100, (50 + 0.5 * 200) / 1.5))
    assert (found["earnings_sek"].treated.n, found["sick_days"].treated.n) == (1, 2)
    assert found["earnings_sek"].treated.unit == "sek"
    without = estimate_totals(cohort, comparison, trajectory_of(comparison, people.assign(earnings_reach=0.0))).contrasts
    assert list(without) == ["sick_days"]


@pytest.mark.recovery
def test_a_difference_of_means_is_recovered_where_pairs_are_alike(make_study):
    """Pairs share what they are like, so the interval must know of it: four hundred worlds of a hundred pairs, with a true gain of 5 days."""
    n, worlds = 100, 400
    cohort, comparison, _ = make_study([1] * 2 * n, [0, 1] * n, [(one, one + n) for one in range(n)], range(n))
    rng = np.random.default_rng(1)
    value, error = [], []
    for _ in range(worlds):
        shared = rng.normal(50, 10, n)
        days = np.append(shared - 5, shared) + rng.normal(0, 6, 2 * n)
        people = pd.DataFrame({"reach": 900.0, "sick_days": days})
        found = estimate_totals(cohort, comparison, trajectory_of(comparison, people)).contrasts["sick_days"].difference
        value.append(found.value)
        error.append(found.std_error)
    spread = np.std(value)
    assert abs(np.mean(value) + 5) < SIMULATION_ERRORS * spread / np.sqrt(worlds)
    assert np.sqrt(np.mean(np.square(error))) == pytest.approx(spread, rel=SIMULATION_ERRORS / np.sqrt(2 * worlds) + 1 / n)


# ---- what does not belong together


def test_another_cohort_or_other_rows_are_refused(pairs, four_pairs):
    cohort, comparison = pairs
    trajectory = trajectory_of(comparison, pd.DataFrame({"reach": [900.0] * 5}))
    with pytest.raises(InputError, match="was made of another cohort"):
        estimate_totals(four_pairs.cohort, comparison, trajectory)
    for ask in (estimate_occupancy, estimate_durability, estimate_totals):
        with pytest.raises(InputError, match="must be of the compared rows, in their order"):
            ask(cohort, comparison, dataclasses.replace(trajectory, reach=trajectory.reach[:4]))
