"""The page that goes back to an agency, read as a document: the verdict first, everything found with what to do, and no trace of a person."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import lxml.html
import numpy as np
import pandas as pd
import pytest
from lxml.html import HtmlElement

from evaluation.plan_sections import Language
from evaluation.registers.cleaning import clean_registers
from evaluation.registers.contract import load_contract
from evaluation.registers.findings import Finding, Findings, collect, load_rules
from evaluation.registers.profile import profile_registers
from evaluation.registers.reading import TYPES
from evaluation.registers.store import Registers, open_store
from evaluation.reporting import check
from evaluation.reporting.check import write_check
from evaluation.reporting.profile import YEARS_SHOWN

CONTRACT = load_contract()
LANGUAGES = get_args(Language)
SECRET = "person-4711"  # stands in every column of free text
DETAIL = {"codelist": "skat", "dated_by": "start", "start": "start", "key": "lopnr", "minimum": "0", "encoding": "cp1252"}
ERRORS = [
    Finding("sokandekategori", "skat", "code_unknown", DETAIL, 12, 3400, (3, 9, 12, 44, 51)),
    Finding("ersattning_fk", "nettodagar", "below", DETAIL, 1, 123_456, (77,)),
    Finding("projekt_deltagande", "", "table_missing"),
]
OTHERS = [Finding("inskrivning", "", "row_repeated", DETAIL, 2, 20, (1, 2)), Finding("<b>extra</b>.csv", "", "file_unknown")]
AUDIT = pd.DataFrame(
    [("inskrivning", "exact_duplicate", 1200, 30, 0, 1170), ("inskrivning", "gap", 1170, 0, 15, 1170), ("studier", "reused_code", 90, 0, 0, 90)],
    columns=["table", "rule", "rows_before", "removed", "changed", "rows_after"],
)


def delivered(tables: Mapping[str, pd.DataFrame], *, synthetic: bool = True) -> Registers:
    """Make registers of a few columns; the others hold nulls."""
    delivery = {"myndighet": ["SCB"], "datauttag": ["2023-02-01"], "komplett_t_o_m": ["2022-12-01"], "syntetisk": [synthetic]}
    given = {"leverans": pd.DataFrame(delivery), **tables}
    connection = open_store(threads=1)
    connection.execute("create schema register; create schema codes")
    names = tuple(name for name in CONTRACT.tables if name in given)
    for name in names:
        connection.register("given", given[name])
        fields = CONTRACT.tables[name].fields
        columns = [f'cast({f"{field.name}" if field.name in given[name] else "null"} as {TYPES[field.kind]}) as "{field.name}"' for field in fields]
        connection.execute(f'create table register."{name}" as select {", ".join(columns)} from given')
        connection.unregister("given")
    for name, listed in CONTRACT.codes.items():
        connection.register("given", listed.entries)
        connection.execute(
            f"create table codes.{name} as select * replace (giltig_fran::date as giltig_fran, giltig_till::date as giltig_till) from given"
        )
        connection.unregister("given")
    return Registers(connection, CONTRACT, names)


def spells(first: str, months: int, per_month: int, **columns: object) -> pd.DataFrame:
    """Make rows for people who are all called the same, so many a month."""
    starts = np.repeat(pd.period_range(first, periods=months, freq="M").strftime("%Y-%m-15").to_numpy(), per_month)
    return pd.DataFrame({"lopnr": SECRET, "inskr_id": SECRET, "start": starts, "inskriven_datum": starts, "manad": starts, **columns})


@pytest.fixture(scope="module")
def registers() -> Registers:
    """Ten years: a month without categories, extra services from 2018, little social assistance, and one stray registration of long ago."""
    categories = spells("2013-01", 120, 50, skat=np.where(np.arange(6000) < 3000, "11", np.where(np.arange(6000) % 3 == 0, "51", "14")), period_nr=1)
    registrations = pd.concat([spells("2013-01", 120, 40, kontor=SECRET), spells("1971-05", 1, 1)])
    return delivered(
        {
            "individ": pd.DataFrame({"lopnr": [SECRET] * 30, "kon": "1", "fodelselandgrupp": ["07"] * 3 + [None] * 27}),
            "inskrivning": registrations,
            "sokandekategori": categories[categories["start"] != "2016-03-15"],
            "manadslon": spells("2019-01", 20, 12, arbetsgivare_lopnr=SECRET),
            "arsinkomst": pd.DataFrame({"lopnr": SECRET, "ar": np.repeat(np.arange(2013, 2023), 30)}),
            "ek_bistand": spells("2020-01", 12, 4, hushall_lopnr=SECRET),
            "arbetslosa_manad": spells("2020-01", 12, 1, kommun="1280"),
        }
    )


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


def found(*items: Finding) -> Findings:
    return collect(items, CONTRACT.tables)


def read(file: Path) -> HtmlElement:
    return lxml.html.document_fromstring(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, registers: Registers) -> dict[tuple[str, Language], Path]:
    """Write the page of a delivery that was stopped and of one that passed, by kind and language."""
    folder, profile = tmp_path_factory.mktemp("check"), profile_registers(registers)
    stopped = {"findings": found(*ERRORS, *OTHERS), "registers": None, "profile": None, "audit": None}
    passed = {"findings": found(*OTHERS), "registers": registers, "profile": profile, "audit": AUDIT}
    return {
        (kind, language): write_check(folder / kind, **given, language=language)
        for kind, given in (("stopped", stopped), ("passed", passed))
        for language in LANGUAGES
    }


@pytest.fixture
def stopped(written: dict, language: Language) -> HtmlElement:
    return read(written["stopped", language])


@pytest.fixture
def passed(written: dict, language: Language) -> HtmlElement:
    return read(written["passed", language])


@pytest.fixture(params=["stopped", "passed"])
def page(request: pytest.FixtureRequest, written: dict, language: Language) -> HtmlElement:
    return read(written[request.param, language])


def words(element: HtmlElement) -> str:
    return " ".join(element.text_content().split())


def section(page: HtmlElement, name: str) -> str:
    return words(page.get_element_by_id(name))


def sections(page: HtmlElement) -> list[str]:
    return [part.get("id") for part in page.iter("section")]


def cells(table: HtmlElement) -> list[list[str]]:
    return [[words(cell) for cell in row] for row in table.iter("tr")]


# --- any page


def test_the_page_says_its_language_and_has_one_title(page: HtmlElement, language: Language) -> None:
    assert page.get("lang") == language
    assert page.findtext("head/title").endswith({"sv": "Kontroll av leveransen", "en": "Check of the delivery"}[language])
    assert [element.tag for element in page.iter("h1", "h3", "h4")] == ["h1"]


def test_every_section_is_named_by_its_heading_and_every_table_by_its_caption(page: HtmlElement) -> None:
    assert all(words(page.get_element_by_id(part.get("aria-labelledby"))) for part in page.iter("section"))
    for table in page.iter("table"):
        head, *body = table.iter("tr")
        assert words(table.find("caption"))
        assert {(cell.tag, cell.get("scope")) for cell in head} == {("th", "col")}
        assert all([cell.tag for cell in row] == ["th"] + ["td"] * (len(head) - 1) for row in body)
        assert all(cell.get("data-head") == words(name) for row in body for cell, name in zip(row[1:], head[1:], strict=True))


def test_every_id_is_unique_and_the_page_needs_nothing_from_elsewhere(page: HtmlElement) -> None:
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert not list(page.iter("link", "iframe", "img", "base"))
    assert [set(script.keys()) for script in page.iter("script")] == [{"data-hint"}]
    text = lxml.html.tostring(page, encoding="unicode").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|@import|url\((?!#)", text)


def test_no_value_of_a_person_and_no_path_of_the_machine_is_on_the_page(page: HtmlElement, written: dict) -> None:
    text = lxml.html.tostring(page, encoding="unicode")
    assert not [value for value in (SECRET, "2016-03-15", str(written["passed", "sv"].parents[1]), str(Path.home())) if value in text]


def test_the_name_of_a_file_is_not_markup(page: HtmlElement) -> None:
    assert "<b>extra</b>.csv" in words(page)
    assert not list(page.iter("b"))


# --- the verdict


def test_a_delivery_with_errors_is_refused_first_of_all(stopped: HtmlElement) -> None:
    assert sections(stopped)[0] == "answer"
    assert re.search(r"(Nej\. Fel som stoppar körningen|No\. Errors that stop the run): 3\.", section(stopped, "answer"))
    assert "unsupported" in stopped.get_element_by_id("answer").get("class").split()


def test_a_delivery_with_errors_is_neither_cleaned_nor_counted_and_says_so(stopped: HtmlElement) -> None:
    assert re.search(r"Inget är rensat|Nothing has been cleaned", section(stopped, "cleaning"))
    assert re.search(r"Innehållet är inte räknat|The content has not been counted", section(stopped, "content"))
    assert not list(stopped.iter("figure"))
    assert "drift" not in sections(stopped)


def test_a_delivery_with_warnings_passes_and_counts_them(passed: HtmlElement) -> None:
    assert re.search(r"(Ja\. Leveransen följer|Yes\. The delivery keeps)", section(passed, "answer"))
    assert re.search(r"(inte stoppar något|stop nothing): 1\. (Noteringar|Notes): 1\.", section(passed, "answer"))


def test_a_clean_delivery_says_that_nothing_was_found(tmp_path: Path, language: Language, registers: Registers) -> None:
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=None, audit=None, language=language))
    assert sections(page) == ["answer", "cleaning", "content", "versions"]
    assert re.search(r"Inget att anmärka|Nothing to remark", section(page, "answer"))
    assert re.search(r"har inte körts|has not been run", section(page, "cleaning"))
    assert re.search(r"har inte räknats|has not been counted", section(page, "content"))


def test_synthetic_records_are_marked_real_ones_are_not_and_unread_ones_are_unknown(tmp_path: Path, language: Language) -> None:
    marks = []
    for registers in (delivered({}), delivered({}, synthetic=False), None):
        page = read(write_check(tmp_path, findings=found(), registers=registers, profile=None, audit=None, language=language))
        marks.append("".join(words(mark) for mark in page.find_class("mark")))
        assert page.findtext("head/title").startswith(marks[-1])
    assert re.match(r"SYNTETISKA DATA|SYNTHETIC DATA", marks[0])
    assert marks[1] == ""
    assert re.match(r"Det går inte att säga|It cannot be said", marks[2])


@pytest.mark.parametrize(("synthetic", "mark"), [(True, r"SYNTETISKA DATA|SYNTHETIC DATA"), (False, r"$"), (None, r"Det går inte|It cannot")])
def test_a_stopped_delivery_is_marked_by_what_it_says_itself(tmp_path: Path, language: Language, synthetic: bool | None, mark: str) -> None:
    given = {"findings": found(*ERRORS), "registers": None, "profile": None, "audit": None, "synthetic": synthetic}
    page = read(write_check(tmp_path, **given, language=language))
    assert re.match(mark, "".join(words(one) for one in page.find_class("mark")))


# --- what was found


def test_findings_are_grouped_by_the_agency_they_are_mailed_to_and_files_of_no_table_stand_last(stopped: HtmlElement) -> None:
    grouped = {words(part.find("h2")): [row[0] for row in cells(part.find(".//table"))[1:]] for part in stopped.find_class("findings")}
    files = grouped.popitem()
    assert grouped == {
        "Finsam Malmö": ["projekt_deltagande"],
        "Arbetsförmedlingen": ["sokandekategori.skat", "inskrivning"],
        "Försäkringskassan": ["ersattning_fk.nettodagar"],
    }
    assert files[1] == ["<b>extra</b>.csv"]
    counts = cells(stopped.get_element_by_id("answer").find(".//table"))[1:]
    assert counts == [
        ["Finsam Malmö", "1", "0", "0"],
        ["Arbetsförmedlingen", "1", "1", "0"],
        ["Försäkringskassan", "1", "0", "0"],
        [files[0], "0", "0", "1"],
    ]


@pytest.mark.hand
def test_a_finding_tells_its_rule_its_rows_and_what_to_do(tmp_path: Path) -> None:
    page = read(write_check(tmp_path, findings=found(*ERRORS), registers=None, profile=None, audit=None, language="en"))
    told = {row[0]: row[1:] for part in page.find_class("findings") for row in cells(part.find(".//table"))[1:]}
    rule, remedy = ERRORS[0].rule("en"), ERRORS[0].remedy("en")
    assert told["sokandekategori.skat"] == [
        "Error",
        rule[:1].upper() + rule[1:],
        "12 of 3,400 (0.4 per cent): row 3, 9, 12, 44, 51, …",
        remedy[:1].upper() + remedy[1:],
    ]
    assert told["ersattning_fk.nettodagar"][2] == "1 of 123,456 (under 0.1 per cent): row 77"
    assert told["projekt_deltagande"][2] == "–"


def test_places_where_a_rule_is_broken_as_a_whole_share_a_line_and_rows_are_told_apart(tmp_path: Path) -> None:
    whole = [Finding(f"codes/{name}.csv", "", "codes_unverified") for name in ("skat", "skolform")]
    rows = [Finding("individ", "kon", "missing", {}, 2, 9, (1, 2)), Finding("individ", "kommun", "missing", {}, 2, 9, (1, 2))]
    page = read(write_check(tmp_path, findings=found(*whole, *rows), registers=None, profile=None, audit=None))
    told = [[row[0] for row in cells(part.find(".//table"))[1:]] for part in page.find_class("findings")]
    assert told == [["individ.kon", "individ.kommun"], ["codes/skat.csv, codes/skolform.csv"]]


def test_every_rule_can_be_told(tmp_path: Path, language: Language) -> None:
    places = {key: re.findall(r"\{(\w+)\}", " ".join([*rule.rule.values(), *rule.remedy.values()])) for key, rule in load_rules().items()}
    items = [Finding("individ", "kon", key, dict.fromkeys(names, "something")) for key, names in places.items()]
    page = read(write_check(tmp_path, findings=found(*items), registers=None, profile=None, audit=None, language=language))
    told = [row[2] for row in cells(page.find_class("findings")[0].find(".//table"))[1:]]
    assert sorted(told) == sorted(item.rule(language)[:1].upper() + item.rule(language)[1:] for item in items)


# --- cleaning


@pytest.mark.hand
def test_cleaning_is_told_from_the_rows_delivered_to_the_rows_kept(tmp_path: Path, registers: Registers) -> None:
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=None, audit=AUDIT, language="en"))
    tables = {words(table.find("caption")): cells(table)[1:] for table in page.get_element_by_id("cleaning").iter("table")}
    assert tables == {
        "Registrations": [
            ["Rows delivered", "", "", "1,200"],
            ["Of entries equal in everything one is kept", "30", "0", "1,170"],
            ["Short gaps are bridged, except after work, studies, death or a move", "0", "15", "1,170"],
        ],
    }
    assert "no row had to be removed or changed: Studies." in section(page, "cleaning")


def test_every_rule_of_cleaning_is_told_in_words(tmp_path: Path, registers: Registers, language: Language) -> None:
    audit = clean_registers(registers).audit.assign(changed=1)
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=None, audit=audit, language=language))
    told = [row[0] for table in page.get_element_by_id("cleaning").iter("table") for row in cells(table)[2:]]
    assert len(told) == len(audit)
    assert not set(told) & set(audit["rule"])


def test_a_delivery_without_tables_to_clean_says_so(tmp_path: Path, registers: Registers, language: Language) -> None:
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=None, audit=AUDIT[:0], language=language))
    assert re.search(r"Ingen av de levererade tabellerna|None of the delivered tables", section(page, "cleaning"))


# --- what the tables hold


def content(page: HtmlElement) -> dict[str, list[str]]:
    table = page.get_element_by_id("content").find("div/table")
    return {row[0]: row[1:] for row in cells(table)[1:]}


@pytest.mark.parametrize(("language", "to"), [("sv", "till"), ("en", "to")], indirect=["language"])
def test_the_tables_are_told_with_their_agency_rows_period_and_suspected_gaps(passed: HtmlElement, language: Language, to: str) -> None:
    told = content(passed)
    titles = {name: CONTRACT.tables[name].titles[language] for name in CONTRACT.tables}
    assert told[titles["sokandekategori"]][2:] == [f"2013-01 {to} 2022-12", "2016-03"]
    assert told[titles["arsinkomst"]] == ["SCB", "300", f"2013 {to} 2022", "–"]
    assert told[titles["individ"]] == ["SCB", "30", "–", "–"]
    assert told[titles["manadslon"]][2].startswith(f"2019-01 {to} 2020-08, ")  # and says that it ends early


def test_every_panel_of_the_figure_has_a_table_after_it_and_a_sentence_in_its_description(passed: HtmlElement, language: Language) -> None:
    names = [CONTRACT.tables[name].titles[language] for name in ("inskrivning", "sokandekategori", "manadslon", "arsinkomst", "ek_bistand")]
    summaries = [words(summary) for summary in passed.get_element_by_id("content").iter("summary")]
    assert [summary.split(":")[0] for summary in summaries] == [*names, CONTRACT.tables["arbetslosa_manad"].titles[language]]
    (svg,) = passed.iter("svg")
    assert [element.get("id") for element in svg[:2]] == svg.get("aria-labelledby").split()
    assert all(f"{name}: " in words(svg[1]) for name in names)
    assert words(passed.find(".//figcaption"))


@pytest.mark.hand
def test_the_table_of_a_panel_lays_the_months_out_by_year_and_marks_the_gap(passed: HtmlElement) -> None:
    _, categories, *_ = passed.get_element_by_id("content").iter("details")
    years = {row[0]: row[1:] for row in cells(categories.find(".//table"))[1:]}
    assert list(years) == [str(year) for year in range(2013, 2023)]
    assert years["2016"] == ["50", "50", "0 ▼", *["50"] * 9]


def test_a_stray_date_of_long_ago_squeezes_nothing(passed: HtmlElement, language: Language) -> None:
    registrations, *_ = passed.get_element_by_id("content").iter("details")
    years = [row[0] for row in cells(registrations.find(".//table"))[1:]]
    assert years == [str(year) for year in range(2022 - YEARS_SHOWN + 1, 2023)]
    assert content(passed)[CONTRACT.tables["inskrivning"].titles[language]][2].startswith("1971-05")


def test_no_small_count_of_people_is_shown_and_aggregates_are(passed: HtmlElement, language: Language) -> None:
    *_, assistance, unemployment = passed.get_element_by_id("content").iter("details")
    assert cells(assistance.find(".//table"))[1] == ["2020", *["<10"] * 12]
    assert cells(unemployment.find(".//table"))[1] == ["2020", *["1"] * 12]
    few = {"sv": "färre än 10", "en": "fewer than 10"}[language]
    assert few not in section(passed, "drift")
    assert [row[1] for row in cells(passed.get_element_by_id("missing").find(".//table")) if row[0] == "individ.fodelselandgrupp"] == ["··"]


@pytest.mark.hand
def test_a_code_that_comes_is_told_by_its_meaning_at_that_time(passed: HtmlElement, language: Language) -> None:
    rows = {tuple(row[:2]): row[2:] for row in cells(passed.get_element_by_id("drift").find(".//table"))[1:]}
    name = {"sv": "Extratjänst", "en": "Extra service job"}[language]
    told = rows[f"sokandekategori.skat 51 {name}", "2017–2018"]
    assert told[0] in ("kom", "came")
    assert [re.match(r"[\d.,]+", share).group().replace(",", ".") for share in told[1:]] == ["0.0", "33.3"]


def test_a_level_without_a_code_list_is_told_by_its_name(tmp_path: Path) -> None:
    rows = pd.DataFrame({"lopnr": SECRET, "start_datum": ["2019-05-01"] * 500 + ["2020-05-01"] * 500, "fas": ["1"] * 500 + ["2.0"] * 500})
    registers = delivered({"projekt_deltagande": rows})
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=profile_registers(registers), audit=None))
    assert "projekt_deltagande.fas 2.0 Malmökraften 2.0 (2020–2022)" in [row[0] for row in cells(page.get_element_by_id("drift").find(".//table"))]


def test_registers_without_drift_or_dates_say_so_in_words(tmp_path: Path, language: Language) -> None:
    registers = delivered({})
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=profile_registers(registers), audit=None, language=language))
    assert re.search(r"Ingen kod kom|No code came", section(page, "drift"))
    assert re.search(r"Ingen tabell har daterade|No table has rows with a date", section(page, "content"))


def test_registers_without_a_missing_value_say_so_in_words(tmp_path: Path, language: Language) -> None:
    registers = delivered({"funktionsnedsattning": pd.DataFrame({"lopnr": [SECRET], "kod": ["11"], "registrerad_datum": ["2020-01-01"]})})
    registers.connection.execute("update register.leverans set schemaversion = '1.0.0'")
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=profile_registers(registers), audit=None, language=language))
    assert re.search(r"Ingen uppgift saknas|No value is missing", section(page, "missing"))


def test_many_gaps_are_named_by_the_first_few_and_counted(tmp_path: Path) -> None:
    rows = spells("2015-01", 96, 40, skat="11")
    registers = delivered({"sokandekategori": rows[~rows["start"].str.fullmatch(r"201[678]-0[147]-15")]})
    page = read(write_check(tmp_path, findings=found(), registers=registers, profile=profile_registers(registers), audit=None, language="en"))
    assert content(page)["Jobseeker categories"][3] == "2016-01, 2016-04, 2016-07, 2017-01 and others, 9 in all"


# --- the file


def test_the_pages_are_files_of_their_own_and_lead_to_each_other_where_both_are_written(tmp_path: Path, language: Language) -> None:
    other = {"sv": "en", "en": "sv"}[language]
    alone, linked = (
        write_check(tmp_path / str(both), findings=found(), registers=None, profile=None, audit=None, language=language, linked=both)
        for both in (False, True)
    )
    assert (alone.name, linked.name) == (f"check.{language}.html",) * 2
    assert read(alone).find_class("kind")[0].find("a") is None
    assert read(linked).find_class("kind")[0].find("a").get("href") == f"check.{other}.html"


def test_an_older_page_stays_whole_if_the_new_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise KeyboardInterrupt("stopped in the middle")

    old = write_check(tmp_path, findings=found(), registers=None, profile=None, audit=None)
    before = old.read_bytes()
    monkeypatch.setattr(check, "render_page", fail)
    with pytest.raises(KeyboardInterrupt, match="stopped in the middle"):
        write_check(tmp_path, findings=found(*ERRORS), registers=None, profile=None, audit=None)
    assert [file.name for file in tmp_path.iterdir()] == [old.name]
    assert old.read_bytes() == before
