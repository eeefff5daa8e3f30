"""A new study runs before a word of it is changed, explains every key, and takes nobody's place."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import nbformat
import numpy as np
import pandas as pd
import pytest
import typer
from nbclient import NotebookClient
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from evaluation.cli import app
from evaluation.cli.init import init
from evaluation.plan import RegisterPlan, TablePlan, load_plan, read_plan
from evaluation.plan_sections import words_to_replace
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.synthetic.writing import write_registers
from evaluation.study import analyse_study, design_study

PROJECT = Path(__file__).parents[1]
TEMPLATES = PROJECT / "evaluation" / "cli" / "templates"
LONGEST_SECONDS = 120  # a notebook on small registers takes some ten; a loaded machine may take many times that
LEFT_TO_OTHERS = {"weighting", "moments", "cap", "trim", "folder", "sha256"}  # named in the plan's prose: a plan has [matching] or [weighting]


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(init)
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reports").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def people(seed: int = 1) -> pd.DataFrame:
    """Draw a table with the columns the plan of a table names."""
    rng = np.random.default_rng(seed)
    size = 600
    return pd.DataFrame(
        {
            "lopnr": [f"p{number}" for number in range(size)],
            "deltagare": rng.binomial(1, 0.3, size),
            "kon": rng.choice(["kvinna", "man"], size),
            "alder": rng.integers(20, 65, size),
            "utbildning": rng.choice(["grundskola", "gymnasium"], size),
            "fodd_utanfor_europa": rng.choice(["ja", "nej"], size),
            "dagar": rng.integers(0, 800, size),
            "avslut": rng.choice(["arbete", "studier", "annat", "inget"], size),
        }
    )


# --- what is written


def test_a_study_of_registers_is_five_files_and_each_is_told(project: Path) -> None:
    result = run("reports/hisingen")
    assert result.exit_code == 0
    found = {path.as_posix() for path in Path("reports/hisingen").iterdir()}
    assert {Path(file).name for file in found} == {".gitignore", "README.md", "plan.toml", "site.example.toml", "study.ipynb"}
    assert {line.removeprefix("Written: ") for line in result.stdout.splitlines()[:-1]} == found


def test_a_study_of_a_table_needs_no_site_file(project: Path) -> None:
    run("reports/hisingen", "--table")
    assert not Path("reports/hisingen/site.example.toml").exists()
    assert isinstance(load_plan("reports/hisingen"), TablePlan)


@pytest.mark.parametrize("kind", ["--register", "--table"])
def test_the_study_carries_the_names_given_and_no_trace_of_malmo(project: Path, kind: str) -> None:
    run("reports/hisingen", kind, "--name", "Hisingskraft", "--municipality", "1480")
    plan = load_plan("reports/hisingen")
    assert (plan.wording.programme.sv, plan.wording.programme.en) == ("Hisingskraft", "Hisingskraft")
    assert kind == "--table" or plan.cohort.municipality == "1480"
    for file in Path("reports/hisingen").iterdir():
        words = re.sub(r"malmokraften (?=report|design|check|init)|the Malmökraften evaluation toolkit", "", file.read_text(encoding="utf-8"))
        assert not re.search("malm[öo]", words, flags=re.IGNORECASE), file.name


def test_what_is_yours_to_replace_stands_in_brackets_in_the_report_s_words(project: Path) -> None:
    run("reports/hisingen")
    wording = load_plan("reports/hisingen").wording
    assert "[kommunen]" in wording.background.sv
    assert "[the municipality]" in wording.background.en
    assert wording.programme.sv == "[programmet]"


def bracketed(values: object, where: str = "") -> Iterator[str]:
    """Give the key of every text of a TOML file with a [ in it, without its language."""
    if isinstance(values, str) and "[" in values:
        yield re.sub(r"[.](sv|en)$", "", where)
    for name, inner in values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ():
        yield from bracketed(inner, f"{where}.{name}".lstrip("."))


@pytest.mark.parametrize("kind", ["registers", "table"])
@pytest.mark.parametrize("every_choice", [False, True])
def test_every_word_that_is_yours_to_replace_is_known_to_the_plan(project: Path, kind: str, every_choice: bool) -> None:
    run("hisingen", "--table" if kind == "table" else "--register")
    text = (project / "hisingen" / "plan.toml").read_text(encoding="utf-8")
    values = tomllib.loads(with_every_choice(text) if every_choice else text)
    if every_choice and kind == "table":
        del values["outcome"]["states"]
    elif every_choice:
        del values["cohort"]["covariates"]
    values["matching"].pop("max_reuse", None)
    wanted = set(bracketed(values))
    assert wanted >= {"wording.title", "wording.background"}
    assert set(words_to_replace(read_plan(values))) == wanted


@pytest.mark.parametrize("command", ["design", "analyse", "report"])
def test_a_run_tells_once_of_all_the_words_that_are_left(project: Path, command: str) -> None:
    run("reports/hisingen", "--table")
    result = CliRunner().invoke(app, [command, "hisingen", "--quiet"])  # which then finds no table, and ends at once
    told = [line for line in result.stderr.splitlines() if line.startswith("Warning")]
    assert len(told) == 1
    for said in ("reports/hisingen/plan.toml", "[brackets]", "wording.title, ", "wording.programme, ", "data.source", "replace them"):
        assert said in told[0]


def test_words_that_are_left_are_a_line_of_json_in_a_log(project: Path) -> None:
    run("reports/hisingen", "--table")
    result = CliRunner().invoke(app, ["design", "hisingen", "--log-json"])
    (told,) = [json.loads(line) for line in result.stderr.splitlines() if '"warning"' in line]
    assert "[brackets]" in told["what"]


def test_a_plan_that_is_written_warns_of_nothing(project: Path) -> None:
    run("reports/hisingen", "--table", "--name", "Hisingskraft")
    file = project / "reports" / "hisingen" / "plan.toml"
    file.write_text(re.sub(r"(?<=[ \"])\[[^\W\d][^\]\"]*\]", "x", file.read_text(encoding="utf-8")), encoding="utf-8")
    result = CliRunner().invoke(app, ["design", "hisingen"])
    assert "Warning" not in result.stderr
    assert "Reading the table" in result.stderr


@pytest.mark.parametrize(("folder", "typed"), [("reports/hisingen", "report hisingen"), ("hisingen", "report --plan hisingen/plan.toml")])
def test_the_commands_it_tells_of_are_those_that_find_it(project: Path, folder: str, typed: str) -> None:
    run(folder)
    for file in ("plan.toml", "README.md"):
        assert f"malmokraften {typed}" in (Path(folder) / file).read_text(encoding="utf-8")


def test_git_is_told_to_leave_data_reports_and_the_site_alone(project: Path) -> None:
    run("hisingen")
    assert {"data/", "output/", "site.toml"} <= set((project / "hisingen" / ".gitignore").read_text(encoding="utf-8").splitlines())


def test_the_site_file_is_the_one_of_the_project() -> None:
    assert (TEMPLATES / "site.example.toml").read_bytes() == (PROJECT / "reports" / "site.example.toml").read_bytes()


# --- what is refused


def test_a_folder_that_holds_something_is_left_as_it_is(project: Path) -> None:
    (project / "hisingen").mkdir()
    (project / "hisingen" / "plan.toml").write_text("mine", encoding="utf-8")
    result = run("hisingen")
    assert result.exit_code == 2
    assert "hisingen: holds something already; choose a new folder" in " ".join(result.stderr.split())
    assert [(path.name, path.read_text(encoding="utf-8")) for path in (project / "hisingen").iterdir()] == [("plan.toml", "mine")]


def test_a_file_in_the_folder_s_place_is_left_as_it_is(project: Path) -> None:
    (project / "hisingen").write_text("mine", encoding="utf-8")
    assert run("hisingen").exit_code == 2
    assert (project / "hisingen").read_text(encoding="utf-8") == "mine"


def test_an_empty_folder_may_be_used(project: Path) -> None:
    (project / "hisingen").mkdir()
    assert run("hisingen").exit_code == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--municipality", "Malmö"], "is a municipality's code of four digits"),
        (["--municipality", "128"], "is a municipality's code of four digits"),
        (["--municipality", "١٢٨٠"], "is a municipality's code of four digits"),
        (["--name", 'the "project"'], "is a name, without"),
        (["--name", " "], "is a name, without"),
        (["--name", "two\nlines"], "is a name, without"),
    ],
)
def test_what_would_break_the_plan_is_refused_before_anything_is_written(project: Path, wrong: list[str], said: str) -> None:
    result = run("hisingen", *wrong)
    assert result.exit_code == 2
    assert said in re.sub(r"[│\s]+", " ", result.stderr)
    assert not (project / "hisingen").exists()


# --- every key


def models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def keys(model: type[BaseModel]) -> set[str]:
    """Give the keys of a section and of the sections inside it; of the ways of matching, those of the first."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for section in list(models(field.annotation))[:1]:
            found |= keys(section)
    return found


@pytest.mark.parametrize(("kind", "plan"), [("registers", RegisterPlan), ("table", TablePlan)])
def test_every_key_of_a_plan_is_there_or_shown_as_left_at_its_default(kind: str, plan: type[BaseModel]) -> None:
    """A key that is new in a plan gets its line in the template, with what it means."""
    text = (TEMPLATES / f"{kind}.plan.toml").read_text(encoding="utf-8")
    of_registers_alone = {"goals", "costs"}.union(
        *(keys(section) for name in ("goals", "costs") for section in models(plan.model_fields[name].annotation))
    )
    wanted = keys(plan) - LEFT_TO_OTHERS - (of_registers_alone - keys(plan.model_fields["effects"].annotation) if kind == "table" else set())
    assert sorted(key for key in wanted if not re.search(rf"(?<![\w]){key}(?![\w])", text)) == []


def with_every_choice(text: str) -> str:
    """Take away the # of every key that was left at its default."""
    return re.sub(r"^#(?=[a-z\[])", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", ["registers", "table"])
def test_every_choice_that_is_shown_is_one_the_plan_takes(project: Path, kind: str) -> None:
    run("hisingen", "--table" if kind == "table" else "--register")
    values = tomllib.loads(with_every_choice((project / "hisingen" / "plan.toml").read_text(encoding="utf-8")))
    values["matching"]["replace"] = True  # which max_reuse needs
    if kind == "table":
        assert values["outcome"].pop("states")  # which stands instead of event
    else:
        values["cohort"].pop("covariates")  # a choice among those that look_back gives
    assert read_plan(values).support is not None


@pytest.mark.parametrize("kind", ["registers", "table"])
def test_the_plan_says_what_to_change(kind: str) -> None:
    assert len(re.findall("# CHANGE", (TEMPLATES / f"{kind}.plan.toml").read_text(encoding="utf-8"))) > 5


# --- it runs


def test_a_study_of_registers_runs_on_simulated_ones_as_it_stands(project: Path) -> None:
    run("reports/hisingen", "--municipality", "1480")
    plan = load_plan("reports/hisingen")
    made = simulate_registers(
        plan.registers.simulate.participants, municipality="1480", **plan.registers.simulate.model_dump(exclude={"participants"})
    )
    write_registers(made, plan.data_folder, file_format="parquet")
    execute(project / "reports" / "hisingen")


@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
def test_a_study_of_a_table_runs_once_the_table_is_there(project: Path) -> None:
    run("reports/hisingen", "--table")
    plan = load_plan("reports/hisingen")
    plan.data_file.parent.mkdir()
    people().to_csv(plan.data_file, index=False)
    study = analyse_study(people(), design_study(people(), plan))
    assert set(study.effects.risk_difference) == {180, 365}
    execute(project / "reports" / "hisingen")


def execute(folder: Path) -> None:
    """Run the study's notebook, which goes the whole road."""
    notebook = nbformat.read(folder / "study.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
    NotebookClient(notebook, timeout=LONGEST_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    assert [cell.source for cell in notebook.cells if cell.cell_type == "code" and not cell.outputs] == []
