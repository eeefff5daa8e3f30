"""Records are held to the code lists at their date, to the persons' deaths and registrations, to each other and to the calendar."""

import datetime as dt
from dataclasses import replace
from functools import cache

import pandas as pd
import pytest

from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.findings import Finding
from evaluation.registers.relations import LATE_DEREGISTRATION_DAYS, LATE_SHARE
from evaluation.registers.site import Site
from evaluation.registers.sources import open_delivery
from evaluation.registers.validation import validate

DELIVERY = [("Arbetsförmedlingen", "2023-03-15", "2022-12", "true"), ("SCB", "2023-03-01", "2022-12", "true")]
COLUMNS = {
    "leverans": "myndighet datauttag komplett_t_o_m syntetisk",
    "individ": "lopnr kon fodelsear fodelselandgrupp utlsvbakg kommun dod_datum utvandring_datum skyddad",
    "inskrivning": "lopnr inskr_id inskriven_datum avaktualiserad_datum avaktualiseringsorsak",
    "sokandekategori": "lopnr inskr_id period_nr start slut skat",
    "program_beslut": "lopnr beslut_id programkod start slut",
    "projekt_deltagande": "lopnr fas erbjuden_datum start_datum slut_datum malgrupp",
    "ersattning_fk": "lopnr formanskod fran till omfattning",
    "manadslon": "lopnr manad arbetsgivare_lopnr kontant_ersattning",
    "arsinkomst": "lopnr ar sun_niva",
    "funktionsnedsattning": "lopnr kod registrerad_datum",
    "studier": "lopnr skolform start slut",
}
Rows = list[tuple[object, ...]]


def person(lopnr: str, died: str = "", left: str = "") -> tuple[object, ...]:
    return (lopnr, "1", 1970, "00", "22", "1280", died, left, "false")


@cache
def contract() -> Contract:
    return load_contract()


def found(**tables: Rows) -> dict[tuple[str, str, str], tuple[int, ...]]:
    """Give the rows that break each rule of a small delivery; persons A to C live unless told otherwise."""
    given = {"leverans": DELIVERY, "individ": [person(name) for name in "ABC"]} | tables
    frames = {name: pd.DataFrame(rows, columns=COLUMNS[name].split(), dtype=object) for name, rows in given.items() if rows}
    used = {name: contract().tables[name] for name in dict.fromkeys(["leverans", "individ", "inskrivning", *given])}
    lists = {entry.codelist for schema in used.values() for entry in schema.fields}
    slim = Contract("", used, {name: codes for name, codes in contract().codes.items() if name in lists})
    told: list[Finding] = list(validate(open_delivery(frames, Site(threads=1), slim)).findings.items)
    return {(item.table, item.column, item.key): item.first_rows for item in told if item.rows is not None}


@pytest.mark.hand
def test_a_code_is_looked_up_at_its_date() -> None:
    """51 has been relief work until 1997, plus job in 2006, extra service since November 2015, and nothing between."""
    days = ["1997-12-31", "1998-01-01", "2006-06-01", "2010-01-01", "2015-10-31", "2015-11-01", "2019-01-01"]
    rows: Rows = [("A", "1", number, day, day, "51") for number, day in enumerate(days, start=1)]
    told = found(sokandekategori=[*rows, ("A", "1", 8, "2019-01-01", "2019-01-01", "00")])
    assert told["sokandekategori", "skat", "code_not_valid"] == (2, 4, 5)
    assert told["sokandekategori", "skat", "code_unknown"] == (8,)


@pytest.mark.hand
def test_a_code_without_a_day_may_have_any_of_its_meanings() -> None:
    rows: Rows = [("A", "1", "JUG", "", ""), ("B", "2", "JUG", "2007-06-30", "")]
    assert found(program_beslut=rows) == {("program_beslut", "start", "missing"): (1,), ("program_beslut", "programkod", "code_not_valid"): (2,)}


def test_a_column_may_have_the_name_that_code_lists_have_inside() -> None:
    rows: Rows = [("A", "61", "2020-01-01"), ("A", "99x", "2020-01-01")]
    assert found(funktionsnedsattning=rows) == {("funktionsnedsattning", "kod", "code_unknown"): (2,)}


@pytest.mark.hand
def test_nothing_happens_after_death_but_what_ends_late() -> None:
    """A spell may begin on the day of death, and be ended by the agency up to 60 days later."""
    assert LATE_DEREGISTRATION_DAYS == 60
    told = found(
        individ=[person("A", "2020-01-31"), person("B", "2020-01-31", "2020-02-01"), person("C")],
        inskrivning=[("A", "1", "2020-01-31", "2020-03-31", "7"), ("B", "1", "2020-02-01", "2020-04-01", "7"), ("C", "1", "2020-02-01", "", "")],
        funktionsnedsattning=[("A", "61", "2020-01-31"), ("A", "71", "2020-02-01")],
        manadslon=[("A", "2020-03", "X", 100)],
    )
    assert told == {
        ("individ", "utvandring_datum", "after_death"): (2,),
        ("inskrivning", "inskriven_datum", "after_death"): (2,),
        ("inskrivning", "avaktualiserad_datum", "after_death"): (2,),
        ("funktionsnedsattning", "registrerad_datum", "after_death"): (2,),
    }


@pytest.mark.hand
def test_spells_overlap_within_a_person_and_kind() -> None:
    told = found(
        #  the stop is the first day outside: B begins where A ends; C begins inside A although another spell ended between
        sokandekategori=[
            ("A", "1", 1, "2020-01-01", "2020-06-01", "11"),
            ("A", "1", 2, "2020-02-01", "2020-03-01", "14"),
            ("A", "1", 3, "2020-05-01", "2020-07-01", "11"),
            ("A", "1", 4, "2020-07-01", "", "11"),
            ("B", "1", 1, "2020-02-01", "2020-03-01", "14"),
        ],
        # the stop is the last day: the second begins on it; benefits of different kinds run side by side
        ersattning_fk=[
            ("A", "sjukpenning", "2020-01-01", "2020-01-31", 50),
            ("A", "sjukpenning", "2020-01-31", "2020-02-28", 50),
            ("A", "rehabpenning", "2020-01-01", "2020-01-31", 50),
        ],
    )
    assert told == {("sokandekategori", "start", "overlap"): (2, 3), ("ersattning_fk", "fran", "overlap"): (2,)}


@pytest.mark.hand
def test_a_spell_may_be_negative_or_empty_only_where_the_agency_never_corrects() -> None:
    told = found(
        sokandekategori=[("A", "1", 1, "2020-02-01", "2020-01-31", "11"), ("B", "1", 1, "2020-02-01", "2020-02-01", "11")],
        program_beslut=[("A", "1", "AMU", "2020-02-01", "2020-01-31"), ("B", "2", "AMU", "2020-02-01", "2020-02-01")],
    )
    assert told == {
        ("sokandekategori", "slut", "negative_spell"): (1,),
        ("sokandekategori", "slut", "same_day"): (2,),
        ("program_beslut", "slut", "start_after_stop"): (1,),
    }


START = str(Site().project_began)


@pytest.mark.hand
@pytest.mark.parametrize(
    ("registered", "ended", "group", "told"),
    [
        (START, "", "JUG", ()),
        ("2018-03-02", "", "JUG", (1,)),
        ("2018-01-01", START, "JUG", ()),  # registered until that very day
        ("2018-01-01", "2018-02-28", "ek_bistand_12m", (1,)),
        ("2018-01-01", "2018-02-28", "sjukpenning", ()),
        ("20180101", "", "JUG", ()),  # its first day cannot be read, which is told, and no proof that it is late
    ],
)
def test_a_participant_is_registered_on_the_first_day(registered: str, ended: str, group: str, told: tuple[int, ...]) -> None:
    rules = found(projekt_deltagande=[("A", "1", "", START, "", group)], inskrivning=[("A", "1", registered, ended, ""), ("B", "1", START, "", "")])
    assert rules.get(("projekt_deltagande", "start_datum", "unregistered"), ()) == told


def test_an_offer_is_no_start_and_without_registrations_nobody_is_unregistered() -> None:
    assert found(projekt_deltagande=[("A", "1", START, "", "", "JUG")], inskrivning=[("B", "1", START, "", "")]) == {}
    assert found(projekt_deltagande=[("A", "1", START, START, "", "JUG")]) == {}


@pytest.mark.hand
def test_the_project_began_in_march_2018_and_an_offer_comes_first() -> None:
    rows: Rows = [("A", "1", "2018-02-28", "2018-02-28", "", "sjukpenning"), ("B", "1", "2018-03-02", START, "", "sjukpenning")]
    assert found(projekt_deltagande=rows) == {
        ("projekt_deltagande", "start_datum", "before_project"): (1,),
        ("projekt_deltagande", "start_datum", "start_before_offer"): (2,),
    }


@pytest.mark.hand
def test_events_after_the_agencys_own_extraction_are_told_but_not_ends_decided_ahead() -> None:
    """The employment service extracted on the 15th of March; the tax agency is not among the deliverers, so the latest extraction holds for it."""
    told = found(
        leverans=[("Arbetsförmedlingen", "2023-03-15", "2023-02", "true"), ("SCB", "2023-03-01", "2023-02", "true")],
        inskrivning=[("A", "1", "2023-02-15", "2023-03-15", ""), ("B", "1", "2023-02-15", "2023-03-16", "")],
        program_beslut=[("A", "1", "JUG", "2023-02-15", "2024-12-31")],
        manadslon=[("A", "2023-03", "X", 1), ("A", "2023-04", "X", 1)],
        individ=[person("A"), person("B", left="2023-03-02")],
    )
    assert told == {
        ("individ", "utvandring_datum", "after_extraction"): (2,),
        ("inskrivning", "avaktualiserad_datum", "after_extraction"): (2,),
        ("manadslon", "manad", "after_extraction"): (2,),
    }


@pytest.mark.hand
def test_a_month_is_complete_when_it_has_ended() -> None:
    rows: Rows = [
        ("SCB", "2023-03-31", "2023-03", "true"),
        ("Arbetsförmedlingen", "2023-03-30", "2023-03", "true"),
        ("Finsam Malmö", "2023-03-30", "2023-02", "true"),
    ]
    assert found(leverans=rows) == {("leverans", "komplett_t_o_m", "incomplete"): (2,)}


@pytest.mark.hand
def test_an_agency_is_one_of_the_contract_and_the_nearest_is_named() -> None:
    frames = {
        "leverans": pd.DataFrame([("AF", *DELIVERY[0][1:]), ("Arbetsförmedlinge", *DELIVERY[0][1:])], columns=COLUMNS["leverans"].split()),
        "individ": pd.DataFrame([person("A")], columns=COLUMNS["individ"].split()),
        "studier": pd.DataFrame([("A", "komvux", "2020-01-01", "")], columns=COLUMNS["studier"].split()),
    }
    items = validate(open_delivery(frames, Site(threads=1), contract())).findings.items
    told = {(item.key, *item.detail.values()): item.first_rows for item in items if item.key.startswith("agency")}
    assert ("agency_unknown", "Arbetsförmedlingen") in told
    assert {key: rows for key, rows in told.items() if key[0] == "agency_absent"} == {
        ("agency_absent", "SCB", "individ"): (),
        ("agency_absent", "CSN, Skolverket, UHR", "studier"): (),
    }
    assert sorted(row for (key, *_), rows in told.items() if key == "agency_unknown" for row in rows) == [1, 2]


@pytest.mark.hand
def test_a_delivery_is_synthetic_or_not_and_extracted_before_today() -> None:
    rows: Rows = [("SCB", "2023-03-01", "2022-12", "true"), ("Arbetsförmedlingen", "2023-03-01", "2022-12", "false")]
    assert found(leverans=rows) == {("leverans", "syntetisk", "synthetic_mixed"): (1,)}
    today, tomorrow = (str(dt.date.today() + dt.timedelta(days=days)) for days in (0, 1))
    rows = [("SCB", tomorrow, "2022-12", "true"), ("Arbetsförmedlingen", today, "2022-12", "true")]
    assert found(leverans=rows) == {("leverans", "datauttag", "extraction_ahead"): (1,)}


@pytest.mark.hand
def test_more_than_a_tenth_after_the_last_complete_month_is_worth_a_warning() -> None:
    assert LATE_SHARE == 0.1
    early: Rows = [("A", str(number), f"{2000 + number}-01-01", f"{2000 + number}-02-01", "") for number in range(9)]
    late = ("B", "1", "2023-01-01", "", "")
    assert found(inskrivning=[*early, late]) == {}
    assert found(inskrivning=[*early[1:], late]) == {("inskrivning", "inskriven_datum", "start_incomplete"): (9,)}
    last = ("B", "1", "2022-12-31", "", "")
    assert found(inskrivning=[last]) == {}


@pytest.mark.hand
def test_copies_and_spells_of_no_length_are_told_once_and_overlap_nothing() -> None:
    rows: Rows = [
        ("A", "1", 1, "2020-01-01", "2020-06-01", "11"),
        ("A", "1", 1, "2020-01-01", "2020-06-01", "11"),
        ("A", "1", 2, "2020-03-01", "2020-02-01", "11"),
        ("A", "1", 2, "2020-03-01", "2020-02-01", "11"),
        ("A", "1", 3, "2020-04-01", "2020-04-01", "11"),
        ("A", "1", 3, "2020-04-01", "2020-04-01", "11"),
        ("A", "1", 4, "2020-05-01", "2020-07-01", "11"),
    ]
    assert found(sokandekategori=rows) == {
        ("sokandekategori", "", "row_repeated"): (2, 4, 6),
        ("sokandekategori", "slut", "negative_spell"): (3,),
        ("sokandekategori", "slut", "same_day"): (5,),
        ("sokandekategori", "start", "overlap"): (7,),
    }


@pytest.mark.hand
def test_where_the_people_cannot_be_read_nobody_is_called_unknown() -> None:
    people = pd.DataFrame([("A", "1")], columns=["id", "kon"])
    wages = pd.DataFrame([("A", "2020-01", "X", 1)], columns=COLUMNS["manadslon"].split())
    told = validate(open_delivery({"individ": people, "manadslon": wages}, Site(threads=1), contract())).findings
    assert ("individ", "lopnr", "column_missing") in {(item.table, item.column, item.key) for item in told.items}
    assert "person_unknown" not in {item.key for item in told.items}
    entries = pd.DataFrame([("A", "1", START, "", "", "JUG")], columns=COLUMNS["projekt_deltagande"].split())
    registrations = pd.DataFrame([("1", START)], columns=["inskr_id", "inskriven_datum"])
    told = validate(open_delivery({"projekt_deltagande": entries, "inskrivning": registrations}, Site(threads=1), contract())).findings
    assert "unregistered" not in {item.key for item in told.items}


@pytest.mark.hand
def test_a_code_that_has_lost_its_zero_is_told_apart_from_one_that_never_was() -> None:
    told = found(individ=[("A", "1", 1970, "7", "22", "1280", "", "", "false"), ("B", "1", 1970, "99", "22", "1280", "", "", "false")])
    assert told == {("individ", "fodelselandgrupp", "zero_lost"): (1,), ("individ", "fodelselandgrupp", "code_unknown"): (2,)}


@pytest.mark.hand
def test_a_person_must_be_known_where_persons_were_delivered() -> None:
    rows: Rows = [("A", "2020-01", "X", 1), ("Z", "2020-01", "X", 1), ("", "2020-01", "X", 1)]
    assert found(manadslon=rows) == {("manadslon", "lopnr", "missing"): (3,), ("manadslon", "lopnr", "person_unknown"): (2,)}
    assert found(manadslon=rows, individ=[]) == {("manadslon", "lopnr", "missing"): (3,)}


@pytest.mark.hand
def test_a_person_delivered_twice_makes_no_record_twice() -> None:
    told = found(individ=[person("A", "2020-01-31"), person("A", "2020-02-28")], funktionsnedsattning=[("A", "61", "2020-02-01")])
    assert told == {("individ", "lopnr", "key_repeated"): (2,), ("funktionsnedsattning", "registrerad_datum", "after_death"): (1,)}


@pytest.mark.hand
def test_what_cannot_be_known_of_the_people_is_a_warning() -> None:
    told = found(individ=[("A", "1", 1970, "", "", "0180", "", "", "true")], arsinkomst=[("A", 2018, ""), ("A", 2019, "3")])
    assert told == {
        ("individ", "skyddad", "protected"): (1,),
        ("individ", "kommun", "other_municipality"): (1,),
        ("individ", "fodelselandgrupp", "origin_missing"): (1,),
        ("individ", "utlsvbakg", "origin_missing"): (1,),
        ("arsinkomst", "sun_niva", "education_missing"): (1,),
    }


@pytest.mark.hand
def test_a_date_that_cannot_be_read_breaks_no_other_rule_and_hides_none() -> None:
    rows: Rows = [("A", "1", "AMU", "01/02/2020", "2020-01-01"), ("B", "2", "AMU", "2020-02-01", "2020-01-01")]
    assert found(program_beslut=rows) == {("program_beslut", "start", "date_format"): (1,), ("program_beslut", "slut", "start_after_stop"): (2,)}


def test_a_column_that_must_be_unique_beside_the_key_is_held_to_it() -> None:
    people = pd.DataFrame([person("A"), person("A")], columns=COLUMNS["individ"].split())
    tables = {"leverans": contract().tables["leverans"], "individ": replace(contract().tables["individ"], key=("lopnr", "kon"))}
    told = validate(open_delivery({"individ": people}, Site(threads=1), Contract("", tables, contract().codes))).findings
    assert [(item.column, item.key, item.detail.get("key")) for item in told.items if item.rows] == [
        ("", "key_repeated", "lopnr, kon"),
        ("lopnr", "repeated", "lopnr"),
    ]
