"""What the replicates of the validation page answer beside their estimates: what happened, what failed, and which rows miss the goal.

What an estimate answers, and what many say together, is the package's own (`evaluation/verification/answers.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from evaluation.verification.answers import COVERED, MOST_BIAS, Answer, binomial_error, chance_error

FEWEST_FOR_SPREAD = 10  # runs: of fewer the spread is itself mostly chance
BEYOND = 3.0  # Monte Carlo errors beyond a goal that are no longer chance: one row in 740, and there are about a hundred


class Failure(NamedTuple):
    """A replicate that ended in an error."""

    world: str
    seed: int
    error: str


class Rate(NamedTuple):
    """Whether something happened."""

    world: str
    method: str
    what: str
    happened: bool


def gathered(found: Iterable[Answer | Rate]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part answers from rates, each as a table."""
    found = list(found)  # of both kinds, in the order of the jobs
    answers = pd.DataFrame([one for one in found if isinstance(one, Answer)], columns=Answer._fields)
    return answers, pd.DataFrame([one for one in found if isinstance(one, Rate)], columns=Rate._fields)


def rates(happened: pd.DataFrame) -> pd.DataFrame:
    """Give how often each thing happened: world, method, what, runs, share, mc_error."""
    rows = []
    for (world, method, what), part in happened.groupby(["world", "method", "what"], sort=False):
        share = float(part["happened"].mean())
        rows.append({"world": world, "method": method, "what": what, "runs": len(part), "share": share, "mc_error": binomial_error(share, len(part))})
    return pd.DataFrame(rows, columns=["world", "method", "what", "runs", "share", "mc_error"])


def beyond_goal(row: pd.Series, beyond: float = BEYOND) -> str:
    """Say how a row misses the goal by more than chance explains; empty where it does not."""
    kind = str(row["what"]).partition(",")[0]
    faults = []
    error = row["mc_error"] * (1.0 if row["runs"] >= FEWEST_FOR_SPREAD else row["se_ratio"])  # else from the standard errors reported
    if abs(row["bias"]) > MOST_BIAS[kind] + beyond * error:
        faults.append("bias")
    low, high = COVERED
    if row["coverage"] < low - beyond * chance_error(low, row["runs"]):
        faults.append("covers too seldom")
    if row["coverage"] > high + beyond * chance_error(high, row["runs"]):
        faults.append("covers too often")
    return " and ".join(faults)
