"""One state per person and day: drawn registers for each convention, and registers in disorder against a slow oracle."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from evaluation.registers.cleaning import CleaningSpec, clean_registers
from evaluation.registers.states import observe_states

oracle = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("register_oracle.py"))))

INDIVID = """
lopnr    fodelsear dod_datum  utvandring_datum
exit     1980      -          -
hinder   1980      -          -
techno   1980      -          -
plus     1975      -          -
extra    1980      -          -
sfi      1990      -          -
dead     1980      2019-03-15 -
abroad   1980      -          2019-04-10
lost     1980      -          -
parent   1980      -          -
"""
INSKRIVNING = """
lopnr    inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
exit     1        2019-01-01      -                    -
hinder   1        2019-01-01      -                    -
techno   1        2019-01-01      -                    -
plus     1        2006-01-01      2006-07-01           9
extra    1        2018-01-01      2018-07-01           1
sfi      1        2019-01-01      -                    -
dead     1        2019-01-01      2019-04-20           7   # deregistered late
abroad   1        2019-01-01      2019-04-01           5
lost     1        2019-01-01      2019-03-01           6
lost     2        2019-08-01      2019-09-01           8
parent   1        2019-01-01      2019-05-20           5
"""
SOKANDEKATEGORI = """
lopnr    inskr_id period_nr start      slut       skat
exit     1        1         2019-01-01 2019-02-01 11
exit     1        2         2019-02-01 2019-05-01 31   # at work, and still registered
exit     1        3         2019-05-01 -          11
hinder   1        1         2019-01-01 2019-02-01 11
hinder   1        2         2019-02-01 2019-03-01 14   # no exit
hinder   1        3         2019-03-01 -          11
techno   1        1         2019-01-01 2019-02-01 70
techno   1        2         2019-02-01 2019-03-01 98   # the decision was over, the unemployment was not
techno   1        3         2019-03-01 -          11
plus     1        1         2006-01-01 2006-03-01 11
plus     1        2         2006-03-01 2006-07-01 51   # a plus job
extra    1        1         2018-01-01 2018-03-01 70
extra    1        2         2018-03-01 2018-07-01 51   # an extra service job
sfi      1        1         2019-01-01 -          70
dead     1        1         2019-01-01 2019-04-20 11
abroad   1        1         2019-01-01 2019-04-01 11
lost     1        1         2019-01-01 2019-03-01 11
lost     2        1         2019-08-01 2019-09-01 11
parent   1        1         2019-01-01 2019-05-20 70
"""
STUDIER = """
lopnr skolform   start      slut
sfi   sfi        2019-02-01 2019-03-31   # inside JUG, and no regular studies
sfi   komvux_gru 2019-05-01 2019-06-30   # inside JUG as well, but regular
"""
PROGRAM_BESLUT = """
lopnr  beslut_id programkod start      slut       slutorsak
sfi    1         JUG        2019-01-01 -          -
parent 2         JUG        2019-01-01 2019-05-01 foraldraledig   # 18 days before the deregistration
"""
STATES = """
lopnr    start      stop       state
abroad   2019-01-01 2019-04-01 oppet_arbetslos
abroad   2019-04-01 2019-04-10 avregistrerad_annan
abroad   2019-04-10 2021-01-01 flyttad
dead     2019-01-01 2019-03-15 oppet_arbetslos
dead     2019-03-15 2021-01-01 avliden
exit     2019-01-01 2019-02-01 oppet_arbetslos
exit     2019-02-01 2019-05-01 arbete_osubventionerat
exit     2019-05-01 2021-01-01 oppet_arbetslos
extra    2018-01-01 2018-03-01 program
extra    2018-03-01 2018-07-01 arbete_subventionerat
extra    2018-07-01 2021-01-01 arbete_osubventionerat
hinder   2019-01-01 2019-02-01 oppet_arbetslos
hinder   2019-02-01 2019-03-01 forhinder
hinder   2019-03-01 2021-01-01 oppet_arbetslos
lost     2019-01-01 2019-03-01 oppet_arbetslos
lost     2019-03-01 2019-08-01 okand
lost     2019-08-01 2019-09-01 oppet_arbetslos
lost     2019-09-01 2021-01-01 studier_reguljara
parent   2019-01-01 2019-05-20 program
parent   2019-05-20 2021-01-01 foraldraledig
plus     2006-01-01 2006-03-01 oppet_arbetslos
plus     2006-03-01 2006-07-01 arbete_subventionerat
plus     2006-07-01 2021-01-01 flyttad
sfi      2019-01-01 2019-05-01 program
sfi      2019-05-01 2019-07-01 studier_reguljara
sfi      2019-07-01 2021-01-01 program
techno   2019-01-01 2019-02-01 program
techno   2019-02-01 2021-01-01 oppet_arbetslos
"""


# What a deregistration tells, and what goes before what
LEAVERS_INSKRIVNING = """
lopnr     inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
days30    1        2019-01-01      2019-03-01           1
days31    1        2019-01-01      2019-03-01           1
running   1        2019-01-01      2019-03-01           1
two_jobs  1        2019-01-01      2019-03-01           2
at_once   1        2019-01-01      2019-03-01           2
other_job 1        2019-01-01      2019-03-01           1
other_job 2        2019-03-10      -                    -   # back before the subsidy starts: it is for another job
same_job  1        2019-01-01      2019-03-01           1
same_job  2        2019-03-20      -                    -   # back the day it starts: it may be this one
same_day  1        2019-01-01      -                    -
partial   1        2019-01-01      -                    -
in_time   1        2019-01-01      2019-03-01           5
too_early 1        2019-01-01      2019-03-01           5
late      1        2019-01-01      2019-03-01           5
to_work   1        2019-01-01      2019-03-01           1
silent    1        2019-01-01      2019-03-01           -   # left without a reason
hole      1        2019-01-01      -                    -
"""
LEAVERS_SOKANDEKATEGORI = """
lopnr     inskr_id period_nr start      slut       skat
same_day  1        1         2019-01-01 -          31
partial   1        1         2019-01-01 -          11
hole      1        1         2019-01-01 2019-02-01 11
hole      1        2         2019-06-01 -          11   # four months later, and registered all the time
"""
LEAVERS_STOD_BESLUT = """
lopnr     stodtyp      start      slut
days30    nystart      2019-03-31 2019-06-30   # 30 days after the deregistration
days31    nystart      2019-04-01 2019-06-30   # 31 days after
running   nystart      2019-02-20 2019-06-30
two_jobs  lonebidrag_u 2019-03-05 2019-03-10
two_jobs  nystart      2019-03-21 2019-06-30
at_once   lonebidrag_u 2019-03-01 2019-03-10   # the first starts with the deregistration, and ends
at_once   nystart      2019-03-21 2019-06-30
other_job nystart      2019-03-20 2019-06-30
same_job  nystart      2019-03-20 2019-06-30
same_day  extratjanst  2019-02-01 2019-02-28
"""
LEAVERS_PROGRAM_BESLUT = """
lopnr     beslut_id programkod start      slut       slutorsak
in_time   1         JUG        2019-01-01 2019-01-29 foraldraledig  # out of JUG 30 days before
too_early 2         JUG        2019-01-01 2019-01-28 foraldraledig  # 31 days
late      3         JUG        2019-01-01 2019-03-30 sjuk           # 30 days after
to_work   4         JUG        2019-01-01 2019-02-28 foraldraledig  # the deregistration itself knew better
"""
LEAVERS_ERSATTNING_FK = """
lopnr   formanskod  fran       till       omfattning
partial sjukpenning 2019-02-01 2019-02-28 50           # no state
partial sjukpenning 2019-03-01 2019-03-31 100
"""
LEAVERS_STATES = """
lopnr     start      stop       state
at_once   2019-03-01 2019-03-11 arbete_lonebidrag
at_once   2019-03-11 2019-03-21 arbete_osubventionerat
at_once   2019-03-21 2019-07-01 nystartsjobb
at_once   2019-07-01 2020-01-01 arbete_osubventionerat
days30    2019-03-01 2019-07-01 nystartsjobb
days30    2019-07-01 2020-01-01 arbete_osubventionerat
days31    2019-03-01 2019-04-01 arbete_osubventionerat
days31    2019-04-01 2019-07-01 nystartsjobb
days31    2019-07-01 2020-01-01 arbete_osubventionerat
hole      2019-01-01 2019-02-01 oppet_arbetslos
hole      2019-06-01 2020-01-01 oppet_arbetslos
in_time   2019-03-01 2020-01-01 foraldraledig
late      2019-03-01 2020-01-01 sjuk
other_job 2019-03-01 2019-03-10 arbete_osubventionerat
other_job 2019-03-20 2019-07-01 nystartsjobb
partial   2019-01-01 2019-03-01 oppet_arbetslos
partial   2019-03-01 2019-04-01 sjuk
partial   2019-04-01 2020-01-01 oppet_arbetslos
running   2019-02-20 2019-07-01 nystartsjobb
running   2019-07-01 2020-01-01 arbete_osubventionerat
same_day  2019-01-01 2019-02-01 arbete_osubventionerat
same_day  2019-02-01 2019-03-01 arbete_subventionerat
same_day  2019-03-01 2020-01-01 arbete_osubventionerat
same_job  2019-03-01 2019-07-01 nystartsjobb
silent    2019-03-01 2020-01-01 okand
to_work   2019-03-01 2020-01-01 arbete_osubventionerat
too_early 2019-03-01 2020-01-01 avregistrerad_annan
two_jobs  2019-03-01 2019-03-11 arbete_lonebidrag
two_jobs  2019-03-11 2019-03-21 arbete_osubventionerat
two_jobs  2019-03-21 2019-07-01 nystartsjobb
two_jobs  2019-07-01 2020-01-01 arbete_osubventionerat
"""


def hold(expected: str, complete: str, **tables: str) -> None:
    """Hold the states of the drawn registers against those drawn."""
    frames = {name: oracle.drawn(text) for name, text in tables.items()}
    frames.setdefault("individ", frames["inskrivning"][["lopnr"]].drop_duplicates().assign(fodelsear=1980))
    found = observe_states(clean_registers(oracle.build(frames, complete))).frame()
    pd.testing.assert_frame_equal(found.astype("string"), oracle.drawn(expected).astype("string"))


@pytest.mark.hand
def test_each_person_is_in_the_states_drawn_for_them():
    tables = {"individ": INDIVID, "inskrivning": INSKRIVNING, "sokandekategori": SOKANDEKATEGORI, "studier": STUDIER}
    hold(STATES, "2020-12-01", **tables, program_beslut=PROGRAM_BESLUT)


@pytest.mark.hand
def test_a_deregistration_tells_of_the_days_after_it_together_with_the_decisions_around_it():
    tables = {"inskrivning": LEAVERS_INSKRIVNING, "sokandekategori": LEAVERS_SOKANDEKATEGORI, "stod_beslut": LEAVERS_STOD_BESLUT}
    hold(LEAVERS_STATES, "2019-12-01", **tables, program_beslut=LEAVERS_PROGRAM_BESLUT, ersattning_fk=LEAVERS_ERSATTNING_FK)


@pytest.mark.hand
def test_pension_begins_with_the_year_a_person_reaches_the_age_of_that_year():
    hold(
        """
        lopnr    start      stop       state
        born1954 2019-01-01 2026-01-01 pension           # since 2019
        born1956 2019-01-01 2021-01-01 oppet_arbetslos
        born1956 2021-01-01 2026-01-01 pension
        born1957 2019-01-01 2022-01-01 oppet_arbetslos
        born1957 2022-01-01 2026-01-01 pension           # 65 in 2022
        born1958 2019-01-01 2024-01-01 oppet_arbetslos
        born1958 2024-01-01 2026-01-01 pension           # 65 in 2023, when it took 66
        """,
        "2025-12-01",
        individ="lopnr fodelsear \n born1954 1954 \n born1956 1956 \n born1957 1957 \n born1958 1958",
        inskrivning="lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak",
        sokandekategori="""
        lopnr    inskr_id period_nr start      slut skat
        born1954 1        1         2019-01-01 -    11
        born1956 1        1         2019-01-01 -    11
        born1957 1        1         2019-01-01 -    11
        born1958 1        1         2019-01-01 -    11
        """,
    )


@pytest.mark.hand
def test_observing_the_same_cleaning_again_gives_the_same_table():
    clean = clean_registers(oracle.build(oracle.disorder(20, seed=1)))
    first, second = observe_states(clean), observe_states(clean)
    assert first.table == second.table
    pd.testing.assert_frame_equal(first.frame(), second.frame())


@pytest.mark.property
def test_states_are_disjoint_and_change_where_they_touch():
    found = observe_states(clean_registers(oracle.build(oracle.disorder(300, seed=2), "2019-06-01"))).frame()
    assert (found["start"] < found["stop"]).all()
    assert found["stop"].max() <= pd.Timestamp("2019-07-01")
    after = found.groupby("lopnr")[["start", "state"]].shift(-1)
    last, touches = after["start"].isna(), after["start"] == found["stop"]
    assert (last | (after["start"] >= found["stop"])).all()
    assert (after["state"] != found["state"])[touches].all()


@pytest.mark.property
def test_neither_the_order_of_the_rows_nor_the_names_of_the_people_change_a_state():
    tables = oracle.disorder(200, seed=3)
    names = tables["individ"]["lopnr"]
    new = dict(zip(names, names.sample(frac=1, random_state=1).to_numpy(), strict=True))
    shuffled = {name: frame.assign(lopnr=frame["lopnr"].map(new)).sample(frac=1, random_state=2) for name, frame in tables.items()}
    one, other = (observe_states(clean_registers(oracle.build(given))).frame() for given in (tables, shuffled))
    renamed = one.assign(lopnr=one["lopnr"].map(new)).sort_values(["lopnr", "start"], ignore_index=True)
    pd.testing.assert_frame_equal(renamed, other.sort_values(["lopnr", "start"], ignore_index=True))


@pytest.mark.property
@pytest.mark.parametrize("gap_days", [0, 60])
def test_states_and_audit_are_those_of_the_slow_oracle(gap_days):
    clean = clean_registers(oracle.build(oracle.disorder(200, seed=gap_days), "2019-06-01"), CleaningSpec(gap_days=gap_days))
    oracle.compare(clean, observe_states(clean))
