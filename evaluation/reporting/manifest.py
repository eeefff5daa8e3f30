"""Of what, with what and when was this run made?

Everything that changes from one run to the next stands here and nowhere else: the release of the same inputs is the same bytes, and the manifest says
which inputs, which code and which plan those were. It names no machine, no folder and no person.

References
----------
NHS RAP Community of Practice, Levels of RAP; Wilson et al. (2017). Good enough practices in scientific computing. PLOS Computational Biology 13(6).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import pandas as pd
from packaging.requirements import Requirement
from pydantic import BaseModel

from evaluation.errors import Problem
from evaluation.plan import Plan, TablePlan
from evaluation.registers.checks import identifier
from evaluation.registers.cleaning import CleanRegisters
from evaluation.registers.contract import load_contract
from evaluation.release.released import Passage
from evaluation.reporting import results
from evaluation.reporting.exchange import Output
from evaluation.study import Design

PACKAGE = "malmokraften-evaluation"
ROOT = Path(__file__).parents[2]  # of a checkout; of an installed package there is neither a repository nor a lock there
PATIENCE_S = 10  # git answers in much less, or hangs on a disk that is not there

Json = dict[str, Any]


def run_manifest(
    design: Design,
    passage: Passage,
    outputs: Sequence[Output],
    *,
    code: Json,
    inputs: Sequence[Json] = (),
    notes: Sequence[str] = (),
    problems: Sequence[Problem] = (),
    wall_seconds: Mapping[str, float] | None = None,
) -> Json:
    """Describe a run.

    Parameters
    ----------
    design : Design
    passage : Passage
        What came through the gate, and what did not.
    outputs : sequence of Output
    code : dict
        As `code_state` gives it.
    inputs : sequence of dict
        As `table_inputs` gives them.
    notes : sequence of str
        Warnings, and what could not be had.
    problems : sequence of Problem
        What a cold reading of the release found.
    wall_seconds : mapping of str to float, optional
        How long each part took.

    Returns
    -------
    dict
        To be written as JSON.
    """
    plan, now = design.plan, dt.datetime.now(dt.UTC)
    marks = [hashlib.sha256(one.content).hexdigest() for one in outputs]
    of_all = hashlib.sha256("".join(marks).encode()).hexdigest()
    return {
        "run_id": f"{now:%Y%m%dT%H%M%SZ}-{of_all[:8]}",
        "time_utc": now.isoformat(timespec="seconds"),
        "study": plan.name,
        "synthetic": design.synthetic,
        "code": code,
        "versions": {"python": platform.python_version(), "system": platform.system(), **package_versions()},
        "lock_sha256": _checksum(ROOT / "requirements.lock"),
        "plan": {"sha256": plan.sha256 or None, "text": plan_text(plan)},
        "schemas": {"data_schema": load_contract().version, "results": results.VERSION},
        "inputs": list(inputs),
        "seeds": dict(_seeds(plan)),
        "outputs": [
            {"file": one.name, "label": one.label, "sha256": mark, "bytes": len(one.content)} for one, mark in zip(outputs, marks, strict=True)
        ],
        "suppression": suppression_counts(passage),
        "warnings": list(notes),
        "release_check": [str(problem) for problem in problems],
        "wall_seconds": {name: round(seconds, 2) for name, seconds in (wall_seconds or {}).items()},
    }


def table_inputs(source: pd.DataFrame | CleanRegisters, plan: Plan) -> list[Json]:
    """Describe each table a run was made of: its name, its checksum and its rows.

    Parameters
    ----------
    source : DataFrame or CleanRegisters
        What the study was made of.
    plan : Plan

    Returns
    -------
    list of dict
        table, sha256, of, rows. Of a study of one table the file's own checksum, where the file is there; of registers, which may come from a
        database, a checksum of their records that does not depend on the order of the rows.
    """
    if isinstance(source, CleanRegisters):
        registers, found = source.registers, []
        for name in registers.names:
            query = f"select count(*), cast(coalesce(bit_xor(hash(entry)), 0) as varchar) from register.{identifier(name)} as entry"
            rows, mixed = registers.connection.execute(query).fetchall()[0]
            mark = hashlib.sha256(f"{name} {rows} {mixed}".encode()).hexdigest()
            found.append({"table": name, "sha256": mark, "of": "records", "rows": int(rows)})
        return found
    file = _checksum(plan.data_file) if isinstance(plan, TablePlan) else None
    mark = file or hashlib.sha256(source.to_csv(index=False).encode()).hexdigest()
    name = plan.data.file.name if isinstance(plan, TablePlan) else "table"
    return [{"table": name, "sha256": mark, "of": "file" if file else "records", "rows": len(source)}]


def plan_text(plan: Plan) -> str:
    """Give the plan as it was written, word by word; where its file has changed since, as it was read."""
    for file in sorted(plan.folder.glob("*.toml")):
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == plan.sha256:
            return content.decode("utf-8")
    return plan.model_dump_json(exclude={"folder"}, indent=1)


def code_state(root: Path) -> Json:
    """Say which commit the code is of, and whether it was changed since; null where the code does not stand in a repository.

    Parameters
    ----------
    root : Path

    Returns
    -------
    dict
        commit, dirty.
    """
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}
    commit, changes = (_git(root, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain")))
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def package_versions() -> dict[str, str]:
    """Give the versions of the toolkit and of what it needs."""
    wanted = [Requirement(text) for text in requires(PACKAGE) or ()]
    needed = sorted(one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""}))
    found = {}
    for name in (PACKAGE, *needed):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an extra reader of files that this site has left out
    return found


def suppression_counts(passage: Passage) -> Json:
    """Give how many counts passed, how many of them are hidden, and for which reasons."""
    shown = passage.released.shown
    reasons = passage.audit["reason"].value_counts().sort_index() if len(passage.audit) else pd.Series(dtype="int64")
    hidden = sum(count is None for count in shown.values())
    return {"cells": len(shown), "hidden": hidden, "reasons": {str(reason): int(count) for reason, count in reasons.items()}}


def _git(root: Path, *words: str) -> str | None:
    try:
        said = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


def _checksum(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _seeds(section: BaseModel, where: str = "") -> Iterator[tuple[str, int]]:
    """Find every seed a plan sets, with its place in the plan."""
    for name in type(section).model_fields:
        value, place = getattr(section, name), f"{where}{name}"
        if isinstance(value, BaseModel):
            yield from _seeds(value, f"{place}.")
        elif name == "seed" and isinstance(value, int):
            yield place, value
