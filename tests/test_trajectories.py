"""Months, lasting success and two years' benefits: drawn registers, and the lives of synthetic people."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation.analysis.exits import OutcomeSpec, observe_outcomes, states_shown
from evaluation.analysis.outcomes import FollowUp
from evaluation.analysis.trajectories import LASTING_DAYS, STATE_DAYS, Trajectory, observe_trajectories
from evaluation.design.cohort import Cohort, cohort_from_table
from evaluation.design.comparison import Comparison
from evaluation.design.sets import comparison_from_sets
from evaluation.errors import InputError
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.states import States, observe_states
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.synthetic.truth import SUCCESSES
from evaluation.registers.validation import read_registers

exits = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("test_exits.py"))))
oracle = exits.oracle

SAME_SUM = 1e-12  # the arithmetic of the test in another order


def compared(cohort: Cohort) -> Comparison:
    """Put everybody in one set."""
    key = cohort.to_frame()[["person", *([cohort.trial] if cohort.trial else [])]]
    return comparison_from_sets(cohort, key.assign(set="all"))


def followed(people: list[str], spec: OutcomeSpec | None = None, index: dict[str, str] | None = None, **tables: str) -> tuple[Trajectory, list[int]]:
    """Observe drawn people, and say in which row of the trajectory each of them is."""
    states, cohort = exits.observed(people, **tables), exits.flat(people, index)
    comparison = compared(cohort)
    found = observe_trajectories(states, cohort, comparison, observe_outcomes(states, cohort, spec), spec)
    rows = comparison.person[comparison.rows].tolist()
    return found, [rows.index(who) for who in people]


# --- success that lasts

JOBS = """
lopnr     inskr_id period_nr start      slut       skat
held90    1        2         2019-03-31 2019-06-29 31   # day 30 to day 120
held90    1        3         2019-06-29 -          11
held91    1        2         2019-03-31 2019-06-30 31
held91    1        3         2019-06-30 -          70
onward    1        2         2019-03-31 2019-05-01 33   # with a subsidy, and on without
onward    1        3         2019-05-01 -          31
again     1        2         2019-03-31 2019-05-01 31   # back after 31 days, and then at work again
again     1        3         2019-05-01 2019-06-01 70
again     1        4         2019-06-01 -          31
back365   1        2         2019-03-31 2020-03-30 31
back365   1        3         2020-03-30 -          70
back366   1        2         2019-03-31 2020-03-31 31
back366   1        3         2020-03-31 -          70
ill       1        2         2019-03-31 2019-05-01 31
ill       1        3         2019-05-01 -          70
day365    1        2         2020-02-29 -          31
day366    1        2         2020-03-01 -          31
index_day 1        2         2019-03-01 2019-05-30 31   # day 0 to day 90
index_day 1        3         2019-05-30 -          70
lost      2        1         2019-06-15 -          70
"""
LASTING = """
person    succeeded 90 180 365 returned
held90    1         0  0   0   1
held91    1         1  0   0   1
onward    1         1  1   1   0
again     1         1  1   1   1          # at work on those days, with a return in between
back365   1         1  1   0   1
back366   1         1  1   1   0
ill       1         0  0   0   0          # sick all the time since
day365    1         1  1   1   0
day366    0         0  0   0   0          # not within a year
index_day 1         0  0   0   1
lost      0         0  0   0   0          # back, but from no success
stays     0         0  0   0   0
"""


@pytest.mark.hand
def test_a_success_lasts_if_work_or_studies_hold_on_the_day_and_unemployment_within_a_year_is_a_return():
    wanted = oracle.drawn(LASTING)
    found, rows = followed(
        wanted["person"].tolist(),
        sokandekategori=JOBS,
        ersattning_fk="lopnr formanskod fran till omfattning \n ill sjukpenning 2019-05-01 - 100",
        inskrivning="""
        lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
        lost  1        2019-01-01      2019-04-01           6
        lost  2        2019-06-15      -                    -
        """,
    )
    got = {"succeeded": found.succeeded, **{str(days): found.lasting[days] for days in LASTING_DAYS}, "returned": found.returned}
    table = pd.DataFrame({name: column[rows].astype(int).astype(str) for name, column in got.items()})
    table.insert(0, "person", wanted["person"])
    pd.testing.assert_frame_equal(table, wanted, check_dtype=False)
    assert tuple(found.lasting) == LASTING_DAYS


@pytest.mark.hand
def test_each_definition_asks_whether_its_own_success_lasts():
    jobs = """
    lopnr  inskr_id period_nr start      slut       skat
    onward 1        2         2019-03-31 2019-05-01 31
    onward 1        3         2019-05-01 -          33
    waits  1        2         2019-08-01 -          14   # another category is no return to unemployment
    """
    pay = "\n".join(f"{who} 2019-{month:02}-01 a 12000" for month in range(3, 8) for who in ("onward", "waits"))
    tables = {"sokandekategori": jobs, "manadslon": f"lopnr manad arbetsgivare_lopnr kontant_ersattning \n {pay}", "studier": exits.STUDIES}
    lasting = {}
    for definition in ("strict", "project", "independent"):
        found, rows = followed(["onward", "waits"], OutcomeSpec(definition=definition), **tables)
        lasting[definition] = (found.succeeded[rows].tolist(), found.lasting[90][rows].tolist(), found.returned[rows].tolist())
    assert lasting == {
        "strict": ([True, False], [False, False], [False, False]),
        "project": ([True, False], [True, False], [False, False]),
        # pay tells of work from April on; whether it lasts, the employment service knows
        "independent": ([True, True], [True, False], [False, False]),
    }


# --- months


@pytest.mark.hand
def test_the_state_of_each_month_is_that_of_the_day_so_many_months_after():
    found, rows = followed(["held90", "dead", "late"], index={"late": "2024-05-31"}, sokandekategori=JOBS, individ=exits.PERSONS)
    held, dead, late = ([found.labels[place] if place >= 0 else None for place in found.state[row]] for row in rows)
    assert held == ["program"] + ["arbete_osubventionerat"] * 3 + ["oppet_arbetslos"] * 21  # days 30, 61 and 91 of 30 to 119
    assert dead == ["program"] * 13 + ["avliden"] * 12  # day 365 is 29 February 2020, the day before
    assert late == ["program"] * 2 + [None] * 23  # the 30th day after 31 May is the last complete day
    assert found.state.dtype == np.int8
    assert found.reach[rows].tolist() == [1948, 1948, 30]


@pytest.mark.hand
def test_the_table_has_a_row_for_each_person_with_what_they_did():
    found, rows = followed(["held90", "dead", "late"], index={"late": "2024-05-31"}, sokandekategori=JOBS, individ=exits.PERSONS)
    table = found.to_frame()
    held = table.iloc[rows[0]]
    assert (held["succeeded"], held["lasting_90_days"], held["returned"]) == (True, False, True)
    assert held["state_2"] == "arbete_osubventionerat"
    for month in range(found.state.shape[1]):
        wanted = [found.labels[place] if place >= 0 else None for place in found.state[:, month]]
        assert table[f"state_{month}"].astype(object).where(table[f"state_{month}"].notna(), None).tolist() == wanted
    for days, lasting in found.lasting.items():
        assert table[f"lasting_{days}_days"].tolist() == lasting.tolist()
    assert table["reach_days"].tolist() == found.reach.tolist()


@pytest.mark.hand
def test_every_state_has_a_label_unemployment_last_and_programmes_apart_from_open_unemployment():
    found, _ = followed(["a", "b"])
    contract = exits.load_contract()
    assert set(found.labels) == set(contract.codes["tillstand"].entries["kod"])
    assert found.labels[:2] == ("arbete_osubventionerat", "nystartsjobb")
    assert found.labels[-4:] == ("deltid", "program", "forhinder", "oppet_arbetslos")
    classes = states_shown(contract)
    assert [classes[state] == "arbetslos" for state in found.labels] == [False] * 13 + [True] * 4


# --- two years' benefits and earnings

TOTALS = {
    "ersattning_fk": """
        lopnr formanskod  fran       till       omfattning nettodagar
        poor  sjukpenning 2019-02-20 2019-03-11 50         10     # 20 days at a half, 11 of them from 1 March
        poor  sjukpenning 2021-02-20 -          25         -      # 9 days at a quarter before 1 March 2021
        poor  sjukpenning 2021-03-01 2021-03-31 100        31     # after two years
    """,
    "ek_bistand": """
        lopnr hushall_lopnr manad      belopp_kr
        poor  h             2019-02-01 5000
        poor  h             2019-03-01 5000   # begins on the index date
        poor  h             2019-04-01 0
        poor  h             2020-01-01 -
        poor  h             2021-02-01 5000
        poor  h             2021-03-01 5000
        next  h             2019-03-01 5000   # begins the day before
        next  h             2021-03-01 5000
    """,
    "manadslon": """
        lopnr manad      arbetsgivare_lopnr kontant_ersattning
        poor  2019-03-01 a                  1000
        poor  2019-03-01 b                  200
        poor  2021-02-01 a                  30
        poor  2021-03-01 a                  4
    """,
}


@pytest.mark.hand
def test_benefits_and_earnings_of_two_years_are_arithmetic_on_the_drawn_records():
    found, rows = followed(["poor", "next", "early"], index={"next": "2019-03-02", "early": "2019-02-28"}, **TOTALS)
    totals = found.totals.iloc[rows]
    assert list(found.totals.columns) == ["sick_days", "assistance_months", "earnings_sek"]
    np.testing.assert_allclose(totals["sick_days"], [11 * 10 / 20 + 9 / 4, 0, 0], rtol=SAME_SUM)
    assert totals["assistance_months"].tolist() == [3, 1, 0]
    assert totals["earnings_sek"].tolist() == [1230, 0, 0]
    assert found.earnings_reach is not None
    assert found.earnings_reach[rows].tolist() == [1948, 1947, 0]  # pay is known from March 2019
    assert found.reach[rows].tolist() == [1948, 1947, 1949]
    table = found.to_frame().iloc[rows]
    assert table[["assistance_months", "earnings_sek", "reach_days", "earnings_reach_days"]].iloc[0].tolist() == [3, 1230, 1948, 1948]
    np.testing.assert_allclose(table["sick_days"], totals["sick_days"], rtol=0)


@pytest.mark.hand
def test_what_was_not_delivered_has_no_column():
    found, _ = followed(["a", "b"], ek_bistand=TOTALS["ek_bistand"])
    assert list(found.totals.columns) == ["assistance_months"]
    assert found.earnings_reach is None
    none, _ = followed(["a", "b"])
    assert none.totals.shape == (2, 0)


# --- stacks, order and mistakes


def disordered(seed: int, shuffle: int | None = None) -> tuple[States, Cohort, Comparison, FollowUp]:
    """Give registers in disorder, and a comparison of some of the rows of two trials."""
    tables = oracle.disorder(120, seed=seed)
    tables["projekt_deltagande"] = pd.DataFrame({"lopnr": ["p0"], "fas": ["1"], "start_datum": ["2018-01-10"]})
    rows = pd.DataFrame({"person": [f"p{number}" for number in range(120)] * 2, "index_date": ["2017-02-07"] * 120 + ["2017-05-20"] * 120})
    rows["treated"] = (np.arange(240) % 3 == 0).astype(int)
    kept = rows.assign(trial=rows["index_date"].str[:7], set=rows["index_date"])[(rows["treated"] == 1) | (np.arange(240) % 5 > 0)]
    if shuffle is not None:
        rows = rows.sample(frac=1, random_state=shuffle).reset_index(drop=True)
        tables = {name: frame.sample(frac=1, random_state=shuffle) for name, frame in tables.items()}
    states, cohort = observe_states(clean_registers(oracle.build(tables, "2019-06-01"))), exits.stack(rows)
    return states, cohort, comparison_from_sets(cohort, kept[["person", "trial", "set"]]), observe_outcomes(states, cohort)


@pytest.mark.property
def test_neither_the_order_of_the_rows_nor_of_the_registers_changes_a_trajectory():
    one, other = (observe_trajectories(*disordered(seed=5, shuffle=shuffle)) for shuffle in (None, 7))
    for name in ("state", "succeeded", "returned", "reach"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for days in LASTING_DAYS:
        np.testing.assert_array_equal(one.lasting[days], other.lasting[days])
    pd.testing.assert_frame_equal(one.totals, other.totals, check_exact=True)
    assert one.succeeded.sum() > 20
    assert 0 < one.returned.sum() < one.succeeded.sum()
    assert (one.totals > 0).any().all()


@pytest.mark.property
def test_states_by_month_are_those_found_by_looking_up_one_day_after_another():
    states, cohort, comparison, follow_up = disordered(seed=6)
    found = observe_trajectories(states, cohort, comparison, follow_up)
    diary = exits.diary_of(states)
    assert cohort.index_date is not None
    for number, row in enumerate(comparison.rows):
        life, index = diary.get(cohort.person[row], {}), cohort.index_date.iloc[row].toordinal()
        shown = [found.labels[place] if place >= 0 else None for place in found.state[number]]
        assert shown == [life.get(index + int(days)) for days in STATE_DAYS]


@pytest.mark.hand
def test_a_follow_up_of_another_definition_or_cohort_is_refused():
    states, cohort = exits.observed(["a", "b"], studier=exits.STUDIES), exits.flat(["a", "b"])
    comparison, follow_up = compared(cohort), observe_outcomes(states, cohort, OutcomeSpec(definition="studies"))
    with pytest.raises(InputError, match="follow_up: does not have the successes of the independent definition; observe outcomes by the same spec"):
        observe_trajectories(states, cohort, comparison, follow_up, OutcomeSpec(definition="independent"))
    with pytest.raises(InputError, match="comparison: was made of another cohort"):
        observe_trajectories(states, exits.flat(["a", "b"]), comparison, follow_up)


# --- the truth


@pytest.mark.recovery
@pytest.mark.parametrize("dirt", [0.0, 0.03])
def test_the_trajectories_of_synthetic_participants_are_those_of_their_lives(dirt):
    simulated = simulate_registers(300, 700, seed=8, dirt=dirt)
    states = observe_states(clean_registers(read_registers(simulated.tables)))
    truth = simulated.potential.query("world == 'factual'").set_index("lopnr")
    one = simulated.tables["individ"].loc[lambda frame: ~frame["lopnr"].isin(truth.index), "lopnr"].head(1)
    rows = pd.concat([truth[["start"]].assign(treated=1), pd.DataFrame({"start": pd.Timestamp("2019-05-01"), "treated": 0}, index=one)])
    cohort = cohort_from_table(rows.assign(number=range(len(rows))), treated="treated", covariates=["number"], index_date="start")
    comparison = compared(cohort)
    found = observe_trajectories(states, cohort, comparison, observe_outcomes(states, cohort))

    treated = comparison.treated[comparison.rows]
    truth = truth.loc[comparison.person[comparison.rows][treated]]
    end = (pd.Timestamp(states.clean.registers.complete_until) - truth["start"]).dt.days.to_numpy()
    np.testing.assert_array_equal(found.reach[treated], end)
    classes = states_shown(states.clean.registers.contract)
    # the simulator calls every kind of unemployment by one word
    words = np.array([*("unemployed" if classes[state] == "arbetslos" else state for state in found.labels), "nothing"], dtype=object)
    for month, days in enumerate(STATE_DAYS):
        shown = words[found.state[treated, month]]
        assert shown.tolist() == truth[f"state_{month}"].where(days <= end, "nothing").tolist()
    days = truth["days"].to_numpy()
    early = (truth["exit"].isin(SUCCESSES) & (days <= 365)).to_numpy()
    np.testing.assert_array_equal(found.succeeded[treated], early & (days <= end))
    for after in LASTING_DAYS:
        seen = days + after <= end
        np.testing.assert_array_equal(found.lasting[after][treated & _put(treated, seen)], (early & truth[f"lasting_{after}"])[seen])
        assert (early & truth[f"lasting_{after}"])[seen].sum() > 20
    seen = days + 365 <= end
    np.testing.assert_array_equal(found.returned[treated & _put(treated, seen)], (early & truth["returned"])[seen])
    assert (early & truth["returned"])[seen].sum() > 5


def _put(where: np.ndarray, values: np.ndarray) -> np.ndarray:
    spread = np.zeros(len(where), dtype=bool)
    spread[where] = values
    return spread
