"""Which probes are finished already? Each is kept as a file of its own, so that a run that was stopped goes on from there.

What is kept are estimates, no person's record; but they are unrounded and count small groups, so the files belong where the data are.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from evaluation.sensitivity.rows import Finding, Row
from evaluation.whole import write_whole


def read_finished(folder: Path, name: str, fingerprint: str) -> Finding | None:
    """Give what a probe found of the same data, plan and code; None where it has not been asked, or of something else."""
    try:
        kept = json.loads(_file(folder, name).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if kept.get("fingerprint") != fingerprint:
        return None
    tables = {key: pd.DataFrame(table["data"], columns=table["columns"]) for key, table in kept["tables"].items()}
    return Finding(tuple(Row(**row) for row in kept["rows"]), tables)


def keep_finished(folder: Path, name: str, fingerprint: str, finding: Finding) -> None:
    """Keep what a probe found: whole, or not at all."""
    tables = {key: {"columns": list(table.columns), "data": table.to_numpy().tolist()} for key, table in finding.tables.items()}
    text = json.dumps({"fingerprint": fingerprint, "probe": name, "rows": [asdict(row) for row in finding.rows], "tables": tables}, indent=1)
    write_whole(_file(folder, name), text.encode())


def _file(folder: Path, name: str) -> Path:
    return folder / f"{re.sub('[^a-z0-9.]+', '-', name.lower())}.json"
