"""The architecture page, executed: which way imports point, who may draw and write, and that the design floor cannot see the outcomes."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "evaluation"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
ARCHITECTURE = PROJECT / "docs" / "architecture.md"
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))

ROAD = (
    "errors",
    "claims",
    "whole",
    "showing",
    "registers",
    "design",
    "analysis",
    "plan_sections",
    "plan",
    "plan_tables",
    "study",
    "verification",
    "release",
    "sensitivity",
    "reporting",
    "cli",
    "__main__",
)  # imports point backwards along it
FRONT_DOOR = {Path("cli/__init__.py"), Path("example.py")}  # who may use the package's public names, as a user does
DRAWS = "reporting/figures"
WRITES = {
    *(Path("whole.py"), Path("cli/init.py"), Path("cli/registers.py"), Path("cli/studies.py")),
    *(Path("reporting/report.py"), Path("reporting/exchange.py")),
    *(Path("registers/synthetic/writing.py"), Path("registers/snapshot.py"), Path("sensitivity/run.py")),
}
HEAVY = {"formulaic", "lifelines", "openpyxl", "pyreadstat", "sklearn", "sqlalchemy", "weasyprint"}  # loaded only where a study asks for them
MODE_TO_WRITE = re.compile(r"[rbt]*[wax+][rwaxbt+]*")
WRITING = {
    *("write_text", "write_bytes", "mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryDirectory", "mkdir", "touch", "unlink", "rename"),
    *("to_csv", "to_excel", "to_parquet", "to_pickle", "to_feather", "to_sql"),
}


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Give the full name of every module that is imported below `node`."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            yield from (alias.name for alias in inner.names)
        elif isinstance(inner, ast.ImportFrom):
            assert inner.level == 0, "relative imports hide which room is meant"
            assert inner.module
            yield from (f"{inner.module}.{alias.name}" for alias in inner.names)


def room(name: str) -> str | None:
    """Give the room of a full name of ours, None for another package; "" for the package itself."""
    package, _, rest = name.partition(".")
    return None if package != "evaluation" else rest.split(".")[0] if rest.split(".")[0] in ROAD else ""


def own_room(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


every_module = pytest.mark.parametrize("module", MODULES, ids=str)


@every_module
def test_imports_point_backwards_along_the_road(module: Path) -> None:
    rooms = {found for found in map(room, imported(tree(module))) if found is not None}
    if module in FRONT_DOOR:
        rooms -= {""}
    if own_room(module) in ROAD:
        assert rooms <= set(ROAD[: ROAD.index(own_room(module)) + 1])
    else:
        assert rooms == set()


def test_every_module_stands_on_the_road_or_is_a_door() -> None:
    assert {own_room(module) for module in MODULES} - set(ROAD) == {"__init__", "example"}


@every_module
def test_only_the_figures_draw(module: Path) -> None:
    draws = any(name.split(".")[0] in ("matplotlib", "mpl_toolkits") for name in imported(tree(module)))
    assert not draws or module.as_posix().startswith(DRAWS)


@every_module
def test_only_the_report_the_synthetic_writer_and_the_command_line_write(module: Path) -> None:
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    assert module in WRITES or not [ast.unparse(call) for call in calls if writes(call)]


def writes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("open", "fdopen"):
        given = [value.value for value in [*call.args, *(keyword.value for keyword in call.keywords)] if isinstance(value, ast.Constant)]
        return any(MODE_TO_WRITE.fullmatch(str(value)) for value in given)
    names_columns = name == "rename" and any(keyword.arg in ("columns", "index") for keyword in call.keywords)  # a data frame's, not a file's
    gives_text = name == "to_csv" and not call.args  # without a place to write to
    return name in WRITING and not names_columns and not gives_text


TO_WRITE = ["path.write_text(x)", "open(p, 'w')", "p.open(mode='ab')", "os.fdopen(h, 'w')", "tempfile.mkstemp()", "table.to_csv(p)"]
TO_READ = [
    "open(p)",
    "open('data.csv')",
    "p.open(encoding='utf-8')",
    "p.read_text()",
    "design.to_frame()",
    "text.replace('w', 'a')",
    "table.rename(columns={'a': 'b'})",
    "table.to_csv(index=False)",
]


@pytest.mark.parametrize("line", TO_WRITE)
def test_the_search_for_writing_finds_it(line: str) -> None:
    assert writes(ast.parse(line, mode="eval").body)


@pytest.mark.parametrize("line", TO_READ)
def test_the_search_for_writing_lets_reading_pass(line: str) -> None:
    assert not writes(ast.parse(line, mode="eval").body)


@every_module
def test_only_the_command_line_imports_inside_functions(module: Path) -> None:
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {name.split(".")[0] for function in functions for name in imported(function)}
    assert module.parts[0] == "cli" or inside <= HEAVY


@every_module
def test_nothing_is_imported_by_star(module: Path) -> None:
    assert not [name for name in imported(tree(module)) if name.endswith(".*")]


@pytest.mark.parametrize("floor", sorted({module.parts[0] for module in MODULES if len(module.parts) > 1}))
def test_every_room_of_a_floor_stands_once_on_the_architecture_page(floor: str) -> None:
    tree = ARCHITECTURE.read_text(encoding="utf-8").partition("## The rooms")[2].partition("## The way of the data")[0]
    told = re.search(rf"^  {floor}/ .*\n((?:    .*\n)+)", tree, flags=re.MULTILINE)
    assert told
    rooms = [module.name for module in MODULES if module.parts[:-1] == (floor,) and module.stem != "__init__"]
    assert sorted(re.findall(r"\b\w+\.py\b", told[1])) == sorted(rooms)


def test_no_room_is_a_lumber_room() -> None:
    assert {part.removesuffix(".py") for module in MODULES for part in module.parts} & {"utils", "helpers", "common", "base", "misc"} == set()


def test_notebooks_define_nothing() -> None:
    cells = [cell for notebook in NOTEBOOKS for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    code = ["".join(line for line in "".join(cell["source"]).splitlines(keepends=True) if not line.startswith(("%", "!"))) for cell in cells]
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    assert not [node.name for text in code for node in ast.walk(ast.parse(text)) if isinstance(node, defined)]


def test_the_design_floor_loads_without_the_analysis_floor() -> None:
    """What `ast` cannot see, such as a name loaded when first used, shows when the rooms are really loaded."""
    rooms = [f"evaluation.design.{module.stem}" for module in MODULES if module.parts[0] == "design" and module.stem != "__init__"]
    program = f"import sys, {', '.join(rooms)}; print(*sorted(name for name in sys.modules if name.startswith('evaluation.')))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(rooms) <= set(loaded)
    assert {room(name) for name in loaded} == {"errors", "showing", "registers", "design"}
