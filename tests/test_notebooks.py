"""Every notebook runs from top to bottom, on a site's own registers when its one path is changed, carries no output in git and defines nothing."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from evaluation.registers.synthetic.simulate import simulate_registers
from evaluation.registers.synthetic.writing import write_registers

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LONGEST_SECONDS = 120  # a notebook is promised to run in one minute; twice that on a loaded machine
SOURCE = re.compile(r"^site = None(?=  #)")  # the one cell that is changed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site's delivery, with the faults of real registers, and the file that says where it is."""
    folder = tmp_path_factory.mktemp("site")
    write_registers(simulate_registers(200, 1_000, seed=3, dirt=0.02), folder / "delivery")
    file = folder / "site.toml"
    file.write_text('data = "delivery"\n', encoding="utf-8")
    return file


def notebook(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook(path).cells if cell.cell_type == "code"]


def sources(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in code(path) if SOURCE.search(cell.source)]


OF_REGISTERS = [path for path in NOTEBOOKS if sources(path)]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def ran(site: Path) -> dict[str, list[nbformat.NotebookNode]]:
    """Run every notebook one after the other, and give what their cells put out.

    One kernel for all of them, emptied in between: to start one and load the libraries takes longer than most notebooks.
    """
    done = {}
    place = {"metadata": {"path": str(NOTEBOOKS[0].parent)}}
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=LONGEST_SECONDS, kernel_name="python3", resources=place)
    with client.setup_kernel():
        for name, path in [("as it stands", OF_REGISTERS[0]), *((path.stem, path) for path in NOTEBOOKS)]:
            content = notebook(path)
            content.cells.append(nbformat.v4.new_code_cell("%reset -f"))
            if name != "as it stands":
                for cell in content.cells:
                    cell.source = SOURCE.sub(f"site = {str(site)!r}", cell.source)
            client.nb = content
            for number, cell in enumerate(content.cells):
                client.execute_cell(cell, number)
            done[name] = [output for cell in content.cells if cell.cell_type == "code" for output in cell.outputs]
    return done


def test_the_registers_are_shown_as_the_notebook_stands(ran) -> None:
    assert any("image/svg+xml" in output.get("data", {}) for output in ran["as it stands"])


@every_notebook
def test_it_runs_from_top_to_bottom_on_the_sites_own_registers_where_one_path_is_changed(path: Path, ran) -> None:
    """The quickstart has a public study of its own, and no path."""
    assert any({"image/svg+xml", "image/png"} & set(output.get("data", {})) for output in ran[path.stem])
    assert not [output for output in ran[path.stem] if output.output_type == "error"]


@pytest.mark.parametrize("path", OF_REGISTERS, ids=lambda path: path.stem)
def test_nothing_it_puts_out_says_where_the_registers_are(path: Path, ran, site: Path) -> None:
    assert not [output for output in ran[path.stem] if str(site.parent) in str(output)]


def test_the_notebooks_of_the_study_are_numbered_from_the_registers_to_the_sensitivity() -> None:
    assert [path.stem for path in OF_REGISTERS] == ["01_registers", "02_design", "03_effects", "04_subgroups", "05_sensitivity"]


@pytest.mark.parametrize("path", OF_REGISTERS, ids=lambda path: path.stem)
def test_one_cell_says_where_the_registers_are(path: Path) -> None:
    assert len(sources(path)) == 1


@every_notebook
def test_it_links_the_page_of_methods(path: Path) -> None:
    links = [link for cell in notebook(path).cells if cell.cell_type == "markdown" for link in re.findall(r"\]\(([^)]+)\)", cell.source)]
    assert "../docs/methods.md" in links
    assert all((path.parent / link).exists() for link in links)


@every_notebook
def test_it_carries_no_output(path: Path) -> None:
    assert not [cell for cell in code(path) if cell.outputs or cell.execution_count]


@every_notebook
def test_it_defines_nothing(path: Path) -> None:
    trees = [ast.parse(cell.source) for cell in code(path)]
    assert not [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
