"""Which treated and control may be brought together, and how far apart are they?

The rules of every method that makes pairs, first as they are asked for and then as arrays over the cohort's rows. Distance is the gap on the
propensity scale, or Mahalanobis' between covariates.

References
----------
Rubin (1980). Bias reduction using Mahalanobis-metric matching. Biometrics 36(2), 293-298.
Rosenbaum & Rubin (1985). Constructing a control group using multivariate matched sampling methods that incorporate the propensity score. The
American Statistician 39(1), 33-38 (Mahalanobis distance within calipers of the propensity score).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluation.design.cohort import Cohort, Floats, Rows, strata_of
from evaluation.design.model_columns import covariate_columns
from evaluation.design.propensity import PropensityScores, refuse_other_scores
from evaluation.errors import DesignError, InputError, Problem

_COLLINEAR = 1e-9  # smallest eigenvalue of the correlation matrix, relative to the largest, along which people differ

Width = Annotated[float, Field(ge=0)]


class PairRules(BaseModel):
    """Which treated and control may be brought together, and how far apart they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: Literal["logit", "score", "mahalanobis"] = Field(
        default="logit", description="the scale on which people are near: of the propensity, or Mahalanobis' of the covariates"
    )
    caliper_sd: float | None = Field(
        default=0.2, gt=0, description="largest gap on the propensity scale (the score's if that is the distance, else the logit's), in its SDs"
    )
    calipers: dict[str, Width] = Field(default={}, description="largest difference of a numeric covariate, in its own unit")
    exact: tuple[str, ...] = Field(default=(), description="columns on which a match must agree")
    antiexact: tuple[str, ...] = Field(default=(), description="columns on each of which a match must differ")

    @model_validator(mode="after")
    def _satisfiable(self) -> PairRules:
        both = [name for name in self.antiexact if name in self.exact]
        if both:
            raise ValueError(f"exact and antiexact both name {', '.join(both)}: nobody can agree and differ")
        return self

    @property
    def scale(self) -> Literal["logit", "score"]:
        """The propensity scale the caliper is on."""
        return "score" if self.distance == "score" else "logit"


@dataclass(frozen=True, eq=False)
class PairSearch:
    """The rules as arrays over the cohort's n rows, so that pairs can be sought from either side.

    Attributes
    ----------
    cohort : Cohort
    position : ndarray of float, shape (n,)
        On the propensity scale.
    spread : float
        Standard deviation of `position` over the whole cohort.
    stratum : ndarray of int, shape (n,)
        The combination of trial and exact columns.
    caliper : float
        Largest gap in `position`; infinite without one.
    places : ndarray of float, shape (q, n), or None
        Coordinates between which the Mahalanobis distance is the straight one; None: the distance is the gap in `position`.
    widths : tuple of (values, width)
        Covariate calipers.
    apart : tuple of codes
        Columns on which a match must differ.
    forbidden : ndarray of int
        Sorted numbers ``person of treated * people + person of control``.
    """

    cohort: Cohort
    position: Floats
    spread: float
    stratum: Rows
    caliper: float
    places: Floats | None
    widths: tuple[tuple[Floats, float], ...]
    apart: tuple[Rows, ...]
    forbidden: Rows

    @property
    def by_position(self) -> bool:
        """Whether position, stratum and caliper are all there is to a pair."""
        return self.places is None and not (self.widths or self.apart or len(self.forbidden))

    @property
    def width(self) -> float | None:
        """The caliper on the scale of `position`; None without one."""
        return None if math.isinf(self.caliper) else self.caliper


def prepare_search(cohort: Cohort, scores: PropensityScores, rules: PairRules, forbidden: pd.DataFrame | None = None) -> PairSearch:
    """Turn the rules into arrays; parameters and errors are those of `find_candidates` in candidates.py."""
    refuse_other_scores(cohort, scores)
    spread = scores.sd_score if rules.scale == "score" else scores.sd_logit
    return PairSearch(
        cohort=cohort,
        position=scores.score if rules.scale == "score" else scores.logit,
        spread=spread,
        stratum=cohort.codes(strata_of(cohort, rules.exact))[0],
        caliper=math.inf if rules.caliper_sd is None else rules.caliper_sd * spread,
        places=_whitened(cohort) if rules.distance == "mahalanobis" else None,
        widths=_widths(cohort, rules),
        apart=tuple(cohort.codes([name])[0] for name in rules.antiexact),
        forbidden=np.zeros(0, dtype=np.intp) if forbidden is None else _forbidden(cohort, forbidden),
    )


def _widths(cohort: Cohort, rules: PairRules) -> tuple[tuple[Floats, float], ...]:
    columns = {name: cohort.column(name) for name in rules.calipers}
    words = [name for name, column in columns.items() if isinstance(column.dtype, pd.CategoricalDtype)]
    if words:
        raise InputError([Problem(name, "is no numeric covariate, so it has no caliper", "name it in exact instead") for name in words])
    return tuple((column.to_numpy(), rules.calipers[name]) for name, column in columns.items())


def _forbidden(cohort: Cohort, pairs: pd.DataFrame) -> Rows:
    absent = [Problem.absent(name, pairs.columns, "the table of forbidden pairs") for name in ("treated", "control") if name not in pairs.columns]
    if absent:
        raise InputError(absent, "the forbidden pairs cannot be used")
    code, people = pd.factorize(cohort.person)
    rules, found = [], {}
    for name, side in (("treated", cohort.treated), ("control", ~cohort.treated)):
        there = np.zeros(len(people) + 1, dtype=bool)  # the last place is that of strangers, whom the index calls -1
        there[code[side]] = True
        found[name] = people.get_indexer(pd.Index(pairs[name]))
        rules.append((name, f"must be a {name} person of the cohort", ~there[found[name]], "compare the ids' type and spelling in the two tables"))
    problems = Problem.broken(rules)
    if problems:
        raise InputError(problems, "the forbidden pairs cannot be used")
    return np.unique(found["treated"] * len(people) + found["control"])


def _whitened(cohort: Cohort) -> Floats:
    """Give coordinates, shape (q, n), that are uncorrelated within the arms and have variance 1 there; sums in the cohort's order."""
    _, columns = covariate_columns(cohort.covariates)
    arms = [columns[:, cohort.order[cohort.treated[cohort.order] == side]] for side in (True, False)]
    within = np.concatenate([arm - arm.mean(axis=1, keepdims=True) for arm in arms], axis=1)
    covariance = np.einsum("in,jn->ij", within, within) / max(len(cohort) - 2, 1)  # in numpy's own loop, whatever the threads
    scale = np.sqrt(np.diag(covariance))
    varies = scale > _COLLINEAR * np.abs(columns).max(axis=1)
    if not varies.any():
        raise DesignError(f"mahalanobis: none of {len(varies)} covariate columns varies within the arms; match on the logit or the score instead")
    columns, scale = columns[varies] - arms[0].mean(axis=1)[varies, None], scale[varies]
    values, vectors = np.linalg.eigh(covariance[np.ix_(varies, varies)] / np.outer(scale, scale))
    differs = values > _COLLINEAR * values[-1]
    turn = vectors[:, differs].T / np.sqrt(values[differs])[:, None] / scale
    places = np.zeros((len(turn), len(cohort)))
    for part, column in zip(turn.T, columns, strict=True):  # column by column: equal people get equal bits wherever they stand
        places += part[:, None] * column
    return places
