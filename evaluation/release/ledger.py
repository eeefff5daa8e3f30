"""What has been released before, of whom?

The ledger is a table of released numbers only, so it may lie beside the release and holds nothing that is not public. The gate reads it: two releases
that differ by a person or a few show the same rounded counts, or the newer one hides what has changed; and of what is no count, the same numbers
(`evaluation.release.telling`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.errors import InputError, Problem
from evaluation.release.released import ReleasedCounts
from evaluation.release.suppression import Earlier
from evaluation.release.telling import Ends, Told

LEDGER = "release_ledger.csv"
_COLUMNS = ("release", "population", "cell", "released")
_NUMBER = ("value", "low", "high")  # of what is no count; ledgers of before it was held have no such columns


@dataclass(frozen=True, eq=False)
class Ledger:
    """Every number that was released, and every cell that was hidden.

    Attributes
    ----------
    table : DataFrame
        release, population, cell, released, value, low, high; released is missing where the cell was hidden. Of what is no count, released is missing
        and value, low and high are what was told. In the order of the releases.
    """

    table: pd.DataFrame

    def earlier(self, population: str) -> list[Earlier]:
        """Give what each release showed of a population, the oldest first, as `release_counts` takes it."""
        rows = self.table[self.table["population"] == population]
        return [
            {str(cell): None if pd.isna(count) else int(count) for cell, count in zip(of["cell"], of["released"], strict=True)}
            for _, of in rows.groupby("release", sort=False)
        ]

    def with_release(self, release: str, population: str, counts: ReleasedCounts) -> Ledger:
        """Enter a release.

        Parameters
        ----------
        release : str
            Its name; each release has its own.
        population : str
            Who is counted: the same words for the same people and for those to whom more have come.
        counts : ReleasedCounts

        Returns
        -------
        Ledger

        Raises
        ------
        InputError
            If this release of this population is there already.
        """
        if ((self.table["release"] == release) & (self.table["population"] == population)).any():
            raise InputError([Problem(f"{LEDGER}.release", "has this release already", "give each release its own name")])
        new = pd.DataFrame({"release": release, "population": population, "cell": list(counts.shown)})
        new["released"] = pd.array(list(counts.shown.values()), dtype="Int64")
        return self._with(new)

    def entered(self, population: str, counts: ReleasedCounts) -> Ledger:
        """Enter a release under the next number, unless the last one of this population showed the same: then nothing new is told.

        Parameters
        ----------
        population : str
        counts : ReleasedCounts

        Returns
        -------
        Ledger
        """
        before = self.earlier(population)
        if before and before[-1] == dict(counts.shown):
            return self
        return self.with_release(str(len(before) + 1), population, counts)

    def numbers(self, population: str) -> list[Told]:
        """Give what each release told of a population beside counts, the oldest first, as `Telling` takes it."""
        rows = self.table[self.table["population"] == population]
        return [
            dict(zip(of["cell"].astype(str), (Ends(*map(_known, ends)) for ends in of[list(_NUMBER)].to_numpy(dtype=float)), strict=True))
            for _, of in rows.groupby("release", sort=False)
        ]

    def telling(self, population: str, told: Told) -> Ledger:
        """Enter what was told beside counts under the next number, unless each of it was told the same when it was last told.

        Parameters
        ----------
        population : str
        told : mapping of str to Ends

        Returns
        -------
        Ledger
        """
        before = self.numbers(population)
        last = {name: ends for release in before for name, ends in release.items()}
        if all(last.get(name) == ends for name, ends in told.items()):
            return self
        new = pd.DataFrame({"release": str(len(before) + 1), "population": population, "cell": list(told)})
        for place, column in enumerate(_NUMBER):
            new[column] = np.array([ends[place] for ends in told.values()], dtype=np.float64)
        return self._with(new)

    def _with(self, new: pd.DataFrame) -> Ledger:
        whole = new.reindex(columns=[*_COLUMNS, *_NUMBER]).astype({"released": "Int64"} | dict.fromkeys(_NUMBER, np.float64))
        return Ledger(pd.concat([self.table, whole], ignore_index=True) if len(self.table) else whole)

    def to_csv(self) -> str:
        """Give the ledger as CSV, to be written by who releases."""
        return self.table.to_csv(index=False, lineterminator="\n")


def read_ledger(source: str | Path | None = None) -> Ledger:
    """Read a ledger.

    Parameters
    ----------
    source : str or Path, optional
        The CSV; left out or absent, nothing has been released.

    Returns
    -------
    Ledger

    Raises
    ------
    InputError
        If it is not a ledger.
    """
    if source is None or not Path(source).exists():
        return _ledger_of(",".join(_COLUMNS))
    return _ledger_of(Path(source).read_text(encoding="utf-8"))


def _ledger_of(text: str) -> Ledger:
    try:
        table = pd.read_csv(
            io.StringIO(text),
            dtype={"release": str, "population": str, "cell": str, "released": "Int64", "value": float, "low": float, "high": float},
            keep_default_na=False,
            na_values=[""],
            float_precision="round_trip",  # a number held is the same to the last bit
        )
    except (ValueError, TypeError):
        raise InputError([Problem(LEDGER, "must be a table of released numbers", "take the last release's ledger as it was written")]) from None
    problems = [Problem.absent(f"{LEDGER}.{name}", table.columns) for name in _COLUMNS if name not in table.columns]
    if problems:
        raise InputError(problems)
    return Ledger(table.reindex(columns=[*_COLUMNS, *_NUMBER]).astype(dict.fromkeys(_NUMBER, np.float64)))


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
