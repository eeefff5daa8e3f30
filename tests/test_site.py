"""What a site file may say, and what it is told when it says something else."""

import tomllib
from pathlib import Path

import pytest

from evaluation.errors import InputError
from evaluation.registers.contract import load_contract
from evaluation.registers.reading import Notation
from evaluation.registers.site import Site, load_site

EXAMPLE = Path(__file__).parents[1] / "reports" / "site.example.toml"


def read(text: str, folder: Path) -> Site:
    (folder / "site.toml").write_text(text, encoding="utf-8")
    return load_site(folder / "site.toml")


def problems(text: str, folder: Path) -> list[str]:
    with pytest.raises(InputError, match=r"site\.toml cannot be used") as caught:
        read(text, folder)
    return [str(problem) for problem in caught.value.problems]


def test_a_site_that_says_nothing_delivers_as_the_contract_says() -> None:
    assert Site().notation == Notation("%Y-%m-%d", ".")
    assert Site().hold_against(load_contract()) is None


def test_the_example_is_valid_and_fits_the_contract() -> None:
    load_site(EXAMPLE).hold_against(load_contract())


def test_the_example_shows_every_key() -> None:
    uncommented = [line.removeprefix("# ") for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    shown = {line.partition(" = ")[0] for line in uncommented if " = " in line} | set(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))
    assert set(Site.model_fields) <= shown


@pytest.mark.hand
def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    site = read('data = "leverans"\ncodes_folder = "codes"\ntemp_folder = "/spill"', tmp_path)
    assert site.data == str(tmp_path / "leverans")
    assert site.codes_folder == tmp_path / "codes"
    assert site.temp_folder == Path("/spill")


@pytest.mark.hand
@pytest.mark.parametrize(
    ("data", "becomes"),
    [
        ("sqlite:///r.db", "sqlite:///{}/r.db"),
        ("duckdb:///r.duckdb", "duckdb:///{}/r.duckdb"),
        ("sqlite:////data/r.db", "sqlite:////data/r.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("/data", "/data"),
    ],
)
def test_the_address_of_a_file_is_relative_too(data: str, becomes: str, tmp_path: Path) -> None:
    assert read(f'data = "{data}"', tmp_path).data == becomes.format(tmp_path)


def test_what_is_said_is_kept(tmp_path: Path) -> None:
    site = read('date_format = "%d/%m/%Y"\ndecimal = ","\nseparator = "\\t"\nencoding = "cp1252"\nmemory_mb = 500\nthreads = 2', tmp_path)
    assert site.notation == Notation("%d/%m/%Y", ",")
    assert (site.separator, site.encoding, site.memory_mb, site.threads) == ("\t", "cp1252", 500, 2)


@pytest.mark.hand
def test_every_problem_is_told_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    told = problems('dta = "x"\nxyzzy = 1\ndecimal = ";"\nmemory_mb = 1\ndate_format = "%d/%m"\n[columns]\nindivid = 3', tmp_path)
    assert [line.partition("; correct it")[0] for line in told] == [
        "columns.individ: input should be a valid dictionary",
        'date_format: must write year, month and day, such as "%d/%m/%Y"',
        "decimal: input should be '.' or ','",
        "memory_mb: input should be greater than or equal to 100",
        "dta: is not a key of the site file; did you mean data?",
        f"xyzzy: is not a key of the site file; choose among {', '.join(Site.model_fields)}",
    ]


@pytest.mark.parametrize("pattern", ["%Q", "", "%Y-%m", "yyyy-mm-dd", "%d.%m.%Y %", "%H:%M"])
def test_a_date_format_must_be_one(pattern: str, tmp_path: Path) -> None:
    assert "date_format: must write year, month and day" in problems(f'date_format = "{pattern}"', tmp_path)[0]


@pytest.mark.parametrize("pattern", ["%Y%m%d", "%d/%m/%Y", "%d.%m.%y", "%Y-%m-%d %H:%M:%S", "%d %b %Y"])
def test_any_way_of_writing_a_whole_date_will_do(pattern: str) -> None:
    assert Site(date_format=pattern).notation.date_format == pattern


def test_a_site_file_that_is_not_there_or_no_toml_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: cannot be opened"):
        load_site(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"site\.toml: is not valid TOML: .*line 2"):
        read('data = "x"\ntables\n', tmp_path)
    (tmp_path / "site.toml").write_bytes('data = "å"'.encode("latin-1"))
    with pytest.raises(InputError, match=r"site\.toml: is not written in UTF-8; save it as UTF-8"):
        load_site(tmp_path / "site.toml")


def test_the_mark_that_editors_put_first_is_no_part_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('decimal = ","', encoding="utf-8-sig")
    assert load_site(tmp_path / "site.toml").decimal == ","


def test_a_path_with_backslashes_is_told_how_to_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not valid TOML: .*; write a path with a backslash in single quotes, or with / instead"):
        read('data = "C:\\Users\\leverans"', tmp_path)
    assert "data: must not hold a tab or line break" in problems('data = "C:\\temp\\new"', tmp_path)[0]
    with pytest.raises(InputError, match=r"is not valid TOML: .*; correct it"):
        read('separator = "\\t"\ntables', tmp_path)
    assert str(read("temp_folder = 'C:\\leverans'", tmp_path).temp_folder).endswith("C:\\leverans")


def test_the_table_and_column_of_codes_stand_in_quotes(tmp_path: Path) -> None:
    (told,) = {line.partition(";")[2] for line in problems('[codes.individ.kon]\nM = "1"\nK = "2"', tmp_path)}
    assert told == ' write codes."individ.kon"'


@pytest.mark.hand
def test_no_name_that_holds_an_identity_number_is_shown(tmp_path: Path) -> None:
    number = "19800101-1234"
    assert problems(f'"{number}" = 1\n[columns.individ]\n"{number}" = 3', tmp_path) == [
        "***: input should be a valid string; correct it; reports/site.example.toml shows the form",
        f"***: is not a key of the site file; choose among {', '.join(Site.model_fields)}",
    ]
    site = Site(
        tables={number: "x"}, columns={"individ": {"SEX": number}, number: {"a": "b"}}, codes={"individ.kon": {number: "9"}, f"individ.{number}": {}}
    )
    with pytest.raises(InputError, match=r"\*\*\*: is not a table of the contract") as caught:
        site.hold_against(load_contract())
    assert len(caught.value.problems) == 5
    assert number not in str(caught.value)
    with pytest.raises(InputError, match="is not valid TOML") as caught:
        read(f'["{number}"]\n["{number}"]', tmp_path)
    assert number not in str(caught.value)


@pytest.mark.hand
def test_a_code_must_become_one_that_the_column_may_hold() -> None:
    codes = {
        "individ.kon": {"M": "1", "K": "3"},
        "individ.skyddad": {"nej": "false", "ja": "yes"},
        "sokandekategori.skat": {"A": "11", "B": "111"},
        "inskrivning.kontor": {"a": "anything"},
    }
    with pytest.raises(InputError, match="does not fit data_schema/") as caught:
        Site(codes=codes).hold_against(load_contract())
    assert [f"{problem.where}; {problem.remedy[:20]}" for problem in caught.value.problems] == [
        "codes.individ.kon.K; choose among 1, 2",
        "codes.individ.skyddad.ja; choose among true, f",
        "codes.sokandekategori.skat.B; did you mean 11?",
    ]


@pytest.mark.hand
def test_what_does_not_fit_the_contract_is_told_with_the_nearest_name() -> None:
    site = Site(
        tables={"indvid": "x"},
        columns={"individ": {"SEX": "kn"}, "xyzzy": {"a": "b"}},
        codes={"individ.lopnrr": {}, "individ": {}, "studier": {"a": "b"}},
    )
    with pytest.raises(InputError, match=r"the site file does not fit data_schema/ \(6 problems\)") as caught:
        site.hold_against(load_contract())
    told = [f"{problem.where}: {problem.rule}; {problem.remedy[:30]}" for problem in caught.value.problems]
    assert told == [
        "tables.indvid: is not a table of the contract; did you mean individ?",
        "columns.individ.kn: is not a column of individ; did you mean kon?",
        "columns.xyzzy: is not a table of the contract; choose among leverans, individ",
        "codes.individ.lopnrr: is not a column of individ; did you mean lopnr?",
        "codes.individ.: is not a column of individ; choose among lopnr, kon, fodel",
        "codes.studier.: is not a column of studier; choose among lopnr, skolform, ",
    ]


def test_a_site_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Site().decimal = ","


@pytest.mark.hand
def test_the_site_says_by_which_rules_numbers_leave(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text("[release]\nthreshold = 20\nbase = 10\n", encoding="utf-8")
    assert load_site(file).release == {"threshold": 20, "base": 10}
    assert Site().release == {}
