"""Who could have started on the same day, and had not: drawn people for every rule, a recount of every step, and blindness to everything later."""

import hashlib
import runpy
import warnings
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation.design.at_dates import cohort_at_dates
from evaluation.design.cohort import Cohort
from evaluation.design.cohort_spec import CohortSpec, cohort_schema
from evaluation.design.matching import MatchingSpec, match_cohort
from evaluation.design.propensity import estimate_propensity
from evaluation.design.risk_sets import count_trials, select_cohort
from evaluation.errors import DesignError, InputError
from evaluation.registers.cleaning import CleanRegisters, clean_registers
from evaluation.registers.contract import load_contract
from evaluation.registers.history import LookBackSpec, look_back
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.validation import read_registers

oracle = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("register_oracle.py"))))

SECRET = "19800101-1234"  # looks like a person's identity number; no message may hold it

# Everybody is registered, in the programme (70) and in JUG from 1 January 2018, unless a line below says otherwise.
PERSONS = """
    lopnr  fodelsear kommun utvandring_datum
    anna   1970      1280   -
    bo     1971      1280   -
    cia    1972      1280   -
    dan    1973      1280   -
    eva    1974      1280   -
    fred   1975      1280   -
    gun    1976      1280   -
    hans   1977      1280   -
    ida    1978      1280   -
    jan    1954      1280   -                  # 65 in 2019
    jonas  1955      1280   -                  # 64
    kim    1980      1280   2019-03-11
    kurt   1981      1281   -
    lea    1982      1280   -
    mia    1983      1280   -
    nils   1984      1280   -
    ove    1985      1280   -
"""
STARTS = """
    lopnr fas erbjuden_datum start_datum malgrupp
    anna  1   2019-02-18     2019-03-11  JUG
    bo    1   2019-03-04     2019-03-11  JUG          # the same day as anna
    cia   1   2019-04-15     2019-05-27  JUG
    dan   1   2019-03-20     2019-05-06  JUG          # offered in March, started later in the same month as cia
    gun   1   2019-02-18     2019-03-11  sjukpenning
    hans  1   2018-05-01     2018-05-07  JUG          # before the first month
    hans  2.0 2019-05-01     2019-05-13  JUG
    ida   1   2019-03-01     2019-03-11  JUG          # two starts in the period
    ida   2.0 2019-05-10     2019-05-20  JUG
    mia   1   2019-03-04     -           JUG          # offered, never started
    ove   1   -              2019-05-31  JUG          # on the last complete day
"""
CATEGORIES = {
    "eva": "eva 1 1 2018-01-01 2019-01-10 70 \n eva 1 2 2019-01-10 - 14",  # an impediment
    "fred": "fred 1 1 2018-01-01 2019-03-10 70 \n fred 1 2 2019-03-10 - 33",  # a new start job from the eve of the trial's day
    "nils": "nils 1 1 2018-01-01 2019-03-05 70 \n nils 2 1 2019-03-20 - 70",  # lost contact, and came back
}
DECISIONS = {"lea": "2018-01-01 2019-03-10", "mia": "2019-03-11 -"}  # JUG ended on the eve; begins on the day
TRIALS = """
    trial   lopnr  treated
    2019-03 anna   1          # March: not bo, ida and gun, who start on the day; cia and dan, who start later, are there
    2019-03 bo     1
    2019-03 ida    1
    2019-03 cia    0
    2019-03 dan    0
    2019-03 eva    0
    2019-03 jonas  0
    2019-03 ove    0
    2019-05 cia    1
    2019-05 dan    1
    2019-05 ove    1
    2019-05 eva    0
    2019-05 jonas  0
    2019-05 nils   0          # back since 20 March
"""
STEPS = """
    step                  treated control
    registered            -       17
    in_jug                -       17
    offered               9       -
    started               8       -
    without_sick_team     7       -      # not gun
    of_target_group       7       -
    first_start_in_period 6       -
    in_jug_at_start       6       16     # not lea
    of_age                6       15     # not jan
    resident              6       13     # not kim, not kurt
    not_yet_started       -       8      # not anna, bo, gun, hans, ida
    drawn                 -       7      # not mia, whose band has no participant
    eligible              6       6      # not fred; nils in May
"""


def drawn_registers(**changes: pd.DataFrame) -> CleanRegisters:
    persons = oracle.drawn(PERSONS)
    registrations, categories, decisions = [], [], []
    for number, who in enumerate(persons["lopnr"]):
        registrations.append([who, "1", "2018-01-01", "2019-03-05" if who == "nils" else None, "6" if who == "nils" else None])
        categories += [line.split() for line in CATEGORIES.get(who, f"{who} 1 1 2018-01-01 - 70").splitlines()]
        decisions.append([who, str(number), "JUG", *DECISIONS.get(who, "2018-01-01 -").split()])
    registrations.append(["nils", "2", "2019-03-20", None, None])
    tables = {
        "individ": persons.assign(kon=["1", "2"] * 8 + ["1"], fodelselandgrupp="00", utlsvbakg="22", mor_fodelselandgrupp="00", skyddad=False),
        "inskrivning": pd.DataFrame(
            registrations, columns=["lopnr", "inskr_id", "inskriven_datum", "avaktualiserad_datum", "avaktualiseringsorsak"], dtype=object
        ),
        "sokandekategori": pd.DataFrame(categories, columns=["lopnr", "inskr_id", "period_nr", "start", "slut", "skat"], dtype=object),
        "program_beslut": pd.DataFrame(decisions, columns=["lopnr", "beslut_id", "programkod", "start", "slut"], dtype=object),
        "projekt_deltagande": oracle.drawn(STARTS),
    }
    return clean_registers(oracle.build({name: frame.replace("-", None) for name, frame in (tables | changes).items()}, "2019-05-01"))


def spec(**changes: object) -> CohortSpec:
    return CohortSpec(**{"first_month": "2019-03", "last_month": "2019-05", "candidates": None, "covariates": ("age",), **changes})


def rows(cohort: Cohort) -> list[tuple[str, str, str]]:
    return list(zip(cohort.column("trial").astype(str), cohort.person, cohort.treated.astype(int).astype(str), strict=True))


def in_trial(cohort: Cohort, trial: str) -> dict[str, bool]:
    return {who: side == "1" for month, who, side in rows(cohort) if month == trial}


@pytest.fixture(scope="module")
def clean() -> CleanRegisters:
    return drawn_registers()


@pytest.mark.hand
def test_every_rule_of_the_risk_set_holds_for_the_drawn_people(clean):
    cohort = select_cohort(clean, spec())
    assert sorted(rows(cohort)) == sorted(oracle.drawn(TRIALS).itertuples(index=False, name=None))


@pytest.mark.hand
def test_every_step_is_counted_in_people(clean):
    expected = oracle.drawn(STEPS).astype({"treated": "Int64", "control": "Int64"})
    pd.testing.assert_frame_equal(select_cohort(clean, spec()).attrition, expected, check_dtype=False)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("target_groups", "remain"),
    [(("jug",), (7, 5)), (("jug", "sjukskriven"), (8, 6)), (("jug", "inskriven"), (7, 6)), (("inskriven", "sjukskriven"), (8, 2))],
)
def test_the_sick_leave_team_is_counted_apart_from_other_target_groups(target_groups, remain):
    starts = oracle.drawn(STARTS).set_index("lopnr")
    starts.loc["cia", "malgrupp"] = "ek_bistand_12m"  # on social assistance, admitted without a decision on JUG
    starts.loc["dan", "malgrupp"] = None  # of no group on record, so in none that is compared
    cohort = select_cohort(drawn_registers(projekt_deltagande=starts.reset_index()), spec(target_groups=target_groups))
    steps = cohort.attrition.set_index("step")["treated"]
    assert (steps["started"], steps["without_sick_team"], steps["of_target_group"]) == (8, *remain)


@pytest.mark.hand
def test_a_row_is_dated_on_a_start_day_of_its_trial(clean):
    cohort = select_cohort(clean, spec())
    days = pd.Series(cohort.index_date.dt.strftime("%Y-%m-%d").to_numpy()).groupby(cohort.column("trial").astype(str).to_numpy()).agg(set)
    assert days["2019-03"] == {"2019-03-11"}
    assert days["2019-05"] == {"2019-05-06", "2019-05-27", "2019-05-31"}
    treated = dict(zip(cohort.person[cohort.treated], cohort.index_date[cohort.treated].astype(str), strict=True))
    assert treated["ove"] == "2019-05-31"


@pytest.mark.hand
def test_age_is_counted_by_calendar_year_and_a_pensioner_is_not_at_risk(clean):
    steps = {oldest: select_cohort(clean, spec(oldest=oldest)).attrition.set_index("step")["control"] for oldest in (63, 64, 65)}
    assert [steps[oldest]["of_age"] for oldest in steps] == [14, 15, 16]
    assert [steps[oldest]["eligible"] for oldest in steps] == [5, 6, 6]  # who turns 65 in 2019 is on a pension from January


@pytest.mark.hand
def test_people_of_another_municipality_take_part_where_none_is_named(clean):
    assert "kurt" in in_trial(select_cohort(clean, spec(municipality=None)), "2019-03")


@pytest.mark.hand
def test_who_was_offered_a_place_is_treated_from_that_day_whether_or_not_they_start():
    cohort = select_cohort(drawn_registers(), spec(first_month="2019-02", time_zero="offer"))
    treated = {who: str(day)[:10] for who, day in zip(cohort.person[cohort.treated], cohort.index_date[cohort.treated], strict=True)}
    # not mia, who was not in JUG on that day, nor gun and hans; ove's offer is not on record, so it was made when he started at the latest
    offers = {"anna": "2019-02-18", "bo": "2019-03-04", "ida": "2019-03-01", "dan": "2019-03-20", "cia": "2019-04-15", "ove": "2019-05-31"}
    assert treated == offers
    assert in_trial(cohort, "2019-02").keys() == {"anna", "bo", "cia", "dan", "eva", "fred", "ida", "jonas", "kim", "lea", "nils", "ove"}
    assert not in_trial(cohort, "2019-04").keys() & {"anna", "bo", "dan", "ida", "mia"}
    steps = cohort.attrition.set_index("step")["treated"]
    assert steps["offered"] == 9
    assert "started" not in steps.index


@pytest.mark.hand
@pytest.mark.parametrize(
    ("begun", "band"),
    [("2019-03-11", "0-181"), ("2018-09-11", "0-181"), ("2018-09-10", "182-364"), ("2017-03-11", "730-1460"), ("2015-03-11", "1461-")],
)
def test_a_band_begins_on_its_day(begun, band):
    decisions = [[who, str(number), "JUG", begun] for number, who in enumerate(oracle.drawn(PERSONS)["lopnr"])]
    clean = drawn_registers(program_beslut=pd.DataFrame(decisions, columns=["lopnr", "beslut_id", "programkod", "start"], dtype=object))
    cohort = select_cohort(clean, spec(last_month="2019-03"))
    assert set(cohort.column("duration_band")) == {band}


@pytest.mark.hand
def test_controls_are_drawn_by_a_hash_from_the_band_of_the_participants(clean):
    cohort = select_cohort(clean, spec(last_month="2019-03", candidates=1))
    lots = {who: lot(who, "2019-03") for who in ("cia", "dan", "eva", "fred", "jonas", "nils", "ove")}
    drawn = set(sorted(lots, key=lots.__getitem__)[:3])  # three participants, one candidate each
    assert {who for who, treated in in_trial(cohort, "2019-03").items() if not treated} == drawn - {"fred", "nils"}


def lot(who: str, trial: str) -> int:
    return int.from_bytes(hashlib.md5(f"{who} {trial}".encode()).digest()[8:], "little")


@pytest.mark.hand
def test_participants_of_a_month_without_controls_stay_and_the_month_can_be_found(clean):
    starts = "lopnr fas start_datum malgrupp\n cia 1 2019-04-01 JUG\n ida 1 2019-05-06 JUG\n dan 1 2019-05-06 JUG"
    decisions = "lopnr beslut_id programkod start\n ida 1 JUG 2017-01-01\n dan 2 JUG 2018-01-01\n bo 3 JUG 2018-01-01\n eva 4 JUG 2017-01-01"
    clean = drawn_registers(projekt_deltagande=oracle.drawn(starts), program_beslut=oracle.drawn(decisions + "\n cia 5 JUG 2019-03-01"))
    cohort = select_cohort(clean, spec(covariates=("age",)))
    trials = count_trials(cohort).astype({"trial": str, "duration_band": str})
    assert trials.to_numpy().tolist() == [["2019-04", "0-181", 1, 0], ["2019-05", "365-729", 1, 1], ["2019-05", "730-1460", 1, 1]]


@pytest.mark.hand
def test_nobody_to_compare_with_is_told(clean):
    with pytest.raises(DesignError, match=r"no participant, of 3 at in_jug_at_start, passes the step of_age; widen .*cohort.youngest"):
        select_cohort(clean, spec(last_month="2019-03", youngest=60))
    with pytest.raises(DesignError, match=r"no participant, of \d at of_age, passes the step resident; .*\(cohort.municipality\)"):
        select_cohort(clean, spec(municipality="0180"))
    with pytest.raises(DesignError, match=r"no participant, of \d at without_sick_team, passes the step of_target_group; .*\(cohort.target_groups\)"):
        select_cohort(clean, spec(target_groups=()))
    with pytest.raises(DesignError, match=r"passes the step first_start_in_period; .*cohort.first_month, cohort.last_month"):
        select_cohort(clean, spec(first_month="2019-04", last_month="2019-04"))
    alone = drawn_registers(program_beslut=oracle.drawn("lopnr beslut_id programkod start\n anna 1 JUG 2018-01-01\n bo 2 JUG 2018-01-01"))
    with pytest.raises(DesignError, match=r"no control, of \d at [a-z_]+, passes the step [a-z_]+; "):
        select_cohort(alone, spec())


@pytest.mark.hand
def test_covariates_that_are_all_the_same_for_a_side_are_named(clean):
    starts = "lopnr fas start_datum malgrupp\n anna 1 2019-05-06 JUG\n cia 1 2019-05-06 JUG"  # two of one sex
    with pytest.raises(DesignError, match=r"the same for everybody on a side: kon; ask for others \(cohort.covariates\)"):
        select_cohort(drawn_registers(projekt_deltagande=oracle.drawn(starts)), spec(covariates=("kon",)))


@pytest.mark.hand
def test_periods_are_strata_by_month_of_start(clean):
    cohort = select_cohort(clean, spec(periods={"season": {"winter": ("2019-01", "2019-03"), "summer": ("2019-06", "2019-08")}}))
    season = set(zip(cohort.column("trial").astype(str), cohort.column("season").astype(str), strict=True))
    assert season == {("2019-03", "winter"), ("2019-05", "annan_tid")}


@pytest.mark.hand
def test_the_strata_are_there_and_what_also_is_a_covariate_stands_once(clean):
    cohort = select_cohort(clean, spec(covariates=("age", "kon")))
    origins = ["fodd_utanfor_europa", "fodd_utanfor_eu_efta", "bakgrund_utanfor_europa"]
    assert cohort.covariates.columns.tolist() == ["age", "kon"]
    assert cohort.strata.columns.tolist() == ["trial", "duration_band", *origins]
    assert set(cohort.column("kon")) == {"1", "2"}


@pytest.mark.hand
def test_a_static_design_describes_people_at_the_dates_given(clean):
    people = pd.DataFrame({"lopnr": ["eva", "mia", "anna"], "treated": [0, 0, 1], "index_date": ["2019-03-11", "2019-03-11", "2018-01-02"]})
    people = pd.concat([people, pd.DataFrame({"lopnr": ["bo"], "treated": [1], "index_date": ["2019-03-11"]})])
    cohort = cohort_at_dates(clean, people, spec(covariates=("age", "days_jug", "days_registered")))
    assert cohort.trial is None
    assert cohort.person.tolist() == ["eva", "mia", "anna", "bo"]
    assert cohort.column("duration_band").astype(str).tolist() == ["365-729", "ej_i_jug", "0-181", "365-729"]
    assert cohort.column("trial").astype(str).tolist() == ["2019-03", "2019-03", "2018-01", "2019-03"]
    assert cohort.covariates["days_jug"].tolist() == [434, 0, 1, 434]
    assert cohort.attrition.to_numpy().tolist() == [["in_table", 2, 2]]


@pytest.mark.hand
def test_every_column_and_level_of_a_cohort_has_a_name_in_both_languages(clean):
    asked = spec(
        periods={"fas": {"1": ("2019-03", "2019-04")}, "pandemi": {"fore": ("2019-03", "2019-05")}, "season": {"wet": ("2019-03", "2019-05")}}
    )
    cohort, schema = select_cohort(clean, asked), cohort_schema(asked, load_contract())
    assert {*cohort.covariates, *cohort.strata} <= {field.name for field in schema.fields}
    told = [
        (schema.title(name, language), schema.level(name, level, language))
        for language in ("sv", "en")
        for name, level in (("kon", "2"), ("duration_band", "182-364"), ("fas", "1"), ("pandemi", "fore"), ("season", "wet"), ("trial", "2019-03"))
    ]
    assert told == [
        *(("Kön", "kvinna"), ("Tid i JUG", "6–12 månader"), ("Fas", "Malmökraften 1.0 (2018–2019)"), ("Pandemin", "före")),
        *(("season", "wet"), ("Startmånad", "2019-03")),
        *(("Sex", "woman"), ("Time in JUG", "6–12 months"), ("Phase", "Malmökraften 1.0 (2018–2019)"), ("The pandemic", "before")),
        *(("season", "wet"), ("Month of start", "2019-03")),
    ]


BROKEN = {
    "a month that is not complete": (
        {"last_month": "2019-06"},
        r"cohort.last_month: must be a complete month of the registers, at the latest 2019-05",
    ),
    "a start too early": (
        {"project_began": "2019-03-01"},
        r"projekt_deltagande.start_datum: must not lie before the project began on 2019-03-01; 1 of 11 rows",
    ),
    "an unknown covariate": ({"covariates": ("ages",)}, r"'ages' is not a covariate; did you mean age\?"),
    "a table not delivered": ({"covariates": ("age", "disability")}, r"disability is read from funktionsnedsattning, which was not delivered"),
    "an unknown group": ({"target_groups": ("jugg",)}, r"'jugg' is not a class of codes/malgrupp.csv; did you mean jug\?"),
    "all at once": ({"last_month": "2020-06", "covariates": ("ages",), "target_groups": ("x",), "project_began": "2019-03-12"}, r"\(4 problems\)"),
}


@pytest.mark.parametrize(("given", "told"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_selected_is_told(clean, given, told):
    with pytest.raises(InputError, match=told):
        select_cohort(clean, spec(**given))


def test_a_register_without_the_projects_list_is_refused(clean):
    tables = {name: clean.registers.frame(name).astype("string") for name in clean.registers.names if name not in ("projekt_deltagande", "leverans")}
    with pytest.raises(InputError, match="projekt_deltagande: must be delivered, for it says who started"):
        select_cohort(clean_registers(oracle.build(tables, "2019-05-01")), spec())


def test_what_is_wrong_with_given_people_is_told_without_their_ids(clean):
    people = pd.DataFrame({"lopnr": ["eva", SECRET], "treated": [0, 1], "index_date": ["2019-03-11", "2019-03-11"]})
    with pytest.raises(InputError, match="must be a person of the registers; 1 of 2 rows") as caught:
        cohort_at_dates(clean, people, spec())
    assert SECRET not in str(caught.value)
    with pytest.raises(InputError, match="treated: is not a column of the table of people"):
        cohort_at_dates(clean, people.drop(columns="treated"), spec(covariates=None))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"last_month": "2019-02"}, "first_month must not lie after last_month"),
        ({"first_month": "March"}, 'must be a month; write it "2018-03"'),
        ({"youngest": 65}, "youngest must not be above oldest"),
        ({"duration_bands_days": (365, 182)}, "must rise"),
        ({"periods": {"kon": {"x": ("2019-03", "2019-04")}}}, "kon: is the name of another column"),
        ({"periods": {"season": {"x": ("2019-03", "2019-04"), "y": ("2019-04", "2019-05")}}}, "season: levels must"),
        ({"periods": {"season": {"x": ("2019-05", "2019-04")}}}, "season: levels must"),
        ({"first_month": 201803}, 'must be a month; write it "2018-03"'),
        ({"periods": {"season": {"x": ("2019-03",)}}}, "must be two months, first and last"),
        ({"periods": {"season": {"x": "2019-03"}}}, "must be two months, first and last"),
        ({"look_back": LookBackSpec(windows_days=(365,))}, "take none away"),
        ({"month": "2019-03"}, "Extra inputs are not permitted"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(given, told):
    with pytest.raises(ValidationError, match=told):
        spec(**given)


def test_a_month_may_be_written_as_any_of_its_days():
    assert spec(first_month="2019-03-11").first_month == spec(first_month=pd.Timestamp("2019-03-30").date()).first_month == spec().first_month


@pytest.mark.property
def test_the_order_of_the_rows_changes_nothing(clean):
    shuffled = {name: clean.registers.frame(name).sample(frac=1, random_state=1) for name in clean.registers.names if name != "leverans"}
    one, other = select_cohort(clean, spec(candidates=2)), select_cohort(drawn_registers(**shuffled), spec(candidates=2))
    assert rows(one) == rows(other)
    pd.testing.assert_frame_equal(as_table(one), as_table(other), check_exact=True)


def test_nothing_is_left_behind_in_the_database(clean):
    def schemas() -> set[str]:
        return {name for (name,) in clean.registers.connection.execute("select schema_name from duckdb_schemas()").fetchall()}

    before = schemas()
    select_cohort(clean, spec())
    with pytest.raises(DesignError, match="passes the step of_age"):
        select_cohort(clean, spec(youngest=64))
    assert schemas() == before


WORLD = CohortSpec(
    first_month="2018-03", last_month="2021-12", candidates=3, periods={"fas": {"1": ("2018-03", "2019-12"), "2.0": ("2020-02", "2022-06")}}
)


@cache
def world() -> dict[str, pd.DataFrame]:
    return simulate_registers(200, 1_200, seed=4, dirt=0.03).tables


@cache
def seen(day: str | None = None) -> CleanRegisters:
    tables = world() if day is None else truncated(world(), pd.Timestamp(day))
    return clean_registers(read_registers(tables))


@cache
def selected(day: str | None, last_month: str) -> Cohort:
    return select_cohort(seen(day), WORLD.model_copy(update={"last_month": pd.Timestamp(last_month).date()}))


def truncated(tables: dict[str, pd.DataFrame], day: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Delete what is dated after a day, as if it had been delivered on the next: entries that begin later, ends that come later, years not ended."""
    found = {name: frame.copy() for name, frame in tables.items()}
    begins = {
        "inskrivning": ("inskriven_datum", "avaktualiserad_datum", "avaktualiseringsorsak"),
        "sokandekategori": ("start", "slut"),
        "program_beslut": ("start", "slut", "slutorsak"),
        "stod_beslut": ("start", "slut"),
        "studier": ("start", "slut"),
        "ersattning_fk": ("fran", "till", "bruttodagar", "nettodagar"),
        "funktionsnedsattning": ("registrerad_datum",),
        "ek_bistand": ("manad",),
        "manadslon": ("manad",),
        "projekt_deltagande": ("erbjuden_datum", "slut_datum", "projekt_resultat", "resultat_datum"),
    }
    for name, (begin, *settled) in begins.items():
        frame = found[name][pd.to_datetime(found[name][begin]) <= day].copy()
        if settled:
            frame.loc[~(pd.to_datetime(frame[settled[0]]) <= day), settled] = None
        found[name] = frame
    found["arsinkomst"] = found["arsinkomst"].query("ar < @day.year or (ar == @day.year and @day.dayofyear >= 365)")
    started = found["projekt_deltagande"]
    started.loc[~(pd.to_datetime(started["start_datum"]) <= day), ["start_datum", "team"]] = None
    for name in ("dod_datum", "utvandring_datum"):
        found["individ"].loc[~(pd.to_datetime(found["individ"][name]) <= day), name] = None
    found["leverans"]["komplett_t_o_m"] = f"{day:%Y-%m}"
    return found


def as_table(cohort: Cohort) -> pd.DataFrame:
    frame = cohort.to_frame().assign(index_date=cohort.index_date)
    texts = frame.select_dtypes("category").columns
    return frame.astype(dict.fromkeys(texts, "object")).sort_values(["person", "trial"], ignore_index=True)


DAYS = ["2018-12-31", "2019-08-31", "2021-03-31"]


@pytest.mark.property
@pytest.mark.parametrize("day", DAYS)
def test_nothing_dated_later_changes_who_is_in_the_trials_up_to_a_day(day):
    blind, sighted = selected(day, day), selected(None, day)
    assert blind.n_treated > 20
    assert blind.n_control > 100
    pd.testing.assert_frame_equal(as_table(blind), as_table(sighted), check_exact=True)
    pd.testing.assert_frame_equal(blind.attrition, sighted.attrition)
    whole = as_table(selected(None, "2021-12-31"))
    known = whole[whole["trial"] <= day[:7]].reset_index(drop=True)
    same = [
        name for name in known if name in as_table(blind) and name not in ("origin", "education", "office")
    ]  # where few have a level, it is merged
    pd.testing.assert_frame_equal(as_table(blind)[same], known[same], check_exact=True)


@pytest.mark.property
@pytest.mark.parametrize("day", DAYS[1:])
def test_nothing_dated_later_changes_who_is_matched_with_whom_up_to_a_day(day):
    found = []
    for cohort in (selected(day, day), selected(None, day)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(match_cohort(cohort, estimate_propensity(cohort), MatchingSpec(exact=("trial", "duration_band"))).sets)
    assert len(found[0]) > 30
    pd.testing.assert_frame_equal(*found, check_exact=True)


@pytest.mark.property
@pytest.mark.parametrize("candidates", [3, None])
def test_every_row_and_every_step_is_the_same_when_counted_person_by_person(candidates):
    """The same rules in pandas, one person and month after another, on the tables as they were delivered."""
    asked = WORLD.model_copy(update={"candidates": candidates, "last_month": pd.Timestamp("2019-06-30").date()})
    cohort, last = select_cohort(seen(), asked), pd.Timestamp("2019-06-30")
    tables = {name: world()[name] for name in ("individ", "inskrivning", "projekt_deltagande")}
    person = tables["individ"].set_index("lopnr")
    project = tables["projekt_deltagande"].assign(start=lambda frame: pd.to_datetime(frame["start_datum"]))
    registered = set(tables["inskrivning"].loc[pd.to_datetime(tables["inskrivning"]["inskriven_datum"]) <= last, "lopnr"])
    spells = seen().frame("programme").query("klass == 'jug' and start <= @last and lopnr in @registered")
    first = project[project["start"] <= last].sort_values("start").drop_duplicates("lopnr").set_index("lopnr")

    def fit(rows: pd.DataFrame) -> list[pd.Series]:
        age, here = rows["day"].dt.year - person.loc[rows["lopnr"], "fodelsear"].to_numpy(), person.loc[rows["lopnr"]].reset_index(drop=True)
        gone = [pd.to_datetime(here[name]).le(rows["day"]) for name in ("dod_datum", "utvandring_datum")]
        return [age.between(20, 64), here["kommun"].eq("1280") & ~gone[0] & ~gone[1]]

    def in_jug(rows: pd.DataFrame) -> pd.DataFrame:
        met = rows.merge(spells, on="lopnr").query("start <= day < stop")
        cuts = [0, *asked.duration_bands_days]
        return met.assign(band=np.searchsorted(cuts, (met["day"] - met["start"]).dt.days, side="right") - 1).reset_index(drop=True)

    chosen = first[first["malgrupp"].eq("JUG") & first["start"].ge("2018-03-01")]
    treated = in_jug(chosen.reset_index()[["lopnr", "start"]].rename(columns={"start": "day"}))
    steps = {"without_sick_team": first["malgrupp"].ne("sjukpenning").sum(), "of_target_group": first["malgrupp"].eq("JUG").sum()}
    steps |= {"first_start_in_period": len(chosen), "in_jug_at_start": len(treated)}
    for step in ("of_age", "resident"):
        treated = treated[fit(treated)[step == "resident"]].reset_index(drop=True)
        steps[step] = len(treated)
    found, reached = [], {step: set() for step in ("in_jug_at_start", "of_age", "resident", "not_yet_started", "drawn")}
    for month, starters in treated.groupby(treated["day"].dt.to_period("M")):
        days = sorted(starters["day"])
        pool = pd.DataFrame({"lopnr": sorted(set(spells["lopnr"])), "trial": str(month)})
        pool["lot"] = [lot(who, str(month)) for who in pool["lopnr"]]
        pool = in_jug(pool.assign(day=[days[number % len(days)] for number in pool["lot"]]))
        own = first["start"].reindex(pool["lopnr"]).reset_index(drop=True)
        passing = pd.Series(True, index=pool.index)
        for step, rule in zip(reached, [passing, *fit(pool), ~(own <= month.end_time)], strict=False):
            passing &= rule
            reached[step] |= set(pool.loc[passing, "lopnr"])
        for band, group in pool[passing].groupby("band"):
            wanted = (starters["band"] == band).sum() * (candidates or 10**9)
            found.append(group.sort_values("lot").head(wanted))
    drawn = pd.concat([*found, treated.assign(trial=treated["day"].dt.strftime("%Y-%m"))])[["lopnr", "trial", "day"]]
    reached["drawn"] = set(pd.concat(found)["lopnr"])
    state = look_back(seen(), drawn.rename(columns={"day": "index_date"}).reset_index(drop=True))["state"]
    codes = load_contract().codes["tillstand"].entries
    expected = drawn[state.isin(codes.loc[codes["klass"] == "arbetslos", "kod"]).to_numpy()].sort_values(["lopnr", "trial"])
    got = pd.DataFrame({"lopnr": cohort.person, "trial": cohort.column("trial").astype(str), "day": cohort.index_date}).sort_values(
        ["lopnr", "trial"]
    )
    np.testing.assert_array_equal(got.to_numpy(), expected.to_numpy())

    counted = cohort.attrition.set_index("step")
    assert counted["control"].dropna().to_dict() == {
        "registered": len(registered),
        "in_jug": spells["lopnr"].nunique(),
        **{step: len(people) for step, people in reached.items()},
        "eligible": cohort.person[~cohort.treated].nunique(),
    }
    offered = pd.to_datetime(project["erbjuden_datum"]).fillna(project["start"])
    steps |= {"offered": project.loc[np.minimum(offered, project["start"].fillna(offered)) <= last, "lopnr"].nunique(), "started": len(first)}
    assert counted["treated"].dropna().to_dict() == {**steps, "eligible": cohort.n_treated}
    for side in ("treated", "control"):
        assert counted[side].dropna().is_monotonic_decreasing
