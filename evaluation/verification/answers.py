"""What does one run through a known world answer, and what do many say together?

Bias, coverage, standard errors and rejections, each with its Monte Carlo error: how far chance moves it when the worlds are as few as they are.

References
----------
Morris, White & Crowther (2019), Statistics in Medicine 38, 2074-2102 (bias, coverage and their Monte Carlo errors).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

Z = 1.959964
POINT = 0.01  # one percentage point
RESTRICTED = 730  # days: half a point of bias, the goal, is so many days of a restricted mean
MOST_BIAS = {"E1": 0.5 * POINT, "E2": 0.5 * POINT, "E3": 0.5 * POINT * RESTRICTED, "log HR": 0.02}  # the goal; of a hazard ratio, 2 per cent
COVERED = (0.935, 0.965)  # the goal


class Answer(NamedTuple):
    """One estimate and what it should have been."""

    world: str
    method: str
    what: str
    estimate: float
    std_error: float
    truth: float


def summarise(answers: pd.DataFrame) -> pd.DataFrame:
    """Give one row per world, method and estimate.

    Parameters
    ----------
    answers : DataFrame
        One row per `Answer`, its fields as columns.

    Returns
    -------
    DataFrame
        world, method, what, runs, truth, bias, mc_error (of the bias), coverage, coverage_mc, se_ratio (mean standard error / standard deviation of
        the error), rejected (share with p < 0.05) and rejected_mc; coverage_mean and se_ratio_mean are held against the truth's mean over the runs.
    """
    rows = []
    for (world, method, what), part in answers.groupby(["world", "method", "what"], sort=False):
        error, n = (part["estimate"] - part["truth"]).to_numpy(), len(part)
        from_mean = (part["estimate"] - part["truth"].mean()).to_numpy()
        covered, rejected = (
            float(share.mean())
            for share in (np.abs(error) <= Z * part["std_error"].to_numpy(), (part["estimate"].abs() > Z * part["std_error"]).to_numpy())
        )
        spread = float(error.std(ddof=1)) if n > 1 else math.nan
        rows.append(
            {
                "world": world,
                "method": method,
                "what": what,
                "runs": n,
                "truth": part["truth"].mean(),
                "bias": error.mean(),
                "mc_error": spread / math.sqrt(n),
                "coverage": covered,
                "coverage_mc": binomial_error(covered, n),
                "se_ratio": part["std_error"].mean() / spread,
                "coverage_mean": float((np.abs(from_mean) <= Z * part["std_error"].to_numpy()).mean()),
                "se_ratio_mean": part["std_error"].mean() / (float(from_mean.std(ddof=1)) if n > 1 else math.nan),
                "rejected": rejected,
                "rejected_mc": binomial_error(rejected, n),
            }
        )
    return pd.DataFrame(rows)


def binomial_error(share: float, n: int) -> float:
    """Give the Monte Carlo error of a share of n runs, never smaller than with one run of the other kind."""
    inside = min(max(share, 1 / n), 1 - 1 / n) if n > 1 else 0.5
    return math.sqrt(inside * (1 - inside) / n)


def chance_error(share: float, n: int) -> float:
    """Give the Monte Carlo error that a share has if it is the right one."""
    return math.sqrt(share * (1 - share) / n)
