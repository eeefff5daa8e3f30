"""Every notebook runs from top to bottom as it stands, carries no output in git and defines nothing."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LONGEST_SECONDS = 120  # a notebook is promised to run in one minute; twice that on a loaded machine


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def test_it_runs_from_top_to_bottom(notebook: nbformat.NotebookNode) -> None:
    NotebookClient(notebook, timeout=LONGEST_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS[0].parent)}}).execute()


def test_it_carries_no_output(notebook: nbformat.NotebookNode) -> None:
    assert not [cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]


def test_it_defines_nothing(notebook: nbformat.NotebookNode) -> None:
    trees = [ast.parse(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    assert not [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
