"""Spells mended rule by rule: drawn registers, and registers in disorder against a slow oracle."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation.registers.cleaning import CleaningSpec, clean_registers

oracle = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("register_oracle.py"))))

REGISTRATIONS = """
lopnr   inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
tidy    1        2019-01-01      2019-03-01           1
twice   1        2019-01-01      2019-03-01           6
twice   1        2019-01-01      2019-03-01           6   # entered twice
back    1        2019-01-01      2019-03-01           6
back    2        2019-03-10      2019-03-05           6   # ends before it starts
back    3        2019-04-15      2019-04-15           6   # ends the day it starts
redone  9        2019-01-01      2019-02-01           6
redone  10       2019-01-01      2019-03-01           6   # the same start, registered later
two     1        2019-01-01      2019-04-01           6
two     2        2019-03-01      2019-05-01           6   # starts before the first has ended
late    1        2019-01-01      2019-03-20           1   # the last category ended on 1 March
open    1        2019-01-01      -                    -   # and here too
outlive 1        2019-01-01      2019-03-01           8
near    1        2019-01-01      2019-03-01           6
near    2        2019-03-31      2019-05-01           6   # 30 days after
far     1        2019-01-01      2019-03-01           6
far     2        2019-04-01      2019-05-01           6   # 31 days after
worked  1        2019-01-01      2019-03-01           2
worked  2        2019-03-11      2019-05-01           6   # 10 days after, but had left for work
inside  1        2019-01-01      2019-05-01           2
techno  1        2019-01-01      2019-03-01           6
after   1        2020-11-01      2021-01-15           1   # follow-up ends with December 2020
after   2        2021-02-01      -                    -
"""
CATEGORIES = """
lopnr   inskr_id period_nr start      slut       skat
tidy    1        1         2019-01-01 2019-02-01 11
tidy    1        2         2019-02-01 2019-03-01 70
twice   1        1         2019-01-01 2019-03-01 11
twice   1        1         2019-01-01 2019-03-01 11
back    1        1         2019-01-01 2019-03-01 11
back    1        2         2019-02-01 2019-01-20 70
back    1        3         2019-02-10 2019-02-10 70
redone  10       9         2019-01-01 2019-02-01 11
redone  10       10        2019-01-01 2019-03-01 70
two     1        1         2019-01-01 2019-04-01 11
two     2        1         2019-03-01 2019-05-01 70
late    1        1         2019-01-01 2019-03-01 11
open    1        1         2019-01-01 2019-03-01 11
outlive 1        1         2019-01-01 -          11
outlive 1        2         2019-03-01 2019-04-01 70
near    1        1         2019-01-01 2019-03-01 11
near    2        1         2019-03-31 2019-05-01 70
far     1        1         2019-01-01 2019-03-01 11
far     2        1         2019-04-01 2019-05-01 70
worked  1        1         2019-01-01 2019-03-01 11
worked  2        1         2019-03-11 2019-05-01 70
inside  1        1         2019-01-01 2019-03-01 11
inside  1        2         2019-03-11 2019-05-01 70
techno  1        1         2019-01-01 2019-02-01 11
techno  1        2         2019-02-01 2019-03-01 98
after   1        1         2020-11-01 2021-01-15 11
after   2        1         2021-02-01 -          11
"""
CLEAN_REGISTRATIONS = """
lopnr   inskr_id start      stop       klass
after   1        2020-11-01 2021-01-01 -
back    1        2019-01-01 2019-03-01 okand
far     1        2019-01-01 2019-03-01 okand
far     2        2019-04-01 2019-05-01 okand
inside  1        2019-01-01 2019-05-01 arbete_osubventionerat
late    1        2019-01-01 2019-03-01 arbete_osubventionerat
near    1        2019-01-01 2019-03-31 okand
near    2        2019-03-31 2019-05-01 okand
open    1        2019-01-01 2019-03-01 -
outlive 1        2019-01-01 2019-03-01 studier_reguljara
redone  10       2019-01-01 2019-03-01 okand
techno  1        2019-01-01 2019-03-01 okand
tidy    1        2019-01-01 2019-03-01 arbete_osubventionerat
twice   1        2019-01-01 2019-03-01 okand
two     1        2019-01-01 2019-03-01 okand
two     2        2019-03-01 2019-05-01 okand
worked  1        2019-01-01 2019-03-01 arbete_osubventionerat
worked  2        2019-03-11 2019-05-01 okand
"""
CLEAN_CATEGORIES = """
lopnr   skat start      stop       klass
after   11   2020-11-01 2021-01-01 oppet_arbetslos
back    11   2019-01-01 2019-03-01 oppet_arbetslos
far     11   2019-01-01 2019-03-01 oppet_arbetslos
far     70   2019-04-01 2019-05-01 program
inside  11   2019-01-01 2019-03-11 oppet_arbetslos
inside  70   2019-03-11 2019-05-01 program
late    11   2019-01-01 2019-03-01 oppet_arbetslos
near    11   2019-01-01 2019-03-31 oppet_arbetslos
near    70   2019-03-31 2019-05-01 program
open    11   2019-01-01 2019-03-01 oppet_arbetslos
outlive 11   2019-01-01 2019-03-01 oppet_arbetslos
redone  70   2019-01-01 2019-03-01 program
techno  11   2019-01-01 2019-02-01 oppet_arbetslos
techno  98   2019-02-01 2019-03-01 oppet_arbetslos
tidy    11   2019-01-01 2019-02-01 oppet_arbetslos
tidy    70   2019-02-01 2019-03-01 program
twice   11   2019-01-01 2019-03-01 oppet_arbetslos
two     11   2019-01-01 2019-03-01 oppet_arbetslos
two     70   2019-03-01 2019-05-01 program
worked  11   2019-01-01 2019-03-01 oppet_arbetslos
worked  70   2019-03-11 2019-05-01 program
"""
AUDIT = """
table           rule                  rows_before removed changed rows_after
inskrivning     after_follow_up       23          1       1       22   # after 2; after 1
inskrivning     exact_duplicate       22          1       0       21   # twice
inskrivning     negative              21          1       0       20   # back 2
inskrivning     zero_length           20          1       0       19   # back 3
inskrivning     same_start            19          1       0       18   # redone 9
inskrivning     overlap               18          0       1       18   # two 1
inskrivning     late_deregistration   18          0       2       18   # late, open
inskrivning     gap                   18          0       1       18   # near
inskrivning     reused_code           18          0       0       18
sokandekategori after_follow_up       27          1       1       26   # after 2; after 1
sokandekategori exact_duplicate       26          1       0       25   # twice
sokandekategori negative              25          1       0       24   # back, period 2
sokandekategori zero_length           24          1       0       23   # back, period 3
sokandekategori same_start            23          1       0       22   # redone, period 9
sokandekategori overlap               22          0       2       22   # two 1; outlive, period 1
sokandekategori outlives_registration 22          1       0       21   # outlive, period 2
sokandekategori gap                   21          0       2       21   # near, inside
sokandekategori technical_code        21          0       1       21   # techno
sokandekategori reused_code           21          0       0       21
"""


def people(*tables: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"lopnr": sorted({who for table in tables for who in table["lopnr"]})}).assign(fodelsear=1980)


def cleaned(**tables):
    tables = {name: oracle.drawn(text) for name, text in tables.items()}
    nothing = {name: pd.DataFrame({"lopnr": []}) for name in ("inskrivning", "sokandekategori") if name not in tables}
    return clean_registers(oracle.build({**tables, **nothing, "individ": people(*tables.values())}))


def shown(frame: pd.DataFrame, text: str) -> None:
    """Hold the columns drawn in a table against it, as text."""
    expected = oracle.drawn(text)
    found = frame[expected.columns].astype("string").astype(object)
    pd.testing.assert_frame_equal(found.where(found.notna(), None), expected, check_dtype=False)


@pytest.fixture(scope="module")
def mended():
    return cleaned(inskrivning=REGISTRATIONS, sokandekategori=CATEGORIES)


@pytest.mark.hand
def test_each_rule_mends_the_person_drawn_for_it(mended):
    shown(mended.frame("inskrivning"), CLEAN_REGISTRATIONS)
    shown(mended.frame("sokandekategori"), CLEAN_CATEGORIES)


@pytest.mark.hand
def test_the_audit_counts_what_each_rule_did(mended):
    shown(mended.audit, AUDIT)


@pytest.mark.hand
def test_a_spell_is_known_up_to_the_last_complete_month(mended):
    assert str(mended.until) == "2021-01-01"
    assert mended.frame("sokandekategori")["stop"].max() == pd.Timestamp("2021-01-01")


@pytest.mark.hand
def test_only_gaps_up_to_the_limit_are_bridged():
    registrations = """
    lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
    a     1        2019-01-01      2019-03-01           -
    a     2        2019-03-01      2019-05-01           -  # no gap
    b     1        2019-01-01      2019-03-01           5
    b     2        2019-03-08      2019-05-01           -  # 7 days
    c     1        2019-01-01      2019-03-01           6
    c     2        2019-03-31      2019-05-01           -  # 30
    d     1        2019-01-01      2019-03-01           -
    d     2        2019-04-30      2019-05-01           -  # 60
    """
    registers = cleaned(inskrivning=registrations).registers
    for gap_days, bridged in ((0, ""), (7, "b"), (30, "bc"), (60, "bcd")):
        found = clean_registers(registers, CleaningSpec(gap_days=gap_days)).frame("inskrivning")
        first, second = found[found["inskr_id"] == "1"], found[found["inskr_id"] == "2"]
        assert first["lopnr"][first["stop"].to_numpy() == second["start"].to_numpy()].tolist() == ["a", *bridged]


@pytest.mark.hand
def test_a_gap_after_work_studies_death_or_a_move_is_an_exit():
    reasons = [*"123456789", "-"]
    registrations = "lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak\n" + "\n".join(
        f"left_for_{reason} 1 2019-01-01 2019-03-01 {reason} \n left_for_{reason} 2 2019-03-11 2019-05-01 6" for reason in reasons
    )
    categories = "lopnr inskr_id period_nr start slut skat\n" + "\n".join(
        f"left_for_{reason} 1 1 2019-01-01 2019-03-01 11 \n left_for_{reason} 2 1 2019-03-11 2019-05-01 11" for reason in reasons
    )
    found = cleaned(inskrivning=registrations, sokandekategori=categories)
    for name in ("inskrivning", "sokandekategori"):
        frame = found.frame(name)
        assert frame["lopnr"][frame["stop"] == pd.Timestamp("2019-03-11")].tolist() == ["left_for_-", "left_for_5", "left_for_6"]


@pytest.mark.hand
def test_registrations_that_lie_across_each_other_do_not_end_each_others_categories():
    registrations = """
    lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak
    a     1        2019-01-01      2019-05-01           6
    a     2        2019-02-01      2019-06-01           1
    """
    categories = """
    lopnr inskr_id period_nr start      slut       skat
    a     1        1         2019-01-01 2019-03-01 11
    a     1        2         2019-03-01 2019-05-01 70
    a     2        1         2019-02-01 2019-06-01 11
    """
    found = cleaned(inskrivning=registrations, sokandekategori=categories)
    shown(found.frame("inskrivning"), "inskr_id start stop \n 1 2019-01-01 2019-02-01 \n 2 2019-02-01 2019-06-01")
    shown(
        found.frame("sokandekategori"),
        """
        inskr_id skat start      stop
        1        11   2019-01-01 2019-02-01
        2        11   2019-02-01 2019-03-01
        1        70   2019-03-01 2019-05-01
        """,
    )


@pytest.mark.hand
def test_a_code_is_read_by_its_date():
    categories = """
    lopnr inskr_id period_nr start      slut       skat
    a     1        1         1997-02-01 1997-03-01 51     # relief work
    a     1        2         2005-02-01 2005-03-01 51     # nothing at that time
    a     1        3         2006-02-01 2006-03-01 51     # plus job
    a     1        4         2008-02-01 2008-03-01 58     # resource work
    a     1        5         2013-02-01 2013-03-01 58     # development employment at Samhall
    a     1        6         2018-02-01 2018-03-01 51     # extra service job
    """
    found = cleaned(sokandekategori=categories)
    classes = ["arbete_subventionerat", None, "arbete_subventionerat", "arbete_subventionerat", "arbete_lonebidrag", "arbete_subventionerat"]
    assert found.frame("sokandekategori")["klass"].replace(np.nan, None).tolist() == classes
    audit = found.audit.set_index(["table", "rule"])
    assert audit.loc[("sokandekategori", "reused_code"), "changed"] == 3  # 1997, 2006 and 2008 had other meanings than the latest


@pytest.mark.hand
def test_programme_decisions_that_adjoin_or_overlap_are_one_spell():
    decisions = """
    lopnr beslut_id programkod start      slut       slutorsak
    a     1         JUG        2019-01-01 2019-01-31 annat
    a     2         JUG        2019-02-01 2019-04-30 annat          # the day after
    a     3         JUG        2019-03-01 2019-03-31 sjuk           # inside the second
    a     4         AMU        2019-03-01 2019-03-31 annat          # another programme
    a     5         JUG        2019-05-02 2019-05-31 foraldraledig  # a day between
    b     9         JUG        2019-01-01 2019-03-31 arbete
    b     10        JUG        2019-02-01 2019-03-31 sjuk           # the later decision tells how it ended
    c     1         JUG        2019-01-01 -          -              # still running
    c     2         JUG        2019-02-01 2019-03-31 sjuk
    """
    found = cleaned(program_beslut=decisions)
    shown(
        found.frame("programme"),
        """
        lopnr klass         start      stop       ended_as
        a     jug           2019-01-01 2019-05-01 avregistrerad_annan
        a     annat_program 2019-03-01 2019-04-01 avregistrerad_annan
        a     jug           2019-05-02 2019-06-01 foraldraledig
        b     jug           2019-01-01 2019-04-01 sjuk
        c     jug           2019-01-01 2021-01-01 -
        """,
    )
    assert found.audit.set_index(["table", "rule"]).loc[("program_beslut", "merged"), ["rows_before", "removed", "rows_after"]].tolist() == [9, 4, 5]


@pytest.mark.hand
def test_the_last_day_of_a_decision_a_study_or_a_case_belongs_to_it():
    found = cleaned(
        stod_beslut="lopnr stodtyp start slut \n a nystart 2019-01-01 2019-01-31 \n b samhall 2020-12-31 -",
        studier="lopnr skolform start slut \n a sfi 2019-01-01 2019-01-01 \n a yh 2019-03-01 2021-06-01",
        ersattning_fk="""
        lopnr formanskod   fran       till       omfattning nettodagar
        a     sjukpenning  2019-01-01 2019-01-10 50         5
        b     rehabpenning 2020-12-01 2021-02-28 100        90
        """,
    )
    assert found.names == ("inskrivning", "sokandekategori", "stod_beslut", "ersattning_fk", "studier")
    shown(
        found.frame("stod_beslut"),
        "lopnr start stop klass \n a 2019-01-01 2019-02-01 nystartsjobb \n b 2020-12-31 2021-01-01 arbete_lonebidrag",
    )
    shown(found.frame("studier"), "start stop klass \n 2019-01-01 2019-01-02 ej_reguljara \n 2019-03-01 2021-01-01 studier_reguljara")
    shown(  # net days are settled when a case ends, and the second had not
        found.frame("ersattning_fk"),
        "lopnr start stop klass nettodagar \n a 2019-01-01 2019-01-11 sjuk 5.0 \n b 2020-12-01 2021-01-01 sjuk -",
    )


@pytest.mark.hand
def test_several_cleanings_stand_beside_each_other(mended):
    without = clean_registers(mended.registers, CleaningSpec(gap_days=0))
    assert (without.frame("sokandekategori")["stop"] < mended.frame("sokandekategori")["stop"]).sum() == 2  # near, inside


@pytest.mark.parametrize(("given", "told"), [({"gap_days": -1}, "greater than or equal to 0"), ({"gap": 30}, "Extra inputs are not permitted")])
def test_a_spec_that_makes_no_sense_is_refused(given, told):
    with pytest.raises(ValidationError, match=told):
        CleaningSpec(**given)


@pytest.fixture(scope="module")
def disorder():
    return oracle.disorder(300, seed=20261122)


@pytest.fixture(scope="module")
def clean(disorder):
    return clean_registers(oracle.build(disorder, "2019-06-01"))


@pytest.mark.property
def test_every_rule_is_needed_and_the_audit_reconciles_with_the_rows(clean):
    registers, audit = clean.registers, clean.audit
    assert (audit["rows_after"] == audit["rows_before"] - audit["removed"]).all()
    for name, steps in audit.groupby("table"):
        assert steps["rows_before"].iloc[0] == registers.rows[name]
        assert steps["rows_before"].iloc[1:].tolist() == steps["rows_after"].iloc[:-1].tolist()
        assert steps["rows_after"].iloc[-1] == len(clean.frame("programme" if name == "program_beslut" else name))
    used = audit[audit["removed"] + audit["changed"] > 0]
    assert set(audit["rule"]) == set(used["rule"])


@pytest.mark.property
def test_cleaned_spells_of_a_person_have_a_length_and_do_not_overlap(clean):
    for name in ("inskrivning", "sokandekategori"):
        spells = clean.frame(name)
        assert (spells["start"] < spells["stop"]).all()
        assert spells["stop"].max() <= pd.Timestamp(clean.until)
        following = spells.groupby("lopnr")["start"].shift(-1)
        assert (following.isna() | (following >= spells["stop"])).all()


@pytest.mark.property
def test_neither_the_order_of_the_rows_nor_the_names_of_the_people_change_anything(disorder, clean):
    names = disorder["individ"]["lopnr"]
    new = dict(zip(names, names.sample(frac=1, random_state=1).to_numpy(), strict=True))
    shuffled = {name: frame.assign(lopnr=frame["lopnr"].map(new)).sample(frac=1, random_state=2) for name, frame in disorder.items()}
    other = clean_registers(oracle.build(shuffled, "2019-06-01"))
    pd.testing.assert_frame_equal(clean.audit, other.audit)
    by = ["lopnr", "start", "stop", "klass"]
    for name in clean.names:
        renamed = clean.frame(name).assign(lopnr=lambda frame: frame["lopnr"].map(new)).sort_values(by, ignore_index=True)
        pd.testing.assert_frame_equal(renamed, other.frame(name).sort_values(by, ignore_index=True))
