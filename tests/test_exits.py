"""First exits: drawn registers for each rule, a slow oracle that lives day by day, and the lives of synthetic people."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation.analysis.exits import OutcomeSpec, observe_outcomes, states_shown
from evaluation.analysis.outcomes import FollowUp, TimeUnit
from evaluation.design.cohort import Cohort, cohort_from_table, cohort_from_trials
from evaluation.errors import InputError
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.contract import load_contract
from evaluation.registers.states import States, observe_states
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers

oracle = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("register_oracle.py"))))

INDEX, COMPLETE = "2019-03-01", "2024-06-01"  # the registers end on 30 June 2024: 1948 days after the index date, and for its month 1918 days
BORN = 1980
SECRET = "19800101-1234"  # looks like a person's identity number; no message may hold it


def observed(people: list[str], complete: str = COMPLETE, **tables: str) -> States:
    """Observe drawn registers in which everybody is in JUG from 1 January 2019 and stays there, unless something else is drawn."""
    drawn = {name: oracle.drawn(text) for name, text in tables.items()}
    usual = {
        "individ": {"fodelsear": BORN},
        "inskrivning": {"inskr_id": "1", "inskriven_datum": "2019-01-01"},
        "sokandekategori": {"inskr_id": "1", "period_nr": "1", "start": "2019-01-01", "skat": "70"},
        "projekt_deltagande": {},
    }
    for name, row in usual.items():
        own = drawn.get(name, pd.DataFrame({"lopnr": []}))
        same_key = own[own["inskr_id"] == "1"] if name == "inskrivning" and len(own) else own
        # a later category ends the usual one, as the agency's own do
        missing = [who for who in people if name == "sokandekategori" or who not in set(same_key["lopnr"])]
        drawn[name] = pd.concat([pd.DataFrame([{"lopnr": who, **row} for who in missing if row], dtype=object), own], ignore_index=True)
    return observe_states(clean_registers(oracle.build(drawn, complete)))


def flat(people: list[str], index: dict[str, str] | None = None, treated: int = 1) -> Cohort:
    """Make a cohort of one row per person, the first `treated` of them participants."""
    table = pd.DataFrame({"person": people, "number": range(len(people))})
    table["index_date"] = [(index or {}).get(who, INDEX) for who in people]
    table["treated"] = (table["number"] < treated).astype(int)
    return cohort_from_table(table, treated="treated", covariates=["number"], person="person", index_date="index_date")


def stack(rows: pd.DataFrame) -> Cohort:
    """Make a cohort of person, index_date and treated, one trial a month."""
    rows = rows.assign(trial=pd.to_datetime(rows["index_date"]).dt.strftime("%Y-%m"), number=range(len(rows)))
    return cohort_from_trials(rows, treated="treated", covariates=["number"], person="person", trial="trial", index_date="index_date")


def hold(expected: str, spec: OutcomeSpec | None = None, complete: str = COMPLETE, index: dict[str, str] | None = None, **tables: str) -> FollowUp:
    """Hold the outcomes of drawn registers against the days and states drawn beside them."""
    wanted = oracle.drawn(expected)
    people = wanted["person"].tolist()
    found = observe_outcomes(observed(people, complete, **tables), flat(people, index), spec)
    got = [f"{who} {days:g} {state}" for who, days, state in zip(people, found.days, found.state, strict=True)]
    assert got == [f"{who} {float(days):g} {state}" for who, days, state in wanted[["person", "days", "state"]].itertuples(index=False)]
    return found


# --- every rule, drawn

CATEGORIES = """
lopnr      inskr_id period_nr start      slut       skat
category   1        2         2019-04-10 -          31   # at work, and never deregistered
impediment 1        2         2019-04-01 2019-05-01 14   # no exit
impediment 1        3         2019-05-01 -          70
technical  1        2         2019-04-01 2019-05-01 97   # a decision was over, the unemployment was not
technical  1        3         2019-05-01 -          70
part_time  1        2         2019-04-01 -          21   # works part time and seeks: no exit
same_day   1        2         2019-05-01 -          31
sick30     1        2         2019-07-01 -          31
index_day  1        2         2019-03-01 -          31
lost30     2        1         2019-05-31 -          70
lost31     2        1         2019-06-01 -          70
two_exits  1        2         2019-05-01 2019-05-20 31
two_exits  1        3         2019-05-20 -          70
"""
REGISTRATIONS = """
lopnr      inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
to_job     1        2019-01-01      2019-04-10           2
moved      1        2019-01-01      2019-05-01           9
other      1        2019-01-01      2019-05-01           5
parent     1        2019-01-01      2019-05-01           5
lost       1        2019-01-01      2019-05-01           6
lost30     1        2019-01-01      2019-05-01           6
lost30     2        2019-05-31      -                    -   # back after 30 days: was never away
lost31     1        2019-01-01      2019-05-01           6
lost31     2        2019-06-01      -                    -   # back after 31
two_exits  1        2019-01-01      2019-08-01           1
"""
STUDIES = """
lopnr    skolform   start      slut
sfi      sfi        2019-04-01 2019-12-31   # Swedish for immigrants, inside JUG
regular  komvux_gru 2019-08-15 2019-12-31   # inside JUG as well, but regular
"""
SUBSIDIES = "lopnr stodtyp start slut \n same_day nystart 2019-05-01 2020-05-01"
SICKNESS = """
lopnr     formanskod  fran       till       omfattning
sick30    sjukpenning 2019-04-01 2019-04-30 100          # 30 days
sick31    sjukpenning 2019-04-01 2019-05-01 100          # 31 days
half_sick sjukpenning 2019-04-01 2019-12-31 50
"""
PERSONS = """
lopnr     fodelsear dod_datum  utvandring_datum
pension65 1957      -          -            # 65 in 2022
pension66 1958      -          -            # 65 in 2023, when it took 66
dead      1980      2020-03-01 -
abroad    1980      -          2019-06-01
"""
DECISIONS = "lopnr beslut_id programkod start slut slutorsak \n parent 1 JUG 2019-01-01 2019-04-30 foraldraledig"
FIRST_EXITS = """
person     days  state
category   40    arbete_osubventionerat   # 1 March to 10 April
to_job     40    arbete_osubventionerat   # the other way to show the same
impediment 1948  censored
technical  1948  censored
part_time  1948  censored
same_day   61    nystartsjobb             # a subsidised job goes before an unsubsidised one
sick30     122   arbete_osubventionerat   # not the 31 days to 1 April
sick31     31    sjuk
half_sick  1948  censored
sfi        1948  censored
regular    167   studier_reguljara
parent     61    foraldraledig
moved      61    flyttad
abroad     92    flyttad
dead       366   avliden
pension65  1037  pension                  # 1 January 2022
pension66  1767  pension                  # 1 January 2024
other      61    avregistrerad_annan
lost       61    okand
lost30     1948  censored
lost31     61    okand
two_exits  61    arbete_osubventionerat   # the category; the deregistration tells of the second job
index_day  0.5   arbete_osubventionerat   # at work from the index date
stays      1948  censored
"""
DRAWN = {
    "individ": PERSONS,
    "inskrivning": REGISTRATIONS,
    "sokandekategori": CATEGORIES,
    "studier": STUDIES,
    "stod_beslut": SUBSIDIES,
    "ersattning_fk": SICKNESS,
    "program_beslut": DECISIONS,
}


@pytest.mark.hand
def test_each_person_has_the_first_exit_drawn_for_them():
    found = hold(FIRST_EXITS, **DRAWN)
    assert (found.reach == 1948).all()
    assert found.unit is TimeUnit.MONTH
    assert found.states == (
        *("arbete_osubventionerat", "nystartsjobb", "arbete_subventionerat", "arbete_lonebidrag", "eget_foretagande", "studier_reguljara"),
        *("sjuk", "foraldraledig", "pension", "flyttad", "avliden", "okand", "avregistrerad_annan"),
    )


@pytest.mark.hand
@pytest.mark.parametrize(("sick_days", "first"), [(29, "31 sjuk"), (30, "122 arbete_osubventionerat")])
def test_how_long_sickness_must_last_is_the_plan_s_to_say(sick_days, first):
    days, state = first.split()
    hold(f"person days state \n sick30 {days} {state} \n stays 1948 censored", OutcomeSpec(sick_days=sick_days), **DRAWN)


@pytest.mark.hand
def test_a_case_of_sickness_that_has_not_lasted_when_the_registers_end_is_no_exit():
    cases = """
    lopnr  formanskod  fran       till omfattning
    days30 sjukpenning 2024-06-01 -    100
    days31 sjukpenning 2024-05-31 -    100
    """
    hold("person days state \n days30 1948 censored \n days31 1918 sjuk", ersattning_fk=cases)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("sustained_days", "expected"),
    [
        (0, "30 arbete_osubventionerat, 30 nystartsjobb, 30 arbete_osubventionerat, 30 arbete_osubventionerat, 30 arbete_osubventionerat"),
        (30, "30 arbete_osubventionerat, 30 nystartsjobb, 200 studier_reguljara, 59 foraldraledig, 30 arbete_osubventionerat"),
        (90, "120 arbete_osubventionerat, 30 nystartsjobb, 200 studier_reguljara, 59 foraldraledig, 1858 censored"),
    ],
)
def test_work_and_studies_count_from_the_first_day_of_a_run_that_lasts(sustained_days, expected):
    categories = """
    lopnr    inskr_id period_nr start      slut       skat
    twice    1        2         2019-03-31 2019-05-30 31   # 60 days
    twice    1        3         2019-05-30 2019-06-29 70
    twice    1        4         2019-06-29 2019-09-27 31   # 90 days
    twice    1        5         2019-09-27 -          70
    onward   1        2         2019-03-31 2019-05-10 33   # 40 days with a subsidy, and on without it: one run
    onward   1        3         2019-05-10 2019-06-29 31
    onward   1        4         2019-06-29 -          70
    short    1        2         2019-03-31 2019-04-29 31   # 29 days
    short    1        3         2019-04-29 -          70
    parent   1        2         2019-03-31 2019-04-29 31   # 29 days, and on to another exit
    other    1        2         2019-03-31 2019-06-28 31   # 89 days
    other    1        3         2019-06-28 -          70
    """
    people = ["twice", "onward", "short", "parent", "other"]
    rows = "\n".join(f"{who} {outcome}" for who, outcome in zip(people, expected.split(", "), strict=True))
    found = hold(
        f"person days state \n {rows}",
        OutcomeSpec(sustained_days=sustained_days),
        sokandekategori=categories,
        studier="lopnr skolform start slut \n short komvux_gym 2019-09-17 2020-05-31",
        inskrivning="lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak \n parent 1 2019-01-01 2019-04-29 5",
        program_beslut="lopnr beslut_id programkod start slut slutorsak \n parent 1 JUG 2019-01-01 2019-04-29 foraldraledig",
    )
    assert (found.reach == 1948 - sustained_days).all()


@pytest.mark.hand
@pytest.mark.parametrize(("start", "expected"), [("2024-04-01", "1858 arbete_osubventionerat"), ("2024-04-02", "1858 censored")])
def test_a_run_that_cannot_be_seen_to_last_is_no_exit_and_follow_up_ends_before_it(start, expected):
    hold(
        f"person days state \n late {expected} \n stays 1858 censored",
        OutcomeSpec(sustained_days=90),
        sokandekategori=f"lopnr inskr_id period_nr start slut skat \n late 1 2 {start} - 31",
    )


@pytest.mark.hand
def test_nobody_is_followed_for_nothing_and_who_was_gone_is_not_followed():
    people = """
    person    days  state
    on_time   1     arbete_osubventionerat   # starts the day before
    last_day  0.5   censored                 # starts on the last complete day
    too_late  0.5   censored
    newly     0.5   arbete_osubventionerat   # at work from the index date
    at_work   0.5   censored                 # at work since the eve: was not at risk
    onward    0.5   censored                 # at work on the eve, in another job on the index date
    back      31    okand                    # at work on the eve, in JUG on the index date
    hole      31    okand                    # without a category, and registered: no exit
    """
    index = {"last_day": "2024-06-30", "too_late": "2024-07-15", "on_time": "2024-06-29"}
    found = hold(
        people,
        index=index,
        sokandekategori="""
        lopnr   inskr_id period_nr start      slut       skat
        on_time 1        2         2024-06-30 -          31
        newly   1        2         2019-03-01 -          31
        at_work 1        2         2019-02-28 -          31
        onward  1        2         2019-02-01 2019-03-01 33
        onward  1        3         2019-03-01 -          31
        back    1        2         2019-02-01 2019-03-01 31
        back    1        3         2019-03-01 -          70
        hole    2        1         2019-01-01 2019-02-01 70
        hole    2        2         2019-03-20 -          70
        """,
        inskrivning="""
        lopnr   inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
        back    1        2019-01-01      2019-04-01           6
        hole    1        2018-01-01      2018-02-01           1
        hole    2        2019-01-01      2019-04-01           6
        """,
    )
    assert found.reach.tolist() == [1, 0, 0, 1948, 0, 0, 1948, 1948]


# --- the other definitions

CAREERS = """
lopnr      inskr_id period_nr start      slut       skat
job        1        2         2019-04-10 -          31
onward     1        2         2019-04-10 2019-05-10 33
onward     1        3         2019-05-10 -          31
subsidised 1        2         2019-04-10 2019-05-10 51   # and back
subsidised 1        3         2019-05-10 -          70
"""
DEFINITIONS = """
person     strict                    project                   studies
job        40.arbete_osubventionerat 40.arbete_osubventionerat 40.arbete_osubventionerat
onward     70.arbete_osubventionerat 40.nystartsjobb           40.nystartsjobb
subsidised 1948.censored             40.arbete_subventionerat  40.arbete_subventionerat
regular    167.studier_reguljara     167.studier_reguljara     167.studier_reguljara
sick31     31.sjuk                   31.sjuk                   31.sjuk
"""


@pytest.mark.hand
@pytest.mark.parametrize("definition", ["strict", "project", "studies"])
def test_each_definition_has_its_own_exits_and_its_own_success(definition):
    drawn = oracle.drawn(DEFINITIONS)
    expected = "\n".join(f"{who} {outcome.replace('.', ' ')}" for who, outcome in zip(drawn["person"], drawn[definition], strict=True))
    tables = {"sokandekategori": CAREERS, "studier": STUDIES, "ersattning_fk": SICKNESS}
    found = hold(f"person days state \n {expected}", OutcomeSpec(definition=definition), **tables)
    success = OutcomeSpec(definition=definition).success(load_contract())
    assert found.states[: len(success)] == success
    assert ("nystartsjobb" in found.states) == (definition != "strict")
    assert success == {"strict": ("arbete_osubventionerat",), "project": found.states[:6], "studies": ("studier_reguljara",)}[definition]


PAY = """
lopnr      manad      arbetsgivare_lopnr kontant_ersattning
early      2019-01-01 a                  1000                 # the first month delivered
running    2019-04-01 a                  10000
running    2019-05-01 a                  10000
running    2019-06-01 a                  10000
broken     2019-04-01 a                  20000
broken     2019-05-01 a                  20000
broken     2019-07-01 a                  20000
broken     2019-08-01 a                  20000
broken     2019-09-01 a                  20000
two_jobs   2019-04-01 a                  6000
two_jobs   2019-04-01 b                  4000
two_jobs   2019-05-01 a                  10000
two_jobs   2019-06-01 b                  10000
little     2019-04-01 a                  9999
little     2019-05-01 a                  10000
little     2019-06-01 a                  10000
before     2019-02-01 a                  10000
before     2019-03-01 a                  10000
before     2019-04-01 a                  10000
before     2019-05-01 a                  10000                # three months running from March, the month of the index date, but not from April
all_along  2019-03-01 a                  10000
all_along  2019-04-01 a                  10000
all_along  2019-05-01 a                  10000
all_along  2019-06-01 a                  10000
both       2019-05-01 a                  10000
both       2019-06-01 a                  10000
both       2019-07-01 a                  10000
last       2024-04-01 a                  10000                # the last three months
last       2024-05-01 a                  10000
last       2024-06-01 a                  10000
"""


@pytest.mark.hand
def test_independent_of_the_employment_service_pay_three_months_running_or_studies_are_success():
    expected = """
    person     days  state
    running    31    arbete              # 1 April
    broken     122   arbete              # 1 July, not 1 April
    two_jobs   31    arbete              # of two employers
    little     1887  censored            # 30 April 2024: a run can begin in April at the latest
    before     0.5   censored            # enough pay in February: at work already
    all_along  31    arbete              # 1 April, although March is enough as well
    regular    167   studier_reguljara
    both       61    arbete              # and studies on the same day
    last       1858  arbete
    job        1887  censored            # the employment service says work, no employer does
    moved      1887  censored            # says moved, and the population register does not
    sick31     1887  censored
    abroad     92    flyttad
    dead       366   avliden
    pension65  1037  pension
    in_school  0.5   censored            # in regular studies since before: was not at risk
    early      0.5   censored            # before pay is known
    """
    studies = f"{STUDIES} both komvux_gym 2019-05-01 2019-12-31 \n in_school komvux_gym 2019-01-15 2019-06-30"
    tables = {"individ": PERSONS, "inskrivning": REGISTRATIONS, "sokandekategori": CAREERS, "studier": studies, "ersattning_fk": SICKNESS}
    found = hold(expected, OutcomeSpec(definition="independent"), index={"early": "2018-12-31"}, manadslon=PAY, **tables)
    assert found.states == ("arbete", "studier_reguljara", "pension", "flyttad", "avliden")
    assert found.reach.tolist() == [1887] * 4 + [0] + [1887] * 10 + [0, 0]


@pytest.mark.hand
def test_who_has_enough_pay_in_the_month_before_the_index_month_is_at_work_already():
    pay = """
    lopnr   manad      arbetsgivare_lopnr kontant_ersattning
    first   2019-01-01 a                  1000    # the first month delivered
    enough  2019-02-01 a                  10000   # one month is enough to be at work, whatever comes after
    enough  2019-04-01 a                  10000
    enough  2019-05-01 a                  10000
    enough  2019-06-01 a                  10000
    two     2019-02-01 a                  6000
    two     2019-02-01 b                  4000
    little  2019-02-01 a                  9999
    sooner  2019-01-01 a                  20000   # and no more in February
    same    2019-03-01 a                  20000   # in the month of the index date
    """
    expected = """
    person  days  state
    enough  0.5   censored
    two     0.5   censored
    little  1887  censored
    sooner  1887  censored
    same    1887  censored
    new     1946  censored            # pay begins with the month of the index date
    none    1887  censored
    """
    found = hold(expected, OutcomeSpec(definition="independent"), index={"new": "2019-01-01"}, manadslon=pay, studier=STUDIES)
    assert found.reach.tolist() == [0, 0, 1887, 1887, 1887, 1946, 1887]
    hold("person days state \n enough 1948 censored \n none 1948 censored", manadslon=pay)  # in no other definition


@pytest.mark.hand
@pytest.mark.parametrize(
    ("months", "sek", "running", "broken", "little", "end"),
    [
        (1, 10_000, "31 arbete", "31 arbete", "61 arbete", 1948),
        (1, 9_999, "31 arbete", "31 arbete", "31 arbete", 1948),
        (2, 10_000, "31 arbete", "31 arbete", "61 arbete", 1918),
        (3, 10_000, "31 arbete", "122 arbete", "1887 censored", 1887),
        (4, 10_000, "1857 censored", "1857 censored", "1857 censored", 1857),
    ],
)
def test_how_much_pay_for_how_long_is_the_plan_s_to_say(months, sek, running, broken, little, end):
    spec = OutcomeSpec(definition="independent", earnings_months=months, earnings_sek_month=sek)
    people = f"person days state \n running {running} \n broken {broken} \n little {little} \n early {end} censored"
    hold(people, spec, manadslon=PAY, studier=STUDIES)


@pytest.mark.hand
def test_a_table_of_pay_without_rows_shows_nobody_s_outcome():
    empty = "lopnr manad arbetsgivare_lopnr kontant_ersattning"
    found = hold(
        "person days state \n regular 0.5 censored \n stays 0.5 censored", OutcomeSpec(definition="independent"), manadslon=empty, studier=STUDIES
    )
    assert found.reach.tolist() == [0, 0]


@pytest.mark.hand
def test_a_definition_whose_tables_were_not_delivered_is_refused_by_name():
    cohort, states = flat(["a", "b"]), observed(["a", "b"])
    with pytest.raises(
        InputError, match=r"1 problem.*\n.*studier: is needed for the outcome definition studies, and was not delivered; deliver it, or"
    ):
        observe_outcomes(states, cohort, OutcomeSpec(definition="studies"))
    with pytest.raises(InputError, match=r"2 problems(.|\n)*manadslon: is needed for the outcome definition independent(.|\n)*studier: is needed"):
        observe_outcomes(states, cohort, OutcomeSpec(definition="independent"))


@pytest.mark.parametrize("wrong", [{"definition": "any"}, {"sick_days": -1}, {"earnings_months": 0}, {"earnings_sek_month": 0}, {"sustained": 30}])
def test_a_spec_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        OutcomeSpec(**wrong)


# --- trials

TRIALS = """
person index_date treated
a      2018-03-05 1
b      2018-03-05 0
c      2018-03-20 0
b      2019-05-02 0
a      2019-05-20 0
c      2019-05-20 1
d      2019-05-31 0
"""
STARTS = """
lopnr fas start_datum
a     1   2018-03-05
b     1   2018-06-05
b     2.0 2020-06-01
c     1   2019-05-20
d     1   2024-07-01   # after the last complete month
e     1   -            # offered
"""


@pytest.mark.hand
def test_in_a_stack_a_person_is_followed_from_each_index_date_and_a_whole_trial_equally_far():
    rows = oracle.drawn(TRIALS)
    states = observed(
        ["a", "b", "c", "d"],
        inskrivning="\n".join(["lopnr inskr_id inskriven_datum", *(f"{who} 1 2018-01-01" for who in "abcd")]),
        sokandekategori="""
        lopnr inskr_id period_nr start      slut       skat
        b     1        2         2018-12-01 2019-03-01 31
        b     1        3         2019-03-01 -          70
        b     1        4         2019-06-01 -          33
        """,
        projekt_deltagande=STARTS,
    )
    cohort = stack(rows.assign(treated=rows["treated"].astype(int)))
    found = observe_outcomes(states, cohort)
    assert found.person is cohort.person
    #                                   b at work on 1 December 2018   and on 1 June 2019
    assert found.days.tolist() == [2309, 271, 2294, 30, 1868, 1868, 1857]
    assert found.state.tolist()[1:4:2] == ["arbete_osubventionerat", "nystartsjobb"]
    # 31 March 2018 and 31 May 2019 to 30 June 2024
    assert found.reach is not None
    assert found.reach.tolist() == [2283] * 3 + [1857] * 4
    assert found.horizon == 2283
    # 5 March to 5 June 2018; 20 March 2018 to 20 May 2019; 2 May 2019 to 1 June 2020; a participant has none, neither has who starts beyond the end
    assert found.later_start is not None
    assert found.later_start.tolist() == [np.inf, 92, 426, 396, np.inf, np.inf, np.inf]


@pytest.mark.hand
def test_where_the_offer_is_time_zero_a_control_is_one_until_the_own_offer():
    starts = """
    lopnr   fas erbjuden_datum start_datum
    offered 1   2019-04-01     2019-06-01
    never   1   2019-05-01     -            # offered, and did not start
    dropin  1   -              2019-05-11   # started without an offer on record
    onward  1   2019-02-01     2019-06-01   # offered before the index date
    late    1   2024-07-01     2024-08-01   # beyond the last complete month
    """
    people = ["treated", "offered", "never", "dropin", "onward", "late"]
    states, cohort = observed(people, projekt_deltagande=starts), flat(people)
    assert observe_outcomes(states, cohort, time_zero="offer").later_start.tolist() == [np.inf, 31, 61, 71, np.inf, np.inf]
    assert observe_outcomes(states, cohort).later_start.tolist() == [np.inf, 92, np.inf, 71, 92, np.inf]


def disordered(seed: int) -> tuple[States, Cohort]:
    """Give registers in disorder, and two trials of everybody in them."""
    tables = oracle.disorder(250, seed=seed)
    tables["projekt_deltagande"] = pd.DataFrame({"lopnr": ["p0"], "fas": ["1"], "start_datum": ["2018-01-10"]})
    people, rng = tables["individ"]["lopnr"].to_numpy(), np.random.default_rng(seed)
    day = [pd.Timestamp(first) + pd.to_timedelta(rng.integers(0, 28, len(people)), unit="D") for first in ("2017-02-01", "2017-05-01")]
    rows = pd.DataFrame({"person": np.tile(people, 2), "index_date": np.concatenate(day), "treated": rng.integers(0, 2, 2 * len(people))})
    return observe_states(clean_registers(oracle.build(tables, "2019-06-01"))), stack(rows)


def diary_of(states: States) -> dict[str, dict[int, str]]:
    """Give each person's state by day number."""
    diary: dict[str, dict[int, str]] = {}
    for who, start, stop, state in states.frame()[["lopnr", "start", "stop", "state"]].itertuples(index=False):
        diary.setdefault(who, {}).update(dict.fromkeys(range(start.toordinal(), stop.toordinal()), state))
    return diary


def lived(states: States, cohort: Cohort, spec: OutcomeSpec) -> list[tuple[float, str, bool]]:
    """Give days, state and whether the person was gone from the start, by living each row's days one after another."""
    classes = states_shown(states.clean.registers.contract)
    success, competing = (set(found(states.clean.registers.contract)) for found in (spec.success, spec.competing))
    diary = diary_of(states)
    end = states.clean.registers.complete_until.toordinal() - spec.sustained_days
    assert set(classes) >= success | competing

    def left(life: dict[int, str], day: int) -> str | None:
        state = life.get(day)
        if state in success:
            first, after = day, day
            while life.get(first - 1) in success:
                first -= 1
            while life.get(after) in success:
                after += 1
            return state if after - first >= spec.sustained_days else None
        if state == "sjuk":
            first, after = day, day
            while life.get(first - 1) == state:
                first -= 1
            while life.get(after) == state:
                after += 1
            return state if after - first > spec.sick_days else None
        return state if state in competing else None

    found = []
    for who, date in zip(cohort.person, cohort.index_date, strict=True):
        life, index = diary.get(who, {}), date.toordinal()
        if left(life, index - 1) and left(life, index):
            found.append((0.5, "censored", True))
            continue
        day = index
        while day <= end and not left(life, day):
            day += 1
        found.append((max(day - index, 0.5), left(life, day), False) if day <= end else (max(end - index, 0.5), "censored", False))
    return found


@pytest.mark.property
@pytest.mark.parametrize("definition", ["strict", "project", "studies"])
@pytest.mark.parametrize(("sustained_days", "sick_days"), [(0, 30), (30, 5)])
def test_exits_are_those_found_by_living_day_by_day(definition, sustained_days, sick_days):
    states, cohort = disordered(seed=sick_days)
    spec = OutcomeSpec(definition=definition, sustained_days=sustained_days, sick_days=sick_days)
    found = observe_outcomes(states, cohort, spec)
    days, state, gone = zip(*lived(states, cohort, spec), strict=True)
    assert found.reach is not None
    assert found.days.tolist() == list(days)
    assert found.state.tolist() == list(state)
    assert (found.reach == 0).tolist() == list(gone)
    assert sum(gone) > 50
    assert sum(one > 1 for one in days) > 200


@pytest.mark.property
def test_neither_the_order_of_the_rows_nor_what_people_are_called_changes_an_outcome():
    tables = oracle.disorder(120, seed=4)
    tables["manadslon"] = pd.DataFrame(
        {"lopnr": np.repeat([f"p{number}" for number in range(120)], 6), "manad": [f"2017-{month:02}-01" for month in range(4, 10)] * 120}
    ).assign(arbetsgivare_lopnr="a", kontant_ersattning=lambda frame: 7_000 + 13 * frame.index * 97 % 9_000)
    tables["projekt_deltagande"] = pd.DataFrame({"lopnr": [f"p{number}" for number in range(30)], "fas": "1", "start_datum": "2018-01-10"})
    rows = pd.DataFrame({"person": [f"p{number}" for number in range(120)] * 2, "index_date": ["2017-05-07"] * 120 + ["2017-09-01"] * 120})
    rows["treated"] = (np.arange(240) % 3 == 0).astype(int)
    turn = np.random.default_rng(1).permutation(240)
    new = dict(zip(rows["person"][:120], np.random.default_rng(2).permutation(1_000)[:120], strict=True))  # numbers, where the registers have text
    shuffled = {name: frame.assign(lopnr=frame["lopnr"].map(new).astype(str)).sample(frac=1, random_state=3) for name, frame in tables.items()}
    one = observe_states(clean_registers(oracle.build(tables, "2019-06-01")))
    other = observe_states(clean_registers(oracle.build(shuffled, "2019-06-01")))
    for definition in ("project", "independent"):
        spec = OutcomeSpec(definition=definition)
        here = observe_outcomes(one, stack(rows), spec)
        there = observe_outcomes(other, stack(rows.assign(person=rows["person"].map(new)).iloc[turn].reset_index(drop=True)), spec)
        for name in ("days", "reach", "later_start"):
            np.testing.assert_array_equal(getattr(here, name)[turn], getattr(there, name))
        assert here.state.codes[turn].tolist() == there.state.codes.tolist()
        assert len(set(here.state)) > 3


@pytest.mark.hand
def test_who_is_not_in_the_registers_or_has_no_index_date_is_refused_without_being_named():
    states = observed(["a", "b"])
    with pytest.raises(InputError, match=r"person: must be a person of the registers; 1 of 2 rows does not, first at row 2") as raised:
        observe_outcomes(states, flat(["a", SECRET]))
    assert SECRET not in str(raised.value)
    assert not states.connection.execute("select * from duckdb_tables() where table_name = 'followed'").fetchall()
    undated = cohort_from_table(pd.DataFrame({"treated": [1, 0], "x": [1, 2]}, index=["a", "b"]), treated="treated", covariates=["x"])
    with pytest.raises(InputError, match="index_date: is needed to look up outcomes in the registers"):
        observe_outcomes(states, undated)


# --- the truth


@pytest.mark.recovery
@pytest.mark.parametrize("dirt", [0.0, 0.03])
def test_the_first_exits_of_synthetic_participants_are_those_of_their_lives(dirt):
    simulated = simulate_registers(300, 700, seed=6, dirt=dirt)
    states = observe_states(clean_registers(read_registers(simulated.tables)))
    truth = simulated.potential.query("world == 'factual'").reset_index(drop=True)
    others = simulated.tables["individ"].loc[lambda frame: ~frame["lopnr"].isin(truth["lopnr"]), ["lopnr"]].head(50)
    rows = pd.concat([truth[["lopnr", "start"]].assign(treated=1), others.assign(start=pd.Timestamp("2019-05-01"), treated=0)], ignore_index=True)
    cohort = cohort_from_table(rows.assign(number=range(len(rows))), treated="treated", covariates=["number"], person="lopnr", index_date="start")
    found = observe_outcomes(states, cohort).to_frame().head(len(truth))
    end = (pd.Timestamp(states.clean.registers.complete_until) - truth["start"]).dt.days
    seen = truth["days"] <= end
    np.testing.assert_array_equal(found["days"], truth["days"].where(seen, end))
    assert found["state"].astype(str).tolist() == truth["exit"].where(seen, "censored").tolist()
    assert set(truth.loc[seen, "exit"]) >= {"arbete_osubventionerat", "nystartsjobb", "studier_reguljara", "sjuk", "okand", "flyttad"}
