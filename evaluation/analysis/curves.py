"""How large a share has left by each day, in either arm?

Curves of both arms with pointwise intervals, and the spec of what is asked of the follow-up. The shares are those of incidence.py, their variances
those of curve_variances.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from evaluation.analysis.compared import Compared, compared_follow_up
from evaluation.analysis.curve_variances import curve_variances, ways_of_clustering
from evaluation.analysis.estimates import log_log_interval
from evaluation.analysis.incidence import incidences_by_state
from evaluation.analysis.outcomes import ANY, FollowUp
from evaluation.design.cohort import Bools, Cohort, Floats
from evaluation.design.comparison import Comparison
from evaluation.errors import EstimationError

ARMS = ("treated", "control")
_CURVE_COLUMNS = ("arm", "state", "days", "at_risk", "at_risk_weighted", "probability", "std_error", "low", "high")


def _rising(value: tuple[float, ...]) -> tuple[float, ...]:
    if value[0] <= 0 or any(later <= earlier for earlier, later in pairwise(value)):
        raise ValueError("horizons must be above 0 and rising")
    return value


Horizons = Annotated[tuple[float, ...], Field(min_length=1), AfterValidator(_rising)]


class EffectSpec(BaseModel):
    """What is asked of the follow-up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizons_days: Horizons = Field(default=(365, 730), description="days after the index date at which shares are compared")
    rmst_days: float | None = Field(default=730, gt=0, description="days up to which time without success is averaged; None: not asked")
    success: tuple[str, ...] | None = Field(default=None, description="the states that count as success; None: every exit")
    level: float = Field(default=0.95, gt=0, lt=1, description="confidence level")
    smallest_arm: int = Field(default=10, ge=2, description="people an arm of a subgroup needs for its effect to be estimated")

    def at(self, horizon_days: float) -> EffectSpec:
        """Ask for the shares at one horizon, and for nothing else."""
        return EffectSpec.model_validate(self.model_dump() | {"horizons_days": (horizon_days,), "rmst_days": None})

    def succeeded(self, compared: Compared) -> Bools:
        """Say who left to a state that counts; shape (u,).

        Raises
        ------
        EstimationError
            If `success` names a state the follow-up does not have.
        """
        if self.success is None:
            return compared.exit >= 0
        unknown = [state for state in self.success if state not in compared.states]
        if unknown:
            raise EstimationError(f"success: {', '.join(unknown)} is not a state of the follow-up; it has {', '.join(compared.states)}")
        return np.isin(compared.exit, [compared.states.index(state) for state in self.success])


@dataclass(frozen=True, eq=False)
class Curves:
    """Share having left, by arm and exit day.

    Attributes
    ----------
    table : DataFrame
        One row per arm, state and exit day: arm, state, days, at_risk (people), at_risk_weighted, probability, std_error, low, high. The state
        "any" is success as the spec defines it; with several kinds of exit, each has its own rows too.
    level : float
    followed : dict of str to ndarray of float
        Each arm's follow-up times, one per person, sorted, for numbers at risk between exit days; in a stack the longest of the person's.
    reach : float
        Days for which everybody could be followed. Beyond it a curve leans on the trials that began first, and is not what a share at a horizon is.
    """

    table: pd.DataFrame
    level: float
    followed: dict[str, Floats]
    reach: float

    def at_risk(self, days: list[float]) -> pd.DataFrame:
        """Count the people still under observation and not yet gone just before each of `days`; one row per arm."""
        counts = {arm: len(times) - np.searchsorted(times, days, side="left") for arm, times in self.followed.items()}
        return pd.DataFrame.from_dict(counts, orient="index", columns=days)

    def to_frame(self) -> pd.DataFrame:
        """Give the curves as one table."""
        return self.table.copy()


def estimate_curves(cohort: Cohort, comparison: Comparison, follow_up: FollowUp, spec: EffectSpec | None = None) -> Curves:
    """Estimate the share having left by each exit day, with pointwise intervals that respect the matching.

    Parameters
    ----------
    cohort : Cohort
    comparison : Comparison
    follow_up : FollowUp
    spec : EffectSpec, optional
        `success` and `level` are used.

    Returns
    -------
    Curves
    """
    spec = spec or EffectSpec()
    compared = compared_follow_up(cohort, comparison, follow_up)
    success = spec.succeeded(compared)
    followed: dict[str, Floats] = {}
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in _CURVE_COLUMNS}
    for arm in ARMS:
        inside = np.flatnonzero(compared.treated == (arm == "treated"))
        followed[arm] = np.sort(compared.longest(inside))
        incidences = incidences_by_state(compared, success, inside)
        hazards = incidences[ANY].hazards
        people = len(followed[arm]) - np.searchsorted(followed[arm], hazards.times, side="left")
        ways = ways_of_clustering(compared.clusters, inside, hazards)
        for state, incidence in incidences.items():
            error = np.sqrt(np.maximum(curve_variances(incidence, ways, compared.clusters, inside), 0.0))
            low, high = log_log_interval(incidence.probability, error, spec.level)
            names = np.full(len(error), arm), np.full(len(error), state)
            columns = (*names, hazards.times, people, hazards.at_risk, incidence.probability, error, low, high)
            for name, column in zip(_CURVE_COLUMNS, columns, strict=True):
                parts[name].append(column)
    reach = np.inf if compared.reach is None else float(compared.reach.min())
    return Curves(pd.DataFrame({name: np.concatenate(columns) for name, columns in parts.items()}), spec.level, followed, reach)
