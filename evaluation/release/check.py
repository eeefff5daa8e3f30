"""Would anything in this folder tell of few people, or of one?

A release is read again as a stranger would read it, without the study it came from: every table, text, drawing and property of every file. What is
told is what a stranger could see: a count below the threshold or one that is not rounded, a hidden count that its table's totals give away, a curve
with finer steps than months, personal identity numbers and columns of ids, who made a file and on which machine, and files nobody has described.

It sees each table by itself. What several tables or releases give away together is the gate's to prevent (`suppression`), for the check does not know
which people they are of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from evaluation.errors import Problem
from evaluation.registers.identity import looks_like_identity_number, masked, names_a_person
from evaluation.release.contents import READ, Contents, Grid, read_contents
from evaluation.release.drawings import finer_than_months
from evaluation.release.intervals import Knowledge, Terms, interval_of
from evaluation.release.ledger import LEDGER
from evaluation.release.rules import ReleaseRules, bounds_of, gives_away

CONTEXT = "context.csv"  # file, description: what each file is, in words
_COUNTS = re.compile(
    r"\b(antal|number|personer|people|persons|counts?|n|released|följs|followed|at.risk|remain\w*|kvar|utelämna\w*|left out|events?)\b",
    re.IGNORECASE,
)
_AMOUNTS = re.compile(r"\b(dag\w*|days?|månad\w*|months?|barn|child\w*|år|years?|kr|kronor|sek)\b", re.IGNORECASE)  # of other things than people
_HIDDEN = re.compile(r"\s*(<\s*\d+|·+|\.+|–|-|)\s*")
_WHOLE = re.compile(r"\s*(total\w*|alla|all|samtliga|summa|everybody|everyone|together|tillsammans)\s*", re.IGNORECASE)
_ID = re.compile(r"\s*(l[oö]pnr|person(nr|nummer|id|_id)?|pnr|id|samordningsnummer|handl[aä]ggare\w*|caseworker\w*)\s*", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.0+)?|\d{1,3}(,\d{3})+")  # English has commas between thousands
_SAID = re.compile(r"\bn\s*=\s*(\d+)\b", re.IGNORECASE)
_FOLDER = re.compile(r"(?:/home/|/Users/|\b[A-Za-z]:\\)\S+")
_SPACES = re.compile("[\\s\u00a0\u2009\u202f]")
_OWN = ("", "malmokraften-evaluation", "openpyxl")  # makers that are programs
_PEOPLE = ("author", "creator", "lastmodifiedby", "company", "manager", "publisher", "rights", "artist")


def check_release(folder: str | Path, rules: ReleaseRules | None = None) -> list[Problem]:
    """Read a release folder cold and tell everything that should not leave.

    Parameters
    ----------
    folder : str or Path
        With `context.csv`: a row per file with its description.
    rules : ReleaseRules, optional
        The site's.

    Returns
    -------
    list of Problem
        By file; empty if nothing was found. No value and no id is in them.
    """
    root, rules = Path(folder), rules or ReleaseRules()
    files = sorted(path for path in root.rglob("*") if path.is_file())
    problems = list(_undescribed(root, files))
    for path in files:
        where = path.relative_to(root).as_posix()
        if names_a_person(where):
            problems.append(Problem(masked(where), "has an identity number in its name", "rename it"))
        if path.suffix not in READ:
            problems.append(Problem(masked(where), "is of a kind that cannot be checked", f"release {', '.join(READ)} only"))
            continue
        try:
            contents = read_contents(path)
        except (OSError, ValueError, SyntaxError, KeyError, BadZipFile):
            problems.append(Problem(masked(where), "cannot be read as what its name says", "write it again"))
            continue
        problems += _in_file(masked(where), contents, rules)
        if path.suffix in (".svg", ".png") and not path.with_suffix(".csv").exists():
            problems.append(Problem(masked(where), "is a figure without its data", f"put {masked(path.stem)}.csv beside it"))
    return problems


def _undescribed(root: Path, files: list[Path]) -> Iterator[Problem]:
    """Tell of files that context.csv does not describe, and of descriptions without a file."""
    there = {path.relative_to(root).as_posix() for path in files} - {CONTEXT, LEDGER}
    described: dict[str, str] = {}
    if (root / CONTEXT).exists():
        grid = read_contents(root / CONTEXT).grids[0]
        if not {"file", "description"} <= set(grid.head):
            yield Problem(CONTEXT, "must have the columns file and description", "write it anew")
            return
        rows = [dict(zip(grid.head, row, strict=False)) for row in grid.rows]
        described = {row["file"]: row.get("description", "") for row in rows}
    else:
        yield Problem(CONTEXT, "is missing", "describe every file: what it shows, of whom")
    for name in sorted(there):
        if not described.get(name, "").strip():
            yield Problem(masked(name), "is not described", f"describe it in {CONTEXT}, or take it out")
    for name in sorted(set(described) - there):
        yield Problem(masked(name), f"is described in {CONTEXT} and is not there", "take the row out, or put the file back")


def _in_file(where: str, contents: Contents, rules: ReleaseRules) -> Iterator[Problem]:
    for grid in contents.grids:
        yield from _in_grid(f"{where}, {masked(grid.where)}" if grid.where not in where else where, grid, rules)
    texts = [*contents.texts, *(cell for grid in contents.grids for cell in (*grid.head, *(cell for row in grid.rows for cell in row)))]
    texts += [text for pair in contents.makers.items() for text in pair]
    numbers = sum(looks_like_identity_number(text) for text in texts)
    if numbers:
        yield Problem(where, f"holds what looks like identity numbers ({numbers} places)", "find out how they came there, and write it again")
    if any(_FOLDER.search(text) for text in texts):
        yield Problem(where, "names a folder of somebody's machine", "take it out")
    made_by = [key for key, said in contents.makers.items() if key.lower() in _PEOPLE and said.strip() not in _OWN]
    if made_by:
        yield Problem(where, f"says who made it ({', '.join(sorted(map(masked, made_by)))})", "empty the file's properties")
    if contents.hidden:
        yield Problem(where, f"holds what is not seen at once ({', '.join(sorted(set(contents.hidden)))})", "take it out")
    said = [int(count) for text in texts for count in _SAID.findall(text)] + [count for name, count in contents.numbers if _counts(name)]
    yield from _badly_shown(where, said, rules)
    if any(finer_than_months(drawing) for drawing in contents.drawings):
        yield Problem(where, "draws a curve with finer steps than months", "draw it from its released curve")


def _counts(name: str) -> bool:
    words = name.replace("_", " ")
    return bool(_COUNTS.search(words)) and not _AMOUNTS.search(words)


def _in_grid(where: str, grid: Grid, rules: ReleaseRules) -> Iterator[Problem]:
    ids = [name for name in grid.head if _ID.fullmatch(name)]
    if ids:
        yield Problem(where, f"has {len(ids)} {'column' if len(ids) == 1 else 'columns'} of ids", "release tables of groups only")
    cells = _cells(grid)
    yield from _badly_shown(where, [count for row in cells for count in row if count is not None], rules)
    given = _worked_out(grid, cells, rules)
    if given:
        yield Problem(where, f"lets {given} hidden {'count' if given == 1 else 'counts'} be worked out from the totals", "hide more beside them")


def _cells(grid: Grid) -> list[list[int | None]]:
    """Give the counts of a table, by row and column after the first: what its heads or row names call counts, or all of it if it is nothing else."""
    columns = range(1, len(grid.head))
    texts = [[row[place] if place < len(row) else "" for place in columns] for row in grid.rows]
    totals = any(_WHOLE.fullmatch(name) for name in [*grid.head[1:], *(row[0] for row in grid.rows if row)])
    every = totals and all(_whole_number(text) is not None or _HIDDEN.fullmatch(text) for row in texts for text in row)
    rows = [bool(row) and _counts(row[0]) for row in grid.rows]
    heads = [_counts(name) for name in grid.head[1:]]
    return [
        [_whole_number(text) if every or of_row or of_head else None for text, of_head in zip(row, heads, strict=True)]
        for row, of_row in zip(texts, rows, strict=True)
    ]


def _badly_shown(where: str, counts: list[int], rules: ReleaseRules) -> Iterator[Problem]:
    few = sum(0 < count < rules.threshold for count in counts)
    unrounded = sum(count % rules.base != 0 for count in counts if count >= rules.threshold)
    if few:
        yield Problem(where, f"shows {few} {'count' if few == 1 else 'counts'} under the threshold", "take the counts through the gate")
    if unrounded:
        yield Problem(
            where, f"shows {unrounded} {'count that is' if unrounded == 1 else 'counts that are'} not rounded", "take the counts through the gate"
        )


def _whole_number(text: str) -> int | None:
    bare = _SPACES.sub("", text)
    return int(float(bare.replace(",", ""))) if _NUMBER.fullmatch(bare) else None


def _worked_out(grid: Grid, cells: list[list[int | None]], rules: ReleaseRules) -> int:
    """Count the hidden cells that a table's own totals give away."""
    columns = range(len(grid.head) - 1)
    total_row = next((number for number, row in enumerate(grid.rows) if row and _WHOLE.fullmatch(row[0])), None)
    total_column = next((number for number in columns if _WHOLE.fullmatch(grid.head[number + 1])), None)
    ceiling = 2.0 * max([count for row in cells for count in row if count is not None], default=0) + rules.threshold
    bounds: dict[str, tuple[float, float]] = {}
    for row, counts in enumerate(cells):
        for column, count in enumerate(counts):
            bounds[f"{row} {column}"] = (0.0, ceiling) if count is None else _bounds(count, rules)
    equations: list[Terms] = []
    if total_row is not None:
        parts = [row for row in range(len(cells)) if row != total_row]
        equations += [[(1.0, f"{total_row} {column}"), *((-1.0, f"{row} {column}") for row in parts)] for column in columns]
    if total_column is not None:
        others = [column for column in columns if column != total_column]
        equations += [[(1.0, f"{row} {total_column}"), *((-1.0, f"{row} {column}") for column in others)] for row in range(len(cells))]
    hidden = [f"{row} {column}" for row, counts in enumerate(cells) for column, count in enumerate(counts) if count is None]
    if not equations or not hidden:
        return 0
    knowledge = Knowledge.of(bounds, equations)
    found = [interval_of(knowledge, name) for name in hidden]  # None: the table is no sum, and its totals tell nothing
    return int(np.sum([ends is not None and (gives_away(*ends, rules) or ends[1] - ends[0] < rules.values - 1) for ends in found]))


def _bounds(count: int, rules: ReleaseRules) -> tuple[float, float]:
    """Give what a shown count can have been; one that is not rounded is what it says."""
    return bounds_of(count, rules) if count >= rules.threshold and count % rules.base == 0 else (float(count), float(count))
