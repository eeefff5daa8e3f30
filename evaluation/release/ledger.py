"""What has been released before, of whom?

The ledger is a table of released numbers only, so it may lie beside the release and holds nothing that is not public. The gate reads it: two releases
that differ by a person or a few show the same rounded counts, or the newer one hides what has changed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from evaluation.errors import InputError, Problem
from evaluation.release.released import ReleasedCounts
from evaluation.release.suppression import Earlier

LEDGER = "release_ledger.csv"
_COLUMNS = ("release", "population", "cell", "released")


@dataclass(frozen=True, eq=False)
class Ledger:
    """Every number that was released, and every cell that was hidden.

    Attributes
    ----------
    table : DataFrame
        release, population, cell, released; the last is missing where the cell was hidden. In the order of the releases.
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
        return Ledger(pd.concat([self.table, new], ignore_index=True))

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
            io.StringIO(text), dtype={"release": str, "population": str, "cell": str, "released": "Int64"}, keep_default_na=False, na_values=[""]
        )
    except (ValueError, TypeError):
        raise InputError([Problem(LEDGER, "must be a table of released numbers", "take the last release's ledger as it was written")]) from None
    problems = [Problem.absent(f"{LEDGER}.{name}", table.columns) for name in _COLUMNS if name not in table.columns]
    if problems:
        raise InputError(problems)
    return Ledger(table[list(_COLUMNS)])
