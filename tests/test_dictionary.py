"""What agencies read is what is checked: the dictionary is current, its links lead somewhere, the templates are the schemas' columns."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from evaluation.registers.contract import Contract, load_contract
from evaluation.registers.dictionary import CHECKLIST, FORMS, LISTS, SENSITIVE, SENSITIVITIES, anchor, render_dictionary, templates
from evaluation.registers.findings import load_rules

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "data_schema" / "README.md"
CONTRACT = load_contract()
COLUMNS = [(table, column.name) for table, schema in CONTRACT.tables.items() for column in schema.fields]


@pytest.fixture(scope="module")
def page() -> str:
    return render_dictionary(CONTRACT)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return templates(CONTRACT)


def part(page: str, heading: str) -> str:
    """Give what stands under a heading, up to the next of any level."""
    return re.split(r"^#+ ", page.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def grids(text: str) -> list[list[list[str]]]:
    """Give the cells of every Markdown table, heads first."""
    blocks = re.findall(r"(?:^ *\|.*\n?)+", text, flags=re.MULTILINE)
    return [[[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in block.strip().splitlines()] for block in blocks]


# --- the dictionary


def test_the_dictionary_in_the_project_is_current(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, "data_schema/README.md is stale; renew it: malmokraften schema dictionary data_schema/README.md"


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=".".join)
def test_every_column_stands_under_its_table_in_both_languages(table: str, column: str, page: str) -> None:
    schema = CONTRACT.tables[table]
    (row,) = [row for grid in grids(part(page, table)) for row in grid if row[0] == f"`{column}`"]
    entry = next(entry for entry in schema.fields if entry.name == column)
    assert row[1] == entry.kind
    assert row[2] == ("✓" if entry.required else "–")
    for cell, language in zip(row[3:5], ("sv", "en"), strict=True):
        assert cell.startswith(f"**{entry.titles[language]}**")
        assert cell.endswith(entry.descriptions[language])
    assert entry.codelist is None or f"codes/{entry.codelist}.csv" in row[5]
    assert all(f"`{value}`" in row[5] for value in entry.levels)
    assert row[6:8] == [entry.sensitivity, entry.role]


def test_every_row_of_a_table_has_as_many_cells_as_its_head(page: str, files: dict[str, str]) -> None:
    found = grids(page) + grids(files[CHECKLIST])
    assert len(found) > 2 * len(CONTRACT.tables)
    assert not [row for grid in found for row in grid if len(row) != len(grid[0])]


def test_every_link_leads_to_a_heading_or_a_file(page: str) -> None:
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 2 * len(CONTRACT.tables)
    assert not [link for link in links if not (link.removeprefix("#") in headings if link.startswith("#") else (PAGE.parent / link).is_file())]


@pytest.mark.hand
@pytest.mark.parametrize(
    ("table", "sentences"),
    [
        ("sokandekategori", ["till men inte med `slut`", "up to but not including `slut`", "rensningen åtgärdar", "cleaning mends", "vid `start`"]),
        ("program_beslut", ["till och med `slut`", "up to and including `slut`", "at `start`"]),
        ("inskrivning", ["från och med `inskriven_datum`", "`lopnr`, `inskr_id`", "Krävs. Levereras av Arbetsförmedlingen."]),
        ("studier", ["Kan utelämnas.", "May be left out."]),
    ],
)
def test_a_table_says_in_words_how_its_rows_hold(table: str, sentences: list[str], page: str) -> None:
    assert not [sentence for sentence in sentences if sentence not in part(page, table)]


def test_a_table_that_is_corrected_at_its_source_promises_no_mending(page: str) -> None:
    mended = {name for name in CONTRACT.tables if "cleaning mends" in part(page, name)}
    assert mended == {"inskrivning", "sokandekategori"}


def test_every_code_list_tells_its_status_and_how_many_codes_it_has(page: str) -> None:
    (_, _, *rows) = grids(part(page, "Kodlistor / Code lists"))[0]
    assert [row[0] for row in rows] == [f"[{name}](codes/{name}.csv)" for name in CONTRACT.codes]
    for row, listed in zip(rows, CONTRACT.codes.values(), strict=True):
        assert row[3:6] == [str(listed.entries["kod"].nunique()), "✓" if listed.verified else "–", listed.status]


def test_a_list_of_the_sites_own_is_told_with_its_own_status() -> None:
    own = replace(CONTRACT.codes["skat"], status="verifierad hos Arbetsförmedlingen")
    page = render_dictionary(Contract(CONTRACT.version, CONTRACT.tables, {**CONTRACT.codes, "skat": own}))
    assert re.search(r"codes/skat\.csv\).*\| ✓ \| verifierad hos Arbetsförmedlingen", page)


@pytest.mark.hand
def test_a_reused_code_is_told_with_each_of_its_meanings_and_their_days(page: str) -> None:
    (_, _, *rows) = grids(part(page, "Koder med flera betydelser / Codes with several meanings"))[0]
    assert [row[1:4] for row in rows if row[0] == "skat `51`"] == [
        ["–", "1997-12-31", "Beredskapsarbete"],
        ["2006-01-01", "2006-12-31", "Plusjobb"],
        ["2015-11-01", "–", "Extratjänst"],
    ]


def test_every_rule_is_told_once_with_its_places_left_open(page: str) -> None:
    rules = part(page, "Regler / Rules")
    told = [row[0] for grid in grids(rules) for row in grid[2:]]
    assert sorted(told) == sorted(f"`{key}`" for key in load_rules())
    assert not re.search(r"\{\w+\}", rules)


def test_every_word_of_the_schemas_is_explained() -> None:
    fields = [entry for schema in CONTRACT.tables.values() for entry in schema.fields]
    assert {entry.kind for entry in fields} <= set(FORMS)
    assert {entry.sensitivity for entry in fields} <= set(SENSITIVITIES)


# --- the templates and the checklist


@pytest.mark.parametrize("table", CONTRACT.tables)
def test_a_template_is_the_header_row_of_its_table_and_nothing_else(table: str, files: dict[str, str]) -> None:
    frame = pd.read_csv(io.StringIO(files[f"{table}.csv"]))
    assert list(frame.columns) == [entry.name for entry in CONTRACT.tables[table].fields]
    assert frame.empty


def test_the_templates_are_the_tables_and_one_checklist(files: dict[str, str]) -> None:
    lists = [f"{LISTS}/{name}.csv" for name in CONTRACT.codes]
    assert sorted(files) == sorted([CHECKLIST, *(f"{name}.csv" for name in CONTRACT.tables), *lists])
    assert files[f"{LISTS}/skolform.csv"].splitlines()[:2] == [
        "kod,benamning_sv,label_en,giltig_fran,giltig_till",
        'komvux_gru,Komvux på grundläggande nivå,"Adult education, basic level",,',
    ]


def test_the_filled_in_example_is_a_row_of_the_table_it_shows(files: dict[str, str]) -> None:
    block = re.search(r"```\n(.*?)```", files[CHECKLIST], flags=re.DOTALL).group(1)
    head, row = csv.reader(io.StringIO(re.sub("^ +", "", block, flags=re.MULTILINE)))
    filled = dict(zip(head, row, strict=True))
    assert head == [entry.name for entry in CONTRACT.tables["leverans"].fields]
    assert filled["schemaversion"] == CONTRACT.version
    assert pd.Period(filled["komplett_t_o_m"]).end_time < pd.Timestamp(filled["datauttag"])


def test_the_checklist_names_every_sensitive_column(files: dict[str, str]) -> None:
    told = part(files[CHECKLIST], "Leverans av registeruppgifter till utvärderingen av Malmökraften")
    for table, schema in CONTRACT.tables.items():
        for entry in schema.fields:
            if entry.sensitivity in SENSITIVE:
                assert re.search(rf"- {table}\.csv \({SENSITIVE[entry.sensitivity][0]}\):.*\b{entry.name}\b", told)


def test_the_checklist_tells_each_agency_its_files(files: dict[str, str]) -> None:
    agencies = dict(grids(files[CHECKLIST])[0][2:])
    assert {name: names.split(", ") for name, names in agencies.items()} == {
        agency: [f"{name}.csv" for name, schema in CONTRACT.tables.items() if schema.agency == agency]
        for agency in dict.fromkeys(schema.agency for schema in CONTRACT.tables.values())
    }


def test_the_checklist_says_the_same_ten_things_in_both_languages_and_needs_no_programmer(files: dict[str, str]) -> None:
    swedish, english = files[CHECKLIST].split("# In English: ")
    assert [re.findall(r"^(\d+)\. \*\*", text, flags=re.MULTILINE) for text in (swedish, english)] == [[str(number) for number in range(1, 11)]] * 2
    assert not re.search(r"python|pip|terminal", files[CHECKLIST], flags=re.IGNORECASE)
