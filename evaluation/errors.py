"""What can go wrong, as a tree.

::

    EvaluationError                 catch this to catch everything the toolkit raises on purpose
    ├── InputError                  the data given break rules; every broken rule is in `.problems`
    │   └── SchemaError             a table breaks its Table Schema in data_schema/
    ├── PlanError                   plan.toml cannot be read as a plan
    ├── DesignError                 no comparison can be made of these people in this way
    │   ├── SeparationError         something decides participation alone, so propensities are 0 or 1
    │   └── NobodyMatchedError      the caliper or the strata leave nobody to compare
    ├── EstimationError             the follow-up cannot answer what was asked
    │   └── HorizonError            a horizon lies beyond what was observed
    ├── VerdictError                strict plan, failed design check: the outcomes stay closed
    └── PdfError                    the PDF cannot be made on this machine; the HTML can

    UnmatchedWarning                some treated found no control: the estimand is the effect on those who did
    PdfWarning                      the report was written without its PDF; the message says what to install

No message holds a person's id or value: counts, columns, rules and row numbers only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SIMILAR = 0.7  # likeness of two names, from 0 to 1, above which one may be a misspelling of the other
_WORTH_ASKING = 0.4  # of one of few names even a distant likeness is


@dataclass(frozen=True)
class Problem:
    """One broken rule.

    Attributes
    ----------
    where : str
        Table, column or plan key.
    rule : str
        What must hold, as the rest of the sentence "where: ...".
    remedy : str
        What to do about it.
    count, of : int or None
        How many rows break the rule, of how many; None where the problem is not in rows.
    first_row : int or None
        Row number of the first of them, from 1, in the order of the data.
    """

    where: str
    rule: str
    remedy: str
    count: int | None = None
    of: int | None = None
    first_row: int | None = None

    @classmethod
    def in_rows(cls, where: str, rule: str, broken: NDArray[np.bool_], remedy: str) -> Problem:
        """Describe a rule broken by the rows where `broken` is true."""
        return cls(where, rule, remedy, int(broken.sum()), len(broken), int(np.argmax(broken)) + 1)

    @classmethod
    def broken(cls, rules: Iterable[tuple[str, str, NDArray[np.bool_], str]]) -> list[Problem]:
        """Describe those of the rules (where, rule, rows that break it, remedy) that any row breaks."""
        return [cls.in_rows(*rule) for rule in rules if rule[2].any()]

    @classmethod
    def absent(cls, name: str, columns: Iterable[object], table: str = "the table") -> Problem:
        """Describe a column that is not there; the others are not listed, for a file without a header row has people where they should be."""
        there = [str(column) for column in columns]
        near = difflib.get_close_matches(name, there, n=1, cutoff=_SIMILAR)
        remedy = f"did you mean {near[0]}?" if near else f"{table} has {len(there)} columns; check the spelling, and that there is a header row"
        return cls(name, f"is not a column of {table}", remedy)

    @classmethod
    def unknown(cls, where: str, rule: str, name: str, known: Iterable[str]) -> Problem:
        """Describe a name that is none of the few there are, which may be listed."""
        there = list(known)
        near = difflib.get_close_matches(name, there, n=1, cutoff=_WORTH_ASKING)
        return cls(where, rule, f"did you mean {near[0]}?" if near else f"choose among {', '.join(there)}")

    def __str__(self) -> str:
        rows = (
            "" if self.count is None else f"; {self.count} of {self.of} rows {'does' if self.count == 1 else 'do'} not, first at row {self.first_row}"
        )
        return f"{self.where}: {self.rule}{rows}; {self.remedy}"


class EvaluationError(Exception):
    """Everything the toolkit raises on purpose."""


class InputError(EvaluationError):
    """The data given break rules; all of them are listed.

    Attributes
    ----------
    problems : tuple of Problem
    """

    def __init__(self, problems: Sequence[Problem], heading: str = "the data cannot be used as they are") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {position}. {problem}" for position, problem in enumerate(self.problems, start=1))
        super().__init__(f"{heading} ({count} problem{'s' * (count != 1)}):\n{lines}")


class SchemaError(InputError):
    """A table breaks its Table Schema in data_schema/."""


class PlanError(EvaluationError):
    """A plan file cannot be read as a plan."""


class DesignError(EvaluationError):
    """No comparison can be made of these people in this way."""


class SeparationError(DesignError, InputError):
    """Something decides participation alone, so some propensities would be exactly 0 or 1."""


class NobodyMatchedError(DesignError):
    """The caliper or the exact strata leave nobody to compare."""


class EstimationError(EvaluationError):
    """The follow-up cannot answer what was asked."""


class HorizonError(EstimationError):
    """A horizon lies beyond what was observed."""


class VerdictError(EvaluationError):
    """The plan is strict and the design failed a check, so the outcomes stay closed."""


class PdfError(EvaluationError):
    """The PDF cannot be made on this machine; the HTML can."""


class UnmatchedWarning(UserWarning):
    """Some treated found no control: the estimand is the effect on those who did."""


class PdfWarning(UserWarning):
    """The report was written without its PDF; the message says what to install."""
