"""What was known beforehand: each covariate by arithmetic, levels that few have, and what is left out and why."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation.design.covariates import COVARIATES, FEW_ROWS, OTHER, Covariate, covariate_field, find_covariates, left_out, observe_covariates
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.contract import load_contract
from evaluation.registers.history import look_back

oracle = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("register_oracle.py"))))

ALL_TABLES = tuple(load_contract().tables)
SEEN = """
    column                  a          b          c
    index_date              2019-03-01 2019-12-31 2020-01-01
    fodelsear               1980       1980       1980
    kon                     1          2          2
    region                  sverige    sverige    utanfor_europa
    utlsvbakg               12         22         11
    fodd_utanfor_europa     nej        nej        ja
    fodd_utanfor_eu_efta    nej        nej        ja
    bakgrund_utanfor_europa ja         nej        ja
    years_in_sweden         -          -          7
    education               okand      gymnasial  forgymnasial
    children_0_6            2          -          0
    disability              1          0          0
    days_jug                434        1          0
    days_registered         500        20         30
    registrations           3          1          2
    office                  K1         K1         -
    days_unemployed_365     100        0          365
    days_unemployed_730     150        0          730
    days_unemployed_1826    400        10         1826
    days_unemployed_3652    400        20         3000
    days_programme_365      1          0          0
    days_programme_730      3          0          0
    days_programme_1826     6          0          0
    days_programme_3652     10         0          0
    days_work_365           0          0          365
    days_work_730           10         0          365
    days_work_1826          30         0          365
    days_work_3652          60         0          365
    months_since_work       13.5       -          200
    earnings_sek_1          0          1000       -
    earnings_sek_2          -          2000       -
    earnings_sek_3          100        3000       -
    insurance_days          10         -          0
    support_days            200        -          0
    assistance_months       12         0          3
    sick_days_365           4          0          8
    sick_days_730           4          7          12.5
"""
KNOWN = """
    covariate                  a                b         c
    age                        39               39        40      # by calendar year
    kon                        1                2         2
    origin                     andra_generation sverige   utanfor_europa
    fodd_utanfor_europa        nej              nej       ja
    fodd_utanfor_eu_efta       nej              nej       ja
    bakgrund_utanfor_europa    ja               nej       ja
    years_in_sweden            0                0         7       # who never immigrated is told apart by origin
    education                  okand            gymnasial forgymnasial
    children_0_6               2                0         0
    disability                 1                0         0
    days_jug                   434              1         0
    days_registered            500              20        30
    registrations              3                1         2
    office                     K1               K1        okand
    days_unemployed_year_1     100              0         365
    days_unemployed_year_2     50               0         365
    days_unemployed_years_3_5  250              10        1096
    days_unemployed_years_6_10 0                10        1174
    days_programme_year_1      1                0         0
    days_programme_year_2      2                0         0
    days_programme_years_3_5   3                0         0
    days_programme_years_6_10  4                0         0
    days_work_year_1           0                0         365
    days_work_year_2           10               0         0
    days_work_years_3_5        20               0         0
    days_work_years_6_10       30               0         0
    months_since_work          13.5                119.98357289527721 119.98357289527721 # 3652 / 30.4375: none on record, and longer ago
    earnings_1                 0                   0.6931471805599453 0                  # log 2
    earnings_2                 0                   1.0986122886681098 0                  # log 3
    earnings_3                 0.09531017980432493 1.3862943611198906 0                  # log 1.1, log 4
    years_unrecorded           1                0         3
    insurance_days             10               0         0
    support_days               200              0         0
    assistance_months          12               0         3
    sick_days_year_1           4                0         8
    sick_days_year_2           0                7         4.5
"""


TEXTS = ("kon", "region", "utlsvbakg", "origin", "fodd_utanfor_europa", "fodd_utanfor_eu_efta", "bakgrund_utanfor_europa", "education", "office")


def as_columns(text: str) -> pd.DataFrame:
    """Read a table drawn with one row per column."""
    drawn = oracle.drawn(text)
    frame = drawn.set_index(drawn.columns[0]).T
    return pd.DataFrame({name: frame[name] if name in (*TEXTS, "index_date") else frame[name].astype(float) for name in frame})


def seen() -> pd.DataFrame:
    return as_columns(SEEN).assign(index_date=lambda frame: pd.to_datetime(frame["index_date"]))


@pytest.mark.hand
def test_each_covariate_is_arithmetic_on_what_was_known():
    known, rows = as_columns(KNOWN), seen()
    assert known.columns.tolist() == list(COVARIATES)
    for name, covariate in COVARIATES.items():
        value = covariate.value(*(rows[column] for column in covariate.columns))
        if name in TEXTS:
            assert value.tolist() == known[name].tolist(), name
        else:
            np.testing.assert_allclose(value.astype(float), known[name], rtol=1e-12, err_msg=name)


@pytest.mark.property
def test_every_covariate_can_be_made_of_a_look_back_and_misses_nothing():
    clean = clean_registers(oracle.build(oracle.disorder(60, seed=3)))
    people = pd.DataFrame({"lopnr": clean.registers.frame("individ")["lopnr"], "index_date": pd.Timestamp("2018-03-01")})
    persons = as_columns(SEEN)[["kon", "fodelsear", "region", "utlsvbakg", *TEXTS[4:7]]].iloc[[0, 1, 2] * 20].reset_index(drop=True)
    found = pd.concat([look_back(clean, people), persons], axis=1)
    for covariate in COVARIATES.values():
        assert covariate.table in ALL_TABLES
        assert covariate.value(*(found[column] for column in covariate.columns)).notna().all(), covariate.name


def of_levels(levels: dict[str, tuple[int, int]]) -> tuple[pd.DataFrame, np.ndarray]:
    """Give rows with so many treated and so many controls of each level."""
    rows = [(level, side) for level, counts in levels.items() for side, count in zip((True, False), counts, strict=True) for _ in range(count)]
    frame = pd.DataFrame(rows, columns=["office", "treated"])
    return frame, frame["treated"].to_numpy()


MANY = 3 * FEW_ROWS
OFFICES = {
    "enough of both sides": ({"a": (MANY, MANY), "b": (FEW_ROWS, FEW_ROWS)}, {"a": "a", "b": "b"}),
    "few of either side go together": (
        {"a": (MANY, MANY), "b": (FEW_ROWS - 1, MANY), "c": (MANY, FEW_ROWS - 1)},
        {"a": "a", "b": OTHER, "c": OTHER},
    ),
    "few together join the commonest": ({"a": (MANY, MANY), "b": (MANY, MANY + 1), "c": (1, 900)}, {"a": "a", "b": "b", "c": "b"}),
}


@pytest.mark.hand
@pytest.mark.parametrize(("levels", "expected"), OFFICES.values(), ids=OFFICES)
def test_levels_that_few_have_are_put_together(levels, expected):
    frame, treated = of_levels(levels)
    merged = observe_covariates(frame, treated, [COVARIATES["office"]])["office"]
    assert dict(zip(frame["office"], merged, strict=True)) == expected


@pytest.mark.hand
def test_a_covariate_without_enough_of_any_level_is_left_out():
    frame, treated = of_levels({"a": (9, 9), "b": (9, 9)})
    assert observe_covariates(frame, treated, [COVARIATES["office"]]).empty


@pytest.mark.hand
@pytest.mark.parametrize(
    ("values", "kept"), [([1, 0, 0, 1], True), ([1, 1, 0, 0], False), ([1, 1, 1, 1], False), ([1, 0, 1, 1], False), ([1, 1, 1, 0], False)]
)
def test_what_is_the_same_for_all_of_a_side_is_left_out(values, kept):
    sides = np.array([True, True, False, False])
    observed = observe_covariates(pd.DataFrame({"registrations": values}), sides, [COVARIATES["registrations"]])
    assert list(observed) == ["registrations"] * kept


@pytest.mark.hand
def test_without_names_the_usual_covariates_of_the_delivered_tables_are_used():
    usual, problems = find_covariates(None, ALL_TABLES)
    assert not problems
    assert {covariate.name for covariate in usual} == COVARIATES.keys() - set(TEXTS[4:7])
    required, _ = find_covariates(None, ("individ", "inskrivning", "sokandekategori", "program_beslut"))
    assert {covariate.table for covariate in usual} - {covariate.table for covariate in required} == {
        *("arsinkomst", "ersattning_fk", "ek_bistand", "funktionsnedsattning")
    }


@pytest.mark.hand
def test_a_covariate_asked_for_by_name_must_be_there():
    found, problems = find_covariates(("kon", "ages", "disability"), ("individ",))
    assert [covariate.name for covariate in found] == ["kon", "disability"]
    assert [str(problem) for problem in problems] == [
        "cohort.covariates: 'ages' is not a covariate; did you mean age?",
        "cohort.covariates: disability is read from funktionsnedsattning, which was not delivered; "
        "have the table delivered, or take the covariate out",
    ]


@pytest.mark.hand
def test_what_a_cohort_does_without_is_told_with_the_reason():
    told = left_out(["age"], ("age", "kon", "disability"), ("individ",))
    assert told.to_numpy().tolist() == [["kon", "individ", "same_for_all"], ["disability", "funktionsnedsattning", "not_delivered"]]
    assert left_out(COVARIATES, None, ALL_TABLES).empty


@pytest.mark.hand
def test_every_covariate_and_every_level_it_can_have_has_a_name_in_both_languages():
    for language in (0, 1):
        titles = [covariate.titles[language] for covariate in COVARIATES.values()]
        assert all(titles)
        assert len(set(titles)) == len(titles)
    codes = load_contract().codes
    assert set(codes["sun_niva"].entries["klass"]) <= COVARIATES["education"].levels.keys()
    assert set(codes["fodelselandgrupp"].entries["klass"]) <= COVARIATES["origin"].levels.keys()


@pytest.mark.hand
def test_a_column_is_described_as_a_schema_describes_it():
    sex, age = (covariate_field(one.name, one.titles, one.levels) for one in (COVARIATES["kon"], COVARIATES["age"]))
    assert (sex.kind, sex.titles, sex.levels["2"]) == ("string", {"sv": "Kön", "en": "Sex"}, {"sv": "kvinna", "en": "woman"})
    assert (age.kind, age.titles, age.levels) == ("number", {"sv": "Ålder, år", "en": "Age, years"}, {})


@pytest.mark.property
@pytest.mark.parametrize("covariate", COVARIATES.values(), ids=COVARIATES)
def test_a_value_depends_on_its_own_row_alone(covariate: Covariate):
    rows = seen()
    whole = covariate.value(*(rows[column] for column in covariate.columns))
    for place in range(len(rows)):
        alone = covariate.value(*(rows.iloc[[place]][column] for column in covariate.columns))
        assert alone.astype(str).tolist() == whole.iloc[[place]].astype(str).tolist()
