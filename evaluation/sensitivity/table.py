"""What would change the conclusion? One table: the study's answer first, then every other answer by how far it lies from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from evaluation.sensitivity.rows import Row
from evaluation.showing import html_of, text_of

BASELINE = "baseline"


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The fixed list of probes, answered.

    Attributes
    ----------
    baseline : Row
        The study's own answer.
    rows : tuple of Row
        Answers, the one farthest from the baseline first; nulls, the one farthest from 0 first; bounds; then those that could not be run.
    tables : dict of (str, str) to DataFrame
        By probe and name: what lies behind some lines, such as ("lost_contact", "tipping").
    horizon_days : float
    """

    baseline: Row
    rows: tuple[Row, ...]
    tables: Mapping[tuple[str, str], pd.DataFrame]
    horizon_days: float

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def of(self, *probes: str) -> tuple[Row, ...]:
        """Give the lines of some probes."""
        return tuple(row for row in self.rows if row.probe in probes)

    def of_kind(self, kind: str) -> tuple[Row, ...]:
        """Give the lines of one kind that have a number."""
        return tuple(row for row in self.rows if row.kind == kind and row.ran)

    @property
    def not_run(self) -> tuple[Row, ...]:
        """The lines without a number."""
        return tuple(row for row in self.rows if not row.ran)

    def moved(self, row: Row) -> float:
        """Give how far an answer lies from the baseline, with its sign; nan for other lines."""
        return row.value - self.baseline.value if row.kind == "answer" else float("nan")

    def to_frame(self) -> pd.DataFrame:
        """Give one row per line, the baseline first.

        The columns: probe, setting, kind, value, low, high, p_value, moved, unit, n_treated, n_control, same_people, why, reason.
        """
        frame = pd.DataFrame([asdict(row) | {"moved": self.moved(row)} for row in (self.baseline, *self.rows)])
        columns = ["probe", "setting", "kind", "value", "low", "high", "p_value", "moved", "unit", "n_treated", "n_control"]
        return frame[[*columns, "same_people", "why", "reason"]].astype({"n_treated": "Int64", "n_control": "Int64"})


def arranged(baseline: Row, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Put lines in the order they are read in; those equally far in the order given."""
    kinds = ("answer", "null", "bound")

    def place(row: Row) -> tuple[bool, int, float]:
        centre = baseline.value if row.kind == "answer" else 0.0
        far = abs(row.value - centre) if row.ran and row.kind != "bound" else 0.0
        return not row.ran, kinds.index(row.kind), -far

    return tuple(sorted(rows, key=place))
