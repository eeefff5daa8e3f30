"""How far may the answer be trusted? A grade by rules written beforehand, with its reasons, and not by whoever writes the report.

The grade starts at high and falls one step for each concern. Some concerns allow no more than a certain grade, however well the rest looks: a design
that failed its own requirements, an effect found where none can be, and placebos that were never looked at.

References
----------
Guyatt et al. (2008). GRADE: an emerging consensus on rating quality of evidence and strength of recommendations. BMJ 336, 924-926 (a grade that
falls by named concerns; the rules are ours).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from evaluation.analysis.subgroups import holm
from evaluation.design.verdict import Verdict
from evaluation.sensitivity.rows import Row
from evaluation.sensitivity.table import Sensitivity
from evaluation.showing import html_of, text_of

Grade = Literal["high", "moderate", "low", "very_low"]
GRADES: tuple[Grade, ...] = ("high", "moderate", "low", "very_low")
ConcernName = Literal["verdict", "placebo", "placebo_missing", "sign", "interval", "uncertain", "hidden_bias", "hidden_bias_missing", "failed"]

FALSE_ALARM = 0.05  # of all placebos together, by Holm
SMALLEST_GAMMA = 1.25  # odds that differ by a quarter within matched sets: weaker than what sex or education does to a start
SMALLEST_E_VALUE = 1.5  # of the end of the interval nearest to none
EXTREMES = {("lost_contact", "treated"), ("lost_contact", "control"), ("lost_contact", "1")}  # bounds of what could be, not what anybody believes
OTHER_QUESTION = {"definition", "sustained"}  # another success has another effect: its size is no flaw, its sign is


class Concern(NamedTuple):
    """A reason for a lower grade.

    `lines` says how many it is about, `at_most` the best grade it leaves: a position in `GRADES`.
    """

    name: ConcernName
    lines: int
    at_most: int


@dataclass(frozen=True)
class Certainty:
    """The grade and why.

    Attributes
    ----------
    grade : {"high", "moderate", "low", "very_low"}
    concerns : tuple of Concern
        What lowered it; empty for a high grade.
    """

    grade: Grade
    concerns: tuple[Concern, ...]

    def to_frame(self) -> pd.DataFrame:
        """Give one row per concern: concern, lines, at_most (the best grade it leaves)."""
        rows = [(concern.name, concern.lines, GRADES[concern.at_most]) for concern in self.concerns]
        return pd.DataFrame(rows, columns=["concern", "lines", "at_most"])

    def __repr__(self) -> str:
        return text_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)


def grade_certainty(verdict: Verdict, sensitivity: Sensitivity) -> Certainty:
    """Grade how far the study's answer may be trusted.

    Parameters
    ----------
    verdict : Verdict
        Whether the design reached its own requirements.
    sensitivity : Sensitivity

    Returns
    -------
    Certainty

    Notes
    -----
    One step down, from high over moderate and low to very low, for each of these:

    - verdict: the design failed a requirement. At most low.
    - placebo: some effect that cannot be there is, at 5 per cent for all placebos together (Holm). At most low.
    - placebo_missing: no placebo could be run. At most moderate.
    - sign: some answer has the other sign than the study's, with an interval on that side of 0. The extremes of lost contact do not count.
    - interval: the study's interval holds no 0, and some answer to the same question about the same people lies outside that interval and has an
      interval with 0 in it.
    - uncertain: the study's own interval holds 0, and an effect as large as the smallest that the plan wanted to find. At most low.
    - hidden_bias: gamma below 1.25, or an E-value of the interval below 1.5, would do away with an effect whose interval holds no 0.
    - hidden_bias_missing: neither could be had, for such an effect. At most moderate.
    - failed: a probe stopped for a reason nobody foresaw. At most moderate.
    """
    concerns = tuple(_concerns(verdict, sensitivity))
    step = max([len(concerns), *(concern.at_most for concern in concerns)]) if concerns else 0
    return Certainty(GRADES[min(step, len(GRADES) - 1)], concerns)


def _concerns(verdict: Verdict, sensitivity: Sensitivity) -> Iterator[Concern]:
    low, moderate, high = GRADES.index("low"), GRADES.index("moderate"), GRADES.index("high")
    if not verdict.passed:
        yield Concern("verdict", len(verdict.failed), low)
    yield from _of_placebos(sensitivity, low, moderate)
    baseline = sensitivity.baseline
    sign = 1 if baseline.value >= 0 else -1
    answers = [row for row in sensitivity.of_kind("answer") if (row.probe, row.setting) not in EXTREMES]
    turned = sum((row.high if sign > 0 else -row.low) < 0 for row in answers)
    if turned:
        yield Concern("sign", turned, high)
    if _holds_zero(baseline):
        wanted = next(check.limit for check in verdict.checks if check.name == "minimal_detectable_effect")
        if max(abs(baseline.low), abs(baseline.high)) >= wanted:
            yield Concern("uncertain", 1, low)
    else:
        same = [row for row in answers if row.same_people and row.probe not in OTHER_QUESTION]
        lost = sum(not baseline.low <= row.value <= baseline.high and _holds_zero(row) for row in same)
        if lost:
            yield Concern("interval", lost, high)
        yield from _of_hidden_bias(sensitivity, moderate)
    failed = sum(row.why == "failed" for row in sensitivity.rows)
    if failed:
        yield Concern("failed", failed, moderate)


def _of_placebos(sensitivity: Sensitivity, low: int, moderate: int) -> Iterator[Concern]:
    placebos = [row for row in sensitivity.of_kind("null") if not math.isnan(row.p_value)]
    if not placebos:
        yield Concern("placebo_missing", 0, moderate)
        return
    lit = int((holm(np.array([row.p_value for row in placebos])) < FALSE_ALARM).sum())
    if lit:
        yield Concern("placebo", lit, low)


def _of_hidden_bias(sensitivity: Sensitivity, moderate: int) -> Iterator[Concern]:
    gammas = [row.value for row in sensitivity.of("rosenbaum") if row.ran]
    # a test that finds nothing even without hidden bias bears no hidden bias at all
    gammas += [1.0 for row in sensitivity.of("rosenbaum") if row.why == "no_effect"]
    strengths = [row.low for row in sensitivity.of("e_value") if row.ran]
    weak = sum(gamma < SMALLEST_GAMMA for gamma in gammas) + sum(strength < SMALLEST_E_VALUE for strength in strengths)
    if weak:
        yield Concern("hidden_bias", weak, GRADES.index("high"))
    elif not gammas and not strengths:
        yield Concern("hidden_bias_missing", 0, moderate)


def _holds_zero(row: Row) -> bool:
    return row.low <= 0 <= row.high
