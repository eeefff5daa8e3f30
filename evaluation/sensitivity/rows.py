"""What does a line of the sensitivity table hold?

Four kinds of lines. An answer is the study's own estimate made in another way: percentage points at the horizon of the answer, to be held against the
baseline. A null is an effect that cannot be there, to be held against 0. A bound says how strong something unseen would have to be. A line without a
number says why there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from evaluation.errors import DesignError, EstimationError, EvaluationError, HorizonError, InputError

if TYPE_CHECKING:
    from evaluation.analysis.effects import Effects
    from evaluation.analysis.estimates import Estimate

Kind = Literal["answer", "null", "bound"]
Unit = Literal["share", "ratio", "odds", "share_of_lost"]
Why = Literal["registers", "table", "people", "method", "no_effect", "failed"]


class CannotRun(EvaluationError):
    """A probe that does not apply here, and why."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why: Why = why


@dataclass(frozen=True)
class Row:
    """One line of the sensitivity table.

    Attributes
    ----------
    probe, setting : str
        What was changed, and to what; "" where there is nothing to choose.
    kind : {"answer", "null", "bound"}
    value, low, high : float
        The estimate and its interval, in `unit`; nan where there is none.
    p_value : float
    n_treated, n_control : int or None
        People compared.
    unit : {"share", "ratio", "odds", "share_of_lost"}
        Differences in shares (0.05: five percentage points); E-values are risk ratios, Rosenbaum's gamma is a factor in odds.
    same_people : bool
        Whether it is an answer about all of the baseline's participants; parts of them may differ for reasons of their own.
    why, reason : str
        Why there is no number: a key for the report, and the sentence; "" where there is one.
    """

    probe: str
    setting: str
    kind: Kind = "answer"
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_value: float = math.nan
    n_treated: int | None = None
    n_control: int | None = None
    unit: Unit = "share"
    same_people: bool = True
    why: Why | Literal[""] = ""
    reason: str = ""

    @property
    def ran(self) -> bool:
        """Whether there is a number."""
        return not self.why


@dataclass(frozen=True)
class Finding:
    """What one probe found.

    Attributes
    ----------
    rows : tuple of Row
    tables : dict of str to DataFrame
        What lies behind the lines, for figures: such as the tipping line.
    """

    rows: tuple[Row, ...]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def answer(probe: str, setting: str, effects: Effects, horizon_days: float, *, same_people: bool = True) -> Row:
    """Give the line of another answer at the horizon."""
    if horizon_days not in effects.risk_difference:
        raise HorizonError(f"follow-up: {'; '.join(effects.notes) or 'the horizon is not reached'}")
    n_treated, n_control = (effects.arms[arm].n for arm in ("treated", "control"))
    return estimated(probe, setting, effects.risk_difference[horizon_days], n_treated, n_control, same_people=same_people)


def estimated(
    probe: str, setting: str, found: Estimate, n_treated: int | None, n_control: int | None, *, kind: Kind = "answer", same_people: bool = True
) -> Row:
    """Give the line of an estimate."""
    return Row(probe, setting, kind, found.value, found.low, found.high, found.p_value, n_treated, n_control, same_people=same_people)


def attempt(probe: str, setting: str, run: Callable[[], Row], *, kind: Kind = "answer") -> Row:
    """Run a probe, or give the line that says why it cannot be run."""
    try:
        return run()
    except EvaluationError as error:
        return absent(probe, setting, error, kind=kind)


def absent(probe: str, setting: str, error: EvaluationError, *, kind: Kind = "answer") -> Row:
    """Give the line that says why a probe cannot be run."""
    return Row(probe, setting, kind, why=_why(error), reason=str(error))


def _why(error: EvaluationError) -> Why:
    """Say why by the kind of error; only what is none of these was not foreseen."""
    if isinstance(error, CannotRun):
        return error.why
    if isinstance(error, InputError):  # before the next: separation is a fault of the data and of the design
        return "table"
    if isinstance(error, (DesignError, HorizonError)):  # the study's own comparison was made, so a design that cannot be made ran out of people
        return "people"
    return "method" if isinstance(error, EstimationError) else "failed"
