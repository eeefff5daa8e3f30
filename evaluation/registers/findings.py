"""What was found in a delivery: every broken rule, counted, and never a value.

A rule is one entry of data_schema/rules.json: its sentence and its remedy in Swedish and English, and whether it stops the run. The same entry is the
line on the screen, the row of the page that is mailed to the agency, and the problem in the exception.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Literal

import pandas as pd

from evaluation.errors import Problem, SchemaError
from evaluation.registers.identity import masked

Severity = Literal["error", "warning", "note"]
FIRST_ROWS = 5  # row numbers told per rule: enough to find the pattern, few enough to read


@dataclass(frozen=True)
class Rule:
    """One rule a delivery must keep.

    Attributes
    ----------
    key : str
    severity : {"error", "warning", "note"}
        Whether it stops the run, is counted and mended, or is only told.
    rule, remedy : dict of str to str
        What must hold and what to do, by language; `{name}` is filled from the finding's detail.
    """

    key: str
    severity: Severity
    rule: dict[str, str]
    remedy: dict[str, str]


@cache
def load_rules() -> dict[str, Rule]:
    """Read the rules of data_schema/rules.json, by key."""
    entries = json.loads(files("data_schema").joinpath("rules.json").read_text(encoding="utf-8"))
    return {
        key: Rule(key, entry["severity"], {"sv": entry["rule"], "en": entry["rule@en"]}, {"sv": entry["remedy"], "en": entry["remedy@en"]})
        for key, entry in entries.items()
    }


@dataclass(frozen=True)
class Finding:
    """One rule broken in one place.

    Attributes
    ----------
    table : str
        Register table, or the file's name where it belongs to no table.
    column : str
        Empty where the whole table is meant.
    key : str
        Which rule, a key of data_schema/rules.json.
    detail : dict of str to str
        What fills the sentence: limits, names, formats. Never a value of a person.
    rows, of : int or None
        How many rows break it, of how many; None where it is not in rows.
    first_rows : tuple of int
        Row numbers of the first of them, from 1, header not counted.
    """

    table: str
    column: str
    key: str
    detail: dict[str, str] = field(default_factory=dict)
    rows: int | None = None
    of: int | None = None
    first_rows: tuple[int, ...] = ()

    @property
    def severity(self) -> Severity:
        """Whether it stops the run, is counted and mended, or is only told."""
        return load_rules()[self.key].severity

    @property
    def share(self) -> float | None:
        """Share of the table's rows, from 0 to 1."""
        return self.rows / self.of if self.rows is not None and self.of else None

    def rule(self, language: str = "en") -> str:
        """Give what must hold."""
        return load_rules()[self.key].rule[language].format_map(self.detail)

    def remedy(self, language: str = "en") -> str:
        """Give what to do about it."""
        return load_rules()[self.key].remedy[language].format_map(self.detail)

    def to_problem(self) -> Problem:
        """Give it as a problem of an exception."""
        where = f"{self.table}.{self.column}" if self.column else self.table
        return Problem(where, self.rule(), self.remedy(), self.rows, self.of, self.first_rows[0] if self.first_rows else None)


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything found in a delivery.

    Attributes
    ----------
    items : tuple of Finding
        Errors first, then warnings, then notes; within each in the order of the tables.
    """

    items: tuple[Finding, ...]

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Give those of one severity."""
        return tuple(item for item in self.items if item.severity == severity)

    def to_frame(self, language: str = "en") -> pd.DataFrame:
        """Give one row per finding: severity, table, column, rule, rows, share, first_rows, remedy."""
        return pd.DataFrame(
            {
                "severity": [item.severity for item in self.items],
                "table": [item.table for item in self.items],
                "column": [item.column for item in self.items],
                "rule": [item.rule(language) for item in self.items],
                "rows": pd.array([item.rows for item in self.items], dtype="Int64"),
                "share": pd.array([item.share for item in self.items], dtype="Float64"),
                "first_rows": [", ".join(map(str, item.first_rows)) for item in self.items],
                "remedy": [item.remedy(language) for item in self.items],
            }
        )

    def raise_errors(self) -> None:
        """Stop if any finding is an error.

        Raises
        ------
        SchemaError
            With every error at once, no value of a person among them.
        """
        errors = self.of("error")
        if errors:
            raise SchemaError([item.to_problem() for item in errors], "the delivery is not as data_schema/ says")


def collect(items: Iterable[Finding], tables: Iterable[str]) -> Findings:
    """Put findings in reading order: errors first, then warnings, then notes; within each in the order of the tables.

    Every finding of a delivery passes here, so here the names that look like an identity number are masked.
    """
    severities: tuple[Severity, ...] = ("error", "warning", "note")
    place = {name: position for position, name in enumerate(tables)}
    shown = (
        replace(item, table=masked(item.table), column=masked(item.column), detail={key: masked(text) for key, text in item.detail.items()})
        for item in items
    )
    return Findings(tuple(sorted(shown, key=lambda item: (severities.index(item.severity), place.get(item.table, -1)))))
