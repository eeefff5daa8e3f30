"""How long ten million register rows take from Parquet to clean spells, states and a look-back, and how much memory they need.

Run by hand: `.venv/bin/python tests/benchmarks/registers.py`. The goals are 60 s and 4 GB on two cores, also where the database may hold no more than
2,000 MB. Each run is a process of its own, so that its peak is its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from evaluation.registers.cleaning import clean_registers
from evaluation.registers.contract import load_contract
from evaluation.registers.history import look_back
from evaluation.registers.states import observe_states
from evaluation.registers.store import TYPES, Registers, open_store

PEOPLE = 200_000
REGISTRATIONS, CATEGORIES = 4, 14  # of each person; with the decisions and cases about 4 million spells
MONTHS = 30  # of pay or of social assistance, of each person
FIRST_DAY, COMPLETE_MONTH = np.datetime64("2008-01-01"), "2021-12-01"
INDEX_DATES = np.datetime64("2016-01-01"), np.datetime64("2021-01-01")
KILOBYTES_PER_GB = 2**20


def write_registers(folder: Path, people: int, seed: int = 20_261_122) -> int:
    """Write invented registers as Parquet and give how many rows they have."""
    rng = np.random.default_rng(seed)
    names = np.array([f"p{number:07d}" for number in range(people)])
    tables = {
        "leverans": pd.DataFrame({"myndighet": ["AF"], "datauttag": [pd.Timestamp("2022-03-01")], "komplett_t_o_m": [pd.Timestamp(COMPLETE_MONTH)]}),
        "individ": pd.DataFrame({"lopnr": names, "fodelsear": rng.integers(1950, 2000, people), "invandringsar": rng.integers(1980, 2016, people)}),
        **spells(names, rng),
        **cases(names, rng),
        **records(names, rng),
    }
    for name, frame in tables.items():
        duckdb.from_df(frame.sample(frac=1, random_state=seed % 2**32)).write_parquet(str(folder / f"{name}.parquet"))
    return sum(map(len, tables.values()))


def spells(names: np.ndarray, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Draw registrations one after another, with gaps that are often short, and the categories that divide them, one in a hundred entered badly."""
    people = len(names)
    steps = rng.exponential(np.tile([150, 400], REGISTRATIONS), (people, 2 * REGISTRATIONS)).astype(int) + 1
    turns = FIRST_DAY + rng.integers(0, 2_000, (people, 1)) + steps.cumsum(axis=1)
    begun, ended = turns[:, ::2], turns[:, 1::2]
    registered = pd.DataFrame({"lopnr": names.repeat(REGISTRATIONS), "inskr_id": np.tile(np.arange(REGISTRATIONS).astype(str), people)})
    registered["inskriven_datum"], registered["avaktualiserad_datum"] = begun.ravel(), ended.ravel()
    registered["avaktualiseringsorsak"] = rng.choice(list("123456789"), len(registered), p=[0.15, 0.2, 0.05, 0.01, 0.12, 0.3, 0.01, 0.1, 0.06])
    late = rng.random(len(registered)) < 0.02
    registered.loc[late, "avaktualiserad_datum"] += pd.Timedelta(days=20)

    of = np.sort(rng.integers(0, REGISTRATIONS, (people, CATEGORIES - REGISTRATIONS)), axis=1)
    of = np.sort(np.concatenate([np.broadcast_to(np.arange(REGISTRATIONS), (people, REGISTRATIONS)), of], axis=1), axis=1)
    first = np.diff(of, axis=1, prepend=-1) > 0
    length = np.take_along_axis((ended - begun).astype(int), of, axis=1)
    offset = np.where(first, 0, rng.integers(0, 10_000, of.shape) * length // 10_000)
    start = np.take_along_axis(begun, of, axis=1) + offset
    table = pd.DataFrame({"lopnr": names.repeat(CATEGORIES), "of": of.ravel(), "start": start.ravel()}).sort_values(["lopnr", "start"], kind="stable")
    table["period_nr"], table["inskr_id"] = np.tile(np.arange(1, CATEGORIES + 1), people), table["of"].astype(str)
    table["slut"] = np.minimum(table.groupby("lopnr")["start"].shift(-1).fillna(pd.Timestamp.max), np.take_along_axis(ended, of, axis=1).ravel())
    table["skat"] = rng.choice(
        ["11", "14", "21", "31", "33", "51", "70", "81", "98"], len(table), p=[0.35, 0.08, 0.07, 0.05, 0.05, 0.05, 0.25, 0.08, 0.02]
    )
    badly = rng.random(len(table)) < 0.01
    table.loc[badly, "slut"] += pd.to_timedelta(rng.integers(-60, 60, badly.sum()), "D")
    again = table.loc[rng.random(len(table)) < 0.005]
    return {"inskrivning": registered, "sokandekategori": pd.concat([table, again]).drop(columns="of")}


def cases(names: np.ndarray, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Draw decisions, studies and cases of sickness, for some of the people."""

    def some(share: float, start: str, stop: str) -> pd.DataFrame:
        chosen = rng.choice(names, int(share * len(names)))
        begun = FIRST_DAY + rng.integers(0, 5_000, len(chosen))
        return pd.DataFrame({"lopnr": chosen, start: begun, stop: begun + rng.integers(20, 500, len(chosen))}).drop_duplicates(["lopnr", start])

    programmes = some(1.0, "start", "slut").assign(programkod="JUG")
    programmes["beslut_id"] = np.arange(len(programmes)).astype(str)
    programmes["slutorsak"] = rng.choice(["arbete", "foraldraledig", "sjuk", "annat"], len(programmes))
    subsidies, studies, sick = some(0.5, "start", "slut"), some(0.4, "start", "slut"), some(0.4, "fran", "till")
    subsidies["stodtyp"] = rng.choice(["nystart", "extratjanst", "lonebidrag_u"], len(subsidies))
    studies["skolform"] = rng.choice(["sfi", "komvux_gru", "komvux_gym"], len(studies))
    sick["formanskod"], sick["omfattning"] = "sjukpenning", rng.choice([50, 100], len(sick))
    return {"program_beslut": programmes, "stod_beslut": subsidies, "studier": studies, "ersattning_fk": sick}


def records(names: np.ndarray, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Draw pay and social assistance by month, and a year of income."""
    rows = MONTHS * len(names) // 2
    month = np.datetime64("2015-01") + np.tile(np.arange(MONTHS // 2), len(names))
    monthly = pd.DataFrame({"lopnr": names.repeat(MONTHS // 2), "manad": month.astype("datetime64[s]")})
    yearly = pd.DataFrame(
        {"lopnr": names, "ar": rng.integers(2012, 2020, len(names)), "loneink_hkr": rng.integers(0, 4_000, len(names)), "sun_niva": "3"}
    )
    return {
        "manadslon": monthly.assign(arbetsgivare_lopnr="a", kontant_ersattning=rng.integers(0, 40_000, rows)),
        "ek_bistand": monthly.assign(hushall_lopnr="h", belopp_kr=rng.integers(0, 15_000, rows)),
        "arsinkomst": yearly,
    }


def load(folder: Path, memory_mb: int | None) -> Registers:
    """Take the Parquet files into a database as a reader of deliveries would."""
    contract, connection = load_contract(), open_store(memory_mb=memory_mb, threads=2, temp_folder=folder)
    connection.execute("create schema register; create schema codes")
    for name, codes in contract.codes.items():
        connection.register("entries", codes.entries)
        dates = ", ".join(f"cast({column} as date) as {column}" for column in ("giltig_fran", "giltig_till"))
        connection.execute(f"create table codes.{name} as select * replace ({dates}) from entries")
    names = tuple(name for name in contract.tables if (folder / f"{name}.parquet").exists())
    for name in names:
        file = folder / f"{name}.parquet"
        there = {column for column, *_ in connection.execute(f"describe from '{file}'").fetchall()}
        columns = [
            f"cast({field.name if field.name in there else 'null'} as {TYPES[field.kind]}) as {field.name}" for field in contract.tables[name].fields
        ]
        connection.execute(f"create table register.{name} as select {', '.join(columns)} from '{file}'")
    return Registers(connection, contract, names)


def run(folder: Path, memory_mb: int | None) -> dict[str, float]:
    """Take the registers from Parquet to a look-back for everybody; seconds of each part, and the peak in GB."""
    begun = time.perf_counter()
    registers = load(folder, memory_mb)
    taken = {"Parquet in": time.perf_counter()}
    clean = clean_registers(registers)
    taken["clean"] = time.perf_counter()
    observe_states(clean)
    taken["states"] = time.perf_counter()
    people = registers.connection.execute("select lopnr from register.individ order by lopnr").df()
    people["index_date"] = np.random.default_rng(1).choice(np.arange(*INDEX_DATES), len(people))
    look_back(clean, people)
    taken["look-back"] = time.perf_counter()
    seconds = dict(zip(taken, np.diff([begun, *taken.values()]).tolist(), strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KILOBYTES_PER_GB
    return {**seconds, "whole": sum(seconds.values()), "peak, GB": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--memory-mb", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run, options.memory_mb)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = write_registers(Path(folder), options.people)
        print(f"{rows:,} rows; Python {platform.python_version()}, DuckDB {version('duckdb')}, two threads, {platform.machine()}")
        for limit in ([], ["--memory-mb", "2000"]):
            command = [sys.executable, __file__, "--run", folder, *limit]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            figures = ", ".join(f"{what} {value:.1f}" for what, value in found.items())
            print(f"{'2,000 MB for the database' if limit else 'no limit'}: {figures}")


if __name__ == "__main__":
    main()
