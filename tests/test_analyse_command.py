"""What does `analyse` print, what does it write, and does any of it tell more than the page?"""

import json
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from evaluation import analyse_study, design_study, load_plan, read_table
from evaluation.cli import app
from evaluation.cli.analyse import _write
from evaluation.cli.terminal import INVALID, NOT_RELEASED, STRICT, Step
from evaluation.errors import UnmatchedWarning
from evaluation.reporting import bundle
from evaluation.reporting.bundle import data_outputs, result_outputs
from evaluation.reporting.exchange import Output
from evaluation.reporting.scene import scene_of
from evaluation.reporting.sections import compose_page

REPORTS = Path(__file__).parents[1] / "reports"
STUDY = "employment-agency"
BASE = 5  # counts are rounded to a multiple of this where no site says otherwise


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return stand_in(tmp_path, monkeypatch)


def stand_in(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = place / "reports" / STUDY
    folder.mkdir(parents=True)
    shutil.copy(REPORTS / STUDY / "plan.toml", folder)
    monkeypatch.chdir(place)
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Run the command once, in both languages, and make the same study by the library."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("told")
        folder, out = stand_in(place, patch), place / "results"
        result = run("analyse", STUDY, "--out", str(out))
        assert result.exit_code == 0, result.stderr
        plan = load_plan(folder)
        people = read_table(plan.data_file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnmatchedWarning)
            study = analyse_study(people, design_study(people, plan))
        yield SimpleNamespace(whole=result.stdout, out=out, folder=folder, study=study)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_it_prints_the_answer_the_verdict_the_effects_and_the_groups_in_both_languages(told: SimpleNamespace) -> None:
    heads = ["Svaret i korthet", "Håller jämförelsen?", "Vad som hände", "För vilka?"]
    places = [told.whole.index(f"\n{head}\n═") for head in heads]
    assert places == sorted(places)
    assert told.whole.index("\nThe answer in brief\n═") > places[-1]
    assert "\n  Hasardkvot till framgång (Cox)" in told.whole


def test_nothing_is_written_beside_the_plan_but_the_table_it_fetched(told: SimpleNamespace) -> None:
    assert files(told.folder) == ["data/unemployment.csv", "plan.toml"]


def test_what_is_printed_is_rounded_as_on_the_page(told: SimpleNamespace) -> None:
    exact = [arm.n for (by, _), found in told.study.registered.effects.items() if by == "sex" for arm in found.arms.values()]
    assert any(count % BASE for count in exact)  # else rounding is not put to the test
    rows = [re.split(r"\s{2,}", line.strip()) for line in told.whole.splitlines() if re.match(r"  Kön: (man|kvinna)\s+\d", line)]
    assert sorted(int(cell) for row in rows for cell in row[1:3]) == sorted(BASE * round(count / BASE) for count in exact)


def test_results_and_tables_are_those_of_the_report(told: SimpleNamespace) -> None:
    outputs = result_outputs(told.study, None, None)
    for language in ("sv", "en"):
        scene = scene_of(told.study, language)
        outputs += data_outputs(compose_page(told.study, scene, linked=True), scene)
    expected = {one.name: one.content for one in outputs if one.name.startswith("results.") or one.name.endswith(".csv")}
    assert files(told.out) == sorted([*expected, "context.csv"])
    assert len(expected) > 10
    for name, content in expected.items():
        assert (told.out / name).read_bytes() == content, name
    assert json.loads((told.out / "results.json").read_text(encoding="utf-8"))["study"] == STUDY
    assert pd.read_csv(told.out / "context.csv")["file"].tolist() == sorted(expected)


def test_what_the_files_are_called_is_known_to_the_bundle_alone(told: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(told.study, "en")
    pages = {"en": (compose_page(told.study, scene, linked=False), scene)}
    renamed = [Output(f"found-{one.name}", one.label, one.content) for one in result_outputs(told.study, None, None)]
    monkeypatch.setattr(bundle, "result_outputs", lambda *_: renamed)
    step = Step(quiet=True)
    _write(told.study, None, pages, tmp_path / "results", None, step)
    assert {"found-results.json", "found-results.schema.json"} <= set(files(tmp_path / "results"))
    assert step._finished[0] == f"Results: {tmp_path / 'results' / 'found-results.json'}"


def test_what_it_wrote_passes_the_cold_reading_and_what_is_put_beside_it_does_not(told: SimpleNamespace, tmp_path: Path) -> None:
    assert run("release-check", str(told.out)).exit_code == 0
    copy = shutil.copytree(told.out, tmp_path / "results")
    (copy / "people.csv").write_text("kind,people\na,3\n", encoding="utf-8")
    assert run("release-check", str(copy)).exit_code == NOT_RELEASED


def test_quiet_says_only_where_the_results_lie(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    result = run("analyse", STUDY, "--language", "sv", "--quiet", "--out", str(out))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Results: {out / 'results.json'}\nTables: {out / 'tables'}\n"


def test_a_strict_plan_whose_design_failed_prints_and_writes_nothing(project: Path, tmp_path: Path) -> None:
    text = (project / "plan.toml").read_text(encoding="utf-8")
    text = text.replace("strict = false", "strict = true").replace("share_treated_kept = 0.9", "share_treated_kept = 1.0")
    (project / "plan.toml").write_text(text, encoding="utf-8")
    result = run("analyse", STUDY, "--out", str(tmp_path / "results"))
    assert (result.exit_code, result.stdout) == (STRICT, "")
    assert "the plan is strict" in result.stderr
    assert not (tmp_path / "results").exists()


def test_a_design_that_failed_says_so_before_any_estimate(project: Path) -> None:
    text = (project / "plan.toml").read_text(encoding="utf-8")
    (project / "plan.toml").write_text(text.replace("share_treated_kept = 0.9", "share_treated_kept = 1.0"), encoding="utf-8")
    printed = run("analyse", STUDY, "--language", "en").stdout
    before, _, after = printed.partition("\nAn estimate the design does not support\n═")
    assert "this comparison cannot answer the question" in " ".join(before.split())
    assert "Share within" not in before
    assert "must not be read" in after.partition("\n  Share within")[0]


def test_an_unknown_study_is_answered_with_those_there_are(project: Path) -> None:
    result = run("analyse", "employment")
    assert result.exit_code == INVALID
    assert f"studies found: {STUDY}" in result.stderr


@pytest.mark.parametrize("command", ["analyse", "verify"])
def test_the_command_explains_itself_with_an_example_and_its_exit_codes(command: str) -> None:
    said = " ".join(run(command, "--help").stdout.replace("│", " ").split())
    assert f"Example: malmokraften {command}" in said
    assert "6 this installation does not find the truth" in said
    for option in ("--out", "--quiet", "--log-json"):
        assert option in said
