"""Does this installation find the truth?

A result that is the same on two machines may be wrong on both. So worlds whose true effect is known go the whole road here, from registers to
effects, and what comes out is held against what really happened to those who are compared. A row of the table is astray where its bias, or how often
its intervals hold the truth, lies so far beyond the goal that chance brings it there as seldom as a normal deviate beyond four standard errors.

References
----------
Morris, White & Crowther (2019), Statistics in Medicine 38, 2074-2102 (bias, coverage and their Monte Carlo errors).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats
from threadpoolctl import threadpool_limits

from evaluation.errors import InputError, Problem, UnmatchedWarning
from evaluation.verification import worlds
from evaluation.verification.answers import COVERED, MOST_BIAS, RESTRICTED, Answer, summarise

Progress = Callable[[int, int, str], None]
BEYOND = 4.0  # Monte Carlo errors: fifteen rows, three ways of being astray, and a failure stops an installation, so it must mean something
FEWEST = 2  # worlds: of one there is no spread
RARE = float(stats.norm.sf(BEYOND))
FOUND, BIASED, TOO_SELDOM, TOO_WIDE = "found", "biased", "covers too seldom", "intervals too wide"
COLUMNS = (
    "estimand",
    "of_whom",
    "horizon_days",
    "worlds",
    "true_effect",
    "mean_estimate",
    "bias",
    "bias_error",
    "coverage",
    "coverage_error",
    "verdict",
)


@dataclass(frozen=True, eq=False)
class RoadVerification:
    """What the road found in worlds whose truth is known.

    Attributes
    ----------
    answers : DataFrame
        One row per world and estimate: seed, world, method, what, estimate, std_error, truth.
    table : DataFrame
        One row per estimate, over the worlds: estimand, of_whom, horizon_days, worlds, true_effect, mean_estimate, bias (shares from -1 to 1; of E3
        days), bias_error (its Monte Carlo error), coverage (share of the 95 % intervals that hold the truth), coverage_error, and verdict: "found",
        or how it is astray.
    failures : dict of int to str
        By seed, the error a world ended in.
    """

    answers: pd.DataFrame
    table: pd.DataFrame
    failures: dict[int, str]

    @property
    def passed(self) -> bool:
        """Whether every world went the whole road and no row is astray."""
        return not self.failures and bool((self.table["verdict"] == FOUND).all())

    def to_frame(self) -> pd.DataFrame:
        """Give one row per estimate, as `table`."""
        return self.table.copy()


def verify_road(
    n_worlds: int = 12, *, participants: int = 600, pool: int = 6_000, seed: int = 1, progress: Progress | None = None
) -> RoadVerification:
    r"""Send worlds whose true effect is known through the whole road, and hold what it finds against the truth.

    Parameters
    ----------
    n_worlds : int
        How many, 2 or more; each takes some seconds of the default size.
    participants, pool : int
        People of each world who start, and others who are in JUG some day.
    seed : int
        Of the first world; the others follow it. The same seed gives the same answers, however many processes they are sought in.
    progress : function of (int, int, str), optional
        Told after each world how many are finished, of how many, and which it was.

    Returns
    -------
    RoadVerification

    Raises
    ------
    InputError
        If fewer than two worlds are asked for, which say nothing of chance.

    Notes
    -----
    In every world a start raises the chances of work, and those far from work start more often. An estimate is held against both lives of the very
    participants it compares. Of :math:`n` answers with errors :math:`e_i` and standard errors :math:`s_i` a row is biased where

    .. math:: |\bar e| > b + 4 \max(\mathrm{sd}(e), \bar s) / \sqrt{n},

    with :math:`b` half a percentage point, or as many days of two years; it covers too seldom where so few intervals would hold the truth by chance
    less often than once in 30,000 times if 93.5 % did; and its intervals are too wide where the spread of the errors would be so small by chance as
    seldom if the standard errors were right. The bounds are those of docs/validation.md.

    Runs in this process unless joblib is told otherwise: ``with joblib.parallel_config(n_jobs=2): verify_road()``.
    """
    if n_worlds < FEWEST:
        raise InputError([Problem("n_worlds", f"must be {FEWEST} or more, to say what is chance", "ask for 12, which take about a minute")])
    seeds = range(seed, seed + n_worlds)
    answers, failures = dict[int, list[Answer]](), dict[int, str]()
    asked = Parallel(return_as="generator_unordered")(delayed(_answered)(one, participants, pool) for one in seeds)
    for finished, (one, found, failure) in enumerate(asked, start=1):
        answers[one] = found
        if failure:
            failures[one] = failure
        if progress:
            progress(finished, n_worlds, f"seed {one}")
    rows = [(one, *answer) for one in seeds for answer in answers[one]]
    table = pd.DataFrame(rows, columns=["seed", *Answer._fields])
    return RoadVerification(table, judged(table), dict(sorted(failures.items())))


def _answered(seed: int, participants: int, pool: int) -> tuple[int, list[Answer], str]:
    """Go through one world on one thread, so that the numbers are the same to the last bit; an error is told, and stops no other world."""
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", UnmatchedWarning)
        try:
            return seed, list(worlds.replicate(worlds.TRUE, worlds.packaged_plan(), seed, participants, pool)), ""
        except Exception as error:  # whatever an installation lacks, it does not find the truth
            return seed, [], f"{type(error).__name__}: {error}".splitlines()[0]


def judged(answers: pd.DataFrame) -> pd.DataFrame:
    """Give one row per estimate with its verdict.

    Parameters
    ----------
    answers : DataFrame
        One row per world and estimate, with the fields of `Answer` as columns.

    Returns
    -------
    DataFrame
        As `RoadVerification.table`.
    """
    rows = []
    for row in ({str(name): value for name, value in record.items()} for record in summarise(answers).to_dict("records")):
        estimand, _, rest = row["what"].partition(", ")
        at = rest.removesuffix(" days")
        horizon = float(at) if at != rest else float(RESTRICTED if estimand == "E3" else worlds.PRIMARY)
        whom = "everybody" if at != rest or not rest else rest
        effect, bias, error = row["truth"], row["bias"], _bias_error(row)
        rows.append(
            (estimand, whom, horizon, row["runs"], effect, effect + bias, bias, error, row["coverage"], row["coverage_mc"], _verdict(row, estimand))
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _bias_error(row: dict[str, Any]) -> float:
    """Give the Monte Carlo error of a bias: by the spread, which of few worlds may be small by chance, or by the standard errors, if that is more."""
    return float(np.fmax(row["mc_error"], row["mc_error"] * row["se_ratio"]))


def _verdict(row: dict[str, Any], estimand: str) -> str:
    """Say whether an estimate finds the truth, or every way in which it is astray."""
    runs, covered = int(row["runs"]), round(row["coverage"] * row["runs"])
    astray = []
    if not abs(row["bias"]) <= MOST_BIAS[estimand] + BEYOND * _bias_error(row):  # no number is astray too
        astray.append(BIASED)
    if stats.binom.cdf(covered, runs, COVERED[0]) < RARE:
        astray.append(TOO_SELDOM)
    if runs >= FEWEST and stats.chi2.cdf((runs - 1) / row["se_ratio"] ** 2, runs - 1) < RARE:
        astray.append(TOO_WIDE)
    return ", ".join(astray) or FOUND
