"""How long the register road takes, and how much memory: simulating, ten million rows from Parquet to states and a look-back, and a whole report.

Run by `make benchmark`. Each measurement is a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from evaluation import Site, clean_registers, look_back, observe_states, read_registers, simulate_registers, write_registers
from evaluation.cli import app

DEFAULT, LARGE = (4_000, 40_000), (13_000, 142_000)  # participants and pool; the larger has ten million rows
LIMIT_MB = 2_000
KILOBYTES_PER_GB = 2**20
SWEDEN = (20_000, 400_000)  # every participant in JUG in the country
PARTS = 10
PLAN = Path(__file__).parents[2] / "reports" / "malmokraften" / "plan.toml"
DAYS_IN_JUG = 200  # the look-back is asked of everybody so long after their first day in JUG

Figures = dict[str, float]


def simulate(folder: Path, participants: int, pool: int, file_format: str) -> Figures:
    """Simulate registers and write them."""
    begun = time.perf_counter()
    write_registers(simulate_registers(participants, pool, seed=1), folder, file_format=file_format)
    return {"seconds": time.perf_counter() - begun}


def travel(folder: Path, memory_mb: int | None) -> Figures:
    """Take a delivery to the states of everybody and a look-back of everybody who was in JUG."""
    figures: Figures = {}

    def timed(what: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = work()
        figures[what] = time.perf_counter() - begun
        return result

    registers = timed("read and validate", lambda: read_registers(folder, site=Site(memory_mb=memory_mb, threads=2)))
    clean = timed("clean", lambda: clean_registers(registers))
    timed("states", lambda: observe_states(clean))
    first = registers.frame("program_beslut").groupby("lopnr", as_index=False)["start"].min()
    people = first.assign(index_date=first["start"] + pd.Timedelta(days=DAYS_IN_JUG))[["lopnr", "index_date"]]
    asked = people[people["index_date"] <= pd.Timestamp(registers.complete_until)]
    timed("look-back", lambda: look_back(clean, asked))
    return {**figures, "whole": sum(figures.values()), "rows": float(sum(registers.rows.values())), "people": float(len(asked))}


def simulate_in_parts(folder: Path, participants: int, pool: int) -> Figures:
    """Simulate a country as so many Malmös, each with people of its own: at once it would take more memory than any study of it."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as workshop, duckdb.connect() as connection:
        for part in range(PARTS):
            made = simulate_registers(participants // PARTS, pool // PARTS, seed=part + 1)
            write_registers(made, Path(workshop) / f"part{part}", file_format="parquet")
        folder.mkdir(parents=True)
        for file in sorted((Path(workshop) / "part0").glob("*.parquet")):
            columns = {row[0] for row in connection.execute(f"describe from '{file}'").fetchall()}
            own = sorted(columns & {"lopnr", "hushall_lopnr", "arbetsgivare_lopnr", "inskr_id", "beslut_id"})
            renamed = ", ".join(f"regexp_extract(filename, 'part([0-9]+)', 1) || '-' || {name} as {name}" for name in own)
            source = f"read_parquet('{workshop}/part*/{file.name}', filename = true)" if own else f"'{file}'"
            chosen = f"* exclude (filename) replace ({renamed})" if own else "*"
            connection.execute(f"copy (select {chosen} from {source}) to '{folder / file.name}' (format parquet)")
    return {"seconds": time.perf_counter() - begun}


def report(folder: Path, participants: int, pool: int) -> Figures:
    """Build the Malmökraften report in both languages, of the registers in the folder `data` or else of simulated ones."""
    folder.mkdir(exist_ok=True)
    plan = PLAN.read_text(encoding="utf-8")
    for key, number in (("participants", participants), ("pool", pool)):
        plan = re.sub(rf"^{key} = \d+", f"{key} = {number}", plan, flags=re.MULTILINE)
    (folder / "plan.toml").write_text(plan, encoding="utf-8")
    begun = time.perf_counter()
    app(["report", "--plan", str(folder / "plan.toml"), "--quiet"], standalone_mode=False)
    return {"seconds": time.perf_counter() - begun}


def alone(*arguments: str) -> Figures:
    """Run one measurement in a process of its own."""
    shown = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True).stdout
    return json.loads(shown.splitlines()[-1])


def measure() -> str:
    """Measure everything and give it as a table."""
    rows = []
    with tempfile.TemporaryDirectory() as workshop:
        small, large = Path(workshop) / "small", Path(workshop) / "large"
        made = alone("simulate", str(small), *map(str, DEFAULT), "csv")
        rows.append((f"simulate and write {DEFAULT[0]:,} participants and {DEFAULT[1]:,} others, CSV", made, "seconds", "20 s, 2 GB"))
        alone("simulate", str(large), *map(str, LARGE), "parquet")
        for limit in (None, LIMIT_MB):
            found = alone("travel", str(large), str(limit or 0))
            label = f"{found['rows'] / 1e6:.1f} million rows, Parquet to states and a look-back of {found['people']:,.0f} people"
            rows.append((label + (f", database held to {limit:,} MB" if limit else ""), found, "whole", "60 s, 4 GB"))
            rows += [(f"- {part}", {part: found[part]}, part, "") for part in ("read and validate", "clean", "states", "look-back")]
        small, large = Path(workshop) / "malmo", Path(workshop) / "sweden"
        first = alone("report", str(small), *map(str, DEFAULT))
        label = "`make report`, {:,} participants and {:,} others"
        rows.append((f"{label.format(*DEFAULT)}: simulate, check, design, analyse, two languages", first, "seconds", "30 s, 2 GB"))
        alone("parts", str(large / "data"), *map(str, SWEDEN))
        rows.append(
            (f"{label.format(*SWEDEN)}, from registers that are there", alone("report", str(large), *map(str, SWEDEN)), "seconds", "5 min, 6 GB")
        )
    lines = [
        f"| {label} | {figures[key]:.1f} s | {figures['peak'] if 'peak' in figures else float('nan'):.1f} GB | {goal} |"
        for label, figures, key, goal in rows
    ]
    head = f"## Registers\n\nOne run each, on two threads; DuckDB {version('duckdb')}.\n\n| what | time | peak memory | goal |\n|---|---|---|---|\n"
    return head + "\n".join(lines).replace("nan GB", "") + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--append", type=Path, help="write the table at the end of this file too")
    parser.add_argument("measurement", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measurement:
        what, folder, *rest = options.measurement
        if what == "simulate":
            figures = simulate(Path(folder), int(rest[0]), int(rest[1]), rest[2])
        elif what == "parts":
            figures = simulate_in_parts(Path(folder), int(rest[0]), int(rest[1]))
        elif what == "report":
            figures = report(Path(folder), int(rest[0]), int(rest[1]))
        else:
            figures = travel(Path(folder), int(rest[0]) or None)
        print(json.dumps({**figures, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KILOBYTES_PER_GB}))
        return
    text = measure()
    print(text)
    if options.append:
        options.append.write_text(options.append.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")


if __name__ == "__main__":
    main()
