"""Where do the synthetic registers lie, and how does everybody see that they are synthetic?

The folder looks like a delivery: one file per table. The mark lies on top of it, and the truth in a folder beside the tables, where no reading of a
delivery finds it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import duckdb
import pandas as pd

from evaluation.errors import InputError, Problem
from evaluation.registers.synthetic.simulate import SyntheticRegisters

MARK = "SYNTETISKA_DATA.md"
TRUTH = "facit"
Format = Literal["csv", "parquet"]
_COPY = {"csv": "(format csv, header true, dateformat '%Y-%m-%d')", "parquet": "(format parquet, compression zstd)"}


def write_registers(synthetic: SyntheticRegisters, folder: str | Path, *, file_format: Format = "csv") -> Path:
    """Write the tables as a delivery, the mark on top and the truth beside; the same registers give the same bytes.

    Parameters
    ----------
    synthetic : SyntheticRegisters
    folder : str or Path
        Made if it is not there. One that holds synthetic registers is replaced; one that holds anything else is left alone.
    file_format : {"csv", "parquet"}

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If the folder holds something that is not synthetic registers.
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()) and not (target / MARK).is_file():
        raise InputError([Problem(str(target), "holds something other than synthetic registers", "choose an empty folder, or another name")])
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as workshop:
        beside = Path(workshop) / "new"
        (beside / TRUTH).mkdir(parents=True)
        _write_tables(synthetic, beside, file_format)
        (beside / MARK).write_text(_mark(synthetic), encoding="utf-8")
        if target.exists():
            target.rename(Path(workshop) / "old")
        beside.rename(target)
    return target


def _write_tables(synthetic: SyntheticRegisters, folder: Path, file_format: Format) -> None:
    facts = {
        "effekter": synthetic.truth,
        "utfall": synthetic.potential,
        "tillstand": synthetic.states,
        "marginaler": synthetic.margins,
        "fel": pd.DataFrame({"rule": list(synthetic.planted), "planted": list(synthetic.planted.values())}, dtype=object),
    }
    # one thread: the order of the rows, and so the bytes, must not depend on the machine
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for name, table in synthetic.tables.items():
            _copy(connection, table, folder / f"{name}.{file_format}", file_format)
        for name, table in facts.items():
            _copy(connection, table, folder / TRUTH / f"{name}.csv", "csv")


def _copy(connection: duckdb.DuckDBPyConnection, table: pd.DataFrame, file: Path, file_format: Format) -> None:
    dates = [name for name, kind in table.dtypes.items() if pd.api.types.is_datetime64_any_dtype(kind)]
    connection.register("frame", table)
    columns = ", ".join(f'cast("{name}" as date) as "{name}"' if name in dates else f'"{name}"' for name in table.columns)
    place = str(file).replace("'", "''")
    connection.execute(f"copy (select {columns} from frame) to '{place}' {_COPY[file_format]}")
    connection.unregister("frame")


def _mark(synthetic: SyntheticRegisters) -> str:
    spec = synthetic.spec
    shares = synthetic.margins.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.3f}")
    return f"""SYNTETISKA DATA / SYNTHETIC DATA

Ingen person i dessa register finns. De är påhittade av Malmökraftens utvärderingsverktyg.
Nobody in these registers exists. They are made up by the Malmökraften evaluation toolkit.

seed {spec.seed}, {spec.n_participants} participants, pool {spec.pool}, sorting {spec.sorting}, hidden bias {spec.hidden_bias:g}, dirt {spec.dirt:g}
effect {spec.effect.model_dump_json()}

The true effects are in {TRUTH}/effekter.csv, and what would have happened to each participant in each world in {TRUTH}/utfall.csv.

Shares here and in what has been published (low and high are equal where one figure was):

{shares}
"""
