"""What was known before the index date: drawn people, a slow oracle, and blindness to everything later."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from evaluation.errors import InputError
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.history import LookBackSpec, look_back
from evaluation.registers.states import observe_states

oracle = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("register_oracle.py"))))

SECRET = "19800101-1234"  # looks like a person's identity number; no message may hold it

TABLES = {
    "individ": """
        lopnr  fodelsear invandringsar utvandring_datum
        steady 1980      2000          -
        broken 1980      -             -
        newly  1990      2019          2019-06-01
    """,
    "inskrivning": """
        lopnr  inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak kontor
        steady 1        2018-01-01      -                    -                     K1
        broken 1        2017-01-01      2017-04-11           1                     K1    # 100 days
        broken 2        2018-05-01      2018-08-09           6                     K2    # 100 days
        broken 3        2019-02-10      -                    -                     -
    """,
    "sokandekategori": """
        lopnr  inskr_id period_nr start      slut       skat
        steady 1        1         2018-01-01 2018-07-01 11
        steady 1        2         2018-07-01 -          70
        broken 1        1         2017-01-01 2017-04-11 11
        broken 2        1         2018-05-01 2018-08-09 14
        broken 3        1         2019-02-10 -          70
    """,
    "program_beslut": """
        lopnr  beslut_id programkod start      slut       slutorsak
        steady 1         JUG        2018-07-01 2018-12-31 annat
        steady 2         JUG        2019-01-01 -          -
        broken 3         JUG        2018-05-01 2018-08-09 annat
    """,
    "ersattning_fk": """
        lopnr  formanskod  fran       till       omfattning nettodagar
        steady sjukpenning 2018-08-01 2018-08-10 50         4      # 10 days
        broken sjukpenning 2018-02-20 2018-03-11 50         10     # 20 days, 11 of them in the year before 2019-03-01
        broken sjukpenning 2019-02-19 2019-03-31 25         99     # has run 10 days on 2019-03-01
    """,
    "arsinkomst": """
        lopnr  ar   loneink_hkr sun_niva barn0_6 akassa_dagar aktivitetsstod_dagar
        steady 2018 1234        3        2       60           -
        steady 2019 9999        5        3       10           10
        broken 2015 10          2        1       -            -
        broken 2016 0           -        -       -            -
        broken 2017 500         9        0       20           30
    """,
    "ek_bistand": """
        lopnr  hushall_lopnr manad      belopp_kr
        steady h             2018-02-01 5000    # 13 months before
        steady h             2018-03-01 5000
        steady h             2018-04-01 0
        steady h             2019-02-01 -
        steady h             2019-03-01 5000    # the month of the index date
    """,
    "funktionsnedsattning": """
        lopnr  kod registrerad_datum
        steady 61  2019-03-01                   # on the index date
        broken 61  2019-02-28
    """,
}
# 1 March 2019; years before end on 1 March 2018, 2017, ...
KNOWN = """
column              steady    broken                          newly
state               program   program                         None
days_unemployed_365 365       119                             0   # broken: 100 + 19
days_unemployed_730 424       160                             0   # broken: 41 of the first 100 days as well
days_unemployed_1826 424      219                             0
days_programme_365  243       19                              0
days_work_365       0         61                              0   # from 1 March to 1 May 2018
days_work_730       0         385                             0   # from 11 April 2017 to 1 May 2018
months_since_work   nan       9.987679671457906               nan # since 30 April 2018: 304 days after, over 30.4375
registrations       1         3                               0
days_registered     424       19                              0
office              K1        K2                              None
days_jug            243       0                               0
sick_days_365       4         8                               0   # broken: 11 / 20 of 10, and a quarter of 10
sick_days_730       4         12.5                            0
earnings_sek_1      123400    nan                             nan
earnings_sek_2      nan       50000                           nan
earnings_sek_3      nan       0                               nan
insurance_days      60        nan                             nan # broken: 20 in 2017, not the year before
support_days        nan       nan                             nan
education           gymnasial forgymnasial                    okand
children_0_6        2         0                               nan
assistance_months   2         0                               0
disability          False     True                            False
years_in_sweden     19        nan                             0
"""


def frames(*names: str) -> dict[str, pd.DataFrame]:
    return {name: oracle.drawn(TABLES[name]) for name in names or TABLES}


@pytest.fixture(scope="module")
def clean():
    return clean_registers(oracle.build(frames()))


def pairs(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["lopnr", "index_date"])


@pytest.mark.hand
def test_each_number_is_arithmetic_on_the_drawn_records(clean):
    found = look_back(clean, pairs(*((who, "2019-03-01") for who in ("steady", "broken", "newly"))))
    for column, *values in oracle.drawn(KNOWN).itertuples(index=False):
        if column in ("state", "office", "education", "disability"):
            assert found[column].astype(object).where(found[column].notna(), None).astype(str).tolist() == values, column
        else:
            np.testing.assert_allclose(found[column], np.array(values, dtype=float), rtol=1e-12, err_msg=column)


@pytest.mark.hand
def test_rows_keep_their_order_and_index_and_a_person_may_occur_several_times(clean):
    people = pairs(("steady", "2019-03-01"), ("broken", "2017-01-02"), ("steady", "2018-01-02"), ("steady", "2019-03-01"))
    people = people.assign(team="x").set_axis([7, 3, 3, 1])
    found = look_back(clean, people)
    pd.testing.assert_frame_equal(found[["lopnr", "index_date"]], people[["lopnr", "index_date"]])
    assert found["days_registered"].tolist() == [424, 1, 1, 424]


@pytest.mark.hand
@pytest.mark.parametrize("day", ["2019-03-01", pd.Timestamp("2019-03-01"), pd.Timestamp("2019-03-01").date(), np.datetime64("2019-03-01")])
def test_an_index_date_may_be_a_date_of_any_kind(clean, day):
    assert look_back(clean, pd.DataFrame({"lopnr": ["steady"], "index_date": [day]}))["days_registered"].tolist() == [424]


@pytest.mark.hand
def test_the_day_after_the_last_complete_month_can_be_looked_back_from(clean):
    found = look_back(clean, pairs(("steady", "2021-01-01")))
    assert found[["days_registered", "days_jug", "days_programme_365"]].iloc[0].tolist() == [1096, 915, 365]


@pytest.mark.hand
def test_what_begins_on_the_index_date_is_not_the_past(clean):
    found = look_back(clean, pairs(("broken", "2017-04-11"), ("broken", "2017-04-12")))
    assert found["days_work_365"].tolist() == [0, 1]
    assert found["state"].tolist() == ["oppet_arbetslos", "arbete_osubventionerat"]
    np.testing.assert_array_equal(found["months_since_work"], [np.nan, 0])
    abroad = look_back(clean, pairs(("newly", "2019-06-01"), ("newly", "2019-06-02")), LookBackSpec(work=("flyttad",)))
    np.testing.assert_array_equal(abroad["months_since_work"], [np.nan, 0])


@pytest.mark.hand
def test_what_is_not_delivered_is_not_there():
    required = clean_registers(oracle.build(frames("individ", "inskrivning", "sokandekategori")))
    found = look_back(required, pairs(("steady", "2019-03-01")), LookBackSpec(windows_days=(365,)))
    days = ["days_unemployed_365", "days_programme_365", "days_work_365", "months_since_work"]
    assert found.columns.tolist() == ["lopnr", "index_date", "state", *days, "registrations", "days_registered", "office", "years_in_sweden"]


@pytest.mark.hand
def test_the_spec_names_groups_windows_and_years(clean):
    spec = LookBackSpec(
        windows_days=(10,),
        states={"idle": ("program", "forhinder"), "lost": ("okand",)},
        sick_windows_days=(5,),
        earnings_years=1,
        assistance_months=1,
    )
    found = look_back(clean, pairs(("broken", "2018-08-12"), ("steady", "2019-03-01")), spec)
    assert found["days_idle_10"].tolist() == [7, 10]
    assert found["days_lost_10"].tolist() == [3, 0]
    assert found["assistance_months"].tolist() == [0, 1]
    assert [column for column in found if column.startswith(("sick", "earnings"))] == ["sick_days_5", "earnings_sek_1"]


@pytest.mark.hand
def test_less_may_be_asked_and_of_nobody(clean):
    found = look_back(clean, pairs(), LookBackSpec(states={}, sick_windows_days=()))
    assert found.empty
    assert [column for column in found if column.startswith(("days", "sick"))] == ["days_registered", "days_jug"]


@pytest.mark.hand
def test_nothing_is_left_behind_in_the_database(clean):
    def schemas() -> set[str]:
        return {name for (name,) in clean.registers.connection.execute("select schema_name from duckdb_schemas()").fetchall()}

    before = schemas()
    look_back(clean, pairs(("steady", "2019-03-01")))
    with pytest.raises(InputError, match="is not a column"):
        look_back(clean, pairs().drop(columns="lopnr"))
    assert schemas() == before


@pytest.mark.hand
def test_a_return_after_the_index_date_does_not_fill_the_gap_before_it():
    registrations = "lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak \n a 1 2019-01-01 2019-02-20 6"
    categories = "lopnr inskr_id period_nr start slut skat \n a 1 1 2019-01-01 2019-02-20 11"
    returned = {"inskrivning": registrations + "\n a 2 2019-03-05 - -", "sokandekategori": categories + "\n a 2 1 2019-03-05 - 11"}
    clean = clean_registers(oracle.build({"individ": oracle.drawn("lopnr fodelsear \n a 1980"), **{k: oracle.drawn(v) for k, v in returned.items()}}))
    assert len(observe_states(clean).frame()) == 1  # bridged, for who knows the future
    assert look_back(clean, pairs(("a", "2019-03-01"), ("a", "2019-03-06")))["days_unemployed_365"].tolist() == [50, 64]


@pytest.mark.hand
def test_a_late_deregistration_does_not_tell_of_work_before_it_was_made():
    tables = {
        "individ": "lopnr fodelsear \n a 1980",
        "inskrivning": "lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak \n a 1 2019-01-01 2019-03-20 1",
        "sokandekategori": "lopnr inskr_id period_nr start slut skat \n a 1 1 2019-01-01 2019-02-20 11",
        "stod_beslut": "lopnr stodtyp start slut \n a nystart 2019-03-15 2019-06-30",
    }
    clean = clean_registers(oracle.build({name: oracle.drawn(text) for name, text in tables.items()}))
    spec = LookBackSpec(windows_days=(365,), states={"lost": ("okand",), "free": ("arbete_osubventionerat",), "subsidised": ("nystartsjobb",)})
    found = look_back(clean, pairs(("a", "2019-03-01"), ("a", "2019-03-17"), ("a", "2019-04-01")), spec)
    assert found["days_lost_365"].tolist() == [9, 23, 0]  # from 20 February, until the decision and the deregistration are known
    assert found["days_free_365"].tolist() == [0, 0, 0]
    assert found["days_subsidised_365"].tolist() == [0, 2, 40]


@pytest.mark.property
def test_nothing_that_becomes_known_later_changes_a_look_back():
    """Every record from a day on is deleted, and every later end and what came with it: index dates up to that day see no difference."""
    tables = oracle.disorder(150, seed=5)
    clean = clean_registers(oracle.build(tables, "2019-06-01"))
    rng = np.random.default_rng(6)
    for day in ("2017-08-15", "2018-07-10"):
        earlier = pd.Timestamp(day) - pd.to_timedelta(rng.integers(0, 40, 300) * rng.integers(0, 2, 300), "D")
        people = pd.DataFrame({"lopnr": rng.choice(tables["individ"]["lopnr"], 300), "index_date": earlier})
        blind = clean_registers(oracle.build(blinded(tables, day), "2019-06-01"))
        pd.testing.assert_frame_equal(look_back(clean, people), look_back(blind, people))


def blinded(tables: dict[str, pd.DataFrame], day: str) -> dict[str, pd.DataFrame]:
    """Delete what starts on a day or later, and empty the ends that come after it with all that is known only then."""
    ends = {
        "inskrivning": ("inskriven_datum", "avaktualiserad_datum", "avaktualiseringsorsak"),
        "sokandekategori": ("start", "slut"),
        "program_beslut": ("start", "slut", "slutorsak"),
        "stod_beslut": ("start", "slut"),
        "studier": ("start", "slut"),
        "ersattning_fk": ("fran", "till", "nettodagar"),
        "ek_bistand": ("manad",),
        "funktionsnedsattning": ("registrerad_datum",),
    }
    found = {}
    for name, frame in tables.items():
        start, *rest = ends.get(name, (None,))
        if start:
            frame = frame[frame[start] < day]
        if rest:
            frame = frame.copy()
            frame.loc[frame[rest[0]].fillna("9999") > day, rest] = None
        if name == "arsinkomst":
            frame = frame[frame["ar"] < int(day[:4])]
        if name == "individ":
            frame = frame.copy()
            for column in ("dod_datum", "utvandring_datum"):
                frame.loc[frame[column].fillna("") > day, column] = None
        found[name] = frame
    return found


@pytest.mark.property
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(oracle.few())
def test_few_people_have_the_states_and_the_past_of_the_slow_oracle(drawn):
    tables, people = drawn
    clean = clean_registers(oracle.build(tables, "2017-03-01"))
    oracle.compare(clean, observe_states(clean))
    pd.testing.assert_frame_equal(look_back(clean, people), oracle.looked_back(clean, people))


@pytest.mark.property
def test_a_hundred_thousand_rows_have_the_states_and_the_past_of_the_slow_oracle():
    tables = oracle.disorder(4_500, seed=7)
    registers = oracle.build(tables, "2019-06-01")
    assert sum(registers.rows.values()) > 100_000
    clean = clean_registers(registers)
    oracle.compare(clean, observe_states(clean))
    rng = np.random.default_rng(8)
    days = pd.Timestamp("2017-03-01") + pd.to_timedelta(rng.integers(0, 850, 1_000), "D")
    people = pd.DataFrame({"lopnr": rng.choice(tables["individ"]["lopnr"], 1_000), "index_date": days})
    pd.testing.assert_frame_equal(look_back(clean, people), oracle.looked_back(clean, people))


@pytest.mark.property
def test_neither_the_order_of_the_rows_nor_the_names_of_the_people_change_a_look_back():
    tables = oracle.disorder(100, seed=9)
    names = tables["individ"]["lopnr"]
    new = dict(zip(names, names.sample(frac=1, random_state=1).to_numpy(), strict=True))
    shuffled = {name: frame.assign(lopnr=frame["lopnr"].map(new)).sample(frac=1, random_state=2) for name, frame in tables.items()}
    people = pd.DataFrame({"lopnr": names, "index_date": pd.Timestamp("2018-04-01")})
    one, other = clean_registers(oracle.build(tables)), clean_registers(oracle.build(shuffled))
    renamed = people.assign(lopnr=people["lopnr"].map(new))
    one, other = look_back(one, people), look_back(other, renamed)
    pd.testing.assert_frame_equal(one.drop(columns="lopnr"), other.drop(columns="lopnr"), check_exact=True)


BROKEN = {
    "a missing column": (pairs().drop(columns="index_date"), {}, r"index_date: is not a column of the table of people"),
    "a stranger": (
        pairs(("steady", "2019-03-01"), (SECRET, "2019-03-01")),
        {},
        r"lopnr: must be a person of the registers; 1 of 2 rows does not, first at row 2",
    ),
    "nobody": (pairs((None, "2019-03-01")), {}, r"lopnr: must be a person of the registers; 1 of 1 rows does not"),
    "no date": (pairs(("steady", "2019-03-01"), ("steady", None)), {}, r"index_date: must be a date; 1 of 2 rows does not, first at row 2"),
    "a date in words": (pairs(("steady", SECRET)), {}, r"index_date: must be a date; 1 of 1 rows does not"),
    "a date not observed": (pairs(("steady", "2021-01-02")), {}, r"index_date: must be observed, at the latest 2021-01-01; 1 of 1 rows does not"),
    "an unknown state": (pairs(("steady", "2019-03-01")), {"states": {"idle": ("lazy",)}}, r"states.idle: must name states or classes of states"),
    "unknown work": (pairs(("steady", "2019-03-01")), {"work": ()}, r"work: must name states or classes of states"),
}


@pytest.mark.parametrize(("people", "spec", "told"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_looked_back_on_is_told(clean, people, spec, told):
    with pytest.raises(InputError, match=told) as caught:
        look_back(clean, people, LookBackSpec(**spec))
    assert SECRET not in str(caught.value)


def test_all_problems_are_told_at_once(clean):
    with pytest.raises(InputError, match="3 problems"):
        look_back(clean, pairs((SECRET, "never")), LookBackSpec(work=("lazy",)))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"windows_days": (0,)}, "greater than 0"),
        ({"states": {"at work": ("arbete",)}}, "should match pattern"),
        ({"window": 365}, "Extra inputs are not permitted"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(given, told):
    with pytest.raises(ValidationError, match=told):
        LookBackSpec(**given)
